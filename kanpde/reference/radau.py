"""Radau IIA in five stages, of order 9, for r(t, U, U', U'') = 0: collocation in time of the
equations themselves.

Conditions and constraints are rows like any other, so that systems with a singular ∂r/∂U'
(differential-algebraic equations) are integrated as they stand. The last stage is the end of the
step. Source: Hairer and Wanner, Solving Ordinary Differential Equations II (1996), sections IV.5,
IV.8 and VI.1; J. Comput. Appl. Math. 111 (1999), 93-111.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float
from numpy.polynomial import legendre

from kanpde.errors import ReferenceUnavailable, SolutionDoubtful
from kanpde.reference.affine import AffineSystem
from kanpde.reference.norms import rms, rounding_of
from kanpde.reference.work import OutOfWork, Work

STAGES = 5
ORDER = 2 * STAGES - 1

MOST_HALVINGS = 24
"""Halvings of the interval between two output times after which the integration is given up."""

GROWN = 1e100
"""By which a solution may grow before it counts as blown up: e^230, which no model means."""

WORTH_TELLING = 1e3
"""Growth that messages mention."""

STALLED = 0.01
"""Of the mean step so far, the length below which steps are so short that the work ends because the
solution does: a process that is only slow goes on as it began."""

INSTANT = 1e-12
"""Of the whole time, the step in which a start is moved onto the constraints."""

ULPS_BESIDE = 8
"""Units in the last place of the latest time, from a switch to the steps on either side of it."""

ITERATIONS = 15
"""Of Newton's method in one step."""

ROUNDING_SHARE = 0.1
"""Part of the tolerance of Newton's method that rounding may use up."""

ROUNDED_STAGES = 1e-9
"""Relative length below which Newton steps that stop shrinking are taken for rounding errors."""


def _tableau(stages: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes on (0, 1], the last of which is 1, and A[i, j] = ∫_0^{c_i} l_j."""
    difference = np.zeros(stages + 1)
    difference[[stages - 1, stages]] = -1, 1
    c = (np.sort(legendre.legroots(difference).real) + 1) / 2
    c[-1] = 1.0
    V = legendre.legvander(2 * c - 1, stages - 1)
    integrals = np.stack(
        [legendre.legval(2 * c - 1, legendre.legint(e, lbnd=-1)) / 2 for e in np.eye(stages)], 1
    )
    return c, np.linalg.solve(V.T, integrals.T).T


C, A = _tableau(STAGES)
INVERSE = np.linalg.inv(A)
_values, _vectors = np.linalg.eig(INVERSE)
_back = np.linalg.inv(_vectors)
_upper = np.flatnonzero(_values.imag > -1e-9)
MODES = [
    (
        float(_values[i].real) if abs(_values[i].imag) < 1e-9 else complex(_values[i]),
        _vectors[:, i],
        _back[i],
    )
    for i in _upper
]
"""Eigenvalue of A⁻¹, its column of T and its row of T⁻¹; of a conjugate pair only the one in the
upper half-plane."""
REAL = next(i for i, mode in enumerate(MODES) if isinstance(mode[0], float))
"""Number of the real eigenvalue."""
NODES = np.concatenate([[0.0], C])
LEADING = np.linalg.inv(legendre.legvander(2 * NODES - 1, STAGES))[-1]
"""The last Legendre coefficient of a step's polynomial from its values at NODES."""

TO_POWERS = np.linalg.inv(np.vander(NODES, increasing=True))
"""The coefficients of a step's polynomial from its values at NODES."""

TO_THE_START = legendre.legvander(np.array([-1.0]), STAGES - 1)[0] @ np.linalg.inv(
    legendre.legvander(2 * C - 1, STAGES - 1)
)
"""Extrapolation from the stages to the start of a step, for what has no value there."""


class Decomposed(Protocol):
    """A matrix A that was decomposed."""

    A: Any

    def once(self, b: np.ndarray) -> np.ndarray:
        """A⁻¹ b."""


class Integrable(Protocol):
    """r(t, U, U', U'') = 0, which holds `orders` derivatives of each unknown in time; each has a
    value at every one of some nodes, one after another, then a few more numbers follow."""

    orders: list[int]
    free: np.ndarray
    size: int
    work: Work

    @property
    def nodes(self) -> int:
        """How many."""

    @property
    def span(self) -> tuple[float, float]:
        """The time that it goes through."""

    def at(self, t: float) -> str:
        """An instant in words."""

    def on_nodes(self, U: np.ndarray) -> np.ndarray:
        """Values on the nodes, [unknowns, nodes], from U by unknown."""

    def residual(self, fields: Sequence[np.ndarray], t: np.ndarray) -> np.ndarray:
        """r at some instants at once."""

    def slopes(self, fields: Sequence[np.ndarray], t: float) -> np.ndarray:
        """Its partials at one instant."""

    def constant(self) -> np.ndarray | None:
        """Its partials where they are the same always."""

    def matrices(self, slopes: np.ndarray) -> list[Any]:
        """∂r/∂U, ∂r/∂U' and so on, from its partials."""

    def factor(self, slopes: np.ndarray, rate: complex, check: bool) -> Decomposed:
        """Of ∂r/∂U + rate ∂r/∂U' + rate² ∂r/∂U''; check: refuse what is singular."""


class Radau:
    """Integration of a system from given U and U' on dyadic steps between output times.

    The step is controlled by the last Legendre coefficient of its polynomial, whose square is of
    the size of the error at its end; as in Hairer and Wanner's code the tolerance is raised to the
    power (s + 1) / 2s in between, which allows for stiffness. halvings: how many times steps are
    half as long as the tolerance asks for, to measure what that changes.
    """

    def __init__(
        self,
        system: Integrable,
        U: Float[np.ndarray, " size"],
        velocity: Float[np.ndarray, " size"],
        start: float,
        tolerance: float,
        halvings: int = 0,
    ):
        self.system, self.t, self.U, self.velocity = system, start, U, velocity
        self.steps = 0
        self._allowed, self._newton = (
            0.1 * tolerance ** ((STAGES + 1) / (2 * STAGES)) / 2 ** (STAGES * halvings),
            max(0.01 * tolerance, 3e-15),
        )
        self._derivatives = max(system.orders)
        # Of each unknown that has a rate, the nodes where it is integrated.
        self._moving = {
            v: v * system.nodes + np.flatnonzero(free)
            for v, free in enumerate(system.free)
            if system.orders[v] and free.any()
        }
        self.rounding = np.zeros(len(system.orders))
        self._noise = np.zeros(len(system.orders))
        here = self._values(U)
        self._about = np.array([here[at].mean() for at in self._moving.values()])
        self._sizes, self._began, self._growth = self._varied(U), self._each(U), 1.0
        self.started = U
        self._last: tuple[float, np.ndarray] | None = None
        self._factors: dict[float, list[Decomposed]] = {}
        self._constant = system.constant()
        self._affine = None if self._constant is None else AffineSystem(system, self._constant, C)
        self._level = self._coarsest = halvings
        self._left = 1
        self._checked = self._measured = False
        if min(system.orders) == 0:
            self._meet_constraints()

    def advance(self, end: float) -> None:
        """Go on to a later time. Raises ReferenceUnavailable where steps become too short, saying
        when."""
        begin, length, place = self.t, end - self.t, 0
        while place < 2**self._level:
            self.system.work.now = self.system.at(self.t) + self._grown()
            h, self._left = length / 2**self._level, 2**self._level - place
            try:
                wanted = self._step(h)
            except OutOfWork as error:
                ended = OutOfWork(str(error), self.t)
                if not self.steps or h > STALLED * (self.t - self.system.span[0]) / self.steps:
                    raise ended from error
                raise self._stopped(h) from ended
            if wanted < 0:
                if self._level >= MOST_HALVINGS:
                    raise self._stopped(h)
                finer = min(-wanted, MOST_HALVINGS - self._level)
                self._level, place = self._level + finer, place * 2**finer
                continue
            self.steps += 1
            place += 1
            self.t = begin + place * h if place < 2**self._level else end
            while wanted > 0 and self._level > self._coarsest and place % 2 == 0:
                self._level, place, wanted = self._level - 1, place // 2, wanted - 1

    def pass_by(self, stop: float) -> None:
        """Go on to a time at which the equations switch, and begin anew after it: no step has a
        stage on either side.

        Args:
            stop: The time.
        """
        beside = ULPS_BESIDE * np.spacing(max(map(abs, self.system.span)))
        if stop - beside > self.t:
            self.advance(stop - beside)
        self.t, self._last = stop + beside, None
        if self._constant is None:
            self._factors.clear()

    def _grown(self) -> str:
        """How much the solution has grown, in words, where that is worth telling."""
        grown = self._growth > WORTH_TELLING
        return f", where it has grown by {self._growth:.0e} since the start" if grown else ""

    def _stopped(self, h: float) -> SolutionDoubtful:
        """Why there is no further step. Where the solution has not grown, that says nothing of
        when it ends: the equations may be hard there and no more."""
        why = (
            "it blows up there"
            if self._growth > WORTH_TELLING
            else "a front or a jump forms there, or the problem is ill-posed"
        )
        return SolutionDoubtful(
            f"no step in time is short enough at {self.system.at(self.t)} ({h:.0e} is not)"
            f"{self._grown()}: {why}",
            self.t if self._growth > WORTH_TELLING else None,
        )

    def _meet_constraints(self) -> None:
        """Move the start onto the constraints that hold between rates (∇·u = 0 on the grid), by a
        step of next to no length."""
        begin, end = self.system.span
        h = INSTANT * (end - begin)
        Z = np.repeat(self.U[:, None], STAGES, 1)
        self._checked = True  # the pressure's scale of 1 / h makes the condition large by itself
        self._prepare(h, Z)
        found, _ = self._solve(h, Z)
        self._factors.clear()
        self._checked = False
        if found is None:
            raise ReferenceUnavailable(
                "the start cannot be made to meet the equations that have no derivative in time,"
                f" at {self.system.at(begin)}"
            )
        self.U = self.U + found[:, -1]

    def _step(self, h: float) -> int:
        """One step. How many times the next may be doubled, or minus how many times this one must
        be halved, which then did not count."""
        Z = self._predicted(h)
        while True:
            fresh = self._prepare(h, Z)
            found, rate = self._solve(h, Z)
            if found is not None:
                break
            self._factors.pop(_about(h), None)
            if fresh:
                return -1
        stages = self.U[:, None] + found
        polynomial = np.concatenate([self.U[:, None], stages], 1)
        self._sizes = np.maximum(self._sizes, self._varied(stages[:, -1]))
        self.rounding = self.rounding + self._noise
        grown = self._each(stages[:, -1])
        self._began = np.where(self._began > 0, self._began, grown)
        self._growth = max(self._growth, _ratio(grown, self._began))
        if self._growth > GROWN:
            raise SolutionDoubtful(
                f"the solution has grown by {GROWN:.0e} since the start at"
                f" {self.system.at(self.t)}: the problem is ill-posed, or it blows up",
                self.t,
            )
        ratio = self._length(self._each(polynomial @ LEADING), self._sizes) / self._allowed
        halvings = np.log2(max(ratio, 1e-30)) / STAGES
        if ratio > 1:
            return -max(1, min(6, int(np.ceil(halvings))))
        if self._constant is None and rate > 0.02:
            self._factors.pop(_about(h), None)
        if not self.steps:
            self.started = stages @ TO_THE_START
        self.velocity = found @ INVERSE[-1] / h
        self._last, self.U = (h, polynomial), stages[:, -1]
        return max(0, int(-halvings - 0.2))

    def _predicted(self, h: float) -> np.ndarray:
        """The last step's polynomial at this one's stages."""
        if self._last is None:
            return self.U[:, None] + np.outer(self.velocity, C * h)
        before, values = self._last
        at = 1 + C * min(h / before, 1.0) if h > 2 * before else 1 + C * h / before
        return values @ (TO_POWERS.T @ np.vander(at, len(NODES), increasing=True).T)

    def _fields(self, W: np.ndarray, h: float) -> list[np.ndarray]:
        """The stages and their rates. Changes since the start of the step keep the digits that
        differences of stages lose, which would be ε / h in a velocity."""
        rates = [self.U[:, None] + W, W @ INVERSE.T / h]
        if self._derivatives > 1:
            rates.append((rates[1] - self.velocity[:, None]) @ INVERSE.T / h)
        return rates

    def _residual(self, W: np.ndarray, h: float) -> np.ndarray:
        """At the stages, whose changes since the start of the step are W."""
        fields = self._fields(W, h)
        if self._affine is not None:
            r = self._affine(fields, self.t, h, self._left)
            if r is not None:
                return r
            # Partials are no longer what they were.
            self._affine = self._constant = None
            self._factors.clear()
        return self.system.residual(fields, self.t + C * h)

    def _prepare(self, h: float, Z: np.ndarray) -> bool:
        """Factors for steps of this length; whether they are new."""
        if _about(h) in self._factors:
            return False
        if self._constant is not None:
            slopes = self._constant
            while len(self._factors) > 3:
                del self._factors[next(iter(self._factors))]
        else:
            self._factors.clear()
            middle = STAGES // 2
            slopes = self.system.slopes(
                [f[:, [middle]] for f in self._fields(Z - self.U[:, None], h)],
                self.t + C[middle] * h,
            )
        if not np.isfinite(slopes).all():
            raise SolutionDoubtful(
                f"the equations are not finite at {self.system.at(self.t)}{self._grown()}: there is"
                " no solution beyond"
            )
        self._factors[_about(h)] = [
            self.system.factor(
                slopes, mode[0] / h, check=not (self._checked or isinstance(mode[0], complex))
            )
            for mode in MODES
        ]
        self._checked, self._measured = True, False
        return True

    def _each(self, values: np.ndarray) -> np.ndarray:
        """The size of each unknown that is integrated."""
        here = self._values(values)
        return np.array([rms(here[None, at])[0] for at in self._moving.values()])

    def _values(self, U: np.ndarray) -> np.ndarray:
        """Those on the nodes, one unknown after another, [size] or [size, stages]."""
        N = self.system.nodes
        fields = U[: len(U) - len(U) % N].T.reshape(-1, N)
        return self.system.on_nodes(fields).reshape(*U.shape[:0:-1], -1).T

    def _varied(self, U: np.ndarray) -> np.ndarray:
        """The same about its mean at the start."""
        here, each = self._values(U), zip(self._moving.values(), self._about, strict=True)
        return np.array([rms(here[None, at] - mean)[0] for at, mean in each])

    def _length(self, lengths: np.ndarray, sizes: np.ndarray) -> float:
        """Of a change of each unknown relative to how much it has varied, of which rounding is a
        small part: of all unknowns the worst."""
        noise = self._noise[list(self._moving)]
        floors = np.maximum(sizes, noise / (ROUNDING_SHARE * self._newton))
        return float((lengths[lengths > 0] / floors[lengths > 0]).max(initial=0.0))

    def _solve(self, h: float, Z: np.ndarray) -> tuple[np.ndarray | None, float]:
        """Simplified Newton iteration on all stages: their changes since the start of the step, or
        None where it does not converge. And its rate of convergence."""
        before, rate, W = np.inf, 0.0, Z - self.U[:, None]
        factors = self._factors[_about(h)]
        moved = np.zeros(len(self._moving), dtype=bool)
        for _ in range(ITERATIONS):
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                r = self._residual(W, h)
            if not np.isfinite(r).all():
                return None, 1.0
            change = np.zeros_like(W)
            for (value, column, row), factor in zip(MODES, factors, strict=True):
                if isinstance(value, float):
                    change -= np.outer(factor.once(r @ row.real), column.real)
                else:
                    change -= 2 * np.outer(factor.once(r @ row), column).real
            W = W + change
            end = self.U + W[:, -1]
            if not self._measured:
                factor, self._measured = factors[REAL], True
                terms = np.abs(self.U) + np.abs(end)
                self._noise = rounding_of(
                    factor.A, factor.once, terms, self.system.nodes, self.system.on_nodes
                )
            sizes, changes = np.maximum(self._sizes, self._varied(end)), self._each(change)
            length, moves = self._length(changes, sizes), changes > 0
            if not np.isfinite(length):
                return None, 1.0
            if (moves & ~moved).any():
                # What only moves now, since another had to move before, says nothing of how fast
                # changes shrink.
                before, moved = np.inf, moved | moves
            known = before < np.inf
            rate = max(rate, length / before) if known and before > 1e3 * self._newton else rate
            if length * min(1.0, rate if known else 1.0) <= self._newton or (
                length > 0.5 * before and before < ROUNDED_STAGES
            ):
                return W, rate
            if known and length > 0.9 * before:
                return None, 1.0
            before = length
        return None, 1.0


def _about(h: float) -> float:
    """The length of steps that take the same factors, as those of hours do that differ in
    rounding: Newton's method corrects that."""
    return float(f"{h:.9e}")


def _ratio(sizes: np.ndarray, before: np.ndarray) -> float:
    """The largest growth of an unknown that was not zero."""
    was = before > 0
    return float((sizes[was] / before[was]).max(initial=1.0))


def integrate(
    system: Integrable,
    U: np.ndarray,
    velocity: np.ndarray,
    times: Sequence[float],
    tolerance: float,
    halvings: int = 0,
    stops: Sequence[float] = (),
) -> tuple[Float[np.ndarray, "times size"], int, Float[np.ndarray, " unknowns"]]:
    """U at the given times, the first of which is the start, the number of steps, and the size that
    rounding has in each unknown. Constraints give their unknowns at the start. stops: times
    at which the equations switch, increasing."""
    radau = Radau(system, U, velocity, float(times[0]), tolerance, halvings)
    found = [U]
    for t in times[1:]:
        for stop in stops:
            if radau.t < stop <= t:
                radau.pass_by(stop)
        if radau.t < t:
            radau.advance(float(t))
        found.append(radau.U)
    N = system.nodes
    found[0] = U.copy()
    for v in np.flatnonzero(np.array(system.orders) == 0):
        found[0][v * N : (v + 1) * N] = radau.started[v * N : (v + 1) * N]
    return np.stack(found), radau.steps, radau.rounding
