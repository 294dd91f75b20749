"""Typed errors: each message is one line that names what came, what was expected and the nearest
right thing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class KanpdeError(Exception):
    """Base of every error that a user can cause; the command line prints its message and nothing
    else."""


class ProblemError(KanpdeError):
    """The problem definition is wrong: a name, a shape, a condition.

    Attributes:
        line: That of the file of the problem in which the mistake is; None where nobody knows.
        argument: The argument of Problem(…) in which it is; empty where nobody knows.
        element: Which one of a list that was given as the argument; None for all of it.
    """

    def __init__(
        self,
        message: str = "",
        line: int | None = None,
        argument: str = "",
        element: int | None = None,
    ):
        super().__init__(message)
        self.line, self.argument, self.element = line, argument, element


class RecipeError(KanpdeError):
    """The network, schedule or other solver setting does not fit the problem or the machine."""


class DataError(KanpdeError):
    """Data that cannot be read or used: a file, a column, a row."""


class ReferenceUnavailable(KanpdeError):
    """The reference cannot be computed for this problem."""


class SolutionDoubtful(ReferenceUnavailable):
    """The finite differences measured what speaks against a solution: growth without bound, a null
    vector, no balance anywhere near.

    Attributes:
        ends: The time at which a march could not go on; None where that is not the reason.
    """

    def __init__(self, message: str, ends: float | None = None):
        super().__init__(message)
        self.ends = ends


class SolutionEnds(SolutionDoubtful):
    """Marches on different grids ended at the same time: there is no solution beyond."""


class RunError(KanpdeError):
    """A run folder cannot be written or read."""


class NotConverged(KanpdeError):
    """A solution that was asked for strictly has not converged, or nobody can tell whether it has;
    `result` is the result all the same."""

    def __init__(self, message: str, result: object = None):
        super().__init__(message)
        self.result = result


class ProblemWarning(UserWarning):
    """The problem can be solved, but probably is not what was meant."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint `; did you mean 'a' or 'b'?` for a misspelt name.

    Args:
        name: What came.
        known: The names that there are.

    Returns:
        The hint; an empty string where no name is near.
    """
    names = list(dict.fromkeys(known))
    close = [k for k in names if k.lower() == name.lower()] or difflib.get_close_matches(
        name, names, n=3, cutoff=0.5
    )
    return f"; did you mean {' or '.join(repr(c) for c in close)}?" if close else ""


LISTED = 64
"""Names up to which all are listed."""


def listed(names: Iterable[str]) -> str:
    """Names joined by commas, those in the middle of very many left out, or 'none'.

    Args:
        names: The names.
    """
    every = list(names)
    if len(every) > LISTED:
        every = [*every[:3], "…", every[-1]]
    return ", ".join(every) or "none"


def first_line(error: BaseException) -> str:
    """Type and first line of an error that the user's own code raised.

    Args:
        error: The error.
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
