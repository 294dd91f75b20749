"""Products of splines solved to a tolerance, against closed forms and integrators of others."""

import math

import numpy as np
import pytest
import torch
from refined import gone_on_halfway, solved
from scipy.integrate import solve_ivp

import kanpde
from kanpde import (
    Ball,
    Box,
    Condition,
    Dirichlet,
    Initial,
    Neumann,
    Periodic,
    Problem,
    Robin,
    Time,
    d,
    laplacian,
)
from kanpde.errors import ProblemError
from kanpde.products.adaptive import adaptive
from kanpde.products.held import held
from kanpde.products.newton import Iterate, LeastSquares, least_squares
from kanpde.products.normal import normal
from kanpde.products.progress import Settings


def error(problem, solution, unknown="u"):
    """Largest error at random points over the amplitude."""
    generator = np.random.default_rng(3)
    columns = [generator.uniform(*problem.domain.bounds[x], 2000) for x in problem.coordinates]
    points = torch.from_numpy(np.stack(columns, 1))
    exact = problem.exact_values(points)[unknown].numpy()
    found = solution(points)[:, problem.unknowns.index(unknown)].numpy()
    return np.abs(found - exact).max() / (np.ptp(exact) / 2)


def rod(begin=300.0, tolerance=1e-8):
    """A rod of copper in SI units, 300 K warm, whose right end is insulated."""
    length, diffusivity, rise = 0.2, 1.17e-4, 20.0
    k = np.pi / 2 / length

    def exact(x, t):
        return begin + rise * torch.exp(-diffusivity * k**2 * t) * torch.sin(k * x)

    return Problem(
        Box(x=(0, length)) * Time(t=(0, 300.0)),
        lambda u, x, t: d(u, t) - diffusivity * d(u, x, x),
        [
            Dirichlet(u=begin, on="x-"),
            Neumann(u=0, on="x+"),
            Initial(u=lambda x: begin + rise * torch.sin(k * x)),
        ],
        exact={"u": exact},
    )


@pytest.mark.parametrize("tolerance", [1e-4, 1e-8])
def test_a_rod_in_si_units_is_right_to_the_tolerance(tolerance):
    problem = rod()
    solution, progress = solved(problem, tolerance)
    assert not progress.missed
    assert error(problem, solution) < tolerance


def test_a_steady_plate_with_a_robin_condition_is_right_to_the_tolerance():
    def exact(x, y):
        return torch.exp(x) * torch.cos(2 * y)

    problem = Problem(
        Box(x=(0, 1), y=(0, 1)),
        lambda u, x, y: laplacian(u) + 3 * torch.exp(x) * torch.cos(2 * y),
        [
            Dirichlet(u=lambda y: torch.cos(2 * y), on="x-"),
            Robin(u=lambda y: 2 * np.e * torch.cos(2 * y), on="x+"),
            Neumann(u=0, on="y-"),
            Dirichlet(u=lambda x: torch.exp(x) * np.cos(2.0), on="y+"),
        ],
        exact={"u": exact},
    )
    solution, progress = solved(problem, 1e-8)
    assert not progress.missed
    assert error(problem, solution) < 1e-8


def test_a_periodic_wave_keeps_its_bits_when_it_goes_on():
    problem = Problem(
        Box(x=(0, 2 * np.pi)) * Time(t=(0, 1)),
        lambda u, x, t: d(u, t, t) - 4 * d(u, x, x),
        [Periodic("x"), Initial(u=lambda x: torch.sin(x), u_t=0)],
        exact={"u": lambda x, t: torch.sin(x) * torch.cos(2 * t)},
    )
    solution, progress, gone_on = gone_on_halfway(problem, 1e-6)
    assert error(problem, solution) < 1e-6
    for one, other in zip(progress.spans, gone_on.spans, strict=True):
        np.testing.assert_array_equal(one.C, other.C)


def test_an_epidemic_is_marched_as_scipy_does_it():
    people, beta, gamma = 1e6, 0.4, 0.1
    problem = Problem(
        Box(t=(0, 80)),
        [
            lambda S, J, t: d(S, t) + beta * S * J / people,
            lambda S, J, t: d(J, t) - beta * S * J / people + gamma * J,
        ],
        [Dirichlet(S=people - 10, J=10.0, on="t-")],
        unknowns=["S", "J"],
    )
    solution, progress = solved(problem, 1e-8)
    assert not progress.missed
    t = np.linspace(0, 80, 101)
    judge = solve_ivp(
        lambda t, y: [-beta * y[0] * y[1] / people, beta * y[0] * y[1] / people - gamma * y[1]],
        (0, 80),
        [people - 10, 10.0],
        "DOP853",
        t,
        rtol=1e-12,
        atol=1e-6,
    )
    found = solution(torch.from_numpy(t)[:, None]).numpy().T
    assert np.abs(found - judge.y).max() < 1e-8 * np.ptp(judge.y[0]) / 2


def test_a_start_that_contradicts_the_boundary_is_right_after_it_and_said():
    """u = 1 at the left end of a rod that is 0 at first."""

    def exact(x, t):
        modes = (
            2 / (k * np.pi) * torch.sin(k * np.pi * x) * torch.exp(-((k * np.pi) ** 2) * t)
            for k in range(1, 60)
        )
        return 1 - x - sum(modes)

    with pytest.warns(kanpde.errors.ProblemWarning, match="discontinuous"):
        problem = Problem(
            Box(x=(0, 1)) * Time(t=(0, 0.1)),
            lambda u, x, t: d(u, t) - d(u, x, x),
            [Dirichlet(u=1, on="x-"), Dirichlet(u=0, on="x+"), Initial(u=0)],
            exact={"u": exact},
        )
    solution, progress = solved(problem, 1e-4)
    assert progress.missed[0].startswith("t = 0 to ")
    x = torch.linspace(0, 1, 101, dtype=torch.float64)
    for t in (0.02, 0.1):
        points = torch.stack([x, torch.full_like(x, t)], 1)
        assert (solution(points)[:, 0] - exact(x, torch.tensor(t))).abs().max() < 1e-4


def test_a_minimum_that_is_no_solution_misses_the_tolerance():
    """y' = y² with y(0) = 1 has no solution beyond 1; squares have a minimum all the same."""
    problem = Problem(
        Box(x=(0, 2)),
        lambda u, x: d(u, x) - u**2,
        [Condition(lambda u, x: u - 1, on="x-")],
    )
    _, progress = solved(problem, 1e-2, degree=5)
    assert progress.missed


def test_a_start_between_the_points_is_found():
    """A peak of a width of 1/20000, which the points of the first cells do not see."""
    width, place = 1 / 20000, 0.43217
    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 1e-9)),
        lambda u, x, t: d(u, t) - d(u, x, x),
        [
            Dirichlet(u=0),
            Initial(
                u=lambda x: torch.sin(np.pi * x) + torch.exp(-(((x - place) / width) ** 2) / 2)
            ),
        ],
    )
    space = adaptive(problem, Settings(1e-4)).begin().axes[0]
    shortest = np.diff(space.breaks)[space.cell_of(np.array([place]))[0]]
    assert shortest < 20 * width


def test_cells_that_do_not_fit_into_memory_are_not_tried(monkeypatch):
    problem = kanpde.problem.file.load("helmholtz2d")[0]
    monkeypatch.setattr("kanpde.products.attempts.available", lambda: 1.33e7)
    _, progress = solved(problem, 1e-8)
    assert "GB of memory, --network separable little" in progress.reason
    assert "on 21 x 32 cells; 21 x 56 would take" in progress.reason


def test_a_source_between_the_points_is_found():
    """A peak of a width of 1/400, which the points of the first cells do not see."""
    width, place = 1 / 400, 0.4321

    def exact(x):
        return torch.exp(-(((x - place) / width) ** 2) / 2) + torch.sin(np.pi * x)

    def source(x):
        z = (x - place) / width
        return torch.exp(-(z**2) / 2) * (z**2 - 1) / width**2 - np.pi**2 * torch.sin(np.pi * x)

    problem = Problem(
        Box(x=(0, 1)),
        lambda u, x: d(u, x, x) - source(x),
        [Dirichlet(u=exact)],
        exact={"u": exact},
    )
    solution, progress = solved(problem, 1e-3)
    assert not progress.missed
    assert error(problem, solution) < 1e-3


def test_a_solution_that_blows_up_says_so(monkeypatch):
    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 0.2)),
        lambda u, x, t: d(u, t) - d(u, x, x) - u**2,
        [Dirichlet(u=0), Initial(u=lambda x: 20 * torch.sin(np.pi * x))],
    )
    monkeypatch.setattr("kanpde.products.marching.SHORTEST_SPAN", 1e-4)
    _, progress = solved(problem, 1e-2, degree=5, modes=5)
    assert progress.missed
    assert "blow up" in progress.reason


def test_equations_without_a_solution_are_given_up():
    boundary = [Dirichlet(u=0)]
    runaway = Problem(Box(x=(0, 1)), lambda u, x: d(u, x, x) + 4.5 * torch.exp(u), boundary)
    with np.errstate(over="raise"):
        _, progress = solved(runaway, 1e-5)
    assert progress.estimate == np.inf
    assert progress.missed[0].startswith("Newton's method does not converge")


def test_work_that_is_used_up_ends_a_march_and_a_refinement():
    _, whole = solved(rod(), 1e-6)
    _, progress = solved(rod(), 1e-6, work=whole.work / 3)
    assert progress.work < whole.work
    assert progress.estimate == np.inf, "nothing is known of the time that is left"
    assert "the work of this effort is used up" in progress.missed[0]
    peak = Problem(
        Box(x=(0, 1), y=(0, 1)),
        lambda u, x, y: laplacian(u) + torch.exp(-((x - 0.5) ** 2 + (y - 0.4) ** 2) * 400),
        [Dirichlet(u=0)],
    )
    _, whole = solved(peak, 1e-6)
    _, progress = solved(peak, 1e-6, work=whole.work / 3)
    assert progress.work < whole.work / 3
    assert 1e-6 < progress.estimate < 1, "the last attempt is kept, with its error"
    assert "beyond the work of this effort" in progress.missed[0]


def test_spans_end_where_a_source_or_the_data_of_a_face_switch():
    def warmed(x, t):
        return 293.15 + 0.5 * torch.clamp(t - 100.0, min=0)

    heated = Problem(
        Box(x=(0, 0.2)) * Time(t=(0, 400.0)),
        lambda u, x, t: d(u, t) - 1e-4 * d(u, x, x) - torch.where(t > 100.0, 0.5, 0.0),
        [Neumann(u=0), Initial(u=293.15)],
        exact={"u": warmed},
    )
    held_up = Problem(
        Box(x=(0, 1)) * Time(t=(0, 1)),
        lambda u, x, t: d(u, t) - d(u, x, x) - torch.where(t > 0.3, 1.0, 0.0),
        [Dirichlet(u=lambda t: torch.clamp(t - 0.3, min=0)), Initial(u=0)],
        exact={"u": lambda x, t: torch.clamp(t - 0.3, min=0)},
    )
    turned = Problem(
        Box(t=(0, 2)),
        lambda y, t: d(y, t) + y - torch.where(t < 0.7, 1.0, 3.0),
        [Dirichlet(y=0, on="t-")],
        exact={
            "y": lambda t: torch.where(
                t < 0.7, 1 - torch.exp(-t), 3 - (2 + np.exp(-0.7)) * torch.exp(0.7 - t)
            )
        },
    )
    for problem, place in ((heated, 100.0), (held_up, 0.3), (turned, 0.7)):
        solution, progress = solved(problem, 1e-8)
        ends = [span.axes[-1].ends[1] for span in progress.spans]
        assert min(abs(end - place) for end in ends) < 1e-12 * place
        assert not progress.missed
        assert error(problem, solution, problem.unknowns[0]) < 1e-8


def test_rounding_of_a_constant_start_is_no_error():
    def heated(rate):
        return Problem(
            Box(x=(0, 0.2)) * Time(t=(0, 50.0)),
            lambda u, x, t: d(u, t) - 1e-4 * d(u, x, x) - rate * torch.sin(torch.pi * x / 0.2) * t,
            [Dirichlet(u=293.15), Initial(u=293.15)],
        )

    for rate, met in ((1e-2, True), (1e-8, False)):
        _, progress = solved(heated(rate), 1e-8)
        assert max(axis.cells for span in progress.spans for axis in span.axes) < 100
        assert progress.step < 300
        assert (not progress.missed) is met, "what varies little beside 293 K is not known so well"


def test_what_products_cannot_take_is_refused():
    ball = Problem(
        Ball() * Time(t=(0, 1)),
        lambda u, x, y, z, t: d(u, t) - laplacian(u),
        [Dirichlet(u=0), Initial(u=1)],
    )
    with pytest.raises(ProblemError, match=r"tensor: cannot take the domain .*--network kan can"):
        adaptive(ball, Settings())


@pytest.mark.parametrize("linear", [True, False])
def test_the_condition_of_the_normal_equations_is_said(linear):
    def equation(u, x, y):
        return laplacian(u) + 1 - (0.0 if linear else u**3)

    problem = Problem(Box(x=(0, 1), y=(0, 2)), equation, [Dirichlet(u=0)])
    _, progress = solved(problem, 1e-3, degree=4)
    given = held(problem, progress.axes, {})
    squares = least_squares(problem, progress.axes, given)
    C = progress.spans[-1].C
    equations = normal(squares.rows, C, squares.index, squares.weights(C))
    A = np.diag(equations.diagonal)
    for k, below in enumerate(equations.columns.T[1:], 1):
        own = below[: len(A) - k]
        A += np.diag(own, -k) + np.diag(own, k)
    root = np.sqrt(np.diag(A))
    expected = np.linalg.cond(A / np.outer(root, root), 1)
    assert 0.5 * expected < progress.condition < 1.01 * expected
    assert f"condition {progress.condition:.0e}" in progress.reason


def test_a_step_of_which_no_part_lowers_the_squares_ends_newtons_method(monkeypatch):
    """And leaves the coefficients as they are."""
    problem = Problem(Box(x=(0, 1)), lambda u, x: d(u, x, x) - u**2 - 1, [Dirichlet(u=0)])
    progress = adaptive(problem, Settings(1e-8)).begin()
    given = held(problem, progress.axes, {})
    squares, at = least_squares(problem, progress.axes, given), Iterate(given.C)
    assert not squares.advance(at, 1e-8).stalled
    monkeypatch.setattr(LeastSquares, "there", lambda *_: math.inf)
    ended = squares.advance(at, 1e-8)
    assert ended.stalled
    assert ended.done
    np.testing.assert_array_equal(ended.C, at.C)


def test_cells_beyond_the_work_end_a_steady_problem_before_it_is_spent():
    """A narrow peak asks for more cells than the work allows, which the second attempt knows."""

    def peak(x, y):
        return torch.exp(-3e3 * ((x - 0.4) ** 2 + (y - 0.6) ** 2))

    problem = Problem(
        Box(x=(0, 1), y=(0, 1)),
        lambda u, x, y: laplacian(u) - u + peak(x, y),
        [Dirichlet(u=0)],
    )
    _, progress = solved(problem, 1e-10, work=2e9)
    assert "beyond the work of this effort" in progress.missed[0]
    assert progress.work < 1e9
