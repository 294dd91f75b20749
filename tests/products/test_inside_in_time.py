"""Products of splines in time on domains that are no boxes, against closed forms."""

import numpy as np
import pytest
import torch
from refined import solved
from scipy.optimize import brentq
from scipy.special import j0, j1
from torch import cos, exp, sin

from kanpde import (
    Box,
    Dirichlet,
    Disk,
    Ellipse,
    Initial,
    Neumann,
    Problem,
    Robin,
    Time,
    d,
    laplacian,
)
from kanpde.errors import ProblemError
from kanpde.products.posed import refuse


def worst(problem, solution):
    """Largest error of each unknown at points inside, over its amplitude."""
    unit = torch.rand(2000, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    points = problem.domain.interior(unit)
    exact, found = problem.exact_values(points), solution(points)
    return max(
        float((found[:, k] - exact[u]).abs().max() / (exact[u].max() - exact[u].min()) * 2)
        for k, u in enumerate(problem.unknowns)
    )


def test_two_unknowns_that_react_on_an_ellipse_at_300():
    """Newton's method, two unknowns of different units, and conditions of two kinds."""

    def warm(x, y, t):
        return 300 + 20 * exp(-t) * sin(x) * cos(y)

    def share(x, y, t):
        return 1 + 0.1 * cos(t) * sin(x + y)

    def equations(u, v, x, y, t):
        U, V = warm(x, y, t), share(x, y, t)
        heat = d(u, t) - laplacian(u) - v * u / 60 - ((U - 300) - U * V / 60)
        rest = 0.1 * sin(x + y) * (cos(t) - sin(t)) + V**2
        return heat, d(v, t) - laplacian(v) / 2 + v**2 - rest

    ellipse = Ellipse(x=0, y=0, radii=(1, 0.6), angle=0.4)
    problem = Problem(
        ellipse * Time(t=(0, 0.05)),
        equations,
        [
            Dirichlet(u=warm, v=share),
            Initial(u=lambda x, y: warm(x, y, 0 * x), v=lambda x, y: share(x, y, 0 * x)),
        ],
        exact={"u": warm, "v": share},
    )
    solution, progress = solved(problem, 1e-6)
    assert not progress.missed
    assert worst(problem, solution) < 1e-7


def test_a_plate_with_a_hole_that_cools_by_its_film():
    def exact(x, y, t):
        return 300 + exp(-2 * t) * sin(x) * cos(y)

    def outside(x, y, t):
        return exp(-2 * t) * cos(x) * cos(y) * torch.sign(x)

    def film(x, y, t):
        slope = -exp(-2 * t) * (cos(x) * cos(y) * x - sin(x) * sin(y) * y) / 0.4
        return 3 * exact(x, y, t) + slope

    problem = Problem(
        (Box(x=(-1, 1), y=(-1, 1)) - Disk(x=0, y=0, radius=0.4, name="hole")) * Time(t=(0, 0.1)),
        lambda u, x, y, t: d(u, t) - laplacian(u),
        [
            Neumann(u=outside, on=("x-", "x+")),
            Dirichlet(u=exact, on=("y-", "y+")),
            Robin(u=film, a=3, b=1, on="hole"),
            Initial(u=lambda x, y: exact(x, y, 0 * x)),
        ],
        exact={"u": exact},
    )
    solution, progress = solved(problem, 1e-6)
    assert not progress.missed
    assert worst(problem, solution) < 1e-7


def test_waves_of_a_disc():
    """Of second order in time."""

    def exact(x, y, t):
        return cos(13**0.5 * t) * sin(2 * x + 3 * y)

    problem = Problem(
        Disk(x=0, y=0, radius=1) * Time(t=(0, 0.25)),
        lambda u, x, y, t: d(u, t, t) - laplacian(u),
        [Dirichlet(u=exact), Initial(u=lambda x, y: exact(x, y, 0 * x), u_t=0)],
        exact={"u": exact},
    )
    solution, progress = solved(problem, 1e-4)
    assert not progress.missed
    assert worst(problem, solution) < progress.estimate


def test_errors_that_grow_after_they_are_made_are_said():
    """Where neighbouring solutions part 1e6 times, on a disc as on a line."""

    def exact(x, y, t):
        return sin(x + 2 * y) * cos(t)

    def heat(u, x, y, t):
        return d(u, t) - laplacian(u) - 300 * u + sin(x + 2 * y) * (sin(t) + 295 * cos(t))

    problem = Problem(
        Disk(x=0, y=0, radius=1) * Time(t=(0, 0.05)),
        heat,
        [Dirichlet(u=exact), Initial(u=lambda x, y: exact(x, y, 0 * x))],
        exact={"u": exact},
    )
    solution, progress = solved(problem, 1e-4)
    assert "grow" in progress.missed[0]
    assert worst(problem, solution) < progress.estimate


@pytest.mark.parametrize(
    ("second", "starts", "reason"),
    [
        (lambda v, t: d(v, t), {"v": 0}, "of first and of second order in time"),
        (lambda v, t: 0 * v, {}, "v without a rate"),
    ],
)
def test_what_products_cannot_march_on_a_disc_is_refused(second, starts, reason):
    problem = Problem(
        Disk(x=0, y=0, radius=1) * Time(t=(0, 1)),
        lambda u, v, x, y, t: (
            d(u, t, t) - laplacian(u) + v,
            second(v, t) - laplacian(v) - u,
        ),
        [Dirichlet(u=0, v=0), Initial(u=0, u_t=0, **starts)],
    )
    with pytest.raises(ProblemError, match=reason):
        refuse(problem)


def test_a_disc_whose_start_contradicts_its_rim_is_good_soon_after_it():
    """The rim cools at once. The first span is no shorter than cells can follow, which are as many
    as the work allows. It misses the tolerance, and says so; what it misses hardly counts in all.
    The series is Bessel's, λ J₁(λ) = Bi J₀(λ) with Bi = 1/2."""
    problem = Problem(
        Disk(x=0, y=0, radius=1) * Time(t=(0, 0.5)),
        lambda u, x, y, t: d(u, t) - laplacian(u),
        [Robin(u=150, a=0.5, b=1), Initial(u=400)],
    )
    solution, progress = solved(problem, 1e-2, degree=5, work=1e9)
    assert progress.axes[-1].ends[1] == 0.5
    assert progress.usual < progress.estimate < 0.1
    assert [said for said in progress.missed if said.startswith("t = 0 to ")]
    r, t = np.meshgrid(np.linspace(0, 1, 11), [0.05, 0.5], indexing="ij")
    points = torch.from_numpy(np.stack([0.6 * r, 0.8 * r, t], -1).reshape(-1, 3))
    slopes = np.linspace(1e-3, 60, 6001)
    value = slopes * j1(slopes) - 0.5 * j0(slopes)
    (change,) = np.nonzero(value[:-1] * value[1:] < 0)
    roots = [brentq(lambda v: v * j1(v) - 0.5 * j0(v), *slopes[[k, k + 1]]) for k in change]
    truth = 300 + sum(
        100 / ((v**2 + 0.25) * j0(v)) * j0(v * r) * np.exp(-(v**2) * t) for v in roots
    )
    assert np.abs(solution(points).numpy().ravel() - truth.ravel()).max() < 0.3
