"""Collocation points: low-discrepancy sequences in the unit cube, and points drawn where the
residual is large."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import RecipeError, listed, nearest
from kanpde.geometry import Domain, Hole, holes
from kanpde.geometry.sobol import sobol

SAMPLERS = ("sobol", "latin-hypercube", "halton", "uniform")
"""Ways to spread points."""

CANDIDATES_PER_POINT = 8
"""Points from which each crowded one is chosen."""


def unit_points(
    count: int, dimensions: int, seed: int, sampler: str = "sobol"
) -> Float[Tensor, "count dimensions"]:
    """Points in the unit cube: scrambled Sobol (default), Halton, Latin hypercube or uniform.

    Args:
        count: How many; without dimensions there is one.
        dimensions: Of the cube.
        seed: The same seed gives the same points.
        sampler: One of SAMPLERS.

    Returns:
        Points in float64, 1 left out.

    Raises:
        RecipeError: For an unknown sampler.
    """
    if sampler not in SAMPLERS:
        raise RecipeError(
            f"sampler: got {sampler!r}; expected one of {listed(SAMPLERS)}"
            f"{nearest(sampler, SAMPLERS)}"
        )
    if dimensions == 0:
        return torch.zeros(1, 0, dtype=torch.float64)
    if sampler == "uniform":
        return torch.rand(
            count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
    rng = np.random.default_rng(seed)
    if sampler == "sobol":
        return torch.from_numpy(sobol(count, dimensions, rng))
    # scipy.stats takes as long to import as a quick problem to solve.
    from scipy.stats import qmc

    engine = qmc.Halton if sampler == "halton" else qmc.LatinHypercube
    return torch.from_numpy(engine(dimensions, rng=rng).random(count))


def inside_points(
    domain: Domain, count: int, seed: int, sampler: str = "sobol"
) -> Float[Tensor, "count dimensions"]:
    """Points in a domain: the first of a sequence that lie in it.

    Args:
        domain: Where they lie.
        count: How many.
        seed: The same seed gives the same points.
        sampler: One of SAMPLERS.

    Raises:
        RecipeError: For an unknown sampler.
    """
    drawn = count if domain.fill >= 1 else math.ceil(1.05 * count / domain.fill) + 8
    while True:
        points = domain.interior(unit_points(drawn, len(domain.coordinates), seed, sampler))
        if len(points) >= count:
            return points[:count]
        drawn *= 2


def crowded_points(
    domain: Domain, count: int, seed: int, sampler: str = "sobol", share: float = 0.5
) -> Float[Tensor, "count dimensions"]:
    """Points in a domain of which some crowd about its holes, and the others lie evenly.

    Args:
        domain: Where they lie.
        count: How many.
        seed: The same seed gives the same points.
        sampler: One of SAMPLERS.
        share: How many of the points crowd, between 0 and 1; none where there is no hole.

    Raises:
        RecipeError: For an unknown sampler.
    """
    found = holes(domain)
    crowd = round(share * count) if found else 0
    even = inside_points(domain, count - crowd, seed, sampler)
    if not crowd:
        return even
    pool = inside_points(domain, CANDIDATES_PER_POINT * count, 0x0C0D_0000 + seed, sampler)
    generator = torch.Generator().manual_seed(0x0C0D_0000 + seed)
    density = nearness(found, pool)
    chosen = torch.multinomial(density, crowd, replacement=False, generator=generator)
    return torch.cat([even, pool[chosen]])


def nearness(
    found: Sequence[Hole], points: Float[Tensor, "points dims"]
) -> Float[Tensor, " points"]:
    """Density of points about holes: the mean over them of (a / (a + distance))², a the extent of a
    hole, each over its own mean.

    In the plane every doubling of the distance gets about as many points. Time, where there is any,
    is not looked at.

    Args:
        found: The holes, one or more.
        points: Where the density is wanted.
    """
    density = points.new_zeros(len(points))
    for hole in found:
        from_center = points[:, : len(hole.center)] - points.new_tensor(hole.center)
        away = from_center.norm(dim=1) - hole.radius
        near = (1 + away.clamp_min(0) / (2 * hole.radius)) ** -2
        density += near / near.mean() / len(found)
    return density


def by_residual(
    residual: Callable[[Tensor], Tensor],
    candidates: Float[Tensor, "pool dims"],
    count: int,
    seed: int,
    power: float = 1.0,
    floor: float = 1.0,
) -> Float[Tensor, "count dims"]:
    """Points drawn from the candidates with probability proportional to |r|^power / mean + floor
    (Wu et al. 2023, RAD).

    Args:
        residual: Gives the size of the residual at points, [pool].
        candidates: From which they are drawn, each at most once.
        count: How many.
        seed: The same seed gives the same points.
        power: More of it draws more points to where the residual is large.
        floor: More of it draws more points to everywhere else.
    """
    size = residual(candidates).abs() ** power
    density = size / size.mean().clamp_min(torch.finfo(size.dtype).tiny) + floor
    # Not the stream that drew uniform candidates of this seed.
    generator = torch.Generator().manual_seed(0x5EED_0000 + seed)
    weights = density.double().cpu()
    return candidates[torch.multinomial(weights, count, replacement=False, generator=generator)]
