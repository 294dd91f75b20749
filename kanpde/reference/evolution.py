"""Evolution problems: the method of lines, integrated implicitly (`radau`) or, where that takes
more work, by DOP853.

Radau IIA takes stiff, dispersive and differential-algebraic systems alike, at steps that the
solution alone asks for; but it factorises. In the plane and in space, where that is costly,
explicit steps win for problems that are nonlinear and not very stiff.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy  # whose parts are imported when they are first used
import scipy.sparse.linalg as sla
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable, SolutionDoubtful
from kanpde.problem.formulation import Formulation
from kanpde.problem.switches import switches
from kanpde.reference.collocation import CollocationGrid
from kanpde.reference.elements import ElementGrid
from kanpde.reference.embedded import Embedded
from kanpde.reference.grid import Grid
from kanpde.reference.initial import check_rates, initial
from kanpde.reference.norms import by_unknown
from kanpde.reference.patchwork import Patchwork
from kanpde.reference.radau import ULPS_BESIDE, WORTH_TELLING, integrate
from kanpde.reference.semidiscrete import SemiDiscrete
from kanpde.reference.system import System
from kanpde.reference.weak import discretised
from kanpde.reference.work import (
    EVALUATION,
    VALUE,
    Work,
    eliminated_seconds,
    factor_entries,
    factor_seconds,
)

LEAST_RTOL = 100 * np.finfo(float).eps
"""Below which SciPy warns, and takes this."""

TIGHTEST = 1e-13
"""The smallest tolerance in time that rounding leaves a meaning; DOP853 takes it down to a tenth,
and no further."""


def solve_evolution(
    problem: Formulation,
    grid: Grid,
    times: Float[np.ndarray, " times"],
    tolerance: float,
    work: Work | None = None,
    method: str | None = None,
    halvings: int = 0,
) -> tuple[Float[np.ndarray, "unknowns nodes times"], str, Float[np.ndarray, " unknowns"]]:
    """Integrate in time.

    Args:
        problem: An evolution.
        grid: Of its space.
        times: At which the solution is wanted; the first is the start.
        tolerance: Relative to each unknown's size, per step.
        work: What counts the operations.
        method: "Radau IIA" or "DOP853", by default the one of less work.
        halvings: How many times steps are half as long.

    Returns:
        The unknowns on the nodes at these times, the name of the integrator, and the size that
        rounding has in each unknown, zero where it is not measured.

    Raises:
        ReferenceUnavailable: Where the problem cannot be discretised, or the solution blows up,
            saying when.
    """
    work, tolerance = work or Work(), max(tolerance, TIGHTEST)
    check_rates(problem)
    start = initial(problem, grid)
    explicit = (
        None if method == "Radau IIA" else _explicit(problem, grid, forced=method == "DOP853")
    )
    stops = switches(problem, str(problem.domain.time))
    if explicit is not None:
        return (
            _dop853(
                explicit,
                start,
                times,
                max(tolerance / 2 ** (9 * halvings), TIGHTEST / 10),
                work,
                stops,
            ),
            "DOP853",
            np.zeros(len(problem.unknowns)),
        )
    system = discretised(problem, grid, work)
    first = np.zeros((2, system.size))
    first[:, : start[0].size] = [grid.solved_for(given).ravel() for given in start]
    states, steps, noise = integrate(
        system, first[0], first[1], times.tolist(), tolerance, halvings, stops
    )
    fields = np.stack([grid.values(by_unknown(state, grid.nodes)) for state in states])
    return np.moveaxis(fields, 0, -1), f"{steps} steps of Radau IIA in time", noise


def _explicit(problem: Formulation, grid: Grid, forced: bool) -> SemiDiscrete | None:
    """The problem as y' = f(t, y) where that is possible and explicit steps take less work than
    implicit ones, else None."""
    if isinstance(grid, Embedded | Patchwork | ElementGrid) or (
        len(grid.names) == 1 and not forced
    ):
        return None
    try:
        found = SemiDiscrete(problem, grid)
    except ReferenceUnavailable:
        if forced:
            raise
        return None
    return (
        found if forced or _explicit_work(found) < _implicit_work(System(problem, grid)) else None
    )


def _explicit_work(system: SemiDiscrete) -> float:
    """Seconds for steps that are stable, at two evaluations for each unit of h |λ|, and at least a
    few for each output."""
    J = system.jacobian(system.span[0], system.initial())
    count = max(2.2 * _largest(J) * (system.span[1] - system.span[0]), 1500)
    return count * rate_seconds(system)


def rate_seconds(system: SemiDiscrete) -> float:
    """Of one evaluation of y' = f(t, y)."""
    if system.linear:
        return 2e-5 + 2e-9 * system.jacobian(system.span[0], system.initial()).nnz
    return 2 * EVALUATION + 4 * VALUE * system.grid.nodes * sum(
        len(e.needs) for e in system.problem.equations
    )


def _implicit_work(system: System) -> float:
    """Seconds for a hundred steps, at five iterations each and with fresh factors unless the
    partials are constant."""
    if isinstance(system.grid, CollocationGrid):
        # Of five stages one mode is real and two are complex, each of three times the work.
        once = 7 * eliminated_seconds(system.size)
        return (5 if system.constant() is not None else 100) * once + 500 * 5e-9 * system.size**2
    entries = factor_entries(system.grid, len(system.orders), system.width())
    return (5 if system.constant() is not None else 100) * 5 * factor_seconds(
        entries, system.size
    ) + 500 * 5 * 2e-9 * entries


def _dop853(
    system: SemiDiscrete,
    start: np.ndarray,
    times: np.ndarray,
    tolerance: float,
    work: Work,
    stops: Sequence[float],
) -> np.ndarray:
    y, cost, reached = system.initial(), rate_seconds(system), times[0]

    def f(t: float, y: np.ndarray) -> np.ndarray:
        nonlocal reached
        work.now = f"{system.time} = {t:.4g}"
        work.spend(cost)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = system(t, y) if np.isfinite(y).all() else np.full_like(y, np.nan)
        if not np.isfinite(found).all():
            raise SolutionDoubtful(
                f"the solution or its rate is no longer finite at {system.time} = {reached:.4g}: it"
                " blows up there"
            )
        reached = t
        return found

    size = float(np.abs(y).max(initial=0.0)) or 1.0

    def begun(t: float, y: np.ndarray) -> scipy.integrate.DOP853:
        error = {"rtol": max(tolerance, LEAST_RTOL), "atol": tolerance * min(1.0, size)}
        return scipy.integrate.DOP853(f, t, y, times[-1], **error)

    states = _stepped(begun, y, times, stops)
    if len(states) < len(times):
        grown = float(np.abs(states[-1]).max(initial=0.0)) / size
        raise SolutionDoubtful(
            f"no step in time is short enough at {system.time} = {reached:.4g}, where it has grown"
            f" by {grown:.0e} since the start: it blows up there, or a front or a jump forms",
            reached if grown > WORTH_TELLING else None,
        )
    fields = np.stack([system.fields(t, state) for t, state in zip(times, states, strict=True)], -1)
    fields[:, :, 0] = start[0]
    return fields


def _stepped(
    begun: Callable[[float, np.ndarray], scipy.integrate.DOP853],
    y: np.ndarray,
    times: np.ndarray,
    stops: Sequence[float],
) -> Sequence[np.ndarray]:
    """States at the output times, by steps that end on them: a Runge-Kutta method is less accurate
    between its steps. Where equations switch it begins anew, so that no step sees both sides."""
    states, solver = [y.copy()], begun(times[0], y)
    beside = ULPS_BESIDE * np.spacing(np.abs(times).max())
    for t in times[1:]:
        for stop in stops:
            if solver.t < stop <= t and _reached(solver, stop - beside):
                solver = begun(stop + beside, solver.y)
        if solver.status == "failed" or not _reached(solver, t):
            break
        states.append(solver.y.copy())
    return states


def _reached(solver: scipy.integrate.DOP853, t: float) -> bool:
    """Step on to a time, if it is later; whether that went well."""
    if solver.t < t:
        solver.t_bound, solver.status = t, "running"
    while solver.status == "running" and solver.t < t:
        solver.step()
    return bool(solver.status != "failed")


def _largest(J) -> float:
    """The largest modulus of an eigenvalue."""
    if J.shape[0] < 20:
        return float(np.abs(np.linalg.eigvals(J.toarray())).max())
    try:
        found = sla.eigs(
            J,
            k=1,
            which="LM",
            tol=1e-2,
            v0=np.random.default_rng(0).standard_normal(J.shape[0]),
            return_eigenvectors=False,
        )
    except sla.ArpackError:  # it does not converge, or finds nothing to build on
        return float(sla.norm(J, np.inf))
    return float(np.abs(found[0]))
