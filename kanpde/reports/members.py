"""The fields of a family for a report: sliders over its parameters show the member there."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from kanpde.problem.families import said
from kanpde.reports import fields
from kanpde.results.members import shown_members

if TYPE_CHECKING:
    from kanpde.results.result import Result


def pictures(result: Result) -> str:
    """The pictures of a result; of a family those of its members, with sliders over its parameters.

    Args:
        result: The result.

    Returns:
        HTML. Without a script, all members stand one below another.
    """
    members = shown_members(result)
    if not members:
        return fields.pictures(result)
    names = list(members[0][0])
    values = {name: sorted({at[name] for at, _ in members}) for name in names}
    middle = {name: len(each) // 2 for name, each in values.items()}
    sliders = "".join(
        f'<label>{escape(name)} <input type="range" min="0" max="{len(each) - 1}" step="1"'
        f' value="{middle[name]}" aria-label="{escape(name, quote=True)}"></label> '
        for name, each in values.items()
    )
    parts = []
    for at, one in members:
        place = ",".join(str(values[name].index(at[name])) for name in names)
        parts.append(
            f'<div class="member" data-place="{place}"><h3>{escape(said(at))}</h3>'
            f"{fields.pictures(one)}</div>"
        )
    return f'<div class="family"><p class="sliders">{sliders}</p>{"".join(parts)}</div>'
