"""The command `reference`: finite differences alone."""

from __future__ import annotations

from typing import Annotated

import typer

from kanpde.cli.options import Constants, Effort, Json, Name, whole
from kanpde.cli.output import print_json
from kanpde.problem import gallery


def reference(
    name: Name,
    constants: Constants = None,
    order: Annotated[int | None, whole("Of accuracy: 2, 4, 6, 8 or a higher even number.")] = None,
    cells: Annotated[int | None, whole("Along each space coordinate of the finest grid.")] = None,
    effort: Effort = "default",
    method: Annotated[
        str, typer.Option(metavar="METHOD", help="differences, or fem: finite elements.")
    ] = "differences",
    as_json: Json = False,
) -> None:
    """Solve a problem by finite differences or elements only, and say how good that is."""
    gallery.find(name)
    from kanpde.cli import display
    from kanpde.problem import file as problems
    from kanpde.reference import reference as by_differences
    from kanpde.results.fields import exact_on, relative_l2

    problem, _ = problems.load(name, dict(constants or ()))
    console = display.console(as_json)
    display.show_problem(console, problem)
    found = by_differences(problem, order=order, cells=cells, effort=effort, method=method)
    exact = exact_on(problem, found.coordinates)
    error = relative_l2(found.values, exact) if exact else None
    if not as_json:
        display.show_reference(console, found, error)
        return
    print_json(
        {
            "problem": problem.name,
            "kind": found.kind,
            "order": found.order,
            "nodes": {x: len(nodes) for x, nodes in found.coordinates.items()},
            "estimated_error": found.estimated_error,
            "estimated_errors": found.estimated_errors,
            "scales": found.scales,
            **({"numbers": found.numbers} if found.numbers else {}),
            "doubt": found.doubt or None,
            "relative_l2": error,
            "seconds": found.seconds,
        }
    )
