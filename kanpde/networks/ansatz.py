"""The trial function u = lift + factor · N, its derivatives at points, and their adjoint."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.calculus import Leaf
from kanpde.conditions import Constraint
from kanpde.errors import RunError
from kanpde.geometry import Domain
from kanpde.jets import coordinate_jet, directions_for, nested_derivatives, periodic_jet
from kanpde.networks.activation import Activation
from kanpde.networks.boundary import Boundary, split
from kanpde.networks.network import Network, has_edges
from kanpde.networks.registry import SPECS
from kanpde.residual import below


@dataclass(frozen=True)
class Frame:
    """All that depends on the points alone: u_a = lift_a + Σ_c map_ac · J_c, with J the network's output jet.

    points [points, dims]; X: the network's input jet; column[a]: which output unknown a leaf belongs to.
    """

    points: Float[Tensor, "points dims"]
    X: Float[Tensor, "points channels inputs"]
    counts: tuple[int, ...]
    map: Float[Tensor, "points leaves channels"]
    lift: Float[Tensor, "points leaves"]
    column: tuple[int, ...]

    def derivatives(self, J: Float[Tensor, "points channels outputs"]) -> Float[Tensor, "points leaves"]:
        """Values of the leaves."""
        if J.shape[2] == 1:
            return self.lift + torch.bmm(self.map, J)[:, :, 0]
        return self.lift + torch.stack([(self.map[:, a] * J[:, :, q]).sum(1) for a, q in enumerate(self.column)], 1)

    def adjoint(self, g: Float[Tensor, "points leaves"], outputs: int) -> Float[Tensor, "points channels outputs"]:
        """Adjoint of the output jet from that of the leaves."""
        L = self.map.new_zeros(len(g), self.map.shape[2], outputs)
        for a, q in enumerate(self.column):
            L[:, :, q].addcmul_(g[:, a : a + 1], self.map[:, a])
        return L


class Trial(ABC):
    """A candidate solution: a function of points [points, dims] that gives the unknowns [points, unknowns]."""

    @abstractmethod
    def __call__(self, points: Float[Tensor, "points dims"]) -> Float[Tensor, "points unknowns"]:
        """Its values."""

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


class Ansatz(Trial):
    """A network as a candidate solution on a domain, one output an unknown, with the exact conditions built in.

    domain, unknowns, constraints, periodic: those of the problem. `soft` are the constraints that it cannot satisfy by
    construction. Calling it on points [points, dims] gives the unknowns [points, unknowns].
    """

    def __init__(self, domain: Domain, unknowns: Sequence[str], constraints: Sequence[Constraint], periodic: Sequence[str], network: Network):
        self.domain, self.unknowns, self.periodic, self.network = domain, tuple(unknowns), tuple(periodic), network
        hard, self.soft = split(domain, constraints, unknowns)
        self.boundaries = {u: Boundary(domain, ends) for u, ends in hard.items()}

    @staticmethod
    def inputs(domain: Domain, periodic: Sequence[str]) -> int:
        """How many inputs the network needs: a periodic coordinate takes two, its cosine and its sine."""
        return len(domain.coordinates) + len(periodic)

    @property
    def parameters(self) -> int:
        return self.network.parameters

    def describe(self) -> str:
        return self.network.describe()

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(name for x in self.domain.coordinates for name in ((f"cos {x}", f"sin {x}") if x in self.periodic else (x,)))

    def frame(self, points: Float[Tensor, "points dims"], needs: Sequence[Leaf]) -> Frame:
        """Prepare the evaluation of the given derivatives at the points (which are taken in float64 on the CPU)."""
        theta = self.network.theta
        points = points.detach().double().cpu()
        bounds = points.new_tensor(list(self.domain.bounds.values()))
        scale = 2 / (bounds[:, 1] - bounds[:, 0])
        terms = [(a, beta, rest) for a, (_, alpha) in enumerate(needs) for beta in below(alpha) for rest in [_minus(alpha, beta)]]
        betas = sorted({beta for a, beta, rest in terms if not any(rest) or self.boundaries[needs[a][0]].ends}, key=lambda b: (sum(b), b))
        directions, polarisation = directions_for(betas or [(0,) * len(bounds)])
        rows = torch.from_numpy(polarisation) * torch.stack([(scale ** scale.new_tensor(b)).prod() for b in betas])[:, None]
        factors, lifts = self._boundary_derivatives(points, needs)
        mapping = points.new_zeros(len(points), len(needs), directions.channels)
        for a, beta, rest in terms:
            unknown, alpha = needs[a]
            if self.boundaries[unknown].ends:
                binomial = math.prod(math.comb(n, k) for n, k in zip(alpha, beta, strict=True))
                mapping[:, a] += binomial * factors[unknown][rest][:, None] * rows[betas.index(beta)]
            elif not any(rest):
                mapping[:, a] += rows[betas.index(beta)]
        frequencies = [math.pi if x in self.periodic else None for x in self.domain.coordinates]
        X = periodic_jet(coordinate_jet((points - bounds[:, 0]) * scale - 1, directions), frequencies, directions.counts)
        column = tuple(self.unknowns.index(u) for u, _ in needs)
        return Frame(points, X.contiguous().to(theta), directions.counts, mapping.to(theta), lifts.to(theta), column)

    def _boundary_derivatives(self, points: Tensor, needs: Sequence[Leaf]) -> tuple[dict[str, dict], Tensor]:
        factors: dict[str, dict] = {}
        lifts = points.new_zeros(len(points), len(needs))
        for unknown, boundary in self.boundaries.items():
            alphas = [alpha for u, alpha in needs if u == unknown]
            if not boundary.ends or not alphas:
                continue
            factors[unknown] = nested_derivatives(boundary.factor, points, {b for alpha in alphas for b in below(alpha)})
            lifted = nested_derivatives(boundary.lift, points, set(alphas))
            for a, (u, alpha) in enumerate(needs):
                if u == unknown:
                    lifts[:, a] = lifted[alpha]
        return factors, lifts

    def __call__(self, points: Float[Tensor, "points dims"]) -> Float[Tensor, "points unknowns"]:
        values = (0,) * len(self.domain.coordinates)
        frame = self.frame(points, [(u, values) for u in self.unknowns])
        return frame.derivatives(self.network.forward(frame.X, frame.counts)[-1])

    def state(self) -> dict[str, Any]:
        spec = self.network.spec
        fields = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(spec).items()}
        return {
            "kind": spec.kind,
            "spec": fields,
            "inputs": self.network.widths[0],
            "outputs": self.network.widths[-1],
            "theta": self.network.theta.detach().cpu(),
            "ranges": [[] if a.center is None else [a.center, a.scale] for a in self.network.layers if isinstance(a, Activation)],
            "constants": [getattr(layer, "constants", []) for layer in self.network.layers],
            "mask": [m.cpu() for m in self.network.mask],
        }


def restore(problem: Any, state: dict[str, Any]) -> Ansatz:
    """The ansatz of a problem from a saved state. Raises RunError where the state does not fit."""
    try:
        spec = SPECS[state["kind"]](**{k: tuple(v) if isinstance(v, list) else v for k, v in state["spec"].items()})
        theta, _ = state["theta"], state["ranges"]
        widths = (state["inputs"], *spec.width, state["outputs"])
        if max(sum(p * q for p, q in pairwise(widths)), getattr(spec, spec.resolution) if spec.resolution else 0) > theta.numel():
            raise RunError(f"checkpoint: {theta.numel()} parameters for {spec.describe(widths)}, which has more")  # and might fill the memory
        network = spec.build(state["inputs"], state["outputs"], torch.Generator())
    except (KeyError, TypeError) as error:
        raise RunError(f"checkpoint: {error} does not describe a network of this version") from error
    if theta.shape != network.theta.shape:
        raise RunError(f"checkpoint: {theta.numel()} parameters for {network.describe()}, which has {network.parameters}")
    if network.widths[0] != Ansatz.inputs(problem.domain, problem.periodic) or network.widths[-1] != len(problem.unknowns):
        raise RunError(f"checkpoint: {network.describe()} does not fit problem {problem.name!r}")
    network.theta = theta
    activations = [layer for layer in network.layers if isinstance(layer, Activation)]
    if len(activations) != len(state["ranges"]):
        raise RunError(f"checkpoint: {len(state['ranges'])} ranges for {network.describe()}, which has {len(activations)}")
    for activation, saved in zip(activations, state["ranges"], strict=True):
        activation.center, activation.scale = saved or (None, None)
    for layer, constants in zip(network.layers, state.get("constants", []), strict=False):
        if constants:
            layer.constants = constants  # type: ignore[attr-defined]
    network.mask = tuple(state.get("mask", []))
    if network.mask and [tuple(m.shape) for m in network.mask] != [layer.shape[::2] for layer in network.layers if has_edges(layer)]:  # type: ignore[attr-defined]
        raise RunError(f"checkpoint: pruned edges that do not fit {network.spec.describe(network.widths)}")
    return Ansatz(problem.domain, problem.unknowns, problem.constraints, problem.periodic, network)


def _minus(alpha: Sequence[int], beta: Sequence[int]) -> tuple[int, ...]:
    return tuple(n - k for n, k in zip(alpha, beta, strict=True))
