"""Imports run one way, and only the command line prints: both read off the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kanpde

ROOT = Path(kanpde.__file__).parent
KERNELS = Path(__file__).parents[1] / "kernels"

LANGUAGE = {
    "calculus",
    "conditions",
    "corners",
    "gallery",
    "geometry",
    "interface",
    "measurements",
    "parameters",
    "piecewise",
    "problem",
    "problem_file",
    "residual",
    "wellposed",
}
"""The problem language."""

MAY = {
    "errors": set(),
    "gallery": {"errors"},
    "kinds": set(),
    "geometry": {"errors"},
    "residual": {"errors", "affine", "calculus"},
    "affine": {"calculus"},
    "calculus": {"errors"},
    "conditions": {"errors", "calculus", "geometry", "residual"},
    "problem_file": {"errors"},
    "interface": {"errors", "calculus", "conditions", "geometry", "residual"},
    "corners": {"errors", "conditions", "geometry", "residual"},
    "wellposed": {"errors", "calculus", "conditions", "corners", "geometry", "problem", "residual"},
    "parameters": {"errors"},
    "piecewise": {"errors", "conditions", "geometry", "interface", "residual"},
    "measurements": {"errors", "data", "geometry"},
    "problem": {"errors", *LANGUAGE},
    "data": {"errors"},
    "sampling": {"errors", "geometry"},
    "kernels": set(),
    "jets": {"errors", "kernels"},
    "networks": {
        "errors",
        "kinds",
        "kernels",
        "jets",
        "calculus",
        "conditions",
        "geometry",
        "residual",
    },
    "training": {"errors", "kernels", "jets", "networks", "sampling", *LANGUAGE},
    "reference": {"errors", "memory", *LANGUAGE},
    "pace": {"errors", "jets", "sampling", *LANGUAGE},
    "recipe": {"errors", "networks", "pace", "training", "sampling", *LANGUAGE},
    "atomic": {"errors"},
    "safe_reading": {"errors"},
    "signals": set(),
    "memory": set(),
    "advice": {
        "errors",
        "networks",
        "recipe",
        "residual",
        "results",
        "sampling",
        "training",
        *LANGUAGE,
    },
    "guards": {"errors", "memory", "networks", "recipe", "sampling", "training", *LANGUAGE},
    "provenance": {""},
    "fields": {"errors", *LANGUAGE},
    "variables": {"fields"},
    "outline": {"geometry"},
    "plots": {"outline"},
    "network_plots": {"plots"},
    "portrait": {"errors", "networks"},
    "estimates": {"errors", "networks", "training", *LANGUAGE},
    "estimate_plots": {"plots"},
    "quantities": {"errors", "networks", *LANGUAGE},
    "results": {
        "errors",
        "estimates",
        "fields",
        "plots",
        "portrait",
        "provenance",
        "quantities",
        "run_folder",
        "sampling",
        "training",
        "variables",
        *LANGUAGE,
    },
    "run_arrays": {
        "errors",
        "estimates",
        "fields",
        "portrait",
        "reference",
        "safe_reading",
        "signals",
        "training",
        "variables",
        *LANGUAGE,
    },
    "run_folder": {
        *{
            "atomic",
            "errors",
            "estimate_plots",
            "network_plots",
            "networks",
            "plots",
            "results",
            "run_arrays",
            "safe_reading",
            *LANGUAGE,
        },
    },
    "unfinished": {"atomic", "errors", "run_folder", "safe_reading", "training", *LANGUAGE},
    "fitting": {
        *{
            "atomic",
            "safe_reading",
            "errors",
            "data",
            "fields",
            "network_plots",
            "networks",
            "plots",
            "provenance",
            "recipe",
            "results",
            "run_folder",
            "solver",
            "training",
        },
        *LANGUAGE,
    },
    "sweep": {
        *{
            "atomic",
            "safe_reading",
            "errors",
            "fields",
            "networks",
            "plots",
            "provenance",
            "recipe",
            "reference",
            "results",
            "run_folder",
            "sampling",
            "signals",
            "solver",
        },
        *{"training", "unfinished", *LANGUAGE},
    },
    "solver": {
        *{
            "atomic",
            "advice",
            "errors",
            "estimates",
            "fields",
            "guards",
            "networks",
            "recipe",
            "reference",
            "results",
            "run_folder",
            "sampling",
            "training",
        },
        *{"provenance", "signals", "unfinished", *LANGUAGE},
    },
    "interpret": {
        *{
            "atomic",
            "errors",
            "data",
            "fields",
            "fitting",
            "kernels",
            "jets",
            "network_plots",
            "networks",
            "plots",
            "portrait",
            "recipe",
            "results",
            "run_folder",
        },
        *{"sampling", "solver", "training", "unfinished", *LANGUAGE},
    },
    "export": {
        "atomic",
        "errors",
        "fields",
        "kernels",
        "networks",
        "results",
        "run_folder",
        "training",
        "variables",
        *LANGUAGE,
    },
    "report": {
        "",
        "atomic",
        "errors",
        "fields",
        "interpret",
        "network_plots",
        "plots",
        "results",
        "run_folder",
        "sweep",
        *LANGUAGE,
    },
    "doctor": {"", "errors", "kernels", "provenance", *LANGUAGE},
}
"""What each part may import of kanpde, "" being the package itself; `cli` and `bench` may import
everything, and nobody them."""

STANDALONE = {
    "kernels": {"torch", "triton", "numpy", "numba", "llvmlite"},
    "errors": set(),
    "gallery": set(),
}
"""Parts whose imports from outside the standard library are counted too."""


def sources():
    for path in sorted([*ROOT.rglob("*.py"), *KERNELS.rglob("*.py")]):
        inside = path.is_relative_to(KERNELS)
        name = "kernels" if inside else path.relative_to(ROOT).with_suffix("").parts[0]
        if (
            name not in ("cli", "bench", "__init__", "__main__", "problems")
            and "__pycache__" not in path.parts
        ):
            yield pytest.param(path, name, id=f"{name}/{path.name}" if path.stem != name else name)


def imported(tree):
    """Modules that a file imports, late ones included, those for type checking only left out."""
    skipped = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.unparse(test.test)
        for node in ast.walk(test)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            if node.module == "kanpde":
                yield from (f"kanpde.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize(("path", "part"), list(sources()))
def test_imports_run_one_way(path, part):
    assert part in MAY, f"{part} is new: say in this test what it may import"
    for module in imported(ast.parse(path.read_text())):
        top, _, rest = module.partition(".")
        below = rest.partition(".")[0]
        if top == "kanpde" and below != part:
            assert below in MAY[part], (
                f"{path.name} imports {module}; {part} may import {sorted(MAY[part])}"
            )
        elif top != "kanpde" and part in STANDALONE:
            assert top in STANDALONE[part] or top in sys.stdlib_module_names, (
                f"{path.name} imports {module}"
            )


@pytest.mark.parametrize(("path", "part"), list(sources()))
def test_only_the_command_line_prints(path, part):
    tree = ast.parse(path.read_text())
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [f for f in calls if isinstance(f, ast.Name) and f.id in ("print", "input")], (
        f"{path.name} prints"
    )
    assert not {"rich", "typer", "tqdm", "matplotlib.pyplot"} & set(imported(tree)), (
        f"{path.name} imports what only the command line may"
    )


def test_the_gallery_uses_the_public_interface_only():
    folder = Path(__file__).parents[1] / "problems"
    for path in sorted(folder.glob("*.py")):
        for module in imported(ast.parse(path.read_text())):
            assert (
                module.startswith("kanpde.") is False
                or module.removeprefix("kanpde.") in kanpde.__all__
            ), f"{path.name} imports {module}"


def test_listing_the_gallery_imports_neither_torch_nor_numpy():
    script = (
        "import sys; from kanpde.cli import main; main(['list']); sys.exit(' '.join({'torch',"
        " 'numpy', 'scipy', 'matplotlib', 'rich'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "poisson2d" in done.stdout


def test_every_public_name_can_be_imported():
    for name in kanpde.__all__:
        assert getattr(kanpde, name) is not None
    assert set(kanpde.__all__) <= set(dir(kanpde))
    with pytest.raises(AttributeError, match="no attribute 'poisson'"):
        _ = kanpde.poisson
