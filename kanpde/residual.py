"""Pointwise residuals: one user function, its values r and its partials ∂r/∂u_α, whoever supplies the derivatives u_α."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.calculus import Leaf, Leaves, MultiIndex
from kanpde.errors import KanpdeError, ProblemError, listed, nearest

Values = Mapping[str, Tensor]
"""Coordinate name to tensor [points]."""


@dataclass(frozen=True)
class Residual:
    """A pointwise function r(x, u_α) that vanishes at the solution.

    needs: the derivatives that it asks for, the columns of what `__call__` takes and of the partials it returns;
    equations: how many numbers it gives at a point; composite: whether it differentiates expressions.
    """

    name: str
    function: Callable[..., Tensor | Sequence[Tensor]]
    arguments: tuple[str, ...]
    unknowns: tuple[str, ...]
    coordinates: tuple[str, ...]
    space: tuple[str, ...]
    needs: tuple[Leaf, ...]
    equations: int
    composite: bool

    @property
    def order(self) -> int:
        """Highest order of differentiation."""
        return max((sum(index) for _, index in self.needs), default=0)

    def __call__(
        self,
        coordinates: Values,
        derivatives: Float[Tensor, "points leaves"],
        normal: Values | None = None,
        partials: bool = True,
    ) -> tuple[Float[Tensor, "points equations"], Float[Tensor, "points equations leaves"] | None]:
        """Residual values and, where asked for, their partials by the derivatives in the order of `needs`.

        derivatives: column a holds the values of `needs[a]` at the points. normal: outward unit normals on a boundary.
        Raises ProblemError when the user's function fails, gives the wrong shape, or asks for other derivatives than
        it did in the dry run (a residual must not branch on values).
        """
        column = {leaf: a for a, leaf in enumerate(self.needs)}

        def supply(leaf: Leaf) -> Tensor:
            if leaf not in column:
                raise ProblemError(f"{self.name}(): asks for {leaf_name(leaf, self.coordinates)} only at some points; a residual must not branch on values")
            return derivatives[:, column[leaf]]

        if self.composite:
            coordinates = {x: v.detach().requires_grad_() for x, v in coordinates.items()}
        leaves = Leaves(coordinates, self.space, supply, normal)
        with torch.set_grad_enabled(partials or self.composite):
            rows = _rows(self, leaves)
        values = torch.stack([row.detach() for row in rows], 1)
        if not partials:
            return values, None
        return values, torch.stack([self._partials(row, leaves) for row in rows], 1)

    def _partials(self, row: Tensor, leaves: Leaves) -> Float[Tensor, "points leaves"]:
        inputs = [leaves[leaf] for leaf in self.needs]
        if not row.requires_grad or not inputs:
            return row.new_zeros(len(row), len(inputs))
        found = torch.autograd.grad(row.sum(), inputs, allow_unused=True, retain_graph=True)
        return torch.stack([torch.zeros_like(row) if g is None else g for g in found], 1)


def _rows(residual: Residual, leaves: Leaves) -> list[Tensor]:
    """Call the user's function on the leaves and check the shape of what it returns."""
    values = {a: leaves.value(a) if a in residual.unknowns else leaves.coordinates[a] for a in residual.arguments}
    points = len(next(iter(leaves.coordinates.values())))
    try:
        with leaves.active():
            returned = residual.function(**values)
    except KanpdeError:
        raise
    except Exception as error:  # the user's own code: anything can come; it is named, never swallowed
        hint = "; use torch's functions (torch.sin, not math.sin)" if "Python scalar" in str(error) else ""
        raise ProblemError(f"{residual.name}(): {type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}{hint}") from error
    rows = list(returned) if isinstance(returned, tuple | list) else [returned]
    for row in rows:
        if not isinstance(row, Tensor):
            raise ProblemError(f"{residual.name}(): returned {type(row).__name__}; expected a tensor of one value a point, shape [points]")
        if row.shape != (points,):
            raise ProblemError(f"{residual.name}(): returned shape {list(row.shape)} for {points} points; expected one value a point, [{points}]")
    return rows


def argument_names(function: Callable[..., object], what: str) -> tuple[str, ...]:
    """Names of a function's arguments, those with a default left out; raises ProblemError where one has no name to match by."""
    if not callable(function):
        raise ProblemError(f"{what}: got {type(function).__name__}; expected a function")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise ProblemError(f"{what}: {function!r} has no readable signature; wrap it in a def or lambda with named arguments") from None
    bad = [p.name for p in parameters if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.POSITIONAL_ONLY)]
    if bad:
        raise ProblemError(f"{what}: argument {bad[0]!r} has no name to match; write unknowns and coordinates out")
    return tuple(p.name for p in parameters if p.default is p.empty)


def check_arguments(arguments: Sequence[str], known: Mapping[str, Sequence[str]], what: str) -> None:
    """Every argument must be among the known names, given by kind ("unknown", "coordinate"); raises ProblemError."""
    names = [name for group in known.values() for name in group]
    for argument in arguments:
        if argument not in names:
            kinds = " nor ".join(f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} ({listed(group)})" for kind, group in known.items())
            either = "neither " if len(known) > 1 else "not "
            raise ProblemError(f"{what}: argument {argument!r} is {either}{kinds}{nearest(argument, names)}")


def record(
    function: Callable[..., Tensor | Sequence[Tensor]],
    name: str,
    arguments: tuple[str, ...],
    unknowns: Sequence[str],
    points: Values,
    space: Sequence[str],
    normal: Values | None = None,
) -> Residual:
    """Dry run on two points: which derivatives does the function ask for, how many equations does it return?

    points: two points of the place where it holds. Raises ProblemError where the function fails there, returns the
    wrong shape, or mixes points with each other.
    """
    generator = torch.Generator().manual_seed(0)
    coordinates = {x: v.detach().clone().requires_grad_() for x, v in points.items()}

    def supply(leaf: Leaf) -> Tensor:
        like = next(iter(coordinates.values()))
        return 0.25 + 0.5 * torch.rand(len(like), generator=generator, dtype=like.dtype)

    leaves = Leaves(coordinates, space, supply, normal)
    draft = Residual(name, function, arguments, tuple(unknowns), tuple(points), tuple(space), (), 0, True)
    rows = _rows(draft, leaves)
    tensors = list(leaves.tensors.values())
    for row in rows:
        if row.requires_grad and tensors:
            for g in torch.autograd.grad(row[0], tensors, allow_unused=True, retain_graph=True):
                if g is not None and g[1:].abs().max() > 0:
                    raise ProblemError(f"{name}(): the value at one point depends on another point; a residual must be pointwise (no mean, sum or norm over points)")
    order = {u: i for i, u in enumerate(unknowns)}
    needs = tuple(sorted(leaves.tensors, key=lambda leaf: (order[leaf[0]], sum(leaf[1]), [-n for n in leaf[1]])))
    return Residual(name, function, arguments, tuple(unknowns), tuple(points), tuple(space), needs, len(rows), leaves.composite)


def leaf_name(leaf: Leaf, coordinates: Sequence[str]) -> str:
    """The usual subscript notation: ("u", (2, 1)) on (x, y) is "u_xxy"."""
    subscript = "".join(x * n for x, n in zip(coordinates, leaf[1], strict=True))
    return f"{leaf[0]}_{subscript}" if subscript else leaf[0]


def below(index: MultiIndex) -> list[MultiIndex]:
    """All multi-indices that are at most `index` in every coordinate."""
    found: list[MultiIndex] = [()]
    for n in index:
        found = [(*head, i) for head in found for i in range(n + 1)]
    return found
