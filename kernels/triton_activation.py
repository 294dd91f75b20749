# ruff: noqa: RUF005 -- Triton joins tuples by +, and unpacks none
# mypy: disable-error-code="assignment"
"""Activations on jets in Triton: the functions of activation.py, for GPUs. One number a thread, all
of its channels in registers."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kanpde.kernels.taylor import Counts
from kanpde.kernels.triton_algebra import (
    compose,
    correlate,
    load_all,
    moments,
    on_its_device,
    order_of,
    powers,
    size_of,
)
from kanpde.kernels.triton_pieces import UNSPECIALISED


@triton.jit
def tanh(x):
    """tanh, to a few last digits of its type: Lambert's continued fraction, cut after seven levels,
    up to 1/2; beyond it by the exponential."""
    z = x * x
    above = x * (135135 + z * (17325 + z * (378 + z)))
    below = 135135 + z * (62370 + z * (3150 + z * 28))
    e = tl.exp(-2 * tl.abs(x))
    far = (1 - e) / (1 + e)
    return tl.where(tl.abs(x) < 0.5, above / below, tl.where(x < 0, -far, far))


@triton.jit
def activation_taylor(x, kind: tl.constexpr, order: tl.constexpr):
    """Taylor coefficients 0 … order of tanh (from f' = 1 - f²) or of the sine at x."""
    if kind == "tanh":
        found = (tanh(x),)
        for nu in tl.static_range(order):
            total = found[0] * found[nu]
            for i in tl.static_range(1, nu + 1):
                total += found[i] * found[nu - i]
            found = found + ((1 - total if nu == 0 else -total / (nu + 1)),)
    else:
        found = (tl.sin(x),)
        if order > 0:
            found = found + (tl.cos(x),)
        for nu in tl.static_range(2, order + 1):
            found = found + (-found[nu - 2] / (nu * (nu - 1)),)
    return found


@triton.jit
def over(f, scale):
    """Each of a tuple divided by scale."""
    found = ()
    for nu in tl.static_range(len(f)):
        found = found + (f[nu] / scale,)
    return found


@triton.jit
def activate(x, center, scale, kind: tl.constexpr, counts: tl.constexpr):
    """The jet of (f(x) - center) / scale."""
    y = compose(
        over(activation_taylor(x[0], kind, order_of(counts)), scale), powers(x, counts), counts
    )
    found = (y[0] - center / scale,)
    for c in tl.static_range(1, size_of(counts)):
        found = found + (y[c],)
    return found


@triton.jit
def activate_adjoint(lift, x, scale, kind: tl.constexpr, counts: tl.constexpr):
    """The adjoint of x."""
    delta = powers(x, counts)
    return correlate(
        over(activation_taylor(x[0], kind, order_of(counts) + 1), scale),
        lift,
        moments(lift, delta, counts),
        delta,
        counts,
    )


@triton.jit(do_not_specialize=UNSPECIALISED)
def _forward(
    X,
    center,
    scale,
    Y,
    points,
    units,
    counts: tl.constexpr,
    kind: tl.constexpr,
    block: tl.constexpr,
):
    size: tl.constexpr = size_of(counts)
    entry = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    n, u = entry // units, entry % units
    alive = n < points
    at = n * (size * units) + u
    y = activate(
        load_all(X + at, units, alive, size), tl.load(center + u), tl.load(scale + u), kind, counts
    )
    for c in tl.static_range(size):
        tl.store(Y + at + c * units, y[c], mask=alive)


@triton.jit(do_not_specialize=UNSPECIALISED)
def _adjoint(
    L,
    X,
    scale,
    inward,
    points,
    units,
    counts: tl.constexpr,
    kind: tl.constexpr,
    block: tl.constexpr,
):
    size: tl.constexpr = size_of(counts)
    entry = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    n, u = entry // units, entry % units
    alive = n < points
    at = n * (size * units) + u
    found = activate_adjoint(
        load_all(L + at, units, alive, size),
        load_all(X + at, units, alive, size),
        tl.load(scale + u),
        kind,
        counts,
    )
    for c in tl.static_range(size):
        tl.store(inward + at + c * units, found[c], mask=alive)


BLOCK = 256


@on_its_device
def forward(kind: str, X: Tensor, center: Tensor, scale: Tensor, counts: Counts) -> Tensor:
    """As activation.forward."""
    X, Y = X.contiguous(), torch.empty_like(X, memory_format=torch.contiguous_format)
    if X.numel():
        shape = (triton.cdiv(len(X) * X.shape[2], BLOCK),)
        _forward[shape](
            X,
            center.contiguous(),
            scale.contiguous(),
            Y,
            len(X),
            X.shape[2],
            counts=tuple(counts),
            kind=kind,
            block=BLOCK,
        )
    return Y


@on_its_device
def adjoint(kind: str, L: Tensor, X: Tensor, scale: Tensor, counts: Counts) -> Tensor:
    """As activation.adjoint."""
    X, inward = X.contiguous(), torch.empty_like(X, memory_format=torch.contiguous_format)
    if X.numel():
        shape = (triton.cdiv(len(X) * X.shape[2], BLOCK),)
        _adjoint[shape](
            L.contiguous(),
            X,
            scale.contiguous(),
            inward,
            len(X),
            X.shape[2],
            counts=tuple(counts),
            kind=kind,
            block=BLOCK,
        )
    return inward
