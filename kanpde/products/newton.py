"""Newton's method of Gauss: least squares of the residual on products of splines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from kanpde.errors import ProblemError
from kanpde.problem.formulation import Formulation
from kanpde.products.axes import Axis
from kanpde.products.balance import row_sizes
from kanpde.products.border import Border
from kanpde.products.far import functions_at, once, rows_for, with_rule
from kanpde.products.gradients import Settled, conjugate_gradients, of_least_squares
from kanpde.products.held import Held
from kanpde.products.immersed import immersed
from kanpde.products.joined import Rows
from kanpde.products.measured import MisfitRows
from kanpde.products.normal import (
    BandFactor,
    BorderedFactor,
    Normal,
    bytes_for,
    normal,
    operations_for,
)
from kanpde.products.rows import Places, Tempered, WeightedRows, points_of
from kanpde.products.uncoupled import (
    SpanLayout,
    Uncoupled,
    bytes_uncoupled,
    operations_uncoupled,
    uncoupled,
    uncouples,
)

MOST_NEWTON_STEPS = 12
"""Steps after which Newton's method gives up."""

LAST_STEP = 1e-3
"""A step below this share of the tolerance is the last one, over the largest coefficient of each
unknown; where J changes, below this share of its root, since steps fall quadratically."""

SURE = 1e-6
"""A step of this size is taken without looking whether it lowers the squares: rounding decides."""

SMALL_STEP, SLOWER = 1e-7, 0.3
"""A small step that is no less than this share of the one before is the last: rounding."""

SHORTEST = 1e-3
"""Share of a step below which none is tried."""

MOST_ITERATIONS = 100
"""Of conjugate gradients in one step."""

RIDGES = (0.0, 1e-8, 1e-5, 1e-2)
"""Damping that is tried one after another where no share of a step lowers the squares, over the
diagonal."""


@dataclass(frozen=True)
class Iterate:
    """Where Newton's method is.

    Attributes:
        C: The coefficients.
        steps: Steps so far.
        size: Of the last step, over the largest coefficient; infinite before the first.
        loss: Sum of squares before the last step.
        stiffness: Roots of the mean diagonal of JᵀJ, an unknown each.
        iterations: Of conjugate gradients in the last step.
        done: Whether there are no more steps.
        stalled: Whether it ended before it converged.
    """

    C: Float[np.ndarray, "unknowns ..."]
    steps: int = 0
    size: float = np.inf
    loss: float = np.inf
    stiffness: tuple[float, ...] = ()
    iterations: int = 0
    done: bool = False
    stalled: bool = False


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """The squares of a problem on some axes.

    Attributes:
        rows: Inside, then those of every condition that coefficients do not give.
        index: Number of the parameter behind each coefficient, -1 where it is given.
        free: How many parameters are free.
        border: What is unknown beside; None where there is nothing.
        most: Steps after which Newton's method gives up.
    """

    rows: tuple[Rows, ...]
    index: Int[np.ndarray, "unknowns ..."]
    free: int
    border: Border | None = field(default=None, kw_only=True)
    most: int = field(default=MOST_NEWTON_STEPS, kw_only=True)

    def weights(self, C: Float[np.ndarray, "unknowns ..."]) -> tuple[float, ...]:
        """Of the squares of each of the rows: those of conditions are as heavy as those inside, by
        the diagonals of their normal equations over the parameters that they share.

        Args:
            C: The coefficients.
        """
        if not any(some.normal for some in self.rows):
            return (1.0,) * len(self.rows)
        found = []
        inside = self.gathered(*(some.diagonal(C) for some in self.rows if not some.normal))
        for some in self.rows:
            if not some.normal:
                found.append(1.0)
                continue
            if isinstance(some, MisfitRows):
                found.append(some.weight(self.interiors(C)[0][0], C))
                continue
            own = self.gathered(some.diagonal(C))
            shared = own > 0
            found.append(float(inside[shared].sum() / own.sum()) if shared.any() else 1.0)
        return tuple(found)

    def interiors(
        self, C: Float[np.ndarray, "unknowns ..."]
    ) -> list[tuple[WeightedRows, Float[np.ndarray, "unknowns ..."]]]:
        """The rows inside, of every piece, with the coefficients that they take.

        Args:
            C: All coefficients.
        """
        inside = self.rows[0]
        assert isinstance(inside, WeightedRows)
        return [(inside.everywhere(), C)]

    @property
    def affine(self) -> bool:
        """Whether J is the same everywhere."""
        return all(one.affine for some in self.rows for one in some.residuals)

    def advance(self, at: Iterate, tolerance: float, nearly: Uncoupled | None = None) -> Iterate:
        """One step, with as much of it as lowers the squares.

        Where J is the same everywhere, its factor is kept, and the steps after the first one undo
        what rounding did to that.

        Args:
            at: Where it begins.
            tolerance: Error that is asked for, over the largest coefficients.
            nearly: Nearly the inverse of the normal equations; without it, they are factored.

        Raises:
            ProblemError: The residual is not finite, or the equations are singular.
        """
        iterations = 0
        if nearly is not None:
            D, share, loss, iterations = self._iterated(at.C, tolerance, nearly)
            stiffness = at.stiffness or self.stiffness_of(self._diagonal(at.C))
        elif self.affine:
            stiffness = self._fixed[2]
            D, share, loss, iterations = self._corrected(at.C, tolerance)
        else:
            weights = self.weights(at.C)
            equations = self.normal(at.C, weights)
            loss, stiffness = equations.loss, self.stiffness_of(equations.diagonal)
            D, share = self._searched(at.C, equations, weights)
        size, stalled = self._size(D, at.C), share <= SHORTEST
        rounding = size < SMALL_STEP and size > SLOWER * at.size
        enough = LAST_STEP * (tolerance if self.affine else tolerance**0.5)
        settled = size < enough or rounding
        done = settled or at.steps + 1 >= self.most
        return replace(
            at,
            C=at.C if stalled else at.C + share * D,
            steps=at.steps + 1,
            size=size,
            loss=loss,
            stiffness=stiffness,
            iterations=iterations,
            done=done or stalled,
            stalled=stalled or (done and not settled),
        )

    def unmet(self, at: Iterate, error: Float[np.ndarray, " unknowns"]) -> float:
        """How far the equations and conditions are from being met, over their own terms.

        Args:
            at: Where Newton's method ended.
            error: Of each unknown, that is asked for: a residual that coefficients wrong by as much
                would leave counts as none.
        """
        allowed = float((error * np.array(at.stiffness)).max()) * self.free**0.5
        if at.loss**0.5 <= allowed:
            return 0.0
        return max(some.unmet(at.C) for some in self.rows)

    def condition(self, C: Float[np.ndarray, "unknowns ..."]) -> float:
        """An estimate of the condition of the normal equations, divided by their diagonal.

        Args:
            C: The coefficients.
        """
        if self.affine:
            return self._fixed[0].condition()
        return self.normal(C, self.weights(C)).factor().condition()

    def response(
        self, C: Float[np.ndarray, "unknowns ..."], change: Float[np.ndarray, "unknowns ..."]
    ) -> Float[np.ndarray, "unknowns ..."]:
        """How all coefficients change with those that are given, as far as that is linear.

        Args:
            C: The coefficients.
            change: Of those that are given; zero for the others.
        """
        if self.affine:
            factor, weights, _ = self._fixed
        else:
            weights = self.weights(C)
            factor = self.normal(C, weights).factor()
        ways = [(w, some, some.linear(C)[1]) for w, some in zip(weights, self.rows, strict=True)]
        slope = self.gathered(*(w * some.lifted(g, some.pushed(g, change)) for w, some, g in ways))
        return change + self.spread(factor.step(slope))

    def _searched(
        self, C: Float[np.ndarray, "unknowns ..."], equations: Normal, weights: Sequence[float]
    ) -> tuple[Float[np.ndarray, "unknowns ..."], float]:
        """A step, and the share of it that lowers the squares; with damping where none does."""
        for least in RIDGES:
            factor = equations.factor(least)
            D = self.spread(factor.step(equations.slope))
            share = self._share(C, D, weights, equations.loss)
            if share > SHORTEST:
                break
        return D, share

    def there(self, C: Float[np.ndarray, "unknowns ..."], weights: Sequence[float]) -> float:
        """The sum of squares where a step might lead; infinite where that is too far for the
        equations to be finite.

        Args:
            C: The coefficients there.
            weights: Of each of the rows.
        """
        try:
            with np.errstate(over="ignore"):
                return self.loss(C, weights)
        except ProblemError:
            return math.inf

    def uncoupled(self, C: Float[np.ndarray, "unknowns ..."]) -> Uncoupled:
        """Nearly the inverse of the normal equations of a span.

        Args:
            C: The coefficients.
        """
        rows = [some for some in self.rows if isinstance(some, WeightedRows)]
        slopes = [some.linear(C)[1] for some in rows]
        return uncoupled(rows, slopes, self.weights(C), self.layout)

    @cached_property
    def layout(self) -> SpanLayout:
        """Which parameter of a span belongs to which function of space and which mode."""
        return SpanLayout.of(self.index)

    def _iterated(
        self, C: Float[np.ndarray, "unknowns ..."], tolerance: float, nearly: Uncoupled
    ) -> tuple[Float[np.ndarray, "unknowns ..."], float, float, int]:
        """A step by conjugate gradients, the share of it that lowers the squares, their sum before
        it, and the iterations."""
        weights = self.weights(C)
        linear = [(w, some, *some.linear(C)) for w, some in zip(weights, self.rows, strict=True)]
        slope = self.gathered(*(w * some.lifted(g, r) for w, some, r, g in linear))
        loss = sum(w * float((r**2).sum()) for w, _, r, _ in linear)
        enough, inexact = LAST_STEP * tolerance, 0.0 if self.affine else tolerance**0.5

        def product(v: Float[np.ndarray, " free"]) -> Float[np.ndarray, " free"]:
            D = self.spread(v)
            ways = [w * some.lifted(g, some.pushed(g, D)) for w, some, _, g in linear]
            return self.gathered(*ways)

        def settled(z: Float[np.ndarray, " free"], x: Float[np.ndarray, " free"]) -> bool:
            X = self.spread(x)
            size = self._size(self.spread(z), C + X)
            return size < max(enough, inexact * self._size(X, C))

        found, count = conjugate_gradients(product, nearly, -slope, settled, MOST_ITERATIONS)
        D = self.spread(found)
        return D, self._share(C, D, weights, loss), loss, count

    def _corrected(
        self, C: Float[np.ndarray, "unknowns ..."], tolerance: float
    ) -> tuple[Float[np.ndarray, "unknowns ..."], float, float, int]:
        """The same where J is the same everywhere, by its factor: conjugate gradients undo what
        rounding, and the ridge, did to that."""
        factor, weights, _ = self._fixed
        linear = [some.linear(C) for some in self.rows]

        def settled(z: Float[np.ndarray, " free"], x: Float[np.ndarray, " free"]) -> bool:
            return self._size(self.spread(z), C + self.spread(x)) < LAST_STEP * tolerance

        slopes = [g for _, g in linear]
        found, count = self.nearest(factor, weights, slopes, [-r for r, _ in linear], settled)
        squares = sum(w * float((r**2).sum()) for w, (r, _) in zip(weights, linear, strict=True))
        return self.spread(found), 1.0, squares, count

    def nearest(
        self,
        factor: BandFactor | BorderedFactor,
        weights: Sequence[float],
        slopes: Sequence[Float[np.ndarray, "_ _ _"]],
        right: Sequence[Float[np.ndarray, "_ _"]],
        settled: Settled,
    ) -> tuple[Float[np.ndarray, " free"], int]:
        """What minimises the weighted squares of J d - right, by conjugate gradients, which undo
        what rounding, and the ridge, did to a factor; and the iterations.

        Args:
            factor: Of the normal equations.
            weights: Of each of the rows.
            slopes: Partials of each of the rows [points, rows, leaves].
            right: What each of the rows comes near to [points, rows].
            settled: See `of_least_squares`.
        """
        ways = zip(weights, self.rows, slopes, right, strict=True)
        linear = [(weight**0.5, some, g, r) for weight, some, g, r in ways]
        ends = np.cumsum([r.size for r in right])[:-1]

        def pushed(v: Float[np.ndarray, " free"]) -> Float[np.ndarray, " rows"]:
            D = self.spread(v)
            return np.concatenate([w * some.pushed(g, D).ravel() for w, some, g, _ in linear])

        def lifted(y: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " free"]:
            parts = zip(np.split(y, ends), linear, strict=True)
            each = [w * some.lifted(g, own.reshape(r.shape)) for own, (w, some, g, r) in parts]
            return self.gathered(*each)

        def nearly(v: Float[np.ndarray, " free"]) -> Float[np.ndarray, " free"]:
            return -factor.step(v)

        whole = np.concatenate([w * r.ravel() for w, _, _, r in linear])
        return of_least_squares(pushed, lifted, nearly, whole, settled, MOST_ITERATIONS)

    def _share(
        self,
        C: Float[np.ndarray, "unknowns ..."],
        D: Float[np.ndarray, "unknowns ..."],
        weights: Sequence[float],
        before: float,
    ) -> float:
        """The share of a step that lowers the squares."""
        share = 1.0
        if self._size(D, C) > SURE and not self.affine:
            while share > SHORTEST and not self.there(C + share * D, weights) < before:
                share /= 2
        return share

    def gathered(self, *parts: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, " free"]:
        """Sums by the parameters, of all parts together."""
        numbers, whole = self.index.ravel() + 1, np.sum(parts, axis=0)
        found = np.bincount(numbers, whole.ravel(), self.free + 1)[1:]
        return found if self.border is None else np.r_[found, self.border.gathered(whole)]

    @cached_property
    def _fixed(self) -> tuple[BandFactor | BorderedFactor, tuple[float, ...], tuple[float, ...]]:
        """Where J is the same everywhere: its factor, the weights of the rows and stiffness."""
        zero = np.zeros(self.index.shape)
        weights = self.weights(zero)
        equations = self.normal(zero, weights)
        return equations.factor(), weights, self.stiffness_of(equations.diagonal)

    def spread(self, d: Float[np.ndarray, " free"]) -> Float[np.ndarray, "unknowns ..."]:
        """A step of the parameters as one of all coefficients."""
        found = np.where(self.index >= 0, np.append(d[: self.free], 0.0)[self.index], 0.0)
        if self.border is None:
            return found
        return found + self.border.spread(d[self.free :], found.shape)

    def _diagonal(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, " free"]:
        """Of JᵀJ, all rows together."""
        ways = zip(self.rows, self.weights(C), strict=True)
        return self.gathered(*(weight * some.diagonal(C) for some, weight in ways))

    def stiffness_of(self, diagonal: Float[np.ndarray, " free"]) -> tuple[float, ...]:
        each = np.append(diagonal[: self.free], 0.0)[self.index]
        ways = zip(self._by_unknown(each), self._by_unknown(self.index), strict=True)
        found = [
            float(np.sqrt(own[which >= 0].mean())) if (which >= 0).any() else 0.0
            for own, which in ways
        ]
        if self.border is not None:
            # Such a column is felt in all rows, those of other parameters in few.
            for k in self.border.unknowns:
                own = diagonal[self.free :][self.border.owners == k]
                found[k] = float(np.sqrt(own.mean() / max(self.free, 1)))
        return tuple(found)

    def weakest(self, C: Float[np.ndarray, "unknowns ..."]) -> tuple[float, tuple[int, ...]]:
        """What rows say of the combination of unknowns beside that they say least of, over what
        they would where all else is given; and which unknowns are in it.

        Args:
            C: The coefficients.
        """
        if self.border is None:
            return 1.0, ()
        factor = self._fixed[0] if self.affine else self.normal(C, self.weights(C)).factor()
        assert isinstance(factor, BorderedFactor)
        return factor.remainder.weakest(self.border.owners)

    def normal(self, C: Float[np.ndarray, "unknowns ..."], weights: Sequence[float]) -> Normal:
        """The normal equations.

        Args:
            C: The coefficients.
            weights: Of each of the rows.
        """
        return normal(self.rows, C, self.index, weights, self.border)

    def at(self, points: Float[np.ndarray, "points dims"]) -> sp.csr_matrix:
        """Values of all products at points, [points, functions].

        Args:
            points: Where.
        """
        inside = self.rows[0]
        assert isinstance(inside, WeightedRows)
        return functions_at(inside.axes, points, (0,) * len(inside.axes))

    def _size(
        self, D: Float[np.ndarray, "unknowns ..."], C: Float[np.ndarray, "unknowns ..."]
    ) -> float:
        """Of a step, over the largest coefficient of each unknown."""
        moved = np.array([np.abs(own).max() for own in self._by_unknown(D)])
        largest = np.array([np.abs(own).max() for own in self._by_unknown(C + D)])
        return float((moved / np.maximum(largest, 1e-12 * largest.max() + 1e-300)).max())

    def _by_unknown(self, values: np.ndarray) -> list[np.ndarray]:
        """One value a coefficient, unknown after unknown."""
        return list(values)

    def loss(self, C: Float[np.ndarray, "unknowns ..."], weights: Sequence[float]) -> float:
        """The sum of squares.

        Args:
            C: The coefficients.
            weights: Of each of the rows.
        """
        squares = [float((some.values(C) ** 2).sum()) for some in self.rows]
        return float(np.dot(weights, squares))


def least_squares(
    problem: Formulation, axes: Sequence[Axis], given: Held, tempered: Tempered | None = None
) -> LeastSquares:
    """The squares of a problem on some axes.

    Args:
        problem: What is to be solved.
        axes: Functions of each coordinate.
        given: What the conditions give by themselves.
        tempered: What residuals at points are multiplied by; None for ones.
    """
    axes, unknowns = tuple(axes), problem.unknowns
    if not problem.domain.is_box:
        found = immersed(problem, axes, given, tempered)
        return LeastSquares(found, given.index, given.free, border=given.border)
    inside = [Places.inside(axis, points_of(axis)) for axis in axes]
    count = sum(e.equations for e in problem.equations)
    ones = (1.0,) * count
    equations = with_rule(problem.equations, axes)
    kind = rows_for(equations)
    plain = kind(equations, ones, axes, unknowns, tuple(inside), tempered=tempered)
    rows = [replace(plain, sizes=row_sizes(plain, given.C))]
    for c in given.soft:
        i, lower = problem.coordinates.index(c.face[:-1]), c.face.endswith("-")
        others = [Places.middle(a) for a in axes] if once(c.residual, i) else inside
        places = (*others[:i], Places.end(axes[i], lower), *others[i + 1 :])
        out = tuple(float(k == i) * (-1.0 if lower else 1.0) for k in range(len(axes)))
        own = (1.0,) * c.residual.equations
        residual = with_rule((c.residual,), axes)
        kind = rows_for(residual)
        rows.append(kind(residual, own, axes, unknowns, places, out, c, tempered))
    return LeastSquares(tuple(rows), given.index, given.free, border=given.border)


def bytes_needed(axes: Sequence[Axis], unknowns: int) -> float:
    """What the normal equations take.

    Args:
        axes: Functions of each coordinate.
        unknowns: How many unknowns there are.
    """
    return (bytes_uncoupled if uncouples(axes) else bytes_for)(axes, unknowns)


def operations_needed(axes: Sequence[Axis], unknowns: int) -> float:
    """What a step of Newton's method takes.

    Args:
        axes: Functions of each coordinate.
        unknowns: How many unknowns there are.
    """
    return (operations_uncoupled if uncouples(axes) else operations_for)(axes, unknowns)
