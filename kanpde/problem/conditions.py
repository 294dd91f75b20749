"""Boundary conditions, each a pointwise residual on the faces it is put on.

A condition is written for the unknowns by name: `Dirichlet(u=0, on="x-")`. Values are numbers or
functions of the coordinates, again by name: `Dirichlet(u=lambda y: y * (1 - y), on=("x-", "x+"))`.
Without `on`, it holds on all faces of space; `where=lambda x, y: x < 0` keeps only a part of them.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from kanpde.errors import ProblemError, listed, nearest
from kanpde.geometry import Domain
from kanpde.problem.constraints import BoundaryCondition, Constraint, FaceCondition, Prescribed
from kanpde.problem.faces import (
    On,
    Where,
    recorded_on,
)
from kanpde.problem.mistaken import check_named
from kanpde.problem.prescribed import Value, is_number, listed_values, prescribed_value, written
from kanpde.residual.calculus import Values, normal_derivative
from kanpde.residual.functions import argument_names, check_arguments


class _Linear(FaceCondition):
    """A linear expression of one unknown equals given data on faces: what Dirichlet, Neumann and
    Robin share."""

    def __init__(
        self,
        nameless: tuple[object, ...],
        on: On,
        where: Callable[..., Tensor] | None,
        weight: float | None,
        values: Mapping[str, Value],
    ):
        kind = type(self).__name__
        check_named(kind, nameless, values, 'on="x-"')
        super().__init__(kind, on, where, weight)
        self.values = dict(values)

    def __repr__(self) -> str:
        where = f", where={written(self.where)}" if self.where else ""
        inside = f"{listed_values(self.values)}{self._factors()}{_listed_faces(self.on)}{where}"
        return f"{self.kind}({inside})"

    def _factors(self) -> str:
        """Numbers of the left-hand side, as code writes them after the values."""
        return ""

    def names(self, domain: Domain, arguments: Sequence[str]) -> tuple[str, ...]:
        return tuple(self.values)

    def about(self, domain: Domain, unknowns: Sequence[str]) -> FaceCondition | None:
        found = copy.copy(self)
        found.values = {u: value for u, value in self.values.items() if u in unknowns}
        return found if found.values else None

    def _check_unknowns(self, domain: Domain, unknowns: Sequence[str]) -> None:
        for unknown in self.values:
            if unknown not in unknowns:
                raise ProblemError(
                    f"{self.kind}({unknown}=…): no such unknown; they are"
                    f" {listed(unknowns)}{nearest(unknown, unknowns)}"
                )

    def _on_face(
        self, domain: Domain, face: str, unknowns: Sequence[str], where: Where | None
    ) -> list[Constraint]:
        return [
            self._constraint(domain, face, unknown, value, where)
            for unknown, value in self.values.items()
        ]

    def _constraint(
        self, domain: Domain, face: str, unknown: str, value: Value, where: Where | None
    ) -> Constraint:
        label = f"{self.kind}({listed_values({unknown: value})}) on {face}"
        data = prescribed_value(value, domain.coordinates, label)

        def residual(**at: Tensor) -> Tensor:
            return self._left(at.pop(unknown)) - data(at)

        arguments = (unknown, *domain.coordinates)
        recorded = recorded_on(residual, label, arguments, (unknown,), domain, face)
        prescribed = self._prescribed(domain, face, unknown, data)
        return Constraint(label, face, recorded, where, self.weight, prescribed)

    @abstractmethod
    def _left(self, u: Tensor) -> Tensor:
        """The left-hand side, on the face."""

    def _prescribed(
        self, domain: Domain, face: str, unknown: str, data: Callable[[Values], Tensor]
    ) -> Prescribed | None:
        return None


class Dirichlet(_Linear):
    """The unknowns have given values: `Dirichlet(u=0)`, `Dirichlet(u=1, v=lambda y: y, on="x-")`.

    Args:
        *nameless: Nothing, since unknowns are given by name.
        on: The face or faces; without it, all faces of space.
        where: Keeps only the points of the faces at which this function of the coordinates, by
            name, is true.
        weight: Multiplies the squared residual where the condition enters the loss; by default it
            is balanced.
        **values: By unknown a number, or a function of some coordinates by name that returns one
            value a point.

    Raises:
        ProblemError: Where it names no unknown, or the weight is not positive; and, when a Problem
            is built, for faces, unknowns and coordinates that do not exist.
    """

    def __init__(
        self,
        *nameless: object,
        on: On = None,
        where: Callable[..., Tensor] | None = None,
        weight: float | None = None,
        **values: Value,
    ):
        super().__init__(nameless, on, where, weight, values)

    def _left(self, u: Tensor) -> Tensor:
        return u

    def _prescribed(
        self, domain: Domain, face: str, unknown: str, data: Callable[[Values], Tensor]
    ) -> Prescribed:
        return Prescribed(unknown, 0, data)


class Neumann(_Linear):
    """The outward normal derivatives of the unknowns are given: `Neumann(u=0, on="x+")`.

    Args:
        *nameless: Nothing, since unknowns are given by name.
        on: The face or faces; without it, all faces of space.
        where: Keeps only the points of the faces at which this function of the coordinates, by
            name, is true.
        weight: Multiplies the squared residual where the condition enters the loss; by default it
            is balanced.
        **values: ∂u/∂n by unknown: a number, or a function of some coordinates by name.

    Raises:
        ProblemError: As for Dirichlet.
    """

    def __init__(
        self,
        *nameless: object,
        on: On = None,
        where: Callable[..., Tensor] | None = None,
        weight: float | None = None,
        **values: Value,
    ):
        super().__init__(nameless, on, where, weight, values)

    def _left(self, u: Tensor) -> Tensor:
        return normal_derivative(u)

    def _prescribed(
        self, domain: Domain, face: str, unknown: str, data: Callable[[Values], Tensor]
    ) -> Prescribed | None:
        side = domain.faces[face].side
        return Prescribed(unknown, 1, lambda at: side * data(at)) if side else None


class Robin(_Linear):
    """a·u + b·∂u/∂n is given: `Robin(u=0, a=1, b=0.5, on="x+")`.

    Args:
        *nameless: Nothing, since unknowns are given by name.
        a: Factor of the value, a number.
        b: Factor of the outward normal derivative, a number.
        on: The face or faces; without it, all faces of space.
        where: Keeps only the points of the faces at which this function of the coordinates, by
            name, is true.
        weight: Multiplies the squared residual where the condition enters the loss; by default it
            is balanced.
        **values: a·u + b·∂u/∂n by unknown: a number, or a function of some coordinates by name.

    Raises:
        ProblemError: For factors that are zero or vary; and as for Dirichlet.
    """

    def __init__(
        self,
        *nameless: object,
        a: float = 1.0,
        b: float = 1.0,
        on: On = None,
        where: Callable[..., Tensor] | None = None,
        weight: float | None = None,
        **values: Value,
    ):
        super().__init__(nameless, on, where, weight, values)
        for name, factor, plain in (("a", a, "Neumann"), ("b", b, "Dirichlet")):
            if not is_number(factor):
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


class Periodic(BoundaryCondition):
    """All unknowns repeat along the given space coordinates: `Periodic("x")`.

    Args:
        *coordinates: Their names.
        **named: Nothing, since names of coordinates are texts.

    Raises:
        ProblemError: Where it names none; and, when a Problem is built, for names of no space
            coordinate.
    """

    def __init__(self, *coordinates: str, **named: object):
        if named:
            given = ", ".join(f"{name}={value!r}" for name, value in named.items())
            raise ProblemError(f'Periodic({given}): expected names alone, such as Periodic("x")')
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


class Condition(FaceCondition):
    """Anything else that vanishes on a face: `Condition(lambda u, x: d(u, x) + u**4, on="x+")`.

    Args:
        function: Takes unknowns and coordinates by name, as an equation does; it may use
            normal_derivative. What asks for nothing at the points of a face, such as `lambda u:
            integral(u) - 1`, holds once for the whole, and needs no faces.
        on: The face or faces; without it, all faces of space.
        where: Keeps only the points of the faces at which this function of the coordinates, by
            name, is true.
        weight: Multiplies the squared residual where the condition enters the loss; by default it
            is balanced.

    Raises:
        ProblemError: For what is no function of named arguments, and a weight that is not
            positive; and, when a Problem is built, for faces and arguments that do not exist.
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
        super().__init__("Condition", on, where, weight)
        self.function = function

    def __repr__(self) -> str:
        return f"{self.label[:-1]}{_listed_faces(self.on)})"

    def names(self, domain: Domain, arguments: Sequence[str]) -> tuple[str, ...]:
        return tuple(a for a in self.arguments if a not in domain.coordinates)

    def about(self, domain: Domain, unknowns: Sequence[str]) -> FaceCondition | None:
        return self if all(u in unknowns for u in self.names(domain, ())) else None

    def _check_unknowns(self, domain: Domain, unknowns: Sequence[str]) -> None:
        known = {"unknown": unknowns, "coordinate": domain.coordinates}
        check_arguments(self.arguments, known, self.label)

    def _on_face(
        self, domain: Domain, face: str, unknowns: Sequence[str], where: Where | None
    ) -> list[Constraint]:
        label = f"{self.label} on {face}"
        recorded = recorded_on(self.function, label, self.arguments, unknowns, domain, face)
        return [Constraint(label, face, recorded, where, self.weight)]

    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        found = super().constraints(domain, unknowns)
        first = found[0]
        if self.on is None and not first.residual.needs and first.residual.afar:
            # It says the same on every face.
            residual = replace(first.residual, name=self.label)
            return [replace(first, label=self.label, residual=residual)]
        return found


def _listed_faces(on: On) -> str:
    return "" if on is None else f", on={on!r}"
