"""Functions of one coordinate by splines whose cells follow the error of the fit.

Of a sum of products the functions of one coordinate are known at points, and are wanted times a
given factor. All terms of all unknowns share the splines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import lstsq
from torch import Tensor

from kanpde.networks.axis_splines import AxisSplines
from kanpde.networks.basis import HIGH, LOW
from kanpde.products.axes import SplineAxis
from kanpde.products.estimates import refined

FITS = 7
"""Fits, at most, whose cells follow the errors of the one before."""

POINTS_A_CELL = 2
"""Points on a cell, on average at least."""

LOOSER, STRICTER = 4.0, 0.25
"""By how much the error that is aimed at in every cell may change from one fit to the next."""

THINNED = 3
"""Cells that the first fit has one for."""

TINY = 1e-300
"""What errors of nothing are taken for."""


@dataclass(frozen=True)
class Wanted:
    """The functions of one coordinate of one unknown.

    Attributes:
        values: What the splines times the factor have to be at points, [points, terms].
        factor: The factor, [points].
        others: Means of products of the terms' other functions, [terms, terms]: the error of the
            unknown at a place of the coordinate is a sum of those of its terms.
        scale: Of the unknown, by which errors are divided.
    """

    values: Float[np.ndarray, "points terms"]
    factor: Float[np.ndarray, " points"]
    others: Float[np.ndarray, "terms terms"]
    scale: float


@dataclass(frozen=True)
class FittedSplines:
    """Splines of one coordinate.

    Attributes:
        cells: Their cells.
        coefficients: Of all terms of every unknown, [functions, terms].
        errors: By unknown and point, root mean square over the other coordinates.
    """

    cells: SplineAxis
    coefficients: tuple[Float[np.ndarray, "_functions terms"], ...]
    errors: Float[np.ndarray, "unknowns points"]

    def mean(self, weights: Float[np.ndarray, " points"]) -> float:
        """The largest error of the unknowns, root mean square.

        Args:
            weights: Of the points, with the sum 1.
        """
        return float(np.sqrt((self.errors**2 @ weights).max()))


def splines_within(
    goal: float,
    wanted: Sequence[Wanted],
    at: SplineAxis,
    points: Float[np.ndarray, " points"],
    weights: Float[np.ndarray, " points"],
) -> FittedSplines | None:
    """Splines on few cells that are off by no more than a goal, root mean square; None where none
    are found.

    Args:
        goal: The error, over the scales.
        wanted: What is wanted, an unknown each.
        at: Splines on cells that are fine enough.
        points: Places of the coordinate.
        weights: Of the points, with the sum 1.
    """
    fewest, most = at.degree + 1 if at.periodic else 1, len(points) // POINTS_A_CELL
    cells, best, aim = _of_count(at, max(at.cells // THINNED, fewest)), None, goal
    short = fewest - 1
    for _ in range(FITS):
        fit = _fitted(cells, wanted, points, weights)
        off = fit.mean(weights)
        if off > goal:
            short = max(short, cells.cells)
        elif best is None or cells.cells < best.cells.cells:
            best = fit
        if best is not None and best.cells.cells <= short + 1:
            break
        aim *= min(LOOSER, max(STRICTER, goal / max(off, TINY)))
        worst = np.zeros(cells.cells)
        np.maximum.at(worst, cells.cell_of(points), fit.errors.max(0))
        rough = worst * (np.pi / np.diff(cells.breaks)) ** (at.degree + 1)
        cells = refined(cells, rough, aim, most, fewest)
    return best and _fewer(best, short, goal, wanted, points, weights)


def _fewer(
    best: FittedSplines,
    short: int,
    goal: float,
    wanted: Sequence[Wanted],
    points: Float[np.ndarray, " points"],
    weights: Float[np.ndarray, " points"],
) -> FittedSplines:
    """Splines within a goal on as few cells as are found between a number that was too small and
    one that was not, which lie as those of the latter do."""
    while best.cells.cells > short + 1:
        count = (best.cells.cells + short) // 2
        fit = _fitted(_of_count(best.cells, count), wanted, points, weights)
        if fit.mean(weights) <= goal:
            best = fit
        else:
            short = count
    return best


def _of_count(cells: SplineAxis, count: int) -> SplineAxis:
    """Splines on another number of cells that lie as those of others do."""
    every = np.linspace(0, cells.cells, count + 1)
    breaks = np.interp(every, np.arange(cells.cells + 1), cells.breaks)
    return SplineAxis(breaks, cells.degree, cells.periodic)


def _fitted(
    cells: SplineAxis,
    wanted: Sequence[Wanted],
    points: Float[np.ndarray, " points"],
    weights: Float[np.ndarray, " points"],
) -> FittedSplines:
    """The least squares of all functions on some cells."""
    B = cells.matrix(points).toarray()
    roots, found, errors = np.sqrt(weights)[:, None], [], []
    for own in wanted:
        M = own.factor[:, None] * B
        norms = np.linalg.norm(roots * M, axis=0)
        norms[norms == 0] = 1
        c = lstsq(roots * M / norms, roots * own.values, lapack_driver="gelsy")[0] / norms[:, None]
        off = M @ c - own.values
        squares = np.einsum("pj,jk,pk->p", off, own.others, off)
        found.append(c)
        errors.append(np.sqrt(np.maximum(squares, 0)) / own.scale)
    return FittedSplines(cells, tuple(found), np.stack(errors))


def on_unit(fit: FittedSplines) -> tuple[AxisSplines, Float[Tensor, "functions terms"]]:
    """The same functions by splines over [-1, 1], as a network has them.

    Args:
        fit: Splines of a coordinate.

    Returns:
        The splines, and the coefficients of all terms, those of the first unknown first.
    """
    cells, (low, high) = fit.cells, fit.cells.ends
    unit = LOW + (HIGH - LOW) * (torch.from_numpy(cells.breaks) - low) / (high - low)
    axis = AxisSplines(cells.cells, cells.degree, cells.periodic, unit)
    x = cells.gauss(cells.degree + 1)[0].ravel()
    values = cells.matrix(x) @ np.concatenate(fit.coefficients, 1)
    B = axis.at(LOW + (HIGH - LOW) * (torch.from_numpy(x) - low) / (high - low))
    solved = torch.linalg.lstsq(B, torch.from_numpy(values), driver="gelsd").solution
    return axis, solved
