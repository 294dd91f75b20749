"""Conditions: the residuals they put on faces, and what they refuse."""

import math
import warnings

import pytest
import torch
from nested import leaves
from torch import cos, exp, sin

from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Initial,
    Neumann,
    Periodic,
    Problem,
    ProblemError,
    Robin,
    Time,
    d,
    normal_derivative,
)
from kanpde.errors import ProblemWarning
from kanpde.problem.faces import points_on, space_faces
from kanpde.problem.prescribed import prescribed_value
from kanpde.residual.residual import leaf_name

square = Box(x=(0, 1), y=(-1, 2))
rod = Box(x=(0, 2)) * Time(t=(1, 3))
unit = torch.tensor([[0.2], [0.5], [0.9]], dtype=torch.float64)


def U(x, y):
    return sin(x) * exp(y) + x * y**2


def U_x(x, y):
    return cos(x) * exp(y) + y**2


def U_y(x, y):
    return sin(x) * exp(y) + 2 * x * y


def left(constraint, domain, unknowns):
    """The residual of explicit unknowns on the constraint's face, [points, equations]."""
    at, normals = points_on(domain, constraint.face, unit)
    needs = constraint.residual.needs
    return constraint.residual(
        at, leaves(unknowns, at, needs), normals if constraint.face in space_faces(domain) else None
    )[0]


def asked(constraint):
    return [leaf_name(leaf, constraint.residual.coordinates) for leaf in constraint.residual.needs]


def zero(values):
    torch.testing.assert_close(values, torch.zeros_like(values), rtol=0, atol=1e-12)


def test_dirichlet_holds_on_all_faces_of_space():
    found = Dirichlet(u=U).constraints(square, ["u"])
    assert [c.face for c in found] == ["x-", "x+", "y-", "y+"]
    assert [c.label for c in found][:1] == ["Dirichlet(u=U) on x-"]
    for c in found:
        zero(left(c, square, {"u": U}))
        assert asked(c) == ["u"]
    (only,) = Dirichlet(u=lambda y: y, on="x+").constraints(square, ["u"])
    values = left(only, square, {"u": U})
    torch.testing.assert_close(
        values[:, 0], U(torch.tensor(1.0), 3 * unit[:, 0] - 1) - (3 * unit[:, 0] - 1)
    )


def test_dirichlet_in_time_leaves_the_start_out():
    assert [c.face for c in Dirichlet(u=0).constraints(rod, ["u"])] == ["x-", "x+"]
    (start,) = Dirichlet(u=lambda x, t: U(x, t), on="t-").constraints(rod, ["u"])
    zero(left(start, rod, {"u": U}))


def test_several_unknowns_and_faces():
    found = Dirichlet(u=0, v=1.5, on=("x-", "y+")).constraints(square, ["u", "v", "w"])
    assert [c.label for c in found] == [
        "Dirichlet(u=0) on x-",
        "Dirichlet(v=1.5) on x-",
        "Dirichlet(u=0) on y+",
        "Dirichlet(v=1.5) on y+",
    ]
    assert [(c.prescribed.unknown, c.prescribed.derivative) for c in found] == [
        ("u", 0),
        ("v", 0),
    ] * 2


@pytest.mark.parametrize(
    ("face", "slope"),
    [("x-", lambda x, y: -U_x(x, y)), ("x+", U_x), ("y-", lambda x, y: -U_y(x, y)), ("y+", U_y)],
)
def test_neumann_is_along_the_outward_normal(face, slope):
    (c,) = Neumann(u=slope, on=face).constraints(square, ["u"])
    zero(left(c, square, {"u": U}))
    assert asked(c) == [f"u_{face[0]}"]
    at, _ = points_on(square, face, unit)
    along = {"x": U_x, "y": U_y}[face[0]](**at)
    assert (c.prescribed.unknown, c.prescribed.derivative) == ("u", 1)
    torch.testing.assert_close(c.prescribed.data(at), along)


def test_robin():
    (c,) = Robin(u=lambda x, y: 2 * U(x, y) - 0.5 * U_x(x, y), a=2, b=0.5, on="x-").constraints(
        square, ["u"]
    )
    zero(left(c, square, {"u": U}))
    assert asked(c) == ["u", "u_x"]
    assert c.prescribed is None


def test_initial_value_and_velocity():
    value, velocity = Initial(
        u=lambda x: U(x, torch.ones_like(x)), u_t=lambda x: U_y(x, torch.ones_like(x))
    ).constraints(rod, ["u"])
    for c in (value, velocity):
        assert c.face == "t-"
        zero(left(c, rod, {"u": U}))
    assert asked(value) == ["u"]
    assert asked(velocity) == ["u_t"]
    assert (value.prescribed.derivative, velocity.prescribed.derivative) == (0, 1)
    at, _ = points_on(rod, "t-", unit)
    torch.testing.assert_close(velocity.prescribed.data(at), U_y(**{"x": at["x"], "y": at["t"]}))


def test_initial_of_unknowns_with_underscores():
    found = Initial(c_a=0, c_a_t=1, u_t=2).constraints(rod, ["c_a", "u_t"])
    assert [(c.prescribed.unknown, c.prescribed.derivative) for c in found] == [
        ("c_a", 0),
        ("c_a", 1),
        ("u_t", 0),
    ]
    assert Initial(c_a=0, c_a_t=1, u_t=2).names(rod, ["c_a", "u_t", "x"]) == ("c_a", "c_a", "u_t")
    assert Initial(u=0, u_t=2).names(rod, ["u", "x", "t"]) == ("u", "u")


def test_condition_may_use_the_normal_and_several_unknowns():
    found = Condition(
        lambda v, x, u, y: (normal_derivative(u) - v, d(u, y) * x), on=("x-", "y+")
    ).constraints(square, ["u", "v"])
    first, second = found
    assert asked(first) == ["u_x", "u_y", "v"]
    assert asked(second) == ["u_y", "v"]
    zero(left(first, square, {"u": U, "v": lambda x, y: -U_x(x, y)})[:, 0])
    zero(left(second, square, {"u": U, "v": U_y})[:, 0])
    torch.testing.assert_close(
        left(second, square, {"u": U, "v": U_y})[:, 1],
        (lambda at: U_y(**at) * at["x"])(points_on(square, "y+", unit)[0]),
    )
    assert second.residual.equations == 2
    assert second.prescribed is None


def test_where_keeps_a_piece():
    found = Dirichlet(u=0, where=lambda x: x < 0.25, weight=3).constraints(square, ["u"])
    assert [c.face for c in found] == ["x-", "y-", "y+"]  # x+ has no such point
    assert found[0].weight == 3
    assert found[1].where({"x": torch.tensor([0.1, 0.3]), "y": torch.zeros(2)}).tolist() == [
        True,
        False,
    ]


def test_periodic_has_no_boundary():
    assert Periodic("x").constraints(square, ["u"]) == []
    assert Periodic("x", "y").coordinates == ("x", "y")


def test_values_follow_their_points():
    at = {"x": torch.tensor([1.0, 2.0]), "y": torch.tensor([3.0, 4.0])}
    assert prescribed_value(2, "xy", "g")(at).tolist() == [2, 2]
    assert prescribed_value(lambda y: y, "xy", "g")(at).tolist() == [3, 4]
    assert prescribed_value(lambda: 5.0, "xy", "g")(at).tolist() == [5, 5]
    assert (
        prescribed_value(lambda: torch.tensor(5.0, dtype=torch.float64), "xy", "g")(at).dtype
        == torch.float32
    )


@pytest.mark.parametrize(
    ("condition", "shown"),
    [
        (Dirichlet(u=0, v=0.5, on="x-"), "Dirichlet(u=0, v=0.5, on='x-')"),
        (Neumann(u=U), "Neumann(u=U)"),
        (Initial(u=U, u_t=0), "Initial(u=U, u_t=0)"),
        (Periodic("x"), "Periodic('x')"),
        (Condition(U_x, on="x+"), "Condition(U_x, on='x+')"),
    ],
)
def test_conditions_print_as_they_are_written(condition, shown):
    assert repr(condition) == shown


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Dirichlet(),
            r"Dirichlet\(…\): names no unknown; expected such as Dirichlet\(u=0\)",
        ),
        (lambda: Neumann(on="x-"), r"Neumann\(…\): names no unknown"),
        (lambda: Initial(), r"Initial\(…\): names no unknown"),
        (lambda: Periodic(), r"Periodic\(…\): names no coordinate"),
        (lambda: Condition(3), r"Condition\(3\): got int; expected a function"),
        (lambda: Condition(lambda *u: u), r"Condition\(<lambda>\): argument '\*u' has no name"),
        (lambda: Dirichlet(u=0, weight=-1), r"Dirichlet\(weight=-1\): expected a positive number"),
        (lambda: Robin(u=0, b=0), r"Robin\(…, b=0\): that is a Dirichlet condition"),
        (lambda: Robin(u=0, a=0), r"Robin\(…, a=0\): that is a Neumann condition"),
        (
            lambda: Robin(u=0, a=lambda x: x),
            r"Robin\(…, a=.*expected a number; for a coefficient that varies.*write Condition",
        ),
        (
            lambda: Dirichlet(u=0, on="z+").constraints(square, ["u"]),
            r"Dirichlet\(on='z\+'\): this domain has no face 'z\+'; its faces are x-, x\+, y-, y\+",
        ),
        (
            lambda: Dirichlet(u=0, on="t+").constraints(rod, ["u"]),
            "no face 't\\+'; its faces are x-, x\\+, t-",
        ),
        (lambda: Dirichlet(u=0, on=()).constraints(square, ["u"]), "names no face"),
        (
            lambda: Dirichlet(U=0).constraints(square, ["u"]),
            r"Dirichlet\(U=…\): no such unknown; they are u; did you mean 'u'\?",
        ),
        (
            lambda: Dirichlet(u="0").constraints(square, ["u"]),
            r"Dirichlet\(u='0'\): got text; expected a number, or a function such as lambda x",
        ),
        (
            lambda: Dirichlet(u=math.nan).constraints(square, ["u"]),
            "got nan; expected a finite number",
        ),
        (
            lambda: Dirichlet(u=True).constraints(square, ["u"]),
            "got True; expected a finite number",
        ),
        (
            lambda: Dirichlet(u=lambda z: z).constraints(square, ["u"]),
            r"argument 'z' is not a coordinate \(x, y\)",
        ),
        (
            lambda: Dirichlet(u=lambda x: math.sin(x)).constraints(square, ["u"]),
            r"Dirichlet\(u=<lambda>\) on x-: .*torch.sin, not math.sin",
        ),
        (
            lambda: Dirichlet(u=lambda x: None).constraints(square, ["u"]),
            r"returned NoneType; .*is a `return` missing",
        ),
        (
            lambda: Dirichlet(u=lambda x: torch.ones(3)).constraints(square, ["u"]),
            r"returned shape \[3\] for 2 points",
        ),
        (
            lambda: Dirichlet(u=lambda x, y: (y + 2) / x, on="x-").constraints(square, ["u"]),
            (
                r"Dirichlet\(u=<lambda>\) on x-: returned inf at x=0, y=-0.07; expected a finite"
                r" number"
            ),
        ),
        (
            lambda: Dirichlet(u=0, where=lambda x: x < -1).constraints(square, ["u"]),
            r"Dirichlet\(where=…\): keeps no point of x-, x\+, y-, y\+",
        ),
        (
            lambda: Dirichlet(u=0, where=lambda x: x).constraints(square, ["u"]),
            (
                r"Dirichlet\(where=…\): returned torch.float64 of shape \[4096\]; expected true or"
                r" false"
            ),
        ),
        (
            lambda: Dirichlet(u=0, where=lambda z: z < 0).constraints(square, ["u"]),
            r"Dirichlet\(where=…\): argument 'z' is not a coordinate",
        ),
        (
            lambda: Neumann(u=0, on="t-").constraints(rod, ["u"]),
            "only a condition on a face of space has a normal",
        ),
        (
            lambda: Periodic("z").constraints(square, ["u"]),
            r"Periodic\('z'\): no such space coordinate; they are x, y",
        ),
        (
            lambda: Periodic("t").constraints(rod, ["u"]),
            r"Periodic\('t'\): no such space coordinate; they are x",
        ),
        (
            lambda: Condition(lambda w, x: w).constraints(square, ["u"]),
            (
                r"Condition\(<lambda>\): argument 'w' is neither an unknown \(u\) nor a coordinate"
                r" \(x, y\)"
            ),
        ),
        (
            lambda: Condition(lambda x: x).constraints(square, ["u"]),
            r"Condition\(<lambda>\) on x-: depends on no unknown",
        ),
        (
            lambda: Initial(u=0).constraints(square, ["u"]),
            r"Initial\(u=0\): the domain Box.* has no time; write domain=Box\(…\) \* Time",
        ),
        (
            lambda: Initial(u=0).constraints(Box(x=(0, 1), t=(0, 1)), ["u"]),
            r"has no time; take t out of the box and write Box\(…\) \* Time\(t=…\)",
        ),
        (
            lambda: Initial(w=0).constraints(rod, ["u"]),
            r"Initial\(w=…\): no such unknown or velocity; they are u, u_t",
        ),
        (
            lambda: Initial(u_tt=0).constraints(rod, ["u"]),
            r"Initial\(u_tt=…\): .*did you mean 'u_t'\?",
        ),
        (
            lambda: Initial(u_t=0).names(Box(x=(0, 1)) * Time(tau=(0, 1)), ["u", "x"]),
            (
                r"Initial\(u_t=…\): no such unknown or velocity; they are u, u_tau; did you mean"
                r" 'u_tau'\?"
            ),
        ),
        (
            lambda: Initial(u=lambda x, t: 1 / (t - 1)).constraints(rod, ["u"]),
            r"Initial\(u=<lambda>\): returned inf at x=.*, t=1; expected a finite number",
        ),
    ],
)
def test_what_a_condition_refuses(build, message):
    with pytest.raises(ProblemError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_what_distinguishes_conditions_is_shown():
    def below(x):
        return x < 0

    assert repr(Robin(u=0, a=2, b=0.5, on="x+")) == "Robin(u=0, a=2, b=0.5, on='x+')"
    assert repr(Dirichlet(u=1, on="y-", where=below)) == "Dirichlet(u=1, on='y-', where=below)"


def test_a_rounded_zero_contradicts_no_start():
    """sin 2π is -2.4e-16, and a sine of size 1 begins there all the same."""
    box, begins = Box(x=(0, 1)), 2 * math.pi

    def posed(data):
        conditions = [Dirichlet(u=data, on="x-"), Dirichlet(u=0, on="x+"), Initial(u=0)]
        whole = box * Time(t=(begins, begins + 1))
        return Problem(whole, lambda u, x, t: d(u, t) - d(u, x, x), conditions)

    with warnings.catch_warnings():
        warnings.simplefilter("error", ProblemWarning)
        posed(lambda t: torch.sin(t))
    with pytest.warns(ProblemWarning, match="discontinuous"):
        posed(lambda t: torch.sin(t) * 1e-9 + 1e-12)
