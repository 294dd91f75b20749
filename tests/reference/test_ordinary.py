"""Initial-value problems of ordinary differential equations are marched, against SciPy's own
integrators and closed forms."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from kanpde import Box, Condition, Dirichlet, Neumann, Problem, d
from kanpde.errors import ReferenceUnavailable, SolutionDoubtful
from kanpde.reference import reference
from kanpde.reference.norms import rms


def by_scipy(rates, start, names):
    """A solution by LSODA's and Hairer's codes, which share nothing with ours."""

    def solved(t):
        found = solve_ivp(
            rates, (t[0], t[-1]), start, t_eval=t, method="Radau", rtol=1e-10, atol=1e-13
        )
        return dict(zip(names, found.y, strict=True))

    return solved


def epidemic():
    """In per cent: as a system of all instants at once it also has a solution that stays at rest,
    to all digits that matter."""
    problem = Problem(
        Box(t=(0, 150)),
        [
            lambda s, i, t: d(s, t) + 0.5 * s * i / 100,
            lambda s, i, t: d(i, t) - 0.5 * s * i / 100 + 0.33 * i,
            lambda i, r, t: d(r, t) - 0.33 * i,
        ],
        [Dirichlet(s=100 - 1e-4, i=1e-4, r=0, on="t-")],
    )

    def rates(t, y):
        caught, healed = 0.5 * y[0] * y[1] / 100, 0.33 * y[1]
        return [-caught, caught - healed, healed]

    return problem, by_scipy(rates, [100 - 1e-4, 1e-4, 0], ("s", "i", "r"))


def two_sizes():
    problem = Problem(
        Box(t=(0, 30)),
        [lambda T, t: d(T, t) - 1, lambda v, t: d(v, t) - v * (1 - v)],
        [Dirichlet(T=1e5, v=0.01, on="t-")],
    )
    return problem, lambda t: {"T": 1e5 + t, "v": 1 / (1 + 99 * np.exp(-t))}


def tank():
    problem = Problem(
        Box(t=(0, 4)), [lambda h, t: d(h, t) + 0.4 * torch.sqrt(h)], [Dirichlet(h=1, on="t-")]
    )
    return problem, lambda t: {"h": (1 - 0.2 * t) ** 2}


def swing():
    problem = Problem(
        Box(x=(0, 10)),
        [lambda y, x: d(y, x, x) + 2 * y],
        [Dirichlet(y=1, on="x-"), Neumann(y=0, on="x-")],
    )
    return problem, lambda x: {"y": np.cos(np.sqrt(2) * x)}


def from_the_end():
    problem = Problem(
        Box(x=(0, 3)),
        [lambda y, x: d(y, x, x) + 2 * y],
        [Dirichlet(y=1, on="x+"), Neumann(y=2, on="x+")],
    )
    w = np.sqrt(2)
    return problem, lambda x: {"y": np.cos(w * (x - 3)) + 2 / w * np.sin(w * (x - 3))}


def third_order():
    problem = Problem(
        Box(t=(0, 2)),
        [lambda y, t: d(y, t, t, t) + d(y, t)],
        [
            Dirichlet(y=0, on="t-"),
            Neumann(y=0, on="t-"),
            Condition(lambda y, t: d(y, t, t) - 2, on="t-"),
        ],
    )
    return problem, lambda t: {"y": 2 - 2 * np.cos(t)}


def stiff():
    """Robertson's reaction, of which one equation has no rate."""
    problem = Problem(
        Box(t=(0, 40)),
        [
            lambda A, B, C, t: d(A, t) + 0.04 * A - 1e4 * B * C,
            lambda A, B, C, t: d(B, t) - 0.04 * A + 1e4 * B * C + 3e7 * B**2,
            lambda A, B, C, t: A + B + C - 1,
        ],
        [Dirichlet(A=1, B=0, on="t-")],
        unknowns=["A", "B", "C"],
    )

    def rates(t, y):
        there, back, on = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
        return [back - there, there - back - on, on]

    return problem, by_scipy(rates, [1, 0, 0], ("A", "B", "C"))


def growth():
    problem = Problem(Box(t=(0, 50)), [lambda y, t: d(y, t) - y], [Dirichlet(y=1e-9, on="t-")])
    return problem, lambda t: {"y": 1e-9 * np.exp(t)}


def decay_of_a_charge():
    problem = Problem(
        Box(t=(0, 3e7)),
        [lambda q, t: d(q, t) + 1e-7 * q, lambda q, p, t: d(p, t) - 1e-7 * q],
        [Dirichlet(q=1.6e-19, p=0, on="t-")],
    )
    return problem, lambda t: {
        "q": 1.6e-19 * np.exp(-1e-7 * t),
        "p": -1.6e-19 * np.expm1(-1e-7 * t),
    }


CASES = (
    epidemic,
    two_sizes,
    tank,
    swing,
    from_the_end,
    third_order,
    stiff,
    growth,
    decay_of_a_charge,
)


@pytest.mark.filterwarnings("ignore::kanpde.errors.ProblemWarning")
@pytest.mark.parametrize("case", CASES)
def test_a_march_finds_the_solution(case):
    problem, truth = case()
    found = reference(problem, cells=64)
    (times,) = found.coordinates.values()
    exact = truth(times)
    for u in problem.unknowns:
        error = rms((found.values[u] - exact[u])[None])[0] / found.scales[u]
        assert error < 1e-9  # what SciPy's codes are good for
        assert found.estimated_errors[u] < 1e-9


def test_a_jump_is_crossed():
    problem = Problem(
        Box(t=(0, 2)),
        [lambda y, t: d(y, t) - torch.where(t < 0.7, 1.0, -1.0)],
        [Dirichlet(y=1, on="t-")],
    )
    found = reference(problem)
    exact = 1 + np.minimum(found.coordinates["t"], 1.4 - found.coordinates["t"])
    error = rms((found.values["y"] - exact)[None])[0] / found.scales["y"]
    assert error < 3 * found.estimated_error < 1e-6


@pytest.mark.parametrize(
    ("equation", "where"),
    [
        (lambda y, t: d(y, t) - y**2, "t = 1 .*grown by .*blows up"),
        (lambda y, t: d(y, t) + 0.5 / y, "t = 1"),
    ],
)
def test_where_there_is_no_solution_any_more(equation, where):
    problem = Problem(Box(t=(0, 2)), [equation], [Dirichlet(y=1, on="t-")])
    with pytest.raises(SolutionDoubtful, match=where):
        reference(problem, cells=64)


def test_a_start_that_is_not_determined():
    problem = Problem(
        Box(t=(0, 1)),
        [lambda y, z, t: d(y, t) - z, lambda y, z, t: d(z, t) + y],
        [Condition(lambda y, z: [y + z - 1, 2 * y + 2 * z - 2], on="t-")],
        unknowns=["y", "z"],
    )
    with pytest.raises(ReferenceUnavailable, match="do not determine the values at the start"):
        reference(problem)
