"""The gallery's wall1d by Chebyshev's points and SciPy's integrator, from hour to hour."""

import numpy as np
from scipy.integrate import solve_ivp
from scipy.interpolate import make_interp_spline

from kanpde.problems import wall1d as wall

NODES = 24


def wall_temperatures(x, times):
    """[places, times]; the state is the temperature inside, from which conditions give both ends.

    Args:
        x: Places.
        times: In seconds, increasing.
    """
    angle = np.pi * np.arange(NODES + 1) / NODES
    at = np.cos(angle)
    size = np.where(np.isin(np.arange(NODES + 1), (0, NODES)), 2.0, 1.0)
    size *= (-1.0) ** np.arange(NODES + 1)
    D = np.outer(size, 1 / size) / (at[:, None] - at + np.eye(NODES + 1))
    D = (D - np.diag(D.sum(1))) * 2 / wall.WIDTH  # x = WIDTH comes first
    air = make_interp_spline(np.arange(25), wall.DEGREES, 3)
    k, warm, cold = wall.conductivity, wall.inside, wall.outside
    ends = np.array(
        [warm * np.eye(NODES + 1)[0] + k * D[0], cold * np.eye(NODES + 1)[-1] - k * D[-1]]
    )
    closed = ends[:, [0, -1]]

    def whole(t, inner):
        given = np.array([[warm * wall.indoors], [cold * air(t / wall.HOUR)]])
        edge = np.linalg.solve(closed, given - ends[:, 1:-1] @ inner.reshape(NODES - 1, -1))
        return np.concatenate([edge[:1], inner.reshape(NODES - 1, -1), edge[1:]])

    def rate(t, inner):
        return (k / wall.capacity) * (D @ (D @ whole(t, inner)))[1:-1, 0]

    places = (at + 1) * wall.WIDTH / 2
    inner, found = wall.start(places[1:-1]), np.empty((NODES + 1, len(times)))
    for hour in range(24):
        begin, end = hour * wall.HOUR, (hour + 1) * wall.HOUR
        mine = (times >= begin) & ((times < end) | (hour == 23))
        run = solve_ivp(rate, (begin, end), inner, "Radau", dense_output=True, rtol=1e-9, atol=1e-9)
        for j in np.flatnonzero(mine):
            found[:, j] = whole(times[j], run.sol(times[j]))[:, 0]
        inner = run.y[:, -1]
    return np.polynomial.chebyshev.chebvander(2 * x / wall.WIDTH - 1, NODES) @ np.linalg.solve(
        np.polynomial.chebyshev.chebvander(at, NODES), found
    )
