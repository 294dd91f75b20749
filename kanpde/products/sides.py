"""What collocation takes of a problem: equations of evolution in two coordinates and time, one with
the highest rate of each unknown, and on every side of the box one linear condition an unknown,
a u + b u_n = g, whose factors do not vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float

from kanpde.geometry import Pieces
from kanpde.geometry.sampling import inside_points
from kanpde.problem.constraints import Constraint
from kanpde.problem.formulation import Formulation
from kanpde.problem.problem import Problem
from kanpde.products.axes import Axis, SplineAxis
from kanpde.products.held import Start, coefficients, fit
from kanpde.products.lines import HIGHEST, End, Line
from kanpde.residual.residual import Residual

LOOKED_AT, LOOK_SEED = 64, 0
"""Points at which factors are looked at."""

SAME = 1e-12
"""Difference of factors that do not vary, over the largest."""

LEAST_PIVOT = 1e-6
"""Of the matrix of highest rates, the least singular value over the largest."""

Ends = Mapping[tuple[str, str], End]
"""The condition of an unknown on a face."""


def ends_of(problem: Problem) -> tuple[Ends | None, str]:
    """The conditions of all unknowns on all faces of space; or None, and why collocation does not
    take the problem.

    Args:
        problem: What is to be solved.
    """
    why = _unfit(problem)
    if why:
        return None, why
    found: dict[tuple[str, str], End] = {}
    for c in problem.constraints:
        if c.face[:-1] == problem.domain.time:
            continue
        side = side_of(problem, c)
        if side is None or (side[0], c.face) in found:
            return None, f"{c.label} is no linear condition on one unknown with constant factors"
        found[side[0], c.face] = side[1]
    for u in problem.unknowns:
        for x in problem.domain.space:
            walls = [] if x in problem.periodic else [f"{x}-", f"{x}+"]
            if any((u, face) not in found for face in walls):
                return None, f"{u} has no condition on a face of {x}"
    return found, ""


def _unfit(problem: Problem) -> str:
    """Why equations are none for collocation; empty where they are."""
    domain, time = problem.domain, problem.domain.time
    if isinstance(domain, Pieces) or not domain.is_box or time is None or len(domain.space) != 2:
        return "it is not in two coordinates of a box and time"
    if problem.parameters or problem.data or problem.family or problem.pencil is not None:
        return "something else is unknown beside it"
    if any(one.afar for one in problem.equations):
        return "it has integrals or values at other places"
    orders = {problem.order(u, time) for u in problem.unknowns}
    if len(orders) > 1 or not orders <= {1, 2}:
        return "its unknowns differ in their order in time"
    if any(problem.order(u, x) > HIGHEST for u in problem.unknowns for x in domain.space):
        return "it has derivatives along a coordinate of an order above 2"
    for u in problem.unknowns:
        if any(problem.order(u, x) < HIGHEST for x in domain.space if x not in problem.periodic):
            return f"{u} takes no condition on every face, of which some are walls"
    (order,) = orders
    return "" if _evolves(problem, order) else "not every unknown has a highest rate of its own"


def _evolves(problem: Problem, order: int) -> bool:
    """Whether the equations give the highest rates of all unknowns, which is all that they have of
    such rates."""
    unknowns = problem.unknowns
    points = inside_points(problem.domain, LOOKED_AT, LOOK_SEED).double()
    at = dict(zip(problem.coordinates, points.T, strict=True))
    mass = []
    for e in problem.equations:
        if any(index[-1] == order and any(index[:-1]) for _, index in e.needs):
            return False
        _, g = e(at, torch.ones(LOOKED_AT, len(e.needs), dtype=torch.float64))
        assert g is not None
        own = np.zeros((e.equations, len(unknowns)))
        for a, (u, index) in enumerate(e.needs):
            if index[-1] == order:
                own[:, unknowns.index(u)] += g[:, :, a].mean(0).numpy()
        mass.append(own)
    matrix = np.concatenate(mass)
    if len(matrix) != len(unknowns):
        return False
    sizes = np.linalg.svd(matrix, compute_uv=False)
    return bool(sizes[-1] > LEAST_PIVOT * sizes[0])


def side_of(problem: Formulation, c: Constraint) -> tuple[str, End] | None:
    """The unknown of a condition and its factors; None where it is no such condition.

    Args:
        problem: Has it.
        c: The condition.
    """
    x, lower = c.face[:-1], c.face.endswith("-")
    i = problem.coordinates.index(x)
    names = {u for u, _ in c.residual.needs}
    value = (0,) * len(problem.coordinates)
    slope = tuple(int(k == i) for k in range(len(value)))
    if c.where is not None or not c.residual.affine or len(names) != 1 or c.residual.afar:
        return None
    if c.residual.equations != 1 or not {index for _, index in c.residual.needs} <= {value, slope}:
        return None
    (u,) = names
    points = inside_points(problem.domain, LOOKED_AT, LOOK_SEED).double()
    points[:, i] = problem.domain.bounds[x][0 if lower else 1]
    _, g = _on_face(c.residual, points, i, lower)
    factors = dict.fromkeys((value, slope), np.zeros(LOOKED_AT))
    for a, (_, index) in enumerate(c.residual.needs):
        factors[index] = g[:, a]
    largest = max(np.abs(one).max() for one in factors.values())
    if any(np.ptp(one) > SAME * largest for one in factors.values()):
        return None
    sign = -1.0 if lower else 1.0
    return u, End(float(factors[value][0]), sign * float(factors[slope][0]))


def _on_face(
    residual: Residual, points: torch.Tensor, i: int, lower: bool
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, "points leaves"]]:
    """A condition where all derivatives are zero, and its partials."""
    at = dict(zip(residual.coordinates, points.T, strict=True))
    out = -1.0 if lower else 1.0
    normal = {
        x: torch.full_like(points[:, 0], out if k == i else 0.0)
        for k, x in enumerate(residual.coordinates)
    }
    zero = torch.zeros(len(points), len(residual.needs), dtype=torch.float64)
    r, g = residual(at, zero, normal)
    assert g is not None
    return r[:, 0].numpy(), g[:, 0].numpy()


def lines_of(
    problem: Formulation, ends: Ends, axes: Sequence[SplineAxis]
) -> tuple[tuple[Line, ...], ...]:
    """The lines of all unknowns along the coordinates of space; unknowns with the same conditions
    have the same ones.

    Args:
        problem: What is to be solved.
        ends: Its conditions.
        axes: Of space.
    """
    ways = []
    for x, axis in zip(problem.domain.space, axes, strict=True):
        if axis.periodic:
            ways.append([Line(axis)] * len(problem.unknowns))
            continue
        each = [(ends[u, f"{x}-"], ends[u, f"{x}+"]) for u in problem.unknowns]
        inner = (any(not low.b for low, _ in each), any(not high.b for _, high in each))
        made = {pair: Line(axis, *pair, inner) for pair in each}
        ways.append([made[pair] for pair in each])
    return tuple(zip(*ways, strict=True))


def given(
    problem: Formulation,
    ends: Ends,
    axes: Sequence[Axis],
    starts: Mapping[tuple[str, int], Start],
) -> Float[np.ndarray, "unknowns ..."]:
    """The coefficients that the conditions of a problem give, zero or anything where they are free.

    Args:
        problem: What is to be solved.
        ends: Its conditions on faces of space.
        axes: Functions of each coordinate.
        starts: Value and rate of unknowns where the span of time begins, by unknown and order.
    """
    C, _, soft = coefficients(problem, axes, starts)
    for c in soft:
        side = side_of(problem, c)
        assert side is not None
        unknown, end = side
        i, lower = problem.coordinates.index(c.face[:-1]), c.face.endswith("-")
        axis = axes[i]
        assert isinstance(axis, SplineAxis)
        data = fit([a for k, a in enumerate(axes) if k != i], _data(c, i, axis, lower))
        of_data, of_second = end.weights(axis, lower)
        own = np.moveaxis(C[problem.unknowns.index(unknown)], i, 0)
        first, second = (0, 1) if lower else (-1, -2)
        own[first] = of_data * data + of_second * own[second]
    return C


def _data(c: Constraint, i: int, axis: SplineAxis, lower: bool) -> Start:
    """What a condition says that a u + b u_n is, on a grid of its face."""

    def values(at: Sequence[Float[np.ndarray, " points"]]) -> Float[np.ndarray, " ..."]:
        grid = np.meshgrid(*at, indexing="ij")
        columns = [torch.from_numpy(column.ravel().copy()) for column in grid]
        columns.insert(i, torch.full_like(columns[0], axis.ends[0 if lower else 1]))
        r, _ = _on_face(c.residual, torch.stack(columns, 1), i, lower)
        return -r.reshape(grid[0].shape)

    return values
