"""Boundary values of an evolution from the values inside: U = P y + b(t).

Nodes that a boundary condition owns are eliminated, so that an initial-value problem on the free
ones is left. The map from free values to all values is what analysis calls a lift of the data.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as sla
import torch
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable
from kanpde.geometry import SpaceTime
from kanpde.problem.formulation import Formulation
from kanpde.reference.assembly import GridResidual
from kanpde.reference.boundary import Placed, coordinates_on, place
from kanpde.reference.constancy import vary
from kanpde.reference.grid import Grid
from kanpde.residual.residual import leaf_name

MOST_STEPS = 30
"""Of the iteration for nonlinear conditions."""

SETTLED_STEP = 1e-13
"""Relative length of a step at which that iteration ends."""

SLOW = 0.1
"""Ratio of two steps above which the iteration takes a new matrix."""


class BoundaryLift:
    """Values on all nodes, from those on the free nodes and the conditions' data.

    Attributes:
        free: Flat numbers (unknown * nodes + node) of the values that are integrated.
        owned: Those of the values that follow from conditions.
        affine: Whether the conditions are affine in the values, with the same factors always.
        steady: Of affine conditions, whether their data are constant in time.
        P: Of affine conditions, dU/dy, sparse [fields * nodes, free].
    """

    def __init__(self, problem: Formulation, grid: Grid):
        """Find the map.

        Args:
            problem: An evolution.
            grid: Of its space.

        Raises:
            ReferenceUnavailable: Where the conditions do not determine the owned values, or hold
                derivatives in time.
        """
        domain = problem.domain
        assert isinstance(domain, SpaceTime)
        self._time, self._span = domain.time, domain.bounds[domain.time]
        self._size = len(problem.unknowns) * grid.nodes
        placed = place(problem, grid)
        self._parts = [(_condition(problem, grid, p), p.row) for p in placed]
        self.owned = (
            np.concatenate([p.unknown * grid.nodes + p.owners for p in placed])
            if placed
            else np.zeros(0, dtype=int)
        )
        self.free = np.setdiff1d(np.arange(self._size), self.owned)
        self.spread = sp.identity(self._size, format="csc")[:, self.free]
        self.affine = self._is_affine()
        self._guess = np.zeros(len(self.owned))
        self._chord: Callable[[np.ndarray], np.ndarray] | None = None
        if self.affine:
            self.P, self._solve = self._eliminate(
                self._jacobian(self._span[0], np.zeros(self._size))
            )
            self.steady = not any(self._asks(part) for part, _ in self._parts)
            self._fixed = self._offset(self._defect(self._span[0], np.zeros(self._size)))

    def offset(self, t: float) -> Float[np.ndarray, " size"]:
        """b(t) of affine conditions."""
        return self._fixed if self.steady else self._offset(self._defect(t, np.zeros(self._size)))

    def fill(self, t: float, free: Float[np.ndarray, " free"]) -> Float[np.ndarray, " size"]:
        """All values from the free ones."""
        if self.affine:
            return self.P @ free + self.offset(t)
        U = self.spread @ free
        U[self.owned] = self._guess
        before = np.inf
        for _ in range(MOST_STEPS):
            if self._chord is None:
                self._chord = self._eliminate(self._jacobian(t, U))[1]
            step = self._chord(self._defect(t, U))
            U[self.owned] -= step
            length = float(np.abs(step).max())
            if length <= SETTLED_STEP * max(1.0, np.abs(U).max()):
                self._guess = U[self.owned]
                return U
            # The matrix is that of an earlier instant, which is good enough while steps shrink.
            if length > SLOW * before:
                self._chord = None
            before = length
        raise ReferenceUnavailable(
            "a nonlinear boundary condition cannot be solved for the boundary values at"
            f" {self._time} = {t:.4g}"
        )

    def slope(self, t: float, U: Float[np.ndarray, " size"]) -> sp.csc_matrix:
        """dU/dy, sparse [fields * nodes, free]."""
        return self.P if self.affine else self._eliminate(self._jacobian(t, U))[0]

    def _defect(self, t: float, U: np.ndarray) -> np.ndarray:
        return (
            np.concatenate(
                [part(U, False, self._now(part, t))[0][:, row] for part, row in self._parts]
            )
            if self._parts
            else np.zeros(0)
        )

    def _jacobian(self, t: float, U: np.ndarray) -> sp.csc_matrix:
        if not self._parts:
            return sp.csc_matrix((0, self._size))
        slopes = [(part, part(U, True, self._now(part, t))[1], row) for part, row in self._parts]
        return sp.vstack(
            [part.matrix(s[:, row]) for part, s, row in slopes if s is not None], format="csc"
        )

    def _now(self, part: GridResidual, t: float) -> dict[str, torch.Tensor]:
        return {self._time: torch.full((len(part.nodes),), t, dtype=torch.float64)}

    def _asks(self, part: GridResidual) -> bool:
        """Whether a condition asks for the time."""
        at = {**part.at, **self._now(part, self._span[0])}
        return part.residual.asks_for(self._time, at, part.normal)

    def _is_affine(self) -> bool:
        if any(
            vary(part.residual, part.at, self._time, self._span, part.normal)
            for part, _ in self._parts
        ):
            return False
        rng, (start, end) = np.random.default_rng(0), self._span
        first = self._jacobian(start, np.zeros(self._size))
        return all(
            abs(first - self._jacobian(t, rng.uniform(-1, 1, self._size))).max()
            <= 1e-12 * abs(first).max()
            for t in (start, (start + end) / 2, end)
            if len(self.owned)
        )

    def _eliminate(
        self, G: sp.csc_matrix
    ) -> tuple[sp.csc_matrix, Callable[[np.ndarray], np.ndarray]]:
        """dU/dy and the solver for the owned values, from the conditions' Jacobian."""
        if not len(self.owned):
            return self.spread, lambda r: r
        try:
            lu = sla.splu(G[:, self.owned].tocsc())
        except RuntimeError as error:
            raise ReferenceUnavailable(
                f"the boundary conditions do not determine the boundary values ({error})"
            ) from error
        right = G[:, self.free].tocsc()
        busy = np.flatnonzero(np.diff(right.indptr))
        columns = (
            lu.solve(right[:, busy].toarray()) if len(busy) else np.zeros((len(self.owned), 0))
        )
        columns[np.abs(columns) < 1e-15 * np.abs(columns).max(initial=0.0)] = 0.0
        part = sp.coo_matrix(columns)
        lifted = sp.coo_matrix(
            (-part.data, (self.owned[part.row], busy[part.col])), shape=(self._size, len(self.free))
        )
        return (self.spread + lifted).tocsc(), lu.solve

    def _offset(self, defect: np.ndarray) -> np.ndarray:
        found = np.zeros(self._size)
        found[self.owned] = -self._solve(defect)
        return found


def _condition(problem: Formulation, grid: Grid, placed: Placed) -> GridResidual:
    """A boundary condition at the nodes that it is placed at."""
    residual = placed.constraint.residual
    for leaf in residual.needs:
        if leaf[1][-1]:
            name = leaf_name(leaf, problem.coordinates)
            raise ReferenceUnavailable(
                f"{placed.constraint.label}: holds {name}; a boundary condition with a derivative"
                " in time is not discretised"
            )
    normal = coordinates_on(problem, grid, placed.constraint.face, placed.at)[1]
    leaves = [(u, index[:-1]) for u, index in residual.needs]
    return GridResidual(residual, grid, problem.unknowns, placed.at, leaves, normal)
