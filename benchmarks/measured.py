"""Rows of the kernel benchmark: what is timed, how it is timed in turns, and what is kept of it."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from benchmarks.closure import Case
from benchmarks.roofline import Ceiling
from benchmarks.rows import Tell

CLOSURE, ITERATION, GRAPH = "closure", "Levenberg-Marquardt iteration", "closure under CUDA graph"
NO_GPU = "unmeasured: no GPU"
OVER = "left out: the time given was over"


@dataclass(frozen=True)
class Timing:
    """One row of the table.

    Attributes:
        case: The network.
        quantity: What was timed.
        device: cpu or cuda.
        dtype: Such as float64.
        points: How many.
        path: That of the kernels; for a peer, the one that it is compared with.
        peer: kanpde, or whom it is compared with.
        milliseconds: The median; None where it was not measured.
        ratio: Its time over that of kanpde on its default path, in the same run.
        roofline_share: The least possible time over the measured one.
        peak_bytes: Of the closure, beyond what stays from step to step.
        flop_share: As roofline_share, by operations alone.
        minimum: The least of the times, in milliseconds.
        repetitions: How many times there are.
        reason: Why it was not measured.
    """

    case: str
    quantity: str
    device: str
    dtype: str
    points: int
    path: str
    peer: str
    milliseconds: float | None = None
    ratio: float | None = None
    roofline_share: float | None = None
    peak_bytes: int | None = None
    flop_share: float | None = None
    minimum: float | None = None
    repetitions: int = 0
    reason: str | None = None


Way = tuple[str, str]
"""Path and peer."""


@dataclass(frozen=True)
class Limits:
    """What a run may take.

    Attributes:
        seconds: Of one closure, at most.
        rounds: Of timing in turns, at most.
        timing: Seconds of timing in turns, at most.
        compile: Whether torch.compile is tried.
        until: When to stop, on the monotonic clock.
    """

    seconds: float = 15.0
    rounds: int = 9
    timing: float = 30.0
    compile: bool = True
    until: float = math.inf


QUICK = Limits(seconds=3.0, rounds=3, timing=5.0, compile=False)


@dataclass(frozen=True)
class Machine:
    """Where it is measured.

    Attributes:
        device: cpu or cuda.
        ceilings: Of the roofline, by dtype.
        limits: What a run may take.
        tell: Where progress goes, a line at a time.
    """

    device: str
    ceilings: Mapping[str, Ceiling]
    limits: Limits
    tell: Tell

    def late(self) -> bool:
        """Whether the time given is over."""
        return time.monotonic() > self.limits.until


def alternate(
    works: Mapping[Way, Callable[[], object]], limits: Limits, device: str
) -> dict[Way, list[float]]:
    """Seconds of each, in turns: as many rounds as the limits allow, the fast ones several times a
    round.

    On a GPU a time is the mean of enough calls to fill 2 ms, between two synchronisations.
    """

    def once(work: Callable[[], object], calls: int) -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(calls):
            work()
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - began) / calls

    if not works:
        return {}
    first = {way: once(work, 1) for way, work in works.items()}
    first = {
        way: once(work, 1) if first[way] < 1 else first[way] for way, work in works.items()
    }  # the fast ones are warm now
    calls = {
        way: max(1, math.ceil(2e-3 / one)) if device == "cuda" else 1 for way, one in first.items()
    }
    slowest = max(first.values())
    turns = {
        way: min(5, max(1, int(slowest / (4 * calls[way] * one)))) for way, one in first.items()
    }
    round_takes = sum(first[way] * calls[way] * turns[way] for way in works)
    found: dict[Way, list[float]] = {way: [] for way in works}
    for _ in range(min(limits.rounds, max(1, int(limits.timing / round_takes)))):
        for way, work in works.items():
            found[way] += [once(work, calls[way]) for _ in range(turns[way])]
    return found


def row_of(
    case: Case,
    quantity: str,
    device: str,
    dtype: torch.dtype,
    n: int,
    way: Way,
    spent: Mapping[Way, Sequence[float]] | None = None,
    base: Way | None = None,
    reason: str | None = None,
) -> Timing:
    """The row of a way, with its median of what was spent, over that of `base`."""
    row = Timing(case.name, quantity, device, name_of(dtype), n, *way, reason=reason)
    if not spent or way not in spent:
        return row
    found = spent[way]
    median = statistics.median(found)
    ratio = median / statistics.median(spent[base]) if base is not None and base in spent else None
    return replace(
        row,
        milliseconds=1e3 * median,
        ratio=ratio,
        minimum=1e3 * min(found),
        repetitions=len(found),
    )


def against(row: Timing, ceiling: Ceiling, flops: float, moved: float) -> Timing:
    """The row with its shares of the roofline."""
    if row.milliseconds is None:
        return row
    seconds = row.milliseconds / 1e3
    return replace(
        row,
        roofline_share=ceiling.seconds(flops, moved) / seconds,
        flop_share=ceiling.seconds(flops, 0) / seconds,
    )


def name_of(dtype: torch.dtype) -> str:
    """Such as "float64"."""
    return str(dtype).removeprefix("torch.")


def called(way: Way) -> str:
    """Such as "pykan" or "kanpde (cpu)"."""
    return f"kanpde ({way[0]})" if way[1] == "kanpde" else way[1]


def summary(rows: Sequence[Timing]) -> str:
    """The times in one line."""
    shown = [
        f"{called((row.path, row.peer))} {row.milliseconds:.3g} ms"
        for row in rows
        if row.milliseconds
    ]
    return ", ".join(shown) or (rows[0].reason or "nothing could be measured")
