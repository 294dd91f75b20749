"""The closure of a GR-KAN against that of a B-spline KAN of equal width, float64 on the CPU, in
turns.

Each closure must first give the loss and gradient of its own plain path.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

from benchmarks.closure import check_agreement, objective, ours, problem
from benchmarks.measured import Limits, Way, alternate
from benchmarks.rows import Quantity, Tell
from kanpde.networks.kan import KAN
from kanpde.networks.registry import SPECS

MUST, AIM = 2.0, 1.0
"""The GR-KAN's time over the spline's."""

WIDTHS = ((10,), (16, 16), (32, 32))
GRIDS = {3: 5, 7: 24}
"""Grid by degree: that of `benchmarks kernels`, and that of the default recipe."""

GATE = 257
"""Points at which the paths are compared."""


def closures(tell: Tell, points: int = 10_000, limits: Limits | None = None) -> list[Quantity]:
    """A row for every width and kind of spline: the ratio of the medians, one thread or as many as
    torch has."""
    limits = limits or replace(Limits(), timing=10.0)
    rows = []
    for width in WIDTHS:
        specs: dict[Way, Any] = {("cpu", "grkan"): SPECS["grkan"](width)}
        specs |= {
            ("cpu", f"degree {degree}, grid {grid}"): KAN(width, degree, grid)
            for degree, grid in GRIDS.items()
        }
        for way, spec in specs.items():
            at = objective(problem(2), spec, GATE)
            check_agreement(ours(at).run(), ours(at, "plain").run(), f"the plain path of {way[1]}")
        spent = alternate(
            {way: ours(objective(problem(2), spec, points)).run for way, spec in specs.items()},
            limits,
            "cpu",
        )
        medians = {way[1]: statistics.median(times) for way, times in spent.items()}
        rational = medians.pop("grkan")
        for spline, seconds in medians.items():
            shape = "-".join(map(str, (2, *width, 1)))
            row = Quantity(
                f"GR-KAN {shape} over B-splines of {spline}: closure with u, ∇u, Δu at {points:,}"
                " points",
                rational / seconds,
                "times the time",
                MUST,
                AIM,
            )
            row.more = {
                "GR-KAN, ms": 1e3 * rational,
                "B-splines, ms": 1e3 * seconds,
                "repetitions": len(spent["cpu", "grkan"]),
                "points": points,
            }
            rows.append(row)
            tell(
                f"{row.what}: {row.value:.2f} times the time ({1e3 * rational:.1f} against"
                f" {1e3 * seconds:.1f} ms)"
            )
    return rows
