"""Whether the partials of a residual vary in time, so that no march takes them for constant."""

from __future__ import annotations

import numpy as np
import torch

from kanpde.residual.calculus import Values
from kanpde.residual.residual import Residual

PROBED_INSTANTS, NODES_LOOKED_AT = 2001, 5
"""At which partials are looked at where a residual asks for the time."""


def vary(
    residual: Residual,
    at: Values,
    time: str | None,
    span: tuple[float, float],
    normal: Values | None = None,
) -> bool:
    """Whether partials vary in time.

    Where a residual does not ask for the time, they do not; else they are looked at at many
    instants.

    Args:
        residual: An equation's or a condition's.
        at: Coordinates of nodes by name, without the time.
        time: Its name; None where there is none.
        span: Of it.
        normal: Outward normals at the nodes, for conditions.
    """
    if time is None or not len(next(iter(at.values()), ())):
        return False
    count = len(next(iter(at.values())))
    some = torch.from_numpy(np.unique(np.linspace(0, count - 1, NODES_LOOKED_AT).astype(int)))
    instants = torch.linspace(*span, PROBED_INSTANTS, dtype=torch.float64)

    def spread(values: Values) -> dict[str, torch.Tensor]:
        return {x: v[some].repeat_interleave(PROBED_INSTANTS) for x, v in values.items()}

    places = {**spread(at), time: instants.repeat(len(some))}
    across = None if normal is None else spread(normal)
    if not residual.asks_for(time, places, across):
        return False
    rng = np.random.default_rng(0)
    leaves = rng.uniform(0.25, 0.75, (len(some), 1, len(residual.needs)))
    leaves = np.broadcast_to(leaves, (len(some), PROBED_INSTANTS, leaves.shape[2]))
    given = torch.from_numpy(leaves.reshape(len(some) * PROBED_INSTANTS, -1).copy())
    _, slopes = residual.near(places, given, across)
    assert slopes is not None
    each = slopes.reshape(len(some), PROBED_INSTANTS, *slopes.shape[1:])
    return bool((each != each[:, :1]).any())
