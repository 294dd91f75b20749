"""Problems with known solutions on domains that are no box, and the order that errors on several
grids show."""

from __future__ import annotations

from math import pi

import numpy as np
import torch
from orders import observed
from torch import exp, sin

from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Disk,
    Ellipse,
    Initial,
    Neumann,
    Polygon,
    Problem,
    Robin,
    Time,
    d,
    laplacian,
    normal_derivative,
)
from kanpde.reference.embedded import Embedded
from kanpde.reference.evolution import solve_evolution
from kanpde.reference.norms import rms
from kanpde.reference.steady import solve_steady

DOMAINS = {
    "disk": Disk(x=0.07, y=-0.03, radius=1.0),
    "annulus": (
        Disk(x=0.0, y=0.0, radius=1.0, name="outer") - Disk(x=0.0, y=0.0, radius=0.4, name="inner")
    ),
    "plate": Box(x=(-0.5, 0.5), y=(-0.5, 0.5)) - Disk(x=0.1, y=0.05, radius=0.2),
    "ellipse": Ellipse(x=0.0, y=0.1, radii=(1.2, 0.6), angle=0.5),
    "polygon": Polygon(x=[0, 1.1, 1.3, 0.4], y=[0, 0.2, 0.9, 1.2]),
}

KINDS = ("Dirichlet", "Neumann", "Robin")


def wave(x, y):
    return sin(2 * x + 3 * y + 0.3) * exp(x / 2)


def condition(kind, u_):
    """A condition of a kind on all faces, or on some of them."""
    if kind == "Dirichlet":
        return lambda on: Dirichlet(u=u_, on=on)
    a = {"Neumann": 0.0, "Robin": 2.0}[kind]

    def residual(u, x, y):
        known = u_(x, y)
        return a * (u - known) + normal_derivative(u) - normal_derivative(known)

    return lambda on: Condition(residual, on=on)


def elliptic(domain, kind, u_=wave):
    """A mixed derivative and variable coefficients; `kind` on all faces."""

    def operator(u, x, y):
        return laplacian(u) + 0.5 * d(u, x, y) + d((1 + 0.3 * y) * d(u, y), y) + d(u, x) - 4 * u

    def equation(u, x, y):
        return operator(u, x, y) - operator(u_(x, y), x, y)

    return Problem(domain, [equation], [condition(kind, u_)(None)], exact={"u": u_})


def radiating():
    """Δu = u³ + f on an annulus, with u_n + u⁴ = g on the inner circle."""

    def equation(u, x, y):
        known = wave(x, y)
        return laplacian(u) - u**3 - laplacian(known) + known**3

    def inner(u, x, y):
        known = wave(x, y)
        return normal_derivative(u) + u**4 - normal_derivative(known) - known**4

    return Problem(
        DOMAINS["annulus"],
        [equation],
        [Dirichlet(u=wave, on="outer"), Condition(inner, on="inner")],
        exact={"u": wave},
    )


def elasticity():
    """Plane strain with a given displacement on the outer circle and a given traction on the inner
    one, λ = 1.5 and μ = 1."""
    exact = {"u": lambda x, y: sin(2 * x + y), "v": lambda x, y: exp(x / 2) * sin(2 * y + 0.4)}

    def stresses(u, v, x, y):
        trace = d(u, x) + d(v, y)
        return 1.5 * trace + 2 * d(u, x), d(u, y) + d(v, x), 1.5 * trace + 2 * d(v, y)

    def forces(u, v, x, y):
        xx, xy, yy = stresses(u, v, x, y)
        return d(xx, x) + d(xy, y), d(xy, x) + d(yy, y)

    def equilibrium(u, v, x, y):
        return tuple(
            a - b
            for a, b in zip(
                forces(u, v, x, y), forces(exact["u"](x, y), exact["v"](x, y), x, y), strict=True
            )
        )

    def traction(u, v, x, y):
        found = []
        for a, b in zip(
            stresses(u, v, x, y), stresses(exact["u"](x, y), exact["v"](x, y), x, y), strict=True
        ):
            found.append(a - b)
        xx, xy, yy = found
        r = (x**2 + y**2).sqrt()
        return xx * x / r + xy * y / r, xy * x / r + yy * y / r

    return Problem(
        DOMAINS["annulus"],
        [equilibrium],
        [Dirichlet(**exact, on="outer"), Condition(traction, on="inner")],
        exact=exact,
    )


BESSEL = {"Dirichlet": 2.404825557695773, "Neumann": 3.8317059702075123}
"""First zeros of J₀ and of J₁ (Abramowitz and Stegun 1964, table 9.5)."""


def cooling(kind):
    """u_t = Δu on the unit disk from a mode J₀(k r), which falls as exp(-k² t); and 1, where the
    boundary is insulated."""
    k, constant = BESSEL[kind], float(kind == "Neumann")

    def mode(x, y):
        return torch.special.bessel_j0(k * (x**2 + y**2).sqrt())

    side = Dirichlet(u=0) if kind == "Dirichlet" else Neumann(u=0)
    exact = lambda x, y, t: constant + mode(x, y) * exp(-(k**2) * t)
    domain = Disk(x=0.0, y=0.0, radius=1.0) * Time(t=(0, 0.1))
    return Problem(
        domain,
        [lambda u, x, y, t: d(u, t) - laplacian(u)],
        [side, Initial(u=lambda x, y: constant + mode(x, y))],
        exact={"u": exact},
    )


def corner(x, y):
    """r^(2/3) sin 2θ/3 around the re-entrant corner of `L`."""
    angle = torch.atan2(y, x)
    angle = torch.where(angle < -1e-12, angle + 2 * pi, angle)
    return (x**2 + y**2) ** (1 / 3) * sin(2 * angle / 3)


L = Polygon(x=[-1, 0, 0, 1, 1, -1], y=[-1, -1, 0, 0, 1, 1])


def robin_and_neumann(domain):
    """The conditions by their own names, for what is constant: u = 2."""
    faces = list(domain.faces)
    return Problem(
        domain,
        [lambda u, x, y: laplacian(u)],
        [Robin(u=2, a=1, b=3, on=faces[0]), *([Neumann(u=0, on=faces[1:])] if faces[1:] else [])],
        exact={"u": 2.0},
    )


def grid(problem, cells, order):
    domain = problem.domain.region if problem.domain.time else problem.domain
    return Embedded(domain.bounds, (cells,) * len(domain.space), order, domain=domain)


def error(problem, cells, order):
    """Relative L2 error over the nodes inside, of all unknowns; for an evolution at three instants
    with next to no error in time."""
    g = grid(problem, cells, order)
    times = (
        [None]
        if problem.domain.time is None
        else np.linspace(*problem.domain.bounds[problem.domain.time], 3)
    )
    found = (
        solve_steady(problem, g)[0][..., None]
        if times[0] is None
        else solve_evolution(problem, g, times, 1e-10)[0]
    )
    exact = []
    for t in times:
        at = (
            g.points()
            if t is None
            else {**g.points(), problem.domain.time: torch.full((g.nodes,), t, dtype=torch.float64)}
        )
        exact.append(np.stack([v.numpy() for v in problem.exact_values(at).values()]))
    exact = np.stack(exact, -1)
    return np.linalg.norm((found - exact)[:, : g.inner]) / np.linalg.norm(exact[:, : g.inner])


def slope(problem, order, sizes):
    """Order of a line through the errors on several grids: the boundary lies differently in the
    cells of each."""
    errors = [error(problem, n, order) for n in sizes]
    return observed(errors, 1 / np.array(sizes), rounding=1e-12)


def true_error(problem, found):
    """L2 error of a Reference's worst unknown where it has values, relative to its scale."""
    exact = np.stack(
        [v.numpy() for v in problem.exact_values(torch.from_numpy(found.points())).values()]
    )
    values = np.stack([v.ravel() for v in found.values.values()])
    known = np.isfinite(values).all(0)
    return max(rms((values - exact)[:, known]) / list(found.scales.values()))
