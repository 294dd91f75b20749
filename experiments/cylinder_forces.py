"""Drag and lift of a cylinder in a channel at Re = 20, and the pressure between its front and its
back: Schäfer and Turek's case 2D-1, three seeds.

The forces are integrals of the traction along the cylinder, p and the derivatives of the velocity
being those of the network. Reference values: Nabh 1998, John and Matthies 2001
(http://www.featflow.de). Runs are kept below results/, and one that was stopped goes on.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from record import record

from kanpde import Result, d, solve
from kanpde.problem.file import load
from kanpde.problem.gallery import find
from kanpde.recipes.choosing import choose

NAME = "cylinder_flow2d"
RUNS = Path(__file__).parents[1] / "results" / NAME
REYNOLDS = runpy.run_path(str(find(NAME)))["reynolds"]
CENTER, RADIUS = (2.0, 2.0), 0.5
TRUTH = {"drag": 5.57953523384, "lift": 0.010618948146, "pressure_difference": 0.11752016697}


def traction(u, v, p, x, y):
    """Force on the cylinder by area: -p n + ∂(u, v)/∂n / Re, the other part of the viscous stress
    being zero where nothing slips."""
    a, b = (x - CENTER[0]) / RADIUS, (y - CENTER[1]) / RADIUS
    return (a * d(u, x) + b * d(u, y)) / REYNOLDS - a * p, (
        a * d(v, x) + b * d(v, y)
    ) / REYNOLDS - b * p


def rim(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points around the cylinder, evenly spread, the first behind it."""
    angle = 2 * np.pi * np.arange(count) / count
    return CENTER[0] + RADIUS * np.cos(angle), CENTER[1] + RADIUS * np.sin(angle)


def coefficients(result: Result, count: int = 720) -> dict[str, float]:
    """Drag and lift over half of ρ U² D, and the pressure difference in the units of the benchmark,
    with the mean inflow U = 0.2."""
    x, y = rim(count)
    (fx, fy), p = (
        result.evaluate(traction, x=x, y=y),
        result.evaluate(lambda p: p, x=[1.5, 2.5], y=[2.0, 2.0]),
    )
    return {
        "drag": 2 * np.pi * float(fx.mean()),
        "lift": 2 * np.pi * float(fy.mean()),
        "pressure_difference": 0.2**2 * float(p[0] - p[1]),
    }


def experiment(seeds: Sequence[int] = (0, 1, 2)) -> tuple[dict[str, Any], Figure]:
    """The default recipe with every seed."""
    problem, recipes = load(NAME)
    recipe, rows, results = choose(problem, recipes).recipe, [], []
    for seed in seeds:
        result = solve(
            problem,
            recipe=recipe,
            seed=seed,
            reference=False,
            run_dir=RUNS / f"forces-{seed}",
            resume=True,
            pictures=False,
        )
        found = coefficients(result)
        errors = {
            f"{name}_error": abs(value - TRUTH[name]) / abs(TRUTH[name])
            for name, value in found.items()
        }
        rows.append(
            {
                "seed": seed,
                **found,
                **errors,
                "loss": result.history.records[-1].loss,
                "parameters": result.settings["parameters"],
                "seconds": round(result.seconds, 1),
            }
        )
        results.append(result)
    return {"truth": TRUTH, "rows": rows}, picture(results[0], results)


def picture(shown: Result, results: Sequence[Result]) -> Figure:
    """Speed about the cylinder, and the pressure around it."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    flow, around = figure.subplots(1, 2, width_ratios=[1.7, 1])
    x, y = np.meshgrid(np.linspace(0, 8, 321), np.linspace(0, 4.1, 165), indexing="ij")
    outside = np.hypot(x - CENTER[0], y - CENTER[1]) > 1.0001 * RADIUS
    speed = np.full(x.shape, np.nan)
    speed[outside] = np.hypot(*shown.evaluate(lambda u, v: (u, v), x=x[outside], y=y[outside]))
    drawn = flow.pcolormesh(x, y, speed, shading="gouraud", cmap="viridis", rasterized=True)
    figure.colorbar(drawn, ax=flow, label="speed over the mean inflow")
    flow.set(aspect="equal", xlabel="x, diameters", ylabel="y, diameters")
    x, y = rim(361)
    degrees = np.degrees(2 * np.pi * np.arange(361) / 361)
    for result, style in zip(results, ("-", "--", ":") * len(results), strict=False):
        around.plot(
            degrees,
            result.evaluate(lambda p: p, x=x, y=y),
            style,
            color="#0072B2",
            lw=1.2,
            label=f"seed {result.settings['seed']}",
        )
    around.set(
        xlabel="angle from the back of the cylinder, degrees",
        ylabel="pressure over ρ U²",
        xlim=(0, 360),
        xticks=range(0, 361, 90),
    )
    around.legend(frameon=False)
    return figure


if __name__ == "__main__":
    record("cylinder_forces", *experiment([int(seed) for seed in sys.argv[1:]] or (0, 1, 2)))
