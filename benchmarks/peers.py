"""Other ways of computing the closure of the same network: what kanpde is measured against.

- materialised: the whole basis [points, inputs, grid + degree] by the recursion of Cox and de Boor,
  one matrix product a layer (Blealtan's efficient-kan), and torch.autograd.grad nested for ∇u and
  Δu, the usual way of PINNs;
- materialised_compiled: the same, traced with all its derivatives into one graph that torch.compile
  turns into kernels;
- pykan (Liu et al. 2024): its KANLayer, tanh between layers, nested autograd;
- jaxkan (Rigas and Papachristou 2025): its SplineLayer, tanh between layers, ∇u and Δu by forward
  over forward under jax.jit, which takes less than half the time of the nested jax.grad of its
  examples;
- mlp: a multilayer perceptron of as many parameters through kanpde's own jets.

pykan and jaxKAN are given our knots and coefficients in place of theirs, and are spared what our
layers do not have: the SiLU branch, trainable scales, symbolic branches, statistics of activations.
So all but the MLP give our loss and gradient.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from benchmarks import closure
from benchmarks.closure import Case, Closure, Found, objective, residual
from kanpde.errors import first_line
from kanpde.kernels import uniform_knots
from kanpde.networks.kan import HIGH, LOW, SplineLayer
from kanpde.networks.mlp import LinearLayer
from kanpde.networks.network import Network
from kanpde.training.objective import Objective

Spline = Callable[[SplineLayer, Tensor, Tensor], Tensor]
"""Values [points, outputs] of a layer with its part of the parameters at values [points,
inputs]."""


class Unavailable(Exception):
    """A peer cannot run here; the message says why."""


def materialised(at: Objective, chunks: int = 1) -> Closure:
    """Nested autograd; chunks: the points are taken in so many parts, one after the other, where
    memory asks for it."""
    parts = _points(at).chunk(chunks)

    def run() -> tuple[Tensor, Tensor]:
        return _together([nested(at.network, at.network.theta, part) for part in parts], parts)

    return Closure(run, _read)


def materialised_compiled(at: Objective, chunks: int = 1) -> Closure:
    """The same graph, with every derivative in it, through torch.compile."""
    from torch.fx.experimental.proxy_tensor import make_fx

    parts = _points(at).chunk(chunks)
    torch._dynamo.reset()
    try:
        traced = make_fx(lambda theta, points: nested(at.network, theta, points))(
            at.network.theta, parts[0]
        )
        compiled = torch.compile(traced, dynamic=False)
        compiled(at.network.theta, parts[0])
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise Unavailable(f"torch.compile failed: {first_line(error)}") from error
    return Closure(
        lambda: _together([compiled(at.network.theta, part) for part in parts], parts), _read
    )


def pykan(at: Objective) -> Closure:
    """Layers of pykan with our knots and coefficients."""
    _installed("kan", "pykan")
    try:
        from kan.KANLayer import KANLayer
    except ImportError as error:
        raise Unavailable(f"pykan cannot be imported: {first_line(error)}") from error
    theirs: dict[SplineLayer, Any] = {}
    theta = at.network.theta
    state = torch.get_rng_state()
    for layer in at.network.layers:
        if isinstance(layer, SplineLayer):
            inputs, _, outputs = layer.shape
            made = KANLayer(
                inputs,
                outputs,
                layer.grid,
                layer.degree,
                base_fun=lambda x: 0.0 * x,
                sp_trainable=False,
                sb_trainable=False,
            )
            made = made.to(theta.device).to(theta.dtype)
            made.grid.data = layer.knots(theta).clone()
            made.scale_sp.data.fill_(1)
            made.coef.requires_grad_(False)
            theirs[layer] = made
    torch.set_rng_state(state)

    def spline(layer: SplineLayer, part: Tensor, x: Tensor) -> Tensor:
        coefficients = part.view(layer.shape).transpose(1, 2)
        return torch.func.functional_call(theirs[layer], {"coef": coefficients}, (x,))[0]

    points = _points(at)
    return Closure(lambda: nested(at.network, theta, points, spline), _read)


def jaxkan(at: Objective) -> Closure:
    """Layers of jaxKAN with our knots and coefficients, compiled by XLA."""
    _installed("jaxkan", "jaxkan")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        import jax
        from flax import nnx
        from jaxkan.layers import SplineLayer as JaxLayer
    except ImportError as error:
        raise Unavailable(f"jaxkan cannot be imported: {first_line(error)}") from error
    theta = at.network.theta
    if theta.dtype != torch.float64:
        raise Unavailable("jaxkan: its basis is float64 wherever jax is")
    jax.config.update("jax_enable_x64", True)
    try:
        place = jax.devices("gpu" if theta.is_cuda else "cpu")[0]
    except RuntimeError as error:
        raise Unavailable("jaxkan: jax is installed without GPU support") from error
    layers: list[Any] = []
    coefficients: list[Any] = []
    splines = [layer for layer in at.network.layers if isinstance(layer, SplineLayer)]
    with jax.default_device(place):
        for layer, part in zip(
            splines, theta.split([layer.size for layer in splines]), strict=True
        ):
            made = JaxLayer(
                layer.shape[0],
                layer.shape[2],
                layer.degree,
                layer.grid,
                residual=None,
                external_weights=False,
                add_bias=False,
            )
            made.grid.item = jax.numpy.asarray(layer.knots(theta).cpu().numpy())
            layers.append(nnx.split(made))
            coefficients.append(
                jax.numpy.asarray(part.view(layer.shape).permute(2, 0, 1).cpu().numpy())
            )
        points = jax.device_put(_points(at).cpu().numpy(), place)
        step = (
            jax.jit(jax.value_and_grad(lambda c, x: _jax_loss(layers, c, x)))
            .lower(coefficients, points)
            .compile()
        )
    planned = step.memory_analysis()

    def run() -> Any:
        return jax.block_until_ready(step(coefficients, points))

    def read(found: Any) -> Found:
        gradients = [torch.from_numpy(np.array(g)).permute(1, 2, 0).reshape(-1) for g in found[1]]
        return float(found[0]), torch.cat(gradients)

    return Closure(
        run, read, planned.temp_size_in_bytes + planned.output_size_in_bytes if planned else None
    )


def _jax_loss(layers: Sequence[Any], coefficients: Sequence[Any], points: Any) -> Any:
    import jax
    import jax.numpy as jnp
    from flax import nnx

    def values(x: Any) -> Any:
        for level, ((graph, state), c) in enumerate(zip(layers, coefficients, strict=True)):
            layer = nnx.merge(graph, state)
            layer.c_basis = nnx.Param(c)
            x = layer(jnp.tanh(x) if level else x)
        return x[:, 0]

    slopes, lap = [], 0.0
    for i in range(points.shape[1]):
        direction = jnp.zeros_like(points).at[:, i].set(1)
        first, second = jax.jvp(
            lambda x, e=direction: jax.jvp(values, (x,), (e,))[1], (points,), (direction,)
        )
        slopes.append(first)
        lap = lap + second
    return (residual(values(points), slopes, lap, list(points.T), jnp.sin) ** 2).mean()


def mlp(case: Case, at: Objective) -> Objective:
    """The objective at the same points for the MLP of as many parameters."""
    theta = at.network.theta
    return objective(
        closure.problem(case.widths[0]), case.mlp, at.rows, str(theta.device), theta.dtype
    )


def nested(
    network: Network,
    theta: Tensor,
    points: Tensor,
    spline: Spline | None = None,
    equation: Callable[..., Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Loss and gradient by torch.autograd.grad nested for ∇u and Δu.

    spline: how a spline layer is evaluated, on a materialised basis where not given. equation: a
    function of u, each ∂u, Δu and each coordinate; where not given, `closure.residual`. For
    networks whose grids have not been moved.
    """
    theta = theta.detach().requires_grad_()
    x = [column.detach().clone().requires_grad_() for column in points.unbind(1)]
    u = _values(network, theta, torch.stack(x, 1), spline or _materialised)
    slopes = torch.autograd.grad(u.sum(), x, create_graph=True)
    lap = sum(
        torch.autograd.grad(slope.sum(), at, create_graph=True)[0]
        for slope, at in zip(slopes, x, strict=True)
    )
    rows = (
        residual(u, slopes, lap, x, torch.sin)
        if equation is None
        else equation(u, *slopes, lap, *x)
    )
    loss = rows.square().mean()
    (gradient,) = torch.autograd.grad(loss, theta)
    return loss.detach(), gradient


def nested_gradient(network: Network, points: Tensor, equation: Callable[..., Tensor]) -> Found:
    """Loss and gradient of any equation in u, each ∂u, Δu and each coordinate, on a materialised
    basis."""
    return _read(nested(network, network.theta, points, equation=equation))


def materialised_basis(x: Tensor, grid: int, degree: int) -> Tensor:
    """All B-splines at x [points, inputs], on the uniform extended knots over [-1, 1): [points,
    inputs, grid + degree]."""
    knots = uniform_knots(1, LOW, HIGH, grid, degree, x.dtype, x.device)[0]
    x = x[..., None]
    basis = ((x >= knots[:-1]) & (x < knots[1:])).to(x)
    for k in range(1, degree + 1):
        left = (x - knots[: -k - 1]) / (knots[k:-1] - knots[: -k - 1])
        right = (knots[k + 1 :] - x) / (knots[k + 1 :] - knots[1:-k])
        basis = left * basis[..., :-1] + right * basis[..., 1:]
    return basis


def _materialised(layer: SplineLayer, part: Tensor, x: Tensor) -> Tensor:
    return linear(
        materialised_basis(x, layer.grid, layer.degree).flatten(1), part.view(-1, layer.shape[2]).T
    )


def _values(network: Network, theta: Tensor, x: Tensor, spline: Spline) -> Tensor:
    """The network's one output [points], as a function of its inputs [points, inputs] that autograd
    can differentiate."""
    parts = torch.split(theta, [layer.size for layer in network.layers])
    for layer, part in zip(network.layers, parts, strict=True):
        if isinstance(layer, SplineLayer):
            x = spline(layer, part, x)
        elif isinstance(layer, LinearLayer):
            x = (
                x @ part[: -layer.outputs].view(layer.inputs, layer.outputs)
                + part[-layer.outputs :]
            )
        else:
            x = torch.tanh(x)
    return x[:, 0]


def _together(
    found: Sequence[tuple[Tensor, Tensor]], parts: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Loss and gradient, which are means, over all points from those over parts of them."""
    if len(found) == 1:
        return found[0]
    losses, gradients = zip(*found, strict=True)
    shares = losses[0].new_tensor([len(part) for part in parts]) / sum(map(len, parts))
    return shares @ torch.stack(losses), shares @ torch.stack(gradients)


def _points(at: Objective) -> Tensor:
    return at.terms[0].frame.points.to(at.network.theta)


def _read(found: tuple[Tensor, Tensor]) -> Found:
    return float(found[0]), found[1]


def _installed(module: str, package: str) -> None:
    if find_spec(module) is None:
        raise Unavailable(f"{package} is not installed")


PEERS: dict[str, Callable[..., Closure]] = {
    "materialised": materialised,
    "materialised_compiled": materialised_compiled,
    "pykan": pykan,
    "jaxkan": jaxkan,
}
"""Those that compute our own network. The MLP is another network and stands beside them."""
