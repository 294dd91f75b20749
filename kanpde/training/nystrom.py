"""A randomised Nyström preconditioner (Frangella, Tropp and Udell 2023, "Randomized Nyström
preconditioning", SIMAX 44).

A ≈ B Bᵀ from products with a few random vectors: what is large in a positive semidefinite A is then
known, and the conjugate gradients are left with what is small. The normal matrices of residuals
have many small eigenvalues.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Nystrom:
    """A positive semidefinite matrix A [n, n] as A ≈ B Bᵀ.

    Attributes:
        B: The factor [n, columns].
        gram: BᵀB [columns, columns].
        smallest: The smallest eigenvalue of B Bᵀ that is not zero.
    """

    B: Float[Tensor, "n columns"]
    gram: Float[Tensor, "columns columns"]
    smallest: float

    def preconditioner(self, mu: float) -> Callable[[Tensor], Tensor]:
        """The preconditioner for A + μ, within a factor of two of the paper's (5.3), and without an
        SVD.

        Args:
            mu: Damping μ, which is added to the diagonal of A.

        Returns:
            x ↦ s (B Bᵀ + s)⁻¹ x with s = smallest + μ.
        """
        s = self.smallest + mu
        shifted = self.gram.clone()
        shifted.diagonal().add_(s)
        factor = torch.linalg.cholesky(shifted)
        return lambda x: x - self.B @ torch.cholesky_solve((self.B.T @ x)[:, None], factor)[:, 0]


def nystrom(
    times: Callable[[Tensor], Tensor], n: int, columns: int, like: Tensor
) -> Nystrom | None:
    """Approximate a matrix from its products: the paper's algorithm 2.1 with Gaussian vectors.

    Args:
        times: Gives A V for V [n, columns].
        n: Rows of A.
        columns: Columns of the approximation.
        like: A tensor whose device and precision are taken.

    Returns:
        The approximation; None where rounding forbids it.
    """
    omega = torch.randn(
        n, columns, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).to(like)
    Y = times(omega)
    shift = torch.finfo(Y.dtype).eps * float(
        Y.norm()
    )  # makes ΩᵀAΩ definite; it is small beside any eigenvalue that matters
    Y = Y + shift * omega
    core = omega.T @ Y
    factor, failed = torch.linalg.cholesky_ex((core + core.T) / 2)
    if int(failed) or not bool(factor.isfinite().all()):
        return None
    B = torch.linalg.solve_triangular(factor, Y.T, upper=False).T
    gram = B.T @ B
    return Nystrom(B, gram, max(float(torch.linalg.eigvalsh(gram)[0]) - shift, 0.0))
