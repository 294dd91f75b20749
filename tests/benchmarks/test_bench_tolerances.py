"""The benchmark of tolerances, on two small problems."""

import json

from benchmarks import tolerances


def test_true_errors_stand_over_what_was_asked_for(tmp_path):
    lines = []
    found = tolerances.run(tmp_path, lines.append, ["heat1d", "boundary_layer1d"], [1e-4])
    rows = json.loads((tmp_path / "benchmarks/tolerances.json").read_text("utf-8"))["rows"]
    assert [row["problem"] for row in rows] == ["heat1d", "boundary_layer1d"]
    assert all(row["met"] and 0 < row["error"] < 1e-4 for row in rows)
    assert rows[0]["spans"] > 1
    assert found["tolerances"]["rows"][2]["value"] == 0
    page = (tmp_path / "benchmarks/tolerances.md").read_text("utf-8")
    assert "| heat1d | 0.0001 |" in page
    assert "tolerances called met and missed: 0" in page


def test_what_float64_holds_stands_beside_what_is_published(tmp_path):
    found = tolerances.run(tmp_path, lambda line: None, ["klein_gordon1d"], [1e-4, 1e-12])
    page = (tmp_path / "benchmarks/tolerances.md").read_text("utf-8")
    (line,) = (one for one in page.splitlines() if "4.8e-06" in one)
    assert float(line.split("|")[2]) < 1e-12
    assert "| klein_gordon1d | 1e-12 |" not in page
    shares = found["tolerances"]["rows"][1]["value"]
    assert shares > 1e-4, "of what was asked for 1e-12 no share is asked"
