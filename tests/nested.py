"""The slow truth: derivatives of explicit functions by nested torch.autograd."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from kanpde.residual.calculus import Leaf


def derivative(function: Callable[..., Tensor], *axes: int) -> Callable[..., Tensor]:
    """∂ function / ∂x_a ∂x_b …, as a function of the same coordinate tensors [points]."""
    if not axes:
        return function

    def differentiated(*at: Tensor) -> Tensor:
        at = tuple(x if x.requires_grad else x.detach().requires_grad_() for x in at)
        values = function(*at)
        if not values.requires_grad:
            return torch.zeros_like(at[0])
        (found,) = torch.autograd.grad(
            values.sum(), at[axes[0]], create_graph=True, allow_unused=True
        )
        return torch.zeros_like(at[0]) if found is None else found

    return derivative(differentiated, *axes[1:])


def leaves(
    unknowns: Mapping[str, Callable[..., Tensor]],
    coordinates: Mapping[str, Tensor],
    needs: Sequence[Leaf],
) -> Tensor:
    """The derivatives in `needs` of explicit unknowns u(x, y, …) at points, [points, leaves]."""
    columns = []
    for unknown, index in needs:
        axes = [a for a, n in enumerate(index) for _ in range(n)]
        columns.append(derivative(unknowns[unknown], *axes)(*coordinates.values()).detach())
    return torch.stack(columns, 1)


def random_points(
    bounds: Mapping[str, tuple[float, float]], count: int, seed: int = 0
) -> dict[str, Tensor]:
    """Points in the interior of a box, by coordinate."""
    generator = torch.Generator().manual_seed(seed)
    return {
        x: a + (b - a) * (0.02 + 0.96 * torch.rand(count, generator=generator, dtype=torch.float64))
        for x, (a, b) in bounds.items()
    }
