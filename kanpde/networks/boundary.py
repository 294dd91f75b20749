"""Which conditions hold exactly, and the factor and the lift that make them hold.

On a box, u = lift + factor · N satisfies every prescribed value (and normal derivative, where the
value is prescribed on the same face) whatever the network N does: the factor vanishes on these
faces to that order, and the lift is the transfinite interpolant of the data (Gordon and Hall 1973),
Hermite's in each coordinate. An initial value is the value on the face at the start of time, an
initial velocity the derivative there, so time is a coordinate like any other.

On other domains values hold exactly on the faces that have smooth implicit functions (see
curved.py); flat faces that lie at the ends of the bounding box and have different data are one
group, with the interpolant of the box for its values. Initial values are put on top.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from kanpde.geometry import Domain, Pieces
from kanpde.geometry.implicit import Columns
from kanpde.networks.curved import Curved, Group, Value, level, same, smooth, touching
from kanpde.networks.layers import StartLayer, begun, beside, together
from kanpde.problem.constraints import Constraint

Data = Callable[[Mapping[str, Tensor]], Tensor]


@dataclass
class Ends:
    """Data along one coordinate: the value and perhaps the derivative at its two ends.

    Attributes:
        low: At its lower end, the value and then the derivative.
        high: At its upper end, the value and then the derivative.
    """

    low: list[Data] = field(default_factory=list)
    high: list[Data] = field(default_factory=list)


def split(
    domain: Domain,
    constraints: Sequence[Constraint],
    unknowns: Sequence[str],
    soft: Collection[str] = (),
    layers: Mapping[str, tuple[StartLayer, ...]] | None = None,
) -> tuple[dict[str, ExactBoundary], list[Constraint]]:
    """Which conditions the factor and the lift of every unknown satisfy, and which they do not.

    Args:
        domain: Of the problem.
        constraints: Its conditions.
        unknowns: Names of all that is unknown.
        soft: Unknowns whose values in space are not built in.
        layers: What the lifts have besides, by unknown; zero when time begins.

    Returns:
        Factor and lift of every unknown, by name, and the constraints that they do not satisfy.
    """
    if isinstance(domain, Pieces):
        return _by_piece(domain, constraints, unknowns, soft)
    hard: dict[str, dict[str, Ends]] = {u: {} for u in unknowns}
    curved: dict[str, list[Constraint]] = {u: [] for u in unknowns}
    left: list[Constraint] = []
    for derivative in (0, 1):
        for c in constraints:
            p, face = c.prescribed, domain.faces[c.face]
            if p is None or p.derivative != derivative:
                continue
            if (not domain.is_box and face.coordinate != domain.time) or not face.coordinate:
                fits = (
                    not derivative
                    and c.where is None
                    and p.unknown not in soft
                    and not any(c.face == other.face for other in curved[p.unknown])
                )
                (curved[p.unknown] if fits and smooth(domain, c.face) else left).append(c)
                continue
            ends = hard[p.unknown].setdefault(face.coordinate, Ends())
            data = ends.low if face.side < 0 else ends.high
            if c.where is None and len(data) == derivative:
                own = (layers or {}).get(p.unknown, ()) if face.coordinate != domain.time else ()
                data.append(_less(p.data, own, domain) if own else p.data)
            else:
                left.append(c)
    found = {}
    for u in unknowns:
        grouped, touched = groups(domain, curved[u])
        found[u] = ExactBoundary(
            domain,
            {x: ends for x, ends in hard[u].items() if ends.low or ends.high},
            Curved(grouped) if grouped else None,
            (layers or {}).get(u, ()),
        )
        left += touched
    left += [c for c in constraints if c.prescribed is None or c.prescribed.derivative > 1]
    return found, left


def _less(data: Data, layers: Sequence[StartLayer], domain: Domain) -> Data:
    """Data less what layers give already."""
    return lambda at: data(at) - together(layers, [at[x] for x in domain.coordinates])


def _by_piece(
    domain: Pieces,
    constraints: Sequence[Constraint],
    unknowns: Sequence[str],
    soft: Collection[str],
) -> tuple[dict[str, ExactBoundary], list[Constraint]]:
    """As `split`, piece by piece; what holds where two of them meet stays soft."""
    found: dict[str, ExactBoundary] = {}
    left = [c for c in constraints if c.face in domain.contacts]
    for name, region in domain.regions.items():
        own, rest = split(
            region,
            [c for c in constraints if c.face in region.faces],
            [u for u in unknowns if domain.home(u) == name],
            soft,
        )
        found, left = {**found, **own}, left + rest
    return found, left


def _group(domain: Domain, alike: Sequence[Constraint]) -> Group:
    """The faces of constraints that give the same values."""
    faces = tuple(c.face for c in alike)
    return Group(faces, level(domain, faces), _value(domain, alike[0]))


def groups(
    domain: Domain, constraints: Sequence[Constraint]
) -> tuple[tuple[Group, ...], list[Constraint]]:
    """Faces with values in groups that do not touch.

    Args:
        domain: Of the problem.
        constraints: Conditions that prescribe values on smooth faces.

    Returns:
        The groups, and the constraints for which there is none: of two groups that touch, those of
        the smaller.
    """
    by_data: list[list[Constraint]] = []
    for c in constraints:
        fellows = next(
            (g for g in by_data if same(domain, _value(domain, g[0]), _value(domain, c))), None
        )
        if fellows is None:
            by_data.append([c])
        else:
            fellows.append(c)
    made = [_group(domain, g) for g in by_data]
    flat = (
        _meeting(domain, [c for c in constraints if domain.faces[c.face].coordinate])
        if _touching(domain, made) is not None
        else []
    )
    if flat:
        made = [group for group in (_rest(domain, group, flat) for group in made) if group.faces]
        faces = tuple(c.face for c in flat)
        made.append(Group(faces, level(domain, faces), _box_lift(domain, flat)))
    dropped: list[Constraint] = []
    while (pair := _touching(domain, made)) is not None:
        smaller = min(
            pair, key=lambda group: sum(domain.faces[face].measure for face in group.faces)
        )
        made.remove(smaller)
        dropped += [c for c in constraints if c.face in smaller.faces]
    return tuple(made), dropped


def _touching(domain: Domain, made: Sequence[Group]) -> tuple[Group, Group] | None:
    """Two groups that meet."""
    return next(
        (
            (a, b)
            for i, a in enumerate(made)
            for b in made[:i]
            if touching(domain, a.faces, b.faces)
        ),
        None,
    )


def _meeting(domain: Domain, flat: Sequence[Constraint]) -> list[Constraint]:
    """Those sides of the bounding box whose data one interpolant can meet: where a side is not
    whole, data that go on beyond it may not fit."""
    kept = list(flat)
    while kept:
        lift = _box_lift(domain, kept)
        missed = [c for c in kept if not _meets(domain, c, lift)]
        if not missed:
            break
        kept.remove(min(missed, key=lambda c: domain.faces[c.face].measure))
    return kept


def _meets(domain: Domain, constraint: Constraint, lift: Value) -> bool:
    unit = torch.rand(
        64,
        len(domain.coordinates) - 1,
        generator=torch.Generator().manual_seed(0),
        dtype=torch.float64,
    )
    columns = domain.boundary(constraint.face, unit).T
    wanted = _value(domain, constraint)(columns)
    return bool(torch.allclose(lift(columns).detach(), wanted, rtol=1e-9, atol=1e-9))


def _rest(domain: Domain, group: Group, without: Sequence[Constraint]) -> Group:
    faces = tuple(face for face in group.faces if all(face != c.face for c in without))
    return replace(group, faces=faces, level=level(domain, faces))


def _value(domain: Domain, constraint: Constraint) -> Value:
    assert constraint.prescribed is not None
    data, names = constraint.prescribed.data, domain.coordinates
    return lambda columns: data(dict(zip(names, columns, strict=True)))


def _box_lift(domain: Domain, flat: Sequence[Constraint]) -> Value:
    """The interpolant of values on sides of the bounding box."""
    ends: dict[str, Ends] = {}
    for c in flat:
        face, own = (
            domain.faces[c.face],
            ends.setdefault(domain.faces[c.face].coordinate or "", Ends()),
        )
        assert c.prescribed is not None
        (own.low if face.side < 0 else own.high).append(c.prescribed.data)
    return ExactBoundary(domain, ends).lift


@dataclass(frozen=True)
class ExactBoundary:
    """Factor and lift of one unknown.

    Both are functions of columns [points], one a coordinate of the domain.

    Attributes:
        domain: Where the unknown lives.
        ends: Data at the ends of coordinates, by coordinate.
        curved: Values on the other faces, or None.
        layers: What is added to the interpolant, zero when time begins; the data at other ends are
            less by it.
    """

    domain: Domain
    ends: Mapping[str, Ends]
    curved: Curved | None = None
    layers: tuple[StartLayer, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether anything is built in."""
        return bool(self.ends) or self.curved is not None

    def factor(self, columns: Columns) -> Tensor:
        """Product over the coordinates of s^m (1-s)^n, s from 0 to 1 along each.

        It is scaled to a maximum of 1. m and n are how many data there are at the two ends; the
        factor of curved faces is part of the product.

        Args:
            columns: The points by their coordinates, [points] each.

        Returns:
            The factor, [points].
        """
        product = (
            torch.ones_like(columns[0]) if self.curved is None else self.curved.factor(columns)
        )
        for x, ends in self.ends.items():
            s, m, n = self._place(columns, x), len(ends.low), len(ends.high)
            product = product * s**m * (1 - s) ** n * ((m + n) ** (m + n) / (m**m * n**n))
        return product

    def lift(self, columns: Columns) -> Tensor:
        """The interpolant of all data, and the layers.

        Args:
            columns: The points by their coordinates, [points] each.

        Returns:
            Its values, [points].
        """
        if not self.layers:
            return self._lift(columns, len(self.ends))
        columns = beside(self.layers, columns)
        return self._lift(columns, len(self.ends)) + begun(self.layers, columns)

    def _place(self, columns: Columns, x: str) -> Tensor:
        low, high = self.domain.bounds[x]
        return (columns[self.domain.coordinates.index(x)] - low) / (high - low)

    def _lift(self, columns: Columns, count: int) -> Tensor:
        """Interpolant along the first `count` coordinates: each one corrects what those before it
        left."""
        if count == 0:
            return (
                torch.zeros_like(columns[0]) if self.curved is None else self.curved.lift(columns)
            )
        total = self._lift(columns, count - 1)
        x, ends = list(self.ends.items())[count - 1]
        low, high = self.domain.bounds[x]
        polynomials = hermite(len(ends.low), len(ends.high))
        s, row = self._place(columns, x), 0
        for where, data in ((low, ends.low), (high, ends.high)):
            for derivative, given in enumerate(data):
                defect = self._defect(columns, x, where, derivative, given, count - 1)
                blend = sum(
                    (float(a) * s**power for power, a in enumerate(polynomials[row])),
                    torch.zeros_like(s),
                )
                total = total + blend * (high - low) ** derivative * defect
                row += 1
        return total

    def _defect(
        self, columns: Columns, x: str, where: float, derivative: int, given: Data, count: int
    ) -> Tensor:
        """Data minus what the interpolant so far has on the face."""
        axis = self.domain.coordinates.index(x)
        columns = list(columns)
        columns[axis] = torch.full_like(columns[axis], where)
        wanted = given(dict(zip(self.domain.coordinates, columns, strict=True)))
        if count == 0 and self.curved is None:
            return wanted
        if not derivative:
            return wanted - self._lift(columns, count)
        with torch.enable_grad():
            columns[axis] = columns[axis].requires_grad_()
            have = self._lift(columns, count)
            slope = (
                torch.autograd.grad(
                    have.sum(), columns[axis], create_graph=True, allow_unused=True
                )[0]
                if have.requires_grad
                else None
            )
        return wanted if slope is None else wanted - slope


def hermite(low: int, high: int) -> np.ndarray:
    """Monomial coefficients of the polynomials on [0, 1] that have one unit datum each.

    Args:
        low: How many data there are at 0: the value, then derivatives.
        high: How many data there are at 1.

    Returns:
        The coefficients, [low + high, low + high]. Rows: value, derivative at 0 (the first `low`),
        then at 1 (the next `high`).
    """
    size = low + high
    rows = []
    for s, count in ((0.0, low), (1.0, high)):
        for derivative in range(count):
            rows.append(
                [
                    (
                        np.prod(range(p - derivative + 1, p + 1)) * s ** (p - derivative)
                        if p >= derivative
                        else 0.0
                    )
                    for p in range(size)
                ]
            )
    return np.linalg.inv(np.array(rows)).T
