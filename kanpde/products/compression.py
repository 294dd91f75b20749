"""From products of splines, one or one for each span of time, to one separable KAN of few
parameters.

What the network has to be is known: (u - lift) / factor, the lift and the factor being those by
which a trial space makes conditions hold exactly. Multiplied by the factor again, which is itself a
product of functions of one coordinate, it is taken on Gauss points of all cells, weighted by the
roots of their weights: then sums of squares are integrals over u, and the fewest terms are those of
a decomposition (see decomposition.py). The functions of each coordinate are fitted by splines whose
cells follow the error of the fit, so that fronts get what they need.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float

from kanpde.networks.canonical import balanced
from kanpde.networks.kinds.separable import Separable
from kanpde.networks.network import Network
from kanpde.networks.scales import Scales
from kanpde.networks.sums_of_products import SumsOfProducts
from kanpde.networks.trial_space import NetworkSolution, TrialSpace, trial_space
from kanpde.problem.problem import Problem
from kanpde.products.axes import Axis, Modes, SplineAxis
from kanpde.products.decomposition import terms
from kanpde.products.factors import Wanted, on_unit, splines_within
from kanpde.products.solution import TensorSolution

POINTS_OF_CELLS = 5
"""Gauss points on every cell of splines."""

LEAST_COMPARED = 40
"""Points along every coordinate, at least, at which a network is compared with products."""

MOST_VALUES = 30_000_000
"""Values of an unknown on all points, at most: no larger array is decomposed."""

BY_TERMS = 0.6
"""Share of the loss that terms which are left out may take; the splines take the rest."""

TIGHTER = (1.0, 0.5, 0.25)
"""Shares of the loss that are tried: what is measured in the end has to be within all of it."""

ROUNDED_VARIATION = 1e-12
"""An unknown that varies by no more than this part of its size is constant."""


def compressed(
    problem: Problem, solution: TensorSolution, loss: float, scales: Scales | None = None
) -> NetworkSolution | None:
    """One separable KAN for products of splines, with the conditions built in that any has.

    Args:
        problem: What it is a solution of.
        solution: The products.
        loss: How far the network may be from them: the root mean square of the difference over that
            of the variation, for every unknown.
        scales: Offset and size of every unknown; by default all is taken for of order 1.

    Returns:
        The network; None where none that is found has fewer parameters and no larger loss.
    """
    space = trial_space(problem, Separable(), corners=False, scales=scales)
    grid = SampledGrid.of(problem, solution)
    if grid.size > MOST_VALUES:
        return None
    remainders = [Remainder.of(space, solution, grid, u) for u in range(len(problem.unknowns))]
    if not all(np.isfinite(remainder.values).all() for remainder in remainders):
        return None
    for share in TIGHTER:
        network = _network(space, remainders, grid, share * loss)
        if network is None or network.parameters >= solution.parameters:
            return None
        found = space.solution(network)
        if max(apart(found, solution, grid).values()) <= loss:
            return found
    return None


@dataclass(frozen=True)
class SampledGrid:
    """Gauss points on cells as fine as those of every span.

    Attributes:
        axes: Cells of every coordinate, with splines of the degree that networks have.
        counts: Points on each cell of a coordinate.
    """

    axes: tuple[SplineAxis, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, problem: Problem, solution: TensorSolution) -> SampledGrid:
        """The grid of a solution.

        Args:
            problem: What it is a solution of.
            solution: The solution.
        """
        axes, counts = [], []
        for i, x in enumerate(problem.coordinates):
            own = [span.axes[i] for span in solution.spans]
            modes = isinstance(own[0], Modes)
            breaks = np.unique([axis.ends for axis in own]) if modes else finest(own)
            axes.append(SplineAxis(breaks, Separable.degree, x in problem.periodic))
            counts.append(own[0].size if modes else POINTS_OF_CELLS)
        return cls(tuple(axes), tuple(counts))

    @property
    def size(self) -> int:
        """How many points there are."""
        return int(np.prod([len(x) for x in self.points]))

    @cached_property
    def _rules(self) -> list[tuple[np.ndarray, np.ndarray]]:
        pairs = zip(self.axes, self.counts, strict=True)
        rules = [axis.gauss(count) for axis, count in pairs]
        return [(x.ravel(), w.ravel()) for x, w in rules]

    @property
    def points(self) -> list[Float[np.ndarray, " points"]]:
        """The points of every coordinate."""
        return [x for x, _ in self._rules]

    @property
    def weights(self) -> list[Float[np.ndarray, " points"]]:
        """Their weights, with which 1 has the mean 1."""
        return [w / w.sum() for _, w in self._rules]


def finest(axes: Sequence[Axis]) -> Float[np.ndarray, " ends"]:
    """Ends of cells that are nowhere longer than those of any axis.

    Args:
        axes: Cells of the same coordinate.
    """
    ends = np.unique(np.concatenate([axis.breaks for axis in axes]))
    middle = (ends[1:] + ends[:-1]) / 2
    lengths = np.min([np.diff(axis.breaks)[axis.cell_of(middle)] for axis in axes], axis=0)
    count = np.r_[0, np.cumsum(np.diff(ends) / lengths)]
    cells = int(np.ceil(count[-1] - 1e-9))
    found = np.interp(np.linspace(0, count[-1], cells + 1), count, ends)
    found[0], found[-1] = ends[0], ends[-1]
    return found


@dataclass(frozen=True)
class Remainder:
    """What the factor times the network has to be, for one unknown.

    Attributes:
        values: Its values, in units of the unknown's size, times the roots of all weights.
        factors: The functions of each coordinate whose product is the factor, at the points.
        scale: How much the unknown varies, in the same units.
    """

    values: Float[np.ndarray, " ..."]
    factors: Sequence[Float[np.ndarray, " points"]]
    scale: float

    @classmethod
    def of(
        cls, space: TrialSpace, solution: TensorSolution, grid: SampledGrid, unknown: int
    ) -> Remainder:
        """That of a solution.

        Args:
            space: The candidates.
            solution: The solution.
            grid: Where.
            unknown: Number of the unknown.
        """
        name = space.outputs[unknown]
        boundary, offset = space.boundaries[name], space.scales.offset(name)
        u = solution.on_grid(unknown, grid.points) - offset
        mesh = np.meshgrid(*grid.points, indexing="ij")
        lift = boundary.lift([torch.from_numpy(x.ravel()) for x in mesh]).detach().numpy()
        factors = []
        for i, x in enumerate(space.domain.coordinates):
            own = replace(boundary, ends={k: e for k, e in boundary.ends.items() if k == x})
            columns = [torch.from_numpy(grid.points[i])] * len(grid.points)
            factors.append(own.factor(columns).numpy())
        roots = [np.sqrt(w) for w in grid.weights]
        size = space.scales.size(name)
        values = (u - lift.reshape(u.shape)) / size
        return cls(_times(values, roots), factors, variation(u, grid.weights) / size)


def _times(
    A: Float[np.ndarray, " ..."], factors: Sequence[Float[np.ndarray, " _"]]
) -> Float[np.ndarray, " ..."]:
    """An array times functions of its coordinates."""
    for i, f in enumerate(factors):
        A = A * f.reshape([-1 if k == i else 1 for k in range(A.ndim)])
    return A


def variation(
    u: Float[np.ndarray, " ..."], weights: Sequence[Float[np.ndarray, " points"]]
) -> float:
    """Root mean square of the distance of values from their mean; of what is constant, of the
    values.

    Args:
        u: The values on a grid.
        weights: Of its points, coordinate by coordinate.
    """
    mean = float(_times(u, weights).sum())
    size = float(np.sqrt(_times(u**2, weights).sum()))
    varies = float(np.sqrt(_times((u - mean) ** 2, weights).sum()))
    return varies if varies > ROUNDED_VARIATION * size else size


def apart(found: NetworkSolution, solution: TensorSolution, grid: SampledGrid) -> dict[str, float]:
    """How far a network is from products of splines, over how much each unknown varies.

    Args:
        found: The network.
        solution: The products.
        grid: That of the products; they are compared at other points of its cells.
    """
    pairs = zip(grid.counts, grid.axes, strict=True)
    counts = [max(count // 2, math.ceil(LEAST_COMPARED / axis.cells)) for count, axis in pairs]
    grid = replace(grid, counts=tuple(counts))
    mesh = np.meshgrid(*grid.points, indexing="ij")
    values = found(torch.from_numpy(np.stack([x.ravel() for x in mesh], 1))).detach().numpy()
    errors = {}
    for u, name in enumerate(solution.unknowns):
        truth = solution.on_grid(u, grid.points)
        off = values[:, u].reshape(truth.shape) - truth
        distance = float(np.sqrt(_times(off**2, grid.weights).sum()))
        errors[name] = distance / (variation(truth, grid.weights) or 1.0)
    return errors


def _network(
    space: TrialSpace, remainders: Sequence[Remainder], grid: SampledGrid, loss: float
) -> Network | None:
    """The network whose terms and splines are off by no more than a loss, as far as they say."""
    spec = space.network
    assert isinstance(spec, Separable)
    parts = [_terms(own, loss) for own in remainders]
    dims = len(grid.axes)
    goal = np.sqrt((1 - BY_TERMS**2) / dims) * loss
    fits = []
    for i, (axis, x, w) in enumerate(zip(grid.axes, grid.points, grid.weights, strict=True)):
        wanted = [
            Wanted(p[i] / np.sqrt(w)[:, None], own.factors[i], _others(p, i), own.scale or 1.0)
            for own, p in zip(remainders, parts, strict=True)
        ]
        fit = splines_within(goal, wanted, axis, x, w)
        if fit is None:
            return None
        fits.append(fit)
    axes, coefficients = zip(*map(on_unit, fits), strict=True)
    grids = tuple(axis.grid for axis in axes)
    ranks = tuple(p[0].shape[1] for p in parts)
    circles = [i for i, axis in enumerate(axes) if axis.closed]
    spec = replace(spec.along(circles), width=ranks, grid=max(grids), grids=grids)
    theta = torch.cat([c.reshape(-1) for c in balanced(axes, coefficients)])
    return Network(spec, (dims, sum(ranks), len(ranks)), [SumsOfProducts(axes, ranks)], theta)


def _terms(own: Remainder, loss: float) -> list[Float[np.ndarray, "_points terms"]]:
    """The terms of an unknown, at least one, which may be zero."""
    found = terms(own.values, BY_TERMS * loss * own.scale)
    return found if found[0].shape[1] else [np.zeros((len(p), 1)) for p in found]


def _others(
    factors: Sequence[Float[np.ndarray, "_points terms"]], i: int
) -> Float[np.ndarray, "terms terms"]:
    """Means of products of terms over all coordinates but one."""
    count = factors[0].shape[1]
    means = [p.T @ p for k, p in enumerate(factors) if k != i]
    return np.prod(means, axis=0) if means else np.ones((count, count))
