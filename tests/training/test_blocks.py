"""The Jacobian by blocks of points: the same sums as in one piece, and the same bits where one
block holds all."""

import pytest
import torch

import kanpde
from kanpde import KAN, Box, Condition, Dirichlet, Problem, Recipe, d
from kanpde.errors import RecipeError
from kanpde.machine.memory import available
from kanpde.networks.registry import SPECS
from kanpde.networks.rows import Rows
from kanpde.networks.trial_space import trial_space
from kanpde.recipes.guards import check_memory, parameters
from kanpde.training import LevenbergMarquardt, blocks
from kanpde.training.points import Collocation


def system(u, v, x, y):
    return d(u, x, x) + u * v, d(v, y, y) - u


COUPLED = Problem(
    domain=Box(x=(0, 1), y=(0, 1)),
    equations=[system],
    conditions=[
        Dirichlet(u=1, on="x-"),
        Condition(lambda u, x, y: d(u, x) + u**3 - y, on="x+"),
        Dirichlet(v=0, on=("y-", "y+")),
    ],
)


@pytest.fixture(params=["affine", "system, soft condition, weights"])
def objective(request):
    problem = kanpde.problem.file.load("poisson2d")[0] if request.param == "affine" else COUPLED
    network = KAN((4, 3), 5, 4).build(2, len(problem.unknowns), torch.Generator().manual_seed(1))
    solution = trial_space(problem, corners=False).solution(network)
    found = Collocation(problem, solution, 300, 0).objective()
    if request.param != "affine":
        found.terms[0].weights = 0.5 + torch.rand(300, 2, dtype=torch.float64)
        assert len(found.terms) > 1
    return found


def test_blocks_sum_to_the_whole(objective, monkeypatch):
    r, whole = objective.jacobian()
    monkeypatch.setattr(blocks, "ROOM", 70_000)
    again, parts = blocks.linear(objective)
    assert isinstance(parts, blocks.Blocks)
    assert len(list(parts.blocks())) > 3
    assert torch.equal(again, r)
    objective.network.theta = (
        objective.network.theta + 1.0
    )  # a trial elsewhere: the rows stay where they were made
    lower = torch.tril_indices(len(objective.network.theta), len(objective.network.theta))
    for came, wanted in zip(parts.normal(r), whole.normal(r), strict=True):
        came, wanted = (m[lower[0], lower[1]] if m.dim() == 2 else m for m in (came, wanted))
        torch.testing.assert_close(came, wanted, rtol=1e-11, atol=1e-11 * float(wanted.abs().max()))
    v, a = (
        torch.randn(len(objective.network.theta), dtype=torch.float64),
        torch.randn(len(r), dtype=torch.float64),
    )
    wanted = whole.pulled(v, a, 20.0)
    torch.testing.assert_close(
        parts.pulled(v, a, 20.0), wanted, rtol=1e-11, atol=1e-11 * float(wanted.abs().max())
    )


def test_one_block_is_the_whole_with_its_bits(objective, monkeypatch):
    _, whole = objective.jacobian()
    monkeypatch.setattr(
        blocks, "ROOM", len(whole.values) * (whole.values[0].nbytes + whole.starts[0].nbytes)
    )
    _, found = blocks.linear(objective)
    assert isinstance(found, Rows)
    assert torch.equal(found.values, whole.values)
    monkeypatch.setattr(blocks, "ROOM", blocks.ROOM - 1)
    assert isinstance(blocks.linear(objective)[1], blocks.Blocks)


def test_training_by_blocks_goes_the_same_way(objective, monkeypatch):
    start, losses = objective.network.theta, []
    for room in (blocks.ROOM, 100_000):
        monkeypatch.setattr(blocks, "ROOM", room)
        objective.network.theta = start.clone()
        losses.append(list(LevenbergMarquardt(4).minimise(objective)))
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"points": 10**11},
            (
                r"points: got 100,000,000,000, which need about .* GB, and .* GB are free; expected"
                r" at most about [\d,]+$"
            ),
        ),
        (
            {"network": KAN((10**6, 10**6), 5, 4)},
            "network: about 9,0.* parameters need .* expected a smaller --width or --grid",
        ),
        ({"network": KAN((2,), 5, 10**12)}, "network: about"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_made(change, message):
    recipe = {"network": KAN((3,), 5, 4), "points": 200, "schedule": "lm:3", **change}
    with pytest.raises(RecipeError, match=message):
        kanpde.solve(kanpde.problem.file.load("poisson2d")[0], recipe=Recipe(**recipe))


def test_what_is_promised_to_fit_fits():
    problem, recipe = (
        kanpde.problem.file.load("poisson2d")[0],
        Recipe(KAN((3,), 5, 4), 10**9, "lm:3,extend:8,lm:3"),
    )
    with pytest.raises(RecipeError, match="at most about") as caught:
        check_memory(problem, recipe, recipe.space(problem), "cpu", torch.float64, 2e9)
    most = int(str(caught.value).rpartition(" ")[2].replace(",", ""))
    fitting = Recipe(KAN((3,), 5, 4), most, "lm:3")
    check_memory(problem, fitting, fitting.space(problem), "cpu", torch.float64, 2e9)
    assert 1e8 < available() < 1e15


def test_a_reference_that_does_not_fit_is_refused():
    from kanpde.errors import ReferenceUnavailable
    from kanpde.reference import reference

    with pytest.raises(
        ReferenceUnavailable,
        match=r"points need at least .* GB, and .* GB are free; expected fewer cells",
    ):
        reference(kanpde.problem.file.load("poisson2d")[0], order=2, cells=4_000_000)


@pytest.mark.parametrize("kind", SPECS)
def test_parameters_are_counted(kind):
    spec = SPECS[kind]((6, 5)[: SPECS[kind].levels])
    assert parameters(spec, 2, 1) == spec.build(2, 1, torch.Generator().manual_seed(0)).parameters
