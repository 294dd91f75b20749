"""Compressing a run: a new run beside the first, which stays as it was, drawn, judged and explained
as any other; and what a user can get wrong, a line each."""

import json

import pytest

import kanpde
from kanpde import Box, RecipeError, Tensor, Time, compress, solve
from kanpde.cli import main
from kanpde.errors import RunError
from kanpde.interpret import explain
from kanpde.networks.kinds.separable import Separable
from kanpde.problem import file as problems


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """poisson2d by products of splines."""
    problem, _ = problems.load("poisson2d", {})
    out = tmp_path_factory.mktemp("runs")
    return solve(problem, network=Tensor(), reference=False, out=out, pictures=False).run_dir


def test_a_run_is_compressed_beside_the_first(folder, capsys):
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["compress", str(folder), "--loss", "1e-6", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    before, after = kanpde.load(folder), kanpde.load(summary["run_dir"])
    assert after.run_dir.parent == folder.parent.resolve()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
    assert isinstance(after.solution.network.spec, Separable)
    done = summary["settings"]["compressed"]
    assert done["from"] == str(folder)
    assert done["parameters"] == [before.solution.parameters, after.solution.parameters]
    assert after.solution.parameters < 30
    assert (done["asked"], done["ranks"]) == (1e-6, {"u": 1})
    assert 1e-9 < done["lost"]["u"] <= 1e-6
    # the products are right to 1e-11, so that what was lost is nearly the true error
    assert summary["relative_l2"] == pytest.approx(done["lost"]["u"], rel=0.1)
    assert before.relative_l2 < 1e-3 * summary["relative_l2"]
    assert summary["loss"] is None
    assert (after.run_dir / "network.png").stat().st_size > 10_000
    assert str(explain(after, seconds=60).formulas["u"]) == "sin(pi*x)*sin(pi*y)"


def test_a_stage_compresses_at_the_end_of_a_run(tmp_path):
    problem, _ = problems.load("poisson2d", {})
    asked = {"network": Tensor(), "schedule": "compress:3e-7", "tolerance": 1e-6}
    result = solve(problem, **asked, out=tmp_path, reference=False, pictures=False)
    assert isinstance(result.solution.network.spec, Separable)
    assert result.solution.parameters < 30
    assert 1e-9 < result.relative_l2 < 3e-7, "what was lost is nearly the true error"
    assert result.verdict.tolerance.met
    assert result.history.stages[-1][0] == "compress:3e-07"
    again = kanpde.load(result.run_dir)
    assert again.relative_l2 == result.relative_l2
    assert again.settings["schedule"] == "compress:3e-07"
    assert again.settings["tolerance"] == 1e-6


def test_the_table_shows_both_errors(folder, capsys):
    assert main(["compress", str(folder), "--loss", "1e-4"]) == 0
    printed = capsys.readouterr().out
    assert "relative L2 against the exact solution" in printed
    assert "the solution changed by" in printed
    assert "(asked: 0.0001)" in printed
    assert "Separable KAN 2-1-1" in printed


def test_what_cannot_be_compressed_is_one_line(folder):
    before = kanpde.load(folder)
    with pytest.raises(RecipeError, match=r"^loss: got 2; expected a number between 0 and 1"):
        compress(before, 2)
    with pytest.raises(RecipeError, match="fewer than 529 parameters was found within 1e-15"):
        compress(before, 1e-15)
    after = compress(before, 1e-2)
    assert after.run_dir is None
    with pytest.raises(RunError, match=r"^compress: got Separable KAN .* products of splines"):
        compress(after)
    before.problem = None
    with pytest.raises(RunError, match="was not found again"):
        compress(before)


def test_a_march_that_ended_early_is_not_compressed(folder):
    before = kanpde.load(folder)
    before.solution.marched, before.solution.domain = True, Box(x=(-1, 1)) * Time(t=(-1, 2))
    with pytest.raises(RunError, match="that end at t=1, before their time does"):
        compress(before)
