"""Options and bonds."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import ndtr
from torch import exp

from benchmarks.judged.posed import Posed
from benchmarks.judged.truths import IndependentTruth, midpoints
from kanpde import Box, Dirichlet, Initial, Problem, Time, d

RATE, SPREAD, STRIKE, MOST = 0.05, 0.2, 100.0, 300.0


def _black_scholes(V, S, tau):
    return d(V, tau) - SPREAD**2 / 2 * S**2 * d(V, S, S) - RATE * S * d(V, S) + RATE * V


def _moneyness(points):
    """d₁ and d₂ of Black and Scholes."""
    S, tau = points["S"], points["tau"]
    spread = SPREAD * np.sqrt(tau)
    first = (np.log(S / STRIKE) + (RATE + SPREAD**2 / 2) * tau) / spread
    return first, first - spread


def call() -> Posed:
    """A call option at 100 with a year to go (Black and Scholes)."""
    problem = Problem(
        Box(S=(0, MOST)) * Time(tau=(0, 1)),
        [_black_scholes],
        [
            Dirichlet(V=0, on="S-"),
            Dirichlet(V=lambda tau: MOST - STRIKE * exp(-RATE * tau), on="S+"),
            Initial(V=lambda S: (S - STRIKE).clamp(min=0)),
        ],
    )

    def truth() -> IndependentTruth:
        points = midpoints(90, S=(0.0, MOST), tau=(0.0, 1.0))
        S, discount = points["S"], np.exp(-RATE * points["tau"])
        first, second = _moneyness(points)
        value = S * ndtr(first) - STRIKE * discount * ndtr(second)
        # what the condition at the upper end leaves out: a put there
        return IndependentTruth(points, {"V": value}, "Black-Scholes", {"V": 1e-9})

    return Posed(problem, truth)


def digital() -> Posed:
    """An option that pays one or nothing: the start jumps at the strike."""
    problem = Problem(
        Box(S=(0, MOST)) * Time(tau=(0, 1)),
        [_black_scholes],
        [
            Dirichlet(V=0, on="S-"),
            Dirichlet(V=lambda tau: exp(-RATE * tau), on="S+"),
            Initial(V=lambda S: torch.where(S > STRIKE, 1.0, 0.0)),
        ],
    )

    def truth() -> IndependentTruth:
        points = midpoints(90, S=(0.0, MOST), tau=(0.0, 1.0))
        value = np.exp(-RATE * points["tau"]) * ndtr(_moneyness(points)[1])
        return IndependentTruth(points, {"V": value}, "Black-Scholes", {"V": 1e-8})

    return Posed(problem, truth)


def bond() -> Posed:
    """A bond over five years by Vasicek's model, for rates of 0 to 10 per cent."""
    back, mean, spread, end = 0.3, 0.04, 0.01, 5.0

    def rule(P, r, tau):
        drift = back * (mean - r) * d(P, r)
        return d(P, tau) - spread**2 / 2 * d(P, r, r) - drift + r * P

    def price(r, tau, math=torch):
        B = (1 - math.exp(-back * tau)) / back
        A = (mean - spread**2 / (2 * back**2)) * (B - tau) - spread**2 * B**2 / (4 * back)
        return math.exp(A - B * r)

    problem = Problem(
        Box(r=(0, 0.1)) * Time(tau=(0, end)),
        [rule],
        [Dirichlet(P=lambda r, tau: price(r, tau)), Initial(P=1)],
    )

    def truth() -> IndependentTruth:
        points = midpoints(r=(0.0, 0.1), tau=(0.0, end))
        return IndependentTruth(points, {"P": price(points["r"], points["tau"], np)})

    return Posed(problem, truth)


PROBLEMS = (call, digital, bond)

SCALED: dict = {}
