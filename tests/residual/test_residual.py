"""Residuals: the dry run, the partials, matching by name, and what the user's function can get
wrong."""

import math
from functools import partial

import numpy
import pytest
import torch
from nested import random_points
from torch import exp, sin

from kanpde import ProblemError, d, laplacian
from kanpde.residual.calculus import Leaves, below
from kanpde.residual.functions import argument_names, check_arguments
from kanpde.residual.recording import record
from kanpde.residual.residual import check_finite, leaf_name

points = random_points({"x": (0.2, 1.3), "y": (-0.8, 0.9)}, 6)


def recorded(function, unknowns=("u", "v")):
    two = {x: v[:2] for x, v in points.items()}
    return record(function, "r()", argument_names(function, "r()"), unknowns, two, ("x", "y"))


def derivatives_of(residual, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(6, len(residual.needs), generator=generator, dtype=torch.float64) + 0.3


def names(residual):
    return [leaf_name(leaf, residual.coordinates) for leaf in residual.needs]


@pytest.mark.parametrize(
    ("function", "needs"),
    [
        (lambda u: laplacian(u), ["u_xx", "u_yy"]),
        (lambda u, x, y: u * d(u, x) - d(u, y), ["u", "u_x", "u_y"]),
        (lambda u, x: d((1 + x) * d(u, x), x), ["u_x", "u_xx"]),
        (lambda u, x: d(u**2, x), ["u", "u_x"]),
        (lambda u, x: d(2 * u, x), ["u_x"]),
        (lambda u, x, y: d(u, y, x, x), ["u_xxy"]),
        (lambda u, v, x, y: (d(v, x) - u, d(u, y)), ["u", "u_y", "v_x"]),
        (lambda u, v, x: d(u, x, x) + 0 * x, ["u_xx"]),
        (lambda u, v, x, y: torch.where(v > 0, d(u, x), d(u, y)), ["u_x", "u_y", "v"]),
        (lambda u, x: torch.sign(u) * d(u, x), ["u", "u_x"]),
        (lambda u, x: u.detach() * d(u, x), ["u", "u_x"]),
    ],
)
def test_dry_run_records_exactly_what_matters(function, needs):
    assert names(recorded(function)) == needs


def test_what_does_not_matter_is_poisoned_and_never_shows():
    residual = recorded(lambda u, x: d((1 + x) * d(u, x), x) + d(x * 2 * d(u, x), x), ("u",))
    assert ("u", (0, 0)) in residual.unused
    values, partials = residual(points, derivatives_of(residual))
    assert values.isfinite().all()
    assert partials.isfinite().all()
    seen = []
    residual = recorded(lambda u, x: seen.append(u) or d(u, x), ("u",))
    residual(points, derivatives_of(residual))
    assert seen[-1].isnan().all()


def test_supplies_are_asked_only_for_recorded_derivatives():
    asked = []
    x = torch.ones(2, dtype=torch.float64)
    leaves = Leaves({"x": x}, ("x",), lambda leaf: asked.append(leaf) or x)
    with leaves.active():
        d(leaves.value("u"), x, x)
    assert asked == [("u", (0,)), ("u", (2,))]


@pytest.mark.parametrize(
    "function",
    [
        lambda u, v, x, y: u * d(u, x) ** 2 + sin(v) * d(v, y, y) * x,
        lambda u, v, x, y: (d(u * d(v, x), x), exp(u) - v),
        lambda u, x: d(u, x),
        lambda u, v, x: torch.where(v > 0.8, d(u, x) ** 2, u),
    ],
)
def test_partials_agree_with_finite_differences(function):
    residual = recorded(function)
    at = derivatives_of(residual)
    values, partials = residual(points, at)
    assert values.shape == (6, residual.equations)
    assert partials.shape == (6, residual.equations, len(residual.needs))
    for a in range(len(residual.needs)):
        step = torch.zeros_like(at)
        step[:, a] = 1e-5
        slope = (
            residual(points, at + step, partials=False)[0]
            - residual(points, at - step, partials=False)[0]
        ) / 2e-5
        torch.testing.assert_close(partials[:, :, a], slope, rtol=1e-8, atol=1e-8)


def test_without_partials_nothing_is_differentiated():
    residual = recorded(lambda u, x: d(u, x) * u)
    values, partials = residual(points, derivatives_of(residual), partials=False)
    assert partials is None
    torch.testing.assert_close(values, residual(points, derivatives_of(residual))[0])


def test_arguments_match_by_name_not_by_order():
    first, second = (
        recorded(lambda u, v, x, y: u * x + d(v, y) * y),
        recorded(lambda y, v, x, u: u * x + d(v, y) * y),
    )
    assert first.needs == second.needs
    at = derivatives_of(first)
    torch.testing.assert_close(first(points, at)[0], second(points, at)[0])
    torch.testing.assert_close(
        first(points, at)[0][:, 0], at[:, 0] * points["x"] + at[:, 1] * points["y"]
    )


def test_a_default_is_a_constant():
    def burgers(u, x, nu=0.25):
        return u - nu * d(u, x, x)

    residual = recorded(burgers)
    assert residual.arguments == ("u", "x")
    at = derivatives_of(residual)
    torch.testing.assert_close(residual(points, at)[0][:, 0], at[:, 0] - 0.25 * at[:, 1])
    assert argument_names(partial(burgers, nu=3), "burgers()") == ("u", "x")


def test_coordinates_that_share_a_tensor_stay_apart():
    residual = recorded(lambda u, x, y: u + d(x**2, x) + d(x * y, y))
    same = {"x": points["x"], "y": points["x"]}
    values, _ = residual(same, torch.zeros(6, 1, dtype=torch.float64))
    torch.testing.assert_close(values[:, 0], 3 * points["x"])


def test_float32_stays_float32():
    residual = recorded(lambda u, x, y: (d(u, x) * torch.ones(len(x), dtype=torch.float64), u * x))
    values, partials = residual(
        {x: v.float() for x, v in points.items()}, derivatives_of(residual).float()
    )
    assert values.dtype == partials.dtype == torch.float32


def test_order_is_the_highest():
    assert recorded(lambda u, x, y: d(u, x, x, y) + u).order == 3
    assert recorded(lambda u: u - 1).order == 0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda u, x: u * math.sin(x),
            (
                r"r\(\): ValueError: .*; use torch's functions on tensors \(torch.sin, not math.sin"
                r" or numpy.sin\)"
            ),
        ),
        (
            lambda u, x: u * numpy.sin(x),
            r"r\(\): RuntimeError: .*; use torch's functions on tensors",
        ),
        (lambda u, x: u * sin(0.5), r"r\(\): TypeError: .*; use torch's functions on tensors"),
        (lambda u, x: u if u > 0 else x, "torch.where, not with if"),
        (lambda u, x: 1 / 0, "r\\(\\): ZeroDivisionError: division by zero$"),
        (
            lambda u, x: None,
            (
                r"returned NoneType; expected a tensor of one real number a point \(is a `return`"
                r" missing\?\)"
            ),
        ),
        (lambda u, x: 0.0, "returned float"),
        (lambda u, x: (), "returned nothing"),
        (lambda u, x: (u, None), "returned NoneType"),
        (lambda u, x: u > 0, "returned a tensor of torch.bool"),
        (
            lambda u, x: u.mean(),
            r"returned shape \[\] for 2 points; expected one value a point, \[2\]",
        ),
        (lambda u, x: torch.stack([u, u], 1), r"returned shape \[2, 2\]"),
        (lambda u, x: u - u.mean(), "the value at one point depends on another point"),
        (lambda u, x: u / u.detach().max(), "the value at one point depends on another point"),
        (lambda u, x: u - x.flip(0), "the value at one point depends on another point"),
        (lambda u, x: u * torch.tensor([1.0, 2.0]), r"returned shape \[2\] for 1 points"),
        (lambda u, x: x**2, "depends on no unknown; expected an expression in u, v"),
    ],
)
def test_what_a_function_gets_wrong_is_named(function, message):
    with pytest.raises(ProblemError, match=message) as caught:
        recorded(function)
    assert "\n" not in str(caught.value)


def test_branching_on_values_is_named():
    residual = recorded(lambda u, x, y: d(u, x) if bool((u < 1).all()) else d(u, y))
    with pytest.raises(
        ProblemError, match="asks for u_y only at some points; a residual must not branch on values"
    ):
        residual(points, torch.full((6, len(residual.needs)), 2.0, dtype=torch.float64))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda *args: 0, r"f: argument '\*args' has no name to match"),
        (lambda **kwargs: 0, r"f: argument '\*\*kwargs' has no name to match"),
        (lambda u, /: 0, "f: argument 'u' has no name to match"),
        (3, "f: got int; expected a function"),
        (torch.sin, "has no readable signature; wrap it in a def or lambda"),
    ],
)
def test_functions_without_names_are_refused(function, message):
    with pytest.raises(ProblemError, match=message):
        argument_names(function, "f")


def test_unknown_argument_names_the_nearest():
    known = {"unknown": ["pressure"], "coordinate": ["x", "y"]}
    check_arguments(["pressure", "x"], known, "f()")
    with pytest.raises(
        ProblemError,
        match=(
            r"f\(\): argument 'presure' is neither an unknown \(pressure\) nor a coordinate \(x,"
            r" y\); did you mean 'pressure'\?"
        ),
    ):
        check_arguments(["presure", "x"], known, "f()")
    with pytest.raises(ProblemError, match=r"argument 'z' is not a coordinate \(x\)$"):
        check_arguments(["z"], {"coordinate": ["x"]}, "f()")


def test_nan_of_the_function_is_named_with_its_point():
    residual = recorded(lambda u, x, y: (u, d(u, x) / (x - 0.5)))
    at = {
        "x": torch.tensor([0.1, 0.5], dtype=torch.float64),
        "y": torch.tensor([0.0, 0.25], dtype=torch.float64),
    }
    given = torch.tensor([[1.0, 2.0], [1.0, 3.0]], dtype=torch.float64)
    values, _ = residual(at, given)
    with pytest.raises(
        ProblemError,
        match=(
            r"r\(\): returned inf \(equation 2\) at x=0.5, y=0.25, where u=1, u_x=3; expected a"
            r" finite number"
        ),
    ):
        check_finite(residual, values, at, given)


def test_nan_of_the_inputs_is_not_blamed_on_the_function():
    residual = recorded(lambda u: u - 1)
    given = torch.tensor([[math.nan], [1.0]], dtype=torch.float64)
    at = {x: v[:2] for x, v in points.items()}
    check_finite(residual, residual(at, given)[0], at, given)


def test_below():
    assert below((1, 2)) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_the_first_point_that_is_not_finite_is_named_and_a_single_equation_has_no_number():
    points = {"x": torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)}
    residual = record(lambda u, x: 1 / u, "r()", ("u", "x"), ("u",), points, ("x",))
    values = torch.zeros(3, 1, dtype=torch.float64)
    values[1:] = torch.inf
    given = torch.zeros(3, 1, dtype=torch.float64)
    with pytest.raises(ProblemError, match=r"returned inf at x=0.5, where u=0; expected"):
        check_finite(residual, values, points, given)
