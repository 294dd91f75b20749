"""Pictures of a fit: predicted against true with what is left over, and the function itself where
it has one or two inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure

from kanpde.fitting.task import HELD, TEST, TRAINING
from kanpde.plots.maps import draw_map
from kanpde.plots.palette import BLUE, GREEN, GREY, ORANGE, RED

if TYPE_CHECKING:
    from kanpde.fitting.learned import Fit

MOST_DRAWN = 4000
"""Points of a kind that are drawn."""

PALETTE = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9", "#F0E442", "black")

NAMES = {TRAINING: ("training", GREY), HELD: ("held back", ORANGE), TEST: ("test", BLUE)}


def plot_prediction(fit: Fit) -> Figure:
    """Predicted against true and the residuals, a row a target.

    For classes it is how often which is taken for which.

    Args:
        fit: Whose predictions are drawn.

    Returns:
        A figure of two pairs of axes a target, or of one for classes.
    """
    if fit.task.classes:
        return _plot_confusion(fit)
    targets = fit.task.targets
    figure = Figure(figsize=(9.6, 4.2 * len(targets) + 0.5), layout="constrained")
    figure.suptitle(_title(fit), fontsize=10)
    for column, row in enumerate(figure.subplots(len(targets), 2, squeeze=False)):
        draw_prediction(fit, column, *row)
    return figure


def draw_prediction(fit: Fit, column: int, left: Axes, right: Axes) -> None:
    """One target: predicted against true, and predicted minus true against true.

    Args:
        fit: Whose predictions are drawn.
        column: Which target, counted from 0.
        left: Where predicted is drawn against true.
        right: Where predicted minus true is drawn against true.
    """
    truth, found = fit.task.truth[:, column], fit.predicted[:, column]
    ends = float(truth.min()), float(truth.max())
    left.plot(ends, ends, color="black", lw=0.8, zorder=3)
    right.axhline(0, color="black", lw=0.8, zorder=3)
    for code, (name, colour) in NAMES.items():
        rows = _some(np.flatnonzero(fit.task.part == code))
        if len(rows):
            style: dict[str, Any] = {
                "color": colour,
                "s": 9,
                "alpha": 0.6,
                "linewidths": 0,
                "rasterized": True,
            }
            left.scatter(truth[rows], found[rows], label=name, **style)
            right.scatter(truth[rows], (found - truth)[rows], **style)
    name = fit.task.targets[column]
    left.set_ylabel("predicted")
    right.set_ylabel("predicted − true")
    right.ticklabel_format(axis="y", scilimits=(-2, 3))
    for axes in (left, right):
        axes.set_xlabel(f"{name}, true")
        axes.grid(alpha=0.25)
    left.legend(fontsize=8, frameon=False)
    scores = fit.scores
    right.set_title(
        ", ".join(f"{part}: RMSE {score['rmse']:.2g}" for part, score in scores.items()), fontsize=9
    )


def plot_function(fit: Fit) -> Figure:
    """The function that was learned, of one or two inputs, with the data.

    For two classes it is the probability of the second.

    Args:
        fit: Whose function is drawn.

    Returns:
        A figure of one pair of axes an output.
    """
    outputs = fit.task.outputs
    figure = Figure(figsize=(5.2 * len(outputs) + 0.4, 4.4), layout="constrained")
    figure.suptitle(_title(fit), fontsize=10)
    for column, axes in enumerate(figure.subplots(1, len(outputs), squeeze=False)[0]):
        (draw_curve if len(fit.task.inputs) == 1 else draw_surface)(fit, column, axes)
    return figure


def draw_curve(fit: Fit, column: int, axes: Axes) -> Axes:
    """A function of one input over its range.

    Args:
        fit: Whose function is drawn.
        column: Which output, counted from 0.
        axes: Where it is drawn.

    Returns:
        The axes.
    """
    name, (low, high) = next(iter(fit.task.bounds.items()))
    x = np.linspace(low, high, 1001)
    truth = _shown_truth(fit, column)
    for code, (part, colour) in NAMES.items():
        rows = _some(np.flatnonzero(fit.task.part == code))
        if len(rows):
            axes.scatter(
                fit.task.points[rows, 0],
                truth[rows],
                color=colour,
                s=9,
                alpha=0.6,
                linewidths=0,
                label=part,
                rasterized=True,
            )
    axes.plot(x, _shown(fit, x[:, None], column), color=RED, lw=1.6, label="network")
    axes.set_xlabel(name)
    axes.set_ylabel(_output(fit, column))
    axes.margins(x=0)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False)
    return axes


def draw_surface(fit: Fit, column: int, axes: Axes) -> Axes:
    """A function of two inputs as colours.

    The rows lie on it: for classes in the colours of their classes, for numbers as dots where they
    are.

    Args:
        fit: Whose function is drawn.
        column: Which output, counted from 0.
        axes: Where it is drawn.

    Returns:
        The axes.
    """
    names, spans = list(fit.task.bounds), list(fit.task.bounds.values())
    nodes = [np.linspace(low, high, 161) for low, high in spans]
    points = np.stack([a.ravel() for a in np.meshgrid(*nodes, indexing="ij")], 1)
    values = _shown(fit, points, column).reshape(161, 161)
    classes = bool(fit.task.classes)
    norm = Normalize(0, 1) if classes else Normalize(float(values.min()), float(values.max()))
    draw_map(axes, names, nodes, values, norm, "RdBu_r" if classes else "viridis", False).set_title(
        _output(fit, column), fontsize=9
    )
    rows = _some(np.arange(len(fit.task.points)), 1500)
    at = fit.task.points[rows]
    if classes:
        axes.contour(*nodes, values.T, levels=[0.5], colors="black", linewidths=1.2)
        shown = [PALETTE[int(k) % len(PALETTE)] for k in fit.task.truth[rows, 0]]
        axes.scatter(
            at[:, 0],
            at[:, 1],
            color=shown,
            s=8,
            edgecolors="white",
            linewidths=0.3,
            rasterized=True,
        )
    else:
        axes.scatter(
            at[:, 0], at[:, 1], color="white", s=1, alpha=0.5, linewidths=0, rasterized=True
        )
    return axes


def _plot_confusion(fit: Fit) -> Figure:
    """Shares of each true class that are taken for each, on the test rows where there are any."""
    code = TEST if fit.task.count(TEST) else TRAINING
    rows, count = fit.task.part == code, len(fit.task.classes)
    table = np.zeros((count, count))
    np.add.at(table, (fit.task.truth[rows, 0].astype(int), fit.predicted[rows, 0].astype(int)), 1)
    figure = Figure(
        figsize=(1.0 * min(count, 12) + 3.4, 0.8 * min(count, 12) + 2.6), layout="constrained"
    )
    axes = figure.subplots()
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", norm=Normalize(0, 1), aspect="auto")
    for i in range(count):
        for j in range(count):
            if count <= 12:
                axes.text(
                    j,
                    i,
                    f"{table[i, j]:.0f}",
                    ha="center",
                    va="center",
                    fontsize=10,
                    color=to_rgba("white" if shares[i, j] > 0.5 else "black"),
                )
    axes.set_xticks(range(count), fit.task.classes)
    axes.set_yticks(range(count), fit.task.classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    accuracy = ", ".join(
        f"{part} {100 * score['accuracy']:.4g} %" for part, score in fit.scores.items()
    )
    axes.set_title(f"{_title(fit)}\naccuracy: {accuracy}", fontsize=9)
    return figure


def _shown(fit: Fit, points: np.ndarray, column: int) -> np.ndarray:
    if not fit.task.classes:
        return fit.values(points)[:, column]
    return fit.probabilities(points)[:, column + (len(fit.task.classes) == 2)]


def _shown_truth(fit: Fit, column: int) -> np.ndarray:
    if not fit.task.classes:
        return fit.task.truth[:, column]
    return (fit.task.truth[:, 0] == column + (len(fit.task.classes) == 2)).astype(float)


def _output(fit: Fit, column: int) -> str:
    return (
        f"probability of {fit.task.outputs[column]}"
        if fit.task.classes
        else fit.task.outputs[column]
    )


def _title(fit: Fit) -> str:
    return (
        f"{fit.settings['title']}\n{fit.settings['network']}, {fit.settings['parameters']}"
        " parameters"
    )


def _some(rows: np.ndarray, most: int = MOST_DRAWN) -> np.ndarray:
    """The rows, or evenly spread ones of them where they are too many to draw."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]
