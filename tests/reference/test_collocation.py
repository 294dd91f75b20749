"""Collocation: derivatives, errors that fall faster than any power, errors that are declared, and
problems that it leaves to finite differences.

The truth is always a closed form, which shares no code with what is tested.
"""

import warnings
from math import pi

import numpy as np
import pytest
import torch
from manufactured import true_error
from torch import cos, exp, sin, tanh

from kanpde import Box, Dirichlet, Initial, Neumann, Periodic, Problem, Robin, Time, d, laplacian
from kanpde.errors import ProblemWarning, ReferenceUnavailable
from kanpde.reference import reference
from kanpde.reference.bases import ChebyshevSeries, FourierSeries, differences
from kanpde.reference.collocation import CollocationGrid
from kanpde.reference.norms import rms
from kanpde.reference.spectral import collocated
from kanpde.reference.steady import solve_steady
from kanpde.reference.stretching import Front, Stretching

TWO_FRONTS = (Front(0.3, 0.05, 0.3), Front(0.8, 0.1, 0.2))
WORK = 12.0


def wave(x):
    """exp sin πx and its derivatives up to the fourth: a whole period on (1, 3)."""
    s, c = np.sin(pi * x), np.cos(pi * x)
    e = np.exp(s)
    factors = [
        1,
        c,
        c**2 - s,
        c**3 - 3 * s * c - c,
        c**4 - 6 * s * c**2 - 4 * c**2 + 3 * s**2 + s,
    ]
    return [pi**m * factor * e for m, factor in enumerate(factors)]


@pytest.mark.parametrize("ends", [(True, True), (True, False), (False, True)])
def test_derivatives_on_nodes_without_ends(ends):
    basis = ChebyshevSeries((1.0, 3.0), 121, open_ends=ends)
    truth, n = wave(basis.nodes), len(basis.nodes)
    assert [basis.nodes[0] > 1.0, basis.nodes[-1] < 3.0] == list(ends)
    assert basis.analysis @ basis.synthesis == pytest.approx(np.eye(n), abs=1e-13)
    for order in range(5):
        allowed = np.finfo(float).eps * n ** (1 + 2 * order)
        by_coefficients = basis.derivatives(order) @ (basis.analysis @ truth[0])
        assert np.abs(by_coefficients - truth[order]).max() < allowed
        assert np.abs(differences(basis, order) @ truth[0] - truth[order]).max() < allowed


@pytest.mark.parametrize("fronts", [(), TWO_FRONTS])
@pytest.mark.parametrize("kind", [FourierSeries, ChebyshevSeries])
def test_derivatives(kind, fronts):
    """By coefficients: sums of n terms, of which each order makes the last n² times larger at the
    ends of an interval."""
    periodic = kind is FourierSeries
    basis = kind((1.0, 3.0), 121, Stretching(fronts, periodic) if fronts else None)
    truth, n = wave(basis.nodes), len(basis.nodes)
    for order in range(5):
        found = basis.derivatives(order) @ (basis.analysis @ truth[0])
        allowed = np.finfo(float).eps * n ** (1 + 1.5 * order if periodic else 1 + 2 * order)
        assert np.abs(found - truth[order]).max() < allowed
    between = np.linspace(1, 3, 77)
    found = basis.at(between) @ (basis.analysis @ truth[0])
    assert found == pytest.approx(wave(between)[0], abs=3e-14)


@pytest.mark.parametrize("kind", [FourierSeries, ChebyshevSeries])
def test_differences_of_values(kind):
    basis = kind((1.0, 3.0), 61)
    truth = wave(basis.nodes)
    for order in (1, 2):
        matrix = differences(basis, order)
        assert np.abs(matrix @ truth[0] - truth[order]).max() < 1e-15 * 61 ** (2 * order)
        assert np.abs(matrix @ np.ones(len(truth[0]))).max() < 1e-13 * np.abs(matrix).max()


@pytest.mark.parametrize("periodic", [False, True])
def test_a_stretching_and_its_inverse(periodic):
    stretching = Stretching(TWO_FRONTS, periodic)
    s = np.linspace(0, 1, 101)
    y = stretching.inverse(s)
    assert stretching(y) == pytest.approx(s, abs=1e-15)
    # The share of the nodes lies where the front is, within its width on either side at least half.
    assert np.mean(np.abs(y - 0.3) < 0.05) > 0.5 * 0.3


def smooth(kind):
    """u_xx - u = f with u = exp sin x."""

    def u_(x):
        return exp(sin(x))

    def equation(u, x):
        return d(u, x, x) - u - (cos(x) ** 2 - sin(x) - 1) * u_(x)

    # At 0 and 2π u is 1, and so is its slope, which is taken outwards.
    ends = {
        "periodic": [Periodic("x")],
        "Dirichlet": [Dirichlet(u=u_)],
        "Robin": [Robin(u=3, a=2, b=1, on="x+"), Neumann(u=-1, on="x-")],
    }
    return Problem(Box(x=(0, 2 * pi)), [equation], ends[kind], exact={"u": u_})


@pytest.mark.parametrize("kind", ["periodic", "Dirichlet", "Robin"])
def test_errors_fall_faster_than_any_power(kind):
    """The order between two grids grows with the nodes, and the last error is rounding."""
    problem, errors = smooth(kind), []
    periodic = frozenset(problem.periodic)
    cells = (9, 13, 19, 35) if periodic else (14, 21, 32, 60)
    for n in cells:
        grid = CollocationGrid(problem.domain.bounds, (n,), n, periodic)
        values = grid.even(grid.close(solve_steady(problem, grid)[0]))
        x = torch.linspace(0, 2 * pi, values.shape[1], dtype=torch.float64)
        errors.append(float(rms(values - exp(sin(x)).numpy())[0]))
    orders = -np.diff(np.log(errors[:3])) / np.diff(np.log(cells[:3]))
    assert orders[1] > orders[0] + 1 > 4
    assert errors[-1] < 1e-13


def rod():
    """A rod in kelvin, metres and seconds, between ends at 293.15 K."""
    length, diffusivity = 0.1, 1.2e-5

    def T_(x, t):
        return 293.15 + 4 * exp(-diffusivity * (pi / length) ** 2 * t) * sin(pi * x / length)

    return Problem(
        Box(x=(0, length)) * Time(t=(0, 60)),
        [lambda T, x, t: d(T, t) - diffusivity * d(T, x, x)],
        [Dirichlet(T=293.15), Initial(T=lambda x: 293.15 + 4 * sin(pi * x / length))],
        exact={"T": T_},
    )


def plates():
    """A current that heats: volts and kelvin on a plate of centimetres that is a ring along x."""
    a, b, sigma, conductivity = 0.02, 0.01, 5e6, 200.0

    def V_(x, y):
        return 230 + 0.1 * sin(2 * pi * x / a) * exp(y / b)

    def T_(x, y):
        return 350 + 2 * cos(2 * pi * x / a) * sin(y / b + 1)

    def equations(V, T, x, y):
        def heat(T, V):
            return conductivity * laplacian(T) + sigma * 1e-6 * (d(V, x) ** 2 + d(V, y) ** 2)

        charge = sigma * laplacian(V) + 1e3 * (T - T_(x, y)) - sigma * source(x, y)
        wave = 0.1 * exp(y / b)
        slopes = (wave * 2 * pi / a * cos(2 * pi * x / a)) ** 2 + (
            wave / b * sin(2 * pi * x / a)
        ) ** 2
        rest = conductivity * (1 / b**2 + (2 * pi / a) ** 2) * (T_(x, y) - 350)
        return charge, heat(T, V) - sigma * 1e-6 * slopes + rest

    def source(x, y):
        return (1 / b**2 - (2 * pi / a) ** 2) * (V_(x, y) - 230)

    return Problem(
        Box(x=(0, a), y=(0, b)),
        [equations],
        [Periodic("x"), Dirichlet(V=V_, T=T_, on=("y-", "y+"))],
        exact={"V": V_, "T": T_},
    )


def species():
    """Two species in mol/m³ that diffuse and react, over centimetres and seconds: small ripples on
    large means, with a flux at one end and an exchange at the other."""
    length, D, k, q, r = 0.05, 1e-5, 0.02, 30 * pi, 2e-2

    def p_(x, t):
        return 1000 + 3 * sin(q * x + 0.4) * exp(-r * t)

    def m_(x, t):
        return 5 + 0.1 * cos(q * x - 0.2) * exp(-2 * r * t)

    def slope(x, t):
        return 3 * q * cos(q * x + 0.4) * exp(-r * t)

    def reacting(p, m, x, t):
        gain_p = (D * q**2 - r) * (p_(x, t) - 1000)
        gain_m = (D * q**2 - 2 * r) * (m_(x, t) - 5)
        return (
            d(p, t) - D * d(p, x, x) + k * (p - p_(x, t)) * m - gain_p,
            d(m, t) - D * d(m, x, x) + k * (m - m_(x, t)) - gain_m,
        )

    start = torch.zeros(1, dtype=torch.float64)
    return Problem(
        Box(x=(0, length)) * Time(t=(0, 30)),
        [reacting],
        [
            Neumann(p=lambda x, t: -slope(x, t), on="x-"),
            Robin(p=lambda x, t: 100 * p_(x, t) + slope(x, t), a=100, on="x+"),
            Dirichlet(m=m_),
            Initial(p=lambda x: p_(x, start), m=lambda x: m_(x, start)),
        ],
        exact={"p": p_, "m": m_},
    )


@pytest.mark.parametrize("build", [rod, plates, species])
def test_what_is_declared_bounds_the_error_in_other_units(build):
    problem = build()
    stated = reference(problem)
    assert "collocation" in stated.kind
    assert stated.order == 0
    assert stated.estimated_error < 1e-10
    assert true_error(problem, stated) < stated.estimated_error


def dispersion():
    """u_t + u_xxx = 0 on a ring: every wave travels at its own speed."""

    def u_(x, t):
        return sum(cos(k * (x + k**2 * t) + k) / 2**k for k in range(1, 6))

    return Problem(
        Box(x=(0, 2 * pi)) * Time(t=(0, 0.2)),
        [lambda u, x, t: d(u, t) + d(u, x, x, x)],
        [Periodic("x"), Initial(u=lambda x: u_(x, 0))],
        exact={"u": u_},
    )


def front():
    """A standing front of Allen and Cahn's equation, a fortieth as wide as the interval."""
    width = 0.05

    def u_(x):
        return tanh((x - 0.1) / width)

    return Problem(
        Box(x=(-1, 1)) * Time(t=(0, 1e-4)),
        [lambda u, x, t: d(u, t) - d(u, x, x) + 2 * u * (u**2 - 1) / width**2],
        [Dirichlet(u=u_), Initial(u=u_)],
        exact={"u": lambda x, t: u_(x)},
    )


@pytest.mark.parametrize("build", [dispersion, front])
def test_what_is_declared_bounds_the_error(build):
    problem = build()
    found = reference(problem)
    assert "collocation" in found.kind
    assert ("stretched" in found.kind) == (build is front)
    assert found.estimated_error < 3e-12
    assert true_error(problem, found) < found.estimated_error


def disk():
    """A load on a disk: the second derivatives jump along its edge."""
    return Problem(
        Box(x=(0, 1), y=(0, 1)),
        [lambda u, x, y: laplacian(u) + 1.0 * ((x - 0.5) ** 2 + (y - 0.4) ** 2 < 0.1)],
        [Dirichlet(u=0)],
    )


def corners():
    """Values 1 and 0 that contradict each other in two corners."""
    return Problem(
        Box(x=(0, 1), y=(0, 1)),
        [lambda u, x, y: laplacian(u)],
        [Dirichlet(u=1, on="x-"), Dirichlet(u=0, on=("x+", "y-", "y+"))],
    )


def kinked_start():
    """A start that bends where the ring closes, and hardly any diffusion."""
    return Problem(
        Box(x=(-1, 1)) * Time(t=(0, 0.1)),
        [lambda u, x, t: d(u, t) - 1e-4 * d(u, x, x) - 5 * (u - u**3)],
        [Periodic("x"), Initial(u=lambda x: x**2 * cos(pi * x))],
    )


def jumping_start():
    return Problem(
        Box(x=(0, 1)) * Time(t=(0, 0.1)),
        [lambda u, x, t: d(u, t) + d(u, x)],
        [Periodic("x"), Initial(u=lambda x: (x > 0.3).to(x))],
    )


@pytest.mark.filterwarnings("ignore::kanpde.errors.ProblemWarning")
@pytest.mark.parametrize("build", [disk, corners, kinked_start, jumping_start])
def test_what_is_not_smooth_is_left_to_finite_differences(build):
    assert collocated(build(), WORK) is None


def on_a_sphere(divided):
    """Δu - u on a sphere, the same all round its axis, from pole to pole; u is P₂(cos θ)."""

    def exact(theta):
        return (3 * cos(theta) ** 2 - 1) / 2

    def balance(u, theta):
        s = sin(theta)
        times_s = d(s * d(u, theta), theta) - s * (u - 7 * exact(theta))
        return times_s / s if divided else times_s

    return Problem(Box(theta=(0, pi)), balance, [], exact={"u": exact})


def around_a_sphere(divided):
    """The same for a solution that is not the same all round: harmonics of degree 1 and 2."""

    def exact(theta, phi):
        second = sin(theta) ** 2 * cos(2 * phi) + sin(theta) * cos(theta) * sin(phi)
        return second + cos(theta)

    def balance(u, theta, phi):
        s = sin(theta)
        source = 7 * exact(theta, phi) - 4 * cos(theta)
        by_s2 = s * d(s * d(u, theta), theta) + d(u, phi, phi) - s**2 * (u - source)
        return by_s2 / s**2 if divided else by_s2

    box = Box(theta=(0, pi), phi=(0, 2 * pi))
    return Problem(box, balance, [Periodic("phi")], exact={"u": exact})


def around_an_axis(divided):
    """Poisson's equation on a disc in polar coordinates, from its middle."""

    def exact(r, phi):
        return r**3 * cos(phi) + r**2

    def balance(u, r, phi):
        by_r2 = r * d(r * d(u, r), r) + d(u, phi, phi) - r**2 * (8 * r * cos(phi) + 4)
        return by_r2 / r**2 if divided else by_r2

    box = Box(r=(0, 1), phi=(0, 2 * pi))
    conditions = [Dirichlet(u=lambda phi: cos(phi) + 1, on="r+"), Periodic("phi")]
    return Problem(box, balance, conditions, exact={"u": exact})


@pytest.mark.parametrize("divided", [False, True])
@pytest.mark.parametrize("build", [on_a_sphere, around_a_sphere, around_an_axis])
def test_where_equations_degenerate_no_condition_is_missed(build, divided):
    """Neither a warning nor "singular": what is smooth is determined."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ProblemWarning)
        problem = build(divided)
    found = reference(problem)
    assert true_error(problem, found) < 1e-12
    assert found.estimated_error < 1e-11


def test_differences_say_what_helps_at_a_pole():
    said = r"not finite at theta = 0: .* multiplied by"
    with pytest.raises(ReferenceUnavailable, match=said):
        reference(on_a_sphere(divided=True), order=4)


@pytest.mark.parametrize("side", ["x-", "x+"])
def test_where_equations_do_not_degenerate_a_condition_is_missed(side):
    with pytest.warns(ProblemWarning, match="of order 2 along 'x'"):
        problem = Problem(
            Box(x=(0, 1)), lambda u, x: d(u, x, x) - u + sin(3 * x), [Dirichlet(u=0, on=side)]
        )
    with pytest.raises(ReferenceUnavailable, match="singular: u can move"):
        reference(problem)
