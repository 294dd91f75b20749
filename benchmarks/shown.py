"""Measurements on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def show_measured(console: Console, measured: Mapping[str, Any], table_file: Path) -> None:
    """Print the measurements, one table a part, and where they are kept.

    Args:
        console: Where to.
        measured: By part, the rows of what was measured, plain values as a file holds them.
        table_file: Where the whole table is.
    """
    for part, found in measured.items():
        table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
        for i, column in enumerate((part, "measured", "must", "aim", "met")):
            table.add_column(column, justify="right" if i else "left")
        for row in found["rows"]:
            sign = "≥ " if row["least"] else "≤ "
            bounds = ["" if row[k] is None else f"{sign}{row[k]:g}" for k in ("must", "aim")]
            value = "-" if row["value"] is None else f"{row['value']:.2g} {row['unit']}"
            table.add_row(row["what"], value, *bounds, row["verdict"])
        console.print()
        console.print(table)
    console.print(f"\nfiles     {table_file}", markup=False, soft_wrap=True)
