"""The page around a report: one HTML file with its style, its script and its pictures in it, that
loads nothing from anywhere."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

import kanpde

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""What the page may load: nothing but itself."""


def page(
    title: str, kicker: str, about: str, sections: Iterable[str], data: Mapping[str, Any]
) -> str:
    """The whole file.

    Args:
        title: The title of the page, in words.
        kicker: A line above the title, in words.
        about: A line below it, in words.
        sections: HTML, one after the other.
        data: Kept in the page as JSON, for programs.
    """
    style, script = (
        (files("kanpde.reports") / f"page.{kind}").read_text(encoding="utf-8")
        for kind in ("css", "js")
    )
    kept = (
        json.dumps(data, ensure_ascii=False, allow_nan=False)
        .replace("</", "<\\/")
        .replace("<!--", "<\\u0021--")
    )
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            '<link rel="icon" href="data:,">',
            f"<style>\n{style}</style>",
            "</head>",
            "<body><main>",
            (
                f'<header><p class="kicker">{escape(kicker)}</p><h1>{escape(title)}</h1>'
                f"<p>{escape(about)}</p></header>"
            ),
            *sections,
            (
                f"<footer>Written by kanpde {escape(kanpde.__version__)}. The page needs no"
                " network; its numbers are in it as JSON, in the element"
                " <code>summary</code>.</footer>"
            ),
            "</main>",
            f'<script type="application/json" id="summary">{kept}</script>',
            f"<script>\n{script}</script>",
            "</body></html>",
            "",
        ]
    )


def section(title: str, *parts: str) -> str:
    """A heading and what is below it.

    Args:
        title: The heading, in words.
        *parts: HTML; empty ones are left out.

    Returns:
        HTML; nothing where nothing is below the heading.
    """
    body = "".join(part for part in parts if part)
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def cards(pairs: Sequence[tuple[str, str]]) -> str:
    """Numbers that one should see first, each over its name.

    Args:
        pairs: Numbers and names, in words.

    Returns:
        HTML.
    """
    each = (f"<li><b>{escape(value)}</b><span>{escape(name)}</span></li>" for value, name in pairs)
    return f'<ul class="cards">{"".join(each)}</ul>'


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Collection[int] = ()
) -> str:
    """A table of words.

    Args:
        header: The names of the columns.
        rows: A word for each column.
        numbers: Which columns, counted from 0, are set to the right.

    Returns:
        HTML; nothing where there are no rows.
    """

    def cells(values: Sequence[str], kind: str) -> str:
        opening = [
            f'<{kind} class="number">' if k in numbers else f"<{kind}>" for k in range(len(values))
        ]
        return "".join(
            f"{tag}{escape(value)}</{kind}>" for tag, value in zip(opening, values, strict=True)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    if not body:
        return ""
    head = f"<thead><tr>{cells(header, 'th')}</tr></thead>"
    return f'<div class="scroll"><table class="data">{head}<tbody>{body}</tbody></table></div>'


def listing(pairs: Mapping[str, Any]) -> str:
    """Names and values, those that are known.

    Args:
        pairs: Values by name; those that are None are left out.

    Returns:
        HTML.
    """
    known = ((escape(str(k)), escape(str(v))) for k, v in pairs.items() if v is not None)
    return f"<dl>{''.join(f'<dt>{k}</dt><dd>{v}</dd>' for k, v in known)}</dl>"


def folded(title: str, body: str) -> str:
    """Something long, shown when asked for.

    Args:
        title: What is always shown, in words.
        body: HTML.

    Returns:
        HTML.
    """
    return f"<details><summary>{escape(title)}</summary>{body}</details>"
