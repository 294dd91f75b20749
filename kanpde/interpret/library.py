"""The functions that formulas are made of, each g(z) of an inner z = b t + c; `register` adds one.

A function is written once, in SymPy; its values, derivatives and LaTeX follow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Expr, Symbol

from kanpde.errors import ProblemError, nearest

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Function:
    """One function of the library.

    Attributes:
        name: Its name in the library.
        expression: Gives g of an expression.
        cost: What it adds to a formula's complexity, 1 for the simplest.
        rates: The |b| that are tried first, for t in [-1, 1]; `()` where a rate only scales g or
            adds to it (log).
        shifts: The c / b that are tried first, in the same t; `()` where a shift does (exp).
        inverse: Gives g⁻¹ of an expression, where g may be the outermost function of a formula,
            such as log for exp.
    """

    name: str
    expression: Callable[[Expr], Expr]
    cost: float = 2.0
    rates: Sequence[float] = tuple(np.geomspace(0.2, 30, 24))
    shifts: Sequence[float] = tuple(np.linspace(-1.2, 1.2, 17))
    inverse: Callable[[Expr], Expr] | None = None

    @cached_property
    def values(self) -> Callable[[Array], Array]:
        """g at z, nan where it is not real."""
        return _real(self.expression)

    @cached_property
    def inverted(self) -> Callable[[Array], Array]:
        """g⁻¹ at values, nan where it is not real."""
        assert self.inverse is not None
        return _real(self.inverse)

    def starts(self) -> Array:
        """Pairs (b, c) to start from, [starts, 2]."""
        signs = (1.0,) if self.rates and self.shifts else (1.0, -1.0)
        return np.array(
            [
                (s * b, -s * b * at)
                for b in self.rates or (1.0,)
                for s in signs
                for at in self.shifts or (0.0,)
            ]
        )


def _real(function: Callable[[Expr], Expr]) -> Callable[[Array], Array]:
    z = Symbol("z", real=True)
    compiled = sympy.lambdify(z, function(z), ["numpy", "scipy"])

    def values(at: Array) -> Array:
        with np.errstate(all="ignore"):
            found = np.broadcast_to(np.asarray(compiled(at)), np.shape(at))
            return np.where(
                np.isfinite(found) & (np.imag(found) == 0), np.real(found), np.nan
            ).astype(np.float64)

    return values


_OUTSIDE = tuple(s * (1 + gap) for s in (-1, 1) for gap in (1e-2, 0.1, 0.3, 1.0, 3.0, 10.0))
"""Where a pole or a branch point may lie: not among the samples."""

_OSCILLATING = tuple(np.concatenate([np.arange(0.25, 12, 0.25), np.arange(12, 50, 0.5)]))

LIBRARY: dict[str, Function] = {
    f.name: f
    for f in (
        Function("exp", sympy.exp, 1.0, shifts=(), inverse=sympy.log),
        Function("sin", sympy.sin, 1.0, _OSCILLATING, (0.0, 0.13, 0.31, 0.5)),
        Function("sinh", sympy.sinh, 2.0, tuple(np.geomspace(0.3, 10, 12))),
        Function("cosh", sympy.cosh, 2.0, tuple(np.geomspace(0.3, 10, 12))),
        Function("tanh", sympy.tanh, 2.0),
        Function("gaussian", lambda z: sympy.exp(-(z**2)), 2.0),
        Function("sech2", lambda z: 1 / sympy.cosh(z) ** 2, 2.0),
        Function("atan", sympy.atan, 2.5),
        Function("log", sympy.log, 2.0, (), _OUTSIDE, inverse=sympy.exp),
        Function("reciprocal", lambda z: 1 / z, 1.5, (), _OUTSIDE, inverse=lambda z: 1 / z),
        Function("sqrt", sympy.sqrt, 1.5, (), _OUTSIDE, inverse=lambda z: z**2),
        Function("lorentz", lambda z: 1 / (1 + z**2), 2.0),
        Function("square", lambda z: z**2, 1.5, (), inverse=sympy.sqrt),
    )
}
"""By name; polynomials and powers, which have constants of their own, are in edges.py."""


def register(
    name: str,
    expression: Callable[[Expr], Expr],
    cost: float = 3.0,
    rates: Sequence[float] | None = None,
    shifts: Sequence[float] | None = None,
    inverse: Callable[[Expr], Expr] | None = None,
) -> None:
    """Add a function to the library: `register("bessel", lambda z: sympy.besselj(0, z))`.

    Args:
        name: Its name, a new one.
        expression: Takes and returns SymPy expressions: g of an expression.
        cost: What it adds to a formula's complexity, 1 for the simplest.
        rates: The rates |b| that are tried first, as in `Function`; its usual ones by default.
        shifts: The shifts c / b that are tried first, as in `Function`; its usual ones by default.
        inverse: Gives g⁻¹ of an expression, where g may be the outermost function of a formula.

    Raises:
        ProblemError: The name is taken, or it is no function of one expression that is finite
            between 0.1 and 0.9.
    """
    if name in LIBRARY:
        raise ProblemError(
            f"register({name!r}): there is such a function already; expected a new name"
        )
    plain = Function(name, expression, cost)
    made = Function(
        name,
        expression,
        cost,
        plain.rates if rates is None else tuple(rates),
        plain.shifts if shifts is None else tuple(shifts),
        inverse,
    )
    try:
        finite = np.isfinite(made.values(np.linspace(0.1, 0.9, 5))).all()
    except (TypeError, ValueError, NameError, AttributeError) as error:
        raise ProblemError(
            f"register({name!r}): {type(error).__name__}: {error}; expected a function that takes"
            " and returns SymPy expressions"
        ) from error
    if not finite:
        raise ProblemError(
            f"register({name!r}): is not a finite real number between 0.1 and 0.9; expected such a"
            " function, scaled and shifted if need be"
        )
    LIBRARY[name] = made


def unregister(name: str) -> None:
    """Take a function out of the library again.

    Args:
        name: Its name in the library.

    Raises:
        ProblemError: There is no such function.
    """
    if name not in LIBRARY:
        raise ProblemError(f"unregister({name!r}): no such function{nearest(name, LIBRARY)}")
    del LIBRARY[name]
