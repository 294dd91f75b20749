"""Files from anywhere: what is wrong with them is one line, and HDF5 is read without following
anything that leads out of a file.

A link of HDF5 can name another file, an array can lie in one (external storage) or be put together
from others (virtual data sets), and a size is only a claim until it is stored. A folder that
somebody sent must not show what else is on the machine, nor fill its memory.
"""

from __future__ import annotations

import pickle
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from kanpde.errors import KanpdeError, RunError

RATIO = 1100
"""What gzip makes of an array is at least the array over this."""

SMALL = 2**20
"""Bytes that an array may claim in any case: fill values are not stored."""


DAMAGE = (
    *(
        OSError,
        EOFError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,
        ArithmeticError,
        AssertionError,
        MemoryError,
        StopIteration,
    ),
    *(pickle.UnpicklingError, zlib.error, struct.error),
)
"""What reading a damaged file can raise: it is somebody's bytes that decide."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """In the block, whatever is wrong with what a file or folder holds becomes a RunError.

    Args:
        path: The file or folder, which the message names.

    Raises:
        RunError: What it holds cannot be read.
    """
    try:
        yield
    except KanpdeError:
        raise
    except DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else "no message"
        raise RunError(
            f"{path}: cannot be read, so the run is damaged or not one of kanpde"
            f" ({type(error).__name__}: {reason[:120]})"
        ) from error


def guarded(path: Path, read_: Callable[[Path], Any]) -> Any:
    """Read a file of a run folder.

    Args:
        path: The file.
        read_: Reads it.

    Returns:
        What the reader returns.

    Raises:
        RunError: The file is missing, or something is wrong with it; the message names it.
    """
    if not path.is_file():
        raise RunError(
            f"{path.parent}: {path.name} is missing, so the run is unfinished or damaged"
        )
    with reading(path):
        return read_(path)


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """In the block, an HDF5 file, to read.

    Args:
        path: The file.

    Raises:
        ValueError: It leads out of itself or around in a circle, or claims more than it holds.
        OSError: It is no HDF5 file.
    """
    with h5py.File(path, "r") as file:
        _check(file, "", set())
        yield file


def _check(group: h5py.Group, place: str, above: set[int]) -> None:
    address = h5py.h5o.get_info(group.id).addr
    if address in above:
        raise ValueError(f"{place or '/'}: a group that holds itself")
    for name in group:
        at, link = f"{place}/{name}", group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{at}: a link in place of an array; links are not followed")
        node = group[name]
        if isinstance(node, h5py.Group):
            _check(node, at, above | {address})
        elif isinstance(node, h5py.Dataset):
            _check_array(node, at)


def _check_array(array: h5py.Dataset, at: str) -> None:
    if array.external or array.is_virtual:
        raise ValueError(f"{at}: its values lie in another file, which is not opened")
    if array.shape is None:
        raise ValueError(f"{at}: holds no values")
    claimed = array.size * array.dtype.itemsize
    if claimed > SMALL and claimed > RATIO * array.id.get_storage_size():
        raise ValueError(
            f"{at}: says that it has {claimed:,} bytes, and holds {array.id.get_storage_size():,}"
        )
