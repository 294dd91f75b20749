"""How estimates depend on the data: the matrices of the last step, by orthogonal factors.

Near the solution the estimate is a linear function of the data: with the rows D of the misfits and
F of everything that should vanish, both as they were weighed in training, δθ = H⁻¹ Dᵀ ε with H =
DᵀD + FᵀF, for errors ε of the values. The equations hold for the true solution whatever the errors
are, so that their rows bring none but what the network leaves of them. Hence cov θ = H⁻¹ Dᵀ cov(ε)
D H⁻¹ (the sandwich of penalised least squares), which for heavily weighed equations is the
covariance under constraints. The network's own parameters are in H with the rest: what is reported
of the equation's parameters has them eliminated. No product DᵀD is formed; all comes from
orthogonal factors of [D; F].

Singular values go down to rounding: along the smallest ones noise would move the parameters of
networks by many times their size, where the linear model holds no longer and no step should go.
`Linearisation.ties` hold every such parameter to its present value as a measurement of it with the
error of its network's root mean square would; of sets of data drawn again, the fields' estimates
spread as these bands say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.geometry.sampling import unit_points
from kanpde.networks.network import Network
from kanpde.networks.trial_space import NetworkSolution
from kanpde.problem.noise import noise_ratio
from kanpde.problem.parameters import Field
from kanpde.training.objective import Objective, Term
from kanpde.training.points import Collocation

POLISHING, POLISHED = 8, 0.02
"""Steps of `polish` at most, and how near to the minimum they go, in standard errors."""

DAMPINGS = (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""Of its steps, over the largest squared singular value; the first that lowers the loss is
taken."""

SIGNIFICANT = 3.0
"""Standard deviations by which a misfit has to grow more than expected."""

SHARPEST = 1e-12
"""Smallest singular value that counts, over the largest one."""


@dataclass(frozen=True)
class Linearisation:
    """The last linear problem in units of the data's noise.

    Attributes:
        misfit: The misfits [data].
        D: Their derivatives by all that is trained [data, parameters].
        vanish: What should vanish [rows].
        F: Its derivatives by all that is trained [rows, parameters].
        ties: How strongly each parameter is held where it is [parameters]: the noise over the size
            of its network's parameters. Constants are not held.
    """

    misfit: Float[Tensor, " data"]
    D: Float[Tensor, "data parameters"]
    vanish: Float[Tensor, " rows"]
    F: Float[Tensor, "rows parameters"]
    ties: Float[Tensor, " parameters"]

    @classmethod
    def of(cls, points: Collocation, objective: Objective | None = None) -> Linearisation:
        """The linear problem at the present parameters.

        Args:
            points: The points and the data, with the weights of training.
            objective: One of these points' kind, to be taken as it is; None for a new one.
        """
        network, sets = points.solution.network, points.problem.data
        terms = (objective or points.objective()).terms
        unit = noise_ratio(sets) * math.sqrt(
            sum(m.values.numel() for m in sets) / points.misfit_weight
        )
        misfit, D = (unit * part.double().cpu() for part in _dense(network, terms[-len(sets) :]))
        vanish, F = (unit * part.double().cpu() for part in _dense(network, terms[: -len(sets)]))
        return cls(misfit, D, vanish, F, _ties(network, float(misfit.square().mean().sqrt())))


@dataclass(frozen=True)
class Factors:
    """The rows [D; F] by their singular vectors, in units of the noise.

    Attributes:
        V: The right singular vectors [parameters, kept], divided by the singular values.
        U: D V [data, kept].
        E: F V [rows, kept], each row times the residual of its equation.
        residual: The misfits in units of the noise [data].
        slope: What another step would go along [kept].
        S: The singular values over the largest [kept].
    """

    V: Tensor
    U: Tensor
    E: Tensor
    residual: Tensor
    slope: Tensor
    S: Tensor

    @classmethod
    def of(cls, rows: Linearisation, heavier: float = 1.0, tied: bool = True) -> Factors:
        """The factors of a linear problem.

        Args:
            rows: The linear problem.
            heavier: By which the weight of the equations is multiplied.
            tied: Whether the ties are among the rows.
        """
        residual, D, vanish, F = (
            rows.misfit,
            rows.D,
            math.sqrt(heavier) * rows.vanish,
            math.sqrt(heavier) * rows.F,
        )
        held = [rows.ties.diag()] if tied else []
        W = torch.cat([D, F, *held]).norm(dim=0)
        W = torch.where(W > 0, 1 / W.clamp_min(1e-300), torch.ones_like(W))
        slope = W * (D.T @ residual + F.T @ vanish)
        _, R = torch.linalg.qr(torch.cat([D, F, *held]) * W, mode="r")
        _, S, Vt = torch.linalg.svd(R, full_matrices=False)
        V = Vt.T / S.clamp_min(SHARPEST * float(S[0]))
        return cls(
            W[:, None] * V,
            (D * W) @ V,
            (F * W) @ V * vanish[:, None],
            residual,
            V.T @ slope,
            S / S[0],
        )

    @property
    def degrees(self) -> float:
        """Rows of data less what is fitted to them: tr (1 - A)² of the matrix A that takes data to
        fitted values."""
        fitted = float(self.U.square().sum())
        return len(self.U) - 2 * fitted + float((self.U.T @ self.U).square().sum())

    @property
    def noise_variance(self) -> float:
        """Of the values' errors, in units of the noise."""
        return float(self.residual.square().sum()) / max(self.degrees, 1.0)

    def covariance(
        self, gradients: Float[Tensor, "quantities parameters"]
    ) -> Float[Tensor, "quantities quantities"]:
        """The covariance of quantities for errors of the values of variance 1.

        Args:
            gradients: Derivatives of the quantities by all that is trained [quantities,
                parameters].

        Returns:
            The covariance [quantities, quantities].
        """
        L = (gradients @ self.V) @ self.U.T
        return L @ L.T

    def discrepancy(
        self, gradients: Float[Tensor, "quantities parameters"]
    ) -> Float[Tensor, "quantities quantities"]:
        """The covariance of quantities for errors as large as the residuals that the equations are
        left with, each for itself (White 1982).

        Args:
            gradients: Derivatives of the quantities by all that is trained [quantities,
                parameters].

        Returns:
            The covariance [quantities, quantities].
        """
        L = (gradients @ self.V) @ self.E.T
        return L @ L.T

    def inverse(
        self, gradients: Float[Tensor, "quantities parameters"]
    ) -> Float[Tensor, "quantities quantities"]:
        """The covariance of quantities from H⁻¹ alone, which is large along what neither data nor
        equations determine.

        Args:
            gradients: Derivatives of the quantities by all that is trained [quantities,
                parameters].

        Returns:
            The covariance [quantities, quantities].
        """
        L = gradients @ self.V
        return L @ L.T

    def shift(
        self, gradients: Float[Tensor, "quantities parameters"]
    ) -> Float[Tensor, " quantities"]:
        """How far another undamped step would move quantities.

        Args:
            gradients: Derivatives of the quantities by all that is trained [quantities,
                parameters].

        Returns:
            The shifts [quantities].
        """
        return -(gradients @ self.V) @ self.slope

    def step(self, damping: float) -> Float[Tensor, " parameters"]:
        """The step of Gauss and Newton, damped along small singular values.

        Args:
            damping: Singular values below the root of this, over the largest one, are damped.

        Returns:
            The step [parameters].
        """
        return -self.V @ (self.slope / (1 + damping / self.S.square()))


def gradients_of(
    solution: NetworkSolution, names: Sequence[str]
) -> Float[Tensor, "numbers parameters"]:
    """Derivatives of parameters that are numbers by all that is trained.

    Args:
        solution: The trained candidate.
        names: Names of the parameters.

    Returns:
        The derivatives [numbers, parameters].
    """
    network = solution.network
    X = network.theta.new_zeros(len(names), 1, network.widths[0])
    L = X.new_zeros(len(names), 1, network.widths[-1])
    for i, name in enumerate(names):
        L[i, 0, solution.unknowns.index(name)] = 1
    if not names:
        return X.new_zeros(0, len(network.theta)).double().cpu()
    return network.jacobian(network.forward(X, ()), L, ()).dense().double().cpu()


def gradients_at(
    solution: NetworkSolution, name: str, points: Float[Tensor, "points dims"]
) -> Float[Tensor, "points parameters"]:
    """Derivatives of a field's values at points by all that is trained.

    Args:
        solution: The trained candidate.
        name: Name of the field.
        points: The points [points, dims].

    Returns:
        The derivatives [points, parameters].
    """
    frame = solution.frame(points, [(name, (0,) * points.shape[1])])
    jets = solution.network.forward(frame.X, frame.counts)
    L = frame.adjoint(frame.lift.new_ones(len(points), 1), solution.network.widths[-1])
    return solution.network.jacobian(jets, L, frame.counts).dense().double().cpu()


def _ties(network: Network, noise: float) -> Float[Tensor, " parameters"]:
    found = []
    for part in network.networks():
        theta = part.theta.double().cpu()
        size = float(theta.square().mean().sqrt()) if part.widths[0] else 0.0
        found.append(torch.full_like(theta, noise / size if size else 0.0))
    return torch.cat(found)


def _dense(network: Network, terms: Sequence[Term]) -> tuple[Tensor, Tensor]:
    """Linearisation and their derivatives by all parameters."""
    if not terms:
        return network.theta.new_zeros(0), network.theta.new_zeros(0, len(network.theta))
    r, J = Objective(network, terms).jacobian()
    return r, J.dense()


def polish(points: Collocation) -> tuple[int, float]:
    """Take steps of Gauss and Newton by orthogonal factors until the numbers among the parameters
    stand still.

    They stand still within POLISHED of their standard errors. Levenberg and Marquardt's damping,
    and patience that looks at a loss which the noise keeps up, end before that.

    Args:
        points: The points and the data, whose network is moved.

    Returns:
        How many steps were taken, and how far, in standard errors, another undamped step would
        still move a number.
    """
    objective = points.objective()
    network, problem = objective.network, points.problem
    names = [p.name for p in problem.parameters if not isinstance(p, Field)]
    for k in range(POLISHING + 1):
        factors = Factors.of(Linearisation.of(points, objective))
        gradients = gradients_of(points.solution, names)
        errors = (factors.noise_variance * factors.covariance(gradients).diagonal()).sqrt()
        apart = (
            float((factors.shift(gradients).abs() / errors.clamp_min(1e-300)).max())
            if names
            else 0.0
        )
        if apart <= POLISHED or k == POLISHING:
            break
        start, before = network.theta, objective.loss()
        for damping in DAMPINGS:
            network.theta = start + factors.step(damping).to(start)
            if objective.loss() < before:
                break
        else:
            network.theta = start
            break
    return k, apart


def lost(points: Collocation, lighter: float) -> float:
    """How much smaller the standard errors of all parameters could be with lighter data, at most.

    Where the equations weigh little, solutions that violate them follow the errors of the data.

    Args:
        points: The points and the data, with the weights of training.
        lighter: Factor of the weight of the data, below 1.

    Returns:
        The factor by which they could be smaller.
    """
    rows, problem, solution = Linearisation.of(points), points.problem, points.solution
    at = problem.domain.interior(unit_points(64, len(problem.coordinates), 0))
    fields = [p.name for p in problem.parameters if isinstance(p, Field)]
    gradients = [
        gradients_of(solution, [p.name]) for p in problem.parameters if not isinstance(p, Field)
    ] + [gradients_at(solution, name, at) for name in fields]
    now, then = (Factors.of(rows, heavier) for heavier in (1.0, 1 / lighter))
    return max(
        float((now.covariance(g).trace() / then.covariance(g).trace().clamp_min(1e-300)).sqrt())
        for g in gradients
    )


def overruled(points: Collocation, network: Network, data: float) -> bool:
    """Whether the equations overrule the data, in comparison with an earlier network.

    A smaller weight fits fewer degrees of freedom to the noise, and the misfit grows by as many of
    its squares, with the variance of χ². A network that cannot satisfy the equations any better
    gives in where it costs less: the misfit grows by more, and estimates are biased.

    Args:
        points: The points and the data, with the present network and weight.
        network: The earlier network.
        data: The weight of the data with which that one was trained.
    """
    now, here = Factors.of(Linearisation.of(points)), (points.solution.network, points.data)
    points.solution.network, points.data = network, data
    then = Factors.of(Linearisation.of(points))
    points.solution.network, points.data = here
    grown = float(now.residual.square().sum() - then.residual.square().sum()) / then.noise_variance
    fewer = max(now.degrees - then.degrees, 1.0)
    return grown - fewer > SIGNIFICANT * math.sqrt(2 * fewer)


def relative_misfit(points: Collocation) -> float:
    """Root mean square of what the data are off by, over their spread.

    Args:
        points: The points and the data, with the present network.
    """
    squares = sum(float(t.rows(points.solution.network).square().sum()) for t in points.misfits())
    return math.sqrt(squares / points.misfit_weight)
