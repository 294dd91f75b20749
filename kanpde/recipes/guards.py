"""What a run will need of memory, before it begins: a refusal in one line in place of a process
that the system kills.

The factors were measured (peaks of resident memory at 3e4 to 3e5 points, poisson2d and burgers1d)
and are on the careful side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch

from kanpde.errors import RecipeError
from kanpde.geometry.sampling import inside_points
from kanpde.machine.memory import available, gigabytes
from kanpde.networks.kan import KAN
from kanpde.networks.solution import NetworkSolution
from kanpde.networks.spec import Spec
from kanpde.problem.problem import Problem
from kanpde.recipes.recipe import Recipe
from kanpde.training import Deepen, Extend, LevenbergMarquardt, Sparsify, Widen
from kanpde.training.blocks import ROOM
from kanpde.training.schedule import DENSE

BUILD = 7.0
"""Bytes that points take at the highest, while their frame is made, over those of the frame."""

JETS = 4.0
"""Copies of the jets of all levels: forward, adjoint, and a trial of each."""

SQUARES = 5.0
"""Matrices of parameters by parameters: the normal matrix, the damped one, its factor, and work
space."""

SHARE = 0.9
"""Of the free memory, what a run may be expected to need."""

LARGE = 1e5
"""Parameters of a network that is not made to count them."""

DEEPEST = 1000
"""Levels more that are counted."""

SAMPLE = 64
"""Points of the frame that is measured."""


def check_memory(
    problem: Problem, recipe: Recipe, device: str, dtype: torch.dtype, free: float | None = None
) -> None:
    """Raise RecipeError where a run would need more memory than is free. free: bytes, where they
    are known already."""
    free = available(device) if free is None else free
    numbers = max(
        parameters(spec, inputs(problem, recipe), len(problem.outputs)) for spec in specs(recipe)
    )
    network, a_point = (
        for_parameters(numbers, recipe, dtype),
        for_a_point(problem, recipe, numbers, dtype),
    )
    room = SHARE * free
    if network > room:
        raise RecipeError(
            f"network: about {numbers:,.0f} parameters need {gigabytes(network)} for training, and"
            f" {gigabytes(free)} are free; expected a smaller --width or --grid"
        )
    if network + recipe.points * a_point > room:
        most = int((room - network) / a_point)
        needed = gigabytes(recipe.points * a_point + network)
        raise RecipeError(
            f"points: got {recipe.points:,}, which need about {needed}, and {gigabytes(free)} are"
            f" free; expected at most about {_rounded(most):,}"
        )


def for_parameters(numbers: float, recipe: Recipe, dtype: torch.dtype) -> float:
    """Bytes for a network of so many parameters, whatever the number of points; with the blocks of
    its Jacobian."""
    size = dtype.itemsize
    dense = (
        any(isinstance(stage, LevenbergMarquardt) for stage in recipe.stages) and numbers <= DENSE
    )
    square = dense or any(isinstance(stage, Sparsify) for stage in recipe.stages)
    return (
        20 * size * numbers
        + (SQUARES * size * numbers**2 if square else 0.0)
        + (ROOM if dense else 0)
    )


def for_a_point(problem: Problem, recipe: Recipe, numbers: float, dtype: torch.dtype) -> float:
    """Bytes for each point of training."""
    network = (
        KAN((1,), grid=1)
        .build(inputs(problem, recipe), len(problem.outputs), torch.Generator().manual_seed(0))
        .to("cpu", dtype)
    )
    solution = NetworkSolution(
        problem.domain, problem.outputs, problem.constraints, problem.periodic, network
    )
    needs = list(dict.fromkeys(leaf for r in problem.equations for leaf in r.needs))
    frame = solution.frame(inside_points(problem.domain, SAMPLE, 0), needs)
    own = sum(x.nbytes for x in (frame.points, frame.X, frame.map, frame.lift)) / SAMPLE
    units = sum((inputs(problem, recipe), *recipe.network.width, len(problem.outputs)))
    equations = sum(r.equations for r in problem.equations)
    jets = JETS * frame.map.shape[2] * units * dtype.itemsize * (1 + equations)
    penalised = (
        3 * numbers * equations * dtype.itemsize
        if any(isinstance(stage, Sparsify) for stage in recipe.stages)
        else 0.0
    )
    return BUILD * own + jets + penalised


def specs(recipe: Recipe) -> list[Spec]:
    """The network, and what its schedule makes of it: on finer grids, wider, deeper."""
    found = [recipe.network]
    for stage in recipe.stages:
        last = found[-1]
        if isinstance(stage, Extend):
            found.append(replace(last, **_resolved(last, stage.grid)))
        elif isinstance(stage, Widen):
            found.append(
                replace(last, width=tuple(max(units, stage.width) for units in last.width))
            )
        elif isinstance(stage, Deepen):
            found.append(
                replace(last, width=(*last.width, *(last.width[-1:] * min(stage.levels, DEEPEST))))
            )
    return found


def parameters(spec: Spec, inputs: int, outputs: int) -> float:
    """How many a network has; of a large one about, from one of a unit a layer on a coarse grid: it
    may be too large to make."""
    resolution = getattr(spec, spec.resolution) if spec.resolution else 1
    coarse, units = min(resolution, 32), (1,) * len(spec.width)
    small = replace(spec, width=units, **_resolved(spec, coarse)).count(inputs, outputs)
    found = (
        small
        * _edges((inputs, *spec.width, outputs))
        / _edges((inputs, *units, outputs))
        * max(resolution / coarse, 1.0)
    )
    return found if found > LARGE else spec.count(inputs, outputs)


def inputs(problem: Problem, recipe: Recipe) -> int:
    """Of a network for the problem."""
    return NetworkSolution.inputs(problem.domain, problem.periodic, recipe.lenses)


def _resolved(spec: Spec, value: int) -> dict[str, Any]:
    return {spec.resolution: value} if spec.resolution else {}


def _edges(widths: Sequence[int]) -> float:
    return float(sum(p * q for p, q in pairwise(widths)))


def _rounded(count: int) -> int:
    """To two digits, downwards."""
    step = 10 ** max(len(str(max(count, 1))) - 2, 0)
    return max(count, 1) // step * step
