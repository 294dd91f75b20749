"""The benchmark of every kind of network: all are in it with about 500 parameters, the worst seed
counts, and rows stay. No times are asserted."""

import json
from dataclasses import replace

import pytest

from benchmarks import bases, rational
from benchmarks.commands import main
from benchmarks.measured import Limits
from benchmarks.rows import Quantity
from kanpde import KAN, RunError
from kanpde.networks.registry import SPECS, spec_of
from kanpde.recipes.recipe import Recipe
from kanpde.training import Extend, Refine

TINY = Recipe(KAN((2,), 3, 3), 60, "lm:4")


def test_every_kind_is_in_it_and_ends_with_about_as_many_parameters():
    found = bases.networks()
    assert {f"--network {kind}" for kind in SPECS if kind != bases.FOR_MANY} <= set(found)
    assert set(bases.VARIANTS) <= set(found)
    for options, kind in found.items():
        recipe = bases.recipe_of(options, kind)
        spec, grids = (
            recipe.network,
            [stage.grid for stage in recipe.stages if isinstance(stage, Extend)],
        )
        if grids:
            spec = replace(spec, **{spec.resolution: grids[-1]})
        least = 0 if any(isinstance(stage, Refine) for stage in recipe.stages) else 425
        assert least < spec.count(2, 1) <= bases.PARAMETERS, options  # Refine finds its own number


def test_the_options_name_the_settings():
    for options, settings in bases.VARIANTS.items():
        for name, value in settings.items():
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            assert f"{'--width ' if name == 'width' else f'--with {name}='}{shown}" in options


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(bases, "recipe_of", lambda options, kind: TINY)
    monkeypatch.setattr(
        bases.rational,
        "closures",
        lambda tell: [Quantity("GR-KAN over B-splines", 0.5, "times the time", 2, 1)],
    )


def test_the_worst_seed_counts_and_other_rows_stay(tmp_path, quick):
    told = []
    (row,) = bases.run(tmp_path, told.append, (0, 1), ("chebyshev",))
    assert row["value"] == max(row["more"]["relative_l2"])
    assert len(set(row["more"]["relative_l2"])) == 2
    assert row["verdict"] == "missed"
    assert len(told) == 2
    assert len(bases.run(tmp_path, told.append, (0,), ("mlp", "grkan"))) == 5
    found = json.loads((tmp_path / "benchmarks" / "bases.json").read_text())
    assert [r["what"] for r in found["rows"]] == [
        o for o, kind in bases.networks().items() if kind in ("chebyshev", "mlp", "grkan")
    ]
    assert (
        found["rows"][-2]["provenance"]["command"]
        == "python -m benchmarks bases --networks chebyshev --seeds 2"
    )
    page = (tmp_path / "benchmarks" / "bases.md").read_text()
    assert "`--network mlp --with activation=sin`" in page
    assert "GR-KAN over B-splines | 0.5 times the time" in page
    assert bases.run(tmp_path, told.append, (0,), ("fourier",), minutes=0) == []


def test_a_network_of_too_many_parameters_has_not_met_it(quick, monkeypatch):
    rows = []
    for most in (505, 5):
        monkeypatch.setattr(bases, "PARAMETERS", most)
        monkeypatch.setattr(bases, "MUST", 10.0)
        rows.append(bases._measured("--network kan", TINY, (0,), lambda line: None)["verdict"])
    assert rows == ["must", "missed"]


def test_what_is_no_result_stays_where_it_is(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "bases.json").write_text("[]")
    with pytest.raises(
        RunError,
        match=r"bases.json: is no result of `python -m benchmarks bases` \(TypeError\); move it",
    ):
        bases.run(tmp_path, print, (0,), ("mlp",))


def test_the_closures_are_compared_with_their_references_first(monkeypatch):
    monkeypatch.setattr(rational, "WIDTHS", ((3,),))
    rows = rational.closures(lambda line: None, 300, Limits(rounds=1, timing=0.1))
    assert [row.what.partition(":")[0] for row in rows] == [
        f"GR-KAN 2-3-1 over B-splines of degree {d}, grid {g}" for d, g in rational.GRIDS.items()
    ]
    assert all(row.value and row.must == 2 for row in rows)
    asked = []
    monkeypatch.setattr(rational, "check_agreement", lambda mine, other, who: asked.append(who))
    rational.closures(lambda line: None, 300, Limits(rounds=1, timing=0.1))
    assert asked == [
        "the plain path of grkan",
        *(f"the plain path of degree {d}, grid {g}" for d, g in rational.GRIDS.items()),
    ]


def test_the_command_says_what_it_cannot_do(tmp_path, quick, capsys):
    assert main(["bases", "--networks", "fou", "--out", str(tmp_path)]) == 2
    assert "--networks: got 'fou'" in capsys.readouterr().err
    assert main(["bases", "--device", "cpu", "--out", str(tmp_path)]) == 2
    assert "no such option: --device" in capsys.readouterr().err
    assert main(["bases", "--networks", "fourier", "--seeds", "1", "--out", str(tmp_path)]) == 0
    assert "--network fourier" in capsys.readouterr().out
    assert spec_of("fourier").kind == "fourier"
