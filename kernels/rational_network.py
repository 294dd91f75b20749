"""A network of group-rational activations with a linear map behind each, in plain PyTorch: the
truth for cpu_rational.py."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from kanpde.kernels import rational
from kanpde.kernels.rational import COEFFICIENTS
from kanpde.kernels.taylor import Counts


def size(widths: Sequence[int], groups: Sequence[int]) -> int:
    """Number of parameters."""
    return sum(
        g * COEFFICIENTS + (p + 1) * q for g, (p, q) in zip(groups, pairwise(widths), strict=True)
    )


def split(
    theta: Tensor, widths: Sequence[int], groups: Sequence[int]
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """By level: coefficients [groups, 9], weights [inputs, outputs], biases [outputs]."""
    sizes = [
        n
        for g, (p, q) in zip(groups, pairwise(widths), strict=True)
        for n in (g * COEFFICIENTS, p * q, q)
    ]
    parts = torch.split(theta, sizes)
    return [
        (parts[3 * i].view(-1, COEFFICIENTS), parts[3 * i + 1].view(p, q), parts[3 * i + 2])
        for i, (p, q) in enumerate(pairwise(widths))
    ]


def squares(
    X: Tensor,
    theta: Tensor,
    widths: Sequence[int],
    groups: Sequence[int],
    W: Tensor,
    b: Tensor,
    counts: Counts,
) -> tuple[Tensor, Tensor]:
    """Rows r = b + Σ W·Y [equations, points] of the output jet Y, and the gradient of Σ r² by
    theta."""
    levels, inputs, inner = split(theta, widths, groups), [X], []
    for coefficients, weights, bias in levels:
        inner.append(rational.forward(inputs[-1], coefficients, counts))
        Y = inner[-1] @ weights
        Y[:, 0] += bias
        inputs.append(Y)
    r = b + torch.einsum("encq,ncq->en", W, inputs[-1])
    L = 2 * torch.einsum("en,encq->ncq", r, W)
    found: list[Tensor] = []
    for i in reversed(range(len(levels))):
        coefficients, weights, _ = levels[i]
        linear = [(inner[i].flatten(0, 1).T @ L.flatten(0, 1)).reshape(-1), L[:, 0].sum(0)]
        L, gradient = rational.adjoint(L @ weights.T, inputs[i], coefficients, counts, i > 0)
        found = [gradient.reshape(-1), *linear, *found]
    return r, torch.cat(found)
