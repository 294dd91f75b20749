"""Solids that are pulled, pressed, twisted and heated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.judged.posed import Posed
from benchmarks.judged.truths import IndependentTruth, apart, midpoints
from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Interface,
    Neumann,
    Pieces,
    Problem,
    d,
    laplacian,
)

CONCRETE, POISSON, WEIGHT = 30e9, 0.2, 24e3


def clamped_beam() -> Posed:
    """A beam of concrete, 2 m by 0.5 m, clamped at one end, that bends under its own weight: plane
    stress, in pascals and metres."""
    plane, shear = CONCRETE / (1 - POISSON**2), CONCRETE / (2 + 2 * POISSON)

    def stress(u, v, x, y):
        return (
            plane * (d(u, x) + POISSON * d(v, y)),
            plane * (d(v, y) + POISSON * d(u, x)),
            shear * (d(u, y) + d(v, x)),
        )

    def balance(u, v, x, y):
        xx, yy, xy = stress(u, v, x, y)
        return d(xx, x) + d(xy, y), d(xy, x) + d(yy, y) - WEIGHT

    def pulled_along_x(u, v, x, y):
        xx, _, xy = stress(u, v, x, y)
        return xx, xy

    def pulled_along_y(u, v, x, y):
        _, yy, xy = stress(u, v, x, y)
        return xy, yy

    problem = Problem(
        Box(x=(0, 2), y=(0, 0.5)),
        [balance],
        [
            Dirichlet(u=0, v=0, on="x-"),
            Condition(pulled_along_x, on="x+"),
            Condition(pulled_along_y, on=("y-", "y+")),
        ],
    )

    def truth() -> IndependentTruth:
        points = midpoints(40, x=(0.0, 2.0), y=(0.0, 0.5))
        coarse, fine = (_finite_elements(points, fineness) for fineness in (1, 2))
        return IndependentTruth(points, fine, "scikit-fem", apart(coarse, fine))

    return Posed(problem, truth)


def _finite_elements(
    points: dict[str, NDArray[np.float64]], fineness: int
) -> dict[str, NDArray[np.float64]]:
    """Squares of degree 2, the smaller the nearer to the ends of the clamped side."""
    import skfem
    from skfem.helpers import ddot, sym_grad, trace

    many = 16 * fineness
    part = np.linspace(0, 1, many + 1)
    across = 0.25 * part**2
    mesh = skfem.MeshQuad.init_tensor(
        2 * np.linspace(0, 1, 3 * many + 1) ** 2,
        np.concatenate([across, 0.5 - across[-2::-1]]),
    )
    basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementQuad2()), intorder=5)
    mu = CONCRETE / (2 + 2 * POISSON)
    lame = 2 * mu * POISSON / (1 - POISSON)

    @skfem.BilinearForm
    def energy(u, v, w):
        e, f = sym_grad(u), sym_grad(v)
        return 2 * mu * ddot(e, f) + lame * trace(e) * trace(f)

    @skfem.LinearForm
    def weight(v, w):
        return -WEIGHT * v[1]

    clamped = basis.get_dofs(lambda x: x[0] < 1e-12)
    found = skfem.solve(*skfem.condense(energy.assemble(basis), weight.assemble(basis), D=clamped))
    u, v = basis.interpolator(found)(np.stack([points["x"], points["y"]]))
    return {"u": u, "v": v}


def pipe() -> Posed:
    """A pipe of steel of radii 0.1 m and 0.2 m with 500 bar inside (Lamé), plane stress."""
    E, nu, inner, outer, pressure = 210e9, 0.3, 0.1, 0.2, 5e7
    plane = E / (1 - nu**2)

    def balance(u, r):
        return plane * (d(u, r, r) + d(u, r) / r - u / r**2)

    def radial(u, r):
        return plane * (d(u, r) + nu * u / r)

    problem = Problem(
        Box(r=(inner, outer)),
        [balance],
        [Condition(lambda u, r: radial(u, r) + pressure, on="r-"), Condition(radial, on="r+")],
    )

    def truth() -> IndependentTruth:
        points = midpoints(r=(inner, outer))
        r = points["r"]
        part = pressure * inner**2 / (outer**2 - inner**2) / E
        return IndependentTruth(points, {"u": part * ((1 - nu) * r + (1 + nu) * outer**2 / r)})

    return Posed(problem, truth)


def hanging_bar() -> Posed:
    """Copper above and aluminium below, 1 m each, that hang under their own weight."""
    E = {"copper": 120e9, "aluminium": 70e9}
    weight = {"copper": 8960 * 9.81, "aluminium": 2700 * 9.81}

    def copper(u, x):
        return E["copper"] * d(u, x, x) + weight["copper"]

    def aluminium(u, x):
        return E["aluminium"] * d(u, x, x) + weight["aluminium"]

    problem = Problem(
        Pieces(copper=Box(x=(0, 1)), aluminium=Box(x=(1, 2))),
        {"copper": copper, "aluminium": aluminium},
        [Dirichlet(u=0, on="x-"), Neumann(u=0, on="x+"), Interface(u=0, flux=E)],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, 2.0))
        above, below = np.minimum(points["x"], 1), np.maximum(points["x"] - 1, 0)
        pull = weight["aluminium"] + weight["copper"]
        upper = (pull * above - weight["copper"] * above**2 / 2) / E["copper"]
        lower = weight["aluminium"] * (below - below**2 / 2) / E["aluminium"]
        return IndependentTruth(points, {"u": upper + lower})

    return Posed(problem, truth)


def twisted_shaft() -> Posed:
    """A shaft of steel, 40 mm by 20 mm, twisted by 0.1 rad/m (Prandtl's function)."""
    wide, high, load = 0.04, 0.02, 2 * 8e10 * 0.1

    def balance(p, x, y):
        return laplacian(p) + load

    problem = Problem(Box(x=(0, wide), y=(0, high)), [balance], [Dirichlet(p=0)])

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, wide), y=(0.0, high))
        x, y = points["x"] - wide / 2, points["y"]
        p = load / 2 * y * (high - y)
        for n in np.arange(1, 240, 2):
            wave = n * np.pi / high
            falls = np.exp(wave * (np.abs(x) - wide / 2)) * (
                (1 + np.exp(-2 * wave * np.abs(x))) / (1 + np.exp(-wave * wide))
            )
            p -= 4 * load / (high * wave**3) * falls * np.sin(wave * y)
        return IndependentTruth(points, {"p": p}, "sine series", {"p": 1e-9})

    return Posed(problem, truth)


def warm_bar() -> Posed:
    """A bar of steel between rigid walls that a current heats: kelvin and fractions of a micrometre
    in one system."""
    E, expansion, k, source, long = 210e9, 1.2e-5, 50.0, 1e6, 0.1

    def balance(T, u, x):
        return k * d(T, x, x) + source, E * (d(u, x, x) - expansion * d(T, x))

    problem = Problem(Box(x=(0, long)), [balance], [Dirichlet(T=300, u=0)])

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, long))
        x = points["x"]
        rise = source / (2 * k)
        u = expansion * rise * (long * x**2 / 2 - x**3 / 3 - long**2 * x / 6)
        return IndependentTruth(points, {"T": 300 + rise * x * (long - x), "u": u})

    return Posed(problem, truth)


PROBLEMS = (clamped_beam, pipe, hanging_bar, twisted_shaft, warm_bar)

SCALED: dict = {}
