"""Strict tests: float64, floating-point errors raise, generators seeded, fresh memory poisoned,
nothing global left behind, and no test skipped but for a reason that is listed here."""

import gc
import os

# Before CUDA starts: its matrix products are deterministic only then.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# Threads that spin while they wait starve each other on a busy machine, thirtyfold.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Tests that run beside each other share the cores: one thread each, in the processes that they
# start as well. Read when NumPy, SciPy and PyTorch are first imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Numba makes errors in every search for a function that fits; painted ones take longer.
os.environ.setdefault("NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING", "1")

# The kernels in plain PyTorch, here and in processes that are started, unless others are asked for.
# The compiled ones take seconds for each degree and layout of channels on a machine that has not
# seen them, which is more than short trainings gain by them; see `kernels` below.
os.environ.setdefault("KANPDE_KERNELS", "plain")

import torch

# Triton decides between its compiler and its interpreter when it is first imported, which any test
# file may do while tests are collected. (PyTorch itself imports it only when asked to compile.)
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

import random
import shutil
import sys
from dataclasses import replace
from math import sqrt
from pathlib import Path

import evaluated_shapes  # noqa: F401  # its hook checks the shapes of what is imported after it
import numpy as np
import pytest
import reached_lines

from kanpde.networks.kan import KAN
from kanpde.networks.trial_space import trial_space
from kanpde.problem import execution
from kanpde.problem import file as problems
from kanpde.reference import Reference
from kanpde.results.fields import exact_on
from kanpde.results.result import Result, measure, measure_reference
from kanpde.runs.folder import save
from kanpde.training.history import History, Record

TESTS = Path(__file__).parent

if reached_lines.ASKED:
    vars(execution)["compile"] = reached_lines.compile_problem

LONGEST = (
    "problems/test_gallery_training.py",
    "kernels/test_network.py",
    "docs/test_documentation.py",
    "problems/test_gallery.py",
    "reference/test_reference.py",
    "sweeps/test_processes.py",
    "products/test_families_by_products.py",
    "kernels/test_spline_jet.py",
    "test_types.py",
    "benchmarks/test_bench_kernels.py",
    "reference/test_embedded.py",
    "training/test_shards.py",
    "reference/test_patchwork.py",
    "reference/test_evolution.py",
    "test_solver.py",
    "runs/test_resume.py",
    "runs/test_started.py",
    "products/test_eigenvalues.py",
    "test_blas.py",
    "products/test_integral_equations.py",
    "exports/test_function.py",
    "products/test_ordinary_equations.py",
    "results/test_members.py",
    "cli/test_cli.py",
    "kernels/test_triton_compiles.py",
    "interpret/test_explain.py",
    "training/test_checkpoint.py",
    "recipes/test_dimensions.py",
    "networks/test_spans.py",
    "experiments/test_experiments.py",
    "test_imports.py",
    "kernels/test_triton_jet.py",
    "products/test_products_on_pieces.py",
    "problem/test_user_problems.py",
    "inverse/test_estimates.py",
    "interpret/test_prune.py",
    "kernels/test_triton_network.py",
    "reference/test_constraints.py",
    "soak/test_faults.py",
    "hostile/test_inputs.py",
    "products/test_adaptive.py",
    "products/test_layers_in_time.py",
    "kernels/test_triton_runs.py",
    "reference/test_ordinary.py",
    "reference/test_steady.py",
    "reference/test_collocation.py",
    "training/test_gauss_newton.py",
    "reports/test_notebook.py",
    "networks/test_bases.py",
    "benchmarks/test_bench_shards.py",
    "sweeps/test_figures.py",
    "training/test_sparsity.py",
    "reports/test_report.py",
    "products/test_immersed.py",
    "training/test_train.py",
    "results/test_quantities.py",
    "training/test_optimisers.py",
    "products/test_conserved.py",
    "products/test_inside_in_time.py",
    "networks/test_joint.py",
    "results/test_diagnosis.py",
    "interpret/test_edges.py",
    "reference/test_elements.py",
    "inverse/test_following.py",
    "test_wheel.py",
    "training/test_singular_starts.py",
    "networks/test_derivatives.py",
    "runs/test_tensor_runs.py",
    "reference/test_switches_in_time.py",
    "fitting/test_fit.py",
    "kernels/test_activation.py",
    "sweeps/test_local.py",
    "products/test_numbers_beside.py",
    "geometry/test_planar.py",
    "interpret/test_compress.py",
    "training/test_far_terms.py",
    "reference/test_norms.py",
)
"""Test files that take longest, in the order in which they begin."""

THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
"""Of PyTorch in a test, and of our kernels."""

COLLECTED = 10_000
"""New objects after which the garbage collector looks; after Python's 700 it takes a fiftieth of
the time of the tests."""

SKIPS = (
    "needs a GPU",
    "there is a GPU",
    "there is no Chromium here",
    "the long soak",
    "not on this system",
)
"""How the reasons begin for which a test may be skipped; with any other it fails, so that no part
of the suite falls asleep unseen."""


@pytest.fixture(autouse=True)
def strict():
    """The state that every test starts from, put back when it ends."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    torch.set_num_threads(THREADS)
    # New memory is then filled with nan (torch.utils.deterministic). `use_deterministic_algorithms`
    # does the same, and imports a compiler for seconds.
    torch.set_deterministic_debug_mode("error")
    assert torch.get_default_dtype() == torch.float32, "an earlier test changed the default dtype"
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        yield
    torch.set_deterministic_debug_mode("default")
    torch.set_default_dtype(torch.float32)
    assert "matplotlib.pyplot" not in sys.modules, "pyplot keeps global figures; use Figure"


@pytest.fixture(scope="module", autouse=True)
def kernels(request):
    """The kernels that users have, where a file is about them, or is marked `compiled`."""
    compiled = request.path.parent.name == "kernels" or request.node.get_closest_marker("compiled")
    with pytest.MonkeyPatch.context() as patch:
        if compiled and os.environ["KANPDE_KERNELS"] == "plain":
            patch.delenv("KANPDE_KERNELS")
        yield


def pytest_sessionfinish():
    """Write down which lines were reached, where that was asked for."""
    if reached_lines.ASKED:
        reached_lines.write()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Fail what is skipped for a reason that is not in SKIPS."""
    return awake((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Fail a whole file that is skipped so."""
    return awake((yield))


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that no process is left alone with one at the end:
    make test hands out whole files."""
    rank = {name: k for k, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(TESTS).as_posix(), len(rank)))


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Modules and tests live as long as the process: they are set aside, where the garbage
    collector does not look through them again and again; and it looks less often."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(COLLECTED, 10, 10)
        gc.enable()


def awake(report):
    """The report, failed where its skip is not one of those that may be."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not reason.startswith(SKIPS):
            report.outcome = "failed"
            report.longrepr = f"skipped, but its reason is not in SKIPS of conftest.py: {reason}"
    return report


def fitted(problem, spec, seed=0, steps=30, points=400):
    """A solution fitted to the exact solution by a few damped Gauss-Newton steps: a solved problem
    without a solver."""
    generator = torch.Generator().manual_seed(seed)
    network = spec.build(
        trial_space(problem, corners=False).inputs, len(problem.unknowns), generator
    )
    solution = trial_space(problem, corners=False).solution(network)
    at = problem.domain.interior(
        torch.rand(points, len(problem.coordinates), generator=generator, dtype=torch.float64)
    )
    (unknown,) = problem.unknowns
    target = problem.exact_values(at)[unknown]
    frame = solution.frame(at, [(unknown, (0,) * len(problem.coordinates))])
    ones = torch.ones(points, 1, dtype=torch.float64)
    history = History(stages=[("LM, grid 4", "steps done"), ("LM, grid 4 again", "steps done")])
    damping, loss = 1e-2, float("inf")
    for step in range(steps):
        jets = network.forward(frame.X, frame.counts)
        residual = frame.derivatives(jets[-1])[:, 0] - target
        if float(residual @ residual) / points < loss:
            damping, loss, best = damping / 8, float(residual @ residual) / points, network.theta
            J = network.jacobian(jets, frame.adjoint(ones, 1), frame.counts).dense()
            normal, gradient = J.T @ J / points, J.T @ residual / points
        else:
            damping *= 4
        history.records.append(
            Record(
                step,
                2 * step // steps,
                0.01 * step,
                loss,
                2 * loss if step % 3 == 0 else float("nan"),
                sqrt(loss),
                network.parameters,
            )
        )
        network.theta = best - torch.linalg.solve(
            normal + damping * torch.eye(len(best), dtype=best.dtype), gradient
        )
    network.theta = best
    return solution, history


def referenced(problem, nodes=17):
    """What finite differences would return, of a known error."""
    grid = {x: np.linspace(low, high, nodes) for x, (low, high) in problem.domain.bounds.items()}
    values = {u: (1 + 1e-6) * v for u, v in exact_on(problem, grid).items()}
    return Reference(
        coordinates=grid,
        values=values,
        order=4,
        kind="finite differences of order 4",
        estimated_error=1e-6,
        seconds=0.5,
    )


def solved(problem, spec=None, reference=True, **options):
    """A Result with everything in it, made in a fraction of a second."""
    solution, history = fitted(problem, spec or KAN((3,), 5, 4), **options)
    relative, largest = measure(problem, solution)
    found = referenced(problem) if reference else None
    settings = {
        "seed": 0,
        "device": "cpu",
        "dtype": "float64",
        "points": 400,
        "schedule": "lm:6,lm:6",
        "restarts": 1,
    }
    about = {
        "reference": found,
        "reference_relative_l2": measure_reference(solution, found) if found else None,
        "reference_note": "" if found else "not asked for",
    }
    return Result(problem, solution, history, settings, 0.25, relative, largest, **about)


@pytest.fixture(scope="session")
def poisson():
    return problems.load("poisson2d")[0]


@pytest.fixture(scope="session")
def result(poisson):
    """A solved poisson2d, shared: leave it as it is."""
    return solved(poisson)


@pytest.fixture(scope="session")
def saved(result, tmp_path_factory):
    """The run folder of a copy of `result`, shared: leave it as it is."""
    return save(replace(result), tmp_path_factory.mktemp("results"))


@pytest.fixture
def run(saved, tmp_path):
    """A copy of a run folder, to do with as one likes."""
    return shutil.copytree(saved, tmp_path / "run")
