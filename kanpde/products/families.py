"""The way to a solution of a whole family within a tolerance: members share cells and spans, which
follow the worst of them; and the cells along a parameter follow how the solution varies with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from kanpde.problem.formulation import Formulation
from kanpde.problem.problem import Problem
from kanpde.products.attempts import AdaptiveProducts
from kanpde.products.axes import Axis, SplineAxis, along
from kanpde.products.between import Between
from kanpde.products.estimates import favard
from kanpde.products.held import Ending, Start
from kanpde.products.marching import MarchingProducts
from kanpde.products.members import FamilySquares, Members, Starts
from kanpde.products.newton import bytes_needed, operations_needed
from kanpde.products.posed import initial_values
from kanpde.products.progress import Progress
from kanpde.products.refining import RefinedProducts
from kanpde.products.tensor import Product


class _FamilyProducts(AdaptiveProducts):
    """What steady families and those that evolve have in common: the squares of members."""

    problem: Problem
    _current: tuple[tuple[Axis, ...], FamilySquares] | None = None

    def _family(self, progress: Progress) -> FamilySquares:
        if self._current is None or self._current[0] is not progress.axes:
            members = Members(self.problem, progress.axes)
            found = FamilySquares(members, self._starts_of_members(progress))
            self._current = progress.axes, found
        return self._current[1]

    def _starts_of_members(self, progress: Progress) -> Starts | None:
        """What the span under way begins with, by members; None where there are no spans."""
        return None

    def _stepped(self, progress: Progress) -> Progress:
        at = progress.at
        assert at is not None
        found = self._family(progress).advance(at, self.settings.tolerance)
        return replace(progress, at=found, step=progress.step + found.steps - at.steps)

    def _unmet(self, progress: Progress, error: Float[np.ndarray, " unknowns"]) -> float:
        assert progress.at is not None
        return self._family(progress).unmet(progress.at, error)

    def _between(self, progress: Progress, error: Float[np.ndarray, " unknowns"]) -> Between:
        assert progress.at is not None
        return self._family(progress).between(progress.at, error)

    def _condition(self, progress: Progress, C: Float[np.ndarray, "unknowns ..."]) -> float:
        return float("nan")

    def _own(self, axes: Sequence[Axis]) -> tuple[int, Sequence[Axis]]:
        """How many members there are, and the axes of each."""
        count = len(self.problem.family)
        return int(np.prod([axis.size for axis in axes[:count]])), axes[count:]

    def _bytes(self, axes: Sequence[Axis]) -> float:
        return bytes_needed(self._own(axes)[1], len(self.problem.unknowns))

    def _operations(self, axes: Sequence[Axis]) -> float:
        members, own = self._own(axes)
        return members * operations_needed(own, len(self.problem.unknowns))


class RefinedMembers(_FamilyProducts, RefinedProducts):
    """A steady family."""


class MarchingMembers(_FamilyProducts, MarchingProducts):
    """A family that evolves: all of its members march together."""

    def _starts_of_members(self, progress: Progress) -> Starts:
        last, time = progress.spans[-1] if progress.spans else None, self.time

        def starts(
            member: Formulation, values: Mapping[str, float]
        ) -> Mapping[tuple[str, int], Start]:
            if last is None:
                return initial_values(member, time)
            own = _member_of(last, list(values.values()))
            return {
                (u, order): Ending(own, k, order)
                for k, u in enumerate(member.unknowns)
                for order in range(member.order(u, time))
            }

        return starts

    def _next(self, i: int, product: Product, rough: Float[np.ndarray, " cells"]) -> SplineAxis:
        # Members that are kept go on from where they are. Others are interpolated, and as nothing
        # smooths along a parameter, the ends of the cells before would be taken for roughness.
        axis = product.axes[i]
        assert isinstance(axis, SplineAxis)
        kept = i < len(self.problem.family) and favard(axis, rough) <= self.settings.tolerance
        return axis if kept else super()._next(i, product, rough)

    def _carried(self, done: Progress, progress: Progress, error: float) -> Progress:
        return done


def _member_of(product: Product, values: Sequence[float]) -> Product:
    """The functions of a family at values of its parameters, which come first."""
    count = len(values)
    matrices = [
        axis.matrix(np.array([value])) for axis, value in zip(product.axes, values, strict=False)
    ]
    found = []
    for C in product.C:
        flat = np.moveaxis(C.reshape(*C.shape[:count], -1), -1, 0)
        found.append(along(matrices, np.ascontiguousarray(flat)).reshape(C.shape[count:]))
    return Product(product.axes[count:], np.stack(found))
