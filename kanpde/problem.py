"""The frozen problem: domain, equations, conditions, exact solution. It is validated once, when it is built."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanpde.conditions import BoundaryCondition, Constraint, Initial, Periodic, Value, by_name, prescribed_value
from kanpde.errors import ProblemError, first_line, listed, nearest
from kanpde.gallery import find as find
from kanpde.gallery import gallery as gallery
from kanpde.geometry import Domain, SpaceTime, Time
from kanpde.residual import Residual, Values, argument_names, check_arguments, function_name, record
from kanpde.wellposed import check

if TYPE_CHECKING:
    from kanpde.recipe import Recipe


RECIPES = {"quick": "quick", "default": "recipe", "record": "record"}
"""The names of recipes in a problem's file, by effort."""


class Problem:
    """A partial differential equation, or a system of them, with its conditions.

    domain: Box(…), or Box(…) * Time(…). equations: functions of unknowns and coordinates, by name, that vanish.
    conditions: Dirichlet, Neumann, Robin, Periodic, Initial, Condition. exact: the solution by unknown, if it is known.
    unknowns: needed only for those that no condition and no exact solution names.
    Raises ProblemError for anything that does not fit together; warns (ProblemWarning) where it is legal but suspicious.
    """

    domain: Domain
    unknowns: tuple[str, ...]
    equations: tuple[Residual, ...]
    conditions: tuple[BoundaryCondition, ...]
    constraints: tuple[Constraint, ...]
    periodic: tuple[str, ...]
    exact: Mapping[str, Callable[[Values], Tensor]]
    name: str
    title: str
    source: Path | None
    constants: Mapping[str, float]

    def __init__(
        self,
        domain: Domain,
        equations: Callable[..., Tensor] | Sequence[Callable[..., Tensor | Sequence[Tensor]]],
        conditions: BoundaryCondition | Sequence[BoundaryCondition] = (),
        exact: Mapping[str, Value] | None = None,
        unknowns: Sequence[str] | None = None,
        name: str = "problem",
        title: str = "",
    ):
        functions = _checked_functions(equations)
        conditions = _checked_conditions(conditions)
        exact = _checked_exact(exact)
        if not isinstance(domain, Domain):
            raise ProblemError(f"Problem(domain=…): got {type(domain).__name__}; expected a domain such as Box(x=(0, 1))")
        self._set(name=name, title=title, source=None, constants={}, domain=domain, conditions=conditions)
        self._set(unknowns=_unknowns(domain, functions, conditions, exact, unknowns))
        self._set(equations=tuple(_equation(function, self.unknowns, domain) for function in functions))
        self._set(constraints=tuple(c for condition in conditions for c in condition.constraints(domain, self.unknowns)))
        self._set(periodic=tuple(dict.fromkeys(x for c in conditions if isinstance(c, Periodic) for x in c.coordinates)))
        self._set(exact=_exact(exact, self.unknowns, domain))
        check(self)

    def _set(self, **values: object) -> None:
        for key, value in values.items():
            object.__setattr__(self, key, value)

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"Problem is frozen; make a new one instead of setting {key!r}")

    def __repr__(self) -> str:
        return f"Problem({self.name}: {listed(self.unknowns)} on {self.domain!r})"

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the coordinates, space first."""
        return self.domain.coordinates

    @property
    def time_order(self) -> int:
        """Highest order of differentiation in time over all unknowns; 0 for a steady problem."""
        return max(self.order(u, self.domain.time) for u in self.unknowns) if self.domain.time else 0

    def order(self, unknown: str, coordinate: str) -> int:
        """Highest order to which the equations differentiate an unknown along a coordinate."""
        axis = self.coordinates.index(coordinate)
        return max((index[axis] for e in self.equations for name, index in e.needs if name == unknown), default=0)

    def exact_values(self, points: Tensor | Values) -> dict[str, Tensor]:
        """Exact solution at points ([points, dimensions] or by coordinate name), by unknown; empty where not known."""
        at = by_name(points, self.coordinates)
        return {u: f(at) for u, f in self.exact.items()}

    def during(self, low: float, high: float, start: Mapping[str, Value] | None = None) -> Problem:
        """The same problem over a part of its time. start: values and velocities there, as Initial takes them, or its own."""
        domain = self.domain
        assert isinstance(domain, SpaceTime)
        part = object.__new__(Problem)
        part._set(**{**vars(self), "domain": SpaceTime(domain.region, Time(**{domain.time: (low, high)}))})
        if start:
            kept = [c for c in self.constraints if c.face != domain.initial_face]
            initial = Initial(**dict(start))  # type: ignore[arg-type]
            part._set(conditions=(*(c for c in self.conditions if not isinstance(c, Initial)), initial))
            part._set(constraints=(*kept, *initial.constraints(part.domain, self.unknowns)))
        return part


def _checked_functions(equations: object) -> tuple[Callable, ...]:
    functions = tuple(equations) if isinstance(equations, list | tuple) else (equations,)
    if not functions:
        raise ProblemError("Problem(equations=…): got none; expected at least one function")
    for function in functions:
        if not callable(function):
            raise ProblemError(f"Problem(equations=…): got {type(function).__name__}; expected functions that vanish, such as [poisson]")
    return functions


def _checked_conditions(conditions: object) -> tuple[BoundaryCondition, ...]:
    found = tuple(conditions) if isinstance(conditions, list | tuple) else (conditions,)
    for condition in found:
        if not isinstance(condition, BoundaryCondition):
            came = f"the class {condition.__name__}" if isinstance(condition, type) else type(condition).__name__
            raise ProblemError(f"Problem(conditions=…): got {came}; expected Dirichlet(…), Neumann(…), Robin(…), Periodic(…), Initial(…) or Condition(…)")
    return found


def _checked_exact(exact: object) -> Mapping[str, Value]:
    if exact is not None and not isinstance(exact, Mapping):
        raise ProblemError(f"Problem(exact=…): got {type(exact).__name__}; expected functions by unknown, such as exact={{'u': exact}}")
    return exact or {}


def _unknowns(domain: Domain, functions: Sequence[Callable], conditions: Sequence[BoundaryCondition], exact: Mapping[str, Value], given: Sequence[str] | None) -> tuple[str, ...]:
    """Those that are given, else those that conditions and exact solution name, else all arguments that are no coordinates."""
    used = list(dict.fromkeys(a for f in functions for a in argument_names(f, function_name(f))))
    candidates = [a for a in used if a not in domain.coordinates]
    if given is None:
        named = [*exact, *(name for c in conditions for name in c.names(domain, used))]
        given = list(dict.fromkeys(named)) or candidates
    if isinstance(given, str):
        raise ProblemError(f"Problem(unknowns={given!r}): got a string; expected a list of names, such as [{given!r}]")
    for name in given:
        if name in domain.coordinates:
            raise ProblemError(f"unknown {name!r}: that is a coordinate of {domain!r}")
        if name not in used:
            raise ProblemError(f"unknown {name!r}: no equation mentions it; the equations' unknowns are {listed(candidates)}{nearest(str(name), candidates)}")
    if not given:
        raise ProblemError("Problem(…): no unknown; an equation must take one as an argument, such as def poisson(u, x, y)")
    return tuple(sorted(given, key=used.index))


def _equation(function: Callable[..., Tensor | Sequence[Tensor]], unknowns: tuple[str, ...], domain: Domain) -> Residual:
    name, arguments = function_name(function), argument_names(function, function_name(function))
    check_arguments(arguments, {"unknown": unknowns, "coordinate": domain.coordinates}, name, _unconditioned(unknowns, arguments, domain))
    return record(function, name, arguments, unknowns, by_name(_two_points(domain), domain.coordinates), domain.space)


def _unconditioned(unknowns: tuple[str, ...], arguments: Sequence[str], domain: Domain) -> str:
    every = dict.fromkeys([*unknowns, *(a for a in arguments if a not in domain.coordinates)])
    return f"; name an unknown without conditions in unknowns={list(every)}"


def _two_points(domain: Domain) -> Tensor:
    unit = torch.tensor([[0.31, 0.37, 0.41, 0.43, 0.47], [0.67, 0.61, 0.59, 0.57, 0.53]], dtype=torch.float64)
    return domain.interior(unit[:, : len(domain.coordinates)])


def _exact(exact: Mapping[str, Value], unknowns: Sequence[str], domain: Domain) -> dict[str, Callable[[Values], Tensor]]:
    for name in exact:
        if name not in unknowns:
            raise ProblemError(f"Problem(exact={{{name!r}: …}}): no such unknown; they are {listed(unknowns)}{nearest(str(name), unknowns)}")
    found = {u: prescribed_value(exact[u], domain.coordinates, f"exact[{u!r}]", finite=False) for u in unknowns if u in exact}
    for function in found.values():
        function(by_name(_two_points(domain), domain.coordinates))
    return found


def load(name: str, constants: Mapping[str, float] | None = None) -> tuple[Problem, dict[str, Recipe]]:
    """The problem of that name or file, and the recipes beside it: `recipe`, `quick` and `record`, by effort, as far as there are any.

    constants: other values for numbers that the file names at its top level, such as nu = 0.01 / pi. A problem file is Python
    code and is executed. Raises ProblemError where it fails, defines no `problem`, or has no such constant.
    """
    try:
        path = find(name)
    except ProblemError:
        if Path(name).is_dir():
            raise ProblemError(f"{name}: that is a folder; expected a Python file that defines `problem`") from None
        raise
    constants = dict(constants or {})
    module = _execute(path, constants)
    problem = getattr(module, "problem", None)
    if not isinstance(problem, Problem):
        came = "no `problem`" if problem is None else f"`problem` as {type(problem).__name__}"
        raise ProblemError(f"{path}: defines {came}; expected problem = Problem(…)")
    text = (module.__doc__ or "").strip().encode("utf-8", "replace").decode()
    title = text.splitlines()[0] if text else path.stem
    problem._set(name=path.stem, title=" ".join([title, *(f"[{name} = {value:g}]" for name, value in constants.items())]), source=path, constants=constants)
    return problem, {effort: getattr(module, name) for effort, name in RECIPES.items() if hasattr(module, name)}


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
    if source is not None and Path(source).is_file():
        found |= {"source": str(Path(source).resolve()), "source_sha256": hashlib.sha256(Path(source).read_bytes()).hexdigest()}
    return found


def vary(problem: Problem, constants: Mapping[str, float]) -> Problem:
    """The same problem with other constants of its file. Raises ProblemError where it comes from no file, or has no such constant."""
    if problem.source is None:
        raise ProblemError(f"continuation in {listed(constants)}: the problem {problem.name!r} comes from no file whose constants could be changed")
    return load(str(problem.source), {**problem.constants, **constants})[0]


def constants_of(tree: ast.Module) -> dict[str, ast.Assign]:
    """The top-level statements of a problem file that give a name to a number: literals and names, and arithmetic with them."""
    found: dict[str, ast.Assign] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
            parts = list(ast.walk(statement.value))
            arithmetic = all(isinstance(part, ast.BinOp | ast.UnaryOp | ast.operator | ast.unaryop | ast.Constant | ast.Name | ast.Attribute | ast.Load) for part in parts)
            literals = [part.value for part in parts if isinstance(part, ast.Constant)]
            if arithmetic and literals and all(isinstance(value, int | float) and not isinstance(value, bool) for value in literals):
                found[statement.targets[0].id] = statement
    return found


def _execute(path: Path, constants: Mapping[str, float]) -> ModuleType:
    name = f"kanpde_problem_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ProblemError(f"{path}: not a Python file; expected a name that ends in .py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        tree = ast.parse(path.read_bytes(), str(path))
        known = constants_of(tree)
        for constant, value in constants.items():
            if constant not in known:
                raise ProblemError(f"no constant {constant!r}; the file has {listed(known)}{nearest(constant, known)}")
            given = known[constant].value
            whole = isinstance(given, ast.Constant) and isinstance(given.value, int) and value == int(value)
            known[constant].value = ast.copy_location(ast.Constant(int(value) if whole else value), given)
        exec(compile(tree, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:  # the user's own code: anything can come; it is named, never swallowed
        del sys.modules[name]
        reason = str(error) if isinstance(error, ProblemError) else first_line(error)
        raise ProblemError(f"{path.name}{_line_of(error, path)}: {reason}") from error
    return module


def _line_of(error: BaseException, path: Path) -> str:
    """The last line of the file that the error passed through, in words."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).resolve() == path.resolve():
        return f", line {error.lineno}"
    found, trace = "", error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).resolve() == path.resolve():
            found = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return found
