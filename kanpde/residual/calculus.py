"""Differential operators that a residual is written with: d, grad, div, laplacian,
normal_derivative.

While a residual is evaluated, its unknowns and coordinates are plain torch tensors of shape
[points]. The active `Leaves` know which of these tensors is which derivative of which unknown, and
hand out more of them on request. The derivative of anything else that was computed from them is the
chain rule over the leaves, so that `d(k(x) * d(u, x), x)` works whoever supplies the derivatives: a
network, a grid, or autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import reduce
from itertools import product
from numbers import Real
from operator import add

import torch
from torch import Tensor

from kanpde.errors import ProblemError, listed, nearest
from kanpde.residual.complex_values import ComplexValue, parts_of

MultiIndex = tuple[int, ...]
"""How often one differentiates along each coordinate, in the domain's order of coordinates: u_xxy
is (2, 1)."""

Leaf = tuple[str, MultiIndex]
"""A derivative of an unknown, such as ("u", (2, 0))."""

Values = Mapping[str, Tensor]
"""Coordinate name to tensor [points]."""

_active: ContextVar[Leaves] = ContextVar("kanpde_leaves")


class Leaves:
    """The derivatives of the unknowns at some points, as independent variables of a residual.

    Args:
        coordinates: Name to tensor [points], in the domain's order.
        space: The names of those that are not time.
        supply: Called with a leaf, returns its values [points].
        normal: The outward unit normal by coordinate, on boundaries.

    Attributes:
        composite: Whether an expression was differentiated by the chain rule.
        tensors: What has been asked for, by leaf.
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
        came = (
            repr(coordinate)
            if isinstance(coordinate, str)
            else "an expression"
            if isinstance(coordinate, Tensor)
            else type(coordinate).__name__
        )
        hint = nearest(coordinate, self.coordinates) if isinstance(coordinate, str) else ""
        if not isinstance(coordinate, str):
            x = next(iter(self.coordinates))
            hint = f"; a second derivative is d(u, {x}, {x})"
        raise ProblemError(
            f"d(…): differentiates with respect to {came}; expected a coordinate"
            f" ({listed(self.coordinates)}){hint}"
        )

    def differentiate(self, expression: Tensor | float, axes: Sequence[int]) -> Tensor:
        """The total derivative of an expression along axes, one after another.

        Args:
            expression: A leaf, or what was computed from leaves and coordinates, [points]; or a
                number.
            axes: Positions of coordinates.

        Raises:
            ProblemError: For anything else than one value a point.
        """
        like = next(iter(self.coordinates.values()))
        if isinstance(expression, Real):
            return torch.zeros_like(like)
        if not isinstance(expression, Tensor):
            raise ProblemError(
                f"d(…): differentiates {type(expression).__name__}; expected an unknown or an"
                " expression of one value a point"
            )
        leaf = self._leaf_of.get(id(expression))
        if leaf is not None:
            return self[leaf[0], raised(leaf[1], axes)]
        if expression.ndim and expression.shape != like.shape:
            raise ProblemError(
                f"d(…): differentiates shape {list(expression.shape)} for {len(like)} points;"
                f" expected one value a point, [{len(like)}]"
            )
        for axis in axes:
            expression = self._chain_rule(expression, axis)
        return expression

    def _chain_rule(self, expression: Tensor, axis: int) -> Tensor:
        """dE/dx = ∂E/∂x + Σ_leaves ∂E/∂u_α u_αx, itself an expression of coordinates and leaves."""
        self.composite = True
        x = list(self.coordinates.values())[axis]
        total = torch.zeros_like(x)
        if not expression.requires_grad:
            return total
        leaves = list(self.tensors.items())
        inputs = [x, *(values for _, values in leaves)]
        partials = torch.autograd.grad(
            expression.sum(), inputs, create_graph=True, allow_unused=True
        )
        if partials[0] is not None:
            total = total + partials[0]
        for ((unknown, index), _), partial in zip(leaves, partials[1:], strict=True):
            if partial is not None:
                total = total + partial * self[unknown, raised(index, (axis,))]
        return total


def raised(index: MultiIndex, axes: Sequence[int]) -> MultiIndex:
    """The multi-index with one more derivative along each of the axes.

    Args:
        index: How often one differentiates along each coordinate.
        axes: Positions of coordinates; one that comes twice counts twice.
    """
    return tuple(n + sum(a == i for a in axes) for i, n in enumerate(index))


def below(index: MultiIndex) -> list[MultiIndex]:
    """All multi-indices that are at most `index` in every coordinate."""
    return list(product(*(range(n + 1) for n in index)))


def _leaves(operator: str) -> Leaves:
    leaves = _active.get(None)
    if leaves is None:
        raise ProblemError(
            f"{operator}(…): works only while an equation or a condition is being evaluated"
        )
    return leaves


def d(expression: Tensor | float, *coordinates: Tensor | str) -> Tensor:
    """Partial derivative: `d(u, x)` is u_x, `d(u, x, x, y)` is u_xxy, `d(k(x) * d(u, x), x)` is (k
    u_x)_x.

    Args:
        expression: An unknown, or anything computed pointwise from unknowns, their derivatives and
            coordinates, [points].
        *coordinates: The coordinate arguments of the equation, or their names.

    Returns:
        The derivative, [points].

    Raises:
        ProblemError: For anything that is not a coordinate.
    """
    leaves = _leaves("d")
    if not coordinates:
        raise ProblemError(
            f"d(…): names no coordinate; expected such as d(u, {next(iter(leaves.coordinates))})"
        )
    axes = [leaves.axis(x) for x in coordinates]
    if isinstance(expression, ComplexValue):
        re, im = (leaves.differentiate(part, axes) for part in parts_of(expression))
        return ComplexValue(re, im)  # type: ignore[return-value]
    return leaves.differentiate(expression, axes)


def grad(expression: Tensor | float) -> tuple[Tensor, ...]:
    """Gradient along the space coordinates; time is not among them.

    Args:
        expression: As for `d`.

    Returns:
        One tensor [points] a coordinate, in the domain's order.
    """
    return tuple(d(expression, x) for x in _leaves("grad").space)


def div(vector: Sequence[Tensor | float]) -> Tensor:
    """Divergence of a vector: `div((a, b))` is a_x + b_y, `div(grad(u))` is Δu.

    Args:
        vector: One component a space coordinate, in the domain's order; each as for `d`.

    Returns:
        The divergence, [points].

    Raises:
        ProblemError: For another number of components.
    """
    space = _leaves("div").space
    if not isinstance(vector, Sequence) or len(vector) != len(space):
        came = (
            f"{len(vector)} components" if isinstance(vector, Sequence) else type(vector).__name__
        )
        raise ProblemError(
            f"div(…): got {came}; expected one component for each of {listed(space)}, such as"
            " div(grad(u))"
        )
    return _sum(d(component, x) for component, x in zip(vector, space, strict=True))


def laplacian(expression: Tensor | float) -> Tensor:
    """Sum of the second derivatives along the space coordinates.

    Args:
        expression: As for `d`.

    Returns:
        The Laplacian, [points].
    """
    return _sum(d(expression, x, x) for x in _leaves("laplacian").space)


def normal_derivative(expression: Tensor | float) -> Tensor:
    """Derivative along the outward unit normal; only in a condition on the boundary of space.

    Args:
        expression: As for `d`.

    Returns:
        The derivative, [points].

    Raises:
        ProblemError: Where there is no normal.
    """
    leaves = _leaves("normal_derivative")
    normal = leaves.normal
    if normal is None:
        raise ProblemError(
            "normal_derivative(…): only a condition on a face of space has a normal; write d(u, x)"
            " elsewhere"
        )
    # A flat face has no normal along the other coordinates, and asks for no derivative along them.
    return _sum(normal[x] * d(expression, x) for x in leaves.space if normal[x].any())


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return reduce(add, terms)
