"""Boundary and initial conditions, each a pointwise residual on the faces it is put on.

A condition is written for the unknowns by name: `Dirichlet(u=0, on="x-")`. Values are numbers or
functions of the coordinates, again by name: `Dirichlet(u=lambda y: y * (1 - y), on=("x-", "x+"))`.
Without `on`, it holds on all faces of space; `where=lambda x, y: x < 0` keeps only a piece of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from numbers import Real

import torch
from torch import Tensor

from kanpde.errors import ProblemError, listed, nearest
from kanpde.geometry import Domain, SpaceTime
from kanpde.residual.calculus import Values, d, normal_derivative
from kanpde.residual.functions import (
    argument_names,
    at_point,
    call,
    check_arguments,
    forgotten,
    function_name,
)
from kanpde.residual.recording import record
from kanpde.residual.residual import Residual

Value = float | Callable[..., Tensor]
"""A number, or a torch function of some of the coordinates by name."""

On = str | Sequence[str] | None
"""A face, several, or None for all faces of space."""


@dataclass(frozen=True)
class Prescribed:
    """The plain form of many conditions: one unknown, or its first derivative across the face, is
    given there.

    derivative: 0 for the value, 1 for the derivative along the face's own coordinate (not along the
    outward normal).
    """

    unknown: str
    derivative: int
    data: Callable[[Values], Tensor]


@dataclass(frozen=True)
class Constraint:
    """One condition on one face, as everything else sees it: a residual, and whether it is of the
    plain form.

    where: which of the face's points it holds at, by coordinates [points]; weight: of its square in
    the loss, None for a balanced one; prescribed: set where it only gives a value or a first
    derivative.
    """

    label: str
    face: str
    residual: Residual
    where: Callable[[Values], Tensor] | None = None
    weight: float | None = None
    prescribed: Prescribed | None = None


class BoundaryCondition(ABC):
    """What a Problem accepts among its `conditions`."""

    @abstractmethod
    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        """Its residuals, face by face. Raises ProblemError for faces or unknowns that do not
        exist."""

    def names(self, domain: Domain, arguments: Sequence[str]) -> tuple[str, ...]:
        """The unknowns that it names, given the arguments of the equations; by these a Problem
        knows its unknowns."""
        return ()


class _OnFaces(BoundaryCondition):
    """A linear expression of one unknown equals given data on faces: what Dirichlet, Neumann and
    Robin share."""

    def __init__(
        self,
        on: On,
        where: Callable[..., Tensor] | None,
        weight: float | None,
        values: Mapping[str, Value],
    ):
        self.kind = type(self).__name__
        if not values:
            raise ProblemError(
                f"{self.kind}(…): names no unknown; expected such as {self.kind}(u=0)"
            )
        self.on, self.where, self.weight, self.values = (
            on,
            where,
            checked_weight(weight, self.kind),
            dict(values),
        )

    def __repr__(self) -> str:
        where = f", where={written(self.where)}" if self.where else ""
        return f"{self.kind}({listed_values(self.values)}{self._factors()}{_listed_faces(self.on)}{where})"

    def _factors(self) -> str:
        """Numbers of the left-hand side, as code writes them behind the values."""
        return ""

    def names(self, domain: Domain, arguments: Sequence[str]) -> tuple[str, ...]:
        return tuple(self.values)

    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        for unknown in self.values:
            if unknown not in unknowns:
                raise ProblemError(
                    f"{self.kind}({unknown}=…): no such unknown; they are"
                    f" {listed(unknowns)}{nearest(unknown, unknowns)}"
                )
        where = _where(self.where, domain, self.kind)
        faces = _faces(self.on, where, domain, self.kind)
        return [
            self._constraint(domain, face, unknown, value, where)
            for face in faces
            for unknown, value in self.values.items()
        ]

    def _constraint(
        self,
        domain: Domain,
        face: str,
        unknown: str,
        value: Value,
        where: Callable[[Values], Tensor] | None,
    ) -> Constraint:
        label = f"{self.kind}({listed_values({unknown: value})}) on {face}"
        data = prescribed_value(value, domain.coordinates, label)

        def residual(**at: Tensor) -> Tensor:
            return self._left(at.pop(unknown)) - data(at)

        recorded = recorded_on(
            residual, label, (unknown, *domain.coordinates), (unknown,), domain, face
        )
        return Constraint(
            label, face, recorded, where, self.weight, self._prescribed(domain, face, unknown, data)
        )

    @abstractmethod
    def _left(self, u: Tensor) -> Tensor:
        """The left-hand side, on the face."""

    def _prescribed(
        self, domain: Domain, face: str, unknown: str, data: Callable[[Values], Tensor]
    ) -> Prescribed | None:
        return None


class Dirichlet(_OnFaces):
    """The unknowns have given values: `Dirichlet(u=0)`, `Dirichlet(u=1, v=lambda y: y, on="x-")`.

    weight multiplies the squared residual where the condition enters the loss (by default it is
    balanced).
    """

    def __init__(
        self,
        *,
        on: On = None,
        where: Callable[..., Tensor] | None = None,
        weight: float | None = None,
        **values: Value,
    ):
        super().__init__(on, where, weight, values)

    def _left(self, u: Tensor) -> Tensor:
        return u

    def _prescribed(
        self, domain: Domain, face: str, unknown: str, data: Callable[[Values], Tensor]
    ) -> Prescribed:
        return Prescribed(unknown, 0, data)


class Neumann(_OnFaces):
    """The outward normal derivatives of the unknowns are given: `Neumann(u=0, on="x+")`. weight: as
    for Dirichlet."""

    def __init__(
        self,
        *,
        on: On = None,
        where: Callable[..., Tensor] | None = None,
        weight: float | None = None,
        **values: Value,
    ):
        super().__init__(on, where, weight, values)

    def _left(self, u: Tensor) -> Tensor:
        return normal_derivative(u)

    def _prescribed(
        self, domain: Domain, face: str, unknown: str, data: Callable[[Values], Tensor]
    ) -> Prescribed | None:
        side = domain.faces[face].side
        return Prescribed(unknown, 1, lambda at: side * data(at)) if side else None


class Robin(_OnFaces):
    """a·u + b·∂u/∂n is given: `Robin(u=0, a=1, b=0.5, on="x+")`; a and b are numbers. weight: as
    for Dirichlet."""

    def __init__(
        self,
        *,
        a: float = 1.0,
        b: float = 1.0,
        on: On = None,
        where: Callable[..., Tensor] | None = None,
        weight: float | None = None,
        **values: Value,
    ):
        super().__init__(on, where, weight, values)
        for name, factor, plain in (("a", a, "Neumann"), ("b", b, "Dirichlet")):
            if not _is_number(factor):
                raise ProblemError(
                    f"Robin(…, {name}={factor!r}): expected a number; for a coefficient that"
                    " varies, or an unknown of that name, write Condition(…)"
                )
            if not factor:
                raise ProblemError(
                    f"Robin(…, {name}=0): that is a {plain} condition; write {plain}(…)"
                )
        self.a, self.b = float(a), float(b)

    def _factors(self) -> str:
        return f", a={self.a:g}, b={self.b:g}"

    def _left(self, u: Tensor) -> Tensor:
        return self.a * u + self.b * normal_derivative(u)


class Initial(BoundaryCondition):
    """Values at the start of time, and velocities where the equation is of second order in it:
    `Initial(u=…, u_t=0)`."""

    def __init__(self, *, weight: float | None = None, **values: Value):
        if not values:
            raise ProblemError("Initial(…): names no unknown; expected such as Initial(u=0)")
        self.weight, self.values = checked_weight(weight, "Initial"), dict(values)

    def __repr__(self) -> str:
        return f"Initial({listed_values(self.values)})"

    def names(self, domain: Domain, arguments: Sequence[str]) -> tuple[str, ...]:
        unknowns = [a for a in arguments if a not in domain.coordinates]
        return tuple(_target(name, self._domain(domain).time, unknowns)[0] for name in self.values)

    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        domain = self._domain(domain)
        found = []
        for name, value in self.values.items():
            unknown, order = _target(name, domain.time, unknowns)
            found.append(self._constraint(domain, name, unknown, order, value))
        return found

    def _domain(self, domain: Domain) -> SpaceTime:
        if isinstance(domain, SpaceTime):
            return domain
        times = [x for x in domain.coordinates if x in ("t", "tau", "time")]
        hint = (
            f"take {times[0]} out of the box and write Box(…) * Time({times[0]}=…)"
            if times
            else "write domain=Box(…) * Time(t=(0, 1))"
        )
        raise ProblemError(f"{self!r}: the domain {domain!r} has no time; {hint}")

    def _constraint(
        self, domain: SpaceTime, name: str, unknown: str, order: int, value: Value
    ) -> Constraint:
        label = f"Initial({listed_values({name: value})})"
        data = prescribed_value(value, domain.coordinates, label)

        def residual(**at: Tensor) -> Tensor:
            u = at.pop(unknown)
            return (d(u, domain.time) if order else u) - data(at)

        recorded = recorded_on(
            residual, label, (unknown, *domain.coordinates), (unknown,), domain, domain.initial_face
        )
        return Constraint(
            label,
            domain.initial_face,
            recorded,
            None,
            self.weight,
            Prescribed(unknown, order, data),
        )


class Periodic(BoundaryCondition):
    """All unknowns repeat along the given space coordinates: `Periodic("x")`."""

    def __init__(self, *coordinates: str):
        if not coordinates:
            raise ProblemError('Periodic(…): names no coordinate; expected such as Periodic("x")')
        self.coordinates = coordinates

    def __repr__(self) -> str:
        return f"Periodic({', '.join(map(repr, self.coordinates))})"

    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        for x in self.coordinates:
            if x not in domain.space:
                raise ProblemError(
                    f"Periodic({x!r}): no such space coordinate; they are"
                    f" {listed(domain.space)}{nearest(str(x), domain.space)}"
                )
        return []


class Condition(BoundaryCondition):
    """Anything else that vanishes on a face: `Condition(lambda u, x: d(u, x) + u**4, on="x+")`.

    The function takes unknowns and coordinates by name, as an equation does, and may use
    normal_derivative.
    """

    def __init__(
        self,
        function: Callable[..., Tensor | Sequence[Tensor]],
        *,
        on: On = None,
        where: Callable[..., Tensor] | None = None,
        weight: float | None = None,
    ):
        self.label = f"Condition({written(function)})"
        self.arguments = argument_names(function, self.label)
        self.function, self.on, self.where, self.weight = (
            function,
            on,
            where,
            checked_weight(weight, "Condition"),
        )

    def __repr__(self) -> str:
        return f"{self.label[:-1]}{_listed_faces(self.on)})"

    def names(self, domain: Domain, arguments: Sequence[str]) -> tuple[str, ...]:
        return tuple(a for a in self.arguments if a not in domain.coordinates)

    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        check_arguments(
            self.arguments, {"unknown": unknowns, "coordinate": domain.coordinates}, self.label
        )
        where = _where(self.where, domain, "Condition")
        found = []
        for face in _faces(self.on, where, domain, "Condition"):
            label = f"{self.label} on {face}"
            found.append(
                Constraint(
                    label,
                    face,
                    recorded_on(self.function, label, self.arguments, unknowns, domain, face),
                    where,
                    self.weight,
                )
            )
        return found


def points_on(
    domain: Domain, face: str, unit: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Coordinates and outward normals, by name, of points on a face."""
    points = domain.boundary(face, unit)
    return by_name(points, domain.coordinates), by_name(
        domain.normals(face, points), domain.coordinates
    )


def space_faces(domain: Domain) -> tuple[str, ...]:
    """Names of the faces of space: all but the initial one."""
    return tuple(
        face
        for face in domain.faces
        if not (isinstance(domain, SpaceTime) and face == domain.initial_face)
    )


def by_name(columns: Mapping[str, Tensor] | Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Columns of points [points, names] as a mapping."""
    return (
        dict(columns)
        if isinstance(columns, Mapping)
        else dict(zip(names, columns.unbind(1), strict=True))
    )


def prescribed_value(
    value: Value, coordinates: Sequence[str], what: str, finite: bool = True
) -> Callable[[Values], Tensor]:
    """A number or a function of some coordinates, by name, as a function of all coordinates that
    returns [points].

    finite: whether values that are not finite are an error. Raises ProblemError, here or when it is
    called, for anything that is not one number a point.
    """
    if not callable(value):
        if not _is_number(value):
            raise ProblemError(
                f"{what}: got {value!r}; expected a finite number or a function of"
                f" {listed(coordinates)}"
            )
        return lambda at: torch.full_like(next(iter(at.values())), float(value))
    arguments = argument_names(value, what)
    check_arguments(arguments, {"coordinate": coordinates}, what)

    def evaluate(at: Values) -> Tensor:
        like = next(iter(at.values()))
        found = call(value, {a: at[a] for a in arguments}, what)
        if _is_number(found):
            return torch.full_like(like, float(found))
        if not isinstance(found, Tensor):
            raise ProblemError(
                f"{what}: returned {type(found).__name__}; expected a tensor of one value a"
                f" point{forgotten(found)}"
            )
        if found.ndim and found.shape != like.shape:
            raise ProblemError(
                f"{what}: returned shape {list(found.shape)} for {len(like)} points; expected one"
                f" value a point, [{len(like)}]"
            )
        found = found.to(like).expand_as(like)
        if finite and not found.isfinite().all():
            i = int((~found.isfinite()).nonzero()[0])
            raise ProblemError(
                f"{what}: returned {float(found[i].detach())} at {at_point(at, i)}; expected a"
                " finite number"
            )
        return found

    return evaluate


def recorded_on(
    function: Callable[..., Tensor | Sequence[Tensor]],
    name: str,
    arguments: tuple[str, ...],
    unknowns: Sequence[str],
    domain: Domain,
    face: str,
) -> Residual:
    """A function as a residual on a face, by a dry run at two of its points."""
    points = two_points(domain, face)
    normals = (
        by_name(_slanted(domain, face, points), domain.coordinates)
        if face in space_faces(domain)
        else None
    )
    return record(
        function,
        name,
        arguments,
        unknowns,
        by_name(points, domain.coordinates),
        domain.space,
        normals,
    )


def _slanted(domain: Domain, face: str, points: Tensor) -> Tensor:
    """Normals for a dry run, [points, dimensions]: along every coordinate along which there is a
    normal somewhere on the face."""
    if domain.faces[face].coordinate:
        return domain.normals(face, points)
    everywhere = domain.normals(
        face, domain.boundary(face, _candidates(len(domain.coordinates) - 1, 4096))
    )
    along = (everywhere.abs() > 1e-12).any(0).to(points)
    return along * points.new_tensor([[0.6], [0.7]])


def two_points(domain: Domain, face: str | None = None) -> Tensor:
    """Two points [2, dimensions] of the interior or of a face, for a dry run. Raises ProblemError
    where they are hard to find."""
    dims = len(domain.coordinates) - (face is not None)
    for count in (2, 64, 4096, 1 << 18):
        unit = _candidates(dims, count)
        points = domain.interior(unit) if face is None else domain.boundary(face, unit)
        if len(points) >= 2:
            return points[:2]
    raise ProblemError(
        f"{domain!r}: fills less than a hundred thousandth of its bounding"
        f" {'box' if face is None else f'face {face!r}'}; expected a larger part of it"
    )


def _candidates(dims: int, count: int) -> Tensor:
    """Points of the unit cube, the same every time."""
    first = torch.tensor(
        [[0.31, 0.37, 0.41, 0.43, 0.47], [0.67, 0.61, 0.59, 0.57, 0.53]], dtype=torch.float64
    )[:, :dims]
    return torch.cat(
        [
            first,
            torch.rand(
                count - 2, dims, generator=torch.Generator().manual_seed(0), dtype=torch.float64
            ),
        ]
    )


def _target(name: str, time: str, unknowns: Sequence[str]) -> tuple[str, int]:
    """The unknown that a keyword of Initial names, and 1 where it means the velocity: u_t is ("u",
    1), unless u_t is an unknown."""
    stem, _, last = name.rpartition("_")
    if name in unknowns:
        return name, 0
    if stem in unknowns and last == time:
        return stem, 1
    known = [*unknowns, *(f"{u}_{time}" for u in unknowns)]
    hint = f"; did you mean '{stem}_{time}'?" if stem in unknowns else nearest(name, known)
    raise ProblemError(
        f"Initial({name}=…): no such unknown or velocity; they are {listed(known)}{hint}"
    )


def _faces(
    on: On, where: Callable[[Values], Tensor] | None, domain: Domain, kind: str
) -> tuple[str, ...]:
    """The faces that a condition is put on, less those of which `where` keeps nothing."""
    names = space_faces(domain) if on is None else (on,) if isinstance(on, str) else tuple(on)
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
                f" {listed(domain.faces)}"
            )
    if where is None:
        return names
    generator = torch.Generator().manual_seed(0)
    unit = torch.rand(4096, len(domain.coordinates) - 1, generator=generator, dtype=torch.float64)
    kept = tuple(name for name in names if where(points_on(domain, name, unit)[0]).any())
    if not kept:
        raise ProblemError(
            f"{kind}(where=…): keeps no point of {listed(names)}; expected a piece of a face"
        )
    return kept


def _where(
    where: Callable[..., Tensor] | None, domain: Domain, kind: str
) -> Callable[[Values], Tensor] | None:
    if where is None:
        return None
    what = f"{kind}(where=…)"
    arguments = argument_names(where, what)
    check_arguments(arguments, {"coordinate": domain.coordinates}, what)

    def evaluate(at: Values) -> Tensor:
        like = next(iter(at.values()))
        found = call(where, {a: at[a] for a in arguments}, what)
        if not isinstance(found, Tensor) or found.dtype != torch.bool or found.shape != like.shape:
            came = (
                f"{found.dtype} of shape {list(found.shape)}"
                if isinstance(found, Tensor)
                else type(found).__name__
            )
            raise ProblemError(
                f"{what}: returned {came}; expected true or false at each of {len(like)} points,"
                f" such as x < 0{forgotten(found)}"
            )
        return found

    return evaluate


def checked_weight(weight: float | None, kind: str) -> float | None:
    """A positive number, or None; raises ProblemError."""
    if weight is None:
        return None
    if not _is_number(weight) or weight <= 0:
        raise ProblemError(f"{kind}(weight={weight!r}): expected a positive number")
    return float(weight)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and abs(float(value)) < inf


def listed_values(values: Mapping[str, Value]) -> str:
    """Keywords as code writes them."""
    return ", ".join(f"{name}={written(value)}" for name, value in values.items())


def _listed_faces(on: On) -> str:
    return "" if on is None else f", on={on!r}"


def written(value: object) -> str:
    """A value as code writes it, a function by its name."""
    if callable(value):
        return function_name(value)[:-2]
    return f"{value:g}" if isinstance(value, float) else repr(value)
