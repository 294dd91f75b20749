"""What the house forbids, found in its source: imports that run upwards, names that exist twice,
functions that do not fit on a screen.

Each function returns the faults of one kind, in words that say where they are; `test_imports.py`
wants none. `python tests/house.py` lists them all.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TOP = Path(__file__).parents[1]

ROOMS = (
    "__main__",
    "cli",
    "doctor",
    "reports",
    "exports",
    "sweeps",
    "interpret",
    "fitting",
    "solver",
    "runs",
    "plots",
    "results",
    "recipes",
    "inverse",
    "training",
    "products",
    "networks",
    "reference",
    "problem",
    "residual",
    "geometry",
    "provenance",
    "machine",
    "kernels",
    "errors",
)
"""Folders and loose modules of `kanpde`, from the top down: each imports only those below it."""

EVERYBODY = {"kanpde.__version__", "kanpde.__file__"}
"""What every room may ask of the package itself."""

OUTSIDE = {"kernels": {"torch", "triton", "numpy", "numba", "llvmlite"}, "errors": set()}
"""Rooms that stand alone, with all that they import besides the standard library."""

BY_NAME = {
    "kanpde/__init__.py": "",
    "kanpde/networks/registry.py": "kanpde.networks.kinds.",
    "kernels/paths.py": "kanpde.kernels.",
}
"""Files that import modules by their names, and how these names begin."""

FUNCTION = 60
"""Lines of the longest function."""

LOOSE = 6
"""Modules that lie beside the rooms."""


@dataclass(frozen=True)
class Module:
    """A file of `kanpde` or `kernels`.

    Attributes:
        name: As it is imported: `kanpde.runs.folder`.
        place: As a reader looks for it: `kanpde/runs/folder.py`.
        room: The one of ROOMS that it lies in, or "" for `kanpde/__init__.py`.
        tree: Its source, parsed.
    """

    name: str
    place: str
    room: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The package that it lies in; a loose module counts as one of its own."""
        above = self.name.rpartition(".")[0]
        return self.name if self.place.endswith("__init__.py") or above == "kanpde" else above


@cache
def modules() -> tuple[Module, ...]:
    """All modules of `kanpde` and `kernels`."""
    found = []
    for path in sorted([*(TOP / "kanpde").rglob("*.py"), *(TOP / "kernels").rglob("*.py")]):
        place = path.relative_to(TOP)
        inside = place.parts[0] == "kanpde"
        parts = (place if inside else "kanpde" / place).with_suffix("").parts
        room = "" if parts == ("kanpde", "__init__") else parts[1]
        name = ".".join(part for part in parts if part != "__init__")
        found.append(Module(name, str(place), room, ast.parse(path.read_text())))
    return tuple(found)


@cache
def public() -> dict[str, str]:
    """The module of every public name, from the table of `kanpde/__init__.py`."""
    (package,) = (m for m in modules() if m.name == "kanpde")
    (table,) = (
        node.value
        for node in package.tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOME"
    )
    return {name: home for home, names in ast.literal_eval(table).items() for name in names}


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a file imports, those of late imports and of TYPE_CHECKING included; of
    `import kanpde`, what is asked of the package afterwards."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name != "kanpde")
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "kanpde":
            yield f"kanpde.{node.attr}"


def home(dotted: str) -> str:
    """The module of `kanpde` that an imported name comes from."""
    names = {m.name for m in modules()}
    if dotted in names:
        return dotted
    before, _, last = dotted.rpartition(".")
    return public().get(last, dotted) if before == "kanpde" else before


def imports_that_run_upwards() -> set[str]:
    """Imports of a room from one that stands above it."""
    found = set()
    for module in modules():
        if not module.room:
            continue
        for dotted in imported(module.tree):
            top, _, rest = home(dotted).partition(".")
            if top in ("problems", "benchmarks", "experiments", "tests"):
                found.add(f"{module.place} imports {dotted}")
            if top != "kanpde" or dotted in EVERYBODY:
                continue
            room = rest.partition(".")[0]
            if room not in ROOMS or ROOMS.index(room) < ROOMS.index(module.room):
                found.add(f"{module.place} imports {home(dotted)}")
    return found


def imports_from_outside() -> set[str]:
    """Imports of rooms that stand alone from other packages than the allowed ones."""
    return {
        f"{module.place} imports {dotted}"
        for module in modules()
        if module.room in OUTSIDE
        for dotted in imported(module.tree)
        if (top := dotted.partition(".")[0]) != "kanpde"
        and top not in OUTSIDE[module.room] | sys.stdlib_module_names
    }


def imports_in_a_circle() -> set[str]:
    """Packages that import each other, directly or through others; a package inside another counts
    as one of its own."""
    packages = {m.name: m.package for m in modules()}
    below = defaultdict(set)
    for module in modules():
        if module.room:
            homes = {home(dotted) for dotted in imported(module.tree)} & set(packages)
            below[packages[module.name]] |= {packages[h] for h in homes} - {packages[module.name]}
    reached = {package: _reached(package, below) for package in list(below)}
    return {
        f"{a} and {b} import each other"
        for a in reached
        for b in reached[a]
        if a < b and a in reached.get(b, ())
    }


def _reached(start: str, below: dict[str, set[str]]) -> set[str]:
    seen, ahead = set(), [start]
    while ahead:
        for package in below.get(ahead.pop(), ()):
            if package not in seen:
                seen.add(package)
                ahead.append(package)
    return seen


def imports_by_name() -> set[str]:
    """Files that import by name without standing in BY_NAME, and names there that do not begin as
    they must."""
    found = set()
    for module in modules():
        words = {n.id for n in ast.walk(module.tree) if isinstance(n, ast.Name)}
        words |= {n.attr for n in ast.walk(module.tree) if isinstance(n, ast.Attribute)}
        tricks = words & {"import_module", "__import__"}
        if tricks and module.place not in BY_NAME:
            found.add(f"{module.place} imports by name")
        if tricks and (start := BY_NAME.get(module.place)):
            constants = (n.value for n in ast.walk(module.tree) if isinstance(n, ast.Constant))
            found |= {
                f"{module.place} names {value}"
                for value in constants
                if isinstance(value, str)
                and value.startswith("kanpde.")
                and not value.startswith(start)
            }
    return found


def modules_that_are_called() -> set[str]:
    """Modules that pose as functions, by the class of the module or by deriving from ModuleType."""
    found = set()
    for module in modules():
        for node in ast.walk(module.tree):
            bases = node.bases if isinstance(node, ast.ClassDef) else []
            if any(ast.unparse(base).endswith("ModuleType") for base in bases):
                found.add(f"{module.place}: class {node.name}")
            targets = node.targets if isinstance(node, ast.Assign) else []
            names = [ast.unparse(target) for target in targets]
            found |= {f"{module.place}: {n}" for n in names if n.endswith(".__class__")}
    return found


def walks_of_frames() -> set[str]:
    """Functions that look at who called them."""
    forbidden = {"_getframe", "currentframe", "f_back", "_getframemodulename"}
    return {
        f"{module.place}: {node.attr}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and (node.attr in forbidden or ast.unparse(node) == "inspect.stack")
    }


def constructors_that_are_bypassed() -> set[str]:
    """Writes past a class's constructor, by `vars(x)`, `x.__dict__` or `object.__setattr__`.

    A constructor may write so to its own object, as those of frozen classes do, but one of a class
    whose base has another only after it has called that one: else what the base checks is skipped.
    """
    built = {c.name for m in modules() for c in _classes(m.tree) if _constructors(c) or _data(c)}
    found = set()
    for module in modules():
        own: set[ast.AST] = set()
        for one in _classes(module.tree):
            based = any(ast.unparse(base).rpartition(".")[2] in built for base in one.bases)
            for method in _constructors(one):
                calls = {ast.unparse(n.func) for n in ast.walk(method) if isinstance(n, ast.Call)}
                if method.name == "__post_init__" or not based or "super().__init__" in calls:
                    named = method.args.args[0].arg
                    own |= {n for n in ast.walk(method) if _written_past(n) == named}
        found |= {
            f"{module.place}: {ast.unparse(node)}"
            for node in ast.walk(module.tree)
            if _written_past(node) and node not in own
        }
    return found


def _classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def _constructors(one: ast.ClassDef) -> list[ast.FunctionDef]:
    names = ("__init__", "__post_init__")
    return [n for n in one.body if isinstance(n, ast.FunctionDef) and n.name in names]


def _data(one: ast.ClassDef) -> bool:
    """Whether it has the constructor of a dataclass."""
    return any("dataclass" in ast.unparse(decorator) for decorator in one.decorator_list)


def _written_past(node: ast.AST) -> str:
    """The object whose attributes a node writes without a call of its own `__setattr__`, or ""."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        called, of = node.func.attr, ast.unparse(node.func.value)
        if called in ("__setattr__", "__delattr__"):
            # of `object`, or of a base by super(): the class's own refuses as it should
            return ast.unparse(node.args[0]) if of == "object" and node.args else of
        if called in ("update", "setdefault", "pop", "clear", "popitem"):
            return _attributes_of(node.func.value)
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign | ast.Delete):
        targets = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    places = [t.value if isinstance(t, ast.Subscript) else t for t in targets]
    return next((name for place in places if (name := _attributes_of(place))), "")


def _attributes_of(place: ast.expr) -> str:
    """x of `vars(x)` and `x.__dict__`; "" of anything else."""
    if isinstance(place, ast.Attribute) and place.attr == "__dict__":
        return ast.unparse(place.value)
    called = isinstance(place, ast.Call) and ast.unparse(place.func) == "vars" and place.args
    return ast.unparse(place.args[0]) if called else ""


def loops_over_one_thing() -> set[str]:
    """`for x in [value]`, which only names a value."""
    return {
        f"{module.place}: for {ast.unparse(node.target)} in {ast.unparse(node.iter)}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.For | ast.comprehension)
        and isinstance(node.iter, ast.List | ast.Tuple | ast.Set)
        and len(node.iter.elts) == 1
        and not isinstance(node.iter.elts[0], ast.Starred)
    }


def classes_of_one_name() -> set[str]:
    """Class names that two modules define."""
    places = defaultdict(set)
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].add(module.place)
    return _twice(places)


def constants_of_one_name() -> set[str]:
    """Names of constants that two modules of `kanpde` define: they do not say what they are of. A
    kernel's constants are its own: its file is read as one."""
    places = defaultdict(set)
    for module in modules():
        if module.room == "kernels":
            continue
        for name in _constants(module.tree.body):
            places[name].add(module.place)
    return _twice(places)


def _constants(body: Iterable[ast.stmt]) -> Iterator[str]:
    for node in body:
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            for name in ast.walk(target):
                if isinstance(name, ast.Name) and name.id.isupper() and not name.id.startswith("_"):
                    yield name.id


def _twice(places: dict[str, set[str]]) -> set[str]:
    return {f"{name} in {one}" for name, some in places.items() if len(some) > 1 for one in some}


def long_functions() -> set[str]:
    """Functions over FUNCTION lines, without their docstrings, in all that is Python here."""
    found = set()
    for folder in ("kanpde", "kernels", "problems", "benchmarks", "experiments", "tests"):
        for path in sorted((TOP / folder).rglob("*.py")):
            for name, node in _functions(ast.parse(path.read_text()), ""):
                length = node.end_lineno - node.lineno + 1 - _documentation(node)
                if length > FUNCTION:
                    found.add(f"{path.relative_to(TOP)}: {name}")
    return found


def _documentation(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's docstring."""
    if ast.get_docstring(function) is None:
        return 0
    return function.body[0].end_lineno - function.body[0].lineno + 1


def _functions(tree: ast.AST, above: str) -> Iterator[tuple[str, ast.AST]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield above + node.name, node
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from _functions(node, f"{above}{node.name}." if inside else above)


def anything_goes() -> set[str]:
    """Arguments and fields of networks and of training that may be of any type."""
    found = set()
    for module in modules():
        if module.room not in ("networks", "training"):
            continue
        for node in ast.walk(module.tree):
            note = getattr(node, "annotation", None)
            if isinstance(node, ast.arg | ast.AnnAssign) and note is not None:
                name = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
                if ast.unparse(note) in ("Any", "Any | None") and not name.startswith("_"):
                    found.add(f"{module.place}: {name}: {ast.unparse(note)}")
    return found


def loose_modules() -> set[str]:
    """Modules beside the rooms, beyond the first LOOSE."""
    loose = sorted(path.name for path in (TOP / "kanpde").glob("*.py"))
    return set(loose[LOOSE:])


def folders_that_mirror_nothing() -> set[str]:
    """Folders of tests that are neither a room nor something else that is tested."""
    beside = {"benchmarks", "docs", "experiments", "hostile", "mutants", "problems", "soak"}
    folders = {path.name for path in (TOP / "tests").iterdir() if path.is_dir()}
    return {name for name in folders - beside - set(ROOMS) if not name.startswith(("_", "."))}


FAULTS: tuple[Callable[[], set[str]], ...] = (
    imports_that_run_upwards,
    imports_in_a_circle,
    imports_from_outside,
    imports_by_name,
    modules_that_are_called,
    walks_of_frames,
    constructors_that_are_bypassed,
    loops_over_one_thing,
    classes_of_one_name,
    constants_of_one_name,
    long_functions,
    anything_goes,
    loose_modules,
    folders_that_mirror_nothing,
)


if __name__ == "__main__":
    for fault in FAULTS:
        found = sorted(fault())
        print(f"{fault.__name__}: {len(found)}")
        print("".join(f"    {one}\n" for one in found), end="")
