"""Points of collocation in a span of time, as many as its polynomials have free modes: Radau's,
which damp what is stiff, and waves as short as cells (Hairer and Wanner 1996, Solving Ordinary
Differential Equations II, IV.5 and IV.15). Gauss's points would keep the energy of waves; but where
coefficients vary, squares of frequencies of the shortest ones are complex, and such waves would
grow.

Let F hold the highest rates of the free modes at the points. All else about the span follows from
its values there by powers of one matrix S, which integrates: S F holds the rates of one order less.
Of waves, S² F stands for the values: where those of the polynomials themselves were taken,
collocation would not be stable (van der Houwen, Sommeijer and Cong 1991, BIT 31), and they differ
by no more than the last mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Complex, Float
from numpy.polynomial import legendre

from kanpde.products.axes import Modes


@dataclass(frozen=True)
class Stages:
    """Points of collocation in a span of time.

    Attributes:
        modes: Functions of time.
        share: The points, as shares of the span.
    """

    modes: Modes
    share: Float[np.ndarray, " stages"]

    @classmethod
    def of(cls, modes: Modes) -> Stages:
        """Those of a span.

        Args:
            modes: Functions of time.
        """
        return cls(modes, _shares(modes.size - modes.order))

    @property
    def at(self) -> Float[np.ndarray, " stages"]:
        """The points."""
        return self.modes.breaks[0] + 2 * self.modes.half * self.share

    @cached_property
    def rates(self) -> tuple[Float[np.ndarray, "stages modes"], ...]:
        """What stands for values, rates, … of all modes at the points."""
        order = self.modes.order
        found = [self.modes.matrix(self.at, k).toarray() for k in range(order + 1)]
        if order == 2:
            found[0][:, order:] = self.integrating @ found[1][:, order:]
        return tuple(found)

    @cached_property
    def integrating(self) -> Float[np.ndarray, "stages stages"]:
        """The matrix S."""
        order = self.modes.order
        top, below = (self.modes.matrix(self.at, k).toarray() for k in (order, order - 1))
        return np.linalg.solve(top[:, order:].T, below[:, order:].T).T

    @property
    def modes_of(self) -> Float[np.ndarray, "stages stages"]:
        """From the highest rates at the points to the free modes."""
        return np.linalg.inv(self.rates[-1][:, self.modes.order :])

    @cached_property
    def eigen(
        self,
    ) -> tuple[Complex[np.ndarray, " stages"], Complex[np.ndarray, "stages stages"]]:
        """The eigenvalues of S, and its vectors."""
        values, V = np.linalg.eig(self.integrating)
        return values.astype(complex), V.astype(complex)

    @cached_property
    def uncoupled(
        self,
    ) -> tuple[
        Complex[np.ndarray, " half"],
        Complex[np.ndarray, "half stages"],
        Complex[np.ndarray, "stages half"],
    ]:
        """The eigenvalues of S, of conjugates one each, with the rows that lead to them and the
        columns that lead back, of which the real part is meant."""
        values, V = self.eigen
        kept = values.imag >= -1e-12 * abs(values)
        twice = np.where(values.imag > 1e-12 * abs(values), 2.0, 1.0)
        back = (V * twice)[:, kept]
        return values[kept], np.linalg.inv(V)[kept], back


@lru_cache(maxsize=32)
def _shares(count: int) -> Float[np.ndarray, " stages"]:
    # The zeros of the difference of two of Legendre's polynomials, of which one is the end.
    series = np.zeros(count + 1)
    series[-2:] = -1.0, 1.0
    found = (np.sort(legendre.legroots(series).real) + 1) / 2
    found[-1] = 1.0
    return found
