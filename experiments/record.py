"""Where experiments leave their numbers and pictures: results/experiments/NAME.json and NAME.png,
with where they come from."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from kanpde.provenance import provenance

FOLDER = Path(__file__).parents[1] / "results" / "experiments"


def record(
    name: str, found: dict[str, Any], figure: Figure | None = None, folder: Path = FOLDER
) -> None:
    """Write the numbers, with provenance and the command, and the figure."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {
        **found,
        "command": f"python experiments/{name}.py {' '.join(sys.argv[1:])}".strip(),
        "provenance": provenance(),
    }
    (folder / f"{name}.json").write_text(
        json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    if figure is not None:
        figure.savefig(folder / f"{name}.png", dpi=110)
