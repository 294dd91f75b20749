"""Which condition replaces the equation of which unknown on pieces, at their boundaries and where
they meet.

A condition of an interface holds in both pieces at once: it replaces a row of one of them. First
every condition is given an unknown and a piece, on a whole face; then, where faces meet, so many
conditions are kept as there are values at that place, those with the lowest derivatives first, and
of conditions for values alone only those that do not follow from others (round a point where four
pieces meet, one of four continuities does).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import scipy  # whose parts are imported when they are first used
from jaxtyping import Float, Int

from kanpde.errors import ReferenceUnavailable, listed
from kanpde.problem.constraints import Constraint
from kanpde.problem.formulation import Formulation
from kanpde.reference.assembly import dependence, evaluate
from kanpde.reference.boundary import Placed, chosen, coordinates_on, orders_of
from kanpde.reference.patchwork import Patchwork, Rim

NEVER = -1e9
"""The gain of a condition for an unknown that it does not hold."""


@dataclass(frozen=True)
class Row:
    """One row of a condition, on all of its face.

    Attributes:
        constraint: The condition.
        number: Of the row.
        orders: Highest order of differentiation by copy, -1 for those that do not enter.
        values: Factors of the copies' values at the first place; None where a derivative enters.
        at: Numbers of the places where it holds.
    """

    constraint: Constraint
    number: int
    orders: Int[np.ndarray, " copies"]
    values: Float[np.ndarray, " copies"] | None
    at: Int[np.ndarray, " points"]

    @property
    def order(self) -> int:
        """Of its highest derivative."""
        return int(self.orders.max())


@dataclass(frozen=True)
class Slot:
    """A row of a piece's equations that a condition on one of its faces can take.

    Attributes:
        copy: Number of the unknown's copy.
        sides: The faces.
        layer: How many layers inside it lies.
    """

    copy: int
    sides: tuple[Rim, ...]
    layer: int


def place_on_pieces(problem: Formulation, grid: Patchwork) -> list[Placed]:
    """All conditions on the faces of space.

    Args:
        problem: On a domain in pieces.
        grid: Of its space.

    Returns:
        Where they hold, and which rows they replace.

    Raises:
        ReferenceUnavailable: Where there are more than the orders allow.
    """
    return _Placement(problem, grid).placed()


class _Placement:
    """The conditions of a problem on a grid in pieces."""

    def __init__(self, problem: Formulation, grid: Patchwork):
        self.problem, self.grid = problem, grid
        self.homes = [grid.pieces.home(copy) for copy in problem.copies]
        self.spots = int(grid.spot.max()) + 1
        self.node = {piece: np.full(self.spots, -1) for piece in grid.patches}
        for side in grid.sides:
            self.node[side.piece][grid.spot[side.nodes]] = side.nodes
        self.rows = list(self._rows())
        self.slots = self._slots()
        self.owner = self._matched()

    def placed(self) -> list[Placed]:
        """See place_on_pieces."""
        found: dict[tuple[int, int, int], list[np.ndarray]] = {}
        for spots, sides in self._alike():
            here = [i for i, row in enumerate(self.rows) if np.isin(spots[0], row.at)]
            for i, copy, layer in self._kept(here, sides, spots[0]):
                found.setdefault((i, copy, layer), []).append(spots)
        return [
            self._placed(i, copy, layer, np.concatenate(spots))
            for (i, copy, layer), spots in sorted(found.items())
        ]

    def _placed(self, i: int, copy: int, layer: int, spots: np.ndarray) -> Placed:
        row, home = self.rows[i], self.homes[copy]
        mine = self.node[home][spots]
        if layer:
            inwards = np.zeros(self.grid.nodes, dtype=int)
            for side in self.grid.sides:
                inwards[side.nodes] = side.inwards
            mine = mine + layer * inwards[mine]
        seen = self._beside(row.constraint)
        unknown = self.problem.unknowns.index(self.problem.copies[copy].removesuffix(f"_{home}"))
        return Placed(
            row.constraint,
            row.number,
            unknown,
            self.node[seen[0]][spots],
            mine,
            {piece: self.node[piece][spots] for piece in seen},
        )

    # What there is

    def _beside(self, constraint: Constraint) -> list[str]:
        """The pieces on whose face a condition holds."""
        return [region.name for region in self.grid.pieces.beside(constraint.face)]

    def _rows(self) -> Iterator[Row]:
        problem, grid = self.problem, self.grid
        for face in grid.pieces.faces:
            on = [side for side in grid.sides if side.face == face]
            for c in problem.constraints:
                if c.face != face:
                    continue
                spots = self._spots_of(c, on)
                nodes = self.node[self._beside(c)[0]][spots]
                kept = chosen(c, problem, grid, nodes)
                spots, nodes = spots[kept], nodes[kept]
                if not len(spots):
                    continue
                at, normal = coordinates_on(problem, grid, face, nodes)
                held = dependence(c.residual, at, normal)
                orders = orders_of(c.residual, problem.copies, held)
                if (orders < 0).all(1).any():
                    raise ReferenceUnavailable(f"{c.label}: does not depend on any unknown")
                slopes = evaluate(
                    c.residual, at, np.full((len(nodes), len(c.residual.needs)), 0.5), normal
                )[1]
                assert slopes is not None
                for r in range(c.residual.equations):
                    values = np.zeros(len(problem.copies))
                    for a, (copy, _) in enumerate(c.residual.needs):
                        values[problem.copies.index(copy)] += slopes[0, r, a]
                    yield Row(c, r, orders[r], None if orders[r].max() else values, spots)

    def _spots_of(self, constraint: Constraint, on: Sequence[Rim]) -> Int[np.ndarray, " spots"]:
        """The places of a face, at which all pieces beside it have a node. Raises
        ReferenceUnavailable where a piece has none at some of them."""
        pieces = self._beside(constraint)
        found = [
            np.unique(
                np.concatenate(
                    [
                        np.zeros(0, dtype=int),
                        *(self.grid.spot[s.nodes] for s in on if s.piece == piece),
                    ]
                )
            )
            for piece in pieces
        ]
        met = found[0]
        for other in found[1:]:
            met = np.intersect1d(met, other)
        most = max(len(spots) for spots in found)
        if not len(met) or len(met) < most:
            raise ReferenceUnavailable(
                f"{constraint.label}: {most - len(met)} of {most} places where the grid meets it"
                f" have no node in each of {listed(pieces)}; the grid is too coarse for these"
            )
        return met

    def _slots(self) -> list[Slot]:
        """The rows that conditions can take, by face: half of an unknown's order at either end; of
        an odd one, one row more at one of the ends."""
        found = []
        for k, copy in enumerate(self.problem.copies):
            own = [side for side in self.grid.sides if side.piece == self.homes[k]]
            for side in own:
                order = self._order(copy, side.axis)
                half = (order + 1) // 2 if side.axis is None else order // 2
                found += [Slot(k, (side,), layer) for layer in range(half)]
            for axis in range(len(self.grid.names)):
                order = self._order(copy, axis)
                if order % 2 and own and own[0].axis is not None:
                    ends = [
                        [s for s in own if s.axis == axis and (s.inwards > 0) == low]
                        for low in (True, False)
                    ]
                    for j in range(max(map(len, ends))):
                        sides = tuple(end[j] for end in ends if j < len(end))
                        found.append(Slot(k, sides, order // 2))
        return found

    def _order(self, copy: str, axis: int | None) -> int:
        """Of an unknown along a coordinate, or in all."""
        if axis is not None:
            return self.problem.order(copy, self.grid.names[axis])
        space = len(self.grid.names)
        return max(
            sum(index[:space]) for e in self.problem.equations for u, index in e.needs if u == copy
        )

    # Whose row each condition takes

    def _matched(self) -> list[list[Slot]]:
        """The slots of each row, one for every face of a piece that it holds on. Raises
        ReferenceUnavailable where there are more rows than slots."""
        entries = [(i, part) for i, row in enumerate(self.rows) for part in self._parts(row)]
        gain = np.full((len(entries), max(len(self.slots), len(entries))), NEVER)
        for e, (i, faces) in enumerate(entries):
            row = self.rows[i]
            for s, slot in enumerate(self.slots):
                if row.orders[slot.copy] >= 0 and any(side in faces for side in slot.sides):
                    gain[e, s] = row.orders[slot.copy] + 0.1 * (slot.layer == row.order % 2)
        found: list[list[Slot]] = [[] for _ in self.rows]
        for e, s in zip(*scipy.optimize.linear_sum_assignment(gain, maximize=True), strict=True):
            i, _ = entries[e]
            if gain[e, s] == NEVER:
                c = self.rows[i].constraint
                many = sum(row.constraint.face == c.face for row in self.rows)
                raise ReferenceUnavailable(
                    f"{c.label}: there are {many} conditions on {c.face}, which are more than the"
                    " orders of the unknowns there allow"
                )
            found[i].append(self.slots[s])
        return found

    def _parts(self, row: Row) -> list[tuple[Rim, ...]]:
        """The faces of pieces that a row holds on, together where they are the two sides of one
        part of an interface."""
        sides = [
            side
            for side in self.grid.sides
            if side.face == row.constraint.face
            and np.isin(self.grid.spot[side.nodes], row.at).any()
        ]
        found: list[tuple[Rim, ...]] = []
        while sides:
            spots = self.grid.spot[sides[0].nodes]
            together = tuple(
                side
                for side in sides
                if side is sides[0]
                or len(np.intersect1d(self.grid.spot[side.nodes], spots)) > len(spots) // 2
            )
            found.append(together)
            sides = [side for side in sides if not any(side is other for other in together)]
        return found

    # Where faces meet

    def _alike(self) -> Iterator[tuple[Int[np.ndarray, " spots"], list[Rim]]]:
        """Places at which the same faces of pieces meet and the same conditions hold."""
        grid = self.grid
        held = np.zeros((len(grid.sides) + len(self.rows), self.spots), dtype=bool)
        for k, side in enumerate(grid.sides):
            held[k, grid.spot[side.nodes]] = True
        for i, row in enumerate(self.rows, len(grid.sides)):
            held[i, row.at] = True
        kinds, which = np.unique(held, axis=1, return_inverse=True)
        for k, kind in enumerate(kinds.T):
            sides = [side for side, on in zip(grid.sides, kind, strict=False) if on]
            yield np.flatnonzero(which.ravel() == k), sides

    def _kept(self, here: list[int], sides: list[Rim], spot: int) -> Iterator[tuple[int, int, int]]:
        """Of rows at a place those that are kept, each with the copy and the layer whose row it
        takes."""
        piecewise = [list(g) for _, g in groupby(sides, key=lambda side: side.piece)]
        if all(len(own) == 1 for own in piecewise):
            for i in here:
                for slot in self.owner[i]:
                    if any(side in sides for side in slot.sides):
                        yield i, slot.copy, slot.layer
                        break
            return
        copies = self._with_room(sides)
        rows = self._independent(here, copies)
        if not rows or not copies:
            return
        gain = np.full((len(rows), max(len(copies), len(rows))), NEVER)
        for place, i in enumerate(rows):
            row = self.rows[i]
            preferred = {slot.copy for slot in self.owner[i]}
            for s, copy in enumerate(copies):
                if row.orders[copy] >= 0:
                    gain[place, s] = 10.0 ** (6 - 2 * row.order) - 1e-3 * place
                    gain[place, s] += 1e-4 * (copy in preferred)
            gain[place, len(copies) :] = 0.0
        free = np.zeros((len(rows), len(rows)))  # A row may be left out.
        for place, s in zip(
            *scipy.optimize.linear_sum_assignment(np.concatenate([gain, free], 1), maximize=True),
            strict=True,
        ):
            if s < len(copies) and gain[place, s] > 0:
                yield rows[place], copies[s], 0

    def _with_room(self, sides: list[Rim]) -> list[int]:
        """The copies whose equation a condition on one of some faces can replace."""
        found = []
        for slot in self.slots:
            if any(side in sides for side in slot.sides) and slot.copy not in found:
                found.append(slot.copy)
        if any(slot.layer for slot in self.slots if slot.copy in found):
            raise ReferenceUnavailable(
                "derivatives of more than second order on pieces that have corners"
            )
        return found

    def _independent(self, here: list[int], copies: list[int]) -> list[int]:
        """Rows by the order of their derivatives, conditions on the boundary first; of those for
        values, only rows that do not follow from others."""
        inner = self.grid.pieces.contacts
        ranked = sorted(
            here, key=lambda i: (self.rows[i].order, self.rows[i].constraint.face in inner, i)
        )
        found, known = [], np.zeros((0, len(self.problem.copies)))
        for i in ranked:
            values = self.rows[i].values
            if values is not None:
                more = np.concatenate([known, values[None] / np.abs(values).max()])
                if np.linalg.matrix_rank(more) == len(known):
                    continue
                known = more
            found.append(i)
        return found
