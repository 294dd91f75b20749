"""Numbers that conditions determine, in several coordinates: references with numbers in the place
of parameters, one after another, until the conditions that were left out for them hold (Newton's
method of Gauss)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import BSpline, make_interp_spline
from torch import Tensor

from kanpde.errors import ReferenceUnavailable, SolutionDoubtful, listed
from kanpde.geometry.sampling import unit_points
from kanpde.problem.constraints import Constraint
from kanpde.problem.determined import forward, holds_once
from kanpde.problem.problem import Problem
from kanpde.reference.found import Reference
from kanpde.residual.calculus import Leaf

DEGREES = (7, 5)
"""Of the splines through the values of references, and of those that their error is seen by."""

POINTS_OF_LEFT_OUT = 64
"""At which a condition is looked at."""

SENSED = 1e-4
"""Share of a number by which it is changed for a derivative."""

MOST_NUMBER_STEPS, SHORTEST_SHARE = 20, 1e-3
"""Of Newton's method, and of a step that is tried."""

SETTLED_NUMBERS, REFINED = 1e-6, 3
"""Share of a number below which a step on quick references is the last, and steps on those of the
effort that was asked for."""

PROMISED = 0.5
"""Share of what was left of the conditions that a step should leave at most."""

UNMET_CONDITION = 1e-3
"""Share of its own terms up to which a condition that was left out holds."""

LEAST_SEEN = 1e-10
"""Smallest singular value of what conditions feel of numbers, over the largest one."""

Solve = Callable[[Problem, str], Reference]
"""The reference of a problem, for an effort."""


def with_numbers(problem: Problem, solve: Solve, effort: str) -> Reference:
    """The reference of a problem whose parameters conditions determine.

    Args:
        problem: In more than one coordinate.
        solve: Gives references.
        effort: Of the last one.

    Raises:
        ReferenceUnavailable: There is none with numbers in the place of parameters, or the search
            does not end.
        SolutionDoubtful: No numbers near fulfil the conditions.
    """
    search = _NumberSearch(problem, solve)
    at = search.tried({p.name: p.initial for p in problem.parameters}, "quick")
    slopes = search.slopes(at)
    for _ in range(MOST_NUMBER_STEPS):
        before = at
        at, moved = search.step(before, slopes)
        if moved < SETTLED_NUMBERS:
            break
        slopes = search.updated(before, at, slopes)
    else:
        raise ReferenceUnavailable(
            f"numbers for {search.said} do not settle in {MOST_NUMBER_STEPS} steps"
        )
    if at.unmet > UNMET_CONDITION:
        raise SolutionDoubtful(
            f"no numbers near {at.said} meet {listed(c.label for c in search.left_out)}: what is"
            f" left is {100 * at.unmet:.2g} % of their terms"
        )
    moved = 0.0
    for _ in range(REFINED if effort != "quick" else 0):
        values = dict(at.values)
        if moved:
            values = search.moved(at, slopes, 1.0)
        at = search.tried(values, effort)
        moved = search.length(at, slopes)
        if moved <= search.error(at, slopes).max():
            break
    return search.packed(at, slopes)


@dataclass(frozen=True)
class _Trial:
    """A reference with numbers, and what the conditions that were left out say of it.

    Attributes:
        values: The numbers.
        found: The reference.
        missed: Residuals of the conditions.
        error: Of these, as far as that is known.
        sizes: Of the terms of the conditions.
        effort: Of the reference.
    """

    values: Mapping[str, float]
    found: Reference
    missed: Float[np.ndarray, " rows"]
    error: Float[np.ndarray, " rows"]
    sizes: Float[np.ndarray, " rows"]
    effort: str

    @property
    def loss(self) -> float:
        """Root of the sum of squares, each over its terms."""
        return float(np.linalg.norm(self.missed / self.sizes))

    @property
    def unmet(self) -> float:
        """The largest residual over its terms."""
        return float((np.abs(self.missed) / self.sizes).max())

    @property
    def said(self) -> str:
        """The numbers in words."""
        return ", ".join(f"{name} = {value:.4g}" for name, value in self.values.items())


class _NumberSearch:
    """The search for numbers.

    Args:
        problem: See `with_numbers`.
        solve: See there.
    """

    def __init__(self, problem: Problem, solve: Solve):
        self.problem, self._solve = problem, solve
        self.names = [p.name for p in problem.parameters]
        self.said = listed(self.names)
        self.left_out = forward(problem, {p.name: p.initial for p in problem.parameters})[1]

    def tried(self, values: Mapping[str, float], effort: str) -> _Trial:
        """A reference with numbers.

        Args:
            values: The numbers.
            effort: Of the reference.

        Raises:
            ReferenceUnavailable: There is none.
        """
        problem, left_out = forward(self.problem, values)
        if problem is None or len(left_out) < len(self.names):
            raise ReferenceUnavailable(
                f"without {listed(c.label for c in left_out)} there is no one solution for given"
                f" numbers in the place of {self.said}"
            )
        found = self._solve(problem, effort)
        fine, coarse = (_Reading(found, values, degree) for degree in DEGREES)
        each = [_of(self.problem, c, fine) for c in left_out]
        other = [_of(self.problem, c, coarse)[0] for c in left_out]
        missed, own, sizes = (np.concatenate(part) for part in zip(*each, strict=True))
        error = np.abs(np.concatenate(other) - missed) + own
        return _Trial(values, found, missed, error, sizes, effort)

    def slopes(self, at: _Trial) -> Float[np.ndarray, "rows numbers"]:
        """Derivatives of the residuals by the numbers, over the sizes of the terms.

        Args:
            at: Where.
        """
        columns = []
        for p in self.problem.parameters:
            step = SENSED * (abs(at.values[p.name]) or abs(p.initial) or 1.0)
            inside = p.low < at.values[p.name] + step < p.high
            step = step if inside else -step
            there = self.tried({**at.values, p.name: at.values[p.name] + step}, at.effort)
            columns.append((there.missed - at.missed) / step / at.sizes)
        return np.stack(columns, 1)

    def updated(
        self, before: _Trial, at: _Trial, slopes: Float[np.ndarray, "rows numbers"]
    ) -> Float[np.ndarray, "rows numbers"]:
        """The same derivatives after a step, by what it brought (Broyden 1965); by differences
        where that was not what they had promised.

        Args:
            before: Where it began.
            at: Where it ended.
            slopes: The derivatives where it began.
        """
        step = np.array([at.values[name] - before.values[name] for name in self.names])
        scales = np.array([abs(at.values[name]) or 1.0 for name in self.names])
        if at.loss > PROMISED * before.loss and at.loss > SETTLED_NUMBERS:
            return self.slopes(at)
        here = slopes * (before.sizes / at.sizes)[:, None]
        brought = (at.missed - before.missed) / at.sizes - here @ step
        way = step / scales
        return here + np.outer(brought, way / scales) / max(float(way @ way), 1e-300)

    def moved(
        self, at: _Trial, slopes: Float[np.ndarray, "rows numbers"], share: float
    ) -> dict[str, float]:
        """The numbers after a share of a step.

        Args:
            at: Where it begins.
            slopes: What the conditions feel of the numbers there.
            share: Of the step.
        """
        step = share * (_inverse(slopes, self.said) @ (at.missed / at.sizes))
        return {name: at.values[name] - float(d) for name, d in zip(self.names, step, strict=True)}

    def length(self, at: _Trial, slopes: Float[np.ndarray, "rows numbers"]) -> float:
        """Of a step, over the numbers.

        Args:
            at: Where it begins.
            slopes: What the conditions feel of the numbers.
        """
        then = self.moved(at, slopes, 1.0)
        return max(abs(then[n] - at.values[n]) / (abs(then[n]) or 1.0) for n in self.names)

    def step(self, at: _Trial, slopes: Float[np.ndarray, "rows numbers"]) -> tuple[_Trial, float]:
        """As much of a step as brings the conditions nearer, and its length.

        Args:
            at: Where it begins.
            slopes: What the conditions feel of the numbers there.

        Raises:
            ReferenceUnavailable: None does.
        """
        whole, share = self.length(at, slopes), 1.0
        while share > SHORTEST_SHARE:
            values = self.moved(at, slopes, share)
            if all(p.low < values[p.name] < p.high for p in self.problem.parameters):
                try:
                    there = self.tried(values, at.effort)
                except ReferenceUnavailable:
                    there = None
                if there is not None and (whole < SETTLED_NUMBERS or there.loss < at.loss):
                    return there, share * whole
            share /= 2
        if at.unmet <= UNMET_CONDITION:
            return at, 0.0  # by rounding
        raise ReferenceUnavailable(
            f"no numbers near {at.said} bring {listed(c.label for c in self.left_out)} nearer to"
            " being met"
        )

    def error(
        self, at: _Trial, slopes: Float[np.ndarray, "rows numbers"]
    ) -> Float[np.ndarray, " numbers"]:
        """Of the numbers, over their sizes, by that of the conditions and the last step.

        Args:
            at: The last trial.
            slopes: What the conditions feel of the numbers.
        """
        sizes = np.array([abs(at.values[name]) or 1.0 for name in self.names])
        return np.abs(_inverse(slopes, self.said)) @ (at.error / at.sizes) / sizes

    def packed(self, at: _Trial, slopes: Float[np.ndarray, "rows numbers"]) -> Reference:
        """The reference with its numbers and their errors.

        Args:
            at: The last trial.
            slopes: What the conditions feel of the numbers.
        """
        then = self.moved(at, slopes, 1.0)
        last = [abs(then[n] - at.values[n]) / (abs(at.values[n]) or 1.0) for n in self.names]
        own = dict(zip(self.names, (self.error(at, slopes) + last).tolist(), strict=True))
        found = at.found
        return replace(
            found,
            kind=f"{found.kind}, for {self.said} by Newton's method",
            numbers=dict(at.values),
            estimated_error=max(found.estimated_error, *own.values()),
            estimated_errors={**(found.estimated_errors or {}), **own},
            scales={**(found.scales or {}), **{n: abs(v) or 1.0 for n, v in at.values.items()}},
        )


def _inverse(
    slopes: Float[np.ndarray, "rows numbers"], said: str
) -> Float[np.ndarray, "numbers rows"]:
    """The inverse of least squares. Raises SolutionDoubtful where there is none."""
    lengths = np.linalg.norm(slopes, axis=0)
    if not lengths.all() or np.linalg.cond(slopes / lengths) > 1 / LEAST_SEEN:
        raise SolutionDoubtful(f"the conditions do not determine {said}")
    return np.linalg.pinv(slopes / lengths) / lengths[:, None]


class _Reading:
    """A reference and its numbers as functions.

    Args:
        found: The reference.
        numbers: The numbers.
        degree: Of splines through its values.
    """

    def __init__(self, found: Reference, numbers: Mapping[str, float], degree: int):
        self.found, self.numbers, self.degree = found, numbers, degree

    @cached_property
    def splines(self) -> dict[str, tuple[list[Float[np.ndarray, " knots"]], np.ndarray]]:
        """Knots along every coordinate and coefficients, by unknown."""
        return {u: self._spline(values) for u, values in self.found.values.items()}

    def _spline(self, values: np.ndarray) -> tuple[list[Float[np.ndarray, " knots"]], np.ndarray]:
        if not np.isfinite(values).all():
            raise ReferenceUnavailable("values at other places on a domain that is no box")
        knots = []
        for i, x in enumerate(self.found.coordinates.values()):
            one = make_interp_spline(x, values, self.degree, axis=i)
            values = np.moveaxis(one.c, 0, i)
            knots.append(one.t)
        return knots, values

    def __call__(
        self, points: Float[Tensor, "points dims"], leaves: Sequence[Leaf]
    ) -> Float[Tensor, "points leaves"]:
        at = points.numpy()
        columns = [self._of(leaf, at) for leaf in leaves]
        return torch.from_numpy(np.stack(columns, 1))

    def _of(self, leaf: Leaf, at: Float[np.ndarray, "points dims"]) -> Float[np.ndarray, " points"]:
        unknown, index = leaf
        if unknown in self.numbers:
            return np.full(len(at), 0.0 if any(index) else self.numbers[unknown])
        knots, values = self.splines[unknown]
        value = np.broadcast_to(values, (len(at), *values.shape))
        for t, x, order in zip(knots, at.T, index, strict=True):
            ones = BSpline(t, np.eye(len(t) - self.degree - 1), self.degree)
            value = np.einsum("pa...,pa->p...", value, ones(x, nu=order))
        return value


def _of(
    problem: Problem, constraint: Constraint, reading: _Reading
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """Residuals of a condition, the error that the reference's own brings to them, and the sizes of
    their terms."""
    domain, residual = problem.domain, constraint.residual
    count = 1 if holds_once(constraint, domain) else POINTS_OF_LEFT_OUT
    points = domain.boundary(constraint.face, unit_points(count, len(domain.coordinates) - 1, 0))
    at = dict(zip(domain.coordinates, points.T, strict=True))
    if constraint.where is not None:
        points = points[constraint.where(at)]
        at = dict(zip(domain.coordinates, points.T, strict=True))
    outward = domain.normals(constraint.face, points)
    normal = dict(zip(domain.coordinates, outward.T, strict=True))
    columns, leaves = residual.supplied(at, reading, normal)
    r, g = residual(at, columns, normal)
    assert g is not None
    found = reading.found
    errors, scales = found.estimated_errors or {}, found.scales or {}
    own = columns.new_tensor([errors.get(u, 0.0) * scales.get(u, 0.0) for u, _ in leaves])
    terms = g * columns[:, None]
    rest = r - terms.sum(2)
    sizes = (terms.square().sum(2) + rest.square()).mean(0, keepdim=True).sqrt().expand(r.shape)
    parts = (r, (g.abs() * own).sum(2), sizes.clamp_min(math.sqrt(np.finfo(float).tiny)))
    mean = math.sqrt(len(points))
    missed, error, size = (part.numpy().ravel() for part in parts)
    return missed / mean, error / mean, size
