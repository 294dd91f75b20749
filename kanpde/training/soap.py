"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, arXiv 2409.11321), full batch.

The optimiser is that of the package pytorch-optimizer. Wang et al. 2025, "Gradient alignment in physics-informed neural
networks" (arXiv 2502.00604), found it the best of the first-order methods there.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.networks.kan import SplineLayer
from kanpde.networks.mlp import LinearLayer
from kanpde.networks.network import Network
from kanpde.training.objective import Objective


@dataclass(frozen=True)
class Soap:
    """steps; rate: initial learning rate, which decays to a hundredth of it along a cosine; frequency: steps between two
    looks for the eigenbasis. Raises RecipeError when it begins and the package is not installed."""

    steps: int = 1000
    rate: float = 1e-2
    frequency: int = 10
    name = "soap"

    def minimise(self, objective: Objective) -> Generator[float, None, str]:
        """Yields the loss before every step; returns why it stopped."""
        network = objective.network
        theta, good = network.theta.clone(), network.theta
        parameters = shaped(network, theta)
        soap = _library()(parameters, lr=self.rate, betas=(0.95, 0.95), weight_decay=0.0, precondition_frequency=self.frequency, eps=1e-12)
        for step in range(self.steps + 1):
            network.theta = theta.clone()  # theta is written in place, and others keep what they see
            loss, gradient = objective.gradient()
            if not math.isfinite(loss):
                network.theta = good
                return f"loss became {loss}: went back by one step"
            good = network.theta
            if step:  # the library's first call only sets up the basis
                yield loss
            for group in soap.param_groups:
                group["lr"] = self.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / self.steps)))
            for parameter, part in zip(parameters, shaped(network, gradient), strict=True):
                parameter.grad = part
            soap.step()
        network.theta = theta.clone()
        if not math.isfinite(objective.loss()):
            network.theta = good
        return "all steps done"


def shaped(network: Network, vector: Tensor) -> list[Tensor]:
    """Views of a vector [parameters] as the layers' own tensors: [inputs, functions, outputs] of splines, [inputs + 1, outputs]
    of linear layers, the bias last."""
    views, begin = [], 0
    for layer in network.layers:
        if layer.size:
            shape = layer.shape if isinstance(layer, SplineLayer) else (layer.inputs + 1, layer.outputs) if isinstance(layer, LinearLayer) else (layer.size,)
            views.append(vector[begin : begin + layer.size].view(shape))
        begin += layer.size
    return views


def _library() -> Any:
    try:
        from pytorch_optimizer import SOAP
    except ImportError:
        raise RecipeError("schedule: soap needs the package pytorch-optimizer; pip install 'kanpde[soap]'") from None
    return SOAP
