"""A whole spline network on jets: spline layers with tanh between them, chained from plain.py and
activation.py.

C and knots hold those of every spline layer, centers and scales [units] those of every activation,
from the input on. The parameters in one flat vector are C[0], C[1], … row after row. The adjoint of
the network's own input is never needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from types import ModuleType

import torch
from torch import Tensor

from kanpde.kernels import activation, plain
from kanpde.kernels.pieces import degree_of
from kanpde.kernels.taylor import Counts

Tensors = Sequence[Tensor]
KIND = "tanh"


def inner(
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    counts: Counts,
    jet: ModuleType = plain,
    act: ModuleType = activation,
) -> tuple[list[Tensor], list[Tensor]]:
    """The jets at the inputs of all spline layers, and those at the inputs of the activations;
    [points, channels, units] each."""
    inputs, before = [X], []
    for c, at, center, scale in zip(
        C, knots, centers, scales, strict=False
    ):  # the last layer has no activation
        before.append(jet.forward(inputs[-1], c, at, counts))
        inputs.append(act.forward(KIND, before[-1], center, scale, counts))
    return inputs, before


def forward(
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    counts: Counts,
    jet: ModuleType = plain,
    act: ModuleType = activation,
) -> Tensor:
    """The output jet [points, channels, outputs]."""
    inputs, _ = inner(X, C, knots, centers, scales, counts, jet, act)
    return jet.forward(inputs[-1], C[-1], knots[-1], counts)


def adjoint(
    L: Tensor,
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    counts: Counts,
    jet: ModuleType = plain,
    act: ModuleType = activation,
) -> Tensor:
    """The gradient of Σ L·Y by all parameters, flat, from the adjoint L [points, channels, outputs]
    of the output."""
    inputs, before = inner(X, C, knots, centers, scales, counts, jet, act)
    return back(L, inputs, before, C, knots, scales, counts, jet, act)


def back(
    L: Tensor,
    inputs: Tensors,
    before: Tensors,
    C: Tensors,
    knots: Tensors,
    scales: Tensors,
    counts: Counts,
    jet: ModuleType = plain,
    act: ModuleType = activation,
) -> Tensor:
    """The same from the jets that `inner` gives."""
    found: list[Tensor] = []
    for i in reversed(range(len(C))):
        L, gradient = jet.adjoint(L, inputs[i], C[i], knots[i], counts, i > 0)
        L = act.adjoint(KIND, L, before[i - 1], scales[i - 1], counts) if i else L
        found.append(gradient.reshape(-1))
    return torch.cat(found[::-1])


def pullback(
    L: Tensor,
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    counts: Counts,
    jet: ModuleType = plain,
    act: ModuleType = activation,
) -> tuple[Tensor, Tensor]:
    """The same point by point, as runs of columns (see runs.py): values [points, Σ inputs · (degree
    + 1) · outputs] and the first columns [points, Σ inputs]."""
    inputs, before = inner(X, C, knots, centers, scales, counts, jet, act)
    values, starts = [], []
    for i in reversed(range(len(C))):
        L, cell, block = jet.pullback(L, inputs[i], C[i], knots[i], counts, i > 0)
        L = act.adjoint(KIND, L, before[i - 1], scales[i - 1], counts) if i else L
        units, functions, outputs = C[i].shape
        values.append(block.flatten(1))
        starts.append(
            sum(c.numel() for c in C[:i])
            + outputs * (cell + functions * torch.arange(units, device=cell.device))
        )
    return torch.cat(values[::-1], 1), torch.cat(starts[::-1], 1)


def squares(
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    W: Tensor,
    b: Tensor,
    counts: Counts,
    jet: Callable[..., Tensor] = forward,
    gradient: Callable[..., Tensor] = adjoint,
) -> tuple[Tensor, Tensor]:
    """Rows r = b + Σ W·Y [equations, points] of an affine function of the output jet Y, and the
    gradient of Σ r² by all parameters.

    W [equations, points, channels, outputs], b [equations, points]; jet and gradient: what computes
    forward and adjoint.
    """
    r = b + torch.einsum("encq,ncq->en", W, jet(X, C, knots, centers, scales, counts))
    return r, gradient(2 * torch.einsum("en,encq->ncq", r, W), X, C, knots, centers, scales, counts)


def rows(
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    W: Tensor,
    b: Tensor,
    counts: Counts,
    jet: Callable[..., Tensor] = forward,
) -> Tensor:
    """The same rows alone."""
    return affine_rows(W, b, jet(X, C, knots, centers, scales, counts))


def affine_rows(W: Tensor, b: Tensor, Y: Tensor) -> Tensor:
    """b + Σ W·Y [equations, points] of an output jet Y [points, channels, outputs]."""
    if Y.is_cuda:
        return torch.add(b, (W * Y).sum((2, 3)))
    r = b.clone()
    for c, q in product(*map(range, Y.shape[1:])):  # so few numbers are slow as a matrix product
        r.addcmul_(W[:, :, c, q], Y[:, c, q])
    return r


def lengths(C: Tensors, knots: Tensors) -> list[int]:
    """The lengths of the runs: one an input of each layer."""
    return [
        n
        for c, at in zip(C, knots, strict=True)
        for n in [(degree_of(c, at) + 1) * c.shape[2]] * c.shape[0]
    ]
