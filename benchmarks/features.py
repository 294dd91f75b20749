"""What somebody would do who knows NumPy: cosines of random waves, and one least squares for
equations and conditions that are linear (random features: Rahimi and Recht 2007; for equations:
Chen, Chi, E and Yang 2022)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import lstsq

from kanpde.problem.problem import Problem
from kanpde.residual.residual import Residual

WAVES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Largest number of a wave's radians over half of a coordinate, over pi, that is tried."""

POINTS_A_FEATURE = 2.0
HEAVIER = 100.0
"""What conditions weigh beside equations."""


@dataclass(frozen=True)
class Features:
    """Cosines of random waves, as many for every unknown.

    Attributes:
        W: Wave numbers, [features, dims].
        b: Phases.
        c: Coefficients, [unknowns, features].
        seconds: Of the processor, that they took.
    """

    W: NDArray[np.float64]
    b: NDArray[np.float64]
    c: NDArray[np.float64]
    seconds: float = 0.0

    def values(self, points: NDArray[np.float64], index: Sequence[int]) -> NDArray[np.float64]:
        """A derivative of all features, [points, features]."""
        order = sum(index)
        scale = np.prod([self.W[:, i] ** k for i, k in enumerate(index)], axis=0)
        return scale * np.cos(points @ self.W.T + self.b + order * np.pi / 2)


def fitted(problem: Problem, features: int, seed: int) -> Features:
    """The least squares with the waves that leave the smallest residual.

    Args:
        problem: Linear, on a box.
        features: How many a unknown.
        seed: Of waves and points.
    """
    tried = [_fitted(problem, features, most, seed) for most in WAVES]
    return min(tried, key=lambda each: each[1])[0]


def _fitted(problem: Problem, count: int, most: float, seed: int) -> tuple[Features, float]:
    began = time.process_time()
    random, dims = np.random.default_rng(seed), len(problem.coordinates)
    ends = np.array([problem.domain.bounds[x] for x in problem.coordinates])

    def drawn(count: int) -> NDArray[np.float64]:
        return ends[:, 0] + np.diff(ends, axis=1)[:, 0] * random.uniform(size=(count, dims))

    half = np.diff(ends, axis=1)[:, 0] / 2
    W = random.uniform(-np.pi * most, np.pi * most, (count, dims)) / half
    b = random.uniform(0, 2 * np.pi, count)
    bare = Features(W, b, np.zeros((len(problem.unknowns), count)))
    inside = drawn(int(POINTS_A_FEATURE * count))
    rows = [_rows(one, bare, problem, inside) for one in problem.equations]
    for c in problem.constraints:
        place = problem.coordinates.index(c.face[:-1])
        points = drawn(count // 2)
        points[:, place] = ends[place, 0 if c.face.endswith("-") else 1]
        rows.append(_rows(c.residual, bare, problem, points, HEAVIER))
    for x in problem.periodic:
        place = problem.coordinates.index(x)
        points = drawn(count // 2)
        lower, upper = points.copy(), points.copy()
        lower[:, place], upper[:, place] = ends[place]
        for u in range(len(problem.unknowns)):
            for k in range(max(1, problem.order(problem.unknowns[u], x))):
                index = tuple(k if i == place else 0 for i in range(dims))
                own = np.zeros((len(points), len(problem.unknowns), count))
                own[:, u] = bare.values(upper, index) - bare.values(lower, index)
                flat = HEAVIER * own.reshape(len(points), -1)
                rows.append((flat, np.zeros(len(points))))
    A, r = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    c, *_ = lstsq(A, -r, lapack_driver="gelsy", cond=1e-15)
    left = float(np.linalg.norm(A @ c + r))
    seconds = time.process_time() - began
    return Features(W, b, c.reshape(len(problem.unknowns), count), seconds), left


def _rows(
    one: Residual,
    features: Features,
    problem: Problem,
    points: NDArray[np.float64],
    weight: float = 1.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows of a residual by the coefficients, over their own size, and what they are at zero."""
    at = {x: torch.from_numpy(points[:, i].copy()) for i, x in enumerate(problem.coordinates)}
    normal: Mapping[str, torch.Tensor] | None = None
    zero = torch.zeros(len(points), len(one.needs), dtype=torch.float64)
    r, g = one(at, zero, normal, True)
    assert g is not None
    count, unknowns = len(features.b), problem.unknowns
    A = np.zeros((len(points), r.shape[1], len(unknowns), count))
    for a, (u, index) in enumerate(one.needs):
        own = g[:, :, a].numpy()[..., None] * features.values(points, index)[:, None]
        A[:, :, unknowns.index(u)] += own
    flat = A.reshape(len(points) * r.shape[1], -1)
    size = weight / max(float(np.sqrt((flat**2).mean())), 1e-300)
    return size * flat, size * r.numpy().ravel()
