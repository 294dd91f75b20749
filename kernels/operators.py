"""How a kernel becomes an operator of torch: `torch.ops.kanpde.<name>`, with what it returns for
tensors without data and with its adjoint.

`torch.library.custom_op` does the same, but imports torch's compiler (a second and more) when an
operator is called for the first time, compiled or not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

_LIBRARY = torch.library.Library("kanpde", "FRAGMENT")


def operator(
    fake: Callable[..., Any],
    backward: Callable[..., Any] | None = None,
    setup_context: Callable[..., None] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a function of tensors under its own name, and return the operator in its place.

    Args:
        fake: Takes the same arguments, and returns tensors of the same shapes as the function,
            whatever is in them.
        backward: The adjoint, as of a `torch.autograd.Function`. Without it, differentiating
            raises RuntimeError.
        setup_context: Keeps what the adjoint needs.

    Returns:
        A decorator. The function must return new tensors: none of its arguments, and no views of
        them.
    """

    def register(function: Callable[P, R]) -> Callable[P, R]:
        name = function.__name__
        schema = torch.library.infer_schema(function, mutates_args=())
        _LIBRARY.define(name + schema, tags=(torch.Tag.pt2_compliant_tag,))
        _LIBRARY.impl(name, _eager(function), "CompositeExplicitAutograd")
        torch.library.register_fake(f"kanpde::{name}", fake, lib=_LIBRARY)
        torch.library.register_autograd(
            f"kanpde::{name}", backward or _refusal(name), setup_context=setup_context, lib=_LIBRARY
        )
        registered = getattr(torch.ops.kanpde, name).default
        registered.__doc__ = function.__doc__
        return registered  # type: ignore[no-any-return]

    return register


def _eager(function: Callable[P, R]) -> Callable[P, R]:
    """The function, into which torch's compiler does not look."""
    hidden: list[Callable[P, R]] = []

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        # Nothing is compiled before the compiler has been imported, and it takes long to import.
        if not hidden:
            if "torch._dynamo" not in sys.modules:
                return function(*args, **kwargs)
            hidden.append(torch.compiler.disable(function))
        return hidden[0](*args, **kwargs)

    return run


def _refusal(name: str) -> Callable[..., Any]:
    def refuse(ctx: Any, *adjoints: Any) -> Any:
        raise RuntimeError(f"kanpde.{name} has no autograd formula: it cannot be differentiated")

    return refuse
