"""Eigenvalue problems: what may be asked for, what is refused, and how they are counted."""

import numpy as np
import pytest

from kanpde import (
    Box,
    Data,
    Dirichlet,
    Eigenvalue,
    Neumann,
    Parameter,
    Problem,
    ProblemError,
    RecipeError,
    Time,
    d,
)
from kanpde.networks.kan import KAN
from kanpde.problem.eigenvalues import Mode
from kanpde.problem.pencil import (
    asked_for,
    counted,
    groups_of,
    matched,
    real_vector,
    shift_for,
    turned,
)
from kanpde.solver import solve


def string(u, x, lam):
    return d(u, x, x) + lam * u


def problem(equation=string, conditions=None, which=1, **more):
    given = {"parameters": [Eigenvalue("lam", which=which)], "domain": Box(x=(0, 1)), **more}
    return Problem(equations=[equation], conditions=conditions or [Dirichlet(u=0)], **given)


def test_several_are_stated_once_for_each():
    found = problem(which=(1, 3))
    assert found.unknowns == ("u_1", "u_3")
    assert found.outputs == ("u_1", "u_3", "lam_1", "lam_3")
    assert [c.label for c in found.constraints if "u_3" in c.label]
    again = found.replace(title="another")
    assert again.unknowns == found.unknowns
    assert found.pencil.settled(2.0).unknowns == ("u_1",)


def test_one_keeps_its_names():
    found = problem()
    assert found.outputs == ("u", "lam")
    assert found.pencil.modes == (Mode("lam", ("u",), 1, None),)


def no_multiple(u, x, lam):
    return d(u, x, x) + lam**2 * u


def squared(u, x, lam):
    return d(u, x, x) + lam * u**2


def driven(u, x, lam):
    return d(u, x, x) + lam * u + 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: problem(squared), "is not linear in u"),
        (lambda: problem(driven), "is 1 where the unknowns vanish"),
        (lambda: problem(no_multiple), "by more than a multiple"),
        (lambda: problem(conditions=[Dirichlet(u=2)]), "is 2 where the unknowns vanish"),
        (lambda: problem(which=0), "expected 1 for the first"),
        (lambda: problem(which=(1, 1)), "expected 1 for the first"),
        (lambda: Eigenvalue("lam", which=1, near=3), "which=1, which=(1, 2) or near=10"),
        (
            lambda: problem(parameters=[Eigenvalue("lam"), Parameter("k")]),
            "another parameter beside it, k",
        ),
        (
            lambda: Problem(
                domain=Box(x=(0, 1)) * Time(t=(0, 1)),
                equations=[lambda u, x, t, lam: d(u, t) - d(u, x, x) + lam * u],
                conditions=[Dirichlet(u=0)],
                parameters=[Eigenvalue("lam")],
            ),
            "the domain has a time",
        ),
        (
            lambda: problem(data=[Data(u=np.ones(2), x=np.array([0.2, 0.4]))]),
            "data beside it",
        ),
    ],
)
def test_what_is_refused(make, said):
    with pytest.raises(ProblemError) as caught:
        make()
    assert said in str(caught.value)


def test_layers_find_none():
    with pytest.raises(RecipeError, match="layers do not find eigenvalues"):
        solve(problem(), network=KAN(width=(3,)), reference=False)


@pytest.mark.parametrize(
    ("values", "order"),
    [
        ([5, -2, 1, 30, 40, 900], [-2, 1, 5, 30, 40, 900]),
        ([-5, 2, -1, -30, -40, -900], [2, -1, -5, -30, -40, -900]),
        ([-5, 2, -1, 30, -40, 900], [-1, 2, -5, 30, -40, 900]),
        ([3 + 1j, 3 - 1j, 7, 20, 30, np.inf], [7, 20, 30]),
    ],
)
def test_they_are_counted_from_where_they_begin(values, order):
    assert counted(np.array(values, dtype=complex)).tolist() == order


def test_those_that_are_asked_for():
    values = np.array([9.0, 1, 4, 16, 25], dtype=complex)
    first, near = Mode("a", ("u",), 2, None), Mode("b", ("u",), None, 15.0)
    assert asked_for([first, near], values).tolist() == [4, 16]
    with pytest.raises(ProblemError, match="5 real eigenvalues"):
        asked_for([Mode("a", ("u",), 6, None)], values)


def test_shifts_are_near_and_none_of_them():
    known = np.array([1.0, 4, 9, 9, 16])
    shift, count = shift_for(np.array([9.0, 9.0]), known)
    assert 0 < abs(shift - 9) < 1
    assert count == 2
    assert matched(np.array([9.0, 9.0]), known) == [2, 3]
    assert groups_of(known, 16.0) == [[0], [1], [2, 3], [4]]


def test_mixtures_are_the_nearest():
    rng = np.random.default_rng(0)
    functions, mixture = rng.standard_normal((2, 50)), np.array([[0.3, 2.0], [-1.0, 0.1]])
    assert turned(mixture @ functions, functions) == pytest.approx(mixture)


def test_two_equal_ones_that_rounding_makes_conjugates_have_two_functions():
    value, vector = 5 + 1e-12j, np.array([1.0 + 2.0j, 3.0 - 1.0j])
    assert real_vector(vector, value).tolist() == [1, 3]
    assert np.abs(real_vector(vector.conj(), value.conjugate())).tolist() == [2, 1]


def one_more(u, x, k):
    return k * d(u, x, x) + 10


def test_a_condition_that_is_missing_is_named():
    with pytest.raises(ProblemError, match="parameter 'k': nothing determines it") as caught:
        Problem(
            domain=Box(x=(0, 1)),
            equations=[one_more],
            conditions=[Dirichlet(u=0)],
            parameters=[Parameter("k")],
        )
    assert "add 1 condition" in str(caught.value)


def test_a_condition_too_many_is_refused():
    with pytest.raises(ProblemError, match="leave some out"):
        Problem(
            domain=Box(x=(0, 1)),
            equations=[one_more],
            conditions=[Dirichlet(u=0), Neumann(u=1)],
            parameters=[Parameter("k")],
        )
