"""The optimisers on small objectives, what they say when they stop, and how a schedule is
written."""

import math

import pytest
import torch
from torch.overrides import TorchFunctionMode
from toys import bad, cubic, objective_of, run

from kanpde import RecipeError
from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.training import (
    LBFGS,
    Adam,
    Broyden,
    Extend,
    GaussNewton,
    LevenbergMarquardt,
    Soap,
    levenberg_marquardt,
    parse_schedule,
    show_schedule,
)
from kanpde.training.levenberg_marquardt import (
    beyond_rounding,
    by_layer,
    damped_cholesky,
    scaling,
)


def test_levenberg_marquardt_solves_a_linear_least_squares_problem_in_a_few_steps():
    """One layer is linear in its coefficients: what is left is the least-squares minimum, found by
    a direct solver."""
    objective = objective_of(spec=KAN((), 5, 6))
    start = objective.network.theta
    r, rows = objective.jacobian()
    J = rows.dense()
    wanted = float(
        (r + J @ torch.linalg.lstsq(J, -r[:, None], driver="gelsd").solution[:, 0]).square().sum()
    )
    losses, _ = run(LevenbergMarquardt(12), objective)
    assert losses[-1] == pytest.approx(wanted, rel=1e-3)
    assert not torch.equal(objective.network.theta, start)


def test_levenberg_marquardt_never_goes_up_and_reports_the_loss_where_it_is():
    objective = objective_of(cubic)
    before = objective.loss()
    steps, last = LevenbergMarquardt(30).minimise(objective), before
    for loss in steps:
        assert loss < last
        assert loss == objective.loss()
        last = loss
    assert last < 1e-6 * before


class Reads(TorchFunctionMode):
    """Counts what waits for a GPU: numbers that are read, and shapes that depend on numbers."""

    WAITING = (
        "item",
        "tolist",
        "nonzero",
        "__float__",
        "__bool__",
        "__int__",
        "__index__",
        "equal",
    )

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in self.WAITING:
            self.found.append(func.__name__)
        return func(*args, **(kwargs or {}))


def test_on_a_gpu_a_step_of_levenberg_marquardt_waits_twice(monkeypatch):
    monkeypatch.setattr(levenberg_marquardt, "reading_waits", lambda x: True)
    objective = objective_of(cubic)
    optimiser = LevenbergMarquardt(30)
    state = optimiser.begin(objective)
    optimiser.advance(objective, state)
    mu = state.mu
    with Reads() as reads:
        assert optimiser.advance(objective, state) is None
    assert state.mu == mu / 2, "the first damping was taken"
    assert reads.found == ["tolist", "__float__"]


def test_waiting_less_often_changes_no_bit(monkeypatch):
    found = []
    for waits in (False, True):
        monkeypatch.setattr(levenberg_marquardt, "reading_waits", lambda x, waits=waits: waits)
        objective = objective_of(cubic)
        found.append((run(LevenbergMarquardt(8), objective)[0], objective.network.theta))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])


def test_levenberg_marquardt_ends_at_a_minimum_without_moving():
    objective = objective_of(spec=KAN((), 5, 3))
    run(LevenbergMarquardt(60), objective)
    theta = objective.network.theta
    losses, reason = run(LevenbergMarquardt(60), objective)
    assert reason == "no damping lowers the loss any further" or "less than 1 %" in reason
    if not losses:
        assert torch.equal(objective.network.theta, theta)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_loss_that_is_summed_in_another_order_does_not_try_patience_again(dtype):
    eps = torch.finfo(dtype).eps
    assert not beyond_rounding(1 + 100 * eps, 1.0, dtype)
    assert beyond_rounding(1.01, 1.0, dtype)


def test_patience_ends_a_stage_that_creeps():
    losses, reason = run(LevenbergMarquardt(200, patience=3), objective_of(spec=KAN((), 5, 3)))
    assert len(losses) < 200
    assert reason == "the loss fell by less than 1 % in 3 steps" or reason.startswith("no damping")


def test_a_matrix_that_is_not_finite_has_no_factor():
    normal = torch.eye(3, dtype=torch.float64)
    assert damped_cholesky(normal, 1.0) is not None
    assert damped_cholesky(-2 * normal, 1.0) is None
    assert damped_cholesky(normal * math.nan, 1.0) is None
    assert torch.equal(normal, torch.eye(3, dtype=torch.float64)), "the matrix is left as it was"


@pytest.mark.parametrize("spec", [KAN((3,), 5, 4), MLP((6,))], ids=["kan", "mlp"])
@pytest.mark.parametrize(
    ("optimiser", "factor"),
    [
        (LevenbergMarquardt(25), 1e-4),
        (LevenbergMarquardt(25, metric="layer"), 1e-4),
        (GaussNewton(10, sketch=20), 1e-4),
        (LBFGS(60), 1e-2),
        (Broyden(60), 1e-3),
        (Adam(80, rate=1e-2), 0.5),
        (Soap(80, rate=1e-2), 0.3),
    ],
    ids=["lm", "lm by layer", "gn", "lbfgs", "ssbroyden", "adam", "soap"],
)
def test_every_optimiser_lowers_the_loss(optimiser, factor, spec):
    objective = objective_of(cubic, spec)
    before = objective.loss()
    losses, reason = run(optimiser, objective)
    assert objective.loss() < factor * before
    assert all(math.isfinite(loss) for loss in losses)
    assert reason
    again = objective_of(cubic, spec)
    assert run(optimiser, again) == (losses, reason), "the same start gives the same steps"
    assert torch.equal(again.network.theta, objective.network.theta)


def test_lbfgs_goes_down_and_says_why_it_stopped():
    objective = objective_of(cubic)
    losses, reason = run(LBFGS(15), objective)
    assert losses == sorted(losses, reverse=True)
    assert (len(losses), reason) == (15, "all steps done")
    assert run(LBFGS(15, tolerance=1e9), objective) == ([], "gradient below 1e+09")


def test_lbfgs_on_a_quadratic_reaches_its_minimum():
    """Two parameters: exact after a few steps."""

    class Bowl:
        network = type("Point", (), {"theta": torch.tensor([3.0, -2.0], dtype=torch.float64)})()
        matrix = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)

        def gradient(self):
            theta = self.network.theta
            return float(0.5 * theta @ self.matrix @ theta), self.matrix @ theta

    bowl = Bowl()
    losses, reason = run(LBFGS(50), bowl)
    assert reason == "gradient below 1e-12"
    assert len(losses) < 20
    assert float(bowl.network.theta.abs().max()) < 1e-12


@pytest.mark.parametrize(
    "optimiser",
    [LBFGS(10), Broyden(10), Adam(10), Soap(10), GaussNewton(10), LevenbergMarquardt(10)],
    ids=lambda o: o.name,
)
def test_an_optimiser_stops_where_nothing_is_finite_and_does_not_move(optimiser):
    objective = objective_of(bad)
    theta = objective.network.theta
    losses, reason = run(optimiser, objective)
    assert losses == []
    assert (
        reason.startswith("loss became nan") or reason == "no damping lowers the loss any further"
    )
    assert torch.equal(objective.network.theta, theta)


@pytest.mark.parametrize(
    "text",
    ["lm:60", "adam:500,lbfgs:200,lm:100", "lm:60,extend:12,lm:60", "lm/layer:60,extend:12,lm:60"],
)
def test_a_schedule_reads_as_it_is_written(text):
    stages = parse_schedule(text)
    assert show_schedule(stages) == text
    assert parse_schedule(show_schedule(stages)) == stages
    assert parse_schedule(text.replace(",", " , ")) == stages


def test_the_stages_of_a_schedule():
    assert parse_schedule("adam:3,soap:7,lbfgs:4,ssbroyden:8,lm:5,gn:9,extend:6") == [
        Adam(steps=3),
        Soap(steps=7),
        LBFGS(steps=4),
        Broyden(steps=8),
        LevenbergMarquardt(steps=5),
        GaussNewton(steps=9),
        Extend(6),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            (
                r"'' is no stage; expected adam, soap, lbfgs, ssbroyden, lm, gn, als, sparsify,"
                r" extend, widen, deepen, refine, prune, compress with a number"
            ),
        ),
        ("lm:60,,lm:60", r"'' is no stage"),
        ("lm/rot:20", r"metric: got 'rot'; expected one of root, layer; did you mean 'root'"),
        ("adam/root:20", r"'adam/root:20' is no stage"),
        ("lbgfs:20", r"'lbgfs:20' is no stage.*did you mean 'lbfgs'"),
        ("LM:20", r"'LM:20' is no stage.*did you mean 'lm'"),
        ("lm", r"'lm' has no number; expected such as lm:100"),
        ("lm:0", r"'lm:0' has no number"),
        ("lm:-3", r"'lm:-3' has no number"),
        ("lm:1.5", r"'lm:1.5' has no number"),
        ("extend:", r"'extend:' has no number; expected such as extend:12"),
    ],
)
def test_a_schedule_that_is_not_one_is_refused(text, message):
    with pytest.raises(RecipeError, match=message) as caught:
        parse_schedule(text)
    assert "\n" not in str(caught.value)


def test_an_extension_needs_an_interval():
    with pytest.raises(RecipeError, match="extend:0: expected a grid of at least 1 interval"):
        Extend(0)


def test_the_damping_of_a_parameter_grows_with_the_root_of_what_points_see_of_it():
    squares = torch.tensor([1.0, 16.0, 81.0, 0.0], dtype=torch.float64)
    damping = scaling(squares) ** -2
    assert (damping[1] / damping[0], damping[2] / damping[0]) == (
        pytest.approx(4.0),
        pytest.approx(9.0),
    )
    assert float(damping[3]) == pytest.approx(1e-4), "nor is it ever without damping"
    torch.testing.assert_close(scaling(1e6 * squares), scaling(squares))
    assert scaling(torch.zeros(2)).isfinite().all()


def test_the_damping_by_layer_is_the_mean_of_what_points_see_of_it():
    damping = (
        by_layer(torch.tensor([1.0, 3.0, 7.0, 9.0, 8.0], dtype=torch.float64), [2, 0, 3]) ** -2
    )
    assert damping.tolist() == pytest.approx([2 / 5.6, 2 / 5.6, 8 / 5.6, 8 / 5.6, 8 / 5.6])
    with pytest.raises(
        RecipeError,
        match=r"^metric: got 'roots'; expected one of root, layer; did you mean 'root'\?$",
    ):
        LevenbergMarquardt(metric="roots")
