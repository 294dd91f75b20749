"""The Jacobian of an objective as products straight from the jets: no row of it is kept.

A layer is linear in its coefficients. With its input jet X and the adjoint L of its output, kept
from one sweep, J v is a forward pass of X with v for coefficients, contracted with L, and Jᵀ w is
the gradient of the adjoints w L. On a CPU, JᵀJ v took 34 ms so, and 63 ms by two passes over stored
rows (2-20-20-1, 5,060 parameters, 6,000 points, one thread); and the memory does not grow with the
number of coefficients.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.networks.network import Counts, Layer, Network
from kanpde.networks.rows import Rows
from kanpde.training.far_terms import FarTerm
from kanpde.training.objective import Objective
from kanpde.training.shards import total


@dataclass(frozen=True)
class _Part:
    """Of one term: the input jet of every layer, the adjoints of its output [equations, points,
    channels, units], and those of the network's."""

    inputs: list[Tensor]
    adjoints: list[Tensor]
    outward: list[Tensor]
    counts: Counts


class Tangent:
    """The rows of an objective at the network's present parameters, and products with their
    Jacobian J there.

    The rows of this process are in `r` [rows].

    Args:
        objective: The objective.
    """

    def __init__(self, objective: Objective):
        self.network, self.theta = objective.network, objective.network.theta
        values, self.parts = [], []
        for t in objective.terms:
            if isinstance(t, FarTerm):
                raise RecipeError(
                    f"{t.residuals[0].name}: this optimiser works row by row, where a row with an"
                    " integral or a value at another place is of many points; lm, ssbroyden, lbfgs"
                    " and adam take it"
                )
            _, r, g = t.evaluate(self.network, True)
            assert g is not None
            values.append(r.T.reshape(-1))
            outward = [
                t.frame.adjoint(g[:, e], self.network.widths[-1]) for e in range(t.equations)
            ]
            inputs = self.network.levels(t.frame.X, t.frame.counts)[:-1]
            self.parts.append(
                _Part(
                    inputs,
                    _adjoints(self.network, inputs, outward, t.frame.counts),
                    outward,
                    t.frame.counts,
                )
            )
        self.r: Float[Tensor, " rows"] = torch.cat(values)

    def __matmul__(self, v: Float[Tensor, " parameters"]) -> Float[Tensor, " rows"]:
        """J v, the rows of this process [rows]; all other products are everybody's.

        Args:
            v: A step of the parameters [parameters].
        """
        found = []
        for part in self.parts:
            outputs = [
                (k, layer.forward(own, part.inputs[k], part.counts))
                for k, layer, own in _trained(self.network, v)
            ]
            found.append(sum((part.adjoints[k] * Y).sum((2, 3)) for k, Y in outputs).reshape(-1))  # type: ignore[union-attr]
        return torch.cat(found)

    def transposed_times(self, w: Float[Tensor, " rows"]) -> Float[Tensor, " parameters"]:
        """Jᵀ w [parameters].

        Args:
            w: One number for each row of this process [rows].
        """
        slope = torch.zeros_like(self.theta)
        for part, own in zip(
            self.parts,
            torch.split(w, [L.shape[0] * L.shape[1] for L in (p.adjoints[0] for p in self.parts)]),
            strict=True,
        ):
            by_row = own.view(*part.adjoints[0].shape[:2], 1, 1)
            found = []
            for k, layer, theta in _trained(self.network, self.theta):
                found.append(
                    layer.adjoint(
                        theta,
                        (by_row * part.adjoints[k]).sum(0),
                        part.inputs[k],
                        part.counts,
                        back=False,
                    )[1]
                )
            slope += torch.cat(found)
        return self.network.masked(total(slope))

    def rows(self, most: int = 512) -> Iterator[Rows]:
        """The Jacobian itself in blocks of rows, each made when it is asked for; in no order that
        matters.

        Args:
            most: Rows of a block, at most.
        """
        for part in self.parts:
            for L in part.outward:
                for block in zip(L.split(most), *(X.split(most) for X in part.inputs), strict=True):
                    yield self.network.jacobian([*block[1:], block[0]], block[0], part.counts)

    def squares(self) -> Float[Tensor, " parameters"]:
        """The diagonal of JᵀJ."""
        own = (
            Rows(b.values.square(), b.starts, b.lengths, b.columns).transposed_times(
                b.values.new_ones(len(b.values))
            )
            for b in self.rows()
        )
        return total(sum(own, torch.zeros_like(self.theta)))

    def normal_times(
        self, V: Float[Tensor, "parameters columns"]
    ) -> Float[Tensor, "parameters columns"]:
        """JᵀJ V for many columns at once, by dense blocks of rows.

        Args:
            V: The columns [parameters, columns].

        Returns:
            The product [parameters, columns].
        """
        product = torch.zeros_like(V)
        for block in self.rows():
            J = block.dense()
            product.addmm_(J.T, J @ V)
        return total(product)


def _adjoints(
    network: Network, inputs: list[Tensor], outward: list[Tensor], counts: Counts
) -> list[Tensor]:
    """The adjoints of every layer's output, equation by equation, from those of the network's."""
    found = [network.adjoints(inputs, L, counts) for L in outward]
    return [torch.stack(layer) for layer in zip(*found, strict=True)]


def _trained(network: Network, vector: Tensor) -> Iterator[tuple[int, Layer, Tensor]]:
    """The layers with parameters: their places, themselves, and their parts of a vector."""
    parts = torch.split(vector, [layer.size for layer in network.layers])
    return (
        (k, layer, part)
        for k, (layer, part) in enumerate(zip(network.layers, parts, strict=True))
        if layer.size
    )
