"""Rational activations on jets in plain PyTorch: y_u = F_g(u)(x_u), F = P/Q, with coefficients that
groups of units share.

    P(x) = a_0 + a_1 x + … + a_5 x^5,      Q(x) = 1 + (b_1 x + b_2 x²)² + (b_3 x²)²

(Yang and Wang 2024, "Kolmogorov-Arnold Transformer", of order (5, 4)). Their Q = 1 + |b_1 x + … +
b_4 x^4| has no pole, but kinks where the absolute value has them, and a residual takes second
derivatives. This Q is smooth, never below 1, and every polynomial of degree 4 that is nowhere below
its value 1 at 0 can be written so, as x² times a positive quadratic polynomial.

X [points, channels, units], coefficients [groups, 9] (a_0 … a_5, b_1 … b_3); unit u belongs to
group u · groups // units. With the Taylor coefficients r of 1/Q and F at x, and H_ν = Σ_c δ^ν L_c,
the derivative of Σ L·Y by a_i is Σ_k binomial(i, k) x^(i-k) K_k, K_k = Σ_ν H_ν r_{ν-k}; and that by
the coefficient of x^m in Q the same with -F/Q in place of 1/Q.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from kanpde.kernels.taylor import Counts, compose, correlate, powers

NUMERATOR, DENOMINATOR = 6, 3
COEFFICIENTS = NUMERATOR + DENOMINATOR


def group_of(units: int, groups: int) -> list[int]:
    """The group of every unit."""
    return [u * groups // units for u in range(units)]


def denominator(b: Tensor) -> list[Tensor]:
    """The coefficients of 1, x, … x^4 in Q, from b [..., 3]."""
    one, b1, b2, b3 = torch.ones_like(b[..., 0]), b[..., 0], b[..., 1], b[..., 2]
    return [one, torch.zeros_like(one), b1.square(), 2 * b1 * b2, b2.square() + b3.square()]


def shifted(coefficients: Sequence[Tensor], x: Tensor, order: int) -> list[Tensor]:
    """Taylor coefficients 0 … order at x of a polynomial, by repeated synthetic division."""
    w = [c + torch.zeros_like(x) for c in coefficients]
    for nu in range(min(order + 1, len(w))):
        for s in reversed(range(nu, len(w) - 1)):
            w[s] = w[s] + x * w[s + 1]
    return (w + [torch.zeros_like(x)] * (order + 1))[: order + 1]


def quotient(P: Sequence[Tensor], Q: Sequence[Tensor]) -> list[Tensor]:
    """Taylor coefficients of P/Q."""
    found: list[Tensor] = []
    for nu, p in enumerate(P):
        found.append(
            (p - sum((Q[k] * found[nu - k] for k in range(1, nu + 1)), torch.zeros_like(p))) / Q[0]
        )
    return found


def spread(coefficients: Tensor, units: int) -> Tensor:
    """The coefficients of every unit, [units, 9]."""
    return coefficients[group_of(units, len(coefficients))]


def taylor(x: Tensor, coefficients: Tensor, order: int) -> tuple[list[Tensor], list[Tensor]]:
    """Taylor coefficients of F and of Q at x [points, units]."""
    own = spread(coefficients, x.shape[1])
    Q = shifted(denominator(own[:, NUMERATOR:]), x, order)
    return quotient(shifted(own[:, :NUMERATOR].unbind(1), x, order), Q), Q


def forward(X: Tensor, coefficients: Tensor, counts: Counts) -> Tensor:
    """The output jet [points, channels, units]."""
    return compose(taylor(X[:, 0], coefficients, len(counts))[0], X, counts)


def pullback(
    L: Tensor, X: Tensor, coefficients: Tensor, counts: Counts, back: bool
) -> tuple[Tensor, Tensor]:
    """Adjoint of the input jet (empty unless `back`), and the derivative of each point's own Σ L·Y,
    [points, groups, 9]."""
    order, x, groups = len(counts), X[:, 0], len(coefficients)
    F, Q = taylor(x, coefficients, order + 1)
    own = spread(coefficients, x.shape[1])
    H = [(power * L).sum(1) for power in powers(X, counts)]
    R = quotient([torch.ones_like(x), *[torch.zeros_like(x)] * order], Q[: order + 1])
    FR = quotient(F[: order + 1], Q[: order + 1])
    a, q = _to_polynomial(H, R, x, range(NUMERATOR)), _to_polynomial(H, FR, x, range(2, 5))
    b1, b2, b3 = own[:, NUMERATOR:].unbind(1)
    b = [-2 * (b1 * q[0] + b2 * q[1]), -2 * (b1 * q[1] + b2 * q[2]), -2 * b3 * q[2]]
    found = torch.stack([*a, *b], 2)
    rows = X.new_zeros(len(X), groups, COEFFICIENTS)
    rows.index_add_(1, torch.tensor(group_of(x.shape[1], groups), device=X.device), found)
    if not back:
        return X.new_empty(0), rows
    slope = [nu * f for nu, f in enumerate(F)][1:]
    return correlate(L, compose(slope, X, counts), counts), rows


def _to_polynomial(
    H: Sequence[Tensor], r: Sequence[Tensor], x: Tensor, degrees: Sequence[int]
) -> list[Tensor]:
    """Σ_k binomial(i, k) x^(i-k) Σ_ν H_ν r_{ν-k} for each degree i."""
    K = [
        sum((H[nu] * r[nu - k] for nu in range(k, len(H))), torch.zeros_like(x))
        for k in range(len(H))
    ]
    power = [torch.ones_like(x)]
    for _ in range(max(degrees)):
        power.append(power[-1] * x)
    return [
        sum(
            (math.comb(i, k) * power[i - k] * K[k] for k in range(min(i, len(H) - 1) + 1)),
            torch.zeros_like(x),
        )
        for i in degrees
    ]


def adjoint(
    L: Tensor, X: Tensor, coefficients: Tensor, counts: Counts, back: bool = True
) -> tuple[Tensor, Tensor]:
    """Adjoints of the input jet and of the coefficients."""
    inward, rows = pullback(L, X, coefficients, counts, back)
    return inward, rows.sum(0)
