"""A first, cheap look at a problem: polynomials, on all of it, by least squares.

It says of what size the unknowns and the terms of the equations are, and nothing more: a dozen
Legendre polynomials follow no layer and no front, but have its height. Equations and conditions are
rows that are divided by the size of what stands in them, so that the units they are written in do
not matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from jaxtyping import Float
from numpy.polynomial import legendre
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry import Domain, Pieces
from kanpde.geometry.sampling import inside_points, unit_points
from kanpde.geometry.vector import FEW
from kanpde.problem.faces import by_name
from kanpde.problem.problem import Problem
from kanpde.residual.calculus import Leaf, MultiIndex, Values
from kanpde.residual.elsewhere import Rule
from kanpde.residual.residual import Residual

TOTAL_DEGREE = {1: 12, 2: 8, 3: 6, 4: 8}
"""Total degree of the polynomials by the number of coordinates; DEGREE_OF_MANY beyond that."""

DEGREE_OF_MANY = 10

DEGREE_ALONG = {1: 12, 2: 8, 3: 4}
"""Degree along one coordinate at most; DEGREE_ALONG_MANY beyond that."""

DEGREE_ALONG_MANY = 2

POINTS_A_FUNCTION = 2.0
"""Points inside, over the functions of an unknown."""

MOST_FUNCTIONS = 400
"""Functions of all unknowns together; with more of them the degree is lowered."""

STEPS_OF_A_FIT = 6
"""Of Gauss and Newton, at most, where the equations are not linear."""

DAMPINGS_OF_A_FIT = (1e-10, 1e-4, 1e-2, 1.0, 100.0)
"""What is tried in one step, over the mean square of the scaled rows' entries."""

BALANCING_SWEEPS = 20
"""Of the alternating means that balance rows and outputs."""

FAINT_COLUMN = 1e-6
"""Length of a column of scaled derivatives, over that of the longest, below which it is zero."""

CONDITIONS_FIRST = 3.0
"""How much more rows of conditions and data count than those of equations."""

SMOOTH_DEGREE = 4
"""Degree of the functions by which the size of rows is told."""

COARSE = Rule(2, 6)
"""Of quadrature, for integrals of which the size alone is wanted."""


@dataclass(frozen=True)
class PolynomialProducts:
    """Products of Legendre polynomials, or of cosines and sines where all is periodic.

    Attributes:
        bounds: Of the coordinates.
        periodic: Which of them are periodic.
        indices: The functions, by their number along each coordinate.
    """

    bounds: tuple[tuple[float, float], ...]
    periodic: tuple[bool, ...]
    indices: tuple[MultiIndex, ...]

    @property
    def low(self) -> list[int]:
        """Positions of the smoothest functions."""
        return [k for k, n in enumerate(self.indices) if sum(n) <= SMOOTH_DEGREE]

    def derivative(
        self, points: Float[Tensor, "points dims"], alpha: MultiIndex
    ) -> Float[Tensor, "points functions"]:
        """A derivative of all functions at points."""
        found: Tensor | float = 1.0
        for x, (low, high), turns, order, numbers in zip(
            points.T,
            self.bounds,
            self.periodic,
            alpha,
            zip(*self.indices, strict=True),
            strict=True,
        ):
            unit = 2 / (high - low)
            s = ((x - low) * unit - 1).numpy()
            along = (_fourier if turns else _legendre)(s, max(numbers) + 1, order)
            found = found * torch.from_numpy(along[:, list(numbers)] * unit**order)
        assert isinstance(found, Tensor)
        return found


def numbers(dims: int, degree: int) -> tuple[MultiIndex, ...]:
    """Which functions are products: the degrees along each coordinate, and of the product.

    Args:
        dims: Number of coordinates.
        degree: The highest of a product.
    """
    along = range(min(degree, DEGREE_ALONG.get(dims, DEGREE_ALONG_MANY)) + 1)
    if dims > FEW:
        # Functions of one coordinate each: products are too many to be looked at.
        ones = (tuple(n * (i == k) for i in range(dims)) for k in range(dims) for n in along[1:])
        return ((0,) * dims, *ones)
    return tuple(n for n in product(along, repeat=dims) if sum(n) <= degree)


def _points(degree: int, dims: int) -> int:
    """How many points a function of so many coordinates takes."""
    return round(POINTS_A_FUNCTION * len(numbers(dims, degree)))


def _legendre(s: np.ndarray, count: int, order: int) -> np.ndarray:
    """Derivatives of the first Legendre polynomials, [points, count]."""
    slopes = legendre.legder(np.eye(count), order, axis=0) if order else np.eye(count)
    return np.asarray(legendre.legval(s, slopes)).T if len(slopes) else np.zeros((len(s), count))


def _fourier(s: np.ndarray, count: int, order: int) -> np.ndarray:
    """Derivatives of 1, cos πs, sin πs, cos 2πs, …, [points, count]."""
    columns = []
    for n in range(count):
        w = math.pi * ((n + 1) // 2)
        shift = math.pi / 2 * (order - (n % 2 == 0))  # cosine where n is odd, sine where it is even
        columns.append(
            w**order * np.cos(w * s + shift) if n else np.full(len(s), order == 0, float)
        )
    return np.stack(columns, 1)


@dataclass(frozen=True)
class ResidualRows:
    """A residual at points, as a function of the coefficients of all polynomials.

    Attributes:
        name: Of what it is a part: the number of the equation, or the label of the condition.
        residual: The residual.
        at: The points by coordinate.
        normal: The normals there; None inside.
        leaves: What each of its leaves takes of the coefficients [points, functions], and which
            they are; for a parameter its value.
    """

    name: str
    residual: Residual
    at: Values
    normal: Values | None
    leaves: tuple[tuple[Tensor, slice] | float, ...]

    def __call__(self, c: Tensor, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """Values [points, equations], and their derivatives [points, equations, functions]."""
        count = len(next(iter(self.at.values())))
        u = torch.stack(
            [
                c.new_full((count,), leaf) if isinstance(leaf, float) else leaf[0] @ c[leaf[1]]
                for leaf in self.leaves
            ],
            1,
        )
        r, g = self.residual(self.at, u, self.normal, slopes)
        if g is None:
            return r, None
        J = r.new_zeros(*r.shape, len(c))
        for a, leaf in enumerate(self.leaves):
            if not isinstance(leaf, float):
                J[:, :, leaf[1]] += g[:, :, a, None] * leaf[0][:, None]
        return r, J


@dataclass(frozen=True)
class MeasuredRows:
    """The difference of an output from what was measured, over the spread of the values.

    Attributes:
        functions: Values of its polynomials at the points, [points, functions].
        own: Which coefficients are theirs.
        given: What was measured, [points].
    """

    functions: Tensor
    own: slice
    given: Tensor

    def __call__(self, c: Tensor, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """As that of ResidualRows."""
        J = c.new_zeros(len(self.given), 1, len(c))
        J[:, 0, self.own] = self.functions
        return (self.functions @ c[self.own] - self.given)[:, None], J if slopes else None


@dataclass(frozen=True)
class Glance:
    """What polynomials make of a problem.

    Attributes:
        values: Of every output inside its region and on its faces, by name.
        terms: Of every residual, by its number among the equations or by its label, how much its
            rows change with smooth functions of size 1 in the place of every output, [equations,
            outputs].
        widths: By output, how large it is where all terms of the rows are of one size, but for a
            common factor.
        unmet: Root mean square of the rows over their size.
    """

    values: Mapping[str, Tensor]
    terms: Mapping[str, Tensor]
    widths: Mapping[str, float]
    unmet: float


class PolynomialFit:
    """Least squares with polynomials, made ready for a problem.

    Args:
        problem: The problem.
    """

    def __init__(self, problem: Problem):
        self.problem = problem
        self.held = {p.name: p.initial for p in problem.parameters}
        self.outputs = [u for u in problem.outputs if u not in self.held]
        dims = len(problem.coordinates)
        degree = TOTAL_DEGREE.get(dims, DEGREE_OF_MANY)
        while degree > 2 and len(self.outputs) * len(numbers(dims, degree)) > MOST_FUNCTIONS:
            degree -= 1
        self.bases = {u: self._basis(u, numbers(dims, degree)) for u in self.outputs}
        ends = np.cumsum([0, *(len(b.indices) for b in self.bases.values())])
        self.columns = {
            u: slice(int(a), int(b)) for u, a, b in zip(self.outputs, ends, ends[1:], strict=False)
        }
        self.size = int(ends[-1])
        self.inside = [
            inside_points(region, _points(degree, dims), 0) for region, _ in problem.groups
        ]
        self.rows: list[ResidualRows | MeasuredRows] = [
            *self._equations(),
            *self._conditions(degree, dims),
            *self._measurements(),
        ]

    def solve(self) -> Glance | None:
        """The least-squares solution, of equations that are not linear after a few steps.

        Returns:
            What it is like; None where the user's functions are not finite on the way.
        """
        c = self._constants(0.0)
        if c is None or self._system(c, self.rows) is None:
            c = self._constants(0.5)
        if c is None:
            return None
        for _ in range(STEPS_OF_A_FIT):
            new = self._step(c)
            if new is None:
                break
            c = new
            if all(isinstance(row, MeasuredRows) or row.residual.affine for row in self.rows):
                break
        system = self._system(c, self.rows)
        if system is None:
            return None
        named = zip(self.rows, system.blocks, strict=True)
        terms = {row.name: block for row, block in named if isinstance(row, ResidualRows)}
        widths = {u: float(system.widths[own.start]) for u, own in self.columns.items()}
        return Glance(self._values(c), terms, widths, float(system.r.norm()))

    def _home(self, output: str) -> Domain:
        domain = self.problem.domain
        return domain.regions[domain.home(output)] if isinstance(domain, Pieces) else domain

    def _basis(self, output: str, indices: tuple[MultiIndex, ...]) -> PolynomialProducts:
        home, periodic = self._home(output), self.problem.periodic
        turns = tuple(x in periodic for x in home.coordinates)
        return PolynomialProducts(tuple(home.bounds.values()), turns, indices)

    def _row(
        self, name: str, residual: Residual, points: Tensor, normal: Values | None = None
    ) -> ResidualRows:
        leaves = [self._leaf(leaf, points) for leaf in residual.needs]
        at = by_name(points, residual.coordinates)
        residual = replace(residual, rule=COARSE) if residual.afar else residual
        for one, place in zip(residual.afar, residual.places(at, normal), strict=True):
            there = torch.stack([place.at[x] for x in residual.coordinates], 2)
            leaves += [self._leaf(leaf, some) for leaf in one.leaves for some in there]
        return ResidualRows(name, residual, at, normal, tuple(leaves))

    def _leaf(self, leaf: Leaf, points: Tensor) -> tuple[Tensor, slice] | float:
        unknown, alpha = leaf
        if unknown in self.held:
            return 0.0 if any(alpha) else self.held[unknown]
        return self.bases[unknown].derivative(points, alpha), self.columns[unknown]

    def _equations(self) -> list[ResidualRows]:
        groups = zip(self.problem.groups, self.inside, strict=True)
        return [
            self._row(f"{g}.{k}", residual, points)
            for g, ((_, residuals), points) in enumerate(groups)
            for k, residual in enumerate(residuals)
        ]

    def _conditions(self, degree: int, dims: int) -> list[ResidualRows]:
        domain, found = self.problem.domain, []
        count = _points(degree, dims - 1)
        for k, c in enumerate(self.problem.constraints):
            drawn = math.ceil(count / domain.kept(c.face)) if dims > 1 else 1
            points = domain.boundary(c.face, unit_points(drawn, dims - 1, k))
            if c.where is not None:
                points = points[c.where(by_name(points, domain.coordinates)).bool()]
            if len(points):
                normal = by_name(domain.normals(c.face, points), domain.coordinates)
                found.append(self._row(c.label, c.residual, points, normal))
        return found

    def _measurements(self) -> list[MeasuredRows]:
        value = (0,) * len(self.problem.coordinates)
        return [
            MeasuredRows(self.bases[u].derivative(m.points, value), self.columns[u], m.values[:, k])
            for m in self.problem.data
            for k, u in enumerate(m.unknowns)
            if u in self.columns
        ]

    def _constants(self, start: float) -> Tensor | None:
        """Coefficients of constants that meet conditions and data as far as constants can."""
        firsts = [own.start for own in self.columns.values()]
        c = torch.zeros(self.size, dtype=torch.float64)
        c[firsts] = start
        given = [
            row for row in self.rows if isinstance(row, MeasuredRows) or row.normal is not None
        ]
        for _ in range(2 if given else 0):
            system = self._system(c, given)
            if system is None:
                return None
            step = _least_squares(system.J[:, firsts], system.r, DAMPINGS_OF_A_FIT[0])
            c[firsts] += system.widths[firsts] * step
        return c

    def _step(self, c: Tensor) -> Tensor | None:
        """A step of Gauss and Newton with the first damping that lowers the loss, if one does."""
        system = self._system(c, self.rows)
        if system is None:
            return None
        loss = float(system.r.square().sum())
        for damping in DAMPINGS_OF_A_FIT:
            new = c + system.widths * _least_squares(system.J, system.r, damping)
            r = [row(new, False)[0] for row in self.rows]
            if float(_scaled(r, system.sizes).square().sum()) < loss:
                return new
        return None

    def _system(self, c: Tensor, rows: Sequence[ResidualRows | MeasuredRows]) -> ScaledRows | None:
        """The rows where the coefficients have these values; None where they are not finite."""
        found = [(r, J) for r, J in (row(c, True) for row in rows) if J is not None]
        if not all(r.isfinite().all() and J.isfinite().all() for r, J in found):
            return None
        blocks = [self._block(J) for _, J in found]
        sizes, widths = balanced(torch.cat(blocks))
        by_row = list(sizes.split([len(b) for b in blocks]))
        across = torch.cat(
            [
                w.expand(own.stop - own.start)
                for w, own in zip(widths, self.columns.values(), strict=True)
            ]
        )
        for row, size in zip(rows, by_row, strict=True):
            size /= (
                CONDITIONS_FIRST if isinstance(row, MeasuredRows) or row.normal is not None else 1.0
            )
        J = _scaled([J for _, J in found], by_row) * across
        return ScaledRows(_scaled([r for r, _ in found], by_row), J, by_row, across, blocks)

    def _block(self, J: Float[Tensor, "points equations functions"]) -> Tensor:
        """Root mean squares of what low polynomials of every output do, [equations, outputs]."""
        by_output = [
            J[:, :, [own.start + k for k in self.bases[u].low]] for u, own in self.columns.items()
        ]
        return torch.stack([part.square().mean((0, 2)).sqrt() for part in by_output], 1)

    def _values(self, c: Tensor) -> dict[str, Tensor]:
        """Of every output, at points of its region and on its faces."""
        found = {}
        for u, own in self.columns.items():
            home, basis = self._home(u), self.bases[u]
            dims = len(home.coordinates)
            unit = unit_points(_points(SMOOTH_DEGREE, dims - 1), dims - 1, 0)
            faces = [home.boundary(face, unit) for face in home.faces]
            points = torch.cat([inside_points(home, len(basis.indices), 1), *faces])
            found[u] = basis.derivative(points, (0,) * dims) @ c[own]
        return found


@dataclass(frozen=True)
class ScaledRows:
    """ResidualRows and their derivatives, without units.

    Attributes:
        r: The rows.
        J: Their derivatives by the coefficients over `widths`.
        sizes: What the rows of each residual were divided by.
        widths: What coefficients are multiplied by.
        blocks: What low polynomials of every output do to the rows of each residual.
    """

    r: Tensor
    J: Tensor
    sizes: list[Tensor]
    widths: Tensor
    blocks: list[Tensor]


def balanced(blocks: Float[Tensor, "rows outputs"]) -> tuple[Tensor, Tensor]:
    """Sizes a of rows and b of outputs by which blocks become as nearly 1 as they can.

    They minimise Σ (log M_eu - log a_e + log b_u)² over the blocks that are not zero (Curtis and
    Reid 1972, "On the automatic scaling of matrices for Gaussian elimination"), which commutes with
    a change of all units.

    Args:
        blocks: M, not negative.

    Returns:
        a [rows] and b [outputs]; 1 for rows and outputs that are all zero.
    """
    there = blocks > 0
    logs = torch.where(there, blocks, torch.ones_like(blocks)).log()
    a, b = logs.new_zeros(len(logs)), logs.new_zeros(logs.shape[1])
    for _ in range(BALANCING_SWEEPS):
        a = ((logs + b) * there).sum(1) / there.sum(1).clamp_min(1)
        b = ((a[:, None] - logs) * there).sum(0) / there.sum(0).clamp_min(1)
    return a.exp(), b.exp()


def _scaled(parts: Sequence[Tensor], sizes: Sequence[Tensor]) -> Tensor:
    """Rows of all residuals below each other, over their sizes and the root of their number."""
    return torch.cat(
        [
            (part / size.reshape(1, -1, *[1] * (part.ndim - 2)) / math.sqrt(len(part))).flatten(
                0, 1
            )
            for part, size in zip(parts, sizes, strict=True)
        ]
    )


def _least_squares(J: Tensor, r: Tensor, damping: float) -> Tensor:
    """The step that minimises |r + J s|² + damping |D s|², D the lengths of the columns."""
    lengths = J.norm(dim=0)
    lengths = lengths.clamp_min(FAINT_COLUMN * max(float(lengths.max()), torch.finfo(J.dtype).tiny))
    damped = torch.cat([J / lengths, math.sqrt(damping) * torch.eye(J.shape[1], dtype=J.dtype)])
    right = torch.cat([-r, r.new_zeros(J.shape[1])])[:, None]
    return torch.linalg.lstsq(damped, right, driver="gels").solution[:, 0] / lengths


def glance(problem: Problem) -> Glance | None:
    """What polynomials make of a problem.

    Args:
        problem: The problem.

    Returns:
        What they are like; None where its functions are not finite on the way.
    """
    try:
        return PolynomialFit(problem).solve()
    except (ProblemError, torch.linalg.LinAlgError):
        # What a user's function refuses at these points, it may allow at those of training; if it
        # does not, training says so.
        return None
