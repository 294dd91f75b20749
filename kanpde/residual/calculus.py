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
from kanpde.residual.elsewhere import Elsewhere, Extent, Rule, Supply, depends

MultiIndex = tuple[int, ...]
"""How often one differentiates along each coordinate, in the domain's order of coordinates: u_xxy
is (2, 1)."""

Leaf = tuple[str, MultiIndex]
"""A derivative of an unknown, such as ("u", (2, 0))."""

Values = Mapping[str, Tensor]
"""Coordinate name to tensor [points]."""

_active: ContextVar[Leaves] = ContextVar("kanpde_leaves")


class Unknown(Tensor):
    """An unknown at the points: its values, of which those at other places are had by a call,
    `u(x=0.5)`. What is computed from it is a plain tensor."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def __call__(self, *places: Tensor | float, **named: Tensor | float) -> Tensor:
        """The unknown where coordinates have other values.

        Args:
            *places: Of the coordinate of space, where there is one alone.
            **named: By coordinate; those that are not named stay.

        Raises:
            ProblemError: No or unknown coordinates, or places outside of the domain.
        """
        return leaves_of("u").moved(self, places, named)


Unknown.__name__ = "Tensor"  # as messages call it


class Leaves:
    """The derivatives of the unknowns at some points, as independent variables of a residual.

    Args:
        coordinates: Name to tensor [points], in the domain's order.
        space: The names of those that are not time.
        supply: Called with a leaf, returns its values [points].
        normal: The outward unit normal by coordinate, on boundaries.
        extent: Of the domain, where it is a box.
        rule: Of quadrature.
        far: Supplies values at other places; without it, they are those at the points.

    Attributes:
        elsewhere: The other places that were asked for.
        again: Calls the residual with other leaves.
        composite: Whether an expression was differentiated by the chain rule.
        tensors: What has been asked for, by leaf.
    """

    def __init__(
        self,
        coordinates: Mapping[str, Tensor],
        space: Sequence[str],
        supply: Callable[[Leaf], Tensor],
        normal: Mapping[str, Tensor] | None = None,
        extent: Extent | None = None,
        rule: Rule | None = None,
        far: Supply | None = None,
    ):
        self.coordinates = dict(coordinates)
        self.space = tuple(space)
        self.normal = normal
        self.composite = False
        self._supply = supply
        self.tensors: dict[Leaf, Tensor] = {}
        self._leaf_of: dict[int, Leaf] = {}
        self.elsewhere = Elsewhere(self.coordinates, extent, rule or Rule(), far or self._as_here)
        self.again: Callable[[Leaves], object] | None = None

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
            self._keep(leaf, self._supply(leaf).detach())
        return self.tensors[leaf]

    def _keep(self, leaf: Leaf, values: Tensor) -> None:
        """Remember the tensor of a leaf, which can be called where it is an unknown itself."""
        if not any(leaf[1]):
            values = values.as_subclass(Unknown)
        self.tensors[leaf] = values if values.requires_grad else values.requires_grad_()
        self._leaf_of[id(values)] = leaf

    def _as_here(self, place: int, leaf: Leaf, shape: tuple[int, int]) -> Tensor:
        """Values at the points in place of those at other places, where only the form counts."""
        return self._supply(leaf).expand(shape)

    def moved(
        self, unknown: Tensor, places: Sequence[Tensor | float], named: Mapping[str, Tensor | float]
    ) -> Tensor:
        """An unknown at other places: see `Unknown`."""
        leaf = self._leaf_of.get(id(unknown))
        name = leaf[0] if leaf else "u"
        x = self.space[0] if self.space else next(iter(self.coordinates))
        if leaf is None or len(places) + len(named) == 0:
            raise ProblemError(f"{name}(…): names no place; expected such as {name}({x}=0.5)")
        if places and (len(self.space) > 1 or len(places) > 1 or named):
            raise ProblemError(
                f"{name}(…): {name} is its value here already, and d({name}, {x}) a derivative"
                f" of it; at another place it names coordinates, such as {name}({x}=0.5), of"
                f" {listed(self.coordinates)}"
            )
        wanted = {x: places[0]} if places else dict(named)
        for y in wanted:
            if y not in self.coordinates:
                raise ProblemError(
                    f"{name}({y}=…): no coordinate {y!r}; they are"
                    f" {listed(self.coordinates)}{nearest(y, self.coordinates)}"
                )
        for y, value in wanted.items():
            self.check_fixed(value, f"{name}({y}=…)")
        place = self.elsewhere.place(wanted)
        for y, value in wanted.items():
            if isinstance(value, Tensor) and self.elsewhere.coordinate_of(value) == "":
                self.elsewhere.name(value, y)
        found = self.elsewhere.value(place, leaf)
        if any(isinstance(v, Tensor) and v.ndim == 2 for v in wanted.values()):
            return found
        found = found[0]
        self.elsewhere.mark(found, place, leaf)
        return found

    def value(self, unknown: str) -> Tensor:
        """The unknown itself, [points]."""
        return self[unknown, (0,) * len(self.coordinates)]

    def check_fixed(self, place: object, what: str) -> None:
        """Check that a place does not depend on an unknown.

        Args:
            place: A value of a coordinate.
            what: What messages call it.

        Raises:
            ProblemError: It does.
        """
        if self.tensors and isinstance(place, Tensor) and depends(place, [*self.tensors.values()]):
            raise ProblemError(
                f"{what}: a place that depends on an unknown; places and limits are numbers or"
                " expressions of the coordinates"
            )

    def axis(self, coordinate: Tensor | str) -> int:
        """Position of a coordinate, given as the tensor that the residual received or by name."""
        stands_for = self.elsewhere.coordinate_of(coordinate)
        for i, (name, values) in enumerate(self.coordinates.items()):
            if (
                coordinate is values
                or name == stands_for
                or (isinstance(coordinate, str) and coordinate == name)
            ):
                return i
        came = (
            repr(coordinate)
            if isinstance(coordinate, str)
            else "an expression"
            if isinstance(coordinate, Tensor)
            else type(coordinate).__name__
        )
        hint = nearest(coordinate, self.coordinates) if isinstance(coordinate, str) else ""
        if isinstance(coordinate, Tensor) and coordinate.ndim > 1:
            came, hint = "a vector", "; a component of x is x[0], and all of them take grad(u)"
        elif not isinstance(coordinate, str):
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
        if self.elsewhere.reaches(expression):
            raise ProblemError(
                "d(…): differentiates an integral or a value at another place; write the derivative"
                " inside of it, such as integral(d(u, x), x)"
            )
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


def leaves_of(operator: str) -> Leaves:
    """The active leaves. Raises ProblemError where none are."""
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
    leaves = leaves_of("d")
    if not coordinates:
        raise ProblemError(
            f"d(…): names no coordinate; expected such as d(u, {next(iter(leaves.coordinates))})"
        )
    axes = [leaves.axis(x) for x in coordinates]
    if far := leaves.elsewhere.leaf_of(expression):
        return _at_a_place(leaves, far, axes, coordinates)
    if isinstance(expression, ComplexValue):
        re, im = (leaves.differentiate(part, axes) for part in parts_of(expression))
        return ComplexValue(re, im)  # type: ignore[return-value]
    return leaves.differentiate(expression, axes)


def _at_a_place(
    leaves: Leaves,
    far: tuple[int, Leaf],
    axes: Sequence[int],
    coordinates: Sequence[Tensor | str],
) -> Tensor:
    """The derivative of an unknown at another place: by coordinates that are the same there, or by
    the variable of integration."""
    place, (unknown, index) = far
    moved, names = leaves.elsewhere.places[place].moved, list(leaves.coordinates)
    for axis, given in zip(axes, coordinates, strict=True):
        if names[axis] in moved and not leaves.elsewhere.coordinate_of(given):
            raise ProblemError(
                f"d({unknown}({names[axis]}=…), {names[axis]}): the place has its own"
                f" {names[axis]}; under an integral differentiate by its variable, d(u(s), s)"
            )
    leaf = (unknown, raised(index, axes))
    found = leaves.elsewhere.value(place, leaf)
    if any(leaves.elsewhere.coordinate_of(given) for given in coordinates):
        return found
    if len(found) > 1:
        return found
    leaves.elsewhere.mark(found[0], place, leaf)
    return found[0]


def grad(expression: Tensor | float) -> tuple[Tensor, ...]:
    """Gradient along the space coordinates; time is not among them.

    Args:
        expression: As for `d`.

    Returns:
        One tensor [points] a coordinate, in the domain's order.
    """
    return tuple(d(expression, x) for x in leaves_of("grad").space)


def div(vector: Sequence[Tensor | float]) -> Tensor:
    """Divergence of a vector: `div((a, b))` is a_x + b_y, `div(grad(u))` is Δu.

    Args:
        vector: One component a space coordinate, in the domain's order; each as for `d`.

    Returns:
        The divergence, [points].

    Raises:
        ProblemError: For another number of components.
    """
    space = leaves_of("div").space
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
    return _sum(d(expression, x, x) for x in leaves_of("laplacian").space)


def normal(coordinate: Tensor | str) -> Tensor:
    """Component of the outward unit normal: `normal(x) * stress + normal(y) * shear`; only in a
    condition on the boundary of space.

    Args:
        coordinate: A space coordinate, as an argument of the condition or by its name.

    Returns:
        The component, [points].

    Raises:
        ProblemError: Where there is no normal, and for anything that is no space coordinate.
    """
    leaves = leaves_of("normal")
    name = list(leaves.coordinates)[leaves.axis(coordinate)]
    components = _normal_of(leaves, "normal", "")
    if name not in components:
        raise ProblemError(f"normal({name}): a normal has components along {listed(leaves.space)}")
    return components[name]


def _normal_of(leaves: Leaves, operator: str, instead: str) -> Values:
    """The outward unit normal by coordinate. Raises ProblemError where there is none."""
    if leaves.normal is None:
        raise ProblemError(
            f"{operator}(…): only a condition on a face of space has a normal{instead}"
        )
    return leaves.normal


def normal_derivative(expression: Tensor | float) -> Tensor:
    """Derivative along the outward unit normal; only in a condition on the boundary of space.

    Args:
        expression: As for `d`.

    Returns:
        The derivative, [points].

    Raises:
        ProblemError: Where there is no normal.
    """
    leaves = leaves_of("normal_derivative")
    normal = _normal_of(leaves, "normal_derivative", "; write d(u, x) elsewhere")
    # A flat face has no normal along the other coordinates, and asks for no derivative along them.
    return _sum(normal[x] * d(expression, x) for x in leaves.space if normal[x].any())


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return reduce(add, terms)
