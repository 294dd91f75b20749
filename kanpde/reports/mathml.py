"""A problem in mathematical notation: its own functions, called on expressions, as presentation
MathML.

Browsers draw MathML Core themselves. u_xx is written for a derivative, as the problem files do;
constants of the file keep their names. What cannot be written so (a sum over quadrature nodes, a
choice by values) is left to the words that name it.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any

import sympy
import torch
from sympy import Add, Derivative, Expr, Function, Mul, Symbol
from sympy.core.function import AppliedUndef
from sympy.printing.mathml import MathMLPresentationPrinter

from kanpde.errors import KanpdeError
from kanpde.interpret.constants import exactly, rational
from kanpde.interpret.symbolic import Formula, translate
from kanpde.problem.constraints import Constraint
from kanpde.problem.problem import Problem

WHAT_NOTATION_MEETS = (
    KanpdeError,
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    NotImplementedError,
    RecursionError,
)
"""What a user's function does with an expression can be anything."""

_THIN = '<mspace width="0.16em"></mspace>'
"""Between factors: without it names of several letters run into one another."""

LONGEST = 6000
"""Characters of a formula that is shown."""


@dataclass
class Notation:
    """A problem as MathML elements, or as escaped words where that cannot be.

    Attributes:
        equations: Each one, after its name.
        conditions: Each one, and where it holds.
        exact: The exact solution by unknown.
        constants: The constants, with their values.
        parameters: The unknown parameters of an inverse problem, in words.
        data: The data of an inverse problem, in words.
    """

    equations: list[tuple[str, str]] = field(default_factory=list)
    conditions: list[tuple[str, str]] = field(default_factory=list)
    exact: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)


def notation(problem: Problem) -> Notation:
    """The notation of a whole problem; never raises for a function that has none.

    Args:
        problem: The problem.
    """
    writer = _Writer(problem)
    found = Notation(
        constants=[writer.constant(name, value) for name, value in writer.values.items()]
    )
    for equation in problem.equations:
        rows = writer.residual(equation)
        name = escape(equation.name.removesuffix("()"))
        found.equations += (
            [(name, row) for row in rows] if rows else [(name, _words(equation.name))]
        )
    found.conditions = writer.conditions()
    found.exact = writer.exact()
    found.parameters = [repr(p) for p in getattr(problem, "parameters", ())]
    found.data = [
        f"{len(m.values):,} values of {', '.join(m.unknowns)}" for m in getattr(problem, "data", ())
    ]
    return found


class _Writer:
    """Writes a problem's residuals; values: of the named constants of its file."""

    def __init__(self, problem: Problem):
        self.problem = problem
        self.symbols = {x: Symbol(x, real=True) for x in problem.coordinates}
        self.unknowns = {u: Function(u)(*self.symbols.values()) for u in problem.copies}
        self.formulas = {
            **{p.name: self._parameter(p) for p in getattr(problem, "parameters", ())},
            **self.unknowns,
        }
        self.module = _module_of(problem)
        self.values = _values_of(problem, self.module)

    def residual(
        self,
        residual: Any,
        normal: Mapping[str, torch.Tensor] | None = None,
        fixed: Mapping[Symbol, Expr] | None = None,
    ) -> list[str]:
        """Rows such as "u_xx + u_yy = f", or none. fixed: coordinates that have one value where it
        holds."""
        for names in ({name: Formula(Symbol(name)) for name in self.values}, {}):
            try:
                with _renamed(self.module, names):
                    rows = translate(residual, self.symbols, self.formulas, normal)
                return [self.equation(row, fixed or {}) for row in rows]
            except WHAT_NOTATION_MEETS:
                continue
        return []

    def equation(self, row: Expr, fixed: Mapping[Symbol, Expr]) -> str:
        """What contains unknowns, the highest derivatives first, equals the rest."""
        terms = Add.make_args(sympy.expand_mul(row) if len(str(row)) < 300 else row)
        left = sorted((t for t in terms if t.has(*self.unknowns.values())), key=self._rank)
        right = Add(*(-t for t in terms if not t.has(*self.unknowns.values()))).subs(fixed)
        if left and all(_sign(t) < 0 for t in left):
            left, right = [-t for t in left], -right
        return _math(f"{self._sum(left)}<mo>=</mo>{self.show(right)}")

    def conditions(self) -> list[tuple[str, str]]:
        """What holds on which faces; equal conditions together. What cannot be written is named."""
        found: dict[str, list[str]] = {}
        for c in self.problem.constraints:
            rows = self._on_face(c)
            where = escape(c.face) + (" (a piece)" if c.where else "")
            for row in rows or [_words(c.label.partition(" on ")[0])]:
                found.setdefault(row, []).append(where)
        whole = [
            face for face in self.problem.domain.faces if face != f"{self.problem.domain.time}-"
        ]
        shown = [(row, self._where(faces, whole)) for row, faces in found.items()]
        return shown + [
            (_math(f"<mtext>periodic in\u00a0</mtext><mi>{escape(x)}</mi>"), "")
            for x in self.problem.periodic
        ]

    def exact(self) -> list[str]:
        """u = formula for each unknown whose exact solution can be written."""
        found = []
        for u, function in self.problem.exact_copies.items():
            rows = None
            for names in ({name: Formula(Symbol(name)) for name in self.values}, {}):
                try:
                    with _renamed(self.module, names):
                        rows = function({x: Formula(s) for x, s in self.symbols.items()}).expression  # type: ignore[attr-defined]
                    break
                except WHAT_NOTATION_MEETS:
                    continue
            text = (
                None if rows is None else _math(f"<mi>{escape(u)}</mi><mo>=</mo>{self.show(rows)}")
            )
            found.append(text if text and len(text) < LONGEST else _words(f"{u}: known, as code"))
        return found

    def constant(self, name: str, value: float) -> str:
        """ν = 1/(100π) ≈ 0.00318, or shorter where the number is plain."""
        closed, decimal = exactly(value), f"{value:.6g}"
        symbol = self.show(Symbol(name))
        if closed.is_Rational and (closed.q == 1 or float(decimal) == value):
            return _math(f"{symbol}<mo>=</mo>{_number(decimal)}")
        exact = (
            f"<mo>=</mo>{self.show(closed)}" if not closed.is_Rational or closed.q < 1000 else ""
        )
        return _math(f"{symbol}{exact}<mo>≈</mo>{_number(decimal)}")

    def show(self, expression: Expr) -> str:
        """An expression as MathML elements."""
        numbers = {
            number: _readable(number)
            for number in expression.atoms(sympy.Rational)
            if number.q > 1000
        }
        return str(_Printer().doprint(expression.xreplace(numbers).replace(sympy.exp, _Power)))

    def _parameter(self, parameter: Any) -> Expr:
        """An unknown parameter: a number, or a field of some coordinates."""
        of = [self.symbols[x] for x in getattr(parameter, "of", ())]
        return Function(parameter.name)(*of) if of else Symbol(parameter.name)

    def _sum(self, terms: Sequence[Expr]) -> str:
        parts = []
        for k, term in enumerate(terms):
            negative = _sign(term) < 0
            sign = "<mo>-</mo>" if negative else "<mo>+</mo>" if k else ""
            body = self.show(-term if negative else term)
            parts.append(
                sign + (f"<mrow><mo>(</mo>{body}<mo>)</mo></mrow>" if term.is_Add else body)
            )
        return "".join(parts) or "<mn>0</mn>"

    def _rank(self, term: Expr) -> tuple[int, int, int, str]:
        """Derivatives in time first, then by order; lower powers before higher."""
        derivatives = term.atoms(Derivative)
        time = self.symbols.get(self.problem.domain.time or "")
        evolves = any(time in d.variables for d in derivatives) if time is not None else False
        order = max((int(d.derivative_count) for d in derivatives), default=0)
        factors = len(Mul.make_args(term))
        return (
            0 if evolves and factors <= 2 else 1,
            -order if evolves else -(order > 0),
            factors,
            str(term),
        )

    def _on_face(self, c: Constraint) -> list[str]:
        domain = self.problem.domain
        face = domain.faces[c.face]
        unit = torch.full((1, len(domain.coordinates) - 1), 0.37, dtype=torch.float64)
        at = domain.boundary(c.face, unit)
        columns = domain.normals(c.face, at)
        normal = (
            None
            if face.coordinate == domain.time and domain.time
            else dict(zip(domain.coordinates, columns.unbind(1), strict=True))
        )
        if face.coordinate is None and any(
            index[k] for _, index in c.residual.needs for k in range(len(index))
        ):
            return []  # the normal turns along a curved face
        fixed = (
            {
                self.symbols[face.coordinate]: exactly(
                    float(at[0, domain.coordinates.index(face.coordinate)])
                )
            }
            if face.coordinate
            else {}
        )
        return self.residual(c.residual, normal, fixed)

    def _where(self, faces: Sequence[str], whole: Sequence[str]) -> str:
        time = self.problem.domain.time
        start = (
            [f"at {escape(time)} = {self.problem.domain.bounds[time][0]:g}"]
            if time and f"{time}-" in faces
            else []
        )
        sides = [face for face in faces if face != f"{time}-"]
        words = (
            "on the whole boundary"
            if sides == list(whole) and len(sides) > 1
            else f"on {', '.join(sides)}"
        )
        return " and ".join([words, *start] if sides else start)


class _Power(Function):
    """e to a power, which stays where it is: SymPy would print e^-x as 1 over e^x."""


class _Printer(MathMLPresentationPrinter):
    """SymPy's, with u_xx for derivatives, u for the unknown u(x, y), and no parentheses around
    either."""

    def _print_Derivative(self, e: Derivative) -> Any:
        if not isinstance(e.expr, AppliedUndef):
            return super()._print_Derivative(e)
        row = self.dom.createElement("mrow")
        for x, count in e.variable_count:
            for _ in range(int(count)):
                row.appendChild(self._print(x))
        made = self.dom.createElement("msub")
        made.appendChild(self._letter(e.expr.func.__name__))
        made.appendChild(row)
        return made

    def parenthesize(self, item: Expr, level: int, strict: bool = False) -> Any:
        plain = isinstance(item, Derivative) and isinstance(item.expr, AppliedUndef)
        return self._print(item) if plain else super().parenthesize(item, level, strict)

    def _print_Exp1(self, e: Expr) -> Any:
        return self._letter("e")

    def _print__Power(self, e: Expr) -> Any:
        made = self.dom.createElement("msup")
        made.appendChild(self._letter("e"))
        made.appendChild(self._print(e.args[0]))
        return made

    def _print_AppliedUndef(self, e: AppliedUndef) -> Any:
        return self._letter(e.func.__name__)

    def _print_Function(self, e: Any) -> Any:
        return (
            self._letter(e.func.__name__)
            if isinstance(e, AppliedUndef)
            else super()._print_Function(e)
        )

    def _letter(self, name: str) -> Any:
        return self._print(Symbol(name))


def _readable(number: sympy.Rational) -> Expr:
    """A float that has no name as a multiple of a higher power of π, where it is one, else as a
    decimal."""
    for power in (3, 4, 5, 6):
        share = rational(float(number) / math.pi**power, 1e-14 * abs(float(number)))
        if share is not None and share.q <= 100:
            return share * sympy.pi**power
    return sympy.Float(float(number), 6)


def _number(text: str) -> str:
    """A decimal; 1e-05 as a power of ten."""
    mantissa, mark, exponent = text.partition("e")
    if not mark:
        return f"<mn>{text}</mn>"
    return f"<mn>{mantissa}</mn><mo>·</mo><msup><mn>10</mn><mn>{int(exponent)}</mn></msup>"


def _sign(term: Expr) -> int:
    return -1 if term.could_extract_minus_sign() else 1


def _math(body: str) -> str:
    """With true minus signs, and with parentheses that grow only around fractions: browsers grow
    them around any letter with a tail."""
    body = (
        body.replace("<mo>-</mo>", "<mo>−</mo>")
        .replace("<mn>-", "<mn>−")
        .replace("<mo>&InvisibleTimes;</mo>", _THIN)
    )
    opened: list[int] = []
    fixed: set[int] = set()
    for found in re.finditer(r"<mo>([()])</mo>", body):
        if found[1] == "(":
            opened.append(found.start())
        elif opened and "<mfrac" not in body[(start := opened.pop()) : found.start()]:
            fixed |= {start, found.start()}
    body = re.sub(
        r"<mo>([()])</mo>",
        lambda m: f'<mo stretchy="false">{m[1]}</mo>' if m.start() in fixed else m[0],
        body,
    )
    return f"<math><mrow>{body}</mrow></math>"


def _words(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _module_of(problem: Problem) -> dict[str, Any] | None:
    """The names of the problem's file, where it comes from one."""
    found = getattr(problem.equations[0].function, "__globals__", None)
    return (
        found
        if problem.source is not None
        and found is not None
        and str(found.get("__name__", "")).startswith("kanpde_problem_")
        else None
    )


def _values_of(problem: Problem, module: Mapping[str, Any] | None) -> dict[str, float]:
    """The numbers that the file names."""
    if module is None or problem.source is None:
        return {}
    assigned = (
        t.id
        for s in ast.parse(problem.source.read_bytes()).body
        if isinstance(s, ast.Assign)
        for t in s.targets
        if isinstance(t, ast.Name)
    )
    return {
        name: float(module[name])
        for name in assigned
        if isinstance(module.get(name), int | float) and not isinstance(module[name], bool)
    }


@contextmanager
def _renamed(module: dict[str, Any] | None, names: Mapping[str, Any]) -> Iterator[None]:
    """In the block, the file's functions see these in place of its constants."""
    if module is None:
        yield
        return
    before = {name: module[name] for name in names}
    module.update(names)
    try:
        yield
    finally:
        module.update(before)
