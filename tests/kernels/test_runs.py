"""Products with matrices by runs of columns: against the dense matrix, on every path that runs on a
CPU."""

import pytest
import torch

from kanpde.kernels import runs_gram, runs_times, runs_transposed_times
from kanpde.kernels.runs import dense

CASES = {
    "two layers": ((40, 40, 8, 8, 8), 300),
    "odd lengths": ((5, 1, 7, 3), 64),
    "a dense row": ((33,), 33),
    "nearly dense": ((9, 8), 20),
    "no columns that matter": ((), 4),
    "more than a band": ((6, 6, 6), 200),
}


@pytest.fixture(autouse=True, params=["plain", "cpu"])
def _path(request, monkeypatch):
    monkeypatch.setenv("KANPDE_KERNELS", request.param)


def matrix(lengths, columns, rows=97, dtype=torch.float64):
    """Values, starts with the runs in the order of their columns and apart from each other, and the
    dense matrix, entry by entry."""
    generator = torch.Generator().manual_seed(rows)
    values = torch.randn(rows, sum(lengths), dtype=dtype, generator=generator)
    room = (columns - sum(lengths)) // max(len(lengths), 1)
    starts, wanted = (
        torch.zeros(rows, len(lengths), dtype=torch.int64),
        torch.zeros(rows, columns, dtype=dtype),
    )
    for n in range(rows):
        end, entry = 0, 0
        for a, length in enumerate(lengths):
            begin = end + int(torch.randint(0, room + 1, (), generator=generator))
            starts[n, a], end = begin, begin + length
            wanted[n, begin:end] = values[n, entry : entry + length]
            entry += length
    return values, starts, wanted


@pytest.mark.parametrize("rows", [0, 1, 97, 1023])
@pytest.mark.parametrize("case", CASES)
def test_products_are_those_of_the_dense_matrix(case, rows):
    lengths, columns = CASES[case]
    values, starts, J = matrix(lengths, columns, rows)
    v, r = torch.randn(columns, dtype=torch.float64), torch.randn(rows, dtype=torch.float64)
    assert torch.equal(dense(values, starts, lengths, columns), J)
    close = {"rtol": 1e-12, "atol": 1e-12 * max(1.0, rows)}
    torch.testing.assert_close(runs_times(values, starts, lengths, v), J @ v, **close)
    torch.testing.assert_close(
        runs_transposed_times(values, starts, lengths, columns, r), J.T @ r, **close
    )
    torch.testing.assert_close(
        runs_gram(values, starts, lengths, columns).tril(), (J.T @ J).tril(), **close
    )


def test_the_same_bits_on_any_number_of_threads():
    values, starts, _ = matrix(*CASES["more than a band"])
    lengths, columns = CASES["more than a band"]
    found, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(runs_gram(values, starts, lengths, columns).tril())
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_float32_stays_float32():
    lengths, columns = CASES["odd lengths"]
    values, starts, J = matrix(lengths, columns, dtype=torch.float32)
    gram = runs_gram(values, starts, lengths, columns)
    assert gram.dtype == torch.float32
    torch.testing.assert_close(gram.tril(), (J.T @ J).tril(), rtol=1e-4, atol=1e-4)


def test_operators_are_registered_soundly():
    lengths, columns = CASES["odd lengths"]
    values, starts, _ = matrix(lengths, columns, 5)
    torch.library.opcheck(
        runs_times, (values, starts, lengths, torch.randn(columns, dtype=torch.float64))
    )
    torch.library.opcheck(
        runs_transposed_times,
        (values, starts, lengths, columns, torch.randn(5, dtype=torch.float64)),
    )


@pytest.mark.parametrize(
    ("argument", "error", "change"),
    [
        ("values", ValueError, {"values": torch.zeros(4, 6, dtype=torch.float64)}),
        ("starts", ValueError, {"starts": torch.zeros(4, 3, dtype=torch.int64)}),
        ("lengths", ValueError, {"lengths": (5, 0)}),
        ("lengths", ValueError, {"lengths": (5, 99)}),
        ("starts", ValueError, {"starts": torch.full((4, 2), 63, dtype=torch.int64)}),
        ("starts", ValueError, {"starts": torch.full((4, 2), -1, dtype=torch.int64)}),
        ("values, starts", TypeError, {"starts": torch.zeros(4, 2, dtype=torch.int32)}),
        ("values, starts", TypeError, {"values": torch.zeros(4, 7, dtype=torch.int64)}),
    ],
)
def test_bad_arguments_are_named(argument, error, change):
    given = {
        "values": torch.zeros(4, 7, dtype=torch.float64),
        "starts": torch.zeros(4, 2, dtype=torch.int64),
        "lengths": (5, 2),
        "columns": 64,
    }
    runs_gram(**given)
    with pytest.raises(error, match=f"^{argument}: got .*expected"):
        runs_gram(**{**given, **change})
