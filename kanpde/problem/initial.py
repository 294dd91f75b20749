"""Initial conditions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from kanpde.errors import ProblemError, listed, nearest
from kanpde.geometry import Domain, SpaceTime
from kanpde.problem.constraints import BoundaryCondition, Constraint, Prescribed, checked_weight
from kanpde.problem.faces import recorded_on
from kanpde.problem.prescribed import Smooth, Value, listed_values, prescribed_value
from kanpde.residual.calculus import d

USUAL_NAMES_OF_TIME = ("t", "tau", "time")
"""By these a coordinate of a box is recognised that was probably meant to be time."""


class Initial(BoundaryCondition):
    """Values at the start of time, and velocities where the equation is of second order in it:
    `Initial(u=…, u_t=0)`.

    Args:
        weight: Multiplies the squared residual where the condition enters the loss; by default it
            is balanced.
        **values: By unknown, or as u_t by the derivative of unknown u in time t: a number, or a
            function of some space coordinates by name.

    Raises:
        ProblemError: Where it names no unknown, or the weight is not positive; and, when a Problem
            is built, where the domain has no time, and for unknowns that do not exist.
    """

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
        hint = "write domain=Box(…) * Time(t=(0, 1))"
        if times := [x for x in domain.coordinates if x in USUAL_NAMES_OF_TIME]:
            hint = f"take {times[0]} out of the box and write Box(…) * Time({times[0]}=…)"
        raise ProblemError(f"{self!r}: the domain {domain!r} has no time; {hint}")

    def _constraint(
        self, domain: SpaceTime, name: str, unknown: str, order: int, value: Value
    ) -> Constraint:
        label = f"Initial({listed_values({name: value})})"
        data = prescribed_value(value, domain.coordinates, label)

        def residual(**at: Tensor) -> Tensor:
            u = at.pop(unknown)
            return (d(u, domain.time) if order else u) - data(at)

        face, arguments = domain.initial_face, (unknown, *domain.coordinates)
        recorded = recorded_on(residual, label, arguments, (unknown,), domain, face)
        prescribed = Prescribed(unknown, order, data, isinstance(value, Smooth))
        return Constraint(label, face, recorded, None, self.weight, prescribed)


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
