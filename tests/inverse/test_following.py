"""Whether a solution follows its data: of a collapsed network, a wrong model, pure noise, values
that do not vary; and that nothing is said of parameters where it does not."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from kanpde import KAN, Box, Data, Dirichlet, Parameter, Problem, Recipe, d, load, solve
from kanpde.inverse.following import unexplained

t = np.linspace(0, 1, 201)
random = np.random.default_rng(0)


def decay(u, k, t):
    return d(u, t) + k * u


def given(values, at=t):
    return Problem(
        Box(t=(0, 1)),
        [decay],
        [Dirichlet(u=1, on="t-")],
        parameters=Parameter("k", initial=1.0),
        data=Data(t=at, u=values),
    )


def said(values, fitted, at=t):
    off = torch.from_numpy(np.broadcast_to(fitted, at.shape) - values)[:, None]
    return unexplained(given(values, at), [off])


NOISE = random.standard_normal(len(t))
FRONT = np.exp(-((t - 0.5) ** 2) / 0.02)

CASES = {
    "a collapsed network": (1e6 * FRONT + 1e3 * NOISE, 0.0, True),
    "a network that is their mean": (300 + FRONT + 0.05 * NOISE, 300.2, True),
    "another function": (np.sin(9 * t) + 0.02 * NOISE, np.exp(-4 * t), True),
    "the right function": (np.exp(-2 * t) + 0.02 * NOISE, np.exp(-2 * t), False),
    "much noise": (np.exp(-2 * t) + NOISE, np.exp(-2 * t), False),
    "nothing but noise": (NOISE, 0.0, False),
    "a level": (3 + 0.01 * NOISE, 3.0, False),
    "a slow change": (3 - 0.1 * t + 0.01 * NOISE, 3 - 0.1 * t, False),
}


@pytest.mark.parametrize("name", CASES)
def test_a_misfit_as_large_as_what_there_is_to_see(name):
    values, fitted, lost = CASES[name]
    lines = said(values, fitted)
    assert bool(lines) is lost
    assert all("nothing is known of k" in line for line in lines)


def test_places_that_were_measured_twice_are_neighbours():
    at = np.repeat(np.linspace(0, 1, 5), 2)
    values = np.repeat([0.0, 1.0, -1.0, 1.0, 0.0], 2) + 0.01 * random.standard_normal(10)
    assert said(values, 0.0, at)
    assert not said(values[::2], 0.0, at[::2]), "single values far apart show no noise"


N, BETA, GAMMA = 7.9e6, 0.5, 0.2


def epidemic(total=N, waves=False, **more):
    """Infections of SIR in a city of N, or waves of them, which SIR does not have."""
    found = solve_ivp(
        lambda t, y: [-BETA * y[0] * y[1], BETA * y[0] * y[1] - GAMMA * y[1]],
        (0, 60),
        [1 - 0.01, 0.01],
        rtol=1e-10,
        atol=1e-12,
        t_eval=np.linspace(0, 60, 61),
    )
    infected = total * found.y[1] * (1 + 0.02 * random.standard_normal(61))
    if waves:
        infected = total * (0.4 + 0.3 * np.sin(found.t))

    def susceptible(S, I, beta, gamma, t):  # noqa: E741 - as everybody calls it
        return d(S, t) + beta * S * I / total

    def infectious(S, I, beta, gamma, t):  # noqa: E741
        return d(I, t) - beta * S * I / total + gamma * I

    return Problem(
        Box(t=(0, 60)),
        [susceptible, infectious],
        [Dirichlet(S=0.99 * total, I=0.01 * total, on="t-")],
        parameters=[
            Parameter("beta", initial=0.3, positive=True),
            Parameter("gamma", initial=0.1, positive=True),
        ],
        data=Data(t=found.t, I=infected),
    )


def test_without_a_fit_there_are_no_intervals(tmp_path, capsys):
    """No rates of an epidemic follow waves."""
    poor = Recipe(KAN((2,), 3, 3), 60, "lm:20")
    found = solve(epidemic(waves=True), recipe=poor, reference=False, out=tmp_path)
    assert not found.verdict.converged
    for each in (found, load(found.run_dir, found.problem)):
        assert all(math.isnan(e.standard_error) for e in each.estimates.numbers)
        assert all(math.isnan(end) for e in each.estimates.numbers for end in e.interval)
        assert each.estimates.notes
        assert not any("identif" in note for note in each.estimates.notes)
        assert each.estimates.correlation.size == 0
    from kanpde.cli.display import console, show_result

    show_result(console(False), found)
    shown = capsys.readouterr().out
    assert "not known" in shown
    assert "identif" not in shown


def test_with_a_fit_there_are():
    found = solve(
        epidemic(1.0), recipe=Recipe(KAN((5,), 5, 10), 200, "lm:150"), reference=False
    ).estimates
    for e, truth in zip(found.numbers, (BETA, GAMMA), strict=True):
        assert abs(e.value - truth) < 4 * e.standard_error < 0.1 * truth
        assert e.interval[0] < e.value < e.interval[1]


def test_an_epidemic_counted_in_people_is_found():
    """In units of a million people the rates are what they are in shares of the city."""
    found = solve(epidemic(), recipe=Recipe(KAN((2,), 3, 3), 60, "lm:20"), reference=False)
    for estimate, truth in zip(found.estimates.numbers, (BETA, GAMMA), strict=True):
        assert abs(estimate.value - truth) < 5 * estimate.standard_error
        assert estimate.standard_error < 0.01 * truth
