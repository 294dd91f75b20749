"""Tables as functions, against SciPy's splines and closed forms."""

import itertools

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline

from kanpde import Box, Dirichlet, Initial, Neumann, Problem, Robin, Table, Time, d, laplacian
from kanpde.errors import DataError
from kanpde.problem.switches import switches
from kanpde.reference import reference

RNG = np.random.default_rng(0)
HOURS = np.linspace(0, 10, 21) + RNG.uniform(-0.1, 0.1, 21)
VALUES = np.cos(HOURS) + 0.3 * np.sin(3 * HOURS)
GRID = np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 2, 6) ** 2, indexing="ij")


def weather(kind="spline"):
    return Table({"hours": HOURS, "outdoor": VALUES}, x="hours", y="outdoor", kind=kind)


def differentiated(table, t, order):
    t = torch.from_numpy(t).requires_grad_()
    found = table(t)
    for _ in range(order):
        (found,) = torch.autograd.grad(found.sum(), t, create_graph=True)
    return found.detach().numpy()


@pytest.mark.parametrize("order", range(4))
def test_a_spline_and_its_derivatives(order):
    t = np.linspace(HOURS[0], HOURS[-1], 201)
    expected = CubicSpline(HOURS, VALUES)(t, order)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(differentiated(weather(), t, order), expected, atol=1e-10 * scale)


def test_straight_lines():
    t = np.linspace(HOURS[0], HOURS[-1], 201)
    found = differentiated(weather("linear"), t, 0)
    np.testing.assert_allclose(found, np.interp(t, HOURS, VALUES), atol=1e-14)


def test_a_grid_of_two_coordinates_in_any_order_of_rows():
    """What is a cubic in each coordinate is found everywhere."""
    x, y = (part.ravel() for part in GRID)
    rows = RNG.permutation(len(x))

    def k(x, y):
        return 1 + x**3 * y - 2 * y**3

    columns = {"x": x[rows], "y": y[rows], "k": k(x, y)[rows]}
    table = Table(columns, x=("x", "y"), y="k")
    at = torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    at = (at * torch.tensor([1.0, 4.0])).requires_grad_()
    a, b = at.unbind(1)
    torch.testing.assert_close(table(a, b), k(a, b), rtol=0, atol=1e-12)
    (slope,) = torch.autograd.grad(table(a, b).sum(), at)
    expected = torch.stack([3 * a**2 * b, a**3 - 6 * b**2], 1)
    torch.testing.assert_close(slope, expected, rtol=0, atol=1e-11)


def test_a_table_that_repeats():
    hours = np.arange(24.0)
    table = Table({"h": hours, "v": np.cos(2 * np.pi * hours / 24)}, x="h", y="v", period=24.0)
    t = torch.linspace(-30, 60, 91, dtype=torch.float64)
    assert (table(t) - torch.cos(2 * torch.pi * t / 24)).abs().max() < 2e-5
    assert float((table(t + 24) - table(t)).abs().max()) < 1e-12


def test_an_equation_that_is_driven_by_a_table():
    """Against SciPy's integrator and spline."""
    table, spline = weather(), CubicSpline(HOURS, VALUES)
    low, high = HOURS[0], HOURS[-1]
    problem = Problem(
        Time(t=(low, high)), lambda T, t: d(T, t) + (T - table(t)) / 5, [Initial(T=1)]
    )
    found = reference(problem)
    state, judged = np.ones(1), {low: 1.0}
    for begin, end in itertools.pairwise(HOURS):
        judge = solve_ivp(
            lambda t, T: (spline(t) - T) / 5, (begin, end), state, "DOP853", rtol=1e-13, atol=1e-13
        )
        state, judged[end] = judge.y[:, -1], float(judge.y[0, -1])
    there = torch.tensor(list(judged))
    between = CubicSpline(found.coordinates["t"], found.values["T"])
    np.testing.assert_allclose(between(there), list(judged.values()), atol=1e-7)
    assert found.values["T"][-1] == pytest.approx(judged[high], abs=1e-11)
    assert switches(problem, "t") == pytest.approx(tuple(HOURS[1:-1]))


def test_a_wall_whose_surroundings_are_a_table():
    """The series of its eigenfunctions is integrated by SciPy: T = 0 at one side, and the table at
    the other, in hours where the problem is in seconds."""
    table, spline = weather(), CubicSpline(HOURS, VALUES)
    low, high = 3600 * HOURS[0], 3600 * HOURS[6]
    problem = Problem(
        Box(x=(0, 0.1)) * Time(t=(low, high)),
        lambda T, x, t: d(T, t) - 1e-6 * d(T, x, x),
        [
            Dirichlet(T=0, on="x-"),
            Dirichlet(T=lambda t: table(t / 3600), on="x+"),
            Initial(T=lambda x: float(VALUES[0]) * x / 0.1),
        ],
    )
    found = reference(problem)
    x, t = found.coordinates["x"], found.coordinates["t"]
    n = np.arange(1, 200)
    decay = 1e-6 * (n * np.pi / 0.1) ** 2

    def rates(t, c):
        return -decay * c + 2 * (-1.0) ** n / (n * np.pi) * spline(t / 3600, 1) / 3600

    c = solve_ivp(rates, (low, high), np.zeros(len(n)), "BDF", t, rtol=1e-9, atol=1e-12).y
    truth = np.outer(x / 0.1, spline(t / 3600)) + np.sin(np.outer(x, n) * np.pi / 0.1) @ c
    assert np.abs(found.values["T"] - truth).max() < 1e-5  # of which most is the series cut off
    assert found.estimated_error < 1e-9


def test_nodes_in_another_unit_and_of_a_period_are_places_where_solutions_are_less_smooth():
    """In seconds where the table is in hours; and as often as a table repeats itself."""
    daily = Table({"h": [0.0, 6.0, 12.0, 18.0], "v": [0.0, 1, 0, -1]}, x="h", y="v", period=24.0)
    days = (24 * 3600.0, 72 * 3600.0)

    def cooled(condition):
        conditions = [condition, Neumann(T=0, on="x+"), Initial(T=0)]
        box = Box(x=(0, 1)) * Time(t=days)
        return Problem(box, lambda T, x, t: d(T, t) - d(T, x, x), conditions)

    places = tuple(3600.0 * h for h in range(30, 72, 6))
    for condition in (
        Dirichlet(T=lambda t: daily(t / 3600), on="x-"),
        Robin(T=lambda t: 2 * daily(t / 3600), a=2.0, b=1.0, on="x-"),
    ):
        assert switches(cooled(condition), "t") == pytest.approx(places)
        assert switches(cooled(condition), "x") == ()


def test_data_that_are_not_finite_where_tables_are_looked_for_stop_nobody():
    """1 / (y - 1/2), of which the middle of a face is no point that anybody asks for."""
    box = Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 1))
    held = Dirichlet(u=lambda y: 1 / (y - 0.5), on="x-", where=lambda y: y > 0.7)
    conditions = [held, Dirichlet(u=0, on="x+"), Neumann(u=0, on=("y-", "y+")), Initial(u=0)]
    problem = Problem(box, lambda u, x, y, t: d(u, t) - laplacian(u), conditions, warn=False)
    assert switches(problem, "t") == ()


WRONG = {
    "twice": (
        lambda: Table({"a": [1, 2, 2, 3], "v": [1, 2, 3, 4]}, x="a", y="v"),
        "a = 2 is there 2",
    ),
    "few": (
        lambda: Table({"a": [1, 2], "v": [1, 2]}, x="a", y="v"),
        "has 2 places; a spline takes",
    ),
    "holes": (
        lambda: Table({"a": [1, 2, 3], "b": [1, 1, 2], "v": [1, 2, 3]}, x=("a", "b"), y="v"),
        "3 rows are no grid of 3 x 2 places: a = 1, b = 2 is missing",
    ),
    "column": (
        lambda: Table({"hours": [1, 2], "v": [1, 2]}, x="hour", y="v"),
        "no column 'hour'; it has hours, v; did you mean 'hours'",
    ),
    "kind": (lambda: weather("cubic"), "expected spline or linear|expected spline, linear"),
    "file": (lambda: Table("nothing.csv", x="a", y="v"), "nothing.csv: no such file"),
    "outside": (
        lambda: weather()(torch.tensor([11.0])),
        "it is asked for hours = 11; it reaches from 0.0",
    ),
    "coordinates": (
        lambda: weather()(torch.ones(2), torch.ones(2)),
        "got 2 coordinates; expected 1",
    ),
    "period": (
        lambda: Table({"a": [0, 1, 2, 3], "v": [0, 1, 1, 0]}, x="a", y="v", period=2.0),
        "it is 3 wide, more than period=2",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_table_is_said_in_one_line(case):
    build, said = WRONG[case]
    with pytest.raises(DataError, match=said) as found:
        build()
    assert "\n" not in str(found.value)
