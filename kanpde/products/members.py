"""The squares of a family of problems: those of single members, one at each of some values of the
parameters, from which all others are interpolated by splines.

Nothing is differentiated by a parameter, so that members know nothing of each other: each has the
normal equations of a problem without parameters. They share cells and spans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product as every

import numpy as np
from jaxtyping import Float

from kanpde.problem.families import pinned, said
from kanpde.problem.formulation import Formulation
from kanpde.problem.problem import Problem
from kanpde.products.axes import Axis, SplineAxis, along
from kanpde.products.between import Between, between
from kanpde.products.held import Held, Start, held
from kanpde.products.newton import LAST_STEP, Iterate, LeastSquares, least_squares

Place = tuple[int, ...]
"""Numbers of the values of all parameters that a member has."""

Starts = Callable[[Formulation, Mapping[str, float]], Mapping[tuple[str, int], Start]]
"""Values and rates with which the span under way begins, of a member at values of the
parameters."""


def nodes_of(axis: SplineAxis) -> Float[np.ndarray, " functions"]:
    """The values of a parameter at which splines are interpolated: the means of their inner knots,
    as many as there are splines (Greville's abscissae).

    Args:
        axis: Splines of the parameter, clamped.
    """
    p = axis.degree
    return np.array([axis.knots[i + 1 : i + p + 1].mean() for i in range(axis.size)])


class Members:
    """The members of a family on some axes: coefficients of the family, and those of each.

    Args:
        problem: The family.
        axes: Functions of each coordinate, parameters first.
    """

    def __init__(self, problem: Problem, axes: Sequence[Axis]):
        self.problem, self.axes = problem, tuple(axes)
        self.names = tuple(problem.family)
        self.own = self.axes[len(self.names) :]
        parameters = self.axes[: len(self.names)]
        self.nodes = [nodes_of(axis) for axis in parameters if isinstance(axis, SplineAxis)]
        ways = zip(parameters, self.nodes, strict=True)
        self._values = [axis.matrix(nodes).toarray() for axis, nodes in ways]
        self._fits = [np.linalg.inv(matrix) for matrix in self._values]

    @property
    def places(self) -> list[Place]:
        """Of all members."""
        return list(every(*(range(len(nodes)) for nodes in self.nodes)))

    def at(self, place: Place) -> dict[str, float]:
        """The values of the parameters of a member.

        Args:
            place: Which member.
        """
        ways = zip(self.names, self.nodes, place, strict=True)
        return {name: float(nodes[i]) for name, nodes, i in ways}

    def apart(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "unknowns ..."]:
        """Coefficients of all members from those of the family.

        Args:
            C: Of the family, those by parameters first.
        """
        return self._through(self._values, C)

    def together(self, V: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "unknowns ..."]:
        """Coefficients of the family from those of all members.

        Args:
            V: Of the members, by the numbers of their values first.
        """
        return self._through(self._fits, V)

    def _through(
        self, matrices: Sequence[np.ndarray], C: Float[np.ndarray, "unknowns ..."]
    ) -> Float[np.ndarray, "unknowns ..."]:
        rest = C.shape[1 + len(matrices) :]
        flat = np.moveaxis(C.reshape(*C.shape[: 1 + len(matrices)], -1), -1, 0)
        found = np.moveaxis(along(matrices, np.ascontiguousarray(flat)), 0, -1)
        return np.ascontiguousarray(found).reshape(*found.shape[:-1], *rest)


class FamilySquares:
    """The squares of all members.

    Args:
        members: On the axes of an attempt.
        starts: With which a span of time begins; None where there is none.
    """

    def __init__(self, members: Members, starts: Starts | None = None):
        self.members, self._starts = members, starts

    def advance(self, at: Iterate, tolerance: float) -> Iterate:
        """All steps of all members, each from its own coefficients or its neighbour's, whichever
        leaves less of the squares.

        Args:
            at: Where they begin.
            tolerance: Error that is asked for, over the largest coefficients.

        Raises:
            ProblemError: A residual is not finite, or equations are singular.
        """
        V = self.members.apart(at.C)
        ends: list[Iterate] = []
        sizes = np.max([_largest(own.given.C) for own in self._all], 0)
        for own in self._all:
            guesses = [V[_of(own.place)], *_neighbours(V, own.place, self.members.nodes)]
            end = own.solved(guesses, tolerance, sizes)
            sizes = np.maximum(sizes, _largest(end.C))
            V[_of(own.place)] = end.C
            ends.append(end)
            if end.stalled:
                break
        return replace(
            at,
            C=self.members.together(V),
            steps=at.steps + max(end.steps for end in ends),
            size=max(end.size for end in ends),
            loss=sum(end.loss for end in ends),
            stiffness=tuple(np.mean([end.stiffness for end in ends], 0).tolist()),
            done=True,
            stalled=any(end.stalled for end in ends),
        )

    def unmet(self, at: Iterate, error: Float[np.ndarray, " unknowns"]) -> float:
        """How far the worst member is from meeting its equations and conditions.

        Args:
            at: Where Newton's method ended.
            error: Of each unknown, that is asked for.
        """
        found = 0.0
        for own, end in zip(self._all, self._ends(at), strict=True):
            loss = own.squares.loss(end.C, own.squares.weights(end.C))
            found = max(found, own.squares.unmet(replace(end, loss=loss), error))
        return found

    def between(self, at: Iterate, error: Float[np.ndarray, " unknowns"]) -> Between:
        """What the points of any member have not seen; see between.between.

        Args:
            at: Where Newton's method ended.
            error: Of each unknown, that is asked for.
        """
        worst = Between()
        parameters = self.members.axes[: len(self.members.names)]
        for own, end in zip(self._all, self._ends(at), strict=True):
            found = between(own.squares, end, error)
            if found.times > worst.times:
                axes = tuple(a for a in (*parameters, *found.axes) if isinstance(a, SplineAxis))
                worst = replace(found, axes=axes, said=f"{found.said}, for {said(own.values)}")
        return worst

    def _ends(self, at: Iterate) -> Iterator[Iterate]:
        """Where Newton's method ended, member after member."""
        V = self.members.apart(at.C)
        for own in self._all:
            yield Iterate(np.ascontiguousarray(V[_of(own.place)]), stiffness=at.stiffness)

    @cached_property
    def _all(self) -> list[_Member]:
        """All members."""
        found = []
        for place in self.members.places:
            values = self.members.at(place)
            problem, axes = pinned(self.members.problem, values), self.members.own
            given = held(problem, axes, self._starts(problem, values) if self._starts else {})
            found.append(_Member(place, values, given, least_squares(problem, axes, given)))
        return found


@dataclass(frozen=True, eq=False)
class _Member:
    """One of a family.

    Attributes:
        place: Numbers of its values.
        values: Of the parameters.
        given: What its conditions give.
        squares: Its squares.
    """

    place: Place
    values: Mapping[str, float]
    given: Held
    squares: LeastSquares

    def solved(
        self,
        guesses: Sequence[Float[np.ndarray, "unknowns ..."]],
        tolerance: float,
        sizes: Float[np.ndarray, " unknowns"],
    ) -> Iterate:
        """Where Newton's method ends.

        Args:
            guesses: Coefficients to begin with, of which those are taken that leave the least of
                the squares.
            tolerance: Error that is asked for, over the largest coefficients.
            sizes: The largest coefficients of all members: one whose solution has died away need
                not be right in its own digits.
        """
        # A copy, since the factor that it keeps where J is the same everywhere is large.
        squares, C = replace(self.squares), self.given.C
        if not squares.affine:
            tried = [self._given(guess) for guess in guesses]
            losses = [squares.there(C, squares.weights(C)) for C in tried] if tried[1:] else [0.0]
            C = tried[int(np.argmin(losses))]
        at = Iterate(C)
        while not at.done:
            before, at = at, squares.advance(at, tolerance)
            moved = _largest(at.C - before.C)
            if moved.any() and (moved <= LAST_STEP * tolerance * sizes).all():
                return replace(at, done=True, stalled=False)
        return at

    def _given(self, guess: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "unknowns ..."]:
        """A guess with what conditions give: coefficients with one number differ as they say."""
        index, free = self.given.index, self.given.index >= 0
        change = np.zeros(self.given.free)
        change[index[free]] = (guess - self.given.C)[free]
        return np.where(free, self.given.C + np.append(change, 0.0)[index], self.given.C)


def _largest(C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, " unknowns"]:
    """The largest coefficient of every unknown."""
    found: Float[np.ndarray, " unknowns"] = np.abs(C).reshape(len(C), -1).max(1)
    return found


def _of(place: Place) -> tuple[slice | int, ...]:
    """Where the coefficients of a member are among those of all."""
    return (slice(None), *place)


def _neighbours(
    V: Float[np.ndarray, "unknowns ..."],
    place: Place,
    nodes: Sequence[Float[np.ndarray, " values"]],
) -> list[Float[np.ndarray, "unknowns ..."]]:
    """Guesses from the members before one: the last one, and the line through the last two."""
    for i, number in reversed(list(enumerate(place))):
        if not number:
            continue
        one, two = ((*place[:i], number - k, *place[i + 1 :]) for k in (1, 2))
        found = [V[_of(one)]]
        if number > 1:
            x = nodes[i]
            share = (x[number] - x[number - 1]) / (x[number - 1] - x[number - 2])
            found.append(V[_of(one)] + share * (V[_of(one)] - V[_of(two)]))
        return found
    return []
