"""A problem's units make no difference: what is trained has none."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from scipy.integrate import solve_bvp, solve_ivp

from kanpde import (
    KAN,
    Box,
    Condition,
    Dirichlet,
    Initial,
    Interface,
    Neumann,
    Pieces,
    Problem,
    Recipe,
    Robin,
    Time,
    d,
)
from kanpde.geometry.sampling import inside_points
from kanpde.networks.restore import restore
from kanpde.networks.scales import Scales
from kanpde.problem import file as problems
from kanpde.recipes.dimensions import scales_of
from kanpde.recipes.polynomials import balanced, glance
from kanpde.recipes.prepare import prepare
from kanpde.solver import solve

BOLTZMANN = 5.670374419e-8


def wall(k=0.8, width=0.3, made=900.0, loss=9.0, air=293.15):
    """A heated wall, insulated on one side, and its temperature."""

    def truth(x):
        return air + made * width / loss + made / (2 * k) * (width**2 - x**2)

    def heat(T, x):
        return k * d(T, x, x) + made

    sides = [Neumann(T=0, on="x-"), Robin(T=loss * air, a=loss, b=k, on="x+")]
    return Problem(Box(x=(0, width)), heat, sides), {"T": truth}


def fin(k=40.0, width=0.25, c=450.0, hot=700.0, around=300.0, unit=1.0, zero=0.0):
    """A rod that radiates: T'' = c σ (T⁴ - T_around⁴) / k, in units of `unit` kelvin from
    `zero`."""
    hot, around, c = hot / unit, around / unit, c * BOLTZMANN * unit**3 / k
    x = np.linspace(0, width, 100)
    found = solve_bvp(
        lambda x, y: np.stack([y[1], c * (y[0] ** 4 - around**4)]),
        lambda low, high: np.array([low[0] - hot, high[1]]),
        x,
        np.stack([hot + 0 * x, 0 * x]),
        tol=1e-10,
        max_nodes=20000,
    )

    def radiation(T, x):
        return k * d(T, x, x) - k * c * ((T - zero) ** 4 - around**4)

    sides = [Dirichlet(T=hot + zero, on="x-"), Neumann(T=0, on="x+")]
    return Problem(Box(x=(0, width)), radiation, sides), {"T": lambda x: found.sol(x)[0] + zero}


def tank(amount=1.0, kelvin=1.0, second=1.0, zero=0.0):
    """A stirred tank with a rate by Arrhenius' law, in units of so many mol/m³, K and s."""

    def slopes(c, T, exp):
        rate = 7.2e8 * exp(-7.0e4 / (8.314 * T)) * c
        return (1e3 - c) / 60 - rate, (350 - T) / 60 + 0.05 * rate + 0.02 * (300 - T)

    march = solve_ivp(
        lambda t, y: slopes(*y, np.exp), (0, 300), [500.0, 320.0], "DOP853", rtol=1e-11, atol=1e-9,
        dense_output=True,
    )  # fmt: skip

    def physical(c, T):
        return (c - zero) * amount, (T - zero) * kelvin

    def balance(c, T, t):
        fed, heated = slopes(*physical(c, T), torch.exp)
        return d(c, t) - fed * second / amount, d(T, t) - heated * second / kelvin

    start = Dirichlet(c=500 / amount + zero, T=320 / kelvin + zero, on="t-")
    return Problem(Box(t=(0, 300 / second)), balance, start), {
        "c": lambda t: march.sol(t * second)[0] / amount + zero,
        "T": lambda t: march.sol(t * second)[1] / kelvin + zero,
    }


def slabs(k=(1.38, 400.0), flux=200.0, left=293.15):
    """Two slabs of length 1."""
    domain = Pieces(lower=Box(y=(0, 1)), upper=Box(y=(1, 2)))
    through = Interface(T=0, flux=dict(zip(domain.regions, k, strict=True)))
    sides = [Dirichlet(T=left, on="y-"), Neumann(T=flux / k[1], on="y+"), through]

    def truth(y):
        return left + np.where(y < 1, flux / k[0] * y, flux / k[0] + flux / k[1] * (y - 1))

    return Problem(domain, lambda T, y: d(T, y, y), sides), {"T": truth}


SMALL = Recipe(KAN((4,), 7, 4), 150, "lm:40")


def errors(problem, truth, recipe=SMALL, effort="default"):
    """By unknown, over how much it varies."""
    result = solve(problem, recipe=recipe, effort=effort, reference=False)
    points = inside_points(problem.domain, 500, 5)
    found = result.solution(points).detach().numpy()
    wanted = [truth[u](*points.numpy().T) for u in problem.unknowns]
    return {
        u: float(np.sqrt(np.mean((found[:, k] - t) ** 2)) / np.std(t))
        for k, (u, t) in enumerate(zip(problem.unknowns, wanted, strict=True))
    }


UNITS = {
    "a heated wall in watts, metres and kelvin": wall(),
    "a heated wall at 300": wall(1.0, 1.0, 1.0, 3.0, 300.0),
    "a rod that radiates, in kelvin": fin(),
    "a rod that radiates, in units of 300 K from 300": fin(1.0, 1.0, 0.7, unit=300.0, zero=300.0),
    "a stirred tank in mol/m³, kelvin and seconds": tank(),
    "a stirred tank in other units from 300": tank(1e3, 50.0, 60.0, 300.0),
}


@cache
def errors_in(name):
    """Of one of UNITS."""
    return errors(*UNITS[name])


@pytest.mark.parametrize("name", UNITS)
def test_errors_over_the_variation_do_not_know_the_units(name):
    assert max(errors_in(name).values()) < 1e-6


def test_two_systems_of_units_train_alike():
    first = errors_in("a stirred tank in mol/m³, kelvin and seconds")
    second = errors(*tank(1e-3, 1e-2, 1e-4, 2e5))
    assert all(1 / 3 < first[u] / second[u] < 3 for u in first)


def test_slabs_at_room_temperature():
    """Of silica and copper: the nearer conductivities are, the fewer steps it takes."""
    problem, truth = slabs()
    recipe = Recipe(KAN((5,), 7, 3), 300, "lm/layer:40,extend:8,lm/layer:60")
    assert errors(problem, truth, recipe)["T"] < 1e-5  # 1e-9 by default


def test_scales_change_as_units_do():
    first, second = scales_of(tank()[0]), scales_of(tank(1e3, 1e4, 1e-3, 1e6)[0])
    for u, unit in (("c", 1e3), ("T", 1e4)):
        assert second.size(u) * unit == pytest.approx(first.size(u), rel=1e-3)
        assert (second.offset(u) - 1e6) * unit == pytest.approx(first.offset(u), rel=1e-3)


def test_sizes_are_those_of_the_solution():
    problem, truth = tank()
    scales, t = scales_of(problem), np.linspace(0, 300, 400)
    for u in "cT":
        values = truth[u](t)
        assert scales.size(u) == pytest.approx(np.ptp(values) / 2, rel=0.3)
        assert values.min() < scales.offset(u) < values.max()


@pytest.mark.parametrize(
    "name", ["poisson2d", "heat1d", "kovasznay2d", "interface2d", "cylinder_flow2d"]
)
def test_what_is_of_order_one_stays_as_it_is(name):
    assert scales_of(problems.load(name)[0]) == Scales()


def test_balanced_rows_and_outputs_commute_with_units():
    generator = torch.Generator().manual_seed(3)
    blocks = torch.rand(5, 3, generator=generator, dtype=torch.float64) + 0.1
    blocks[1, 2] = blocks[4, 0] = 0
    rows = 10.0 ** torch.arange(-8, 12, 4, dtype=torch.float64)
    outputs = torch.tensor([1e6, 1.0, 1e-9], dtype=torch.float64)
    a, b = balanced(blocks)
    a_changed, b_changed = balanced(rows[:, None] * blocks * outputs)
    once, again = blocks * b / a[:, None], rows[:, None] * blocks * outputs * b_changed
    torch.testing.assert_close(again / a_changed[:, None], once, rtol=1e-6, atol=0)


def test_a_glance_says_nothing_where_functions_are_not_finite():
    def equation(u, x):
        return d(u, x) + torch.log(u - 3)

    assert glance(Problem(Box(x=(0, 1)), equation, Dirichlet(u=2.0, on="x-"))) is None


def test_conditions_and_derivatives_hold_with_offsets_and_sizes():
    """Values that are built in stay exact, and derivatives are those of the values."""
    heat = Problem(
        Box(x=(0, 0.1)) * Time(t=(0, 200)),
        lambda T, x, t: 3.6e6 * d(T, t) - 50 * d(T, x, x),
        [Dirichlet(T=293), Initial(T=lambda x: 293 + 50 * torch.sin(10 * math.pi * x))],
    )
    solution = solve(heat, recipe=Recipe(KAN((3,), 5, 3), 50, "lm:2"), reference=False).solution
    assert solution.space.scales.offset("T") == pytest.approx(318, abs=5)
    t = torch.linspace(0, 200, 9, dtype=torch.float64)
    ends = torch.stack([torch.full_like(t, 0.1), t], 1)
    torch.testing.assert_close(
        solution(ends), torch.full((9, 1), 293.0).double(), rtol=1e-14, atol=0
    )
    at, h = torch.tensor([[0.03, 80.0]], dtype=torch.float64), 1e-5
    step = torch.tensor([[h, 0.0]], dtype=torch.float64)
    slope = (solution(at + step) - solution(at - step)) / (2 * h)
    torch.testing.assert_close(solution.derivatives(at, [("T", (1, 0))]), slope, rtol=1e-6, atol=0)


def test_a_saved_solution_has_its_scales():
    problem, _ = wall()
    solution = solve(problem, recipe=Recipe(KAN((3,), 5, 3), 50, "lm:3"), reference=False).solution
    again = restore(problem, solution.state())
    points = inside_points(problem.domain, 20, 1)
    assert again.space.scales == solution.space.scales != Scales()
    assert torch.equal(again(points), solution(points))
    bare = {key: value for key, value in solution.state().items() if key != "scales"}
    assert restore(problem, bare).space.scales == Scales()


def test_rows_are_divided_by_their_sizes():
    """A loss means the same whatever an equation and a soft condition were multiplied by."""

    def bent(factor):
        def equation(u, x):
            return factor * (d(u, x, x, x, x) - 1e-2)

        moment = Condition(lambda u, x: factor * d(u, x, x), on="x+")
        force = Condition(lambda u, x: factor * d(u, x, x, x), on="x+")
        clamp = [Dirichlet(u=0, on="x-"), Neumann(u=0, on="x-")]
        problem = Problem(Box(x=(0, 1)), equation, [*clamp, moment, force])
        recipe = Recipe(KAN((3,), 7, 3), 60, "lm:1")
        return solve(problem, recipe=recipe, reference=False).history.records[-1].loss

    assert bent(1e9) == pytest.approx(bent(1e-9), rel=1e-6)


def test_a_beginning_costs_little():
    """The glance is the only thing that is computed twice."""
    problem = problems.load("poisson2d")[0]
    scales_of.cache_clear()
    prepare(problem, SMALL, 0)
    prepare(problem, SMALL, 0)
    assert scales_of.cache_info().misses == 1
