"""A network as tensors and plain values, and back: what checkpoints hold. It loads with
weights_only=True."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch

from kanpde.errors import RunError
from kanpde.networks.activation import Activation
from kanpde.networks.constants import Constants
from kanpde.networks.joint import Joint, Part, joint
from kanpde.networks.network import Network, has_edges
from kanpde.networks.registry import SPECS
from kanpde.networks.transform import Onto, Transform


def state(network: Network) -> dict[str, Any]:
    """What `network_of` makes the network of again; of a joint one, part by part.

    Args:
        network: The network.

    Returns:
        Tensors and plain values, by name.
    """
    if isinstance(network, Joint):
        parts = [
            {"network": state(own), "inputs": list(part.inputs), "grows": part.grows}
            for part, own in zip(network.pieces, network.networks(), strict=True)
        ]
        return {"kind": "joint", "inputs": network.widths[0], "parts": parts}
    transforms = next(
        (
            [(t.initial, t.low, t.high) for t in layer.transforms]
            for layer in network.layers
            if isinstance(layer, Onto)
        ),
        [],
    )
    if isinstance(network.spec, Constants):
        return {
            "kind": "constants",
            "transforms": transforms,
            "theta": network.theta.detach().cpu(),
        }
    return {
        "kind": network.spec.kind,
        "spec": {k: list(v) if isinstance(v, tuple) else v for k, v in vars(network.spec).items()},
        "inputs": network.widths[0],
        "outputs": network.widths[-1],
        "theta": network.theta.detach().cpu(),
        "ranges": [
            [] if a.center is None else [a.center, a.scale]
            for a in network.layers
            if isinstance(a, Activation)
        ],
        "constants": [getattr(layer, "constants", []) for layer in network.layers],
        "mask": [m.cpu() for m in network.mask],
        "transforms": transforms,
    }


def network_of(saved: dict[str, Any]) -> Network:
    """The network of a state.

    Args:
        saved: What `state` gave.

    Raises:
        RunError: `state` has not made it.
    """
    try:
        if saved["kind"] == "joint":
            parts = [
                Part(network_of(part["network"]), tuple(part["inputs"]), part["grows"])
                for part in saved["parts"]
            ]
            return joint(parts, saved["inputs"])
        transforms = tuple(Transform(*t) for t in saved.get("transforms", ()))
        if saved["kind"] == Constants.kind:
            network = Constants(transforms).build()
        else:
            spec = SPECS[saved["kind"]](
                **{k: tuple(v) if isinstance(v, list) else v for k, v in saved["spec"].items()}
            )
            widths = (saved["inputs"], *spec.width, saved["outputs"])
            if (
                max(
                    sum(p * q for p, q in pairwise(widths)),
                    getattr(spec, spec.resolution) if spec.resolution else 0,
                )
                > saved["theta"].numel()
            ):
                raise RunError(
                    f"checkpoint: {saved['theta'].numel()} parameters for {spec.describe(widths)},"
                    " which has more"
                )  # and might fill the memory
            network = spec.build(saved["inputs"], saved["outputs"], torch.Generator())
        theta, ranges = saved["theta"], saved["ranges"] if saved["kind"] != Constants.kind else []
    except (KeyError, TypeError) as error:
        raise RunError(
            f"checkpoint: {error} does not describe a network of this version"
        ) from error
    if theta.shape != network.theta.shape:
        raise RunError(
            f"checkpoint: {theta.numel()} parameters for {network.describe()}, which has"
            f" {network.parameters}"
        )
    network.theta = theta
    if saved["kind"] == Constants.kind:
        return network
    if transforms:
        network = onto(network, transforms)
    return _with_fixed(network, saved, ranges)


def onto(network: Network, transforms: tuple[Transform, ...]) -> Network:
    """A network whose outputs are brought onto the values that they may have.

    Args:
        network: The network.
        transforms: One an output.
    """
    return Network(
        network.spec,
        network.widths,
        [*network.layers, Onto(transforms)],
        network.theta,
        network.refit,
        network.mask,
    )


def _with_fixed(network: Network, saved: dict[str, Any], ranges: list[Any]) -> Network:
    """What is not trained: ranges of activations, knots and frequencies, and the edges that are
    there. Raises RunError."""
    activations = [layer for layer in network.layers if isinstance(layer, Activation)]
    if len(activations) != len(ranges):
        raise RunError(
            f"checkpoint: {len(ranges)} ranges for {network.describe()}, which has"
            f" {len(activations)}"
        )
    for activation, known in zip(activations, ranges, strict=True):
        activation.center, activation.scale = known or (None, None)
    for layer, constants in zip(network.layers, saved.get("constants", []), strict=False):
        if constants:
            layer.constants = constants  # type: ignore[attr-defined]
    network.mask = tuple(saved.get("mask", []))
    edges = [layer for layer in network.layers if has_edges(layer)]
    masked = [tuple(m.shape) for m in network.mask]
    if network.mask and masked != [layer.shape[::2] for layer in edges]:
        raise RunError(
            f"checkpoint: pruned edges that do not fit {network.spec.describe(network.widths)}"
        )
    return network
