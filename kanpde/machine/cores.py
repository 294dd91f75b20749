"""How many cores this process may use."""

from __future__ import annotations

import os


def cores() -> int:
    """Count the cores that this process may run on.

    Returns:
        Those that its affinity leaves it, as a container or `taskset` may take some away; all of
        the machine where the system does not know of affinity. At least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
