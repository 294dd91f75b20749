"""Pointwise residuals: one user function, its values r and its partials ∂r/∂u_α, whoever supplies
the derivatives u_α."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.residual.affine import UseWatched
from kanpde.residual.calculus import Leaf, Leaves, Values
from kanpde.residual.elsewhere import Afar, Extent, OtherPlaces, Rule, gathered
from kanpde.residual.functions import at_point, rows_of


@dataclass(frozen=True)
class Residual:
    """A pointwise function r(x, u_α) that vanishes at the solution.

    Attributes:
        name: What messages call it.
        function: What the user wrote.
        arguments: The names of its arguments.
        unknowns: Which names are unknowns.
        coordinates: Names of all coordinates, in the domain's order.
        space: Those that are not time.
        needs: The derivatives that r depends on: the columns of what `__call__` takes and of the
            partials that it returns.
        unused: Derivatives that it is given or asks for on the way but that do not change r, such
            as the plain u of Δu = f.
        equations: How many numbers it gives at a point.
        composite: Whether it differentiates expressions.
        affine: Whether its partials are known not to depend on the derivatives.
        afar: What it asks for at other places, for integrals and point values, place by place.
        extent: Of the domain, where it is a box.
        rule: Of quadrature.
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
    afar: tuple[Afar, ...] = ()
    extent: Extent | None = field(default=None, compare=False)
    rule: Rule = field(default=Rule(), compare=False)

    @property
    def order(self) -> int:
        """Highest order of differentiation."""
        leaves = [*self.needs, *(leaf for one in self.afar for leaf in one.leaves)]
        return max((sum(index) for _, index in leaves), default=0)

    @property
    def everywhere(self) -> tuple[Leaf, ...]:
        """All that it depends on, at the points or elsewhere, each once."""
        return tuple(dict.fromkeys([*self.needs, *(a for one in self.afar for a in one.leaves)]))

    def renamed(self, names: Mapping[str, str]) -> Residual:
        """The same residual of unknowns by other names.

        Args:
            names: The new name by the old one, for those that change.
        """
        old = {new: name for name, new in names.items()}

        def function(**given: Tensor) -> Tensor | Sequence[Tensor]:
            return self.function(**{old.get(name, name): value for name, value in given.items()})

        def leaves(given: Sequence[Leaf]) -> tuple[Leaf, ...]:
            return tuple((names.get(unknown, unknown), index) for unknown, index in given)

        return replace(
            self,
            function=function,
            arguments=tuple(names.get(name, name) for name in self.arguments),
            unknowns=tuple(names.get(name, name) for name in self.unknowns),
            needs=leaves(self.needs),
            unused=leaves(self.unused),
            afar=tuple(replace(one, leaves=leaves(one.leaves)) for one in self.afar),
        )

    def rows(self, leaves: Leaves) -> list[Tensor]:
        """What the function returns on given leaves.

        Args:
            leaves: Supplies coordinates and derivatives.

        Returns:
            One tensor [points] an equation.

        Raises:
            ProblemError: As `__call__` does.
        """
        return rows_of(self.function, self.name, self.arguments, self.unknowns, leaves)

    def asks_for(self, coordinate: str, coordinates: Values, normal: Values | None = None) -> bool:
        """Whether the function does anything with a coordinate but to differentiate by it.

        Args:
            coordinate: Its name.
            coordinates: Of some points, by name, [points] each.
            normal: Outward unit normals by coordinate, on a boundary.
        """
        leaves = self._of_zeros(coordinates, normal)
        asked = UseWatched(leaves.coordinates[coordinate])
        with torch.set_grad_enabled(self.composite), asked:
            rows_of(self.function, self.name, self.arguments, self.unknowns, leaves)
        return asked.used

    def places(self, coordinates: Values, normal: Values | None = None) -> list[OtherPlaces]:
        """The other places that it asks for, which depend on the points alone.

        Args:
            coordinates: Of the points, by name, [points] each.
            normal: Outward unit normals by coordinate, on a boundary.
        """
        if not self.afar:
            return []
        leaves = self._of_zeros(coordinates, normal)
        with torch.set_grad_enabled(self.composite):
            rows_of(self.function, self.name, self.arguments, self.unknowns, leaves)
        return leaves.elsewhere.places

    def columns(self, places: Sequence[OtherPlaces]) -> list[Leaf]:
        """Which leaf every column is of what `__call__` takes: those of `needs`, then those at
        other places.

        Args:
            places: What `places` gave.
        """
        return [
            *self.needs,
            *(
                leaf
                for one, place in zip(self.afar, places, strict=True)
                for leaf in one.leaves
                for _ in range(place.shape[0])
            ),
        ]

    def supplied(
        self,
        coordinates: Values,
        derivatives: Callable[[Tensor, Sequence[Leaf]], Tensor],
        normal: Values | None = None,
    ) -> tuple[Float[Tensor, "points columns"], list[Leaf]]:
        """All that `__call__` takes at points, and which leaf every column is.

        Args:
            coordinates: Of the points, by name, [points] each.
            derivatives: Gives leaves at points [some, dims], [some, leaves].
            normal: Outward unit normals by coordinate, on a boundary.
        """
        points = torch.stack([coordinates[x] for x in self.coordinates], 1)
        here = derivatives(points, self.needs) if self.needs else points.new_zeros(len(points), 0)
        if not self.afar:
            return here, list(self.needs)
        places = self.places(coordinates, normal)
        found = [here]
        ways = zip(self.afar, gathered(places, self.coordinates), strict=True)
        for one, (there, which) in ways:
            if one.leaves:
                values = derivatives(torch.from_numpy(there).to(points), one.leaves)
                found += [values[torch.from_numpy(which.T), a] for a in range(len(one.leaves))]
        return torch.cat(found, 1), self.columns(places)

    def __call__(
        self,
        coordinates: Values,
        derivatives: Float[Tensor, "points columns"],
        normal: Values | None = None,
        partials: bool = True,
    ) -> tuple[Float[Tensor, "points equations"], Float[Tensor, "points equations columns"] | None]:
        """Residual values and, where asked for, their partials.

        Args:
            coordinates: Of the points, by name, [points] each.
            derivatives: Column a holds the values of `needs[a]` at the points; after these come
                those at other places, as `columns` says.
            normal: Outward unit normals by coordinate, on a boundary.
            partials: Whether the partials are wanted.

        Returns:
            The values, and their partials by the derivatives in the order of these; None in place
            of partials that are not wanted.

        Raises:
            ProblemError: When the user's function fails, gives the wrong shape, or asks for other
                derivatives than it did in the dry run (a residual must not branch on values).
        """
        if self.afar and derivatives.shape[1] == len(self.needs):
            raise ProblemError(
                f"{self.name}: holds an integral or a value at another place, which is not taken"
                " here"
            )
        return self._evaluated(coordinates, derivatives, normal, partials)

    def near(
        self,
        coordinates: Values,
        derivatives: Float[Tensor, "points leaves"],
        normal: Values | None = None,
        partials: bool = True,
    ) -> tuple[Float[Tensor, "points equations"], Float[Tensor, "points equations leaves"] | None]:
        """The same where all is zero at other places: what it is at the point alone.

        Args:
            coordinates: Of the points, by name, [points] each.
            derivatives: Column a holds the values of `needs[a]` at the points.
            normal: Outward unit normals by coordinate, on a boundary.
            partials: Whether the partials are wanted.
        """
        values, slopes = self._evaluated(coordinates, derivatives, normal, partials)
        return values, None if slopes is None else slopes[:, :, : len(self.needs)]

    def _evaluated(
        self,
        coordinates: Values,
        derivatives: Float[Tensor, "points _given"],
        normal: Values | None,
        partials: bool,
    ) -> tuple[
        Float[Tensor, "points equations"], Float[Tensor, "points equations _columns"] | None
    ]:
        column = {leaf: a for a, leaf in enumerate(self.needs)}
        nothing = derivatives.new_full((len(derivatives),), torch.nan)

        def supply(leaf: Leaf) -> Tensor:
            if leaf in column:
                return derivatives[:, column[leaf]]
            if leaf in self.unused:
                # Poisoned: if it mattered after all, it would show.
                return nothing
            raise ProblemError(
                f"{self.name}: asks for {leaf_name(leaf, self.coordinates)} only at some points; a"
                " residual must not branch on values"
            )

        firsts = [len(self.needs)]
        alone = derivatives.shape[1] == len(self.needs)

        def far(place: int, leaf: Leaf, shape: tuple[int, int]) -> Tensor:
            while len(firsts) <= place:
                before = len(firsts) - 1
                each = leaves.elsewhere.places[before].shape[0]
                firsts.append(firsts[-1] + each * len(self.afar[before].leaves))
            if place >= len(self.afar) or leaf not in self.afar[place].leaves:
                return nothing.expand(shape)
            if alone:
                return derivatives.new_zeros(shape)
            first = firsts[place] + shape[0] * self.afar[place].leaves.index(leaf)
            return derivatives[:, first : first + shape[0]].T

        leaves = self._leaves(coordinates, supply, far, normal)
        with torch.set_grad_enabled(partials or self.composite):
            rows = rows_of(self.function, self.name, self.arguments, self.unknowns, leaves)
        values = torch.stack([row.detach() for row in rows], 1)
        if not partials:
            return values, None
        inputs = [leaves[leaf] for leaf in self.needs]
        there = [
            leaves.elsewhere.value(k, leaf)
            for k, one in enumerate(self.afar)
            for leaf in one.leaves
        ]
        return values, torch.stack([_gradient(row, inputs, there) for row in rows], 1)

    def _of_zeros(self, coordinates: Values, normal: Values | None) -> Leaves:
        """Leaves that are all zero."""
        like = next(iter(coordinates.values()))
        zeros = like.new_zeros(len(like), 1)
        return self._leaves(
            coordinates,
            lambda leaf: zeros[:, 0],
            lambda place, leaf, shape: zeros.new_zeros(shape),
            normal,
        )

    def _leaves(
        self,
        coordinates: Values,
        supply: Callable[[Leaf], Tensor],
        far: Callable[[int, Leaf, tuple[int, int]], Tensor],
        normal: Values | None,
    ) -> Leaves:
        # Operators know a coordinate by the identity of its tensor: each gets its own.
        at = {x: v.detach().requires_grad_(self.composite) for x, v in coordinates.items()}
        return Leaves(at, self.space, supply, normal, self.extent, self.rule, far)


def check_finite(
    residual: Residual,
    values: Float[Tensor, "points equations"],
    coordinates: Values,
    derivatives: Float[Tensor, "points leaves"],
) -> None:
    """Check that a residual is finite wherever its inputs are.

    Args:
        residual: What was evaluated.
        values: What it gave.
        coordinates: Of the points, by name.
        derivatives: What it was given.

    Raises:
        ProblemError: For the first point where it is not; the message names function and point.
    """
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


def leaf_name(leaf: Leaf, coordinates: Sequence[str]) -> str:
    """The usual subscript notation: ("u", (2, 1)) on (x, y) is "u_xxy"."""
    subscript = "".join(x * n for x, n in zip(coordinates, leaf[1], strict=True))
    return f"{leaf[0]}_{subscript}" if subscript else leaf[0]


def _gradient(
    row: Tensor, inputs: Sequence[Tensor], there: Sequence[Tensor] = ()
) -> Float[Tensor, "points columns"]:
    """Partials of a row by leaves at the points, and by those at other places, [each, points]."""
    width = len(inputs) + sum(len(values) for values in there)
    if not row.requires_grad:
        return row.new_zeros(len(row), width)
    every = [*inputs, *there]
    found = torch.autograd.grad(row.sum(), every, allow_unused=True, retain_graph=True)
    columns = [
        (torch.zeros_like(of) if g is None else g).reshape(-1, len(row)).T
        for of, g in zip(every, found, strict=True)
    ]
    return torch.cat(columns, 1) if columns else row.new_zeros(len(row), 0)
