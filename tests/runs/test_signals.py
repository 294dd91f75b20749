"""Signals held back, answered once, and kept from the processes that are begun meanwhile."""

import signal
import subprocess
import sys
import threading
import time
import weakref

import h5py
import pytest

from kanpde import KAN, Recipe, solve
from kanpde.problem.file import load
from kanpde.results.result import RUN_FORMAT
from kanpde.runs import arrays as run_arrays
from kanpde.runs import signals
from kanpde.runs.signals import answered, deaf_children, held


class Value:
    pass


def test_a_ctrl_c_inside_a_callback_is_not_lost():
    """Python prints and forgets what is raised while something is collected."""
    values, went_on = [Value()], []
    weakref.finalize(values[0], signal.raise_signal, signal.SIGINT)

    @held()
    def block():
        values.clear()
        went_on.append(True)

    with pytest.raises(KeyboardInterrupt):
        block()
    assert went_on


def test_what_is_held_is_raised_at_the_end_and_no_earlier():
    done = []

    @held()
    def block():
        signal.raise_signal(signal.SIGINT)
        done.append(1)

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_one_goes_through():
    done = []

    @held()
    def block():
        signal.raise_signal(signal.SIGINT)
        done.append(1)
        signal.raise_signal(signal.SIGINT)
        done.append(2)

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == [1]


def test_an_error_of_the_block_is_not_hidden_by_it():
    @held()
    def block():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        block()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_whoever_answers_already_goes_on_doing_so():
    heard, inner = [], []
    with answered(signal.SIGINT, lambda: heard.append(1)):
        with answered(signal.SIGINT, lambda: inner.append(1)):
            signal.raise_signal(signal.SIGINT)
        assert (heard, inner) == ([1], [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_block_that_goes_on_for_long_is_left(monkeypatch, number):
    """Within a step that takes minutes, and no later than the user loses patience."""
    monkeypatch.setattr(signals, "PATIENCE", 0.05)
    heard = []

    class Late(BaseException):
        pass

    def leave():
        raise Late

    end = time.perf_counter() + 20
    usual = signal.getsignal(number)

    def block():
        with answered(number, lambda: heard.append(1), leave):
            signal.raise_signal(number)
            while time.perf_counter() < end:
                pass

    with pytest.raises(Late):
        block()
    assert heard == [1]
    assert time.perf_counter() < end
    assert signal.getsignal(number) is usual


def test_a_block_that_ends_in_time_is_not_left(monkeypatch):
    monkeypatch.setattr(signals, "PATIENCE", 0.05)
    with answered(signal.SIGINT, lambda: None, lambda: pytest.fail("left")):
        signal.raise_signal(signal.SIGINT)
    time.sleep(0.1)


def test_another_thread_changes_nothing():
    found = []

    def other():
        with held():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


def test_children_do_not_hear_it_and_this_process_does():
    script = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('deaf')"

    @deaf_children()
    def block():
        signal.raise_signal(signal.SIGINT)
        child = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
        )
        assert child.stdout == "deaf\n"

    with pytest.raises(KeyboardInterrupt):
        block()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def test_arrays_are_written_to_their_end(tmp_path, monkeypatch):
    result = solve(
        load("poisson2d")[0], recipe=Recipe(KAN((2,), 3, 3), 50, "lm:1"), reference=False
    )
    write = run_arrays._write_history

    def interrupted(group, history):
        signal.raise_signal(signal.SIGINT)
        write(group, history)

    monkeypatch.setattr(run_arrays, "_write_history", interrupted)
    with (tmp_path / "run.h5").open("w+b") as file, pytest.raises(KeyboardInterrupt):
        run_arrays.write(result, RUN_FORMAT, file)
    with h5py.File(tmp_path / "run.h5") as file:
        assert {"history", "network"} <= set(file)
