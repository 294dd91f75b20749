"""Runs that begin from others: what is taken, what is refused, and how they go on."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import sin

import kanpde
from kanpde import KAN, Box, Dirichlet, Initial, Problem, Recipe, Time, d
from kanpde.cli import main
from kanpde.cli.parsers import ConstantInTurn, constants_in_turn
from kanpde.cli.solve import in_turn
from kanpde.errors import RecipeError, RunError
from kanpde.problem.file import load
from kanpde.products.adaptive import adaptive
from kanpde.products.progress import Progress, Settings
from kanpde.recipes.prepare import prepare
from kanpde.runs import request
from kanpde.runs.started import started


def burgers(nu, width=1.0):
    return Problem(
        domain=Box(x=(-width, width)) * Time(t=(0, 0.5)),
        equations=[lambda u, x, t: d(u, t) + u * d(u, x) - nu * d(u, x, x)],
        conditions=[Dirichlet(u=0), Initial(u=lambda x: -sin(math.pi * x / width))],
    )


def bratu(size):
    return Problem(
        domain=Box(x=(0, 1), y=(0, 1)),
        equations=[lambda u, x, y: d(u, x, x) + d(u, y, y) + size * torch.exp(u)],
        conditions=[Dirichlet(u=0)],
    )


def apart(one, other, problem):
    """Largest difference of two results at random points."""
    unit = torch.rand(500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = problem.domain.interior(unit)
    return float((one.solution(points) - other.solution(points)).abs().max())


@pytest.fixture(scope="module")
def near(tmp_path_factory):
    """A run of Burgers' equation."""
    out = tmp_path_factory.mktemp("near")
    return kanpde.solve(burgers(0.05), reference=False, pictures=False, out=out)


@pytest.mark.parametrize(("make", "first", "then"), [(burgers, 0.05, 0.04), (bratu, 1.0, 1.5)])
def test_a_warm_start_gives_the_same_solution_in_fewer_steps(make, first, then):
    before = kanpde.solve(make(first), reference=False)
    problem = make(then)
    cold = kanpde.solve(problem, reference=False)
    warm = kanpde.solve(problem, reference=False, start=before)
    assert apart(cold, warm, problem) < 1e-8
    assert len(warm.history.records) < 0.75 * len(cold.history.records)
    assert warm.verdict.tolerance.met


def test_a_longer_box_is_a_start_as_well(near):
    problem = burgers(0.05, width=1.5)
    warm = kanpde.solve(problem, reference=False, start=near)
    assert apart(kanpde.solve(problem, reference=False), warm, problem) < 1e-8


def test_a_start_that_is_far_away_costs_no_accuracy(near):
    problem = burgers(0.01)
    warm = kanpde.solve(problem, reference=False, start=near)
    assert apart(kanpde.solve(problem, reference=False), warm, problem) < 1e-8


def test_products_begin_on_the_cells_of_the_other_run(near):
    way = adaptive(burgers(0.05), Settings(1e-8), near.solution)
    begun = way.begin()
    first = near.solution.spans[0]
    for axis, known in zip(begun.axes, first.axes, strict=True):
        np.testing.assert_allclose(axis.breaks, known.breaks, atol=1e-12)
    at = way.advance(begun).at
    np.testing.assert_allclose(at.C, first.C, atol=1e-8)


def ended(problem, start=None):
    """The axes on which products of splines meet the tolerance."""
    way = adaptive(problem, Settings(1e-8), start)
    progress = way.begin()
    while not progress.finished:
        progress = way.advance(progress)
    return progress.axes, way.solution(progress)


def test_a_steady_start_needs_no_more_cells_to_be_sure():
    problem = load("nonlinear_poisson2d")[0]
    cold, near = ended(problem)
    warm, _ = ended(problem, near)
    assert all(a.cells <= b.cells + 1 for a, b in zip(warm, cold, strict=True))


def test_a_march_with_a_start_goes_on_with_the_same_bits(near):
    problem, settings = burgers(0.04), Settings(1e-6)
    way, steps = adaptive(problem, settings, near.solution), []
    progress = way.begin()
    while not progress.finished:
        progress = way.advance(progress)
        steps.append(progress)
    kept = Progress.from_plain(steps[len(steps) // 2].plain())
    again = adaptive(problem, settings, near.solution)
    while not kept.finished:
        kept = again.advance(kept)
    for one, other in zip(kept.spans, progress.spans, strict=True):
        assert np.array_equal(one.C, other.C)


def test_layers_of_the_same_kind_are_taken_as_they_are():
    recipe = Recipe(KAN((4,), 5, 3), points=300, schedule="lm:10,extend:6,lm:10", restarts=2)
    before = kanpde.solve(burgers(0.05), recipe=recipe, reference=False)
    begun = prepare(burgers(0.04), recipe, 0, start=before.solution)
    assert torch.equal(begun.network.theta, before.solution.network.theta)
    assert [stage.name for stage in begun.plan.stages] == ["lm"]
    assert begun.plan.restarts == 1
    after = kanpde.solve(burgers(0.04), recipe=recipe, reference=False, start=before)
    assert after.history.records[0].loss < 0.1 * before.history.records[0].loss
    assert len(after.history.stages) == 1


def test_other_layers_are_fitted_to_the_function_first(near):
    recipe = Recipe(KAN((5,), 5, 6), points=400, schedule="lm:5,sparsify:5,prune:1e-4")
    begun = prepare(burgers(0.05), recipe, 0, start=near.solution)
    assert [stage.name for stage in begun.plan.stages] == ["lm"]
    points = burgers(0.05).domain.interior(torch.rand(200, 2, dtype=torch.float64))
    wanted = near.solution(points)
    found = begun.space.solution(begun.network)(points)
    cold = prepare(burgers(0.05), recipe, 0)
    before = cold.space.solution(cold.network)(points)
    assert (found - wanted).norm() < 0.2 * (before - wanted).norm()


def test_products_begin_from_layers():
    recipe = Recipe(KAN((4,), 5, 5), points=300, schedule="lm:20")
    before = kanpde.solve(bratu(1.0), recipe=recipe, reference=False)
    problem = bratu(1.0)
    warm = kanpde.solve(problem, reference=False, start=before)
    assert apart(kanpde.solve(problem, reference=False), warm, problem) < 1e-8


def test_what_a_run_began_from_is_kept_and_compared(near, tmp_path):
    problem = burgers(0.04)
    warm = kanpde.solve(problem, reference=False, pictures=False, out=tmp_path, start=near)
    asked = json.loads((warm.run_dir / "request.json").read_text(encoding="utf-8"))
    assert asked["start"]["run"] == str(near.run_dir.resolve())
    with pytest.raises(RunError, match="begun with start"):
        request.compare(warm.run_dir, asked, {**asked, "start": None})
    again = kanpde.solve(
        problem, reference=False, pictures=False, run_dir=warm.run_dir, resume=True, start=near
    )
    assert again.relative_l2 == warm.relative_l2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: bratu(1.0), r"has the coordinates x, t; expected a run of x, y"),
        (
            lambda: Problem(
                domain=Box(x=(-1, 1)) * Time(t=(0, 0.5)),
                equations=[lambda v, x, t: d(v, t) - d(v, x, x)],
                conditions=[Dirichlet(v=0), Initial(v=lambda x: sin(math.pi * x))],
            ),
            "has the unknowns u; expected a run of v",
        ),
    ],
)
def test_runs_of_other_problems_are_refused(near, make, words):
    with pytest.raises(RunError, match=words) as caught:
        started(near, make())
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_run_is_refused(tmp_path, near):
    with pytest.raises(RunError, match="not a run folder"):
        started(tmp_path, burgers(0.05))
    with pytest.raises(RunError, match="no such run folder"):
        started(tmp_path / "nothing", burgers(0.05))
    with pytest.raises(RunError, match="expected the folder of a run, or a result"):
        started(3, burgers(0.05))
    lost = replace(near, problem=None, solution=None)
    with pytest.raises(RunError, match="was not found again"):
        started(lost, burgers(0.05))


def test_layers_in_spans_of_time_take_no_start(near):
    recipe = Recipe(KAN((3,), 5, 3), points=200, schedule="lm:2", slabs=2)
    with pytest.raises(RecipeError, match="several spans of time"):
        prepare(burgers(0.05), recipe, 0, start=near.solution)


def test_values_in_turn_are_read():
    assert constants_in_turn("nu=0.1, 0.01,1e-3") == ConstantInTurn("nu", (0.1, 0.01, 1e-3))
    for wrong in ("nu", "nu=", "nu=0.1,", "nu=a,b", "=1,2"):
        with pytest.raises(ValueError, match="expected a constant"):
            constants_in_turn(wrong)
    given = [ConstantInTurn("nu", (0.1, 0.01)), ConstantInTurn("end", (1.0,))]
    assert in_turn(given) == [{"nu": 0.1, "end": 1.0}, {"nu": 0.01, "end": 1.0}]
    assert in_turn([]) == [{}]
    with pytest.raises(RecipeError, match="got 2 of nu, 3 of end; expected as many"):
        in_turn([ConstantInTurn("nu", (0.1, 0.01)), ConstantInTurn("end", (1.0, 2.0, 3.0))])


def test_a_continuation_writes_a_run_for_each_value_and_their_figure(tmp_path, capsys):
    words = ["solve", "burgers1d_smooth", "nu=0.06,0.05", "--no-reference", "--json"]
    words += ["--tolerance", "1e-4", "--out", str(tmp_path)]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    folder = next((tmp_path / "burgers1d_smooth").glob("*-continuation"))
    assert told["continuation"] == str(folder)
    rows = json.loads((folder / "continuation.json").read_text(encoding="utf-8"))
    assert [row["constants"]["nu"] for row in rows] == [0.06, 0.05]
    assert (folder / "continuation.png").is_file()
    first, second = (kanpde.load(row["run"]) for row in rows)
    asked = json.loads((second.run_dir / "request.json").read_text(encoding="utf-8"))
    assert asked["start"]["run"] == str(first.run_dir.resolve())
    assert load("burgers1d_smooth", {"nu": 0.05})[0].constants == second.problem.constants
