"""Run folders of earlier versions, and of versions that are still to come."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from kanpde import RunError, load
from kanpde.problem import file as problems

OLD = Path(__file__).parent / "data" / "run-0.1.0"
"""Solved and written by kanpde 0.1.0, without pictures; only the paths in it were made up since."""


@pytest.fixture
def old(tmp_path):
    return shutil.copytree(OLD, tmp_path / "old")


@pytest.mark.filterwarnings("ignore:.*has changed since the run was made")
def test_a_run_of_the_first_version_loads(old):
    found = load(old)
    before = json.loads((old / "summary.json").read_text())
    assert found.relative_l2 == before["relative_l2"]
    assert found.provenance["kanpde"] == "0.1.0"
    assert len(found.history.records) == before["steps"] == 6
    x = y = found.fields.grid["x"][::12]
    values = found(x=x[:, None], y=y)
    np.testing.assert_allclose(values, found.fields.solution["u"][::12, ::12], atol=1e-12)
    now = found.summary()
    for key in set(before) - {"advice", "reference", "run_dir"}:
        assert now[key] == before[key], key
    assert now["reference"]["relative_l2"] == before["reference"]["relative_l2"]
    assert found.verdict.status == "not converged"


@pytest.mark.filterwarnings("ignore:.*has changed since the run was made")
def test_advice_of_the_first_version_is_reason_and_cure(old):
    summary = json.loads((old / "summary.json").read_text())
    summary["advice"] = ["under-sampled: 1 on these and 2 on those; try --points 240, or less"]
    (old / "summary.json").write_text(json.dumps(summary))
    found = load(old).verdict
    assert found.reason == "27 % from the exact solution; under-sampled: 1 on these and 2 on those"
    assert found.cures == ("--points 240, or less",)


def test_a_run_of_another_format_names_the_version_that_wrote_it(old):
    summary = json.loads((old / "summary.json").read_text())
    summary["format"], summary["provenance"]["kanpde"] = "kanpde run 7", "3.2.0"
    (old / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(RunError, match=r"written by kanpde 3\.2\.0 in the format 'kanpde run 7'"):
        load(old, problems.load("poisson2d")[0])
