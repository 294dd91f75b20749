"""Pointwise residuals: one user function, its values r and its partials ∂r/∂u_α, whoever supplies
the derivatives u_α."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.residual.calculus import Leaf, Leaves, Values
from kanpde.residual.functions import at_point, rows_of


@dataclass(frozen=True)
class Residual:
    """A pointwise function r(x, u_α) that vanishes at the solution.

    Attributes:
        name: What messages call it.
        function: What the user wrote.
        arguments: The names of its arguments.
        unknowns: Which names are unknowns.
        coordinates: Names of all coordinates, in the domain's order.
        space: Those that are not time.
        needs: The derivatives that r depends on: the columns of what `__call__` takes and of the
            partials that it returns.
        unused: Derivatives that it is given or asks for on the way but that do not change r, such
            as the plain u of Δu = f.
        equations: How many numbers it gives at a point.
        composite: Whether it differentiates expressions.
        affine: Whether its partials are known not to depend on the derivatives.
    """

    name: str
    function: Callable[..., Tensor | Sequence[Tensor]]
    arguments: tuple[str, ...]
    unknowns: tuple[str, ...]
    coordinates: tuple[str, ...]
    space: tuple[str, ...]
    needs: tuple[Leaf, ...]
    unused: tuple[Leaf, ...]
    equations: int
    composite: bool
    affine: bool

    @property
    def order(self) -> int:
        """Highest order of differentiation."""
        return max((sum(index) for _, index in self.needs), default=0)

    def renamed(self, names: Mapping[str, str]) -> Residual:
        """The same residual of unknowns by other names.

        Args:
            names: The new name by the old one, for those that change.
        """
        old = {new: name for name, new in names.items()}

        def function(**given: Tensor) -> Tensor | Sequence[Tensor]:
            return self.function(**{old.get(name, name): value for name, value in given.items()})

        def leaves(given: Sequence[Leaf]) -> tuple[Leaf, ...]:
            return tuple((names.get(unknown, unknown), index) for unknown, index in given)

        return replace(
            self,
            function=function,
            arguments=tuple(names.get(name, name) for name in self.arguments),
            unknowns=tuple(names.get(name, name) for name in self.unknowns),
            needs=leaves(self.needs),
            unused=leaves(self.unused),
        )

    def rows(self, leaves: Leaves) -> list[Tensor]:
        """What the function returns on given leaves.

        Args:
            leaves: Supplies coordinates and derivatives.

        Returns:
            One tensor [points] an equation.

        Raises:
            ProblemError: As `__call__` does.
        """
        return rows_of(self.function, self.name, self.arguments, self.unknowns, leaves)

    def __call__(
        self,
        coordinates: Values,
        derivatives: Float[Tensor, "points leaves"],
        normal: Values | None = None,
        partials: bool = True,
    ) -> tuple[Float[Tensor, "points equations"], Float[Tensor, "points equations leaves"] | None]:
        """Residual values and, where asked for, their partials.

        Args:
            coordinates: Of the points, by name, [points] each.
            derivatives: Column a holds the values of `needs[a]` at the points.
            normal: Outward unit normals by coordinate, on a boundary.
            partials: Whether the partials are wanted.

        Returns:
            The values, and their partials by the derivatives in the order of `needs`; None in place
            of partials that are not wanted.

        Raises:
            ProblemError: When the user's function fails, gives the wrong shape, or asks for other
                derivatives than it did in the dry run (a residual must not branch on values).
        """
        column = {leaf: a for a, leaf in enumerate(self.needs)}

        def supply(leaf: Leaf) -> Tensor:
            if leaf in column:
                return derivatives[:, column[leaf]]
            if leaf in self.unused:
                # Poisoned: if it mattered after all, it would show.
                return derivatives.new_full((len(derivatives),), torch.nan)
            raise ProblemError(
                f"{self.name}: asks for {leaf_name(leaf, self.coordinates)} only at some points; a"
                " residual must not branch on values"
            )

        # Operators know a coordinate by the identity of its tensor: each gets its own.
        at = {x: v.detach().requires_grad_(self.composite) for x, v in coordinates.items()}
        leaves = Leaves(at, self.space, supply, normal)
        with torch.set_grad_enabled(partials or self.composite):
            rows = rows_of(self.function, self.name, self.arguments, self.unknowns, leaves)
        values = torch.stack([row.detach() for row in rows], 1)
        if not partials:
            return values, None
        inputs = [leaves[leaf] for leaf in self.needs]
        return values, torch.stack([_gradient(row, inputs) for row in rows], 1)


def check_finite(
    residual: Residual,
    values: Float[Tensor, "points equations"],
    coordinates: Values,
    derivatives: Float[Tensor, "points leaves"],
) -> None:
    """Check that a residual is finite wherever its inputs are.

    Args:
        residual: What was evaluated.
        values: What it gave.
        coordinates: Of the points, by name.
        derivatives: What it was given.

    Raises:
        ProblemError: For the first point where it is not; the message names function and point.
    """
    bad = (~values.isfinite().all(1) & derivatives.isfinite().all(1)).nonzero()
    if len(bad):
        i = int(bad[0])
        k = int((~values[i].isfinite()).nonzero()[0])
        which = f" (equation {k + 1})" if residual.equations > 1 else ""
        given = {
            leaf_name(leaf, residual.coordinates): derivatives[:, a]
            for a, leaf in enumerate(residual.needs)
        }
        raise ProblemError(
            f"{residual.name}: returned {float(values[i, k])}{which} at {at_point(coordinates, i)},"
            f" where {at_point(given, i)}; expected a finite number"
        )


def leaf_name(leaf: Leaf, coordinates: Sequence[str]) -> str:
    """The usual subscript notation: ("u", (2, 1)) on (x, y) is "u_xxy"."""
    subscript = "".join(x * n for x, n in zip(coordinates, leaf[1], strict=True))
    return f"{leaf[0]}_{subscript}" if subscript else leaf[0]


def _gradient(row: Tensor, inputs: Sequence[Tensor]) -> Float[Tensor, "points leaves"]:
    if not row.requires_grad:
        return row.new_zeros(len(row), len(inputs))
    found = torch.autograd.grad(row.sum(), inputs, allow_unused=True, retain_graph=True)
    return torch.stack([torch.zeros_like(row) if g is None else g for g in found], 1)
