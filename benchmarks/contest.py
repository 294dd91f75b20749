"""The closure and the Levenberg-Marquardt iteration on a device: which ways are compared at which
sizes, the gate, the rows.

Rows come in parts, so that what was measured is kept whatever happens later.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from benchmarks import memory, roofline
from benchmarks.closure import (
    Case,
    Closure,
    Found,
    captured,
    check_agreement,
    default_path,
    forced,
    objective,
    ours,
    problem,
    residual,
)
from benchmarks.iteration import FIVE_HUNDRED, iterations
from benchmarks.measured import (
    CLOSURE,
    GRAPH,
    ITERATION,
    NO_GPU,
    OVER,
    Machine,
    Timing,
    Way,
    against,
    alternate,
    called,
    name_of,
    row_of,
    summary,
)
from benchmarks.peers import PEERS, Unavailable, mlp, nested_gradient
from kanpde.errors import first_line
from kanpde.training.objective import Objective

SMALL, MIDDLE, LARGE = CASES = (Case((2, 10, 1)), Case((2, 32, 32, 1)), Case((3, 128, 128, 1)))

GATE = 257
"""Points at which all sides are compared first."""

COMPILED_AT = 10_000
"""torch.compile works for minutes on a shape: on the CPU it is measured at this one."""

PARTS = (1, 5, 20, 100)
"""In how many parts a materialised basis takes the points on a GPU: the first that fits."""

Plan = tuple[Case, torch.dtype, int, tuple[str, ...]]

TARGETS: tuple[Plan, ...] = (
    (SMALL, torch.float64, 10_000, ("materialised", "pykan", "jaxkan", "mlp")),
    (LARGE, torch.float64, 1_000_000, ("mlp",)),
    (LARGE, torch.float32, 1_000_000, ("mlp",)),
    (MIDDLE, torch.float64, 1_000_000, ("materialised", "materialised_compiled", "mlp")),
)
"""What is asked of a GPU: case, dtype, points and the peers; what compiles for minutes comes
last."""


def plan(points: Sequence[int]) -> list[Plan]:
    """Closures on a GPU: what is asked of it first, then every other case and number of points."""
    done = {chosen[:3] for chosen in TARGETS}
    peers = {
        torch.float64: ("materialised", "pykan", "jaxkan", "mlp"),
        torch.float32: ("materialised", "mlp"),
    }
    rest = [
        (case, dtype, n, some)
        for dtype, some in peers.items()
        for case in CASES
        for n in points
        if (case, dtype, n) not in done
    ]
    return [*TARGETS, *rest]


def on_cpu(machine: Machine, points: Sequence[int]) -> Iterator[list[Timing]]:
    """Every case and number of points, in float64. What a closure takes is found out in processes
    of its own first."""
    for case in CASES:
        ways = contenders("cpu")
        failed = gate(case, ways, "cpu", torch.float64)
        agreeing = [
            called(way) for way in ways if way not in failed and way[1] != "materialised_compiled"
        ]
        machine.tell(
            f"  {case.name}: {', '.join(agreeing)}"
            f" agree{''.join(f'; {why}' for why in dict.fromkeys(failed.values()))}"
        )
        costs = _costs(machine, case, ways, points, failed)
        for n in points:
            left = {
                way: cost[n].reason or "" for way, cost in costs.items() if cost[n].peak is None
            }
            peaks = {way: cost[n].peak for way, cost in costs.items()}
            ready = {}
            for path, peer in [way for way in ways if way not in left]:
                try:
                    ready[path, peer] = memory.build(case, peer, path, n)
                except Unavailable as error:
                    left[path, peer] = str(error)
            yield compare(machine, case, torch.float64, n, ready, left, peaks, ways)
            del ready
            yield iterations(machine, case, n, contenders("cpu", ("mlp",)))
    for n in points:
        yield iterations(machine, FIVE_HUNDRED, n, contenders("cpu", ("mlp",)))


def on_cuda(machine: Machine, points: Sequence[int]) -> Iterator[list[Timing]]:
    """The plan, with the other two targets before it."""
    ways = contenders("cuda", ("mlp",))
    yield _or_why(machine, lambda: graph(machine), SMALL, GRAPH, torch.float64, 10_000, ways[:1])
    yield _or_why(
        machine,
        lambda: iterations(machine, FIVE_HUNDRED, 1_000_000, ways),
        FIVE_HUNDRED,
        ITERATION,
        torch.float64,
        1_000_000,
        ways,
    )
    for case, dtype, n, peers in plan(points):
        ways = contenders("cuda", peers)
        late = machine.late()
        yield (
            [row_of(case, CLOSURE, "cuda", dtype, n, way, reason=OVER) for way in ways]
            if late
            else _or_why(
                machine,
                partial(on_gpu, machine, case, dtype, n, ways),
                case,
                CLOSURE,
                dtype,
                n,
                ways,
            )
        )


def _or_why(
    machine: Machine,
    work: Callable[[], list[Timing]],
    case: Case,
    quantity: str,
    dtype: torch.dtype,
    n: int,
    ways: Sequence[Way],
) -> list[Timing]:
    """The rows that some work gives; where it fails, rows that say why, so that the rest goes
    on."""
    try:
        return work()
    except Exception as error:
        why = f"failed: {first_line(error)}"
        machine.tell(f"  {case.name}, {n:,} points, {quantity}: {why}")
        return [row_of(case, quantity, "cuda", dtype, n, way, reason=why) for way in ways]


def unmeasured(points: Sequence[int]) -> list[Timing]:
    """The GPU's rows where there is none."""
    ours = ("triton", "kanpde")
    found = [row_of(SMALL, GRAPH, "cuda", torch.float64, 10_000, ours, reason=NO_GPU)]
    found += [
        row_of(
            FIVE_HUNDRED,
            ITERATION,
            "cuda",
            torch.float64,
            1_000_000,
            ("triton", peer),
            reason=NO_GPU,
        )
        for peer in ("kanpde", "mlp")
    ]
    for case, dtype, n, peers in plan(points):
        found += [
            row_of(case, CLOSURE, "cuda", dtype, n, ("triton", peer), reason=NO_GPU)
            for peer in ("kanpde", *peers)
        ]
    return found


def contenders(device: str, peers: Sequence[str] = (*PEERS, "mlp")) -> list[Way]:
    """Ours on the default path first, then on the plain one (unless KANPDE_KERNELS forces one),
    then the peers."""
    path = default_path(device)
    others = [] if path == "plain" or os.environ.get("KANPDE_KERNELS") else [("plain", "kanpde")]
    return [(path, "kanpde"), *others, *((path, peer) for peer in peers)]


def gate(case: Case, ways: Sequence[Way], device: str, dtype: torch.dtype) -> dict[Way, str]:
    """Raise BenchmarkError unless all give the same loss and gradient; returns those that cannot
    run here, with the reason."""
    at = objective(problem(case.widths[0]), case.kan, GATE, device, dtype)
    mine = ours(at, ways[0][0]).run()
    failed = {}
    for path, peer in ways[1:]:
        if peer == "mlp":
            other = mlp(case, at)
            check_agreement(ours(other, path).run(), _nested(other), "nested autograd of an MLP")
        elif (
            peer != "materialised_compiled"
        ):  # compiled for each number of points, and compared at that
            try:
                way = ours(at, path) if peer == "kanpde" else PEERS[peer](at)
                check_agreement(mine, way.read(way.run()), called((path, peer)))
            except Unavailable as error:
                failed[path, peer] = str(error)
    return failed


def _nested(at: Objective) -> Found:
    def equation(u: Tensor, *rest: Tensor) -> Tensor:
        dims = at.network.widths[0]
        return residual(u, rest[:dims], rest[dims], rest[dims + 1 :], torch.sin)

    return nested_gradient(at.network, at.terms[0].frame.points.to(at.network.theta), equation)


def _costs(
    machine: Machine,
    case: Case,
    ways: Sequence[Way],
    points: Sequence[int],
    failed: Mapping[Way, str],
) -> dict[Way, dict[int, memory.Cost]]:
    """Peak memory and seconds of every way at every number of points, or why it is left out."""

    def none(reason: str) -> dict[int, memory.Cost]:
        return {n: memory.Cost(None, None, reason) for n in points}

    def measured(way: Way, at: Sequence[int], probe: bool = True) -> dict[int, memory.Cost]:
        if machine.late():
            return none(OVER)
        return memory.costs(
            case, way[1], way[0], at, machine.limits.seconds, memory.available(), probe
        )

    found: dict[Way, dict[int, memory.Cost]] = {}
    for way in ways:
        if way in failed:
            found[way] = none(failed[way])
        elif way[1] != "materialised_compiled":
            found[way] = measured(way, points)
    for way in [way for way in ways if way not in found]:
        fits = [
            n
            for n in points
            if n == COMPILED_AT and found[way[0], "materialised"][n].peak is not None
        ]
        if machine.limits.compile:
            why = (
                f"left out: compiling takes minutes, and is measured at {COMPILED_AT:,} points,"
                " where the materialised basis fits"
            )
            found[way] = none(why) | (measured(way, fits, probe=False) if fits else {})
        else:
            found[way] = none("left out: --quick compiles nothing")
    return found


def on_gpu(
    machine: Machine, case: Case, dtype: torch.dtype, n: int, ways: Sequence[Way]
) -> list[Timing]:
    """The closure at one number of points; materialised bases that do not fit take the points in
    parts."""
    failed = gate(case, ways, "cuda", dtype)
    ready: dict[Way, Closure] = {}
    peaks: dict[Way, int | None] = {}
    for way in [way for way in ways if way not in failed]:
        if way[1] == "materialised_compiled" and not machine.limits.compile:
            failed[way] = "left out: --quick compiles nothing"
            continue
        for parts in PARTS if way[1].startswith("materialised") else PARTS[:1]:
            torch.cuda.empty_cache()
            try:
                made = memory.build(case, way[1], way[0], n, "cuda", dtype, parts)
                grown = memory.growth_on_gpu(made.run)
                peaks[way] = grown if made.peak is None else made.peak
                ready[way] = made
                failed.pop(way, None)
                break
            except torch.OutOfMemoryError:
                failed[way] = (
                    f"ran out of GPU memory{'' if parts == 1 else f', in {parts} parts too'}"
                )
            except Exception as error:
                if way[1] == "kanpde":
                    raise
                failed[way] = (
                    str(error)
                    if isinstance(error, Unavailable)
                    else f"{way[1]} failed: {first_line(error)}"
                )
                break
    return compare(machine, case, dtype, n, ready, failed, peaks, ways)


def compare(
    machine: Machine,
    case: Case,
    dtype: torch.dtype,
    n: int,
    ready: Mapping[Way, Closure],
    failed: Mapping[Way, str],
    peaks: Mapping[Way, int | None],
    ways: Sequence[Way],
) -> list[Timing]:
    """Rows of the closure at n points: agreement of those that are ready, then their times in
    turns."""
    if machine.late():
        return [
            row_of(case, CLOSURE, machine.device, dtype, n, way, reason=failed.get(way, OVER))
            for way in ways
        ]
    mine = ready[ways[0]].read(ready[ways[0]].run()) if ways[0] in ready else None
    for way, closure in ready.items():
        if mine is not None and way[1] != "mlp":
            check_agreement(mine, closure.read(closure.run()), called(way))
    spent = alternate(
        {way: closure.run for way, closure in ready.items()}, machine.limits, machine.device
    )
    flops, moved = (
        n * roofline.closure_flops(case),
        n * roofline.closure_bytes(case, dtype.itemsize),
    )
    rows = []
    for way in ways:
        row = row_of(case, CLOSURE, machine.device, dtype, n, way, spent, ways[0], failed.get(way))
        if way in spent and way[1] == "kanpde":
            row = against(row, machine.ceilings[name_of(dtype)], flops, moved)
        rows.append(replace(row, peak_bytes=peaks.get(way)))
    machine.tell(f"  {case.name}, {n:,} points, {name_of(dtype)}: {summary(rows)}")
    return rows


def graph(machine: Machine) -> list[Timing]:
    """The closure of the small network as one CUDA graph."""
    way, n = (default_path("cuda"), "kanpde"), 10_000
    at = objective(problem(2), SMALL.kan, n, "cuda", torch.float64)
    try:
        made = captured(at, way[0])
    except RuntimeError as error:
        return [
            row_of(
                SMALL,
                GRAPH,
                "cuda",
                torch.float64,
                n,
                way,
                reason=f"cannot be captured: {first_line(error)}",
            )
        ]
    with forced("plain"):
        check_agreement(at.gradient(), made.read(made.run()), "the CUDA graph")
    row = row_of(
        SMALL,
        GRAPH,
        "cuda",
        torch.float64,
        n,
        way,
        alternate({way: made.run}, machine.limits, "cuda"),
        way,
    )
    machine.tell(
        f"  {SMALL.name}, {n:,} points under CUDA graph: {1e3 * (row.milliseconds or 0):.1f} µs"
    )
    return [row]
