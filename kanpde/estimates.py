"""Estimates of parameters with their standard errors, correlations and what the data cannot tell, from the matrix of the last step.

Near the solution the estimate is a linear function of the data: with the rows D of the misfits and F of everything that should
vanish, both as they were weighed in training, δθ = H⁻¹ Dᵀ ε with H = DᵀD + FᵀF, for errors ε of the values. The equations hold for the true
solution whatever the errors are, so that their rows bring none. Hence cov θ = H⁻¹ Dᵀ cov(ε) D H⁻¹ (the sandwich of penalised least squares),
which for heavily weighed equations is the covariance under constraints. The network's own parameters are in H with the rest: what is
reported of the equation's parameters has them eliminated. No product DᵀD is formed; all comes from orthogonal factors of [D; F].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.stats import t as student
from torch import Tensor

from kanpde.networks import Ansatz, Joint
from kanpde.networks.transform import Onto
from kanpde.parameters import Field
from kanpde.problem import Problem
from kanpde.training.assemble import numbers
from kanpde.training.objective import Objective, Term
from kanpde.training.points import Collocation, noise_ratio, noise_units

LEVEL = 0.95
"""Of the intervals."""

VAGUE = 0.5
"""Relative standard error from which a combination of parameters counts as not identified."""

SHARPEST = 1e-12
"""Smallest singular value that counts, over the largest one."""

OFF = 0.2
"""Largest step that an estimate would still take, in standard errors, without a warning."""


@dataclass(frozen=True)
class Estimate:
    """A number that was found. interval: of LEVEL, where the parameter is transformed taken before the transform; truth: where it is known."""

    name: str
    value: float
    standard_error: float
    interval: tuple[float, float]
    truth: float | None = None


@dataclass(frozen=True)
class Band:
    """A field that was found, at nodes of its own coordinates: values and pointwise standard errors, one axis a coordinate; exact ones where known."""

    name: str
    grid: dict[str, NDArray[np.float64]]
    values: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    exact: NDArray[np.float64] | None = None

    @property
    def relative_l2(self) -> float | None:
        """Distance to the exact field, over its size."""
        return None if self.exact is None else float(np.linalg.norm(self.values - self.exact) / np.linalg.norm(self.exact))


@dataclass(frozen=True)
class Estimates:
    """All that the data say of the parameters.

    correlation [numbers, numbers]; noise: standard deviation of the values' errors by unknown, as the misfit shows it; degrees: rows of
    data less what was fitted to them; notes: one line each for what to be careful with.
    """

    numbers: tuple[Estimate, ...] = ()
    fields: tuple[Band, ...] = ()
    correlation: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    noise: dict[str, float] = field(default_factory=dict)
    degrees: float = 0.0
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """As `--json` has it."""
        rows: list[dict[str, Any]] = [{"name": e.name, "value": e.value, "standard_error": e.standard_error, "interval": list(e.interval), "truth": e.truth} for e in self.numbers]
        rows += [
            {
                "name": b.name,
                "value": float(b.values.mean()),
                "standard_error": float(np.sqrt(np.mean(b.standard_error**2))),
                "interval": None,
                "of": list(b.grid),
                "relative_l2": b.relative_l2,
            }
            for b in self.fields
        ]
        names = [e.name for e in self.numbers]
        correlations = {a: {b: float(self.correlation[i, k]) for k, b in enumerate(names)} for i, a in enumerate(names)}
        return {"estimates": rows, "correlations": correlations, "noise": self.noise, "identifiability": list(self.notes)}


def estimate(problem: Problem, ansatz: Ansatz, points: Collocation) -> Estimates:
    """The estimates of a problem's parameters at the end of training. points: those of training, with its weights.

    Dense: rows times parameters in memory, and parameters cubed in work.
    """
    network = ansatz.network
    if not problem.parameters or not isinstance(network, Joint):
        return Estimates()
    names = [p.name for p in problem.parameters if not isinstance(p, Field)]
    if not problem.data:
        values = numbers(problem, ansatz)
        return Estimates(tuple(Estimate(n, values[n], math.nan, (math.nan, math.nan), problem.truth.get(n)) for n in names))
    factors = _Factors.of(points)
    gradients = _gradients(ansatz, names)
    told = factors.noise_variance if any(m.noise is None for m in problem.data) else 1.0
    covariance = told * factors.covariance(gradients)
    wide = told * factors.inverse(gradients)
    values = numbers(problem, ansatz)
    transforms = {n: t for n, t in zip(names, _transforms(network), strict=True)} if names else {}
    quantile = float(student.ppf((1 + LEVEL) / 2, max(factors.degrees, 1.0)))
    found, notes = [], list(_misfit_notes(problem, factors))
    unclear = vague([values[n] for n in names], wide, names)
    shift = factors.shift(gradients)
    for i, name in enumerate(names):
        error = math.sqrt(float((wide if unclear else covariance)[i, i]))
        theta, slope = _inverse(network, names, i), float(gradients[i].abs().max())
        half = quantile * error / slope if slope else math.inf
        ends = sorted(float(transforms[name](torch.tensor(theta + s * half, dtype=torch.float64))) for s in (-1, 1))
        found.append(Estimate(name, values[name], error, (ends[0], ends[1]), problem.truth.get(name)))
        if not unclear and error and abs(float(shift[i])) > OFF * error:
            notes.append(f"{name} has not settled: another step would move it by {abs(float(shift[i])) / error:.1f} standard errors; train longer")
    scale = covariance.diagonal().clamp_min(1e-300).sqrt()
    correlation = (covariance / scale[:, None] / scale).clamp(-1, 1).numpy() if names else np.zeros((0, 0))
    bands = tuple(_band(problem, ansatz, p, factors, told) for p in problem.parameters if isinstance(p, Field))
    return Estimates(tuple(found), bands, correlation, _noise_of(problem, factors), factors.degrees, (*unclear, *notes))


@dataclass(frozen=True)
class _Factors:
    """[D; F] by its singular vectors, in units of the noise: V [parameters, kept] divided by the singular values, and D times that.

    residual: the misfits in those units; degrees: rows less fitted ones; slope: what another step would go along.
    """

    V: Tensor
    U: Tensor
    residual: Tensor
    slope: Tensor
    ratio: float

    @classmethod
    def of(cls, points: Collocation) -> _Factors:
        network = points.ansatz.network
        terms = points.objective().terms
        others, misfits = terms[: -len(points.problem.data)], terms[-len(points.problem.data) :]
        total = sum(t.frame.points.shape[0] * t.equations for t in misfits)
        ratio = noise_ratio(points.problem.data)
        unit = ratio * math.sqrt(total / points.data)
        residual, D = (unit * part.double().cpu() for part in _dense(network, misfits))
        vanish, F = (unit * part.double().cpu() for part in _dense(network, others))
        W = (D.square().sum(0) + F.square().sum(0)).sqrt()
        W = torch.where(W > 0, 1 / W.clamp_min(1e-300), torch.ones_like(W))
        slope = W * (D.T @ residual + F.T @ vanish)
        _, R = torch.linalg.qr(torch.cat([D, F]) * W, mode="r")
        _, S, Vt = torch.linalg.svd(R)
        V = Vt.T / S.clamp_min(SHARPEST * float(S[0]))
        return cls(W[:, None] * V, (D * W) @ V, residual, V.T @ slope, ratio)

    @property
    def degrees(self) -> float:
        """Rows of data less what is fitted to them: tr (1 - A)² of the matrix A that takes data to fitted values."""
        fitted = float(self.U.square().sum())
        return len(self.U) - 2 * fitted + float((self.U.T @ self.U).square().sum())

    @property
    def noise_variance(self) -> float:
        """Of the values' errors, in units of the noise."""
        return float(self.residual.square().sum()) / max(self.degrees, 1.0)

    def covariance(self, gradients: Float[Tensor, "quantities parameters"]) -> Float[Tensor, "quantities quantities"]:
        """Of quantities with these gradients, for errors of variance 1."""
        L = (gradients @ self.V) @ self.U.T
        return L @ L.T

    def inverse(self, gradients: Float[Tensor, "quantities parameters"]) -> Float[Tensor, "quantities quantities"]:
        """The same from H⁻¹ alone, which is large along what neither data nor equations determine."""
        L = gradients @ self.V
        return L @ L.T

    def shift(self, gradients: Float[Tensor, "quantities parameters"]) -> Float[Tensor, " quantities"]:
        """How far another undamped step would move the quantities."""
        return -(gradients @ self.V) @ self.slope


def vague(values: Sequence[float], covariance: Float[Tensor, "numbers numbers"], names: Sequence[str]) -> list[str]:
    """Lines that name the combinations of parameters that are not identified, and those that are; empty where all are.

    From the singular values of the relative sensitivities: standard errors of products of powers of the parameters.
    """
    size = torch.tensor([abs(v) or 1.0 for v in values], dtype=torch.float64)
    if not len(size):
        return []
    variances, vectors = torch.linalg.eigh(covariance / size[:, None] / size)
    errors = variances.clamp_min(0).sqrt()
    bad = [i for i in range(len(size)) if float(errors[i]) > VAGUE]
    if not bad:
        return []
    told = [f"{_product(vectors[:, i], names)} to {100 * float(errors[i]):.2g} %" for i in range(len(size)) if i not in bad]
    lost = ", ".join(f"{_product(vectors[:, i], names)} (relative standard error {float(errors[i]):.1e})" for i in bad)
    return [f"the data cannot identify {lost}{'; they identify ' + ', '.join(told) if told else ''}"]


def _product(vector: Tensor, names: Sequence[str]) -> str:
    """A direction in logarithms as a product of powers, such as "k/c" or "k c^0.5"; small exponents are left out."""
    powers = (vector / vector[int(vector.abs().argmax())]).tolist()
    above = [_power(n, p) for n, p in zip(names, powers, strict=True) if p > 0.05]
    below = [_power(n, -p) for n, p in zip(names, powers, strict=True) if p < -0.05]
    return " ".join(above) + ("/" + " ".join(below) if len(below) == 1 else f"/({' '.join(below)})" if below else "")


def _power(name: str, power: float) -> str:
    return name if abs(power - 1) < 0.05 else f"{name}^{power:.2g}"


def _dense(network: Any, terms: Sequence[Term]) -> tuple[Tensor, Tensor]:
    """Rows and their derivatives by all parameters."""
    if not terms:
        return network.theta.new_zeros(0), network.theta.new_zeros(0, len(network.theta))
    r, J = Objective(network, terms).jacobian()
    return r, J.dense()


def _gradients(ansatz: Ansatz, names: Sequence[str]) -> Float[Tensor, "numbers parameters"]:
    """Of the values of numbers by all that is trained."""
    network = ansatz.network
    X = network.theta.new_zeros(len(names), 1, network.widths[0])
    L = X.new_zeros(len(names), 1, network.widths[-1])
    for i, name in enumerate(names):
        L[i, 0, ansatz.unknowns.index(name)] = 1
    if not names:
        return X.new_zeros(0, len(network.theta)).double().cpu()
    return network.jacobian(network.forward(X, ()), L, ()).dense().double().cpu()


def _transforms(network: Joint) -> tuple[Any, ...]:
    return next(layer.transforms for layer in network.networks()[-1].layers if isinstance(layer, Onto))


def _inverse(network: Joint, names: Sequence[str], i: int) -> float:
    """What the i-th number is before its transform."""
    return float(network.theta[len(network.theta) - len(names) + i])


def _band(problem: Problem, ansatz: Ansatz, parameter: Field, factors: _Factors, variance: float) -> Band:
    """A field on a grid of its coordinates, the others in the middle."""
    nodes = {1: 201, 2: 41}.get(len(parameter.of), 11)
    axes = {x: np.linspace(*problem.domain.bounds[x], nodes if x in parameter.of else 1) for x in problem.coordinates}
    for x, (low, high) in problem.domain.bounds.items():
        axes[x] = axes[x] if x in parameter.of else np.array([(low + high) / 2])
    at = torch.from_numpy(np.stack([a.ravel() for a in np.meshgrid(*axes.values(), indexing="ij")], 1))
    frame = ansatz.frame(at, [(parameter.name, (0,) * at.shape[1])])
    jets = ansatz.network.forward(frame.X, frame.counts)
    L = frame.adjoint(frame.lift.new_ones(len(at), 1), ansatz.network.widths[-1])
    J = ansatz.network.jacobian(jets, L, frame.counts).dense().double().cpu()
    errors = math.sqrt(variance) * torch.cat([(rows @ factors.V @ factors.U.T).norm(dim=1) for rows in J.split(256)])
    shape = [nodes] * sum(x in parameter.of for x in problem.coordinates)
    exact = problem.exact.get(parameter.name)
    truth = None if exact is None else exact(dict(zip(problem.coordinates, at.T, strict=True))).numpy().reshape(shape)
    values = frame.derivatives(jets[-1])[:, 0].double().cpu().numpy().reshape(shape)
    return Band(parameter.name, {x: axes[x] for x in problem.coordinates if x in parameter.of}, values, errors.numpy().reshape(shape), truth)


def _noise_of(problem: Problem, factors: _Factors) -> dict[str, float]:
    """Root mean square misfit by unknown, with the degrees of freedom taken off."""
    found: dict[str, list[Tensor]] = {}
    first = 0
    for m, unit in zip(problem.data, _units(problem), strict=True):
        rows = factors.residual[first : first + m.values.numel()].view(len(m.unknowns), -1)
        first += m.values.numel()
        for k, u in enumerate(m.unknowns):
            found.setdefault(u, []).append(rows[k] * unit[:, k])
    correction = math.sqrt(len(factors.residual) / max(factors.degrees, 1.0))
    return {u: correction * float(torch.cat(parts).square().mean().sqrt()) for u, parts in found.items()}


def _units(problem: Problem) -> list[Tensor]:
    """What a misfit of 1 is in the units of the values, [rows, unknowns] each."""
    return [unit / noise_ratio(problem.data) for unit in noise_units(problem.data)]


def _misfit_notes(problem: Problem, factors: _Factors) -> list[str]:
    if factors.degrees < 1:
        return ["there are no more data than what is fitted to them: standard errors say nothing"]
    if any(m.noise is None for m in problem.data):
        return []
    size = math.sqrt(factors.noise_variance)
    if size > 1.3 or size < 0.7:
        return [f"the misfit is {size:.2g} times the noise that was given: {'the model does not fit, or the noise is larger' if size > 1 else 'the noise is smaller'}"]
    return []
