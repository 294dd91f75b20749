"""Kinds of networks besides kan and mlp: one file each, named as the kind is on the command
line."""

from __future__ import annotations

from pathlib import Path


def kinds() -> tuple[str, ...]:
    """kan and mlp, and each file of this folder, in alphabetical order; no torch is needed to list
    them."""
    return ("kan", "mlp", *sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py")))
