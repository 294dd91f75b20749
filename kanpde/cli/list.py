"""The command `list`: which problems there are. It imports neither torch nor rich, and takes a
third of a second."""

from __future__ import annotations

from kanpde.cli.options import Json
from kanpde.cli.output import print_json
from kanpde.problem import gallery


def list_problems(as_json: Json = False) -> None:
    """List the problems that `solve` knows by name: the gallery, and ./problems."""
    rows = [
        (name, gallery.title(path), where)
        for where, known in (("./problems", gallery.local()), ("gallery", gallery.gallery()))
        for name, path in known.items()
    ]
    if as_json:
        found = [{"name": name, "title": title, "where": where} for name, title, where in rows]
        print_json({"problems": found})
        return
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, title, where in rows:
        print(f"{name:{width}}  {title}{'' if where == 'gallery' else f' ({where})'}")
