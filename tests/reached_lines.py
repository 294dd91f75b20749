"""Which lines of the project the tests reach: each statement notes its own line when it runs.

A tracer slows all Python code by half (before Python 3.12), that of NumPy, SymPy and PyTorch too.
What is noted here costs little, and only in the project's own modules, so that all tests count.
`coverage` reads what is written at the end: it says which lines are code, and makes the report.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

from coverage import CoverageData

ASKED = "REACHED_LINES" in os.environ

TOP = Path(__file__).parents[1]
SOURCES = ("kanpde", "kernels", "problems")

COMPILED = {"called", "compiled", "inlined", "intrinsic"}
"""Decorators of what Numba compiles; no statement of it could note anything."""

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Fields of statements that hold statements."""

MARKS = "__reached__"
"""The list of a module's lines, in the module itself: 1 for those that were reached."""

marks: dict[str, list[int]] = {}
"""All these lists, by file."""


def marks_of(file: str, lines: int) -> list[int]:
    """The list of a file: one for all modules that are made of it, by whatever path they found it
    (problems are also found below the current folder)."""
    return marks.setdefault(str(Path(file).resolve()), [0] * (lines + 1))


def observed(tree: ast.Module, file: str) -> ast.Module:
    """The module with statements in it that note the lines, whose numbers stay."""
    future = [line for line in tree.body if is_future(line)]
    last = max((node.end_lineno or 0 for node in tree.body), default=0)
    begin = ast.parse(
        f"{MARKS} = __import__({__name__!r}).marks_of({file!r}, {last})\n"
        + "".join(f"{MARKS}[{line.lineno}] = 1\n" for line in future)
    ).body
    observe(tree)
    head = len(future) + int(bool(tree.body) and is_text(tree.body[0]))
    tree.body[head:head] = begin
    return tree


def compile_problem(tree: ast.Module, file: str, mode: str) -> CodeType:
    """As `compile`, for problems that are executed rather than imported."""
    return compile(observed(tree, file) if is_counted(file) else tree, file, mode)


def is_counted(file: str) -> bool:
    """Whether lines are asked for, and those of this file count: Triton reads its functions as
    text, and compiles them or interprets it."""
    path = Path(file).resolve()
    return (
        ASKED
        and not path.name.startswith("triton_")
        and any(path.is_relative_to(TOP / name) for name in SOURCES)
    )


def is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def parts(node: ast.AST) -> Iterator[ast.AST]:
    """The statements directly within one, and its handlers and cases: no expression holds any."""
    for name in BLOCKS:
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield from block


def observe(node: ast.AST) -> None:
    """Put notes before all statements, and at the head of what catches or matches."""
    if any(
        isinstance(part, ast.Name) and part.id in COMPILED
        for decorator in getattr(node, "decorator_list", ())
        for part in ast.walk(decorator)
    ):
        return
    for part in parts(node):
        observe(part)
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            # A docstring stays first.
            begin = int(bool(block) and isinstance(node, DOCUMENTED) and is_text(block[0]))
            block[begin:] = [part for line in block[begin:] for part in noted(line)]
    if isinstance(node, ast.ExceptHandler):
        node.body.insert(0, note(node.lineno, node))
    if isinstance(node, ast.match_case):
        node.body.insert(0, note(node.pattern.lineno, node.body[0]))


def noted(statement: ast.stmt) -> Iterator[ast.stmt]:
    """The statement after its notes."""
    if not is_future(statement):
        for decorator in getattr(statement, "decorator_list", ()):
            yield note(decorator.lineno, statement)
        yield note(statement.lineno, statement)
    yield statement


def note(line: int, at: ast.stmt | ast.ExceptHandler) -> ast.stmt:
    """`MARKS[line] = 1`. Made by hand, as there are tens of thousands."""
    place = {
        "lineno": at.lineno,
        "col_offset": at.col_offset,
        "end_lineno": at.end_lineno,
        "end_col_offset": at.end_col_offset,
    }
    made = ast.Subscript(
        ast.Name(MARKS, ast.Load(), **place), ast.Constant(line, **place), ast.Store(), **place
    )
    return ast.Assign([made], ast.Constant(1, **place), **place)


def write() -> None:
    """Beside `.coverage`, for `coverage combine`; also files that no test has imported."""
    data = CoverageData(str(TOP / ".coverage"), suffix=True)
    data.add_lines(
        {file: [n for n, reached in enumerate(found) if reached] for file, found in marks.items()}
    )
    data.touch_files([str(file) for name in SOURCES for file in sorted((TOP / name).rglob("*.py"))])
    data.write()
