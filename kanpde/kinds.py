"""The names of all kinds of networks, read off the files that define them, so that no torch is needed to list them."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "networks" / "kinds"


def kinds() -> tuple[str, ...]:
    """kan and mlp, and each file of kanpde/networks/kinds/, in alphabetical order."""
    return ("kan", "mlp", *sorted(path.stem for path in FOLDER.glob("[!_]*.py")))
