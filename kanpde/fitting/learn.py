"""fit(data, target): choose rows and network, train, judge, keep."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from kanpde.errors import RecipeError
from kanpde.fitting.learned import Fit
from kanpde.fitting.recipe import default
from kanpde.fitting.task import HELD, TRAINING, Task, prepare
from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.networks.trial_space import tabular_space
from kanpde.problem.table_files import read
from kanpde.recipes.checks import DTYPES, check_machine
from kanpde.recipes.recipe import Recipe
from kanpde.runs.atomic import check_writable
from kanpde.training import Stage, parse_schedule, regress, show_schedule
from kanpde.training.history import Observer, Silent


def fit(
    data: Any,
    target: str | Sequence[str],
    *,
    inputs: Sequence[str] | None = None,
    classify: bool | None = None,
    test: Any = 0.2,
    held: float = 0.1,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    network: KAN | MLP | None = None,
    schedule: Sequence[Stage] | str | None = None,
    restarts: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float64",
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> Fit:
    """Learn columns of a table from others.

    Numbers are learned by least squares, classes by logistic regression.

    Args:
        data: A path (CSV, NPZ, HDF5), a mapping of arrays by name, or a data frame.
        target: The column, or the columns, to learn.
        inputs: The columns to learn them from; all others where not given.
        classify: Whether the target is a class; where not given, a column of text is one.
        test: Share of the rows that only judge the result, or data of their own.
        held: Share of the other rows by which the best state and grid are chosen, where there are
            50 or more; with 0 the last state is kept.
        bounds: Ranges (low, high) of inputs, by name, beyond those of the data.
        network: In place of the one that `fitting.default` chooses from the number of rows.
        schedule: Stages, or their text, in place of those that `fitting.default` chooses.
        restarts: Random starts, in place of the number that `fitting.default` chooses.
        seed: Of the drawing of rows and of the network's first parameters.
        device: Where training runs: "cpu" or "cuda".
        dtype: Precision of training: "float64" or "float32".
        out: Folder to write the run to; nothing is written without it.
        observer: Who is told how training goes.

    Returns:
        What was learned: call it with inputs by name.

    Raises:
        DataError: The data do not fit.
        RecipeError: The settings do not fit.
        RunError: The folder cannot be written.
    """
    targets = [target] if isinstance(target, str) else list(target)
    judge = test if isinstance(test, int | float) else read(test)
    task = prepare(read(data), targets, inputs, classify, judge, held, seed, bounds)
    stages = parse_schedule(schedule) if isinstance(schedule, str) else schedule
    given: dict[str, Any] = {"network": network, "schedule": stages, "restarts": restarts}
    recipe = replace(
        recipe_for(task), **{key: value for key, value in given.items() if value is not None}
    )
    return learn(task, recipe, seed, device, dtype, out, observer)


def recipe_for(task: Task) -> Recipe:
    """The default recipe for a task.

    Args:
        task: What is to be learned.
    """
    return default(
        task.count(TRAINING), len(task.inputs), len(task.outputs), bool(task.classes)
    ).recipe


def learn(
    task: Task,
    recipe: Recipe,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float64",
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> Fit:
    """Train a recipe's network on a task that is prepared; the rest is as in `fit`.

    Args:
        task: What is to be learned.
        recipe: Network, schedule and restarts; without spans of time and continuation.
        seed: Of the network's first parameters.
        device: Where training runs: "cpu" or "cuda".
        dtype: Precision of training: "float64" or "float32".
        out: Folder to write the run to; nothing is written without it.
        observer: Who is told how training goes.

    Returns:
        What was learned: call it with inputs by name.

    Raises:
        RecipeError: The recipe or the settings do not fit.
        RunError: The folder cannot be written.
    """
    check_machine(device, dtype)
    if recipe.slabs > 1 or recipe.continuation:
        raise RecipeError(
            "recipe: spans of time and continuation are for equations; expected none of them in"
            " a fit"
        )
    if out is not None:
        check_writable(out)
    began = time.perf_counter()
    space = tabular_space(task.domain, task.outputs, recipe.spec)
    solution, history = regress(
        task.measurements(),
        space,
        space.initial(torch.Generator().manual_seed(seed)),
        recipe.plan(seed, device, DTYPES[dtype]),
        observer or Silent(),
    )
    settings = {
        "seed": seed,
        "device": device,
        "dtype": dtype,
        "restarts": recipe.restarts,
        "schedule": show_schedule(recipe.stages),
        "held": task.count(HELD),
    }
    found = Fit(task, solution, history, settings, time.perf_counter() - began)
    if out is not None:
        found.save(out)
    return found
