"""Problems: what they know of themselves, what they refuse or warn of, and how their files are
loaded."""

import sys
import warnings
from math import pi

import pytest
import torch
from torch import exp, sin

from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Initial,
    Neumann,
    Periodic,
    Problem,
    ProblemError,
    ProblemWarning,
    Robin,
    Time,
    d,
    laplacian,
)
from kanpde.problem.file import load
from kanpde.problem.gallery import title

line = Box(x=(0, 1))
square = Box(x=(0, 1), y=(0, 1))
rod = line * Time(t=(0, 1))
plate = square * Time(t=(0, 1))
piece = [Dirichlet(u=1, on="x-", where=lambda y: y > 0.6), Neumann(u=0, on=("x+", "y-", "y+"))]


def poisson(u, x, y):
    return laplacian(u) + x


def poisson1d(u, x):
    return d(u, x, x) + x


def heat(u, x, t):
    return d(u, t) - d(u, x, x)


def sheet(u, x, y, t):
    return d(u, t) - laplacian(u)


def wave(u, x, t):
    return d(u, t, t) - d(u, x, x)


def steps(u, v, x, t):
    """Two coupled reactions, in one function."""
    return d(u, t) - d(u, x, x) + u * v, d(v, t) - d(v, x, x) - u * v


def test_a_problem_knows_itself():
    problem = Problem(
        rod, wave, [Dirichlet(u=0), Initial(u=0, u_t=lambda x: sin(x))], exact={"u": lambda x: x}
    )
    assert problem.coordinates == ("x", "t")
    assert problem.unknowns == ("u",)
    assert problem.order("u", "x") == problem.order("u", "t") == problem.time_order == 2
    assert [c.label for c in problem.constraints] == [
        "Dirichlet(u=0) on x-",
        "Dirichlet(u=0) on x+",
        "Initial(u=0)",
        "Initial(u_t=<lambda>)",
    ]
    assert problem.periodic == ()
    assert problem.source is None
    points = torch.tensor([[0.25, 0.0], [0.5, 1.0]])
    assert problem.exact_values(points)["u"].tolist() == [0.25, 0.5]
    assert problem.exact_values({"x": points[:, 0], "t": points[:, 1]})["u"].tolist() == [0.25, 0.5]
    assert repr(problem) == "Problem(problem: u on Box(x=(0, 1)) * Time(t=(0, 1)))"


def test_an_exact_solution_may_be_singular_at_points():
    problem = Problem(line, poisson1d, Dirichlet(u=0), exact={"u": lambda x: 1 / x})
    assert problem.exact_values({"x": torch.zeros(1)})["u"].isinf().all()


def test_a_problem_is_frozen():
    problem = Problem(square, poisson, Dirichlet(u=0))
    with pytest.raises(AttributeError, match="frozen; make a new one instead of setting 'name'"):
        problem.name = "other"


def test_steady_problems_have_no_time():
    problem = Problem(square, poisson, Dirichlet(u=0))
    assert problem.time_order == 0
    assert problem.exact_values(torch.zeros(3, 2)) == {}


def test_systems_keep_the_order_of_their_equations():
    problem = Problem(rod, steps, [Neumann(v=0, u=0), Initial(v=1, u=0)])
    assert problem.unknowns == ("u", "v")
    assert problem.equations[0].equations == 2


@pytest.mark.parametrize(
    ("conditions", "exact", "given"),
    [
        ([Dirichlet(v=0, u=0)], None, None),
        ([Condition(lambda u: u), Condition(lambda v: v)], None, None),
        ([Periodic("x")], {"u": 0, "v": 0}, None),
        ([Dirichlet(v=0)], {"u": 0}, None),
        ([Dirichlet(v=0), Condition(lambda u, x: u - x)], None, None),
        ([Dirichlet(v=0)], None, ["v", "u"]),
        ([Periodic("x")], None, None),
    ],
)
def test_unknowns_are_those_that_something_names(conditions, exact, given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ProblemWarning)
        problem = Problem(
            line,
            [lambda u, v, x: (d(u, x, x) - v, d(v, x, x) + u)],
            conditions,
            exact=exact,
            unknowns=given,
        )
    assert problem.unknowns == ("u", "v")


def test_unknowns_with_underscores():
    problem = Problem(
        rod,
        lambda c_a, x, t: d(c_a, t, t) - d(c_a, x, x),
        [Dirichlet(c_a=0), Initial(c_a=0, c_a_t=1)],
    )
    assert problem.unknowns == ("c_a",)
    problem = Problem(
        rod,
        lambda u, u_t, x, t: (d(u, t) - u_t, d(u_t, t) - d(u, x, x)),
        [Dirichlet(u=0), Initial(u=0, u_t=1)],
    )
    assert problem.unknowns == ("u", "u_t")
    assert [c.prescribed.derivative for c in problem.constraints[2:]] == [0, 0]


accepted = {
    "Neumann, and a value on one face": lambda: Problem(
        square, poisson, [Dirichlet(u=0, on="x-"), Neumann(u=0, on=("x+", "y-", "y+"))]
    ),
    "all Neumann, pinned on a piece": lambda: Problem(
        square, poisson, [Neumann(u=0), Dirichlet(u=0, on="x-", where=lambda y: y < 0.1)]
    ),
    "all Neumann, pinned at an end": lambda: Problem(
        line, poisson1d, [Neumann(u=0), Dirichlet(u=0, on="x-")]
    ),
    "all Robin": lambda: Problem(square, poisson, [Robin(u=0)]),
    "a Condition with the value": lambda: Problem(
        line, poisson1d, [Condition(lambda u, x: d(u, x) + u**4, on="x-"), Neumann(u=0, on="x+")]
    ),
    "all Neumann, with a reaction": lambda: Problem(
        square, lambda u: laplacian(u) - u, [Neumann(u=0)]
    ),
    "all Neumann, in time": lambda: Problem(rod, heat, [Neumann(u=0), Initial(u=0)]),
    "periodic, in time": lambda: Problem(rod, heat, [Periodic("x"), Initial(u=0)]),
    "channel": lambda: Problem(square, poisson, [Periodic("x"), Dirichlet(u=0, on=("y-", "y+"))]),
    "inflow": lambda: Problem(
        rod, lambda u, x, t: d(u, t) + d(u, x), [Dirichlet(u=0, on="x-"), Initial(u=0)]
    ),
    "outflow at both ends": lambda: Problem(
        rod, lambda u, x, t: d(u, t) + (x - 0.5) * d(u, x), Initial(u=0)
    ),
    "KdV": lambda: Problem(
        rod,
        lambda u, x, t: d(u, t) + 6 * u * d(u, x) + d(u, x, x, x),
        [Periodic("x"), Initial(u=lambda x: exp(sin(2 * pi * x)))],
    ),
    "start value and slope": lambda: Problem(
        line, poisson1d, [Dirichlet(u=0, on="x-"), Neumann(u=0, on="x-")]
    ),
    "first-order system": lambda: Problem(
        line, lambda u, v, x: (d(u, x) - v, d(v, x) - x), [Dirichlet(u=0)], unknowns=["u", "v"]
    ),
    "a beam as a system": lambda: Problem(
        line,
        lambda u, v, x: (d(u, x, x) - v, d(v, x, x) - x),
        [Dirichlet(u=0), Neumann(u=0)],
        unknowns=["u", "v"],
    ),
    "pieces of a face": lambda: Problem(
        square,
        poisson,
        [
            Dirichlet(u=0, on="x-", where=lambda y: y < 0.5),
            Dirichlet(u=1, on="x-", where=lambda y: y >= 0.5),
            Dirichlet(u=0, on=("x+", "y-", "y+")),
        ],
    ),
    "initial value as Dirichlet": lambda: Problem(
        rod, heat, [Dirichlet(u=0), Dirichlet(u=lambda x: sin(pi * x), on="t-")]
    ),
    "a kink on a ring": lambda: Problem(
        rod, heat, [Periodic("x"), Initial(u=lambda x: x * (1 - x))]
    ),
    "a boundary value that is singular at the start": lambda: Problem(
        rod, heat, [Dirichlet(u=lambda t: sin(1 / t)), Initial(u=1)]
    ),
    "values on a piece of a face": lambda: Problem(
        plate, sheet, [*piece, Initial(u=lambda x, y: y.clamp(max=0.5) * 2)]
    ),
    "four dimensions and time": lambda: Problem(
        Box(a=(0, 1), b=(0, 1), c=(0, 1), e=(0, 1)) * Time(t=(0, 1)),
        lambda u, t: d(u, t) - laplacian(u),
        [Dirichlet(u=0), Initial(u=0)],
    ),
}


@pytest.mark.parametrize("case", accepted)
def test_well_posed_problems_pass_without_a_word(case):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        accepted[case]()


refused = {
    "domain": (
        lambda: Problem("square", poisson),
        r"Problem\(domain=…\): got str; expected a domain such as Box",
    ),
    "no equations": (lambda: Problem(square, []), r"Problem\(equations=…\): got none"),
    "equations are no functions": (
        lambda: Problem(square, [3]),
        r"Problem\(equations=…\): got int; expected functions",
    ),
    "equations are a string": (
        lambda: Problem(square, "laplacian(u)"),
        r"Problem\(equations=…\): got str",
    ),
    "equation with *args": (
        lambda: Problem(square, lambda *args: args[0]),
        r"<lambda>\(\): argument '\*args' has no name to match",
    ),
    "conditions are no conditions": (
        lambda: Problem(square, poisson, [0]),
        r"Problem\(conditions=…\): got int; expected Dirichlet\(…\), ",
    ),
    "a condition's class": (
        lambda: Problem(square, poisson, Dirichlet),
        r"Problem\(conditions=…\): got the class Dirichlet",
    ),
    "conditions None": (
        lambda: Problem(square, poisson, None),
        r"Problem\(conditions=…\): got NoneType",
    ),
    "exact is a function": (
        lambda: Problem(square, poisson, Dirichlet(u=0), exact=sin),
        r"Problem\(exact=…\): got builtin_function.*such as exact=\{'u': exact\}",
    ),
    "exact of nobody": (
        lambda: Problem(square, poisson, Dirichlet(u=0), exact={"w": 0}),
        r"unknown 'w': no equation mentions it; the equations' unknowns are u",
    ),
    "exact of others": (
        lambda: Problem(square, poisson, exact={"w": 0}, unknowns=["u"]),
        r"Problem\(exact=\{'w': …\}\): no such unknown; they are u",
    ),
    "exact with a wrong name": (
        lambda: Problem(square, poisson, Dirichlet(u=0), exact={"u": lambda x, z: x}),
        r"exact\['u'\]: argument 'z' is not a coordinate \(x, y\)",
    ),
    "exact of the wrong shape": (
        lambda: Problem(square, poisson, Dirichlet(u=0), exact={"u": lambda x: x.sum()[None]}),
        r"exact\['u'\]: returned shape \[1\] for 2 points",
    ),
    "misspelt unknown": (
        lambda: Problem(
            square, lambda temprature, x: laplacian(temprature), Dirichlet(temperature=0)
        ),
        "unknown 'temperature': no equation mentions it.*did you mean 'temprature'",
    ),
    "misspelt coordinate": (
        lambda: Problem(square, lambda u, X: laplacian(u) + X, Dirichlet(u=0)),
        r"argument 'X' is neither an unknown \(u\) nor a coordinate \(x, y\); did you mean 'x'\?",
    ),
    "unknown without condition": (
        lambda: Problem(square, lambda u, p: (laplacian(u) + p, laplacian(p)), Dirichlet(u=0)),
        r"argument 'p' is neither.*; name an unknown without conditions in unknowns=\['u', 'p'\]",
    ),
    "unknown is a coordinate": (
        lambda: Problem(square, poisson, Dirichlet(x=0)),
        r"unknown 'x': that is a coordinate of Box",
    ),
    "unknowns is a string": (
        lambda: Problem(square, poisson, unknowns="u"),
        r"unknowns='u'\): got a string; expected a list",
    ),
    "no unknown": (lambda: Problem(square, lambda x, y: x + y), r"Problem\(…\): no unknown"),
    "unused unknown": (
        lambda: Problem(
            square, [poisson, lambda u, v, x, y: laplacian(u) + y], Dirichlet(u=0, v=0)
        ),
        "unknown 'v': no equation depends on it",
    ),
    "too few equations": (
        lambda: Problem(line, lambda u, v, x: d(u, x, x) + v, Dirichlet(u=0, v=0)),
        r"1 equation for 2 unknowns \(u, v\); expected as many of each",
    ),
    "order five": (
        lambda: Problem(line, lambda u, x: d(u, x, x, x, x, x) + u, Dirichlet(u=0)),
        r"<lambda>\(\): asks for a derivative of order 5; expected at most 4",
    ),
    "order five in a condition": (
        lambda: Problem(line, poisson1d, Condition(lambda u, x: d(u, x, x, x, x, x), on="x-")),
        r"Condition\(<lambda>\) on x-: asks for a derivative of order 5",
    ),
    "wrong shape": (
        lambda: Problem(square, lambda u, x: u.sum(), Dirichlet(u=0)),
        r"<lambda>\(\): returned shape \[\] for 2 points",
    ),
    "missing face": (
        lambda: Problem(square, poisson, Dirichlet(u=0, on="z+")),
        r"Dirichlet\(on='z\+'\): this domain has no face 'z\+'",
    ),
    "two values": (
        lambda: Problem(square, poisson, [Dirichlet(u=0), Dirichlet(u=1, on="x-")]),
        r"Dirichlet\(u=1\) on x- contradicts Dirichlet\(u=0\) on x-; keep one",
    ),
    "one value twice": (
        lambda: Problem(square, poisson, [Dirichlet(u=0), Dirichlet(u=0, on="x-")]),
        r"Dirichlet\(u=0\) on x- repeats Dirichlet\(u=0\) on x-",
    ),
    "two slopes": (
        lambda: Problem(
            line, poisson1d, [Dirichlet(u=0, on="x-"), Neumann(u=0, on="x+"), Neumann(u=1, on="x+")]
        ),
        r"Neumann\(u=1\) on x\+ contradicts Neumann\(u=0\) on x\+",
    ),
    "two starts": (
        lambda: Problem(rod, heat, [Dirichlet(u=0), Initial(u=0), Initial(u=1)]),
        r"Initial\(u=1\) contradicts Initial\(u=0\)",
    ),
    "periodic and Dirichlet": (
        lambda: Problem(square, poisson, [Periodic("x"), Dirichlet(u=0)]),
        (
            r"Periodic\('x'\) contradicts Dirichlet\(u=0\) on x-: .*; put the condition on=\('y-',"
            r" 'y\+'\)"
        ),
    ),
    "periodic and Condition": (
        lambda: Problem(line, poisson1d, [Periodic("x"), Condition(lambda u: u, on="x+")]),
        r"Periodic\('x'\) contradicts Condition\(<lambda>\) on x\+.*leave one of them out",
    ),
    "value and slope all around": (
        lambda: Problem(square, poisson, [Dirichlet(u=0), Neumann(u=0)]),
        (
            r"4 conditions along 'x' \(.*Neumann\(u=0\) on x\+\), but the equations are only of"
            r" order 2 along it"
        ),
    ),
    "one too many": (
        lambda: Problem(line, poisson1d, [Dirichlet(u=0), Neumann(u=0, on="x-")]),
        r"3 conditions along 'x'.*only of order 2",
    ),
    "outflow given": (
        lambda: Problem(rod, lambda u, x, t: d(u, t) + d(u, x), [Dirichlet(u=0), Initial(u=0)]),
        r"2 conditions along 'x'.*only of order 1 along it",
    ),
    "velocity of heat": (
        lambda: Problem(rod, heat, [Dirichlet(u=0), Initial(u=0, u_t=0)]),
        (
            r"2 conditions along 't' \(Initial\(u=0\), Initial\(u_t=0\)\), but the equations are"
            r" only of order 1"
        ),
    ),
    "all Neumann": (
        lambda: Problem(square, poisson, Neumann(u=0)),
        (
            r"unknown 'u': enters only through its derivatives.*; pin its value, such as"
            r" Dirichlet\(u=0, on='x-', where=…\)"
        ),
    ),
    "all Neumann on a line": (
        lambda: Problem(line, poisson1d, Neumann(u=0)),
        r"pin its value, such as Dirichlet\(u=0, on='x-'\)$",
    ),
    "periodic Poisson": (
        lambda: Problem(square, poisson, Periodic("x", "y"), unknowns=["u"]),
        "unknown 'u': enters only through its derivatives.*; add a term in u itself",
    ),
    "all Neumann, no start": (
        lambda: Problem(rod, heat, Neumann(u=0)),
        r"unknown 'u': enters only through its derivatives.*; add Initial\(u=…\)",
    ),
    "pressure": (
        lambda: Problem(
            square,
            lambda u, v, p, x, y: (
                laplacian(u) - d(p, x),
                laplacian(v) - d(p, y),
                d(u, x) + d(v, y),
            ),
            Dirichlet(u=0, v=0),
            unknowns=["u", "v", "p"],
        ),
        "unknown 'p': enters only through its derivatives",
    ),
    "no condition along y": (
        lambda: Problem(square, poisson, Dirichlet(u=0, on=("x-", "x+"))),
        (
            r"unknown 'u': is of order 2 along 'y', but no condition is given on y- or y\+, so that"
            r" it is not determined; add .*Periodic\('y'\)"
        ),
    ),
    "no condition along y of a system": (
        lambda: Problem(
            square,
            lambda u, v, x, y: (laplacian(u) + d(v, x, y), laplacian(v) + d(u, x, y) - 1),
            Dirichlet(u=0, v=0, on=("x-", "x+")),
        ),
        r"unknown 'u': is of order 2 along 'y', but no condition is given on y- or y\+",
    ),
    "nothing at the start of time": (
        lambda: Problem(Time(t=(0, 1)), lambda y, t: d(y, t, t) + y),
        r"no condition is given on t- or t\+.*; add Initial\(y=…, y_t=…\), or Periodic\('t'\)",
    ),
    "Initial without time": (
        lambda: Problem(square, poisson, [Dirichlet(u=0), Initial(u=0)]),
        r"Initial\(u=0\): the domain Box.* has no time",
    ),
    "velocity under another name": (
        lambda: Problem(
            line * Time(tau=(0, 1)),
            lambda u, x, tau: d(u, tau, tau) - d(u, x, x),
            [Dirichlet(u=0), Initial(u=0, u_t=0)],
        ),
        r"Initial\(u_t=…\): .*did you mean 'u_tau'\?",
    ),
}


@pytest.mark.parametrize("case", refused)
def test_ill_posed_problems_are_refused_in_one_line(case):
    build, message = refused[case]
    with pytest.raises(ProblemError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


suspicious = {
    "backward heat": (
        lambda: Problem(
            line * Time(t=(0, 1)),
            lambda u, x, t: d(u, t) + (1 + u**2) * d(u, x, x),
            [Dirichlet(u=0), Initial(u=0)],
        ),
        r"runs backward in time, u_t and u_xx .* did you mean d\(u, t\) - … d\(u, x, x\)\?",
    ),
    "one condition along x": (
        lambda: Problem(line, poisson1d, Dirichlet(u=0, on="x-")),
        r"order 2 along 'x', but only 1 condition is given on x- or x\+",
    ),
    "supported beam": (
        lambda: Problem(line, lambda u, x: d(u, x, x, x, x) - 1, Dirichlet(u=0)),
        r"order 4 along 'x', but only 2 conditions are given",
    ),
    "no start": (
        lambda: Problem(rod, heat, Dirichlet(u=0)),
        r"unknown 'u' is of order 1 in time, but no initial value is given; add Initial\(u=…\)",
    ),
    "no velocity": (
        lambda: Problem(rod, wave, [Dirichlet(u=0), Initial(u=0)]),
        r"order 2 in time, but no initial velocity is given; add Initial\(u_t=…\)",
    ),
    "velocity alone": (
        lambda: Problem(rod, wave, [Dirichlet(u=0), Initial(u_t=0)]),
        r"order 2 in time, but no initial value is given; add Initial\(u=…\)",
    ),
    "start against the boundary": (
        lambda: Problem(rod, heat, [Dirichlet(u=0), Initial(u=lambda x: 1 - x)]),
        (
            r"^Initial\(u=<lambda>\) contradicts Dirichlet\(u=0\) on x- in the corner x=0, t=0: 1,"
            r" but 0 on the face, a jump of 1; the solution is discontinuous there$"
        ),
    ),
    "start against a boundary that moves": (
        lambda: Problem(
            line * Time(t=(2, 3)), heat, [Dirichlet(u=lambda t: t), Initial(u=lambda x: 2 - x / 2)]
        ),
        (
            r"contradicts Dirichlet\(u=<lambda>\) on x\+ in the corner x=1, t=2: 1.5, but 2 on the"
            r" face, a jump of 0.5;"
        ),
    ),
    "start against a corner of the plane": (
        lambda: Problem(plate, sheet, [Dirichlet(u=0), Initial(u=lambda x, y: x * y * (1 - y))]),
        (
            r"contradicts Dirichlet\(u=0\) on x\+ in the corner x=1, y=0.5, t=0: 0.25, but 0 on the"
            r" face"
        ),
    ),
    "start against a piece of a face": (
        lambda: Problem(plate, sheet, [*piece, Initial(u=lambda x, y: 1 - y)]),
        r"on x- in the corner x=0, y=1, t=0: 0, but 1 on the face, a jump of 1",
    ),
    "start against its own period": (
        lambda: Problem(rod, heat, [Periodic("x"), Initial(u=lambda x: exp(-x))]),
        (
            r"^Initial\(u=<lambda>\) contradicts Periodic\('x'\) in the corner x=0, t=0: 1, but"
            r" 0.3679 at x=1, a jump of 0.63; the solution is discontinuous there$"
        ),
    ),
    "a value as Dirichlet on the first face": (
        lambda: Problem(rod, heat, [Dirichlet(u=0), Dirichlet(u=1, on="t-")]),
        r"Dirichlet\(u=1\) on t- contradicts Dirichlet\(u=0\) on x- in the corner x=0, t=0",
    ),
    "one unknown of two": (
        lambda: Problem(
            rod, steps, [Dirichlet(v=0, u=0), Initial(v=lambda x: x, u=lambda x: sin(pi * x))]
        ),
        (
            r"Initial\(v=<lambda>\) contradicts Dirichlet\(v=0\) on x\+ in the corner x=1, t=0: 1,"
            r" but 0"
        ),
    ),
    "more equations than unknowns": (
        lambda: Problem(square, [poisson, lambda u, x, y: d(u, x) - y], Dirichlet(u=0)),
        "2 equations for 1 unknown",
    ),
}


@pytest.mark.parametrize("case", suspicious)
def test_suspicious_problems_warn_where_they_are_built(case):
    build, message = suspicious[case]
    with pytest.warns(ProblemWarning, match=message) as caught:
        build()
    assert len(caught) == 1
    assert caught[0].filename == __file__


good = '''"""A line.

More."""
from kanpde import Box, Dirichlet, Problem, d
problem = Problem(Box(x=(0, 1)), lambda u, x: d(u, x, x), Dirichlet(u=0))
recipe = "a recipe"
'''


def test_loading_a_file(tmp_path):
    path = tmp_path / "line.py"
    path.write_text(good)
    problem, recipes = load(str(path))
    assert (problem.name, problem.title, problem.source, recipes) == (
        "line",
        "A line.",
        path,
        {"default": "a recipe"},
    )
    path.write_text(good.split('"""')[2])
    assert load(str(path))[0].title == "line"


@pytest.mark.parametrize(
    ("docstring", "wanted"),
    [
        ("A line.\n\nMore.", "A line."),
        ("A sentence that goes\n  on (2019).\nMore.", "A sentence that goes on (2019)."),
        ("A line\n\nMore.", "A line"),
        ("", ""),
    ],
)
def test_the_title_of_a_file_is_its_first_sentence(docstring, wanted, tmp_path):
    path = tmp_path / "line.py"
    path.write_text(f'"""{docstring}"""\n{good.split(chr(34) * 3)[2]}', encoding="utf-8")
    assert title(path) == wanted
    assert load(str(path))[0].title == (wanted or "line")


def test_loading_leaves_the_problem_of_the_file_as_it_is(tmp_path):
    path = tmp_path / "line.py"
    path.write_text(good)
    problem, _ = load(str(path))
    made = sys.modules["kanpde_problem_line"].problem
    assert made is not problem
    assert (made.name, made.title, made.source) == ("problem", "", None)
    assert problem.replace(name="another").title == "A line."
    assert problem.name == "line"


def test_a_variant_is_checked_but_not_warned_of_again():
    with pytest.warns(ProblemWarning, match="only 1 condition is given on y- or y"):
        problem = Problem(square, [poisson], Dirichlet(u=0, on=("x-", "x+", "y-")))
    assert problem.replace(name="quiet").name == "quiet"
    with pytest.raises(ProblemError, match="this domain has no face 'z-'"):
        problem.replace(conditions=[Dirichlet(u=0, on="z-")])
    with pytest.raises(ProblemError, match=r"Problem\(colour=…\): no such argument"):
        problem.replace(colour="red")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", r"bad.py: defines no `problem`; expected problem = Problem\(…\)"),
        ("problem = 3", r"bad.py: defines `problem` as int; expected problem = Problem\(…\)"),
        ("x = 1\nproblem = Problem(", r"bad.py, line 2: this is not Python: '\(' was"),
        (
            "x = 1\n\nimport no_such_module_anywhere",
            "bad.py, line 3: ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        ),
        ("def f():\n    1 / 0\n\nf()", "bad.py, line 2: ZeroDivisionError: division by zero"),
        ("raise ValueError('one\\ntwo')", "bad.py, line 1: ValueError: one$"),
        ("import sys\nsys.exit(3)", "bad.py, line 2: SystemExit: 3"),
        ("from kanpde import Box\nBox(x=(1, 0))", r"bad.py, line 2: Box\(x=…\): got \(1, 0\)"),
    ],
)
@pytest.mark.parametrize("relative", [False, True])
def test_a_bad_file_is_named_with_its_line(text, message, relative, tmp_path, monkeypatch):
    (tmp_path / "bad.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProblemError, match=message) as caught:
        load("bad.py" if relative else str(tmp_path / "bad.py"))
    assert "\n" not in str(caught.value)


def test_names_that_are_no_problem(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(
        ProblemError, match="poison2d: no such problem or file; did you mean 'poisson2d'"
    ):
        load("poison2d")
    with pytest.raises(ProblemError, match=r"none\.py: no such file"):
        load("none.py")
    for name in ("folder", "folder.py"):
        with pytest.raises(ProblemError, match=f"{name}: that is a folder; expected a Python file"):
            load(name)
    (tmp_path / "notes.txt").write_text("problem = 3")
    with pytest.raises(
        ProblemError, match=r"notes\.txt: not a Python file; expected a name that ends in \.py"
    ):
        load("notes.txt")
