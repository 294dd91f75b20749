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
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.geometry.sampling import inside_points
from kanpde.machine.memory import available, gigabytes
from kanpde.networks.frame import Frame
from kanpde.networks.spec import Spec
from kanpde.networks.trial_space import TrialSpace
from kanpde.problem.problem import Problem
from kanpde.recipes.recipe import Recipe
from kanpde.residual.calculus import Leaf
from kanpde.training import Deepen, Extend, LevenbergMarquardt, Sparsify, Widen
from kanpde.training.blocks import ROOM
from kanpde.training.schedule import DENSE

BUILD = 7.0
"""Bytes that points take at the highest, while their frame is made, over those of the frame."""

JETS = 4.0
"""Copies of the jets of all levels: forward and adjoint, at the network and at a step from it."""

SQUARES = 5.0
"""Matrices of parameters by parameters: the normal matrix, the damped one, its factor, and work
space."""

SHARE_OF_FREE = 0.9
"""Of the free memory, what a run may be expected to need."""

COUNTED = 1e5
"""Parameters up to which a network is made to count them."""

DEEPEST = 1000
"""Levels more that are counted."""

SAMPLE = 64
"""Points of the frame that is measured."""


def check_memory(
    problem: Problem,
    recipe: Recipe,
    space: TrialSpace,
    device: str,
    dtype: torch.dtype,
    free: float | None = None,
) -> Frame:
    """Refuse a run that would need more memory than is free.

    Args:
        problem: What is to be solved.
        recipe: How it is solved.
        space: The candidates.
        device: Where training would be, "cpu" or "cuda".
        dtype: Precision of training.
        free: Bytes that are free, where they are known already.

    Returns:
        The frame of all that the equations need, at `probes` of the domain.

    Raises:
        RecipeError: The network or the points do not fit.
    """
    free = available(device) if free is None else free
    outputs = len(space.outputs)
    numbers = max(parameters(spec, space.inputs, outputs) for spec in specs(recipe))
    network, room = for_parameters(numbers, recipe, dtype), SHARE_OF_FREE * free
    if network > room:
        raise RecipeError(
            f"network: about {numbers:,.0f} parameters need {gigabytes(network)} for training, and"
            f" {gigabytes(free)} are free; expected a smaller --width or --grid"
        )
    frame = space.frame(probes(problem), needs(problem))
    a_point = for_a_point(frame, problem, recipe, space, numbers, dtype)
    if network + recipe.points * a_point > room:
        most = int((room - network) / a_point)
        needed = gigabytes(recipe.points * a_point + network)
        raise RecipeError(
            f"points: got {recipe.points:,}, which need about {needed}, and {gigabytes(free)} are"
            f" free; expected at most about {_rounded(most):,}"
        )
    return frame


def probes(problem: Problem) -> Float[Tensor, "points dims"]:
    """Points at which the first frame is made.

    Args:
        problem: What is to be solved.
    """
    return inside_points(problem.domain, SAMPLE, 0)


def needs(problem: Problem) -> list[Leaf]:
    """The derivatives that the equations take, each once.

    Args:
        problem: What is to be solved.
    """
    return list(dict.fromkeys(leaf for r in problem.equations for leaf in r.needs))


def for_parameters(numbers: float, recipe: Recipe, dtype: torch.dtype) -> float:
    """Bytes for a network, whatever the number of points; with the blocks of its Jacobian.

    Args:
        numbers: Parameters of the network.
        recipe: How the problem is solved.
        dtype: Precision of the network.
    """
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


def for_a_point(
    frame: Frame,
    problem: Problem,
    recipe: Recipe,
    space: TrialSpace,
    numbers: float,
    dtype: torch.dtype,
) -> float:
    """Bytes for each point of training.

    Args:
        frame: A frame at some points, from which the bytes are reckoned.
        problem: What is to be solved.
        recipe: How it is solved.
        space: The candidates.
        numbers: Parameters of the network.
        dtype: Precision of the network.
    """
    frame = frame.to(torch.empty(0, dtype=dtype))
    own = sum(x.nbytes for x in (frame.points, frame.X, frame.map, frame.lift)) / len(frame.points)
    units = sum((space.inputs, *recipe.spec.width, len(space.outputs)))
    equations = sum(r.equations for r in problem.equations)
    jets = JETS * frame.map.shape[2] * units * dtype.itemsize * (1 + equations)
    penalised = (
        3 * numbers * equations * dtype.itemsize
        if any(isinstance(stage, Sparsify) for stage in recipe.stages)
        else 0.0
    )
    return BUILD * own + jets + penalised


def specs(recipe: Recipe) -> list[Spec]:
    """The network, and what its schedule makes of it: on finer grids, wider, deeper.

    Args:
        recipe: How the problem is solved.

    Returns:
        The specifications, in order.
    """
    found = [recipe.spec]
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
    """How many parameters a network has.

    Those of a large one are counted about, from one of a unit a layer on a coarse grid: it may be
    too large to make.

    Args:
        spec: Its specification.
        inputs: Number of its inputs.
        outputs: Number of its outputs.
    """
    resolution = getattr(spec, spec.resolution) if spec.resolution else 1
    coarse, units = min(resolution, 32), (1,) * len(spec.width)
    small = replace(spec, width=units, **_resolved(spec, coarse)).count(inputs, outputs)
    found = (
        small
        * _edges((inputs, *spec.width, outputs))
        / _edges((inputs, *units, outputs))
        * max(resolution / coarse, 1.0)
    )
    return found if found > COUNTED else spec.count(inputs, outputs)


def _resolved(spec: Spec, value: int) -> dict[str, Any]:
    return {spec.resolution: value} if spec.resolution else {}


def _edges(widths: Sequence[int]) -> float:
    return float(sum(p * q for p, q in pairwise(widths)))


def _rounded(count: int) -> int:
    """To two digits, downwards."""
    step = 10 ** max(len(str(max(count, 1))) - 2, 0)
    return max(count, 1) // step * step
