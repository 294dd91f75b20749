"""Activations on jets for CPUs, compiled by Numba: the formulas of activation.py with vectors over
the units.

tanh is computed in registers, with the rest (see vector_activation.py); sine and cosine come from
torch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from kanpde.kernels.compiled import compiled
from kanpde.kernels.taylor import Counts
from kanpde.kernels.threads import array, deal
from kanpde.kernels.vector_activation import activate, activate_adjoint
from kanpde.kernels.vectors import LANES

POINTS = 512
"""Points that are worth a thread of their own."""


@compiled
def forward_points(X, sine, cosine, center, factor, counts, begin, end, Y):
    _, channels, units = X.shape
    x, y = X.reshape(-1), Y.reshape(-1)
    for n in range(begin, end):
        for v in range(0, units, LANES):
            u = min(v, units - LANES)  # the last vector begins earlier, and repeats
            at = n * channels * units + u
            activate(sine, cosine, n * units + u, x, at, units, center, factor, u, y, counts)


@compiled
def adjoint_points(L, X, sine, cosine, factor, counts, begin, end, inward):
    _, channels, units = X.shape
    x, lift, found = X.reshape(-1), L.reshape(-1), inward.reshape(-1)
    for n in range(begin, end):
        for v in range(0, units, LANES):
            u = min(v, units - LANES)
            at = n * channels * units + u
            activate_adjoint(
                sine, cosine, n * units + u, x, at, units, lift, factor, u, found, counts
            )


def forward(kind: str, X: Tensor, center: Tensor, scale: Tensor, counts: Counts) -> Tensor:
    """As activation.forward."""
    x, middle, factor = _filled(X, center, 1 / scale)
    return _by_points(
        forward_points, X, (array(x), *_values(kind, x), array(middle), array(factor)), counts, x
    )


def adjoint(kind: str, L: Tensor, X: Tensor, scale: Tensor, counts: Counts) -> Tensor:
    """As activation.adjoint."""
    lift, x, factor = _filled(L, X, 1 / scale)
    return _by_points(
        adjoint_points, X, (array(lift), array(x), *_values(kind, x), array(factor)), counts, x
    )


def _by_points(
    work: Callable[..., None], X: Tensor, given: tuple, counts: Counts, filled: Tensor
) -> Tensor:
    found = torch.empty_like(filled, memory_format=torch.contiguous_format)
    layout, target = tuple((0,) * count for count in counts), found.numpy()
    deal(lambda begin, end: work(*given, layout, begin, end, target), len(X), POINTS)
    return found if filled.shape == X.shape else found[:, :, : X.shape[2]].contiguous()


def _filled(*by_unit: Tensor) -> list[Tensor]:
    """The same with at least as many units as a vector holds."""
    missing = LANES - by_unit[0].shape[-1]
    return [pad(x, (0, missing)) for x in by_unit] if missing > 0 else list(by_unit)


def _values(kind: str, x: Tensor) -> tuple[np.ndarray, np.ndarray] | tuple[float, float]:
    """Sine and cosine of the values, flat; numbers in place of both say tanh."""
    return (
        (0.0, 0.0)
        if kind == "tanh"
        else (array(torch.sin(x[:, 0])).reshape(-1), array(torch.cos(x[:, 0])).reshape(-1))
    )
