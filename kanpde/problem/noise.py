"""What misfits to data are divided by: their noise, or the spread of the values."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kanpde.problem.data import Measurement


def noise_units(sets: Sequence[Measurement]) -> list[Tensor]:
    """What the misfits of sets of measurements are divided by.

    That is their noise times a number that is the same for all, by which the values' mean square is
    1; or, where the noise is not known, the spread of an unknown's values in a set.

    Args:
        sets: The sets of measurements.

    Returns:
        One array [rows, unknowns] for each set.
    """
    if any(m.noise is None for m in sets):
        return _spreads(sets)
    return [noise_ratio(sets) * m.noise for m in sets if m.noise is not None]


def noise_ratio(sets: Sequence[Measurement]) -> float:
    """Root mean square of the spread of the values over their noise; 1 where the noise is not
    known.

    Args:
        sets: The sets of measurements.
    """
    if any(m.noise is None for m in sets):
        return 1.0
    return float(
        torch.cat(
            [
                (s / m.noise).square().flatten()
                for s, m in zip(_spreads(sets), sets, strict=True)
                if m.noise is not None
            ]
        )
        .mean()
        .sqrt()
    )


def _spreads(sets: Sequence[Measurement]) -> list[Tensor]:
    """Standard deviation of the values of every unknown in a set, [rows, unknowns]; their size
    where they are all the same."""
    spreads = [
        (m.values - m.values.mean(0)).square().mean(0).sqrt().expand_as(m.values) for m in sets
    ]
    return [
        torch.where(s > 1e-12 * m.values.abs().amax(0), s, m.values.abs().amax(0).clamp_min(1e-300))
        for s, m in zip(spreads, sets, strict=True)
    ]
