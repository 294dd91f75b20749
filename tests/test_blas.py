"""The tests that are nearest to rounding hold under the BLAS kernels of other machines, and with
another number of threads."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# In time of the two high orders the higher one, which is nearer to rounding on the same cells.
SENSITIVE = (
    "tests/reference/test_stencils.py::test_observed_order",
    "tests/reference/test_steady.py::test_high_order_in_two_dimensions",
    "tests/reference/test_steady.py::test_high_order_of_other_equations",
    *(
        f"tests/reference/test_evolution.py::test_high_order[{equation}-{kind}-8]"
        for equation in ("heat", "wave")
        for kind in ("Dirichlet", "Neumann", "Robin", "Periodic")
    ),
    "tests/reference/test_evolution.py::test_order_in_time",
    "tests/sweeps/test_local.py::test_finite_differences_converge_at_their_order",
    "tests/networks/test_bases.py::test_splines_approximate_at_their_order",
)

X86 = platform.machine().lower() in ("x86_64", "amd64")


@pytest.mark.skipif(not X86, reason="not on this system: kernels of x86 processors")
@pytest.mark.parametrize(("kernel", "threads"), [("Haswell", 2), ("Sandybridge", 1)])
def test_orders_hold_with_the_kernels_of_other_processors(kernel, threads):
    # The lines that these tests reach are noted where they run by themselves.
    own = ("PYTEST_", "COV_", "REACHED_LINES")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    environment |= {"OPENBLAS_CORETYPE": kernel, "OMP_NUM_THREADS": str(threads)}

    def python(*arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    assert set(python("tests/blas.py").stdout.split()) <= {kernel}
    done = python("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *SENSITIVE)
    assert done.returncode == 0, done.stdout
