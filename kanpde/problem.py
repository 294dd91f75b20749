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

from kanpde.conditions import BoundaryCondition, Constraint, Periodic, Value, by_name, prescribed_value, space_faces
from kanpde.errors import ProblemError, ProblemWarning, listed, nearest
from kanpde.gallery import find as find
from kanpde.gallery import gallery as gallery
from kanpde.geometry import Domain, SpaceTime
from kanpde.residual import Residual, Values, argument_names, check_arguments, record

if TYPE_CHECKING:
    from kanpde.recipe import Recipe


class Problem:
    """A partial differential equation, or a system of them, with its conditions.

    domain: Box(…), or Box(…) * Time(…). equations: functions of unknowns and coordinates, by name, that vanish.
    conditions: Dirichlet, Neumann, Robin, Periodic, Initial, Condition. exact: the solution by unknown, if it is known.
    unknowns: needed only where no condition and no exact solution names them.
    Raises ProblemError for anything that does not fit together; warns (ProblemWarning) where it is legal but suspicious.
    """

    domain: Domain
    unknowns: tuple[str, ...]
    equations: tuple[Residual, ...]
    constraints: tuple[Constraint, ...]
    periodic: tuple[str, ...]
    exact: Mapping[str, Callable[[Values], Tensor]]

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
        set_ = lambda key, value: object.__setattr__(self, key, value)  # noqa: E731 - the instance is frozen
        if not isinstance(domain, Domain):
            raise ProblemError(f"Problem(domain=…): got {type(domain).__name__}; expected a domain such as Box(x=(0, 1))")
        functions = [equations] if callable(equations) else list(equations)
        conditions = [conditions] if isinstance(conditions, BoundaryCondition) else list(conditions)
        for condition in conditions:
            if not isinstance(condition, BoundaryCondition):
                raise ProblemError(f"Problem(conditions=…): got {type(condition).__name__}; expected Dirichlet, Neumann, Robin, Periodic, Initial or Condition")
        if not functions:
            raise ProblemError("Problem(equations=…): got none; expected at least one function")
        set_("name", name)
        set_("title", title)
        set_("domain", domain)
        set_("conditions", tuple(conditions))
        set_("unknowns", _unknowns(domain, functions, conditions, exact or {}, unknowns))
        set_("equations", tuple(_equation(function, self.unknowns, domain) for function in functions))
        set_("constraints", tuple(c for condition in conditions for c in condition.constraints(domain, self.unknowns)))
        set_("periodic", tuple(dict.fromkeys(x for c in conditions if isinstance(c, Periodic) for x in c.coordinates)))
        set_("exact", _exact(exact or {}, self.unknowns, domain))
        _check_counts(self)
        _check_contradictions(self)
        _check_determined(self)
        _warn_missing(self)

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
        return max((self.order(u, self.domain.time) for u in self.unknowns), default=0) if self.domain.time else 0

    def order(self, unknown: str, coordinate: str) -> int:
        """Highest order to which the equations differentiate an unknown along a coordinate."""
        axis = self.coordinates.index(coordinate)
        return max((index[axis] for e in self.equations for name, index in e.needs if name == unknown), default=0)

    def exact_values(self, points: Tensor | Values) -> dict[str, Tensor]:
        """Exact solution at points ([points, dimensions] or by coordinate name), by unknown; empty where not known."""
        at = by_name(points, self.coordinates)
        return {u: f(at) for u, f in self.exact.items()}


def _unknowns(domain: Domain, functions: Sequence[Callable], conditions: Sequence[BoundaryCondition], exact: Mapping[str, Value], given: Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        suffix = f"_{domain.time}"
        named = [n for c in conditions for n in c.unknowns]
        named = [n[: -len(suffix)] if domain.time and n.endswith(suffix) else n for n in named]
        given = list(dict.fromkeys([*exact, *named]))
        if not given:
            given = list(dict.fromkeys(a for f in functions for a in argument_names(f, _called(f)) if a not in domain.coordinates))
    used = [a for f in functions for a in argument_names(f, _called(f))]
    for name in given:
        if name in domain.coordinates:
            raise ProblemError(f"unknown {name!r}: that is a coordinate of {domain!r}")
        if name not in used:
            candidates = [a for a in used if a not in domain.coordinates]
            raise ProblemError(f"unknown {name!r}: no equation mentions it; the equations' unknowns are {listed(dict.fromkeys(candidates))}{nearest(name, candidates)}")
    if not given:
        raise ProblemError("Problem(…): no unknown; an equation must take one as an argument, such as def poisson(u, x, y)")
    return tuple(sorted(given, key=used.index))


def _called(function: object) -> str:
    return f"{getattr(function, '__name__', type(function).__name__)}()"


def _equation(function: Callable[..., Tensor | Sequence[Tensor]], unknowns: tuple[str, ...], domain: Domain) -> Residual:
    arguments = argument_names(function, _called(function))
    check_arguments(arguments, {"unknown": unknowns, "coordinate": domain.coordinates}, _called(function))
    unit = torch.tensor([[0.31, 0.37, 0.41, 0.43, 0.47], [0.67, 0.61, 0.59, 0.57, 0.53]], dtype=torch.float64)
    points = domain.interior(unit[:, : len(domain.coordinates)])
    found = record(function, _called(function)[:-2], arguments, unknowns, by_name(points, domain.coordinates), domain.space)
    if found.order > 4:
        raise ProblemError(f"{found.name}(): asks for a derivative of order {found.order}; expected at most 4 (introduce an unknown for an inner derivative)")
    return found


def _exact(exact: Mapping[str, Value], unknowns: Sequence[str], domain: Domain) -> dict[str, Callable[[Values], Tensor]]:
    for name in exact:
        if name not in unknowns:
            raise ProblemError(f"Problem(exact={{{name!r}: …}}): no such unknown; they are {listed(unknowns)}{nearest(name, unknowns)}")
    return {u: prescribed_value(exact[u], domain.coordinates, f"exact[{u!r}]") for u in unknowns if u in exact}


def _check_counts(problem: Problem) -> None:
    equations = sum(e.equations for e in problem.equations)
    if equations < len(problem.unknowns):
        raise ProblemError(f"Problem(…): {equations} equation for {len(problem.unknowns)} unknowns ({listed(problem.unknowns)}); expected as many of each")


def _check_contradictions(problem: Problem) -> None:
    for x in problem.periodic:
        for c in problem.constraints:
            if problem.domain.faces[c.face].coordinate == x:
                raise ProblemError(f"Periodic({x!r}) contradicts {c.label}: a periodic coordinate has no boundary")
    seen: dict[tuple[str, int, str], Constraint] = {}
    for c in problem.constraints:
        if c.prescribed is None or c.where is not None:
            continue
        key = (c.prescribed.unknown, c.prescribed.derivative, c.face)
        first = seen.setdefault(key, c)
        if first is not c:
            raise ProblemError(f"{c.label} is given twice (first as {first.label}); keep one")


def _check_determined(problem: Problem) -> None:
    """An unknown that enters only through derivatives is free up to a constant."""
    for unknown in problem.unknowns:
        value = (unknown, (0,) * len(problem.coordinates))
        residuals = [*problem.equations, *(c.residual for c in problem.constraints)]
        if not any(value in r.needs and _depends(r, value) for r in residuals):
            raise ProblemError(f"{unknown!r} enters only through its derivatives, so it is determined up to a constant; pin its value, such as Dirichlet({unknown}=0, on={space_faces(problem.domain)[0]!r})")


def _depends(residual: Residual, leaf: tuple[str, tuple[int, ...]]) -> bool:
    """Whether the residual uses the leaf other than as the thing it differentiates: its partial is not zero."""
    coordinates = {x: torch.tensor([0.31, 0.67], dtype=torch.float64) for x in residual.coordinates}
    derivatives = torch.linspace(0.3, 0.7, 2 * len(residual.needs), dtype=torch.float64).view(2, -1)
    normal = {x: torch.ones(2, dtype=torch.float64) for x in residual.coordinates}
    _, partials = residual(coordinates, derivatives, normal)
    assert partials is not None
    return bool((partials[:, :, residual.needs.index(leaf)] != 0).any())


def _warn_missing(problem: Problem) -> None:
    """Name the directions along which an equation is of an order for which no condition is given."""
    domain = problem.domain
    soft = {domain.faces[c.face].coordinate for c in problem.constraints if c.prescribed is None}
    for unknown in problem.unknowns:
        for x in problem.coordinates:
            order = problem.order(unknown, x)
            if x in problem.periodic or x in soft:
                continue
            count = sum(c.prescribed is not None and c.prescribed.unknown == unknown and domain.faces[c.face].coordinate == x for c in problem.constraints)
            if isinstance(domain, SpaceTime) and x == domain.time:
                if count < order:
                    have = "no initial value" if not count else "no initial velocity"
                    _warn(f"{unknown!r} is of order {order} in time, but {have} is given; add Initial({unknown if not count else f'{unknown}_{x}'}=…)")
            elif order >= 2 and not count:
                _warn(f"{unknown!r} is of order {order} along {x!r}, but no condition is given on {x}- or {x}+; add Dirichlet, Neumann, Robin or Periodic({x!r})")


def _warn(message: str) -> None:
    warnings.warn(message, ProblemWarning, stacklevel=4)


def load(name: str) -> tuple[Problem, Recipe | None]:
    """The problem of that name or file, and the recipe beside it, if there is one.

    A problem file is Python code and is executed. Raises ProblemError where it fails or defines no `problem`.
    """
    path = find(name)
    module = _execute(path)
    problem = getattr(module, "problem", None)
    if not isinstance(problem, Problem):
        came = "no `problem`" if problem is None else f"`problem` as {type(problem).__name__}"
        raise ProblemError(f"{path}: defines {came}; expected problem = Problem(…)")
    object.__setattr__(problem, "name", path.stem)
    object.__setattr__(problem, "title", (module.__doc__ or "").strip().splitlines()[0] if module.__doc__ else path.stem)
    object.__setattr__(problem, "source", path)
    return problem, getattr(module, "recipe", None)


def _execute(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"kanpde_problem_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ProblemError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except ProblemError as error:
        raise ProblemError(f"{path.name}: {error}") from error
    except Exception as error:  # the user's own code: anything can come; it is named, never swallowed
        line = _line_of(error, path)
        raise ProblemError(f"{path.name}{line}: {type(error).__name__}: {error}") from error
    return module


def _line_of(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    found, trace = "", error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == path:
            found = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return found
