"""Knots as piecewise polynomials: on each knot interval the degree + 1 splines that live there are
polynomials.

Knots are those of SciPy's BSpline, one strictly increasing vector [grid + 2 degree + 1] an input;
the layer's interval is the part from knot `degree` to knot `-degree - 1`, where the grid + degree
splines sum to one. On the interval between two neighbouring knots, τ = (x - its middle) / its
length runs from -1/2 to 1/2: centred, so that little cancels.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary


class PolynomialPieces(NamedTuple):
    """The splines of every interval as polynomials.

    Attributes:
        breaks: Ends of the intervals, [inputs, grid + 1].
        table: The coefficient of τ^s of the j-th spline on each interval, leftmost spline first,
            as [inputs, grid, j, s], degree + 1 of both.
    """

    breaks: Tensor
    table: Tensor


_known: WeakIdKeyDictionary = WeakIdKeyDictionary()


def pieces(knots: Tensor, degree: int) -> PolynomialPieces:
    """The pieces of knots, kept as long as that tensor lives and is not changed.

    Args:
        knots: Of each input, [inputs, grid + 2 degree + 1].
        degree: Of the splines.

    Returns:
        The same object for the same knots.

    Raises:
        ValueError: The knots of an input do not increase strictly.
    """
    version, found = _known.get(knots, (None, None))
    if found is None or version != (knots._version, degree):
        found = _pieces(knots, degree)
        _known[knots] = ((knots._version, degree), found)
    return found


def _pieces(knots: Tensor, degree: int) -> PolynomialPieces:
    exact = knots.detach().to(device="cpu", dtype=torch.float64)
    steps = exact.diff(dim=1)
    if not bool((steps > 0).all()):  # a comparison with nan is false too
        p, i = (~(steps > 0)).nonzero()[0].tolist()
        raise ValueError(
            f"knots: got {exact[p, i]:g} and then {exact[p, i + 1]:g} for input {p}; expected knots"
            " that increase"
        )
    return PolynomialPieces(
        knots.detach()[:, degree : knots.shape[1] - degree].contiguous(),
        polynomials(exact, degree).to(knots),
    )


def polynomials(knots: Tensor, degree: int) -> Tensor:
    """The table of PolynomialPieces, by the recursion of Cox and de Boor on polynomials in τ."""
    grid = knots.shape[1] - 2 * degree - 1

    def at(offset: int) -> Tensor:
        """The knot so far to the right of the left end of each interval, [inputs, grid, 1]."""
        return knots[:, degree + offset : degree + offset + grid, None]

    length, middle = at(1) - at(0), (at(0) + at(1)) / 2
    table = torch.ones(len(knots), grid, 1, 1, dtype=knots.dtype)
    for k in range(1, degree + 1):
        finer = torch.zeros(len(knots), grid, k + 1, k + 1, dtype=knots.dtype)
        for j in range(k):
            start, end, old = at(j - k + 1), at(j + 1), table[:, :, j]
            finer[:, :, j + 1, :k] += (middle - start) / (end - start) * old
            finer[:, :, j + 1, 1:] += length / (end - start) * old
            finer[:, :, j, :k] += (end - middle) / (end - start) * old
            finer[:, :, j, 1:] -= length / (end - start) * old
        table = finer
    return table


@lru_cache(maxsize=256)
def uniform_knots(
    inputs: int,
    low: float,
    high: float,
    grid: int,
    degree: int,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device = "cpu",
) -> Tensor:
    """Equally spaced knots, the same for all inputs, with `grid` intervals on [low, high]. Do not
    write into them."""
    step = (high - low) / grid
    knots = low + step * torch.arange(-degree, grid + degree + 1, dtype=torch.float64)
    knots[degree + grid] = high
    return knots.expand(inputs, -1).to(device=device, dtype=dtype).contiguous()


def interval(x: Tensor, breaks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The interval [points, inputs] that holds x, τ in it, and its length. Outside of the breaks it
    is the nearest one."""
    cell = torch.searchsorted(
        breaks[:, 1:-1].contiguous(), x.T.contiguous(), right=True
    ).T.contiguous()
    left, right = torch.gather(breaks.T, 0, cell), torch.gather(breaks.T, 0, cell + 1)
    return cell, (x - (left + right) / 2) / (right - left), right - left


def taylor(polynomials: Tensor, x: Tensor, breaks: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Taylor coefficients of piecewise polynomials at points, by Horner's scheme.

    Args:
        polynomials: The coefficients of τ^s on every interval, [inputs, grid, degree + 1,
            functions].
        x: The points, [points, inputs].
        breaks: Ends of the intervals, [inputs, grid + 1].
        order: Of the highest coefficient.

    Returns:
        The interval that holds each point, [points, inputs], and the Taylor coefficients in x,
        [points, inputs, order + 1, functions].
    """
    cell, tau, length = interval(x, breaks)
    inputs, grid, width, functions = polynomials.shape
    rows = (cell + grid * torch.arange(inputs, device=x.device)).view(-1)
    own = polynomials.reshape(inputs * grid, -1).index_select(0, rows)
    # Numbers of all points lie together: short rows take twice as long.
    *lower, highest = own.T.contiguous().view(width, functions, *cell.shape).unbind()
    found = [highest]
    for c in lower[::-1]:
        more = found[-1:] if len(found) <= order else []
        found = [torch.addcmul(a, b, tau) for a, b in zip([c, *found], found, strict=False)] + more
    found[1:] = [f / length**nu for nu, f in enumerate(found[1:], 1)]
    found += [torch.zeros_like(highest)] * (order + 1 - len(found))
    return cell, torch.stack(found).movedim((0, 1), (2, 3))


def degree_of(C: Tensor, knots: Tensor) -> int:
    """The degree, from the numbers of functions and of knots."""
    return knots.shape[-1] - C.shape[1] - 1
