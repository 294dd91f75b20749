"""Where the search for a cycle of unknown period begins: autonomous equations in time over the
period, which is a parameter, are marched until they repeat what they did before.

A rest solves such equations for every period, and Newton's method falls to it from anywhere near.
The march needs the number where its search begins, with which it takes another time for a cycle;
from that follows the period.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import scipy  # whose parts are imported when they are first used
import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import KanpdeError
from kanpde.problem.formulation import Function
from kanpde.residual.calculus import Leaf, Values
from kanpde.residual.residual import Residual

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem

STARTS = (1.0, 1e-3, 1e3)
"""Values of all unknowns, in their units, from which a march begins, until one does not fail."""

WINDOW, MOST_WINDOWS, MOST_EVALUATIONS = 4.0, 6, 6000
"""Of the coordinate's length, before the first look at whether a march repeats itself, each of
which is as long again as all before; how many; and evaluations of equations."""

REPEATED, RESTING = 1e-3, 1e-6
"""Share of its variation by which a state may differ from the one a cycle before, and of the
largest values that there have been, below which an unknown does not vary."""

LOOKS, ALONG_CYCLE = 40_000, 4000
"""At a march, for where it repeats itself; where a cycle is kept."""

PHASES, LOOKS_AT_PHASES = 100, 3
"""Where a cycle may begin, and how often ever nearer ones are looked at."""

COMPARED = 32
"""At which equations are compared."""


@dataclass(frozen=True)
class Cycle:
    """Where a search begins.

    Attributes:
        functions: By unknown, of the coordinate.
        numbers: By parameter.
    """

    functions: Mapping[str, Function]
    numbers: Mapping[str, float]


def cycle(problem: Problem) -> Cycle | None:
    """A cycle near that of a problem; None where equations depend on the coordinate, more than one
    number is unknown, or no march ends in a cycle.

    Args:
        problem: One on a line whose parameters conditions determine.
    """
    (x,) = problem.coordinates
    orders = [problem.order(u, x) for u in problem.unknowns]
    rows = sum(e.equations for e in problem.equations)
    suits = x in problem.periodic and len(problem.parameters) == 1 and min(orders) > 0
    if not suits or rows != len(orders) or any(e.afar for e in problem.equations):
        return None
    if not all(_autonomous(e, x, problem.domain.bounds[x]) for e in problem.equations):
        return None
    found = _Marched(problem).repeated()
    return None if found is None else _fitting(problem, *found)


def _autonomous(equation: Residual, x: str, ends: tuple[float, float]) -> bool:
    """Whether an equation says the same everywhere."""
    leaves = 0.25 + 0.5 * torch.rand(
        1, len(equation.needs), generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).expand(COMPARED, -1)
    at = {x: torch.linspace(*ends, COMPARED, dtype=torch.float64)}
    values, _ = equation.near(at, leaves, partials=False)
    return bool((values == values[:1]).all())


class _NoMarch(KanpdeError):
    """A march fails, or takes more evaluations than it may."""


class _Marched:
    """A problem with the initial number for its parameter, solved from a start on.

    Args:
        problem: See `cycle`.
    """

    def __init__(self, problem: Problem):
        self._problem, self._evaluations = problem, 0
        (x,) = problem.coordinates
        low, high = problem.domain.bounds[x]
        self._low, self._length = low, high - low
        orders = {u: problem.order(u, x) for u in problem.unknowns}
        self._highest = [(u, (m,)) for u, m in orders.items()]
        self._states = [(u, (j,)) for u, m in orders.items() for j in range(m)]

    def repeated(self) -> tuple[float, np.ndarray] | None:
        """The length of a cycle, and the values of the unknowns along it."""
        for scale in STARTS:
            try:
                return self._from(scale)
            except (KanpdeError, np.linalg.LinAlgError):
                continue
        return None

    def _from(self, scale: float) -> tuple[float, np.ndarray] | None:
        self._evaluations = 0
        values = [i for i, (_, (j,)) in enumerate(self._states) if j == 0]
        z, begin = np.zeros(len(self._states)), self._low
        z[values] = largest = scale
        for k in range(MOST_WINDOWS):
            end = begin + WINDOW * 2**k * self._length
            how = {"method": "LSODA", "rtol": 1e-6, "atol": 1e-9 * scale, "dense_output": True}
            found = scipy.integrate.solve_ivp(self._rates, (begin, end), z, **how)
            if not found.success:
                raise _NoMarch(found.message)
            largest = np.maximum(largest, np.abs(found.y[values]).max(1))
            if (np.ptp(found.y[values], axis=1) <= RESTING * largest).any():
                return None
            period = _period(found)
            if period is not None:
                t = end - period + period * np.linspace(0, 1, ALONG_CYCLE + 1)
                return period / self._length, found.sol(t)[values]
            z, begin = found.y[:, -1], end
        return None

    def _rates(self, t: float, z: Float[np.ndarray, " states"]) -> Float[np.ndarray, " states"]:
        """Derivatives of states, the highest ones from the equations, in which they are linear."""
        self._evaluations += 1
        if self._evaluations > MOST_EVALUATIONS:
            raise _NoMarch("a march takes too long")
        (x,) = self._problem.coordinates
        known: dict[Leaf, float] = dict(zip(self._states, z.tolist(), strict=True))
        number = self._problem.parameters[0]
        known[number.name, (0,)] = number.initial
        at, left, matrix = {x: torch.tensor([t], dtype=torch.float64)}, [], []
        for e in self._problem.equations:
            leaves = torch.tensor([[known.get(leaf, 0.0) for leaf in e.needs]], dtype=torch.float64)
            r, slopes = e.near(at, leaves)
            assert slopes is not None
            places = [e.needs.index(leaf) if leaf in e.needs else -1 for leaf in self._highest]
            padded = torch.nn.functional.pad(slopes[0], (0, 1))
            left.append(r[0].numpy())
            matrix.append(padded[:, places].numpy())
        highest = np.linalg.solve(np.concatenate(matrix), -np.concatenate(left))
        known |= dict(zip(self._highest, highest, strict=True))
        return np.array([known[u, (j + 1,)] for u, (j,) in self._states])


def _period(march: scipy.optimize.OptimizeResult) -> float | None:
    """The time before the end of a march at which it was last where it has ended; None where it was
    not."""
    times = np.linspace(march.t[0], march.t[-1], LOOKS)
    states = march.sol(times)
    apart = np.abs(states - states[:, -1:]) / np.ptp(states, axis=1, keepdims=True)
    apart = apart.max(0)
    least = (apart[1:-1] <= apart[:-2]) & (apart[1:-1] <= apart[2:]) & (apart[1:-1] < REPEATED)
    if not least.any():
        return None
    last = int(np.flatnonzero(least)[-1]) + 1
    varies = np.ptp(states[:, last:], axis=1)  # What comes to rest varied before.
    if (np.abs(states[:, last] - states[:, -1]) > REPEATED * varies).any():
        return None
    return float(march.t[-1] - times[last])


@dataclass(frozen=True)
class _OnCycle:
    """A cycle that begins somewhere on it, with a number for the parameter."""

    splines: Mapping[str, scipy.interpolate.CubicSpline]
    low: float
    length: float
    begin: float
    number: tuple[str, float]

    def of(self, unknown: str, x: np.ndarray, order: int = 0) -> np.ndarray:
        """A derivative of an unknown at points."""
        if unknown == self.number[0]:
            return np.full(len(x), 0.0 if order else self.number[1])
        found = self.splines[unknown]((x - self.low) / self.length + self.begin, order)
        return np.asarray(found / self.length**order)

    def __call__(
        self, points: Float[Tensor, "points 1"], leaves: Sequence[Leaf]
    ) -> Float[Tensor, "points leaves"]:
        x = points[:, 0].numpy()
        return torch.from_numpy(np.stack([self.of(u, x, m) for u, (m,) in leaves], 1))

    def missed(self, residual: Residual, at: Values, normal: Values | None = None) -> float:
        """How far it is from meeting an equation or a condition."""
        columns, _ = residual.supplied(at, self, normal)
        return float(residual(at, columns, normal, partials=False)[0].square().mean())


def _fitting(problem: Problem, periods: float, values: np.ndarray) -> Cycle:
    """The cycle with the number with which it fits into the domain, from where on it meets the
    conditions best."""
    (x,), (parameter,) = problem.coordinates, problem.parameters
    low, high = problem.domain.bounds[x]
    share = np.linspace(0, 1, ALONG_CYCLE + 1)
    closed = np.concatenate([values[:, :-1], values[:, :1]], 1)
    splines = {
        u: scipy.interpolate.CubicSpline(share, own, bc_type="periodic")
        for u, own in zip(problem.unknowns, closed, strict=True)
    }
    at = {x: torch.linspace(low, high, PHASES, dtype=torch.float64)}
    numbers = [parameter.initial * periods, parameter.initial / periods]
    ways = [_OnCycle(splines, low, high - low, 0.0, (parameter.name, n)) for n in numbers]
    best = min(ways, key=lambda way: sum(way.missed(e, at) for e in problem.equations))
    found, width = best, 1.0
    for _ in range(LOOKS_AT_PHASES):
        begins = found.begin + width * (np.arange(PHASES) / PHASES - 0.5)
        phases = [replace(best, begin=float(b)) for b in begins]
        found, width = min(phases, key=lambda way: _unmet(problem, way)), 2 * width / PHASES
    functions = {u: partial(found.of, u) for u in problem.unknowns}
    return Cycle(functions, dict([found.number]))


def _unmet(problem: Problem, way: _OnCycle) -> float:
    """How far a cycle is from meeting the conditions."""
    missed = 0.0
    for c in problem.constraints:
        points = problem.domain.boundary(c.face, torch.zeros(1, 0, dtype=torch.float64))
        at, outward = dict(zip(problem.coordinates, points.T, strict=True)), None
        outward = dict(
            zip(problem.coordinates, problem.domain.normals(c.face, points).T, strict=True)
        )
        missed += way.missed(c.residual, at, outward)
    return missed
