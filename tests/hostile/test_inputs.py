"""Generated inputs come to a solution or to one line; `make soak` tries 2,000 of them, these are
the first few of each kind."""

import hashlib
import json

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from inputs import Broken, Inputs, kinds, outcome
from nursery import End

import kanpde
from kanpde.errors import ProblemWarning, RunError
from kanpde.runs.safe_reading import guarded, opened

FEW = {"problem files": 6, "run folders": 8, "data files": 8, "command lines": 8}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("kind", FEW)
def test_every_input_comes_to_a_solution_or_one_line(inputs, kind):
    strategy, carry = kinds(inputs)[kind]
    seen = []

    @settings(
        max_examples=FEW[kind],
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(value):
        seen.append(carry(value))

    each()
    assert len(seen) == FEW[kind]
    assert "one line" in seen


@pytest.mark.parametrize(
    "end",
    [
        End(1, "Traceback (most recent call last):\nKeyError: 'recipe'\n"),
        End(-11, ""),
        End(2, ""),
        End(2, "error: one\nerror: two\n"),
        End(0, "error: what\n"),
        End(70, "Traceback"),
    ],
)
def test_anything_else_is_seen(end):
    with pytest.raises(Broken):
        outcome(end)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda file, outside: file.__setitem__("a", h5py.ExternalLink(str(outside), "/secret")),
            "/a: a link in place of an array",
        ),
        (lambda file, outside: file.__setitem__("g/a", h5py.SoftLink("/b")), "/g/a: a link"),
        (
            lambda file, outside: file.create_dataset(
                "a", shape=(9,), dtype=float, external=[(str(outside), 0, 72)]
            ),
            "/a: its values lie in another file",
        ),
        (lambda file, outside: _virtual(file, outside), "/a: its values lie in another file"),
        (lambda file, outside: file.__setitem__("a", file["/"]), "a group that holds itself"),
        (
            lambda file, outside: file.create_dataset(
                "a", shape=(10**12,), chunks=(1000,), dtype=float
            ),
            "/a: says that it has 8,000,000,000,000 bytes, and holds 0",
        ),
        (lambda file, outside: file.__setitem__("a", h5py.Empty(float)), "/a: holds no values"),
    ],
)
def test_arrays_that_lie_elsewhere_are_not_read(tmp_path, make, message):
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file["secret"] = np.arange(9.0)
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["b"] = np.zeros((300, 300))
        make(file, tmp_path / "outside.h5")
    with pytest.raises(RunError, match=message):
        guarded(tmp_path / "run.h5", lambda path: opened(path).__enter__())


@pytest.mark.parametrize("place", ["run", "relative"])
def test_a_problem_file_that_comes_with_a_run_is_not_executed(run, tmp_path, place, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil = (run if place == "run" else tmp_path) / "evil.py"
    evil.write_text("from pathlib import Path\nPath('executed').touch()\n")
    summary = json.loads((run / "summary.json").read_text())
    summary["settings"] |= {
        "source": str(evil.name if place == "relative" else evil),
        "source_sha256": hashlib.sha256(evil.read_bytes()).hexdigest(),
    }
    (run / "summary.json").write_text(json.dumps(summary))
    with pytest.warns(ProblemWarning, match="is not executed"):
        found = kanpde.load(run)
    assert found.problem is None
    assert not (tmp_path / "executed").exists()


def test_what_is_whole_is_read(tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file.create_dataset("zeros", data=np.zeros(10**6), compression="gzip")
        file["twice"] = file["zeros"]
        file["empty"] = np.zeros(0)
    with opened(tmp_path / "run.h5") as file:
        assert file["twice"].shape == (10**6,)


def _virtual(file, outside):
    layout = h5py.VirtualLayout(shape=(9,), dtype=float)
    layout[:] = h5py.VirtualSource(str(outside), "secret", shape=(9,))
    file.create_virtual_dataset("a", layout)
