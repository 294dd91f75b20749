"""What a notebook shows of a problem and of a result: HTML with MathML and a picture, no script,
and styles that stay with it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

from kanpde.plots.png import write_png
from kanpde.plots.solution import plot_solution
from kanpde.problem.problem import Problem
from kanpde.reports.chart import shown
from kanpde.reports.mathml import notation
from kanpde.results.result import Result

_LEFT = "text-align:left;padding:2px 14px 2px 0;vertical-align:middle"


def problem(found: Problem) -> str:
    """Title, equations, conditions, domain, constants and exact solution as a table.

    Args:
        found: The problem.

    Returns:
        HTML.
    """
    words = notation(found)
    rows = [(escape(name), formula) for name, formula in words.equations]
    rows += [(where or "condition", formula) for formula, where in words.conditions]
    rows += [("domain", f"<code>{escape(repr(found.domain))}</code>")]
    rows += [("where", ", ".join(words.constants))] if words.constants else []
    rows += [("exact solution", formula) for formula in words.exact]
    return f"<div><b>{escape(found.title or found.name)}</b>{_table(rows)}</div>"


def result(found: Result) -> str:
    """Errors and settings as a table, and the picture of the solution.

    Args:
        found: The result.

    Returns:
        HTML.
    """
    reference = found.reference
    numbers = [
        ("relative L2 against the exact solution", found.relative_l2),
        ("largest error", found.max_error),
        ("relative L2 against the reference", found.reference_relative_l2),
        ("the reference's own error", reference.estimated_error if reference else None),
    ]
    several = len(found.unknowns) > 1
    for judge, gaps in (
        ("the exact solution", found.errors),
        ("the reference", found.reference_errors),
    ):
        for unknown, gap in gaps.items():
            if several or gap.hidden:
                numbers.append((f"{unknown} against {judge}, of its variation", gap.error))
    network, parameters = found.settings.get("network"), found.settings.get("parameters")
    rows = [("verdict", escape(f"{found.verdict.status}: {found.verdict.reason}"))]
    rows += [("try", escape(cure)) for cure in found.verdict.cures]
    rows += [(escape(name), shown(value)) for name, value in numbers if value is not None]
    rows += [(escape(name), f"{value:.12g}") for name, value in found.numbers.items()]
    rows += [("network", f"{escape(str(network))}, {parameters:,} parameters")]
    rows += [("training", f"{found.seconds:.1f} s")]
    rows += [("files", f"<code>{escape(str(found.run_dir))}</code>")] if found.run_dir else []
    file = io.BytesIO()
    write_png(plot_solution(found), file, dpi=100)
    picture = (
        '<img alt="solution" style="max-width:100%"'
        f' src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'
    )
    title = escape(str(found.settings.get("title") or found.name))
    return f"<div><b>{title}</b>{_table(rows)}{picture}</div>"


def _table(rows: Sequence[tuple[str, str]]) -> str:
    body = "".join(
        f'<tr><td style="{_LEFT};color:gray">{name}</td><td style="{_LEFT}">{value}</td></tr>'
        for name, value in rows
    )
    return f"<table><tbody>{body}</tbody></table>"
