"""Generated inputs through the command line: each comes to a solution or to one line, and leaves
nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from files import problem_files, tables
from folders import MARK, SECRET, changes
from hypothesis import HealthCheck, Phase, given, settings
from lines import LINES

sys.path.insert(0, str(Path(__file__).parents[1] / "soak"))
from nursery import End, Nursery

SHARES = {"problem files": 450, "run folders": 500, "data files": 500, "command lines": 570}
"""Inputs of each kind in the long check."""

SHORT = ("--schedule", "lm:2", "--points", "30", "--width", "2", "--restarts", "1")
DRAWN = 10
"""Every so many inputs pictures are drawn as well."""

LIMIT = 8 * 2**30
"""Bytes of address space: what asks for more than is there fails, and the machine does not
suffer."""


MEASURED = """from kanpde import Box, Data, Parameter, Problem, laplacian

k = Parameter(1.0)


def residual(u, x, y):
    return k * laplacian(u) + 1


box = Box(x=(-1, 1), y=(-1, 1))
problem = Problem(domain=box, equations=[residual], data=Data("{file}", u="z"))
"""


class Broken(AssertionError):
    """An input that came to something else."""


class Inputs:
    """Carries inputs out, one by one, in folders of their own."""

    def __init__(self, root: Path):
        self.root, self.nursery, self.count = root, Nursery.shared(), 0

    @cached_property
    def good(self) -> dict[str, Path]:
        """Folders that commands wrote, by kind, to be changed."""
        return _good(self.nursery, self.root / "good")

    def problem(self, content: bytes) -> str:
        """Solve a file."""
        with self._folder() as folder:
            (folder / "given.py").write_bytes(content)
            return self._judged(
                [
                    "solve",
                    "given.py",
                    *SHORT,
                    *(["--no-reference"] if len(content) % 4 else ["--effort", "quick"]),
                ],
                folder,
            )

    def table(self, given: tuple[str, bytes]) -> str:
        """Fit a table, or measure an unknown constant with it."""
        name = f"given.{given[0]}"
        with self._folder() as folder:
            (folder / name).write_bytes(given[1])
            (folder / "measured.py").write_text(MEASURED.format(file=name))
            fit = ["fit", name, "--target", "z", "--schedule", "lm:2", "--width", "2"]
            return self._judged(
                ["solve", "measured.py", *SHORT, "--no-reference"] if len(given[1]) % 2 else fit,
                folder,
            )

    def line(self, arguments: list[str]) -> str:
        """A command line, in a folder with a file in it."""
        with self._folder() as folder:
            (folder / "a file").write_text("nothing")
            (folder / "data.csv").write_text("x,z\n" + "".join(f"{i},{i * i}\n" for i in range(20)))
            return self._judged(arguments, folder)

    def folder(self, given: tuple[str, str, Callable[[Path], None], list[str]]) -> str:
        """A command on a changed run folder."""
        kind, _, change, (first, *rest) = given
        with self._folder() as folder:
            run = folder / "results" / kind
            shutil.copytree(self.good[kind], run, symlinks=True)
            change(run)
            outcome = self._judged(
                (
                    [first, *rest, str(run)]
                    if rest and rest[-1] == "--resume"
                    else (
                        [first, str(run), *rest]
                        if not rest or rest[0] != "--resume"
                        else [first, "--resume", str(run)]
                    )
                ),
                folder,
                begun=True,
            )
            for path in folder.rglob("*"):
                if path.name == MARK:
                    raise Broken(f"{path}: code from a run folder was executed")
                if (
                    path.is_file()
                    and not path.is_symlink()
                    and path.name not in ("outside.h5", "outside.raw")
                    and _holds_secret(path)
                ):
                    raise Broken(f"{path}: holds what stood outside of the run")
            return outcome

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        self.count += 1
        folder = self.root / str(self.count)
        folder.mkdir()
        yield folder
        shutil.rmtree(folder)

    def _judged(self, arguments: list[str], folder: Path, begun: bool = False) -> str:
        end = self.nursery.run(
            arguments, folder, eager=False, room=LIMIT, pictures=self.count % DRAWN == 0
        )
        found = outcome(end)
        check_folder(folder, begun)
        return found


def outcome(end: End) -> str:
    """In a word: solved, or refused. Raises Broken."""
    lines = end.said.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    if "Traceback" in end.said or "IT HANGS" in end.said or end.code not in (0, 2):
        raise Broken(f"code {end.code}: {end.said[-1500:]}")
    if end.code == 0 and not errors:
        return "done"
    if (
        end.code == 2
        and len(errors) == 1
        and lines[-1] == errors[0]
        and len(errors[0]) > len("error: ")
    ):
        return "one line"
    raise Broken(f"code {end.code} with {len(errors)} errors: {end.said[-1500:]}")


def check_folder(folder: Path, begun: bool) -> None:
    """Nothing half-written: no partial file, no lock, and no run folder that neither opens nor goes
    on."""
    for path in folder.rglob("*"):
        if path.name.endswith(".partial") or path.name == ".run.lock":
            raise Broken(f"{path}: left behind")
    for run in [] if begun else folder.glob("*/*/*"):
        names = {path.name for path in run.iterdir()} if run.is_dir() else set()
        if (
            run.is_dir()
            and not run.name.startswith("sweep-")
            and "summary.json" not in names
            and "training.pt" not in names
        ):
            raise Broken(f"{run}: half-written, {sorted(names)}")
        if "summary.json" in names:
            json.loads((run / "summary.json").read_text())


def _holds_secret(path: Path) -> bool:
    import h5py
    import numpy as np

    if path.suffix != ".h5":
        return (
            str(SECRET) in path.read_text(errors="replace")
            if path.suffix in (".json", ".csv", ".txt")
            else np.float64(SECRET).tobytes() in path.read_bytes()
        )
    try:
        with h5py.File(path) as file:
            found: list[bool] = []

            def visit(name: str, node: Any) -> None:
                if (
                    isinstance(node, h5py.Dataset)
                    and not node.external
                    and not node.is_virtual
                    and node.dtype.kind == "f"
                    and node.shape
                    and node.size < 10**6
                ):
                    found.append(bool((node[()] == SECRET).any()))

            file.visititems(visit)
            return any(found)
    except (OSError, RuntimeError, ValueError, KeyError):
        return False


WHOLE = {
    "run": (
        "solve poisson2d --schedule lm:3 --points 40 --width 2 --degree 5 --grid 4 --restarts 1"
        " --no-reference --out run"
    ),
    "fit": "fit data.csv --target z --schedule lm:3 --width 2 --out fit",
    "sweep": (
        "sweep poisson2d --networks kan --width 2 --grid 4 --degree 5 --schedule lm:3 --points 100"
        " --seeds 1 --no-differences --jobs 1 --threads 1 --out sweep"
    ),
}
"""What writes a good folder of each kind."""

BEGUN = (
    "solve poisson2d --schedule adam:600 --points 40 --width 2 --degree 5 --grid 4 --restarts 1"
    " --no-reference --out begun"
)
"""Enough steps to be killed in between, and few enough to go on to their end where a change does
not matter."""


def _good(nursery: Nursery, root: Path) -> dict[str, Path]:
    """A run, one that was interrupted, a fit and a sweep, to be changed."""
    root.mkdir()
    rows = "".join(f"{i / 20},{(i / 20) ** 2}\n" for i in range(40))
    (root / "data.csv").write_text(f"x,z\n{rows}")
    for name, line in WHOLE.items():
        end = nursery.run(line.split(), root)
        assert end.code == 0, (name, end.said)
    begun = nursery.start(BEGUN.split(), root)
    while not list(root.glob("begun/*/*/training.pt")):
        time.sleep(0.01)
    os.kill(begun, signal.SIGKILL)
    assert nursery.wait(begun).code == -signal.SIGKILL
    found = {
        kind: next(path for path in root.glob(f"{kind}/*/*") if path.is_dir())
        for kind in (*WHOLE, "begun")
    }
    for leftover in (found["begun"] / ".run.lock", *found["begun"].glob(".*.partial")):
        leftover.unlink(missing_ok=True)
    request = json.loads((found["begun"] / "request.json").read_text())
    assert request["recipe"]
    return found


def carry_out(what: str) -> dict[str, Any]:
    """The long check of one kind of input: counts of outcomes, and the inputs that came to
    something else."""
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="kanpde-hostile-") as name:
        strategy, carry = kinds(Inputs(Path(name)))[what]
        outcomes = _each(what, strategy, carry, failures)
    return {
        "what": what,
        "inputs": sum(outcomes.values()),
        "outcomes": dict(outcomes),
        "failures": failures,
    }


def _each(
    what: str, strategy: Any, carry: Callable[[Any], str], failures: list[str]
) -> Counter[str]:
    """How often each outcome came of a strategy's values; what is broken is noted, and does not end
    it."""
    outcomes: Counter[str] = Counter()

    @settings(
        max_examples=SHARES[what],
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(value: Any) -> None:
        try:
            outcomes[carry(value)] += 1
        except Exception as error:  # whatever it is, the others are looked at too
            outcomes["broken"] += 1
            failures.append(f"{what}: {value!r:.600}: {str(error)[-1200:]}")
            print(f"BROKEN  {failures[-1]}\n", flush=True)
        if sum(outcomes.values()) % 50 == 0:
            print(what, dict(outcomes), flush=True)

    each()
    return outcomes


def kinds(inputs: Inputs) -> dict[str, tuple[Any, Callable[[Any], str]]]:
    """Strategies, and what carries their values out."""
    return {
        "problem files": (problem_files(), inputs.problem),
        "run folders": (changes(), inputs.folder),
        "data files": (tables(), inputs.table),
        "command lines": (LINES, inputs.line),
    }
