"""Which kernels the BLAS of NumPy and SciPy runs here, as OPENBLAS_CORETYPE may choose."""

import ctypes
from pathlib import Path

# SciPy loads its own copy of OpenBLAS beside NumPy's. (PyTorch has MKL, which does not listen.)
import scipy.linalg  # noqa: F401

NAMES = (
    "scipy_openblas_get_corename64_",
    "scipy_openblas_get_corename",
    "openblas_get_corename64_",
    "openblas_get_corename",
)


def kernels():
    """Names of the kernels, by the file of each OpenBLAS that is loaded."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    loaded = {line.split()[-1] for line in lines if "openblas" in line}
    found = {}
    for path in sorted(loaded):
        library = ctypes.CDLL(path)
        for name in NAMES:
            if hasattr(library, name):
                ask = getattr(library, name)
                ask.restype = ctypes.c_char_p
                found[Path(path).name] = ask().decode()
                break
    return found


if __name__ == "__main__":
    print(*kernels().values(), sep="\n")
