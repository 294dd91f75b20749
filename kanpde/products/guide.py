"""A warm start of products of splines: the solution of a problem near to this one gives the cells
and spans of time to begin with, and what Newton's method begins from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from kanpde.networks.solution import Solution
from kanpde.problem.formulation import Formulation
from kanpde.products.axes import Axis, Modes, SplineAxis
from kanpde.products.held import Start, fit, held
from kanpde.products.solution import TensorSolution
from kanpde.products.tensor import Product

NEARLY_AN_END = 1e-6
"""Of a span of time, by which another one may begin before it."""

LEAST_OF_SPAN = 0.3
"""Of a guide's span, what is left of it for a span of its own."""


class Guide:
    """The solution of a problem that is near to this one.

    Where space is longer or shorter, it is stretched; times are the same.

    Args:
        solution: With the same coordinates and unknowns.
        problem: What is to be solved.
    """

    def __init__(self, solution: Solution, problem: Formulation):
        self.solution, self.problem = solution, problem
        self.time = problem.domain.time
        self._bounds = {
            x: (problem.domain.bounds[x], solution.domain.bounds[x]) for x in problem.coordinates
        }

    def product_at(self, time: float) -> Product | None:
        """The cells and the span that begins at a time, or goes on there; None where that is not
        known.

        Args:
            time: Where a span is to begin.
        """
        found = self.solution
        if not isinstance(found, TensorSolution) or not found.marched:
            return None
        for span in found.spans:
            low, high = span.axes[-1].ends
            if low - NEARLY_AN_END * (high - low) <= time < high - NEARLY_AN_END * (high - low):
                return span
        return None

    def followed(self, span: Product) -> bool:
        """Whether a span that is done has come out on cells of the guide, as long as its.

        Args:
            span: Of this problem.
        """
        low, high = span.axes[-1].ends
        known = self.product_at(low)
        if known is None:
            return False
        space = zip(span.axes[:-1], known.axes[:-1], strict=True)
        short = high - low < (1 - NEARLY_AN_END) * self.left_of(known, low)
        return not short and all(axis.cells <= other.cells for axis, other in space)

    def left_of(self, known: Product, begin: float) -> float:
        """How long a span is that goes on to where one of the guide's ends; or as long as that,
        where little is left of it.

        Args:
            known: The guide's.
            begin: Where the span begins.
        """
        low, high = known.axes[-1].ends
        left = high - begin
        return left if left >= LEAST_OF_SPAN * (high - low) else high - low

    def steady_product(self) -> Product | None:
        """The cells of a steady problem; None where they are not known."""
        found = self.solution
        if not isinstance(found, TensorSolution) or found.marched or len(found.spans) > 1:
            return None
        return found.spans[0]

    def cells(self, axis: SplineAxis, x: str, known: Axis, share: float = 1.0) -> SplineAxis:
        """An axis on the guide's cells, or on another number of cells that lie as those do.

        Args:
            axis: Of this problem, with any cells.
            x: The coordinate.
            known: The guide's.
            share: Of its cells, how many; where there have to be more, these.
        """
        (low, high), (begin, end) = self._bounds[x]
        breaks = known.breaks.copy()
        if (low, high) != (begin, end):
            breaks = low + (breaks - begin) * ((high - low) / (end - begin))
        breaks[0], breaks[-1] = axis.ends
        fewest = axis.degree + 1 if axis.periodic else 1
        factor = max(share, fewest / known.cells)
        if factor != 1 or axis.creases:
            return axis.spread(breaks, factor * np.arange(len(breaks), dtype=float))
        return replace(axis, breaks=breaks)

    def coefficients(
        self, axes: Sequence[Axis], starts: Mapping[tuple[str, int], Start]
    ) -> Float[np.ndarray, "unknowns ..."]:
        """What Newton's method begins from on some axes: the guide, with what conditions give.

        Args:
            axes: Functions of each coordinate.
            starts: Values and rates where the span of time begins.
        """
        guess = self._on_same_cells(axes)
        if guess is None:
            unknowns = range(len(self.problem.unknowns))
            guess = np.stack([fit(axes, self._values(k)) for k in unknowns])
        return held(self.problem, axes, starts, guess).C

    def _on_same_cells(self, axes: Sequence[Axis]) -> Float[np.ndarray, "unknowns ..."] | None:
        """The guide's coefficients, where it has the same cells, in a part of its span of time;
        None elsewhere."""
        last = axes[-1] if isinstance(axes[-1], Modes) else None
        space = axes if last is None else axes[:-1]
        known = self.steady_product() if last is None else self.product_at(last.ends[0])
        if known is None or (last is not None and last.ends[1] > known.axes[-1].ends[1]):
            return None
        for axis, other in zip(space, known.axes, strict=False):
            same = axis.degree == other.degree and axis.size == other.size
            if not same or not np.array_equal(axis.breaks, other.breaks):
                return None
        return known.C.copy() if last is None else known.C @ _between_spans(known.axes[-1], last).T

    def _values(self, unknown: int) -> Start:
        """An unknown on grids of points of this problem."""

        def values(at: Sequence[Float[np.ndarray, " points"]]) -> Float[np.ndarray, " ..."]:
            ways = zip(at, self._bounds.items(), strict=True)
            places = [self._there(x, own, *ends) for x, (own, ends) in ways]
            found = self.solution
            if isinstance(found, TensorSolution) and (np.diff(places[-1]) >= 0).all():
                return found.on_grid(unknown, places)
            grid = np.meshgrid(*places, indexing="ij")
            points = torch.from_numpy(np.stack([x.ravel() for x in grid], 1))
            with torch.no_grad():
                flat = found(points)[:, unknown].double().cpu().numpy()
            return np.asarray(flat.reshape(grid[0].shape))

        return values

    def _there(
        self,
        at: Float[np.ndarray, " points"],
        x: str,
        own: tuple[float, float],
        ends: tuple[float, float],
    ) -> Float[np.ndarray, " points"]:
        """Points of this problem as the guide knows them."""
        if x != self.time:
            at = ends[0] + (at - own[0]) * ((ends[1] - ends[0]) / (own[1] - own[0]))
        return np.clip(at, *ends)


def _between_spans(known: Axis, modes: Axis) -> Float[np.ndarray, "modes known"]:
    """From the coefficients of polynomials over a span to those over a part of it.

    Args:
        known: Over the span.
        modes: Over the part.
    """
    x = modes.gauss(modes.size)[0].ravel()
    found: Float[np.ndarray, "modes known"] = np.linalg.lstsq(
        modes.matrix(x).toarray(), known.matrix(x).toarray()
    )[0]
    return found
