"""Memory that is free: of the machine, of the container, of the process, of a GPU."""

from __future__ import annotations

import os
from pathlib import Path

import torch


def available(device: str = "cpu") -> float:
    """Bytes of memory that are free.

    Args:
        device: "cpu" or a GPU such as "cuda".

    Returns:
        The least that is left by the machine, by the container that limits it and by the limits of
        the process; on a GPU what is free of its own memory.
    """
    if torch.device(device).type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return min([_system(), *_containers(), *_process()])


def _system() -> float:
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable"):
                return 1024.0 * int(line.split()[1])
    pages, size = (
        os.sysconf(name) if name in os.sysconf_names else 0
        for name in ("SC_PHYS_PAGES", "SC_PAGE_SIZE")
    )
    return float(pages * size) or float("inf")


def _containers() -> list[float]:
    """What the control groups of Linux, versions 2 and 1, leave."""
    found = []
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        paths = [Path("/sys/fs/cgroup") / name for name in (limit, used)]
        try:
            most, now = (path.read_text().strip() for path in paths)
            cached = next(
                (
                    int(line.split()[1])
                    for line in (paths[0].parent / "memory.stat").read_text().splitlines()
                    if line.startswith("inactive_file ")
                ),
                0,
            )
        except OSError:
            continue
        if most != "max":
            found.append(max(float(most) - float(now) + cached, 0.0))
    return found


def _process() -> list[float]:
    """What `ulimit -v` leaves."""
    try:
        import resource
    except ImportError:
        return []
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    statm = Path("/proc/self/statm")
    used = int(statm.read_text().split()[0]) * resource.getpagesize() if statm.is_file() else 0
    return [] if limit == resource.RLIM_INFINITY else [max(float(limit - used), 0.0)]


def gigabytes(count: float) -> str:
    """Bytes in words, such as "1.5 GB".

    Args:
        count: How many bytes.
    """
    return f"{count / 1e9:.1f} GB"
