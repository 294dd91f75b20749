"""A lock has one holder, who is named, and none any more when its process is gone."""

import os
import signal
import subprocess
import sys
import threading
import time
import types

import pytest

from kanpde.errors import RunError
from kanpde.runs import lock as locks
from kanpde.runs.lock import Lock

HOLD = """
import pathlib, sys, time
from kanpde.runs.lock import Lock
lock = Lock()
lock.take(pathlib.Path(sys.argv[1]), "run")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_holder_is_named_and_a_dead_one_is_in_nobodys_way(tmp_path, holder):
    path = tmp_path / "lock"
    named = rf"another process \({holder.pid} on .+\) is at this run; wait for it, or end it"
    with Lock() as lock:
        with pytest.raises(RunError, match=named):
            lock.take(path, "run")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        lock.take(path, "run")
        assert path.read_text().startswith(f"{os.getpid()} on ")
    assert not path.exists()


def test_who_waits_gets_it_after_the_one_before(tmp_path):
    path, order = tmp_path / "lock", []

    def wait():
        with Lock() as second:
            second.take(path, "trial", wait=True)
            order.append("second")

    with Lock() as first:
        first.take(path, "trial")
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.1)
        order.append("first")
    waiting.join(timeout=10)
    assert order == ["first", "second"]
    assert not path.exists()


def test_what_is_not_removed_says_who_had_it(tmp_path):
    lock = Lock()
    lock.take(tmp_path / "lock", "trial", name="4711")
    lock.release(remove=False)
    assert (tmp_path / "lock").read_text() == "4711"
    with Lock() as again:
        again.take(tmp_path / "lock", "trial", name="0815")
        assert (tmp_path / "lock").read_text() == "0815"


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(RunError, match=r"nowhere: the sweep's folder is not writable"):
        Lock().take(tmp_path / "nowhere" / "lock", "sweep")


def test_windows_locks_a_byte_far_from_the_name(tmp_path, monkeypatch):
    """Without fcntl, msvcrt is asked; what it would do is made up here."""
    held = {}

    def locking(number, mode, size):
        at = os.fstat(number).st_ino, os.lseek(number, 0, os.SEEK_CUR), size
        if at in held:
            raise OSError("already locked")
        held[at] = mode

    made_up = types.SimpleNamespace(locking=locking, LK_LOCK=1, LK_NBLCK=2)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", made_up)
    lock = Lock()
    lock.take(tmp_path / "lock", "run", name="me")
    assert [at for _, at, _ in held] == [locks.OUT_OF_THE_WAY]
    assert (tmp_path / "lock").read_text() == "me"
    with pytest.raises(RunError, match=r"another process \(me\) is at this run"):
        Lock().take(tmp_path / "lock", "run")
    lock.release()


def test_without_any_locks_everybody_gets_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", None)
    with Lock() as first, Lock() as second:
        first.take(tmp_path / "lock", "run")
        second.take(tmp_path / "lock", "run")
