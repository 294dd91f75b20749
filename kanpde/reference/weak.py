"""A problem by finite elements as one system, from its strong residuals.

With v the test functions of the unknown that an equation R_i is solved for,

    Σ_K ∫_K R_i(u) v + Σ_edges ∫ [F_i·n] v + Σ_faces ∫ (γ c(u))_i v = 0,

where F_i = Σ_j A_ij ∇u_j with A_ij,kl = -∂R_i/∂u_j,kl is the flux that the second derivatives of
R_i say, and c the residuals of conditions that hold a derivative across a face, scaled to the flux
by γ = N C⁻¹ with N_ij = n·A_ij n and C_rj = Σ_k n_k ∂c_r/∂u_j,k. Integration by parts on each
triangle shows that this is the usual weak form. Mixed derivatives are split evenly: any other way
changes F·n by a derivative along the edge, which does not jump unless A does. Where A depends on
∇u the flux is ∫ A(s ∇u) ∇u ds from 0 to 1, which is the one whose derivative is A.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float

from kanpde.errors import ReferenceUnavailable
from kanpde.geometry import Pieces
from kanpde.problem.formulation import Formulation
from kanpde.reference.boundary import match
from kanpde.reference.elements import (
    DEGREE_OF_QUADRATURE,
    ElementGrid,
    library,
)
from kanpde.reference.factor import Solver, factored
from kanpde.reference.fluxes import Equation, InnerEdges, along_edges, kind_of_flux, timed
from kanpde.reference.grid import Grid
from kanpde.reference.merged import MergedRows
from kanpde.reference.patchwork import numbers, piece_of
from kanpde.reference.pressure import depends, pinning
from kanpde.reference.sampled import Numbering, Sampling, Sum, columns
from kanpde.reference.system import System
from kanpde.reference.tested import FaceConditions, Given, SidedUnknown, TestedFace
from kanpde.reference.work import Work
from kanpde.residual.calculus import Values
from kanpde.residual.residual import Residual

ALONG_A_FLUX = np.polynomial.legendre.leggauss(4)
"""Points and weights by which a flux is integrated from no gradient on."""

LAID_AS_OFTEN = 5
"""Nodes of an embedded grid that a node of the elements takes as long as, as measured."""

UNBALANCED = 1e-8
"""Relative difference from which on the ratio of two fluxes is not the same everywhere."""

NO_DERIVATIVE = 1e-10
"""Determinant of C, of its rows' lengths, up to which a condition has no derivative across."""


Part = TypeVar("Part", Sampling, InnerEdges)


class WeakSystem:
    """r(U, U', U'') = 0 by finite elements; U holds the unknowns on all nodes, then multipliers.

    Attributes:
        problem: What is discretised.
        grid: The elements.
        work: What counts the operations.
        orders: Of each unknown in time.
        free: Which nodes have an equation for an unknown, [unknowns, nodes].
        multipliers: How many constants are added to equations of pressures.
        size: Of U.
        far: Whether rows reach over all of the mesh: never.
    """

    far = False

    def __init__(self, problem: Formulation, grid: ElementGrid, work: Work | None = None):
        """Match equations with unknowns, and place conditions.

        Args:
            problem: What is discretised.
            grid: The elements.
            work: What counts the operations; by default without a limit.

        Raises:
            ReferenceUnavailable: Where equations and conditions do not fit the unknowns.
        """
        self.problem, self.grid, self.work = problem, grid, work or Work()
        self.work.laid(LAID_AS_OFTEN * grid.nodes)
        self.time = problem.domain.time
        unknowns, N = problem.unknowns, grid.nodes
        number = numbers(problem)
        rated = [(v, problem.order(u, self.time) if self.time else 0) for u, v in number.items()]
        self.orders = [max(m for w, m in rated if w == v) for v in range(len(unknowns))]
        self._inside = self._middles()
        self.equations, self.pressures = self._matched(number)
        self._layout = Numbering(grid.names, self.time, number, N, frozenset(self.pressures))
        self._pins = {v: pinning(problem, v, self.pressures) for v in self.pressures}
        self.multipliers = sum(pins is not None for pins in self._pins.values())
        self.size = len(unknowns) * N + self.multipliers
        self.free = self._homes(number)
        self._nowhere = np.flatnonzero(~self.free.ravel())
        self.free[self.pressures, grid.mesh.p.shape[1] :] = False
        self._triangles()
        self._inner_edges()
        leave = [c for pins in self._pins.values() for c in pins or []]
        self._conditions = FaceConditions(
            problem, grid, self._layout, self.equations, self.free, leave
        )
        self._added = self._merged()
        self._fixed = self._constant_rows()

    def _middles(self) -> list[Values]:
        """Middles of the triangles of each piece, at the start."""
        grid, middles = self.grid, self.grid.mesh.p.T[self.grid.mesh.t.T].mean(1)
        return [
            timed(self.problem, columns(grid.names, middles[grid.piece == k][:, None]))
            for k in range(len(self.problem.groups))
        ]

    def _matched(self, number: Mapping[str, int]) -> tuple[list[Equation], list[int]]:
        """Each equation with the unknown that it is solved for, and the unknowns that no equation
        of their own holds."""
        problem, found, pressures = self.problem, [], []
        whole = self.grid.domain
        names = list(whole.regions) if isinstance(whole, Pieces) else [""]
        for region, equations in problem.groups:
            home = piece_of(region) if isinstance(whole, Pieces) else ""
            k = names.index(home)
            copies = [u for u in problem.copies if self.grid.home(u) == home]
            for residual, row, v in match(problem, equations, copies, self._inside[k]):
                found.append(Equation(residual, row, number[copies[v]], k))
                if not depends(residual, row, copies[v], self._inside[k]):
                    pressures.append(number[copies[v]])
        if pressures and len(problem.groups) > 1:
            raise ReferenceUnavailable(
                f"{problem.unknowns[pressures[0]]!r} is held by no equation of its own; finite"
                " elements do not take this in pieces"
            )
        return found, pressures

    def _homes(self, number: Mapping[str, int]) -> Bool[np.ndarray, "unknowns nodes"]:
        """The nodes that each unknown lives at."""
        found = np.zeros((len(self.problem.unknowns), self.nodes), dtype=bool)
        for u, v in number.items():
            home = self.grid.home(u)
            found[v, self.grid.own(home) if home else slice(None)] = True
        return found

    # What the integrators ask

    @property
    def nodes(self) -> int:
        """How many."""
        return self.grid.nodes

    @property
    def span(self) -> tuple[float, float]:
        """The time of an evolution."""
        return self.problem.domain.bounds[str(self.time)]

    def at(self, t: float) -> str:
        """An instant in words."""
        return f"{self.time} = {t:.4g}"

    def on_nodes(
        self, U: Float[np.ndarray, "unknowns nodes"]
    ) -> Float[np.ndarray, "unknowns nodes"]:
        """Values on the nodes, which are what is solved for.

        Args:
            U: By unknown.
        """
        return U

    def width(self) -> int:
        """The thickness of a separator."""
        return 2

    def check_whole(self, U: Float[np.ndarray, " size"]) -> None:
        """No condition holds for the whole."""

    def residual(
        self,
        fields: Sequence[Float[np.ndarray, "size stages"]],
        t: Float[np.ndarray, " stages"] | None = None,
    ) -> Float[np.ndarray, "size stages"]:
        """r at some instants at once; fields: U and its derivatives in time."""
        every = zip(*(f.T for f in fields), strict=True)
        at = [None] * fields[0].shape[1] if t is None else t.tolist()
        now = zip(every, at, strict=True)
        return np.stack([self._once(list(each), instant) for each, instant in now], 1)

    def slopes(
        self, fields: Sequence[Float[np.ndarray, "size 1"]], t: float | None = None
    ) -> Float[np.ndarray, " entries"]:
        """Partials of all residuals at one instant, as `matrix` takes them."""
        now = [f[:, 0] for f in fields]
        found = [self._partials(part, now, t).ravel() for part in self._parts()]
        found += [self._partials_given(given, now, t).ravel() for given in self._conditions.given]
        return np.concatenate(found)

    def constant(self) -> Float[np.ndarray, " entries"] | None:
        """The partials where they are the same for every solution and always, found by probing."""
        rng, found = np.random.default_rng(0), None
        times = np.linspace(*self.span, 3).tolist() if self.time else [None] * 2
        for t in times:
            fields = [rng.uniform(0.25, 0.75, (self.size, 1)) for _ in range(1 + max(self.orders))]
            slopes = self.slopes(fields, t)
            if found is not None and not np.allclose(slopes, found, rtol=1e-13, atol=0):
                return None
            found = slopes
        return found

    def matrices(self, slopes: Float[np.ndarray, " entries"]) -> list[sp.csr_matrix]:
        """∂r/∂U, ∂r/∂U' and so on.

        Args:
            slopes: Partials of r, as `slopes` gives them.
        """
        still, with_rates, against = (self.matrix(slopes, rate) for rate in (0.0, 1.0, -1.0))
        each = [still, (with_rates - against) / 2, (with_rates + against) / 2 - still]
        return each[: 1 + max(self.orders)]

    def matrix(self, slopes: Float[np.ndarray, " entries"], rate: complex = 0.0) -> sp.csr_matrix:
        """∂r/∂U + rate ∂r/∂U' + rate² ∂r/∂U''."""
        total, begin, of = Sum(self._layout, self.size), 0, {}
        for part in self._parts():
            shape = (*part.shape, part.residual.equations, len(part.residual.needs))
            of[id(part)] = slopes[begin : (begin := begin + int(np.prod(shape)))].reshape(shape)
        for volume, one in self._rows(self._volumes):
            partials = volume.linearised(of[id(volume)][..., one.row, :], rate)
            total.add_slopes(
                volume.table.nodes,
                one.unknown,
                self._tested(volume, one.unknown),
                volume.table.nodes,
                partials,
            )
        for edges, one in self._rows(self._edges):
            tested = self._tested_on(edges, one.unknown)
            for sign, side in zip((1.0, -1.0), edges.sides, strict=True):
                fluxes = {
                    v: np.einsum("eqk,eqkl,eqml->eqm", sign * edges.normal, A, side.gradient(v))
                    for v, A in side.second(of[id(side)][..., one.row, :]).items()
                }
                nodes = edges.sides[0].table.nodes
                total.add_slopes(nodes, one.unknown, tested, side.table.nodes, fluxes)
        for face in self._conditions.sides:
            scales = self._scales(face, of)
            for r, (sampled, row) in enumerate(face.rows):
                for k, by in enumerate(sampled.tables):
                    partials = sampled.linearised(of[id(sampled)][..., row, :], rate, k)
                    for i, (on, v) in enumerate(face.unknowns):
                        tested = self._tested_at(face, (on, v)) * scales[..., i, r, None]
                        nodes = sampled.tables[on].nodes
                        total.add_slopes(nodes, v, tested, by.nodes, partials)
        found = self._added @ total.matrix() + self._fixed
        return (found + self._rows_given(slopes[begin:], rate)).tocsr()

    def factor(self, slopes: Float[np.ndarray, " entries"], rate: complex, check: bool) -> Solver:
        """Of `matrix`; check: whether to refuse one that is singular."""
        return factored(self.matrix(slopes, rate), self.grid, self.width(), self.work, check)

    def harmonic(self) -> Float[np.ndarray, "unknowns nodes"]:
        """Solutions of Laplace's equation with the values that are given, zero where none are."""
        V, N = self.free.shape
        zero = [np.zeros(self.size)] * (1 + max(self.orders))
        found, total = np.zeros((V, N)), Sum(Numbering(self.grid.names, None, {}, N), N)
        if len(self.problem.groups) > 1:
            return found
        (volume, *_) = self._volumes
        gradient = np.stack([volume.table.functions[1, 0], volume.table.functions[0, 1]], -1)
        for k in range(2):
            tested = self._weights[id(volume.table)][..., None] * gradient[..., k]
            nodes = volume.table.nodes
            total.add_slopes(nodes, 0, tested, nodes, {0: gradient[..., k]})
        stiffness = total.matrix()
        t = self.span[0] if self.time else None
        r = self._once(zero, t)
        slopes = [self._partials_given(given, zero, t).ravel() for given in self._conditions.given]
        rows = self._rows_given(np.concatenate([np.zeros(0), *slopes]), 0.0)
        for v in set(range(V)) - set(self.pressures):
            held = ~self.free[v]
            own = rows.diagonal()[v * N : (v + 1) * N]
            if held.any() and (own[held] != 0).all():
                found[v, held] = -r[v * N : (v + 1) * N][held] / own[held]
                keep = sp.diags(np.where(held, 0.0, 1.0))
                A = (keep @ stiffness + sp.diags(held.astype(float))).tocsr()
                solver = factored(A, self.grid, self.width(), self.work, check=False)
                found[v] = solver.solve(np.where(held, found[v], 0.0))
        return found

    # Evaluation

    def _parts(self) -> list[Sampling]:
        """All that residuals are sampled at, each once."""
        every = [*self._volumes, *(side for edges in self._edges for side in edges.sides)]
        for side in self._conditions.sides:
            every += [*side.equations.values(), *(sampled for sampled, _ in side.rows)]
        return list({id(part): part for part in every}.values())

    @cached_property
    def _leaves(self) -> int:
        """How many values residuals are computed from."""
        return sum(p.shape[0] * p.shape[1] * len(p.residual.needs) for p in self._parts())

    def _rows(self, parts: Sequence[Part]) -> Iterator[tuple[Part, Equation]]:
        """Each of these with the equations of its residual."""
        for part in parts:
            residual = part.residual if isinstance(part, Sampling) else part.sides[0].residual
            for one in self.equations:
                if one.residual is residual:
                    yield part, one

    def _tested(
        self, volume: Sampling, unknown: int
    ) -> Float[np.ndarray, "triangles points functions"]:
        """Test functions in the triangles, times weights."""
        weights = self._weights[id(volume.table)]
        return weights[..., None] * self._layout.functions(volume.table, unknown)[0, 0]

    def _tested_on(self, edges: InnerEdges, unknown: int) -> np.ndarray:
        functions = self._layout.functions(edges.sides[0].table, unknown)[0, 0]
        return edges.weights[..., None] * _cleaned(functions)

    def _tested_at(self, side: TestedFace, unknown: SidedUnknown) -> np.ndarray:
        table = side.rows[0][0].tables[unknown[0]]
        functions = self._layout.functions(table, unknown[1])[0, 0]
        return np.where(side.holds, side.weights, 0.0)[..., None] * _cleaned(functions)

    def _partials(
        self, part: Sampling, fields: Sequence[np.ndarray], t: float | None
    ) -> np.ndarray:
        slopes = part.evaluated(fields, t, True)[1]
        assert slopes is not None
        self.work.evaluated(slopes.size, True)
        return slopes

    def _once(self, fields: Sequence[np.ndarray], t: float | None) -> Float[np.ndarray, " size"]:
        """r at one instant."""
        total = Sum(self._layout, self.size)
        values = {id(v): v.evaluated(fields, t, False)[0] for v in self._volumes}
        for volume, one in self._rows(self._volumes):
            total.add(
                volume.table.nodes,
                one.unknown,
                self._tested(volume, one.unknown),
                values[id(volume)][..., one.row],
            )
        for edges in self._edges:
            jumps = self._jumps(edges, fields, t)
            for _, one in self._rows([edges]):
                tested = self._tested_on(edges, one.unknown)
                total.add(edges.sides[0].table.nodes, one.unknown, tested, jumps[one.row])
        for side in self._conditions.sides:
            partials = {id(s): self._partials(s, fields, t) for s in side.equations.values()}
            partials |= {id(s): self._partials(s, fields, t) for s, _ in side.rows}
            scales = self._scales(side, partials)
            conditions = [s.evaluated(fields, t, False)[0][..., row] for s, row in side.rows]
            for i, (on, v) in enumerate(side.unknowns):
                flux = np.einsum("eqr,eqr->eq", scales[..., i, :], np.stack(conditions, -1))
                nodes = side.rows[0][0].tables[on].nodes
                total.add(nodes, v, self._tested_at(side, (on, v)), flux)
        self.work.evaluated(self._leaves, False)
        r = self._added @ total.vector + self._fixed @ fields[0]
        for given in self._conditions.given:
            off = self._value_given(given, fields, t, False)[0][:, given.row]
            np.add.at(r, given.rows, given.share * off)
        return r

    def _jumps(
        self, edges: InnerEdges, fields: Sequence[np.ndarray], t: float | None
    ) -> Float[np.ndarray, "equations edges points"]:
        """[F·n] of each row of a residual."""
        places, weights = (ALONG_A_FLUX[0] + 1) / 2, ALONG_A_FLUX[1] / 2
        along = zip(places, weights, strict=True) if edges.curved_flux else [(1.0, 1.0)]
        rows = edges.sides[0].residual.equations
        found = np.zeros((rows, *edges.weights.shape))
        for share, weight in along:
            for sign, side in zip((1.0, -1.0), edges.sides, strict=True):
                slopes = side.evaluated(fields, t, True, share)[1]
                assert slopes is not None
                self.work.evaluated(slopes.size, True)
                for r in range(rows):
                    for v, A in side.second(slopes[..., r, :]).items():
                        on = fields[0][v * self.nodes + side.table.nodes]
                        gradient = np.einsum("eqml,em->eql", side.gradient(v), on)
                        normal = weight * sign * edges.normal
                        found[r] += np.einsum("eqk,eqkl,eql->eq", normal, A, gradient)
        return found

    def _scales(self, side: TestedFace, slopes: dict[int, np.ndarray]) -> np.ndarray:
        """γ = N C⁻¹, [edges, points, unknowns, conditions]."""
        N = self._fluxes_at(side, slopes, side.unknowns)
        C = self._conditions_at(side, slopes, side.unknowns)
        lengths = np.prod(np.linalg.norm(C, axis=-1), -1)
        bad = side.holds & ~(np.abs(np.linalg.det(C)) > NO_DERIVATIVE * lengths)
        if bad.any():
            raise ReferenceUnavailable(
                f"{side.rows[0][0].residual.name}: holds no derivative across the face by which"
                " finite elements could give the flux"
            )
        C = np.where(side.holds[..., None, None], C, np.eye(len(side.unknowns)))
        return np.linalg.solve(C.swapaxes(-1, -2), N.swapaxes(-1, -2)).swapaxes(-1, -2)

    def _fluxes_at(
        self, side: TestedFace, slopes: dict[int, np.ndarray], unknowns: Sequence[SidedUnknown]
    ) -> Float[np.ndarray, "edges points equations unknowns"]:
        """N_ij = n·A_ij n, along the normal out of the unknown's own piece."""
        m = len(unknowns)
        N = np.zeros((*side.weights.shape, m, m))
        for i, each in enumerate(unknowns):
            sampled, one = side.equation(each, self.equations)
            second = sampled.second(slopes[id(sampled)][..., one.row, :])
            for j, (on, u) in enumerate(unknowns):
                if on == each[0] and u in second:
                    across = np.einsum("eqk,eqkl,eql->eq", side.normal, second[u], side.normal)
                    N[..., i, j] = across if on == 0 else -across
        return N

    def _conditions_at(
        self, side: TestedFace, slopes: dict[int, np.ndarray], unknowns: Sequence[SidedUnknown]
    ) -> Float[np.ndarray, "edges points conditions unknowns"]:
        """C_rj = Σ_k n_k ∂c_r/∂u_j,k."""
        C = np.zeros((*side.weights.shape, len(side.rows), len(unknowns)))
        for r, (sampled, row) in enumerate(side.rows):
            for a, (name, index) in enumerate(sampled.residual.needs):
                space = self._layout.split(index)[0]
                one = (sampled.side(name), self._layout.number[name])
                if sum(space) == 1 and one in unknowns:
                    across = side.normal[..., space.index(1)]
                    C[..., r, unknowns.index(one)] += slopes[id(sampled)][..., row, a] * across
        return C

    def _value_given(
        self, given: Given, fields: Sequence[np.ndarray], t: float | None, partials: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """A condition at nodes, where derivatives in space do not enter."""
        leaves = np.zeros((len(given.nodes), len(given.residual.needs)))
        for a, (u, index) in enumerate(given.residual.needs):
            space, rate = self._layout.split(index)
            if not sum(space):
                leaves[:, a] = fields[rate][self._layout.number[u] * self.nodes + given.nodes_of(u)]
        values, slopes = given.residual(
            timed(self.problem, given.at, t), torch.from_numpy(leaves), given.normal, partials
        )
        return values.numpy(), None if slopes is None else slopes.numpy()

    def _partials_given(
        self, given: Given, fields: Sequence[np.ndarray], t: float | None
    ) -> Float[np.ndarray, "nodes leaves"]:
        slopes = self._value_given(given, fields, t, True)[1]
        assert slopes is not None
        return slopes[:, given.row]

    def _rows_given(self, slopes: Float[np.ndarray, " entries"], rate: complex) -> sp.csr_matrix:
        """The rows of values that are given."""
        entries, begin = [], 0
        for given in self._conditions.given:
            count = len(given.residual.needs)
            own = slopes[begin : (begin := begin + len(given.nodes) * count)].reshape(-1, count)
            for a, (u, index) in enumerate(given.residual.needs):
                space, order = self._layout.split(index)
                if not sum(space):
                    at = self._layout.number[u] * self.nodes + given.nodes_of(u)
                    entries.append((given.share * own[:, a] * rate**order, given.rows, at))
        if not entries:
            return sp.csr_matrix((self.size, self.size))
        data, rows, at = (np.concatenate(part) for part in zip(*entries, strict=True))
        return sp.coo_matrix((data, (rows, at)), shape=(self.size, self.size)).tocsr()

    # Construction

    def _residuals(self, piece: int) -> tuple[Residual, ...]:
        return tuple(dict.fromkeys(e.residual for e in self.equations if e.piece == piece))

    def _triangles(self) -> None:
        skfem = library()
        points, weights = skfem.quadrature.get_quadrature(skfem.ElementTriP2, DEGREE_OF_QUADRATURE)
        self._weights: dict[int, np.ndarray] = {}
        self._volumes: list[Sampling] = []
        for k in range(len(self.problem.groups)):
            here = np.flatnonzero(self.grid.piece == k)
            table = self.grid.tabulated(
                here, np.broadcast_to(points.T, (len(here), *points.T.shape))
            )
            determinant = np.linalg.det(table.bent)
            if not (np.sign(determinant) == np.sign(determinant[:, :1])).all():
                raise ReferenceUnavailable("the mesh is too coarse for the curves of the domain")
            self._weights[id(table)] = np.abs(determinant) * weights
            self._volumes += [Sampling(one, table, self._layout) for one in self._residuals(k)]

    def _inner_edges(self) -> None:
        mesh, self._edges = self.grid.mesh, []
        for k in range(len(self.problem.groups)):
            inner = (mesh.f2t[1] >= 0) & (self.grid.piece[mesh.f2t[0]] == k)
            edges = np.flatnonzero(inner)
            kinds = {
                one: kind_of_flux(one, self._inside[k], self._layout) for one in self._residuals(k)
            }
            if not len(edges) or all(kind is None for kind in kinds.values()):
                continue
            tables = [along_edges(self.grid, edges, mesh.f2t[s, edges]) for s in range(2)]
            (first, normal, weights), (second, _, _) = tables
            for residual, kind in kinds.items():
                if kind is not None:
                    both = tuple(Sampling(residual, t, self._layout) for t in (first, second))
                    self._edges.append(
                        InnerEdges(both, normal, weights, kind)  # type: ignore[arg-type]
                    )

    def _merged(self) -> sp.csr_matrix:
        """By which equations are added up; those of rows that conditions take are left out."""
        rows, N = MergedRows(self.size), self.nodes
        free = np.concatenate([self.free.ravel(), np.zeros(self.multipliers, dtype=bool)])
        for face in (face for face in self._conditions.sides if face.tied):
            for one, ratio in zip(face.tied, self._ratios(face), strict=True):
                first, second = one.first * N + face.nodes[0], one.second * N + face.nodes[1]
                taken = np.empty(len(first), int)
                for k, (a, b) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
                    taken[k] = rows.join(a, b, ratio, free)
                    if taken[k] >= 0:
                        free[taken[k]] = False
                self._conditions.tie(face, one, taken >= 0, taken[taken >= 0])
        self.free[:] = free[: self.free.size].reshape(self.free.shape)
        return rows.matrix(free)

    def _ratios(self, face: TestedFace) -> Float[np.ndarray, " tied"]:
        """How often the equation of the second of two unknowns that are tied is added to that of
        the first, so that the condition on fluxes takes both fluxes out. Raises
        ReferenceUnavailable where that is not the same everywhere."""
        rng = np.random.default_rng(0)
        fields = [rng.uniform(0.25, 0.75, self.size) for _ in range(1 + max(self.orders))]
        t = self.span[0] if self.time else None
        parts = [*face.equations.values(), *(sampled for sampled, _ in face.rows)]
        slopes = {id(part): self._partials(part, fields, t) for part in parts}
        second: list[SidedUnknown] = [(1, one.second) for one in face.tied]
        balanced = self._scales(face, slopes) @ self._conditions_at(face, slopes, second)
        fluxes = self._fluxes_at(face, slopes, second)
        found = np.linalg.solve(fluxes.swapaxes(-1, -2), balanced.swapaxes(-1, -2))
        places = [face.unknowns.index((0, one.first)) for one in face.tied]
        mean = found.mean((0, 1))
        alone = np.zeros_like(mean)
        alone[range(len(places)), places] = mean[range(len(places)), places]
        if not np.abs(found - alone).max() <= UNBALANCED * np.abs(mean).max():
            raise ReferenceUnavailable(
                f"{face.rows[0][0].residual.name}: the fluxes of the two equations are not those of"
                " the condition times one number each; expected equations such as d(k * d(u, x), x)"
                " with the k of the condition"
            )
        return alone[range(len(places)), places]

    def _constant_rows(self) -> sp.csr_matrix:
        """Middles of edges by their ends, for linear functions; and the constants of pressures."""
        N, grid = self.nodes, self.grid
        found = sp.lil_matrix((self.size, self.size))
        vertices = grid.mesh.p.shape[1]
        found[self._nowhere, self._nowhere] = 1.0
        for v in self.pressures:
            middles = v * N + np.arange(vertices, N)
            found[middles, middles] = 1.0
            for end in grid.mesh.facets:
                found[middles, v * N + end] = -0.5
        k = self.size - self.multipliers
        for v in (v for v, pins in self._pins.items() if pins is not None):
            total = Sum(self._layout, self.size)
            volume = self._volumes[0]
            tested = self._tested(volume, v)
            total.add(volume.table.nodes, v, tested, np.ones_like(tested[..., 0]))
            here = v * N + np.flatnonzero(self.free[v])
            found[here, k] = total.vector[here]
            if not self._conditions.pin(self._pins[v] or [], k):
                found[k, here] = total.vector[here]
            k += 1
        return found.tocsr()


def discretised(problem: Formulation, grid: Grid, work: Work | None) -> System | WeakSystem:
    """A problem as one system on a grid.

    Args:
        problem: What is discretised.
        grid: Of its space.
        work: What counts the operations.

    Raises:
        ReferenceUnavailable: Where equations and conditions do not fit the unknowns.
    """
    kind = WeakSystem if isinstance(grid, ElementGrid) else System
    return kind(problem, grid, work)  # type: ignore[arg-type]


def _cleaned(functions: np.ndarray) -> np.ndarray:
    """Functions on an edge, those that vanish there without their rounding."""
    return np.where(np.abs(functions) > 1e-12, functions, 0.0)
