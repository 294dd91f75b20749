"""Products of splines on domains that are no boxes, against closed forms."""

import numpy as np
import pytest
import torch
from refined import solved
from scipy.special import jn_zeros

import kanpde
from kanpde import (
    Ball,
    Box,
    Dirichlet,
    Disk,
    Eigenvalue,
    Ellipse,
    Neumann,
    Polygon,
    Problem,
    Robin,
    d,
    laplacian,
)
from kanpde.errors import RunError
from kanpde.products.axes import SplineAxis
from kanpde.products.held import held
from kanpde.products.inside import Inside
from kanpde.products.newton import least_squares
from kanpde.products.normal import normal
from kanpde.products.progress import Settings
from kanpde.products.refining import RefinedProducts
from kanpde.recipes.choosing import choose
from kanpde.recipes.refined import usual


def worst(problem, solution):
    """Largest error of each unknown at points inside, over its amplitude."""
    random, dims = torch.Generator().manual_seed(5), len(problem.coordinates)
    unit = torch.rand(3000, dims, generator=random, dtype=torch.float64)
    points = problem.domain.interior(unit)
    exact, found = problem.exact_values(points), solution(points)
    return max(
        float((found[:, k] - exact[u]).abs().max() / (exact[u].max() - exact[u].min()) * 2)
        for k, u in enumerate(problem.unknowns)
    )


def smooth(x, y):
    return torch.exp(x) * torch.sin(2 * y) + x * y


def source(u, x, y):
    return laplacian(u) + 3 * torch.exp(x) * torch.sin(2 * y)


def test_a_disc_is_solved_to_the_tolerance():
    problem = Problem(
        Disk(x=0.3, y=-1, radius=1), source, [Dirichlet(u=smooth)], exact={"u": smooth}
    )
    solution, progress = solved(problem, 1e-8)
    assert not progress.missed
    assert worst(problem, solution) < 1e-9


def test_a_warm_plate_with_a_hole_in_si_units():
    """Copper at 300 K, cooled at its hole: sides and hole with conditions of three kinds."""
    conductivity, film, inner = 400.0, 5e3, 0.012

    def exact(x, y):
        return 300 + 4 * torch.log((x**2 + y**2) / inner**2) + 1e3 * (x**2 - y**2)

    def flux(x, y):
        return 8 * x / (x**2 + y**2) + 2e3 * x

    def cooled(x, y):
        outward = -8 / inner - 2e3 * (x**2 - y**2) / inner
        return conductivity * outward + film * exact(x, y)

    problem = Problem(
        Box(x=(-0.05, 0.05), y=(-0.04, 0.04)) - Disk(x=0, y=0, radius=inner, name="hole"),
        lambda u, x, y: conductivity * laplacian(u),
        [
            Dirichlet(u=exact, on=("x-", "y-", "y+")),
            Neumann(u=flux, on="x+"),
            Robin(u=cooled, a=film, b=conductivity, on="hole"),
        ],
        exact={"u": exact},
    )
    solution, progress = solved(problem, 1e-7)
    assert not progress.missed
    assert worst(problem, solution) < 1e-7


def test_a_ball_of_steel_in_si_units():
    """It loses heat to air; not about the origin."""
    conductivity, film = 45.0, 120.0

    def exact(x, y, z):
        return 350 + 4000 * x * y * torch.exp(-20 * z)

    def heat(T, x, y, z):
        return conductivity * (laplacian(T) - 400 * (exact(x, y, z) - 350))

    def outward(x, y, z):
        rate = 4000 * torch.exp(-20 * z)
        return rate * (y * (x - 0.01) + x * y * -20 * (z + 0.02) + x * y) / 0.05

    def cooled(x, y, z):
        return conductivity * outward(x, y, z) + film * exact(x, y, z)

    problem = Problem(
        Ball(x=0.01, y=0, z=-0.02, radius=0.05),
        heat,
        [Robin(T=cooled, a=film, b=conductivity)],
        exact={"T": exact},
    )
    solution, progress = solved(problem, 1e-4, degree=5)
    assert not progress.missed
    assert worst(problem, solution) < 1e-5


def test_points_on_a_surface_are_even():
    region = Box(x=(0, 1), y=(0, 1), z=(0, 1)) - Ball(x=0, y=0.5, z=0.5, radius=0.3, name="bite")
    axes = tuple(SplineAxis(np.linspace(0, 1, n + 1), 3) for n in (8, 8, 16))
    bite, side = (Inside(region, axes).along(face) for face in ("bite", "x-"))
    assert bite.weights.sum() == pytest.approx(2 * np.pi * 0.3**2, rel=1e-2)
    assert side.weights.sum() == pytest.approx(1 - np.pi * 0.3**2, rel=1e-2)
    assert np.allclose(
        (bite.points[:, 0] * bite.weights).sum(), 0.15 * bite.weights.sum(), rtol=1e-2
    )
    assert np.allclose(bite.normals, ([0, 0.5, 0.5] - bite.points) / 0.3)
    assert len(bite.weights) >= 2 * np.pi * 0.3**2 * (4 * 16) ** 2


def test_cells_about_holes_are_as_many_as_memory_holds():
    whole = Box(x=(0, 1), y=(0, 1), z=(0, 1))
    problem = Problem(
        whole - Ball(x=0.5, y=0.5, z=0.5, radius=0.05), lambda u: laplacian(u), [Dirichlet(u=0)]
    )
    ways = RefinedProducts(problem, Settings(1e-4, 5, 11, 600, np.inf))
    many = [axis.cells for axis in ways.begin().axes]
    ways._memory = 0.2 * ways._bytes(ways.begin().axes)
    few = ways.begin().axes
    assert ways._bytes(few) <= ways._memory
    assert all(8 <= axis.cells < n for axis, n in zip(few, many, strict=True))


@pytest.mark.parametrize(
    ("region", "where"),
    [
        (lambda a, b, c: a - b, "around Box"),
        (lambda a, b, c: a | c, "where Box"),
        (lambda a, b, c: a & c, ""),
        (lambda a, b, c: a - c, ""),
    ],
)
def test_reentrant_edges_are_left_to_layers(region, where):
    a = Box(x=(0, 1), y=(0, 1), z=(0, 1))
    b = Box(x=(0.5, 1), y=(0.5, 1), z=(0.5, 1))
    domain = region(a, b, Ball(x=0.5, y=0.5, z=1, radius=0.3))
    problem = Problem(domain, lambda u: laplacian(u) + 1, [Dirichlet(u=0)])
    found = usual(problem, choose(problem), tolerance=1e-4)
    assert (found.recipe.network.kind == "tensor") == (not where)
    assert any(f"re-entrant edges {where}" in one for one in found.reasons) == bool(where)


@pytest.mark.parametrize(
    "region",
    [
        Ellipse(x=0, y=0, radii=(1, 0.6), angle=0.4),
        Box(x=(0, 1), y=(0, 1), z=(0, 2)) - Ball(x=0.4, y=0.5, z=1, radius=0.3),
    ],
    ids=["plane", "space"],
)
def test_normal_equations_are_those_of_the_rows(region):
    def equation(u, v, x, y):
        return laplacian(u) + d(v, x) - 1, laplacian(v) + u * v

    problem = Problem(region, equation, [Dirichlet(u=0, v=1)])
    ends = problem.domain.bounds.values()
    axes = [SplineAxis(np.linspace(*end, 6), 3) for end in ends]
    given = held(problem, axes, {})
    squares = least_squares(problem, axes, given)
    C = given.C + squares.spread(np.random.default_rng(0).standard_normal(given.free))
    weights = squares.weights(C)
    equations = normal(squares.rows, C, given.index, weights)
    v = np.random.default_rng(1).standard_normal(given.free)
    D, found = squares.spread(v), np.zeros(given.free)
    for some, weight in zip(squares.rows, weights, strict=True):
        _, g = some.linear(C)
        found += weight * squares.gathered(some.lifted(g, some.pushed(g, D)))
        assert np.allclose(squares.gathered(some.diagonal(C)), _diagonal(some, g, squares))
    assert np.allclose(_times(equations.columns, v), found)
    assert (given.index < 0).any(), "corners of a bounding box are not felt, sides of a box given"


def _diagonal(rows, g, squares):
    unit = np.eye(squares.free)
    return np.array([(rows.pushed(g, squares.spread(e)) ** 2).sum() for e in unit])


def _times(columns, v):
    """A symmetric matrix, given by its lower band, times a vector."""
    found = columns[:, 0] * v
    for k in range(1, columns.shape[1]):
        below = columns[: len(v) - k, k]
        found[k:] += below * v[:-k]
        found[:-k] += below * v[k:]
    return found


def test_eigenvalues_of_a_disc():
    problem = Problem(
        Disk(x=0, y=0, radius=2),
        lambda u, x, y, lam: laplacian(u) + lam * u,
        [Dirichlet(u=0)],
        parameters=[Eigenvalue("lam", which=(2, 3))],
    )
    solution, progress = solved(problem, 1e-5, degree=7)
    assert not progress.missed
    for number in solution.numbers().values():
        assert abs(number / (jn_zeros(1, 1)[0] / 2) ** 2 - 1) < 1e-7


@pytest.mark.parametrize("reaction", [0.0, 1.0])
def test_singular_corners_are_left_to_layers_but_for_poissons_equation(reaction):
    """Also those of 120 degrees between conditions of two kinds."""

    def equation(u, x, y):
        return laplacian(u) - reaction * u + 1 if reaction else laplacian(u) + 1

    slanted = Polygon(x=[0, 1, 0.6, -0.5], y=[0, 0, 1, 0.75**0.5])
    conditions = [Dirichlet(u=0, on=("edge1", "edge2", "edge3")), Neumann(u=0, on="edge4")]
    lshape = kanpde.problem.file.load("poisson2d_lshape")[0].domain
    for problem, where in (
        (Problem(slanted, equation, conditions), "(0, 0), where edge4 meets edge1: r^0.75"),
        (Problem(lshape, equation, [Dirichlet(u=0)]), "singular at (0, 0)"),
    ):
        choice = usual(problem, choose(problem))
        assert (choice.recipe.network.kind == "tensor") is not bool(reaction)
        assert (where in choice.reasons[-1]) is bool(reaction)


def test_an_annulus_is_not():
    problem, recipes = kanpde.problem.file.load("annulus2d")
    assert usual(problem, choose(problem, recipes)).recipe.network.kind == "tensor"


def test_a_run_is_written_read_and_told_apart(tmp_path):
    problem, _ = kanpde.problem.file.load("annulus2d")
    result = kanpde.solve(problem, effort="quick", out=tmp_path, reference=False, pictures=False)
    (folder,) = tmp_path.glob("**/summary.json")
    again = kanpde.load(folder.parent)
    assert float(again(x=0.5, y=1.2)) == float(result(x=0.5, y=1.2))
    with pytest.raises(RunError, match=r"compress: got products on .*; expected those of a box"):
        kanpde.compress(again, 1e-3)
