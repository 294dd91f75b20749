"""Wider, deeper and smaller networks: the same function where that is claimed, and edges that stay
away once they are dropped."""

import io

import pytest
import torch

from kanpde import Box, Dirichlet, Problem, RecipeError, laplacian
from kanpde.errors import RunError
from kanpde.networks.importance import losses, scores, spreads
from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.networks.network import Network
from kanpde.networks.registry import SPECS
from kanpde.networks.restore import restore
from kanpde.networks.surgery import (
    Edge,
    chain,
    coefficients,
    deepened,
    dropped,
    edges_of,
    masks,
    widened,
)
from kanpde.networks.trial_space import trial_space
from kanpde.training import Adam, GaussNewton, LevenbergMarquardt
from kanpde.training.points import Collocation

points = 2 * torch.rand(300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(9)) - 1
NEEDS = [("u", index) for index in [(0, 0), (1, 0), (0, 2), (1, 1)]]


def poisson(u, x, y):
    return laplacian(u) + 1


problem = Problem(domain=Box(x=(0, 1), y=(0, 2)), equations=[poisson], conditions=[Dirichlet(u=0)])


def built(width=(4, 3), degree=7, grid=3, ranged=True, seed=0):
    """A network; with hidden grids where the activations are, as an extension leaves it, if
    `ranged`."""
    network = KAN(width, degree, grid).build(2, 1, torch.Generator().manual_seed(seed))
    return network.spec.extend(network, 2 * grid, levels(network)) if ranged else network


def levels(network):
    return network.levels(points[:, None], ())


def values(network):
    return network.forward(points[:, None], ())[-1][:, 0]


def solution_with(network):
    return trial_space(problem, corners=False).solution(network)


def derivatives(network):
    solution = solution_with(network)
    frame = solution.frame(problem.domain.interior((points + 1) / 2), NEEDS)
    return frame.derivatives(network.forward(frame.X, frame.counts)[-1])


@pytest.mark.parametrize("ranged", [False, True])
def test_a_wider_network_is_the_same_function_and_can_use_its_new_units(ranged):
    network = built(ranged=ranged)
    wider = widened(network, 6, levels(network), torch.Generator().manual_seed(1))
    assert wider.widths == (2, 6, 6, 1)
    assert wider.spec.width == (6, 6)
    assert wider.parameters == wider.spec.count(2, 1)
    torch.testing.assert_close(derivatives(wider), derivatives(network), rtol=1e-12, atol=1e-12)
    hidden = levels(wider)[2][:, 0]
    assert hidden.abs().max() <= 1, "the grids of new units cover their activations"
    _, gradient = Collocation(problem, solution_with(wider), 100, 0).objective().gradient()
    last = gradient[-wider.layers[-1].size :].view(wider.layers[-1].shape)
    assert (last[3:].abs().amax(1) > 0).all(), "what goes out of a new unit is trained"
    with pytest.raises(
        RecipeError,
        match=(
            r"widen:4: the hidden levels of KAN 2-6-6-1.* have as many units already; expected more"
        ),
    ):
        widened(wider, 4, levels(wider), torch.Generator())


@pytest.mark.parametrize("degree", [3, 5, 7])
@pytest.mark.parametrize("width", [(), (4,), (4, 3)])
def test_a_deeper_network_is_the_same_function(degree, width):
    network = built(width, degree)
    deeper = deepened(network, 2)
    assert deeper.widths == (2, *width, *([(2, *width)[-1]] * 2), 1)
    assert deeper.parameters == deeper.spec.count(2, 1)
    torch.testing.assert_close(
        values(deeper),
        values(network),
        rtol=0,
        atol=1e-12 * max(1.0, float(values(network).abs().max())),
    )
    assert deeper.refit < 1e-12
    assert float(deeper.layers[-2].scale.min()) > {3: 1e-3, 5: 1e-2, 7: 5e-2}[degree], (
        "tanh bends within the range of a new level, so that it can be trained"
    )
    again = deepened(network, 2)
    assert torch.equal(again.theta, deeper.theta)


def test_a_deeper_network_has_the_same_derivatives():
    network = built((4,), 7)
    torch.testing.assert_close(
        derivatives(deepened(network)),
        derivatives(network),
        rtol=0,
        atol=1e-8 * float(derivatives(network).abs().max()),
    )


@pytest.mark.parametrize(
    "kind", ["adaptive", "chebyshev", "wavelet", "fastkan", "fasterkan", "fourier"]
)
def test_other_bases_are_widened_exactly_and_deepened_to_their_stated_error(kind):
    network = SPECS[kind](width=(3,)).build(2, 1, torch.Generator().manual_seed(0))
    network = network.spec.extend(network, 8, levels(network))
    wider = widened(network, 5, levels(network), torch.Generator().manual_seed(1))
    torch.testing.assert_close(values(wider), values(network), rtol=0, atol=1e-12)
    deeper = deepened(network)
    size = float(values(network).abs().max())
    assert (
        float((values(deeper) - values(network)).abs().max()) < max(30 * deeper.refit, 1e-12) * size
    )
    assert deeper.refit < (1e-12 if kind in ("adaptive", "chebyshev", "wavelet") else 1e-4)


@pytest.mark.parametrize("kind", ["mlp", "grkan", "lan", "multkan"])
def test_what_is_no_chain_of_edge_functions_is_refused(kind):
    network = SPECS[kind]().build(2, 1, torch.Generator().manual_seed(0))
    with pytest.raises(
        RecipeError,
        match=(
            r"deepen:1: got .*; expected a network that is nothing but edge functions and sums,"
            r" such as kan"
        ),
    ):
        deepened(network)
    with pytest.raises(RecipeError, match="widen:9"):
        chain(network, "widen:9")


def test_a_dropped_constant_costs_nothing_and_is_carried_on():
    network = built()
    layer = network.layers[0]
    network.theta[: layer.size].view(layer.shape)[0, :, 1] = (
        0.7  # partition of unity: this edge is 0.7 everywhere
    )
    smaller = dropped(network, [Edge(0, 0, 1)], levels(network))
    # Rounding of the constant, 0.7, through slopes of splines that are 10 to 100.
    torch.testing.assert_close(values(smaller), values(network), rtol=0, atol=1e-12)
    assert smaller.parameters == network.parameters - layer.shape[1]
    assert smaller.describe().endswith("22 of 23 edges")
    assert Edge(0, 0, 1) not in edges_of(smaller)


def test_a_unit_that_nothing_reaches_is_gone_with_its_constant():
    network = built()
    layer = network.layers[0]
    network.theta[: layer.size].view(layer.shape)[:, :, 1] = 0.3
    smaller = dropped(network, [Edge(0, 0, 1), Edge(0, 1, 1)], levels(network))
    assert smaller.widths == (2, 3, 3, 1)
    assert not smaller.mask
    assert smaller.spec.width == (3, 3)
    torch.testing.assert_close(
        derivatives(smaller),
        derivatives(network),
        rtol=0,
        atol=1e-11 * float(derivatives(network).abs().max()),
    )


def test_a_unit_that_reaches_nothing_is_gone():
    network = built()
    smaller = dropped(network, [Edge(2, 1, 0)], levels(network))
    assert smaller.widths == (2, 4, 2, 1)
    change = float((values(smaller) - values(network)).std(unbiased=False))
    spread = spreads(network, levels(network))[2][1, 0]
    assert change == pytest.approx(float(spread), rel=1e-9), (
        "it is the edge without its mean that is lost"
    )


def test_an_input_can_go_and_the_network_still_takes_it():
    network = built((2,))
    smaller = dropped(network, [Edge(0, 1, 0), Edge(0, 1, 1)], levels(network))
    assert smaller.widths == network.widths
    moved = points.clone()
    moved[:, 1] = 0
    assert torch.equal(smaller.forward(moved[:, None], ())[-1][:, 0], values(smaller))


def test_dropping_everything_is_refused_in_one_line():
    network = built()
    theta = network.theta.clone()
    with pytest.raises(
        RunError,
        match=(
            r"nothing but a constant would be left of KAN 2-4-3-1, degree 7, grid 6; expected a"
            r" smaller loss"
        ),
    ) as caught:
        dropped(network, edges_of(network), levels(network))
    assert "\n" not in str(caught.value)
    assert torch.equal(network.theta, theta)
    assert not network.mask


@pytest.fixture
def pruned():
    network = built()
    return dropped(network, [Edge(0, 0, 1), Edge(1, 2, 2), Edge(1, 0, 0)], levels(network))


def test_absent_edges_have_no_gradient_and_no_columns(pruned):
    absent = torch.cat(
        [
            (~m)[:, None].expand(layer.shape).reshape(-1)
            for m, layer in zip(pruned.mask, pruned.layers[::2], strict=True)
        ]
    )
    whole = Network(pruned.spec, pruned.widths, pruned.layers, pruned.theta)
    one, other = (
        Collocation(problem, solution_with(n), 60, 0).objective() for n in (pruned, whole)
    )
    (_, g), (_, h) = one.gradient(), other.gradient()
    torch.testing.assert_close(g[~absent], h[~absent], rtol=1e-10, atol=1e-10)
    assert torch.equal(g[absent], torch.zeros_like(g[absent]))
    assert (h[absent] != 0).any()
    (_, J), (_, K) = one.jacobian(), other.jacobian()
    torch.testing.assert_close(J.dense()[:, ~absent], K.dense()[:, ~absent], rtol=1e-10, atol=1e-10)
    assert not J.dense()[:, absent].any()


@pytest.mark.parametrize(
    "stage", [LevenbergMarquardt(3), LevenbergMarquardt(3, metric="layer"), GaussNewton(2), Adam(3)]
)
def test_optimisers_leave_absent_edges_alone(pruned, stage):
    solution = solution_with(pruned)
    start = pruned.theta.clone()
    list(stage.minimise(Collocation(problem, solution, 100, 0).objective()))
    assert not torch.equal(solution.network.theta, start)
    for c, there in zip(coefficients(solution.network), masks(solution.network), strict=True):
        assert not c.transpose(1, 2)[~there].any()


def test_a_pruned_network_is_restored_extended_and_moved(pruned):
    solution, buffer = solution_with(pruned), io.BytesIO()
    torch.save(solution.state(), buffer)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    again = restore(problem, state)
    at = problem.domain.interior((points + 1) / 2)
    assert torch.equal(again(at), solution(at))
    assert again.network.parameters == pruned.parameters
    assert again.network.describe() == pruned.describe()
    finer = pruned.spec.extend(pruned, 12)
    torch.testing.assert_close(values(finer), values(pruned), rtol=0, atol=1e-11)
    for c, there in zip(coefficients(finer), masks(finer), strict=True):
        assert not c.transpose(1, 2)[~there].any()
    wider = widened(pruned, 5, levels(pruned), torch.Generator().manual_seed(0))
    torch.testing.assert_close(values(wider), values(pruned), rtol=0, atol=1e-12)
    assert [int((~m).sum()) for m in masks(wider)] == [1, 2, 0]
    assert pruned.to("cpu", torch.float32).mask[0].dtype == torch.bool
    with pytest.raises(RunError, match="checkpoint: pruned edges that do not fit KAN 2-4-3-1"):
        restore(problem, {**state, "mask": state["mask"][:2]})


def test_the_loss_of_an_edge_is_that_of_dropping_it():
    network = built()
    jets = levels(network)
    found = losses(network, jets, lambda change: float(change.norm()))
    for edge in (Edge(0, 1, 2), Edge(1, 3, 0), Edge(2, 1, 0)):
        change = (values(dropped(network, [edge], jets)) - values(network)).norm()
        assert found[edge] == pytest.approx(float(change), rel=1e-8)
    assert set(found) == set(edges_of(network))


def test_shares_of_the_output_add_up_level_by_level():
    for network in (
        built(),
        SPECS["multkan"](width=(2,), products=1).build(2, 1, torch.Generator().manual_seed(0)),
    ):
        found = scores(network, levels(network))
        assert float(found[-1].sum()) == pytest.approx(1)
        if network.spec.kind == "kan":
            assert all(float(share.sum()) == pytest.approx(1) for share in found)
        assert all((share >= 0).all() for share in found)


def test_mlps_have_no_edges_to_drop():
    network = MLP((3,)).build(2, 1, torch.Generator().manual_seed(0))
    assert edges_of(network) == []
