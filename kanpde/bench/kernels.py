"""`python -m kanpde bench kernels`: the closure and the Levenberg-Marquardt iteration against their peers, with the roofline.

Every way of computing the closure must give our loss and gradient before any time is taken. Ours and the peers are then
timed in turns, so that whatever else the machine does meets all of them, and medians are compared. What is too slow or too
large for the machine, not installed, or asks for a GPU that is not there has a row that says so; nothing is extrapolated.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kanpde import run_folder
from kanpde.bench import memory, roofline
from kanpde.bench.closure import Case, Closure, Found, captured, check_agreement, default_path, forced, objective, ours, problem, residual
from kanpde.bench.figure import plot_kernels
from kanpde.bench.measured import CLOSURE, GRAPH, ITERATION, NO_GPU, QUICK, Limits, Measured, Way, against, alternate, name_of, row_of, summary
from kanpde.bench.peers import PEERS, Unavailable, mlp, nested_gradient
from kanpde.bench.rows import Tell, load
from kanpde.bench.verdicts import page
from kanpde.errors import RunError
from kanpde.provenance import provenance
from kanpde.training import LevenbergMarquardt
from kanpde.training.objective import Objective

SMALL, MIDDLE, LARGE = CASES = (Case((2, 10, 1)), Case((2, 32, 32, 1)), Case((3, 128, 128, 1)))
FIVE_HUNDRED = Case((2, 21, 1))
"""504 parameters: the network of the Levenberg-Marquardt target."""

POINTS = (1_000, 10_000, 100_000, 1_000_000)
GATE = 257
"""Points at which all sides are compared first."""

COMPILED_AT = 10_000
"""torch.compile works for minutes on a shape: on the CPU it is measured at this one."""

DEVICES = ("cpu", "cuda")


def run(out: Path, tell: Tell, points: Sequence[int] = POINTS, quick: bool = False, device: str | None = None, minutes: float | None = None) -> list[dict[str, Any]]:
    """Measure, and write `out/benchmarks/kernels.json`, `kernels.md` and `kernels.png`; returns the rows of this run.

    device: only this one, where not every one that is there. quick: small sizes, few repetitions, no compiling. minutes: after
    so many, what is left is not measured. The GPU's rows of an earlier run stay in the files where there is no GPU now.
    Raises BenchmarkError before reporting the speed of anything that is wrong, RunError where files cannot be written.
    """
    gpu = torch.cuda.is_available()
    if device == "cuda" and not gpu:
        raise RunError("--device: got 'cuda'; there is no GPU here, and its rows stay unmeasured")
    folder = Path(out) / "benchmarks"
    run_folder.check_writable(folder)
    found = _earlier(folder / "kernels.json")
    limits = replace(QUICK if quick else Limits(), until=math.inf if minutes is None else time.monotonic() + 60 * minutes)
    sizes = [n for n in sorted(set(points)) if not quick or n <= 10_000] or [min(points)]
    fresh = []
    with _shared_compilations():
        for where in DEVICES if device is None else [device]:
            if where == "cpu" or gpu:
                tell(f"measuring on {where}")
                part = _measure(where, sizes, limits, tell, quick)
                found[where] = {**part, "provenance": {**part["provenance"], "command": _command(points, quick, device, minutes)}}
            else:
                part = {"provenance": None, "ceilings": {}, "rows": [asdict(row) for row in unmeasured()]}
                found.setdefault(where, part)
            fresh += part["rows"]
            write(folder, found)
    return fresh


def _measure(where: str, points: Sequence[int], limits: Limits, tell: Tell, quick: bool) -> dict[str, Any]:
    """What the files hold of a device."""
    about = {**provenance(where), "load": load(), **_versions()}
    ceilings = {name_of(dtype): roofline.measure(where, dtype) for dtype in ([torch.float64] if where == "cpu" else [torch.float64, torch.float32])}
    for dtype, ceiling in ceilings.items():
        tell(f"  {dtype}: {ceiling.flops / 1e9:.1f} Gflop/s in a matrix product, {ceiling.bandwidth / 1e9:.1f} GB/s in a triad")
    rows = on_cpu(points, limits, ceilings, tell, quick) if where == "cpu" else on_cuda(points, limits, ceilings, tell)
    return {"provenance": about, "ceilings": {dtype: asdict(ceiling) for dtype, ceiling in ceilings.items()}, "rows": [asdict(row) for row in rows]}


def _command(points: Sequence[int], quick: bool, device: str | None, minutes: float | None) -> str:
    options = {"--points": "" if tuple(points) == POINTS else ",".join(map(str, points)), "--device": device or "", "--minutes": f"{minutes:g}" if minutes else ""}
    return " ".join(["python -m kanpde bench kernels", *(f"{option} {value}" for option, value in options.items() if value), *(["--quick"] if quick else [])])


@contextmanager
def _shared_compilations() -> Iterator[None]:
    """What jax compiles in the processes that measure memory need not be compiled again here."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["JAX_COMPILATION_CACHE_DIR"]


def write(folder: Path, found: Mapping[str, Any]) -> None:
    """The three files of what was measured."""
    run_folder.write_text(folder / "kernels.json", json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    run_folder.write_text(folder / "kernels.md", page(found))
    for device in DEVICES:
        rows = found.get(device, {}).get("rows", [])
        if any(row["milliseconds"] for row in rows):
            name = "kernels.png" if device == "cpu" else f"kernels_{device}.png"
            plot_kernels([row for row in rows if row["quantity"] == CLOSURE], [case.name for case in CASES]).savefig(folder / name, dpi=150)


def on_cpu(points: Sequence[int], limits: Limits, ceilings: Mapping[str, roofline.Ceiling], tell: Tell, quick: bool = False) -> list[Measured]:
    """Every case and number of points, in float64. What a closure takes is found out in processes of its own first."""
    rows: list[Measured] = []
    for case in CASES:
        ways = contenders("cpu")
        failed = gate(case, ways, "cpu", torch.float64)
        agreeing = [_called(way) for way in ways if way not in failed and way[1] != "materialised_compiled"]
        tell(f"  {case.name}: {', '.join(agreeing)} agree{''.join(f'; {why}' for why in dict.fromkeys(failed.values()))}")
        costs = {way: _costs(case, way, points, limits, failed.get(way)) for way in ways if way[1] != "materialised_compiled"}
        at = [n for n in points if n == COMPILED_AT and costs[ways[0][0], "materialised"][n].peak is not None]
        costs[ways[0][0], "materialised_compiled"] = _compiled_costs(case, ways[0][0], points, at, limits, quick)
        for n in points:
            left = {way: cost[n].reason or "" for way, cost in costs.items() if cost[n].peak is None}
            peaks = {way: cost[n].peak for way, cost in costs.items()}
            ready = {}
            for path, peer in [way for way in ways if way not in left]:
                try:
                    ready[path, peer] = memory.build(case, peer, path, n)
                except Unavailable as error:
                    left[path, peer] = str(error)
            rows += compare(case, "cpu", torch.float64, n, ways, ready, left, peaks, limits, ceilings["float64"], tell)
            del ready
            rows += iterations(case, "cpu", n, limits, ceilings["float64"], tell)
    for n in points:
        rows += iterations(FIVE_HUNDRED, "cpu", n, limits, ceilings["float64"], tell)
    return rows


def on_cuda(points: Sequence[int], limits: Limits, ceilings: Mapping[str, roofline.Ceiling], tell: Tell) -> list[Measured]:
    """What the targets ask for, then every other case and number of points, until the time is over."""
    rows: list[Measured] = []
    double, single = torch.float64, torch.float32
    done = set()
    for case, dtype, n, some in TARGETS:
        done.add((case, dtype, n))
        rows += on_gpu(case, dtype, n, contenders("cuda", some), limits, ceilings[name_of(dtype)], tell)
    rows += iterations(FIVE_HUNDRED, "cuda", 1_000_000, limits, ceilings["float64"], tell)
    rows += graph(limits, tell)
    for dtype in (double, single):
        for case in CASES:
            for n in [n for n in points if (case, dtype, n) not in done]:
                left = ("materialised", "pykan", "jaxkan", "mlp") if dtype == double else ("materialised", "mlp")
                ways = contenders("cuda", left)
                if time.monotonic() > limits.until:
                    rows += [row_of(case, CLOSURE, "cuda", dtype, n, way, reason="left out: the time given was over") for way in ways]
                else:
                    rows += on_gpu(case, dtype, n, ways, limits, ceilings[name_of(dtype)], tell)
    return rows


TARGETS = (
    (SMALL, torch.float64, 10_000, ("materialised", "pykan", "jaxkan", "mlp")),
    (MIDDLE, torch.float64, 1_000_000, ("materialised", "materialised_compiled", "mlp")),
    (LARGE, torch.float64, 1_000_000, ("mlp",)),
    (LARGE, torch.float32, 1_000_000, ("mlp",)),
)
"""What is asked of a GPU: case, dtype, points and the peers."""


def unmeasured() -> list[Measured]:
    """The GPU's rows where there is none."""
    found = [
        row_of(case, CLOSURE, "cuda", dtype, n, way, reason=NO_GPU) for case, dtype, n, some in TARGETS for way in [("triton", "kanpde"), *(("triton", peer) for peer in some)]
    ]
    found.append(row_of(FIVE_HUNDRED, ITERATION, "cuda", torch.float64, 1_000_000, ("triton", "kanpde"), reason=NO_GPU))
    found.append(row_of(SMALL, GRAPH, "cuda", torch.float64, 10_000, ("triton", "kanpde"), reason=NO_GPU))
    return found


def contenders(device: str, peers: Sequence[str] = (*PEERS, "mlp")) -> list[Way]:
    """Ours on the default path first, then on the reference (unless KANPDE_KERNELS forces one), then the peers."""
    path = default_path(device)
    others = [] if path == "reference" or os.environ.get("KANPDE_KERNELS") else [("reference", "kanpde")]
    return [(path, "kanpde"), *others, *((path, peer) for peer in peers)]


def gate(case: Case, ways: Sequence[Way], device: str, dtype: torch.dtype) -> dict[Way, str]:
    """Raise BenchmarkError unless all give the same loss and gradient; returns those that cannot run here, with the reason."""
    at = objective(problem(case.widths[0]), case.kan, GATE, device, dtype)
    mine = ours(at, ways[0][0]).run()
    failed = {}
    for path, peer in ways[1:]:
        if peer == "mlp":
            other = mlp(case, at)
            check_agreement(other.gradient(), _nested(other), "nested autograd of an MLP")
        elif peer != "materialised_compiled":  # compiled for each number of points, and compared at that
            try:
                way = ours(at, path) if peer == "kanpde" else PEERS[peer](at)
                check_agreement(mine, way.read(way.run()), _called((path, peer)))
            except Unavailable as error:
                failed[path, peer] = str(error)
    return failed


def _nested(at: Objective) -> Found:
    def equation(u: Tensor, *rest: Tensor) -> Tensor:
        dims = at.network.widths[0]
        return residual(u, rest[:dims], rest[dims], rest[dims + 1 :], torch.sin)

    return nested_gradient(at.network, at.terms[0].frame.points.to(at.network.theta), equation)


def on_gpu(case: Case, dtype: torch.dtype, n: int, ways: Sequence[Way], limits: Limits, ceiling: roofline.Ceiling, tell: Tell) -> list[Measured]:
    """The closure at one number of points; materialised bases that do not fit take the points in parts."""
    failed = gate(case, ways, "cuda", dtype)
    ready: dict[Way, Closure] = {}
    peaks: dict[Way, int | None] = {}
    for way in [way for way in ways if way not in failed]:
        for chunks in (1, 5, 20, 100) if way[1].startswith("materialised") else (1,):
            torch.cuda.empty_cache()
            try:
                made = memory.build(case, way[1], way[0], n, "cuda", dtype, chunks)
                made.run()
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
                made.run()
                torch.cuda.synchronize()
                peaks[way] = None if way[1] == "jaxkan" else torch.cuda.max_memory_allocated() - before
                ready[way] = made
                failed.pop(way, None)
                break
            except Unavailable as error:
                failed[way] = str(error)
                break
            except torch.OutOfMemoryError:
                failed[way] = f"ran out of GPU memory{'' if chunks == 1 else f', in {chunks} parts too'}"
    return compare(case, "cuda", dtype, n, ways, ready, failed, peaks, limits, ceiling, tell)


def compare(
    case: Case,
    device: str,
    dtype: torch.dtype,
    n: int,
    ways: Sequence[Way],
    ready: Mapping[Way, Closure],
    failed: Mapping[Way, str],
    peaks: Mapping[Way, int | None],
    limits: Limits,
    ceiling: roofline.Ceiling,
    tell: Tell,
) -> list[Measured]:
    """Rows of the closure at n points: agreement of those that are ready, then their times in turns."""
    mine = next((closure.read(closure.run()) for way, closure in ready.items() if way == ways[0]), None)
    for way, closure in ready.items():
        if mine is not None and way[1] != "mlp":
            check_agreement(mine, closure.read(closure.run()), way[1])
    spent = alternate({way: closure.run for way, closure in ready.items()}, limits, device)
    flops, moved = n * roofline.closure_flops(case), n * roofline.closure_bytes(case, dtype.itemsize)
    rows = []
    for way in ways:
        row = row_of(case, CLOSURE, device, dtype, n, way, spent, ways[0], failed.get(way))
        if way in spent and way[1] == "kanpde":
            row = against(row, ceiling, flops, moved)
        rows.append(replace(row, peak_bytes=peaks.get(way)))
    tell(f"  {case.name}, {n:,} points: {summary(rows)}")
    return rows


def iterations(case: Case, device: str, n: int, limits: Limits, ceiling: roofline.Ceiling, tell: Tell) -> list[Measured]:
    """Rows of a Levenberg-Marquardt iteration at n points: ours, and the MLP of as many parameters."""
    ways = contenders(device, ("mlp",))
    double = torch.float64
    flops = roofline.iteration_flops(case, n)
    needed = 8.0 * (4 * case.parameters**2 + 3 * n * case.parameters)  # the MLP's rows are dense
    free = memory.available() if device == "cpu" else 0.8 * torch.cuda.get_device_properties(0).total_memory
    why = None
    if needed > free:
        why = f"left out: the Jacobian and the normal matrix of {case.parameters:,} parameters take {needed / 1e9:.2g} GB, and {free / 1e9:.2g} GB may be used"
    elif 3 * flops / ceiling.flops > limits.seconds:
        why = f"left out: {flops:.1e} operations, and at most {limits.seconds:g} s are given to one iteration"
    elif time.monotonic() > limits.until:
        why = "left out: the time given was over"
    if why:
        return [row_of(case, ITERATION, device, double, n, way, reason=why) for way in ways]
    at = {way: objective(problem(case.widths[0]), case.kan, n, device, double) for way in ways}
    steps = {way: _stepping(mlp(case, at[way]) if way[1] == "mlp" else at[way], way[0]) for way in ways}
    spent = alternate(steps, limits, device)
    rows = []
    for way in ways:
        row = row_of(case, ITERATION, device, double, n, way, spent, ways[0])
        rows.append(row if way[1] == "mlp" else against(row, ceiling, flops, 3 * n * roofline.closure_bytes(case) / 2))
    tell(f"  {case.name}, {n:,} points, {ITERATION}: {summary(rows)}")
    return rows


def _stepping(at: Objective, path: str) -> Callable[[], float]:
    """One more iteration at each call, as training takes them; from the start again where it has converged."""
    start = at.network.theta
    endless = LevenbergMarquardt(steps=10**9, patience=10**9)
    steps = endless.minimise(at)

    def step() -> float:
        nonlocal steps
        with forced(path):
            try:
                return next(steps)
            except StopIteration:
                at.network.theta = start
                steps = endless.minimise(at)
                return next(steps)

    return step


def graph(limits: Limits, tell: Tell) -> list[Measured]:
    """The closure of the small network as one CUDA graph."""
    way, n = (default_path("cuda"), "kanpde"), 10_000
    at = objective(problem(2), SMALL.kan, n, "cuda", torch.float64)
    try:
        with forced(way[0]):
            made = captured(at)
        made.run()
        check_agreement(at.gradient(), made.read(None), "the CUDA graph")
    except RuntimeError as error:
        return [row_of(SMALL, GRAPH, "cuda", torch.float64, n, way, reason=f"cannot be captured: {str(error).splitlines()[0]}")]
    row = row_of(SMALL, GRAPH, "cuda", torch.float64, n, way, alternate({way: made.run}, limits, "cuda"), way)
    tell(f"  {SMALL.name}, {n:,} points under CUDA graph: {1e3 * (row.milliseconds or 0):.1f} µs")
    return [row]


def _called(way: Way) -> str:
    return f"kanpde ({way[0]})" if way[1] == "kanpde" else way[1]


def _costs(case: Case, way: Way, points: Sequence[int], limits: Limits, reason: str | None) -> dict[int, memory.Cost]:
    if reason:
        return {n: memory.Cost(None, None, reason) for n in points}
    return memory.costs(case, way[1], way[0], points, limits.seconds, memory.available())


def _compiled_costs(case: Case, path: str, points: Sequence[int], at: Sequence[int], limits: Limits, quick: bool) -> dict[int, memory.Cost]:
    if quick:
        return {n: memory.Cost(None, None, "left out: --quick compiles nothing") for n in points}
    measured = memory.costs(case, "materialised_compiled", path, at, limits.seconds, memory.available(), probe=False)
    why = f"left out: compiling takes minutes, and is measured at {COMPILED_AT:,} points, where the materialised basis fits"
    return {n: measured.get(n, memory.Cost(None, None, why)) for n in points}


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in ("pykan", "jaxkan", "jax", "numba"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _earlier(path: Path) -> dict[str, Any]:
    """What kernels.json holds of devices measured earlier; raises RunError where it is something else."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        kept = {device: found[device] for device in DEVICES if device in found and found[device]["provenance"] is not None}
        for part in kept.values():
            part["rows"] = [asdict(Measured(**row)) for row in part["rows"]]
            part["ceilings"] = dict(part["ceilings"])
        return kept
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: is no result of `kanpde bench kernels` ({type(error).__name__}); move it away") from error
