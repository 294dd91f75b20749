"""The benchmark of whole problems: both sides of a ratio agree before it is taken, and the table
says what was measured. No times are asserted."""

import json

import pytest
import torch
from scipy.interpolate import BSpline

from benchmarks import peers, tables
from benchmarks import solve as bench
from benchmarks.commands import main
from benchmarks.rows import Quantity
from benchmarks.solve import Target
from kanpde import KAN, Box, Dirichlet, Problem, RecipeError, RunError, d, laplacian


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Provenance asks git; the benchmark's own work is made small."""
    monkeypatch.setitem(bench.TARGETS, "poisson2d", Target(1e-3, 1e-6, 500, 1e9))


def test_the_materialised_basis_is_that_of_scipy():
    x = torch.linspace(-1, 0.999, 41, dtype=torch.float64)
    knots = -1 + 0.4 * torch.arange(-3, 9, dtype=torch.float64)
    expected = torch.from_numpy(BSpline.design_matrix(x.numpy(), knots.numpy(), 3).toarray())
    torch.testing.assert_close(
        peers.materialised_basis(x[:, None], 5, 3)[:, 0], expected, rtol=0, atol=1e-14
    )


def test_no_speed_is_reported_of_a_side_that_is_wrong():
    problem = Problem(
        Box(x=(-1, 1), y=(-1, 1)),
        [lambda u, x, y: laplacian(u) + x * d(u, x) + u - y],
        [Dirichlet(u=0)],
    )
    at = bench.objective(problem, KAN((4,), 5, 5), 50)

    def residual(u, u_x, u_y, lap, x, y):
        return lap + x * u_x + u - y

    with pytest.raises(
        bench.BenchmarkError, match="differ by"
    ):  # the boundary's factor is on one side only
        bench.check_agreement(
            at.gradient(), bench.nested_gradient(at.network, at.terms[0].frame.points, residual)
        )


def test_timing_states_the_ratio_after_the_check():
    lines: list[str] = []
    ratio, ours, theirs = bench.loss_gradient(lines.append, points=200, repetitions=2)
    assert ratio.value == pytest.approx(theirs.value / ours.value)
    assert ratio.least
    assert (ratio.must, ratio.aim) == (8, 20)
    whole, *parts = bench.levenberg_marquardt(lines.append, repetitions=3)
    assert whole.more["parameters"] == 450
    assert whole.more["points"] == 1600
    assert len(parts) == 4
    assert all(row.value > 0 for row in parts)
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Quantity("a", 1, must=2, aim=1), "aim"),
        (Quantity("a", 1.5, must=2, aim=1), "must"),
        (Quantity("a", 3, must=2, aim=1), "missed"),
        (Quantity("a", 9, must=8, aim=20, least=True), "must"),
        (Quantity("a", 7, must=8, aim=20, least=True), "missed"),
        (Quantity("a", 1, must=2, aim=1, more={"allowed": False}), "missed"),
        (Quantity("a", float("nan"), must=2), "missed"),
        (Quantity("a", 1), ""),
        (Quantity("a", None, must=2), "unmeasured"),
    ],
)
def test_verdicts(row, verdict):
    assert row.verdict == verdict


@pytest.fixture
def small(monkeypatch):
    """Only two quick rows a part."""
    monkeypatch.setattr(
        bench,
        "levenberg_marquardt",
        lambda tell: [Quantity("step", 7.5, "ms", 20, 8, more={"minimum": 7.0})],
    )
    monkeypatch.setattr(
        bench,
        "loss_gradient",
        lambda tell: [Quantity("gradient", 9.0, "times faster", 8, 20, least=True)],
    )
    monkeypatch.setattr(bench, "commands", lambda tell: [Quantity("list", 0.2, "s", 1, 0.3)])
    more = {
        "network": "KAN 2-5-1",
        "parameters": 480,
        "seeds": [0],
        "relative_l2": [1e-9],
        "seconds": [5.0],
        "limits": {"parameters": 500, "seconds": 10},
        "allowed": True,
    }
    monkeypatch.setattr(
        bench,
        "accuracy",
        lambda names, seeds, tell: [
            Quantity("poisson2d", 1e-9, "relative L2", 3e-8, 1e-10, more=more)
        ],
    )


def test_the_page_holds_every_part_with_its_provenance(small, tmp_path, capsys):
    assert main(["solve", "--out", str(tmp_path), "--seeds", "0,2"]) == 0
    shown = capsys.readouterr().out
    assert "poisson2d" in shown
    assert "solve.md" in shown
    text = (tmp_path / "benchmarks" / "solve.md").read_text()
    assert "| step | 7.5 ms | 7 ms | ≤ 20 | ≤ 8 | aim |" in text
    assert "| gradient | 9 times faster |  | ≥ 8 | ≥ 20 | must |" in text
    assert (
        "| poisson2d | KAN 2-5-1 | 480 | 1.0e-09 | 1.0e-09 | 5.0 to 5.0 | 3e-08 with ≤ 500 in ≤ 10"
        " s | 1e-10 | must |" in text
    )
    rows = [line for line in text.splitlines() if not line.startswith(tables.MARK)]
    assert "\n".join(rows).count("commit") == text.count("<!-- /table -->") == 3
    found = json.loads((tmp_path / "benchmarks" / "solve.json").read_text())
    assert list(found) == list(bench.PARTS)
    assert found["accuracy"]["provenance"]["command"].endswith("--only accuracy --seeds 0,2")
    assert {"processor", "cores", "torch", "commit", "date", "load"} <= set(
        found["timing"]["provenance"]
    )


def test_a_part_measured_again_leaves_the_others(small, tmp_path):
    before = bench.run(tmp_path, print)
    (tmp_path / "benchmarks" / "solve.json").write_text(
        json.dumps(before | {"timing": {"provenance": before["timing"]["provenance"], "rows": []}})
    )
    after = bench.run(tmp_path, print, only="command")
    assert after["timing"]["rows"] == []
    assert after["accuracy"] == before["accuracy"]


def test_what_is_no_benchmark_is_not_overwritten(small, tmp_path):
    (tmp_path / "benchmarks").mkdir()
    path = tmp_path / "benchmarks" / "solve.json"
    path.write_text('{"timing": 3}')
    with pytest.raises(RunError, match="move it away"):
        bench.run(tmp_path, print)
    assert path.read_text() == '{"timing": 3}'
    with pytest.raises(RecipeError, match="only: got 'speed'"):
        bench.run(tmp_path, print, only="speed")


def test_accuracy_keeps_the_worst_seed_and_counts_limits(monkeypatch):
    solved = bench.solve
    monkeypatch.setattr(
        bench,
        "solve",
        lambda problem, recipe, **options: solved(
            problem, network=KAN((3,), 5, 4), schedule="lm:8", points=200, restarts=1, **options
        ),
    )
    (row,) = bench.accuracy(["poisson2d"], [0, 1], lambda line: None)
    assert row.value == max(row.more["relative_l2"])
    assert row.more["seeds"] == [0, 1]
    assert row.more["parameters"] == 3 * 3 * 9
    assert row.more["allowed"]


def test_a_command_is_measured_as_a_process():
    seconds, peak, printed = bench._process("--version")
    assert printed.startswith("kanpde ")
    assert seconds > 0
    assert 1e6 < peak < 200e6, "without torch, and not the memory of the process that asks"
    with pytest.raises(bench.BenchmarkError, match="did you mean 'poisson2d'"):
        bench._process("solve", "poison2d")
