"""Gauss-Newton without matrices: the products, the solver, its preconditioner, and the steps."""

import math

import pytest
import torch
from toys import cubic, objective_of, run, system_of

from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.training import GaussNewton
from kanpde.training.gauss_newton import Inexact, conjugate_gradients
from kanpde.training.nystrom import nystrom
from kanpde.training.tangent import Tangent


def positive(n=60, decay=0.7):
    """A positive semidefinite matrix whose eigenvalues fall geometrically."""
    Q, _ = torch.linalg.qr(
        torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    )
    return Q * decay ** torch.arange(n, dtype=torch.float64) @ Q.T


@pytest.mark.parametrize(
    "spec", [KAN((3, 2), 3, 3), MLP((4, 3)), KAN((), 3, 4)], ids=["kan", "mlp", "one layer"]
)
def test_products_are_those_of_the_jacobian(spec):
    objective = system_of(spec)
    objective.terms[0].weights = torch.rand(50, 2, dtype=torch.float64)
    r, J = objective.jacobian()
    J, tangent = J.dense(), Tangent(objective)
    v, w, V = (
        torch.randn(J.shape[1], dtype=J.dtype),
        torch.randn(J.shape[0], dtype=J.dtype),
        torch.randn(J.shape[1], 4, dtype=J.dtype),
    )
    torch.testing.assert_close(tangent.r, r)
    torch.testing.assert_close(tangent @ v, J @ v)
    torch.testing.assert_close(tangent.transposed_times(w), J.T @ w)
    torch.testing.assert_close(tangent.squares(), J.square().sum(0))
    torch.testing.assert_close(tangent.normal_times(V), J.T @ (J @ V))
    assert all(len(block.values) <= 7 for block in tangent.rows(7))
    torch.testing.assert_close(
        sum(block.dense().T @ block.dense() for block in tangent.rows(7)), J.T @ J
    )


def test_conjugate_gradients_end_at_the_tolerance_or_when_they_are_cut_off():
    A = positive(decay=0.9) + 1e-3 * torch.eye(60)
    b = torch.ones(60, dtype=A.dtype)
    x, taken = conjugate_gradients(lambda p: A @ p, b, lambda r: r, 1e-8, 500)
    assert taken < 500
    assert float((A @ x - b).norm()) < 1e-8 * float(b.norm())
    early, fewer = conjugate_gradients(lambda p: A @ p, b, lambda r: r, 1e-2, 500)
    assert fewer < taken
    assert 1e-8 < float((A @ early - b).norm() / b.norm()) < 1e-2
    assert conjugate_gradients(lambda p: A @ p, b, lambda r: r, 1e-8, 3)[1] == 3
    nothing, none = conjugate_gradients(lambda p: -p, b, lambda r: r, 1e-8, 10)
    assert (none, float(nothing.norm())) == (0, 0.0), "no step where the curvature is not positive"


def test_the_preconditioner_makes_the_system_well_conditioned():
    """Frangella, Tropp and Udell, theorem 5.1: the condition number is a small constant when the
    columns reach down to μ."""
    A, mu = positive(), 1e-4  # 26 eigenvalues are above μ
    sketch = nystrom(lambda V: A @ V, 60, 40, A)
    assert sketch is not None
    precondition = sketch.preconditioner(mu)
    P = torch.stack([precondition(e) for e in torch.eye(60, dtype=A.dtype)], 1)
    torch.testing.assert_close(P, P.T)
    inner = torch.linalg.eigvals(P @ (A + mu * torch.eye(60))).real
    assert float(inner.min()) > 0
    assert float(inner.max() / inner.min()) < 10
    b = torch.ones(60, dtype=A.dtype)
    damped = lambda p: A @ p + mu * p
    assert (
        3 * conjugate_gradients(damped, b, precondition, 1e-8, 500)[1]
        < conjugate_gradients(damped, b, lambda r: r, 1e-8, 500)[1]
    )


def test_a_sketch_of_what_is_not_positive_is_none():
    assert nystrom(lambda V: -V, 10, 4, torch.eye(10, dtype=torch.float64)) is None
    assert nystrom(lambda V: torch.nan * V, 10, 4, torch.eye(10, dtype=torch.float64)) is None


def test_solved_exactly_it_makes_the_steps_of_levenberg_marquardt():
    """One layer is linear: what is left of the loss is the least-squares minimum, known from a
    direct solver."""
    objective = objective_of(spec=KAN((), 5, 6))
    r, rows = objective.jacobian()
    J = rows.dense()
    wanted = float(
        (r + J @ torch.linalg.lstsq(J, -r[:, None], driver="gelsd").solution[:, 0]).square().sum()
    )
    losses, _ = run(GaussNewton(12, iterations=100), objective)
    assert losses[-1] == pytest.approx(wanted, rel=1e-2)


@pytest.mark.parametrize("sketch", [0, 15])
def test_it_goes_down_far(sketch):
    objective = objective_of(cubic)
    before = objective.loss()
    run(GaussNewton(20, iterations=60, sketch=sketch), objective)
    assert objective.loss() < 1e-8 * before


def test_it_never_goes_up_and_reports_the_loss_where_it_is():
    objective = objective_of(cubic)
    last = objective.loss()
    for loss in GaussNewton(10).minimise(objective):
        assert loss < last
        assert loss == objective.loss()
        last = loss


def test_a_cut_off_solve_calls_for_a_sketch():
    made = []

    class Watched(GaussNewton):
        def _sketch(self, J, W, state):
            before = state.sketch
            super()._sketch(J, W, state)
            made.append(state.sketch is not before)

    run(Watched(14, iterations=3, sketch=10), objective_of(cubic))
    assert made[0] is False, "the diagonal comes first"
    assert any(made)
    assert all(not any(made[k + 1 : k + 5]) for k, new in enumerate(made) if new)
    made.clear()
    run(Watched(14, iterations=1000), objective_of(cubic))
    assert not any(made)


def test_points_and_weights_may_change_between_steps():
    objective = objective_of(cubic)
    steps = GaussNewton(8).minimise(objective)
    next(steps)
    objective.terms[0].weights = torch.full((60, 1), 100.0, dtype=torch.float64)
    before = objective.loss()
    assert next(steps) < before


def test_patience_ends_a_stage_that_creeps():
    losses, reason = run(GaussNewton(300, patience=3), objective_of(spec=KAN((), 5, 3)))
    assert len(losses) < 300
    assert reason == "the loss fell by less than 1 % in 3 steps" or reason.startswith("no damping")


def test_damping_and_tolerance_begin_again_where_the_loss_rises():
    """On new points; they follow the loss down, and rounding is no rise."""
    state = Inexact(math.inf, 0)
    state.begin(1.0, 0.5, torch.float64)
    assert (state.mu, state.forcing, state.first) == (0.05, 0.1, 1.0), (
        "a tenth of the mean diagonal"
    )
    state.mu = 1e-6
    state.begin(1e-4, 0.5, torch.float64)
    assert (state.mu, state.forcing, state.first) == (1e-6, pytest.approx(0.01), 1.0)
    state.begin(1e-4 * (1 + 1e-10), 0.5, torch.float64)
    assert (state.mu, state.first) == (1e-6, 1.0)
    state.begin(1e-4 * (1 + 1e-6), 0.5, torch.float32)
    assert (state.mu, state.first) == (1e-6, 1.0)
    state.begin(1.5e-4, 0.5, torch.float64)
    assert (state.mu, state.forcing, state.first) == (1.5e-4, 0.1, 1.5e-4)
    state.mu = 1.0
    state.begin(1.0, 0.5, torch.float64)
    assert state.mu == 1.0, "it is never made smaller"
    flat = Inexact(0.0, 0)
    flat.begin(0.0, 0.5, torch.float64)
    assert flat.forcing == 0.1
