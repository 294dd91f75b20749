"""How singular a solution is in the corners of a planar problem, read off its equations.

In a corner, a system of second order has the solutions r^λ φ(θ) of its leading part with constant
coefficients and of its conditions without data. Put in, they leave ordinary differential equations
for φ that hold λ up to its square, an operator pencil, whose eigenvalues are the exponents (Kozlov,
Maz'ya and Rossmann 2001, "Spectral problems associated with corner singularities of solutions to
elliptic equations", chapters 1 and 3; Williams 1952 for elasticity). It is solved by Chebyshev
collocation in θ.

Where one has a real part between 0 and 1, second derivatives are not square integrable: what
minimises mean squares of the equations' residual has a wrong limit, however many functions there
are, unless these squares are weighted by a power of the distance to the corner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float
from numpy.polynomial import chebyshev
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry import Domain
from kanpde.geometry.domain import Corner
from kanpde.problem.faces import by_name
from kanpde.problem.formulation import Formulation
from kanpde.residual.residual import Residual

DEGREE = 24
"""Of the polynomials in θ."""

POWER = 2.0
"""Of the distance to the corner by which residuals of equations are multiplied: any above 1 less
the exponent has the right limit. Errors of a clamped beam fell tenfold from 1 to 3/2, twofold from
there to 2, and no further up to 3."""

REGULAR = 0.02
"""Distance from 0 and 1 within which an exponent is one of these, which constants and linear
functions have and which are double ones, good to half the digits."""

Pencil = list[Float[np.ndarray, "rows columns"]]
"""A polynomial of λ whose coefficients are matrices, the lowest first."""


@dataclass(frozen=True)
class SingularCorner:
    """A corner in which second derivatives of a solution are not square integrable.

    Attributes:
        corner: Which.
        exponent: The real part of the least exponent between 0 and 1: values behave like r to this
            power.
    """

    corner: Corner
    exponent: float

    def __str__(self) -> str:
        x, y = self.corner.at
        return f"({x:g}, {y:g}), where {' meets '.join(self.corner.faces)}: r^{self.exponent:.2g}"


def singular_corners(problem: Formulation) -> tuple[SingularCorner, ...]:
    """The corners in which second derivatives are not square integrable, for all that the equations
    and the kinds of conditions say: data may be such that a solution is smooth there all the same.

    Args:
        problem: Any. None are found in problems that evolve, on pieces, with equations that are no
            linear system of second order in two coordinates, or with conditions on parts of faces.
    """
    domain = problem.domain
    unfit = domain.time or len(domain.coordinates) != 2 or problem.periodic or problem.parameters
    if unfit or len(problem.groups) != 1 or not all(e.affine for e in problem.equations):
        return ()
    orders = {
        max((sum(i) for u, i in _needs(problem) if u == v), default=0) for v in problem.copies
    }
    if orders != {2} or sum(e.equations for e in problem.equations) != len(problem.copies):
        return ()
    found = []
    for corner in domain.corners:
        exponents = np.empty(0)
        with suppress(ProblemError):  # what cannot be asked in a corner says nothing of it
            exponents = _exponents(problem, corner)
        if len(exponents):
            found.append(SingularCorner(corner, float(exponents.min())))
    return tuple(found)


def tempering(
    corners: Sequence[SingularCorner],
    domain: Domain,
    points: Float[Tensor, "points dims"],
    on_face: bool,
    power: float = POWER,
) -> Float[Tensor, " points"]:
    """What residuals are multiplied by: the distance to the nearest of singular corners, over the
    largest one in the domain, to a power; on faces to half a power less, by which traces are
    rougher than what they are of.

    Args:
        corners: The singular ones, at least one.
        domain: What they are corners of.
        points: Where the residuals are taken.
        on_face: Whether they are those of conditions.
        power: Of the distance.
    """
    low, high = np.array(list(domain.bounds.values())).T
    at = torch.tensor([one.corner.at for one in corners], dtype=points.dtype)
    largest = max(np.hypot(*np.maximum(at_one - low, high - at_one)) for at_one in at.numpy())
    near = (points[:, None] - at.to(points)).norm(dim=2).amin(1)
    return (near / float(largest)) ** (power - 0.5 * on_face)


def _needs(problem: Formulation) -> list[tuple[str, tuple[int, ...]]]:
    return [leaf for e in problem.equations for leaf in e.needs]


def _exponents(problem: Formulation, corner: Corner) -> Float[np.ndarray, " found"]:
    """Real parts of the exponents between 0 and 1 of a corner; none where its conditions are not
    as many as its unknowns, or coefficients are not finite there."""
    domain, place = problem.domain, torch.tensor([corner.at], dtype=torch.float64)
    at = by_name(place, problem.coordinates)
    angles = Angles(corner)
    rows = [angles.rows(e, problem.copies, at, None, slice(1, -1)) for e in problem.equations]
    # The last angle is that of the face that ends here, the first that of the one that begins.
    for face, nodes in zip(corner.faces, (slice(-1, None), slice(0, 1)), strict=True):
        given = [c for c in problem.constraints if c.face == face]
        count = sum(c.residual.equations for c in given)
        if any(c.where for c in given) or count != len(problem.copies):
            return np.empty(0)
        normal = by_name(domain.normals(face, place), problem.coordinates)
        rows += [angles.rows(c.residual, problem.copies, at, normal, nodes) for c in given]
    M = [np.concatenate([part[k] for part in rows]) for k in range(3)]
    return exponents_of(M)


def exponents_of(M: Pencil) -> Float[np.ndarray, " found"]:
    """Real parts of the λ between 0 and 1 at which a square pencil of second degree is singular;
    none where it is not finite.

    Args:
        M: Its matrices, that of λ⁰ first.
    """
    if not all(np.isfinite(part).all() for part in M):
        return np.empty(0)
    n, one = len(M[0]), np.eye(len(M[0]))
    left = np.block([[np.zeros((n, n)), one], [-M[0], -M[1]]])
    right = scipy.linalg.block_diag(one, M[2])
    top, bottom = scipy.linalg.eigvals(left, right, homogeneous_eigvals=True)
    finite = np.abs(bottom) > 1e-12 * np.abs(top)
    real = (top[finite] / bottom[finite]).real
    return real[(real > REGULAR) & (real < 1 - REGULAR)]


class Angles:
    """Functions r^λ φ(θ) in a corner, φ by its values at Chebyshev points of its opening.

    Args:
        corner: Which.
    """

    def __init__(self, corner: Corner):
        points = -np.cos(np.pi * np.arange(DEGREE + 1) / DEGREE)
        theta = corner.direction + corner.opening * (points + 1) / 2
        values = chebyshev.chebvander(points, DEGREE)
        slopes = np.stack(
            [chebyshev.chebval(points, chebyshev.chebder(c)) for c in np.eye(DEGREE + 1)], 1
        )
        D = np.linalg.solve(values.T, slopes.T).T * 2 / corner.opening
        cosine, sine = np.diag(np.cos(theta)), np.diag(np.sin(theta))
        # ∂x (r^λ φ) = r^(λ-1) (λ cos θ φ - sin θ φ'), and ∂y with sin and -cos in their place.
        first = (-sine @ D, cosine), (cosine @ D, sine)
        self._by_index: dict[tuple[int, ...], Pencil] = {(0, 0): [np.eye(DEGREE + 1)]}
        for i, (constant, linear) in enumerate(first):
            self._by_index[tuple(int(j == i) for j in range(2))] = [constant, linear]
            for j, (outer, steep) in enumerate(first):
                index = tuple((i == k) + (j == k) for k in range(2))
                # the second differentiation is of r^(λ-1)
                self._by_index[index] = [
                    (outer - steep) @ constant,
                    (outer - steep) @ linear + steep @ constant,
                    steep @ linear,
                ]

    def rows(
        self,
        residual: Residual,
        unknowns: Sequence[str],
        at: Mapping[str, Tensor],
        normal: Mapping[str, Tensor] | None,
        nodes: slice,
    ) -> Pencil:
        """The leading part of a residual at some angles, for all unknowns one after another.

        Args:
            residual: An equation or a condition.
            unknowns: Names of all.
            at: The corner.
            normal: Of the face; None for an equation.
            nodes: Which angles.
        """
        zero = torch.zeros(1, len(residual.needs), dtype=torch.float64)
        _, partials = residual.near(at, zero, normal)
        assert partials is not None
        size, slopes = DEGREE + 1, partials[0].numpy()
        slopes = slopes if np.isfinite(slopes).all() else np.full_like(slopes, np.nan)
        found = []
        for row in slopes:
            order = max(
                (sum(i) for (_, i), s in zip(residual.needs, row, strict=True) if s), default=0
            )
            M = [np.zeros((len(range(size)[nodes]), size * len(unknowns))) for _ in range(3)]
            scale = np.abs(row).max(initial=0.0) or 1.0
            for (u, index), slope in zip(residual.needs, row, strict=True):
                if sum(index) == order and u in unknowns:
                    first = size * list(unknowns).index(u)
                    for k, part in enumerate(self._by_index[index]):
                        M[k][:, first : first + size] += slope / scale * part[nodes]
            found.append(M)
        return [np.concatenate([M[k] for M in found]) for k in range(3)]
