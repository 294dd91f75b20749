"""Two moons told apart by a KAN 2-2 without hidden units, and by two formulas read off it: what
`explain` says of the fit.

After Liu et al. 2024 (KAN), whose classifier of this shape ends in one formula a class. The rows
are made here: half circles of radius 1 about (0, 0) and (1, ½) with Gaussian noise of deviation
0.1. Each class has a network output of its own, fitted to 1 and -1, the sum of a function of x and
one of y. The formulas are sums from the product's library; since rows are few and the sides of a
moon are a step, they are looked for down to the network's own uncertainty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy
from matplotlib.figure import Figure
from record import record
from sympy import Expr

from kanpde import KAN, Fit
from kanpde.fitting import learn, prepare
from kanpde.fitting.task import TEST
from kanpde.interpret import explain_fit
from kanpde.interpret.explained import rounded
from kanpde.problem.table_files import read
from kanpde.recipes.recipe import Recipe


def moons(rows: int, seed: int, noise: float = 0.1) -> dict[str, np.ndarray]:
    """Rows of two interleaved half circles."""
    rng = np.random.default_rng(seed)
    angle, lower = rng.uniform(0, np.pi, rows), np.arange(rows) % 2 == 1
    x = np.where(lower, 1 - np.cos(angle), np.cos(angle)) + noise * rng.normal(size=rows)
    y = np.where(lower, 0.5 - np.sin(angle), np.sin(angle)) + noise * rng.normal(size=rows)
    return {"x": x, "y": y, "moon": np.where(lower, "lower", "upper")}


def classify(formulas: list[Expr], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The number of the class whose formula is larger."""
    symbols = sympy.symbols("x y", real=True)
    values = [np.broadcast_to(sympy.lambdify(symbols, f, "numpy")(x, y), x.shape) for f in formulas]
    return np.argmax(values, 0)


def experiment(
    rows: int = 1000, seed: int = 0, seconds: float = 600.0
) -> tuple[dict[str, Any], Fit]:
    """Train, explain, and judge network and formulas, with constants of three digits, on as many
    rows again."""
    numbers = {"upper": 1.0, "lower": -1.0}
    train, test = moons(rows, seed), moons(rows, 1000 + seed)
    tables = [
        read(
            {
                "x": d["x"],
                "y": d["y"],
                "upper": [numbers[m] for m in d["moon"]],
                "lower": [-numbers[m] for m in d["moon"]],
            }
        )
        for d in (train, test)
    ]
    task = prepare(tables[0], ["upper", "lower"], ["x", "y"], test=tables[1], held=0)
    fit = learn(task, Recipe(KAN((), 3, 5), 1, "lm:20"), seed)
    explained = explain_fit(fit, seconds=seconds)
    formulas = [rounded(explained.formulas[target], 3) for target in task.targets]
    judged = task.part == TEST
    truth = task.truth[judged, 1] > 0
    x, y = task.points[judged].T
    network = float(((fit.values(task.points[judged]).argmax(1) == 1) == truth).mean())
    return {
        "formulas": {name: str(f) for name, f in zip(task.targets, formulas, strict=True)},
        "distance_to_the_network": dict(explained.distance),
        "accuracy_of_network": network,
        "accuracy_of_formulas": float(((classify(formulas, x, y) == 1) == truth).mean()),
        "rows": rows,
        "seed": seed,
    }, fit


def draw(found: dict[str, Any], rows: dict[str, np.ndarray]) -> Figure:
    """The rows, and where the formulas divide the plane."""
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.subplots()
    x, y = np.meshgrid(np.linspace(-1.4, 2.4, 300), np.linspace(-0.9, 1.4, 200))
    axes.contourf(
        x,
        y,
        classify(
            [
                sympy.sympify(
                    f, locals=dict(zip("xy", sympy.symbols("x y", real=True), strict=True))
                )
                for f in found["formulas"].values()
            ],
            x,
            y,
        ),
        levels=[-0.5, 0.5, 1.5],
        colors=["#FBE5C8", "#CFE3F2"],
    )
    for moon, colour in (("upper", "#E69F00"), ("lower", "#0072B2")):
        axes.scatter(*(rows[c][rows["moon"] == moon] for c in "xy"), s=6, color=colour, label=moon)
    lines = [f"{name}: {f}" for name, f in found["formulas"].items()]
    axes.set_title(
        "\n".join(
            [
                *lines,
                (
                    f"accuracy on other rows: formulas {100 * found['accuracy_of_formulas']:.1f} %,"
                    f" network {100 * found['accuracy_of_network']:.1f} %"
                ),
            ]
        ),
        fontsize=7,
    )
    axes.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    runs = [experiment(seed=seed)[0] for seed in range(3)]
    for run in runs:
        print(run)
    record(
        "moons",
        {
            "seeds": runs,
            "worst_accuracy_of_formulas": min(run["accuracy_of_formulas"] for run in runs),
        },
        draw(runs[0], moons(1000, 1000)),
    )
