"""The names of all kinds of networks, without torch: the command line lists them before it needs
it."""

from __future__ import annotations

from pathlib import Path


def kinds() -> tuple[str, ...]:
    """kan and mlp, and each file of kinds/, in alphabetical order."""
    files = (Path(__file__).parent / "kinds").glob("[!_]*.py")
    return ("kan", "mlp", *sorted(path.stem for path in files))
