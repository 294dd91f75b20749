"""The normal equations of a span of time, nearly inverted: its modes are uncoupled.

Where coefficients do not change over a span, the rows are a sum A₀ ⊗ 1 + A₁ ⊗ S + A₂ ⊗ S² of rows
in space alone and of powers of S, which integrates Legendre's series over the span. With Schur's
form S = V T Vᴴ, they are a triangle of blocks, whose diagonal holds one problem in space for each
eigenvalue of S (after Butcher 1976, BIT 16, and Bickart 1977, SIAM J. Numer. Anal. 14, who uncouple
the stages of implicit methods). Let D be the diagonal of AₖᴴAₖ of the blocks Aₖ, and X the products
of these Aₖᴴ with the triangle: then X⁻¹ D X⁻ᴴ is the inverse of the normal equations, but for what
the rows of one block cannot see of another. Conjugate gradients do the rest, and so single
precision is enough here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as sl
from jaxtyping import Complex, Complex64, Float, Float32, Inexact, Int
from numpy.polynomial import legendre

from kanpde.kernels.band import add_to_square
from kanpde.products.axes import Axis, Modes
from kanpde.products.normal import LEAST_RIDGE, RAISE
from kanpde.products.rows import WeightedRows

SLOWER_THAN_BANDS = 4.0
"""Time of an operation here over that of one in a band, about."""

Parts = dict[tuple[int, int], Float[np.ndarray, "space space"]]
"""Products AᵢᵀAⱼ of rows in space, by the powers of S."""


def uncouples(axes: Sequence[Axis]) -> bool:
    """Whether a span has two coordinates besides time: one is quicker in a band.

    Args:
        axes: Functions of each coordinate.
    """
    return len(axes) == 3 and isinstance(axes[-1], Modes)


def bytes_uncoupled(axes: Sequence[Axis], unknowns: int) -> float:
    """What the factors of all modes and the products in space take.

    Args:
        axes: Functions of each coordinate, time last.
        unknowns: How many unknowns there are.
    """
    modes = axes[-1]
    assert isinstance(modes, Modes)
    space = unknowns * int(np.prod([axis.size for axis in axes[:-1]]))
    numbers = (modes.size // 2 + 1) + 1.5 * (modes.order + 1) ** 2 + 4
    return 8.0 * numbers * space**2


def operations_uncoupled(axes: Sequence[Axis], unknowns: int) -> float:
    """What a step of Newton's method takes: complex factors for half of the modes, and twenty
    iterations with two solutions a mode, each of which takes as long as several in a band.

    Args:
        axes: Functions of each coordinate, time last.
        unknowns: How many unknowns there are.
    """
    space = float(unknowns * np.prod([axis.size for axis in axes[:-1]]))
    modes = axes[-1].size
    return SLOWER_THAN_BANDS * (modes / 2 * 4 / 3 * space**3 + 20 * 2 * modes * 8 * space**2)


@dataclass(frozen=True, eq=False)
class SpanLayout:
    """Which parameter belongs to which function of space and which mode.

    Attributes:
        number: Of the free function of space behind each coefficient in space, -1 where given.
        parameter: Of each free function of space and each mode, -1 where it is given.
        orders: Of each unknown, how many modes are given by what the span begins with.
        owner: The unknown of each free function of space.
    """

    number: Int[np.ndarray, "unknowns ..."]
    parameter: Int[np.ndarray, "space modes"]
    orders: tuple[int, ...]
    owner: Int[np.ndarray, " space"]

    @classmethod
    def of(cls, index: Int[np.ndarray, "unknowns ..."]) -> SpanLayout:
        """The layout of numbered coefficients.

        Args:
            index: Number of the parameter behind each coefficient, -1 where it is given.
        """
        last = index[..., -1]
        used = np.unique(last[last >= 0])
        number = np.where(last >= 0, np.searchsorted(used, last), -1)
        parameter = np.full((len(used), index.shape[-1]), -1)
        owner = np.zeros(len(used), dtype=int)
        orders = []
        for u, own in enumerate(index):
            free = own >= 0
            parameter[number[u][free[..., -1]]] = own[free[..., -1]]
            owner[number[u][free[..., -1]]] = u
            some = free.reshape(-1, index.shape[-1]).any(0)
            orders.append(int(np.argmax(some)))
        return cls(number, parameter, tuple(orders), owner)

    def same(self, other: SpanLayout) -> bool:
        """Whether the other one has the same functions.

        Args:
            other: Another layout.
        """
        return self.orders == other.orders and np.array_equal(self.parameter, other.parameter)


@dataclass(frozen=True, eq=False)
class Uncoupled:
    """The normal equations of one span, nearly inverted.

    Attributes:
        layout: Which parameter is which.
        parts: AᵢᵀAⱼ.
        powers: Powers of Schur's triangle T.
        values: Its diagonal.
        V: Its vectors.
        factors: Cholesky's of AₖᴴAₖ, for the eigenvalues whose imaginary part is not negative.
        which: The factor of every mode, and whether it is its conjugate that is meant.
        ways: Of every unknown, from its free modes to Legendre's series of its highest rate.
        rest: Of the unknowns that begin with fewer modes than the highest order: a factor for the
            terms of their series that the others do not have.
    """

    layout: SpanLayout
    parts: dict[tuple[int, int], Float32[np.ndarray, "space space"]]
    powers: tuple[Complex[np.ndarray, "modes modes"], ...]
    values: Complex[np.ndarray, " modes"]
    V: Complex[np.ndarray, "modes modes"]
    factors: tuple[Complex64[np.ndarray, "space space"], ...]
    which: tuple[tuple[int, bool], ...]
    ways: tuple[Float[np.ndarray, "_own _own"], ...]
    rest: dict[int, Float[np.ndarray, "_own _own"]]

    def __call__(self, slope: Float[np.ndarray, " free"]) -> Float[np.ndarray, " free"]:
        """Nearly (JᵀJ)⁻¹ times a vector.

        Args:
            slope: By the parameters.
        """
        layout, m = self.layout, len(self.V)
        known = layout.parameter >= 0
        X = np.where(known, slope[layout.parameter], 0.0)
        G = np.zeros_like(X)
        for u, way in enumerate(self.ways):
            own = layout.owner == u
            G[own, : len(way)] = X[own, layout.orders[u] :] @ way
        H = (G[:, :m] @ self.V.conj()).astype(np.complex64)
        Y = (self._solved(H) @ self.V.T).real
        X = np.zeros_like(X)
        for u, way in enumerate(self.ways):
            own = layout.owner == u
            series = np.zeros((int(own.sum()), len(way)))
            series[:, :m] = Y[own]
            if u in self.rest:
                series[:, m:] = sl.cho_solve((self.rest[u], True), G[own, m : len(way)])
            X[own, layout.orders[u] :] = series @ way.T
        found = np.zeros_like(slope)
        found[layout.parameter[known]] = X[known]
        return found

    def _solved(self, H: Complex[np.ndarray, "space modes"]) -> Complex[np.ndarray, "space modes"]:
        """X⁻¹ D X⁻ᴴ, one mode after another, forth and back."""
        T, m, values = self.powers, len(self.V), self.values
        high = range(1, len(T))
        lifted = [np.zeros_like(H) for _ in T]
        D, Y = np.zeros_like(H), np.zeros_like(H)
        for k in range(m):
            D[:, k] = H[:, k]
            if k:
                for f in high:
                    for e in range(len(T)):
                        D[:, k] -= self._times(f, e, lifted[e][:, :k] @ T[f][:k, k].conj())
            solved = self._divided(k, D[:, k])
            for e in range(len(T)):
                lifted[e][:, k] = solved * values[k] ** e
        for k in reversed(range(m)):
            right = D[:, k].copy()
            if k + 1 < m:
                for f in high:
                    z = Y[:, k + 1 :] @ T[f][k, k + 1 :]
                    for e in range(len(T)):
                        right -= values[k].conj() ** e * self._times(e, f, z)
            Y[:, k] = self._divided(k, right)
        return Y

    def _times(
        self, e: int, f: int, z: Complex[np.ndarray, " space"]
    ) -> Complex[np.ndarray, " space"]:
        both = self.parts[e, f] @ np.stack([z.real, z.imag], 1).astype(np.float32)
        return both[:, 0] + np.complex64(1j) * both[:, 1]

    def _divided(
        self, k: int, right: Complex[np.ndarray, " space"]
    ) -> Complex[np.ndarray, " space"]:
        """(AₖᴴAₖ)⁻¹ times a vector."""
        number, conjugate = self.which[k]
        factor = (self.factors[number], True)
        if conjugate:
            return sl.cho_solve(factor, right.conj(), check_finite=False).conj()
        return sl.cho_solve(factor, right, check_finite=False)


def integration(modes: Modes, count: int) -> Float[np.ndarray, "count count"]:
    """The matrix that integrates a series of orthonormal polynomials of Legendre over a span, from
    its beginning, in units of half its length.

    Args:
        modes: Functions of time.
        count: How many terms there are.
    """
    norms = (2 * np.arange(count) + 1) ** 0.5
    S = np.zeros((count, count))
    for j in range(count):
        term = np.zeros(j + 1)
        term[j] = norms[j]
        found = legendre.legint(term, 1, lbnd=-1)[:count]
        S[: len(found), j] = found / norms[: len(found)]
    return S


def uncoupled(
    rows: Sequence[WeightedRows],
    slopes: Sequence[Float[np.ndarray, "points rows leaves"]],
    weights: Sequence[float],
    layout: SpanLayout,
) -> Uncoupled:
    """The normal equations of a span, nearly inverted.

    Args:
        rows: All rows.
        slopes: Their partials at all points.
        weights: Of the squares of each of the rows.
        layout: Which parameter is which.
    """
    modes = rows[0].axes[-1]
    assert isinstance(modes, Modes)
    order = max(layout.orders)
    count, space = modes.size - order, len(layout.owner)
    parts: Parts = {}
    for e in range(order + 1):
        for f in range(order + 1):
            parts[e, f] = np.zeros((space, space))
    for some, g, weight in zip(rows, slopes, weights, strict=True):
        _add(some, g, weight, layout, parts)
    T, V = sl.schur(integration(modes, count), output="complex")
    factors: list[Complex64[np.ndarray, "space space"]] = []
    which: list[tuple[int, bool]] = []
    values = np.diag(T)
    for k, value in enumerate(values):
        partner = [j for j in range(k) if abs(values[j] - value.conj()) < 1e-9]
        if partner:
            which.append((which[partner[0]][0], True))
            continue
        which.append((len(factors), False))
        factors.append(_factor(_square(parts, value)).astype(np.complex64))
    ways = tuple(_way(modes, one) for one in layout.orders)
    rest = {}
    for u, one in enumerate(layout.orders):
        own = np.flatnonzero(layout.owner == u)
        if one < order and len(own):
            rest[u] = _factor(parts[0, 0][np.ix_(own, own)])
    powers = (np.eye(count, dtype=complex), T, T @ T)[: order + 1]
    single = {key: part.astype(np.float32) for key, part in parts.items()}
    return Uncoupled(layout, single, powers, values, V, tuple(factors), tuple(which), ways, rest)


def _square(parts: Parts, value: complex) -> Complex[np.ndarray, "space space"]:
    """AᴴA of the rows A₀ + λ A₁ + λ² A₂."""
    first = next(iter(parts.values()))
    found = np.zeros(first.shape, dtype=complex)
    for (e, f), part in parts.items():
        found += (np.conj(value) ** e * value**f) * part
    return found


def _factor(square: Inexact[np.ndarray, "own own"]) -> Inexact[np.ndarray, "own own"]:
    """Cholesky's factor, with as much added to the diagonal as it needs; it only has to be near."""
    diagonal = np.diag(square).real.copy()
    ridge = LEAST_RIDGE
    while True:
        trial = square.copy()
        np.fill_diagonal(trial, diagonal * (1 + ridge) + np.finfo(float).tiny)
        try:
            return sl.cholesky(trial, lower=True, overwrite_a=True, check_finite=False)
        except sl.LinAlgError:
            ridge *= RAISE


def _way(modes: Modes, order: int) -> Float[np.ndarray, "own own"]:
    """From the orthonormal series of a rate to the modes that it is made of, transposed."""
    count = modes.size - order
    table = np.zeros((count, count))
    for j in range(count):
        series = modes.series[j + order]
        own = (legendre.legder(series, order) if order else series)[:count]
        table[j, : len(own)] = own / (2 * np.arange(len(own)) + 1) ** 0.5
    return np.linalg.inv(table).T


def _add(
    some: WeightedRows,
    g: Float[np.ndarray, "points rows leaves"],
    weight: float,
    layout: SpanLayout,
    parts: Parts,
) -> None:
    """Add the products of some rows in space, with their means over the span, in place."""
    modes, time = some.axes[-1], some.places[-1]
    assert isinstance(modes, Modes)
    roots = np.sqrt(time.weights.ravel())
    held_still = g.reshape(-1, len(roots), *g.shape[1:])
    mean = np.einsum("stra,t->sra", held_still, roots) / time.weights.sum()
    # The squares of a series of orthonormal polynomials, over the span.
    mean *= (2 * weight * modes.half) ** 0.5
    space = replace(some, axes=some.axes[:-1], places=some.places[:-1])
    jacobians = []
    for e in {e for e, _ in parts}:
        own = mean.copy()
        for a, (u, index) in enumerate(some.leaves):
            k = some.unknowns.index(u)
            meant = layout.orders[k] - index[-1] == e
            own[:, :, a] *= modes.half ** -index[-1] if meant else 0.0
        jacobians.append(space.jacobian(own))
    numbers = layout.number.ravel()[space.supports(layout.number.shape)]
    for (e, f), part in parts.items():
        add_to_square(np.matmul(jacobians[e].transpose(0, 2, 1), jacobians[f]), numbers, part)
