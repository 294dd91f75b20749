"""The problems with independent truths: that verdicts of some of them keep the rule, and that the
rule is counted as it should be."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import tables
from benchmarks.commands import main
from benchmarks.judged import campaign
from benchmarks.judged.judgement import ALARM, COMFORT, Judgement, judged
from benchmarks.judged.registry import FIELDS, OFFSET, PLAIN, SCALED, chosen, entries
from benchmarks.judged.sums import page, ratios, targets
from benchmarks.judged.truths import IndependentTruth, scale
from kanpde import ProblemError, RunError

SMALL_PART = (
    "torricelli",
    "heated_wall",
    "fin:offset",
    "steel_plate",
    "catalyst",
    "column",
)
"""Those that are solved here."""

REFUSED = ("two_conductivities",)
"""Those that are refused when they are built."""

ABOUT = {
    "commit": "a" * 12,
    "cores": 2,
    "threads": 1,
    "date": "today",
    "processor": "a CPU",
    "platform": "Linux",
    "load": None,
}


@pytest.mark.parametrize("key", SMALL_PART)
def test_verdicts_of_a_small_part_keep_the_rule(key):
    row = judged(entries()[key], effort="quick")
    assert not row.refused
    assert not row.breaks, row
    assert row.error < 1e-6


def row(**given):
    known = {
        "problem": "fin",
        "units": PLAIN,
        "field": "walls",
        "effort": "quick",
        "verdict": "converged",
        "distance": 1e-6,
        "own": 1e-7,
        "errors": {"T": 1e-6},
        "doubts": {"T": 1e-12},
        "truth": "closed form",
        "provenance": ABOUT,
    }
    return Judgement(**{**known, **given})


@pytest.mark.parametrize(
    ("given", "broken"),
    [
        ({}, ""),
        ({"errors": {"T": 1e-5}}, ""),
        ({"errors": {"T": 2e-5}}, COMFORT),
        ({"errors": {"T": 1e-7, "u": 2e-5}}, COMFORT),
        ({"errors": {"T": 2e-5}, "doubts": {"T": 1e-5}}, ""),
        ({"errors": {"T": None}}, COMFORT),
        ({"errors": {}, "truth": ""}, COMFORT),
        ({"errors": {"T": 2e-5}, "distance": None}, COMFORT),
        ({"verdict": "not converged"}, ALARM),
        ({"verdict": "not converged", "errors": {"T": 2e-4}}, ""),
        ({"verdict": "not converged", "doubts": {"T": 1e-3}}, ""),
        ({"verdict": "not converged", "errors": {}}, ""),
        ({"verdict": "not judged"}, ""),
        ({"verdict": "limited by its reference", "errors": {"T": 1.0}}, ""),
    ],
)
def test_a_verdict_that_breaks_the_rule_is_told(given, broken):
    assert row(**given).breaks == broken


def test_the_sums_count_what_breaks_the_rule():
    rows = [
        row(),
        row(problem="tent", errors={"u": 1.0}),
        row(problem="tent", units=OFFSET, errors={"u": 1.0}),
        row(problem="string", verdict="not converged"),
        row(problem="shock", verdict="", refused="no"),
        row(problem="rail", verdict="", late="stopped"),
    ]
    found = {r["what"]: r for part in targets(rows).values() for r in part["rows"]}
    comfort, alarm, *_ = found.values()
    assert (comfort["value"], comfort["verdict"]) == (2, "missed")
    assert (alarm["value"], alarm["verdict"]) == (1, "must")
    counted = {what: found[what]["value"] for what in ("converged", "refused", "stopped")}
    assert counted == {"converged": 2, "refused": 1, "stopped": 1}


def test_errors_in_other_units_are_compared_but_for_rounding():
    def three(*errors, doubt=1e-14):
        return [
            row(units=units, errors={"T": error}, doubts={"T": doubt})
            for units, error in zip((PLAIN, SCALED, OFFSET), errors, strict=True)
        ]

    assert ratios(three(1e-6, 2e-6, 4e-6)) == {"fin": pytest.approx(4)}
    assert ratios(three(1e-13, 1e-15, 2e-12, doubt=1e-12)) == {"fin": pytest.approx(2)}
    assert ratios(three(1e-6, None, 1e-6)) == {"fin": math.inf}
    assert ratios(three(1e-6, 1e-6, 1e-6)[:2]) == {}


def test_twelve_problems_are_posed_in_other_units_and_their_truths_are_the_same():
    known = entries()
    twelve = {entry.name for entry in known.values() if entry.units != PLAIN}
    assert len(twelve) == 12
    scaled = {pose.__name__: units for field in FIELDS for pose, units in field.SCALED.items()}
    for name in twelve - {"pendulum"}:  # it is marched for seconds
        plain, other, offset = (
            known[key].pose().truth() for key in (name, f"{name}:{SCALED}", f"{name}:{OFFSET}")
        )
        for u, values in plain.values.items():
            np.testing.assert_allclose(scaled[name].shown_all(values), other.values[u], atol=1e-12)
            np.testing.assert_allclose(offset.values[u], other.values[u] + 300, rtol=1e-15)
            assert scale(offset.values[u]) == pytest.approx(scale(other.values[u]))
            assert 0.01 < scale(other.values[u]) < 3, "scaled values are of size 1"


@pytest.mark.filterwarnings("ignore::kanpde.errors.ProblemWarning")
def test_every_problem_is_posed_without_its_solution():
    known = [entry for entry in entries().values() if entry.units == PLAIN]
    assert len(known) >= 50
    for entry in known:
        if entry.name in REFUSED:
            with pytest.raises(ProblemError, match="jump"):
                entry.pose()
        else:
            assert not entry.pose().problem.exact, "the truth would be the judge"


def test_distances_are_over_the_variation_of_each_unknown():
    values = {"T": np.array([299.0, 301.0]), "v": np.array([5.0, 5.0])}
    truth = IndependentTruth({"x": np.array([0.0, 1.0])}, values)
    found = truth.distances({"T": values["T"] + 0.5, "v": values["v"] + 0.5})
    assert found == pytest.approx({"T": 0.5, "v": 0.1})
    assert truth.error("T") == pytest.approx(300e-14)


@pytest.fixture
def pretended(monkeypatch):
    """Processes that find something at once; the keys that were asked for."""
    asked = []

    def found(entry, plan):
        asked.append(entry.key)
        return replace(row(), problem=entry.name, units=entry.units, effort=plan.effort)

    monkeypatch.setattr(campaign, "_in_own_process", found)
    monkeypatch.setattr(tables, "has_changed", {"a" * 12: False}.get)
    return asked


def test_what_is_known_is_kept_until_it_is_named_or_the_code_changes(
    pretended, monkeypatch, tmp_path
):
    everything = [*entries()]
    campaign.run(tmp_path, print, campaign.Plan(["fin"], "quick"))
    assert pretended == ["fin", "fin:scaled", "fin:offset"]
    campaign.run(tmp_path, print, campaign.Plan(effort="quick", jobs=2))
    assert sorted(pretended) == sorted(everything)
    campaign.run(tmp_path, print, campaign.Plan(effort="quick"))
    assert len(pretended) == len(everything)
    campaign.run(tmp_path, print, campaign.Plan(["fin:scaled"], "quick"))
    assert pretended[-1] == "fin:scaled"
    lines = (tmp_path / "benchmarks" / "judged.jsonl").read_text().splitlines()
    assert [json.loads(line)["problem"] for line in lines] == [e.name for e in entries().values()]
    assert "| fin | quick |" in (tmp_path / "benchmarks" / "judged.md").read_text()
    monkeypatch.setattr(tables, "has_changed", {"a" * 12: True}.get)
    del pretended[:]
    campaign.run(tmp_path, print, campaign.Plan(effort="quick"))
    assert pretended == everything


def test_a_table_names_its_commits_and_what_was_refused():
    text = page([row(), row(problem="tent", refused="Problem(…): no", verdict="")])
    assert tables.commits(text) == ["a" * 12]
    assert "- `tent` (as it is): Problem(…): no" in text


def test_the_command_refuses_and_prints_json(pretended, tmp_path, capsys):
    assert main(["judged", "--only", "fins", "--out", str(tmp_path)]) == 2
    assert "did you mean" in capsys.readouterr().err
    assert main(["judged", "--only", "fin", "--json", "--out", str(tmp_path)]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"the rule", "verdicts"}
    (tmp_path / "benchmarks" / "judged.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match="move it away"):
        campaign.run(tmp_path, print, campaign.Plan(["fin"]))


def test_a_problem_is_chosen_by_name_or_in_one_system_of_units():
    assert [entry.key for entry in chosen(["fin:scaled", "tent"])] == ["tent", "fin:scaled"]


def test_a_process_that_takes_too_long_is_stopped():
    found = campaign._in_own_process(entries()["fin"], campaign.Plan(minutes=1e-3))
    assert found.late
    assert not found.breaks
