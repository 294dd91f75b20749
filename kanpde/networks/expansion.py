"""KANs whose edge functions are expansions in any basis: what a kind needs besides its basis."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from kanpde.networks.basis import Basis, BasisLayer
from kanpde.networks.network import Edges, Layer, Network
from kanpde.networks.refine import refined
from kanpde.networks.spec import Spec, Suited


@dataclass(frozen=True)
class Expansion(Spec):
    """A KAN with a basis on its edges and tanh between its layers.

    By tanh every layer sees the interval [-1, 1]. A kind of your own is a frozen dataclass derived
    from this class: its field named by `resolution` says how fine the basis is.

    Attributes:
        width: Hidden units by layer, a number or several.
    """

    resolution: ClassVar[str | None] = "grid"
    along_axes: ClassVar[bool] = True

    @abstractmethod
    def basis(self) -> Basis:
        """The functions on every edge."""

    @classmethod
    def suited(cls, evolving: bool, extra: int) -> Suited:
        spec = cls()
        steps = [getattr(spec, cls.resolution or ""), *cls.later]
        if evolving:
            network = replace(spec, width=(6 + extra, 6 + extra))
            return Suited(
                network,
                f"lm:100,extend:{steps[1]},lm:120",
                (
                    "it evolves in time: two hidden layers, which follow what moves",
                    f"{cls.resolution} {steps[0]} to {steps[1]}",
                ),
            )
        by = cls.optimiser
        schedule = f"{by}:40,extend:{steps[1]},{by}:40,extend:{steps[2]},{by}:160"
        return Suited(
            replace(spec, width=(5 + extra,)),
            schedule,
            ("it is steady: one hidden layer", f"{cls.resolution} {steps[0]} to {steps[2]}"),
        )

    later: ClassVar[tuple[int, ...]] = (12, 24)
    """Resolutions of the default schedule after the first."""

    optimiser: ClassVar[str] = "lm"
    """And what trains on each."""

    def trained(
        self, inputs: int, outputs: int, generator: torch.Generator
    ) -> tuple[Layer, Tensor]:
        basis = self.basis()
        return BasisLayer(inputs, outputs, basis), basis.initial(
            inputs, outputs, generator
        ).reshape(-1)

    def details(self) -> str:
        return f"{self.resolution} {getattr(self, self.resolution or '')}"

    def extend(self, network: Network, grid: int, jets: Sequence[Tensor] | None = None) -> Network:
        """The same function in a finer basis (see refine.refined)."""
        finer: dict[str, Any] = {self.resolution or "": grid}
        spec = replace(self, **finer)
        return refined(network, spec, lambda layer, seen: layer.basis.finer(grid), jets)  # type: ignore[attr-defined]

    def edges(self, network: Network, samples: int) -> list[Edges]:
        """Edge functions sampled over [-1, 1]."""
        return [
            layer.edges(part, samples)
            for layer, part in zip(network.layers, network.parts(), strict=True)
            if isinstance(layer, BasisLayer)
        ]
