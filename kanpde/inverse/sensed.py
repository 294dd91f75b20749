"""How parameters depend on data at the end of a search for both: by networks, or by products of
splines."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.inverse.beside import ProductFactors
from kanpde.inverse.sensitivity import Factors, Linearisation, gradients_at, gradients_of
from kanpde.networks.joint import Joint
from kanpde.networks.transform import Onto
from kanpde.networks.trial_space import NetworkSolution
from kanpde.training.points import Collocation

EXACT_EQUATIONS = 1e4
"""By which the equations are weighed more for the question what can be identified at all."""

DataFactors = Factors | ProductFactors
"""Of the last linear problem."""


class Sensed(ABC):
    """How parameters depend on data.

    Attributes:
        factors: Of the last linear problem.
    """

    factors: DataFactors

    @abstractmethod
    def gradients(self, names: Sequence[str]) -> Float[Tensor, "numbers all"]:
        """Derivatives of numbers by all that is free.

        Args:
            names: Theirs.
        """

    @abstractmethod
    def wide(self, gradients: Float[Tensor, "numbers all"]) -> Float[Tensor, "numbers numbers"]:
        """The covariance of numbers from the inverse alone, with heavier equations.

        Args:
            gradients: Their derivatives by all that is free.
        """

    @abstractmethod
    def ends(self, names: Sequence[str], i: int, half: float) -> list[float]:
        """Both ends of an interval about a number.

        Args:
            names: Of all numbers.
            i: Which of them.
            half: Half of its length, in units of the number.
        """

    @abstractmethod
    def errors_at(
        self, name: str, at: Float[Tensor, "points dims"], variance: float
    ) -> Float[Tensor, " points"]:
        """Standard errors of a field at points.

        Args:
            name: Of the field.
            at: The points.
            variance: Of the values' errors, in units of the noise.
        """


class SensedByLayers(Sensed):
    """By dense matrices: rows times parameters in memory, and parameters cubed in work.

    Args:
        solution: The trained candidate.
        points: Those of training, with its weights.
    """

    factors: Factors

    def __init__(self, solution: NetworkSolution, points: Collocation):
        self.solution, self._linear = solution, Linearisation.of(points)
        self.factors = Factors.of(self._linear)

    def gradients(self, names: Sequence[str]) -> Float[Tensor, "numbers all"]:
        return gradients_of(self.solution, names)

    def wide(self, gradients: Float[Tensor, "numbers all"]) -> Float[Tensor, "numbers numbers"]:
        return Factors.of(self._linear, EXACT_EQUATIONS, tied=False).inverse(gradients)

    def ends(self, names: Sequence[str], i: int, half: float) -> list[float]:
        network = self.solution.network
        assert isinstance(network, Joint)
        slope = float(gradients_of(self.solution, [names[i]]).abs().max())
        theta, to = _inverse(network, names, i), _transforms(network)[i]
        inner = half / slope if slope else math.inf
        return [float(to(torch.tensor(theta + s * inner, dtype=torch.float64))) for s in (-1, 1)]

    def errors_at(
        self, name: str, at: Float[Tensor, "points dims"], variance: float
    ) -> Float[Tensor, " points"]:
        factors, J = self.factors, gradients_at(self.solution, name, at)
        sources = torch.cat([math.sqrt(variance) * factors.U, factors.E])
        return torch.cat([(rows @ factors.V @ sources.T).norm(dim=1) for rows in J.split(256)])


class SensedByProducts(Sensed):
    """By the factor of the last normal equations.

    Args:
        factors: That.
        values: The numbers.
    """

    factors: ProductFactors

    def __init__(self, factors: ProductFactors, values: Mapping[str, float]):
        self.factors, self._values = factors, dict(values)

    def gradients(self, names: Sequence[str]) -> Float[Tensor, "numbers all"]:
        return self.factors.gradients_of(names)

    def wide(self, gradients: Float[Tensor, "numbers all"]) -> Float[Tensor, "numbers numbers"]:
        return self.factors.inverse(gradients, EXACT_EQUATIONS)

    def ends(self, names: Sequence[str], i: int, half: float) -> list[float]:
        value = self._values[names[i]]
        return [value - half, value + half]

    def errors_at(
        self, name: str, at: Float[Tensor, "points dims"], variance: float
    ) -> Float[Tensor, " points"]:
        noise, left = self.factors.errors(self.factors.gradients_at(name, at))
        return (variance * noise.square().sum(1) + left.square().sum(1)).sqrt()


def _transforms(network: Joint) -> tuple[Any, ...]:
    return next(
        layer.transforms for layer in network.networks()[-1].layers if isinstance(layer, Onto)
    )


def _inverse(network: Joint, names: Sequence[str], i: int) -> float:
    """What the i-th number is before its transform."""
    return float(network.theta[len(network.theta) - len(names) + i])
