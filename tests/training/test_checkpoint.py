"""Training that goes on from a kept state: the same bits as training that was never interrupted."""

import io
import sys

import pytest
import torch
from ranks import SMALL, STEADY, SYSTEM, exact
from trained import train

from kanpde import KAN, MLP, Box, Dirichlet, Initial, Problem, Recipe, Time, d
from kanpde.problem import file as problems
from kanpde.training.history import Silent


class Stop(Exception):
    pass


class At:
    """Keeps the states before some steps, through a file, and ends training at the last."""

    def __init__(self, *steps):
        self.steps, self.seen, self.states = steps, 0, []

    def due(self, last=False):
        self.seen += 1
        return self.seen in self.steps

    def keep(self, state):
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        self.states.append(torch.load(file, weights_only=True))
        if self.seen == max(self.steps):
            raise Stop


def heat(u, x, t):
    return d(u, t) - 0.1 * d(u, x, x)


HEAT = Problem(
    domain=Box(x=(0, 1)) * Time(t=(0, 1)),
    equations=[heat],
    conditions=[Dirichlet(u=0), Initial(u=exact)],
    name="heat",
)


def trained(problem, recipe, keeper=None, kept=None):
    return train(problem, recipe, 3, "cpu", torch.float64, Silent(), keeper, kept)


def parts(solution):
    return [span.network.theta for span in getattr(solution, "spans", [solution])]


def check(problem, recipe, steps):
    whole, history = trained(problem, recipe)
    keeper = At(*steps)
    with pytest.raises(Stop):
        trained(problem, recipe, keeper)
    for step, kept in zip(steps, keeper.states, strict=True):
        again, later = trained(problem, recipe, kept=kept)
        for a, b in zip(parts(whole), parts(again), strict=True):
            assert torch.equal(a, b), f"other bits after going on from step {step}"
        assert [r.loss for r in later.records] == [r.loss for r in history.records]
        assert later.stages == history.stages
        assert all(
            a.seconds <= b.seconds for a, b in zip(later.records, later.records[1:], strict=False)
        ), "the clock goes on"
    return history


@pytest.mark.parametrize(
    "schedule",
    [
        "lm:6,extend:6,lm:6",
        "lm/layer:8",
        "gn:8",
        "lbfgs:12",
        "ssbroyden:12",
        "adam:12,lbfgs:6",
        "soap:10",
    ],
)
def test_every_optimiser_goes_on_with_the_same_bits(schedule):
    check(STEADY, Recipe(SMALL, 60, schedule), [1, 5, 8])


def test_an_optimiser_that_ends_early_ends_at_the_same_step():
    history = check(STEADY, Recipe(KAN((), 5, 3), 60, "lm:400"), [3])
    assert len(history.records) < 400


def test_random_starts_and_spans_of_time():
    check(HEAT, Recipe(SMALL, 80, "lm:6,extend:4,lm:6", restarts=3, slabs=2), [1, 5, 9, 20])


@pytest.mark.parametrize("balance", ["ntk", "gradient", "attention"])
def test_weights_and_redrawn_points(balance, monkeypatch):
    monkeypatch.setattr(sys.modules["kanpde.training.loop"], "PARTED", 0.0)  # redrawn at every look
    check(SYSTEM, Recipe(SMALL, 60, "lm:30", balance=balance, causal=0.5), [5, 12])


def test_an_mlp_in_single_precision():
    recipe = Recipe(MLP((6,)), 80, "lm:8")
    whole, _ = train(STEADY, recipe, 0, "cpu", torch.float32, Silent())
    keeper = At(4)
    with pytest.raises(Stop):
        train(STEADY, recipe, 0, "cpu", torch.float32, Silent(), keeper)
    again, _ = train(STEADY, recipe, 0, "cpu", torch.float32, Silent(), None, *keeper.states)
    assert torch.equal(whole.network.theta, again.network.theta)


def test_continuation_through_easier_problems():
    problem, _ = problems.load("burgers1d")
    check(
        problem,
        Recipe(KAN((3,), 5, 3), 80, "lm:4,extend:5,lm:4", continuation={"nu": (0.3, 0.1)}),
        [2, 6, 9, 14],
    )
