"""Five Gaussian peaks learned one after another: what a spline and a perceptron remember.

After Liu et al. 2024 (KAN), section 3.4 (figure 3.4): in phase k only the rows around peak k are
seen. A spline's coefficients far from them have no gradient and stay; every weight of a perceptron
moves. Both get Levenberg-Marquardt, 30 steps a phase.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from record import record

from kanpde import KAN, MLP, LevenbergMarquardt
from kanpde.geometry import Ranges
from kanpde.networks.trial_space import tabular_space
from kanpde.training import DataRows, measured
from kanpde.training.objective import Objective

CENTERS = torch.linspace(-0.8, 0.8, 5, dtype=torch.float64)


def peaks(x: torch.Tensor) -> torch.Tensor:
    """Five Gaussians of deviation 0.05."""
    return torch.exp(-(((x[:, None] - CENTERS) / 0.05) ** 2) / 2).sum(1)


def experiment(
    spec: KAN | MLP, seed: int = 0, steps: int = 30, rows: int = 100
) -> tuple[list[float], list[np.ndarray]]:
    """RMSE over all regions seen so far after each phase, and the function on an even grid."""
    network = spec.build(1, 1, torch.Generator().manual_seed(seed))
    network.theta = network.theta * (
        0.0 if isinstance(spec, KAN) else 1.0
    )  # a spline starts at zero; a perceptron cannot
    solution = tabular_space(Ranges({"x": (-1.0, 1.0)}), ("u",)).solution(network)
    grid = torch.linspace(-1, 1, 1001, dtype=torch.float64)
    errors, shapes = [], []
    for phase in range(5):
        x = -1 + 0.4 * (phase + torch.linspace(0, 1, rows, dtype=torch.float64))
        objective = Objective(
            network, [measured(solution, DataRows(x[:, None], peaks(x)[:, None]))]
        )
        for _ in LevenbergMarquardt(steps).minimise(objective):
            pass
        values = solution(grid[:, None])[:, 0]
        seen = grid <= -1 + 0.4 * (phase + 1)
        errors.append(float((values - peaks(grid))[seen].square().mean().sqrt()))
        shapes.append(values.numpy())
    return errors, shapes


def draw(runs: dict[str, tuple[list[float], list[np.ndarray]]]) -> Figure:
    """The function after every phase, a row a network."""
    figure = Figure(figsize=(13, 2.2 * len(runs) + 0.4), layout="constrained")
    grid = np.linspace(-1, 1, 1001)
    for row, (name, (errors, shapes)) in zip(
        figure.subplots(len(runs), 5, sharex=True, sharey=True), runs.items(), strict=True
    ):
        for phase, (axes, error, shape) in enumerate(zip(row, errors, shapes, strict=True)):
            axes.plot(grid, peaks(torch.from_numpy(grid)), color="0.7", lw=1)
            axes.axvspan(-1 + 0.4 * phase, -0.6 + 0.4 * phase, color="#E69F00", alpha=0.15)
            axes.plot(grid, shape, color="#0072B2", lw=1.2)
            axes.set_title(f"phase {phase + 1}: RMSE {error:.1e}", fontsize=8)
            axes.set_ylim(-0.5, 1.5)
        row[0].set_ylabel(name, fontsize=7)
    return figure


if __name__ == "__main__":
    specs: dict[str, Any] = {
        "KAN 1-1, degree 3, grid 100": KAN((), 3, 100),
        "MLP 1-20-20-1": MLP((20, 20)),
    }
    runs = {name: experiment(spec) for name, spec in specs.items()}
    print({name: errors for name, (errors, _) in runs.items()})
    record(
        "five_peaks",
        {
            "rmse_after_each_phase_over_what_was_seen": {
                name: errors for name, (errors, _) in runs.items()
            }
        },
        draw(runs),
    )
