"""How well a solution meets its equations and conditions: residuals over the size of their terms.

With the means m of the unknowns taken off, a residual is r = r₀ + Σ_a ∂r/∂u_a (u_a - m_a) to first
order, and its size |r₀| + Σ_a |∂r/∂u_a| |u_a - m_a|, root mean squares over the domain: no unit, no
factor in the equation and no offset of an unknown counts. Where all terms vanish, as those of u'' =
0 do for any straight line, the variation of an unknown over powers of the domain's lengths stands
for its derivatives. An unknown that is zero, since nothing drives it, takes no part in that; where
an equation is about such unknowns alone, they are measured in their own unit.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.geometry import Pieces
from kanpde.geometry.regions import Region
from kanpde.geometry.sampling import inside_points, unit_points
from kanpde.networks.solution import Solution
from kanpde.networks.spans import Spans
from kanpde.networks.trial_space import NetworkSolution
from kanpde.problem.constraints import Constraint
from kanpde.problem.faces import by_name
from kanpde.problem.problem import Problem
from kanpde.residual.calculus import Leaf
from kanpde.residual.residual import Residual
from kanpde.results.verdict import UNMET, percent

JUDGED_POINTS = 1024
"""How many points residuals are looked at: points that were not trained on."""

FEWEST = 64
"""Of these in every piece and every span."""

JUDGED_SEED = 24681357

NOTHING = 1e-8
"""Size, in its own unit, below which an unknown may be nothing but rounding."""

UNVARIED = 1e-9
"""Part of an unknown's size that its variation is taken to be at least."""


@dataclass(frozen=True)
class Met:
    """How well equations and conditions are met.

    Attributes:
        equations: By name, the residual over the size of its terms: the worst over pieces and spans
            of time.
        conditions: The same of conditions that are not built in, by label.
        amplitudes: By unknown, how large it has to be to take part in the equations.
    """

    equations: Mapping[str, float]
    conditions: Mapping[str, float]
    amplitudes: Mapping[str, float] = field(default_factory=dict)

    @property
    def worst(self) -> float:
        """The largest of all; 0 where there is none."""
        return max((*self.equations.values(), *self.conditions.values()), default=0.0)

    def unmet(self, least: float = UNMET) -> str:
        """What is met worst, in words; empty where all is met.

        Args:
            least: Residual over the size of its terms, from which something is not met.
        """
        kinds = {"equation": self.equations, "condition": self.conditions}
        every = [(v, kind, name) for kind, ones in kinds.items() for name, v in ones.items()]
        value, kind, name = max(every, key=lambda each: (math.isnan(each[0]), each[0]))
        if value <= least:
            return ""
        return f"the {kind} {name} is not met: its residual is {percent(value)} of its terms"


def met(problem: Problem, solution: Solution) -> Met:
    """How well a solution meets its equations and conditions, at points that were not trained on.

    Args:
        problem: What was to be solved.
        solution: The solution.
    """
    parts = _parts(problem, solution)
    terms = _Terms(problem, parts)
    equations: dict[str, float] = {}
    conditions: dict[str, float] = {}
    amplitudes: dict[str, float] = {}
    names = _names(problem)
    for part in parts:
        for equation in part.equations:
            found = terms.of(equation, part.solution, part.points, None)
            _keep(equations, names[id(equation)], found.worst)
            for unknown, size in found.amplitudes.items():
                amplitudes[unknown] = min(size, amplitudes.get(unknown, math.inf))
    for part in {part.solution: part for part in parts}.values():
        for label, residual, points, normal in _conditions(part):
            _keep(conditions, label, terms.of(residual, part.solution, points, normal).worst)
    return Met(equations, conditions, amplitudes)


@dataclass(frozen=True)
class _Surveyed:
    """A piece of the domain, or a span of time.

    Attributes:
        solution: Its solution.
        points: Points in it.
        equations: What holds there.
        soft: The conditions that the solution does not meet by its form.
    """

    solution: Solution
    points: Float[Tensor, "points dims"]
    equations: Sequence[Residual]
    soft: Sequence[Constraint]

    @cached_property
    def needs(self) -> list[Leaf]:
        """The derivatives that its equations and conditions ask for, and the values."""
        domain = self.solution.domain
        residuals = [*self.equations, *(c.residual for c in self.soft)]
        # on pieces a condition is also of copies that are not here
        whole = self.equations if isinstance(domain, Pieces) else residuals
        here = {u for e in whole for u, _ in e.everywhere}
        value = (0,) * len(domain.coordinates)
        found = [(u, value) for u in sorted(here)]
        return list(
            dict.fromkeys([*found, *(a for r in residuals for a in r.everywhere if a[0] in here)])
        )

    @cached_property
    def leaves(self) -> dict[Leaf, Float[Tensor, " points"]]:
        """Derivatives at its points."""
        return dict(zip(self.needs, _values(self.solution, self.points, self.needs).T, strict=True))


def _parts(problem: Problem, solution: Solution) -> list[_Surveyed]:
    spans: Sequence[Solution] = solution.spans if isinstance(solution, Spans) else [solution]
    each = max(FEWEST, JUDGED_POINTS // (len(spans) * len(problem.groups)))
    found = []
    for span in spans:
        # what is no network has its conditions in coefficients or rows: all of them are looked at
        soft = span.space.soft if isinstance(span, NetworkSolution) else problem.constraints
        for region, equations in problem.groups:
            where = region if isinstance(region, Region) else span.domain
            points = inside_points(where, each, JUDGED_SEED)
            found.append(_Surveyed(span, points, equations, soft))
    return found


def _values(
    solution: Solution, points: Float[Tensor, "points dims"], needs: Sequence[Leaf]
) -> Float[Tensor, "points leaves"]:
    if not isinstance(solution, NetworkSolution):
        return solution.derivatives(points, needs).double().cpu()
    frame = solution.frame(points, needs)
    return frame.derivatives(solution.network.forward(frame.X, frame.counts)[-1]).double().cpu()


def _names(problem: Problem) -> dict[int, str]:
    """What each equation is called, by its identity: with its piece, and with a number where two
    have one name."""
    found: dict[int, str] = {}
    for region, equations in problem.groups:
        for equation in equations:
            name = equation.name.removesuffix("()")
            name += f" in {region.name}" if isinstance(region, Region) else ""
            alike = sum(one.partition(" #")[0] == name for one in found.values())
            found[id(equation)] = f"{name} #{alike + 1}" if alike else name
    return found


def _conditions(part: _Surveyed) -> Iterator[tuple[str, Residual, Tensor, dict[str, Tensor]]]:
    """Label, residual, points and normals of every condition that is not built in."""
    domain, dims = part.solution.domain, len(part.solution.domain.coordinates) - 1
    for constraint in part.soft:
        unit = unit_points(JUDGED_POINTS if dims else 1, dims, JUDGED_SEED)
        points = domain.boundary(constraint.face, unit)
        if constraint.where is not None:
            points = points[constraint.where(by_name(points, domain.coordinates)).bool()]
        if len(points):
            normal = by_name(domain.normals(constraint.face, points), domain.coordinates)
            yield constraint.label, constraint.residual, points, normal


@dataclass(frozen=True)
class _Sizes:
    """A residual at points.

    Attributes:
        worst: Root mean square over the size of the terms, the largest over its equations.
        amplitudes: By unknown, the size from which on it takes part in one of them.
    """

    worst: float
    amplitudes: Mapping[str, float]


class _Terms:
    """How large the derivatives of a solution are over its whole domain.

    Args:
        problem: What was to be solved.
        parts: The solution's pieces and spans.
    """

    def __init__(self, problem: Problem, parts: Sequence[_Surveyed]):
        self.problem = problem
        self.plain = {u: u for u in problem.outputs}
        if isinstance(problem.domain, Pieces):
            home = problem.domain.home
            self.plain = {u: u.removesuffix(f"_{home(u)}") for u in problem.outputs}
        gathered: dict[Leaf, list[Tensor]] = {}
        for part in parts:
            for leaf, values in part.leaves.items():
                gathered.setdefault(leaf, []).append(values)
        leaves = {leaf: torch.cat(values) for leaf, values in gathered.items()}
        plainly = {u: leaves[u, i] for u, i in leaves if not any(i)}
        self.means = {u: float(v.mean()) for u, v in plainly.items()}
        self.sizes = {
            (u, i): _rms(v if any(i) else v - self.means[u]) for (u, i), v in leaves.items()
        }
        self.variations = {
            u: self._variation([v for copy, v in plainly.items() if self.plain[copy] == u])
            for u in dict.fromkeys(self.plain[copy] for copy in plainly)
        }
        driven = {self.plain[u] for u in _driven(problem)}
        small = {u for u in self.variations if u not in driven and self._small(u, plainly)}
        self.zero = frozenset(u for u in small if self._solves(parts, u))

    def _small(self, unknown: str, values: Mapping[str, Tensor]) -> bool:
        """Whether an unknown may be nothing but rounding on all pieces."""
        return all(_rms(v) < NOTHING for u, v in values.items() if self.plain[u] == unknown)

    def _solves(self, parts: Sequence[_Surveyed], unknown: str) -> bool:
        """Whether the equations and conditions are met as well where an unknown is zero."""
        for part in parts:
            checked: list[tuple[Residual, Tensor, Mapping[str, Tensor] | None]]
            checked = [(e, part.points, None) for e in part.equations]
            checked += [(r, at, n) for _, r, at, n in _conditions(part)]
            for residual, at, normal in checked:
                found, without = (
                    self._values(residual, part.solution, at, normal, zero)[0].nan_to_num()
                    for zero in ((), (unknown,))
                )
                if _rms(without) > 2 * _rms(found):
                    return False
        return True

    def _values(
        self,
        residual: Residual,
        solution: Solution,
        points: Float[Tensor, "points dims"],
        normal: Mapping[str, Tensor] | None,
        zero: Collection[str],
    ) -> tuple[Tensor, Tensor, Tensor, list[Leaf]]:
        """A residual, its partials and the derivatives that they belong to, with some unknowns
        zero; and which these derivatives are."""
        at = by_name(points, solution.domain.coordinates)
        u, leaves = residual.supplied(at, partial(_values, solution), normal)
        kept = [float(self.plain[name] not in zero) for name, _ in leaves]
        u = u * u.new_tensor(kept)
        r, g = residual(at, u, normal)
        assert g is not None
        return r, g, u, leaves

    def _variation(self, copies: Sequence[Tensor]) -> float:
        """Of an unknown over all pieces, at least a small part of its size."""
        values = torch.cat(list(copies))
        return max(_rms(values - values.mean()), UNVARIED * _rms(values))

    def natural(self, leaf: Leaf) -> float:
        """The size that a variation of 1 gives to a derivative: over powers of the lengths."""
        lengths = (high - low for low, high in self.problem.domain.bounds.values())
        return math.prod(length**-n for length, n in zip(lengths, leaf[1], strict=True))

    def of(
        self,
        residual: Residual,
        solution: Solution,
        points: Float[Tensor, "points dims"],
        normal: Mapping[str, Tensor] | None,
    ) -> _Sizes:
        """A residual at points.

        Args:
            residual: An equation, or a condition.
            solution: The solution that it is of.
            points: Where the residual is taken, [points, dims].
            normal: On a face, the normal there, [points] by coordinate.

        Returns:
            Its size over that of its terms; 0 where it is finite nowhere.
        """
        given = residual, solution, points, normal
        r = self._values(*given, ())[0]
        base, g, u, leaves = self._values(*given, self.zero)
        there = r.isfinite().all(1) & base.isfinite().all(1) & g.isfinite().all(2).all(1)
        if not bool(there.any()):
            return _Sizes(0.0, {})
        r, base, g, u = r[there], base[there], g[there], u[there]
        factor = solution.tempered(points[there], normal is not None)
        if factor is not None:
            # in a singular corner no residual is square integrable as it is
            r, base, g = r * factor[:, None], base * factor[:, None], g * factor[:, None, None]
        counts = [self.plain[v] not in self.zero for v, _ in leaves]
        means = u.new_tensor(
            [
                0.0 if any(i) or not one else self.means[v]
                for (v, i), one in zip(leaves, counts, strict=True)
            ]
        )
        sizes = u.new_tensor(
            [self.sizes[leaf] if one else 0.0 for leaf, one in zip(leaves, counts, strict=True)]
        )
        rest = base - torch.einsum("nea,na->ne", g, u - means)
        slopes = g.square().mean(0).sqrt()
        size = torch.maximum(
            rest.square().mean(0).sqrt() + slopes @ sizes, self._least(leaves, slopes)
        )
        worst = r.square().mean(0).sqrt() / size.clamp_min(torch.finfo(torch.float64).tiny)
        return _Sizes(
            float(worst.nan_to_num().max()) if leaves else 0.0,
            self._amplitudes(leaves, slopes, size),
        )

    def _by_unknown(self, leaves: Sequence[Leaf], slopes: Tensor) -> dict[str, list[Tensor]]:
        """What each unknown's derivatives bring to the equations [equations] for a variation of 1,
        those left out that do not count."""
        found: dict[str, list[Tensor]] = {}
        for a, leaf in enumerate(leaves):
            found.setdefault(self.plain[leaf[0]], []).append(slopes[:, a] * self.natural(leaf))
        return found

    def _least(self, leaves: Sequence[Leaf], slopes: Tensor) -> Float[Tensor, " equations"]:
        """The size of each equation at least: of the unknown that brings most, the derivative that
        brings least."""
        least, own = slopes.new_zeros(len(slopes)), slopes.new_zeros(len(slopes))
        for unknown, brought in self._by_unknown(leaves, slopes).items():
            counts = torch.stack(brought)
            smallest = torch.where(counts > 0, counts, math.inf).amin(0)
            smallest = torch.where(smallest.isfinite(), smallest, 0.0)
            if unknown in self.zero:
                own = torch.maximum(own, smallest)
            else:
                least = torch.maximum(least, smallest * self.variations[unknown])
        return torch.where(least > 0, least, own)

    def _amplitudes(self, leaves: Sequence[Leaf], slopes: Tensor, size: Tensor) -> dict[str, float]:
        found = {}
        for unknown, brought in self._by_unknown(leaves, slopes).items():
            weight = torch.stack(brought).sum(0)
            moved = size[weight > 0] / weight[weight > 0]
            if len(moved):
                found[unknown] = float(moved.min())
        return found


def _driven(problem: Problem) -> set[str]:
    """The unknowns (on pieces the copies) for which something else than zero is prescribed."""
    domain, found = problem.domain, set()
    dims = len(domain.coordinates) - 1
    for c in problem.constraints:
        if c.prescribed is not None:
            points = domain.boundary(c.face, unit_points(FEWEST if dims else 1, dims, JUDGED_SEED))
            data = c.prescribed.data(by_name(points, domain.coordinates))
            if bool((data != 0).any()):
                found.add(c.prescribed.unknown)
    return found


def _keep(found: dict[str, float], name: str, value: float) -> None:
    """The larger one of what is known and a value."""
    found[name] = max(value, found.get(name, 0.0))


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
