"""A problem of one coordinate whose trials take a tenth of a second, and sweeps of it."""

import importlib
import os
import signal
from pathlib import Path

from kanpde.problem import file as problems
from kanpde.sweeps import sweep
from kanpde.sweeps.executors import executor
from kanpde.sweeps.trial import Origin, Setting, surroundings

TOY = '''"""A bent bar."""
from math import pi
from torch import sin
from kanpde import Box, Dirichlet, Problem, d

load = 1.0


def bent(u, x):
    return d(u, x, x) + load * pi**2 * sin(pi * x)


problem = Problem(
    Box(x=(0, 1)), [bent], [Dirichlet(u=0)], exact={"u": lambda x: load * sin(pi * x)}
)
'''

UNKNOWN = TOY.replace(', exact={"u": lambda x: load * sin(pi * x)}', "")

FAILING = TOY.replace(
    "    return",
    "    import os\n    if x.numel() > 2 and os.environ.get('TOY_FAILS') == str(len(x)):\n       "
    " raise ValueError('no such bar')\n    return",
)

FEW = {"parameters": (20, 40), "sizes": 2, "seeds": 2, "steps": 4, "points": 64}
"""Eight trials."""


def written(folder, text=TOY, name="bar.py"):
    """The file of a toy problem."""
    path = Path(folder) / name
    path.write_text(text)
    return path


def toy(folder, text=TOY):
    """A toy problem, from its file."""
    return problems.load(str(written(folder, text)))[0]


def swept(problem, out, **options):
    """A sweep of a few seconds in this process."""
    return sweep(
        problem, out=out, **{"jobs": 1, "threads": 1, "differences": False, **FEW, **options}
    )


def idle(parent):
    """The process in which this is done, by a sweep whose process has this number."""
    with surroundings(Setting(Origin("", ()), 1, parent)):
        return os.getpid()


def begin_and_die():
    """Say which processes a sweep has begun, and be killed."""
    pool = executor(jobs=2, threads=1)
    print(*set(pool.results([(idle, pool.parent)] * 8)), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def dask(kind, *words):
    """A scheduler or a worker of Dask, as its command line begins it."""
    importlib.import_module(f"distributed.cli.dask_{kind}").main(words)


class Seen:
    """Remembers what a sweep tells those who watch it."""

    def __init__(self):
        self.rows, self.messages, self.there = [], [], 0

    def begin(self, folder, plan, rows, where, jobs):
        self.there = len(rows)

    def row(self, row):
        self.rows.append(row)

    def message(self, text):
        self.messages.append(text)
