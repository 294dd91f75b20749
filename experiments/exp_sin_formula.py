"""exp(sin πx + y²) found again from 1,000 rows: a KAN 2-1-1, a formula for each of its functions, constants refitted and recognised.

The example of Liu et al. 2024 (KAN), section 2.5. The hidden unit is a sum of a function of x and one of y, and the output a function
of it; the library of moons.py names all three (the last by its logarithm), and the composition is fitted to the rows once more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy
from matplotlib.figure import Figure
from moons import LIBRARY, formula
from record import record
from scipy.optimize import least_squares

from kanpde import KAN, Fit
from kanpde.data import Table
from kanpde.fitting import learn, prepare
from kanpde.network_plots import draw_network
from kanpde.recipe import Recipe


def exact(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The function to be found."""
    return np.exp(np.sin(np.pi * x) + y**2)


def experiment(rows: int = 1000, seed: int = 0, steps: int = 60) -> tuple[dict[str, Any], Fit]:
    """Train, name the functions, refit and recognise the constants."""
    x, y = np.random.default_rng(seed).uniform(-1, 1, (2, rows))
    task = prepare(Table("exp_sin", {"x": x, "y": y, "f": exact(x, y)}), ["f"], test=0.2, held=0, seed=seed, bounds={"x": (-1.0, 1.0), "y": (-1.0, 1.0)})
    fit = learn(task, Recipe(KAN((1,), 5, 3), 1, f"lm:{steps},extend:6,lm:{steps},extend:12,lm:{steps}", 3), seed)
    edges = fit.ansatz.network.edges(200)[0]
    inner = [formula(edges.inputs[p], edges.outputs[p, 0], symbol) for p, symbol in enumerate(sympy.symbols("x y"))]
    hidden = sum(np.interp(v, edges.inputs[p], edges.outputs[p, 0]) for p, v in enumerate((x, y)))
    outer = formula(hidden, np.log(np.maximum(fit.values(np.stack([x, y], 1))[:, 0], 1e-12)), sympy.Symbol("h"))
    r2 = [inner[0][1], inner[1][1], outer[1]]
    names = ["sin" if inner[0][0].has(sympy.sin) else str(inner[0][0]), str(inner[1][0]), f"exp({outer[0]})"]
    found: dict[str, Any] = {"network_test_rmse": fit.scores["test"]["rmse"], "functions": names, "r2": r2, "rows": rows, "seed": seed, "formula": None}
    if not (inner[0][0].has(sympy.sin) and sympy.Poly(inner[1][0], sympy.Symbol("y")).degree() in (2, 3) and sympy.Poly(outer[0], sympy.Symbol("h")).is_linear):
        return found, fit  # no closed form of this kind
    slope = float(outer[0].coeff(sympy.Symbol("h")))
    a, b, c = _sine(edges.inputs[0], edges.outputs[0, 0])
    curve = np.polyfit(edges.inputs[1], edges.outputs[1, 0], 2)
    start = [slope * a, b, c, slope * curve[0], slope * curve[1], float(np.mean(np.log(exact(x, y))))]
    fitted = least_squares(lambda k: k[0] * np.sin(k[1] * x + k[2]) + k[3] * y**2 + k[4] * y + k[5] - np.log(exact(x, y)), start, xtol=1e-15, ftol=1e-15, gtol=1e-15).x
    a, b, c, d, e, f = (sympy.nsimplify(float(v), [sympy.pi], tolerance=1e-8) if abs(v) > 1e-9 else sympy.Integer(0) for v in fitted)
    X, Y = sympy.symbols("x y")
    expression = sympy.simplify(sympy.exp(a * sympy.sin(b * X + c) + d * Y**2 + e * Y + f))
    found |= {"constants": fitted.tolist(), "formula": str(expression), "exactly": bool(sympy.simplify(expression - sympy.exp(sympy.sin(sympy.pi * X) + Y**2)) == 0)}
    return found, fit


def _sine(t: np.ndarray, values: np.ndarray) -> tuple[float, float, float]:
    """Amplitude, frequency and phase of the sine that fits best."""
    function, _, starts = LIBRARY["sine"]
    best = min((least_squares(lambda c: function(t, *c) - values, start) for start in starts), key=lambda s: s.cost)
    return tuple(float(v) for v in best.x[:3])  # type: ignore[return-value]


def draw(found: dict[str, Any], fit: Fit) -> Figure:
    """The network and the formula."""
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    draw_network(fit.drawing, axes)
    axes.set_title(f"network: test RMSE {found['network_test_rmse']:.1e}\nformula: {found['formula']}", fontsize=9)
    return figure


if __name__ == "__main__":
    runs = [experiment(seed=seed) for seed in range(3)]
    for run, _ in runs:
        print(run)
    record("exp_sin_formula", {"seeds": [run for run, _ in runs]}, draw(*runs[0]))
