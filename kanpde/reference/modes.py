"""Eigenvalue problems on a grid: iteration with the inverse of J(σ), for σ near the eigenvalues."""

from __future__ import annotations

import numpy as np
import scipy  # whose parts are imported when they are first used
from jaxtyping import Complex, Float

from kanpde.errors import ProblemError, ReferenceUnavailable
from kanpde.problem.formulation import Formulation
from kanpde.problem.pencil import (
    FOUND_BESIDE,
    NEAR_ZERO,
    NEARLY_REAL,
    Pencil,
    asked_for,
    groups_of,
    matched,
    real_ones,
    real_vector,
    shift_for,
    turned,
    unshifted,
)
from kanpde.reference.factor import factored
from kanpde.reference.grid import Grid
from kanpde.reference.lowered import lowered
from kanpde.reference.norms import by_unknown, rounding_of
from kanpde.reference.system import System
from kanpde.reference.work import Work

WHOLE_SPECTRUM_OF_A_GRID = 1500
"""Values on the nodes up to which all eigenvalues of a grid are found."""


def solve_modes(
    problem: Pencil,
    grid: Grid,
    start: Float[np.ndarray, "unknowns nodes"] | None,
    work: Work,
) -> tuple[Float[np.ndarray, "unknowns nodes"], Float[np.ndarray, " unknowns"]]:
    """The functions and eigenvalues on the nodes, the latter the same on all of them.

    Args:
        problem: The pencil.
        grid: Of its domain.
        start: What a coarser grid found; None before there is any.
        work: What counts the operations.

    Returns:
        The unknowns, and the size that rounding has in each.

    Raises:
        ReferenceUnavailable: Where eigenvalues are not found, or are complex.
    """
    modes, names = problem.modes, problem.unknowns
    numbers = [names.index(m.eigenvalue) for m in modes]
    asked = known = np.zeros(0) if start is None else start[numbers].mean(1)
    fields = len(modes[0].unknowns)
    if grid.nodes * len(lowered(problem.settled(0.0)).unknowns) <= WHOLE_SPECTRUM_OF_A_GRID:
        try:
            every = _Shifted(problem, grid, None, work).every()
            asked = asked_for(modes, every)
        except ProblemError as error:
            raise ReferenceUnavailable(str(error)) from error
        known = np.append(real_ones(every), asked)
    elif start is None:
        raise ReferenceUnavailable(
            f"the first grid, of {grid.nodes:,} nodes, is too large for all of its eigenvalues"
        )
    shift, count = shift_for(asked, known)
    shifted = _Shifted(problem, grid, shift, work)
    values, vectors = shifted.nearest(max(count, len(modes)) + FOUND_BESIDE)
    chosen = matched(asked, values.real)
    apart = np.maximum(np.abs(values), np.abs(values - shift))
    if (np.abs(values.imag) > NEARLY_REAL * apart)[chosen].any():
        raise ReferenceUnavailable("eigenvalues that are asked for are complex")
    found = np.array([values[k].real for k in chosen])
    real = [real_vector(vectors[:, k], values[k]) for k in chosen]
    functions = np.stack([shifted.on_nodes(vector)[:fields] for vector in real])
    functions /= np.sqrt((functions**2).mean((1, 2), keepdims=True))
    U, noise = np.empty((len(names), grid.nodes)), np.zeros(len(names))
    rounding = [shifted.noise(vector) for vector in real]
    for k, mode in enumerate(modes):
        which = [names.index(u) for u in mode.unknowns]
        U[which], U[numbers[k]] = functions[k], found[k]
        sizes = np.sqrt((functions[k] ** 2).mean(1))
        noise[which] = rounding[k] * sizes
        noise[numbers[k]] = rounding[k] * abs(found[k] - shift)
    return U, noise


def like_before(
    problem: Pencil,
    grid: Grid,
    closed: Float[np.ndarray, "unknowns ..."],
    before: Grid,
    values: Float[np.ndarray, "unknowns ..."],
) -> Float[np.ndarray, "unknowns ..."]:
    """The functions of each eigenvalue mixed so that they are as near to those on another grid as
    they can be, at the nodes that both have.

    Args:
        problem: The pencil.
        grid: Where they were found.
        closed: The unknowns on its closed grid.
        before: The other grid.
        values: The unknowns on that, closed.
    """
    names, modes = problem.unknowns, problem.modes
    here, there = (
        part.reshape(len(names), -1) for part in grid.shared(grid.even(closed), before, values)
    )
    within = np.isfinite(here).all(0) & np.isfinite(there).all(0)
    numbers = np.array([np.nanmean(closed[names.index(m.eigenvalue)]) for m in modes])
    found = closed.copy()
    for group in groups_of(numbers, max(float(np.abs(numbers).max()), problem.scale)):
        own = [[names.index(u) for u in modes[k].unknowns] for k in group]
        flat, target = (
            np.stack([part[which][:, within].ravel() for which in own]) for part in (here, there)
        )
        mixture = turned(target, flat)
        for each in zip(*own, strict=True):
            found[list(each)] = np.tensordot(mixture, closed[list(each)], 1)
    return found


class _Shifted:
    """J(σ) on a grid, and its derivative by the eigenvalue.

    shift: σ; None for one that is close to zero.
    """

    def __init__(self, problem: Pencil, grid: Grid, shift: float | None, work: Work):
        self.grid, self._work = grid, work
        zero, A = _assembled(problem, 0.0, grid, work)
        B = _assembled(problem, 1.0, grid, work)[1] - A
        sizes = [float(np.sqrt((M.data**2).sum())) for M in (A, B)]
        large = sizes[0] / (sizes[1] or 1.0)
        # From numbers far apart, what J changes by is free of rounding.
        B = (_assembled(problem, large, grid, work)[1] - A) / large
        self.shift = -NEAR_ZERO * large if shift is None else shift
        self.A = (A + self.shift * B).tocsr()
        self.B, self.system = B.tocsr(), zero
        self.factor = factored(self.A, grid, zero.width(), work, check=False)

    def every(self) -> Complex[np.ndarray, " some"]:
        """All eigenvalues of the grid."""
        dense = self.B.toarray()
        columns = np.stack([-self.factor.once(dense[:, k]) for k in range(len(dense))], 1)
        return unshifted(self.shift, np.linalg.eigvals(columns))

    def nearest(
        self, count: int
    ) -> tuple[Complex[np.ndarray, " some"], Complex[np.ndarray, "size some"]]:
        """The eigenvalues nearest to the shift, and their vectors."""
        size = self.A.shape[0]
        way = scipy.sparse.linalg.LinearOperator(
            (size, size), matvec=lambda x: -self.factor.solve(self.B @ x.ravel()), dtype=float
        )
        begin = np.random.default_rng(1).standard_normal(size)
        try:
            found, vectors = scipy.sparse.linalg.eigs(
                way, k=min(count, size - 2), which="LM", v0=begin
            )
        except scipy.sparse.linalg.ArpackNoConvergence as error:
            raise ReferenceUnavailable(
                f"Arnoldi's method finds {len(error.eigenvalues)} of {count} eigenvalues near"
                f" {self.shift:.6g}"
            ) from None
        return unshifted(self.shift, found), vectors

    def on_nodes(self, vector: Float[np.ndarray, " size"]) -> Float[np.ndarray, "all nodes"]:
        """The values of a vector."""
        return self.grid.values(by_unknown(vector, self.grid.nodes))

    def noise(self, vector: Float[np.ndarray, " size"]) -> float:
        """What rounding is of a vector, over its size."""
        once, nodes = self.factor.once, self.grid.nodes
        each = rounding_of(self.A, once, np.abs(vector), nodes, self.grid.values)
        return float(each.max() / np.sqrt((self.on_nodes(vector) ** 2).mean(1)).max())


def _assembled(problem: Pencil, value: float, grid: Grid, work: Work):
    """The system of one solution with a number for the eigenvalue, and its matrix."""
    settled: Formulation = lowered(problem.settled(value))
    system = System(settled, grid, work)
    fields = [np.zeros((system.size, 1))]
    return system, system.matrix(system.slopes(fields))
