"""Families by products of splines, against closed forms and SciPy's integrators."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import exp, sin

from kanpde import Box, Dirichlet, Initial, Neumann, Problem, Time, d, solve
from kanpde.networks.kinds.tensor import Tensor
from kanpde.products.adaptive import adaptive
from kanpde.products.axes import SplineAxis
from kanpde.products.members import Members, nodes_of
from kanpde.products.progress import Progress, Settings


def heat(u, x, t, k):
    return d(u, t) - k * d(u, x, x)


def rod():
    return Problem(
        domain=Box(x=(0, 1)) * Time(t=(0, 0.05)),
        equations=[heat],
        conditions=[Dirichlet(u=0), Initial(u=lambda x: sin(math.pi * x))],
        exact={"u": lambda x, t, k: exp(-k * math.pi**2 * t) * sin(math.pi * x)},
        family={"k": (0.1, 1)},
    )


def fin():
    """A steady line with its parameter in a condition."""
    return Problem(
        domain=Box(x=(0, 1)),
        equations=[lambda u, x, k: d(u, x, x) - k**2 * u],
        conditions=[Dirichlet(u=1, on="x-"), Neumann(u=lambda k: k, on="x+")],
        exact={
            "u": lambda x, k: (torch.cosh(k * (1 - x)) + torch.sinh(k * x)) / torch.cosh(k),
        },
        family={"k": (0.5, 5)},
    )


def plate():
    return Problem(
        domain=Box(x=(0, 1), y=(0, 1)),
        equations=[
            lambda u, x, y, k: (
                d(u, x, x)
                + k * d(u, y, y)
                + u**2
                + (math.pi**2 * (1 + k) - sin(math.pi * x) * sin(math.pi * y))
                * sin(math.pi * x)
                * sin(math.pi * y)
            )
        ],
        conditions=[Dirichlet(u=0)],
        exact={"u": lambda x, y: sin(math.pi * x) * sin(math.pi * y)},
        family={"k": (1, 2)},
    )


def oscillator():
    """Two parameters, one of them in the start of the second order."""
    return Problem(
        domain=Time(t=(0, 0.2)),
        equations=[lambda y, t, w, c: d(y, t, t) + 2 * c * d(y, t) + w**2 * y],
        conditions=[Initial(y=1, y_t=lambda c: -c)],
        exact={"y": lambda t, w, c: exp(-c * t) * torch.cos(torch.sqrt(w**2 - c**2) * t)},
        family={"w": (1, 1.1), "c": (0.1, 0.2)},
    )


@pytest.mark.parametrize(
    ("make", "degree"), [(rod, None), (fin, None), (plate, None), (oscillator, 5)]
)
def test_a_family_is_right_for_all_values(make, degree):
    """Of two parameters with fewer members than by default."""
    network = Tensor(degree=degree) if degree else None
    result = solve(make(), network=network, reference=False)
    assert result.settings["network"].find("spline") >= 0
    assert result.verdict.converged
    assert result.verdict.tolerance.met
    assert result.max_error < 1e-8
    assert len(result.errors) in (5, 9)  # one for each value, or three for each of two


def kinetics(A, B, t, k):
    return d(A, t) + k * A, d(B, t) - k * A + 0.5 * B


def test_a_rate_over_two_decades_takes_few_spans():
    """Where some members have died away, their own digits do not count."""
    problem = Problem(
        domain=Time(t=(0, 10)),
        equations=[kinetics],
        conditions=[Initial(A=100, B=0)],
        family={"k": (0.1, 10)},
    )
    result = solve(problem, reference=False)
    t = np.linspace(0, 10, 101)
    for k in (0.1, 0.77, 3.3, 10):
        found = result(t=t, k=k)
        A = 100 * np.exp(-k * t)
        B = 100 * k / (0.5 - k) * (np.exp(-k * t) - np.exp(-0.5 * t))
        assert np.abs(found["A"] - A).max() < 1e-6
        assert np.abs(found["B"] - B).max() < 1e-6
    assert len(result.solution.spans) < 15


def test_a_nonlinear_family_agrees_with_scipy():
    def rates(a, b, t, r):
        return d(a, t) - a * (1 - b), d(b, t) - r * b * (a - 1)

    problem = Problem(
        domain=Time(t=(0, 2)),
        equations=[rates],
        conditions=[Initial(a=1.2, b=0.8)],
        family={"r": (0.5, 2)},
    )
    result = solve(problem, reference=False)
    t = np.linspace(0, 2, 41)
    for r in (0.5, 0.9, 1.7):
        truth = solve_ivp(
            lambda _, y, r=r: [y[0] * (1 - y[1]), r * y[1] * (y[0] - 1)],
            (0, 2),
            [1.2, 0.8],
            "DOP853",
            t,
            rtol=1e-12,
            atol=1e-13,
        ).y
        found = result(t=t, r=r)
        assert np.abs(found["a"] - truth[0]).max() < 1e-8
        assert np.abs(found["b"] - truth[1]).max() < 1e-8


def test_splines_are_interpolated_at_as_many_nodes():
    axis = SplineAxis(np.array([0.1, 0.2, 0.5, 1.0]), 9)
    nodes = nodes_of(axis)
    assert len(nodes) == axis.size
    assert (nodes[0], nodes[-1]) == pytest.approx((0.1, 1.0))
    assert (np.diff(nodes) > 0).all()
    assert np.linalg.cond(axis.matrix(nodes).toarray()) < 1e4


def test_members_give_the_coefficients_of_the_family_again():
    problem = oscillator()
    axes = [SplineAxis(np.linspace(*problem.family[k], 4), 9) for k in "wc"]
    members = Members(problem, [*axes, SplineAxis(np.linspace(0, 1, 3), 9)])
    C = np.random.default_rng(0).normal(size=(1, 12, 12, 11))
    V = members.apart(C)
    w, c = (axis.matrix(nodes).toarray() for axis, nodes in zip(axes, members.nodes, strict=True))
    np.testing.assert_allclose(V, np.einsum("iw,jc,uwcx->uijx", w, c, C), atol=1e-12)
    np.testing.assert_allclose(members.together(V), C, atol=1e-9)


def test_a_march_of_a_family_goes_on_with_the_same_bits():
    way = adaptive(rod(), Settings(1e-4))
    progress = way.begin()
    steps = []
    while not progress.finished:
        progress = way.advance(progress)
        steps.append(progress)
    again = adaptive(rod(), Settings(1e-4))
    kept = Progress.from_plain(steps[len(steps) // 2].plain())
    while not kept.finished:
        kept = again.advance(kept)
    assert len(kept.spans) == len(progress.spans)
    for one, other in zip(kept.spans, progress.spans, strict=True):
        assert np.array_equal(one.C, other.C)
