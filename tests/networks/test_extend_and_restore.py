"""Grid extension, checkpoints, and settings that a network refuses."""

import io

import pytest
import torch

from kanpde import Box, Dirichlet, Problem, RecipeError, laplacian
from kanpde.errors import RunError
from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.networks.restore import restore
from kanpde.networks.trial_space import trial_space

points = 2 * torch.rand(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(9)) - 1


def built(spec, seed=0):
    return spec.build(2, 1, torch.Generator().manual_seed(seed))


def values(network, x=points):
    return network.forward(x[:, None], ())[-1][:, 0]


def poisson(u, x, y):
    return laplacian(u) + 1


problem = Problem(domain=Box(x=(0, 1), y=(0, 2)), equations=[poisson], conditions=[Dirichlet(u=0)])


def solution_with(network, of=problem):
    return trial_space(of, corners=False).solution(network)


@pytest.mark.parametrize("degree", [1, 3, 5, 7])
@pytest.mark.parametrize(("old", "new"), [(1, 2), (3, 6), (4, 12), (6, 6), (5, 20)])
def test_a_nested_grid_holds_the_same_function(degree, old, new):
    for width in ((), (3, 2)):
        network = built(KAN(width, degree, old))
        finer = network.spec.extend(network, new)
        assert finer.spec == KAN(width, degree, new)
        assert finer.parameters == finer.spec.count(2, 1)
        torch.testing.assert_close(values(finer), values(network), rtol=0, atol=2e-12)
        assert torch.equal(values(network), values(built(KAN(width, degree, old)))), (
            "the old network is left as it was"
        )


def test_derivatives_survive_a_nested_extension():
    network = built(KAN((3,), 7, 3))
    finer = network.spec.extend(network, 6)
    solution, extended = solution_with(network), solution_with(finer)
    needs = [("u", index) for index in [(0, 0), (1, 0), (2, 0), (1, 1), (0, 3), (2, 2)]]
    at = problem.domain.interior(torch.rand(50, 2, dtype=torch.float64))
    a, b = (
        f.derivatives(x.network.forward(f.X, f.counts)[-1])
        for x in (solution, extended)
        for f in [x.frame(at, needs)]
    )
    torch.testing.assert_close(b, a, rtol=0, atol=1e-9 * float(a.abs().max()))


@pytest.mark.parametrize(("old", "new"), [(3, 6), (4, 12), (5, 8), (6, 20)])
def test_moving_the_grids_to_the_hidden_values_changes_little(old, new):
    """The splines of a moved grid no longer hold the old ones: smooth edge functions are refitted
    to a small error."""
    network = built(KAN((4,), 5, old))
    network.theta = smooth(network)
    jets = network.levels(points[:, None], ())
    finer = network.spec.extend(network, new, jets)
    change = float((values(finer) - values(network)).norm() / values(network).norm())
    assert change < 1e-3
    hidden = finer.levels(points[:, None], ())[2][:, 0]
    low, high = hidden.aminmax(dim=0)
    assert (low > -1).all()
    assert (high < 1).all()
    assert ((high - low) > 1.8).all(), "every hidden grid is used to its ends"
    finest = finer.spec.extend(finer, 4 * new)
    torch.testing.assert_close(values(finest), values(finer), rtol=0, atol=1e-11)


def smooth(network):
    """Coefficients of smooth edge functions: slow waves over the spline index, as training leaves
    them."""
    generator, parts = torch.Generator().manual_seed(3), []
    for layer in network.layers:
        if layer.size:
            p, n, q = layer.shape
            j = torch.linspace(-1, 1, n, dtype=torch.float64)[:, None]
            a, b, c = (
                torch.rand(p, 1, q, generator=generator, dtype=torch.float64) for _ in range(3)
            )
            parts.append(((a + 0.5) * torch.sin((1 + b) * j + c)).reshape(-1))
    return torch.cat(parts)


def test_the_fit_error_falls_with_the_grid():
    network = built(KAN((4,), 5, 4))
    network.theta = smooth(network)
    jets = network.levels(points[:, None], ())
    change = [
        float((values(network.spec.extend(network, grid, jets)) - values(network)).norm())
        for grid in (4, 8, 32)
    ]
    assert change[2] < change[1] < change[0]
    assert change[2] < 1e-2 * change[0]


def test_a_hidden_unit_that_is_constant_can_be_extended():
    network = built(KAN((2,), 3, 4))
    first = network.layers[0].size
    network.theta[:first].view(2, 7, 2)[:, :, 0] = (
        0.25  # partition of unity: this unit is 0.5 everywhere
    )
    finer = network.spec.extend(network, 8, network.levels(points[:, None], ()))
    assert finer.theta.isfinite().all()
    torch.testing.assert_close(values(finer), values(network), rtol=0, atol=1e-2)


def test_extension_keeps_the_precision_and_refuses_an_mlp():
    network = built(KAN((3,), 3, 4)).to("cpu", torch.float32)
    assert network.spec.extend(network, 8).theta.dtype == torch.float32
    mlp = built(MLP((3,)))
    with pytest.raises(RecipeError, match=r"Extend\(grid=6\): an MLP has no grid"):
        mlp.spec.extend(mlp, 6)


def saved_and_loaded(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize(
    "case",
    ["kan", "deep kan", "extended kan", "extended twice", "float32 kan", "tanh mlp", "sin mlp"],
)
def test_restored_values_are_bit_equal(case):
    spec = {
        "tanh mlp": MLP((4, 3)),
        "sin mlp": MLP((4,), "sin"),
        "deep kan": KAN((3, 2), 5, 4),
    }.get(case, KAN((3,), 5, 4))
    network = built(spec)
    for grid in {"extended kan": [8], "extended twice": [8, 20]}.get(case, []):
        network = network.spec.extend(network, grid, network.levels(points[:, None], ()))
    if case == "float32 kan":
        network = network.to("cpu", torch.float32)
    solution = solution_with(network)
    again = restore(problem, saved_and_loaded(solution.state()))
    at = problem.domain.interior((points + 1) / 2)
    assert again.network.spec == network.spec
    assert again(at).dtype == network.theta.dtype
    assert torch.equal(again(at), solution(at))
    assert torch.equal(restore(problem, saved_and_loaded(again.state()))(at), solution(at))


def test_a_state_that_does_not_fit_is_refused():
    state = solution_with(built(KAN((3,), 5, 4))).state()

    def line(u, x):
        return laplacian(u) + 1

    other = Problem(domain=Box(x=(0, 1)), equations=[line], conditions=[Dirichlet(u=0)])
    with pytest.raises(RunError, match=r"KAN 2-3-1, degree 5, grid 4 does not fit problem"):
        restore(other, state)
    with pytest.raises(RunError, match=r"7 parameters for KAN 2-3-1"):
        restore(problem, {**state, "theta": torch.zeros(7)})
    for broken in (
        {**state, "kind": "cnn"},
        {**state, "spec": {"breadth": [3]}},
        {k: v for k, v in state.items() if k != "theta"},
        {k: v for k, v in state.items() if k != "ranges"},
    ):
        with pytest.raises(RunError, match="checkpoint"):
            restore(problem, broken)


def test_ranges_belong_to_their_own_activations():
    """An activation that was not rescaled keeps its place: what is saved for the second must not
    land on the first."""
    network = built(KAN((3, 3), 5, 4))
    network.layers[3] = network.layers[3].rescaled(
        torch.full((3,), 0.1, dtype=torch.float64), torch.full((3,), 1.3, dtype=torch.float64)
    )
    solution = solution_with(network)
    at = problem.domain.interior((points + 1) / 2)
    assert torch.equal(restore(problem, saved_and_loaded(solution.state()))(at), solution(at))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KAN(width=(0,)), r"width: got \(0,\); expected positive numbers"),
        (lambda: KAN(width=-3), r"width: got -3; expected positive"),
        (lambda: KAN(width=(2.5,)), r"width: got \(2.5,\); expected positive"),
        (lambda: MLP(width=(5, "5")), r"width: got \(5, '5'\); expected positive"),
        (lambda: KAN(degree=0), "degree: got 0; expected 1 to 9"),
        (lambda: KAN(degree=10), "degree: got 10; expected 1 to 9"),
        (lambda: KAN(grid=0), "grid: got 0; expected at least 1 interval"),
        (
            lambda: MLP(activation="tan"),
            r"activation: got 'tan'; expected one of tanh, sin, silu; did you mean 'tanh'",
        ),
        (
            lambda: MLP(activation="relu"),
            r"activation: got 'relu'; expected one of tanh, sin, silu",
        ),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(RecipeError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_width_may_be_a_number():
    assert KAN(4) == KAN((4,)) == KAN([4])
    assert KAN((), 5, 3).count(2, 1) == 16
    assert [KAN(degree=k).highest_order() for k in (1, 5, 9)] == [0, 4, 8]
    assert MLP().highest_order() == 4
