"""Runs that were killed, ended or interrupted go on from their last state; nothing in their folders is lost, and nothing overwritten."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

import kanpde
from kanpde import KAN, Recipe, unfinished
from kanpde.errors import RunError
from kanpde.training.history import Silent

RECIPE = Recipe(KAN((3,), 5, 4), 200, "lm:12,extend:6,lm:12")
EAGER = "import sys, kanpde.unfinished as u; u.EVERY = 0.0; u.SHARE = 1.0; from kanpde.cli import main; sys.exit(main(sys.argv[1:]))"
"""The command line, with the state written behind every step."""


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
    monkeypatch.setattr(unfinished, "EVERY", 0.0)
    monkeypatch.setattr(unfinished, "SHARE", 1.0)


@pytest.fixture(scope="module")
def poisson():
    return kanpde.problem.load("poisson2d")[0]


def solved(problem, folder, **options):
    return kanpde.solve(problem, recipe=RECIPE, run_dir=folder, reference=False, pictures=False, **options)


def theta(result):
    return result.ansatz.network.theta


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
    assert torch.equal(theta(solved(poisson, folder, resume=True)), theta(whole))  # finished: loaded
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
        kanpde.solve(poisson, **{"recipe": RECIPE, "run_dir": tmp_path, "reference": False, "resume": True, **change})
    assert files(tmp_path) == before


def test_another_problem_is_refused(tmp_path):
    with pytest.raises(Stop):
        solved(kanpde.problem.load("poisson2d")[0], tmp_path, observer=At(4))
    with pytest.raises(RunError, match='begun with problem "poisson2d", and now came "helmholtz2d"'):
        solved(kanpde.problem.load("helmholtz2d")[0], tmp_path, resume=True)


@pytest.mark.parametrize(
    ("name", "content"), [("training.pt", b"torn"), ("training.pt", b""), ("request.json", b"{"), ("request.json", b'{"format": "kanpde request 99"}'), ("summary.json", b"[]")]
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
    torch.save({"format": unfinished.TRAINING, "run": print}, tmp_path / "training.pt")
    with pytest.raises(RunError, match=r"training\.pt: cannot be read"):
        solved(poisson, tmp_path, resume=True)


def run(*arguments, cwd, wait=True):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", EAGER, *map(str, arguments)], cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return (process.communicate(timeout=120), process.returncode) if wait else process


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
    folder = tmp_path_factory.mktemp("whole")
    _, code = run("solve", "poisson2d", *options(), cwd=folder)
    assert code == 0
    return theta(kanpde.load(only(folder)))


def options():
    return ("--width", "3", "--degree", "5", "--grid", "4", "--schedule", "lm:60,extend:8,lm:60", "--points", "400", "--restarts", "1", "--no-reference")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)])
def test_a_killed_command_goes_on_with_the_same_bits(tmp_path, uninterrupted, number, code):
    process = run("solve", "poisson2d", *options(), cwd=tmp_path, wait=False)
    wait_for(lambda: list(tmp_path.glob("results/poisson2d/*/training.pt")))
    time.sleep(random.Random(number).uniform(0, 0.4))
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code
    folder = only(tmp_path)
    if number == signal.SIGTERM:
        assert f"kanpde solve --resume {folder.relative_to(tmp_path)} goes on" in told
    assert not (folder / "summary.json").exists()
    (out, err), code = run("solve", "--resume", folder, "--json", cwd=tmp_path)
    assert code == 0, err
    assert json.loads(out)["run_dir"] == str(folder)
    assert torch.equal(theta(kanpde.load(folder)), uninterrupted)
    assert not list(folder.glob(".*partial"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("solve",), "got no problem"),
        (("solve", "poisson2d", "--resume", "results"), "--resume: got the problem 'poisson2d' as well"),
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
