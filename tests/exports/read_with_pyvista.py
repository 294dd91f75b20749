"""Read files with PyVista, that is with VTK's readers, and keep what they hold: python
read_with_pyvista.py OUT.npz FILE…

A process of its own: PyVista imports pyplot, which our tests do without.
"""

import sys
from pathlib import Path

import numpy as np
import pyvista


def meshes(path):
    """The mesh of every time, behind that time."""
    if path.suffix == ".vtr":
        yield 0.0, pyvista.read(path)
        return
    reader = pyvista.get_reader(path)
    for time in reader.time_values:
        reader.set_active_time_value(time)
        found = reader.read()
        yield time, found[0] if isinstance(found, pyvista.MultiBlock) else found


def arrays(mesh):
    """Nodes and point data, [x, y, z]."""
    found = {f"axis {axis}": np.asarray(getattr(mesh, axis)) for axis in "xyz"}
    return found | {
        name: np.asarray(values).reshape(mesh.dimensions, order="F")
        for name, values in mesh.point_data.items()
    }


if __name__ == "__main__":
    out, *files = sys.argv[1:]
    kept = {}
    for file in files:
        levels = list(meshes(Path(file)))
        kept[f"{file}|times"] = np.array([time for time, _ in levels])
        for k, (_, mesh) in enumerate(levels):
            kept |= {f"{file}|{k}|{name}": values for name, values in arrays(mesh).items()}
    np.savez(out, **kept)
