"""The command `doctor`: what this machine can do."""

from __future__ import annotations

from typing import Annotated

import typer

from kanpde.cli.options import Json
from kanpde.cli.output import print_json

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "bold red"}

NoTest = Annotated[
    bool,
    typer.Option(
        "--no-test", help="Leave out the self-test, which solves a small problem in seconds."
    ),
]


def doctor(no_test: NoTest = False, as_json: Json = False) -> int:
    """Say what this machine can do: versions, devices, kernels, threads, places to write; and test
    that it solves.

    The exit code is 1 where something that is needed is missing or wrong.
    """
    from rich.markup import escape
    from rich.table import Table

    from kanpde import doctor as examiner
    from kanpde.cli import display

    findings = examiner.examine(not no_test)
    found = examiner.summary(findings)
    if as_json:
        print_json(found)
        return 0 if found["ok"] else 1
    console = display.console(False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for each in findings:
        state = f"[{_COLOURS[each.state]}]{each.state}[/]"
        table.add_row(each.name, state, escape(each.found))
    console.print(table)
    for each in findings:
        if each.advice:
            console.print(f"{each.name}: {each.advice}", markup=False, soft_wrap=True)
    return 0 if found["ok"] else 1
