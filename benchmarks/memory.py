"""Peak memory of a closure: in a fresh process on the CPU, from the allocator's own count on a GPU;
of jaxKAN, which keeps its memory between runs, what XLA planned.

The process computes the closure once, so that libraries are loaded and code is compiled, notes how
much memory it holds, computes it again, and asks the system for the highest amount in between.
Blocks of 64 kB and more are taken from the system and given back one by one
(MALLOC_MMAP_THRESHOLD_), so nothing that was freed before hides what is needed now. What does not
change from step to step (points, coefficients, the input jet) is there before, and not counted.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.closure import Case, Closure, objective, ours, problem
from benchmarks.peers import PEERS, Unavailable, mlp

PROC = Path("/proc/self")


@dataclass(frozen=True)
class Cost:
    """What one run takes at some number of points.

    Attributes:
        peak: Bytes; None where it was not tried.
        seconds: None where it was not tried.
        reason: Why it was not tried.
    """

    peak: int | None
    seconds: float | None
    reason: str | None = None


def build(
    case: Case,
    peer: str,
    path: str,
    points: int,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
    chunks: int = 1,
) -> Closure:
    """The closure of one way.

    Args:
        case: The network.
        peer: kanpde, or whom it is compared with.
        path: That of kanpde's kernels.
        points: How many.
        device: cpu or cuda.
        dtype: Of all numbers.
        chunks: Parts in which a materialised basis takes the points.

    Returns:
        What can be run and timed.

    Raises:
        Unavailable: The peer is not installed, or cannot run here.
    """
    at = objective(problem(case.widths[0]), case.kan, points, device, dtype)
    if peer == "kanpde":
        return ours(at, path)
    if peer == "mlp":
        return ours(mlp(case, at), path)
    return PEERS[peer](at) if chunks == 1 else PEERS[peer](at, chunks=chunks)


def costs(
    case: Case,
    peer: str,
    path: str,
    points: Sequence[int],
    seconds: float,
    memory: float,
    probe: bool = True,
) -> dict[int, Cost]:
    """The cost on the CPU for each number of points, in rising order, measured in one fresh
    process.

    What would, by the number before it, take longer than so many seconds or more bytes is not
    tried; probe: a fourth of the smallest number goes before.
    """
    if not points:
        return {}
    asked = {
        "widths": case.widths,
        "grid": case.grid,
        "degree": case.degree,
        "peer": peer,
        "path": path,
    }
    first = [max(1, min(points) // 4)] if probe else []
    asked |= {
        "probe": first,
        "points": sorted(points),
        "seconds": seconds,
        "memory": memory,
        "threads": torch.get_num_threads(),
    }
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [
        sys.executable,
        "-c",
        "from benchmarks.memory import main; main()",
        json.dumps(asked),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    found = {}
    for line in done.stdout.splitlines():
        if line.startswith('{"points"'):
            entry = json.loads(line)
            found[entry["points"]] = Cost(entry["peak"], entry["seconds"], entry["reason"])
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        why = "ran out of memory" if done.returncode < 0 else f"failed: {last}"
    for count in points:
        found.setdefault(count, Cost(None, None, why if done.returncode else "not reached"))
    return {count: found[count] for count in points}


def main() -> None:
    """The measured process: what it is asked as JSON in its argument, a line of JSON for each
    number of points."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    torch.set_num_threads(asked["threads"])
    case = Case(tuple(asked["widths"]), asked["grid"], asked["degree"])
    before: tuple[int, int, float] | None = None
    for count in [*asked["probe"], *asked["points"]]:
        reason = (
            None if before is None else _too_much(count, before, asked["seconds"], asked["memory"])
        )
        cost = Cost(None, None, reason) if reason else None
        if cost is None:
            try:
                closure = build(case, asked["peer"], asked["path"], count)
            except Unavailable as error:
                cost = Cost(None, None, str(error))
            else:
                closure.run()
                began = time.perf_counter()
                grown = growth(closure.run)
                cost = Cost(
                    grown if closure.peak is None else closure.peak, time.perf_counter() - began
                )
                before = count, cost.peak or 0, cost.seconds or 0.0
        if count in asked["points"]:
            print(
                json.dumps(
                    {
                        "points": count,
                        "peak": cost.peak,
                        "seconds": cost.seconds,
                        "reason": cost.reason,
                    }
                ),
                flush=True,
            )


def _too_much(
    count: int, before: tuple[int, int, float], seconds: float, memory: float
) -> str | None:
    """Why a closure is not tried at so many points, if it should not be, from points, peak bytes
    and seconds of one before."""
    times = count / before[0]
    if times * before[2] > seconds:
        return (
            f"left out: {before[0]:,} points took {before[2]:.2g} s, and at most {seconds:g} s are"
            " given to one run"
        )
    if times * before[1] > memory:
        return (
            f"left out: {before[0]:,} points needed {before[1] / 1e9:.2g} GB, and"
            f" {memory / 1e9:.2g} GB may be used"
        )
    return None


def growth(work: Callable[[], object]) -> int:
    """Bytes by which the process's memory grows at its highest while it works."""
    if not (PROC / "status").is_file():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work()
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (
            1 if sys.platform == "darwin" else 1024
        )
    _give_back()
    (PROC / "clear_refs").write_text("5")  # the highest amount starts again from now
    before = _status("VmRSS")
    work()
    return max(0, _status("VmHWM") - before)


def _give_back() -> None:
    """Gives what was freed before back to the system, where the C library can: a block that is
    taken from a hole that the process holds already would not be seen."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def growth_on_gpu(work: Callable[[], object]) -> int:
    """The same of the GPU's memory, by the count of torch's allocator, at the second of two
    runs."""
    work()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _status(name: str) -> int:
    line = next(
        line for line in (PROC / "status").read_text().splitlines() if line.startswith(name)
    )
    return 1024 * int(line.split()[1])


def available() -> float:
    """Bytes that may be used: half of what the system can give."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return 4e9
    line = next(
        line for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable")
    )
    return 512.0 * int(line.split()[1])
