"""Ordinary differential equations, on Time alone, beside SciPy's integrators and closed forms."""

from functools import cache

import numpy as np
import pytest
import torch
from refined import solved
from scipy.integrate import solve_bvp, solve_ivp

import kanpde
from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Initial,
    Neumann,
    Periodic,
    Problem,
    Time,
    d,
)
from kanpde.problem.file import load
from kanpde.products.posed import marched
from kanpde.reference import reference


def by_scipy(rates, start, end, method="DOP853", rtol=3e-13, **more):
    """The solution by SciPy as a function of times, [states, times]."""
    found = solve_ivp(
        rates, (0.0, end), start, method, dense_output=True, rtol=rtol, atol=1e-15, **more
    )
    assert found.success
    return found.sol


def worst(solution, truth, times):
    """Largest relative L2 error of an unknown."""
    values = solution(torch.from_numpy(times)[:, None]).numpy().T
    wanted = truth(times)[: len(values)]
    return float((np.linalg.norm(values - wanted, axis=1) / np.linalg.norm(wanted, axis=1)).max())


def epidemic():
    caught, healed = 0.5, 0.2

    def spread(s, i, r, t):
        return d(s, t) + caught * s * i, d(i, t) - caught * s * i + healed * i, d(r, t) - healed * i

    problem = Problem(Time(t=(0, 100)), [spread], [Initial(s=0.999, i=0.001, r=0)])

    def rates(t, y):
        new = caught * y[0] * y[1]
        return [-new, new - healed * y[1], healed * y[1]]

    return problem, by_scipy(rates, [0.999, 0.001, 0], 100)


def pendulum():
    """In metres and seconds, over ten seconds."""
    pull = 9.81 / 0.25

    def motion(angle, t):
        return d(angle, t, t) + pull * torch.sin(angle)

    problem = Problem(Time(t=(0, 10)), [motion], [Initial(angle=1, angle_t=0)])
    return problem, by_scipy(lambda t, y: [y[1], -pull * np.sin(y[0])], [1, 0], 10)


@cache
def oscillator():
    problem = Problem(Time(t=(0, 10)), [lambda y, t: d(y, t, t) + 4 * y], [Initial(y=1, y_t=-0.5)])
    return problem, lambda t: [np.cos(2 * t) - 0.25 * np.sin(2 * t)]


@cache
def third_order():
    problem = Problem(
        Time(s=(0, 2)),
        [lambda y, s: d(y, s, s, s) + d(y, s)],
        [Initial(y=0, y_s=0, y_ss=2)],
    )
    return problem, lambda s: [2 - 2 * np.cos(s)]


@cache
def robertson():
    """To t = 100, as two reactions and what is kept."""

    def reaction(a, b, c, t):
        first, second, third = 0.04 * a, 1e4 * b * c, 3e7 * b**2
        return d(a, t) + first - second, d(b, t) - first + second + third, d(c, t) - third

    problem = Problem(Time(t=(0, 100)), [reaction], [Initial(a=1, b=0, c=0)])

    def rates(t, y):
        first, second, third = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
        return [second - first, first - second - third, third]

    return problem, by_scipy(rates, [1, 0, 0], 100, "Radau")


@cache
def lorenz():
    def rates(t, y):
        return [10 * (y[1] - y[0]), y[0] * (28 - y[2]) - y[1], y[0] * y[1] - 8 / 3 * y[2]]

    problem = load("lorenz")[0].replace(domain=Time(t=(0, 1)))
    return problem, by_scipy(rates, [1, 1, 1], 1)


def van_der_pol():
    problem = load("van_der_pol")[0].replace(domain=Time(t=(0, 810)))

    def rates(t, y):
        return [y[1], 1000 * (1 - y[0] ** 2) * y[1] - y[0]]

    def slopes(t, y):
        return [[0, 1], [-2000 * y[0] * y[1] - 1, 1000 * (1 - y[0] ** 2)]]

    return problem, by_scipy(rates, [2, 0], 810, "Radau", 1e-10, jac=slopes)


@cache
def back_from_the_end():
    """Lorenz's equations from where they come to at t = 0.5."""

    def rates(t, y):
        return [10 * (y[1] - y[0]), y[0] * (28 - y[2]) - y[1], y[0] * y[1] - 8 / 3 * y[2]]

    truth = by_scipy(rates, [1, 1, 1], 0.5)
    x, y, z = truth(0.5)
    equations = load("lorenz")[0].stated.equations
    return Problem(Time(t=(0, 0.5)), equations, [Dirichlet(x=x, y=y, z=z, on="t+")]), truth


def swing_to_the_end():
    """Value and rate at the end."""
    problem = Problem(
        Time(t=(0, 3)),
        [lambda y, t: d(y, t, t) + 2 * y],
        [Dirichlet(y=1, on="t+"), Neumann(y=2, on="t+")],
    )
    w = 2**0.5
    return problem, lambda t: [np.cos(w * (t - 3)) + 2 / w * np.sin(w * (t - 3))]


MARCHED = (
    epidemic,
    pendulum,
    oscillator,
    third_order,
    robertson,
    lorenz,
    back_from_the_end,
    swing_to_the_end,
)


@pytest.mark.parametrize("case", MARCHED, ids=lambda case: case.__name__)
def test_initial_and_terminal_values_are_marched_from(case):
    problem, truth = case()
    assert marched(problem) == problem.coordinates[0]
    solution, progress = solved(problem, 1e-8)
    assert not progress.missed
    low, high = problem.domain.bounds[problem.coordinates[0]]
    early = low + (high - low) * np.geomspace(1e-8, 1, 200)[:-1]
    assert worst(solution, truth, np.r_[np.linspace(low, high, 1001)[:-1], early]) < 1e-8


def test_van_der_pol_over_half_a_period():
    problem, truth = van_der_pol()
    solution, progress = solved(problem, 1e-6)
    assert not progress.missed
    assert worst(solution, truth, np.linspace(0, 810, 4001)) < 1e-6


@pytest.mark.parametrize("case", [lorenz, back_from_the_end, third_order])
def test_references_march_on_time_alone(case):
    problem, truth = case()
    found = reference(problem, cells=64)
    assert "marched" in found.kind
    (times,) = found.coordinates.values()
    for values, wanted in zip(found.values.values(), truth(times), strict=False):
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())


def test_time_and_a_box_of_time_are_one_thing():
    def motion(y, t):
        return d(y, t, t) + 4 * y

    ways = [
        Problem(Time(t=(0, 3)), [motion], [Initial(y=1, y_t=0.5)]),
        Problem(Box(t=(0, 3)), [motion], [Initial(y=1, y_t=0.5)]),
        Problem(Time(t=(0, 3)), [motion], [Dirichlet(y=1, on="t-"), Neumann(y=-0.5, on="t-")]),
    ]
    at = torch.linspace(0, 3, 50, dtype=torch.float64)[:, None]
    first, *others = (solved(problem, 1e-8)[0](at) for problem in ways)
    for other in others:
        assert torch.equal(first, other)


def test_a_march_back_gives_a_solution_in_the_order_of_time():
    problem, truth = back_from_the_end()
    solution, _ = solved(problem, 1e-8)
    begins = [span.axes[-1].ends[0] for span in solution.spans]
    assert begins == sorted(begins)
    assert solution.whole
    rates = solution.derivatives(torch.tensor([[0.2]], dtype=torch.float64), [("x", (1,))])
    x, y, _ = truth(0.2)
    assert float(rates[0, 0]) == pytest.approx(10 * (y - x), rel=1e-6)


def test_a_march_back_into_a_pole_says_where(monkeypatch):
    """y' = -y² from y(2) = 1: y = 1 / (t - 1)."""
    problem = Problem(Time(t=(0, 2)), [lambda y, t: d(y, t) + y**2], [Dirichlet(y=1, on="t+")])
    monkeypatch.setattr("kanpde.products.marching.SHORTEST_START", 1e-4)
    solution, progress = solved(problem, 1e-4)
    assert any("may blow up" in line for line in progress.missed)
    assert not solution.whole
    assert bool(torch.isfinite(solution(torch.zeros(1, 1, dtype=torch.float64))).all())


def test_boundary_values_in_time():
    """A ball that is thrown so that it is 3 m up after 2 s, in air."""
    drag = 0.05

    def flight(y, t):
        return d(y, t, t) + 9.81 + drag * d(y, t) * torch.abs(d(y, t))

    problem = Problem(Time(t=(0, 2)), [flight], [Dirichlet(y=0, on="t-"), Dirichlet(y=3, on="t+")])
    solution, progress = solved(problem, 1e-6)
    assert not progress.missed

    def rates(t, y):
        return np.stack([y[1], -9.81 - drag * y[1] * np.abs(y[1])])

    mesh = np.linspace(0, 2, 41)
    guess = np.stack([11 * mesh - 4.9 * mesh**2, 11 - 9.8 * mesh])
    found = solve_bvp(
        rates, lambda a, b: [a[0], b[0] - 3], mesh, guess, tol=1e-10, max_nodes=100_000
    )
    assert found.success
    assert worst(solution, lambda t: found.sol(t)[:1], np.linspace(0, 2, 500)) < 1e-6


def test_a_limit_cycle_is_periodic_in_time():
    """Duffing's oscillator with damping, where a force has driven it for long."""
    end = 2 * np.pi / 1.2

    def oscillator(x, t):
        return d(x, t, t) + 0.3 * d(x, t) + x + x**3 - 0.5 * torch.cos(1.2 * t)

    problem = Problem(Time(t=(0, end)), [oscillator], [Periodic("t")])
    solution, progress = solved(problem, 1e-8)
    assert not progress.missed

    def rates(t, y):
        return [y[1], -0.3 * y[1] - y[0] - y[0] ** 3 + 0.5 * np.cos(1.2 * t)]

    driven = by_scipy(rates, [0, 0], 40 * end)
    assert worst(solution, lambda t: driven(t + 39 * end)[:1], np.linspace(0, end, 300)) < 1e-8


def test_an_ordinary_equation_is_solved_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    problem, truth = oscillator()
    result = kanpde.solve(problem)
    assert "polynomials" in result.settings["network"]
    assert result.verdict.converged
    assert float(result(t=2.5)) == pytest.approx(truth(2.5)[0], abs=1e-8)


def test_what_is_fast_at_first_is_right_by_default(tmp_path, monkeypatch):
    """One of Robertson's unknowns is a 10,000th of the others, and moves within 1e-3 of 100."""
    monkeypatch.chdir(tmp_path)
    problem, truth = robertson()
    solution = kanpde.solve(problem, reference=False).solution
    assert worst(solution, truth, np.geomspace(1e-5, 1, 300)) < 1e-8


def test_conditions_that_are_no_values_are_not_marched_from():
    problem = Problem(
        Time(t=(0, 1)),
        [lambda y, t: d(y, t) + y],
        [Condition(lambda y, t: y**3 - 8, on="t-")],
    )
    assert marched(problem) is None
