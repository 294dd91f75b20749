"""Singular starts: what becomes of them under diffusion, and which data are built into a lift."""

import math

import pytest
import torch
from torch import where

from kanpde import Box, Dirichlet, Initial, Neumann, Periodic, Problem, Time, d, laplacian
from kanpde.networks.jets import nested_derivatives
from kanpde.networks.layers import StartLayer
from kanpde.networks.singular_data import regular
from kanpde.networks.trial_space import trial_space

rod = Box(x=(0, 1)) * Time(t=(0, 0.2))


def heat(u, x, t):
    return d(u, t) - 0.7 * d(u, x, x)


def posed(start, equation=heat, domain=rod, conditions=None):
    given = [Dirichlet(u=0)] if conditions is None else conditions
    return Problem(domain, equation, [*given, Initial(u=start)], warn=False)


def built_in(problem):
    """The names of the faces on which data are built in, and the layers."""
    found, layers = regular(problem)
    return {c.face for c in found if c.prescribed}, layers.get("u", ())


def lift_of(problem):
    return trial_space(problem).boundaries["u"].lift


def columns(x, t):
    return [torch.as_tensor(v, dtype=torch.float64) for v in (x, t)]


@pytest.mark.parametrize(
    ("jump", "bend", "at_end"), [(1.3, 0, False), (0, 2.1, False), (1, 0, True)]
)
def test_a_layer_solves_the_heat_equation_and_is_zero_when_time_begins(jump, bend, at_end):
    layer = StartLayer(0, 1.0, 0.0 if at_end else 0.3, 1, 0.0, 1.0, 0.7, jump, bend, at_end)
    points = torch.tensor([[0.1, 0.05], [0.29, 0.01], [0.31, 0.001], [0.9, 1.0]]).double()
    found = nested_derivatives(layer, points, {(0, 1), (2, 0)})
    assert torch.allclose(found[0, 1], 0.7 * found[2, 0], rtol=1e-12)
    assert not layer(columns([0.1, 0.29, 0.31, 1.0], [0.0] * 4)).any()


def test_the_kink_of_a_start_is_gone_at_once():
    lift = lift_of(posed(lambda x: 1 - 2 * (x - 0.5).abs()))
    for t in (1e-6, 1e-3, 0.1):
        at = torch.tensor([[0.5 - 1e-9, t], [0.5, t], [0.5 + 1e-9, t]]).double()
        slopes = nested_derivatives(lift, at, {(1, 0)})[1, 0]
        # By symmetry the slope vanishes; that of the start is 2.
        assert slopes.abs().max() < 1e-5
    peak = lift(columns([0.5], [1e-3]))
    assert peak == pytest.approx(1 - 4 * math.sqrt(0.7e-3 / math.pi), rel=1e-9)


def test_a_step_is_smooth_at_once_and_a_grid_line_on_it_too():
    lift = lift_of(posed(lambda x: where((x > 0.3) & (x < 0.6), 1.0, 0.0)))
    x = [0.3 - 1e-12, 0.3, 0.3 + 1e-12, 0.6 - 1e-12, 0.6, 0.6 + 1e-12]
    assert torch.allclose(
        lift(columns(x, [1e-4] * 6)), torch.full((6,), 0.5, dtype=torch.float64), atol=1e-8
    )


def test_conditions_still_hold_exactly():
    problem = posed(lambda x: 1 - 2 * (x - 0.4).abs(), conditions=[Dirichlet(u=lambda t: 3 + t)])
    solution = trial_space(problem).solution(
        trial_space(problem).initial(torch.Generator().manual_seed(0))
    )
    x = torch.linspace(0.01, 0.99, 50).double()
    start = solution(torch.stack([x, 0 * x], 1))[:, 0]
    assert torch.allclose(start, 1 - 2 * (x - 0.4).abs(), atol=1e-14)
    for end in (0.0, 1.0):
        at = torch.stack([torch.full_like(x, end), 0.2 * x], 1)
        assert torch.allclose(solution(at)[:, 0], 3 + 0.2 * x, atol=1e-13)


def test_a_value_that_contradicts_the_start_gets_a_layer_at_its_end():
    faces, layers = built_in(
        posed(0, conditions=[Dirichlet(u=1, on="x-"), Dirichlet(u=0, on="x+")])
    )
    assert faces == {"x-", "x+", "t-"}
    assert [(layer.place, layer.jump, layer.at_end) for layer in layers] == [(0, 1, True)]


@pytest.mark.parametrize(
    ("equation", "kappa"),
    [
        (lambda u, x, t: 2 * d(u, t) - 3 * d(u, x, x), 1.5),
        (lambda u, x, t: d(u, t) - d((1 + x**2) * d(u, x), x) + u * d(u, x), 1.09),
        (lambda u, x, t: d(u, t) - d((2 + u) * d(u, x), x), 2.3),
    ],
)
def test_the_diffusivity_is_that_of_the_equation_where_the_kink_is(equation, kappa):
    _, layers = built_in(posed(lambda x: (x - 0.3).clamp_min(0) + 0.3, equation))
    assert layers[0].diffusivity == pytest.approx(kappa, rel=1e-6)
    assert (layers[0].place, layers[0].bend) == (pytest.approx(0.3), pytest.approx(1))


@pytest.mark.parametrize(
    "problem",
    [
        # A wave, a diffusivity on the slope, a plane, a periodic line, slopes unseen by autograd.
        posed(lambda x: (x - 0.3).abs(), lambda u, x, t: d(u, t) + d(u, x), conditions=[]),
        posed(lambda x: (x - 0.3).abs(), lambda u, x, t: d(u, t) - d(d(u, x) ** 3, x)),
        posed(
            lambda x, y: (x - 0.3).abs() + y,
            lambda u, x, y, t: d(u, t) - laplacian(u),
            Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 1)),
            [Neumann(u=0)],
        ),
        posed(lambda x: x, conditions=[Periodic("x")]),
        posed(lambda x: torch.tanh(x.detach())),
    ],
)
def test_other_singular_starts_are_not_built_in(problem):
    faces, layers = built_in(problem)
    assert "t-" not in faces
    assert not layers


def test_boundary_values_that_bend_are_not_built_in():
    faces, _ = built_in(posed(0, conditions=[Dirichlet(u=lambda t: where(t > 0.1, t - 0.1, 0.0))]))
    assert faces == {"t-"}


@pytest.mark.parametrize(
    "start",
    [
        0,
        lambda x: torch.sin(x),
        lambda x: where(x > 0.5, (x - 0.5) ** 4, 0.0),
        lambda x: torch.exp(-x),
    ],
)
def test_smooth_data_are_built_in_as_they_are(start):
    ends = [
        Dirichlet(u=float(start(torch.tensor(x).double())) if callable(start) else start, on=face)
        for face, x in (("x-", 0.0), ("x+", 1.0))
    ]
    problem = posed(start, conditions=ends)
    assert built_in(problem) == ({"x-", "x+", "t-"}, ())
