"""Strategies for problem files and data files, good and bad."""

from __future__ import annotations

import io

import h5py
import numpy as np
from hypothesis import strategies as st

NUMBERS = st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "0.5",
        "2",
        "1e-300",
        "1e300",
        "float('nan')",
        "float('inf')",
        "'one'",
        "None",
        "True",
        "1j",
        "10**400",
        "torch.tensor(1.0)",
        "[1]",
    ]
)
ENDS = st.one_of(
    st.sampled_from(["(0, 1)", "(-1, 1)", "(0, 1)", "(0, 2)"]),
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: f"({pair[0]}, {pair[1]})"),
    st.sampled_from(["1", "(0, 1, 2)", "()", "'ab'"]),
)
NAMES = st.sampled_from(
    ["x", "y", "z", "w", "t", "u", "d", "pi", "é", "lambda", "_", "x1", "domain"]
)
SPACES = st.one_of(
    st.sampled_from(
        [
            "Box(x=(0, 1))",
            "Box(x=(0, 1), y=(0, 1))",
            "Box(x=(0, 1)) * Time(t=(0, 1))",
            "Box(x=(-1, 1), y=(-1, 1))",
            "Box(x=(0, 1)) * Time(t=(0, 0.5))",
        ]
    ),
    st.lists(st.tuples(NAMES, ENDS), max_size=6).map(
        lambda sides: f"Box({', '.join(f'{x}={ends}' for x, ends in sides)})"
    ),
    st.sampled_from(
        [
            "Box",
            "None",
            "Time(t=(0, 1))",
            "Box(x=(0, 1)) * Box(y=(0, 1))",
            "Time(t=(0, 1)) * Box(x=(0, 1))",
            "Box(x=(0, 1)) * Time(t=(1, 0))",
            "3",
        ]
    ),
)

ATOMS = st.sampled_from(
    [
        *(
            "u",
            "x",
            "y",
            "t",
            "d(u, x)",
            "d(u, x, x)",
            "d(u, t)",
            "d(u, t, t)",
            "laplacian(u)",
            "d(u, y, y)",
            "grad(u)",
            "v",
            "1.0",
            "pi",
            "nu",
            "d(x, x)",
            "d(u)",
            "d(u, u)",
        ),
        *(
            "d(u, x, x, x, x)",
            "d(u, x, x, x, x, x)",
            "d(u * u, x)",
            "d(d(u, x) * u, x)",
            "div(grad(u))",
            "normal_derivative(u)",
            "float('nan') * u",
            "u.mean()",
            "u[0]",
            "u.sum()",
        ),
        *(
            "math.sin(u)",
            "numpy.sin(u)",
            "u.detach()",
            "torch.zeros(3)",
            "int(u)",
            "u > 0",
            "None",
            "'u'",
            "u.to(torch.float32)",
            "1e308 * u",
            "u.item()",
            "torch.rand_like(u)",
        ),
    ]
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**", "@"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        st.tuples(
            st.sampled_from(
                [
                    "torch.sin",
                    "torch.exp",
                    "torch.log",
                    "torch.sqrt",
                    "torch.sign",
                    "torch.abs",
                    "-",
                    "torch.round",
                    "torch.asin",
                ]
            ),
            inner,
        ).map(lambda parts: f"{parts[0]}({parts[1]})"),
    ),
    max_leaves=5,
)
GOOD = st.sampled_from(
    [
        "d(u, x, x) + torch.sin(pi * x)",
        "laplacian(u) - u**3 + 1",
        "d(u, t) - d(u, x, x)",
        "d(u, t) + u * d(u, x) - 0.1 * d(u, x, x)",
        "d(u, x, x) - torch.exp(u)",
    ]
)
BODIES = st.one_of(
    GOOD.map(lambda text: f"return {text}"),
    EXPRESSIONS.map(lambda text: f"return {text}"),
    st.lists(EXPRESSIONS, min_size=2, max_size=3).map(lambda texts: f"return {', '.join(texts)}"),
    st.sampled_from(
        [
            "pass",
            "raise ValueError('no\\nno')",
            "raise SystemExit",
            "return residual(u, x)",
            "if (u > 0).any(): return d(u, x)\n    return d(u, x, x)",
            "1 / 0",
            "return open('/nowhere')",
        ]
    ),
    st.sampled_from(
        [
            "raise Exception",
            "raise KeyError('')",
            "return u if float(u.sum()) > 0.7 else d(u, x, x)",
            "u += 1\n    return d(u, x, x)",
            "assert False",
            "yield u",
            "del x\n    return u",
        ]
    ),
)
ARGUMENTS = st.sampled_from(
    [
        "u, x",
        "u, x, y",
        "u, x, t",
        "u, x",
        "u",
        "x",
        "",
        "*u",
        "u, *, x",
        "u, v, x",
        "u, x, nu=0.1",
        "u, **k",
        "x, u",
        "u, x, y, z, w, t",
        "self, u",
    ]
)
FACES = st.sampled_from(
    [
        "",
        ", on='x-'",
        ", on='x+'",
        ", on=('x-', 'x+')",
        ", on='y-'",
        ", on='t-'",
        ", on='z-'",
        ", on=3",
        ", on=()",
        ", where=lambda x: x < 0.5",
        ", where=lambda y: y < 2",
        ", weight=-1",
        ", weight=1e300",
    ]
)
VALUES = st.one_of(
    st.sampled_from(["0", "1", "0"]),
    NUMBERS,
    st.sampled_from(
        [
            "lambda x: torch.sin(pi * x)",
            "lambda y: y",
            "lambda x, y: x / 0",
            "lambda q: q",
            "lambda x: 1 / x",
            "lambda: 1",
            "lambda x: 'a'",
            "print",
        ]
    ),
)
CONDITIONS = st.one_of(
    st.sampled_from(
        [
            "Dirichlet(u=0)",
            "Dirichlet(u=0)",
            "Initial(u=lambda x: torch.sin(pi * x))",
            "Periodic('x')",
            "Neumann(u=0, on='x+')",
        ]
    ),
    st.tuples(
        st.sampled_from(["Dirichlet", "Neumann", "Robin", "Initial"]),
        st.sampled_from(["u", "u", "v", "u_t", "q"]),
        VALUES,
        FACES,
    ).map(lambda c: f"{c[0]}({c[1]}={c[2]}{c[3]})"),
    st.tuples(EXPRESSIONS, FACES).map(lambda c: f"Condition(lambda u, x: {c[0]}{c[1]})"),
    st.sampled_from(
        [
            "Periodic('q')",
            "Periodic()",
            "Periodic('t')",
            "Dirichlet",
            "None",
            "Robin(u=0, a=0)",
            "Condition(3)",
            "Initial()",
            "Dirichlet()",
        ]
    ),
)
EXTRAS = st.sampled_from(
    [
        *(
            "",
            "",
            "",
            ", exact={'u': lambda x: torch.sin(pi * x)}",
            ", exact={'u': lambda x: 1 / x}",
            ", exact={'v': 1}",
            ", exact=3",
            ", unknowns=['u']",
            ", unknowns='u'",
            ", unknowns=['q']",
        ),
        *(
            ", unknowns=[3]",
            ", name='../../out'",
            ", name=''",
            ", name=None",
            ", title='\\n\\x1b[31m'",
            ", exact={'u': float('nan')}",
            ", nonsense=1",
        ),
    ]
)
TAILS = st.sampled_from(
    [
        *(
            "",
            "",
            "",
            "",
            "recipe = Recipe(points=0)",
            "recipe = 3",
            "recipe = Recipe(KAN((2,), 5, 3), 30, 'lm:1')",
            "recipe = Recipe(schedule='nonsense')",
            "quick = None",
            "problem = 3",
            "del problem",
        ),
        *(
            "raise SystemExit(3)",
            "import sys; sys.exit()",
            "raise KeyError",
            "def broken(:",
            "problem.name = 'a'",
            "\x00",
            "recipe = Recipe(KAN((2,), 5, 3), 30, 'lm:1', continuation={'q': (1, 2)})",
            "import nowhere",
        ),
    ]
)
HEAD = """import math
import numpy
import torch
from math import pi
from kanpde import KAN, Box, Condition, Dirichlet, Initial, Neumann, Periodic, Problem, Recipe
from kanpde import Robin, Time, d, div, grad, laplacian, normal_derivative

nu = 0.1


"""


SOUND = st.sampled_from(
    [
        ("Box(x=(0, 1))", "u, x", "return d(u, x, x) + torch.sin(pi * x)", ["Dirichlet(u=0)"]),
        (
            "Box(x=(0, 1), y=(0, 1))",
            "u, x, y",
            "return laplacian(u) - u**3 + 1",
            ["Dirichlet(u=0)"],
        ),
        (
            "Box(x=(0, 1)) * Time(t=(0, 0.5))",
            "u, x, t",
            "return d(u, t) - nu * d(u, x, x)",
            ["Dirichlet(u=0)", "Initial(u=lambda x: torch.sin(pi * x))"],
        ),
        (
            "Box(x=(-1, 1)) * Time(t=(0, 0.3))",
            "u, x, t",
            "return d(u, t) + u * d(u, x)",
            ["Periodic('x')", "Initial(u=lambda x: torch.sin(pi * x))"],
        ),
        (
            "Box(x=(0, 1))",
            "u, x",
            "return d(u, x, x) - torch.exp(u)",
            ["Dirichlet(u=1, on='x-')", "Robin(u=0, a=1, b=2, on='x+')"],
        ),
        (
            "Box(x=(0, 1))",
            "u, v, x",
            "return d(u, x, x) - v, d(v, x, x) + u",
            ["Dirichlet(u=0, v=1)"],
        ),
    ]
)
PARTS = ("domain", "arguments", "body", "conditions", "extras", "tail", "bytes")


@st.composite
def problem_files(draw: st.DrawFn) -> bytes:
    """The bytes of a file that defines a sound problem but for some of its parts, if any."""
    domain, arguments, body, conditions = draw(SOUND)
    odd = draw(st.sets(st.sampled_from(PARTS), max_size=2))
    domain = draw(SPACES) if "domain" in odd else domain
    arguments = draw(ARGUMENTS) if "arguments" in odd else arguments
    body = draw(BODIES) if "body" in odd else body
    conditions = draw(st.lists(CONDITIONS, max_size=3)) if "conditions" in odd else conditions
    extras, tail = (
        draw(given) if name in odd else "" for name, given in (("extras", EXTRAS), ("tail", TAILS))
    )
    text = (
        f"{HEAD}def residual({arguments}):\n    {body}\n\n\nproblem = Problem(domain={domain},"
        f" equations=[residual], conditions=[{', '.join(conditions)}]{extras})\n{tail}\n"
    )
    return (
        draw(st.sampled_from([_cut, _scribbled]))(draw, text.encode())
        if "bytes" in odd
        else text.encode()
    )


def _cut(draw: st.DrawFn, content: bytes) -> bytes:
    return content[: draw(st.integers(0, len(content)))]


def _scribbled(draw: st.DrawFn, content: bytes) -> bytes:
    at = draw(st.integers(0, len(content)))
    return (
        content[:at]
        + draw(st.binary(min_size=1, max_size=6))
        + content[at + draw(st.integers(0, 3)) :]
    )


FIELDS = st.one_of(
    st.floats(-2, 2).map(str),
    st.sampled_from(["", "nan", "a", "1e999", "-", "NA", '"', "1,5", "0x10", "é", "\x00", "1e5"]),
    st.text(max_size=4),
)


TABLE_PARTS = ("kind", "rows", "names", "fields", "mark", "extra", "bytes")
NAMES_OF_COLUMNS = st.lists(
    st.sampled_from(["x", "z", "", "x", "1", "z\n", "é", "a b"]), max_size=4
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, bytes]:
    """A data file with columns x, y and z, sound but for some of its parts, if any: its ending and
    its bytes."""
    odd = draw(st.sets(st.sampled_from(TABLE_PARTS), max_size=2))
    kind = draw(st.sampled_from(["csv", "tsv", "txt", "npz", "h5"]))
    names = draw(NAMES_OF_COLUMNS) if "names" in odd else ["x", "y", "z"]
    rows = draw(st.integers(0, 5)) if "rows" in odd else draw(st.integers(6, 40))
    values = np.random.default_rng(draw(st.integers(0, 99))).uniform(
        -1, 1, (rows, max(len(names), 1))
    )
    if kind == "npz":
        content = _npz(draw, names, values, "extra" in odd)
    elif kind == "h5":
        content = _h5(draw, names, values, "extra" in odd)
    else:
        mark = draw(st.sampled_from([" ", "|", ",,", ""] if "mark" in odd else [",", ";", "\t"]))
        lines = [[str(v) for v in row] for row in values]
        for _ in range(draw(st.integers(1, 3)) if "fields" in odd and rows else 0):
            row = draw(st.sampled_from(lines))
            row[draw(st.integers(0, len(row) - 1))] = draw(FIELDS)
        content = "\n".join([mark.join(names), *(mark.join(line) for line in lines)]).encode(
            "utf-8", "replace"
        )
    ending = draw(st.sampled_from(["csv", "npz", "h5", "xlsx", ""])) if "kind" in odd else kind
    return ending, (
        draw(st.sampled_from([_cut, _scribbled]))(draw, content) if "bytes" in odd else content
    )


def _npz(draw: st.DrawFn, names: list[str], values: np.ndarray, odd: bool) -> bytes:
    arrays = {name.replace("\n", "") or "a": values[:, i] for i, name in enumerate(names)}
    extra = draw(
        st.sampled_from(
            [
                np.zeros((3, 3, 3)),
                np.array([{}, None], dtype=object),
                np.array(1.0),
                np.array(["a", "b"]),
                np.zeros(5, dtype=complex),
                np.zeros(0),
            ]
        )
    )
    if odd:
        arrays["z"] = extra
    to = io.BytesIO()
    np.savez(to, **arrays)
    return to.getvalue()


def _h5(draw: st.DrawFn, names: list[str], values: np.ndarray, odd: bool) -> bytes:
    to = io.BytesIO()
    with h5py.File(to, "w") as file:
        for i, name in enumerate(dict.fromkeys(n.strip() or "a" for n in names)):
            file[name] = values[:, i]
        extra = draw(
            st.sampled_from(
                ["external", "soft", "loop", "compound", "huge", "group", "empty", "text"]
            )
        )
        target = draw(st.sampled_from(["z", "extra"]))
        if not odd:
            extra = ""
        elif target in file:
            del file[target]
        if extra == "external":
            file[target] = h5py.ExternalLink("/etc/passwd", "/")
        elif extra == "soft":
            file[target] = h5py.SoftLink("/nowhere")
        elif extra == "loop":
            file[target] = file["/"]
        elif extra == "compound":
            file[target] = np.zeros(3, dtype=[("a", float), ("b", int)])
        elif extra == "huge":
            file.create_dataset(target, shape=(10**13,), chunks=(1000,), dtype=float)
        elif extra == "group":
            file.create_group(target)
        elif extra == "empty":
            file[target] = h5py.Empty(float)
        elif extra == "text":
            file[target] = "a text"
    return to.getvalue()
