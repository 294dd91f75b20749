"""What is solved: equations and conditions as residuals on a domain, whatever they were written as.

References need no more than this. A problem that a user wrote is one; so is what another form of it
comes to, with further unknowns or with a time of its own, that nobody wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from kanpde.geometry import Domain, Pieces
from kanpde.problem.constraints import Constraint
from kanpde.problem.parameters import Parameter
from kanpde.residual.residual import Residual

Function = Callable[[Float[np.ndarray, " points"]], Float[np.ndarray, " points"]]
"""Of one coordinate."""


@dataclass(frozen=True, eq=False, repr=False)
class Formulation:
    """Equations and conditions on a domain, after the dry run.

    Nothing is checked here: what a user wrote was, when the Problem was built.

    Attributes:
        domain: Where.
        unknowns: As people write them.
        copies: The unknowns by piece, u_copper and u_air for u; elsewhere the unknowns themselves.
        groups: Every region with the equations that hold in it.
        constraints: The conditions, each on one face.
        periodic: Names of the coordinates that are periodic.
        parameters: What else is unknown in the equations, fields first.
        easier: The same with numbers for some of the unknowns, whose solution is where the search
            for that of this one begins; None where it begins with nothing.
        numbers: These numbers.
        begun: What the search begins from in the place of such a solution, functions of the only
            coordinate by unknown.
    """

    domain: Domain
    unknowns: tuple[str, ...]
    copies: tuple[str, ...]
    groups: tuple[tuple[Domain, tuple[Residual, ...]], ...]
    constraints: tuple[Constraint, ...]
    periodic: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    easier: Formulation | None = field(default=None, kw_only=True)
    numbers: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    begun: Mapping[str, Function] = field(default_factory=dict, kw_only=True)

    @property
    def equations(self) -> tuple[Residual, ...]:
        """Those of all pieces."""
        return tuple(e for _, found in self.groups for e in found)

    def at(self, face: str) -> tuple[str, ...]:
        """Which of `copies` there are on a face: all of them; on pieces, those of the pieces there.

        Args:
            face: Its name.
        """
        if not isinstance(self.domain, Pieces):
            return self.copies
        homes = [piece.name for piece in self.domain.beside(face)]
        return tuple(name for name in self.copies if self.domain.home(name) in homes)

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the coordinates, space first."""
        return self.domain.coordinates

    @property
    def time_order(self) -> int:
        """Highest order of differentiation in time over all unknowns; 0 for a steady problem."""
        return max(self.order(u, self.domain.time) for u in self.copies) if self.domain.time else 0

    def order(self, unknown: str, coordinate: str) -> int:
        """Highest order to which the equations differentiate an unknown along a coordinate.

        Args:
            unknown: One of `copies`.
            coordinate: Its name.
        """
        axis = self.coordinates.index(coordinate)
        return max(
            (index[axis] for e in self.equations for name, index in e.needs if name == unknown),
            default=0,
        )
