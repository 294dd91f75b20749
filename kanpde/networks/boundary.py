"""Which conditions hold exactly, and the factor and the lift that make them hold.

On a box, u = lift + factor · N satisfies every prescribed value (and normal derivative, where the value is prescribed on
the same face) whatever the network N does: the factor vanishes on these faces to that order, and the lift is the
transfinite interpolant of the data (Gordon and Hall 1973), Hermite's in each coordinate. An initial value is the value on
the face at the start of time, an initial velocity the derivative there, so time is a coordinate like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from kanpde.conditions import Constraint
from kanpde.geometry import Domain

Columns = Sequence[Tensor] | Tensor
"""The coordinates of some points, [points] each; or [dims, points]."""

Data = Callable[[Mapping[str, Tensor]], Tensor]


@dataclass
class Ends:
    """Data along one coordinate: at its lower and its upper end, the value and perhaps the derivative."""

    low: list[Data] = field(default_factory=list)
    high: list[Data] = field(default_factory=list)


def split(domain: Domain, constraints: Sequence[Constraint], unknowns: Sequence[str]) -> tuple[dict[str, dict[str, Ends]], list[Constraint]]:
    """The exact part, by unknown and coordinate, and the constraints that stay soft."""
    hard: dict[str, dict[str, Ends]] = {u: {} for u in unknowns}
    soft: list[Constraint] = []
    for derivative in (0, 1):
        for c in constraints:
            p, face = c.prescribed, domain.faces[c.face]
            if p is None or p.derivative != derivative:
                continue
            ends = hard[p.unknown].setdefault(face.coordinate or "", Ends())
            data = ends.low if face.side < 0 else ends.high
            if domain.is_box and face.coordinate and c.where is None and len(data) == derivative:
                data.append(p.data)
            else:
                soft.append(c)
    soft += [c for c in constraints if c.prescribed is None]
    return {u: {x: ends for x, ends in by.items() if ends.low or ends.high} for u, by in hard.items()}, soft


@dataclass(frozen=True)
class Boundary:
    """Factor and lift of one unknown on a box, as functions of columns [points], one a coordinate of the domain."""

    domain: Domain
    ends: Mapping[str, Ends]

    def factor(self, columns: Columns) -> Tensor:
        """Product over the coordinates of s^m (1-s)^n, s from 0 to 1 along each, scaled to a maximum of 1; [points]."""
        product = torch.ones_like(columns[0])
        for x, ends in self.ends.items():
            s, m, n = self._place(columns, x), len(ends.low), len(ends.high)
            product = product * s**m * (1 - s) ** n * ((m + n) ** (m + n) / (m**m * n**n))
        return product

    def lift(self, columns: Columns) -> Tensor:
        """The interpolant of all data, [points]."""
        return self._lift(columns, len(self.ends))

    def _place(self, columns: Columns, x: str) -> Tensor:
        low, high = self.domain.bounds[x]
        return (columns[self.domain.coordinates.index(x)] - low) / (high - low)

    def _lift(self, columns: Columns, count: int) -> Tensor:
        """Interpolant along the first `count` coordinates: each one corrects what those before it left."""
        if count == 0:
            return torch.zeros_like(columns[0])
        total = self._lift(columns, count - 1)
        x, ends = list(self.ends.items())[count - 1]
        low, high = self.domain.bounds[x]
        polynomials = hermite(len(ends.low), len(ends.high))
        s, row = self._place(columns, x), 0
        for where, data in ((low, ends.low), (high, ends.high)):
            for derivative, given in enumerate(data):
                defect = self._defect(columns, x, where, derivative, given, count - 1)
                blend = sum((float(a) * s**power for power, a in enumerate(polynomials[row])), torch.zeros_like(s))
                total = total + blend * (high - low) ** derivative * defect
                row += 1
        return total

    def _defect(self, columns: Columns, x: str, where: float, derivative: int, given: Data, count: int) -> Tensor:
        """Data minus what the interpolant so far has on the face."""
        axis = self.domain.coordinates.index(x)
        columns = list(columns)
        columns[axis] = torch.full_like(columns[axis], where)
        wanted = given(dict(zip(self.domain.coordinates, columns, strict=True)))
        if count == 0:
            return wanted
        if not derivative:
            return wanted - self._lift(columns, count)
        with torch.enable_grad():
            columns[axis] = columns[axis].requires_grad_()
            have = self._lift(columns, count)
            slope = torch.autograd.grad(have.sum(), columns[axis], create_graph=True, allow_unused=True)[0] if have.requires_grad else None
        return wanted if slope is None else wanted - slope


def hermite(low: int, high: int) -> np.ndarray:
    """Monomial coefficients [low + high, low + high] of the polynomials on [0, 1] that have one unit datum each.

    Rows: value, derivative at 0 (the first `low`), then at 1 (the next `high`).
    """
    size = low + high
    rows = []
    for s, count in ((0.0, low), (1.0, high)):
        for derivative in range(count):
            rows.append([np.prod(range(p - derivative + 1, p + 1)) * s ** (p - derivative) if p >= derivative else 0.0 for p in range(size)])
    return np.linalg.inv(np.array(rows)).T
