"""Where an evolution starts, and whether its rates can be solved for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable
from kanpde.geometry import Pieces, SpaceTime
from kanpde.problem.formulation import Formulation
from kanpde.reference.elements import ElementGrid
from kanpde.reference.grid import Grid
from kanpde.reference.patchwork import Patchwork, numbers


def initial(problem: Formulation, grid: Grid) -> Float[np.ndarray, "2 unknowns nodes"]:
    """Values and velocities at the start, zero where none is needed. Raises ReferenceUnavailable
    where one is not given."""
    domain = problem.domain
    assert isinstance(domain, SpaceTime)
    at = {
        **grid.points(),
        domain.time: torch.full((grid.nodes,), domain.bounds[domain.time][0], dtype=torch.float64),
    }
    found, given, number = np.zeros((2, len(problem.unknowns), grid.nodes)), set(), numbers(problem)
    for c in problem.constraints:
        if c.face == domain.initial_face:
            if c.prescribed is None or c.where is not None:
                raise ReferenceUnavailable(f"{c.label}: the start must be given as Initial(…)")
            name, order = c.prescribed.unknown, c.prescribed.derivative
            here: Any = slice(None)
            if isinstance(domain.region, Pieces):
                assert isinstance(grid, Patchwork | ElementGrid)
                here = grid.own(domain.region.home(name))
            values = c.prescribed.data({x: v[here] for x, v in at.items()})
            found[order, number[name], here] = values.numpy()
            given.add((order, name))
    for u in problem.copies:
        for order in range(problem.order(u, domain.time)):
            if (order, u) not in given:
                raise ReferenceUnavailable(
                    f"no initial {'velocity' if order else 'value'} of {u!r} is given; add"
                    f" Initial({u}{f'_{domain.time}' if order else ''}=…)"
                )
    return found


def check_rates(problem: Formulation) -> None:
    """Raise ReferenceUnavailable where the highest derivatives in time are above order 2, or do not
    enter affinely."""
    domain = problem.domain
    assert isinstance(domain, SpaceTime)
    for u in problem.copies:
        if problem.order(u, domain.time) > 2:
            raise ReferenceUnavailable(
                f"{u!r} is of order {problem.order(u, domain.time)} in time; expected 1 or 2"
            )
    unit = torch.from_numpy(
        np.random.default_rng(0).uniform(
            0.1, 0.9, (math.ceil(64 / domain.fill), len(problem.coordinates))
        )
    )
    points = domain.interior(unit)[:7]  # shapes reject what lies beside them
    at = dict(zip(problem.coordinates, points.unbind(1), strict=True))
    for e in problem.equations:
        rates = [
            a
            for a, (u, index) in enumerate(e.needs)
            if index[-1] and index[-1] == problem.order(u, domain.time)
        ]
        rng = np.random.default_rng(1)
        leaves, slopes = rng.uniform(0.25, 0.75, (len(points), len(e.needs))), []
        for _ in range(2):
            leaves[:, rates] = rng.uniform(-1, 1, (len(points), len(rates)))
            found = e.near(at, torch.from_numpy(leaves))[1]
            assert found is not None
            slopes.append(found[:, :, rates].numpy())
        if not np.allclose(slopes[0], slopes[1], rtol=1e-10, atol=1e-12):
            raise ReferenceUnavailable(
                "the equations are not affine in their highest derivatives in time, so these cannot"
                " be solved for"
            )
