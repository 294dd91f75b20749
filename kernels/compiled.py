"""How the CPU kernels are compiled: by Numba, once a machine, kept on disk; a product and a sum may
become one instruction. Numba's type hints do not know `no_cfunc_wrapper` and
`no_cpython_wrapper`."""

from __future__ import annotations

import numba

compiled = numba.njit(  # type: ignore[call-overload]
    cache=True, nogil=True, error_model="numpy", fastmath={"contract"}, no_cfunc_wrapper=True
)

called = numba.njit(  # type: ignore[call-overload]
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath={"contract"},
    no_cfunc_wrapper=True,
    no_cpython_wrapper=True,
)
"""For what only compiled functions call: without its entrance from Python it is compiled faster."""

inlined = numba.njit(inline="always", error_model="numpy", fastmath={"contract"})
"""For what is called at every point: a call that stays a call costs up to half of its time."""
