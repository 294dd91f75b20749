"""Splines along one coordinate over [-1, 1], which may close into a circle.

Along a circle the last splines go on as the first ones: of the grid + degree splines on a line,
number j and number j + grid are one function, so that all derivatives up to degree - 1 are
periodic.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kanpde.kernels import uniform_knots
from kanpde.kernels.plain import taps
from kanpde.networks.basis import HIGH, LOW
from kanpde.networks.rows import Rows

AROUND = HIGH - LOW


class AxisSplines:
    """Splines of a degree along one coordinate.

    Args:
        grid: Number of intervals of [-1, 1].
        degree: Of the splines.
        closed: Whether the coordinate is a circle, with one point at -1 and 1.
        breaks: The ends of the intervals, [grid + 1], rising from -1 to 1; without them, equally
            spaced ones.
    """

    def __init__(self, grid: int, degree: int, closed: bool, breaks: Tensor | None = None):
        self.grid, self.degree, self.closed = grid, degree, closed
        self.functions = grid if closed else grid + degree
        self.breaks = breaks
        self._own = None if breaks is None else extended(breaks, degree, closed)

    def knots(self, like: Tensor) -> Float[Tensor, "1 knots"]:
        """The knots [1, grid + 2 degree + 1], the same tensor each time.

        Args:
            like: A tensor of the type and on the device that are wanted.
        """
        if self._own is None:
            kind = like.dtype, like.device
            return uniform_knots(1, LOW, HIGH, self.grid, self.degree, *kind)
        self._own = self._own.to(like)
        return self._own

    def ends(self) -> Float[Tensor, " breaks"]:
        """The ends of the intervals, [grid + 1], float64 on the CPU."""
        if self.breaks is None:
            return torch.linspace(LOW, HIGH, self.grid + 1, dtype=torch.float64)
        return self.breaks.detach().double().cpu()

    def finer(self, grid: int) -> AxisSplines:
        """Splines on another number of intervals, which lie as these do.

        Args:
            grid: How many.
        """
        if self.breaks is None:
            return AxisSplines(grid, self.degree, self.closed)
        place = torch.linspace(0, self.grid, grid + 1, dtype=torch.float64)
        cell = place.floor().long().clamp(max=self.grid - 1)
        ends = self.ends()
        breaks = ends[cell] + (place - cell) * ends.diff()[cell]
        return AxisSplines(grid, self.degree, self.closed, breaks)

    def jet(self, X: Float[Tensor, "points channels 1"]) -> Float[Tensor, "points channels 1"]:
        """The jet of the coordinate within [-1, 1], where it is a circle.

        Args:
            X: The jet of the coordinate.
        """
        if not self.closed:
            return X
        X = X.clone()
        X[:, 0] -= AROUND * ((X[:, 0] - LOW) / AROUND).floor()
        return X

    def unrolled(self, c: Float[Tensor, "functions units"]) -> Float[Tensor, "1 splines units"]:
        """Coefficients of all grid + degree splines on the line.

        Args:
            c: Those that are trained.
        """
        if not self.closed:
            return c[None]
        return c[self._around(c)][None]

    def rolled(self, g: Float[Tensor, "splines units"]) -> Float[Tensor, "functions units"]:
        """The adjoint of `unrolled`.

        Args:
            g: The adjoint of the coefficients of all splines on the line.
        """
        if not self.closed:
            return g
        found = g.new_zeros(self.functions, g.shape[1])
        for first in range(0, len(g), self.grid):  # slices, not index_add: the same bits each time
            part = g[first : first + self.grid]
            found[: len(part)] += part
        return found

    def rows(
        self, cell: Int[Tensor, " points"], block: Float[Tensor, "points alive units"]
    ) -> Rows:
        """Derivatives by the coefficients that are alive, as rows over all that are trained.

        The runs of a row come in the order of their columns, which products with rows rely on. On a
        circle those beyond the end are the first ones: where there are intervals enough, they are a
        run of their own in front, which holds zeros at a place of its own while nothing is beyond
        the end; on a few intervals nearly all functions are alive, and rows are full.

        Args:
            cell: The interval of each point.
            block: The derivatives by the coefficients from `cell` on.
        """
        alive, units = block.shape[1:]
        if not self.closed:
            starts = (units * cell)[:, None]
            return Rows(block.flatten(1), starts, (alive * units,), self.functions * units)
        if self.grid < 3 * alive:
            full = block.new_zeros(len(block), self.functions, units)
            at = (cell[:, None] + torch.arange(alive, device=cell.device)) % self.grid
            for j in range(alive):  # one after another: on a small circle places repeat
                index = at[:, j, None, None].expand(-1, 1, units)
                full.scatter_add_(1, index, block[:, j : j + 1])
            return Rows.full(full.flatten(1))
        return self._two_runs(cell, block)

    def _two_runs(
        self, cell: Int[Tensor, " points"], block: Float[Tensor, "points alive units"]
    ) -> Rows:
        alive, units = block.shape[1:]
        first = cell.clamp(max=self.grid - alive)
        beyond = cell - first  # how many functions are beyond the end
        j = torch.arange(alive, device=cell.device)
        held = j - beyond[:, None]
        main = block.gather(1, held.clamp(min=0)[:, :, None].expand(-1, -1, units))
        main = main * (held >= 0)[:, :, None]
        source = (j[:-1] + alive - beyond[:, None]).clamp(max=alive - 1)
        front = block.gather(1, source[:, :, None].expand(-1, -1, units))
        front = front * (j[:-1] < beyond[:, None])[:, :, None]
        # An idle run in front stands where the main one is not.
        clear = torch.where(first < alive - 1, first + alive, torch.zeros_like(first))
        starts = torch.stack([clear, first], 1) * units
        lengths = ((alive - 1) * units, alive * units)
        values = torch.cat([front.flatten(1), main.flatten(1)], 1)
        return Rows(values, starts, lengths, self.functions * units)

    def at(self, x: Float[Tensor, " points"], order: int = 0) -> Float[Tensor, "points functions"]:
        """A derivative of all functions, float64 on the CPU.

        Args:
            x: Where, in [-1, 1].
            order: Which derivative.
        """
        cell, b = taps(x[:, None], self.knots(x), self.degree, order)
        line = x.new_zeros(len(x), self.grid + self.degree)
        index = cell + torch.arange(self.degree + 1)
        line.scatter_(1, index, math.factorial(order) * b[:, 0, order])
        return self.rolled(line.T).T.contiguous()

    def gram(self) -> Float[Tensor, "functions functions"]:
        """The integrals of products of two functions over [-1, 1], by Gauss points."""
        x, w = self.quadrature()
        B = self.at(x)
        return B.T @ (w[:, None] * B)

    def quadrature(self) -> tuple[Float[Tensor, " points"], Float[Tensor, " points"]]:
        """Gauss points, degree + 1 in every interval, and their weights."""
        inner, weights = gauss(self.degree + 1)
        ends = self.ends()
        middle, half = (ends[1:] + ends[:-1]) / 2, ends.diff() / 2
        return (middle[:, None] + half[:, None] * inner).flatten(), (
            half[:, None] * weights
        ).flatten()

    def roughness(self) -> Float[Tensor, "knots functions"]:
        """What takes coefficients to an estimate of the error of the splines at every break.

        The best spline of degree p on intervals of length h is off by √2 (h/2π)^(p+1) |u^(p+1)|
        where h is small (in the mean square; the constant is √(|B_2m| / (2m)!) with m = p + 1 and
        Bernoulli's numbers); the jump of the p-th derivative at a break over h is u^(p+1) there.

        Returns:
            The matrix [breaks, functions], of the inner breaks, on a circle of all.
        """
        ends, p = self.ends(), self.degree
        middle = (ends[1:] + ends[:-1]) / 2
        highest = self.at(middle, p)
        if self.closed:
            jumps = highest - highest.roll(1, 0)
            length = (ends.diff() + ends.diff().roll(1)) / 2
        else:
            jumps = highest.diff(dim=0)
            length = (ends[2:] - ends[:-2]) / 2
        return jumps * (math.sqrt(2) * length**p / (2 * math.pi) ** (p + 1))[:, None]

    def _around(self, like: Tensor) -> Tensor:
        return torch.arange(self.grid + self.degree, device=like.device) % self.grid


def extended(breaks: Float[Tensor, " breaks"], degree: int, closed: bool) -> Tensor:
    """Knots [1, grid + 2 degree + 1] of breaks, with `degree` more beyond either end.

    Those on a circle go around; on a line they are as far apart as the last two.

    Args:
        breaks: The ends of the intervals.
        degree: Of the splines.
        closed: Whether it is a circle.
    """
    grid = len(breaks) - 1
    if closed:
        number = torch.arange(-degree, grid + degree + 1)
        turns = torch.div(number, grid, rounding_mode="floor")
        return (breaks[number - grid * turns] + AROUND * turns)[None].contiguous()
    more = torch.arange(1, degree + 1, dtype=breaks.dtype)
    before = breaks[0] - more.flip(0) * (breaks[1] - breaks[0])
    after = breaks[-1] + more * (breaks[-1] - breaks[-2])
    return torch.cat([before, breaks, after])[None].contiguous()


def gauss(count: int) -> tuple[Float[Tensor, " points"], Float[Tensor, " points"]]:
    """Gauss points in [-1, 1] and their weights, by the eigenvalues of Golub and Welsch 1969.

    Args:
        count: How many.
    """
    k = torch.arange(1, count, dtype=torch.float64)
    beside = k / (4 * k**2 - 1).sqrt()
    points, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return points, 2 * vectors[0] ** 2
