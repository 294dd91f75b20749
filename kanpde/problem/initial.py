"""Initial conditions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from kanpde.errors import ProblemError, listed, nearest
from kanpde.geometry import Domain, FamilyBox, SpaceTime, Time
from kanpde.problem.constraints import BoundaryCondition, Constraint, Prescribed, checked_weight
from kanpde.problem.faces import recorded_on
from kanpde.problem.mistaken import check_named
from kanpde.problem.prescribed import Smooth, Value, listed_values, prescribed_value
from kanpde.residual.calculus import d

USUAL_NAMES_OF_TIME = ("t", "tau", "time")
"""By these a coordinate of a box is recognised that was probably meant to be time."""

HIGHEST_RATE = 3
"""Order of the highest derivative in time that starts without space have, below order 4."""


class Initial(BoundaryCondition):
    """Values at the start of time, and velocities where the equation is of second order in it:
    `Initial(u=…, u_t=0)`. Ordinary differential equations of higher order take `y_tt` as well.

    Args:
        *nameless: Nothing, since unknowns are given by name.
        weight: Multiplies the squared residual where the condition enters the loss; by default it
            is balanced.
        **values: By unknown, or as u_t by the derivative of unknown u in time t: a number, or a
            function of some space coordinates by name.

    Raises:
        ProblemError: Where it names no unknown, or the weight is not positive; and, when a Problem
            is built, where the domain has no time, and for unknowns that do not exist.
    """

    def __init__(self, *nameless: object, weight: float | None = None, **values: Value):
        check_named("Initial", nameless, values, "no face, which is the start of time")
        self.weight, self.values = checked_weight(weight, "Initial"), dict(values)

    def __repr__(self) -> str:
        return f"Initial({listed_values(self.values)})"

    def names(self, domain: Domain, arguments: Sequence[str]) -> tuple[str, ...]:
        unknowns, time = [a for a in arguments if a not in domain.coordinates], self._time(domain)
        highest = _highest(domain)
        return tuple(_target(name, time, unknowns, highest)[0] for name in self.values)

    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        time, found = self._time(domain), []
        for name, value in self.values.items():
            unknown, order = _target(name, time, unknowns, _highest(domain))
            found.append(self._constraint(domain, time, name, unknown, order, value))
        return found

    def _time(self, domain: Domain) -> str:
        """The name of the time. Raises ProblemError where there is none."""
        if domain.time is not None:
            return domain.time
        if is_line_of_time(domain):
            return domain.own[0]
        hint = "write domain=Box(…) * Time(t=(0, 1))"
        if times := [x for x in domain.coordinates if x in USUAL_NAMES_OF_TIME]:
            hint = f"take {times[0]} out of the box and write Box(…) * Time({times[0]}=…)"
        elif domain.is_box and len(domain.coordinates) == 1:
            ((x, (low, high)),) = domain.bounds.items()
            u = next(iter(self.values))
            hint = (
                f'at one end write Dirichlet({u}=…, on="{x}-"); an evolution in {x} has'
                f" domain=Time({x}=({low:g}, {high:g})), one in {x} and a time {domain!r} *"
                " Time(t=(0, 1))"
            )
        raise ProblemError(f"{self!r}: the domain {domain!r} has no time; {hint}")

    def _constraint(
        self, domain: Domain, time: str, name: str, unknown: str, order: int, value: Value
    ) -> Constraint:
        label = f"Initial({listed_values({name: value})})"
        data = prescribed_value(value, domain.coordinates, label)

        def residual(**at: Tensor) -> Tensor:
            u = at.pop(unknown)
            return (d(u, *[time] * order) if order else u) - data(at)

        face, arguments = f"{time}-", (unknown, *domain.coordinates)
        recorded = recorded_on(residual, label, arguments, (unknown,), domain, face)
        prescribed = Prescribed(unknown, order, data, isinstance(value, Smooth))
        return Constraint(label, face, recorded, None, self.weight, prescribed)


def is_line_of_time(domain: Domain) -> bool:
    """Whether a domain is time alone: Time(…), or a box of one coordinate that is called so."""
    if isinstance(domain, SpaceTime) or not domain.is_box or len(domain.own) > 1:
        return False
    plain = domain.plain if isinstance(domain, FamilyBox) else domain
    return isinstance(plain, Time) or domain.own[0] in USUAL_NAMES_OF_TIME


def _highest(domain: Domain) -> int:
    """Order of the highest derivative in time that may be given at the start."""
    return HIGHEST_RATE if is_line_of_time(domain) else 1


def _target(name: str, time: str, unknowns: Sequence[str], highest: int) -> tuple[str, int]:
    """The unknown that a keyword of Initial names, and the order of its derivative in time: u_t is
    ("u", 1), unless u_t is an unknown."""
    stem, _, last = name.rpartition("_")
    if name in unknowns:
        return name, 0
    order = len(last) // len(time)
    if stem in unknowns and last == time * order and 0 < order <= highest:
        return stem, order
    known = [*unknowns, *(f"{u}_{time}" for u in unknowns)]
    hint = f"; did you mean '{stem}_{time}'?" if stem in unknowns else nearest(name, known)
    raise ProblemError(
        f"Initial({name}=…): no such unknown or velocity; they are {listed(known)}{hint}"
    )
