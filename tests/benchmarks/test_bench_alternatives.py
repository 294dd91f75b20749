"""What products of splines are compared with: lines by SciPy and random features, each against a
closed form."""

import numpy as np
import pytest
import torch

from benchmarks import alternatives, features, lines
from kanpde.problem.file import load


def exact(problem, *columns):
    """The exact solution at points."""
    return problem.exact_values(torch.from_numpy(np.stack(columns, 1)))["u"].numpy()


@pytest.mark.parametrize("name", ["heat1d", "wave1d", "advection1d"])
def test_lines_come_to_the_exact_solution(name):
    problem, _ = load(name)
    kept = np.linspace(*problem.domain.bounds["t"], 5)
    method = "Radau" if name == "heat1d" else "DOP853"
    found = lines.march(lines.Lines(problem, 24, np.inf), 24, method, 1e-7, kept)
    truth = exact(problem, found.x, np.full_like(found.x, kept[-1]))
    assert np.abs(found.values["u"][-1] - truth).max() < 1e-5
    between = np.linspace(*problem.domain.bounds["x"], 11)
    truth = exact(problem, between, np.full_like(between, kept[2]))
    assert np.abs(lines.on_nodes(found, problem, "u", between)[2] - truth).max() < 1e-5


def test_a_march_that_may_take_no_time_ends():
    problem, _ = load("heat1d")
    with pytest.raises(lines.TooLong):
        lines.march(lines.Lines(problem, 8, 0.0), 8, "Radau", 1e-6, np.array([0.0, 1.0]))


def test_random_features_come_to_the_exact_solution():
    problem, _ = load("poisson2d")
    found = features.fitted(problem, 200, seed=0)
    points = np.random.default_rng(1).uniform(0, 1, (50, 2))
    values = found.values(points, (0, 0)) @ found.c[0]
    assert np.abs(values - exact(problem, *points.T)).max() < 1e-7


def test_the_table_has_a_row_for_each_way(tmp_path, monkeypatch):
    monkeypatch.setattr(alternatives, "FEATURES", (200,))
    told = []
    rows = alternatives.run(tmp_path, told.append, ["poisson2d"])
    ways = {row["way"]: row["error"] for row in rows}
    assert list(ways)[:2] == ["reference", "products of splines"]
    assert all(error < 1e-6 for error in ways.values())
    page = (tmp_path / "benchmarks" / "alternatives.md").read_text()
    assert all(f"| poisson2d | {way} |" in page for way in ways)
    assert len(told) == len(rows)
