"""Incompressible flow: the pressure is as accurate as the velocity, and has no modes that the
differences do not see."""

import manufactured
import numpy as np
import pytest
import torch
from manufactured import grid, true_error
from orders import observed

from kanpde import Box, Dirichlet, Problem, d, laplacian
from kanpde.errors import ReferenceUnavailable
from kanpde.reference import reference
from kanpde.reference.steady import corner_defect, solve_steady
from kanpde.reference.system import System


@pytest.mark.parametrize("pin", ["piece", "face"])
def test_kovasznay(pin):
    problem = manufactured.kovasznay(pin)
    found = reference(problem, effort="quick")
    assert found.estimated_error < 1e-6
    assert true_error(problem, found) < 3 * found.estimated_error
    exact = problem.exact_values(torch.from_numpy(found.points()))
    for u, error in found.estimated_errors.items():
        assert np.linalg.norm(
            found.values[u].ravel() - exact[u].numpy()
        ) < 3 * error * np.linalg.norm(exact[u])


@pytest.mark.parametrize("order", [4, 8])
def test_order_of_kovasznay(order):
    """The pressure's too: its error falls at least as fast as the order says."""
    problem = manufactured.kovasznay("piece")
    errors = []
    for cells in (16, 32):
        g = grid(problem, cells, order)
        exact = {u: v.numpy() for u, v in problem.exact_values(g.points()).items()}
        found = solve_steady(problem, g)[0]
        errors.append(
            [
                np.linalg.norm(found[v] - exact[u]) / np.linalg.norm(exact[u])
                for v, u in enumerate(problem.unknowns)
            ]
        )
    for each in zip(*errors, strict=True):
        assert observed(each, (1 / 16, 1 / 32), rounding=1e-12) > {4: 3.4, 8: 6.8}[order]


def test_cavity():
    """Order 4 where the corners are singular: the velocity on the centre lines converges, to what
    order 12 comes near before its pressure does not."""
    problem = manufactured.cavity()
    assert corner_defect(System(problem, grid(problem, 16, 12))) > 0.1
    assert (
        corner_defect(
            System(manufactured.kovasznay("piece"), grid(manufactured.kovasznay("piece"), 16, 12))
        )
        < 0.05
    )
    found = reference(problem, effort="quick")
    assert "order 4 (the conditions contradict" in found.kind
    assert found.estimated_errors["u"] < 1e-2
    middle = len(found.coordinates["x"]) // 2
    other = grid(problem, 24, 8)
    u, v, _ = other.even(
        other.close(solve_steady(problem, other)[0]), (len(found.coordinates["x"]) - 1,) * 2
    )
    assert np.abs(found.values["u"][middle] - u[middle]).max() < 5e-3
    assert np.abs(found.values["v"][:, middle] - v[:, middle]).max() < 5e-3


@pytest.mark.parametrize("periodic", [True, False])
def test_taylor_green(periodic):
    """A differential-algebraic system of index 2, whose pressure is right from the start on."""
    problem = manufactured.taylor_green(periodic)
    found = reference(problem, cells=16, order=6)
    assert true_error(problem, found) < 2e-3
    assert true_error(problem, found) < 3 * found.estimated_error
    start = {u: found.values[u][..., 0] for u in problem.unknowns}
    x, y = np.meshgrid(found.coordinates["x"], found.coordinates["y"], indexing="ij")
    assert np.abs(start["p"] - (np.cos(2 * x) + np.cos(2 * y)) / 4).max() < 5e-3


def test_a_pin_that_no_node_meets():
    narrow = Dirichlet(p=0, on="x-", where=lambda y: (y - 0.516).abs() < 5e-3)
    flow = Problem(
        Box(x=(0, 1), y=(0, 1)), manufactured.momentum(1.0), [Dirichlet(u=0, v=0), narrow]
    )
    with pytest.raises(ReferenceUnavailable, match="keeps no node of x-; make the piece larger"):
        reference(flow, cells=32, order=4)


def test_a_pressure_without_its_equation():
    """Two equations that hold the same unknown alone leave the other to nothing."""
    twice = Problem(
        Box(x=(0, 1)),
        [lambda u, v, x: d(u, x, x) - v, lambda u, v, x: laplacian(u) - 2 * v],
        [Dirichlet(u=0)],
        unknowns=["u", "v"],
    )
    assert np.abs(reference(twice, cells=32, order=4).values["v"]).max() < 1e-10
