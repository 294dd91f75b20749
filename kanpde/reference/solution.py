"""The reference of a problem, by collocation or by finite differences: what it is, and which
problems have one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from kanpde.errors import ReferenceUnavailable, listed, nearest
from kanpde.geometry import Pieces, SpaceTime
from kanpde.problem.determined import (
    determined,
    determined_by_conditions,
    determined_on_a_line,
)
from kanpde.problem.efforts import EFFORTS
from kanpde.problem.formulation import Formulation
from kanpde.problem.parameters import Field
from kanpde.problem.problem import Problem
from kanpde.problem.switches import switches
from kanpde.reference.beside import at_once, check_met
from kanpde.reference.climb import OUTPUT_TIMES, GridSolution, climb
from kanpde.reference.collocation import CollocationGrid
from kanpde.reference.elements import ELEMENT_ORDER, ElementGrid, Meshes, library
from kanpde.reference.evolving import in_time, is_evolution
from kanpde.reference.families import of_family
from kanpde.reference.fluxes import check_elements
from kanpde.reference.found import Reference as Reference
from kanpde.reference.numbers import Solve, with_numbers
from kanpde.reference.ordinary import INTERVALS, march, start_of
from kanpde.reference.patchwork import Patchwork, in_boxes, space_of
from kanpde.reference.radau import ORDER
from kanpde.reference.scheme import ORDERS, order_for, space_order
from kanpde.reference.spectral import collocated, suits

WORK_BY_EFFORT = {"quick": 2.0, "default": 12.0, "record": 120.0}
"""Seconds of work, as `work` counts it, that a reference may take."""

DIFFERENCES, ELEMENTS = METHODS = ("differences", "fem")
"""Of references: collocation or finite differences as suits the problem, and finite elements."""

SECONDS_A_SWITCH = 0.007
"""More of them for each place on the way of a march at which it has to begin anew."""

GLANCE = 0.25
"""Of the work, what a solution by differences may take that shows where fronts are."""

WORK_ASKED_FOR = 600.0
"""Seconds of work for grids that the caller asks for."""

KEPT_NODES = 513
"""Along one coordinate, past which the output of an evolution is thinned."""


def reference(
    problem: Problem,
    *,
    order: int | None = None,
    cells: int | Mapping[str, int] | None = None,
    effort: str = "default",
    method: str = "differences",
) -> Reference:
    """Solve a problem by another method than a network, from its own residuals.

    Where coefficients of a solution on a box fall to rounding, it is one by collocation (Fourier's
    functions along what wraps round, else Chebyshev's); elsewhere, or where an order or cells are
    asked for, by finite differences. On a box their grid ends where the domain does; on other
    domains the boundary is embedded in a grid over the bounding box. Work is counted, not timed:
    the same problem gives the same reference. Of a family it is one of a few members, at values
    that reach from end to end of their ranges.

    Args:
        problem: With as many equations as unknowns, and all of its parameters known.
        order: Of accuracy in space, even; by default as high as suits the problem.
        cells: Along every space coordinate of the finest grid, or by coordinate, each a multiple
            of 2; on pieces that are boxes, in every interval between planes through their faces. By
            default grids are refined until the error estimate meets a target, or the work is done
            that the effort allows.
        effort: "quick", "default" or "record".
        method: "fem" for finite elements in the place of all these, on planar domains; cells are
            then edges of the finest mesh along the longest side.

    Returns:
        The solution with an estimate of its error.

    Raises:
        ReferenceUnavailable: With the reason, where the problem is outside the method.
    """
    checked_method(method)
    if determined_on_a_line(problem) and method == DIFFERENCES:
        found = reference(determined(problem), order=order, cells=cells, effort=effort)
        return _with_numbers(found, [p.name for p in problem.parameters])
    began = time.perf_counter()
    if effort not in EFFORTS:
        raise ReferenceUnavailable(
            f"effort={effort!r}: expected {listed(EFFORTS)}{nearest(str(effort), EFFORTS)}"
        )
    free = method == DIFFERENCES and order is None and cells is None
    if determined_by_conditions(problem):
        if not any(isinstance(p, Field) for p in problem.parameters):
            forwards = _forwards(order, cells, method)
            return _with_or_beside(problem, forwards, effort, free, began)
        if free:
            return _beside(problem, effort, began)
    if problem.family:
        how = {"order": order, "cells": cells, "effort": effort, "method": method}
        return of_family(problem, partial(reference, **how))  # type: ignore[arg-type]
    if method == ELEMENTS:
        allowed = work_of(problem, effort) if cells is None else WORK_ASKED_FOR
        return _by_elements(problem, order, cells, allowed, began)
    if order is None and start_of(problem):
        _refuse(problem, order)
        return _integrated(problem, cells, work_of(problem, effort), began)
    allowed = work_of(problem, effort) if cells is None else WORK_ASKED_FOR
    if problem.pencil is not None:
        found = _computed(problem.pencil, order, cells, allowed, began)
        return _with_numbers(found, [m.eigenvalue for m in problem.pencil.modes])
    if is_evolution(problem):
        try:
            return _computed(in_time(problem), order, cells, allowed, began)
        except ReferenceUnavailable:
            pass  # All instants at once may still have a solution.
    return _computed(problem, order, cells, allowed, began)


def checked_method(method: str) -> str:
    """The name of a method.

    Args:
        method: What the user gave.

    Raises:
        ReferenceUnavailable: Where there is none of that name, or its package is not installed.
    """
    if method not in METHODS:
        raise ReferenceUnavailable(
            f"judge {method!r}: expected {listed(METHODS)}{nearest(str(method), METHODS)}"
        )
    if method == ELEMENTS:
        library()
    return method


def _forwards(
    order: int | None, cells: int | Mapping[str, int] | None, method: str = DIFFERENCES
) -> Solve:
    """Gives references of problems without unknown numbers."""
    return lambda problem, effort: reference(
        problem, order=order, cells=cells, effort=effort, method=method
    )


def _with_or_beside(
    problem: Problem, forwards: Solve, effort: str, free: bool, began: float
) -> Reference:
    """The reference of a problem whose numbers conditions determine: by those for numbers in turn;
    all at once where these have none and `free` says that this may be."""
    try:
        return with_numbers(problem, forwards, effort)
    except ReferenceUnavailable:
        if not free:
            raise
        try:
            return _beside(problem, effort, began)
        except ReferenceUnavailable:
            pass  # The first reason is that of the method which was asked for.
        raise


def _beside(problem: Problem, effort: str, began: float) -> Reference:
    """The reference of a problem whose parameters conditions determine, all at once."""
    whole = at_once(problem)
    solved = collocated(whole, work_of(problem, effort)) if suits(whole) else None
    if solved is None:
        raise ReferenceUnavailable(
            f"{listed(whole.numbers)} and the solution are found together by collocation at all"
            " times at once: in two coordinates, time included, where both are smooth"
        )
    check_met(whole, solved.grid, solved.grid.open(solved.closed))
    found = _packed(whole, solved, 0, "", time.perf_counter() - began)
    numbers = [p.name for p in problem.parameters if not isinstance(p, Field)]
    return _with_numbers(found, numbers)


def _by_elements(
    problem: Problem,
    order: int | None,
    cells: int | Mapping[str, int] | None,
    allowed: float,
    began: float,
) -> Reference:
    """The reference by finite elements."""
    whole = in_time(problem) if is_evolution(problem) else problem
    check_elements(problem, whole.domain)
    if order not in (None, ELEMENT_ORDER):
        raise ReferenceUnavailable(f"order={order}: quadratic elements have order {ELEMENT_ORDER}")
    if isinstance(cells, Mapping):
        raise ReferenceUnavailable(
            f"cells={dict(cells)}: expected one number for a mesh of finite elements"
        )
    meshes = Meshes(space_of(whole.domain), cells)
    solved = climb(whole, ELEMENT_ORDER, cells, allowed, meshes)
    return _packed(whole, solved, ELEMENT_ORDER, "", time.perf_counter() - began)


def work_of(problem: Formulation, effort: str) -> float:
    """The seconds of work that a reference may take.

    Args:
        problem: Any.
        effort: "quick", "default" or "record".
    """
    along = [x for x in problem.coordinates if x == problem.domain.time or start_of(problem)]
    return WORK_BY_EFFORT[effort] + SECONDS_A_SWITCH * sum(len(switches(problem, x)) for x in along)


def _with_numbers(found: Reference, names: Sequence[str]) -> Reference:
    """The same with numbers for functions that are the same everywhere."""
    numbers = {name: float(np.nanmean(found.values[name])) for name in names}
    values = {u: v for u, v in found.values.items() if u not in numbers}
    return replace(found, values=values, numbers=numbers)


def _computed(
    problem: Formulation,
    order: int | None,
    cells: int | Mapping[str, int] | None,
    allowed: float,
    began: float,
) -> Reference:
    """The reference by `allowed` seconds of work. Raises ReferenceUnavailable."""
    _refuse(problem, order)
    kept, why = (order, "") if order else order_for(problem)
    if cells is not None and not order:
        # Two grids are compared: the order is one that the coarser of them has the nodes for.
        coarse = min(cells.values() if isinstance(cells, Mapping) else [cells]) // 2 + 1
        kept = max(2, min(kept, (coarse - space_order(problem)) // 2 * 2))
    if order is None and cells is None and suits(problem):
        smooth = _smooth(problem, kept, allowed)
        if smooth is not None:
            return _packed(problem, smooth, 0, "", time.perf_counter() - began)
    solved = climb(problem, kept, cells, allowed)
    return _packed(problem, solved, kept, why, time.perf_counter() - began)


def _smooth(problem: Formulation, order: int, allowed: float) -> GridSolution | None:
    """A solution by collocation, on a line after a glance by differences at where it has fronts;
    None where there is none."""
    found = collocated(problem, allowed)
    if found is not None or len(problem.domain.space) > 1:
        return found
    try:
        glance = climb(problem, order, None, GLANCE * allowed)
    except ReferenceUnavailable:
        return None
    return collocated(problem, allowed, glance)


def _integrated(
    problem: Formulation, cells: int | Mapping[str, int] | None, allowed: float, began: float
) -> Reference:
    """The reference of an initial-value problem of ordinary differential equations."""
    (x,) = problem.coordinates
    along = cells[x] if isinstance(cells, Mapping) else cells
    found = march(problem, allowed, along or INTERVALS)
    errors, scales = (
        dict(zip(problem.unknowns, part.tolist(), strict=True))
        for part in (found.error, found.scales)
    )
    values = dict(zip(problem.unknowns, found.values, strict=True))
    worst, seconds = float(found.error.max()), time.perf_counter() - began
    return Reference({x: found.times}, values, ORDER, found.method, worst, seconds, errors, scales)


def _refuse(problem: Formulation, order: int | None) -> None:
    """Raise ReferenceUnavailable for what finite differences do not take."""
    domain, space = problem.domain, space_of(problem.domain)
    flat = in_boxes(space) if isinstance(space, Pieces) else domain.is_box
    if not flat and space_order(problem) > 2:
        raise ReferenceUnavailable(
            f"a derivative of order {space_order(problem)}; on domains that are no box finite"
            " differences take them up to order 2"
        )
    if problem.parameters:
        raise ReferenceUnavailable(
            f"its parameters {listed(p.name for p in problem.parameters)} are unknown; finite"
            " differences take numbers (problem.settled(…))"
        )
    if not domain.is_box and problem.periodic:
        raise ReferenceUnavailable(
            f"Periodic({problem.periodic[0]!r}) on a domain that is no box: its finite differences"
            " do not wrap round"
        )
    if len(domain.space) not in ORDERS:
        raise ReferenceUnavailable(
            f"{len(domain.space)} space dimensions; finite differences take at most {max(ORDERS)},"
            " more have too many nodes"
        )
    if order is not None and (order < 2 or order % 2):
        raise ReferenceUnavailable(f"order={order}: expected 2, 4, 6, 8 or a higher even number")
    if domain.time and not problem.time_order:
        raise ReferenceUnavailable(
            f"no equation differentiates by {domain.time!r}; leave Time(…) out of the domain"
        )


def _packed(
    problem: Formulation, found: GridSolution, order: int, why: str, seconds: float
) -> Reference:
    """The best solution as it is given out: on equidistant nodes, and thinned where it is long."""
    domain, values = problem.domain, found.even
    coordinates = {
        x: np.linspace(*domain.bounds[x], n)
        for x, n in zip(domain.space, values.shape[1:], strict=False)
    }
    if isinstance(found.grid, Patchwork):
        coordinates = dict(zip(domain.space, found.grid.shown(), strict=True))
    shown = " x ".join(str(len(axis)) for axis in coordinates.values())
    if isinstance(domain, SpaceTime):
        for i, x in enumerate(domain.space, 1):
            while len(coordinates[x]) > KEPT_NODES and len(coordinates[x]) % 2:
                coordinates[x] = coordinates[x][::2]
                values = np.take(values, np.arange(0, values.shape[i], 2), axis=i)
        coordinates[domain.time] = np.linspace(*domain.bounds[domain.time], OUTPUT_TIMES)
    method = "finite differences of" if domain.is_box else "finite differences, embedded boundary,"
    if isinstance(found.grid, Patchwork):
        flat, count = in_boxes(found.grid.pieces), len(found.grid.patches)
        method = f"finite differences in {count} pieces,{'' if flat else ' embedded boundaries,'}"
    kind = f"{method} order {order}{why}, {shown} points, {found.method}"
    if isinstance(found.grid, CollocationGrid):
        kind = f"{found.grid.described}, {found.method}"
    if isinstance(found.grid, ElementGrid):
        kind = f"{found.grid.described}, {shown} points, {found.method}"
    fields = {u: np.ascontiguousarray(values[v]) for v, u in enumerate(problem.unknowns)}
    errors, scales = (
        dict(zip(problem.unknowns, part.tolist(), strict=True))
        for part in (found.error, found.scales)
    )
    return Reference(
        coordinates, fields, order, kind, found.worst, seconds, errors, scales, found.doubt
    )
