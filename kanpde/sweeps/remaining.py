"""What is left to do of a sweep, as it is done; and what is done again where a process dies."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from kanpde.problem.problem import Problem
from kanpde.sweeps import differences as beside
from kanpde.sweeps import executors, outcome, trial
from kanpde.sweeps.differences import OrderJob
from kanpde.sweeps.executors import Executor, Work
from kanpde.sweeps.plan import Plan
from kanpde.sweeps.rows import Differences, SweepTable, TrialRow
from kanpde.sweeps.trial import Job
from kanpde.sweeps.watcher import Watcher


def results_of(
    table: SweepTable,
    folder: Path,
    problem: Problem,
    planned: Plan,
    worker: Executor,
    differences: bool,
    watcher: Watcher,
) -> Iterator[TrialRow | tuple[Differences, ...]]:
    """Do what is left to do.

    Where a process dies, those trials that were under way are done again one by one; the one that
    kills its process is given up.

    Args:
        table: What there is already.
        folder: The sweep's folder.
        problem: The problem that all trials solve.
        planned: All trials.
        worker: Who does the work.
        differences: Whether finite differences are measured as well.
        watcher: Who is told of a death.

    Yields:
        The row of a trial, or the finite differences of one order, as each is done.
    """
    batches = deque([_left(table, folder, problem, planned, worker, differences)])
    while batches:
        batch, ended = batches.popleft(), set()
        try:
            for result in worker.results(batch):
                ended.add(_name_of_result(result))
                yield result
        except executors.Died as death:
            if len(batch) == 1:
                yield from _given_up(folder, batch[0][1], watcher)
                continue
            left = [work for work in batch if _name(work[1]) not in ended]
            watcher.message(
                f"a process died ({death}); what it may have been at is done again, one at a time"
            )
            batches.extend(_apart(left, folder, worker))


def _left(
    table: SweepTable,
    folder: Path,
    problem: Problem,
    planned: Plan,
    worker: Executor,
    differences: bool,
) -> list[Work]:
    """All work that is not done yet.

    The largest trials come first, so that no process is left alone with one at the end.
    """
    setting = trial.Setting(trial.Origin.of(problem), worker.threads, worker.parent)
    about, sweep = planned.settings, str(folder.resolve())
    had = {row.trial for row in table.rows}
    measured = {d.order for d in table.differences}
    orders = [o for o in beside.DIFFERENCE_ORDERS if differences and o not in measured]
    jobs = [
        Job(setting, sweep, i, t, planned.recipe(t), about["device"], about["dtype"])
        for i, t in enumerate(planned.trials)
        if t.name not in had
    ]
    jobs.sort(key=lambda job: -job.trial.cost)
    return [
        *((beside.carry_out, OrderJob(setting, order)) for order in orders),
        *((trial.carry_out, job) for job in jobs),
    ]


def _apart(left: Sequence[Work], folder: Path, worker: Executor) -> Iterator[list[Work]]:
    """Each piece of work by itself that the dead process may have been at, then all others."""
    alone = [
        work
        for work in left
        if not isinstance(work[1], Job)
        or trial.began(folder / work[1].trial.name, worker.parent or 0)
    ]
    yield from ([work] for work in alone)
    yield [work for work in left if work not in alone]


def _name(argument: Job | OrderJob) -> str | int:
    return argument.trial.name if isinstance(argument, Job) else argument.order


def _name_of_result(result: TrialRow | tuple[Differences, ...]) -> str | int:
    """The name of the work that returned it; 0 for an order of which no grid could be measured."""
    if isinstance(result, TrialRow):
        return result.trial
    return result[0].order if result else 0


def _given_up(folder: Path, argument: Job | OrderJob, watcher: Watcher) -> Iterator[TrialRow]:
    if isinstance(argument, Job):
        reason = "its process died twice: killed, as when memory runs out, or crashed"
        yield outcome.give_up(folder, argument.trial, reason)
        return
    watcher.message(
        f"finite differences of order {argument.order} are left out: their process died"
    )
