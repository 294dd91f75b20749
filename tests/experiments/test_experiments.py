"""The papers' experiments at toy size: what each claims holds there as well."""

import contextlib
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from orders import observed

import kanpde
from kanpde import KAN, MLP
from kanpde.cli import main
from kanpde.networks.jets import nested_derivatives
from kanpde.problem.file import load
from kanpde.results.quantities import quantities

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))
import closed_forms
import cylinder_forces
import exp_sin_formula
import five_peaks
import mobility_edge
import moons
import special_functions
import toy_functions
import toy_pykan

KNOTS = [
    "chern_simons",
    "cusp_volume",
    "hyperbolic_adjoint_torsion_degree",
    "hyperbolic_torsion_degree",
    "injectivity_radius",
    "longitudinal_translation",
    "meridinal_translation_imag",
    "meridinal_translation_real",
    "short_geodesic_imag_part",
    "short_geodesic_real_part",
    "Symmetry_0",
    "Symmetry_D3",
    "Symmetry_D4",
    "Symmetry_D6",
    "Symmetry_D8",
    "Symmetry_Z/2 + Z/2",
    "volume",
]
"""Columns of the published table of knot invariants (Davies et al. 2021, Nature 600), besides
`signature`."""


def test_errors_fall_as_the_grid_is_refined(monkeypatch):
    short = replace(toy_functions.TOYS["bessel"], grids=(40, 80), mlps=((3,),))
    monkeypatch.setitem(toy_functions.TOYS, "bessel", short)
    found = toy_functions.measure("bessel", steps=20, rows=600)["curves"]
    assert [N for N, _ in found["MLP, tanh"]] == [2 * 3 + 3 + 1]
    (N, e), (N7, e7) = (np.array(found[f"KAN, degree {degree}"])[-2:].T for degree in (3, 7))
    assert observed(e, 1 / N, rounding=1e-13) > 3.5  # cubic splines: N⁻⁴
    assert e7[-1] < 1e-3 * e[-1]
    assert N7[-1] < 100


def test_the_worst_seed_is_drawn():
    runs = [
        {"label": "f", "rows": 9, "seed": seed, "curves": {"KAN": [(10, e), (20, e / 10)]}}
        for seed, e in enumerate((0.1, 0.3, 0.2))
    ]
    found = toy_functions.worst(runs)
    assert found["curves"] == {"KAN": [(10, 0.3), (20, 0.03)]}
    assert found["seeds"] == [0, 1, 2]


def test_a_product_takes_few_parameters():
    task = toy_functions.task_of(toy_functions.TOYS["product"], 400, 0)
    ((parameters, error),) = toy_functions.curve(task, KAN((2,), 7, 3), "lm:40", 1, 0)
    assert parameters == 60
    assert error < 1e-4


def test_formulas_tell_the_moons_apart():
    found, _ = moons.experiment(rows=300)
    assert found["accuracy_of_formulas"] > 0.97
    assert all("sin" in formula for formula in found["formulas"].values())


def test_the_formula_is_recovered_exactly():
    found, _ = exp_sin_formula.experiment(rows=400, steps=40)
    assert found["formula"] == "exp(y**2 + sin(pi*x))"
    assert found["exactly"]


def test_a_closed_form_is_read_off_a_fresh_run(monkeypatch):
    def command(*arguments):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert main([*arguments, "--json"]) == 0
        return json.loads(printed.getvalue())

    monkeypatch.setattr(closed_forms, "command", command)
    found = closed_forms.experiment(
        "laplace2d",
        60,
        "--schedule",
        "lm:20",
        "--restarts",
        "1",
        "--points",
        "400",
        "--no-reference",
    )
    assert found["formula"] == "x**4 - 6*x**2*y**2 + y**4"
    assert (found["residual"], found["boundary_error"], found["symbolic"]) == (0, 0, True)
    assert found["network"]["relative_l2"] < 1e-2
    about = {"commit": "abc", "date": "today", "processor": "a CPU"}
    table = closed_forms.page(
        {"problems": {"laplace2d": found}, "provenance": about, "command": "python"}
    ).splitlines()
    assert "| `u = x**4 - 6*x**2*y**2 + y**4` | 0 | 0 | yes |" in table[-1]


def test_pykan_is_judged_by_its_best_grid_and_its_splines_alone():
    assert toy_pykan.parameters((2, 1, 1), 5) == 24
    assert toy_pykan.best(
        [[24, 0.1, 1.0], [33, 0.05, 1.0], [39, float("nan"), 1.0], [69, 0.2, 1.0]]
    ) == (33, 0.05)


def test_a_spline_remembers_and_a_perceptron_forgets():
    spline, _ = five_peaks.experiment(KAN((), 3, 100), steps=15, rows=60)
    perceptron, _ = five_peaks.experiment(MLP((12, 12)), steps=15, rows=60)
    assert max(spline) < 2e-4
    assert perceptron[-1] > 0.1


def test_the_mobility_edge_is_found():
    found, _ = mobility_edge.experiment(sites=144, couplings=15, rows=1500)
    assert found["accuracy_of_the_learned_edge"] > 0.95
    assert found["learned_edge"]["c1"] == pytest.approx(-2, abs=0.3)
    assert found["learned_edge"]["c0"] == pytest.approx(2, abs=0.3)


def test_states_beyond_the_edge_are_localised():
    weak, strong = (mobility_edge.states(144, 1, a) for a in (0.01, 0.9))
    assert (weak["state"] == "extended").mean() > 0.9  # λ = ½, almost Aubry and André's model
    assert (strong["state"] == "extended").mean() < 0.9


def test_special_functions_are_known_at_points():
    at = np.array([0.5])
    assert special_functions.FUNCTIONS["sph_harm, m = 0, n = 1"](at, np.zeros(1)) == pytest.approx(
        np.sqrt(3 / (4 * np.pi))
    )
    assert special_functions.FUNCTIONS["lpmv, m = 0"](np.array([0.2]), at) == pytest.approx(
        0.0, abs=1e-12
    )  # P₁(0)
    assert special_functions.measure("ellipeinc", rows=200, steps=15)["kan"]["rmse"] < 1e-4


def test_a_table_of_knots_trains_the_signature_classifier(tmp_path, capsys):
    """A made-up table with the published columns: the signature follows the translations, and the
    rest is noise."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, len(KNOTS)))
    slope = (
        X[:, KNOTS.index("longitudinal_translation")]
        + X[:, KNOTS.index("meridinal_translation_real")]
    )
    signature = 2 * np.round(slope).astype(int)
    lines = [
        ",".join(["", *KNOTS, "signature"]),
        *(
            f"{i}," + ",".join(map(repr, map(float, row))) + f",{s}"
            for i, (row, s) in enumerate(zip(X, signature, strict=True))
        ),
    ]
    (tmp_path / "knots.csv").write_text("\n".join(lines))
    options = [
        "--network",
        "kan",
        "--width",
        "2",
        "--degree",
        "3",
        "--grid",
        "3",
        "--schedule",
        "lm:25",
        "--restarts",
        "1",
    ]
    assert (
        main(
            [
                "fit",
                str(tmp_path / "knots.csv"),
                "--target",
                "signature",
                "--classes",
                *options,
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )
    assert "accuracy" in capsys.readouterr().out
    (folder,) = (tmp_path / "knots").iterdir()
    found = kanpde.load_fit(folder)
    assert found.solution.network.widths[0] == 17
    assert (
        found.scores["test"]["accuracy"]
        > 1.3 * max(np.unique(signature, return_counts=True)[1]) / 400
    )


def test_forces_on_a_cylinder_are_integrals_of_its_traction():
    """Of u = y, v = 2 y (y - 2), p = -3 x, by Gauss's theorem: drag over half of ρ U² D is 2 · 3
    π/4, lift 2 (∫ Δv) / Re = 2 · 4 · π/4 / 20."""

    class Known:
        def derivatives(self, points, leaves):
            functions = {
                "u": lambda at: at[1],
                "v": lambda at: 2 * at[1] * (at[1] - 2),
                "p": lambda at: -3 * at[0],
            }
            return torch.stack(
                [nested_derivatives(functions[u], points, [index])[index] for u, index in leaves], 1
            )

        def evaluate(self, function, x, y):
            found = quantities(problem, self, function, torch.tensor(np.array([x, y])).T)
            return found if len(found) > 1 else found[0]

    problem, _ = load(cylinder_forces.NAME)
    found = cylinder_forces.coefficients(Known())
    assert found == pytest.approx(
        {"drag": 1.5 * np.pi, "lift": np.pi / 10, "pressure_difference": 0.12}, rel=1e-12
    )
