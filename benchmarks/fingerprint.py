"""The same solutions: what a change that only moves code must leave the same to all digits.

    python -m benchmarks fingerprint > before.json
    python -m benchmarks fingerprint --against before.json

Runs the command line in processes of their own, so that it can be pointed at any version of the
package, and writes the errors, parameter counts and steps of eight solves, of one sweep and of one
fit, all digits of them.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

PROBLEMS = ("poisson2d", "burgers1d", "poisson2d_holes", "burgers1d_inverse")
SEEDS = (0, 1)
SWEEP = "sweep poisson2d --networks kan,mlp --parameters 40:120 --sizes 2 --seeds 2 --steps 20"
FIT = "--target z --schedule lm:20,extend:6,lm:20"
TIMES = ("seconds", "second", "time", "date", "rate")
"""Columns of a sweep's table that hold times, which differ from run to run."""


def kanpde(*arguments: str, folder: Path) -> None:
    """Run a command of kanpde.

    Args:
        arguments: What follows `python -m kanpde`.
        folder: Where it runs.

    Raises:
        CalledProcessError: It failed.
    """
    command = [sys.executable, "-m", "kanpde", *arguments]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def of_solve(problem: str, seed: int, folder: Path) -> dict[str, Any]:
    """Error, parameters and steps of one quick solve."""
    out = folder / f"{problem}-{seed}"
    kanpde(
        *("solve", problem, "--network", "kan", "--effort", "quick", "--seed", str(seed)),
        *("--out", str(out), "--no-reference"),
        folder=folder,
    )
    (summary,) = out.rglob("summary.json")
    said = json.loads(summary.read_text())
    return {key: said[key] for key in ("relative_l2", "parameters", "steps")}


def of_sweep(folder: Path) -> list[dict[str, str]]:
    """The table of a small sweep, without its times."""
    out = folder / "sweep"
    kanpde(*SWEEP.split(), "--jobs", "1", "--threads", "1", "--out", str(out), folder=folder)
    (table,) = out.rglob("sweep.csv")
    with table.open(newline="") as lines:
        text = [line for line in lines if not line.startswith("#")]
    kept = []
    for row in csv.DictReader(text):
        kept.append(
            {k: v for k, v in row.items() if not any(t in k for t in TIMES) and k != "folder"}
        )
    return kept


def of_fit(folder: Path) -> dict[str, Any]:
    """What is said of a small fit, without its times."""
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 300))
    rows = np.column_stack([x, y, np.sin(np.pi * x) + x * y**2])
    np.savetxt(folder / "table.csv", rows, delimiter=",", header="x,y,z", comments="")
    out = folder / "fit"
    kanpde("fit", "table.csv", *FIT.split(), "--out", str(out), folder=folder)
    (summary,) = out.rglob("summary.json")
    said = json.loads(summary.read_text())
    return {
        key: said[key]
        for key in sorted(said)
        if key in ("training", "held", "test", "parameters", "steps")
    }


def fingerprint() -> dict[str, Any]:
    """All of it, by name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found: dict[str, Any] = {
            f"solve {problem} seed {seed}": of_solve(problem, seed, folder)
            for problem in PROBLEMS
            for seed in SEEDS
        }
        found["sweep"] = of_sweep(folder)
        found["fit"] = of_fit(folder)
    return found


def differences(before: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Where a fingerprint differs from an earlier one.

    Args:
        before: The earlier one, as it was read from JSON.
        found: The one of now.

    Returns:
        A line for each name of the earlier one whose values are others now, or none at all.
    """
    # once through JSON, as the earlier one
    now = json.loads(json.dumps(found))
    return [
        f"{name}: was {old}, is {now.get(name)}"
        for name, old in before.items()
        if now.get(name) != old
    ]
