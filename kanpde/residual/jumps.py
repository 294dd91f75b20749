"""Where what a residual differentiates jumps.

The chain rule behind `d(k * d(u, x), x)` knows the slopes of k, and nothing of its jumps: where k
jumps it drops a Dirac function, whoever supplies the derivatives, so that network and reference
agree on a wrong solution. Here every expression that is differentiated is evaluated along lines,
one argument moving at a time: a coordinate, or a derivative of an unknown. Cells of a line in which
an operation switches (see switches.py), or in which the values bend most, are halved again and
again. What does not shrink with the cell is a jump. A function that is written with `where`, but
whose branches meet, has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.residual.lines import FACTORS, Lines, along, base_of, sweep
from kanpde.residual.probe import Argument, Probe, Seen
from kanpde.residual.residual import leaf_name

SUSPECTS = 4
"""Cells of each line, those where its values bend most, that are halved without any switch."""

SWITCHED = 48
"""At most so many cells in which one operation switches are halved."""

HALVINGS_OF_CELLS = ((6, 1 / 8), (8, 0.0), (14, 0.0), (26, 0.0))
"""Halvings, and the share of a cell's first change that must be left after them where no operation
switches. A smooth function has a sixty-fourth after six; after all of them the ends of a cell are
neighbours among floating-point numbers."""

STRAIGHT = 1e-11
"""Bend, relative to the largest change over a cell of a line, that is rounding."""

PERSISTENT = (0.5, 2.0)
"""Between these is the ratio of the last two changes of a jump. That of a continuous function is
near zero, that of a pole is large."""

SMALLEST_JUMP = 1e-6
"""Jump, relative to the values at it, that is told from rounding."""

BESIDE = 1e-12
"""Distance from a cell, relative to its line, at which the values on both sides are taken."""

ROUNDING_OF_FLOATS = 2.3e-16
"""Of float64, relative."""

EDGE = 1e-6
"""Distance from the ends of a line, relative to its length, within which a jump does no harm."""


UNSEEN = 0.1
"""Relative difference of a slope by differences and by autograd that is no error of differences."""


@dataclass(frozen=True)
class Discontinuity:
    """A place where what is differentiated jumps, or changes unseen by autograd.

    Attributes:
        axis: The coordinate by which it is differentiated.
        moving: The coordinate or derivative of an unknown that moves, as messages call it.
        leaf: Whether that is a derivative of an unknown.
        place: Its value at the largest jump; nan where autograd does not see the change.
        places: Its values at all jumps, increasing.
        flat: Whether they are the same on every line.
        point: The point of the largest, by coordinate.
        before: What is differentiated, below that value.
        after: The same above it.
        operation: Which operation switches there, as code writes it; "" where none is known.
    """

    axis: str
    moving: str
    leaf: bool
    place: float
    places: tuple[float, ...]
    flat: bool
    point: dict[str, float]
    before: float
    after: float
    operation: str

    @property
    def relative(self) -> float:
        """The size of the jump, relative to the larger of the values."""
        return abs(self.after - self.before) / max(abs(self.before), abs(self.after))


def discontinuities(
    probe: Probe,
    points: Float[Tensor, "points dims"],
    ends: Float[Tensor, "dims 2"],
    inside: Callable[[Tensor], Tensor],
    constants: Sequence[str] = (),
) -> Iterator[Discontinuity]:
    """Where the expressions that an equation differentiates jump along the lines of a domain.

    Args:
        probe: The equation.
        points: Many points of the domain.
        ends: The ends of its bounding box.
        inside: Which of any points lie in the domain, [points].
        constants: Names of unknowns that are numbers, which do not change from place to place.

    Yields:
        The largest jump of each expression along each argument, if there is one.
    """
    try:
        seen = probe(points, points.new_ones(len(points)), probe.coordinates[0])
        for axis in sorted(set(seen.axes)):
            lines = along(axis, base_of(points, seen.sides), ends, inside)
            yield from _Search(probe, probe.coordinates[axis], lines).found()
        for leaf in list(probe.leaves) if seen.axes else ():
            if leaf[0] not in constants:
                yield from _Search(probe, leaf, sweep(points)).found()
    except ProblemError:
        # It ran in the dry run, but not at all of these values: what was seen so far stands.
        return


@dataclass(frozen=True)
class Break:
    """Where an expression, or a slope of it, jumps.

    Attributes:
        expression: Which of those that are differentiated, in the order in which they are.
        place: The first value of the coordinate beyond the jump.
        change: How much it jumps by on each line, [lines].
    """

    expression: int
    place: float
    change: Tensor


def breaks(
    probe: Probe,
    axis: int,
    points: Float[Tensor, "points dims"],
    ends: Float[Tensor, "dims 2"],
    inside: Callable[[Tensor], Tensor],
    least: int | None = None,
) -> list[Break] | None:
    """All jumps of what is differentiated along one coordinate.

    Args:
        probe: What differentiates along that coordinate alone.
        axis: Position of the coordinate.
        points: On the lines that are looked at.
        ends: The ends of the bounding box.
        inside: Which of any points count, [points].
        least: Lines that have a jump at the same place, so that it counts; others do not.

    Returns:
        The jumps; None where one is not at the same place on every line, if no least number is
        given, and where autograd does not see how the first expression changes.

    Raises:
        ProblemError: Where the user's function fails.
    """
    # Nothing here depends on an unknown.
    lines = along(axis, points, ends, inside, FACTORS[:1])
    return _Search(probe, probe.coordinates[axis], lines).shared(least)


@dataclass(frozen=True)
class Cells:
    """Cells of lines that are halved.

    Attributes:
        nodes: The first node of each, [cells].
        expressions: Which expression is looked at, [cells].
        operations: The operation that switches in it, -1 where the values alone tell, [cells].
    """

    nodes: Tensor
    expressions: Tensor
    operations: Tensor

    def __getitem__(self, kept: Tensor) -> Cells:
        return Cells(self.nodes[kept], self.expressions[kept], self.operations[kept])


@dataclass(frozen=True)
class Jumps:
    """What is left of cells when they have shrunk to a point.

    Attributes:
        cells: The cells.
        at: Where, the value of the argument that moves, the upper end of each cell, [cells].
        before: The expressions below that value, [cells].
        after: The expressions above it, [cells].
    """

    cells: Cells
    at: Tensor
    before: Tensor
    after: Tensor


class _Search:
    """The jumps of all expressions on some lines.

    Args:
        probe: The equation.
        moving: Which argument moves.
        lines: The lines.
    """

    def __init__(self, probe: Probe, moving: Argument, lines: Lines):
        self._probe, self._moving, self._lines = probe, moving, lines
        self._own = isinstance(moving, str)
        nodes = lines.values.shape[1]
        self._points = lines.points.repeat_interleave(nodes, 0)
        self._factors = lines.factors.repeat_interleave(nodes)
        self._seen = self._evaluated(torch.arange(len(self._points)), lines.values.flatten())

    def found(self) -> list[Discontinuity]:
        """The largest jump of each expression; or, where it has none, that autograd does not see
        how it changes."""
        axes = [self._probe.coordinates[axis] for axis in self._seen.axes]
        every = [k for k, axis in enumerate(axes) if not self._own or self._moving == axis]
        if not every:
            return []
        jumps = self._jumps(self._cells(every))
        largest = [self._largest(k, axes[k], jumps) for k in every]
        unseen = self._unseen()
        return [
            found
            for k, jump in zip(every, largest, strict=True)
            if (found := jump or unseen(k, axes[k])) is not None
        ]

    def shared(self, least: int | None) -> list[Break] | None:
        """All jumps, where they are the same on every line, or on some; see `breaks`."""
        count = len(self._lines.values)
        if not self._seen.axes:
            return []
        jumps = self._jumps(self._cells(range(len(self._seen.axes))))
        if self._unseen()(0, "") is not None:
            return None
        lines = jumps.cells.nodes // self._lines.values.shape[1]
        change, at = jumps.after - jumps.before, jumps.at
        same, found = EDGE * (self._lines.values[0, -1] - self._lines.values[0, 0]), []
        for k in jumps.cells.expressions.unique().tolist():
            left = jumps.cells.expressions == k
            while left.any():
                # Bisections by values and by operations may end a rounding apart.
                place = at[left].min()
                own = left & (at <= place + same)
                left = left & ~own
                seen = len(lines[own].unique())
                if least is None and seen < count:
                    return None
                if least is not None and seen < least:
                    continue
                sizes = change.new_zeros(count).index_copy(0, lines[own], change[own])
                found.append(Break(k, float(place), sizes))
        return found

    def _at(self, lines: Tensor, values: Tensor, slopes: bool = False) -> Seen:
        if not len(lines):
            # A user's function need not be able to take no points.
            return Seen(
                self._seen.axes,
                self._seen.values[:0],
                self._seen.slopes[:0],
                self._seen.sides[:0],
                (),
            )
        found = self._evaluated(lines, values, slopes)
        if found.operations != self._seen.operations:
            # How many operations there are depends on the points, as where others are batched.
            return replace(
                found, sides=found.values.new_zeros(len(lines), len(self._seen.operations))
            )
        return found

    def _at_both(self, lines: Tensor, first: Tensor, second: Tensor) -> Seen:
        """At two values of the argument on each line: the first of all lines, then the second."""
        return self._at(lines.repeat(2), torch.cat([first, second]))

    def _evaluated(self, lines: Tensor, values: Tensor, slopes: bool = False) -> Seen:
        return self._probe(self._points[lines], self._factors[lines], self._moving, values, slopes)

    def _cells(self, every: Sequence[int]) -> Cells:
        """The cells in which an operation switches, and those in which the values of one of the
        expressions bend most."""
        shape = self._lines.values.shape
        first = torch.arange(shape.numel()).reshape(shape)[:, :-1]
        kept = self._lines.kept[:, 1:] & self._lines.kept[:, :-1]
        found = []
        for k in every:
            values = self._seen.values[:, k].reshape(shape)
            change = values.diff(dim=1)
            usable = kept & change.isfinite()
            change = change.where(usable, torch.zeros_like(change))
            most, worth = _most_bent(change, self._lines.values.diff(dim=1), usable)
            found.append((first.gather(1, most)[worth], k, -1))
            for s, side in enumerate(self._seen.sides.unbind(1)):
                switched = first[(side.reshape(shape).diff(dim=1) != 0) & usable]
                found.append((switched[:: max(1, -(-len(switched) // SWITCHED))], k, s))
        return Cells(
            torch.cat([nodes for nodes, _, _ in found]),
            torch.cat([torch.full_like(nodes, k) for nodes, k, _ in found]),
            torch.cat([torch.full_like(nodes, s) for nodes, _, s in found]),
        )

    def _jumps(self, cells: Cells) -> Jumps:
        """Halve cells again and again, and keep those over which the change persists."""
        values = self._lines.values.flatten()
        low, high = values[cells.nodes], values[cells.nodes + 1]
        typical = self._seen.values.abs().nanmedian(0).values
        # Over a cell around an extremum a function does not change, over the halves of it it does.
        middle = (low + high) / 2
        halves = self._change(cells, low, middle)[0], self._change(cells, middle, high)[0]
        at_first = torch.maximum(*halves)
        sizes: list[Tensor] = []
        for halvings, persistent in HALVINGS_OF_CELLS:
            low, high = self._halved(cells, low, high, halvings)
            size, before, after = self._change(cells, low, high)
            kept = (size > persistent * at_first) | (cells.operations >= 0)
            kept &= size > SMALLEST_JUMP**2 * typical[cells.expressions]
            cells, low, high, before, after, size, at_first = (
                cells[kept],
                low[kept],
                high[kept],
                before[kept],
                after[kept],
                size[kept],
                at_first[kept],
            )
            sizes = [*(old[kept] for old in sizes), size]
        ratio, at = sizes[-1] / sizes[-2], high
        kept = (ratio > PERSISTENT[0]) & (ratio < PERSISTENT[1])
        kept &= size > SMALLEST_JUMP * torch.maximum(before.abs(), after.abs())
        if self._own:
            ends = self._lines.values[:, 0].min(), self._lines.values[:, -1].max()
            margin = 100 * EDGE * (ends[1] - ends[0])
            kept &= (at > ends[0] + margin) & (at < ends[1] - margin)
        return Jumps(cells[kept], at[kept], before[kept], after[kept])

    def _change(self, cells: Cells, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """How much the expressions change over cells, and their values on both sides.

        That is a little beyond the ends: between two neighbouring numbers, a slope may be the mean
        of both sides at one of them.
        """
        column, span = (
            cells.expressions[:, None],
            self._lines.values[0, -1] - self._lines.values[0, 0],
        )
        skirt = BESIDE * (span if self._own else high.abs()) + 8 * ROUNDING_OF_FLOATS * high.abs()
        ends = self._at_both(cells.nodes, low - skirt, high + skirt).values
        before, after = (_column(own, column) for own in ends.tensor_split(2))
        return (after - before).abs().nan_to_num(0, 0, 0), before, after

    def _halved(self, cells: Cells, low: Tensor, high: Tensor, times: int) -> tuple[Tensor, Tensor]:
        """Of each cell the half with the switch or the larger change, again and again."""
        if not len(low):
            return low, high
        column, operation = cells.expressions[:, None], cells.operations.clamp(min=0)[:, None]
        ends = self._at_both(cells.nodes, low, high)
        a, b = (_column(own, column) for own in ends.values.tensor_split(2))
        side = _column(ends.sides[: len(low)], operation)
        for _ in range(times):
            middle = (low + high) / 2
            seen = self._at(cells.nodes, middle)
            m, here = _column(seen.values, column), _column(seen.sides, operation)
            left = torch.where(cells.operations >= 0, here != side, (m - a).abs() >= (b - m).abs())
            low, high = torch.where(left, low, middle), torch.where(left, middle, high)
            a, b = torch.where(left, a, m), torch.where(left, m, b)
        return low, high

    def _largest(self, k: int, axis: str, jumps: Jumps) -> Discontinuity | None:
        """The largest of the jumps of one expression; of equals, one that an operation explains."""
        own = (jumps.cells.expressions == k).nonzero()[:, 0]
        if not len(own):
            return None
        before, after = jumps.before[own], jumps.after[own]
        size = (after - before).abs() / torch.maximum(before.abs(), after.abs())
        known = jumps.cells.operations[own] >= 0
        worst = own[(size * (1 + 1e-3 * known)).argmax()]
        operation = int(jumps.cells.operations[worst])
        places, flat = self._places(jumps.at[own], jumps.cells.nodes[own])
        moving, point = self._named(jumps.cells.nodes[worst], jumps.at[worst])
        return Discontinuity(
            axis,
            moving,
            not self._own,
            float(jumps.at[worst]),
            places,
            flat,
            point,
            float(jumps.before[worst]),
            float(jumps.after[worst]),
            self._seen.operations[operation] if operation >= 0 else "",
        )

    def _places(self, at: Tensor, nodes: Tensor) -> tuple[tuple[float, ...], bool]:
        """The places of jumps, each once and in order, and whether every line has all of them."""
        values, order = self._lines.values, at.argsort()
        # The same line comes once for every size of derivatives; one of them is enough.
        count = len(values) // len(FACTORS)
        at, lines = at[order], nodes[order] // values.shape[1] % count
        same = EDGE * (values[0, -1] - values[0, 0] if self._own else at[1:].abs())
        group = torch.cat([at.new_zeros(1), (at.diff() > same).cumsum(0)])
        places = tuple(float(at[group == g].median()) for g in group.unique())
        counts = [len(group[lines == line].unique()) for line in range(count)]
        return places, min(counts) == len(places)

    def _unseen(self) -> Callable[[int, str], Discontinuity | None]:
        """Whether differences show a slope at most nodes that autograd does not."""
        every = self._lines.kept.flatten().nonzero()[:, 0]
        values = self._lines.values.flatten()[every]
        span = self._lines.values[0, -1] - self._lines.values[0, 0]
        step = 1e-5 * (span.expand_as(values) if self._own else values.abs())
        up, down = self._at_both(every, values + step, values - step).values.tensor_split(2)
        known = self._at(every, values, slopes=True).slopes
        noise = 1e-9 * torch.maximum(up.abs(), down.abs()) / step[:, None]
        slope = (up - down) / (2 * step[:, None])
        counts = slope.isfinite() & known.isfinite() & (slope.abs() > noise)
        wrong = counts & ((slope - known).abs() > UNSEEN * torch.maximum(slope.abs(), known.abs()))

        def found(k: int, axis: str) -> Discontinuity | None:
            if not wrong[:, k].any() or wrong[:, k].sum() * 2 <= counts[:, k].sum():
                return None
            i = int(wrong[:, k].nonzero()[0])
            moving, point = self._named(every[i], values[i])
            before, after = float(down[i, k]), float(up[i, k])
            return Discontinuity(
                axis, moving, not self._own, math.nan, (), False, point, before, after, ""
            )

        return found

    def _named(self, node: Tensor, value: Tensor) -> tuple[str, dict[str, float]]:
        """What messages call the argument that moves, and the coordinates where it has a value."""
        names = self._probe.coordinates
        point = dict(zip(names, self._points[node].tolist(), strict=True))
        if isinstance(self._moving, str):
            return self._moving, {**point, self._moving: float(value)}
        return leaf_name(self._moving, names), point


def _most_bent(change: Tensor, width: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
    """The cells of each line over which a function changes otherwise than over those beside, and
    whether it does; a straight line has none."""
    slope = torch.nn.functional.pad((change / width)[:, None], (1, 1), mode="replicate")[:, 0]
    bend = (change - width * (slope[:, 2:] + slope[:, :-2]) / 2).abs()
    bend = bend.where(usable, torch.zeros_like(bend))
    found = bend.topk(SUSPECTS, dim=1)
    straight = STRAIGHT * change.abs().amax(1, keepdim=True)
    return found.indices, found.values > straight


def _column(table: Tensor, column: Tensor) -> Tensor:
    """One column of each row; of no columns, zeros."""
    return table.gather(1, column)[:, 0] if table.shape[1] else table.new_zeros(len(table))
