"""The report of one run."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl

from kanpde.plots import network as network_plots
from kanpde.reports import fields, members, reproduce
from kanpde.reports.chart import Chart, Series, shown
from kanpde.reports.mathml import Notation, notation
from kanpde.reports.page import cards, folded, listing, page, section, table
from kanpde.results.result import Result
from kanpde.results.verdict import NOBODY, NOT_CONVERGED, NOT_JUDGED

LARGEST_VECTORS = 1_500_000
"""Bytes of a picture of the network as vectors; a larger one is drawn as pixels."""


def report(result: Result) -> str:
    """The page of a run.

    Args:
        result: The run's result.

    Returns:
        The text of the HTML file.
    """
    return page_of(result, result.summary())


def page_of(result: Result, summary: Mapping[str, Any]) -> str:
    """The page of a run with this summary.

    Args:
        result: The run's result.
        summary: Its summary, plain values.

    Returns:
        The text of the HTML file.
    """
    settings = result.settings
    about = (
        f"{settings['network']}, {settings['parameters']:,} parameters, seed"
        f" {settings.get('seed')}; {str(result.provenance.get('date'))[:16].replace('T', ' ')}"
    )
    return page(
        _title(settings),
        f"kanpde run {result.run_dir or ''}",
        about,
        list(_sections(result, summary)),
        summary,
    )


def _sections(result: Result, summary: Mapping[str, Any]) -> Iterator[str]:
    yield _verdict(result, summary) + cards(_numbers(result, summary))
    yield _advice(result, summary)
    yield _by_unknown(result)
    if result.problem is not None:
        yield problem_section(notation(result.problem), repr(result.problem.domain))
    else:
        yield section(
            "Problem",
            listing(
                {"domain": result.settings.get("domain"), "unknowns": ", ".join(result.unknowns)}
            ),
            "<p>The problem's file was not found again.</p>",
        )
    yield _found_numbers(summary)
    yield _estimates(summary, fields.bands(result))
    hint = '<p class="hint">Point at a picture to read its values.</p>'
    yield section("Solution", hint, members.pictures(result))
    yield _closed_form(result.run_dir)
    yield section("Training", _history(result), _stages(result))
    yield section("Network", _network(result))
    yield section("How to reproduce", *_again(result))
    yield section(
        "Provenance",
        listing(
            {
                **result.provenance,
                "problem file": result.settings.get("source"),
                "SHA-256 of the file": result.settings.get("source_sha256"),
            }
        ),
    )


def problem_section(found: Notation, domain: str) -> str:
    """Equations, conditions, domain, constants and exact solution.

    Args:
        found: The problem's notation.
        domain: Its domain, in words.

    Returns:
        HTML.
    """
    rows = [
        ("equation" if len(found.equations) == 1 else name, formula)
        for name, formula in found.equations
    ]
    rows += [(where or "condition", formula) for formula, where in found.conditions]
    rows += [("domain", f"<code>{escape(domain)}</code>")]
    rows += (
        [("unknown parameters", f"<code>{escape(', '.join(found.parameters))}</code>")]
        if found.parameters
        else []
    )
    rows += [("data", escape(", ".join(found.data)))] if found.data else []
    rows += [("where", " &ensp; ".join(found.constants))] if found.constants else []
    rows += [("exact solution", formula) for formula in found.exact] or [
        ("exact solution", "not known")
    ]
    body = "".join(
        f"<tr><td>{escape(name) if '&' not in name else name}</td><td><div"
        f' class="formula">{formula}</div></td></tr>'
        for name, formula in rows
    )
    return section("Problem", f'<table class="notation"><tbody>{body}</tbody></table>')


def _title(settings: Mapping[str, Any]) -> str:
    return str(settings.get("title") or settings.get("problem")).removesuffix(".")


def _verdict(result: Result, summary: Mapping[str, Any]) -> str:
    """How good it is, in a sentence, and what to try."""
    found = result.verdict
    judge = "" if found.judge == NOBODY else f", says the {found.judge}"
    words = [*_found(summary), f"{found.status.capitalize()}{judge}: {found.reason}."]
    if found.status == NOT_JUDGED:
        words.append("The loss alone does not say how good a solution is.")
    poor = " poor" if found.status in (NOT_CONVERGED, NOT_JUDGED) else ""
    return f'<p class="verdict{poor}">{escape(" ".join(words))}</p>'


def _found(summary: Mapping[str, Any]) -> list[str]:
    """What was to be found from data: numbers with their standard errors, and how far off fields
    are."""
    rows = summary.get("estimates") or []
    errors = {
        row["name"]: "" if row["standard_error"] is None else f" ± {row['standard_error']:.1g}"
        for row in rows
    }
    numbers = [
        f"{row['name']} = {row['value']:.4g}{errors[row['name']]}"
        for row in rows
        if "of" not in row
    ]
    bands = [
        f"{row['name']} within {shown(row['relative_l2'])} (relative L2)"
        for row in rows
        if row.get("relative_l2") is not None
    ]
    return [f"Found from the data: {', '.join([*numbers, *bands])}."] if numbers or bands else []


def _numbers(result: Result, summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = [
        (result.relative_l2, "relative L2 against the exact solution"),
        (result.max_error, "largest error"),
        (result.reference_relative_l2, "relative L2 against the reference"),
        (
            result.reference.estimated_error if result.reference else None,
            "the reference's own error",
        ),
        (summary.get("estimate"), "the solution's own estimate of its error"),
        (result.settings.get("tolerance"), "tolerance asked for"),
        (summary["loss"], "mean squared residual"),
        (summary["fresh"], "the same on points not trained on"),
    ]
    found = [(shown(value), name) for value, name in pairs if value is not None]
    return [
        *found,
        (f"{result.settings['parameters']:,}", "parameters"),
        (f"{result.seconds:.1f} s", "training"),
    ]


def _by_unknown(result: Result) -> str:
    """Errors and their largest values by unknown, where there are several or an offset hides how
    much one varies."""
    judges = {"the exact solution": result.errors, "the reference": result.reference_errors}
    rows = [
        (
            unknown,
            judge,
            shown(gap.relative),
            shown(gap.error),
            shown(gap.peak),
            shown(gap.own / (gap.size or 1.0)) if gap.own else "",
        )
        for judge, gaps in judges.items()
        for unknown, gap in gaps.items()
        if len(gaps) > 1 or gap.hidden
    ]
    if not rows:
        return ""
    header = ("", "against", "relative L2", "of the variation", "largest error", "its own error")
    title = "Errors by value" if result.settings.get("family") else "Errors by unknown"
    return section(title, table(header, rows, (2, 3, 4, 5)))


def _advice(result: Result, summary: Mapping[str, Any]) -> str:
    """What to try, and what the data do not tell."""
    lines = [f"try {cure}" for cure in result.verdict.cures]
    lines += [str(line) for line in summary.get("identifiability") or []]
    if not lines:
        return ""
    return section("Advice", f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>")


def _found_numbers(summary: Mapping[str, Any]) -> str:
    """Parameters that conditions determine, and eigenvalues."""
    found = summary.get("numbers") or {}
    if not found:
        return ""
    near = summary["reference"].get("numbers") or {}
    rows = [
        (name, f"{value:.12g}", f"{near[name]:.12g}" if name in near else "")
        for name, value in found.items()
    ]
    return section("Numbers", table(("", "found", "the reference's"), rows, (1, 2)))


def _estimates(summary: Mapping[str, Any], pictures: str) -> str:
    """The parameters that were found from data, the noise in these, and how the estimates hang
    together."""
    rows = [_estimate(found) for found in summary.get("estimates") or []]
    if not rows:
        return ""
    header = ("parameter", "estimate", "standard error", "95 % interval", "true value")
    return section(
        "Estimated parameters",
        table(header, rows, (1, 2, 3, 4)),
        _noise(summary.get("noise") or {}),
        _correlations(summary.get("correlations") or {}),
        pictures,
    )


def _estimate(found: Mapping[str, Any]) -> tuple[str, ...]:
    """The row of one parameter: a number, or a field of some coordinates."""
    name = f"{found['name']}({', '.join(found['of'])})" if found.get("of") else str(found["name"])
    interval = " to ".join(shown(end) for end in found.get("interval") or [] if end is not None)
    against = ""
    if found.get("truth") is not None:
        against = shown(found["truth"])
    elif found.get("relative_l2") is not None:
        against = f"relative L2 {shown(found['relative_l2'])}"
    known = (found.get("value"), found.get("standard_error"))
    return (name, *("" if v is None else shown(v) for v in known), interval, against)


def _noise(noise: Mapping[str, float]) -> str:
    """How large the errors of the data are, by unknown."""
    if not noise:
        return ""
    sizes = escape(", ".join(f"{unknown} {shown(size)}" for unknown, size in noise.items()))
    return f"<p>Standard deviation of the errors of the data, as the misfit shows it: {sizes}.</p>"


def _correlations(found: Mapping[str, Mapping[str, float]]) -> str:
    """How the estimates hang together, where there are several."""
    names = list(found)
    if len(names) < 2:
        return ""
    rows = [(a, *(f"{found[a][b]:.2f}" for b in names)) for a in names]
    return table(("correlation", *names), rows, range(1, len(names) + 1))


def _closed_form(folder: Path | None) -> str:
    """What `kanpde explain` has found, where it was run."""
    path = folder / "formula.txt" if folder else None
    if path is None or not path.is_file():
        return ""
    return section("Closed form", f"<pre>{escape(path.read_text(encoding='utf-8'))}</pre>")


def _history(result: Result) -> str:
    """Loss, fresh residual and error by steps and by seconds."""
    history = result.history
    names = (
        ("loss", "loss: mean squared residual", 0, 0),
        ("fresh", "the same on fresh points", 4, 1),
        ("error", "relative L2 error against the exact solution", 1, 0),
        ("estimate", "the solution's own estimate of its error", 2, 1),
    )
    charts = []
    for across, words in (("step", "step of training"), ("seconds", "seconds of training")):
        at = history.column(across)
        series = [
            Series(
                name,
                _thinned(list(zip(at, history.column(column), strict=True))),
                colour=colour,
                dash=dash,
            )
            for column, name, colour, dash in names
            if column in history.columns
        ]
        starts = {record.stage: at[k] for k, record in reversed(list(enumerate(history.records)))}
        marks = [
            (starts[k], title)
            for k, (title, _) in enumerate(history.stages)
            if k in starts and len(starts) < 20
        ]
        charts.append(
            Chart(
                words,
                "loss and error",
                series,
                (False, True),
                marks,
                description=f"Training: loss and error by {words}",
            ).html()
        )
    return f'<div class="figures">{"".join(charts)}</div>'


def _thinned(points: list[tuple[float, float]], most: int = 400) -> list[tuple[float, float]]:
    """Every n-th of the points that are numbers, and the last."""
    known = [p for p in points if p[1] == p[1] and p[1] > 0]
    every = -(-len(known) // most) or 1
    return known[::every] + (known[-1:] if known and (len(known) - 1) % every else [])


def _stages(result: Result) -> str:
    return table(("stage", "ended"), result.history.stages)


def _network(result: Result) -> str:
    """The network as vectors, or as pixels where it has very many edges."""
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "kanpde"}):
        figure = network_plots.plot_network(result)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
        kind = "svg+xml"
        if len(file.getvalue()) > LARGEST_VECTORS:
            file, kind = io.BytesIO(), "png"
            figure.savefig(file, format="png", dpi=160)
    width = min(figure.get_figwidth() * 72, 1000)
    about = escape(f"The network: {result.drawing.title}", quote=True)
    body = (
        f'<img alt="{about}" style="max-width:{width:.0f}px;min-width:{min(width, 620):.0f}px"'
        f' src="data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}">'
    )
    return f'<figure class="picture">{body}</figure>'


def _again(result: Result) -> Iterator[str]:
    request = None
    if result.run_dir is not None and (result.run_dir / "request.json").is_file():
        try:
            request = json.loads((result.run_dir / "request.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            request = None  # what was asked for is also in the summary, with less detail
    yield f'<pre class="command">{escape(reproduce.command(result.settings, request))}</pre>'
    if remarks := reproduce.remarks(request):
        yield (
            f"<p>Not an option of the command: {escape('; '.join(remarks))}. It stands in the"
            " problem's file.</p>"
        )
    yield (
        "<p>The same seed gives the same result on the same kind of machine with the same"
        " versions:</p>"
    )
    yield f"<pre>{escape(reproduce.environment(result.provenance))}</pre>"
    if result.run_dir is not None:
        yield (
            "<p>Load this run in Python:</p>"
            f"<pre>{escape(reproduce.python(result.run_dir, result.relative_l2 is not None))}</pre>"
        )
    source = Path(str(result.settings.get("source") or ""))
    if source.is_file():
        yield folded(
            f"The problem's file, {source.name}",
            f"<pre>{escape(source.read_text(encoding='utf-8', errors='replace'))}</pre>",
        )
