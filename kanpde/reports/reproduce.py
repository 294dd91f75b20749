"""How to come to the same result again: the command with all that was chosen, and the versions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kanpde.networks.kinds.tensor import Tensor

PACKAGES = ("torch", "numpy", "scipy")


def command(settings: Mapping[str, Any], request: Mapping[str, Any] | None) -> str:
    """`kanpde solve …` with every option written out.

    Args:
        settings: The settings of the result.
        request: What the run's request.json holds, where it has one.
    """
    words = ["kanpde", "solve", _name(settings), *_constants(settings)]
    recipe = (request or {}).get("recipe", {})
    network = dict(recipe.get("network", {}))
    asked: tuple[str, ...] = ("schedule", "points", "restarts", "slabs")
    if network.get("kind") == Tensor.kind and "schedule" in settings:
        network, asked = {}, ()  # layers took the place of products: nothing was asked for
    if network:
        words += ["--network", str(network.pop("kind"))]
        if "width" in network:
            words += ["--width", ",".join(map(str, network.pop("width"))) or "5"]
        words += [word for name, value in network.items() for word in _option(name, value)]
    if "tolerance" in recipe or not recipe:
        asked += ("tolerance",)
    for name in (*asked, "seed"):
        value = settings.get(name)
        if value is not None and not (name == "slabs" and value == 1):
            words += [f"--{name}", str(value)]
    for name, usual in (
        ("effort", "default"),
        ("device", "cpu"),
        ("dtype", "float64"),
        ("judge", "differences"),
    ):
        value = (request or settings).get(name, usual)
        if value != usual:
            words += [f"--{name}", str(value)]
    lines: list[list[str]] = [[]]
    for word in words:
        if word.startswith("--"):
            lines.append([])
        lines[-1].append(shlex.quote(word))
    return _folded([" ".join(line) for line in lines])


def _folded(parts: list[str], width: int = 76) -> str:
    """Options in lines that the shell joins."""
    lines = [""]
    for part in parts:
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("   ")
        lines[-1] += f" {part}" if lines[-1] else part
    return " \\\n".join(lines)


def remarks(request: Mapping[str, Any] | None) -> list[str]:
    """Parts of a recipe that no option gives: they stand in the problem's file.

    Args:
        request: What the run's request.json holds, where it has one.
    """
    recipe = (request or {}).get("recipe", {})
    usual = {"sampler": "sobol", "continuation": {}, "balance": "none", "causal": 0.0}
    found = {
        name: recipe[name]
        for name, value in usual.items()
        if name in recipe and recipe[name] != value
    }
    return [f"the recipe's {name} is {value}" for name, value in found.items()]


def environment(provenance: Mapping[str, Any]) -> str:
    """Commands that install what a result was made with.

    Args:
        provenance: The provenance of the result: versions, machine, date.
    """
    commit = str(provenance.get("commit") or "")
    lines = []
    if commit:
        changed = "   # and changes that were not committed" if commit.endswith("+") else ""
        lines = [f"git checkout {commit.removesuffix('+')}{changed}"]
    pins = [f"{package}=={provenance[package]}" for package in PACKAGES if provenance.get(package)]
    return "\n".join(
        [*lines, f"pip install {' '.join(pins)} .   # Python {provenance.get('python')}"]
    )


def python(folder: Path, exact: bool) -> str:
    """Python code that loads a run, and prints its error against what is known.

    Args:
        folder: The run folder.
        exact: Whether the exact solution is known; else the error is that against the reference.
    """
    error = "relative_l2" if exact else "reference_relative_l2"
    return (
        f"import kanpde\n\nresult = kanpde.load({str(folder)!r})\n"
        f"print(result.{error}, result.fields.grid.keys())"
    )


def _name(settings: Mapping[str, Any]) -> str:
    """The problem's name where it is of the gallery, else its file."""
    from kanpde.problem import gallery

    source, name = settings.get("source"), str(settings.get("problem"))
    known = gallery.gallery().get(name)
    return (
        name
        if known is not None
        and (
            source is None
            or Path(source).resolve() == known.resolve()
            or not Path(source).is_file()
        )
        else str(source or name)
    )


def _constants(settings: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value!r}" for name, value in (settings.get("constants") or {}).items()]


def _option(name: str, value: Any) -> list[str]:
    if name in ("grid", "degree"):
        return [f"--{name}", str(value)]
    return ["--with", f"{name}={value}"]
