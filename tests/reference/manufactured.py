"""Problems with known solutions, in the public problem language, and the error of a scheme on a
given grid."""

from __future__ import annotations

from math import pi

import numpy as np
import torch
from orders import observed
from torch import cos, exp, sin

from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Initial,
    Neumann,
    Periodic,
    Problem,
    Robin,
    Time,
    d,
    laplacian,
)
from kanpde.reference.evolution import solve_evolution
from kanpde.reference.grid import Grid
from kanpde.reference.norms import rms
from kanpde.reference.steady import solve_steady
from kanpde.reference.stencils import matrix

KINDS = ("Dirichlet", "Neumann", "Robin", "Periodic")


def sides(kind, u, u_x):
    """Conditions of a kind on both ends of x (Neumann on the upper one only: with two it would be
    free up to a constant)."""
    return {
        "Dirichlet": [Dirichlet(u=u, on=("x-", "x+"))],
        "Neumann": [Dirichlet(u=u, on="x-"), Neumann(u=u_x, on="x+")],
        "Robin": [
            Robin(u=_sum(u, u_x, 2, -1), a=2, on="x-"),
            Robin(u=_sum(u, u_x, 1, 3), b=3, on="x+"),
        ],
        "Periodic": [Periodic("x")],
    }[kind]


def _sum(u, u_x, a, b):
    """a u + b u_x, with the arguments that u takes."""
    names = u.__code__.co_varnames[: u.__code__.co_argcount]
    return eval(
        f"lambda {', '.join(names)}: a * u({', '.join(names)}) + b * u_x({', '.join(names)})",
        {"a": a, "b": b, "u": u, "u_x": u_x},
    )


# Steady


def w(x):
    return exp(sin(2 * x + 0.3))


def w_x(x):
    return 2 * cos(2 * x + 0.3) * w(x)


def w_xx(x):
    return 4 * (cos(2 * x + 0.3) ** 2 - sin(2 * x + 0.3)) * w(x)


def reaction_1d(kind):
    """u_xx - u = f on an interval; a whole period of the solution, so that it can be periodic."""
    return Problem(
        Box(x=(0, pi)),
        [lambda u, x: d(u, x, x) - u - w_xx(x) + w(x)],
        sides(kind, w, w_x),
        exact={"u": w},
    )


def plane(kind):
    """An elliptic equation with a mixed derivative and variable coefficients on a rectangle."""

    def u_(x, y):
        return sin(2 * x + 3 * y + 0.3)

    def u_x(x, y):
        return 2 * cos(2 * x + 3 * y + 0.3)

    def operator(u, x, y):
        return d(u, x, x) + 0.5 * d(u, x, y) + 2 * d((1 + y) * d(u, y), y) + d(u, x) - u

    def equation(u, x, y):
        return operator(u, x, y) - operator(u_(x, y), x, y)

    return Problem(
        Box(x=(0, pi), y=(0, 1)),
        [equation],
        [*sides(kind, u_, u_x), Dirichlet(u=u_, on=("y-", "y+"))],
        exact={"u": u_},
    )


def plane_neumann_corner(kind):
    """Neumann or Robin conditions on two faces that share a corner."""

    def u_(x, y):
        return sin(2 * x + 3 * y + 0.3)

    def slope(k):
        return lambda x, y: k * cos(2 * x + 3 * y + 0.3)

    a = 1.0 if kind == "Robin" else 0.0
    corner = [
        Condition(lambda u, x, y: a * u + d(u, x) - a * u_(x, y) - slope(2)(x, y), on="x+"),
        Condition(lambda u, x, y: a * u + d(u, y) - a * u_(x, y) - slope(3)(x, y), on="y+"),
    ]
    return Problem(
        Box(x=(0, 1), y=(0, 1.5)),
        [lambda u, x, y: laplacian(u) + 13 * u_(x, y)],
        [Dirichlet(u=u_, on=("x-", "y-")), *corner],
        exact={"u": u_},
    )


def plane_of_growing_waves(kind):
    """As `plane_neumann_corner`, with e^s sin(s + 0.3) along s = 2x + 3y - 3.

    Its derivatives turn by an eighth of a circle from one to the next. So the second term of the
    error is at right angles to the first, and high orders show on grids where rounding is far off.
    """

    def s(x, y):
        return 2 * x + 3 * y - 3

    def u_(x, y):
        return exp(s(x, y)) * sin(s(x, y) + 0.3)

    def u_s(x, y):
        return exp(s(x, y)) * (sin(s(x, y) + 0.3) + cos(s(x, y) + 0.3))

    def u_ss(x, y):
        return 2 * exp(s(x, y)) * cos(s(x, y) + 0.3)

    a = 1.0 if kind == "Robin" else 0.0
    corner = [
        Condition(lambda u, x, y: a * (u - u_(x, y)) + d(u, x) - 2 * u_s(x, y), on="x+"),
        Condition(lambda u, x, y: a * (u - u_(x, y)) + d(u, y) - 3 * u_s(x, y), on="y+"),
    ]
    return Problem(
        Box(x=(0, 1), y=(0, 1.5)),
        [lambda u, x, y: laplacian(u) - 13 * u_ss(x, y)],
        [Dirichlet(u=u_, on=("x-", "y-")), *corner],
        exact={"u": u_},
    )


def plane_of_waves():
    """Poisson's equation with waves of lengths 1/2 to 1/6."""
    waves = (4, 8, 12)

    def u_(x, y):
        return sum(sin(w * pi * x) * sin(w * pi * y) for w in waves)

    def load(x, y):
        return sum(-2 * (w * pi) ** 2 * sin(w * pi * x) * sin(w * pi * y) for w in waves)

    return Problem(
        Box(x=(0, 1), y=(0, 1)),
        [lambda u, x, y: laplacian(u) - load(x, y)],
        [Dirichlet(u=0)],
        exact={"u": u_},
    )


def space(kind):
    """Poisson's equation on a brick."""

    def u_(x, y, z):
        return sin(2 * x + 2 * y + z + 0.3)

    def u_x(x, y, z):
        return 2 * cos(2 * x + 2 * y + z + 0.3)

    others = Dirichlet(u=u_, on=("y-", "y+", "z-", "z+"))
    brick = Box(x=(0, pi if kind == "Periodic" else 1), y=(0, 1), z=(0, 1))
    return Problem(
        brick,
        [lambda u, x, y, z: laplacian(u) + 9 * u_(x, y, z)],
        [*sides(kind, u_, u_x), others],
        exact={"u": u_},
    )


def cubic():
    """u_xx = u³ + f."""
    return Problem(
        Box(x=(0, 2)),
        [lambda u, x: d(u, x, x) - u**3 - w_xx(x) + w(x) ** 3],
        [Dirichlet(u=w)],
        exact={"u": w},
    )


def quasilinear():
    """(u u_x)_x = f: Newton's matrix vanishes at u = 0."""
    return Problem(
        Box(x=(0, 2)),
        [lambda u, x: d(u * d(u, x), x) - w_x(x) ** 2 - w(x) * w_xx(x)],
        [Dirichlet(u=w)],
        exact={"u": w},
    )


def conductivity():
    """(k u_x)_x = f with k = 1 + x²."""
    return Problem(
        Box(x=(0, 2)),
        [lambda u, x: d((1 + x**2) * d(u, x), x) - 2 * x * w_x(x) - (1 + x**2) * w_xx(x)],
        [Dirichlet(u=w)],
        exact={"u": w},
    )


def coupled():
    """Two unknowns; the equation of each comes in the other's place, and neither sets the order of
    the conditions."""

    def v_(x):
        return sin(3 * x)

    def first(u, v, x):
        return d(v, x, x) + u + 9 * v_(x) - w(x)

    def second(u, v, x):
        return d(u, x, x) - u * v - w_xx(x) + w(x) * v_(x)

    return Problem(
        Box(x=(0, 2)),
        [first, second],
        [Neumann(u=w_x, on="x+"), Dirichlet(u=w, on="x-"), Dirichlet(v=v_)],
        exact={"u": w, "v": v_},
    )


def transport():
    """u_x + u = f: one condition, at the inflow."""
    return Problem(
        Box(x=(0, 2)),
        [lambda u, x: d(u, x) + u - w_x(x) - w(x)],
        [Dirichlet(u=w, on="x-")],
        exact={"u": w},
    )


def clamped_beam():
    """u_xxxx = f with the value and the slope given at both ends."""

    def u_(x):
        return sin(6 * x + 0.5)

    def u_x(x):
        return 6 * cos(6 * x + 0.5)

    slopes = [Neumann(u=u_x, on="x+"), Neumann(u=lambda x: -u_x(x), on="x-")]
    return Problem(
        Box(x=(0, 1)),
        [lambda u, x: d(u, x, x, x, x) - 6**4 * u_(x)],
        [Dirichlet(u=u_), *slopes],
        exact={"u": u_},
    )


def clamped_plate():
    """ΔΔu = f with the value and the slope given on all sides; u = sin² sin²."""

    def u_(x, y):
        return (sin(pi * x) * sin(pi * y)) ** 2

    def load(x, y):
        a, b = cos(2 * pi * x), cos(2 * pi * y)
        return 4 * pi**4 * (-a * (1 - b) + 2 * a * b - b * (1 - a))

    return Problem(
        Box(x=(0, 1), y=(0, 1)),
        [lambda u, x, y: laplacian(laplacian(u)) - load(x, y)],
        [Dirichlet(u=0), Neumann(u=0)],
        exact={"u": u_},
    )


# Evolution


def heat(kind, end=0.5):
    """u_t = u_xx + f."""

    def u_(x, t):
        return exp(-t) * sin(2 * x + 0.3)

    def u_x(x, t):
        return 2 * exp(-t) * cos(2 * x + 0.3)

    return Problem(
        Box(x=(0, pi)) * Time(t=(0, end)),
        [lambda u, x, t: d(u, t) - d(u, x, x) - 3 * u_(x, t)],
        [*sides(kind, u_, u_x), Initial(u=lambda x: sin(2 * x + 0.3))],
        exact={"u": u_},
    )


def wave(kind, end=0.5):
    """u_tt = u_xx, a travelling wave."""

    def u_(x, t):
        return sin(2 * (x - t) + 0.3)

    def u_x(x, t):
        return 2 * cos(2 * (x - t) + 0.3)

    start = Initial(u=lambda x: sin(2 * x + 0.3), u_t=lambda x: -2 * cos(2 * x + 0.3))
    return Problem(
        Box(x=(0, pi)) * Time(t=(0, end)),
        [lambda u, x, t: d(u, t, t) - d(u, x, x)],
        [*sides(kind, u_, u_x), start],
        exact={"u": u_},
    )


def advection(kind):
    """u_t + u_x = 0; with Dirichlet at the inflow, nothing at the outflow."""

    def u_(x, t):
        return sin(2 * (x - t) + 0.3)

    conditions = {"Dirichlet": Dirichlet(u=u_, on="x-"), "Periodic": Periodic("x")}
    return Problem(
        Box(x=(0, pi)) * Time(t=(0, 0.5)),
        [lambda u, x, t: d(u, t) + d(u, x)],
        [conditions[kind], Initial(u=lambda x: sin(2 * x + 0.3))],
        exact={"u": u_},
    )


def heat_plane():
    """u_t = Δu + f on a rectangle, Dirichlet on three sides, Neumann on one."""

    def u_(x, y, t):
        return exp(-t) * sin(3 * x + 2 * y + 0.3)

    def u_y(x, y, t):
        return 2 * exp(-t) * cos(3 * x + 2 * y + 0.3)

    return Problem(
        Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 0.25)),
        [lambda u, x, y, t: d(u, t) - laplacian(u) - 12 * u_(x, y, t)],
        [
            Dirichlet(u=u_, on=("x-", "x+", "y-")),
            Neumann(u=u_y, on="y+"),
            Initial(u=lambda x, y: sin(3 * x + 2 * y + 0.3)),
        ],
        exact={"u": u_},
    )


def membrane():
    """u_tt = Δu on the square, one mode."""
    start = Initial(u=lambda x, y: sin(pi * x) * sin(pi * y), u_t=0)
    exact = {"u": lambda x, y, t: sin(pi * x) * sin(pi * y) * cos(2**0.5 * pi * t)}
    return Problem(
        Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 0.5)),
        [lambda u, x, y, t: d(u, t, t) - laplacian(u)],
        [Dirichlet(u=0), start],
        exact=exact,
    )


def schroedinger():
    """i ψ_t = -ψ_xx as a system of two real equations: a stiff spectrum on the imaginary axis."""
    exact = {"u": lambda x, t: sin(2 * x) * cos(4 * t), "v": lambda x, t: -sin(2 * x) * sin(4 * t)}
    equations = [lambda u, v, x, t: d(u, t) + d(v, x, x), lambda u, v, x, t: d(v, t) - d(u, x, x)]
    return Problem(
        Box(x=(0, pi)) * Time(t=(0, 0.5)),
        equations,
        [Dirichlet(u=0, v=0), Initial(u=lambda x: sin(2 * x), v=0)],
        exact=exact,
    )


def telegraph():
    """u_tt + u_t = u_xx + f, a velocity in the equation, a mass that varies in space, and data that
    vary in time."""

    def u_(x, t):
        return sin(2 * (x - t) + 0.3)

    def equation(u, x, t):
        return (
            (1 + x) * d(u, t, t)
            + d(u, t)
            - d(u, x, x)
            + 4 * x * u_(x, t)
            + 2 * cos(2 * (x - t) + 0.3)
        )

    start = Initial(u=lambda x: sin(2 * x + 0.3), u_t=lambda x: -2 * cos(2 * x + 0.3))
    return Problem(
        Box(x=(0, 2)) * Time(t=(0, 0.5)), [equation], [Dirichlet(u=u_), start], exact={"u": u_}
    )


def radiating():
    """u_t = u_xx + f with the nonlinear condition u_x + u⁴ = g at one end."""

    def u_(x, t):
        return 2 + exp(-t) * sin(2 * x + 0.3)

    def condition(u, x, t):
        return d(u, x) + u**4 - 2 * exp(-t) * cos(2 * x + 0.3) - u_(x, t) ** 4

    return Problem(
        Box(x=(0, 2)) * Time(t=(0, 0.5)),
        [lambda u, x, t: d(u, t) - d(u, x, x) - 3 * (u_(x, t) - 2)],
        [
            Dirichlet(u=u_, on="x-"),
            Condition(condition, on="x+"),
            Initial(u=lambda x: 2 + sin(2 * x + 0.3)),
        ],
        exact={"u": u_},
    )


def swinging(order):
    """u' = -2 u cos t or u'' = -25 u, the same everywhere."""
    box = Box(x=(0, 1)) * Time(t=(0, 2))
    if order == 1:
        return Problem(
            box,
            [lambda u, x, t: d(u, t) + 2 * u * cos(t)],
            [Initial(u=1)],
            exact={"u": lambda x, t: exp(-2 * sin(t))},
        )
    return Problem(
        box,
        [lambda u, x, t: d(u, t, t) + 25 * u],
        [Initial(u=1, u_t=0)],
        exact={"u": lambda x, t: cos(5 * t)},
    )


def absorbing():
    """A wave that leaves: u_t + u_x = 0 at x+, where it runs that way."""

    def u_(x, t):
        return sin(2 * (x - t) + 0.3)

    start = Initial(u=lambda x: sin(2 * x + 0.3), u_t=lambda x: -2 * cos(2 * x + 0.3))
    leaving = Condition(lambda u, x, t: d(u, t) + d(u, x), on="x+")
    return Problem(
        Box(x=(0, 2)) * Time(t=(0, 0.5)),
        [lambda u, x, t: d(u, t, t) - d(u, x, x)],
        [Dirichlet(u=u_, on="x-"), leaving, start],
        exact={"u": u_},
    )


def benjamin_bona_mahony():
    """u_t + u_x + u u_x - u_xxt = f, with a derivative that mixes time and space."""

    def u_(x, t):
        return sin(x - t)

    def equation(u, x, t):
        return (
            d(u, t) + d(u, x) + u * d(u, x) - d(u, x, x, t) - sin(x - t) * cos(x - t) + cos(x - t)
        )

    return Problem(
        Box(x=(0, 2 * pi)) * Time(t=(0, 0.5)),
        [equation],
        [Periodic("x"), Initial(u=lambda x: sin(x))],
        exact={"u": u_},
    )


def pressed():
    """u_t = u_xx - v + f and v_xx = u: the second holds at every instant and has no rate."""

    def u_(x, t):
        return exp(-t) * sin(2 * x + 0.3)

    def v_(x, t):
        return -u_(x, t) / 4

    equations = [
        lambda u, v, x, t: d(u, t) - d(u, x, x) + v - (3 - 1 / 4) * u_(x, t),
        lambda u, v, x, t: d(v, x, x) - u,
    ]
    return Problem(
        Box(x=(0, 2)) * Time(t=(0, 0.5)),
        equations,
        [Dirichlet(u=u_, v=v_), Initial(u=lambda x: sin(2 * x + 0.3))],
        exact={"u": u_, "v": v_},
    )


# Incompressible flow


def momentum(viscosity, *unsteady):
    """The equations of u, v, p on (x, y) or (x, y, t)."""
    rate = (lambda w, t: d(w, t)) if unsteady else (lambda w, t: 0.0)
    along_x = lambda u, v, p, x, y, t=None: (
        rate(u, t) + u * d(u, x) + v * d(u, y) + d(p, x) - viscosity * laplacian(u)
    )
    along_y = lambda u, v, p, x, y, t=None: (
        rate(v, t) + u * d(v, x) + v * d(v, y) + d(p, y) - viscosity * laplacian(v)
    )
    if unsteady:
        return [
            lambda u, v, p, x, y, t: along_x(u, v, p, x, y, t),
            lambda u, v, p, x, y, t: along_y(u, v, p, x, y, t),
            lambda u, v, p, x, y, t: d(u, x) + d(v, y),
        ]
    return [along_x, along_y, lambda u, v, p, x, y: d(u, x) + d(v, y)]


def kovasznay(pin):
    """Flow behind a grid at Re = 40 (Kovasznay 1948); the constant of the pressure is pinned on a
    piece of a face, or on a whole one."""
    rate = 20 - (400 + 4 * pi**2) ** 0.5
    exact = {
        "u": lambda x, y: 1 - exp(rate * x) * cos(2 * pi * y),
        "v": lambda x, y: rate / (2 * pi) * exp(rate * x) * sin(2 * pi * y),
        "p": lambda x, y: (1 - exp(2 * rate * x)) / 2,
    }
    pinned = (
        Condition(lambda p, x, y: p - exact["p"](x, y), on="x-", where=lambda y: y < -0.4)
        if pin == "piece"
        else Dirichlet(p=exact["p"], on="x+")
    )
    return Problem(
        Box(x=(-0.5, 1), y=(-0.5, 1.5)),
        momentum(1 / 40),
        [Dirichlet(u=exact["u"], v=exact["v"]), pinned],
        exact=exact,
    )


def cavity(reynolds=100.0):
    """A lid 4x(1-x) drives a cavity; ∇·u = 0 and the conditions contradict each other in its upper
    corners."""
    walls = Dirichlet(u=0, v=0, on=("x-", "x+", "y-"))
    pin = Condition(lambda p, x, y: p, on="x-", where=lambda y: y < 0.05)
    return Problem(
        Box(x=(0, 1), y=(0, 1)),
        momentum(1 / reynolds),
        [walls, Dirichlet(u=lambda x: 4 * x * (1 - x), v=0, on="y+"), pin],
    )


def taylor_green(periodic):
    """Decaying vortices (Taylor and Green 1937), ν = 0.1."""

    def u_(x, y, t):
        return sin(x) * cos(y) * exp(-0.2 * t)

    def v_(x, y, t):
        return -cos(x) * sin(y) * exp(-0.2 * t)

    def p_(x, y, t):
        return (cos(2 * x) + cos(2 * y)) / 4 * exp(-0.4 * t)

    start = Initial(u=lambda x, y: sin(x) * cos(y), v=lambda x, y: -cos(x) * sin(y))
    if periodic:
        sides, box = (
            [Periodic("x", "y"), Initial(p=lambda x, y: (cos(2 * x) + cos(2 * y)) / 4)],
            Box(x=(0, 2 * pi), y=(0, 2 * pi)),
        )
    else:
        sides, box = (
            [Dirichlet(u=u_, v=v_), Dirichlet(p=p_, on="x-", where=lambda y: y < 0.2)],
            Box(x=(0, pi), y=(0, pi)),
        )
    return Problem(
        box * Time(t=(0, 0.25)),
        momentum(0.1, "unsteady"),
        [*sides, start],
        exact={"u": u_, "v": v_, "p": p_},
    )


# Errors


def grid(problem, cells, order):
    domain = problem.domain
    return Grid(
        {x: domain.bounds[x] for x in domain.space},
        (cells,) * len(domain.space),
        order,
        frozenset(problem.periodic),
    )


def error(problem, cells, order, every=1):
    """Relative L2 error over all unknowns on every so many nodes, for an evolution at nine instants
    with next to no error in time."""
    g = grid(problem, cells, order)
    kept = np.arange(g.nodes).reshape(g.shape)[(slice(None, None, every),) * len(g.shape)].ravel()
    times = (
        [None]
        if problem.domain.time is None
        else np.linspace(*problem.domain.bounds[problem.domain.time], 9)
    )
    exact = np.stack([_exact(problem, g.points(), t) for t in times], -1)
    found = (
        solve_steady(problem, g)[0][..., None]
        if times[0] is None
        else solve_evolution(problem, g, times, 1e-13)[0]
    )
    return np.linalg.norm((found - exact)[:, kept]) / np.linalg.norm(exact[:, kept])


def one_order_short(x, m, p, period):
    """Differences whose error has a term h^(p-1), on nodes that need not be equidistant."""
    return matrix(x, m, p, period) * (1 + (5 * (x[-1] - x[0]) / len(x)) ** (p - 1) if m else 1)


def slope(problem, cells, order, ratio=(1, 2), rounding=1e-12):
    """Observed order of accuracy between two grids, on the nodes they share.

    On all nodes the share of those on a Dirichlet boundary, where the error is zero, would enter
    the slope.

    Args:
        cells: Along each coordinate of the coarser grid; a multiple of the first of the ratio.
        ratio: Of cells of the coarser grid to those of the finer one.
        rounding: The error of grids so fine that discretisation adds nothing: of order 12 with 40
            to 100 cells, under each of OpenBLAS's kernels.
    """
    coarse, fine = cells, cells * ratio[1] // ratio[0]
    errors = [
        error(problem, n, order, every) for n, every in zip((coarse, fine), ratio, strict=True)
    ]
    return observed(errors, (1 / coarse, 1 / fine), rounding)


def true_error(problem, found):
    """L2 error of a Reference's worst unknown, relative to its scale."""
    exact = np.stack(
        [v.numpy() for v in problem.exact_values(torch.from_numpy(found.points())).values()]
    )
    values = np.stack([v.ravel() for v in found.values.values()])
    return max(rms(values - exact) / list(found.scales.values()))


def _exact(problem, at, t):
    full = (
        at
        if t is None
        else {
            **at,
            problem.domain.time: torch.full(
                (len(next(iter(at.values()))),), t, dtype=torch.float64
            ),
        }
    )
    return np.stack([v.numpy() for v in problem.exact_values(full).values()])
