"""The Levenberg-Marquardt iteration: ours on each path, and the MLP of as many parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks import memory, roofline
from benchmarks.closure import AGREE, Case, forced, objective, problem
from benchmarks.measured import (
    ITERATION,
    OVER,
    Machine,
    Timing,
    Way,
    against,
    alternate,
    called,
    row_of,
    summary,
)
from benchmarks.peers import mlp
from benchmarks.rows import BenchmarkError
from kanpde.training import LevenbergMarquardt
from kanpde.training.objective import Objective

FIVE_HUNDRED = Case((2, 21, 1))
"""504 parameters: the network of the Levenberg-Marquardt target."""

GATE = 65
"""Points at which the products with the Jacobian are compared first."""


def iterations(machine: Machine, case: Case, n: int, ways: Sequence[Way]) -> list[Timing]:
    """Rows at n points, in float64."""
    why = _left_out(machine, case, n)
    if why:
        return [
            row_of(case, ITERATION, machine.device, torch.float64, n, way, reason=why)
            for way in ways
        ]
    gate(case, ways, machine.device)
    at = {way: objective(problem(case.widths[0]), case.kan, n, machine.device) for way in ways}
    steps = {
        way: _stepping(mlp(case, at[way]) if way[1] == "mlp" else at[way], way[0]) for way in ways
    }
    spent = alternate(steps, machine.limits, machine.device)
    flops, moved = roofline.iteration_flops(case, n), roofline.iteration_bytes(case, n)
    rows = []
    for way in ways:
        row = row_of(case, ITERATION, machine.device, torch.float64, n, way, spent, ways[0])
        rows.append(
            row if way[1] == "mlp" else against(row, machine.ceilings["float64"], flops, moved)
        )
    machine.tell(f"  {case.name}, {n:,} points, {ITERATION}: {summary(rows)}")
    return rows


def _left_out(machine: Machine, case: Case, n: int) -> str | None:
    """Why it is not tried, if it should not be."""
    flops = roofline.iteration_flops(case, n)
    needed = 8.0 * (4 * case.parameters**2 + 3 * n * case.parameters)  # the MLP's rows are dense
    free = (
        memory.available()
        if machine.device == "cpu"
        else 0.8 * torch.cuda.get_device_properties(0).total_memory
    )
    if needed > free:
        return (
            f"left out: the dense Jacobian and normal matrix of {case.parameters:,} parameters take"
            f" {needed / 1e9:,.0f} GB, and {free / 1e9:,.0f} GB may be used"
        )
    if 3 * flops / machine.ceilings["float64"].flops > machine.limits.seconds:
        return (
            f"left out: {flops:.1e} operations, and at most {machine.limits.seconds:g} s are given"
            " to one iteration"
        )
    return OVER if machine.late() else None


def gate(case: Case, ways: Sequence[Way], device: str) -> None:
    """Raise BenchmarkError unless JᵀJ and Jᵀr are those of a dense Jacobian on the plain path."""
    at = objective(problem(case.widths[0]), case.kan, GATE, device)
    for path, peer in ways:
        measured = mlp(case, at) if peer == "mlp" else at
        with forced("plain"):
            r, J = measured.jacobian()
            dense = J.dense()
        with forced(path):
            r_here, J_here = measured.jacobian()
            normal, right = J_here.gram().tril(), J_here.transposed_times(r_here)
        off = max(
            _relative(r_here, r),
            _relative(normal, (dense.T @ dense).tril()),
            _relative(right, dense.T @ r),
        )
        if not off <= AGREE[torch.float64]:
            raise BenchmarkError(
                f"{called((path, peer))}: r, JᵀJ or Jᵀr differ by {off:.1e} from those of the"
                f" reference; expected at most {AGREE[torch.float64]:g}"
            )


def _relative(here: Tensor, there: Tensor) -> float:
    return float((here - there).norm() / there.norm())


def _stepping(at: Objective, path: str) -> Callable[[], float]:
    """One more iteration at each call, as training takes them; from the start again where it has
    converged."""
    start = at.network.theta
    endless = LevenbergMarquardt(steps=10**9, patience=10**9)
    steps = endless.minimise(at)

    def step() -> float:
        nonlocal steps
        with forced(path):
            try:
                return next(steps)
            except StopIteration:
                at.network.theta = start
                steps = endless.minimise(at)
                return next(steps)

    return step
