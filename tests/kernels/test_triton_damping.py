"""Damped normal equations: the plain path against their definition, Triton against the plain path,
compiled where there is a GPU, in Triton's interpreter elsewhere."""

import math

import pytest
import torch
from compiled_or_interpreted import DEVICE

from kanpde.kernels import damping, damping_judged, damping_rescaled, triton_damping

SIZES = {"root": [], "layer": [4, 0, 7], "one layer": [11], "many": [10, 0, 9, 2]}


def equations(size, dtype=torch.float64, line=None):
    """JᵀJ, of which rows lie `line` numbers apart, Jᵀr and r·r."""
    J, r = torch.randn(2 * size, size, dtype=torch.float64), torch.randn(2 * size).double()
    J[:, 1] = 0
    J[:, -1] *= 1e-9
    apart = torch.zeros(size, line or size, dtype=torch.float64)
    apart[:, :size] = J.T @ J
    apart, slope, squares = (x.to(DEVICE, dtype) for x in (apart, J.T @ r, r @ r))
    return apart[:, :size], slope, squares


@pytest.mark.parametrize("case", SIZES)
def test_what_triton_rescales_is_what_the_plain_path_does(case, monkeypatch):
    monkeypatch.setattr(triton_damping, "BLOCK_COLUMNS", 16)
    monkeypatch.setattr(triton_damping, "LINE", 16)
    size = sum(SIZES[case]) or 13
    given = *equations(size, line=size + 5), SIZES[case]
    for found, wanted in zip(
        triton_damping.rescaled(*given), damping.rescaled(*given), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-13, atol=0)


def test_it_stays_float32():
    given = *equations(9, torch.float32), []
    for found, wanted in zip(
        triton_damping.rescaled(*given), damping.rescaled(*given), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=0)


def test_the_equations_are_those_of_divided_parameters():
    normal, slope, squares = equations(9)
    scaled, diagonal, W, descent, numbers = damping.rescaled(normal, slope, squares, [])
    torch.testing.assert_close(scaled, torch.diag(W) @ normal @ torch.diag(W))
    torch.testing.assert_close(descent, -torch.diag(W) @ slope)
    torch.testing.assert_close(diagonal, scaled.diagonal())
    assert numbers.tolist() == [float(squares), float(diagonal.max())]


@pytest.mark.parametrize("kernels", [damping, triton_damping])
@pytest.mark.parametrize(
    ("failed", "length", "accept", "taken"),
    [(0, 1.0, 2.0, True), (0, 1.01, 2.0, False), (3, 0.1, 2.0, False), (0, math.nan, 2.0, False)],
)
def test_a_step_is_taken_that_is_one_and_bends_little(kernels, failed, length, accept, taken):
    velocity = torch.zeros(700, dtype=torch.float64, device=DEVICE)
    correction = velocity.clone()
    velocity[3], correction[699] = -1, length
    squares = torch.tensor(0.25, dtype=torch.float64, device=DEVICE)
    failed = torch.tensor(failed, dtype=torch.int32, device=DEVICE)
    found = kernels.judged(squares, failed, velocity, correction, accept)
    assert float(found) == (0.25 if taken else math.inf)


def test_the_operators_are_registered_soundly():
    normal, slope, squares = equations(4)
    torch.library.opcheck(damping_rescaled, (normal, slope, squares, [1, 3]))
    failed = torch.zeros((), dtype=torch.int32, device=DEVICE)
    torch.library.opcheck(damping_judged, (squares, failed, slope, slope, 2.0))


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ("normal, slope", {"slope": torch.zeros(3).double()}),
        ("squares", {"squares": torch.zeros(1).double()}),
        ("sizes", {"sizes": [2, 3]}),
    ],
)
def test_bad_arguments_are_named(argument, change):
    normal, slope, squares = (x.cpu() for x in equations(4))
    given = {"normal": normal, "slope": slope, "squares": squares, "sizes": [2, 2]}
    damping_rescaled(**given)
    with pytest.raises(ValueError, match=f"^{argument}: got .*expected"):
        damping_rescaled(**{**given, **change})
