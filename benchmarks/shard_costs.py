"""One of the processes of `benchmarks shards`: seconds of a Levenberg-Marquardt step, of a gradient
and of their parts, at its share of the points.

Started by torch.distributed.run where there are several; the first process prints a line of JSON a
case. Every time is that of the slowest process, all having started together.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.distributed as dist

from benchmarks import memory
from benchmarks.closure import objective
from benchmarks.shard_terms import DEGREE, GRID
from kanpde.networks.kan import KAN
from kanpde.problem import file as problems
from kanpde.training import LevenbergMarquardt, shards
from kanpde.training.levenberg_marquardt import Damping, damped_cholesky
from kanpde.training.objective import Objective

EACH = 3.0
"""Seconds that are spent on one time at most, if a single run takes less."""

BACKENDS = {"cpu": "gloo", "cuda": "nccl"}


def main() -> None:
    """Measure what the argument asks for, in JSON: {device, cases: [[points, width], …], seconds,
    repetitions}. What is not begun after so many seconds is left out."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    began = time.monotonic()
    device = asked["device"]
    torch.set_num_threads(1)
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group(BACKENDS[device])
    try:
        for points, width in asked["cases"]:
            row = {
                "processes": shards.size(),
                "points": points,
                "parameters": 3 * width * (GRID + DEGREE),
                "reason": None,
            }
            row["reason"] = shards.from_first(
                partial(_left_out, points, width, device, began + asked["seconds"])
            )
            if row["reason"] is None:
                row |= costs(points, width, device, asked["repetitions"])
            if shards.rank() == 0:
                print(json.dumps(row), flush=True)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def costs(points: int, width: int, device: str, repetitions: int) -> dict[str, Any]:
    """Median seconds by quantity for poisson2d at so many points of all processes; bytes: of the
    message that a step sends first."""
    problem, _ = problems.load("poisson2d")
    at = objective(problem, KAN((width,), DEGREE, GRID), points, device)
    damping, found = _parts(
        at, device, repetitions
    )  # the Jacobian is let go before a step makes its own
    trials: list[float] = []
    found["step"] = seconds(lambda: trials.append(_step(at, damping)), device, repetitions)
    return found | {"trials": max(trials)}


def _parts(at: Objective, device: str, repetitions: int) -> tuple[float, dict[str, Any]]:
    """A damping with which a step succeeds at once, the trace of JᵀJ, and the seconds of all that a
    step and a gradient consist of."""
    r, J = at.jacobian()
    normal = J.gram()
    damping = float(shards.total(normal.diagonal().sum()))
    v = torch.ones_like(at.network.theta)
    triangle = v.new_zeros(len(v) * (len(v) + 1) // 2 + len(v) + 1)
    work: dict[str, Callable[[], object]] = {
        "jacobian": at.jacobian,
        "normal": lambda: (J.gram(), J.transposed_times(r)),
        "trial": lambda: (at.residuals(), at.residuals(), J.transposed_times(J @ v)),
        "factor": lambda: _factor(normal.clone(), damping, v),
        "message": lambda: shards.total(triangle),
        "short message": lambda: shards.total(v),
        "slope": lambda: [t.gradient(at.network) for t in at.terms],
        "gradient": at.gradient,
    }
    found: dict[str, Any] = {
        name: seconds(part, device, repetitions) for name, part in work.items()
    }
    return damping, found | {"bytes": 8 * len(triangle), "short bytes": 8 * len(v)}


def _factor(normal: torch.Tensor, damping: float, v: torch.Tensor) -> torch.Tensor:
    """What a step does with the normal matrix once it is there."""
    normal.mul_(v[:, None]).mul_(v)
    factor = damped_cholesky(normal, damping)
    assert factor is not None
    return torch.cholesky_solve(v[:, None], factor) + torch.cholesky_solve(v[:, None], factor)


def _step(at: Objective, damping: float) -> float:
    """A step so strongly damped that its first trial succeeds; leaves the network where it was and
    returns how far the damping rose."""
    start = at.network.theta
    state = Damping(0.0, 0, damping)
    LevenbergMarquardt().advance(at, state)
    at.network.theta = start
    return max(1.0, state.mu / damping)


def seconds(work: Callable[[], object], device: str, repetitions: int) -> float:
    """The median over repetitions, as many as EACH allows, of the slowest process's seconds."""
    found: list[float] = []
    for k in range(repetitions + 1):
        took = _slowest(work, device)
        if k or took > EACH:  # the first time compiles, and meets cold memory
            found.append(took)
        if sum(found) + took > EACH:
            break
    return statistics.median(found or [took])


def _slowest(work: Callable[[], object], device: str) -> float:
    shards.total(torch.zeros(1, device=device))  # all begin together
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return float(shards.largest(torch.tensor([time.perf_counter() - began], dtype=torch.float64)))


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _left_out(points: int, width: int, device: str, until: float) -> str | None:
    """Why a case is not measured, if it should not be; it takes the rows of the Jacobian, and as
    much again beside them."""
    if time.monotonic() > until:
        return "the minutes were over"
    parameters, entries = 3 * width * (GRID + DEGREE), 3 * width * (DEGREE + 1)
    here = shards.size() if device == "cpu" else 1
    needed = 8.0 * (2 * points / shards.size() * entries + 6 * parameters**2) * here
    free = 2 * memory.available() if device == "cpu" else 0.9 * torch.cuda.mem_get_info()[0]
    return (
        f"left out: takes {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        if needed > free
        else None
    )


if __name__ == "__main__":
    main()
