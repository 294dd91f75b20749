"""Equations that differentiate what jumps are refused, with the place and the way out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import isnan

import torch

from kanpde.errors import ProblemError, ProblemWarning, listed
from kanpde.geometry import Domain
from kanpde.residual.jumps import Discontinuity, discontinuities
from kanpde.residual.probe import Probe

POINTS_TO_PROBE = 2048
"""Points of the domain by which is seen where an operation switches."""

JUMP_THAT_IS_SAID = 1e-3
"""Jump, relative to the values at it, up to which it is said, and not refused."""

GUIDE = "docs/how-to/jumps.md"
"""Where the ways out are shown."""

ROUNDING_OF_A_PLACE = 1e-12
"""A place nearer to zero is zero."""

MATERIALS = ("left", "middle", "right")
"""What an example calls pieces side by side."""


def refuse(probe: Probe, domain: Domain, constants: Sequence[str] = ()) -> None:
    """Refuse an equation that differentiates what jumps.

    Args:
        probe: The equation.
        domain: Where it holds.
        constants: Names of unknowns that are numbers.

    Raises:
        ProblemError: For a jump; the message says where it is and what to write instead.
    """
    generator = torch.Generator().manual_seed(0)
    unit = torch.rand(
        POINTS_TO_PROBE, len(domain.coordinates), generator=generator, dtype=torch.float64
    )
    points = domain.interior(unit)
    ends = points.new_tensor(list(domain.bounds.values()))
    small = None
    for found in discontinuities(probe, points, ends, domain.inside, constants):
        if isnan(found.place):
            raise ProblemError(
                f"{probe.name}: d(…, {found.axis}) differentiates what changes with {found.moving}"
                " unseen by torch, and would miss its slope; write it with torch functions of"
                f" {found.moving}, without detach and numpy ({GUIDE})"
            )
        if found.relative > JUMP_THAT_IS_SAID:
            raise ProblemError(f"{probe.name}: {_described(found)}; {_way_out(found, domain)}")
        small = small or found
    if small is not None:
        warnings.warn(
            f"{probe.name}: {_described(small)}; the solution may be that much off",
            ProblemWarning,
            stacklevel=2,
        )


def _described(found: Discontinuity) -> str:
    """What jumps, where and how much, and what comes of it."""
    where = f"{found.moving} = {_number(found.place)}"
    if not found.leaf and not found.flat:
        where = ", ".join(f"{x} = {value:.6g}" for x, value in found.point.items())
    by = f" ({found.operation})" if found.operation else ""
    size = f"from {found.before:.3g} to {found.after:.3g}"
    if found.before * found.after > 0:
        size = f"by a factor of {found.after / found.before:.6g}"
    return (
        f"d(…, {found.axis}) differentiates what jumps at {where}{by}, {size}; the derivative would"
        " miss the jump"
    )


def _way_out(found: Discontinuity, domain: Domain) -> str:
    """What to write instead."""
    x, place = found.moving, _number(found.place)
    if found.leaf:
        return f"make it continuous, such as by torch.sigmoid(({x} - {place}) / width) ({GUIDE})"
    if domain.time:
        return (
            f"name the flux, an unknown q with an equation of its own, such as q / k - d(u, {x}) ="
            f" 0, and write d(q, {x}) in the other ({GUIDE})"
        )
    names: Sequence[str] = ("inside", "outside")
    regions = [f"{name}=…" for name in names]
    if found.flat and len(found.places) < len(MATERIALS) and domain.is_box:
        cuts = (domain.bounds[x][0], *found.places, domain.bounds[x][1])
        names = (*MATERIALS[: len(found.places)], MATERIALS[-1])
        sides = [_sides(domain, x, cuts[i : i + 2]) for i in range(len(names))]
        regions = [f"{name}=Box({side})" for name, side in zip(names, sides, strict=True)]
    factors = listed(f'"{name}": …' for name in names)
    return (
        f"write Pieces({listed(regions)}) with Interface(u=0, flux={{{factors}}}) where they meet"
        f" ({GUIDE})"
    )


def _sides(domain: Domain, x: str, span: Sequence[float]) -> str:
    """The sides of a box with another interval of one coordinate, as code writes them."""
    bounds = {**domain.bounds, x: (span[0], span[1])}
    return listed(f"{name}=({_number(a)}, {_number(b)})" for name, (a, b) in bounds.items())


def _number(value: float) -> str:
    """A place as a user would have written it: its digits that the search has settled."""
    return f"{0.0 if abs(value) < ROUNDING_OF_A_PLACE else value:.9g}"
