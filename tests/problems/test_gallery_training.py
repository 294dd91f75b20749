"""Every problem of the gallery trains: short schedules, seconds; bounds are three times the worst
of seeds 0, 1 and 2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from collocated import holes, lshape, screened
from fourier import RINGS, integrate
from integrated import integrated
from stopped import stopped
from trained import train
from wall import wall_temperatures

from kanpde.geometry.sampling import inside_points
from kanpde.networks.kan import KAN
from kanpde.networks.kinds.additive import Additive
from kanpde.problem import file as problems
from kanpde.problem.gallery import gallery
from kanpde.products.solution import TensorSolution
from kanpde.recipes.recipe import Recipe
from kanpde.reference import reference
from kanpde.solver import solve
from kanpde.training.history import Silent


@dataclass(frozen=True)
class Short:
    """A small recipe and the relative L2 that it reaches, all unknowns together (or the first so
    many of them).

    end: the problem is stopped then. lenses: with half of the points about holes. constants: easier
    ones for the file's. continuation: as in Recipe.
    """

    network: KAN
    points: int
    schedule: str
    bound: float
    end: float | None = None
    constants: Mapping[str, float] = field(default_factory=dict)
    continuation: Mapping[str, Sequence[float]] = field(default_factory=dict)
    unknowns: int | None = None
    lenses: bool = False


LAYERS = {"epsilon": (0.1, 0.03, 0.01)}
"""Ever thinner boundary layers."""

SHORT = {
    "advection1d": Short(KAN((4, 4), 7, 4), 500, "lm:25", 1.4e-2),
    "advection2d": Short(KAN((6,), 7, 4), 900, "lm:40", 2e-2, end=0.2),
    "allen_cahn1d": Short(KAN((4, 4), 7, 5), 500, "lm:30", 7.8e-3, end=0.25),
    "allen_cahn1d_smooth": Short(KAN((4, 4), 7, 5), 500, "lm:30", 9.5e-5, end=0.25),
    "biharmonic1d": Short(KAN((3,), 7, 4), 200, "lm:40", 4.5e-7),
    "boundary_layer1d": Short(
        KAN((4,), 7, 6),
        600,
        "lm:15,extend:12,lm:25",
        8e-7,
        constants={"epsilon": 0.01},
        continuation=LAYERS,
    ),
    "burgers1d": Short(KAN((5, 5), 5, 6), 700, "lm:40", 8.4e-2, end=0.4),
    "burgers1d_family": Short(KAN((5, 5), 5, 4), 900, "lm:40", 0.43),
    "burgers1d_smooth": Short(KAN((5, 5), 5, 6), 1200, "lm:60", 3e-3),
    "cavity2d": Short(KAN((6,), 5, 5), 500, "lm:25", 6e-2, unknowns=2),
    "convection1d": Short(KAN((4, 4), 7, 4), 600, "lm:50", 8.5e-6, end=0.1),
    "gray_scott2d": Short(KAN((5,), 7, 3), 500, "lm:20", 1.4e-2, end=2.0),
    "heat1d": Short(KAN((5,), 7, 4), 600, "lm:40", 4e-5),
    "heat2d": Short(KAN((5,), 7, 3), 900, "lm:40", 8e-6),
    "helmholtz2d": Short(KAN((6,), 7, 6), 900, "lm:60", 6.5e-4),
    "kdv1d": Short(KAN((4, 4), 7, 4), 450, "lm:25", 1.9e-5, end=0.1),
    "interface2d": Short(KAN((4,), 5, 3), 500, "lm:25", 1e-3),
    "klein_gordon1d": Short(KAN((4,), 7, 6), 700, "lm:50", 4e-7),
    "kovasznay2d": Short(KAN((5,), 7, 5), 700, "lm:40", 4e-6),
    "laplace2d": Short(KAN((3,), 7, 4), 400, "lm:20", 2.1e-7),
    "kuramoto_sivashinsky1d": Short(KAN((4, 4), 7, 4), 450, "lm:25", 2.5e-3, end=0.05),
    "nonlinear_poisson2d": Short(KAN((4,), 7, 4), 500, "lm:40", 2e-6),
    "poisson2d": Short(KAN((4,), 7, 4), 500, "lm:40", 1.5e-5),
    "poisson2d_multiscale": Short(KAN((6,), 7, 10), 900, "lm:35", 2.7e-4, constants={"scale": 1}),
    "poisson2d_paper": Short(KAN((5,), 7, 6), 800, "lm:50", 4e-5),
    "poisson3d": Short(KAN((4,), 7, 3), 700, "lm:40", 2.5e-7),
    "heat5d": Short(Additive((4,), 5, 1), 500, "lm:30", 3.2e-3),
    "poisson100d": Short(Additive((3,), 5, 1), 400, "lm:10", 3.6e-3, constants={"size": 12}),
    "poisson5d": Short(KAN((2,), 5, 3), 60, "lm:4", 2e-5),
    "reaction1d": Short(KAN((5, 5), 7, 4), 700, "lm:60", 2.5e-4),
    "reaction_diffusion1d": Short(KAN((5, 5), 7, 4), 1200, "lm:60", 1.5e-5),
    "schrodinger1d": Short(KAN((5,), 7, 7), 600, "lm:30", 9.5e-5, end=0.3),
    "taylor_green2d": Short(KAN((4,), 7, 3), 500, "lm:20", 2.9e-2),
    "wave1d": Short(KAN((5,), 7, 4), 600, "lm:50", 4.5e-5),
    "wave1d_multiscale": Short(KAN((5, 5), 7, 5), 600, "lm:40", 8e-6, end=0.2),
    "wave_packet1d": Short(KAN((5,), 7, 6), 600, "lm:30", 2e-3, end=0.5),
    "annulus2d": Short(KAN((5, 5), 7, 3), 600, "lm:40", 3.3e-2),
    "elasticity2d_plate": Short(KAN((7,), 7, 5), 800, "lm:40", 5.3e-2),
    "heat2d_disk": Short(KAN((4,), 7, 3), 700, "lm:20", 5e-4),
    "poisson2d_holes": Short(KAN((6, 6), 7, 3), 900, "lm:25", 4.3e-3),
    "poisson2d_holes_source": Short(KAN((8, 8), 7, 4), 1200, "lm:30", 7e-2),
    "poisson2d_lshape": Short(KAN((4, 4), 5, 3), 400, "lm:15", 7.8e-3),
}

FLOWS = {
    "backward_step2d": Short(KAN((4, 4), 7, 3), 400, "lm:12", 7.8e-2),
    "cylinder_flow2d": Short(KAN((4, 4), 5, 3), 600, "lm:12", 0.42, lenses=True),
}
"""Those that nothing else solves here: what is bounded is the residual on fresh points."""

ORDINARY = {"lorenz": {}, "van_der_pol": {"mu": 10, "end": 20}}
"""Ordinary differential equations, which spans of polynomials solve by default, with constants that
take little time."""

TONES = ("drum2d",)
"""Eigenvalue problems, which products of splines solve (products/test_eigenvalues.py)."""

WITH_INTEGRALS = ("fredholm1d", "heat1d_heater", "heat1d_mean")
"""Those with integrals, which products of splines solve by default."""

COLLOCATED = {
    "poisson2d_holes": holes,
    "poisson2d_holes_source": screened,
    "poisson2d_lshape": lshape,
}

CELLS = {"allen_cahn1d": 512, "cavity2d": 48, "gray_scott2d": 48}
"""Of the finite differences that judge those without an exact solution or one by Fourier modes."""


@dataclass(frozen=True)
class Found:
    """A small recipe for an inverse problem, constants for its file's, and the relative error of
    all parameters that it reaches."""

    recipe: Recipe
    bound: float
    constants: Mapping[str, float] = field(default_factory=dict)


INVERSE = {
    "burgers1d_inverse": Found(Recipe(KAN((4,), 5, 4), 300, "lm:20", data=10), 0.13, {"nu": 0.05}),
    "heat1d_source": Found(
        Recipe(KAN((3,), 5, 4), 200, "lm:10", fields={"q": KAN((2,), 5, 3)}), 0.11
    ),
    "navier_stokes2d_inverse": Found(Recipe(KAN((4,), 5, 3), 200, "lm:15", data=10), 0.8),
    "poisson2d_conductivity": Found(
        Recipe(KAN((3,), 5, 3), 200, "lm:10", fields={"a": KAN((2,), 3, 3)}), 7e-3
    ),
}
"""What stands for the parameters is estimates.Estimates.relative_error: numbers and fields."""


def truth(name, whole, problem):
    """Points of the problem's domain [points, dimensions], and the solution there [points,
    unknowns]."""
    if whole.exact:
        at = inside_points(problem.domain, 2000, 77)
        return at, torch.stack(list(whole.exact_values(at).values()), 1)
    if name in COLLOCATED:
        at = inside_points(problem.domain, 2000, 77)
        return at, torch.from_numpy(COLLOCATED[name]()(*at.numpy().T))[:, None]
    if name in RINGS:
        ring, times = RINGS[name], np.linspace(*problem.domain.bounds["t"], 17)
        x = ring.ends[0] + (ring.ends[1] - ring.ends[0]) * np.arange(ring.modes) / ring.modes
        at = np.stack([axis.ravel() for axis in np.meshgrid(x, times, indexing="ij")], 1)
        return torch.from_numpy(at), torch.from_numpy(integrate(ring, times).reshape(-1, 1))
    found = reference(problem, order=4, cells=CELLS[name])
    return torch.from_numpy(found.points()), torch.stack(
        [torch.from_numpy(found.values[u].ravel()) for u in problem.unknowns], 1
    )


def error(name, seed):
    short = SHORT[name]
    whole = problems.load(name, short.constants)[0]
    problem = stopped(whole, short.end)
    recipe = Recipe(short.network, short.points, short.schedule, continuation=short.continuation)
    solution, _ = train(problem, recipe, seed, "cpu", torch.float64, Silent())
    at, wanted = truth(name, whole, problem)
    found, wanted = solution(at)[:, : short.unknowns], wanted[:, : short.unknowns]
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("name", SHORT)
def test_a_short_schedule_reaches_the_stated_error(name):
    assert error(name, 0) < SHORT[name].bound


def fresh_residual(name, seed):
    """Mean squared residual of the equations at fresh points after a short schedule."""
    short = FLOWS[name]
    _, history = train(
        problems.load(name)[0],
        Recipe(
            short.network,
            short.points,
            short.schedule,
            lenses=short.lenses,
            crowding=0.5 if short.lenses else 0.0,
        ),
        seed,
        "cpu",
        torch.float64,
        Silent(),
    )
    return history.records[-1].fresh


@pytest.mark.parametrize("name", FLOWS)
def test_a_short_schedule_reaches_the_stated_residual(name):
    assert fresh_residual(name, 0) < FLOWS[name].bound


def inverse_error(name, seed):
    found = INVERSE[name]
    problem = problems.load(name, found.constants)[0]
    estimates = solve(problem, recipe=found.recipe, seed=seed, reference=False).estimates
    return estimates.relative_error


@pytest.mark.parametrize("name", INVERSE)
def test_parameters_are_found_on_a_short_schedule(name):
    assert inverse_error(name, 0) < INVERSE[name].bound


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_equations_are_solved_by_default(name):
    problem, _ = problems.load(name, ORDINARY[name])
    result = solve(problem, reference=False)
    times = np.linspace(*problem.domain.bounds["t"], 500)
    truth = integrated(name, times, ORDINARY[name])
    for unknown, wanted in zip(problem.unknowns, truth, strict=False):
        values = result(t=times) if len(problem.unknowns) == 1 else result(t=times)[unknown]
        assert np.linalg.norm(values - wanted) < 1e-7 * np.linalg.norm(wanted)


@pytest.mark.parametrize("name", WITH_INTEGRALS)
def test_integrals_are_solved_by_default(name):
    result = solve(problems.load(name)[0], reference=False, pictures=False)
    assert isinstance(result.solution, TensorSolution)
    assert result.relative_l2 < 1e-9
    assert result.solution.numbers() == pytest.approx(result.problem.truth, rel=1e-9)


def test_a_wall_in_the_weather_is_solved_by_default():
    result = solve(problems.load("wall1d")[0], tolerance=1e-5, reference=False, pictures=False)
    x, t = np.linspace(0, 0.3, 13), np.linspace(0, 24 * 3600, 97)
    truth = wall_temperatures(x, t)
    X, T = np.meshgrid(x, t, indexing="ij")
    found = result(x=X.ravel(), t=T.ravel()).reshape(truth.shape)
    assert np.abs(found - truth).max() < 1e-5 * np.ptp(truth)


def test_no_problem_is_forgotten():
    products = {*ORDINARY, *WITH_INTEGRALS, *TONES, "wall1d"}
    assert {*SHORT, *FLOWS, *INVERSE} | products == set(gallery())
