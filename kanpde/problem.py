"""The frozen problem: domain, equations, conditions, exact solution. Everything is validated here, once, when it is built."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kanpde.calculus import MultiIndex
from kanpde.conditions import BoundaryCondition, Constraint, Periodic, Value, by_name, prescribed_value, space_faces
from kanpde.errors import ProblemError, ProblemWarning, first_line, listed, nearest
from kanpde.gallery import find as find
from kanpde.gallery import gallery as gallery
from kanpde.geometry import Domain, SpaceTime
from kanpde.residual import Residual, Values, argument_names, check_arguments, function_name, record

if TYPE_CHECKING:
    from kanpde.recipe import Recipe

MAX_ORDER = 4
"""Highest order of differentiation that networks and grids supply."""


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
        self._set(name=name, title=title, source=None, domain=domain, conditions=conditions)
        self._set(unknowns=_unknowns(domain, functions, conditions, exact, unknowns))
        self._set(equations=tuple(_equation(function, self.unknowns, domain) for function in functions))
        self._set(constraints=tuple(c for condition in conditions for c in condition.constraints(domain, self.unknowns)))
        self._set(periodic=tuple(dict.fromkeys(x for c in conditions if isinstance(c, Periodic) for x in c.coordinates)))
        self._set(exact=_exact(exact, self.unknowns, domain))
        _check_orders(self)
        _check_counts(self)
        _check_periodic(self)
        _check_repeated(self)
        _check_determined(self)
        _check_overdetermined(self)
        _warn_missing(self)

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


def _check_orders(problem: Problem) -> None:
    for residual in [*problem.equations, *(c.residual for c in problem.constraints)]:
        if residual.order > MAX_ORDER:
            raise ProblemError(f"{residual.name}: asks for a derivative of order {residual.order}; expected at most {MAX_ORDER} (introduce an unknown for an inner derivative)")


def _check_counts(problem: Problem) -> None:
    for unknown in problem.unknowns:
        if not any(name == unknown for e in problem.equations for name, _ in e.needs):
            raise ProblemError(f"unknown {unknown!r}: no equation depends on it, although one takes it as an argument")
    equations = sum(e.equations for e in problem.equations)
    if equations != len(problem.unknowns):
        message = f"Problem(…): {_counted(equations, 'equation')} for {_counted(len(problem.unknowns), 'unknown')} ({listed(problem.unknowns)}); expected as many of each"
        if equations < len(problem.unknowns):
            raise ProblemError(message)
        _warn(message)


def _check_periodic(problem: Problem) -> None:
    free = [face for face in space_faces(problem.domain) if problem.domain.faces[face].coordinate not in problem.periodic]
    for c in problem.constraints:
        x = problem.domain.faces[c.face].coordinate
        if x in problem.periodic:
            hint = f"put the condition on={tuple(free)!r}" if free else "leave one of them out"
            raise ProblemError(f"Periodic({x!r}) contradicts {c.label}: a periodic coordinate has no boundary; {hint}")


def _check_repeated(problem: Problem) -> None:
    seen: dict[tuple[str, int, str], Constraint] = {}
    for c in problem.constraints:
        if c.prescribed is not None and c.where is None:
            first = seen.setdefault((c.prescribed.unknown, c.prescribed.derivative, c.face), c)
            if first is not c:
                what = "repeats" if first.label == c.label else "contradicts"
                raise ProblemError(f"{c.label} {what} {first.label}; keep one, and put each on the faces where it holds (on=…)")


def _value_of(problem: Problem, unknown: str) -> tuple[str, MultiIndex]:
    return unknown, (0,) * len(problem.coordinates)


def _check_determined(problem: Problem) -> None:
    """An unknown that enters only through derivatives is free up to a constant."""
    domain = problem.domain
    for unknown in problem.unknowns:
        if any(_value_of(problem, unknown) in r.needs for r in [*problem.equations, *(c.residual for c in problem.constraints)]):
            continue
        free = [face for face in space_faces(domain) if domain.faces[face].coordinate not in problem.periodic]
        if domain.time and problem.order(unknown, domain.time):
            hint = f"add Initial({unknown}=…)"
        elif free:
            piece = "" if len(domain.coordinates) == 1 else ", where=…"
            hint = f"pin its value, such as Dirichlet({unknown}=0, on={free[0]!r}{piece})"
        else:
            hint = f"add a term in {unknown} itself"
        raise ProblemError(f"unknown {unknown!r}: enters only through its derivatives, so it is determined up to a constant; {hint}")


def _along(problem: Problem, coordinate: str) -> list[Constraint]:
    """The constraints at the ends of a coordinate."""
    return [c for c in problem.constraints if problem.domain.faces[c.face].coordinate == coordinate]


def _check_overdetermined(problem: Problem) -> None:
    """Along a coordinate there can be as many conditions as the system has orders there, and one that pins a free constant."""
    pins = 0
    for unknown in problem.unknowns:
        value = _value_of(problem, unknown)
        if not any(value in e.needs for e in problem.equations):
            pins += sum(value in c.residual.needs for c in problem.constraints) == 1
    for x in problem.coordinates:
        whole = [c for c in _along(problem, x) if c.where is None]
        order = sum(problem.order(u, x) for u in problem.unknowns)
        count = sum(c.residual.equations for c in whole)
        if count > order + pins:
            given = listed(c.label for c in whole)
            raise ProblemError(f"Problem(…): {_counted(count, 'condition')} along {x!r} ({given}), but the equations are only of order {order} along it; leave some out")


def _warn_missing(problem: Problem) -> None:
    """Name the directions along which an equation is of an order for which too few conditions are given."""
    domain = problem.domain
    for x in problem.coordinates:
        if x in problem.periodic:
            continue
        given = _along(problem, x)
        if isinstance(domain, SpaceTime) and x == domain.time:
            for unknown in problem.unknowns:
                _warn_missing_initial(problem, unknown, given)
        elif sum(c.residual.equations for c in given) < sum(problem.order(u, x) for u in problem.unknowns):
            for unknown in problem.unknowns:
                order = problem.order(unknown, x)
                count = sum(c.residual.equations for c in given if any(name == unknown for name, _ in c.residual.needs))
                if order >= 2 and count < order:
                    have = f"only {_counted(count, 'condition')} is" if count == 1 else f"only {count} conditions are" if count else "no condition is"
                    _warn(f"unknown {unknown!r} is of order {order} along {x!r}, but {have} given on {x}- or {x}+; add Dirichlet, Neumann, Robin or Periodic({x!r})")


def _warn_missing_initial(problem: Problem, unknown: str, given: Sequence[Constraint]) -> None:
    time = problem.coordinates[-1]
    order = problem.order(unknown, time)
    for n in range(order):
        if not any((unknown, (*(0,) * len(problem.domain.space), n)) in c.residual.needs for c in given):
            missing, name = (("initial value", unknown), ("initial velocity", f"{unknown}_{time}"))[min(n, 1)]
            hint = f"Initial({name}=…)" if n < 2 else f'Condition(…, on="{time}-")'
            _warn(f"unknown {unknown!r} is of order {order} in time, but no {missing} is given; add {hint}")
            return


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _warn(message: str) -> None:
    """Warn at the first line outside of this file: where the problem is built."""
    level, frame = 1, sys._getframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    warnings.warn(message, ProblemWarning, stacklevel=level)


def load(name: str) -> tuple[Problem, Recipe | None]:
    """The problem of that name or file, and the recipe beside it, if there is one.

    A problem file is Python code and is executed. Raises ProblemError where it fails or defines no `problem`.
    """
    try:
        path = find(name)
    except ProblemError:
        if Path(name).is_dir():
            raise ProblemError(f"{name}: that is a folder; expected a Python file that defines `problem`") from None
        raise
    module = _execute(path)
    problem = getattr(module, "problem", None)
    if not isinstance(problem, Problem):
        came = "no `problem`" if problem is None else f"`problem` as {type(problem).__name__}"
        raise ProblemError(f"{path}: defines {came}; expected problem = Problem(…)")
    text = (module.__doc__ or "").strip()
    problem._set(name=path.stem, title=text.splitlines()[0] if text else path.stem, source=path)
    return problem, getattr(module, "recipe", None)


def _execute(path: Path) -> ModuleType:
    name = f"kanpde_problem_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ProblemError(f"{path}: not a Python file; expected a name that ends in .py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
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
