"""A whole sweep: plan, carry out, tabulate; and go on with one that was interrupted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, Unpack

from kanpde.problem.file import identity
from kanpde.problem.problem import Problem
from kanpde.recipes.recipe import Recipe, choose
from kanpde.runs.signals import held
from kanpde.sweeps import differences as beside
from kanpde.sweeps import executors, folders, judge, outcome, store, trial
from kanpde.sweeps.executors import Executor, Work
from kanpde.sweeps.plan import Lists, Plan, plan
from kanpde.sweeps.rows import Differences, SweepTable, TrialRow


@dataclass(frozen=True)
class Sweep(SweepTable):
    """The table of a sweep, and its folder."""

    folder: Path = field(default_factory=Path)

    @property
    def done(self) -> tuple[TrialRow, ...]:
        """The trials that came to their end."""
        return tuple(row for row in self.rows if row.status == "done")

    @property
    def failed(self) -> tuple[TrialRow, ...]:
        """Those that did not."""
        return tuple(row for row in self.rows if row.status != "done")


class Watcher(Protocol):
    """Somebody who watches a sweep: the command line's live table, a test, nobody."""

    def begin(
        self, folder: Path, plan: Plan, rows: Sequence[TrialRow], where: str, jobs: int
    ) -> None:
        """The trials of the plan that have no row yet are about to be carried out there, so many at
        a time."""

    def row(self, row: TrialRow) -> None:
        """A trial is done, or failed."""

    def message(self, text: str) -> None:
        """One line worth telling."""


class Unwatched:
    """The watcher that says nothing."""

    def begin(
        self, folder: Path, plan: Plan, rows: Sequence[TrialRow], where: str, jobs: int
    ) -> None: ...

    def row(self, row: TrialRow) -> None: ...

    def message(self, text: str) -> None: ...


def sweep(
    problem: Problem,
    *,
    recipe: Recipe | None = None,
    effort: str = "default",
    jobs: int | None = None,
    threads: int | None = None,
    dask: str | None = None,
    retry: bool = False,
    differences: bool = True,
    out: str | Path = "results",
    watcher: Watcher | None = None,
    **lists: Unpack[Lists],
) -> Sweep:
    """Solve a problem with many networks and seeds, and tabulate error, parameters and time.

    lists: networks, parameters with sizes, or width, depth, grid, degree; schedule or steps, seeds,
    points, device, dtype; see plan.Lists. jobs: trials at a time, by default one a core; threads:
    of each; dask: address of a Dask scheduler that does the work in place of this machine, on a
    file system that all share. out: the sweep's folder is made in out/<problem>/; where out is the
    folder of a sweep with the same plan, that goes on: done trials are not run again, half-done
    ones continue. retry: run trials again that failed. Raises RecipeError for settings that do not
    fit, RunError for a folder of another sweep; a failing trial is a row.
    """
    recipe = recipe or choose(problem, effort=effort).recipe
    planned = plan(problem, recipe, **lists)
    worker = executors.executor(jobs, threads, dask)
    if dask is not None:
        executors.check(dask)
    folder, planned = folders.prepared(planned, Path(out))
    return _go_on(folder, problem, planned, worker, retry, differences, watcher or Unwatched())


def resume(
    folder: str | Path,
    problem: Problem | None = None,
    *,
    jobs: int | None = None,
    threads: int | None = None,
    dask: str | None = None,
    retry: bool = False,
    differences: bool = True,
    watcher: Watcher | None = None,
) -> Sweep:
    """Go on with the sweep of a folder, as it was planned.

    problem: needed where the sweep's was not read from a file. Raises RunError for a folder that
    holds no sweep, or one of another problem.
    """
    folder = Path(folder)
    planned = folders.read_plan(folder)
    if problem is None:
        problem = folders.problem_again(folder, planned)
    folders.same_problem(folder, planned.about, identity(problem))
    worker = executors.executor(jobs, threads, dask)
    if dask is not None:
        executors.check(dask)
    return _go_on(folder, problem, planned, worker, retry, differences, watcher or Unwatched())


def _go_on(
    folder: Path,
    problem: Problem,
    planned: Plan,
    worker: Executor,
    retry: bool,
    differences: bool,
    watcher: Watcher,
) -> Sweep:
    with folders.alone(folder):
        with held():
            rows = {row.trial: row for row in folders.rebuilt(folder, planned)}
        for row in [row for row in rows.values() if row.status == "failed"]:
            if retry:
                folders.set_aside(folder, row)
                del rows[row.trial]
            elif row.reason.startswith(outcome.CORRUPT):
                watcher.message(f"trial {row.trial} is {row.reason}; --retry runs it again")
        table = Sweep(
            tuple(rows.values()),
            folders.stored_differences(folder),
            {**planned.about, "executor": worker.describe()},
            folder,
        )
        with held():
            store.write(folder, table)
        note = "" if planned.about["exact"] else judge.appointed(folder, problem, "default")
        if note:
            watcher.message(
                f"no judge: the exact solution is not known, and there is no reference ({note});"
                " errors stay unknown"
            )
        watcher.begin(folder, planned, table.rows, worker.describe(), worker.jobs)
        for result in _results(table, problem, planned, worker, differences, watcher):
            if isinstance(result, TrialRow):
                order = [t.name for t in planned.trials]
                table = replace(
                    table,
                    rows=tuple(
                        sorted([*table.rows, result], key=lambda row: order.index(row.trial))
                    ),
                )
            else:
                table = replace(
                    table,
                    differences=tuple(
                        sorted([*table.differences, *result], key=lambda d: (d.order, d.cells))
                    ),
                )
            with held():
                store.write(folder, table)
                if isinstance(result, TrialRow):
                    watcher.row(result)
        return table


def _results(
    table: Sweep,
    problem: Problem,
    planned: Plan,
    worker: Executor,
    differences: bool,
    watcher: Watcher,
) -> Iterator[TrialRow | tuple[Differences, ...]]:
    """What is left to do, as it is done. The largest trials are begun first, so that no process is
    left alone with one at the end.

    Where a process dies, those trials that were under way are done again one by one; the one that
    kills its process is given up.
    """
    setting, had = (
        trial.Setting(trial.Origin.of(problem), worker.threads, worker.parent),
        {row.trial for row in table.rows},
    )
    about, sweep = planned.settings, str(table.folder.resolve())
    orders = [
        order
        for order in beside.ORDERS
        if differences and order not in {d.order for d in table.differences}
    ]
    measured: list[Work] = [(beside.carry_out, beside.OrderJob(setting, order)) for order in orders]
    jobs = [
        trial.Job(setting, sweep, i, t, planned.recipe(t), about["device"], about["dtype"])
        for i, t in enumerate(planned.trials)
        if t.name not in had
    ]
    jobs.sort(key=lambda job: -job.trial.cost)
    batches: deque[list[Work]] = deque([[*measured, *((trial.carry_out, job) for job in jobs)]])
    while batches:
        batch, ended = batches.popleft(), set()
        try:
            for result in worker.results(batch):
                ended.add(
                    result.trial
                    if isinstance(result, TrialRow)
                    else result[0].order
                    if result
                    else 0
                )
                yield result
        except executors.Died as death:
            left = [
                (function, argument) for function, argument in batch if _name(argument) not in ended
            ]
            if len(batch) == 1:
                yield from _given_up(table.folder, batch[0][1], watcher)
                continue
            alone = [
                work
                for work in left
                if not isinstance(work[1], trial.Job)
                or trial.began(table.folder / work[1].trial.name, worker.parent or 0)
            ]
            watcher.message(
                f"a process died ({death}); what it may have been at is done again, one at a time"
            )
            batches.extend(
                [*([work] for work in alone), [work for work in left if work not in alone]]
            )


def _name(argument: trial.Job | beside.OrderJob) -> str | int:
    return argument.trial.name if isinstance(argument, trial.Job) else argument.order


def _given_up(
    folder: Path, argument: trial.Job | beside.OrderJob, watcher: Watcher
) -> Iterator[TrialRow]:
    if isinstance(argument, trial.Job):
        yield outcome.give_up(
            folder,
            argument.trial,
            "its process died twice: killed, as when memory runs out, or crashed",
        )
    else:
        watcher.message(
            f"finite differences of order {argument.order} are left out: their process died"
        )
