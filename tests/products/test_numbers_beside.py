"""Numbers that conditions determine beside products of splines, in several coordinates."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import curve_fit
from torch import pi, sin

from kanpde import (
    Box,
    Condition,
    Data,
    Dirichlet,
    Field,
    Initial,
    Neumann,
    Parameter,
    Problem,
    ProblemError,
    Time,
    d,
    laplacian,
    mean,
)
from kanpde.inverse.beside import ProductFactors
from kanpde.inverse.estimates import estimate
from kanpde.inverse.sensed import SensedByProducts
from kanpde.products.adaptive import adaptive
from kanpde.products.normal import normal
from kanpde.products.progress import Settings
from kanpde.reference.solution import reference
from kanpde.results.compared import compared
from kanpde.training.history import History, Silent


def solved(problem, tolerance=1e-9):
    refined = adaptive(problem, Settings(tolerance))
    progress = refined.begin()
    while not progress.finished:
        progress = refined.advance(progress)
    assert not progress.missed, progress.missed
    return refined.solution(progress)


CONDUCTIVITY, LENGTH = 40.0, 0.1


def plate():
    """A steel plate, in SI units: the flux that brings its mean from 300 K to 350 K."""
    return Problem(
        Box(x=(0, LENGTH), y=(0, 0.05)),
        [lambda T, x, y: laplacian(T)],
        [
            Dirichlet(T=300, on="x-"),
            Neumann(T=0, on=("y-", "y+")),
            Condition(lambda T, q, x: CONDUCTIVITY * d(T, x) - q, on="x+"),
            Condition(lambda T: mean(T) - 350),
        ],
        parameters=[Parameter("q", initial=1e3)],
    )


def cooling():
    """The diffusivity by which the middle has cooled to a fifth at the end, not linear."""
    return Problem(
        Box(x=(0, 1)) * Time(t=(0, 1)),
        [lambda u, k, x, t: d(u, t) - k * d(u, x, x)],
        [
            Dirichlet(u=0),
            Initial(u=lambda x: sin(pi * x)),
            Condition(lambda u: u(x=0.5, t=1) - 0.2),
        ],
        parameters=[Parameter("k", initial=0.05, positive=True)],
    )


def screened():
    """The screening by which the slope at a side is what it is for 7.3: a condition more there."""
    root = math.sqrt(7.3)
    return Problem(
        Box(x=(0, 1), y=(0, 1)),
        [lambda u, c, x, y: laplacian(u) - c * u],
        [
            Dirichlet(u=1, on="x+"),
            Neumann(u=0, on=("x-", "y-", "y+")),
            Condition(lambda u, x: d(u, x) - root * math.tanh(root), on="x+"),
        ],
        parameters=[Parameter("c")],
    )


@pytest.mark.parametrize(
    ("problem", "name", "truth"),
    [
        (plate, "q", CONDUCTIVITY * 2 * 50 / LENGTH),
        (cooling, "k", math.log(5) / math.pi**2),
        (screened, "c", 7.3),
    ],
    ids=["plate", "cooling", "screened"],
)
def test_numbers_are_found(problem, name, truth):
    assert solved(problem()).numbers()[name] == pytest.approx(truth, rel=1e-9)


def test_references_find_them_for_themselves():
    found = reference(plate(), effort="quick")
    truth = CONDUCTIVITY * 2 * 50 / LENGTH
    assert found.numbers["q"] == pytest.approx(truth, rel=1e-9)
    assert abs(found.numbers["q"] / truth - 1) <= found.estimated_errors["q"]


def twice(u, a, b, x, y):
    """Two numbers of which only the sum is felt."""
    return laplacian(u) + (a + b) * sin(pi * x) * sin(pi * y)


def test_numbers_that_conditions_leave_open_are_an_error():
    values = [Condition(lambda u: u(x=0.5, y=0.5) - 1), Condition(lambda u: u(x=0.2, y=0.3) - 1)]
    both = [Parameter("a"), Parameter("b")]
    square = Box(x=(0, 1), y=(0, 1))
    with pytest.raises(ProblemError, match="parameter 'b': nothing determines it: 1 condition"):
        Problem(square, [twice], [Dirichlet(u=0), values[0]], parameters=both)
    problem = Problem(square, [twice], [Dirichlet(u=0), *values], parameters=both)
    with pytest.raises(ProblemError, match="parameters a, b: conditions do not determine them"):
        solved(problem)


def test_a_border_is_what_full_equations_have():
    refined = adaptive(plate(), Settings(1e-6))
    progress = refined.advance(refined.begin())
    squares = refined._squares(progress)
    C = np.random.default_rng(0).standard_normal(progress.at.C.shape)
    weights = squares.weights(C)
    found = normal(squares.rows, C, squares.index, weights, squares.border)
    size = squares.free + squares.border.count
    J = []
    for one in np.eye(size):
        D, parts = squares.spread(one), zip(weights, squares.rows, strict=True)
        J.append([w**0.5 * rows.pushed(rows.linear(C)[1], D).ravel() for w, rows in parts])
    J = np.stack([np.concatenate(each) for each in J], 1)
    parts = zip(weights, squares.rows, strict=True)
    r = np.concatenate([w**0.5 * rows.linear(C)[0].ravel() for w, rows in parts])
    scale = np.linalg.norm(J, axis=0)
    wanted = -np.linalg.lstsq(J / scale, r, rcond=None)[0] / scale
    step = found.factor().step(found.slope)
    assert np.linalg.norm(J @ (step - wanted)) < 1e-6 * np.linalg.norm(J @ wanted)
    assert torch.allclose(torch.from_numpy(found.slope), torch.from_numpy(J.T @ r), rtol=1e-9)


def rod():
    """A rod's temperatures with noise, and its conductivity from them."""
    rng = np.random.default_rng(0)
    x, t = rng.uniform(0, 1, (2, 40))
    u = np.exp(-0.3 * np.pi**2 * t) * np.sin(np.pi * x) + 0.01 * rng.standard_normal(40)
    return Problem(
        Box(x=(0, 1)) * Time(t=(0, 1)),
        [lambda u, k, x, t: d(u, t) - k * d(u, x, x)],
        [Dirichlet(u=0), Initial(u=lambda x: sin(pi * x))],
        parameters=[Parameter("k", positive=True)],
        data=[Data(x=x, t=t, u=u, noise=0.01)],
    )


def test_numbers_from_data_are_those_of_the_nearest_solution():
    """By the solution in closed form, fitted with SciPy: the number and its standard error."""
    problem = rod()
    (measured,) = problem.data
    refined = adaptive(problem, Settings(1e-5))
    progress = refined.begin()
    while not progress.finished:
        progress = refined.advance(progress)
    solution = refined.solution(progress)
    factors = ProductFactors(problem, refined.lowered(progress), progress.at.C)
    (found,) = estimate(problem, solution, SensedByProducts(factors, solution.numbers())).numbers

    def closed(at, k):
        return np.exp(-k * np.pi**2 * at[1]) * np.sin(np.pi * at[0])

    at, values = measured.points.numpy().T, measured.values[:, 0].numpy()
    (k,), ((variance,),) = curve_fit(closed, at, values, 0.3, np.full(40, 0.01), True)
    assert found.value == pytest.approx(k, rel=1e-5)
    assert found.standard_error == pytest.approx(math.sqrt(variance), rel=1e-2)


def test_a_coefficient_is_found_from_final_values():
    """u_t = κ u_xx + f(x), with u given at the beginning and at the end."""
    rate = 0.3 * math.pi**2

    def final(x):
        return (1 - math.exp(-rate)) / rate * sin(pi * x)

    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 1)),
        [lambda u, f, x, t: d(u, t) - 0.3 * d(u, x, x) - f],
        [
            Dirichlet(u=0),
            Initial(u=0),
            Condition(lambda u, x: u(t=1) - final(x), on="t-"),
        ],
        parameters=[Field("f", of="x")],
    )
    solution = solved(problem, 1e-5)
    x = torch.linspace(0, 1, 101, dtype=torch.float64)
    for t in (0.0, 0.7):
        found = solution(torch.stack([x, torch.full_like(x, t)], 1))[:, 1]
        assert float((found - sin(pi * x)).abs().max()) < 1e-5
    judged = compared(problem, solution, History(), True, {}, Silent())
    assert judged.gaps["f"].relative < 1e-5
    assert judged.reference.estimated_errors["f"] < 1e-10
