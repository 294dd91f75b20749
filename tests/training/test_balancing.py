"""Weights of conditions, equations, points and times: that they are what the papers say, and that
rows carry them."""

import math

import pytest
import torch
from toys import system_of

from kanpde import RecipeError
from kanpde.networks.kan import KAN
from kanpde.training import LevenbergMarquardt
from kanpde.training.balancing import Balance, attention, causal, equalising, slopes, traces


@pytest.fixture
def system():
    return system_of(KAN((3,), 3, 3))


def nested(term, network):
    """Rows of a term and their derivatives by autograd through the plain layers, one weighted row
    at a time."""
    r = term.evaluate(network, False)[1]
    theta, eps = network.theta, 1e-6
    columns = []
    for i in range(len(theta)):
        step = torch.zeros_like(theta)
        step[i] = eps
        network.theta = theta + step
        above = term.evaluate(network, False)[1]
        network.theta = theta - step
        columns.append((above - term.evaluate(network, False)[1]) / (2 * eps))
    network.theta = theta
    return r, torch.stack(columns, -1)


def test_rows_gradient_and_jacobian_carry_the_weights(system):
    network = system.network
    r, J = system.jacobian()
    J = J.dense()
    weights = [
        torch.rand(len(t.frame.points), t.equations, dtype=torch.float64) for t in system.terms
    ]
    for t, w in zip(system.terms, weights, strict=True):
        t.weights = w
    roots = torch.cat([w.T.reshape(-1) for w in weights]).sqrt()
    weighted, rows = system.jacobian()
    torch.testing.assert_close(weighted, roots * r)
    torch.testing.assert_close(system.residuals(), roots * r)
    torch.testing.assert_close(rows.dense(), roots[:, None] * J)
    loss, gradient = system.gradient()
    assert loss == pytest.approx(float((roots * r).square().sum()))
    torch.testing.assert_close(gradient, 2 * J.T @ (roots.square() * r))
    values, by_parameter = nested(system.terms[0], network)
    torch.testing.assert_close(values, system.terms[0].evaluate(network, False)[1])
    torch.testing.assert_close(
        by_parameter.transpose(0, 1).reshape(-1, len(gradient)),
        rows.dense()[: values.numel()],
        rtol=1e-5,
        atol=1e-6,
    )


def test_traces_are_mean_squared_rows_of_each_equation(system):
    term = system.terms[0]
    _, J = system.jacobian()
    squares = J.dense().square().sum(1)[: 2 * len(term.frame.points)].view(2, -1)
    torch.testing.assert_close(traces(system.network, term), squares.sum(1))
    term.weights = torch.full((len(term.frame.points), 2), 7.0, dtype=torch.float64)
    torch.testing.assert_close(
        traces(system.network, term), squares.sum(1), msg="weights are left out"
    )


def test_slopes_are_gradients_of_each_equations_own_loss(system):
    term = system.terms[0]
    r, J = system.jacobian()
    n = len(term.frame.points)
    for e in range(2):
        rows = slice(e * n, (e + 1) * n)
        assert float(slopes(system.network, term)[e]) == pytest.approx(
            float((2 * J.dense()[rows].T @ r[rows]).norm())
        )


@pytest.mark.parametrize(("kind", "size"), [("ntk", traces), ("gradient", slopes)])
def test_equations_and_conditions_are_made_equal(system, kind, size):
    before = [size(system.network, t) for t in system.terms]
    assert float(before[0][1] / before[0][0]) > 30
    balance = Balance(kind)
    balance(system)
    assert all(t.weights is not None for t in system.terms)
    weighted = torch.cat([t.weights[0] * b for t, b in zip(system.terms, before, strict=True)])
    torch.testing.assert_close(weighted, before[0].mean().expand_as(weighted))
    first = [t.weights.clone() for t in system.terms]
    balance(system)
    torch.testing.assert_close(
        [t.weights for t in system.terms], first, msg="weights do not feed on themselves"
    )


def test_one_equation_alone_keeps_weight_one_and_no_weight_is_without_bounds():
    assert equalising([torch.tensor([3.0])])[0].tolist() == [1.0]
    found = equalising([torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1e9])])
    assert found[0].tolist() == pytest.approx([2.0, 2 / 3])
    assert found[1].tolist() == pytest.approx([1e6, 1e-6])


def test_old_weights_have_their_share(system):
    balance = Balance("ntk", memory=0.75)
    balance(system)
    old = system.terms[0].weights[0].clone()
    system.network.theta = 1.5 * system.network.theta
    fresh = equalising([traces(system.network, t) for t in system.terms])[0]
    balance(system)
    torch.testing.assert_close(system.terms[0].weights[0], 0.75 * old + 0.25 * fresh)


def test_attention_follows_its_recursion():
    r = torch.tensor([[1.0, -8.0], [-2.0, 4.0], [0.0, 0.0]], dtype=torch.float64)
    first = attention(r, None, 0.9, 0.1)
    torch.testing.assert_close(
        first, 0.9 + 0.1 * torch.tensor([[0.5, 1.0], [1.0, 0.5], [0.0, 0.0]], dtype=torch.float64)
    )
    second = attention(r, first, 0.9, 0.1)
    torch.testing.assert_close(
        second,
        0.9 * first + 0.1 * torch.tensor([[0.5, 1.0], [1.0, 0.5], [0.0, 0.0]], dtype=torch.float64),
    )
    for _ in range(200):
        second = attention(r, second, 0.9, 0.1)
    torch.testing.assert_close(
        second,
        torch.tensor([[0.5, 1.0], [1.0, 0.5], [0.0, 0.0]], dtype=torch.float64),
        rtol=1e-6,
        atol=1e-6,
    )
    assert attention(torch.zeros(2, 1), None).isfinite().all()


def test_attention_multiplies_residuals_not_squares(system):
    balance = Balance("attention")
    plain = system.residuals()
    raw = system.terms[0].evaluate(system.network, False)[1] / system.terms[0].scale
    balance(system)
    torch.testing.assert_close(system.terms[0].weights, attention(raw, None).square())
    balance(system)
    torch.testing.assert_close(
        system.terms[0].weights, attention(raw, attention(raw, None)).square()
    )
    assert float(system.residuals().norm()) < float(plain.norm())


def test_causal_weights_wait_for_earlier_times():
    times = torch.tensor([0.0, 0.1, 0.3, 0.6, 0.99, 1.0], dtype=torch.float64)
    r = torch.tensor([1.0, 3.0, 2.0, 4.0, 9.0, 9.0], dtype=torch.float64)[:, None]
    L = [(1 + 9) / 2, 4.0, 16.0]  # slices [0, 1/4), [1/4, 1/2), [1/2, 3/4)
    wanted = [
        1.0,
        1.0,
        math.exp(-0.1 * L[0]),
        math.exp(-0.1 * (L[0] + L[1])),
        *2 * [math.exp(-0.1 * sum(L))],
    ]
    assert causal(times, r, 0.1, 4).tolist() == pytest.approx(wanted)
    assert causal(times, r, 0.1, 4).tolist() == pytest.approx(
        causal(times, torch.cat([r, 0 * r], 1), 0.1, 4).tolist()
    )
    assert causal(times, 0 * r, 5.0).tolist() == [1.0] * 6
    assert causal(times[:1], r[:1], 1.0).tolist() == [1.0]


def test_causal_weights_are_of_the_equations_only_and_times_the_others(system):
    Balance("ntk")(system)
    alone = [t.weights.clone() for t in system.terms]
    Balance("ntk", epsilon=1e-5, time="t")(system)
    term = system.terms[0]
    raw = torch.stack(
        [
            term.evaluate(system.network, False)[1][:, e] / (term.scale * term.weights[:, e].sqrt())
            for e in range(2)
        ],
        1,
    )
    torch.testing.assert_close(
        term.weights, alone[0] * causal(term.frame.points[:, 1], raw, 1e-5)[:, None]
    )
    torch.testing.assert_close([t.weights for t in system.terms[1:]], alone[1:])


def test_without_balancing_nothing_is_touched(system):
    Balance()(system)
    assert all(t.weights is None for t in system.terms)


def test_a_step_between_two_weightings_lowers_the_weighted_loss(system):
    balance, last = Balance("attention", epsilon=1e-6, time="t"), math.inf
    steps = LevenbergMarquardt(6).minimise(system)
    for loss in steps:
        assert loss == system.loss()
        assert loss < last
        balance(system)
        last = system.loss()
    assert last < math.inf


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("NTK",),
            (
                r"^balance: got 'NTK'; expected one of none, ntk, gradient, attention; did you mean"
                r" 'ntk'\?$"
            ),
        ),
        (("ntk", -1.0, "t"), r"^causal: got -1; expected 0 or more$"),
        (("ntk", math.inf, "t"), r"^causal: got inf; expected 0 or more$"),
        (("ntk", math.nan, "t"), r"^causal: got nan; expected 0 or more$"),
        (("none", 0.1), r"^causal: got 0.1 for a problem without time; expected 0$"),
    ],
)
def test_what_is_no_balance_is_refused(arguments, message):
    with pytest.raises(RecipeError, match=message):
        Balance(*arguments)
