"""What the benchmark has in common: a measured quantity and its verdict, tables of them, and where
they come from."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kanpde.errors import KanpdeError

Tell = Callable[[str], None]


class BenchmarkError(KanpdeError):
    """Two ways of computing the same thing disagree, or a command that is measured fails."""


@dataclass
class Quantity:
    """One measured quantity.

    Attributes:
        what: In words.
        value: None where it has not been measured; more["reason"] then says why.
        unit: Of all three numbers.
        must: The largest value that is acceptable.
        aim: The largest value that would be good.
        least: Whether must and aim are the smallest values instead.
        more: What else belongs to it.
    """

    what: str
    value: float | None
    unit: str = ""
    must: float | None = None
    aim: float | None = None
    least: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """ "aim" or "must" where met, "missed" where not, "unmeasured" where there is no value, ""
        where nothing is asked."""
        if self.must is None:
            return ""
        if self.value is None:
            return "unmeasured"
        sign = -1 if self.least else 1
        allowed = self.more.get("allowed", True)
        if not allowed or not sign * self.value <= sign * self.must:
            return "missed"
        return "aim" if self.aim is not None and sign * self.value <= sign * self.aim else "must"


def timing_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of Markdown: one a quantity."""
    table = [["what", "measured", "minimum", "must", "aim", "met"]]
    for row in rows:
        least = "≥ " if row["least"] else "≤ "
        low = row["more"].get("minimum")
        bounds = ["" if row[kind] is None else f"{least}{row[kind]:g}" for kind in ("must", "aim")]
        table.append(
            [
                row["what"],
                f"{row['value']:.3g} {row['unit']}",
                "" if low is None else f"{low:.3g} {row['unit']}",
                *bounds,
                row["verdict"],
            ]
        )
    return markdown(table, left=(0,))


def markdown(table: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    """A table, its head first; the columns in `left` are text, the others numbers."""
    rule = ["---" if column in left else "---:" for column in range(len(table[0]))]
    return ["| " + " | ".join(row) + " |" for row in (table[0], rule, *table[1:])]


def provenance_lines(
    about: Mapping[str, Any],
    packages: Sequence[str] = ("kanpde", "python", "torch", "numpy", "scipy"),
) -> list[str]:
    """What was run where, in a sentence."""
    versions = ", ".join(
        f"{package} {about[package]}" for package in packages if about.get(package)
    )
    machine = (
        f"{about['processor']}, {about['cores']} cores, {about['threads']} threads,"
        f" {about['platform']}"
    )
    gpu = f"{about['gpu']}; " if about.get("gpu") else ""
    load = ""
    if about["load"] is not None:
        busy = ", so it was not quiet" if about["load"] > about["cores"] / 2 else ""
        load = f" The machine's load when it began: {about['load']:.1f}{busy}."
    return [
        f"`{about['command']}` on {about['date']}, commit {about['commit'] or 'unknown'};"
        f" {versions}; {gpu}{machine}.{load}"
    ]


def times(work: Callable[[], object], repetitions: int, warm_up: int = 3) -> list[float]:
    """Seconds of each repetition."""
    for _ in range(warm_up):
        work()
    found = []
    for _ in range(repetitions):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found


def timed(
    what: str, seconds: Sequence[float], must: float | None = None, aim: float | None = None
) -> Quantity:
    """The median in milliseconds, and the minimum beside it."""
    return Quantity(
        what,
        1e3 * statistics.median(seconds),
        "ms",
        must,
        aim,
        more={"minimum": 1e3 * min(seconds), "repetitions": len(seconds)},
    )


def load() -> float | None:
    """Running processes over the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
