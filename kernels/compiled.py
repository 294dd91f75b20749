"""How the CPU kernels are compiled: by Numba, once a machine, kept on disk; a product and a sum may
become one instruction."""

from __future__ import annotations

import numba

compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
