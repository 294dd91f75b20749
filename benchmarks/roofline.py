"""The least time that a closure can take on a machine: its floating-point operations and bytes,
counted by formula, over the rates measured there. A share is that time over the measured one.

The formulas are those of "Cost" in kernels/README.md, on pieces: P inputs, Q outputs, degree k,
order m, M channels, and N_ν of them of order ν and higher. A multiplication with its addition
counts as two, and so does one without the other, since it takes the place of both. What depends on
the coefficients alone is shared by all points and counts as nothing; so do the residual itself,
tanh, and the search for an interval.

An activation is φ for a single unit, with Taylor coefficients by a recursion of two operations
each, 2 m forward. Its adjoint needs m + 1 of them, the powers and the jet of f' again, and the
correlation of L with that jet, 2 (Σ_{ν≥1} N_ν + M).

Bytes are those that cannot be avoided: the input jets of the points and the output jet or its
adjoint, once in each sweep, and the jets of hidden levels wider than KEPT, which no kernel holds in
registers or shared memory: written, read by the next layer, read again in the adjoint; their
adjoint written and read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from benchmarks.closure import Case

KEPT = 32
"""Levels of up to so many units can stay inside of one kernel."""


def divisions(degree: int, order: int) -> int:
    """D(order): steps of the repeated synthetic divisions that give the Taylor coefficients 0 …
    order of a polynomial."""
    return sum(max(degree - nu, 0) for nu in range(order + 1))


def reach(counts: Sequence[int]) -> int:
    """Σ_{ν≥1} N_ν: each channel as often as its order says."""
    return sum(sum(counts[nu:]) for nu in range(len(counts)))


def located(counts: Sequence[int]) -> int:
    """Operations for the place of one input and the powers of its jet."""
    return 8 + 2 * reach(counts)


def layer_forward(inputs: int, outputs: int, degree: int, counts: Sequence[int]) -> int:
    """Operations of a spline layer's forward jet at one point."""
    return inputs * located(counts) + 2 * inputs * outputs * (
        divisions(degree, len(counts)) + 1 + reach(counts)
    )


def layer_adjoint(inputs: int, outputs: int, degree: int, counts: Sequence[int], back: bool) -> int:
    """Operations of a spline layer's adjoint at one point: gradient of the coefficients and, if
    `back`, of the input jet."""
    edge = 1 + reach(counts) + divisions(degree, len(counts)) + degree + 1
    return inputs * located(counts) + 2 * inputs * outputs * (edge + back * _inward(degree, counts))


def layer_jacobian(
    inputs: int, outputs: int, degree: int, counts: Sequence[int], back: bool
) -> int:
    """As layer_adjoint, with the block of the Jacobian's row, degree + 1 entries an edge, in place
    of the gradient."""
    order = len(counts)
    edge = 1 + reach(counts) + (order + 1) * (degree + 1)
    splines = 2 * (degree + 1) * divisions(degree, order)
    return inputs * (located(counts) + splines) + 2 * inputs * outputs * (
        edge + back * _inward(degree, counts)
    )


def _inward(degree: int, counts: Sequence[int]) -> int:
    """Multiplications with their additions, an edge, for going on to the input jet."""
    order = len(counts)
    return divisions(degree, order + 1) + order + 1 + reach(counts)


def activation_forward(counts: Sequence[int]) -> int:
    """Operations of an activation's jet, one unit at one point."""
    return 2 * (len(counts) + reach(counts) + 1 + reach(counts))


def activation_adjoint(counts: Sequence[int]) -> int:
    """Operations of its adjoint."""
    return 2 * (
        len(counts) + 1 + reach(counts) + 1 + reach(counts) + reach(counts) + 1 + sum(counts)
    )


def counts_of(dims: int) -> tuple[int, int]:
    """Channels of each order for u, ∇u and Δu: every coordinate to second order."""
    return dims, dims


def forward_flops(case: Case) -> int:
    """Operations of the network's jets at one point."""
    counts = counts_of(case.widths[0])
    return sum(layer_forward(p, q, case.degree, counts) for p, q in case.edges) + sum(
        case.widths[1:-1]
    ) * activation_forward(counts)


def closure_flops(case: Case) -> int:
    """Operations of loss and gradient at one point."""
    counts = counts_of(case.widths[0])
    layers = sum(
        layer_adjoint(p, q, case.degree, counts, level > 0)
        for level, (p, q) in enumerate(case.edges)
    )
    return forward_flops(case) + layers + sum(case.widths[1:-1]) * activation_adjoint(counts)


def closure_bytes(case: Case, word: int = 8) -> int:
    """Bytes of loss and gradient at one point."""
    channels = 1 + sum(counts_of(case.widths[0]))
    wide = sum(units for units in case.widths[1:-1] if units > KEPT)
    return word * channels * (2 * (case.widths[0] + case.widths[-1]) + 5 * wide)


def iteration_flops(case: Case, points: int) -> int:
    """Operations of a Levenberg-Marquardt iteration whose first damping is accepted: the Jacobian,
    half of JᵀJ, Jᵀr twice, Jv, one Cholesky decomposition with two solutions, and the residuals at
    two more places."""
    counts = counts_of(case.widths[0])
    entries = sum(p * q * (case.degree + 1) for p, q in case.edges)
    layers = sum(
        layer_jacobian(p, q, case.degree, counts, level > 0)
        for level, (p, q) in enumerate(case.edges)
    )
    jacobian = forward_flops(case) + layers + sum(case.widths[1:-1]) * activation_adjoint(counts)
    row = jacobian + entries * (entries + 1) + 3 * 2 * entries + 2 * forward_flops(case)
    return points * row + case.parameters**3 // 3 + 2 * 2 * case.parameters**2


def iteration_bytes(case: Case, points: int) -> int:
    """Bytes of the same: those of a closure, and of two more forward sweeps. The Jacobian need not
    be stored."""
    return 2 * points * closure_bytes(case)


@dataclass(frozen=True)
class Ceiling:
    """Rates that a machine reaches.

    Attributes:
        flops: Operations a second in a large matrix product.
        bandwidth: Bytes a second in a triad a = b + s c.
    """

    flops: float
    bandwidth: float

    def seconds(self, flops: float, moved: float) -> float:
        """The least time for so many operations and bytes."""
        return max(flops / self.flops, moved / self.bandwidth)


def measure(
    device: str,
    dtype: torch.dtype,
    repetitions: int = 5,
    size: int | None = None,
    length: int | None = None,
) -> Ceiling:
    """The best of a few repetitions.

    Args:
        device: cpu or cuda.
        dtype: Of the numbers.
        repetitions: How many.
        size: Of the square matrices.
        length: Of the triad's vectors.

    Returns:
        Both rates.
    """
    gpu = device.startswith("cuda")
    return Ceiling(
        _product(device, dtype, repetitions, size or (8192 if gpu else 2048)),
        _triad(device, dtype, repetitions, length or (2**28 if gpu else 2**24)),
    )


def _product(device: str, dtype: torch.dtype, repetitions: int, n: int) -> float:
    A, B = (
        torch.randn(n, n, device=device, dtype=dtype),
        torch.randn(n, n, device=device, dtype=dtype),
    )
    out = torch.empty_like(A)
    return 2 * n**3 / _fastest(lambda: torch.mm(A, B, out=out), repetitions, device)


def _triad(device: str, dtype: torch.dtype, repetitions: int, n: int) -> float:
    b, c = torch.ones(n, device=device, dtype=dtype), torch.ones(n, device=device, dtype=dtype)
    a = torch.empty_like(b)
    return (
        3
        * n
        * dtype.itemsize
        / _fastest(lambda: torch.add(b, c, alpha=0.5, out=a), repetitions, device)
    )


def _fastest(work: Callable[[], object], repetitions: int, device: str) -> float:
    gpu = device.startswith("cuda")
    found = []
    for _ in range(repetitions + 1):
        if gpu:
            torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        if gpu:
            torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return min(found[1:])
