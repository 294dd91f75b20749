"""Where prescribed data jump or bend along their face, or change unseen by autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry import Domain
from kanpde.problem.constraints import Constraint
from kanpde.residual.calculus import Values, d
from kanpde.residual.jumps import breaks
from kanpde.residual.probe import Probe

LINES_ON_A_FACE = 3
"""Lines along each coordinate of a face that has more than one."""


@dataclass(frozen=True)
class Kink:
    """A place where data jump or bend.

    Attributes:
        coordinate: Along which.
        place: The first value of the coordinate beyond it.
        jump: Of the value.
        bend: The jump of the slope.
    """

    coordinate: str
    place: float
    jump: float
    bend: float


def kinks(domain: Domain, constraint: Constraint) -> list[Kink] | None:
    """The places where the data of a condition jump or bend along its face.

    Only faces that are flat and lie across a coordinate are looked at.

    Args:
        domain: Has the face.
        constraint: A condition that prescribes a value or a derivative.

    Returns:
        The places; None where they differ from line to line, or autograd does not see how the data
        change, so that nothing can be built on their derivatives.
    """
    face, given = domain.faces[constraint.face], constraint.prescribed
    if given is None or given.smooth or not face.coordinate:
        return []
    names = domain.coordinates
    own, generator = names.index(face.coordinate), torch.Generator().manual_seed(0)
    unit = torch.rand(64, len(names) - 1, generator=generator, dtype=torch.float64)
    points = domain.boundary(constraint.face, unit)[: LINES_ON_A_FACE if len(names) > 2 else 1]
    ends = points.new_tensor(list(domain.bounds.values()))
    found: list[Kink] = []
    for axis, x in enumerate(names):
        if axis == own:
            continue

        probe = Probe(_bend(given.data, x), constraint.label, names, (), names, domain.space)
        try:
            here = breaks(probe, axis, points, ends, domain.inside)
        except ProblemError:
            # Not finite somewhere near the face: whoever needs the value there says so.
            return []
        if here is None:
            return None
        jumps, bends = ({b.place: b for b in here if b.expression == k} for k in (0, 1))
        for place in sorted({*jumps, *bends}):
            sizes = [
                float(by[place].change.mean()) if place in by else 0.0 for by in (jumps, bends)
            ]
            found.append(Kink(x, place, *sizes))
    return found


def _bend(data: Callable[[Values], Tensor], x: str) -> Callable[..., Tensor]:
    """The second derivative of data along a coordinate, for which value and slope are
    differentiated."""

    def second(**at: Tensor) -> Tensor:
        return d(d(data(at), x), x)

    return second
