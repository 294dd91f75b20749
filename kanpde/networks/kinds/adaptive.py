"""B-spline KANs whose knots follow the activations (Liu et al. 2024, section 2.4, with pykan's
blend of grids)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.networks.kan import KAN, Splines
from kanpde.networks.refine import Finer


def adapted_knots(
    values: Float[Tensor, "points inputs"], grid: int, degree: int, blend: float
) -> Float[Tensor, "inputs knots"]:
    """Knots with `grid` intervals on [-1, 1], partly at quantiles of values.

    The ends stay -1 and 1, and an interval is never shorter than 1 - blend of an equal one, however
    the values lie, all in one place included. Beyond the ends the last intervals are repeated.

    Args:
        values: What the knots follow, [points, inputs].
        grid: Number of intervals.
        degree: Of the splines: so many knots lie beyond each end.
        blend: The share of the values' quantiles in the knots, below 1; the rest is equal spacing.

    Returns:
        The knots, [inputs, grid + 2 degree + 1].
    """
    share = torch.linspace(0, 1, grid + 1, dtype=torch.float64)
    even = 2 * share - 1
    placed = torch.quantile(values.clamp(-1, 1).double(), share, dim=0).T.clone()
    placed[:, 0], placed[:, -1] = -1, 1
    breaks = blend * placed + (1 - blend) * even
    breaks[:, 0], breaks[:, -1] = -1, 1
    beyond = torch.arange(1, degree + 1, dtype=torch.float64)
    left, right = breaks[:, 1:2] - breaks[:, :1], breaks[:, -1:] - breaks[:, -2:-1]
    return torch.cat([-1 - left * beyond.flip(0), breaks, 1 + right * beyond], 1)


@dataclass(frozen=True)
class Adaptive(KAN):
    """A B-spline KAN whose knots move to where the points' activations are.

    They move at every extension of the grid.

    Attributes:
        width: Hidden units by layer, a number or several.
        degree: Of the splines, 1 to 9.
        grid: Knot intervals on [-1, 1], at least 1.
        blend: The share of the activations' quantiles in the knots, 0 (equal spacing) to 0.95;
            pykan's grid_eps is 1 - blend.

    Raises:
        RecipeError: A value is out of range.
    """

    blend: float = 0.5

    kind: ClassVar[str] = "adaptive"
    title: ClassVar[str] = "Adaptive KAN"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.blend <= 0.95:
            raise RecipeError(f"blend: got {self.blend}; expected 0 (equal spacing) to 0.95")

    def details(self) -> str:
        return f"degree {self.degree}, grid {self.grid}, knots {self.blend:.0%} by quantiles"

    def _finer(self, grid: int) -> Finer:
        return lambda layer, seen: Splines(
            grid,
            self.degree,
            None if seen is None else adapted_knots(seen, grid, self.degree, self.blend),
        )
