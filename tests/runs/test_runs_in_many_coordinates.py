"""A run in many coordinates from its file to its folder: recipe, verdict, pictures, what is read
again, and what says that it cannot."""

import json

import numpy as np
import pytest
import torch

import kanpde
from kanpde import KAN, ProblemError, Recipe, RecipeError, ReferenceUnavailable
from kanpde.networks.kinds.additive import Additive
from kanpde.plots.solution import plot_solution
from kanpde.problem.file import load
from kanpde.recipes.choosing import choose
from kanpde.recipes.refined import usual
from kanpde.reference import reference
from kanpde.results.fields import dense_grid, places_of
from kanpde.results.verdict import BY_EXACT

FILE = '''"""Poisson's equation in many coordinates."""

import torch

from kanpde import Box, Dirichlet, Problem, Vector, laplacian

size = 7


def exact(x):
    return 300 + torch.exp(x.mean(-1))


problem = Problem(
    domain=Box(x=Vector(size, (0, 1))),
    equations=[lambda u, x: laplacian(u) - (exact(x) - 300) / size],
    conditions=[Dirichlet(u=exact)],
    exact={"u": exact},
)
'''
SHORT = Recipe(Additive((2,), 5, 1), 300, "lm:14")


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    (folder / "sums.py").write_text(FILE, encoding="utf-8")
    problem, _ = load(str(folder / "sums.py"))
    return kanpde.solve(problem, recipe=SHORT, run_dir=folder / "run")


def test_it_converges_by_quasi_monte_carlo(result):
    assert result.verdict.converged
    assert result.verdict.judge == BY_EXACT
    assert "quasi-Monte Carlo" in result.verdict.reason
    assert result.errors["u"].error < 1e-2
    assert result.errors["u"].own > 0
    on_cut = float(np.abs(result.fields.error("u")).max())
    assert result.max_error >= on_cut, "pictures show no larger error than the largest"
    assert "7 space dimensions" in result.reference_note


def test_it_is_read_again(result):
    again = kanpde.load(result.run_dir, result.problem)
    x = np.full(7, 0.3)
    one = result(**{f"x{i}": v for i, v in enumerate(x)})
    assert again(x=x) == pytest.approx(one, rel=1e-14)
    assert again.errors == result.errors
    assert again.verdict == result.verdict
    two = result(x=torch.full((2, 7), 0.3, dtype=torch.float64))
    assert two.tolist() == pytest.approx([one, one])
    slope = result.evaluate(lambda u, x: kanpde.d(u, x[0]), x=x)
    assert slope == pytest.approx(np.exp(0.3) / 7, rel=5e-2)
    with pytest.raises(ProblemError, match=r"result\(x=…\): got shape \[3\]; expected \[…, 7\]"):
        result(x=np.zeros(3))


def test_pictures_are_slices_through_the_middle(result):
    assert {*result.fields.grid} == {"x0", "x1"}
    assert {f.name for f in result.run_dir.glob("*.png")} >= {"solution.png", "network.png"}
    figure = plot_solution(result)
    assert "at x2 to x6 in the middle" in figure.axes[0].get_title()
    points = places_of(dense_grid(result.problem.domain))
    assert bool((points[:, 2:] == 0.5).all())
    at = torch.from_numpy(points)
    values = result.problem.exact_values(at)["u"].numpy().reshape(result.fields.exact["u"].shape)
    np.testing.assert_array_equal(result.fields.exact["u"], values)
    assert "rest" in json.loads((result.run_dir / "summary.json").read_text())["settings"]


def test_the_usual_recipe_adds_functions_of_single_coordinates(result):
    problem = result.problem
    choice = usual(problem, choose(problem))
    assert choice.recipe.network.kind == "additive"
    said = "; ".join(choice.reasons)
    assert "derivatives along all 7 coordinates are exact" in said
    assert "7 coordinates, more than 3" in said


def test_what_cannot_says_so(result):
    problem = result.problem
    with pytest.raises(ReferenceUnavailable, match="7 space dimensions; finite differences take"):
        reference(problem)
    with pytest.raises(ProblemError, match="tensor: cannot take 7 coordinates, more than 3"):
        kanpde.solve(problem, network=kanpde.Tensor())
    with pytest.raises(RecipeError, match="separable: takes at most 5 coordinates"):
        kanpde.solve(problem, recipe=Recipe(kanpde_separable(), 300, "lm:3"))
    kan = kanpde.solve(problem, recipe=Recipe(KAN((2,), 5, 1), 100, "lm:2"), reference=False)
    assert np.isfinite(kan.relative_l2)


def kanpde_separable():
    from kanpde.networks.kinds.separable import Separable

    return Separable((2,), 3, 2)
