"""Many coordinates under one name: x with the components x0, x1, x2, …."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kanpde.errors import ProblemError

if TYPE_CHECKING:
    from kanpde.geometry.domain import Domain

FEW = 5
"""Coordinates up to which there are grids; beyond, everything is looked at where points lie."""

MOST_COMPONENTS = 100
"""Components of a vector, at most."""


@dataclass(frozen=True)
class Vector:
    """So many coordinates of one name: `Box(x=Vector(100, (0, 1)))`, `Ball(x=Vector(5), radius=1)`.

    Functions take the whole as `x`, of which `x[3]` is a component; elsewhere that is called x3.

    Attributes:
        size: How many.
        value: What each of them has: an interval (low, high) in a box, the centre in a ball (0
            where none is given).

    Raises:
        ProblemError: For a size that is no whole number from 1 to 100.
    """

    size: int
    value: object = None

    def __post_init__(self) -> None:
        whole = isinstance(self.size, int) and not isinstance(self.size, bool)
        if not whole or not 1 <= self.size <= MOST_COMPONENTS:
            raise ProblemError(
                f"Vector({self.size!r:.40}): expected how many coordinates, a whole number from 1"
                f" to {MOST_COMPONENTS}, such as Vector(100, (0, 1))"
            )

    def __repr__(self) -> str:
        return f"Vector({self.size}{'' if self.value is None else f', {self.value!r}'})"


def component(name: str, number: int) -> str:
    """The name of a component of a vector.

    Args:
        name: Of the vector.
        number: Of the component, counted from 0.
    """
    return f"{name}{number}"


def taken_apart(
    what: str, given: Mapping[str, object], usual: object
) -> tuple[dict[str, object], dict[str, tuple[str, ...]]]:
    """Coordinates with the components of vectors in the place of these.

    Args:
        what: How messages call what they were given to.
        given: By name a Vector, or what a single coordinate has.
        usual: What a component has where a Vector says nothing; None where it has to.

    Returns:
        What every coordinate has, by name, and the components of vectors by theirs.

    Raises:
        ProblemError: For two coordinates of one name, and vectors that lack what they have to say.
    """
    flat: dict[str, object] = {}
    vectors: dict[str, tuple[str, ...]] = {}
    for name, value in given.items():
        if not isinstance(value, Vector):
            own = {name: value}
        else:
            if value.value is None and usual is None:
                raise ProblemError(
                    f"{what}({name}={value!r}): expected an interval as well, such as"
                    f" Vector({value.size}, (0, 1))"
                )
            each = usual if value.value is None else value.value
            own = {component(name, i): each for i in range(value.size)}
            vectors[name] = tuple(own)
        if twice := next((x for x in own if x in flat or (x in given and x != name)), None):
            raise ProblemError(
                f"{what}(…): {twice!r} is a component of a vector and another coordinate; expected"
                " other names"
            )
        flat |= own
    return flat, vectors


def refuse_vector(what: str, given: Mapping[str, object], instead: str) -> None:
    """Refuse vectors where there can be none.

    Args:
        what: How messages call what they were given to.
        given: What was given, by name.
        instead: What to write.

    Raises:
        ProblemError: For the first vector.
    """
    for name, value in given.items():
        if isinstance(value, Vector):
            raise ProblemError(f"{what}({name}={value!r}): takes no vector; {instead}")


def many(domain: Domain) -> bool:
    """Whether a domain has more coordinates than grids take.

    Args:
        domain: The domain.
    """
    return len(domain.coordinates) > FEW
