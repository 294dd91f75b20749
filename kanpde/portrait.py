"""A network as arrays: what its pictures need, and nothing that computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.networks import Ansatz, Trial
from kanpde.networks.importance import scores
from kanpde.networks.network import Network, has_edges

Array = NDArray[np.float64]

BINS = 40


@dataclass(frozen=True)
class Drawing:
    """What a picture of a network needs: widths [layers + 1], names of inputs and outputs, and the edge functions.

    edges: one pair a KAN layer, inputs [inputs, samples] and outputs [inputs, outputs, samples]; none for an MLP. Of each of these
    layers, where they are known: importance [inputs, outputs], shares of the outputs, nan for edges that were pruned; density
    [inputs, bins], how many activations lie in equal parts of [-1, 1], 1 on average. products: of each level of units, how many,
    the last ones, are products of two sums each. formulas: of symbolic edges, by layer, input and output.
    """

    title: str
    widths: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    edges: tuple[tuple[Array, Array], ...] = ()
    importance: tuple[Array, ...] = ()
    density: tuple[Array, ...] = ()
    products: tuple[int, ...] = ()
    formulas: Mapping[tuple[int, int, int], str] = field(default_factory=dict)


def portrait(trial: Trial, unknowns: Sequence[str], points: Tensor) -> Drawing:
    """The network of a solution as it is on points [points, dims]; of spans of time, the last one's."""
    network: Network = trial.network
    edges = tuple((np.asarray(e.inputs, float), np.asarray(e.outputs, float)) for e in network.edges())
    drawing = Drawing(trial.describe(), tuple(network.widths), tuple(trial.input_names), tuple(unknowns), edges)
    last: Ansatz = getattr(trial, "spans", [trial])[-1]
    layers = [k for k, layer in enumerate(network.layers) if has_edges(layer)]
    if not edges or len(layers) != len(edges):
        return drawing
    frame = last.frame(points, [(u, (0,) * points.shape[1]) for u in last.unknowns])
    jets = network.levels(frame.X[:, :1], ())
    masks = network.mask or [torch.ones(s.shape[0], s.shape[1], dtype=torch.bool) for s in (e[1] for e in edges)]
    shares = [torch.where(there.cpu(), share, torch.nan).numpy() for share, there in zip(scores(network, jets), masks, strict=True)]
    density = [np.stack([_density(column) for column in jets[k][:, 0].detach().double().cpu().numpy().T]) for k in layers]
    products = tuple(0 if level in (0, len(network.widths) - 1) else int(getattr(network.spec, "products", 0)) for level in range(len(network.widths)))
    return Drawing(drawing.title, drawing.widths, drawing.inputs, drawing.outputs, edges, tuple(shares), tuple(density), products)


def _density(values: Array) -> Array:
    counts, _ = np.histogram(values, BINS, (-1.0, 1.0))
    return counts * (BINS / max(len(values), 1))
