"""Arguments of conditions, faces and problems that people give under other names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kanpde.errors import ProblemError, nearest
from kanpde.geometry import Domain

FACES_OTHERWISE = ("at", "face", "faces", "side", "boundary", "location", "edge")
"""What `on` is called elsewhere."""

ARGUMENTS_OTHERWISE = {
    "equation": "equations",
    "eq": "equations",
    "eqs": "equations",
    "eqn": "equations",
    "pde": "equations",
    "pdes": "equations",
    "ode": "equations",
    "residual": "equations",
    "residuals": "equations",
    "bc": "conditions",
    "bcs": "conditions",
    "ic": "conditions",
    "ics": "conditions",
    "condition": "conditions",
    "constraints": "conditions",
    "boundary": "conditions",
    "boundary_conditions": "conditions",
    "initial": "conditions",
    "initial_conditions": "conditions",
    "geometry": "domain",
    "box": "domain",
    "region": "domain",
    "time": "domain",
    "solution": "exact",
    "variables": "unknowns",
    "params": "parameters",
    "parameter": "parameters",
}
"""What the arguments of Problem(…) are called elsewhere."""

FACES_IN_WORDS = {
    "left": (0, "-"),
    "right": (0, "+"),
    "bottom": (1, "-"),
    "top": (1, "+"),
    "front": (2, "-"),
    "back": (2, "+"),
}
"""Faces of boxes as people say them: number of the coordinate, and which end."""


def check_named(
    kind: str, nameless: Sequence[object], values: Mapping[str, object], where: str
) -> None:
    """Refuse a condition whose values are given without names, are text, or of which there is none.

    Args:
        kind: Of the condition.
        nameless: What was given without a name.
        values: What was given by name.
        where: How a face is given.

    Raises:
        ProblemError: In one line that says what to write.
    """
    if nameless:
        texts = [one for one in nameless if isinstance(one, str) and one.isidentifier()]
        rest = [one for one in nameless if one not in texts] or [0]
        shown = ", ".join(f"{one!r:.40}" for one in nameless)
        value = f"{rest[0]!r:.40}" if isinstance(rest[0], int | float) else "…"
        raise ProblemError(
            f"{kind}({shown}): unknowns are given by name; write"
            f" {kind}({texts[0] if texts else 'u'}={value})"
        )
    for name, one in values.items():
        if name in FACES_OTHERWISE and isinstance(one, str | tuple | list):
            on = where.replace('"x-"', repr(one))
            raise ProblemError(f"{kind}({name}={one!r:.40}): faces are given by {on}")
        if isinstance(one, str):
            raise ProblemError(
                f"{kind}({name}={one!r:.40}): got text; expected a number, or a function such as"
                " lambda x: sin(x)"
            )
    if not values:
        raise ProblemError(f"{kind}(…): names no unknown; expected such as {kind}(u=0)")


def check_arguments_of_problem(others: Mapping[str, object], known: Sequence[str]) -> None:
    """Refuse arguments that a Problem does not have.

    Args:
        others: What was given besides those that it has.
        known: Names of these.

    Raises:
        ProblemError: In one line that names the right one.
    """
    for other in others:
        right = ARGUMENTS_OTHERWISE.get(other)
        hint = f"; it is called {right}=…" if right else nearest(other, known)
        raise ProblemError(
            f"Problem({other}=…): no such argument{hint}; it takes {', '.join(known)}",
            argument=other,
        )


def face_meant(name: object, domain: Domain) -> str:
    """A hint for a face that a domain does not have under that name; empty where none is near.

    Args:
        name: What the user gave.
        domain: Has the faces.
    """
    if not isinstance(name, str):
        return ""
    axis, end = FACES_IN_WORDS.get(name.lower(), (-1, ""))
    x, _, place = name.replace(" ", "").partition("=")
    found = [domain.space[axis] + end] if 0 <= axis < len(domain.space) else []
    if x in domain.space and not place:
        found = [f"{x}-", f"{x}+"]
    elif x in domain.space:
        try:
            gaps = [abs(float(place.lstrip("=")) - one) for one in domain.bounds[x]]
        except ValueError:
            gaps = [0.0, 0.0]
        found = [f"{x}{'-' if gaps[0] <= gaps[1] else '+'}"]
    meant = " or ".join(repr(face) for face in found if face in domain.faces)
    return f"; did you mean {meant}?" if meant else ""
