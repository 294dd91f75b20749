"""What a command prints for other programs."""

from __future__ import annotations

import json


def print_json(value: object) -> None:
    """Print one JSON object on standard output.

    Args:
        value: Plain values only; nan and infinity are refused, because JSON has neither.
    """
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))
