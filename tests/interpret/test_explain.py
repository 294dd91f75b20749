"""Closed forms: read off values, made exact by the residual, proved; wrong ones are refused, and
where there is none it is said."""

import json

import numpy as np
import pytest
import sympy
import torch

from kanpde.cli import main
from kanpde.errors import ProblemError, RunError
from kanpde.interpret import explain, explain_function, explain_values
from kanpde.interpret import verify as verify_module
from kanpde.interpret.verify import verify
from kanpde.problem import file as problems

SOLUTIONS = {
    "poisson2d": {"u": "sin(pi*x)*sin(pi*y)"},
    "laplace2d": {"u": "x**4 - 6*x**2*y**2 + y**4"},
    "heat1d": {"u": "exp(-pi**2*t/10)*sin(pi*x) + exp(-9*pi**2*t/10)*sin(3*pi*x)/2"},
    "advection1d": {"u": "exp(sin(2*pi*(x - t)))"},
    "wave1d": {"u": "sin(pi*x)*cos(pi*t) + sin(2*pi*x)*sin(2*pi*t)/2"},
    "kovasznay2d": {
        "u": "1 - exp((20 - 2*sqrt(100 + pi**2))*x)*cos(2*pi*y)",
        "v": "(10 - sqrt(100 + pi**2))/pi*exp((20 - 2*sqrt(100 + pi**2))*x)*sin(2*pi*y)",
        "p": "(1 - exp((40 - 4*sqrt(100 + pi**2))*x))/2",
    },
}


def parsed(name):
    symbols = {x: sympy.Symbol(x, real=True) for x in problems.load(name)[0].coordinates}
    return {u: sympy.sympify(f, locals=symbols) for u, f in SOLUTIONS[name].items()}


def perturbed(problem):
    """Functions like a network's: the solution, and a smooth error of 1e-7."""

    def of(u):
        def values(points):
            exact = problem.exact_values(torch.from_numpy(np.ascontiguousarray(points)))[u].numpy()
            return exact + 1e-7 * np.cos(5 * points[:, 0] + 3 * points[:, -1])

        return values

    return {u: of(u) for u in problem.unknowns}


@pytest.fixture
def patient(monkeypatch):
    """No proof is given up because the machine is slow or busy."""
    monkeypatch.setattr(verify_module, "within", lambda seconds, function: function())


@pytest.mark.parametrize("name", SOLUTIONS)
def test_the_solution_is_recovered_exactly(name, patient):
    problem = problems.load(name)[0]
    found = explain_values(name, perturbed(problem), problem.domain.bounds, problem)
    assert found.found
    assert found.exact_constants
    assert found.symbolic() is True
    assert found.residual() < 1e-30
    assert found.boundary_error() < 1e-30
    for u, formula in parsed(name).items():
        assert sympy.simplify(sympy.expand(found.formulas[u] - formula, trig=True)) == 0
        assert found.distance[u] < 1e-6


@pytest.mark.parametrize("name", ["poisson2d", "kovasznay2d"])
def test_verification_accepts_the_solution_and_rejects_its_neighbour(name):
    problem, right = problems.load(name)[0], parsed(name)
    assert all(check.error < 1e-30 and check.symbolic for check in verify(problem, right))
    wrong = {u: f * (1 + sympy.Rational(1, 10**9)) for u, f in right.items()}
    assert max(check.error for check in verify(problem, wrong)) > 1e-10
    assert False in {check.symbolic for check in verify(problem, wrong)}


def test_where_there_is_no_closed_form_it_is_said():
    problem = problems.load("burgers1d_smooth")[0]
    found = explain_values(
        "burgers1d_smooth", perturbed(problem), problem.domain.bounds, problem, seconds=20
    )
    assert not found.found
    assert found.formulas
    assert found.residual() > 1e-3
    assert found.summary()["symbolic"] is False


def test_a_function_without_an_equation_is_found_as_a_composition():
    found = explain_function(
        lambda x, y: np.exp(np.sin(np.pi * x) + y**2), {"x": (-1, 1), "y": (-1, 1)}, name="f"
    )
    x, y = sympy.symbols("x y", real=True)
    assert found.found
    assert sympy.simplify(found.formulas["f"] - sympy.exp(sympy.sin(sympy.pi * x) + y**2)) == 0
    with pytest.raises(
        ProblemError, match="the function takes x, y and bounds name x; expected the same names"
    ):
        explain_function(lambda x, y: x + y, {"x": (0, 1)})


def test_the_command_writes_the_formula_of_a_run(run, capsys):
    assert main(["explain", str(run), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["formula"] == "sin(pi*x)*sin(pi*y)"
    assert shown["latex"].startswith(r"\sin")
    assert (shown["residual"], shown["boundary_error"], shown["symbolic"]) == (0, 0, True)
    assert json.loads((run / "formula.json").read_text()) == shown
    assert (run / "formula.txt").read_text() == "u = sin(pi*x)*sin(pi*y)\n"


def test_what_cannot_be_explained_is_refused_in_one_line(
    run, result, tmp_path, capsys, monkeypatch
):
    assert main(["explain", str(tmp_path / "nothing")]) == 2
    assert "no such run folder" in capsys.readouterr().err
    (run / "summary.json").unlink()
    before = sorted(run.iterdir())
    assert main(["explain", str(run)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert sorted(run.iterdir()) == before
    monkeypatch.setattr(result, "problem", None)
    with pytest.raises(ProblemError, match="was not found again"):
        explain(result)
    monkeypatch.setattr(result.history, "interrupted", True)
    with pytest.raises(RunError, match="interrupted before its end"):
        explain(result)
