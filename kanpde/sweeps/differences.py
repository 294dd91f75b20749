"""Finite differences beside the networks: their error by the unknowns of the discrete system, order
by order."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import prod

from kanpde.errors import ReferenceUnavailable
from kanpde.problem.problem import Problem
from kanpde.reference import reference as finite_differences
from kanpde.results.fields import exact_on, relative_l2
from kanpde.sweeps.rows import Differences
from kanpde.sweeps.trial import Setting, problem_of, surroundings

DIFFERENCE_ORDERS = (2, 4, 6)
"""Of accuracy."""

COARSEST_CELLS, MOST_CELLS = 8, 4096
"""Cells along a coordinate of the first grid, and at most; they are doubled."""

SECONDS_AN_ORDER = 4.0
"""For all grids of one order: a grid is not begun that would probably take longer than what is
left."""


@dataclass(frozen=True)
class OrderJob:
    """All grids of one order, as a piece of work for a process.

    Attributes:
        setting: Where it runs, and where the problem comes from.
        order: The order of accuracy.
    """

    setting: Setting
    order: int


def carry_out(work: OrderJob) -> tuple[Differences, ...]:
    """Measure all grids of one order, on a worker of any kind.

    Args:
        work: The order, and where it runs.

    Returns:
        One entry a grid; none where the method cannot do the problem.
    """
    with surroundings(work.setting):
        return differences(problem_of(work.setting.problem), work.order)


def differences(
    problem: Problem, order: int, seconds: float = SECONDS_AN_ORDER
) -> tuple[Differences, ...]:
    """Solve on doubled grids, and measure errors and seconds.

    Args:
        problem: The problem of the sweep.
        order: The order of accuracy.
        seconds: A grid is not begun that would probably take longer than what is left of them.

    Returns:
        One entry a grid, coarse to fine, with the relative L2 error against the exact solution, or,
        where that is not known, as estimated from coarser grids.
    """
    found: list[Differences] = []
    began, cells, growth = time.perf_counter(), COARSEST_CELLS, 4.0 ** len(problem.domain.space)
    while cells <= MOST_CELLS:
        if found and time.perf_counter() - began + growth * found[-1].seconds > seconds:
            break
        try:
            one = _on(problem, order, cells)
        except ReferenceUnavailable:
            if found or cells >= 8 * COARSEST_CELLS:
                break
        else:
            if len(found) > 1 and found[-1].seconds > 0.1:
                growth = max(2.0 ** len(problem.domain.space), one.seconds / found[-1].seconds)
            found.append(one)
        if time.perf_counter() - began > seconds:
            break
        cells *= 2
    return tuple(found)


def _on(problem: Problem, order: int, cells: int) -> Differences:
    reference = finite_differences(problem, order=order, cells=cells)
    wrapped = [
        n if x in problem.periodic else n + 1 for x, n in ((x, cells) for x in problem.domain.space)
    ]
    exact = (
        exact_on(problem, reference.coordinates)
        if len(problem.exact) == len(problem.unknowns)
        else {}
    )
    error = relative_l2(reference.values, exact) if exact else reference.estimated_error
    return Differences(
        order,
        cells,
        prod(wrapped) * len(problem.unknowns),
        error,
        reference.seconds,
        "exact" if exact else "estimate",
    )
