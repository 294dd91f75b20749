"""Finite elements on pieces of the plane, against closed forms."""

from itertools import islice

import numpy as np
import pytest
import torch
from meshed import write_mesh

from kanpde import (
    Box,
    Dirichlet,
    Disk,
    Interface,
    Mesh,
    Neumann,
    Pieces,
    Problem,
    d,
    laplacian,
    normal,
    normal_derivative,
)
from kanpde.errors import ReferenceUnavailable
from kanpde.geometry.joined_pieces import in_plane
from kanpde.geometry.triangulation import triangulated
from kanpde.problem.file import load
from kanpde.reference import reference
from kanpde.reference.elements import Meshes
from kanpde.reference.evolution import solve_evolution
from kanpde.reference.evolving import in_time
from kanpde.reference.steady import solve_steady
from kanpde.results.fields import exact_on

TWO = Pieces(left=Box(x=(0, 1), y=(0, 1)), right=Box(x=(1, 2), y=(0, 1)))
THREE = Pieces(
    low=Box(x=(0, 2), y=(0, 1)), left=Box(x=(0, 1), y=(1, 2)), right=Box(x=(1, 2), y=(1, 2.5))
)
CORE = Disk(x=0, y=0, radius=1, name="rim")
COATED = Pieces(core=CORE, coat=Disk(x=0, y=0, radius=2, name="outside") - CORE)


def conduction(u, x, y):
    return laplacian(u)


def errors(problem, grid, values):
    """Of each unknown at the nodes, relative to its variation."""
    at = grid.points()
    names = list(problem.domain.regions)
    found = {}
    for u, row in zip(problem.unknowns, values, strict=True):
        exact = np.empty(grid.nodes)
        for k, name in enumerate(names):
            own = grid.node_pieces == k
            inside = {x: v[own] for x, v in at.items()}
            exact[own] = problem.exact_copies[f"{u}_{name}"](inside).numpy()
        found[u] = np.sqrt(np.mean((row - exact) ** 2)) / exact.std()
    return found


def coarsest(domain):
    meshes = Meshes(domain)
    return meshes.grid(next(meshes.sizes()))


def test_seams_are_edges_of_the_triangles():
    region = in_plane(THREE)
    assert {s.face: s.curve.length for s in region.seams} == pytest.approx(
        {"low|left": 1, "low|right": 1, "left|right": 1}
    )
    assert {b.face for b in region.bounding} == set(THREE.faces) - set(THREE.contacts)
    found = triangulated(region, 0.4)
    corners = found.points[found.triangles]
    low, high = corners.min(1), corners.max(1)
    assert not ((low[:, 1] < 1 - 1e-9) & (high[:, 1] > 1 + 1e-9)).any()
    above = low[:, 1] > 1 - 1e-9
    assert not (above & (low[:, 0] < 1 - 1e-9) & (high[:, 0] > 1 + 1e-9)).any()


def test_a_value_that_jumps_a_flux_that_does_not_and_a_point_where_three_meet():
    """Linear in every piece, which quadratic elements have exactly."""
    problem = Problem(
        THREE,
        conduction,
        [
            Dirichlet(u=0, on="low.y-"),
            Dirichlet(u=2, on="left.y+"),
            Dirichlet(u=2.5, on="right.y+"),
            Neumann(u=0, on=("x-", "x+")),
            Interface(u=-0.5, flux={"low": 2, "left": 1}, between=("low", "left")),
            Interface(u=-0.5, flux={"low": 2, "right": 1}, between=("low", "right")),
            Interface(u=0, flux={"left": 1, "right": 1}, between=("left", "right")),
        ],
        exact={
            "u": {"low": lambda y: y / 2, "left": lambda y: y, "right": lambda y: y},
        },
    )
    grid = coarsest(THREE)
    values, _ = solve_steady(problem, grid)
    assert errors(problem, grid, values)["u"] < 1e-12


@pytest.mark.parametrize("resists", [True, False])
def test_order_where_values_jump(resists):
    """Both fluxes are given by the jump of the value; or the jump is given, and that the fluxes
    with the conductivities 1 and 3 are the same. Equations come in another order than pieces."""

    def resisting(u_left, u_right, x, y):
        flux = normal_derivative(u_left)
        return flux - 2 * (u_right - u_left), flux - 3 * normal_derivative(u_right)

    sine, cosine = np.sin(1), np.cos(1)
    jump = Interface(u=lambda y: -cosine / 2 * torch.exp(y), flux={"left": 1, "right": 3})
    left = lambda x, y: torch.sin(x) * torch.exp(y)
    right = lambda x, y: (sine + cosine / 2 + cosine / 3 * torch.sin(x - 1)) * torch.exp(y)
    problem = Problem(
        TWO,
        {
            "right": lambda u, x, y: laplacian(u) - (sine + cosine / 2) * torch.exp(y),
            "left": lambda u, x, y: laplacian(u),
        },
        [
            Dirichlet(u=left, on=("left.x-", "left.y-", "left.y+")),
            Dirichlet(u=right, on=("right.x+", "right.y-", "right.y+")),
            Interface(resisting) if resists else jump,
        ],
        exact={"u": {"left": left, "right": right}},
    )
    gone = []
    for along in islice((meshes := Meshes(TWO)).sizes(), 2):
        grid = meshes.grid(along)
        gone.append(errors(problem, grid, solve_steady(problem, grid)[0])["u"])
    assert gone[1] < 1e-5
    assert np.log2(gone[0] / gone[1]) > 2.8


def test_order_at_a_curved_interface():
    problem, gone = load("interface2d")[0], []
    for along in islice((meshes := Meshes(problem.domain)).sizes(), 2):
        grid = meshes.grid(along)
        gone.append(errors(problem, grid, solve_steady(problem, grid)[0])["u"])
    assert gone[1] < 2e-4
    assert np.log2(gone[0] / gone[1]) > 2.7


def test_a_stiff_core_in_elasticity():
    """Lamé's solution for a core and a coat under a radial displacement."""
    nu = 0.3

    def material(E):
        plane, shear = E / (1 - nu**2), E / (2 + 2 * nu)

        def stress(u, v, x, y):
            a, b = d(u, x), d(v, y)
            return plane * (a + nu * b), plane * (b + nu * a), shear * (d(u, y) + d(v, x))

        def equilibrium(u, v, x, y):
            xx, yy, xy = stress(u, v, x, y)
            return d(xx, x) + d(xy, y), d(xy, x) + d(yy, y)

        return stress, equilibrium

    (core, in_core), (coat, in_coat) = material(5.0), material(1.0)

    def traction(u_core, v_core, u_coat, v_coat, x, y):
        a, b, c = core(u_core, v_core, x, y)
        e, f, g = coat(u_coat, v_coat, x, y)
        nx, ny = normal(x), normal(y)
        return (a - e) * nx + (c - g) * ny, (c - g) * nx + (b - f) * ny

    matrix = [[1, -1, -1], [5 / (1 - nu), -1 / (1 - nu), 1 / (1 + nu)], [0, 2, 0.5]]
    A, B, C = np.linalg.solve(matrix, [0, 0, 1])
    problem = Problem(
        COATED,
        {"coat": [in_coat], "core": [in_core]},
        [
            Dirichlet(u=lambda x: x / 2, v=lambda y: y / 2, on="outside"),
            Interface(traction, u=0, v=0),
        ],
        exact={
            "u": {"core": lambda x: A * x, "coat": lambda x, y: (B + C / (x**2 + y**2)) * x},
            "v": {"core": lambda y: A * y, "coat": lambda x, y: (B + C / (x**2 + y**2)) * y},
        },
    )
    gone = []
    for along in islice((meshes := Meshes(COATED)).sizes(), 3):
        grid = meshes.grid(along)
        gone.append(max(errors(problem, grid, solve_steady(problem, grid)[0]).values()))
    assert np.log2(gone[1] / gone[2]) > 2.9
    assert gone[2] < 1e-4


def test_regions_of_a_mesh(tmp_path):
    points = [(x, y) for y in (0.0, 1) for x in (0.0, 1, 2, 3)]
    quads = [[k, k + 1, k + 5, k + 4] for k in range(3)]
    elements = {
        "line": ([[0, 4], [3, 7]], ["cold", "hot"]),
        "quad": (quads, ["steel", "steel", "brass"]),
    }
    strip = Mesh(write_mesh(tmp_path / "strip.msh", points, elements))
    pieces = Pieces(steel=strip.region("steel"), brass=strip.region("brass"))
    problem = Problem(
        pieces,
        lambda T, x, y: laplacian(T),
        [
            Dirichlet(T=0, on="cold"),
            Dirichlet(T=1, on="hot"),
            Neumann(T=0, on="outline"),
            Interface(T=0, flux={"steel": 1, "brass": 3}),
        ],
        exact={"T": {"steel": lambda x: x * 3 / 7, "brass": lambda x: 1 + (x - 3) / 7}},
    )
    assert coarsest(pieces).mesh.nelements == 6
    found = reference(problem, method="fem", cells=4)
    assert "quadratic finite elements on 96 triangles" in found.kind
    exact = exact_on(problem, found.coordinates)["T"]
    assert found.values["T"] == pytest.approx(exact, abs=1e-12)


def test_pieces_that_cool():
    """In time, with a source so that the solution is bilinear in space."""
    left = lambda x, y, t: torch.exp(-t) * x * (1 + y)
    right = lambda x, y, t: torch.exp(-t) * (2 + x) / 3 * (1 + y)
    rods = Pieces(
        left=Box(x=(0, 1), y=(0, 1), t=(0, 0.5)), right=Box(x=(1, 2), y=(0, 1), t=(0, 0.5))
    )
    problem = Problem(
        rods,
        {
            "left": lambda u, x, y, t: d(u, t) - d(u, x, x) - d(u, y, y) + left(x, y, t),
            "right": lambda u, x, y, t: d(u, t) - 3 * (d(u, x, x) + d(u, y, y)) + right(x, y, t),
        },
        [
            Dirichlet(u=left, on=("left.x-", "left.y-", "left.y+", "left.t-")),
            Dirichlet(u=right, on=("right.x+", "right.y-", "right.y+", "right.t-")),
            Interface(u=0, flux={"left": 1, "right": 3}),
        ],
    )
    grid = Meshes(in_time(problem).domain.region, 4).grid((2, 1))
    values, _, _ = solve_evolution(in_time(problem), grid, np.array([0, 0.5]), 1e-5)
    x, y = grid.places.T
    exact = np.exp(-0.5) * np.where(grid.node_pieces == 0, x, (2 + x) / 3) * (1 + y)
    assert values[0, :, -1] == pytest.approx(exact, abs=1e-6)


def test_fluxes_that_do_not_balance_are_refused():
    problem = Problem(
        TWO,
        conduction,
        [
            Dirichlet(u=0, on="left.x-"),
            Dirichlet(u=1, on="right.x+"),
            Neumann(u=0, on=("y-", "y+")),
            Interface(u=0, flux={"left": lambda y: 1 + y, "right": 3}),
        ],
    )
    with pytest.raises(ReferenceUnavailable, match="fluxes of the two equations are not those"):
        reference(problem, method="fem", cells=8)
