"""Options in place of parts of a recipe: the network and the schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kanpde.errors import RecipeError
from kanpde.networks import KAN, MLP
from kanpde.recipe import Recipe
from kanpde.training import Extend, Stage, parse_schedule


def overrides(
    recipe: Recipe,
    kind: str | None,
    width: tuple[int, ...] | None,
    grid: tuple[int, ...] | None,
    degree: int | None,
    schedule: str | None,
) -> tuple[KAN | MLP | None, list[Stage] | None]:
    """The network and the schedule that the options ask for, starting from the problem's own; None where they ask for none.

    Raises RecipeError for options that do not go together.
    """
    stages = None if schedule is None else parse_schedule(schedule)
    if kind == width == grid == degree is None:
        return None, stages
    kinds: dict[str, type[KAN] | type[MLP]] = {"kan": KAN, "mlp": MLP}
    network = recipe.network if kind is None or isinstance(recipe.network, kinds[kind]) else kinds[kind]()
    if width is not None:
        network = replace(network, width=width)
    if isinstance(network, MLP):
        for option, value in (("--degree", degree), ("--grid", grid)):
            if value is not None:
                raise RecipeError(f"{option}: an MLP has no splines; leave it out, or choose --network kan")
        return network, stages or [stage for stage in recipe.stages if not isinstance(stage, Extend)]
    if degree is not None:
        network = replace(network, degree=degree)
    if grid is None:
        return network, stages
    if stages is not None and len(grid) > 1:
        raise RecipeError(f"--grid {','.join(map(str, grid))} extends the grid by itself; give one grid with --schedule, and extend:… in it")
    return replace(network, grid=grid[0]), stages or _extended(recipe.stages, grid[1:])


def _extended(schedule: Sequence[Stage], grids: Sequence[int]) -> list[Stage]:
    """A schedule with its grid extensions replaced: training as between its own extensions, the last part repeated where there are more."""
    parts: list[list[Stage]] = [[]]
    for stage in schedule:
        if isinstance(stage, Extend):
            parts.append([])
        else:
            parts[-1].append(stage)
    parts = [part for part in parts if part]
    stages = list(parts[0] if grids else parts[-1])
    for i, grid in enumerate(grids, 1):
        stages += [Extend(grid), *parts[-1 if i == len(grids) else min(i, len(parts) - 1)]]
    return stages
