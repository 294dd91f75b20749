"""What conditions determine beside a solution: numbers, and coefficients by their values on the
nodes of their own coordinates, with all of the solution, at all times at once.

Equations hold on all nodes, those of faces among them, and conditions on all nodes of their faces.
There are more rows than unknowns, and which of them say the same need not be known: they are met in
the sense of least squares (rectangular collocation: Driscoll and Hale 2016). What is smooth meets
all of them to rounding; what is not shows on another grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable, SolutionDoubtful
from kanpde.geometry import Box
from kanpde.problem.determined import forward, holds_once
from kanpde.problem.formulation import Formulation
from kanpde.problem.parameters import Field
from kanpde.problem.problem import Problem
from kanpde.reference.blocks import BlocksOnGrid
from kanpde.reference.boundary import chosen, coordinates_on
from kanpde.reference.factor import Solver
from kanpde.reference.grid import Grid
from kanpde.reference.least import LeastFactor
from kanpde.reference.matrices import BlockOfRows
from kanpde.reference.steady import newton
from kanpde.reference.work import OutOfWork, Work

UNMET_ROW, CANCELLED = 1e-6, 1e-8
"""Of the terms of an equation or a condition, up to which it is met, and of what has cancelled in
these terms, what they count for at least."""


def at_once(problem: Problem) -> Formulation:
    """The same problem on a box that has time among its coordinates, with parameters among its
    unknowns.

    Args:
        problem: One whose parameters conditions determine, if it has any.

    Raises:
        ReferenceUnavailable: The domain is no box.
    """
    if not problem.domain.is_box:
        raise ReferenceUnavailable(
            "what conditions determine beside a solution is found on boxes: these are no box"
        )
    box, names = Box(**problem.domain.bounds), tuple(p.name for p in problem.parameters)
    numbers = {p.name: p.initial for p in problem.parameters}
    easier = forward(problem, numbers)[0] if names else None
    return Formulation(
        domain=box,
        unknowns=(*problem.unknowns, *names),
        copies=(*problem.copies, *names),
        groups=((box, problem.equations),),
        constraints=problem.constraints,
        periodic=problem.periodic,
        parameters=problem.parameters,
        easier=None if easier is None else at_once(easier),
        numbers=numbers,
    )


def solve_beside(
    problem: Formulation,
    grid: Grid,
    start: Float[np.ndarray, "unknowns nodes"] | None = None,
    work: Work | None = None,
) -> tuple[Float[np.ndarray, "unknowns nodes"], Float[np.ndarray, " unknowns"]]:
    """The unknowns on the nodes, those that are parameters the same along what these do not depend
    on.

    Args:
        problem: As `at_once` gives it.
        grid: Of its domain.
        start: A first guess; by default the solution for the numbers where the search begins.
        work: What counts the operations.

    Returns:
        The unknowns, and the size that rounding has in each.

    Raises:
        ReferenceUnavailable: Newton's method does not converge.
        SolutionDoubtful: Something is not determined.
    """
    work = work or Work()
    equations = _Rows(problem, grid, work)
    if start is None:
        start = equations.begun()
    factor = _Tied(problem, grid, work)
    names = problem.unknowns
    solved, noise = newton(equations, start.ravel(), grid, 1, names, work, decomposed=factor)
    found = solved.reshape(len(names), -1)
    for p in problem.parameters:
        own = found[names.index(p.name)]
        if not p.low < own.min() <= own.max() < p.high:
            raise SolutionDoubtful(
                f"{p.what}: is from {own.min():.4g} to {own.max():.4g}, beyond its bounds"
            )
    return found, noise


def check_met(
    problem: Formulation, grid: Grid, values: Float[np.ndarray, "unknowns nodes"]
) -> None:
    """Check that least squares have left nothing: that all rows are met and not a compromise.

    Args:
        problem: As `at_once` gives it.
        grid: Of its domain.
        values: Of the unknowns on the nodes.

    Raises:
        SolutionDoubtful: An equation or a condition is not met, so that they contradict each other.
    """
    worst, name = _Rows(problem, grid, Work()).left(values)
    if worst > UNMET_ROW:
        raise SolutionDoubtful(
            f"equations and conditions contradict each other: {name} is missed by {worst:.1e} of"
            " its terms where all are met as well as they can be"
        )


class _Rows:
    """Residuals of all equations and conditions on a grid, and their slopes.

    Args:
        problem: As `at_once` gives it.
        grid: Of its domain.
        work: What counts the operations.
    """

    def __init__(self, problem: Formulation, grid: Grid, work: Work):
        self._problem, self._grid, self._work = problem, grid, work
        number = {u: k for k, u in enumerate(problem.unknowns)}
        self._blocks = BlocksOnGrid(problem, grid, number, work)
        self._parts = list(self._made())
        self._names = [e.name for e in problem.equations] + [c.label for c in problem.constraints]

    def _made(self) -> Iterator[BlockOfRows]:
        problem, grid, every = self._problem, self._grid, np.arange(self._grid.nodes)
        for equation in problem.equations:
            yield self._blocks.build(equation, every, None, [])
        for c in problem.constraints:
            nodes = grid.face(problem.domain.faces[c.face])
            nodes = nodes[chosen(c, problem, grid, nodes)]
            if holds_once(c, problem.domain):
                nodes = nodes[:1]
            normal = coordinates_on(problem, grid, c.face, nodes)[1]
            yield self._blocks.build(c.residual, nodes, normal, [])

    def begun(self) -> Float[np.ndarray, "unknowns nodes"]:
        """Where the search begins."""
        problem, grid = self._problem, self._grid
        first = np.zeros((len(problem.unknowns), grid.nodes))
        for name, value in problem.numbers.items():
            first[problem.unknowns.index(name)] = value
        if problem.easier is None:
            return first
        try:
            found = solve_beside(problem.easier, grid, work=self._work)[0]
        except OutOfWork:
            raise
        except ReferenceUnavailable:
            return first
        first[: len(found)] = found
        return first

    def __call__(
        self, U: Float[np.ndarray, " size"], jacobian: bool
    ) -> tuple[Float[np.ndarray, " rows"], sp.csr_matrix | None]:
        values, matrices = [], []
        for part in self._parts:
            r, slopes = self._blocks.evaluated(part, [U[:, None]], None, jacobian)
            values.append(r.T.ravel())
            if slopes is not None:
                matrices += [self._matrix(part, of_one) for of_one in slopes.transpose(1, 2, 0)]
        return np.concatenate(values), sp.vstack(matrices, "csr") if jacobian else None

    def _matrix(
        self, part: BlockOfRows, slopes: Float[np.ndarray, "leaves points"]
    ) -> sp.csr_matrix:
        """∂r/∂U of one equation of a block."""
        nodes = self._grid.nodes
        found = [sp.csr_matrix((part.points, nodes)) for _ in self._problem.unknowns]
        for (v, _), (columns, stack) in part.stacks.items():
            for k, a in enumerate(columns):
                here = stack[k * part.points : (k + 1) * part.points]
                found[v] = found[v] + sp.diags(slopes[a]) @ here
        return sp.hstack(found, "csr")

    def left(self, values: Float[np.ndarray, "unknowns nodes"]) -> tuple[float, str]:
        """The largest residual over the largest term of the same equation or condition, and its
        name."""
        worst, size = (0.0, ""), np.abs(values).max(1, keepdims=True) + 0 * values
        for part, name in zip(self._parts, self._names, strict=True):
            r, slopes = self._blocks.evaluated(part, [values.reshape(-1, 1)], None, True)
            for k, of_one in enumerate(slopes.transpose(1, 2, 0)):
                lost = (abs(self._matrix(part, of_one)) @ size.ravel()).max()
                terms = max(self._largest(part, of_one, values), CANCELLED * lost)
                terms = max(terms, np.finfo(float).tiny)
                worst = max(worst, (float(np.abs(r[:, k]).max()) / terms, name))
        return worst

    def _largest(
        self,
        part: BlockOfRows,
        slopes: Float[np.ndarray, "leaves points"],
        values: Float[np.ndarray, "unknowns nodes"],
    ) -> float:
        """The largest term of an equation, with what an unknown or a derivative is at most anywhere
        for what it is at the points."""
        found, needs = 0.0, part.residual.needs
        for (v, _), (columns, stack) in part.stacks.items():
            each = (stack @ values[v]).reshape(len(columns), -1)
            for a, here in zip(columns, each, strict=True):
                near = a < len(needs)
                anywhere = self._grid.derivative(needs[a][1]) @ values[v] if near else here
                found = max(found, float(np.abs(slopes[a]).max() * np.abs(anywhere).max()))
        return found


class _Tied:
    """Makes factors of matrices whose unknowns are parameters on some of the nodes.

    Args:
        problem: As `at_once` gives it.
        grid: Of its domain.
        work: What counts the operations.
    """

    def __init__(self, problem: Formulation, grid: Grid, work: Work):
        self._work = work
        own: Mapping[str, tuple[str, ...]] = {
            p.name: p.of if isinstance(p, Field) else () for p in problem.parameters
        }
        whole = sp.identity(grid.nodes, format="csr")
        self._spread = sp.block_diag(
            [_along(grid, own[u]) if u in own else whole for u in problem.unknowns], "csr"
        )

    def __call__(self, A: sp.csr_matrix) -> Solver:
        return LeastFactor(A, self._spread, self._work)


def _along(grid: Grid, own: tuple[str, ...]) -> sp.csr_matrix:
    """Values on all nodes [nodes, some], from those on the nodes of some coordinates."""
    found = sp.identity(1, format="csr")
    for x, n in zip(grid.names, grid.shape, strict=True):
        part = sp.identity(n) if x in own else np.ones((n, 1))
        found = sp.kron(found, part, format="csr")
    return found
