"""Networks of edge functions made wider, deeper and smaller.

Wider and deeper networks are the same function: new units have outgoing edges that are zero, a new
level is the identity. Smaller ones lose what their edges had beyond a constant: the mean of a
dropped edge is carried on by another edge.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanpde.errors import RecipeError, RunError
from kanpde.kernels import uniform_knots
from kanpde.networks.activation import Activation
from kanpde.networks.basis import HIGH, LOW, Basis, BasisLayer
from kanpde.networks.kan import Splines
from kanpde.networks.network import Layer, Network
from kanpde.networks.refine import covering
from kanpde.networks.spec import spec_of

EXACT_IDENTITY = 1e-13
"""Error up to which a new level counts as the identity; a narrower range is not tried then."""


class Edge(NamedTuple):
    """An edge of a network.

    Attributes:
        layer: The layer with edge functions that it belongs to, counted from the input.
        source: Its input unit.
        target: Its output unit.
    """

    layer: int
    source: int
    target: int


def chain(network: Network, what: str) -> list[BasisLayer]:
    """The layers with edge functions.

    Args:
        network: The network.
        what: What is to be done to it, for the message.

    Raises:
        RecipeError: The network has something else than those, and an activation between each two.
    """
    layers, between = network.layers[::2], network.layers[1::2]
    if not all(isinstance(layer, BasisLayer) for layer in layers) or not all(
        isinstance(layer, Activation) for layer in between
    ):
        raise RecipeError(
            f"{what}: got {network.describe()}; expected a network that is nothing but edge"
            " functions and sums, such as kan"
        )
    return [layer for layer in layers if isinstance(layer, BasisLayer)]


def masks(network: Network) -> list[Bool[Tensor, "_inputs _outputs"]]:
    """Which edges are there, layer by layer, on the CPU.

    Args:
        network: The network.

    Returns:
        True for edges that are there, [inputs, outputs] each.
    """
    shapes = [layer.shape for layer in network.layers if isinstance(layer, BasisLayer)]
    return (
        [m.cpu().clone() for m in network.mask]
        if network.mask
        else [torch.ones(p, q, dtype=torch.bool) for p, _, q in shapes]
    )


def edges_of(network: Network) -> list[Edge]:
    """All edges that are there.

    Args:
        network: The network.
    """
    return [
        Edge(layer, int(p), int(q))
        for layer, mask in enumerate(masks(network))
        for p, q in mask.nonzero()
    ]


def coefficients(network: Network) -> list[Float[Tensor, "_inputs _functions _outputs"]]:
    """The coefficients of every layer with edge functions, a copy, float64 on the CPU.

    Args:
        network: The network.

    Returns:
        The coefficients, [inputs, functions, outputs] each.
    """
    return [
        part.detach().double().cpu().view(layer.shape).clone()
        for layer, part in zip(network.layers, network.parts(), strict=True)
        if isinstance(layer, BasisLayer)
    ]


def widened(
    network: Network, width: int, jets: Sequence[Tensor], generator: torch.Generator
) -> Network:
    """The same function with so many units on every hidden level that has fewer.

    What comes into a new unit is random, what goes out of it is zero until it is trained.

    Args:
        network: The network.
        width: How many units a hidden level has afterwards, at least.
        jets: Of a pass over points, for the ranges of new units.
        generator: What the new coefficients are drawn from.

    Raises:
        RecipeError: No level is narrower, or the network has more than edge functions and sums.
    """
    layers, C = chain(network, f"widen:{width}"), coefficients(network)
    spec = spec_of(network)
    hidden = [max(w, width) for w in network.widths[1:-1]]
    if hidden == list(network.widths[1:-1]):
        raise RecipeError(
            f"widen:{width}: the hidden levels of {network.describe()} have as many units already;"
            " expected more"
        )
    widths, mask = (network.widths[0], *hidden, network.widths[-1]), masks(network)
    found: list[Layer] = []
    theta, X = [], jets[0].detach().double().cpu()
    for level, (layer, c, there) in enumerate(zip(layers, C, mask, strict=True)):
        p, q = widths[level], widths[level + 1]
        drawn = spec.trained(p, q, generator)[1].view(p, layer.shape[1], q)
        old_p, _, old_q = layer.shape
        drawn[:old_p, :, :old_q] = c
        drawn[old_p:, :, :old_q] = 0  # whatever a new unit does, those after it do not see it yet
        mask[level] = torch.ones(p, q, dtype=torch.bool)
        mask[level][:old_p, :old_q] = there
        found.append(new := type(layer)(p, q, _taken(layer, p)))
        theta.append(drawn.reshape(-1))
        X = new.forward(theta[-1], X[:, :1], ())
        if level < len(layers) - 1:
            before = network.layers[2 * level + 1]
            assert isinstance(before, Activation)
            center, scale = (
                torch.cat([own, more[old_q:]])
                for own, more in zip(
                    before.affine(X, old_q), covering(torch.tanh(X[:, 0])), strict=True
                )
            )
            found.append(Activation(before.name, center, scale))
            X = found[-1].forward(X, X, ())
    return _rebuilt(network, widths, found, torch.cat(theta), mask)


def deepened(network: Network, levels: int = 1) -> Network:
    """The same function with more levels in front of the last layer.

    Each is as wide as the level before. A unit q of a new level is fed by its predecessor alone,
    through f(z) = atanh(s z), whose tanh over s is z again. The range s is the widest for which the
    basis holds f to EXACT_IDENTITY of s, or the one for which it holds it best.

    Args:
        network: The network.
        levels: How many levels more.

    Returns:
        The deeper network. Its `refit` is the error of the new levels: 1e-13 with splines.

    Raises:
        RecipeError: The network has more than edge functions and sums.
    """
    layers, C, mask = chain(network, f"deepen:{levels}"), coefficients(network), masks(network)
    width, last = layers[-1].shape[0], layers[-1]
    basis = last.basis
    if getattr(basis, "own", None) is not None:
        basis = Splines(basis.grid, basis.degree)  # type: ignore[attr-defined]
    new, unit = type(last)(width, width, basis), torch.eye(width, dtype=torch.float64)
    s, one, error = _identity(basis)
    identity = one[:, :, None] * unit[:, None, :]
    activation = Activation(
        "tanh",
        torch.zeros(width, dtype=torch.float64),
        torch.full((width,), s, dtype=torch.float64),
    )
    inner = [part for _ in range(levels) for part in (new, activation)]
    theta = torch.cat([c.reshape(-1) for c in (*C[:-1], *[identity] * levels, C[-1])])
    widths = (*network.widths[:-1], *[width] * levels, network.widths[-1])
    mask = [*mask[:-1], *[torch.ones(width, width, dtype=torch.bool)] * levels, mask[-1]]
    found = _rebuilt(network, widths, [*network.layers[:-1], *inner, last], theta, mask)
    return replace(found, refit=error)


def dropped(network: Network, edges: Collection[Edge], jets: Sequence[Tensor]) -> Network:
    """The network without some edges.

    The units that nothing reaches any more, or that reach nothing, go as well. A constant takes the
    place of an edge, its mean over the points, which another edge to the same unit carries. An edge
    function that is the last of an output stays as a constant.

    Args:
        network: The network.
        edges: What is dropped; those that are not there do not count.
        jets: What `Network.levels` gave for the points.

    Raises:
        RunError: Nothing but constants would be left.
    """
    mask, C = masks(network), coefficients(network)
    layers = [layer for layer in network.layers if isinstance(layer, BasisLayer)]
    places = [k for k, layer in enumerate(network.layers) if isinstance(layer, BasisLayer)]
    X = [jets[0][:, :1].detach().double().cpu()]
    plain, going = _is_chain(network), {e for e in edges if mask[e.layer][e.source, e.target]}
    constants: set[int] = set()
    for level, (layer, place) in enumerate(zip(layers, places, strict=True)):
        there = mask[level]
        if plain:
            going |= {
                Edge(level, p, q) for p in constants for q in range(layer.shape[2]) if there[p, q]
            }
        z = X[-1][:, 0]
        means = layer.functions(C[level].reshape(-1), z).mean(2)
        one = _one(layer.basis)
        last, constants = level == len(layers) - 1, set()
        for q in {e.target for e in going if e.layer == level}:
            sources = [e.source for e in going if e.layer == level and e.target == q]
            there[sources, q] = False
            total = float(means[sources, q].sum())
            C[level][sources, :, q] = 0
            carrier = int(there[:, q].nonzero()[0]) if there[:, q].any() else sources[0]
            if not there[:, q].any():
                constants.add(q)
                there[carrier, q] = last or not plain
            C[level][carrier, :, q] += total * one
        if not last:
            Y = X[-1]
            for inner, part in zip(
                network.layers[place : places[level + 1]],
                [C[level].reshape(-1)] + [Y] * 9,
                strict=False,
            ):
                Y = inner.forward(part, Y, ())
            X.append(Y)
    if len(constants) == network.widths[-1]:
        raise RunError(
            f"prune: nothing but a constant would be left of {network.describe()}; expected a"
            " smaller loss"
        )
    if plain:
        return _without_idle_units(network, layers, C, mask)
    return _rebuilt(
        network, network.widths, network.layers, torch.cat([c.reshape(-1) for c in C]), mask
    )


def _is_chain(network: Network) -> bool:
    return all(
        isinstance(layer, Activation if k % 2 else BasisLayer)
        for k, layer in enumerate(network.layers)
    )


def _without_idle_units(
    network: Network, layers: Sequence[BasisLayer], C: list[Tensor], mask: list[Tensor]
) -> Network:
    """Hidden units without an edge in or out are gone, and with them the edges that only they
    had."""
    changed = True
    while changed:
        changed = False
        for level in range(len(layers) - 1):
            idle = ~(mask[level].any(0) & mask[level + 1].any(1))
            changed |= bool(mask[level][:, idle].any() or mask[level + 1][idle].any())
            mask[level][:, idle] = False
            mask[level + 1][idle] = False
    units = [
        torch.arange(network.widths[0]),
        *(mask[k].any(0).nonzero()[:, 0] for k in range(len(layers) - 1)),
        torch.arange(network.widths[-1]),
    ]
    found: list[Layer] = []
    theta = []
    for level, (layer, c) in enumerate(zip(layers, C, strict=True)):
        p, q = units[level], units[level + 1]
        there = mask[level][p][:, q]
        c = c[p][:, :, q] * there[:, None]
        found.append(type(layer)(len(p), len(q), _taken(layer, p)))
        theta.append(c.reshape(-1))
        mask[level] = there
        if level < len(layers) - 1:
            before = network.layers[2 * level + 1]
            assert isinstance(before, Activation)
            if before.center is not None and before.scale is not None:
                before = Activation(before.name, before.center[q], before.scale[q])
            found.append(before)
    return _rebuilt(network, tuple(map(len, units)), found, torch.cat(theta), mask)


def _taken(layer: BasisLayer, inputs: int | Tensor) -> Basis:
    """The basis of a layer for other inputs: knots of their own are taken along, and new inputs
    have equally spaced ones."""
    basis = layer.basis
    if not isinstance(basis, Splines) or basis.own is None:
        return basis
    own, grid, degree = basis.own, basis.grid, basis.degree
    if isinstance(inputs, Tensor):
        return Splines(grid, degree, own[inputs])
    more = inputs - len(own)
    return Splines(
        grid,
        degree,
        (
            torch.cat([own, uniform_knots(more, LOW, HIGH, grid, degree, own.dtype, own.device)])
            if more > 0
            else own
        ),
    )


def _one(basis: Basis) -> Float[Tensor, " functions"]:
    """Coefficients of the constant 1."""
    if isinstance(basis, Splines):
        return torch.ones(basis.size, dtype=torch.float64)
    z = basis.samples()
    return basis.fit(z, torch.ones(1, len(z), 1, dtype=torch.float64))[0][0, :, 0]


def _identity(basis: Basis) -> tuple[float, Tensor, float]:
    """s, the coefficients [1, functions] of atanh(s z), and their largest error over s on [-1,
    1]."""
    z = basis.samples()
    best: tuple[float, Tensor, float] | None = None
    for halvings in range(1, 21):
        s = 0.5**halvings
        wanted = torch.atanh(s * z)
        C, _ = basis.fit(z, wanted[None])
        error = float((torch.tanh(basis.at(z) @ C) / s - z).abs().max())
        if best is None or error < best[2]:
            best = s, C[:, :, 0], error
        if error <= EXACT_IDENTITY:
            break
    assert best is not None
    return best


def _rebuilt(
    network: Network,
    widths: tuple[int, ...],
    layers: list[Layer],
    theta: Tensor,
    mask: Sequence[Tensor],
) -> Network:
    """The network with other layers, its mask left out where no edge is missing."""
    device = network.theta.device
    kept = () if all(bool(m.all()) for m in mask) else tuple(m.to(device) for m in mask)
    spec = spec_of(network)
    if widths != network.widths:
        spec = replace(spec, width=tuple(widths[1:-1]))
    return replace(
        network,
        spec=spec,
        widths=tuple(widths),
        layers=layers,
        theta=theta.to(network.theta),
        mask=kept,
        refit=0.0,
    )
