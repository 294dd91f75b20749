"""The Python file of a problem, executed with other values for its constants."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from kanpde.errors import ProblemError, first_line, listed, nearest
from kanpde.machine.beside import executed
from kanpde.residual.cures import cure

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
    token, tree = executed.set(path), None
    try:
        tree = ast.parse(path.read_bytes(), str(path))
        _set_constants(tree, constants)
        exec(compile(tree, str(path), "exec"), module.__dict__)
    # The user's own code: anything can come out of it. It is named, never swallowed.
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ProblemError(f"{path.name}{_line_of(error, path, tree)}: {_reason(error)}") from error
    finally:
        executed.reset(token)
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


@contextmanager
def blamed(
    line: int | None = None, argument: str = "", element: int | None = None
) -> Iterator[None]:
    """Errors that are raised inside and do not know where the mistake is have it here.

    Args:
        line: Of the problem's file, where it is known.
        argument: Of Problem(…).
        element: Which one of the list that is the argument.
    """
    try:
        yield
    except ProblemError as error:
        if error.line is None and not error.argument:
            error.line, error.argument, error.element = line, argument, element
        raise


def line_of_function(function: object) -> int | None:
    """Where a function of the file that is being executed begins; None for others."""
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    return code.co_firstlineno if code and code.co_filename == str(executed.get()) else None


def _line_of(error: BaseException, path: Path, tree: ast.Module | None) -> str:
    """The line of the file in which the mistake is, in words: the innermost one that the error or
    what caused it passed through in a function; else the one that the error names; else that of the
    argument that it names, or of the statement."""
    own = path.resolve()
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).resolve() == own:
        return f", line {error.lineno}"
    outer, inner = _lines_of(error, own)
    cause = error.__cause__
    while cause is not None:
        through = _lines_of(cause, own)
        inner, cause = through[1] or through[0] or inner, cause.__cause__
    line = inner or getattr(error, "line", None)
    if line is None and tree is not None and outer is not None:
        line = _line_of_argument(tree, outer, error)
    line = line or outer
    return "" if line is None else f", line {line}"


def _lines_of(error: BaseException, own: Path) -> tuple[int | None, int | None]:
    """The last line of a file that an error passed through before other files, and the last one
    after these, where functions of the file were called from there."""
    outer: int | None = None
    inner: int | None = None
    trace, left = error.__traceback__, False
    while trace is not None:
        here = Path(trace.tb_frame.f_code.co_filename).resolve() == own
        if here and left:
            inner = trace.tb_lineno
        elif here:
            outer = trace.tb_lineno
        left = left or (outer is not None and not here)
        trace = trace.tb_next
    return outer, inner


def _line_of_argument(tree: ast.Module, line: int, error: BaseException) -> int | None:
    """The line of the keyword that an error names, or of the element of its list, in the statement
    on a line."""
    name, element = getattr(error, "argument", ""), getattr(error, "element", None)
    given = {
        node.arg: node.value
        for statement in tree.body
        if statement.lineno <= line <= (statement.end_lineno or line)
        for node in ast.walk(statement)
        if isinstance(node, ast.keyword)
    }
    value = given.get(name)
    if isinstance(value, ast.Name):
        # A list that was given a name above is looked for there.
        named = [
            statement.value
            for statement in tree.body
            if isinstance(statement, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == value.id for t in statement.targets)
        ]
        value = named[-1] if named and element is not None else value
    if isinstance(value, ast.List | ast.Tuple) and element is not None:
        value = value.elts[element] if element < len(value.elts) else value
    return None if value is None else value.lineno


def _reason(error: BaseException) -> str:
    """What is said of an error: its own words where it is ours, else these and the cure."""
    if isinstance(error, ProblemError):
        return str(error)
    if isinstance(error, SyntaxError):
        bracket = " (a bracket is missing, there or before)" if "never closed" in error.msg else ""
        known = {"invalid syntax": "; look at the end of the line before as well"}
        return f"this is not Python: {error.msg}{bracket or known.get(error.msg, '')}"
    return f"{first_line(error)}{cure(error, (), ())}"
