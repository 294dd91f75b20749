"""The least time that a closure can take on a machine: its floating-point operations and bytes, counted by formula, over the
rates measured there. A share is that time over the measured one.

Counted is the algorithm of kernels/: edge functions as piecewise polynomials of degree k in τ, jets of order m with M
channels, of which c_ν have order ν or more. An addition and a multiplication are one operation each, a tanh and a cell
search are few, and what depends on the coefficients alone is nothing, being shared by all points. For one point,

    input     τ and 1/length 5, the jet in units of the interval M - 1, its powers δ^2 … δ^m as truncated products
    edge      Taylor coefficients φ_0 … φ_m by repeated synthetic division: k - ν steps of two operations each for φ_ν
              composition Y_c += Σ_ν φ_ν δ^ν_c: 1 for the value, 2 c_ν for each ν ≥ 1

and in the adjoint, which keeps nothing but the input jet,

    edge      H_ν = Σ_c δ^ν_c L_c: 2 c_ν - 1 for each ν ≥ 1, nothing for ν = 0
              the transposed division, as many as the division, and k + 1 additions to the coefficients' gradient
              to go on to the layer below: φ_1 … φ_{m+1} again, the value's adjoint Σ_ν ν φ_ν H_{ν-1}, 2 (m + 1), and
              S_ν,c = φ_ν L_c summed over the outputs, 2 c_ν for each ν ≥ 1
    input     then the correlation of S with the powers, once an input

Bytes are those that cannot be avoided: the points' input jets and the map from jets to derivatives, once in each sweep, and
the jets of hidden levels wider than KEPT, which no kernel holds in registers or shared memory: written, read by the next
layer, read again in the adjoint; their adjoint written and read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from kanpde.bench.closure import Case

KEPT = 32
"""Levels of up to so many units can stay inside of one kernel."""


def taylor(degree: int, order: int) -> int:
    """Operations for the Taylor coefficients 0 … order of a polynomial, by repeated synthetic division."""
    return 2 * sum(max(degree - nu, 0) for nu in range(order + 1))


def reached(counts: Sequence[int]) -> list[int]:
    """c_ν for ν = 1 … order: how many channels have order ν or more, which are those where δ^ν is not zero."""
    return [sum(counts[nu:]) for nu in range(len(counts))]


def composed(counts: Sequence[int]) -> int:
    """Operations for adding one edge's jet to its output's."""
    return 1 + 2 * sum(reached(counts))


def powers(counts: Sequence[int]) -> int:
    """Operations for δ^2 … δ^order: channel k of δ^ν is a sum of k - ν + 1 products."""
    order = len(counts)
    return sum(counts[k - 1] * (2 * (k - nu + 1) - 1) for nu in range(2, order + 1) for k in range(nu, order + 1))


def located(counts: Sequence[int]) -> int:
    """Operations for τ, the length, and the powers of the scaled jet of one input."""
    return 5 + sum(counts) + powers(counts)


def correlated(counts: Sequence[int]) -> int:
    """Operations for the adjoint of one input's jet from the sums S over the outputs, and its scaling."""
    order = len(counts)
    return 1 + sum(counts) + sum(2 * counts[high - 1] * (high - low) for low in range(1, order + 1) for high in range(low + 1, order + 1))


def layer_forward(inputs: int, outputs: int, degree: int, counts: Sequence[int]) -> int:
    """Operations of a spline layer's forward jet at one point."""
    return inputs * located(counts) + inputs * outputs * (taylor(degree, len(counts)) + composed(counts))


def layer_adjoint(inputs: int, outputs: int, degree: int, counts: Sequence[int], back: bool) -> int:
    """Operations of a spline layer's adjoint at one point: gradient of the coefficients and, if `back`, of the input jet."""
    order = len(counts)
    edge = sum(2 * c - 1 for c in reached(counts)) + taylor(degree, order) + degree + 1
    if back:
        edge += taylor(degree, order + 1) + 2 * (order + 1) + 2 * sum(reached(counts))
    return inputs * (located(counts) + back * correlated(counts)) + inputs * outputs * edge


def layer_jacobian(inputs: int, outputs: int, degree: int, counts: Sequence[int], back: bool) -> int:
    """As layer_adjoint, with the row of the Jacobian, (degree + 1) entries an edge, in place of the gradient: Σ_ν b_jν H_ν from
    the basis and its Taylor coefficients, which the edges from an input share."""
    order = len(counts)
    entries = (degree + 1) * (2 * (order + 1) - 1) - taylor(degree, order) - (degree + 1)
    return layer_adjoint(inputs, outputs, degree, counts, back) + inputs * (degree + 1) * taylor(degree, order) + inputs * outputs * entries


def activation(units: int, counts: Sequence[int]) -> tuple[int, int]:
    """Operations of tanh on jets at one point, forward and adjoint: 1 for tanh, 2 for each Taylor coefficient after it."""
    order = len(counts)
    forward = 1 + 2 * order + powers(counts) + 2 * sum(reached(counts)) - sum(counts)
    adjoint = 1 + 3 * (order + 1) + powers(counts) + composed(counts) - sum(counts) + 2 * (1 + sum(counts)) + correlated(counts)
    return units * forward, units * adjoint


def counts_of(dims: int) -> tuple[int, int]:
    """Channels of each order for u, ∇u and Δu: every coordinate to second order."""
    return dims, dims


def _layers(case: Case) -> list[tuple[int, int, bool]]:
    return [(p, q, level > 0) for level, (p, q) in enumerate(case.edges)]


def forward_flops(case: Case) -> int:
    """Operations of the loss at one point: layers, activations, and the map from jets to u, ∇u and Δu."""
    counts = counts_of(case.widths[0])
    layers = sum(layer_forward(p, q, case.degree, counts) for p, q, _ in _layers(case))
    return layers + sum(activation(units, counts)[0] for units in case.widths[1:-1]) + _mapped(case)


def closure_flops(case: Case) -> int:
    """Operations of loss and gradient at one point."""
    counts = counts_of(case.widths[0])
    layers = sum(layer_adjoint(p, q, case.degree, counts, back) for p, q, back in _layers(case))
    return forward_flops(case) + layers + sum(activation(units, counts)[1] for units in case.widths[1:-1]) + _mapped(case)


def closure_bytes(case: Case, word: int = 8) -> int:
    """Bytes of loss and gradient at one point."""
    channels = 1 + sum(counts_of(case.widths[0]))
    wide = sum(units for units in case.widths[1:-1] if units > KEPT)
    return word * (2 * channels * case.widths[0] + 2 * _leaves(case) * channels + 5 * channels * wide)


def iteration_flops(case: Case, points: int) -> int:
    """Operations of a Levenberg-Marquardt iteration whose first damping is accepted: the Jacobian, half of JᵀJ, Jᵀr twice, Jv,
    one Cholesky decomposition with two solutions, and two evaluations of the residuals. A row has T entries."""
    counts = counts_of(case.widths[0])
    entries = sum(p * q * (case.degree + 1) for p, q in case.edges)
    jacobian = forward_flops(case) + sum(layer_jacobian(p, q, case.degree, counts, back) for p, q, back in _layers(case)) + _mapped(case)
    jacobian += sum(activation(units, counts)[1] for units in case.widths[1:-1])
    row = jacobian + entries * (entries + 1) + 3 * 2 * entries + 2 * forward_flops(case)
    return points * row + case.parameters**3 // 3 + 2 * 2 * case.parameters**2


def _leaves(case: Case) -> int:
    """u, ∇u and the second derivatives along the axes."""
    return 1 + sum(counts_of(case.widths[0]))


def _mapped(case: Case) -> int:
    return 2 * _leaves(case) * (1 + sum(counts_of(case.widths[0])))


@dataclass(frozen=True)
class Ceiling:
    """Rates that a machine reaches: operations a second in a large matrix product, bytes a second in a triad a = b + s c."""

    flops: float
    bandwidth: float

    def seconds(self, flops: float, moved: float) -> float:
        """The least time for so many operations and bytes."""
        return max(flops / self.flops, moved / self.bandwidth)


def measure(device: str, dtype: torch.dtype, repetitions: int = 5, size: int | None = None, length: int | None = None) -> Ceiling:
    """The best of a few repetitions. size: of the square matrices; length: of the triad's vectors."""
    gpu = device.startswith("cuda")
    return Ceiling(_product(device, dtype, repetitions, size or (8192 if gpu else 2048)), _triad(device, dtype, repetitions, length or (2**28 if gpu else 2**24)))


def _product(device: str, dtype: torch.dtype, repetitions: int, n: int) -> float:
    A, B = torch.randn(n, n, device=device, dtype=dtype), torch.randn(n, n, device=device, dtype=dtype)
    out = torch.empty_like(A)
    return 2 * n**3 / _fastest(lambda: torch.mm(A, B, out=out), repetitions, device)


def _triad(device: str, dtype: torch.dtype, repetitions: int, n: int) -> float:
    b, c = torch.ones(n, device=device, dtype=dtype), torch.ones(n, device=device, dtype=dtype)
    a = torch.empty_like(b)
    return 3 * n * dtype.itemsize / _fastest(lambda: torch.add(b, c, alpha=0.5, out=a), repetitions, device)


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
