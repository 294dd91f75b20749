"""Residuals tested on pieces where least squares have a wrong limit: what is conserved, and cells
that get shorter towards points."""

import numpy as np
import pytest
import torch
from refined import solved
from test_products_on_pieces import crosswise, error

from benchmarks.hard_problems import conductivities
from benchmarks.materials import Elements, conduction
from kanpde import Box, Dirichlet, Interface, Pieces, Problem, Robin, d, laplacian
from kanpde.products.axes import SplineAxis
from kanpde.products.conserved import conserved
from kanpde.products.layered import layered, layers_for
from kanpde.products.pieces import by_piece, seams
from kanpde.products.refining_tested import tested as law_of

NAMES = {(0, 0): "a", (0, 1): "b", (1, 0): "c", (1, 1): "e"}


def four(equations, flux, outer, length=1.0, jump=0.0):
    """Four squares about a point."""
    ends = [(0.0, length / 2), (length / 2, length)]
    domain = Pieces(**{name: Box(x=ends[i], y=ends[j]) for (i, j), name in NAMES.items()})
    faces = {
        name: tuple(f for f in domain.faces if f.startswith(f"{name}.") and "|" not in f)
        for name in NAMES.values()
    }
    conditions = [Interface(u=jump, flux=flux), *(outer(name, on) for name, on in faces.items())]
    return Problem(domain=domain, equations=equations, conditions=conditions)


def films(k, q, length=1.0, offset=0.0, heavy=(1.0, 1.0, 1.0, 1.0)):
    """Squares of other materials, each with a source, and films outside."""

    def equation(at, times):
        return lambda u, x, y: times * (k[at] * laplacian(u) + q[at] / length**2)

    ways = zip(NAMES.items(), heavy, strict=True)
    by_name = {name: float(k[at]) for at, name in NAMES.items()}
    return four(
        {name: equation(at, times) for (at, name), times in ways},
        by_name,
        lambda name, on: Robin(u=offset, a=1.0, b=by_name[name] * length, on=on),
        length,
    )


def test_four_materials_with_films_are_those_of_elements_in_any_units():
    k = conductivities(100, 2, 3)
    q = np.array([[1.0, -0.5], [2.0, 0.3]])
    at = (np.arange(12) + 0.5) / 12
    true = conduction(k, q, Elements(np.linspace(0, 1, 3), 6, 0.2, 5), at)
    problem = films(k, q, 0.02, 293.15, (1.0, 1e4, -1e-3, 30.0))
    assert law_of(problem) is not None
    solution, progress = solved(problem, 1e-3)
    assert not progress.missed
    grid = np.stack([x.ravel() for x in np.meshgrid(0.02 * at, 0.02 * at, indexing="ij")], 1)
    found = solution(torch.from_numpy(grid))[:, 0].numpy().reshape(true.shape) - 293.15
    apart = np.abs(found - true).max() / (np.ptp(true) / 2)
    assert apart < 1e-3
    assert apart < 5 * progress.estimate + 1e-5


def test_conductivities_of_ten_crosswise_are_met_by_layers_of_cells():
    problem = crosswise(10.0)
    solution, progress = solved(problem, 1e-3)
    assert not progress.missed
    assert error(problem, solution) < 1e-3
    assert min(np.diff(solution.spans[0].axes[0].breaks)) < 1e-4


def test_a_smooth_solution_of_materials_that_vary_needs_no_layers():
    def smooth(x, y):
        return torch.cos(2 * torch.pi * x) * torch.cos(2 * torch.pi * y)

    def equation(k):
        def balance(u, x, y):
            flow = k * (1 + x) * laplacian(u) + k * d(u, x)
            slope = -2 * torch.pi * torch.sin(2 * torch.pi * x) * torch.cos(2 * torch.pi * y)
            return flow + k * (1 + x) * 8 * torch.pi**2 * smooth(x, y) - k * slope

        return balance

    def varying(k):
        return lambda x: k * (1 + x)

    k = {"a": 1.0, "b": 30.0, "c": 8.0, "e": 0.5}
    problem = four(
        {name: equation(value) for name, value in k.items()},
        {name: varying(value) for name, value in k.items()},
        lambda name, on: Dirichlet(u=smooth, on=on),
    )
    assert law_of(problem) is not None
    solution, progress = solved(problem, 1e-7)
    assert not progress.missed
    points = torch.rand(300, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float((solution(points)[:, 0] - smooth(*points.T)).abs().max()) < 1e-7
    assert solution.spans[0].axes[0].degree == 9


def test_a_source_that_no_points_see_is_said():
    def narrow(u, x, y):
        return laplacian(u) + 1e6 * torch.exp(-2e6 * ((x - 0.31) ** 2 + (y - 0.17) ** 2))

    k = {"a": 1.0, "b": 3.0, "c": 3.0, "e": 1.0}
    equations = {name: (lambda u, x, y: laplacian(u)) for name in k}
    problem = four(
        {**equations, "a": narrow},
        k,
        lambda name, on: Dirichlet(u=lambda x: x, on=on),
    )
    _, progress = solved(problem, 1e-2)
    assert "something narrow lies between the points" in progress.missed[0]


def test_scales_follow_fluxes_and_are_none_where_values_jump():
    k, q = conductivities(10, 2, 1), np.zeros((2, 2))
    problem = films(k, q, heavy=(1.0, 5.0, -2.0, 1.0))
    law = conserved(by_piece(problem), seams(problem))
    assert law is not None
    assert law.scales == pytest.approx((1.0, 0.2, -0.5, 1.0))
    assert len(law.fluxes) == 4
    same = four(
        dict.fromkeys(NAMES.values(), lambda u, x, y: laplacian(u)),
        dict.fromkeys(NAMES.values(), 1.0),
        lambda name, on: Dirichlet(u=0, on=on),
        jump=1.0,
    )
    assert conserved(by_piece(same), seams(same)) is None
    with_mixed = films(k, q).replace(
        equations={name: (lambda u, x, y: laplacian(u) + d(u, x, y) / 2) for name in NAMES.values()}
    )
    assert conserved(by_piece(with_mixed), seams(with_mixed)) is None


def test_layers_halve_to_the_ends_and_follow_the_exponent():
    axis = layered(SplineAxis(np.array([1.0, 3.0]), 5), 2, (3, 0))
    assert axis.breaks == pytest.approx([1.0, 1.125, 1.25, 1.5, 2.0, 3.0])
    assert layers_for(1.0, 1e-4) == 7
    assert layers_for(0.5, 1e-4) == 14
