"""XDMF 3: a small XML file that says how the arrays of an HDF5 file beside it are fields on a grid,
for ParaView and VisIt.

The arrays lie as [z, y, x], one data set a variable and time, since readers differ in what they
make of parts of data sets.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO
from xml.sax.saxutils import escape, quoteattr

import h5py

from kanpde.errors import RunError
from kanpde.exports.levels import Levels
from kanpde.runs.atomic import replace_file, write_text


def write(found: Levels, stem: Path, title: str) -> list[Path]:
    """Write STEM.xdmf and STEM.h5; a time series is a temporal collection.

    Args:
        found: The fields.
        stem: Path of the files without their ending.
        title: What the file says that it is.

    Returns:
        The files, that to open first.

    Raises:
        RunError: A file cannot be written.
    """
    light, heavy = stem.with_name(f"{stem.name}.xdmf"), stem.with_name(f"{stem.name}.h5")
    try:
        replace_file(heavy, lambda file: _write_arrays(found, file))
    except OSError as error:
        raise RunError(f"{heavy}: cannot be written ({error.strerror or error})") from error
    write_text(light, document(found, heavy.name, title))
    return [light, heavy]


def document(found: Levels, heavy: str, title: str) -> str:
    """The text of the .xdmf file.

    Args:
        found: The fields.
        heavy: The name of the HDF5 file beside it.
        title: What the file says that it is.
    """
    grids = [line for k in range(found.count) for line in _grid(found, k, heavy)]
    if found.times is not None:
        grids = [
            '    <Grid Name="time series" GridType="Collection" CollectionType="Temporal">',
            *(f"  {line}" for line in grids),
            "    </Grid>",
        ]
    head = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<Xdmf Version="3.0">',
        "  <Domain>",
        f'    <Information Name="title" Value={quoteattr(title)}/>',
    ]
    return "\n".join([*head, *grids, "  </Domain>", "</Xdmf>", ""])


def _grid(found: Levels, index: int, heavy: str) -> list[str]:
    shape = " ".join(map(str, found.shape))
    time = (
        0.0 if found.times is None else float(found.times[index])
    )  # PyVista's reader expects one of steady fields as well
    lines = ['    <Grid Name="fields" GridType="Uniform">', f'      <Time Value="{time!r}"/>']
    lines += [
        f'      <Topology TopologyType="3DRectMesh" Dimensions="{shape}"/>',
        '      <Geometry GeometryType="VXVYVZ">',
    ]
    lines += [
        f"        {_item(str(len(nodes)), heavy, f'grid/{axis}')}"
        for axis, nodes in zip("xyz", found.axes, strict=True)
    ]
    lines.append("      </Geometry>")
    for variable in found.fields:
        lines += [
            (
                f'      <Attribute Name={quoteattr(variable.name)} AttributeType="Scalar"'
                ' Center="Node">'
            ),
            f"        {_item(shape, heavy, f'{variable.name}/{index}')}",
        ]
        lines.append("      </Attribute>")
    return [*lines, "    </Grid>"]


def _item(shape: str, heavy: str, place: str) -> str:
    return (
        f'<DataItem Dimensions="{shape}" NumberType="Float" Precision="8"'
        f' Format="HDF">{escape(heavy)}:/{escape(place)}</DataItem>'
    )


def _write_arrays(found: Levels, to: IO[bytes]) -> None:
    with h5py.File(to, "w") as file:
        for axis, nodes in zip("xyz", found.axes, strict=True):
            file[f"grid/{axis}"] = nodes
        for index in range(found.count):
            for name, values in found.level(index):
                file[f"{name}/{index}"] = values
