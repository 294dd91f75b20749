"""Complex unknowns are two real ones: the same residuals, conditions and solutions as written out,
and the arithmetic of torch's complex tensors."""

from math import pi

import pytest
import torch
from refined import solved

from kanpde import (
    Box,
    Complex,
    Condition,
    Dirichlet,
    Initial,
    Neumann,
    Periodic,
    Pieces,
    Problem,
    ProblemError,
    Robin,
    Time,
    d,
    laplacian,
    normal_derivative,
)
from kanpde.problem.faces import points_on
from kanpde.problem.file import load
from kanpde.problems import schrodinger1d as written_out
from kanpde.residual.complex_values import ComplexValue, parts_of


def schrodinger(psi, x, t):
    return 1j * d(psi, t) + d(psi, x, x) / 2 + psi.abs2 * psi


def exact(x, t):
    return torch.complex(written_out.real(x, t), written_out.imaginary(x, t))


def breathing():
    """The gallery's schrodinger1d, written with i."""
    return Problem(
        Box(x=(-5, 5)) * Time(t=(0, pi / 2)),
        [schrodinger],
        [Dirichlet(psi=exact), Initial(psi=lambda x: 2 / torch.cosh(x))],
        exact={"psi": exact},
        unknowns=[Complex("psi")],
    )


def drawn(*shape):
    generator = torch.Generator().manual_seed(0)
    return 0.2 + torch.rand(*shape, generator=generator, dtype=torch.float64)


def test_residuals_are_those_of_the_two_real_equations():
    (ours,), (theirs,) = breathing().equations, load("schrodinger1d")[0].equations
    names = {"u": "psi_re", "v": "psi_im"}
    assert ours.needs == tuple((names[u], index) for u, index in theirs.needs)
    at = {"x": drawn(20), "t": drawn(20)}
    derivatives = drawn(20, len(ours.needs))
    for one, other in zip(ours(at, derivatives), theirs(at, derivatives), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-14, atol=1e-14)


def test_conditions_and_exact_values_are_those_of_the_two_real_unknowns():
    ours, theirs = breathing(), load("schrodinger1d")[0]
    assert ours.unknowns == ("psi_re", "psi_im")
    pairs = sorted(ours.constraints, key=lambda c: (c.face, c.prescribed.unknown[-2:] == "im"))
    others = sorted(theirs.constraints, key=lambda c: (c.face, c.prescribed.unknown))
    unit = drawn(10, 1) - 0.2
    for one, other in zip(pairs, others, strict=True):
        at, _ = points_on(ours.domain, one.face, unit)
        torch.testing.assert_close(one.prescribed.data(at), other.prescribed.data(at))
    at = {"x": drawn(20), "t": drawn(20)}
    found, wanted = ours.exact_values(at), theirs.exact_values(at)
    torch.testing.assert_close(found["psi_re"], wanted["u"])
    torch.testing.assert_close(found["psi_im"], wanted["v"])


def test_schrodinger_written_with_i_is_solved_alike():
    ways = [p.during(0, 0.3) for p in (breathing(), load("schrodinger1d")[0])]
    points = ways[0].domain.interior(drawn(100, 2) / 1.2)
    ours, theirs = (solved(p, 1e-6)[0](points) for p in ways)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_what_is_linear_stays_known_to_be():
    problem = Problem(
        Box(x=(-5, 5)) * Time(t=(0, 1)),
        [lambda psi, x, t: 1j * d(psi, t) + laplacian(psi) / 2 - x**2 * psi],
        [Dirichlet(psi=0), Initial(psi=lambda x: torch.exp(1j * x - x**2))],
        unknowns=Complex("psi"),
    )
    assert problem.equations[0].affine
    assert problem.equations[0].equations == 2


V = drawn(5)
Z = torch.complex(drawn(5), -2 * drawn(5))


@pytest.mark.parametrize(
    "expression",
    [
        lambda z: 1j * z,
        lambda z: z * (2 - 1j),
        lambda z: V * z + z * V,
        lambda z: V - z,
        lambda z: z - V + 3,
        lambda z: 2 - z,
        lambda z: Z * z - z / Z,
        lambda z: z / 4 + z / 2j,
        lambda z: 1 / z,
        lambda z: V / z,
        lambda z: Z / z,
        lambda z: z**3,
        lambda z: -z.conj() * z,
        lambda z: abs(z) * z,
    ],
)
def test_the_arithmetic_is_that_of_complex_tensors(expression):
    re, im = drawn(5), drawn(5) ** 2
    found = expression(ComplexValue(re, im))
    torch.testing.assert_close(torch.complex(*parts_of(found)), expression(torch.complex(re, im)))


@pytest.mark.parametrize(
    ("condition", "labels"),
    [
        (Neumann(psi=2 - 1j), ["Neumann(psi_re=2", "Neumann(psi_im=-1"]),
        (Robin(psi=1j, a=2), ["Robin(psi_re=0", "Robin(psi_im=1"]),
        (Initial(psi_t=1j), ["Initial(psi_re_t=0", "Initial(psi_im_t=1"]),
    ],
)
def test_conditions_have_a_real_and_an_imaginary_part(condition, labels):
    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 1)),
        [lambda psi, x, t: d(psi, t, t) - d(psi, x, x) + 1j * psi],
        [condition, Periodic("x")] if isinstance(condition, Initial) else [condition],
        unknowns=[Complex("psi")],
        warn=False,
    )
    seen = [c.label for c in problem.constraints]
    assert all(any(one.startswith(label) for one in seen) for label in labels)


def test_a_condition_that_radiates_is_two_residuals():
    problem = Problem(
        Box(x=(0, 1)),
        [lambda psi, x: d(psi, x, x) + 9 * psi],
        [
            Dirichlet(psi=1, on="x-"),
            Condition(lambda psi, x: normal_derivative(psi) - 3j * psi, on="x+"),
        ],
        unknowns=[Complex("psi")],
    )
    assert problem.constraints[-1].residual.equations == 2
    solution, progress = solved(problem, 1e-8)
    assert not progress.missed
    x = torch.linspace(0, 1, 20, dtype=torch.float64)
    wanted = torch.exp(3j * x)
    torch.testing.assert_close(torch.complex(*solution(x[:, None]).T), wanted, rtol=0, atol=1e-8)


def _problem(function, domain=None):
    return Problem(
        domain or Box(x=(0, 1)), [function], [Dirichlet(psi=0)], unknowns=[Complex("psi")]
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Complex("2 psi"), r"Complex\('2 psi'\): expected a name"),
        (
            lambda: _problem(lambda psi, x: torch.exp(psi) + d(psi, x, x)),
            r"torch.exp\(…\): got a complex unknown; expected its real parts, psi.re and psi.im",
        ),
        (lambda: _problem(lambda psi, x: psi**0.5 + d(psi, x, x)), "expected a whole number"),
        (
            lambda: _problem(
                lambda psi, x: d(psi, x, x),
                Pieces(a=Box(x=(0, 1)), b=Box(x=(1, 2))),
            ),
            "a domain in pieces takes none",
        ),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ProblemError, match=message):
        make()
