"""`python -m benchmarks kernels`: the closure and the Levenberg-Marquardt iteration against their
peers, with the roofline.

Every way of computing the closure must give our loss and gradient before any time is taken. Ours
and the peers are then timed in turns, so that whatever else the machine does meets all of them, and
medians are compared. What is too slow or too large for the machine, not installed, or asks for a
GPU that is not there has a row that says so; nothing is extrapolated.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from benchmarks import roofline, tables
from benchmarks.contest import CASES, on_cpu, on_cuda, unmeasured
from benchmarks.figure import plot_kernels
from benchmarks.measured import CLOSURE, QUICK, Limits, Machine, Timing, name_of
from benchmarks.rows import Tell, load
from benchmarks.verdicts import page
from kanpde.errors import RunError
from kanpde.provenance import provenance
from kanpde.runs.atomic import check_writable

POINTS = (1_000, 10_000, 100_000, 1_000_000)
QUICK_POINTS = (1_000, 10_000)
DEVICES = {"cpu": (torch.float64,), "cuda": (torch.float64, torch.float32)}
"""Where, and in which types, it is measured."""


def run(
    out: Path,
    tell: Tell,
    points: Sequence[int] | None = None,
    quick: bool = False,
    device: str | None = None,
    minutes: float | None = None,
) -> list[dict[str, Any]]:
    """Measure, and write `out/benchmarks/kernels.json`, `kernels.md` and a picture for each device.

    The files grow as rows come; those of a GPU measured earlier stay where there is none now.

    Args:
        out: Where the folder `benchmarks` is or will be.
        tell: Where progress goes, a line at a time.
        points: How many; POINTS, or QUICK_POINTS, where not given.
        quick: Few repetitions, and nothing compiled by torch.
        device: cpu or cuda alone; all that are here where not given.
        minutes: After so many, what is left is not measured.

    Returns:
        The rows of this run, plain values.

    Raises:
        BenchmarkError: Two ways disagree, before the speed of anything that is wrong is reported.
        RunError: There is no such device, or files cannot be written.
    """
    gpu = torch.cuda.is_available()
    if device == "cuda" and not gpu:
        raise RunError("--device: got 'cuda'; there is no GPU here, and its rows stay unmeasured")
    folder = Path(out) / "benchmarks"
    check_writable(folder)
    found = _earlier(folder / "kernels.json")
    sizes = sorted(set(points or (QUICK_POINTS if quick else POINTS)))
    limits = _limits(quick, minutes)
    command = _command(points, quick, device, minutes)
    fresh: list[dict[str, Any]] = []
    try:
        with _shared_compilations():
            for where in DEVICES if device is None else [device]:
                if where == "cuda" and not gpu:
                    rows = [asdict(row) for row in unmeasured(sizes)]
                    found.setdefault(where, {"provenance": None, "ceilings": {}, "rows": rows})
                    fresh += rows
                else:
                    fresh += _measure(found, folder, where, sizes, limits, command, tell)
        write(folder, found)
    finally:
        draw(folder, found)
    return fresh


def _measure(
    found: dict[str, Any],
    folder: Path,
    where: str,
    sizes: Sequence[int],
    limits: Limits,
    command: str,
    tell: Tell,
) -> list[dict[str, Any]]:
    """The rows of a device, put into `found` and the files as they come."""
    tell(f"measuring on {where}")
    about = {**provenance(where), "load": load(), **_versions(), "command": command}
    ceilings = {name_of(dtype): roofline.measure(where, dtype) for dtype in DEVICES[where]}
    for dtype, ceiling in ceilings.items():
        tell(
            f"  {dtype}: {ceiling.flops / 1e9:.1f} Gflop/s in a matrix product,"
            f" {ceiling.bandwidth / 1e9:.1f} GB/s in a triad"
        )
    rows: list[dict[str, Any]] = []
    found[where] = {
        "provenance": about,
        "ceilings": {dtype: asdict(ceiling) for dtype, ceiling in ceilings.items()},
        "rows": rows,
    }
    machine = Machine(where, ceilings, limits, tell)
    for some in on_cpu(machine, sizes) if where == "cpu" else on_cuda(machine, sizes):
        rows += [asdict(row) for row in some]
        write(folder, found)
    return rows


def _limits(quick: bool, minutes: float | None) -> Limits:
    """Where the whole time is limited, no comparison takes more than a small part of it."""
    limits = QUICK if quick else Limits()
    if minutes is None:
        return limits
    return replace(
        limits,
        seconds=min(limits.seconds, 2 * minutes),
        timing=min(limits.timing, 2 * minutes),
        until=time.monotonic() + 60 * minutes,
    )


def _command(
    points: Sequence[int] | None, quick: bool, device: str | None, minutes: float | None
) -> str:
    options = {
        "--points": ",".join(map(str, points or ())),
        "--device": device or "",
        "--minutes": f"{minutes:g}" if minutes else "",
    }
    return " ".join(
        [
            "python -m benchmarks kernels",
            *(f"{option} {value}" for option, value in options.items() if value),
            *(["--quick"] if quick else []),
        ]
    )


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
    """The table and the numbers behind it."""
    tables.write(folder, "kernels", found, page(found))


def draw(folder: Path, found: Mapping[str, Any]) -> None:
    """A picture of the closures on each device."""
    for device in found:
        closures = [row for row in found[device]["rows"] if row["quantity"] == CLOSURE]
        if any(row["milliseconds"] for row in closures):
            name = "kernels.png" if device == "cpu" else f"kernels_{device}.png"
            plot_kernels(closures, [case.name for case in CASES]).savefig(folder / name, dpi=150)


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in ("pykan", "jaxkan", "jax", "numba"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _earlier(path: Path) -> dict[str, Any]:
    """What kernels.json holds of devices measured earlier; raises RunError where it is something
    else."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        kept = {
            device: found[device]
            for device in DEVICES
            if device in found and found[device]["provenance"] is not None
        }
        for part in [one for whole in kept.values() for one in (whole, *whole.get("earlier", []))]:
            part["rows"] = [asdict(Timing(**row)) for row in part["rows"]]
            part["ceilings"] = dict(part["ceilings"])
        return kept
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path}: is no result of `python -m benchmarks kernels`"
            f" ({type(error).__name__}); move it away"
        ) from error
