"""Eigenvalues and parameters that conditions determine, beside closed forms and SciPy."""

import math

import numpy as np
import pytest
import torch
from refined import gone_on_halfway, solved
from scipy.integrate import solve_ivp
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import brentq, fsolve
from scipy.special import jn_zeros, jv, yv

import kanpde
from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Disk,
    Eigenvalue,
    Initial,
    Neumann,
    Parameter,
    Periodic,
    Problem,
    RunError,
    Time,
    d,
    laplacian,
    mean,
)
from kanpde.problem.file import load
from kanpde.reference import reference
from kanpde.reports import notebook
from kanpde.reports.run import report
from kanpde.solver import solve


def of_both(problem, tolerance=1e-8):
    """The numbers by products of splines, and by the reference with its own errors."""
    solution, progress = solved(problem, tolerance)
    assert not progress.missed
    found = reference(problem)
    return solution.numbers(), found.numbers, found.estimated_errors


def check(problem, truth, mine, sure=1e-12):
    """Both find the true numbers, known to `sure`; the reference's own error is none better than it
    is."""
    numbers, near, errors = of_both(problem)
    for name, value in truth.items():
        assert numbers[name] == pytest.approx(value, rel=mine)
        assert abs(near[name] / value - 1) <= max(10 * errors[name], sure)
        assert errors[name] < 1e-10


def test_a_square_drum_has_two_equal_tones():
    problem, _ = load("drum2d")
    result = solve(problem)
    assert result.verdict.converged
    assert max(gap.error for gap in result.errors.values()) < 1e-10
    assert set(result.errors) == {"u_1", "u_2", "u_3", "lam_1", "lam_2", "lam_3"}
    assert max(gap.error for gap in result.reference_errors.values()) < 1e-10


def test_a_clamped_beam():
    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[lambda u, x, lam: d(u, x, x, x, x) - lam * u],
        conditions=[Dirichlet(u=0), Neumann(u=0)],
        parameters=[Eigenvalue("lam", which=(1, 2, 3))],
    )
    roots = [brentq(lambda k: math.cos(k) - 1 / math.cosh(k), *at) for at in BRACKETS]
    check(problem, {f"lam_{i}": k**4 for i, k in enumerate(roots, 1)}, 1e-9)


BRACKETS = ((4, 5), (7, 8), (10, 12))


def test_a_ring_in_polar_coordinates():
    def drum(u, r, theta, lam):
        return r**2 * d(u, r, r) + r * d(u, r) + d(u, theta, theta) + lam * r**2 * u

    def root(n, low, high):
        def crossed(k):
            return jv(n, k) * yv(n, 2 * k) - jv(n, 2 * k) * yv(n, k)

        return brentq(crossed, low, high, xtol=1e-14) ** 2

    problem = Problem(
        domain=Box(r=(1, 2), theta=(0, 2 * math.pi)),
        equations=[drum],
        conditions=[Dirichlet(u=0, on=("r-", "r+")), Periodic("theta")],
        parameters=[Eigenvalue("lam", which=(1, 2, 3))],
    )
    first, second = root(0, 3, 3.15), root(1, 3.15, 3.3)
    check(problem, {"lam_1": first, "lam_2": second, "lam_3": second}, 1e-9)


def test_bound_states_of_a_well_come_first():
    def schroedinger(psi, x, E):
        V = torch.where((x - 0.5).abs() < 0.1, -2000.0, 0.0)
        return -d(psi, x, x) + V * psi - E * psi

    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[schroedinger],
        conditions=[Dirichlet(psi=0)],
        parameters=[Eigenvalue("E", which=(1, 2, 3))],
    )

    def even(E):
        k, q = math.sqrt(E + 2000), math.sqrt(-E)
        return k * math.sin(0.1 * k) - q * math.cos(0.1 * k) / math.tanh(0.4 * q)

    def odd(E):
        k, q = math.sqrt(E + 2000), math.sqrt(-E)
        return k * math.cos(0.1 * k) + q * math.sin(0.1 * k) / math.tanh(0.4 * q)

    truth = {
        "E_1": brentq(even, -1900, -1700, xtol=1e-11),
        "E_2": brentq(odd, -1500, -1200, xtol=1e-11),
        "E_3": brentq(even, -900, -300, xtol=1e-11),
    }
    check(problem, truth, 1e-10)


def test_a_membrane_that_is_free_has_zero_first():
    problem = Problem(
        domain=Box(x=(0, 2.0), y=(0, 1.5)),
        equations=[lambda u, x, y, lam: laplacian(u) + lam * u],
        conditions=[Neumann(u=0)],
        parameters=[Eigenvalue("lam", which=(1, 2, 3))],
    )
    result = solve(problem)
    assert result.verdict.converged
    assert result.numbers["lam_1"] == pytest.approx(0, abs=1e-10)
    assert result.numbers["lam_2"] == pytest.approx((math.pi / 2) ** 2, rel=1e-10)
    assert result.numbers["lam_3"] == pytest.approx((math.pi / 1.5) ** 2, rel=1e-10)


def test_an_equation_that_is_not_self_adjoint_near_a_number():
    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[lambda u, x, lam: -d(u, x, x) + 10 * d(u, x) - lam * u],
        conditions=[Dirichlet(u=0)],
        parameters=[Eigenvalue("lam", near=60)],
    )
    check(problem, {"lam": 25 + 4 * math.pi**2}, 1e-10)


def test_a_rod_of_varying_stiffness_beside_finite_differences():
    def rod(u, x, lam):
        return d((1 + x**2) * d(u, x), x) + lam * (2 - x) * u

    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[rod],
        conditions=[Dirichlet(u=0)],
        parameters=[Eigenvalue("lam", which=2)],
    )
    found = [_by_differences(n) for n in (1000, 2000)]
    truth = found[1] + (found[1] - found[0]) / 3
    check(problem, {"lam": truth}, 1e-9, sure=1e-9)


def _by_differences(n):
    h, x = 1 / n, np.linspace(0, 1, n + 1)
    k, m = 1 + ((x[1:] + x[:-1]) / 2) ** 2, 2 - x[1:-1]
    diagonal, beside = (k[1:] + k[:-1]) / h**2 / m, -k[1:-1] / h**2 / np.sqrt(m[1:] * m[:-1])
    return eigh_tridiagonal(diagonal, beside, select="i", select_range=(1, 1))[0][0]


def test_one_of_two_equal_ones_is_said():
    problem = Problem(
        domain=Box(x=(0, 1), y=(0, 1)),
        equations=[lambda u, x, y, lam: laplacian(u) + lam * u],
        conditions=[Dirichlet(u=0)],
        parameters=[Eigenvalue("lam", which=2)],
    )
    _, progress = solved(problem, 1e-6)
    assert "is a multiple eigenvalue" in progress.reason


def test_a_disc_has_a_reference():
    problem = Problem(
        domain=Disk(x=0, y=0, radius=1),
        equations=[lambda u, x, y, lam: laplacian(u) + lam * u],
        conditions=[Dirichlet(u=0)],
        parameters=[Eigenvalue("lam", which=(1, 2, 3))],
    )
    found = reference(problem, effort="quick")
    truth = {"lam_1": jn_zeros(0, 1)[0], "lam_2": jn_zeros(1, 1)[0], "lam_3": jn_zeros(1, 1)[0]}
    for name, root in truth.items():
        error = abs(found.numbers[name] / root**2 - 1)
        assert error < 1e-5
        assert error < 3 * found.estimated_errors[name]


def test_it_goes_on_halfway_with_the_same_bits():
    problem = Problem(
        domain=Box(x=(0, 1), y=(0, 1)),
        equations=[lambda u, x, y, lam: laplacian(u) + lam * u],
        conditions=[Dirichlet(u=0)],
        parameters=[Eigenvalue("lam")],
    )
    solution, progress, gone_on = gone_on_halfway(problem, 1e-6)
    assert gone_on.eigenvalues == progress.eigenvalues
    assert np.array_equal(gone_on.spans[0].C, progress.spans[0].C)
    assert solution.numbers()["lam"] == pytest.approx(2 * math.pi**2)


# Parameters that conditions determine


def test_a_conductivity_from_a_flux_in_si_units():
    def rod(T, x, k):
        return k * d(T, x, x) + 5e4

    problem = Problem(
        domain=Box(x=(0, 0.2)),
        equations=[rod],
        conditions=[Dirichlet(T=293.0), Condition(lambda T, x: d(T, x) - 250.0, on="x-")],
        parameters=[Parameter("k", initial=100)],
    )
    check(problem, {"k": 5e4 * 0.1 / 250}, 1e-11)


def test_drag_of_a_ball():
    problem = Problem(
        domain=Time(t=(0, 3)),
        equations=[lambda y, t, c: d(y, t, t) + c * d(y, t) + 9.81],
        conditions=[Initial(y=0, y_t=20), Dirichlet(y=0, on="t+")],
        parameters=[Parameter("c", initial=0.1)],
    )

    def lands(c):
        way = solve_ivp(
            lambda t, s: [s[1], -9.81 - c * s[1]], (0, 3), [0, 20], rtol=1e-12, atol=1e-12
        )
        return way.y[0, -1]

    check(problem, {"c": brentq(lands, 0.01, 2, xtol=1e-13)}, 1e-8)


def logistic(y, v, s, r, K):
    return d(y, s) - v, d(v, s) - r * v * (1 - y / K) + 0.1 * v


def test_two_numbers_from_two_further_conditions():
    problem = Problem(
        domain=Box(s=(0, 5)),
        equations=[logistic],
        conditions=[Dirichlet(y=1.0, v=0.5, on="s-"), Dirichlet(y=5.0, v=0.2, on="s+")],
        parameters=[Parameter("r", initial=1.0), Parameter("K", initial=8.0)],
    )

    def missed(numbers):
        r, K = numbers
        way = solve_ivp(
            lambda t, s: [s[1], r * s[1] * (1 - s[0] / K) - 0.1 * s[1]],
            (0, 5),
            [1, 0.5],
            "DOP853",
            rtol=1e-13,
            atol=1e-13,
        )
        return way.y[0, -1] - 5, way.y[1, -1] - 0.2

    r, K = fsolve(missed, [1, 8], xtol=1e-13)
    check(problem, {"r": r, "K": K}, 1e-9)


def test_numbers_outside_of_their_bounds_are_no_solution():
    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[lambda u, x, q: d(u, x, x) + q],
        conditions=[Dirichlet(u=0), Neumann(u=2.0, on="x-")],
        parameters=[Parameter("q", positive=True)],
    )
    _, progress = solved(problem, 1e-6)
    assert "q = -4, where q from 1, positive was asked for" in progress.reason
    assert progress.estimate == math.inf


def test_a_source_from_a_mean():
    problem = Problem(
        domain=Box(x=(0, 0.1)),
        equations=[lambda T, x, q: 50 * d(T, x, x) + q],
        conditions=[Dirichlet(T=293.0), Condition(lambda T: mean(T) - 300)],
        parameters=[Parameter("q", initial=1e3)],
    )
    check(problem, {"q": 7 * 12 * 50 / 0.01}, 1e-11)


def test_a_mean_on_a_circle():
    def poisson(u, x):
        return d(u, x, x) + torch.sin(2 * math.pi * x)

    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[poisson],
        conditions=[Periodic("x"), Condition(lambda u: mean(u) - 3)],
        exact={"u": lambda x: 3 + torch.sin(2 * math.pi * x) / (2 * math.pi) ** 2},
    )
    result = solve(problem)
    assert result.verdict.converged
    assert result.errors["u"].error < 1e-9


def test_a_run_keeps_its_numbers(tmp_path):
    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[lambda u, x, k: k * d(u, x, x) + 10],
        conditions=[Dirichlet(u=0), Neumann(u=-2.0, on="x-")],
        parameters=[Parameter("k")],
        exact={"k": 2.5},
    )
    loaded = kanpde.load

    result = solve(problem, run_dir=tmp_path / "run")
    assert result.verdict.converged
    assert result.errors["k"].error < 1e-12
    again = loaded(tmp_path / "run", problem)
    assert again.numbers == result.numbers
    assert again.reference.numbers == result.reference.numbers
    assert again.solution.numbers() == result.numbers


def test_what_is_made_of_a_run_knows_its_numbers(tmp_path):
    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[lambda u, x, lam: d(u, x, x) + lam * u],
        conditions=[Dirichlet(u=0)],
        parameters=[Eigenvalue("lam")],
    )
    result = solve(problem, run_dir=tmp_path / "run", pictures=False)
    page = report(result)
    assert "9.86960440" in page
    assert "9.86960440" in notebook.result(result)
    with pytest.raises(RunError, match=r"found with its functions \(lam\)"):
        kanpde.compress(result)
    found = kanpde.explain(result, seconds=20)
    assert found.found
    assert float(found.formulas["lam"]) == pytest.approx(math.pi**2, rel=1e-12)
