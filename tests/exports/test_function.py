"""The solution as TorchScript and as an ONNX model gives the solution's numbers without kanpde,
boundary values included."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import cos, sin

from kanpde import (
    KAN,
    Box,
    Dirichlet,
    Initial,
    Neumann,
    Periodic,
    Problem,
    ProblemError,
    RunError,
    Time,
    d,
)
from kanpde.exports import export, function
from kanpde.networks.registry import SPECS
from kanpde.networks.spans import Spans, span
from kanpde.networks.trial_space import trial_space
from kanpde.results.result import Result
from kanpde.runs.folder import load
from kanpde.training.history import History

# Networks with random coefficients are solutions of nothing, and as good as any for this.

STEADY = Problem(
    domain=Box(x=(-1, 1), y=(0, 2)),
    equations=lambda u, x, y: d(u, x, x) + d(u, y, y, y, y) - 1,
    conditions=[
        Dirichlet(u=lambda x, y: sin(3 * x) + y),
        Neumann(u=lambda x: -(x**2), on="y-"),
        Neumann(u=1, on="y+"),
    ],
)
WAVE = Problem(
    domain=Box(x=(0, 1)) * Time(t=(0, 1)),
    equations=lambda u, x, t: d(u, t, t) - d(u, x, x),
    conditions=[
        Dirichlet(u=0),
        Initial(u=lambda x: sin(torch.pi * x), u_t=lambda x: sin(2 * torch.pi * x)),
    ],
)
SYSTEM = Problem(
    domain=Box(x=(-1, 1)) * Time(t=(0, 1)),
    equations=[lambda u, v, x, t: d(u, t) - d(v, x), lambda u, v, x, t: d(v, t) - d(u, x)],
    conditions=[Periodic("x"), Initial(u=lambda x: cos(torch.pi * x), v=1)],
)


def candidate(problem, spec, seed=0):
    network = spec.build(
        trial_space(problem, corners=False).inputs,
        len(problem.unknowns),
        torch.Generator().manual_seed(seed),
    )
    return trial_space(problem, corners=False).solution(network)


def in_spans(problem, spec, count=3):
    found = []
    for k in range(count):
        found.append(candidate(span(problem, k, count, found[-1] if found else None), spec, k))
    return Spans(found)


def result_of(problem, solution):
    return Result(problem, solution, History(), {"seed": 0}, 0.0)


def at(problem, count=257):
    generator = torch.Generator().manual_seed(3)
    points = problem.domain.interior(
        torch.rand(count, len(problem.coordinates), generator=generator, dtype=torch.float64)
    )
    points[:4] = torch.tensor(list(problem.domain.bounds.values()), dtype=torch.float64)[
        :, torch.tensor([0, 1, 0, 1])
    ].T  # corners
    return points


def compare(problem, solution, found, points):
    wanted = solution(points)
    assert len(found) == len(problem.unknowns)
    for i, column in enumerate(found):
        assert float((torch.as_tensor(column) - wanted[:, i]).abs().max()) <= 1e-12 * float(
            wanted.abs().max()
        )


@pytest.mark.parametrize("kind", SPECS)
def test_torchscript_of_every_kind_of_network(kind, tmp_path):
    solution = candidate(STEADY, SPECS[kind]())
    (path,) = export(result_of(STEADY, solution), ["torchscript"], tmp_path)
    points = at(STEADY)
    compare(STEADY, solution, torch.jit.load(path)(*points.T), points)


CASES = {
    "a velocity": (WAVE, lambda: candidate(WAVE, KAN((4,), 5, 4))),
    "two unknowns on a ring": (SYSTEM, lambda: candidate(SYSTEM, KAN((4, 3), 5, 4))),
    "spans of time": (WAVE, lambda: in_spans(WAVE, KAN((2,), 4, 2))),
    "float32": (STEADY, lambda: in_float32(candidate(STEADY, KAN((4,), 5, 4)))),
}


def in_float32(solution):
    solution.network = solution.network.to("cpu", torch.float32)
    return solution


@pytest.mark.parametrize("case", list(CASES))
def test_torchscript_of_every_kind_of_solution(case, tmp_path):
    problem, make = CASES[case]
    solution = make()
    (path,) = export(result_of(problem, solution), ["torchscript"], tmp_path)
    loaded = torch.jit.load(path)
    points = at(problem)
    found, wanted = loaded(*points.T), solution(points)
    tolerance = 1e-12 if wanted.dtype == torch.float64 else 1e-5
    for i, column in enumerate(found):
        assert column.dtype == wanted.dtype
        assert float((column - wanted[:, i]).abs().max()) <= tolerance * float(wanted.abs().max())
    assert torch.equal(loaded(*points[:1].T)[0], found[0][:1])


def test_torchscript_needs_no_kanpde_and_keeps_boundary_values(tmp_path):
    (path,) = export(
        result_of(STEADY, candidate(STEADY, KAN((4,), 5, 4))), ["torchscript"], tmp_path
    )
    script = (
        "import sys, torch; f = torch.jit.load(sys.argv[1]); x = torch.linspace(-1, 1, 7,"
        " dtype=torch.float64); u, = f(x, 0 * x + 2);assert 'kanpde' not in sys.modules;"
        " print(float((u - 2 - torch.sin(3 * x)).abs().max()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-14


def test_onnx_by_its_reference_evaluator_and_by_onnxruntime(tmp_path):
    import onnx

    solution = candidate(WAVE, KAN((4,), 5, 4))
    (path,) = export(result_of(WAVE, solution), ["onnx"], tmp_path)
    model = onnx.load(path)
    assert [i.name for i in model.graph.input] == list(WAVE.coordinates)
    assert [o.name for o in model.graph.output] == list(WAVE.unknowns)
    from onnx.reference import ReferenceEvaluator

    evaluators = [ReferenceEvaluator(model)]
    if importlib.util.find_spec("onnxruntime"):
        import onnxruntime

        evaluators.append(onnxruntime.InferenceSession(path))
    for evaluator in evaluators:
        for count in (1, 300):
            points = at(WAVE, 300)[:count]
            feed = dict(zip(WAVE.coordinates, np.ascontiguousarray(points.T.numpy()), strict=True))
            compare(WAVE, solution, evaluator.run(None, feed), points)


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        RunError, match=r"onnx: needs onnx, which is not installed: pip install 'kanpde\[onnx\]'"
    ):
        export(result_of(STEADY, candidate(STEADY, KAN((2,), 3, 2))), ["onnx"], tmp_path)


def test_what_differs_from_the_solution_is_not_written(monkeypatch, tmp_path):
    solution = candidate(STEADY, KAN((4,), 5, 4))
    honest = function.values
    monkeypatch.setattr(
        function,
        "values",
        lambda solution, columns: tuple(u * (1 + 1e-9) for u in honest(solution, columns)),
    )
    with pytest.raises(
        RunError, match=r"differs from the solution by 1\.0e-09; expected 1e-12 at most"
    ):
        export(result_of(STEADY, solution), ["torchscript"], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_choice_by_values_is_refused(tmp_path):
    solution = candidate(STEADY, KAN((4,), 5, 4))

    def chosen(columns):
        u = solution(torch.stack(list(columns), 1))
        return ((u * float(u.max())).unbind(1)) if len(u) > 15 else u.unbind(1)

    from kanpde.exports.recorded import recorded

    with pytest.raises(
        RunError,
        match=r"computed in other ways at other points|a number in the solution's formula differs",
    ):
        recorded(chosen, STEADY.coordinates, at(STEADY, 13), at(STEADY, 17))


def test_a_run_whose_problem_is_gone_is_named(run, monkeypatch, tmp_path):
    from kanpde.runs import source

    monkeypatch.setattr(source, "find_again", lambda *about: None)
    with pytest.raises(ProblemError, match="was not found again"):
        export(load(run), ["torchscript"], tmp_path)
