"""Families: what is refused, and the problem at one value."""

import math

import pytest
import torch
from torch import exp, sin

from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Disk,
    Initial,
    Neumann,
    Parameter,
    Problem,
    Time,
    d,
    integral,
)
from kanpde.errors import ProblemError
from kanpde.problem.families import pinned
from kanpde.problem.file import load

nu = 0.3


def heat(u, x, t, k):
    return d(u, t) - k * d(u, x, x)


def by_constant(u, x, t):
    return d(u, t) - nu * d(u, x, x)


def rod(**changes):
    """Heat whose conductivity is a family."""
    given = {
        "domain": Box(x=(0, 1)) * Time(t=(0, 1)),
        "equations": [heat],
        "conditions": [Dirichlet(u=0), Initial(u=lambda x: sin(math.pi * x))],
        "family": {"k": (0.1, 1)},
    }
    return Problem(**{**given, **changes})


def test_parameters_are_coordinates_without_faces():
    problem = rod()
    assert problem.coordinates == ("k", "x", "t")
    assert list(problem.domain.faces) == ["x-", "x+", "t-"]
    assert (problem.domain.space, problem.domain.own) == (("x",), ("x", "t"))
    assert dict(problem.family) == {"k": (0.1, 1.0)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"family": {"x": (0, 1)}}, "'x' is a coordinate of the domain"),
        ({"family": {"u": (0, 1)}}, "'u' is an unknown"),
        ({"family": {"q": (0, 1)}}, "no equation or condition mentions 'q'"),
        ({"family": {"k": (1, 1)}}, "got (1, 1); expected low < high"),
        ({"family": {"k": (1, 0)}}, "did you mean (0, 1)?"),
        ({"family": {"k": 3}}, "got 3; expected (low, high)"),
        ({"family": ["k"]}, "expected ranges by name, such as family={'k': (0.1, 1)}"),
        ({"family": {"not a name": (0, 1)}}, "expected a name that an argument can have"),
        (
            {"equations": [by_constant], "family": {"nu": (0.1, 1)}},
            "'nu' is a constant of the file; take it as an argument, by_constant(u, x, t, nu)",
        ),
        ({"constants": {"k": 0.5}}, "k=0.5: 'k' is a parameter of the family"),
        ({"parameters": [Parameter("c")]}, "takes neither parameters=… nor data=…"),
        (
            {"domain": Disk(), "conditions": [Dirichlet(u=0)], "equations": [lambda u, k: u - k]},
            "expected Box(…), Box(…) * Time(…) or Time(…)",
        ),
        (
            {"equations": [lambda u, x, t, k: d(u, t) - k * d(u, x, x) + integral(u, x)]},
            "holds an integral or a value at another place, which a family does not take",
        ),
        ({"family": dict.fromkeys("abcd", (0, 1))}, "expected at most 5 in all"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(changes, words):
    with pytest.raises(ProblemError) as caught:
        rod(**changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "'k' is missing"),
        ({"k": 2}, "expected a number between 0.1 and 1"),
        ({"k": math.nan}, "expected a number between 0.1 and 1"),
        ({"k": 0.5, "q": 1}, "no such parameter of the family; they are k"),
    ],
)
def test_members_are_at_values_of_the_family(values, words):
    with pytest.raises(ProblemError, match=words):
        rod().member(**values)


def everything():
    """A family that has its parameter in conditions of all kinds, at a part of a face as well."""
    return Problem(
        domain=Box(x=(0, 1), y=(0, 1)),
        equations=[lambda u, x, y, k: d(u, x, x) + k * d(u, y, y) - k * x],
        conditions=[
            Dirichlet(u=lambda y, k: k * y, on="x-"),
            Dirichlet(u=lambda k: k, on="x+"),
            Neumann(u=lambda x, k: x + k, on="y-", where=lambda x, k: x < k),
            Condition(lambda u, x, y, k: d(u, y) + k * u, on="y+"),
        ],
        exact={"u": lambda x, k: exp(-k * x)},
        family={"k": (0.1, 1)},
    )


def test_members_have_the_residuals_of_the_family():
    problem = everything()
    generator = torch.Generator().manual_seed(0)
    at = {x: torch.rand(20, generator=generator, dtype=torch.float64) for x in "xy"}
    k = torch.full((20,), 0.3, dtype=torch.float64)
    for one in (problem.member(k=0.3), pinned(problem, {"k": 0.3})):
        assert one.coordinates == ("x", "y")
        assert not one.domain.family
        pairs = [(a, b, None) for a, b in zip(problem.equations, one.equations, strict=True)]
        pairs += [
            (a.residual, b.residual, problem.domain.faces[a.face])
            for a, b in zip(problem.constraints, one.constraints, strict=True)
        ]
        for whole, own, face in pairs:
            assert [(u, i[1:]) for u, i in whole.needs] == list(own.needs)
            values = torch.rand(20, len(own.needs), generator=generator, dtype=torch.float64)
            side = None if face is None else face.coordinate
            normal = {x: torch.full((20,), float(side == x)).double() for x in "xy"}
            wanted = whole({"k": k, **at}, values, {"k": 0 * k, **normal})
            found = own(at, values, normal)
            for a, b in zip(wanted, found, strict=True):
                torch.testing.assert_close(a, b, rtol=0, atol=0)
        for a, b in zip(problem.constraints, one.constraints, strict=True):
            assert (a.where is None) == (b.where is None)
            if a.where is not None:
                assert torch.equal(a.where({"k": k, **at}), b.where(at))
            if a.prescribed is not None:
                wanted = a.prescribed.data({"k": k, **at})
                torch.testing.assert_close(wanted, b.prescribed.data(at), rtol=0, atol=0)


def test_a_member_has_the_exact_solution_at_its_value():
    x = torch.linspace(0, 1, 5, dtype=torch.float64)
    found = everything().member(k=0.3).exact_values({"x": x, "y": x})["u"]
    torch.testing.assert_close(found, exp(-0.3 * x))


def test_an_evolution_over_a_part_of_its_time_is_a_family_still():
    part = rod().during(0.2, 0.5)
    assert part.domain.bounds["t"] == (0.2, 0.5)
    assert dict(part.family) == {"k": (0.1, 1.0)}


def test_time_alone_may_have_a_family():
    problem = Problem(
        domain=Time(t=(0, 2)),
        equations=[lambda y, t, k: d(y, t, t) + k * y],
        conditions=[Initial(y=1, y_t=lambda k: k)],
        family={"k": (1, 2)},
    )
    assert problem.coordinates == ("k", "t")
    assert problem.member(k=1.5).coordinates == ("t",)


def test_the_gallery_has_a_family():
    problem, _ = load("burgers1d_family")
    with pytest.raises(ProblemError, match="nu"):
        load("burgers1d_family", {"nu": 0.01})
    assert list(problem.family) == ["nu"]
