"""The spline layer on jets in plain PyTorch: y_q = Σ_p φ_pq(x_p), with φ_pq = Σ_j c_pjq B_j. The
truth for every kernel.

Shapes: input jet X [points, channels, inputs], coefficients C [inputs, functions, outputs], output
jet Y [points, channels, outputs]; counts gives the channel layout (see taylor.py). The functions
are the grid + degree B-splines on the knots [inputs, grid + 2 degree + 1] (see pieces.py). Outside
of the grid the polynomial of the end interval continues, so values and all derivatives stay smooth
in the input.

Only degree + 1 splines are non-zero at a point; with their Taylor coefficients there, all the rest
is that of any basis (see expansion.py), so that nothing of shape (points, inputs, grid, outputs) is
ever formed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kanpde.kernels import expansion
from kanpde.kernels.expansion import edges as edges
from kanpde.kernels.pieces import degree_of, interval, pieces, taylor_monomials
from kanpde.kernels.taylor import Counts


def taps(x: Tensor, knots: Tensor, degree: int, order: int) -> tuple[Tensor, Tensor]:
    """First non-zero spline [points, inputs] and Taylor coefficients [points, inputs, order + 1,
    degree + 1] at x."""
    breaks, table = pieces(knots, degree)
    cell, tau, length = interval(x, breaks)
    rows = cell + table.shape[1] * torch.arange(len(breaks), device=x.device)
    local = table.flatten(0, 1)[rows.view(-1)].view(*cell.shape, *table.shape[2:])
    return cell, torch.matmul(taylor_monomials(tau, length, degree, order), local.transpose(-1, -2))


def forward(X: Tensor, c: Tensor, knots: Tensor, counts: Counts) -> Tensor:
    """The output jet [points, channels, outputs]."""
    return expansion.forward(X, c, *taps(X[:, 0], knots, degree_of(c, knots), len(counts)), counts)


def pullback(
    L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Adjoint of the input jet (empty unless `back`), and the local part of the Jacobian: cell
    [points, inputs] and its block [points, inputs, degree + 1, outputs], the derivative of each
    point's own Σ L·Y by the coefficients there.
    """
    cell, b = taps(X[:, 0], knots, degree_of(c, knots), len(counts) + back)
    inward, block = expansion.pullback(L, X, c, cell, b, counts, back)
    return inward, cell, block


def adjoint(
    L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool = True
) -> tuple[Tensor, Tensor]:
    """Adjoints of the input jet and of the coefficients."""
    cell, b = taps(X[:, 0], knots, degree_of(c, knots), len(counts) + back)
    return expansion.adjoint(L, X, c, cell, b, counts, back)
