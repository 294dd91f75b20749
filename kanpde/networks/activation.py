"""Pointwise activations on jets: tanh and sin."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from kanpde.jets import sine_taylor, tanh_taylor
from kanpde.kernels.taylor import compose, correlate

TAYLOR: dict[str, Callable[[Tensor, int], list[Tensor]]] = {"tanh": tanh_taylor, "sin": sine_taylor}


class Activation:
    """y = f(x), unit by unit; it has no parameters."""

    size = 0

    def __init__(self, name: str):
        self.taylor = TAYLOR[name]

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        return compose(self.taylor(X[:, 0], len(counts)), X, counts)

    def adjoint(self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int]) -> tuple[Tensor, Tensor]:
        f = self.taylor(X[:, 0], len(counts) + 1)
        derivative = [(nu + 1) * f[nu + 1] for nu in range(len(counts) + 1)]
        return correlate(L, compose(derivative, X, counts), counts), theta

    def jacobian(self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int]) -> tuple[Tensor, Tensor]:
        back, _ = self.adjoint(theta, L, X, counts)
        return back, X.new_empty(len(X), 0)
