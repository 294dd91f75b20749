"""Evolutions whose diffusion has the wrong sign: heat that flows from cold to hot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from kanpde.errors import ProblemError
from kanpde.geometry.sampling import inside_points
from kanpde.residual.calculus import raised
from kanpde.residual.residual import Residual, leaf_name

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem

POINTS_OF_A_SIGN = 64
"""At which the sign is looked at, for as many draws of the derivatives."""


def backwards(problem: Problem) -> Iterator[str]:
    """A line for every unknown that diffuses backwards in time everywhere, so that what is small
    grows the faster the shorter its waves are.

    Args:
        problem: Any; parameters, and data, may be what turns it round.
    """
    time = problem.domain.time
    if time is None or problem.parameters or problem.data:
        return
    for equation in problem.equations:
        for unknown in problem.copies:
            for x in problem.domain.space:
                if equation.equations == 1 and _is_backwards(problem, equation, unknown, time, x):
                    order = problem.order(unknown, x)
                    dims, axis = len(problem.coordinates), problem.coordinates.index(x)
                    name = leaf_name(
                        (unknown, raised((0,) * dims, [axis] * order)), problem.coordinates
                    )
                    sign = "-" if order % 4 == 2 else "+"
                    yield (
                        f"{equation.name}: runs backward in time, {unknown}_{time} and {name} have"
                        " the signs of heat from cold to hot, which grows without bound;"
                        f" did you mean d({unknown}, {time}) {sign} …"
                        f" d({', '.join([unknown, *[x] * order])})?"
                    )
                    return


def _is_backwards(problem: Problem, equation: Residual, unknown: str, time: str, x: str) -> bool:
    """Whether the factors of u_t and of its highest derivative along x, of even order, have the
    signs of a backward diffusion at all points."""
    order = problem.order(unknown, x)
    if problem.order(unknown, time) != 1 or order not in (2, 4):
        return False
    dims = len(problem.coordinates)
    ends = [problem.coordinates.index(time)], [problem.coordinates.index(x)] * order
    leaves = [(unknown, raised((0,) * dims, axes)) for axes in ends]
    if any(leaf not in equation.needs for leaf in leaves):
        return False
    points = inside_points(problem.domain, POINTS_OF_A_SIGN, 0)
    generator = torch.Generator().manual_seed(0)
    drawn = 2 * torch.rand(
        len(points), len(equation.needs), generator=generator, dtype=torch.float64
    )
    at = dict(zip(problem.coordinates, points.unbind(1), strict=True))
    try:
        _, slopes = equation.near(at, drawn - 1)
    except ProblemError:
        return False
    assert slopes is not None
    rate, diffusion = (slopes[:, 0, equation.needs.index(leaf)] for leaf in leaves)
    sign = 1.0 if order == 2 else -1.0
    return bool((rate * diffusion * sign > 0).all())
