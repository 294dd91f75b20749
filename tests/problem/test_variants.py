"""Problems that follow from another: over a part of its time, and with numbers for its
parameters."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from kanpde import (
    Box,
    Condition,
    Data,
    Dirichlet,
    Initial,
    Parameter,
    Problem,
    ProblemError,
    Time,
    d,
)

ROD = Box(x=(0, 1)) * Time(t=(0, 2))


def heat(u, x, t):
    return d(u, t) - d(u, x, x)


def cooling(u, k, x, t):
    return d(u, t) - k * d(u, x, x)


def problem(*conditions, **more):
    given = [Dirichlet(u=0), *(conditions or [Initial(u=lambda x: x * (1 - x))])]
    return Problem(ROD, [heat], given, name="rod", units={"u": "K"}, **more)


def labels(found):
    return [c.label for c in found.constraints]


def test_a_first_span_starts_as_the_problem_does():
    part = problem().during(0, 0.5)
    assert part.domain.bounds["t"] == (0, 0.5)
    assert labels(part) == labels(problem())
    assert (part.name, part.units) == ("rod", {"u": "K"})
    assert part.groups[0][0] is part.domain


@pytest.mark.parametrize(
    "start",
    [
        Initial(u=0),
        Dirichlet(u=0, on="t-"),
        Dirichlet(u=0, on=("x-", "t-")),
        Condition(lambda u: u, on="t-"),
    ],
)
def test_a_later_span_starts_where_the_last_one_ended(start):
    """Whatever says how the problem starts is left out, and nothing else."""
    whole = Problem(ROD, [heat], [start, Dirichlet(u=0, on="x+")], warn=False)
    part = whole.during(1, 2, {"u": lambda x: x})
    assert [c for c in labels(part) if "t-" in c or "Initial" in c] == ["Initial(u=<lambda>)"]
    kept = [c for c in labels(whole) if c.endswith(("x-", "x+"))]
    assert labels(part) == [*kept, "Initial(u=<lambda>)"]
    assert part.constraints[-1].prescribed.data({"x": torch.tensor([0.25])}).tolist() == [0.25]


def test_a_condition_that_holds_at_no_time_of_a_span_is_left_out():
    early = Dirichlet(u=0, on="x-", where=lambda t: t < 0.5)
    whole = Problem(ROD, [heat], [early, Dirichlet(u=0, on="x+"), Initial(u=0)])
    assert labels(whole.during(0, 1)) == labels(whole)
    assert labels(whole.during(1, 2, {"u": 0})) == ["Dirichlet(u=0) on x+", "Initial(u=0)"]


def test_a_span_has_the_data_of_its_time():
    noise = np.array([0.1, 0.2, 0.3])
    data = Data(x=[0.5, 0.5, 0.5], t=[0.0, 1.0, 2.0], u=[3.0, 2.0, 1.0], noise=noise)
    whole = problem(data=data)
    (found,) = whole.during(0.9, 2).data
    assert found.points[:, 1].tolist() == [1, 2]
    assert found.values[:, 0].tolist() == [2, 1]
    assert found.noise[:, 0].tolist() == [0.2, 0.3]
    assert whole.during(0.1, 0.9).data == ()
    assert whole.data[0].values[:, 0].tolist() == [3, 2, 1]


def test_a_settled_problem_goes_through_the_constructor():
    """What only data determined is refused when they are gone."""
    data = Data(x=[0.1, 0.9], t=[0.0, 1.0], u=[1.0, 2.0])
    free = Problem(
        ROD, [cooling], [Condition(lambda u, x: d(u, x))], parameters=[Parameter("k")], data=data
    )
    with pytest.raises(ProblemError, match="determined up to a constant"):
        free.settled({"k": 1.0})
    known = free.replace(conditions=[Dirichlet(u=0), Initial(u=0)]).settled({"k": 0.5})
    assert (known.parameters, known.data, known.truth) == ((), (), {})
    (equation,) = known.equations
    assert equation.name == "cooling()"
    assert equation.arguments == ("u", "x", "t")
    at = {x: torch.zeros(1, dtype=torch.float64) for x in ("x", "t")}
    values, _ = equation(at, torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    assert values.tolist() == [[1.0]]


def test_a_script_finds_the_data_beside_it(tmp_path):
    (tmp_path / "rod.csv").write_text("x,t,u\n0.5,0,1\n")
    script = tmp_path / "script.py"
    script.write_text("from kanpde import Data\nprint(Data('rod.csv').table.rows)\n")
    done = subprocess.run(
        [sys.executable, script], cwd="/", capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "1\n", done.stderr
