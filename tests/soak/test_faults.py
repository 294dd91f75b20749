"""Runs that are struck at a random moment go on with the same bits; `make soak` does this sixty
times, and in all cases."""

import os
import random
import signal
import time

import faults
import pytest
from nursery import Nursery


@pytest.fixture(scope="module")
def nursery():
    return Nursery.shared()


STRUCK = [
    ("SIGKILL", "lm, two grids"),
    ("SIGTERM", "adam, soap, lbfgs"),
    ("Ctrl-C", "lm, two grids"),
    ("full disk", "lm, two grids"),
    ("NaN, then SIGKILL", "lm, two grids"),
    ("torn file", "lm, two grids"),
]


@pytest.fixture(scope="module")
def whole(nursery, tmp_path_factory):
    """What each case comes to that nothing strikes, once."""
    known = {}

    def found(case, nan):
        if (case, nan) not in known:
            known[case, nan] = faults.uninterrupted(
                nursery, case, tmp_path_factory.mktemp("whole") / "run", nan
            )
        return known[case, nan]

    return found


@pytest.mark.parametrize(("fault", "case"), STRUCK)
def test_a_run_goes_on_with_the_same_bits(nursery, whole, tmp_path, fault, case):
    struck = faults.FAULTS[fault]
    for seed in range(5):
        outcome = faults.blow(
            nursery, case, struck, tmp_path / str(seed), whole(case, struck.nan), seed
        )
        if outcome.struck:  # else it came too late
            return
    raise AssertionError("no fault came while the run was under way")


@pytest.mark.skipif(
    "KANPDE_SOAK" not in os.environ,
    reason="the long soak: here with KANPDE_SOAK=1",
)
def test_a_sweep_goes_on_with_its_half_done_trial(nursery, tmp_path):
    whole = faults.swept(nursery, tmp_path / "whole")
    assert len(whole["trials"]) == 4
    outcome = faults.blow_sweep(nursery, faults.FAULTS["Ctrl-C"], tmp_path / "struck", whole, 1)
    assert outcome.struck
    assert "kanpde sweep --resume" in outcome.said


def test_one_process_at_a_time_goes_on_with_a_run(nursery, tmp_path):
    first = nursery.start(
        [
            "solve",
            "poisson2d",
            "--schedule",
            "adam:100000",
            "--points",
            "100",
            "--restarts",
            "1",
            "--no-reference",
        ],
        tmp_path,
        eager=False,
    )
    struck = faults.Struck(nursery, tmp_path, first, random.Random(0))
    faults._until(struck, 3)
    second = nursery.run(["solve", "--resume", struck.run], tmp_path)
    assert second.code == 2
    assert f"another process ({first} on " in second.said
    faults.check_words(second)
    faults.FAULTS["SIGKILL"].strike(struck)
    assert nursery.wait(first).code == -signal.SIGKILL
    assert (struck.run / ".run.lock").exists()  # of a dead process: in nobody's way
    before = len(faults.steps(tmp_path))
    third = nursery.start(["solve", "--resume", struck.run], tmp_path)
    faults._until(
        faults.Struck(nursery, tmp_path, third, random.Random(0)), before + 10, by_lines=True
    )
    time.sleep(0.05)
    faults.FAULTS["Ctrl-C"].strike(faults.Struck(nursery, tmp_path, third, random.Random(0)))
    ended = nursery.wait(third)
    assert ended.code == 130, ended.said
    assert (struck.run / "training.pt").exists(), "Ctrl-C leaves the state behind"
    assert not (struck.run / ".run.lock").exists()
