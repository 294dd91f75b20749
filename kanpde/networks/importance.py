"""How much the edges of a network matter: what their functions vary over points, and what the
solution loses without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.networks.basis import BasisLayer
from kanpde.networks.network import Network
from kanpde.networks.surgery import Edge, masks


def spreads(network: Network, jets: Sequence[Tensor]) -> list[Float[Tensor, "_inputs _outputs"]]:
    """Standard deviation of every edge function over the points of a forward pass.

    Args:
        network: Whose edges are measured.
        jets: What `Network.levels` gave for the points.

    Returns:
        The deviations, layer by layer, [inputs, outputs] each.
    """
    return [
        layer.functions(theta, X).std(2, unbiased=False)
        for layer, theta, X in _edge_layers(network, jets)
    ]


def scores(network: Network, jets: Sequence[Tensor]) -> list[Float[Tensor, "_inputs _outputs"]]:
    """The share of every edge in the outputs.

    An output's share is 1 and is handed back to the edges that come into it, and by these to the
    units in front, in proportion to their spreads (Liu et al. 2024b, "KAN 2.0", section 4.1, with
    the sum of an edge's siblings for the spread of their node).

    Args:
        network: Whose edges are measured.
        jets: What `Network.levels` gave for the points.

    Returns:
        The shares, layer by layer, [inputs, outputs] each.
    """
    found: list[Tensor] = []
    units: Tensor | None = None
    for spread in reversed(spreads(network, jets)):
        if units is None:
            units = torch.ones(spread.shape[1], dtype=spread.dtype)
        if products := spread.shape[1] - len(
            units
        ):  # both factors of a product count as much as the product
            units = torch.cat([units[:-products], units[-products:].repeat_interleave(2)])
        share = spread / spread.sum(0).clamp_min(torch.finfo(spread.dtype).tiny) * units
        found.append(share)
        units = share.sum(1)
    return found[::-1]


def losses(
    network: Network, jets: Sequence[Tensor], change: Callable[[Tensor], float]
) -> dict[Edge, float]:
    """What the solution loses, edge by edge, when the edge alone becomes a constant.

    The constant is the mean of the edge over the points. It takes one partial forward pass an edge,
    which no retraining follows.

    Args:
        network: Whose edges are measured.
        jets: What `Network.levels` gave for the points.
        change: The size of a change of the outputs [points, outputs].

    Returns:
        The loss by edge, of those that are there.
    """
    found = {}
    Y = jets[-1][:, 0].detach().double().cpu()
    theta = [part.detach().double().cpu() for part in network.parts()]
    places = [k for k, layer in enumerate(network.layers) if isinstance(layer, BasisLayer)]
    for level, ((layer, part, X), place, there) in enumerate(
        zip(_edge_layers(network, jets), places, masks(network), strict=True)
    ):
        values = layer.functions(part, X)
        values = values - values.mean(2, keepdim=True)
        after = jets[place + 1][:, :1].detach().double().cpu()
        for p, q in there.nonzero().tolist():
            Z = after.clone()
            Z[:, 0, q] -= values[p, q]
            for inner, own in zip(network.layers[place + 1 :], theta[place + 1 :], strict=True):
                Z = inner.forward(own, Z, ())
            found[Edge(level, p, q)] = change(Z[:, 0] - Y)
    return found


def _edge_layers(
    network: Network, jets: Sequence[Tensor]
) -> Iterator[tuple[BasisLayer, Tensor, Tensor]]:
    """The layers with edge functions, their parameters, and their inputs [points, inputs] on the
    CPU."""
    for layer, theta, X in zip(network.layers, network.parts(), jets, strict=False):
        if isinstance(layer, BasisLayer):
            yield layer, theta.detach().double().cpu(), X[:, 0].detach().double().cpu()
