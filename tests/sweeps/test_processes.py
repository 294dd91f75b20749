"""Sweeps over several processes of this machine, and over a Dask cluster; killed, interrupted, and
gone on with."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from bars import FAILING, FEW, begin_and_die, dask, swept, toy, written
from forked import CONTEXT, Forked, command

import kanpde
from kanpde import RunError
from kanpde.cli import main
from kanpde.problem import file as problems
from kanpde.sweeps import store

LISTS = [
    "--parameters",
    "20,40",
    "--seeds",
    "2",
    "--steps",
    "4",
    "--points",
    "64",
    "--no-differences",
]
KILLS = int(os.environ.get("KANPDE_KILLS", "3"))
SEEDS = 2 * KILLS


def errors(found):
    return [row.error for row in found.rows]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same sweep by one process, to compare with."""
    folder = tmp_path_factory.mktemp("alone")
    return swept(toy(folder), folder)


def test_two_processes_find_what_one_does_and_share_out_the_cores(tmp_path, alone):
    found = swept(toy(tmp_path), tmp_path, jobs=2)
    assert errors(found) == errors(alone)
    runs = [json.loads((found.folder / row.run / "summary.json").read_text()) for row in found.rows]
    assert {run["provenance"]["threads"] for run in runs} == {1}
    assert found.about["executor"] == "2 processes, 1 thread each"


def test_a_trial_that_kills_its_process_is_given_up_and_the_others_are_done(tmp_path):
    deadly = FAILING.replace("raise ValueError('no such bar')", "os.kill(os.getpid(), 9)").replace(
        "os.environ.get('TOY_FAILS') == str(len(x))", "len(x) == 64"
    )
    problem = toy(tmp_path, deadly)
    found = swept(problem, tmp_path, jobs=2, networks=["mlp"], parameters=[20], sizes=None)
    assert [row.status for row in found.rows] == ["failed"] * 2
    assert all("its process died twice" in row.reason for row in found.rows)


def carried_out(file, folder):
    """What a process that is going to be killed does."""
    swept(problems.load(str(file))[0], folder, seeds=SEEDS)


def rows_of(folder):
    """The rows of the one sweep below a folder: error, and when its summary was written."""
    tables = list(folder.glob("bar/sweep-*/sweep.h5"))
    return (
        {
            row.trial: (row.error, (tables[0].parent / row.run / "summary.json").stat().st_mtime_ns)
            for row in store.read(tables[0].parent).rows
        }
        if tables
        else {}
    )


def test_killed_at_random_moments_a_sweep_loses_nothing_that_was_done(tmp_path):
    file, moments, done = written(tmp_path), random.Random(7), {}
    for _ in range(KILLS):
        folder = next(iter(tmp_path.glob("bar/sweep-*")), tmp_path)
        process = CONTEXT.Process(target=carried_out, args=(file, folder))
        process.start()
        until = time.monotonic() + 30
        while time.monotonic() < until and process.is_alive():
            # A look at the names is cheap, reading the table is not.
            summaries = list(tmp_path.glob("bar/sweep-*/*/summary.json"))
            if len(summaries) > len(done) and len(rows_of(tmp_path)) > len(done):
                break
            time.sleep(0.02)
        process.join(0.15 * moments.random())
        process.kill()
        process.join()
        stored = rows_of(tmp_path)
        assert len(stored) > len(done)
        assert done.items() <= stored.items()
        done = stored
    assert len(done) < 4 * SEEDS, "all was done before the last one was killed"
    folder = next(iter(tmp_path.glob("bar/sweep-*")))
    found = swept(problems.load(str(file))[0], folder, seeds=SEEDS)
    assert len(found.done) == 4 * SEEDS
    assert done.items() <= rows_of(tmp_path).items()


def shell(*words, cwd):
    """The command as a shell begins it, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "kanpde", *words],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def begun(begin, folder):
    """The command by two processes, under way, once its first trial is done."""
    words = [str(written(folder)), *LISTS, "--seeds", "40", "--out", str(folder), "--jobs", "2"]
    process = begin("sweep", *words, cwd=folder)
    until = time.monotonic() + 60
    while time.monotonic() < until and not list(folder.glob("bar/sweep-*/*/summary.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    (found,) = folder.glob("bar/sweep-*")
    return process, found


def children(pid):
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True
    ).stdout.split()
    return [int(child) for child in listed]


def test_processes_end_with_the_one_that_began_them_and_the_sweep_goes_on(tmp_path):
    process, folder = begun(partial(Forked, command), tmp_path)
    workers = children(process.pid)
    process.kill()
    process.communicate()
    before = len(store.read(folder).rows)
    until = time.monotonic() + 20
    while time.monotonic() < until and any(
        Path(f"/proc/{worker}/cmdline").exists()
        and b"LokyProcess" in Path(f"/proc/{worker}/cmdline").read_bytes()
        for worker in workers
    ):
        time.sleep(0.1)
    there = len(list(folder.glob("*/summary.json")))
    time.sleep(0.5)
    assert len(list(folder.glob("*/summary.json"))) == there < 160
    assert before <= there


def test_processes_that_have_nothing_to_do_end_with_the_one_that_began_them_too(tmp_path):
    idle = Forked(begin_and_die, cwd=tmp_path)
    said, _ = idle.communicate()  # which ends with them
    assert idle.returncode == -signal.SIGKILL
    workers = said.split()
    assert workers
    assert not [
        worker
        for worker in workers
        if Path(f"/proc/{worker}/cmdline").is_file()
        and b"loky" in Path(f"/proc/{worker}/cmdline").read_bytes().lower()
    ]


def test_ctrl_c_ends_all_processes_and_says_how_to_go_on(tmp_path):
    process, folder = begun(shell, tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"go on with: kanpde sweep --resume {folder}" in said
    assert "Traceback" not in said
    assert list(folder.glob("*/summary.json")), "what was done is still there"
    assert len(store.read(folder).rows) <= len(list(folder.glob("*/summary.json")))


def test_a_dask_cluster_of_two_workers_does_the_same(tmp_path, alone):
    address = tmp_path / "scheduler.json"
    known = ["--scheduler-file", str(address), "--no-dashboard"]
    worker = [*known, "--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path)]
    scheduler = [*known, "--port", "0", "--host", "127.0.0.1"]
    started = [
        Forked(dask, kind, *words, cwd=tmp_path)
        for kind, words in (("scheduler", scheduler), ("worker", worker), ("worker", worker))
    ]
    try:
        until = time.monotonic() + 30
        while not address.exists() and time.monotonic() < until:
            time.sleep(0.1)
        where = json.loads(address.read_text())["address"]
        found = swept(toy(tmp_path), tmp_path, jobs=None, threads=None, dask=where)
    finally:
        for process in reversed(started):
            process.kill()
    assert errors(found) == errors(alone)
    assert found.about["executor"] == f"Dask at {where}"


def test_an_unreachable_dask_address_is_one_line_after_a_bounded_wait(tmp_path, monkeypatch):
    monkeypatch.setattr("kanpde.sweeps.executors.WAIT_FOR_DASK", 1)
    began = time.monotonic()
    with pytest.raises(
        RunError, match=r"dask: no scheduler at tcp://127\.0\.0\.1:9 after at most 1 s"
    ) as refused:
        kanpde.sweep(toy(tmp_path), out=tmp_path / "out", dask="tcp://127.0.0.1:9", **FEW)
    assert "\n" not in str(refused.value)
    assert time.monotonic() - began < 10
    assert not (tmp_path / "out").exists()


def test_the_command_prints_one_object_or_a_plan(tmp_path, capsys):
    file, out = str(written(tmp_path)), ["--out", str(tmp_path), "--jobs", "1", "--json"]
    assert main(["sweep", file, *LISTS, "--plan", *out]) == 0
    assert len(json.loads(capsys.readouterr().out)["trials"]) == 8
    assert not (tmp_path / "bar").exists()
    assert main(["sweep", file, *LISTS, *out]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["planned"], said["done"], said["failed"]) == (8, 8, 0)
    assert set(said["networks"]) == {"kan", "mlp"}
    best = min(row.error for row in store.read(said["sweep"]).rows if row.kind == "kan")
    assert said["networks"]["kan"]["best"] == best
    assert main(["sweep", "--resume", said["sweep"], "--jobs", "1", "--no-differences"]) == 0
    assert "8 trials" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parameters", "100:50"], "--parameters: got '100:50'; expected the smaller"),
        (["--parameters", "2"], "comes near 2; the nearest possible has"),
        (["--width", "4x,8"], "--width: got '4x,8'"),
        (["--networks", ","], "--networks: got ','; expected one or more names"),
        (["--seeds", "0"], "--seeds: got '0'"),
        (["--networks", "kna"], "did you mean 'kan'"),
        (["--schedule", "lm:5;foo:3"], "'foo:3' is no stage"),
        (["--jobs", "two"], "--jobs: got 'two'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, capsys, arguments, message):
    out = tmp_path / "out"
    assert main(["sweep", str(written(tmp_path)), *arguments, "--out", str(out)]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert not out.exists()
