"""Sparse networks by least squares: the L1 norm and the entropy of the edges' activations (Liu et
al. 2024, eqs. 2.17 to 2.20).

    λ Σ_layers (|Φ| / |Φ| at the beginning + μ S(Φ)),  |Φ| = Σ_edges |φ|,  S(Φ) = -Σ_edges |φ|/|Φ|
    log(|φ|/|Φ|)

A layer counts by the share of its first norm, so that neither the size of the solution nor that of
hidden values matters, and λ is a share of the loss of the network that is zero. Levenberg-Marquardt
needs squares: |φ| ≤ (φ²/a + a) / 2 with equality for a = |φ|, so that squares weighted by the
slopes of the penalty, anew every few steps, lead to the same end (iteratively reweighted least
squares). The norm of an edge is the root mean square of its deviation from its mean over the
points, since a constant costs nothing: it can be carried by any other edge. With the inputs of a
layer held fixed, φ² is a square of the coefficients: a handful of rows an edge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.networks.basis import BasisLayer
from kanpde.networks.network import Network, has_edges
from kanpde.networks.rows import Rows
from kanpde.networks.surgery import Edge
from kanpde.training.levenberg_marquardt import Damping, LevenbergMarquardt
from kanpde.training.objective import Objective
from kanpde.training.optimiser import State, Stepper

MOST_DENSE = 4000
"""Coefficients up to which the penalty's dense rows are of use."""

EVERY = 5
"""Steps between two weightings."""

STRENGTH = 1e-3
"""λ by default. On poisson2d with 2-5-1, 60 steps leave the two hidden units that the solution
needs, everything else 1e-6 of them; with 1e-5 and 1e-7 four units stay."""

ENTROPY = 3.0
"""μ by default: with 0, the L1 norm alone, four units of the same network stay at any λ; with 1
three."""

SMALLEST = 1e-4
"""Norms of edges below this share of their layer's mean count as that: weights stay finite, and an
edge can come back."""


@dataclass(frozen=True)
class Penalty:
    """Quadratic rows A θ, one block a layer.

    Attributes:
        roots: Roots [inputs, functions, functions] of the Gram matrices of the centred basis over
            the points, one a layer.
        weights: Weights [inputs, outputs] of the squares of the edges' norms, one array a layer.
    """

    roots: list[Float[Tensor, "_inputs _functions _functions"]]
    weights: list[Float[Tensor, "_inputs _outputs"]]


class Penalised(Objective):
    """An objective with the rows of a penalty below its own.

    Its terms are those of the other objective, redrawn with it.

    Args:
        objective: The objective without the penalty.
        strength: λ, the weight of the penalty.
        entropy: μ, the weight of the entropy beside the L1 norm.
    """

    whole = True

    def __init__(self, objective: Objective, strength: float, entropy: float):
        self.plain, self.strength, self.entropy = objective, strength, entropy
        self.network, self.terms = objective.network, objective.terms
        self.first: list[float] = []
        self.reweight()

    def reweight(self) -> None:
        """The penalty at the present norms of the edges, and on the present points."""
        found = _norms(self.network, self.terms[0].frame.X)
        self.first = self.first or [float(norms.sum()) for _, norms in found]
        self.penalty = Penalty(
            [R for R, _ in found],
            [
                self.strength * _weights(n, t, self.entropy)
                for (_, n), t in zip(found, self.first, strict=True)
            ],
        )

    def residuals(self) -> Float[Tensor, " rows"]:
        return torch.cat([super().residuals(), self._rows()])

    def gradient(self) -> tuple[float, Float[Tensor, " parameters"]]:
        loss, total = super().gradient()
        rows = self._rows()
        return loss + float(rows.square().sum()), total + self.network.masked(
            2 * self._matrix().T @ rows
        )

    def jacobian(self) -> tuple[Float[Tensor, " rows"], Rows]:
        values, rows = super().jacobian()
        own = self.network.masked_rows(Rows.full(self._matrix()))
        return torch.cat([values, self._rows()]), Rows.full(torch.cat([rows.dense(), own.values]))

    def _rows(self) -> Tensor:
        return self._matrix() @ self.network.theta

    def _matrix(self) -> Float[Tensor, "rows parameters"]:
        """A, with zeros: as many rows as coefficients."""
        if self._known is None or self._known[0] is not self.penalty:
            blocks = []
            penalties = iter(zip(self.penalty.roots, self.penalty.weights, strict=True))
            for layer in self.network.layers:
                if isinstance(layer, BasisLayer):
                    R, w = next(penalties)
                    p, n, q = layer.shape
                    block = torch.zeros(p, n, q, p, n, q, dtype=R.dtype)
                    for i in range(p):
                        for o in range(q):
                            block[i, :, o, i, :, o] = R[i] * w[i, o].sqrt()
                    blocks.append(block.view(layer.size, layer.size))
                else:
                    blocks.append(torch.zeros(layer.size, layer.size, dtype=torch.float64))
            self._known = self.penalty, torch.block_diag(*blocks).to(self.network.theta)
        return self._known[1]

    _known: tuple[Penalty, Tensor] | None = None


FADES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Weights of the squared norms of edges that fade out, over their squares at the beginning and the
loss of the network that is zero."""


def fade(objective: Objective, edges: Iterable[Edge], steps: int = 15) -> None:
    """Train while some edges fade out: their squared norms are penalised, more and more.

    Others take over on the way. Where edges are dropped at once, the rest may end in another
    valley, from which there is no way back.

    Args:
        objective: What is trained; its network is moved.
        edges: The edges that fade out.
        steps: Steps of Levenberg-Marquardt at each weight of the penalty.
    """
    scale = _scale(objective)
    penalised = Penalised(objective, 0.0, 0.0)
    found = _norms(objective.network, objective.terms[0].frame.X)
    shares = [torch.zeros_like(norms) for _, norms in found]
    for edge in edges:
        norm = float(found[edge.layer][1][edge.source, edge.target])
        shares[edge.layer][edge.source, edge.target] = (
            scale / max(norm, torch.finfo(torch.float64).tiny) ** 2 if norm else 0.0
        )
    for weight in FADES:
        roots = [R for R, _ in _norms(objective.network, objective.terms[0].frame.X)]
        penalised.penalty = Penalty(roots, [weight * share for share in shares])
        for _ in LevenbergMarquardt(steps).minimise(penalised):
            pass


def _scale(objective: Objective) -> float:
    """The loss of the network that is zero."""
    network = objective.network
    theta, network.theta = network.theta, 0 * network.theta
    found, network.theta = objective.loss(), theta
    return found


def _norms(network: Network, X: Tensor) -> list[tuple[Tensor, Float[Tensor, "_inputs _outputs"]]]:
    """Of every layer, the roots and the norms of its edges at the points of an input jet."""
    found = []
    for layer, part, Z in zip(
        network.layers, network.parts(), network.levels(X[:, :1], ()), strict=False
    ):
        if isinstance(layer, BasisLayer):
            B = layer.basis.at(Z[:, 0].detach().double().cpu())
            R = torch.linalg.qr((B - B.mean(1, keepdim=True)) / math.sqrt(B.shape[1]), mode="r").R
            found.append(
                (
                    R,
                    torch.einsum(
                        "pij,pjq->piq", R, part.detach().double().cpu().view(layer.shape)
                    ).norm(dim=1),
                )
            )
    return found


def _weights(
    norms: Float[Tensor, "inputs outputs"], first: float, entropy: float
) -> Float[Tensor, "inputs outputs"]:
    """Of the squares of the norms: half the slope of the penalty by a norm, over the norm."""
    norms = norms.clamp_min(SMALLEST * max(float(norms.mean()), torch.finfo(norms.dtype).tiny))
    share = norms / norms.sum()
    S = -(share * share.log()).sum()
    slope = (
        1 / max(first, torch.finfo(norms.dtype).tiny) - entropy * (share.log() + S) / norms.sum()
    )
    return slope.clamp_min(0) / (2 * norms)


@dataclass
class Sparsified(State):
    """What Sparsify carries from step to step.

    Attributes:
        damping: What the steps of Levenberg-Marquardt carry; None where the stage is left out.
        strength: λ, the weight of the penalty.
        first: Norms of the layers at the beginning, where they were read from a file.
        roots: Roots of the penalty, where they were read from a file.
        weights: Weights of the penalty, where they were read from a file.
        penalised: The objective with the penalty; None where it is not made yet.
    """

    damping: Damping | None = None
    strength: float = 0.0
    first: list[float] = field(default_factory=list)
    roots: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    penalised: Penalised | None = field(default=None, repr=False)

    def plain(self) -> dict[str, Any]:
        if self.penalised is None or self.damping is None:
            return {**super().plain(), "damping": None}
        penalty = self.penalised.penalty
        return {
            **super().plain(),
            "damping": self.damping.plain(),
            "first": self.penalised.first,
            "roots": penalty.roots,
            "weights": penalty.weights,
            "penalised": None,
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        return cls(**{**plain, "damping": plain["damping"] and Damping(**plain["damping"])})


@dataclass(frozen=True)
class Sparsify(Stepper[Sparsified]):
    """A stage that trains with a penalty on the edges that are in use, by Levenberg-Marquardt.

    The penalty is the L1 norm and the entropy of the edges' activations (Liu et al. 2024, eqs. 2.17
    to 2.20). The loss that the stage yields is that of the residuals alone, which may rise: what is
    lost comes back when edges are pruned and the rest is polished.

    Attributes:
        steps: Steps, at most.
        strength: λ, as a share of the loss of the network that is zero.
        entropy: μ, the weight of the entropy beside the L1 norm.
        metric: "root" or "layer", as of LevenbergMarquardt.

    Raises:
        RecipeError: The strength is not positive, or the entropy is negative.
    """

    steps: int = 60
    strength: float = STRENGTH
    entropy: float = ENTROPY
    metric: str = "layer"
    name = "sparsify"
    carries = Sparsified

    def __post_init__(self) -> None:
        if not 0 < self.strength < math.inf:
            raise RecipeError(
                f"sparsify: got strength {self.strength:g}; expected a positive number, such as"
                f" {STRENGTH:g}"
            )
        if not 0 <= self.entropy < math.inf:
            raise RecipeError(f"sparsify: got entropy {self.entropy:g}; expected 0 or more")

    def check(self, network: Network) -> None:
        """Refuse a network without edge functions; before training.

        Args:
            network: The network with which training begins.

        Raises:
            RecipeError: It has no edge functions.
        """
        if not any(has_edges(layer) for layer in network.layers):
            raise RecipeError(
                f"sparsify: got {network.describe()}; expected a network with edge functions, such"
                " as kan"
            )

    def begin(self, objective: Objective) -> Sparsified:
        if objective.network.theta.numel() > MOST_DENSE:
            return Sparsified(math.inf, 0)
        penalised = Penalised(objective, self.strength * _scale(objective), self.entropy)
        return Sparsified(
            math.inf, 0, self._inner().begin(penalised), penalised.strength, penalised=penalised
        )

    def advance(self, objective: Objective, state: Sparsified) -> str | None:
        size = objective.network.theta.numel()
        if size > MOST_DENSE or state.damping is None:
            return f"left out: {size:,} coefficients, and its matrices hold at most {MOST_DENSE:,}"
        if state.taken == self.steps:
            return "all steps done"
        if state.penalised is None:
            state.penalised = Penalised(objective, state.strength, self.entropy)
            state.penalised.first, state.penalised.penalty = (
                state.first,
                Penalty(state.roots, state.weights),
            )
        if state.taken and state.taken % EVERY == 0:
            state.penalised.reweight()
        reason = self._inner().advance(state.penalised, state.damping)
        if reason is None:
            state.loss, state.taken = objective.loss(), state.taken + 1
        return reason

    def _inner(self) -> LevenbergMarquardt:
        return LevenbergMarquardt(self.steps, metric=self.metric)
