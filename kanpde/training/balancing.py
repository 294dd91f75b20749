"""How much each residual counts: weights of conditions, of the equations of a system, of points,
and of times.

Every function here gives weights of squared residuals and changes nothing. `Balance` puts them
where a term's rows are made, between two steps of an optimiser.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import RecipeError, listed, nearest
from kanpde.networks.network import Network
from kanpde.training.objective import Objective, Term
from kanpde.training.shards import gathered, largest, share, total, totals

KINDS = ("none", "ntk", "gradient", "attention")

LARGEST = 1e6
"""Largest factor between a weight and that of the first equation: a residual whose rows vanish
would get all."""


def traces(network: Network, term: Term) -> Float[Tensor, " equations"]:
    """Mean squared row of the Jacobian of every equation of a term: the trace of its tangent kernel
    a point.

    Args:
        network: The network at whose parameters the rows are.
        term: The term, whose weights are left out.
    """
    jets, _, g = _bare(term).evaluate(network, True)
    assert g is not None
    rows = [
        network.jacobian(
            jets, term.frame.adjoint(g[:, e], network.widths[-1]), term.frame.counts
        ).values
        for e in range(term.equations)
    ]
    return total(torch.stack([row.square().sum() for row in rows]))


def slopes(network: Network, term: Term) -> Float[Tensor, " equations"]:
    """Length of the gradient of every equation's mean squared residual.

    Args:
        network: The network at whose parameters the gradient is.
        term: The term, whose weights are left out.
    """
    jets, r, g = _bare(term).evaluate(network, True)
    assert g is not None
    found = [
        network.gradient(
            jets,
            term.frame.adjoint(2 * r[:, e, None] * g[:, e], network.widths[-1]),
            term.frame.counts,
        )
        for e in range(term.equations)
    ]
    return total(torch.stack(found)).norm(dim=1)


def equalising(sizes: Sequence[Float[Tensor, " _equations"]]) -> list[Float[Tensor, " _equations"]]:
    """Weights that make all weighted sizes the same: the mean of the first term's.

    With `traces` these are the weights of Wang, Yu and Perdikaris 2022, "When and why PINNs fail to
    train", eq. 6.6; with `slopes` those of Wang, Teng and Perdikaris 2021, "Understanding and
    mitigating gradient flow pathologies", in the form of norms. One equation alone has weight 1.

    Args:
        sizes: Sizes of the equations [equations], term by term.

    Returns:
        Weights of the equations [equations], term by term.
    """
    middle = float(sizes[0].mean())
    return [
        (middle / size.clamp_min(torch.finfo(size.dtype).tiny)).clamp(1 / LARGEST, LARGEST)
        for size in sizes
    ]


def attention(
    r: Float[Tensor, "points equations"],
    before: Float[Tensor, "points equations"] | None,
    decay: float = 0.9,
    rate: float = 0.1,
) -> Float[Tensor, "points equations"]:
    """Residual-based attention λ⁺ = decay λ + rate |r| / max |r| (Anagnostopoulos et al. 2024,
    CMAME 421).

    λ multiplies the residual: the weight of its square is λ². The maximum is over the points. λ
    stays below rate / (1 - decay).

    Args:
        r: The residuals [points, equations].
        before: λ until now [points, equations]; None for ones.
        decay: Share of λ that stays.
        rate: What the largest residual adds.

    Returns:
        λ⁺ [points, equations].
    """
    size = r.abs()
    most = largest(size.amax(0) if len(size) else size.new_zeros(size.shape[1])).clamp_min(
        torch.finfo(r.dtype).tiny
    )
    return decay * (torch.ones_like(r) if before is None else before) + rate * size / most


def causal(
    times: Float[Tensor, " points"],
    r: Float[Tensor, "points equations"],
    epsilon: float,
    slices: int = 32,
) -> Float[Tensor, " points"]:
    """Weights exp(-ε Σ_{k<i} L_k) of the points in slice i of time (Wang, Sankaran and Perdikaris
    2024, CMAME 421, eq. 3.1).

    L_k is the mean squared residual, summed over the equations, of the points in slice k. The
    slices are of equal duration, from the first time to the last. The first slice has weight 1; a
    later one counts when those before it are solved. Slices without points have L = 0.

    Args:
        times: The times of the points [points].
        r: The residuals there [points, equations].
        epsilon: ε, how strongly the order of times is kept.
        slices: Number of slices.

    Returns:
        Weights of the squared residuals [points].
    """
    ends = (
        torch.stack([-times.min(), times.max()]) if len(times) else times.new_full((2,), -math.inf)
    )
    low, high = largest(ends) * ends.new_tensor([-1, 1])
    place = (
        ((times - low) / (high - low).clamp_min(torch.finfo(times.dtype).tiny) * slices)
        .long()
        .clamp(max=slices - 1)
    )
    sums = times.new_zeros(slices).index_add_(0, place, r.square().sum(1).to(times))
    sums, counts = totals(sums, torch.bincount(place, minlength=slices).to(times))
    losses = sums / counts.clamp_min(1)
    return torch.exp(-epsilon * (losses.cumsum(0) - losses))[place]


@dataclass
class Balance:
    """Puts weights on the terms of objectives, between two steps.

    Attributes:
        kind: "none", "ntk", "gradient" or "attention".
        epsilon: ε of causal weights, 0 for none.
        time: Name of the time coordinate, which causal weights need.
        memory: Share of the old weights by equation in the new ones.

    Raises:
        RecipeError: There is no such kind, ε is negative or not finite, or causal weights are asked
            for without time.
    """

    kind: str = "none"
    epsilon: float = 0.0
    time: str | None = None
    memory: float = 0.0
    _shares: list[Tensor] = field(default_factory=list)
    _seen: list[tuple[Term, Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise RecipeError(
                f"balance: got {self.kind!r}; expected one of"
                f" {listed(KINDS)}{nearest(self.kind, KINDS)}"
            )
        if not 0 <= self.epsilon < math.inf:
            raise RecipeError(f"causal: got {self.epsilon:g}; expected 0 or more")
        if self.epsilon and self.time is None:
            raise RecipeError(
                f"causal: got {self.epsilon:g} for a problem without time; expected 0"
            )

    def __call__(self, objective: Objective) -> None:
        """Make new weights from the network as it is now.

        Losses before and after are of different sums of squares.

        Args:
            objective: The objective whose terms get the weights.
        """
        if self.kind == "none" and not self.epsilon:
            return
        network, terms = objective.network, objective.terms
        if self.kind in ("ntk", "gradient"):
            new = equalising(
                [(traces if self.kind == "ntk" else slopes)(network, t) for t in terms]
            )
            old = self._shares if len(self._shares) == len(new) else new
            self._shares = [
                self.memory * o + (1 - self.memory) * n for o, n in zip(old, new, strict=True)
            ]
        seen: list[tuple[Term, Tensor]] = []
        for k, t in enumerate(terms):
            t.weights = self._weights(network, t, k, seen)
        self._seen = seen

    def plain(self, objective: Objective) -> dict[str, Any]:
        """What it carries from time to time, as a file holds it.

        Args:
            objective: The objective that is trained.
        """
        return {
            "shares": self._shares,
            "seen": [
                next((gathered(a, t.count) for t, a in self._seen if t is term), None)
                for term in objective.terms
            ],
        }

    def restore(self, plain: dict[str, Any], objective: Objective) -> None:
        """Go back to what `plain` said.

        Args:
            plain: What `plain` gave.
            objective: An objective with the same terms.
        """
        self._shares = plain["shares"]
        self._seen = [
            (t, share(a))
            for t, a in zip(objective.terms, plain["seen"], strict=True)
            if a is not None
        ]

    def _weights(
        self, network: Network, term: Term, k: int, new: list[tuple[Term, Tensor]]
    ) -> Tensor:
        r = _bare(term).evaluate(network, False)[1] / term.scale
        weights = torch.ones_like(r)
        if self._shares:
            weights *= self._shares[k]
        if self.kind == "attention":
            attended = attention(r, next((a for t, a in self._seen if t is term), None))
            new.append((term, attended))
            weights *= attended.square()
        if self.epsilon and term.normal is None:
            weights *= causal(
                term.frame.points[:, term.residuals[0].coordinates.index(str(self.time))].to(r),
                r,
                self.epsilon,
            )[:, None]
        return weights


def _bare(term: Term) -> Term:
    return replace(term, weights=None)
