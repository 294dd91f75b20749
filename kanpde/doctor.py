"""What this machine can do for kanpde: versions, devices, kernels, threads, places to write; and a
self-test of seconds."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from kanpde.errors import KanpdeError, first_line
from kanpde.kernels.paths import path as kernel_path
from kanpde.provenance import provenance

NEEDED_PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "numba",
    "matplotlib",
    "h5py",
    "typer",
    "rich",
    "sympy",
    "joblib",
    "shapely",
)
OPTIONAL_PACKAGES = {
    "triton": "GPU kernels",
    "xarray": "xarray",
    "h5netcdf": "xarray",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "tensorboard": "tensorboard",
    "dask": "cluster",
    "distributed": "cluster",
}
"""Packages that something needs which not everybody uses, and the extra (or what else) that brings
them."""

SELF_TEST_ERROR = 1e-3
"""Of the relative error of the self-test's solution, which is about 1e-4."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: Of the thing.
        state: ok, warning or failed.
        found: What there is.
        advice: What to do about it.
    """

    name: str
    state: str
    found: str
    advice: str = ""


def examine(test: bool = True) -> list[Finding]:
    """Look at everything; never raises.

    Args:
        test: Whether to solve a small problem as well.

    Returns:
        What was found, in order.
    """
    checks = [
        _guarded("python", _python),
        *(_guarded(name, partial(_package, name)) for name in NEEDED_PACKAGES),
        *(_guarded(name, partial(_optional, name)) for name in OPTIONAL_PACKAGES),
    ]
    checks += [
        _guarded("cpu", _cpu),
        _guarded("threads", _threads),
        _guarded("memory", _memory),
        _guarded("gpu", _gpu),
    ]
    checks += [
        _guarded("kernels", partial(_kernels, "cpu")),
        _guarded("kernel cache", _cache),
        _guarded("results", _results),
    ]
    return [*checks, _guarded("self-test", _self_test)] if test else checks


def summary(checks: list[Finding]) -> dict[str, Any]:
    """The object of --json.

    Args:
        checks: What was found.

    Returns:
        Provenance, the findings, and whether none failed.
    """
    return {
        "ok": all(c.state != "failed" for c in checks),
        "provenance": provenance(),
        "checks": [vars(c) for c in checks],
    }


def _guarded(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    # what cannot be looked at is a finding too
    except (
        OSError,
        RuntimeError,
        ValueError,
        ImportError,
        AttributeError,
        KanpdeError,
    ) as error:
        return Finding(name, "failed", first_line(error))


def _python() -> Finding:
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Finding(
        "python",
        "ok" if fits else "failed",
        f"{sys.version.split()[0]} at {sys.executable}",
        "" if fits else "install Python 3.11 to 3.13",
    )


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", version(name))
    except PackageNotFoundError:
        return Finding(name, "failed", "not installed", f"pip install {name}")


def _optional(name: str) -> Finding:
    if importlib.util.find_spec(name) is not None:
        return Finding(name, "ok", version(name))
    extra = OPTIONAL_PACKAGES[name]
    if extra == "GPU kernels":
        return Finding(name, "ok", f"not installed (for {extra})")
    return Finding(name, "ok", f"not installed (pip install 'kanpde[{extra}]' brings it)")


def _cpu() -> Finding:
    found = provenance()
    return Finding("cpu", "ok", f"{found['processor']}, {found['cores']} cores for this process")


def _threads() -> Finding:
    threads, cores = torch.get_num_threads(), provenance()["cores"]
    given = {
        name: os.environ[name]
        for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")
        if name in os.environ
    }
    note = f" ({', '.join(f'{k}={v}' for k, v in given.items())})" if given else ""
    more = isinstance(cores, int) and threads > cores
    return Finding(
        "threads",
        "warning" if more else "ok",
        f"torch uses {threads}{note}",
        f"set OMP_NUM_THREADS={cores}: more threads than cores starve each other" if more else "",
    )


def _memory() -> Finding:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return Finding("memory", "ok", "not known")
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    small = total < 1.5
    return Finding(
        "memory",
        "warning" if small else "ok",
        f"{total:.1f} GB",
        "a solve of default size takes 0.7 GB" if small else "",
    )


def _gpu() -> Finding:
    if not torch.cuda.is_available():
        built = "" if torch.version.cuda else "; this torch is built without CUDA"
        return Finding("gpu", "ok", f"none that torch can use{built}")
    names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    kernels = _kernels("cuda")
    return Finding(
        "gpu", kernels.state, f"{', '.join(names)}; kernels: {kernels.found}", kernels.advice
    )


def _kernels(device: str) -> Finding:
    """Which implementation runs, and how fast a spline layer is."""
    from kanpde.kernels import spline_jet, uniform_knots

    X = torch.linspace(-0.9, 0.9, 20_000, dtype=torch.float64, device=device).reshape(2_000, 5, 2)
    C = torch.linspace(-1, 1, 2 * 12 * 5, dtype=torch.float64, device=device).reshape(2, 12, 5)
    knots = uniform_knots(2, -1.0, 1.0, 5, 7, torch.float64, torch.device(device))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        name = kernel_path(X).name
        began = time.perf_counter()
        spline_jet(X, C, knots, (2, 2))
        first = time.perf_counter() - began
        began = time.perf_counter()
        spline_jet(X, C, knots, (2, 2))
        again = time.perf_counter() - began
    reasons = " ".join(str(w.message) for w in caught)
    slow = name == "plain" and not os.environ.get("KANPDE_KERNELS")
    found = (
        f"{name}; a layer at 2,000 points takes {1e3 * again:.2g} ms ({first:.1f} s the first time)"
    )
    return Finding("kernels", "warning" if slow else "ok", found, reasons if slow else "")


def _cache() -> Finding:
    """Where Numba keeps what it has compiled: without such a place every process compiles again,
    for half a minute."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    import kanpde.kernels

    own = Path(kanpde.kernels.__file__).parent / "__pycache__"
    places = (
        [Path(given)]
        if given
        else [own if own.exists() else own.parent, Path.home() / ".cache" / "numba"]
    )
    usable = next((place for place in places if _writable(place)), None)
    if usable is None:
        return Finding(
            "kernel cache",
            "warning",
            f"{places[0]} is not writable",
            "set NUMBA_CACHE_DIR to a folder that is: else every process compiles the kernels"
            " again",
        )
    return Finding("kernel cache", "ok", str(usable))


def _results() -> Finding:
    here = Path("results") if Path("results").is_dir() else Path()
    free = shutil.disk_usage(here).free / 1e9
    if not _writable(here):
        return Finding(
            "results", "warning", f"{here.resolve()} is not writable", "solve with --out FOLDER"
        )
    return Finding(
        "results",
        "warning" if free < 0.1 else "ok",
        f"{here.resolve()} is writable, {free:.0f} GB free",
        "a run takes about 1 MB" if free < 0.1 else "",
    )


def _writable(folder: Path) -> bool:
    nearest = next((place for place in (folder, *folder.parents) if place.is_dir()), None)
    if nearest is None:
        return False
    try:
        with tempfile.TemporaryFile(dir=nearest):
            return True
    except OSError:
        return False


def _self_test() -> Finding:
    """Solve Poisson's equation with a small network, and compare with the exact solution and with
    finite differences."""
    import kanpde
    from kanpde.problem import file as problems

    began = time.perf_counter()
    problem, _ = problems.load("poisson2d")
    result = kanpde.solve(
        problem, network=kanpde.KAN((3,), 5, 5), schedule="lm:30", points=400, restarts=1, slabs=1
    )
    seconds = time.perf_counter() - began
    error = result.relative_l2 if result.relative_l2 is not None else float("inf")
    reference = result.reference.estimated_error if result.reference else float("inf")
    good = error < SELF_TEST_ERROR and reference < SELF_TEST_ERROR
    found = f"poisson2d to {error:.0e} in {seconds:.1f} s, with a reference good to {reference:.0e}"
    if good:
        return Finding("self-test", "ok", found)
    return Finding(
        "self-test",
        "failed",
        found,
        f"expected errors below {SELF_TEST_ERROR:g}: report this with the output of `kanpde doctor"
        " --json`",
    )
