"""Domains that are no box: observed order for every kind of condition, systems, evolutions,
corners, stated errors, refusals."""

import curved
import numpy as np
import pytest
import torch
from curved import DOMAINS, KINDS, error, slope, true_error
from orders import holds, observed

from kanpde import (
    Ball,
    Box,
    Condition,
    Dirichlet,
    Disk,
    Initial,
    Neumann,
    Polygon,
    Problem,
    Time,
    d,
    laplacian,
)
from kanpde.errors import ReferenceUnavailable
from kanpde.reference import crossings, embedded, fits, reference
from kanpde.reference import solution as solutions
from kanpde.reference.fits import fitted, monomials

SIZES = (40, 48, 60, 80)
"""Cells: enough grids, and far enough apart, that the place of the boundary in their cells evens
out."""


@pytest.mark.parametrize(
    ("domain", "kind"),
    [
        ("disk", "Dirichlet"),
        ("annulus", "Robin"),
        ("plate", "Neumann"),
        ("ellipse", "Robin"),
        ("polygon", "Dirichlet"),
        ("polygon", "Neumann"),
    ],
)
def test_order(domain, kind):
    """Conditions of every kind on circles, on edges and where faces meet, and a boundary that is
    turned."""
    holds(slope(curved.elliptic(DOMAINS[domain], kind), 2, SIZES), 2)


@pytest.mark.parametrize("domain", ["disk", "annulus"])
def test_order_four(domain):
    holds(slope(curved.elliptic(DOMAINS[domain], "Dirichlet"), 4, (52, 64, 76, 88)), 4)


def test_values_on_the_circle_alone(monkeypatch):
    """The value is given where the boundary is and nowhere else; so boundary points that are off by
    a sixteenth of a cell are seen."""
    dome = lambda x, y: (1 - x**2 - y**2) * torch.exp(x)
    problem = Problem(
        Disk(x=0, y=0, radius=1),
        [lambda u, x, y: laplacian(u) - laplacian(dome(x, y))],
        [Dirichlet(u=0)],
        exact={"u": dome},
    )
    holds(slope(problem, 2, SIZES), 2)
    monkeypatch.setattr(crossings, "HALVINGS", 3)
    assert slope(problem, 2, SIZES) < 1.5


def test_fits_of_a_lower_order_are_seen(monkeypatch):
    """They notice normal derivatives that are one order short."""
    exact = embedded.Embedded._fitted_rows
    monkeypatch.setattr(
        embedded.Embedded,
        "_fitted_rows",
        lambda self, index: exact(self, index) * (1 + 3 / self.cells[0]),
    )
    assert slope(curved.elliptic(DOMAINS["ellipse"], "Neumann"), 2, SIZES) < 1.5


def test_nonlinear():
    holds(slope(curved.radiating(), 2, SIZES), 2)


def test_elasticity():
    """A system whose conditions mix its unknowns."""
    holds(slope(curved.elasticity(), 2, SIZES), 2)


@pytest.mark.parametrize("kind", ["Dirichlet", "Neumann"])
def test_heat(kind):
    holds(slope(curved.cooling(kind), 2, (20, 24, 28, 34)), 2)


@pytest.mark.parametrize("order", [2, 4])
def test_heat_does_not_grow(order):
    """With the boundary eliminated, Δ with an insulated boundary has no eigenvalue to the right of
    zero, beyond rounding."""
    g = curved.grid(curved.cooling("Neumann"), 18, order)
    at, points = g.places[g.inner :], g.points()
    normal = at / np.linalg.norm(at, axis=1, keepdims=True)
    across = (
        normal[:, [0]] * g.derivative((1, 0)).toarray()[g.inner :]
        + normal[:, [1]] * g.derivative((0, 1)).toarray()[g.inner :]
    )
    close, rows = g.close_by
    K = (g.derivative((2, 0)) + g.derivative((0, 2))).toarray()
    free = np.setdiff1d(np.arange(g.inner), close)
    bound = np.concatenate([np.arange(g.inner, g.nodes), close])
    G = np.concatenate([across, rows.toarray()])
    reduced = K[np.ix_(free, free)] - K[np.ix_(free, bound)] @ np.linalg.solve(
        G[:, bound], G[:, free]
    )
    assert len(points["x"]) == g.nodes
    assert np.linalg.eigvals(reduced).real.max() < 1e-9 * np.abs(K).max()


@pytest.mark.parametrize("name", ["disk", "annulus", "plate", "polygon"])
def test_constants_are_exact(name):
    problem = curved.robin_and_neumann(DOMAINS[name])
    assert error(problem, 20, 4) < 1e-11


@pytest.mark.parametrize("shift", [1e-3, 1e-6, 1e-8, 1e-12])
def test_nodes_almost_on_the_boundary(shift):
    """A boundary that all but meets a line of the grid costs neither accuracy nor a sound matrix; a
    cubic is exact at order 4."""
    cubic = lambda x, y: x**3 - 3 * x * y**2 + x * y
    domain = Polygon(
        x=[0, 1, 1, 0.5 + shift, 0.5 + shift, 0], y=[0, 0, 1, 1, 0.5 + shift, 0.5 + shift]
    )
    problem = Problem(
        domain,
        [lambda u, x, y: laplacian(u) + d(u, x, y) - 1 + 6 * y],
        [Dirichlet(u=cubic)],
        exact={"u": cubic},
    )
    assert error(problem, 20, 4) < 1e-9


def test_faces_and_pieces_of_them():
    """Dirichlet on one half of a circle, Neumann on the other, other data on the sides of the box;
    points in corners are on both faces."""
    saddle = lambda x, y: x**2 - y**2
    domain = DOMAINS["plate"]
    hole = next(face for face in domain.faces if domain.faces[face].coordinate is None)

    def slope_of(x, y):
        r = ((x - 0.1) ** 2 + (y - 0.05) ** 2).sqrt()
        return (-2 * x * (x - 0.1) + 2 * y * (y - 0.05)) / r

    conditions = [
        Dirichlet(u=saddle, on=("x-", "x+", "y-")),
        Neumann(u=lambda y: -2 * y, on="y+"),
        Dirichlet(u=saddle, on=hole, where=lambda x: x < 0.1),
        Neumann(u=slope_of, on=hole, where=lambda x: x >= 0.1),
    ]
    assert (
        error(
            Problem(domain, [lambda u, x, y: laplacian(u)], conditions, exact={"u": saddle}), 24, 2
        )
        < 1e-11
    )


def test_corners_of_slanted_edges_belong_to_the_lower_derivative():
    """Corners that lie on lines of the grid: each has one row an unknown, the value's."""
    diamond = Polygon(x=[1, 0, -1, 0], y=[0, 1, 0, -1])
    linear = lambda x, y: 2 * x - y
    problem = Problem(
        diamond,
        [lambda u, x, y: laplacian(u)],
        [Neumann(u=1 / 2**0.5, on="edge1"), Dirichlet(u=linear, on=("edge2", "edge3", "edge4"))],
        exact={"u": linear},
    )
    assert error(problem, 16, 2) < 1e-11


def test_re_entrant_corner():
    """On even lines the error falls as h^(4/3); where they crowd to the corner it falls with nearly
    the scheme's order."""
    problem = Problem(
        curved.L,
        [lambda u, x, y: laplacian(u)],
        [Dirichlet(u=curved.corner)],
        exact={"u": curved.corner},
    )
    assert slope(problem, 4, (24, 32, 48)) < 1.5
    found = [reference(problem, cells=n) for n in (32, 64)]
    errors = [true_error(problem, r) for r in found]
    assert observed(errors, (1 / 32, 1 / 64), rounding=1e-12) > 3
    size = np.sqrt(np.nanmean(found[1].values["u"] ** 2))
    assert errors[1] * found[1].scales["u"] / size < 1e-5
    assert errors[1] < 3 * found[1].estimated_error


@pytest.mark.parametrize("kind", KINDS)
def test_stated_error(kind, monkeypatch):
    problem = curved.elliptic(DOMAINS["annulus"], kind)
    monkeypatch.setitem(solutions.WORK_BY_EFFORT, "quick", 0.7)
    found = reference(problem, effort="quick")
    assert "embedded boundary, order 4" in found.kind
    assert true_error(problem, found) < 3 * found.estimated_error
    assert found.estimated_error < 1e-4


def test_values_outside_are_nan():
    problem = curved.elliptic(DOMAINS["annulus"], "Dirichlet")
    found = reference(problem, cells=32, order=2)
    x, y = np.meshgrid(*found.coordinates.values(), indexing="ij")
    r = np.hypot(x, y)
    assert found.values["u"].shape == (33, 33)
    assert np.isnan(found.values["u"][(r > 1 + 1e-8) | (r < 0.4 - 1e-8)]).all()
    assert np.isfinite(found.values["u"][(r < 1 - 1e-8) & (r > 0.4 + 1e-8)]).all()


def test_evolution_has_a_value_at_all_times():
    found = reference(curved.cooling("Dirichlet"), cells=16, order=2)
    assert found.values["u"].shape == (17, 17, 65)
    assert true_error(curved.cooling("Dirichlet"), found) < 3 * found.estimated_error


POLYGONS = {
    "house": Polygon(x=[0, 1, 1, 0.5, 0], y=[0, 0, 1, 1.5, 1]),
    "re-entrant": Polygon(x=[-1, 1, 1, 0, 0, -1], y=[-1, -1, 0, 0, 1, 1]),
}


@pytest.mark.parametrize("name", POLYGONS)
def test_evolution_on_a_polygon(name, monkeypatch):
    """It fills a part of its bounding box, and may have a corner at which schemes of order 4
    grow."""
    exact = lambda x, y, t: torch.exp(-t) * torch.sin(x + 2 * y)
    cooling = lambda u, x, y, t: d(u, t) - laplacian(u) - 4 * exact(x, y, t)
    conditions = [Dirichlet(u=exact), Initial(u=lambda x, y: torch.sin(x + 2 * y))]
    problem = Problem(POLYGONS[name] * Time(t=(0, 0.05)), [cooling], conditions, exact={"u": exact})
    monkeypatch.setitem(solutions.WORK_BY_EFFORT, "quick", 1.2)
    found = reference(problem, effort="quick")
    assert true_error(problem, found) < 3 * found.estimated_error < 0.03
    assert ("re-entrant corner" in found.kind) == (name == "re-entrant")


def test_ball():
    """Three dimensions come from the same lines and fits."""
    wave = lambda x, y, z: torch.sin(x + 2 * y + 3 * z)
    problem = Problem(
        Ball(x=0, y=0, z=0, radius=1),
        [lambda u, x, y, z: laplacian(u) + 14 * wave(x, y, z)],
        [Dirichlet(u=wave)],
        exact={"u": wave},
    )
    holds(slope(problem, 2, (10, 12, 16)), 2)
    found = reference(problem, cells=16, order=2)
    assert true_error(problem, found) < 3 * found.estimated_error


def test_fits_are_exact_on_their_degree():
    rng = np.random.default_rng(0)
    points = rng.uniform(-3, 3, (200, 2))
    at = points[:5]
    everywhere = lambda at, near: np.ones(near.shape[:2], dtype=bool)
    values = points[:, 0] ** 3 - points[:, 0] * points[:, 1] + 2
    near, weights = fitted(
        at,
        points,
        at,
        points,
        np.ones_like(at),
        3,
        np.arange(5),
        everywhere,
        np.zeros(200, dtype=bool),
    )
    found = np.einsum("tmk,tk->tm", weights, values[near])
    expected = {
        (0, 0): values[:5],
        (1, 0): 3 * at[:, 0] ** 2 - at[:, 1],
        (0, 1): -at[:, 0],
        (2, 0): 6 * at[:, 0],
        (1, 1): -np.ones(5),
        (0, 2): np.zeros(5),
    }
    for index, known in expected.items():
        assert found[:, monomials(2, 3).index(index)] == pytest.approx(known, abs=1e-10)
    assert fits.SURPLUS > 1


REFUSALS = {
    "order 4": (
        lambda: Problem(
            DOMAINS["disk"],
            [lambda u, x, y: laplacian(laplacian(u))],
            [Dirichlet(u=0), Neumann(u=0)],
        ),
        "derivative of order 4",
    ),
    "two conditions": (
        lambda: Problem(
            DOMAINS["annulus"],
            [lambda u, x, y: laplacian(u)],
            [Dirichlet(u=0, on="inner"), Condition(lambda u, x: d(u, x), on="inner")],
        ),
        "2 conditions on inner, but 'u' is of order 2, which takes 1",
    ),
    "a pressure": (
        lambda: Problem(
            DOMAINS["disk"],
            [
                lambda u, v, p, x, y: laplacian(u) - d(p, x),
                lambda u, v, p, x, y: laplacian(v) - d(p, y),
                lambda u, v, p, x, y: d(u, x) + d(v, y),
            ],
            [Dirichlet(u=0, v=0), Dirichlet(p=0, where=lambda x: x > 1.0)],
        ),
        "'p' is a pressure",
    ),
    "a hole that no line meets": (
        lambda: Problem(
            Box(x=(0, 1), y=(0, 1)) - Disk(x=0.51, y=0.51, radius=1e-4, name="pin"),
            [lambda u, x, y: laplacian(u)],
            [Dirichlet(u=0)],
        ),
        "meets pin: it is too coarse",
    ),
}


@pytest.mark.filterwarnings("ignore::kanpde.errors.ProblemWarning")
@pytest.mark.parametrize("case", REFUSALS)
def test_refusal(case):
    build, reason = REFUSALS[case]
    with pytest.raises(ReferenceUnavailable, match=reason) as caught:
        reference(build(), cells=32)
    assert "\n" not in str(caught.value)
