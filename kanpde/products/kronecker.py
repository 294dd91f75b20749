"""The linear equations of collocation in space and time, nearly inverted: with coefficients that do
not vary they are sums of Kronecker products, which modes along every coordinate and of the stages
in time diagonalise (Lynch, Rice and Thomas 1964, Numer. Math. 6; Butcher 1976, BIT 16).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Complex, Float

from kanpde.products.lines import Line, times
from kanpde.products.stages import Stages
from kanpde.residual.calculus import MultiIndex

Slopes = list[tuple[int, int, Float[np.ndarray, " ..."]]]
"""Partials of the equations that are not zero: the number of the equation, that of the derivative,
and the partial at the points, or one number where it is the same at all."""

SMALLEST_PIVOT = 1e-8
"""Of symbols, over the largest of their terms: below it they are taken for this."""


@dataclass(frozen=True, eq=False)
class Kronecker:
    """The inverse of equations with coefficients that do not vary.

    Attributes:
        lines: Of every unknown, along each coordinate of space.
        stages: In time.
        mass: From the equations to those of which each has the highest rate of one unknown.
        inverse: Of the symbols: what each unknown takes of each of these equations, in each mode.
    """

    lines: tuple[tuple[Line, ...], ...]
    stages: Stages
    mass: Float[np.ndarray, "unknowns unknowns"]
    inverse: Complex[np.ndarray, "unknowns unknowns half x y"]

    @classmethod
    def of(
        cls,
        lines: tuple[tuple[Line, ...], ...],
        stages: Stages,
        leaves: Sequence[tuple[int, MultiIndex]],
        slopes: Float[np.ndarray, "equations leaves"],
    ) -> Kronecker:
        """The inverse of equations.

        Args:
            lines: Of every unknown, along each coordinate of space.
            stages: In time.
            leaves: The derivatives, each the number of an unknown and how often by every
                coordinate.
            slopes: What they are multiplied by in each equation.
        """
        ways = [tuple(line.symbols for line in own) for own in lines]
        mass, symbols, _ = symbols_of(ways, stages.uncoupled[0], stages, leaves, slopes)
        return cls(lines, stages, mass, inverted(symbols))

    @property
    def in_single_precision(self) -> Kronecker:
        """The same of values of half the length."""
        return replace(
            self, mass=self.mass.astype(np.float32), inverse=self.inverse.astype(np.complex64)
        )

    def __call__(
        self, rows: Float[np.ndarray, "unknowns stages x y"]
    ) -> Float[np.ndarray, "unknowns modes x y"]:
        """The free modes in time of values at the points, from the equations at all of them.

        Args:
            rows: What the equations are to be, at the points.
        """
        _, forth, back = self.stages.uncoupled
        rows = np.tensordot(self.mass, rows.astype(self.mass.dtype), 1)
        # Modes of space come before those of time, which are complex where those need not be.
        there = np.stack(
            [
                times(forth, along_y.to_modes(along_x.to_modes(one, 1), 2), 0)
                for one, (along_x, along_y) in zip(rows, self.lines, strict=True)
            ]
        )
        if len(there) == 1:
            found = self.inverse[0] * there
        else:
            found = np.einsum("ektxy,ktxy->etxy", self.inverse, there)
        back = self.stages.modes_of @ back
        real = all(line.real for own in self.lines for line in own)
        found = _real_part(back, found) if real else found
        values = [
            along_y.to_values(along_x.to_values(one, 1), 2)
            for one, (along_x, along_y) in zip(found, self.lines, strict=True)
        ]
        return np.stack(values) if real else _real_part(back, np.stack(values))


def _real_part(
    back: Complex[np.ndarray, "stages half"], found: Complex[np.ndarray, "unknowns half x y"]
) -> Float[np.ndarray, "unknowns stages x y"]:
    """Of values of all stages, from half of their modes."""
    return times(back.real, found.real, 1) - times(back.imag, found.imag, 1)


def symbols_of(
    ways: Sequence[tuple[tuple[Complex[np.ndarray, " points"], ...], ...]],
    times: Complex[np.ndarray, " values"],
    stages: Stages,
    leaves: Sequence[tuple[int, MultiIndex]],
    slopes: Float[np.ndarray, "equations leaves"],
) -> tuple[
    Float[np.ndarray, "unknowns unknowns"],
    Complex[np.ndarray, "unknowns unknowns values x y"],
    bool,
]:
    """The way from equations to those of which each has the highest rate of one unknown, the
    symbols of these, and whether all of them are as they should be: none was too small.

    Args:
        ways: Of every unknown, the symbols of derivatives along each coordinate of space. Unknowns
            with other modes have no part in one another's equations.
        times: Eigenvalues of the stages.
        stages: In time.
        leaves: The derivatives, each the number of an unknown and how often by every coordinate.
        slopes: What they are multiplied by in each equation.
    """
    order = stages.modes.order
    mass = np.zeros((len(ways), len(ways)))
    for (k, index), column in zip(leaves, slopes.T, strict=True):
        if index[-1] == order:
            mass[:, k] += column
    inverse = np.linalg.inv(mass)
    shape = (len(times), *(len(way[0]) for way in ways[0]))
    symbols = np.zeros((len(ways), len(ways), *shape), dtype=complex)
    largest, exact = np.zeros((len(ways), *shape)), True
    for (k, index), column in zip(leaves, (inverse @ slopes).T, strict=True):
        own = [way[n] for way, n in zip(ways[k], index, strict=False)]
        product = np.einsum("t,x,y->txy", times ** (order - index[-1]), *own)
        for e, slope in enumerate(column):
            if slope and all(a is b for a, b in zip(ways[e], ways[k], strict=True)):
                symbols[e, k] += slope * product
                if e == k:
                    np.maximum(largest[k], np.abs(slope * product), out=largest[k])
    for k in range(len(ways)):
        small = np.abs(symbols[k, k]) < SMALLEST_PIVOT * largest[k]
        symbols[k, k][small] = SMALLEST_PIVOT * largest[k][small]
        exact = exact and not small.any()
    return inverse, symbols, exact


def inverted(
    symbols: Complex[np.ndarray, "unknowns unknowns half x y"],
) -> Complex[np.ndarray, "unknowns unknowns half x y"]:
    """The inverses of small matrices, one a mode."""
    if len(symbols) == 1:
        return 1 / symbols
    if len(symbols) == 2:
        (a, b), (c, d) = symbols
        return np.array([[d, -b], [-c, a]]) / (a * d - b * c)
    moved = np.moveaxis(symbols, (0, 1), (-2, -1))
    return np.ascontiguousarray(np.moveaxis(np.linalg.inv(moved), (-2, -1), (0, 1)))
