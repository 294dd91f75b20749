"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, arXiv 2409.11321),
full batch.

The optimiser is that of the package pytorch-optimizer. Wang et al. 2025, "Gradient alignment in
physics-informed neural networks" (arXiv 2502.00604), found it the best of the first-order methods
there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from kanpde.errors import RecipeError
from kanpde.networks.kan import SplineLayer
from kanpde.networks.mlp import LinearLayer
from kanpde.networks.network import Network
from kanpde.training.objective import Objective
from kanpde.training.optimiser import State, Stepper


@dataclass
class Preconditioned(State):
    """What SOAP carries from step to step.

    Attributes:
        theta: Where the library's optimiser is [parameters], which it changes in place.
        gradient: The gradient there [parameters], which the next step still has to take in.
        memory: What the library carries from step to step, where it was read from a file.
        soap: The library's optimiser; None where it is not made yet.
    """

    theta: Tensor
    gradient: Tensor | None = None
    memory: dict[str, Any] | None = None
    soap: Optimizer | None = field(default=None, repr=False)

    def plain(self) -> dict[str, Any]:
        return {
            **super().plain(),
            "theta": self.theta.clone(),
            "memory": self.soap and self.soap.state_dict(),
            "soap": None,
        }


@dataclass(frozen=True)
class Soap(Stepper[Preconditioned]):
    """SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, arXiv
    2409.11321).

    It is full batch, and a step's loss is that before it. It needs the package pytorch-optimizer:
    where that is not installed, it raises RecipeError when it begins.

    Attributes:
        steps: Steps, at most.
        rate: Initial learning rate, which decays to a hundredth of it along a cosine.
        frequency: Steps between two looks for the eigenbasis.
    """

    steps: int = 1000
    rate: float = 1e-2
    frequency: int = 10
    name = "soap"
    carries = Preconditioned

    def begin(self, objective: Objective) -> Preconditioned:
        _library()
        return Preconditioned(math.inf, 0, objective.network.theta.clone())

    def advance(self, objective: Objective, state: Preconditioned) -> str | None:
        network, good = objective.network, objective.network.theta
        if state.gradient is not None:
            self._take(network, state, state.gradient)
        network.theta = (
            state.theta.clone()
        )  # theta is written in place, and others keep what they see
        state.loss, gradient = objective.gradient()
        if not math.isfinite(state.loss):
            network.theta = good
            return f"loss became {state.loss}: went back by one step"
        if state.taken == self.steps:
            return "all steps done"
        if state.gradient is None:
            self._take(network, state, gradient)  # the library's first call only sets up the basis
        state.gradient, state.taken = gradient, state.taken + 1
        return None

    def _take(self, network: Network, state: Preconditioned, gradient: Tensor) -> None:
        """A step of the library's along the gradient."""
        parameters = shaped(network, state.theta)
        if state.soap is None:
            state.soap = _library()(
                parameters,
                lr=self.rate,
                betas=(0.95, 0.95),
                weight_decay=0.0,
                precondition_frequency=self.frequency,
                eps=1e-12,
            )
            if state.memory is not None:
                state.soap.load_state_dict(state.memory)
        for group in state.soap.param_groups:
            group["lr"] = self.rate * (
                0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * state.taken / self.steps))
            )
        for parameter, part in zip(
            [p for group in state.soap.param_groups for p in group["params"]],
            shaped(network, gradient),
            strict=True,
        ):
            parameter.grad = part
        state.soap.step()


def shaped(network: Network, vector: Tensor) -> list[Tensor]:
    """Views of a vector as the layers' own tensors.

    Args:
        network: The network whose layers give the shapes.
        vector: One number for each of its parameters [parameters].

    Returns:
        For each layer with parameters, [inputs, functions, outputs] of splines, [inputs + 1,
        outputs] of linear layers, the bias last, and [parameters of the layer] of others.
    """
    views, begin = [], 0
    for layer in network.layers:
        if layer.size:
            shape = (
                layer.shape
                if isinstance(layer, SplineLayer)
                else (
                    (layer.inputs + 1, layer.outputs)
                    if isinstance(layer, LinearLayer)
                    else (layer.size,)
                )
            )
            views.append(vector[begin : begin + layer.size].view(shape))
        begin += layer.size
    return views


def _library() -> Callable[..., Optimizer]:
    try:
        from pytorch_optimizer import SOAP
    except ImportError:
        raise RecipeError(
            "schedule: soap needs the package pytorch-optimizer; pip install 'kanpde[soap]'"
        ) from None
    return SOAP
