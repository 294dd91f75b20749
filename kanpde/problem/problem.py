"""The frozen problem: domain, equations, conditions, exact solution. It is checked once, when it is
built."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from kanpde.errors import ProblemWarning, listed
from kanpde.geometry import Domain, Pieces
from kanpde.problem import families, pieces, variants
from kanpde.problem.complex_unknowns import Complex
from kanpde.problem.conditions import Periodic
from kanpde.problem.constraints import BoundaryCondition
from kanpde.problem.data import Data, Measurement
from kanpde.problem.eigenvalues import by_mode, modes_of
from kanpde.problem.faces import by_name
from kanpde.problem.families import check_constants, check_pointwise
from kanpde.problem.formulation import Formulation, Function
from kanpde.problem.mistaken import check_arguments_of_problem
from kanpde.problem.parameters import Field, Parameter
from kanpde.problem.pencil import Pencil, pencil
from kanpde.problem.prescribed import Value
from kanpde.problem.recorded import Known, Recorded, recorded
from kanpde.problem.statement import Equation, Statement, checked_units, stated
from kanpde.problem.suspicions import suspicions
from kanpde.problem.wellposedness import check
from kanpde.residual.calculus import Values

ARGUMENTS = (
    "domain",
    "equations",
    "conditions",
    "exact",
    "unknowns",
    "parameters",
    "data",
    "units",
    "family",
)
"""Of a Problem, as people write them."""


class Problem(Formulation):
    """A partial differential equation, or a system of them, with its conditions.

    A problem is frozen: another one is made by `replace`, `during`, `settled` or `vary`. On a
    domain of Pieces(…) equations and exact solution may be given by piece.

    Args:
        domain: Box(…), or Box(…) * Time(…).
        equations: Functions of unknowns and coordinates, by name, that vanish.
        conditions: Dirichlet, Neumann, Robin, Periodic, Initial, Condition; Interface on pieces.
        exact: The solution by unknown, if it is known; also true values of parameters, numbers or
            functions.
        unknowns: Names; needed only for those that no condition and no exact solution names, and
            for complex ones, Complex("psi").
        name: What run folders and messages call the problem; a file gives its own name.
        title: One line for people; a file gives the first line of its docstring.
        parameters: Parameter and Field: what else is unknown in the equations, which take them as
            arguments.
        data: Data, from which the parameters are found.
        units: By unknown and coordinate, such as {"x": "m", "u": "K"}. Files and pictures carry
            them; nothing computes with them.
        family: Ranges of parameters by name, {"k": (0.1, 1)}: equations and conditions take them
            as arguments, and the solution is one of all of their values.
        source: The file that the problem was loaded from; `load` gives it.
        constants: Other values of numbers that the file names; `load` gives them.
        easier: See Formulation.
        numbers: See there.
        begun: See there.
        dry_run: What the statement comes to, where `replace` knows it.
        warn: Whether to warn of what is legal but suspicious.
        **others: Nothing; what is misspelt is named.

    Attributes:
        copies: The unknowns by piece, u_copper and u_air for u; elsewhere the unknowns themselves.
        groups: Every region with the equations that hold in it.
        constraints: The conditions, each on one face.
        periodic: Names of the coordinates that are periodic.
        exact: What is known of the solution, functions of all coordinates by unknown.
        exact_copies: The same by copy.
        truth: True values of parameters that are numbers, as far as they are known.
        data: What was measured, on this domain.
        stated: What the user gave.
        dry_run: What that comes to.
        pencil: That of an eigenvalue problem; else None.

    Raises:
        ProblemError: For anything that does not fit together.
        DataError: For data that do not fit the problem.
    """

    stated: Statement
    dry_run: Recorded
    conditions: tuple[BoundaryCondition, ...]
    exact: Mapping[str, Known]
    exact_copies: Mapping[str, Known]
    data: tuple[Measurement, ...]
    truth: Mapping[str, float]
    name: str
    title: str
    source: Path | None
    constants: Mapping[str, float]
    units: Mapping[str, str]
    pencil: Pencil | None

    def __init__(
        self,
        domain: Domain | None = None,
        equations: Equation | Sequence[Equation] | Mapping[str, Any] = (),
        conditions: BoundaryCondition | Sequence[BoundaryCondition] = (),
        exact: Mapping[str, Value] | None = None,
        unknowns: Sequence[str | Complex] | Complex | None = None,
        name: str = "problem",
        title: str = "",
        parameters: Parameter | Sequence[Parameter] = (),
        data: Data | Sequence[Data] = (),
        units: Mapping[str, str] | None = None,
        family: Mapping[str, tuple[float, float]] | None = None,
        *,
        source: Path | None = None,
        constants: Mapping[str, float] | None = None,
        easier: Formulation | None = None,
        numbers: Mapping[str, float] | None = None,
        begun: Mapping[str, Function] | None = None,
        dry_run: Recorded | None = None,
        warn: bool = True,
        **others: object,
    ):
        check_arguments_of_problem(others, ARGUMENTS)
        given = by_mode(
            stated(domain, equations, conditions, exact, unknowns, parameters, data, family)
        )
        found = dry_run or (pieces.recorded if isinstance(domain, Pieces) else recorded)(given)
        super().__init__(
            domain=given.whole,
            unknowns=found.unknowns,
            copies=found.copies,
            groups=found.groups,
            constraints=found.constraints,
            periodic=_periodic(given.conditions),
            parameters=given.parameters,
            easier=easier,
            numbers=dict(numbers or {}),
            begun=dict(begun or {}),
        )
        vars(self).update(
            stated=given,
            dry_run=found,
            conditions=given.conditions,
            exact=found.exact,
            exact_copies=found.exact_copies,
            truth=found.truth,
            data=found.data,
            name=name,
            title=title,
            source=source,
            constants=dict(constants or {}),
            units=checked_units(units, (*found.unknowns, *given.whole.coordinates)),
        )
        check_constants(self.constants, given.family)
        check_pointwise(self)
        check(self)
        vars(self)["pencil"] = pencil(self) if modes_of(given.parameters) else None
        for line in suspicions(self) if warn else ():
            warnings.warn(line, ProblemWarning, stacklevel=2)

    def replace(self, **changes: Any) -> Problem:
        """This problem with other arguments of `Problem(…)` in place of some.

        All is built and checked anew, but for the dry run of functions where none changes. What is
        suspicious was said of this one and is not said again.

        Args:
            **changes: The new arguments by name.

        Raises:
            ProblemError: As for Problem.
        """
        given = {
            **vars(self.stated),
            "name": self.name,
            "title": self.title,
            "units": self.units,
            "source": self.source,
            "constants": self.constants,
            "dry_run": None if changes.keys() & vars(self.stated).keys() else self.dry_run,
            "warn": False,
        }
        return Problem(**{**given, **changes})

    def during(self, low: float, high: float, start: Mapping[str, Value] | None = None) -> Problem:
        """The same problem over a part of its time.

        Args:
            low: Where the part begins, in units of the time coordinate.
            high: Where it ends.
            start: Values and velocities there, as Initial takes them; without it, the problem's
                own.
        """
        return variants.during(self, low, high, start)

    def settled(self, values: Mapping[str, float]) -> Problem:
        """The same problem with numbers for its parameters: one to be solved forwards, without
        data.

        Args:
            values: A number for each of the parameters.
        """
        return variants.settled(self, values)

    @property
    def family(self) -> Mapping[str, tuple[float, float]]:
        """Ranges of the parameters of a family, by name."""
        return self.domain.family

    def member(self, **values: float) -> Problem:
        """The problem of a family at one value of each of its parameters, which are constants in
        it.

        Args:
            **values: By name; numbers within their ranges.

        Raises:
            ProblemError: For other names, missing ones, and values outside of their ranges.
        """
        return families.member(self, values)

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"Problem is frozen; make a new one instead of setting {key!r}")

    def __repr__(self) -> str:
        return f"Problem({self.name}: {listed(self.unknowns)} on {self.domain!r})"

    @property
    def functions(self) -> tuple[str, ...]:
        """What is unknown and varies: the unknowns, then the fields among the parameters."""
        return (*self.unknowns, *(p.name for p in self.parameters if isinstance(p, Field)))

    @property
    def outputs(self) -> tuple[str, ...]:
        """All that is unknown: the unknowns (on pieces their copies), then the parameters, fields
        first."""
        return (*self.copies, *(p.name for p in self.parameters))

    def exact_values(self, points: Tensor | Values) -> dict[str, Tensor]:
        """The exact solution at points, by unknown; nothing where it is not known.

        Args:
            points: [points, dimensions], or [points] by the name of the coordinate.

        Returns:
            [points] by unknown.
        """
        at = by_name(points, self.coordinates)
        return {u: f(at) for u, f in self.exact.items()}


def _periodic(conditions: Sequence[BoundaryCondition]) -> tuple[str, ...]:
    """The periodic coordinates, each once."""
    named = (x for c in conditions if isinstance(c, Periodic) for x in c.coordinates)
    return tuple(dict.fromkeys(named))
