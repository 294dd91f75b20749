"""Activations on jets in plain PyTorch: y = (f(x) - center) / scale, unit by unit, for f = tanh,
sin or SiLU.

X and the adjoint L of Y are [points, channels, units]; center and scale [units]. The adjoint of X
is a correlation with the jet of f' (see README.md).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kanpde.kernels.taylor import Counts, compose, correlate


def sine_taylor(x: Tensor, order: int, phase: float = 0.0) -> list[Tensor]:
    """Taylor coefficients f^(ν)(x)/ν! of sin(x + phase), ν = 0 … order."""
    s, c = torch.sin(x + phase), torch.cos(x + phase)
    return [(s, c, -s, -c)[nu % 4] / math.factorial(nu) for nu in range(order + 1)]


def tanh_taylor(x: Tensor, order: int) -> list[Tensor]:
    """Taylor coefficients f^(ν)(x)/ν! of tanh, ν = 0 … order, from f' = 1 - f²."""
    f = [torch.tanh(x)]
    for nu in range(order):
        square = sum((f[i] * f[nu - i] for i in range(nu + 1)), torch.zeros_like(x))
        f.append((float(nu == 0) - square) / (nu + 1))
    return f


def silu_taylor(x: Tensor, order: int) -> list[Tensor]:
    """Taylor coefficients f^(ν)(x)/ν! of x σ(x), ν = 0 … order, from σ' = σ - σ²."""
    s = [torch.sigmoid(x)]
    for nu in range(order):
        square = sum((s[i] * s[nu - i] for i in range(nu + 1)), torch.zeros_like(x))
        s.append((s[nu] - square) / (nu + 1))
    return [x * s[nu] + (s[nu - 1] if nu else 0) for nu in range(order + 1)]


TAYLOR = {"tanh": tanh_taylor, "sin": sine_taylor, "silu": silu_taylor}

COMPILED = ("tanh", "sin")
"""Those that the compiled paths know; the others are computed here on every path."""


def forward(kind: str, X: Tensor, center: Tensor, scale: Tensor, counts: Counts) -> Tensor:
    """The output jet."""
    f = TAYLOR[kind](X[:, 0], len(counts))
    return compose([(f[0] - center) / scale, *(nth / scale for nth in f[1:])], X, counts)


def adjoint(kind: str, L: Tensor, X: Tensor, scale: Tensor, counts: Counts) -> Tensor:
    """The adjoint of the input jet."""
    f = TAYLOR[kind](X[:, 0], len(counts) + 1)
    slopes = [nu * nth / scale for nu, nth in enumerate(f)][1:]
    return correlate(L, compose(slopes, X, counts), counts)
