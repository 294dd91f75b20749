"""The Python file of a problem, executed with other values for its constants."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType

from kanpde.errors import ProblemError, first_line, listed, nearest

ARITHMETIC = (
    ast.BinOp,
    ast.UnaryOp,
    ast.operator,
    ast.unaryop,
    ast.Constant,
    ast.Name,
    ast.Attribute,
    ast.Load,
)
"""What the value of a constant is written with."""

_executed: ContextVar[Path | None] = ContextVar("kanpde_executed_file", default=None)


def folder_of_file() -> Path | None:
    """The folder of the problem's file that is being executed; where there is none, that of the
    script that Python was started with, if any."""
    file = _executed.get() or getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(file).parent if file else None


def constants_of(tree: ast.Module) -> dict[str, ast.Assign]:
    """The statements of a problem's file that give a name to a number, by that name: literals and
    names, and arithmetic with them, at the top level."""
    found: dict[str, ast.Assign] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            (target,) = statement.targets
            if isinstance(target, ast.Name) and _is_arithmetic(statement.value):
                found[target.id] = statement
    return found


def _is_arithmetic(value: ast.expr) -> bool:
    """Whether an expression is arithmetic with numbers, at least one of them a literal."""
    parts = list(ast.walk(value))
    literals = [part.value for part in parts if isinstance(part, ast.Constant)]
    return (
        bool(literals)
        and all(isinstance(part, ARITHMETIC) for part in parts)
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in literals)
    )


def execute(path: Path, constants: Mapping[str, float]) -> ModuleType:
    """The file as a module, with other values for some of its constants.

    Args:
        path: The file.
        constants: The other values by name.

    Raises:
        ProblemError: For whatever goes wrong in it; the message names the line.
    """
    name = f"kanpde_problem_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ProblemError(f"{path}: not a Python file; expected a name that ends in .py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    token = _executed.set(path)
    try:
        tree = ast.parse(path.read_bytes(), str(path))
        _set_constants(tree, constants)
        exec(compile(tree, str(path), "exec"), module.__dict__)
    # The user's own code: anything can come out of it. It is named, never swallowed.
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        reason = str(error) if isinstance(error, ProblemError) else first_line(error)
        raise ProblemError(f"{path.name}{_line_of(error, path)}: {reason}") from error
    finally:
        _executed.reset(token)
    return module


def _set_constants(tree: ast.Module, constants: Mapping[str, float]) -> None:
    """Write other values into the source. Raises ProblemError where there is no such constant."""
    known = constants_of(tree)
    for constant, value in constants.items():
        if constant not in known:
            raise ProblemError(
                f"no constant {constant!r}; the file has {listed(known)}{nearest(constant, known)}"
            )
        given = known[constant].value
        whole = isinstance(given, ast.Constant) and isinstance(given.value, int)
        number = int(value) if whole and value == int(value) else value
        known[constant].value = ast.copy_location(ast.Constant(number), given)


def _line_of(error: BaseException, path: Path) -> str:
    """The last line of the file that the error passed through, in words."""
    own = path.resolve()
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).resolve() == own:
        return f", line {error.lineno}"
    found, trace = "", error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).resolve() == own:
            found = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return found
