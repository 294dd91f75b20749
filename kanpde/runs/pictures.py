"""The pictures in a run folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from kanpde.errors import RunError
from kanpde.results.meshes import MeshDrawing
from kanpde.results.result import Result
from kanpde.runs.atomic import replace_file
from kanpde.runs.storage import writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150

PICTURES = ("solution.png", "history.png", "network.png")
ESTIMATES = "estimates.png"
MEMBERS = "family.png"


def as_png(figure: Figure) -> Callable[[IO[bytes]], object]:
    """What writes a figure as PNG.

    Args:
        figure: The figure.

    Returns:
        A function that writes it to a file.
    """
    from kanpde.plots.png import write_png

    return partial(write_png, figure, dpi=DPI)


def pictures_of(result: Result) -> tuple[str, ...]:
    """Names of the pictures that a run has: one more where parameters were found, and of a family.

    Args:
        result: The result.
    """
    more = [ESTIMATES] if result.estimates else []
    more += [MEMBERS] if result.settings.get("family") else []
    return (*PICTURES, *more)


def draw(result: Result, folder: Path) -> list[Path]:
    """Draw the pictures into a folder, replacing what is there.

    Args:
        result: The result.
        folder: The folder to draw into.

    Returns:
        The pictures' paths.
    """
    from kanpde.plots.estimates import plot_estimates
    from kanpde.plots.history import plot_history
    from kanpde.plots.members import plot_members
    from kanpde.plots.network import plot_network
    from kanpde.plots.solution import plot_solution

    plotters: tuple[Callable[[Result], Figure], ...] = (
        plot_solution,
        plot_history,
        plot_network,
        plot_estimates,
        plot_members,
    )
    by_name = dict(zip((*PICTURES, ESTIMATES, MEMBERS), plotters, strict=True))
    drawn = pictures_of(result)
    for name in drawn:
        replace_file(folder / name, as_png(by_name[name](result)))
    return [folder / name for name in drawn]


def complete(result: Result, folder: Path) -> None:
    """Draw the pictures where a run was ended before they were there.

    Args:
        result: The result.
        folder: The run folder.

    Raises:
        RunError: They cannot be written.
    """
    if all((folder / name).is_file() for name in pictures_of(result)):
        return
    with writing(folder, "pictures"):
        draw(result, folder)


def draw_pruned(before: Result, after: Result, folder: Path) -> Path:
    """Draw pruned.png, the networks of two results side by side, into a folder.

    Args:
        before: The result before its network was pruned.
        after: The one with the smaller network.
        folder: The folder to draw into.

    Returns:
        The picture's path.
    """
    from kanpde.plots.network import plot_pruned

    path = folder / "pruned.png"
    replace_file(path, as_png(plot_pruned(before, after)))
    return path


def draw_edge(result: Result, folder: Path, place: tuple[int, ...]) -> Path:
    """Draw one edge function into a folder, as edge-1-2-5.png; returns its path.

    Args:
        result: Whose network it is of.
        folder: The folder to draw into.
        place: Layer, input and output of the edge, counted from 1.

    Raises:
        RunError: The network has no such edge.
    """
    from kanpde.plots.edge import plot_edge

    layer, source, target = (n - 1 for n in place)
    drawing = result.drawing
    if isinstance(drawing, MeshDrawing):
        raise RunError(
            f"edge {','.join(map(str, place))}: {drawing.title} has no edge functions; expected a"
            " run of a network of layers, such as --network kan"
        )
    shapes = [outputs.shape[:2] for _, outputs in drawing.edges]
    if layer >= len(shapes) or source >= shapes[layer][0] or target >= shapes[layer][1]:
        known = [f"layer {k} has {p} inputs and {q} outputs" for k, (p, q) in enumerate(shapes, 1)]
        raise RunError(
            f"edge {','.join(map(str, place))}: {drawing.title} has none there:"
            f" {'; '.join(known) or 'it has no edge functions'}"
        )
    path = folder / f"edge-{'-'.join(map(str, place))}.png"
    replace_file(path, as_png(plot_edge(drawing, layer, source, target)))
    return path
