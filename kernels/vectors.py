"""The Taylor algebra of jets written out as machine instructions, on vectors of LANES numbers.

Degree, orders and directions are known when a kernel is compiled: they are the lengths of tuples
among its arguments (`width` and `counts` here: a tuple of degree + 1 entries, and one tuple a
direction's order). So there are no loops over them left, and everything between the loads and the
stores stays in registers. The formulas are those of README.md.

Arrays are flat. Each function below that is an intrinsic may be called from a function compiled by
Numba.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 4
"""Numbers in a vector: a register of most machines in float64."""


class Layout:
    """Channels by order and direction: channel[k][d], from the numbers of directions of the orders
    1, 2, …"""

    def __init__(self, counts):
        self.order, self.counts = len(counts), list(counts)
        self.channel = [[0]]
        for count in self.counts:
            start = self.channel[-1][-1] + 1
            self.channel.append(list(range(start, start + count)))
        self.size = self.channel[-1][-1] + 1

    def above(self, order):
        """(k, d, channel) of all channels of this order and higher ones."""
        return [
            (k, d, c) for k in range(order, self.order + 1) for d, c in enumerate(self.channel[k])
        ]


def layout_of(counts):
    """From the type of a tuple with one tuple for each order."""
    return Layout([order.count for order in counts])


class Flat:
    """A flat array as instructions see it; an index is in numbers from its beginning, and nothing
    is checked."""

    def __init__(self, emit, kind, array):
        self.emit = emit
        self.data = emit.context.make_array(kind)(emit.context, emit.builder, array).data

    def _vector(self, index):
        return self.emit.builder.bitcast(
            self.emit.builder.gep(self.data, [index]), self.emit.kind.as_pointer()
        )

    def load(self, index):
        """What lies from index on: as many numbers as the emitter works on."""
        value = self.emit.builder.load(self._vector(index))
        value.align = self.emit.bytes
        return value

    def store(self, value, index):
        """The reverse of load."""
        done = self.emit.builder.store(value, self._vector(index))
        done.align = self.emit.bytes

    def load_all(self, indices):
        """What lies from each index on."""
        return [self.load(index) for index in indices]

    def store_all(self, values, indices):
        """The reverse of load_all."""
        for value, index in zip(values, indices, strict=True):
            self.store(value, index)

    def number(self, index):
        """One number."""
        return self.emit.builder.load(self.emit.builder.gep(self.data, [index]))

    def splat(self, index):
        """One number in every lane."""
        return self.emit.splat(self.number(index))


class Emitter:
    """Instructions on numbers or vectors of one type, and the algebra made of them."""

    def __init__(self, context, builder, number, lanes=True):
        self.context, self.builder, self.number = context, builder, context.get_value_type(number)
        self.kind = ir.VectorType(self.number, LANES) if lanes else self.number
        self.bytes = context.get_abi_sizeof(self.number)
        self.zero = ir.Constant(self.kind, None)

    def flat(self, kind, array):
        """An array to load from and store into."""
        return Flat(self, kind, array)

    def index(self, value):
        """A Python number as an index."""
        return ir.Constant(ir.IntType(64), value)

    def places(self, start, stride, count):
        """start, start + stride, … as indices."""
        return [
            start,
            *(
                self.builder.add(start, self.builder.mul(stride, self.index(k)))
                for k in range(1, count)
            ),
        ]

    def splat(self, x):
        """A number in every lane; a vector stays as it is."""
        if x.type == self.kind:
            return x
        nothing = ir.Constant(self.kind, ir.Undefined)
        first = self.builder.insert_element(nothing, x, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(
            first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        )

    def lane(self, vector, k):
        """One number of a vector."""
        return self.builder.extract_element(vector, ir.Constant(ir.IntType(32), k))

    def transpose(self, vectors):
        """Vector j of the result holds number j of each of the LANES vectors."""

        def mixed(a, b, lanes):
            return self.builder.shuffle_vector(
                a, b, ir.Constant(ir.VectorType(ir.IntType(32), LANES), lanes)
            )

        a, b, c, d = vectors
        low, high = (
            (mixed(a, b, lanes), mixed(c, d, lanes)) for lanes in ([0, 4, 2, 6], [1, 5, 3, 7])
        )
        return [
            mixed(*low, [0, 1, 4, 5]),
            mixed(*high, [0, 1, 4, 5]),
            mixed(*low, [2, 3, 6, 7]),
            mixed(*high, [2, 3, 6, 7]),
        ]

    def gather(self, array, indices, count):
        """Vectors over `indices`, LANES of them, of the `count` numbers that begin there, filled up
        to whole vectors."""
        parts = [
            self.transpose(
                [array.load(self.builder.add(index, self.index(s))) for index in indices]
            )
            for s in range(0, count, LANES)
        ]
        return [vector for part in parts for vector in part][:count]

    def scatter_add(self, vectors, array, indices, kept):
        """The transpose of gather: adds to the numbers at the last `kept` indices, one after the
        other, since they may be the same."""
        vectors = vectors + [self.zero] * (-len(vectors) % LANES)
        parts = [self.transpose(vectors[s : s + LANES]) for s in range(0, len(vectors), LANES)]
        for k, index in enumerate(indices):
            with self.builder.if_then(
                self.builder.icmp_signed(">=", kept, self.index(LANES - k)), likely=True
            ):
                for s, part in enumerate(parts):
                    at = self.builder.add(index, self.index(s * LANES))
                    array.store(self.plus(array.load(at), part[k]), at)

    def sum(self, vector):
        """The sum of a vector's numbers, pair by pair."""
        parts = [self.lane(vector, k) for k in range(LANES)]
        while len(parts) > 1:
            parts = [self.builder.fadd(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    def variables(self, count):
        """Memory for vectors that a loop changes, zero at first; the compiler keeps them in
        registers."""
        found = [cgutils.alloca_once(self.builder, self.kind) for _ in range(count)]
        for variable in found:
            self.builder.store(self.zero, variable)
        return found

    def read(self, variables):
        """What variables hold now."""
        return [self.builder.load(variable) for variable in variables]

    def assign(self, variables, values):
        """The reverse of read."""
        for variable, value in zip(variables, values, strict=True):
            self.builder.store(value, variable)

    def times(self, a, b):
        """a b, where a may be a Python number."""
        if isinstance(a, int | float):
            if a == 1:
                return b
            a = (
                ir.Constant(self.kind, float(a))
                if self.kind == self.number
                else ir.Constant(self.kind, [float(a)] * LANES)
            )
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
        """δ^ν by ν and channel, from the coefficients x of a jet; nothing for ν = 0."""
        found = [{}, {c: x[c] for _, _, c in layout.above(1)}]
        for nu in range(2, layout.order + 1):
            found.append(
                {
                    c: self.dot(
                        [
                            (x[layout.channel[j][d]], found[nu - 1][layout.channel[k - j][d]])
                            for j in range(1, k - nu + 2)
                        ]
                    )
                    for k, d, c in layout.above(nu)
                }
            )
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
        return [
            lift[0],
            *(
                self.dot([(powers[nu][c], lift[c]) for _, _, c in layout.above(nu)])
                for nu in range(1, layout.order + 1)
            ),
        ]

    def correlate(self, f, lift, H, powers, layout, start):
        """start + the adjoint of the jet x in f∘x, by channel, from the Taylor coefficients f_0 …
        f_{order+1}."""
        slope = {(0, d): f[1] for d in range(layout.counts[0] if layout.counts else 0)}
        for k, d, c in layout.above(1):
            slope[k, d] = self.dot(
                [(self.times(nu, f[nu]), powers[nu - 1][c]) for nu in range(2, k + 2)]
            )
        found = [self.dot([(self.times(nu + 1, f[nu + 1]), h) for nu, h in enumerate(H)], start[0])]
        for low, d, c in layout.above(1):
            pairs = [
                (lift[layout.channel[k][d]], slope[k - low, d])
                for k in range(low, layout.order + 1)
                if d < layout.counts[k - 1]
            ]
            found.append(self.dot(pairs, start[c]))
        return found


@intrinsic
def add_scaled(typing, target, at, factor, source, begin):
    """target[at : at + LANES] += factor · source[begin : begin + LANES]."""

    def generate(context, builder, signature, arguments):
        emit = Emitter(context, builder, signature.args[0].dtype)
        to = emit.flat(signature.args[0], arguments[0])
        values = emit.flat(signature.args[3], arguments[3])
        product = emit.splat(arguments[2]), values.load(arguments[4])
        to.store(emit.dot([product], to.load(arguments[1])), arguments[1])
        return context.get_dummy_value()

    return types.void(target, types.intp, factor, source, types.intp), generate
