"""A discretised problem as one system: its equations where no condition replaces them, its
conditions, and what a pressure needs (`pressure`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int

from kanpde.errors import ReferenceUnavailable, listed
from kanpde.problem.constraints import Constraint
from kanpde.problem.faces import space_faces
from kanpde.problem.formulation import Formulation
from kanpde.reference.blocks import BlocksOnGrid
from kanpde.reference.boundary import Placed, coordinates_on, match, place
from kanpde.reference.constancy import vary
from kanpde.reference.continued import Continued, absent, close_by, continued_pressures
from kanpde.reference.elsewhere import Condensed, missing_ends, totals
from kanpde.reference.embedded import Embedded
from kanpde.reference.factor import Solver, factored
from kanpde.reference.grid import Grid
from kanpde.reference.interfaces import place_on_pieces
from kanpde.reference.matrices import EntryPlaces, filled
from kanpde.reference.patchwork import Patchwork, numbers, piece_of
from kanpde.reference.pressure import depends, pinning, unseen_modes
from kanpde.reference.stencils import half_width
from kanpde.reference.work import Work
from kanpde.residual.residual import Residual

CONTRADICTION = 1e-6
"""What is added to an equation for the sake of a condition on the whole, relative to the equation
at zero, from which on the two contradict each other."""


class System:
    """r(U, U', U'') = 0 on a grid, for an evolution at any instant; U holds the unknowns on all
    nodes, then the multipliers.

    Attributes:
        problem: What is discretised.
        grid: Of its space.
        work: What counts the operations.
        time: The name of the time, or None.
        orders: Of each unknown in time.
        pressures: Numbers of the unknowns that no equation of their own holds.
        free: Which nodes have an equation for an unknown, [unknowns, nodes].
        multipliers: How many constants are added to equations of pressures.
        size: Of U.
        nodes: Of the grid.
    """

    def __init__(self, problem: Formulation, grid: Grid, work: Work | None = None):
        """Match equations with unknowns, and place conditions.

        Args:
            problem: What is discretised.
            grid: Of its space.
            work: What counts the operations; by default without a limit.

        Raises:
            ReferenceUnavailable: Where equations and conditions do not fit the unknowns.
        """
        self.problem, self.grid, self.work = problem, grid, work or Work()
        self.time = problem.domain.time
        V, N = len(problem.unknowns), grid.nodes
        self._number = numbers(problem)
        self._blocks = BlocksOnGrid(problem, grid, self._number, self.work)
        self._totals = totals(problem)
        self.orders = _time_orders(problem, self._number)
        equations = self._equations()
        placed = self._placed()
        self.free = np.zeros((V, N), dtype=bool)
        for _, _, v, nodes in equations:
            self.free[v, nodes] = True
        if isinstance(grid, Embedded | Patchwork):
            self.work.laid(grid.nodes)
        continued = absent(grid) + continued_pressures(problem, grid, self.pressures, self.free)
        continued += close_by(grid, V)
        for p in placed:
            self.free[p.unknown, p.owners] = False
        replaced, self._bordered = self._whole()
        for _, v, node in replaced:
            self.free[v, node] = False
        for v, nodes, _ in continued:
            self.free[v, nodes] = False
        self._parts = [
            self._blocks.of_equation(
                e, [(r, n[self.free[v, n]], v) for f, r, v, n in equations if f is e]
            )
            for e in dict.fromkeys(e for e, _, _, _ in equations)
        ]
        for p in placed:
            residual = p.constraint.residual
            normal = coordinates_on(problem, grid, p.constraint.face, p.at)[1]
            rows = [(p.row, np.arange(len(p.at)), p.unknown * N + p.owners)]
            self._parts.append(self._blocks.build(residual, p.at, normal, rows, p.beside or None))
        for c, v, node in replaced:
            self._parts.append(self._blocks.of_total(c, v * N + node))
        self._fixed = self._constant_rows(continued)
        self.size, self.nodes = V * N + self.multipliers, N
        self._places: EntryPlaces | None = None

    def _equations(self) -> list[tuple[Residual, int, int, Int[np.ndarray, " nodes"]]]:
        """(equation, its row, the unknown that it is solved for, the nodes where it holds)."""
        problem, grid, found = self.problem, self.grid, []
        self.pressures: list[int] = []
        self._closures: list[tuple[Residual, int]] = []
        for region, equations in problem.groups:
            names, nodes = problem.unknowns, np.arange(grid.nodes)
            if isinstance(grid, Patchwork):
                piece = piece_of(region)
                names = tuple(u for u in problem.copies if grid.pieces.home(u) == piece)
                nodes = nodes[grid.own(piece)]
            at = {x: v[torch.from_numpy(nodes)] for x, v in grid.points().items()}
            if self.time:
                start = problem.domain.bounds[self.time][0]
                at[self.time] = torch.full((len(nodes),), start, dtype=torch.float64)
            for e, r, v in match(problem, equations, names, at):
                number = self._number[names[v]]
                if not depends(e, r, names[v], at):
                    self.pressures.append(number)
                    self._closures.append((e, r))
                found.append((e, r, number, nodes))
        return found

    def _placed(self) -> list[Placed]:
        """The conditions, but those that only pin a pressure."""
        if isinstance(self.grid, Patchwork):
            if self.pressures:
                raise ReferenceUnavailable(
                    f"{self.problem.unknowns[self.pressures[0]]!r} is a pressure, which no equation"
                    " of its own holds; on pieces it is not discretised"
                )
            self._pins: dict[int, list[Constraint] | None] = {}
            return place_on_pieces(self.problem, self.grid)
        self._pins = {v: pinning(self.problem, v, self.pressures) for v in self.pressures}
        left = [c for pins in self._pins.values() for c in pins or []]
        return place(self.problem, self.grid, leave=[*left, *self._totals])

    def _whole(self) -> tuple[list[tuple[Constraint, int, int]], list[tuple[Constraint, int]]]:
        """The conditions that hold for the whole, each with its unknown: those that take the place
        of a condition at an end, with the node whose row they fill, and those for which a constant
        is added to the unknown's equation, since no condition is missing."""
        replaced: list[tuple[Constraint, int, int]] = []
        bordered: list[tuple[Constraint, int]] = []
        for c in self._totals:
            name = next(u for one in c.residual.afar for u, _ in one.leaves)
            # Numbers that are found with the unknowns have rows for what determines them.
            rows = [u for u in (name, *self.problem.numbers) if self._lacks(u, replaced)]
            if not rows:
                bordered.append((c, self._number[name]))
                continue
            if len(self.grid.names) > 1:
                raise ReferenceUnavailable(
                    f"{c.label}: takes the place of conditions on a face, of which there are many"
                )
            v = self._number[rows[0]]
            ends = [self.grid.face(self.problem.domain.faces[f]) for f in self._ends()]
            free = [int(nodes[0]) for nodes in ends if self.free[v, nodes[0]]]
            if not free:
                raise ReferenceUnavailable(f"{c.label}: no row is left for it")
            self.free[v, free[0]] = False
            replaced.append((c, v, free[0]))
        return replaced, bordered

    def _lacks(self, unknown: str, replaced: Sequence[tuple[Constraint, int, int]]) -> bool:
        """Whether an unknown has less conditions at ends than its order asks for, those that took
        the place of some not counted."""
        taken = sum(w == self._number[unknown] for _, w, _ in replaced)
        return missing_ends(self.problem, unknown, self._totals) > taken

    def _ends(self) -> list[str]:
        """The faces of space, those first on which no condition is given."""
        held = {c.face for c in self.problem.constraints if c not in self._totals}
        return sorted(space_faces(self.problem.domain), key=lambda face: face in held)

    # Evaluation

    def residual(
        self,
        fields: Sequence[Float[np.ndarray, "size stages"]],
        t: Float[np.ndarray, " stages"] | None = None,
    ) -> Float[np.ndarray, "size stages"]:
        """r at some instants at once; fields: U and its derivatives in time."""
        found = self._fixed @ fields[0]
        for part in self._parts:
            values = self._blocks.evaluated(part, fields, t, False)[0].reshape(
                part.points, -1, part.residual.equations
            )
            for r, points, rows in part.rows:
                if part.mean:
                    found[rows[0]] += part.share * values[points, :, r].sum(0)
                else:
                    found[rows] += values[points, :, r]
        return found

    def slopes(
        self, fields: Sequence[Float[np.ndarray, "size 1"]], t: float | None = None
    ) -> Float[np.ndarray, " entries"]:
        """Partials of r at one instant, as `matrix` takes them."""
        found = []
        for part in self._parts:
            slopes = self._blocks.evaluated(
                part, fields, None if t is None else np.array([t]), True
            )[1]
            assert slopes is not None
            for r, points, _ in part.rows:
                found.append(slopes[points, r].T.ravel())
        return np.concatenate([*found, [1.0]])

    def matrix(self, slopes: Float[np.ndarray, " entries"], rate: complex = 0.0) -> sp.csc_matrix:
        """∂r/∂U + rate ∂r/∂U' + rate² ∂r/∂U''."""
        made = self._entry_places()
        with np.errstate(over="ignore", invalid="ignore"):  # the factor says what is not finite
            scaled = slopes * np.array([1.0, rate, rate**2])[made.rates]
            data = np.add.reduceat(scaled[made.slope] * made.weight, made.starts)
        return sp.csc_matrix((data, made.indices, made.indptr), shape=(self.size, self.size))

    def matrices(self, slopes: Float[np.ndarray, " entries"]) -> list[np.ndarray | sp.csr_matrix]:
        """∂r/∂U, ∂r/∂U' and so on.

        Args:
            slopes: Partials of r, as `slopes` gives them.
        """
        orders = range(1 + max(self.orders))
        if self._full:
            return filled(self._parts, self._fixed, self.grid.nodes, slopes)[: len(orders)]
        rates = self._entry_places().rates
        return [self.matrix(np.where(rates == k, slopes, 0.0), 1.0).tocsr() for k in orders]

    @property
    def span(self) -> tuple[float, float]:
        """The time of an evolution."""
        return self.problem.domain.bounds[str(self.time)]

    @property
    def far(self) -> bool:
        """Whether rows reach over all of the grid."""
        return any(
            part.residual.afar or isinstance(part.residual, Condensed) for part in self._parts
        )

    def at(self, t: float) -> str:
        """An instant in words."""
        return f"{self.time} = {t:.4g}"

    def on_nodes(
        self, U: Float[np.ndarray, "unknowns nodes"]
    ) -> Float[np.ndarray, "unknowns nodes"]:
        """Values on the nodes, from what the system solves for.

        Args:
            U: By unknown.
        """
        return self.grid.values(U)

    def factor(self, slopes: Float[np.ndarray, " entries"], rate: complex, check: bool) -> Solver:
        """Of `matrix`; check: whether to refuse one that is singular."""
        A: sp.csr_matrix | np.ndarray
        if self._full:
            each = filled(self._parts, self._fixed, self.grid.nodes, slopes)
            A = sum((rate**k * part for k, part in enumerate(each[1:], 1)), each[0])
        else:
            A = self.matrix(slopes, rate).tocsr()
            A = A.toarray() if self.far else A
        return factored(A, self.grid, self.width(), self.work, check)

    def defect(self, U: Float[np.ndarray, " size"], nodes: np.ndarray) -> float:
        """The largest residual of the pressures' equations at some nodes, relative to the largest
        sum of their terms anywhere."""
        worst = 0.0
        for equation, r in self._closures:
            part = self._blocks.build(equation, np.arange(self.grid.nodes), None, [])
            values, slopes = self._blocks.evaluated(part, [U[:, None]], None, True)
            assert slopes is not None
            leaves = np.zeros((part.points, part.width))
            for (v, _), (columns, stack) in part.stacks.items():
                leaves[:, columns] = (
                    (stack @ U[v * self.grid.nodes : (v + 1) * self.grid.nodes])
                    .reshape(len(columns), -1)
                    .T
                )
            terms = np.abs(slopes[:, r] * leaves).sum(1).max(initial=0.0)
            worst = max(
                worst, float(np.abs(values[nodes, r]).max(initial=0.0) / terms) if terms else 0.0
            )
        return worst

    def constant(self) -> Float[np.ndarray, " entries"] | None:
        """The partials where they are the same for every solution and always."""
        if not all(part.residual.affine for part in self._parts):
            return None
        ways = [(_at_the_points(p.residual), p.at, p.normal) for p in self._parts]
        if self.time and any(vary(r, at, self.time, self.span, n) for r, at, n in ways):
            return None
        rng, found = np.random.default_rng(0), None
        for t in (
            np.linspace(*self.problem.domain.bounds[self.time], 3) if self.time else [None] * 2
        ):
            slopes = self.slopes(
                [rng.uniform(0.25, 0.75, (self.size, 1)) for _ in range(1 + max(self.orders))], t
            )
            if found is not None and (slopes != found).any():
                return None
            found = slopes
        return found

    def width(self) -> int:
        """How far the stencils of the equations reach, the thickness of a separator."""
        space = len(self.grid.names)
        return max(
            half_width(max(m, 1), self.grid.order)
            for e in self.problem.equations
            for _, index in e.needs
            for m in index[:space]
        )

    @property
    def _full(self) -> bool:
        """Whether all matrices are."""
        return all(part.full for part in self._parts)

    def _entry_places(self) -> EntryPlaces:
        """Found when they are first asked for."""
        if self._places is None:
            self._places = EntryPlaces(self._parts, self._fixed, self.grid.nodes)
        return self._places

    # Rows that come from no residual

    def _constant_rows(self, continued: list[Continued]) -> sp.csr_matrix:
        """The rows that do not come from residuals, [size, size]; those of conditions that pin a
        constant are added to the parts."""
        V, N = len(self.problem.unknowns), self.grid.nodes
        modes = [
            (v, mode)
            for v in self.pressures
            if self._pins[v] is not None
            for mode in unseen_modes(self.grid)
        ]
        self.multipliers = len(modes) + len(self._bordered)
        size = V * N + self.multipliers
        for k, (c, _) in enumerate(self._bordered, V * N + len(modes)):
            self._parts.append(self._blocks.of_total(c, k))
        found = sp.lil_matrix((size, size))
        for v, nodes, rows in continued:
            found[v * N + nodes, v * N : (v + 1) * N] = rows @ self._on_nodes
        for k, (v, mode) in enumerate(modes, V * N):
            pins = self._pins[v]
            if (mode == 1).all() and pins:
                self._parts += [self._blocks.mean(pin, k, len(pins)) for pin in pins]
            else:
                found[k, v * N : (v + 1) * N] = self._on_nodes.T @ mode / N
            inside = np.flatnonzero(self.free[v])
            found[v * N + inside, k] = mode[inside]
        for k, (_, v) in enumerate(self._bordered, V * N + len(modes)):
            inside = np.flatnonzero(self.free[v])
            found[v * N + inside, k] = 1.0
        return found.tocsr()

    def check_whole(self, U: Float[np.ndarray, " size"]) -> None:
        """Check that no constant had to be added to an equation for a condition on the whole.

        Args:
            U: The solution, then the multipliers.

        Raises:
            ReferenceUnavailable: One had to be: equations and conditions contradict each other.
        """
        if not self._bordered:
            return
        rest = np.abs(self.residual([np.zeros((self.size, 1))])).max()
        for (c, _), added in zip(self._bordered, U[-len(self._bordered) :], strict=True):
            if abs(added) > CONTRADICTION * max(rest, np.finfo(float).tiny):
                raise ReferenceUnavailable(
                    f"{c.label}: there is a solution only if {added:.3g} is added to the equation:"
                    " equations and conditions contradict each other"
                )

    @property
    def _on_nodes(self) -> sp.csr_matrix:
        """Takes what the system solves for to values on the nodes."""
        return self.grid.derivative((0,) * len(self.grid.names))


def _at_the_points(residual: Residual) -> Residual:
    """What is evaluated there."""
    return residual.inner if isinstance(residual, Condensed) else residual


def _time_orders(problem: Formulation, number: Mapping[str, int]) -> list[int]:
    """The order of each unknown in time. Raises ReferenceUnavailable where it differs from piece to
    piece."""
    found: list[set[int]] = [set() for _ in problem.unknowns]
    for name in problem.copies:
        found[number[name]].add(
            problem.order(name, problem.domain.time) if problem.domain.time else 0
        )
    for u, orders in zip(problem.unknowns, found, strict=True):
        if len(orders) > 1:
            raise ReferenceUnavailable(
                f"{u!r} is of order {listed(map(str, sorted(orders)))} in time, by piece; finite"
                " differences take pieces that agree in it"
            )
    return [next(iter(orders)) for orders in found]
