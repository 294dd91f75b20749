"""Sums of products of splines: against SciPy's splines, circles, rows of the Jacobian, fewer terms,
finer grids, and problems that are solved with no settings at all."""

import math

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from kanpde import Box, Dirichlet, Initial, Periodic, Problem, RecipeError, Time, d, laplacian
from kanpde.kernels.taylor import channels
from kanpde.networks.axis_splines import AxisSplines, extended, gauss
from kanpde.networks.canonical import fewer, refitted, spline_errors, without_idle
from kanpde.networks.kinds.separable import Separable
from kanpde.networks.restore import restore
from kanpde.networks.trial_space import trial_space
from kanpde.recipes.choosing import default
from kanpde.recipes.prepare import prepare
from kanpde.recipes.recipe import Recipe
from kanpde.training import AlternatingLeastSquares, Refine, carry_out
from kanpde.training.history import Silent
from kanpde.training.points import Collocation
from kanpde.training.pruning import Prune

UNEVEN = torch.tensor([-1.0, -0.7, -0.1, 0.0, 0.3, 0.45, 1.0], dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def built(inputs=2, outputs=1, **settings):
    return Separable(**settings).build(inputs, outputs, seeded())


def values(network, points):
    return network.forward(points[:, None].contiguous(), ())[-1][:, 0]


def scipy_factor(axis, c, x, order=0):
    """The function of coefficients on the line that SciPy gives; around a circle with the first
    ones again after the last."""
    line = np.concatenate([c, c])[: axis.grid + axis.degree] if axis.closed else c
    knots = axis.knots(torch.zeros(1, dtype=torch.float64))[0].numpy()
    return BSpline(knots, line, axis.degree)(x, order)


@pytest.mark.parametrize("breaks", [None, UNEVEN])
@pytest.mark.parametrize("circles", [(), (0,), (0, 1)])
def test_values_and_derivatives_are_those_of_products_of_scipys_splines(circles, breaks):
    network = built(2, 1, width=(3,), degree=5, grid=6, circles=circles)
    (layer,) = network.layers
    if breaks is not None:
        layer.constants = [breaks, breaks]
    assert len(layer.constants) == 2 * (breaks is not None)
    x = 1.98 * torch.rand(40, 2, generator=seeded(), dtype=torch.float64) - 0.99
    X = torch.zeros(40, channels((2, 2)), 2, dtype=torch.float64)
    X[:, 0], X[:, 1, 0], X[:, 2, 1] = x, 1, 1
    Y = network.forward(X, (2, 2))[-1][:, :, 0].numpy()
    wanted = np.zeros((5, 40))
    coefficients = [c.numpy() for c in layer.coefficients(network.theta)]
    for j in range(3):
        f, g = (
            [scipy_factor(axis, c[:, j], x[:, i].numpy(), nu) for nu in range(3)]
            for i, (axis, c) in enumerate(zip(layer.axes, coefficients, strict=True))
        )
        wanted += [f[0] * g[0], f[1] * g[0], f[0] * g[1], f[2] * g[0] / 2, f[0] * g[2] / 2]
    np.testing.assert_allclose(Y.T, wanted, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("closed", [False, True])
def test_finer_intervals_lie_as_those_before_do(closed):
    axis = AxisSplines(6, 5, closed, UNEVEN)
    network = built(1, 1, degree=5, grid=6, circles=(0,) * closed)
    network.layers[0].constants = [UNEVEN]
    twice = axis.finer(12)
    torch.testing.assert_close(twice.ends()[::2], UNEVEN)
    found = network.spec.extend(network, 12)
    x = drawn(30, 1).clamp(-1, 1)
    torch.testing.assert_close(values(found, x), values(network, x), rtol=1e-9, atol=1e-9)
    assert len(found.layers[0].constants) == 1
    for wrong in (UNEVEN[:-1], UNEVEN.flip(0)):
        with pytest.raises(ValueError, match="expected 7 that rise"):
            network.layers[0].constants = [wrong]


@pytest.mark.parametrize("grid", [1, 3, 40])
def test_a_circle_closes_smoothly_and_goes_around(grid):
    network = built(2, 1, degree=9, grid=grid, circles=(0,))
    X = torch.zeros(2, 9, 2, dtype=torch.float64)
    X[:, 0] = torch.tensor([[-1.0, 0.3], [1.0, 0.3]])
    X[:, 1, 0] = 1
    left, right = network.forward(X[:, :5].contiguous(), (1, 1, 1, 1))[-1][:, :, 0]
    torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9 * float(left.abs().max()))
    x = drawn(20, 2)
    around = x + torch.tensor([2.0, 0.0])
    torch.testing.assert_close(values(network, x), values(network, around), rtol=0, atol=1e-11)


@pytest.mark.parametrize("grid", [2, 9, 11, 40])
@pytest.mark.parametrize("circles", [(), (1,), (0, 1)])
def test_rows_and_their_products_are_those_of_the_gradient_and_of_the_dense_matrix(grid, circles):
    """On a circle of many intervals the functions that are alive run over its end: rows that were
    not in the order of their columns would give another JᵀJ."""
    network = built(3, 2, width=(2, 3), degree=3, grid=grid, circles=circles)
    counts = (2, 1)
    X = 0.9 * torch.tanh(drawn(60, channels(counts), 3, seed=1))
    X[:6, 0] = torch.linspace(0.9, 1.0, 6, dtype=torch.float64)[:, None]
    L = drawn(60, channels(counts), 2, seed=2)
    jets = network.forward(X, counts)
    rows = network.jacobian(jets, L, counts)
    dense = rows.dense()
    for n in (0, 5, 59):
        one = [jet[n : n + 1].contiguous() for jet in jets]
        wanted = network.gradient(one, L[n : n + 1].contiguous(), counts)
        torch.testing.assert_close(dense[n], wanted, rtol=1e-11, atol=1e-11)
    gram, wanted = rows.gram().tril(), (dense.T @ dense).tril()
    torch.testing.assert_close(gram, wanted, rtol=1e-11, atol=1e-11 * float(wanted.abs().max()))
    v, r = drawn(rows.columns, seed=3), drawn(60, seed=4)
    torch.testing.assert_close(rows @ v, dense @ v)
    torch.testing.assert_close(rows.transposed_times(r), dense.T @ r)
    step = 1e-5 * v
    moved = []
    for sign in (1, -1):
        network.theta = network.theta + sign * step
        moved.append((network.forward(X, counts)[-1] * L).sum((1, 2)))
        network.theta = network.theta - sign * step
    slope = (moved[0] - moved[1]) / 2e-5
    torch.testing.assert_close(dense @ v, slope, rtol=1e-6, atol=1e-6 * float(slope.abs().max()))


def test_runs_that_are_far_from_dense_are_multiplied_in_the_order_of_their_columns():
    axis = AxisSplines(64, 3, True)
    cell = torch.arange(64)
    block = drawn(64, 4, 2)
    rows = axis.rows(cell, block)
    wanted = torch.zeros(64, 64, 2, dtype=torch.float64)
    for n in range(64):
        for j in range(4):
            wanted[n, (n + j) % 64] += block[n, j]
    wanted = wanted.flatten(1)
    assert rows.values.shape[1] < 0.2 * rows.columns, "by runs, not dense"
    assert torch.equal(rows.dense(), wanted)
    torch.testing.assert_close(rows.gram().tril(), (wanted.T @ wanted).tril())


def test_gauss_points_integrate_polynomials():
    x, w = gauss(5)
    for power in range(10):
        wanted = 2 / (power + 1) if power % 2 == 0 else 0.0
        assert abs(float((w * x**power).sum()) - wanted) < 1e-14
    assert torch.equal(extended(UNEVEN, 2, True)[0, 2:-2], UNEVEN)


def test_the_estimated_error_is_that_of_the_best_spline():
    """sin πx around a circle, on ever finer grids: it is the error of the least-squares fit."""
    for grid in (24, 48):
        network = built(2, 1, width=(1,), degree=5, grid=grid, circles=(0, 1))
        (layer,) = network.layers
        axis = layer.axes[0]
        x, w = axis.quadrature()
        B, f, root = axis.at(x), torch.sin(math.pi * x), w.sqrt()[:, None]
        c = torch.linalg.lstsq(root * B, root * f[:, None]).solution
        error = math.sqrt(float((w * (B @ c[:, 0] - f).square()).sum()) / 2)
        ones = torch.ones_like(c)
        found, sizes = spline_errors(layer, torch.cat([c.flatten(), ones.flatten()]))
        assert 0.9 * error <= float(found[0, 0]) <= 1.1 * error
        assert float(found[0, 1]) < 1e-14, "nothing to resolve along the other coordinate"
        assert abs(float(sizes[0]) - math.sqrt(0.5)) < 1e-3


@pytest.mark.parametrize("inputs", [2, 3])
def test_terms_that_depend_on_others_are_left_out(inputs):
    """The first factors of four terms are combinations of two: two terms are as good."""
    network = built(inputs, 2, width=(4, 1), degree=5, grid=4)
    (layer,) = network.layers
    c = layer.coefficients(network.theta)
    for p in c[1:]:
        p[:, 2], p[:, 3] = p[:, 0], p[:, 1]
    c[1][:, 3] *= 0.5
    network.theta = torch.cat([p.flatten() for p in c])
    found = without_idle(network, [1e-9, 1e-9])
    assert found.spec.width == (2, 1)
    assert found.widths == (inputs, 3, 2)
    x = 2 * torch.rand(50, inputs, generator=seeded(5), dtype=torch.float64) - 1
    torch.testing.assert_close(values(found, x), values(network, x), rtol=0, atol=1e-8)
    assert without_idle(found, [1e-9, 1e-9]) is found


def test_fewer_terms_are_the_largest_singular_values():
    axes = [AxisSplines(6, 3, False), AxisSplines(5, 4, True)]
    c = [drawn(axis.functions, 5, seed=i) for i, axis in enumerate(axes)]
    roots = [np.linalg.cholesky(axis.gram().numpy()) for axis in axes]
    whole = roots[0].T @ (c[0] @ c[1].T).numpy() @ roots[1]
    singular = np.linalg.svd(whole, compute_uv=False)
    for rank in (1, 3):
        p, q = fewer(axes, c, rank)
        left = whole - roots[0].T @ (p @ q.T).numpy() @ roots[1]
        assert p.shape[1] == rank
        assert abs(np.linalg.norm(left) / np.linalg.norm(singular[rank:]) - 1) < 1e-10


def test_another_grid_holds_the_function_where_it_contains_the_first():
    network = built(2, 2, width=(2, 1), degree=9, grid=5, circles=(1,))
    finer = refitted(network, [AxisSplines(10, 9, False), AxisSplines(15, 9, True)])
    x = 2 * torch.rand(200, 2, generator=seeded(), dtype=torch.float64) - 1
    torch.testing.assert_close(values(finer, x), values(network, x), rtol=0, atol=1e-11)
    assert finer.spec.grids == (10, 15)
    assert finer.parameters == finer.spec.count(2, 2)
    assert finer.refit < 1e-12


def transport(u, x, t):
    return d(u, t) + 2 * d(u, x)


def wavy(x, t):
    return torch.sin(2 * math.pi * (x - 2 * t))


RING = Problem(
    domain=Box(x=(0, 1)) * Time(t=(0, 1)),
    equations=[transport],
    conditions=[Periodic("x"), Initial(u=lambda x: wavy(x, 0 * x))],
    exact={"u": wavy},
)


def test_a_periodic_coordinate_is_seen_as_it_is():
    space = trial_space(RING, Separable())
    assert space.input_names == ("x", "t")
    network = space.initial(seeded())
    assert network.spec.circles == (0,)
    solution = space.solution(network)
    x = torch.rand(30, 2, generator=seeded(), dtype=torch.float64)
    torch.testing.assert_close(solution(x), solution(x + torch.tensor([1.0, 0.0])))
    again = restore(RING, solution.state())
    assert torch.equal(again(x), solution(x))
    assert again.describe() == solution.describe()


def test_knots_of_their_own_and_ranks_are_kept():
    network = built(2, 1, degree=3, grid=6)
    network.layers[0].constants = [UNEVEN, UNEVEN**3]
    solution = trial_space(SQUARE, corners=False).solution(network)
    again = restore(SQUARE, solution.state())
    x = torch.rand(30, 2, generator=seeded(), dtype=torch.float64)
    assert torch.equal(again(x), solution(x))


def bump(x, y):
    return torch.sin(math.pi * x) * torch.sin(math.pi * y)


def poisson(u, x, y):
    return laplacian(u) + 2 * math.pi**2 * bump(x, y)


SQUARE = Problem(
    domain=Box(x=(0, 1), y=(0, 1)),
    equations=[poisson],
    conditions=[Dirichlet(u=0)],
    exact={"u": bump},
)


def test_a_sweep_solves_for_one_coordinate_after_another():
    """With the factors along x fixed, those along y are the solution of a dense least-squares
    problem, which NumPy solves."""
    space = trial_space(SQUARE, Separable(width=(2,), degree=5, grid=4))
    solution = space.solution(space.initial(seeded()))
    objective = Collocation(SQUARE, solution, 300, 0).objective()
    for _ in AlternatingLeastSquares(1).minimise(objective):
        pass
    r, rows = objective.jacobian()
    first = solution.network.layers[0].blocks[0]
    J = rows.dense().numpy()[:, first:]
    step = np.linalg.lstsq(J, r.numpy(), rcond=None)[0]
    left = np.linalg.norm(r.numpy() - J @ step) / np.linalg.norm(r.numpy())
    assert left > 1 - 1e-9, "nothing more to gain along y"
    assert np.linalg.norm(rows.dense().numpy()[:, :first].T @ r.numpy()) > 1e-6, "but along x"


def solved(problem, recipe, seed=0):
    begun = prepare(problem, recipe, seed)
    training = begun.method(problem, Silent())
    state = carry_out(training, training.begin())
    solution = training.result(state)
    x = problem.domain.interior(torch.rand(3000, 2, generator=seeded(9), dtype=torch.float64))
    wanted = problem.exact_values(x)["u"]
    return state, solution, float((solution(x)[:, 0] - wanted).norm() / wanted.norm())


def test_a_product_is_found_with_one_term():
    recipe = Recipe(Separable(), 400, "als:4,lm:8,refine:500,lm:8,refine:500,lm:4")
    state, solution, error = solved(SQUARE, recipe)
    assert error < 1e-11
    assert solution.network.spec.width == (1,)
    assert len(state.history.stages) == len(recipe.stages)


def test_a_wave_around_a_ring_gets_the_grids_and_terms_that_it_needs():
    recipe = Recipe(Separable(width=(1,)), 800, "als:6,lm:12" + ",refine:4000,lm:12" * 3)
    _, solution, error = solved(RING, recipe)
    assert error < 1e-9
    (layer,) = solution.network.layers
    assert layer.terms == 2, "cosine and sine"
    assert layer.axes[1].grid > 16


def test_a_kind_says_what_suits_it():
    recipe = default(RING, Separable).recipe
    assert recipe.slabs == 1
    assert recipe.points >= 4000
    assert "circles" not in Separable.options()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Separable(degree=10), "degree: got 10; expected 1 to 9"),
        (lambda: Separable(grids=(4, 0)), r"grids: got \(4, 0\); expected at least 1 interval"),
        (lambda: built(2, 1, width=(2, 3)), r"width: got 2 ranks, \(2, 3\), for 1 unknown"),
        (lambda: built(3, 1, grids=(4, 5)), r"grids: got 2, \(4, 5\), for 3 coordinates"),
        (
            lambda: Prune().check(built()),
            "prune: got Separable KAN 2-4-1, .* refine:4000 leaves out",
        ),
        (lambda: Refine(0), "refine:0: expected at least 1 parameter"),
        (
            lambda: prepare(SQUARE, Recipe(schedule="lm:1,refine:500"), 0),
            "refine:500: got KAN 2-5-1, .*; expected a network of sums of products",
        ),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(RecipeError, match=message):
        make()
