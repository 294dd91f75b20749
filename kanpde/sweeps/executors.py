"""Who does the work of a sweep: processes of this machine, or the workers of a Dask cluster. Both
through joblib; there is no scheduler of our own."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pickle import PicklingError
from typing import Any

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from kanpde.errors import RecipeError, RunError, first_line
from kanpde.machine.cores import cores
from kanpde.runs.signals import deaf_children

Work = tuple[Callable[[Any], Any], Any]
"""A function that can be imported, and what it is called with."""

WAIT_FOR_DASK = 10
"""Seconds in which a Dask scheduler must answer, and one of its workers be there."""


class Died(Exception):
    """A process of the pool is gone, and its piece of work with it: killed, as the system does when
    memory runs out, or crashed."""


@dataclass(frozen=True)
class Executor:
    """Who does the work of a sweep.

    Attributes:
        jobs: Pieces of work at a time.
        threads: How many threads each has; None where the workers' own surroundings say.
        dask: Address of a Dask scheduler, or None for processes of this machine.
    """

    jobs: int
    threads: int | None
    dask: str | None = None

    @property
    def parent(self) -> int | None:
        """The process that a worker is a child of, where it is one."""
        return os.getpid() if self.jobs > 1 and not self.dask else None

    def describe(self) -> str:
        """In a few words."""
        if self.dask:
            return f"Dask at {self.dask}"
        processes = "1 process" if self.jobs == 1 else f"{self.jobs} processes"
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{processes}, {threads} each"

    def results(self, work: Sequence[Work]) -> Iterator[Any]:
        """Do pieces of work.

        Args:
            work: Functions that can be imported, each with its argument.

        Yields:
            What each returns, as it is done, in any order.

        Raises:
            Died: A process of the pool is gone.
            RunError: The cluster is gone, or the problem cannot be sent to other processes.
        """
        if not work:
            return
        if self.dask:
            yield from _on_dask(self.dask, work)
            return
        # A piece of work is long, and nobody knows its size: none is sent together with others,
        # and few are sent ahead of time.
        pool = {
            "n_jobs": self.jobs,
            "return_as": "generator_unordered",
            "batch_size": 1,
            "pre_dispatch": "n_jobs",
            "max_nbytes": None,
        }
        calls = [delayed(function)(argument) for function, argument in work]
        if self.jobs == 1:
            yield from _closed(Parallel(**pool)(calls))
            return
        with parallel_config(backend="loky", inner_max_num_threads=self.threads):
            try:
                with deaf_children():
                    results = Parallel(**pool)(calls)
                yield from _closed(results)
            except TerminatedWorkerError as error:
                raise Died(str(error).splitlines()[0]) from error
            except PicklingError as error:
                raise RunError(
                    f"the problem cannot be sent to other processes ({first_line(error)}); put it"
                    " into a file of its own, or take jobs=1"
                ) from error


def executor(
    jobs: int | None = None, threads: int | None = None, dask: str | None = None
) -> Executor:
    """Share out the cores.

    Args:
        jobs: Pieces of work at a time; by default as many as leave each its threads.
        threads: Of each piece; by default the cores over `jobs`, so one where that is not given.
        dask: Address of a Dask scheduler that does the work in place of this machine.

    Returns:
        Who does the work.

    Raises:
        RecipeError: A number is below 1, or both `jobs` and `dask` are given.
    """
    for name, value in (("jobs", jobs), ("threads", threads)):
        if value is not None and value < 1:
            raise RecipeError(f"{name}: got {value}; expected at least 1")
    if dask is not None:
        if jobs is not None:
            raise RecipeError(
                "jobs: got dask as well, whose workers say how much they do at a time; expected one"
                " of them"
            )
        return Executor(1, threads, dask)
    jobs = jobs or max(1, cores() // (threads or 1))
    return Executor(jobs, threads or max(1, cores() // jobs))


def check(address: str) -> None:
    """See whether a Dask cluster can do the work.

    Args:
        address: The address of its scheduler, such as tcp://host:8786.

    Raises:
        RecipeError: Dask is not installed.
        RunError: No scheduler answers there, or it has no workers.
    """
    with _client(address):
        pass


@contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise RecipeError(
            "dask: is not installed here; expected pip install 'kanpde[cluster]'"
        ) from None
    try:
        client = Client(address, timeout=WAIT_FOR_DASK, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = "no answer" if isinstance(error, TimeoutError) else str(error).splitlines()[0]
        raise RunError(
            f"dask: no scheduler at {address} after at most {WAIT_FOR_DASK} s ({reason}); expected"
            " such as tcp://host:8786, as `dask scheduler` prints it"
        ) from error
    try:
        try:
            client.wait_for_workers(1, timeout=WAIT_FOR_DASK)
        except TimeoutError:
            raise RunError(
                f"dask: the scheduler at {address} has no worker after {WAIT_FOR_DASK} s; start"
                f" some, such as `dask worker {address} --nthreads 1`"
            ) from None
        yield client
    finally:
        client.close()


def _on_dask(address: str, work: Sequence[Work]) -> Iterator[Any]:
    with (
        _client(address) as client,
        parallel_config(backend="dask", client=client),
        warnings.catch_warnings(),
    ):
        # Dask's, on the size of what is sent, which is a problem and no more
        warnings.simplefilter("ignore", UserWarning)
        try:
            yield from _closed(
                Parallel(return_as="generator_unordered", batch_size=1, n_jobs=-1)(
                    delayed(function)(argument) for function, argument in work
                )
            )
        except (OSError, TimeoutError) as error:
            raise RunError(
                f"dask: the cluster at {address} is gone ({type(error).__name__}); what is done is"
                " kept, resume the sweep for the rest"
            ) from error


def _closed(results: Any) -> Iterator[Any]:
    """The same, and the work that is under way ended when nobody wants any more of it."""
    with warnings.catch_warnings(), closing(results):
        warnings.filterwarnings("ignore", ".*still being processed by the workers", UserWarning)
        yield from results
