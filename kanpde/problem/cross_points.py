"""Points in which pieces that are boxes meet, and the exponents that a solution has there.

As in a corner (see corner_pencils.py), solutions about such a point are sums of r^λ φ(θ), here with
a φ of its own in every sector. At the rays between sectors stands what holds where the pieces meet,
at those that bound the domain what holds there. Where the conductivities of four squares about a
point are 1 and k crosswise, λ = 4/π atan k^(-1/2) (Kellogg 1974, Applicable Analysis 4).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry import Pieces
from kanpde.geometry.domain import Corner
from kanpde.geometry.regions import Region
from kanpde.problem.corner_pencils import (
    DEGREE,
    Angles,
    Pencil,
    SingularCorner,
    exponents_of,
    singular_corners,
)
from kanpde.problem.faces import by_name
from kanpde.problem.formulation import Formulation
from kanpde.residual.residual import Residual

SAME_CORNER = 1e-9
"""Distance of two corners that are one, over the size of the domain."""

ELLIPTIC = 1e-9
"""Least value of the symbol of equations over its largest, along all directions, from which they
are elliptic."""

QUADRANTS = (("x-", "y-"), ("x+", "y-"), ("x+", "y+"), ("x-", "y+"))
"""Sides of a box that meet in the corner of which its inside is the first to the fourth quadrant,
if its coordinates are x and y."""


@dataclass(frozen=True)
class Sector:
    """What one piece has of the surroundings of a point.

    Attributes:
        region: The piece.
        equations: What holds in it.
        copies: Its unknowns.
        corner: The opening, and the faces at its end and its beginning.
    """

    region: Region
    equations: Sequence[Residual]
    copies: tuple[str, ...]
    corner: Corner

    @property
    def rays(self) -> tuple[int, int]:
        """The angles at which it begins and ends, in quarters of a turn."""
        begin = round(self.corner.direction / (math.pi / 2))
        return begin % 4, (begin + round(self.corner.opening / (math.pi / 2))) % 4


def singular_points(problem: Formulation) -> tuple[SingularCorner, ...]:
    """Where second derivatives are not square integrable: in corners, and on pieces that are boxes
    of two coordinates in points where such corners lie.

    Args:
        problem: Any.
    """
    domain = problem.domain
    if not isinstance(domain, Pieces):
        return singular_corners(problem)
    if len(domain.coordinates) != 2 or not all(e.affine for e in problem.equations):
        return ()
    found = []
    for at in _corners(domain):
        sectors = list(_sectors(problem, domain, at))
        exponents = np.empty(0)
        with suppress(ProblemError):  # what cannot be asked in a point says nothing of it
            exponents = _exponents(problem, domain, at, sectors)
        if len(exponents):
            names = tuple(sector.region.name for sector in sectors)
            whole = Corner(at, sum(s.corner.opening for s in sectors), names, 0.0)
            found.append(SingularCorner(whole, float(exponents.min())))
    return tuple(found)


def _corners(domain: Pieces) -> list[tuple[float, float]]:
    """The corners of all pieces, each once."""
    found: list[tuple[float, float]] = []
    apart = SAME_CORNER * max(b - a for a, b in domain.bounds.values())
    for region in domain.regions.values():
        for x, y in product(*region.bounds.values()):
            if all(math.hypot(x - a, y - b) > apart for a, b in found):
                found.append((x, y))
    return found


def _sectors(problem: Formulation, domain: Pieces, at: tuple[float, float]) -> Iterator[Sector]:
    """What each piece has of the surroundings of a point, in which it has a corner or the middle
    of a side."""
    names = domain.coordinates
    apart = SAME_CORNER * max(b - a for a, b in domain.bounds.values())
    for region, equations in problem.groups:
        assert isinstance(region, Region)
        sides = {}
        inside = True
        for x, place in zip(names, at, strict=True):
            low, high = region.bounds[x]
            inside = inside and low - apart <= place <= high + apart
            if abs(place - low) <= apart:
                sides[x] = "-"
            elif abs(place - high) <= apart:
                sides[x] = "+"
        if not inside or not sides:
            continue
        copies = tuple(u for u in problem.copies if domain.home(u) == region.name)
        yield Sector(region, equations, copies, _opening(at, sides, names))


def _opening(at: tuple[float, float], sides: Mapping[str, str], names: Sequence[str]) -> Corner:
    """The opening of a box about a point on some of its sides."""
    x, y = names
    if len(sides) == 2:
        own = f"x{sides[x]}", f"y{sides[y]}"
        quarter = QUADRANTS.index(own)
        faces = f"{x}{sides[x]}", f"{y}{sides[y]}"
        # In the first and the third quadrant, the side along the first coordinate begins.
        ends = faces if quarter % 2 == 0 else faces[::-1]
        return Corner(at, math.pi / 2, ends, quarter * math.pi / 2)
    (only, end), *_ = sides.items()
    begin = {(x, "-"): 3, (x, "+"): 1, (y, "-"): 0, (y, "+"): 2}[only, end]
    return Corner(at, math.pi, (f"{only}{end}", f"{only}{end}"), begin * math.pi / 2)


def _exponents(
    problem: Formulation, domain: Pieces, at: tuple[float, float], sectors: Sequence[Sector]
) -> Float[np.ndarray, " found"]:
    """Real parts of the exponents between 0 and 1; none where the conditions are not as many as
    the unknowns, or equations are not elliptic there."""
    place = torch.tensor([at], dtype=torch.float64)
    point = by_name(place, problem.coordinates)
    angles = [Angles(sector.corner) for sector in sectors]
    columns = np.cumsum([0, *((DEGREE + 1) * len(s.copies) for s in sectors)])
    rows: list[Pencil] = []

    def add(
        residual: Residual, normal: Mapping[str, Tensor] | None, where: Mapping[int, slice]
    ) -> None:
        parts = {
            k: angles[k].rows(residual, sectors[k].copies, point, normal, nodes)
            for k, nodes in where.items()
        }
        height = len(next(iter(parts.values()))[0])
        wide = [np.zeros((height, columns[-1])) for _ in range(3)]
        for k, part in parts.items():
            for power in range(3):
                wide[power][:, columns[k] : columns[k + 1]] = part[power]
        rows.append(wide)

    for k, sector in enumerate(sectors):
        if not _elliptic(sector, point):
            return np.empty(0)
        for equation in sector.equations:
            add(equation, None, {k: slice(1, -1)})
        _, end = sector.rays
        after = [j for j, other in enumerate(sectors) if other.rays[0] == end and j != k]
        if after:
            pair = sector.region.name, sectors[after[0]].region.name
            contact = domain.contacts.get("|".join(pair)) or domain.contacts["|".join(pair[::-1])]
            own = contact.first.name == pair[0]
            face = sector.corner.faces[0] if own else sectors[after[0]].corner.faces[1]
            at_ray = {k: slice(-1, None), after[0]: slice(0, 1)}
            given, normal = contact.name, _normal(problem, face)
            for c in problem.constraints:
                if c.face == given:
                    add(c.residual, normal, at_ray)
        for face, nodes in _outer(sectors, k):
            for c in problem.constraints:
                if c.face == sector.region.full(face):
                    add(c.residual, _normal(problem, face), {k: nodes})
    M = [np.concatenate([part[power] for part in rows]) for power in range(3)]
    return exponents_of(M) if M[0].shape[0] == M[0].shape[1] else np.empty(0)


def _outer(sectors: Sequence[Sector], k: int) -> Iterator[tuple[str, slice]]:
    """The faces of a sector beyond which there is no other one, with their angles."""
    begin, end = sectors[k].rays
    others = [other.rays for j, other in enumerate(sectors) if j != k]
    if all(rays[1] != begin for rays in others):
        yield sectors[k].corner.faces[1], slice(0, 1)
    if all(rays[0] != end for rays in others):
        yield sectors[k].corner.faces[0], slice(-1, None)


def _normal(problem: Formulation, face: str) -> dict[str, Tensor]:
    """The normal of a face of a box, at one point."""
    side = -1.0 if face.endswith("-") else 1.0
    return {
        x: torch.full((1,), side * (x == face[:-1]), dtype=torch.float64)
        for x in problem.coordinates
    }


def _elliptic(sector: Sector, point: Mapping[str, Tensor]) -> bool:
    """Whether the equations are a system of second order whose symbol vanishes in no direction."""
    count = len(sector.copies)
    if sum(e.equations for e in sector.equations) != count:
        return False
    theta = np.linspace(0, np.pi, 64, endpoint=False)
    waves = np.stack([np.cos(theta), np.sin(theta)])
    symbol, first = np.zeros((64, count, count)), 0
    for equation in sector.equations:
        zero = torch.zeros(1, len(equation.needs), dtype=torch.float64)
        _, partials = equation.near(point, zero, None)
        assert partials is not None
        for row in partials[0].numpy():
            for (u, index), slope in zip(equation.needs, row, strict=True):
                if sum(index) > 2 and slope:
                    return False
                if sum(index) == 2:
                    wave = waves[0] ** index[0] * waves[1] ** index[1]
                    symbol[:, first, sector.copies.index(u)] += slope * wave
            first += 1
    found = np.abs(np.linalg.det(symbol))
    return bool(np.isfinite(found).all()) and bool(found.min() > ELLIPTIC * found.max())
