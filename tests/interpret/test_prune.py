"""Pruning a run: a new run beside the first, which stays as it was; and what a user can get wrong,
a line each."""

import json

import pytest

import kanpde
from kanpde import KAN, RecipeError, prune, solve
from kanpde.cli import main
from kanpde.errors import RunError
from kanpde.networks.mlp import MLP
from kanpde.problem import file as problems
from kanpde.training import pruning


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """poisson2d, solved in a second to 3e-4."""
    problem, _ = problems.load("poisson2d", {})
    out = tmp_path_factory.mktemp("runs")
    return solve(
        problem,
        network=KAN((3,), 5, 4),
        schedule="lm/layer:30",
        points=200,
        reference=False,
        out=out,
    ).run_dir


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_run_is_pruned_beside_the_first(folder, capsys, monkeypatch):
    monkeypatch.setattr(pruning, "TRIED_IN_VAIN", 2)
    monkeypatch.setattr(pruning, "HALVED", 6)
    kept = contents(folder)
    assert main(["prune", str(folder), "--loss", "1e-3", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    before, after = kanpde.load(folder), kanpde.load(summary["run_dir"])
    assert after.run_dir.parent == folder.parent.resolve()
    assert contents(folder) == kept
    done = summary["settings"]["pruned"]
    assert done["from"] == str(folder)
    assert done["edges"] == [9, sum(int(m.sum()) for m in after.solution.network.mask) or 6]
    assert after.solution.network.widths == (2, 2, 1)
    assert done["change"] < 1e-3
    assert abs(after.relative_l2 - before.relative_l2) < 2e-3
    assert (after.run_dir / "pruned.png").stat().st_size > 10_000
    assert summary["settings"]["schedule"] == "sparsify:60,prune:0.001"
    monkeypatch.setattr(pruning, "TRIED_IN_VAIN", 1)
    monkeypatch.setattr(pruning, "HALVED", 2)
    again = prune(after, 1e-9, sparsify=0)
    assert again.settings["pruned"]["edges"] == [6, 6]
    assert again.settings["pruned"]["change"] == 0


def test_the_table_shows_both(folder, capsys, monkeypatch):
    """Few trials, given up early: they are counted in the first test."""
    monkeypatch.setattr(pruning, "TRIED_IN_VAIN", 1)
    monkeypatch.setattr(pruning, "HALVED", 2)
    assert main(["prune", str(folder), "--loss", "1e-2", "--sparsify", "0"]) == 0
    printed = capsys.readouterr().out
    assert "before" in printed
    assert "relative L2 against the exact solution" in printed
    assert "the solution changed by" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--loss", "2"],
            (
                "prune: got a loss of 2; expected a relative change of the solution between 0 and"
                " 1, such as 1e-6"
            ),
        ),
        (["--loss", "many"], "--loss: got 'many'; expected a number, 0 or more"),
        (["--loss", "0"], "prune: got a loss of 0;"),
        (["--sparsify", "nan"], "--sparsify: got 'nan'; expected a number, 0 or more"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_the_run_as_it_was(
    folder, capsys, options, message
):
    kept, runs = contents(folder), sorted(folder.parent.iterdir())
    assert main(["prune", str(folder), *options]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {message}")
    assert printed.err.count("\n") == 1
    assert contents(folder) == kept
    assert sorted(folder.parent.iterdir()) == runs


def test_a_loss_that_leaves_nothing_is_refused(tmp_path, capsys):
    (tmp_path / "nearly.py").write_text(
        "from kanpde import Box, Problem\n\n\ndef nearly(u, x, y):\n    return u - 2 - 0.1 * x *"
        " y\n\n\nproblem = Problem(Box(x=(-1, 1), y=(-1, 1)), nearly, [])\n"
    )
    problem, _ = problems.load(str(tmp_path / "nearly.py"), {})
    run = solve(
        problem,
        network=KAN((2,), 3, 3),
        schedule="lm:10",
        points=100,
        reference=False,
        out=tmp_path,
    ).run_dir
    kept = contents(run)
    capsys.readouterr()
    assert main(["prune", str(run), "--loss", "0.5"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        "error: prune: with a loss of 0.5 nothing but a constant would be left of KAN 2-2-1, degree"
        " 3, grid 3; expected a loss below 1"
    )
    assert error.count("\n") == 1
    assert contents(run) == kept


def test_networks_without_edges_spans_and_lost_problems_are_refused(poisson, capsys):
    mlp = solve(poisson, network=MLP((4,)), schedule="lm:2", points=100, reference=False)
    with pytest.raises(
        RecipeError,
        match="prune: got MLP 2-4-1, tanh; expected a network with edge functions, such as kan",
    ):
        prune(mlp)
    mlp.problem = None
    with pytest.raises(RunError, match="was not found again"):
        prune(mlp)
    heat, _ = problems.load("heat1d", {})
    spans = solve(
        heat,
        network=KAN((2,), 5, 3),
        schedule="lm:1",
        points=60,
        slabs=2,
        restarts=1,
        reference=False,
    )
    with pytest.raises(
        RunError,
        match=(
            r"prune: got 2 spans of KAN 2-2-1.*; expected one network, that is a run with --slabs 1"
        ),
    ):
        prune(spans)
    assert main(["prune", "nowhere"]) == 2
    assert capsys.readouterr().err == "error: nowhere: no such run folder\n"
