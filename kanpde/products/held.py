"""Which coefficients conditions give by themselves, on the faces of a box: values, slopes, starts.

At a clamped end, the first function alone has a value and the first two have slopes, so that a
prescribed value is the first coefficient, and a slope the difference of the first two. Whatever
cannot be had in this way stays a condition whose residual is lowered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from scipy.sparse.linalg import splu

from kanpde.problem.constraints import Constraint, Prescribed
from kanpde.problem.formulation import Formulation
from kanpde.products.axes import Axis, Matrix, Modes, SplineAxis, along
from kanpde.products.border import Border, border_of
from kanpde.products.inside import flat_side, inside_of
from kanpde.products.tensor import Product

DEGREE_OF_FIELDS = 5
"""Of the splines that unknown coefficients are."""

Start = Callable[[Sequence[Float[np.ndarray, " points"]]], Float[np.ndarray, " ..."]]
"""What holds where a span of time begins: values on a grid of points in space."""

Way = Callable[[Float[np.ndarray, "points ..."]], Float[np.ndarray, "functions ..."]]
"""From values at points of one coordinate, which come first, to coefficients."""


@dataclass(frozen=True)
class Held:
    """The coefficients that are given, and what is left.

    Attributes:
        C: Coefficients [unknowns, functions, …], right where they are given.
        index: Number of the free parameter behind each coefficient, -1 where it is given; two
            coefficients that differ by a given slope have the same one.
        free: How many parameters are free.
        soft: The conditions that the coefficients do not give.
        border: What is unknown beside; None where there is nothing.
    """

    C: Float[np.ndarray, "unknowns ..."]
    index: Int[np.ndarray, "unknowns ..."]
    free: int
    soft: tuple[Constraint, ...]
    border: Border | None = None


def held(
    problem: Formulation,
    axes: Sequence[Axis],
    starts: Mapping[tuple[str, int], Start],
    guess: Float[np.ndarray, "unknowns ..."] | None = None,
    cells: int = 1,
) -> Held:
    """The coefficients that the conditions of a problem give.

    Args:
        problem: What is to be solved; on a domain that is no box, coefficients that are not felt
            there are given.
        axes: Functions of each coordinate; of time they are Modes.
        starts: Value and rate of unknowns where the span of time begins, by unknown and order.
        guess: Coefficients to begin with; by default zero, and the numbers of the problem.
        cells: Of fields, along each of their coordinates.
    """
    C, index, soft = coefficients(problem, axes, starts, guess)
    found = _numbered(C, index, soft, axes)
    if not problem.parameters:
        return found
    border = border_of(problem, axes, [fewer(axis, cells) for axis in axes])
    assert border is not None
    return replace(found, C=border.within(C), border=border)


def coefficients(
    problem: Formulation,
    axes: Sequence[Axis],
    starts: Mapping[tuple[str, int], Start],
    guess: Float[np.ndarray, "unknowns ..."] | None = None,
) -> tuple[
    Float[np.ndarray, "unknowns ..."], Int[np.ndarray, "unknowns ..."], tuple[Constraint, ...]
]:
    """The coefficients that the conditions of a problem give, the place of the one that each of
    them follows, -1 where it is given, and the conditions that are left.

    Args:
        problem: What is to be solved; on a domain that is no box, coefficients that are not felt
            there are given.
        axes: Functions of each coordinate; of time they are Modes.
        starts: Value and rate of unknowns where the span of time begins, by unknown and order.
        guess: Coefficients to begin with; by default zero, and the numbers of the problem.
    """
    names, unknowns = problem.coordinates, problem.unknowns
    shape = (len(unknowns), *(axis.size for axis in axes))
    C = np.zeros(shape) if guess is None else guess.copy()
    for name, value in problem.numbers.items() if guess is None else ():
        C[unknowns.index(name)] = value
    last = axes[-1]
    time = names[-1] if isinstance(last, Modes) else None
    begins = "-" if not isinstance(last, Modes) or last.half > 0 else "+"
    index = np.arange(C.size).reshape(shape)
    soft: list[Constraint] = []
    given: dict[tuple[str, str], dict[int, Prescribed]] = {}
    for c in problem.constraints:
        side, plain = flat_side(problem.domain, c.face), c.prescribed
        x = side[:-1]
        if x == time and side.endswith(begins):
            continue
        if plain is None or c.where is not None or x not in names or x == time:
            soft.append(c)
            continue
        known = given.setdefault((side, plain.unknown), {})
        if plain.derivative > 1 or plain.derivative in known:
            soft.append(c)
        else:
            known[plain.derivative] = plain
    for (unknown, order), start in starts.items():
        modes = axes[-1]
        assert isinstance(modes, Modes)
        k = unknowns.index(unknown)
        C[k, ..., order] = fit(axes[:-1], start) * modes.half**order
        index[k, ..., order] = -1
    # Later ones prevail where faces meet: values over slopes, and faces over what a span of time
    # begins with, which holds at that moment only.
    for (face, unknown), known in sorted(given.items(), key=lambda item: 0 in item[1]):
        _hold(C[unknowns.index(unknown)], index[unknowns.index(unknown)], face, known, names, axes)
    for p in problem.parameters:
        index[unknowns.index(p.name)] = -1
    if not problem.domain.is_box:
        away = ~inside_of(problem.domain, axes).felt
        C[:, away], index[:, away] = 0.0, -1
    return C, index, tuple(soft)


def with_constants(problem: Formulation, axes: Sequence[Axis], given: Held) -> Held:
    """The same with the numbers of the problem, which are the search's beginning, kept.

    Args:
        problem: What is to be solved.
        axes: Functions of each coordinate, each of which add up to one.
        given: What its conditions give.
    """
    C, index = given.C.copy(), given.index.copy()
    for name, value in problem.numbers.items():
        k = problem.unknowns.index(name)
        C[k], index[k] = value, -1
    return _numbered(C, index, given.soft, axes)


def _hold(
    C: Float[np.ndarray, " ..."],
    index: Int[np.ndarray, " ..."],
    face: str,
    known: Mapping[int, Prescribed],
    names: Sequence[str],
    axes: Sequence[Axis],
) -> None:
    """Give the coefficients of one unknown at one face, in place."""
    i = names.index(face[:-1])
    axis, lower = axes[i], face.endswith("-")
    first, second = (0, 1) if lower else (-1, -2)
    C, index = np.moveaxis(C, i, 0), np.moveaxis(index, i, 0)
    place = axis.ends[0 if lower else 1]
    rest = [a for k, a in enumerate(axes) if k != i]
    others = [x for k, x in enumerate(names) if k != i]
    data = {order: fit(rest, on_face(p, names[i], place, others)) for order, p in known.items()}
    if 0 in data:
        C[first], index[first] = data[0], -1
    if 1 in data:
        step = float(
            axis.breaks[1] - axis.breaks[0] if lower else axis.breaks[-2] - axis.breaks[-1]
        )
        C[second] = C[first] + data[1] * step / axis.degree
        index[second] = np.where(index[second] < 0, -1, index[first])


def on_face(prescribed: Prescribed, x: str, place: float, others: Sequence[str]) -> Start:
    """Prescribed data as a function of a grid of points on their face.

    Args:
        prescribed: The data.
        x: The coordinate that is fixed there.
        place: Its value.
        others: Names of the other coordinates.
    """

    def values(at: Sequence[Float[np.ndarray, " points"]]) -> Float[np.ndarray, " ..."]:
        grid = np.meshgrid(*at, indexing="ij") if at else []
        shape = grid[0].shape if grid else ()
        count = int(np.prod(shape))
        columns = {
            name: torch.from_numpy(column.ravel().copy())
            for name, column in zip(others, grid, strict=True)
        }
        columns[x] = torch.full((count,), place, dtype=torch.float64)
        return prescribed.data(columns).detach().numpy().reshape(shape)

    return values


@dataclass(frozen=True, eq=False)
class Ending:
    """A value or rate of an unknown where a span of time ends.

    Attributes:
        span: The functions on it.
        unknown: Number of the unknown.
        order: Of the rate.
    """

    span: Product
    unknown: int
    order: int

    def __call__(self, at: Sequence[Float[np.ndarray, " points"]]) -> Float[np.ndarray, " ..."]:
        """On a grid of points in space."""
        ways = zip(self.span.axes[:-1], at, strict=True)
        return along([axis.matrix(x) for axis, x in ways], self.coefficients)

    @cached_property
    def coefficients(self) -> Float[np.ndarray, " ..."]:
        """Of the functions of space."""
        last = self.span.axes[-1]
        end = last.matrix(np.array(last.ends[1:]), self.order)
        return (self.span.C[self.unknown] @ end.T.toarray())[..., 0]


def fit(axes: Sequence[Axis], values: Start) -> Float[np.ndarray, " ..."]:
    """Coefficients of least squares for given values, axis by axis; ends are interpolated where
    axes are clamped.

    Args:
        axes: Functions of each coordinate.
        values: On grids of points.
    """
    if isinstance(values, Ending):
        ways = zip(values.span.axes[:-1], axes, strict=True)
        return along([_moved(own, axis) for own, axis in ways], values.coefficients)
    places, fits = [], []
    for axis in axes:
        x, way = _fitting(axis)
        places.append(x)
        fits.append(way)
    found = np.asarray(values(places))
    for i, way in enumerate(fits):
        found = np.moveaxis(way(np.moveaxis(found, i, 0)), 0, i)
    return found


def _moved(own: Axis, axis: Axis) -> Matrix:
    """From coefficients on an axis to those that are nearest on another one."""
    if own.degree == axis.degree and np.array_equal(own.breaks, axis.breaks):
        return sp.identity(axis.size, format="csr")
    x, way = _fitting(axis)
    return way(own.matrix(x).toarray())


def fewer(axis: Axis, cells: int) -> Float[np.ndarray, "fewer functions"]:
    """Splines on few equal cells, in the functions of an axis of more.

    Args:
        axis: The axis.
        cells: How many.
    """
    least = DEGREE_OF_FIELDS + 1 if axis.periodic else 1
    ends = np.linspace(*axis.ends, max(cells, least) + 1)
    own = SplineAxis(ends, DEGREE_OF_FIELDS, axis.periodic)
    x, way = _fitting(axis)
    return way(own.matrix(x).toarray()).T


def _fitting(axis: Axis) -> tuple[Float[np.ndarray, " points"], Way]:
    """Points of one coordinate, and the way from values there to coefficients, which is the same
    for all spans of time."""
    if not isinstance(axis, Modes):
        return _fitting_on(axis)
    at, way = _fitting_in_time(axis.degree, axis.order)
    return axis.breaks[0] + (at + 1) * axis.half, way


@lru_cache(maxsize=16)
def _fitting_in_time(degree: int, order: int) -> tuple[Float[np.ndarray, " points"], Way]:
    return _fitting_on(Modes(np.array([-1.0, 1.0]), degree, order))


@lru_cache(maxsize=4)
def _fitting_on(axis: Axis) -> tuple[Float[np.ndarray, " points"], Way]:
    x, w = axis.gauss(axis.degree + 3 if axis.cells > 1 else 2 * axis.size + 4)
    x, w = x.ravel(), w.ravel()
    B = axis.matrix(x).tocsc()
    if axis.periodic:
        return x, _least_squares(B, w)
    # At the beginning, and at both ends of clamped splines, the value is a coefficient.
    known = [0] if isinstance(axis, Modes) else [0, axis.size - 1]
    free = np.setdiff1d(np.arange(axis.size), known)
    inner = (_of_modes if isinstance(axis, Modes) else _least_squares)(B[:, free], w)
    ends = B[:, known].toarray()

    def way(values: Float[np.ndarray, "points ..."]) -> Float[np.ndarray, "functions ..."]:
        found = np.empty((axis.size, *values.shape[1:]))
        found[known] = values[[0, -1][: len(known)]]
        inside = values[1 : 1 + len(x)]
        found[free] = inner(inside - np.tensordot(ends, found[known], 1))
        return found

    return np.r_[axis.breaks[0], x, axis.breaks[-1:][: len(known) - 1]], way


def _of_modes(B: sp.csc_matrix, w: Float[np.ndarray, " points"]) -> Way:
    """As `_least_squares`, of few functions that may depend on each other to rounding."""
    root = np.sqrt(w)[:, None]
    return partial(np.tensordot, np.linalg.pinv(B.toarray() * root) * root.T, axes=1)


def _least_squares(B: sp.csc_matrix, w: Float[np.ndarray, " points"]) -> Way:
    """The way from values at points to the coefficients of functions B [points, functions] that
    come nearest to them, by weights.

    Normal equations lose digits to the square of the condition of B; what is left over, fitted
    once more, brings these back (corrected seminormal equations; Björck, Numerical Methods for
    Least Squares Problems, 1996, section 6.6.5).
    """
    weighted = B.T.multiply(w).tocsr()
    factor = splu((weighted @ B).tocsc())

    def way(values: Float[np.ndarray, "points ..."]) -> Float[np.ndarray, "functions ..."]:
        flat = np.ascontiguousarray(values).reshape(len(values), -1)
        found = factor.solve(weighted @ flat)
        found += factor.solve(weighted @ (flat - B @ found))
        return found.reshape(-1, *values.shape[1:])

    return way


def _numbered(
    C: Float[np.ndarray, "unknowns ..."],
    index: Int[np.ndarray, "unknowns ..."],
    soft: tuple[Constraint, ...],
    axes: Sequence[Axis],
) -> Held:
    """With the free parameters numbered so that those of neighbours are close together."""
    key = _order(C.shape, axes).ravel()
    used = np.unique(index[index >= 0])
    used = used[np.argsort(key[used])]
    numbers = np.full(C.size + 1, -1)
    numbers[used] = np.arange(len(used))
    return Held(C, numbers[index], len(used), soft)


def _order(shape: Sequence[int], axes: Sequence[Axis]) -> Int[np.ndarray, "unknowns ..."]:
    """A place for every coefficient: by its function of the longest axis, then of the others, then
    by its unknown. An axis that wraps is folded, so that its two ends are close together."""
    longest = max(range(len(axes)), key=lambda i: axes[i].size / (2 if axes[i].periodic else 1))
    order = [1 + longest, *(1 + i for i in range(len(axes)) if i != longest), 0]
    places = np.arange(int(np.prod(shape))).reshape([shape[i] for i in order])
    if axes[longest].periodic:
        n = np.arange(axes[longest].size)
        folded = np.where(n < (len(n) + 1) // 2, 2 * n, 2 * (len(n) - 1 - n) + 1)
        places = places[folded]
    return np.transpose(places, np.argsort(order))
