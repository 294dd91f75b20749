"""A layer of any basis on jets in plain PyTorch: y_q = Σ_p φ_pq(x_p), with φ_pq = Σ_j c_pjq B_j.

The functions are given by their Taylor coefficients at the values x_p: b [points, inputs, orders,
alive], b_ν,j = B_j^(ν)(x_p)/ν!, of those functions that are alive there, `cell` [points, inputs]
being the first of them. Where b has as many functions as C, all are alive everywhere and `cell` is
not read. X [points, channels, inputs], C [inputs, functions, outputs], Y [points, channels,
outputs]; counts gives the channel layout (see taylor.py). With

    edges      φ_ν[n,p,q] = Σ_j c_pjq b_ν[n,p,j]
    forward    Y[n,c,q]   = Σ_pν δ^ν[n,c,p] φ_ν[n,p,q]
    input      G_ν[n,c,p] = Σ_q L[n,c,q] φ_ν[n,p,q], correlated with δ^(ν-1), weighted by ν
    Jacobian   J[n,p,j,q] = Σ_ν b_ν[n,p,j] H_ν[n,p,q],  H_ν[n,p,q] = Σ_c δ^ν[n,c,p] L[n,c,q]
    gradient   the sum of J over the points

nothing of shape (points, inputs, functions, outputs) is formed but the Jacobian of what is alive
everywhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kanpde.kernels.taylor import Counts, compose, correlate, powers


def edges(c: Tensor, cell: Tensor, b: Tensor) -> Tensor:
    """Taylor coefficients φ_ν of every edge function at its input, [points, inputs, orders,
    outputs]."""
    inputs, functions, outputs = c.shape
    points, _, orders, width = b.shape
    if width == functions:
        flat = b.transpose(0, 1).reshape(inputs, points * orders, width)
        return torch.bmm(flat, c).view(inputs, points, orders, outputs).transpose(0, 1)
    local = (
        c.reshape(inputs * functions, outputs)
        .index_select(0, _rows(cell, functions, width))
        .view(*cell.shape, width, outputs)
    )
    return torch.matmul(b, local)


def forward(X: Tensor, c: Tensor, cell: Tensor, b: Tensor, counts: Counts) -> Tensor:
    """The output jet [points, channels, outputs], from b of the orders 0 … len(counts); higher ones
    are not read."""
    return composed(X, edges(c, cell, b[:, :, : len(counts) + 1]), counts)


def composed(X: Tensor, phi: Tensor, counts: Counts) -> Tensor:
    """The output jet from the Taylor coefficients of the edge functions, of the orders 0 …
    len(counts)."""
    if phi.shape[3] == 1:
        return compose(_nodes(phi), X, counts).sum(2, keepdim=True)
    delta = torch.stack(powers(X, counts), 3)
    return torch.bmm(delta.flatten(2), phi.flatten(1, 2))


def _nodes(phi: Tensor) -> list[Tensor]:
    """Edges into a single output as one function an input: Taylor coefficients [points, inputs],
    cheaper than by products."""
    return list(phi[..., 0].permute(2, 0, 1).contiguous())


def _moments(L: Tensor, X: Tensor, counts: Counts) -> tuple[Tensor, Tensor]:
    """δ^ν [points, channels, inputs, orders] and H_ν [points, inputs, orders, outputs]."""
    delta = torch.stack(powers(X, counts), 3)
    H = torch.bmm(delta.flatten(2).transpose(1, 2), L)
    return delta, H.view(len(X), X.shape[2], len(counts) + 1, L.shape[2])


def _inward(L: Tensor, X: Tensor, phi: Tensor, delta: Tensor, counts: Counts) -> Tensor:
    """The adjoint of the input jet, from φ of the orders 0 … len(counts) + 1."""
    order = len(counts)
    if phi.shape[3] == 1:
        slope = [nu * nth for nu, nth in enumerate(_nodes(phi))][1:]
        return correlate(L.expand_as(X), compose(slope, X, counts), counts)
    points, width, inputs, _ = delta.shape
    G = torch.bmm(
        L, phi[:, :, 1:].reshape(points, inputs * (order + 1), L.shape[2]).transpose(1, 2)
    )
    weight = torch.arange(1, order + 2, dtype=X.dtype, device=X.device)
    return (
        correlate(G, (delta * weight).flatten(2), counts)
        .view(points, width, inputs, order + 1)
        .sum(3)
    )


def pullback(
    L: Tensor, X: Tensor, c: Tensor, cell: Tensor, b: Tensor, counts: Counts, back: bool
) -> tuple[Tensor, Tensor]:
    """Adjoint of the input jet (empty unless `back`), and the block [points, inputs, alive,
    outputs] of the Jacobian: the derivative of each point's own Σ L·Y by the coefficients that are
    alive there."""
    return pulled(L, X, b, edges(c, cell, b) if back else None, counts)


def pulled(
    L: Tensor, X: Tensor, b: Tensor, phi: Tensor | None, counts: Counts
) -> tuple[Tensor, Tensor]:
    """As pullback, from the Taylor coefficients of the edge functions of the orders 0 … len(counts)
    + 1, None where the adjoint of the input jet is not asked for."""
    delta, H = _moments(L, X, counts)
    block = torch.matmul(b[:, :, : len(counts) + 1].transpose(2, 3), H)
    return X.new_empty(0) if phi is None else _inward(L, X, phi, delta, counts), block


def adjoint(
    L: Tensor, X: Tensor, c: Tensor, cell: Tensor, b: Tensor, counts: Counts, back: bool = True
) -> tuple[Tensor, Tensor]:
    """Adjoints of the input jet and of the coefficients."""
    inputs, functions, outputs = c.shape
    if b.shape[3] == functions:
        delta, H = _moments(L, X, counts)
        flat = b[:, :, : len(counts) + 1].transpose(0, 1).reshape(inputs, -1, functions)
        gradient = torch.bmm(flat.transpose(1, 2), H.transpose(0, 1).reshape(inputs, -1, outputs))
        if not back:
            return X.new_empty(0), gradient
        return _inward(L, X, edges(c, cell, b), delta, counts), gradient
    inward, block = pullback(L, X, c, cell, b, counts, back)
    return inward, gathered(c, cell, block)


def gathered(c: Tensor, cell: Tensor, block: Tensor) -> Tensor:
    """The adjoint of the coefficients c: the sum over the points of their blocks of the
    Jacobian."""
    inputs, functions, outputs = c.shape
    index = _rows(cell, functions, block.shape[2])
    found = torch.zeros(inputs * functions, outputs, dtype=c.dtype, device=c.device)
    # Column by column: torch adds single numbers much faster than short rows.
    for q in range(outputs):
        found[:, q] = torch.zeros_like(found[:, q]).index_add_(0, index, block[..., q].reshape(-1))
    return found.view_as(c)


def _rows(cell: Tensor, functions: int, width: int) -> Tensor:
    """Where the coefficients that are alive lie among all [inputs · functions], flat."""
    start = cell + functions * torch.arange(cell.shape[1], device=cell.device)
    return (start[..., None] + torch.arange(width, device=cell.device)).view(-1)
