"""Products of splines solved to a tolerance, against closed forms and integrators of others."""

import numpy as np
import pytest
import torch

import kanpde
from kanpde import Box, Dirichlet, Initial, Neumann, Periodic, Problem, Robin, Time, d, laplacian
from kanpde.errors import ProblemError
from kanpde.products.adaptive import AdaptiveProducts, Progress, Settings


def solved(problem, tolerance, **settings):
    """The solution, and where it came to."""
    way = AdaptiveProducts(problem, Settings(tolerance, **settings))
    progress = way.begin()
    while not progress.finished:
        progress = way.advance(progress)
    return way.solution(progress), progress


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
    way = AdaptiveProducts(problem, Settings(1e-6))
    progress, states = way.begin(), []
    while not progress.finished:
        progress = way.advance(progress)
        states.append(progress.plain())
    assert error(problem, way.solution(progress)) < 1e-6
    again = AdaptiveProducts(problem, Settings(1e-6))
    gone_on = Progress.from_plain(states[len(states) // 2])
    while not gone_on.finished:
        gone_on = again.advance(gone_on)
    for one, other in zip(progress.spans, gone_on.spans, strict=True):
        np.testing.assert_array_equal(one.C, other.C)


def test_a_solution_that_blows_up_says_so():
    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 0.2)),
        lambda u, x, t: d(u, t) - d(u, x, x) - u**2,
        [Dirichlet(u=0), Initial(u=lambda x: 20 * torch.sin(np.pi * x))],
    )
    _, progress = solved(problem, 1e-2, degree=5, modes=5)
    assert progress.missed
    assert "blow up" in progress.reason


def test_what_products_cannot_take_is_refused():
    problem = kanpde.problem.file.load("poisson2d_lshape")[0]
    with pytest.raises(ProblemError, match=r"tensor: cannot take the domain .*--network kan can"):
        AdaptiveProducts(problem, Settings())
