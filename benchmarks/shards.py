"""`python -m benchmarks shards`: what a Levenberg-Marquardt step and a gradient cost, by points,
parameters and processes.

Times of one and of two processes, one core or one GPU each, are split into terms (shard_terms.py),
and the terms say what a step would take with more points on more such devices. Nothing is said of
devices on which nothing was measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import shard_terms, tables
from benchmarks.figure import plot_shards
from benchmarks.rows import BenchmarkError, Tell, load, markdown, provenance_lines
from benchmarks.shard_terms import DEGREE, GRID
from kanpde.errors import RunError
from kanpde.provenance import provenance
from kanpde.runs.atomic import check_writable

POINTS = (1_000, 10_000, 100_000, 1_000_000)
WIDTHS = (2, 5, 11, 22, 44)
"""Of the networks 2-w-1: 180 to 3,960 parameters."""

FAR = (1e9, 64, 450)
"""Points, devices and parameters of what is worked out on paper."""

NAMES = {"cpu": "CPU", "cuda": "GPU"}
COMMAND = "python -m benchmarks shards"


@dataclass(frozen=True)
class Sizes:
    """What is measured.

    Attributes:
        points: At 450 parameters.
        widths: At 10,000 points.
        repetitions: Of each.
    """

    points: Sequence[int] = POINTS
    widths: Sequence[int] = WIDTHS
    repetitions: int = 5

    @classmethod
    def quick(cls, points: Sequence[int] = (1_000, 10_000)) -> Sizes:
        """Fewer of all."""
        return cls(points, WIDTHS[:3], 2)


def run(
    out: Path,
    tell: Tell,
    sizes: Sizes | None = None,
    device: str = "cpu",
    minutes: float | None = None,
) -> list[dict[str, Any]]:
    """Measure, and write `out/benchmarks/shards.json`, `shards.md` and `shards.png`.

    Rows of another device stay.

    Args:
        out: Where the folder `benchmarks` is or will be.
        tell: Where progress goes, a line at a time.
        sizes: What is measured.
        device: cpu or cuda.
        minutes: What is not begun by then is left out.

    Returns:
        The rows of this run, plain values.

    Raises:
        RunError: There is no such device, or files cannot be written.
        BenchmarkError: A process failed.
    """
    sizes = sizes or Sizes()
    if device == "cuda" and not torch.cuda.is_available():
        raise RunError("--device: got 'cuda'; there is no GPU here, and its terms stay unmeasured")
    folder = Path(out) / "benchmarks"
    check_writable(folder)
    found = _earlier(folder / "shards.json")
    counts = (1, 2) if device == "cpu" or torch.cuda.device_count() > 1 else (1,)
    about = {
        **provenance(device),
        "threads": 1,
        "load": load(),
        "command": _command(sizes, device, minutes),
    }
    asked = {
        "device": device,
        "cases": cases(sizes.points, sizes.widths),
        "seconds": 60 * minutes / len(counts) if minutes else 1e9,
        "repetitions": sizes.repetitions,
    }
    rows: list[dict[str, Any]] = []
    for processes in counts:
        tell(f"measuring {processes} process{'es' if processes > 1 else ''}")
        for row in _measured(processes, asked):
            rows.append(row)
            told = row["reason"] or f"step {row['step']:.3g} s, gradient {row['gradient']:.3g} s"
            tell(f"  {row['points']:,} points, {row['parameters']:,} parameters: {told}")
    found[device] = {
        "provenance": about,
        "rows": rows,
        "terms": {str(k): shard_terms.fitted(rows, k) for k in counts if _of(rows, k)},
    }
    tables.write(folder, "shards", found, page(found))
    plot_shards(rows).savefig(folder / "shards.png", dpi=130)
    return rows


def _command(sizes: Sizes, device: str, minutes: float | None) -> str:
    options = {
        "--points": ",".join(map(str, sizes.points)) * (tuple(sizes.points) != POINTS),
        "--device": device * (device != "cpu"),
        "--minutes": f"{minutes:g}" if minutes else "",
    }
    return " ".join(
        [
            COMMAND,
            *(f"{option} {value}" for option, value in options.items() if value),
            *["--quick"] * (sizes.repetitions == 2),
        ]
    )


def _measured(processes: int, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of so many processes, as they come."""
    several = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        if processes > 1
        else []
    )
    command = [sys.executable, *several, "-m", "benchmarks.shard_costs", json.dumps(asked)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, text=True, env=environment
        ) as started,
    ):
        assert started.stdout is not None
        try:
            for line in started.stdout:
                if line.startswith('{"processes"'):
                    yield json.loads(line)
            code = started.wait()
        finally:
            started.terminate()  # torchrun ends its processes
        if code:
            complaints.seek(0)
            errors = [line.strip() for line in complaints if "Error" in line]
            raise BenchmarkError(
                f"benchmarks shards: {processes} processes cannot be measured"
                f" ({errors[0] if errors else f'exit {code}'})"
            )


def cases(
    points: Sequence[int], widths: Sequence[int], width: int = 5, count: int = 10_000
) -> list[tuple[int, int]]:
    """Points at one width, widths at one count of points; the small ones first."""
    found = {(n, width) for n in points} | {(min(count, max(points)), w) for w in widths}
    return sorted(found, key=lambda case: case[0] * case[1] ** 2)


def page(found: Mapping[str, Any]) -> str:
    """The measurements, the terms, and what they add up to on paper, a chapter a device."""
    lines = [
        "# Cost of a step by points, parameters and processes",
        "",
        (
            f"Networks 2-w-1, degree {DEGREE}, grid {GRID}, on `poisson2d` in float64; one core or"
            " GPU a process."
        ),
    ]
    for device, chapter in found.items():
        lines += [
            "",
            f"## {NAMES[device]}",
            "",
            *provenance_lines(chapter["provenance"]),
            "",
            *costs_table(chapter["rows"]),
            "",
            "### Terms",
            "",
        ]
        lines += [
            "Seconds; least squares of relative errors, no term negative.",
            "",
            *terms_table(chapter["terms"]),
            "",
        ]
        for k, terms in chapter["terms"].items():
            off = shard_terms.worst(chapter["rows"], terms, int(k))
            lines += [
                (
                    f"Whole steps of {k} process{'es' if k != '1' else ''} differ from the sum of"
                    f" their terms by a factor of at most {off:.2f}."
                ),
                "",
            ]
        lines += on_paper(chapter["terms"], device)
    if "cuda" not in found:
        lines += [
            "",
            "## GPU",
            "",
            (
                f"Unmeasured, and not estimated: `{COMMAND} --device cuda` on a machine with two"
                " GPUs or more fills in their terms, those of NCCL's messages included."
            ),
        ]
    return "\n".join(lines) + "\n"


def costs_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of Markdown: a step, a gradient and the parts of a step, in milliseconds, and how much
    faster than one process."""
    parts = ("step", "gradient", "jacobian", "normal", "trial", "factor", "message")
    table = [
        [
            "points",
            "parameters",
            "processes",
            *parts,
            "step, times faster",
            "gradient, times faster",
        ]
    ]
    alone = {(row["points"], row["parameters"]): row for row in _of(rows, 1)}
    for row in sorted(
        rows,
        key=lambda row: (
            row["parameters"] != 450,
            row["points"],
            row["parameters"],
            row["processes"],
        ),
    ):
        head = [f"{row['points']:,}", f"{row['parameters']:,}", str(row["processes"])]
        if row["reason"]:
            table.append([*head, row["reason"], *[""] * (len(parts) + 1)])
            continue
        one = alone.get((row["points"], row["parameters"]))
        faster = [
            f"{one[what] / row[what]:.2f}" if one and row["processes"] > 1 else ""
            for what in ("step", "gradient")
        ]
        table.append(
            [
                *head,
                *(
                    f"{1e3 * row[part]:.3g}" if part != "message" or row["processes"] > 1 else ""
                    for part in parts
                ),
                *faster,
            ]
        )
    return markdown(table, left=())


def terms_table(terms: Mapping[str, shard_terms.Terms]) -> list[str]:
    """Lines of Markdown: one a term, a column for each number of processes."""
    keys = (
        [(part, term) for part, own in terms[max(terms)].items() for term in own] if terms else []
    )
    shown = [
        [
            part,
            f"per {term}",
            *(f"{own[part][term]:.2e}" if part in own else "" for own in terms.values()),
        ]
        for part, term in keys
    ]
    return markdown(
        [["part", "term", *(f"{k} process{'es' if k != '1' else ''}" for k in terms)], *shown],
        left=(0, 1),
    )


def on_paper(terms: Mapping[str, shard_terms.Terms], device: str) -> list[str]:
    """What FAR would take, where messages have been measured."""
    points, devices, parameters = FAR
    where = f"{devices} such {NAMES[device]}{' cores' if device == 'cpu' else 's'}"
    lines = [f"### On paper: {points:.0e} points on {where}".replace("e+09", "e9"), ""]
    if not terms or max(map(int, terms)) == 1:
        return [
            *lines,
            (
                "Messages between devices are unmeasured here, so nothing is said:"
                f" `{COMMAND}{'' if device == 'cpu' else ' --device cuda'}` where there are two."
            ),
        ]
    own = terms[max(terms, key=int)]
    found = shard_terms.step(own, points, parameters, devices)
    held = 8 * parameters * (DEGREE + 1) / (GRID + DEGREE) * points / devices
    each = ", ".join(f"{part} {seconds:.3g}" for part, seconds in found.items())
    return [
        *lines,
        (
            "With n = points / devices, P parameters, K devices and the terms of two processes"
            " above, a step with one trial takes"
        ),
        "",
        (
            "    jacobian(n, P) + normal(n, P) + trial(n, P) + factor(P) + Σ over its messages of b"
            " bytes [2 (K - 1) latency + 2 (K - 1) / K · b · byte],"
        ),
        "",
        (
            f"which for P = {parameters} is {sum(found.values()):.3g} s ({each} s); a gradient"
            f" {sum(shard_terms.gradient(own, points, parameters, devices).values()):.3g} s."
        ),
        (
            f"Each device then holds {points / devices / 1e6:.1f} million points, and"
            f" {held / 1e9:.0f} GB of Jacobian. This is worked out, not measured: it holds for"
            f" {where}"
        ),
        "joined by the interconnect that was measured ("
        + ("gloo within one machine" if device == "cpu" else "NCCL within one machine")
        + "), and for no others; a slower network has other terms.",
    ]


def _of(rows: Sequence[Mapping[str, Any]], processes: int) -> list[Mapping[str, Any]]:
    """The measured rows of so many processes."""
    return [row for row in rows if row["processes"] == processes and row["reason"] is None]


def _earlier(path: Path) -> dict[str, Any]:
    """Chapters of earlier runs by device; raises RunError where the file is something else."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            device: {key: found[device][key] for key in ("provenance", "rows", "terms")}
            for device in NAMES
            if device in found
        }
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path}: is no result of `python -m benchmarks shards`"
            f" ({type(error).__name__}); move it away"
        ) from error
