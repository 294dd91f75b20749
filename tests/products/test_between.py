"""What lies between the points of least squares is seen."""

import numpy as np
import pytest
import torch

from kanpde import Box, Dirichlet, Initial, Problem, Time, d
from kanpde.products.adaptive import adaptive
from kanpde.products.axes import SplineAxis
from kanpde.products.between import closer
from kanpde.products.progress import Settings

WIDTH = 1 / 20_000


def peak(x, at):
    """Of height 1 over its width, so that it moves the solution."""
    return torch.exp(-(((x - at) / WIDTH) ** 2) / 2) / WIDTH


def heated(source):
    return Problem(
        Box(x=(0, 1)) * Time(t=(0, 0.1)),
        lambda u, x, t: d(u, t) - d(u, x, x) - source(x, t),
        [Dirichlet(u=0), Initial(u=lambda x: torch.sin(np.pi * x))],
    )


def kicked(source):
    """A decay that is marched, without any coordinate of space."""
    return Problem(Box(t=(0, 1)), lambda u, t: d(u, t) + u - source(t), [Dirichlet(u=1, on="t-")])


def said(problem, tolerance=1e-4):
    way = adaptive(problem, Settings(tolerance))
    progress = way.begin()
    while not progress.finished:
        progress = way.advance(progress)
    return progress


@pytest.mark.parametrize(
    ("problem", "where"),
    [
        (heated(lambda x, t: peak(x, 0.4321)), "at x = 0.4321"),
        (kicked(lambda t: peak(t, 0.7654)), "at t = 0.7654"),
    ],
)
def test_a_source_that_no_point_sees_is_said(problem, where):
    progress = said(problem)
    assert progress.estimate > 1e-3
    assert "something narrow lies between the points, " + where in progress.reason


@pytest.mark.parametrize("problem", [heated(lambda x, t: x), kicked(torch.cos)])
def test_what_all_points_see_is_not(problem):
    assert not said(problem).missed


@pytest.mark.parametrize("periodic", [False, True])
def test_cells_are_halved_until_they_see_a_narrow_place(periodic):
    axis = SplineAxis(np.linspace(0, 1, 9), 3, periodic)
    x = (np.arange(4096) + 0.5) / 4096
    found = abs(x - 0.3) < 0.002
    closest = closer(axis, x, found)
    lengths = np.diff(closest.breaks)
    cells = np.unique(closest.cell_of(x[found]))
    assert 0.004 <= lengths[cells].max() < 0.008
    assert lengths[closest.cell_of(np.array([0.05, 0.6, 0.95]))].max() == 0.125
