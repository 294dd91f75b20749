"""Residuals of a formula: the problem's own functions, called on expressions of SymPy in place of
tensors.

A `Formula` is a tensor of one element to whatever it meets, and an expression to torch's functions:
`torch.sin(pi * x)` becomes sin(π x), since floats are taken for the numbers that they round.
`kanpde.d` is then exact differentiation. What has no counterpart (a choice by values, a sum over
quadrature nodes) raises ProblemError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import sympy
import torch
from sympy import Expr, Rational, Symbol
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.interpret.constants import exactly
from kanpde.residual.calculus import Leaf, Leaves
from kanpde.residual.residual import Residual

_half = Rational(1, 2)

FUNCTIONS: dict[str, Callable[..., Expr]] = {
    "add": lambda a, b, alpha=1: a + alpha * b,
    "sub": lambda a, b, alpha=1: a - alpha * b,
    "rsub": lambda a, b, alpha=1: b - alpha * a,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "rpow": lambda a, b: b**a,
    "rdiv": lambda a, b: b / a,
    "neg": lambda a: -a,
    "positive": lambda a: a,
    "square": lambda a: a**2,
    "sqrt": sympy.sqrt,
    "rsqrt": lambda a: 1 / sympy.sqrt(a),
    "reciprocal": lambda a: 1 / a,
    "exp": sympy.exp,
    "exp2": lambda a: 2**a,
    "expm1": lambda a: sympy.exp(a) - 1,
    "log": sympy.log,
    "log2": lambda a: sympy.log(a, 2),
    "log10": lambda a: sympy.log(a, 10),
    "log1p": lambda a: sympy.log(1 + a),
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "asin": sympy.asin,
    "acos": sympy.acos,
    "atan": sympy.atan,
    "atan2": sympy.atan2,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "tanh": sympy.tanh,
    "asinh": sympy.asinh,
    "sigmoid": lambda a: 1 / (1 + sympy.exp(-a)),
    "erf": sympy.erf,
    "erfc": sympy.erfc,
    "abs": sympy.Abs,
    "hypot": lambda a, b: sympy.sqrt(a**2 + b**2),
    "zeros_like": lambda a: sympy.Integer(0),
    "ones_like": lambda a: sympy.Integer(1),
    "full_like": lambda a, value: value,
}
"""torch's functions and methods by name."""

_SAME = {
    "to",
    "expand",
    "expand_as",
    "clone",
    "detach",
    "contiguous",
    "double",
    "type_as",
    "requires_grad_",
    "squeeze",
    "flatten",
    "view_as",
    "reshape",
}
_ABOUT = {"is_floating_point", "is_complex", "dim", "size", "numel", "__len__", "__get__"}
_ALIASES = {
    "true_divide": "div",
    "divide": "div",
    "multiply": "mul",
    "subtract": "sub",
    "negative": "neg",
    "absolute": "abs",
    "float_power": "pow",
    "arctan": "atan",
    "__rdiv__": "rdiv",
}


class Formula(Tensor):
    """A tensor [1] that stands for an expression.

    Attributes:
        expression: The expression.
    """

    expression: Expr

    @staticmethod
    def __new__(cls, expression: Expr | float) -> Formula:
        made: Formula = Tensor._make_subclass(cls, torch.full((1,), torch.nan, dtype=torch.float64))  # type: ignore[attr-defined]
        made.expression = sympy.sympify(expression)
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Formula({self.expression})"

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__
        if name in _ABOUT:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))
        if name in _SAME:
            return args[0]
        if name == "isfinite":
            return torch.ones(1, dtype=torch.bool)
        name = _ALIASES.get(name, name.strip("_"))
        name = {
            "radd": "add",
            "rmul": "mul",
            "truediv": "div",
            "rtruediv": "rdiv",
            "rsub": "rsub",
        }.get(name, name)
        if name not in FUNCTIONS:
            raise ProblemError(f"{func.__name__}: has no counterpart in formulas")
        settings = {k: v for k, v in (kwargs or {}).items() if k in ("alpha", "exponent")}
        return Formula(
            FUNCTIONS[name](
                *(_expression(a) for a in args), **{k: _expression(v) for k, v in settings.items()}
            )
        )


def _expression(value: Any) -> Expr:
    """A formula, a number, or a tensor of one element (or of equal ones), as an expression."""
    if isinstance(value, Formula):
        return value.expression
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        value = value.item()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return sympy.Integer(value) if isinstance(value, int) else exactly(value)
    raise ProblemError(f"{type(value).__name__}: has no counterpart in formulas")


class Expressions(Leaves):
    """The derivatives of formulas, in place of those of a network or a grid."""

    def __init__(
        self,
        symbols: Mapping[str, Symbol],
        space: Sequence[str],
        formulas: Mapping[str, Expr],
        normal: Mapping[str, Tensor] | None = None,
    ):
        super().__init__(
            {x: Formula(symbol) for x, symbol in symbols.items()}, space, self._derivative, normal
        )
        self._symbols, self._formulas = list(symbols.values()), formulas

    def _derivative(self, leaf: Leaf) -> Tensor:
        return Formula(derivative(self._formulas[leaf[0]], self._symbols, leaf[1]))

    def __getitem__(self, leaf: Leaf) -> Tensor:
        return self._derivative(leaf)

    def differentiate(self, expression: Tensor | float, axes: Sequence[int]) -> Tensor:
        """Exact differentiation.

        Args:
            expression: What is differentiated.
            axes: Numbers of the coordinates, one for each derivative that is taken.
        """
        found = sympy.Integer(0) if isinstance(expression, Real) else _expression(expression)
        for axis in axes:
            found = sympy.diff(found, self._symbols[axis])
        return Formula(found)


def derivative(formula: Expr, symbols: Sequence[Symbol], index: Sequence[int]) -> Expr:
    """A partial derivative of a formula.

    Args:
        formula: What is differentiated.
        symbols: The coordinates.
        index: How often it is differentiated by each of them.
    """
    orders = [(x, n) for x, n in zip(symbols, index, strict=True) if n]
    return sympy.diff(formula, *orders) if orders else formula


def translate(
    residual: Residual,
    symbols: Mapping[str, Symbol],
    formulas: Mapping[str, Expr],
    normal: Mapping[str, Tensor] | None = None,
) -> list[Expr]:
    """The residual of formulas, as expressions.

    Args:
        residual: The residual of a problem.
        symbols: The symbol of each coordinate, by name.
        formulas: The formula of each unknown, in these symbols, by name.
        normal: On a face, one normal [1] by coordinate.

    Returns:
        One expression for each equation of the residual.

    Raises:
        ProblemError: The user's function does what expressions cannot.
    """
    return [
        _expression(row)
        for row in residual.rows(Expressions(symbols, residual.space, formulas, normal))
    ]
