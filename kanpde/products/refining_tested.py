"""A problem on pieces that is one of conservation, with points where pieces meet and solutions are
singular: residuals are tested against functions on cells that get shorter towards these points, and
attempts are compared with one another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import cast

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from scipy.sparse.csgraph import connected_components

from kanpde.problem.cross_points import singular_points
from kanpde.problem.problem import Problem
from kanpde.problem.switches import creases
from kanpde.products.attempts import MET_EQUATION, SHORT_OF_GOAL, USED_UP
from kanpde.products.axes import Axis, SplineAxis
from kanpde.products.conserved import Conserved, conserved, slope_of
from kanpde.products.galerkin import TestedPieces, continuous, tested_pieces
from kanpde.products.held import Held
from kanpde.products.layered import MOST_LAYERS, layered, layers_for
from kanpde.products.pieces import by_piece, seams
from kanpde.products.progress import Progress, Settings, on_cells
from kanpde.products.refining_pieces import RefinedPieces
from kanpde.products.tensor import Product

DEGREE_OF_TESTED = 5
"""Of splines, at most: where solutions are singular, shorter cells bring more than higher ones."""

CELLS_WITH_LAYERS, SHARES_OF_LAYERS = (2, 3, 4, 6), (0.5, 0.75, 1.0, 1.25)
"""Of each piece in one attempt after the other; and of the layers that exponents ask for, of which
there are more each time, since what too few of them leave is seen in no other way."""

CELLS_WITHOUT_LAYERS, MORE_WITHOUT_LAYERS = 3, 1.5
"""Of each piece at first, without any layers, and how many times more in the next attempt."""

SMOOTH, FALLS_QUICKLY = 1e-2, 0.1
"""What a second attempt changes at most, over this, where a solution is smooth; and share of it,
and of what the attempt before changed, that others have to come to."""

NEARBY = 0.01
"""Share of the largest distance from singular points in a piece, below which errors count by the
distance, which is the root of the area where they are as large."""

OPERATIONS_OF_A_FACTOR, LEVELS_OF_A_FACTOR = 0.1, 6.0
"""Of sparse factors in the plane: over the power 3/2 of the entries of the matrix, about; and
entries, over those."""

OF_SEAMS = 1.0
"""Exponent at any end of a seam: fluxes that are given beside it on both sides leave r log r."""

MOST_GAINED = 0.3
"""Share of what an attempt changes that its own error is at least taken for."""

SAME_END = 1e-9
"""Distance of two places that are one, over the length of a piece."""

LOOKS_AT_CHANGE = 61
"""Points along each coordinate of a piece at which two attempts are compared."""


class RefinedTested(RefinedPieces):
    """The way through finer and finer cells of all pieces.

    Args:
        problem: What is to be solved.
        settings: How.
        law: What is conserved.
    """

    def __init__(self, problem: Problem, settings: Settings, law: Conserved):
        super().__init__(problem, settings)
        self.law = law

    def begin(self) -> Progress:
        axes = [
            SplineAxis(np.array(piece.domain.bounds[x]), self.settings.degree)
            for piece in self.pieces
            for x in piece.coordinates
        ]
        return Progress(axes=self._equal(axes, CELLS_WITHOUT_LAYERS), pieces=len(self.pieces))

    def _equal(self, axes: Sequence[SplineAxis], cells: int) -> tuple[SplineAxis, ...]:
        """Equal cells without layers: data may be such that a solution is smooth."""
        found = {key: axis for axis, key in zip(axes, self._classes, strict=True)}
        found = {key: layered(axis, cells, (0, 0)) for key, axis in found.items()}
        return tuple(found[key] for key in self._classes)

    def _attempted(self, axes: Sequence[SplineAxis], number: int) -> tuple[SplineAxis, ...]:
        """The cells of an attempt with layers: pieces that meet have the same ones there."""
        degree, found = min(DEGREE_OF_TESTED, self.settings.degree), dict[int, SplineAxis]()
        for axis, key, exponents in zip(axes, self._classes, self._exponents, strict=True):
            if key not in found:
                plain = SplineAxis(np.array(axis.ends), degree)
                layers = [0 if math.isinf(one) else self._layers(one, number) for one in exponents]
                found[key] = layered(plain, CELLS_WITH_LAYERS[number], layers)
        return tuple(found[key] for key in self._classes)

    def _number(self, axes: Sequence[SplineAxis]) -> int:
        """Of an attempt with layers, by its cells; -1 where they have none."""
        known = [
            [axis.cells for axis in self._attempted(axes, n)] for n in range(len(CELLS_WITH_LAYERS))
        ]
        cells = [axis.cells for axis in axes]
        even = all(
            np.ptp(np.diff(axis.breaks)) < SAME_END * (axis.ends[1] - axis.ends[0]) for axis in axes
        )
        return -1 if even or cells not in known else known.index(cells)

    def _layers(self, exponent: float, number: int) -> int:
        """How often the last cells are cut in an attempt: it is nearby that least may be felt."""
        error = SHORT_OF_GOAL * self.settings.tolerance * NEARBY**exponent
        wanted = math.ceil(SHARES_OF_LAYERS[number] * layers_for(exponent, error))
        return min(MOST_LAYERS, max(number + 1, wanted))

    @cached_property
    def _classes(self) -> list[int]:
        """Of each axis, piece after piece, the number of those that have the same cells."""
        dims = len(self.problem.coordinates)
        pairs = [
            [dims * k + i for k in seam.pieces]
            for seam in self.seams
            for i in range(dims)
            if i != seam.axis
        ]
        a, b = np.array(pairs).T
        count = dims * len(self.pieces)
        graph = sp.coo_matrix((np.ones(len(a)), (a, b)), (count, count))
        return [int(one) for one in connected_components(graph, directed=False)[1]]

    @cached_property
    def _exponents(self) -> list[list[float]]:
        """Of each axis, piece after piece, the least exponents at its two ends, infinite where
        no pieces meet; the same of all that have the same cells."""
        least: dict[tuple[int, int], float] = {}
        dims = len(self.problem.coordinates)

        def noted(k: int, i: int, side: int, exponent: float) -> None:
            at = self._classes[dims * k + i], side
            least[at] = min(least.get(at, math.inf), exponent)

        for seam in self.law.fluxes:
            for n, k in enumerate(seam.pieces):
                for i in range(dims):
                    here = int((seam.side > 0) == (n == 0))
                    for side in (here,) if i == seam.axis else (0, 1):
                        noted(k, i, side, OF_SEAMS)
        for k, piece in enumerate(self.pieces):
            ends = np.array(list(piece.domain.bounds.values()))
            slack = SAME_END * np.diff(ends, axis=1)
            for one in self.corners:
                apart = np.array(one.corner.at)[:, None] - ends
                if (apart[:, 0] > -slack[:, 0]).all() and (apart[:, 1] < slack[:, 0]).all():
                    for i, side in np.argwhere(np.abs(apart) <= slack).tolist():
                        noted(k, i, side, one.exponent)
        return [[least.get((key, side), math.inf) for side in (0, 1)] for key in self._classes]

    def _given(self, progress: Progress) -> list[Held]:
        return continuous(super()._given(progress), self.law.fluxes)

    def _squares(self, progress: Progress) -> TestedPieces:
        if self._known is None or self._known[0] is not progress.axes:
            found = tested_pieces(
                self.pieces,
                self.law,
                self._by_piece(progress.axes),
                self._given(progress),
                self.numbers,
                self._tempered(),
            )
            self._known = progress.axes, found
        return cast(TestedPieces, self._known[1])

    def _judged(self, progress: Progress) -> Progress:
        """Finish, or go on with finer cells: what they change is the error of those before."""
        at, settings = progress.at, self.settings
        assert at is not None
        axes = [axis for axis in progress.axes if isinstance(axis, SplineAxis)]
        products = self._products(progress.axes, at.C)
        sizes = self._sizes(self._extremes(products), np.array(at.stiffness))
        moved = self._moved(progress.spans, products, sizes) if progress.spans else math.inf
        # What an attempt changes is the error of the one before; that of its own is less by as much
        # as it changes less than that one did.
        gained = moved / progress.estimate if math.isfinite(progress.estimate) else 1.0
        error = max(moved * min(1.0, max(MOST_GAINED, gained)), at.size)
        known = replace(
            progress,
            spans=products,
            estimate=moved,
            tries=progress.tries + 1,
            sizes=tuple(sizes.tolist()),
        )
        if error <= settings.tolerance and not at.stalled:
            seen = self._between(progress, settings.tolerance * sizes)
            if seen.unmet <= MET_EQUATION:
                return replace(known, estimate=error, finished=True)
            return replace(known, estimate=seen.unmet, missed=(seen.said,), finished=True)
        on = on_cells(axes, progress.pieces)
        said = f"estimated error {error:.1e} on {on}"
        if at.stalled:
            error, said = math.inf, f"Newton's method does not converge on {on}"
        elif new := self._finer_than(axes, known, moved / min(SMOOTH, progress.estimate)):
            if not self._used_up(known, new) and self._bytes(new) <= self._memory:
                return replace(known, axes=new, at=None)
            said += f"; {USED_UP}"
        return replace(known, estimate=error, missed=(said,), finished=True)

    def _finer_than(
        self, axes: Sequence[SplineAxis], known: Progress, left: float
    ) -> tuple[SplineAxis, ...]:
        """The cells of the next attempt; none after the last one.

        Args:
            axes: Those of this one.
            known: Where it is.
            left: What this one changed, over what the one before did.
        """
        number = self._number(axes)
        if number >= 0:
            return self._attempted(axes, number + 1) if number + 1 < len(CELLS_WITH_LAYERS) else ()
        if known.tries < 2 or left < FALLS_QUICKLY:
            return self._equal(axes, math.ceil(MORE_WITHOUT_LAYERS * axes[0].cells))
        return self._attempted(axes, 0)

    def _moved(
        self,
        before: Sequence[Product],
        after: Sequence[Product],
        sizes: Float[np.ndarray, " unknowns"],
    ) -> float:
        """Largest difference of two attempts on a grid, over the amplitudes."""
        near, found = self._near(), 0.0
        assert near is not None
        for one, other, own in zip(before, after, self.numbers, strict=True):
            grid = [np.linspace(*axis.ends, LOOKS_AT_CHANGE) for axis in other.axes]
            index = (0,) * len(grid)
            apart = other.on_grid(0, grid, index) - one.on_grid(0, grid, index)
            points = np.stack([x.ravel() for x in np.meshgrid(*grid, indexing="ij")], 1)
            counts = near(torch.from_numpy(points)).numpy()
            counts = np.minimum(1.0, counts / (NEARBY * counts.max()))
            found = max(found, float(np.abs(apart.ravel() * counts).max()) / sizes[own[0]])
        return found

    def _bytes(self, axes: Sequence[Axis]) -> float:
        return 16.0 * LEVELS_OF_A_FACTOR * self._entries(axes)

    def _operations(self, axes: Sequence[Axis]) -> float:
        size = self._entries(axes)
        return OPERATIONS_OF_A_FACTOR * size**1.5

    def _entries(self, axes: Sequence[Axis]) -> float:
        """Of the matrix of the equations, about."""
        count = sum(math.prod(axis.size for axis in own) for own in self._by_piece(axes))
        return float(count * (2 * axes[0].degree + 1) ** 2)


def tested(problem: Problem) -> Conserved | None:
    """What is conserved in a problem on pieces whose solution is singular where these meet, so that
    least squares have a wrong limit; None where it is no such problem.

    Args:
        problem: On pieces.
    """
    pieces, places = by_piece(problem), seams(problem)
    if problem.parameters or problem.data or not singular_points(problem):
        return None
    if any(c.where is not None for c in problem.constraints):
        return None
    law = conserved(pieces, places)
    if law is None:
        return None
    for piece in pieces:
        for c in piece.constraints:
            plain = c.prescribed is not None and c.prescribed.derivative <= 1
            axis = piece.coordinates.index(c.face[:-1])
            if not plain and slope_of(c, axis, piece.unknowns) is None:
                return None
        if any(creases(piece, x) for x in piece.coordinates):
            return None
    return law
