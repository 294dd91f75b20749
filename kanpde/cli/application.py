"""The application that typer runs: all commands, each from a file of its own name."""

from __future__ import annotations

from typing import Annotated

import typer

import kanpde
from kanpde.cli.compress import compress
from kanpde.cli.doctor import doctor
from kanpde.cli.explain import explain
from kanpde.cli.export import export
from kanpde.cli.fit import fit
from kanpde.cli.list import list_problems
from kanpde.cli.plot import plot
from kanpde.cli.prune import prune
from kanpde.cli.reference import reference
from kanpde.cli.report import report
from kanpde.cli.solve import solve
from kanpde.cli.sweep import sweep

app = typer.Typer(
    name="kanpde",
    help=(
        "Solve partial differential equations with Kolmogorov-Arnold networks, and check them by"
        " finite differences."
    ),
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"kanpde {kanpde.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


# In the order in which `kanpde --help` lists them.
app.command()(solve)
app.command()(reference)
app.command("list")(list_problems)
app.command()(plot)
app.command()(doctor)
app.command()(compress)
app.command()(explain)
app.command()(export)
app.command()(fit)
app.command()(prune)
app.command()(report)
app.command()(sweep)
