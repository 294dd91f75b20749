"""Run folders: `<out>/<problem>/<run>/` with summary.json, run.h5, checkpoint.pt and the pictures.

Every file is written beside its place and moved there; summary.json comes last of the data, so that a folder without it is
an unfinished run. Pictures follow: a failure to draw loses nothing. What an unfinished run goes on from is in unfinished.py.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import struct
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import h5py
import numpy as np
import torch

from kanpde import gallery
from kanpde.errors import KanpdeError, ProblemError, ProblemWarning, RunError, listed
from kanpde.fields import Fields
from kanpde.problem import Problem
from kanpde.problem import load as load_problem
from kanpde.reference import Reference
from kanpde.safe_reading import opened
from kanpde.signals import held
from kanpde.training.history import History, Record
from kanpde.variables import coordinate_attributes, global_attributes, variables

if TYPE_CHECKING:
    from kanpde.estimates import Band, Estimates
    from kanpde.portrait import Drawing
    from kanpde.results import Result

FORMAT = "kanpde run 1"
PICTURES = ("solution.png", "history.png", "network.png")
ESTIMATES = "estimates.png"
_COLUMNS = ("loss", "fresh", "error", "seconds", "stage", "parameters")
_LONG_NAME = {
    "loss": "mean squared residual over the collocation points",
    "fresh": "mean squared residual on points not trained on",
    "error": "relative L2 against the exact solution",
    "seconds": "since training began",
    "stage": "index of the training stage",
    "parameters": "number of trained parameters",
}


def check_writable(out: str | Path) -> None:
    """Make the folder where needed and raise RunError unless a file can be written there: before hours of training."""
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise RunError(f"{out}: the output folder is not writable ({error.strerror or error})") from error


def write(result: Result, folder: Path, pictures: bool = True) -> None:
    """Write a run folder; `result.run_dir` is set to it. Raises RunError."""
    try:
        result.run_dir = folder
        if result.ansatz is not None:
            checkpoint = {"format": FORMAT, "problem": result.name, "ansatz": result.ansatz.state()}
            replace_file(folder / "checkpoint.pt", lambda file: torch.save(checkpoint, file))
        replace_file(folder / "run.h5", lambda file: _write_arrays(result, file))
        summary = json.dumps(result.summary(), indent=2, ensure_ascii=False, allow_nan=False)
        replace_file(folder / "summary.json", lambda file: file.write(f"{summary}\n".encode()))
        if pictures:
            draw(result, folder)
    except OSError as error:
        raise RunError(f"{error.filename or folder}: the run cannot be written ({error.strerror or error})") from error


def draw(result: Result, folder: Path) -> list[Path]:
    """Draw the pictures into a folder, replacing what is there; returns their paths."""
    from kanpde import estimate_plots, network_plots, plots

    plotters: tuple[Callable[[Result], Any], ...] = (plots.plot_solution, plots.plot_history, network_plots.plot_network, estimate_plots.plot_estimates)
    drawn = pictures_of(result)
    for name, plot in zip(drawn, plotters, strict=False):
        replace_file(folder / name, partial(plot(result).savefig, format="png", dpi=150))
    return [folder / name for name in drawn]


def pictures_of(result: Result) -> tuple[str, ...]:
    """Names of the pictures that a run has: one more where parameters were found."""
    return (*PICTURES, ESTIMATES) if result.estimates else PICTURES


def complete(result: Result, folder: Path) -> None:
    """Draw the pictures where a run was ended before they were there. Raises RunError."""
    if all((folder / name).is_file() for name in pictures_of(result)):
        return
    try:
        draw(result, folder)
    except OSError as error:
        raise RunError(f"{error.filename or folder}: the pictures cannot be written ({error.strerror or error})") from error


def draw_pruned(before: Result, after: Result, folder: Path) -> Path:
    """Draw pruned.png, the networks of two results side by side, into a folder; returns its path."""
    from kanpde import network_plots

    replace_file(folder / "pruned.png", partial(network_plots.plot_pruned(before, after).savefig, format="png", dpi=150))
    return folder / "pruned.png"


def draw_edge(result: Result, folder: Path, place: tuple[int, ...]) -> Path:
    """Draw one edge function, at (layer, input, output) counted from 1, into a folder, as edge-1-2-5.png; returns its path. Raises RunError."""
    from kanpde import network_plots

    layer, source, target = (n - 1 for n in place)
    shapes = [outputs.shape[:2] for _, outputs in result.drawing.edges]
    if layer >= len(shapes) or source >= shapes[layer][0] or target >= shapes[layer][1]:
        known = "; ".join(f"layer {k + 1} has {p} inputs and {q} outputs" for k, (p, q) in enumerate(shapes)) or "it has no edge functions"
        raise RunError(f"edge {','.join(map(str, place))}: {result.drawing.title} has none there: {known}")
    path = folder / f"edge-{'-'.join(map(str, place))}.png"
    replace_file(path, partial(network_plots.plot_edge(result.drawing, layer, source, target).savefig, format="png", dpi=150))
    return path


def read(folder: Path, problem: Problem | None = None) -> Result:
    """The result that a run folder holds. Raises RunError."""
    from kanpde.networks import restore
    from kanpde.results import Result

    summary = read_summary(folder)
    settings = summary["settings"]
    history, fields, drawing, reference = guarded(folder / "run.h5", lambda path: _read_arrays(path, summary))
    state = guarded(folder / "checkpoint.pt", lambda path: torch.load(path, weights_only=True, map_location="cpu")["ansatz"])
    with reading(folder / "summary.json"):
        problem = problem or find_again(settings, folder)
        advice = [str(sentence) for sentence in summary.get("advice") or []]
        _check_settings(settings)
    ansatz = None
    if problem is not None:
        if list(problem.unknowns) != settings["unknowns"] or repr(problem.domain) != settings["domain"]:
            raise RunError(f"{folder}: the run solved {settings['unknowns']} on {settings['domain']}, but the problem given has {list(problem.unknowns)} on {problem.domain!r}")
        ansatz = guarded(folder / "checkpoint.pt", lambda path: restore(problem, state))
        with reading(folder / "checkpoint.pt"):  # whatever is wrong with it shows where it is evaluated
            ansatz(problem.domain.interior(torch.full((2, len(problem.coordinates)), 0.5, dtype=torch.float64)))
    result = Result(
        problem if ansatz else None,
        ansatz,
        history,
        settings,
        summary["seconds"],
        summary["relative_l2"],
        summary["max_error"],
        reference,
        summary["reference"]["note"] or "",
        summary["reference"]["relative_l2"],
        folder,
        summary["provenance"],
        guarded(folder / "run.h5", lambda path: _read_estimates(path, summary)),
        advice,
    )
    result.__dict__.update(fields=fields, drawing=drawing)
    return result


def _check_settings(settings: dict[str, Any]) -> None:
    """Raise ValueError where they are not what a result has."""
    kinds: dict[str, Any] = {"problem": str, "network": str, "parameters": int, "unknowns": list, "domain": str, "seed": int}
    for key, kind in kinds.items():
        if not isinstance(settings[key], kind):
            raise ValueError(f"settings: {key} is {settings[key]!r:.40}")


def reserve(out: Path, name: str, seed: int) -> Path:
    """A new empty folder for a run of a problem, such as <out>/poisson2d/20261122-171200-seed0. Raises RunError."""
    return new_folder(out / safe(name), f"{datetime.now():%Y%m%d-%H%M%S}-seed{seed}")


def new_folder(parent: Path, stem: str) -> Path:
    """A new empty folder named after the stem, with a number behind it where there is one already. Raises RunError."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 1001):
            folder = parent / (f"{stem}-{attempt}" if attempt > 1 else stem)
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise RunError(f"{error.filename or parent}: the folder cannot be made ({error.strerror or error})") from error
    raise RunError(f"{parent}: a thousand folders named {stem} already")


def safe(name: str) -> str:
    """A name that a folder can have."""
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "problem"


def replace_file(path: Path, produce: Callable[[IO[bytes]], object]) -> None:
    """Write a file beside its place, wait until it is on the disk, then move it there in one step: it is the old one or the new one.

    It is made in memory: on a full disk h5py ends the process and torch raises what is no OSError.
    """
    content = io.BytesIO()
    produce(content)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system has that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step. Raises RunError."""
    try:
        replace_file(path, lambda file: file.write(text.encode()))
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error


def _write_arrays(result: Result, to: IO[bytes]) -> None:
    with held(), h5py.File(to, "w", track_order=True) as file:
        summary = result.summary()
        for key, value in {**global_attributes(result.settings, result.provenance), "format": FORMAT, "problem": result.name, **summary["provenance"]}.items():
            if value is not None:
                file.attrs[key] = value
        _write_fields(file, result.fields, result.settings)
        _write_history(file.create_group("history"), result.history)
        _write_drawing(file.create_group("network"), result.drawing)
        for band in result.estimates.fields if result.estimates else ():
            _write_band(file.require_group("estimates").create_group(band.name), band)


def _write_fields(file: h5py.File, fields: Fields, settings: dict[str, Any]) -> None:
    """One variable a field: u, u_reference, u_exact, u_error, each on the scales of all coordinates."""
    units = settings.get("units", {})
    for x, nodes in fields.grid.items():
        scale = file.create_dataset(x, data=nodes)
        scale.make_scale(x)
        scale.attrs.update(coordinate_attributes(x, tuple(fields.grid), settings.get("time"), units))
    for found in variables(fields, units):
        large = found.values.size > 4096
        variable = file.create_dataset(found.name, data=found.values, compression="gzip" if large else None, shuffle=large or None)
        variable.attrs.update(found.attributes)
        _attach(variable, [file[x] for x in fields.grid])


def _write_band(group: h5py.Group, band: Band) -> None:
    """An estimated field on the scales of its coordinates: value, standard_error, and exact where known."""
    scales = [group.create_dataset(x, data=nodes) for x, nodes in band.grid.items()]
    for scale in scales:
        scale.make_scale(scale.name.rpartition("/")[2])
    group.attrs["coordinates"] = list(band.grid)
    for name, values in (("value", band.values), ("standard_error", band.standard_error), ("exact", band.exact)):
        if values is not None:
            _attach(group.create_dataset(f"estimate_{name}", data=values), scales)


def _read_estimates(path: Path, summary: dict[str, Any]) -> Estimates | None:
    from kanpde.estimates import Band, from_summary

    if "estimates" not in summary:
        return None
    bands = []
    with h5py.File(path, "r") as file:
        for name, group in file["estimates"].items() if "estimates" in file else ():
            value, error = (group[f"estimate_{key}"][:] for key in ("value", "standard_error"))
            exact = group["estimate_exact"][:] if "estimate_exact" in group else None
            bands.append(Band(name, {x: group[x][:] for x in group.attrs["coordinates"]}, value, error, exact))
    found: Estimates = from_summary(summary, tuple(bands))
    return found


def _write_history(group: h5py.Group, history: History) -> None:
    step = group.create_dataset("step", data=np.array(history.column("step"), dtype=np.int64))
    step.make_scale("step")
    for name in _COLUMNS:
        kind = np.int64 if name in ("stage", "parameters") else np.float64
        variable = group.create_dataset(name, data=np.array(history.column(name), dtype=kind))
        variable.attrs["long_name"] = _LONG_NAME[name]
        _attach(variable, [step])


def _write_drawing(group: h5py.Group, drawing: Drawing) -> None:
    group.attrs.update(title=drawing.title, widths=list(drawing.widths), inputs=list(drawing.inputs), outputs=list(drawing.outputs))
    if drawing.products:
        group.attrs["products"] = list(drawing.products)
    for i, (inputs, outputs) in enumerate(drawing.edges):
        layer = group.create_group(f"layer{i}")
        scales = [layer.create_dataset(name, data=np.arange(n)) for name, n in zip(("input", "output", "sample"), outputs.shape, strict=True)]
        for scale in scales:
            scale.make_scale(scale.name.rpartition("/")[2])
        _attach(layer.create_dataset("inputs", data=inputs), [scales[0], scales[2]])
        _attach(layer.create_dataset("outputs", data=outputs), scales)
        if drawing.importance:
            _attach(layer.create_dataset("importance", data=drawing.importance[i]), scales[:2])
        if drawing.density:
            bins = drawing.density[i].shape[1]
            middles = layer.create_dataset("bin", data=(2 * np.arange(bins) + 1) / bins - 1)
            middles.make_scale("bin")
            _attach(layer.create_dataset("density", data=drawing.density[i]), [scales[0], middles])
        if formulas := {f"{p},{q}": text for (at, p, q), text in drawing.formulas.items() if at == i}:
            layer.create_group("formulas").attrs.update(formulas)


def _attach(variable: h5py.Dataset, scales: list[h5py.Dataset]) -> None:
    for axis, scale in enumerate(scales):
        variable.dims[axis].attach_scale(scale)


def read_summary(folder: Path) -> dict[str, Any]:
    path = folder / "summary.json"
    if not folder.is_dir():
        raise RunError(f"{folder}: no such run folder")
    if not path.is_file():
        began = any((folder / name).exists() for name in ("request.json", "run.h5", "checkpoint.pt"))
        known = f"an unfinished run (kanpde solve --resume {folder} goes on with it)" if began else "not a run folder"
        raise RunError(f"{folder}: no summary.json in it, so it is {known}; expected a folder such as results/poisson2d/20261122-171200-seed0")
    summary = guarded(path, lambda path: json.loads(path.read_text(encoding="utf-8")))
    number, perhaps = (int, float), (int, float, type(None))
    expected: dict[str, Any] = {
        "settings": dict,
        "reference": dict,
        "provenance": dict,
        "stages": list,
        "seconds": number,
        "relative_l2": perhaps,
        "max_error": perhaps,
        "interrupted": bool,
    }
    if not isinstance(summary, dict) or summary.get("format") != FORMAT or not all(isinstance(summary.get(k), t) for k, t in expected.items()):
        came = summary.get("format") if isinstance(summary, dict) else type(summary).__name__
        if str(came).startswith("kanpde fit"):
            raise RunError(f"{folder}: is a fit of data (kanpde fit); expected a solved problem (kanpde solve)")
        raise RunError(f"{path}: is no summary of a kanpde run (format {came!r}; expected {FORMAT!r})")
    return summary


def _read_arrays(path: Path, summary: dict[str, Any]) -> tuple[History, Fields, Drawing, Reference | None]:
    from kanpde.portrait import Drawing

    with opened(path) as file:
        stages = [(stage["title"], stage["ended"]) for stage in summary["stages"]]
        columns = [file["history"][name][:].tolist() for name in ("step", "stage", "seconds", "loss", "fresh", "error", "parameters")]
        history = History([Record(*row) for row in zip(*columns, strict=True)], stages, summary["interrupted"])
        kinds: dict[str, dict[str, np.ndarray]] = {"solution": {}, "reference": {}, "exact": {}, "error": {}}
        for variable in file.values():
            if "kind" in variable.attrs:
                kinds[variable.attrs["kind"]][variable.attrs["unknown"]] = variable[:]
        first = next(v for v in file.values() if v.attrs.get("kind") == "solution")
        grid = {axis[0].name.rpartition("/")[2]: axis[0][:] for axis in first.dims}
        if any(array.shape != tuple(map(len, grid.values())) or array.dtype.kind != "f" for values in kinds.values() for array in values.values()):
            raise ValueError(f"fields that do not lie on the grid of {listed(grid)}")
        network = file["network"]
        layers = [network[f"layer{i}"] for i in range(len(network))]
        edges = tuple((layer["inputs"][:], layer["outputs"][:]) for layer in layers)
        names = {key: tuple(network.attrs[key].tolist()) for key in ("widths", "inputs", "outputs")}
        known = {key: tuple(layer[key][:] for layer in layers) for key in ("importance", "density") if layers and key in layers[0]}
        symbolic = [(i, *at.split(","), text) for i, layer in enumerate(layers) if "formulas" in layer for at, text in layer["formulas"].attrs.items()]
        formulas = {(i, int(p), int(q)): text for i, p, q, text in symbolic}
        products = tuple(network.attrs["products"].tolist()) if "products" in network.attrs else ()
        drawing = Drawing(network.attrs["title"], edges=edges, products=products, formulas=formulas, **known, **names)
    fields = Fields(grid, kinds["solution"], kinds["reference"], kinds["exact"])
    reference = None
    if fields.reference:
        reference = Reference(coordinates=grid, values=kinds["reference"], **{key: summary["reference"][key] for key in ("kind", "order", "estimated_error", "seconds")})
    return history, fields, drawing, reference


DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError, AssertionError, MemoryError, StopIteration),
    *(pickle.UnpicklingError, zlib.error, struct.error),
)
"""What reading a damaged file can raise: it is somebody's bytes that decide."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """In the block, whatever is wrong with what a file or folder holds becomes a RunError that names it."""
    try:
        yield
    except KanpdeError:
        raise
    except DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else "no message"
        raise RunError(f"{path}: cannot be read, so the run is damaged or not one of kanpde ({type(error).__name__}: {reason[:120]})") from error


def guarded(path: Path, read_: Callable[[Path], Any]) -> Any:
    """Read a file of a run folder; whatever is wrong with it becomes a RunError that names it."""
    if not path.is_file():
        raise RunError(f"{path.parent}: {path.name} is missing, so the run is unfinished or damaged")
    with reading(path):
        return read_(path)


def came_along(source: Path, folder: Path) -> bool:
    """Whether a problem's file may have come with a run or a sweep that somebody sent: such a file is code, and loading runs none of that."""
    return source.suffix == ".py" and (not source.is_absolute() or source.resolve().is_relative_to(folder.resolve()))


def find_again(settings: dict[str, Any], folder: Path) -> Problem | None:
    """The problem of a run in a folder: its recorded file, else the gallery's of that name, else None. Never a file that came with the run."""
    source = Path(settings.get("source", ""))
    if came_along(source, folder):
        warnings.warn(f"{source}: lies where the run does and is not executed; pass problem= if you trust it", ProblemWarning, stacklevel=5)
        return None
    if not source.is_file():
        found = gallery.gallery().get(settings["problem"]) if "source" in settings else None
        if found is None:
            return None
        source = found
    if hashlib.sha256(source.read_bytes()).hexdigest() != settings.get("source_sha256"):
        warnings.warn(f"{source}: has changed since the run was made", ProblemWarning, stacklevel=5)
    try:
        return load_problem(str(source), settings.get("constants"))[0]
    except ProblemError as error:
        warnings.warn(f"{error} (the stored fields are still there)", ProblemWarning, stacklevel=5)
        return None
