"""Tables and pictures from the committed results, so that no number is copied by hand.

`<!-- results: benchmarks/solve.md #accuracy -->` is replaced by the table that this file under
results/ keeps between `<!-- table:accuracy -->` marks; `## Heading` in place of `#accuracy` by all
that stands under the heading, and nothing by the whole file without its title. Pictures are those
of the results folder: `results/…` in a page, or a path beside the file in what is inserted.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

RESULTS = Path(__file__).parents[2] / "results"
MARK = re.compile(r"<!-- results: (\S+\.(?:md|json))\s*(.*?) -->")
PICTURE = re.compile(r"!\[([^\]]*)\]\((?!https?:)([^)]+\.png)\)")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)[^)]+\)")


def on_files(files: Any, /, config: Any, **_: Any) -> Any:
    """All committed pictures are files of the site, results/…"""
    for path in sorted(RESULTS.glob("*/**/*.png")):
        if path.relative_to(RESULTS).parts[0] in ("benchmarks", "scaling", "experiments"):
            files.append(
                File.generated(
                    config,
                    f"results/{path.relative_to(RESULTS).as_posix()}",
                    abs_src_path=str(path),
                )
            )
    return files


def on_page_markdown(markdown: str, /, page: Any, **_: Any) -> str:
    """Insert what the marks ask for. Raises PluginError where a result is not there."""
    up = posixpath.relpath(".", posixpath.dirname(page.file.src_uri) or ".")
    return MARK.sub(lambda found: _inserted(found[1], found[2], up), markdown)


def _inserted(name: str, part: str, up: str) -> str:
    path = RESULTS / name
    if not path.is_file():
        raise PluginError(f"results/{name}: a page asks for it, and it is not there")
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return _rows(json.loads(text), part, name)
    folder = posixpath.join(up, "results", posixpath.dirname(name))
    text = PICTURE.sub(
        lambda found: f"![{found[1]}]({posixpath.join(folder, found[2])})", _part(text, part, name)
    )
    return LINK.sub(r"\1", text)


def _part(text: str, part: str, name: str) -> str:
    if part.startswith("##"):
        level = len(part) - len(part.lstrip("#"))
        found = re.search(
            rf"^{re.escape(part)}\s*$\n(.*?)(?=^#{{1,{level}}} |\Z)", text, re.DOTALL | re.MULTILINE
        )
    elif part:
        found = re.search(
            rf"<!-- table:{re.escape(part.removeprefix('#'))} -->\n(.*?)<!-- /table",
            text,
            re.DOTALL,
        )
    else:
        found = re.search(r"\A# [^\n]*\n(.*)\Z", text, re.DOTALL)
    if found is None:
        raise PluginError(f"results/{name}: holds no part {part!r}")
    return re.sub(r"<!-- /?table.*? -->\n?", "\n", found[1]).strip()


def _rows(data: Any, part: str, name: str) -> str:
    """A table of a JSON object: `key | column=path.to.value, …`, a row for each entry of the object
    or list at key."""
    key, _, columns = part.partition("|")
    for step in filter(None, key.strip().split(".")):
        data = data[step]
    asked = [tuple(column.strip().split("=")) for column in columns.split(",")]
    rows = list(data.items()) if isinstance(data, dict) else list(enumerate(data))
    lines = ["| " + " | ".join(title for title, _ in asked) + " |", "| --- " * len(asked) + "|"]
    for label, row in rows:
        cells = [_shown(label if where == "@" else _at(row, where, name)) for _, where in asked]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _at(row: Any, where: str, name: str) -> Any:
    for step in filter(None, where.split(".")):
        try:
            row = row[int(step)] if isinstance(row, list) else row[step]
        except (KeyError, IndexError, ValueError) as error:
            raise PluginError(f"results/{name}: no {where} in {row!r:.80}") from error
    return row


def _shown(value: Any) -> str:
    return (
        f"{value:.2g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value).replace("|", "\\|")
    )
