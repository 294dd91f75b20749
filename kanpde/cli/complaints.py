"""Errors and warnings as one line each on standard error, and the exit codes that go with them."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.exceptions import TyperException

from kanpde.cli.group import is_first, is_first_to_complain
from kanpde.errors import ProblemWarning

USER_ERROR, NOT_BELIEVED, INTERRUPTED, TERMINATED = 2, 3, 130, 143


class Interrupted(Exception):
    """Ctrl-C or SIGTERM.

    Attributes:
        code: The exit code. The message is a line that says what is kept.
    """

    def __init__(self, said: str, code: int = INTERRUPTED):
        super().__init__(said)
        self.code = code


def complain(message: str) -> int:
    """Print an error; of several processes only the first one to complain does.

    Args:
        message: What went wrong; line breaks become blanks.

    Returns:
        The exit code for what the user can put right.
    """
    if is_first_to_complain():
        print(f"error: {_one_line(message)}", file=sys.stderr)
    return USER_ERROR


def usage(error: TyperException) -> str:
    """The command line's own complaint, in the style of ours.

    Args:
        error: What typer has raised.

    Returns:
        A line that names the option, what came and what was expected.
    """
    if isinstance(error, typer.BadParameter) and error.param is not None:
        # typer's message says what was expected of the value, and not what came
        if (refused := _refusals(error.__cause__)) is not None:
            return _refused(error.param, refused)
        if error.message and (option := _option(error.param)):
            return f"{option}: {error.message}"
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
    """Print a warning, in place of `warnings.showwarning`.

    Where it comes from is said only of warnings that are not about the problem.
    """
    if not is_first():
        return
    where = "" if issubclass(category, ProblemWarning) else f" ({filename}:{lineno})"
    print(f"warning: {_one_line(str(message))}{where}", file=sys.stderr)


def _refusals(error: object) -> dict[str, Any] | None:
    """The first of pydantic's refusals (a plain dictionary), or None for other errors."""
    errors = getattr(error, "errors", None)
    return errors()[0] if callable(errors) else None


def _refused(param: Any, refused: dict[str, Any]) -> str:
    """The line about a value that could not be read."""
    reason = refused.get("ctx", {}).get("error")
    # the values of an option that may be repeated are read one by one, each with its own refusal
    if (inner := _refusals(reason)) is not None:
        return _refused(param, inner)
    expected = _expected(param, refused) if reason is None else str(reason)
    came = f"{refused['input']!r:.40}"
    option = _option(param)
    return f"{option}: got {came}; {expected}" if option else f"{refused['input']}: {expected}"


def _expected(param: Any, refused: dict[str, Any]) -> str:
    """What was expected of a number; its option declares bounds of the type of the number."""
    if param.min is None:
        return str(refused["msg"][:1].lower() + refused["msg"][1:])
    kind = "a whole number" if isinstance(param.min, int) else "a number"
    return f"expected {kind}, {param.min:g} or more"


def _option(param: Any) -> str:
    """An option as one types it; empty for an argument, which is known by its place."""
    return next((name for name in param.opts if name.startswith("--")), "")


def _one_line(text: str) -> str:
    return " ".join(text.split())
