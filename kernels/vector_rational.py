"""Rational functions on jets in vector instructions, LANES points at a time: what cpu_rational.py
is compiled from.

A vector holds the same channel of the same unit at LANES points, so that a unit's coefficients are
the same in every lane. Coefficients lie as a_0 … a_5 and those of x², x³, x⁴ in Q, 9 a unit (see
rational.py).
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from kanpde.kernels.vectors import LANES, Emitter, layout_of


def _quotient(emit, P, Q, inverse):
    """Taylor coefficients of P/Q, where inverse = 1/Q_0."""
    found: list = []
    for nu, p in enumerate(P):
        part = emit.dot([(Q[k], found[nu - k]) for k in range(1, nu + 1)])
        found.append(emit.times(inverse, emit.plus(p, emit.times(-1, part)) if nu else p))
    return found


def _series(emit, coefficients, at, x, order):
    """Taylor coefficients of P and Q at x, and 1/Q_0."""
    a = [coefficients.splat(place) for place in emit.places(at, emit.index(1), 9)]
    one = emit.splat(ir.Constant(emit.number, 1.0))
    Q = emit.taylor([one, emit.zero, *a[6:]], x, order)
    return emit.taylor(a[:6], x, order), Q, emit.builder.fdiv(one, Q[0])


@intrinsic
def rational(typing, coefficients, own, X, at, stride, Y, counts):
    """Y[at + c · stride] = the jets of F(x) for LANES points, whose jets lie at X[at + c · stride];
    own: the unit's first coefficient."""

    def generate(context, builder, signature, arguments):
        kinds, own, start, stride = signature.args, arguments[1], arguments[3], arguments[4]
        layout, emit = layout_of(kinds[6]), Emitter(context, builder, kinds[2].dtype)
        given, x, y = (emit.flat(kinds[k], arguments[k]) for k in (0, 2, 5))
        places = emit.places(start, stride, layout.size)
        jet = [x.load(place) for place in places]
        P, Q, inverse = _series(emit, given, own, jet[0], layout.order)
        found = emit.compose(
            _quotient(emit, P, Q, inverse), emit.powers(jet, layout), layout, [None] * layout.size
        )
        for value, place in zip(found, places, strict=True):
            y.store(value, place)
        return context.get_dummy_value()

    return types.void(coefficients, types.intp, X, types.intp, types.intp, Y, counts), generate


def _by_coefficients(emit, Q, inverse, F, H, x):
    """The adjoints of a_0 … a_5 and of the coefficients of x², x³, x⁴ in Q, from the moments H and
    the Taylor coefficients F of P/Q: ∂F/∂a_k = x^k/Q, ∂F/∂q_k = -F x^k/Q."""
    order = len(H) - 1
    unit = [emit.splat(ir.Constant(emit.number, 1.0))] + [emit.zero] * order
    R = _quotient(emit, unit, Q, inverse)
    FR = _quotient(emit, F[: order + 1], Q, inverse)
    by_a, by_q = (
        [emit.dot([(H[nu], r[nu - k]) for nu in range(k, order + 1)]) for k in range(order + 1)]
        for r in (R, FR)
    )
    return [
        *emit.taylor_adjoint(by_a, x, 6),
        *(emit.times(-1, q) for q in emit.taylor_adjoint(by_q, x, 5)[2:]),
    ]


@intrinsic
def rational_adjoint(
    typing, coefficients, own, X, at, stride, L, found, gradient, place, back, counts
):
    """From the adjoint L of the output: that of the input is written to `found` where the tuple
    `back` is not empty, and those of the unit's 9 coefficients are added to the vectors at
    gradient[place], gradient[place + LANES], …"""

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        own, start, stride, to = (arguments[k] for k in (1, 3, 4, 8))
        layout, emit = layout_of(kinds[10]), Emitter(context, builder, kinds[2].dtype)
        given, x, lift, target, sums = (emit.flat(kinds[k], arguments[k]) for k in (0, 2, 5, 6, 7))
        places = emit.places(start, stride, layout.size)
        jet, L = x.load_all(places), lift.load_all(places)
        inward = kinds[9].count > 0
        P, Q, inverse = _series(emit, given, own, jet[0], layout.order + inward)
        F = _quotient(emit, P, Q, inverse)
        powers = emit.powers(jet, layout)
        H = emit.moments(L, powers, layout)
        parts = _by_coefficients(emit, Q, inverse, F, H, jet[0])
        for part, p in zip(parts, emit.places(to, emit.index(LANES), 9), strict=True):
            sums.store(emit.plus(sums.load(p), part), p)
        if inward:
            start = [None] * layout.size
            target.store_all(emit.correlate(F, L, H, powers, layout, start), places)
        return context.get_dummy_value()

    integer = types.intp
    return (
        types.void(
            coefficients, integer, X, integer, integer, L, found, gradient, integer, back, counts
        ),
        generate,
    )


@intrinsic
def inner(typing, a, at, b, to, count):
    """Σ_k a[at + k] b[to + k] over k < count, a multiple of 4 LANES, in 4 partial sums."""

    def generate(context, builder, signature, arguments):
        emit = Emitter(context, builder, signature.args[0].dtype)
        left, right = (
            emit.flat(signature.args[0], arguments[0]),
            emit.flat(signature.args[2], arguments[2]),
        )
        sums = emit.variables(4)
        with cgutils.for_range_slice(
            builder, emit.index(0), arguments[4], emit.index(4 * LANES), intp=emit.index(0).type
        ) as (k, _):
            for i, variable in enumerate(sums):
                shift = builder.add(k, emit.index(i * LANES))
                pair = (
                    left.load(builder.add(arguments[1], shift)),
                    right.load(builder.add(arguments[3], shift)),
                )
                builder.store(emit.dot([pair], builder.load(variable)), variable)
        x, y, z, w = (builder.load(variable) for variable in sums)
        return emit.sum(emit.plus(emit.plus(x, y), emit.plus(z, w)))

    return a.dtype(a, types.intp, b, types.intp, types.intp), generate


@intrinsic
def combine(typing, target, at, count, source, begin, stride, inputs, factors, first, jump):
    """target[at + k] = Σ_p factors[first + p · jump] source[begin + p · stride + k] over p <
    inputs, for k < count, a multiple of 4 LANES."""

    def generate(context, builder, signature, arguments):
        emit = Emitter(context, builder, signature.args[0].dtype)
        to, given, by = (emit.flat(signature.args[k], arguments[k]) for k in (0, 3, 7))
        _, at, count, _, begin, stride, inputs, _, first, jump = arguments
        sums, index = emit.variables(4), emit.index(0).type
        with cgutils.for_range_slice(
            builder, emit.index(0), count, emit.index(4 * LANES), intp=index
        ) as (k, _):
            for variable in sums:
                builder.store(emit.zero, variable)
            with cgutils.for_range_slice(
                builder, emit.index(0), inputs, emit.index(1), intp=index
            ) as (p, _):
                factor = by.splat(builder.add(first, builder.mul(p, jump)))
                row = builder.add(builder.add(begin, builder.mul(p, stride)), k)
                for i, variable in enumerate(sums):
                    x = given.load(builder.add(row, emit.index(i * LANES)))
                    builder.store(emit.dot([(factor, x)], builder.load(variable)), variable)
            for i, variable in enumerate(sums):
                to.store(
                    builder.load(variable), builder.add(builder.add(at, k), emit.index(i * LANES))
                )
        return context.get_dummy_value()

    return (
        types.void(
            target, *(types.intp,) * 2, source, *(types.intp,) * 3, factors, types.intp, types.intp
        ),
        generate,
    )
