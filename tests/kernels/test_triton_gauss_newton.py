"""Products with J straight from the jets, against the rows of the plain path: compiled where there
is a GPU, in Triton's interpreter elsewhere."""

import pytest
import torch
from compiled_or_interpreted import DEVICE

from kanpde.kernels import plain, triton_gauss_newton, uniform_knots
from kanpde.kernels.taylor import channels
from kanpde.kernels.triton_gauss_newton import LayerColumns


def parts(points, counts, dtype=torch.float64):
    """Two layers of other sizes, grids and degrees, with jets and adjoints at random; and J, row by
    row."""
    found, rows = [], []
    for inputs, outputs, degree, grid in ((2, 3, 3, 5), (3, 1, 2, 33)):
        X, L = (
            torch.randn(points, channels(counts), n, dtype=torch.float64).to(DEVICE, dtype)
            for n in (inputs, outputs)
        )
        knots = uniform_knots(inputs, -1.0, 1.0, grid, degree, dtype, DEVICE)
        C = torch.zeros(inputs, grid + degree, outputs, dtype=dtype, device=DEVICE)
        _, cell, block = plain.pullback(L, X, C, knots, counts, False)
        whole = torch.zeros(points, *C.shape, dtype=dtype, device=DEVICE)
        index = cell[..., None] + torch.arange(degree + 1, device=DEVICE)
        rows.append(whole.scatter_(2, index[..., None].expand_as(block), block).flatten(1))
        found.append(LayerColumns(L, X, knots, degree))
    return found, torch.cat(rows, 1)


@pytest.mark.parametrize(("points", "counts"), [(70, (2, 1)), (3, ()), (0, (1,))])
def test_products_are_those_of_the_rows(points, counts):
    layers, J = parts(points, counts)
    v, r = (
        torch.randn(J.shape[1], dtype=torch.float64, device=DEVICE),
        torch.randn(points, dtype=torch.float64, device=DEVICE),
    )
    close = {"rtol": 0, "atol": 1e-12 * max(1.0, float((J.T @ J).abs().max()))}
    torch.testing.assert_close(
        triton_gauss_newton.gram(layers, counts).tril(), (J.T @ J).tril(), **close
    )
    torch.testing.assert_close(triton_gauss_newton.times(layers, v, counts), J @ v, **close)
    torch.testing.assert_close(
        triton_gauss_newton.transposed_times(layers, r, counts), J.T @ r, **close
    )


def test_float32_stays_float32_and_every_time_the_same():
    layers, J = parts(70, (2, 1), torch.float32)
    gram = triton_gauss_newton.gram(layers, (2, 1)).tril()
    assert gram.dtype == torch.float32
    torch.testing.assert_close(
        gram, (J.T @ J).tril(), rtol=0, atol=1e-5 * float((J.T @ J).abs().max())
    )
    assert torch.equal(gram, triton_gauss_newton.gram(layers, (2, 1)).tril())
