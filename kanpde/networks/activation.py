"""Pointwise activations on jets: tanh, sin and SiLU."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from kanpde.kernels import activation_jet, activation_jet_adjoint
from kanpde.networks.rows import Rows


class Activation:
    """y = (f(x) - center) / scale, unit by unit; it has no parameters.

    center and scale are fixed: they bring what the points make of f(x) onto the grid of the next
    layer.

    Args:
        name: Which function f is: "tanh", "sin" or "silu".
        center: What is taken off, [units]; 0 where not given.
        scale: What is divided by, [units]; 1 where not given.
    """

    size = 0

    def __init__(self, name: str, center: Tensor | None = None, scale: Tensor | None = None):
        self.name, self.center, self.scale = name, center, scale
        self._placed: tuple[Tensor | None, Tensor | None, Tensor, Tensor] | None = None

    def rescaled(self, center: Tensor, scale: Tensor) -> Activation:
        """The activation whose output z is that of this one through y = center + scale · z.

        Args:
            center: Of the present outputs y, [units].
            scale: Of the present outputs y, [units].
        """
        if self.center is None or self.scale is None:
            return Activation(self.name, center, scale)
        return Activation(self.name, self.center + self.scale * center, self.scale * scale)

    def affine(self, X: Tensor, units: int) -> tuple[Tensor, Tensor]:
        """center and scale [units], of the type of X.

        Args:
            X: A tensor on the device and in the precision that are wanted.
            units: How many units there are.
        """
        known = self._placed
        if (
            known is None
            or known[0] is not self.center
            or known[1] is not self.scale
            or not _like(known[2], X, units)
        ):
            if self.center is None or self.scale is None:
                known = self.center, self.scale, X.new_zeros(units), X.new_ones(units)
            else:
                known = self.center, self.scale, self.center.to(X), self.scale.to(X)
            self._placed = known
        return known[2], known[3]

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        return activation_jet(self.name, X, *self.affine(X, X.shape[2]), counts)

    def adjoint(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Tensor]:
        return activation_jet_adjoint(self.name, L, X, self.affine(X, X.shape[2])[1], counts), theta

    def jacobian(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Rows]:
        inward, _ = self.adjoint(theta, L, X, counts)
        return inward, Rows.full(X.new_empty(len(X), 0))


def _like(there: Tensor, X: Tensor, units: int) -> bool:
    """Whether numbers of so many units lie where X does, in its type."""
    return there.dtype == X.dtype and there.device == X.device and len(there) == units
