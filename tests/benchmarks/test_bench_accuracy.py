"""The accuracy benchmark: what judges a solution, when a target counts as met, and that rows are
kept whatever comes later."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import accuracy as bench
from benchmarks import comparison
from benchmarks.accuracy import Accuracy, Campaign, Truth, interpolated, judge, truth_of
from benchmarks.commands import main
from benchmarks.figure import plot_accuracy
from benchmarks.published import CHOSEN, CLAIMS
from kanpde import KAN, ProblemError, RunError
from kanpde.errors import ReferenceUnavailable
from kanpde.problem.file import load
from kanpde.problem.gallery import gallery


def known(problem, function):
    """A function of points as a candidate solution."""
    function.domain = problem.domain
    return function


def test_targets_are_of_the_gallery_and_ordered():
    assert set(CHOSEN) <= set(CLAIMS) <= set(gallery())
    for name, claim in CLAIMS.items():
        assert set(claim.unknowns) <= set(load(name)[0].unknowns)
        assert claim.must is None or claim.aim < claim.must
        for each in (claim.mlp, claim.kan):
            assert list(each) == sorted(each, key=lambda published: published.error)


def row(**given):
    measured = Accuracy(
        "burgers1d",
        "cpu",
        "record",
        "KAN 2-6-1",
        1000,
        [0, 1, 2],
        [1e-7, 3e-7, 2e-7],
        [100.0, 90.0, 80.0],
        "the exact solution",
    )
    about = {
        "cores": 2,
        "command": "python -m benchmarks accuracy",
        "date": "today",
        "commit": "abc",
        "processor": "a CPU",
        "threads": 2,
        "platform": "Linux",
        "load": None,
    }
    return {**vars(measured), "provenance": about, **given}


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({}, "must"),
        ({"relative_l2": [1e-9, 4e-9]}, "aim"),
        ({"relative_l2": [1e-9, 6e-6]}, "missed"),
        ({"parameters": 1501}, "missed"),
        ({"seconds": [10.0, 601.0]}, "missed"),
        ({"truth_error": 4e-6}, "must"),
        ({"truth_error": 6e-6}, "missed"),
        ({"relative_l2": [1e-9], "truth_error": 1e-8}, "must"),
        ({"relative_l2": [], "seconds": [], "reason": "no reference"}, "unmeasured"),
        ({"problem": "heat1d"}, ""),
        ({"problem": "kuramoto_sivashinsky1d", "relative_l2": [0.3]}, ""),
        ({"problem": "kuramoto_sivashinsky1d", "relative_l2": [3e-5]}, "aim"),
    ],
)
def test_a_target_is_met_by_the_worst_seed_and_what_judges_it(given, verdict):
    assert comparison.verdict(row(**given)) == verdict


@pytest.mark.parametrize(
    ("given", "note"),
    [
        ({}, ""),
        ({"truth_error": 4e-8}, "reference-limited"),
        ({"truth_error": 2e-8}, ""),
        (
            {"interpolated": 3e-16},
            "the interpolated boundary data alone are the solution (to 3e-16)",
        ),
        ({"interpolated": 0.3}, ""),
        ({"until": 0.42, "relative_l2": [0.2]}, "within 1 % up to t = 0.42"),
        ({"until": 1.0}, ""),
        ({"effort": "quick", "truth_error": 1.0}, "reference-limited; effort quick"),
        (
            {"relative_l2": [], "seconds": [], "reason": "the reference fails"},
            "not measured: the reference fails",
        ),
    ],
)
def test_notes_say_what_limits_a_number(given, note):
    assert comparison.notes(row(**given)) == note


def test_the_page_shows_medians_targets_and_sources():
    rows = [
        row(),
        row(
            problem="burgers1d_smooth",
            device="cuda",
            truth_error=1e-6,
            provenance={**row()["provenance"], "gpu": "NVIDIA H100"},
        ),
        row(problem="cavity2d", relative_l2=[], reason="no"),
    ]
    text = comparison.page(rows)
    assert (
        "| burgers1d | KAN 2-6-1 | 1,000 | 2.0e-07 | 3.0e-07 | 100 | 2 cores | exact | 5e-06 with ≤"
        " 1,500 | 5e-09 | must | 6.9e-09 (2,251; 49 min, GPU); " in text
    )
    assert (
        "| NVIDIA H100 | 1e-06 | 1e-07 | 1e-12 | missed | 8.0e-14 (11,285; 346 s, H100) [1]; "
        in text
    )
    assert "| cavity2d (u, v) |" in text
    assert "1. Webb, Jerad and Cartis 2026, arXiv:2607.02194" in text
    assert (
        "- burgers1d_smooth: the exact solution, its own error 1.0e-06. `python -m"
        " benchmarks accuracy` on today, commit abc" in text
    )
    assert text.count("![") == 1
    assert "![" not in comparison.page(rows[2:])


def test_the_picture_has_a_line_for_every_measured_problem():
    figure = plot_accuracy(
        [row(), row(problem="heat1d", truth_error=1e-8), row(problem="kdv1d", relative_l2=[])],
        CLAIMS,
    )
    (axes,) = figure.axes
    assert [label.get_text().split("\n")[0] for label in axes.get_yticklabels()] == [
        "burgers1d",
        "heat1d",
    ]
    shown = {text.get_text() for text in figure.legends[0].get_texts()}
    assert shown == {
        "kanpde, every seed",
        "must",
        "aim",
        "best published MLP",
        "best published KAN",
        "less than the reference's own error",
    }


def test_exact_solutions_judge_where_they_are_known():
    problem, _ = load("heat1d")
    truth = truth_of(problem)
    assert (truth.kind, truth.error) == ("the exact solution", 0.0)

    def worse(points):
        return (problem.exact_values(points)["u"] * (1 + 0.1 * (points[:, 1] > 0.5)))[:, None]

    error, until = judge(problem, known(problem, worse), truth)
    late = truth.values["u"][:, truth.grid["t"] > 0.5]
    assert error == pytest.approx(0.1 * np.linalg.norm(late) / np.linalg.norm(truth.values["u"]))
    assert until == 0.5
    error, until = judge(
        problem, known(problem, lambda points: problem.exact_values(points)["u"][:, None]), truth
    )
    assert (error, until) == (0.0, 1.0)


def test_steady_systems_are_judged_by_the_unknowns_that_are_asked_for():
    problem, _ = load("kovasznay2d")
    truth = truth_of(problem, ("u", "v"))
    assert set(truth.values) == {"u", "v"}
    shifted = torch.tensor(
        [0.0, 0.0, 3.0], dtype=torch.float64
    )  # of the pressure, which nobody asks for
    assert judge(
        problem,
        known(
            problem,
            lambda points: torch.stack(list(problem.exact_values(points).values()), 1) + shifted,
        ),
        truth,
    ) == (0.0, None)


def test_a_reference_judges_where_there_is_no_exact_solution():
    problem, _ = load("reaction_diffusion1d")
    truth = truth_of(problem)
    assert truth.kind.startswith("Fourier collocation")
    assert 0 < truth.error < 1e-7
    assert truth.values["u"].shape == tuple(map(len, truth.grid.values()))


def test_an_unknown_that_nobody_asks_for_does_not_count_against_the_reference(monkeypatch):
    fields = {"u": np.full((2, 2), 3.0), "v": np.full((2, 2), 4.0), "p": np.ones((2, 2))}
    found = SimpleNamespace(
        coordinates={"x": np.arange(2.0), "y": np.arange(2.0)},
        values=fields,
        kind="",
        estimated_errors={"u": 1e-3, "v": 2e-3, "p": 0.5},
        scales={"u": 3.0, "v": 4.0, "p": 1.0},
    )
    monkeypatch.setattr(bench, "reference", lambda problem, effort: found)
    truth = truth_of(load("cavity2d")[0], ("u", "v"))
    assert set(truth.values) == {"u", "v"}
    assert truth.error == pytest.approx(np.hypot(3e-3, 8e-3) / 5)


def test_a_problem_that_its_boundary_data_solve_is_seen():
    grid = {x: np.linspace(0, 1, 3) for x in "abcef"}
    problem, _ = load("poisson5d")
    exact = sum(np.cos(np.pi * axis) for axis in np.meshgrid(*grid.values(), indexing="ij"))
    assert interpolated(problem, Truth(grid, {"u": exact}, "", 0.0)) < 1e-12
    problem, _ = load("helmholtz2d")
    assert interpolated(problem, truth_of(problem)) == pytest.approx(1)
    assert interpolated(load("poisson2d")[0], truth_of(load("poisson2d")[0])) == pytest.approx(1)
    assert (
        interpolated(
            load("cavity2d")[0],
            Truth({"x": grid["a"], "y": grid["a"]}, {"p": np.zeros((3, 3))}, "", 0.0),
        )
        is None
    )


@pytest.fixture
def solved(monkeypatch):
    """Solutions cost nothing: the exact one times 1 + 1e-3, and seed 9 is interrupted."""

    def solve(problem, *, recipe, seed, device, reference):
        assert device == "cpu"
        assert not reference
        history = SimpleNamespace(interrupted=seed == 9)
        settings = {"network": "KAN 2-3-1", "parameters": 30, "points": recipe.points}
        nearly = known(
            problem,
            lambda points: 1.001 * torch.stack(list(problem.exact_values(points).values()), 1),
        )
        return SimpleNamespace(solution=nearly, history=history, seconds=1.5, settings=settings)

    monkeypatch.setattr(bench, "solve", solve)


def kept(folder):
    return json.loads((folder / "benchmarks" / "accuracy.json").read_text())["rows"]


def test_rows_are_kept_as_they_come(solved, tmp_path):
    bench.run(tmp_path, print, Campaign(["poisson2d", "helmholtz2d"], [0, 1]))
    first, second = kept(tmp_path)
    assert (first["problem"], second["problem"]) == (
        "helmholtz2d",
        "poisson2d",
    )  # those with a target first
    assert first["relative_l2"] == pytest.approx([1e-3, 1e-3])
    assert (
        first["provenance"]["command"]
        == "python -m benchmarks accuracy --problems helmholtz2d --seeds 2 --effort record"
    )
    assert (tmp_path / "benchmarks" / "accuracy.png").is_file()
    (again,) = bench.run(tmp_path, print, Campaign(["helmholtz2d"], [3], effort="quick"))
    assert again["seeds"] == [3]
    assert [each["seeds"] for each in kept(tmp_path)] == [[3], [0, 1]]
    assert kept(tmp_path)[1] == second


def test_an_interrupted_row_replaces_no_finished_one(solved, tmp_path):
    bench.run(tmp_path, print, Campaign(["poisson2d"], [0, 1]))
    with pytest.raises(KeyboardInterrupt):
        bench.run(tmp_path, print, Campaign(["poisson2d", "heat1d"], [0, 9]))
    assert [(each["problem"], each["seeds"]) for each in kept(tmp_path)] == [("poisson2d", [0, 1])]
    with pytest.raises(KeyboardInterrupt):
        bench.run(tmp_path, print, Campaign(["heat1d"], [0, 9, 1]))
    assert [(each["problem"], each["seeds"]) for each in kept(tmp_path)] == [
        ("heat1d", [0]),
        ("poisson2d", [0, 1]),
    ]


def test_time_that_is_over_and_problems_that_fail(solved, tmp_path, monkeypatch):
    def refuse(problem, unknowns=(), effort="default"):
        raise ReferenceUnavailable("the solution blows up at t = 0.3")

    monkeypatch.setattr(bench, "truth_of", refuse)
    clock = iter([0.0, 1.0, 61.0])
    monkeypatch.setattr(bench, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    lines = []
    (only,) = bench.run(tmp_path, lines.append, Campaign(["heat1d", "poisson2d"], [0], minutes=1))
    assert only["reason"] == "the solution blows up at t = 0.3"
    assert "poisson2d: left out, 1 minutes are over" in lines
    assert (
        "not measured: the solution blows up"
        in (tmp_path / "benchmarks" / "accuracy.md").read_text()
    )
    assert not (tmp_path / "benchmarks" / "accuracy.png").exists()


def test_what_is_no_result_is_not_overwritten(solved, tmp_path):
    (tmp_path / "benchmarks").mkdir()
    path = tmp_path / "benchmarks" / "accuracy.json"
    path.write_text('{"rows": [{"problem": 3}]}')
    with pytest.raises(RunError, match="is no result of `python -m benchmarks accuracy`"):
        bench.run(tmp_path, print, Campaign(["poisson2d"], [0]))
    assert path.read_text() == '{"rows": [{"problem": 3}]}'
    with pytest.raises(ProblemError, match="poison: no such problem"):
        bench.run(tmp_path / "other", print, Campaign(["poison"], [0]))


def test_a_recipe_is_that_of_the_effort(monkeypatch, tmp_path):
    asked = []

    def solve(problem, *, recipe, **options):
        asked.append(recipe)
        raise RunError("enough")

    monkeypatch.setattr(bench, "solve", solve)
    for effort in ("quick", "record"):
        bench.run(tmp_path, print, Campaign(["poisson3d"], [0], effort=effort))
    assert asked[0].points < asked[1].points
    assert isinstance(asked[0].network, KAN)


def test_the_command(solved, tmp_path, capsys):
    assert (
        main(
            [
                "accuracy",
                "--problems",
                "poisson2d, helmholtz2d",
                "--seeds",
                "2",
                "--effort",
                "default",
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )
    shown = capsys.readouterr().out
    assert "accuracy.md" in shown
    assert [(each["problem"], each["seeds"], each["effort"]) for each in kept(tmp_path)] == [
        ("helmholtz2d", [0, 1], "default"),
        ("poisson2d", [0, 1], "default"),
    ]
    assert (
        main(
            [
                "accuracy",
                "--problems",
                "poisson2d",
                "--seeds",
                "4,",
                "--json",
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["seeds"], found["effort"]) == ([4], "record")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["accuracy", "--only", "timing"], "no such option: --only"),
        (["kernels", "--effort", "quick"], "no such option: --effort"),
        (["solve", "--all"], "no such option: --all"),
        (
            ["accuracy", "--all", "--problems", "poisson2d"],
            "--all: got --problems as well; expected one of them",
        ),
        (
            ["accuracy", "--problems", "poison2d"],
            "poison2d: no such problem or file; did you mean 'poisson2d'",
        ),
        (
            ["accuracy", "--effort", "heroic"],
            "--effort: got 'heroic'; 'heroic' is not one of 'quick', 'default', 'record'",
        ),
        (["solve", "--seeds", ""], "--seeds: got ''; expected a whole number, 1 or more"),
        (["accuracy", "--seeds", ","], "--seeds: got ''; expected a whole number, 0 or more"),
        (["accuracy", "--problems", " , "], "--problems: got ' , '; expected one or more names"),
        (["bases", "--networks", ""], "--networks: got ''; expected one or more names"),
        (["accuracy", "--seeds", "0"], "--seeds: got '0'; expected a whole number, 1 or more"),
        (["accuracy", "--seeds", "0,x"], "--seeds: got 'x'; expected a whole number, 0 or more"),
    ],
)
def test_what_the_command_refuses(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
