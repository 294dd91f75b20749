"""Equations of evolution in two coordinates that hold at points: whole paths on small problems."""

from math import pi

import numpy as np
import pytest
import torch
from torch import cos, exp, sin

from kanpde import (
    Box,
    Dirichlet,
    Initial,
    Neumann,
    Periodic,
    Problem,
    Robin,
    Time,
    d,
    laplacian,
)
from kanpde.geometry.sampling import inside_points
from kanpde.products.axes import Modes, SplineAxis
from kanpde.products.collocated import Collocated, typical
from kanpde.products.kronecker import Kronecker
from kanpde.products.lines import End, Line
from kanpde.products.marching_points import MarchingPoints, points_of_march
from kanpde.products.newton import Iterate
from kanpde.products.progress import Settings
from kanpde.products.sides import ends_of
from kanpde.products.stages import Stages
from kanpde.products.tensor import Product
from kanpde.products.wrapped import Wrapped


def solved(problem, tolerance):
    ends, why = ends_of(problem)
    assert ends is not None, why
    march = MarchingPoints(problem, Settings(tolerance), "t", ends)
    progress = march.begin()
    while not progress.finished:
        progress = march.advance(progress)
    return progress, march.solution(progress)


def errors(problem, solution):
    points = inside_points(problem.domain, 1000, 3)
    exact, found = problem.exact_values(points), solution(points)
    return [
        float((found[:, k] - exact[u]).abs().max() / exact[u].abs().max())
        for k, u in enumerate(problem.unknowns)
    ]


def reacting():
    """Two unknowns, one with values and slopes given, one with Robin's conditions; nonlinear, with
    a conductivity that varies."""
    a = 0.3

    def exact_u(x, y, t):
        return sin(pi * x) * cos(pi * y) * exp(-t)

    def exact_v(x, y, t):
        return exp(a * x) * (1 + y * (1 - y) / 2) * cos(2 * t)

    def conductivity(x):
        return 0.02 * (1 + x**2)

    def equations(u, v, x, y, t):
        U, V = exact_u(x, y, t), exact_v(x, y, t)
        source_u = -U - conductivity(x) * (-2 * pi**2 * U) + U * V
        v_t = -2 * exp(a * x) * (1 + y * (1 - y) / 2) * sin(2 * t)
        v_lap = a**2 * V - exp(a * x) * cos(2 * t)
        return (
            d(u, t) - conductivity(x) * laplacian(u) + u * v - source_u,
            d(v, t) - 0.1 * laplacian(v) + v**2 - (v_t - 0.1 * v_lap + V**2),
        )

    def at_y(x, t):
        return exp(a * x) * cos(2 * t) * 1.5 - exp(a * x) * cos(2 * t)

    return Problem(
        domain=Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 0.5)),
        equations=[equations],
        conditions=[
            Dirichlet(u=0, on=("x-", "x+")),
            Neumann(u=0, on=("y-", "y+")),
            Robin(v=0, a=a, b=1, on="x-"),
            Robin(v=0, a=-a, b=1, on="x+"),
            Robin(v=at_y, a=1, b=1, on=("y-", "y+")),
            Initial(u=lambda x, y: exact_u(x, y, 0 * x), v=lambda x, y: exact_v(x, y, 0 * x)),
        ],
        exact={"u": exact_u, "v": exact_v},
    )


def test_two_unknowns_with_all_conditions_meet_the_tolerance():
    problem = reacting()
    progress, solution = solved(problem, 1e-6)
    assert not progress.missed
    assert max(errors(problem, solution)) < 1e-6


def test_a_wave_in_a_box_with_free_and_held_sides_returns():
    def exact(x, y, t):
        return cos(pi * x) * sin(pi * y) * cos(2**0.5 * pi * t)

    def wave(u, x, y, t):
        return d(u, t, t) - laplacian(u)

    problem = Problem(
        domain=Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 3)),
        equations=[wave],
        conditions=[
            Neumann(u=0, on=("x-", "x+")),
            Dirichlet(u=0, on=("y-", "y+")),
            Initial(u=lambda x, y: exact(x, y, 0 * x), u_t=0),
        ],
        exact={"u": exact},
    )
    progress, solution = solved(problem, 1e-6)
    assert not progress.missed
    assert max(errors(problem, solution)) < 1e-6


def test_errors_that_add_up_are_carried_from_span_to_span():
    def exact(x, y, t):
        return sin(2 * pi * (x - t)) * cos(2 * pi * (y + t)) * exp(-0.01 * 8 * pi**2 * t)

    def moved(u, x, y, t):
        return d(u, t) + d(u, x) - d(u, y) - 0.01 * laplacian(u)

    problem = Problem(
        domain=Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 1)),
        equations=[moved],
        conditions=[Periodic("x", "y"), Initial(u=lambda x, y: exact(x, y, 0 * x))],
        exact={"u": exact},
    )
    ends, _ = ends_of(problem)
    assert ends is not None
    march = MarchingPoints(problem, Settings(1e-3, degree=5, modes=9), "t", ends)
    progress = march.begin()
    grid = [np.linspace(0, 1, 17), np.linspace(0, 1, 17)]
    points = torch.from_numpy(np.stack([x.ravel() for x in np.meshgrid(*grid, indexing="ij")], 1))
    known = progress
    while not progress.finished:
        progress = march.advance(progress)
        known = progress if progress.change is not None else known
    span = known.spans[-1]
    end = span.axes[-1].breaks[1:]
    truth = exact(*points.T, torch.as_tensor(end)).numpy().reshape(17, 17)
    wrong = truth - span.on_grid(0, [*grid, end], (0, 0, 0))[..., 0]
    assert known.change is not None
    said = known.change.on_grid(0, [*grid, end], (0, 0, 0))[..., 0]
    assert np.abs(wrong - said).max() < 0.3 * np.abs(wrong).max()
    assert len(progress.spans) > 1


def test_errors_in_time_are_carried_as_well():
    def exact(t):
        return exp(-t) * cos(6 * t)

    def relaxing(u, x, y, t):
        return d(u, t) - 0.1 * laplacian(u) + u + 6 * exp(-t) * sin(6 * t) + 0 * u**2

    (equation,) = Problem(
        domain=Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 1)),
        equations=[relaxing],
        conditions=[Periodic("x", "y"), Initial(u=1)],
    ).equations
    ways = tuple(SplineAxis(np.linspace(0, 1, 13), 9, True) for _ in "xy")
    lines, modes = tuple(map(Line, ways)), Modes(np.array([0.0, 1.0]), 3, 1)
    span = Collocated((equation,), ("u",), (lines,), Stages.of(modes))
    C = np.zeros((1, 12, 12, 4))
    C[..., 0] = 1.0
    at = Iterate(C)
    while not at.done:
        _, slopes = span.linear(at.C)
        at = span.advance(at, 1e-10, span.nearly_inverted(slopes))
    wrong, share = span.drifted(at.C, None)
    end = [np.zeros(1), np.zeros(1), modes.breaks[1:]]
    true = float(exact(torch.tensor(1.0, dtype=torch.float64)))
    error = true - Product((*ways, modes), at.C).on_grid(0, end, (0, 0, 0)).item()
    assert abs(error) > 1e-5
    assert wrong.on_grid(0, end, (0, 0, 0)).item() == pytest.approx(error, rel=0.2)
    assert share > 0.99


@pytest.mark.parametrize("degree", [7, 9])
@pytest.mark.parametrize("sloped", [(0, 0), (1, 0), (1, 1)])
def test_second_derivatives_at_points_have_negative_eigenvalues(degree, sloped):
    graded = np.cumsum(0.02 + np.abs(np.linspace(-1, 1, 40)))
    for breaks in (np.linspace(0, 1, 30), graded):
        ends = [End(0.0, 1.0) if one else End(1.0, 0.0) for one in sloped]
        line = Line(SplineAxis(breaks, degree), *ends, tuple(not one for one in sloped))
        found = np.linalg.eigvals(line.derivatives[2])
        assert np.abs(found.imag).max() < 1e-9 * np.abs(found).max()
        assert found.real.max() < 1e-9 * np.abs(found).max()


def test_stages_keep_the_energy_of_waves_that_they_resolve_and_damp_all_others():
    modes = Modes(np.array([0.0, 1.0]), 5, 2)
    stages = Stages.of(modes)
    value, _, top = stages.rates
    end = [modes.matrix(np.array([1.0]), k).toarray()[0] for k in (0, 1)]

    def kept(squared):
        C = np.zeros(6, complex)
        C[:2] = 1.0, 0.7 * modes.half
        system = top + squared * value
        C[2:] = np.linalg.solve(system[:, 2:], -system[:, :2] @ C[:2])
        energies = abs(squared) * abs(end[0] @ C) ** 2 + abs(end[1] @ C) ** 2
        return energies / (abs(squared) + 0.7**2)

    assert kept(1.0) == pytest.approx(1, rel=1e-5)
    # Where coefficients vary, waves as short as cells have squares of frequencies that are not
    # real, and would grow.
    for squared in (30.0**2, 30.0**2 * (1 + 0.1j), 1000.0**2 * (1 + 0.1j)):
        assert kept(squared) < 0.1


def test_what_fourier_leaves_to_gmres_is_the_equations_nearly_inverted():
    def burgers(u, v, x, y, t):
        return (
            d(u, t) + u * d(u, x) + v * d(u, y) - 0.01 * laplacian(u) + u * v,
            d(v, t)
            + u * d(v, x)
            + (1 + v) * d(v, y)
            - 0.02 * laplacian(v)
            - cos(t) * d(d(u, x), y),
        )

    (equation,) = Problem(
        domain=Box(x=(0, 1), y=(0, 2)) * Time(t=(0, 1)),
        equations=[burgers],
        conditions=[Periodic("x", "y"), Initial(u=0, v=0)],
    ).equations
    ways = [SplineAxis(np.linspace(0, end, n), 9, True) for end, n in ((1, 14), (2, 17))]
    lines, modes = tuple(map(Line, ways)), Modes(np.array([0.0, 0.1]), 4, 1)
    span = Collocated((equation,), ("u", "v"), (lines, lines), Stages.of(modes))
    generator = np.random.default_rng(0)
    given = generator.standard_normal((2, *(axis.size for axis in (*ways, modes))))
    d_ = generator.standard_normal(span.shape)
    _, slopes = span.linear(given)
    nearly = span.nearly_inverted(slopes)
    assert isinstance(nearly, Wrapped)
    about = typical(slopes, span.equations, len(span.leaves))
    plain = Kronecker.of(span.lines, span.stages, span.leaves, about)
    wanted = plain(span.pushed(slopes, d_))
    found = nearly.product(slopes)(d_)
    assert np.abs(found - wanted).max() < 1e-10 * np.abs(wanted).max()
    half = nearly.in_single_precision.product(slopes)(d_.astype(np.float32))
    assert half.dtype == np.float32
    assert np.abs(half - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_it_is_said_why_equations_hold_at_points_or_not():
    def heat(u, x, y, t):
        return d(u, t) - laplacian(u)

    def burning(u, x, y, t):
        return d(u, t) - laplacian(u) - u**2

    def stated(equation, start):
        return Problem(
            domain=Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 1)),
            equations=[equation],
            conditions=[Periodic("x", "y"), Initial(u=start)],
        )

    def smooth(x):
        return cos(2 * pi * x)

    def narrow(x, y):
        return exp(-60 * (torch.sin(pi * x) ** 2 + torch.sin(pi * y) ** 2))

    cases = (
        (heat, smooth, False, "few"),
        (heat, narrow, True, "long"),
        (burning, smooth, True, "linear"),
    )
    for equation, start, at_points, said in cases:
        ends, why = points_of_march(stated(equation, start), Settings(1e-8))
        assert (ends is not None) == at_points
        assert said in why
