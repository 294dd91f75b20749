"""Normal equations as a damped step takes them, in plain PyTorch: in parameters divided by a metric
W, and what says whether a step is taken.

The metric "root" is the one of no layers, W = (d / mean d)^(-1/4) with d = diag(JᵀJ); that by
layers is (mean d of the layer / mean d)^(-1/2). Ratios are LEAST at least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

LEAST = 1e-8
"""Smallest ratio: parameters that no point sees stay where they are."""


def metric(squares: Tensor, sizes: Sequence[int]) -> Tensor:
    """W [parameters] from d [parameters] and the sizes of layers."""
    mean = squares.mean().clamp_min(torch.finfo(squares.dtype).tiny)
    if not sizes:
        return (squares / mean).clamp_min(LEAST) ** -0.25
    means = [part.mean().expand_as(part) for part in torch.split(squares, list(sizes)) if len(part)]
    return (torch.cat(means) / mean).clamp_min(LEAST) ** -0.5


def rescaled(
    normal: Tensor, slope: Tensor, squares: Tensor, sizes: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """W JᵀJ W, its diagonal, W, -W Jᵀr, and two numbers: r·r and the largest of the diagonal."""
    W = metric(normal.diagonal(), sizes)
    scaled = (normal * W[:, None]).mul_(W)
    diagonal = scaled.diagonal().clone()
    return scaled, diagonal, W, -(W * slope), torch.stack([squares, diagonal.max()])


def judged(
    squares: Tensor, failed: Tensor, velocity: Tensor, correction: Tensor, accept: float
) -> Tensor:
    """r·r where a step led; infinite where its factorisation failed, or where twice its correction
    is longer than `accept` times the velocity."""
    small = 2 * correction.norm() <= accept * velocity.norm()
    return torch.where((failed == 0) & small, squares, math.inf)
