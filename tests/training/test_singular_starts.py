"""Starts that bend, jump or contradict the boundary, solved: against series and a closed form."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from kanpde import KAN, Box, Dirichlet, Initial, Problem, Recipe, Time, d, solve

few = Recipe(KAN((5,), 7, 4), points=500, schedule="lm:120")


def heat(u, x, t):
    return d(u, t) - d(u, x, x)


def solved(space, span, equation, conditions):
    problem = Problem(Box(**space) * Time(t=(0, span)), equation, conditions, warn=False)
    return solve(problem, recipe=few, reference=False).solution


def value(solution, x, t):
    return float(solution(torch.tensor([[x, t]], dtype=torch.float64))[0, 0])


@pytest.mark.parametrize("t", [0.01, 0.1, 0.3])
def test_heat_from_a_hat(hat, t):
    modes = (2 * np.arange(400) + 1) * math.pi / 2
    truth = (2 / modes**2 * np.exp(-(modes**2) * t)).sum()
    assert value(hat, 0, t) == pytest.approx(truth, rel=1e-4)


@pytest.fixture(scope="module")
def hat():
    conditions = [Dirichlet(u=0), Initial(u=lambda x: 1 - x.abs())]
    return solved({"x": (-1, 1)}, 0.3, heat, conditions)


@pytest.mark.parametrize(("x", "t"), [(0.1, 0.001), (0.1, 0.01), (0.5, 0.2)])
def test_a_rod_that_is_heated_at_one_end_all_at_once(rod, x, t):
    n = math.pi * np.arange(1, 600)
    truth = 1 - x - (2 / n * np.sin(n * x) * np.exp(-(n**2) * t)).sum()
    assert value(rod, x, t) == pytest.approx(truth, rel=1e-3)


@pytest.fixture(scope="module")
def rod():
    conditions = [Dirichlet(u=1, on="x-"), Dirichlet(u=0, on="x+"), Initial(u=0)]
    return solved({"x": (0, 1)}, 0.2, heat, conditions)


def test_a_call_option_at_the_strike():
    strike, rate, volatility, highest = 100.0, 0.05, 0.2, 300.0

    def black_scholes(V, S, t):
        diffusion = volatility**2 * S**2 / 2 * d(V, S, S)
        return d(V, t) - diffusion - rate * S * d(V, S) + rate * V

    solution = solved(
        {"S": (0, highest)},
        1,
        black_scholes,
        [
            Dirichlet(V=0, on="S-"),
            Dirichlet(V=lambda t: highest - strike * torch.exp(-rate * t), on="S+"),
            Initial(V=lambda S: torch.clamp(S - strike, min=0)),
        ],
    )
    for t in (0.1, 1.0):
        up = (rate + volatility**2 / 2) * math.sqrt(t) / volatility
        down = up - volatility * math.sqrt(t)
        truth = strike * norm.cdf(up) - strike * math.exp(-rate * t) * norm.cdf(down)
        assert value(solution, strike, t) == pytest.approx(truth, rel=1e-2)
