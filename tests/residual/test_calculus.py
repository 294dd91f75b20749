"""Operators against nested autograd of explicit functions."""

import pytest
import torch
from nested import derivative, leaves, random_points
from torch import cos, exp, sin

from kanpde import ProblemError, d, div, grad, laplacian, normal, normal_derivative
from kanpde.residual.functions import argument_names
from kanpde.residual.recording import record

X, Y = 0, 1


def U(x, y):
    return sin(1.3 * x + 0.2) * exp(0.7 * y) + x**2 * y**3


def V(x, y):
    return cos(x - 2 * y) + x * y


def D(function, *axes):
    return derivative(function, *axes)


def k(x, y):
    return 1 + x**2 * y


def evaluate(function, unknowns=None, space=("x", "y"), count=7):
    """Values of a residual of explicit unknowns on (x, y), and the points."""
    unknowns = unknowns or {"u": U, "v": V}
    points = random_points({"x": (0.2, 1.3), "y": (-0.8, 0.9)}, count)
    residual = record(
        function,
        "r()",
        argument_names(function, "r()"),
        tuple(unknowns),
        {x: v[:2] for x, v in points.items()},
        space,
    )
    values, _ = residual(points, leaves(unknowns, points, residual.needs), partials=False)
    return values, list(points.values())


cases = {
    "plain": (lambda u, x: d(u, x), D(U, X)),
    "second": (lambda u, y: d(u, y, y), D(U, Y, Y)),
    "mixed": (lambda u, x, y: d(u, x, y), D(U, X, Y)),
    "order of differentiation is free": (lambda u, x, y: d(u, y, x, y), D(U, X, Y, Y)),
    "fourth, mixed": (lambda u, x, y: d(u, x, x, y, y), D(U, X, X, Y, Y)),
    "one after the other": (lambda u, x, y: d(d(d(u, x), y), x), D(U, X, Y, X)),
    "by name": (lambda u: d(u, "x", "y"), D(U, X, Y)),
    "flux": (lambda u, x, y: d(k(x, y) * d(u, x), x), D(lambda x, y: k(x, y) * D(U, X)(x, y), X)),
    "flux across": (
        lambda u, x, y: d(k(x, y) * d(u, x), y),
        D(lambda x, y: k(x, y) * D(U, X)(x, y), Y),
    ),
    "nonlinear": (
        lambda u, x, y: d(exp(u) * d(u, y), x, y),
        D(lambda x, y: exp(U(x, y)) * D(U, Y)(x, y), X, Y),
    ),
    "power, fourth": (lambda u, x: d(u**3, x, x, x, x), D(lambda x, y: U(x, y) ** 3, X, X, X, X)),
    "porous medium": (
        lambda u: laplacian(u**2),
        lambda x, y: (
            D(lambda x, y: U(x, y) ** 2, X, X)(x, y) + D(lambda x, y: U(x, y) ** 2, Y, Y)(x, y)
        ),
    ),
    "no unknown": (lambda u, x, y: u + d(sin(x * y), x), lambda x, y: U(x, y) + y * cos(x * y)),
    "coordinate": (lambda u, x, y: u + d(x, x) + d(x, y), lambda x, y: U(x, y) + 1),
    "number": (lambda u, x: u + d(3.0, x) + d(2, x), U),
    "constant tensor": (lambda u, x: u + d(torch.tensor(3.0), x), U),
    "two unknowns": (
        lambda u, v, x, y: d(u * d(v, y), x),
        D(lambda x, y: U(x, y) * D(V, Y)(x, y), X),
    ),
    "laplacian": (lambda u: laplacian(u), lambda x, y: D(U, X, X)(x, y) + D(U, Y, Y)(x, y)),
    "biharmonic": (
        lambda u: laplacian(laplacian(u)),
        lambda x, y: D(U, X, X, X, X)(x, y) + 2 * D(U, X, X, Y, Y)(x, y) + D(U, Y, Y, Y, Y)(x, y),
    ),
    "div grad": (lambda u: div(grad(u)), lambda x, y: D(U, X, X)(x, y) + D(U, Y, Y)(x, y)),
    "div of a vector": (
        lambda u, v, x, y: div((u * d(v, x), y * v)),
        lambda x, y: (
            D(lambda x, y: U(x, y) * D(V, X)(x, y), X)(x, y) + D(lambda x, y: y * V(x, y), Y)(x, y)
        ),
    ),
    "grad · grad": (
        lambda u, v: sum(a * b for a, b in zip(grad(u), grad(v), strict=True)),
        lambda x, y: D(U, X)(x, y) * D(V, X)(x, y) + D(U, Y)(x, y) * D(V, Y)(x, y),
    ),
}


@pytest.mark.parametrize("case", cases)
def test_operator_agrees_with_nested_autograd(case):
    function, truth = cases[case]
    values, points = evaluate(function)
    torch.testing.assert_close(values[:, 0], truth(*points).detach(), rtol=1e-11, atol=1e-11)


def test_operators_of_space_leave_time_out():
    values, points = evaluate(lambda u, y: d(u, y) - laplacian(u), space=("x",))
    torch.testing.assert_close(values[:, 0], (D(U, Y)(*points) - D(U, X, X)(*points)).detach())
    values, points = evaluate(lambda u: div(grad(u)) + len(grad(u)), space=("x",))
    torch.testing.assert_close(values[:, 0], (D(U, X, X)(*points) + 1).detach())


def test_several_equations_are_columns():
    values, points = evaluate(lambda u, v, x, y: (d(u, x) - v, d(v, y), u * v))
    truth = [D(U, X)(*points) - V(*points), D(V, Y)(*points), U(*points) * V(*points)]
    torch.testing.assert_close(values, torch.stack(truth, 1).detach())


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda u, x: d(u, u), r"with respect to an expression; expected a coordinate \(x, y\)"),
        (lambda u, x: d(u, 2 * x), "with respect to an expression"),
        (lambda u, x: d(u, 2), "with respect to int"),
        (
            lambda u: d(u, "X"),
            r"with respect to 'X'; expected a coordinate \(x, y\); did you mean 'x'\?",
        ),
        (lambda u: d(u), r"names no coordinate; expected such as d\(u, x\)"),
        (lambda u, x: d((u, u), x), "differentiates tuple; expected an unknown"),
        (lambda u, x: d(u[:1], x), "differentiates shape"),
        (lambda u, x: div((u, u, u)), "got 3 components; expected one component for each of x, y"),
        (lambda u, x: div(u), "got Tensor"),
        (lambda u, x: normal(x) * u, r"normal\(…\): only a condition on a face of space"),
        (lambda u: normal_derivative(u), "only a condition on a face of space has a normal"),
    ],
)
def test_misuse_is_named(function, message):
    with pytest.raises(ProblemError, match=message):
        evaluate(function, {"u": U})


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        (d, "d"),
        (grad, "grad"),
        (div, "div"),
        (laplacian, "laplacian"),
        (normal, "normal"),
        (normal_derivative, "normal_derivative"),
    ],
)
def test_operators_need_an_evaluation(operator, name):
    with pytest.raises(ProblemError, match=rf"^{name}\(…\): works only while"):
        operator(torch.ones(2))
