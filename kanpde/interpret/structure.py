"""The structure of a function of several variables, read off its values: what it is a product, a
sum or a wave of.

A network's edges are not unique, and with exact boundary values they do not even add up to the
solution. Its values are the solution, to the accuracy of training: so they are taken apart instead.
Each route proposes formulas with free constants.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Expr, Symbol

from kanpde.interpret.edges import MATTERS_ALWAYS, WORTH_A_UNIT, suggest
from kanpde.interpret.form import Form, compiled, constant, fit
from kanpde.interpret.library import LIBRARY
from kanpde.interpret.span import members

Array = NDArray[np.float64]

_NODES = {1: 201, 2: 61, 3: 31, 4: 13, 5: 9}
_RANK = 5
_GAP = 20.0
"""Ratio of neighbouring singular values that ends a rank."""

_ADDITIVE = 3e-3
"""Relative distance to a sum (or angle between gradients, for a wave) below which a function may be
one."""


APPROXIMATE_ABOVE = 1e-3
"""Distance above which a formula is an approximation, and accuracy counts more than brevity."""

DEVIATIONS_OFF = 3.0
"""Deviations of the values' noise that a formula may be off."""


@dataclass(frozen=True)
class Sampled:
    """A function of named variables on a box, and its values on an even grid.

    Attributes:
        function: Takes points [points, variables] and returns [points].
        symbols: The variables, in order.
        bounds: Low and high end of each.
        axes: The grid's nodes along each.
        values: The function on the grid, one axis a variable.
        noise: How far, in relative L2, the values may be off; 0 if not at all.
    """

    function: Callable[[Array], Array]
    symbols: tuple[Symbol, ...]
    bounds: tuple[tuple[float, float], ...]
    axes: tuple[Array, ...]
    values: Array
    noise: float = 0.0

    @property
    def points(self) -> list[Array]:
        """The grid's nodes, one array a variable, of the values' shape."""
        return [
            np.broadcast_to(a, self.values.shape) for a in np.meshgrid(*self.axes, indexing="ij")
        ]

    @property
    def floor(self) -> float:
        """Below which errors of a function of one variable are equal: a tenth of the noise, since
        `suggest` keeps a distance of ten to thirty from it."""
        return self.noise / 10

    def line(self, axis: int, through: Sequence[float], nodes: int = 161) -> tuple[Array, Array]:
        """The function along one variable, the others fixed.

        Args:
            axis: Number of the variable.
            through: A point that the line goes through, [variables].
            nodes: How many points there are along the line.

        Returns:
            The variable [nodes] and the function's values there [nodes].
        """
        t = np.linspace(*self.bounds[axis], nodes)
        points = np.tile(np.asarray(through, float), (nodes, 1))
        points[:, axis] = t
        return t, self.function(points)


def sample(
    function: Callable[[Array], Array],
    bounds: Mapping[str, tuple[float, float]],
    noise: float = 0.0,
) -> Sampled:
    """Evaluate a function on an even grid.

    Args:
        function: Takes points [points, variables], in the order of `bounds`, and returns [points].
        bounds: Low and high end of each variable, by name.
        noise: How far, in relative L2, the values may be off.
    """
    axes = tuple(np.linspace(low, high, _NODES[len(bounds)]) for low, high in bounds.values())
    grid = np.meshgrid(*axes, indexing="ij")
    values = function(np.stack([g.ravel() for g in grid], 1)).reshape(grid[0].shape)
    return Sampled(
        function,
        tuple(Symbol(x, real=True) for x in bounds),
        tuple(bounds.values()),
        axes,
        values,
        noise,
    )


Found = tuple[Form, float]
"""A formula with its constants fitted, and its relative L2 distance to the values."""


def propose(sampled: Sampled) -> Iterator[Found]:
    """Formulas for a function from every route.

    Args:
        sampled: The function.

    Yields:
        Formulas with their distance to the values, as they are found.
    """
    scale = float(np.linalg.norm(sampled.values))
    if scale == 0.0:
        yield Form(sympy.Integer(0), {}, 0.0, "zero"), 0.0
        return
    inside = [_inside_of(name) for name, f in LIBRARY.items() if f.inverse is not None]
    for route in (_polynomial, _separable, _additive, *inside, _wave, _product):
        for form in route(sampled):
            found, error = _pruned(sampled, *fitted(sampled, form))
            if np.isfinite(error):
                yield found, error


def approximations(sampled: Sampled) -> Iterator[Found]:
    """Formulas that are not the function's, but near.

    Args:
        sampled: The function.

    Yields:
        A polynomial of low degree, and the best product of functions of one variable, with their
        distance to the values.
    """
    monomials = [p for p in itertools.product(range(5), repeat=sampled.values.ndim) if sum(p) <= 4]
    ks = [constant() for _ in monomials]
    terms = [
        k * sympy.prod([s**n for s, n in zip(sampled.symbols, p, strict=True)])
        for k, p in zip(ks, monomials, strict=True)
    ]
    yield fitted(
        sampled,
        Form(
            cast(Expr, sympy.Add(*terms)),
            dict.fromkeys(ks, 0.0),
            0.7 * len(ks),
            "polynomial of degree 4",
        ),
    )
    for functions in itertools.islice(itertools.product(*_factors(sampled, 1e-2)), 2):
        for form in _products(sampled, [[f] for f in functions]):
            yield fitted(sampled, replace(form, route="product, the nearest"))


def ranked(found: Sequence[Found], noise: float = 0.0) -> list[Found]:
    """Formulas by worth, each one only once.

    Args:
        found: Formulas with their distance to the values.
        noise: How far, in relative L2, the values may be off.

    Returns:
        The best first: by digits of accuracy (down to the best of all, and to the noise) and
        complexity, or by accuracy where all are poor.
    """
    best = max(min((error for _, error in found), default=1.0), noise, 1e-13)
    worth = (
        WORTH_A_UNIT if best < max(APPROXIMATE_ABOVE, DEVIATIONS_OFF * noise) else WORTH_A_UNIT / 10
    )
    unique: dict[str, Found] = {}
    for form, error in sorted(found, key=lambda f: np.log10(max(f[1], best)) + worth * f[0].cost):
        unique.setdefault(str(sympy.N(form.filled, 4)), (form, error))
    return list(unique.values())


def fitted(sampled: Sampled, form: Form) -> Found:
    """Fit a formula's constants by least squares on a part of the grid.

    Args:
        sampled: The function.
        form: The formula, with a start for its constants.

    Returns:
        The formula with its constants fitted, and its error on all of the grid.
    """
    points, values = [p.ravel() for p in sampled.points], sampled.values.ravel()
    step = max(1, len(values) // 2000) | 1
    best, _ = fit(form, sampled.symbols, [p[::step] for p in points], values[::step], steps=40)
    found = compiled([best.filled], sampled.symbols)(*points)[0]
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # a formula that is far off may be so by 1e200
        return best, float(np.linalg.norm(found - values) / np.linalg.norm(values))


def _pruned(sampled: Sampled, form: Form, error: float) -> Found:
    """Without the terms that do not matter: those below ten times the error, and MATTERS_ALWAYS."""
    expression = form.expression
    terms = expression.as_ordered_terms()
    if len(terms) < 2:
        return form, error
    numbers = {k: form.values[k] for k in form.constants}
    sizes = [
        float(np.linalg.norm(compiled([term.subs(numbers)], sampled.symbols)(*sampled.points)[0]))
        for term in terms
    ]
    bound = min(10 * max(error, 1e-13), MATTERS_ALWAYS) * float(np.linalg.norm(sampled.values))
    kept = sum(
        (term for term, size in zip(terms, sizes, strict=True) if size > bound), sympy.Integer(0)
    )
    if kept == expression or kept == 0:
        return form, error
    fewer = replace(
        form, expression=kept, cost=form.cost - 0.5 * (len(terms) - len(sympy.Add.make_args(kept)))
    )
    refitted, left = fitted(sampled, fewer)
    return (refitted, left) if left < 3 * error + 1e-13 else (form, error)


def _polynomial(sampled: Sampled) -> Iterator[Form]:
    """Powers of all variables up to a total degree, as far as they matter."""
    if sampled.values.ndim > 3:
        return
    x = [p.ravel() / (np.abs(p).max() or 1.0) for p in sampled.points]
    sizes = [float(np.abs(p).max()) or 1.0 for p in sampled.points]
    y, scale = sampled.values.ravel(), float(np.linalg.norm(sampled.values))
    step = max(1, len(y) // 3000) | 1
    before = 1.0
    for degree in range(0, 7):
        powers = [
            p for p in itertools.product(range(degree + 1), repeat=len(x)) if sum(p) <= degree
        ]
        columns = np.stack(
            [np.prod([v[::step] ** n for v, n in zip(x, p, strict=True)], 0) for p in powers], 1
        )
        c = np.linalg.lstsq(columns, y[::step], rcond=None)[0]
        error = float(np.linalg.norm(columns @ c - y[::step]) / np.linalg.norm(y[::step]))
        if error < 1e-3 * before:  # a degree that explains nearly all that was left
            kept = [
                (p, float(v))
                for p, v, column in zip(powers, c, columns.T, strict=True)
                if abs(v) * np.linalg.norm(column) * step**0.5 > 30 * max(error, 1e-13) * scale
            ]
            if kept and len(kept) <= 12:
                ks = [constant() for _ in kept]
                monomials = [
                    sympy.prod([s**n for s, n in zip(sampled.symbols, p, strict=True)])
                    for p, _ in kept
                ]
                start = {
                    k: v / float(np.prod([s**n for s, n in zip(sizes, p, strict=True)]))
                    for k, (p, v) in zip(ks, kept, strict=True)
                }
                yield Form(
                    sum((k * m for k, m in zip(ks, monomials, strict=True)), sympy.Integer(0)),
                    start,
                    0.7 * len(kept) + 0.2 * degree,
                    "polynomial",
                )
            return
        before = error


def _separable(sampled: Sampled) -> Iterator[Form]:
    """Σ a_ij… f_i(x) g_j(y) …: ranks and spans by singular values of the unfolded values (De
    Lathauwer, De Moor and Vandewalle 2000)."""
    unfolded = _unfolded(sampled)
    if unfolded is None:
        return
    bases, noise = unfolded
    functions = []
    for axis, basis, symbol in zip(sampled.axes, bases, sampled.symbols, strict=True):
        found = members(axis, basis, symbol, min(0.02, max(30 * noise, 1e-9)))
        if found is None:
            return
        functions.append(found)
    yield from _products(sampled, functions)


def _product(sampled: Sampled) -> Iterator[Form]:
    """f(x) g(y) …, each of them one that need not be of the library alone: with a constant, or
    inside another."""
    unfolded = _unfolded(sampled)
    if unfolded is None or max(basis.shape[1] for basis in unfolded[0]) > 1:
        return
    choices = _factors(sampled, max(unfolded[1], sampled.floor, 1e-12))
    for functions in itertools.islice(itertools.product(*choices), 6):
        yield from _products(sampled, [[f] for f in functions])


def _factors(sampled: Sampled, noise: float) -> list[list[Form]]:
    """By variable, formulas for the values along it through the largest one."""
    peak = np.unravel_index(np.argmax(np.abs(sampled.values)), sampled.values.shape)
    through = [axis[i] for axis, i in zip(sampled.axes, peak, strict=True)]
    return [
        [_normalised(c.form) for c in suggest(*sampled.line(axis, through), symbol, noise)[:2]]
        for axis, symbol in enumerate(sampled.symbols)
    ]


def _unfolded(sampled: Sampled) -> tuple[list[Array], float] | None:
    """An orthonormal basis of what the values are along each variable, and the relative noise; None
    where a rank is not clear or high."""
    bases, noise = [], 0.0
    for axis in range(sampled.values.ndim):
        u, s, _ = np.linalg.svd(
            np.moveaxis(sampled.values, axis, 0).reshape(len(sampled.axes[axis]), -1),
            full_matrices=False,
        )
        s = np.append(s, 1e-16 * s[0])
        ratios = s[:-1] / np.maximum(s[1:], 1e-14 * s[0])
        rank = int(np.argmax(ratios[: min(_RANK, len(ratios))])) + 1
        if ratios[rank - 1] < _GAP:
            return None
        bases.append(u[:, :rank])
        noise = max(noise, float(s[rank] / s[rank - 1]))
    return bases, noise


def _normalised(form: Form) -> Form:
    """Without a factor of its own: the product has one. That of a sum is the constant of its first
    term."""
    first = form.expression.as_ordered_terms()[0]
    factor = next((k for k in form.constants if k in first.as_ordered_factors()), None)
    if (
        factor is None
        or form.expression.diff(factor).has(factor)
        or abs(form.values[factor]) < 1e-12
    ):
        return form
    terms = [
        term.subs(factor, 1) if term == first else term
        for term in form.expression.as_ordered_terms()
    ]
    scaled = {}
    for (
        k,
        v,
    ) in form.values.items():  # the constants of the other terms are linear, and scale with it
        linear = any(k in term.as_ordered_factors() for term in terms if term != terms[0])
        scaled[k] = v / form.values[factor] if linear else v
    return Form(cast(Expr, sympy.Add(*terms)), scaled, form.cost)


def _products(sampled: Sampled, functions: list[list[Form]]) -> Iterator[Form]:
    """All products of one function a variable, with the factors that fit best; those that do not
    matter are left out."""
    columns = []
    for axis, forms in enumerate(functions):
        values = compiled([f.filled for f in forms], [sampled.symbols[axis]])(sampled.axes[axis])
        columns.append(np.stack(values, 1))
    core, weight = sampled.values, np.ones(())
    for axis, matrix in enumerate(columns):
        if not np.isfinite(matrix).all():
            return
        core = np.moveaxis(
            np.tensordot(np.linalg.pinv(matrix), np.moveaxis(core, axis, 0), 1), 0, axis
        )
        weight = np.multiply.outer(weight, np.linalg.norm(matrix, axis=0))
    share = np.abs(core) * weight / np.linalg.norm(sampled.values)
    terms: list[Expr] = []
    constants: dict[Symbol, float] = {}
    cost = 0.0
    for index in itertools.product(*(range(len(f)) for f in functions)):
        if share[index] > 1e-3:
            k = constant()
            chosen = [forms[i] for forms, i in zip(functions, index, strict=True)]
            terms.append(k * sympy.prod([f.expression for f in chosen]))
            constants[k] = float(core[index])
            cost += 0.5 + sum(f.cost for f in chosen)
            for f in chosen:
                constants |= f.values
    if terms:
        yield Form(
            cast(Expr, sympy.Add(*terms)),
            constants,
            cost,
            "product" if len(terms) == 1 else "sum of products",
        )


def _wave(sampled: Sampled) -> Iterator[Form]:
    """f(k · x): the gradient has one direction everywhere."""
    dims = sampled.values.ndim
    if dims < 2:
        return
    direction = _direction(sampled)
    if direction is None:
        return
    lead = int(np.argmax(np.abs(direction)))
    k = direction / direction[lead]
    corners = [
        np.array(
            [
                (high if v > 0 else low) if up else (low if v > 0 else high)
                for v, (low, high) in zip(k, sampled.bounds, strict=True)
            ]
        )
        for up in (False, True)
    ]
    share = np.linspace(0, 1, 201)[:, None]
    points = (1 - share) * corners[0] + share * corners[1]
    s, f = points @ k, sampled.function(points)
    inner = Symbol("s", real=True)
    ks = [sympy.Integer(1) if i == lead else constant() for i in range(dims)]
    phase = cast(Expr, sympy.Add(*(a * x for a, x in zip(ks, sampled.symbols, strict=True))))
    start = {a: float(v) for a, v in zip(ks, k, strict=True) if isinstance(a, Symbol)}
    for candidate in suggest(s, f, inner, max(sampled.floor, 1e-9))[:3]:
        yield Form(
            candidate.form.of({inner: phase}),
            {**candidate.form.values, **start},
            candidate.form.cost + 0.5 * (dims - 1),
            "wave",
        )


def _direction(sampled: Sampled) -> Array | None:
    """The one direction of all gradients, or None."""
    rng = np.random.default_rng(0)
    low, high = np.array(sampled.bounds).T
    at = low + (high - low) * rng.uniform(0.02, 0.98, (400, len(low)))
    gradient = np.empty_like(at)
    for axis, step in enumerate(2e-3 * (high - low)):
        shift = np.zeros(len(low))
        shift[axis] = step
        near, far = (
            sampled.function(at + m * shift) - sampled.function(at - m * shift) for m in (1, 2)
        )
        gradient[:, axis] = (8 * near - far) / (12 * step)  # of fourth order
    values, vectors = np.linalg.eigh(gradient.T @ gradient)
    return (
        vectors[:, -1]
        if values[-2] < _ADDITIVE**2 * values[-1] and np.sum(np.abs(vectors[:, -1]) > 1e-3) > 1
        else None
    )


def _additive(sampled: Sampled) -> Iterator[Form]:
    """f(x) + g(y) + …."""
    yield from _sum(sampled, sampled.values, lambda values: values, None)


def _inside_of(name: str) -> Callable[[Sampled], Iterator[Form]]:
    """F(f(x) + g(y) + …) for a function of the library that has an inverse."""
    function = LIBRARY[name]

    def route(sampled: Sampled) -> Iterator[Form]:
        sign = -1 if sampled.values.mean() < 0 else 1
        inner = function.inverted(sign * sampled.values)
        if np.isfinite(inner).all() and np.ptp(inner) < 1e4:
            yield from _sum(
                sampled,
                inner,
                lambda values: function.inverted(sign * values),
                lambda e: sign * function.expression(e),
                name,
            )

    return route


def _sum(
    sampled: Sampled,
    values: Array,
    transform: Callable[[Array], Array],
    outer: Callable[[Expr], Expr] | None,
    name: str = "",
) -> Iterator[Form]:
    """The transformed values as a sum of functions of one variable each, if they are one."""
    dims = values.ndim
    mean = float(values.mean())
    parts = [values.mean(tuple(a for a in range(dims) if a != axis)) - mean for axis in range(dims)]
    total = mean + sum(
        np.expand_dims(p, tuple(a for a in range(dims) if a != axis))
        for axis, p in enumerate(parts)
    )
    spread = float(np.linalg.norm(values - mean))
    distance = float(np.linalg.norm(values - total)) / (spread or 1.0)
    if (dims < 2 and outer is not None) or spread == 0 or distance > _ADDITIVE:
        return
    middle = [(low + high) / 2 for low, high in sampled.bounds]
    choices = []
    for axis, symbol in enumerate(sampled.symbols):
        t, along = sampled.line(axis, middle)
        if np.linalg.norm(parts[axis]) < 10 * max(distance, 1e-12) * spread:
            choices.append([Form(sympy.Integer(0), {}, 0.0)])
            continue
        choices.append(
            [
                c.form
                for c in suggest(t, transform(along), symbol, max(distance, sampled.floor, 1e-12))[
                    :2
                ]
            ]
        )
    for forms in list(itertools.product(*choices))[:4]:
        k = constant()
        bare = [without_constant(f) for f in forms]
        offset = mean - sum(
            float(compiled([f.filled], [s])(a)[0].mean())
            for f, s, a in zip(bare, sampled.symbols, sampled.axes, strict=True)
            if f.expression != 0
        )
        inner = sympy.Add(*(f.expression for f in bare), k)
        start = {k: offset} | {key: v for f in bare for key, v in f.values.items()}
        cost = sum(f.cost for f in bare) + 0.5 + (LIBRARY[name].cost if name else 0.0)
        yield Form(
            outer(inner) if outer else inner, start, cost, f"{name} of a sum" if name else "sum"
        )


def without_constant(form: Form) -> Form:
    """A formula less its additive constant, since a sum has one of its own.

    Args:
        form: The formula.
    """
    terms = form.expression.as_ordered_terms()
    k = next((k for k in form.constants if k in terms), None)
    return (
        form
        if k is None
        else Form(
            form.expression - k, {c: v for c, v in form.values.items() if c != k}, form.cost - 0.5
        )
    )
