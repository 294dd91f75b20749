"""What is seen in a result that should not be believed as it stands: each provoked, and nothing
seen in a healthy one."""

from dataclasses import replace
from math import pi

import numpy as np
import torch
from torch import sin

import kanpde
from kanpde import KAN, MLP, Box, Condition, Dirichlet, Problem, Recipe, d
from kanpde.reference import Reference
from kanpde.results import diagnosis
from kanpde.results.diagnosis import numerical_rank
from kanpde.results.exactness import exact_residual
from kanpde.results.gaps import Gap
from kanpde.results.result import Result
from kanpde.results.verdict import BY_RESIDUAL, CONVERGED, LIMITED, NOT_CONVERGED
from kanpde.training.history import History


def solve(problem, recipe, **options):
    return kanpde.solve(problem, recipe=recipe, **{"reference": False, **options})


def cures(result, seen):
    """What is to be tried, of a result in which this was seen."""
    assert f"; {seen}" in result.verdict.reason
    assert "\n" not in str(result.verdict)
    return result.verdict.cures


def mode(x):
    return sin(pi * x)


NEAR = 1e-5


def resonant(u, x):
    """u'' + (π² + δ) (u - x) = δ sin πx: of x and any multiple of sin πx, what is left is δ."""
    return d(u, x, x) + (pi**2 + NEAR) * (u - x) - NEAR * mode(x)


def test_a_healthy_result_has_none(poisson, tmp_path):
    found = kanpde.solve(poisson, effort="quick", out=tmp_path, pictures=False)
    assert found.relative_l2 < 1e-4
    assert found.verdict.status == CONVERGED
    assert found.verdict.cures == ()
    assert ";" not in found.verdict.reason
    assert kanpde.load(found.run_dir, poisson).verdict == found.verdict


def test_small_residuals_far_from_the_solution(tmp_path, capsys):
    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[resonant],
        conditions=[Dirichlet(u=lambda x: x)],
        exact={"u": lambda x: x + mode(x)},
    )
    found = solve(problem, Recipe(KAN((2,), 5, 4), 60, "lm:60"), out=tmp_path, pictures=False)
    assert found.verdict.status == NOT_CONVERGED
    assert "more --points" in cures(found, "the residual is small")
    from kanpde.cli.display import console, show_result

    show_result(console(False), found)
    lines = capsys.readouterr().out.splitlines()
    assert f"verdict   not converged, says the exact solution: {found.verdict.reason}" in lines
    assert "try       more --points" in lines


def test_a_wrong_exact_solution(poisson):
    wrong = Problem(
        domain=poisson.domain,
        equations=[e.function for e in poisson.equations],
        conditions=list(poisson.conditions),
        exact={"u": lambda x, y: 1.1 * sin(pi * x) * sin(pi * y)},
    )
    found = solve(wrong, Recipe(KAN((3,), 5, 4), 300, "lm:30"), reference=True, effort="quick")
    (cure,) = cures(found, "network and reference agree")
    assert cure == "check that `exact` solves these equations and conditions"
    assert "does not meet the equations" in found.verdict.reason


def test_a_right_exact_solution_is_not_blamed():
    """u (u'' + π² u) = 0 has every multiple of sin πx."""

    def either(u, x):
        return u * (d(u, x, x) + pi**2 * u)

    problem = Problem(Box(x=(0, 1)), [either], [Dirichlet(u=0)], exact={"u": mode}, warn=False)
    axis = np.linspace(0, 1, 21)
    other = Reference({"x": axis}, {"u": 0.2 * np.sin(pi * axis)}, 2, "by hand", 1e-9, 0.0)
    found = contradicted(problem, other)
    assert "meets the equations too" in found.reason
    assert "tells the solutions apart" in found.cures[0]
    assert "does not meet" not in found.reason


def contradicted(problem, other):
    """The verdict where network and reference are 0.2 sin πx."""
    gap = lambda error: {"u": Gap(error, error, 1.0, 1.0)}
    space = Recipe(KAN((2,), 3, 3), 60, "lm:1").space(problem)
    solution = space.solution(space.initial(torch.Generator()))
    made = Result(
        problem,
        solution,
        History(),
        {},
        0.0,
        reference=other,
        errors=gap(0.8),
        reference_errors=gap(1e-6),
    )
    return diagnosis._contradicted(made)


def test_what_pytorch_cannot_differentiate_is_left_alone(poisson):
    assert exact_residual(poisson) < 1e-12
    outside = poisson.replace(
        exact={"u": lambda x, y: torch.from_numpy(np.sin(x.numpy()) * y.numpy())}
    )
    assert exact_residual(outside) is None


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
    assert found.verdict.status == NOT_CONVERGED
    assert found.verdict.judge == BY_RESIDUAL
    assert "a larger weight= for the condition" in cures(found, "the condition Condition(")
    balanced = Problem(
        domain=Box(x=(0, 1)),
        equations=[curved],
        conditions=[Dirichlet(u=1, on="x-"), Condition(lambda u, x: d(u, x) + u**3 - 2, on="x+")],
    )
    found = solve(balanced, Recipe(KAN((3,), 5, 4), 100, "lm:30"))
    assert found.verdict.reason.startswith("no reference: not asked for; the equations are met to")
    assert found.met.worst < 1e-3
    assert found.verdict.cures == ()


def test_too_few_points(poisson):
    found = solve(poisson, Recipe(KAN((6,), 7, 12), 60, "lm:40"))
    assert "--points 240" in cures(found, "under-sampled")


def test_single_precision(poisson):
    found = solve(poisson, Recipe(KAN((5,), 7, 4), 300, "lm:400"), dtype="float32")
    seen = "training stopped where the rounding of float32 begins"
    assert cures(found, seen) == ("--dtype float64",)


def test_parameters_that_do_nothing():
    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[lambda u, x: d(u, x, x) + 2000 * sin(40 * x)],
        conditions=[Dirichlet(u=0)],
    )
    found = solve(problem, Recipe(MLP((30,)), 500, "lm:1"))
    assert "a smaller --width" in cures(found, "ill-conditioned")
    assert "directions move the residual beyond rounding" in found.verdict.reason


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
    found = solve(nameless, recipe, reference=coarse)
    assert found.verdict.status == LIMITED
    assert found.verdict.cures[0] == "--effort record"
    # the solution is further away than twice that: it is the less accurate of the two
    for own in (4e-4, 1e-8):
        found = solve(nameless, recipe, reference=replace(coarse, estimated_error=own))
        assert found.verdict.status == CONVERGED
        assert found.verdict.cures == ()


def test_from_half_of_the_directions_on_nothing_is_said(result, monkeypatch):
    size = result.solution.network.parameters
    recipe = Recipe(KAN((3,), 5, 4), 400, "lm:1")
    for rank, said in ((size, False), (size / 2, False), ((size - 1) // 2, True)):
        monkeypatch.setattr(diagnosis, "numerical_rank", lambda normal, rank=rank: rank)
        found = diagnosis._ill_conditioned(result, recipe, 1.0)
        assert bool(found) is said
        assert not said or f"of {size} parameters only {rank} directions" in found.reason
