"""The terms of a step's cost, fitted to measured times, and what they add up to elsewhere.

With n points a process, P parameters and K processes, every part costs a sum of terms that are
linear in what is sought. A message of b bytes takes 2 (K - 1) latencies and 2 (K - 1) / K · b
bytes' time: the ring of Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce algorithms for
clusters of workstations" (J. Parallel Distrib. Comput. 69), which gloo and NCCL follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import nnls

Costs = Mapping[str, Any]
Terms = dict[str, dict[str, float]]

GRID, DEGREE = 23, 7
"""Of the measured networks 2-w-1, those of poisson2d's last stage: 90 w parameters, 24 w entries in
a row of the Jacobian."""

PER: dict[str, Callable[[float, float], float]] = {
    "call": lambda n, P: 1.0,
    "point": lambda n, P: n,
    "point·parameter": lambda n, P: n * P,
    "point·parameter²": lambda n, P: n * P**2,
    "parameter²": lambda n, P: P**2,
    "parameter³": lambda n, P: P**3,
}
"""What a term is counted by."""

PARTS: dict[str, tuple[str, ...]] = {
    "jacobian": ("call", "point", "point·parameter"),
    "normal": ("call", "point·parameter", "point·parameter²"),
    "trial": ("call", "point", "point·parameter"),
    "factor": ("call", "parameter²", "parameter³"),
    "slope": ("call", "point", "point·parameter"),
}
"""The terms of each part. Of a step: rows of the Jacobian; JᵀJ and Jᵀr; two residuals and products
with J and Jᵀ; Cholesky and two solves. slope: what a gradient costs without its message."""


def fitted(rows: Sequence[Costs], processes: int) -> Terms:
    """Seconds by part and term: least squares of relative errors, no term negative. Rows of other
    numbers of processes do not count."""
    here = [row for row in rows if row["processes"] == processes and row["reason"] is None]
    found: Terms = {}
    for part, terms in PARTS.items():
        own = [(row["points"] / processes, row["parameters"], row[part]) for row in here]
        found[part] = _fit(
            terms,
            [[PER[term](n, P) for term in terms] for n, P, _ in own],
            [took for *_, took in own],
        )
    if processes > 1:
        sent = [
            (row[size], row[name])
            for row in here
            for size, name in (("bytes", "message"), ("short bytes", "short message"))
        ]
        found["message"] = _fit(
            ("latency", "byte"),
            [list(_ring(processes, size)) for size, _ in sent],
            [took for _, took in sent],
        )
    return found


def _fit(
    names: Sequence[str], counts: Sequence[Sequence[float]], took: Sequence[float]
) -> dict[str, float]:
    if not took:
        return dict.fromkeys(names, 0.0)
    A = np.array(counts) / np.array(took)[:, None]
    size = np.linalg.norm(A, axis=0)
    solution, _ = nnls(A / size, np.ones(len(A)))
    return {name: float(x) for name, x in zip(names, solution / size, strict=True)}


def _ring(processes: int, size: float) -> tuple[float, float]:
    """Latencies and bytes of a message, one after the other."""
    return 2.0 * (processes - 1), 2.0 * (processes - 1) / processes * size


def step(terms: Terms, points: float, parameters: float, processes: int) -> dict[str, float]:
    """Seconds of a Levenberg-Marquardt step with one trial, by part; three messages: JᵀJ and Jᵀr,
    the correction, the new loss."""
    n = points / processes
    found = {
        part: sum(x * PER[term](n, parameters) for term, x in terms[part].items())
        for part in ("jacobian", "normal", "trial", "factor")
    }
    sizes = (4 * parameters * (parameters + 3) + 8, 8 * parameters, 8)
    return found | {"messages": sum(message(terms, size, processes) for size in sizes)}


def gradient(terms: Terms, points: float, parameters: float, processes: int) -> dict[str, float]:
    """Seconds of a loss and its gradient, by part; they are one message."""
    slope = sum(x * PER[term](points / processes, parameters) for term, x in terms["slope"].items())
    return {"slope": slope, "messages": message(terms, 8 * (parameters + 1), processes)}


def message(terms: Terms, size: float, processes: int) -> float:
    """Seconds of an all_reduce."""
    if processes == 1:
        return 0.0
    latencies, moved = _ring(processes, size)
    return terms["message"]["latency"] * latencies + terms["message"]["byte"] * moved


def worst(rows: Sequence[Costs], terms: Terms, processes: int) -> float | None:
    """The largest ratio, either way, of what the terms add up to and what a whole step took; None
    without steps."""
    ratios = [
        sum(step(terms, row["points"], row["parameters"], processes).values()) / row["step"]
        for row in rows
        if row["processes"] == processes and row["reason"] is None
    ]
    return max((max(ratio, 1 / ratio) for ratio in ratios), default=None)
