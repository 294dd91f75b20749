"""Evolution problems: the method of lines, integrated by SciPy with a choice of method by the spectrum of ∂f/∂y.

One space dimension: VODE, its BDF formulas of up to order 5 with a banded Jacobian (LSODA, which would switch to Adams
formulas by itself, stays with them on some stiff problems and takes a hundred times the steps). Otherwise DOP853 where
its stability limit asks for few steps, as for waves; BDF with a sparse Jacobian where the stiff part decays; Radau, which
is stable on the whole imaginary axis, where it oscillates.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
import scipy.sparse.linalg as sla
from jaxtyping import Float
from scipy.integrate import DOP853, OdeSolver, Radau, ode, solve_ivp

from kanpde.errors import KanpdeError, ReferenceUnavailable
from kanpde.problem import Problem
from kanpde.reference.grid import Grid
from kanpde.reference.semidiscrete import SemiDiscrete

FLOOR = {"VODE": 1e-12, "DOP853": 1e-12, "BDF": 1e-10, "Radau": 1e-9}
"""Tolerances below which rounding in a stiff Jacobian drives the step to nothing, or the cost past its use."""

AFFORDABLE = {1: 10_000, 2: 1500, 3: 25_000}
"""Evaluations for stability's sake up to which the explicit method beats factorising, by space dimensions, as measured."""


def solve_evolution(
    problem: Problem, grid: Grid, times: Float[np.ndarray, " times"], tolerance: float, patience: float = 60.0
) -> tuple[Float[np.ndarray, "unknowns nodes times"], str]:
    """The unknowns on the nodes at the given times (the first is the start), and the name of the integrator.

    tolerance: relative, per step; absolute errors are held to the same fraction of the solution's size at the start.
    patience: seconds after which the integration is given up.
    Raises ReferenceUnavailable where the problem cannot be discretised, or the solution blows up, saying when.
    """
    system = SemiDiscrete(problem, grid)
    y = system.initial()
    f = _Watched(system, patience)
    f(times[0], y)
    method = choose(system, y)
    tolerance = max(tolerance, FLOOR[method])
    size = float(np.abs(y).max(initial=0.0)) or 1.0
    states = INTEGRATORS[method](f, y, times, tolerance, tolerance * min(1.0, size))
    if len(states) < len(times) or not np.isfinite(states).all():
        raise ReferenceUnavailable(f"the integration in time ({method}) stops at {system.time} = {f.reached:.4g}; the solution may blow up or be discontinuous there")
    fields = np.stack([system.fields(t, state) for t, state in zip(times, states, strict=True)], -1)
    fields[:, :, 0].ravel()[system.boundary.free] = y[: len(system.boundary.free)]
    return fields, method


def choose(system: SemiDiscrete, y: Float[np.ndarray, " state"]) -> str:
    """VODE, DOP853, BDF or Radau, by the eigenvalue of ∂f/∂y at the start that is largest in modulus."""
    J = system.jacobian(system.span[0], y)
    largest = _largest(J)
    steps = 2.2 * abs(largest) * (system.span[1] - system.span[0])
    oscillates = abs(largest.imag) > abs(largest.real)
    if len(system.grid.names) == 1 and not oscillates:
        return "VODE"
    if steps <= max(AFFORDABLE[len(system.grid.names)], AFFORDABLE[1] * oscillates):
        return "DOP853"
    return "Radau" if oscillates else "BDF"


class _Watched:
    """f with blow-ups and the time it takes watched."""

    def __init__(self, system: SemiDiscrete, patience: float):
        self.system, self.reached, self.patience = system, system.span[0], patience
        self._begin = time.perf_counter()

    def __call__(self, t: float, y: np.ndarray) -> np.ndarray:
        if not np.isfinite(y).all():
            raise ReferenceUnavailable(f"the solution is no longer finite at {self.system.time} = {self.reached:.4g}; it blows up")
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = self.system(t, y)
        if not np.isfinite(found).all():
            raise ReferenceUnavailable(f"the solution or its rate is no longer finite at {self.system.time} = {t:.4g}; it blows up")
        if time.perf_counter() - self._begin > self.patience:
            raise ReferenceUnavailable(f"the integration in time reached {self.system.time} = {t:.4g} in {self.patience:.0f} s and is given up; the solution may blow up there")
        self.reached = t
        return found


def _vode(f: _Watched, y: np.ndarray, times: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    system, order = f.system, f.system.interleaved()
    back = np.argsort(order)
    start = system.jacobian(times[0], y)[order][:, order].tocoo()
    below, above = int((start.row - start.col).max(initial=0)), int((start.col - start.row).max(initial=0))

    def banded(t: float, z: np.ndarray) -> np.ndarray:
        J = system.jacobian(t, z[back])[order][:, order].tocoo()
        packed = np.zeros((below + above + 1, system.size))
        packed[above + J.row - J.col, J.col] = J.data
        return packed

    refusals: list[KanpdeError] = []

    def rates(t: float, z: np.ndarray) -> np.ndarray:
        try:
            return f(t, z[back])[order]
        except KanpdeError as error:  # on its way through VODE's compiled code the exception would lose its type
            refusals.append(error)
            raise

    solver = ode(rates, banded)
    solver.set_integrator("vode", method="bdf", rtol=rtol, atol=atol, lband=below, uband=above, nsteps=10**6)
    solver.set_initial_value(y[order], times[0])
    states = [y]
    for t in times[1:]:
        try:
            with warnings.catch_warnings(action="ignore", category=UserWarning):  # of a failure, which is reported below
                state = solver.integrate(t)
        except (ValueError, SystemError):
            if refusals:
                raise refusals[0] from None
            raise
        if not solver.successful():
            break
        states.append(state[back])
    return np.stack(states)


def _dop853(f: _Watched, y: np.ndarray, times: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    return _stepped(DOP853(f, times[0], y, times[1], rtol=rtol, atol=atol), times)


def _bdf(f: _Watched, y: np.ndarray, times: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    return np.asarray(solve_ivp(f, (times[0], times[-1]), y, "BDF", times, rtol=rtol, atol=atol, jac=f.system.jacobian).y).T


def _radau(f: _Watched, y: np.ndarray, times: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    return _stepped(Radau(f, times[0], y, times[1], rtol=rtol, atol=atol, jac=f.system.jacobian), times)


def _stepped(solver: OdeSolver, times: np.ndarray) -> np.ndarray:
    """States at the output times, by steps that end on them: a Runge-Kutta method is less accurate between its steps."""
    states = [solver.y.copy()]
    for t in times[1:]:
        solver.t_bound, solver.status = t, "running"
        while solver.status == "running":
            solver.step()
        if solver.status == "failed":
            break
        states.append(solver.y.copy())
    return np.stack(states)


INTEGRATORS: dict[str, Callable[[_Watched, np.ndarray, np.ndarray, float, float], np.ndarray]] = {"VODE": _vode, "DOP853": _dop853, "BDF": _bdf, "Radau": _radau}


def _largest(J) -> complex:
    if J.shape[0] < 20:
        found = np.linalg.eigvals(J.toarray())
    else:
        try:
            found = sla.eigs(J, k=1, which="LM", tol=1e-2, v0=np.random.default_rng(0).standard_normal(J.shape[0]), return_eigenvectors=False)
        except sla.ArpackNoConvergence:
            found = np.array([complex(-sla.norm(J, np.inf))])
    return complex(found[np.argmax(np.abs(found))])
