"""Sums of products of functions of one coordinate: y_q = Σ_j Π_i φ_ij(x_i), j over the terms of
q."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.kernels import spline_jet, spline_jet_adjoint, spline_jet_jacobian
from kanpde.kernels.taylor import correlate, product
from kanpde.networks.axis_splines import AxisSplines
from kanpde.networks.network import Counts
from kanpde.networks.rows import Rows


class SumsOfProducts:
    """One level of nodes that multiply an edge of every coordinate, and the outputs that add them.

    theta holds the coefficients of each coordinate in turn, [functions, terms], with the terms of
    the first output first. It is the first layer of a network: nobody asks for the adjoint of its
    inputs, which is not computed.

    Args:
        axes: The splines along each coordinate.
        ranks: How many terms each output has.
    """

    def __init__(self, axes: Sequence[AxisSplines], ranks: Sequence[int]):
        self.axes, self.ranks = tuple(axes), tuple(ranks)
        self.terms = sum(self.ranks)
        self.blocks = tuple(axis.functions * self.terms for axis in self.axes)
        self.size = sum(self.blocks)

    @property
    def constants(self) -> list[Tensor]:
        """The ends of the intervals, where some are not equally long: a checkpoint keeps them."""
        if all(axis.breaks is None for axis in self.axes):
            return []
        return [axis.ends() for axis in self.axes]

    @constants.setter
    def constants(self, found: list[Tensor]) -> None:
        for axis, breaks in zip(self.axes, found, strict=True):
            if breaks.shape != (axis.grid + 1,) or not (breaks.diff() > 0).all():
                raise ValueError(f"breaks: got {breaks}; expected {axis.grid + 1} that rise")
        self.axes = tuple(
            AxisSplines(axis.grid, axis.degree, axis.closed, breaks)
            for axis, breaks in zip(self.axes, found, strict=True)
        )

    def coefficients(self, theta: Tensor) -> list[Tensor]:
        """The coefficients of each coordinate, [functions, terms].

        Args:
            theta: The parameters of the layer.
        """
        parts = torch.split(theta, list(self.blocks))
        return [part.view(-1, self.terms) for part in parts]

    def of_output(self, q: int) -> slice:
        """Which terms belong to an output.

        Args:
            q: Its number.
        """
        ends = list(accumulate(self.ranks, initial=0))
        return slice(ends[q], ends[q + 1])

    def forward(self, theta: Tensor, X: Tensor, counts: Counts) -> Tensor:
        jets = self._edges(theta, X, counts)
        found = jets[0]
        for jet in jets[1:]:
            found = product(found, jet, counts)
        return torch.stack([part.sum(2) for part in torch.split(found, list(self.ranks), 2)], 2)

    def adjoint(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Counts, back: bool = True
    ) -> tuple[Tensor, Tensor]:
        parts = []
        for i, (axis, c, lift) in enumerate(self._lifts(theta, L, X, counts)):
            z = axis.jet(X[:, :, i : i + 1]).contiguous()
            _, g = spline_jet_adjoint(lift, z, axis.unrolled(c), axis.knots(X), counts, False)
            parts.append(axis.rolled(g[0]).reshape(-1))
        return X, torch.cat(parts)

    def jacobian(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Counts, back: bool = True
    ) -> tuple[Tensor, Rows]:
        parts = []
        for i, (axis, c, lift) in enumerate(self._lifts(theta, L, X, counts)):
            z = axis.jet(X[:, :, i : i + 1]).contiguous()
            given = lift, z, axis.unrolled(c), axis.knots(X)
            _, cell, block = spline_jet_jacobian(*given, counts, False)
            parts.append(axis.rows(cell[:, 0], block[:, 0]))
        return X, Rows.beside(parts)

    def functions(
        self, theta: Tensor, x: Float[Tensor, "points inputs"]
    ) -> Float[Tensor, "inputs terms points"]:
        """The factors at points of each coordinate, float64 on the CPU.

        Args:
            theta: The parameters of the layer.
            x: Where, [points, inputs].
        """
        c = self.coefficients(theta.detach().double().cpu())
        pairs = zip(self.axes, c, x.T, strict=True)
        return torch.stack([(axis.at(column) @ p).T for axis, p, column in pairs])

    def shares(self, theta: Tensor, x: Float[Tensor, "points inputs"]) -> Float[Tensor, " terms"]:
        """The root mean square of each term, over the sum of those of its output.

        Args:
            theta: The parameters of the layer.
            x: The points over which the means are taken, [points, inputs].
        """
        sizes = self.functions(theta, x).prod(0).square().mean(1).sqrt()
        parts = torch.split(sizes, list(self.ranks))
        tiny = torch.finfo(sizes.dtype).tiny
        return torch.cat([part / part.sum().clamp_min(tiny) for part in parts])

    def _edges(self, theta: Tensor, X: Tensor, counts: Counts) -> list[Tensor]:
        """The jets of all edge functions, coordinate by coordinate, [points, channels, terms]."""
        return [
            spline_jet(
                axis.jet(X[:, :, i : i + 1]).contiguous(), axis.unrolled(c), axis.knots(X), counts
            )
            for i, (axis, c) in enumerate(zip(self.axes, self.coefficients(theta), strict=True))
        ]

    def _lifts(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Counts
    ) -> list[tuple[AxisSplines, Tensor, Tensor]]:
        """The adjoint of each coordinate's edges: that of the products with all others."""
        jets = self._edges(theta, X, counts)
        ranks = torch.tensor(self.ranks, device=L.device)
        L = L.repeat_interleave(ranks, 2, output_size=self.terms)
        rests = _products_of_others(jets, counts)
        return [
            (axis, c, L if rest is None else correlate(L, rest, counts).contiguous())
            for axis, c, rest in zip(self.axes, self.coefficients(theta), rests, strict=True)
        ]


def _products_of_others(jets: Sequence[Tensor], counts: Counts) -> list[Tensor | None]:
    """Of each jet the product of all others, by products from either end; None of a single one."""
    before: list[Tensor | None] = [None]
    for jet in jets[:-1]:
        before.append(_times(before[-1], jet, counts))
    after: list[Tensor | None] = [None]
    for jet in reversed(jets[1:]):
        after.append(_times(after[-1], jet, counts))
    pairs = zip(before, reversed(after), strict=True)
    return [left if right is None else _times(left, right, counts) for left, right in pairs]


def _times(left: Tensor | None, right: Tensor, counts: Counts) -> Tensor:
    return right if left is None else product(left, right, counts)
