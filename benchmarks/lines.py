"""What somebody would do who knows SciPy: one coordinate of space on Fourier's or Chebyshev's
nodes, time by `solve_ivp`.

The rate of each unknown is read off the equations, which have to be linear in it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.interpolate import BarycentricInterpolator

from kanpde.problem.problem import Problem

METHODS = ("DOP853", "Radau", "LSODA")
"""Of `solve_ivp`, in the order in which they are tried."""

NODES = (32, 64, 128, 256, 512)


class TooLong(Exception):
    """The time that a march may take is over, or it has exploded."""


@dataclass(frozen=True)
class March:
    """What a march came to.

    Attributes:
        nodes: In space.
        method: Of `solve_ivp`.
        x: The nodes.
        t: The times that are kept.
        values: By unknown, [times, nodes].
        seconds: Of the processor, that this method took on all nodes.
    """

    nodes: int
    method: str
    x: NDArray[np.float64]
    t: NDArray[np.float64]
    values: Mapping[str, NDArray[np.float64]]
    seconds: float = 0.0


def fourier(n: int, low: float, high: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Equidistant nodes of a period, and the matrix of the first derivative (Trefethen 2000)."""
    x = low + (high - low) * np.arange(n) / n
    k = 1j * np.r_[0 : n // 2, 0, -n // 2 + 1 : 0] * 2 * np.pi / (high - low)
    D = np.real(np.fft.ifft(k[:, None] * np.fft.fft(np.eye(n), axis=0), axis=0))
    return x, D


def chebyshev(n: int, low: float, high: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chebyshev's extreme points, and the matrix of the first derivative (Trefethen 2000)."""
    s = -np.cos(np.pi * np.arange(n + 1) / n)
    c = np.r_[2, np.ones(n - 1), 2] * (-1) ** np.arange(n + 1)
    apart = s[:, None] - s + np.eye(n + 1)
    D = np.outer(c, 1 / c) / apart
    D -= np.diag(D.sum(1))
    return low + (high - low) * (s + 1) / 2, D * 2 / (high - low)


class Lines:
    """A problem on lines.

    Args:
        problem: One coordinate of space and time; conditions are periodic, or values.
        nodes: In space.
        until: On the clock of the processor.
    """

    def __init__(self, problem: Problem, nodes: int, until: float):
        self.problem, self.until = problem, until
        self.space, self.time = problem.coordinates
        made = fourier if problem.periodic else chebyshev
        self.x, D = made(nodes, *problem.domain.bounds[self.space])
        self.leaves = tuple(dict.fromkeys(leaf for e in problem.equations for leaf in e.needs))
        highest = max(index[0] for _, index in self.leaves)
        self.powers = [np.linalg.matrix_power(D, k) for k in range(highest + 1)]
        self.orders = [problem.order(u, self.time) for u in problem.unknowns]
        faces = [c for c in problem.constraints if c.face[:-1] == self.space and c.prescribed]
        self.faces = faces if not problem.periodic else []

    def start(self) -> NDArray[np.float64]:
        """Values, and rates where they are of the state, at the beginning."""
        begin = self.problem.domain.bounds[self.time][0]
        given = {
            (c.prescribed.unknown, c.prescribed.derivative): c.prescribed.data
            for c in self.problem.constraints
            if c.face == f"{self.time}-" and c.prescribed
        }
        at = self._at(begin)
        parts = [
            given[u, k](at).detach().numpy() * np.ones(len(self.x))
            for u, order in zip(self.problem.unknowns, self.orders, strict=True)
            for k in range(order)
        ]
        return np.concatenate(parts)

    def _at(self, t: float) -> dict[str, torch.Tensor]:
        x = torch.from_numpy(self.x.copy())
        return {self.space: x, self.time: torch.full_like(x, t)}

    def split(self, y: NDArray[np.float64], t: float) -> dict[tuple[str, int], NDArray[np.float64]]:
        """Values and rates by unknown and order, with what faces prescribe."""
        parts, found, place = y.reshape(-1, len(self.x)), {}, 0
        for u, order in zip(self.problem.unknowns, self.orders, strict=True):
            for k in range(order):
                found[u, k] = parts[place].copy()
                place += 1
        at = self._at(t)
        for c in self.faces:
            assert c.prescribed is not None
            end = 0 if c.face.endswith("-") else -1
            found[c.prescribed.unknown, 0][end] = float(c.prescribed.data(at)[end])
        return found

    def rate(self, t: float, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """The rate of the state."""
        if time.process_time() > self.until or not np.isfinite(y).all():
            raise TooLong
        parts, unknowns = self.split(y, t), self.problem.unknowns
        highest = dict(zip(unknowns, self.orders, strict=True))
        D = np.zeros((len(self.x), len(self.leaves)))
        for a, (u, (i, k)) in enumerate(self.leaves):
            if k < highest[u]:
                D[:, a] = self.powers[i] @ parts[u, k]
        at, r, g = self._at(t), [], []
        for one in self.problem.equations:
            columns = [self.leaves.index(leaf) for leaf in one.needs]
            own, partials = one(at, torch.from_numpy(D[:, columns]), None, True)
            assert partials is not None
            wide = np.zeros((len(self.x), own.shape[1], len(unknowns)))
            for a, (u, index) in enumerate(one.needs):
                if index == (0, highest[u]):
                    wide[:, :, unknowns.index(u)] = partials[:, :, a].numpy()
            r.append(own.numpy())
            g.append(wide)
        top = -np.linalg.solve(np.concatenate(g, 1), np.concatenate(r, 1)[..., None])[..., 0]
        rates = []
        for n, u in enumerate(unknowns):
            rates += [parts[u, k] for k in range(1, highest[u])]
            rates.append(top[:, n])
        found = np.stack(rates)
        for c in self.faces:  # held there by `split`
            assert c.prescribed is not None
            whose = [v for v in unknowns for _ in range(highest[v])]
            found[[v == c.prescribed.unknown for v in whose], 0 if c.face.endswith("-") else -1] = 0
        return found.ravel()


def march(
    lines: Lines, nodes: int, method: str, tolerance: float, kept: NDArray[np.float64]
) -> March:
    """A march on some nodes.

    Args:
        lines: The problem.
        nodes: In space.
        method: Of `solve_ivp`.
        tolerance: Of its steps.
        kept: The times at which values are kept.

    Raises:
        TooLong: The time is over, or steps have shrunk to nothing.
    """
    y, (low, high) = lines.start(), lines.problem.domain.bounds[lines.time]
    strict = {"rtol": tolerance, "atol": tolerance * float(np.abs(y).max())}
    with np.errstate(all="ignore"):
        found = solve_ivp(lines.rate, (low, high), y, method, kept, **strict)
    if not found.success:
        raise TooLong
    split = [lines.split(y, t) for y, t in zip(found.y.T, kept, strict=True)]
    values = {u: np.stack([one[u, 0] for one in split]) for u in lines.problem.unknowns}
    return March(nodes, method, lines.x, kept, values)


def on_nodes(
    found: March, problem: Problem, unknown: str, x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values at other places, [times, places]: by the polynomial through all nodes."""
    values, x = found.values[unknown], np.asarray(x)
    low, high = problem.domain.bounds[problem.coordinates[0]]
    if problem.periodic:
        n = len(found.x)
        c = np.fft.fft(values, axis=1) / n
        k = np.fft.fftfreq(n, 1 / n)
        waves = np.exp(2j * np.pi * np.outer(k, (x - low) / (high - low)))
        return np.real(c @ waves)
    return BarycentricInterpolator(found.x, values.T)(x).T


def marched(
    problem: Problem, tolerance: float, kept: NDArray[np.float64], seconds: float
) -> March | None:
    """The first march whose values are those of twice as many nodes, to a tolerance: more nodes,
    and another method where one takes too long; None where none is found.

    Args:
        problem: What is to be solved.
        tolerance: Of the difference over the largest value.
        kept: The times at which values are kept.
        seconds: Of the processor, for each method.
    """
    for method in METHODS:
        began, before = time.process_time(), None
        try:
            for nodes in NODES:
                lines = Lines(problem, nodes, began + seconds)
                found = march(lines, nodes, method, tolerance / 10, kept)
                if before is not None and _apart(before, found, problem) <= tolerance:
                    return replace(found, seconds=time.process_time() - began)
                before = found
        except TooLong:
            continue
    return None


def _apart(first: March, second: March, problem: Problem) -> float:
    worst = 0.0
    for u, values in second.values.items():
        if not np.isfinite(values).all():
            return np.inf
        other = on_nodes(first, problem, u, second.x)
        worst = max(worst, float(np.abs(other - values).max() / np.abs(values).max()))
    return worst
