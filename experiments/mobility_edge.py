"""The mobility edge of a quasi-periodic lattice, found by a classifier of eigenstates and compared
with the exact one.

The generalised Aubry-André model of Ganeshan, Pixley and Das Sarma 2015 (PRL 114, 146601), which
Liu et al. 2024 (KAN), section 4.3, take: hopping 1, potential V_n = 2λ cos(2πnb) / (1 - a
cos(2πnb)) with b the golden ratio's inverse. States with a E < 2 (1 - λ) are extended. An
eigenstate counts as extended where its fractal dimension, -log Σ|ψ|⁴ / log N, exceeds one half.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from record import record
from scipy.linalg import eigh_tridiagonal

from kanpde import KAN, Fit, fit

GOLDEN = (np.sqrt(5) - 1) / 2


def states(sites: int, couplings: int, a: float) -> dict[str, np.ndarray]:
    """Energy and coupling of every state, and whether it is extended."""
    n, energies, at, extended = np.arange(sites), [], [], []
    for coupling in np.linspace(0.5, 1.5, couplings):
        wave = np.cos(2 * np.pi * n * GOLDEN)
        E, psi = eigh_tridiagonal(2 * coupling * wave / (1 - a * wave), np.ones(sites - 1))
        energies.append(E)
        at.append(np.full(sites, coupling))
        extended.append(-np.log((psi**4).sum(0)) / np.log(sites) > 0.5)
    return {
        "E": np.concatenate(energies),
        "lambda": np.concatenate(at),
        "state": np.where(np.concatenate(extended), "extended", "localised"),
    }


def experiment(
    a: float = 0.3, sites: int = 377, couplings: int = 31, rows: int = 4000, seed: int = 0
) -> tuple[dict[str, Any], Fit]:
    """Train a KAN 2-1 on E and λ, whose odds are a sum of a function of each, and read its border
    off as a line a E = c₀ + c₁ λ."""
    data = states(sites, couplings, a)
    kept = np.random.default_rng(seed).permutation(len(data["E"]))[:rows]
    found = fit(
        {name: column[kept] for name, column in data.items()},
        "state",
        network=KAN((), 3, 4),
        schedule="lm:40",
        restarts=1,
        seed=seed,
    )
    inside = [found.task.bounds["E"], found.task.bounds["lambda"]]
    E, coupling = np.meshgrid(
        np.linspace(*inside[0], 801), np.linspace(*inside[1], 81), indexing="ij"
    )
    odds = found.values(np.stack([E.ravel(), coupling.ravel()], 1)).reshape(E.shape)
    border = _border(E, coupling, odds, data)
    line = np.polyfit(border[:, 1], a * border[:, 0], 1)
    exact = np.where(a * data["E"] < 2 * (1 - data["lambda"]), "extended", "localised")
    learned = np.where(a * data["E"] < line[1] + line[0] * data["lambda"], "extended", "localised")
    return {
        "a": a,
        "sites": sites,
        "rows": len(kept),
        "seed": seed,
        "test_accuracy_of_network": found.scores["test"]["accuracy"],
        "accuracy_of_the_exact_edge": float((exact == data["state"]).mean()),
        "learned_edge": {"c0": float(line[1]), "c1": float(line[0])},
        "exact_edge": {"c0": 2.0, "c1": -2.0},
        "accuracy_of_the_learned_edge": float((learned == data["state"]).mean()),
    }, found


def _border(
    E: np.ndarray, coupling: np.ndarray, odds: np.ndarray, data: dict[str, np.ndarray]
) -> np.ndarray:
    """Points (E, λ) where the odds change sign, away from the ends of the spectrum, where no states
    are."""
    i, j = np.nonzero((odds[:-1] < 0) != (odds[1:] < 0))
    share = odds[i, j] / (odds[i, j] - odds[i + 1, j])
    points = np.stack([E[i, j] + share * (E[i + 1, j] - E[i, j]), coupling[i, j]], 1)
    near = [np.abs(data["lambda"] - at) < 0.02 for _, at in points]
    return np.array(
        [
            p
            for p, some in zip(points, near, strict=True)
            if some.any()
            and np.ptp(data["E"][some])
            and data["E"][some].min() < p[0] < data["E"][some].max()
        ]
    )


def draw(found: dict[str, Any], data: dict[str, np.ndarray]) -> Figure:
    """All states, and both edges."""
    figure = Figure(figsize=(6, 4.4), layout="constrained")
    axes = figure.subplots()
    for state, colour in (("extended", "#0072B2"), ("localised", "#E69F00")):
        axes.scatter(
            data["lambda"][data["state"] == state],
            data["E"][data["state"] == state],
            s=2,
            color=colour,
            label=state,
        )
    at = np.linspace(0.5, 1.5, 50)
    edge = found["learned_edge"]
    axes.plot(at, 2 * (1 - at) / found["a"], "k-", lw=1.2, label="exact: a E = 2 − 2λ")
    axes.plot(
        at,
        (edge["c0"] + edge["c1"] * at) / found["a"],
        "r--",
        lw=1.2,
        label=f"learned: a E = {edge['c0']:.2f} − {-edge['c1']:.2f} λ",
    )
    axes.set_ylim(data["E"].min() - 0.1, data["E"].max() + 0.1)
    axes.set_xlabel("λ")
    axes.set_ylabel("E")
    axes.set_title(
        f"accuracy: learned edge {100 * found['accuracy_of_the_learned_edge']:.1f} %, exact edge"
        f" {100 * found['accuracy_of_the_exact_edge']:.1f} %",
        fontsize=9,
    )
    axes.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    found, _ = experiment()
    print(found)
    record("mobility_edge", found, draw(found, states(377, 31, 0.3)))
