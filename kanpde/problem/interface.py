"""Conditions where two pieces of a domain meet."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from kanpde.errors import ProblemError, listed, nearest
from kanpde.geometry import Domain, Pieces
from kanpde.problem.constraints import BoundaryCondition, Constraint, checked_weight
from kanpde.problem.faces import recorded_on
from kanpde.problem.prescribed import Value, listed_values, prescribed_value, written
from kanpde.residual.calculus import Values, normal_derivative
from kanpde.residual.functions import argument_names, check_arguments


class Interface(BoundaryCondition):
    """What holds where two pieces of a domain meet: `Interface(u=0, flux={"copper": 400.0, "air":
    0.03})`.

    Args:
        *functions: Anything else that vanishes there, of the unknowns by piece, u_copper and u_air,
            and coordinates, by name; normal_derivative is along the normal out of the first piece.
        flux: Coefficients k by piece, numbers or functions of the coordinates, by which k ∂u/∂n is
            the same on both sides, for all unknowns named.
        between: The two pieces, where not all contacts are meant.
        weight: Multiplies the squared residual where the condition enters the loss; by default it
            is balanced.
        **jumps: By unknown the jump of its value, that of the first piece less that of the second,
            in their order in Pieces(…): a number, or a function of some coordinates by name.

    Raises:
        ProblemError: Where it says nothing; and, when a Problem is built, where the domain is in
            one piece, and for pieces and unknowns that do not exist.
    """

    def __init__(
        self,
        *functions: Callable[..., Tensor | Sequence[Tensor]],
        flux: Mapping[str, Value] | None = None,
        between: Sequence[str] | None = None,
        weight: float | None = None,
        **jumps: Value,
    ):
        if not functions and not jumps:
            raise ProblemError(
                "Interface(…): says nothing; expected such as Interface(u=0, flux={'copper': 400.0,"
                " 'air': 0.03})"
            )
        if flux is not None and (not isinstance(flux, Mapping) or not jumps):
            came = "no unknown" if isinstance(flux, Mapping) else type(flux).__name__
            raise ProblemError(
                f"Interface(flux=…): got {came}; expected coefficients by piece, and the unknowns"
                " that flow, such as Interface(u=0, flux={'copper': 4.0, 'air': 0.03})"
            )
        self.functions, self.flux, self.between, self.jumps = functions, flux, between, dict(jumps)
        self.weight = checked_weight(weight, "Interface")

    def __repr__(self) -> str:
        shown = [
            *map(written, self.functions),
            *([listed_values(self.jumps)] if self.jumps else []),
            *([f"flux={dict(self.flux)!r}"] if self.flux else []),
        ]
        return f"Interface({', '.join(shown)})"

    def names(self, domain: Domain, arguments: Sequence[str]) -> tuple[str, ...]:
        return tuple(self.jumps)

    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        """See BoundaryCondition; the unknowns are those by piece, such as u_copper."""
        if not isinstance(domain, Pieces):
            raise ProblemError(
                f"{self!r}: the domain {domain!r} is in one piece; expected Pieces(…), such as"
                " Pieces(copper=Disk(…), air=Box(…) - Disk(…))"
            )
        found = []
        for face in self._contacts(domain):
            for function, label in [
                *self._differences(domain, face, unknowns),
                *((f, f"Interface({written(f)}) on {face}") for f in self.functions),
            ]:
                arguments = argument_names(function, label)
                check_arguments(
                    arguments, {"unknown": unknowns, "coordinate": domain.coordinates}, label
                )
                found.append(
                    Constraint(
                        label,
                        face,
                        recorded_on(function, label, arguments, unknowns, domain, face),
                        None,
                        self.weight,
                    )
                )
        return found

    def _contacts(self, domain: Pieces) -> list[str]:
        for piece in [*(self.flux or ()), *(self.between or ())]:
            if piece not in domain.regions:
                raise ProblemError(
                    f"{self!r}: there is no piece {piece!r}; they are"
                    f" {listed(domain.regions)}{nearest(str(piece), domain.regions)}"
                )
        if self.between is None:
            return list(domain.contacts)
        found = [
            name
            for name, contact in domain.contacts.items()
            if {contact.first.name, contact.second.name} == set(self.between)
        ]
        if not found:
            raise ProblemError(
                f"Interface(between={tuple(self.between)!r}): these do not meet; those that do are"
                f" {listed(domain.contacts)}"
            )
        return found

    def _differences(
        self, domain: Pieces, face: str, unknowns: Sequence[str]
    ) -> list[tuple[Callable[..., Tensor], str]]:
        """Jumps of value and of flux as functions with arguments of the right names."""
        pieces = domain.contacts[face].first.name, domain.contacts[face].second.name
        found: list[tuple[Callable[..., Tensor], str]] = []
        for unknown, jump in self.jumps.items():
            copies = [f"{unknown}_{piece}" for piece in pieces]
            if missing := [
                piece for piece, copy in zip(pieces, copies, strict=True) if copy not in unknowns
            ]:
                raise ProblemError(
                    f"Interface({unknown}=…): {unknown!r} is no unknown of the piece"
                    f" {missing[0]!r}; those by piece are {listed(unknowns)}"
                )
            label = f"Interface({unknown}={written(jump)}) on {face}"
            data = prescribed_value(jump, domain.coordinates, label)

            def jump_of_value(
                a: Tensor, b: Tensor, at: Values, data: Callable[[Values], Tensor] = data
            ) -> Tensor:
                return a - b - data(at)

            found.append((_named(jump_of_value, copies, domain.coordinates), label))
            if self.flux is not None:
                if absent := [piece for piece in pieces if piece not in self.flux]:
                    raise ProblemError(
                        f"Interface(flux={dict(self.flux)!r}): says nothing of {absent[0]!r};"
                        f" expected a coefficient for both pieces of {face!r}"
                    )
                label = f"Interface(flux of {unknown}) on {face}"
                first, second = (
                    prescribed_value(self.flux[piece], domain.coordinates, f"{label}, {piece}")
                    for piece in pieces
                )

                def jump_of_flux(
                    a: Tensor,
                    b: Tensor,
                    at: Values,
                    first: Callable[[Values], Tensor] = first,
                    second: Callable[[Values], Tensor] = second,
                ) -> Tensor:
                    return first(at) * normal_derivative(a) - second(at) * normal_derivative(b)

                found.append((_named(jump_of_flux, copies, domain.coordinates), label))
        return found


def _named(
    function: Callable[[Tensor, Tensor, Values], Tensor],
    copies: Sequence[str],
    coordinates: Sequence[str],
) -> Callable[..., Tensor]:
    """A function of two unknowns and the coordinates, as one whose arguments have their names."""

    def call_by_name(**given: Tensor) -> Tensor:
        return function(given[copies[0]], given[copies[1]], {x: given[x] for x in coordinates})

    names = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in (*copies, *coordinates)
    ]
    call_by_name.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]
    return call_by_name
