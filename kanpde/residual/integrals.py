"""Integrals, means and fluxes in equations and conditions: integral, mean, flux.

`integral(u**2, x)` has the residual's function called once more, with leaves at the nodes of the
rule: what comes to the same integral there is its integrand. An integrand that depends on the point
as well, such as a kernel, is a function of its variable: `integral(lambda s: K(x, s) * u(s), s=(0,
x))`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import torch
from torch import Tensor

from kanpde.errors import ProblemError, listed
from kanpde.residual.calculus import Leaf, Leaves, leaves_of
from kanpde.residual.complex_values import ComplexValue, parts_of
from kanpde.residual.elsewhere import ROUNDED_OUT, depends

Limits = tuple[Tensor | float, Tensor | float]


def integral(
    integrand: Tensor | Callable[..., Tensor], *coordinates: Tensor | str, **limits: Limits
) -> Tensor:
    """An integral: `integral(u)` over all of space, `integral(u**2, x)` along a coordinate, at the
    point's own others, and `integral(u, x=(0, x))` up to the point.

    With a kernel the integrand is a function of the variable of integration, for which u(s) is the
    unknown there: `integral(lambda s: exp(-abs(x - s)) * u(s), s=(0, 1))`. In more than one
    dimension say which coordinate it stands for, u(x=s).

    Args:
        integrand: Computed pointwise from unknowns, their derivatives and coordinates, [points]; or
            a function of the variables of integration.
        *coordinates: Along which coordinates, or their names; by default all of space.
        **limits: By coordinate, or by variable, from where to where: two numbers or expressions of
            the coordinates.

    Returns:
        The integral at every point, [points].

    Raises:
        ProblemError: Integrand, coordinates or limits are none.
    """
    leaves = leaves_of("integral")
    if callable(integrand) and not isinstance(integrand, Tensor):
        if isinstance(leaves, _AtNodes):
            return leaves.unknown * 1.0
        return _of_function(leaves, integrand, coordinates, limits)
    names = _names(leaves, coordinates, limits, "integral")
    known = {x: _limits(leaves, f"integral(…, {x}=…)", limits[x]) for x in limits}
    return _of_expression(leaves, integrand, names, known, "integral")


def mean(integrand: Tensor, *coordinates: Tensor | str) -> Tensor:
    """The mean over all of space, or along coordinates: the integral over their length.

    Args:
        integrand: As for `integral`; no function.
        *coordinates: Along which coordinates, or their names; by default all of space.

    Returns:
        The mean at every point, [points].

    Raises:
        ProblemError: As for `integral`.
    """
    leaves = leaves_of("mean")
    names = _names(leaves, coordinates, {}, "mean")
    size = math.prod(b - a for a, b in (leaves.elsewhere.bounds(x, "mean(…)") for x in names))
    return _of_expression(leaves, integrand, names, {}, "mean") / size


def flux(vector: Tensor | Sequence[Tensor], face: str) -> Tensor:
    """The flux out of the domain through a face of a box: `flux(k * d(u, x), "x+")` is the integral
    over that face of the component along its outward normal.

    Args:
        vector: One component a space coordinate, such as grad(u), or that along the coordinate of
            the face alone.
        face: Its name, such as "x+".

    Returns:
        The flux at every point, [points]: the same at all points of a time.

    Raises:
        ProblemError: For a face of no coordinate of space, and as for `integral`.
    """
    leaves = leaves_of("flux")
    x, side = face[:-1], face[-1:]
    if x not in leaves.space or side not in ("-", "+"):
        faces = listed(f"{name}{end}" for name in leaves.space for end in "-+")
        raise ProblemError(f"flux(…, {face!r}): no such face of space; they are {faces}")
    at = leaves.elsewhere.bounds(x, "flux(…)")[side == "+"]
    others = tuple(name for name in leaves.space if name != x)
    component = leaves.space.index(x)
    found = _of_expression(leaves, vector, others, {}, "flux", {x: at}, component)
    return found if side == "+" else -found


def _names(
    leaves: Leaves, coordinates: Sequence[Tensor | str], limits: Mapping[str, object], what: str
) -> tuple[str, ...]:
    """The coordinates along which something is integrated."""
    every = tuple(leaves.coordinates)
    if coordinates and limits:
        raise ProblemError(f"{what}(…): name a coordinate once, as x or as x=(from, to)")
    for x in limits:
        if x not in every:
            raise ProblemError(
                f"{what}(…, {x}=…): no coordinate {x!r}; they are {listed(every)}, and with a"
                f" variable of its own write {what}(lambda {x}: … * u({x}), {x}=(0, 1))"
            )
    for y in coordinates:
        if isinstance(y, Tensor) and not any(y is v for v in leaves.coordinates.values()):
            raise ProblemError(
                f"{what}(…): integrates along an expression; expected a coordinate"
                f" ({listed(every)})"
            )
    names = tuple(every[leaves.axis(x)] if not isinstance(x, str) else x for x in coordinates)
    for y in names:
        leaves.elsewhere.bounds(y, f"{what}(…)")
    if len(set(names)) < len(names):
        raise ProblemError(f"{what}(…): names a coordinate twice")
    return names or tuple(limits) or leaves.space or every


def _limits(leaves: Leaves, what: str, given: object) -> tuple[Tensor, Tensor]:
    """Where an interval begins and ends at every point, [points] each."""
    like = next(iter(leaves.coordinates.values()))
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise ProblemError(f"{what}: got {given!r:.40}; expected from where to where, (0, 1)")
    found = []
    for end in given:
        if isinstance(end, bool) or not isinstance(end, Tensor | int | float):
            raise ProblemError(
                f"{what}: an end is {type(end).__name__}; expected a number or an expression of the"
                " coordinates"
            )
        leaves.check_fixed(end, what)
        value = end if isinstance(end, Tensor) else like.new_tensor(float(end))
        if value.ndim > 1:
            raise ProblemError(
                f"{what}: an end depends on the variable of another integral; one integral of a"
                " function cannot stand under another, but can have several variables"
            )
        if not bool(value.isfinite().all()):
            raise ProblemError(f"{what}: an end is not finite; integrals go over the domain")
        found.append(value.expand(len(like)).detach())
    low, high = found
    size = float((high - low).abs().max())
    if bool((high < low - ROUNDED_OUT * size).any()):
        i = int((high - low).argmin())
        raise ProblemError(
            f"{what}: the interval is reversed, from {float(low[i]):g} to {float(high[i]):g};"
            " expected the smaller end first"
        )
    return low, torch.maximum(low, high)


def _of_function(
    leaves: Leaves,
    integrand: Callable[..., Tensor],
    coordinates: Sequence[object],
    limits: Mapping[str, Limits],
) -> Tensor:
    """The integral of a function of its variables."""
    names = tuple(inspect.signature(integrand).parameters)
    if coordinates or set(names) != set(limits):
        wanted = ", ".join(f"{s}=(0, 1)" for s in names)
        raise ProblemError(
            f"integral(lambda {', '.join(names)}: …): expected the limits of its variables,"
            f" {wanted}"
        )
    like = next(iter(leaves.coordinates.values()))
    along = leaves.space[0] if len(leaves.space) == 1 else None
    if not leaves.space:
        along = next(iter(leaves.coordinates))
    variables: dict[str, Tensor] = {}
    weights = torch.ones(1, len(like)).to(like)
    for s in names:
        low, high = _limits(leaves, f"integral(…, {s}=…)", limits[s])
        x = s if s in leaves.coordinates else along
        nodes, w = leaves.elsewhere.rule.nodes(x, low, high, len(names))
        variables = {t: v.repeat_interleave(len(nodes), 0) for t, v in variables.items()} | {
            s: nodes.repeat(len(weights), 1)
        }
        weights = (weights[:, None] * w[None]).reshape(-1, len(like))
    for node in variables.values():
        # It stands for the coordinate that it is first put in the place of.
        leaves.elsewhere.name(node, "")
    found = integrand(**variables)
    return _summed(found, weights, "integral", len(like))


class _Found(BaseException):
    """The integrand at the nodes, on its way out of the residual's function."""

    def __init__(self, integrand: object):
        super().__init__()
        self.integrand = integrand


class _AtNodes(Leaves):
    """The leaves of a residual at the nodes of one of its integrals.

    Args:
        outer: Those at its points.
        place: The number of the nodes among the places of these.
        number: Of the integral, in the order in which the function comes to them.
    """

    def __init__(self, outer: Leaves, place: int, number: int):
        there = outer.elsewhere.places[place]
        self._place, self._outer, self.number = place, outer, number
        each = there.shape[0]
        at = {x: v.reshape(-1).clone().requires_grad_() for x, v in there.at.items()}
        normal = outer.normal
        if normal is not None:
            normal = {x: v.repeat(each) for x, v in normal.items()}
        extent, rule = outer.elsewhere.extent, outer.elsewhere.rule
        super().__init__(at, outer.space, self._flat, normal, extent, rule)
        self.unknown = next(iter(at.values())).detach().clone().requires_grad_()

    def _flat(self, leaf: Leaf) -> Tensor:
        return self._outer.elsewhere.value(self._place, leaf).reshape(-1)

    def __getitem__(self, leaf: Leaf) -> Tensor:
        if leaf not in self.tensors:
            # No leaf of autograd: it goes on to the values at the nodes.
            self._keep(leaf, self._flat(leaf))
        return self.tensors[leaf]

    def moved(
        self, unknown: Tensor, places: Sequence[Tensor | float], named: Mapping[str, Tensor | float]
    ) -> Tensor:
        """What no integrand may depend on."""
        return self.unknown * 1.0


def _of_expression(
    leaves: Leaves,
    expression: object,
    names: Sequence[str],
    limits: Mapping[str, tuple[Tensor, Tensor]],
    what: str,
    fixed: Mapping[str, float] | None = None,
    component: int = 0,
) -> Tensor:
    """The integral of an expression along coordinates, at fixed values of others."""
    count = leaves.elsewhere.expressions
    leaves.elsewhere.expressions = count + 1
    if isinstance(leaves, _AtNodes):
        if count == leaves.number:
            raise _Found(expression)
        return leaves.unknown * 1.0
    if isinstance(expression, int | float):
        raise ProblemError(
            f"{what}(…): integrates a number; expected an unknown or an expression in it"
        )
    like = next(iter(leaves.coordinates.values()))
    moved: dict[str, Tensor | float] = dict(fixed or {})
    weights = torch.ones(1, len(like)).to(like)
    nodes: dict[str, Tensor] = {}
    for x in names:
        low, high = leaves.elsewhere.bounds(x, f"{what}(…)")
        ends = limits.get(x, (torch.full_like(like, low), torch.full_like(like, high)))
        at, w = leaves.elsewhere.rule.nodes(x, ends[0], ends[1], len(names))
        nodes = {y: v.repeat_interleave(len(at), 0) for y, v in nodes.items()}
        nodes[x] = at.repeat(len(weights), 1)
        weights = (weights[:, None] * w[None]).reshape(-1, len(like))
    place = leaves.elsewhere.place({**moved, **nodes})
    inner = _AtNodes(leaves, place, count)
    assert leaves.again is not None
    try:
        leaves.again(inner)
    except _Found as found:
        integrand = found.integrand
    else:
        raise ProblemError(f"{what}(…): a residual must not branch on values")
    leaves.composite = leaves.composite or inner.composite
    if isinstance(integrand, tuple | list):
        integrand = integrand[component] if component < len(integrand) else None
    return _summed(integrand, weights, what, len(like), inner)


def _summed(
    integrand: object, weights: Tensor, what: str, points: int, inner: _AtNodes | None = None
) -> Tensor:
    """Σ weights · integrand over the nodes, [points]."""
    if isinstance(integrand, ComplexValue):
        re, im = (_summed(v, weights, what, points, inner) for v in parts_of(integrand))
        return ComplexValue(re, im)  # type: ignore[return-value]
    if isinstance(integrand, float | int) and not isinstance(integrand, bool):
        return (weights * integrand).sum(0)
    if not isinstance(integrand, Tensor):
        _refuse(what, f"integrates {type(integrand).__name__}")
    if inner is not None:
        if integrand.ndim and integrand.shape != (weights.numel(),):
            _refuse(what, f"integrates shape {list(integrand.shape)}")
        if depends(integrand, [inner.unknown]):
            raise ProblemError(
                f"{what}(…): another integral, or a value at another place, stands under it; take"
                " it out of the integral, or make it an unknown of its own"
            )
        integrand = integrand.expand(weights.numel()).reshape(weights.shape)
    try:
        return (weights * integrand).sum(0)
    except RuntimeError:
        _refuse(what, f"integrates shape {list(integrand.shape)}")


def _refuse(what: str, why: str) -> NoReturn:
    raise ProblemError(
        f"{what}(…): {why}; expected an unknown or an expression of one value a point, or a"
        " function of the variable of integration"
    )
