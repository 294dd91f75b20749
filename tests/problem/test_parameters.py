"""Parameters, fields and data of problems: what they accept, and the one line that they refuse the
rest with."""

import math

import h5py
import numpy as np
import pandas
import pytest
import torch

from kanpde import (
    Box,
    Condition,
    Data,
    DataError,
    Dirichlet,
    Field,
    Initial,
    Parameter,
    Problem,
    ProblemError,
    ReferenceUnavailable,
    Time,
    d,
)
from kanpde.reference import reference


def heat(u, k, x, t):
    return d(u, t) - k * d(u, x, x)


TABLE = {
    "x": np.array([0.1, 0.5, 0.9]),
    "t": np.array([0.0, 0.5, 1.0]),
    "u": np.array([1.0, 2.0, 0.5]),
}
ROD = Box(x=(0, 1)) * Time(t=(0, 1))


def problem(data=None, parameters=None, equation=heat, conditions=None, **more):
    return Problem(
        ROD,
        [equation],
        conditions or [Dirichlet(u=0)],
        parameters=parameters or [Parameter("k")],
        data=Data(**TABLE) if data is None else data,
        **more,
    )


def test_parameters_stand_behind_the_unknowns_fields_first():
    def equation(u, q, k, x, t):
        return d(u, t) - k * d(u, x, x) - q

    found = problem(
        parameters=[Parameter("k", 2, positive=True), Field("q", of="x", initial=0)],
        equation=equation,
    )
    assert found.unknowns == ("u",)
    assert found.functions == ("u", "q")
    assert found.outputs == ("u", "q", "k")
    assert found.equations[0].needs == (("u", (0, 1)), ("u", (2, 0)), ("q", (0, 0)), ("k", (0, 0)))
    assert not found.equations[0].affine, "a product of two unknowns"


@pytest.mark.parametrize("kind", ["arrays", "mapping", "frame", "csv", "npz", "h5"])
def test_data_come_from_everywhere_with_noise_of_every_kind(kind, tmp_path):
    renamed = {
        "where": TABLE["x"],
        "when": TABLE["t"],
        "heat": TABLE["u"],
        "s": np.array([0.1, 0.2, 0.3]),
    }
    names = {"x": "where", "t": "when", "u": "heat"}
    if kind == "arrays":
        data = Data(**TABLE, noise=renamed["s"])
    elif kind in ("mapping", "frame"):
        data = Data(renamed if kind == "mapping" else pandas.DataFrame(renamed), noise="s", **names)
    else:
        path = tmp_path / f"rod.{kind}"
        if kind == "csv":
            pandas.DataFrame(renamed).to_csv(path, index=False)
        elif kind == "npz":
            np.savez(path, **renamed)
        else:
            with h5py.File(path, "w") as file:
                for name, values in renamed.items():
                    file[name] = values
        data = Data(path, noise="s", **names)
    (found,) = problem(data).data
    torch.testing.assert_close(
        found.points, torch.tensor([[0.1, 0], [0.5, 0.5], [0.9, 1]], dtype=torch.float64)
    )
    torch.testing.assert_close(found.values[:, 0], torch.from_numpy(TABLE["u"]))
    torch.testing.assert_close(
        found.noise[:, 0], torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    )
    assert problem(Data(**TABLE)).data[0].noise is None
    assert problem(Data(**TABLE, noise={"u": 0.5})).data[0].noise.tolist() == [[0.5]] * 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Parameter("k", 2, bounds=(0, 1)),
            (
                r"Parameter\('k'\): got initial=2; expected a number that its bounds allow, between"
                r" 0 and 1 and not on a bound"
            ),
        ),
        (
            lambda: Parameter("k", 0, positive=True),
            r"got initial=0; expected a number that its bounds allow, positive",
        ),
        (lambda: Parameter("k", 1, bounds=(3, 2)), r"got bounds=\(3, 2\); expected low < high"),
        (lambda: Parameter("k", 1, bounds=5), r"got bounds=5; expected two numbers"),
        (lambda: Parameter("k", math.nan), "got initial=nan; expected a finite number"),
        (lambda: Parameter("my k"), "expected a name that a function's argument can have"),
        (lambda: Field("k", of=()), "depends on no coordinate"),
        (lambda: problem(parameters=[Field("k", of="y")]), "'y' is no coordinate; they are x, t"),
        (lambda: problem(parameters=[Parameter("x")]), "that is a coordinate"),
        (
            lambda: problem(parameters=[Parameter("k"), Parameter("k")]),
            "two parameters have that name",
        ),
        (
            lambda: problem(parameters=[Parameter("kk")]),
            (
                "parameter 'kk': no equation mentions it; expected it among their arguments, u, k,"
                " x, t; did you mean 'k'"
            ),
        ),
        (lambda: problem(parameters=[Parameter]), "got the class Parameter; expected Parameter"),
        (lambda: problem(data=[TABLE]), r"Problem\(data=…\): got dict; expected Data\(…\)"),
        (
            lambda: problem(exact={"k": lambda x: x}),
            "expected the parameter's true value, a number",
        ),
    ],
)
def test_what_is_refused_of_parameters(make, message):
    with pytest.raises(ProblemError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Data(), "got nothing"),
        (lambda: Data(x="a", u=TABLE["u"]), "names a column, but there is no table"),
        (lambda: Data(TABLE, u=TABLE["u"]), "got an array beside a table"),
        (lambda: Data("nowhere.csv"), "no such file"),
        (
            lambda: problem(Data(TABLE, v="u")),
            r"'v' is neither a coordinate \(x, t\) nor an unknown \(u\)",
        ),
        (
            lambda: problem(Data({**TABLE, "z": TABLE["x"]}, u="uu")),
            "no column 'uu'; it has x, t, u, z; did you mean 'u'",
        ),
        (
            lambda: problem(Data({"x": TABLE["x"], "u": TABLE["u"]})),
            "no column 't'; it has x, u; say which one it is, such as t='x'",
        ),
        (
            lambda: problem(Data({"x": TABLE["x"], "t": TABLE["t"], "T": TABLE["u"]})),
            r"no column is an unknown \(u\); it has x, t, T",
        ),
        (
            lambda: problem(Data({**TABLE, "u": [1, math.nan, 2]})),
            "row 2, column 'u': the value is missing",
        ),
        (
            lambda: problem(Data({**TABLE, "x": [0.1, 1.5, -2]})),
            (
                r"2 of 3 rows lie outside of Box\(x=\(0, 1\)\) \* Time\(t=\(0, 1\)\) \(row 2:"
                r" x=1.5, t=0.5; row 3: x=-2, t=1\)"
            ),
        ),
        (
            lambda: problem(Data(TABLE, noise=0)),
            "the noise of 'u' is 0 in row 1; expected a positive standard deviation",
        ),
        (
            lambda: problem(Data(TABLE, noise=[0.1, 0.2])),
            r"noise of 'u' has shape \[2\]; expected one standard deviation for each of 3 rows",
        ),
        (
            lambda: problem(Data(TABLE, noise={"v": 1})),
            "got noise of v; expected one for each of the measured u",
        ),
    ],
)
def test_what_is_refused_of_data(make, message):
    with pytest.raises(DataError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)


def test_points_beyond_an_end_by_rounding_are_moved_onto_it():
    (found,) = problem(Data({**TABLE, "x": [0, 1 + 1e-12, -1e-13]})).data
    assert found.points[:, 0].tolist() == [0, 1, 0]


def test_parameters_that_nothing_determines_are_refused():
    with pytest.raises(ProblemError, match=r"parameter 'k': nothing determines it.*add 1 cond"):
        problem(data=[], conditions=[Dirichlet(u=0), Initial(u=lambda x: 4 * x * (1 - x))])


def test_a_settled_problem_is_an_ordinary_one():
    """Parameters become numbers in equations and conditions: u = e^-kt cos x with a condition at
    the end that k stands in."""
    k = 0.7
    free = Problem(
        Box(x=(0, 1)) * Time(t=(0, 1)),
        [heat],
        [
            Condition(lambda u, k, x: d(u, x) + k / 0.7 * u * math.tan(1), on="x+"),
            Dirichlet(u=lambda t: torch.exp(-k * t), on="x-"),
            Initial(u=lambda x: torch.cos(x)),
        ],
        parameters=[Parameter("k")],
        data=Data(**TABLE),
    )
    known = free.settled({"k": k})
    assert known.parameters == ()
    assert known.data == ()
    found = reference(known, order=4, cells=64)
    wanted = np.exp(-k * found.coordinates["t"]) * np.cos(found.coordinates["x"][:, None])
    assert np.abs(found.values["u"] - wanted).max() < 1e-5
    with pytest.raises(ReferenceUnavailable, match="its parameters k are unknown"):
        reference(free)
