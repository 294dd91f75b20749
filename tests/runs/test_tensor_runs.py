"""Runs of tensor products of splines: in their folders, gone on with, read again, and for other
tools; and runs of layers that end at a tolerance."""

import json
import math
import signal

import numpy as np
import pytest
import torch

import kanpde
from kanpde import Box, Dirichlet, Initial, Problem, Recipe, Tensor, Time, d
from kanpde.cli import main
from kanpde.errors import RunError
from kanpde.exports.export import export
from kanpde.reports.run import report
from kanpde.runs import keeper
from kanpde.runs.pictures import draw_edge
from kanpde.training.history import Silent

SOURCE = """
from torch import exp, pi, sin
from kanpde import Box, Dirichlet, Initial, Problem, Recipe, Tensor, Time, d

problem = Problem(
    Box(x=(0, 1)) * Time(t=(0, 1)),
    lambda u, x, t: d(u, t) - 0.1 * d(u, x, x),
    [Dirichlet(u=0), Initial(u=lambda x: sin(pi * x))],
    exact={"u": lambda x, t: exp(-0.1 * pi**2 * t) * sin(pi * x)},
)
recipe = Recipe(Tensor(degree=5, modes=5), tolerance=1e-4)
"""
RECIPE = Recipe(Tensor(degree=5, modes=5), tolerance=1e-4)


def exact(x, t):
    return torch.exp(-0.1 * math.pi**2 * t) * torch.sin(math.pi * x)


HEAT = Problem(
    Box(x=(0, 1)) * Time(t=(0, 1)),
    lambda u, x, t: d(u, t) - 0.1 * d(u, x, x),
    [Dirichlet(u=0), Initial(u=lambda x: torch.sin(math.pi * x))],
    exact={"u": exact},
    name="heat",
)


class Pressed(Silent):
    """Presses Ctrl-C once, at a step."""

    def __init__(self, at):
        self.at, self.steps = at, []

    def step(self, record):
        self.steps.append(record.step)
        if record.step == self.at:
            self.at = -1
            signal.raise_signal(signal.SIGINT)


def solved(folder, **options):
    return kanpde.solve(
        HEAT, recipe=RECIPE, run_dir=folder, reference=False, pictures=False, **options
    )


def coefficients(result):
    return [span.C for span in result.solution.spans]


def same(one, other):
    pairs = zip(coefficients(one), coefficients(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(autouse=True)
def _eager(monkeypatch):
    monkeypatch.setattr(keeper, "STATE_EVERY", 0.0)
    monkeypatch.setattr(keeper, "STATE_SHARE", math.inf)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return solved(tmp_path_factory.mktemp("run"))


def test_the_summary_says_what_was_asked_and_whether_it_was_met(run):
    summary = json.loads((run.run_dir / "summary.json").read_text())
    assert summary["verdict"]["status"] == "converged"
    kept = summary["verdict"]["tolerance"]
    assert kept == {
        "asked": 1e-4,
        "met": True,
        "by": "exact solution",
        "error": run.errors["u"].error,
        "estimate": summary["estimate"],
    }
    assert summary["settings"]["tolerance"] == 1e-4
    assert "schedule" not in summary["settings"]
    assert summary["relative_l2"] < 1e-4
    # two ends and the start, which the coefficients give
    assert len(summary["conditions"]) == 3
    assert max(summary["conditions"].values()) < 1e-3
    assert summary["steps"] == len(run.history.records) > 0


def test_a_run_is_read_again_as_it_was(run):
    again = kanpde.load(run.run_dir, HEAT)
    assert same(again, run)
    assert again.verdict == run.verdict
    x, t = np.linspace(0, 1, 7), 0.3
    assert np.array_equal(again(x=x, t=t), run(x=x, t=t))
    np.testing.assert_allclose(
        again(x=x, t=t), exact(torch.tensor(x), torch.tensor(t)).numpy(), rtol=0, atol=1e-4
    )
    estimates = again.history.column("estimate")
    assert estimates == pytest.approx(run.history.column("estimate"), nan_ok=True)
    assert again.drawing.title == run.drawing.title
    for ours, theirs in zip(again.drawing.spans, run.drawing.spans, strict=True):
        for a, b in zip(ours.breaks + ours.errors, theirs.breaks + theirs.errors, strict=True):
            assert np.array_equal(a, b)


def test_a_state_that_does_not_fit_the_problem_is_refused(run):
    other = Problem(Box(x=(0, 1)), lambda u, x: d(u, x, x) + 1, [Dirichlet(u=0)], name="other")
    with pytest.raises(RunError):
        kanpde.load(run.run_dir, other)


def test_an_interrupted_run_goes_on_with_the_same_bits(run, tmp_path):
    stopped = solved(tmp_path, observer=Pressed(3))
    assert stopped.history.interrupted
    assert stopped.verdict.status == "not judged"
    assert kanpde.load(tmp_path, HEAT).history.interrupted
    last = Pressed(-2)
    found = solved(tmp_path, resume=True, observer=last)
    assert min(last.steps) > 3
    assert not found.history.interrupted
    assert same(found, run)
    assert [r.loss for r in found.history.records] == [r.loss for r in run.history.records]
    assert found.history.stages == run.history.stages


def test_a_run_whose_time_is_up_misses_its_tolerance(tmp_path, monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr("kanpde.training.method.time.perf_counter", lambda: 60.0 * next(clock))
    found = solved(tmp_path, minutes=0.001)
    assert found.history.stages[-1][1] == "the time is up"
    assert found.verdict.status == "not converged"
    assert found.verdict.tolerance.met is False


def test_files_for_other_tools(run, tmp_path):
    files = export(run, ["csv", "vtk", "torchscript"], tmp_path)
    assert {path.name for path in files} >= {"solution.csv", "history.csv"}
    script = torch.jit.load(tmp_path / "solution.torchscript.pt")
    x, t = torch.rand(2, 50, dtype=torch.float64)
    torch.testing.assert_close(script(x, t)[0], exact(x, t), rtol=0, atol=1e-4)
    torch.testing.assert_close(
        script(x, t)[0], run.solution(torch.stack([x, t], 1))[:, 0], rtol=0, atol=1e-12
    )
    header = (tmp_path / "history.csv").read_text().partition("\n")[0]
    assert header.split(",")[-1] == "estimate"
    assert run.to_xarray()["u"].shape == run.fields.solution["u"].shape


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda run, out: export(run, ["onnx"], out), "onnx: got .* which no model holds"),
        (lambda run, out: kanpde.prune(run), "which has no edges; expected a network of layers"),
        (lambda run, out: draw_edge(run, out, (1, 1, 1)), "has no edge functions"),
    ],
)
def test_what_needs_layers_says_so_in_one_line(run, tmp_path, attempt, words):
    with pytest.raises(RunError, match=words) as refused:
        attempt(run, tmp_path)
    assert "--network kan" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_report_says_tolerance_and_estimate(run):
    page = report(run)
    assert "tolerance asked for" in page
    assert "the solution&#x27;s own estimate" in page or "the solution's own estimate" in page
    assert "--network tensor" in page
    assert "--tolerance 0.0001" in page
    assert "--width" not in page


def test_the_command_explains_and_prints_the_tolerance(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rod.py").write_text(SOURCE)
    quick = ["solve", "rod.py", "--tolerance", "1e-3", "--no-reference"]
    assert main([*quick, "--explain"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "tolerance 0.001" in shown
    assert "because a tensor product of splines, whose cells" in shown
    assert "within the tolerance 0.001" in shown
    assert "schedule" not in shown
    (folder,) = (tmp_path / "results" / "rod").iterdir()
    names = {path.name for path in folder.iterdir()}
    assert names >= {"solution.png", "history.png", "network.png", "summary.json"}
    assert main(["solve", "--resume", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"]["tolerance"]["asked"] == 1e-3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tolerance", "0"], "tolerance: got 0"),
        (["--tolerance", "2"], "tolerance: got 2"),
        (["--tolerance", "1e-17"], "float64 holds a solution to about 1e-14"),
        (["--tolerance", "small"], "--tolerance"),
        (["--network", "tensor", "--schedule", "lm:9"], "schedule: got lm:9"),
        (["--network", "tensor", "--dtype", "float32"], "tensor needs float64"),
    ],
)
def test_bad_tolerances_get_one_line(tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    assert main(["solve", "poisson2d", *options]) == 2
    told = capsys.readouterr().err.strip()
    assert words in told
    assert "\n" not in told
    assert not list(tmp_path.glob("results/*"))


def bent(**more):
    return Problem(
        Box(x=(0, 1)),
        lambda u, x: d(u, x, x) + math.pi**2 * torch.sin(math.pi * x),
        [Dirichlet(u=0)],
        name="bent",
        **more,
    )


BENT = bent()
LAYERS = Recipe(kanpde.KAN((3,), 5, 4), 60, "lm:60,extend:8,lm:60")


def test_layers_stop_where_the_exact_solution_says_that_the_tolerance_is_met():
    known = bent(exact={"u": lambda x: torch.sin(math.pi * x)})
    found = kanpde.solve(known, recipe=LAYERS, tolerance=1e-4, reference=False)
    assert len(found.history.records) < 120
    assert found.history.stages[-1][1].endswith("by the exact solution: the tolerance is met")
    assert found.errors["u"].error < 2e-4
    assert found.verdict.tolerance.met is (found.errors["u"].error <= 1e-4)


def test_layers_stop_where_a_reference_or_the_residual_says_so():
    judged = kanpde.solve(BENT, recipe=LAYERS, tolerance=1e-4)
    assert "by the reference" in judged.history.stages[-1][1]
    assert judged.verdict.tolerance.by == "reference"
    assert judged.verdict.converged
    alone = kanpde.solve(BENT, recipe=LAYERS, tolerance=1e-4, reference=False)
    assert "by the residual at points" in alone.history.stages[-1][1]
    assert (alone.verdict.status, alone.verdict.tolerance.by) == ("not judged", "residual")


def test_layers_that_do_not_get_there_have_not_converged():
    few = Recipe(kanpde.KAN((2,), 5, 3), 60, "lm:4")
    found = kanpde.solve(BENT, recipe=few, tolerance=1e-12, reference=False)
    assert found.verdict.status == "not converged"
    assert found.verdict.tolerance.met is False


def test_a_run_says_that_it_was_asked_for_less(tmp_path, monkeypatch):
    monkeypatch.setattr("kanpde.recipes.refined.WORK", {"record": 3e7})
    small = Tensor(degree=5, modes=5)
    options = {"network": small, "effort": "record", "reference": False, "pictures": False}
    found = kanpde.solve(HEAT, run_dir=tmp_path, **options)
    kept = found.verdict.tolerance
    assert (kept.asked, kept.met, kept.less) == (1e-12, False, 1e-6)
    assert kept.error < 1e-6
    assert found.verdict.converged
    assert "misses the tolerance 1e-12" in found.verdict.reason
    assert "and meets 1e-06 by its own estimate" in found.verdict.reason
    assert json.loads((tmp_path / "summary.json").read_text())["verdict"]["tolerance"]["less"]
    assert kanpde.load(tmp_path, HEAT).verdict == found.verdict
