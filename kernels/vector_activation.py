"""tanh and sin on jets in vector instructions: what cpu_activation.py is compiled from."""

from __future__ import annotations

import math

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from kanpde.kernels.vectors import LANES, Emitter, layout_of

LOG2 = {8: (0.6931471803691238, 1.9082149292705877e-10), 4: (0.693359375, -2.12194440054690583e-4)}
"""ln 2 in two parts by the bytes of a number; a small whole number times the first is exact (Cody
and Waite 1980)."""


def _taylor_of_tanh(emit, value, order):
    """Taylor coefficients of tanh from its value, by f' = 1 - f²."""
    f = [value]
    for nu in range(order):
        square = emit.dot([(f[i], f[nu - i]) for i in range(nu + 1)])
        f.append(
            emit.times(-1 / (nu + 1), square)
            if nu
            else emit.plus(emit.splat(ir.Constant(emit.number, 1.0)), emit.times(-1, square))
        )
    return f


def _taylor_of_sine(emit, value, cosine, order):
    """Taylor coefficients of sin from its value and the cosine."""
    f = [value, cosine]
    for nu in range(2, order + 1):
        f.append(emit.times(-1 / (nu * (nu - 1)), f[nu - 2]))
    return f[: order + 1]


def _tanh(emit, x):
    """tanh x = t / (t + 2) with t = e^{2|x|} - 1, and the sign of x; accurate to a few units in the
    last place.

    2|x| = n ln 2 + r with a whole n and |r| ≤ ln 2 / 2, where e^r - 1 is its Taylor polynomial;
    then t = 2^n (e^r - 1) + (2^n - 1).
    """
    builder, double = emit.builder, emit.bytes == 8
    whole = ir.VectorType(ir.IntType(8 * emit.bytes), LANES)
    fraction, bias, largest = (
        (52, 1023, 40.0) if double else (23, 127, 20.0)
    )  # tanh is 1 to rounding from there on

    def number(value):
        return ir.Constant(emit.kind, [value] * LANES)

    def integer(value):
        return ir.Constant(whole, [value] * LANES)

    bits = builder.bitcast(x, whole)
    sign = builder.and_(bits, integer(1 << (8 * emit.bytes - 1)))
    size = builder.bitcast(builder.xor(bits, sign), emit.kind)
    twice = builder.fadd(size, size)
    held = builder.select(
        builder.fcmp_ordered(">", twice, number(largest)), number(largest), twice
    )  # a nan stays
    shift = number(
        1.5 * 2.0**fraction
    )  # adding it rounds to a whole number, which is then in the lowest bits
    shifted = emit.dot([(number(1 / math.log(2)), held)], shift)
    n = builder.fsub(shifted, shift)
    r = held
    for part in LOG2[emit.bytes]:
        r = emit.dot([(n, number(-part))], r)
    terms = 14 if double else 8
    square = builder.fmul(r, r)

    def series(first: int, last: int):
        """Σ r^(k - first) / k! over every other k, first … last; two of them have short chains of
        instructions."""
        found = number(1 / math.factorial(last))
        for k in range(last - 2, first - 1, -2):
            found = emit.dot([(found, square)], number(1 / math.factorial(k)))
        return found

    small = emit.dot(
        [(square, emit.dot([(r, series(3, terms - 1))], series(2, terms)))], r
    )  # e^r - 1
    exponent = builder.shl(
        builder.add(builder.bitcast(shifted, whole), integer(bias)), integer(fraction)
    )
    power = builder.bitcast(exponent, emit.kind)
    t = emit.dot([(power, small)], builder.fsub(power, number(1.0)))
    found = builder.fdiv(t, builder.fadd(t, number(2.0)))
    return builder.bitcast(builder.or_(builder.bitcast(found, whole), sign), emit.kind)


def _activation_taylor(emit, kinds, sines, cosines, index, x, order):
    if isinstance(kinds[0], types.Array):
        return _taylor_of_sine(
            emit,
            emit.flat(kinds[0], sines).load(index),
            emit.flat(kinds[1], cosines).load(index),
            order,
        )
    return _taylor_of_tanh(emit, _tanh(emit, x), order)


@intrinsic
def activate(typing, sines, cosines, index, X, at, stride, center, factor, unit, Y, counts):
    """Y[at + c · stride] = the jets of (f(x) - center) · factor for LANES units, whose jets lie at
    X[at + c · stride].

    sines, cosines: of the values, at index; where they are no arrays, f is tanh. center, factor: by
    unit.
    """

    def generate(context, builder, signature, arguments):
        kinds, index, start, stride, unit = (
            signature.args,
            arguments[2],
            arguments[4],
            arguments[5],
            arguments[8],
        )
        layout, emit = layout_of(kinds[10]), Emitter(context, builder, kinds[3].dtype)
        x, y, middle, by = (emit.flat(kinds[k], arguments[k]) for k in (3, 9, 6, 7))
        places = emit.places(start, stride, layout.size)
        jet = [x.load(place) for place in places]
        f = _activation_taylor(emit, kinds, arguments[0], arguments[1], index, jet[0], layout.order)
        found = emit.compose(f, emit.powers(jet, layout), layout, [None] * layout.size)
        found[0] = builder.fsub(found[0], middle.load(unit))
        for value, place in zip(found, places, strict=True):
            y.store(emit.times(by.load(unit), value), place)
        return context.get_dummy_value()

    return (
        types.void(
            sines,
            cosines,
            types.intp,
            X,
            types.intp,
            types.intp,
            center,
            factor,
            types.intp,
            Y,
            counts,
        ),
        generate,
    )


@intrinsic
def activate_adjoint(typing, sines, cosines, index, X, at, stride, L, factor, unit, found, counts):
    """found[at + c · stride] = the adjoint of the jets at X[at + c · stride], from the adjoint L[at
    + c · stride] of the output."""

    def generate(context, builder, signature, arguments):
        kinds, index, start, stride, unit = (
            signature.args,
            arguments[2],
            arguments[4],
            arguments[5],
            arguments[8],
        )
        layout, emit = layout_of(kinds[10]), Emitter(context, builder, kinds[3].dtype)
        x, lift, by, target = (emit.flat(kinds[k], arguments[k]) for k in (3, 6, 7, 9))
        places = emit.places(start, stride, layout.size)
        jet = [x.load(place) for place in places]
        f = _activation_taylor(
            emit, kinds, arguments[0], arguments[1], index, jet[0], layout.order + 1
        )
        powers, adjoint = (
            emit.powers(jet, layout),
            [emit.times(by.load(unit), lift.load(place)) for place in places],
        )
        found = emit.correlate(
            f, adjoint, emit.moments(adjoint, powers, layout), powers, layout, [None] * layout.size
        )
        for value, place in zip(found, places, strict=True):
            target.store(value, place)
        return context.get_dummy_value()

    return (
        types.void(
            sines,
            cosines,
            types.intp,
            X,
            types.intp,
            types.intp,
            L,
            factor,
            types.intp,
            found,
            counts,
        ),
        generate,
    )
