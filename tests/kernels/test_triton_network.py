# ruff: noqa: E402 -- the interpreter is chosen before triton is imported
"""Whole networks in one launch, against the layers one by one: compiled where there is a GPU, in Triton's interpreter elsewhere."""

import os
import sys
from itertools import pairwise

import pytest
import torch

CUDA = torch.cuda.is_available()
if not CUDA and "triton" not in sys.modules:
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when triton is first imported
pytest.importorskip("triton")

from kanpde.kernels import activation, reference, triton_network, uniform_knots
from kanpde.kernels.taylor import channels
from kanpde.kernels.triton_algebra import INTERPRETED

pytestmark = pytest.mark.skipif(not CUDA and not INTERPRETED, reason="triton was imported before its interpreter was asked for")
DEVICE = "cuda" if CUDA else "cpu"

CASES = {
    "2-10-1": (33, (2, 10, 1), 3, 5, (2, 2)),
    "three layers": (17, (2, 3, 5, 2), 2, 3, (2, 1)),
    "one layer": (3, (3, 2), 3, 4, (1,)),
    "one point, order 4": (1, (1, 2, 1), 5, 2, (1, 1, 1, 1)),
    "values only, sines": (20, (2, 17, 1), 1, 2, ()),
    "no points": (0, (2, 3, 1), 3, 4, (2, 2)),
}
"""Points, widths, degree, grid, counts."""


def network(points, widths, degree, grid, counts, dtype=torch.float64, kind="tanh"):
    """theta, X, L and the plan."""
    knots = [uniform_knots(w, -1.0, 1.0, grid, degree, dtype, DEVICE) for w in widths[:-1]]
    affine = [(torch.linspace(-0.1, 0.2, w).to(DEVICE, dtype), torch.linspace(0.7, 1.2, w).to(DEVICE, dtype)) for w in widths[1:-1]]
    theta = 0.5 * torch.randn(sum(p * q for p, q in pairwise(widths)) * (grid + degree), dtype=torch.float64)
    X, L = (torch.randn(points, channels(counts), w, dtype=torch.float64) for w in (widths[0], widths[-1]))
    return *(t.to(DEVICE, dtype) for t in (theta, X.clamp(-1.1, 1.1), L)), triton_network.plan(widths, degree, knots, affine, kind), knots, affine


def layer_by_layer(theta, X, L, at, knots, affine, counts):
    """The jets of all levels, and the gradient."""
    theta, jets = theta.clone().requires_grad_(), [X]
    sizes = [p * q * at.functions for p, q in pairwise(at.widths)]
    for i, part in enumerate(theta.split(sizes)):
        if i:
            jets.append(activation.forward(at.kind, jets[-1], *affine[i - 1], counts))
        jets.append(reference.forward(jets[-1], part.view(at.widths[i], at.functions, at.widths[i + 1]), knots[i], counts))
    (gradient,) = torch.autograd.grad(jets[-1], theta, L)
    return [jet.detach() for jet in jets], gradient


@pytest.mark.parametrize("case", CASES)
def test_jets_and_gradient_are_those_of_the_layers_and_of_autograd(case):
    counts = CASES[case][-1]
    theta, X, L, at, knots, affine = network(*CASES[case], kind="sin" if "sines" in case else "tanh")
    wanted, slope = layer_by_layer(theta, X, L, at, knots, affine, counts)
    jets = triton_network.forward(theta, X, at, counts)
    assert [jet.shape for jet in jets] == [jet.shape for jet in wanted]
    for found, jet in zip(jets, wanted, strict=True):
        torch.testing.assert_close(found, jet, rtol=0, atol=1e-12 * float(jet.abs().max()) if jet.numel() else 0)
    torch.testing.assert_close(triton_network.gradient(theta, jets, L, at, counts), slope, rtol=0, atol=1e-12 * max(1, float(slope.abs().max())))


def test_float32_stays_float32_and_every_time_the_same():
    counts = (2, 1)
    theta, X, L, at, knots, affine = network(130, (2, 4, 1), 2, 3, counts, torch.float32)
    wanted, slope = layer_by_layer(theta, X, L, at, knots, affine, counts)
    jets = triton_network.forward(theta, X, at, counts)
    gradient = triton_network.gradient(theta, jets, L, at, counts)
    assert {jet.dtype for jet in jets} == {gradient.dtype} == {torch.float32}
    torch.testing.assert_close(jets[-1], wanted[-1], rtol=0, atol=1e-5 * float(wanted[-1].abs().max()))
    torch.testing.assert_close(gradient, slope, rtol=0, atol=1e-5 * float(slope.abs().max()))
    again = triton_network.forward(theta, X, at, counts)
    assert all(torch.equal(a, b) for a, b in zip(jets, again, strict=True))
    assert torch.equal(triton_network.gradient(theta, again, L, at, counts), gradient)


def test_jets_may_lie_anywhere():
    theta, X, L, at, _, _ = network(5, (2, 3, 1), 2, 3, (1,))
    jets = triton_network.forward(theta, X, at, (1,))
    apart = [jet.transpose(0, 2).contiguous().transpose(0, 2) for jet in jets]
    assert torch.equal(triton_network.gradient(theta, apart, L, at, (1,)), triton_network.gradient(theta, jets, L, at, (1,)))


@pytest.mark.parametrize(
    ("argument", "change"),
    [("widths", {"widths": (2, 33, 1)}), ("knots", {"widths": (3, 4, 1)}), ("affine", {"affine": []})],
)
def test_what_does_not_fit_is_named(argument, change):
    *_, knots, affine = network(1, (2, 4, 1), 3, 5, (1,))
    with pytest.raises(ValueError, match=f"^{argument}: got .*expected"):
        triton_network.plan(**{"widths": (2, 4, 1), "degree": 3, "knots": knots, "affine": affine, **change})
