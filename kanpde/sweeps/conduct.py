"""A whole sweep: plan, carry out, tabulate; and go on with one that was interrupted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Unpack

from kanpde.problem.file import identity
from kanpde.problem.problem import Problem
from kanpde.recipes.choosing import choose
from kanpde.recipes.recipe import Recipe
from kanpde.runs.signals import held
from kanpde.sweeps import executors, folders, judge, outcome, store
from kanpde.sweeps.executors import Executor
from kanpde.sweeps.plan import Lists, Plan, plan
from kanpde.sweeps.remaining import results_of
from kanpde.sweeps.rows import Differences, SweepTable, TrialRow
from kanpde.sweeps.watcher import Unwatched, Watcher


@dataclass(frozen=True)
class Sweep(SweepTable):
    """The table of a sweep, and its folder.

    Attributes:
        folder: Where sweep.json, sweep.h5, sweep.csv and the run folders of the trials are.
    """

    folder: Path = field(default_factory=Path)

    @property
    def done(self) -> tuple[TrialRow, ...]:
        """The trials that came to their end."""
        return tuple(row for row in self.rows if row.status == "done")

    @property
    def failed(self) -> tuple[TrialRow, ...]:
        """Those that did not."""
        return tuple(row for row in self.rows if row.status != "done")

    def with_result(self, result: TrialRow | tuple[Differences, ...], order: list[str]) -> Sweep:
        """The table with one more row, or with the finite differences of one more order.

        Args:
            result: What a piece of work has returned.
            order: Names of all trials, in the order in which their rows stand.

        Returns:
            A new table, its rows and finite differences in order.
        """
        if isinstance(result, TrialRow):
            rows = sorted([*self.rows, result], key=lambda row: order.index(row.trial))
            return replace(self, rows=tuple(rows))
        found = sorted([*self.differences, *result], key=lambda d: (d.order, d.cells))
        return replace(self, differences=tuple(found))


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

    A trial that fails is a row with the reason; the others go on.

    Args:
        problem: The problem that all trials solve.
        recipe: How the trials are solved, except for what is listed; chosen for the problem by
            default.
        effort: Which recipe is chosen: quick, default or record.
        jobs: How many trials are carried out at a time; by default one a core.
        threads: How many threads each trial has; by default the cores are shared out.
        dask: Address of a Dask scheduler that does the work in place of this machine, on a file
            system that all share.
        retry: Whether trials that failed are run again.
        differences: Whether finite differences are measured beside the networks.
        out: The sweep's folder is made in out/<problem>/. Where out is the folder of a sweep with
            the same plan, that one goes on: done trials are not run again, half-done ones continue.
        watcher: Who is told what happens; nobody by default.
        **lists: What is varied: networks, parameters with sizes, or width, depth, grid, degree;
            schedule or steps, seeds, points, device, dtype; see `plan.Lists`.

    Returns:
        The table, with a row for every trial.

    Raises:
        RecipeError: The settings do not fit the problem or one another.
        RunError: The folder is that of another sweep, or cannot be written.
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

    Args:
        folder: The sweep's folder.
        problem: The problem that all trials solve; needed where it was not read from a file.
        jobs: How many trials are carried out at a time; by default one a core.
        threads: How many threads each trial has; by default the cores are shared out.
        dask: Address of a Dask scheduler, as in `sweep`.
        retry: Whether trials that failed are run again.
        differences: Whether finite differences are measured beside the networks.
        watcher: Who is told what happens; nobody by default.

    Returns:
        The table, with a row for every trial.

    Raises:
        RunError: The folder holds no sweep, or one of another problem.
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
    """Do what is left to do, and bring the table up to date after each piece of work."""
    order = [trial.name for trial in planned.trials]
    with folders.alone(folder):
        about = {**planned.about, "executor": worker.describe()}
        rows = _rows_so_far(folder, planned, retry, watcher)
        table = Sweep(rows, folders.stored_differences(folder), about, folder)
        with held():
            store.write(folder, table)
        _appoint_judge(folder, problem, planned, watcher)
        watcher.begin(folder, planned, table.rows, worker.describe(), worker.jobs)
        for result in results_of(table, folder, problem, planned, worker, differences, watcher):
            table = table.with_result(result, order)
            with held():
                store.write(folder, table)
                if isinstance(result, TrialRow):
                    watcher.row(result)
        return table


def _rows_so_far(
    folder: Path, planned: Plan, retry: bool, watcher: Watcher
) -> tuple[TrialRow, ...]:
    """The rows that the run folders give; those that are to be tried again are set aside."""
    with held():
        rows = {row.trial: row for row in folders.rebuilt(folder, planned)}
    for row in [row for row in rows.values() if row.status == "failed"]:
        if retry:
            folders.set_aside(folder, row)
            del rows[row.trial]
        elif row.reason.startswith(outcome.CORRUPT_TRIAL):
            watcher.message(f"trial {row.trial} is {row.reason}; --retry runs it again")
    return tuple(rows.values())


def _appoint_judge(folder: Path, problem: Problem, planned: Plan, watcher: Watcher) -> None:
    """Have a reference where the exact solution is not known, or say that there is none."""
    note = "" if planned.about["exact"] else judge.appointed(folder, problem, "default")
    if note:
        watcher.message(
            f"no judge: the exact solution is not known, and there is no reference ({note});"
            " errors stay unknown"
        )
