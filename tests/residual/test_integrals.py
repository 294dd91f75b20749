"""Integrals, means, fluxes and values at other places, and what is refused of them."""

import math

import pytest
import torch
from nested import leaves
from scipy.integrate import dblquad, quad

from kanpde import d, flux, grad, integral, mean
from kanpde.errors import ProblemError
from kanpde.residual.recording import record

AT = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)
LINE = {"x": (0.0, 1.0)}


def recorded(function, extent, *arguments):
    names = tuple(extent)
    middle = [[a + 0.3 * (b - a), a + 0.6 * (b - a)] for a, b in extent.values()]
    points = {x: torch.tensor(v, dtype=torch.float64) for x, v in zip(names, middle, strict=True)}
    space = tuple(x for x in names if x != "t")
    return record(function, "f", arguments or ("u", *names), ("u",), points, space, None, extent)


def values(function, u, at, extent, *arguments):
    """What a residual is where u is an explicit function; its derivatives are those of autograd."""
    residual = recorded(function, extent, *arguments)

    def derivatives(points, needs):
        return leaves({"u": u}, dict(zip(extent, points.T, strict=True)), needs)

    given, columns = residual.supplied(at, derivatives)
    assert given.shape[1] == len(columns)
    found, slopes = residual(at, given)
    assert slopes.shape == (len(given), 1, given.shape[1])
    return found[:, 0]


def bump(x):
    return torch.exp(-x) * torch.sin(3 * x)


def plain(x):
    return math.exp(-x) * math.sin(3 * x)


ALONG_A_LINE = {
    "over the domain": (lambda u, x: integral(u), lambda x: quad(plain, 0, 1)[0]),
    "of an expression": (
        lambda u, x: integral(x * u**2, x),
        lambda x: quad(lambda s: s * plain(s) ** 2, 0, 1)[0],
    ),
    "up to the point": (lambda u, x: integral(u, x=(0, x)), lambda x: quad(plain, 0, x)[0]),
    "with a kernel": (
        lambda u, x: integral(lambda s: torch.exp(x * s) * u(s), s=(0, 1)),
        lambda x: quad(lambda s: math.exp(x * s) * plain(s), 0, 1)[0],
    ),
    "with a kernel up to the point": (
        lambda u, x: integral(lambda s: torch.cos(x - s) * u(s) ** 3, s=(0, x)),
        lambda x: quad(lambda s: math.cos(x - s) * plain(s) ** 3, 0, x)[0],
    ),
    "of two variables": (
        lambda u, x: integral(lambda r, s: (x + r * s) * u(r) * u(s), r=(0, 1), s=(0, x)),
        lambda x: dblquad(lambda s, r: (x + r * s) * plain(r) * plain(s), 0, 1, 0, x)[0],
    ),
    "of what the point has as well": (
        lambda u, x: integral(lambda s: (x - s) ** 2 * (u(s) - u), s=(0, 1)),
        lambda x: quad(lambda s: (x - s) ** 2 * (plain(s) - plain(x)), 0, 1)[0],
    ),
    "of a derivative": (
        lambda u, x: integral(lambda s: x * d(u(s), s), s=(0, x)),
        lambda x: x * (plain(x) - plain(0)),
    ),
    "of an expression's derivative": (
        lambda u, x: integral(d(x * d(u, x), x), x),
        lambda x: math.exp(-1) * (3 * math.cos(3) - math.sin(3)),
    ),
    "mean": (lambda u, x: mean(u * u) + 0 * u, lambda x: quad(lambda s: plain(s) ** 2, 0, 1)[0]),
    "at a place": (lambda u, x: u(x=0.25) + u(0.5), lambda x: plain(0.25) + plain(0.5)),
    "at a place of its own": (lambda u, x: u(x=x / 2), lambda x: plain(x / 2)),
    "slope at a place": (
        lambda u, x: integral(lambda s: d(u(s), s), s=(0.25, 0.5)),
        lambda x: plain(0.5) - plain(0.25),
    ),
    "flux": (
        lambda u, x: flux(2 * d(u, x), "x-"),
        lambda x: -2 * 3.0,
    ),
}


@pytest.mark.parametrize("case", ALONG_A_LINE)
def test_along_a_line_they_are_what_quadrature_gives(case):
    function, truth = ALONG_A_LINE[case]
    found = values(function, bump, {"x": AT}, LINE)
    wanted = torch.tensor([truth(x) for x in AT.tolist()], dtype=torch.float64)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-13)


PLANE = {"x": (0.0, 1.0), "y": (-1.0, 1.0), "t": (0.0, 2.0)}


def wavy(x, y, t):
    return torch.cos(x * y) * torch.exp(-t) + y


def test_in_the_plane_and_time_other_coordinates_stay():
    at = {"x": AT, "y": 0.5 * AT, "t": 2 * AT}
    t = at["t"]
    inner = math.sin(1.0)  # of cos(xy) over y at x = 1, halved
    over_all = values(lambda u, x, y, t: integral(u), wavy, at, PLANE)
    truth = dblquad(lambda y, x: math.cos(x * y), 0, 1, -1, 1)[0]
    torch.testing.assert_close(over_all, truth * torch.exp(-t))
    torch.testing.assert_close(values(lambda u, x, y, t: mean(u), wavy, at, PLANE), over_all / 2)
    along_y = values(lambda u, x, y, t: integral(u, y), wavy, at, PLANE)
    torch.testing.assert_close(along_y, 2 * torch.sin(AT) / AT * torch.exp(-t))
    by_variable = values(lambda u, x, y, t: integral(lambda s: u(y=s), s=(-1, 1)), wavy, at, PLANE)
    torch.testing.assert_close(by_variable, along_y)
    value = values(lambda u, x, y, t: u(x=1, y=0.5) + 0 * u, wavy, at, PLANE)
    torch.testing.assert_close(value, math.cos(0.5) * torch.exp(-t) + 0.5)
    through = values(lambda u, x, y, t: flux(grad(u), "x+"), wavy, at, PLANE)
    slope = 2 * (math.cos(1) - inner)  # -∫ y sin y
    torch.testing.assert_close(through, slope * torch.exp(-t))


def test_partials_are_those_of_differences():
    residual = recorded(lambda u, x: u**2 - integral(lambda s: x * s * u(s) ** 3, s=(0, x)), LINE)
    at = {"x": AT}
    given, _ = residual.supplied(at, lambda points, needs: torch.sin(points))
    slopes = residual(at, given)[1][:, 0]
    for column in (0, 1, 77):
        moved = given.clone()
        moved[:, column] += 1e-6
        change = (residual(at, moved)[0] - residual(at, given)[0])[:, 0] / 1e-6
        torch.testing.assert_close(change, slopes[:, column], rtol=1e-4, atol=1e-7)


def test_linear_integrals_leave_a_residual_affine():
    linear = recorded(lambda u, x: u - integral(lambda s: x * u(s), s=(0, x)) - u(x=0.5), LINE)
    assert linear.affine
    assert linear.needs == (("u", (0,)),)
    assert [one.moved for one in linear.afar] == [("x",), ("x",)]
    assert not recorded(lambda u, x: u - integral(u**2, x), LINE).affine


def test_what_is_not_given_elsewhere_is_not_taken_silently():
    residual = recorded(lambda u, x: u - integral(u), LINE)
    with pytest.raises(ProblemError, match="which is not taken here"):
        residual({"x": AT}, torch.zeros(len(AT), 1, dtype=torch.float64))


WRONG = {
    "a number": (lambda u, x: u - integral(3.0, x), "integrates a number"),
    "no coordinate": (lambda u, x: u - integral(u, "z"), "no coordinate 'z'; they are x"),
    "an expression": (lambda u, x: u - integral(u, 2 * x), "integrates along an expression"),
    "twice": (lambda u, x: u - integral(u, x, x), "names a coordinate twice"),
    "reversed": (
        lambda u, x: u - integral(lambda s: u(s), s=(1, 0)),
        "the interval is reversed, from 1 to 0",
    ),
    "reversed at the point": (lambda u, x: u - integral(u, x=(1, x)), "the interval is reversed"),
    "one limit": (lambda u, x: u - integral(u, x=1), "expected from where to where"),
    "without limits": (
        lambda u, x: u - integral(lambda s: u(s)),
        "expected the limits of its variables, s=",
    ),
    "limits of nothing": (
        lambda u, x: u - integral(u, s=(0, 1)),
        "with a variable of its own write integral.lambda s: … . u.s.",
    ),
    "endless": (lambda u, x: u - integral(u, x=(0, math.inf)), "an end is not finite"),
    "beyond the domain": (
        lambda u, x: u - integral(lambda s: u(s), s=(0, 2)),
        "outside of the domain, where x is from 0 to 1",
    ),
    "a point outside": (lambda u, x: u - u(x=1.5), "u.x=1.5.: outside of the domain"),
    "a point of no coordinate": (lambda u, x: u - u(z=0.5), "no coordinate 'z'; they are x"),
    "no point": (lambda u, x: u - u(), "names no place; expected such as u.x=0.5."),
    "a text": (lambda u, x: u - u(x="0.5"), "expected a number or an expression"),
    "a place by the unknown": (lambda u, x: u - u(x=u), "depends on an unknown"),
    "limits by the unknown": (
        lambda u, x: u - integral(lambda s: u(s), s=(0, u)),
        "depends on an unknown",
    ),
    "the derivative of an integral": (
        lambda u, x: d(integral(lambda s: x * u(s), s=(0, 1)), x),
        "write the derivative inside of it",
    ),
    "the slope at a place by the point": (lambda u, x: d(u(x=0.5), x), "the place has its own x"),
    "one within another": (
        lambda u, x: u - integral(u * integral(u), x),
        "another integral, or a value at another place, stands under it",
    ),
    "a value within one": (lambda u, x: u - integral(u * u(x=0.5), x), "stands under it"),
    "an integral of functions within another": (
        lambda u, x: u - integral(lambda s: integral(lambda r: u(r), r=(0, s)), s=(0, 1)),
        "an end depends on the variable of another integral",
    ),
    "no face": (lambda u, x: u - flux(d(u, x), "y+"), "no such face of space; they are x-, x+"),
    "points": (lambda u, x: u - u.mean(), "over the domain there are integral.u, x., mean.u."),
    "a sum": (lambda u, x: u - torch.trapezoid(u, x), "over the domain there are integral"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_in_one_line(case):
    function, message = WRONG[case]
    with pytest.raises(ProblemError, match=message) as error:
        recorded(function, LINE)
    assert "\n" not in str(error.value)


def test_domains_that_are_no_box_are_refused():
    with pytest.raises(ProblemError, match="a box"):
        recorded_on_nothing(lambda u, x: u - integral(u))
    with pytest.raises(ProblemError, match="a box"):
        recorded_on_nothing(lambda u, x: u - u(x=0.5))


def recorded_on_nothing(function):
    points = {"x": torch.tensor([0.3, 0.6]).double()}
    return record(function, "f", ("u", "x"), ("u",), points, ("x",))


def test_a_variable_without_a_lambda_is_told():
    with pytest.raises(ProblemError, match=r"integral.lambda s: …, s=.0, 1.."):
        recorded(lambda u, x: u - integral(x * u(s), s=(0, 1)), LINE)  # noqa: F821
