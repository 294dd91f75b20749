"""What `explain` returns: formulas, what was checked of them, and the approximations that were
looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sympy
from sympy import Expr

from kanpde.interpret.verify import Check
from kanpde.results.result import plain
from kanpde.runs.atomic import write_text


@dataclass(frozen=True)
class Tried:
    """A formula that was looked at, its constants as fitted.

    Attributes:
        unknown: The unknown that it is for.
        route: How it was found, in words.
        formula: The formula, a function of the coordinates.
        cost: How complicated it is.
        distance: Its distance to the network, relative L2.
        residual: Its largest residual, relative to the largest term; None where it was not
            computed.
    """

    unknown: str
    route: str
    formula: Expr
    cost: float
    distance: float
    residual: float | None = None


@dataclass(frozen=True)
class Explanation:
    """Closed formulas by unknown, and their check.

    Attributes:
        name: Name of the problem or of the function.
        found: Whether the formulas solve the problem (or, of a function without one, agree with its
            values).
        formulas: The best ones by unknown, approximations where nothing is found.
        distance: The distance of each formula to the network, relative L2, by unknown.
        checks: One check for every equation and condition; none without a problem.
        tried: The best candidates, with rounded constants.
        routes: How each formula was found, in words, by unknown.
        exact_constants: Whether every constant was named.
        seconds: How long the search took.
        notes: What else is worth knowing, in words.
    """

    name: str
    found: bool
    formulas: Mapping[str, Expr]
    distance: Mapping[str, float]
    checks: tuple[Check, ...]
    tried: tuple[Tried, ...]
    routes: Mapping[str, str]
    exact_constants: bool
    seconds: float
    notes: tuple[str, ...] = field(default=())

    def residual(self, unknown: str | None = None) -> float | None:
        """The largest residual of the equations.

        Args:
            unknown: Only equations that mention it count; all of them by default.

        Returns:
            The residual, absolute; None without a problem or a formula.
        """
        return _largest(
            [c for c in self.checks if not c.condition and unknown in (None, *c.unknowns)]
        )

    def boundary_error(self, unknown: str | None = None) -> float | None:
        """The largest residual of the conditions.

        Args:
            unknown: Only conditions that mention it count; all of them by default.

        Returns:
            The residual, absolute; None without a problem or a formula.
        """
        return _largest([c for c in self.checks if c.condition and unknown in (None, *c.unknowns)])

    def symbolic(self, unknown: str | None = None) -> bool | None:
        """Whether the equations and conditions are proved to hold.

        Args:
            unknown: Only those that mention it count; all of them by default.

        Returns:
            True where all of these are proved zero, False where one is not zero, None where one is
            not decided.
        """
        verdicts = [c.symbolic for c in self.checks if unknown in (None, *c.unknowns)]
        return False if False in verdicts else None if None in verdicts or not verdicts else True

    def latex(self, unknown: str) -> str:
        """LaTeX of an unknown's formula.

        Args:
            unknown: Its name.
        """
        return sympy.latex(self.formulas[unknown])

    def text(self) -> str:
        """The formulas as SymPy writes (and reads) them, one a line."""
        return "".join(f"{u} = {f}\n" for u, f in self.formulas.items())

    def summary(self) -> dict[str, Any]:
        """Plain values: the object of `--json` and formula.json."""
        unknowns = {
            u: {
                "formula": str(f),
                "latex": self.latex(u),
                "residual": self.residual(u),
                "boundary_error": self.boundary_error(u),
                "distance": self.distance.get(u),
                "symbolic": self.symbolic(u),
                "route": self.routes.get(u),
            }
            for u, f in self.formulas.items()
        }
        single = next(iter(unknowns.values())) if len(unknowns) == 1 else {}
        found = {
            "problem": self.name,
            "found": self.found,
            "formula": (
                single.get("formula")
                if single
                else {u: v["formula"] for u, v in unknowns.items()} or None
            ),
            "latex": (
                single.get("latex")
                if single
                else {u: v["latex"] for u, v in unknowns.items()} or None
            ),
            "residual": self.residual(),
            "boundary_error": self.boundary_error(),
            "distance": max(self.distance.values(), default=None),
            "symbolic": self.symbolic(),
            "exact_constants": self.exact_constants,
            "unknowns": unknowns,
            "checks": [vars(c) for c in self.checks],
            "tried": [{**vars(t), "formula": str(t.formula)} for t in self.tried],
            "notes": list(self.notes),
            "seconds": self.seconds,
        }
        return dict(plain(found))

    def save(self, folder: Path) -> list[Path]:
        """Write formula.json, and where there are formulas formula.tex and formula.txt.

        Each file is written in one step.

        Args:
            folder: Where the files go, such as the run folder.

        Returns:
            The files that were written.

        Raises:
            RunError: A file cannot be written.
        """
        texts = {
            "formula.json": (
                json.dumps(self.summary(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
            )
        }
        if self.formulas:
            title = "" if self.found else "% no closed form found: approximations\n"
            texts["formula.tex"] = title + "".join(
                f"{sympy.latex(sympy.Symbol(u))} = {self.latex(u)}\n" for u in self.formulas
            )
            texts["formula.txt"] = (
                "" if self.found else "# no closed form found: approximations\n"
            ) + self.text()
        for name, text in texts.items():
            write_text(folder / name, text)
        return [folder / name for name in texts]


def rounded(formula: Expr, digits: int = 6) -> Expr:
    """The formula with so many digits of every number that has no name.

    Args:
        formula: The formula.
        digits: How many digits such a number keeps.
    """
    return formula.xreplace(
        {
            number: sympy.Float(sympy.Float(number, digits), digits)
            for number in formula.atoms(sympy.Float)
        }
    )


def _largest(checks: list[Check]) -> float | None:
    return max((c.error for c in checks), default=None)
