"""The shapes that annotations claim are evaluated while the tests run.

jaxtyping's own import hook wraps every function of a package: also those that Numba and Triton
compile, and those that are called a million times and name no shape. It does not see
`kanpde.kernels` either, whose folder lies elsewhere. So this hook checks where an annotation names
a shape, and nowhere else.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache, wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import SourceFileLoader
from types import FunctionType
from typing import Any

from beartype import beartype
from jaxtyping import jaxtyped
from reached_lines import is_counted, observed, parts
from remembered_shapes import Remembered

PACKAGES = ("kanpde",)
ARRAYS = {"Bool", "Complex", "Float", "Inexact", "Int", "Integer", "Num", "Real", "Shaped"}


SHAPE = re.compile(rf"\b({'|'.join(ARRAYS)})\[")

FIRST = "__returned__"
"""The first argument of what stands for a function that has returned it."""

# Sizes are bound to their names anew in every call.
fresh_names = jaxtyped("context")


def checked(target: Any) -> Any:
    """A function or dataclass that checks the shapes of its annotations whenever it is called.

    What names no shape is left to mypy: tests hand over plain stand-ins, and wrong values.
    """
    if isinstance(target, type):
        if is_dataclass(target):
            target.__init__ = checked(target.__init__)  # type: ignore[misc]
        return target
    hints = {
        name: hint
        for name, hint in target.__annotations__.items()
        if isinstance(hint, str) and SHAPE.search(hint)
    }
    # A name that is missing is an error here, when the module is imported: otherwise nothing would
    # be checked.
    found = {name: eval(hint, target.__globals__) for name, hint in hints.items()}
    # beartype writes code for every function: for those that are called.
    strict = cache(lambda: fresh(beartype(annotated(target, found))))
    again = cache(lambda: fresh(beartype(returning(target, found))))
    remembered = Remembered(target, hints)

    @wraps(target)
    def call(*arguments, **by_name):
        return remembered.call(target, strict, again, arguments, by_name)

    return call


def annotated(function: FunctionType, hints: dict[str, Any]) -> FunctionType:
    """A copy of the function with these annotations."""
    made = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__, made.__qualname__ = function.__kwdefaults__, function.__qualname__
    made.__annotations__ = hints
    return made


def returning(function: FunctionType, hints: dict[str, Any]) -> FunctionType:
    """What returns its first argument; the others are those of the function. It has these
    annotations."""
    words, names = [FIRST], inspect.signature(function).parameters.values()
    for k, p in enumerate(names):
        if p.kind is p.KEYWORD_ONLY and not any(word.startswith("*") for word in words):
            words.append("*")
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        words.append(stars + p.name)
        after = [other.kind for other in names][k + 1 :]
        if p.kind is p.POSITIONAL_ONLY and p.POSITIONAL_ONLY not in after:
            words.append("/")
    made: dict[str, Any] = {}
    exec(f"def {function.__name__}({', '.join(words)}):\n    return {FIRST}", made)
    found = made[function.__name__]
    found.__defaults__, found.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    found.__qualname__, found.__module__ = function.__qualname__, function.__module__
    found.__annotations__ = hints
    return found


def fresh(function: Callable) -> Callable:
    """The function with sizes that are bound to their names anew in every call."""

    def call(*arguments, **by_name):
        with fresh_names:
            return function(*arguments, **by_name)

    return call


def names_a_shape(annotation: ast.expr | None) -> bool:
    return annotation is not None and any(
        isinstance(part, ast.Subscript)
        and isinstance(part.value, ast.Name)
        and part.value.id in ARRAYS
        for part in ast.walk(annotation)
    )


def decorate(node: ast.AST) -> None:
    """Put jaxtyping's check on functions and dataclasses that have an annotation with a shape."""
    for part in parts(node):
        decorate(part)
    if isinstance(node, ast.FunctionDef):
        a = node.args
        named = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
        if names_a_shape(node.returns) or any(names_a_shape(one.annotation) for one in named):
            # next to the function, as other decorators may hide its annotations
            node.decorator_list.append(check(node))
    if isinstance(node, ast.ClassDef):
        fields = [line for line in node.body if isinstance(line, ast.AnnAssign)]
        if any(names_a_shape(field.annotation) for field in fields):
            # after `dataclass`, which makes the constructor that is checked
            node.decorator_list.insert(0, check(node))


def check(node: ast.stmt) -> ast.expr:
    expression = ast.parse(f"__import__({__name__!r}).checked", mode="eval").body
    for part in ast.walk(expression):
        ast.copy_location(part, node)
    return expression


class Loader(SourceFileLoader):
    """Compiles a module with the checks in it, and with notes of the lines that are reached where
    they are asked for; keeps nothing on disk."""

    def get_code(self, fullname: str):
        path = self.get_filename(fullname)
        source = self.get_data(path)
        counted = is_counted(path)
        if b"jaxtyping" not in source and not counted:
            return super().get_code(fullname)
        tree = ast.parse(source, path)
        decorate(tree)
        return compile(observed(tree, path) if counted else tree, path, "exec", dont_inherit=True)


class Finder(MetaPathFinder):
    """Finds what the others find, and hands it to `Loader`."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] not in PACKAGES:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if type(spec.loader) is SourceFileLoader:
                    spec.loader = Loader(spec.loader.name, spec.loader.path)
                return spec
        return None


# Bound when this module is imported, which `conftest.py` does before it imports any of `PACKAGES`.
sys.meta_path.insert(0, Finder())

# But pytest has: it looks for the warnings that pyproject.toml names. They are imported anew.
for early in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
    del sys.modules[early]
