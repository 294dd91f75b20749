"""Do the intervals of estimates hold the true values as often as they say? Monte Carlo on
exponential decay towards a level.

u_t = c - k u from u(0) = 1, with k = 2 and c = 1/2 unknown, from 60 values at random times with
errors of standard deviation 0.02: many sets of data, each solved as an inverse problem of its own.
Coverage of the 95 % intervals and spread of the estimates against the standard errors. The errors
are linear enough here that intervals of the right kind cover 95 % but for chance, ±3 % with 200
sets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from record import record

from kanpde import KAN, Box, Data, Dirichlet, Parameter, Problem, Recipe, d, solve

TRUTH = {"k": 2.0, "c": 0.5}
RECIPE = Recipe(KAN(width=(2,), degree=5, grid=4), points=120, schedule="lm:30")


def decay(u, k, c, t):
    """u_t = c - k u."""
    return d(u, t) + k * u - c


def inverse(seed: int, rows: int = 60, noise: float = 0.02) -> Problem:
    """The problem with the data of a seed."""
    random = np.random.default_rng(seed)
    t = random.uniform(0, 1, rows)
    level = TRUTH["c"] / TRUTH["k"]
    u = level + (1 - level) * np.exp(-TRUTH["k"] * t) + noise * random.standard_normal(rows)
    parameters = [Parameter("k", initial=1, positive=True), Parameter("c", initial=1)]
    return Problem(
        Box(t=(0, 1)),
        [decay],
        [Dirichlet(u=1, on="t-")],
        parameters=parameters,
        data=Data(t=t, u=u),
        exact=TRUTH,
    )


def experiment(sets: int = 200, first: int = 0) -> dict[str, Any]:
    """Solve the problems of so many seeds from `first` on."""
    values: dict[str, list[float]] = {name: [] for name in TRUTH}
    errors: dict[str, list[float]] = {name: [] for name in TRUTH}
    hits: dict[str, list[bool]] = {name: [] for name in TRUTH}
    noise = []
    for seed in range(first, first + sets):
        found = solve(inverse(seed), recipe=RECIPE, reference=False).estimates
        assert found is not None
        noise.append(found.noise["u"])
        for e in found.numbers:
            values[e.name].append(e.value)
            errors[e.name].append(e.standard_error)
            hits[e.name].append(e.interval[0] <= TRUTH[e.name] <= e.interval[1])
    return {
        "sets": sets,
        "coverage": {name: float(np.mean(h)) for name, h in hits.items()},
        "spread_of_estimates": {name: float(np.std(v, ddof=1)) for name, v in values.items()},
        "mean_standard_error": {name: float(np.mean(e)) for name, e in errors.items()},
        "bias": {name: float(np.mean(v) - TRUTH[name]) for name, v in values.items()},
        "correlation_of_estimates": float(np.corrcoef(values["k"], values["c"])[0, 1]),
        "mean_noise": float(np.mean(noise)),
        "standardised": {
            name: [(v - TRUTH[name]) / e for v, e in zip(values[name], errors[name], strict=True)]
            for name in TRUTH
        },
    }


def picture(found: dict[str, Any]) -> Figure:
    """Histograms of the estimates' errors over their standard errors, beside the normal
    distribution."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    z = np.linspace(-4, 4, 200)
    for axes, (name, errors) in zip(
        figure.subplots(1, 2), found["standardised"].items(), strict=True
    ):
        axes.hist(errors, bins=np.linspace(-4, 4, 25), density=True, color="#0072B2", alpha=0.5)
        axes.plot(z, np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), color="black", lw=1)
        axes.set_title(
            f"{name}: 95 % intervals hold the truth in {100 * found['coverage'][name]:.1f} %",
            fontsize=9,
        )
        axes.set_xlabel("error over standard error")
    return figure


if __name__ == "__main__":
    found = experiment()
    record("intervals", found, picture(found))
