"""Galerkin's equations of a problem on pieces: residuals inside, and what flows through faces,
tested against the same functions that the solution is made of.

The equation of every piece is multiplied by what makes it one of conservation (conserved.py). On
faces w times a condition B with the slope u_n is taken away, such that its slope is that of the
equation integrated by parts: so ∫ R v - ∫ w B v has first derivatives only. Then the limit is right
where solutions have no second ones that are square integrable, as where materials meet in a point;
there that of least squares is a wrong one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import SuperLU, splu

from kanpde.errors import ProblemError
from kanpde.problem.constraints import Constraint
from kanpde.problem.formulation import Formulation
from kanpde.products.axes import Axis, along
from kanpde.products.conserved import Conserved, slope_of
from kanpde.products.held import Held
from kanpde.products.joined import JoinedRows, SeamSide
from kanpde.products.newton import Iterate
from kanpde.products.pieces import Seam
from kanpde.products.piecewise import PiecewiseSquares, SplineAxes, piecewise_squares
from kanpde.products.rows import Places, Tempered, WeightedRows
from kanpde.residual.calculus import Leaf

SHARE_OF_STEP = 1e-2
"""A step below this share of the root of the tolerance is the last one where equations are not
linear, over the largest coefficient of each unknown."""

SAME_PARTIAL = 1e-13
"""Difference of partials that are the same, over the largest."""

Factor = tuple[WeightedRows, Leaf, Leaf]
"""What a condition is multiplied by: what an equation takes of a second derivative over what the
condition takes of a slope."""


@dataclass(frozen=True, eq=False)
class Tested:
    """Rows that are multiplied by functions of the first of their pieces, and added up.

    Attributes:
        rows: The rows, times the roots of the weights of quadrature.
        scale: What they are multiplied by.
        factor: What they are multiplied by as well; None for ones.
    """

    rows: JoinedRows
    scale: float
    factor: Factor | None = None

    def rest(
        self, C: Float[np.ndarray, " all"]
    ) -> tuple[Float[np.ndarray, " own"], Float[np.ndarray, " points"], np.ndarray]:
        """What these rows add to what is left of the equations, by the coefficients of the first of
        their pieces; what they were multiplied by; and their partials.

        Args:
            C: The coefficients.
        """
        r, g = self.rows.linear(C)
        weight, side = self._weight(C, g), self.rows.sides[0].rows
        shape = [places.x.size for places in side.places]
        ways = zip(side.axes, side.places, strict=True)
        lift = [_values(axis, places, 0).T for axis, places in ways]
        return along(lift, (side.roots * weight * r[:, 0]).reshape(shape)).ravel(), weight, g

    def derivatives(
        self,
        weight: Float[np.ndarray, " points"],
        g: Float[np.ndarray, "points rows leaves"],
        index: Int[np.ndarray, " all"],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, columns and values of what these rows add to the matrix of the equations.

        Args:
            weight: What the rows are multiplied by.
            g: Their partials.
            index: Number of the parameter behind each coefficient, -1 where it is given.
        """
        first, sides = self.rows.sides[0], self.rows.sides
        alike = self._everywhere(weight[:, None] * g[:, 0])
        if alike is not None:
            rows, columns, K = self._of_products(alike, index[first.part])
        else:
            ends = accumulate((len(side.rows.leaves) for side in sides), initial=0)
            parts = [
                side.rows.jacobian(weight[:, None, None] * g[:, :, a:b])
                for side, (a, b) in zip(sides, pairwise(ends), strict=True)
            ]
            each = [index[side.first + side.rows.supports(side.shape)] for side in sides]
            rows, columns = np.broadcast_arrays(
                each[0][:, :, None], np.concatenate(each, 1)[:, None, :]
            )
            K = np.matmul(self._tests.transpose(0, 2, 1), np.concatenate(parts, 2))
        kept = (rows >= 0) & (columns >= 0) & (K != 0)
        return rows[kept], columns[kept], K[kept]

    @property
    def _tests(self) -> Float[np.ndarray, "blocks points local"]:
        """The functions at the points of all cells, times the roots of the weights."""
        side = self.rows.sides[0].rows
        found = side.by_cell(side.roots[:, None])
        each = np.ones((len(found), 1, 1))
        for i in range(len(side.axes)):
            own = side.alive_on_cells(i, 0)[side.cells[i]]
            wide = np.einsum("kap,kbq->kabpq", each, own)
            each = wide.reshape(len(found), wide.shape[1] * wide.shape[2], -1)
        return found * each

    def _everywhere(
        self, g: Float[np.ndarray, "points leaves"]
    ) -> Float[np.ndarray, " leaves"] | None:
        """Partials that are the same at all points; None where they are not, and on faces."""
        side = self.rows.sides[0].rows
        if side.normal:
            return None
        found = g / side.roots[:, None]
        largest = np.abs(found).max(0)
        return found[0] if (np.ptp(found, 0) <= SAME_PARTIAL * largest).all() else None

    def _of_products(
        self, g: Float[np.ndarray, " leaves"], numbers: Int[np.ndarray, " own"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Numbers of rows and columns and values of derivatives, where partials are the same
        everywhere: products of those along each coordinate."""
        side = self.rows.sides[0].rows
        whole = sp.csr_matrix((len(numbers),) * 2)
        for value, (_, orders) in zip(g, side.leaves, strict=True):
            product = sp.identity(1)
            for axis, places, order in zip(side.axes, side.places, orders, strict=True):
                w = sp.diags(places.weights.ravel())
                own = _values(axis, places, 0).T @ w @ _values(axis, places, order)
                product = sp.kron(product, own)
            whole = whole + value * product
        found = whole.tocoo()
        return numbers[found.row], numbers[found.col], found.data

    def _weight(
        self, C: Float[np.ndarray, " all"], g: Float[np.ndarray, "points rows leaves"]
    ) -> Float[np.ndarray, " points"]:
        """What the rows are multiplied by, at the points."""
        if self.factor is None:
            return np.full(len(g), self.scale)
        inside, second, slope = self.factor
        own = inside.linear(self.rows.sides[0].own(C))[1][:, 0, inside.leaves.index(second)]
        return self.scale * own / g[:, 0, self.rows.leaves.index(slope)]


def _values(axis: Axis, places: Places, order: int) -> sp.csr_matrix:
    """Derivatives of all functions of an axis at places."""
    cell = np.repeat(places.cells, places.x.shape[1])
    return axis.matrix(places.x.ravel(), order, cell)


@dataclass(frozen=True, eq=False)
class TestedPieces(PiecewiseSquares):
    """The equations of a problem on pieces, over the coefficients of all one after another.

    Attributes:
        terms: What they are the sum of.
        rows: Those inside alone, as least squares have them, by which equations are looked at.
    """

    terms: tuple[Tested, ...]

    def advance(self, at: Iterate, tolerance: float, nearly: object = None) -> Iterate:
        """One step of Newton's method.

        Args:
            at: Where it begins.
            tolerance: Error that is asked for, over the largest coefficients.
            nearly: Nothing.

        Raises:
            ProblemError: The residual is not finite, or the equations are singular.
        """
        if self.affine:
            (matrix, factor), rest = self._fixed_factor, self.equations(at.C, False)[1]
        else:
            matrix, rest = self.equations(at.C)
            factor = FactoredPieces.of(matrix)
        d = factor(-rest)
        d += factor(-rest - matrix @ d)
        D = self.spread(d)
        size = self._size(D, at.C)
        # What rounding left of linear equations is seen in a second step; there is no third one.
        enough = math.inf if self.affine else SHARE_OF_STEP * tolerance**0.5
        settled = size < enough and at.steps > 0
        lost = not np.isfinite(size) or (at.steps > 2 and size > at.size)
        done = settled or lost or at.steps + 1 >= self.most
        return replace(
            at,
            C=at.C + D if np.isfinite(size) else at.C,
            steps=at.steps + 1,
            size=size,
            loss=float((rest**2).sum()),
            stiffness=at.stiffness or self._stiffness(at.C),
            done=done,
            stalled=done and not settled,
        )

    def equations(
        self, C: Float[np.ndarray, " all"], derivatives: bool = True
    ) -> tuple[sp.csc_matrix, Float[np.ndarray, " free"]]:
        """Their derivatives by the parameters, and what is left of them.

        Args:
            C: The coefficients.
            derivatives: Whether these are wanted; nothing without.
        """
        rest, parts = np.zeros(self.free), []
        for term in self.terms:
            values, weight, g = term.rest(C)
            numbers = self.index[term.rows.sides[0].part]
            np.add.at(rest, numbers[numbers >= 0], values[numbers >= 0])
            if derivatives:
                parts.append(term.derivatives(weight, g, self.index))
        if not derivatives:
            return sp.csc_matrix((self.free,) * 2), rest
        rows, columns, K = (np.concatenate(each) for each in zip(*parts, strict=True))
        return sp.csc_matrix((K, (rows, columns)), shape=(self.free,) * 2), rest

    @cached_property
    def _fixed_factor(self) -> tuple[sp.csc_matrix, FactoredPieces]:
        """Where they are linear: the matrix and its factors."""
        matrix, _ = self.equations(np.zeros(self.index.shape))
        return matrix, FactoredPieces.of(matrix)

    def _stiffness(self, C: Float[np.ndarray, " all"]) -> tuple[float, ...]:
        return self.stiffness_of(self.gathered(*(some.diagonal(C) for some in self.rows)))


@dataclass(frozen=True, eq=False)
class FactoredPieces:
    """Factors of equations whose pattern is symmetric, divided by roots of their diagonal.

    Attributes:
        factor: The factors.
        scale: Inverse roots of the diagonal.
    """

    factor: SuperLU
    scale: Float[np.ndarray, " free"]

    @classmethod
    def of(cls, matrix: sp.csc_matrix) -> FactoredPieces:
        """Those of some equations.

        Args:
            matrix: Of the equations.

        Raises:
            ProblemError: They are singular.
        """
        scale = 1 / np.sqrt(np.maximum(np.abs(matrix.diagonal()), np.finfo(float).tiny))
        scaled = (sp.diags(scale) @ matrix @ sp.diags(scale)).tocsc()
        ways = {"diag_pivot_thresh": 0.01, "options": {"SymmetricMode": True}}
        try:
            return cls(splu(scaled, "MMD_AT_PLUS_A", **ways), scale)
        except RuntimeError as error:
            raise ProblemError(
                "the equations of the products of splines are singular: a condition is missing, or"
                " an equation does not depend on its unknowns"
            ) from error

    def __call__(self, right: Float[np.ndarray, " free"]) -> Float[np.ndarray, " free"]:
        """The inverse times a vector.

        Args:
            right: The vector.
        """
        return self.scale * self.factor.solve(self.scale * right)


def tested_pieces(
    pieces: Sequence[Formulation],
    law: Conserved,
    axes: Sequence[SplineAxes],
    given: Sequence[Held],
    unknowns: Sequence[Sequence[int]],
    tempered: Tempered | None,
) -> TestedPieces:
    """The equations of a problem on pieces.

    Args:
        pieces: The problem on every piece.
        law: What is conserved.
        axes: Functions of each coordinate, by piece: pieces that meet have the same cells there.
        given: What the conditions of each piece give, pieces that meet the same there.
        unknowns: Of each piece, the numbers of its unknowns.
        tempered: What residuals are multiplied by where equations are looked at; None for ones.
    """
    squares = piecewise_squares(pieces, (), axes, given, unknowns, tempered)
    firsts = list(accumulate((one.C.size for one in given), initial=0))
    size, terms = firsts[-1], list[Tested]()
    insides = []
    for k, (piece, own, held) in enumerate(zip(pieces, axes, given, strict=True)):
        places = tuple(Places.inside(axis, axis.degree + 1) for axis in own)
        inside = WeightedRows(piece.equations, (1.0,), own, piece.unknowns, places)
        insides.append(inside)
        side = SeamSide(inside, firsts[k], held.C.shape)
        terms.append(Tested(JoinedRows((side,), size), law.scales[k]))
        for c in held.soft:
            i, lower = piece.coordinates.index(c.face[:-1]), c.face.endswith("-")
            ways = [(inside, firsts[k], held.C.shape, lower)]
            terms.append(_on_face(c, i, -1 if lower else 1, law.scales[k], ways, size))
    for seam in law.fluxes:
        ways = [
            (insides[k], firsts[k], given[k].C.shape, (seam.side < 0) == (n == 0))
            for n, k in enumerate(seam.pieces)
        ]
        scale = law.scales[seam.pieces[0]]
        terms.append(_on_face(seam.constraint, seam.axis, seam.side, scale, ways, size))
    inner = tuple(some for some in squares.rows if not some.normal)
    index, free = _shared_numbers(given)
    return TestedPieces(inner, index, free, squares.owner, tuple(terms))


def _on_face(
    c: Constraint,
    axis: int,
    side: int,
    scale: float,
    ways: Sequence[tuple[WeightedRows, int, tuple[int, ...], bool]],
    size: int,
) -> Tested:
    """What flows through a face, or from one piece to another."""
    sides, dims = [], len(ways[0][0].axes)
    normal = tuple(float(side) * (k == axis) for k in range(dims))
    for inside, first, shape, lower in ways:
        end = Places.end(inside.axes[axis], lower)
        places = (*inside.places[:axis], end, *inside.places[axis + 1 :])
        own = replace(inside, residuals=(c.residual,), places=places, normal=normal, condition=c)
        sides.append(SeamSide(own, first, shape))
    inside = replace(ways[0][0], places=sides[0].rows.places, condition=c)
    (unknown,) = inside.unknowns
    slope = slope_of(c, axis, (unknown,))
    if slope is None:
        raise ProblemError(f"{c.label}: has no slope across its face")
    second = unknown, tuple(2 * n for n in slope[1])
    return Tested(JoinedRows(tuple(sides), size), -scale, (inside, second, slope))


def _shared_numbers(given: Sequence[Held]) -> tuple[Int[np.ndarray, " all"], int]:
    """Of the parameters of all pieces, which are numbered together already."""
    index = np.concatenate([one.index.ravel() for one in given])
    return index, int(index.max()) + 1


def continuous(given: Sequence[Held], seams: Sequence[Seam]) -> list[Held]:
    """What the conditions of pieces give, with one parameter for what is the same on both sides of
    a seam, and given where one of them gives it.

    Args:
        given: What the conditions of each piece give.
        seams: Where they meet, one for each part of a plane.
    """
    firsts = list(accumulate((one.C.size for one in given), initial=0))
    before = list(accumulate((one.free for one in given), initial=0))
    numbers = [
        np.where(one.index >= 0, one.index + n, -1).ravel()
        for one, n in zip(given, before, strict=False)
    ]
    number, C = np.concatenate(numbers), np.concatenate([one.C.ravel() for one in given])
    pairs = []
    for seam in seams:
        each = []
        for n, k in enumerate(seam.pieces):
            end = 0 if (seam.side < 0) == (n == 0) else -1
            places = firsts[k] + np.arange(given[k].C.size).reshape(given[k].C.shape)
            each.append(places.take(end, 1 + seam.axis).ravel())
        pairs.append(np.stack(each))
    a, b = np.concatenate(pairs, 1)
    both = (number[a] >= 0) & (number[b] >= 0)
    count = before[-1]
    graph = sp.coo_matrix((np.ones(both.sum()), (number[a][both], number[b][both])), (count,) * 2)
    _, label = connected_components(graph, directed=False)
    # The first coefficient of each parameter at a seam is at the same place on both sides.
    at_seams = np.unique(np.r_[a, b])
    at_seams = at_seams[number[at_seams] >= 0]
    used, where = np.unique(number[at_seams], return_index=True)
    value, known = np.full(count, np.nan), np.zeros(count, dtype=bool)
    for one, other in ((a, b), (b, a)):
        fixed = (number[one] >= 0) & (number[other] < 0)
        value[label[number[one][fixed]]] = C[other[fixed]]
        known[label[number[one][fixed]]] = True
    loose = ~known[label[used]]
    value[label[used[loose]][::-1]] = C[at_seams[where[loose]]][::-1]
    moved = np.zeros(count + 1)
    moved[used] = value[label[used]] - C[at_seams[where]]
    C = C + np.where(number >= 0, moved[number], 0.0)
    final = np.where(known[label], -1, label)
    new = np.where(number >= 0, final[number], -1)
    free, numbered = np.unique(new[new >= 0], return_inverse=True)
    new[new >= 0] = numbered
    return [
        replace(
            one,
            C=C[low : low + one.C.size].reshape(one.C.shape),
            index=new[low : low + one.C.size].reshape(one.C.shape),
            free=len(free),
        )
        for one, low in zip(given, firsts, strict=False)
    ]
