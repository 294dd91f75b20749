"""The trial function u = lift + factor · N, its derivatives at points, and their adjoint."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import RunError, listed
from kanpde.geometry import Domain, Pieces
from kanpde.networks.boundary import split
from kanpde.networks.constants import Constants
from kanpde.networks.enrichment import enrichment
from kanpde.networks.jets import coordinate_jet, directions_for, nested_derivatives, periodic_jet
from kanpde.networks.joint import with_constants
from kanpde.networks.lenses import lens_jets, lenses
from kanpde.networks.network import Network
from kanpde.networks.state import network_of, state
from kanpde.networks.transform import Transform
from kanpde.problem.conditions import Constraint
from kanpde.residual.calculus import Leaf, below


@dataclass(frozen=True)
class Frame:
    """All that depends on the points alone: u_a = lift_a + Σ_c map_ac · J_c + Σ_k features_ak ·
    J_0k, with J the network's output jet.

    points [points, dims]; X: the network's input jet; column[a]: which output a leaf belongs to;
    features: derivatives of given functions, whose coefficients are the values of the last outputs,
    as many as there are features.
    """

    points: Float[Tensor, "points dims"]
    X: Float[Tensor, "points channels inputs"]
    counts: tuple[int, ...]
    map: Float[Tensor, "points leaves channels"]
    lift: Float[Tensor, "points leaves"]
    column: tuple[int, ...]
    features: Float[Tensor, "points leaves features"] | None = None

    def derivatives(
        self, J: Float[Tensor, "points channels outputs"]
    ) -> Float[Tensor, "points leaves"]:
        """Values of the leaves."""
        if J.shape[2] == 1:
            return self.lift + torch.bmm(self.map, J)[:, :, 0]
        found = self.lift + torch.stack(
            [(self.map[:, a] * J[:, :, q]).sum(1) for a, q in enumerate(self.column)], 1
        )
        return (
            found
            if self.features is None
            else found + torch.bmm(self.features, J[:, 0, -self.features.shape[2] :, None])[:, :, 0]
        )

    def adjoint(
        self, g: Float[Tensor, "points leaves"], outputs: int
    ) -> Float[Tensor, "points channels outputs"]:
        """Adjoint of the output jet from that of the leaves."""
        L = self.map.new_zeros(len(g), self.map.shape[2], outputs)
        for a, q in enumerate(self.column):
            L[:, :, q].addcmul_(g[:, a : a + 1], self.map[:, a])
        if self.features is not None:
            L[:, 0, -self.features.shape[2] :] += torch.bmm(g[:, None], self.features)[:, 0]
        return L


class Solution(ABC):
    """A candidate solution: a function of points [points, dims] that gives the unknowns [points,
    unknowns]."""

    @abstractmethod
    def __call__(self, points: Float[Tensor, "points dims"]) -> Float[Tensor, "points unknowns"]:
        """Its values."""

    @abstractmethod
    def derivatives(
        self, points: Float[Tensor, "points dims"], leaves: Sequence[Leaf]
    ) -> Float[Tensor, "points leaves"]:
        """Derivatives of the unknowns, those on pieces by their plain names; nan where a piece has
        no such unknown."""

    @property
    @abstractmethod
    def input_names(self) -> tuple[str, ...]:
        """Names of the network's inputs."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """How many numbers are trained."""

    @abstractmethod
    def describe(self) -> str:
        """In a few words."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which it is rebuilt; loads with weights_only=True."""

    network: Any
    domain: Domain


class NetworkSolution(Solution):
    """A network as a candidate solution on a domain, one output an unknown, with the exact
    conditions built in.

    domain, unknowns, constraints, periodic: those of the problem. `soft` are the constraints that
    it cannot satisfy by construction. Where the network has outputs for the coefficients of corner
    functions (see `enriched`), these are part of the solution, and the unknowns that have them keep
    soft conditions. Calling it on points [points, dims] gives the unknowns [points, unknowns].
    """

    def __init__(
        self,
        domain: Domain,
        unknowns: Sequence[str],
        constraints: Sequence[Constraint],
        periodic: Sequence[str],
        network: Network,
    ):
        self.domain, self.unknowns, self.periodic, self.network = (
            domain,
            tuple(unknowns),
            tuple(periodic),
            network,
        )
        features = enrichment(domain, constraints, unknowns, periodic)
        self.features = (
            features
            if features and network.widths[-1] == len(self.unknowns) + len(features)
            else []
        )
        found = lenses(domain)
        self.lenses = (
            found
            if found and network.widths[0] == NetworkSolution.inputs(domain, periodic, closely=True)
            else []
        )
        self.boundaries, self.soft = split(
            domain,
            constraints,
            unknowns,
            {*unknowns} if periodic else {f.unknown for f in self.features},
        )
        self.trained_on: Any = (
            None  # points and weights of training, as far as they are still known
        )

    @staticmethod
    def inputs(domain: Domain, periodic: Sequence[str], closely: bool = False) -> int:
        """How many inputs the network needs: a periodic coordinate takes two, its cosine and its
        sine; every piece has its own. closely: whether it looks closely at holes (see
        lenses.py)."""
        own = len(domain.coordinates) * (
            len(domain.regions) if isinstance(domain, Pieces) else 1
        ) + len(periodic)
        return own + (len(lenses(domain)) * len(domain.space) if closely else 0)

    @property
    def parameters(self) -> int:
        return self.network.parameters

    def describe(self) -> str:
        return self.network.describe()

    @property
    def input_names(self) -> tuple[str, ...]:
        found = tuple(
            name
            for x in self.domain.coordinates
            for name in ((f"cos {x}", f"sin {x}") if x in self.periodic else (x,))
        )
        closer = tuple(
            f"{x} near {lens.hole.face}" for lens in self.lenses for x in self.domain.space
        )
        return (
            found * len(self.domain.regions) if isinstance(self.domain, Pieces) else found + closer
        )

    def frame(self, points: Float[Tensor, "points dims"], needs: Sequence[Leaf]) -> Frame:
        """Prepare the evaluation of the given derivatives at the points (which are taken in float64
        on the CPU)."""
        theta = self.network.theta
        points = points.detach().double().cpu()
        bounds = points.new_tensor(list(self.domain.bounds.values()))
        scale = 2 / (bounds[:, 1] - bounds[:, 0])
        terms = [
            (a, beta, rest)
            for a, (_, alpha) in enumerate(needs)
            for beta in below(alpha)
            for rest in [_minus(alpha, beta)]
        ]
        betas = sorted(
            {
                beta
                for a, beta, rest in terms
                if not any(rest) or self.boundaries[needs[a][0]].exact
            },
            key=lambda b: (sum(b), b),
        )
        directions, polarisation = directions_for(betas or [(0,) * len(bounds)])
        rows = (
            torch.from_numpy(polarisation)
            * torch.stack([(scale ** scale.new_tensor(b)).prod() for b in betas])[:, None]
        )
        factors, lifts = self._boundary_derivatives(points, needs)
        mapping = points.new_zeros(len(points), len(needs), directions.channels)
        for a, beta, rest in terms:
            unknown, alpha = needs[a]
            if self.boundaries[unknown].exact:
                binomial = math.prod(math.comb(n, k) for n, k in zip(alpha, beta, strict=True))
                mapping[:, a] += (
                    binomial * factors[unknown][rest][:, None] * rows[betas.index(beta)]
                )
            elif not any(rest):
                mapping[:, a] += rows[betas.index(beta)]
        frequencies = [math.pi if x in self.periodic else None for x in self.domain.coordinates]
        X = periodic_jet(
            coordinate_jet((points - bounds[:, 0]) * scale - 1, directions),
            frequencies,
            directions.counts,
        )
        if isinstance(self.domain, Pieces):
            X = torch.cat(
                [
                    _rescaled(X, bounds, bounds.new_tensor(list(region.bounds.values())))
                    for region in self.domain.regions.values()
                ],
                2,
            )
        if self.lenses:
            X = torch.cat([X, lens_jets(self.lenses, points, scale, directions)], 2)
        column = tuple(self.unknowns.index(u) for u, _ in needs)
        features = self._feature_derivatives(points, needs).to(theta) if self.features else None
        return Frame(
            points,
            X.contiguous().to(theta),
            directions.counts,
            mapping.to(theta),
            lifts.to(theta),
            column,
            features,
        )

    def _feature_derivatives(
        self, points: Tensor, needs: Sequence[Leaf]
    ) -> Float[Tensor, "points leaves features"]:
        found = points.new_zeros(len(points), len(needs), len(self.features))
        for k, feature in enumerate(self.features):
            of = {a: alpha for a, (u, alpha) in enumerate(needs) if u == feature.unknown}
            derivatives = (
                nested_derivatives(feature.function, points, set(of.values())) if of else {}
            )
            for a, alpha in of.items():
                found[:, a, k] = derivatives[alpha]
        return found

    def _boundary_derivatives(
        self, points: Tensor, needs: Sequence[Leaf]
    ) -> tuple[dict[str, dict], Tensor]:
        factors: dict[str, dict] = {}
        lifts = points.new_zeros(len(points), len(needs))
        for unknown, boundary in self.boundaries.items():
            alphas = [alpha for u, alpha in needs if u == unknown]
            if not boundary.exact or not alphas:
                continue
            factors[unknown] = nested_derivatives(
                boundary.factor, points, {b for alpha in alphas for b in below(alpha)}
            )
            lifted = nested_derivatives(boundary.lift, points, set(alphas))
            for a, (u, alpha) in enumerate(needs):
                if u == unknown:
                    lifts[:, a] = lifted[alpha]
        return factors, lifts

    def __call__(self, points: Float[Tensor, "points dims"]) -> Float[Tensor, "points unknowns"]:
        value, names = (0,) * len(self.domain.coordinates), self.unknowns
        if isinstance(self.domain, Pieces):
            names = tuple(dict.fromkeys(u.removesuffix(f"_{self.domain.home(u)}") for u in names))
        return self.derivatives(points, [(u, value) for u in names])

    def derivatives(
        self, points: Float[Tensor, "points dims"], leaves: Sequence[Leaf]
    ) -> Float[Tensor, "points leaves"]:
        if not isinstance(self.domain, Pieces):
            return self._derivatives(points, leaves)
        which = self.domain.region(points.detach().double().cpu()).to(points.device)
        found = self.network.theta.new_full((len(points), len(leaves)), math.nan)
        for k, piece in enumerate(self.domain.regions):
            here = (which == k).nonzero()[:, 0]
            copies = {
                a: (f"{u}_{piece}", index)
                for a, (u, index) in enumerate(leaves)
                if f"{u}_{piece}" in self.unknowns
            }
            found[here[:, None], torch.tensor(list(copies), device=here.device)] = (
                self._derivatives(points[here], list(copies.values()))
            )
        return found

    def _derivatives(self, points: Tensor, leaves: Sequence[Leaf]) -> Tensor:
        frame = self.frame(points, leaves)
        return frame.derivatives(self.network.forward(frame.X, frame.counts)[-1])

    def state(self) -> dict[str, Any]:
        return state(self.network)


def restore(problem: Any, saved: dict[str, Any]) -> NetworkSolution:
    """The solution of a problem from a saved state. Raises RunError where the state does not fit."""
    network = network_of(saved)
    solution = NetworkSolution(
        problem.domain, problem.outputs, problem.constraints, problem.periodic, network
    )
    if network.widths[0] != NetworkSolution.inputs(
        problem.domain, problem.periodic, bool(solution.lenses)
    ) or network.widths[-1] != len(problem.outputs) + len(solution.features):
        raise RunError(f"checkpoint: {network.describe()} does not fit problem {problem.name!r}")
    return solution


def enriched(network: Network, problem: Any) -> Network:
    """A network for a problem, with a constant for the coefficient of each corner function (see
    enrichment.py), if there are any."""
    count = len(enrichment(problem.domain, problem.constraints, problem.outputs, problem.periodic))
    return with_constants(network, Constants((Transform(),) * count)) if count else network


def built_in(problem: Any, corners: bool = True) -> tuple[str, ...]:
    """What holds by construction on a domain that is no box, and what does not, a line each."""
    features = (
        enrichment(problem.domain, problem.constraints, problem.outputs, problem.periodic)
        if corners
        else []
    )
    boundaries, soft = split(
        problem.domain,
        problem.constraints,
        problem.copies,
        problem.copies if problem.periodic else {f.unknown for f in features},
    )
    lines = []
    for unknown, boundary in boundaries.items():
        faces = [
            face
            for group in (boundary.curved.groups if boundary.curved else ())
            for face in group.faces
        ]
        lines += (
            [f"values of {unknown} hold exactly on {listed(faces)}, by smooth implicit functions"]
            if faces
            else []
        )
    values = [c.label for c in soft if c.prescribed is not None and not c.prescribed.derivative]
    if values:
        why = (
            "the solution has corner functions, which do not vanish there"
            if features
            else "a face has no smooth implicit function, or meets one with other data"
        )
        lines.append(f"{listed(values)}: soft, with a balanced weight, since {why}")
    if features:
        lines.append(f"corners: {listed([f.label for f in features])}, with trained coefficients")
    return tuple(lines)


def _rescaled(
    X: Float[Tensor, "points channels dims"], bounds: Tensor, own: Tensor
) -> Float[Tensor, "points channels dims"]:
    """The jet of coordinates that run from -1 to 1 over `bounds`, as that of coordinates that do so
    over a piece's own bounds [dims, 2]."""
    ratio = (bounds[:, 1] - bounds[:, 0]) / (own[:, 1] - own[:, 0])
    Y = X * ratio
    Y[:, 0] += (bounds.sum(1) - own.sum(1)) / (own[:, 1] - own[:, 0])
    return Y


def _minus(alpha: Sequence[int], beta: Sequence[int]) -> tuple[int, ...]:
    return tuple(n - k for n, k in zip(alpha, beta, strict=True))
