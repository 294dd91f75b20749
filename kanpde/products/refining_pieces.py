"""A problem on pieces solved on cells of each piece, which are refined until the solution's own
estimate of its error is good enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
from jaxtyping import Float

from kanpde.problem.problem import Problem
from kanpde.products.axes import Axis
from kanpde.products.held import Held, fit, held
from kanpde.products.newton import Iterate
from kanpde.products.normal import BANDS
from kanpde.products.pieces import by_piece, seams
from kanpde.products.piecewise import (
    PiecewiseSquares,
    SplineAxes,
    narrowest,
    piecewise_squares,
)
from kanpde.products.posed import on_grids
from kanpde.products.progress import Progress, Settings
from kanpde.products.refining import RefinedProducts
from kanpde.products.rows import points_of
from kanpde.products.solution import PiecesOfProducts
from kanpde.products.tensor import Product


class RefinedPieces(RefinedProducts):
    """The way through finer and finer cells of all pieces."""

    problem: Problem

    def __init__(self, problem: Problem, settings: Settings):
        super().__init__(problem, settings)
        self.pieces, self.seams = by_piece(problem), seams(problem)

    def begin(self) -> Progress:
        """A few equal cells of every piece."""
        axes = [
            axis
            for piece in self.pieces
            for axis in self._equal_cells(piece, self.problem.coordinates)
        ]
        return Progress(axes=tuple(axes), pieces=len(self.pieces))

    def solution(self, progress: Progress) -> PiecesOfProducts:
        products = progress.spans
        if not products:
            at = progress.at or self._begun(progress)
            products = self._products(progress.axes, at.C)
        return PiecesOfProducts(self.problem, products)

    def _begun(self, progress: Progress) -> Iterate:
        given = self._given(progress)
        return Iterate(np.concatenate([one.C.ravel() for one in given]))

    def _given(self, progress: Progress) -> list[Held]:
        """What the conditions of each piece give, with the last attempt for what they do not."""
        found = []
        for k, (piece, axes) in enumerate(
            zip(self.pieces, self._by_piece(progress.axes), strict=True)
        ):
            guess = None
            if progress.spans:
                last = progress.spans[k]
                guess = np.stack([fit(axes, on_grids(last, u)) for u in range(len(last.C))])
            found.append(held(piece, axes, {}, guess))
        return found

    def _squares(self, progress: Progress) -> PiecewiseSquares:
        if self._known is None or self._known[0] is not progress.axes:
            found = piecewise_squares(
                self.pieces,
                self.seams,
                self._by_piece(progress.axes),
                self._given(progress),
                self.numbers,
                self._tempered(),
            )
            self._known = progress.axes, found
        return cast(PiecewiseSquares, self._known[1])

    def _by_piece(self, axes: Sequence[Axis]) -> list[SplineAxes]:
        dims = len(self.problem.coordinates)
        parts = [tuple(axes[k : k + dims]) for k in range(0, len(axes), dims)]
        return cast(list[SplineAxes], parts)

    def _products(self, axes: Sequence[Axis], C: Float[np.ndarray, " all"]) -> tuple[Product, ...]:
        found, first = [], 0
        for piece, own in zip(self.pieces, self._by_piece(axes), strict=True):
            shape = (len(piece.unknowns), *(axis.size for axis in own))
            size = math.prod(shape)
            found.append(Product(own, C[first : first + size].reshape(shape)))
            first += size
        return tuple(found)

    def _bytes(self, axes: Sequence[Axis]) -> float:
        _, size, width = self._band(axes)
        return 8.0 * BANDS * size * width

    def _operations(self, axes: Sequence[Axis]) -> float:
        _, size, width = self._band(axes)
        each = [
            math.prod(axis.cells * points_of(axis) for axis in own)
            * float(len(piece.unknowns) * math.prod(axis.degree + 1 for axis in own)) ** 2
            for piece, own in zip(self.pieces, self._by_piece(axes), strict=True)
        ]
        return sum(each) + size * float(width) ** 2

    def _band(self, axes: Sequence[Axis]) -> tuple[int, int, int]:
        counts = [len(piece.unknowns) for piece in self.pieces]
        return narrowest(self._by_piece(axes), counts)
