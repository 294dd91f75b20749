"""The toy functions of Liu et al. 2024 (KAN), figure 3.1, by the paper's own method: pykan's KANs
of the paper's shapes, cubic, by L-BFGS.

The figure's curves are nowhere stated as numbers, so they are drawn again here, with pykan's
default settings, in float64: the paper's grids, each from the one before. Rows, test rows and seeds
are those of toy_functions.py. The paper has 200 steps a grid, of 20 iterations each, which take
half an hour a curve on one core; here they are STEPS, and a grid is begun as long as the curve has
taken less than SECONDS of one core. It needs pykan (the `bench` extra).
"""

from __future__ import annotations

import sys
import tempfile
import time
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from record import record
from toy_functions import TOYS, rows_of

GRIDS = (3, 5, 10, 20, 50, 100, 200, 500, 1000)
DEGREE, STEPS, SECONDS = 3, 25, 40.0


def parameters(width: tuple[int, ...], grid: int) -> int:
    """Spline coefficients alone: pykan's scales of every edge are not counted against it."""
    return (grid + DEGREE) * sum(p * q for p, q in pairwise(width))


def curve(
    name: str, seed: int = 0, steps: int = STEPS, seconds: float = SECONDS, rows: int | None = None
) -> dict[str, Any]:
    """Parameters and test RMSE at the end of every grid, with the seconds that each took."""
    import kan

    toy, began, found, model = TOYS[name], time.process_time(), [], None
    width = (toy.inputs, *toy.width, 1)
    parts = {"train": rows_of(toy, rows or toy.rows, seed), "test": rows_of(toy, 2000, 1000 + seed)}
    data = {
        f"{part}_{kind}": torch.from_numpy(array)
        for part, arrays in parts.items()
        for kind, array in zip(("input", "label"), arrays, strict=True)
    }
    reason = ""
    with tempfile.TemporaryDirectory() as folder:
        for grid in GRIDS:
            at = time.process_time()
            if at - began > seconds:
                reason = f"grid {grid} not begun: {seconds:g} s were over"
                break
            try:
                model = (
                    model.refine(grid)
                    if model
                    else kan.KAN(
                        width=list(width),
                        grid=grid,
                        k=DEGREE,
                        seed=seed,
                        auto_save=False,
                        ckpt_path=folder,
                    )
                )
                losses = model.fit(data, opt="LBFGS", steps=steps)["test_loss"]
            except (
                Exception
            ) as error:  # another's code: whatever it raises ends this curve, and is kept
                reason = f"grid {grid}: {type(error).__name__}: {error}".splitlines()[0]
                break
            found.append([parameters(width, grid), float(losses[-1]), time.process_time() - at])
            print(
                f"  {name}, seed {seed}, grid {grid}: {found[-1][1]:.2e} in {found[-1][2]:.0f} s",
                flush=True,
            )
    return {"curve": found, "ended": reason}


def best(curve: list[list[float]]) -> tuple[int, float]:
    """The smallest error of a curve that is a number, and its parameters."""
    parameters, error, _ = min(
        (point for point in curve if np.isfinite(point[1])), key=lambda point: point[1]
    )
    return int(parameters), error


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    functions: dict[str, Any] = {}
    for name in sys.argv[1:] or TOYS:
        runs = [curve(name, seed) for seed in range(3)]
        functions[name] = {
            "label": TOYS[name].label,
            "rows": TOYS[name].rows,
            "seeds": runs,
            "best_of_each_seed": [best(run["curve"]) for run in runs],
        }
        record(
            "toy_pykan",
            {
                "pykan": version("pykan"),
                "grids": GRIDS,
                "steps_a_grid": STEPS,
                "seconds": SECONDS,
                "functions": functions,
            },
        )
