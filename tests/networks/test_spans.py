"""Spans of time: each starts exactly where the one before ends, with value and velocity, whatever
the networks are."""

import inspect
import sys
from itertools import pairwise

import pytest
import torch
from trained import train

import kanpde
from kanpde import (
    KAN,
    Box,
    Dirichlet,
    Initial,
    Periodic,
    Problem,
    ProblemError,
    Recipe,
    RecipeError,
    Time,
    d,
    laplacian,
)
from kanpde.networks.restore import restore
from kanpde.networks.spans import HandedOver, Spans, span
from kanpde.networks.trial_space import trial_space
from kanpde.training import LevenbergMarquardt
from kanpde.training.history import Silent


def heat(u, x, t):
    return d(u, t) - d(u, x, x)


def string(u, x, t):
    return d(u, t, t) - d(u, x, x)


def plate(u, x, y, t):
    return d(u, t) - laplacian(u)


def bump(x):
    return torch.sin(torch.pi * x) + 0.3 * torch.sin(2 * torch.pi * x)


ROD, TIME = Box(x=(0, 1)), Time(t=(0, 3))
PROBLEMS = {
    "rod": Problem(ROD * TIME, heat, [Dirichlet(u=0), Initial(u=bump)]),
    "string": Problem(
        ROD * TIME, string, [Dirichlet(u=0), Initial(u=bump, u_t=lambda x: x * (1 - x))]
    ),
    "ring": Problem(Box(x=(0, 2)) * TIME, heat, [Periodic("x"), Initial(u=bump)]),
    "plate": Problem(
        Box(x=(0, 1), y=(0, 2)) * TIME,
        plate,
        [Dirichlet(u=lambda x, y, t: x * (1 - x) + x * t), Initial(u=lambda x, y: x * (1 - x))],
    ),
}


def chained(problem, count, degree=5):
    """Spans with random networks, untrained."""
    found = []
    for k in range(count):
        part = span(problem, k, count, found[-1] if found else None)
        network = KAN((3,), degree, 4).build(
            trial_space(part, corners=False).inputs, 1, torch.Generator().manual_seed(k)
        )
        found.append(trial_space(part, corners=False).solution(network))
    return found


def leaf(solution, points, index):
    frame = solution.frame(points, [("u", index)])
    return frame.derivatives(solution.network.forward(frame.X, frame.counts)[-1])[:, 0]


@pytest.mark.parametrize("name", PROBLEMS)
def test_values_velocities_and_slopes_go_on_where_the_span_before_ends(name):
    problem = PROBLEMS[name]
    space = len(problem.coordinates) - 1
    spans = chained(problem, 4)
    unit = torch.rand(20, space, dtype=torch.float64)
    for before, after in pairwise(spans):
        start = after.domain.bounds["t"][0]
        assert start == before.domain.bounds["t"][1]
        points = after.domain.boundary("t-", unit)
        along_x = (1, *(0,) * (space - 1))
        for index in [
            (*(0,) * space, 0),
            (*along_x, 0),
            *([(*(0,) * space, 1)] if name == "string" else []),
        ]:
            torch.testing.assert_close(
                leaf(after, points, index), leaf(before, points, index), rtol=1e-11, atol=1e-11
            )
    whole = Spans(spans)
    times = torch.linspace(0, 3, 20, dtype=torch.float64)
    points = torch.cat([problem.domain.region.interior(unit), times[:, None]], 1)
    for solution in spans:
        low, high = solution.domain.bounds["t"]
        here = (points[:, -1] > low) & (points[:, -1] < high)
        assert here.any()
        torch.testing.assert_close(whole(points)[here], solution(points[here]))
    assert whole.parameters == sum(solution.network.parameters for solution in spans)


def test_a_handed_over_value_differentiates_like_the_span_it_comes_from():
    first, second = chained(PROBLEMS["ring"], 2, degree=7)
    x = torch.rand(15, dtype=torch.float64).mul_(2).requires_grad_()
    slope = HandedOver(first, "u", False, 2)(x=x)
    points = torch.stack([x.detach(), torch.full_like(x, first.domain.bounds["t"][1]).detach()], 1)
    for order in range(4):
        torch.testing.assert_close(slope, leaf(first, points, (order, 0)), rtol=1e-9, atol=1e-9)
        (slope,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
    assert second.domain.bounds["t"] == (1.5, 3.0)


def test_a_run_of_spans_is_loaded_as_it_was(tmp_path):
    result = kanpde.solve(
        PROBLEMS["rod"],
        network=KAN((2,), 5, 3),
        schedule="lm:3",
        points=100,
        slabs=3,
        reference=False,
    )
    again = kanpde.load(kanpde.save(result, tmp_path), problem=PROBLEMS["rod"])
    at = {"x": torch.rand(30, dtype=torch.float64), "t": 3 * torch.rand(30, dtype=torch.float64)}
    assert torch.equal(result(**at), again(**at))
    assert result.summary()["network"].startswith("3 spans of KAN 2-2-1")
    assert result.summary()["parameters"] == 3 * result.solution.network.parameters


def test_several_spans_follow_what_one_small_network_cannot():
    """A wave of ten periods: the same small network on five spans in place of one."""

    def advection(u, x, t):
        return d(u, t) + 10 * d(u, x)

    def exact(x, t):
        return torch.sin(torch.pi * (x - 10 * t))

    problem = Problem(
        Box(x=(0, 2)) * Time(t=(0, 1)),
        advection,
        [Periodic("x"), Initial(u=lambda x: torch.sin(torch.pi * x))],
        exact={"u": exact},
    )
    settings = {"network": KAN((4,), 5, 4), "schedule": "lm:30", "points": 300, "reference": False}
    one, five = (kanpde.solve(problem, slabs=n, **settings).relative_l2 for n in (1, 5))
    assert five < 0.05 * one


class Stop(Silent):
    """Ctrl-C at a step."""

    def __init__(self, at):
        self.at = at

    def step(self, record):
        if record.step == self.at:
            raise KeyboardInterrupt


def test_an_interrupted_run_stands_still_after_the_span_it_was_in():
    recipe = Recipe(KAN((2,), 5, 3), points=100, schedule=[LevenbergMarquardt(4)], slabs=3)
    solution, history = train(PROBLEMS["rod"], recipe, 0, "cpu", torch.float64, Stop(6))
    assert history.interrupted
    assert len(solution.spans) == 2, "no network is built for a span that was not begun"
    x = torch.linspace(0, 1, 9, dtype=torch.float64)
    at_two, at_three = (solution(torch.stack([x, torch.full_like(x, t)], 1)) for t in (2.0, 3.0))
    torch.testing.assert_close(at_two, at_three)
    assert at_two.abs().max() > 1e-3
    late = torch.tensor([[0.3, 2.5], [0.6, 2.9]], dtype=torch.float64)
    rate, slope = solution.derivatives(late, [("u", (0, 1)), ("u", (1, 0))]).T
    assert (rate == 0).all()
    assert (slope != 0).all()
    again = restore(PROBLEMS["rod"], solution.state())
    assert torch.equal(again(late), solution(late))


def test_as_many_spans_as_there_are_end_where_the_last_one_ends():
    """A value is asked of the span before it, of no span twice, and within few calls a span."""
    spans = chained(PROBLEMS["string"], 40)
    points = torch.tensor([[0.3, 3.0], [0.7, 2.99]], dtype=torch.float64)
    deepest = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(len(inspect.stack(0)) + 300)
        assert spans[-1](points).isfinite().all()
    finally:
        sys.setrecursionlimit(deepest)


def test_spans_that_make_no_sense_are_refused():
    with pytest.raises(RecipeError, match="slabs: got 0; expected a whole number, at least 1"):
        Recipe(KAN(), schedule="lm:1", slabs=0)
    steady = Problem(Box(x=(0, 1)), lambda u, x: d(u, x, x) + 1, Dirichlet(u=0))
    with pytest.raises(RecipeError, match="slabs: got 2, but 'problem' has no time"):
        kanpde.solve(steady, slabs=2)


FILE = '''"""A front."""
from kanpde import Box, Dirichlet, Problem, d
epsilon = 0.05
def layer(u, x):
    return -epsilon * d(u, x, x) + d(u, x) - 1
problem = Problem(Box(x=(0, 1)), [layer], [Dirichlet(u=0)])
'''


def test_continuation_goes_through_easier_problems(tmp_path):
    (tmp_path / "front.py").write_text(FILE)
    problem, _ = kanpde.problem.file.load(str(tmp_path / "front.py"))
    recipe = Recipe(
        KAN((3,), 5, 8), points=200, schedule="lm:30", continuation={"epsilon": (0.5, 0.15)}
    )
    _, history = train(problem, recipe, 0, "cpu", torch.float64, Silent())
    assert len(history.stages) == 3
    with pytest.raises(ProblemError, match=r"no constant 'eps'.*did you mean 'epsilon'"):
        train(
            problem,
            Recipe(KAN(), schedule="lm:1", continuation={"eps": (0.5,)}),
            0,
            "cpu",
            torch.float64,
            Silent(),
        )
    solution, history = train(problem, recipe, 0, "cpu", torch.float64, Stop(20))
    assert history.interrupted
    assert len(history.stages) == 1
    assert solution.network.theta.abs().max() > 0, "what the easier problems taught is kept"
    nameless = Problem(Box(x=(0, 1)), lambda u, x: d(u, x, x) + 1, Dirichlet(u=0))
    with pytest.raises(ProblemError, match="comes from no file"):
        train(
            nameless,
            Recipe(KAN(), schedule="lm:1", continuation={"nu": (0.5,)}),
            0,
            "cpu",
            torch.float64,
            Silent(),
        )
    with pytest.raises(RecipeError, match="expected as many of each"):
        Recipe(KAN(), schedule="lm:1", continuation={"a": (1, 2), "b": (1,)})
