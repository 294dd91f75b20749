"""Fields on a disk: nothing outside of it, in norms, files, pictures and calls."""

import numpy as np
import pytest
import torch

from kanpde import (
    KAN,
    Box,
    Dirichlet,
    Disk,
    Initial,
    Problem,
    Recipe,
    Time,
    d,
    laplacian,
    load,
    save,
    solve,
)
from kanpde.errors import ProblemError
from kanpde.plots.outline import clip, filled, outline
from kanpde.plots.solution import plot_solution
from kanpde.results.fields import dense_grid, exact_on, measure, nodes_of, relative_l2, solution_on


def U(x, y):
    return torch.where(x**2 + y**2 < 1 + 1e-9, 1 - x**2 - y**2, torch.nan)


def poisson(u, x, y):
    return laplacian(u) + 4


domain = Disk(x=0, y=0, radius=1) - Disk(x=0.2, y=0, radius=0.3, name="hole")
problem = Problem(
    domain=domain,
    equations=[poisson],
    conditions=[Dirichlet(u=0, on="circle"), Dirichlet(u=lambda x, y: 1 - x**2 - y**2, on="hole")],
    exact={"u": U},
)


@pytest.fixture(scope="module")
def result():
    return solve(problem, recipe=Recipe(KAN((2,), 7, 3), 100, "lm:3"), reference=False)


def covered(grid):
    x, y = nodes_of(grid).T
    return (np.hypot(x, y) <= 1 + 1e-12) & (np.hypot(x - 0.2, y) >= 0.3 - 1e-12)


def test_nodes_outside_are_nan_and_count_nowhere(result):
    grid = dense_grid(domain)
    found, exact = solution_on(result.solution, ["u"], grid)["u"], exact_on(problem, grid)["u"]
    inside = covered(grid).reshape(found.shape)
    assert (np.isfinite(found) == inside).all()
    assert (np.isfinite(exact) == inside).all()
    assert 0.6 < inside.mean() < 0.8
    difference = (found - exact)[inside]
    l2, most = measure(problem, result.solution)
    assert l2 == pytest.approx(
        np.linalg.norm(difference) / np.linalg.norm(exact[inside]), rel=1e-12
    )
    assert most == pytest.approx(np.abs(difference).max(), rel=1e-12)


def test_a_solution_that_is_nan_inside_is_seen():
    truth = {"u": np.array([1.0, np.nan, 2.0])}
    assert relative_l2({"u": np.array([1.0, 5.0, 2.0])}, truth) == 0
    assert np.isnan(relative_l2({"u": np.array([1.0, 5.0, np.nan])}, truth))


def test_the_rms_of_a_zero_truth_counts_the_nodes_inside():
    assert relative_l2(
        {"u": np.array([3.0, 7.0, 3.0])}, {"u": np.array([0.0, np.nan, 0.0])}
    ) == pytest.approx(3)


def test_a_run_folder_keeps_nan(result, tmp_path):
    folder = save(result, tmp_path)
    again = load(folder, problem=problem)
    for kind in ("solution", "exact"):
        np.testing.assert_array_equal(
            getattr(again.fields, kind)["u"], getattr(result.fields, kind)["u"]
        )
    assert np.isnan(again.fields.solution["u"]).any()
    assert (folder / "solution.png").stat().st_size > 10_000
    assert again(x=0.8, y=0.1) == result(x=0.8, y=0.1)


def test_a_point_outside_is_one_line(result):
    assert result(x=0.0, y=-0.5) == pytest.approx(float(result(x=[0.0], y=[-0.5])[0]))
    assert np.isfinite(
        result(x=np.cos(np.linspace(0, 6, 50)), y=np.sin(np.linspace(0, 6, 50)))
    ).all()
    with pytest.raises(
        ProblemError,
        match=(
            r"^result\(…\): x=0\.2, y=0\.1 is outside of Disk\(x=0, y=0, radius=1\) - Disk\(.*\)$"
        ),
    ):
        result(x=0.2, y=0.1)
    with pytest.raises(
        ProblemError, match=r"x=0\.9, y=0\.9 is outside of .*, and so are 2 more of 4 points$"
    ):
        result(x=[0.9, 0.2, 0.9, 0.0], y=[0.9, 0.0, -0.9, -0.5])
    with pytest.raises(ProblemError, match=r"^result\(x=…\): 3 is outside x=\(-1, 1\)$"):
        result(x=3.0, y=0.0)


def test_outlines_are_closed_and_turn_the_other_way_round_holes():
    loops = outline(domain)
    assert len(loops) == 2
    for loop in loops:
        np.testing.assert_allclose(loop[0], loop[-1], atol=1e-9)
    areas = sorted(
        0.5 * float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) for x, y in (loop.T for loop in loops)
    )
    np.testing.assert_allclose(areas, [-np.pi * 0.09, np.pi], rtol=2e-3)
    path = clip(loops)
    assert path.contains_point((0.0, -0.6))
    assert outline(Box(x=(0, 1), y=(0, 1))) == []
    assert (
        len(outline((Box(x=(0, 1), y=(0, 1)) - Box(x=(0.5, 1), y=(0, 0.5))) * Time(t=(0, 1)))) == 1
    )


def test_fields_are_continued_a_little_for_their_pictures():
    values = np.full((7, 7), np.nan)
    values[3, 3] = 2.0
    grown = filled(values, 2)
    assert np.isfinite(grown).sum() == 25
    assert (grown[np.isfinite(grown)] == 2).all()


def test_pictures_show_the_boundary(result):
    axes = plot_solution(result).axes
    maps = [ax for ax in axes if ax.images and ax.get_xlabel() == "x"]
    assert len(maps) == 3
    assert all(len(ax.lines) == 2 and ax.images[0].get_clip_path() is not None for ax in maps)


def test_evolutions_are_nan_outside_at_all_times():
    def heat(u, x, y, t):
        return d(u, t) - laplacian(u)

    evolving = Problem(
        domain=Disk(x=0, y=0, radius=1) * Time(t=(0, 1)),
        equations=[heat],
        conditions=[Dirichlet(u=0), Initial(u=lambda x, y: 1 - x**2 - y**2)],
    )
    found = solve(evolving, recipe=Recipe(KAN((2,), 5, 3), 60, "lm:1"), reference=False)
    solution = found.fields.solution["u"]
    inside = np.isfinite(solution)
    assert (inside == inside[:, :, :1]).all()
    assert 0.7 < inside.mean() < 0.8
    np.testing.assert_allclose(
        solution[inside[:, :, 0], 0],
        (1 - (nodes_of(found.fields.grid)[:, :2] ** 2).sum(1)).reshape(solution.shape)[
            inside[:, :, 0], 0
        ],
        atol=1e-12,
    )
