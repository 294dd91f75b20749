"""Several networks and constants as one network: each part sees some of the inputs and gives some
of the outputs.

Nothing couples the parts but the residuals. Their outputs lie side by side in the output jet, their
parameters in theta, and a row of the Jacobian is the rows of the parts side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

from kanpde.networks.constants import Constants
from kanpde.networks.network import Counts, Edges, Network
from kanpde.networks.rows import Rows


@dataclass(frozen=True)
class Part:
    """A network within a joint one.

    Attributes:
        network: The network.
        inputs: Which of the joint inputs it sees, in its own order.
        grows: Whether stages that change networks (a finer grid, more units) change it too.
    """

    network: Network
    inputs: tuple[int, ...]
    grows: bool = True


@dataclass
class Joint(Network):
    """A network made of parts, with the interface of one. Made by `joint`.

    Its jets are the inputs of all layers, part after part, and after them the output jet, so that
    jets[k] belongs to layers[k] as in a chain.

    Attributes:
        pieces: The parts as they were when they were joined: their present parameters are in theta
            (see `networks`).
    """

    pieces: tuple[Part, ...] = ()

    @property
    def parameters(self) -> int:
        """Number of parameters that are trained, of all parts."""
        return sum(network.parameters for network in self.networks())

    def networks(self) -> list[Network]:
        thetas = torch.split(self.theta, [part.network.theta.numel() for part in self.pieces])
        return [
            replace(part.network, theta=theta)
            for part, theta in zip(self.pieces, thetas, strict=True)
        ]

    def outputs(self, k: int) -> slice:
        """Where the outputs of a part lie among the joint ones.

        Args:
            k: Which part, counted from 0.
        """
        first = sum(part.network.widths[-1] for part in self.pieces[:k])
        return slice(first, first + self.pieces[k].network.widths[-1])

    def describe(self) -> str:
        """Such as "KAN 2-5-1, degree 7, grid 24, and 2 constants"."""
        return ", and ".join(network.describe() for network in self.networks())

    def edges(self, samples: int = 100) -> list[Edges]:
        """Edge functions of all parts, one part after the other.

        Args:
            samples: How many points an edge.
        """
        return [edges for network in self.networks() for edges in network.edges(samples)]

    def to(self, device: str, dtype: torch.dtype) -> Network:
        pieces = tuple(
            replace(part, network=part.network.to(device, dtype)) for part in self.pieces
        )
        return replace(self, theta=self.theta.to(device=device, dtype=dtype), pieces=pieces)

    def forward(self, X: Tensor, counts: Counts) -> list[Tensor]:
        return self._joined([network.forward(own, counts) for network, own in self._with_inputs(X)])

    def levels(self, X: Tensor, counts: Counts) -> list[Tensor]:
        return self._joined([network.levels(own, counts) for network, own in self._with_inputs(X)])

    def gradient(self, jets: Sequence[Tensor], L: Tensor, counts: Counts) -> Tensor:
        return torch.cat(
            [
                network.gradient(own, adjoint, counts)
                for network, own, adjoint in self._taken_apart(jets, L)
            ]
        )

    def jacobian(self, jets: Sequence[Tensor], L: Tensor, counts: Counts) -> Rows:
        """A part that no row depends on is not gone through: its rows are zero."""
        found = []
        for network, own, adjoint in self._taken_apart(jets, L):
            needed = bool(adjoint.any())
            rows = network.jacobian(
                own if needed else [jet[:1] for jet in own],
                adjoint if needed else adjoint[:1],
                counts,
            )
            found.append(
                rows
                if needed or not len(L)
                else replace(
                    rows,
                    values=rows.values.new_zeros(len(L), rows.values.shape[1]),
                    starts=rows.starts.expand(len(L), -1),
                )
            )
        return Rows.beside(found)

    def adjoints(self, inputs: Sequence[Tensor], L: Tensor, counts: Counts) -> list[Tensor]:
        return [
            found
            for network, own, adjoint in self._taken_apart([*inputs, L], L)
            for found in network.adjoints(own[:-1], adjoint, counts)
        ]

    def masked(self, gradient: Tensor) -> Tensor:
        thetas = torch.split(gradient, [part.network.theta.numel() for part in self.pieces])
        return torch.cat(
            [part.network.masked(own) for part, own in zip(self.pieces, thetas, strict=True)]
        )

    def changed(
        self, change: Callable[[Network, list[Tensor]], Network], jets: Sequence[Tensor]
    ) -> Network:
        networks = [
            change(network, own) if part.grows else network
            for part, (network, own, _) in zip(
                self.pieces, self._taken_apart(jets, jets[-1]), strict=True
            )
        ]
        return joint(
            [
                replace(part, network=network)
                for part, network in zip(self.pieces, networks, strict=True)
            ],
            self.widths[0],
        )

    def parts_jets(self, jets: Sequence[Tensor]) -> list[list[Tensor]]:
        """The jets of every part, its output last.

        Args:
            jets: What `forward` or `levels` gave.
        """
        return [own for _, own, _ in self._taken_apart(jets, jets[-1])]

    def _with_inputs(self, X: Tensor) -> Iterator[tuple[Network, Tensor]]:
        everything = tuple(range(X.shape[2]))
        for part, network in zip(self.pieces, self.networks(), strict=True):
            yield (
                network,
                X if part.inputs == everything else X[:, :, list(part.inputs)].contiguous(),
            )

    def _joined(self, found: Sequence[list[Tensor]]) -> list[Tensor]:
        """Jets of the parts as jets of the whole. Where a network keeps no inputs of its inner
        layers, its own input stands for them."""
        inputs = [
            jet
            for part, jets in zip(self.pieces, found, strict=True)
            for jet in (jets[:-1] + jets[:1] * len(part.network.layers))[: len(part.network.layers)]
        ]
        return [*inputs, torch.cat([jets[-1] for jets in found], 2)]

    def _taken_apart(
        self, jets: Sequence[Tensor], L: Tensor
    ) -> Iterator[tuple[Network, list[Tensor], Tensor]]:
        """Every part with its own jets, output last, and its own columns of the adjoint."""
        ends = list(accumulate((len(part.network.layers) for part in self.pieces), initial=0))
        for k, network in enumerate(self.networks()):
            columns = self.outputs(k)
            yield (
                network,
                [*jets[ends[k] : ends[k + 1]], jets[-1][:, :, columns]],
                L[:, :, columns].contiguous(),
            )


def joint(parts: Sequence[Part], inputs: int) -> Joint:
    """Parts joined, their outputs in the order of the parts.

    Args:
        parts: The parts.
        inputs: How many inputs there are in all.
    """
    networks = [part.network for part in parts]
    widths = (inputs, sum(network.widths[-1] for network in networks))
    layers = [layer for network in networks for layer in network.layers]
    theta = torch.cat([network.theta for network in networks])
    return Joint(
        networks[0].spec,
        widths,
        layers,
        theta,
        max(network.refit for network in networks),
        (),
        tuple(parts),
    )


def with_constants(network: Network, constants: Constants) -> Joint:
    """A network, and constants as further outputs after its own.

    A joint network keeps its parts, and the constants become another one beside them.

    Args:
        network: The network.
        constants: What the constants are built from.
    """
    inputs = network.widths[0]
    before = (
        list(parts_of(network))
        if isinstance(network, Joint)
        else [Part(network, tuple(range(inputs)))]
    )
    return joint([*before, Part(constants.build(), (), grows=False)], inputs)


def parts_of(network: Joint) -> tuple[Part, ...]:
    """The parts with their present parameters.

    Args:
        network: What they are joined to.
    """
    return tuple(
        replace(part, network=own)
        for part, own in zip(network.pieces, network.networks(), strict=True)
    )
