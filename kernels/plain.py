"""The spline layer on jets in plain PyTorch: y_q = Σ_p φ_pq(x_p), with φ_pq = Σ_j c_pjq B_j. The
truth for every kernel.

Shapes: input jet X [points, channels, inputs], coefficients C [inputs, functions, outputs], output
jet Y [points, channels, outputs]; counts gives the channel layout (see taylor.py). The functions
are the grid + degree B-splines on the knots [inputs, grid + 2 degree + 1] (see pieces.py). Outside
of the grid the polynomial of the end interval continues, so values and all derivatives stay smooth
in the input.

On an interval between two knots every edge function is a polynomial, whose Taylor coefficients
φ_ν Horner's scheme gives; the rest is that of any basis (see expansion.py). Only degree + 1 splines
are non-zero at a point, so that nothing of shape (points, inputs, grid, outputs) is ever formed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kanpde.kernels import expansion
from kanpde.kernels.pieces import degree_of, pieces, taylor
from kanpde.kernels.taylor import Counts


def taps(x: Tensor, knots: Tensor, degree: int, order: int) -> tuple[Tensor, Tensor]:
    """First non-zero spline [points, inputs] and Taylor coefficients [points, inputs, order + 1,
    degree + 1] at x."""
    breaks, table = pieces(knots, degree)
    return taylor(table.transpose(2, 3), x, breaks, order)


def edges(x: Tensor, c: Tensor, knots: Tensor, order: int) -> Tensor:
    """Taylor coefficients φ_ν of every edge function at its input x [points, inputs], as [points,
    inputs, order + 1, outputs]."""
    degree = degree_of(c, knots)
    breaks, table = pieces(knots, degree)
    alive = c.unfold(1, degree + 1, 1).transpose(2, 3)
    return taylor(torch.matmul(table.transpose(2, 3), alive), x, breaks, order)[1]


def forward(X: Tensor, c: Tensor, knots: Tensor, counts: Counts) -> Tensor:
    """The output jet [points, channels, outputs]."""
    return expansion.composed(X, edges(X[:, 0], c, knots, len(counts)), counts)


def pullback(
    L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Adjoint of the input jet (empty unless `back`), and the local part of the Jacobian: cell
    [points, inputs] and its block [points, inputs, degree + 1, outputs], the derivative of each
    point's own Σ L·Y by the coefficients there.
    """
    cell, b = taps(X[:, 0], knots, degree_of(c, knots), len(counts))
    phi = edges(X[:, 0], c, knots, len(counts) + 1) if back else None
    inward, block = expansion.pulled(L, X, b, phi, counts)
    return inward, cell, block


def adjoint(
    L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool = True
) -> tuple[Tensor, Tensor]:
    """Adjoints of the input jet and of the coefficients."""
    inward, cell, block = pullback(L, X, c, knots, counts, back)
    return inward, expansion.gathered(c, cell, block)
