"""Newton's method where equations hold at as many points as there are coefficients: on a span of
time, Greville's points or the knots in space and Radau's in time.

The linear equations of a step are solved by GMRES (Saad and Schultz 1986), which the inverse of
those with coefficients that do not vary makes quick. Nothing is formed that is larger than the
coefficients of a few spans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator, gmres

from kanpde.errors import ProblemError
from kanpde.products.axes import Modes, along
from kanpde.products.kronecker import Kronecker, Slopes
from kanpde.products.lines import Line, PointsBetween, times
from kanpde.products.newton import Iterate
from kanpde.products.stages import Stages
from kanpde.products.tensor import Product
from kanpde.products.wrapped import Wrapped
from kanpde.residual.calculus import Leaf, MultiIndex
from kanpde.residual.residual import Residual, check_finite

MOST_STEPS_AT_POINTS = 10
"""Steps after which Newton's method gives up."""

SHARE_LEFT = 1e-2
"""What Newton's method may leave, over the tolerance."""

INEXACT = 1e-2
"""What GMRES may leave of a step that others follow, over the step."""

SINGLE = 1e-5
"""What GMRES may leave, over the step, for which single precision is enough."""

KRYLOV = 60
"""Iterations of GMRES at most, and vectors that it keeps."""

OF_NO_USE = 0.5
"""What GMRES may leave of a step, over the step, for the step to be of use."""

DIVERGED = 100.0
"""Size of a step, over the largest values, from which there is no hope."""


CONTINUED = 5
"""Points of a polynomial by which it is continued after its span."""


ALMOST = 0.7
"""Of what Newton's method may leave, for what is quadratic in its last step."""

LEAST_LEFT = 1e-13
"""What GMRES may leave, at least."""

ABOUT = 1e-2
"""What GMRES may leave of errors: more of it would grow from span to span where coefficients vary
much."""

POINTS_AT_A_TIME = 8192
"""At which residuals are evaluated."""

Ways = Sequence[Line | PointsBetween]
"""Points along each coordinate of space."""


@dataclass(frozen=True, eq=False)
class Collocated:
    """The equations of a span at the points of collocation.

    Attributes:
        residuals: Of the equations.
        unknowns: Their names.
        lines: Of every unknown, along each coordinate of space.
        stages: In time.
    """

    residuals: tuple[Residual, ...]
    unknowns: tuple[str, ...]
    lines: tuple[tuple[Line, ...], ...]
    stages: Stages

    @property
    def affine(self) -> bool:
        """Whether J is the same everywhere."""
        return all(one.affine for one in self.residuals)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Of what is unknown: unknowns, free modes in time, points in space."""
        return len(self.lines), len(self.stages.share), *(len(line.at) for line in self.lines[0])

    @cached_property
    def needs(self) -> tuple[Leaf, ...]:
        """All derivatives that the residuals depend on."""
        return tuple(dict.fromkeys(leaf for one in self.residuals for leaf in one.needs))

    @cached_property
    def leaves(self) -> tuple[tuple[int, MultiIndex], ...]:
        """The same by number of the unknown."""
        return tuple((self.unknowns.index(u), index) for u, index in self.needs)

    @property
    def equations(self) -> int:
        """How many there are, all residuals together."""
        return sum(one.equations for one in self.residuals)

    def advance(self, at: Iterate, tolerance: float, nearly: Kronecker | Wrapped) -> Iterate:
        """One step of Newton's method.

        Args:
            at: Where it begins.
            tolerance: Error that is asked for, over the largest values.
            nearly: The inverse of equations near to these.

        Raises:
            ProblemError: The residual is not finite.
        """
        r, slopes = self.linear(at.C)
        enough = SHARE_LEFT * tolerance
        change, count, left = self.solved(slopes, -r, nearly, partial(self._goal, at.C, enough))
        C = at.C + self.lifted(change)
        size = self._size(change, C)
        # Where J changes, what a step leaves is quadratic in it.
        rest = left * size + (0.0 if self.affine else size**2)
        settled = rest < enough
        lost = not np.isfinite(size) or left > OF_NO_USE or size > DIVERGED
        worse = at.steps > 1 and size > at.size and size > enough
        stalled = not settled and (lost or worse or at.steps + 1 >= MOST_STEPS_AT_POINTS)
        return replace(
            at,
            C=C if np.isfinite(size) else at.C,
            steps=at.steps + 1,
            size=size,
            loss=float((r**2).sum()),
            stiffness=at.stiffness or self.stiffness(slopes),
            iterations=count,
            done=settled or stalled,
            stalled=stalled,
        )

    def nearly_inverted(self, slopes: Slopes) -> Kronecker | Wrapped:
        """The inverse of equations near to these, whose coefficients do not vary.

        Args:
            slopes: Of the equations.
        """
        about = typical(slopes, self.equations, len(self.leaves))
        if all(line.equal for own in self.lines for line in own):
            return Wrapped.of(self.lines[0], self.stages, self.leaves, about)
        return Kronecker.of(self.lines, self.stages, self.leaves, about)

    def solved(
        self,
        slopes: Slopes,
        right: Float[np.ndarray, "unknowns stages x y"],
        nearly: Kronecker | Wrapped,
        goal: Callable[[Float[np.ndarray, " ..."]], float],
    ) -> tuple[Float[np.ndarray, "unknowns modes x y"], int, float]:
        """What solves J d = right, the iterations, and what is left of the right side, over it.

        Args:
            slopes: Of the equations.
            right: Of the equations, at the points.
            nearly: The inverse of equations near to these.
            goal: What may be left of it, over it, from what the nearly inverse makes of it.
        """
        begin = nearly(right)
        share = goal(begin)
        if share > SINGLE:
            nearly = nearly.in_single_precision
            slopes = [(e, a, slope.astype(np.float32)) for e, a, slope in slopes]
            begin = begin.astype(np.float32)
        multiplied = self._preconditioned(slopes, nearly)
        count = 0

        def product(d: Float[np.ndarray, " all"]) -> Float[np.ndarray, " all"]:
            nonlocal count
            count += 1
            return multiplied(d.reshape(self.shape)).ravel()

        whole = float(np.linalg.norm(begin))
        if not np.isfinite(whole) or not whole:
            return begin, 0, 0.0 if not whole else np.inf
        operator = LinearOperator((begin.size,) * 2, matvec=product, dtype=begin.dtype)
        d, _ = gmres(operator, begin.ravel(), rtol=share, atol=0.0, restart=KRYLOV, maxiter=1)
        left = float(np.linalg.norm(begin.ravel() - product(d))) / whole
        return d.reshape(self.shape), count, left

    def _preconditioned(
        self, slopes: Slopes, nearly: Kronecker | Wrapped
    ) -> Callable[[Float[np.ndarray, " ..."]], Float[np.ndarray, " ..."]]:
        """What multiplies a change by J, nearly inverted."""
        if isinstance(nearly, Wrapped):
            return nearly.product(slopes)
        return lambda d: nearly(self.pushed(slopes, d))

    def pushed(
        self,
        slopes: Slopes,
        d: Float[np.ndarray, "unknowns modes x y"],
    ) -> Float[np.ndarray, "unknowns stages x y"]:
        """J times a change.

        Args:
            slopes: Of the equations.
            d: The change, of free modes in time of values at the points, or of all.
        """
        order = self.stages.modes.size - d.shape[1]
        known: dict[tuple[int, ...], Float[np.ndarray, "stages x y"]] = {}
        found = np.zeros(self.shape, d.dtype)
        for a, (k, index) in enumerate(self.leaves):
            own = [(e, slope) for e, b, slope in slopes if a == b]
            if not own:
                continue
            x, y, t = index
            if (k, t) not in known:
                known[k, t] = times(self.stages.rates[t][:, order:], d[k], 0)
            values = known[k, t]
            if x:
                if (k, t, x) not in known:
                    known[k, t, x] = times(self.lines[k][0].derivatives[x], values, 1)
                values = known[k, t, x]
            if y:
                values = times(self.lines[k][1].derivatives[y], values, 2)
            for e, slope in own:
                found[e] += slope * values
        return found

    def linear(
        self, C: Float[np.ndarray, "unknowns ..."], ways: Ways | None = None
    ) -> tuple[Float[np.ndarray, "equations stages x y"], Slopes]:
        """The equations at the points, and their partials.

        Some points are looked at at once, of which all that is asked for stays in a cache.

        Args:
            C: The coefficients.
            ways: Other points along each coordinate of space, at which no partials are wanted.

        Raises:
            ProblemError: The residual is not finite.
        """
        leaves, residuals = self.needs, self.residuals
        places = self.lines[0] if ways is None else ways
        shape = (len(self.stages.share), *(len(way.at) for way in places))
        values = [one.ravel() for one in self.derivatives(C, places)]
        names = residuals[0].coordinates
        grid = [*(way.at for way in places), self.stages.at]
        found = np.empty((self.equations, int(np.prod(shape))))
        pieces: dict[tuple[int, int], list[Float[np.ndarray, " some"]]] = {}
        for low in range(0, found.shape[1], POINTS_AT_A_TIME):
            some = slice(low, low + POINTS_AT_A_TIME)
            here = np.arange(low, min(low + POINTS_AT_A_TIME, found.shape[1]))
            t, x, y = np.unravel_index(here, shape)
            columns = [torch.from_numpy(at[i]) for at, i in zip(grid, (x, y, t), strict=True)]
            at, first = dict(zip(names, columns, strict=True)), 0
            for one in residuals:
                which = [leaves.index(leaf) for leaf in one.needs]
                D = torch.from_numpy(np.stack([values[a][some] for a in which])).T
                r, g = one(at, D, partials=ways is None)
                if not bool(r.isfinite().all()):
                    check_finite(one, r, at, D)
                    raise ProblemError(f"{one.name}: the solution is not finite any more")
                found[first : first + one.equations, some] = r.numpy().T
                each = None if g is None else g.permute(1, 2, 0).contiguous().numpy()
                for e, b in np.ndindex(each.shape[:2] if each is not None else (0, 0)):
                    assert each is not None
                    own = each[e, b]
                    same = own[:1] if own[-1] == own[0] and (own == own[0]).all() else own
                    pieces.setdefault((first + e, which[b]), []).append(same)
                first += one.equations
        slopes = [(e, a, self._together(each)) for (e, a), each in pieces.items()]
        return found.reshape(-1, *shape), [one for one in slopes if one[2].any()]

    def derivatives(
        self, C: Float[np.ndarray, "unknowns ..."], ways: Ways
    ) -> list[Float[np.ndarray, "stages x y"]]:
        """All derivatives at points.

        Args:
            C: The coefficients.
            ways: The points along each coordinate of space.
        """
        known: dict[tuple[int, ...], Float[np.ndarray, " ..."]] = {}
        found = []
        for k, (x, y, t) in self.leaves:
            if (k, t) not in known:
                known[k, t] = times(self.stages.rates[t], np.moveaxis(C[k], -1, 0), 0)
            if (k, t, x) not in known:
                moved = known[k, t].transpose(0, 2, 1)
                known[k, t, x] = along([ways[0].matrix(x)], moved).transpose(0, 2, 1)
            found.append(along([ways[1].matrix(y)], known[k, t, x]))
        return found

    def _together(self, pieces: list[Float[np.ndarray, " _some"]]) -> Float[np.ndarray, " ..."]:
        """A partial at all points, or one number where it is the same at all."""
        if all(len(one) == 1 and one[0] == pieces[0][0] for one in pieces):
            return pieces[0][0:1].reshape(())
        size, found = int(np.prod(self.shape[1:])), np.empty(self.shape[1:])
        for k, one in enumerate(pieces):
            low = k * POINTS_AT_A_TIME
            found.reshape(size)[low : low + POINTS_AT_A_TIME] = one
        return found

    def lifted(
        self, d: Float[np.ndarray, "unknowns modes x y"]
    ) -> Float[np.ndarray, "unknowns ..."]:
        """The coefficients of a change of values at the points.

        Args:
            d: The change, of free modes in time, or of all.
        """
        order = self.stages.modes.size - d.shape[1]
        shape = [line.axis.size for line in self.lines[0]]
        found = np.zeros((len(d), *shape, self.stages.modes.size))
        for k, (along_x, along_y) in enumerate(self.lines):
            own = along_y.lifted(along_x.lifted(d[k], 1), 2)
            found[k, ..., order:] = np.moveaxis(own, 0, -1)
        return found

    def begun(
        self, given: Float[np.ndarray, "unknowns ..."], guess: Product
    ) -> Float[np.ndarray, "unknowns ..."]:
        """Coefficients to begin with, near to functions that are known on another span.

        Args:
            given: The coefficients, right where they are given.
            guess: The functions.
        """
        lines, order = self.lines[0], self.stages.modes.order
        *space, modes = guess.axes
        assert isinstance(modes, Modes)
        ways = [axis.matrix(line.at) for axis, line in zip(space, lines, strict=True)]
        ways.append(_continued(modes, self.stages.at))
        own = [*(line.matrix(0) for line in lines), self.stages.rates[0]]
        apart = np.stack([along(ways, one) for one in guess.C])
        apart -= np.stack([along(own, one) for one in given])
        back = np.linalg.inv(self.stages.rates[0][:, order:])
        return given + self.lifted(times(back, np.moveaxis(apart, -1, 1), 1))

    @cached_property
    def _with_one_more_stage(self) -> Collocated:
        modes = self.stages.modes
        return replace(self, stages=Stages.of(replace(modes, degree=modes.degree + 1)))

    def drifted(
        self, C: Float[np.ndarray, "unknowns ..."], before: Product | None
    ) -> tuple[Product, float]:
        """What is wrong in a span, about: what follows from equations that are met at the points
        alone, and from what was wrong before; and the share of errors in time of what is new.

        Between the points residuals are not zero. In space, the nearest splines to them have the
        sources of errors at the points; in time, those at one more point are.

        Args:
            C: The coefficients.
            before: What was wrong in the span before; None where nothing was.
        """
        finer = self._with_one_more_stage
        modes, lines = finer.stages.modes, self.lines[0]
        known = np.concatenate([C, np.zeros_like(C[..., :1])], -1)
        between = [line.between for line in lines]
        source = finer.linear(known, between)[0]
        for i, way in enumerate(between):
            source = way.nearest(source, 2 + i)
        in_time, slopes = finer.linear(known)
        whole = np.zeros((len(self.lines), modes.size, *self.shape[2:]))
        if before is not None:
            begin = [line.at for line in lines] + [before.axes[-1].breaks[1:]]
            for k, n in np.ndindex(len(self.lines), modes.order):
                start = before.on_grid(k, begin, (0, 0, n))[..., 0]
                whole[k, n] = start * modes.half**n
        right = -source - finer.pushed(slopes, whole)
        nearly = finer.nearly_inverted(slopes)
        end = modes.matrix(modes.breaks[1:]).toarray()[:, modes.order :]
        new = [np.abs(times(end, nearly(one), 1)).max() for one in (in_time, source - in_time)]
        whole[:, modes.order :] = finer.solved(slopes, right, nearly, lambda _: ABOUT)[0]
        found = Product((*(line.axis for line in lines), modes), finer.lifted(whole))
        return found, float(new[0] / max(sum(new), 1e-300))

    def stiffness(self, slopes: Slopes) -> tuple[float, ...]:
        """Roots of the mean diagonal of JᵀJ, an unknown each, about.

        Args:
            slopes: Of the equations.
        """
        found = np.zeros(len(self.lines))
        for _, a, slope in slopes:
            k, index = self.leaves[a]
            ways = [*(line.derivatives for line in self.lines[k]), self.stages.rates]
            sizes = [
                float(np.square(way[n]).sum(0).mean()) for way, n in zip(ways, index, strict=True)
            ]
            found[k] += float(np.square(slope).mean()) * float(np.prod(sizes))
        return tuple(np.sqrt(found).tolist())

    def _goal(
        self,
        C: Float[np.ndarray, "unknowns ..."],
        enough: float,
        begin: Float[np.ndarray, "unknowns modes x y"],
    ) -> float:
        """What GMRES may leave of a step, over the step: where it is to be the last one, what is
        enough.

        Args:
            C: The coefficients before it.
            enough: What Newton's method may leave.
            begin: The step, about.
        """
        size = self._size(begin, C)
        last = self.affine or size**2 < ALMOST * enough
        wanted = (1 - ALMOST) * enough / max(size, 1e-300)
        return float(min(INEXACT, max(LEAST_LEFT, wanted))) if last else INEXACT

    def _size(
        self, d: Float[np.ndarray, "unknowns modes x y"], C: Float[np.ndarray, "unknowns ..."]
    ) -> float:
        """Of a step, over the largest coefficient of each unknown."""
        moved = np.abs(d).reshape(len(d), -1).max(1)
        largest = np.abs(C).reshape(len(C), -1).max(1)
        return float((moved / np.maximum(largest, 1e-12 * largest.max() + 1e-300)).max())


def _continued(modes: Modes, at: Float[np.ndarray, " points"]) -> Float[np.ndarray, "points modes"]:
    """Values of polynomials at times, from modes; after their own span those of the polynomial of
    lower degree that is theirs at some times of it."""
    s = (at - modes.breaks[0]) / (2 * modes.half)
    late = s > 1 + 1e-9
    found = modes.matrix(at).toarray()
    count = min(modes.size, CONTINUED)
    nodes = 1 - (1 - np.cos(np.pi * np.arange(count) / (count - 1))) / 2
    of_nodes = np.linalg.inv(np.vander(nodes, count))
    there = modes.matrix(modes.breaks[0] + 2 * modes.half * nodes).toarray()
    found[late] = np.vander(s[late], count) @ of_nodes @ there
    return found


def typical(slopes: Slopes, equations: int, leaves: int) -> Float[np.ndarray, "equations leaves"]:
    """One number for each of the partials: between those of one sign the geometric mean of the
    least and the largest, else the mean.

    Args:
        slopes: The partials.
        equations: How many there are.
        leaves: How many derivatives there are.
    """
    found = np.zeros((equations, leaves))
    for e, a, slope in slopes:
        low, high = float(slope.min()), float(slope.max())
        one_sign = low * high > 0
        found[e, a] = np.sign(low) * (low * high) ** 0.5 if one_sign else float(slope.mean())
    return found
