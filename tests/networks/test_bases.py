"""Every kind of network: derivatives, adjoint and Jacobian, approximation, refinement,
checkpoints."""

import io

import pytest
import torch
from orders import holds, observed

from kanpde import Box, Dirichlet, Problem, RecipeError, laplacian
from kanpde.cli.options import NetworkOptions
from kanpde.cli.overrides import overrides
from kanpde.kernels import (
    cpu_rational,
    expansion_jet,
    expansion_jet_adjoint,
    expansion_jet_jacobian,
    rational_jet,
    rational_jet_adjoint,
    rational_jet_jacobian,
    rational_network,
    rational_network_squares,
)
from kanpde.kernels.taylor import channels
from kanpde.networks.basis import Basis
from kanpde.networks.kan import Splines
from kanpde.networks.kinds.adaptive import Adaptive, adapted_knots
from kanpde.networks.kinds.chebyshev import Polynomials
from kanpde.networks.kinds.fasterkan import Switches
from kanpde.networks.kinds.fastkan import Gaussians
from kanpde.networks.kinds.fourier import Trigonometric
from kanpde.networks.kinds.wavelet import Wavelets
from kanpde.networks.mlp import MLP
from kanpde.networks.names import kinds
from kanpde.networks.registry import NETWORK_KINDS, SPECS
from kanpde.networks.restore import restore
from kanpde.networks.rows import Rows
from kanpde.networks.trial_space import trial_space
from kanpde.recipes.choosing import default, suited
from kanpde.recipes.recipe import Recipe

BASES = [
    Splines(6, 7),
    Polynomials(12),
    Polynomials(1),
    Trigonometric(5),
    Gaussians(6),
    Switches(6),
    Wavelets("mexican-hat", 6),
    Wavelets("morlet", 6),
]
BASE_NAMES = [
    "splines",
    "chebyshev",
    "linear",
    "fourier",
    "gaussians",
    "switches",
    "mexican hat",
    "morlet",
]
NETWORKS = {kind: spec((3, 2)[: spec.levels]) for kind, spec in SPECS.items()} | {
    "silu mlp": MLP((4,), "silu"),
    "mlp with features": MLP((4,), features=3),
}
COUNTS = (3, 2, 2, 1)


def poisson(u, x, y):
    return laplacian(u) + 1


PROBLEM = Problem(domain=Box(x=(0, 1), y=(0, 2)), equations=[poisson], conditions=[Dirichlet(u=0)])


def built(spec, inputs=2, outputs=2):
    network = spec.build(inputs, outputs, torch.Generator().manual_seed(1))
    network.theta = network.theta + 0.05 * torch.randn(
        network.parameters, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    return network


def jet(points=6, inputs=2, counts=COUNTS):
    X = torch.randn(points, channels(counts), inputs, dtype=torch.float64)
    X[:, 0] = 1.8 * torch.rand(points, inputs, dtype=torch.float64) - 0.9
    return X


@pytest.mark.parametrize("basis", BASES, ids=BASE_NAMES)
def test_taylor_coefficients_are_derivatives_of_the_functions(basis: Basis):
    """Order after order: the (ν+1)-th is the slope of the ν-th one, over ν + 1, by central
    differences of high order."""
    x, h = (
        (torch.arange(20, dtype=torch.float64)[:, None] + torch.tensor([0.31, 0.67])) / 12.5 - 0.8,
        2e-3,
    )  # not on a knot of 6 intervals
    x = x[((3 * x) % 1 - 0.5).abs().amax(1) < 0.47]
    b = basis.taylor(x, 5)
    assert len(x) > 10
    assert b.shape == (len(x), 2, 6, basis.size)
    at = {k: basis.taylor(x + k * h, 5) for k in (-3, -2, -1, 1, 2, 3)}
    slope = ((at[3] - at[-3]) - 9 * (at[2] - at[-2]) + 45 * (at[1] - at[-1])) / (60 * h)
    for nu in range(5):
        torch.testing.assert_close(
            b[:, :, nu + 1] * (nu + 1),
            slope[:, :, nu],
            rtol=1e-5,
            atol=1e-6 * float(b[:, :, nu + 1].abs().max() + 1e-3),
        )


@pytest.mark.parametrize("spec", NETWORKS.values(), ids=NETWORKS)
def test_jets_are_those_of_nested_autograd(spec):
    """Values by the network itself on one channel, differentiated by autograd through its
    operators' own formulas, channel by channel."""
    network, X = built(spec), jet()
    found = network.forward(X, COUNTS)[-1]
    first = X[:, :4]  # value and three first directions
    torch.testing.assert_close(
        found[:, :4], network.forward(first.contiguous(), (3,))[-1], rtol=1e-10, atol=1e-10
    )
    line = X[:, [0, 1, 4, 6, 8]].contiguous()  # along the first direction, to order 4
    s, values = 5e-3, {}
    for k in range(-4, 5):
        at = sum(line[:, j] * (k * s) ** j for j in range(5))
        values[k] = network.forward(at[:, None].contiguous(), ())[-1][:, 0]
    V = torch.tensor([[float(k * s) ** j for j in range(9)] for k in values], dtype=torch.float64)
    taylor = torch.linalg.solve(V, torch.stack(list(values.values())).flatten(1)).view(
        9, *values[0].shape
    )
    for order, channel in enumerate((0, 1, 4, 6, 8)):
        torch.testing.assert_close(
            found[:, channel],
            taylor[order],
            rtol=1e-3,
            atol=1e-3 * float(found[:, channel].abs().max() + 1),
        )


@pytest.mark.parametrize("spec", NETWORKS.values(), ids=NETWORKS)
def test_gradient_and_rows_are_those_of_finite_differences(spec):
    network, X = built(spec), jet()
    L = torch.randn(6, channels(COUNTS), 2, dtype=torch.float64)
    jets = network.forward(X, COUNTS)
    gradient, rows = network.gradient(jets, L, COUNTS), network.jacobian(jets, L, COUNTS).dense()
    torch.testing.assert_close(
        rows.sum(0), gradient, rtol=1e-9, atol=1e-10 * float(gradient.abs().max())
    )
    start, v, h, at = network.theta, torch.randn_like(network.theta), 1e-3, {}
    v = v / v.norm()
    for k in (-2, -1, 1, 2):
        network.theta = start + k * h * v
        at[k] = (network.forward(X, COUNTS)[-1] * L).sum((1, 2))
    slope = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
    torch.testing.assert_close(rows @ v, slope, rtol=1e-5, atol=1e-6 * float(slope.abs().max()))


@pytest.mark.parametrize("kind", [k for k in SPECS if SPECS[k].resolution])
def test_refinement_keeps_the_function(kind):
    network = SPECS[kind]((3,)).build(2, 1, torch.Generator().manual_seed(0))
    finer = network.spec.extend(network, 2 * getattr(network.spec, network.spec.resolution))
    x = 2 * torch.rand(300, 1, 2, dtype=torch.float64) - 1
    change = float((finer.forward(x, ())[-1] - network.forward(x, ())[-1]).abs().max())
    assert change < 1e-9 + 50 * finer.refit, "no more than the error that is stated"
    if kind in ("kan", "adaptive", "multkan", "lan", "chebyshev", "separable"):
        assert change < 2e-12, "nested: the finer basis holds the old functions"
    assert finer.parameters == finer.spec.count(2, 1)


@pytest.mark.parametrize(("basis", "order"), [(Splines(8, 3), 4), (Splines(8, 5), 6)])
def test_splines_approximate_at_their_order(basis, order):
    assert basis.order == order
    errors = [fit_error(basis.finer(n)) for n in (64, 128)]
    holds(observed(errors, (1 / 64, 1 / 128), rounding=1e-14), order)


@pytest.mark.parametrize(
    ("basis", "sizes", "most"),
    [
        (Polynomials(1), (16, 32), 1e-9),
        (Trigonometric(1), (8, 16), 1e-9),
        (Gaussians(1), (12, 24), 1e-9),
        (Switches(1), (12, 24), 1e-9),
        (Wavelets("mexican-hat", 1), (6, 12), 1e-8),
        (Wavelets("morlet", 1), (12, 24), 1e-8),
    ],
)
def test_others_approximate_faster_than_any_power(basis, sizes, most):
    coarse, fine = (fit_error(basis.finer(n)) for n in sizes)
    assert fine < most
    assert fine < coarse / 2**8, "as of order 8 at least"


def fit_error(basis):
    z = torch.linspace(-1, 1, 1001, dtype=torch.float64)[:, None]
    return basis.fit(z, torch.exp(torch.sin(3 * z))[None])[1]


def test_knots_increase_wherever_the_activations_lie():
    for values in (
        torch.zeros(50, 2),
        torch.rand(50, 2) * 2 - 1,
        torch.full((1, 2), 0.3),
        5 * torch.randn(50, 2),
    ):
        knots = adapted_knots(values.double(), 8, 3, 0.95)
        assert knots.shape == (2, 8 + 7)
        assert (knots.diff(dim=1) > 0.04 * 2 / 8).all()
        assert (knots[:, 3] == -1).all()
        assert (knots[:, -4] == 1).all()


@pytest.mark.parametrize("spec", NETWORKS.values(), ids=NETWORKS)
def test_restored_values_are_bit_equal(spec):
    network = built(spec, 2, 1)
    points = PROBLEM.domain.interior(torch.rand(200, 2, dtype=torch.float64))
    if spec.resolution:
        frame = trial_space(PROBLEM, corners=False).solution(network).frame(points, [("u", (0, 0))])
        network = spec.extend(
            network, getattr(spec, spec.resolution) + 2, network.levels(frame.X, ())
        )
    solution = trial_space(PROBLEM, corners=False).solution(network)
    buffer = io.BytesIO()
    torch.save(solution.state(), buffer)
    buffer.seek(0)
    again = restore(PROBLEM, torch.load(buffer, weights_only=True))
    assert again.network.spec == network.spec
    assert torch.equal(again(points), solution(points))
    assert again.describe() == solution.describe()
    assert network.parameters == network.spec.count(2, 1)


def test_operators_are_registered_soundly():
    X, counts = jet(4, 2, (2, 1)), (2, 1)
    L, C = torch.randn(4, 4, 3, dtype=torch.float64), torch.randn(2, 9, 3, dtype=torch.float64)
    cell, b = Polynomials(8).evaluate(X[:, 0], 3)
    b = b.contiguous()
    torch.library.opcheck(expansion_jet, (X, C, cell, b, counts))
    torch.library.opcheck(expansion_jet_adjoint, (L, X, C, cell, b, counts))
    torch.library.opcheck(expansion_jet_jacobian, (L, X, C, cell, b, counts))
    R, lift = 0.3 * torch.randn(2, 9, dtype=torch.float64), torch.randn_like(X)
    torch.library.opcheck(rational_jet, (X, R, counts))
    torch.library.opcheck(rational_jet_adjoint, (lift, X, R, counts))
    torch.library.opcheck(rational_jet_jacobian, (lift, X, R, counts))
    network = built(SPECS["grkan"]((3,)), 2, 1)
    W, at = torch.randn(1, 4, 4, 1, dtype=torch.float64), torch.randn(1, 4, dtype=torch.float64)
    torch.library.opcheck(
        rational_network_squares, (X, network.theta, network.widths, [2, 3], W, at, counts)
    )


@pytest.mark.parametrize("counts", [(), (2, 2), (3, 2, 1, 1)])
@pytest.mark.parametrize("points", [0, 1, 33, 1100])
def test_the_compiled_rational_network_is_the_plain_one(points, counts):
    network = built(SPECS["grkan"]((5, 3), 2), 2, 2)
    groups = [2, 2, 2]
    X = jet(points, 2, counts)
    W, b = (
        torch.randn(2, points, channels(counts), 2, dtype=torch.float64),
        torch.randn(2, points, dtype=torch.float64),
    )
    r, gradient = cpu_rational.squares(X, network.theta, network.widths, groups, W, b, counts)
    rows, wanted = rational_network.squares(X, network.theta, network.widths, groups, W, b, counts)
    torch.testing.assert_close(r, rows, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(
        gradient, wanted, rtol=1e-9, atol=1e-11 * float(wanted.abs().max() + 1)
    )


def test_the_names_are_those_of_the_files():
    assert tuple(NETWORK_KINDS) == kinds()
    for kind, spec in SPECS.items():
        assert spec.kind == kind
        chosen = default(PROBLEM, spec).recipe
        assert isinstance(chosen.network, spec)
        assert chosen.network.describe((2, 5, 1)).startswith(spec.title + " 2-5-1")


def test_options_that_a_kind_does_not_have_are_refused():
    with pytest.raises(RecipeError, match="--degree: fastkan has none; expected one of grid"):
        overrides(
            Recipe(schedule="lm:9"),
            lambda kind: suited(PROBLEM, kind),
            NetworkOptions(kind="fastkan", levels={"degree": (5,)}),
        )
    with pytest.raises(
        RecipeError,
        match=(
            "activatoin=silu: mlp has none; expected one of activation, features, spread; did you"
            " mean 'activation'"
        ),
    ):
        overrides(
            Recipe(schedule="lm:9"),
            lambda kind: suited(PROBLEM, kind),
            NetworkOptions(kind="mlp", settings={"activatoin": "silu"}),
        )
    spec, stages = overrides(
        Recipe(schedule="lm:9"),
        lambda kind: suited(PROBLEM, kind),
        NetworkOptions(kind="chebyshev", width=(8, 8), levels={"degree": (6, 12)}),
    )
    assert (spec.width, spec.degree) == ((8, 8), 6)
    assert [stage.grid for stage in stages if hasattr(stage, "grid")] == [12]
    assert (
        overrides(
            Recipe(schedule="lm:9"),
            lambda kind: suited(PROBLEM, kind),
            NetworkOptions(kind="multkan", settings={"products": "1"}),
        )[0].products
        == 1
    )


def test_rows_are_full_where_all_functions_are_alive():
    layer = SPECS["chebyshev"]((3,)).trained(2, 3, torch.Generator().manual_seed(0))[0]
    assert isinstance(
        layer.jacobian(
            torch.zeros(layer.size, dtype=torch.float64),
            torch.randn(4, 1, 3).double(),
            jet(4, 2, ()),
            (),
        )[1],
        Rows,
    )
    assert isinstance(Adaptive(), SPECS["kan"])
