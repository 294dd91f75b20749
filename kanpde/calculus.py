"""Differential operators that a residual is written with: d, grad, div, laplacian, normal_derivative.

While a residual is evaluated, its unknowns and coordinates are plain torch tensors of shape [points]. The active
`Leaves` know which of these tensors is which derivative of which unknown, and hand out more of them on request. The
derivative of anything else that was computed from them is the chain rule over the leaves, so that
`d(k(x) * d(u, x), x)` works whoever supplies the derivatives: a network, a grid, or autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from kanpde.errors import ProblemError, listed

MultiIndex = tuple[int, ...]
"""How often one differentiates along each coordinate, in the domain's order of coordinates: u_xxy is (2, 1)."""

Leaf = tuple[str, MultiIndex]
"""A derivative of an unknown, such as ("u", (2, 0))."""

_active: ContextVar[Leaves] = ContextVar("kanpde_leaves")


class Leaves:
    """The derivatives of the unknowns at some points, as independent variables of a residual.

    coordinates: name to tensor [points], in the domain's order; space: the names of those that are not time;
    supply: called with a leaf, returns its values [points]; normal: outward unit normal by coordinate, on boundaries.
    """

    def __init__(
        self,
        coordinates: Mapping[str, Tensor],
        space: Sequence[str],
        supply: Callable[[Leaf], Tensor],
        normal: Mapping[str, Tensor] | None = None,
    ):
        self.coordinates = dict(coordinates)
        self.space = tuple(space)
        self.normal = normal
        self.composite = False
        self._supply = supply
        self.tensors: dict[Leaf, Tensor] = {}
        self._leaf_of: dict[int, Leaf] = {}

    @contextmanager
    def active(self) -> Iterator[Leaves]:
        """Make the operators of this module refer to these leaves."""
        token = _active.set(self)
        try:
            yield self
        finally:
            _active.reset(token)

    def __getitem__(self, leaf: Leaf) -> Tensor:
        if leaf not in self.tensors:
            values = self._supply(leaf).detach().requires_grad_()
            self.tensors[leaf] = values
            self._leaf_of[id(values)] = leaf
        return self.tensors[leaf]

    def value(self, unknown: str) -> Tensor:
        """The unknown itself, [points]."""
        return self[unknown, (0,) * len(self.coordinates)]

    def axis(self, coordinate: Tensor | str) -> int:
        """Position of a coordinate, given as the tensor that the residual received or by name."""
        for i, (name, values) in enumerate(self.coordinates.items()):
            if coordinate is values or (isinstance(coordinate, str) and coordinate == name):
                return i
        came = repr(coordinate) if isinstance(coordinate, str) else "an expression"
        raise ProblemError(f"d(…): differentiates with respect to {came}; expected a coordinate ({listed(self.coordinates)})")

    def differentiate(self, expression: Tensor | float, axes: Sequence[int]) -> Tensor:
        """The total derivative of an expression along the given axes, one after another."""
        if not isinstance(expression, Tensor):
            return torch.zeros_like(next(iter(self.coordinates.values())))
        leaf = self._leaf_of.get(id(expression))
        if leaf is not None:
            return self[leaf[0], raised(leaf[1], axes)]
        for axis in axes:
            expression = self._chain_rule(expression, axis)
        return expression

    def _chain_rule(self, expression: Tensor, axis: int) -> Tensor:
        self.composite = True
        if not expression.requires_grad:
            return torch.zeros_like(expression)
        leaves = list(self.tensors.items())
        x = list(self.coordinates.values())[axis]
        inputs = [x, *(values for _, values in leaves)]
        partials = torch.autograd.grad(expression.sum(), inputs, create_graph=True, allow_unused=True)
        total = torch.zeros_like(x) if partials[0] is None else partials[0]
        for ((unknown, index), _), partial in zip(leaves, partials[1:], strict=True):
            if partial is not None:
                total = total + partial * self[unknown, raised(index, (axis,))]
        return total


def raised(index: MultiIndex, axes: Sequence[int]) -> MultiIndex:
    """The multi-index with one more derivative along each of the axes."""
    return tuple(n + sum(a == i for a in axes) for i, n in enumerate(index))


def _leaves(operator: str) -> Leaves:
    try:
        return _active.get()
    except LookupError:
        raise ProblemError(f"{operator}(…) works only inside an equation or a condition while it is being evaluated") from None


def d(expression: Tensor | float, *coordinates: Tensor | str) -> Tensor:
    """Partial derivative: `d(u, x)` is u_x, `d(u, x, x, y)` is u_xxy, `d(k(x) * d(u, x), x)` is (k u_x)_x.

    expression: an unknown, or anything computed pointwise from unknowns, their derivatives and coordinates, [points].
    coordinates: the coordinate arguments of the residual (or their names). Returns [points].
    Raises ProblemError for anything that is not a coordinate.
    """
    leaves = _leaves("d")
    return leaves.differentiate(expression, [leaves.axis(x) for x in coordinates])


def grad(expression: Tensor | float) -> tuple[Tensor, ...]:
    """Gradient along the space coordinates (time is not among them), one tensor [points] each."""
    return tuple(d(expression, x) for x in _leaves("grad").space)


def div(vector: Sequence[Tensor | float]) -> Tensor:
    """Divergence of a vector with one component a space coordinate, in the domain's order. Returns [points]."""
    space = _leaves("div").space
    if not isinstance(vector, Sequence) or len(vector) != len(space):
        came = f"{len(vector)} components" if isinstance(vector, Sequence) else "no sequence of components"
        raise ProblemError(f"div(…): {came}; expected one for each of {listed(space)}")
    parts = [d(component, x) for component, x in zip(vector, space, strict=True)]
    return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]


def laplacian(expression: Tensor | float) -> Tensor:
    """Sum of the second derivatives along the space coordinates, [points]."""
    total: Tensor | None = None
    for x in _leaves("laplacian").space:
        second = d(expression, x, x)
        total = second if total is None else total + second
    assert total is not None  # a domain has at least one space coordinate
    return total


def normal_derivative(expression: Tensor | float) -> Tensor:
    """Derivative along the outward unit normal, [points]; only in a condition on the boundary of space."""
    leaves = _leaves("normal_derivative")
    if leaves.normal is None:
        raise ProblemError("normal_derivative(…): only a condition on a boundary face has a normal; write d(u, x) elsewhere")
    total: Tensor | None = None
    for x in leaves.space:
        part = leaves.normal[x] * d(expression, x)
        total = part if total is None else total + part
    assert total is not None
    return total
