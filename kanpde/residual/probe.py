"""An equation, evaluated where all of its arguments are given: what it differentiates there, and
which operations switch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from kanpde.residual.calculus import Leaf, Leaves
from kanpde.residual.elsewhere import Extent, Rule
from kanpde.residual.functions import rows_of
from kanpde.residual.switches import Switching

FEW_NODES = 2, 3
"""Parts and points of a rule for integrals, whose values do not count here."""

Argument = str | Leaf
"""What moves along a line: a coordinate, or a derivative of an unknown."""


class _Observed(Leaves):
    """Leaves that keep whatever is differentiated by the chain rule, with its axis."""

    seen: list[tuple[int, Tensor]]

    def _chain_rule(self, expression: Tensor, axis: int) -> Tensor:
        self.seen.append((axis, expression))
        try:
            # What autograd does has no switches of its own.
            with _disable_current_modes():
                return super()._chain_rule(expression, axis)
        except RuntimeError:
            # An operation without a slope, such as heaviside, is looked at all the same.
            return torch.zeros_like(expression)


@dataclass(frozen=True)
class Seen:
    """Everything that a residual differentiates, at some points.

    Attributes:
        axes: Along which coordinate each expression is differentiated.
        values: The expressions, [points, expressions].
        slopes: Their partials by what moves, as autograd has them, [points, expressions], if they
            are wanted.
        sides: Of the operations that switch, [points, operations].
        operations: Their names.
    """

    axes: tuple[int, ...]
    values: Tensor
    slopes: Tensor
    sides: Tensor
    operations: tuple[str, ...]


class Probe:
    """An equation, evaluated where all of its arguments are given.

    Args:
        function: Takes unknowns and coordinates by name.
        name: What messages call it.
        arguments: The names of its arguments.
        unknowns: Which names are unknowns.
        coordinates: Names of all coordinates, in the domain's order.
        space: Those that are not time.
        normal: On a face, its outward unit normal, a number by coordinate of space.
        extent: Of the domain, where it is a box.

    Attributes:
        coordinates: These names.
        leaves: What is drawn for every derivative that the equation has asked for.
    """

    def __init__(
        self,
        function: Callable[..., object],
        name: str,
        arguments: Sequence[str],
        unknowns: Sequence[str],
        coordinates: Sequence[str],
        space: Sequence[str],
        normal: Mapping[str, float] | None = None,
        extent: Extent | None = None,
    ):
        self._extent = extent
        self._function, self.name, self._arguments = function, name, arguments
        self._normal = normal
        self._unknowns, self.coordinates, self._space = unknowns, tuple(coordinates), space
        self.leaves: dict[Leaf, float] = {}
        self._generator = torch.Generator().manual_seed(1)

    def __call__(
        self,
        points: Float[Tensor, "points dims"],
        factors: Float[Tensor, " points"],
        moving: Argument,
        values: Float[Tensor, " points"] | None = None,
        slopes: bool = False,
    ) -> Seen:
        """What is differentiated at points.

        Args:
            points: The coordinates.
            factors: The sizes of the derivatives of unknowns.
            moving: Which argument takes other values.
            values: These, if any.
            slopes: Whether the partials are wanted.

        Raises:
            ProblemError: Where the user's function fails.
        """
        at = dict(zip(self.coordinates, points.unbind(1), strict=True))
        if isinstance(moving, str) and values is not None:
            at[moving] = values

        def supply(leaf: Leaf) -> Tensor:
            if leaf not in self.leaves:
                drawn = torch.rand(1, generator=self._generator, dtype=torch.float64)
                self.leaves[leaf] = 0.25 + 0.5 * float(drawn)
            if leaf == moving and values is not None:
                return values
            return self.leaves[leaf] * factors

        coordinates = {x: v.detach().clone().requires_grad_() for x, v in at.items()}
        normal: dict[str, Tensor] | None = None
        if self._normal is not None:
            normal = {x: factors.new_tensor(part) for x, part in self._normal.items()}
        rule = Rule(*FEW_NODES)
        leaves = _Observed(coordinates, self._space, supply, normal, self._extent, rule)
        leaves.elsewhere.followed = False
        leaves.seen = []
        with Switching(len(points)) as switches:
            rows_of(self._function, self.name, self._arguments, self._unknowns, leaves)
        by = coordinates.get(moving) if isinstance(moving, str) else leaves.tensors.get(moving)
        expressions = [e.expand(len(points)) for _, e in leaves.seen]
        partials = [_slope(e, by) for e in expressions] if slopes else []
        sides = [side.values for side in switches.sides]
        empty = points.new_zeros(len(points), 0)
        return Seen(
            tuple(axis for axis, _ in leaves.seen),
            torch.stack(expressions, 1).detach() if expressions else empty,
            torch.stack(partials, 1) if partials else empty,
            torch.stack(sides, 1) if sides else empty,
            tuple(side.operation for side in switches.sides),
        )


def _slope(expression: Tensor, by: Tensor | None) -> Tensor:
    """The partial as autograd has it, zero where it has none."""
    found = None
    if by is not None and expression.requires_grad:
        # An operation without a slope raises; it has none.
        with suppress(RuntimeError):
            (found,) = torch.autograd.grad(
                expression.sum(), by, allow_unused=True, retain_graph=True
            )
    return expression.new_zeros(len(expression)) if found is None else found.detach()
