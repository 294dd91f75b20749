"""Formulas of networks that were fitted to tables, through the commands: exact where the rows are,
down to their noise where they are not."""

import json

import numpy as np
import pytest
import sympy

import kanpde
from kanpde.cli import main
from kanpde.interpret import explain_fit
from kanpde.interpret.formulas import uncertainty
from kanpde.interpret.structure import APPROXIMATE_ABOVE, ranked, sample


def table(path, rows, noise, **columns):
    """A CSV of made-up rows: x and y in [-1, 1], and columns that are functions of them."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (2, rows))
    data = {"x": x, "y": y} | {
        name: function(x, y) + noise * rng.normal(size=rows) for name, function in columns.items()
    }
    path.write_text(
        "\n".join(
            [
                ",".join(data),
                *(",".join(map(repr, map(float, row))) for row in zip(*data.values(), strict=True)),
            ]
        )
    )
    return path


def fitted(data, tmp_path, *options):
    """The folder of a run of `fit`."""
    assert (
        main(["fit", str(data), "--restarts", "1", "--out", str(tmp_path / "runs"), *options]) == 0
    )
    (folder,) = (tmp_path / "runs" / data.stem).iterdir()
    return folder


def test_a_fit_is_explained_by_the_command(tmp_path, capsys):
    data = table(tmp_path / "wave.csv", 400, 0.0, z=lambda x, y: 2 * np.sin(np.pi * x) + y**2)
    folder = fitted(
        data,
        tmp_path,
        "--target",
        "z",
        "--network",
        "kan",
        "--width",
        "2",
        "--degree",
        "7",
        "--grid",
        "3",
        "--schedule",
        "lm:40,extend:6,lm:40",
    )
    capsys.readouterr()
    assert main(["explain", str(folder), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["found"], shown["residual"], shown["symbolic"]) == (True, None, None)
    assert shown["distance"] < 1e-4
    x, y = sympy.symbols("x y")
    assert (
        sympy.simplify(sympy.sympify(shown["formula"]) - (2 * sympy.sin(sympy.pi * x) + y**2)) == 0
    )
    assert (folder / "formula.txt").read_text() == f"z = {shown['formula']}\n"
    assert main(["explain", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "to the network, relative L2" in out
    assert "residual" not in out.partition("candidate")[0]


def test_noisy_rows_give_a_short_formula():
    """The uncertainty is that of least squares, and a formula is no longer than it allows."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-1, 1, (2, 800))
    clean = np.sin(3 * x) + 0.5 * y
    found = kanpde.fit(
        {"x": x, "y": y, "z": clean + 0.05 * rng.normal(size=800)},
        "z",
        network=kanpde.KAN((), 3, 5),
        schedule="lm:20",
        seed=0,
    )
    expected = 0.05 / np.sqrt(np.mean(clean**2)) * np.sqrt(16 / found.task.count(0))
    assert uncertainty(found)["z"] == pytest.approx(expected, rel=0.3)
    explained = explain_fit(found, seconds=60)
    formula = explained.formulas["z"]
    assert explained.found
    assert sympy.count_ops(formula) <= 10
    assert formula.has(sympy.sin)
    at = sympy.lambdify(sympy.symbols("x y", real=True), formula)(x, y)
    assert np.sqrt(np.mean((at - clean) ** 2)) < 0.02


def test_the_noise_decides_between_short_and_near():
    t = np.linspace(-1, 1, 50)
    sampled = sample(lambda p: np.sin(p[:, 0]), {"x": (-1.0, 1.0)}, 0.05)
    assert sampled.noise == 0.05
    assert 0 < sampled.floor < sampled.noise
    from kanpde.interpret.form import Form, constant

    k, c, x = constant(), constant(), sympy.Symbol("x", real=True)
    short, near = (
        (Form(k * x, {k: 1.0}, 1.0), 0.04),
        (Form(k * x + c * x**3, {k: 1.0, c: -0.1}, 3.0), 1e-3),
    )
    assert ranked([short, near])[0] == near
    assert ranked([short, near], 0.05)[0] == short
    assert APPROXIMATE_ABOVE < 0.05 < float(np.ptp(t))


def test_a_classifier_and_too_many_inputs_are_refused_in_one_line(tmp_path, capsys):
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(6)]
    rows = rng.uniform(-1, 1, (120, 6))
    data = tmp_path / "six.csv"
    data.write_text(
        "\n".join(
            [
                ",".join([*names, "z", "side"]),
                *(
                    ",".join(map(repr, map(float, row)))
                    + f",{float(row.sum())!r},{'right' if row[0] > 0 else 'left'}"
                    for row in rows
                ),
            ]
        )
    )
    options = [
        "--network",
        "kan",
        "--width",
        "1",
        "--degree",
        "3",
        "--grid",
        "1",
        "--schedule",
        "lm:3",
    ]
    for target, inputs, expected in (
        ("z", ",".join(names), "got 6 variables"),
        ("side", "x0,x1", "the fit tells classes apart (left, right); expected one of numbers"),
    ):
        folder = fitted(data, tmp_path / target, "--target", target, "--inputs", inputs, *options)
        before = sorted(folder.iterdir())
        capsys.readouterr()
        assert main(["explain", str(folder)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert expected in line
        assert sorted(folder.iterdir()) == before
