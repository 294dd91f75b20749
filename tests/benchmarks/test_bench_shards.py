"""The benchmark of several processes: its terms are found from times that they made, and the page
says what holds where. No times are asserted."""

import json
import sys

import pytest
import torch

from benchmarks import shard_terms, shards
from benchmarks.commands import main
from benchmarks.figure import plot_shards
from benchmarks.rows import BenchmarkError
from benchmarks.shards import Sizes, cases
from kanpde import RunError

TRUE = {
    "jacobian": {"call": 1e-4, "point": 1e-6, "point·parameter": 2e-9},
    "normal": {"call": 1e-4, "point·parameter": 1e-9, "point·parameter²": 1e-11},
    "trial": {"call": 2e-4, "point": 5e-7, "point·parameter": 1e-9},
    "factor": {"call": 1e-5, "parameter²": 1e-9, "parameter³": 2e-11},
    "slope": {"call": 1e-4, "point": 7e-7, "point·parameter": 3e-9},
    "message": {"latency": 1e-4, "byte": 1e-9},
}


def made(processes, terms=TRUE):
    """Rows whose times are exactly what the terms add up to."""
    rows = []
    for points, width in cases(shards.POINTS, shards.WIDTHS):
        n, P = points / processes, 90 * width
        row = {
            part: sum(x * shard_terms.PER[term](n, P) for term, x in own.items())
            for part, own in terms.items()
            if part != "message"
        }
        sizes = {"bytes": 4 * P * (P + 3) + 8, "short bytes": 8 * P}
        row |= sizes | {
            name: shard_terms.message(terms, sizes[size], processes)
            for name, size in (("message", "bytes"), ("short message", "short bytes"))
        }
        row |= {
            "processes": processes,
            "points": points,
            "parameters": P,
            "reason": None,
            "trials": 1.0,
        }
        row["step"] = sum(shard_terms.step(terms, points, P, processes).values())
        rows.append(
            row | {"gradient": sum(shard_terms.gradient(terms, points, P, processes).values())}
        )
    return rows


def test_the_terms_are_those_that_made_the_times():
    rows = made(1) + made(2)
    for processes in (1, 2):
        found = shard_terms.fitted(rows, processes)
        assert set(found) == set(TRUE) - ({"message"} if processes == 1 else set())
        for part, terms in found.items():
            assert terms == pytest.approx(TRUE[part], rel=1e-6), part
        assert shard_terms.worst(rows, found, processes) == pytest.approx(1, rel=1e-6)
    rows[0]["step"] *= 3
    assert shard_terms.worst(rows, shard_terms.fitted(rows, 1), 1) == pytest.approx(3, rel=1e-6)


def test_a_message_goes_round_a_ring():
    """By hand: 2 · 63 latencies, and 2 · 63 / 64 of the bytes."""
    assert shard_terms.message(TRUE, 1e6, 64) == pytest.approx(126e-4 + 126 / 64 * 1e-3)
    assert shard_terms.message(TRUE, 1e6, 2) == pytest.approx(2e-4 + 1e-3)
    assert shard_terms.message(TRUE, 1e6, 1) == 0
    assert shard_terms.step(TRUE, 1000, 100, 64)["normal"] == pytest.approx(
        1e-4 + 1000 / 64 * (1e-7 + 1e-7)
    )


def test_what_is_said_on_paper_is_the_sum_of_the_terms():
    terms = {"1": {part: own for part, own in TRUE.items() if part != "message"}, "2": TRUE}
    text = "\n".join(shards.on_paper(terms, "cpu"))
    assert f"P = 450 is {sum(shard_terms.step(TRUE, 1e9, 450, 64).values()):.3g} s" in text
    assert "15.6 million points, and 15 GB" in text
    assert "64 such CPU cores" in text
    assert "worked out, not measured" in text
    alone = "\n".join(shards.on_paper({"1": terms["1"]}, "cuda"))
    assert "unmeasured" in alone
    assert " s (" not in alone, "nothing is said of messages that nobody measured"


def test_a_toy_is_measured_by_one_and_by_two_processes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shards, "WIDTHS", (1, 2, 3))
    assert main(["shards", "--quick", "--points", "60,200", "--out", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["processes"], row["points"], row["parameters"]) for row in rows] == [
        (k, n, P)
        for k in (1, 2)
        for n, P in ((200, 90), (200, 180), (60, 450), (200, 270), (200, 450))
    ]
    assert all(
        row[part] > 0
        for row in rows
        for part in (
            "step",
            "gradient",
            "slope",
            "jacobian",
            "normal",
            "trial",
            "factor",
            "message",
        )
    )
    assert all(row["trials"] == 1 and row["reason"] is None for row in rows)
    folder = tmp_path / "benchmarks"
    found = json.loads((folder / "shards.json").read_text())
    assert {"processor", "commit", "load", "date"} <= set(found["cpu"]["provenance"])
    assert (
        found["cpu"]["provenance"]["command"]
        == "python -m benchmarks shards --points 60,200 --quick"
    )
    assert set(found["cpu"]["terms"]) == {"1", "2"}
    text = (folder / "shards.md").read_text()
    assert "64 such CPU cores" in text
    assert "Unmeasured, and not estimated: `python -m benchmarks shards --device cuda`" in text
    assert (folder / "shards.png").stat().st_size > 10_000


def test_what_is_left_out_says_why(tmp_path, monkeypatch):
    rows = [
        {"processes": k, "points": 60, "parameters": 450, "reason": "the minutes were over"}
        for k in (1, 2)
    ]
    monkeypatch.setattr(shards, "_measured", lambda processes, asked: [rows[processes - 1]])
    assert shards.run(tmp_path, print, Sizes((60,), (2,), 1), minutes=1) == rows
    text = (tmp_path / "benchmarks" / "shards.md").read_text()
    assert text.count("the minutes were over") == 2
    assert plot_shards(rows).axes[0].get_lines()[:] == []


def test_what_cannot_be_measured_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RunError, match="there is no GPU here"):
        shards.run(tmp_path, print, device="cuda")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "shards.json").write_text('{"cpu": 3}')
    with pytest.raises(RunError, match="move it away"):
        shards.run(tmp_path, print)
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(BenchmarkError, match="2 processes cannot be measured"):
        list(shards._measured(2, {}))
