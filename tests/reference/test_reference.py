"""The public interface: shapes, stated errors against true ones, and refusals."""

import manufactured
import numpy as np
import pytest
import torch
from manufactured import true_error

from kanpde import Box, Condition, Dirichlet, Initial, Neumann, Periodic, Problem, Time, d, laplacian
from kanpde.errors import ReferenceUnavailable
from kanpde.problem import load
from kanpde.reference import Reference, reference
from kanpde.reference.richardson import distance, estimate

NU = 0.01 / np.pi


def burgers(nu=NU):
    return Problem(
        Box(x=(-1, 1)) * Time(t=(0, 1)),
        [lambda u, x, t: d(u, t) + u * d(u, x) - nu * d(u, x, x)],
        [Dirichlet(u=0), Initial(u=lambda x: -torch.sin(torch.pi * x))],
    )


def cole_hopf(x, t, nu=NU):
    """Burgers' solution from -sin πx, by Gauss-Hermite quadrature of the Cole-Hopf integrals (Basdevant et al. 1986)."""
    if t == 0:
        return -np.sin(np.pi * x)
    z, w = np.polynomial.hermite.hermgauss(200)
    shifted = x[:, None] - np.sqrt(4 * nu * t) * z
    # Far terms underflow to zero, which is what they add.
    kernel = w * np.exp(np.maximum(-np.cos(np.pi * shifted) / (2 * np.pi * nu) - 1 / (2 * np.pi * nu), -700))
    return -(kernel * np.sin(np.pi * shifted)).sum(1) / kernel.sum(1)


def test_poisson():
    problem = load("poisson2d")[0]
    found = reference(problem)
    assert found.values["u"].shape == tuple(len(x) for x in found.coordinates.values()) == (129, 129)
    assert found.kind == "finite differences of order 4, 129 x 129 points, Newton"
    assert honest(problem, found)
    assert found.estimated_error < 1e-7


def test_burgers_resolves_the_front():
    found = reference(burgers())
    x, t = found.coordinates["x"], found.coordinates["t"]
    exact = np.stack([cole_hopf(x, s) for s in t], 1)
    true = np.linalg.norm(found.values["u"] - exact) / np.linalg.norm(exact)
    assert true < 1e-6
    assert true < 3 * found.estimated_error < 30 * true
    assert found.values["u"].shape == (len(x), 65)


@pytest.mark.parametrize("kind", manufactured.KINDS)
@pytest.mark.parametrize("name", ["reaction_1d", "heat", "wave"])
def test_stated_error(name, kind):
    problem = getattr(manufactured, name)(kind)
    assert honest(problem, reference(problem))


@pytest.mark.parametrize("name", ["cubic", "quasilinear", "coupled", "transport", "clamped_beam", "clamped_plate", "schroedinger", "heat_plane", "membrane"])
def test_stated_error_of_other_equations(name):
    problem = getattr(manufactured, name)()
    assert honest(problem, reference(problem))


def honest(problem, found):
    """The stated error is at most three times too small and ten times too large."""
    true = true_error(problem, found)
    return true / 3 < found.estimated_error < 10 * true


@pytest.mark.parametrize("cells", [64, 96, 128, 512])
@pytest.mark.parametrize("power", [1, 2, 3])
def test_stated_error_where_the_solution_is_not_smooth(power, cells):
    """The scheme's order is not reached, and the estimate knows: u = |x - c|^k (x - c).

    The errors scatter as the kink's place between two nodes changes from grid to grid, so a factor of 5 is left to them.
    """

    def u_(x):
        return (x - 0.4).abs() ** power * (x - 0.4)

    def load(x):
        return power * (power + 1) * (x - 0.4).abs() ** (power - 1) * (x - 0.4).sign()

    problem = Problem(Box(x=(0, 1)), [lambda u, x: d(u, x, x) - load(x)], [Dirichlet(u=u_)], exact={"u": u_})
    found = reference(problem, cells=cells)
    assert found.estimated_error > true_error(problem, found) / 5


@pytest.mark.parametrize("order", [2, 4])
def test_order_and_cells(order):
    problem = manufactured.reaction_1d("Dirichlet")
    found = reference(problem, order=order, cells=256)
    assert found.order == order
    assert len(found.coordinates["x"]) == 257
    assert honest(problem, found)


def test_cells_by_coordinate():
    found = reference(manufactured.plane("Periodic"), cells={"x": 32, "y": 16})
    assert found.values["u"].shape == (33, 17)
    assert found.values["u"][0] == pytest.approx(found.values["u"][-1], abs=0)


def test_points_are_in_the_order_of_the_values():
    problem = manufactured.membrane()
    found = reference(problem, cells=16)
    points = found.points()
    assert points.shape == (17 * 17 * 65, 3)
    assert points[65 * 17 + 3].tolist() == [found.coordinates["x"][1], 0.0, found.coordinates["t"][3]]
    assert true_error(problem, found) < 1e-3
    assert isinstance(found, Reference)


def test_a_grid_too_coarse_does_not_end_it():
    """A soliton of the Korteweg-de Vries equation, which the coarsest grids do not hold together."""
    soliton = lambda x, t: 2 / torch.cosh(x - 4 * t) ** 2
    kdv = Problem(
        Box(x=(-12, 12)) * Time(t=(0, 0.5)),
        [lambda u, x, t: d(u, t) + 6 * u * d(u, x) + d(u, x, x, x)],
        [Periodic("x"), Initial(u=lambda x: soliton(x, 0))],
        exact={"u": soliton},
    )
    found = reference(kdv)
    assert found.estimated_error < 1e-3
    assert true_error(kdv, found) < 3 * found.estimated_error


def test_richardson():
    fine = np.arange(9.0)[None]
    assert distance(fine, fine[:, ::2], 1) == 0
    assert estimate(15e-4, None, 4) == pytest.approx(1e-4)
    assert estimate(1e-4, 16e-4, 4) == pytest.approx(1e-4 / 15)
    assert estimate(1e-4, 8e-4, 4) == pytest.approx(1e-4 / 3)
    assert estimate(1e-4, 4e-4, 4) == pytest.approx(1e-4)
    assert estimate(2e-4, 1e-4, 4) == pytest.approx(2e-4)


def sine(x):
    return torch.sin(torch.pi * x)


LINE, STRIP = Box(x=(0, 1)), Box(x=(0, 1)) * Time(t=(0, 1))
START = Initial(u=sine)
REFUSALS = {
    "over-determined": (
        lambda: Problem(LINE, [lambda u, v, x: d(u, x) - v, lambda u, v, x: d(v, x) - 1], [Dirichlet(u=0)], unknowns=["u", "v"]),
        "2 conditions on x- and x\\+ together, but 'u' is of order 1",
    ),
    "singular": (lambda: Problem(LINE, [lambda u, x: d(u, x, x) - 1], [Dirichlet(u=0, on="x-")]), "singular"),
    "no solution": (lambda: Problem(LINE, [lambda u, x: d(u, x, x) + 10 * u.exp()], [Dirichlet(u=0)]), "Newton's method does not converge|singular|not finite"),
    "constraint": (lambda: Problem(STRIP, [lambda u, v, x, t: d(u, t) - v, lambda u, v, x, t: d(v, x, x) - u], [Dirichlet(v=0), START]), "no derivative in time"),
    "mixed": (lambda: Problem(STRIP, [lambda u, x, t: d(u, t) - d(u, x, x, t) - d(u, x)], [Dirichlet(u=0), START]), "mix time and space"),
    "not affine": (lambda: Problem(STRIP, [lambda u, x, t: d(u, t) ** 2 - d(u, x, x)], [Dirichlet(u=0), START]), "not affine"),
    "rate on a face": (
        lambda: Problem(STRIP, [lambda u, x, t: d(u, t, t) - d(u, x, x)], [Dirichlet(u=0, on="x-"), Condition(lambda u, x, t: d(u, t) + d(u, x), on="x+"), Initial(u=sine, u_t=0)]),
        "derivative in time",
    ),
    "blow-up": (lambda: Problem(STRIP, [lambda u, x, t: d(u, t) - d(u, x, x) - 50 * u**2], [Dirichlet(u=0), START]), "t = 0\\.0"),
    "no start": (lambda: Problem(STRIP, [lambda u, x, t: d(u, t, t) - d(u, x, x)], [Dirichlet(u=0), START]), "no initial velocity"),
    "no time": (lambda: Problem(STRIP, [lambda u, x, t: d(u, x, x) - t], [Dirichlet(u=0)]), "leave Time"),
    "four dimensions": (lambda: Problem(Box(a=(0, 1), b=(0, 1), c=(0, 1), e=(0, 1)), [lambda u, a, b, c, e: laplacian(u)], [Dirichlet(u=0)]), "at most 3"),
    "moving piece": (
        lambda: Problem(STRIP, [lambda u, x, t: d(u, t) - d(u, x, x)], [Dirichlet(u=0, on="x-"), Dirichlet(u=0, on="x+", where=lambda t: t < 0.5), START]),
        "changes with time",
    ),
}


@pytest.mark.filterwarnings("ignore::kanpde.errors.ProblemWarning")
@pytest.mark.parametrize("case", REFUSALS)
def test_refusal(case):
    """A typed error of one line that says why."""
    build, reason = REFUSALS[case]
    with pytest.raises(ReferenceUnavailable, match=reason) as caught:
        reference(build())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("options", "reason"), [({"order": 3}, "order=3"), ({"cells": 15}, "even numbers"), ({"cells": 4, "order": 4}, "nodes along")])
def test_refused_options(options, reason):
    with pytest.raises(ReferenceUnavailable, match=reason):
        reference(manufactured.reaction_1d("Dirichlet"), **options)


def test_order_six_in_time_is_refused():
    with pytest.raises(ReferenceUnavailable, match="order=6"):
        reference(manufactured.heat("Periodic"), order=6)


def test_periodic_pure_neumann_like_problem_is_pinned_by_its_equation():
    """u_xx - u = f determines u without any condition but the period."""
    problem = Problem(Box(x=(0, 1)), [lambda u, x: d(u, x, x) - u + 1], [Periodic("x")], exact={"u": 1.0})
    assert true_error(problem, reference(problem)) < 1e-12


def test_neumann_on_all_sides_with_a_reaction():
    problem = Problem(
        Box(x=(0, 1), y=(0, 1)),
        [lambda u, x, y: laplacian(u) - u + x**2 - 2],
        [Neumann(u=0, on=("x-", "y-", "y+")), Neumann(u=2, on="x+")],
        exact={"u": lambda x: x**2},
    )
    assert true_error(problem, reference(problem, cells=16)) < 1e-11
