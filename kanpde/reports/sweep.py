"""The report of a sweep: error against parameters and seconds, slopes, and every trial."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

from kanpde.errors import KanpdeError
from kanpde.problem.file import identity
from kanpde.reports.chart import Chart, Series, shown
from kanpde.reports.mathml import notation
from kanpde.reports.page import cards, folded, listing, page, section, table
from kanpde.reports.run import problem_section
from kanpde.results.result import plain
from kanpde.sweeps import folders, store
from kanpde.sweeps.figures import pareto
from kanpde.sweeps.rows import SweepTable, TrialRow
from kanpde.sweeps.scaling import by_size, fit, series, theory

MOST_LISTED = 400
"""Trials that are listed."""


def report(folder: Path) -> str:
    """The page of a sweep.

    Args:
        folder: The sweep's folder.

    Returns:
        The text of the HTML file.

    Raises:
        RunError: The folder holds no sweep, or a damaged one.
    """
    found = store.read(folder)
    about = found.about
    seeds = sorted({row.seed for row in found.rows})
    words = (
        f"{len(found.rows)} trials of {len({row.network for row in found.rows})} networks,"
        f" {len(seeds)} {'seeds' if len(seeds) > 1 else 'seed'}"
    )
    data = {
        "about": plain(about),
        "trials": [
            plain({k: v for k, v in asdict(row).items() if k != "stages"}) for row in found.rows
        ],
    }
    title = str(about.get("title") or about.get("problem")).removesuffix(".")
    return page(
        title,
        f"kanpde sweep {folder}",
        f"{words}; {str(about.get('provenance', {}).get('date'))[:16].replace('T', ' ')}",
        list(_sections(folder, found)),
        data,
    )


def _sections(folder: Path, found: SweepTable) -> Iterator[str]:
    done = [row for row in found.rows if math.isfinite(row.error)]
    failed = [row for row in found.rows if row.status == "failed"]
    judged = (
        "finite differences"
        if {row.judged for row in done} == {"reference"}
        else "the exact solution"
    )
    yield _verdict(done, judged) + cards(_numbers(found, done, failed))
    hint = '<p class="hint">Point at a picture to read its values.</p>'
    charts = [
        _parameters(found, done, judged),
        _seconds(found, done, judged),
        _staircase(done, judged),
    ]
    yield section(
        "Error",
        hint,
        "<div"
        f' class="figures">{"".join(chart.html() for chart in charts if chart is not None)}</div>',
        _slopes(done),
    )
    every = (
        f"All {len(found.rows)} trials"
        if len(found.rows) <= MOST_LISTED
        else f"The first {MOST_LISTED} of {len(found.rows)} trials"
    )
    yield section("Networks", _networks(found.rows), folded(every, _trials(found.rows)))
    yield _problem(folder)
    yield (
        section("Failed", table(("trial", "why"), [(row.trial, row.reason) for row in failed]))
        if failed
        else ""
    )
    yield section("How to reproduce", *_again(folder, found))
    yield section("Provenance", listing(found.about.get("provenance", {})))


def _verdict(done: Sequence[TrialRow], judged: str) -> str:
    """The best of each series, in a sentence."""
    if not done:
        return (
            '<p class="verdict poor">No trial has come to an end with an error that is known.</p>'
        )
    best = {name: min(rows, key=lambda row: row.error) for name, rows in series(done).items()}
    first = min(best, key=lambda name: best[name].error)
    words = [
        f"The smallest error against {judged} is {shown(best[first].error)}, of"
        f" {best[first].network} with {best[first].parameters:,} parameters."
    ]
    words += [
        f"{name}: {shown(row.error)} with {row.parameters:,}."
        for name, row in best.items()
        if name != first
    ]
    return f'<p class="verdict">{escape(" ".join(words))}</p>'


def _numbers(
    found: SweepTable, done: Sequence[TrialRow], failed: Sequence[TrialRow]
) -> list[tuple[str, str]]:
    pairs = (
        [(f"{len(done)}", "trials done"), (f"{len(failed)}", "failed")]
        if failed
        else [(f"{len(done)}", "trials done")]
    )
    if done:
        pairs.append((shown(min(row.error for row in done)), "smallest error"))
        pairs.append(
            (
                (
                    f"{min(row.parameters for row in done):,} to"
                    f" {max(row.parameters for row in done):,}"
                ),
                "parameters",
            )
        )
        pairs.append(
            (
                f"{sum(row.seconds for row in done if math.isfinite(row.seconds)) / 60:.1f} min",
                "training, all trials together",
            )
        )
    return pairs


def _parameters(found: SweepTable, done: Sequence[TrialRow], judged: str) -> Chart | None:
    """Medians over the seeds with their range, fitted slopes, the theory's, and finite differences
    by unknowns."""
    lines: list[Series] = []
    for i, (name, rows) in enumerate(series(done).items()):
        sizes, law = by_size(rows), fit(rows)
        points = [(float(size), middle) for size, (middle, _, _) in sizes.items()]
        says = [
            f"{name}, {size:,} parameters\nmedian error {shown(middle)}"
            + (f"\n{shown(low)} to {shown(high)} over the seeds" if low < high else "")
            for size, (middle, low, high) in sizes.items()
        ]
        slope = (
            ""
            if law is None
            else f": slope {law.slope:.1f}"
            + (
                f" ± {law.uncertainty:.1f}"
                if math.isfinite(law.uncertainty) and law.uncertainty < 100
                else ""
            )
        )
        lines.append(
            Series(
                f"{name}{slope}",
                points,
                markers=True,
                colour=i,
                dash=i,
                labels=says,
                spread=[(low, high) for _, low, high in sizes.values()],
            )
        )
        expected = theory(rows)
        if law is not None and expected is not None:
            ends = [
                (size, law.at(law.low) * (size / law.low) ** expected)
                for size in (law.low, law.high)
            ]
            lines.append(Series(f"theory, slope {expected}", ends, faint=True, colour=6, dash=2))
    lines += _differences(found, lambda d: float(d.unknowns))
    caption = (
        "Median over the seeds; bars from the smallest to the largest error. Finite differences by"
        " unknowns of their system."
        if found.differences
        else ""
    )
    return (
        Chart(
            "number of parameters",
            f"relative L2 error, {judged}",
            lines,
            (True, True),
            caption=caption,
        )
        if done
        else None
    )


def _seconds(found: SweepTable, done: Sequence[TrialRow], judged: str) -> Chart | None:
    """A point a trial, and for each series what no trial beats in both."""
    lines: list[Series] = []
    for i, (name, rows) in enumerate(series(done).items()):
        known = [row for row in rows if row.error > 0 and math.isfinite(row.seconds)]
        says = [
            f"{row.network}, seed {row.seed}\n{shown(row.error)} in {row.seconds:.1f} s"
            for row in known
        ]
        lines.append(
            Series(
                "",
                [(row.seconds, row.error) for row in known],
                line=False,
                markers=True,
                faint=True,
                colour=i,
                labels=says,
            )
        )
        front = pareto([(row.seconds, row.error) for row in known])
        lines.append(Series(f"{name}: best so far", front, steps=True, colour=i, dash=i))
    lines += _differences(found, lambda d: d.seconds)
    return (
        Chart("seconds of training", f"relative L2 error, {judged}", lines, (True, True))
        if done
        else None
    )


def _differences(found: SweepTable, cost: Any) -> list[Series]:
    orders: dict[int, list[tuple[float, float]]] = {}
    for d in found.differences:
        if math.isfinite(d.error) and d.error > 0 and cost(d) > 0:
            orders.setdefault(d.order, []).append((cost(d), d.error))
    names = {order: f"finite differences, order {order}" for order in sorted(orders)}
    return [
        Series(name, sorted(orders[order]), colour=6, dash=3 + k, faint=True, markers=True)
        for k, (order, name) in enumerate(names.items())
    ]


def _staircase(done: Sequence[TrialRow], judged: str) -> Chart | None:
    """Error when each training stage ends, of the largest network of each series whose grid was
    extended (Liu et al. 2024, figure 2.3)."""
    lines = []
    for i, (name, rows) in enumerate(series(done).items()):
        stairs = [row for row in rows if len({s.grid for s in row.stages if s.grid}) > 1]
        if stairs:
            row = max(stairs, key=lambda r: (r.parameters, -r.error))
            known = [s for s in row.stages if math.isfinite(s.error) and s.error > 0]
            says = [f"{s.title}\n{shown(s.error)} after {s.step} steps" for s in known]
            lines.append(
                Series(
                    f"{name}, {row.network}, seed {row.seed}",
                    [(s.step, s.error) for s in known],
                    steps=True,
                    markers=True,
                    colour=i,
                    dash=i,
                    labels=says,
                )
            )
    return (
        Chart(
            "step of training",
            f"relative L2 error, {judged}",
            lines,
            (False, True),
            caption="Grid extension: the error when each stage ends.",
        )
        if lines
        else None
    )


def _slopes(done: Sequence[TrialRow]) -> str:
    rows = []
    for name, own in series(done).items():
        law = fit(own)
        if law is not None:
            sure = (
                f" ± {law.uncertainty:.1f}"
                if math.isfinite(law.uncertainty) and law.uncertainty < 100
                else ""
            )
            rows.append((name, f"{law.slope:.1f}{sure}", str(theory(own) or ""), law.range))
    return table(("series", "slope", "theory", "fitted to"), rows, (1, 2))


def _networks(rows: Sequence[TrialRow]) -> str:
    """One line a network: seeds, best and median error, seconds."""
    groups: dict[tuple[str, str], list[TrialRow]] = {}
    several = len({row.schedule for row in rows if row.grid == 0}) > 1
    for row in rows:
        groups.setdefault((row.network, row.schedule if several else ""), []).append(row)
    lines = []
    for (network, schedule), own in groups.items():
        errors = [row.error for row in own if math.isfinite(row.error)]
        seconds = [row.seconds for row in own if math.isfinite(row.seconds)]
        best = (shown(min(errors)), shown(median(errors))) if errors else ("", "")
        name = f"{network}, {schedule}" if schedule else network
        lines.append(
            (
                name,
                f"{own[0].parameters:,}",
                f"{len(errors)} of {len(own)}",
                *best,
                f"{median(seconds):.1f}" if seconds else "",
            )
        )
    return table(
        ("network", "parameters", "seeds done", "best", "median", "seconds"), lines, (1, 2, 3, 4, 5)
    )


def _trials(rows: Sequence[TrialRow]) -> str:
    lines = []
    for row in rows[:MOST_LISTED]:
        seconds = f"{row.seconds:.1f}" if math.isfinite(row.seconds) else ""
        lines.append(
            (
                row.trial,
                row.network,
                str(row.seed),
                f"{row.parameters:,}",
                row.schedule,
                shown(row.error),
                shown(row.loss),
                seconds,
                row.status,
                row.verdict,
            )
        )
    return table(
        (
            "trial",
            "network",
            "seed",
            "parameters",
            "schedule",
            "error",
            "loss",
            "seconds",
            "status",
            "verdict",
        ),
        lines,
        (2, 3, 5, 6, 7),
    )


def _problem(folder: Path) -> str:
    """The problem, where its file is found again."""
    try:
        plan = folders.read_plan(folder)
        problem = folders.problem_again(folder, plan)
    except KanpdeError:
        return ""
    if identity(problem).get("source_sha256") != plan.about.get("source_sha256"):
        return section("Problem", "<p>The problem's file has changed since the sweep was made.</p>")
    return problem_section(notation(problem), repr(problem.domain))


def _again(folder: Path, found: SweepTable) -> Iterator[str]:
    yield f'<pre class="command">{escape(f"kanpde sweep --resume {folder}")}</pre>'
    yield (
        "<p>goes on with it, or, with <code>--retry</code>, runs again what failed; the plan of all"
        " trials, with every setting, is in <code>sweep.json</code>.</p>"
    )
    settings: Mapping[str, Any] = found.about.get("settings", {})
    yield listing(
        {
            name: ", ".join(map(str, value)) if isinstance(value, list) else value
            for name, value in settings.items()
            if value not in (None, {}, [])
        }
    )
