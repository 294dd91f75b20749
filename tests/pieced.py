"""Problems on pieces with solutions in closed form or by another method, and the order that errors
on several grids show."""

from __future__ import annotations

from itertools import product
from math import cos as cosine
from math import e
from math import exp as power
from math import sin as sine

import numpy as np
import torch
from orders import observed
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from torch import cos, exp, sin

from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Disk,
    Interface,
    Neumann,
    Pieces,
    Problem,
    d,
    laplacian,
    normal_derivative,
)
from kanpde.reference.ladder import grid_of
from kanpde.reference.steady import solve_steady


def conduction(u, x, y):
    return laplacian(u)


def wall(k=(1.38, 400.0), start=293.15, flux=200.0):
    """Two slabs of one metre each, one above the other, heated from above."""
    below, above = k
    return Problem(
        Pieces(below=Box(x=(0, 1), y=(0, 1)), above=Box(x=(0, 1), y=(1, 2))),
        conduction,
        [
            Dirichlet(u=start, on="below.y-"),
            Condition(lambda u: above * normal_derivative(u) - flux, on="above.y+"),
            Neumann(u=0, on=("x-", "x+")),
            Interface(u=0, flux={"below": below, "above": above}),
        ],
        exact={
            "u": {
                "below": lambda y: start + flux * y / below,
                "above": lambda y: start + flux / below + flux * (y - 1) / above,
            }
        },
    )


def layers(offset=300.0):
    """Three heated layers, the middle one thin and a poor conductor: k u' = 5 cos 3x."""
    ends, k = {"a": (0, 0.3), "b": (0.3, 0.35), "c": (0.35, 1.0)}, {"a": 2.0, "b": 0.05, "c": 30.0}
    exact, level, before = {}, offset, None
    for name, (low, _) in ends.items():
        rise = 5 * sine(3 * low) / 3
        level += rise / k[before] - rise / k[name] if before else 0.0
        exact[name] = lambda x, k=k[name], c=level: 5 * sin(3 * x) / (3 * k) + c
        before = name

    def heated(k):
        return lambda u, x: k * d(u, x, x) + 15 * sin(3 * x)

    return Problem(
        Pieces(**{name: Box(x=span) for name, span in ends.items()}),
        {name: heated(factor) for name, factor in k.items()},
        [
            Dirichlet(u=offset, on="x-"),
            Condition(lambda u, x: 30 * normal_derivative(u) - 5 * cos(3 * x), on="x+"),
            Interface(u=0, flux=k),
        ],
        exact={"u": exact},
    )


def contact():
    """A contact that resists, so that the value jumps by a fifth of the flux."""
    slope = 1 / 1.6
    return Problem(
        Pieces(left=Box(x=(0, 1)), right=Box(x=(1, 3))),
        lambda u, x: d(u, x, x),
        [
            Dirichlet(u=0, on="x-"),
            Dirichlet(u=1, on="x+"),
            Interface(
                lambda u_left, u_right: (
                    u_left - u_right + 0.2 * normal_derivative(u_left),
                    normal_derivative(u_left) - 5 * normal_derivative(u_right),
                )
            ),
        ],
        exact={"u": {"left": lambda x: slope * x, "right": lambda x: 1 - (3 - x) * slope / 5}},
    )


def radiation():
    """Two walls that exchange heat by radiation alone."""
    far = (1.5**4 - 0.5) ** 0.25
    return Problem(
        Pieces(left=Box(x=(0, 1)), right=Box(x=(1, 2))),
        lambda u, x: d(u, x, x),
        [
            Dirichlet(u=2, on="x-"),
            Dirichlet(u=far - 0.5, on="x+"),
            Interface(
                lambda u_left, u_right: (
                    u_left**4 - u_right**4 + normal_derivative(u_left),
                    normal_derivative(u_left) - normal_derivative(u_right),
                )
            ),
        ],
        exact={"u": {"left": lambda x: 2 - x / 2, "right": lambda x: far - (x - 1) / 2}},
    )


def chain():
    """Three equations of first order, one after the other."""
    rates = {"a": 1.0, "b": -1.0, "c": 2.0}
    return Problem(
        Pieces(a=Box(x=(0, 1)), b=Box(x=(1, 2)), c=Box(x=(2, 3))),
        {name: lambda u, x, r=r: d(u, x) + r * u for name, r in rates.items()},
        [Dirichlet(u=1, on="x-"), Interface(u=0)],
        exact={
            "u": {
                "a": lambda x: exp(-x),
                "b": lambda x: exp(x - 2),
                "c": lambda x: exp(-2 * (x - 2)),
            }
        },
    )


def beam():
    """A cantilever whose other half is four times as stiff, with the moment sin x."""
    slope = -cosine(1) + 1 + cosine(1) / 4
    level = -sine(1) + 1 + sine(1) / 4 - slope

    def bent(stiffness):
        return lambda w, x: stiffness * d(w, x, x, x, x) + sin(x)

    return Problem(
        Pieces(left=Box(x=(0, 1)), right=Box(x=(1, 2))),
        {"left": bent(1.0), "right": bent(4.0)},
        [
            Dirichlet(w=0, on="x-"),
            Neumann(w=0, on="x-"),
            Condition(lambda w, x: 4 * d(w, x, x) - sin(x), on="x+"),
            Condition(lambda w, x: 4 * d(w, x, x, x) - cos(x), on="x+"),
            Interface(
                lambda w_left, w_right, x: (
                    w_left - w_right,
                    d(w_left, x) - d(w_right, x),
                    d(w_left, x, x) - 4 * d(w_right, x, x),
                    d(w_left, x, x, x) - 4 * d(w_right, x, x, x),
                )
            ),
        ],
        exact={
            "w": {
                "left": lambda x: x - sin(x),
                "right": lambda x: -sin(x) / 4 + slope * x + level,
            }
        },
    )


def plane(offset=0.0):
    """Harmonic functions of two materials, u = cos y e^x in the left one."""
    rising, falling = (1 + 1 / 7) / 2, power(2) * (1 - 1 / 7) / 2
    left = lambda x, y: offset + cos(y) * exp(x)
    right = lambda x, y: offset + cos(y) * (rising * exp(x) + falling * exp(-x))
    return Problem(
        Pieces(left=Box(x=(0, 1), y=(0, 1.2)), right=Box(x=(1, 1.7), y=(0, 1.2))),
        conduction,
        [
            Dirichlet(
                u=lambda x, y: torch.where(x <= 1, left(x, y), right(x, y)), on=("x-", "x+", "y+")
            ),
            Neumann(u=0, on="y-"),
            Interface(u=0, flux={"left": 1.0, "right": 7.0}),
        ],
        exact={"u": {"left": left, "right": right}},
    )


def wave(x, y):
    return sin(2 * x + y)


def tee():
    """A large piece beside two small ones, which meet in the middle of its side."""
    domain = Pieces(
        big=Box(x=(0, 1), y=(0, 2)), low=Box(x=(1, 2), y=(0, 0.7)), high=Box(x=(1, 2), y=(0.7, 2))
    )
    return Problem(
        domain,
        lambda u, x, y: laplacian(u) + 5 * wave(x, y),
        [Dirichlet(u=wave), Interface(u=0, flux=dict.fromkeys(domain.regions, 2.0))],
        exact={"u": dict.fromkeys(domain.regions, wave)},
    )


def four():
    """Four squares round a point, with k = a(x) b(y) and u = X(x) Y(y): a X' = cos x and b Y' =
    e^y."""
    a, b = (1.0, 10.0), (1.0, 3.0)
    X = (lambda x: sin(x), lambda x: sin(x) / 10 + 0.9 * sine(1))
    Y = (lambda y: exp(y), lambda y: exp(y) / 3 + 2 * e / 3)
    equations, exact, k = {}, {}, {}
    for i, j in product(range(2), repeat=2):
        name = f"p{i}{j}"
        k[name] = a[i] * b[j]
        equations[name] = lambda u, x, y, i=i, j=j: (
            a[i] * b[j] * laplacian(u) + b[j] * sin(x) * Y[j](y) - a[i] * X[i](x) * exp(y)
        )
        exact[name] = lambda x, y, i=i, j=j: X[i](x) * Y[j](y)
    domain = Pieces(
        **{f"p{i}{j}": Box(x=(i, i + 1), y=(j, j + 1)) for i, j in product(range(2), repeat=2)}
    )
    sides = {
        f"{name}.{side}": function
        for name, function in exact.items()
        for side in ("x-", "x+", "y-", "y+")
        if f"{name}.{side}" in domain.faces
    }
    return Problem(
        domain,
        equations,
        [*(Dirichlet(u=f, on=face) for face, f in sides.items()), Interface(u=0, flux=k)],
        exact={"u": exact},
    )


def disc(k=10.0, offset=0.0):
    """A disc of another material in a plate and a uniform field (Landau and Lifshitz, vol. 8,
    section 8)."""
    rim, contrast = Disk(x=0, y=0, radius=0.4, name="rim"), (k - 1) / (k + 1)
    outside = lambda x, y: offset + x * (1 - contrast * 0.16 / (x**2 + y**2))
    return Problem(
        Pieces(disc=rim, plate=Box(x=(-1, 1), y=(-1, 1)) - rim),
        conduction,
        [Dirichlet(u=outside), Interface(u=0, flux={"disc": k, "plate": 1.0})],
        exact={"u": {"disc": lambda x: offset + (1 - contrast) * x, "plate": outside}},
    )


def jumping():
    """Value and flux jump at a circle, between two waves of different equations."""
    rim = Disk(x=0.1, y=-0.05, radius=0.5, name="rim")
    inside = lambda x, y: sin(3 * x + 2 * y)
    outside = lambda x, y: 2 + cos(2 * x - 3 * y)

    def jumps(u_disc, u_plate, x, y):
        known, beyond = inside(x, y), outside(x, y)
        return (
            u_disc - u_plate - known + beyond,
            3 * normal_derivative(u_disc - known) - normal_derivative(u_plate - beyond),
        )

    return Problem(
        Pieces(disc=rim, plate=Box(x=(-1, 1), y=(-1, 1)) - rim),
        {
            "disc": lambda u, x, y: laplacian(u) - u + 14 * inside(x, y),
            "plate": lambda u, x, y: laplacian(u) + 13 * (outside(x, y) - 2),
        },
        [Dirichlet(u=outside), Interface(jumps)],
        exact={"u": {"disc": inside, "plate": outside}},
    )


def apart():
    """Two unknowns, of which one lives in a single piece and drives the other one there."""
    return Problem(
        Pieces(left=Box(x=(0, 1)), right=Box(x=(1, 2))),
        {
            "left": lambda u, x: d(u, x, x),
            "right": [lambda u, v, x: d(u, x, x) - v, lambda v, x: d(v, x, x) + v],
        },
        [
            Dirichlet(u=0, on="x-"),
            Dirichlet(u=1, on="x+"),
            Dirichlet(v=lambda x: sin(x), on="right.x+"),
            Interface(
                lambda u_left, u_right, v_right, x: (
                    u_left - u_right,
                    normal_derivative(u_left) - normal_derivative(u_right),
                    v_right - sin(x),
                )
            ),
        ],
        exact={
            "u": {
                "left": lambda x: SLOPE * x,
                "right": lambda x: 1 + sine(2) - sin(x) + (SLOPE + cosine(1)) * (x - 2),
            }
        },
    )


SLOPE = (1 + sine(2) - sine(1) - cosine(1)) / 2
"""Of `apart` on the left: u and u' go on at x = 1."""


def error(problem, cells, order):
    """Relative error on one grid, over the nodes of all pieces."""
    grid = grid_of(problem, (cells,) * len(problem.domain.space), order)
    (values, _), at = solve_steady(problem, grid), grid.points()
    gap = size = 0.0
    for piece in grid.patches:
        own = grid.own(piece)
        for v, u in enumerate(problem.unknowns):
            here = {x: column[own] for x, column in at.items()}
            known = problem.exact_copies[f"{u}_{piece}"](here).numpy()
            gap += np.sum((values[v, own] - known) ** 2)
            size += np.sum(known**2)
    return np.sqrt(gap / size)


def slope(problem, order, sizes, rounding=1e-13):
    """The order that the errors on grids of some sizes show."""
    errors = [error(problem, n, order) for n in sizes]
    return observed(errors, 1 / np.array(sizes), rounding)


def true_error(problem, found):
    """Of a reference against the solution in closed form: of the worst unknown, relative to its
    scale."""
    exact = problem.exact_values(torch.from_numpy(found.points()))
    worst = 0.0
    for u, known in exact.items():
        gap = found.values[u].ravel() - known.numpy()
        worst = max(worst, np.sqrt(np.nanmean(gap**2)) / found.scales[u])
    return worst


def _mode(number, k, c):
    """Rate, wave numbers and factor of an eigenfunction of two rods of length 1, sin(a x) and then
    B sin(b (2 - x)), by the zeros of what their flux lacks."""

    def numbers(rate):
        return (np.sqrt(rate * of / by) for of, by in zip(c, k, strict=True))

    def lacking(rate):
        a, b = numbers(rate)
        return k[0] * a * np.cos(a) * np.sin(b) + k[1] * b * np.cos(b) * np.sin(a)

    rates = np.linspace(0.01, 60, 6001)
    signs = np.flatnonzero(np.diff(np.sign([lacking(rate) for rate in rates])))
    rate = brentq(lacking, *rates[signs[number] + np.array([0, 1])], xtol=1e-14, rtol=1e-14)
    a, b = numbers(rate)
    return rate, a, b, np.sin(a) / np.sin(b)


def rods(offset=0.0):
    """Two modes of two rods, c u_t = k u_xx, that cool at their ends."""
    k, c = (1.0, 5.0), (1.0, 2.0)
    modes = [(share, *_mode(number, k, c)) for number, share in enumerate((1.0, 0.4))]

    def left(x, t):
        return offset + sum(share * sin(a * x) * exp(-s * t) for share, s, a, _, _ in modes)

    def right(x, t):
        return offset + sum(
            share * B * sin(b * (2 - x)) * exp(-s * t) for share, s, _, b, B in modes
        )

    return Problem(
        Pieces(left=Box(x=(0, 1), t=(0, 0.3)), right=Box(x=(1, 2), t=(0, 0.3))),
        {
            name: lambda u, x, t, c=c[i], k=k[i]: c * d(u, t) - k * d(u, x, x)
            for i, name in enumerate(("left", "right"))
        },
        [
            Dirichlet(u=offset, on=("x-", "x+")),
            Dirichlet(u=left, on="left.t-"),
            Dirichlet(u=right, on="right.t-"),
            Interface(u=0, flux={"left": k[0], "right": k[1]}),
        ],
        exact={"u": {"left": left, "right": right}},
    )


def string():
    """A standing wave on a string whose other half is four times as heavy."""
    rate = brentq(lambda w: np.cos(w) * np.sin(2 * w) + 2 * np.cos(2 * w) * np.sin(w), 0.5, 1.4)
    share = np.sin(rate) / np.sin(2 * rate)
    left = lambda x, t: sin(rate * x) * cos(rate * t)
    right = lambda x, t: share * sin(2 * rate * (2 - x)) * cos(rate * t)
    return Problem(
        Pieces(left=Box(x=(0, 1), t=(0, 8)), right=Box(x=(1, 2), t=(0, 8))),
        {
            name: lambda u, x, t, heavy=heavy: heavy * d(u, t, t) - d(u, x, x)
            for name, heavy in (("left", 1.0), ("right", 4.0))
        },
        [
            Dirichlet(u=0, on=("x-", "x+")),
            Dirichlet(u=left, on="left.t-"),
            Dirichlet(u=right, on="right.t-"),
            Neumann(u=0, on="t-"),
            Interface(u=0, flux={"left": 1.0, "right": 1.0}),
        ],
        exact={"u": {"left": left, "right": right}},
    )


def joint():
    """Conductivity that depends on the temperature, and a contact that resists."""
    left = lambda x, t: 1 + 0.3 * sin(x + t)
    right = lambda x, t: 0.5 + 0.2 * cos(2 * x - t)

    def passing(u_left, u_right):
        flux = (1 + u_left**2) * normal_derivative(u_left)
        return u_left - u_right + 0.1 * flux, flux - 3 * normal_derivative(u_right)

    def jumps(u_left, u_right, x, t):
        known = passing(left(x, t), right(x, t))
        return tuple(a - b for a, b in zip(passing(u_left, u_right), known, strict=True))

    def soft(u, x, t):
        return d(u, t) - d((1 + u**2) * d(u, x), x)

    def firm(u, x, t):
        return d(u, t) - 3 * d(u, x, x)

    return Problem(
        Pieces(left=Box(x=(0, 1), t=(0, 0.15)), right=Box(x=(1, 2), t=(0, 0.15))),
        {
            "left": lambda u, x, t: soft(u, x, t) - soft(left(x, t), x, t),
            "right": lambda u, x, t: firm(u, x, t) - firm(right(x, t), x, t),
        },
        [
            Dirichlet(u=left, on=("left.x-", "left.t-")),
            Dirichlet(u=right, on=("right.x+", "right.t-")),
            Interface(jumps),
        ],
        exact={"u": {"left": left, "right": right}},
    )


LENGTHS, CONDUCTIVITY, CAPACITY = (0.2, 0.1), (0.8, 0.04), (1.6e6, 5e4)
"""Of brick and wool, in m, W/(m K) and J/(m³ K)."""


def insulated(day=21600.0):
    """A brick wall, insulated outside, on which the cold falls: 10 W/(m² K)."""
    outside = LENGTHS[0] + LENGTHS[1]
    return Problem(
        Pieces(
            brick=Box(x=(0, LENGTHS[0]), t=(0, day)), wool=Box(x=(LENGTHS[0], outside), t=(0, day))
        ),
        {
            name: lambda u, x, t, c=CAPACITY[i], k=CONDUCTIVITY[i]: c * d(u, t) - k * d(u, x, x)
            for i, name in enumerate(("brick", "wool"))
        },
        [
            Neumann(u=0, on="brick.x-"),
            Condition(
                lambda u: CONDUCTIVITY[1] * normal_derivative(u) + 10 * (u - 273.15), on="wool.x+"
            ),
            Dirichlet(u=293.15, on="t-"),
            Interface(u=0, flux=dict(zip(("brick", "wool"), CONDUCTIVITY, strict=True))),
        ],
    )


def by_volumes(cells, times):
    """The same by finite volumes of second order, on nodes of which one is the interface: nodes,
    and temperatures [nodes, times]."""
    parts = [np.full(cells, length / cells) for length in LENGTHS]
    h, x = np.concatenate(parts), np.concatenate([[0.0], np.cumsum(np.concatenate(parts))])
    k, c = (np.repeat(values, cells) for values in (CONDUCTIVITY, CAPACITY))
    stored = (np.append(c * h, 0) + np.append(0, c * h)) / 2
    across = k / h
    A = np.diag(across, 1) + np.diag(across, -1)
    A -= np.diag(A.sum(1))
    A[-1, -1] -= 10
    A /= stored[:, None]
    b = np.zeros(len(x))
    b[-1] = 10 * 273.15 / stored[-1]
    solved = solve_ivp(
        lambda t, u: A @ u + b,
        (0, times[-1]),
        np.full(len(x), 293.15),
        "Radau",
        times,
        jac=A,
        rtol=1e-8,
        atol=1e-6,
    )
    return x, solved.y
