"""Equations and conditions with integrals and values at other places, solved by default: against
closed forms, Nyström's method in NumPy and SciPy's integrators."""

import math

import numpy as np
import pytest
import torch
from numpy.polynomial import legendre
from scipy.integrate import solve_ivp
from torch import cos, exp, pi, sin

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
    integral,
    mean,
)
from kanpde.errors import ReferenceUnavailable
from kanpde.problem.file import load
from kanpde.products.solution import TensorSolution
from kanpde.reference import reference
from kanpde.solver import solve

MUST = 1e-8
"""Error that is asked for by default, over the variation of an unknown."""


def solved(problem, judged=True, tolerance=None):
    """A solution by default, and where wanted its reference, which agrees with it."""
    found = solve(problem, reference=judged, pictures=False, tolerance=tolerance)
    assert isinstance(found.solution, TensorSolution)
    assert found.verdict.status == "converged", found.verdict
    if judged:
        assert found.reference is not None, found.verdict
        assert found.reference.estimated_error < 1e-9
    return found


def far_off(found, points, truth):
    """Largest error over the variation of the truth."""
    values = found.solution(torch.from_numpy(points)).numpy()[:, 0]
    return np.abs(values - truth).max() / np.std(truth)


def test_a_kernel_of_the_gallery():
    problem = load("fredholm1d")[0]
    x = np.linspace(0, math.pi, 101)[:, None]
    truth = np.sin(x[:, 0]) / (1 - problem.constants.get("strength", 0.25) * math.pi / 2)
    assert far_off(solved(problem), x, truth) < MUST


def test_a_mean_of_the_gallery():
    found = solved(load("heat1d_mean")[0].during(0, 0.5))
    x, t = (v.ravel() for v in np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 0.5, 11)))
    truth = np.exp(t) + np.exp(-0.2 * np.pi**2 * t) * np.cos(np.pi * x)
    assert far_off(found, np.stack([x, t], 1), truth) < MUST


def test_a_volterra_equation():
    def renewal(u, x):
        return u - 1 - integral(lambda s: (x - s) * u(s), s=(0, x))

    found = solved(Problem(Box(x=(0, 2)), renewal))
    x = np.linspace(0, 2, 101)[:, None]
    assert far_off(found, x, np.cosh(x[:, 0])) < MUST


def test_a_wave_with_an_integral():
    def wave(u, x, t):
        return d(u, t, t) - d(u, x, x) - integral(u, x)

    conditions = [Neumann(u=0), Initial(u=lambda x: 1 + cos(pi * x), u_t=0)]
    found = solved(Problem(Box(x=(0, 1)) * Time(t=(0, 0.5)), wave, conditions))
    x, t = (v.ravel() for v in np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 0.5, 11)))
    truth = np.cosh(t) + np.cos(np.pi * t) * np.cos(np.pi * x)
    assert far_off(found, np.stack([x, t], 1), truth) < MUST


def test_a_nonlinear_kernel_by_nystrom():
    def hammerstein(u, x):
        return u - integral(lambda s: exp(-((x - s) ** 2)) * u(s) ** 2, s=(0, 1)) / 3 - cos(x)

    z, w = legendre.leggauss(40)
    s, w = (z + 1) / 2, w / 2
    K = np.exp(-((s[:, None] - s) ** 2)) * w / 3
    u = np.cos(s)
    for _ in range(20):
        u = u - np.linalg.solve(np.eye(40) - 2 * K * u, u - K @ u**2 - np.cos(s))
    x = np.linspace(0, 1, 51)
    truth = np.cos(x) + np.exp(-((x[:, None] - s) ** 2)) @ (w * u**2) / 3
    found = solved(Problem(Box(x=(0, 1)), hammerstein))
    assert far_off(found, x[:, None], truth) < MUST


def test_a_nonlinear_memory_by_an_equation_without_one():
    # u = 1 + ∫ sin(x - s) u² has (u - 1)'' + u - 1 = u²
    def memory(u, x):
        return u - 1 - integral(lambda s: sin(x - s) * u(s) ** 2, s=(0, x))

    x = np.linspace(0, 1, 51)
    rates = solve_ivp(
        lambda _, y: [y[1], y[0] ** 2 - (y[0] - 1)],
        (0, 1),
        [1, 0],
        "DOP853",
        x,
        rtol=1e-13,
        atol=1e-13,
    )
    assert far_off(solved(Problem(Box(x=(0, 1)), memory)), x[:, None], rates.y[0]) < MUST


def test_a_memory_in_an_ordinary_equation_is_not_marched():
    # v' = ∫ v over the time so far is v'' = v
    def rate(v, t):
        return d(v, t) - integral(v, t=(0, t))

    problem = Problem(Time(t=(0, 2)), rate, [Initial(v=1)])
    t = np.linspace(0, 2, 51)
    assert far_off(solved(problem), t[:, None], np.cosh(t)) < MUST


def test_a_scaled_argument():
    # The pantograph u' = -u(x/2): u = Σ (-1)^n 2^(-n(n-1)/2) x^n / n!
    def pantograph(u, x):
        return d(u, x) + u(x / 2)

    found = solved(Problem(Box(x=(0, 2)), pantograph, [Dirichlet(u=1, on="x-")]))
    x = np.linspace(0, 2, 51)
    terms = [(-x) ** n * 2.0 ** (-n * (n - 1) / 2) / math.factorial(n) for n in range(25)]
    assert far_off(found, x[:, None], np.sum(terms, 0)) < MUST


def poisson(u, x):
    return d(u, x, x) + pi**2 * cos(pi * x)


WHOLE = {
    "ends without flux": [Neumann(u=0), Condition(lambda u: integral(u) - 1)],
    "a missing end": [Neumann(u=0, on="x-"), Condition(lambda u: mean(u) - 1)],
    "a value inside": [Dirichlet(u=2, on="x-"), Condition(lambda u: u(x=0.5) - 1)],
    "a moment": [Neumann(u=0), Condition(lambda u: integral(u**2) - 1.5)],
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_condition_on_the_whole(case):
    start = {"exact": {"u": lambda x: 1 + cos(pi * x)}}
    found = solved(Problem(Box(x=(0, 1)), poisson, WHOLE[case], **start), case != "a moment")
    x = np.linspace(0, 1, 51)
    assert far_off(found, x[:, None], 1 + np.cos(np.pi * x)) < MUST


@pytest.mark.parametrize("order", [None, 4])
@pytest.mark.parametrize("case", [case for case in WHOLE if case != "a moment"])
def test_references_have_a_row_for_the_whole(case, order):
    found = reference(Problem(Box(x=(0, 1)), poisson, WHOLE[case]), order=order)
    error = np.abs(found.values["u"] - 1 - np.cos(np.pi * found.coordinates["x"])).max()
    assert error < (1e-10 if order is None else 1e-8)


def test_what_contradicts_the_whole_has_no_reference():
    def heated(u, x):
        return poisson(u, x) + 1

    problem = Problem(Box(x=(0, 1)), heated, WHOLE["ends without flux"])
    with pytest.raises(ReferenceUnavailable, match="only if -1 is added to the equation"):
        reference(problem)


def test_a_condition_on_the_whole_at_all_times():
    def heat(u, x, t):
        return d(u, t) - d(u, x, x) - ((pi**2 - 1) * cos(pi * x) - 1) * exp(-t)

    conditions = [
        Neumann(u=0, on="x-"),
        Condition(lambda u, t: integral(u) - exp(-t)),
        Initial(u=lambda x: 1 + cos(pi * x)),
    ]
    found = solved(Problem(Box(x=(0, 1)) * Time(t=(0, 0.5)), heat, conditions))
    x, t = (v.ravel() for v in np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 0.5, 11)))
    truth = (1 + np.cos(np.pi * x)) * np.exp(-t)
    assert far_off(found, np.stack([x, t], 1), truth) < MUST


def test_competition_on_a_ring_by_scipy():
    # u_t = D u_xx + u (1 - ∫ (1 + cos(x - s) / 2) u(s) ds / 2π)
    diffusion, N = 0.1, 48

    def growth(u, x, t):
        crowd = integral(lambda s: (1 + cos(x - s) / 2) * u(s), s=(0, 2 * pi)) / (2 * pi)
        return d(u, t) - diffusion * d(u, x, x) - u * (1 - crowd)

    conditions = [Periodic("x"), Initial(u=lambda x: exp(cos(x)) / 4)]
    problem = Problem(Box(x=(0, 2 * pi)) * Time(t=(0, 0.5)), growth, conditions)
    x = 2 * np.pi * np.arange(N) / N
    waves = -(np.fft.fftfreq(N, 1 / N) ** 2)
    K = (1 + np.cos(x[:, None] - x) / 2) / N

    def rates(_, u):
        spread = np.fft.ifft(waves * np.fft.fft(u)).real
        return diffusion * spread + u * (1 - K @ u)

    start = np.exp(np.cos(x)) / 4
    last = solve_ivp(rates, (0, 0.5), start, "DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    found = solved(problem, tolerance=1e-6)
    assert far_off(found, np.stack([x, np.full(N, 0.5)], 1), last) < 1e-6


def test_in_the_plane():
    # -Δu + ∫u = f with u = 1 + cos πx cos πy: ∫u = 1
    def screened(u, x, y):
        wave = cos(pi * x) * cos(pi * y)
        return -d(u, x, x) - d(u, y, y) + integral(u) - 2 * pi**2 * wave - 1

    problem = Problem(Box(x=(0, 1), y=(0, 1)), screened, [Neumann(u=0)])
    found = solved(problem, tolerance=1e-6)
    x, y = (v.ravel() for v in np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21)))
    truth = 1 + np.cos(np.pi * x) * np.cos(np.pi * y)
    assert far_off(found, np.stack([x, y], 1), truth) < 1e-6


def test_a_beam_that_its_mean_holds():
    def beam(u, x):
        return d(u, x, x, x, x) + mean(u) - pi**4 * sin(pi * x) - 2 / pi

    conditions = [Dirichlet(u=0), Condition(lambda u, x: d(u, x, x))]
    x = np.linspace(0, 1, 51)
    found = solved(Problem(Box(x=(0, 1)), beam, conditions))
    assert far_off(found, x[:, None], np.sin(np.pi * x)) < MUST


def test_values_at_other_times_are_refused_by_what_marches():
    def late(u, x, t):
        return d(u, t) - d(u, x, x) + u(t=t / 2)

    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 1)), late, [Dirichlet(u=0), Initial(u=lambda x: sin(pi * x))]
    )
    with pytest.raises(ReferenceUnavailable, match="values at other times"):
        reference(problem)
