"""The frozen problem: domain, equations, conditions, exact solution. It is validated once, when it
is built."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanpde.errors import ProblemError, listed, nearest
from kanpde.geometry import Domain, Pieces, SpaceTime, Time
from kanpde.problem import pieces as piecewise
from kanpde.problem.conditions import (
    BoundaryCondition,
    Condition,
    Constraint,
    Initial,
    Periodic,
    Value,
    by_name,
    prescribed_value,
    two_points,
)
from kanpde.problem.data import Data, Measurement, check_data
from kanpde.problem.file import execute
from kanpde.problem.gallery import find as find
from kanpde.problem.gallery import gallery as gallery
from kanpde.problem.parameters import Field, Parameter, check_parameters
from kanpde.problem.wellposedness import check
from kanpde.residual.calculus import Values
from kanpde.residual.functions import argument_names, check_arguments, function_name
from kanpde.residual.recording import record
from kanpde.residual.residual import Residual

if TYPE_CHECKING:
    from kanpde.recipes.recipe import Recipe


RECIPES = {"quick": "quick", "default": "recipe", "record": "record"}
"""The names of recipes in a problem's file, by effort."""


class Problem:
    """A partial differential equation, or a system of them, with its conditions.

    domain: Box(…), or Box(…) * Time(…). equations: functions of unknowns and coordinates, by name,
    that vanish. conditions: Dirichlet, Neumann, Robin, Periodic, Initial, Condition. exact: the
    solution by unknown, if it is known. unknowns: needed only for those that no condition and no
    exact solution names. units: of unknowns and coordinates by name, such as {"x": "m", "u": "K"};
    files and pictures carry them, and nothing computes with them. parameters: Parameter and Field,
    what else is unknown in the equations, which take them as arguments; data: Data, from which they
    are found. Where true values of parameters are known, `exact` may give them too, numbers or
    functions. On a domain of Pieces(…), equations and exact are given by piece, and `copies` are
    the unknowns there, u_copper and u_air for u (elsewhere the unknowns themselves), exact_copies
    what is known of them; groups: every region with the equations that hold in it. Raises
    ProblemError for anything that does not fit together; warns (ProblemWarning) where it is legal
    but suspicious.
    """

    domain: Domain
    unknowns: tuple[str, ...]
    copies: tuple[str, ...]
    groups: tuple[tuple[Domain, tuple[Residual, ...]], ...]
    conditions: tuple[BoundaryCondition, ...]
    constraints: tuple[Constraint, ...]
    periodic: tuple[str, ...]
    exact: Mapping[str, Callable[[Values], Tensor]]
    parameters: tuple[Parameter, ...]
    data: tuple[Measurement, ...]
    truth: Mapping[str, float]
    name: str
    title: str
    source: Path | None
    constants: Mapping[str, float]
    units: Mapping[str, str]

    def __init__(
        self,
        domain: Domain,
        equations: (
            Callable[..., Tensor]
            | Sequence[Callable[..., Tensor | Sequence[Tensor]]]
            | Mapping[str, Any]
        ),
        conditions: BoundaryCondition | Sequence[BoundaryCondition] = (),
        exact: Mapping[str, Value] | None = None,
        unknowns: Sequence[str] | None = None,
        name: str = "problem",
        title: str = "",
        parameters: Parameter | Sequence[Parameter] = (),
        data: Data | Sequence[Data] = (),
        units: Mapping[str, str] | None = None,
    ):
        conditions = _checked_conditions(conditions)
        exact = _checked_exact(exact)
        if not isinstance(domain, Domain):
            raise ProblemError(
                f"Problem(domain=…): got {type(domain).__name__}; expected a domain such as"
                " Box(x=(0, 1))"
            )
        self._set(
            name=name, title=title, source=None, constants={}, domain=domain, conditions=conditions
        )
        if isinstance(domain, Pieces):
            self._set_pieces(domain, equations, exact, unknowns, parameters, data)
        else:
            functions = _checked_functions(equations)
            self._set(parameters=check_parameters(parameters, domain.coordinates))
            given = check_data(data)
            free = [p.name for p in self.parameters]
            self._set(
                unknowns=_unknowns(
                    domain,
                    functions,
                    conditions,
                    {u: f for u, f in exact.items() if u not in free},
                    unknowns,
                    free,
                    given,
                )
            )
            self._set(copies=self.unknowns)
            self._set(
                groups=(
                    (
                        domain,
                        tuple(_equation(function, self.outputs, domain) for function in functions),
                    ),
                )
            )
            self._set(
                constraints=tuple(
                    c
                    for condition in conditions
                    for c in condition.constraints(domain, self._known_to(condition))
                )
            )
            self._set(
                truth={
                    p.name: _truth(exact[p.name], p)
                    for p in self.parameters
                    if p.name in exact and p.name not in self.functions
                }
            )
            self._set(
                exact=_exact(
                    {u: f for u, f in exact.items() if u not in self.truth}, self.functions, domain
                )
            )
            self._set(
                exact_copies=self.exact,
                data=tuple(each.bound(domain, self.functions) for each in given),
            )
        self._set(
            periodic=tuple(
                dict.fromkeys(
                    x for c in conditions if isinstance(c, Periodic) for x in c.coordinates
                )
            )
        )
        self._set(units=_units(units, (*self.unknowns, *domain.coordinates)))
        check(self)

    def _set_pieces(
        self,
        domain: Pieces,
        equations: object,
        exact: Mapping[str, Any],
        unknowns: Sequence[str] | None,
        parameters: object,
        data: object,
    ) -> None:
        if parameters or data:
            raise ProblemError(
                "Problem(parameters=…, data=…): a domain in pieces takes neither; expected a domain"
                " in one piece"
            )
        self._set(parameters=(), data=(), truth={})
        parts = []
        for name, given in piecewise.by_piece(domain, equations).items():
            region, functions = domain.regions[name], _checked_functions(given)
            here = (
                None
                if unknowns is None
                else [
                    u
                    for u in unknowns
                    if any(u in argument_names(f, function_name(f)) for f in functions)
                ]
            )
            own = _unknowns(region, functions, (), {}, here, (), ())
            parts.append(
                piecewise.Piece(
                    region, own, tuple(_equation(function, own, region) for function in functions)
                )
            )
        self._set(
            unknowns=tuple(dict.fromkeys(u for part in parts for u in part.unknowns)),
            copies=tuple(name for part in parts for name in part.copies.values()),
        )
        self._set(
            groups=tuple(
                (part.region, tuple(e.renamed(part.copies) for e in part.equations))
                for part in parts
            )
        )
        self._set(constraints=tuple(piecewise.constraints(domain, parts, self.conditions)))
        known = piecewise.exact(domain, exact, self.unknowns)
        self._set(exact={u: piecewise.by_place(domain, by_piece) for u, by_piece in known.items()})
        self._set(
            exact_copies={
                part.copies[u]: known[u][part.region.name]
                for part in parts
                for u in part.unknowns
                if u in known
            }
        )

    def _set(self, **values: object) -> None:
        for key, value in values.items():
            object.__setattr__(self, key, value)

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"Problem is frozen; make a new one instead of setting {key!r}")

    def __repr__(self) -> str:
        return f"Problem({self.name}: {listed(self.unknowns)} on {self.domain!r})"

    def _repr_html_(self) -> str:
        """What a notebook shows; how is known further up, and imported only there."""
        return importlib.import_module("kanpde.reports.notebook").problem(self)  # type: ignore[no-any-return]

    @property
    def equations(self) -> tuple[Residual, ...]:
        """Those of all pieces."""
        return tuple(e for _, found in self.groups for e in found)

    def at(self, face: str) -> tuple[str, ...]:
        """Which of `copies` there are on a face: all of them, or those of the pieces there."""
        if not isinstance(self.domain, Pieces):
            return self.copies
        contact = self.domain.contacts.get(face)
        pieces = [self.domain.owner(face)] if contact is None else [contact.first, contact.second]
        return tuple(
            name
            for name in self.copies
            if self.domain.home(name) in [piece.name for piece in pieces]
        )

    @property
    def functions(self) -> tuple[str, ...]:
        """What is unknown and varies: the unknowns, then the fields among the parameters."""
        return (*self.unknowns, *(p.name for p in self.parameters if isinstance(p, Field)))

    @property
    def outputs(self) -> tuple[str, ...]:
        """All that is unknown: the unknowns (on pieces their copies), then the parameters, fields
        first."""
        return (*self.copies, *(p.name for p in self.parameters))

    def _known_to(self, condition: BoundaryCondition) -> tuple[str, ...]:
        """What a condition may name: one that is any function, parameters too."""
        return self.outputs if isinstance(condition, Condition) else self.unknowns

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the coordinates, space first."""
        return self.domain.coordinates

    @property
    def time_order(self) -> int:
        """Highest order of differentiation in time over all unknowns; 0 for a steady problem."""
        return max(self.order(u, self.domain.time) for u in self.copies) if self.domain.time else 0

    def order(self, unknown: str, coordinate: str) -> int:
        """Highest order to which the equations differentiate an unknown along a coordinate."""
        axis = self.coordinates.index(coordinate)
        return max(
            (index[axis] for e in self.equations for name, index in e.needs if name == unknown),
            default=0,
        )

    def exact_values(self, points: Tensor | Values) -> dict[str, Tensor]:
        """Exact solution at points ([points, dimensions] or by coordinate name), by unknown; empty
        where not known."""
        at = by_name(points, self.coordinates)
        return {u: f(at) for u, f in self.exact.items()}

    def settled(self, values: Mapping[str, float]) -> Problem:
        """The same problem with numbers for its parameters, which must have one each: one to be
        solved forwards, without data."""
        known = object.__new__(Problem)
        points = by_name(two_points(self.domain), self.coordinates)
        equations = tuple(
            _with_numbers(e, values, self.unknowns, points, None) for e in self.equations
        )
        constraints = []
        for c in self.constraints:
            free = c.prescribed is None and any(name in values for name in c.residual.arguments)
            normal = None
            if free:
                on_face = two_points(self.domain, c.face)
                at, normal = (
                    by_name(on_face, self.coordinates),
                    by_name(self.domain.normals(c.face, on_face), self.coordinates),
                )
            constraints.append(
                replace(c, residual=_with_numbers(c.residual, values, self.unknowns, at, normal))
                if free
                else c
            )
        known._set(
            **{
                **vars(self),
                "groups": ((self.domain, equations),),
                "constraints": tuple(constraints),
                "parameters": (),
                "data": (),
                "truth": {},
            }
        )
        return known

    def during(self, low: float, high: float, start: Mapping[str, Value] | None = None) -> Problem:
        """The same problem over a part of its time. start: values and velocities there, as Initial
        takes them, or its own."""
        domain = self.domain
        assert isinstance(domain, SpaceTime)
        part = object.__new__(Problem)
        span = SpaceTime(domain.region, Time(**{domain.time: (low, high)}))
        part._set(**{**vars(self), "domain": span, "groups": ((span, self.equations),)})
        if start:
            kept = [c for c in self.constraints if c.face != domain.initial_face]
            initial = Initial(**dict(start))  # type: ignore[arg-type]
            part._set(
                conditions=(*(c for c in self.conditions if not isinstance(c, Initial)), initial)
            )
            part._set(constraints=(*kept, *initial.constraints(part.domain, self.unknowns)))
        return part


def _checked_functions(equations: object) -> tuple[Callable, ...]:
    functions = tuple(equations) if isinstance(equations, list | tuple) else (equations,)
    if not functions:
        raise ProblemError("Problem(equations=…): got none; expected at least one function")
    for function in functions:
        if not callable(function):
            raise ProblemError(
                f"Problem(equations=…): got {type(function).__name__}; expected functions that"
                " vanish, such as [poisson]"
            )
    return functions


def _checked_conditions(conditions: object) -> tuple[BoundaryCondition, ...]:
    found = tuple(conditions) if isinstance(conditions, list | tuple) else (conditions,)
    for condition in found:
        if not isinstance(condition, BoundaryCondition):
            came = (
                f"the class {condition.__name__}"
                if isinstance(condition, type)
                else type(condition).__name__
            )
            raise ProblemError(
                f"Problem(conditions=…): got {came}; expected Dirichlet(…), Neumann(…), Robin(…),"
                " Periodic(…), Initial(…) or Condition(…)"
            )
    return found


def _checked_exact(exact: object) -> Mapping[str, Value]:
    if exact is not None and not isinstance(exact, Mapping):
        raise ProblemError(
            f"Problem(exact=…): got {type(exact).__name__}; expected functions by unknown, such as"
            " exact={'u': exact}"
        )
    return exact or {}


def _unknowns(
    domain: Domain,
    functions: Sequence[Callable],
    conditions: Sequence[BoundaryCondition],
    exact: Mapping[str, Value],
    given: Sequence[str] | None,
    free: Sequence[str],
    data: Sequence[Data],
) -> tuple[str, ...]:
    """Those that are given, else those that conditions, data and exact solution name, else all
    arguments that are no coordinates; none of the parameters, `free`."""
    used = list(dict.fromkeys(a for f in functions for a in argument_names(f, function_name(f))))
    for name in free:
        if name not in used and not any(
            isinstance(c, Condition) and name in c.arguments for c in conditions
        ):
            raise ProblemError(
                f"parameter {name!r}: no equation mentions it; expected it among their arguments,"
                f" {listed(used)}{nearest(name, used)}"
            )
    candidates = [a for a in used if a not in domain.coordinates and a not in free]
    if given is None:
        named = [*exact, *(name for c in conditions for name in c.names(domain, used))]
        named += [name for d in data for name in d.names() if name in candidates]
        given = [name for name in dict.fromkeys(named) if name not in free] or candidates
    if isinstance(given, str):
        raise ProblemError(
            f"Problem(unknowns={given!r}): got a string; expected a list of names, such as"
            f" [{given!r}]"
        )
    for name in given:
        if name in free:
            raise ProblemError(
                f"unknown {name!r}: that is a parameter as well; expected one of them"
            )
        if name in domain.coordinates:
            raise ProblemError(f"unknown {name!r}: that is a coordinate of {domain!r}")
        if name not in used:
            raise ProblemError(
                f"unknown {name!r}: no equation mentions it; the equations' unknowns are"
                f" {listed(candidates)}{nearest(str(name), candidates)}"
            )
    if not given:
        raise ProblemError(
            "Problem(…): no unknown; an equation must take one as an argument, such as def"
            " poisson(u, x, y)"
        )
    return tuple(sorted(given, key=used.index))


def _equation(
    function: Callable[..., Tensor | Sequence[Tensor]], unknowns: tuple[str, ...], domain: Domain
) -> Residual:
    name, arguments = function_name(function), argument_names(function, function_name(function))
    check_arguments(
        arguments,
        {"unknown": unknowns, "coordinate": domain.coordinates},
        name,
        _unconditioned(unknowns, arguments, domain),
    )
    return record(
        function,
        name,
        arguments,
        unknowns,
        by_name(two_points(domain), domain.coordinates),
        domain.space,
    )


def _unconditioned(unknowns: tuple[str, ...], arguments: Sequence[str], domain: Domain) -> str:
    every = dict.fromkeys([*unknowns, *(a for a in arguments if a not in domain.coordinates)])
    return f"; name an unknown without conditions in unknowns={list(every)}"


def _with_numbers(
    residual: Residual,
    values: Mapping[str, float],
    unknowns: Sequence[str],
    points: Values,
    normal: Values | None,
) -> Residual:
    """The residual with numbers in place of some of its arguments."""
    fixed = {name: value for name, value in values.items() if name in residual.arguments}

    def function(**given: Tensor) -> Tensor | Sequence[Tensor]:
        like = next(iter(given.values()))
        return residual.function(
            **given, **{name: torch.full_like(like, value) for name, value in fixed.items()}
        )

    arguments = tuple(a for a in residual.arguments if a not in fixed)
    return record(function, residual.name, arguments, unknowns, points, residual.space, normal)


def _truth(value: object, parameter: Parameter) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProblemError(
            f"Problem(exact={{{parameter.name!r}: …}}): got {type(value).__name__}; expected the"
            " parameter's true value, a number"
        )
    return float(value)


def _exact(
    exact: Mapping[str, Value], unknowns: Sequence[str], domain: Domain
) -> dict[str, Callable[[Values], Tensor]]:
    for name in exact:
        if name not in unknowns:
            raise ProblemError(
                f"Problem(exact={{{name!r}: …}}): no such unknown; they are"
                f" {listed(unknowns)}{nearest(str(name), unknowns)}"
            )
    found = {
        u: prescribed_value(exact[u], domain.coordinates, f"exact[{u!r}]", finite=False)
        for u in unknowns
        if u in exact
    }
    for function in found.values():
        function(by_name(two_points(domain), domain.coordinates))
    return found


def _units(units: object, known: Sequence[str]) -> Mapping[str, str]:
    if units is None:
        return {}
    if not isinstance(units, Mapping) or not all(
        isinstance(text, str) and text.strip() for text in units.values()
    ):
        raise ProblemError(
            f"Problem(units=…): got {units!r}; expected texts by unknown and coordinate, such as"
            " {'x': 'm'}"
        )
    for name in units:
        if name not in known:
            raise ProblemError(
                f"Problem(units={{{name!r}: …}}): no such unknown or coordinate; they are"
                f" {listed(known)}{nearest(str(name), known)}"
            )
    return dict(units)


def load(
    name: str, constants: Mapping[str, float] | None = None
) -> tuple[Problem, dict[str, Recipe]]:
    """The problem of that name or file, and the recipes beside it: `recipe`, `quick` and `record`,
    by effort, as far as there are any.

    constants: other values for numbers that the file names at its top level, such as nu = 0.01 /
    pi. A problem file is Python code and is executed. Raises ProblemError where it fails, defines
    no `problem`, or has no such constant.
    """
    try:
        path = find(name)
    except ProblemError:
        if Path(name).is_dir():
            raise ProblemError(
                f"{name}: that is a folder; expected a Python file that defines `problem`"
            ) from None
        raise
    constants = dict(constants or {})
    module = execute(path, constants)
    problem = getattr(module, "problem", None)
    if not isinstance(problem, Problem):
        came = "no `problem`" if problem is None else f"`problem` as {type(problem).__name__}"
        raise ProblemError(f"{path}: defines {came}; expected problem = Problem(…)")
    text = (module.__doc__ or "").strip().encode("utf-8", "replace").decode()
    title = text.splitlines()[0] if text else path.stem
    problem._set(
        name=path.stem,
        title=" ".join([title, *(f"[{name} = {value:g}]" for name, value in constants.items())]),
        source=path,
        constants=constants,
    )
    return problem, {
        effort: getattr(module, name) for effort, name in RECIPES.items() if hasattr(module, name)
    }


def identity(problem: Problem) -> dict[str, Any]:
    """Plain values that say which problem it is, and of which file."""
    source = getattr(problem, "source", None)
    found: dict[str, Any] = {
        "problem": problem.name,
        "title": problem.title,
        "constants": dict(problem.constants),
        "unknowns": list(problem.unknowns),
        "domain": repr(problem.domain),
        "time": problem.domain.time,
    }
    found |= {"units": dict(units)} if (units := getattr(problem, "units", {})) else {}
    if source is not None and Path(source).is_file():
        found |= {
            "source": str(Path(source).resolve()),
            "source_sha256": hashlib.sha256(Path(source).read_bytes()).hexdigest(),
        }
    return found


def vary(problem: Problem, constants: Mapping[str, float]) -> Problem:
    """The same problem with other constants of its file. Raises ProblemError where it comes from no
    file, or has no such constant."""
    if problem.source is None:
        raise ProblemError(
            f"continuation in {listed(constants)}: the problem {problem.name!r} comes from no file"
            " whose constants could be changed"
        )
    return load(str(problem.source), {**problem.constants, **constants})[0]
