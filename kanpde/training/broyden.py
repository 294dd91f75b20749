"""Self-scaled Broyden: a dense quasi-Newton method for up to some thousand parameters.

Urbán, Stefanou and Pons 2024, "Unveiling the optimization process of physics informed neural
networks" (arXiv 2405.04230), found it far ahead of BFGS on residuals of differential equations. The
scaling is that of Al-Baali 1998, "Global and superlinear convergence of a restricted class of
self-scaling methods with inexact line searches".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kanpde.training.quasi_newton import Downhill, QuasiNewton


@dataclass
class InverseHessian(Downhill):
    """What self-scaled Broyden carries from step to step.

    Attributes:
        H: The inverse Hessian's estimate [parameters, parameters]; None for the identity.
        first: Whether it has not been scaled yet.
    """

    H: Tensor | None = None
    first: bool = True


@dataclass(frozen=True)
class Broyden(QuasiNewton[InverseHessian]):
    """Self-scaled Broyden: a dense quasi-Newton method for up to some thousand parameters.

    Urbán, Stefanou and Pons 2024, "Unveiling the optimization process of physics informed neural
    networks" (arXiv 2405.04230), with the scaling of Al-Baali 1998. Memory and work are quadratic
    in the parameters.

    Attributes:
        steps: Steps, at most.
        tolerance: It ends where the largest entry of the gradient is below this.
    """

    steps: int = 500
    tolerance: float = 1e-12
    name = "ssbroyden"
    carries = InverseHessian

    def knowing_nothing(self, loss: float, gradient: Tensor) -> InverseHessian:
        return InverseHessian(loss, 0, gradient)

    def knows(self, state: InverseHessian) -> bool:
        return state.H is not None

    def forget(self, state: InverseHessian) -> None:
        state.H, state.first = None, True

    def times(self, state: InverseHessian, gradient: Tensor) -> Tensor:
        return gradient if state.H is None else state.H @ gradient

    def learn(self, state: InverseHessian, s: Tensor, y: Tensor, pulled: float) -> None:
        if pulled > 0:
            state.H = (
                torch.eye(len(s), dtype=s.dtype, device=s.device) if state.H is None else state.H
            )
            update(state.H, s, y, pulled, state.first)
            state.first = False


def update(H: Tensor, s: Tensor, y: Tensor, pulled: float, first: bool) -> None:
    """Replace an estimate of the inverse Hessian by the one after a step.

        H⁺ = (H - H y yᵀ H / yᵀHy + φ v vᵀ) / τ + s sᵀ / yᵀs,
        v = √(yᵀHy) (s / yᵀs - H y / yᵀHy),

    φ = 1 and τ = 1 are BFGS. Here (SSBroyden2 in the programs that the authors published), with b =
    sᵀH⁻¹s / yᵀs, h = yᵀHy / yᵀs and a = b h - 1:

        ρ = min(1, h (1 - √(a / (1 + a)))),
        θ = max((ρ - 1) / a, min(1 / ρ, (1 - b) / b)),
        φ = (1 - θ) / (1 + a θ),  σ = 1 + a θ,
        τ = min(1, 1/b) min(σ^(-1/(n-1)), 1/θ)    for θ > 0,
            min(min(1, 1/b) σ^(-1/(n-1)), σ)      for θ ≤ 0,

    and τ = h / σ the first time.

    Args:
        H: The estimate [n, n], which is changed in place.
        s: The step [n].
        y: The change of the gradient [n].
        pulled: sᵀ H⁻¹ s, which is -α sᵀg after a step of length α along -H g.
        first: Whether H is the identity, which is scaled as a whole.
    """
    n, ys = len(s), float(y @ s)
    Hy = H @ y
    yHy = float(y @ Hy)
    b, h = pulled / ys, yHy / ys
    a = max(
        b * h - 1, torch.finfo(s.dtype).eps
    )  # Cauchy and Schwarz: not negative but for rounding
    rho = min(1.0, h * (1 - math.sqrt(a / (1 + a))))
    theta = max((rho - 1) / a, min(1 / rho, (1 - b) / b))
    phi, sigma, shrink = (1 - theta) / (1 + a * theta), 1 + a * theta, min(1.0, 1 / b)
    power = sigma ** (-1 / max(n - 1, 1))
    tau = (
        h / sigma
        if first
        else shrink * min(power, 1 / theta)
        if theta > 0
        else min(shrink * power, sigma)
    )
    v = math.sqrt(yHy) * (s / ys - Hy / yHy)
    left = torch.stack(
        [Hy / math.sqrt(yHy * tau), math.sqrt(abs(phi) / tau) * v, s / math.sqrt(ys)], 1
    )
    H.addmm_(left * left.new_tensor([-1.0, math.copysign(1.0, phi), 1.0]), left.T, beta=1 / tau)
