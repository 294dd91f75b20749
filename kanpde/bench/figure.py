"""The picture of the kernel benchmark: milliseconds against points, a panel for each network, a line for each way, and the roofline below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

STYLE = {
    ("kanpde", "cpu"): ("#0072B2", "o", "-"),
    ("kanpde", "triton"): ("#0072B2", "o", "-"),
    ("kanpde", "reference"): ("#56B4E9", "s", "-"),
    ("mlp", ""): ("#7F7F7F", "D", ":"),
    ("materialised", ""): ("#E69F00", "^", "--"),
    ("materialised_compiled", ""): ("#F0E442", "v", "--"),
    ("pykan", ""): ("#D55E00", "P", "--"),
    ("jaxkan", ""): ("#CC79A7", "X", "--"),
}
"""Okabe and Ito's colours (2008), and a marker each, so that no line is told by its colour alone."""

LABEL = {
    "mlp": "MLP of as many parameters, kanpde's jets",
    "materialised": "materialised basis, nested autograd",
    "materialised_compiled": "the same, torch.compile",
    "pykan": "pykan",
    "jaxkan": "jaxKAN",
}


def plot_kernels(rows: Sequence[Mapping[str, Any]], cases: Sequence[str], dtype: str = "float64") -> Figure:
    """Rows of one quantity on one device; those without a time are left out."""
    shown = [row for row in rows if row["milliseconds"] is not None and row["dtype"] == dtype]
    figure = Figure(figsize=(4.0 * len(cases) + 0.4, 4.6), layout="constrained")
    device = {"cpu": "CPU", "cuda": "GPU"}[shown[0]["device"]] if shown else ""
    figure.suptitle(f"One closure: u, ∇u, Δu, loss and gradient by the coefficients; {device}, {dtype}", fontsize=10)
    panels = figure.subplots(1, len(cases), sharey=True, squeeze=False)[0]
    handles: dict[str, Any] = {}
    for axes, case in zip(panels, cases, strict=True):
        for (peer, path), (colour, marker, dashes) in STYLE.items():
            line = sorted((row["points"], row["milliseconds"]) for row in shown if row["case"] == case and row["peer"] == peer and (not path or row["path"] == path))
            if not line:
                continue
            label = f"kanpde, {path} kernels" if peer == "kanpde" else LABEL[peer]
            edge = "black" if peer == "materialised_compiled" else colour  # yellow alone is pale on white
            (handles[label],) = axes.plot(*zip(*line, strict=True), dashes, color=colour, marker=marker, mec=edge, ms=5, lw=2 if path else 1.4)
        least = {row["points"]: row["milliseconds"] * row["roofline_share"] for row in shown if row["case"] == case and row["roofline_share"]}
        if least:
            (handles["least time by the roofline"],) = axes.plot(*zip(*sorted(least.items()), strict=True), "-.", color="black", lw=1)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(f"KAN {case}, grid 5, degree 3", fontsize=9)
        axes.set_xlabel("points")
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("milliseconds")
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure
