"""Strategies for damaged and hostile run folders: what is done to which file of a good one."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
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


def _torch(kind: str) -> st.SearchStrategy:
    names = [f for f in FILES[kind] if f.endswith(".pt")]

    @st.composite
    def made(draw: st.DrawFn) -> tuple[str, str, Change]:
        name, what = (
            draw(st.sampled_from(names)),
            draw(
                st.sampled_from(
                    [
                        "hostile object",
                        "hostile pickle",
                        "hostile zip",
                        "value",
                        "value",
                        "value",
                        "wide",
                        "long",
                    ]
                )
            ),
        )
        steps, value = (
            draw(st.lists(st.integers(0, 60), min_size=1, max_size=5)),
            draw(st.one_of(ODD, st.sampled_from(["TENSOR", "WRONG DTYPE"]))),
        )

        def change(path: Path) -> None:
            state = torch.load(path, weights_only=True)
            if what == "hostile pickle":
                path.write_bytes(pickle.dumps(Hostile()))
                return
            if what == "hostile zip":
                to = io.BytesIO()
                with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
                    for item in old.namelist():
                        new.writestr(
                            item,
                            (
                                pickle.dumps(Hostile())
                                if item.endswith("data.pkl")
                                else old.read(item)
                            ),
                        )
                path.write_bytes(to.getvalue())
                return
            if what == "hostile object":
                state["ansatz"] = Hostile()
            elif what in ("wide", "long") and "ansatz" in state:
                state["ansatz"]["spec"]["width" if what == "wide" else "grid"] = (
                    [200_000, 200_000] if what == "wide" else 10**11
                )
            else:
                _replace(
                    state,
                    steps,
                    (
                        {
                            "TENSOR": torch.zeros(3),
                            "WRONG DTYPE": torch.zeros(3, dtype=torch.int8),
                        }.get(value, value)
                        if isinstance(value, str)
                        else value
                    ),
                )
            torch.save(state, path)

        return name, f"{what} {value!r:.30} at {steps}", change

    return made() if names else st.nothing()


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


def _hdf5(kind: str) -> st.SearchStrategy:
    names = [f for f in FILES[kind] if f.endswith(".h5")]

    @st.composite
    def made(draw: st.DrawFn) -> tuple[str, str, Change]:
        name = draw(st.sampled_from(names))
        what = draw(
            st.sampled_from(
                [
                    "external link",
                    "soft link",
                    "to itself",
                    "external storage",
                    "virtual",
                    "huge",
                    "type",
                    "group",
                    "gone",
                    "shape",
                    "attribute",
                    "no attributes",
                    "empty",
                ]
            )
        )
        which = draw(st.integers(0, 60))

        def change(path: Path) -> None:
            outside = path.parent.parent / "outside.h5"
            with h5py.File(outside, "w") as file:
                file["secret"] = np.full(41, SECRET)
            (path.parent.parent / "outside.raw").write_bytes(np.full(41, SECRET).tobytes())
            with h5py.File(path, "r+") as file:
                found: list[str] = []
                file.visit(found.append)
                key = found[which % len(found)]
                node, shape = file[key], getattr(file[key], "shape", ())
                if what in ("attribute", "no attributes"):
                    for attribute in list(node.attrs):
                        del node.attrs[attribute]
                    for attribute in list(file.attrs) if what == "attribute" else ():
                        file.attrs[attribute] = np.arange(3)
                    return
                del file[key]
                if what == "external link":
                    file[key] = h5py.ExternalLink(str(outside), "/secret")
                elif what == "soft link":
                    file[key] = h5py.SoftLink("/nowhere")
                elif what == "to itself":
                    file[key] = file["/"]
                elif what == "external storage":
                    file.create_dataset(
                        key,
                        shape=(41,),
                        dtype=float,
                        external=[(str(path.parent.parent / "outside.raw"), 0, 41 * 8)],
                    )
                elif what == "virtual":
                    layout = h5py.VirtualLayout(shape=(41,), dtype=float)
                    layout[:] = h5py.VirtualSource(str(outside), "secret", shape=(41,))
                    file.create_virtual_dataset(key, layout)
                elif what == "huge":
                    file.create_dataset(key, shape=(10**13,), chunks=(1000,), dtype=float)
                elif what == "type":
                    file[key] = np.array([b"a", b"b"])
                elif what == "group":
                    file.create_group(key)
                elif what == "shape":
                    file[key] = np.zeros((*shape, 2)[:4] if shape else 3)
                elif what == "empty":
                    file[key] = h5py.Empty(float)

        return name, f"{what} at {which}", change

    return made() if names else st.nothing()
