"""Gauss-Newton without matrices, for networks that are too large for dense Levenberg-Marquardt.

The damped normal equations are solved inexactly by conjugate gradients on products straight from
the jets (tangent.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

from kanpde.training.levenberg_marquardt import PROBE, STUCK, beyond_rounding, scaling, slow
from kanpde.training.nystrom import Nystrom, nystrom
from kanpde.training.objective import Objective
from kanpde.training.optimiser import State, Stepper
from kanpde.training.shards import total
from kanpde.training.tangent import Tangent

EASE_AFTER_SUCCESS, TIGHTEN_AFTER_FAILURE = 3.0, 4.0
"""What μ is divided by after a step that succeeded at once, and multiplied by after a failure,
which costs two solves."""

LOOSEST = 0.1
"""Largest tolerance of a solve, as a share of the right side."""

REUSE = 5
"""Steps that a Nyström preconditioner serves at least."""


@dataclass
class Inexact(State):
    """What Gauss-Newton carries from step to step.

    Attributes:
        mu: Damping of the solves.
        forcing: Tolerance of the solves, as a share of the right side.
        started: The loss when the last step began.
        first: The loss when this set of points came.
        sketch: A Nyström preconditioner; None for the diagonal one.
        age: Steps since that was made.
        solves: Length of the last solve, in products.
        losses: The last losses on the same points, as many as patience needs.
    """

    mu: float = 0.0
    forcing: float = 0.1
    started: float = math.inf
    first: float = math.inf
    sketch: Nystrom | None = None
    age: int = REUSE
    solves: int = 0
    losses: list[float] = field(default_factory=lambda: [math.inf])

    def begin(self, loss: float, mean: float, dtype: torch.dtype) -> None:
        """Begin a step: choose its damping and its tolerance.

        The damping begins at the loss (Yamashita and Fukushima 2001), or a tenth of the mean
        diagonal, again on new points. The tolerance is |r| / |r at the beginning|, which keeps
        convergence superlinear (Dembo, Eisenstat and Steihaug 1982), and at most LOOSEST. That of
        Eisenstat and Walker 1996, choice 2, stays loose in a narrow valley, where |r| falls slowly.

        Args:
            loss: The loss before the step.
            mean: Mean of the diagonal of JᵀJ.
            dtype: In which residuals are formed.
        """
        if beyond_rounding(loss, self.started, dtype) or not self.mu:
            self.mu, self.first = max(self.mu, min(loss, 0.1 * mean)), loss
        self.forcing = min(LOOSEST, math.sqrt(loss / self.first)) if self.first > 0 else LOOSEST
        self.started = loss

    def plain(self) -> dict[str, Any]:
        return {**super().plain(), "sketch": self.sketch and vars(self.sketch)}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        return cls(**{**plain, "sketch": plain["sketch"] and Nystrom(**plain["sketch"])})


@dataclass(frozen=True)
class GaussNewton(Stepper[Inexact]):
    """Gauss-Newton without matrices, for networks too large for dense Levenberg-Marquardt.

    The damped normal equations are solved inexactly by conjugate gradients. It stops earlier when
    no damping gives a smaller loss, or when `patience` steps together have not lowered the loss by
    a hundredth.

    Attributes:
        steps: Steps, at most.
        iterations: Iterations of the conjugate gradients in a solve, at most.
        sketch: Columns of the Nyström preconditioner, which is made where the diagonal one was not
            enough; 0 for none.
        accept: Largest length of the second-order correction, as a share of the step, as of
            LevenbergMarquardt.
        patience: Steps that together have to lower the loss by a hundredth, as of
            LevenbergMarquardt.
    """

    steps: int = 100
    iterations: int = 100
    sketch: int = 400
    accept: float = 2.0
    patience: int = 20
    name = "gn"
    carries = Inexact

    def begin(self, objective: Objective) -> Inexact:
        return Inexact(math.inf, 0)

    def advance(self, objective: Objective, state: Inexact) -> str | None:
        if slow(state.losses, self.patience):
            return f"the loss fell by less than 1 % in {self.patience} steps"
        if state.taken == self.steps:
            return "all steps done"
        found = self._step(objective, state)
        if isinstance(found, str):
            return found
        before, state.loss = found
        if beyond_rounding(before, state.losses[-1], objective.network.theta.dtype):
            # Other points than before.
            state.losses = []
        state.losses, state.taken = (
            [*state.losses, state.loss][-self.patience - 1 :],
            state.taken + 1,
        )
        return None

    def _step(self, objective: Objective, state: Inexact) -> tuple[float, float] | str:
        """Raise μ until a step lowers the loss; leaves the network there and returns both losses,
        or why there is no step."""
        network, start = objective.network, objective.network.theta
        J = Tangent(objective)
        loss, squares = float(total(J.r @ J.r)), J.squares()
        if not math.isfinite(loss) or not bool(squares.isfinite().all()):
            return (
                f"loss became {loss if math.isfinite(loss) else math.nan}: went back to the last"
                " good state"
            )
        W = scaling(squares)
        state.begin(loss, float(squares.mean()), squares.dtype)
        self._sketch(J, W, state)
        given, ceiling = state.mu, 1e6 * max(float((W.square() * squares).max()), 1.0)
        while state.mu < ceiling:
            precondition = (
                _diagonal(W.square() * squares, state.mu)
                if state.sketch is None
                else state.sketch.preconditioner(state.mu)
            )
            velocity, state.solves = self._solve(
                J, W, -J.transposed_times(J.r), state, precondition
            )
            network.theta = start + PROBE * W * velocity
            bending = 2 / PROBE * ((objective.residuals() - J.r) / PROBE - J @ (W * velocity))
            bent = J.transposed_times(bending)
            if bool(bent.isfinite().all()):
                correction, _ = self._solve(J, W, -0.5 * bent, state, precondition)
                if 2 * float(correction.norm()) <= self.accept * float(velocity.norm()):
                    velocity = (
                        velocity + correction
                    )  # where it is too long the step goes straight: another trial costs two solves
            network.theta = start + W * velocity
            new = objective.loss()
            if new < loss:
                state.mu = max(
                    state.mu / EASE_AFTER_SUCCESS if state.mu == given else state.mu,
                    torch.finfo(J.r.dtype).eps ** 2,
                )
                return loss, new
            state.mu *= TIGHTEN_AFTER_FAILURE
        network.theta = start
        return STUCK

    def _solve(
        self,
        J: Tangent,
        W: Tensor,
        right: Tensor,
        state: Inexact,
        precondition: Callable[[Tensor], Tensor],
    ) -> tuple[Tensor, int]:
        """(W JᵀJ W + μ) x ≈ W right: a step in the parameters divided by W, and the number of
        products."""
        return conjugate_gradients(
            lambda x: W * J.transposed_times(J @ (W * x)) + state.mu * x,
            W * right,
            precondition,
            state.forcing,
            self.iterations,
        )

    def _sketch(self, J: Tangent, W: Tensor, state: Inexact) -> None:
        """A new preconditioner where the last solve was cut off, and not more often than every few
        steps."""
        state.age += 1
        if state.solves >= self.iterations and state.age > REUSE and 0 < self.sketch < len(W):
            state.sketch = nystrom(
                lambda V: W[:, None] * J.normal_times(W[:, None] * V), len(W), self.sketch, W
            )
            state.age = 0


def conjugate_gradients(
    times: Callable[[Tensor], Tensor],
    right: Tensor,
    precondition: Callable[[Tensor], Tensor],
    tolerance: float,
    most: int,
) -> tuple[Tensor, int]:
    """Solve A x = right by preconditioned conjugate gradients, from x = 0.

    This is algorithm 5.3 of Nocedal and Wright 2006. It ends when the residual in the
    preconditioner's norm has fallen to the tolerance, or after `most` products, or where rounding
    makes a curvature that is not positive.

    Args:
        times: Gives A x for a vector x [n]; A is positive semidefinite.
        right: The right side [n].
        precondition: Gives an approximation of A⁻¹ x.
        tolerance: Largest residual at the end, as a share of the first one.
        most: Products, at most.

    Returns:
        x [n] with A x ≈ right, and the number of products.
    """
    x, r = torch.zeros_like(right), right.clone()
    p = z = precondition(r)
    rz = first = float(r @ z)
    for k in range(most):
        if not rz > tolerance**2 * first:
            return x, k
        Ap = times(p)
        curvature = float(p @ Ap)
        if not curvature > 0:
            return x, k
        x, r = x + rz / curvature * p, r - rz / curvature * Ap
        z = precondition(r)
        rz, before = float(r @ z), rz
        p = z + rz / before * p
    return x, most


def _diagonal(squares: Tensor, mu: float) -> Callable[[Tensor], Tensor]:
    return lambda x: x / (squares + mu)
