"""What the weak form of a problem is made of: equations with their test functions, edges across
which fluxes jump; and which problems have one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from kanpde.errors import ReferenceUnavailable
from kanpde.geometry import Box, Domain, Pieces, Planar, SpaceTime
from kanpde.problem.formulation import Formulation
from kanpde.problem.problem import Problem
from kanpde.reference.elements import (
    POINTS_OF_AN_EDGE,
    REFERENCE_EDGES,
    ElementGrid,
    Tabulated,
)
from kanpde.reference.sampled import Numbering, Sampling
from kanpde.residual.calculus import Values
from kanpde.residual.residual import Residual

ROUNDED_NORMAL = 1e-12
"""Up to which a component of a normal is nothing but rounding."""


@dataclass(frozen=True)
class Equation:
    """One row of a residual, the number of the unknown whose test functions it is for, and that of
    the piece that it holds in."""

    residual: Residual
    row: int
    unknown: int
    piece: int = 0


@dataclass(frozen=True)
class InnerEdges:
    """Both sides of the edges inside.

    Attributes:
        sides: The residual on either side.
        normal: Out of the first.
        weights: Of quadrature, times lengths.
        curved_flux: Whether second partials depend on first derivatives.
    """

    sides: tuple[Sampling, Sampling]
    normal: Float[np.ndarray, "edges points 2"]
    weights: Float[np.ndarray, "edges points"]
    curved_flux: bool


def check_elements(problem: Problem, domain: Domain) -> None:
    """Check that a problem is one that finite elements take.

    Args:
        problem: Any.
        domain: Its own, or that of the same problem in time.

    Raises:
        ReferenceUnavailable: With what it has that they do not take.
    """
    highest = max(sum(index[:2]) for e in problem.equations for _, index in e.needs)
    afar = next((e.name for e in problem.equations if e.afar), None)
    region = domain.region if isinstance(domain, SpaceTime) else domain
    parts = [r.domain for r in region.regions.values()] if isinstance(region, Pieces) else [region]
    planar = all(isinstance(p, Planar | Box) and len(p.space) == 2 for p in parts)
    reasons = {
        f"{region!r:.60} is no domain of the plane": not planar,
        f"Periodic({problem.periodic[0]!r})" if problem.periodic else "": bool(problem.periodic),
        f"a derivative of order {highest}; finite elements take them up to order 2": highest > 2,
        f"{afar}: holds an integral or a value at another place": afar is not None,
        "eigenvalues": problem.pencil is not None,
        "unknown parameters; expected numbers (problem.settled(…))": bool(problem.parameters),
        f"no equation differentiates by {domain.time!r}": bool(
            domain.time and not any(problem.order(u, domain.time) for u in problem.copies)
        ),
    }
    for reason, holds in reasons.items():
        if holds:
            raise ReferenceUnavailable(f"finite elements do not take this problem: {reason}")


def kind_of_flux(residual: Residual, at: Values, layout: Numbering) -> bool | None:
    """Whether partials by second derivatives depend on first ones; None where there are none.

    Args:
        residual: Of some equations.
        at: Places inside.
        layout: Of the system.

    Raises:
        ReferenceUnavailable: Where they depend on second ones.
    """
    orders = np.array([sum(layout.split(index)[0]) for _, index in residual.needs])
    if not (orders == 2).any():
        return None
    count = len(next(iter(at.values())))
    some = {x: v[:: max(1, count // 7)] for x, v in at.items()}
    rng = np.random.default_rng(0)
    leaves = rng.uniform(0.25, 0.75, (len(next(iter(some.values()))), len(orders)))

    def second(changed: int) -> np.ndarray:
        moved = np.where(orders == changed, rng.uniform(0.25, 0.75, leaves.shape), leaves)
        slopes = residual.near(some, torch.from_numpy(moved))[1]
        assert slopes is not None
        return slopes.numpy()[..., orders == 2]

    plain = second(-1)
    if not np.allclose(second(2), plain, rtol=1e-12, atol=0):
        raise ReferenceUnavailable(
            f"{residual.name}: is not linear in its second derivatives; finite elements take fluxes"
        )
    return not np.allclose(second(1), plain, rtol=1e-12, atol=0)


def along_edges(
    grid: ElementGrid, edges: Int[np.ndarray, " edges"], triangles: Int[np.ndarray, " edges"]
) -> tuple[Tabulated, Float[np.ndarray, "edges points 2"], Float[np.ndarray, "edges points"]]:
    """Functions of triangles along edges, normals out of the triangles, and weights.

    Args:
        grid: The elements.
        edges: Numbers of edges.
        triangles: One at each.
    """
    mesh = grid.mesh
    place, weight = np.polynomial.legendre.leggauss(POINTS_OF_AN_EDGE)
    share = (place + 1)[None, :, None] / 2
    which = (mesh.t2f[:, triangles] == edges).argmax(0)
    ends = REFERENCE_EDGES[which]
    table = grid.tabulated(triangles, ends[:, :1] * (1 - share) + ends[:, 1:] * share)
    tangent = np.einsum("ea,eqab->eqb", ends[:, 1] - ends[:, 0], table.bent)
    length = np.linalg.norm(tangent, axis=-1)
    normal = np.stack([tangent[..., 1], -tangent[..., 0]], -1) / length[..., None]
    middle = mesh.p.T[mesh.t.T[triangles]].mean(1)
    out = np.einsum("eqb,eqb->eq", normal, table.at - middle[:, None])
    # Along a coordinate there is no derivative by another one, not even one of rounding.
    normal = np.where(np.abs(normal) > ROUNDED_NORMAL, normal, 0.0)
    return table, normal * np.sign(out)[..., None], length * weight / 2


def timed(problem: Formulation, at: Values, t: float | None = None) -> dict[str, torch.Tensor]:
    """Places with the time, by default the start.

    Args:
        problem: Whose coordinates they have.
        at: Places by coordinates of space.
        t: The time.
    """
    time = problem.domain.time
    if time is None:
        return dict(at)
    now = problem.domain.bounds[time][0] if t is None else t
    return {**at, time: torch.full_like(next(iter(at.values())), now)}
