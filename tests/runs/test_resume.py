"""Runs that were killed, ended or interrupted go on from their last state; nothing in their folders
is lost, and nothing overwritten."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import forked
import pytest
import torch
from forked import Forked, eager

import kanpde
from kanpde import KAN, Box, Dirichlet, Problem, Recipe, d
from kanpde.cli import main
from kanpde.errors import RunError
from kanpde.results import compared
from kanpde.runs import folder as run_folder
from kanpde.runs import keeper, lifetime
from kanpde.training.history import Silent

RECIPE = Recipe(KAN((3,), 5, 4), 200, "lm:12,extend:6,lm:12")
EAGER = "import sys, forked; sys.exit(forked.eager(*sys.argv[1:]))"
"""`eager` by a process that begins as a shell's does."""


class Stop(Exception):
    pass


class At(Silent):
    """Ends training, as a crash would, at a step."""

    def __init__(self, step):
        self.at, self.seen = step, []

    def step(self, record):
        self.seen.append(record.step)
        if record.step == self.at:
            raise Stop


@pytest.fixture(autouse=True)
def _eager(monkeypatch):
    monkeypatch.setattr(keeper, "STATE_EVERY", 0.0)
    monkeypatch.setattr(keeper, "STATE_SHARE", math.inf)


@pytest.fixture(scope="module")
def poisson():
    return kanpde.problem.file.load("poisson2d")[0]


def solved(problem, folder, **options):
    return kanpde.solve(
        problem, recipe=RECIPE, run_dir=folder, reference=False, pictures=False, **options
    )


def theta(result):
    return result.solution.network.theta


def test_a_crashed_run_goes_on_with_the_same_bits(poisson, tmp_path):
    whole = solved(poisson, tmp_path / "whole")
    assert not (tmp_path / "whole" / "training.pt").exists()
    folder = tmp_path / "crashed"
    for step in (3, 9, 17):  # it crashes again and again
        with pytest.raises(Stop):
            solved(poisson, folder, observer=At(step), resume=True)
        with pytest.raises(RunError, match=r"unfinished run .*--resume"):
            kanpde.load(folder)
    last = At(None)
    found = solved(poisson, folder, resume=True, observer=last)
    assert last.seen[0] in (16, 17), "only the step under way is done again"
    assert torch.equal(theta(found), theta(whole))
    assert [r.loss for r in found.history.records] == [r.loss for r in whole.history.records]
    assert not (folder / "training.pt").exists()
    before = (folder / "summary.json").read_bytes()
    assert torch.equal(
        theta(solved(poisson, folder, resume=True)), theta(whole)
    )  # finished: loaded
    assert (folder / "summary.json").read_bytes() == before


def test_an_interrupted_run_is_saved_and_can_go_on(poisson, tmp_path):
    class Pressed(Silent):
        def step(self, record):
            if record.step == 15:
                signal.raise_signal(signal.SIGINT)

    stopped = solved(poisson, tmp_path / "a", observer=Pressed())
    assert stopped.history.interrupted
    assert kanpde.load(tmp_path / "a").history.interrupted
    found = solved(poisson, tmp_path / "a", resume=True)
    assert not found.history.interrupted
    assert torch.equal(theta(found), theta(solved(poisson, tmp_path / "b")))


def test_ctrl_c_ends_behind_the_step_under_way_with_its_state(poisson, tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "STATE_EVERY", math.inf)  # no state but that one

    class Pressed(Silent):
        def step(self, record):
            if record.step == 15:
                signal.raise_signal(signal.SIGINT)

    assert solved(poisson, tmp_path, observer=Pressed()).history.interrupted
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    last = At(None)
    solved(poisson, tmp_path, resume=True, observer=last)
    assert last.seen[0] == 16


def test_a_second_ctrl_c_does_not_wait(poisson, tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "STATE_EVERY", math.inf)

    class Twice(Silent):
        def step(self, record):
            if record.step == 5:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)

    found = solved(poisson, tmp_path, observer=Twice())
    assert found.history.interrupted
    assert len(found.history.records) == 5
    assert not (tmp_path / "training.pt").exists()


def test_a_ctrl_c_that_nothing_can_answer_says_how_the_run_goes_on(
    poisson, tmp_path, monkeypatch, capsys
):
    def write(result, folder, pictures):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_folder, "write", write)
    with pytest.raises(KeyboardInterrupt) as stopped:
        solved(poisson, tmp_path / "a")
    assert stopped.value.__notes__ == [f"kanpde solve --resume {tmp_path / 'a'} goes on with it"]
    short = [
        "--width",
        "2",
        "--schedule",
        "lm:2",
        "--points",
        "50",
        "--restarts",
        "1",
        "--no-reference",
    ]
    assert main(["solve", "poisson2d", *short, "--out", str(tmp_path / "b")]) == 130
    (folder,) = tmp_path.glob("b/*/*")
    assert (
        capsys.readouterr().err.splitlines()[-1]
        == f"interrupted: kanpde solve --resume {folder} goes on with it"
    )


def test_one_process_has_a_run(poisson, tmp_path):
    with lifetime.Claim() as lock:
        lock.take(tmp_path)
        with pytest.raises(
            RunError,
            match=(
                rf"another process \({os.getpid()} on .*\) is at this run; wait for it, or end it"
            ),
        ):
            solved(poisson, tmp_path)
        assert not (tmp_path / "request.json").exists()
    assert not (tmp_path / lifetime.RUN_LOCK).exists()
    (tmp_path / lifetime.RUN_LOCK).write_text(
        "12345 on another machine"
    )  # of a process that is gone
    solved(poisson, tmp_path)
    assert not (tmp_path / lifetime.RUN_LOCK).exists()


def test_a_state_whose_bits_have_changed_is_refused(poisson, tmp_path):
    with pytest.raises(Stop):
        solved(poisson, tmp_path, observer=At(4))
    path = tmp_path / "training.pt"
    whole = torch.load(path, weights_only=True)
    whole["state"][len(whole["state"]) // 2] ^= 1
    torch.save(whole, path)
    with pytest.raises(
        RunError,
        match=(
            r"training\.pt: .*its bytes have changed since they were written.*; delete it to start"
            r" the run again"
        ),
    ):
        solved(poisson, tmp_path, resume=True)


def test_a_residual_that_is_not_finite_any_more_is_said(poisson, tmp_path, monkeypatch):
    from kanpde.training.objective import Objective

    rows, calls = Objective.jacobian, []

    def once(self):
        r, J = rows(self)
        calls.append(0)
        return (r * math.nan if len(calls) == 8 else r), J

    monkeypatch.setattr(Objective, "jacobian", once)
    found = solved(poisson, tmp_path)
    assert found.history.stages[0][1] == "loss became nan: went back to the last good state"
    assert theta(found).isfinite().all()


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resume": False}, "holds a run already"),
        ({"seed": 1}, "begun with seed 0, and now came 1"),
        ({"recipe": Recipe(KAN((4,), 5, 4), 200, "lm:12")}, "begun with recipe"),
        ({"dtype": "float32"}, 'begun with dtype "float64"'),
    ],
)
def test_other_settings_are_refused_and_nothing_is_overwritten(poisson, tmp_path, change, message):
    with pytest.raises(Stop):
        solved(poisson, tmp_path, observer=At(4))
    before = files(tmp_path)
    with pytest.raises(RunError, match=message):
        kanpde.solve(
            poisson,
            **{"recipe": RECIPE, "run_dir": tmp_path, "reference": False, "resume": True, **change},
        )
    assert files(tmp_path) == before


def test_another_problem_is_refused(tmp_path):
    with pytest.raises(Stop):
        solved(kanpde.problem.file.load("poisson2d")[0], tmp_path, observer=At(4))
    with pytest.raises(
        RunError, match='begun with problem "poisson2d", and now came "helmholtz2d"'
    ):
        solved(kanpde.problem.file.load("helmholtz2d")[0], tmp_path, resume=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("training.pt", b"torn"),
        ("training.pt", b""),
        ("request.json", b"{"),
        ("request.json", b'{"format": "kanpde request 99"}'),
        ("summary.json", b"[]"),
    ],
)
def test_a_torn_file_is_named(poisson, tmp_path, name, content):
    with pytest.raises(Stop):
        solved(poisson, tmp_path, observer=At(4))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RunError, match=name) as caught:
        solved(poisson, tmp_path, resume=True)
    assert "\n" not in str(caught.value)


def test_a_pickle_in_place_of_a_state_is_not_executed(poisson, tmp_path):
    with pytest.raises(Stop):
        solved(poisson, tmp_path, observer=At(4))
    torch.save({"format": keeper.STATE_FORMAT, "run": print}, tmp_path / "training.pt")
    with pytest.raises(RunError, match=r"training\.pt: cannot be read"):
        solved(poisson, tmp_path, resume=True)


def begun(*arguments, cwd):
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(forked.__file__).parent),
    }
    return subprocess.Popen(
        [sys.executable, "-c", EAGER, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def only(folder):
    (found,) = folder.glob("results/poisson2d/*")
    return found


def wait_for(condition, seconds=60):
    end = time.time() + seconds
    while not condition():
        assert time.time() < end
        time.sleep(0.005)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """What the command finds in this process."""
    folder = tmp_path_factory.mktemp("whole")
    torch.set_num_threads(1)
    assert main(["solve", "poisson2d", *options(), "--out", str(folder / "results")]) == 0
    return theta(kanpde.load(only(folder)))


def options():
    return (
        "--width",
        "3",
        "--degree",
        "5",
        "--grid",
        "4",
        "--schedule",
        "lm:30,extend:8,lm:30",
        "--points",
        "400",
        "--restarts",
        "1",
        "--no-reference",
    )


@pytest.mark.parametrize(
    ("begin", "number", "code"),
    [(partial(Forked, eager), signal.SIGKILL, -signal.SIGKILL), (begun, signal.SIGTERM, 143)],
    ids=["SIGKILL", "SIGTERM"],
)
def test_a_killed_command_goes_on_with_the_same_bits(
    tmp_path, uninterrupted, begin, number, code, capsys, monkeypatch
):
    process = begin("solve", "poisson2d", *options(), cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob("results/poisson2d/*/training.pt")))
    time.sleep(random.Random(number).uniform(0, 0.1))
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code
    folder = only(tmp_path)
    if number == signal.SIGTERM:
        assert f"kanpde solve --resume {folder.relative_to(tmp_path)} goes on" in told
    assert not (folder / "summary.json").exists()
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    assert main(["solve", "--resume", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run_dir"] == str(folder)
    assert torch.equal(theta(kanpde.load(folder)), uninterrupted)
    assert not list(folder.glob(".*partial"))


def other_residual(name, change):
    def equation(u, x):
        return d(u, x, x) + change

    return Problem(
        domain=Box(x=(0, 1)), equations=[equation], conditions=[Dirichlet(u=0)], name=name
    )


def test_another_equation_of_the_same_name_is_refused(tmp_path):
    with pytest.raises(Stop):
        solved(other_residual("mine", 1.0), tmp_path, observer=At(4))
    with pytest.raises(RunError, match=r"another residual '1: equation\(\), inside'"):
        solved(other_residual("mine", 2.0), tmp_path, resume=True)
    solved(other_residual("mine", 1.0), tmp_path, resume=True)


@pytest.mark.parametrize("state", ["bare", "of another run"])
def test_the_state_of_another_run_is_refused(poisson, tmp_path, state):
    for name, seed in (("a", 0), ("b", 1)):
        with pytest.raises(Stop):
            solved(poisson, tmp_path / name, observer=At(4), seed=seed)
    path = tmp_path / "a" / "training.pt"
    if state == "bare":
        torch.save({"format": keeper.STATE_FORMAT}, path)
    else:
        path.write_bytes((tmp_path / "b" / "training.pt").read_bytes())
    with pytest.raises(
        RunError, match=r"training\.pt: cannot be read.*delete it to start the run again"
    ) as caught:
        solved(poisson, tmp_path / "a", resume=True)
    assert "\n" not in str(caught.value)


def test_what_kills_left_behind_goes_with_the_end_of_the_run(poisson, tmp_path):
    with pytest.raises(Stop):
        solved(poisson, tmp_path, observer=At(4))
    (tmp_path / ".training.pt.1.partial").write_bytes(b"half")
    solved(poisson, tmp_path, resume=True)
    assert sorted(files(tmp_path)) == ["checkpoint.pt", "request.json", "run.h5", "summary.json"]
    kanpde.solve(
        poisson, recipe=RECIPE, run_dir=tmp_path, reference=False, resume=True
    )  # as if killed before its pictures were there
    assert {"solution.png", "history.png", "network.png"} <= set(files(tmp_path))


def test_a_run_to_resume_has_a_folder(poisson):
    with pytest.raises(RunError, match="resume: got no run_dir"):
        kanpde.solve(poisson, recipe=RECIPE, reference=False, resume=True)


@pytest.mark.parametrize("moment", ["behind the last step", "in the reference"])
def test_sigterm_ends_a_run_when_training_is_done(poisson, tmp_path, monkeypatch, moment):
    def measured(*arguments, **options):
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it went on")

    class Late(Silent):
        def message(self, text):
            if text.endswith("all steps done") and "grid 6" in text:
                signal.raise_signal(signal.SIGTERM)

    if moment == "in the reference":
        monkeypatch.setattr(compared, "finite_differences", measured)
    with pytest.raises(keeper.Terminated, match=str(tmp_path)):
        kanpde.solve(
            poisson,
            recipe=RECIPE,
            run_dir=tmp_path,
            pictures=False,
            observer=Late() if moment == "behind the last step" else None,
        )
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert (tmp_path / "training.pt").exists()
    assert not (tmp_path / "summary.json").exists()


@pytest.mark.parametrize(
    ("room", "kept"), [(2_000, []), (30_000, ["checkpoint.pt", "request.json", "training.pt"])]
)
def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(
    tmp_path, room, kept, monkeypatch
):
    """The largest file that may be written stands in for the room on a disk: without it for the
    state of training, or for run.h5."""
    short = [
        "poisson2d",
        "--width",
        "3",
        "--degree",
        "5",
        "--grid",
        "4",
        "--schedule",
        "lm:3",
        "--points",
        "200",
        "--restarts",
        "1",
        "--no-reference",
    ]
    full = Forked(eager, "solve", *short, cwd=tmp_path, room=room)
    _, told = full.communicate()
    assert full.returncode == 2, told
    assert [line for line in told.splitlines() if line.startswith("error: ")] == [
        told.splitlines()[-1]
    ]
    assert "cannot be written (File too large)" in told
    assert "Traceback" not in told
    left = list(tmp_path.glob("results/poisson2d/*"))
    assert [sorted(files(folder)) for folder in left] == ([kept] if kept else [])
    monkeypatch.chdir(tmp_path)
    for folder in left:
        assert main(["solve", "--resume", str(folder)]) == 0
        assert (folder / "summary.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("solve",), "got no problem"),
        (
            ("solve", "poisson2d", "--resume", "results"),
            "--resume: got the problem 'poisson2d' as well",
        ),
        (("solve", "--resume", "nowhere"), "nowhere: no such folder"),
        (("solve", "--resume", "."), "no request.json in it"),
    ],
)
def test_what_cannot_be_resumed_is_one_line(tmp_path, arguments, message, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from kanpde.cli import main

    assert main(list(arguments)) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
