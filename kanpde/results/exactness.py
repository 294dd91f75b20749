"""Whether what is given as the exact solution meets the equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry import Pieces
from kanpde.geometry.sampling import inside_points
from kanpde.problem.problem import Problem
from kanpde.residual.calculus import Leaf
from kanpde.results.residuals import JUDGED_SEED

POINTS_OF_EXACT = 256
"""At which the exact solution is put into the equations."""


def exact_residual(problem: Problem) -> float | None:
    """The residual of the exact solution over the size of its terms, the largest of all equations.

    Derivatives are those of nested autograd.

    Args:
        problem: The problem.

    Returns:
        The residual; None where not all unknowns have an exact solution, for pieces, and for
        functions that PyTorch cannot differentiate.
    """
    known = all(u in problem.exact for u in problem.unknowns)
    if not known or problem.parameters or isinstance(problem.domain, Pieces):
        return None
    points = inside_points(problem.domain, POINTS_OF_EXACT, JUDGED_SEED)
    at = dict(zip(problem.coordinates, points.T, strict=True))
    worst = 0.0
    try:
        for equation in problem.equations:
            u, leaves = equation.supplied(at, partial(_derivatives, problem))
            worst = max(worst, _relative(equation(at, u), u, leaves))
    except (ProblemError, RuntimeError):  # a function that leaves PyTorch on its way
        return None
    return worst


def _derivatives(
    problem: Problem, points: Float[Tensor, "points dims"], leaves: Sequence[Leaf]
) -> Float[Tensor, "points leaves"]:
    """Derivatives of the exact solution."""
    columns = [column.clone().requires_grad_() for column in points.T]
    at = dict(zip(problem.coordinates, columns, strict=True))
    values = {u: problem.exact[u](at) for u in dict.fromkeys(u for u, _ in leaves)}
    return torch.stack([_derivative(values, leaf, columns) for leaf in leaves], 1)


def _derivative(values: Mapping[str, Tensor], leaf: Leaf, columns: list[Tensor]) -> Tensor:
    unknown, index = leaf
    found = values[unknown]
    for column, times in zip(columns, index, strict=True):
        for _ in range(times):
            slope = None
            if found.requires_grad:
                (slope,) = torch.autograd.grad(
                    found.sum(), column, create_graph=True, allow_unused=True
                )
            found = torch.zeros_like(column) if slope is None else slope
    return found.detach().expand_as(columns[0])


def _relative(found: tuple[Tensor, Tensor | None], u: Tensor, needs: Sequence[Leaf]) -> float:
    r, g = found
    assert g is not None
    values = u.new_tensor([float(not any(index)) for _, index in needs])
    means = u.mean(0) * values
    rest = r - torch.einsum("nea,na->ne", g, u - means)
    sizes = g.square().mean(0).sqrt() @ (u - means).square().mean(0).sqrt()
    size = rest.square().mean(0).sqrt() + sizes
    tiny = torch.finfo(torch.float64).tiny
    return float((r.square().mean(0).sqrt() / size.clamp_min(tiny)).max())
