"""Which lines of the project the tests reach: statements note their lines when they run.

A tracer slows all Python code by half (before Python 3.12), that of NumPy, SymPy and PyTorch too.
What is noted here costs little, and only in the project's own modules, so that all tests count.
Of statements in a row, the first notes its line and the last those of all: who comes there has
passed the others. (Where all are left by an error on the way, only the first counts.)
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

implied: dict[str, dict[int, set[int]]] = {}
"""By file: the other lines that were reached where a line has noted itself."""


def marks_of(file: str, lines: int) -> list[int]:
    """The list of a file: one for all modules that are made of it, by whatever path they found it
    (problems are also found below the current folder)."""
    return marks.setdefault(str(Path(file).resolve()), [0] * (lines + 1))


def reached(file: str) -> set[int]:
    """The lines of a file that were reached."""
    found = {n for n, noted in enumerate(marks[file]) if noted}
    return found.union(*(implied[file].get(n, ()) for n in found))


def observed(tree: ast.Module, file: str) -> ast.Module:
    """The module with statements in it that note the lines, whose numbers stay."""
    future = [line for line in tree.body if is_future(line)]
    last = max((node.end_lineno or 0 for node in tree.body), default=0)
    begin = ast.parse(
        f"{MARKS} = __import__({__name__!r}).marks_of({file!r}, {last})\n"
        + "".join(f"{MARKS}[{line.lineno}] = 1\n" for line in future)
    ).body
    observe(tree, implied.setdefault(str(Path(file).resolve()), {}))
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


def observe(node: ast.AST, with_it: dict[int, set[int]]) -> None:
    """Put notes before statements.

    Args:
        node: The statement, handler or case whose blocks get them.
        with_it: Gets the lines that others imply.
    """
    if any(
        isinstance(part, ast.Name) and part.id in COMPILED
        for decorator in getattr(node, "decorator_list", ())
        for part in ast.walk(decorator)
    ):
        return
    for part in parts(node):
        observe(part, with_it)
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block:
            # A docstring stays first, and so does what is of the future, which has its notes.
            begin = int(isinstance(node, DOCUMENTED) and is_text(block[0]))
            begin += sum(is_future(line) for line in block[begin:])
            head = {node.lineno} if isinstance(node, ast.ExceptHandler) else set()
            head |= {node.pattern.lineno} if isinstance(node, ast.match_case) else set()
            if head:
                with_it.setdefault(block[0].lineno, set()).update(head)
            block[begin:] = [part for row in rows(block[begin:]) for part in noted(row, with_it)]


def rows(block: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """Statements of which each runs after the one before, unless that ends in an error: none but
    the last holds others."""
    row: list[ast.stmt] = []
    for statement in block:
        row.append(statement)
        if any(True for _ in parts(statement)):
            yield row
            row = []
    if row:
        yield row


def noted(row: list[ast.stmt], with_it: dict[int, set[int]]) -> Iterator[ast.stmt]:
    """The statements of a row after their notes."""
    *others, last = row
    if others:
        yield note(others[0].lineno, others[0])
        yield from others
    yield note(last.lineno, last)
    yield last
    lines = {decorator.lineno for decorator in getattr(last, "decorator_list", ())}
    with_it.setdefault(last.lineno, set()).update(lines, (line.lineno for line in others))


def note(line: int, at: ast.stmt) -> ast.stmt:
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
    data.add_lines({file: sorted(reached(file)) for file in marks})
    data.touch_files([str(file) for name in SOURCES for file in sorted((TOP / name).rglob("*.py"))])
    data.write()
