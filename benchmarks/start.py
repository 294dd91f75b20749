"""How long one waits for what is not training: `python -m benchmarks start`.

Fresh processes, several times, medians: importing torch alone, listing the gallery, and
`solve poisson2d` with its reference and its pictures, from which the time of training is taken
off. Seconds of the clock are what a user waits for; seconds of the processor, with one thread, say
the same on a machine that is busy with something else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

TORCH = ["-c", "import torch"]
LIST = ["-m", "kanpde", "list"]
SOLVE = ["-c", "from benchmarks.start import solve; solve()"]
REPEATS = 5


class Spent(NamedTuple):
    """Seconds by the clock and of the processor."""

    clock: float
    processor: float

    def less(self, other: Spent) -> Spent:
        return Spent(self.clock - other.clock, self.processor - other.processor)


def solve() -> None:
    """`kanpde solve poisson2d` in this process; the last line that it prints is what training
    took."""
    from kanpde.cli import main
    from kanpde.cli.loading import loading

    with loading():  # as the command does
        from kanpde.runs import run

    spent, train = [], run.Run.train

    def timed(*args: object, **options: object) -> object:
        began = time.perf_counter(), time.process_time()
        try:
            return train(*args, **options)  # type: ignore[arg-type]
        finally:
            spent.append(Spent(time.perf_counter() - began[0], time.process_time() - began[1]))

    run.Run.train = timed  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as out:
        main(["solve", "poisson2d", "--out", out])
    print(json.dumps(spent[0]))


def run(arguments: list[str]) -> tuple[Spent, str]:
    """What a fresh Python took from its start to its end, and the last line that it printed. It
    may keep compiled modules, as that of a user does."""
    own = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**own, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    clock, after = time.perf_counter() - began, os.times()
    processor = (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )
    return Spent(clock, processor), (done.stdout.splitlines() or [""])[-1]


def outside() -> Spent:
    """What `solve poisson2d` takes besides training."""
    whole, line = run(SOLVE)
    return whole.less(Spent(*json.loads(line)))


def measure(repeats: int = REPEATS) -> list[str]:
    """Measure all of it.

    Args:
        repeats: Of each, of which the median counts.

    Returns:
        A table in lines of text.
    """
    rows: dict[str, Callable[[], Spent]] = {
        "import torch": lambda: run(TORCH)[0],
        "kanpde list": lambda: run(LIST)[0],
        "solve poisson2d, without training": outside,
    }
    for row in rows.values():  # what is compiled once
        row()
    # One after the other, again and again: a machine that becomes slower does so for all of them.
    taken = [{name: row() for name, row in rows.items()} for _ in range(repeats)]
    lines = [f"{'':36}{'clock':>8}{'processor':>11}"]
    found = {}
    for name in rows:
        found[name] = Spent(*(median(t[name][k] for t in taken) for k in range(2)))
        lines.append(f"{name:36}{found[name].clock:7.2f}s{found[name].processor:10.2f}s")
    torch, solving = found["import torch"], found["solve poisson2d, without training"]
    clock, processor = solving.clock / torch.clock, solving.processor / torch.processor
    return [*lines, f"{'solve over import torch':36}{clock:8.2f}{processor:11.2f}"]
