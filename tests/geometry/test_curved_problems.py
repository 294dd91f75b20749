"""Problems on domains that are no boxes: conditions on their faces, and what is refused or warned
of."""

import warnings

import pytest
import torch
from shapes import cube, square

from kanpde import (
    Ball,
    Box,
    Condition,
    Dirichlet,
    Disk,
    Initial,
    Neumann,
    Periodic,
    Polygon,
    Problem,
    ProblemError,
    ProblemWarning,
    Robin,
    Time,
    d,
    laplacian,
    normal,
    normal_derivative,
)
from kanpde.geometry.sampling import unit_points
from kanpde.problem.faces import by_name, points_on

perforated = square - Disk(radius=0.5)
L = square - Box(x=(0, 1), y=(0, 1))
room = Polygon(x=[0, 2, 2, 1, 1, 0], y=[0, 0, 1, 1, 2, 2], names="wall")


def poisson(u, x, y):
    return laplacian(u) + 1


def heat(u, x, y, t):
    return d(u, t) - laplacian(u)


def poisson3d(u, x, y, z):
    return laplacian(u) + x


def stokes(u, v, p, x, y):
    return -laplacian(u) + d(p, x), -laplacian(v) + d(p, y), d(u, x) + d(v, y)


def value(constraint, domain, u, gradient):
    """The residual of a condition on a function and its gradient, at points of its face."""
    dims = len(domain.coordinates)
    at, normal = points_on(domain, constraint.face, unit_points(64, dims - 1, 0))
    columns = []
    for _, index in constraint.residual.needs:
        columns.append(u(**at) if not any(index) else gradient(**at)[index.index(1)])
    return constraint.residual(at, torch.stack(columns, 1), normal)[0][:, 0]


@pytest.mark.parametrize(
    "domain", [Disk(radius=2), perforated, L, room, cube - Ball(radius=0.5), Ball()], ids=repr
)
def test_conditions_on_every_face(domain):
    """u = x² + 3y: value, normal derivative and what mixes them vanish, given the right data, on
    every face of every domain."""
    dims = len(domain.coordinates)

    def u(x, y, **_):
        return x**2 + 3 * y

    def gradient(x, y, **_):
        return (2 * x, 3 + 0 * y, 0 * y)[:dims]

    def slope_at(at, normal):
        return sum(g * normal[x] for g, x in zip(gradient(**at), domain.coordinates, strict=True))

    for face in domain.faces:
        at, outward = points_on(domain, face, unit_points(64, dims - 1, 0))
        constraints = [
            *Dirichlet(u=lambda x, y: x**2 + 3 * y, on=face).constraints(domain, ["u"]),
            *Condition(
                lambda u, x, y: normal_derivative(u) * u - normal_derivative(u) * (x**2 + 3 * y),
                on=face,
            ).constraints(domain, ["u"]),
        ]
        for c in constraints:
            assert float(value(c, domain, u, gradient).abs().max()) < 1e-12
        along = Condition(lambda u, x, y: normal(x) * d(u, x) + normal("y") * d(u, y), on=face)
        (written,) = along.constraints(domain, ["u"])
        part = sum(g * outward[x] for g, x in zip(gradient(**at), "xy", strict=False))
        assert torch.allclose(value(written, domain, u, gradient), part)
        (neumann,) = Neumann(u=0, on=face).constraints(domain, ["u"])
        assert torch.allclose(value(neumann, domain, u, gradient), slope_at(at, outward))
        (robin,) = Robin(u=0, a=2, b=0.5, on=face).constraints(domain, ["u"])
        assert torch.allclose(
            value(robin, domain, u, gradient), 2 * u(**at) + slope_at(at, outward) / 2
        )


def test_a_face_of_several_directions_asks_for_all_derivatives():
    chimney = Polygon(
        x=[0, 1, 1, 0], y=[0, 0, 10, 10], names="wall"
    )  # most of the wall looks along x
    (neumann,) = Neumann(u=0).constraints(chimney, ["u"])
    assert neumann.residual.needs == (("u", (1, 0)), ("u", (0, 1)))
    faces = Neumann(u=0).constraints(perforated, ["u"])
    assert [len(c.residual.needs) for c in faces] == [1, 1, 1, 1, 2]


def test_a_piece_of_a_curved_face():
    (left,) = Dirichlet(u=1, on="circle", where=lambda x: x < 0).constraints(perforated, ["u"])
    points = perforated.boundary("circle", unit_points(512, 1, 0))
    kept = left.where(by_name(points, ("x", "y")))
    assert float(kept.double().mean()) == pytest.approx(0.5, abs=0.01)
    inner = Dirichlet(u=1, where=lambda x, y: (x.abs() < 0.9) & (y.abs() < 0.9)).constraints(
        perforated, ["u"]
    )
    assert [c.face for c in inner] == ["x-", "x+", "y-", "y+", "circle"][4:]


GOOD = {
    "disk": lambda: Problem(Disk(), poisson, Dirichlet(u=0)),
    "kinds": lambda: Problem(
        perforated,
        poisson,
        [Dirichlet(u=0, on=("x-", "x+")), Neumann(u=1, on="circle"), Robin(u=0, on=("y-", "y+"))],
    ),
    "L": lambda: Problem(L, poisson, Dirichlet(u=0)),
    "pieces": lambda: Problem(
        room,
        poisson,
        [Dirichlet(u=0, where=lambda x: x < 0.5), Neumann(u=1, where=lambda x: x >= 0.5)],
    ),
    "radiation": lambda: Problem(
        Disk(), poisson, Condition(lambda u, x: normal_derivative(u) + u**4)
    ),
    "pinned": lambda: Problem(
        perforated, poisson, [Neumann(u=0), Dirichlet(u=0, on="circle", where=lambda x: x > 0.49)]
    ),
    "heat": lambda: Problem(
        perforated * Time(t=(0, 1)),
        heat,
        [
            Dirichlet(u=0, on="circle"),
            Neumann(u=0, on=("x-", "x+", "y-", "y+")),
            Initial(u=lambda x, y: x**2 + y**2 - 0.25),
        ],
    ),
    "flow": lambda: Problem(
        perforated, stokes, [Dirichlet(u=0, v=0), Dirichlet(p=0, on="x-", where=lambda y: y > 0.9)]
    ),
    "periodic": lambda: Problem(
        perforated, poisson, [Periodic("x"), Dirichlet(u=0, on=("y-", "y+", "circle"))]
    ),
    "solid": lambda: Problem(
        cube - Ball(radius=0.5),
        poisson3d,
        [Dirichlet(u=0, on="sphere"), Neumann(u=0, on=("x-", "x+", "y-", "y+", "z-", "z+"))],
    ),
    "ball": lambda: Problem(
        Ball() * Time(t=(0, 1)),
        lambda u, x, y, z, t: d(u, t) - laplacian(u),
        [Robin(u=0), Initial(u=lambda x, y, z: 1 + x)],
    ),
}


@pytest.mark.parametrize("build", GOOD.values(), ids=GOOD)
def test_what_fits_together_is_accepted_without_a_word(build):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problem = build()
    assert problem.unknowns
    assert not problem.domain.is_box


plugged = perforated | Disk(radius=0.6, name="plug")
BAD = {
    "no face": (
        lambda: Problem(perforated, poisson, Dirichlet(u=0, on="hole")),
        (
            r"^Dirichlet\(on='hole'\): this domain has no face 'hole'; its faces are x-, x\+, y-,"
            r" y\+, circle"
        ),
    ),
    "vanished": (
        lambda: Problem(plugged, poisson, Dirichlet(u=0, on="circle")),
        (
            r"^Dirichlet\(on='circle'\): nothing is left of the face 'circle' in \(Box.*\) \|"
            r" Disk.*; the faces are x-"
        ),
    ),
    "nowhere": (
        lambda: Problem(Disk(), poisson, Dirichlet(u=0, where=lambda x: x > 5)),
        r"keeps no point of circle; expected a piece of a face",
    ),
    "two on one": (
        lambda: Problem(Disk(), poisson, [Dirichlet(u=0), Neumann(u=0)]),
        (
            r"2 conditions on 'circle' \(.*\), but the equations are only of order 2 in space,"
            r" which takes 1 on every face"
        ),
    ),
    "one too many": (
        lambda: Problem(perforated, poisson, [Dirichlet(u=0), Robin(u=0, on="circle")]),
        "2 conditions on 'circle'",
    ),
    "contradiction": (
        lambda: Problem(perforated, poisson, [Dirichlet(u=0), Dirichlet(u=1, on="circle")]),
        r"Dirichlet\(u=1\) on circle contradicts Dirichlet\(u=0\) on circle",
    ),
    "a constant": (
        lambda: Problem(Disk(), poisson, Neumann(u=0)),
        (
            r"determined up to a constant; pin its value, such as Dirichlet\(u=0, on='circle',"
            r" where=…\)"
        ),
    ),
    "round and periodic": (
        lambda: Problem(Disk(), poisson, [Periodic("x"), Dirichlet(u=0)]),
        r"^Periodic\('x'\): Disk\(.*\) does not end in two equal flat faces along 'x'",
    ),
    "ends that differ": (
        lambda: Problem(
            square - Disk(x=1, y=0, radius=0.2) - Disk(x=-1, y=0.1, radius=0.2, name="other"),
            poisson,
            [Periodic("x"), Dirichlet(u=0, on=("y-", "y+", "circle", "other"))],
        ),
        "does not end in two equal flat faces",
    ),
    "condition on periodic": (
        lambda: Problem(perforated, poisson, [Periodic("x"), Dirichlet(u=0)]),
        r"Periodic\('x'\) contradicts Dirichlet\(u=0\) on x-.*on=\('y-', 'y\+', 'circle'\)",
    ),
}


@pytest.mark.parametrize(("build", "message"), BAD.values(), ids=BAD)
def test_what_does_not_is_refused(build, message):
    with pytest.raises(ProblemError, match=message) as raised:
        build()
    assert "\n" not in str(raised.value)


SUSPICIOUS = {
    "missing": (
        lambda: Problem(perforated, poisson, Dirichlet(u=0, on="circle")),
        (
            r"^unknown 'u' is of order 2 in space, but no condition is given on x-, x\+, y-, y\+;"
            r" add Dirichlet, Neumann or Robin$"
        ),
    ),
    "missing beside a piece": (
        lambda: Problem(
            perforated,
            poisson,
            [
                Dirichlet(u=0, on=("x-", "x+", "circle")),
                Dirichlet(u=0, on="y-", where=lambda x: x < 0),
                Neumann(u=0, on="y-", where=lambda x: x >= 0),
            ],
        ),
        r"no condition is given on y\+;",
    ),
    "missing velocity": (
        lambda: Problem(
            perforated,
            stokes,
            [
                Dirichlet(u=0),
                Dirichlet(v=0, on=("x-", "x+", "y-", "y+")),
                Dirichlet(p=0, on="x-", where=lambda y: y > 0.9),
            ],
        ),
        "'v' is of order 2 in space, but no condition is given on circle",
    ),
    "missing start": (
        lambda: Problem(Disk() * Time(t=(0, 1)), heat, Dirichlet(u=0)),
        r"no initial value is given; add Initial\(u=…\)",
    ),
    "start against a circle": (
        lambda: Problem(
            Disk() * Time(t=(0, 1)), heat, [Dirichlet(u=0), Initial(u=lambda x, y: 1 - x)]
        ),
        (
            r"^Initial\(u=<lambda>\) contradicts Dirichlet\(u=0\) on circle in the corner x=-1,"
            r" .*t=0: 2, but 0 on the face, a jump of 2; the solution is discontinuous there$"
        ),
    ),
    "start that does not repeat": (
        lambda: Problem(
            perforated * Time(t=(0, 1)),
            heat,
            [Periodic("x"), Neumann(u=0, on=("y-", "y+", "circle")), Initial(u=lambda x, y: x)],
        ),
        r"contradicts Periodic\('x'\) in the corner x=-1, .*: -1, but 1 at x=1",
    ),
}


@pytest.mark.parametrize(("build", "message"), SUSPICIOUS.values(), ids=SUSPICIOUS)
def test_what_is_suspicious_is_said(build, message):
    with pytest.warns(ProblemWarning, match=message):
        build()


def test_what_is_missing_is_said_by_number_of_conditions():
    """Of two on every face: faces that have one, and faces that have none, each in a sentence."""

    def plate(u, x, y):
        return laplacian(laplacian(u)) - 1

    with pytest.warns(ProblemWarning) as found:
        Problem(
            Disk(radius=1)
            - Disk(radius=0.5, name="hole")
            - Disk(x=0.75, y=0, radius=0.1, name="eye"),
            plate,
            [Dirichlet(u=0, on=("circle", "hole")), Neumann(u=0, on="circle")],
        )
    assert [str(one.message) for one in found] == [
        f"unknown 'u' is of order 4 in space, but {have}; add Dirichlet, Neumann or Robin"
        for have in ("no condition is given on eye", "only 1 condition is given on hole")
    ]


def test_a_small_part_of_its_box_gets_as_many_points():
    """Slanted and thin, it fills a hundredth of its bounding box."""
    thin = Polygon(x=[0, 1, 1, 0], y=[0, 1, 1.01, 0.01])
    assert thin.fill == pytest.approx(0.01 / 1.01)
    Problem(thin, poisson, Dirichlet(u=0))
    with pytest.raises(
        ProblemError, match=r"fills less than a hundred thousandth of its bounding box"
    ):
        Problem(Polygon(x=[0, 1, 1, 0], y=[0, 1, 1 + 1e-6, 1e-6]), poisson, Dirichlet(u=0))


def test_training_takes_as_many_points_as_were_asked_for():
    from kanpde.networks.kan import KAN
    from kanpde.networks.trial_space import trial_space
    from kanpde.training.points import Collocation

    for domain, equation in ((perforated, poisson), (cube - Ball(radius=0.5), poisson3d)):
        problem = Problem(domain, equation, Robin(u=0))
        network = KAN(width=(2,), degree=3, grid=3).build(
            len(problem.coordinates), 1, torch.Generator().manual_seed(0)
        )
        collocation = Collocation(
            problem,
            trial_space(problem, corners=False).solution(network),
            500,
            0,
        )
        objective = collocation.objective()
        assert len(collocation.current) == objective.terms[0].count == 500
        collocation.redraw(objective)
        assert len(collocation.current) == 500
        dims = len(problem.coordinates) - 1
        wanted = 4 * 500 ** (dims / (dims + 1))
        assert all(t.count == pytest.approx(wanted, rel=0.1) for _, t in collocation.soft())
