"""Pointwise residuals: one user function, its values r and its partials ∂r/∂u_α, whoever supplies
the derivatives u_α."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import KanpdeError, ProblemError, first_line, listed, nearest
from kanpde.residual.affine import Operations, Watched
from kanpde.residual.calculus import Leaf, Leaves, MultiIndex

Values = Mapping[str, Tensor]
"""Coordinate name to tensor [points]."""


@dataclass(frozen=True)
class Residual:
    """A pointwise function r(x, u_α) that vanishes at the solution.

    needs: the derivatives that r depends on, the columns of what `__call__` takes and of the
    partials it returns; unused: derivatives that it is given or asks for on the way but that do not
    change r (the plain u of Δu = f); equations: how many numbers it gives at a point; composite:
    whether it differentiates expressions; affine: whether its partials are known not to depend on
    the derivatives.
    """

    name: str
    function: Callable[..., Tensor | Sequence[Tensor]]
    arguments: tuple[str, ...]
    unknowns: tuple[str, ...]
    coordinates: tuple[str, ...]
    space: tuple[str, ...]
    needs: tuple[Leaf, ...]
    unused: tuple[Leaf, ...]
    equations: int
    composite: bool
    affine: bool

    @property
    def order(self) -> int:
        """Highest order of differentiation."""
        return max((sum(index) for _, index in self.needs), default=0)

    def renamed(self, names: Mapping[str, str]) -> Residual:
        """The same residual of unknowns by other names."""
        old = {new: name for name, new in names.items()}

        def function(**given: Tensor) -> Tensor | Sequence[Tensor]:
            return self.function(**{old.get(name, name): value for name, value in given.items()})

        def leaves(given: Sequence[Leaf]) -> tuple[Leaf, ...]:
            return tuple((names.get(unknown, unknown), index) for unknown, index in given)

        arguments, unknowns = (
            tuple(names.get(name, name) for name in given)
            for given in (self.arguments, self.unknowns)
        )
        return replace(
            self,
            function=function,
            arguments=arguments,
            unknowns=unknowns,
            needs=leaves(self.needs),
            unused=leaves(self.unused),
        )

    def rows(self, leaves: Leaves) -> list[Tensor]:
        """What the function returns on given leaves, one tensor [points] an equation. Raises
        ProblemError as `__call__` does."""
        return rows_of(self.function, self.name, self.arguments, self.unknowns, leaves)

    def __call__(
        self,
        coordinates: Values,
        derivatives: Float[Tensor, "points leaves"],
        normal: Values | None = None,
        partials: bool = True,
    ) -> tuple[Float[Tensor, "points equations"], Float[Tensor, "points equations leaves"] | None]:
        """Residual values and, where asked for, their partials by the derivatives in the order of
        `needs`.

        derivatives: column a holds the values of `needs[a]` at the points. normal: outward unit
        normals on a boundary. Raises ProblemError when the user's function fails, gives the wrong
        shape, or asks for other derivatives than it did in the dry run (a residual must not branch
        on values).
        """
        column = {leaf: a for a, leaf in enumerate(self.needs)}

        def supply(leaf: Leaf) -> Tensor:
            if leaf in column:
                return derivatives[:, column[leaf]]
            if leaf in self.unused:
                return derivatives.new_full(
                    (len(derivatives),), torch.nan
                )  # poisoned: if it mattered after all, it would show
            raise ProblemError(
                f"{self.name}: asks for {leaf_name(leaf, self.coordinates)} only at some points; a"
                " residual must not branch on values"
            )

        # Operators know a coordinate by the identity of its tensor: each gets its own.
        at = {x: v.detach().requires_grad_(self.composite) for x, v in coordinates.items()}
        leaves = Leaves(at, self.space, supply, normal)
        with torch.set_grad_enabled(partials or self.composite):
            rows = rows_of(self.function, self.name, self.arguments, self.unknowns, leaves)
        values = torch.stack([row.detach() for row in rows], 1)
        if not partials:
            return values, None
        inputs = [leaves[leaf] for leaf in self.needs]
        return values, torch.stack([_gradient(row, inputs) for row in rows], 1)


def record(
    function: Callable[..., Tensor | Sequence[Tensor]],
    name: str,
    arguments: tuple[str, ...],
    unknowns: Sequence[str],
    points: Values,
    space: Sequence[str],
    normal: Values | None = None,
) -> Residual:
    """Dry run on two points: on which derivatives does the function depend, how many equations does
    it return?

    name: how messages call it; points: two points of the place where it holds. Raises ProblemError
    where the function fails there, returns the wrong shape, depends on no unknown, or mixes points
    with each other.
    """
    generator = torch.Generator().manual_seed(0)
    drawn: dict[Leaf, Tensor] = {}

    def run(
        part: slice, override: Mapping[Leaf, float], kind: Callable[..., Leaves] = Leaves
    ) -> tuple[Leaves, list[Tensor]]:
        def supply(leaf: Leaf) -> Tensor:
            if leaf not in drawn:
                drawn[leaf] = 0.25 + 0.5 * torch.rand(2, generator=generator, dtype=torch.float64)
            return (
                torch.full_like(drawn[leaf], override[leaf]) if leaf in override else drawn[leaf]
            )[part]

        coordinates = {x: v[part].detach().clone().requires_grad_() for x, v in points.items()}
        leaves = kind(
            coordinates,
            space,
            supply,
            None if normal is None else {x: v[part] for x, v in normal.items()},
        )
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Converting a tensor with requires_grad"
            )  # math.sin(x): the error says it better
            return leaves, rows_of(function, name, arguments, unknowns, leaves)

    both = slice(0, 2)
    leaves, rows = run(both, {})
    for part in (slice(0, 1), slice(1, 2)):
        for row, alone in zip(rows, run(part, {})[1], strict=True):
            if not torch.allclose(row[part], alone, rtol=1e-9, equal_nan=True):
                raise ProblemError(
                    f"{name}: the value at one point depends on another point; a residual must be"
                    " pointwise (no mean, sum or norm over points)"
                )

    def matters(leaf: Leaf) -> bool:
        """Connected by autograd; or by a comparison or a detached value, which shows when the leaf
        takes other values."""
        tensor = leaves.tensors[leaf]
        if any(
            row.requires_grad
            and torch.autograd.grad(row.sum(), tensor, allow_unused=True, retain_graph=True)[0]
            is not None
            for row in rows
        ):
            return True
        return any(
            not torch.equal(a.nan_to_num(), b.nan_to_num())
            for probe in (-1e3, 1e3)
            for a, b in zip(rows, run(both, {leaf: probe})[1], strict=True)
        )

    place = {u: i for i, u in enumerate(unknowns)}
    asked = sorted(
        leaves.tensors, key=lambda leaf: (place[leaf[0]], sum(leaf[1]), [-n for n in leaf[1]])
    )
    needs = tuple(leaf for leaf in asked if matters(leaf))
    if not needs:
        raise ProblemError(
            f"{name}: depends on no unknown; expected an expression in {listed(unknowns)} that"
            " vanishes at the solution"
        )
    unused = tuple(leaf for leaf in asked if leaf not in needs)
    with Operations() as operations:
        try:
            run(both, {}, partial(Watched, operations))
        except Exception:  # it ran before: something in it cannot be watched
            operations.affine = False
    return Residual(
        name,
        function,
        arguments,
        tuple(unknowns),
        tuple(points),
        tuple(space),
        needs,
        unused,
        len(rows),
        leaves.composite,
        operations.affine,
    )


def check_finite(
    residual: Residual,
    values: Float[Tensor, "points equations"],
    coordinates: Values,
    derivatives: Float[Tensor, "points leaves"],
) -> None:
    """Raise a ProblemError that names function and point where the residual is not finite although
    its inputs are."""
    bad = (~values.isfinite().all(1) & derivatives.isfinite().all(1)).nonzero()
    if len(bad):
        i = int(bad[0])
        k = int((~values[i].isfinite()).nonzero()[0])
        which = f" (equation {k + 1})" if residual.equations > 1 else ""
        given = {
            leaf_name(leaf, residual.coordinates): derivatives[:, a]
            for a, leaf in enumerate(residual.needs)
        }
        raise ProblemError(
            f"{residual.name}: returned {float(values[i, k])}{which} at {at_point(coordinates, i)},"
            f" where {at_point(given, i)}; expected a finite number"
        )


def call(function: Callable[..., object], arguments: Values, name: str) -> Any:
    """Call the user's own function; whatever it raises becomes a ProblemError that names it."""
    try:
        return function(**arguments)
    except KanpdeError:
        raise
    except (
        Exception
    ) as error:  # the user's own code: anything can come; it is named, never swallowed
        scalar = any(
            clue in str(error) for clue in ("Python scalar", "numpy()", "must be Tensor, not")
        )
        hint = (
            "; use torch's functions on tensors (torch.sin, not math.sin or numpy.sin)"
            if scalar
            else ""
        )
        hint = (
            "; choose between values with torch.where, not with if"
            if "Boolean value" in str(error)
            else hint
        )
        raise ProblemError(f"{name}: {first_line(error)}{hint}") from error


def argument_names(function: Callable[..., object], what: str) -> tuple[str, ...]:
    """Names of a function's arguments; those with a default are constants and left out.

    Raises ProblemError where an argument has no name to match by.
    """
    if not callable(function):
        raise ProblemError(f"{what}: got {type(function).__name__}; expected a function")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise ProblemError(
            f"{what}: {function!r} has no readable signature; wrap it in a def or lambda with named"
            " arguments"
        ) from None
    for p in parameters:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.POSITIONAL_ONLY):
            stars = "*" if p.kind == p.VAR_POSITIONAL else "**" if p.kind == p.VAR_KEYWORD else ""
            raise ProblemError(
                f"{what}: argument '{stars}{p.name}' has no name to match; expected unknowns and"
                " coordinates by name"
            )
    return tuple(p.name for p in parameters if p.default is p.empty)


def check_arguments(
    arguments: Sequence[str], known: Mapping[str, Sequence[str]], what: str, hint: str = ""
) -> None:
    """Every argument must be among the known names, given by kind ("unknown", "coordinate"); raises
    ProblemError.

    hint: ends the message where no name is near.
    """
    names = [name for group in known.values() for name in group]
    for argument in arguments:
        if argument not in names:
            kinds = " nor ".join(
                f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} ({listed(group)})"
                for kind, group in known.items()
            )
            either = "neither " if len(known) > 1 else "not "
            raise ProblemError(
                f"{what}: argument {argument!r} is"
                f" {either}{kinds}{nearest(argument, names) or hint}"
            )


def function_name(function: object) -> str:
    """How a message calls a function: "poisson()"."""
    return f"{getattr(function, '__name__', type(function).__name__)}()"


def leaf_name(leaf: Leaf, coordinates: Sequence[str]) -> str:
    """The usual subscript notation: ("u", (2, 1)) on (x, y) is "u_xxy"."""
    subscript = "".join(x * n for x, n in zip(coordinates, leaf[1], strict=True))
    return f"{leaf[0]}_{subscript}" if subscript else leaf[0]


def below(index: MultiIndex) -> list[MultiIndex]:
    """All multi-indices that are at most `index` in every coordinate."""
    return list(product(*(range(n + 1) for n in index)))


def rows_of(
    function: Callable[..., object],
    name: str,
    arguments: Sequence[str],
    unknowns: Sequence[str],
    leaves: Leaves,
) -> list[Tensor]:
    """Call the user's function on the leaves and check what it returns: one tensor [points] for
    each equation."""
    like = next(iter(leaves.coordinates.values()))
    values = {a: leaves.value(a) if a in unknowns else leaves.coordinates[a] for a in arguments}
    with leaves.active():
        returned = call(function, values, name)
    rows = list(returned) if isinstance(returned, tuple | list) else [returned]
    if not rows:
        raise ProblemError(f"{name}: returned nothing; expected a tensor of one value a point")
    for row in rows:
        if not isinstance(row, Tensor) or not row.is_floating_point():
            came = f"a tensor of {row.dtype}" if isinstance(row, Tensor) else type(row).__name__
            raise ProblemError(
                f"{name}: returned {came}; expected a tensor of one real number a"
                f" point{forgotten(row)}"
            )
        if row.shape != like.shape:
            raise ProblemError(
                f"{name}: returned shape {list(row.shape)} for {len(like)} points; expected one"
                f" value a point, [{len(like)}]"
            )
    return [row.to(like.dtype) for row in rows]


def _gradient(row: Tensor, inputs: Sequence[Tensor]) -> Float[Tensor, "points leaves"]:
    if not row.requires_grad:
        return row.new_zeros(len(row), len(inputs))
    found = torch.autograd.grad(row.sum(), inputs, allow_unused=True, retain_graph=True)
    return torch.stack([torch.zeros_like(row) if g is None else g for g in found], 1)


def forgotten(returned: object) -> str:
    """A hint for what a function without `return` returns."""
    return " (is a `return` missing?)" if returned is None else ""


def at_point(values: Values, i: int) -> str:
    """Point i in words: "x=0.5, y=0"."""
    return ", ".join(f"{name}={float(v[i]):.6g}" for name, v in values.items())
