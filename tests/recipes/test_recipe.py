"""Recipes: what is chosen by itself, by how fast a solution changes and by effort, and what is
refused."""

import math

import pytest
import torch

from kanpde import (
    KAN,
    Box,
    Dirichlet,
    Extend,
    Initial,
    Periodic,
    Problem,
    Recipe,
    RecipeError,
    Time,
    d,
)
from kanpde.problem.file import load
from kanpde.recipes.choosing import choose
from kanpde.recipes.pace import pace
from kanpde.recipes.written import from_plain, plain

RING = Box(x=(0, 2)) * Time(t=(0, 3))


def wave(x):
    return torch.sin(torch.pi * x)


def test_the_pace_is_how_often_the_start_changes_in_the_whole_time():
    moving = Problem(RING, lambda u, x, t: d(u, t) + 4 * d(u, x), [Periodic("x"), Initial(u=wave)])
    assert pace(moving) == pytest.approx(3 * 4 * math.pi, rel=1e-2)
    decaying = Problem(
        RING,
        lambda u, x, t: 2 * d(u, t) - d(u, x, x) + u**2 - u * u,
        [Periodic("x"), Initial(u=wave)],
    )
    assert pace(decaying) == pytest.approx(3 * math.pi**2 / 2, rel=1e-6)
    ringing = Problem(
        RING, lambda u, x, t: d(u, t, t) - 9 * d(u, x, x), [Periodic("x"), Initial(u=wave, u_t=0)]
    )
    assert pace(ringing) == pytest.approx(3 * 3 * math.pi, rel=1e-6)

    def turning(u, v, x, t):
        return d(u, t) - 5 * v, d(v, t) + 5 * u

    assert pace(
        Problem(RING, turning, [Initial(u=wave, v=lambda x: torch.cos(torch.pi * x))])
    ) == pytest.approx(15, rel=1e-6)


def test_there_is_no_pace_where_the_equations_do_not_give_one():
    assert pace(load("poisson2d")[0]) is None
    assert pace(load("taylor_green2d")[0]) is None, "the pressure has no derivative in time"
    kink = Problem(
        RING,
        lambda u, x, t: d(u, t) - d(u, x, x),
        [Dirichlet(u=0), Initial(u=lambda x: torch.sqrt(x * 0))],
    )
    assert pace(kink) is None


def test_what_turns_round_more_than_once_is_taken_in_spans():
    found = choose(load("convection1d")[0])
    assert found.recipe.slabs == 5
    assert any("5 spans of time" in reason for reason in found.reasons)
    assert choose(load("heat1d")[0]).recipe.slabs == 1


def test_effort():
    problem = load("heat1d")[0]
    given = Recipe(KAN(), points=100, schedule="lm:30,extend:8,lm:60", restarts=2)
    quick, usual, record = (
        choose(problem, {"default": given}, effort).recipe
        for effort in ("quick", "default", "record")
    )
    assert usual == given
    assert [s.grid if isinstance(s, Extend) else s.steps for s in quick.stages] == [10, 8, 20]
    assert (quick.restarts, quick.points) == (1, 100)
    assert [s.grid if isinstance(s, Extend) else s.steps for s in record.stages] == [120, 8, 240]
    assert (record.restarts, record.points) == (2, 200)
    own = Recipe(KAN(), schedule="lm:7")
    assert choose(problem, {"default": given, "record": own}, "record").recipe == own
    with pytest.raises(
        RecipeError, match="effort: got 'best'; expected one of quick, default, record"
    ):
        choose(problem, {}, "best")


def test_a_recipe_for_layers_is_not_stated_for_every_network():
    problem, layers = load("heat1d")[0], Recipe(KAN(), schedule="lm:30")
    found = choose(problem, {"kan": layers})
    assert (found.recipe, found.stated) == (layers, False)
    assert [s.steps for s in choose(problem, {"kan": layers}, "quick").recipe.stages] == [10]
    other = Recipe(KAN(), schedule="lm:9")
    for given in ({"default": other}, {"default": other, "kan": layers}):
        assert (choose(problem, given).recipe, choose(problem, given).stated) == (other, True)


def test_what_is_called_recipe_is_one():
    from kanpde.problem import file as problems

    with pytest.raises(
        RecipeError, match=r"recipe: got int; expected Recipe\(…\), or another name for it"
    ):
        choose(problems.load("poisson2d")[0], {"default": 3})


def test_what_looks_at_holes_is_said_and_kept():
    problem, recipes = load("cylinder_flow2d")
    found = choose(problem, recipes)
    assert "inputs of their own about cylinder, which see it enlarged" in found.reasons
    assert "50% of the points crowd about cylinder" in found.reasons
    back = from_plain(plain(found.recipe))
    assert (back.lenses, back.crowding) == (True, 0.5)
    without = choose(problem, {"default": Recipe(KAN(), schedule="lm:1")})
    assert not any("enlarged" in reason or "crowd" in reason for reason in without.reasons)


@pytest.mark.parametrize("share", [-0.1, 1.5, math.nan])
def test_crowding_is_a_share(share):
    with pytest.raises(RecipeError, match=f"^crowding: got {share:g}; expected a share, 0 to 1$"):
        Recipe(KAN(), schedule="lm:1", crowding=share)
