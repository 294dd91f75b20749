"""The sum of squares that training minimises: residuals of the equations and of the soft conditions at points.

Each term has its own points. Its rows are scaled by sqrt(weight / rows), so that the sum of the squared rows is the
weighted sum of the terms' mean squared residuals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.calculus import Leaf
from kanpde.networks.ansatz import Ansatz, Frame
from kanpde.networks.network import Network
from kanpde.networks.rows import Rows
from kanpde.residual import Residual, Values

Sampler = Callable[[int], tuple[Tensor, Values | None]]


@dataclass
class Term:
    """Residuals that share points. columns[i]: where the leaves of residual i are among those of the frame.

    weights [points, equations]: of the squares of single rows, besides `weight`, which is that of the whole term; None for ones.
    """

    residuals: Sequence[Residual]
    frame: Frame
    columns: Sequence[Tensor | slice]
    normal: Values | None
    weight: float
    weights: Tensor | None = None

    @property
    def equations(self) -> int:
        """Rows at a point."""
        return sum(r.equations for r in self.residuals)

    @property
    def scale(self) -> float:
        """What each row is multiplied by."""
        return math.sqrt(self.weight / len(self.frame.points))

    def evaluate(self, network: Network, partials: bool) -> tuple[list[Tensor], Tensor, Tensor | None]:
        """The network's jets, scaled rows [points, equations], and their partials [points, equations, leaves]."""
        jets = network.forward(self.frame.X, self.frame.counts)
        u = self.frame.derivatives(jets[-1])
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
        if self.weights is not None:
            roots = self.weights.sqrt()
            r *= roots
            g = None if g is None else g.mul_(roots[:, :, None])
        return jets, r, g


def term(ansatz: Ansatz, residuals: Sequence[Residual], points: Tensor, normal: Values | None, weight: float) -> Term:
    """Prepare residuals at points: one frame for all the leaves that they need together."""
    needs: list[Leaf] = list(dict.fromkeys(leaf for r in residuals for leaf in r.needs))
    columns = [slice(None) if list(r.needs) == needs else torch.tensor([needs.index(leaf) for leaf in r.needs], dtype=torch.long) for r in residuals]
    theta = ansatz.network.theta
    normal = None if normal is None else {x: v.to(theta) for x, v in normal.items()}
    return Term(residuals, ansatz.frame(points, needs), columns, normal, weight)


class Objective:
    """The terms together, for one network. All quantities are functions of the network's current parameters."""

    def __init__(self, network: Network, terms: Sequence[Term]):
        self.network, self.terms = network, list(terms)

    @property
    def rows(self) -> int:
        """Number of residual rows."""
        return sum(t.equations * len(t.frame.points) for t in self.terms)

    def residuals(self) -> Float[Tensor, " rows"]:
        """All scaled rows; the loss is their sum of squares."""
        return torch.cat([t.evaluate(self.network, False)[1].T.reshape(-1) for t in self.terms])

    def loss(self) -> float:
        """Weighted sum of mean squared residuals."""
        return float(self.residuals().square().sum())

    def gradient(self) -> tuple[float, Float[Tensor, " parameters"]]:
        """Loss and its gradient, by one adjoint sweep a term."""
        loss, total = 0.0, torch.zeros_like(self.network.theta)
        for t in self.terms:
            jets, r, g = t.evaluate(self.network, True)
            assert g is not None
            L = t.frame.adjoint(2 * torch.einsum("ne,nea->na", r, g), self.network.widths[-1])
            loss += float(r.square().sum())
            total += self.network.gradient(jets, L, t.frame.counts)
        return loss, total

    def jacobian(self) -> tuple[Float[Tensor, " rows"], Rows]:
        """All rows and their derivatives by the parameters, one adjoint sweep an equation."""
        values, rows = [], []
        for t in self.terms:
            jets, r, g = t.evaluate(self.network, True)
            assert g is not None
            values.append(r.T.reshape(-1))
            for e in range(t.equations):
                rows.append(self.network.jacobian(jets, t.frame.adjoint(g[:, e], self.network.widths[-1]), t.frame.counts))
        return torch.cat(values), Rows.below(rows)
