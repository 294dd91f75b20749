"""Networks for a number of parameters, their training, and the plan of a sweep."""

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from bars import toy

from kanpde import KAN, MLP, Recipe, RecipeError, Tensor
from kanpde.recipes.choosing import choose, default
from kanpde.sweeps import shapes
from kanpde.sweeps.extension import LEAST_RATIO, extended_to, shortened, steps_of, without_grids
from kanpde.sweeps.plan import RESIDUALS_A_PARAMETER, STEPS_AT_MOST, from_plain, plan
from kanpde.training import Extend, parse_schedule, show_schedule


def planned(problem, **lists):
    return plan(problem, choose(problem).recipe, **lists)


def of_kind(found, kind):
    return [trial for trial in found.trials if trial.kind == kind]


def test_budgets_are_a_geometric_series():
    assert shapes.budgets(50, 5000, 3) == (50, 500, 5000)
    assert shapes.budgets(300, 300, 1) == (300,)


@pytest.mark.parametrize(
    ("low", "high", "sizes"), [(100, 50, 4), (50, 100, 1), (50, 100, 0), (0, 100, 4)]
)
def test_an_empty_range_is_refused(low, high, sizes):
    with pytest.raises(RecipeError, match=r"got .* expected"):
        shapes.budgets(low, high, sizes)


@pytest.mark.parametrize("kind", ["kan", "mlp"])
@pytest.mark.parametrize("budget", [54, 200, 800, 5000])
def test_shapes_come_near_their_budget(poisson, kind, budget):
    among = shapes.space(poisson, default(poisson).recipe, kind)
    found = shapes.shape(among, budget)
    assert abs(math.log(among.count(found) / budget)) <= math.log(shapes.CLOSE_TO_BUDGET)
    assert among.count(found) == found.build(2, 1, torch.Generator()).parameters


def test_a_kan_of_many_parameters_is_wider_and_finer_and_goes_through_the_recipes_own_shape(
    poisson,
):
    among = shapes.space(poisson, default(poisson).recipe, "kan")
    assert among.model == (5, 24)
    own = shapes.shape(among, among.count(KAN((5,), 7, 24)))
    assert own.width == (5,)
    assert abs(own.grid - 24) <= 3
    wide = shapes.shape(among, 8 * among.count(own))
    assert wide.width[0] > 5
    assert wide.grid > 24
    assert abs(math.log(wide.grid / (24 * (wide.width[0] / 5) ** shapes.GRID_GROWTH))) < 0.3


@pytest.mark.parametrize(
    ("kind", "nearest"),
    [("kan", r"24 \(KAN 2-1-1, degree 7, grid 1\)"), ("mlp", r"7 \(MLP 2-1-1-1, tanh\)")],
)
def test_a_budget_that_no_network_comes_near_is_refused_and_the_nearest_named(
    poisson, kind, nearest
):
    with pytest.raises(RecipeError, match=f"comes near 3; the nearest possible has {nearest}"):
        shapes.shape(shapes.space(poisson, default(poisson).recipe, kind), 3)


def test_extension_to_another_grid_keeps_the_steps_and_spreads_the_grids():
    schedule = parse_schedule("lm:40,extend:8,lm:40,extend:24,lm:160")
    for last in (1, 3, 4, 7, 20, 200):
        first, stages = extended_to(schedule, 3, last)
        grids = [first, *(stage.grid for stage in stages if isinstance(stage, Extend))]
        assert grids[-1] == last
        assert grids[0] == (3 if last >= LEAST_RATIO * 3 else last)
        assert all(finer >= LEAST_RATIO * coarser for coarser, finer in pairwise(grids))
        assert steps_of(stages) == 240
    assert show_schedule(extended_to(schedule, 3, 24)[1]) == "lm:40,extend:8,lm:40,extend:24,lm:160"
    assert show_schedule(extended_to(schedule, 3, 4)[1]) == "lm:240"


def test_a_schedule_without_grids_and_a_shorter_one():
    schedule = parse_schedule("lm/layer:40,extend:8,lm/layer:40,extend:24,adam:100,lm/layer:160")
    assert show_schedule(without_grids(schedule)) == "lm:80,adam:100,lm:160"
    assert (
        show_schedule(shortened(schedule, 34))
        == "lm/layer:4,extend:8,lm/layer:4,extend:24,adam:10,lm/layer:16"
    )
    assert steps_of(shortened(schedule, 101)) == 101


def test_by_default_all_kinds_have_the_same_optimiser_steps_points_and_seeds(poisson):
    found = planned(poisson)
    assert len(found.trials) == 48
    assert {steps_of(parse_schedule(trial.schedule)) for trial in found.trials} == {STEPS_AT_MOST}
    assert {stage.name for trial in found.trials for stage in parse_schedule(trial.schedule)} == {
        "lm",
        "extend",
    }
    (points,) = {trial.points for trial in found.trials}
    assert points >= RESIDUALS_A_PARAMETER * max(trial.parameters for trial in found.trials)
    assert (
        {trial.seed for trial in of_kind(found, "kan")}
        == {trial.seed for trial in of_kind(found, "mlp")}
        == {0, 1, 2}
    )
    assert len({trial.name for trial in found.trials}) == 48
    for kind in ("kan", "mlp"):
        sizes = sorted({trial.parameters for trial in of_kind(found, kind)})
        assert len(sizes) == 8
        assert 45 <= sizes[0] <= 60
        assert 1800 <= sizes[-1] <= 2200
    assert found.settings["steps"] == [STEPS_AT_MOST]


def test_lists_are_combined_as_far_as_a_kind_has_them(poisson):
    found = planned(
        poisson, width=[3, (4, 2)], depth=[1, 2], grid=[4, 8], degree=[5], seeds=[7], steps=30
    )
    assert {(t.finest.width, t.finest.grid, t.finest.degree) for t in of_kind(found, "kan")} == {
        (w, g, 5) for w in ((3,), (3, 3), (4, 2)) for g in (4, 8)
    }
    assert {t.spec for t in of_kind(found, "mlp")} == {MLP(w) for w in ((3,), (3, 3), (4, 2))}
    assert {t.seed for t in found.trials} == {7}


def test_what_is_not_listed_is_the_recipes(poisson):
    recipe = Recipe(KAN((4,), 5, 3), 500, "lm:20,extend:9,lm:20")
    (trial,) = plan(poisson, recipe, networks=["kan"], degree=[3], width=[6], seeds=1).trials
    assert trial.spec == KAN((6,), 3, 3)
    assert trial.finest == KAN((6,), 3, 9)
    assert trial.schedule == "lm:20,extend:9,lm:20"


def test_a_schedule_that_is_given_is_taken_as_it_is(poisson):
    found = planned(
        poisson,
        networks=["kan", "mlp"],
        width=[3],
        grid=[4],
        schedule=["lm:5,extend:8,lm:6", "adam:9"],
        seeds=1,
    )
    assert [(t.kind, t.schedule, t.last, t.parameters) for t in found.trials] == [
        ("kan", "lm:5,extend:8,lm:6", 8, 9 * 15),
        ("kan", "adam:9", 4, 9 * 11),
        ("mlp", "lm:11", 0, 3 * 3 + 4 * 3 + 4),
        ("mlp", "adam:9", 0, 3 * 3 + 4 * 3 + 4),
    ]


def test_a_plan_survives_json(poisson):
    found = planned(poisson, parameters=(60, 200), sizes=2)
    assert from_plain(json.loads(json.dumps(found.plain())), Path("sweep.json")) == found


def test_the_recipe_of_a_trial_is_what_the_plan_says(tmp_path):
    problem = toy(tmp_path)
    found = planned(problem, parameters=[40], networks=["kan"], seeds=[3], points=80)
    recipe = found.recipe(found.trials[0])
    assert (recipe.network, recipe.points, recipe.schedule, recipe.restarts) == (
        found.trials[0].spec,
        80,
        found.trials[0].schedule,
        1,
    )


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"networks": ["kna"]}, "'kna'; expected some of kan, mlp.*did you mean 'kan'"),
        ({"seeds": []}, "seeds: got none"),
        ({"seeds": 0}, "seeds: got none"),
        ({"width": []}, "width: got none"),
        ({"parameters": (50, 100), "width": [3]}, "parameters: .* not both"),
        ({"sizes": 3, "grid": [3]}, "sizes: .* expected with"),
        ({"schedule": ["lm:5"], "steps": 5}, "steps: got a schedule as well"),
        (
            {"parameters": [2000], "points": 1500},
            "points: got 1,500 for up to 2,025 parameters; expected at least 3,038",
        ),
        ({"degree": [2]}, "degree: got 2 for derivatives of order 2; expected at least 3"),
        ({"networks": ["mlp"], "grid": [3]}, "grid: got 3, but no mlp has one"),
        ({"parameters": (100, 50)}, "empty|smaller number first"),
        ({"parameters": (1, 50)}, "comes near 1; the nearest possible has 24"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(poisson, lists, message):
    with pytest.raises(RecipeError, match=message) as refused:
        planned(poisson, **lists)
    assert "\n" not in str(refused.value)


def test_a_tensor_is_planned_by_its_tolerances(poisson, tmp_path):
    found = planned(poisson, networks=["kan", "tensor"], parameters=[100], seeds=2)
    own = of_kind(found, "tensor")
    assert [trial.tolerance for trial in own] == [1e-2, 1e-4, 1e-6, 1e-8, 1e-10]
    assert {trial.seed for trial in own} == {0}
    assert len({trial.name for trial in own}) == 5
    assert all(found.recipe(t) == Recipe(Tensor(), tolerance=t.tolerance) for t in own)
    assert [trial.cost for trial in own] == sorted(trial.cost for trial in own)
    assert from_plain(json.loads(json.dumps(found.plain())), tmp_path).trials == found.trials
    degrees = planned(poisson, networks=["tensor"], tolerance=[1e-3], degree=[5, 7])
    assert [trial.spec for trial in degrees.trials] == [Tensor(5), Tensor(7)]
    beside = planned(poisson, networks=["tensor", "mlp"], tolerance=[1e-3], parameters=[100])
    assert {trial.kind for trial in beside.trials} == {"tensor", "mlp"}


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"tolerance": [1e-3]}, "no network that is refined up to it; expected tensor among"),
        ({"networks": ["tensor"], "tolerance": [2.0]}, "tolerance: got 2.0"),
        ({"networks": ["tensor"], "tolerance": []}, "tolerance: got none"),
        ({"networks": ["tensor"], "grid": [5]}, "no tensor has one"),
    ],
)
def test_tolerances_that_do_not_fit_are_refused_in_one_line(poisson, lists, message):
    with pytest.raises(RecipeError, match=message):
        planned(poisson, **lists)
