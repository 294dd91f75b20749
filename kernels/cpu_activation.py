"""Activations on jets for CPUs: the formulas of activation.py on tiles of points, with the function's own values by torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kanpde.kernels.compiled import TILE, compiled
from kanpde.kernels.taylor import Counts
from kanpde.kernels.threads import array, deal, offsets_of
from kanpde.kernels.tiles import add_composed, add_products, add_value_adjoint, correlated, load_powers, moments

POINTS = 512
"""Points that are worth a thread of their own."""


@compiled
def _taylor_of(a, b, order, w):
    """Taylor coefficients of tanh from its values a (b empty), or of sin from a and the cosines b, [points, units] each, into w."""
    for nu in range(1, order + 1):
        if len(b):
            for i in range(TILE):
                w[nu, i] = b[i] if nu == 1 else -w[nu - 2, i] / (nu * (nu - 1))
        else:
            for i in range(TILE):
                w[nu, i] = 1 if nu == 1 else 0
            for j in range(nu):
                for i in range(TILE):
                    w[nu, i] -= w[j, i] * w[nu - 1 - j, i]
            for i in range(TILE):
                w[nu, i] /= nu


@compiled
def _load(values, first, unit, target):
    last = len(values) - 1
    for i in range(len(target)):
        target[i] = values[min(first + i, last), unit]


@compiled
def _forward_points(X, a, b, center, scale, offsets, begin, end, Y):
    order, channels = len(offsets) - 2, X.shape[1]
    powers, w, ones = np.empty((order + 1, channels, TILE), X.dtype), np.empty((order + 2, TILE), X.dtype), np.ones(TILE, X.dtype)
    cosine, sums = np.empty(TILE if len(b) else 0, X.dtype), np.empty((channels, TILE), X.dtype)
    for first in range(begin, end, TILE):
        for unit in range(X.shape[2]):
            load_powers(X, first, unit, offsets, ones, powers)
            _load(a, first, unit, w[0])
            _load(b, first, unit, cosine)
            _taylor_of(w[0], cosine, order, w)
            sums[:] = 0
            add_composed(w, powers, offsets, sums)
            for i in range(TILE):
                sums[0, i] -= center[unit]
            for i in range(min(TILE, end - first)):
                for c in range(channels):
                    Y[first + i, c, unit] = sums[c, i] / scale[unit]


@compiled
def _adjoint_points(L, X, a, b, scale, offsets, begin, end, inward):
    order, channels = len(offsets) - 2, X.shape[1]
    powers, w, ones = np.empty((order + 1, channels, TILE), X.dtype), np.empty((order + 2, TILE), X.dtype), np.ones(TILE, X.dtype)
    cosine, value = np.empty(TILE if len(b) else 0, X.dtype), np.empty(TILE, X.dtype)
    lift, H, S = np.empty((channels, TILE), X.dtype), np.empty((order + 1, TILE), X.dtype), np.empty((order + 1, channels, TILE), X.dtype)
    for first in range(begin, end, TILE):
        valid = min(TILE, end - first)
        for unit in range(X.shape[2]):
            for i in range(TILE):
                for c in range(channels):
                    lift[c, i] = L[min(first + i, len(X) - 1), c, unit] / scale[unit]
            load_powers(X, first, unit, offsets, ones, powers)
            _load(a, first, unit, w[0])
            _load(b, first, unit, cosine)
            _taylor_of(w[0], cosine, order + 1, w)
            S[:] = 0
            value[:] = 0
            moments(lift, powers, offsets, H)
            add_value_adjoint(w, H, value)
            add_products(w, lift, offsets, S)
            for i in range(valid):
                inward[first + i, 0, unit] = value[i]
            for low in range(1, order + 1):
                for direction in range(offsets[low + 1] - offsets[low]):
                    correlated(S, powers, offsets, low, direction, value)
                    for i in range(valid):
                        inward[first + i, offsets[low] + direction, unit] = value[i]


def forward(kind: str, X: Tensor, center: Tensor, scale: Tensor, counts: Counts) -> Tensor:
    """As activation.forward."""
    Y = torch.empty_like(X, memory_format=torch.contiguous_format)
    given, y = (array(X), *_values(kind, X), array(center), array(scale), offsets_of(counts)), Y.numpy()
    deal(lambda begin, end: _forward_points(*given, begin, end, y), len(X), POINTS)
    return Y


def adjoint(kind: str, L: Tensor, X: Tensor, scale: Tensor, counts: Counts) -> Tensor:
    """As activation.adjoint."""
    inward = torch.empty_like(X, memory_format=torch.contiguous_format)
    given, x = (array(L), array(X), *_values(kind, X), array(scale), offsets_of(counts)), inward.numpy()
    deal(lambda begin, end: _adjoint_points(*given, begin, end, x), len(X), POINTS)
    return inward


def _values(kind: str, X: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The function at the values, and for sin the cosines there."""
    x = X[:, 0]
    return (array(torch.tanh(x)), np.empty((0, 0), array(x).dtype)) if kind == "tanh" else (array(torch.sin(x)), array(torch.cos(x)))
