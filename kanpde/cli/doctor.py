"""The command doctor: what this machine can do."""

from __future__ import annotations

from typing import Annotated

import typer

from kanpde.cli.commands import Json, _print_json, app

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "bold red"}


@app.command()
def doctor(
    no_test: Annotated[
        bool,
        typer.Option(
            "--no-test", help="Leave out the self-test, which solves a small problem in seconds."
        ),
    ] = False,
    as_json: Json = False,
) -> int:
    """Say what this machine can do: versions, devices, kernels, threads, places to write; and test
    that it solves.

    The exit code is 1 where something that is needed is missing or wrong.
    """
    from rich.table import Table

    from kanpde import doctor as examiner
    from kanpde.cli import display

    checks = examiner.examine(not no_test)
    found = examiner.summary(checks)
    if as_json:
        _print_json(found)
        return 0 if found["ok"] else 1
    console = display.console(False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for check in checks:
        table.add_row(
            check.name, f"[{_COLOURS[check.state]}]{check.state}[/]", _escaped(check.found)
        )
    console.print(table)
    for check in checks:
        if check.advice:
            console.print(f"{check.name}: {check.advice}", markup=False, soft_wrap=True)
    return 0 if found["ok"] else 1


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
