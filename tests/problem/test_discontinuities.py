"""Equations that differentiate what jumps: refused, with the place; what only looks like it is
not."""

import re

import numpy
import pytest
import torch
from torch import where

from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Disk,
    Initial,
    Parameter,
    Problem,
    ProblemError,
    ProblemWarning,
    Time,
    d,
    div,
    grad,
)

rod, plate = Box(x=(0, 1)), Box(x=(0, 1), y=(0, 1))
layers = torch.tensor([1.0, 2.0, 2.0, 7.0], dtype=torch.float64)


def built(equation, domain, *further, **more):
    conditions = [Dirichlet(u=0), *further] + ([Initial(u=0)] if domain.time else [])
    return Problem(domain, equation, conditions, unknowns=["u"], warn=False, **more)


def refused(equation, domain, **more):
    with pytest.raises(ProblemError) as error:
        built(equation, domain, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


def place(message):
    """The coordinates and their values that a message names."""
    found = re.search(r"jumps at (.*?)(?: \((.*?)\))?, (?:by a factor|from)", message)
    return {k: float(v) for k, v in re.findall(r"(\w+) = ([-\d.e+]+)", found[1])}, found[2]


def flux(k):
    """The equation of a steady flux with a coefficient."""
    return lambda u, x: d(k(x) * d(u, x), x)


@pytest.mark.parametrize(
    ("coefficient", "at", "operation"),
    [
        (lambda x: where(x < 0.5, 1.0, 10.0), 0.5, "<"),
        (lambda x: 1 + 9 * (x > 0.3), 0.3, ">"),
        (lambda x: 1 + torch.floor(2 * x), 0.5, "floor"),
        (lambda x: 2 + torch.sign(x - 0.3), 0.3, "sign"),
        (lambda x: 1 + torch.heaviside(x - 0.7, torch.zeros_like(x)), 0.7, "heaviside"),
        (lambda x: 1 + x % 0.6, 0.6, "%"),
        (lambda x: layers[(4 * x).long().clamp(0, 3)], 0.75, "an index"),
        (lambda x: torch.ones_like(x).masked_fill(x >= 0.4, 3.0), 0.4, ">="),
        # Thinner than any grid of points would see.
        (lambda x: where((x > 0.5) & (x < 0.50001), 1.0, 2.0), 0.5, ">"),
        # By the values alone.
        (lambda x: torch.from_numpy(numpy.where(x.detach().numpy() < 0.77, 1.0, 2.0)), 0.77, None),
        (lambda x: 2 + torch.atan(1 / (x - 0.35)), 0.35, None),
    ],
)
def test_a_jump_under_a_derivative_is_refused_with_its_place(coefficient, at, operation):
    found, by = place(refused(flux(coefficient), rod))
    assert found == {"x": pytest.approx(at, abs=1e-7)}
    assert by == operation


@pytest.mark.parametrize("low", [0.0, 1e5])
@pytest.mark.parametrize("length", [1e-6, 1.0, 1e4])
def test_the_place_is_found_in_every_unit_and_with_an_offset(low, length):
    middle = low + 0.4 * length
    box = Box(x=(low, low + length))
    found, _ = place(refused(flux(lambda x: where(x < middle, 1.38, 401.0)), box))
    assert found["x"] == pytest.approx(middle, abs=1e-6 * length + 1e-8 * middle)


def test_in_the_plane_a_material_is_found_however_small_it_is():
    def conduction(u, x, y):
        inside = (x - 0.6) ** 2 + (y - 0.4) ** 2 < 0.03**2
        return div([where(inside, 5.0, 1.0) * slope for slope in grad(u)])

    message = refused(conduction, plate)
    found, _ = place(message)
    assert (found["x"] - 0.6) ** 2 + (found["y"] - 0.4) ** 2 == pytest.approx(0.03**2, rel=1e-3)
    assert "Pieces(inside=…, outside=…)" in message


def test_the_way_out_is_code_that_builds():
    message = refused(lambda u, x, y: div([where(y < 0.25, 5.0, 1.0) * g for g in grad(u)]), plate)
    assert "Pieces(left=Box(x=(0, 1), y=(0, 0.25)), right=Box(x=(0, 1), y=(0.25, 1)))" in message


def test_in_time_only_what_jumps_along_the_derivative_is_refused():
    moving = rod * Time(t=(0, 1))

    def heat(k):
        return lambda u, x, t: d(u, t) - d(k(x, t) * d(u, x), x)

    assert place(refused(heat(lambda x, t: where(x < 0.5, 1.0, 10.0)), moving))[0] == {
        "x": pytest.approx(0.5)
    }
    found, _ = place(refused(heat(lambda x, t: where(x < 0.5 * t, 1.0, 10.0)), moving))
    assert found["x"] == pytest.approx(0.5 * found["t"], rel=1e-5)
    built(heat(lambda x, t: where(t < 0.5, 1.0, 10.0)), moving)
    built(lambda u, x, t: d(where(x < 0.5, 1.0, 10.0) * u, t) - d(u, x, x), moving)


def test_outside_a_box_too():
    ring = Disk(x=0, y=0, radius=1) - Disk(x=0, y=0, radius=0.2, name="hole")
    found, _ = place(
        refused(lambda u, x, y: div([where(x < 0.5, 5.0, 1.0) * g for g in grad(u)]), ring)
    )
    assert found["x"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("equation", "at"),
    [
        (lambda u, x: d(where(u > 273.15, 1.0, 10.0) * d(u, x), x), ("u", 273.15)),
        (lambda u, x: d(torch.sign(d(u, x)), x), ("u_x", 0.0)),
    ],
)
def test_a_jump_of_the_unknown_under_a_derivative_is_refused(equation, at):
    found, _ = place(refused(equation, rod))
    assert found == {at[0]: pytest.approx(at[1], abs=1e-6)}


@pytest.mark.parametrize(
    "equation",
    [
        lambda u, x: d(u, x, x) - where(x < 0.5, 1.0, 0.0),
        lambda u, x: where(x < 0.5, 1.0, 10.0) * d(u, x, x),
        lambda u, x: d(u, x, x) + torch.sign(d(u, x)) + u.abs(),
        lambda u, x: d(where(x > 0.5, (x - 0.5) ** 4, 0.0) * d(u, x), x, x) + d(u, x, x),
        lambda u, x: d((1 + (x - 0.5).abs()) * d(u, x), x),
        lambda u, x: d(torch.relu(u) * d(u, x), x),
        lambda u, x: d(torch.sign(d(u, x)) * d(u, x) ** 2, x),
        lambda u, x: d(where(u.abs() > 1e-9, u**3 / u.abs(), 0 * u) * d(u, x), x),
        lambda u, x: d(where(x != 0.5, 2.0, 1.0) * d(u, x), x),
        lambda u, x: d(torch.tanh((x - 0.5) / 1e-5) * d(u, x), x),
        lambda u, x: d(d(u, x) / (x - 0.512), x),
        lambda u, x: d(x.sqrt() * d(u, x), x),
        lambda u, x: d(u.sqrt() * d(u, x) * torch.exp(-1e4 / u), x),
    ],
)
def test_what_does_not_jump_under_a_derivative_is_not_refused(equation):
    built(equation, rod)


@pytest.mark.parametrize(
    "equation",
    [
        lambda u, x: d((x - 0.5).abs() * d(u, x), x, x),
        lambda u, x: d(where(x < 0.3, 1.0, 2.0) * d(u, x, x), x, x),
    ],
)
def test_a_kink_counts_where_the_slope_is_differentiated_again(equation):
    refused(equation, rod)


@pytest.mark.parametrize(
    "coefficient",
    [
        lambda u, x: torch.from_numpy(numpy.interp(x.detach().numpy(), [0, 0.4, 1], [1, 3, 2])),
        lambda u, x: 1 + u.detach() ** 2,
    ],
)
def test_what_changes_unseen_by_autograd_is_refused(coefficient):
    assert "unseen" in refused(lambda u, x: d(coefficient(u, x) * d(u, x), x), rod)


def test_a_jump_too_small_to_matter_is_said():
    with pytest.warns(ProblemWarning, match=r"jumps at u = 5"):
        built(lambda u, x: d(where(u < 5, 1.0, 1.0001) * d(u, x), x), rod)


def test_a_parameter_that_is_a_number_does_not_change_from_place_to_place():
    built(
        lambda u, k, x, y: d(where(k > 0.7, 1.0, 2.0) * d(u, x), x) + d(u, y, y) + 1,
        plate,
        Condition(lambda u: u(x=0.5, y=0.5) - 0.1),
        parameters=Parameter("k", initial=1.0),
    )
