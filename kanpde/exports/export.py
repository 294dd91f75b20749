"""export(result, kinds): the files of a run for other tools, beside it or elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kanpde.errors import RunError, listed, nearest
from kanpde.exports import table, vtk, xdmf
from kanpde.exports.levels import levels
from kanpde.networks.restore import restore
from kanpde.networks.solution import Composition
from kanpde.results.variables import variables
from kanpde.runs.atomic import check_writable

if TYPE_CHECKING:
    from kanpde.results.result import Result

FORMATS = {
    "xdmf": "solution.xdmf and solution.h5, for ParaView and VisIt",
    "vtk": "solution.vtr, or solution.pvd where there is time, for ParaView",
    "csv": "solution.csv and history.csv",
    "torchscript": (
        "solution.torchscript.pt, the solution as a function for torch in Python and C++"
    ),
    "onnx": "solution.onnx, the solution as a function for ONNX Runtime and others",
}
"""What can be exported, and as which files."""


def export(result: Result, kinds: Sequence[str], out: str | Path | None = None) -> list[Path]:
    """Write a result in formats of other tools.

    Fields lie on the grid of run.h5; torchscript and onnx hold the solution itself, exact boundary
    values included, in its own precision.

    Args:
        result: The result.
        kinds: Names of formats, see `FORMATS`.
        out: The folder to write into, by default that of the run.

    Returns:
        The files, those to open first.

    Raises:
        RunError: There is no such format, xdmf or vtk would have more than three coordinates of
            space, or a file cannot be written.
        ProblemError: The solution is asked for, of a run whose problem is gone.
    """
    for kind in kinds:
        if kind not in FORMATS:
            raise RunError(
                f"export: got {kind!r}; expected {listed(FORMATS)}{nearest(kind, FORMATS)}"
            )
    folder = Path(out) if out is not None else result.run_dir
    if folder is None:
        raise RunError("export: got no folder, and the result is of no run; expected out=…")
    check_writable(folder)
    stem, found = folder / "solution", []
    for kind in dict.fromkeys(kinds):
        try:
            found += _write(result, kind, stem)
        except OSError as error:
            raise RunError(
                f"{error.filename or folder}: cannot be written ({error.strerror or error})"
            ) from error
    return found


def _write(result: Result, kind: str, stem: Path) -> list[Path]:
    title = f"{result.settings.get('title') or result.name} ({result.settings['network']})"
    title = f"{title}; {result.verdict.status}: {result.verdict.reason}"
    if kind in ("xdmf", "vtk", "csv"):
        grid = dict(result.fields.grid)
        fields = tuple(variables(result.fields, result.settings.get("units", {})))
        if kind == "csv":
            return table.write(grid, fields, result.history, stem)
        on_space = levels(grid, result.settings.get("time"), fields, kind)
        return (vtk if kind == "vtk" else xdmf).write(on_space, stem, title)
    from kanpde.exports import function

    problem, solution = result.solved()
    if kind == "onnx" and not isinstance(solution, Composition):
        raise RunError(
            f"onnx: got {solution.describe()}, which no model holds; expected a network of layers,"
            " such as --network kan, or torchscript"
        )
    if isinstance(solution, Composition) and solution.network.theta.device.type != "cpu":
        solution = restore(problem, solution.state())  # on the CPU, where whoever loads it has one
    path = stem.with_name(f"{stem.name}.{'onnx' if kind == 'onnx' else 'torchscript.pt'}")
    (function.write_onnx if kind == "onnx" else function.write_torchscript)(problem, solution, path)
    return [path]
