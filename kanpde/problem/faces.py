"""Faces that conditions are put on: their names, points on them, and residuals that hold there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from kanpde.errors import ProblemError, listed
from kanpde.geometry import Domain, SpaceTime
from kanpde.problem.mistaken import face_meant
from kanpde.residual.calculus import Values
from kanpde.residual.functions import argument_names, call, check_arguments, forgotten
from kanpde.residual.recording import record
from kanpde.residual.residual import Residual

On = str | Sequence[str] | None
"""A face, several, or None for all faces of space."""

Where = Callable[[Values], Tensor]
"""Which points of a face a condition holds at: true or false, [points]."""

POINTS_OF_A_FACE = 4096
"""Points by which is seen what there is of a face, or of the part of it that `where` keeps."""

POINTS_TO_FIND_TWO = (2, 64, 4096, 1 << 18)
"""How many points of the unit cube are tried, one count after another, until two are kept."""


def by_name(columns: Mapping[str, Tensor] | Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """The coordinates of points by name, [points] each.

    Args:
        columns: [points, names], or a mapping already.
        names: Of the columns.
    """
    if isinstance(columns, Mapping):
        return dict(columns)
    return dict(zip(names, columns.unbind(1), strict=True))


def space_faces(domain: Domain) -> tuple[str, ...]:
    """Names of the faces of space: all but the initial one."""
    initial = domain.initial_face if isinstance(domain, SpaceTime) else None
    return tuple(face for face in domain.faces if face != initial)


def points_on(
    domain: Domain, face: str, unit: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Coordinates and outward normals of points on a face.

    Args:
        domain: Has the face.
        face: Its name.
        unit: Points of the unit cube of one dimension less, [points, dimensions - 1].

    Returns:
        Coordinates and normals, by the name of the coordinate.
    """
    points = domain.boundary(face, unit)
    normals = domain.normals(face, points)
    return by_name(points, domain.coordinates), by_name(normals, domain.coordinates)


def two_points(domain: Domain, face: str | None = None) -> Tensor:
    """Two points [2, dimensions] for a dry run.

    Args:
        domain: Where they lie.
        face: On which face; None for the interior.

    Raises:
        ProblemError: Where they are hard to find.
    """
    dims = len(domain.coordinates) - (face is not None)
    for count in POINTS_TO_FIND_TWO:
        unit = _candidates(dims, count)
        points = domain.interior(unit) if face is None else domain.boundary(face, unit)
        if len(points) >= 2:
            return points[:2]
    box = "box" if face is None else f"face {face!r}"
    raise ProblemError(
        f"{domain!r}: fills less than a hundred thousandth of its bounding {box}; expected a"
        " larger part of it"
    )


def recorded_on(
    function: Callable[..., Tensor | Sequence[Tensor]],
    name: str,
    arguments: tuple[str, ...],
    unknowns: Sequence[str],
    domain: Domain,
    face: str,
) -> Residual:
    """A function as a residual on a face, by a dry run at two of its points.

    Args:
        function: Takes unknowns and coordinates by name.
        name: What messages call it.
        arguments: The names of its arguments.
        unknowns: Which names are unknowns.
        domain: Has the face.
        face: Its name.

    Raises:
        ProblemError: As `record` does.
    """
    points, normals = two_points(domain, face), None
    if face in space_faces(domain):
        normals = by_name(_slanted(domain, face, points), domain.coordinates)
    at = by_name(points, domain.coordinates)
    extent = domain.bounds if domain.is_box else None
    return record(function, name, arguments, unknowns, at, domain.space, normals, extent)


def _slanted(domain: Domain, face: str, points: Tensor) -> Tensor:
    """Normals for a dry run, [points, dimensions].

    Two points of a curved face may have normals without a part along one of the coordinates,
    although others have one. These normals have a part along every coordinate along which there is
    a normal somewhere on the face.
    """
    if domain.faces[face].coordinate:
        return domain.normals(face, points)
    unit = _candidates(len(domain.coordinates) - 1, POINTS_OF_A_FACE)
    everywhere = domain.normals(face, domain.boundary(face, unit))
    along = (everywhere.abs() > 1e-12).any(0).to(points)
    return along * points.new_tensor([[0.6], [0.7]])


def _candidates(dims: int, count: int) -> Tensor:
    """Points of the unit cube, the same every time."""
    first = torch.tensor(
        [[0.31, 0.37, 0.41, 0.43, 0.47], [0.67, 0.61, 0.59, 0.57, 0.53]], dtype=torch.float64
    )[:, :dims]
    generator = torch.Generator().manual_seed(0)
    if dims > first.shape[1]:
        first = 0.3 + 0.4 * torch.rand(2, dims, generator=generator, dtype=torch.float64)
    rest = torch.rand(count - 2, dims, generator=generator, dtype=torch.float64)
    return torch.cat([first, rest])


def named_faces(on: On, domain: Domain, kind: str) -> tuple[str, ...]:
    """The faces that a condition names; all faces of space where it names none.

    Args:
        on: What the user gave.
        domain: Has the faces.
        kind: What messages call the condition.

    Raises:
        ProblemError: For a face that the domain does not have, and for no face.
    """
    given = (on,) if isinstance(on, str) else on
    if given is not None and not isinstance(given, tuple | list):
        raise ProblemError(
            f"{kind}(on={on!r:.40}): expected the name of a face, or several, such as"
            f" {next(iter(domain.faces))!r}"
        )
    names = space_faces(domain) if given is None else tuple(given)
    if not names:
        raise ProblemError(
            f"{kind}(on={on!r}): names no face; the domain's faces are {listed(domain.faces)}"
        )
    for name in names:
        if name in domain.vanished:
            raise ProblemError(
                f"{kind}(on={name!r}): nothing is left of the face {name!r} in"
                f" {domain.vanished[name]}; the faces are {listed(domain.faces)}"
            )
        if name not in domain.faces:
            raise ProblemError(
                f"{kind}(on={name!r}): this domain has no face {name!r}; its faces are"
                f" {listed(domain.faces)}{face_meant(name, domain)}"
            )
    return names


def kept_faces(names: Sequence[str], where: Where, domain: Domain) -> tuple[str, ...]:
    """Those of the faces of which `where` keeps something.

    Args:
        names: Of the faces.
        where: True or false a point.
        domain: Has the faces.
    """
    generator = torch.Generator().manual_seed(0)
    dims = len(domain.coordinates) - 1
    unit = torch.rand(POINTS_OF_A_FACE, dims, generator=generator, dtype=torch.float64)
    return tuple(name for name in names if where(points_on(domain, name, unit)[0]).any())


def checked_where(where: Callable[..., Tensor], domain: Domain, kind: str) -> Where:
    """A user's `where` as a function of all coordinates by name.

    Args:
        where: Takes some of the coordinates by name, returns true or false a point.
        domain: Has the coordinates.
        kind: What messages call the condition.

    Raises:
        ProblemError: For other arguments; and, when it is called, for anything else that it
            returns.
    """
    what = f"{kind}(where=…)"
    arguments = argument_names(where, what)
    check_arguments(arguments, {"coordinate": domain.coordinates}, what)

    def evaluate(at: Values) -> Tensor:
        like = next(iter(at.values()))
        found = call(where, {a: at[a] for a in arguments}, what)
        if isinstance(found, Tensor) and found.dtype == torch.bool and found.shape == like.shape:
            return found
        came = type(found).__name__
        if isinstance(found, Tensor):
            came = f"{found.dtype} of shape {list(found.shape)}"
        raise ProblemError(
            f"{what}: returned {came}; expected true or false at each of {len(like)} points,"
            f" such as x < 0{forgotten(found)}"
        )

    return evaluate
