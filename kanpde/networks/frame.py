"""What the derivatives of a candidate at points are, as a linear function of its network's output.

With u = lift + factor · N, Leibniz' rule writes each derivative of u as a sum of derivatives of the
factor times derivatives of N, and polarisation writes those of N as sums of Taylor coefficients
along directions, which is what the jets of a network hold. All of that depends on the points alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kanpde.geometry import Domain, Pieces
from kanpde.kernels.taylor import channels
from kanpde.networks.boundary import ExactBoundary
from kanpde.networks.enrichment import Feature
from kanpde.networks.jets import (
    Directions,
    coordinate_jet,
    directions_for,
    nested_derivatives,
    periodic_jet,
)
from kanpde.networks.lenses import Lens, lens_jets
from kanpde.residual.calculus import Leaf, MultiIndex, below


@dataclass(frozen=True)
class Frame:
    """All that depends on the points alone.

    The leaves are u_a = lift_a + Σ_c map_ac · J_c + Σ_k features_ak · J_0k, with J the output jet
    of the network.

    Attributes:
        points: Where, float64 on the CPU.
        X: The input jet of the network.
        counts: How many directions have Taylor coefficients of each order.
        map: What each leaf takes of the output jet.
        lift: What each leaf has without the network.
        column: Which output of the network each leaf belongs to.
        channels: Which channels of the output jet each leaf takes, where `map` has factors of these
            alone, [leaves, taken]; None where it has one of every channel.
        features: Derivatives of corner functions, whose coefficients are the values of the last
            outputs, as many as there are features; None where there are none.
    """

    points: Float[Tensor, "points dims"]
    X: Float[Tensor, "points channels inputs"]
    counts: tuple[int, ...]
    map: Float[Tensor, "points leaves _taken"]
    lift: Float[Tensor, "points leaves"]
    column: tuple[int, ...]
    features: Float[Tensor, "points leaves features"] | None = None
    channels: Int[Tensor, "leaves _taken"] | None = None

    def to(self, like: Tensor) -> Frame:
        """The same on the device and in the precision of a tensor; the points stay.

        Args:
            like: The tensor.
        """
        return replace(
            self,
            X=self.X.to(like),
            map=self.map.to(like),
            lift=self.lift.to(like),
            features=None if self.features is None else self.features.to(like),
            channels=None if self.channels is None else self.channels.to(like.device),
        )

    def part(self, points: slice) -> Frame:
        """The same at some of its points.

        Args:
            points: Which.
        """
        return replace(
            self,
            points=self.points[points],
            X=self.X[points],
            map=self.map[points],
            lift=self.lift[points],
            features=None if self.features is None else self.features[points],
        )

    def derivatives(
        self, J: Float[Tensor, "points channels outputs"]
    ) -> Float[Tensor, "points leaves"]:
        """Values of the leaves, given the output jet.

        Args:
            J: The output jet of the network, [points, channels, outputs].

        Returns:
            The values, [points, leaves].
        """
        if self.channels is not None:
            column = torch.tensor(self.column, device=J.device)[:, None].expand_as(self.channels)
            return self.lift + (self.map * J[:, self.channels, column]).sum(2)
        if J.shape[2] == 1:
            return self.lift + torch.bmm(self.map, J)[:, :, 0]
        found = self.lift + torch.stack(
            [(self.map[:, a] * J[:, :, q]).sum(1) for a, q in enumerate(self.column)], 1
        )
        if self.features is None:
            return found
        coefficients = J[:, 0, -self.features.shape[2] :, None]
        return found + torch.bmm(self.features, coefficients)[:, :, 0]

    def adjoint(
        self, g: Float[Tensor, "points leaves"], outputs: int
    ) -> Float[Tensor, "points channels outputs"]:
        """Adjoint of the output jet from that of the leaves.

        Args:
            g: The adjoint of the leaves, [points, leaves].
            outputs: How many outputs the network has.

        Returns:
            The adjoint of the output jet, [points, channels, outputs].
        """
        if self.channels is not None:
            L = self.map.new_zeros(len(g), channels(self.counts), outputs)
            for q in set(self.column):
                own = torch.tensor([a for a, c in enumerate(self.column) if c == q])
                taken = (g[:, own, None] * self.map[:, own]).flatten(1)
                L[:, :, q].index_add_(1, self.channels[own].flatten(), taken)
            return L
        L = self.map.new_zeros(len(g), self.map.shape[2], outputs)
        for a, q in enumerate(self.column):
            L[:, :, q].addcmul_(g[:, a : a + 1], self.map[:, a])
        if self.features is not None:
            L[:, 0, -self.features.shape[2] :] += torch.bmm(g[:, None], self.features)[:, 0]
        return L


@dataclass(frozen=True)
class UnitCoordinates:
    """The coordinates of a domain as a network sees them, each from -1 to 1.

    Attributes:
        bounds: Of the coordinates.
        scale: The derivative of what the network sees by the coordinate.
    """

    bounds: Float[Tensor, "dims 2"]
    scale: Float[Tensor, " dims"]

    @classmethod
    def of(cls, domain: Domain, like: Float[Tensor, "points dims"]) -> UnitCoordinates:
        """The unit coordinates of a domain.

        Args:
            domain: Whose coordinates they are.
            like: A tensor on the device and in the precision that are wanted.
        """
        bounds = like.new_tensor(list(domain.bounds.values()))
        return cls(bounds, 2 / (bounds[:, 1] - bounds[:, 0]))


def leibniz(needs: Sequence[Leaf]) -> Iterator[tuple[int, MultiIndex, MultiIndex]]:
    """Leaf by leaf, which derivatives of the network and of the factor are multiplied.

    Args:
        needs: The leaves, each an output and how often by every coordinate.

    Yields:
        The number of the leaf, the derivative of the network, and that of the factor.
    """
    for a, (_, alpha) in enumerate(needs):
        for beta in below(alpha):
            yield a, beta, tuple(n - k for n, k in zip(alpha, beta, strict=True))


def network_map(
    unit: UnitCoordinates,
    boundaries: Mapping[str, ExactBoundary],
    points: Float[Tensor, "points dims"],
    needs: Sequence[Leaf],
) -> tuple[Float[Tensor, "points leaves channels"], Directions]:
    """What each leaf takes of the network's output jet, and the directions of that jet.

    Args:
        unit: The coordinates as the network sees them.
        boundaries: Factor and lift of every output, by name.
        points: Where, [points, dims].
        needs: The leaves, each an output and how often by every coordinate.

    Returns:
        The map [points, leaves, channels], and the directions.
    """
    # Where nothing is built in, the factor is 1, and only the derivative of the network counts.
    terms = [
        (a, beta, rest)
        for a, beta, rest in leibniz(needs)
        if not any(rest) or boundaries[needs[a][0]].exact
    ]
    betas = sorted({beta for _, beta, _ in terms}, key=lambda b: (sum(b), b))
    betas = betas or [(0,) * points.shape[1]]
    directions, polarisation = directions_for(betas)
    scales = torch.stack([(unit.scale ** unit.scale.new_tensor(b)).prod() for b in betas])
    rows = torch.from_numpy(polarisation) * scales[:, None]
    factors = factor_derivatives(boundaries, points, needs)
    found = points.new_zeros(len(points), len(needs), directions.channels)
    for a, beta, rest in terms:
        unknown, alpha = needs[a]
        row = rows[betas.index(beta)]
        if boundaries[unknown].exact:
            binomial = math.prod(math.comb(n, k) for n, k in zip(alpha, beta, strict=True))
            found[:, a] += binomial * factors[unknown][rest][:, None] * row
        else:
            found[:, a] += row
    return found, directions


def factor_derivatives(
    boundaries: Mapping[str, ExactBoundary],
    points: Float[Tensor, "points dims"],
    needs: Sequence[Leaf],
) -> dict[str, dict[MultiIndex, Tensor]]:
    """Derivatives of the factors that Leibniz' rule takes.

    Args:
        boundaries: Factor and lift of every output, by name.
        points: Where, [points, dims].
        needs: The leaves, each an output and how often by every coordinate.

    Returns:
        The derivatives [points], by unknown and index.
    """
    found = {}
    for unknown, boundary in boundaries.items():
        alphas = [alpha for u, alpha in needs if u == unknown]
        if boundary.exact and alphas:
            indices = {b for alpha in alphas for b in below(alpha)}
            found[unknown] = nested_derivatives(boundary.factor, points, indices)
    return found


def lifted(
    boundaries: Mapping[str, ExactBoundary],
    points: Float[Tensor, "points dims"],
    needs: Sequence[Leaf],
) -> Float[Tensor, "points leaves"]:
    """The leaves of the lifts, zero where nothing is built in.

    Args:
        boundaries: Factor and lift of every output, by name.
        points: Where, [points, dims].
        needs: The leaves, each an output and how often by every coordinate.

    Returns:
        The leaves, [points, leaves].
    """
    found = points.new_zeros(len(points), len(needs))
    for unknown, boundary in boundaries.items():
        alphas = {alpha for u, alpha in needs if u == unknown}
        if not boundary.exact or not alphas:
            continue
        derivatives = nested_derivatives(boundary.lift, points, alphas)
        for a, (u, alpha) in enumerate(needs):
            if u == unknown:
                found[:, a] = derivatives[alpha]
    return found


def feature_derivatives(
    features: Sequence[Feature], points: Float[Tensor, "points dims"], needs: Sequence[Leaf]
) -> Float[Tensor, "points leaves features"]:
    """The leaves of the corner functions, zero for unknowns that have none.

    Args:
        features: The corner functions.
        points: Where, [points, dims].
        needs: The leaves, each an output and how often by every coordinate.

    Returns:
        The leaves, [points, leaves, features].
    """
    found = points.new_zeros(len(points), len(needs), len(features))
    for k, feature in enumerate(features):
        of = {a: alpha for a, (u, alpha) in enumerate(needs) if u == feature.unknown}
        if not of:
            continue
        derivatives = nested_derivatives(feature.function, points, set(of.values()))
        for a, alpha in of.items():
            found[:, a, k] = derivatives[alpha]
    return found


def input_jet(
    domain: Domain,
    unit: UnitCoordinates,
    seen: Sequence[tuple[str, bool]],
    lenses: Sequence[Lens],
    points: Float[Tensor, "points dims"],
    directions: Directions,
) -> Float[Tensor, "points channels inputs"]:
    """The input jet: coordinates from -1 to 1, cosine and sine of periodic ones, lenses.

    Args:
        domain: Whose coordinates they are; on pieces every piece has inputs of its own.
        unit: The coordinates as the network sees them.
        seen: Coordinates in the order of the inputs, each with whether its cosine and its sine are
            seen in its place.
        lenses: The holes that the network looks at closely.
        points: Where, [points, dims].
        directions: Along which the jet is expanded.

    Returns:
        The jet, [points, channels, inputs].
    """
    frequencies = [math.pi if turned else None for _, turned in seen]
    plain = coordinate_jet((points - unit.bounds[:, 0]) * unit.scale - 1, directions)
    columns = [domain.coordinates.index(x) for x, _ in seen]
    X = periodic_jet(plain[:, :, columns], frequencies, directions.counts)
    if isinstance(domain, Pieces):
        own = [
            unit.bounds.new_tensor(list(region.bounds.values()))
            for region in domain.regions.values()
        ]
        X = torch.cat([_rescaled(X, unit.bounds, bounds) for bounds in own], 2)
    if lenses:
        X = torch.cat([X, lens_jets(lenses, points, unit.scale, directions)], 2)
    return X.contiguous()


def _rescaled(
    X: Float[Tensor, "points channels dims"],
    bounds: Float[Tensor, "dims 2"],
    own: Float[Tensor, "dims 2"],
) -> Float[Tensor, "points channels dims"]:
    """The jet of coordinates over `bounds` as that of coordinates over a piece's own bounds.

    Both run from -1 to 1 over theirs.
    """
    ratio = (bounds[:, 1] - bounds[:, 0]) / (own[:, 1] - own[:, 0])
    Y = X * ratio
    Y[:, 0] += (bounds.sum(1) - own.sum(1)) / (own[:, 1] - own[:, 0])
    return Y
