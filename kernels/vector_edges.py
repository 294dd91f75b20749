"""Jets through the edges of a layer in vector instructions: what cpu.py is compiled from.

One place (point n, input p) has an interval: `base` is where the coefficients A [degree + 1,
outputs] of its edge functions begin, `tau` the position in it, `inverse` one over its length.
Vectors hold outputs of one input, or inputs for one output. Where their number is not a multiple of
LANES, the last vector begins earlier; `masks` (LANES zeros, then LANES ones), or that only the last
`kept` lanes are added, keeps what it repeats from being counted twice. For inputs of one output A
is [inputs, grid, outputs, degree + 1 filled up to whole vectors]. Jets of inputs are X[at + c ·
inputs + p], of outputs Y[at + c · outputs + q].
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from kanpde.kernels.vectors import LANES, Emitter, layout_of


def _vectors(emit, count):
    """A loop over whole vectors of `count` numbers: where each begins, and how many of its last
    lanes are new, which is also where its mask begins."""
    builder, width = emit.builder, emit.index(LANES)
    whole = builder.sdiv(builder.add(count, emit.index(LANES - 1)), width)
    with cgutils.for_range(builder, whole) as loop:
        start, last = builder.mul(loop.index, width), builder.sub(count, width)
        begin = builder.select(builder.icmp_signed("<", last, start), last, start)
        yield begin, builder.sub(builder.add(begin, width), start)


def _located(emit, value, begin, low, scale, cells, grid):
    """Intervals of LANES inputs from `begin` on, as indices; where they are among those of all
    inputs; τ in them; and one over their lengths.

    low [inputs], scale [inputs], cells [inputs, grid, 4] as in cpu.KnotArrays. The first guess is
    right where all intervals of an input are equally long; else it walks. A nan stays in the first
    interval.
    """
    builder, counted = emit.builder, ir.VectorType(ir.IntType(32), LANES)
    first = [builder.mul(builder.add(begin, emit.index(k)), grid) for k in range(LANES)]
    last = emit.splat(builder.sitofp(builder.sub(grid, emit.index(1)), emit.number))
    guess = builder.fmul(builder.fsub(value, low.load(begin)), scale.load(begin))
    guess = builder.select(builder.fcmp_ordered(">", guess, emit.zero), guess, emit.zero)
    guess = builder.select(builder.fcmp_ordered("<", guess, last), guess, last)
    found = cgutils.alloca_once(builder, counted)
    builder.store(builder.fptosi(guess, counted), found)
    again, done = builder.append_basic_block("again"), builder.append_basic_block("found")
    builder.branch(again)
    builder.position_at_end(again)
    g = builder.load(found)
    chosen = [builder.sext(emit.lane(g, k), ir.IntType(64)) for k in range(LANES)]
    places = [builder.add(a, b) for a, b in zip(first, chosen, strict=True)]
    left, right, middle, inverse = emit.gather(
        cells, [builder.mul(place, emit.index(4)) for place in places], 4
    )
    below, beyond = builder.fcmp_ordered("<", value, left), builder.fcmp_ordered(">=", value, right)
    builder.store(
        builder.add(builder.add(g, builder.sext(below, counted)), builder.zext(beyond, counted)),
        found,
    )
    wrong = builder.bitcast(builder.or_(below, beyond), ir.IntType(LANES))
    builder.cbranch(builder.icmp_unsigned("==", wrong, ir.Constant(wrong.type, 0)), done, again)
    builder.position_at_end(done)
    return chosen, places, builder.fmul(builder.fsub(value, middle), inverse), inverse


@intrinsic
def fill_powers(typing, X, at, inputs, inverse, powers, to, counts):
    """powers[to + ν · channels + c] = (δ · inverse)^ν_c of the jet whose channels lie at X[at + c ·
    inputs]."""

    def generate(context, builder, signature, arguments):
        layout = layout_of(signature.args[6])
        emit = Emitter(context, builder, signature.args[0].dtype, lanes=False)
        x = emit.flat(signature.args[0], arguments[0])
        target = emit.flat(signature.args[4], arguments[4])
        places = emit.places(*arguments[1:3], layout.size)
        jet = [emit.times(arguments[3], x.load(place)) for place in places]
        for nu, by_channel in enumerate(emit.powers(jet, layout)):
            for c, value in by_channel.items():
                target.store(value, builder.add(arguments[5], emit.index(nu * layout.size + c)))
        return context.get_dummy_value()

    return types.void(X, types.intp, types.intp, X.dtype, powers, types.intp, counts), generate


def _stored_powers(emit, powers, start, layout):
    """What fill_powers has left at `start`, every number in all lanes."""
    found: list = [{}]
    for nu in range(1, layout.order + 1):
        places = {
            c: emit.builder.add(start, emit.index(nu * layout.size + c))
            for _, _, c in layout.above(nu)
        }
        found.append({c: powers.splat(place) for c, place in places.items()})
    return found


@intrinsic
def add_inputs(typing, A, bases, taus, powers, first, inputs, begin, outputs, Y, at, width, counts):
    """Y[at + c · outputs + begin], LANES outputs from `begin` on, = the sum over all inputs of
    their edges' jets.

    bases, taus: of input p at first + p; its powers: at (first + p) · (order + 1) · channels, from
    fill_powers.
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        layout, emit = layout_of(kinds[11]), Emitter(context, builder, kinds[0].dtype)
        a, base, tau, power, y = (emit.flat(kinds[k], arguments[k]) for k in (0, 1, 2, 3, 8))
        first, inputs, begin, outputs = arguments[4:8]
        total = emit.variables(layout.size)
        with cgutils.for_range(builder, inputs) as loop:
            here = builder.add(first, loop.index)
            start = builder.mul(here, emit.index((layout.order + 1) * layout.size))
            powers = _stored_powers(emit, power, start, layout)
            row = builder.add(base.number(here), begin)
            rows = a.load_all(emit.places(row, outputs, kinds[10].count))
            f = emit.taylor(rows, tau.splat(here), layout.order)
            emit.assign(total, emit.compose(f, powers, layout, emit.read(total)))
        for variable, place in zip(
            total, emit.places(builder.add(arguments[9], begin), outputs, layout.size), strict=True
        ):
            y.store(builder.load(variable), place)
        return context.get_dummy_value()

    integer = types.intp
    return (
        types.void(
            A, bases, taus, powers, integer, integer, integer, integer, Y, integer, width, counts
        ),
        generate,
    )


def _pulled_to_input(emit, f, lift, moments, powers, layout, total, keep):
    """Adds the adjoint of the input's jet, of the lanes that `keep` is one in, to `total`."""
    found = emit.correlate(f, lift, moments, powers, layout, [None] * layout.size)
    for variable, value in zip(total, found, strict=True):
        emit.builder.store(emit.dot([(keep, value)], emit.builder.load(variable)), variable)


def _pulled_to_coefficients(emit, moments, tau, sink, rows, keep):
    """Adds the adjoint of an interval's coefficients, of the lanes that `keep` is one in, at their
    places in `sink`."""
    kept = [emit.times(keep, moment) for moment in moments]
    for value, row in zip(emit.taylor_adjoint(kept, tau, len(rows)), rows, strict=True):
        sink.store(emit.plus(sink.load(row), value), row)


@intrinsic
def pull_outputs(
    typing, A, base, tau, inverse, X, at, inputs, L, lift_at, outputs, masks,
    inward, gradient, H, width, counts, back, local,
):  # fmt: skip
    """The adjoint of one input's edges for the adjoint L[lift_at + c · outputs + q] of Y, vectors
    over the outputs.

    Writes the adjoint of the jet to inward[at + c · inputs] where the tuple `back` is not empty.
    Where `local` is not, writes the moments H[ν · outputs + q]; else adds the adjoint of A to
    gradient, at the places of A.
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        layout, emit = layout_of(kinds[15]), Emitter(context, builder, kinds[0].dtype)
        one = Emitter(context, builder, kinds[0].dtype, lanes=False)
        order, size, back, local = layout.order, *(kinds[k].count for k in (14, 16, 17))
        a, x, given, mask, sink, h = (
            emit.flat(kinds[k], arguments[k]) for k in (0, 4, 7, 10, 12, 13)
        )
        base, tau, inverse, at, inputs, lift_at, outputs = (
            arguments[k] for k in (1, 2, 3, 5, 6, 8, 9)
        )
        places = emit.places(at, inputs, layout.size)
        scaled = one.powers([one.times(inverse, x.number(place)) for place in places], layout)
        powers = [{c: emit.splat(p) for c, p in nth.items()} for nth in scaled]
        tau, total = emit.splat(tau), emit.variables(layout.size)
        for begin, kept in _vectors(emit, outputs):
            keep = mask.load(kept)
            rows = emit.places(builder.add(base, begin), outputs, size)
            lift = given.load_all(emit.places(builder.add(lift_at, begin), outputs, layout.size))
            moments = emit.moments(lift, powers, layout)
            if back:
                f = emit.taylor(a.load_all(rows), tau, order + 1)
                _pulled_to_input(emit, f, lift, moments, powers, layout, total, keep)
            if local:
                h.store_all(moments, emit.places(begin, outputs, order + 1))
            else:
                _pulled_to_coefficients(emit, moments, tau, sink, rows, keep)
        if back:
            target = one.flat(kinds[11], arguments[11])
            for variable, place in zip(total, places, strict=True):
                target.store(one.times(inverse, emit.sum(builder.load(variable))), place)
        return context.get_dummy_value()

    number, integer = A.dtype, types.intp
    return (
        types.void(
            A, integer, number, number, X, integer, integer, L, integer, integer, masks,
            inward, gradient, H, width, counts, back, local,
        ),
        generate,
    )  # fmt: skip


def _edges_of(emit, places, outputs, q, width):
    """Where the coefficients of output q begin, for the inputs with these intervals."""
    builder, filled = emit.builder, emit.index(width + -width % LANES)
    return [builder.mul(builder.add(builder.mul(place, outputs), q), filled) for place in places]


@intrinsic
def sum_inputs(
    typing, A, low, scale, cells, grid, X, at, inputs, masks, q, outputs, Y, to, width, counts
):
    """Y[to + c · outputs + q] = the sum over all inputs of their edges' jets for one output,
    vectors over the inputs."""

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        layout, emit = layout_of(kinds[14]), Emitter(context, builder, kinds[0].dtype)
        size = kinds[13].count
        a, lows, scales, cell, x, mask = (
            emit.flat(kinds[k], arguments[k]) for k in (0, 1, 2, 3, 5, 8)
        )
        grid, at, inputs, q, outputs, to = (arguments[k] for k in (4, 6, 7, 9, 10, 12))
        total = emit.variables(layout.size)
        for begin, kept in _vectors(emit, inputs):
            keep = mask.load(kept)
            jet = x.load_all(emit.places(builder.add(at, begin), inputs, layout.size))
            _, places, tau, by = _located(emit, jet[0], begin, lows, scales, cell, grid)
            powers = emit.powers([emit.times(by, part) for part in jet], layout)
            rows = emit.gather(a, _edges_of(emit, places, outputs, q, size), size)
            f = [emit.times(keep, value) for value in emit.taylor(rows, tau, layout.order)]
            emit.assign(total, emit.compose(f, powers, layout, emit.read(total)))
        one = Emitter(context, builder, kinds[0].dtype, lanes=False).flat(kinds[11], arguments[11])
        for variable, place in zip(
            total, emit.places(builder.add(to, q), outputs, layout.size), strict=True
        ):
            one.store(emit.sum(builder.load(variable)), place)
        return context.get_dummy_value()

    integer = types.intp
    return (
        types.void(
            A, low, scale, cells, integer, X, integer, integer, masks, integer, integer, Y, integer,
            width, counts,
        ),
        generate,
    )  # fmt: skip


def _keep_moments(emit, moments, h, q, begin, inputs, outputs):
    """H[(ν · outputs + q) · inputs + p] of the inputs from `begin` on."""
    builder = emit.builder
    first, step = builder.mul(q, inputs), builder.mul(outputs, inputs)
    for value, place in zip(moments, emit.places(first, step, len(moments)), strict=True):
        h.store(value, builder.add(place, begin))


def _keep_places(emit, intervals, tau, begin, chosen, taus):
    """The intervals of LANES inputs from `begin` on, and τ in them."""
    builder = emit.builder
    taus.store(tau, begin)
    for k, number in enumerate(intervals):
        builder.store(number, builder.gep(chosen.data, [builder.add(begin, emit.index(k))]))


@intrinsic
def pull_inputs(
    typing, A, low, scale, cells, grid, X, at, inputs, L, lift_at, outputs,
    inward, gradient, H, chosen, taus, width, counts, back, local,
):  # fmt: skip
    """The adjoint of all edges at a point, vectors over the inputs: as pull_outputs, with the
    moments at H[(ν · outputs + q) · inputs + p], and the intervals and τ in them in chosen and taus
    [inputs]."""

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        layout, emit = layout_of(kinds[17]), Emitter(context, builder, kinds[0].dtype)
        size, back, local = (kinds[k].count for k in (16, 18, 19))
        a, lows, scales, cell, x, given, target, sink, h, which, taus = (
            emit.flat(kinds[k], arguments[k]) for k in (0, 1, 2, 3, 5, 8, 11, 12, 13, 14, 15)
        )
        grid, at, inputs, lift_at, outputs = (arguments[k] for k in (4, 6, 7, 9, 10))
        total = emit.variables(layout.size)
        for begin, kept in _vectors(emit, inputs):
            jets = emit.places(builder.add(at, begin), inputs, layout.size)
            jet = x.load_all(jets)
            g, places, tau, by = _located(emit, jet[0], begin, lows, scales, cell, grid)
            powers = emit.powers([emit.times(by, part) for part in jet], layout)
            for variable in total:
                builder.store(emit.zero, variable)
            with cgutils.for_range(builder, outputs) as loop:
                q = loop.index
                lifts = emit.places(builder.add(lift_at, q), outputs, layout.size)
                lift = [given.splat(place) for place in lifts]
                moments = emit.moments(lift, powers, layout)
                edges = _edges_of(emit, places, outputs, q, size)
                if back:
                    f = emit.taylor(emit.gather(a, edges, size), tau, layout.order + 1)
                    start = emit.read(total)
                    found = emit.correlate(f, lift, moments, powers, layout, start)
                    emit.assign(total, found)
                if local:
                    _keep_moments(emit, moments, h, q, begin, inputs, outputs)
                else:
                    emit.scatter_add(emit.taylor_adjoint(moments, tau, size), sink, edges, kept)
            if back:
                for variable, place in zip(total, jets, strict=True):
                    target.store(emit.times(by, builder.load(variable)), place)
            if local:
                _keep_places(emit, g, tau, begin, which, taus)
        return context.get_dummy_value()

    integer = types.intp
    return (
        types.void(
            A, low, scale, cells, integer, X, integer, integer, L, integer, integer,
            inward, gradient, H, chosen, taus, width, counts, back, local,
        ),
        generate,
    )  # fmt: skip


@intrinsic
def store_taylor(typing, table, base, tau, found, width, counts):
    """found[ν · splines + j] = the Taylor coefficients 0 … order of the splines of an interval,
    whose table [degree + 1, splines] begins at base; `splines` is degree + 1 filled up to whole
    vectors."""

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        emit, size = Emitter(context, builder, kinds[0].dtype), kinds[4].count
        splines = size + -size % LANES
        a, target = emit.flat(kinds[0], arguments[0]), emit.flat(kinds[3], arguments[3])
        for begin in range(0, splines, LANES):
            rows = [
                a.load(builder.add(arguments[1], emit.index(s * splines + begin)))
                for s in range(size)
            ]
            for nu, value in enumerate(emit.taylor(rows, emit.splat(arguments[2]), kinds[5].count)):
                target.store(value, emit.index(nu * splines + begin))
        return context.get_dummy_value()

    return types.void(table, types.intp, table.dtype, found, width, counts), generate


@intrinsic
def store_products(typing, scalars, at, stride, vectors, begin, step, target, to, counts):
    """target[to : to + LANES] = Σ_ν scalars[at + ν · stride] · vectors[begin + ν · step], ν = 0 …
    order."""

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        emit, terms = Emitter(context, builder, kinds[0].dtype), kinds[8].count + 1
        one, many, found = (emit.flat(kinds[k], arguments[k]) for k in (0, 3, 6))
        places = zip(
            emit.places(*arguments[1:3], terms), emit.places(*arguments[4:6], terms), strict=True
        )
        found.store(emit.dot([(one.splat(a), many.load(b)) for a, b in places]), arguments[7])
        return context.get_dummy_value()

    integers = types.intp, types.intp
    return types.void(scalars, *integers, vectors, *integers, target, types.intp, counts), generate
