"""Options and arguments that several commands share, each with its type, parser and help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from kanpde.cli import completion, parsers
from kanpde.errors import listed
from kanpde.networks.names import kinds
from kanpde.problem.efforts import EFFORTS


def whole(help: str, least: int = 1) -> Any:
    """An option of a whole number, which typer reads.

    Args:
        help: What `--help` says of it.
        least: The smallest number that is taken.

    Returns:
        What stands beside `int` in an annotation.
    """
    return typer.Option(min=least, callback=parsers.bounded, metavar="N", help=help)


def real(help: str) -> Any:
    """An option of a finite number, 0 or more, which typer reads.

    Args:
        help: What `--help` says of it.

    Returns:
        What stands beside `float` in an annotation.
    """
    return typer.Option(min=0.0, callback=parsers.bounded, metavar="NUMBER", help=help)


def chosen(known: Sequence[str], help: str, metavar: str = "NAME") -> Any:
    """An option of one of a few words, which the shell completes.

    Args:
        known: The words.
        help: What `--help` says of it.
        metavar: What stands for the word there.

    Returns:
        What stands beside `str` in an annotation.
    """

    def complete(incomplete: str) -> Iterator[str]:
        return (word for word in known if word.startswith(incomplete))

    return typer.Option(
        parser=parsers.one_of(known), autocompletion=complete, metavar=metavar, help=help
    )


# Problems and folders.

PROBLEM_HELP = (
    "A problem of the gallery or of ./problems (see `list`), or a Python file that defines"
    " `problem`."
)
Name = Annotated[
    str,
    typer.Argument(metavar="NAME-or-FILE", help=PROBLEM_HELP, autocompletion=completion.problems),
]
NameOrNone = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME-or-FILE",
        help=f"{PROBLEM_HELP} Not with --resume.",
        autocompletion=completion.problems,
    ),
]
Constants = Annotated[
    list[parsers.Constant] | None,
    typer.Argument(
        parser=parsers.constant,
        metavar="NAME=NUMBER…",
        help="Other values for constants of the problem's file, such as nu=0.01.",
    ),
]
EXAMPLE_RUN = "results/poisson2d/20261122-171200-seed0"
Run = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help=f"A run folder, such as {EXAMPLE_RUN}.", autocompletion=completion.runs
    ),
]
RunOrSweep = Annotated[
    Path,
    typer.Argument(
        metavar="RUN-or-SWEEP",
        help=f"The folder of a run or a sweep, such as {EXAMPLE_RUN}.",
        autocompletion=completion.runs_and_sweeps,
    ),
]

# The network and its training.

Network = Annotated[
    str | None, chosen(kinds(), f"{listed(kinds()[:-1])} or {kinds()[-1]}.", metavar="KIND")
]
Width = Annotated[
    Sequence[int] | None,
    typer.Option(
        parser=parsers.whole_numbers("5 or 8,8"),
        metavar="N,…",
        help="Hidden units by layer, such as 5 or 8,8.",
    ),
]
Grid = Annotated[
    Sequence[int] | None,
    typer.Option(
        parser=parsers.whole_numbers("6 or 6,12,24"),
        metavar="N,…",
        help=(
            "Intervals of the basis, coarse to fine, such as 6,12,24: training extends the grid"
            " from one to the next."
        ),
    ),
]
Degree = Annotated[
    Sequence[int] | None,
    typer.Option(
        parser=parsers.whole_numbers("5 or 8,16,32"),
        metavar="N,…",
        help=(
            "Of splines, 1 to 9, of tensor 3 to 9; of chebyshev and fourier, coarse to fine, such"
            " as 8,16,32."
        ),
    ),
]
Settings = Annotated[
    list[parsers.KindSetting] | None,
    typer.Option(
        "--with",
        parser=parsers.setting,
        metavar="NAME=VALUE",
        help=(
            "Another setting of the kind of network, such as activation=silu of mlp; may be"
            " repeated."
        ),
    ),
]
Restarts = Annotated[int | None, whole("Random starts, of which the best is trained on.")]
Tolerance = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER",
        help=(
            "Error, over each unknown's own variation, at which the solution is good enough, such"
            " as 1e-8; without --network and other parts of a recipe it is met by a tensor product"
            " of splines, where that can take the problem."
        ),
    ),
]
Explain = Annotated[bool, typer.Option("--explain", help="Say which recipe was chosen, and why.")]
Effort = Annotated[
    str, chosen(EFFORTS, f"{listed(EFFORTS[:-1])} or {EFFORTS[-1]}: how much work it is worth.")
]

# The machine.

Device = Annotated[str, typer.Option(metavar="NAME", help="cpu or cuda.")]
Dtype = Annotated[str, chosen(("float64", "float32"), "float64 or float32.")]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object on standard output, and everything else on standard error.",
    ),
]


@dataclass(frozen=True)
class NetworkOptions:
    """What the options ask of the network and its training.

    Attributes:
        kind: Of network; None for the problem's own.
        width: Hidden units by layer; None for the problem's own.
        levels: Of `grid` and `degree` those that were given, each coarse to fine.
        settings: Other settings of the kind, as text.
        schedule: Text of the training stages; None for the problem's own.
    """

    kind: str | None = None
    width: Sequence[int] | None = None
    levels: dict[str, Sequence[int]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    schedule: str | None = None

    @classmethod
    def given(
        cls,
        kind: str | None,
        width: Sequence[int] | None,
        grid: Sequence[int] | None,
        degree: Sequence[int] | None,
        settings: Sequence[parsers.KindSetting] | None,
        schedule: str | None,
    ) -> NetworkOptions:
        """From the options as typer passes them, None for those that were not given."""
        levels = {"grid": grid, "degree": degree}
        return cls(
            kind,
            width,
            {name: numbers for name, numbers in levels.items() if numbers is not None},
            dict(settings or ()),
            schedule,
        )
