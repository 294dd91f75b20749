"""The linear equations of collocation where splines wrap around on equal cells along all
coordinates of space, nearly inverted: Fourier's modes diagonalise all whose coefficients do not
vary, so that J = K + V with K inverted exactly, and of K⁻¹ J = 1 + K⁻¹ V only what varies is
evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Complex, Float

from kanpde.products.kronecker import Slopes, inverted, symbols_of
from kanpde.products.lines import Line
from kanpde.products.stages import Stages
from kanpde.residual.calculus import MultiIndex


@dataclass(frozen=True, eq=False)
class Wrapped:
    """The inverse of equations with coefficients that do not vary.

    Attributes:
        lines: Along each coordinate of space, the same of all unknowns.
        stages: In time.
        leaves: The derivatives, each the number of an unknown and how often by every coordinate.
        slopes: What they are multiplied by in each equation.
        exact: Whether it is their inverse: no symbol was too small.
        mass: From the equations to those of which each has the highest rate of one unknown.
        inverse: Of the symbols: what each unknown takes of each of these equations, in each mode,
            of conjugates along the last coordinate one each.
        dtype: Of the values that it takes.
    """

    lines: tuple[Line, ...]
    stages: Stages
    leaves: Sequence[tuple[int, MultiIndex]]
    slopes: Float[np.ndarray, "equations leaves"]
    exact: bool
    mass: Float[torch.Tensor, "unknowns unknowns"]
    inverse: Complex[torch.Tensor, "unknowns unknowns stages x half"]
    dtype: torch.dtype = torch.float64

    @classmethod
    def of(
        cls,
        lines: tuple[Line, ...],
        stages: Stages,
        leaves: Sequence[tuple[int, MultiIndex]],
        slopes: Float[np.ndarray, "equations leaves"],
    ) -> Wrapped:
        """The inverse of equations.

        Args:
            lines: Along each coordinate of space, the same of all unknowns.
            stages: In time.
            leaves: The derivatives, each the number of an unknown and how often by every
                coordinate.
            slopes: What they are multiplied by in each equation.
        """
        along_x, along_y = lines
        half = along_y.symbols[0].size // 2 + 1
        ways = along_x.symbols, tuple(one[:half] for one in along_y.symbols)
        count = len(slopes)
        found = symbols_of([ways] * count, stages.eigen[0], stages, leaves, slopes)
        mass, symbols, exact = found
        own = torch.from_numpy(np.ascontiguousarray(inverted(symbols)))
        return cls(lines, stages, leaves, slopes, exact, torch.from_numpy(mass), own)

    @property
    def in_single_precision(self) -> Wrapped:
        """The same of values of half the length."""
        return replace(
            self,
            mass=self.mass.float(),
            inverse=self.inverse.to(torch.complex64),
            dtype=torch.float32,
        )

    def __call__(
        self, rows: Float[np.ndarray, "unknowns stages x y"]
    ) -> Float[np.ndarray, "unknowns modes x y"]:
        """The free modes in time of values at the points, from the equations at all of them.

        Args:
            rows: What the equations are to be, at the points.
        """
        return self._applied(torch.from_numpy(rows).to(self.dtype)).numpy()

    def product(
        self, slopes: Slopes
    ) -> Callable[[Float[np.ndarray, "unknowns modes x y"]], Float[np.ndarray, " ..."]]:
        """What multiplies changes of free modes in time by the equations, nearly inverted.

        Args:
            slopes: Of the equations.
        """
        varying = self._varying(slopes)

        def multiplied(d: Float[np.ndarray, "unknowns modes x y"]) -> Float[np.ndarray, " ..."]:
            given = torch.from_numpy(d)
            found = self._applied(self._pushed(varying, given))
            return (given + found if self.exact else found).numpy()

        return multiplied

    def _varying(self, slopes: Slopes) -> list[tuple[int, int, torch.Tensor]]:
        """What is not inverted exactly."""
        found = {(e, a): torch.from_numpy(np.asarray(slope)) for e, a, slope in slopes}
        if self.exact:
            for e, a in np.argwhere(self.slopes):
                one = found.get((e, a), torch.zeros((), dtype=torch.float64))
                found[e, a] = one - float(self.slopes[e, a])
        return [(e, a, one.to(self.dtype)) for (e, a), one in found.items() if one.any()]

    def _applied(
        self, rows: Float[torch.Tensor, "unknowns stages x y"]
    ) -> Float[torch.Tensor, "unknowns modes x y"]:
        _, V = self.stages.eigen
        forth = torch.from_numpy(np.linalg.inv(V)).to(self.inverse.dtype)
        back = torch.from_numpy(self.stages.modes_of @ V).to(self.inverse.dtype)
        there = torch.fft.rfft2(torch.tensordot(self.mass, rows, 1))
        flat = torch.matmul(forth, there.flatten(2)).reshape(there.shape)
        count = len(flat)
        found = torch.empty_like(flat)
        for e in range(count):
            torch.mul(self.inverse[e, 0], flat[0], out=found[e])
            for k in range(1, count):
                found[e].addcmul_(self.inverse[e, k], flat[k])
        there = torch.matmul(back, found.flatten(2)).reshape(there.shape)
        return torch.fft.irfft2(there, s=rows.shape[2:])

    def _pushed(
        self,
        varying: list[tuple[int, int, torch.Tensor]],
        d: Float[torch.Tensor, "unknowns modes x y"],
    ) -> Float[torch.Tensor, "unknowns stages x y"]:
        """What varies, times a change."""
        order = self.stages.modes.size - d.shape[1]
        found = torch.zeros_like(d)
        rates: dict[tuple[int, int], torch.Tensor] = {}
        waves: dict[tuple[int, int, int], torch.Tensor] = {}
        for a, (k, (x, y, t)) in enumerate(self.leaves):
            own = [(e, slope) for e, b, slope in varying if a == b]
            if not own:
                continue
            if (k, t) not in rates:
                matrix = torch.from_numpy(self.stages.rates[t][:, order:]).to(self.dtype)
                rates[k, t] = torch.matmul(matrix, d[k].flatten(1)).reshape(d[k].shape)
            values, dim = rates[k, t], 1
            for line, n in zip(self.lines, (x, y), strict=True):
                if n:
                    key = (k, t, dim) if not (x and y) else None
                    there = waves.get(key) if key else None
                    if there is None:
                        there = torch.fft.rfft(values, dim=dim)
                    if key:
                        waves[key] = there
                    values = self._derived(line, n, there, dim, values.shape[dim])
                dim += 1
            for e, slope in own:
                found[e].addcmul_(slope.expand_as(values), values)
        return found

    def _derived(
        self, line: Line, n: int, there: torch.Tensor, dim: int, size: int
    ) -> torch.Tensor:
        """Values of a derivative from Fourier's modes along one coordinate."""
        symbol = torch.from_numpy(line.symbols[n][: size // 2 + 1].copy()).to(there.dtype)
        return torch.fft.irfft(there * (symbol[:, None] if dim == 1 else symbol), n=size, dim=dim)
