"""Truths for materials in the cells of a grid, in plain SciPy: spectral elements on squares that
get shorter towards the lines where materials meet. In time, the source is carried by the
exponentials of a small matrix, which Lanczos's method makes of one factor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from numpy.polynomial import legendre
from scipy.sparse.linalg import splu

VECTORS = 60
"""Of Lanczos's method: exponentials of diffusion need few."""


@dataclass(frozen=True)
class Elements:
    """Polynomials between nodes of a coordinate on elements that get shorter towards lines.

    Attributes:
        lines: The ends of the cells of materials, increasing.
        layers: Elements of half a cell.
        ratio: Of their lengths, one to the next towards a line.
        degree: Of the polynomials.
    """

    lines: Float[np.ndarray, " lines"]
    layers: int
    ratio: float
    degree: int

    @cached_property
    def ends(self) -> Float[np.ndarray, " ends"]:
        """Of all elements."""
        half = np.r_[0.0, self.ratio ** np.arange(self.layers - 1, -1, -1.0)] / 2
        share = np.r_[half, 1 - half[-2::-1]]
        each = [a + (b - a) * share[:-1] for a, b in zip(self.lines, self.lines[1:], strict=False)]
        return np.r_[np.concatenate(each), self.lines[-1]]

    @property
    def size(self) -> int:
        """How many nodes there are."""
        return (len(self.ends) - 1) * self.degree + 1

    @cached_property
    def _from_nodes(self) -> Float[np.ndarray, "terms nodes"]:
        """Legendre's series on an element from values at its nodes."""
        inner = legendre.Legendre.basis(self.degree).deriv().roots()
        nodes = np.r_[-1.0, np.sort(inner.real), 1.0]
        return np.linalg.inv(legendre.legvander(nodes, self.degree))

    def at(self, x: Float[np.ndarray, " points"]) -> Float[sp.csr_matrix, "points nodes"]:
        """Values of all functions at points.

        Args:
            x: The points.
        """
        p = self.degree
        k = np.clip(np.searchsorted(self.ends, x, "right") - 1, 0, len(self.ends) - 2)
        z = 2 * (x - self.ends[k]) / np.diff(self.ends)[k] - 1
        values = legendre.legvander(z, p) @ self._from_nodes
        columns = p * k[:, None] + np.arange(p + 1)
        rows = np.repeat(np.arange(len(x)), p + 1)
        shape = len(x), self.size
        return sp.csr_matrix((values.ravel(), (rows, columns.ravel())), shape=shape)

    def products(self, order: int) -> list[sp.csr_matrix]:
        """∫ of the products of functions, or of their slopes, over each cell of materials: those of
        one element, times its length or over it, so that no places are rounded.

        Args:
            order: 0 or 1.
        """
        z, w = legendre.leggauss(self.degree + 1)
        series = legendre.legder(np.eye(self.degree + 1), order)
        B = legendre.legvander(z, self.degree - order) @ series @ self._from_nodes
        one = B.T @ (w[:, None] * B)
        factors = (np.diff(self.ends) / 2) ** (1 - 2 * order)
        found = []
        for elements in self._by_cell():
            rows = self.degree * elements[:, None, None] + np.arange(self.degree + 1)[:, None]
            columns = rows.transpose(0, 2, 1)
            values = factors[elements, None, None] * one
            rows, columns = np.broadcast_arrays(rows, columns)
            each = values.ravel(), (rows.ravel(), columns.ravel())
            found.append(sp.csr_matrix(each, shape=(self.size,) * 2))
        return found

    def means(self, f: Callable[[np.ndarray], np.ndarray]) -> list[Float[np.ndarray, " nodes"]]:
        """∫ of a function times all functions over each cell of materials.

        Args:
            f: The function.
        """
        z, w = legendre.leggauss(self.degree + 3)
        B = legendre.legvander(z, self.degree) @ self._from_nodes
        found = []
        for elements in self._by_cell():
            low, half = self.ends[elements, None], np.diff(self.ends)[elements, None] / 2
            own = (half * w * f(low + half * (z + 1))) @ B
            numbers = self.degree * elements[:, None] + np.arange(self.degree + 1)
            found.append(np.bincount(numbers.ravel(), own.ravel(), self.size))
        return found

    def _by_cell(self) -> list[Int[np.ndarray, " elements"]]:
        """Numbers of the elements of each cell of materials."""
        return list(np.arange(len(self.ends) - 1).reshape(len(self.lines) - 1, -1))


def weighted(
    elements: Elements, a: Float[np.ndarray, "x y"], orders: tuple[int, int]
) -> sp.csr_matrix:
    """∫ a of the products of functions of two coordinates, or of their slopes.

    Args:
        elements: Of both coordinates.
        a: One number a cell of materials.
        orders: Of the slopes along each of them.
    """
    along_x, along_y = (elements.products(order) for order in orders)
    found = sp.csr_matrix((elements.size**2,) * 2)
    for own, numbers in zip(along_x, a, strict=True):
        rest = sum(n * one for n, one in zip(numbers, along_y, strict=True))
        found = found + sp.kron(own, rest, format="csr")
    return found


def stiffness(elements: Elements, a: Float[np.ndarray, "x y"]) -> sp.csr_matrix:
    """∫ a of the products of gradients.

    Args:
        elements: Of both coordinates.
        a: One number a cell of materials.
    """
    return weighted(elements, a, (1, 0)) + weighted(elements, a, (0, 1))


def conduction(
    k: Float[np.ndarray, "x y"],
    q: Float[np.ndarray, "x y"],
    elements: Elements,
    at: Float[np.ndarray, " points"],
) -> Float[np.ndarray, "points points"]:
    """The steady state of -∇·(k ∇u) = q with k u_n + u = 0 outside, on a grid of points.

    Args:
        k: Conductivities of the materials.
        q: Their sources.
        elements: Of both coordinates.
        at: The points of either coordinate.
    """
    A = stiffness(elements, k)
    ends = sp.csr_matrix(([1.0, 1.0], ([0, elements.size - 1],) * 2), shape=(elements.size,) * 2)
    whole = sum(elements.products(0))
    A = A + sp.kron(ends, whole) + sp.kron(whole, ends)
    load = elements.means(np.ones_like)
    f = np.zeros(elements.size**2)
    for own, numbers in zip(load, q, strict=True):
        f += np.kron(own, numbers @ np.array(load))
    return _shown(elements, _solver(A)(f), at)


def heated(
    mass: Float[np.ndarray, "x y"],
    a: Float[np.ndarray, "x y"],
    shape: Sequence[Callable[[np.ndarray], np.ndarray]],
    beat: Callable[[float], float],
    time: float,
    elements: Elements,
    at: Float[np.ndarray, " points"],
) -> Float[np.ndarray, "points points"]:
    """The end of m u_t = ∇·(a ∇u) + m f(x) g(y) s(t) from u = 0, with u = 0 outside, on a grid of
    points.

    Args:
        mass: m of the materials.
        a: Of the materials.
        shape: f and g.
        beat: s.
        time: How long.
        elements: Of both coordinates.
        at: The points of either coordinate.
    """
    n = elements.size
    inner = np.arange(n * n).reshape(n, n)[1:-1, 1:-1].ravel()
    M, A = (B[inner][:, inner] for B in (weighted(elements, mass, (0, 0)), stiffness(elements, a)))
    first, second = (elements.means(one) for one in shape)
    load = np.zeros(n * n)
    for own, numbers in zip(first, mass, strict=True):
        load += np.kron(own, numbers @ np.array(second))
    # (M + τ A)⁻¹ M has the eigenvectors of M⁻¹ A, of which slow ones come first.
    shift = time / 10
    solve = _solver((M + shift * A).tocsc())
    v = splu(M.tocsc()).solve(load[inner])
    size = np.sqrt(v @ (M @ v))
    V, H = [v / size], np.zeros((VECTORS + 1, VECTORS))
    for j in range(VECTORS):
        w = solve(M @ V[j])
        for _ in range(2):
            Mw = M @ w
            for i, one in enumerate(V):
                c = one @ Mw
                H[i, j] += c
                w = w - c * one
        H[j + 1, j] = np.sqrt(w @ (M @ w))
        V.append(w / H[j + 1, j])
    small = H[:VECTORS]
    values, Q = np.linalg.eigh((small + small.T) / 2)
    rates = (1 / np.maximum(values, 1e-14) - 1) / shift
    began = Q.T @ np.eye(VECTORS)[0] * size
    carried = np.array([_carried(rate, beat, time) for rate in rates])
    u = np.zeros(n * n)
    u[inner] = np.stack(V[:VECTORS], 1) @ (Q @ (carried * began))
    return _shown(elements, u, at)


def _carried(rate: float, beat: Callable[[float], float], time: float) -> float:
    """∫ exp(-rate (time - s)) beat(s) ds."""
    z, w = legendre.leggauss(40)
    # Only the last moments count where the rate is high: parts get shorter towards the end.
    ends = time * (1 - np.r_[2.0 ** -np.arange(0, 40), 0.0])
    half = np.diff(ends)[:, None] / 2
    s = ends[:-1, None] + half * (z + 1)
    return float((half * w * np.exp(-rate * (time - s)) * np.vectorize(beat)(s)).sum())


def _solver(A: sp.spmatrix) -> Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]]:
    """What solves symmetric equations, once more for what rounding left."""
    A = sp.csc_matrix(A)
    factor = splu(A, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})

    def solve(b: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        x = factor.solve(b)
        return x + factor.solve(b - A @ x)

    return solve


def _shown(
    elements: Elements, u: Float[np.ndarray, " all"], at: Float[np.ndarray, " points"]
) -> Float[np.ndarray, "points points"]:
    B = elements.at(at)
    return B @ (B @ u.reshape(elements.size, -1).T).T
