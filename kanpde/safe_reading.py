"""HDF5 files from anywhere, read without following anything that leads out of them.

A link of HDF5 can name another file, an array can lie in one (external storage) or be put together from others (virtual data sets), and
a size is only a claim until it is stored. A folder that somebody sent must not show what else is on the machine, nor fill its memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

RATIO = 1100
"""What gzip makes of an array is at least the array over this."""

SMALL = 2**20
"""Bytes that an array may claim in any case: fill values are not stored."""


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, to read. Raises ValueError where it leads out of itself, around in a circle, or claims more than it holds; OSError where it is none."""
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
        raise ValueError(f"{at}: says that it has {claimed:,} bytes, and holds {array.id.get_storage_size():,}")
