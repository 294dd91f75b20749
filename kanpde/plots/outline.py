"""The boundary of a planar region as closed lines, for pictures."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.path import Path
from numpy.typing import NDArray

from kanpde.geometry import Domain, SpaceTime
from kanpde.geometry.planar import Planar

POINTS_OF_A_CURVE = 129
"""On every piece of the boundary."""


def outline(domain: Domain) -> list[NDArray[np.float64]]:
    """Closed lines that bound a region.

    Args:
        domain: The region, or the region with its time.

    Returns:
        The lines, [points, 2] each, the first point repeated at the end; none for boxes and for
        regions of three coordinates.
    """
    region = domain.region if isinstance(domain, SpaceTime) else domain
    if not isinstance(region, Planar):
        return []
    fractions = torch.linspace(0, 1, POINTS_OF_A_CURVE, dtype=torch.float64)
    lines = [bound.curve.along(fractions).numpy() for bound in region.bounding]
    loops = []
    while lines:
        loop = lines.pop(0)
        while lines and not _meets(loop[-1], loop[0], region.size):
            k = min(range(len(lines)), key=lambda i: float(np.hypot(*(lines[i][0] - loop[-1]))))
            if not _meets(lines[k][0], loop[-1], region.size):
                break
            loop = np.concatenate([loop, lines.pop(k)[1:]])
        loops.append(loop)
    return loops


def clip(loops: list[NDArray[np.float64]]) -> Path:
    """Closed lines as one path that encloses a region.

    What it encloses is inside, holes are outside, since their lines run the other way round.

    Args:
        loops: The lines, [points, 2] each.
    """
    return Path.make_compound_path(*(Path(loop, closed=True) for loop in loops))


def filled(values: NDArray[np.float64], layers: int = 3) -> NDArray[np.float64]:
    """A field with NaN outside of a region, continued by a few nodes.

    Each of them takes the mean of its neighbours that have a value. Colours between nodes then
    reach the boundary of the region, at which the picture is clipped.

    Args:
        values: Of the field, [first, second].
        layers: By how many nodes it is continued.

    Returns:
        The field, [first, second].
    """
    values = values.copy()
    for _ in range(layers):
        padded = np.pad(values, 1, constant_values=np.nan)
        near = np.stack(
            [
                padded[1 + i : 1 + i + values.shape[0], 1 + j : 1 + j + values.shape[1]]
                for i in (-1, 0, 1)
                for j in (-1, 0, 1)
            ]
        )
        known = ~np.isnan(near)
        mean = np.where(known, near, 0).sum(0) / np.maximum(known.sum(0), 1)
        values = np.where(np.isnan(values) & known.any(0), mean, values)
    return values


def _meets(a: NDArray[np.float64], b: NDArray[np.float64], size: float) -> bool:
    return bool(np.hypot(*(a - b)) < 1e-6 * size)
