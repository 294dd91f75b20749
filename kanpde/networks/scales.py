"""Of what size the unknowns and the rows of a problem are: what is divided out of its units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from kanpde.problem.constraints import Constraint, Prescribed
from kanpde.residual.calculus import Values


@dataclass(frozen=True)
class Scales:
    """Units in which a network and its training work, so that the user's make no difference.

    An unknown is u = offset + size · v, and v is of order 1; a row is divided by its size. What is
    not named has offset 0 and size 1.

    Attributes:
        offsets: By output.
        sizes: By output.
        equations: Sizes of the rows, by region and equation.
        conditions: Sizes of the rows by label of the condition.
    """

    offsets: Mapping[str, float] = field(default_factory=dict)
    sizes: Mapping[str, float] = field(default_factory=dict)
    equations: tuple[tuple[tuple[float, ...], ...], ...] = ()
    conditions: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def offset(self, output: str) -> float:
        """What an output varies about.

        Args:
            output: Its name.
        """
        return self.offsets.get(output, 0.0)

    def size(self, output: str) -> float:
        """By how much an output varies.

        Args:
            output: Its name.
        """
        return self.sizes.get(output, 1.0)

    def of_equations(self, region: int) -> tuple[float, ...]:
        """Sizes of all rows of the equations of a region; () where all are 1.

        Args:
            region: Its number.
        """
        own = self.equations[region] if self.equations else ()
        return tuple(size for equation in own for size in equation)

    def shifted(self, constraints: Sequence[Constraint]) -> list[Constraint]:
        """Conditions whose prescribed values are those of u - offset; their residuals stay.

        Args:
            constraints: The conditions.
        """
        return [
            replace(c, prescribed=_less(c.prescribed, self.offset(c.prescribed.unknown)))
            if c.prescribed and not c.prescribed.derivative and self.offset(c.prescribed.unknown)
            else c
            for c in constraints
        ]

    def plain(self) -> dict[str, Any]:
        """Plain values, of which `from_plain` makes the same."""
        return {
            "offsets": dict(self.offsets),
            "sizes": dict(self.sizes),
            "equations": [[list(rows) for rows in region] for region in self.equations],
            "conditions": {label: list(rows) for label, rows in self.conditions.items()},
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Scales:
        """What `plain` was made of.

        Args:
            plain: What `plain` gave.
        """
        return cls(
            plain["offsets"],
            plain["sizes"],
            tuple(tuple(tuple(rows) for rows in region) for region in plain["equations"]),
            {label: tuple(rows) for label, rows in plain["conditions"].items()},
        )


def _less(prescribed: Prescribed, offset: float) -> Prescribed:
    data = prescribed.data

    def shifted(at: Values) -> Tensor:
        return data(at) - offset

    return replace(prescribed, data=shifted)
