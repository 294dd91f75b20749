"""Functions that become operators of torch: without torch's compiler until it is asked for, and
under it."""

import subprocess
import sys

import pytest
import torch

from kanpde.kernels import spline_jet, uniform_knots

KNOTS = uniform_knots(2, -1.0, 1.0, 4, 3)
CALLED = """
import sys, torch
from kanpde.kernels import spline_jet, uniform_knots
X = torch.full((3, 3, 2), 0.1, dtype=torch.float64, requires_grad=True)
C = torch.ones(2, 7, 1, dtype=torch.float64)
spline_jet(X, C, uniform_knots(2, -1.0, 1.0, 4, 3), (1, 1)).sum().backward()
sys.exit(' '.join({'torch._dynamo', 'sympy', 'triton'} & set(sys.modules)) or 0)
"""


def test_a_call_does_not_import_the_compiler():
    done = subprocess.run(
        [sys.executable, "-c", CALLED], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_it_can_be_compiled_with_what_is_around_it(backend):
    X = torch.rand(5, 3, 2, dtype=torch.float64, requires_grad=True)
    C = torch.rand(2, 7, 1, dtype=torch.float64)

    def twice(X):
        return 2 * spline_jet(X, C, KNOTS, (1, 1))

    compiled = torch.compile(twice, fullgraph=True, backend=backend)
    assert torch.equal(compiled(X), twice(X))
    wanted, found = (torch.autograd.grad(f(X).sum(), X)[0] for f in (twice, compiled))
    torch.testing.assert_close(found, wanted, rtol=1e-14, atol=1e-14)


def test_it_keeps_its_name_and_its_words():
    assert spline_jet is torch.ops.kanpde.spline_jet.default
    assert spline_jet.__doc__.startswith("A layer of splines on jets;")
