"""A network is a sequence of layers on jets and one flat vector of parameters.

Every layer knows three things: its output jet, the adjoint of its input together with its gradient,
and the adjoint of its input together with one Jacobian row a point. The network only chains them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol, TypeGuard

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.kernels.network import affine_rows
from kanpde.networks.activation import Activation
from kanpde.networks.rows import Rows

Counts = Sequence[int]


class Layer(Protocol):
    """One layer; `theta` is its own part of the parameters, jets are [points, channels, units].

    Attributes:
        size: Number of its parameters.
    """

    size: int

    def forward(self, theta: Tensor, X: Tensor, counts: Counts) -> Tensor:
        """The output jet.

        Args:
            theta: The parameters of the layer, [size].
            X: The input jet, [points, channels, inputs].
            counts: How many directions of the jet carry order 1, 2, …

        Returns:
            The output jet, [points, channels, outputs].
        """

    def adjoint(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Counts, back: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Adjoint of X from the adjoint L of the output, and the gradient.

        Args:
            theta: The parameters of the layer, [size].
            L: The adjoint of the output jet, [points, channels, outputs].
            X: The input jet, [points, channels, inputs].
            counts: How many directions of the jet carry order 1, 2, …
            back: Whether the adjoint of X is needed; where it is not, it may be anything.

        Returns:
            The adjoint of X, and the gradient [size].
        """

    def jacobian(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Counts, back: bool = True
    ) -> tuple[Tensor, Rows]:
        """Adjoint of X, and one row of the Jacobian a point.

        Args:
            theta: The parameters of the layer, [size].
            L: The adjoint of the output jet, [points, channels, outputs].
            X: The input jet, [points, channels, inputs].
            counts: How many directions of the jet carry order 1, 2, …
            back: Whether the adjoint of X is needed; where it is not, it may be anything.

        Returns:
            The adjoint of X, and the rows [points, size].
        """


class EdgeLayer(Layer, Protocol):
    """A layer with a function on every edge.

    Attributes:
        shape: Of its coefficients, [inputs, functions, outputs].
    """

    shape: tuple[int, int, int]

    def edges(self, theta: Tensor, samples: int) -> Edges:
        """The edge functions, sampled.

        Args:
            theta: The parameters of the layer, [size].
            samples: How many points an edge.
        """


@dataclass(frozen=True)
class Edges:
    """The edge functions of one KAN layer, sampled.

    Attributes:
        inputs: Where, [inputs, samples].
        outputs: Their values, [inputs, outputs, samples].
    """

    inputs: np.ndarray
    outputs: np.ndarray


class BuiltFrom(Protocol):
    """What a network says that it was built from."""

    @property
    def kind(self) -> str:
        """Its name in files."""

    def describe(self, widths: Sequence[int]) -> str:
        """The network in a few words.

        Args:
            widths: The units at each level.
        """

    def edges(self, network: Network, samples: int) -> list[Edges]:
        """Edge functions layer by layer; none where it has none.

        Args:
            network: A network that was built from this.
            samples: How many points an edge.
        """


@dataclass
class Network:
    """Layers and their parameters.

    Attributes:
        spec: What it was built from.
        widths: The units at each level.
        layers: From the input to the output.
        theta: The parameters of all layers, one after the other, [parameters].
        refit: The largest error of a function that was refitted when this network was made of
            another one, over the largest value.
        mask: Of every layer with edge functions, [inputs, outputs], False for edges that were
            pruned; none where all are there. The coefficients of absent edges stay in theta, are
            zero, and have no gradient, so that no optimiser moves them.
    """

    spec: BuiltFrom
    widths: tuple[int, ...]
    layers: list[Layer]
    theta: Float[Tensor, " parameters"]
    refit: float = 0.0
    mask: tuple[Tensor, ...] = ()

    @property
    def parameters(self) -> int:
        """Number of parameters that are trained: those of absent edges do not count."""
        return int(self._kept().sum()) if self.mask else self.theta.numel()

    def describe(self) -> str:
        """Such as "KAN 2-5-1, degree 7, grid 24", and "9 of 15 edges" where some were pruned."""
        if not self.mask:
            return self.spec.describe(self.widths)
        return (
            f"{self.spec.describe(self.widths)}, {sum(int(m.sum()) for m in self.mask)} of"
            f" {sum(m.numel() for m in self.mask)} edges"
        )

    def edges(self, samples: int = 100) -> list[Edges]:
        """Edge functions layer by layer; empty for networks that have none.

        Args:
            samples: How many points an edge.
        """
        return self.spec.edges(self, samples)

    def to(self, device: str, dtype: torch.dtype) -> Network:
        """The same network elsewhere or in another precision.

        Args:
            device: Where: "cpu" or "cuda".
            dtype: The precision.
        """
        return replace(
            self,
            theta=self.theta.to(device=device, dtype=dtype),
            mask=tuple(m.to(device) for m in self.mask),
        )

    def parts(self) -> list[Tensor]:
        """Each layer's own part of theta, in their order."""
        return list(torch.split(self.theta, [layer.size for layer in self.layers]))

    def forward(self, X: Float[Tensor, "points channels inputs"], counts: Counts) -> list[Tensor]:
        """The output jet, after those jets that `gradient` and `jacobian` need besides.

        Args:
            X: The input jet, [points, channels, inputs].
            counts: How many directions of the jet carry order 1, 2, …

        Returns:
            The jets, the output jet [points, channels, outputs] last.
        """
        return self.levels(X, counts)

    def levels(self, X: Float[Tensor, "points channels inputs"], counts: Counts) -> list[Tensor]:
        """The jets at every level: the input, each layer's output; the last one is the network's.

        Args:
            X: The input jet, [points, channels, inputs].
            counts: How many directions of the jet carry order 1, 2, …
        """
        jets = [X]
        for layer, theta in zip(self.layers, self.parts(), strict=True):
            jets.append(layer.forward(theta, jets[-1], counts))
        return jets

    def gradient(
        self, jets: Sequence[Tensor], L: Float[Tensor, "points channels outputs"], counts: Counts
    ) -> Float[Tensor, " parameters"]:
        """Gradient of Σ L·Y over all points, with Y the output jet.

        Args:
            jets: What `forward` gave.
            L: The adjoint of the output jet, [points, channels, outputs].
            counts: How many directions of the jets carry order 1, 2, …
        """
        found: list[Tensor] = []
        for layer, theta, X in zip(
            reversed(self.layers), reversed(self.parts()), reversed(jets[:-1]), strict=True
        ):
            L, part = layer.adjoint(theta, L, X, counts, back=X is not jets[0])
            found.append(part)
        return self.masked(torch.cat(found[::-1]))

    def squares(
        self, X: Tensor, W: Tensor, b: Tensor, counts: Counts
    ) -> tuple[Float[Tensor, "equations points"], Float[Tensor, " parameters"]]:
        """Rows r = b + Σ W·Y, with Y the output jet, and the gradient of Σ r².

        Args:
            X: The input jet, [points, channels, inputs].
            W: What the rows take of the output jet, [equations, points, channels, outputs].
            b: What they have besides, [equations, points].
            counts: How many directions of the jets carry order 1, 2, …

        Returns:
            The rows [equations, points], and the gradient [parameters].
        """
        jets = self.forward(X, counts)
        r = b + torch.einsum("encq,ncq->en", W, jets[-1])
        return r, self.gradient(jets, 2 * torch.einsum("en,encq->ncq", r, W), counts)

    def rows(
        self, X: Tensor, W: Tensor, b: Tensor, counts: Counts
    ) -> Float[Tensor, "equations points"]:
        """The same rows alone.

        Args:
            X: The input jet, [points, channels, inputs].
            W: What the rows take of the output jet, [equations, points, channels, outputs].
            b: What they have besides, [equations, points].
            counts: How many directions of the jets carry order 1, 2, …
        """
        return affine_rows(W, b, self.forward(X, counts)[-1])

    def linear(
        self, X: Tensor, W: Tensor, b: Tensor, counts: Counts
    ) -> tuple[Float[Tensor, "equations points"], list[Rows]]:
        """The same rows and their derivatives by the parameters.

        Args:
            X: The input jet, [points, channels, inputs].
            W: What the rows take of the output jet, [equations, points, channels, outputs].
            b: What they have besides, [equations, points].
            counts: How many directions of the jets carry order 1, 2, …

        Returns:
            The rows [equations, points], and for each equation their derivatives, one row a point.
        """
        jets = self.forward(X, counts)
        return affine_rows(W, b, jets[-1]), [self.jacobian(jets, own, counts) for own in W]

    def jacobian(
        self, jets: Sequence[Tensor], L: Float[Tensor, "points channels outputs"], counts: Counts
    ) -> Rows:
        """The gradient of each point's own Σ L·Y, one row a point.

        Args:
            jets: What `forward` gave.
            L: The adjoint of the output jet, [points, channels, outputs].
            counts: How many directions of the jets carry order 1, 2, …
        """
        found: list[Rows] = []
        for layer, theta, X in zip(
            reversed(self.layers), reversed(self.parts()), reversed(jets[:-1]), strict=True
        ):
            L, rows = layer.jacobian(theta, L, X, counts, back=X is not jets[0])
            found.append(rows)
        return self.masked_rows(Rows.beside(found[::-1]))

    def adjoints(
        self, inputs: Sequence[Tensor], L: Float[Tensor, "points channels outputs"], counts: Counts
    ) -> list[Tensor]:
        """The adjoint of every layer's output from that of the last one.

        Args:
            inputs: The input jet of every layer.
            L: The adjoint of the output jet, [points, channels, outputs].
            counts: How many directions of the jets carry order 1, 2, …
        """
        chain = [L]
        for layer, theta, X in zip(
            reversed(self.layers[1:]), reversed(self.parts()[1:]), reversed(inputs[1:]), strict=True
        ):
            chain.append(layer.adjoint(theta, chain[-1], X, counts)[0])
        return chain[::-1]

    def networks(self) -> list[Network]:
        """The networks that this one is joined of: itself alone (see joint.py)."""
        return [self]

    def changed(
        self, change: Callable[[Network, list[Tensor]], Network], jets: Sequence[Tensor]
    ) -> Network:
        """What a change makes of it, part by part.

        Args:
            change: Makes another network of one, given its jets.
            jets: What `levels` gave.
        """
        return change(self, list(jets))

    def masked(self, gradient: Float[Tensor, " parameters"]) -> Float[Tensor, " parameters"]:
        """A gradient without its entries for absent edges.

        Args:
            gradient: By all parameters, [parameters].
        """
        return gradient * self._kept() if self.mask else gradient

    def masked_rows(self, rows: Rows) -> Rows:
        """Rows without their entries for absent edges.

        All functions of an edge are there or none, so an entry of a run belongs to the same edge in
        every row, wherever the run starts.

        Args:
            rows: Of a Jacobian by all parameters.
        """
        if not self.mask or not len(rows.values):
            return rows
        within = torch.cat([torch.arange(n, device=rows.starts.device) for n in rows.lengths])
        lengths = torch.tensor(rows.lengths, device=rows.starts.device)
        return replace(
            rows,
            values=rows.values * self._kept()[rows.starts[0].repeat_interleave(lengths) + within],
        )

    def _kept(self) -> Tensor:
        """1 for coefficients of edges that are there and for all other parameters, 0 for the rest,
        [parameters]."""
        masks = iter(self.mask)
        shapes = [layer.shape if has_edges(layer) else () for layer in self.layers]
        found = [
            (
                next(masks)[:, None].expand(s).reshape(-1)
                if s
                else self.theta.new_ones(layer.size, dtype=torch.bool)
            )
            for s, layer in zip(shapes, self.layers, strict=True)
        ]
        return torch.cat(found).to(self.theta.dtype)


def has_edges(layer: Layer) -> TypeGuard[EdgeLayer]:
    """Whether a layer has a function on every edge.

    Its coefficients are then [inputs, functions, outputs].

    Args:
        layer: The layer.
    """
    return hasattr(layer, "edges")


def chained(
    spec: BuiltFrom,
    widths: tuple[int, ...],
    trained: Callable[[int, int], tuple[Layer, Tensor]],
    activation: str,
    kind: type[Network] = Network,
) -> Network:
    """A network of layers with parameters and an activation between each two.

    Args:
        spec: What it is built from.
        widths: The units at each level.
        trained: Makes a layer with parameters of so many inputs and outputs, with its first
            parameters; called in order, from the input on.
        activation: Name of the activation.
        kind: The class of the network.
    """
    layers: list[Layer] = []
    theta: list[Tensor] = []
    for inputs, outputs in pairwise(widths):
        if layers:
            layers.append(Activation(activation))
        layer, part = trained(inputs, outputs)
        layers.append(layer)
        theta.append(part)
    return kind(spec, widths, layers, torch.cat(theta))


def checked_width(width: int | Sequence[int]) -> tuple[int, ...]:
    """Hidden widths as a tuple.

    Args:
        width: Hidden units by layer, a number or several.

    Raises:
        RecipeError: Not all of them are positive.
    """
    widths = (width,) if isinstance(width, int) else tuple(width)
    if any(not isinstance(w, int) or w < 1 for w in widths):
        raise RecipeError(
            f"width: got {width!r}; expected positive numbers, such as (5,) or (8, 8)"
        )
    return widths
