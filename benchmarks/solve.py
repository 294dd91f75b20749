"""`python -m benchmarks solve`: the speed and the accuracy that the README states, measured here.

Three parts, each with its own provenance, so that one can be measured again alone:

- timing: a Levenberg-Marquardt iteration, and the loss gradient against nested autograd on a
  materialised basis, in one run;
- command: `list` and `solve poisson2d` as whole processes, with their memory;
- accuracy: gallery problems with default settings, every seed.

No speed is reported before both sides give the same numbers.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import tables
from benchmarks.arguments import shown_seeds
from benchmarks.closure import check_agreement, objective
from benchmarks.peers import nested_gradient
from benchmarks.rows import (
    BenchmarkError,
    Quantity,
    Tell,
    load,
    markdown,
    provenance_lines,
    timed,
    times,
    timing_table,
)
from kanpde.errors import RecipeError, RunError, listed
from kanpde.geometry import Box
from kanpde.networks.kan import KAN
from kanpde.problem import file as problems
from kanpde.problem.conditions import Condition
from kanpde.problem.problem import Problem
from kanpde.provenance import provenance
from kanpde.recipes.choosing import choose
from kanpde.residual.calculus import d, laplacian
from kanpde.results.result import Result
from kanpde.runs.atomic import check_writable
from kanpde.solver import solve
from kanpde.training import LevenbergMarquardt

PARTS = ("timing", "command", "accuracy")


@dataclass(frozen=True)
class Target:
    """What a gallery problem must reach with default settings.

    Attributes:
        must: The largest relative L2 that is acceptable, of the worst seed.
        aim: The largest that would be good.
        parameters: At most so many.
        seconds: Of training, at most.
    """

    must: float
    aim: float
    parameters: int
    seconds: float


TARGETS = {
    "poisson2d": Target(3e-8, 1e-10, 500, 10),
    "poisson2d_paper": Target(1e-7, 1e-9, 500, 10),
    "helmholtz2d": Target(3e-7, 1e-9, 1000, 30),
    "burgers1d": Target(5e-5, 1e-6, 1500, 120),
}


def run(
    out: Path,
    tell: Tell,
    only: str | None = None,
    seeds: Sequence[int] = range(5),
    names: Sequence[str] = tuple(TARGETS),
) -> dict[str, Any]:
    """Measure, and write `out/benchmarks/solve.json` and `solve.md`.

    Args:
        out: Where the folder `benchmarks` is or will be.
        tell: Where progress goes, a line at a time.
        only: One of PARTS; the others stay as they are. All where not given.
        seeds: Of the part `accuracy`.
        names: Problems of the part `accuracy`.

    Returns:
        What solve.json holds.

    Raises:
        RecipeError: There is no such part.
        BenchmarkError: Two ways disagree, before the speed of anything that is wrong is reported.
        RunError: Files cannot be written, or are of something else.
    """
    if only is not None and only not in PARTS:
        raise RecipeError(f"only: got {only!r}; expected {listed(PARTS)}")
    folder = Path(out) / "benchmarks"
    check_writable(folder)
    found = _earlier(folder / "solve.json")
    measure: Mapping[str, Callable[[], list[Quantity]]] = {
        "timing": lambda: [*levenberg_marquardt(tell), *loss_gradient(tell)],
        "command": lambda: commands(tell),
        "accuracy": lambda: accuracy(names, seeds, tell),
    }
    for part in PARTS if only is None else [only]:
        tell(f"measuring {part}")
        options = f" --seeds {shown_seeds(seeds)}" if part == "accuracy" else ""
        about = {
            **provenance(),
            "load": load(),
            "command": f"python -m benchmarks solve --only {part}{options}",
        }
        found[part] = {
            "provenance": about,
            "rows": [{**asdict(row), "verdict": row.verdict} for row in measure[part]()],
        }
        tables.write(folder, "solve", found, page(found))
    return found


def levenberg_marquardt(tell: Tell, repetitions: int = 60) -> list[Quantity]:
    """One iteration for 450 parameters and 1,600 points of poisson2d: its parts, and whole steps as
    training takes them."""
    problem, _ = problems.load("poisson2d")
    at = objective(problem, KAN((5,), 7, 23), 1600)
    for _ in LevenbergMarquardt(steps=10).minimise(at):
        pass
    _, J = at.jacobian()
    normal = J.gram()
    damped = normal + 1e-6 * torch.eye(len(normal), dtype=normal.dtype)
    parts = {
        "Jacobian": lambda: at.jacobian(),
        "normal matrix": lambda: J.gram(),
        "Cholesky": lambda: torch.linalg.cholesky_ex(damped),
        "trial residual": lambda: at.residuals(),
    }
    spent = {name: times(work, repetitions) for name, work in parts.items()}
    steps_taken = []
    steps = LevenbergMarquardt(steps=repetitions).minimise(at)
    while True:
        began = time.perf_counter()
        try:
            next(steps)
        except StopIteration:
            break
        steps_taken.append(time.perf_counter() - began)
    whole = timed(
        "Levenberg-Marquardt: an iteration as trained (2-5-1, 450 parameters, 1,600 points)",
        steps_taken,
        must=20,
        aim=8,
    )
    median = statistics.median(steps_taken)
    whole.more |= {
        "against the normal matrix alone": median / statistics.median(spent["normal matrix"]),
        "parameters": at.network.parameters,
        "points": at.rows,
    }
    tell(f"  one iteration {1e3 * median:.1f} ms, median of {len(steps_taken)}")
    return [whole, *(timed(f"Levenberg-Marquardt: {name}", found) for name, found in spent.items())]


def loss_gradient(tell: Tell, points: int = 10_000, repetitions: int = 15) -> list[Quantity]:
    """The gradient of a loss with u, ∇u and Δu, by jets and hand-written adjoints, against nested
    autograd on a full basis."""

    def equation(u: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return laplacian(u) + x * d(u, x) - y * d(u, y) + u - torch.sin(x) * torch.cos(y)

    # A condition that is not built into the network: both sides shall compute that alone.
    condition = Condition(lambda u: u, on=("x-", "x+", "y-", "y+"))
    problem = Problem(Box(x=(-1, 1), y=(-1, 1)), [equation], [condition])
    at = objective(problem, KAN((10,), 3, 5), points)

    def nested() -> tuple[float, Tensor]:
        return nested_gradient(
            at.network,
            at.terms[0].frame.points,
            lambda u, u_x, u_y, lap, x, y: (
                lap + x * u_x - y * u_y + u - torch.sin(x) * torch.cos(y)
            ),
        )

    check_agreement(at.gradient(), nested())
    ours, theirs = [], []
    for _ in range(repetitions):  # alternating, so that whatever else the machine does meets both
        ours += times(at.gradient, 3, warm_up=0)
        theirs += times(nested, 1, warm_up=0)
    fast, slow = statistics.median(ours), statistics.median(theirs)
    tell(
        f"  loss gradient {1e3 * fast:.1f} ms, nested autograd {1e3 * slow:.1f} ms:"
        f" {slow / fast:.1f} times"
    )
    ratio = Quantity(
        "loss gradient with u, ∇u, Δu against nested autograd (2-10-1, grid 5, degree 3, 10,000"
        " points)",
        slow / fast,
        "times faster",
        8,
        20,
        least=True,
    )
    ratio.more = {
        "points": points,
        "parameters": at.network.parameters,
        "ratio of the minima": min(theirs) / min(ours),
    }
    return [
        ratio,
        timed("loss gradient: jets and adjoint", ours),
        timed("loss gradient: nested autograd, materialised basis", theirs),
    ]


_MEASURED = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
peak *= 1 if sys.platform == "darwin" else 1024
print(json.dumps([done.returncode, seconds, peak, done.stdout, done.stderr]))
"""
"""A small process that starts the measured one: the peak memory of a child begins at what its
parent holds."""


def commands(tell: Tell, repetitions: int = 5) -> list[Quantity]:
    """Whole processes: `list`, several times, and `solve poisson2d` with imports, training,
    reference and pictures."""
    listing = [_process("list")[0] for _ in range(repetitions)]
    tell(f"  list {min(listing):.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        seconds, peak, printed = _process("solve", "poisson2d", "--json", "--out", folder)
    summary = json.loads(printed)
    tell(f"  solve poisson2d {seconds:.1f} s, {peak / 1e6:.0f} MB")
    more = {
        "relative_l2": summary["relative_l2"],
        "training_seconds": summary["seconds"],
        "reference_seconds": summary["reference"]["seconds"],
    }
    return [
        Quantity(
            "python -m kanpde list, a fresh process",
            statistics.median(listing),
            "s",
            1,
            0.3,
            more={"minimum": min(listing), "repetitions": repetitions},
        ),
        Quantity(
            "python -m kanpde solve poisson2d, the whole command", seconds, "s", 25, 10, more=more
        ),
        Quantity("memory of solve poisson2d, at its peak", peak / 1e9, "GB", 1),
    ]


def accuracy(names: Sequence[str], seeds: Sequence[int], tell: Tell) -> list[Quantity]:
    """The worst relative L2 over the seeds, each problem with its default settings."""
    rows = []
    for name in names:
        problem, recipes = problems.load(name)
        recipe = choose(problem, recipes).recipe
        found: list[Result] = []
        for seed in seeds:
            found.append(solve(problem, recipe=recipe, seed=seed, reference=False))
            if found[-1].history.interrupted:
                raise KeyboardInterrupt
            tell(f"  {name}, seed {seed}: {found[-1].relative_l2:.1e} in {found[-1].seconds:.1f} s")
        rows.append(_judged(name, list(seeds), found))
    return rows


def _judged(name: str, seeds: list[int], found: Sequence[Result]) -> Quantity:
    target = TARGETS.get(name)
    errors = [float(result.relative_l2 or 0.0) for result in found]
    seconds = [result.seconds for result in found]
    parameters = int(found[-1].settings["parameters"])
    row = Quantity(
        name,
        max(errors),
        "relative L2",
        target.must if target else None,
        target.aim if target else None,
    )
    row.more = {
        "network": found[-1].settings["network"],
        "parameters": parameters,
        "seeds": seeds,
        "relative_l2": errors,
        "seconds": seconds,
    }
    if target:
        row.more["allowed"] = parameters <= target.parameters and max(seconds) <= target.seconds
        row.more["limits"] = {"parameters": target.parameters, "seconds": target.seconds}
    return row


def page(found: Mapping[str, Any]) -> str:
    """The measured parts as a page of Markdown."""
    lines = [
        "# Speed and accuracy",
        "",
        "Written by `python -m benchmarks solve`; the numbers behind it are in `solve.json`.",
    ]
    for part in PARTS:
        if part in found:
            about, rows = found[part]["provenance"], found[part]["rows"]
            table = accuracy_table(rows) if part == "accuracy" else timing_table(rows)
            lines += [
                "",
                f"## {part.capitalize()}",
                "",
                f"<!-- table:{part} -->",
                *table,
                "<!-- /table -->",
                "",
                *provenance_lines(about),
            ]
    return "\n".join(lines) + "\n"


def accuracy_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of Markdown: one a problem, the worst seed first."""
    table = [
        [
            "problem",
            "network",
            "parameters",
            "worst relative L2",
            "each seed",
            "training, s",
            "must",
            "aim",
            "met",
        ]
    ]
    for row in rows:
        more = row["more"]
        low, high = min(more["seconds"]), max(more["seconds"])
        each = " ".join(f"{error:.1e}" for error in more["relative_l2"])
        must = ""
        if row["must"] is not None:
            limits = more["limits"]
            must = f"{row['must']:.0e} with ≤ {limits['parameters']:,} in ≤ {limits['seconds']:g} s"
        aim = "" if row["aim"] is None else f"{row['aim']:.0e}"
        table.append(
            [
                row["what"],
                more["network"],
                f"{more['parameters']:,}",
                f"{row['value']:.1e}",
                each,
                f"{low:.1f} to {high:.1f}",
                must,
                aim,
                row["verdict"],
            ]
        )
    return markdown(table, left=(0, 1))


def _process(*arguments: str) -> tuple[float, float, str]:
    """Seconds, peak bytes and standard output of `python -m kanpde …`; raises BenchmarkError where
    it fails."""
    command = [sys.executable, "-c", _MEASURED, sys.executable, "-m", "kanpde", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkError(
            f"kanpde {' '.join(arguments)}: cannot be measured"
            f" ({done.stderr.strip().splitlines()[-1]})"
        )
    code, seconds, peak, out, err = json.loads(done.stdout)
    if code:
        raise BenchmarkError(
            f"kanpde {' '.join(arguments)}: ended with {code}"
            f" ({err.strip().splitlines()[-1] if err.strip() else 'no message'})"
        )
    return seconds, peak, out


def _earlier(path: Path) -> dict[str, Any]:
    """What solve.json holds of earlier measurements; raises RunError where it is something else."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            part: {"provenance": dict(found[part]["provenance"]), "rows": list(found[part]["rows"])}
            for part in PARTS
            if part in found
        }
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path}: is no result of `python -m benchmarks solve`"
            f" ({type(error).__name__}); move it away"
        ) from error
