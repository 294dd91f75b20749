"""Constants of formulas that make the residual of the problem vanish: least squares on equations
and conditions, not on a network's values.

A network is right to 1e-6 or 1e-9; what it says of the constants is right as far. The equations say
the rest: r(p) = r(u_α(p)) at points, with ∂r/∂p = Σ_α ∂r/∂u_α ∂u_α/∂p, the first factor from the
residual itself as in training, the second from SymPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from sympy import Symbol
from torch import Tensor

from kanpde.interpret.form import Form, compiled
from kanpde.interpret.symbolic import derivative
from kanpde.problem.constraints import Constraint
from kanpde.problem.faces import by_name, points_on, space_faces
from kanpde.problem.problem import Problem
from kanpde.residual.residual import Residual

Array = NDArray[np.float64]

POLISHED_INSIDE, POLISHED_ON_FACE = 256, 48
"""Points, inside and on every face, on which constants are polished."""


@dataclass(frozen=True)
class PosedResidual:
    """A residual, and points where it has to vanish.

    Attributes:
        residual: The residual of an equation or a condition.
        at: Coordinates of the points, by name.
        normal: Outward normals there, on a face of space.
        constraint: The condition that it is of, None for an equation.
    """

    residual: Residual
    at: dict[str, Tensor]
    normal: dict[str, Tensor] | None
    constraint: Constraint | None = None

    @property
    def condition(self) -> bool:
        """Whether it is no equation."""
        return self.constraint is not None


class ConstantsSystem:
    """Equations and conditions of a problem as equations for the constants of formulas.

    Attributes:
        problem: Whose equations they are.
        forms: Formulas by unknown.
        symbols: The coordinates.
        constants: The constants of all formulas, in order.
        residuals: With the points where they have to vanish.
    """

    def __init__(self, problem: Problem, forms: Mapping[str, Form]):
        self.problem, self.forms = problem, dict(forms)
        self.symbols = [Symbol(x, real=True) for x in problem.coordinates]
        self.constants = [k for form in forms.values() for k in form.constants]
        self.residuals = posed_residuals(problem, POLISHED_INSIDE, POLISHED_ON_FACE)

    @property
    def start(self) -> Array:
        """The constants' values so far."""
        return np.array(
            [
                v
                for form in self.forms.values()
                for k, v in form.values.items()
                if k in form.constants
            ]
        )

    @cached_property
    def _suppliers(self) -> list[list[tuple[Callable[..., list[Array]], list[int]]]]:
        """By residual and leaf: a function that returns the derivative and its partials by the
        unknown's constants, and where these are."""
        known: dict[object, tuple[Callable[..., list[Array]], list[int]]] = {}
        for posed in self.residuals:
            for leaf in posed.residual.needs:
                if leaf not in known:
                    form = self.forms[leaf[0]]
                    value = derivative(form.expression, self.symbols, leaf[1])
                    own = form.constants
                    known[leaf] = (
                        compiled([value, *(value.diff(k) for k in own)], [*self.symbols, *own]),
                        [self.constants.index(k) for k in own],
                    )
        return [[known[leaf] for leaf in posed.residual.needs] for posed in self.residuals]

    @cached_property
    def scales(self) -> list[Array]:
        """By residual and equation, the size of its largest term at the values so far.

        A condition of zeros has none: its scale is a part of the others' and of the unknowns'.
        """
        found = [
            (np.abs(partials) * np.abs(values)[:, None]).sum(2).max(0)
            for _, values, _, partials in self._evaluated(self.start)
        ]
        inside = [v.numpy() for v in self.residuals[0].at.values()]
        size = max(
            float(np.nanmax(np.abs(compiled([form.filled], self.symbols)(*inside)[0])))
            for form in self.forms.values()
        )
        largest = {
            kind: max(
                [
                    size * kind,
                    *(
                        float(np.nanmax(s))
                        for s, p in zip(found, self.residuals, strict=True)
                        if p.condition == kind
                    ),
                ]
            )
            for kind in (False, True)
        }
        return [
            np.maximum(scale, max(1e-3 * largest[posed.condition], 1e-300))
            for scale, posed in zip(found, self.residuals, strict=True)
        ]

    def _evaluated(self, k: Array) -> list[tuple[Array, Array, Array, Array]]:
        """By residual: its values [points, equations], derivatives [points, leaves], theirs by
        constants [points, leaves, constants], and partials."""
        found = []
        for posed, suppliers in zip(self.residuals, self._suppliers, strict=True):
            at = [v.numpy() for v in posed.at.values()]
            values, slopes = [], np.zeros((len(at[0]), len(suppliers), len(k)))
            for a, (supplier, places) in enumerate(suppliers):
                value, *by = supplier(*at, *k[places])
                values.append(value)
                slopes[:, a, places] = np.stack(by, 1) if by else slopes[:, a, places]
            columns = np.stack(values, 1)
            r, partials = posed.residual(posed.at, torch.from_numpy(columns), posed.normal)
            assert partials is not None
            found.append((r.numpy(), columns, slopes, partials.numpy()))
        return found

    def residual(self, k: Array) -> Array:
        """All residuals, each relative to its equation's largest term.

        Args:
            k: The values of the constants, [constants].

        Returns:
            The residuals, [residuals].
        """
        rows = [
            r / scale for (r, _, _, _), scale in zip(self._evaluated(k), self.scales, strict=True)
        ]
        return np.nan_to_num(
            np.concatenate([r.ravel() for r in rows]), nan=1e3, posinf=1e3, neginf=-1e3
        )

    def jacobian(self, k: Array) -> Array:
        """The derivatives of the residuals by the constants.

        Args:
            k: The values of the constants, [constants].

        Returns:
            The derivatives, [residuals, constants].
        """
        rows = [
            np.einsum("nea,nak->nek", partials, slopes) / scale[:, None]
            for (_, _, slopes, partials), scale in zip(self._evaluated(k), self.scales, strict=True)
        ]
        return np.nan_to_num(
            np.concatenate([r.reshape(-1, len(k)) for r in rows]), nan=0.0, posinf=1e3, neginf=-1e3
        )

    def with_values(self, k: Array) -> dict[str, Form]:
        """The formulas with other values of their constants.

        Args:
            k: The values of the constants, [constants].

        Returns:
            The forms by unknown.
        """
        given = dict(zip(self.constants, k.tolist(), strict=True))
        return {
            u: replace(form, values={**form.values, **{c: given[c] for c in form.constants}})
            for u, form in self.forms.items()
        }


def polish(system: ConstantsSystem, steps: int = 40) -> tuple[Array, Array]:
    """Find the constants by least squares on the residuals.

    Args:
        system: Equations for the constants.
        steps: Evaluations, at most.

    Returns:
        The constants, and how far each is from certain: a standard deviation, no less than
        rounding.
    """
    start = system.start
    if not len(start):
        return start, start
    best = least_squares(
        system.residual,
        start,
        system.jacobian,
        x_scale=np.maximum(np.abs(start), 1e-3),
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
        max_nfev=steps,
    )
    k = best.x if np.linalg.norm(best.fun) <= np.linalg.norm(system.residual(start)) else start
    u, s, vt = np.linalg.svd(system.jacobian(k), full_matrices=False)
    left = float(np.linalg.norm(system.residual(k))) / np.sqrt(len(u))
    inverse = np.where(s > 1e-12 * s[0], 1 / np.maximum(s, 1e-300), 0.0)
    spread = left * np.sqrt(len(u)) * np.sqrt(((vt * inverse[:, None]) ** 2).sum(0))
    return k, np.maximum(spread, 1e-14 * np.abs(k))


def posed_residuals(
    problem: Problem, interior: int, face: int, seed: int = 0
) -> list[PosedResidual]:
    """Place the residuals of a problem.

    Args:
        problem: Whose equations and conditions they are.
        interior: Random points inside, for every equation.
        face: Random points on the face of every condition.
        seed: The seed of the points.

    Returns:
        The equations, then the conditions that hold at any of their points.
    """
    generator = torch.Generator().manual_seed(seed)
    dims = len(problem.coordinates)
    inside = by_name(
        problem.domain.interior(
            torch.rand(interior, dims, generator=generator, dtype=torch.float64)
        ),
        problem.coordinates,
    )
    found = [PosedResidual(equation, inside, None) for equation in problem.equations]
    for constraint in problem.constraints:
        at, normal = points_on(
            problem.domain,
            constraint.face,
            torch.rand(face, dims - 1, generator=generator, dtype=torch.float64),
        )
        if constraint.where is not None:
            kept = constraint.where(at)
            at, normal = ({x: v[kept] for x, v in part.items()} for part in (at, normal))
        if len(next(iter(at.values()))):
            found.append(
                PosedResidual(
                    constraint.residual,
                    at,
                    normal if constraint.face in space_faces(problem.domain) else None,
                    constraint,
                )
            )
    return found
