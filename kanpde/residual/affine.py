"""Whether a residual is affine in the derivatives, r = r₀(x) + Σ_α g_α(x) u_α: read off the
operations of a dry run.

Then its partials g depend on the point alone, and need not be computed again when the network has
changed. It is no guess from values: whatever is done to a derivative, or to what was computed from
one, must be among the operations below.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from kanpde.residual.calculus import Leaf, Leaves

aten = torch.ops.aten

LINEAR_OPERATIONS = {
    aten.add.Tensor,
    aten.sub.Tensor,
    aten.rsub.Scalar,
    aten.neg.default,
    aten.sum.default,
    aten.sum.dim_IntList,
    aten.expand.default,
    aten.view.default,
    aten.alias.default,
    aten.select.int,
    aten.clone.default,
    aten._unsafe_view.default,
}
"""Linear in all of their tensors together."""

BILINEAR_OPERATIONS = {aten.mul.Tensor, aten.div.Tensor, aten.where.self}
"""Linear in some of their tensors while the others, by place below, do not depend on a
derivative."""

OPERATIONS_ON_SHAPES = {aten.ones_like.default, aten.zeros_like.default}
"""What they give does not depend on their tensor's values."""


class _Watch:
    """What `Operations` does with each operation.

    It stands in a class of its own because a TorchDispatchMode hides a `__torch_dispatch__` that it
    defines itself from torch's compiler, which imports that: it takes longer than a dry run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.affine = True
        # By the address of their storage, which views share. They are kept, so that no address is
        # used twice.
        self._dependent: dict[int, Tensor] = {}

    def depends(self, x: Tensor) -> bool:
        """Whether it was computed from a derivative."""
        return x.untyped_storage().data_ptr() in self._dependent

    def watch(self, x: Tensor) -> None:
        """This one depends on a derivative."""
        self._dependent[x.untyped_storage().data_ptr()] = x

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        touched = [
            any(self.depends(x) for x in _tensors(a)) for a in (*args, *(kwargs or {}).values())
        ]
        if any(touched) and func not in OPERATIONS_ON_SHAPES:
            self.affine &= func in LINEAR_OPERATIONS or (
                func in BILINEAR_OPERATIONS and _one_is_fixed(func, touched)
            )
            for x in _tensors(found):
                self.watch(x)
        return found


class Operations(_Watch, TorchDispatchMode):
    """While it is active: which tensors depend on a derivative, and whether all of them are affine
    in the derivatives.

    Attributes:
        affine: Whether everything so far is.
    """


class UseWatched(TorchFunctionMode):
    """While it is active: whether anything is done with a tensor.

    Attributes:
        used: Whether anything was.
    """

    def __init__(self, tensor: Tensor):
        super().__init__()
        self._tensor, self.used = tensor, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = (*args, *(kwargs or {}).values())
        self.used |= any(x is self._tensor for a in given for x in _tensors(a))
        return func(*args, **(kwargs or {}))


class Watched(Leaves):
    """Leaves that tell Operations which tensors they are.

    Args:
        operations: Who is told.
        *given: The arguments of Leaves.
    """

    def __init__(self, operations: Operations, *given: Any):
        super().__init__(*given)
        self._operations = operations
        self.elsewhere.observe = operations.watch

    def __getitem__(self, leaf: Leaf) -> Tensor:
        found = super().__getitem__(leaf)
        self._operations.watch(found)
        return found


def _one_is_fixed(func: Any, touched: list[bool]) -> bool:
    if func is aten.mul.Tensor:
        return not (touched[0] and touched[1])
    # The denominator of a quotient, the condition of a choice.
    return not touched[1 if func is aten.div.Tensor else 0]


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)
