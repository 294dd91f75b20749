"""What is shown: the problem, the reference and the result, as tables without rules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from kanpde.cli.group import is_first
from kanpde.errors import listed
from kanpde.problem.families import said
from kanpde.results.verdict import NOBODY, Verdict
from kanpde.training import show_schedule

if TYPE_CHECKING:
    from kanpde.inverse.estimates import Band, Estimate, Estimates
    from kanpde.problem.problem import Problem
    from kanpde.recipes.choosing import Choice
    from kanpde.recipes.recipe import Recipe
    from kanpde.reference import Reference
    from kanpde.results.gaps import Gap
    from kanpde.results.result import Result

    Gaps = Mapping[str, Gap]


def console(to_stderr: bool) -> Console:
    """Where a command shows things: standard output, or standard error where that is kept for
    JSON."""
    return Console(stderr=to_stderr, highlight=False, quiet=not is_first())


def show_problem(console: Console, problem: Problem) -> None:
    """Name, title, domain, unknowns, equations and conditions."""
    table = _table()
    table.add_row("domain", repr(problem.domain))
    table.add_row("unknowns", listed(problem.unknowns))
    table.add_row("equations", listed(e.name.removesuffix("()") for e in problem.equations))
    table.add_row("conditions", listed(repr(c) for c in problem.conditions))
    if problem.parameters:
        table.add_row("parameters", listed(repr(p) for p in problem.parameters))
        table.add_row(
            "data",
            listed(
                f"{len(m.points):,} rows of"
                f" {listed(m.unknowns)}{'' if m.noise is None else ', noise given'}"
                for m in problem.data
            ),
        )
    table.add_row(
        "exact solution",
        (
            "known"
            if len(problem.exact) == len(problem.unknowns)
            else f"known for {listed(problem.exact)}"
            if problem.exact
            else "not known"
        ),
    )
    console.print(f"[bold]{problem.name}[/bold]  ", end="")
    console.print(problem.title, markup=False, soft_wrap=True)
    console.print(table)


def show_choice(console: Console, chosen: Choice) -> None:
    """The recipe, and a line for each reason."""
    recipe, table = chosen.recipe, _table()
    table.add_row("network", repr(recipe.network))
    if recipe.tolerance is not None:
        table.add_row("tolerance", f"{recipe.tolerance:g}")
    if recipe.stages:
        _add_training(table, recipe)
    console.print(table)
    for reason in chosen.reasons:
        console.print(f"because   {reason}", markup=False, soft_wrap=True)


def _add_training(table: Table, recipe: Recipe) -> None:
    """How layers are trained."""
    table.add_row("points", f"{recipe.points:,}, {recipe.sampler}")
    table.add_row("schedule", show_schedule(recipe.stages))
    table.add_row("random starts", str(recipe.restarts))
    if recipe.slabs > 1:
        table.add_row("spans of time", str(recipe.slabs))
    for name, values in recipe.continuation.items():
        table.add_row(f"continued in {name}", ", ".join(f"{value:g}" for value in values))


def show_reference(console: Console, found: Reference, error: float | None) -> None:
    """A finite-difference solution: its method, its own estimate of its error, and the true one
    where that is known."""
    table = _table()
    table.add_row("method", found.kind)
    table.add_row(
        "nodes", " × ".join(f"{x} {len(nodes)}" for x, nodes in found.coordinates.items())
    )
    for name, value in found.numbers.items():
        table.add_row(name, f"{value:.12g}")
    for u, own in (found.estimated_errors or {}).items():
        what = "estimated error" if len(found.values) == 1 else f"estimated error of {u}"
        table.add_row(what, f"{own:.1e} (L2 relative to its variation)")
    if found.doubt:
        table.add_row("doubt", found.doubt)
    table.add_row(
        "true error",
        "no exact solution to compare with" if error is None else f"{error:.1e} (relative L2)",
    )
    table.add_row("seconds", f"{found.seconds:.2f}")
    console.print(table)


def show_result(console: Console, result: Result) -> None:
    """Errors against the exact solution and the reference, the verdict, and where the files are."""
    console.print()
    console.print(_errors(result))
    if result.numbers:
        console.print(_numbers(result))
    if result.estimates is not None:
        show_estimates(console, result.estimates)
    show_verdict(console, result.verdict)
    about = _table()
    about.add_row(
        "network", f"{result.settings['network']}, {result.settings['parameters']} parameters"
    )
    about.add_row("training", f"{result.seconds:.1f} s, {len(result.history.records)} steps")
    if result.reference is not None:
        about.add_row("reference", f"{result.reference.kind}, {result.reference.seconds:.1f} s")
    console.print(about)
    if result.run_dir is not None:
        console.print(f"files     {result.run_dir}", markup=False, soft_wrap=True)


def _errors(result: Result) -> Table:
    """Errors against both judges: of all unknowns together, and of each where there are several or
    an offset hides how much they vary."""
    errors, near = (
        {u: gap for u, gap in gaps.items() if u not in result.numbers}
        for gaps in (result.errors, result.reference_errors)
    )
    each = [*errors.values(), *near.values()]
    several = max(len(errors), len(near)) > 1
    split = several or any(gap.hidden for gap in each)
    more = ("of the variation",) if split else ()
    table = _table("against", "relative L2", *more, "maximum error")

    def rows(judge: str, relative: float | None, largest: float | None, gaps: Gaps) -> None:
        whole = {} if several else gaps
        peak = next((gap.peak for gap in whole.values()), largest)
        part = [_shown(gap.error) for gap in whole.values()] or [""]
        table.add_row(judge, _shown(relative), *(part if split else ()), _shown(peak, ""))
        for unknown, gap in gaps.items() if several else ():
            own = f" (its own {gap.own / (gap.size or 1.0):.1e})" if gap.own else ""
            table.add_row(f"  {unknown}{own}", *map(_shown, (gap.relative, gap.error, gap.peak)))

    if result.relative_l2 is not None:
        rows("the exact solution", result.relative_l2, result.max_error, errors)
    if result.reference is not None:
        own = f"its own error {result.reference.estimated_error:.1e}"
        rows(f"the reference ({own})", result.reference_relative_l2, None, near)
    else:
        table.add_row(f"no reference: {result.reference_note}", "", *("" for _ in more), "")
    return table


def _numbers(result: Result) -> Table:
    """Parameters that conditions determine, and how far they are from those of the judges."""
    judges = {"the exact one": result.errors, "the reference's": result.reference_errors}
    known = {judge: gaps for judge, gaps in judges.items() if set(gaps) & set(result.numbers)}
    table = _table("parameter", "found", *(f"off {judge} by" for judge in known))
    for name, value in result.numbers.items():
        off = (_shown(g[name].relative) if name in g else "" for g in known.values())
        table.add_row(name, f"{value:.12g}", *off)
    return table


def show_continuation(
    console: Console,
    values: Sequence[Mapping[str, float]],
    results: Sequence[Result],
    folder: Path,
) -> None:
    """A line for each of several runs that began one from the other, and where their figure is."""
    table = _table("constants", "relative L2", "seconds", "steps", "verdict")
    for at, one in zip(values, results, strict=True):
        steps = str(len(one.history.records))
        seconds = f"{one.seconds:.1f}"
        table.add_row(said(at), _shown(one.known_error), seconds, steps, one.verdict.status)
    console.print()
    console.print(table)
    console.print(f"figure    {folder / 'continuation.png'}", markup=False, soft_wrap=True)


def show_verdict(console: Console, verdict: Verdict) -> None:
    """Status, judge and reason in a line, and a line for everything that may help."""
    judge = "" if verdict.judge == NOBODY else f", says the {verdict.judge}"
    words = f"verdict   {verdict.status}{judge}: {verdict.reason}"
    console.print(words, markup=False, soft_wrap=True)
    for cure in verdict.cures:
        console.print(f"try       {cure}", markup=False, soft_wrap=True)


def show_estimates(console: Console, found: Estimates) -> None:
    """The parameters with standard errors and intervals, their correlation, the noise that the
    misfit shows, and what to be careful with."""
    known = any(e.truth is not None for e in found.numbers) or any(
        b.relative_l2 is not None for b in found.fields
    )
    table = _table(
        "parameter", "estimate", "standard error", "95 % interval", *(("off by",) if known else ())
    )
    for e in found.numbers:
        off = (
            (("" if e.truth is None else f"{abs(e.value - e.truth) / (abs(e.truth) or 1.0):.1e}"),)
            if known
            else ()
        )
        table.add_row(
            e.name,
            f"{e.value:.7g}",
            *_uncertainty(e),
            *off,
        )
    for b in found.fields:
        off = (("" if b.relative_l2 is None else f"{b.relative_l2:.1e}"),) if known else ()
        table.add_row(
            f"{b.name}({', '.join(b.grid)})",
            f"{b.values.min():.4g} … {b.values.max():.4g}",
            *_width(b),
            *off,
        )
    console.print()
    console.print(table)
    names = [e.name for e in found.numbers]
    if closest := _closest(names, found):
        console.print(
            f"correlation   {listed(closest)}", markup=False, highlight=False, soft_wrap=True
        )
    if found.noise:
        console.print(
            f"misfit        {listed(f'{u} {size:.2g}' for u, size in found.noise.items())}"
            " (standard deviation)",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    for note in found.notes:
        console.print(f"careful: {note}", markup=False, highlight=False, soft_wrap=True)


def _uncertainty(found: Estimate) -> tuple[str, str]:
    """Standard error and interval of a number, as far as they are known."""
    if math.isnan(found.standard_error):
        return "not known", ""
    low, high = found.interval
    return f"{found.standard_error:.1e}", f"{low:.7g} … {high:.7g}"


def _width(found: Band) -> tuple[str, str]:
    """The same of a field."""
    mean = float((found.standard_error**2).mean() ** 0.5)
    return ("not known", "") if math.isnan(mean) else (f"{mean:.1e} (mean)", "see estimates.png")


def _closest(names: list[str], found: Estimates, most: int = 3) -> list[str]:
    """The pairs of parameters that are most correlated, the strongest first."""
    if not found.correlation.size:
        return []
    pairs = []
    for i, one in enumerate(names):
        for k, other in enumerate(names[:i]):
            value = float(found.correlation[i, k])
            pairs.append((abs(value), f"{one} and {other} {value:+.2f}"))
    return [text for _, text in sorted(pairs, reverse=True)[:most]]


def show_pruned(console: Console, before: Result, after: Result) -> None:
    """Two networks of one problem: edges, parameters and errors before and after, and where the
    files are."""
    done = after.settings["pruned"]
    _compared(console, before, after, ("edges", *map(str, done["edges"])))
    about = _table()
    about.add_row("network", after.settings["network"])
    about.add_row("the solution changed by", f"{done['change']:.1e} (relative L2)")
    about.add_row("pruning", f"{after.seconds:.1f} s")
    console.print(about)
    _placed(console, after)


def show_compressed(console: Console, before: Result, after: Result) -> None:
    """Products of splines and the network in their place: parameters and errors before and after,
    what was lost between them, and where the files are."""
    done = after.settings["compressed"]
    _compared(console, before, after)
    about = _table()
    about.add_row("network", after.settings["network"])
    ranks = done["ranks"]
    terms = ranks.values() if len(ranks) == 1 else (f"{n} of {u}" for u, n in ranks.items())
    about.add_row("terms", listed([str(n) for n in terms]))
    for u, lost in done["lost"].items():
        of = f"{u} changed by" if len(ranks) > 1 else "the solution changed by"
        about.add_row(of, f"{lost:.1e} of its variation (asked: {done['asked']:g})")
    about.add_row("compression", f"{after.seconds:.1f} s")
    console.print(about)
    _placed(console, after)


def _compared(console: Console, before: Result, after: Result, *rows: tuple[str, ...]) -> None:
    """Parameters and errors of two results of one problem, after other rows; and the verdict on the
    second."""
    table = _table("", "before", "after")
    for row in rows:
        table.add_row(*row)
    table.add_row("parameters", *(f"{r.settings['parameters']:,}" for r in (before, after)))
    for title, values in (
        ("exact solution", [r.relative_l2 for r in (before, after)]),
        ("reference", [r.reference_relative_l2 for r in (before, after)]),
    ):
        if None not in values:
            table.add_row(f"relative L2 against the {title}", *map(_shown, values))
    console.print()
    console.print(table)
    show_verdict(console, after.verdict)


def _placed(console: Console, result: Result) -> None:
    """Where the files of a result are."""
    if result.run_dir is not None:
        console.print(f"files     {result.run_dir}", markup=False, soft_wrap=True)


def _table(*header: str) -> Table:
    """A table without rules; numbers, all columns but the first of one with a header, to the
    right."""
    table = Table(box=None, show_header=bool(header), header_style="bold", padding=(0, 2, 0, 0))
    for i, column in enumerate(header):
        table.add_column(column, justify="right" if i else "left")
    return table


def _shown(value: float | None, nothing: str = "-") -> str:
    return nothing if value is None else f"{value:.1e}"
