"""Faults that strike a run at random moments, and what must be true of its folder and of the
resumed run afterwards."""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from nursery import End, Nursery

SMALL = ("--points", "200", "--no-reference", "--restarts", "1")
CASES: dict[str, tuple[str, ...]] = {
    "lm, two grids": (
        "poisson2d",
        "--width",
        "3",
        "--degree",
        "5",
        "--grid",
        "4",
        "--schedule",
        "lm:14,extend:8,lm:14",
        *SMALL,
    ),
    "two spans of time": (
        "burgers1d",
        "--width",
        "3",
        "--degree",
        "5",
        "--grid",
        "4",
        "--schedule",
        "lm:9,extend:6,lm:9",
        "--slabs",
        "2",
        *SMALL,
    ),
    "adam, soap, lbfgs": (
        "poisson2d",
        "--width",
        "3",
        "--degree",
        "5",
        "--grid",
        "4",
        "--schedule",
        "adam:15,soap:15,lbfgs:25",
        *SMALL,
    ),
    "gn, ssbroyden, MLP": (
        "heat1d",
        "--network",
        "mlp",
        "--width",
        "6",
        "--schedule",
        "gn:10,ssbroyden:25",
        *SMALL,
    ),
    "three starts": (
        "poisson2d",
        "--width",
        "2",
        "--degree",
        "5",
        "--grid",
        "4",
        "--schedule",
        "lm:18,lm:8",
        "--points",
        "200",
        "--no-reference",
        "--restarts",
        "3",
    ),
    "sparsify, prune": (
        "poisson2d",
        "--width",
        "3",
        "--degree",
        "3",
        "--grid",
        "3",
        "--schedule",
        "lm:10,sparsify:8,prune:1e-2,lm:10",
        *SMALL,
    ),
    "on the way by continuation": ("way.py", "--no-reference"),
    "a product of splines": (
        "heat1d",
        "--network",
        "tensor",
        "--degree",
        "5",
        "--with",
        "modes=5",
        "--tolerance",
        "1e-4",
        "--no-reference",
    ),
}
"""Commands, by what of the state they go through."""

WITHOUT_OBJECTIVE = ("a product of splines",)
"""Those in which no objective is there that could be made not finite."""

WAY = '''"""Burgers' equation by way of easier viscosities."""

from torch import pi, sin

from kanpde import KAN, Box, Dirichlet, Initial, Problem, Recipe, Time, d

nu = 0.05


def start(x):
    return -sin(pi * x)


def burgers(u, x, t):
    return d(u, t) + u * d(u, x) - nu * d(u, x, x)


conditions = [Dirichlet(u=0), Initial(u=start)]
problem = Problem(Box(x=(-1, 1)) * Time(t=(0, 0.3)), [burgers], conditions)
recipe = Recipe(
    KAN((3,), 5, 4), 150, "lm:8,extend:6,lm:8",
    continuation={"nu": (0.2, 0.1)}, slabs=2, balance="ntk",
)
'''

POISONED = 15
"""The step after which the residual of a run with NaN is not finite, once."""


@dataclass
class Struck:
    """A run in its folder: its process, and what undoes the fault."""

    nursery: Nursery
    folder: Path
    process: int
    chance: random.Random
    repaired: list[Callable[[], None]] = field(default_factory=list)

    @property
    def run(self) -> Path | None:
        """The run folder, when it is there."""
        return next((path.parent for path in self.folder.glob("results/*/*/request.json")), None)


@dataclass(frozen=True)
class Fault:
    """strike: at the moment; ends: the codes with which the process may end then; says: which words
    it must say then, by code."""

    name: str
    strike: Callable[[Struck], None]
    ends: tuple[int, ...]
    says: dict[int, str] = field(default_factory=dict)
    nan: int | None = None


def _signalled(*numbers: int) -> Callable[[Struck], None]:
    def strike(run: Struck) -> None:
        for number in numbers:
            try:
                os.kill(run.process, number)
            except ProcessLookupError:
                return
            time.sleep(run.chance.uniform(0, 0.02))

    return strike


def _no_room(run: Struck) -> None:
    """A disk of its own that something else fills, where disks can be made here; else no file of
    the process may grow beyond some bytes."""
    if os.path.ismount(run.folder / "results"):
        filler = run.folder / "results" / "filler"
        try:
            with filler.open("wb", buffering=0) as file:
                while file.write(b"x" * 4096):
                    pass
        except OSError:
            pass
        run.repaired.append(filler.unlink)
        return
    try:
        resource.prlimit(
            run.process,
            resource.RLIMIT_FSIZE,
            (run.chance.choice([0, 100, 2_000, 20_000]), resource.RLIM_INFINITY),
        )
    except ProcessLookupError:
        return


def _torn(run: Struck) -> None:
    """The process is killed, and of one of its files only a part was on the disk."""
    _signalled(signal.SIGKILL)(run)


GOES_ON = "kanpde solve --resume"
FAULTS = {
    fault.name: fault
    for fault in (
        Fault("SIGKILL", _signalled(signal.SIGKILL), (-signal.SIGKILL,)),
        Fault("SIGTERM", _signalled(signal.SIGTERM), (143, -signal.SIGTERM), {143: GOES_ON}),
        Fault("Ctrl-C", _signalled(signal.SIGINT), (130,), {130: "interrupted"}),
        Fault(
            "Ctrl-C twice", _signalled(signal.SIGINT, signal.SIGINT), (130,), {130: "interrupted"}
        ),
        Fault("full disk", _no_room, (2,), {2: "cannot be written"}),
        Fault("NaN, then SIGKILL", _signalled(signal.SIGKILL), (-signal.SIGKILL,), nan=POISONED),
        Fault("torn file", _torn, (-signal.SIGKILL,)),
    )
}


@dataclass(frozen=True)
class Outcome:
    """steps: how many were done again after the fault; struck: the number of faults that came while
    the run was under way."""

    case: str
    fault: str
    struck: int
    at: str
    repeated: int
    said: str
    seconds: float


def uninterrupted(nursery: Nursery, case: str, folder: Path, nan: int | None) -> dict[str, Any]:
    """What a run comes to that nothing strikes."""
    folder.mkdir(parents=True)
    (folder / "way.py").write_text(WAY)
    end = nursery.run(["solve", *CASES[case]], folder, nan=nan)
    assert end.code == 0, end.said
    (run,) = folder.glob("results/*/*")
    found = contents(run)
    assert (folder / "not finite").exists() == (nan is not None)
    assert all(np.isfinite(found["theta"]))
    return {**found, "log": len(steps(folder))}


def blow(
    nursery: Nursery, case: str, fault: Fault, folder: Path, whole: dict[str, Any], seed: int
) -> Outcome:
    """Strike a run at a random moment, and now and then again while it goes on; raises
    AssertionError where anything is lost."""
    began, chance = time.perf_counter(), random.Random(seed)
    folder.mkdir(parents=True)
    (folder / "way.py").write_text(WAY)
    with _disk(folder, fault) as repair:
        said, at, struck, run, torn = "", "", 0, None, 0
        for _ in range(1 if chance.random() < 0.7 else 2):
            done = len(set(steps(folder)))
            threshold = chance.randint(done, whole["log"])
            command = ["solve", "--resume", run] if run else ["solve", *CASES[case]]
            struck_run = Struck(
                nursery, folder, nursery.start(command, folder, nan=fault.nan), chance
            )
            _until(struck_run, threshold)
            time.sleep(chance.uniform(0, 0.25 if threshold == whole["log"] else 0.02))
            fault.strike(struck_run)
            end = nursery.wait(struck_run.process)
            for mend in struck_run.repaired:
                mend()
            if end.code == 0:
                break  # it came too late: the run was over
            assert end.code in fault.ends, end
            check_words(end, fault.says.get(end.code, ""))
            struck, at = struck + 1, f"{at} step {threshold}".strip()
            said = last_line(end.said)
            run = struck_run.run
            if run is not None:
                check_readable(run)
                torn += fault.name == "torn file" and _tear(nursery, run, folder, chance)
                run = struck_run.run  # without its request.json nothing is left to resume
        if not struck:
            repair()
            return Outcome(case, fault.name, 0, at, 0, said, time.perf_counter() - began)
        end = nursery.run(
            ["solve", "--resume", run] if run else ["solve", *CASES[case]], folder, nan=fault.nan
        )
        assert end.code == 0, end.said
        (run,) = (path.parent for path in folder.glob("results/*/*/summary.json"))
        found = contents(run)
        assert_same(found, whole)
        assert sorted(p.name for p in run.iterdir()) == [
            "checkpoint.pt",
            "request.json",
            "run.h5",
            "summary.json",
        ], "something was left behind"
        repeated = len(steps(folder)) - whole["log"]
        assert repeated <= struck or torn, f"{repeated} steps again after {struck} faults"
        repair()
    shutil.rmtree(folder)
    return Outcome(
        case, fault.name, struck, at, max(repeated, 0), said, time.perf_counter() - began
    )


SWEEP = (
    "poisson2d",
    "--networks",
    "kan,mlp",
    "--width",
    "2,3",
    "--grid",
    "4",
    "--degree",
    "5",
    "--schedule",
    "lm:15",
    "--seeds",
    "1",
    "--points",
    "150",
    "--no-differences",
    "--jobs",
    "1",
    "--threads",
    "1",
)


def swept(nursery: Nursery, folder: Path, command: list[str] | None = None) -> dict[str, Any]:
    """The trials of a sweep that nothing strikes, or of one that goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    end = nursery.run(["sweep", *(command or SWEEP)], folder)
    assert end.code == 0, end.said
    (table,) = folder.glob("results/poisson2d/*/sweep.csv")
    trials = {
        path.parent.name: contents(path.parent) for path in table.parent.glob("*/summary.json")
    }
    rows = [
        {k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(table.open())
    ]
    return {"trials": trials, "rows": rows, "log": len(steps(folder))}


def blow_sweep(
    nursery: Nursery, fault: Fault, folder: Path, whole: dict[str, Any], seed: int
) -> Outcome:
    """Strike a sweep at a random moment: the trials that are done stay, and the one under way
    continues where it was."""
    began, chance = time.perf_counter(), random.Random(seed)
    folder.mkdir(parents=True)
    threshold = chance.randint(1, whole["log"])
    struck = Struck(nursery, folder, nursery.start(["sweep", *SWEEP], folder), chance)
    _until(struck, threshold, by_lines=True)
    time.sleep(chance.uniform(0, 0.02))
    fault.strike(struck)
    end = nursery.wait(struck.process)
    assert end.code in (*fault.ends, 0), end
    check_words(end, "kanpde sweep --resume" if end.code > 0 else "")
    tables = list(folder.glob("results/poisson2d/*/sweep.json"))
    found = swept(
        nursery,
        folder,
        ["--resume", str(tables[0].parent), "--jobs", "1", "--threads", "1"] if tables else None,
    )
    assert found["rows"] == whole["rows"]
    assert found["trials"].keys() == whole["trials"].keys()
    for name, trial in whole["trials"].items():
        assert_same(found["trials"][name], trial)
    repeated = found["log"] - whole["log"]
    assert repeated <= 1, f"{repeated} steps again"
    shutil.rmtree(folder)
    return Outcome(
        "a sweep of four trials",
        fault.name,
        int(end.code != 0),
        f"step {threshold}",
        max(repeated, 0),
        last_line(end.said),
        time.perf_counter() - began,
    )


def check_words(end: End, wanted: str = "") -> None:
    """One line that says what was, and no traceback."""
    assert "Traceback" not in end.said, end.said
    assert "IT HANGS" not in end.said, end.said
    assert wanted in end.said, end
    if end.code == 2:
        assert sum(line.startswith("error: ") for line in end.said.splitlines()) == 1, end.said


def check_readable(run: Path) -> None:
    """Every file that has its name is whole; what is half-written has another one."""
    for path in run.iterdir():
        if path.name.endswith(".partial") or path.name == ".run.lock":
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".pt":
            torch.load(path, weights_only=True)
        elif path.suffix == ".h5":
            with h5py.File(path) as file:
                file.visititems(
                    lambda name, node: node[()] if isinstance(node, h5py.Dataset) else None
                )
        else:
            raise AssertionError(f"{path}: what is that?")


def _tear(nursery: Nursery, run: Path, folder: Path, chance: random.Random) -> bool:
    """Tear a file, see that it is named in one line, and do what the line says. Returns whether the
    run had to begin again."""
    path = chance.choice(sorted(p for p in run.iterdir() if p.suffix in (".pt", ".h5", ".json")))
    whole = path.read_bytes()
    path.write_bytes(whole[: chance.randrange(len(whole))])
    before = {p.name: p.read_bytes() for p in run.iterdir() if p.name != ".run.lock"}
    refused = nursery.run(["solve", "--resume", run], folder)
    if refused.code == 0:  # a file that the resumed run does not need, and has replaced
        return True
    assert refused.code == 2, refused
    check_words(refused)
    assert path.name in refused.said, refused.said
    assert {p.name: p.read_bytes() for p in run.iterdir() if p.name != ".run.lock"} == before, (
        "a refused run was changed"
    )
    if path.name == "request.json":
        assert "solve the problem again" in refused.said, refused.said
        shutil.rmtree(run)
        return True
    assert f"delete {path}" in refused.said or "delete it" in refused.said, refused.said
    path.unlink()
    return True


def contents(run: Path) -> dict[str, Any]:
    """All numbers of a finished run but times, and why its stages ended."""
    summary = json.loads((run / "summary.json").read_text())
    checkpoint = torch.load(run / "checkpoint.pt", weights_only=True)["ansatz"]
    if "products" in checkpoint:
        theta = [span["coefficients"].flatten() for span in checkpoint["products"]]
    else:
        theta = [span["theta"] for span in checkpoint.get("spans", [checkpoint])]
    arrays: dict[str, np.ndarray] = {}
    with h5py.File(run / "run.h5") as file:
        file.visititems(
            lambda name, node: (
                arrays.update({name: node[()]})
                if isinstance(node, h5py.Dataset) and not name.endswith("seconds")
                else None
            )
        )
    return {
        "theta": torch.cat(theta).numpy(),
        "arrays": arrays,
        "ended": [stage["ended"] for stage in summary["stages"]],
        "numbers": [
            summary[key]
            for key in ("relative_l2", "max_error", "loss", "fresh", "steps", "interrupted")
        ],
    }


def assert_same(found: dict[str, Any], whole: dict[str, Any]) -> None:
    """Bit by bit."""
    assert found["ended"] == whole["ended"]
    assert found["numbers"] == whole["numbers"]
    assert found["theta"].tobytes() == whole["theta"].tobytes()
    assert found["arrays"].keys() == whole["arrays"].keys()
    for name, array in whole["arrays"].items():
        if array.dtype != object:
            assert found["arrays"][name].tobytes() == array.tobytes(), name


def steps(folder: Path) -> list[tuple[str, str]]:
    """Stage and number of every step that was done in a folder, by any process."""
    path = folder / "steps.log"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [(line.split()[1], line.split()[2]) for line in lines]


def last_line(said: str) -> str:
    """The last line that was printed."""
    return (said.strip().splitlines() or [""])[-1].strip()


def _until(run: Struck, count: int, by_lines: bool = False) -> None:
    """Wait until so many different steps, or lines of the log, are there, or the process is
    gone."""
    until, log, size = time.monotonic() + 120, run.folder / "steps.log", 0
    while time.monotonic() < until:
        before, size = size, log.stat().st_size if log.is_file() else 0
        if (size != before or not count) and len(
            steps(run.folder) if by_lines else set(steps(run.folder))
        ) >= count:
            return
        try:
            with open(f"/proc/{run.process}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except FileNotFoundError:
            return
        time.sleep(0.002)


@contextmanager
def _disk(folder: Path, fault: Fault) -> Iterator[Callable[[], None]]:
    """For a full disk: a small one of its own, where this process may make one."""
    results = folder / "results"
    mounted = False
    if fault.name == "full disk":
        results.mkdir()
        mounted = (
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(results)],
                capture_output=True,
                check=False,
            ).returncode
            == 0
        )

    def repair() -> None:
        nonlocal mounted
        if mounted:
            subprocess.run(["umount", "-l", str(results)], capture_output=True, check=True)
            mounted = False

    try:
        yield repair
    finally:
        repair()
