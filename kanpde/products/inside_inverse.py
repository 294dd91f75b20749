"""From the rows of a span of time on a domain that is no box to coefficients: least squares in
space at each point of collocation in time.

With F the highest rates at the points in time and S the matrix that integrates them over the span,
rows whose coefficients do not change over the span are A₀ F + A₁ F Sᵀ + A₂ F (S²)ᵀ, with rows A of
space alone. Schur's form of S makes a triangle of them, whose last column stands alone, and each
other one follows from those after it: one problem of least squares in space for each eigenvalue λ
of S, (A₀ + λ A₁ + λ² A₂) y = b, whose normal equations are factored in a band. So one factor an
eigenvalue serves all spans of one length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations_with_replacement, product

import numpy as np
import scipy.linalg as sl
import scipy.sparse as sp
from jaxtyping import Complex, Float, Inexact
from numpy.lib.stride_tricks import sliding_window_view

from kanpde.errors import ProblemError
from kanpde.products.axes import Axis
from kanpde.products.ghosts import ghosts
from kanpde.products.inside_span import SpanInside
from kanpde.products.normal import LEAST_RIDGE, RAISE
from kanpde.products.staged import StagedFace, Stencils

NO_OTHER = 1e-12
"""Relative difference of coefficients that are the same."""


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


def _same_means(
    a: list[list[Float[np.ndarray, "_p _r _l"]]], b: list[list[Float[np.ndarray, "_p _r _l"]]]
) -> bool:
    """Whether coefficients are the same but for rounding."""
    for one, other in zip(chain(*a), chain(*b), strict=True):
        if np.abs(one - other).max(initial=0.0) > NO_OTHER * np.abs(other).max(initial=0.0):
            return False
    return True
