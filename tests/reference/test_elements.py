"""References by finite elements, made from strong residuals, against closed forms and against
scikit-fem's own assembly of textbook weak forms."""

import json
from itertools import islice

import numpy as np
import pytest
import torch
from skfem import Basis, BilinearForm, ElementTriP2, FacetBasis, LinearForm
from skfem.helpers import dot, grad

from kanpde import (
    KAN,
    Box,
    Condition,
    Dirichlet,
    Disk,
    Initial,
    Neumann,
    Polygon,
    Problem,
    Robin,
    Time,
    d,
    laplacian,
    normal_derivative,
    solve,
)
from kanpde.errors import ReferenceUnavailable
from kanpde.geometry.planar_sets import as_planar
from kanpde.geometry.triangulation import triangulated
from kanpde.problem.file import load
from kanpde.reference import reference
from kanpde.reference.elements import Meshes
from kanpde.reference.evolution import solve_evolution
from kanpde.reference.steady import solve_steady
from kanpde.reference.weak import WeakSystem
from kanpde.results.fields import exact_on

ANNULUS = Disk(x=0, y=0, radius=2) - Disk(x=0, y=0, radius=1, name="inner")
PLATE = Box(x=(0, 3), y=(0, 2)) - Disk(x=1, y=1, radius=0.4, name="hole")


def errors(problem, found):
    """Of every unknown, relative to how much it varies."""
    exact = exact_on(problem, found.coordinates)
    return {
        u: np.sqrt(np.nanmean((found.values[u] - exact[u]) ** 2)) / np.nanstd(exact[u])
        for u in exact
    }


@pytest.mark.parametrize(
    "region",
    [
        PLATE,
        ANNULUS,
        Polygon(x=[0, 1, 1, -1, -1, 0], y=[0, 0, 1, 1, -1, -1]),
        Disk(x=0, y=0, radius=1) - Disk(x=0, y=0, radius=0.9, name="inner"),
    ],
    ids=["plate", "annulus", "L", "thin"],
)
def test_triangles_cover_a_region(region):
    planar = as_planar(region)
    found = triangulated(planar, np.sqrt(region.volume) / 8)
    a, b, c = found.points[found.triangles].transpose(1, 0, 2)
    areas = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    squares = ((b - a) ** 2 + (c - b) ** 2 + (a - c) ** 2).sum(1)
    assert areas.sum() == pytest.approx(region.volume, rel=2e-2)
    assert (4 * np.sqrt(3) * areas / squares).min() > 0.4
    rim = Meshes(region).grid(next(Meshes(region).sizes()))
    assert set(rim.faces) == set(region.faces)


def test_the_matrix_is_that_of_the_weak_form():
    """-∇·(k ∇u) + (1 + x) u = f with a flux given on the hole and Robin's condition at y+."""
    k = lambda x, y: 2 + torch.sin(x) * y
    problem = Problem(
        PLATE,
        [lambda u, x, y: -d(k(x, y) * d(u, x), x) - d(k(x, y) * d(u, y), y) + (1 + x) * u - y],
        [
            Dirichlet(u=lambda x, y: x * y, on=("x-", "x+")),
            Neumann(u=0.5, on=("hole", "y-")),
            Robin(u=lambda x: x, a=3, b=2, on="y+"),
        ],
    )
    meshes = Meshes(PLATE)
    grid = meshes.grid(next(meshes.sizes()))
    straight = np.concatenate([grid.mesh.p.T, grid.mesh.p.T[grid.mesh.facets.T].mean(1)])
    assert np.abs(grid.places - straight).max() > 1e-3  # triangles at the hole are bent
    grid.__dict__["places"] = straight
    system = WeakSystem(problem, grid)
    u = np.random.default_rng(0).standard_normal(grid.nodes)
    slopes = system.slopes([u[:, None]])
    mesh, basis = grid.mesh, Basis(grid.mesh, ElementTriP2(), intorder=8)
    conductivity = lambda x: 2 + np.sin(x[0]) * x[1]
    A = BilinearForm(
        lambda u, v, w: conductivity(w.x) * dot(grad(u), grad(v)) + (1 + w.x[0]) * u * v
    ).assemble(basis)
    b = LinearForm(lambda v, w: w.x[1] * v).assemble(basis)
    side = {
        name: FacetBasis(
            mesh, ElementTriP2(), facets=grid.rim[[f == name for f in grid.faces]], intorder=8
        )
        for name in ("hole", "y-", "y+")
    }
    for name in ("hole", "y-"):
        b = b + LinearForm(lambda v, w: 0.5 * conductivity(w.x) * v).assemble(side[name])
    A = A + BilinearForm(lambda u, v, w: 1.5 * conductivity(w.x) * u * v).assemble(side["y+"])
    b = b + LinearForm(lambda v, w: 0.5 * w.x[0] * conductivity(w.x) * v).assemble(side["y+"])
    free = system.free[0]
    assert 0 < free.sum() < grid.nodes
    scale = abs(A @ u).max()
    assert system.residual([u[:, None]])[free, 0] == pytest.approx(
        (A @ u - b)[free], abs=1e-4 * scale
    )
    difference = (system.matrix(slopes) - A).toarray()[free]
    assert np.abs(difference).max() < 1e-4 * np.abs(A).max()


def annulus():
    exact = lambda x, y: torch.log(x**2 + y**2)
    return Problem(
        ANNULUS,
        [lambda u, x, y: -laplacian(u)],
        [
            Dirichlet(u=0, on="inner"),
            Condition(lambda u, x, y: normal_derivative(u) + u - 1 - 2 * np.log(2), on="circle"),
        ],
        exact={"u": exact},
    )


def test_order_on_a_curved_domain():
    problem, meshes, gone = annulus(), Meshes(ANNULUS), []
    for along in islice(meshes.sizes(), 3):
        grid = meshes.grid(along)
        values, _ = solve_steady(problem, grid)
        shown = grid.even(values)[0]
        axes = [np.linspace(*ANNULUS.bounds[x], n) for x, n in zip("xy", shown.shape, strict=True)]
        x, y = np.meshgrid(*axes, indexing="ij")
        with np.errstate(divide="ignore"):
            gone.append(np.sqrt(np.nanmean((shown - np.log(x**2 + y**2)) ** 2)))
    assert np.log2(gone[1] / gone[2]) == pytest.approx(3, abs=0.2)


def test_own_error():
    problem = annulus()
    found = reference(problem, method="fem", cells=16)
    gone = errors(problem, found)["u"]
    assert gone / 3 < found.estimated_error < 5 * gone
    assert found.kind.startswith("quadratic finite elements on ")
    assert np.isnan(found.values["u"]).any()


def test_a_corner_that_is_singular():
    def exact(x, y):
        angle = torch.atan2(y, x)
        return (x * x + y * y) ** (1 / 3) * torch.sin(
            2 / 3 * torch.where(angle < 0, angle + 2 * torch.pi, angle)
        )

    region = Polygon(x=[0, 1, 1, -1, -1, 0], y=[0, 0, 1, 1, -1, -1])
    problem = Problem(
        region, [lambda u, x, y: laplacian(u)], [Dirichlet(u=exact)], exact={"u": exact}
    )
    found = reference(problem, method="fem", cells=16)
    assert errors(problem, found)["u"] < 3e-5
    assert found.estimated_error < 1e-4


def test_elasticity_with_traction():
    problem, _ = load("elasticity2d_plate")
    found = reference(problem, method="fem", cells=16)
    for u, error in errors(problem, found).items():
        assert error < 1e-3
        assert error / 3 < found.estimated_errors[u] < 6 * error


def test_a_flux_that_depends_on_the_gradient():
    """A catenoid, r = cosh u, with its flux given outside."""
    exact = lambda x, y: torch.acosh((x * x + y * y).sqrt())

    def minimal(u, x, y):
        stretch = (1 + d(u, x) ** 2 + d(u, y) ** 2).sqrt()
        return d(d(u, x) / stretch, x) + d(d(u, y) / stretch, y)

    def flux(u, x, y):
        return normal_derivative(u) / (1 + d(u, x) ** 2 + d(u, y) ** 2).sqrt() - 1 / 3

    region = Disk(x=0, y=0, radius=3) - Disk(x=0, y=0, radius=1.5, name="inner")
    problem = Problem(
        region,
        [minimal],
        [Dirichlet(u=exact, on="inner"), Condition(flux, on="circle")],
        exact={"u": exact},
    )
    found = reference(problem, method="fem", cells=16)
    assert errors(problem, found)["u"] < 1e-3
    assert errors(problem, found)["u"] < 3 * found.estimated_error


def test_stokes_on_a_disk():
    u, v, p = lambda x, y: y * (x**2 + y**2), lambda x, y: -x * (x**2 + y**2), lambda x, y: x * y

    def stokes(u, v, p, x, y):
        return (
            -laplacian(u) + d(p, x) + 7 * y,
            -laplacian(v) + d(p, y) - 9 * x,
            d(u, x) + d(v, y),
        )

    problem = Problem(
        Disk(x=0, y=0, radius=1),
        [stokes],
        [Dirichlet(u=u, v=v), Dirichlet(p=p, on="circle", where=lambda x: x > 0.9)],
        exact={"u": u, "v": v, "p": p},
    )
    found = reference(problem, method="fem", cells=16)
    gone = errors(problem, found)
    assert gone["u"] < 1e-3
    assert gone["v"] < 1e-3
    assert gone["p"] < 2e-2


def test_heat_in_time():
    exact = lambda x, y, t: torch.exp(-2 * t) * torch.sin(x) * torch.sin(y)
    problem = Problem(
        Polygon(x=[0, 2, 0], y=[0, 0, 1]) * Time(t=(0, 0.05)),
        [lambda u, x, y, t: d(u, t) - laplacian(u)],
        [Initial(u=lambda x, y: torch.sin(x) * torch.sin(y)), Dirichlet(u=exact)],
    )
    meshes = Meshes(problem.domain.region)
    grid = meshes.grid(next(meshes.sizes()))
    values, method, _ = solve_evolution(problem, grid, np.array([0.0, 0.05]), 1e-8)
    expected = exact(*grid.points().values(), torch.tensor(0.05))
    assert values[0, :, -1] == pytest.approx(expected.numpy(), abs=1e-4)
    assert "Radau" in method


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (lambda: load("heat1d")[0], "no domain of the plane"),
        (lambda: load("drum2d")[0], "eigenvalues"),
        (
            lambda: Problem(
                Disk(x=0, y=0, radius=1),
                [lambda u, x, y: d(u, x, x) * d(u, y, y) - d(u, x, y) ** 2 - 1],
                [Dirichlet(u=0)],
            ),
            "not linear in its second derivatives",
        ),
    ],
)
def test_what_elements_do_not_take(problem, words):
    with pytest.raises(ReferenceUnavailable, match=words):
        reference(problem(), method="fem", cells=8)
    with pytest.raises(ReferenceUnavailable, match="did you mean"):
        reference(problem(), method="femm")


def test_a_run_is_judged_by_them(tmp_path):
    problem = Problem(
        Disk(x=0, y=0, radius=1), [lambda u, x, y: laplacian(u) + 1], [Dirichlet(u=0)]
    )
    tiny = {"network": KAN(width=(3,), grid=2), "schedule": "lm:2", "points": 100}
    found = solve(problem, **tiny, judge="fem", effort="quick", run_dir=tmp_path, pictures=False)
    assert found.reference.kind.startswith("quadratic finite elements")
    assert found.reference_errors["u"].distance > 0
    assert json.loads((tmp_path / "request.json").read_text())["judge"] == "fem"
    with pytest.raises(ReferenceUnavailable, match="did you mean 'fem'"):
        solve(problem, **tiny, judge="fm")
