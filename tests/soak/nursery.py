"""Processes of the command line in a hundredth of the time that a new interpreter takes: they are
forked from one that has imported it.

The parent has one thread and has run every kernel once. Its children are ordinary processes to be
killed, with their own signals. Sweeps are given one thread: without that they take one a core, and
a process whose parent had a team of OpenMP threads waits for its own for ever.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
PATIENCE = 180
"""Seconds after which a child counts as hanging."""


@dataclass(frozen=True)
class End:
    """How a child ended: its exit code, or minus the signal that killed it, and what it printed."""

    code: int
    said: str


class Nursery:
    """The parent, as its own process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._answer()

    def start(
        self,
        arguments: list[str],
        folder: Path,
        *,
        nan: int | None = None,
        pictures: bool = False,
        eager: bool = True,
        room: int | None = None,
    ) -> int:
        """Run a command in a folder; its steps are logged there, in steps.log. nan: the step after
        which the residual is not finite, once; eager: the state behind every step; room: bytes of
        its address space, at most. Returns the process.
        """
        self._ask(
            {
                "arguments": [str(a) for a in arguments],
                "folder": str(folder),
                "nan": nan,
                "pictures": pictures,
                "eager": eager,
                "room": room,
            }
        )
        return int(self._answer()["process"])

    def wait(self, process: int) -> End:
        """Until a child ends."""
        self._ask({"wait": process})
        return End(**self._answer())

    def run(self, arguments: list[str], folder: Path, **options) -> End:
        """From start to end."""
        return self.wait(self.start(arguments, folder, **options))

    @classmethod
    @cache
    def shared(cls) -> Nursery:
        """One for all tests of this process; it ends with it."""
        return cls()

    def close(self) -> None:
        """End the parent, and with it its children."""
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def _ask(self, question: dict) -> None:
        print(json.dumps(question), file=self._process.stdin, flush=True)

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        assert line, "the nursery is gone"
        return json.loads(line)


def main() -> None:
    """The parent: questions by lines of JSON on standard input, answers on what was standard
    output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    _warm()
    print(json.dumps({}), file=answers)
    children: dict[int, int] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            process = question["wait"]
            answer = _ended(process, children.pop(process))
        else:
            reading, writing = os.pipe()
            waiting, ready = os.pipe()
            process = os.fork()
            if process == 0:
                os.close(reading)
                answers.close()
                _child(question, writing, ready)
            os.close(writing)
            os.close(ready)
            os.read(
                waiting, 1
            )  # from now on a signal meets the command, and not what is changed for it
            os.close(waiting)
            children[process] = reading
            answer = {"process": process}
        print(json.dumps(answer), file=answers)
    for process in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _ended(process: int, pipe: int) -> dict:
    os.set_blocking(pipe, False)
    said, until = b"", time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(BlockingIOError):
            said += os.read(pipe, 1 << 20)
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > until:
            os.kill(process, signal.SIGKILL)
            said += b"\nIT HANGS\n"
        time.sleep(0.002)
    with contextlib.suppress(BlockingIOError):
        said += os.read(pipe, 1 << 20)
    os.close(pipe)
    return {"code": os.waitstatus_to_exitcode(status), "said": said.decode(errors="replace")}


def _warm() -> None:
    """Import and compile what the children will need: each kind of command once, without its
    pictures."""
    import tempfile

    import matplotlib.figure  # noqa: F401
    import sympy  # noqa: F401

    from kanpde.cli import main as command
    from kanpde.fitting import folder as fits
    from kanpde.plots import history, network, png, solution  # noqa: F401
    from kanpde.runs import folder as run_folder  # noqa: F401
    from kanpde.runs import pictures
    from kanpde.sweeps import figures

    own = pictures.draw, fits.draw, figures.draw
    pictures.draw = fits.draw = figures.draw = lambda result, folder: []
    steps = ["--width", "2", "--schedule", "lm:1,adam:1,soap:1,lbfgs:1,gn:1,ssbroyden:1"]
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", folder]
        data = Path(folder) / "a.csv"
        data.write_text("x,z\n" + "".join(f"{i},{i * i}\n" for i in range(20)))
        for network in ("kan", "mlp"):
            asked = f"solve poisson2d --network {network} --points 50 --restarts 1 --no-reference"
            command([*asked.split(), *steps, *out])
        command(["fit", str(data), "--target", "z", "--schedule", "lm:1", "--width", "2", *out])
        shape = "--networks kan --width 2 --grid 3 --schedule lm:1 --points 90 --seeds 1"
        asked = f"sweep poisson2d {shape} --no-differences --jobs 1 --threads 1"
        command([*asked.split(), *out])
        command(["plot", "nowhere"])
    pictures.draw, fits.draw, figures.draw = own


def _child(question: dict, pipe: int, ready: int) -> None:
    """The command line in this process, which ends with it."""
    code = 70
    try:
        os.dup2(pipe, 1)
        os.dup2(pipe, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
        signal.pthread_sigmask(
            signal.SIG_BLOCK, {signal.SIGINT}
        )  # until the command is there to answer it
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(question["folder"])
        if question["room"] is not None:
            resource.setrlimit(resource.RLIMIT_AS, (question["room"], question["room"]))
        _changed(question)
        from kanpde import cli

        app = cli.app

        def answering(*arguments, **options):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            os.write(ready, b".")
            os.close(ready)
            code = app(*arguments, **options)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # it came too late
            return code

        cli.app = answering
        code = cli.main(question["arguments"])
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)


def _changed(question: dict) -> None:
    """The state behind every step, a log of the steps, a residual that is not finite once, and no
    pictures, as asked."""
    import math

    from kanpde.fitting import folder
    from kanpde.runs import keeper, pictures
    from kanpde.sweeps import figures
    from kanpde.training import loop, refinement

    if question["eager"]:
        keeper.STATE_EVERY, keeper.STATE_SHARE, keeper.LAST_STATE = 0.0, math.inf, 0.0
    if not question["pictures"]:
        pictures.draw = pictures.complete = folder.draw = figures.draw = lambda result, folder: []
    log = os.open("steps.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    now = [0]
    watch, step_of_start = loop.Training._watch, loop.Training._step_of_start

    def write(stage, step):
        with contextlib.suppress(OSError):
            os.write(log, f"{os.getpid()} {stage} {step}\n".encode())

    def watched(self, state, index, loss, fresh, last=False):
        found = watch(self, state, index, loss, fresh, last)
        if not last:
            now[0] = found.step
            write(index, found.step)
        return found

    def started(self, state, going):
        number = len(state.starts)
        found = step_of_start(self, state, going)
        if found.under_way is not None:
            write(f"start{number}", going.taken)
        return found

    newton = refinement.Refinement._record

    def refined(self, state):
        newton(self, state)
        write(len(state.history.stages), state.progress.step)

    loop.Training._watch, loop.Training._step_of_start = watched, started
    refinement.Refinement._record = refined
    if question["nan"] is not None:
        _not_finite_once(question["nan"], now)


def _not_finite_once(step: int, now: list[int]) -> None:
    """What the optimiser sees at a step is not finite, once. now: the step that is under way."""
    import math

    from kanpde.training import loop
    from kanpde.training.objective import Objective

    fired = [False]
    going_on = loop.Training.resumed

    def resumed(self, plain):
        found = going_on(self, plain)
        # A run killed after the step meets what is not finite again, as it would have.
        now[0] = found.step
        return found

    loop.Training.resumed = resumed

    def poisoned(value):
        if now[0] != step or fired[0]:
            return value
        fired[0] = True
        Path("not finite").touch()
        return value * math.nan

    own = {name: getattr(Objective, name) for name in ("residuals", "gradient", "jacobian")}
    Objective.residuals = lambda self: poisoned(own["residuals"](self))
    Objective.gradient = lambda self: (lambda loss, slope: (poisoned(loss), slope))(
        *own["gradient"](self)
    )
    Objective.jacobian = lambda self: (lambda r, J: (poisoned(r), J))(*own["jacobian"](self))


if __name__ == "__main__":
    main()
