"""Systems r(t, U, U', U'') whose partials are constant: A₀ U + A₁ U' + A₂ U'' + g(t), where only
g takes the equations themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from kanpde.reference.work import Work

AHEAD = 8
"""Steps of one length whose data are evaluated at once, at most."""


SAME_RESIDUAL = 1e-9
"""Share of its terms by which a residual may differ from what is affine."""


class Discretised(Protocol):
    """What a residual is evaluated by."""

    orders: list[int]
    size: int
    work: Work

    def residual(self, fields: Sequence[np.ndarray], t: np.ndarray) -> np.ndarray:
        """r at some instants at once."""

    def matrices(self, slopes: np.ndarray) -> list[np.ndarray | sp.csr_matrix]:
        """∂r/∂U, ∂r/∂U' and so on, from the partials of its residuals."""


class AffineSystem:
    """The residual of such a system.

    Data are evaluated for some steps ahead, since a function costs about as much at forty instants
    as at five; and beside them a residual that is not zero, which shows whether partials are the
    same at all of these instants.
    """

    def __init__(
        self, system: Discretised, slopes: np.ndarray, nodes: Float[np.ndarray, " stages"]
    ):
        """Make its matrices.

        Args:
            system: One whose partials are constant.
            slopes: These, as it takes them.
            nodes: Of the stages of a step, on (0, 1].
        """
        self._system, self._nodes = system, nodes
        self._matrices = system.matrices(slopes)
        self._entries = sum(A.size for A in self._matrices)
        self._begin, self._h, self._data = 0.0, 0.0, np.zeros((0, system.size, len(nodes)))

    def __call__(
        self, fields: Sequence[Float[np.ndarray, "size stages"]], t: float, h: float, steps: int
    ) -> Float[np.ndarray, "size stages"] | None:
        """r at the stages of a step; None where partials are not what they were.

        Args:
            fields: U and its derivatives in time.
            t: The step's begin.
            h: Its length.
            steps: How many of this length are left before another begins, this one among them.
        """
        self._system.work.solved(self._entries * len(self._nodes), False)
        place = round((t - self._begin) / h)
        # Data never reach beyond the steps of one length, and so are at the right instants.
        if h != self._h or not 0 <= place < len(self._data):
            place, self._begin, self._h = 0, t, h
            if not self._evaluated([values[:, -1:] for values in fields], min(steps, AHEAD)):
                return None
        found = self._data[place].copy()
        for A, values in zip(self._matrices, fields, strict=True):
            found += A @ values
        return found

    def _evaluated(self, fields: Sequence[Float[np.ndarray, "size 1"]], ahead: int) -> bool:
        """Evaluate g for some steps; whether the residual of some values is affine there."""
        t = self._begin + self._h * np.add.outer(np.arange(ahead), self._nodes).ravel()
        both = [np.repeat(np.c_[np.zeros_like(one), one], len(t), 1) for one in fields]
        r = self._system.residual(both, np.r_[t, t])
        g, seen = np.split(r, 2, axis=1)
        terms = [
            (A @ one, abs(A) @ np.abs(one)) for A, one in zip(self._matrices, fields, strict=True)
        ]
        known, sizes = (sum(part) for part in zip(*terms, strict=True))
        self._data = np.moveaxis(g.reshape(len(g), ahead, -1), 1, 0)
        return bool((np.abs(seen - g - known) <= SAME_RESIDUAL * (sizes + np.abs(g))).all())
