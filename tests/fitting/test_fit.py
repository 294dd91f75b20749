"""Fits: numbers and classes from tables, from Python and from the command line; what is kept loads
again."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import kanpde
from kanpde import KAN, DataError, RecipeError, RunError
from kanpde.cli import main
from kanpde.fitting import default, prepare
from kanpde.geometry import Ranges
from kanpde.networks.trial_space import tabular_space
from kanpde.problem.table_files import read
from kanpde.training import DataRows, measured
from kanpde.training.objective import Objective

FILES = {
    "summary.json",
    "fit.h5",
    "checkpoint.pt",
    "prediction.png",
    "history.png",
    "network.png",
    "function.png",
}


def table(rows=240, seed=0):
    x, y = np.random.default_rng(seed).uniform(-1, 2, (2, rows))
    return {
        "x": x,
        "y": y,
        "z": 3 + np.sin(x) * y,
        "w": x - y,
        "side": np.where(x + y**2 > 1, "out", "in"),
        "third": np.array(["p", "q", "r"])[(x > 0).astype(int) + (y > 0)],
    }


def objective(loss, rows=30):
    torch.manual_seed(1)
    network = KAN((3,), 3, 4).build(2, 2, torch.Generator().manual_seed(0))
    points = 2 * torch.rand(rows, 2, dtype=torch.float64) - 1
    values = torch.randn(rows, 2, dtype=torch.float64)
    if loss == "logistic":
        values = values.sign()
    solution = tabular_space(Ranges({"x": (-1.0, 1.0), "y": (-1.0, 1.0)}), ("a", "b")).solution(
        network
    )
    return (
        solution,
        points,
        values,
        Objective(network, [measured(solution, DataRows(points, values), loss)]),
    )


def test_the_squared_term_is_the_mean_squared_difference():
    solution, points, values, found = objective("squared")
    expected = float((solution(points) - values).square().sum(1).mean())
    assert found.loss() == pytest.approx(expected, rel=1e-12)


def test_noise_weighs_the_rows():
    solution, points, values, _ = objective("squared")
    noise = 0.5 + torch.rand(30, 2, dtype=torch.float64)
    found = Objective(solution.network, [measured(solution, DataRows(points, values, noise))])
    assert found.loss() == pytest.approx(
        float(((solution(points) - values) / noise).square().sum(1).mean()), rel=1e-12
    )


def test_the_logistic_term_is_the_deviance():
    from kanpde.training.samples import PULL

    solution, points, values, found = objective("logistic")
    margin = solution(points) * values
    expected = float((2 * torch.log1p(torch.exp(-margin)) + PULL * margin**2).sum(1).mean())
    assert found.loss() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_jacobian_and_gradient_are_those_of_the_rows(loss):
    _, _, _, found = objective(loss)
    r, J = found.jacobian()
    value, gradient = found.gradient()
    torch.testing.assert_close(2 * J.transposed_times(r), gradient, rtol=1e-10, atol=1e-12)
    start, step = found.network.theta.clone(), torch.randn_like(found.network.theta) * 1e-6
    found.network.theta = start + step
    up = found.residuals()
    found.network.theta = start - step
    torch.testing.assert_close((up - found.residuals()) / 2, J @ step, rtol=1e-4, atol=1e-10)
    assert value > 0


def test_numbers_are_learned():
    found = kanpde.fit({key: table(600)[key] for key in "xyz"}, "z", restarts=1)
    assert found.scores["test"]["rmse"] < 1e-3
    assert found.scores["test"]["r2"] > 0.99999
    assert found(x=0.5, y=1.0) == pytest.approx(3 + np.sin(0.5), abs=1e-3)
    assert found(x=np.zeros((2, 1)), y=np.zeros(3)).shape == (2, 3)


def test_several_targets_and_a_choice_of_inputs():
    found = kanpde.fit(
        table(), ["z", "w"], inputs=["x", "y"], test=0, network=KAN((4,), 3, 3), schedule="lm:30"
    )
    values = found(x=0.5, y=1.0)
    assert values["w"] == pytest.approx(-0.5, abs=0.02)
    assert values["z"] == pytest.approx(3 + np.sin(0.5), abs=0.02)
    assert "test" not in found.scores


@pytest.mark.parametrize(("target", "least"), [("side", 0.95), ("third", 0.9)])
def test_classes_are_learned(target, least):
    found = kanpde.fit(
        table(),
        target,
        inputs=["x", "y"],
        test=table(500, seed=1),
        network=KAN((3,), 3, 3),
        schedule="lm:20",
        restarts=1,
        bounds={"x": (-1, 2), "y": (-1, 2)},
    )
    assert found.scores["test"]["accuracy"] > least
    assert found(x=1.5, y=1.5) == {"side": "out", "third": "r"}[target]
    rows = found.probabilities(found.task.points)
    np.testing.assert_allclose(rows.sum(1), 1)
    assert set(found.predict(table(5, seed=2))) <= set(found.task.classes)


def test_one_input_is_a_spline_and_noise_does_not_make_it_finer():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 600)
    clean = kanpde.fit({"x": x, "z": np.exp(3 * x)}, "z")
    noisy = kanpde.fit({"x": x, "z": np.exp(3 * x) + rng.normal(size=600)}, "z")
    assert clean.solution.network.widths == noisy.solution.network.widths == (1, 1)
    assert clean.scores["test"]["rmse"] < 1e-7
    assert noisy.solution.parameters < 25 < clean.solution.parameters
    at = np.linspace(0.05, 0.95, 50)
    assert np.sqrt(np.mean((noisy(x=at) - np.exp(3 * at)) ** 2)) < 0.3


def test_the_best_state_on_rows_held_back_is_kept():
    rng = np.random.default_rng(0)
    data = {"x": rng.uniform(0, 1, 60), "y": rng.uniform(0, 1, 60), "z": rng.normal(size=60)}
    options = {"network": KAN((4,), 3, 4), "schedule": "lm:40", "restarts": 1, "test": 0}
    found = kanpde.fit(data, "z", held=0.3, **options)
    assert found.history.column("fresh")[-1] > 1.5 * min(found.history.column("fresh"))
    kept = found.scores["held"]["rmse"] / found.task.scale[0]
    assert kept**2 == pytest.approx(min(found.history.column("fresh")), rel=1e-9)


def test_seventeen_inputs():
    X = np.random.default_rng(0).uniform(-1, 1, (300, 17))
    data = {**{f"x{i}": X[:, i] for i in range(17)}, "z": X[:, 3] + X[:, 5] ** 2}
    found = kanpde.fit(data, "z", network=KAN((1,), 3, 3), schedule="lm:15", restarts=1)
    assert found.scores["test"]["r2"] > 0.99


def test_recipe_leaves_more_rows_than_parameters():
    for rows, inputs, classes in (
        (20, 2, False),
        (300, 2, False),
        (5000, 17, True),
        (40, 1, False),
    ):
        recipe = default(rows, inputs, 1, classes).recipe
        finest = max(
            [
                recipe.network.grid,
                *(stage.grid for stage in recipe.stages if hasattr(stage, "grid")),
            ]
        )
        parameters = KAN(recipe.network.width, recipe.network.degree, finest).count(inputs, 1)
        assert parameters <= rows / (12 if classes else 4) or (
            recipe.network.grid == 1 and recipe.network.degree == 3
        )


def test_a_large_table_is_not_given_a_jacobian():
    assert {stage.name for stage in default(5000, 17, 14, True).recipe.stages} <= {"lm", "extend"}
    assert {stage.name for stage in default(240_000, 17, 14, True).recipe.stages} <= {
        "lbfgs",
        "extend",
    }


def test_rows_are_drawn_by_seed_and_by_class():
    data = read({"x": np.arange(100.0), "c": ["rare"] * 10 + ["often"] * 90})
    first, second, other = (prepare(data, ["c"], seed=seed) for seed in (0, 0, 1))
    assert (first.part == second.part).all()
    assert (first.part != other.part).any()
    assert [int((first.part[:10] == code).sum()) for code in range(3)] == [7, 1, 2]


def test_a_run_loads_again(tmp_path):
    found = kanpde.fit(
        table(),
        "side",
        inputs=["x", "y"],
        schedule="lm:5",
        restarts=1,
        network=KAN((2,), 3, 3),
        out=tmp_path,
    )
    assert {path.name for path in found.run_dir.iterdir()} == FILES
    again = kanpde.load_fit(found.run_dir)
    assert again.summary() == found.summary()
    np.testing.assert_array_equal(
        again.probabilities(found.task.points), found.probabilities(found.task.points)
    )
    with pytest.raises(RunError, match="is a fit of data"):
        kanpde.load(found.run_dir)
    text = (found.run_dir / "summary.json").read_text()
    (found.run_dir / "summary.json").write_text(
        json.dumps({**json.loads(text), "classes": [[1, 2], [3]]})
    )
    with pytest.raises(RunError, match="inputs, targets and classes are not all names"):
        kanpde.load_fit(found.run_dir)
    (found.run_dir / "summary.json").write_text(text)
    (found.run_dir / "checkpoint.pt").unlink()
    with pytest.raises(RunError, match=r"checkpoint\.pt is missing"):
        kanpde.load_fit(found.run_dir)
    with pytest.raises(RunError, match=r"no summary.json"):
        kanpde.load_fit(tmp_path)


REFUSED = {
    r"input 'x' is 1 in all rows": ({"x": [1, 1, 1], "z": [1, 2, 3]}, {"target": "z"}),
    r"input 'x' is 1 in all rows but for 2e-15, its rounding": (
        {"x": [1, 1 + 1e-15, 1 + 2e-15], "z": [1, 2, 3]},
        {"target": "z"},
    ),
    r"target 'z' has the same value in all rows": (
        {"x": [1, 2, 3], "z": [1, 1, 1]},
        {"target": "z"},
    ),
    r"no column is left as an input": ({"z": [1, 2, 3]}, {"target": "z"}),
    r"input 'z': is the target": (
        {"x": [1, 2, 3], "z": [1, 2, 3]},
        {"target": "z", "inputs": ["z"]},
    ),
    r"no column 'zz'; it has x, z; did you mean 'z'": (
        {"x": [1, 2, 3], "z": [1, 2, 3]},
        {"target": "zz"},
    ),
    r"test: got 1.5; expected a share": (
        {"x": [1, 2, 3], "z": [1, 2, 3]},
        {"target": "z", "test": 1.5},
    ),
    r"1 rows are left to train on": ({"x": [1, 2], "z": [1, 2]}, {"target": "z", "test": 0.5}),
    r"has 3 classes in 3 rows": ({"x": [1, 2, 3], "z": ["a", "b", "c"]}, {"target": "z"}),
    r"labels of one class only, 'a'": ({"x": [1, 2, 3], "z": ["a", "a", "a"]}, {"target": "z"}),
    r"row 2, column 'x': got 'b'; expected a number": (
        {"x": ["1", "b", "3"], "z": [1, 2, 3]},
        {"target": "z"},
    ),
    r"row 3, column 'x': 3 is outside the bounds \(0, 2\)": (
        {"x": [1, 2, 3], "z": [1, 2, 3]},
        {"target": "z", "bounds": {"x": (0, 2)}},
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_data_that_cannot_be_learned_is_refused(message):
    data, options = REFUSED[message]
    with pytest.raises(DataError, match=message):
        kanpde.fit(data, **options)


def test_calls_are_checked():
    found = kanpde.fit(
        {"x": np.linspace(0, 1, 20), "z": np.linspace(0, 1, 20)}, "z", schedule="lm:2"
    )
    for options, message in (
        ({"X": 1}, "no such input; they are x; did you mean 'x'"),
        ({}, "'x' is missing"),
        ({"x": 2.0}, "2 is outside x=\\(0, 1\\)"),
        ({"x": "a"}, "expected numbers"),
    ):
        with pytest.raises(DataError, match=message):
            found(**options)
    with pytest.raises(RecipeError, match="device: got 'tpu'"):
        kanpde.fit({"x": [0, 1, 2], "z": [0, 1, 3]}, "z", device="tpu")


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = table(120)
    lines = [
        ",".join(columns),
        *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True)),
    ]
    Path("some.csv").write_text("\n".join(lines))
    return "some.csv"


def test_command_prints_scores_and_writes_a_folder(file, capsys):
    assert (
        main(
            [
                "fit",
                file,
                "--target",
                "z",
                "--inputs",
                "x,y",
                "--width",
                "2",
                "--degree",
                "3",
                "--grid",
                "2,4",
                "--schedule",
                "lm:3",
            ]
        )
        == 2
    )
    assert "--grid 2,4 extends the grid by itself" in capsys.readouterr().err
    assert (
        main(
            [
                "fit",
                file,
                "--target",
                "z",
                "--inputs",
                "x,y",
                "--width",
                "2",
                "--degree",
                "3",
                "--grid",
                "2",
                "--schedule",
                "lm:3,extend:4,lm:3",
                "--explain",
            ]
        )
        == 0
    )
    shown = capsys.readouterr().out
    assert "RMSE" in shown
    assert "because" in shown
    (folder,) = Path("results/some").iterdir()
    assert {path.name for path in folder.iterdir()} == FILES
    assert kanpde.load_fit(folder).solution.network.spec.grid == 4
    (folder / "network.png").unlink()
    assert main(["plot", str(folder)]) == 0
    assert (folder / "network.png").is_file()


def test_command_as_json(file, capsys):
    assert (
        main(
            [
                "fit",
                file,
                "--target",
                "third",
                "--inputs",
                "x,y",
                "--schedule",
                "lm:3",
                "--restarts",
                "1",
                "--json",
                "--test",
                file,
            ]
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["classes"] == ["p", "q", "r"]
    assert found["rows"] == {"training": 107, "held": 13, "test": 120}  # a tenth of each class
    assert 0 < found["test"]["accuracy"] <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv", "--target", "z"], "nowhere.csv: no such file"),
        (["some.csv", "--target", "q"], "no column 'q'"),
        (["some.csv", "--target", "z"], "row 1, column 'side': got 'in'; expected a number"),
        (
            ["some.csv", "--target", "z", "--test", "most"],
            "--test: got 'most'; expected a share of the rows",
        ),
        (["some.csv", "--target", "z", "--network", "kam"], "--network: got 'kam'"),
        (["some.csv", "--target", " , "], "--target: got ' , '"),
    ],
)
def test_command_refuses_in_one_line(arguments, message, file, capsys):
    assert main(["fit", *arguments]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
