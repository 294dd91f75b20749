"""The recipe for a table: a network that the rows can determine."""

from __future__ import annotations

from itertools import pairwise

from kanpde.networks.kan import KAN
from kanpde.recipes.choosing import Choice
from kanpde.recipes.recipe import Recipe

LARGEST_FIT_GRID = 48
"""Largest grid that is tried."""

ENTRIES = 2e8
"""Numbers in a Jacobian, 1.6 GB of them, above which L-BFGS takes the place of
Levenberg-Marquardt."""


def default(rows: int, inputs: int, outputs: int, classes: bool = False) -> Choice:
    """A recipe from the number of training rows, inputs and outputs.

    One input needs no hidden layer: the fit is a spline. Else there are five hidden units, fewer
    where the rows are few. Grids are doubled while the parameters stay below a quarter (of labels,
    which say less, a twelfth) of the numbers that there are; which of them is kept is decided by
    rows held back. Splines are of degree 5; of degree 3 for classes, whose borders are no smoother.

    Args:
        rows: Of the table, those to train on.
        inputs: How many columns are learned from.
        outputs: How many functions are learned.
        classes: Whether they tell classes; else they are numbers.

    Returns:
        The recipe with its reasons.
    """
    share = 12 if classes else 4
    most = max(rows * outputs // share, 1)
    degree, width = (3 if classes else 5), (() if inputs == 1 and not classes else (5,))
    network = KAN(width=width, degree=degree, grid=3)
    while network.count(inputs, outputs) > most and (
        network.degree > 3 or network.grid > 1 or sum(network.width) > 1
    ):
        if network.width and network.width[0] > 2:
            network = KAN((network.width[0] - 1,), network.degree, network.grid)
        elif network.degree > 3:
            network = KAN(network.width, 3, network.grid)
        elif network.grid > 1:
            network = KAN(network.width, network.degree, network.grid - 1)
        else:
            network = KAN((1,), network.degree, network.grid)
    grids = [network.grid]
    while (
        2 * grids[-1] <= LARGEST_FIT_GRID
        and KAN(network.width, network.degree, 2 * grids[-1]).count(inputs, outputs) <= most
    ):
        grids.append(2 * grids[-1])
    entries = (
        rows
        * outputs
        * (1 + classes)
        * sum(p * q * (network.degree + 1) for p, q in pairwise((inputs, *network.width, outputs)))
    )
    stage = "lm:60" if entries <= ENTRIES else "lbfgs:200"
    schedule = stage + "".join(f",extend:{grid},{stage}" for grid in grids[1:])
    hidden = (
        f"{network.width[0]} hidden units"
        if network.width
        else "no hidden layer, since there is one input"
    )
    reasons: tuple[str, ...] = (
        (
            f"{rows:,} rows to train on: at most {most:,} parameters, one for {share} of the"
            " numbers in them"
        ),
        f"{hidden}; splines of degree {network.degree}, grids {', '.join(map(str, grids))}",
    )
    if entries > ENTRIES:
        reasons += (f"L-BFGS, since a Jacobian would hold {entries:.1e} numbers",)
    return Choice(
        Recipe(network, max(rows, 1), schedule, restarts=3 if network.width else 1), reasons
    )
