"""Pointwise activations on jets: tanh and sin."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from kanpde.jets import sine_taylor, tanh_taylor
from kanpde.kernels.taylor import compose, correlate
from kanpde.networks.rows import Rows

TAYLOR: dict[str, Callable[[Tensor, int], list[Tensor]]] = {"tanh": tanh_taylor, "sin": sine_taylor}


class Activation:
    """y = (f(x) - center) / scale, unit by unit; it has no parameters.

    center and scale [units] are fixed: they bring what the points make of f(x) onto the grid of the next layer.
    """

    size = 0

    def __init__(self, name: str, center: Tensor | None = None, scale: Tensor | None = None):
        self.name, self.center, self.scale = name, center, scale

    def taylor(self, x: Tensor, order: int) -> list[Tensor]:
        """Taylor coefficients of y at x, ν = 0 … order."""
        f = TAYLOR[self.name](x, order)
        if self.center is None or self.scale is None:
            return f
        center, scale = self.center.to(x), self.scale.to(x)
        return [(f[0] - center) / scale, *(nth / scale for nth in f[1:])]

    def rescaled(self, center: Tensor, scale: Tensor) -> Activation:
        """The activation whose output z is that of this one through y = center + scale · z."""
        if self.center is None or self.scale is None:
            return Activation(self.name, center, scale)
        return Activation(self.name, self.center + self.scale * center, self.scale * scale)

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        return compose(self.taylor(X[:, 0], len(counts)), X, counts)

    def adjoint(self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True) -> tuple[Tensor, Tensor]:
        f = self.taylor(X[:, 0], len(counts) + 1)
        derivative = [(nu + 1) * f[nu + 1] for nu in range(len(counts) + 1)]
        return correlate(L, compose(derivative, X, counts), counts), theta

    def jacobian(self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True) -> tuple[Tensor, Rows]:
        inward, _ = self.adjoint(theta, L, X, counts)
        return inward, Rows.full(X.new_empty(len(X), 0))
