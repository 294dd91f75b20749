"""How much larger is the stress beside a hole? Kirsch's plate under tension, where it is three
times that far away; three seeds.

The network is trained with displacements; stresses are its derivatives, by the same function that
the equations of equilibrium are made of.
"""

from __future__ import annotations

import runpy
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from record import record

from kanpde import Result, solve
from kanpde.problem.file import load
from kanpde.problem.gallery import find
from kanpde.recipes.choosing import choose

NAME = "elasticity2d_plate"
STRESS = runpy.run_path(str(find(NAME)))["stress"]


def kirsch(angle: np.ndarray) -> np.ndarray:
    """Stress along the rim over that far away, at an angle to the tension."""
    return 1 - 2 * np.cos(2 * angle)


def along_rim(result: Result, angle: np.ndarray) -> np.ndarray:
    """The same of a solution, just inside of the plate."""
    x, y = 1.0000001 * np.cos(angle), 1.0000001 * np.sin(angle)
    xx, yy, xy = result.evaluate(STRESS, x=x, y=y)
    return (
        xx * np.sin(angle) ** 2 + yy * np.cos(angle) ** 2 - 2 * xy * np.sin(angle) * np.cos(angle)
    )


def experiment(seeds: int = 3) -> tuple[dict[str, Any], Figure]:
    """Stress at the top of the hole, and the largest error along its rim."""
    problem, recipes = load(NAME)
    angle, rows = np.linspace(0, np.pi / 2, 181), []
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(
        np.degrees(angle), kirsch(angle), color="black", lw=4, alpha=0.25, label="Kirsch 1898"
    )
    for seed, style in zip(range(seeds), ("-", "--", ":"), strict=False):
        result = solve(problem, recipe=choose(problem, recipes).recipe, seed=seed, reference=False)
        found = along_rim(result, angle)
        row = {
            "seed": seed,
            "concentration": float(found[-1]),
            "error": abs(float(found[-1]) - 3) / 3,
            "largest_error_along_the_rim": float(np.abs(found - kirsch(angle)).max()),
        }
        rows.append(
            {
                **row,
                "relative_l2": result.relative_l2,
                "parameters": result.settings["parameters"],
                "seconds": round(result.seconds, 1),
            }
        )
        axes.plot(np.degrees(angle), found, style, color="#0072B2", lw=1.2, label=f"seed {seed}")
    axes.set(xlabel="angle to the tension, degrees", ylabel="stress along the rim", xlim=(0, 90))
    axes.legend(frameon=False)
    return {"rows": rows}, figure


if __name__ == "__main__":
    record("stress_concentration", *experiment())
