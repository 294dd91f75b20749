"""A whole spline network for CPUs: chunks of points go through all layers while their jets are in the cache.

Nothing is kept of the forward pass but its output; the adjoint of a chunk computes the jets of the hidden levels again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from kanpde.kernels import cpu, cpu_activation, network
from kanpde.kernels.compiled import compiled
from kanpde.kernels.cpu import BLOCK, Layer, Place
from kanpde.kernels.network import Tensors
from kanpde.kernels.taylor import Counts
from kanpde.kernels.threads import array, deal
from kanpde.kernels.vectors import LANES

CACHED = 2**16
"""Numbers of one level's jets that a chunk holds: the second-level cache of most machines holds them."""


class Layers:
    """Layers and activations that are ready to run, and the jets of a chunk at every level."""

    def __init__(self, C: Tensors, knots: Tensors, centers: Tensors, scales: Tensors, counts: Counts):
        self.layers = [Layer(c, at, counts) for c, at in zip(C, knots, strict=True)]
        self.centers, self.factors = [array(c) for c in centers], [array(1 / s) for s in scales]
        self.channels, self.counts = 1 + sum(counts), tuple((0,) * n for n in counts)
        widest = max(max(layer.inputs, layer.outputs) for layer in self.layers)
        self.points = max(1, CACHED // (self.channels * widest * BLOCK)) * BLOCK

    def buffers(self, dtype: np.dtype) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Jets before and behind each activation, or their adjoints."""
        return tuple([np.empty((self.points, self.channels, layer.outputs), dtype) for layer in self.layers[:-1]] for _ in range(2))  # type: ignore[return-value]

    def inner(self, x: np.ndarray, before: list[np.ndarray], behind: list[np.ndarray]) -> list[np.ndarray]:
        """Fill the buffers from the input x of a chunk; the input of every layer."""
        inputs = [x]
        for layer, z, y, center, factor in zip(self.layers, before, behind, self.centers, self.factors, strict=False):
            layer.forward(inputs[-1], 0, len(x), z)
            cpu_activation.forward_points(z, 0.0, 0.0, center, factor, self.counts, 0, len(x), y)
            inputs.append(y)
        return inputs

    def back(self, L: np.ndarray, inputs: list[np.ndarray], jets: tuple, adjoints: tuple) -> Iterator[tuple[int, Layer, np.ndarray, np.ndarray, np.ndarray]]:
        """Layers from the last one on: number, layer, adjoint of its output, its input, and where the adjoint of the input goes.

        inputs: of every layer, as `inner` found them, which has filled the buffers `jets`.
        """
        x = inputs[0]
        for i in reversed(range(len(self.layers))):
            inward = adjoints[1][i - 1] if i else np.empty((0, self.channels, self.layers[0].inputs), x.dtype)
            yield i, self.layers[i], L, inputs[i], inward
            if i:
                L = adjoints[0][i - 1]
                cpu_activation.adjoint_points(inward, jets[0][i - 1], 0.0, 0.0, self.factors[i - 1], self.counts, 0, len(x), L)


def forward(X: Tensor, C: Tensors, knots: Tensors, centers: Tensors, scales: Tensors, counts: Counts) -> Tensor:
    """As network.forward."""
    if _narrow(C):
        return network.forward(X, C, knots, centers, scales, counts, cpu, cpu_activation)
    found, x, Y = Layers(C, knots, centers, scales, counts), array(X), X.new_empty(*X.shape[:2], C[-1].shape[2])
    y = Y.numpy()

    def work(begin: int, end: int) -> None:
        jets = found.buffers(x.dtype)
        for first in range(begin, end, found.points):
            last = min(first + found.points, end)
            found.layers[-1].forward(found.inner(x[first:last], *jets)[-1], 0, last - first, y[first:last])

    deal(work, len(X), found.points)
    return Y


def adjoint(L: Tensor, X: Tensor, C: Tensors, knots: Tensors, centers: Tensors, scales: Tensors, counts: Counts) -> Tensor:
    """As network.adjoint."""
    if _narrow(C):
        return network.adjoint(L, X, C, knots, centers, scales, counts, cpu, cpu_activation)
    lift = array(L)
    return _gradient(X, Layers(C, knots, centers, scales, counts), lambda found, inputs, first, last: lift[first:last])


def squares(X: Tensor, C: Tensors, knots: Tensors, centers: Tensors, scales: Tensors, W: Tensor, b: Tensor, counts: Counts) -> tuple[Tensor, Tensor]:
    """As network.squares; each chunk of points goes forth and back while its jets are in the cache."""
    if _narrow(C):
        return network.squares(X, C, knots, centers, scales, W, b, counts, forward, adjoint)
    r, w, at = torch.empty_like(b, memory_format=torch.contiguous_format), array(W), array(b)
    rows = r.numpy()

    def lift(found: Layers, inputs: list[np.ndarray], first: int, last: int) -> np.ndarray:
        y = np.empty((last - first, *w.shape[2:]), w.dtype)
        found.layers[-1].forward(inputs[-1], 0, last - first, y)
        _rows(w, at, y, first, rows)
        return y

    return r, _gradient(X, Layers(C, knots, centers, scales, counts), lift)


def _gradient(X: Tensor, found: Layers, lift: Callable[[Layers, list[np.ndarray], int, int], np.ndarray]) -> Tensor:
    """The gradient of Σ L·Y; lift(found, inputs of the layers, first, last) gives L at points first … last."""
    x = array(X)
    size = max(layer.chunks(len(X)) for layer in found.layers)
    size = -(-size // found.points) * found.points if size > found.points else size
    parts = max(1, -(-len(X) // size))
    gradients = [np.zeros((parts, *layer.A.shape), x.dtype) for layer in found.layers]

    def work(begin: int, end: int) -> None:
        jets, adjoints, step = found.buffers(x.dtype), found.buffers(x.dtype), min(size, found.points)
        for first in range(begin, end, step):
            last, part = min(first + step, end), first // size
            inputs = found.inner(x[first:last], *jets)
            for i, layer, l, inner, inward in found.back(lift(found, inputs, first, last), inputs, jets, adjoints):  # noqa: E741
                layer.adjoint(l, inner, i > 0, 0, last - first, inward, gradients[i][part : part + 1], found.points)

    deal(work, len(X), size)
    return torch.cat([layer.gradient(part).reshape(-1) for layer, part in zip(found.layers, gradients, strict=True)])


@compiled
def _rows(W, b, Y, first, r):
    """Rows r = b + Σ W·Y of the points that begin at `first`, and in place of their jets Y the adjoint 2 Σ r W."""
    equations, _, channels, outputs = W.shape
    for n in range(len(Y)):
        for e in range(equations):
            total = b[e, first + n]
            for c in range(channels):
                for q in range(outputs):
                    total += W[e, first + n, c, q] * Y[n, c, q]
            r[e, first + n] = total
        for c in range(channels):
            for q in range(outputs):
                lift = 2 * r[0, first + n] * W[0, first + n, c, q]
                for e in range(1, equations):
                    lift += 2 * r[e, first + n] * W[e, first + n, c, q]
                Y[n, c, q] = lift


def pullback(L: Tensor, X: Tensor, C: Tensors, knots: Tensors, centers: Tensors, scales: Tensors, counts: Counts) -> tuple[Tensor, Tensor]:
    """As network.pullback."""
    if _narrow(C):
        return network.pullback(L, X, C, knots, centers, scales, counts, cpu, cpu_activation)
    found, lift, x = Layers(C, knots, centers, scales, counts), array(L), array(X)
    places, run, column, shift = [], 0, 0, 0
    for c, layer in zip(C, found.layers, strict=True):
        places.append(Place(run, column, c.shape[2], c.shape[1], shift))
        run, column, shift = run + layer.inputs, column + c.numel(), shift + layer.inputs * layer.width * layer.outputs
    values, starts = X.new_empty(len(X), shift), torch.empty(len(X), run, dtype=torch.int64)
    to, at = values.numpy(), starts.numpy()

    def work(begin: int, end: int) -> None:
        jets, adjoints = found.buffers(x.dtype), found.buffers(x.dtype)
        for first in range(begin, end, found.points):
            last = min(first + found.points, end)
            for i, layer, l, inner, inward in found.back(lift[first:last], found.inner(x[first:last], *jets), jets, adjoints):  # noqa: E741
                layer.pullback(l, inner, i > 0, 0, last - first, inward, at[first:last], to[first:last], places[i])

    deal(work, len(X), found.points)
    return values, starts


def _narrow(C: Tensors) -> bool:
    """Whether some level does not fill a vector."""
    return any(c.shape[2] < LANES for c in C[:-1]) or max(C[-1].shape[0], C[-1].shape[2]) < LANES
