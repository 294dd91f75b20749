"""A steady problem on a polygon with rough corners: splines on cells that are refined, and the
functions of the corners beside them, for which splines would need endlessly many cells.

What splines leave of each of these functions is found by itself, so that only few columns are left
to be told apart, by their singular values: normal equations would see half the digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from kanpde.problem.formulation import Formulation
from kanpde.problem.problem import Problem
from kanpde.products.axes import Axis
from kanpde.products.corner_functions import CornerFunction, corner_functions
from kanpde.products.estimates import SAMPLES, seen
from kanpde.products.guide import Guide
from kanpde.products.held import Held
from kanpde.products.immersed import MaskedRows
from kanpde.products.joined import Rows
from kanpde.products.newton import LAST_STEP, Iterate, LeastSquares, least_squares
from kanpde.products.progress import Progress, Settings
from kanpde.products.refining import RefinedProducts
from kanpde.products.rows import WeightedRows, unmet
from kanpde.products.solution import CorneredSolution
from kanpde.products.tensor import Product

COMPARED_ALONG = 61
"""Points along a coordinate at which attempts are compared."""

ROUNDING_BESIDE = 1e-13
"""Share of a function beside, by what splines leave of it, that is rounding."""


def splines_of(C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "fewer ..."]:
    """The coefficients of splines alone: the last unknown is none, and holds how much there is of
    the functions beside.

    Args:
        C: Those of all.
    """
    return C[:-1]


def shares_of(C: Float[np.ndarray, "unknowns ..."], count: int) -> Float[np.ndarray, " count"]:
    """How much there is of the functions beside.

    Args:
        C: The coefficients of all.
        count: How many functions there are.
    """
    return C[-1].ravel()[:count]


def together(
    C: Float[np.ndarray, "fewer ..."], shares: Float[np.ndarray, " functions"]
) -> Float[np.ndarray, "unknowns ..."]:
    """The coefficients of splines, and how much there is of the functions beside.

    Args:
        C: Those of splines.
        shares: How much of each.
    """
    beside = np.zeros((1, *C.shape[1:]))
    beside.ravel()[: len(shares)] = shares
    return np.concatenate([C, beside])


@dataclass(frozen=True, eq=False)
class SquaresBeside(LeastSquares):
    """The squares of affine equations on some axes, with functions beside the splines that solve
    the equations, and that only conditions see. All coefficients that it takes are those of both.

    Attributes:
        functions: Those beside.
    """

    functions: tuple[CornerFunction, ...] = field(kw_only=True)

    def interiors(
        self, C: Float[np.ndarray, "unknowns ..."]
    ) -> list[tuple[WeightedRows, Float[np.ndarray, "fewer ..."]]]:
        return super().interiors(splines_of(C))

    def unmet(self, at: Iterate, error: Float[np.ndarray, " unknowns"]) -> float:
        C, shares = splines_of(at.C), shares_of(at.C, len(self.functions))
        seen_by = [some for some in self.rows if some.normal]
        found = super().unmet(replace(at, C=C), error)
        if not found:
            return 0.0
        inside = max(some.unmet(C) for some in self.rows if not some.normal)
        return max(inside, *(unmet(*self._on_face(some, C, shares)) for some in seen_by))

    def _on_face(
        self,
        some: Rows,
        C: Float[np.ndarray, "fewer ..."],
        shares: Float[np.ndarray, " functions"],
    ) -> tuple[
        Float[np.ndarray, "points rows"],
        Float[np.ndarray, "points rows leaves"],
        Float[np.ndarray, "points leaves"],
    ]:
        """The rows of a condition, their partials, and the derivatives that they are taken of."""
        assert isinstance(some, WeightedRows)
        D = some.derivatives(C) + self._columns(some) @ shares
        r, g = some.evaluated(D, some.leaves, True)
        assert g is not None
        return r, g, D

    def _columns(self, some: WeightedRows) -> Float[np.ndarray, "points leaves functions"]:
        """The derivatives of the functions beside at the points of a condition."""
        if id(some) not in self._known_columns:
            points = np.stack([x.numpy() for x in some.coordinates.values()], 1)
            each = [[f.derivative(points, a) for f in self.functions] for _, a in some.leaves]
            self._known_columns[id(some)] = np.moveaxis(np.array(each), 2, 0)
        return self._known_columns[id(some)]

    @cached_property
    def _known_columns(self) -> dict[int, Float[np.ndarray, "points leaves functions"]]:
        return {}

    def _size(
        self, D: Float[np.ndarray, "unknowns ..."], C: Float[np.ndarray, "unknowns ..."]
    ) -> float:
        # By values: splines and functions beside may take of one another what is nearly both.
        change, after = (np.abs(self._values(one)).max() for one in (D, C + D))
        return float(change / max(after, np.finfo(float).tiny))

    def _values(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, " points"]:
        """Of the solution at points inside."""
        splines, beside = self._inside
        return splines @ splines_of(C).ravel() + beside @ shares_of(C, len(self.functions))

    @cached_property
    def _inside(self) -> tuple[sp.csr_matrix, Float[np.ndarray, "points functions"]]:
        """Values of splines and of the functions beside at points inside."""
        rows = self.rows[0]
        assert isinstance(rows, MaskedRows)
        grid = [np.linspace(*axis.ends, COMPARED_ALONG) for axis in rows.axes]
        points = np.stack([x.ravel() for x in np.meshgrid(*grid, indexing="ij")], 1)
        points = points[seen(rows.domain, grid)]
        beside = np.stack([f.derivative(points, (0, 0)) for f in self.functions], 1)
        return self.at(points), beside

    def _corrected(
        self, C: Float[np.ndarray, "unknowns ..."], tolerance: float
    ) -> tuple[Float[np.ndarray, "unknowns ..."], float, float, int]:
        """A step of the splines by themselves, and how much of the functions beside makes what it
        leaves, with what splines take of that, the least."""
        factor, weights, _ = self._fixed
        own, shares = splines_of(C), shares_of(C, len(self.functions))
        right = [
            -(self._on_face(some, own, shares)[0] if some.normal else some.linear(own)[0])
            for some in self.rows
        ]
        size = super()._size

        def settled(z: Float[np.ndarray, " free"], x: Float[np.ndarray, " free"]) -> bool:
            return size(self.spread(z), own + self.spread(x)) < LAST_STEP * tolerance

        found, count = self.nearest(factor, weights, self._slopes, right, settled)
        ways, left, scale = self._remainder
        rest = self._stacked(right) - self._pushed(found)
        more = scale * np.linalg.lstsq(left, rest, rcond=ROUNDING_BESIDE)[0]
        squares = float((self._stacked(right) ** 2).sum())
        return together(self.spread(found + ways @ more), more), 1.0, squares, count

    @cached_property
    def _slopes(self) -> list[Float[np.ndarray, "_ _ _"]]:
        """Partials of all rows, which are the same everywhere."""
        zero = np.zeros(self.index.shape)
        return [some.linear(zero)[1] for some in self.rows]

    @cached_property
    def _remainder(
        self,
    ) -> tuple[
        Float[np.ndarray, "free functions"],
        Float[np.ndarray, "rows functions"],
        Float[np.ndarray, " functions"],
    ]:
        """The splines that are nearest to less each of the functions beside, what they leave of the
        rows that see it, over how large these are, and one over that."""
        factor, weights, _ = self._fixed
        size = super()._size

        def settled(z: Float[np.ndarray, " free"], x: Float[np.ndarray, " free"]) -> bool:
            return size(self.spread(z), self.spread(x)) < ROUNDING_BESIDE

        ways, left, scale = [], [], []
        for k in range(len(self.functions)):
            right = [
                -np.einsum("pra,pa->pr", g, self._columns(some)[:, :, k])
                if isinstance(some, WeightedRows) and some.normal
                else np.zeros(g.shape[:2])
                for some, g in zip(self.rows, self._slopes, strict=True)
            ]
            whole = self._stacked(right)
            way, _ = self.nearest(factor, weights, self._slopes, right, settled)
            ways.append(way)
            scale.append(1 / np.linalg.norm(whole))
            left.append((self._pushed(way) - whole) * scale[-1])
        return np.stack(ways, 1), np.stack(left, 1), np.array(scale)

    def _stacked(self, rows: Sequence[Float[np.ndarray, "_ _"]]) -> Float[np.ndarray, " rows"]:
        """All rows one after another, times the roots of their weights."""
        ways = zip(self._fixed[1], rows, strict=True)
        return np.concatenate([weight**0.5 * r.ravel() for weight, r in ways])

    def _pushed(self, v: Float[np.ndarray, " free"]) -> Float[np.ndarray, " rows"]:
        """J times a change of the splines, stacked."""
        D, ways = self.spread(v), zip(self.rows, self._slopes, strict=True)
        return self._stacked([some.pushed(g, D) for some, g in ways])


class RefinedCorners(RefinedProducts):
    """The way through finer and finer cells, with the functions of corners beside the splines."""

    def __init__(self, problem: Problem, settings: Settings, guide: Guide | None = None):
        super().__init__(problem, settings, guide)
        self.functions = corner_functions(problem)
        # What splines cannot do is beside them; these hold no condition by themselves.
        self.corners = ()
        self.problem = Formulation(
            domain=problem.domain,
            unknowns=problem.unknowns,
            copies=problem.copies,
            groups=problem.groups,
            constraints=tuple(replace(c, prescribed=None) for c in problem.constraints),
            periodic=(),
            parameters=(),
        )

    def solution(self, progress: Progress) -> CorneredSolution:
        spans = progress.spans
        if not spans:
            at = progress.at or self._begun(progress)
            spans = (Product(progress.axes, at.C),)
        (found,) = spans
        splines = replace(found, C=splines_of(found.C))
        shares = shares_of(found.C, len(self.functions))
        return CorneredSolution(self.stated, splines, self.functions, shares)

    def _begun(self, progress: Progress) -> Iterate:
        return Iterate(together(self._conditioned(progress).C, np.zeros(len(self.functions))))

    def _lowered(self, axes: Sequence[Axis], given: Held) -> LeastSquares:
        plain = least_squares(self.problem, axes, given)
        return SquaresBeside(plain.rows, plain.index, plain.free, functions=self.functions)

    def _extremes(
        self, products: Sequence[Product]
    ) -> tuple[Float[np.ndarray, " unknowns"], Float[np.ndarray, " unknowns"]]:
        (product,) = products
        values = self._values(product, SAMPLES)
        return np.array([values.min()]), np.array([values.max()])

    def _rough(
        self, products: Sequence[Product], sizes: Float[np.ndarray, " unknowns"]
    ) -> list[Float[np.ndarray, " cells"]]:
        return super()._rough([replace(one, C=splines_of(one.C)) for one in products], sizes)

    def _moved(
        self,
        before: Sequence[Product],
        after: Sequence[Product],
        sizes: Float[np.ndarray, " unknowns"],
    ) -> float:
        one, other = (self._values(some, COMPARED_ALONG) for (some,) in (before, after))
        return float(np.abs(other - one).max() / sizes.max())

    def _values(self, product: Product, count: int) -> Float[np.ndarray, " points"]:
        """Of the solution on a grid inside."""
        grid = [np.linspace(*axis.ends, count) for axis in product.axes]
        some = seen(self.curved, grid)
        points = np.stack([x.ravel() for x in np.meshgrid(*grid, indexing="ij")], 1)[some]
        found = product.on_grid(0, grid, (0, 0)).ravel()[some]
        ways = zip(shares_of(product.C, len(self.functions)), self.functions, strict=True)
        return found + sum(share * f.derivative(points, (0, 0)) for share, f in ways)
