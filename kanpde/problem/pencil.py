"""The pencil of an eigenvalue problem: J(λ) u = 0, linear in u and affine in λ, and which of its
eigenvalues is the how manyth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Complex, Float, Inexact

from kanpde.errors import ProblemError, listed
from kanpde.geometry.sampling import inside_points, unit_points
from kanpde.problem import variants
from kanpde.problem.eigenvalues import Mode, modes_of
from kanpde.problem.formulation import Formulation
from kanpde.residual.calculus import Values
from kanpde.residual.residual import Residual

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem

PROBED, PROBE_SEED = 16, 97531
"""Points at which linearity is looked for."""

LINEAR = 1e-9
"""Departure from linearity, over the terms, that rounding may leave."""

NEARLY_REAL = 1e-7
"""Imaginary part of what counts as real, over its size."""

ROUNDED_AWAY = 1e-11
"""Of the largest eigenvalue of an inverse, what is nothing but rounding."""

FOUND_BESIDE = 2
"""Eigenvalues that are found beside those that are asked for."""

NEAR_ZERO = 1e-6
"""The shift where all eigenvalues are found, over the ratio of both matrices: zero may be one."""

EQUAL = 1e-7
"""Distance of eigenvalues that count as equal, over their size or their distance to others."""

MOSTLY = 0.8
"""Share of eigenvalues of one sign from which on they are counted from the other end."""


@dataclass(frozen=True, eq=False, repr=False)
class Pencil(Formulation):
    """An eigenvalue problem with its eigenvalues among the unknowns, functions that are the same
    everywhere.

    Attributes:
        modes: The solutions that are asked for.
        first: The equations and conditions of the first one alone, with its eigenvalue.
        settled: The first one's problem with a number for the eigenvalue.
        scale: An eigenvalue whose term is as large as the others, for a function that varies over
            the whole domain: what differences are measured by where eigenvalues are zero.
    """

    modes: tuple[Mode, ...] = field(kw_only=True)
    first: Formulation = field(kw_only=True)
    settled: Callable[[float], Formulation] = field(kw_only=True)
    scale: float = field(kw_only=True)


def pencil(problem: Problem) -> Pencil:
    """The pencil of an eigenvalue problem.

    Args:
        problem: One that has modes.

    Raises:
        ProblemError: It is not linear in the unknowns, has sources, or is not affine in the
            eigenvalue.
    """
    modes = modes_of(problem.parameters)
    mode = modes[0]
    near = {m.eigenvalue: m.near or 0.0 for m in modes}
    ((domain, equations),) = problem.groups
    own = (*mode.unknowns, mode.eigenvalue)
    mine = tuple(e for e in equations if _about(e, own))
    conditions = tuple(c for c in problem.constraints if _about(c.residual, own))
    first = Formulation(
        domain=problem.domain,
        unknowns=own,
        copies=own,
        groups=((domain, mine),),
        constraints=conditions,
        periodic=problem.periodic,
        parameters=(),
        numbers={mode.eigenvalue: near[mode.eigenvalue]},
    )
    check_linear(first, mode)

    def settled(value: float) -> Formulation:
        return variants.of_mode(problem, mode, value)

    return Pencil(
        domain=problem.domain,
        unknowns=problem.outputs,
        copies=problem.outputs,
        groups=problem.groups,
        constraints=problem.constraints,
        periodic=problem.periodic,
        parameters=(),
        numbers=near,
        modes=modes,
        first=first,
        settled=settled,
        scale=_scale(first, mode),
    )


def _scale(first: Formulation, mode: Mode) -> float:
    """See Pencil."""
    points = inside_points(first.domain, PROBED, PROBE_SEED)
    lengths = [high - low for low, high in (first.domain.bounds[x] for x in first.coordinates)]
    found = 0.0
    for one in first.equations:
        at = dict(zip(one.coordinates, points.T, strict=True))
        leaves = [(u, index) for u, index in one.needs]
        held = torch.tensor([u == mode.eigenvalue for u, _ in leaves])
        falls = torch.tensor(
            [
                float(np.prod([h ** -float(k) for h, k in zip(lengths, index, strict=True)]))
                for _, index in leaves
            ]
        ).double()
        D = torch.zeros(len(points), len(leaves), dtype=torch.float64)
        slopes = []
        for number in (0.0, 1.0):
            g = one(at, torch.where(held, torch.full_like(D, number), D), None, True)[1]
            assert g is not None
            slopes.append(torch.where(held, torch.zeros_like(g), g) * falls)
        fixed, moving = slopes[0].abs().sum(-1), (slopes[1] - slopes[0]).abs().sum(-1)
        if float(moving.max()) > 0:
            found = max(found, float(fixed.mean() / moving.mean()))
    return found or 1.0


def _about(residual: Residual, names: Sequence[str]) -> bool:
    """Whether a residual is one of the first solution's."""
    return all(u in names for u, _ in residual.needs)


def check_linear(first: Formulation, mode: Mode) -> None:
    """Refuse what is no linear eigenvalue problem.

    Args:
        first: The equations and conditions of one solution.
        mode: Which.

    Raises:
        ProblemError: The message names the equation or condition, and what to do.
    """
    inside = inside_points(first.domain, PROBED, PROBE_SEED)
    for equation in first.equations:
        _check_residual(equation, equation.name, inside, None, mode)
    for c in first.constraints:
        dims = len(first.coordinates) - 1
        unit = unit_points(PROBED if dims else 1, dims, PROBE_SEED)
        points = first.domain.boundary(c.face, unit)
        normals = first.domain.normals(c.face, points).T
        normal = dict(zip(first.coordinates, normals, strict=True))
        _check_residual(c.residual, c.label, points, normal, mode)
    every = [*first.equations, *(c.residual for c in first.constraints)]
    seen = any(u == mode.eigenvalue for one in every for u, _ in one.needs)
    if not seen:
        raise ProblemError(f"Eigenvalue({mode.eigenvalue!r}): no equation depends on it")


def _check_residual(
    one: Residual,
    label: str,
    points: Float[torch.Tensor, "points dims"],
    normal: Values | None,
    mode: Mode,
) -> None:
    rng = torch.Generator().manual_seed(PROBE_SEED)
    at = dict(zip(one.coordinates, points.T, strict=True))
    held = torch.tensor([u == mode.eigenvalue for u, _ in one.needs])
    u, v = 2 * torch.rand(2, len(points), len(one.needs), generator=rng, dtype=torch.float64) - 1

    def values(w: torch.Tensor, number: float) -> torch.Tensor:
        D = torch.where(held, torch.full_like(w, number), w)
        return one(at, D, normal, False)[0]

    zero, a, b = values(0 * u, 0.7), values(u, 0.7), values(v, 0.7)
    size = float((a.abs() + b.abs()).max()) + 1e-300
    name = mode.eigenvalue
    if float(zero.abs().max()) > LINEAR * size:
        raise ProblemError(
            f"{label}: is {float(zero.abs().max()):.3g} where the unknowns vanish, but an"
            f" eigenvalue problem has no sources and no given values; expected 0"
        )
    both = values(2 * u - 3 * v, 0.7)
    if float((both - 2 * a + 3 * b).abs().max()) > LINEAR * 10 * size:
        raise ProblemError(
            f"{label}: is not linear in {listed(mode.unknowns)}; expected a linear equation, or a"
            f" Parameter({name!r}) with a condition that fixes the amplitude"
        )
    middle = (values(u, -0.4) + values(u, 1.8)) / 2
    if float((middle - a).abs().max()) > LINEAR * 10 * (size + float(middle.abs().max())):
        raise ProblemError(
            f"{label}: depends on {name} by more than a multiple; write {name} * u as another"
            " unknown, so that each equation does"
        )


def unshifted(shift: float, found: Inexact[np.ndarray, " some"]) -> Complex[np.ndarray, " some"]:
    """The eigenvalues of the pencil from those of the inverse of J(σ) times J'; infinite where
    these are nothing but rounding, as those of conditions are.

    Args:
        shift: σ.
        found: Those of the inverse.
    """
    found = found.astype(complex)
    rounding = np.abs(found) <= ROUNDED_AWAY * np.abs(found).max(initial=0.0)
    return shift + np.where(rounding, np.inf, 1 / np.where(rounding, 1.0, found))


def counted(values: Complex[np.ndarray, " some"]) -> Float[np.ndarray, " real"]:
    """Eigenvalues that are real, in the order in which they are counted.

    Args:
        values: All of a discrete problem.
    """
    real = real_ones(values)
    # Where they grow to is what the larger ones tell.
    far = real[np.abs(real) >= np.median(np.abs(real))] if len(real) else real
    if len(far) and (far > 0).mean() >= MOSTLY:
        return np.sort(real)
    if len(far) and (far < 0).mean() >= MOSTLY:
        return np.sort(real)[::-1]
    return real[np.argsort(np.abs(real), kind="stable")]


def real_ones(values: Complex[np.ndarray, " some"]) -> Float[np.ndarray, " real"]:
    """Those that are finite and real.

    Args:
        values: All eigenvalues of a discrete problem.
    """
    finite = values[np.isfinite(values)]
    middle = float(np.median(np.abs(finite))) if len(finite) else 1.0
    near_real = np.abs(finite.imag) <= NEARLY_REAL * np.maximum(np.abs(finite), 1e-3 * middle)
    return finite[near_real].real


def real_vector(vector: Complex[np.ndarray, " size"], value: complex) -> Float[np.ndarray, " size"]:
    """A real vector of an eigenvalue that is real. Rounding may give two that are equal as a pair
    of conjugates, whose vectors have the two real ones as their parts.

    Args:
        vector: As it is found.
        value: Its eigenvalue, as it is found.
    """
    return vector.imag if value.imag < 0 else vector.real


def asked_for(
    modes: Sequence[Mode], values: Complex[np.ndarray, " some"]
) -> Float[np.ndarray, " modes"]:
    """The eigenvalues that are asked for.

    Args:
        modes: What is asked for.
        values: All eigenvalues of a coarse discrete problem.

    Raises:
        ProblemError: There are not as many.
    """
    real = counted(values)
    found = []
    for mode in modes:
        if mode.near is not None and len(real):
            found.append(float(real[np.argmin(np.abs(real - mode.near))]))
        elif mode.which is not None and mode.which <= len(real):
            found.append(float(real[mode.which - 1]))
        else:
            raise ProblemError(
                f"Eigenvalue({mode.eigenvalue!r}): {len(real)} real eigenvalues are found on a"
                " coarse mesh; complex ones, and later ones, are not: near=… finds one by its"
                " value"
            )
    return np.array(found)


def shift_for(
    asked: Float[np.ndarray, " modes"], known: Float[np.ndarray, " some"]
) -> tuple[float, int]:
    """A number close to the eigenvalues that are asked for but none itself, and how many of those
    that are known are as near to it.

    Args:
        asked: Eigenvalues that are asked for.
        known: All that are known.
    """
    low, high = float(asked.min()), float(asked.max())
    apart = np.abs(known[:, None] - asked).min(1)
    # Every one that is asked for is known twice where a mesh is new. The last ones of a mesh, which
    # are nothing but its largest sums of squares, are no measure.
    next_ones = np.sort(apart)[: 2 * len(asked) + FOUND_BESIDE]
    size = max(abs(low), abs(high), high - low, float(next_ones.max(initial=0.0))) or 1.0
    others = apart[apart > EQUAL * size]
    gap = max(high - low, float(others.min(initial=size)))
    shift = (low + high) / 2 + 0.0437 * gap
    near = np.abs(known - shift) <= 1.01 * np.abs(asked - shift).max()
    return shift, int(near.sum())


def matched(before: Float[np.ndarray, " modes"], found: Float[np.ndarray, " some"]) -> list[int]:
    """Which of some eigenvalues are those that were found before, each once.

    Args:
        before: On a coarser mesh, or by a guess.
        found: At least as many.
    """
    left, chosen = list(range(len(found))), []
    for value in before:
        best = min(left, key=lambda k: abs(found[k] - value))
        left.remove(best)
        chosen.append(best)
    return chosen


def groups_of(values: Float[np.ndarray, " some"], scale: float) -> list[list[int]]:
    """Which eigenvalues are equal.

    Args:
        values: The eigenvalues.
        scale: What differences are measured by.
    """
    order = list(np.argsort(values, kind="stable"))
    found: list[list[int]] = []
    for k in order:
        if found and abs(values[k] - values[found[-1][-1]]) <= EQUAL * scale:
            found[-1].append(int(k))
        else:
            found.append([int(k)])
    return found


def turned(
    target: Float[np.ndarray, "functions values"], functions: Float[np.ndarray, "functions values"]
) -> Float[np.ndarray, "functions functions"]:
    """The mixture of functions of one eigenvalue that is nearest to given ones: rows of what to
    multiply them by.

    Args:
        target: Values of what is given.
        functions: Values of the functions, at the same places.
    """
    return np.linalg.lstsq(functions.T, target.T, rcond=None)[0].T
