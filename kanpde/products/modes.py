"""Eigenvalue problems by products of splines: on each mesh, iteration with the inverse of J(σ) in
the sense of least squares, for σ near the eigenvalues.

Where J(λ) x = J(σ) x + (λ - σ) J' x = 0, the map x ↦ argmin |J(σ) w + J' x| takes x to x / (λ - σ):
its largest eigenvalues, which Arnoldi's method finds (ARPACK: Lehoucq, Sorensen and Yang 1998), are
those of the λ nearest to σ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy  # whose parts are imported when they are first used
import torch
from jaxtyping import Complex, Float

from kanpde.errors import ProblemError
from kanpde.problem.pencil import (
    EQUAL,
    FOUND_BESIDE,
    NEAR_ZERO,
    NEARLY_REAL,
    Pencil,
    asked_for,
    groups_of,
    matched,
    real_ones,
    real_vector,
    shift_for,
    turned,
    unshifted,
)
from kanpde.problem.problem import Problem
from kanpde.products.axes import Axis, SplineAxis
from kanpde.products.estimates import evenly
from kanpde.products.held import held, with_constants
from kanpde.products.inside import curved
from kanpde.products.measured import MisfitRows
from kanpde.products.newton import (
    LAST_STEP,
    Iterate,
    LeastSquares,
    bytes_needed,
    least_squares,
    operations_needed,
)
from kanpde.products.normal import normal
from kanpde.products.progress import Progress, Settings
from kanpde.products.refining import RefinedProducts
from kanpde.products.tensor import Product

WHOLE_SPECTRUM = 800
"""Coefficients of one solution up to which all eigenvalues of a mesh are found."""

COARSE_CELLS = 3
"""Along each coordinate, of the first mesh where those there are have more."""

ARNOLDI = 1e-5
"""Share of the tolerance to which Arnoldi's method finds eigenvalues of the inverse, whose products
are rounded."""

NEARLY_SOLVES = 0.5
"""Square of the cosine between J(σ) v and J' v, from which v is a function of the problem: where it
solves the equations, they are parallel."""

COUNTED_ABOVE = 1e-3
"""Estimate of a mesh from which the next one is asked again which eigenvalue is the how manyth."""

POINTS_OF_NORM = 150
"""Along each coordinate of the bounding box of a domain that is no box."""

LIGHT = 1e-200
"""Stiffness of eigenvalues, which take no part in what amplitudes weigh."""


class RefinedModes(RefinedProducts):
    """The way of an eigenvalue problem through finer and finer cells.

    Args:
        problem: What is to be solved; it has a pencil.
        settings: How.
    """

    problem: Pencil

    def __init__(self, problem: Problem, settings: Settings):
        super().__init__(problem, settings)
        self._exact = all(u in problem.exact for m in self.problem.modes for u in m.unknowns)

    def _begun(self, progress: Progress) -> Iterate:
        """Nothing, but the numbers where the search begins."""
        return Iterate(held(self.problem, progress.axes, {}).C)

    def _stepped(self, progress: Progress) -> Progress:
        """The eigenvalues and functions on the mesh."""
        axes, modes = progress.axes, self.problem.modes
        asked = np.array(progress.eigenvalues[: len(modes)])
        known = np.array(progress.eigenvalues)
        if self.curved is None:
            every = self._look(axes, not progress.eigenvalues)
        else:
            every = None if progress.estimate <= COUNTED_ABOVE else self._look_near(axes)
        if every is not None:
            asked = asked_for(modes, every)
            known = np.append(real_ones(every), asked)
        shift, count = shift_for(asked, known)
        shifted = ShiftedSquares(self.problem, axes, shift, self.settings.tolerance)
        values, vectors = shifted.nearest(count + FOUND_BESIDE)
        real = np.abs(values.imag) <= NEARLY_REAL * np.maximum(
            np.abs(values), np.abs(values - shift)
        )
        chosen = matched(asked, values.real)
        if not real[chosen].all():
            worst = values[chosen][~real[chosen]][0]
            raise ProblemError(
                f"Eigenvalue({modes[0].eigenvalue!r}): {worst:.6g} is complex; real ones are found,"
                " and those of real equations for the parts of a Complex(…) unknown"
            )
        C = self._mixed(progress, shifted, values, vectors, chosen)
        found = [float(values[k].real) for k in chosen]
        others = [float(v.real) for k, v in enumerate(values) if k not in chosen and real[k]]
        at = Iterate(
            C,
            steps=1,
            size=0.0,
            loss=shifted.loss(C),
            stiffness=(*(shifted.stiffness * len(modes)), *((LIGHT,) * len(modes))),
            done=True,
        )
        numbers = (*found, *others)
        return replace(progress, at=at, step=progress.step + 1, eigenvalues=numbers)

    def _look(self, axes: Sequence[Axis], first: bool) -> Complex[np.ndarray, " some"] | None:
        """All eigenvalues on a mesh, which say which is the how manyth; None where they are many.
        The first time there are few, if need be on a coarser mesh."""
        size = math.prod(axis.size for axis in axes) * len(self.problem.modes[0].unknowns)
        if size > WHOLE_SPECTRUM:
            if not first:
                return None
            splines = (axis for axis in axes if isinstance(axis, SplineAxis))
            axes = [evenly(one, COARSE_CELLS + one.degree * one.periodic) for one in splines]
        tolerance = self.settings.tolerance
        shift = -NEAR_ZERO * ShiftedSquares(self.problem, axes, 0.0, tolerance).largest
        return ShiftedSquares(self.problem, axes, shift, tolerance).every()

    def _look_near(self, axes: Sequence[Axis]) -> Complex[np.ndarray, " some"]:
        """The eigenvalues nearest to zero, from where they are counted, or nearest to what is asked
        for. Functions that are hardly felt in a domain have others, which are no solutions."""
        modes, tolerance = self.problem.modes, self.settings.tolerance
        known = {mode.near for mode in modes if mode.near is not None} or {0.0}
        count = max(mode.which or 1 for mode in modes) + 2 * FOUND_BESIDE
        found = []
        for near in sorted(known):
            step = NEAR_ZERO * ShiftedSquares(self.problem, axes, near, tolerance).largest
            shifted = ShiftedSquares(self.problem, axes, near - step, tolerance)
            values, vectors = shifted.nearest(count)
            ways = zip(values, vectors.T, strict=True)
            found += [v for v, x in ways if shifted.parallel(real_vector(x, v)) > NEARLY_SOLVES]
        return np.array(found)

    def _mixed(
        self,
        progress: Progress,
        shifted: ShiftedSquares,
        values: Complex[np.ndarray, " some"],
        vectors: Complex[np.ndarray, "free some"],
        chosen: Sequence[int],
    ) -> Float[np.ndarray, "unknowns ..."]:
        """The coefficients of all unknowns: functions of one eigenvalue are mixed as the exact ones
        are, else as those on the mesh before; and all are normalised."""
        modes, unknowns = self.problem.modes, list(self.problem.unknowns)
        real = [real_vector(vectors[:, k], values[k]) for k in chosen]
        functions = np.stack([shifted.coefficients(vector) for vector in real])
        numbers = np.array([float(values[k].real) for k in chosen])
        scale = max(np.abs(numbers).max(), self.problem.scale)
        weighted = shifted.weighted
        for group in groups_of(numbers, scale):
            own = np.stack([weighted(one) for one in functions[group]])
            if self._exact:
                target = self._targets(shifted, [modes[k].unknowns for k in group])
                mixture = turned(target, own)
            elif progress.spans:
                last = [self._before(progress, shifted, modes[k].unknowns) for k in group]
                mixture = turned(np.stack(last), own)
            else:
                mixture = np.eye(len(group))
            mixture = mixture if self._exact else _orthonormal(mixture, own)
            functions[group] = np.tensordot(mixture, functions[group], 1)
        C = held(self.problem, progress.axes, {}).C
        for k, mode in enumerate(modes):
            C[[unknowns.index(u) for u in mode.unknowns]] = functions[k]
            C[unknowns.index(mode.eigenvalue)] = numbers[k]
        return C

    def _targets(
        self, shifted: ShiftedSquares, names: Sequence[tuple[str, ...]]
    ) -> Float[np.ndarray, "functions values"]:
        """The exact functions, as the others are weighted."""
        assert isinstance(self.stated, Problem)
        exact = self.stated.exact_values(shifted.points)
        return np.stack(
            [np.concatenate([exact[u].numpy() * shifted.roots for u in own]) for own in names]
        )

    def _before(
        self, progress: Progress, shifted: ShiftedSquares, names: tuple[str, ...]
    ) -> Float[np.ndarray, " values"]:
        """A function on the mesh before, as the others are weighted."""
        (last,) = progress.spans
        index, unknowns = (0,) * len(last.axes), self.problem.unknowns
        grids = (last.on_grid(unknowns.index(u), shifted.grid, index).ravel() for u in names)
        return np.concatenate([values * shifted.roots for values in grids])

    def _operations(self, axes: Sequence[Axis]) -> float:
        """What the factor of one solution takes, and Arnoldi's method about as much again."""
        return 2 * operations_needed(axes, len(self.problem.modes[0].unknowns))

    def _bytes(self, axes: Sequence[Axis]) -> float:
        return bytes_needed(axes, len(self.problem.modes[0].unknowns))

    def _squares(self, progress: Progress) -> LeastSquares:
        """Those of all equations, with eigenvalues that are given."""
        if self._known is None or self._known[0] is not progress.axes:
            given = with_constants(
                self.problem, progress.axes, held(self.problem, progress.axes, {})
            )
            found = least_squares(self.problem, progress.axes, given)
            self._known = progress.axes, found
        return self._known[1]

    def _condition(self, progress: Progress, C: Float[np.ndarray, "unknowns ..."]) -> float:
        return math.nan

    def _moved(
        self,
        before: Sequence[Product],
        after: Sequence[Product],
        sizes: Float[np.ndarray, " unknowns"],
    ) -> float:
        """Of functions, and of eigenvalues over their size or the distance to others."""
        first = len(self.problem.unknowns) - len(self.problem.modes)
        old, new = (
            np.array([one[0].C[k].mean() for k in range(first, len(one[0].C))])
            for one in (before, after)
        )
        moved = np.abs(new - old) / max(np.abs(new).max(), self.problem.scale)
        return max(super()._moved(before, after, sizes), float(moved.max()))

    def _judged(self, progress: Progress) -> Progress:
        """As elsewhere; functions of an eigenvalue of which not all are asked for are none."""
        found = super()._judged(progress)
        count = len(self.problem.modes)
        asked, others = (
            np.array(progress.eigenvalues[:count]),
            np.array(progress.eigenvalues[count:]),
        )
        # Their functions are different ones on every mesh, however well that resolves them.
        resolved = found.finished or found.estimate <= self.settings.tolerance
        if not resolved or not len(others):
            return found
        scale = max(np.abs(asked).max(), self.problem.scale)
        k, other = min(
            ((k, v) for k in range(count) for v in others), key=lambda p: abs(asked[p[0]] - p[1])
        )
        if abs(asked[k] - other) > EQUAL * scale:
            return found
        mode = self.problem.modes[k]
        words = (
            f"{mode.eigenvalue} = {asked[k]:.10g} is a multiple eigenvalue: any mixture of its"
            " functions is one; ask for all of them, such as which=(2, 3)"
        )
        return replace(
            found,
            axes=progress.axes,
            at=progress.at,
            missed=(words, *found.missed),
            estimate=math.inf,
            finished=True,
            lost=True,
        )


class ShiftedSquares:
    """The squares of J(σ) for one of the solutions on some axes, and iteration with its inverse.

    Args:
        problem: The pencil.
        axes: Functions of each coordinate.
        shift: σ.
        tolerance: Error that is asked for.

    Attributes:
        free: How many parameters are free.
        grid: Points along each coordinate, those of Gauss on a box.
        roots: Roots of the weights of all of them; zero outside.
        points: All of them.
        stiffness: Roots of the mean diagonal of JᵀJ, an unknown each.
        largest: Root of the largest eigenvalue of the two sums of squares, roughly.
    """

    def __init__(self, problem: Pencil, axes: Sequence[Axis], shift: float, tolerance: float):
        self.shift, self._tolerance = shift, tolerance
        self._name = problem.modes[0].eigenvalue
        first = replace(problem.first, numbers={self._name: shift})
        given = with_constants(first, axes, held(first, axes, {}))
        self._squares = least_squares(first, axes, given)
        self._start, self.free = given.C, given.free
        self._weights = self._squares.weights(given.C)
        equations = normal(self._squares.rows, given.C, given.index, self._weights)
        self._factor = equations.factor()
        self.stiffness = self._squares.stiffness_of(equations.diagonal)[:-1]
        self._slopes = [some.linear(given.C)[1] for some in self._squares.rows]
        places, weights = zip(*(self._normed_at(problem, axis) for axis in axes), strict=True)
        self.grid = [x.ravel() for x in places]
        roots = np.ones(1)
        for w in weights:
            roots = np.multiply.outer(roots, np.sqrt(w.ravel())).ravel()
        self.roots = roots
        mesh = np.meshgrid(*self.grid, indexing="ij")
        self.points = torch.from_numpy(np.stack([x.ravel() for x in mesh], 1))
        if curved(problem.domain):
            self.roots = roots * problem.domain.inside(self.points).numpy()
        self._axes = tuple(axes)
        self.largest = self._largest()

    def _normed_at(
        self, problem: Pencil, axis: Axis
    ) -> tuple[Float[np.ndarray, "cells points"], Float[np.ndarray, "cells points"]]:
        """Points along a coordinate at which functions are normalised, and their weights: beside a
        domain that is no box the same on all meshes, since a rule cut off by its boundary has
        another error on each."""
        if curved(problem.domain) is None:
            return axis.gauss(axis.degree + 1)
        low, high = axis.ends
        part = (high - low) / POINTS_OF_NORM
        x = low + part * (np.arange(POINTS_OF_NORM) + 0.5)
        return x[:, None], np.full((POINTS_OF_NORM, 1), part)

    def coefficients(self, vector: Float[np.ndarray, " free"]) -> Float[np.ndarray, "unknowns ..."]:
        """Those of the unknowns.

        Args:
            vector: The free parameters.
        """
        return self._squares.spread(vector)[:-1]

    def weighted(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, " values"]:
        """Values at all Gauss points, times the roots of their weights.

        Args:
            C: Coefficients of the unknowns.
        """
        product, index = Product(self._axes, C), (0,) * len(self._axes)
        values = (product.on_grid(u, self.grid, index).ravel() for u in range(len(C)))
        return np.concatenate([each * self.roots for each in values])

    def loss(self, C: Float[np.ndarray, "unknowns ..."]) -> float:
        """The sum of squares of the first solution.

        Args:
            C: Coefficients of all solutions and eigenvalues.
        """
        count = len(self._start) - 1
        own = np.concatenate([C[:count], C[len(C) * count // (count + 1) :][:1]])
        return self._squares.loss(own, self._weights)

    def every(self) -> Complex[np.ndarray, " free"]:
        """All eigenvalues on these axes, the larger ones with large errors."""
        step, squares = self._factor.step, self._squares
        columns = []
        for k in range(self.free):
            unit = np.zeros(self.free)
            unit[k] = 1.0
            ways = zip(
                self._weights, squares.rows, self._slopes, self._by_number(unit), strict=True
            )
            slope = squares.gathered(*(w * some.lifted(g, r) for w, some, g, r in ways))
            columns.append(step(slope))
        return unshifted(self.shift, np.linalg.eigvals(np.stack(columns, 1)))

    def parallel(self, x: Float[np.ndarray, " free"]) -> float:
        """The square of the cosine between J(σ) x and J' x.

        Args:
            x: The free parameters.
        """
        squares, D = self._squares, self._squares.spread(x)
        ways = zip(self._weights, squares.rows, self._slopes, self._by_number(x), strict=True)
        pairs = [(w, some.pushed(g, D), r) for w, some, g, r in ways]
        both = sum(w * float((a * b).sum()) for w, a, b in pairs)
        own = sum(w * float((a**2).sum()) for w, a, _ in pairs)
        other = sum(w * float((b**2).sum()) for w, _, b in pairs)
        return both**2 / (own * other) if own * other else 0.0

    def nearest(
        self, count: int
    ) -> tuple[Complex[np.ndarray, " some"], Complex[np.ndarray, "free some"]]:
        """The eigenvalues nearest to the shift, and their vectors.

        Args:
            count: How many.
        """
        count = min(count, self.free - 2)
        way = scipy.sparse.linalg.LinearOperator(
            (self.free, self.free), matvec=self._applied, dtype=np.float64
        )
        begin = np.random.default_rng(0).standard_normal(self.free)
        try:
            found, vectors = scipy.sparse.linalg.eigs(
                way, k=count, which="LM", v0=begin, tol=ARNOLDI * self._tolerance
            )
        except scipy.sparse.linalg.ArpackNoConvergence as error:
            raise ProblemError(
                f"Eigenvalue({self._name!r}): Arnoldi's method finds {len(error.eigenvalues)} of"
                f" {count} eigenvalues near {self.shift:.6g}"
            ) from None
        return unshifted(self.shift, found), vectors

    def _by_number(self, x: Float[np.ndarray, " free"]) -> list[Float[np.ndarray, "points rows"]]:
        """The derivative of the rows by the eigenvalue, at some function."""
        C = self._start + self._squares.spread(x)
        found = []
        for some in self._squares.rows:
            (r, g), leaf = some.linear(C), (self._name, (0,) * len(self._axes))
            assert not isinstance(some, MisfitRows)
            held_here = leaf in some.leaves
            found.append(g[:, :, some.leaves.index(leaf)] if held_here else np.zeros_like(r))
        return found

    def _applied(self, x: Float[np.ndarray, " free"]) -> Float[np.ndarray, " free"]:
        """argmin |J(σ) w + J' x|."""

        def settled(z: Float[np.ndarray, " free"], w: Float[np.ndarray, " free"]) -> bool:
            return float(np.abs(z).max()) < LAST_STEP * self._tolerance * float(np.abs(w).max())

        right = [-r for r in self._by_number(x.ravel())]
        weights, slopes = self._weights, self._slopes
        return self._squares.nearest(self._factor, weights, slopes, right, settled)[0]

    def _largest(self) -> float:
        """Root of the ratio of the two sums of squares, for one function of all frequencies."""
        x = np.random.default_rng(0).standard_normal(self.free)
        D = self._squares.spread(x)
        ways = list(zip(self._weights, self._squares.rows, self._slopes, strict=True))
        up = sum(w * float((some.pushed(g, D) ** 2).sum()) for w, some, g in ways)
        down = sum(
            w * float((r**2).sum()) for w, r in zip(self._weights, self._by_number(x), strict=True)
        )
        return (up / down) ** 0.5 if down else 1.0


def _orthonormal(
    mixture: Float[np.ndarray, "functions functions"],
    functions: Float[np.ndarray, "functions values"],
) -> Float[np.ndarray, "functions functions"]:
    """The nearest mixture whose functions are orthonormal (Löwdin 1950)."""
    mixed = mixture @ functions
    values, vectors = np.linalg.eigh(mixed @ mixed.T)
    return (vectors / np.sqrt(values)) @ vectors.T @ mixture
