"""Activations on jets for CPUs: the formulas of activation.py on tiles of points, with the function's own values by torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kanpde.kernels.compiled import TILE, compiled
from kanpde.kernels.taylor import Counts
from kanpde.kernels.threads import array, deal, offsets_of
from kanpde.kernels.tiles import add_composed, add_products, add_value_adjoint, correlated, fill_powers, load, moments, store

POINTS = 512
"""Points that are worth a thread of their own."""


@compiled
def _taylor_of(value, cosine, order, w):
    """Taylor coefficients of tanh from its values, or, where cosine [1, 1, TILE] is not empty, of sin from its values and these, into w."""
    for i in range(TILE):
        w[0, i] = value[i]
    for nu in range(1, order + 1):
        if len(cosine):
            factor = -1 / max(nu * (nu - 1), 1)
            for i in range(TILE):
                w[nu, i] = cosine[0, 0, i] if nu == 1 else factor * w[nu - 2, i]
        else:
            factor = -1 / nu
            for i in range(TILE):
                w[nu, i] = 1 if nu == 1 else 0
            for j in range(nu):
                for i in range(TILE):
                    w[nu, i] += factor * w[j, i] * w[nu - 1 - j, i]


@compiled
def _forward_points(X, a, b, center, scale, offsets, begin, end, Y):
    order, (_, channels, units) = len(offsets) - 2, X.shape
    powers, w, ones = np.empty((order + 1, channels, TILE), X.dtype), np.empty((order + 2, TILE), X.dtype), np.ones(TILE, X.dtype)
    x, sine, cosine = np.empty((units, channels, TILE), X.dtype), np.empty((units, 1, TILE), X.dtype), np.empty((len(b) and units, 1, TILE), X.dtype)
    for first in range(begin, end, TILE):
        load(X, first, x)
        load(a, first, sine)
        load(b, first, cosine)
        for u in range(units):
            fill_powers(x[u], offsets, ones, powers)
            _taylor_of(sine[u, 0], cosine[u : u + 1], order, w)
            x[u] = 0
            add_composed(w, powers, offsets, x[u])
            factor = 1 / scale[u]
            for i in range(TILE):
                x[u, 0, i] -= center[u]
            for c in range(channels):
                for i in range(TILE):
                    x[u, c, i] *= factor
        store(x, first, min(TILE, end - first), 0, Y)


@compiled
def _adjoint_points(L, X, a, b, scale, offsets, begin, end, inward):
    order, (_, channels, units) = len(offsets) - 2, X.shape
    powers, w, ones = np.empty((order + 1, channels, TILE), X.dtype), np.empty((order + 2, TILE), X.dtype), np.ones(TILE, X.dtype)
    x, sine, cosine = np.empty((units, channels, TILE), X.dtype), np.empty((units, 1, TILE), X.dtype), np.empty((len(b) and units, 1, TILE), X.dtype)
    lift, H, S = np.empty((units, channels, TILE), X.dtype), np.empty((order + 1, TILE), X.dtype), np.empty((order + 1, channels, TILE), X.dtype)
    for first in range(begin, end, TILE):
        load(X, first, x)
        load(L, first, lift)
        load(a, first, sine)
        load(b, first, cosine)
        for u in range(units):
            fill_powers(x[u], offsets, ones, powers)
            _taylor_of(sine[u, 0], cosine[u : u + 1], order + 1, w)
            factor = 1 / scale[u]
            for nu in range(order + 2):
                for i in range(TILE):
                    w[nu, i] *= factor
            S[:] = 0
            x[u, 0] = 0
            moments(lift[u], powers, offsets, H)
            add_value_adjoint(w, H, x[u, 0])
            add_products(w, lift[u], offsets, S)
            for low in range(1, order + 1):
                for direction in range(offsets[low + 1] - offsets[low]):
                    correlated(S, powers, offsets, low, direction, x[u, offsets[low] + direction])
        store(x, first, min(TILE, end - first), 0, inward)


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
    x = X[:, :1]
    return (array(torch.tanh(x)), array(x[:0])) if kind == "tanh" else (array(torch.sin(x)), array(torch.cos(x)))
