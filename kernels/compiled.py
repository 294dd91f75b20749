"""How the CPU kernels are compiled: by Numba, once a machine, kept on disk; and one instruction that it does not find itself."""

from __future__ import annotations

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

TILE = 64
"""Points that a kernel works on at a time: its arrays of so many numbers stay in the first-level cache."""

LANES = 4
"""Numbers that add_scaled takes at once: a vector register of most machines, in float64."""

compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@intrinsic
def add_scaled(typing, target, at, factor, source, begin):
    """target[at : at + LANES] += factor · source[begin : begin + LANES] for flat arrays, in vector registers.

    Runs of columns are too short for the loop vectoriser, which makes vectors of 16 and leaves the rest to single numbers.
    """

    def generate(context, builder, signature, arguments):
        to, i, scale, source_array, j = arguments
        number = context.get_value_type(signature.args[0].dtype)
        vector = ir.VectorType(number, LANES)
        nothing = ir.Constant(vector, ir.Undefined)

        def address(kind, array, index):
            data = context.make_array(kind)(context, builder, array).data
            return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())

        def load(pointer):
            value = builder.load(pointer)
            value.align = context.get_abi_sizeof(number)
            return value

        first = builder.insert_element(nothing, scale, ir.Constant(ir.IntType(32), 0))
        scales = builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))
        pointer = address(signature.args[0], to, i)
        product = builder.fmul(scales, load(address(signature.args[3], source_array, j)), flags=["contract"])
        store = builder.store(builder.fadd(load(pointer), product, flags=["contract"]), pointer)
        store.align = context.get_abi_sizeof(number)
        return context.get_dummy_value()

    return types.void(target, types.intp, factor, source, types.intp), generate
