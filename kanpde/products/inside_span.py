"""The rows of a span of time on a domain that is no box: its equations at points inside and its
conditions at points of faces, each at all points of collocation in time.

Coefficients are of products of splines in space, and of modes in time behind what is given at the
start. What is free are functions of space, each with its highest rates at the points in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int

from kanpde.problem.constraints import Constraint
from kanpde.problem.formulation import Formulation
from kanpde.products.axes import Axis, Modes
from kanpde.products.balance import row_sizes
from kanpde.products.held import Held
from kanpde.products.inside import FINER_WHERE_CUT, Inside, inside_of
from kanpde.products.newton import Iterate
from kanpde.products.rows import Places, points_of, unmet
from kanpde.products.staged import Staged, StagedCells, StagedFace
from kanpde.products.stages import Stages


@dataclass(frozen=True, eq=False)
class SpanInside:
    """The rows of a span.

    Attributes:
        cells: Equations inside.
        faces: Conditions on faces.
        stages: Points in time.
        number: Of the free function of space behind each coefficient in space, -1 where given.
        free: How many there are.
        at: The domain among the cells.
        orders: Of each unknown, the order of its highest rate.
    """

    cells: tuple[StagedCells, ...]
    faces: tuple[StagedFace, ...]
    stages: Stages
    number: Int[np.ndarray, "unknowns x y"]
    free: int
    at: Inside
    orders: tuple[int, ...]

    @property
    def rows(self) -> tuple[Staged, ...]:
        """All rows."""
        return (*self.cells, *self.faces)

    @property
    def unknowns(self) -> tuple[str, ...]:
        """Their names."""
        return self.cells[0].unknowns

    @property
    def affine(self) -> bool:
        """Whether J is the same everywhere."""
        return all(one.affine for some in self.rows for one in some.residuals)

    @property
    def powers(self) -> int:
        """How many powers of S there are, the 0-th included."""
        return self.stages.modes.order + 1

    def linear(
        self, C: Float[np.ndarray, "unknowns ..."]
    ) -> tuple[list[Float[np.ndarray, "_n _e"]], list[Float[np.ndarray, "_n _e _l"]]]:
        """All rows, and their partials by the derivatives.

        Args:
            C: The coefficients.
        """
        found = [some.linear(C) for some in self.rows]
        return [r for r, _ in found], [g for _, g in found]

    def pushed(
        self, slopes: Sequence[Float[np.ndarray, "_n _e _l"]], d: Float[np.ndarray, "free stages"]
    ) -> list[Float[np.ndarray, "_n _e"]]:
        """J times a change.

        Args:
            slopes: Partials of all rows.
            d: The change, of free modes in time.
        """
        D = self.spread(d)
        return [some.pushed(g, D) for some, g in zip(self.rows, slopes, strict=True)]

    def spread(self, d: Float[np.ndarray, "free stages"]) -> Float[np.ndarray, "unknowns ..."]:
        """A change of free functions and modes as one of all coefficients.

        Args:
            d: The change.
        """
        modes = self.stages.modes
        found = np.zeros((*self.number.shape, modes.size))
        padded = np.concatenate([d, np.zeros((1, d.shape[1]))])
        found[..., modes.order :] = padded[self.number]
        return found

    def gathered(
        self, c: Float[np.ndarray, "unknowns x y times"]
    ) -> Float[np.ndarray, "free times"]:
        """Sums over the coefficients of each free function.

        Args:
            c: By all coefficients in space.
        """
        flat = c.reshape(-1, c.shape[-1])
        return self.picking.T @ flat

    def highest(
        self, d: Float[np.ndarray, "unknowns x y stages"]
    ) -> Float[np.ndarray, "unknowns x y stages"]:
        """The highest rates at the points in time of each unknown.

        Args:
            d: Of free modes.
        """
        return np.stack([own @ way.T for own, way in zip(d, self.ways, strict=True)])

    def modes_of(self, F: Float[np.ndarray, "free stages"]) -> Float[np.ndarray, "free stages"]:
        """Free modes with given highest rates at the points in time.

        Args:
            F: The rates, of free functions.
        """
        found = np.empty_like(F)
        for own, way in zip(self.number, self.ways, strict=True):
            some = np.unique(own[own >= 0])
            found[some] = F[some] @ np.linalg.inv(way).T
        return found

    @cached_property
    def ways(self) -> list[Float[np.ndarray, "stages stages"]]:
        """From free modes to the highest rates of each unknown."""
        order = self.stages.modes.order
        return [self.stages.rates[own][:, order:] for own in self.orders]

    @cached_property
    def picking(self) -> sp.csr_matrix:
        """From free functions to coefficients in space."""
        numbers = self.number.ravel()
        some = np.flatnonzero(numbers >= 0)
        shape = len(numbers), self.free
        return sp.csr_matrix((np.ones(len(some)), (some, numbers[some])), shape=shape)

    def mean(
        self, some: Staged, g: Float[np.ndarray, "_n rows leaves"]
    ) -> list[Float[np.ndarray, "points rows leaves"]]:
        """Partials in space of some rows, on the average over the span, by the power of S that they
        stand for.

        Args:
            some: The rows.
            g: Partials at all points and times.
        """
        times = len(self.stages.share)
        mean = g.reshape(-1, times, *g.shape[1:]).mean(1)
        found = []
        for e in range(self.powers):
            meant = [
                self.orders[some.unknowns.index(u)] - index[-1] == e for u, index in some.leaves
            ]
            found.append(mean * np.array(meant, dtype=float))
        return found

    def unmet(self, at: Iterate, tolerance: float, sizes: Float[np.ndarray, " unknowns"]) -> float:
        """How far the rows are from being met, over their own terms.

        Args:
            at: Where Newton's method ended.
            tolerance: A residual that coefficients wrong by this much would leave counts as none.
            sizes: Of the unknowns, of which it is a share.
        """
        r, slopes = self.linear(at.C)
        allowed = tolerance * float((sizes * np.array(at.stiffness)).max())
        inside = sum(float((one**2).sum()) for one in r[: len(self.cells)])
        worst = 0.0
        for some, one, g in zip(self.rows, r, slopes, strict=True):
            D = some.derivatives(at.C)
            if isinstance(some, StagedFace):
                # Where zero is given, values are not what is left over, but what is inside.
                each = [sizes[some.unknowns.index(u)] * (not any(i)) for u, i in some.leaves]
                D = np.maximum(np.abs(D), each)
            elif inside**0.5 <= allowed * (self.free * len(self.stages.share)) ** 0.5:
                continue
            worst = max(worst, unmet(one, g, D))
        return worst


def span_inside(problem: Formulation, axes: Sequence[Axis], given: Held) -> SpanInside:
    """The rows of a problem on a span.

    Args:
        problem: What is to be solved, on a domain that is no box.
        axes: Functions of each coordinate, time last.
        given: What its conditions give.
    """
    *space, modes = axes
    assert isinstance(modes, Modes)
    stages, unknowns, domain = Stages.of(modes), problem.unknowns, problem.domain
    at = inside_of(domain, axes)
    times = Places(np.array([0]), stages.at[None], np.ones((1, len(stages.share))))
    ones = (1.0,) * sum(e.equations for e in problem.equations)
    cells: list[StagedCells] = []
    for only, finer in ((at.whole, 1), (at.cut, FINER_WHERE_CUT)):
        if not only.any():
            continue
        places = [Places.inside(axis, finer * points_of(axis)) for axis in space]
        own = StagedCells(
            problem.equations,
            cells[0].sizes if cells else ones,
            tuple(axes),
            unknowns,
            (*places, times),
            domain=domain,
            only=only,
            stages=stages,
            scattered=finer > 1,
        )
        if not cells:
            own = replace(own, sizes=row_sizes(own, given.C))
        cells.append(own)
    faces = tuple(_on_face(c, axes, unknowns, at, stages, times) for c in given.soft)
    last = given.index[..., -1]
    used = np.unique(last[last >= 0])
    number = np.where(last >= 0, np.searchsorted(used, last), -1)
    time = problem.coordinates[-1]
    orders = tuple(problem.order(u, time) for u in unknowns)
    return SpanInside(tuple(cells), faces, stages, number, len(used), at, orders)


def _on_face(
    c: Constraint,
    axes: Sequence[Axis],
    unknowns: tuple[str, ...],
    at: Inside,
    stages: Stages,
    times: Places,
) -> StagedFace:
    """The rows of a condition on a face."""
    face = at.along(c.face)
    weights = [face.weights, np.ones(len(face.weights))]
    ways = zip(axes[:2], face.points.T, weights, strict=True)
    places = [Places(axis.cell_of(x), x[:, None], w[:, None]) for axis, x, w in ways]
    each = [torch.from_numpy(np.repeat(n, len(stages.share))) for n in face.normals.T]
    normal: tuple[float | torch.Tensor, ...] = (*each, 0.0)
    sizes = (1.0,) * c.residual.equations
    return StagedFace(
        (c.residual,), sizes, tuple(axes), unknowns, (*places, times), normal, c, stages=stages
    )
