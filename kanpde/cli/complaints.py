"""Errors and warnings as one line each on standard error, and the exit codes that go with them."""

from __future__ import annotations

import sys

from typer.exceptions import TyperException

from kanpde.cli.group import is_first, is_first_to_complain
from kanpde.errors import ProblemWarning

USER_ERROR, INTERRUPTED, TERMINATED = 2, 130, 143


class Interrupted(Exception):
    """Ctrl-C or SIGTERM: a line that says what is kept, and the exit code."""

    def __init__(self, said: str, code: int = INTERRUPTED):
        super().__init__(said)
        self.code = code


def complain(message: str) -> int:
    """Print an error; returns the exit code for what the user can put right. Of several processes
    the first one to complain does."""
    if is_first_to_complain():
        print(f"error: {_one_line(message)}", file=sys.stderr)
    return USER_ERROR


def usage(error: TyperException) -> str:
    """The command line's own complaint, in the style of ours."""
    message = error.format_message()
    return message[:1].lower() + message[1:]


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """Print a warning, in place of `warnings.showwarning`; where it comes from is said only of
    those that are not about the problem."""
    if not is_first():
        return
    where = "" if issubclass(category, ProblemWarning) else f" ({filename}:{lineno})"
    print(f"warning: {_one_line(str(message))}{where}", file=sys.stderr)


def _one_line(text: str) -> str:
    return " ".join(text.split())
