"""Where the operations of a function switch: comparisons, choices, roundings, signs, and the bends
of `abs`, `relu`, `maximum` and `clamp`.

Each such operation has a *side*, a number a point that stays the same until it switches. Sides that
differ at two points say that there is a switch between them, however near to each other two
switches lie, where values alone would have to be sampled finely. What is computed by other means,
such as a table of the user's own, has no side and is found by its values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

ROUNDINGS = {
    aten.floor.default: "floor",
    aten.ceil.default: "ceil",
    aten.round.default: "round",
    aten.trunc.default: "trunc",
    aten.sign.default: "sign",
    aten.sgn.default: "sign",
    aten.heaviside.default: "heaviside",
    aten.floor_divide.default: "//",
    aten.div.Tensor_mode: "div",
    aten.div.Scalar_mode: "div",
}
"""Operations whose values are constant but for jumps."""

REMAINDERS = {
    aten.remainder.Scalar: "%",
    aten.remainder.Tensor: "%",
    aten.fmod.Scalar: "fmod",
    aten.fmod.Tensor: "fmod",
}
"""What is left of the first argument when multiples of the second are taken from it."""

BENDS = {
    aten.abs.default: "abs",
    aten.relu.default: "relu",
    aten.leaky_relu.default: "leaky_relu",
    aten.threshold.default: "threshold",
}
"""Operations that bend, or jump, where their argument is zero (or passes the threshold)."""

LARGER_OR_SMALLER = {
    aten.maximum.default: "maximum",
    aten.minimum.default: "minimum",
    aten.fmax.default: "fmax",
    aten.fmin.default: "fmin",
}
"""One of two arguments."""

CLAMPS = {
    aten.clamp.default: "clamp",
    aten.clamp.Tensor: "clamp",
    aten.clamp_min.default: "clamp",
    aten.clamp_max.default: "clamp",
    aten.hardtanh.default: "hardtanh",
}
"""The first argument, or a bound of it."""

COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
"""How code writes an operation whose values are true or false."""


@dataclass(frozen=True)
class Side:
    """On which side of its switches an operation is.

    Attributes:
        operation: As code writes it, such as "<" or "floor".
        values: A number a point, [points].
    """

    operation: str
    values: Tensor


class _Sides:
    """What `Switching` does with each operation; apart, for the reason that `_Watch` has."""

    def __init__(self, points: int) -> None:
        super().__init__()
        self.sides: list[Side] = []
        self._points = points

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, Tensor):
            side = _side(func, args, found)
            if side is not None and side[1].ndim and len(side[1]) == self._points:
                values = side[1].detach().double().reshape(self._points, -1)
                # Sides of several values a point are one number; which one does not matter.
                factors = torch.arange(1, values.shape[1] + 1, dtype=values.dtype).sqrt()
                self.sides.append(Side(side[0], values @ factors))
        return found


class Switching(_Sides, TorchDispatchMode):
    """While it is active: the sides of all operations that switch, in their order.

    Args:
        points: How many points the function is evaluated at.

    Attributes:
        sides: What was found.
    """


def _side(func: Any, args: Any, found: Tensor) -> tuple[str, Tensor] | None:
    """The name and the side of one operation, or None where it has none."""
    if func in ROUNDINGS:
        return ROUNDINGS[func], found
    if func in REMAINDERS:
        return REMAINDERS[func], ((args[0] - found) / args[1]).round()
    if func in BENDS:
        return BENDS[func], args[0] > (args[1] if func is aten.threshold.default else 0)
    if func in LARGER_OR_SMALLER:
        return LARGER_OR_SMALLER[func], args[0] > args[1]
    if func in CLAMPS:
        return CLAMPS[func], (found > args[0]).int() - (found < args[0]).int()
    if not found.is_floating_point() and not found.is_complex():
        name = func.overloadpacket.__name__
        return COMPARISONS.get(name, "an index" if name == "_to_copy" else name), found
    return None
