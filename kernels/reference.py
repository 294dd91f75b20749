"""The spline layer on jets in plain PyTorch: y_q = Σ_p φ_pq(x_p), with φ_pq = Σ_j c_pjq B_j. The truth for every kernel.

Shapes: input jet X [points, channels, inputs], coefficients C [inputs, functions, outputs], output jet
Y [points, channels, outputs]; counts gives the channel layout (see taylor.py). The functions are the grid + degree
B-splines on the knots [inputs, grid + 2 degree + 1] (see pieces.py). Outside of the grid the polynomial of the end
interval continues, so values and all derivatives stay smooth in the input.

Only degree + 1 splines are non-zero at a point. With the Taylor coefficients b_ν = B^(ν)/ν! of these at the input value,

    edges      φ_ν[n,p,q] = Σ_j c_pjq b_ν[n,p,j]
    forward    Y[n,c,q]   = Σ_pν δ^ν[n,c,p] φ_ν[n,p,q]
    input      G_ν[n,c,p] = Σ_q L[n,c,q] φ_ν[n,p,q], correlated with δ^(ν-1), weighted by ν
    Jacobian   J[n,p,j,q] = Σ_ν b_ν[n,p,j] H_ν[n,p,q],  H_ν[n,p,q] = Σ_c δ^ν[n,c,p] L[n,c,q]
    gradient   the sum of J over the points

so that nothing of shape (points, inputs, grid, outputs) is ever formed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kanpde.kernels.pieces import degree_of, interval, pieces, taylor_monomials
from kanpde.kernels.taylor import Counts, compose, correlate, powers


def taps(x: Tensor, knots: Tensor, degree: int, order: int) -> tuple[Tensor, Tensor]:
    """First non-zero spline [points, inputs] and Taylor coefficients [points, inputs, order + 1, degree + 1] at x."""
    breaks, table = pieces(knots, degree)
    cell, tau, length = interval(x, breaks)
    local = table[torch.arange(len(breaks), device=x.device), cell]
    return cell, torch.matmul(taylor_monomials(tau, length, degree, order), local.transpose(-1, -2))


def edges(c: Tensor, cell: Tensor, b: Tensor) -> Tensor:
    """Taylor coefficients φ_ν of every edge function at its input, [points, inputs, order + 1, outputs]."""
    inputs, functions, outputs = c.shape
    width = b.shape[-1]
    start = cell + functions * torch.arange(inputs, device=c.device)
    index = (start[..., None] + torch.arange(width, device=c.device)).view(-1)
    local = c.reshape(inputs * functions, outputs).index_select(0, index).view(*cell.shape, width, outputs)
    return torch.matmul(b, local)


def forward(X: Tensor, c: Tensor, knots: Tensor, counts: Counts) -> Tensor:
    """The output jet [points, channels, outputs]."""
    cell, b = taps(X[:, 0], knots, degree_of(c, knots), len(counts))
    phi = edges(c, cell, b)
    if c.shape[2] == 1:
        return compose(_nodes(phi), X, counts).sum(2, keepdim=True)
    delta = torch.stack(powers(X, counts), 3)
    return torch.bmm(delta.flatten(2), phi.flatten(1, 2))


def _nodes(phi: Tensor) -> list[Tensor]:
    """Edges into a single output as one function an input: Taylor coefficients [points, inputs], cheaper than by products."""
    return list(phi[..., 0].permute(2, 0, 1).contiguous())


def pullback(L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Adjoint of the input jet (empty unless `back`), and the local part of the Jacobian: cell [points, inputs] and its
    block [points, inputs, degree + 1, outputs], the derivative of each point's own Σ L·Y by the coefficients there."""
    order = len(counts)
    cell, b = taps(X[:, 0], knots, degree_of(c, knots), order + back)
    delta = torch.stack(powers(X, counts), 3)
    points, width, inputs, _ = delta.shape
    H = torch.bmm(delta.flatten(2).transpose(1, 2), L).view(points, inputs, order + 1, L.shape[2])
    block = torch.matmul(b[:, :, : order + 1].transpose(2, 3), H)
    if not back:
        return X.new_empty(0), cell, block
    phi = edges(c, cell, b)
    if c.shape[2] == 1:
        slope = [nu * nth for nu, nth in enumerate(_nodes(phi))][1:]
        return correlate(L.expand_as(X), compose(slope, X, counts), counts), cell, block
    G = torch.bmm(L, phi[:, :, 1:].reshape(points, inputs * (order + 1), L.shape[2]).transpose(1, 2))
    weight = torch.arange(1, order + 2, dtype=X.dtype, device=X.device)
    adjoint = correlate(G, (delta * weight).flatten(2), counts).view(points, width, inputs, order + 1).sum(3)
    return adjoint, cell, block


def adjoint(L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool = True) -> tuple[Tensor, Tensor]:
    """Adjoints of the input jet and of the coefficients."""
    inward, cell, block = pullback(L, X, c, knots, counts, back)
    inputs, functions, outputs = c.shape
    start = cell + functions * torch.arange(inputs, device=c.device)
    index = (start[..., None] + torch.arange(block.shape[2], device=c.device)).view(-1)
    gradient = torch.zeros(inputs * functions, outputs, dtype=c.dtype, device=c.device)
    for q in range(outputs):  # column by column: torch adds single numbers much faster than short rows
        gradient[:, q] = torch.zeros_like(gradient[:, q]).index_add_(0, index, block[..., q].reshape(-1))
    return inward, gradient.view_as(c)
