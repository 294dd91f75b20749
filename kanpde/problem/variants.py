"""Problems that follow from another: over a part of its time, and with numbers for its parameters.

Each changes what the user stated and has the whole problem built anew, so that nothing of it goes
unchecked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kanpde.geometry import SpaceTime, Time
from kanpde.problem.conditions import Condition
from kanpde.problem.constraints import BoundaryCondition, FaceCondition
from kanpde.problem.faces import named_faces
from kanpde.problem.initial import Initial
from kanpde.problem.prescribed import Value
from kanpde.residual.functions import argument_names, function_name

if TYPE_CHECKING:
    from kanpde.problem.eigenvalues import Mode
    from kanpde.problem.problem import Problem


def during(problem: Problem, low: float, high: float, start: Mapping[str, Value] | None) -> Problem:
    """See `Problem.during`."""
    domain = problem.domain
    assert isinstance(domain, SpaceTime)
    time = Time(**{domain.time: (low, high)})
    plain = problem.stated.domain
    assert isinstance(plain, SpaceTime)
    span = SpaceTime(domain.region, time)
    conditions: Sequence[BoundaryCondition] = problem.conditions
    if start:
        initial = Initial(**dict(start))  # type: ignore[arg-type]
        conditions = (*_without(conditions, domain), initial)
    data = [part for each in problem.stated.data if (part := each.within(domain.time, low, high))]
    found = tuple(_holding(conditions, span))
    return problem.replace(domain=SpaceTime(plain.region, time), conditions=found, data=data)


def _without(
    conditions: Sequence[BoundaryCondition], domain: SpaceTime
) -> Iterator[BoundaryCondition]:
    """The conditions, less what they say about the start of time."""
    for condition in conditions:
        if isinstance(condition, FaceCondition):
            faces = named_faces(condition.on, domain, condition.kind)
            kept = [face for face in faces if face != domain.initial_face]
            if kept:
                yield condition if len(kept) == len(faces) else condition.only_on(kept)
        elif not isinstance(condition, Initial):
            yield condition


def _holding(
    conditions: Sequence[BoundaryCondition], span: SpaceTime
) -> Iterator[BoundaryCondition]:
    """Those that hold at some time of the span; `where` may keep nothing of the others."""
    for condition in conditions:
        if not isinstance(condition, FaceCondition) or condition.faces(span):
            yield condition


def settled(
    problem: Problem,
    values: Mapping[str, float],
    conditions: Sequence[BoundaryCondition] | None = None,
) -> Problem:
    """See `Problem.settled`; with other conditions, where they are given."""
    assert isinstance(problem.stated.equations, tuple)
    return problem.replace(
        equations=[with_numbers(f, values) for f in problem.stated.equations],
        conditions=[
            _condition_with_numbers(c, values)
            for c in (problem.conditions if conditions is None else conditions)
        ],
        exact={u: f for u, f in problem.stated.exact.items() if u in problem.unknowns},
        unknowns=problem.unknowns,
        parameters=(),
        data=(),
    )


def of_mode(problem: Problem, mode: Mode, value: float) -> Problem:
    """One solution of an eigenvalue problem, with a number for its eigenvalue: a linear problem
    without sources.

    Args:
        problem: The eigenvalue problem.
        mode: Which of its solutions.
        value: For the eigenvalue.
    """
    own, numbers = (*mode.unknowns, mode.eigenvalue), {mode.eigenvalue: value}
    assert isinstance(problem.stated.equations, tuple)
    functions = [
        function
        for function, residual in zip(problem.stated.equations, problem.equations, strict=True)
        if all(u in own for u, _ in residual.needs)
    ]
    numbered = {c.number for c in problem.constraints if all(u in own for u, _ in c.residual.needs)}
    conditions = [
        c
        for k, c in enumerate(problem.conditions)
        if k in numbered or not isinstance(c, FaceCondition)
    ]
    return problem.replace(
        equations=[with_numbers(f, numbers) for f in functions],
        conditions=[_condition_with_numbers(c, numbers) for c in conditions],
        exact=None,
        unknowns=mode.unknowns,
        parameters=(),
    )


def _condition_with_numbers(
    condition: BoundaryCondition, values: Mapping[str, float]
) -> BoundaryCondition:
    if not isinstance(condition, Condition) or not any(a in values for a in condition.arguments):
        return condition
    return Condition(
        with_numbers(condition.function, values),
        on=condition.on,
        where=condition.where,
        weight=condition.weight,
    )


def with_numbers(
    function: Callable[..., Tensor | Sequence[Tensor]], values: Mapping[str, float]
) -> Callable[..., Tensor | Sequence[Tensor]]:
    """A user's function with numbers in place of some of its arguments.

    Args:
        function: Takes tensors by name, at least one of which stays.
        values: Numbers by the name of the argument.
    """
    name = function_name(function)
    arguments = argument_names(function, name)
    fixed = {a: values[a] for a in arguments if a in values}
    if not fixed:
        return function

    def known(**given: Tensor) -> Tensor | Sequence[Tensor]:
        like = next(iter(given.values()))
        numbers = {a: torch.full_like(like, value) for a, value in fixed.items()}
        return function(**given, **numbers)

    known.__name__ = name.removesuffix("()")
    known.__doc__ = function.__doc__
    if hasattr(function, "__code__"):
        # Messages name the line of the user's own function.
        known.__wrapped__ = function  # type: ignore[attr-defined]
    known.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(a, inspect.Parameter.KEYWORD_ONLY) for a in arguments if a not in fixed]
    )
    return known
