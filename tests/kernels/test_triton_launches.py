"""How many kernels a call launches, and how many programs: counted, not run, so without a GPU."""

from itertools import pairwise

import pytest
import torch
from compiled_or_interpreted import INTERPRETED
from triton.runtime.interpreter import InterpretedFunction

from kanpde.kernels import triton_jet, triton_network, triton_runs, uniform_knots

pytestmark = pytest.mark.skipif(not INTERPRETED, reason="there is a GPU, where they would run")

POINTS, COUNTS, MULTIPROCESSORS = 10_000, (2, 2), 132


@pytest.fixture
def launched(monkeypatch):
    """Names and numbers of programs of the kernels that are launched."""
    found = []

    def count(self, *given, grid, warmup, **named):
        programs = 1
        for n in grid:
            programs *= n
        found.append((self.fn.__name__, programs))

    monkeypatch.setattr(InterpretedFunction, "run", count)
    return found


def network(widths):
    """The arguments of network.forward."""
    C = [torch.zeros(p, 8, q, dtype=torch.float64) for p, q in pairwise(widths)]
    knots = [uniform_knots(p, -1.0, 1.0, 5, 3) for p in widths[:-1]]
    hidden = [torch.ones(w, dtype=torch.float64) for w in widths[1:-1]]
    X = torch.zeros(POINTS, 5, widths[0], dtype=torch.float64)
    return X, C, knots, hidden, hidden, COUNTS


def test_a_closure_of_a_narrow_network_is_one_launch_and_a_sum(launched):
    *given, counts = network((2, 10, 1))
    W, b = torch.zeros(1, POINTS, 5, 1, dtype=torch.float64), torch.zeros(1, POINTS)
    triton_network.squares(*given, W, b.double(), counts)
    assert [name for name, _ in launched] == ["adjoint_tiles", "_ordered_sum"]
    assert launched[0][1] >= 4 * MULTIPROCESSORS
    assert launched[1][1] >= 16, "the sum of many parts is not left to one program"


def test_the_rows_of_its_jacobian_are_one_launch_and_their_products_few(launched):
    given = network((2, 10, 1))
    L = torch.zeros(POINTS, 5, 1, dtype=torch.float64)
    values, starts = triton_network.pullback(L, *given)
    assert [name for name, _ in launched] == ["adjoint_tiles"]
    launched.clear()
    lengths = (40, 40, *([4] * 10))
    r = torch.zeros(POINTS, dtype=torch.float64)
    triton_runs.normal(values, torch.zeros_like(starts), lengths, 240, r)
    assert [name for name, _ in launched] == ["_spread", "_ordered_sum"]


def test_the_rows_of_an_equation_are_one_launch(launched):
    *given, counts = network((2, 10, 1))
    W, b = torch.zeros(1, POINTS, 5, 1, dtype=torch.float64), torch.zeros(1, POINTS)
    triton_network.rows(*given, W, b.double(), counts)
    assert [name for name, _ in launched] == ["forward_tiles"]


def test_a_layer_into_many_outputs_makes_its_taps_and_leaves_the_rest_to_products(launched):
    X, C, knots, *_, counts = network((3, 40, 1))
    triton_jet.forward(X, C[0], knots[0], counts)
    assert [name for name, _ in launched] == ["_taps"]
    launched.clear()
    triton_jet.adjoint(torch.zeros(POINTS, 5, 40).double(), X, C[0], knots[0], counts)
    assert sorted(name for name, _ in launched) == ["_inward", "_ordered_sum", "_taps"]
