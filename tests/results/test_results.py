"""Results: evaluation, errors, run folders and back."""

import json
import math
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from conftest import fitted, solved
from torch import sin

from kanpde import (
    Box,
    Dirichlet,
    Problem,
    ProblemError,
    ProblemWarning,
    RunError,
    laplacian,
    load,
    save,
)
from kanpde.cli.display import console, show_result
from kanpde.networks.kan import KAN
from kanpde.networks.trial_space import trial_space
from kanpde.problem import file as problems
from kanpde.results.fields import dense_grid, exact_on, measure, nodes_of, relative_l2
from kanpde.results.result import Result
from kanpde.runs.atomic import check_writable
from kanpde.training.history import History

FILES = {"summary.json", "run.h5", "checkpoint.pt", "solution.png", "history.png", "network.png"}


def test_a_number_gives_a_number(result):
    value = result(x=0.5, y=0.5)
    assert type(value) is float
    assert value == pytest.approx(1, abs=0.1)


def test_arrays_give_arrays_of_the_broadcast_shape(result):
    x, y = np.linspace(-1, 1, 4)[:, None], np.linspace(-1, 1, 3)
    values = result(x=x, y=y)
    assert isinstance(values, np.ndarray)
    assert values.shape == (4, 3)
    assert values[2, 1] == result(x=x[2, 0], y=y[1])
    assert result(x=np.array(0.5), y=0.5).shape == ()
    assert result(x=np.zeros(0), y=0).shape == (0,)


def test_tensors_give_tensors_of_their_dtype(result):
    values = result(x=torch.tensor([0.5, 0.25], dtype=torch.float32), y=0.5)
    assert isinstance(values, torch.Tensor)
    assert values.dtype == torch.float32
    assert values.shape == (2,)
    assert not values.requires_grad


def test_several_unknowns_give_a_dict():
    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[lambda u, v, x: laplacian(u) - v, lambda u, v, x: laplacian(v) - u],
        conditions=Dirichlet(u=0, v=1),
    )
    network = KAN((3,)).build(1, 2, torch.Generator().manual_seed(0))
    solution = trial_space(problem, corners=False).solution(network)
    found = Result(problem, solution, History(), {}, 0.0)(x=np.array([0.0, 1.0]))
    assert list(found) == ["u", "v"]
    np.testing.assert_allclose(found["v"], 1)
    np.testing.assert_allclose(found["u"], 0, atol=1e-15)


@pytest.mark.parametrize(
    ("coordinates", "message"),
    [
        ({"x": 0.5}, "'y' is missing"),
        ({"x": 0.5, "y": 0.5, "z": 0}, r"result\(z=…\): no such coordinate; they are x, y"),
        ({"x": 1.5, "y": 0.5}, r"result\(x=…\): 1.5 is outside x=\(-1, 1\)"),
        ({"x": math.nan, "y": 0.5}, "nan is outside"),
        ({"x": "a", "y": 0.5}, r"result\(x=…\): got str"),
        ({"x": np.zeros(2), "y": np.zeros(3)}, r"do not broadcast: x \[2\], y \[3\]"),
    ],
)
def test_wrong_coordinates_are_named(result, coordinates, message):
    with pytest.raises(ProblemError, match=message):
        result(**coordinates)


def test_rounding_beyond_an_end_is_forgiven(result):
    assert result(x=1 + 1e-12, y=0.5) == result(x=1.0, y=0.5)


def test_errors_are_those_of_the_definition(poisson):
    solution, _ = fitted(poisson, KAN((3,), 5, 4))
    relative, largest = measure(poisson, solution)
    grid = dense_grid(poisson.domain)
    difference = (
        solution(torch.from_numpy(nodes_of(grid)))[:, 0].numpy()
        - exact_on(poisson, grid)["u"].ravel()
    )
    assert largest == np.abs(difference).max()
    assert relative == pytest.approx(
        np.linalg.norm(difference) / np.linalg.norm(exact_on(poisson, grid)["u"]), rel=1e-14
    )


def test_no_exact_solution_no_error():
    problem = Problem(
        domain=Box(x=(0, 1)), equations=lambda u, x: laplacian(u) - u, conditions=Dirichlet(u=1)
    )
    space = trial_space(problem, KAN((2,)))
    solution = space.solution(space.initial(torch.Generator()))
    assert measure(problem, solution) == (None, None)


def test_a_zero_truth_gives_the_root_mean_square():
    assert relative_l2({"u": np.full(4, 0.5)}, {"u": np.zeros(4)}) == 0.5


def test_an_exact_solution_that_is_not_finite_is_named():
    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=lambda u, x: laplacian(u) - u,
        conditions=Dirichlet(u=1),
        exact={"u": lambda x: sin(x) / x},
    )
    with pytest.raises(ProblemError, match=r"exact\['u'\]: is nan at x=0"):
        exact_on(problem, dense_grid(problem.domain))


def test_summary_is_json_and_has_what_json_promises(result):
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert {
        "problem",
        "network",
        "parameters",
        "relative_l2",
        "max_error",
        "seconds",
        "reference",
        "run_dir",
        "seed",
        "loss",
        "steps",
        "stages",
    } <= set(summary)
    assert {"kind", "relative_l2", "estimated_error"} <= set(summary["reference"])
    assert summary["problem"] == "poisson2d"
    assert summary["reference"]["exact_error"] == pytest.approx(1e-6, rel=1e-3)
    assert {"date", "torch", "processor", "threads"} <= set(summary["provenance"])


def test_numbers_that_are_not_finite_become_null(result):
    summary = replace(result, relative_l2=math.inf, max_error=np.float64("nan")).summary()
    assert summary["relative_l2"] is None
    assert summary["max_error"] is None


def test_a_saved_run_loads_as_the_same_object(result, saved):
    assert saved.parent.name == "poisson2d"
    assert {path.name for path in saved.iterdir()} == FILES
    again = load(saved)
    assert (
        again.summary()
        == replace(result, run_dir=saved).summary()
        == json.loads((saved / "summary.json").read_text())
    )
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 50))
    np.testing.assert_array_equal(again(x=x, y=y), result(x=x, y=y))
    np.testing.assert_array_equal(again.history.column("loss"), result.history.column("loss"))
    np.testing.assert_array_equal(again.history.column("fresh"), result.history.column("fresh"))
    assert again.history.stages == result.history.stages
    np.testing.assert_array_equal(again.reference.values["u"], result.reference.values["u"])
    for (inputs, outputs), (inputs_again, outputs_again) in zip(
        result.drawing.edges, again.drawing.edges, strict=True
    ):
        np.testing.assert_array_equal(inputs, inputs_again)
        np.testing.assert_array_equal(outputs, outputs_again)
    assert again.drawing.inputs == ("x", "y")


def test_runs_never_overwrite_each_other(result, tmp_path):
    first, second = save(replace(result), tmp_path), save(replace(result), tmp_path)
    assert first != second
    assert load(second).run_dir == second


def test_a_run_without_reference_and_history_saves_and_loads(poisson, tmp_path):
    bare = replace(solved(poisson, reference=False), history=History(interrupted=True))
    again = load(save(bare, tmp_path))
    assert again.reference is None
    assert again.reference_note == "not asked for"
    assert again.history.interrupted
    assert again.summary() == bare.summary()


def test_checkpoint_is_plain_tensors(saved):
    checkpoint = torch.load(saved / "checkpoint.pt", weights_only=True)
    assert checkpoint["problem"] == "poisson2d"


def test_every_array_has_named_scales_of_its_own_lengths(saved):
    with h5py.File(saved / "run.h5") as file:
        assert {"u", "u_reference", "u_exact", "u_error", "x", "y", "history", "network"} == set(
            file
        )
        assert {"loss", "fresh", "error", "seconds", "step", "stage", "parameters"} == set(
            file["history"]
        )
        assert {"date", "torch", "processor", "format"} <= set(file.attrs)
        np.testing.assert_array_equal(file["u_error"][:], file["u"][:] - file["u_exact"][:])
        assert [axis[0].name for axis in file["u"].dims] == ["/x", "/y"]
        arrays = []
        file.visititems(
            lambda _, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None
        )
        assert len(arrays) > 15
        for array in arrays:
            if not array.is_scale:
                assert [len(axis) for axis in array.dims] == [1] * array.ndim, array.name
                assert tuple(len(axis[0]) for axis in array.dims) == array.shape


@pytest.mark.parametrize("name", ["summary.json", "run.h5", "checkpoint.pt"])
@pytest.mark.parametrize("damage", ["missing", "torn", "empty", "foreign"])
def test_damaged_runs_are_refused(run, name, damage):
    path = run / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {"torn": content[: len(content) // 2], "empty": b"", "foreign": b'{"a": 1}'}[damage]
        )
    with pytest.raises(RunError, match=name.replace(".", r"\.")):
        load(run)


def test_a_pickled_object_is_not_executed(run):
    torch.save({"ansatz": print}, run / "checkpoint.pt")
    with pytest.raises(RunError, match=r"checkpoint\.pt"):
        load(run)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="no such run folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(RunError, match="not a run folder"):
        load(tmp_path)


MINE = '''"""A problem of my own."""
from kanpde import Box, Dirichlet, Problem, laplacian
from torch import exp

problem = Problem(
    domain=Box(x=(0, 1)),
    equations=[lambda u, x: laplacian(u) - u],
    conditions=[Dirichlet(u=exp_)],
    exact={"u": exp_},
)
'''.replace("exp_", "lambda x: exp(x)")


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def test_a_problem_file_is_found_again_where_it_was_and_a_change_noticed(mine, tmp_path):
    found = solved(problems.load(str(mine))[0])
    folder = save(found, tmp_path / "out")
    assert load(folder)(x=0.3) == found(x=0.3)
    mine.write_text(MINE + "# changed\n")
    with pytest.warns(ProblemWarning, match=r"mine\.py: has changed"):
        load(folder)


def test_without_its_problem_a_run_still_loads(mine, tmp_path):
    problem = problems.load(str(mine))[0]
    found = solved(problem)
    folder = save(found, tmp_path / "out")
    mine.unlink()
    shutil.move(folder, tmp_path / "moved")
    again = load(tmp_path / "moved")
    np.testing.assert_array_equal(again.fields.solution["u"], found.fields.solution["u"])
    assert again.summary()["relative_l2"] == found.relative_l2
    with pytest.raises(ProblemError, match=r"pass it: kanpde\.load\(.*problem=…"):
        again(x=0.3)
    assert load(tmp_path / "moved", problem=problem)(x=0.3) == found(x=0.3)


def test_another_problem_is_refused(saved):
    other = Problem(
        domain=Box(x=(0, 1)), equations=lambda u, x: laplacian(u) - u, conditions=Dirichlet(u=1)
    )
    with pytest.raises(RunError, match="the problem given has"):
        load(saved, problem=other)


def test_a_folder_below_a_file_is_not_writable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="not writable"):
        check_writable(tmp_path / "file" / "out")


def test_fields_of_a_problem_in_time_have_time_last():
    problem = problems.load("heat1d")[0]
    found = solved(problem, KAN((3,), 3, 4))
    assert list(found.fields.grid) == ["x", "t"]
    assert found.fields.exact["u"].shape == (17, 17)
    assert found.settings["time"] == "t"


def test_the_verdict_is_shown_kept_and_loaded(result, saved, capsys):
    show_result(console(False), result)
    words = f"verdict   not converged, says the exact solution: {result.verdict.reason}"
    assert words in capsys.readouterr().out
    kept = json.loads((saved / "summary.json").read_text())["verdict"]
    assert kept == {
        "status": "not converged",
        "judge": "exact solution",
        "reason": f"{100 * result.relative_l2:.2g} % from the exact solution",
        "cures": list(result.verdict.cures),
    }
    assert load(saved).verdict == result.verdict
    with h5py.File(saved / "run.h5") as file:
        assert file.attrs["verdict"] == str(result.verdict)


def test_a_verdict_that_is_none_is_damage(run):
    summary = json.loads((run / "summary.json").read_text())
    for damage in ({"status": "superb"}, {"judge": "me"}, {"reason": 1}, {"cures": [1]}):
        changed = {**summary, "verdict": {**summary["verdict"], **damage}}
        (run / "summary.json").write_text(json.dumps(changed))
        with pytest.raises(RunError, match=r"summary\.json: cannot be read"):
            load(run)
