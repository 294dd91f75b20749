"""The commands of `python -m benchmarks`. What is heavy to import comes late, inside of them."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from typer.exceptions import TyperException

from benchmarks import arguments
from benchmarks.arguments import Names, Numbers
from benchmarks.shown import show_measured
from kanpde.cli import parsers
from kanpde.cli.complaints import INTERRUPTED, complain, show_warning, usage
from kanpde.errors import KanpdeError, ProblemWarning, RecipeError
from kanpde.networks.names import kinds
from kanpde.problem import gallery

app = typer.Typer(
    name="benchmarks",
    help="Measure kanpde on a quiet machine, and write tables below results/benchmarks/.",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Seeds = Annotated[
    Numbers | None,
    typer.Option(
        parser=arguments.seeds, metavar="N,…", help="How many, from 0 on, such as 3, or which: 0,2."
    ),
]
Points = Annotated[
    Numbers | None,
    typer.Option(
        parser=arguments.counts,
        metavar="N,…",
        help="How many points; 1e3,1e4,1e5,1e6, or with --quick 1e3,1e4.",
    ),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="Few points and repetitions; nothing by torch.compile.")
]
Device = Annotated[Literal["cpu", "cuda"], typer.Option(help="Where it is measured.")]
Minutes = Annotated[
    int | None, typer.Option(min=1, help="What is not begun by then is left out.", metavar="N")
]
Out = Annotated[Path, typer.Option(help="The table goes into FOLDER/benchmarks.", metavar="FOLDER")]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object on standard output, and everything else on standard error.",
    ),
]
RESULTS = Path("results")


@app.callback(invoke_without_command=True)
def _help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def solve(
    only: Annotated[
        Literal["timing", "command", "accuracy"] | None, typer.Option(help="One part alone.")
    ] = None,
    seeds: Seeds = None,
    out: Out = RESULTS,
    as_json: Json = False,
) -> None:
    """Speed and accuracy of whole problems, in some minutes.

    A part that is not measured again stays in the table. The seeds, 5 where not given, are those
    of the part `accuracy`.
    """
    from benchmarks import solve as measurement

    console = _console(as_json)
    found = measurement.run(out, _tell(console), only, seeds or range(5))
    _show(console, out, "solve", found, found if as_json else None)


@app.command()
def accuracy(
    problems: Annotated[
        Names | None,
        typer.Option(
            parser=arguments.names,
            metavar="NAME,…",
            help="These of the gallery; a subset that takes some minutes where not given.",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every problem with a target.")] = False,
    seeds: Seeds = None,
    effort: Annotated[
        Literal["quick", "default", "record"], typer.Option(help="How much time it is worth.")
    ] = "record",
    device: Device = "cpu",
    minutes: Minutes = None,
    out: Out = RESULTS,
    as_json: Json = False,
) -> None:
    """The gallery beside what others have published; 3 seeds where not given."""
    if problems and everything:
        raise RecipeError("--all: got --problems as well; expected one of them")
    for name in problems or ():
        gallery.find(name)
    from benchmarks import accuracy as measurement
    from benchmarks.comparison import targets
    from benchmarks.published import CHOSEN, CLAIMS

    chosen = problems or list(CLAIMS if everything else CHOSEN)
    campaign = measurement.Campaign(chosen, seeds or range(3), effort, device, minutes)
    console = _console(as_json)
    rows = measurement.run(out, _tell(console), campaign)
    _show(console, out, "accuracy", targets(rows), rows if as_json else None)


@app.command()
def bases(
    networks: Annotated[
        Names | None,
        typer.Option(
            parser=arguments.names,
            metavar="KIND,…",
            help="These kinds of networks; every one where not given.",
        ),
    ] = None,
    seeds: Seeds = None,
    minutes: Minutes = None,
    out: Out = RESULTS,
    as_json: Json = False,
) -> None:
    """One problem by every kind of network; 3 seeds where not given."""
    for name in networks or ():
        if name not in kinds():
            raise RecipeError(f"--networks: got {name!r}; expected {' or '.join(kinds())}")
    from benchmarks import bases as measurement

    console = _console(as_json)
    rows = measurement.run(out, _tell(console), seeds or range(3), networks or (), minutes)
    _show(console, out, "bases", measurement.targets(rows), rows if as_json else None)


@app.command()
def kernels(
    points: Points = None,
    quick: Quick = False,
    device: Annotated[
        Literal["cpu", "cuda"] | None, typer.Option(help="One alone; else all that are here.")
    ] = None,
    minutes: Minutes = None,
    out: Out = RESULTS,
    as_json: Json = False,
) -> None:
    """The closure of a loss and its gradient against other networks."""
    from benchmarks import kernels as measurement
    from benchmarks.verdicts import targets

    console = _console(as_json)
    rows = measurement.run(out, _tell(console), points, quick, device, minutes)
    _show(console, out, "kernels", targets(rows), rows if as_json else None)


@app.command()
def shards(
    points: Points = None,
    quick: Quick = False,
    device: Device = "cpu",
    minutes: Minutes = None,
    out: Out = RESULTS,
    as_json: Json = False,
) -> None:
    """A step and a gradient on one and on two processes."""
    from benchmarks import shards as measurement

    sizes = measurement.Sizes.quick if quick else measurement.Sizes
    console = _console(as_json)
    rows = measurement.run(
        out, _tell(console), sizes(points) if points else sizes(), device, minutes
    )
    _show(console, out, "shards", {}, rows if as_json else None)


@app.command()
def judged(
    only: Annotated[
        Names | None,
        typer.Option(
            parser=arguments.names,
            metavar="NAME,…",
            help="These, such as fin or fin:offset, measured again; all where not given.",
        ),
    ] = None,
    effort: Annotated[
        Literal["quick", "default", "record"], typer.Option(help="How much time it is worth.")
    ] = "default",
    jobs: Annotated[int, typer.Option(min=1, help="Problems at a time.", metavar="N")] = 1,
    minutes: Annotated[
        int, typer.Option(min=1, help="A problem that takes longer is stopped.", metavar="N")
    ] = 10,
    out: Out = RESULTS,
    as_json: Json = False,
) -> None:
    """Whether verdicts can be believed: small problems beside independent truths.

    A row that is there already, of the same effort and code, is kept.
    """
    from benchmarks.judged import campaign

    console = _console(as_json)
    plan = campaign.Plan(only or (), effort, jobs, minutes)
    found = campaign.run(out, _tell(console), plan)
    _show(console, out, "judged", found, found if as_json else None)


@app.command()
def hard(
    only: Annotated[
        Names | None,
        typer.Option(parser=arguments.names, metavar="ROW,…", help="By default all."),
    ] = None,
    out: Out = RESULTS,
    as_json: Json = False,
) -> None:
    """Fronts, waves and long times in two coordinates, beside truths of other solvers."""
    from benchmarks import hard as measurement

    names = measurement.checked(only or ())
    console = _console(as_json)
    found = measurement.run(out, _tell(console), names)
    _show(console, out, "hard", found, found if as_json else None)


@app.command()
def tolerances(
    problems: Annotated[
        Names | None,
        typer.Option(
            parser=arguments.names, metavar="NAME,…", help="Of the gallery; by default sixteen."
        ),
    ] = None,
    asked: Annotated[
        Sequence[float] | None,
        typer.Option(
            "--tolerances",
            parser=parsers.numbers("1e-4,1e-8"),
            metavar="E,…",
            help="By default 1e-4,1e-6,1e-8,1e-10,1e-12.",
        ),
    ] = None,
    out: Out = RESULTS,
    as_json: Json = False,
) -> None:
    """Products of splines, asked for tolerances: true errors over these, parameters, seconds."""
    from benchmarks import tolerances as measurement

    console = _console(as_json)
    found = measurement.run(out, _tell(console), problems or (), asked or ())
    _show(console, out, "tolerances", found, found if as_json else None)


@app.command()
def alternatives(
    problems: Annotated[
        Names | None,
        typer.Option(parser=arguments.names, metavar="NAME,…", help="These of the gallery."),
    ] = None,
    out: Out = RESULTS,
) -> None:
    """Products of splines beside solve_ivp on lines, random features and the reference."""
    for name in problems or ():
        gallery.find(name)
    from benchmarks import alternatives as measurement

    measurement.run(out, _tell(_console(False)), problems or ())


@app.command()
def growth(out: Out = RESULTS) -> None:
    """What a Newton step of products of splines costs on more and more cells."""
    from benchmarks import growth as measurement

    measurement.run(out, _tell(_console(False)))


@app.command()
def bounds(out: Out = RESULTS) -> None:
    """The least time that machine code of kernels for GPUs can take: computed, not measured."""
    from benchmarks import bounds as computation

    computation.run(out, _tell(_console(False)))


@app.command()
def start(
    repeats: Annotated[
        int, typer.Option(min=1, help="Of each, of which the median counts.", metavar="N")
    ] = 5,
) -> None:
    """How long one waits for what is not training: fresh processes, over `import torch` alone."""
    from benchmarks import start as measurement

    print("\n".join(measurement.measure(repeats)))


@app.command()
def fingerprint(
    against: Annotated[
        Path | None,
        typer.Option(help="An earlier fingerprint to compare with.", metavar="FILE"),
    ] = None,
) -> int:
    """What a change that only moves code must leave the same to all digits, as JSON."""
    from benchmarks import fingerprint as measurement

    found = measurement.fingerprint()
    if against is None:
        print(json.dumps(found, indent=1))
        return 0
    before = json.loads(against.read_text(encoding="utf-8"))
    apart = measurement.differences(before, found)
    for line in apart:
        print(line)
    print(f"{len(before) - len(apart)} of {len(before)} are the same")
    return 1 if apart else 0


@app.command()
def tables(
    folder: Annotated[
        Path, typer.Argument(help="Its tables, in folders below it too.", metavar="FOLDER")
    ] = RESULTS,
) -> None:
    """Say at the head of each table whether its code has changed since it was measured."""
    from benchmarks import tables as committed

    for path in committed.renew(folder):
        print(f"written: {path}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows `python -m benchmarks`; those of this process where not given.

    Returns:
        The exit code: 0, 1 where a fingerprint differs, 2 for what the user can put right (one
        line says what), 130 after Ctrl-C.
    """
    # As in kanpde's own command line: libgomp's threads spin for milliseconds while they wait, and
    # starve each other on a busy machine. This has to stand before torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    with warnings.catch_warnings():
        warnings.simplefilter("always", ProblemWarning)
        warnings.showwarning = show_warning
        try:
            return app(arguments, standalone_mode=False, prog_name="python -m benchmarks") or 0
        except KanpdeError as error:
            return complain(str(error))
        except TyperException as error:
            return complain(usage(error))
        except OSError as error:
            return complain(f"{error.filename or 'a file'}: {error.strerror or error}")
        except (KeyboardInterrupt, typer.Abort):
            print("interrupted", file=sys.stderr)
            return INTERRUPTED


def _console(as_json: bool) -> Console:
    """Standard output, or standard error where that is kept for JSON."""
    return Console(stderr=as_json, highlight=False)


def _tell(console: Console) -> Callable[[str], None]:
    """Where progress goes, a line at a time."""
    return lambda line: console.print(line, soft_wrap=True, markup=False)


def _show(
    console: Console, out: Path, name: str, measured: Mapping[str, Any], plain: object
) -> None:
    """Print the JSON object where there is one, else the measurements and where they are kept."""
    if plain is not None:
        print(json.dumps(plain, ensure_ascii=False, allow_nan=False))
    else:
        show_measured(console, measured, out / "benchmarks" / f"{name}.md")
