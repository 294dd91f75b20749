"""Work in a process of its own, forked from one that has imported kanpde: a process that is killed,
interrupted or short of disk need not import it for seconds first, as a shell's does."""

import multiprocessing
import os
import resource
import sys
import time
from select import select

import torch

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["kanpde.sweeps.conduct", "kanpde.cli.solve", "distributed"])


class Forked:
    """A function in a process and a session of its own; what it returns is the exit code.

    Args:
        function: Of a module that can be imported.
        arguments: Its arguments.
        cwd: The folder in which it runs.
        room: Bytes that the largest file may have that it writes.
    """

    def __init__(self, function, *arguments, cwd, room=None):
        pipes = [CONTEXT.Pipe(duplex=False) for _ in range(2)]
        self._read = [read for read, _ in pipes]
        written = [write for _, write in pipes]
        self._process = CONTEXT.Process(
            target=_carried_out, args=(function, arguments, cwd, room, *written)
        )
        self._process.start()
        self.pid = self._process.pid
        for write in written:
            write.close()

    def poll(self):
        """The exit code; None as long as it runs."""
        return self._process.exitcode

    def kill(self):
        self._process.kill()

    def send_signal(self, number):
        os.kill(self.pid, number)

    def communicate(self, timeout=60):
        """What it and those that it began have said and complained of, once all have ended."""
        until = time.monotonic() + timeout
        said = [_text(read.fileno(), until) for read in self._read]
        self._process.join(max(0.0, until - time.monotonic()))
        assert self.poll() is not None, "it still runs"
        return said

    @property
    def returncode(self):
        return self.poll()


def _carried_out(function, arguments, cwd, room, out, complaints):
    os.setsid()
    os.chdir(cwd)
    os.dup2(out.fileno(), 1)
    os.dup2(complaints.fileno(), 2)
    out.close()
    complaints.close()
    torch.set_num_threads(1)
    if room is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    sys.exit(function(*arguments))


def _text(descriptor, until):
    """All that comes, up to the end of the last process that may write."""
    parts = [b"."]
    while parts[-1]:
        ready, *_ = select([descriptor], [], [], max(0.0, until - time.monotonic()))
        assert ready, f"it still runs, and has said {b''.join(parts[1:])!r}"
        parts.append(os.read(descriptor, 65536))
    return b"".join(parts[1:]).decode()


def command(*words):
    """The command line."""
    from kanpde.cli import main

    return main(list(map(str, words)))


def eager(*words):
    """The command line, with the state of training written behind every step."""
    from kanpde.runs import keeper

    keeper.STATE_EVERY, keeper.STATE_SHARE = 0.0, float("inf")
    return command(*words)
