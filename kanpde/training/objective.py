"""The sum of squares that training minimises: residuals of the equations and of the soft conditions
at points.

Each term has its own points. Its rows are scaled by sqrt(weight / rows), so that the sum of the
squared rows is the weighted sum of the terms' mean squared residuals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.networks.frame import Frame
from kanpde.networks.network import Network
from kanpde.networks.rows import Rows
from kanpde.networks.trial_space import NetworkSolution
from kanpde.residual.calculus import Leaf, Values
from kanpde.residual.residual import Residual
from kanpde.training.shards import share, total, totals

Sampler = Callable[[int], tuple[Tensor, Values | None]]


class Affine(NamedTuple):
    """Rows b + Σ W·Y of the network's output jet Y.

    Attributes:
        W: The factors [equations, points, channels, outputs].
        b: The rows where the jet is zero [equations, points].
    """

    W: Tensor
    b: Tensor


@dataclass
class Term:
    """Residuals that share points.

    Attributes:
        residuals: The residuals.
        frame: The leaves at this process's share of the points (see shards.py).
        columns: For each residual, where its leaves are among those of the frame.
        normal: The normals at the points, by coordinate; None inside the domain.
        weight: Weight of the whole term.
        count: Number of the points of all processes.
        weights: Weights of the squares of single rows [points, equations], besides `weight`; None
            for ones.
        sizes: What the rows of the equations are divided by, [equations] or [points, equations];
            None for ones.
    """

    residuals: Sequence[Residual]
    frame: Frame
    columns: Sequence[Tensor | slice]
    normal: Values | None
    weight: float
    count: int
    weights: Tensor | None = None
    sizes: Tensor | None = None
    _known: tuple[Frame, Tensor | None, Affine | None] | None = field(
        default=None, init=False, repr=False
    )

    @property
    def equations(self) -> int:
        """Rows at a point."""
        return sum(r.equations for r in self.residuals)

    @property
    def scale(self) -> float:
        """What each row is multiplied by."""
        return math.sqrt(self.weight / self.count)

    def evaluate(
        self, network: Network, partials: bool
    ) -> tuple[list[Tensor], Tensor, Tensor | None]:
        """Evaluate the network and the residuals.

        Args:
            network: The network.
            partials: Whether the partials are wanted.

        Returns:
            The network's jets, the scaled rows [points, equations], and their partials by the
            leaves [points, equations, leaves], or None where those are not wanted.
        """
        jets = network.forward(self.frame.X, self.frame.counts)
        return jets, *self._at(self.frame.derivatives(jets[-1]), partials)

    def rows(self, network: Network) -> Float[Tensor, "equations points"]:
        """The scaled rows.

        Args:
            network: The network.
        """
        affine = self._affine(network)
        if affine is None:
            return self.evaluate(network, False)[1].T
        return network.rows(self.frame.X, *affine, self.frame.counts)

    def gradient(
        self, network: Network
    ) -> tuple[Float[Tensor, "equations points"], Float[Tensor, " parameters"]]:
        """The scaled rows, and the gradient of the sum of their squares.

        Args:
            network: The network.
        """
        affine = self._affine(network)
        if affine is not None:
            return network.squares(self.frame.X, *affine, self.frame.counts)
        jets, r, g = self.evaluate(network, True)
        assert g is not None
        L = self.frame.adjoint(2 * torch.einsum("ne,nea->na", r, g), network.widths[-1])
        return r.T, network.gradient(jets, L, self.frame.counts)

    def jacobian(self, network: Network) -> tuple[Float[Tensor, "equations points"], list[Rows]]:
        """The scaled rows, and their derivatives by the parameters.

        Args:
            network: The network.

        Returns:
            The rows [equations, points], and for each equation their derivatives, one row a point.
        """
        affine, counts, outputs = self._affine(network), self.frame.counts, network.widths[-1]
        if affine is not None:
            return network.linear(self.frame.X, *affine, counts)
        jets, r, g = self.evaluate(network, True)
        assert g is not None
        return r.T, [
            network.jacobian(jets, self.frame.adjoint(g[:, e], outputs), counts)
            for e in range(self.equations)
        ]

    def part(self, points: slice, network: Network) -> Term:
        """The same term at some of its points.

        It has the scale of the whole: sums over parts are sums over all points.

        Args:
            points: Which points.
            network: The network.
        """
        frame, known = self.frame, self._affine(network)
        own = frame.part(points)
        found = replace(
            self,
            frame=own,
            normal=None if self.normal is None else {x: v[points] for x, v in self.normal.items()},
            weights=None if self.weights is None else self.weights[points],
            sizes=self.sizes[points]
            if self.sizes is not None and self.sizes.ndim > 1
            else self.sizes,
        )
        found._known = own, found.weights, known and Affine(known.W[:, points], known.b[:, points])
        return found

    def _at(
        self, u: Float[Tensor, "points leaves"], partials: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Scaled rows and their partials where the leaves have these values."""
        at = dict(zip(self.residuals[0].coordinates, self.frame.points.to(u).T, strict=True))
        r = u.new_empty(len(u), self.equations)
        g = u.new_zeros(len(u), self.equations, u.shape[1]) if partials else None
        first = 0
        for residual, columns in zip(self.residuals, self.columns, strict=True):
            rows = slice(first, first + residual.equations)
            values, gradients = residual(at, u[:, columns], self.normal, partials)
            torch.mul(values, self.scale, out=r[:, rows])
            if g is not None and gradients is not None:
                g[:, rows, columns] = gradients.mul_(self.scale)
            first = rows.stop
        if self.sizes is not None:
            r /= self.sizes
            g = None if g is None else g.div_(self.sizes[..., None])
        if self.weights is not None:
            roots = self.weights.sqrt()
            r *= roots
            g = None if g is None else g.mul_(roots[:, :, None])
        return r, g

    def _affine(self, network: Network) -> Affine | None:
        """Where all residuals are affine: the rows as b + Σ W·Y of the network's output jet Y,
        found once."""
        if not all(residual.affine for residual in self.residuals):
            return None
        if (
            self._known is None
            or self._known[0] is not self.frame
            or self._known[1] is not self.weights
        ):
            b, g = self._at(self.frame.lift, True)
            assert g is not None
            W = torch.stack(
                [self.frame.adjoint(g[:, e], network.widths[-1]) for e in range(self.equations)]
            )
            self._known = (
                self.frame,
                self.weights,
                Affine(W, b.T.contiguous()) if bool(W.isfinite().all()) else None,
            )
        return self._known[2]


def term(
    solution: NetworkSolution,
    residuals: Sequence[Residual],
    points: Tensor,
    normal: Values | None,
    weight: float,
    sizes: Sequence[float] = (),
) -> Term:
    """Prepare residuals at points: one frame for all the leaves that they need together.

    Args:
        solution: The candidate that they are evaluated for.
        residuals: The residuals.
        points: All points [points, dims], of which this process takes its share.
        normal: The normals at the points, by coordinate; None inside the domain.
        weight: Weight of the whole term.
        sizes: What the rows of the equations are divided by; none for ones.
    """
    needs: list[Leaf] = list(dict.fromkeys(leaf for r in residuals for leaf in r.needs))
    columns = [
        (
            slice(None)
            if list(r.needs) == needs
            else torch.tensor([needs.index(leaf) for leaf in r.needs], dtype=torch.long)
        )
        for r in residuals
    ]
    theta = solution.network.theta
    divided = theta.new_tensor(sizes) if any(size != 1 for size in sizes) else None
    factor = solution.space.tempered(points, normal is not None)
    if factor is not None:
        rows = sum(r.equations for r in residuals)
        divided = theta.new_ones(rows) if divided is None else divided
        divided = divided / share(factor).to(theta)[:, None]
    normal = None if normal is None else {x: share(v).to(theta) for x, v in normal.items()}
    return Term(
        residuals,
        solution.frame(share(points), needs),
        columns,
        normal,
        weight,
        len(points),
        sizes=divided,
    )


class Objective:
    """The terms together, for one network.

    All quantities are functions of the network's current parameters. Loss and gradient are those of
    all processes, residuals and Jacobian those of this one's share of the points. `whole` says
    whether the Jacobian has to be made in one piece, however much memory that takes.

    Args:
        network: The network.
        terms: The terms.
    """

    whole = False

    def __init__(self, network: Network, terms: Sequence[Term]):
        self.network, self.terms = network, list(terms)

    @property
    def rows(self) -> int:
        """Number of residual rows."""
        return sum(t.equations * len(t.frame.points) for t in self.terms)

    def residuals(self) -> Float[Tensor, " rows"]:
        """All scaled rows of this process; the loss is everybody's sum of squares."""
        return one_after_another([t.rows(self.network) for t in self.terms])

    def loss(self) -> float:
        """Weighted sum of mean squared residuals."""
        return float(self.squares())

    def squares(self) -> Float[Tensor, ""]:
        """The same on the device: nothing waits for it."""
        r = self.residuals()
        return total(r @ r if r.is_cuda else r.square().sum())

    def gradient(self) -> tuple[float, Float[Tensor, " parameters"]]:
        """Loss and its gradient, by one adjoint sweep a term."""
        slope = torch.zeros_like(self.network.theta)
        loss = slope.new_zeros((), dtype=torch.float64)
        for t in self.terms:
            r, gradient = t.gradient(self.network)
            loss += r.square().sum()
            slope += gradient
        everybody, slope = totals(loss.to(slope)[None], slope)
        return float(everybody), slope

    def jacobian(self) -> tuple[Float[Tensor, " rows"], Rows]:
        """All rows and their derivatives by the parameters, one adjoint sweep an equation."""
        values, rows = [], []
        for t in self.terms:
            r, found = t.jacobian(self.network)
            values.append(r)
            rows += found
        if len({one.lengths for one in rows}) > 1:
            rows = [Rows.full(one.dense()) for one in rows]
        return one_after_another(values), Rows.below(rows)


def one_after_another(
    parts: Sequence[Float[Tensor, "_equations _points"]],
) -> Float[Tensor, " rows"]:
    """The rows of several terms in one vector.

    Args:
        parts: Those of each term [equations, points].
    """
    flat = [part.reshape(-1) for part in parts]
    return flat[0] if len(flat) == 1 else torch.cat(flat)
