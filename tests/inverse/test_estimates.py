"""Estimates: standard errors against the exact ones, intervals, what cannot be identified, and the
way to the run folder and back."""

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from trained import train, trained

from kanpde import (
    KAN,
    Box,
    Data,
    Dirichlet,
    Field,
    Parameter,
    Problem,
    Recipe,
    RecipeError,
    d,
    load,
    solve,
)
from kanpde.cli import main
from kanpde.inverse.estimates import vague
from kanpde.training.history import Silent
from kanpde.training.points import Collocation

TRUTH = {"k": 2.0, "c": 0.5}
RECIPE = Recipe(KAN(width=(2,), degree=5, grid=4), points=120, schedule="lm:40", data=1e-3)


def decay(u, k, c, t):
    return d(u, t) + k * u - c


def exact(t, k, c):
    return c / k + (1 - c / k) * np.exp(-k * t)


def inverse(seed=0, rows=60, noise=0.02, equation=decay, given=None, truth=TRUTH, **more):
    random = np.random.default_rng(seed)
    t = random.uniform(0, 1, rows)
    u = exact(t, **TRUTH) + noise * random.standard_normal(rows)
    parameters = [Parameter("k", initial=1, positive=True), Parameter("c", initial=1)]
    return (
        Problem(
            Box(t=(0, 1)),
            [equation],
            [Dirichlet(u=1, on="t-")],
            parameters=parameters,
            data=Data(t=t, u=u, noise=given),
            exact=truth,
            **more,
        ),
        t,
    )


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    problem, t = inverse(given=0.02)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return solve(problem, recipe=RECIPE, out=tmp_path_factory.mktemp("runs"), reference=True), t


def test_standard_errors_are_those_of_the_exact_model(solved):
    """σ² (SᵀS)⁻¹ with the sensitivities S of the exact solution at the estimates, by central
    differences: nothing of a network is in it."""
    result, t = solved
    found, h = result.estimates, 1e-6
    at = {e.name: e.value for e in found.numbers}
    S = np.stack(
        [
            (exact(t, **{**at, n: at[n] + h}) - exact(t, **{**at, n: at[n] - h})) / (2 * h)
            for n in ("k", "c")
        ],
        1,
    )
    covariance = 0.02**2 * np.linalg.inv(S.T @ S)
    errors = np.sqrt(covariance.diagonal())
    assert [e.standard_error for e in found.numbers] == pytest.approx(errors, rel=0.05)
    assert found.correlation[0, 1] == pytest.approx(covariance[0, 1] / errors.prod(), abs=0.01)
    assert found.degrees == pytest.approx(58, abs=0.2)
    assert found.noise["u"] == pytest.approx(0.02, rel=0.3)
    for e in found.numbers:
        assert e.interval[0] < TRUTH[e.name] < e.interval[1]
        assert e.interval[1] - e.interval[0] == pytest.approx(2 * 2.0 * e.standard_error, rel=0.05)
    assert found.notes == ()


def test_the_estimate_is_that_of_least_squares_with_the_exact_solution(solved):
    """As if the equation were solved exactly: the network and the weight of the data leave no mark
    on the estimate."""
    result, t = solved
    u = result.problem.data[0].values[:, 0].numpy()
    at = np.array(list(TRUTH.values()))
    for _ in range(20):
        h = 1e-6
        J = np.stack(
            [(exact(t, *(at + h * e)) - exact(t, *(at - h * e))) / (2 * h) for e in np.eye(2)], 1
        )
        at = at + np.linalg.lstsq(J, u - exact(t, *at), rcond=None)[0]
    for value, e in zip(at, result.estimates.numbers, strict=True):
        assert abs(value - e.value) < 0.05 * e.standard_error


def test_the_reference_takes_the_estimates(solved):
    result, _ = solved
    assert result.reference is not None
    assert result.reference_relative_l2 < 1e-3


def test_a_run_comes_back_with_its_estimates(solved):
    result, _ = solved
    summary = json.loads((result.run_dir / "summary.json").read_text())
    assert [row["name"] for row in summary["estimates"]] == ["k", "c"]
    assert set(summary["estimates"][0]) == {"name", "value", "standard_error", "interval", "truth"}
    assert summary["correlations"]["k"]["c"] == pytest.approx(
        float(result.estimates.correlation[0, 1])
    )
    assert (result.run_dir / "estimates.png").is_file()
    again = load(result.run_dir, result.problem)
    assert again.estimates.numbers == result.estimates.numbers
    assert np.array_equal(again.estimates.correlation, result.estimates.correlation)
    assert again(t=0.5) == result(t=0.5)


def test_a_product_is_identified_where_its_factors_are_not():
    """u_t = -k c u knows k c alone."""

    def product(u, k, c, t):
        return d(u, t) + k * c * u

    t = np.linspace(0, 1, 40)
    data = Data(t=t, u=np.exp(-2 * t) + 0.01 * np.random.default_rng(0).standard_normal(40))
    parameters = [
        Parameter("k", initial=1, positive=True),
        Parameter("c", initial=1, positive=True),
    ]
    found = solve(
        Problem(
            Box(t=(0, 1)), [product], [Dirichlet(u=1, on="t-")], parameters=parameters, data=data
        ),
        recipe=RECIPE,
        reference=False,
    ).estimates
    (note,) = found.notes
    assert note.startswith("the data cannot identify k/c (") or note.startswith(
        "the data cannot identify c/k ("
    )
    assert "they identify k c to" in note
    k, c = (e.value for e in found.numbers)
    assert k * c == pytest.approx(2, rel=0.05)
    assert all(e.standard_error > e.value for e in found.numbers)


def test_combinations_are_named_by_their_powers():
    J = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    covariance = torch.linalg.pinv(J.T @ J) * 1e-4 + 1e6 * torch.outer(
        *2 * [torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64)]
    )
    (line,) = vague([1.0, 1.0, 1.0], covariance, ["a", "b", "c"])
    assert line.startswith(
        "the data cannot identify a/b^0.5 (relative standard error 2.2e+03); they identify"
    )
    assert "a^0.5 b to" in line
    assert vague([1.0, 1.0], 1e-4 * torch.eye(2, dtype=torch.float64), ["a", "b"]) == []


def test_noise_that_is_given_too_small_is_said():
    problem, _ = inverse(given=0.005)
    found = solve(problem, recipe=RECIPE, reference=False).estimates
    assert any(
        "the misfit is" in note and "times the noise that was given" in note for note in found.notes
    )


def test_a_field_is_found_with_a_band(tmp_path):
    """u_xx = -q with q = π² sin πx."""

    def source(u, q, x):
        return d(u, x, x) + q

    x = np.linspace(0, 1, 200)
    data = Data(x=x, u=np.sin(math.pi * x) + 1e-3 * np.random.default_rng(1).standard_normal(200))
    known = {
        "u": lambda x: torch.sin(math.pi * x),
        "q": lambda x: math.pi**2 * torch.sin(math.pi * x),
    }
    problem = Problem(
        Box(x=(0, 1)),
        [source],
        [Dirichlet(u=0)],
        parameters=Field("q", of="x", initial=1),
        data=data,
        exact=known,
    )
    result = solve(
        problem,
        recipe=Recipe(KAN((3,), 7, 4), 200, "lm:40", fields={"q": KAN((2,), 5, 3)}),
        out=tmp_path,
    )
    (band,) = result.estimates.fields
    assert band.relative_l2 < 0.05
    error, told = (
        float(np.sqrt(np.mean(v**2))) for v in (band.values - band.exact, band.standard_error)
    )
    assert told / 3 < error < 3 * told
    assert result.reference_note == "its coefficients are unknown fields"
    assert set(result(x=0.5)) == {"u", "q"}
    again = load(result.run_dir, problem)
    assert np.array_equal(again.estimates.fields[0].standard_error, band.standard_error)
    assert json.loads((result.run_dir / "summary.json").read_text())["estimates"][0]["of"] == ["x"]


def test_schedules_that_do_not_fit_are_refused():
    problem, _ = inverse()
    with pytest.raises(RecipeError, match="sparsify and prune work on one network"):
        solve(problem, recipe=Recipe(KAN((2,)), 50, "lm:5,prune:1e-6"))


def test_an_interrupted_run_goes_on_with_the_same_bits():
    problem, _ = inverse()
    states = []

    class Every:
        def due(self, last=False):
            return True

        def keep(self, state):
            states.append(state)

    recipe = replace(RECIPE, data=1e3)
    training, end = trained(problem, recipe, keeper=Every())
    whole = training.result(end)
    assert len({state["points"]["data"] for state in states}) > 1, (
        "noisy data were weighed less on the way"
    )
    for kept in (states[3], states[-2]):
        again, _ = train(problem, recipe, 0, "cpu", torch.float64, Silent(), None, kept)
        assert torch.equal(again.network.theta, whole.network.theta)
    assert end.finished
    assert isinstance(end.points, Collocation)


def test_a_file_of_measurements_is_solved_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    t = np.linspace(0, 1, 40)
    rows = [f"{a},{exact(a, **TRUTH) + 0.01 * math.sin(50 * a)}" for a in t]
    (folder / "measured.csv").write_text("time,temperature\n" + "\n".join(rows) + "\n")
    (folder / "cooling.py").write_text('''"""Cooling towards a level, from a file."""
from kanpde import KAN, Box, Data, Dirichlet, Parameter, Problem, Recipe, d

def cooling(u, k, c, t):
    return d(u, t) + k * u - c

problem = Problem(
    domain=Box(t=(0, 1)),
    equations=[cooling],
    conditions=[Dirichlet(u=1, on="t-")],
    parameters=[Parameter("k", positive=True), Parameter("c")],
    data=Data("measured.csv", t="time", u="temperature"),
)
recipe = Recipe(KAN((2,), 5, 4), 120, "lm:30")
''')
    assert main(["solve", "elsewhere/cooling.py", "--json", "--no-reference"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["estimates"][0]["value"] == pytest.approx(2, rel=0.1)
    assert main(["solve", "elsewhere/cooling.py", "--no-reference"]) == 0
    shown = capsys.readouterr().out
    for text in (
        "parameters      k from 1, positive, c from 1",
        "40 rows of u",
        "standard error",
        "95 % interval",
        "correlation",
        "misfit",
    ):
        assert text in shown
