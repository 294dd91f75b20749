"""run.h5: fields on a grid, history, network and estimated fields of a result, as variables on
dimension scales."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import h5py
import numpy as np

from kanpde.errors import listed
from kanpde.inverse.estimates import Band, Estimates, from_summary
from kanpde.reference import Reference
from kanpde.results.fields import Fields
from kanpde.results.meshes import CellsDrawn, MeshDrawing
from kanpde.results.portrait import Drawing
from kanpde.results.variables import coordinate_attributes, global_attributes, variables
from kanpde.runs.safe_reading import opened
from kanpde.runs.signals import held
from kanpde.training.history import COLUMNS, History, Record

if TYPE_CHECKING:
    from kanpde.results.result import Result

_LONG_NAME = {
    "loss": "mean squared residual over the collocation points",
    "fresh": "mean squared residual on points not trained on",
    "error": "relative L2 against the exact solution",
    "seconds": "since training began",
    "stage": "index of the training stage",
    "parameters": "number of trained parameters",
    "estimate": "relative error by the solution's own estimate",
}


def write(result: Result, format: str, to: IO[bytes]) -> None:
    """Write all arrays of a result as HDF5, with dimension scales and CF attributes.

    Args:
        result: The result.
        format: Name of the format, which the file says.
        to: The file, to write.
    """
    with held(), h5py.File(to, "w", track_order=True) as file:
        summary = result.summary()
        for key, value in {
            **global_attributes(result.settings, result.provenance),
            "format": format,
            "problem": result.name,
            "verdict": str(result.verdict),
            **summary["provenance"],
        }.items():
            if value is not None:
                file.attrs[key] = value
        _write_fields(file, result.fields, result.settings)
        _write_history(file.create_group("history"), result.history)
        network, drawing = file.create_group("network"), result.drawing
        if isinstance(drawing, MeshDrawing):
            _write_mesh(network, drawing)
        else:
            _write_drawing(network, drawing)
        for band in result.estimates.fields if result.estimates else ():
            _write_band(file.require_group("estimates").create_group(band.name), band)


def _write_fields(file: h5py.File, fields: Fields, settings: dict[str, Any]) -> None:
    """One variable a field: u, u_reference, u_exact, u_error, each on the scales of all
    coordinates."""
    units = settings.get("units", {})
    for x, nodes in fields.grid.items():
        scale = file.create_dataset(x, data=nodes)
        scale.make_scale(x)
        scale.attrs.update(
            coordinate_attributes(x, tuple(fields.grid), settings.get("time"), units)
        )
    for found in variables(fields, units):
        large = found.values.size > 4096
        variable = file.create_dataset(
            found.name,
            data=found.values,
            compression="gzip" if large else None,
            shuffle=large or None,
        )
        variable.attrs.update(found.attributes)
        _attach(variable, [file[x] for x in fields.grid])


def _write_band(group: h5py.Group, band: Band) -> None:
    """An estimated field on the scales of its coordinates: value, standard_error, and exact where
    known."""
    scales = [group.create_dataset(x, data=nodes) for x, nodes in band.grid.items()]
    for scale in scales:
        scale.make_scale(scale.name.rpartition("/")[2])
    group.attrs["coordinates"] = list(band.grid)
    for name, values in (
        ("value", band.values),
        ("standard_error", band.standard_error),
        ("exact", band.exact),
    ):
        if values is not None:
            _attach(group.create_dataset(f"estimate_{name}", data=values), scales)


def read_estimates(path: Path, summary: dict[str, Any]) -> Estimates | None:
    """What was found of unknown parameters, as the summary and the file say it.

    Args:
        path: The file of arrays, run.h5.
        summary: What summary.json holds.

    Returns:
        The estimates, or None where the problem has no unknown parameters.
    """
    if "estimates" not in summary:
        return None
    bands = []
    with h5py.File(path, "r") as file:
        for name, group in file["estimates"].items() if "estimates" in file else ():
            value, error = (group[f"estimate_{key}"][:] for key in ("value", "standard_error"))
            exact = group["estimate_exact"][:] if "estimate_exact" in group else None
            bands.append(
                Band(
                    name, {x: group[x][:] for x in group.attrs["coordinates"]}, value, error, exact
                )
            )
    found: Estimates = from_summary(summary, tuple(bands))
    return found


def _write_history(group: h5py.Group, history: History) -> None:
    step = group.create_dataset("step", data=np.array(history.column("step"), dtype=np.int64))
    step.make_scale("step")
    for name in history.columns[1:]:
        kind = np.int64 if name in ("stage", "parameters") else np.float64
        variable = group.create_dataset(name, data=np.array(history.column(name), dtype=kind))
        variable.attrs["long_name"] = _LONG_NAME[name]
        _attach(variable, [step])


def _write_drawing(group: h5py.Group, drawing: Drawing) -> None:
    group.attrs.update(
        title=drawing.title,
        widths=list(drawing.widths),
        inputs=list(drawing.inputs),
        outputs=list(drawing.outputs),
    )
    if drawing.products:
        group.attrs["products"] = list(drawing.products)
    if drawing.ranks:
        group.attrs["ranks"] = list(drawing.ranks)
    for i, (inputs, outputs) in enumerate(drawing.edges):
        layer = group.create_group(f"layer{i}")
        scales = [
            layer.create_dataset(name, data=np.arange(n))
            for name, n in zip(("input", "output", "sample"), outputs.shape, strict=True)
        ]
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
        if formulas := {
            f"{p},{q}": text for (at, p, q), text in drawing.formulas.items() if at == i
        }:
            layer.create_group("formulas").attrs.update(formulas)


def _write_mesh(group: h5py.Group, drawing: MeshDrawing) -> None:
    """Of every span, the ends of the cells along each coordinate, and the estimate on each."""
    group.attrs.update(
        title=drawing.title,
        coordinates=list(drawing.coordinates),
        evolving=drawing.evolving,
    )
    for k, span in enumerate(drawing.spans):
        own = group.create_group(f"span{k}")
        for x, breaks, errors in zip(drawing.coordinates, span.breaks, span.errors, strict=True):
            along = own.create_group(x)
            along.create_dataset("breaks", data=breaks)
            variable = along.create_dataset("estimate", data=errors)
            variable.attrs["long_name"] = "estimated error on each cell, over the variation"
        if span.within is not None:
            own[drawing.coordinates[0]].create_dataset("within", data=span.within)


def _read_mesh(group: h5py.Group) -> MeshDrawing:
    names = tuple(group.attrs["coordinates"].tolist())
    spans = []
    for k in range(len(group)):
        own = [group[f"span{k}"][x] for x in names]
        breaks, errors = (tuple(along[key][:] for along in own) for key in ("breaks", "estimate"))
        within = own[0]["within"][:] if "within" in own[0] else None
        spans.append(CellsDrawn(breaks, errors, within))
    return MeshDrawing(group.attrs["title"], names, bool(group.attrs["evolving"]), tuple(spans))


def _attach(variable: h5py.Dataset, scales: list[h5py.Dataset]) -> None:
    for axis, scale in enumerate(scales):
        variable.dims[axis].attach_scale(scale)


def read(
    path: Path, summary: dict[str, Any]
) -> tuple[History, Fields, Drawing | MeshDrawing, Reference | None]:
    """What `write` wrote.

    Args:
        path: The file.
        summary: The plain values of summary.json beside it.

    Raises:
        Exception: What reading a damaged file can raise (safe_reading.DAMAGE).
    """
    with opened(path) as file:
        history = _read_history(file["history"], summary)
        fields = _read_fields(file)
        network = file["network"]
        mesh = "coordinates" in network.attrs
        drawing = _read_mesh(network) if mesh else _read_drawing(network)
    if not fields.reference:
        return history, fields, drawing, None
    about = {k: summary["reference"][k] for k in ("kind", "order", "estimated_error", "seconds")}
    # Runs of older versions do not have these.
    about |= {k: summary["reference"].get(k) for k in ("estimated_errors", "scales")}
    about["numbers"] = summary["reference"].get("numbers") or {}
    about["doubt"] = summary["reference"].get("doubt") or ""
    reference = Reference(coordinates=dict(fields.grid), values=dict(fields.reference), **about)
    return history, fields, drawing, reference


def _read_history(group: h5py.Group, summary: dict[str, Any]) -> History:
    names = (*COLUMNS, "estimate") if "estimate" in group else COLUMNS
    rows = zip(*(group[name][:].tolist() for name in names), strict=True)
    stages = [(stage["title"], stage["ended"]) for stage in summary["stages"]]
    return History([Record(*row) for row in rows], stages, summary["interrupted"])


def _read_fields(file: h5py.File) -> Fields:
    """Fields that all lie on the grid of the solution. Raises ValueError for others."""
    kinds: dict[str, dict[str, np.ndarray]]
    kinds = {"solution": {}, "reference": {}, "exact": {}, "error": {}}
    for variable in file.values():
        if "kind" in variable.attrs:
            kinds[variable.attrs["kind"]][variable.attrs["unknown"]] = variable[:]
    first = next(v for v in file.values() if v.attrs.get("kind") == "solution")
    grid = {axis[0].name.rpartition("/")[2]: axis[0][:] for axis in first.dims}
    shape = tuple(map(len, grid.values()))
    arrays = [array for values in kinds.values() for array in values.values()]
    if any(array.shape != shape or array.dtype.kind != "f" for array in arrays):
        raise ValueError(f"fields that do not lie on the grid of {listed(grid)}")
    return Fields(grid, kinds["solution"], kinds["reference"], kinds["exact"])


def _read_drawing(network: h5py.Group) -> Drawing:
    layers = [network[f"layer{i}"] for i in range(len(network))]
    known = {
        key: tuple(layer[key][:] for layer in layers)
        for key in ("importance", "density")
        if layers and key in layers[0]
    }
    formulas = {}
    for i, layer in enumerate(layers):
        for at, text in layer["formulas"].attrs.items() if "formulas" in layer else ():
            source, target = at.split(",")
            formulas[i, int(source), int(target)] = text
    return Drawing(
        network.attrs["title"],
        edges=tuple((layer["inputs"][:], layer["outputs"][:]) for layer in layers),
        products=tuple(network.attrs["products"].tolist()) if "products" in network.attrs else (),
        ranks=tuple(network.attrs["ranks"].tolist()) if "ranks" in network.attrs else (),
        formulas=formulas,
        **known,
        **{key: tuple(network.attrs[key].tolist()) for key in ("widths", "inputs", "outputs")},
    )
