"""The benchmark behind `python -m kanpde bench`: the speed and the accuracy that the README states, measured here and now.

Three parts, each with its own provenance, so that one can be measured again alone:

- timing: a Levenberg-Marquardt iteration, and the loss gradient against nested autograd on a materialised basis, in one run;
- command: `list` and `solve poisson2d` as whole processes, with their memory;
- accuracy: gallery problems with default settings, every seed.

No speed is reported before both sides give the same numbers.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from kanpde import problem as problems
from kanpde import run_folder
from kanpde.calculus import d, laplacian
from kanpde.errors import KanpdeError, ProblemWarning, RecipeError, RunError, listed
from kanpde.geometry import Box
from kanpde.networks import KAN, Ansatz
from kanpde.networks.kan import HIGH, LOW, SplineLayer
from kanpde.networks.network import Network
from kanpde.problem import Problem
from kanpde.provenance import provenance
from kanpde.results import Result
from kanpde.sampling import unit_points
from kanpde.solver import solve
from kanpde.training import LevenbergMarquardt
from kanpde.training.objective import Objective, term

Tell = Callable[[str], None]
PARTS = ("timing", "command", "accuracy")
AGREE = 1e-9
"""Relative difference up to which two ways of computing a loss and its gradient count as the same."""


class BenchmarkError(KanpdeError):
    """Two ways of computing the same thing disagree, or a command that is measured fails."""


@dataclass
class Row:
    """One measured quantity. must and aim bound it from above, or, where `least`, from below; more: what else belongs to it."""

    what: str
    value: float
    unit: str = ""
    must: float | None = None
    aim: float | None = None
    least: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """ "aim" or "must" where met, "missed" where not, "" where nothing is asked."""
        if self.must is None:
            return ""
        sign = -1 if self.least else 1
        allowed = self.more.get("allowed", True)
        if not allowed or not sign * self.value <= sign * self.must:
            return "missed"
        return "aim" if self.aim is not None and sign * self.value <= sign * self.aim else "must"


@dataclass(frozen=True)
class Target:
    """What a gallery problem must reach with default settings: relative L2, parameters, seconds of training."""

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


def run(out: Path, tell: Tell, only: str | None = None, seeds: Sequence[int] = range(5), names: Sequence[str] = tuple(TARGETS)) -> dict[str, Any]:
    """Measure, and write `out/benchmarks/solve.json` and `solve.md`; a part that is not measured stays as it is there.

    only: one of PARTS, or all. seeds, names: of the accuracy part. Returns the object that solve.json holds.
    Raises BenchmarkError before reporting the speed of anything that is wrong, RunError where files cannot be written.
    """
    if only is not None and only not in PARTS:
        raise RecipeError(f"only: got {only!r}; expected {listed(PARTS)}")
    folder = Path(out) / "benchmarks"
    run_folder.check_writable(folder)
    found = _earlier(folder / "solve.json")
    measure: Mapping[str, Callable[[], list[Row]]] = {
        "timing": lambda: [*levenberg_marquardt(tell), *loss_gradient(tell)],
        "command": lambda: commands(tell),
        "accuracy": lambda: accuracy(names, seeds, tell),
    }
    for part in PARTS if only is None else [only]:
        tell(f"measuring {part}")
        options = f" --seeds {','.join(map(str, seeds))}" if part == "accuracy" else ""
        about = {**provenance(), "load": _load(), "command": f"python -m kanpde bench --only {part}{options}"}
        found[part] = {"provenance": about, "rows": [{**asdict(row), "verdict": row.verdict} for row in measure[part]()]}
        text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        run_folder.write_text(folder / "solve.json", text)
        run_folder.write_text(folder / "solve.md", page(found))
    return found


def levenberg_marquardt(tell: Tell, repetitions: int = 60) -> list[Row]:
    """One iteration for 450 parameters and 1,600 points of poisson2d: its parts, and whole steps as training takes them."""
    problem, _ = problems.load("poisson2d")
    objective = _objective(problem, KAN((5,), 7, 23), 1600)
    for _ in LevenbergMarquardt(steps=10).minimise(objective):
        pass
    _, J = objective.jacobian()
    normal = J.gram()
    damped = normal + 1e-6 * torch.eye(len(normal), dtype=normal.dtype)
    parts = {
        "Jacobian": lambda: objective.jacobian(),
        "normal matrix": lambda: J.gram(),
        "Cholesky": lambda: torch.linalg.cholesky_ex(damped),
        "trial residual": lambda: objective.residuals(),
    }
    rows = []
    for name, work in parts.items():
        times = _times(work, repetitions)
        rows.append(_timed(f"Levenberg-Marquardt: {name}", times))
    times = []
    steps = LevenbergMarquardt(steps=repetitions).minimise(objective)
    while True:
        began = time.perf_counter()
        try:
            next(steps)
        except StopIteration:
            break
        times.append(time.perf_counter() - began)
    whole = _timed("Levenberg-Marquardt: an iteration as trained (2-5-1, 450 parameters, 1,600 points)", times, must=20, aim=8)
    product = next(row.value for row in rows if row.what.endswith("normal matrix"))
    whole.more |= {"against the normal matrix alone": whole.value / product, "parameters": objective.network.parameters, "points": objective.rows}
    tell(f"  one iteration {whole.value:.1f} ms, median of {len(times)}")
    return [whole, *rows]


def loss_gradient(tell: Tell, points: int = 10_000, repetitions: int = 15) -> list[Row]:
    """The gradient of a loss with u, ∇u and Δu, by jets and hand-written adjoints, against nested autograd on a full basis."""

    def equation(u: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return laplacian(u) + x * d(u, x) - y * d(u, y) + u - torch.sin(x) * torch.cos(y)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ProblemWarning)  # no conditions: both sides shall compute the bare network
        problem = Problem(Box(x=(-1, 1), y=(-1, 1)), [equation])
    objective = _objective(problem, KAN((10,), 3, 5), points)
    at = objective.terms[0].frame.points

    def nested() -> tuple[float, Tensor]:
        return nested_gradient(objective.network, at, lambda u, u_x, u_y, lap, x, y: lap + x * u_x - y * u_y + u - torch.sin(x) * torch.cos(y))

    check_agreement(objective.gradient(), nested())
    ours, theirs = [], []
    for _ in range(repetitions):  # alternating, so that whatever else the machine does meets both
        ours += _times(objective.gradient, 3, warm_up=0)
        theirs += _times(nested, 1, warm_up=0)
    fast, slow = statistics.median(ours), statistics.median(theirs)
    tell(f"  loss gradient {1e3 * fast:.1f} ms, nested autograd {1e3 * slow:.1f} ms: {slow / fast:.1f} times")
    ratio = Row("loss gradient with u, ∇u, Δu against nested autograd (2-10-1, grid 5, degree 3, 10,000 points)", slow / fast, "times faster", 8, 20, least=True)
    ratio.more = {"points": points, "parameters": objective.network.parameters, "ratio of the minima": min(theirs) / min(ours)}
    return [ratio, _timed("loss gradient: jets and adjoint", ours), _timed("loss gradient: nested autograd, materialised basis", theirs)]


def nested_gradient(network: Network, points: Tensor, residual: Callable[..., Tensor]) -> tuple[float, Tensor]:
    """Loss and gradient in the usual way of PINNs: the whole basis [points, inputs, grid + degree] by the recursion of Cox
    and de Boor, one matrix product a layer (Blealtan's efficient-kan), and torch.autograd.grad nested for ∇u and Δu.

    residual: a function of u, u_x, u_y, Δu, x, y. For plain networks, whose grids have not been moved.
    """
    theta = network.theta.detach().clone().requires_grad_()
    x, y = (column.clone().requires_grad_() for column in points.T)
    values, parts = torch.stack([x, y], 1), iter(torch.split(theta, [layer.size for layer in network.layers]))
    for layer in network.layers:
        part = next(parts)
        if isinstance(layer, SplineLayer):
            weight = part.view(-1, layer.shape[2]).T
            values = linear(materialised_basis(values, layer.grid, layer.degree).flatten(1), weight)
        else:
            values = torch.tanh(values)
    u = values[:, 0]
    u_x, u_y = torch.autograd.grad(u.sum(), (x, y), create_graph=True)
    (u_xx,) = torch.autograd.grad(u_x.sum(), x, create_graph=True)
    (u_yy,) = torch.autograd.grad(u_y.sum(), y, create_graph=True)
    loss = residual(u, u_x, u_y, u_xx + u_yy, x, y).square().mean()
    (gradient,) = torch.autograd.grad(loss, theta)
    return float(loss.detach()), gradient


def materialised_basis(x: Tensor, grid: int, degree: int) -> Tensor:
    """All B-splines at x [points, inputs], on the uniform extended knots over [-1, 1): [points, inputs, grid + degree]."""
    step = (HIGH - LOW) / grid
    knots = LOW + step * torch.arange(-degree, grid + degree + 1, dtype=x.dtype, device=x.device)
    x = x[..., None]
    basis = ((x >= knots[:-1]) & (x < knots[1:])).to(x)
    for k in range(1, degree + 1):
        left = (x - knots[: -k - 1]) / (knots[k:-1] - knots[: -k - 1])
        right = (knots[k + 1 :] - x) / (knots[k + 1 :] - knots[1:-k])
        basis = left * basis[..., :-1] + right * basis[..., 1:]
    return basis


def check_agreement(ours: tuple[float, Tensor], theirs: tuple[float, Tensor]) -> None:
    """Raise BenchmarkError unless losses and gradients agree."""
    loss = abs(ours[0] - theirs[0]) / abs(theirs[0])
    gradient = float((ours[1] - theirs[1]).norm() / theirs[1].norm())
    if not (loss <= AGREE and gradient <= AGREE):
        raise BenchmarkError(f"loss gradient: jets and nested autograd differ by {loss:.1e} in the loss and {gradient:.1e} in the gradient; expected at most {AGREE:g}")


_MEASURED = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([done.returncode, seconds, peak * (1 if sys.platform == "darwin" else 1024), done.stdout, done.stderr]))
"""
"""A small process that starts the measured one: the peak memory of a child begins at what its parent holds."""


def commands(tell: Tell, repetitions: int = 5) -> list[Row]:
    """Whole processes: `list`, several times, and `solve poisson2d` with imports, training, reference and pictures."""
    listing = [_process("list")[0] for _ in range(repetitions)]
    tell(f"  list {min(listing):.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        seconds, peak, printed = _process("solve", "poisson2d", "--json", "--out", folder)
    summary = json.loads(printed)
    tell(f"  solve poisson2d {seconds:.1f} s, {peak / 1e6:.0f} MB")
    more = {"relative_l2": summary["relative_l2"], "training_seconds": summary["seconds"], "reference_seconds": summary["reference"]["seconds"]}
    return [
        Row("python -m kanpde list, a fresh process", statistics.median(listing), "s", 1, 0.3, more={"minimum": min(listing), "repetitions": repetitions}),
        Row("python -m kanpde solve poisson2d, the whole command", seconds, "s", 25, 10, more=more),
        Row("memory of solve poisson2d, at its peak", peak / 1e9, "GB", 1),
    ]


def accuracy(names: Sequence[str], seeds: Sequence[int], tell: Tell) -> list[Row]:
    """The worst relative L2 over the seeds, each problem with its default settings."""
    rows = []
    for name in names:
        problem, recipe = problems.load(name)
        found: list[Result] = []
        for seed in seeds:
            found.append(solve(problem, recipe=recipe, seed=seed, reference=False))
            if found[-1].history.interrupted:
                raise KeyboardInterrupt
            tell(f"  {name}, seed {seed}: {found[-1].relative_l2:.1e} in {found[-1].seconds:.1f} s")
        rows.append(_judged(name, list(seeds), found))
    return rows


def _judged(name: str, seeds: list[int], found: Sequence[Result]) -> Row:
    target = TARGETS.get(name)
    errors = [float(result.relative_l2 or 0.0) for result in found]
    seconds = [result.seconds for result in found]
    parameters = int(found[-1].settings["parameters"])
    row = Row(name, max(errors), "relative L2", target.must if target else None, target.aim if target else None)
    row.more = {"network": found[-1].settings["network"], "parameters": parameters, "seeds": seeds, "relative_l2": errors, "seconds": seconds}
    if target:
        row.more["allowed"] = parameters <= target.parameters and max(seconds) <= target.seconds
        row.more["limits"] = {"parameters": target.parameters, "seconds": target.seconds}
    return row


def page(found: Mapping[str, Any]) -> str:
    """The measured parts as a page of Markdown."""
    lines = ["# Speed and accuracy", "", "Written by `python -m kanpde bench`; the numbers behind it are in `solve.json`."]
    for part in PARTS:
        if part in found:
            about, rows = found[part]["provenance"], found[part]["rows"]
            table = accuracy_table(rows) if part == "accuracy" else timing_table(rows)
            lines += ["", f"## {part.capitalize()}", "", f"<!-- table:{part} -->", *table, "<!-- /table -->", "", *_provenance_lines(about)]
    return "\n".join(lines) + "\n"


def accuracy_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of Markdown: one a problem, the worst seed first."""
    table = [["problem", "network", "parameters", "worst relative L2", "each seed", "training, s", "must", "aim", "met"]]
    for row in rows:
        more = row["more"]
        low, high = min(more["seconds"]), max(more["seconds"])
        each = " ".join(f"{error:.1e}" for error in more["relative_l2"])
        must = ""
        if row["must"] is not None:
            limits = more["limits"]
            must = f"{row['must']:.0e} with ≤ {limits['parameters']:,} in ≤ {limits['seconds']:g} s"
        aim = "" if row["aim"] is None else f"{row['aim']:.0e}"
        table.append([row["what"], more["network"], f"{more['parameters']:,}", f"{row['value']:.1e}", each, f"{low:.1f} to {high:.1f}", must, aim, row["verdict"]])
    return _markdown(table, left=(0, 1))


def timing_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of Markdown: one a quantity."""
    table = [["what", "measured", "minimum", "must", "aim", "met"]]
    for row in rows:
        least = "≥ " if row["least"] else "≤ "
        low = row["more"].get("minimum")
        bounds = ["" if row[kind] is None else f"{least}{row[kind]:g}" for kind in ("must", "aim")]
        table.append([row["what"], f"{row['value']:.3g} {row['unit']}", "" if low is None else f"{low:.3g} {row['unit']}", *bounds, row["verdict"]])
    return _markdown(table, left=(0,))


def _markdown(table: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    rule = ["---" if column in left else "---:" for column in range(len(table[0]))]
    return ["| " + " | ".join(row) + " |" for row in (table[0], rule, *table[1:])]


def _provenance_lines(about: Mapping[str, Any]) -> list[str]:
    versions = ", ".join(f"{package} {about[package]}" for package in ("kanpde", "python", "torch", "numpy", "scipy") if about.get(package))
    machine = f"{about['processor']}, {about['cores']} cores, {about['threads']} threads, {about['platform']}"
    load = "" if about["load"] is None else f" The machine's load when it began: {about['load']:.1f}{', so it was not quiet' if about['load'] > about['cores'] / 2 else ''}."
    return [f"`{about['command']}` on {about['date']}, commit {about['commit'] or 'unknown'}; {versions}; {machine}.{load}"]


def _objective(problem: Problem, spec: KAN, points: int) -> Objective:
    """The equation at Sobol points, with a network of random coefficients."""
    dims = len(problem.coordinates)
    network = spec.build(dims, 1, torch.Generator().manual_seed(0))
    ansatz = Ansatz(problem.domain, problem.unknowns, problem.constraints, problem.periodic, network)
    return Objective(network, [term(ansatz, problem.equations, problem.domain.interior(unit_points(points, dims, 0)), None, 1.0)])


def _times(work: Callable[[], object], repetitions: int, warm_up: int = 3) -> list[float]:
    """Seconds of each repetition."""
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(repetitions):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return times


def _timed(what: str, times: Sequence[float], must: float | None = None, aim: float | None = None) -> Row:
    """The median in milliseconds, and the minimum beside it."""
    return Row(what, 1e3 * statistics.median(times), "ms", must, aim, more={"minimum": 1e3 * min(times), "repetitions": len(times)})


def _process(*arguments: str) -> tuple[float, float, str]:
    """Seconds, peak bytes and standard output of `python -m kanpde …`; raises BenchmarkError where it fails."""
    command = [sys.executable, "-c", _MEASURED, sys.executable, "-m", "kanpde", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkError(f"kanpde {' '.join(arguments)}: cannot be measured ({done.stderr.strip().splitlines()[-1]})")
    code, seconds, peak, out, err = json.loads(done.stdout)
    if code:
        raise BenchmarkError(f"kanpde {' '.join(arguments)}: ended with {code} ({err.strip().splitlines()[-1] if err.strip() else 'no message'})")
    return seconds, peak, out


def _earlier(path: Path) -> dict[str, Any]:
    """What solve.json holds of earlier measurements; raises RunError where it is something else."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {part: {"provenance": dict(found[part]["provenance"]), "rows": list(found[part]["rows"])} for part in PARTS if part in found}
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: is no result of `kanpde bench` ({type(error).__name__}); move it away") from error


def _load() -> float | None:
    """Running processes over the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
