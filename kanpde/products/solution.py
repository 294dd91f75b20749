"""A solution made of products of splines: one product, or one for each span of time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import RunError
from kanpde.geometry import Pieces
from kanpde.networks.solution import Solution
from kanpde.problem.corner_pencils import SingularCorner, tempering
from kanpde.problem.cross_points import singular_points
from kanpde.problem.problem import Problem
from kanpde.products.axes import Modes
from kanpde.products.corner_functions import CornerFunction, corner_functions
from kanpde.products.pieces import numbers_of
from kanpde.products.tensor import Product
from kanpde.residual.calculus import Leaf

KIND = "tensor"
"""Its name on the command line, and in the states of checkpoints."""


class TensorSolution(Solution):
    """Products of splines as a solution, those of spans of time one after another.

    At a time that two spans share, both agree. Beyond the last span, where the march came to its
    end before the time does, it stands still; so it does before the first one of a march that went
    back in time.

    Args:
        problem: What it is a solution of.
        spans: The products, in the order of time or against it.
        numbers: Values of the problem's parameters, by name.

    Attributes:
        holds: Of every product, which of the unknowns it has.
    """

    def __init__(
        self,
        problem: Problem,
        spans: Sequence[Product],
        numbers: Mapping[str, float] | None = None,
    ):
        self.domain, self.unknowns, self._problem = problem.domain, problem.functions, problem
        self.spans, self._numbers = _in_order(spans), dict(numbers or {})
        self.holds = (tuple(range(len(self.unknowns))),) * len(self.spans)
        self.marched = isinstance(self.spans[0].axes[-1], Modes)
        self.ends = np.array([span.axes[-1].ends[1] for span in self.spans[:-1]])

    def __call__(self, points: Float[Tensor, "points dims"]) -> Float[Tensor, "points unknowns"]:
        value = (0,) * len(self.domain.coordinates)
        return self.derivatives(points, [(u, value) for u in self.unknowns])

    def derivatives(
        self, points: Float[Tensor, "points dims"], leaves: Sequence[Leaf]
    ) -> Float[Tensor, "points leaves"]:
        at = points.detach().double().cpu().numpy()
        varying = [a for a, (u, _) in enumerate(leaves) if u not in self._numbers]
        wanted = [(self.unknowns.index(u), index) for u, index in (leaves[a] for a in varying)]
        found = np.zeros((len(at), len(leaves)))
        found[:, varying] = self._by_span(at, lambda span, some: span.at(some, wanted))
        for a, (u, index) in enumerate(leaves):
            if u in self._numbers and not any(index):
                found[:, a] = self._numbers[u]
        if self.marched:
            rates = [column for column, (_, index) in enumerate(leaves) if index[-1]]
            low, high = self._reached
            still = np.flatnonzero((at[:, -1] < low) | (at[:, -1] > high))
            found[still[:, None], np.array(rates, dtype=int)] = 0.0
        return torch.from_numpy(found).to(points.device, points.dtype)

    def tempered(
        self, points: Float[Tensor, "points dims"], on_face: bool
    ) -> Float[Tensor, " points"] | None:
        if not self._corners:
            return None
        return tempering(self._corners, self.domain, points, on_face)

    @cached_property
    def _corners(self) -> tuple[SingularCorner, ...]:
        return singular_points(self._problem)

    def on_grid(
        self, unknown: int, x: Sequence[Float[np.ndarray, " points"]]
    ) -> Float[np.ndarray, " ..."]:
        """Values on a grid of points, which rise along time.

        Args:
            unknown: Number of the unknown.
            x: The points along every coordinate.
        """
        index = (0,) * len(x)
        if not self.marched:
            return self.spans[0].on_grid(unknown, x, index)
        cuts = np.searchsorted(x[-1], self.ends, "right")
        times = np.split(np.clip(x[-1], *self._reached), cuts)
        parts = [
            span.on_grid(unknown, [*x[:-1], t], index)
            for span, t in zip(self.spans, times, strict=True)
            if len(t)
        ]
        return np.concatenate(parts, -1)

    @property
    def whole(self) -> bool:
        """Whether it came to the end of time, if there is any."""
        all_of_it = self.domain.bounds[self.domain.coordinates[-1]]
        return not self.marched or bool(np.isclose(self._reached, all_of_it).all())

    @property
    def _reached(self) -> tuple[float, float]:
        """Between which times spans are."""
        return self.spans[0].axes[-1].ends[0], self.spans[-1].axes[-1].ends[1]

    def _by_span(
        self,
        at: Float[np.ndarray, "points dims"],
        of: Callable[[Product, Float[np.ndarray, "some dims"]], Float[np.ndarray, "some leaves"]],
    ) -> Float[np.ndarray, "points leaves"]:
        """WeightedRows, each from the span that holds its time."""
        if not self.marched:
            return of(self.spans[0], at)
        at = at.copy()
        at[:, -1] = np.clip(at[:, -1], *self._reached)
        which = np.searchsorted(self.ends, at[:, -1])
        parts = {k: of(self.spans[k], at[which == k]) for k in np.unique(which)}
        columns = next(iter(parts.values())).shape[1] if parts else of(self.spans[0], at).shape[1]
        found = np.empty((len(at), columns))
        for k, part in parts.items():
            found[which == k] = part
        return found

    @property
    def parameters(self) -> int:
        """Coefficients of all spans together."""
        return sum(span.C.size for span in self.spans)

    def numbers(self) -> dict[str, float]:
        return dict(self._numbers)

    def describe(self) -> str:
        """Such as "products of splines, degree 9, 14 x 14 cells"."""
        first = self.spans[0]
        degree = first.axes[0].degree
        if len(self.spans) == 1 and not isinstance(first.axes[-1], Modes):
            cells = " x ".join(str(axis.cells) for axis in first.axes)
            return f"products of splines, degree {degree}, {cells} cells"
        if len(first.axes) == 1:
            return f"{len(self.spans)} spans of polynomials of degree {degree}"
        counts = [int(np.prod([axis.cells for axis in span.axes])) for span in self.spans]
        low, high = min(counts), max(counts)
        cells = f"{low} to {high} cells" if low < high else f"{low} cells"
        return (
            f"{len(counts)} spans of products of splines, degree {degree} in space and"
            f" {first.axes[-1].degree} in time, {cells} each"
        )

    def state(self) -> dict[str, Any]:
        products = [span.plain() for span in self.spans]
        return {"kind": KIND, "products": products, "numbers": self.numbers()}


class CorneredSolution(TensorSolution):
    """Products of splines with functions of corners beside them.

    Args:
        problem: What it is a solution of.
        product: The splines.
        functions: Those of the corners.
        shares: How much of each there is.
    """

    def __init__(
        self,
        problem: Problem,
        product: Product,
        functions: Sequence[CornerFunction],
        shares: Float[np.ndarray, " functions"],
    ):
        super().__init__(problem, (product,))
        self.functions, self.shares = tuple(functions), shares

    def derivatives(
        self, points: Float[Tensor, "points dims"], leaves: Sequence[Leaf]
    ) -> Float[Tensor, "points leaves"]:
        at = points.detach().double().cpu().numpy()
        beside = np.stack([self._beside(at, index) for _, index in leaves], 1)
        found = super().derivatives(points, leaves)
        return found + torch.from_numpy(beside).to(points.device, points.dtype)

    def _beside(
        self, at: Float[np.ndarray, "points dims"], index: tuple[int, ...]
    ) -> Float[np.ndarray, " points"]:
        """A derivative of all functions of corners together."""
        ways = zip(self.shares, self.functions, strict=True)
        return np.asarray(sum(share * f.derivative(at, index) for share, f in ways))

    def on_grid(
        self, unknown: int, x: Sequence[Float[np.ndarray, " points"]]
    ) -> Float[np.ndarray, " ..."]:
        points = np.stack([one.ravel() for one in np.meshgrid(*x, indexing="ij")], 1)
        found = super().on_grid(unknown, x)
        return found + self._beside(points, (0, 0)).reshape(found.shape)

    @property
    def parameters(self) -> int:
        """Coefficients of splines and of functions of corners."""
        return super().parameters + len(self.shares)

    def describe(self) -> str:
        """Such as "products of splines, degree 9, 14 x 14 cells, 26 functions of corners"."""
        return f"{super().describe()}, {len(self.shares)} functions of corners"

    def state(self) -> dict[str, Any]:
        return {**super().state(), "corners": self.shares.tolist()}


class PiecesOfProducts(TensorSolution):
    """Products of splines as a solution on pieces, one product a piece.

    Where two pieces meet, plain names of unknowns are those of the first of the two, as everywhere;
    copies, such as u_air, are asked for on either side.

    Args:
        problem: What it is a solution of.
        products: Those of the pieces, in their order.
    """

    def __init__(self, problem: Problem, products: Sequence[Product]):
        super().__init__(problem, products)
        assert isinstance(problem.domain, Pieces)
        self.pieces, self.holds = problem.domain, numbers_of(problem)

    def derivatives(
        self, points: Float[Tensor, "points dims"], leaves: Sequence[Leaf]
    ) -> Float[Tensor, "points leaves"]:
        at = points.detach().double().cpu()
        which = self.pieces.region(at).numpy()
        found = np.full((len(at), len(leaves)), np.nan)
        for k, (piece, product) in enumerate(zip(self.pieces.regions, self.spans, strict=True)):
            copies = [u for u in self._problem.copies if self.pieces.home(u) == piece]
            plain = [
                (a, f"{u}_{piece}", i) for a, (u, i) in enumerate(leaves) if u in self.unknowns
            ]
            named = [(a, u, i) for a, (u, i) in enumerate(leaves) if u not in self.unknowns]
            for some, here in ((plain, np.flatnonzero(which == k)), (named, np.arange(len(at)))):
                own = [(a, copies.index(u), i) for a, u, i in some if u in copies]
                if own and len(here):
                    values = product.at(at[here].numpy(), [(u, i) for _, u, i in own])
                    found[here[:, None], [a for a, _, _ in own]] = values
        return torch.from_numpy(found).to(points.device, points.dtype)

    def describe(self) -> str:
        """Such as "products of splines on 4 pieces, degree 9, 412 cells"."""
        cells = sum(int(np.prod([axis.cells for axis in one.axes])) for one in self.spans)
        degree = self.spans[0].axes[0].degree
        return f"products of splines on {len(self.spans)} pieces, degree {degree}, {cells} cells"


def restored(problem: Problem, state: dict[str, Any]) -> TensorSolution:
    """The solution from the state that a checkpoint holds.

    Args:
        problem: What it was a solution of.
        state: What `TensorSolution.state` gave.

    Raises:
        RunError: The state does not fit the problem.
    """
    spans = [Product.from_plain(one) for one in state["products"]]
    dims, pieced = len(problem.coordinates), isinstance(problem.domain, Pieces)
    counts = [len(own) for own in numbers_of(problem)]
    if not pieced:
        counts = counts * len(spans)
    if len(counts) != len(spans):
        raise RunError(
            f"checkpoint: {len(spans)} products of splines do not fit problem {problem.name!r}"
        )
    for span, unknowns in zip(spans, counts, strict=True):
        if len(span.axes) != dims or len(span.C) != unknowns:
            raise RunError(
                f"checkpoint: products of {len(span.axes)} coordinates and {len(span.C)} unknowns"
                f" do not fit problem {problem.name!r}"
            )
    if pieced:
        return PiecesOfProducts(problem, spans)
    if shares := state.get("corners"):
        functions = corner_functions(problem)
        if len(functions) != len(shares):
            raise RunError(
                f"checkpoint: {len(shares)} functions of corners do not fit problem"
                f" {problem.name!r}, which has {len(functions)}"
            )
        return CorneredSolution(problem, spans[0], functions, np.array(shares))
    return TensorSolution(problem, spans, state.get("numbers"))


def _in_order(spans: Sequence[Product]) -> tuple[Product, ...]:
    """Spans in the order of time; those of a march that went back in time are turned."""
    last = spans[0].axes[-1]
    if not isinstance(last, Modes) or last.half > 0:
        return tuple(spans)
    found = []
    for span in reversed(spans):
        modes = span.axes[-1]
        assert isinstance(modes, Modes)
        there = replace(modes, breaks=modes.breaks[::-1].copy())
        found.append(Product((*span.axes[:-1], there), span.C @ modes.turning()))
    return tuple(found)
