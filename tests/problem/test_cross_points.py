"""Exponents of solutions where pieces meet, against closed forms."""

import math
from itertools import product

import pytest
from scipy.optimize import brentq

from kanpde import Box, Dirichlet, Interface, Neumann, Pieces, Problem, d, laplacian
from kanpde.problem.cross_points import singular_points


def squares(places, k, conditions):
    """Unit squares of given conductivities."""
    domain = Pieces(**{name: Box(x=(i, i + 1), y=(j, j + 1)) for name, (i, j) in places.items()})
    flux = dict(zip(places, k, strict=True))
    return Problem(
        domain,
        lambda u, x, y: laplacian(u),
        [*conditions(domain), Interface(u=0, flux=flux)],
        warn=False,
    )


def fixed(domain):
    """Values on all of the boundary."""
    return [Dirichlet(u=0)]


FOUR = {f"p{i}{j}": (i, j) for i, j in product(range(2), repeat=2)}


@pytest.mark.parametrize("k", [3.0, 10.0, 100.0])
def test_four_squares_crosswise_have_kelloggs_exponent(k):
    (point,) = singular_points(squares(FOUR, (k, 1.0, 1.0, k), fixed))
    assert point.corner.at == (1, 1)
    assert point.exponent == pytest.approx(4 / math.pi * math.atan(k**-0.5), rel=1e-6)
    assert "p00 meets p01 meets p10 meets p11" in str(point)


@pytest.mark.parametrize("k", [(1.0, 1.0, 1.0, 1.0), (1.0, 3.0, 10.0, 30.0)])
def test_conductivities_that_are_products_have_none(k):
    assert singular_points(squares(FOUR, k, fixed)) == ()


def test_three_squares_have_the_re_entrant_corner_of_their_union():
    three = {"a": (0, 0), "b": (1, 0), "c": (0, 1)}
    (point,) = singular_points(squares(three, (2.0, 2.0, 2.0), fixed))
    assert point.corner.at == (1, 1)
    assert point.exponent == pytest.approx(2 / 3, rel=1e-6)


def test_two_materials_at_a_side_of_which_one_half_is_insulated():
    two = {"a": (0, 0), "b": (1, 0)}
    k = (1.0, 4.0)

    def mixed(domain):
        held = [face for face in domain.faces if face not in ("a|b", "b.y-")]
        return [Dirichlet(u=0, on=held), Neumann(u=0, on="b.y-")]

    found = {p.corner.at: p.exponent for p in singular_points(squares(two, k, mixed))}
    # sin λθ in the one that is held and cos λ(π - θ) in the other: k₁ cot = k₂ tan at λπ/2
    known = brentq(
        lambda s: k[0] / math.tan(s * math.pi / 2) - k[1] * math.tan(s * math.pi / 2), 0.01, 0.99
    )
    assert found[1, 0] == pytest.approx(known, rel=1e-6)


def test_pieces_in_time_have_none():
    domain = Pieces(a=Box(x=(0, 1), t=(0, 1)), b=Box(x=(1, 2), t=(0, 1)))
    problem = Problem(
        domain,
        lambda u, x, t: d(u, t) - d(u, x, x),
        [Dirichlet(u=0, on=("x-", "x+", "t-")), Interface(u=0, flux={"a": 1.0, "b": 2.0})],
        warn=False,
    )
    assert singular_points(problem) == ()
