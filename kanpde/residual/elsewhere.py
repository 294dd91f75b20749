"""Values of the unknowns at other places than the points of a residual: what integrals, means and
point values are made of.

A residual stays a function of one point at a time. Its integrals are sums over the nodes of a rule
of quadrature, and what it asks for there are further leaves, as many at every point: they are given
to it, and it has partials by them, as the derivatives at the point itself. So whoever supplies the
derivatives of an unknown at points supplies its integrals, and needs no other mechanism.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from kanpde.errors import ProblemError, listed, nearest

if TYPE_CHECKING:
    from kanpde.residual.calculus import Leaf

ROUNDED_OUT = 1e-9
"""Of the length of a coordinate, how far outside of it a place may be, by rounding."""

MARKED = 50_000_000
"""Points of a grid that are marked one by one, which is quicker than sorting."""

Extent = Mapping[str, tuple[float, float]]
"""Where the domain begins and ends, by coordinate."""

Supply = Callable[[int, "Leaf", tuple[int, int]], Tensor]
"""Values [each, points] of a leaf at the place of a number."""


@dataclass(frozen=True)
class Rule:
    """Gauss's rule on parts of an interval.

    Attributes:
        parts: Equal parts of any interval.
        points: Of each part.
        breaks: Ends of the parts by coordinate, in place of equal ones, of which those within an
            interval count.
    """

    parts: int = 12
    points: int = 10
    breaks: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def nodes(
        self, coordinate: str | None, low: Tensor, high: Tensor, many: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Nodes and weights on an interval at every point, [each, points].

        Args:
            coordinate: Along which it lies, if that is known.
            low: Where it begins, [points].
            high: Where it ends, [points].
            many: How many coordinates are integrated over at once, of which each has the fewer
                nodes, the more there are.
        """
        z, w = (torch.from_numpy(v).to(low) for v in np.polynomial.legendre.leggauss(self.points))
        known = self.breaks.get(coordinate or "")
        if known is None:
            share = torch.linspace(0, 1, max(1, self.parts // many) + 1).to(low)[:, None]
            ends = low + (high - low) * share
        else:
            fixed = low.new_tensor(known)[:, None].expand(-1, len(low))
            ends = torch.minimum(torch.maximum(fixed, low), high)
            ends = torch.cat([low[None], ends[1:-1], high[None]])
        half = ((ends[1:] - ends[:-1]) / 2)[:, None]
        middle = ((ends[1:] + ends[:-1]) / 2)[:, None]
        count = (-1, len(low))
        return (middle + half * z[:, None]).reshape(count), (half * w[:, None]).reshape(count)


@dataclass(frozen=True)
class Afar:
    """What a residual asks for at one of its other places.

    Attributes:
        moved: The coordinates in which the place differs from the point.
        leaves: The derivatives there.
    """

    moved: tuple[str, ...]
    leaves: tuple[Leaf, ...]


@dataclass(frozen=True, eq=False)
class OtherPlaces:
    """Other places, as many for every point.

    Attributes:
        at: All coordinates by name, [each, points].
        moved: Those in which the places differ from the points.
        tensors: What was asked for there, [each, points] by leaf.
    """

    at: Mapping[str, Tensor]
    moved: tuple[str, ...]
    tensors: dict[Leaf, Tensor] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """How many there are for a point, and how many points."""
        each, points = next(iter(self.at.values())).shape
        return each, points


class Elsewhere:
    """The other places at which one evaluation of a residual asks for values.

    Args:
        coordinates: Of the points, [points] by name.
        extent: Of the domain; None where places are not known to be in it.
        rule: Of quadrature.
        supply: Gives values at places.

    Attributes:
        places: Those that were asked for, in order.
        expressions: How many integrals of expressions there were.
        observe: Is told of every tensor of values at places.
        followed: Whether anybody wants to know what depends on these.
    """

    def __init__(
        self,
        coordinates: Mapping[str, Tensor],
        extent: Extent | None,
        rule: Rule,
        supply: Supply,
    ):
        self.coordinates, self.extent, self.rule = coordinates, extent, rule
        self._supply = supply
        self.places: list[OtherPlaces] = []
        self.expressions = 0
        self.observe: Callable[[Tensor], None] | None = None
        self.followed = True
        self._numbers: dict[tuple[tuple[str, object], ...], int] = {}
        self._leaf_of: dict[int, tuple[int, Leaf]] = {}
        self._kept: list[Tensor] = []
        self._variables: dict[int, str] = {}

    def place(self, moved: Mapping[str, Tensor | float]) -> int:
        """The number of the places at which some coordinates have other values.

        Args:
            moved: These values: numbers, [points], or [each, points], by coordinate.

        Raises:
            ProblemError: They lie outside of the domain.
        """
        if self.extent is None:
            raise ProblemError(
                "values at other places and integrals take domains that are a box, or a box and"
                " time"
            )
        key = tuple((x, id(v) if isinstance(v, Tensor) else float(v)) for x, v in moved.items())
        if key in self._numbers:
            return self._numbers[key]
        like = next(iter(self.coordinates.values()))
        wide = {x: self._wide(x, v, like) for x, v in moved.items()}
        self._kept += [v for v in moved.values() if isinstance(v, Tensor)]
        for x, v in wide.items():
            self._check_inside(x, v)
        each = max(len(v) for v in wide.values())
        at = {
            x: wide.get(x, v[None]).expand(each, len(like)).detach()
            for x, v in self.coordinates.items()
        }
        self.places.append(OtherPlaces(at, tuple(wide)))
        self._numbers[key] = len(self.places) - 1
        return len(self.places) - 1

    def value(self, place: int, leaf: Leaf) -> Tensor:
        """A leaf at a place, [each, points].

        Args:
            place: Its number.
            leaf: The unknown and how it is differentiated.
        """
        found = self.places[place].tensors
        if leaf not in found:
            values = self._supply(place, leaf, self.places[place].shape)
            found[leaf] = values.detach().clone().requires_grad_()
            self.mark(found[leaf], place, leaf)
            if self.observe:
                self.observe(found[leaf])
        return found[leaf]

    def mark(self, tensor: Tensor, place: int, leaf: Leaf) -> None:
        """Remember that a tensor is a leaf at a place."""
        self._leaf_of[id(tensor)] = place, leaf
        self._kept.append(tensor)

    def leaf_of(self, tensor: object) -> tuple[int, Leaf] | None:
        """Which leaf at which place a tensor is, if it is one."""
        return self._leaf_of.get(id(tensor))

    def name(self, variable: Tensor, coordinate: str) -> None:
        """Remember that a variable of integration stands for a coordinate."""
        self._variables[id(variable)] = coordinate
        self._kept.append(variable)

    def coordinate_of(self, variable: object) -> str | None:
        """The coordinate that a variable of integration stands for, if it is one."""
        return self._variables.get(id(variable))

    def reaches(self, expression: Tensor) -> bool:
        """Whether an expression depends on a value at another place."""
        inputs = [t for place in self.places for t in place.tensors.values()]
        if not inputs or not expression.requires_grad or not self.followed:
            return False
        return depends(expression, inputs)

    def bounds(self, coordinate: str, what: str) -> tuple[float, float]:
        """Where the domain begins and ends along a coordinate.

        Args:
            coordinate: Its name.
            what: What messages call whoever asks.

        Raises:
            ProblemError: The domain is no box, or has no such coordinate.
        """
        if self.extent is None:
            raise ProblemError(f"{what}: takes domains that are a box (or a box and time)")
        if coordinate not in self.extent:
            raise ProblemError(
                f"{what}: no coordinate {coordinate!r}; they are"
                f" {listed(self.extent)}{nearest(coordinate, self.extent)}"
            )
        return self.extent[coordinate]

    def _wide(self, x: str, value: object, like: Tensor) -> Tensor:
        """A coordinate of a place as [each, points]."""
        if isinstance(value, bool) or not isinstance(value, Tensor | int | float):
            raise ProblemError(
                f"u({x}=…): got {type(value).__name__}; expected a number or an expression of the"
                " coordinates"
            )
        found = value if isinstance(value, Tensor) else like.new_tensor(float(value))
        if found.ndim > 2 or (found.ndim and found.shape[-1] not in (1, len(like))):
            raise ProblemError(
                f"u({x}=…): got shape {list(found.shape)} for {len(like)} points; expected one"
                f" place a point, [{len(like)}]"
            )
        found = found.reshape(-1, found.shape[-1]) if found.ndim else found.reshape(1, 1)
        return found.expand(-1, len(like))

    def _check_inside(self, x: str, values: Tensor) -> None:
        if self.extent is None or x not in self.extent:
            return
        low, high = self.extent[x]
        slack = ROUNDED_OUT * (high - low)
        outside = (values < low - slack) | (values > high + slack)
        if bool(outside.any()):
            where = float(values[outside][0])
            raise ProblemError(
                f"u({x}={where:g}): outside of the domain, where {x} is from {low:g} to {high:g}"
            )


def depends(expression: Tensor, inputs: Sequence[Tensor]) -> bool:
    """Whether autograd knows that an expression depends on some of the inputs.

    Args:
        expression: Any.
        inputs: At least one.
    """
    if not expression.requires_grad or not torch.is_grad_enabled():
        return False
    # Whoever watches the operations of a residual is not to see these.
    with _disable_current_modes():
        found = torch.autograd.grad(expression.sum(), inputs, allow_unused=True, retain_graph=True)
    return any(g is not None for g in found)


def gathered(
    places: Sequence[OtherPlaces], coordinates: Sequence[str]
) -> list[tuple[Float[np.ndarray, "_different _dims"], Int[np.ndarray, "_each _points"]]]:
    """The different points of each of some places, [some, dims], and which of them belong to every
    place of every point, [each, points].

    Args:
        places: The places.
        coordinates: Names of the coordinates, in order.
    """
    found = []
    for place in places:
        columns = [_numbered(place.at[x].numpy()) for x in coordinates]
        code = np.zeros(place.shape, dtype=np.int64)
        for values, number in columns:
            code = code * len(values) + number
        sizes = [len(values) for values, _ in columns]
        if math.prod(sizes) <= MARKED:
            used = np.zeros(math.prod(sizes), dtype=bool)
            used[code] = True
            kept, which = np.flatnonzero(used), (np.cumsum(used) - 1)[code]
        else:
            kept, which = np.unique(code, return_inverse=True)
        indices = np.unravel_index(kept, sizes)
        ways = zip(columns, indices, strict=True)
        points = np.stack([v[i] for (v, _), i in ways], 1)
        found.append((points, which.reshape(place.shape)))
    return found


def _numbered(
    values: Float[np.ndarray, "each points"],
) -> tuple[Float[np.ndarray, " different"], Int[np.ndarray, "each points"]]:
    """The different ones of many values, and which of them each is; many are the same in all rows
    or in all columns."""
    if (values == values[:1]).all():
        few, number = np.unique(values[0], return_inverse=True)
        return few, np.broadcast_to(number, values.shape)
    if (values == values[:, :1]).all():
        few, number = np.unique(values[:, 0], return_inverse=True)
        return few, np.broadcast_to(number[:, None], values.shape)
    few, number = np.unique(values, return_inverse=True)
    return few, number.reshape(values.shape)
