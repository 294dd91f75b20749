"""Strategies for command lines, most of them wrong."""

from __future__ import annotations

from hypothesis import strategies as st

NUMBERS = st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "2",
        "20",
        "1e3",
        "",
        " ",
        "nan",
        "inf",
        "１２",
        "0x10",
        "2,2",
        "2,,2",
        ",",
        "9" * 30,
        "a",
        "1.5",
        "--",
        "-",
        "2x2",
        "é",
        "\x00".strip("\x00") or "0",
        "3:1",
        "1000000",
    ]
)
PROBLEMS = st.one_of(
    st.sampled_from(["poisson2d", "heat1d", "poisson2d", "reaction1d"]),
    st.sampled_from(
        [
            "poisson2d",
            "poison2d",
            "",
            "nowhere.py",
            "/",
            ".",
            "..",
            "poisson2d.py",
            "POISSON2D",
            "a" * 300,
            "x\ny",
            "-",
            "results",
            "bad.txt",
        ]
    ),
)
CONSTANTS = st.sampled_from(
    ["nu=0.1", "nu=", "=1", "nu=nan", "nu", "k=1", "nu=1e999", "q=2", "a b=1", "nu=0.1=2"]
)
SHORT = (
    "--schedule",
    "lm:1",
    "--points",
    "20",
    "--width",
    "2",
    "--restarts",
    "1",
    "--no-reference",
)
SOLVE = st.one_of(
    st.tuples(
        st.sampled_from(["--width", "--grid", "--degree", "--points"]),
        st.one_of(NUMBERS, st.sampled_from(["1000000", "999999999999999"])),
    ),
    st.tuples(st.sampled_from(["--seed", "--restarts"]), NUMBERS),
    st.tuples(st.just("--slabs"), st.sampled_from(["0", "-1", "2", "a", "1.5", "9" * 30])),
    st.tuples(
        st.just("--network"),
        st.sampled_from(
            [
                "kan",
                "mlp",
                "kann",
                "",
                "fastkan",
                "chebyshev",
                "grkan",
                "lan",
                "multkan",
                "KAN",
                "../kan",
            ]
        ),
    ),
    st.tuples(
        st.just("--schedule"),
        st.sampled_from(
            [
                "lm:1",
                "adam:1,lbfgs:1",
                "lm",
                "lm:0",
                "lm:-1",
                "",
                ",",
                "extend:12",
                "lm:1,extend:1",
                "lm:1,widen:1",
                "lm/root:1",
                "lm/none:1",
                "prune:1",
                "sparsify:1,prune:0.5",
                "lm:1,deepen:1,lm:1",
                "x:1",
                "lm:1:2",
                "lm:" + "9" * 30,
                "prune:nan",
                "sparsify/x:1",
            ]
        ),
    ),
    st.tuples(st.just("--effort"), st.sampled_from(["quick", "default", "none", ""])),
    st.tuples(
        st.just("--device"), st.sampled_from(["cpu", "cuda", "gpu", "cuda:7", "", "meta", "cpu:0"])
    ),
    st.tuples(st.just("--dtype"), st.sampled_from(["float64", "float32", "float16", "double", ""])),
    st.tuples(
        st.just("--with"),
        st.sampled_from(
            [
                "activation=silu",
                "activation=none",
                "a=1",
                "degree=99",
                "groups=0",
                "=",
                "width=3",
                "grid=nan",
            ]
        ),
    ),
    st.tuples(
        st.just("--out"),
        st.sampled_from(["results", "/proc/nowhere", "a file", "", "new/deep/er", "/dev/null"]),
    ),
    st.tuples(st.just("--resume"), st.sampled_from([".", "results", "nowhere", "/", "a file"])),
    st.tuples(
        st.sampled_from(
            [
                "--json",
                "--explain",
                "--no-reference",
                "--help",
                "--nonsense",
                "-h",
                "--version",
                "--jso",
            ]
        )
    ),
)


@st.composite
def solves(draw: st.DrawFn) -> list[str]:
    """`solve` with options, short where it is right: wrong ones come first, right ones last."""
    given = [part for option in draw(st.lists(SOLVE, max_size=3)) for part in option]
    kept = [SHORT[i : i + 2] for i in range(0, 8, 2)]
    dropped = (
        {option for option in given if option.startswith("--")} if draw(st.booleans()) else set()
    )
    short = [part for pair in kept if pair[0] not in dropped for part in pair]
    if "--schedule" in dropped and "--resume" not in dropped:
        short += []
    return [
        "solve",
        draw(PROBLEMS),
        *draw(st.lists(CONSTANTS, max_size=1)),
        *given,
        *short,
        "--no-reference",
    ]


REFERENCE = st.one_of(
    st.tuples(st.just("--order"), st.sampled_from(["2", "3", "0", "-2", "a", "40", "9" * 20])),
    st.tuples(
        st.just("--cells"), st.sampled_from(["8", "7", "0", "2", "a", "9" * 20, "40000", "3000000"])
    ),
)
REFERENCES = st.tuples(PROBLEMS, st.lists(REFERENCE, min_size=1, max_size=2)).map(
    lambda parts: [
        "reference",
        parts[0],
        "--effort",
        "quick",
        "--cells",
        "8",
        *[p for o in parts[1] for p in o],
    ]
)
SWEEP = st.tuples(
    st.sampled_from(
        [
            "--networks",
            "--parameters",
            "--sizes",
            "--width",
            "--depth",
            "--grid",
            "--degree",
            "--steps",
            "--seeds",
            "--points",
            "--jobs",
            "--threads",
            "--dask",
            "--device",
        ]
    ),
    st.one_of(
        NUMBERS, st.sampled_from(["kan", "kan,mlp", "50:2000", "2000:50", "0:1", "1:2", "none"])
    ),
)
SWEEPS = st.tuples(PROBLEMS, st.lists(SWEEP, max_size=3)).map(
    lambda parts: ["sweep", parts[0], *[p for o in parts[1] for p in o], "--plan"]
)
PATHS = st.sampled_from(
    ["nowhere", ".", "/", "", "a file", "results", "data.csv", "~", "a" * 300, "x\ny"]
)
OTHERS = st.one_of(
    st.tuples(st.sampled_from(["plot", "prune", "explain"]), PATHS).map(list),
    st.tuples(st.just("plot"), PATHS, st.just("--edge"), NUMBERS).map(list),
    st.tuples(st.just("prune"), PATHS, st.sampled_from(["--loss", "--sparsify"]), NUMBERS).map(
        list
    ),
    st.tuples(
        st.just("fit"),
        PATHS,
        st.just("--target"),
        st.sampled_from(["z", "", "q", "z,x", ","]),
        st.sampled_from(["--test", "--held"]),
        NUMBERS,
        st.just("--schedule"),
        st.just("lm:1"),
    ).map(list),
    st.lists(
        st.one_of(
            st.text(max_size=8), st.sampled_from(["solve", "--help", "list", "--json", "-x"])
        ),
        max_size=3,
    ),
)
LINES = st.one_of(solves(), solves(), REFERENCES, SWEEPS, OTHERS)
