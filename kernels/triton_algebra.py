# ruff: noqa: RUF005 -- Triton joins tuples by +, and unpacks none
# mypy: disable-error-code="assignment"
"""The Taylor algebra of jets and the splines of one interval, as Triton functions: what the kernels
of triton_*.py are made of.

A jet is a tuple of tensors of one shape, one for every channel in the order of taylor.py; `counts`
and `width` = degree + 1 are known when a kernel is compiled, so no loop over channels, orders or
powers is left in it. The formulas are those of README.md. Numbers keep the type of the tensors:
every constant here is a small whole number, exact in float32 and float64.

Functions that Triton compiles are annotated for Triton only: tensors have no annotation, constants
are tl.constexpr.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
import triton
import triton.language as tl
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


class TritonModeError(ImportError):
    """Triton was imported as a compiler where its interpreter is asked for."""


INTERPRETED = not isinstance(tl.sum, triton.JITFunction)
"""Whether kernels run in Triton's interpreter, on the CPU: decided by TRITON_INTERPRET when Triton
is first imported."""

if bool(triton.knobs.runtime.interpret) is not INTERPRETED:
    raise TritonModeError(
        "TRITON_INTERPRET: changed after triton was imported; expected the same value from the"
        " start of the process"
    )


def on_its_device(function: Callable[P, R]) -> Callable[P, R]:
    """The function, run where its first tensor is: Triton launches on the current device, whichever
    that is."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        first = next(x for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
        with torch.cuda.device_of(first):
            return function(*args, **kwargs)

    return guarded


@triton.constexpr_function
def order_of(counts):
    """The highest order."""
    return len(counts)


@triton.constexpr_function
def size_of(counts):
    """Number of channels."""
    return 1 + sum(counts)


@triton.constexpr_function
def many(counts, order):
    """Number of channels of an order."""
    return 1 if order == 0 else counts[order - 1] if order <= len(counts) else 0


@triton.constexpr_function
def channel(counts, order, direction=0):
    """Where the coefficient of an order and a direction is in a jet."""
    return 0 if order == 0 else 1 + sum(counts[: order - 1]) + direction


@triton.constexpr_function
def reaches(counts, order):
    """The highest order that direction 0, 1, … of `order` goes on to: as a tuple by direction."""
    return tuple(sum(d < n for n in counts) for d in range(many(counts, order)))


@triton.jit
def locate(x, breaks, grid, steps):
    """The interval of x: how many of the inner breaks are at most x. breaks: where those of x's
    input begin; 2**steps >= grid. nan is in the last."""
    cell = tl.zeros_like(x).to(tl.int32)
    for i in range(steps):
        further = cell + (1 << (steps - 1 - i))
        inside = further < grid
        left = x < tl.load(breaks + further, mask=inside, other=0.0)
        cell = tl.where(inside & (left == 0), further, cell)
    return cell


@triton.jit
def scaled(x, factor):
    """The coefficients of order 1 and higher times a factor; the value is left as it is, and never
    read again."""
    found = (x[0],)
    for c in tl.static_range(1, len(x)):
        found = found + (x[c] * factor,)
    return found


@triton.jit
def powers(x, counts: tl.constexpr):
    """δ^1 … δ^order of a jet, one after the other: channel c of δ^ν is entry (ν - 1) channels + c.
    Below order ν nothing is meant."""
    size: tl.constexpr = size_of(counts)
    found = x
    for nu in tl.static_range(2, order_of(counts) + 1):
        row = ()
        for c in tl.static_range(channel(counts, nu)):
            row = row + (x[c],)
        for k in tl.static_range(nu, order_of(counts) + 1):
            for d in tl.static_range(many(counts, k)):
                total = (
                    x[channel(counts, 1, d)] * found[(nu - 2) * size + channel(counts, k - 1, d)]
                )
                for j in tl.static_range(2, k - nu + 2):
                    total += (
                        x[channel(counts, j, d)]
                        * found[(nu - 2) * size + channel(counts, k - j, d)]
                    )
                row = row + (total,)
        found = found + row
    return found


@triton.jit
def taylor(a, tau, order: tl.constexpr):
    """Taylor coefficients 0 … order at τ of the polynomial Σ_s a_s τ^s, by repeated synthetic
    division."""
    found = ()
    w = a
    for nu in tl.static_range(order + 1):
        if nu < len(a):
            divided = (w[len(a) - 1 - nu],)
            for s in tl.static_range(1, len(a) - nu):
                divided = (w[len(a) - 1 - nu - s] + tau * divided[0],) + divided
            found = found + (divided[0],)
            w = ()
            for s in tl.static_range(1, len(a) - nu):
                w = w + (divided[s],)
        else:
            found = found + (tl.zeros_like(a[0]),)
    return found


@triton.jit
def compose(f, delta, counts: tl.constexpr):
    """The jet of f∘x, from Taylor coefficients f_0 … f_order and the powers of x."""
    size: tl.constexpr = size_of(counts)
    found = (f[0],)
    for k in tl.static_range(1, order_of(counts) + 1):
        for d in tl.static_range(many(counts, k)):
            total = f[1] * delta[channel(counts, k, d)]
            for nu in tl.static_range(2, k + 1):
                total += f[nu] * delta[(nu - 1) * size + channel(counts, k, d)]
            found = found + (total,)
    return found


@triton.jit
def moments(lift, delta, counts: tl.constexpr):
    """H_ν = Σ_c δ^ν_c L_c, ν = 0 … order, from the adjoint L of a jet f∘x."""
    size: tl.constexpr = size_of(counts)
    found = (lift[0],)
    for nu in tl.static_range(1, order_of(counts) + 1):
        total = lift[channel(counts, nu)] * delta[(nu - 1) * size + channel(counts, nu)]
        for c in tl.static_range(channel(counts, nu) + 1, size):
            total += lift[c] * delta[(nu - 1) * size + c]
        found = found + (total,)
    return found


@triton.jit
def correlate(f, lift, H, delta, counts: tl.constexpr):
    """The adjoint of the jet x in f∘x, from Taylor coefficients f_0 … f_{order+1}, the adjoint of
    f∘x, and its moments H."""
    size: tl.constexpr = size_of(counts)
    total = f[1] * H[0]
    for nu in tl.static_range(1, order_of(counts) + 1):
        total += (nu + 1) * f[nu + 1] * H[nu]
    found = (total,)
    slope = (f[1],)  # of f', by channel; those of the highest order are never needed
    for k in tl.static_range(1, order_of(counts)):
        for d in tl.static_range(many(counts, k)):
            total = 2 * f[2] * delta[channel(counts, k, d)]
            for nu in tl.static_range(3, k + 2):
                total += nu * f[nu] * delta[(nu - 2) * size + channel(counts, k, d)]
            slope = slope + (total,)
    for low in tl.static_range(1, order_of(counts) + 1):
        for d in tl.static_range(many(counts, low)):
            total = lift[channel(counts, low, d)] * slope[0]
            for k in tl.static_range(low + 1, reaches(counts, low)[d] + 1):
                total += lift[channel(counts, k, d)] * slope[channel(counts, k - low, d)]
            found = found + (total,)
    return found


@triton.jit
def add(a, b):
    """Sums of two tuples, entry by entry."""
    found = ()
    for c in tl.static_range(len(a)):
        found = found + (a[c] + b[c],)
    return found


@triton.jit
def columns(a):
    """Each tensor as a column, [..., 1]."""
    found = ()
    for c in tl.static_range(len(a)):
        found = found + (tl.expand_dims(a[c], -1),)
    return found


@triton.jit
def load_all(start, stride, mask, count: tl.constexpr):
    """A tuple of `count` tensors at start, start + stride, …; zero where the mask is not set."""
    found = ()
    for c in tl.static_range(count):
        found = found + (tl.load(start + c * stride, mask=mask, other=0.0),)
    return found


@triton.jit
def dot(a, b, total):
    """total + a b on tensor cores, in the type of `total`: in float32 by three products of parts,
    which keep its digits."""
    return tl.dot(a, b, total, input_precision="tf32x3", out_dtype=total.dtype)
