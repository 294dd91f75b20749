"""Line charts as SVG text: logarithmic or linear axes, series told apart by colour, marker and
dashes, and values to hover over.

They are small, scale with the page, print as vectors, and say their values in <title> elements
where no script runs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

CHART_WIDTH, HEIGHT = 480, 340
LEFT, RIGHT, CHART_TOP, CHART_BOTTOM = 62, 14, 12, 48

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette (2008)."""

DASHES = ("", "6 4", "2 3", "8 3 2 3", "4 2", "10 4", "1 2")

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """A line of a chart, or only its points.

    Attributes:
        name: What the legend calls it; the legend leaves out a series without one.
        points: Across and up, in the units of the axes.
        line: Whether a line joins the points.
        markers: Whether each point has a marker.
        steps: Whether the line goes in steps.
        faint: Whether it is drawn faintly.
        colour: Number of its colour and marker.
        dash: Number of its dashes.
        labels: What hovering over a point says; by default its coordinates.
        spread: Low and high end of each point.
    """

    name: str
    points: Sequence[Point]
    line: bool = True
    markers: bool = False
    steps: bool = False
    faint: bool = False
    colour: int = 0
    dash: int = 0
    labels: Sequence[str] = ()
    spread: Sequence[Point] = ()


@dataclass(frozen=True)
class Chart:
    """A line chart.

    Attributes:
        across: Name of the axis from left to right.
        up: Name of the other axis.
        series: What is drawn.
        log: Which of the two axes are logarithmic.
        marks: Vertical lines, where they are and their names.
        caption: Below the chart, HTML.
        description: Read out in place of the picture; the names of the axes by default.
        size: Width and height, in the units of the SVG.
    """

    across: str
    up: str
    series: Sequence[Series]
    log: tuple[bool, bool] = (False, True)
    marks: Sequence[tuple[float, str]] = ()
    caption: str = ""
    description: str = ""
    size: tuple[int, int] = field(default=(CHART_WIDTH, HEIGHT))

    def html(self) -> str:
        """A <figure> with the chart, its legend, and the numbers that the page's script shows."""
        shown = [
            Series(**{**vars(s), "points": kept, **self._beside(s)})
            for s in self.series
            if (kept := [p for p in s.points if self._drawable(p)])
        ]
        if not shown:
            return ""
        scales = self._scales(shown)
        body = [*self._axes(scales), *self._marks(scales)]
        for s in shown:
            body += self._draw(s, scales)
        width, height = self.size
        about = escape(self.description or f"{self.up} against {self.across}", quote=True)
        picture = (
            f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{about}">{"".join(body)}<g'
            ' class="hover"></g></svg>'
        )
        legend = "".join(f"<li>{_sample(s)}{escape(s.name)}</li>" for s in shown if s.name)
        data = json.dumps(self._data(shown, scales)).replace("</", "<\\/")
        return (
            f'<figure class="chart">{picture}<ul'
            f' class="legend">{legend}</ul><figcaption>{self.caption}</figcaption><script'
            f' type="application/json">{data}</script></figure>'
        )

    def _drawable(self, point: Point) -> bool:
        return all(
            math.isfinite(v) and (v > 0 or not log) for v, log in zip(point, self.log, strict=True)
        )

    def _beside(self, s: Series) -> dict[str, Sequence]:
        """Labels and spreads of the points that are kept."""
        kept = [k for k, p in enumerate(s.points) if self._drawable(p)]
        return {
            name: [values[k] for k in kept]
            for name in ("labels", "spread")
            if (values := getattr(s, name))
        }

    def _scales(self, shown: Sequence[Series]) -> tuple[Scale, Scale]:
        width, height = self.size
        ends = [[p[k] for s in shown for p in s.points] for k in (0, 1)]
        ends[1] += [
            v
            for s in shown
            for pair in s.spread
            for v in pair
            if math.isfinite(v) and (v > 0 or not self.log[1])
        ]
        return (
            Scale.of(ends[0], self.log[0], LEFT, width - RIGHT),
            Scale.of(ends[1], self.log[1], height - CHART_BOTTOM, CHART_TOP, room=0.06),
        )

    def _axes(self, scales: tuple[Scale, Scale]) -> list[str]:
        width, height = self.size
        x, y = scales
        found = []
        for value, text in x.ticks(6):
            at = x.at(value)
            found.append(
                f'<line class="grid" x1="{at:.1f}" y1="{CHART_TOP}" x2="{at:.1f}"'
                f' y2="{height - CHART_BOTTOM}"/>'
            )
            found.append(
                f'<text class="tick" x="{at:.1f}" y="{height - CHART_BOTTOM + 17}"'
                f' text-anchor="middle">{text}</text>'
            )
        power = 0 if y.log else power_of(max(abs(y.low), abs(y.high)))
        if power:
            found.append(
                f'<text class="tick" x="{LEFT + 5}" y="{CHART_TOP + 16}">×10<tspan class="power"'
                f' dy="-5">{power}</tspan></text>'
            )
        for value, text in y.ticks(7, power):
            at = y.at(value)
            found.append(
                f'<line class="grid" x1="{LEFT}" y1="{at:.1f}" x2="{width - RIGHT}" y2="{at:.1f}"/>'
            )
            found.append(
                f'<text class="tick" x="{LEFT - 6}" y="{at + 4:.1f}"'
                f' text-anchor="end">{text}</text>'
            )
        found.append(
            f'<rect class="frame" x="{LEFT}" y="{CHART_TOP}" width="{width - LEFT - RIGHT}"'
            f' height="{height - CHART_TOP - CHART_BOTTOM}"/>'
        )
        found.append(
            f'<text class="name" x="{(LEFT + width - RIGHT) / 2:.0f}" y="{height - 8}"'
            f' text-anchor="middle">{escape(self.across)}</text>'
        )
        middle = (CHART_TOP + height - CHART_BOTTOM) / 2
        found.append(
            f'<text class="name" transform="translate(13 {middle:.0f}) rotate(-90)"'
            f' text-anchor="middle">{escape(self.up)}</text>'
        )
        return found

    def _marks(self, scales: tuple[Scale, Scale]) -> list[str]:
        found = []
        for value, name in self.marks:
            at = scales[0].at(value)
            found.append(
                f'<line class="mark" x1="{at:.1f}" y1="{CHART_TOP}" x2="{at:.1f}"'
                f' y2="{self.size[1] - CHART_BOTTOM}"><title>{escape(name)}</title></line>'
            )
        return found

    def _draw(self, s: Series, scales: tuple[Scale, Scale]) -> list[str]:
        x, y = scales
        at = [(x.at(a), y.at(b)) for a, b in s.points]
        colour, opacity = COLOURS[s.colour % len(COLOURS)], ' opacity="0.45"' if s.faint else ""
        found = []
        for (a, _), (low, high) in zip(at, s.spread, strict=False):
            found.append(
                f'<line stroke="{colour}" x1="{a:.1f}" y1="{y.at(low):.1f}" x2="{a:.1f}"'
                f' y2="{y.at(high):.1f}"/>'
            )
        if s.line and len(at) > 1:
            dash = (
                f' stroke-dasharray="{DASHES[s.dash % len(DASHES)]}"'
                if s.dash % len(DASHES)
                else ""
            )
            corners = (
                [f"H{a:.1f}V{b:.1f}" for a, b in at[1:]]
                if s.steps
                else [f"L{a:.1f} {b:.1f}" for a, b in at[1:]]
            )
            found.append(
                f'<path class="line" stroke="{colour}"{dash}{opacity} d="M{at[0][0]:.1f}'
                f' {at[0][1]:.1f}{"".join(corners)}"/>'
            )
        if s.markers or len(at) == 1:
            for k, (a, b) in enumerate(at):
                title = f"<title>{escape(self._label(s, k))}</title>"
                found.append(f"{_marker(s.colour, a, b, colour, opacity)}{title}</path>")
        return found

    def _label(self, s: Series, k: int) -> str:
        if s.labels:
            return s.labels[k]
        a, b = s.points[k]
        return f"{s.name}: {shown(b)} at {self.across} {shown(a)}"

    def _data(self, shown: Sequence[Series], scales: tuple[Scale, Scale]) -> dict:
        """For the script: where each point lies, and what is said of it."""
        series = []
        for s in shown:
            at = [[round(scales[0].at(a), 1), round(scales[1].at(b), 1)] for a, b in s.points]
            series.append(
                {
                    "colour": COLOURS[s.colour % len(COLOURS)],
                    "at": at,
                    "says": [self._label(s, k) for k in range(len(at))],
                    "nearest": bool(s.labels) or s.markers,
                }
            )
        return {"top": CHART_TOP, "bottom": self.size[1] - CHART_BOTTOM, "series": series}


@dataclass(frozen=True)
class Scale:
    """Values from low to high onto places from begin to end.

    Attributes:
        low: The smallest value.
        high: The largest value.
        log: Whether the scale is logarithmic.
        begin: Where the smallest value lies.
        end: Where the largest value lies.
    """

    low: float
    high: float
    log: bool
    begin: float
    end: float

    @classmethod
    def of(
        cls, values: Sequence[float], log: bool, begin: float, end: float, room: float = 0.02
    ) -> Scale:
        """A scale for values, with some room beyond the smallest and the largest one.

        Args:
            values: What is to lie on it.
            log: Whether it is logarithmic.
            begin: Where it begins.
            end: Where it ends.
            room: How much there is at either end, as a share of the values' range.
        """
        low, high = min(values), max(values)
        if log:
            a, b = math.log10(low), math.log10(high)
            a, b = (a - 0.5, b + 0.5) if b - a < 1e-9 else (a - room * (b - a), b + room * (b - a))
            return cls(10**a, 10**b, True, begin, end)
        spare = room * (high - low) or abs(high) or 1.0
        return cls(low - spare, high + spare, False, begin, end)

    def at(self, value: float) -> float:
        """Where a value lies.

        Args:
            value: The value.
        """
        low, high, v = (
            (math.log10(n) for n in (self.low, self.high, max(value, 1e-300)))
            if self.log
            else (self.low, self.high, value)
        )
        return self.begin + (self.end - self.begin) * (v - low) / (high - low)

    def ticks(self, count: int, power: int = 0) -> list[tuple[float, str]]:
        """Values to be written beside an axis.

        Args:
            count: About how many there may be at most.
            power: The power of ten in whose units they are written; a logarithmic scale has none.

        Returns:
            The values, with their texts as SVG.
        """
        if self.log:
            return self._decades(count)
        step = _round_step((self.high - self.low) / count)
        first = math.ceil(self.low / step - 1e-9)
        return [
            (k * step, f"{k * step / 10.0**power:.6g}")
            for k in range(first, math.floor(self.high / step + 1e-9) + 1)
        ]

    def _decades(self, count: int) -> list[tuple[float, str]]:
        first, last = (
            math.ceil(math.log10(self.low) - 1e-9),
            math.floor(math.log10(self.high) + 1e-9),
        )
        if last - first < 2:
            values = [
                m * 10.0**e
                for e in range(first - 1, last + 1)
                for m in (1, 2, 5)
                if self.low <= m * 10.0**e <= self.high
            ]
            return [(v, shown(v)) for v in values]
        every = -(-(last - first + 1) // count)
        return [
            (
                10.0**e,
                (
                    f'10<tspan class="power" dy="-5">{e}</tspan>'
                    if e not in (0, 1, 2, 3)
                    else f"{10**e:,}"
                ),
            )
            for e in range(first, last + 1, every)
        ]


def _round_step(raw: float) -> float:
    size = 10.0 ** math.floor(math.log10(raw))
    return next(m * size for m in (1, 2, 5, 10) if m * size >= raw * 0.999)


def power_of(size: float) -> int:
    """The power of ten that is written once for all numbers of a scale.

    Args:
        size: The largest of them, without its sign.

    Returns:
        The power; 0 where the numbers are short enough.
    """
    return 0 if not size or 1e-2 <= size < 1e4 else math.floor(math.log10(size))


def shown(value: float) -> str:
    """A number in a few digits.

    Args:
        value: The number.
    """
    if not math.isfinite(value):
        return "-"
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.2e}" if value and not 1e-2 <= abs(value) < 1e5 else f"{value:.4g}"


def _marker(kind: int, x: float, y: float, colour: str, opacity: str) -> str:
    shapes = (
        "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
        "M-3.5-3.5h7v7h-7z",
        "M0-4.5L4.3 3.5h-8.6z",
        "M0-5L5 0 0 5-5 0z",
        "M0 4.5L4.3-3.5h-8.6z",
        "M-4 0h8M0-4v8",
        "M-3.5-3.5l7 7m0-7l-7 7",
    )
    return (
        f'<path class="marker" transform="translate({x:.1f} {y:.1f})" fill="{colour}"'
        f' stroke="{colour}"{opacity} d="{shapes[kind % len(shapes)]}">'
    )


def _sample(s: Series) -> str:
    """How a series looks, for the legend."""
    colour = COLOURS[s.colour % len(COLOURS)]
    dash = f' stroke-dasharray="{DASHES[s.dash % len(DASHES)]}"' if s.dash % len(DASHES) else ""
    line = (
        f'<line stroke="{colour}" stroke-width="2"{dash} x1="0" y1="6" x2="26" y2="6"/>'
        if s.line
        else ""
    )
    marker = f"{_marker(s.colour, 13, 6, colour, '')}</path>" if s.markers else ""
    return f'<svg class="sample" viewBox="0 0 26 12" aria-hidden="true">{line}{marker}</svg>'
