"""Formulas as MathML, which browsers draw by themselves: no script, no font and no network is
needed."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(html_text: str, /, **_: Any) -> str:
    """Replace what pymdownx.arithmatex leaves of $…$ and $$…$$."""
    return FORMULA.sub(lambda found: _drawn(html.unescape(found[3]), found[1] == "div"), html_text)


def _drawn(formula: str, block: bool) -> str:
    made = convert(formula.strip(), display="block" if block else "inline")
    return f'<div class="formula">{made}</div>' if block else made
