"""The pictures of the benchmarks: the kernels' milliseconds against points, and the errors of the
gallery's problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from benchmarks.published import Claim

STYLE = {
    ("kanpde", "cpu"): ("#0072B2", "o", "-"),
    ("kanpde", "triton"): ("#0072B2", "o", "-"),
    ("kanpde", "plain"): ("#56B4E9", "s", "-"),
    ("mlp", ""): ("#7F7F7F", "D", ":"),
    ("materialised", ""): ("#E69F00", "^", "--"),
    ("materialised_compiled", ""): ("#F0E442", "v", "--"),
    ("pykan", ""): ("#D55E00", "P", "--"),
    ("jaxkan", ""): ("#CC79A7", "X", "--"),
}
"""Okabe and Ito's colours (2008), and a marker each, so that no line is told by its colour
alone."""

LABEL = {
    "mlp": "MLP of as many parameters, kanpde's jets",
    "materialised": "materialised basis, nested autograd",
    "materialised_compiled": "the same, torch.compile",
    "pykan": "pykan",
    "jaxkan": "jaxKAN",
}


def plot_kernels(
    rows: Sequence[Mapping[str, Any]], cases: Sequence[str], dtype: str = "float64"
) -> Figure:
    """Rows of one quantity on one device; those without a time are left out."""
    shown = [row for row in rows if row["milliseconds"] is not None and row["dtype"] == dtype]
    figure = Figure(figsize=(4.0 * len(cases) + 0.4, 4.6), layout="constrained")
    device = {"cpu": "CPU", "cuda": "GPU"}[shown[0]["device"]] if shown else ""
    figure.suptitle(
        f"One closure: u, ∇u, Δu, loss and gradient by the coefficients; {device}, {dtype}",
        fontsize=10,
    )
    panels = figure.subplots(1, len(cases), sharey=True, squeeze=False)[0]
    handles: dict[str, Any] = {}
    for axes, case in zip(panels, cases, strict=True):
        for (peer, path), (colour, marker, dashes) in STYLE.items():
            line = sorted(
                (row["points"], row["milliseconds"])
                for row in shown
                if row["case"] == case and row["peer"] == peer and (not path or row["path"] == path)
            )
            if not line:
                continue
            label = f"kanpde, {path} kernels" if peer == "kanpde" else LABEL[peer]
            edge = (
                "black" if peer == "materialised_compiled" else colour
            )  # yellow alone is pale on white
            (handles[label],) = axes.plot(
                *zip(*line, strict=True),
                dashes,
                color=colour,
                marker=marker,
                mec=edge,
                ms=5,
                lw=2 if path else 1.4,
            )
        least = {
            row["points"]: row["milliseconds"] * row["roofline_share"]
            for row in shown
            if row["case"] == case and row["roofline_share"]
        }
        if least:
            (handles["least time by the roofline"],) = axes.plot(
                *zip(*sorted(least.items()), strict=True), "-.", color="black", lw=1
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(f"KAN {case}, grid 5, degree 3", fontsize=9)
        axes.set_xlabel("points")
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("milliseconds")
    if handles:
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=4,
            fontsize=8,
            frameon=False,
        )
    return figure


FLOOR = 1e-16
"""Errors below are drawn there."""

ORDER = (
    "kanpde, every seed",
    "must",
    "aim",
    "best published MLP",
    "best published KAN",
    "less than the reference's own error",
)


def plot_accuracy(rows: Sequence[Mapping[str, Any]], claims: Mapping[str, Claim]) -> Figure:
    """A line a problem: every seed's error, and what it is measured by.

    That is what must be reached, and the best published of an MLP and of a KAN. A grey bar covers
    what the reference cannot tell.

    Args:
        rows: As `benchmarks accuracy` keeps them; those without an error are left out.
        claims: What is asked and published, by problem.

    Returns:
        The picture.
    """
    shown = [row for row in rows if row["relative_l2"]]
    figure = Figure(figsize=(8.2, 1.7 + 0.42 * len(shown)), layout="constrained")
    axes = figure.subplots()
    handles: dict[str, Any] = {}
    for place, row in enumerate(shown):
        if row["truth_error"]:
            handles["less than the reference's own error"] = axes.barh(
                place, row["truth_error"] - FLOOR, 0.8, FLOOR, color="#DDDDDD", zorder=0
            )
        handles |= _marks(axes, place, claims.get(row["problem"]))
        handles["kanpde, every seed"] = _seeds(axes, place, row["relative_l2"])
    names = []
    for row in shown:
        where = "" if row["device"] == "cpu" else ", GPU"
        spent = f"{row['parameters']:,} parameters, {max(row['seconds']):.0f} s"
        names.append(f"{row['problem']}{where}\n{spent}")
    axes.set_yticks(range(len(shown)), names, fontsize=7.5)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xscale("log")
    largest = max(0.5, *(error for row in shown for error in row["relative_l2"]))
    axes.set_xlim(FLOOR / 2, 2 * largest)
    axes.set_xlabel("relative L2 error")
    axes.grid(axis="x", alpha=0.25)
    axes.grid(axis="y", alpha=0.12)
    order = [label for label in ORDER if label in handles]
    figure.legend(
        [handles[label] for label in order],
        order,
        loc="outside upper center",
        ncols=3,
        fontsize=8,
        frameon=False,
        markerscale=0.9,
    )
    return figure


def _marks(axes: Axes, place: int, claim: Claim | None) -> dict[str, Any]:
    """What is asked of a problem and what is published, on its line; handles by label."""
    if claim is None:
        return {}
    marks = [("must", claim.must, "|", "black", 220), ("aim", claim.aim, "|", "#999999", 120)]
    if claim.mlp:
        marks.append(("best published MLP", claim.mlp[0].error, "s", "#E69F00", 46))
    if claim.kan:
        marks.append(("best published KAN", claim.kan[0].error, "^", "#D55E00", 46))
    handles = {}
    for label, value, marker, colour, size in marks:
        if not value:
            continue
        edges: dict[str, Any] = {}
        if marker != "|":
            edges = {"edgecolors": "black", "linewidths": 0.6}
        handles[label] = axes.scatter(
            max(value, FLOOR), place, size, color=colour, marker=marker, zorder=2, **edges
        )
    return handles


def _seeds(axes: Axes, place: int, errors: Sequence[float]) -> PathCollection:
    """Every seed's error of a problem, on a line from the least to the largest."""
    axes.plot([min(errors), max(errors)], [place, place], color="#0072B2", lw=2, zorder=3)
    floored = [max(error, FLOOR) for error in errors]
    return axes.scatter(floored, [place] * len(errors), 34, color="#0072B2", zorder=4)


SHARDS = {
    ("step", 1): ("#0072B2", "o", "-"),
    ("step", 2): ("#D55E00", "s", "--"),
    ("gradient", 1): ("#009E73", "^", "-"),
    ("gradient", 2): ("#CC79A7", "v", "--"),
}
"""The same for what is measured on so many processes."""


def plot_shards(rows: Sequence[Mapping[str, Any]], parameters: int = 450) -> Figure:
    """Seconds of a step and of a gradient against points, for so many parameters, and against
    parameters, at the points that most rows have."""
    shown = [row for row in rows if row["reason"] is None]
    counts = [row["points"] for row in shown]
    points = max(set(counts), key=counts.count, default=0)
    figure = Figure(figsize=(8.4, 4.0), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    handles: dict[str, Any] = {}
    for axes, across, fixed, value in zip(
        panels,
        ("points", "parameters"),
        ("parameters", "points"),
        (parameters, points),
        strict=True,
    ):
        for (what, processes), (colour, marker, dashes) in SHARDS.items():
            line = sorted(
                (row[across], row[what])
                for row in shown
                if row["processes"] == processes and row[fixed] == value
            )
            if line:
                label = (
                    f"{'Levenberg-Marquardt step' if what == 'step' else what}, {processes}"
                    f" process{'es' if processes > 1 else ''}"
                )
                (handles[label],) = axes.plot(
                    *zip(*line, strict=True), dashes, color=colour, marker=marker, ms=5
                )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(f"{value:,} {fixed}", fontsize=9)
        axes.set_xlabel(across if across == "parameters" else "points of all processes")
        ticks = sorted({row[across] for row in shown if row[fixed] == value})
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("seconds")
    if handles:
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=2,
            fontsize=8,
            frameon=False,
        )
    return figure
