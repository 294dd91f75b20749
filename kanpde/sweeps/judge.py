"""The judge of all trials where the exact solution is not known: finite differences, computed once
a sweep and kept in its folder."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import IO

import h5py

from kanpde.errors import ReferenceUnavailable, RunError
from kanpde.problem.problem import Problem
from kanpde.reference import Reference
from kanpde.reference import reference as finite_differences
from kanpde.runs.safe_reading import DAMAGE, opened
from kanpde.sweeps import store

_NUMBERS = ("kind", "order", "estimated_error", "seconds")


def appointed(folder: Path, problem: Problem, effort: str) -> str:
    """Compute the reference into the sweep's folder, if it is not there.

    Args:
        folder: The sweep's folder.
        problem: The problem that all trials solve.
        effort: How much work it may be: quick, default or record.

    Returns:
        Why there is none, or an empty string.
    """
    if (folder / "reference.h5").exists():
        return ""
    try:
        found = finite_differences(problem, effort=effort)
    except ReferenceUnavailable as reason:
        return str(reason)
    store.write_file(folder / "reference.h5", lambda file: _write(found, file))
    return ""


def read(folder: str | Path) -> Reference | None:
    """The reference of a sweep.

    Args:
        folder: The sweep's folder.

    Returns:
        The reference, or None where the sweep has none.

    Raises:
        RunError: Its file is damaged.
    """
    path = Path(folder) / "reference.h5"
    return _read(str(path)) if path.is_file() else None


def _write(reference: Reference, to: IO[bytes]) -> None:
    with h5py.File(to, "w", track_order=True) as file:
        file.attrs.update({name: getattr(reference, name) for name in (*_NUMBERS, "doubt")})
        for x, nodes in reference.coordinates.items():
            file.create_dataset(f"coordinates/{x}", data=nodes)
        for unknown, values in reference.values.items():
            file.create_dataset(f"values/{unknown}", data=values, compression="gzip")
            about = file[f"values/{unknown}"].attrs
            if reference.estimated_errors and reference.scales:
                about["error"] = reference.estimated_errors[unknown]
                about["scale"] = reference.scales[unknown]
        file.attrs["coordinates"], file.attrs["unknowns"] = (
            list(reference.coordinates),
            list(reference.values),
        )


@lru_cache(maxsize=2)
def _read(path: str) -> Reference:
    try:
        with opened(Path(path)) as file:
            coordinates = {x: file[f"coordinates/{x}"][:] for x in file.attrs["coordinates"]}
            values = {u: file[f"values/{u}"][:] for u in file.attrs["unknowns"]}
            kind, order, error, seconds = (file.attrs[name] for name in _NUMBERS)
            found = Reference(
                coordinates, values, int(order), str(kind), float(error), float(seconds)
            )
            about = {u: file[f"values/{u}"].attrs for u in values}
            # Files of older versions do not have scales, and errors of another kind.
            if not all("scale" in attributes for attributes in about.values()):
                return found
            return replace(
                found,
                estimated_errors={u: float(a["error"]) for u, a in about.items()},
                scales={u: float(a["scale"]) for u, a in about.items()},
                doubt=str(file.attrs["doubt"]),
            )
    except DAMAGE as error:
        raise RunError(
            f"{path}: cannot be read ({type(error).__name__}: {str(error)[:120]}); remove it, and"
            " it is computed again"
        ) from error
