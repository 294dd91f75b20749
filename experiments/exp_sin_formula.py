"""exp(sin πx + y²) found again from 1,000 rows: a KAN 2-1-1, and what `explain` says of it.

The example of Liu et al. 2024 (KAN), section 2.5. The rows do not say that the constants are 1, π
and 2: they are recognised, as far as the fit determines them, and the formula that stands at the
end is compared with the true one symbolically.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy
from matplotlib.figure import Figure
from record import record

from kanpde import KAN, Fit
from kanpde.fitting import learn, prepare
from kanpde.interpret import explain_fit
from kanpde.plots.network import draw_network
from kanpde.problem.tables import Records
from kanpde.recipes.recipe import Recipe


def exact(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The function to be found."""
    return np.exp(np.sin(np.pi * x) + y**2)


def experiment(
    rows: int = 1000, seed: int = 0, steps: int = 60, seconds: float = 600.0
) -> tuple[dict[str, Any], Fit]:
    """Train, and explain; formula is None where no closed form agrees with the network."""
    x, y = np.random.default_rng(seed).uniform(-1, 1, (2, rows))
    task = prepare(
        Records("exp_sin", {"x": x, "y": y, "f": exact(x, y)}),
        ["f"],
        test=0.2,
        held=0,
        seed=seed,
        bounds={"x": (-1.0, 1.0), "y": (-1.0, 1.0)},
    )
    fit = learn(
        task,
        Recipe(KAN((1,), 5, 3), 1, f"lm:{steps},extend:6,lm:{steps},extend:12,lm:{steps}", 3),
        seed,
    )
    explained = explain_fit(fit, seconds=seconds)
    X, Y = sympy.symbols("x y", real=True)
    formula = explained.formulas["f"] if explained.found else None
    return {
        "network_test_rmse": fit.scores["test"]["rmse"],
        "formula": formula and str(formula),
        "found_as": explained.routes.get("f"),
        "distance_to_the_network": explained.distance.get("f"),
        "constants_all_named": explained.exact_constants,
        "exactly": (
            formula is not None
            and bool(sympy.simplify(formula - sympy.exp(sympy.sin(sympy.pi * X) + Y**2)) == 0)
        ),
        "rows": rows,
        "seed": seed,
    }, fit


def draw(found: dict[str, Any], fit: Fit) -> Figure:
    """The network and the formula."""
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    draw_network(fit.drawing, axes)
    axes.set_title(
        f"network: test RMSE {found['network_test_rmse']:.1e}\nformula: {found['formula']}",
        fontsize=9,
    )
    return figure


if __name__ == "__main__":
    runs = [experiment(seed=seed) for seed in range(3)]
    for run, _ in runs:
        print(run)
    record("exp_sin_formula", {"seeds": [run for run, _ in runs]}, draw(*runs[0]))
