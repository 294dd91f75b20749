"""Do inverse problems return the right number, and do their intervals tell the truth? The
gallery's, three seeds and as many sets of data.

For Burgers' equation also the least interval that any method could have: 1.96 times the bound of
Cramér and Rao for somebody who knows the initial values exactly and nothing but λ₁ and λ₂ not. From
points drawn evenly, λ₂ shows in the front's width alone, where few of them lie.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from record import record

from kanpde import solve
from kanpde.inverse.estimates import Band, Estimate
from kanpde.problem.file import load
from kanpde.recipes.choosing import choose

NU = 0.01 / np.pi
NODES, WEIGHTS = np.polynomial.hermite.hermgauss(200)


@dataclass(frozen=True)
class Case:
    """A problem of the gallery with constants of its file."""

    title: str
    problem: str
    constants: dict[str, float] = field(default_factory=dict)


CASES = (
    Case("heat1d_source, noise 1 %", "heat1d_source"),
    Case("poisson2d_conductivity, noise 1 %", "poisson2d_conductivity"),
    Case("navier_stokes2d_inverse, noise 1 %", "navier_stokes2d_inverse"),
    Case("burgers1d_inverse, no noise", "burgers1d_inverse"),
    Case(
        "burgers1d_inverse, noise 1 %, half of the points at the front",
        "burgers1d_inverse",
        {"noise": 0.01, "front": 0.5},
    ),
    Case("burgers1d_inverse, noise 1 %", "burgers1d_inverse", {"noise": 0.01}),
    Case("burgers1d_inverse, noise 10 %", "burgers1d_inverse", {"noise": 0.1}),
)


def experiment(cases: tuple[Case, ...] = CASES, seeds: int = 3) -> list[dict[str, Any]]:
    """A row for each parameter of each case and seed, written to the file as they come."""
    rows: list[dict[str, Any]] = []
    for case in cases:
        for seed in range(seeds):
            problem, recipes = load(case.problem, {**case.constants, "drawn": seed})
            began = time.process_time()
            result = solve(
                problem, recipe=choose(problem, recipes).recipe, seed=seed, reference=False
            )
            assert result.estimates is not None
            common = {
                **{
                    "case": case.title,
                    "seed": seed,
                    "seconds": round(result.seconds, 1),
                    "cpu_seconds": round(time.process_time() - began, 1),
                },
                **{
                    "parameters": result.settings["parameters"],
                    "relative_l2": result.relative_l2,
                    "notes": list(result.estimates.notes),
                },
            }
            least = (
                least_widths(problem.data[0].points.numpy(), case.constants["noise"])
                if case.constants.get("noise")
                else {}
            )
            rows += [
                {**common, **of_number(e), "least_width_of_any_method": least.get(e.name)}
                for e in result.estimates.numbers
            ]
            rows += [{**common, **of_field(b)} for b in result.estimates.fields]
            record("unknowns", {"rows": rows, "worst": worst(rows)}, picture(rows))
    return rows


def of_number(e: Estimate) -> dict[str, Any]:
    """Error, interval and its width over the true value."""
    assert e.truth is not None
    low, high = e.interval
    return {
        **{
            "name": e.name,
            "value": e.value,
            "truth": e.truth,
            "error": abs(e.value - e.truth) / abs(e.truth),
            "standard_error": e.standard_error,
        },
        **{
            "interval": [low, high],
            "width": (high - low) / abs(e.truth),
            "inside": low <= e.truth <= high,
        },
    }


def of_field(b: Band) -> dict[str, Any]:
    """Relative L2, and the share of the nodes at which 1.96 standard errors reach the true
    field."""
    assert b.exact is not None
    return {
        "name": b.name,
        "error": b.relative_l2,
        "covered": float(np.mean(np.abs(b.values - b.exact) <= 1.96 * b.standard_error)),
    }


def burgers(
    x: NDArray[np.float64], t: NDArray[np.float64], first: float, second: float
) -> NDArray[np.float64]:
    """u_t + λ₁ u u_x = λ₂ u_xx from -sin πx, by Cole and Hopf."""
    y = x[:, None] - np.sqrt(4 * second * t)[:, None] * NODES
    logarithm = np.log(WEIGHTS) - first * np.cos(np.pi * y) / (2 * np.pi * second)
    density = np.exp(logarithm - logarithm.max(1, keepdims=True))
    return -(density * np.sin(np.pi * y)).sum(1) / density.sum(1)


def least_widths(points: NDArray[np.float64], noise: float, step: float = 1e-4) -> dict[str, float]:
    """Of 95 % intervals of both parameters over their values, at points [rows, (x, t)], where noise
    is over the spread of u."""
    x, t = points.T
    by_first = (burgers(x, t, 1 + step, NU) - burgers(x, t, 1 - step, NU)) / (2 * step)
    by_second = (burgers(x, t, 1, NU * (1 + step)) - burgers(x, t, 1, NU * (1 - step))) / (2 * step)
    S = np.stack([by_first, by_second], 1) / (noise * burgers(x, t, 1, NU).std())
    errors = np.sqrt(np.linalg.inv(S.T @ S).diagonal())
    return {name: float(2 * 1.96 * e) for name, e in zip(("λ1", "λ2"), errors, strict=True)}


def worst(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of every parameter of every case: its largest error and width over the seeds, how often it
    was inside, the most seconds."""
    found = []
    for case, name in dict.fromkeys((row["case"], row["name"]) for row in rows):
        own = [row for row in rows if (row["case"], row["name"]) == (case, name)]
        widths, least = (
            [row[key] for row in own if row.get(key) is not None]
            for key in ("width", "least_width_of_any_method")
        )
        hits = (
            f"{sum(row['inside'] for row in own)} of {len(own)}"
            if "inside" in own[0]
            else f"{100 * min(row['covered'] for row in own):.0f} % of the nodes"
        )
        shown = {
            "width": f"{max(widths):.1e}" if widths else "",
            "least": f"{min(least):.1e}" if least else "",
            "inside": hits,
        }
        found.append(
            {
                "case": case,
                "name": name,
                "error": max(row["error"] for row in own),
                **shown,
                "seconds": max(row["seconds"] for row in own),
            }
        )
    return found


def picture(rows: list[dict[str, Any]]) -> Figure:
    """Relative errors of all seeds, one line a parameter and case."""
    labels = list(dict.fromkeys(f"{row['name']}: {row['case']}" for row in rows))
    figure = Figure(figsize=(8, 0.8 + 0.3 * len(labels)), layout="constrained")
    axes = figure.subplots()
    axes.grid(axis="x", color="0.9")
    axes.scatter(
        [row["error"] for row in rows],
        [labels.index(f"{row['name']}: {row['case']}") for row in rows],
        s=22,
        color="#0072B2",
    )
    axes.set(
        xscale="log",
        xlabel="relative error (relative L2 for fields), each seed",
        yticks=range(len(labels)),
        ylim=(len(labels) - 0.5, -0.5),
    )
    axes.set_yticklabels(labels, fontsize=8)
    return figure


if __name__ == "__main__":
    experiment()
