"""Two moons told apart by a KAN 2-2 without hidden units, and by two formulas read off its four edge functions.

After Liu et al. 2024 (KAN), whose classifier of this shape ends in one formula a class. The rows are made here: half circles of
radius 1 about (0, 0) and (1, ½) with Gaussian noise of deviation 0.1. Each class has a network output of its own, the sum
of a function of x and one of y, so a formula for each edge is a formula for the class: the one of a short list that fits best.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy
from matplotlib.figure import Figure
from record import record
from scipy.optimize import least_squares

from kanpde import KAN, Fit
from kanpde.data import read
from kanpde.fitting import learn, prepare
from kanpde.fitting.task import TEST
from kanpde.recipe import Recipe

LIBRARY: dict[str, tuple[Callable, int, list[list[float]]]] = {
    "linear": (lambda t, a, b: a * t + b, 2, [[1, 0]]),
    "square": (lambda t, a, b, c: a * (t - b) ** 2 + c, 3, [[1, 0.5, 0]]),
    "cubic": (lambda t, a, b, c, d: a * t**3 + b * t**2 + c * t + d, 4, [[1, 0, 0, 0]]),
    "sine": (lambda t, a, b, c, d: a * np.sin(b * t + c) + d, 4, [[2, w, p, 0] for w in (1.5, 3, 4.5) for p in (0, 2, 4)]),
    "tanh": (lambda t, a, b, c, d: a * np.tanh(b * (t - c)) + d, 4, [[2, w, p, 0] for w in (2, -2) for p in (0, 0.5, 1)]),
}


def moons(rows: int, seed: int, noise: float = 0.1) -> dict[str, np.ndarray]:
    """Rows of two interleaved half circles."""
    rng = np.random.default_rng(seed)
    angle, lower = rng.uniform(0, np.pi, rows), np.arange(rows) % 2 == 1
    x = np.where(lower, 1 - np.cos(angle), np.cos(angle)) + noise * rng.normal(size=rows)
    y = np.where(lower, 0.5 - np.sin(angle), np.sin(angle)) + noise * rng.normal(size=rows)
    return {"x": x, "y": y, "moon": np.where(lower, "lower", "upper")}


def formula(t: np.ndarray, values: np.ndarray, symbol: sympy.Symbol) -> tuple[sympy.Expr, float]:
    """The member of the library with the best R², less 0.01 a constant, and that R²."""
    found = []
    for name, (function, count, starts) in LIBRARY.items():
        best = min((least_squares(lambda c, f=function: f(t, *c) - values, start, max_nfev=200) for start in starts), key=lambda s: s.cost)
        found.append((1 - 2 * best.cost / np.sum((values - values.mean()) ** 2), -0.01 * count, name, best.x))
    r2, _, name, constants = max(found, key=lambda row: row[0] + row[1])
    a, b, c, d = (*(sympy.Float(float(v), 3) for v in constants), 0, 0)[:4]
    text = {"linear": a * symbol + b, "square": a * (symbol - b) ** 2 + c, "cubic": a * symbol**3 + b * symbol**2 + c * symbol + d}
    text |= {"sine": a * sympy.sin(b * symbol + c) + d, "tanh": a * sympy.tanh(b * (symbol - c)) + d}
    return text[name], float(r2)


def classify(formulas: list[sympy.Expr], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The number of the class whose formula is larger."""
    values = [np.broadcast_to(sympy.lambdify(sympy.symbols("x y"), f, "numpy")(x, y), x.shape) for f in formulas]
    return np.argmax(values, 0)


def experiment(rows: int = 1000, seed: int = 0) -> tuple[dict[str, Any], Fit]:
    """Train, read off, and judge network and formulas on as many rows again."""
    numbers = {"upper": 1.0, "lower": -1.0}
    train, test = moons(rows, seed), moons(rows, 1000 + seed)
    tables = [read({"x": d["x"], "y": d["y"], "upper": [numbers[m] for m in d["moon"]], "lower": [-numbers[m] for m in d["moon"]]}) for d in (train, test)]
    task = prepare(tables[0], ["upper", "lower"], ["x", "y"], test=tables[1], held=0)
    fit = learn(task, Recipe(KAN((), 3, 5), 1, "lm:20"), seed)
    formulas, quality = [], []
    for q in range(2):
        parts = []
        for p, symbol in enumerate(sympy.symbols("x y")):
            (edges,) = fit.ansatz.network.edges(200)
            low, high = task.bounds[symbol.name]
            t = low + (high - low) * (edges.inputs[p] + 1) / 2
            part, r2 = formula(t, task.scale[q] * edges.outputs[p, q], symbol)
            parts.append(part)
            quality.append(r2)
        formulas.append(parts[0] + parts[1] + sympy.Float(float(task.center[q]), 3))
    judged = task.part == TEST
    truth = task.truth[judged, 1] > 0
    x, y = task.points[judged].T
    network = float(((fit.values(task.points[judged]).argmax(1) == 1) == truth).mean())
    return {
        "formulas": {name: str(f) for name, f in zip(task.targets, formulas, strict=True)},
        "r2_of_edges": quality,
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
    axes.contourf(x, y, classify([sympy.sympify(f) for f in found["formulas"].values()], x, y), levels=[-0.5, 0.5, 1.5], colors=["#FBE5C8", "#CFE3F2"])
    for moon, colour in (("upper", "#E69F00"), ("lower", "#0072B2")):
        axes.scatter(*(rows[c][rows["moon"] == moon] for c in "xy"), s=6, color=colour, label=moon)
    lines = [f"{name}: {f}" for name, f in found["formulas"].items()]
    axes.set_title(
        "\n".join([*lines, f"accuracy on other rows: formulas {100 * found['accuracy_of_formulas']:.1f} %, network {100 * found['accuracy_of_network']:.1f} %"]), fontsize=7
    )
    axes.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    runs = [experiment(seed=seed)[0] for seed in range(3)]
    for run in runs:
        print(run)
    record("moons", {"seeds": runs, "worst_accuracy_of_formulas": min(run["accuracy_of_formulas"] for run in runs)}, draw(runs[0], moons(1000, 1000)))
