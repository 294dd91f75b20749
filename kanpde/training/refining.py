"""Finer grids along the coordinates that ask for them, then more terms: what a sum of products
needs next.

The coefficients of every coordinate say how far its splines are off (canonical.spline_errors).
Where that is below GOAL along all of them, and the residual is still lowered by further terms,
these are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.networks.axis_splines import AxisSplines
from kanpde.networks.canonical import (
    layer_of,
    refitted,
    spline_errors,
    with_terms,
    without_idle,
)
from kanpde.networks.network import Network
from kanpde.networks.sums_of_products import SumsOfProducts
from kanpde.training.alternating import AlternatingLeastSquares
from kanpde.training.changes import Change
from kanpde.training.levenberg_marquardt import LevenbergMarquardt
from kanpde.training.objective import Objective

GOAL = 1e-14
"""Error of splines, over the size of the unknown, at which a grid is fine enough: above it rounding
in the normal equations is felt."""

FINEST_STEP, LEAST_STEP = 2.0, 1.2
"""How many times as fine a grid gets at a time, at most and at least."""

SLOPE = 0.01
"""Share of the largest error after its refinement, below which a coordinate waits."""

IDLE = 50.0
"""Times the errors of the splines below which a term is left out: it follows these errors."""

SEEN = 1e-5
"""Errors of splines, over the sizes of the outputs, from which terms say something of the
solution."""

WORTH = 4.0
"""By which further terms have to lower the loss."""

ROUNDED_LOSS = 1e-22
"""Loss, over that of the zero network, at which rounding is most of it."""

NOT_NEEDED = "nothing was needed"
"""What is said where the network stays."""

SWEEPS_TRIED, STEPS_TRIED = 4, 12
"""With which further terms are tried."""


@dataclass(frozen=True)
class Refine(Change):
    """A stage that gives a separable network what it needs next, where it needs anything.

    Attributes:
        parameters: That the network may have afterwards.

    Raises:
        RecipeError: There is less than one.
    """

    parameters: int = 4000
    name = "refine"

    def __post_init__(self) -> None:
        if self.parameters < 1:
            raise RecipeError(f"refine:{self.parameters}: expected at least 1 parameter")

    def check(self, network: Network) -> None:
        if layer_of(network) is None:
            raise RecipeError(
                f"refine:{self.parameters}: got {network.describe()}; expected a network of sums of"
                " products: --network separable, or extend in place of refine"
            )

    def changed(
        self, network: Network, jets: Sequence[Tensor], generator: torch.Generator
    ) -> Network:
        """The same function on finer grids."""
        return finer(network, self.parameters)


def finer(network: Network, most: int) -> Network:
    """A network on finer grids along the coordinates whose splines are off by more than GOAL.

    Args:
        network: A network of sums of products; another one stays as it is.
        most: How many parameters the new network may have.

    Returns:
        The network; the same one where no grid asks for more, or there is no room.
    """
    layer = layer_of(network)
    if layer is None:
        return network
    network = _without_idle(network)
    layer = layer_of(network)
    assert layer is not None
    off = _errors(layer, network).amax(0).tolist()
    order = 1 + min(axis.degree for axis in layer.axes)
    waits = max(GOAL, SLOPE * max(off) / FINEST_STEP**order)
    axes = [
        _refined(axis, error, order) if error > waits else axis
        for axis, error in zip(layer.axes, off, strict=True)
    ]
    count = layer.terms * sum(axis.functions for axis in axes)
    if all(a is b for a, b in zip(axes, layer.axes, strict=True)) or count > most:
        return network
    return refitted(network, axes)


def _errors(layer: SumsOfProducts, network: Network) -> Tensor:
    """What `spline_errors` says, over the outputs' sizes, [outputs, axes].

    An output is in units of its unknown's size: where it is smaller than that, as where the
    conditions' interpolant is nearly the solution, its digits do not all count.
    """
    errors, sizes = spline_errors(layer, network.theta)
    return errors / sizes.clamp_min(1.0)[:, None]


def _unresolved(network: Network) -> bool:
    """Whether the splines of a network are too far off to say anything of the solution."""
    layer = layer_of(network)
    return layer is not None and bool((_errors(layer, network) > SEEN).any())


def _without_idle(network: Network) -> Network:
    """Without the terms that are well below the errors of the splines."""
    layer = layer_of(network)
    assert layer is not None
    errors, sizes = spline_errors(layer, network.theta)
    off, sizes = errors.amax(1), sizes.clamp_min(1.0)
    if _unresolved(network):
        return network
    return without_idle(network, (IDLE * off.maximum(GOAL * sizes)).tolist())


def _refined(axis: AxisSplines, error: float, order: int) -> AxisSplines:
    """The axis on a finer grid, by which the error should come to GOAL, or as near as it goes."""
    factor = min(FINEST_STEP, max(LEAST_STEP, 1.05 * (error / GOAL) ** (1 / order)))
    return axis.finer(math.ceil(factor * axis.grid))


class Growing:
    """Another network for a solution: finer grids, or where these are fine enough, more terms.

    Args:
        objective: What training lowers, with the network as it is.
        stage: The settings.
        generator: Source of the factors of new terms.
        replaced: Makes a network of the present one part by part, given a change of a part.
    """

    def __init__(
        self,
        objective: Objective,
        stage: Refine,
        generator: torch.Generator,
        replaced: Callable[[Callable[[Network], Network]], Network],
    ):
        self.objective, self.stage, self.generator = objective, stage, generator
        self.replaced = replaced

    def network(self) -> tuple[Network, str]:
        """The network to go on with, and what was done; the same one where nothing is needed.

        Where the splines are far from resolving anything, it may be for want of terms: then both
        may come at once.
        """
        before = self.objective.network
        found = self.replaced(lambda part: finer(part, self.stage.parameters))
        fine = found.describe() == before.describe()
        if not fine and not any(map(_unresolved, before.networks())):
            return found, f"now {found.describe()}"
        loss = self.objective.loss()
        if fine and loss <= ROUNDED_LOSS * self._loss_of_nothing():
            return before, NOT_NEEDED
        more = self.replaced(self._with_more_terms)
        after = self._tried(more) if more.parameters > before.parameters else loss
        self.objective.network = before
        if after >= loss / WORTH:
            return (before, NOT_NEEDED) if fine else (found, f"now {found.describe()}")
        return more, f"now {more.describe()}: the loss fell from {loss:.1e} to {after:.1e}"

    def _loss_of_nothing(self) -> float:
        """The loss of the network that is zero."""
        network = self.objective.network
        self.objective.network = replace(network, theta=torch.zeros_like(network.theta))
        try:
            return self.objective.loss()
        finally:
            self.objective.network = network

    def _with_more_terms(self, network: Network) -> Network:
        """The same function with twice as many terms, the new ones with one factor that is zero."""
        layer = layer_of(network)
        if layer is None:
            return network
        c = [p.detach().double().cpu() for p in layer.coefficients(network.theta)]
        ranks = [2 * rank for rank in layer.ranks]
        if sum(ranks) * sum(axis.functions for axis in layer.axes) > self.stage.parameters:
            return network
        parts = []
        for i, p in enumerate(c):
            columns = []
            for q, n in enumerate(layer.ranks):
                drawn = torch.randn(len(p), n, generator=self.generator, dtype=torch.float64)
                columns += [p[:, layer.of_output(q)], drawn * (i > 0)]
            parts.append(torch.cat(columns, 1))
        return with_terms(network, parts, ranks)

    def _tried(self, network: Network) -> float:
        """The loss after a few steps with a network, which it moves."""
        self.objective.network = network
        for stage in (AlternatingLeastSquares(SWEEPS_TRIED), LevenbergMarquardt(STEPS_TRIED)):
            for _ in stage.minimise(self.objective):
                pass
        return self.objective.loss()
