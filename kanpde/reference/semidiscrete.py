"""The method of lines: an evolution equation on a space grid as an initial-value problem y' = f(t,
y).

The state y holds every unknown on its free nodes, then the velocities of those that are of second
order in time. Nodes that a boundary condition owns are eliminated: their values follow from the
free ones and the data, U = P y + b(t).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable
from kanpde.geometry import SpaceTime
from kanpde.problem.formulation import Formulation
from kanpde.reference.assembly import GridResidual
from kanpde.reference.constancy import vary
from kanpde.reference.grid import Grid
from kanpde.reference.initial import initial
from kanpde.reference.lift import BoundaryLift
from kanpde.residual.calculus import Leaf
from kanpde.residual.residual import Residual, leaf_name


@dataclass
class _Equation:
    """One residual on all busy nodes: where each of its leaves comes from.

    Attributes:
        residual: Of the problem.
        on_grid: The same at the nodes, with the grid's derivatives of its leaves.
        stack: Those derivatives, one matrix below another.
        grid_columns: The leaves that they give.
        rate_columns: Leaves that are highest derivatives in time, each with its unknown.
        velocity_columns: Leaves that are velocities of unknowns of second order, likewise.
    """

    residual: Residual
    on_grid: GridResidual
    stack: sp.csr_matrix
    grid_columns: list[int]
    rate_columns: list[tuple[int, int]]
    velocity_columns: list[tuple[int, int]]


class SemiDiscrete:
    """f(t, y) and ∂f/∂y of a problem on a space grid.

    Attributes:
        problem: An evolution.
        grid: Of its space.
        time: The name of its time.
        span: The interval of time.
        orders: Of each unknown in time.
        boundary: What gives all values from those on the free nodes.
        nodes: Where any unknown is free.
        size: Of the state y.
    """

    def __init__(self, problem: Formulation, grid: Grid):
        """Discretise in space.

        Args:
            problem: An evolution.
            grid: Of its space.

        Raises:
            ReferenceUnavailable: For equations that are not of first or second order in time in
                every unknown, or not affine in their highest rates, or that mix derivatives in
                time and space.
        """
        domain = problem.domain
        assert isinstance(domain, SpaceTime)
        residuals = [*problem.equations, *(c.residual for c in problem.constraints)]
        if any(one.afar for one in residuals):
            raise ReferenceUnavailable("integrals and values at other places take implicit steps")
        self.problem, self.grid = problem, grid
        self.time, self.span = domain.time, domain.bounds[domain.time]
        self.orders = [_time_order(problem, u) for u in problem.unknowns]
        rows = sum(e.equations for e in problem.equations)
        if rows != len(problem.unknowns):
            raise ReferenceUnavailable(
                f"{rows} equations for {len(problem.unknowns)} unknowns: finite differences take as"
                " many of each"
            )
        self.boundary = BoundaryLift(problem, grid)
        N = grid.nodes
        free = np.zeros((len(problem.unknowns), N), dtype=bool)
        free.ravel()[self.boundary.free] = True
        self.nodes = np.flatnonzero(free.any(0))
        position = np.full(N, -1)
        position[self.nodes] = np.arange(len(self.nodes))
        self._unknown, node = np.divmod(self.boundary.free, N)
        self._row = position[node]
        self._second = np.flatnonzero(np.asarray(self.orders)[self._unknown] == 2)
        self.size = len(self.boundary.free) + len(self._second)
        self._equations = [self._equation(e) for e in problem.equations]
        self._mass = self._constant_mass()
        self._linear = self._constant_coefficients()

    def __call__(self, t: float, y: Float[np.ndarray, " state"]) -> Float[np.ndarray, " state"]:
        """f(t, y)."""
        if self._linear is not None:
            return self._linear[0] @ y + self._linear[1]
        U = self.boundary.fill(t, y[: len(self.boundary.free)])
        velocity = self._velocity(y)
        rates = self._rates(t, U, velocity)
        return self._state_rates(rates, y)

    def jacobian(self, t: float, y: Float[np.ndarray, " state"]) -> sp.csc_matrix:
        """∂f/∂y, sparse [state, state], by implicit differentiation of the residual at its own
        rates."""
        if self._linear is not None:
            return self._linear[0]
        F = len(self.boundary.free)
        U, velocity = self.boundary.fill(t, y[:F]), self._velocity(y)
        rates, V = self._rates(t, U, velocity), len(self.problem.unknowns)
        P = self.boundary.slope(t, U)
        mass = np.zeros((len(self.nodes), V, V))
        by_field, by_velocity, first = [], [], 0
        for e in self._equations:
            leaves = self._leaves(e, U, velocity)
            for a, v in e.rate_columns:
                leaves[:, a] = rates[:, v]
            slopes = self._evaluate(e, t, leaves, True)[1]
            assert slopes is not None
            for r in range(e.residual.equations):
                for a, v in e.rate_columns:
                    mass[:, first + r, v] = slopes[:, r, a]
                by_field.append(e.on_grid.matrix(slopes[:, r]) @ P)
                drag = sp.csr_matrix((len(self.nodes), V * len(self.nodes)))
                for a, v in e.velocity_columns:
                    drag = drag + sp.hstack(
                        [
                            (
                                sp.diags(slopes[:, r, a])
                                if w == v
                                else sp.csr_matrix((len(self.nodes),) * 2)
                            )
                            for w in range(V)
                        ],
                        format="csr",
                    )
                by_velocity.append(drag)
            first += e.residual.equations
        inverse = _inverse(mass)
        upper, lower = [], []
        for v in range(V):
            upper.append(-sum(sp.diags(inverse[:, v, e]) @ by_field[e] for e in range(V)))
            lower.append(-sum(sp.diags(inverse[:, v, e]) @ by_velocity[e] for e in range(V)))
        pick = self._unknown * len(self.nodes) + self._row
        K = sp.vstack(upper, format="csr")[pick]
        if not len(self._second):
            return K.tocsc()
        C = sp.vstack(lower, format="csr")[pick][:, pick[self._second]]
        first_order = np.setdiff1d(np.arange(F), self._second)
        keep = sp.csr_matrix((np.ones(len(first_order)), (first_order, first_order)), shape=(F, F))
        carry = sp.csr_matrix(
            (np.ones(len(self._second)), (self._second, np.arange(len(self._second)))),
            shape=(F, len(self._second)),
        )
        return sp.bmat(
            [[keep @ K, carry + keep @ C], [K[self._second], C[self._second]]], format="csc"
        )

    def initial(self) -> Float[np.ndarray, " state"]:
        """y at the start. Raises ReferenceUnavailable where an initial value or velocity is not
        given."""
        value, velocity = initial(self.problem, self.grid).reshape(2, -1)[:, self.boundary.free]
        return np.concatenate([value, velocity[self._second]])

    @property
    def linear(self) -> bool:
        """Whether f(t, y) = A y + b."""
        return self._linear is not None

    def fields(
        self, t: float, y: Float[np.ndarray, " state"]
    ) -> Float[np.ndarray, "unknowns nodes"]:
        """The unknowns on all nodes."""
        return self.boundary.fill(t, y[: len(self.boundary.free)]).reshape(
            len(self.problem.unknowns), -1
        )

    def _equation(self, residual: Residual) -> _Equation:
        leaves: list[Leaf | None] = []
        grid_columns: list[int] = []
        rate_columns: list[tuple[int, int]] = []
        velocity_columns: list[tuple[int, int]] = []
        for a, (u, index) in enumerate(residual.needs):
            v = self.problem.unknowns.index(u)
            if index[-1] == 0:
                leaves.append((u, index[:-1]))
                grid_columns.append(a)
                continue
            leaves.append(None)
            if any(index[:-1]):
                raise ReferenceUnavailable(
                    f"{residual.name}: holds {leaf_name((u, index), self.problem.coordinates)};"
                    " derivatives that mix time and space are not discretised"
                )
            (rate_columns if index[-1] == self.orders[v] else velocity_columns).append((a, v))
        on_grid = GridResidual(residual, self.grid, self.problem.unknowns, self.nodes, leaves)
        blocks = [
            on_grid.matrix(np.eye(len(leaves))[[a]].repeat(len(self.nodes), 0))
            for a in grid_columns
        ]
        stack = (
            sp.vstack(blocks, format="csr")
            if blocks
            else sp.csr_matrix((0, len(self.problem.unknowns) * self.grid.nodes))
        )
        return _Equation(residual, on_grid, stack, grid_columns, rate_columns, velocity_columns)

    def _velocity(self, y: np.ndarray) -> np.ndarray:
        """Velocities at the busy nodes, [points, unknowns]; zero for unknowns of first order."""
        found = np.zeros((len(self.nodes), len(self.problem.unknowns)))
        found[self._row[self._second], self._unknown[self._second]] = y[len(self.boundary.free) :]
        return found

    def _leaves(self, e: _Equation, U: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        leaves = np.zeros((len(self.nodes), len(e.residual.needs)))
        leaves[:, e.grid_columns] = (e.stack @ U).reshape(len(e.grid_columns), -1).T
        for a, v in e.velocity_columns:
            leaves[:, a] = velocity[:, v]
        return leaves

    def _evaluate(self, e: _Equation, t: float, leaves: np.ndarray, partials: bool):
        now = torch.full((len(self.nodes),), t, dtype=torch.float64)
        values, slopes = e.residual(
            {**e.on_grid.at, self.time: now}, torch.from_numpy(leaves), None, partials
        )
        return values.numpy(), None if slopes is None else slopes.numpy()

    def _rates(self, t: float, U: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        """The highest derivatives in time that make the residuals vanish, [points, unknowns]."""
        values, masses = [], []
        for e in self._equations:
            r, slopes = self._evaluate(e, t, self._leaves(e, U, velocity), self._mass is None)
            values.append(r)
            if slopes is not None:
                masses.append(self._mass_rows(e, slopes))
        r = np.concatenate(values, 1)
        inverse = self._mass if self._mass is not None else _inverse(np.concatenate(masses, 1))
        if r.shape[1] == 1:
            return -inverse[:, 0] * r
        return -np.einsum("nve,ne->nv", inverse, r)

    def _mass_rows(self, e: _Equation, slopes: np.ndarray) -> np.ndarray:
        found = np.zeros((len(self.nodes), e.residual.equations, len(self.problem.unknowns)))
        for a, v in e.rate_columns:
            found[:, :, v] = slopes[:, :, a]
        return found

    def _constant_mass(self) -> np.ndarray | None:
        """Inverse of ∂r/∂(rates) where it depends on the place alone; refuses equations that are
        not affine in the rates."""
        rng, found = np.random.default_rng(0), None
        ways = [(e.residual, e.on_grid.at) for e in self._equations]
        fixed = not any(vary(one, at, self.time, self.span) for one, at in ways)
        for t in np.linspace(*self.span, 3):
            pair = []
            leaves = [
                rng.uniform(0.25, 0.75, (len(self.nodes), len(e.residual.needs)))
                for e in self._equations
            ]
            for _ in range(2):
                rows = []
                for e, values in zip(self._equations, leaves, strict=True):
                    for a, _v in e.rate_columns:
                        values[:, a] = rng.uniform(-1, 1, len(self.nodes))
                    slopes = self._evaluate(e, t, values, True)[1]
                    assert slopes is not None
                    rows.append(self._mass_rows(e, slopes))
                pair.append(np.concatenate(rows, 1))
            if not np.allclose(pair[0], pair[1], rtol=1e-10, atol=1e-12):
                raise ReferenceUnavailable(
                    "the equations are not affine in their highest derivatives in time, so these"
                    " cannot be solved for"
                )
            fixed = fixed and (found is None or np.allclose(pair[0], found, rtol=1e-13, atol=0))
            found = pair[0]
        assert found is not None
        inverse = _inverse(found)
        return inverse if fixed else None

    def _constant_coefficients(self) -> tuple[sp.csc_matrix, np.ndarray] | None:
        """A and b where f(t, y) = A y + b, which spares the evaluation of the residuals."""
        self._linear = None
        if not (self.boundary.affine and self.boundary.steady and self._mass is not None):
            return None
        start = {self.time: torch.zeros(len(self.nodes), dtype=torch.float64)}
        ways = [(e.residual, {**e.on_grid.at, **start}) for e in self._equations]
        asking = any(one.asks_for(self.time, at) for one, at in ways)
        if asking or not all(e.affine for e in self.problem.equations):
            return None
        rng, (begin, end), zero = np.random.default_rng(1), self.span, np.zeros(self.size)
        A, b = self.jacobian(begin, zero), self(begin, zero)
        for t in np.linspace(begin, end, 3):
            other = self.jacobian(t, rng.uniform(-1, 1, self.size))
            if abs(other - A).max() > 1e-14 * abs(A).max():
                return None
        return (A, b) if np.isfinite(b).all() else None

    def _state_rates(self, rates: np.ndarray, y: np.ndarray) -> np.ndarray:
        found = rates[self._row, self._unknown]
        if not len(self._second):
            return found
        acceleration = found[self._second]
        found[self._second] = y[len(self.boundary.free) :]
        return np.concatenate([found, acceleration])


def _time_order(problem: Formulation, unknown: str) -> int:
    assert problem.domain.time is not None
    order = problem.order(unknown, problem.domain.time)
    if order == 0:
        raise ReferenceUnavailable(
            f"{unknown!r} has no derivative in time while others do; such constraints are not"
            " discretised"
        )
    if order > 2:
        raise ReferenceUnavailable(f"{unknown!r} is of order {order} in time; expected 1 or 2")
    return order


def _inverse(mass: np.ndarray) -> np.ndarray:
    try:
        found = np.linalg.inv(mass)
    except np.linalg.LinAlgError:
        found = np.full_like(mass, np.nan)
    if not np.isfinite(found).all():
        raise ReferenceUnavailable(
            "the equations cannot be solved for their highest derivatives in time: the matrix of"
            " these is singular somewhere"
        )
    return found
