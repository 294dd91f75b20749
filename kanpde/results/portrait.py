"""A network as arrays: what its pictures need, and nothing that computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.geometry import Domain
from kanpde.networks.basis import HIGH, LOW, BasisLayer
from kanpde.networks.canonical import balanced, layer_of
from kanpde.networks.importance import scores
from kanpde.networks.joint import Joint
from kanpde.networks.network import Network
from kanpde.networks.solution import Composition
from kanpde.networks.spans import Spans
from kanpde.networks.sums_of_products import SumsOfProducts
from kanpde.networks.surgery import masks
from kanpde.networks.trial_space import NetworkSolution

Array = NDArray[np.float64]

BINS = 40

EDGE_SAMPLES = 100
"""Of an edge function."""


@dataclass(frozen=True)
class Drawing:
    """What a picture of a network needs.

    Importance and density are of each KAN layer, where they are known.

    Attributes:
        title: What the network is, in words.
        widths: Units of each level, [layers + 1].
        inputs: The names of the inputs.
        outputs: The names of the outputs.
        edges: The edge functions, one pair a KAN layer: inputs [inputs, samples], from the smallest
            activation to the largest, and outputs [inputs, outputs, samples]. None for an MLP.
        importance: Shares of the outputs, [inputs, outputs]; nan for edges that were pruned.
        density: How many activations lie in equal parts of [-1, 1], 1 on average, [inputs, bins].
        products: Of each level of units, how many, the last ones, are products of two sums each.
        ranks: Where the units of the one hidden level multiply their edges, how many of them each
            output adds; none where they add.
        formulas: The formulas of symbolic edges, by layer, input and output.
    """

    title: str
    widths: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    edges: tuple[tuple[Array, Array], ...] = ()
    importance: tuple[Array, ...] = ()
    density: tuple[Array, ...] = ()
    products: tuple[int, ...] = ()
    ranks: tuple[int, ...] = ()
    formulas: Mapping[tuple[int, int, int], str] = field(default_factory=dict)


def portrait(solution: Composition, unknowns: Sequence[str], points: Tensor) -> Drawing:
    """The network of a solution as it is on points.

    Args:
        solution: The solution. Of spans of time, the last one's network is taken; of a joint one,
            its first part.
        unknowns: Names of the outputs.
        points: The points, [points, dims], whose activations are looked at.
    """
    whole: Network = solution.network
    network, inputs = whole.networks()[0], tuple(solution.input_names)
    if isinstance(whole, Joint):
        inputs = tuple(inputs[i] for i in whole.pieces[0].inputs)
    layers = [k for k, layer in enumerate(network.layers) if isinstance(layer, BasisLayer)]
    drawing = Drawing(
        solution.describe(), tuple(network.widths), inputs, tuple(unknowns)[: network.widths[-1]]
    )
    multiplied = layer_of(network)
    if multiplied is not None:
        return _of_products(drawing, multiplied, network.theta, points, solution.domain)
    if not layers:
        return drawing
    last = solution.spans[-1] if isinstance(solution, Spans) else solution
    assert isinstance(last, NetworkSolution)
    frame = last.frame(points, [(u, (0,) * points.shape[1]) for u in last.unknowns])
    jets = whole.levels(frame.X[:, :1], ())
    jets = whole.parts_jets(jets)[0] if isinstance(whole, Joint) else jets
    seen = [jets[k][:, 0].detach().double().cpu() for k in layers]
    parts = network.parts()
    edges = tuple(
        _edges(network.layers[k], parts[k], values) for k, values in zip(layers, seen, strict=True)
    )
    shares = tuple(
        torch.where(there, share, torch.nan).numpy()
        for share, there in zip(scores(network, jets), masks(network), strict=True)
    )
    density = tuple(np.stack([_density(column) for column in values.numpy().T]) for values in seen)
    products = tuple(
        int(getattr(network.spec, "products", 0)) if 0 < level < len(network.widths) - 1 else 0
        for level in range(len(network.widths))
    )
    return replace(drawing, edges=edges, importance=shares, density=density, products=products)


def _of_products(
    drawing: Drawing, layer: SumsOfProducts, theta: Tensor, points: Tensor, domain: Domain
) -> Drawing:
    """The factors of a sum of products, with the share of their term in its output."""
    bounds = points.new_tensor(list(domain.bounds.values()))
    seen = LOW + (HIGH - LOW) * (points - bounds[:, 0]) / (bounds[:, 1] - bounds[:, 0])
    if seen.shape[1] != len(layer.axes):  # inputs besides the coordinates, which look at holes
        seen = torch.rand(len(points), len(layer.axes), dtype=torch.float64) * (HIGH - LOW) + LOW
    c = balanced(layer.axes, layer.coefficients(theta.detach().double().cpu()))
    theta = torch.cat([p.reshape(-1) for p in c])
    shares = layer.shares(theta, seen).expand(len(layer.axes), -1)
    density = np.stack([_density(column) for column in seen.numpy().T])
    return replace(
        drawing,
        edges=(_edges(layer, theta, seen),),
        importance=(shares.numpy(),),
        density=(density,),
        ranks=layer.ranks,
    )


def _edges(layer: Any, theta: Tensor, values: Tensor) -> tuple[Array, Array]:
    """The edge functions of a layer over the range of its inputs [points, inputs]; over [-1, 1] of
    inputs that are all in one place."""
    low, high = values.aminmax(dim=0)
    wide = high - low > 1e-9
    low, high = torch.where(wide, low, LOW), torch.where(wide, high, HIGH)
    x = low + (high - low) * torch.linspace(0, 1, EDGE_SAMPLES, dtype=torch.float64)[:, None]
    return x.T.numpy(), layer.functions(theta, x).numpy()


def _density(values: Array) -> Array:
    counts, _ = np.histogram(values, BINS, (LOW, HIGH))
    return counts * (BINS / max(len(values), 1))
