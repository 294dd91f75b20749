"""The Taylor algebra of jets written out as machine instructions, on vectors of LANES numbers.

Degree, orders and directions are known when a kernel is compiled: they are the lengths of tuples among its arguments
(`width` and `counts` here: a tuple of degree + 1 entries, and one tuple a direction's order). So there are no loops over
them left, and everything between the loads and the stores stays in registers. The formulas are those of README.md.

Arrays are flat. Each function below that is an intrinsic may be called from a function compiled by Numba.
"""

from __future__ import annotations

import math

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

LANES = 4
"""Numbers in a vector: a register of most machines in float64."""


LOG2 = {8: (0.6931471803691238, 1.9082149292705877e-10), 4: (0.693359375, -2.12194440054690583e-4)}
"""ln 2 in two parts by the bytes of a number; a small whole number times the first is exact (Cody and Waite 1980)."""


class Layout:
    """Channels by order and direction: channel[k][d], from the numbers of directions of the orders 1, 2, …"""

    def __init__(self, counts):
        self.order, self.counts = len(counts), list(counts)
        self.channel = [[0]]
        for count in self.counts:
            start = self.channel[-1][-1] + 1
            self.channel.append(list(range(start, start + count)))
        self.size = self.channel[-1][-1] + 1

    def above(self, order):
        """(k, d, channel) of all channels of this order and higher ones."""
        return [(k, d, c) for k in range(order, self.order + 1) for d, c in enumerate(self.channel[k])]


def layout_of(counts):
    """From the type of a tuple with one tuple for each order."""
    return Layout([order.count for order in counts])


class Emitter:
    """Instructions on numbers or vectors of one type, and the algebra made of them."""

    def __init__(self, context, builder, number, lanes=True):
        self.context, self.builder, self.number = context, builder, context.get_value_type(number)
        self.kind = ir.VectorType(self.number, LANES) if lanes else self.number
        self.bytes = context.get_abi_sizeof(self.number)
        self.zero = ir.Constant(self.kind, None)

    def address(self, kind, array, index, offset=0):
        """Where array[index + offset] lies."""
        data = self.context.make_array(kind)(self.context, self.builder, array).data
        if not isinstance(offset, int) or offset:
            index = self.builder.add(index, offset if not isinstance(offset, int) else ir.Constant(index.type, offset))
        return self.builder.gep(data, [index])

    def load(self, kind, array, index, offset=0):
        """A vector (or number) from array[index + offset] on."""
        value = self.builder.load(self.builder.bitcast(self.address(kind, array, index, offset), self.kind.as_pointer()))
        value.align = self.bytes
        return value

    def load_splat(self, kind, array, index, offset=0):
        """One number in every lane."""
        return self.splat(self.builder.load(self.address(kind, array, index, offset)))

    def store(self, value, kind, array, index, offset=0):
        """The reverse of load."""
        done = self.builder.store(value, self.builder.bitcast(self.address(kind, array, index, offset), self.kind.as_pointer()))
        done.align = self.bytes

    def splat(self, x):
        """A number in every lane; a vector stays as it is."""
        if x.type == self.kind:
            return x
        nothing = ir.Constant(self.kind, ir.Undefined)
        first = self.builder.insert_element(nothing, x, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))

    def times(self, a, b):
        """a b, where a may be a Python number."""
        if isinstance(a, int | float):
            if a == 1:
                return b
            a = ir.Constant(self.kind, float(a)) if self.kind == self.number else ir.Constant(self.kind, [float(a)] * LANES)
        return self.builder.fmul(a, b, flags=["contract"])

    def plus(self, a, b):
        """a + b, where None is nothing."""
        return b if a is None else self.builder.fadd(a, b, flags=["contract"])

    def dot(self, pairs, start=None):
        """start + Σ a b."""
        for a, b in pairs:
            start = self.plus(start, self.times(a, b))
        return self.zero if start is None else start

    def powers(self, x, layout):
        """δ^1 … δ^order by channel from the coefficients x of a jet."""
        found = [{}, {c: x[c] for _, _, c in layout.above(1)}]
        for nu in range(2, layout.order + 1):
            found.append({c: self.dot([(x[layout.channel[j][d]], found[nu - 1][layout.channel[k - j][d]]) for j in range(1, k - nu + 2)]) for k, d, c in layout.above(nu)})
        return found

    def taylor(self, a, tau, order):
        """Taylor coefficients 0 … order of Σ_s a_s τ^s, by repeated synthetic division."""
        a, width = list(a), len(a)
        for nu in range(min(order, width - 1) + 1):
            for s in range(width - 2, nu - 1, -1):
                a[s] = self.dot([(tau, a[s + 1])], a[s])
        return (a + [self.zero] * (order + 1))[: order + 1]

    def taylor_adjoint(self, H, tau, width):
        """The transpose: what each a_s gets."""
        w = [self.zero] * width
        for nu in range(min(len(H), width) - 1, -1, -1):
            w[nu] = self.plus(w[nu], H[nu])
            for s in range(nu, width - 1):
                w[s + 1] = self.dot([(tau, w[s])], w[s + 1])
        return w

    def compose(self, f, powers, layout, start):
        """start + the jet of f∘x, by channel."""
        found = [self.plus(start[0], f[0])]
        for k, _, c in layout.above(1):
            found.append(self.dot([(f[nu], powers[nu][c]) for nu in range(1, k + 1)], start[c]))
        return found

    def moments(self, lift, powers, layout):
        """H_ν = Σ_c δ^ν_c L_c."""
        return [lift[0], *(self.dot([(powers[nu][c], lift[c]) for _, _, c in layout.above(nu)]) for nu in range(1, layout.order + 1))]

    def correlate(self, f, lift, H, powers, layout, start):
        """start + the adjoint of the jet x in f∘x, by channel, from the Taylor coefficients f_0 … f_{order+1}."""
        slope = {(0, d): f[1] for d in range(layout.counts[0] if layout.counts else 0)}
        for k, d, c in layout.above(1):
            slope[k, d] = self.dot([(self.times(nu, f[nu]), powers[nu - 1][c]) for nu in range(2, k + 2)])
        found = [self.dot([(self.times(nu + 1, f[nu + 1]), h) for nu, h in enumerate(H)], start[0])]
        for low, d, c in layout.above(1):
            pairs = [(lift[layout.channel[k][d]], slope[k - low, d]) for k in range(low, layout.order + 1) if d < layout.counts[k - 1]]
            found.append(self.dot(pairs, start[c]))
        return found


def _split_powers(emit, kind, array, layout):
    """The powers that fill_powers left in memory, in every lane."""
    first = ir.Constant(ir.IntType(64), 0)
    return [{c: emit.load_splat(kind, array, first, nu * layout.size + c) for _, _, c in layout.above(max(nu, 1))} if nu else {} for nu in range(layout.order + 1)]


@intrinsic
def fill_powers(typing, X, at, stride, factor, powers, counts):
    """powers[ν · channels + c] = (δ · factor)^ν_c of the jet whose channels lie at X[at + c · stride]."""

    def generate(context, builder, signature, arguments):
        x, i, step, scale, target, _ = arguments
        layout, emit = layout_of(signature.args[5]), Emitter(context, builder, signature.args[0].dtype, lanes=False)
        jet = [None]
        for c in range(1, layout.size):
            jet.append(emit.times(scale, emit.load(signature.args[0], x, i, builder.mul(step, ir.Constant(step.type, c)))))
        for nu, by_channel in enumerate(emit.powers(jet, layout) if layout.order else []):
            for c, value in by_channel.items():
                emit.store(value, signature.args[4], target, ir.Constant(ir.IntType(64), nu * layout.size + c))
        return context.get_dummy_value()

    return types.void(X, types.intp, types.intp, X.dtype, powers, counts), generate


@intrinsic
def add_edges(typing, A, base, stride, tau, powers, Y, at, width, counts):
    """Y[at + c · stride] += the jets of LANES edges, whose polynomials lie at A[base + s · stride]."""

    def generate(context, builder, signature, arguments):
        a, b, step, t, pw, y, i = arguments[:7]
        kinds = signature.args
        layout, emit = layout_of(kinds[8]), Emitter(context, builder, kinds[0].dtype)
        rows = [emit.load(kinds[0], a, b, builder.mul(step, ir.Constant(step.type, s))) for s in range(kinds[7].count)]
        f = emit.taylor(rows, emit.splat(t), layout.order)
        places = [builder.mul(step, ir.Constant(step.type, c)) for c in range(layout.size)]
        start = [emit.load(kinds[5], y, i, place) for place in places]
        for value, place in zip(emit.compose(f, _split_powers(emit, kinds[4], pw, layout), layout, start), places, strict=True):
            emit.store(value, kinds[5], y, i, place)
        return context.get_dummy_value()

    return types.void(A, types.intp, types.intp, A.dtype, powers, Y, types.intp, width, counts), generate


@intrinsic
def pull_edges(typing, A, base, stride, tau, powers, L, at, inward, gradient, H, width, counts, back, local):
    """The adjoint of add_edges for the adjoint L[at + c · stride] of Y.

    Adds the adjoint of the jet, lane by lane, to inward[c · LANES] where the tuple `back` is not empty. Where `local` is not,
    writes the moments to H[at' + ν · stride], at' being `at` within its point; else adds the adjoint of A to gradient[base + s · stride].
    """

    def generate(context, builder, signature, arguments):
        a, b, step, t, pw, lift, i, x, g, h = arguments[:10]
        kinds, zero = signature.args, ir.Constant(ir.IntType(64), 0)
        layout, emit = layout_of(kinds[11]), Emitter(context, builder, kinds[0].dtype)
        places = [builder.mul(step, ir.Constant(step.type, k)) for k in range(max(kinds[10].count, layout.size))]
        tau_ = emit.splat(t)
        split = _split_powers(emit, kinds[4], pw, layout)
        l = [emit.load(kinds[5], lift, i, places[c]) for c in range(layout.size)]  # noqa: E741
        moments = emit.moments(l, split, layout)
        if kinds[12].count:
            rows = [emit.load(kinds[0], a, b, places[s]) for s in range(kinds[10].count)]
            f = emit.taylor(rows, tau_, layout.order + 1)
            start = [emit.load(kinds[7], x, zero, c * LANES) for c in range(layout.size)]
            for c, value in enumerate(emit.correlate(f, l, moments, split, layout, start)):
                emit.store(value, kinds[7], x, zero, c * LANES)
        if kinds[13].count:
            place = builder.srem(i, builder.mul(step, ir.Constant(step.type, layout.size)))
            for nu, value in enumerate(moments):
                emit.store(value, kinds[9], h, place, places[nu])
        else:
            for s, value in enumerate(emit.taylor_adjoint(moments, tau_, kinds[10].count)):
                emit.store(emit.plus(emit.load(kinds[8], g, b, places[s]), value), kinds[8], g, b, places[s])
        return context.get_dummy_value()

    return types.void(A, types.intp, types.intp, A.dtype, powers, L, types.intp, inward, gradient, H, width, counts, back, local), generate


@intrinsic
def store_taylor(typing, A, base, stride, tau, found, at, width, counts):
    """found[at + ν · stride] = the Taylor coefficients 0 … order of LANES polynomials at A[base + s · stride]."""

    def generate(context, builder, signature, arguments):
        a, b, step, t, target, i = arguments[:6]
        kinds = signature.args
        emit = Emitter(context, builder, kinds[0].dtype)
        places = [builder.mul(step, ir.Constant(step.type, s)) for s in range(max(kinds[6].count, kinds[7].count + 1))]
        rows = [emit.load(kinds[0], a, b, place) for place in places[: kinds[6].count]]
        for nu, value in enumerate(emit.taylor(rows, emit.splat(t), kinds[7].count)):
            emit.store(value, kinds[4], target, i, places[nu])
        return context.get_dummy_value()

    return types.void(A, types.intp, types.intp, A.dtype, found, types.intp, width, counts), generate


@intrinsic
def store_products(typing, b, j, stride_b, H, at, stride_H, row, place, counts):
    """row[place : place + LANES] = Σ_ν b[j + ν · stride_b] H[at + ν · stride_H]."""

    def generate(context, builder, signature, arguments):
        spline, i, step_b, moment, k, step_H, target, to = arguments[:8]
        kinds = signature.args
        emit = Emitter(context, builder, kinds[0].dtype)
        pairs = []
        for nu in range(kinds[8].count + 1):
            factor = emit.load_splat(kinds[0], spline, i, builder.mul(step_b, ir.Constant(step_b.type, nu)))
            pairs.append((factor, emit.load(kinds[3], moment, k, builder.mul(step_H, ir.Constant(step_H.type, nu)))))
        emit.store(emit.dot(pairs), kinds[6], target, to)
        return context.get_dummy_value()

    return types.void(b, types.intp, types.intp, H, types.intp, types.intp, row, types.intp, counts), generate


@intrinsic
def sum_lanes(typing, values, at):
    """values[at] + … + values[at + LANES - 1]."""

    def generate(context, builder, signature, arguments):
        emit = Emitter(context, builder, signature.args[0].dtype)
        vector = emit.load(signature.args[0], *arguments)
        parts = [builder.extract_element(vector, ir.Constant(ir.IntType(32), i)) for i in range(LANES)]
        return builder.fadd(builder.fadd(parts[0], parts[1]), builder.fadd(parts[2], parts[3]))

    return values.dtype(values, types.intp), generate


@intrinsic
def add_scaled(typing, target, at, factor, source, begin):
    """target[at : at + LANES] += factor · source[begin : begin + LANES]."""

    def generate(context, builder, signature, arguments):
        to, i, scale, values, j = arguments
        kinds = signature.args
        emit = Emitter(context, builder, kinds[0].dtype)
        value = emit.dot([(emit.splat(scale), emit.load(kinds[3], values, j))], emit.load(kinds[0], to, i))
        emit.store(value, kinds[0], to, i)
        return context.get_dummy_value()

    return types.void(target, types.intp, factor, source, types.intp), generate


def _tanh(emit, x):
    """tanh x = t / (t + 2) with t = e^{2|x|} - 1, and the sign of x; accurate to a few units in the last place.

    2|x| = n ln 2 + r with a whole n and |r| ≤ ln 2 / 2, where e^r - 1 is its Taylor polynomial; then t = 2^n (e^r - 1) + (2^n - 1).
    """
    builder, double = emit.builder, emit.bytes == 8
    whole = ir.VectorType(ir.IntType(8 * emit.bytes), LANES)
    fraction, bias, largest = (52, 1023, 40.0) if double else (23, 127, 20.0)  # tanh is 1 to rounding from there on

    def number(value):
        return ir.Constant(emit.kind, [value] * LANES)

    def integer(value):
        return ir.Constant(whole, [value] * LANES)

    bits = builder.bitcast(x, whole)
    sign = builder.and_(bits, integer(1 << (8 * emit.bytes - 1)))
    size = builder.bitcast(builder.xor(bits, sign), emit.kind)
    twice = builder.fadd(size, size)
    held = builder.select(builder.fcmp_ordered(">", twice, number(largest)), number(largest), twice)  # a nan stays
    shift = number(1.5 * 2.0**fraction)  # adding it rounds to a whole number, which is then in the lowest bits
    shifted = emit.dot([(number(1 / math.log(2)), held)], shift)
    n = builder.fsub(shifted, shift)
    r = held
    for part in LOG2[emit.bytes]:
        r = emit.dot([(n, number(-part))], r)
    terms = 14 if double else 8
    polynomial = number(1 / math.factorial(terms))
    for k in range(terms - 1, 1, -1):
        polynomial = emit.dot([(polynomial, r)], number(1 / math.factorial(k)))
    small = emit.dot([(builder.fmul(polynomial, r), r)], r)  # e^r - 1
    exponent = builder.shl(builder.add(builder.bitcast(shifted, whole), integer(bias)), integer(fraction))
    power = builder.bitcast(exponent, emit.kind)
    t = emit.dot([(power, small)], builder.fsub(power, number(1.0)))
    found = builder.fdiv(t, builder.fadd(t, number(2.0)))
    return builder.bitcast(builder.or_(builder.bitcast(found, whole), sign), emit.kind)


def _taylor_of_tanh(emit, value, order):
    """Taylor coefficients of tanh from its value, by f' = 1 - f²."""
    f = [value]
    for nu in range(order):
        square = emit.dot([(f[i], f[nu - i]) for i in range(nu + 1)])
        f.append(emit.times(-1 / (nu + 1), square) if nu else emit.plus(emit.splat(ir.Constant(emit.number, 1.0)), emit.times(-1, square)))
    return f


def _taylor_of_sine(emit, value, cosine, order):
    """Taylor coefficients of sin from its value and the cosine."""
    f = [value, cosine]
    for nu in range(2, order + 1):
        f.append(emit.times(-1 / (nu * (nu - 1)), f[nu - 2]))
    return f[: order + 1]


def _activation_taylor(emit, kinds, sines, cosines, index, x, order):
    if isinstance(kinds[0], types.Array):
        return _taylor_of_sine(emit, emit.load(kinds[0], sines, index), emit.load(kinds[1], cosines, index), order)
    return _taylor_of_tanh(emit, _tanh(emit, x), order)


@intrinsic
def activate(typing, sines, cosines, index, X, at, stride, center, factor, unit, Y, to, counts):
    """Y[to + c · stride] = the jets of (f(x) - center) · factor for LANES units, whose jets lie at X[at + c · stride].

    sines, cosines: of the values, at index; where they are no arrays, f is tanh. center, factor: by unit.
    """

    def generate(context, builder, signature, arguments):
        sine, cosine, i, x, j, step, c0, scale, u, y, k = arguments[:11]
        kinds = signature.args
        layout, emit = layout_of(kinds[11]), Emitter(context, builder, kinds[3].dtype)
        places = [builder.mul(step, ir.Constant(step.type, c)) for c in range(layout.size)]
        jet = [emit.load(kinds[3], x, j, place) for place in places]
        f = _activation_taylor(emit, kinds, sine, cosine, i, jet[0], layout.order)
        found = emit.compose(f, emit.powers(jet, layout) if layout.order else [], layout, [None] * layout.size)
        found[0] = emit.plus(found[0], emit.times(-1, emit.load(kinds[6], c0, u)))
        by = emit.load(kinds[7], scale, u)
        for value, place in zip(found, places, strict=True):
            emit.store(emit.times(by, value), kinds[9], y, k, place)
        return context.get_dummy_value()

    return types.void(sines, cosines, types.intp, X, types.intp, types.intp, center, factor, types.intp, Y, types.intp, counts), generate


@intrinsic
def activate_adjoint(typing, sines, cosines, index, X, at, stride, L, factor, unit, found, counts):
    """found[at + c · stride] = the adjoint of the jets at X[at + c · stride], from the adjoint L[at + c · stride] of the output."""

    def generate(context, builder, signature, arguments):
        sine, cosine, i, x, j, step, lift, scale, u, target = arguments[:10]
        kinds = signature.args
        layout, emit = layout_of(kinds[10]), Emitter(context, builder, kinds[3].dtype)
        by = emit.load(kinds[7], scale, u)
        places = [builder.mul(step, ir.Constant(step.type, c)) for c in range(layout.size)]
        jet = [emit.load(kinds[3], x, j, place) for place in places]
        f = _activation_taylor(emit, kinds, sine, cosine, i, jet[0], layout.order + 1)
        powers = emit.powers(jet, layout) if layout.order else [{}]
        adjoint = [emit.times(by, emit.load(kinds[6], lift, j, place)) for place in places]
        found = emit.correlate(f, adjoint, emit.moments(adjoint, powers, layout), powers, layout, [None] * layout.size)
        for value, place in zip(found, places, strict=True):
            emit.store(value, kinds[9], target, j, place)
        return context.get_dummy_value()

    return types.void(sines, cosines, types.intp, X, types.intp, types.intp, L, factor, types.intp, found, counts), generate
