"""How many conditions an end of a first-order system in time takes: as many as waves come in there.

A U_t + B U_x + … = 0 carries its waves at the eigenvalues of A⁻¹B, whatever the order of any one
unknown is. Source: Kreiss and Lorenz, Initial-Boundary Value Problems and the Navier-Stokes
Equations (1989), section 7.6.
"""

from __future__ import annotations

import numpy as np
import torch

from kanpde.errors import ReferenceUnavailable, listed
from kanpde.geometry import Face
from kanpde.problem.formulation import Formulation
from kanpde.problem.wellposedness import counted
from kanpde.reference.grid import Grid
from kanpde.reference.initial import initial

AT_REST = 1e-9
"""Of the fastest wave's speed, below which a wave is taken to stand."""

INSTANTS = 3
"""At which waves are counted."""


def check_waves(problem: Formulation, grid: Grid) -> None:
    """Raise ReferenceUnavailable where a face has more conditions than waves come in there.

    Only where the speeds do not depend on the solution.
    """
    if not all(e.affine for e in problem.equations):
        return
    for name, face in problem.domain.faces.items():
        here = [c for c in problem.constraints if c.face == name and c.where is None]
        count = sum(c.residual.equations for c in here)
        if face.coordinate in grid.names and count:
            waves = incoming(problem, grid, face)
            if waves is not None and count > waves:
                raise ReferenceUnavailable(
                    f"{counted(count, 'condition')} on {name} ({listed(c.label for c in here)}),"
                    f" where {counted(waves, 'wave')} of the system come in; leave some out there"
                )


def incoming(problem: Formulation, grid: Grid, face: Face) -> int | None:
    """How many waves come in through a face, at the node and the instant where they are the most;
    None where the equations are no first-order system in time of real speeds.

    Args:
        problem: An evolution.
        grid: Of its space.
        face: An end of a coordinate.
    """
    if any(sum(index) > 1 for e in problem.equations for _, index in e.needs):
        return None
    try:
        values = initial(problem, grid)[0][:, grid.face(face)]
    except ReferenceUnavailable:
        return None
    found = []
    for t in np.linspace(*problem.domain.bounds[str(problem.domain.time)], INSTANTS):
        rates, slopes = _matrices(problem, grid, face, values, float(t))
        try:
            speeds = np.linalg.eigvals(np.linalg.solve(rates, slopes)) * face.side
        except np.linalg.LinAlgError:
            return None
        fastest = np.abs(speeds).max(initial=0.0)
        if not np.isfinite(speeds).all() or np.abs(speeds.imag).max() > AT_REST * fastest:
            return None
        found.append(int((speeds.real < -AT_REST * fastest).sum(1).max()))
    return max(found)


def _matrices(
    problem: Formulation, grid: Grid, face: Face, values: np.ndarray, t: float
) -> tuple[np.ndarray, np.ndarray]:
    """A and B on a face, [nodes, equations, unknowns], for the unknowns' values [unknowns, nodes]
    and no slopes."""
    nodes, time = grid.face(face), str(problem.domain.time)
    at = {x: v[torch.from_numpy(nodes)] for x, v in grid.points().items()}
    at[time] = torch.full((len(nodes),), t, dtype=torch.float64)
    V, axis = len(problem.unknowns), problem.coordinates.index(str(face.coordinate))
    rates, slopes = np.zeros((len(nodes), V, V)), np.zeros((len(nodes), V, V))
    row = 0
    for e in problem.equations:
        leaves = np.zeros((len(nodes), len(e.needs)))
        for a, (u, index) in enumerate(e.needs):
            if not any(index):
                leaves[:, a] = values[problem.unknowns.index(u)]
        given = e.near(at, torch.from_numpy(leaves))[1]
        assert given is not None
        partials = given.numpy()
        for a, (u, index) in enumerate(e.needs):
            for found, where in ((rates, -1), (slopes, axis)):
                if index[where]:
                    found[:, row : row + e.equations, problem.unknowns.index(u)] = partials[:, :, a]
        row += e.equations
    return rates, slopes
