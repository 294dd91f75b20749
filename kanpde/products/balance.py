"""How heavy equations are beside one another in a system over a span of time."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from kanpde.products.axes import Modes
from kanpde.products.rows import WeightedRows


def row_sizes(rows: WeightedRows, C: Float[np.ndarray, "unknowns ..."]) -> tuple[float, ...]:
    """What equations are divided by, so that those without rates are as heavy as rates.

    An equation without rates, such as continuity, holds at every time. Least squares would give it
    up for the sake of the others where a span is short: what it says of an unknown weighs as much
    as that unknown, and the others weigh its rate. So it is made as heavy as the fastest rates
    that a span resolves, for functions that are as smooth as the box.

    Args:
        rows: The equations, none of which is divided by anything.
        C: The coefficients.
    """
    modes = rows.axes[-1]
    g = rows.linear(C)[1][:, :, : len(rows.leaves)]
    rates = np.array([index[-1] > 0 for _, index in rows.leaves])
    used = (g != 0).any(0)
    evolves = used[:, rates].any(1)
    sizes = np.ones(len(used))
    if not isinstance(modes, Modes) or evolves.all() or not evolves.any():
        return tuple(sizes.tolist())
    waves = [np.pi / (axis.ends[1] - axis.ends[0]) for axis in rows.axes[:-1]]
    waves.append(modes.size / modes.half)
    each = [float(np.prod(np.power(waves, index))) for _, index in rows.leaves]
    strength = np.sqrt((g**2).mean(0)) * each
    for e in np.flatnonzero(~evolves):
        shares = []
        for u in rows.unknowns:
            own = np.array([name == u for name, _ in rows.leaves])
            rate = strength[np.ix_(evolves, own & rates)].max(initial=0.0)
            if rate > 0:
                shares.append(float(strength[e, own].max(initial=0.0)) / rate)
        sizes[e] = max(shares, default=0.0) or 1.0
    return tuple(sizes.tolist())
