"""Fifteen special functions of two variables, by KANs and perceptrons of about as many parameters:
the table of Liu et al. 2024 (KAN), section 3.2.

1,000 random rows to train on and 1,000 to test; Levenberg-Marquardt for both. The ranges are ours,
where all functions are smooth.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from record import record
from scipy import special

from kanpde import KAN, MLP
from kanpde.fitting import learn, prepare
from kanpde.problem.tables import Records
from kanpde.recipes.recipe import Recipe


def _lpmv(order: int) -> Callable:
    return lambda x, y: special.lpmv(order, 5 * x, 1.8 * y - 0.9)


def _harmonic(m: int, n: int) -> Callable:
    """Real part of the spherical harmonic at azimuth 2πx and polar angle πy."""
    norm = np.sqrt((2 * n + 1) / (4 * np.pi) * special.factorial(n - m) / special.factorial(n + m))
    return lambda x, y: norm * np.cos(2 * np.pi * m * x) * special.lpmv(m, n, np.cos(np.pi * y))


FUNCTIONS: dict[str, Callable] = {
    "ellipj: sn(u, m)": lambda x, y: special.ellipj(4 * x, 0.9 * y)[0],
    "ellipkinc": lambda x, y: special.ellipkinc(1.4 * x, 0.9 * y),
    "ellipeinc": lambda x, y: special.ellipeinc(1.4 * x, 0.9 * y),
    "jv": lambda x, y: special.jv(3 * x, 1 + 9 * y),
    "yv": lambda x, y: special.yv(3 * x, 1 + 9 * y),
    "kv": lambda x, y: special.kv(3 * x, 1 + 4 * y),
    "iv": lambda x, y: special.iv(3 * x, 1 + 4 * y),
    "lpmv, m = 0": _lpmv(0),
    "lpmv, m = 1": _lpmv(1),
    "lpmv, m = 2": _lpmv(2),
    "sph_harm, m = 0, n = 1": _harmonic(0, 1),
    "sph_harm, m = 1, n = 1": _harmonic(1, 1),
    "sph_harm, m = 0, n = 2": _harmonic(0, 2),
    "sph_harm, m = 1, n = 2": _harmonic(1, 2),
    "sph_harm, m = 2, n = 2": _harmonic(2, 2),
}


def measure(name: str, rows: int = 1000, steps: int = 40, seed: int = 0) -> dict[str, Any]:
    """Test RMSE of both, over the deviation of the function, with their parameters."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 1, (2, 2 * rows))
    f = FUNCTIONS[name](x, y)
    train, test = (
        Records(name, {"x": x[part], "y": y[part], "f": f[part]})
        for part in (slice(0, rows), slice(rows, None))
    )
    task = prepare(
        train, ["f"], test=test, held=0.1, seed=seed, bounds={"x": (0.0, 1.0), "y": (0.0, 1.0)}
    )
    recipes = {
        "kan": Recipe(KAN((5,), 5, 3), 1, f"lm:{steps},extend:6,lm:{steps}", 1),
        "mlp": Recipe(MLP((9, 9)), 1, f"lm:{2 * steps}", 1),
    }
    found: dict[str, Any] = {}
    for kind, recipe in recipes.items():
        fitted = learn(task, recipe, seed)
        found[kind] = {
            "rmse": fitted.scores["test"]["rmse"],
            "parameters": fitted.solution.parameters,
            "network": fitted.solution.describe(),
        }
    return {**found, "deviation": float(f.std()), "rows": rows, "seed": seed}


def draw(rows: dict[str, Any]) -> Figure:
    """Test RMSE of both, function by function."""
    figure = Figure(figsize=(6.5, 4.6), layout="constrained")
    axes, places = figure.subplots(), np.arange(len(rows))
    for kind, colour, marker in (("kan", "#0072B2", "o"), ("mlp", "#7F7F7F", "^")):
        shown = next(iter(rows.values()))[kind]
        axes.semilogx(
            [row[kind]["rmse"] for row in rows.values()],
            places,
            marker,
            color=colour,
            label=f"{shown['network']}, {shown['parameters']} parameters",
        )
    axes.set_yticks(places, list(rows), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("test RMSE")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7)
    return figure


if __name__ == "__main__":
    rows = {}
    for name in FUNCTIONS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            rows[name] = measure(name)
        print(
            f"{name:26} KAN {rows[name]['kan']['rmse']:.1e}  MLP {rows[name]['mlp']['rmse']:.1e}",
            flush=True,
        )
    record("special_functions", {"functions": rows}, draw(rows))
