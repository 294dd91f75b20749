"""VTK's XML files: a rectilinear grid (.vtr), and for what changes in time one of them a level and
their collection (.pvd).

The formats are those of "VTK File Formats" (Kitware); arrays are base64 of little-endian numbers
after their length in bytes.
"""

from __future__ import annotations

import base64
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from kanpde.exports.levels import Levels
from kanpde.runs.atomic import write_text

HIDDEN = 2
"""vtkDataSetAttributes::HIDDENPOINT: nodes outside of a curved domain, which ParaView leaves
out."""

_TYPES = {"f": ("Float64", "<f8"), "u": ("UInt8", "u1")}


def write(found: Levels, stem: Path, title: str) -> list[Path]:
    """Write STEM.vtr, or STEM.pvd with a folder STEM/ of the levels.

    Args:
        found: The fields.
        stem: Path of the files without their ending.
        title: What the files say that they are.

    Returns:
        The files, that to open first.

    Raises:
        RunError: A file cannot be written.
    """
    if found.times is None:
        path = stem.with_name(f"{stem.name}.vtr")
        write_text(path, rectilinear(found, 0, title))
        return [path]
    folder, digits = stem, len(str(found.count - 1))
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem.name}-{k:0{digits}d}.vtr" for k in range(found.count)]
    for k, path in enumerate(paths):
        write_text(path, rectilinear(found, k, title))
    rows = [
        f'    <DataSet timestep="{t!r}" part="0" file={quoteattr(f"{folder.name}/{path.name}")}/>'
        for t, path in zip(found.times.tolist(), paths, strict=True)
    ]
    collection = stem.with_name(f"{stem.name}.pvd")
    write_text(
        collection,
        "\n".join(
            [
                '<?xml version="1.0"?>',
                '<VTKFile type="Collection" version="0.1">',
                "  <Collection>",
                *rows,
                "  </Collection>",
                "</VTKFile>",
                "",
            ]
        ),
    )
    return [collection, *paths]


def rectilinear(found: Levels, index: int, title: str) -> str:
    """The text of a .vtr file: point data on a rectilinear grid.

    Nodes where no field is a number are hidden.

    Args:
        found: The fields.
        index: Number of the level of time.
        title: What the file says that it is.
    """
    depth, height, width = found.shape
    extent = f"0 {width - 1} 0 {height - 1} 0 {depth - 1}"
    data = dict(found.level(index))
    outside = np.all([np.isnan(values) for values in data.values()], axis=0)
    arrays = [_array(name, values) for name, values in data.items()]
    if outside.any():
        arrays.append(_array("vtkGhostType", np.where(outside, HIDDEN, 0).astype(np.uint8)))
    time = []
    if found.times is not None:
        value = _array("TimeValue", found.times[index : index + 1], tuples=True)
        time = [f"    <FieldData>{value}</FieldData>"]
    return "\n".join(
        [
            '<?xml version="1.0"?>',
            f"<!-- {title.replace('--', '-')} -->",
            (
                '<VTKFile type="RectilinearGrid" version="1.0" byte_order="LittleEndian"'
                ' header_type="UInt64">'
            ),
            f'  <RectilinearGrid WholeExtent="{extent}">',
            *time,
            f'    <Piece Extent="{extent}">',
            f"      <PointData Scalars={quoteattr(next(iter(data)))}>",
            *(f"        {array}" for array in arrays),
            "      </PointData>",
            "      <Coordinates>",
            *(
                f"        {_array(name, nodes)}"
                for name, nodes in zip(_names(found), found.axes, strict=True)
            ),
            "      </Coordinates>",
            "    </Piece>",
            "  </RectilinearGrid>",
            "</VTKFile>",
            "",
        ]
    )


def _names(found: Levels) -> tuple[str, ...]:
    return (*found.names, *(f"flat{k}" for k in range(3 - len(found.names))))


def _array(name: str, values: NDArray, tuples: bool = False) -> str:
    kind, code = _TYPES[values.dtype.kind]
    raw = values.astype(code).tobytes()
    body = base64.b64encode(np.array([len(raw)], "<u8").tobytes() + raw).decode()
    count = f' NumberOfTuples="{values.size}"' if tuples else ""
    return (
        f'<DataArray type="{kind}" Name={quoteattr(name)}{count} format="binary">{body}</DataArray>'
    )
