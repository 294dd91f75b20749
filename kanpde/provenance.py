"""Where a number comes from: versions, machine, commit, time."""

from __future__ import annotations

import platform
import subprocess
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import kanpde
from kanpde.machine.cores import cores

_PACKAGES = ("torch", "numpy", "scipy", "h5py", "triton")


def provenance(device: str = "cpu") -> dict[str, object]:
    """Plain values that say what made a result.

    Args:
        device: Where it was made; the name of a GPU is one of the values.

    Returns:
        Date, versions, machine, threads and commit (in a git checkout; with + if it was edited), by
        name.
    """
    found: dict[str, object] = {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "kanpde": kanpde.__version__,
        "python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "commit": _commit(),
    }
    if device.startswith("cuda"):
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def _commit() -> str | None:
    root = Path(kanpde.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    head = _git(root, "rev-parse", "--short=12", "HEAD")
    return head and head + (
        "+" if _git(root, "status", "--porcelain", "--untracked-files=no") else ""
    )


def _git(root: Path, *arguments: str) -> str | None:
    try:
        return subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
