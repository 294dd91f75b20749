"""A span of time on a domain that is no box: least squares in space at each point of collocation in
time.

With F the highest rates at the points in time and S the matrix that integrates them over the span,
rows whose coefficients do not change over the span are A₀ F + A₁ F Sᵀ + A₂ F (S²)ᵀ, with rows A of
space alone. Schur's form of S makes a triangle of them, whose last column stands alone, and each
other one follows from those after it: one problem of least squares in space for each eigenvalue λ
of S, (A₀ + λ A₁ + λ² A₂) y = b, whose normal equations are factored in a band. So one factor an
eigenvalue serves all spans of one length.

Let P be that way from rows to coefficients. What is solved is P r = 0, of equations whose
coefficients change, or that are not linear, by Newton's method with GMRES.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, combinations_with_replacement, product

import numpy as np
import scipy.linalg as sl
import scipy.sparse as sp
import torch
from jaxtyping import Complex, Float, Inexact, Int
from numpy.lib.stride_tricks import sliding_window_view
from scipy.sparse.linalg import LinearOperator, gmres

from kanpde.errors import ProblemError
from kanpde.problem.constraints import Constraint
from kanpde.problem.formulation import Formulation
from kanpde.products.axes import Axis, Modes
from kanpde.products.balance import row_sizes
from kanpde.products.ghosts import ghosts
from kanpde.products.held import Held
from kanpde.products.inside import FINER_WHERE_CUT, Inside, inside_of
from kanpde.products.newton import Iterate
from kanpde.products.normal import LEAST_RIDGE, RAISE
from kanpde.products.rows import Places, points_of, unmet
from kanpde.products.staged import Staged, StagedCells, StagedFace, Stencils
from kanpde.products.stages import Stages

MOST_STEPS_INSIDE = 10
"""Of Newton's method on a span."""

SHARE_LEFT_INSIDE = 1e-3
"""What Newton's method may leave, over the tolerance."""

INEXACT_STEP = 1e-2
"""What may be left of a step that others follow, over the step."""

KRYLOV_INSIDE = 40
"""Iterations of GMRES at most."""

GOOD_INVERSE = 0.1
"""What the inverse may leave of a step, over the step, where it is used by itself."""

NO_OTHER = 1e-12
"""Relative difference of coefficients that are the same."""

HOPELESS = 100.0
"""Size of a step, over the largest values, from which there is no hope."""


@dataclass(frozen=True, eq=False)
class SpanInside:
    """The rows of a span.

    Attributes:
        cells: Equations inside.
        faces: Conditions on faces.
        stages: Points in time.
        number: Of the free function of space behind each coefficient in space, -1 where given.
        free: How many there are.
        at: The domain among the cells.
        orders: Of each unknown, the order of its highest rate.
    """

    cells: tuple[StagedCells, ...]
    faces: tuple[StagedFace, ...]
    stages: Stages
    number: Int[np.ndarray, "unknowns x y"]
    free: int
    at: Inside
    orders: tuple[int, ...]

    @property
    def rows(self) -> tuple[Staged, ...]:
        """All rows."""
        return (*self.cells, *self.faces)

    @property
    def unknowns(self) -> tuple[str, ...]:
        """Their names."""
        return self.cells[0].unknowns

    @property
    def affine(self) -> bool:
        """Whether J is the same everywhere."""
        return all(one.affine for some in self.rows for one in some.residuals)

    @property
    def powers(self) -> int:
        """How many powers of S there are, the 0-th included."""
        return self.stages.modes.order + 1

    def linear(
        self, C: Float[np.ndarray, "unknowns ..."]
    ) -> tuple[list[Float[np.ndarray, "_n _e"]], list[Float[np.ndarray, "_n _e _l"]]]:
        """All rows, and their partials by the derivatives.

        Args:
            C: The coefficients.
        """
        found = [some.linear(C) for some in self.rows]
        return [r for r, _ in found], [g for _, g in found]

    def pushed(
        self, slopes: Sequence[Float[np.ndarray, "_n _e _l"]], d: Float[np.ndarray, "free stages"]
    ) -> list[Float[np.ndarray, "_n _e"]]:
        """J times a change.

        Args:
            slopes: Partials of all rows.
            d: The change, of free modes in time.
        """
        D = self.spread(d)
        return [some.pushed(g, D) for some, g in zip(self.rows, slopes, strict=True)]

    def spread(self, d: Float[np.ndarray, "free stages"]) -> Float[np.ndarray, "unknowns ..."]:
        """A change of free functions and modes as one of all coefficients.

        Args:
            d: The change.
        """
        modes = self.stages.modes
        found = np.zeros((*self.number.shape, modes.size))
        padded = np.concatenate([d, np.zeros((1, d.shape[1]))])
        found[..., modes.order :] = padded[self.number]
        return found

    def gathered(
        self, c: Float[np.ndarray, "unknowns x y times"]
    ) -> Float[np.ndarray, "free times"]:
        """Sums over the coefficients of each free function.

        Args:
            c: By all coefficients in space.
        """
        flat = c.reshape(-1, c.shape[-1])
        return self.picking.T @ flat

    def highest(
        self, d: Float[np.ndarray, "unknowns x y stages"]
    ) -> Float[np.ndarray, "unknowns x y stages"]:
        """The highest rates at the points in time of each unknown.

        Args:
            d: Of free modes.
        """
        return np.stack([own @ way.T for own, way in zip(d, self.ways, strict=True)])

    def modes_of(self, F: Float[np.ndarray, "free stages"]) -> Float[np.ndarray, "free stages"]:
        """Free modes with given highest rates at the points in time.

        Args:
            F: The rates, of free functions.
        """
        found = np.empty_like(F)
        for own, way in zip(self.number, self.ways, strict=True):
            some = np.unique(own[own >= 0])
            found[some] = F[some] @ np.linalg.inv(way).T
        return found

    @cached_property
    def ways(self) -> list[Float[np.ndarray, "stages stages"]]:
        """From free modes to the highest rates of each unknown."""
        order = self.stages.modes.order
        return [self.stages.rates[own][:, order:] for own in self.orders]

    @cached_property
    def picking(self) -> sp.csr_matrix:
        """From free functions to coefficients in space."""
        numbers = self.number.ravel()
        some = np.flatnonzero(numbers >= 0)
        shape = len(numbers), self.free
        return sp.csr_matrix((np.ones(len(some)), (some, numbers[some])), shape=shape)

    def mean(
        self, some: Staged, g: Float[np.ndarray, "_n rows leaves"]
    ) -> list[Float[np.ndarray, "points rows leaves"]]:
        """Partials in space of some rows, on the average over the span, by the power of S that they
        stand for.

        Args:
            some: The rows.
            g: Partials at all points and times.
        """
        times = len(self.stages.share)
        mean = g.reshape(-1, times, *g.shape[1:]).mean(1)
        found = []
        for e in range(self.powers):
            meant = [
                self.orders[some.unknowns.index(u)] - index[-1] == e for u, index in some.leaves
            ]
            found.append(mean * np.array(meant, dtype=float))
        return found

    def advance(self, at: Iterate, tolerance: float, nearly: InverseInside) -> Iterate:
        """One step of Newton's method.

        Args:
            at: Where it begins.
            tolerance: Error that is asked for, over the largest coefficients.
            nearly: P.

        Raises:
            ProblemError: The residual is not finite.
        """
        r, slopes = self.linear(at.C)
        change, count, left = self.solved(slopes, [-one for one in r], -at.C, nearly)
        D = self.spread(change)
        C = at.C + D
        size = _size(D, C)
        enough = SHARE_LEFT_INSIDE * tolerance
        # Where J changes, what a step leaves is quadratic in it.
        settled = left * size + (0.0 if self.affine else size**2) < enough
        lost = not np.isfinite(size) or left > 0.5 or size > HOPELESS
        worse = at.steps > 1 and size > at.size and size > enough
        stalled = not settled and (lost or worse or at.steps + 1 >= MOST_STEPS_INSIDE)
        return replace(
            at,
            C=C if np.isfinite(size) else at.C,
            steps=at.steps + 1,
            size=size,
            loss=sum(float((one**2).sum()) for one in r),
            stiffness=at.stiffness or nearly.stiffness,
            iterations=count,
            done=settled or stalled,
            stalled=stalled,
        )

    def unmet(self, at: Iterate, tolerance: float, sizes: Float[np.ndarray, " unknowns"]) -> float:
        """How far the rows are from being met, over their own terms.

        Args:
            at: Where Newton's method ended.
            tolerance: A residual that coefficients wrong by this much would leave counts as none.
            sizes: Of the unknowns, of which it is a share.
        """
        r, slopes = self.linear(at.C)
        allowed = tolerance * float((sizes * np.array(at.stiffness)).max())
        inside = sum(float((one**2).sum()) for one in r[: len(self.cells)])
        worst = 0.0
        for some, one, g in zip(self.rows, r, slopes, strict=True):
            D = some.derivatives(at.C)
            if isinstance(some, StagedFace):
                # Where zero is given, values are not what is left over, but what is inside.
                each = [sizes[some.unknowns.index(u)] * (not any(i)) for u, i in some.leaves]
                D = np.maximum(np.abs(D), each)
            elif inside**0.5 <= allowed * (self.free * len(self.stages.share)) ** 0.5:
                continue
            worst = max(worst, unmet(one, g, D))
        return worst

    def solved(
        self,
        slopes: Sequence[Float[np.ndarray, "_n _e _l"]],
        right: Sequence[Float[np.ndarray, "_n _e"]],
        going: Float[np.ndarray, "unknowns ..."],
        nearly: InverseInside,
    ) -> tuple[Float[np.ndarray, "free stages"], int, float]:
        """What solves P J d = P right, the iterations, and what is left, over it.

        Args:
            slopes: Partials of all rows.
            right: Of all rows.
            going: The coefficients whose jumps belong to these.
            nearly: P.
        """
        d = nearly(right, going)
        whole = float(np.linalg.norm(d))
        if not np.isfinite(whole) or not whole:
            return d, 0, np.inf if whole else 0.0
        pushed = self.pushed(slopes, d)
        rest = nearly([b - p for b, p in zip(right, pushed, strict=True)], going - self.spread(d))
        left = float(np.linalg.norm(rest)) / whole
        if left < GOOD_INVERSE:
            # What is left of the sum is the square of that.
            return d + rest, 1, left**2
        count = 1

        def product(v: Float[np.ndarray, " all"]) -> Float[np.ndarray, " all"]:
            nonlocal count
            count += 1
            v = v.reshape(d.shape)
            return nearly(self.pushed(slopes, v), self.spread(v)).ravel()

        operator = LinearOperator((d.size,) * 2, matvec=product, dtype=float)
        found, _ = gmres(
            operator, rest.ravel(), rtol=INEXACT_STEP, atol=0.0, restart=KRYLOV_INSIDE, maxiter=1
        )
        rest = rest - product(found).reshape(d.shape)
        return d + found.reshape(d.shape), count, float(np.linalg.norm(rest)) / whole


@dataclass(frozen=True, eq=False)
class ProductsInside:
    """Rows in space whose coefficients do not change, and their products.

    Attributes:
        axes: Functions of each coordinate of space.
        means: Partials in space of all rows, by power of S.
        products: AᵢᵀAⱼ of the rows inside together, then those of each condition.
        diagonals: Of AᵢᵀAⱼ of the rows inside, by all coefficients in space.
    """

    axes: tuple[Axis, ...]
    means: list[list[Float[np.ndarray, "_points _rows _leaves"]]]
    products: list[dict[tuple[int, int], sp.csr_matrix]]
    diagonals: dict[tuple[int, int], Float[np.ndarray, "unknowns x y"]]

    @classmethod
    def of(
        cls,
        span: SpanInside,
        slopes: Sequence[Float[np.ndarray, "_n _e _l"]],
        known: ProductsInside | None,
    ) -> ProductsInside:
        """Those of a span.

        Args:
            span: Its rows.
            slopes: Partials of all rows.
            known: Those of another span, which may be the same; None for none.
        """
        axes = span.cells[0].axes[:2]
        ways = zip(span.rows, slopes, strict=True)
        means = [span.mean(some, g) for some, g in ways]
        if known is not None and axes == known.axes and _same_means(means, known.means):
            return known
        inside: dict[tuple[int, int], sp.csr_matrix] = {}
        diagonals = {}
        reach = [axis.degree for axis in axes]
        for e, f in combinations_with_replacement(range(span.powers), 2):
            size = (len(span.number),) * 2 + tuple(axis.size for axis in axes)
            whole = np.zeros((*size, *(2 * n + 1 for n in reach)))
            for some, mean in zip(span.cells, means, strict=False):
                some.add_products(mean[e], mean[f], whole)
            centre = whole[..., reach[0], reach[1]]
            diagonals[e, f] = np.stack([centre[u, u] for u in range(len(centre))])
            inside[e, f] = matrix_of(whole, span)
            if e != f:
                diagonals[f, e], inside[f, e] = diagonals[e, f], inside[e, f].T.tocsr()
        products = [inside]
        for face, own_means in zip(span.faces, means[len(span.cells) :], strict=True):
            rows = [_in_space(face, one, span) for one in own_means]
            own = product(range(span.powers), repeat=2)
            products.append({(e, f): (rows[e].T @ rows[f]).tocsr() for e, f in own})
        return cls(axes, means, products, diagonals)


@dataclass(frozen=True, eq=False)
class InverseInside:
    """P, from rows to free functions and modes.

    Attributes:
        span: The rows.
        known: Those of space, and their products.
        weights: Of each condition, at every eigenvalue.
        held: What the ghost penalty takes of all coefficients, at every eigenvalue.
        factors: Of the normal equations of each eigenvalue whose imaginary part is not negative.
        which: The factor of every eigenvalue, and whether its conjugate is meant.
        T: Schur's triangle of S.
        Q: Its vectors.
        stiffness: Roots of the mean diagonal of JᵀJ, an unknown each.
    """

    span: SpanInside
    known: ProductsInside
    weights: Float[np.ndarray, "stages conditions"]
    held: tuple[sp.csr_matrix, ...]
    factors: tuple[BandInside, ...]
    which: tuple[tuple[int, bool], ...]
    T: Complex[np.ndarray, "stages stages"]
    Q: Complex[np.ndarray, "stages stages"]
    stiffness: tuple[float, ...]

    @classmethod
    def of(cls, span: SpanInside, known: ProductsInside) -> InverseInside:
        """That of a span.

        Args:
            span: Its rows.
            known: Those of space, and their products.

        Raises:
            ProblemError: The normal equations are singular.
        """
        T, Q = sl.schur(span.stages.integrating, output="complex")
        values, inside = np.diag(T), known.products[0]
        weights = np.zeros((len(T), len(span.faces)))
        held: list[sp.csr_matrix] = []
        factors: list[BandInside] = []
        which: list[tuple[int, bool]] = []
        stiffness: tuple[float, ...] = ()
        for k, value in enumerate(values):
            partner = [j for j in range(k) if abs(values[j] - value.conj()) < 1e-9 * abs(value)]
            if partner:
                j = partner[0]
                which.append((which[j][0], True))
                weights[k] = weights[j]
                held.append(held[j])
                continue
            square = _square(inside, value)
            diagonal = square.diagonal().real
            for c, products in enumerate(known.products[1:]):
                own = _square(products, value)
                each = own.diagonal().real
                shared = each > 0
                if shared.any():
                    weights[k, c] = diagonal[shared].sum() / each.sum()
                square = square + weights[k, c] * own
            by_all = sum(
                (np.conj(value) ** e * value**f).real * D for (e, f), D in known.diagonals.items()
            )
            rows = ghosts(known.axes, span.at, [np.asarray(by_all)])
            ghost = sp.vstack([one.matrix for one in rows]).tocsr()
            own = span.picking.T @ ghost.T
            held.append((own @ ghost).tocsr())
            which.append((len(factors), False))
            factors.append(BandInside.of(square + own @ own.T))
            if not stiffness:
                stiffness = _stiffness(diagonal, span)
        return cls(
            *(span, known, weights, tuple(held), tuple(factors), tuple(which), T, Q, stiffness)
        )

    def __call__(
        self,
        right: Sequence[Float[np.ndarray, "_n _e"]],
        going: Float[np.ndarray, "unknowns ..."],
    ) -> Float[np.ndarray, "free stages"]:
        """P times rows.

        Args:
            right: Of all rows.
            going: The coefficients whose jumps belong to these rows.
        """
        span, T, Q = self.span, self.T, self.Q
        powers, count, order = span.powers, len(T), span.stages.modes.order
        lifts = self._lifted(right) @ Q.conj()
        top = span.highest(going[..., order:]).reshape(-1, count) @ Q.conj()
        forward = [np.eye(count, dtype=complex), T, T @ T][:powers]
        weights = np.concatenate([np.ones((count, 1)), self.weights], 1)
        Y = np.zeros((span.free, count), dtype=complex)
        for k in reversed(range(count)):
            value, number = T[k, k].conj(), self.which[k]
            later = [Y[:, k + 1 :] @ forward[f][k, k + 1 :] for f in range(powers)]
            found = _applied(self.held[k], top[:, k])
            for group, weight in enumerate(weights[k]):
                for e in range(powers):
                    own = lifts[group, e, :, k].copy()
                    for f in range(1, powers if k + 1 < count else 1):
                        own -= _applied(self.known.products[group][e, f], later[f])
                    found += weight * value**e * own
            factor, conjugate = self.factors[number[0]], number[1]
            Y[:, k] = factor(found.conj()).conj() if conjugate else factor(found)
        return span.modes_of((Y @ Q.T).real)

    def _lifted(
        self, right: Sequence[Float[np.ndarray, "_n _e"]]
    ) -> Float[np.ndarray, "groups powers free stages"]:
        """Aᵀ times rows, by power of S: of rows inside together, then of each condition."""
        span = self.span
        times = len(span.stages.share)
        found = np.zeros((1 + len(span.faces), span.powers, span.free, times))
        for k, (some, r, means) in enumerate(zip(span.rows, right, self.known.means, strict=True)):
            at_points = r.reshape(-1, times, r.shape[1])
            group = max(0, k + 1 - len(span.cells))
            for e, mean in enumerate(means):
                c = np.zeros((len(some.unknowns), times, *span.number.shape[1:]))
                for a, (u, index) in enumerate(some.leaves):
                    if mean[:, :, a].any():
                        v = np.einsum("pe,pte->tp", mean[:, :, a], at_points)
                        c[some.unknowns.index(u)] += some.unseen((index[0], index[1]), v)
                found[group, e] += span.gathered(np.moveaxis(c, 1, -1))
        return found


@dataclass(frozen=True)
class BandInside:
    """Cholesky's factor of normal equations that were divided by their diagonal.

    Attributes:
        triangle: Its lower band.
        scale: Inverse roots of the diagonal.
    """

    triangle: Inexact[np.ndarray, "band free"]
    scale: Float[np.ndarray, " free"]

    @classmethod
    def of(cls, square: sp.csr_matrix) -> BandInside:
        """That of some equations.

        Args:
            square: Hermitian, positive definite but for rounding.

        Raises:
            ProblemError: They are singular.
        """
        diagonal = np.maximum(square.diagonal().real, np.finfo(float).tiny)
        scale = 1 / np.sqrt(diagonal)
        lower = sp.tril(square).tocoo()
        width = int((lower.row - lower.col).max(initial=0)) + 1
        columns = np.zeros((square.shape[0], width), dtype=square.dtype)
        columns[lower.col, lower.row - lower.col] = lower.data * scale[lower.row] * scale[lower.col]
        ridge = LEAST_RIDGE
        while ridge < 1.0:
            columns[:, 0] = 1 + ridge
            try:
                found = sl.cholesky_banded(columns.T, lower=True, check_finite=False)
            except sl.LinAlgError:
                ridge *= RAISE
                continue
            return cls(found, scale)
        raise ProblemError(
            "the normal equations of the products of splines are singular: a condition is missing,"
            " or an equation does not depend on its unknowns"
        )

    def __call__(self, right: Inexact[np.ndarray, " free"]) -> Inexact[np.ndarray, " free"]:
        """The inverse times a vector.

        Args:
            right: The vector.
        """
        own = self.scale * right
        return self.scale * sl.cho_solve_banded((self.triangle, True), own, check_finite=False)


def span_inside(problem: Formulation, axes: Sequence[Axis], given: Held) -> SpanInside:
    """The rows of a problem on a span.

    Args:
        problem: What is to be solved, on a domain that is no box.
        axes: Functions of each coordinate, time last.
        given: What its conditions give.
    """
    *space, modes = axes
    assert isinstance(modes, Modes)
    stages, unknowns, domain = Stages.of(modes), problem.unknowns, problem.domain
    at = inside_of(domain, axes)
    times = Places(np.array([0]), stages.at[None], np.ones((1, len(stages.share))))
    ones = (1.0,) * sum(e.equations for e in problem.equations)
    cells: list[StagedCells] = []
    for only, finer in ((at.whole, 1), (at.cut, FINER_WHERE_CUT)):
        if not only.any():
            continue
        places = [Places.inside(axis, finer * points_of(axis)) for axis in space]
        own = StagedCells(
            problem.equations,
            cells[0].sizes if cells else ones,
            tuple(axes),
            unknowns,
            (*places, times),
            domain=domain,
            only=only,
            stages=stages,
            scattered=finer > 1,
        )
        if not cells:
            own = replace(own, sizes=row_sizes(own, given.C))
        cells.append(own)
    faces = tuple(_on_face(c, axes, unknowns, at, stages, times) for c in given.soft)
    last = given.index[..., -1]
    used = np.unique(last[last >= 0])
    number = np.where(last >= 0, np.searchsorted(used, last), -1)
    time = problem.coordinates[-1]
    orders = tuple(problem.order(u, time) for u in unknowns)
    return SpanInside(tuple(cells), faces, stages, number, len(used), at, orders)


def _on_face(
    c: Constraint,
    axes: Sequence[Axis],
    unknowns: tuple[str, ...],
    at: Inside,
    stages: Stages,
    times: Places,
) -> StagedFace:
    """The rows of a condition on a face."""
    face = at.along(c.face)
    weights = [face.weights, np.ones(len(face.weights))]
    ways = zip(axes[:2], face.points.T, weights, strict=True)
    places = [Places(axis.cell_of(x), x[:, None], w[:, None]) for axis, x, w in ways]
    each = [torch.from_numpy(np.repeat(n, len(stages.share))) for n in face.normals.T]
    normal: tuple[float | torch.Tensor, ...] = (*each, 0.0)
    sizes = (1.0,) * c.residual.equations
    return StagedFace(
        (c.residual,), sizes, tuple(axes), unknowns, (*places, times), normal, c, stages=stages
    )


def _in_space(
    some: StagedFace, mean: Float[np.ndarray, "points rows leaves"], span: SpanInside
) -> sp.csr_matrix:
    """Rows of a condition in space, by free functions."""
    size = int(np.prod(span.number.shape[1:]))
    found = []
    for e in range(mean.shape[1]):
        each = [sp.csr_matrix((len(mean), size))] * len(some.unknowns)
        for a, (u, index) in enumerate(some.leaves):
            if mean[:, e, a].any():
                k = some.unknowns.index(u)
                own = sp.diags(mean[:, e, a]) @ some.functions((index[0], index[1]))
                each[k] = each[k] + own
        found.append(sp.hstack(each))
    return (sp.vstack(found) @ span.picking).tocsr()


def matrix_of(whole: Stencils, span: SpanInside) -> sp.csr_matrix:
    """Products of rows of free functions.

    Args:
        whole: Those of all functions.
        span: Says which are free.
    """
    number, reach = span.number, [n // 2 for n in whole.shape[-2:]]
    found = sp.csr_matrix((span.free, span.free))
    for u, v in np.ndindex(*whole.shape[:2]):
        around = np.pad(number[v], [(n, n) for n in reach], constant_values=-1)
        columns = sliding_window_view(around, whole.shape[-2:])
        rows = np.broadcast_to(number[u][:, :, None, None], columns.shape)
        own = (rows >= 0) & (columns >= 0) & (whole[u, v] != 0)
        entries = whole[u, v][own], (rows[own], columns[own])
        found = found + sp.coo_matrix(entries, shape=found.shape).tocsr()
    return found


def _square(products: dict[tuple[int, int], sp.csr_matrix], value: complex) -> sp.csr_matrix:
    """AᴴA of the rows A₀ + λ A₁ + λ² A₂."""
    return sum(np.conj(value) ** e * value**f * own for (e, f), own in products.items())


def _applied(matrix: sp.csr_matrix, z: Complex[np.ndarray, " n"]) -> Complex[np.ndarray, " m"]:
    """A real matrix times a complex vector."""
    both = matrix @ np.stack([z.real, z.imag], 1)
    return both[:, 0] + 1j * both[:, 1]


def _stiffness(diagonal: Float[np.ndarray, " free"], span: SpanInside) -> tuple[float, ...]:
    """Roots of the mean diagonal of JᵀJ by modes in time, an unknown each."""
    each = [diagonal[np.unique(own[own >= 0])] for own in span.number]
    rates = [float(np.sqrt((way**2).mean())) for way in span.ways]
    ways = zip(each, rates, strict=True)
    return tuple(float(np.sqrt(one.mean())) * rate if len(one) else 0.0 for one, rate in ways)


def _size(D: Float[np.ndarray, "unknowns ..."], C: Float[np.ndarray, "unknowns ..."]) -> float:
    """Of a step, over the largest coefficient of each unknown."""
    moved, largest = (np.abs(one).reshape(len(one), -1).max(1) for one in (D, C))
    return float((moved / np.maximum(largest, 1e-12 * largest.max() + 1e-300)).max())


def _same_means(
    a: list[list[Float[np.ndarray, "_p _r _l"]]], b: list[list[Float[np.ndarray, "_p _r _l"]]]
) -> bool:
    """Whether coefficients are the same but for rounding."""
    for one, other in zip(chain(*a), chain(*b), strict=True):
        if np.abs(one - other).max(initial=0.0) > NO_OTHER * np.abs(other).max(initial=0.0):
            return False
    return True
