"""References of equations that jump at places of a coordinate, against closed forms."""

import numpy as np
import pytest
import torch

from kanpde import Box, Dirichlet, Initial, Problem, Robin, Time, d, laplacian
from kanpde.reference import reference
from kanpde.reference.bases import differences
from kanpde.reference.broken import BrokenSeries


def bent(x, order=0):
    """Continuous with its slope, and no further: 0 up to 0.3, then (x - 0.3)² cos x."""
    y = np.clip(x - 0.3, 0, None)
    found = [y**2 * np.cos(x), 2 * y * np.cos(x) - y**2 * np.sin(x)]
    found.append(2 * (x > 0.3) * np.cos(x) - 4 * y * np.sin(x) - y**2 * np.cos(x))
    return found[order]


@pytest.mark.parametrize("creases", [(0.3,), (0.1, 0.3), (0.3, 0.55, 0.9)])
def test_functions_that_bend_at_creases_are_differentiated(creases):
    basis = BrokenSeries((-0.5, 1.2), 50, creases)
    x = basis.nodes
    assert len(x) == 51
    assert (np.diff(x) > 0).all()
    assert not np.isin(creases, x).any()
    for order in (1, 2):
        found = differences(basis, order) @ bent(x)
        np.testing.assert_allclose(found, bent(x, order), rtol=0, atol=1e-10)
    places = np.linspace(-0.5, 1.2, 77)
    between = basis.at(places) @ basis.analysis @ bent(x)
    np.testing.assert_allclose(between, bent(places), rtol=0, atol=1e-12)


def error(found, exact):
    """The largest error over half of the range."""
    (values,) = found.values.values()
    truth = exact(*np.meshgrid(*found.coordinates.values(), indexing="ij"))
    return np.abs(values - truth).max() / (np.ptp(truth) / 2)


def test_a_wall_with_a_heated_layer():
    """In SI units, cooled on both sides; a layer of it gives off 400 kW a cubic metre."""
    k, h, source, a, b, length = 1.38, 25.0, 4e5, 0.02, 0.03, 0.1

    def wall(T, y):
        return k * d(T, y, y) + torch.where((y > a) & (y < b), source, 0.0)

    def exact(y):
        # by heat flows: what leaves at the left, and what has been given off up to y
        whole, middle = source * (b - a), (a + b) / 2
        left = whole * (1 / h + (length - middle) / k) / (2 / h + length / k)
        rise = source * (np.clip(y - a, 0, None) ** 2 - np.clip(y - b, 0, None) ** 2) / 2
        return 293.15 + left / h + (left * y - rise) / k

    found = reference(Problem(Box(y=(0, length)), wall, [Robin(T=h * 293.15, a=h, b=k)]))
    assert "between jumps" in found.kind
    assert error(found, exact) <= 1e-9
    assert error(found, exact) <= 10 * max(found.estimated_error, 1e-12)


def test_a_rod_that_is_heated_in_part():
    length, a, rate = 0.2, 1e-4, 2.0

    def heated(T, x, t):
        return d(T, t) - a * d(T, x, x) - torch.where((x > 0.05) & (x < 0.1), rate, 0.0)

    conditions = [Initial(T=293.15), Dirichlet(T=293.15)]
    found = reference(Problem(Box(x=(0, length)) * Time(t=(0, 100)), heated, conditions))
    k = np.pi / length * np.arange(1, 2001)
    given = 2 / length * rate * (np.cos(0.05 * k) - np.cos(0.1 * k)) / k
    x, t = found.coordinates["x"], 100.0
    exact = np.sin(np.outer(x, k)) @ (-given * np.expm1(-a * k**2 * t) / (a * k**2))
    apart = np.abs(found.values["T"][:, -1] - 293.15 - exact).max()
    assert "between jumps" in found.kind
    assert apart < 1e-7 * exact.max()


def test_a_square_of_which_a_strip_is_heated():
    """The jump is along one of two coordinates; the other one has one sine."""
    k = np.pi

    def heated(u, x, y):
        source = torch.where(x > 0.4, 1.0, 0.0) * torch.sin(torch.pi * y)
        return laplacian(u) + source

    def exact(x, y):
        # -U'' + k² U = 1 beyond 0.4, with U and U' the same on both sides
        A = np.array(
            [
                [np.sinh(0.4 * k), -np.sinh(0.6 * k)],
                [k * np.cosh(0.4 * k), k * np.cosh(0.6 * k)],
            ]
        )
        # beyond: U = (1 - cosh(k (1 - x))) / k² + c₂ sinh(k (1 - x))
        begin = (1 - np.cosh(0.6 * k)) / k**2, np.sinh(0.6 * k) / k
        c = np.linalg.solve(A, begin)
        beyond = (1 - np.cosh(k * (1 - x))) / k**2 + c[1] * np.sinh(k * (1 - x))
        return np.where(x < 0.4, c[0] * np.sinh(k * x), beyond) * np.sin(k * y)

    found = reference(Problem(Box(x=(0, 1), y=(0, 1)), heated, [Dirichlet(u=0)]))
    assert "between jumps" in found.kind
    assert error(found, exact) < 1e-10
