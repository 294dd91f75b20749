"""A schedule on another last grid, and without grids: the same number of steps for every network of
a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kanpde.training import Change, Extend, LevenbergMarquardt, Stage

LEAST_RATIO = 1.5
"""The least ratio of a grid to the one before it: a finer step has nothing to gain."""


def extended_to(schedule: Sequence[Stage], first: int, last: int) -> tuple[int, list[Stage]]:
    """A schedule on other grids, or on other values of whatever else is refined.

    There are as many grids as before, in a geometric series from the first one to the last, but
    fewer where they would lie within LEAST_RATIO of each other; a grid that falls away leaves its
    steps to the first one.

    Args:
        schedule: The stages, with or without extensions.
        first: The grid that it begins on; the last one where that is coarser.
        last: The grid that it is to end on.

    Returns:
        The grid to begin with, and the stages.
    """
    parts = parts_of(schedule)
    first, grids = min(first, last), [last]
    for i in range(len(parts) - 2, -1, -1):
        coarser = round(first * (last / first) ** (i / (len(parts) - 1)))
        if grids[0] >= LEAST_RATIO * coarser:
            grids.insert(0, coarser)
    spare = len(parts) - len(grids)
    stages: list[Stage] = merged([stage for part in parts[: spare + 1] for stage in part])
    for finer, part in zip(grids[1:], parts[spare + 1 :], strict=True):
        stages += [Extend(finer), *part]
    return grids[0], stages


def without_grids(schedule: Sequence[Stage]) -> list[Stage]:
    """The optimisers one after another.

    Levenberg-Marquardt damps by the root, whatever it does in the schedule: one damping a layer
    suits grids that start coarse, and in three of four comparisons an MLP was 1.2 to 10 times more
    accurate without it (poisson2d, 501 and 1,117 parameters, two seeds).

    Args:
        schedule: The stages, with or without changes of the network.

    Returns:
        The stages without changes; neighbours that differ by their steps only are one.
    """
    stages = [stage for part in parts_of(schedule) for stage in part]
    return merged(
        [
            (
                replace(stage, metric=LevenbergMarquardt.metric)
                if isinstance(stage, LevenbergMarquardt)
                else stage
            )
            for stage in stages
        ]
    )


def parts_of(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Part a schedule where it changes the network.

    Args:
        stages: The stages, with or without changes of the network.

    Returns:
        The optimisers between the changes, and those before and after them; parts without any are
        left out.
    """
    parts: list[list[Stage]] = [[]]
    for stage in stages:
        if isinstance(stage, Change):
            parts.append([])
        else:
            parts[-1].append(stage)
    return [part for part in parts if part]


def merged(stages: Sequence[Stage]) -> list[Stage]:
    """Join neighbours that differ by their steps only.

    Args:
        stages: The stages, in order.

    Returns:
        As many stages or fewer, with as many steps.
    """
    found: list[Stage] = []
    for stage in stages:
        if (
            found
            and not isinstance(stage, Change)
            and not isinstance(found[-1], Change)
            and replace(found[-1], steps=stage.steps) == stage
        ):
            found[-1] = replace(stage, steps=found[-1].steps + stage.steps)
        else:
            found.append(stage)
    return found


def shortened(stages: Sequence[Stage], steps: int) -> list[Stage]:
    """The same stages with another number of steps.

    Args:
        stages: The stages, with or without changes of the network.
        steps: The steps of all optimisers together.

    Returns:
        The stages with the steps shared out as they were, at least one each.
    """
    trained = [stage.steps for stage in stages if not isinstance(stage, Change)]
    done, given, found = 0, 0, list(stages)
    for i, stage in enumerate(found):
        if not isinstance(stage, Change):
            done += stage.steps
            share = max(1, round(steps * done / sum(trained)) - given)
            given += share
            found[i] = replace(stage, steps=share)
    return found


def steps_of(stages: Sequence[Stage]) -> int:
    """Steps of a schedule's optimisers in all.

    Args:
        stages: The stages of the schedule; those that change the network have no steps.
    """
    return sum(stage.steps for stage in stages if not isinstance(stage, Change))
