"""Strategies for damaged and hostile run folders: what is done to which file of a good one."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from hypothesis import strategies as st

MARK = "executed"
"""The file that a hostile pickle would make."""

SECRET = 8.7654321e123
"""A number in a file outside of the run, which nothing may read."""


class Hostile:
    """What pickle would execute."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(MARK),)


Change = Callable[[Path], None]


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, str, Change, list[str]]:
    """A kind of folder, what is done to it in words, the change itself, and the command that reads
    it."""
    kind = draw(st.sampled_from(["run", "run", "run", "begun", "fit", "sweep"]))
    name, what, change = draw(st.one_of(_any_file(kind), _json(kind), _torch(kind), _hdf5(kind)))
    slow = [["explain", "--seconds", "1"], ["prune", "--loss", "1e-2"]]
    commands = {
        "run": [
            ["plot"],
            ["plot"],
            ["plot", "--edge", "1,1,1"],
            ["solve", "--resume"],
            ["solve", "--resume"],
            ["solve", "--resume"],
            *slow,
        ],
        "begun": [["solve", "--resume"], ["plot"]],
        "fit": [["plot"], ["plot"], slow[0]],
        "sweep": [
            ["plot"],
            ["sweep", "--no-differences", "--jobs", "1", "--threads", "1", "--resume"],
        ],
    }
    first, *rest = draw(st.sampled_from(commands[kind]))
    return (
        kind,
        f"{name}: {what}",
        lambda folder: change(next(folder.glob(name.replace("TRIAL", "*")))),
        [first, *rest],
    )


FILES = {
    "run": ["summary.json", "run.h5", "checkpoint.pt", "request.json"],
    "begun": ["request.json", "training.pt"],
    "fit": ["summary.json", "fit.h5", "checkpoint.pt"],
    "sweep": ["sweep.json", "sweep.h5", "TRIAL/summary.json"],
}


def _any_file(kind: str) -> st.SearchStrategy:
    @st.composite
    def made(draw: st.DrawFn) -> tuple[str, str, Change]:
        name, other = draw(st.sampled_from(FILES[kind])), draw(st.sampled_from(FILES[kind]))
        what = draw(
            st.sampled_from(
                ["cut", "empty", "bits", "gone", "another", "folder", "garbage", "unreadable link"]
            )
        )
        share, garbage, seed = (
            draw(st.floats(0, 1)),
            draw(st.binary(max_size=40)),
            draw(st.integers(0, 999)),
        )

        def change(path: Path) -> None:
            content = path.read_bytes()
            if what == "cut":
                path.write_bytes(content[: int(share * len(content))])
            elif what == "bits":
                flipped = np.frombuffer(content, dtype=np.uint8).copy()
                chance = np.random.default_rng(seed)
                for at in chance.integers(0, len(flipped), 8):
                    flipped[at] ^= 1 << int(chance.integers(8))
                path.write_bytes(flipped.tobytes())
            elif what == "another":
                path.write_bytes(
                    (path.parent / Path(other).name).read_bytes()
                    if (path.parent / Path(other).name).is_file()
                    else b""
                )
            elif what in ("gone", "folder", "unreadable link"):
                path.unlink()
                if what == "folder":
                    path.mkdir()
                elif what == "unreadable link":
                    path.symlink_to(path.name)
            else:
                path.write_bytes(garbage if what == "garbage" else b"")

        return name, what, change

    return made()


ODD = st.sampled_from(
    [
        None,
        0,
        -1,
        10**30,
        1e999,
        "",
        "x",
        [],
        {},
        [1],
        {"a": 1},
        True,
        float("nan"),
        "../../../etc/passwd",
        "kanpde run 99",
        ["a", 2],
        [[1, 2], [3]],
    ]
)


def _json(kind: str) -> st.SearchStrategy:
    @st.composite
    def made(draw: st.DrawFn) -> tuple[str, str, Change]:
        name = draw(st.sampled_from([f for f in FILES[kind] if f.endswith(".json")]))
        steps, value, delete = (
            draw(st.lists(st.integers(0, 60), min_size=1, max_size=3)),
            draw(ODD),
            draw(st.booleans()),
        )

        def change(path: Path) -> None:
            whole = json.loads(path.read_text())
            node = whole
            for step in steps:
                keys = list(node) if isinstance(node, dict) else list(range(len(node)))
                if not keys:
                    break
                key = keys[step % len(keys)]
                if step is not steps[-1] and isinstance(node[key], dict | list) and node[key]:
                    node = node[key]
                    continue
                if delete:
                    del node[key]
                else:
                    node[key] = value
                break
            path.write_text(json.dumps(whole))

        return name, f"value {'gone' if delete else repr(value)[:30]} at {steps}", change

    return made()


STATES = [
    "hostile object",
    "hostile pickle",
    "hostile zip",
    "value",
    "value",
    "value",
    "wide",
    "long",
]
"""What is done to a file of torch."""


def _torch(kind: str) -> st.SearchStrategy:
    names = [f for f in FILES[kind] if f.endswith(".pt")]

    @st.composite
    def made(draw: st.DrawFn) -> tuple[str, str, Change]:
        name, what = draw(st.sampled_from(names)), draw(st.sampled_from(STATES))
        steps = draw(st.lists(st.integers(0, 60), min_size=1, max_size=5))
        value = draw(st.one_of(ODD, st.sampled_from(["TENSOR", "WRONG DTYPE"])))
        return (
            name,
            f"{what} {value!r:.30} at {steps}",
            partial(_change_state, what=what, steps=steps, value=value),
        )

    return made() if names else st.nothing()


def _change_state(path: Path, what: str, steps: list[int], value: Any) -> None:
    """Change what torch.load finds, or what it would execute."""
    state = torch.load(path, weights_only=True)
    if what == "hostile pickle":
        path.write_bytes(pickle.dumps(Hostile()))
        return
    if what == "hostile zip":
        path.write_bytes(_hostile_zip(path))
        return
    if what == "hostile object":
        state["ansatz"] = Hostile()
    elif what == "wide" and "ansatz" in state:
        state["ansatz"]["spec"]["width"] = [200_000, 200_000]
    elif what == "long" and "ansatz" in state:
        state["ansatz"]["spec"]["grid"] = 10**11
    else:
        tensors = {"TENSOR": torch.zeros(3), "WRONG DTYPE": torch.zeros(3, dtype=torch.int8)}
        _replace(state, steps, tensors.get(value, value) if isinstance(value, str) else value)
    torch.save(state, path)


def _hostile_zip(path: Path) -> bytes:
    """The same archive, with another pickle in it."""
    to = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
        for item in old.namelist():
            hostile = item.endswith("data.pkl")
            new.writestr(item, pickle.dumps(Hostile()) if hostile else old.read(item))
    return to.getvalue()


def _replace(state: Any, steps: list[int], value: Any) -> None:
    node = state
    for i, step in enumerate(steps):
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = keys[step % len(keys)]
        if i + 1 < len(steps) and isinstance(node[key], dict | list) and node[key]:
            node = node[key]
            continue
        if not isinstance(node, tuple):
            node[key] = value
        return


@dataclass(frozen=True)
class Node:
    """A place in an HDF5 file, from which what was there is gone."""

    file: h5py.File
    key: str
    shape: tuple[int, ...]
    outside: Path


def _stored_outside(node: Node) -> None:
    raw = node.outside.with_suffix(".raw")
    raw.write_bytes(np.full(41, SECRET).tobytes())
    node.file.create_dataset(node.key, shape=(41,), dtype=float, external=[(str(raw), 0, 41 * 8)])


def _virtual(node: Node) -> None:
    layout = h5py.VirtualLayout(shape=(41,), dtype=float)
    layout[:] = h5py.VirtualSource(str(node.outside), "secret", shape=(41,))
    node.file.create_virtual_dataset(node.key, layout)


def _huge(node: Node) -> None:
    node.file.create_dataset(node.key, shape=(10**13,), chunks=(1000,), dtype=float)


def _put(make: Callable[[Node], Any]) -> Callable[[Node], None]:
    """What puts something into the place."""

    def put(node: Node) -> None:
        node.file[node.key] = make(node)

    return put


IN_PLACE: dict[str, Callable[[Node], Any]] = {
    "external link": _put(lambda node: h5py.ExternalLink(str(node.outside), "/secret")),
    "soft link": _put(lambda node: h5py.SoftLink("/nowhere")),
    "to itself": _put(lambda node: node.file["/"]),
    "external storage": _stored_outside,
    "virtual": _virtual,
    "huge": _huge,
    "type": _put(lambda node: np.array([b"a", b"b"])),
    "group": lambda node: node.file.create_group(node.key),
    "gone": lambda node: None,
    "shape": _put(lambda node: np.zeros((*node.shape, 2)[:4] if node.shape else 3)),
    "empty": _put(lambda node: h5py.Empty(float)),
}
"""What comes in place of a node of an HDF5 file."""


def _hdf5(kind: str) -> st.SearchStrategy:
    names = [f for f in FILES[kind] if f.endswith(".h5")]

    @st.composite
    def made(draw: st.DrawFn) -> tuple[str, str, Change]:
        name = draw(st.sampled_from(names))
        what = draw(st.sampled_from([*IN_PLACE, "attribute", "no attributes"]))
        which = draw(st.integers(0, 60))
        return name, f"{what} at {which}", partial(_change_arrays, what=what, which=which)

    return made() if names else st.nothing()


def _change_arrays(path: Path, what: str, which: int) -> None:
    """Change one node of an HDF5 file, or its attributes; a file outside has the SECRET."""
    outside = path.parent.parent / "outside.h5"
    with h5py.File(outside, "w") as file:
        file["secret"] = np.full(41, SECRET)
    with h5py.File(path, "r+") as file:
        found: list[str] = []
        file.visit(found.append)
        key = found[which % len(found)]
        if what in IN_PLACE:
            shape = getattr(file[key], "shape", ())
            del file[key]
            IN_PLACE[what](Node(file, key, shape, outside))
            return
        for attribute in list(file[key].attrs):
            del file[key].attrs[attribute]
        for attribute in list(file.attrs) if what == "attribute" else ():
            file.attrs[attribute] = np.arange(3)
