"""Initial-value problems of ordinary differential equations, which are marched in time.

However they are written (on a Box of one coordinate with all conditions at one end of it), a march
follows the one solution that starts there. As a system of all instants at once they may have
others, such as a rest that nothing disturbs. The states are each unknown and its derivatives below
the highest; equations without a derivative are met as they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable, listed
from kanpde.geometry import SpaceTime
from kanpde.problem.formulation import Formulation
from kanpde.problem.switches import switches
from kanpde.reference.assembly import evaluate
from kanpde.reference.factor import DenseFactor
from kanpde.reference.norms import EPSILON, rms, scales
from kanpde.reference.radau import ORDER, integrate
from kanpde.reference.work import OutOfWork, Work
from kanpde.residual.residual import Residual

INTERVALS = 256
"""Between the instants that are given out."""

MARCHES = ((1e-7, 0), (1e-10, 0), (1e-13, 0), (1e-13, 1))
"""Tolerances, and whether steps are half as long as these ask for. Each march shows the error of
the one before."""

STEPS_OF_A_START = 30
"""Of Newton's method for the values at the start."""


@dataclass
class Marched:
    """A solution by marching.

    Attributes:
        times: Where it is given.
        values: [unknowns, times].
        method: What solved it, in words.
        error: Of each unknown, relative to its scale.
        scales: What the errors are relative to.
    """

    times: np.ndarray
    values: np.ndarray
    method: str
    error: np.ndarray
    scales: np.ndarray


def start_of(problem: Formulation) -> str | None:
    """The end of the only coordinate at which all conditions are, as many as the equations have
    orders; None for what is no initial-value problem.

    Args:
        problem: Any.
    """
    domain = problem.domain
    if isinstance(domain, SpaceTime) or not domain.is_box or len(domain.coordinates) != 1:
        return None
    faces = {c.face for c in problem.constraints}
    orders = {u: problem.order(u, domain.coordinates[0]) for u in problem.unknowns}
    total = sum(c.residual.equations for c in problem.constraints)
    residuals = [*problem.equations, *(c.residual for c in problem.constraints)]
    if any(one.afar for one in residuals):
        return None
    known = all(index[0] < orders[u] for c in problem.constraints for u, index in c.residual.needs)
    fits = len(faces) == 1 and total == sum(orders.values()) and known and not problem.periodic
    return faces.pop() if fits and not any(c.where for c in problem.constraints) else None


def march(problem: Formulation, allowed: float, intervals: int = INTERVALS) -> Marched:
    """Integrate from the end with the conditions to the other one, with shorter and shorter steps
    until their lengths do not matter.

    Args:
        problem: One that `start_of` knows.
        allowed: Seconds of work.
        intervals: Between the instants that are given out.

    Raises:
        ReferenceUnavailable: Where the start is not determined, or the march cannot go on.
    """
    work = Work(allowed)
    system = Ordinary(problem, work)
    first = system.initial()
    local = np.linspace(*system.span, intervals + 1)
    stops = sorted(float(system.local(t)) for t in switches(problem, system.time))
    found: list[tuple[np.ndarray, int, np.ndarray]] = []
    for tolerance, halvings in MARCHES:
        try:
            states, steps, noise = integrate(
                system, first, np.zeros_like(first), local.tolist(), tolerance, halvings, stops
            )
        except ReferenceUnavailable as error:
            # The march before, which a longer one has shown the error of, is good enough.
            if len(found) < 2 or not isinstance(error.__cause__ or error, OutOfWork):
                raise
            break
        found.append((states[:, system.values].T, steps, noise[system.values]))
    (before, *_), (values, steps, noise) = found[-2:]
    distance = rms(values - before)
    kept, rounded = scales(values, noise), EPSILON * np.sqrt(steps) * rms(values)
    order = np.argsort(system.outer(local))
    return Marched(
        np.linspace(*problem.domain.bounds[system.time], intervals + 1),
        values[:, order],
        f"marched in {system.time} by {steps} steps of Radau IIA of order {ORDER}",
        (distance + rounded) / kept,
        kept,
    )


class Ordinary:
    """r(τ, Y, Y') = 0 of the states Y, which `radau` integrates; τ is how far it is from the start,
    which may be the end of the coordinate.

    Attributes:
        problem: One that `start_of` knows.
        work: What counts the operations.
        time: The name of the coordinate.
        span: Of τ.
        orders: 1 for states that have a rate, 0 for those that have none.
        free: That all states are integrated, [states, 1].
        size: How many states.
        nodes: 1, since there is no space.
        values: The states that are the unknowns themselves.
    """

    nodes = 1

    def __init__(self, problem: Formulation, work: Work):
        """Number the states.

        Args:
            problem: One that `start_of` knows.
            work: What counts the operations.

        Raises:
            ReferenceUnavailable: Where there are not as many equations as unknowns.
        """
        self.problem, self.work = problem, work
        self.time = problem.domain.coordinates[0]
        low, high = problem.domain.bounds[self.time]
        forwards = problem.domain.faces[str(start_of(problem))].side < 0
        self._from, self._sign = (low, 1.0) if forwards else (high, -1.0)
        self.span = 0.0, high - low
        highest = {u: problem.order(u, self.time) for u in problem.unknowns}
        self._states = [(u, k) for u in problem.unknowns for k in range(max(1, highest[u]))]
        self._number = {state: i for i, state in enumerate(self._states)}
        self._rated = {(u, m): self._number[u, m - 1] for u, m in highest.items() if m}
        self.orders = [int(highest[u] > 0) for u, _ in self._states]
        self.size = len(self._states)
        self.free = np.ones((self.size, 1), dtype=bool)
        self.values = np.array([self._number[u, 0] for u in problem.unknowns])
        self._chain = [(i, i + 1) for i, (u, k) in enumerate(self._states) if k + 1 < highest[u]]
        if (count := sum(e.equations for e in problem.equations)) != len(problem.unknowns):
            raise ReferenceUnavailable(
                f"{count} equations for {len(problem.unknowns)} unknowns: finite differences take"
                " as many of each"
            )

    def at(self, t: float) -> str:
        """An instant in words.

        Args:
            t: How far it is from the start.
        """
        return f"{self.time} = {self.outer(t):.4g}"

    def on_nodes(self, U: np.ndarray) -> np.ndarray:
        """The states themselves.

        Args:
            U: By state.
        """
        return U

    def outer(self, t: float | np.ndarray) -> float | np.ndarray:
        """The coordinate.

        Args:
            t: How far it is from the start.
        """
        return self._from + self._sign * t

    def local(self, place: float) -> float:
        """How far a place is from the start.

        Args:
            place: A value of the coordinate.
        """
        return self._sign * (place - self._from)

    def initial(self) -> Float[np.ndarray, " states"]:
        """The states at the start, by Newton's method from zero.

        Raises:
            ReferenceUnavailable: Where the conditions do not determine them.
        """
        Y, fields = np.zeros((self.size, 1)), np.zeros((self.size, 1))
        differential = np.flatnonzero(self.orders)
        for _ in range(STEPS_OF_A_START):
            parts = [self._rows(c, np.zeros(1), [Y, fields], True) for c in self._conditions]
            r = np.concatenate([values[0] for values, _ in parts])
            J = np.concatenate([slopes[0, :, 0] for _, slopes in parts])[:, differential]
            try:
                step = np.linalg.solve(J, r)
            except np.linalg.LinAlgError:
                step = np.full(len(r), np.nan)
            if not np.isfinite(step).all():
                break
            Y[differential, 0] -= step
            if (np.abs(step) <= 4 * EPSILON * np.abs(Y[differential, 0])).all():
                return Y[:, 0]
        given = listed(c.label for c in self.problem.constraints)
        raise ReferenceUnavailable(f"{given}: do not determine the values at the start")

    def residual(
        self,
        fields: Sequence[Float[np.ndarray, "size stages"]],
        t: Float[np.ndarray, " stages"],
    ) -> Float[np.ndarray, "size stages"]:
        """r at some instants at once.

        Args:
            fields: The states and their rates.
            t: The instants.
        """
        found = [self._sign * fields[1][i] - fields[0][j] for i, j in self._chain]
        for e in self.problem.equations:
            found.extend(self._rows(e, t, fields, False)[0].T)
        return np.stack(found)

    def slopes(
        self, fields: Sequence[Float[np.ndarray, "size 1"]], t: float
    ) -> Float[np.ndarray, "2 size size"]:
        """∂r/∂Y and ∂r/∂Y' at one instant.

        Args:
            fields: The states and their rates.
            t: The instant.
        """
        found = np.zeros((2, self.size, self.size))
        for row, (i, j) in enumerate(self._chain):
            found[1, row, i], found[0, row, j] = self._sign, -1.0
        row = len(self._chain)
        for e in self.problem.equations:
            slopes = self._rows(e, np.array([t]), fields, True)[1]
            found[:, row : row + e.equations] = np.moveaxis(slopes[0], 1, 0)
            row += e.equations
        return found

    def constant(self) -> Float[np.ndarray, "2 size size"] | None:
        """The slopes where they are the same for all states and always, as far as a few instants
        show."""
        if not all(one.affine for one in self.problem.equations):
            return None
        rng, found = np.random.default_rng(0), None
        for t in np.linspace(*self.span, 3):
            slopes = self.slopes([rng.uniform(0.25, 0.75, (self.size, 1)) for _ in range(2)], t)
            if found is not None and (slopes != found).any():
                return None
            found = slopes
        return found

    def matrices(self, slopes: Float[np.ndarray, "2 size size"]) -> list[np.ndarray]:
        """∂r/∂Y and ∂r/∂Y'.

        Args:
            slopes: Both.
        """
        return [*slopes][: 1 + max(self.orders)]

    def factor(
        self, slopes: Float[np.ndarray, "2 size size"], rate: complex, check: bool
    ) -> DenseFactor:
        """Of ∂r/∂Y + rate ∂r/∂Y'.

        Args:
            slopes: Both.
            rate: The factor.
            check: Whether to estimate the condition.
        """
        return DenseFactor(slopes[0] + rate * slopes[1], self.work, check)

    @property
    def _conditions(self) -> list[Residual]:
        return [c.residual for c in self.problem.constraints]

    def _rows(
        self, residual: Residual, t: np.ndarray, fields: Sequence[np.ndarray], partials: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """A residual at some instants, [instants, equations], and its slopes by states and rates,
        [instants, equations, 2, states]."""
        leaves = np.empty((len(t), len(residual.needs)))
        places = []
        for a, (u, (k, *_)) in enumerate(residual.needs):
            rate = (u, k) in self._rated
            number = self._rated[u, k] if rate else self._number[u, k]
            places.append((int(rate), number))
            leaves[:, a] = (self._sign * fields[1][number]) if rate else fields[0][number]
        self.work.evaluated(leaves.size, partials)
        at = {self.time: torch.from_numpy(np.atleast_1d(self.outer(t)))}
        normal = {self.time: torch.full((len(t),), -self._sign, dtype=torch.float64)}
        values, found = evaluate(residual, at, leaves, normal, partials)
        slopes = np.zeros((len(t), residual.equations, 2, self.size))
        if found is not None:
            for a, (order, number) in enumerate(places):
                slopes[:, :, order, number] += (self._sign if order else 1.0) * found[:, :, a]
        return values, slopes
