"""The Python file of a problem, executed with other values for its constants."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from kanpde.errors import ProblemError, first_line, listed, nearest


def constants_of(tree: ast.Module) -> dict[str, ast.Assign]:
    """The top-level statements of a problem file that give a name to a number: literals and names,
    and arithmetic with them."""
    found: dict[str, ast.Assign] = {}
    for statement in tree.body:
        if (
            isinstance(statement, ast.Assign)
            and len(statement.targets) == 1
            and isinstance(statement.targets[0], ast.Name)
        ):
            parts = list(ast.walk(statement.value))
            arithmetic = all(
                isinstance(
                    part,
                    ast.BinOp
                    | ast.UnaryOp
                    | ast.operator
                    | ast.unaryop
                    | ast.Constant
                    | ast.Name
                    | ast.Attribute
                    | ast.Load,
                )
                for part in parts
            )
            literals = [part.value for part in parts if isinstance(part, ast.Constant)]
            if (
                arithmetic
                and literals
                and all(
                    isinstance(value, int | float) and not isinstance(value, bool)
                    for value in literals
                )
            ):
                found[statement.targets[0].id] = statement
    return found


def execute(path: Path, constants: Mapping[str, float]) -> ModuleType:
    """The file as a module, with other values for some of its constants. Raises ProblemError, with
    the line, for whatever goes wrong in it."""
    name = f"kanpde_problem_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ProblemError(f"{path}: not a Python file; expected a name that ends in .py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        tree = ast.parse(path.read_bytes(), str(path))
        known = constants_of(tree)
        for constant, value in constants.items():
            if constant not in known:
                raise ProblemError(
                    f"no constant {constant!r}; the file has"
                    f" {listed(known)}{nearest(constant, known)}"
                )
            given = known[constant].value
            whole = (
                isinstance(given, ast.Constant)
                and isinstance(given.value, int)
                and value == int(value)
            )
            known[constant].value = ast.copy_location(
                ast.Constant(int(value) if whole else value), given
            )
        exec(compile(tree, str(path), "exec"), module.__dict__)
    except (
        Exception,
        SystemExit,
    ) as error:  # the user's own code: anything can come; it is named, never swallowed
        del sys.modules[name]
        reason = str(error) if isinstance(error, ProblemError) else first_line(error)
        raise ProblemError(f"{path.name}{_line_of(error, path)}: {reason}") from error
    return module


def _line_of(error: BaseException, path: Path) -> str:
    """The last line of the file that the error passed through, in words."""
    if (
        isinstance(error, SyntaxError)
        and error.filename
        and Path(error.filename).resolve() == path.resolve()
    ):
        return f", line {error.lineno}"
    found, trace = "", error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).resolve() == path.resolve():
            found = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return found
