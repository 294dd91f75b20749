"""Spans of time, solved one after another: each starts exactly where the one before ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx

from kanpde.networks.network import Network
from kanpde.networks.solution import Composition
from kanpde.networks.trial_space import NetworkSolution
from kanpde.problem.prescribed import Smooth
from kanpde.problem.problem import Problem
from kanpde.residual.calculus import Leaf, MultiIndex, raised

KEPT_PLACES = 8
"""Sets of points at which a HandedOver keeps its values: those of training, of looking at fresh
points and of testing, and those of the corners that each of them asks for."""


class Spans(Composition):
    """The candidates of consecutive spans of time as one.

    At a point, it is the one whose span holds its time. Calling it on points [points, dims] gives
    the unknowns [points, unknowns]; at a time that two spans share, both agree. Where training
    ended before the last span, it stands still from there on.

    Args:
        spans: The candidates, in the order of time.
        count: How many spans there are in all, by default as many as there are candidates.
    """

    def __init__(self, spans: Sequence[NetworkSolution], count: int | None = None):
        self.spans, self.count = list(spans), count or len(spans)
        self.domain = self.spans[0].domain  # in space that of all
        ends = [list(a.domain.bounds.values())[-1][1] for a in self.spans]
        self.ends, self.end = torch.tensor(ends[:-1], dtype=torch.float64), ends[-1]

    def __call__(self, points: Float[Tensor, "points dims"]) -> Float[Tensor, "points unknowns"]:
        return self._by_span(points, lambda span, at: span(at))

    def derivatives(
        self, points: Float[Tensor, "points dims"], leaves: Sequence[Leaf]
    ) -> Float[Tensor, "points leaves"]:
        found = self._by_span(points, lambda span, at: span.derivatives(at, leaves))
        if len(self.spans) < self.count:
            rates = [column for column, (_, index) in enumerate(leaves) if index[-1]]
            still = (points[:, -1] > self.end).nonzero()
            found[still, torch.tensor(rates, dtype=torch.long, device=found.device)] = 0.0
        return found

    def _by_span(self, points: Tensor, of: Callable[[NetworkSolution, Tensor], Tensor]) -> Tensor:
        """Rows [points, columns], each from the span that holds its time."""
        if len(self.spans) < self.count:
            points = torch.cat([points[:, :-1], points[:, -1:].clamp(max=self.end)], 1)
        which = torch.bucketize(points[:, -1].detach().double().cpu().contiguous(), self.ends)
        found: Tensor | None = None
        for k in which.unique().tolist():
            values = of(self.spans[k], points[which == k])
            found = values.new_empty(len(points), values.shape[1]) if found is None else found
            found[which.to(found.device) == k] = values
        return found if found is not None else of(self.spans[0], points)

    @property
    def network(self) -> Network:
        """That of the last span."""
        return self.spans[-1].network

    @property
    def input_names(self) -> tuple[str, ...]:
        return self.spans[-1].input_names

    @property
    def parameters(self) -> int:
        """Of all spans together."""
        return sum(span.parameters for span in self.spans)

    def describe(self) -> str:
        """Such as "10 spans of KAN 2-5-1, degree 7, grid 24"."""
        of = f" of {self.count}" if len(self.spans) < self.count else ""
        return f"{len(self.spans)}{of} spans of {self.network.describe()}"

    def state(self) -> dict[str, Any]:
        return {"spans": [span.state() for span in self.spans], "count": self.count}


class HandedOver(Smooth):
    """The value (or velocity) with which a span of time ends; what a network represents is smooth.

    It is a function of the space coordinates by name, and can be differentiated by autograd as
    often as the jets of the network reach. All derivatives up to `order` are taken at once and kept
    for the points that were asked for last, those of the first span first: so a chain of spans
    costs as much as its length, and no call reaches further back than one span.

    Args:
        before: The candidate of the span that ends.
        unknown: Which unknown is handed over.
        velocity: Whether it is its derivative in time; else it is its value.
        order: Highest derivative in space that is asked for.
    """

    def __init__(self, before: NetworkSolution, unknown: str, velocity: bool, order: int):
        self.before, self.unknown, self.velocity, self.order = before, unknown, velocity, order
        self.end = list(before.domain.bounds.values())[-1][1]
        self.__name__ = f"{unknown} at {before.domain.time} = {self.end:g}"
        self.__signature__ = Signature(
            [Parameter(x, Parameter.KEYWORD_ONLY) for x in before.domain.coordinates[:-1]]
        )
        self._known: list[tuple[list[Tensor], dict[MultiIndex, Tensor]]] = []
        starts = [one for one in before.space.starts if isinstance(one, HandedOver)]
        self._line: list[HandedOver] = list(
            dict.fromkeys([earlier for one in starts for earlier in (*one._line, one)])
        )

    def __call__(self, **space: Tensor) -> Tensor:
        columns = [space[x] for x in self.before.domain.coordinates[:-1]]
        return _Derivative.apply(self, (0,) * len(columns), *columns)

    def derivative(self, index: MultiIndex, columns: Sequence[Tensor]) -> Tensor:
        """The derivative of an index in space.

        Args:
            index: How often by every coordinate of space.
            columns: The points by their coordinates, [points] each.

        Returns:
            The derivative, [points].
        """
        known = self._at(columns)
        if index not in known:
            order = max(self.order, sum(index))
            for earlier in self._line:
                earlier._take(order, columns)
            self._take(order, columns)
        return known[index]

    def _at(self, columns: Sequence[Tensor]) -> dict[MultiIndex, Tensor]:
        """What is known at points, which become those that were asked for last."""
        for k, (points, known) in enumerate(self._known):
            if all(torch.equal(a, b) for a, b in zip(points, columns, strict=True)):
                self._known.insert(0, self._known.pop(k))
                return known
        self._known.insert(0, ([c.detach().clone() for c in columns], {}))
        del self._known[KEPT_PLACES:]
        return self._known[0][1]

    def _take(self, order: int, columns: Sequence[Tensor]) -> None:
        """Take all derivatives up to an order that are not known yet."""
        known = self._at(columns)
        indices = [index for index in _up_to(order, len(columns)) if index not in known]
        if not indices:
            return
        points = torch.stack([*columns, torch.full_like(columns[0], self.end)], 1).detach()
        leaves = [(self.unknown, (*index, int(self.velocity))) for index in indices]
        frame = self.before.frame(points, leaves)
        values = frame.derivatives(self.before.network.forward(frame.X, frame.counts)[-1])
        known |= dict(zip(indices, values.double().cpu().T, strict=True))


class _Context(FunctionCtx):
    """What a _Derivative hands from its value to its own derivatives."""

    source: HandedOver
    index: MultiIndex
    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]


class _Derivative(torch.autograd.Function):
    """A derivative of a HandedOver as an operation of autograd, whose own derivatives are such
    again."""

    @staticmethod
    def forward(ctx: _Context, source: HandedOver, index: MultiIndex, *columns: Tensor) -> Tensor:
        ctx.source, ctx.index = source, index
        ctx.save_for_backward(*columns)
        return source.derivative(index, columns).to(columns[0]).clone()

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Any, ...]:
        columns = ctx.saved_tensors
        slopes = [
            (
                gradient * _Derivative.apply(ctx.source, raised(ctx.index, (i,)), *columns)
                if needed
                else None
            )
            for i, needed in enumerate(ctx.needs_input_grad[2:])
        ]
        return None, None, *slopes


def span(problem: Problem, k: int, count: int, before: NetworkSolution | None) -> Problem:
    """The problem over one of several equal spans of its time, starting where the one before ends.

    Args:
        problem: Over all of its time.
        k: Which span, counted from 0.
        count: How many spans there are.
        before: The candidate of the span before, or None for the first.
    """
    if count == 1:
        return problem
    time = problem.domain.time
    assert time is not None  # where there is no time, there is one span
    low, high = problem.domain.bounds[time]
    begin, end = (low + (high - low) * i / count if i < count else high for i in (k, k + 1))
    if before is None:
        return problem.during(begin, end)
    orders = {u: problem.order(u, time) for u in problem.unknowns}
    space = max(sum(index[:-1]) for e in problem.equations for _, index in e.needs)
    return problem.during(begin, end, handed_over(before, orders, space))


def handed_over(
    before: NetworkSolution, orders: Mapping[str, int], order: int
) -> dict[str, HandedOver]:
    """What an Initial condition takes to go on from the span before.

    It takes values, and velocities of unknowns of order 2 in time.

    Args:
        before: The candidate of the span that ends.
        orders: In time, by unknown.
        order: Of differentiation in space.

    Returns:
        The functions by name, such as u and u_t.
    """
    time = before.domain.time
    found = {u: HandedOver(before, u, False, order) for u, n in orders.items() if n}
    return found | {
        f"{u}_{time}": HandedOver(before, u, True, order) for u, n in orders.items() if n > 1
    }


def _up_to(order: int, dims: int) -> list[MultiIndex]:
    if dims == 0:
        return [()]
    return [
        (first, *rest) for first in range(order + 1) for rest in _up_to(order - first, dims - 1)
    ]
