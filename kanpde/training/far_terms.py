"""Terms of networks whose residuals ask for values at other places, for integrals and the like.

The network is evaluated at the points and at all different other places together; a row depends on
its own point and, through the nodes of its integrals, on many of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.networks.frame import Frame
from kanpde.networks.network import Network
from kanpde.networks.rows import Rows
from kanpde.networks.trial_space import NetworkSolution
from kanpde.residual.calculus import Leaf, Values
from kanpde.residual.elsewhere import Rule, gathered
from kanpde.residual.residual import Residual
from kanpde.training import shards
from kanpde.training.objective import Affine, Term, term

NODES_IN_TRAINING = Rule(5, 8)
"""Of integrals while a network is trained; it is judged by more."""


@dataclass(frozen=True)
class FarFrame(Frame):
    """A frame at points and, after them, at the other places that rows ask for. X, map, lift and
    features are those of all; leaves are columns at the points, then those at other places.

    Attributes:
        points: Where the rows are, without the other places.
        here: Which leaves of the frame the columns at the points are.
        there: By leaf that is asked for at other places: which leaf of the frame it is, and the
            number of every place, [points, each].
    """

    points: Float[Tensor, "rows dims"]
    here: tuple[int, ...] = ()
    there: tuple[tuple[int, Int[Tensor, "rows _each"]], ...] = ()

    def derivatives(
        self, J: Float[Tensor, "all channels outputs"]
    ) -> Float[Tensor, "_rows columns"]:
        every = super().derivatives(J)
        count = len(self.points)
        found = [every[:count, list(self.here)]]
        return torch.cat([*found, *(every[count:, a][which] for a, which in self.there)], 1)

    def adjoint(
        self, g: Float[Tensor, "_rows columns"], outputs: int
    ) -> Float[Tensor, "all channels outputs"]:
        every = g.new_zeros(len(self.X), len(self.column))
        count, first = len(self.points), len(self.here)
        for k, a in enumerate(self.here):
            every[:count, a] += g[:, k]
        for a, which in self.there:
            own = g[:, first : first + which.shape[1]]
            every[count:, a].index_add_(0, which.reshape(-1), own.reshape(-1))
            first += which.shape[1]
        return super().adjoint(every, outputs)

    def at_places(self, leaf: int, outputs: int) -> Float[Tensor, "places channels outputs"]:
        """The adjoint of the output jet by one leaf at every place.

        Args:
            leaf: Its number.
            outputs: How many outputs the network has.
        """
        one = self.X.new_zeros(len(self.X), len(self.column))
        one[:, leaf] = 1.0
        return super().adjoint(one, outputs)[len(self.points) :]

    def to(self, like: Tensor) -> FarFrame:
        plain = super().to(like)
        assert isinstance(plain, FarFrame)
        return replace(plain, there=tuple((a, w.to(like.device)) for a, w in self.there))

    def part(self, points: slice) -> FarFrame:
        """The same at some of the points, and all of the places.

        Args:
            points: Which.
        """
        count = len(self.points)

        def some(values: Tensor) -> Tensor:
            return torch.cat([values[:count][points], values[count:]])

        return replace(
            self,
            points=self.points[points],
            X=some(self.X),
            map=some(self.map),
            lift=some(self.lift),
            features=None if self.features is None else some(self.features),
            there=tuple((a, which[points]) for a, which in self.there),
        )


@dataclass
class FarTerm(Term):
    """A term whose rows depend on the network at other places as well."""

    def jacobian(self, network: Network) -> tuple[Float[Tensor, "equations points"], list[Rows]]:
        frame, outputs = self.frame, network.widths[-1]
        assert isinstance(frame, FarFrame)
        jets, r, g = self.evaluate(network, True)
        assert g is not None
        count, first = len(frame.points), len(frame.here)
        points, places = [X[:count] for X in jets], [X[count:] for X in jets]
        known = {
            a: network.jacobian(places, frame.at_places(a, outputs), frame.counts).dense()
            for a in dict.fromkeys(a for a, _ in frame.there)
        }
        found = []
        for e in range(self.equations):
            alone = g[:, e].clone()
            alone[:, first:] = 0.0
            L = frame.adjoint(alone, outputs)[:count]
            J, at = network.jacobian(points, L, frame.counts).dense(), first
            for a, which in frame.there:
                own = g.new_zeros(count, len(known[a]))
                own.scatter_add_(1, which, g[:, e, at : at + which.shape[1]])
                J = J + own @ known[a]
                at += which.shape[1]
            found.append(Rows.full(J))
        return r.T, found

    def part(self, points: slice, network: Network) -> Term:
        frame = self.frame
        assert isinstance(frame, FarFrame)
        sizes = self.sizes
        return replace(
            self,
            frame=frame.part(points),
            normal=None if self.normal is None else {x: v[points] for x, v in self.normal.items()},
            weights=None if self.weights is None else self.weights[points],
            sizes=sizes[points] if sizes is not None and sizes.ndim > 1 else sizes,
        )

    def _affine(self, network: Network) -> Affine | None:
        return None


def far_frame(
    solution: NetworkSolution,
    residuals: Sequence[Residual],
    points: Float[Tensor, "points dims"],
    normal: Values | None,
) -> tuple[tuple[Residual, ...], FarFrame, list[Tensor]]:
    """The frame of residuals of which some ask for values at other places.

    Args:
        solution: The candidate.
        residuals: The residuals.
        points: Where.
        normal: The normals at the points, by coordinate; None inside the domain.

    Returns:
        The residuals with the rule of training, the frame, and by residual its columns of the
        leaves.

    Raises:
        RecipeError: Several processes share the points.
    """
    if shards.size() > 1:
        raise RecipeError(
            "integrals and values at other places are trained on in one process alone"
        )
    ruled = tuple(replace(one, rule=NODES_IN_TRAINING) if one.afar else one for one in residuals)
    names = ruled[0].coordinates
    at = dict(zip(names, points.detach().double().cpu().T, strict=True))
    here: list[Leaf] = list(dict.fromkeys(leaf for one in ruled for leaf in one.needs))
    asked: list[tuple[Leaf, np.ndarray, np.ndarray]] = []
    columns, first = [], len(here)
    for one in ruled:
        own = [here.index(leaf) for leaf in one.needs]
        for afar, (places, which) in zip(
            one.afar, gathered(one.places(at, normal), names), strict=True
        ):
            for leaf in afar.leaves:
                asked.append((leaf, places, which.T))
                own += range(first, first + len(which))
                first += len(which)
        columns.append(torch.tensor(own, dtype=torch.long))
    needs = list(dict.fromkeys([*here, *(leaf for leaf, _, _ in asked)]))
    every = np.concatenate([places for _, places, _ in asked])
    different, number = np.unique(every, axis=0, return_inverse=True)
    there, begin = [], 0
    for leaf, places, which in asked:
        own_number = number.ravel()[begin : begin + len(places)]
        there.append((needs.index(leaf), torch.from_numpy(own_number[which])))
        begin += len(places)
    whole = torch.cat([points.detach().double().cpu(), torch.from_numpy(different)])
    plain = solution.frame(whole, needs)
    given = {f.name: getattr(plain, f.name) for f in fields(Frame)}
    given["points"] = whole[: len(points)]
    frame = FarFrame(**given, here=tuple(range(len(here))), there=tuple(there))
    return ruled, frame.to(solution.network.theta), columns


def any_term(
    solution: NetworkSolution,
    residuals: Sequence[Residual],
    points: Tensor,
    normal: Values | None,
    weight: float,
    sizes: Sequence[float] = (),
) -> Term:
    """Prepare residuals at points, whether they ask for values at other places or not.

    Args:
        solution: The candidate that they are evaluated for.
        residuals: The residuals.
        points: All points [points, dims].
        normal: The normals at the points, by coordinate; None inside the domain.
        weight: Weight of the whole term.
        sizes: What the rows of the equations are divided by; none for ones.
    """
    plain = term(solution, residuals, points, normal, weight, sizes)
    if not any(one.afar for one in residuals):
        return plain
    ruled, frame, columns = far_frame(solution, residuals, points, normal)
    return FarTerm(ruled, frame, columns, plain.normal, weight, len(points), sizes=plain.sizes)
