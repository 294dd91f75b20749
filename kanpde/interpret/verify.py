"""Whether formulas solve a problem: the residual of its own equations and conditions, in many
digits and as an identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import mpmath
import numpy as np
import sympy
import torch
from sympy import Expr, Symbol

from kanpde.errors import ProblemError
from kanpde.interpret.constants import exactly
from kanpde.interpret.form import compiled
from kanpde.interpret.limits import within
from kanpde.interpret.polish import PosedResidual, posed_residuals
from kanpde.interpret.symbolic import derivative, translate
from kanpde.problem.constraints import Constraint
from kanpde.problem.problem import Problem

POINTS_INSIDE, POINTS_ON_FACE, VERIFIED_DIGITS = 32, 8, 40

NEARLY_ZERO = 1e-25
"""In so many digits, a residual below this (relative) is worth the search for a proof that it is
zero."""


@dataclass(frozen=True)
class Check:
    """One equation or condition at random points.

    Attributes:
        name: The name of the equation or condition.
        unknowns: The unknowns that it mentions.
        condition: Whether it is no equation.
        error: Its largest residual there, absolute.
        scale: The size of its largest term.
        rounding: Up to which the error may be that of float64; 0 where it was evaluated in
            VERIFIED_DIGITS digits.
        symbolic: Whether it was proved zero; None for not decided.
    """

    name: str
    unknowns: tuple[str, ...]
    condition: bool
    error: float
    scale: float
    rounding: float
    symbolic: bool | None


def verify(
    problem: Problem, formulas: Mapping[str, Expr], seconds: float = 10.0, seed: int = 1
) -> list[Check]:
    """Check every equation and condition of a problem.

    Never raises for a formula that is no solution: its errors say so.

    Args:
        problem: The problem whose equations and conditions they are.
        formulas: The formula of each unknown, in the problem's coordinates.
        seconds: The time for the proofs that residuals are zero, all together.
        seed: The seed of the points where they are evaluated.

    Returns:
        One check an equation or condition, periodic ones last.
    """
    symbols = {x: Symbol(x, real=True) for x in problem.coordinates}
    found = []
    places = posed_residuals(problem, POINTS_INSIDE, POINTS_ON_FACE, seed)
    for posed in places:
        face = posed.constraint
        unknowns = tuple(dict.fromkeys(u for u, _ in posed.residual.needs))
        float_errors, scales = _in_float64(posed, formulas, list(symbols.values()))
        rows = _translated(problem, posed, face, symbols, formulas)
        for i in range(posed.residual.equations):
            name = posed.residual.name + (f" ({i + 1})" if posed.residual.equations > 1 else "")
            if rows is None:
                rounding = 2**-52 * 64 * float(scales[i])
                found.append(
                    Check(
                        name,
                        unknowns,
                        face is not None,
                        float(float_errors[i]),
                        float(scales[i]),
                        rounding,
                        None,
                    )
                )
                continue
            error = _in_digits(rows[i], symbols, posed)
            symbolic: bool | None = error == 0 and rows[i] == 0
            if not symbolic and error <= NEARLY_ZERO * max(float(scales[i]), 1e-300):
                symbolic = within(seconds / (2 * len(places)), partial(is_zero, rows[i])) or None
            found.append(
                Check(name, unknowns, face is not None, error, float(scales[i]), 0.0, symbolic)
            )
    return found + _periodic(problem, formulas, symbols, seconds / 4)


def is_zero(expression: Expr) -> bool:
    """Whether SymPy finds that an expression is zero, by the cheaper ways first.

    Args:
        expression: The expression.
    """
    if expression == 0 or sympy.expand(expression) == 0:
        return True
    if (
        sympy.expand(sympy.expand_trig(sympy.expand(expression))) == 0
        or sympy.expand(expression.rewrite(sympy.exp)) == 0
    ):
        return True
    return bool(sympy.simplify(expression) == 0)


def _translated(
    problem: Problem,
    posed: PosedResidual,
    face: Constraint | None,
    symbols: Mapping[str, Symbol],
    formulas: Mapping[str, Expr],
) -> list[Expr] | None:
    """The residual as expressions, on a flat face with the face's own coordinate put in; None where
    the user's function cannot be translated."""
    normal = None if posed.normal is None else {x: v[:1] for x, v in posed.normal.items()}
    if posed.normal is not None and any(
        not torch.equal(v, v[:1].expand_as(v)) for v in posed.normal.values()
    ):
        return None
    try:
        rows = translate(posed.residual, symbols, formulas, normal)
    except (
        ProblemError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        RuntimeError,
    ):  # what a user's function does with an expression can be anything
        return None
    flat = problem.domain.faces[face.face] if face is not None else None
    if flat is not None and flat.coordinate is not None:
        low, high = problem.domain.bounds[flat.coordinate]
        rows = [
            row.subs(symbols[flat.coordinate], exactly(low if flat.side < 0 else high))
            for row in rows
        ]
    return rows


def _in_digits(row: Expr, symbols: Mapping[str, Symbol], posed: PosedResidual) -> float:
    """The largest absolute value at the residual's points, in VERIFIED_DIGITS digits; inf where it
    is no number."""
    function = sympy.lambdify(list(symbols.values()), row, "mpmath")
    largest = 0.0
    with mpmath.workdps(VERIFIED_DIGITS):
        for point in zip(*(v.tolist() for v in posed.at.values()), strict=True):
            try:
                value = float(abs(function(*map(mpmath.mpf, point))))
            except (ArithmeticError, ValueError, TypeError):
                return float("inf")
            largest = max(largest, value) if value == value else float("inf")
    return largest


def _in_float64(
    posed: PosedResidual, formulas: Mapping[str, Expr], symbols: Sequence[Symbol]
) -> tuple[np.ndarray, np.ndarray]:
    """Largest residual and largest term by equation, from the residual itself."""
    at = [v.numpy() for v in posed.at.values()]
    columns = np.stack(
        compiled(
            [derivative(formulas[u], symbols, index) for u, index in posed.residual.needs], symbols
        )(*at),
        1,
    )
    r, partials = posed.residual(posed.at, torch.from_numpy(columns), posed.normal)
    assert partials is not None
    terms = (partials.abs() * torch.from_numpy(np.abs(columns))[:, None]).sum(2)
    errors = np.nan_to_num(np.abs(r.numpy()).max(0), nan=np.inf)
    return errors, np.maximum(np.nan_to_num(terms.numpy().max(0), nan=np.inf), 1e-300)


def _periodic(
    problem: Problem, formulas: Mapping[str, Expr], symbols: Mapping[str, Symbol], seconds: float
) -> list[Check]:
    """Values, and derivatives below the order of the equations, at both ends of the coordinates
    that repeat."""
    found = []
    inside = posed_residuals(problem, POINTS_ON_FACE, 1)[0]
    for x in problem.periodic:
        low, high = (exactly(end) for end in problem.domain.bounds[x])
        for u, formula in formulas.items():
            for order in range(max(problem.order(u, x), 1)):
                slope = sympy.diff(formula, symbols[x], order) if order else formula
                row = slope.subs(symbols[x], low) - slope.subs(symbols[x], high)
                error = _in_digits(row, symbols, inside)
                scale = max(_in_digits(slope, symbols, inside), 1e-300)
                symbolic: bool | None = row == 0
                if not symbolic and error <= NEARLY_ZERO * scale:
                    symbolic = within(seconds, partial(is_zero, row)) or None
                found.append(
                    Check(
                        f"Periodic({x!r}), {u}, derivative {order}",
                        (u,),
                        True,
                        error,
                        scale,
                        0.0,
                        symbolic,
                    )
                )
    return found
