"""Quantities of a solution against the same ones of functions that are known."""

from math import pi

import numpy as np
import pytest
import torch

from kanpde import (
    KAN,
    Box,
    Data,
    Dirichlet,
    Disk,
    Initial,
    Interface,
    Parameter,
    Pieces,
    Problem,
    ProblemError,
    Recipe,
    Time,
    d,
    grad,
    integral,
    laplacian,
    load,
    normal_derivative,
    solve,
)


def poisson(u, x, y):
    return laplacian(u) + 2 * pi**2 * torch.sin(pi * x) * torch.sin(pi * y)


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    problem = Problem(Box(x=(0, 1), y=(0, 1)), [poisson], [Dirichlet(u=0)])
    return solve(
        problem,
        recipe=Recipe(KAN((3,), 7, 4), 300, "lm:30"),
        reference=False,
        out=tmp_path_factory.mktemp("runs"),
    )


def test_derivatives_are_those_of_the_values(solved):
    h, x = 1e-4, np.linspace(0.1, 0.9, 7)
    found = solved.evaluate(lambda u, x, y: d(u, x), x=x, y=0.3)
    assert found == pytest.approx(
        (solved(x=x + h, y=0.3) - solved(x=x - h, y=0.3)) / (2 * h), abs=1e-6
    )
    mixed = solved.evaluate(lambda u, x, y: d((1 + x) * d(u, y), x), x=x, y=0.3)
    slope = solved.evaluate(lambda u, y: d(u, y), x=x, y=0.3)
    bent = (
        solved.evaluate(lambda u, y: d(u, y), x=x + h, y=0.3)
        - solved.evaluate(lambda u, y: d(u, y), x=x - h, y=0.3)
    ) / (2 * h)
    assert mixed == pytest.approx(slope + (1 + x) * bent, abs=1e-5)


def test_it_takes_an_equation_as_it_is(solved):
    assert abs(solved.evaluate(poisson, x=0.4, y=0.7)) < 1e-2


def test_kinds_shapes_and_tuples_come_back(solved):
    number = solved.evaluate(lambda u, x: u * x, x=0.5, y=0.25)
    assert isinstance(number, float)
    assert number == pytest.approx(0.5 * solved(x=0.5, y=0.25))
    along, across = solved.evaluate(
        lambda u: grad(u), x=np.array([[0.2], [0.3]]), y=np.array([0.1, 0.5, 0.9])
    )
    assert along.shape == across.shape == (2, 3)
    tensor = solved.evaluate(lambda u: u, x=torch.tensor([0.2, 0.4]), y=0.5)
    assert tensor.dtype == torch.float32


def test_a_loaded_run_gives_the_same(solved):
    again = load(solved.run_dir, solved.problem)
    assert again.evaluate(poisson, x=0.4, y=0.7) == solved.evaluate(poisson, x=0.4, y=0.7)


def test_spans_of_time_and_parameters():
    def heat(u, k, x, t):
        return d(u, t) - k * d(u, x, x)

    def exact(x, t):
        return torch.sin(pi * x) * torch.exp(-0.1 * pi**2 * t)

    x, t = np.random.default_rng(0).uniform(0, 1, (2, 100))
    domain, conditions = (
        Box(x=(0, 1)) * Time(t=(0, 1)),
        [Dirichlet(u=0), Initial(u=lambda x: torch.sin(pi * x))],
    )
    data = Data(x=x, t=t, u=exact(*map(torch.from_numpy, (x, t))).numpy())
    found = solve(
        Problem(domain, [heat], conditions, parameters=[Parameter("k", positive=True)], data=data),
        recipe=Recipe(KAN((3,), 5, 4), 300, "lm:30"),
        reference=False,
    )
    flux = found.evaluate(lambda u, k, x: -k * d(u, x), x=0.0, t=np.array([0.2, 0.8]))
    assert flux == pytest.approx(-0.1 * pi * np.exp(-0.1 * pi**2 * np.array([0.2, 0.8])), rel=1e-2)

    def known(u, x, t):
        return heat(u, 0.1, x, t)

    spans = solve(
        Problem(domain, [known], conditions),
        recipe=Recipe(KAN((3,), 5, 4), 300, "lm:20", slabs=2),
        reference=False,
    )
    assert spans.evaluate(lambda u, t: d(u, t), x=0.5, t=np.array([0.2, 0.8])) == pytest.approx(
        -0.1 * pi**2 * np.exp(-0.1 * pi**2 * np.array([0.2, 0.8])), rel=1e-2
    )


def test_every_piece_gives_its_own():
    domain = Pieces(left=Box(x=(-1, 0)), right=Box(x=(0, 1)))
    steep = {"left": [lambda u, x: d(u, x, x)], "right": [lambda u, x: 3 * d(u, x, x)]}
    problem = Problem(
        domain,
        steep,
        [
            Dirichlet(u=0, on="x-"),
            Dirichlet(u=4, on="x+"),
            Interface(u=0, flux={"left": 1.0, "right": 3.0}),
        ],
    )
    found = solve(problem, recipe=Recipe(KAN((2,), 5, 3), 60, "lm:100"), reference=False)
    assert found.evaluate(lambda u, x: d(u, x), x=np.array([-0.5, 0.5])) == pytest.approx(
        np.array([3, 1]), abs=1e-3
    )


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda w: w, "argument 'w' is neither an unknown"),
        (lambda u: u.mean(), "expected one value a point"),
        (lambda u: None, "is a `return` missing"),
        (lambda u: 1 / 0, "division by zero"),
        (lambda u: normal_derivative(u), "normal"),
        ("stress", "expected a function"),
    ],
)
def test_functions_that_do_not_fit_are_refused(solved, function, said):
    with pytest.raises(ProblemError, match=said) as caught:
        solved.evaluate(function, x=0.5, y=0.5)
    assert "\n" not in str(caught.value)


def test_points_outside_are_refused():
    problem = Problem(
        Box(x=(-1, 1), y=(-1, 1)) - Disk(x=0, y=0, radius=0.5),
        [lambda u, x, y: laplacian(u) + 1],
        [Dirichlet(u=0)],
    )
    found = solve(problem, recipe=Recipe(KAN((2,), 3, 3), 50, "lm:2"), reference=False)
    with pytest.raises(ProblemError, match="outside of"):
        found.evaluate(lambda u: u, x=0, y=0)


def test_integrals_and_values_elsewhere_are_those_of_the_solution():
    problem = Problem(Box(x=(0, 1)), lambda u, x: d(u, x, x) - u, [Dirichlet(u=1)])
    result = solve(problem, reference=False, pictures=False)
    total = result.evaluate(lambda u: integral(u), x=0.3)
    assert total == pytest.approx(2 * np.tanh(0.5), rel=1e-9)
    middle = result.evaluate(lambda u, x: u(x=0.5) + 0 * x, x=np.array([0.1, 0.9]))
    assert middle == pytest.approx([1 / np.cosh(0.5)] * 2, rel=1e-9)
