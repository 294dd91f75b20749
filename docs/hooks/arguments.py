"""Docstrings say `name: what it is. other: what that is.` In the reference, each argument begins a
line of its own."""

from __future__ import annotations

import re
from typing import Any

ARGUMENT = re.compile(
    r"(?:(?<=<p>)|(?<=[.;] )|(?<=[.;]\n))((?:<code>)?[a-z_]+(?:, [a-z_]+)*(?:</code>)?): "
)
PARAGRAPH = re.compile(r"<p>.*?</p>", re.DOTALL)


def on_page_content(text: str, /, page: Any, **_: Any) -> str:
    """Only where mkdocstrings wrote."""
    if not page.file.src_uri.startswith("api/"):
        return text
    return PARAGRAPH.sub(
        lambda found: ARGUMENT.sub(r"<br><strong>\1</strong>: ", found[0]).replace(
            "<p><br>", "<p>"
        ),
        text,
    )
