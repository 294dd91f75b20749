"""Damped normal equations as registered operators (see damping.py)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kanpde.kernels.operators import operator
from kanpde.kernels.paths import path


def check_normal(normal: Tensor, slope: Tensor, squares: Tensor, sizes: Sequence[int]) -> None:
    """Raise ValueError, naming the argument, for anything that is no normal equations."""
    if slope.ndim != 1 or list(normal.shape) != [len(slope), len(slope)]:
        raise ValueError(
            f"normal, slope: got shapes {list(normal.shape)} and {list(slope.shape)}; expected"
            " [n, n] and [n]"
        )
    if squares.ndim:
        raise ValueError(f"squares: got shape {list(squares.shape)}; expected a number")
    if sizes and sum(sizes) != len(slope):
        raise ValueError(f"sizes: got {tuple(sizes)}; expected {len(slope)} parameters together")


def _fake_damping_rescaled(
    normal: Tensor, slope: Tensor, squares: Tensor, sizes: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    vectors = [torch.empty_like(slope) for _ in range(3)]
    matrix = normal.new_empty(normal.shape)
    return matrix, vectors[0], vectors[1], vectors[2], normal.new_empty(2)


@operator(fake=_fake_damping_rescaled)
def damping_rescaled(
    normal: Tensor, slope: Tensor, squares: Tensor, sizes: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Normal equations in parameters divided by a metric W.

    Args:
        normal: JᵀJ [parameters, parameters].
        slope: Jᵀr [parameters].
        squares: r·r.
        sizes: Parameters of each layer, for the metric by layers; none for the metric "root".

    Returns:
        W JᵀJ W, its diagonal, W, -W Jᵀr, and [r·r, the largest of the diagonal].

    Raises:
        ValueError: A shape is wrong; the message names the argument.
    """
    check_normal(normal, slope, squares, sizes)
    return path(normal).damping.rescaled(normal, slope, squares, sizes)


def _fake_damping_judged(
    squares: Tensor, failed: Tensor, velocity: Tensor, correction: Tensor, accept: float
) -> Tensor:
    return torch.empty_like(squares)


@operator(fake=_fake_damping_judged)
def damping_judged(
    squares: Tensor, failed: Tensor, velocity: Tensor, correction: Tensor, accept: float
) -> Tensor:
    """r·r where a step led, or infinite where the step must not be taken.

    Args:
        squares: r·r there.
        failed: Not zero where the factorisation failed.
        velocity: The step without its correction [parameters].
        correction: Of second order [parameters].
        accept: Largest length of twice the correction, as a share of the velocity.

    Returns:
        A number on the device.
    """
    return path(squares).damping.judged(squares, failed, velocity, correction, accept)
