"""Where the initial and the boundary values meet: whether they agree there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry import Domain, SpaceTime
from kanpde.problem.constraints import Constraint
from kanpde.problem.faces import by_name
from kanpde.residual.calculus import Values

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem

Given = Callable[[Values], Tensor]

ROUNDING_OF_A_JUMP = 1e-8
"""Jump, relative to the largest of the values in question, up to which it is taken for rounding."""

LAST_DIGITS = 1e-14
"""The same, relative to the largest value at any time."""

NODES_OF_A_GRID = {0: 1, 1: 33, 2: 33, 3: 9, 4: 5}
"""Points along each free coordinate, its ends among them, by the number of free coordinates."""

SCATTERED_POINTS = 513
"""Points of a face that has no such grid."""


@dataclass(frozen=True)
class Jump:
    """The largest difference between two functions in a corner.

    Attributes:
        size: The difference.
        start: The initial value there.
        other: The other value there.
        corner: The point in words.
        relative: The difference, relative to the largest of the values in question.
    """

    size: float
    start: float
    other: float
    corner: str
    relative: float


def contradictions(problem: Problem) -> Iterator[str]:
    """Initial values that contradict those on a face, or at the other end of a periodic coordinate,
    when time begins.

    A line for each unknown, with its largest jump and the corner where it is. Only values are
    compared: a kink is legal.
    """
    domain = problem.domain
    if not isinstance(domain, SpaceTime):
        return
    for c in problem.constraints:
        if (
            c.face == domain.initial_face
            and c.prescribed is not None
            and not c.prescribed.derivative
            and c.where is None
        ):
            found = list(_jumps(problem, domain, c))
            if found:
                jump, against, there = max(found, key=lambda each: each[0].size)
                yield (
                    f"{c.label} contradicts {against} in the corner {jump.corner}:"
                    f" {jump.start:.4g}, but {jump.other:.4g} {there}, a jump of {jump.size:.2g};"
                    " the solution is discontinuous there"
                )


def value_jumps(
    problem: Problem, domain: SpaceTime, initial: Constraint
) -> Iterator[tuple[Constraint | None, Jump]]:
    """Where a start contradicts other values, but for rounding.

    Args:
        problem: Has the conditions.
        domain: Of the problem.
        initial: The condition of the start.

    Yields:
        The condition that is contradicted, None for a periodic coordinate, and the largest jump.
    """
    for jump, against, _ in _jumps(problem, domain, initial):
        yield next((c for c in problem.constraints if c.label == against), None), jump


def _jumps(
    problem: Problem, domain: SpaceTime, initial: Constraint
) -> Iterator[tuple[Jump, str, str]]:
    """Jumps that are no rounding, each with what is contradicted and where its value holds, in
    words."""
    assert initial.prescribed is not None
    start, begins = initial.prescribed.data, {domain.time: domain.bounds[domain.time][0]}
    everywhere = _grid(domain, begins) if domain.is_box else _scattered(domain, domain.initial_face)
    for c in problem.constraints:
        given = c.prescribed
        if (
            given is None
            or given.derivative
            or given.unknown != initial.prescribed.unknown
            or c.face == domain.initial_face
        ):
            continue
        at = _on_face(domain, c.face, begins)
        jump = _jump(start, given.data, at, at, everywhere, c.where)
        # Values that are there later tell what a rounded zero at the beginning is.
        if jump and jump.size <= LAST_DIGITS * _largest(given.data, _always(domain, c.face)):
            continue
        if jump:
            yield jump, c.label, "on the face"
    for x in problem.periodic:
        low = _on_face(
            domain,
            next(
                face.name
                for face in domain.faces.values()
                if (face.coordinate, face.side) == (x, -1)
            ),
            begins,
        )
        jump = _jump(
            start, start, low, {**low, x: torch.full_like(low[x], domain.bounds[x][1])}, everywhere
        )
        if jump:
            yield jump, f"Periodic({x!r})", f"at {x}={domain.bounds[x][1]:.4g}"


def _largest(given: Given, at: Values) -> float:
    """The largest value at some points, 0 where it is not finite."""
    try:
        with torch.no_grad():
            return float(given(at).abs().max())
    except ProblemError:
        return 0.0


def _always(domain: SpaceTime, face: str) -> dict[str, Tensor]:
    """Points of a face of space at all times, by name."""
    if domain.is_box:
        x, side = domain.faces[face].coordinate, domain.faces[face].side
        return _grid(domain, {str(x): domain.bounds[str(x)][side > 0]})
    return _scattered(domain, face)


def _on_face(domain: SpaceTime, face: str, begins: Mapping[str, float]) -> dict[str, Tensor]:
    """Points of a face of space when time begins, by name."""
    if domain.is_box:
        x, side = domain.faces[face].coordinate, domain.faces[face].side
        return _grid(domain, {**begins, str(x): domain.bounds[str(x)][side > 0]})
    at = _scattered(domain, face)
    return {**at, domain.time: torch.full_like(at[domain.time], begins[domain.time])}


def _scattered(domain: Domain, face: str) -> dict[str, Tensor]:
    """Points of a face, by name; with the ends of a curve."""
    dims, generator = len(domain.coordinates) - 1, torch.Generator().manual_seed(0)
    unit = torch.rand(SCATTERED_POINTS, dims, generator=generator, dtype=torch.float64)
    unit[:, 0] = torch.linspace(0, 1, SCATTERED_POINTS, dtype=torch.float64)
    return by_name(domain.boundary(face, unit), domain.coordinates)


def _jump(
    start: Given,
    other: Given,
    at: Values,
    there: Values,
    everywhere: Values,
    where: Given | None = None,
) -> Jump | None:
    """The largest difference between start at some points and other at as many, or None if it is
    rounding.

    everywhere: where start is looked at for its size.
    """
    try:
        with torch.no_grad():
            a, b, size = start(at), other(there), float(start(everywhere).abs().max())
            gap = (a - b).abs()
            if where is not None:
                gap = torch.where(where(at), gap, torch.zeros_like(gap))
    except ProblemError:
        # Not finite exactly in the corner: whoever needs the value there says so.
        return None
    worst, size = int(gap.argmax()), max(size, float(b.abs().max()))
    if float(gap[worst]) <= ROUNDING_OF_A_JUMP * size:
        return None
    return Jump(
        float(gap[worst]),
        float(a[worst]),
        float(b[worst]),
        ", ".join(f"{x}={float(v[worst]):.4g}" for x, v in at.items()),
        float(gap[worst]) / size,
    )


def _grid(domain: Domain, fixed: Mapping[str, float]) -> dict[str, Tensor]:
    """Points with some coordinates fixed and the others on an even grid, by name."""
    nodes = NODES_OF_A_GRID[len(domain.coordinates) - len(fixed)]
    axes = [
        (
            torch.tensor([fixed[x]], dtype=torch.float64)
            if x in fixed
            else torch.linspace(*ends, nodes, dtype=torch.float64)
        )
        for x, ends in domain.bounds.items()
    ]
    return by_name(
        torch.stack([axis.ravel() for axis in torch.meshgrid(*axes, indexing="ij")], 1),
        domain.coordinates,
    )
