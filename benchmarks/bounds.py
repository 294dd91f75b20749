"""`python -m benchmarks bounds`: the least time that machine code can take, kernel by kernel, and
the share of the roofline that follows. Nothing runs and nothing is measured: no GPU is needed.

The host code of a closure, or of an iteration of Levenberg-Marquardt, is called with tensors
without data. Each kernel that it launches is compiled for compute capability 9.0 (machine_code.py);
from what a warp runs at least, the kernel's programs and its operands follow four times, and the
longest of them is the bound:

- instructions, of which each of a multiprocessor's four schedulers begins one a cycle;
- arithmetic, 64 operations in float64 and 128 in float32 a multiprocessor and cycle;
- loads and stores, 32 numbers a multiprocessor and cycle;
- operands from memory, each of them once, but for what the cache holds of them already.

Products and sums of the library are their operations or their operands at the rates of a GPU that
was measured (gpu.json). Launches follow one another, so bounds are added. Rounds of a loop are
counted where the launch says how many there are, elsewhere one, and nothing waits: kernels are
slower than this.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks import roofline, tables
from benchmarks.closure import Case
from benchmarks.machine_code import Compiled, compile_in_place_of_launches
from benchmarks.rows import Tell, load, markdown, provenance_lines
from kanpde.provenance import provenance
from kanpde.runs.atomic import check_writable

CLOSURES = ((2, 10, 1), (2, 32, 32, 1), (3, 128, 128, 1))
CASES = tuple(
    (what, Case(widths, degree=degree))
    for degree in (3, 7)
    for what, some in (("closure", CLOSURES), ("iteration", ((2, 21, 1),)))
    for widths in some
)
"""What is computed, and of which network."""

POINTS = 1_000_000

MULTIPROCESSORS, SCHEDULERS, WARP = 132, 4, 32
"""Of an H100 or H200, and threads of a warp."""

ARITHMETIC = {
    "float64": (64, ("DFMA", "DMUL", "DADD", "DSETP")),
    "float32": (128, ("FFMA", "FMUL", "FADD", "FSETP")),
}
"""Operations of a multiprocessor a cycle, and their instructions."""

CACHE = 50 * 2**20
"""Bytes of the second-level cache: as much of the operands of a launch may be there."""

MEMORY = ("LDG", "STG", "LDS", "STS", "LDL", "STL")
"""Instructions that load and store, of which 32 threads go through a cycle."""


LITTLE = 1e-3
"""Operations of the library that take a smaller share are not on the page."""


@dataclass(frozen=True)
class Rates:
    """What a GPU does a second.

    Attributes:
        clock: Cycles.
        ceiling: Operations of a matrix product, and bytes, as measured.
    """

    clock: float
    ceiling: roofline.Ceiling


@dataclass(frozen=True)
class Bound:
    """All launches of one kernel.

    Attributes:
        what: "closure", or "iteration" of Levenberg-Marquardt.
        network: Such as "2-10-1".
        degree: Of the splines.
        dtype: Of the numbers.
        kernel: Its module and name, or the library's operation.
        launches: How many.
        registers: Of a thread, the most; None for the library.
        stack: Bytes of a thread that registers are spilled to, the most.
        shared: Bytes of a program, the most.
        loop: Instructions of the longest loop.
        seconds: All launches take at least so long.
        by: What the longest of them is bound by.
    """

    what: str
    network: str
    degree: int
    dtype: str
    kernel: str
    launches: int
    registers: int | None
    stack: int | None
    shared: int | None
    loop: int | None
    seconds: float
    by: str


class Launches(TorchDispatchMode):
    """Bounds of what is launched while it is active.

    Args:
        rates: Of the GPU.
        dtype: Of the numbers.
    """

    def __init__(self, rates: Rates, dtype: str):
        super().__init__()
        self.rates, self.dtype = rates, dtype
        self.found: list[tuple[str, Compiled | None, float, str]] = []
        self._counted: dict[tuple[int, int, int], Counter[str]] = {}

    def __torch_dispatch__(
        self,
        operation: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = operation(*args, **(kwargs or {}))
        name = operation.overloadpacket.__name__
        if operation.is_view or name.startswith(("empty", "new_empty", "detach", "_unsafe_view")):
            return made
        tensors = [x for x in tree_leaves((args, kwargs, made)) if isinstance(x, Tensor)]
        seconds, by = self._moved(tensors), "memory"
        if name in ("mm", "bmm", "baddbmm", "baddbmm_"):
            a, b = [x for x in tree_leaves(args) if isinstance(x, Tensor)][-2:]
            flops = 2 * a.numel() * b.shape[-1]
            if flops / self.rates.ceiling.flops > seconds:
                seconds, by = flops / self.rates.ceiling.flops, "products"
        self.found.append((f"library: {name}", None, seconds, by))
        return made

    def launched(
        self, kernel: Compiled, grid: tuple[int, ...], operands: Mapping[str, Any]
    ) -> None:
        """Add a launch of one of our own kernels.

        Args:
            kernel: What was compiled.
            grid: Its programs.
            operands: By name.
        """
        key = id(kernel), int(operands.get("steps", 0)), tiles_of(kernel, operands)
        if key not in self._counted:
            self._counted[key] = kernel.counted(*key[1:])
        counts = self._counted[key]
        cycles = math.prod(grid) * kernel.warps / (MULTIPROCESSORS * self.rates.clock)
        rate, names = ARITHMETIC[self.dtype]
        times = {
            "instructions": counts.total() * cycles / SCHEDULERS,
            "arithmetic": sum(counts[name] for name in names) * WARP / rate * cycles,
            "loads and stores": sum(counts[name] for name in MEMORY) * cycles,
            "memory": self._moved([x for x in operands.values() if isinstance(x, Tensor)]),
        }
        by = max(times, key=lambda name: times[name])
        self.found.append((kernel.where, kernel, times[by], by))

    def _moved(self, tensors: Sequence[Tensor]) -> float:
        """Seconds to move each of some tensors once, as far as the cache has them not."""
        whole = sum({id(x): x.nbytes for x in tensors}.values())
        return max(0, whole - CACHE) / self.rates.ceiling.bandwidth


def run(
    out: Path, tell: Tell, points: int = POINTS, cases: Sequence[tuple[str, Case]] = CASES
) -> list[dict[str, Any]]:
    """Compile, and write `out/benchmarks/bounds.json` and `bounds.md`.

    Args:
        out: Where the folder `benchmarks` is or will be, with the `gpu.json` of a measured GPU.
        tell: Where progress goes, a line at a time.
        points: How many.
        cases: Which networks.

    Returns:
        The rows, plain values.
    """
    folder = Path(out) / "benchmarks"
    check_writable(folder)
    measured = json.loads((folder / "gpu.json").read_text(encoding="utf-8"))
    about = {**provenance(), "load": load(), "command": "python -m benchmarks bounds"}
    rows: list[Bound] = []
    shares: list[dict[str, Any]] = []
    for (what, case), dtype in product(cases, (torch.float64, torch.float32)):
        name = str(dtype).removeprefix("torch.")
        ceiling = roofline.Ceiling(**measured["ceilings"][name])
        rates = Rates(1e6 * measured["provenance"]["highest_sm_clock_megahertz"], ceiling)
        own = bounds(what, case, dtype, points, rates)
        least = ceiling.seconds(*counted(what, case, points, dtype.itemsize))
        seconds = sum(row.seconds for row in own)
        share = {
            "what": what,
            "network": case.name,
            "degree": case.degree,
            "dtype": name,
            "points": points,
        }
        shares.append({**share, "seconds": seconds, "roofline": least, "share": least / seconds})
        tell(f"  {what} of {case.name}, degree {case.degree}, {name}: {1e3 * seconds:.3g} ms")
        rows += own
    gpu = {key: measured["provenance"][key] for key in ("gpu", "commit", "date")}
    found = {
        "provenance": about,
        "rates": {**gpu, "ceilings": measured["ceilings"]},
        "shares": shares,
        "rows": [asdict(row) for row in rows],
    }
    tables.write(folder, "bounds", found, page(found))
    return [asdict(row) for row in rows]


def counted(what: str, case: Case, points: int, word: int) -> tuple[float, float]:
    """Operations and bytes of the roofline.

    Args:
        what: "closure" or "iteration".
        case: The network.
        points: How many.
        word: Bytes of a number.
    """
    if what == "closure":
        return points * roofline.closure_flops(case), points * roofline.closure_bytes(case, word)
    moved = roofline.iteration_bytes(case, points) * word / 8
    return roofline.iteration_flops(case, points), moved


_report: list[Callable[..., None]] = []
"""Who is told of launches, the last one: a process is told once that launches compile."""


def bounds(what: str, case: Case, dtype: torch.dtype, points: int, rates: Rates) -> list[Bound]:
    """The bounds, by kernel, the longest first.

    Args:
        what: "closure" or "iteration".
        case: The network.
        dtype: Of the numbers.
        points: How many.
        rates: Of the GPU.
    """
    name = str(dtype).removeprefix("torch.")
    if not _report:
        compile_in_place_of_launches(lambda *launch: _report[-1](*launch))
    given = operands(case, dtype, points)
    for _ in range(2):  # what belongs to the knots alone is made in the first round
        launches = Launches(rates, name)
        _report.append(launches.launched)
        with launches:
            closure(given) if what == "closure" else iteration(given)
    grouped: dict[str, list[tuple[str, Compiled | None, float, str]]] = {}
    for launch in launches.found:
        grouped.setdefault(launch[0], []).append(launch)
    rows = []
    for kernel, own in grouped.items():
        made = [one for _, one, *_ in own if one is not None]
        rows.append(
            Bound(
                what,
                case.name,
                case.degree,
                name,
                kernel,
                len(own),
                max((one.registers for one in made), default=None),
                max((one.stack for one in made), default=None),
                max((one.shared for one in made), default=None),
                max((longest_loop(one) for one in made), default=None),
                sum(seconds for *_, seconds, _ in own),
                max(own, key=lambda launch: launch[2])[3],
            )
        )
    return sorted(rows, key=lambda row: -row.seconds)


def tiles_of(kernel: Compiled, operands: Mapping[str, Any]) -> int:
    """Tiles of points, or inputs, that a program takes one after the other.

    Args:
        kernel: What is launched.
        operands: By name.
    """
    if "chunk" in operands:
        return int(operands["chunk"]) // int(operands.get("depth") or operands["rows"])
    return int(operands["inputs"]) if kernel.where.startswith("triton_jet.") else 1


def longest_loop(kernel: Compiled) -> int:
    """Instructions of the longest loop of a kernel; 0 where there is none.

    Args:
        kernel: The kernel.
    """
    return max(
        (sum(low <= i.address <= high for i in kernel.code) for low, high in kernel.loops),
        default=0,
    )


def operands(case: Case, dtype: torch.dtype, points: int) -> tuple[Any, ...]:
    """What `network.squares` takes, without data but for the knots.

    Args:
        case: The network.
        dtype: Of the numbers.
        points: How many.
    """
    from kanpde.kernels import uniform_knots

    counts = roofline.counts_of(case.widths[0])
    channels = 1 + sum(counts)

    def empty(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=dtype, device="meta")

    knots = [
        uniform_knots(units, -1.0, 1.0, case.grid, case.degree, dtype) for units in case.widths[:-1]
    ]
    C = [empty(p, case.grid + case.degree, q) for p, q in pairwise(case.widths)]
    hidden = [empty(units) for units in case.widths[1:-1]]
    X, W = empty(points, channels, case.widths[0]), empty(1, points, channels, case.widths[-1])
    return X, C, knots, hidden, hidden, W, empty(1, points), counts


def closure(given: Sequence[Any]) -> None:
    """Launch what a closure launches.

    Args:
        given: What `operands` gave.
    """
    from kanpde.kernels import triton_network

    triton_network.squares(*given)


def iteration(given: Sequence[Any]) -> None:
    """Launch what works on points in an iteration whose first damping is taken.

    Args:
        given: What `operands` gave.
    """
    from kanpde.kernels import triton_network, triton_runs
    from kanpde.kernels.network import lengths

    X, C, knots, centers, scales, W, _, counts = given
    r = triton_network.rows(*given).view(-1)
    values, starts = triton_network.pullback(W[0], X, C, knots, centers, scales, counts)
    runs, columns = lengths(C, knots), sum(c.numel() for c in C)
    _, v, _ = triton_runs.normal(values, starts, runs, columns, r)
    triton_network.rows(*given)
    triton_runs.pulled(values, starts, runs, v, r, -10.0)
    triton_network.rows(*given)


def page(found: Mapping[str, Any]) -> str:
    """The page that shows the rows.

    Args:
        found: Plain values: provenance, rates, shares and rows.
    """
    rates = found["rates"]
    closures = [
        ["of a", "network", "degree", "dtype", "bound, ms", "roofline, ms", "share at most"]
    ]
    for row in found["shares"]:
        times = [f"{1e3 * row[key]:.3g}" for key in ("seconds", "roofline")]
        share = f"{100 * row['share']:.2g} %"
        closures.append(
            [row["what"], row["network"], str(row["degree"]), row["dtype"], *times, share]
        )
    head = ["of a", "network", "degree", "dtype", "kernel", "launches", "registers", "stack, B"]
    kernels = [[*head, "shared, B", "longest loop", "bound, ms", "bound by"]]
    longest = {tuple(_names(row)): row["seconds"] for row in found["shares"]}
    for row in found["rows"]:
        if row["registers"] is None and row["seconds"] < LITTLE * longest[tuple(_names(row))]:
            continue
        sizes = [
            "" if row[key] is None else f"{row[key]:,}"
            for key in ("launches", "registers", "stack", "shared", "loop")
        ]
        names = [
            row["what"],
            row["network"],
            str(row["degree"]),
            row["dtype"],
            f"`{row['kernel']}`",
        ]
        kernels.append([*names, *sizes, f"{1e3 * row['seconds']:.3g}", row["by"]])
    lines = [
        "# Bounds by machine code",
        "",
        "**Computed, not measured**: the least time that compiled kernels of a closure can take",
        "on an H100 or H200, from their machine code for compute capability 9.0 and from the rates",
        f"of the {rates['gpu']} that was measured at commit `{rates['commit']}` (`gpu.json`). A",
        "kernel is slower than its bound: rounds of inner loops beyond the first are not counted,",
        "but for searches, nor is any waiting. Stack is what registers are spilled to. Of an",
        "iteration of Levenberg-Marquardt factorisation and what is done with parameters alone",
        'are left out. "At most": the share of the roofline that the bound leaves.',
        "",
        f"## At {found['shares'][0]['points']:,} points",
        "",
        *markdown(closures, left=(0, 1, 3)),
        "",
        "## Kernels",
        "",
        *markdown(kernels, left=(0, 1, 3, 4, 11)),
        "",
        *provenance_lines(
            found["provenance"], ("kanpde", "python", "torch", "triton", "numpy", "scipy")
        ),
        "",
    ]
    return "\n".join(lines)


def _names(row: Mapping[str, Any]) -> list[str]:
    return [row["what"], row["network"], str(row["degree"]), row["dtype"]]
