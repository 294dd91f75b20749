"""The closure that is measured: the loss of an equation with u, ∇u and Δu at points, and its
gradient by the parameters.

One equation for every number of coordinates, Δu + Σ_i (-1)^i x_i ∂_i u + u = sin(Σ_i (i + 1) x_i)
on [-1, 1]^n, without conditions, so that every way of computing it sees the bare network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from benchmarks.rows import BenchmarkError
from kanpde.geometry import Box
from kanpde.geometry.sampling import unit_points
from kanpde.kernels.graphs import Captured
from kanpde.kernels.paths import path
from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.networks.trial_space import trial_space
from kanpde.problem.conditions import Condition
from kanpde.problem.problem import Problem
from kanpde.residual.calculus import d, laplacian
from kanpde.training.objective import Objective, term

AGREE = {torch.float64: 1e-9, torch.float32: 1e-3}
"""Relative difference up to which two ways of computing a loss and its gradient count as the
same."""

Found = tuple[float, Tensor]


@dataclass(frozen=True)
class Case:
    """A spline KAN.

    Attributes:
        widths: Units of its levels: two or three inputs, and one output.
        grid: Intervals of each edge.
        degree: Of the splines.
    """

    widths: tuple[int, ...]
    grid: int = 5
    degree: int = 3

    @property
    def name(self) -> str:
        """Such as "2-10-1"."""
        return "-".join(map(str, self.widths))

    @property
    def kan(self) -> KAN:
        """What the network is built from."""
        return KAN(self.widths[1:-1], self.degree, self.grid)

    @property
    def parameters(self) -> int:
        """Number of coefficients."""
        return self.kan.count(self.widths[0], self.widths[-1])

    @property
    def mlp(self) -> MLP:
        """The MLP of as many hidden levels, all equally wide, whose number of parameters is
        nearest."""
        levels = len(self.widths) - 2
        wide = round(self.parameters if levels == 1 else self.parameters**0.5)
        return min(
            (MLP((width,) * levels) for width in range(1, wide + 1)),
            key=lambda mlp: abs(mlp.count(self.widths[0], self.widths[-1]) - self.parameters),
        )

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Inputs and outputs of each layer."""
        return list(pairwise(self.widths))


@dataclass(frozen=True)
class Closure:
    """A way of computing loss and gradient.

    Attributes:
        run: What is timed.
        read: Makes numbers that can be compared of what `run` gives.
        peak: Bytes that it takes, where its own compiler counts them.
    """

    run: Callable[[], Any]
    read: Callable[[Any], Found]
    peak: int | None = None


def residual(
    u: Any, slopes: Sequence[Any], lap: Any, x: Sequence[Any], sin: Callable[[Any], Any]
) -> Any:
    """The equation, left side minus right side, for any kind of array."""
    advection = sum(
        (-1) ** i * x_i * slope for i, (x_i, slope) in enumerate(zip(x, slopes, strict=True))
    )
    return lap + advection + u - sin(sum((i + 1) * x_i for i, x_i in enumerate(x)))


def problem(dims: int) -> Problem:
    """The equation in kanpde's own language."""

    def plane(u: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return residual(u, [d(u, x), d(u, y)], laplacian(u), [x, y], torch.sin)

    def space(u: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        return residual(u, [d(u, x), d(u, y), d(u, z)], laplacian(u), [x, y, z], torch.sin)

    names = "xyz"[:dims]
    faces = tuple(x + side for x in names for side in "-+")
    # Any condition that is neither built into the network nor a part of what is timed.
    conditions = [Condition(lambda u: u, on=faces)]
    box = Box(**dict.fromkeys(names, (-1, 1)))
    return Problem(box, [plane if dims == 2 else space], conditions)


def objective(
    equation: Problem,
    spec: KAN | MLP,
    points: int,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Objective:
    """The equation at Sobol points, with a network of random coefficients; all that does not change
    lies on the device."""
    dims = len(equation.coordinates)
    network = spec.build(dims, 1, torch.Generator().manual_seed(0)).to(device, dtype)
    solution = trial_space(equation, corners=False).solution(network)
    made = term(
        solution,
        equation.equations,
        equation.domain.interior(unit_points(points, dims, 0)),
        None,
        1.0,
    )
    made.frame = replace(made.frame, points=made.frame.points.to(device))
    return Objective(network, [made])


def ours(at: Objective, name: str = "") -> Closure:
    """As training computes it; name: of the kernels' path, or the one that is used by default."""

    def run() -> Found:
        with forced(name):
            return at.gradient()

    return Closure(run, lambda found: found)


def captured(at: Objective, name: str = "") -> Closure:
    """The same as one CUDA graph, as which loss and gradient stay on the device. Raises
    RuntimeError where it cannot be captured."""
    theta = at.network.theta

    def step(theta: Tensor) -> tuple[Tensor, Tensor]:
        (only,) = at.terms
        at.network.theta = theta
        r, gradient = only.gradient(at.network)
        return r.square().sum(), gradient

    with forced(name):
        graph = Captured(step, theta)

    def run() -> tuple[Tensor, Tensor]:
        with forced(name):
            return graph(theta)

    return Closure(run, lambda found: (float(found[0]), found[1].clone()))


@contextmanager
def forced(name: str) -> Iterator[None]:
    """KANPDE_KERNELS set to a path for a while; "" leaves it as it is."""
    before = os.environ.get("KANPDE_KERNELS")
    if name:
        os.environ["KANPDE_KERNELS"] = name
    try:
        yield
    finally:
        if name and before is None:
            del os.environ["KANPDE_KERNELS"]
        elif name and before is not None:
            os.environ["KANPDE_KERNELS"] = before


def default_path(device: str) -> str:
    """The path that the operators take on a device: that of KANPDE_KERNELS, or the fastest that
    works there."""
    return path(torch.empty(0, device=device)).name


def check_agreement(ours: Found, theirs: Found, who: str = "nested autograd") -> None:
    """Raise BenchmarkError unless losses and gradients agree, up to AGREE for their dtype."""
    loss = abs(ours[0] - theirs[0]) / abs(theirs[0])
    mine, other = ours[1].detach().cpu(), theirs[1].detach().cpu()
    gradient = float((mine - other).norm() / other.norm())
    allowed = AGREE[mine.dtype]
    if not (loss <= allowed and gradient <= allowed):
        raise BenchmarkError(
            f"loss gradient: jets and {who} differ by {loss:.1e} in the loss and {gradient:.1e} in"
            f" the gradient; expected at most {allowed:g}"
        )
