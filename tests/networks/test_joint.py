"""Networks and constants joined: derivatives, adjoint and Jacobian, extension of the parts,
checkpoints, training."""

import io
import math

import pytest
import torch

from kanpde import Box, Problem, d
from kanpde.errors import RunError
from kanpde.kernels.taylor import channels
from kanpde.networks.constants import Constants
from kanpde.networks.joint import Joint, Part, joint, with_constants
from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.networks.restore import restore
from kanpde.networks.rows import Rows
from kanpde.networks.state import network_of, onto, state
from kanpde.networks.transform import Transform
from kanpde.networks.trial_space import tabular_space
from kanpde.residual.recording import record
from kanpde.training.gauss_newton import GaussNewton
from kanpde.training.levenberg_marquardt import LevenbergMarquardt
from kanpde.training.objective import Objective, term
from kanpde.training.tangent import Tangent

COUNTS = (3, 2, 2, 1)
TRANSFORMS = (
    Transform(0.3),
    Transform(0.2, 0.0),
    Transform(-1.0, high=2.0),
    Transform(0.5, 0.0, 2.0),
)


def jet(points=6, inputs=3, counts=COUNTS):
    X = torch.randn(points, channels(counts), inputs, dtype=torch.float64)
    X[:, 0] = 1.8 * torch.rand(points, inputs, dtype=torch.float64) - 0.9
    return X


def built(spread=0.3):
    """Three inputs: a KAN of all, an MLP of the last and the first, a positive field of the second,
    and four constants; 2 + 1 + 1 + 4 outputs."""
    generator = torch.Generator().manual_seed(1)
    field = onto(KAN((2,), 5, 3).build(1, 1, generator), (Transform(2.0, 0.0),))
    parts = [
        Part(KAN((3,), 7, 3).build(3, 2, generator), (0, 1, 2)),
        Part(MLP((4,)).build(2, 1, generator), (2, 0)),
        Part(field, (1,), grows=False),
    ]
    found = joint([*parts, Part(Constants(TRANSFORMS).build(), ())], 3)
    found.theta = found.theta + spread * torch.randn(
        found.theta.shape, generator=generator, dtype=torch.float64
    )
    return found


def test_every_part_sees_its_inputs_and_gives_its_outputs():
    network, X = built(), jet()
    Y = network.forward(X, COUNTS)[-1]
    kan, mlp, field, constants = network.networks()
    torch.testing.assert_close(Y[:, :, :2], kan.forward(X, COUNTS)[-1], rtol=0, atol=0)
    torch.testing.assert_close(
        Y[:, :, 2:3], mlp.forward(X[:, :, [2, 0]].contiguous(), COUNTS)[-1], rtol=0, atol=0
    )
    torch.testing.assert_close(
        Y[:, :, 3:4], field.forward(X[:, :, [1]].contiguous(), COUNTS)[-1], rtol=0, atol=0
    )
    values = torch.stack([t(x) for t, x in zip(TRANSFORMS, constants.theta, strict=True)])
    torch.testing.assert_close(Y[:, 0, 4:], values.expand(6, 4), rtol=1e-15, atol=0)
    assert not Y[:, 1:, 4:].any(), "constants have no derivatives"
    assert network.widths == (3, 8)
    assert network.parameters == sum(n.parameters for n in (kan, mlp, field, constants))
    assert (
        network.describe()
        == "KAN 3-3-2, degree 7, grid 3, and MLP 2-4-1, tanh, and KAN 1-2-1, degree 5, grid 3, and"
        " 4 constants"
    )


@pytest.mark.parametrize(
    "transform", [*TRANSFORMS, Transform(5.0, 1.0, 6.0), Transform(300.0)], ids=str
)
def test_transforms_start_at_their_initial_value_and_stay_within_bounds(transform):
    x = torch.linspace(-30, 30, 61, dtype=torch.float64)
    assert float(transform(torch.zeros(1, dtype=torch.float64))) == pytest.approx(
        transform.initial, rel=1e-14
    )
    assert ((transform(x) >= transform.low) & (transform(x) <= transform.high)).all()
    assert (
        transform(x).diff() * (1 if transform.high == math.inf or transform.low > -math.inf else -1)
        >= 0
    ).all()
    at = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    wanted, found = transform(at), transform.taylor(at.detach(), 4)
    for nu in range(1, 5):
        (wanted,) = (
            torch.autograd.grad(wanted.sum(), at, create_graph=True, allow_unused=True)
            if wanted.requires_grad
            else (torch.zeros(1),)
        )
        torch.testing.assert_close(
            found[nu] * math.factorial(nu), wanted.detach().double(), rtol=1e-12, atol=1e-14
        )


def test_the_jet_of_a_positive_field_is_that_of_the_composition():
    network, X = built().networks()[2], jet(inputs=1)
    line = X[:, [0, 1, 4, 6, 8]].contiguous()
    s = 5e-3
    values = {
        k: network.forward(
            sum(line[:, j] * (k * s) ** j for j in range(5))[:, None].contiguous(), ()
        )[-1][:, 0]
        for k in range(-4, 5)
    }
    V = torch.tensor([[float(k * s) ** j for j in range(9)] for k in values], dtype=torch.float64)
    taylor = torch.linalg.solve(V, torch.stack(list(values.values())).flatten(1)).view(9, 6, 1)
    found = network.forward(X, COUNTS)[-1]
    for order, channel in enumerate((0, 1, 4, 6, 8)):
        torch.testing.assert_close(
            found[:, channel],
            taylor[order],
            rtol=1e-3,
            atol=1e-3 * float(found[:, channel].abs().max() + 1),
        )


def test_gradient_and_rows_are_those_of_finite_differences():
    network, X = built(), jet()
    L = torch.randn(6, channels(COUNTS), 8, dtype=torch.float64)
    jets = network.forward(X, COUNTS)
    gradient, rows = network.gradient(jets, L, COUNTS), network.jacobian(jets, L, COUNTS).dense()
    torch.testing.assert_close(
        rows.sum(0), gradient, rtol=1e-9, atol=1e-10 * float(gradient.abs().max())
    )
    torch.testing.assert_close(
        network.jacobian(network.levels(X, COUNTS), L, COUNTS).dense(), rows, rtol=1e-9, atol=1e-9
    )
    start, v, h, at = network.theta, torch.randn_like(network.theta), 1e-3, {}
    v = v / v.norm()
    for k in (-2, -1, 1, 2):
        network.theta = start + k * h * v
        at[k] = (network.forward(X, COUNTS)[-1] * L).sum((1, 2))
    slope = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
    torch.testing.assert_close(rows @ v, slope, rtol=1e-5, atol=1e-6 * float(slope.abs().max()))


def test_rows_of_a_part_that_nothing_depends_on_are_zero_and_fit_below_others():
    network, X = built(), jet()
    L = torch.randn(6, channels(COUNTS), 8, dtype=torch.float64)
    only = L.clone()
    only[:, :, :4] = 0
    jets = network.forward(X, COUNTS)
    rows, everything = network.jacobian(jets, only, COUNTS), network.jacobian(jets, L, COUNTS)
    assert rows.lengths == everything.lengths
    dense = rows.dense()
    assert not dense[:, :-4].any()
    torch.testing.assert_close(dense[:, -4:], everything.dense()[:, -4:])
    ones = torch.ones(12, dtype=torch.float64)
    torch.testing.assert_close(
        torch.cat([dense, everything.dense()]).T @ ones,
        Rows.below([rows, everything]).transposed_times(ones),
    )


def test_extension_reaches_the_parts_that_grow():
    network = joint([p for p in built().pieces if not isinstance(p.network.spec, MLP)], 3)
    X = jet(200, counts=())
    before = network.forward(X, ())[-1]
    finer = network.changed(
        lambda part, jets: (
            part if isinstance(part.spec, Constants) else part.spec.extend(part, 6, jets)
        ),
        network.levels(X, ()),
    )
    assert [n.spec.grid for n in finer.networks()[:2]] == [6, 3]
    assert isinstance(finer, Joint)
    assert finer.refit > 0
    assert finer.parameters > network.parameters
    change = (finer.forward(X, ())[-1] - before).abs().amax((0, 1))
    assert float(change[:2].max()) < 0.1
    assert not change[2:].any()


def heat(u, c, x, y):
    return d(u, x, x) + c * d(u, y, y)


def test_a_restored_joint_network_is_bit_equal():
    network = built()
    network = network.changed(
        lambda part, jets: part.spec.extend(part, 4, jets) if part.spec.kind == "kan" else part,
        network.levels(jet(200, counts=()), ()),
    )
    buffer = io.BytesIO()
    torch.save(state(network), buffer)
    buffer.seek(0)
    again, X = network_of(torch.load(buffer, weights_only=True)), jet()
    assert torch.equal(again.forward(X, COUNTS)[-1], network.forward(X, COUNTS)[-1])
    assert again.describe() == network.describe()
    assert [p.grows for p in again.pieces] == [True, True, False, True]
    with pytest.raises(RunError, match="does not describe"):
        network_of({"kind": "joint", "inputs": 2, "parts": [{"network": {"kind": "kan"}}]})
    problem = Problem(
        domain=Box(x=(0, 1), y=(0, 1)), equations=[lambda u, x, y: d(u, x) + u], unknowns=["u"]
    )
    with pytest.raises(RunError, match="does not fit problem"):
        restore(problem, state(network))


def objective(network):
    """u = sin πx e^-y and its c = π² from values of u, and u_xx + c u_yy = 0."""
    solution = tabular_space(Box(x=(0, 1), y=(0, 1)), ("u", "c")).solution(network)
    points = torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def misfit(u, x, y):
        return u - torch.sin(math.pi * x) * torch.exp(-y)

    residuals = [
        record(f, "r", names, ("u", "c"), {"x": points[:2, 0], "y": points[:2, 1]}, ("x", "y"))
        for f, names in ((heat, "ucxy"), (misfit, "uxy"))
    ]
    return Objective(
        network,
        [
            term(solution, residuals[:1], points, None, 1.0),
            term(solution, residuals[1:], points[:60], None, 100.0),
        ],
    )


@pytest.mark.parametrize(
    "optimiser",
    [LevenbergMarquardt(80), GaussNewton(24, iterations=25, sketch=40)],
    ids=["lm", "gn"],
)
def test_a_constant_is_found_with_the_network(optimiser):
    network = with_constants(
        KAN((4,), 5, 4).build(2, 1, torch.Generator().manual_seed(0)),
        Constants((Transform(5.0, 0.0),)),
    )
    for _ in optimiser.minimise(objective(network)):
        pass
    (constant,) = network.forward(torch.zeros(1, 1, 2, dtype=torch.float64), ())[-1][
        0, 0, 1:
    ].tolist()
    assert constant == pytest.approx(math.pi**2, rel=1e-2)


def test_products_without_rows_are_those_with_them():
    problem = objective(
        with_constants(
            KAN((3,), 5, 3).build(2, 1, torch.Generator().manual_seed(0)),
            Constants((Transform(1.0, 0.0),)),
        )
    )
    r, J = problem.jacobian()
    tangent = Tangent(problem)
    v, w = torch.randn_like(problem.network.theta), torch.randn_like(r)
    torch.testing.assert_close(tangent.r, r)
    torch.testing.assert_close(tangent @ v, J @ v)
    torch.testing.assert_close(tangent.transposed_times(w), J.transposed_times(w))
    torch.testing.assert_close(tangent.squares(), J.dense().square().sum(0))
