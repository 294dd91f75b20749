"""Boundary and initial conditions, each a pointwise residual on the faces it is put on.

A condition is written for the unknowns by name: `Dirichlet(u=0, on="x-")`. Values are numbers or functions of the
coordinates, again by name: `Dirichlet(u=lambda y: y * (1 - y), on=("x-", "x+"))`. Without `on`, it holds on all faces of
space; `where=lambda x, y: x < 0` keeps only a piece of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kanpde.calculus import d, normal_derivative
from kanpde.errors import ProblemError, listed, nearest
from kanpde.geometry import Domain, SpaceTime
from kanpde.residual import Residual, Values, argument_names, check_arguments, record

Value = float | Callable[..., Tensor]
"""A number, or a torch function of some of the coordinates by name."""


@dataclass(frozen=True)
class Prescribed:
    """The plain form of many conditions: one unknown, or its first derivative across the face, is given there.

    derivative: 0 for the value, 1 for the derivative along the face's own coordinate (not along the outward normal).
    """

    unknown: str
    derivative: int
    data: Callable[[Values], Tensor]


@dataclass(frozen=True)
class Constraint:
    """One condition on one face, as everything else sees it: a residual, and whether it is of the plain form."""

    label: str
    face: str
    residual: Residual
    where: Callable[[Values], Tensor] | None = None
    weight: float | None = None
    prescribed: Prescribed | None = None


class BoundaryCondition(ABC):
    """What a Problem accepts among its `conditions`."""

    kind = "Condition"
    unknowns: tuple[str, ...] = ()
    """Unknowns that it names, by which a Problem knows them."""

    @abstractmethod
    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        """Its residuals, face by face. Raises ProblemError for faces or unknowns that do not exist."""


class Dirichlet(BoundaryCondition):
    """The unknowns have given values: `Dirichlet(u=0)`, `Dirichlet(u=1, v=lambda y: y, on="x-")`.

    weight multiplies the squared residual where the condition enters the loss (by default it is balanced).
    """

    kind = "Dirichlet"

    def __init__(self, *, on: str | Sequence[str] | None = None, where: Callable[..., Tensor] | None = None, weight: float | None = None, **values: Value):
        if not values:
            raise ProblemError(f"{self.kind}(…): names no unknown; expected such as {self.kind}(u=0)")
        self.on, self.where, self.weight, self.values = on, where, weight, values
        self.unknowns = tuple(values)

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(f'{u}={_shown(v)}' for u, v in self.values.items())}{f', on={self.on!r}' if self.on else ''})"

    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        for unknown in self.values:
            if unknown not in unknowns:
                raise ProblemError(f"{self.kind}({unknown}=…): no such unknown; they are {listed(unknowns)}{nearest(unknown, unknowns)}")
        found = []
        for face in _faces(self.on, domain, self.kind):
            for unknown, value in self.values.items():
                data = _data(value, domain, f"{self.kind}({unknown}=…)")
                found.append(self._constraint(domain, face, unknown, data))
        return found

    def _constraint(self, domain: Domain, face: str, unknown: str, data: Callable[[Values], Tensor]) -> Constraint:
        label = f"{self.kind}({unknown}=…) on {face}"

        def residual(**at: Tensor) -> Tensor:
            return self._left(at.pop(unknown)) - data(at)

        recorded = _record(residual, label, (unknown, *domain.coordinates), (unknown,), domain, face)
        return Constraint(label, face, recorded, _where(self.where, domain, self.kind), self.weight, self._prescribed(domain, face, unknown, data))

    def _left(self, u: Tensor) -> Tensor:
        return u

    def _prescribed(self, domain: Domain, face: str, unknown: str, data: Callable[[Values], Tensor]) -> Prescribed | None:
        return Prescribed(unknown, 0, data)


class Neumann(Dirichlet):
    """The outward normal derivatives of the unknowns are given: `Neumann(u=0, on="x+")`."""

    kind = "Neumann"

    def _left(self, u: Tensor) -> Tensor:
        return normal_derivative(u)

    def _prescribed(self, domain: Domain, face: str, unknown: str, data: Callable[[Values], Tensor]) -> Prescribed | None:
        side = domain.faces[face].side
        return Prescribed(unknown, 1, lambda at: side * data(at)) if side else None


class Robin(Dirichlet):
    """a·u + b·∂u/∂n is given: `Robin(u=0, a=1, b=0.5, on="x+")`; a and b are numbers."""

    kind = "Robin"

    def __init__(self, *, a: float = 1.0, b: float = 1.0, on: str | Sequence[str] | None = None, where: Callable[..., Tensor] | None = None, weight: float | None = None, **values: Value):
        super().__init__(on=on, where=where, weight=weight, **values)
        if not b:
            raise ProblemError("Robin(…, b=0): that is a Dirichlet condition; write Dirichlet(…)")
        self.a, self.b = float(a), float(b)

    def _left(self, u: Tensor) -> Tensor:
        return self.a * u + self.b * normal_derivative(u)

    def _prescribed(self, domain: Domain, face: str, unknown: str, data: Callable[[Values], Tensor]) -> Prescribed | None:
        return None


class Initial(BoundaryCondition):
    """Values at the start of time, and velocities where the equation is of second order in it: `Initial(u=…, u_t=0)`."""

    kind = "Initial"

    def __init__(self, *, weight: float | None = None, **values: Value):
        if not values:
            raise ProblemError("Initial(…): names no unknown; expected such as Initial(u=0)")
        self.weight, self.values = weight, values
        self.unknowns = tuple(name for name in values if name.split("_")[0] not in values or "_" not in name)

    def __repr__(self) -> str:
        return f"Initial({', '.join(f'{u}={_shown(v)}' for u, v in self.values.items())})"

    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        if not isinstance(domain, SpaceTime):
            raise ProblemError(f"Initial(…): the domain {domain!r} has no time; write domain=Box(…) * Time(t=(0, 1))")
        found = []
        for name, value in self.values.items():
            order, unknown = 0, name
            if name not in unknowns and name.endswith(f"_{domain.time}"):
                order, unknown = 1, name[: -len(domain.time) - 1]
            if unknown not in unknowns:
                known = [*unknowns, *(f"{u}_{domain.time}" for u in unknowns)]
                raise ProblemError(f"Initial({name}=…): no such unknown or velocity; they are {listed(known)}{nearest(name, known)}")
            found.append(self._constraint(domain, name, unknown, order, _data(value, domain, f"Initial({name}=…)")))
        return found

    def _constraint(self, domain: SpaceTime, name: str, unknown: str, order: int, data: Callable[[Values], Tensor]) -> Constraint:
        label = f"Initial({name}=…)"

        def residual(**at: Tensor) -> Tensor:
            u = at.pop(unknown)
            return (d(u, domain.time) if order else u) - data(at)

        recorded = _record(residual, label, (unknown, *domain.coordinates), (unknown,), domain, domain.initial_face)
        return Constraint(label, domain.initial_face, recorded, None, self.weight, Prescribed(unknown, order, data))


class Periodic(BoundaryCondition):
    """All unknowns repeat along the given space coordinates: `Periodic("x")`."""

    kind = "Periodic"

    def __init__(self, *coordinates: str):
        if not coordinates:
            raise ProblemError('Periodic(…): names no coordinate; expected such as Periodic("x")')
        self.coordinates = coordinates

    def __repr__(self) -> str:
        return f"Periodic({', '.join(map(repr, self.coordinates))})"

    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        for x in self.coordinates:
            if x not in domain.space:
                raise ProblemError(f"Periodic({x!r}): no such space coordinate; they are {listed(domain.space)}{nearest(x, domain.space)}")
        return []


class Condition(BoundaryCondition):
    """Anything else that vanishes on a face: `Condition(lambda u, x: d(u, x) + u**4, on="x+")`.

    The function takes unknowns and coordinates by name, as an equation does, and may use normal_derivative.
    """

    def __init__(self, function: Callable[..., Tensor | Sequence[Tensor]], *, on: str | Sequence[str] | None = None, where: Callable[..., Tensor] | None = None, weight: float | None = None):
        self.function, self.on, self.where, self.weight = function, on, where, weight

    def __repr__(self) -> str:
        return f"Condition({_shown(self.function)}{f', on={self.on!r}' if self.on else ''})"

    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        name = f"Condition({_shown(self.function)})"
        arguments = argument_names(self.function, name)
        check_arguments(arguments, {"unknown": unknowns, "coordinate": domain.coordinates}, name)
        return [
            Constraint(f"{name} on {face}", face, _record(self.function, name, arguments, unknowns, domain, face), _where(self.where, domain, self.kind), self.weight)
            for face in _faces(self.on, domain, self.kind)
        ]


def points_on(domain: Domain, face: str, unit: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Coordinates and outward normals, by name, of points on a face."""
    points = domain.boundary(face, unit)
    normals = domain.normals(face, points)
    return dict(zip(domain.coordinates, points.T, strict=True)), dict(zip(domain.coordinates, normals.T, strict=True))


def prescribed_value(value: Value, coordinates: Sequence[str], what: str) -> Callable[[Values], Tensor]:
    """A number or a function of coordinates as a function of all coordinates that returns [points]."""
    if callable(value):
        arguments = argument_names(value, what)
        check_arguments(arguments, {"coordinate": coordinates}, what)

        def evaluate(at: Values) -> Tensor:
            like = next(iter(at.values()))
            try:
                found = value(**{a: at[a] for a in arguments})
            except Exception as error:  # the user's own code: anything can come; it is named, never swallowed
                hint = "; use torch's functions (torch.sin, not math.sin)" if "Python scalar" in str(error) else ""
                raise ProblemError(f"{what}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}{hint}") from error
            found = torch.as_tensor(found, dtype=like.dtype, device=like.device)
            if found.ndim and found.shape != like.shape:
                raise ProblemError(f"{what}: returned shape {list(found.shape)} for {len(like)} points; expected [{len(like)}]")
            return found.expand_as(like)

        return evaluate
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProblemError(f"{what}: got {value!r}; expected a number or a function of {listed(coordinates)}")
    return lambda at: torch.full_like(next(iter(at.values())), value)


def _data(value: Value, domain: Domain, what: str) -> Callable[[Values], Tensor]:
    return prescribed_value(value, domain.coordinates, what)


def _record(function: Callable[..., Tensor | Sequence[Tensor]], name: str, arguments: tuple[str, ...], unknowns: Sequence[str], domain: Domain, face: str) -> Residual:
    unit = torch.tensor([[0.31, 0.37, 0.41, 0.43], [0.67, 0.61, 0.59, 0.57]], dtype=torch.float64)[:, : len(domain.coordinates) - 1]
    points, normals = points_on(domain, face, unit)
    return record(function, name, arguments, unknowns, points, domain.space, normals if face in space_faces(domain) else None)


def space_faces(domain: Domain) -> tuple[str, ...]:
    """Names of the faces of space: all but the initial one."""
    return tuple(face for face in domain.faces if not (isinstance(domain, SpaceTime) and face == domain.initial_face))


def _faces(on: str | Sequence[str] | None, domain: Domain, kind: str) -> tuple[str, ...]:
    if on is None:
        return space_faces(domain)
    names = (on,) if isinstance(on, str) else tuple(on)
    for name in names:
        if name not in domain.faces:
            raise ProblemError(f"{kind}(on={name!r}): this domain has no face {name!r}; its faces are {listed(domain.faces)}")
    return names


def _where(where: Callable[..., Tensor] | None, domain: Domain, kind: str) -> Callable[[Values], Tensor] | None:
    if where is None:
        return None
    arguments = argument_names(where, f"{kind}(where=…)")
    check_arguments(arguments, {"coordinate": domain.coordinates}, f"{kind}(where=…)")
    return lambda at: where(**{a: at[a] for a in arguments})


def _shown(value: object) -> str:
    return getattr(value, "__name__", "function") if callable(value) else f"{value:g}" if isinstance(value, float) else repr(value)


def by_name(columns: Mapping[str, Tensor] | Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Columns of points [points, names] as a mapping."""
    return dict(columns) if isinstance(columns, Mapping) else dict(zip(names, columns.T, strict=True))
