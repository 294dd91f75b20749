"""kanpde: partial differential equations solved with Kolmogorov-Arnold networks, and checked by
finite differences."""

from __future__ import annotations

import importlib
import sys
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "kanpde.residual.calculus": [
        "d",
        "div",
        "grad",
        "laplacian",
        "normal",
        "normal_derivative",
    ],
    "kanpde.residual.integrals": ["flux", "integral", "mean"],
    "kanpde.problem.conditions": [
        "Condition",
        "Dirichlet",
        "Neumann",
        "Periodic",
        "Robin",
    ],
    "kanpde.errors": [
        "DataError",
        "KanpdeError",
        "NotConverged",
        "ProblemError",
        "ProblemWarning",
        "RecipeError",
        "ReferenceUnavailable",
        "RunError",
    ],
    "kanpde.fitting": ["Fit", "fit", "load_fit"],
    "kanpde.geometry": [
        "Ball",
        "Box",
        "Disk",
        "Ellipse",
        "Mesh",
        "Pieces",
        "Polygon",
        "Solid",
        "Time",
        "Vector",
    ],
    "kanpde.problem.complex_unknowns": ["Complex"],
    "kanpde.problem.initial": ["Initial"],
    "kanpde.problem.interface": ["Interface"],
    "kanpde.interpret.compress": ["compress"],
    "kanpde.interpret.prune": ["prune"],
    "kanpde.interpret": ["Explanation", "explain", "explain_function"],
    "kanpde.problem.data": ["Data"],
    "kanpde.networks.kan": ["KAN"],
    "kanpde.networks.kinds.tensor": ["Tensor"],
    "kanpde.networks.mlp": ["MLP"],
    "kanpde.problem.eigenvalues": ["Eigenvalue"],
    "kanpde.problem.parameters": ["Field", "Parameter"],
    "kanpde.problem.interpolated": ["Table"],
    "kanpde.problem.problem": ["Problem"],
    "kanpde.recipes.recipe": ["Recipe"],
    "kanpde.results.result": ["Result"],
    "kanpde.runs.folder": ["load", "save"],
    "kanpde.solver": ["solve"],
    "kanpde.sweeps.conduct": ["sweep"],
    "kanpde.training": [
        "LBFGS",
        "Adam",
        "Broyden",
        "Compress",
        "Deepen",
        "Extend",
        "GaussNewton",
        "LevenbergMarquardt",
        "Prune",
        "Soap",
        "Sparsify",
        "Widen",
    ],
}
_module_of = {name: module for module, names in _HOME.items() for name in names}
__all__ = sorted(_module_of)  # noqa: PLE0605 - built from the table above


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `python -m kanpde list` need not wait for
    torch."""
    if name not in _module_of:
        raise AttributeError(f"module 'kanpde' has no attribute {name!r}")
    return getattr(importlib.import_module(_module_of[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def load_ipython_extension(shell: Any) -> None:
    """Show problems and results in notebooks of this shell as tables, formulas and pictures.

    It is done by itself where kanpde is imported in a notebook; `%load_ext kanpde` does it where
    kanpde was imported before.

    Args:
        shell: The shell of IPython, as `get_ipython()` gives it.
    """
    html = shell.display_formatter.formatters["text/html"]
    for home, name, shown in (
        ("kanpde.problem.problem", "Problem", "problem"),
        ("kanpde.results.result", "Result", "result"),
    ):
        html.for_type_by_name(home, name, _ShownBy(shown))


class _ShownBy:
    """A function of kanpde.reports.notebook that is imported when something is shown."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, found: Any) -> str:
        notebook = importlib.import_module("kanpde.reports.notebook")
        return str(getattr(notebook, self.name)(found))


_shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
if _shell is not None:
    load_ipython_extension(_shell)
