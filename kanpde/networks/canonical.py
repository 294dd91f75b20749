"""Sums of products as tensors in canonical form: their norms, their errors, on other grids, of
fewer terms.

All is linear algebra on the coefficients of the factors; no point of the domain is looked at. Inner
products of terms are products of inner products of their factors (Kolda and Bader 2009, "Tensor
decompositions and applications", section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.networks.axis_splines import AxisSplines
from kanpde.networks.basis import HIGH, LOW
from kanpde.networks.network import Layer, Network
from kanpde.networks.spec import spec_of
from kanpde.networks.sums_of_products import SumsOfProducts

Coefficients = Sequence[Float[Tensor, "_functions terms"]]

COMPARED_AT = 1024
"""Points at which sums of products are compared."""

SWEEPS_FOR_FEWER = 60
"""Of alternating least squares for fewer terms, where there are more than two coordinates."""


def layer_of(network: Network) -> SumsOfProducts | None:
    """The sums of products of a network; None where it has other layers.

    Args:
        network: The network.
    """
    first = network.layers[0] if network.layers else None
    return first if isinstance(first, SumsOfProducts) else None


def mean_products(
    axes: Sequence[AxisSplines], a: Coefficients, b: Coefficients
) -> list[Float[Tensor, "_left _right"]]:
    """The mean over each coordinate of products of two factors.

    Args:
        axes: The splines along each coordinate.
        a: The coefficients of some factors.
        b: Those of others.

    Returns:
        The means, coordinate by coordinate.
    """
    pairs = zip(axes, a, b, strict=True)
    return [p.T @ (axis.gram() / 2) @ q for axis, p, q in pairs]


def together(parts: Sequence[Tensor]) -> Tensor:
    """The product of matrices entry by entry.

    Args:
        parts: At least one.
    """
    return torch.stack(list(parts)).prod(0)


def balanced(
    axes: Sequence[AxisSplines], c: Coefficients
) -> list[Float[Tensor, "_functions terms"]]:
    """The same terms, with factors of one term that have equal norms.

    Args:
        axes: The splines along each coordinate.
        c: Their coefficients.
    """
    means = mean_products(axes, c, c)
    norms = torch.stack([g.diagonal().clamp_min(0).sqrt() for g in means])
    tiny = torch.finfo(norms.dtype).tiny ** 0.25
    common = norms.clamp_min(tiny).log().mean(0).exp()
    return [p * (common / n.clamp_min(tiny)) for p, n in zip(c, norms, strict=True)]


def spline_errors(
    layer: SumsOfProducts, theta: Float[Tensor, " size"]
) -> tuple[Float[Tensor, "outputs axes"], Float[Tensor, " outputs"]]:
    """How far the outputs are off by the splines of each coordinate, as their coefficients say.

    The factors' own errors (see `AxisSplines.roughness`) are taken with the other factors of their
    terms, so that what cancels between terms counts for nothing.

    Args:
        layer: The layer.
        theta: Its parameters.

    Returns:
        The root mean square errors, and those of the outputs themselves.
    """
    c = balanced(layer.axes, [p.detach().double().cpu() for p in layer.coefficients(theta)])
    means = mean_products(layer.axes, c, c)
    found = torch.zeros(len(layer.ranks), len(layer.axes), dtype=torch.float64)
    sizes = torch.zeros(len(layer.ranks), dtype=torch.float64)
    for q in range(len(layer.ranks)):
        own = layer.of_output(q)
        sizes[q] = together(means)[own, own].sum()
        for i, (axis, p) in enumerate(zip(layer.axes, c, strict=True)):
            off = axis.roughness() @ p[:, own]
            squares = off.T @ off / max(len(off), 1)
            rest = [g[own, own] for k, g in enumerate(means) if k != i]
            found[q, i] = together([squares, *rest]).sum()
    return found.clamp_min(0).sqrt(), sizes.clamp_min(0).sqrt()


def fewer(
    axes: Sequence[AxisSplines], c: Coefficients, rank: int
) -> list[Float[Tensor, "_functions rank"]]:
    """The sum of products nearest to one, with fewer terms.

    Of two coordinates these are its largest singular values (Eckart and Young 1936); of more,
    alternating least squares from the largest terms.

    Args:
        axes: The splines along each coordinate.
        c: The coefficients of the terms.
        rank: How many terms there are to be.
    """
    roots = [torch.linalg.cholesky(axis.gram()) for axis in axes]
    orthonormal = [root.T @ p for root, p in zip(roots, balanced(axes, c), strict=True)]
    if len(axes) == 1:
        found = [orthonormal[0].sum(1, keepdim=True)]
    elif len(axes) == 2:
        (q0, r0), (q1, r1) = (torch.linalg.qr(p) for p in orthonormal)
        U, s, V = torch.linalg.svd(r0 @ r1.T, full_matrices=False)
        root = s[:rank].sqrt()
        found = [q0 @ U[:, :rank] * root, q1 @ V[:rank].T * root]
    else:
        found = _alternated(orthonormal, rank)
    lower = [
        torch.linalg.solve_triangular(root.T, p, upper=True)
        for root, p in zip(roots, found, strict=True)
    ]
    return balanced(axes, lower)


def _alternated(a: Coefficients, rank: int) -> list[Tensor]:
    """Alternating least squares in orthonormal functions, from the most independent terms."""
    chosen = _independent(together([p.T @ p for p in a]), rank)
    b = [p[:, chosen].clone() for p in a]
    for _ in range(SWEEPS_FOR_FEWER):
        for i, p in enumerate(a):
            others = [k for k in range(len(a)) if k != i]
            normal = together([b[k].T @ b[k] for k in others])
            right = p @ together([a[k].T @ b[k] for k in others])
            b[i] = torch.linalg.lstsq(normal, right.T, driver="gelsd").solution.T
    return b


def apart(axes: Sequence[AxisSplines], a: Coefficients, b: Coefficients) -> tuple[float, float]:
    """How far two sums of products are apart, at points that are looked at for nothing else.

    Inner products of terms would say it to half the digits only.

    Args:
        axes: The splines along each coordinate.
        a: The coefficients of one.
        b: Those of the other.

    Returns:
        The root mean square of their difference, and that of the first.
    """
    generator = torch.Generator().manual_seed(0)
    values = [torch.ones(COMPARED_AT, p[0].shape[1], dtype=torch.float64) for p in (a, b)]
    for i, axis in enumerate(axes):
        x = LOW + (HIGH - LOW) * torch.rand(COMPARED_AT, generator=generator, dtype=torch.float64)
        B = axis.at(x)
        values = [v * (B @ p[i]) for v, p in zip(values, (a, b), strict=True)]
    left, right = (v.sum(1) for v in values)
    return float((left - right).square().mean().sqrt()), float(left.square().mean().sqrt())


def without_idle(network: Network, allowed: Sequence[float]) -> Network:
    """A network without the terms that its outputs hardly change by.

    Args:
        network: A network of sums of products.
        allowed: By how much each output may change, root mean square.

    Returns:
        The network with the fewest terms, at least one an output; the same one where all count.
    """
    layer = layer_of(network)
    assert layer is not None
    c = [p.detach().double().cpu() for p in layer.coefficients(network.theta)]
    kept: list[list[Tensor]] = []
    for q, (rank, most) in enumerate(zip(layer.ranks, allowed, strict=True)):
        own = [p[:, layer.of_output(q)] for p in c]
        trials = (fewer(layer.axes, own, r) for r in range(1, rank))
        kept.append(next((t for t in trials if apart(layer.axes, own, t)[0] <= most), own))
    ranks = [parts[0].shape[1] for parts in kept]
    if ranks == list(layer.ranks):
        return network
    return with_terms(network, [torch.cat(p, 1) for p in zip(*kept, strict=True)], ranks)


def _independent(gram: Float[Tensor, "terms terms"], count: int) -> list[int]:
    """Terms of which each in turn is farthest from all before: Cholesky's pivots."""
    left, found = gram.clone(), []
    for _ in range(count):
        pivot = int(left.diagonal().argmax())
        found.append(pivot)
        column = left[:, pivot] / left[pivot, pivot].clamp_min(torch.finfo(left.dtype).tiny).sqrt()
        left = left - column[:, None] * column
        left[pivot, pivot] = -1.0
    return found


def with_terms(network: Network, c: Coefficients, ranks: Sequence[int]) -> Network:
    """A network of the same axes with other terms.

    Args:
        network: A network of sums of products.
        c: The coefficients of its terms.
        ranks: How many terms each output has.
    """
    layer = layer_of(network)
    assert layer is not None
    spec = replace(spec_of(network), width=tuple(ranks))
    theta = torch.cat([p.reshape(-1) for p in c]).to(network.theta)
    widths = (network.widths[0], sum(ranks), network.widths[-1])
    return replace(
        network, spec=spec, widths=widths, layers=[SumsOfProducts(layer.axes, ranks)], theta=theta
    )


def refitted(network: Network, axes: Sequence[AxisSplines]) -> Network:
    """The same function in other splines.

    Every factor is fitted at degree + 1 points on every piece of either grid, so that a finer grid
    that contains the old one holds it to rounding.

    Args:
        network: A network of sums of products.
        axes: The other splines along each coordinate.

    Returns:
        The network. Its `refit` is the largest error of a factor over its largest value.
    """
    layer = layer_of(network)
    assert layer is not None
    found, worst = [], 0.0
    for old, new, c in zip(layer.axes, axes, layer.coefficients(network.theta), strict=True):
        x = torch.cat([old.quadrature()[0], new.quadrature()[0]])
        values = old.at(x) @ c.detach().double().cpu()
        B = new.at(x)
        fitted = torch.linalg.lstsq(B, values, driver="gelsd").solution
        size = values.abs().max().clamp_min(torch.finfo(values.dtype).tiny)
        worst = max(worst, float((B @ fitted - values).abs().max() / size))
        found.append(fitted.reshape(-1))
    grids = tuple(axis.grid for axis in axes)
    finer: dict[str, Any] = {"grid": max(grids), "grids": grids}
    spec = replace(spec_of(network), **finer)
    layers: list[Layer] = [SumsOfProducts(axes, layer.ranks)]
    return replace(
        network, spec=spec, layers=layers, theta=torch.cat(found).to(network.theta), refit=worst
    )
