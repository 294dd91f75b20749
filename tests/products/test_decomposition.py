"""Arrays as sums of products: of as few terms as they were made of, and within the error asked."""

import numpy as np
import pytest

from kanpde.products.decomposition import leading, terms

LETTERS = {1: "at->a", 2: "at,bt->ab", 3: "at,bt,ct->abc"}


def off(A, factors):
    return np.linalg.norm(A - np.einsum(LETTERS[A.ndim], *factors)) / np.linalg.norm(A)


@pytest.mark.parametrize("shape", [(40, 50), (20, 25, 30), (2, 25, 30), (60, 3, 3)])
@pytest.mark.parametrize("rank", [1, 3])
def test_a_sum_of_products_is_found_again(shape, rank):
    random = np.random.default_rng(rank)
    parts = [random.standard_normal((n, rank)) for n in shape]
    A = np.einsum(LETTERS[len(shape)], *parts)
    found = terms(A, 1e-12 * np.linalg.norm(A))
    assert [p.shape for p in found] == [(n, rank) for n in shape]
    assert off(A, found) < 1e-12


@pytest.mark.parametrize("error", [1e-2, 1e-5, 1e-8, 1e-10])
def test_terms_are_as_few_as_the_error_allows(error):
    """1 / (1 + x + y + z) has no exact sum; its singular values fall fast."""
    x = np.linspace(0, 1, 30)
    B = 1 / (1 + x[:, None, None] + x[:, None] + x)
    found = terms(B, error * np.linalg.norm(B))
    assert off(B, found) <= error
    assert found[0].shape[1] <= {1e-2: 2, 1e-5: 6, 1e-8: 14, 1e-10: 45}[error]
    s = np.linalg.svd(B[0], compute_uv=False)
    count = int((np.sqrt(np.cumsum(s[::-1] ** 2))[::-1] > error * np.linalg.norm(s)).sum())
    flat = terms(B[0], error * np.linalg.norm(B[0]))
    assert off(B[0], flat) <= error
    assert count <= flat[0].shape[1] <= count + 1


def test_what_is_within_the_error_has_no_terms():
    A = 1e-9 * np.ones((5, 6, 7))
    for one in (A, A[0], A[0, 0], 0 * A):
        assert all(p.shape[1] == 0 for p in terms(one, 1e-6))
    assert terms(A[0, 0], 1e-12)[0].shape == (7, 1)


def test_leading_directions_of_a_large_matrix_are_those_of_its_singular_values():
    """Of more directions than the first sketch holds."""
    random = np.random.default_rng(0)
    U, V = (np.linalg.qr(random.standard_normal((n, 60)))[0] for n in (300, 200))
    M = U * 10.0 ** -np.arange(0, 15, 0.25) @ V.T
    Q = leading(M, 1e-10)
    assert np.linalg.norm(M - Q @ (Q.T @ M)) <= 1e-10
    assert Q.shape[1] <= 41
