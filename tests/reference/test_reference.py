"""The public interface: shapes, stated errors against true ones, and refusals."""

import manufactured
import numpy as np
import pytest
import torch
from manufactured import true_error

from kanpde import Box, Dirichlet, Initial, Neumann, Periodic, Problem, Time, d, laplacian
from kanpde.errors import ReferenceUnavailable
from kanpde.problem.file import load
from kanpde.reference import Reference, reference, solution
from kanpde.reference.richardson import distance, estimate, observed
from kanpde.reference.scheme import order_for


def test_poisson():
    problem = load("poisson2d")[0]
    found = reference(problem)
    assert found.values["u"].shape == tuple(len(x) for x in found.coordinates.values())
    assert found.kind.startswith("Chebyshev collocation, ")
    assert np.ptp(np.diff(found.coordinates["x"])) < 1e-14
    assert honest(problem, found)
    assert found.estimated_error < 1e-11


def test_burgers_resolves_the_front():
    """Judged by the gallery's exact solution, that of Cole and Hopf, until it has been steepest."""
    problem = load("burgers1d")[0].during(0, 0.6)
    found = reference(problem, cells=2048)
    assert found.values["u"].shape == (len(found.coordinates["x"]), 65) == (513, 65)
    assert found.estimated_error < 1e-6
    assert honest(problem, found)


@pytest.mark.parametrize("kind", manufactured.KINDS)
@pytest.mark.parametrize("name", ["reaction_1d", "heat", "wave"])
def test_stated_error(name, kind):
    problem = getattr(manufactured, name)(kind)
    assert honest(problem, reference(problem))


@pytest.mark.parametrize(
    "name",
    [
        "cubic",
        "quasilinear",
        "coupled",
        "transport",
        "clamped_beam",
        "clamped_plate",
        "schroedinger",
        "heat_plane",
        "membrane",
        "radiating",
    ],
)
def test_stated_error_of_other_equations(name):
    problem = getattr(manufactured, name)()
    found = reference(problem)
    assert honest(problem, found)
    assert found.estimated_error < 1e-9


@pytest.mark.parametrize("kind", ["Dirichlet", "Periodic"])
def test_stated_error_of_advection(kind):
    problem = manufactured.advection(kind)
    found = reference(problem)
    assert honest(problem, found)
    assert order_for(problem)[0] == (6 if kind == "Dirichlet" else 12)


def honest(problem, found):
    """The stated error is at most three times too small; it may be too large, since at 1e-12 it is
    rounding's bound that is stated."""
    return true_error(problem, found) < 3 * found.estimated_error


@pytest.mark.parametrize(
    ("name", "cells", "order"),
    [
        ("reaction_1d", 48, 6),
        ("reaction_1d", 64, 4),
        ("heat", 48, 6),
        ("wave", 64, 4),
        ("plane", 32, 6),
    ],
)
def test_stated_error_where_truncation_dominates(name, cells, order):
    """Then it is neither three times too small nor ten times too large."""
    problem = getattr(manufactured, name)("Dirichlet")
    found = reference(problem, cells=cells, order=order)
    true = true_error(problem, found)
    assert true / 3 < found.estimated_error < 10 * true


@pytest.mark.parametrize("cells", [64, 96, 128, 512])
@pytest.mark.parametrize("power", [1, 2, 3])
def test_stated_error_where_the_solution_is_not_smooth(power, cells):
    """The scheme's order is not reached, and the estimate knows: u = |x - c|^k (x - c).

    The errors scatter as the kink's place between two nodes changes from grid to grid, so a factor
    of 5 is left to them.
    """

    def u_(x):
        return (x - 0.4).abs() ** power * (x - 0.4)

    def load(x):
        return power * (power + 1) * (x - 0.4).abs() ** (power - 1) * (x - 0.4).sign()

    problem = Problem(
        Box(x=(0, 1)), [lambda u, x: d(u, x, x) - load(x)], [Dirichlet(u=u_)], exact={"u": u_}
    )
    found = reference(problem, cells=cells)
    assert found.estimated_error > true_error(problem, found) / 5


@pytest.mark.parametrize("order", [2, 4, 8])
def test_order_and_cells(order):
    problem = manufactured.reaction_1d("Dirichlet")
    found = reference(problem, order=order, cells=64)
    assert found.order == order
    assert len(found.coordinates["x"]) == 65
    assert honest(problem, found)


def test_cells_by_coordinate():
    found = reference(manufactured.plane("Periodic"), cells={"x": 32, "y": 16}, order=4)
    assert found.values["u"].shape == (33, 17)
    assert found.values["u"][0] == pytest.approx(found.values["u"][-1], abs=0)


def test_points_are_in_the_order_of_the_values():
    problem = manufactured.membrane()
    found = reference(problem, cells=16, order=4)
    points = found.points()
    assert points.shape == (17 * 17 * 65, 3)
    assert points[65 * 17 + 3].tolist() == [
        found.coordinates["x"][1],
        0.0,
        found.coordinates["t"][3],
    ]
    assert true_error(problem, found) < 1e-3
    assert isinstance(found, Reference)


def test_a_grid_too_coarse_does_not_end_it():
    """A soliton of the Korteweg-de Vries equation, which the coarsest grids do not hold
    together."""
    soliton = lambda x, t: 2 / torch.cosh(x - 4 * t) ** 2
    kdv = Problem(
        Box(x=(-12, 12)) * Time(t=(0, 0.5)),
        [lambda u, x, t: d(u, t) + 6 * u * d(u, x) + d(u, x, x, x)],
        [Periodic("x"), Initial(u=lambda x: soliton(x, 0))],
        exact={"u": soliton},
    )
    found = reference(kdv, effort="quick")
    assert found.estimated_error < 1e-8
    assert true_error(kdv, found) < 1e-8  # the tails at ±12 are 3e-10


def test_richardson():
    fine = np.arange(8.0).reshape(2, 4)
    assert distance(fine, fine).tolist() == [0, 0]
    assert distance(fine, 1.1 * fine) == pytest.approx(0.1 * np.sqrt([3.5, 31.5]))
    assert estimate(15e-4, 2, 4, 4.0) == pytest.approx(1e-4)
    assert estimate(3e-4, 2, 4) == pytest.approx(1e-4)
    assert estimate(1e-4, 2, 4, 3.0) == pytest.approx(1e-4 / 3)
    assert estimate(2e-4, 2, 4, -1.0) == pytest.approx(2e-4)


@pytest.mark.parametrize(
    ("cells", "order"), [((16, 32, 64), 4.0), ((16, 24, 32), 2.0), ((24, 32, 48), 7.3)]
)
def test_observed_order(cells, order):
    errors = [n**-order for n in cells]
    assert observed(errors[1] - errors[2], errors[0] - errors[1], cells) == pytest.approx(order)


def test_no_order_is_observed_where_distances_do_not_fall():
    assert observed(1.0, 1.0, (16, 32, 64)) < 1e-6
    assert observed(1.0, 0.5, (16, 24, 32)) < 1e-6


def sine(x):
    return torch.sin(torch.pi * x)


LINE, STRIP = Box(x=(0, 1)), Box(x=(0, 1)) * Time(t=(0, 1))
START = Initial(u=sine)
REFUSALS = {
    "over-determined": (
        lambda: Problem(
            STRIP,
            [lambda u, x, t: d(u, t) + d(u, x)],
            [Dirichlet(u=0, on="x+"), START],
        ),
        "1 condition on x\\+ .* where 0 waves of the system come in",
    ),
    "singular": (
        lambda: Problem(LINE, [lambda u, x: d(u, x, x) - 1], [Dirichlet(u=0, on="x-")]),
        "singular",
    ),
    "no solution": (
        lambda: Problem(LINE, [lambda u, x: d(u, x, x) + 10 * u.exp()], [Dirichlet(u=0)]),
        "Newton's method finds no solution",
    ),
    "not affine": (
        lambda: Problem(
            STRIP, [lambda u, x, t: d(u, t) ** 2 - d(u, x, x)], [Dirichlet(u=0), START]
        ),
        "not affine",
    ),
    "blow-up": (
        lambda: Problem(
            STRIP, [lambda u, x, t: d(u, t) - d(u, x, x) - 50 * u**2], [Dirichlet(u=0), START]
        ),
        "t = 0\\.0",
    ),
    "blow-up of the reaction": (
        lambda: Problem(
            Box(x=(0, 1)) * Time(t=(0, 2)), [lambda u, x, t: d(u, t) - u**2], [Initial(u=1)]
        ),
        "at t = 1 .*grown by .*blows up",
    ),
    "ill-posed": (
        lambda: Problem(
            STRIP,
            [lambda u, x, t: d(u, t) + d(u, x, x)],
            [Dirichlet(u=0), Initial(u=lambda x: sine(x) * x)],
        ),
        " at t = .*ill-posed",
    ),
    "no start": (
        lambda: Problem(STRIP, [lambda u, x, t: d(u, t, t) - d(u, x, x)], [Dirichlet(u=0), START]),
        "no initial velocity",
    ),
    "no time": (
        lambda: Problem(STRIP, [lambda u, x, t: d(u, x, x) - t], [Dirichlet(u=0)]),
        "leave Time",
    ),
    "four dimensions": (
        lambda: Problem(
            Box(a=(0, 1), b=(0, 1), c=(0, 1), e=(0, 1)),
            [lambda u, a, b, c, e: laplacian(u)],
            [Dirichlet(u=0)],
        ),
        "at most 3, more have",
    ),
    "moving piece": (
        lambda: Problem(
            STRIP,
            [lambda u, x, t: d(u, t) - d(u, x, x)],
            [Dirichlet(u=0, on="x-"), Dirichlet(u=0, on="x+", where=lambda t: t < 0.5), START],
        ),
        "changes with time",
    ),
}


@pytest.mark.filterwarnings("ignore::kanpde.errors.ProblemWarning")
@pytest.mark.parametrize("case", REFUSALS)
def test_refusal(case, monkeypatch):
    """A typed error of one line that says why."""
    build, reason = REFUSALS[case]
    monkeypatch.setitem(solution.WORK_BY_EFFORT, "default", 3.0)
    monkeypatch.setitem(solution.WORK_BY_EFFORT, "quick", 1.0)
    with pytest.raises(ReferenceUnavailable, match=reason) as caught:
        reference(build(), effort="default" if case == "ill-posed" else "quick")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"order": 3}, "order=3"),
        ({"effort": "recrod"}, "effort='recrod'.*did you mean 'record'"),
        ({"cells": 15}, "even numbers"),
        ({"cells": 4, "order": 4}, "nodes along"),
    ],
)
def test_refused_options(options, reason):
    with pytest.raises(ReferenceUnavailable, match=reason):
        reference(manufactured.reaction_1d("Dirichlet"), **options)


def test_the_work_is_counted_and_not_timed(monkeypatch):
    """A machine on which everything takes ten times as long gives the same reference."""
    problem = manufactured.radiating()
    monkeypatch.setitem(solution.WORK_BY_EFFORT, "quick", 0.5)
    found = reference(problem, effort="quick")
    clock = iter(range(0, 10**9, 1000))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    again = reference(problem, effort="quick")
    assert again.kind == found.kind
    assert (again.values["u"] == found.values["u"]).all()


def test_more_effort_takes_more_work(monkeypatch):
    """Multiscale in the plane: each effort stops at a finer grid and a smaller error."""
    for effort, work in solution.WORK_BY_EFFORT.items():
        monkeypatch.setitem(solution.WORK_BY_EFFORT, effort, work / 4)
    problem = manufactured.plane_of_waves()
    quick, default = (
        reference(problem, effort=effort, order=12) for effort in ("quick", "default")
    )
    assert len(default.coordinates["x"]) > len(quick.coordinates["x"])
    assert default.estimated_error < quick.estimated_error / 10
    assert honest(problem, quick)
    assert honest(problem, default)


def test_a_kink_lowers_the_stated_order():
    """Allen and Cahn's equation from x² cos πx, which has a kink where it wraps round."""
    start = lambda x: x**2 * torch.cos(torch.pi * x)
    kinked = Problem(
        Box(x=(-1, 1)) * Time(t=(0, 0.05)),
        [lambda u, x, t: d(u, t) - 1e-4 * d(u, x, x) - 5 * (u - u**3)],
        [Periodic("x"), Initial(u=start)],
    )
    coarse, fine = (reference(kinked, cells=n) for n in (128, 512))
    true = np.linalg.norm(coarse.values["u"] - fine.values["u"][::4]) / np.linalg.norm(
        coarse.values["u"]
    )
    assert true / 5 < coarse.estimated_error < 30 * true


def test_periodic_pure_neumann_like_problem_is_pinned_by_its_equation():
    """u_xx - u = f determines u without any condition but the period."""
    problem = Problem(
        Box(x=(0, 1)), [lambda u, x: d(u, x, x) - u + 1], [Periodic("x")], exact={"u": 1.0}
    )
    assert true_error(problem, reference(problem)) < 1e-12


def test_neumann_on_all_sides_with_a_reaction():
    problem = Problem(
        Box(x=(0, 1), y=(0, 1)),
        [lambda u, x, y: laplacian(u) - u + x**2 - 2],
        [Neumann(u=0, on=("x-", "y-", "y+")), Neumann(u=2, on="x+")],
        exact={"u": lambda x: x**2},
    )
    assert true_error(problem, reference(problem, cells=16, order=4)) < 1e-11
