"""Estimates of parameters with their standard errors, correlations and what the data cannot tell,
from the matrix of the last step.

What is computed, and why, is in sensitivity.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy  # whose parts are imported when they are first used
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from kanpde.inverse.following import by_set, unexplained
from kanpde.inverse.sensed import DataFactors, Sensed
from kanpde.networks.solution import Solution
from kanpde.problem.noise import noise_ratio, noise_units
from kanpde.problem.parameters import Field
from kanpde.problem.problem import Problem

LEVEL = 0.95
"""Of the intervals."""

VAGUE = 0.5
"""Relative standard error from which a combination of parameters counts as not identified."""

IDENTIFIES = "the data cannot identify"
"""How the line begins on what they identify and what they do not."""

OFF = 0.2
"""Largest step that an estimate which has settled would still take, in standard errors."""


@dataclass(frozen=True)
class Estimate:
    """A number that was found.

    Attributes:
        name: Name of the parameter.
        value: What was found.
        standard_error: Its standard error; nan where it is not known: where the solution does not
            follow the data or does not meet the equations, or the parameter has not settled.
        interval: The interval of LEVEL, its lower and its upper end, nan likewise; where the
            parameter is transformed it is taken before the transform.
        truth: The true value; None where it is not known.
    """

    name: str
    value: float
    standard_error: float
    interval: tuple[float, float]
    truth: float | None = None


@dataclass(frozen=True)
class Band:
    """A field that was found, at nodes of its own coordinates.

    Attributes:
        name: Name of the field.
        grid: The nodes [nodes] by coordinate.
        values: What was found there, one axis a coordinate.
        standard_error: Pointwise standard errors, in the same shape.
        exact: The exact values, in the same shape; None where they are not known.
    """

    name: str
    grid: dict[str, NDArray[np.float64]]
    values: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    exact: NDArray[np.float64] | None = None

    @property
    def relative_l2(self) -> float | None:
        """Distance to the exact field, over its size."""
        return (
            None
            if self.exact is None
            else float(np.linalg.norm(self.values - self.exact) / np.linalg.norm(self.exact))
        )


@dataclass(frozen=True)
class Estimates:
    """All that the data say of the parameters.

    Attributes:
        numbers: The parameters that are numbers.
        fields: The parameters that are fields.
        correlation: Correlations of the numbers [numbers, numbers]; empty where they are not known.
        noise: Standard deviation of the values' errors by unknown, as the misfit shows it.
        degrees: Rows of data less what was fitted to them.
        notes: One line each for what to be careful with.
    """

    numbers: tuple[Estimate, ...] = ()
    fields: tuple[Band, ...] = ()
    correlation: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    noise: dict[str, float] = field(default_factory=dict)
    degrees: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def relative_error(self) -> float | None:
        """Largest of all parameters against their true values, as far as these are known."""
        sizes = [
            abs(e.value - e.truth) / (abs(e.truth) or 1.0)
            for e in self.numbers
            if e.truth is not None
        ] + [b.relative_l2 for b in self.fields if b.relative_l2 is not None]
        return max(sizes, default=None)

    def disowned(self, why: str) -> Estimates:
        """The same values without any errors, and why they have none.

        Args:
            why: A line.
        """
        return replace(
            self,
            numbers=tuple(
                replace(e, standard_error=math.nan, interval=(math.nan, math.nan))
                for e in self.numbers
            ),
            fields=tuple(
                replace(b, standard_error=np.full_like(b.standard_error, np.nan))
                for b in self.fields
            ),
            correlation=np.zeros((0, 0)),
            notes=(why, *(note for note in self.notes if not note.startswith(IDENTIFIES))),
        )

    def summary(self) -> dict[str, Any]:
        """As `--json` has it."""
        rows: list[dict[str, Any]] = [
            {
                "name": e.name,
                "value": e.value,
                "standard_error": e.standard_error,
                "interval": list(e.interval),
                "truth": e.truth,
            }
            for e in self.numbers
        ]
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
        known = self.correlation.shape == (len(names), len(names))
        correlations = (
            {
                a: {b: float(self.correlation[i, k]) for k, b in enumerate(names)}
                for i, a in enumerate(names)
            }
            if known
            else {}
        )
        return {
            "estimates": rows,
            "correlations": correlations,
            "noise": self.noise,
            "degrees": self.degrees,
            "identifiability": list(self.notes),
        }


def from_summary(summary: Mapping[str, Any], bands: tuple[Band, ...]) -> Estimates:
    """The estimates that `Estimates.summary` was made of.

    Args:
        summary: What `Estimates.summary` gave.
        bands: The fields, which are not in it.
    """
    rows = [row for row in summary["estimates"] if row["interval"] is not None or "of" not in row]
    known = [
        math.nan if v is None else v
        for row in rows
        for v in (row["standard_error"], *(row["interval"] or (None, None)))
    ]
    errors = zip(known[::3], known[1::3], known[2::3], strict=True)
    numbers = tuple(
        Estimate(row["name"], row["value"], error, (low, high), row["truth"])
        for row, (error, low, high) in zip(rows, errors, strict=True)
    )
    names = [e.name for e in numbers]
    correlations = summary["correlations"]
    matrix = (
        np.array([[correlations[a][b] for b in names] for a in names])
        if correlations
        else np.zeros((0, 0))
    )
    return Estimates(
        numbers,
        bands,
        matrix,
        summary["noise"],
        summary["degrees"],
        tuple(summary["identifiability"]),
    )


def estimate(problem: Problem, solution: Solution, sensed: Sensed) -> Estimates:
    """The estimates of a problem's parameters at the end of a search.

    Args:
        problem: What was solved, with data.
        solution: What was found.
        sensed: How parameters depend on the data there.
    """
    names = [p.name for p in problem.parameters if not isinstance(p, Field)]
    factors = sensed.factors
    misfits = [
        r * unit for r, unit in zip(by_set(problem, factors.residual), _units(problem), strict=True)
    ]
    if lost := unexplained(problem, misfits):
        known = replace(bare(problem, solution), noise=_noise_of(problem, factors))
        return replace(known, degrees=factors.degrees, notes=tuple(lost))
    gradients = sensed.gradients(names)
    told = factors.noise_variance if any(m.noise is None for m in problem.data) else 1.0
    covariance = told * factors.covariance(gradients) + factors.discrepancy(gradients)
    wide = told * sensed.wide(gradients)
    values = solution.numbers()
    # Of Student's t; scipy.stats has the same function, and takes long to import.
    quantile = float(scipy.special.stdtrit(max(factors.degrees, 1.0), (1 + LEVEL) / 2))
    found, notes = [], list(_misfit_notes(problem, factors))
    unclear = vague([values[n] for n in names], wide, names)
    shift = factors.shift(gradients)
    for i, name in enumerate(names):
        error = math.sqrt(float((wide if unclear else covariance)[i, i]))
        ends = sorted(sensed.ends(names, i, quantile * error))
        if not unclear and error and abs(float(shift[i])) > OFF * error:
            notes.append(
                f"{name} has not settled: another step would move it by"
                f" {abs(float(shift[i])) / error:.1f} standard errors; train longer"
            )
            error, ends = math.nan, [math.nan, math.nan]
        found.append(
            Estimate(name, values[name], error, (ends[0], ends[1]), problem.truth.get(name))
        )
    scale = covariance.diagonal().clamp_min(1e-300).sqrt()
    correlation = (
        (covariance / scale[:, None] / scale).clamp(-1, 1).numpy() if names else np.zeros((0, 0))
    )
    bands = tuple(
        _band(problem, solution, p, sensed, told)
        for p in problem.parameters
        if isinstance(p, Field)
    )
    return Estimates(
        tuple(found),
        bands,
        correlation,
        _noise_of(problem, factors),
        factors.degrees,
        (*unclear, *notes),
    )


def bare(problem: Problem, solution: Solution) -> Estimates:
    """The numbers without their errors.

    Args:
        problem: What was solved.
        solution: The trained candidate.
    """
    found = (
        Estimate(n, value, math.nan, (math.nan, math.nan), problem.truth.get(n))
        for n, value in solution.numbers().items()
    )
    return Estimates(tuple(found))


def vague(
    values: Sequence[float], covariance: Float[Tensor, "numbers numbers"], names: Sequence[str]
) -> list[str]:
    """Lines that name the combinations of parameters that are not identified, and those that are.

    They come from the singular values of the relative sensitivities: standard errors of products of
    powers of the parameters.

    Args:
        values: The parameters.
        covariance: Their covariance [numbers, numbers].
        names: Their names.

    Returns:
        The lines; none where all combinations are identified.
    """
    size = torch.tensor([abs(v) or 1.0 for v in values], dtype=torch.float64)
    if not len(size):
        return []
    variances, vectors = torch.linalg.eigh(covariance / size[:, None] / size)
    errors = variances.clamp_min(0).sqrt()
    bad = [i for i in range(len(size)) if float(errors[i]) > VAGUE]
    if not bad:
        return []
    told = [
        f"{_product(vectors[:, i], names)} to {100 * float(errors[i]):.2g} %"
        for i in range(len(size))
        if i not in bad
    ]
    lost = ", ".join(
        f"{_product(vectors[:, i], names)} (relative standard error {float(errors[i]):.1e})"
        for i in bad
    )
    return [f"{IDENTIFIES} {lost}{'; they identify ' + ', '.join(told) if told else ''}"]


def _product(vector: Tensor, names: Sequence[str]) -> str:
    """A direction in logarithms as a product of powers, such as "k/c" or "k c^0.5"; small exponents
    are left out."""
    powers = (vector / vector[int(vector.abs().argmax())]).tolist()
    above = [_power(n, p) for n, p in zip(names, powers, strict=True) if p > 0.05]
    below = [_power(n, -p) for n, p in zip(names, powers, strict=True) if p < -0.05]
    return " ".join(above) + (
        "/" + " ".join(below) if len(below) == 1 else f"/({' '.join(below)})" if below else ""
    )


def _power(name: str, power: float) -> str:
    return name if abs(power - 1) < 0.05 else f"{name}^{power:.2g}"


def _band(
    problem: Problem, solution: Solution, parameter: Field, sensed: Sensed, variance: float
) -> Band:
    """A field on a grid of its coordinates, the others in the middle."""
    nodes = {1: 201, 2: 41}.get(len(parameter.of), 11)
    axes = {
        x: np.linspace(*problem.domain.bounds[x], nodes if x in parameter.of else 1)
        for x in problem.coordinates
    }
    for x, (low, high) in problem.domain.bounds.items():
        axes[x] = axes[x] if x in parameter.of else np.array([(low + high) / 2])
    at = torch.from_numpy(
        np.stack([a.ravel() for a in np.meshgrid(*axes.values(), indexing="ij")], 1)
    )
    errors = sensed.errors_at(parameter.name, at, variance)
    shape = [nodes] * sum(x in parameter.of for x in problem.coordinates)
    exact = problem.exact.get(parameter.name)
    truth = (
        None
        if exact is None
        else exact(dict(zip(problem.coordinates, at.T, strict=True))).numpy().reshape(shape)
    )
    values = (
        solution.derivatives(at, [(parameter.name, (0,) * at.shape[1])])[:, 0]
        .double()
        .cpu()
        .numpy()
        .reshape(shape)
    )
    return Band(
        parameter.name,
        {x: axes[x] for x in problem.coordinates if x in parameter.of},
        values,
        errors.numpy().reshape(shape),
        truth,
    )


def _noise_of(problem: Problem, factors: DataFactors) -> dict[str, float]:
    """Root mean square misfit by unknown, with the degrees of freedom taken off."""
    found: dict[str, list[Tensor]] = {}
    parts = zip(problem.data, by_set(problem, factors.residual), _units(problem), strict=True)
    for m, rows, unit in parts:
        for k, u in enumerate(m.unknowns):
            found.setdefault(u, []).append(rows[:, k] * unit[:, k])
    correction = math.sqrt(len(factors.residual) / max(factors.degrees, 1.0))
    return {
        u: correction * float(torch.cat(parts).square().mean().sqrt()) for u, parts in found.items()
    }


def _units(problem: Problem) -> list[Tensor]:
    """What a misfit of 1 is in the units of the values, [rows, unknowns] each."""
    return [unit / noise_ratio(problem.data) for unit in noise_units(problem.data)]


def _misfit_notes(problem: Problem, factors: DataFactors) -> list[str]:
    if factors.degrees < 1:
        return ["there are no more data than what is fitted to them: standard errors say nothing"]
    if any(m.noise is None for m in problem.data):
        return []
    size = math.sqrt(factors.noise_variance)
    if 0.7 <= size <= 1.3:
        return []
    larger = "the model does not fit, or the noise is larger"
    why = larger if size > 1 else "the noise is smaller"
    return [f"the misfit is {size:.2g} times the noise that was given: {why}"]
