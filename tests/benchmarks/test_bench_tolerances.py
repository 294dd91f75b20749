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
