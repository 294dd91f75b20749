"""Recipes without layers, and with a tolerance: what is chosen, what contradicts it, and what a
file holds."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from kanpde import (
    KAN,
    MLP,
    Ball,
    Box,
    Condition,
    Data,
    Dirichlet,
    Eigenvalue,
    Initial,
    Neumann,
    Parameter,
    Problem,
    Recipe,
    RecipeError,
    Table,
    Tensor,
    Time,
    d,
    laplacian,
)
from kanpde.cli.options import NetworkOptions
from kanpde.cli.overrides import asked_for
from kanpde.errors import ProblemError
from kanpde.recipes.checks import check_recipe
from kanpde.recipes.choosing import Choice, choose
from kanpde.recipes.prepare import ProductsBegun, prepare
from kanpde.recipes.refined import refined, settings_of, usual
from kanpde.recipes.written import from_plain, plain
from kanpde.reference.solution import SECONDS_A_SWITCH, work_of

SQUARE = Problem(Box(x=(0, 1), y=(0, 1)), lambda u: laplacian(u) + 1, [Dirichlet(u=0)])
BALL = Problem(
    Ball() * Time(t=(0, 1)),
    lambda u, x, y, z, t: d(u, t) - laplacian(u) - 1,
    [Dirichlet(u=0), Initial(u=0)],
)
OWN = Choice(Recipe(KAN((3,), 5, 3), 100, "lm:9"), ("its own",))


@pytest.mark.parametrize(
    ("tolerance", "words"),
    [
        (0, "got 0; expected a number between 0 and 1, such as 1e-8"),
        (-1e-3, "got -0.001; expected a number between 0 and 1"),
        (1, "got 1; expected a number between 0 and 1"),
        (math.nan, "got nan; expected a number between 0 and 1"),
        ("1e-8", "got '1e-8'; expected a number between 0 and 1"),
        (True, "got True; expected a number between 0 and 1"),
        (1e-16, "got 1e-16, but float64 holds a solution to about 1e-14; expected at least that"),
    ],
)
def test_what_is_no_tolerance_is_refused_in_one_line(tolerance, words):
    for made in (Recipe, to_a_tolerance):
        with pytest.raises(RecipeError, match=r"^tolerance: ") as refused:
            made(schedule="lm:9", tolerance=tolerance)
        assert words in str(refused.value)
        assert "\n" not in str(refused.value)


def to_a_tolerance(schedule, tolerance):
    return usual(SQUARE, OWN, tolerance)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"schedule": "lm:60"}, "schedule: got lm:60, but a tensor product of splines"),
        ({"schedule": "compress:1e-9,lm:60"}, "schedule: got compress:1e-09,lm:60, but"),
        ({"schedule": "compress:2"}, "compress: got a loss of 2; expected a share"),
        ({"schedule": "compress:x"}, "got 'x' for a number; expected such as compress:1e-8"),
        ({"points": 100}, "points: got 100, but a tensor product of splines"),
        ({"slabs": 2}, "slabs: got 2"),
        ({"balance": "ntk"}, "balance: got 'ntk'"),
    ],
)
def test_what_belongs_to_layers_is_refused_for_a_tensor(settings, words):
    with pytest.raises(RecipeError, match=words):
        Recipe(Tensor(), **settings)


def test_a_schedule_that_gives_up_accuracy_contradicts_a_tolerance():
    with pytest.raises(RecipeError, match="tolerance: got 1e-06 with sparsify:9,prune:1e-06 in"):
        Recipe(schedule="lm:9,sparsify:9,prune:1e-6", tolerance=1e-6)


def test_compression_has_its_part_of_a_tolerance():
    settings = settings_of(Recipe(Tensor(), schedule="compress:3e-9", tolerance=1e-8), "default")
    assert settings.tolerance == pytest.approx(7e-9)
    with pytest.raises(RecipeError, match="tolerance: got 1e-08 with compress:1e-06 in the"):
        Recipe(Tensor(), schedule="compress:1e-6", tolerance=1e-8)
    with pytest.raises(RecipeError, match="compress takes products of splines"):
        Recipe(schedule="compress:1e-6")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"degree": 2}, "degree: got 2; expected a whole number, 3 to 9"),
        ({"degree": 10}, "degree: got 10"),
        ({"modes": 2.5}, "modes: got 2.5"),
        ({"cells": 1}, "cells: got 1; expected a whole number, 8 to 100,000"),
    ],
)
def test_what_a_tensor_cannot_be_is_refused(settings, words):
    with pytest.raises(RecipeError, match=words):
        Tensor(**settings)


def test_a_tensor_is_taken_where_it_can_take_the_problem():
    found = usual(SQUARE, OWN, 1e-7)
    assert found.recipe == Recipe(Tensor(), tolerance=1e-7)
    assert len(found.reasons) == 1
    own = refined(Tensor(degree=5), tolerance=1e-3)
    assert usual(SQUARE, own, 1e-7).recipe == Recipe(Tensor(degree=5), tolerance=1e-7)


@pytest.mark.parametrize(
    ("problem", "machine", "why"),
    [
        (BALL, {}, "is no box"),
        (SQUARE, {"device": "cuda"}, "runs on the CPU"),
        (SQUARE, {"dtype": "float32"}, "needs float64"),
    ],
)
def test_elsewhere_training_stops_at_the_tolerance(problem, machine, why):
    found = usual(problem, OWN, 1e-5, **machine)
    assert found.recipe == Recipe(KAN((3,), 5, 3), 100, "lm:9", tolerance=1e-5)
    assert found.reasons[0] == "its own"
    assert why in found.reasons[1]
    without = usual(problem, OWN, **machine)
    assert (without.recipe, without.reasons) == (
        OWN.recipe,
        (*found.reasons[:1], *without.reasons[1:]),
    )
    assert why in without.reasons[1]
    with pytest.raises((RecipeError, ProblemError), match=why):
        usual(problem, replace(refined(Tensor()), stated=True), 1e-5, **machine)


HALF = Problem(
    SQUARE.domain,
    lambda u: laplacian(u) + 1,
    [Dirichlet(u=0, where=lambda x, y: x < 0.5), Neumann(u=0, where=lambda x, y: x >= 0.5)],
)


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (HALF, "holds on a part of a face"),
    ],
)
def test_products_are_not_taken_where_they_do_not_suit(problem, why):
    found = usual(problem, OWN)
    assert found.recipe == OWN.recipe
    assert re.search(why, found.reasons[1])
    assert not isinstance(usual(problem, OWN, 1e-4).recipe.network, Tensor)


def test_what_a_file_states_is_changed_by_a_tolerance_alone():
    stated = replace(OWN, stated=True)
    assert usual(SQUARE, stated) is stated
    assert usual(SQUARE, stated, 1e-7).recipe == Recipe(Tensor(), tolerance=1e-7)


@pytest.mark.parametrize(
    ("effort", "tolerance"), [("quick", 1e-5), ("default", 1e-8), ("record", 1e-12)]
)
def test_without_a_tolerance_the_effort_says_which(effort, tolerance):
    beside = {"default": Recipe(Tensor())}
    asked = asked_for(SQUARE, OWN, NetworkOptions(kind="tensor"), {}, effort).recipe
    stated, own = choose(SQUARE, beside, effort).recipe, usual(SQUARE, OWN).recipe
    assert asked == stated == Recipe(Tensor()), "who asked for products gets no layers"
    assert own == Recipe(Tensor(), or_layers=True)
    assert from_plain(json.loads(json.dumps(plain(own)))) == own
    for recipe in (asked, stated, own):
        begun = prepare(SQUARE, recipe, 0, effort=effort)
        assert isinstance(begun, ProductsBegun)
        assert begun.settings.tolerance == tolerance


def test_options_change_a_tensor_and_its_tolerance():
    asked = NetworkOptions("tensor", None, {"degree": (7,)}, {"modes": "9"})
    found = asked_for(SQUARE, OWN, asked, {"tolerance": 1e-3, "points": None}, "default")
    assert found.recipe == Recipe(Tensor(7, 9), tolerance=1e-3)
    back = asked_for(SQUARE, found, NetworkOptions("mlp"), {"tolerance": 1e-4}, "default")
    assert isinstance(back.recipe.network, MLP)
    assert back.recipe.tolerance == 1e-4
    assert back.recipe.stages


@pytest.mark.parametrize(
    ("options", "parts", "words"),
    [
        ({"width": (5,)}, {}, "--width: tensor has none; expected one of degree, modes, cells"),
        ({"levels": {"grid": (5,)}}, {}, "--grid: tensor has none"),
        ({"levels": {"degree": (5, 7)}}, {}, "--degree 5,7: expected one number"),
        ({"settings": {"mode": "5"}}, {}, "--with mode=5: tensor has none.*did you mean 'modes'"),
        ({"schedule": "lm:5"}, {}, "schedule: got lm:5, but a tensor product of splines"),
        ({}, {"restarts": 3}, "restarts: got 3, but a tensor product of splines"),
    ],
)
def test_options_that_a_tensor_does_not_have_are_refused(options, parts, words):
    with pytest.raises(RecipeError, match=words):
        asked_for(SQUARE, OWN, NetworkOptions("tensor", **options), parts, "default")


def test_a_recipe_with_a_tolerance_survives_json_and_one_without_is_as_before():
    for recipe in (
        Recipe(Tensor(7, 9, 50), tolerance=1e-6),
        Recipe(KAN((3,)), 100, "lm:9", tolerance=1e-6),
        Recipe(KAN((3,)), 100, "lm:9"),
    ):
        again = json.loads(json.dumps(plain(recipe)))
        assert ("tolerance" in again) is (recipe.tolerance is not None)
        assert plain(from_plain(again)) == plain(recipe)
        assert type(from_plain(again).network) is type(recipe.network)


def test_single_precision_does_not_hold_every_tolerance():
    recipe = Recipe(KAN((3,), 5, 3), 100, "lm:9", tolerance=1e-8)
    with pytest.raises(RecipeError, match="float32 holds a solution to about 1e-06"):
        prepare(SQUARE, recipe, 0, dtype="float32")


def test_data_decide_how_well_parameters_are_known():
    data = Data({"x": torch.linspace(0, 1, 5), "u": torch.zeros(5)})
    inverse = Problem(
        Box(x=(0, 1)),
        lambda u, x, k: k * d(u, x, x) + 1,
        [Dirichlet(u=0)],
        parameters=[Parameter("k", 1.0)],
        data=[data],
    )
    recipe = Recipe(KAN((3,), 5, 3), 100, "lm:9", tolerance=1e-4)
    with pytest.raises(RecipeError, match="unknown parameters, whose errors its data decide"):
        check_recipe(inverse, recipe, 0)


def test_eigenvalues_take_a_tolerance():
    rod = Problem(
        Box(x=(0, 1)),
        lambda u, x, k: d(u, x, x) + k * u,
        [Dirichlet(u=0)],
        parameters=[Eigenvalue("k")],
    )
    check_recipe(rod, Recipe(Tensor(), tolerance=1e-4), 0)


def test_a_degree_too_low_for_the_equation_is_refused():
    bent = Problem(
        Box(x=(0, 1)),
        lambda u, x: d(u, x, x, x, x) - 1,
        [Dirichlet(u=0), Condition(lambda u, x: d(u, x))],
    )
    with pytest.raises(RecipeError, match="degree: got 4 for derivatives of order 4"):
        check_recipe(bent, Recipe(Tensor(degree=4), tolerance=1e-4), 0)


def test_a_march_may_do_more_work_for_every_place_where_it_begins_anew():
    few, many = (settings_of(Recipe(Tensor()), "default", places).work for places in (0, 1000))
    assert many == 1.5 * few
    table = Table({"t": np.arange(101.0), "f": np.sin(np.arange(101.0))}, x="t", y="f")
    line = Box(x=(0, 1)) * Time(t=(0, 100))
    allowed = []
    for source in (table, torch.sin):
        conditions = [Neumann(u=0), Initial(u=0)]
        equation = [lambda u, x, t, f=source: d(u, t) - d(u, x, x) - f(t)]
        allowed.append(work_of(Problem(line, equation, conditions), "quick"))
    assert allowed[0] > allowed[1]
    assert allowed[0] == pytest.approx(allowed[1] + 99 * SECONDS_A_SWITCH)
