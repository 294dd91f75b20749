"""One step of Levenberg-Marquardt and of matrix-free Gauss-Newton, against dense algebra.

The second-order correction of Transtrum and Sethna is held to the exact second directional
derivative: a wrong one still lowers the loss, so that no test of descent sees it.
"""

import math

import pytest
import torch
from toys import cubic, objective_of, system_of

from kanpde.networks.kan import KAN
from kanpde.training import GaussNewton, LevenbergMarquardt
from kanpde.training.levenberg_marquardt import STUCK

OPTIMISERS = {
    "lm": LevenbergMarquardt(1),
    "lm/layer": LevenbergMarquardt(1, metric="layer"),
    "gn": GaussNewton(1, iterations=1000, sketch=0),
}
EASED = {"lm": 2, "lm/layer": 2, "gn": 3}
TIGHTENED = {"lm": 2, "lm/layer": 2, "gn": 4}

CASES = {
    "one equation": lambda: objective_of(cubic),
    "a system with weights": lambda: weighted(system_of(KAN((3,), 3, 3))),
}


def weighted(objective):
    objective.terms[0].weights = torch.linspace(0.5, 2.0, 100, dtype=torch.float64).view(50, 2)
    return objective


def lengths(J, network, metric):
    """What parameters are divided by, from the diagonal of JᵀJ."""
    squares = J.square().sum(0)
    if metric == "root":
        return (squares / squares.mean()).clamp_min(1e-8) ** -0.25
    means = torch.cat(
        [
            part.mean().expand(len(part))
            for part in torch.split(squares, [layer.size for layer in network.layers])
        ]
    )
    return (means / squares.mean()).clamp_min(1e-8) ** -0.5


def dense_step(objective, mu, metric):
    """The straight step and its correction, with the residual's second derivative along the step by
    central differences."""
    network, start = objective.network, objective.network.theta.clone()
    r, J = objective.jacobian()
    J = J.dense()
    W = lengths(J, network, metric)
    damped = (J * W).T @ (J * W) + mu * torch.eye(len(W), dtype=W.dtype)
    step = W * torch.linalg.solve(damped, -W * (J.T @ r))
    ends = []
    for sign in (1, -1):
        network.theta = start + sign * 1e-2 * step
        ends.append(objective.residuals())
    network.theta = start
    bending = (ends[0] + ends[1] - 2 * r) / 1e-4
    return step, W * torch.linalg.solve(damped, -0.5 * W * (J.T @ bending))


def begun(optimiser, objective, mu):
    state = optimiser.begin(objective)
    state.mu = mu
    return state


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_step_has_the_second_order_correction(name, case):
    optimiser, objective = OPTIMISERS[name], CASES[case]()
    start, before = objective.network.theta.clone(), objective.loss()
    # so much damping that third derivatives hardly count
    mu = 30 * before
    step, correction = dense_step(objective, mu, getattr(optimiser, "metric", "root"))
    state = begun(optimiser, objective, mu)
    assert optimiser.advance(objective, state) is None
    taken = objective.network.theta - start
    assert float((taken - step - correction).norm()) < 0.05 * float(correction.norm())
    assert state.loss == objective.loss() < before
    assert state.mu == pytest.approx(mu / EASED[name], rel=1e-15)
    assert (state.taken, state.losses) == (1, [math.inf, state.loss])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_damping_grows_where_the_loss_does_not_fall_and_then_stays(name, monkeypatch):
    optimiser, objective = OPTIMISERS[name], objective_of(cubic)
    mu, trials, squares = objective.loss(), [], objective.squares

    def risen_twice():
        trials.append(objective.network.theta.clone())
        return torch.tensor(math.inf) if len(trials) < 3 else squares()

    state = begun(optimiser, objective, mu)
    monkeypatch.setattr(objective, "squares", risen_twice)
    assert optimiser.advance(objective, state) is None
    assert len(trials) == 3
    assert state.mu == pytest.approx(mu * TIGHTENED[name] ** 2, rel=1e-15)
    assert torch.equal(objective.network.theta, trials[-1])


def test_where_the_correction_is_too_long_gauss_newton_goes_straight():
    objective = objective_of(cubic)
    start, mu = objective.network.theta.clone(), objective.loss()
    step, correction = dense_step(objective, mu, "root")
    optimiser = GaussNewton(1, iterations=1000, sketch=0, accept=0.0)
    assert optimiser.advance(objective, begun(optimiser, objective, mu)) is None
    straight = objective.network.theta - start - step
    assert float(straight.norm()) < 1e-3 * float(correction.norm())


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_the_longest_correction_is_half_of_accept_times_the_step(share):
    """Lengths are those of parameters that are divided by W."""
    objective = objective_of(cubic)
    start, mu = objective.network.theta.clone(), 30 * objective.loss()
    step, correction = dense_step(objective, mu, "root")
    W = lengths(objective.jacobian()[1].dense(), objective.network, "root")
    accept = share * 2 * float((correction / W).norm() / (step / W).norm())
    optimiser = GaussNewton(1, iterations=1000, sketch=0, accept=accept)
    optimiser.advance(objective, begun(optimiser, objective, mu))
    bent = float((objective.network.theta - start - step).norm() / correction.norm())
    assert bent == pytest.approx(1.0 if share > 1 else 0.0, abs=0.05)


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_where_the_correction_is_too_long_levenberg_marquardt_damps_more(share):
    objective = objective_of(cubic)
    mu = 30 * objective.loss()
    step, correction = dense_step(objective, mu, "root")
    W = lengths(objective.jacobian()[1].dense(), objective.network, "root")
    accept = share * 2 * float((correction / W).norm() / (step / W).norm())
    optimiser = LevenbergMarquardt(1, accept=accept)
    state = begun(optimiser, objective, mu)
    assert optimiser.advance(objective, state) is None
    assert state.mu == pytest.approx(mu / 2 if share > 1 else 2 * mu, rel=1e-15)


def test_where_every_correction_is_too_long_levenberg_marquardt_is_stuck_and_does_not_move():
    objective, optimiser = objective_of(cubic), LevenbergMarquardt(1, accept=0.0)
    start = objective.network.theta.clone()
    assert optimiser.advance(objective, begun(optimiser, objective, 1.0)) == STUCK
    assert torch.equal(objective.network.theta, start)


@pytest.mark.parametrize("rise", [0.5, 1.5, 4.0])
@pytest.mark.parametrize("name", ["lm", "gn"])
def test_patience_begins_again_where_points_or_weights_make_the_loss_rise(name, rise):
    optimiser = {"lm": LevenbergMarquardt(9), "gn": GaussNewton(9, iterations=1000, sketch=0)}[name]
    objective = objective_of(cubic)
    state = optimiser.begin(objective)
    for _ in range(3):
        assert optimiser.advance(objective, state) is None
    assert len(state.losses) == 4
    before, mu = state.loss, 1e-7 * state.loss
    state.mu = mu
    objective.terms[0].weights = torch.full((60, 1), rise, dtype=torch.float64)
    assert objective.loss() == pytest.approx(rise * before, rel=1e-9)
    assert optimiser.advance(objective, state) is None
    assert state.losses[-1] == state.loss
    assert len(state.losses) == (1 if rise > 1 else 5)
    # the damping is then of the size of the loss, or what it began with: 1e-3
    assert (state.mu > 1e-4) is (rise > 1)
