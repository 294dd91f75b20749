"""The gallery: every exact solution solves its equations and conditions, and the finite differences
converge to it."""

import ast
import math

import numpy as np
import pytest
import torch
from collocated import holes, lshape, screened
from fourier import RINGS, integrate
from integrated import integrated
from nested import derivative, leaves, random_points
from orders import holds, observed
from stopped import stopped
from wall import wall_temperatures

from kanpde.errors import ReferenceUnavailable
from kanpde.problem.faces import points_on, space_faces
from kanpde.problem.file import load
from kanpde.problem.gallery import gallery
from kanpde.reference import climb, reference

NAMES = sorted(gallery())
PAGE = 70
"""Lines of 100 columns that a problem has at most: one page, printed."""

PROBLEMS = {name: load(name)[0] for name in NAMES}
INVERSE = [name for name, problem in PROBLEMS.items() if problem.data]
TONES = [name for name, problem in PROBLEMS.items() if problem.pencil]
EXACT = [name for name, problem in PROBLEMS.items() if problem.exact]


def exact_functions(problem):
    """The exact solution by unknown, as functions of the coordinates in their order."""
    numbers = {p: lambda *at, v=v: torch.full_like(at[0], v) for p, v in problem.truth.items()}
    return numbers | {
        u: lambda *at, f=f: f(dict(zip(problem.coordinates, at, strict=True)))
        for u, f in problem.exact_copies.items()
    }


def defect(problem, residual, at, normals=None):
    """Largest residual of the exact solution, relative to the largest term of the equation."""
    exact = exact_functions(problem)
    derivatives, _ = residual.supplied(
        at,
        lambda points, needs: leaves(
            exact, dict(zip(problem.coordinates, points.T, strict=True)), needs
        ),
        normals,
    )
    values, partials = residual(at, derivatives, normals)
    terms = (partials.abs() * derivatives[:, None]).abs().sum(2)
    return float((values.abs() / terms.max().clamp(min=1)).max())


def points_in(domain, count):
    """Random points of a domain, by coordinate."""
    at = random_points(domain.bounds, 2 * count)
    inside = domain.inside(torch.stack(list(at.values()), 1))
    return {x: v[inside][:count] for x, v in at.items()}


def test_only_these_have_no_exact_solution():
    expected = {
        "allen_cahn1d",
        "allen_cahn1d_smooth",
        "cavity2d",
        "gray_scott2d",
        "kdv1d",
        "kuramoto_sivashinsky1d",
        "lorenz",
        "reaction_diffusion1d",
        "van_der_pol",
        "wall1d",
    }
    expected |= {
        "backward_step2d",
        "cylinder_flow2d",
        "poisson2d_holes",
        "poisson2d_holes_source",
        "poisson2d_lshape",
    }
    assert set(NAMES) - set(EXACT) == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_is_a_page(name):
    text = gallery()[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) < PAGE
    problem, _ = load(name)
    assert problem.name == name
    assert 20 < len(problem.title) < 120
    assert problem.title.endswith(".")
    modules = {
        node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)
    }
    modules |= {
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert modules <= {"math", "numpy", "torch", "kanpde"}  # the public API only


@pytest.mark.parametrize("name", EXACT)
def test_the_exact_solution_annihilates_the_residual(name):
    problem = PROBLEMS[name]
    assert {*problem.exact_copies, *problem.truth} == set(problem.outputs)
    for region, equations in problem.groups:
        at = points_in(region, 200)
        for equation in equations:
            assert defect(problem, equation, at) < 1e-11


@pytest.mark.parametrize("name", EXACT)
def test_the_exact_solution_satisfies_the_conditions(name):
    problem = PROBLEMS[name]
    unit = torch.rand(
        50,
        len(problem.coordinates) - 1,
        generator=torch.Generator().manual_seed(1),
        dtype=torch.float64,
    )
    for c in problem.constraints:
        at, normals = points_on(problem.domain, c.face, unit)
        assert (
            defect(
                problem, c.residual, at, normals if c.face in space_faces(problem.domain) else None
            )
            < 1e-13
        )
        if c.prescribed is not None:
            u = exact_functions(problem)[c.prescribed.unknown]
            across = (
                [problem.coordinates.index(problem.domain.faces[c.face].coordinate)]
                if c.prescribed.derivative
                else []
            )
            given = derivative(u, *across)(*at.values())
            torch.testing.assert_close(c.prescribed.data(at), given.detach(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", [name for name in EXACT if PROBLEMS[name].periodic])
def test_the_exact_solution_is_smoothly_periodic(name):
    problem = PROBLEMS[name]
    unit = torch.rand(
        20,
        len(problem.coordinates) - 1,
        generator=torch.Generator().manual_seed(2),
        dtype=torch.float64,
    )
    for x in problem.periodic:
        axis = problem.coordinates.index(x)
        for u in exact_functions(problem).values():
            for order in range(4):
                low, high = (
                    derivative(u, *[axis] * order)(
                        *points_on(problem.domain, x + side, unit)[0].values()
                    )
                    for side in "-+"
                )
                torch.testing.assert_close(low, high, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("name", EXACT)
def test_exact_solutions_keep_the_precision_of_their_points(name):
    problem = PROBLEMS[name]
    at = {x: v.float() for x, v in points_in(problem.domain, 5).items()}
    for u, values in problem.exact_values(at).items():
        assert values.dtype == torch.float32
        torch.testing.assert_close(
            values.double(),
            problem.exact_values({x: v.double() for x, v in at.items()})[u],
            rtol=1e-3,
            atol=1e-4,
        )


# Order of accuracy, and two grids on which the leading term of the error dominates.
GRIDS = {
    "poisson2d": (4, 64, 128),
    "laplace2d": (2, 128, 256),
    "poisson2d_paper": (2, 32, 64),
    "helmholtz2d": (4, 64, 128),
    "poisson3d": (2, 8, 16),
    "nonlinear_poisson2d": (4, 64, 128),
    "biharmonic1d": (2, 128, 256),
    "heat1d": (2, 64, 128),
    "heat1d_heater": (2, 32, 64),
    "heat1d_mean": (2, 128, 192),
    "heat2d": (2, 16, 32),
    "advection1d": (4, 48, 96),
    "advection2d": (4, 32, 48),
    "convection1d": (4, 48, 96),
    "schrodinger1d": (4, 96, 192),
    "wave1d": (4, 64, 128),
    "wave_packet1d": (4, 128, 256),
    "wave1d_multiscale": (4, 64, 128),
    "burgers1d": (4, 1024, 1536),
    "burgers1d_family": (4, 512, 768),
    "burgers1d_smooth": (4, 256, 512),
    "kovasznay2d": (2, 24, 32),
    "taylor_green2d": (2, 24, 36),
    "poisson2d_multiscale": (4, 96, 128),
    "boundary_layer1d": (2, 4096, 8192),
    "annulus2d": (2, 64, 128),
    "heat2d_disk": (2, 12, 16),
    "interface2d": (2, 80, 160),
}

COLLOCATED = {
    "poisson2d_holes": (2, 56, 112),
    "poisson2d_holes_source": (2, 56, 112),
    "poisson2d_lshape": (2, 32, 64),
}
"""Those that functions fitted on the boundary solve: order and grids as in GRIDS."""

CUBIC = {"klein_gordon1d": (16, 32), "reaction1d": (16, 32), "fredholm1d": (32, 64)}
"""Solutions of degree 3 in space, or equations without derivatives there: differences are exact,
and what is left is the error in time, or of quadrature, which is far smaller."""

MODES = {
    "allen_cahn1d_smooth": (4, 1024, 2048, 1.0),
    "kdv1d": (4, 254, 510, 0.5),
    "kuramoto_sivashinsky1d": (4, 254, 510, 0.3),
    "reaction_diffusion1d": (4, 16, 32, 1.0),
}
"""Those that Fourier modes solve: order and grids as in GRIDS, and when they are stopped, before
what is finer than these."""

COVERED = {"allen_cahn1d": (4, 512), "cavity2d": (4, 32), "gray_scott2d": (8, 24)}
"""Those that nothing else solves: order and cells."""

SCATTERED = {"elasticity2d_plate": (2, 96)}
"""Those whose error falls unevenly, as nodes come to lie beside the hole (5.6e-3, 6.5e-4, 4.0e-4,
1.6e-4, 6.5e-5 with 32, 48, 64, 96, 128 cells): order and cells. Plane elasticity has its order
measured in reference/test_embedded.py."""

MARCHED = {"lorenz": {}, "van_der_pol": {"mu": 10, "end": 20}}
"""Ordinary differential equations, with constants that SciPy's integrator is quick for."""

REFUSED = {
    "backward_step2d": "a pressure",
    "cylinder_flow2d": "a pressure",
    "heat5d": "5 space dimensions; finite differences take at most 3",
    "poisson5d": "5 space dimensions; finite differences take at most 3",
    "poisson100d": "100 space dimensions",
}
"""Those outside of finite differences, and why."""


def reference_error(problem, order, cells, exact=None):
    """Relative L2 of finite differences against the exact solution, or another one of one
    unknown."""
    found = reference(problem, order=order, cells=cells)
    values = {u: found.values[u].ravel() for u in problem.unknowns}
    inside = np.isfinite(values[problem.unknowns[0]])
    points = found.points()[inside]
    known = (
        {problem.unknowns[0]: exact(*points.T)}
        if exact
        else {u: v.numpy() for u, v in problem.exact_values(torch.from_numpy(points)).items()}
    )
    truth = np.concatenate([known[u] for u in problem.unknowns])
    return np.linalg.norm(
        np.concatenate([values[u][inside] for u in problem.unknowns]) - truth
    ) / np.linalg.norm(truth)


@pytest.fixture
def alone(monkeypatch):
    """References on the grid that is asked for alone, without the others that tell their error."""
    every = climb.sizes
    monkeypatch.setattr(climb, "sizes", lambda *given: list(every(*given))[-1:])
    monkeypatch.setattr(climb, "add_error_in_time", lambda *given: None)


@pytest.mark.parametrize("name", CUBIC)
def test_finite_differences_are_exact_for_cubic_solutions(name):
    for cells in CUBIC[name]:
        assert reference_error(PROBLEMS[name], 4, cells) < 1e-8


def test_every_reference_is_judged():
    assert (
        sorted(
            [
                *(*GRIDS, *CUBIC, *MODES, *COVERED, *COLLOCATED, *SCATTERED),
                *(*MARCHED, *REFUSED, *INVERSE, *TONES, "wall1d"),
            ]
        )
        == NAMES
    )


@pytest.mark.parametrize("name", INVERSE)
def test_data_are_the_exact_solution_with_noise(name):
    problem, _ = load(name, {"noise": 0.01})
    clean, _ = load(name, {"noise": 0})
    assert [m.values.numel() >= 1000 for m in problem.data] == [True]
    for noisy, known in zip(problem.data, clean.data, strict=True):
        exact = torch.stack([problem.exact_values(known.points)[u] for u in known.unknowns], 1)
        torch.testing.assert_close(known.values, exact, rtol=0, atol=1e-12)
        assert ((noisy.values - exact).std(0) / exact.std(0)).tolist() == pytest.approx(
            [0.01] * len(known.unknowns), rel=0.1
        )
    with pytest.raises(ReferenceUnavailable, match="are unknown; finite differences take numbers"):
        reference(problem)


@pytest.mark.parametrize("name", TONES)
def test_finite_differences_find_the_eigenvalues(name):
    problem = PROBLEMS[name]
    found = reference(problem, order=4, cells=64)
    for name, value in problem.truth.items():
        error, own = abs(found.numbers[name] / value - 1), found.estimated_errors[name]
        assert own / 10 < error < 2 * own
        assert error < 1e-4


@pytest.mark.parametrize("name", MODES)
def test_finite_differences_converge_to_fourier_modes(name, alone):
    order, coarse, fine, end = MODES[name]
    problem = stopped(PROBLEMS[name], end)
    truth = integrate(RINGS[name], np.linspace(0, end, 65))
    errors = []
    for cells in (coarse, fine):
        values = reference(problem, order=order, cells=cells).values["u"][:-1]
        shared = math.gcd(len(values), len(truth))
        wanted = truth[:: len(truth) // shared]
        errors.append(
            np.linalg.norm(values[:: len(values) // shared] - wanted) / np.linalg.norm(wanted)
        )
    holds(observed(errors, (1 / coarse, 1 / fine), rounding=1e-12), order)


@pytest.mark.parametrize("name", COVERED)
def test_a_finer_grid_stays_within_the_estimated_error(name):
    problem = PROBLEMS[name]
    order, cells = COVERED[name]
    coarse, fine = (reference(problem, order=order, cells=n) for n in (cells, 2 * cells))
    for u, values in coarse.values.items():
        every = (slice(None, None, (len(fine.values[u]) - 1) // (len(values) - 1)),) * len(
            problem.domain.space
        )
        finer = fine.values[u][every]
        assert np.linalg.norm(finer - values) / np.linalg.norm(finer) < coarse.estimated_errors[u]
        assert fine.estimated_errors[u] < coarse.estimated_errors[u]
    # of all unknowns together, as the pressure of a cavity converges slowly in its corners
    together = [
        np.linalg.norm([found.estimated_errors[u] * found.scales[u] for u in found.scales])
        for found in (coarse, fine)
    ]
    assert together[1] < together[0] / 4


@pytest.mark.parametrize("name", COLLOCATED)
def test_finite_differences_converge_to_collocation(name, alone):
    order, coarse, fine = COLLOCATED[name]
    exact = {
        "poisson2d_holes": holes,
        "poisson2d_holes_source": screened,
        "poisson2d_lshape": lshape,
    }[name]()
    errors = [reference_error(PROBLEMS[name], order, cells, exact) for cells in (coarse, fine)]
    holds(observed(errors, (1 / coarse, 1 / fine), rounding=1e-12), order)


@pytest.mark.parametrize("name", SCATTERED)
def test_the_estimate_covers_an_uneven_error(name):
    problem = PROBLEMS[name]
    order, cells = SCATTERED[name]
    found = reference(problem, order=order, cells=cells)
    exact = problem.exact_values(torch.from_numpy(found.points()))
    truth = np.concatenate([exact[u].numpy() for u in problem.unknowns])
    values = np.concatenate([found.values[u].ravel() for u in problem.unknowns])
    inside = np.isfinite(values)
    error = np.linalg.norm((values - truth)[inside]) / np.linalg.norm(truth[inside])
    assert error < found.estimated_error < 20 * error


@pytest.mark.parametrize("name", MARCHED)
def test_references_of_ordinary_equations_are_those_of_scipy(name):
    found = reference(load(name, MARCHED[name])[0], effort="quick")
    times = found.coordinates["t"]
    truth = integrated(name, times, MARCHED[name])
    for values, wanted in zip(found.values.values(), truth, strict=False):
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-9)


def test_the_reference_of_a_wall_in_the_weather_is_that_of_scipy():
    found = reference(load("wall1d")[0], effort="quick")
    x, t = found.coordinates["x"][::64], found.coordinates["t"][::4]
    truth = wall_temperatures(x, t)
    assert np.abs(found.values["T"][::64, ::4] - truth).max() < 1e-6


@pytest.mark.parametrize("name", REFUSED)
def test_what_finite_differences_refuse(name):
    with pytest.raises(ReferenceUnavailable, match=REFUSED[name]):
        reference(PROBLEMS[name])


@pytest.mark.parametrize("name", GRIDS)
def test_finite_differences_converge_to_the_exact_solution(name, alone):
    problem = PROBLEMS[name]
    order, coarse, fine = GRIDS[name]
    errors = [reference_error(problem, order, cells) for cells in (coarse, fine)]
    holds(observed(errors, (1 / coarse, 1 / fine), rounding=1e-12), order)


def cole_hopf(x, t, nodes):
    """Burgers' solution by the trapezoidal rule, which converges geometrically here and shares
    nothing with Gauss-Hermite."""
    nu = 0.01 / math.pi
    z = torch.linspace(-16, 16, nodes, dtype=torch.float64)
    eta = x[:, None] - torch.sqrt(4 * nu * t)[:, None] * z
    density = torch.softmax(-(z**2) - torch.cos(math.pi * eta) / (2 * math.pi * nu), 1)
    return -(density * torch.sin(math.pi * eta)).sum(1)


def test_burgers_exact_solution_is_exact_to_rounding():
    burgers = exact_functions(PROBLEMS["burgers1d"])["u"]
    near = torch.tensor([-0.1, -0.03, -0.01, -1e-3, -1e-5, -1e-8, 1e-4, 0.02], dtype=torch.float64)
    x, t = (
        v.reshape(-1)
        for v in torch.meshgrid(
            torch.cat([torch.linspace(-1, 1, 41, dtype=torch.float64), near]),
            torch.linspace(0, 1, 21, dtype=torch.float64),
            indexing="ij",
        )
    )
    torch.testing.assert_close(burgers(x, t), cole_hopf(x, t, 2001), rtol=0, atol=1e-13)
    torch.testing.assert_close(burgers(x, 0 * t), -torch.sin(math.pi * x), rtol=0, atol=1e-14)


def test_burgers_front_is_as_steep_as_published():
    """Basdevant et al. 1986: the slope at x = 0 is steepest, 152.00516, at πt = 1.6037."""
    burgers = exact_functions(PROBLEMS["burgers1d"])["u"]
    x, t = (
        torch.zeros(1, dtype=torch.float64),
        torch.full((1,), 1.6037 / math.pi, dtype=torch.float64),
    )
    assert derivative(burgers, 0)(x, t).item() == pytest.approx(-152.00516, abs=1e-5)
