"""Sparsification: its rows are the slopes of the penalty it claims. Pruning: fewer edges, at no
more than the stated loss. Both as stages."""

import math
from dataclasses import replace

import pytest
import torch
from trained import train

from kanpde import Box, Problem, Recipe, RecipeError, solve
from kanpde.errors import RunError
from kanpde.networks.importance import spreads
from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.networks.surgery import coefficients, dropped, edges_of, masks
from kanpde.networks.trial_space import trial_space
from kanpde.training import (
    Deepen,
    Extend,
    LevenbergMarquardt,
    Prune,
    Sparsify,
    Widen,
    parse_schedule,
    show_schedule,
)
from kanpde.training.history import Silent
from kanpde.training.points import Collocation
from kanpde.training.pruning import Pruning
from kanpde.training.sparsity import Penalised, fade


def exact(x, y):
    return torch.exp(torch.sin(3 * x) + y**2)


def value(u, x, y):
    """u = f, which needs one hidden unit."""
    return u - exact(x, y)


problem = Problem(
    domain=Box(x=(-1, 1), y=(-1, 1)), equations=[value], conditions=[], exact={"u": exact}
)
points = problem.domain.interior(
    torch.rand(400, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
)


def solution_of(width=(3,), degree=5, grid=4, seed=0):
    network = KAN(width, degree, grid).build(2, 1, torch.Generator().manual_seed(seed))
    return trial_space(problem, corners=False).solution(network)


@pytest.fixture(scope="module")
def trained():
    """A network of three hidden units that solves the problem."""
    solution = solution_of()
    list(
        LevenbergMarquardt(100, metric="layer").minimise(
            Collocation(problem, solution, 400, 0).objective()
        )
    )
    return solution


def copy(solution):
    network = replace(solution.network, theta=solution.network.theta.clone())
    return solution.space.solution(network)


def penalty(network, X, firsts, entropy):
    """The penalty as it is written: the share of the first norms, and the entropy of the present
    ones."""
    total = torch.zeros(())
    for norms, first in zip(spreads(network, network.levels(X[:, :1], ())), firsts, strict=True):
        share = norms / norms.sum()
        total = total + norms.sum() / first - entropy * (share * share.log()).sum()
    return float(total)


@pytest.mark.parametrize("entropy", [0.0, 0.05])
def test_the_rows_have_the_slope_of_the_penalty(entropy):
    """By the coefficients of the last layer, on which no other layer's activations depend."""
    solution = solution_of()
    objective = Collocation(problem, solution, 200, 0).objective()
    penalised = Penalised(objective, 0.3, entropy)
    _, with_penalty = penalised.gradient()
    _, without = objective.gradient()
    network, X, last = (
        solution.network,
        objective.terms[0].frame.X,
        slice(-solution.network.layers[-1].size, None),
    )
    theta = network.theta.clone()
    for direction in torch.randn(
        4,
        solution.network.layers[-1].size,
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(1),
    ):
        found = []
        for sign in (1, -1):
            network.theta = theta.clone()
            network.theta[last] += sign * 1e-5 * direction
            found.append(penalty(network, X, penalised.first, entropy))
        network.theta = theta
        slope = 0.3 * (found[0] - found[1]) / 2e-5
        assert float((with_penalty - without)[last] @ direction) == pytest.approx(slope, rel=1e-6)


def test_the_jacobian_is_that_of_the_rows():
    solution = solution_of()
    penalised = Penalised(Collocation(problem, solution, 50, 0).objective(), 0.3, 1.0)
    r, J = penalised.jacobian()
    v = torch.randn(
        solution.network.theta.shape,
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(1),
    )
    theta = solution.network.theta
    solution.network.theta = theta + 1e-6 * v
    high = penalised.residuals()
    solution.network.theta = theta - 1e-6 * v
    low = penalised.residuals()
    torch.testing.assert_close(J @ v, (high - low) / 2e-6, rtol=1e-6, atol=1e-6)
    solution.network.theta = theta
    assert torch.equal(penalised.residuals(), r)
    assert penalised.gradient()[0] == pytest.approx(float(r @ r))


def test_sparsification_leaves_one_unit_of_three(trained):
    solution = copy(trained)
    objective = Collocation(problem, solution, 400, 0).objective()
    losses = list(Sparsify(60).minimise(objective))
    assert losses[-1] < 1e-2 * float(exact(*points.T).square().mean())
    assert losses[-1] == pytest.approx(objective.loss()), (
        "what it yields is the loss of the residuals"
    )

    def live(network):
        spread = spreads(network, network.levels(objective.terms[0].frame.X[:, :1], ()))[-1]
        return int((spread > 1e-2 * spread.max()).sum())

    assert live(trained.network) > 1
    assert live(solution.network) == 1


@pytest.mark.parametrize("taken", [4, 5, 6])
def test_a_state_from_a_file_goes_on_with_the_same_bits(taken):
    """Behind the fifth step the penalty is weighed again."""
    whole, halved = solution_of(), solution_of()
    list(Sparsify(8).minimise(Collocation(problem, whole, 200, 0).objective()))
    objective, stage = Collocation(problem, halved, 200, 0).objective(), Sparsify(8)
    state = stage.begin(objective)
    for _ in range(taken):
        assert stage.advance(objective, state) is None
    list(stage.minimise(objective, stage.carries.from_plain(state.plain())))
    assert torch.equal(halved.network.theta, whole.network.theta)


@pytest.mark.parametrize("sparse", [False, True])
def test_pruning_finds_the_small_network_at_the_stated_loss(trained, sparse):
    solution, told = copy(trained), []
    objective = Collocation(problem, solution, 400, 0).objective()
    wanted = solution(points)
    pruning = Pruning(solution, objective, points, Prune(1e-3), tell=told.append)
    start = None
    if sparse:
        start = objective.network = solution.network = replace(solution.network)
        list(Sparsify(60).minimise(objective))
        solution.network = pruning.goal
    assert pruning.shrink(start)
    done = pruning.finish()
    assert solution.network.widths == (2, 1, 1)
    assert (done.before, done.after) == (9, 3) == (9, len(edges_of(solution.network)))
    change = float((solution(points) - wanted).norm() / wanted.norm())
    assert change == pytest.approx(done.change)
    assert change < 1e-3
    assert told[-1].startswith("pruned to KAN 2-1-1")
    assert all(float(text.split()[-1]) <= 1e-3 for text in told), (
        "no trial goes on from a larger change, in the hope of the last polishing"
    )


def test_a_loss_that_allows_a_constant_is_refused_and_the_network_left_as_it_was(trained):
    solution = copy(trained)
    before = solution.network.theta.clone()
    with pytest.raises(
        RunError,
        match=(
            r"prune: with a loss of 0.95 nothing but a constant would be left of KAN 2-3-1.*;"
            r" expected a loss below"
        ),
    ) as caught:
        Pruning(solution, Collocation(problem, solution, 100, 0).objective(), points, Prune(0.95))
    assert "\n" not in str(caught.value)
    assert torch.equal(solution.network.theta, before)


def test_faded_edges_can_be_dropped_without_a_jump(trained):
    solution = copy(trained)
    objective = Collocation(problem, solution, 400, 0).objective()
    network = solution.network
    jets = network.levels(objective.terms[0].frame.X[:, :1], ())
    group = [e for e in edges_of(network) if e.layer == 1][:1]
    jump = float(
        (dropped(network, group, jets).levels(jets[0], ())[-1] - jets[-1]).norm() / jets[-1].norm()
    )
    fade(objective, group)
    jets = network.levels(jets[0], ())
    after = float(
        (dropped(network, group, jets).levels(jets[0], ())[-1] - jets[-1]).norm() / jets[-1].norm()
    )
    assert after < 0.05 * jump


def test_schedules_are_read_and_written():
    text = "lm:60,extend:12,widen:8,deepen:1,sparsify:40,sparsify/0.0001:20,prune:1e-06,lm/layer:5"
    stages = parse_schedule(text)
    assert stages[1:7] == [
        Extend(12),
        Widen(8),
        Deepen(1),
        Sparsify(40),
        Sparsify(20, strength=1e-4),
        Prune(1e-6),
    ]
    assert show_schedule(stages) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prune", r"schedule: 'prune': got '' for a number; expected such as prune:1e-6"),
        (
            "prune:2",
            (
                r"prune: got a loss of 2; expected a relative change of the solution between 0 and"
                r" 1, such as 1e-6"
            ),
        ),
        ("prune:0", r"prune: got a loss of 0;"),
        ("sparsify:x", r"schedule: 'sparsify:x' has no number; expected such as sparsify:100"),
        (
            "sparsify/x:9",
            r"schedule: 'sparsify/x:9': got 'x' for a number; expected such as sparsify/1e-4:60",
        ),
        ("sparsify/-1:9", r"sparsify: got strength -1; expected a positive number"),
        ("sparsify/nan:9", r"sparsify: got strength nan"),
        ("widen", r"schedule: 'widen' has no number; expected such as widen:8"),
        ("deepen:0", r"schedule: 'deepen:0' has no number; expected such as deepen:1"),
        ("widen/layer:3", r"schedule: 'widen/layer:3' is no stage"),
        ("prun:1", r"did you mean 'prune'"),
    ],
)
def test_stages_that_are_none_are_refused_in_one_line(text, message):
    with pytest.raises(RecipeError, match=message) as caught:
        parse_schedule(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stage", ["widen:8", "deepen:1", "sparsify:5", "prune:1e-3"])
def test_stages_for_edge_functions_are_refused_for_an_mlp_before_training(stage):
    with pytest.raises(
        RecipeError, match=rf"{stage.split(':')[0]}.*: got MLP 2-4-1, tanh; expected a network"
    ):
        solve(problem, network=MLP((4,)), schedule=f"lm:2,{stage}", points=100)


def test_a_schedule_with_all_changes_trains_to_a_small_network():
    result = solve(
        problem,
        network=KAN((2,), 5, 3),
        schedule="lm:30,widen:3,extend:6,lm:40,sparsify:40,prune:1e-2,lm:20",
        points=400,
    )
    titles = [title for title, _ in result.history.stages]
    assert titles[1:3] == ["widen:3", "extend to grid 6"]
    assert titles[4].startswith("sparsify, KAN 2-3-1")
    reasons = dict(result.history.stages)
    assert "the network's values moved by" in reasons["widen:3"]
    assert float(reasons["widen:3"].split()[-1]) < 1e-12
    assert "of 9 edges left, the solution changed by" in reasons["prune:0.01"]
    assert result.solution.network.widths == (2, 1, 1)
    assert result.relative_l2 < 1e-2


def test_deepening_in_training_keeps_the_loss():
    solution, history = train(
        problem,
        Recipe(KAN((3,), 5, 4), 300, "lm:20,deepen:1,lm:3"),
        0,
        "cpu",
        torch.float64,
        Silent(),
    )
    losses = {stage: [r.loss for r in history.records if r.stage == stage] for stage in (0, 2)}
    assert solution.network.widths == (2, 3, 3, 1)
    assert losses[2][0] <= 1.5 * losses[0][-1], "on other points of the same sequence"


def test_a_grid_cannot_follow_activations_in_one_place_and_the_run_is_left_as_it_was(monkeypatch):
    seen = []

    class Told(Silent):
        def message(self, text):
            seen.append(text)

    monkeypatch.setattr(KAN, "trained", flat(KAN.trained))
    solution, history = train(
        problem, Recipe(KAN((3,), 5, 4), 200, "lm:1,extend:8"), 0, "cpu", torch.float64, Told()
    )
    title, reason = history.stages[1]
    assert title == "extend to grid 8"
    assert reason.startswith(
        "left as it was: extend:8: all points lie in one place, (0, 0, 0), of a hidden level of KAN"
        " 2-3-1"
    )
    assert any("left as it was" in text for text in seen)
    assert solution.network.spec.grid == 4


def flat(made):
    def trained(self, inputs, outputs, generator):
        layer, theta = made(self, inputs, outputs, generator)
        return (
            layer,
            0 * theta,
        )  # no gradient reaches the first layer, and one step moves the last one only

    return trained


def test_settings_out_of_range_are_refused():
    for make, message in (
        (lambda: Widen(0), "widen:0: expected at least 1 unit"),
        (lambda: Deepen(0), "deepen:0: expected at least 1 level"),
        (lambda: Sparsify(entropy=-1), "sparsify: got entropy -1; expected 0 or more"),
        (lambda: Prune(math.nan), "prune: got a loss of nan"),
    ):
        with pytest.raises(RecipeError, match=message):
            make()


def test_a_large_network_is_not_made_sparse_by_dense_matrices():
    solution = solution_of((20, 20), 5, 8)
    steps = Sparsify(5).minimise(Collocation(problem, solution, 50, 0).objective())
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value.startswith("left out: 5,980 coefficients")


def test_masks_survive_a_pruned_training_stage(trained):
    network = trained.network
    jets = network.levels(
        Collocation(problem, trained, 100, 0).objective().terms[0].frame.X[:, :1], ()
    )
    solution = copy(trained)
    solution.network = dropped(network, [edges_of(network)[0]], jets)
    list(Sparsify(5).minimise(Collocation(problem, solution, 100, 0).objective()))
    for c, there in zip(coefficients(solution.network), masks(solution.network), strict=True):
        assert not c.transpose(1, 2)[~there].any()
