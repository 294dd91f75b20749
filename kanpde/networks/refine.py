"""The same function with finer layers: every hidden layer's interval moves to where its inputs
are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import RunError
from kanpde.networks.activation import Activation
from kanpde.networks.network import BuiltFrom, Layer, Network

Finer = Callable[[Layer, Float[Tensor, "points units"] | None], Any]
"""The finer basis of a layer, from its inputs where they are known, brought onto [-1, 1]."""


def refined(
    network: Network, spec: BuiltFrom, finer: Finer, jets: Sequence[Tensor] | None
) -> Network:
    """The network with the bases of its layers replaced, and the coefficients refitted.

    Args:
        network: The network.
        spec: What the new one counts as built from.
        finer: Makes the finer basis of a layer.
        jets: Those of a forward pass over the collocation points. Given, the interval of every
            layer that comes after an activation is moved to where its inputs are, with a margin, so
            that no coefficient is left without points.

    Returns:
        The new network. Its `refit` is the largest error of a refitted function, over its layer's
        largest value.

    Raises:
        RunError: The network's values are not finite.
    """
    layers: list[Layer] = []
    theta, worst = [], 0.0
    for level, (layer, part) in enumerate(zip(network.layers, network.parts(), strict=True)):
        before = layers[-1] if layers else None
        if hasattr(layer, "extended"):
            units = layer.shape[0]  # type: ignore[attr-defined]
            center, scale = (
                torch.zeros(units, dtype=torch.float64),
                torch.ones(units, dtype=torch.float64),
            )
            seen = None if jets is None else jets[level][:, 0].detach().double().cpu()
            if isinstance(before, Activation) and seen is not None:
                center, scale = covering(seen)
                layers[-1] = before.rescaled(center, scale)
            layer, part, error = layer.extended(
                part, finer(layer, None if seen is None else (seen - center) / scale), center, scale
            )
            worst = max(worst, error)
        layers.append(layer)
        theta.append(part)
    return replace(network, spec=spec, layers=layers, theta=torch.cat(theta), refit=worst)


def covering(values: Float[Tensor, "points units"], margin: float = 0.05) -> tuple[Tensor, Tensor]:
    """Intervals that cover values and a margin on both sides.

    Where all values are the same, it is a small interval around them.

    Args:
        values: What is covered, unit by unit, [points, units].
        margin: What is added on either side, over half the length of the values' range.

    Returns:
        Center and half-width of the intervals, [units] each.

    Raises:
        RunError: The values are not finite.
    """
    if not bool(values.isfinite().all()):
        raise RunError(
            "extend: hidden values of the network are not finite; expected a network that training"
            " left intact"
        )
    low, high = values.aminmax(dim=0)
    return (low + high) / 2, ((high - low) / 2).clamp_min(1e-3) * (1 + margin)
