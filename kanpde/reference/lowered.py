"""Third and fourth derivatives as those of second ones: u_xx becomes an unknown of its own.

Differences of order m on nodes that crowd at the ends have a condition of n^(2m), which leaves no
digit of a beam on 100 nodes when m is 4; with m = 2 thousands can be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.problem.formulation import Formulation
from kanpde.reference.grid import Grid
from kanpde.residual.calculus import Leaf, Values, d
from kanpde.residual.recording import record
from kanpde.residual.residual import Residual

TOO_HIGH = 3
"""The order along a coordinate from which on it is lowered."""


@dataclass(frozen=True)
class Renumbered(Residual):
    """A residual whose derivatives are known by other names: `needs` are those of `inner`, one by
    one.

    Attributes:
        inner: What is evaluated.
    """

    inner: Residual = field(kw_only=True)

    def _evaluated(
        self,
        coordinates: Values,
        derivatives: Float[Tensor, "points _given"],
        normal: Values | None,
        partials: bool,
    ) -> tuple[
        Float[Tensor, "points equations"], Float[Tensor, "points equations _columns"] | None
    ]:
        inner = replace(self.inner, rule=self.rule)
        return inner._evaluated(coordinates, derivatives, normal, partials)


@dataclass(frozen=True, eq=False, repr=False)
class Lowered(Formulation):
    """A steady problem on a line, with the second derivatives of what is of a higher order as
    further unknowns.

    Attributes:
        curvatures: By unknown of a higher order, the name of its second derivative, in the order in
            which these follow the other unknowns.
    """

    curvatures: Mapping[str, str]


def lowered(problem: Formulation) -> Formulation:
    """The problem with no derivative above the second, where it is one on a line; else itself.

    Args:
        problem: Any.
    """
    line = problem.domain.is_box and len(problem.coordinates) == 1
    if not line or len(problem.groups) != 1:
        return problem
    (x,) = problem.coordinates
    high = tuple(u for u in problem.unknowns if problem.order(u, x) >= TOO_HIGH)
    return _with_curvatures(problem, high) if high else problem


def _with_curvatures(problem: Formulation, high: tuple[str, ...]) -> Lowered:
    """The problem with the second derivatives of `high` as further unknowns."""
    (x,) = problem.coordinates
    curvatures = {u: f"{u}_{x}{x}" for u in high}
    names = (*problem.unknowns, *curvatures.values())

    def renumbered(residual: Residual) -> Residual:
        given = {f.name: getattr(residual, f.name) for f in fields(Residual)}
        given["needs"] = tuple(_leaf(leaf, curvatures) for leaf in residual.needs)
        given["afar"] = tuple(
            replace(one, leaves=tuple(_leaf(leaf, curvatures) for leaf in one.leaves))
            for one in residual.afar
        )
        given["unknowns"] = names
        return Renumbered(**given, inner=residual)

    definitions = [_definition(problem, u, curvatures[u], names) for u in high]
    ((domain, equations),) = problem.groups
    return Lowered(
        domain=problem.domain,
        unknowns=names,
        copies=names,
        groups=((domain, (*map(renumbered, equations), *definitions)),),
        constraints=tuple(replace(c, residual=renumbered(c.residual)) for c in problem.constraints),
        periodic=problem.periodic,
        parameters=problem.parameters,
        easier=problem.easier,
        numbers=problem.numbers,
        begun=problem.begun,
        curvatures=curvatures,
    )


def _leaf(leaf: Leaf, curvatures: Mapping[str, str]) -> Leaf:
    unknown, (order,) = leaf
    return (curvatures[unknown], (order - 2,)) if unknown in curvatures and order > 1 else leaf


def _definition(problem: Formulation, u: str, curvature: str, names: tuple[str, ...]) -> Residual:
    (x,) = problem.coordinates
    low, high = problem.domain.bounds[x]

    def is_the_second_derivative(**given: Tensor) -> Tensor:
        return given[curvature] - d(given[u], given[x], given[x])

    some = {x: torch.tensor([0.7 * low + 0.3 * high, 0.3 * low + 0.7 * high], dtype=torch.float64)}
    return record(is_the_second_derivative, curvature, (u, curvature, x), names, some, (x,))


def completed(
    problem: Formulation, grid: Grid, values: Float[np.ndarray, "unknowns nodes"]
) -> Float[np.ndarray, "all_unknowns nodes"]:
    """Values of all unknowns of what `lowered` gives, from those of the others.

    Args:
        problem: What `lowered` gave.
        grid: Of the line.
        values: Of the unknowns that the user knows.
    """
    if not isinstance(problem, Lowered):
        return values
    second, solved = grid.derivative((2,)), grid.solved_for(values)
    curved = [second @ solved[problem.unknowns.index(u)] for u in problem.curvatures]
    return np.stack([*values, *curved])
