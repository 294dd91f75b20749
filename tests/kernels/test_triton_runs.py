"""Products with matrices by runs in Triton against the dense matrix: compiled where there is a GPU,
in Triton's interpreter elsewhere."""

import pytest
import torch
from compiled_or_interpreted import DEVICE

from kanpde.kernels import triton_runs
from kanpde.kernels.runs import dense

CASES = {
    "two layers": ((20, 20, 4, 4), 80, 33),
    "odd lengths": ((5, 1, 7, 3), 64, 37),
    "one row": ((6, 6, 6), 70, 1),
    "a dense row": ((33,), 33, 20),
    "nearly dense": ((9, 8), 20, 3),
    "no columns that matter": ((), 4, 5),
    "no rows": ((5, 2), 64, 0),
    "several chunks": ((3, 4), 70, 100),
}
"""Lengths, columns, rows."""


def matrix(lengths, columns, rows, dtype=torch.float64):
    """Values and starts, the runs apart from each other."""
    room = (columns - sum(lengths)) // max(len(lengths), 1)
    gaps = torch.randint(0, room + 1, (rows, len(lengths)))
    starts = gaps.cumsum(1) + torch.tensor(
        [0, *lengths[:-1]] if lengths else [], dtype=torch.int64
    ).cumsum(0)
    return torch.randn(rows, sum(lengths), dtype=torch.float64).to(DEVICE, dtype), starts.to(DEVICE)


def products(kernels, values, starts, lengths, columns, v, r):
    gram = kernels.gram(values, starts, lengths, columns)
    matrix, slope, squares = kernels.normal(values, starts, lengths, columns, r)
    return (
        kernels.times(values, starts, lengths, v),
        kernels.transposed_times(values, starts, lengths, columns, r),
        gram.tril(),
        matrix.tril(),
        slope,
        squares,
        kernels.pulled(values, starts, lengths, v, r, -3.0),
    )


def wanted_of(J, v, r):
    """What `products` gives, of the dense matrix."""
    gram = (J.T @ J).tril()
    return J @ v, J.T @ r, gram, gram, J.T @ r, r @ r, J.T @ (-3 * (r - J @ v))


@pytest.mark.parametrize("case", CASES)
def test_products_are_those_of_the_dense_matrix(case):
    lengths, columns, rows = CASES[case]
    values, starts = matrix(*CASES[case])
    J = dense(values, starts, lengths, columns)
    v, r = (
        torch.randn(columns, dtype=torch.float64, device=DEVICE),
        torch.randn(rows, dtype=torch.float64, device=DEVICE),
    )
    for found, wanted in zip(
        products(triton_runs, values, starts, lengths, columns, v, r),
        wanted_of(J, v, r),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12 * max(1.0, rows))


def test_rows_that_are_written_in_several_slabs_give_the_same_sums(monkeypatch):
    lengths, columns, rows = CASES["several chunks"]
    values, starts = matrix(lengths, columns, rows)
    v = torch.randn(columns, dtype=torch.float64, device=DEVICE)
    r = torch.randn(rows, dtype=torch.float64, device=DEVICE)
    monkeypatch.setattr(triton_runs, "SUMS", 3)
    monkeypatch.setattr(triton_runs, "DENSE_BYTES", 8 * 72 * 40)  # 40 of 100 rows, in parts of 14
    for found, wanted in zip(
        products(triton_runs, values, starts, lengths, columns, v, r),
        wanted_of(dense(values, starts, lengths, columns), v, r),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-10)


def test_the_same_bits_each_time():
    values, starts = matrix(*CASES["several chunks"])
    given = (
        values,
        starts,
        *CASES["several chunks"][:2],
        torch.randn(70, dtype=torch.float64, device=DEVICE),
        torch.randn(100, dtype=torch.float64, device=DEVICE),
    )
    for a, b in zip(products(triton_runs, *given), products(triton_runs, *given), strict=True):
        assert torch.equal(a, b)


def test_float32_stays_float32():
    lengths, columns, rows = CASES["odd lengths"]
    values, starts = matrix(lengths, columns, rows, torch.float32)
    J = dense(values, starts, lengths, columns)
    v, r = torch.randn(columns, device=DEVICE), torch.randn(rows, device=DEVICE)
    for found, wanted in zip(
        products(triton_runs, values, starts, lengths, columns, v, r),
        wanted_of(J, v, r),
        strict=True,
    ):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_tensors_need_not_be_contiguous():
    lengths, columns, rows = CASES["odd lengths"]
    values, starts = matrix(lengths, columns, rows)
    v, r = (
        torch.randn(2 * columns, dtype=torch.float64, device=DEVICE)[::2],
        torch.randn(2 * rows, dtype=torch.float64, device=DEVICE)[::2],
    )
    wanted = products(triton_runs, values, starts, lengths, columns, v, r)
    for a, b in zip(
        products(
            triton_runs, values.T.contiguous().T, starts.T.contiguous().T, lengths, columns, v, r
        ),
        wanted,
        strict=True,
    ):
        assert torch.equal(a, b)
