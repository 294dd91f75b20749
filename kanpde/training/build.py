"""The network that a problem takes: one for all unknowns, or one for each piece of the domain, joined."""

from __future__ import annotations

import torch

from kanpde.geometry import Pieces
from kanpde.networks import Ansatz, Part, Spec, joint
from kanpde.networks.network import Network
from kanpde.problem import Problem


def build(problem: Problem, spec: Spec, generator: torch.Generator) -> Network:
    """A new random network for a problem: where its domain is in pieces, one for each of them."""
    inputs, domain = Ansatz.inputs(problem.domain, problem.periodic), problem.domain
    if not isinstance(domain, Pieces):
        return spec.build(inputs, len(problem.sought), generator)
    own, parts = len(domain.coordinates), []
    for k, piece in enumerate(domain.regions):
        outputs = sum(domain.home(name) == piece for name in problem.sought)
        parts.append(Part(spec.build(own, outputs, generator), tuple(range(k * own, (k + 1) * own))))
    return joint(parts, inputs)
