"""The plain truth of layers and networks on points, not jets, written so that autograd
differentiates it as often as asked."""

from collections.abc import Callable

import torch
from torch import Tensor

from kanpde.networks.activation import Activation
from kanpde.networks.kan import SplineLayer
from kanpde.networks.network import Network
from kanpde.networks.trial_space import NetworkSolution


def splines(x: Tensor, knots: Tensor, degree: int) -> Tensor:
    """All B-splines of knots [inputs, grid + 2 degree + 1] at x [points, inputs] inside of the
    grid, by Cox and de Boor's recursion."""
    x = x[..., None]
    B = ((knots[:, :-1] <= x) & (x < knots[:, 1:])).to(x)
    for k in range(1, degree + 1):
        left = (x - knots[:, : -k - 1]) / (knots[:, k:-1] - knots[:, : -k - 1])
        right = (knots[:, k + 1 :] - x) / (knots[:, k + 1 :] - knots[:, 1:-k])
        B = left * B[..., :-1] + right * B[..., 1:]
    return B


def spline_layer(x: Tensor, c: Tensor, knots: Tensor, degree: int) -> Tensor:
    """y_q = Σ_pj c_pjq B_j(x_p), [points, outputs]."""
    return torch.einsum("npj,pjq->nq", splines(x, knots, degree), c)


def network_values(network: Network, x: Tensor) -> Tensor:
    """The network's outputs [points, outputs] at inputs x [points, inputs]."""
    network = network.networks()[0]
    for layer, theta in zip(
        network.layers,
        torch.split(network.theta, [layer.size for layer in network.layers]),
        strict=True,
    ):
        if isinstance(layer, SplineLayer):
            x = spline_layer(x, theta.view(layer.shape), layer.knots(x), layer.degree)
        elif isinstance(layer, Activation):
            x = {"tanh": torch.tanh, "sin": torch.sin}[layer.name](x)
            x = x if layer.scale is None else (x - layer.center) / layer.scale
        else:
            x = (
                x @ theta[: -layer.outputs].view(layer.inputs, layer.outputs)
                + theta[-layer.outputs :]
            )
    return x


def solution_values(solution: NetworkSolution) -> Callable[[Tensor, str], Tensor]:
    """The unknowns of a solution as functions of points [points, dims] and of a name."""

    def value(points: Tensor, unknown: str) -> Tensor:
        inputs = []
        for column, (x, (low, high)) in zip(points.T, solution.domain.bounds.items(), strict=True):
            s = 2 * (column - low) / (high - low) - 1
            inputs += (
                [torch.cos(torch.pi * s), torch.sin(torch.pi * s)]
                if x in solution.space.periodic
                else [s]
            )
        for lens in solution.space.lenses:
            hole = lens.hole
            away = points[:, : len(hole.center)] - points.new_tensor(hole.center)
            inputs += list(
                (away / (away.square().sum(1, keepdim=True) + (2 * hole.radius) ** 2).sqrt()).T
            )
        output = network_values(solution.network, torch.stack(inputs, 1))[
            :, solution.unknowns.index(unknown)
        ]
        boundary = solution.space.boundaries[unknown]
        coefficients = solution.network.theta[
            solution.network.theta.numel() - len(solution.space.features) :
        ]
        corners = sum(
            c * f.function(points.T)
            for c, f in zip(coefficients, solution.space.features, strict=True)
        )
        return boundary.lift(points.T) + boundary.factor(points.T) * output + corners

    return value


def along(
    function: Callable[[Tensor], Tensor], coefficients: list[Tensor], order: int
) -> list[Tensor]:
    """Taylor coefficients 0 … order of function(x(s)) at s = 0 for the path x(s) = Σ_j
    coefficients[j] s^j, by nested autograd.

    coefficients: [points, units] each; function: pointwise, to [points, outputs].
    """
    s = torch.zeros(len(coefficients[0]), dtype=coefficients[0].dtype, requires_grad=True)
    path = sum(
        (c * s[:, None] ** j for j, c in enumerate(coefficients[1:], 1)),
        coefficients[0] + 0 * s[:, None],
    )
    values = function(path)
    found, rows = [values.detach()], list(values.unbind(1))
    for nu in range(1, order + 1):
        rows = [
            (
                torch.autograd.grad(row.sum(), s, create_graph=True)[0]
                if row.requires_grad
                else torch.zeros_like(s)
            )
            for row in rows
        ]
        found.append(torch.stack(rows, 1).detach() / float(torch.arange(1, nu + 1).prod()))
    return found


def jet_along(function: Callable[[Tensor], Tensor], jet: Tensor, counts: tuple[int, ...]) -> Tensor:
    """The jet of function∘x from the jet of x, direction by direction, by nested autograd."""
    x = torch.split(jet, [1, *counts], 1)
    directions = counts[0] if counts else 0
    orders = [sum(i < n for n in counts) for i in range(directions)]
    found = [
        along(function, [x[0][:, 0], *(x[j][:, i] for j in range(1, order + 1))], order)
        for i, order in enumerate(orders)
    ]
    rows = [function(x[0][:, 0]).detach()]
    rows += [found[i][j] for j, n in enumerate(counts, 1) for i in range(n)]
    return torch.stack(rows, 1)
