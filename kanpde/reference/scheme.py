"""Which order of accuracy a problem is discretised with, and why it is lower than usual."""

from __future__ import annotations

from itertools import product

import torch

from kanpde.geometry import Pieces
from kanpde.problem.formulation import Formulation
from kanpde.problem.pencil import Pencil
from kanpde.reference.crossings import TOUCHING
from kanpde.reference.grid import Grid
from kanpde.reference.ladder import FIRST_CELLS, REENTRANT_ANGLE
from kanpde.reference.patchwork import in_boxes, space_of
from kanpde.reference.steady import corner_defect
from kanpde.reference.system import System

ORDERS = {1: 12, 2: 12, 3: 8}
"""Order of accuracy by default, by space dimensions: digits of smooth solutions cost least at high
orders (where a solution is not smooth they cost the same at any), as far as the first grids have
the nodes for them."""

ORDERS_EMBEDDED = {2: 4, 3: 2}
"""The same for domains that are no box."""

ORDER_STABLE = 2
"""For evolutions on domains with re-entrant corners, at which higher orders grow in time."""

ORDER_ODD = 6
"""The order where the highest derivative along a coordinate with ends is odd."""

ODD = " (the highest that is safe for odd derivatives between ends)"

ORDER_SINGULAR = 4
"""The order for solutions that are singular in a corner, because conditions contradict there."""

ORDER_CROSSED = 6
"""The order for pieces of which more than two meet in a point. Solutions are like a small power of
the distance from it: with four squares errors fall as the nodes to the power 2.3 at the orders 6
and 8, but not at all at 12, whose differences reach too far from such points."""

AT_AN_INTERFACE = 2
"""Pieces that meet on a smooth interface."""

CONTRADICTED = 0.1
"""The part of an equation's terms that does not cancel in a corner, from which on the conditions
are taken to contradict the equation there."""


def order_for(problem: Formulation) -> tuple[int, str]:
    """The order for a problem, and why it is lower than usual.

    First derivatives between ends let errors grow from node to node, by a power of the nodes that
    rises with the order. Where conditions on two faces contradict the equation of a pressure in
    their corner (a cavity whose lid starts from rest there), the solution is singular.

    Args:
        problem: On a domain of at most three space dimensions.

    Returns:
        The order of accuracy, and words that follow it in the method's description, "" where the
        order is the usual one.
    """
    if isinstance(problem, Pencil):
        problem = problem.settled(0.0)
    space, whole = problem.domain.space, space_of(problem.domain)
    if isinstance(whole, Pieces):
        if not in_boxes(whole):
            return ORDERS_EMBEDDED[len(space)], ""
        if odd_between_ends(problem):
            return ORDER_ODD, ODD
        if _most_that_meet(whole) > AT_AN_INTERFACE:
            return ORDER_CROSSED, " (in a point where many pieces meet, solutions are singular)"
        return ORDERS[len(space)], ""
    if not problem.domain.is_box:
        if problem.domain.time and any(
            corner.opening > REENTRANT_ANGLE for corner in problem.domain.corners
        ):
            return ORDER_STABLE, (
                " (with a higher one, solutions grow in time at a re-entrant corner)"
            )
        return ORDERS_EMBEDDED[len(space)], ""
    if odd_between_ends(problem):
        return ORDER_ODD, ODD
    grid = Grid(
        {x: problem.domain.bounds[x] for x in space},
        (FIRST_CELLS[len(space)],) * len(space),
        ORDERS[len(space)],
        frozenset(problem.periodic),
    )
    if (
        not problem.domain.time
        and len(space) > 1
        and corner_defect(System(problem, grid)) > CONTRADICTED
    ):
        return ORDER_SINGULAR, " (the conditions contradict an equation in a corner)"
    return ORDERS[len(space)], ""


def odd_between_ends(problem: Formulation) -> bool:
    """Whether the highest derivative along a coordinate with ends is of odd order."""
    ends = [x for x in problem.domain.space if x not in problem.periodic]
    highest = {x: max(problem.order(u, x) for u in problem.copies) for x in ends}
    return any(order % 2 for order in highest.values())


def space_order(problem: Formulation) -> int:
    """The highest order of a derivative along any space coordinate."""
    return max(problem.order(u, x) for u in problem.copies for x in problem.domain.space)


def _most_that_meet(pieces: Pieces) -> int:
    """How many pieces that are boxes meet in one point, at most: in one of their corners."""
    slack = TOUCHING * max(b - a for a, b in pieces.bounds.values())
    corners = [
        corner
        for region in pieces.regions.values()
        for corner in product(*(region.bounds[x] for x in pieces.coordinates))
    ]
    points = torch.tensor(corners, dtype=torch.float64)
    depths = torch.stack([region.depth(points) for region in pieces.regions.values()])
    return int((depths >= -4 * slack).sum(0).max())
