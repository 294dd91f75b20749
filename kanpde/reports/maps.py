"""Fields as maps: pixels in a colour map inside an SVG with axes and a colour bar, and coarse
values to hover over."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from html import escape

import matplotlib as mpl
import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from kanpde.reports.chart import LEFT, Scale, power_of, shown

Array = NDArray[np.float64]

PIXELS = 220
"""Along the longer side."""

VALUES = 56
"""Along either side, of the values that can be hovered over."""

MAP_WIDTH, MAP_TOP, MAP_BOTTOM, BAR = 480, 24, 48, 74


@dataclass(frozen=True)
class Map:
    """A field in two coordinates, as colours.

    Attributes:
        title: What it shows.
        names: The names of the two coordinates, the first one to the right.
        nodes: The nodes of the two coordinates, [first] and [second].
        values: At the nodes, [first, second]; nan where there is none.
        low: The value at the lower end of the colours.
        high: The value at their upper end.
        signed: Whether the colours are those of values around zero.
        log: Whether the colours are by magnitude.
        equal: Whether lengths are equal on both axes.
    """

    title: str
    names: tuple[str, str]
    nodes: tuple[Array, Array]
    values: Array
    low: float
    high: float
    signed: bool = False
    log: bool = False
    equal: bool = True

    def html(self) -> str:
        """A <figure> with the map and the numbers that the page's script shows."""
        inner = MAP_WIDTH - LEFT - BAR
        spans = [float(np.ptp(n)) for n in self.nodes]
        tall = (
            float(np.clip(inner * spans[1] / spans[0], 0.35 * inner, 1.25 * inner))
            if self.equal
            else 0.72 * inner
        )
        height = MAP_TOP + tall + MAP_BOTTOM
        x = Scale(float(self.nodes[0][0]), float(self.nodes[0][-1]), False, LEFT, LEFT + inner)
        y = Scale(float(self.nodes[1][0]), float(self.nodes[1][-1]), False, MAP_TOP + tall, MAP_TOP)
        body = [
            f'<image x="{LEFT}" y="{MAP_TOP}" width="{inner}" height="{tall:.1f}"'
            f' preserveAspectRatio="none" href="{self._pixels(tall / inner)}"/>'
        ]
        for value, text in x.ticks(5):
            body.append(
                f'<text class="tick" x="{x.at(value):.1f}" y="{MAP_TOP + tall + 17:.1f}"'
                f' text-anchor="middle">{text}</text>'
            )
        for value, text in y.ticks(5):
            body.append(
                f'<text class="tick" x="{LEFT - 6}" y="{y.at(value) + 4:.1f}"'
                f' text-anchor="end">{text}</text>'
            )
        body.append(
            f'<rect class="frame" x="{LEFT}" y="{MAP_TOP}" width="{inner}" height="{tall:.1f}"/>'
        )
        body.append(
            f'<text class="name" x="{LEFT + inner / 2}" y="{height - 8:.1f}"'
            f' text-anchor="middle">{escape(self.names[0])}</text>'
        )
        body.append(
            f'<text class="name" x="14" y="{MAP_TOP + tall / 2:.1f}"'
            f' text-anchor="middle">{escape(self.names[1])}</text>'
        )
        body += self._bar(LEFT + inner + 10, tall)
        about = escape(f"{self.title}, from {shown(self.low)} to {shown(self.high)}", quote=True)
        data = json.dumps(self._data(inner, tall)).replace("</", "<\\/")
        return (
            f'<figure class="map"><h4>{escape(self.title)}</h4><svg viewBox="0 0 {MAP_WIDTH}'
            f' {height:.0f}" role="img" aria-label="{about}">{"".join(body)}<g'
            f' class="hover"></g></svg><script type="application/json">{data}</script></figure>'
        )

    def _colours(self) -> mpl.colors.Colormap:
        return mpl.colormaps["RdBu_r" if self.signed else "cividis" if self.log else "viridis"]

    def _share(self, values: Array) -> Array:
        """Values as places in the colour map."""
        if self.log:
            with np.errstate(all="ignore"):
                return (np.log10(np.maximum(np.abs(values), self.low)) - np.log10(self.low)) / (
                    np.log10(self.high) - np.log10(self.low) or 1.0
                )
        return (values - self.low) / (self.high - self.low or 1.0)

    def _pixels(self, shape: float) -> str:
        """A PNG of the field between its nodes, as a data URI."""
        across, up = (
            (PIXELS, max(int(PIXELS * shape), 40))
            if shape < 1
            else (max(int(PIXELS / shape), 40), PIXELS)
        )
        fine = self._share(resampled(self.values, self.nodes, (across, up)))
        colours = self._colours()(np.ma.masked_invalid(fine.T[::-1]), bytes=True)
        file = io.BytesIO()
        imsave(file, np.ascontiguousarray(colours), format="png")
        return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"

    def _bar(self, left: float, tall: float) -> list[str]:
        colours = self._colours()
        file = io.BytesIO()
        imsave(
            file,
            np.ascontiguousarray(colours(np.linspace(1, 0, 128)[:, None], bytes=True)),
            format="png",
        )
        uri = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
        found = [
            f'<image x="{left}" y="{MAP_TOP}" width="12" height="{tall:.1f}"'
            f' preserveAspectRatio="none" href="{uri}"/>'
        ]
        power = power_of(max(abs(self.low), abs(self.high))) if not self.log else 0
        if power:
            found.append(
                f'<text class="tick" x="{left - 2}" y="{MAP_TOP - 8}">×10<tspan class="power"'
                f' dy="-5">{power}</tspan></text>'
            )
        if self.high > self.low:
            scale = Scale(
                self.low / 10.0**power, self.high / 10.0**power, self.log, MAP_TOP + tall, MAP_TOP
            )
            found += [
                f'<text class="tick" x="{left + 16}" y="{scale.at(value) + 5:.1f}">{text}</text>'
                for value, text in scale.ticks(5)
            ]
        found.append(
            f'<rect class="frame" x="{left}" y="{MAP_TOP}" width="12" height="{tall:.1f}"/>'
        )
        return found

    def _data(self, inner: float, tall: float) -> dict:
        """For the script: the box of the map, and values on an even grid, null where there is
        none."""
        count = tuple(min(VALUES, 4 * len(n)) for n in self.nodes)
        coarse = resampled(self.values, self.nodes, (count[0], count[1]))
        rows = [[float(f"{v:.4g}") if np.isfinite(v) else None for v in row] for row in coarse.T]
        ends = [[float(n[0]), float(n[-1])] for n in self.nodes]
        return {
            "box": [LEFT, MAP_TOP, inner, round(tall, 1)],
            "names": self.names,
            "ends": ends,
            "values": rows,
        }


def resampled(values: Array, nodes: tuple[Array, Array], shape: tuple[int, int]) -> Array:
    """Values on an even grid between the ends of the nodes, linear between nodes.

    Args:
        values: At the nodes, [first, second].
        nodes: The nodes of the two coordinates, [first] and [second].
        shape: How many nodes the even grid has along each.

    Returns:
        Values on the even grid, of that shape; nan where a neighbour is nan.
    """
    for axis in (0, 1):
        at = np.linspace(nodes[axis][0], nodes[axis][-1], shape[axis])
        cell = np.clip(np.searchsorted(nodes[axis], at, side="right") - 1, 0, len(nodes[axis]) - 2)
        left, right = nodes[axis][cell], nodes[axis][cell + 1]
        share = np.expand_dims((at - left) / (right - left), 1 - axis)
        low, high = np.take(values, cell, axis), np.take(values, cell + 1, axis)
        values = np.where(
            share == 0, low, np.where(share == 1, high, (1 - share) * low + share * high)
        )
    return values
