"""What is said of a result that should not be believed as it stands: each sentence provoked, and
none for a healthy one."""

from dataclasses import replace
from math import pi

import numpy as np
import torch
from torch import sin

import kanpde
from kanpde import KAN, MLP, Box, Condition, Dirichlet, Problem, Recipe, d
from kanpde.reference import Reference
from kanpde.results.advice import numerical_rank


def solve(problem, recipe, **options):
    return kanpde.solve(problem, recipe=recipe, **{"reference": False, **options})


def only(result, beginning):
    (found,) = [sentence for sentence in result.advice if sentence.startswith(beginning)]
    assert "\n" not in found
    return found


def mode(x):
    return sin(pi * x)


NEAR = 1e-5


def resonant(u, x):
    """u'' + (π² + δ) u = δ sin πx: what is left of any multiple of sin πx is δ."""
    return d(u, x, x) + (pi**2 + NEAR) * u - NEAR * mode(x)


def test_a_healthy_result_has_none(poisson, tmp_path):
    found = kanpde.solve(poisson, effort="quick", out=tmp_path, pictures=False)
    assert found.relative_l2 < 1e-4
    assert found.advice == []
    assert kanpde.load(found.run_dir, poisson).summary()["advice"] == []


def test_small_residuals_far_from_the_solution(tmp_path, capsys):
    problem = Problem(
        domain=Box(x=(0, 1)), equations=[resonant], conditions=[Dirichlet(u=0)], exact={"u": mode}
    )
    found = solve(problem, Recipe(KAN((2,), 5, 4), 60, "lm:60"), out=tmp_path, pictures=False)
    assert "try more --points" in only(found, "the residual is small")
    from kanpde.cli.display import console, show_result

    found.advice = ["the residual is small"]
    show_result(console(False), found)
    assert "advice    the residual is small" in capsys.readouterr().out


def test_a_wrong_exact_solution(poisson):
    wrong = Problem(
        domain=poisson.domain,
        equations=[e.function for e in poisson.equations],
        conditions=list(poisson.conditions),
        exact={"u": lambda x, y: 1.1 * sin(pi * x) * sin(pi * y)},
    )
    found = solve(wrong, Recipe(KAN((3,), 5, 4), 300, "lm:30"), reference=True, effort="quick")
    assert "check that it solves these equations" in only(found, "network and reference agree")


def test_the_boundary_dominates():
    def curved(u, x):
        return d(u, x, x) - u**2

    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[curved],
        conditions=[
            Dirichlet(u=1, on="x-"),
            Condition(lambda u, x: d(u, x) + u**3 - 2, on="x+", weight=1e-14),
        ],
    )
    found = solve(problem, Recipe(KAN((3,), 5, 4), 100, "lm:30"))
    assert "give the condition a larger weight=" in only(found, "the condition Condition(")
    balanced = Problem(
        domain=Box(x=(0, 1)),
        equations=[curved],
        conditions=[Dirichlet(u=1, on="x-"), Condition(lambda u, x: d(u, x) + u**3 - 2, on="x+")],
    )
    assert solve(balanced, Recipe(KAN((3,), 5, 4), 100, "lm:30")).advice == []


def test_too_few_points(poisson):
    found = solve(poisson, Recipe(KAN((6,), 7, 12), 60, "lm:40"))
    assert "try --points 240" in only(found, "under-sampled")


def test_single_precision(poisson):
    found = solve(poisson, Recipe(KAN((5,), 7, 6), 800, "lm:200"), dtype="float32")
    assert "try --dtype float64" in only(
        found, "training stopped where the rounding of float32 begins"
    )


def test_parameters_that_do_nothing():
    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[lambda u, x: d(u, x, x) + 2000 * sin(40 * x)],
        conditions=[Dirichlet(u=0)],
    )
    found = solve(problem, Recipe(MLP((30,)), 500, "lm:1"))
    assert "directions move the residual beyond rounding" in only(found, "ill-conditioned")


def test_numerical_rank():
    J = torch.randn(50, 4, dtype=torch.float64) @ torch.randn(4, 9, dtype=torch.float64)
    assert numerical_rank(J.T @ J) == 4
    J = torch.randn(50, 9, dtype=torch.float64) * torch.logspace(-9, 9, 9, dtype=torch.float64)
    assert numerical_rank(J.T @ J) == 9, "units do not count"


def test_the_reference_limits(poisson):
    nameless = Problem(
        domain=poisson.domain,
        equations=[e.function for e in poisson.equations],
        conditions=list(poisson.conditions),
    )
    axis = np.linspace(-1, 1, 21)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    coarse = Reference(
        coordinates={"x": axis, "y": axis},
        values={"u": 1.001 * np.sin(pi * x) * np.sin(pi * y)},
        order=2,
        kind="by hand",
        estimated_error=1e-3,
        seconds=0.0,
    )
    recipe = Recipe(KAN((3,), 5, 6), 300, "lm:40")
    assert "try --effort record" in only(
        solve(nameless, recipe, reference=coarse), "the distance to the reference"
    )
    for own in (
        4e-4,
        1e-8,
    ):  # the solution is further away than twice that: it is the less accurate of the two
        assert solve(nameless, recipe, reference=replace(coarse, estimated_error=own)).advice == []
