"""What a span of time begins with on a domain that is no box: the splines that come nearest to
values at points inside, and go on as they are where these are hardly felt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from kanpde.products.ghosts import ghosts
from kanpde.products.inside_inverse import BandInside, matrix_of
from kanpde.products.inside_span import SpanInside

CORRECTIONS = 2
"""Of what rounding does to normal equations."""


@dataclass(frozen=True, eq=False)
class FitInside:
    """Least squares of values at the points of the cells inside.

    Attributes:
        span: Whose points and functions they are.
    """

    span: SpanInside

    def __call__(
        self,
        values: Mapping[str, Sequence[Float[np.ndarray, " _points"]]],
        given: Float[np.ndarray, "unknowns x y"],
    ) -> Float[np.ndarray, "unknowns x y"]:
        """The coefficients of all unknowns that have values.

        Args:
            values: At the points of the cells of the span, by unknown.
            given: Coefficients, right where they are given.
        """
        span, found = self.span, given.copy()
        factor, ghost, which = self._factor
        for _ in range(1 + CORRECTIONS):
            lift = np.zeros_like(found)
            for some, weight in zip(span.cells, self._weights, strict=True):
                for u, at in values.items():
                    k = some.unknowns.index(u)
                    rest = at[span.cells.index(some)] - some.seen((0, 0), found[k : k + 1])[0]
                    lift[k] += some.unseen((0, 0), (weight * rest)[None])[0]
            slope = span.picking.T @ (lift.ravel() - ghost.T @ (ghost @ found.ravel()))
            step = np.zeros(span.free + 1)
            step[which] = factor(slope[which])
            found += step[span.number]
        return found

    @cached_property
    def _weights(self) -> list[Float[np.ndarray, " _points"]]:
        """Weights of the points of cells in space."""
        times = len(self.span.stages.share)
        return [some.roots[::times] ** 2 for some in self.span.cells]

    @cached_property
    def _factor(self) -> tuple[BandInside, sp.csr_matrix, Int[np.ndarray, " some"]]:
        """Of the normal equations of what evolves, with the jumps that they hold; and which free
        functions these are."""
        span, axes = self.span, self.span.cells[0].axes[:2]
        reach = [axis.degree for axis in axes]
        size = (len(span.number),) * 2 + tuple(axis.size for axis in axes)
        whole = np.zeros((*size, *(2 * n + 1 for n in reach)))
        for some, weight in zip(span.cells, self._weights, strict=True):
            g = np.zeros((len(weight), len(span.number), len(some.leaves)))
            for k, (u, order) in enumerate(zip(some.unknowns, span.orders, strict=True)):
                if order:
                    g[:, k, some.leaves.index((u, (0, 0, order)))] = np.sqrt(weight)
            some.add_products(g, g, whole)
        centre = whole[..., reach[0], reach[1]]
        diagonal = np.stack([centre[k, k] for k in range(len(centre))])
        rows = ghosts(axes, span.at, [diagonal])
        ghost = sp.vstack([one.matrix for one in rows]).tocsr()
        own = span.picking.T @ ghost.T
        square = matrix_of(whole, span) + own @ own.T
        evolves = [np.unique(n[n >= 0]) for n, o in zip(span.number, span.orders, strict=True) if o]
        which = np.sort(np.concatenate(evolves))
        return BandInside.of(square[which][:, which].tocsr()), ghost, which
