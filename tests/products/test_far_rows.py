"""Rows with integrals and values at other places: their derivatives by the coefficients are those
of differences, however they are taken."""

import numpy as np
import pytest
from torch import cos, exp

from kanpde import Box, Initial, Neumann, Problem, Time, d, integral, mean
from kanpde.products.axes import Modes, SplineAxis
from kanpde.products.far import FarRows
from kanpde.products.held import held
from kanpde.products.newton import least_squares
from kanpde.products.normal import normal
from kanpde.products.posed import initial_values


def on_a_line():
    def both(u, v, x):
        memory = integral(lambda s: exp(x - s) * u(s) ** 2 * v(s), s=(0, x))
        return d(u, x) + memory + u(x=0.5) * v, d(v, x) - mean(d(u, x)) * v

    return Problem(Box(x=(0, 1)), both, warn=False), [SplineAxis(np.linspace(0, 1, 4), 3)], {}


def in_time():
    def heat(u, x, t):
        kernel = integral(lambda s: cos(x - s) * u(s) * u, s=(0, 1))
        return d(u, t) - d(u, x, x) - kernel + integral(u**2, x=(0, x)) - mean(d(u, t))

    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 1)),
        heat,
        [Neumann(u=0), Initial(u=lambda x: 1 + x)],
        warn=False,
    )
    axes = [SplineAxis(np.linspace(0, 1, 4), 3), Modes(np.array([0.0, 0.4]), 3, 1)]
    return problem, axes, initial_values(problem, "t")


def in_the_plane():
    def screened(u, x, y):
        across = integral(lambda s: y * u(y=s), s=(0, y))
        return d(u, x, x) + d(u, y, y) + u * integral(u) + across

    axes = [SplineAxis(np.linspace(0, 1, 3), 3), SplineAxis(np.linspace(0, 2, 3), 2)]
    return Problem(Box(x=(0, 1), y=(0, 2)), screened, [Neumann(u=0)], warn=False), axes, {}


@pytest.fixture(params=[on_a_line, in_time, in_the_plane])
def squares(request):
    problem, axes, starts = request.param()
    found = least_squares(problem, axes, held(problem, axes, starts))
    rng = np.random.default_rng(0)
    C, D = rng.standard_normal((2, *found.index.shape))
    return found, C, D


def test_a_step_changes_rows_as_differences_do(squares):
    found, C, D = squares
    rows, step = found.rows[0], 1e-6
    assert isinstance(rows, FarRows)
    wanted = (rows.values(C + step * D) - rows.values(C - step * D)) / (2 * step)
    came = rows.pushed(rows.linear(C)[1], D)
    np.testing.assert_allclose(came, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())


def test_rows_are_lifted_by_the_transposed_matrix(squares):
    found, C, D = squares
    rows = found.rows[0]
    r, g = rows.linear(C)
    assert np.isclose((rows.lifted(g, r) * D).sum(), (r * rows.pushed(g, D)).sum(), rtol=1e-10)


def test_normal_equations_are_those_of_the_matrix(squares):
    found, C, _ = squares
    rows, free = found.rows[0], found.free
    r, g = rows.linear(C)
    ones = (np.eye(free)[k] for k in range(free))
    spread = [np.where(found.index >= 0, np.append(e, 0.0)[found.index], 0.0) for e in ones]
    J = np.stack([rows.pushed(g, one).ravel() for one in spread], 1)
    came, wanted = normal([rows], C, found.index, [1.0]), J.T @ J
    for k in range(free):
        np.testing.assert_allclose(
            came.columns[k, : free - k], wanted[k, k:], rtol=1e-9, atol=1e-9 * wanted.max()
        )
    np.testing.assert_allclose(came.slope, J.T @ r.ravel(), rtol=1e-8, atol=1e-9)
    assert np.isclose(came.loss, (r**2).sum())
    if (found.index >= 0).all() and free == found.index.size:
        diagonal = rows.diagonal(C).ravel()[np.argsort(found.index.ravel())]
        np.testing.assert_allclose(diagonal, np.diag(wanted), rtol=1e-9)
