"""The dry run of a residual: which derivatives it asks for, which of them matter, and how many
equations it returns."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from kanpde.errors import ProblemError, listed
from kanpde.residual.affine import Operations, Watched
from kanpde.residual.calculus import Leaf, Leaves, Values
from kanpde.residual.elsewhere import Afar, Extent
from kanpde.residual.functions import rows_of
from kanpde.residual.residual import Residual

PROBE_VALUES = (-1e3, 1e3)
"""What a derivative becomes to see whether a residual depends on it in a way that autograd does not
know, such as a comparison."""


def record(
    function: Callable[..., Tensor | Sequence[Tensor]],
    name: str,
    arguments: tuple[str, ...],
    unknowns: Sequence[str],
    points: Values,
    space: Sequence[str],
    normal: Values | None = None,
    extent: Extent | None = None,
) -> Residual:
    """A user's function as a residual, by a dry run on two points with drawn derivatives.

    Args:
        function: Takes unknowns and coordinates by name, [points] each; returns one tensor [points]
            an equation.
        name: What messages call it.
        arguments: The names of its arguments.
        unknowns: Which names are unknowns, in the order of the columns of derivatives.
        points: Two points of the place where the residual holds, by coordinate.
        space: Names of the coordinates that are not time.
        normal: Outward unit normals at the points, on a boundary.
        extent: Of the domain, where it is a box.

    Raises:
        ProblemError: Where the function fails, returns the wrong shape, depends on no unknown, or
            mixes points with each other.
    """
    dry = _DryRun(function, name, arguments, unknowns, points, space, normal, extent)
    leaves, rows = dry.run()
    dry.check_pointwise(rows)
    asked = _in_order(leaves, unknowns)
    needs = tuple(leaf for leaf in asked if dry.matters(leaf, leaves, rows))
    afar = _asked_elsewhere(leaves, rows)
    if not needs and not afar:
        raise ProblemError(
            f"{name}: depends on no unknown; expected an expression in {listed(unknowns)} that"
            " vanishes at the solution"
        )
    return Residual(
        name=name,
        function=function,
        arguments=arguments,
        unknowns=tuple(unknowns),
        coordinates=tuple(points),
        space=tuple(space),
        needs=needs,
        unused=tuple(leaf for leaf in asked if leaf not in needs),
        equations=len(rows),
        composite=leaves.composite,
        affine=dry.affine(),
        afar=afar,
        extent=extent,
    )


def _asked_elsewhere(leaves: Leaves, rows: Sequence[Tensor]) -> tuple[Afar, ...]:
    """What the rows depend on at other places; nothing where there are none."""
    found = tuple(
        Afar(
            place.moved,
            tuple(
                leaf for leaf, v in place.tensors.items() if any(_connected(row, v) for row in rows)
            ),
        )
        for place in leaves.elsewhere.places
    )
    return found if any(one.leaves for one in found) else ()


class _DryRun:
    """Runs of one function on the same two points, with the same drawn derivatives each time."""

    def __init__(
        self,
        function: Callable[..., Tensor | Sequence[Tensor]],
        name: str,
        arguments: tuple[str, ...],
        unknowns: Sequence[str],
        points: Values,
        space: Sequence[str],
        normal: Values | None,
        extent: Extent | None,
    ):
        self.function, self.name, self.arguments, self.unknowns = (
            function,
            name,
            arguments,
            unknowns,
        )
        self.points, self.space, self.normal, self.extent = points, space, normal, extent
        self._generator = torch.Generator().manual_seed(0)
        self._drawn: dict[Leaf, Tensor] = {}

    def run(
        self,
        part: slice = slice(0, 2),
        override: Mapping[Leaf, float] | None = None,
        kind: Callable[..., Leaves] = Leaves,
    ) -> tuple[Leaves, list[Tensor]]:
        """The leaves that the function asked for, and what it returned.

        Args:
            part: Which of the two points.
            override: Values of some derivatives, in place of the drawn ones.
            kind: The class of leaves.
        """
        given = override or {}

        def supply(leaf: Leaf) -> Tensor:
            values = self._values(leaf)
            values = torch.full_like(values, given[leaf]) if leaf in given else values
            # A copy: leaves are told apart by where their values are stored.
            return values[part].clone()

        def far(place: int, leaf: Leaf, shape: tuple[int, int]) -> Tensor:
            # Other values than at the points, whatever these are: they are no leaf of the points.
            return (self._values(leaf) + 0.125)[part].clone().expand(shape)

        coordinates = {x: v[part].detach().clone().requires_grad_() for x, v in self.points.items()}
        normal = None if self.normal is None else {x: v[part] for x, v in self.normal.items()}
        leaves = kind(coordinates, self.space, supply, normal, self.extent, None, far)
        with warnings.catch_warnings():
            # torch warns of math.sin(x) before it fails; the error says it better.
            warnings.filterwarnings("ignore", "Converting a tensor with requires_grad")
            rows = rows_of(self.function, self.name, self.arguments, self.unknowns, leaves)
        return leaves, rows

    def _values(self, leaf: Leaf) -> Tensor:
        """What is drawn for a derivative, when it is asked for the first time, [2]."""
        if leaf not in self._drawn:
            self._drawn[leaf] = 0.25 + 0.5 * torch.rand(
                2, generator=self._generator, dtype=torch.float64
            )
        return self._drawn[leaf]

    def check_pointwise(self, rows: Sequence[Tensor]) -> None:
        """Each point alone must give what both together gave. Raises ProblemError."""
        for part in (slice(0, 1), slice(1, 2)):
            for row, alone in zip(rows, self.run(part)[1], strict=True):
                if not torch.allclose(row[part], alone, rtol=1e-9, equal_nan=True):
                    raise ProblemError(
                        f"{self.name}: the value at one point depends on another point; a residual"
                        " must be pointwise (no mean, sum, norm or loop over points: it takes all"
                        " points at once); over the domain there are integral(u, x), mean(u), and"
                        " u(x=0.5) at a place"
                    )

    def matters(self, leaf: Leaf, leaves: Leaves, rows: Sequence[Tensor]) -> bool:
        """Whether what is returned depends on a derivative.

        Either autograd connects them; or a comparison or a detached value does, which shows when
        the derivative takes other values.

        Args:
            leaf: The derivative.
            leaves: Of a first run.
            rows: What the first run returned.
        """
        if any(_connected(row, leaves.tensors[leaf]) for row in rows):
            return True
        return any(
            not torch.equal(a.nan_to_num(), b.nan_to_num())
            for probe in PROBE_VALUES
            for a, b in zip(rows, self.run(override={leaf: probe})[1], strict=True)
        )

    def affine(self) -> bool:
        """Whether the function is known to be affine in the derivatives."""
        with Operations() as operations:
            try:
                self.run(kind=partial(Watched, operations))
            # It ran before, so something in it cannot be watched: nothing is known then.
            except Exception:
                operations.affine = False
        return operations.affine


def _connected(row: Tensor, leaf: Tensor) -> bool:
    """Whether autograd knows that a row depends on a leaf."""
    if not row.requires_grad:
        return False
    (found,) = torch.autograd.grad(row.sum(), leaf, allow_unused=True, retain_graph=True)
    return found is not None


def _in_order(leaves: Leaves, unknowns: Sequence[str]) -> list[Leaf]:
    """The derivatives asked for: by unknown, then by order, then by coordinate."""
    place = {u: i for i, u in enumerate(unknowns)}

    def key(leaf: Leaf) -> Any:
        unknown, index = leaf
        return place[unknown], sum(index), [-n for n in index]

    return sorted(leaves.tensors, key=key)
