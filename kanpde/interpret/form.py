"""A formula with free constants: an expression, and the values that its constants have so far."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from scipy.optimize import least_squares
from sympy import Dummy, Expr, Symbol

Array = NDArray[np.float64]

_numbers = itertools.count()


def constant() -> Symbol:
    """A new free constant."""
    return Dummy(f"k{next(_numbers)}", real=True)


@dataclass(frozen=True)
class Form:
    """An expression of coordinates and free constants.

    Attributes:
        expression: The expression.
        values: The values of the constants.
        cost: How complicated it is.
        route: How it was found, in words.
    """

    expression: Expr
    values: Mapping[Symbol, float]
    cost: float
    route: str = ""

    @property
    def constants(self) -> list[Symbol]:
        """Those that the expression still has, in order."""
        return [k for k in self.values if k in self.expression.free_symbols]

    @property
    def filled(self) -> Expr:
        """With the values in place of the constants."""
        return self.expression.subs({k: sympy.Float(self.values[k], 17) for k in self.constants})

    def of(self, inner: Mapping[Symbol, Expr]) -> Expr:
        """The expression with other expressions for its coordinates.

        Args:
            inner: What each coordinate is replaced with, all at once.
        """
        return self.expression.subs(inner, simultaneous=True)


def compiled(
    expressions: Sequence[Expr], arguments: Sequence[Symbol]
) -> Callable[..., list[Array]]:
    """A function that evaluates expressions.

    Args:
        expressions: What is evaluated.
        arguments: Their symbols, in the order in which the function takes values for them.

    Returns:
        A function of arrays that broadcast together. It returns the values of each expression, each
        of the full shape, and nan where they are not real.
    """
    function = sympy.lambdify(list(arguments), list(expressions), ["numpy", "scipy"], cse=True)

    def values(*at: Any) -> list[Array]:
        shape = np.broadcast_shapes(*(np.shape(a) for a in at))
        with np.errstate(all="ignore"):
            found = [np.asarray(f) for f in function(*at)]
        real = [
            np.where(np.imag(f) == 0, np.real(f), np.nan) if np.iscomplexobj(f) else f
            for f in found
        ]
        return [np.broadcast_to(f, shape).astype(np.float64) for f in real]

    return values


def fit(
    form: Form, coordinates: Sequence[Symbol], at: Sequence[Array], values: Array, steps: int = 60
) -> tuple[Form, float]:
    """Refit the constants of a form to values at points, by least squares.

    Args:
        form: The form, whose values of the constants are the start.
        coordinates: Its coordinates.
        at: The points, one array for each coordinate, of the shape of the values.
        values: The values there.
        steps: How often, at most, the form is evaluated.

    Returns:
        The form with its constants fitted, and the relative L2 error that is left.
    """
    constants = form.constants
    rows = compiled(
        [form.expression, *(sympy.diff(form.expression, k) for k in constants)],
        [*coordinates, *constants],
    )
    scale = float(np.linalg.norm(values)) or 1.0

    def residual(k: Array) -> Array:
        return np.nan_to_num((rows(*at, *k)[0] - values) / scale, nan=1e3, posinf=1e3, neginf=-1e3)

    def jacobian(k: Array) -> Array:
        return np.nan_to_num(
            np.stack(rows(*at, *k)[1:], -1) / scale, nan=0.0, posinf=1e3, neginf=-1e3
        )

    if not constants:
        return form, float(np.linalg.norm(residual(np.zeros(0))))
    start = np.array([form.values[k] for k in constants])
    found = least_squares(
        residual, start, jacobian, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=steps
    )
    return Form(
        form.expression, dict(zip(constants, found.x.tolist(), strict=True)), form.cost, form.route
    ), float(np.linalg.norm(residual(found.x)))
