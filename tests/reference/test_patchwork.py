"""Pieces: observed order within each and across interfaces, stated errors against closed forms, and
what is refused."""

import numpy as np
import pieced
import pytest
import torch
from orders import holds, observed
from pieced import error, slope, true_error

from kanpde import (
    Box,
    Dirichlet,
    Interface,
    Pieces,
    Problem,
    Robin,
    d,
    laplacian,
)
from kanpde.errors import ReferenceUnavailable
from kanpde.reference import reference
from kanpde.reference.evolution import solve_evolution
from kanpde.reference.evolving import in_time
from kanpde.reference.ladder import grid_of
from kanpde.reference.patchwork import planes
from kanpde.reference.solution import WORK_BY_EFFORT


@pytest.mark.parametrize(
    ("name", "order", "sizes"),
    [
        ("layers", 2, (32, 64, 128)),
        ("layers", 4, (32, 64)),
        ("plane", 2, (48, 72)),
        ("plane", 4, (64, 96)),
        ("tee", 2, (32, 48)),
        ("four", 2, (48, 72)),
        ("chain", 2, (64, 128, 256)),
        ("chain", 4, (128, 256)),
        ("beam", 2, (64, 128)),
    ],
)
def test_order_in_boxes(name, order, sizes):
    holds(slope(getattr(pieced, name)(), order, sizes), order)


def test_order_of_embedded_interfaces():
    holds(slope(pieced.jumping(), 2, (40, 48, 60, 80, 96)), 2)


WALLS = {
    "wall": (pieced.wall, {}, 1e-9),
    "wall in units of its own": (pieced.wall, {"k": (1.0, 4.0), "start": 0.0, "flux": 1.0}, 1e-12),
    "layers": (pieced.layers, {}, 1e-7),
    "layers without an offset": (pieced.layers, {"offset": 0.0}, 1e-9),
    "contact": (pieced.contact, {}, 1e-11),
    "radiation": (pieced.radiation, {}, 1e-11),
    "chain": (pieced.chain, {}, 1e-9),
    "beam": (pieced.beam, {}, 1e-4),
    "plane": (pieced.plane, {}, 1e-12),
    "tee": (pieced.tee, {}, 1e-11),
    "four": (pieced.four, {}, 1e-11),
    "apart": (pieced.apart, {}, 1e-11),
}


@pytest.mark.parametrize("name", WALLS)
def test_stated_error(name):
    build, given, most = WALLS[name]
    problem = build(**given)
    found = reference(problem)
    assert true_error(problem, found) < 10 * found.estimated_error
    assert found.estimated_error < most
    assert f"in {len(problem.domain.regions)} pieces" in found.kind


@pytest.mark.parametrize(("k", "offset"), [(10.0, 0.0), (290.0, 300.0), (0.02, 0.0)])
def test_stated_error_of_a_disc(k, offset, monkeypatch):
    problem = pieced.disc(k, offset)
    monkeypatch.setitem(WORK_BY_EFFORT, "quick", 1.0)
    found = reference(problem, effort="quick")
    assert true_error(problem, found) < 10 * found.estimated_error
    assert found.estimated_error < 1e-4


@pytest.mark.parametrize(
    ("problem", "most"),
    [
        (pieced.rods(), 1e-11),
        (pieced.rods(300.0), 1e-8),
        (pieced.string(), 1e-10),
        (pieced.joint(), 1e-9),
    ],
    ids=["rods", "rods at 300", "string", "joint"],
)
def test_pieces_with_time_among_their_coordinates_are_marched(problem, most):
    found = reference(problem, effort="quick")
    assert "Radau IIA" in found.kind
    assert true_error(problem, found) < 10 * found.estimated_error
    assert found.estimated_error < most


def test_a_wall_that_cools_in_units_of_its_own_against_finite_volumes():
    """Two grids of volumes, extrapolated to their order."""
    found = reference(pieced.insulated(), effort="quick")
    x, t = found.coordinates["x"], found.coordinates["t"]
    grids = []
    for cells in (64, 128):
        nodes, values = pieced.by_volumes(cells, t[1:])
        every = (len(nodes) - 1) // (len(x) - 1)
        assert np.allclose(nodes[::every], x, rtol=0, atol=1e-14)
        grids.append(values[::every])
    truth = (4 * grids[1] - grids[0]) / 3
    gap = np.abs(found.values["u"][:, 1:] - truth)[:, 1:].max()
    assert found.estimated_error < 1e-8
    assert gap < 1e-4
    assert np.ptp(truth) > 19


def test_order_in_space_of_evolutions():
    rods = pieced.rods()
    problem = in_time(rods)
    times, errors = np.linspace(0, 0.3, 3), []
    for cells in (16, 32, 64):
        grid = grid_of(problem, (cells,), 2)
        values = solve_evolution(problem, grid, times, 1e-10)[0][0, :, -1]
        at = {**grid.points(), "t": torch.full((grid.nodes,), 0.3, dtype=torch.float64)}
        known = np.concatenate(
            [
                rods.exact_copies[f"u_{piece}"]({x: v[grid.own(piece)] for x, v in at.items()})
                for piece in grid.patches
            ]
        )
        errors.append(np.linalg.norm(values - known) / np.linalg.norm(known))
    holds(observed(errors, (1 / 16, 1 / 32, 1 / 64), rounding=1e-12), 2)


def test_what_has_conditions_at_both_ends_is_no_evolution():
    """Laplace's equation in a plane whose second coordinate is called t."""
    known = lambda x, t: torch.sin(x) * torch.exp(t)
    domain = Pieces(a=Box(x=(0, 1), t=(0, 1)), b=Box(x=(1, 2), t=(0, 1)))
    problem = Problem(
        domain,
        lambda u, x, t: d(u, x, x) + d(u, t, t),
        [Dirichlet(u=known), Interface(u=0, flux={"a": 1.0, "b": 1.0})],
        exact={"u": {"a": known, "b": known}},
    )
    found = reference(problem)
    assert "Newton" in found.kind
    assert true_error(problem, found) < 10 * found.estimated_error < 1e-11


def test_a_value_at_an_interface_is_that_of_the_first_piece():
    problem = pieced.contact()
    found = reference(problem)
    x, u = found.coordinates["x"], found.values["u"]
    assert u[x == 1.0] == pytest.approx(1 / 1.6, rel=1e-10)
    assert u[np.flatnonzero(x == 1.0) + 1] < 0.8


def test_thin_pieces_have_nodes_of_their_own():
    domain = Pieces(a=Box(x=(0, 1)), film=Box(x=(1, 1.0001)), b=Box(x=(1.0001, 2)))
    assert [len(x) for x in planes(domain)] == [4]
    k = {"a": 1.0, "film": 1e-4, "b": 1.0}
    flux = 1 / (1 + 1 + 0.9999)
    problem = Problem(
        domain,
        lambda u, x: d(u, x, x),
        [Dirichlet(u=0, on="x-"), Dirichlet(u=1, on="x+"), Interface(u=0, flux=k)],
        exact={
            "u": {
                "a": lambda x: flux * x,
                "film": lambda x: flux + flux * (x - 1) / 1e-4,
                "b": lambda x: 1 - flux * (2 - x),
            }
        },
    )
    found = reference(problem)
    inside = (found.coordinates["x"] > 1) & (found.coordinates["x"] < 1.0001)
    assert inside.sum() > 10
    assert true_error(problem, found) < 10 * found.estimated_error < 1e-7


def test_four_pieces_meet_in_a_point():
    """As many rows as values there, none of which follows from the others."""
    problem = pieced.four()
    grid = grid_of(problem, (8, 8), 4)
    middle = np.flatnonzero((grid.places == 1).all(1))
    assert len(middle) == 4
    assert len(set(grid.spot[middle])) == 1
    assert error(problem, 8, 4) < 1e-4


def squares(k, f):
    """Squares of side 1 side by side, with sources f, and Robin's condition outside."""
    n = len(k)
    names = {(i, j): f"p{i}{j}" for i in range(n) for j in range(n)}
    domain = Pieces(**{p: Box(x=(i, i + 1), y=(j, j + 1)) for (i, j), p in names.items()})
    outer = {face: names[int(face[1]), int(face[2])] for face in domain.faces if "|" not in face}
    factor = {p: float(k[i, j]) for (i, j), p in names.items()}
    return Problem(
        domain,
        {
            p: lambda u, x, y, k=factor[p], f=float(f[i, j]): k * laplacian(u) + f
            for (i, j), p in names.items()
        },
        [
            *(Robin(u=0, b=factor[p], on=face) for face, p in outer.items()),
            Interface(u=0, flux=factor),
        ],
    )


def by_finite_elements(k, f, lines):
    """The same by quadratic triangles on given lines: their vertices, [2, points], and values."""
    skfem = pytest.importorskip("skfem")
    from skfem.helpers import dot, grad

    mesh = skfem.MeshTri.init_tensor(lines, lines)
    basis = skfem.Basis(mesh, skfem.ElementTriP2(), intorder=4)

    def of(table, x):
        return table[tuple(np.clip(x.astype(int), 0, len(table) - 1))]

    A = skfem.BilinearForm(lambda u, v, w: of(k, w.x) * dot(grad(u), grad(v))).assemble(basis)
    B = skfem.BilinearForm(lambda u, v, w: u * v).assemble(basis.boundary())
    b = skfem.LinearForm(lambda v, w: of(f, w.x) * v).assemble(basis)
    return mesh.p, skfem.solve(A + B, b)[basis.nodal_dofs[0]]


def test_squares_of_many_materials_against_finite_elements(monkeypatch):
    """Round points where four materials meet a solution is singular."""
    rng = np.random.default_rng(7)
    k, f = 10.0 ** rng.uniform(-1, 1, (2, 2)), rng.uniform(-1, 1, (2, 2))
    monkeypatch.setitem(WORK_BY_EFFORT, "quick", 1.0)
    found = reference(squares(k, f), effort="quick")
    x = found.coordinates["x"]
    close = np.geomspace(1e-6, 0.02, 8)
    more = np.concatenate([close, 1 - close, 1 + close, 2 - close])
    lines = np.unique(np.concatenate([x, more]))
    at, values = by_finite_elements(k, f, lines)
    place = np.stack([np.searchsorted(x, c).clip(max=len(x) - 1) for c in at])
    met = (x[place] == at).all(0)
    known = found.values["u"][tuple(place[:, met])]
    gap = np.sqrt(np.mean((values[met] - known) ** 2)) / found.scales["u"]
    assert met.sum() == found.values["u"].size
    assert gap < 10 * found.estimated_error
    assert gap < 1e-3


def test_more_conditions_than_values_at_an_interface_are_refused():
    """The counts of the whole problem fit."""
    problem = Problem(
        Pieces(a=Box(x=(0, 1)), b=Box(x=(1, 2))),
        lambda u, x: d(u, x, x) - u,
        [
            Dirichlet(u=0, on="x-"),
            Interface(lambda u_a, u_b: (u_a - u_b, d(u_a, "x") - d(u_b, "x"), u_a - 1)),
        ],
        warn=False,
    )
    with pytest.raises(
        ReferenceUnavailable, match=r"3 conditions on a\|b, which are more"
    ) as raised:
        reference(problem)
    assert "\n" not in str(raised.value)
