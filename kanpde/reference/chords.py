"""Differences along the chords that a boundary cuts out of a grid's lines: equal arms inside, one
short or long arm at either end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from kanpde.reference.crossings import Crossings
from kanpde.reference.stencils import half_width, scaled

NEAR = 0.25
"""Distance from the boundary, in cells, below which a node is left out of the differences along
that line."""

Rows = tuple[
    Int[np.ndarray, " entries"], Int[np.ndarray, " entries"], Float[np.ndarray, " entries"]
]
"""Row, column and value of the entries of a sparse matrix."""


@dataclass(frozen=True)
class Chords:
    """All chords along one axis, one after another, each from end to end.

    number: of the unknown, by point; at: place along the axis; chord: to which it belongs; taken:
    whether differences take it; target: which of the points are nodes, where derivatives are
    wanted.
    """

    number: Int[np.ndarray, " points"]
    at: Float[np.ndarray, " points"]
    chord: Int[np.ndarray, " points"]
    taken: Bool[np.ndarray, " points"]
    target: Bool[np.ndarray, " points"]

    def rows(self, derivative: int, accuracy: int) -> tuple[Rows, Int[np.ndarray, " nodes"]]:
        """Weights of a derivative at all nodes from those around on their chords; and the nodes on
        chords of too few points, which get none.

        Inside stencils are centred. Those that reach an end take one point more where that is
        needed to keep their order, because conditions on derivatives let errors of the equations at
        the boundary enter the solution whole; without it, at order 2, they would be the unequal
        arms of Shortley and Weller (J. Appl. Phys. 9 (1938), 334-348).
        """
        index = np.cumsum(self.taken) - self.taken
        number, at, chord = self.number[self.taken], self.at[self.taken], self.chord[self.taken]
        nodes, place, k, mine = (
            self.number[self.target],
            self.at[self.target],
            index[self.target],
            self.chord[self.target],
        )
        begin, end = np.searchsorted(chord, mine), np.searchsorted(chord, mine, side="right")
        half = half_width(max(derivative, 1), accuracy)
        ends = (
            (k - half <= begin) | (k + half >= end - 1)
            if derivative
            else np.ones(len(k), dtype=bool)
        )
        found, short = [], np.ones(len(k), dtype=bool)
        for size, here in ((2 * half + 1, ~ends), (derivative + accuracy, ends)):
            here = here & (end - begin >= size)
            short &= ~here
            columns = np.clip(k[here] - size // 2, begin[here], end[here] - size)[
                :, None
            ] + np.arange(size)
            values = scaled(at[columns] - place[here, None], derivative)
            found.append(
                (
                    np.broadcast_to(nodes[here, None], values.shape).ravel(),
                    number[columns].ravel(),
                    values.ravel(),
                )
            )
        rows, columns, values = (np.concatenate(part) for part in zip(*found, strict=True))
        return (rows, columns, values), nodes[short]


def chords(
    inside: np.ndarray,
    axis: int,
    places: Float[np.ndarray, " nodes"],
    found: Crossings,
    ends: Int[np.ndarray, " crossings"],
) -> Chords:
    """From the nodes inside, numbered in C order, and the crossings along an axis; ends: numbers of
    the crossings' own unknowns."""
    lined = np.moveaxis(inside, axis, -1)
    starts = lined & ~np.concatenate([np.zeros_like(lined[..., :1]), lined[..., :-1]], -1)
    chord = np.moveaxis(np.cumsum(starts).reshape(lined.shape), -1, axis)
    nodes = np.argwhere(inside)
    beside = tuple(found.inner.T)
    near = np.zeros(inside.shape, dtype=bool)
    near[tuple(found.inner[found.arm < NEAR].T)] = True
    number = np.concatenate([np.arange(len(nodes)), ends])
    at = np.concatenate([places[nodes[:, axis]], found.at[:, axis]])
    run = np.concatenate([chord[inside], chord[beside]])
    taken = np.concatenate([~near[inside], np.ones(len(ends), dtype=bool)])
    target = np.arange(len(number)) < len(nodes)
    order = np.lexsort((at, run))
    return Chords(number[order], at[order], run[order], taken[order], target[order])
