"""The processes of one solve, as torchrun starts them: who shows and writes, and how they find each
other."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from kanpde.errors import RecipeError
from kanpde.machine.cores import cores

PATIENCE_WITH_OTHERS = timedelta(minutes=10)
"""How long a process waits for the others before it gives up: longer than any step."""


def processes() -> int:
    """How many torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the process that shows and writes."""
    return os.environ.get("RANK", "0") == "0"


def is_first_to_complain() -> bool:
    """Whether no other of the processes has asked this before: all may meet the same error, and any
    alone."""
    if processes() == 1:
        return True
    port, attempt = os.environ.get("MASTER_PORT", ""), _attempt()
    mark = Path(tempfile.gettempdir()) / f"kanpde-{os.getppid()}-{port}-{attempt}.complained"
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _attempt() -> str:
    """How often torchrun has started the processes again."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


@contextmanager
def group(device: str) -> Iterator[str]:
    """The device of this process, with torch.distributed initialised where torchrun has started
    several. Raises RecipeError.

    torchrun sets OMP_NUM_THREADS=1 where the user does not: the cores of a machine are shared out
    instead.
    """
    if processes() == 1:
        yield device
        return
    import torch
    import torch.distributed as dist

    local, count = (
        int(os.environ.get("LOCAL_RANK", "0")),
        int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
    )
    if device.startswith("cuda"):
        if torch.cuda.device_count() <= local:
            raise RecipeError(
                f"device: {count} processes for {torch.cuda.device_count()} GPUs; expected torchrun"
                f" --nproc-per-node {max(torch.cuda.device_count(), 1)}"
            )
        device = f"cuda:{local}"
        torch.cuda.set_device(local)
    if os.environ.get("OMP_NUM_THREADS", "1") == "1":
        torch.set_num_threads(max(1, cores() // count))
    store, rank, size = next(dist.rendezvous("env://", timeout=PATIENCE_WITH_OTHERS))
    # torchrun keeps its store from start to start: without a name of their own, processes find the
    # addresses of their predecessors
    attempt = dist.PrefixStore(f"kanpde/{_attempt()}", store)
    dist.init_process_group(
        "nccl" if device.startswith("cuda") else "gloo",
        store=attempt,
        rank=rank,
        world_size=size,
        timeout=PATIENCE_WITH_OTHERS,
    )
    try:
        yield device
    finally:
        # it may wait for one that is gone
        leaving = threading.Thread(target=dist.destroy_process_group, daemon=True)
        leaving.start()
        leaving.join(5)


def launcher() -> dict[str, Any] | None:
    """What stays the same when torchrun starts its processes again; None without it."""
    if processes() == 1:
        return None
    return {
        "host": socket.gethostname(),
        "process": os.getppid(),
        "run": os.environ.get("TORCHELASTIC_RUN_ID", ""),
    }


def begun_before(out: Path, name: str) -> Path | None:
    """The unfinished run folder of these processes' predecessors, where torchrun has started them
    again."""
    if processes() == 1 or _attempt() == "0":
        return None
    from kanpde.errors import RunError
    from kanpde.runs import request

    for path in sorted(out.glob(f"{name}/*/request.json"), reverse=True):
        try:
            asked = request.read(path.parent)
        except RunError:
            continue  # somebody else's, and damaged
        if asked.get("launcher") == launcher():
            return path.parent
    return None
