"""Polynomials between the places at which equations jump, joined there with their slopes.

For equations of second order the solution has just these derivatives in common on both sides: it is
as smooth as elsewhere on each of them, and coefficients fall as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int
from numpy.polynomial import chebyshev

from kanpde.geometry.domain import Interval
from kanpde.reference.stencils import graded

LOWEST_DEGREE = 4
"""Of the polynomial on a piece."""


@dataclass(frozen=True)
class BrokenSeries:
    """Chebyshev's polynomials on each piece; of the series of all pieces together only those are
    meant whose values and slopes are the same on both sides of every crease.

    Nodes are those of Chebyshev inside of each piece, and both ends: as many as there are such
    series. No node is a crease, where an equation has two values.

    Attributes:
        bounds: The ends.
        cells: One less than there are nodes.
        creases: Between them, increasing.
    """

    bounds: Interval
    cells: int
    creases: tuple[float, ...]

    @property
    def named(self) -> str:
        return "Chebyshev"

    @property
    def ends(self) -> Float[np.ndarray, " ends"]:
        """Where pieces begin, and the last one ends."""
        return np.array([self.bounds[0], *self.creases, self.bounds[1]])

    @cached_property
    def highest(self) -> Int[np.ndarray, " pieces"]:
        """The degree on each piece, nearly the same on all."""
        pieces = len(self.creases) + 1
        whole = max(self.cells + pieces - 1, LOWEST_DEGREE * pieces)
        return np.array([len(part) for part in np.array_split(np.arange(whole), pieces)])

    @cached_property
    def nodes(self) -> Float[np.ndarray, " nodes"]:
        inner = [
            low + (high - low) * graded(int(n))[1:-1]
            for (low, high), n in zip(pairwise(self.ends), self.highest, strict=True)
        ]
        return np.r_[self.bounds[0], np.concatenate(inner), self.bounds[1]]

    def at(self, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, "points functions"]:
        return self._on_pieces(x, self._piece_of(x), 0)

    def derivatives(self, order: int) -> Float[np.ndarray, "nodes functions"]:
        return self._on_pieces(self.nodes, self._piece_of(self.nodes), order)

    @cached_property
    def synthesis(self) -> Float[np.ndarray, "nodes functions"]:
        return self.derivatives(0)

    @cached_property
    def analysis(self) -> Float[np.ndarray, "functions nodes"]:
        places, pieces = np.array(self.creases), np.arange(len(self.creases))
        joints = []
        for order in (0, 1):
            sides = [self._on_pieces(places, pieces + k, order) for k in (0, 1)]
            joints.append((sides[1] - sides[0]) / np.abs(sides).max((0, 2))[:, None])
        whole = np.concatenate([self.synthesis, *joints])
        return np.linalg.inv(whole)[:, : len(self.nodes)]

    def degrees(self) -> Float[np.ndarray, " functions"]:
        return np.concatenate([np.arange(n + 1) / n for n in self.highest])

    def _piece_of(self, x: Float[np.ndarray, " points"]) -> Int[np.ndarray, " points"]:
        return np.searchsorted(np.array(self.creases), x, "right")

    def _on_pieces(
        self, x: Float[np.ndarray, " points"], piece: Int[np.ndarray, " points"], order: int
    ) -> Float[np.ndarray, "points functions"]:
        """A derivative of all functions, as they are on given pieces."""
        blocks = []
        for k, n in enumerate(self.highest):
            low, high = self.ends[k : k + 2]
            s = 2 * (x - low) / (high - low) - 1
            own = chebyshev.chebder(np.eye(n + 1), order) if order else np.eye(n + 1)
            values = chebyshev.chebval(s, own).T * (2 / (high - low)) ** order
            blocks.append(np.where((piece == k)[:, None], values, 0.0))
        return np.concatenate(blocks, 1)
