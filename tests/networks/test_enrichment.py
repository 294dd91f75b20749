"""Corner functions: which there are, that they are harmonic and vanish on their faces, and that
they are part of the solution."""

import math

import pytest
import torch
from nested import leaves
from plain import solution_values

from kanpde import (
    KAN,
    Box,
    Dirichlet,
    Disk,
    Initial,
    Neumann,
    Polygon,
    Problem,
    Robin,
    Time,
    d,
    laplacian,
)
from kanpde.geometry.sampling import inside_points
from kanpde.networks.enrichment import enrichment
from kanpde.networks.restore import restore
from kanpde.networks.trial_space import trial_space


def poisson(u, x, y):
    return laplacian(u) + 1


L = Box(x=(-1, 1), y=(-1, 1)) - Box(x=(0, 1), y=(-1, 0))
WEDGE = Polygon(x=[0, 2, 2, -2, -2], y=[0, 0, 2, 2, -2])
FAR = ("edge2", "edge3", "edge4")


def features(domain, *conditions):
    problem = Problem(domain=domain, equations=[poisson], conditions=conditions)
    return problem, enrichment(
        problem.domain, problem.constraints, problem.unknowns, problem.periodic
    )


def at_origin(found):
    return [f.function for f in found if f.function.corner.at == (0.0, 0.0)]


ON_FACES = {
    "values": ((Dirichlet(u=0),), 1),
    "slopes": ((Neumann(u=0, on=("edge1", "edge5")), Dirichlet(u=0, on=FAR)), 1),
    "one of each": ((Neumann(u=0, on="edge1"), Dirichlet(u=0, on=("edge5", *FAR))), 0.5),
    "the other way round": (
        (Robin(u=0, a=1, b=2, on="edge5"), Dirichlet(u=0, on=("edge1", *FAR))),
        0.5,
    ),
}


@pytest.mark.parametrize("name", ON_FACES)
def test_corner_functions_are_harmonic_and_satisfy_the_conditions_on_both_faces(name):
    """The corner at the origin has the opening 5π/4: edge 1 leaves it along x, edge 5 comes down
    from (-2, -2)."""
    conditions, first = ON_FACES[name]
    _, found = features(WEDGE, *conditions)
    corner = at_origin(found)
    assert corner[0].exponent == pytest.approx(first / 1.25)
    r = torch.linspace(0.1, 1.5, 7, dtype=torch.float64)
    for f in corner:
        inside = {"x": 0.3 * r, "y": 0.7 * r}
        assert (
            float(
                leaves({"u": lambda x, y, f=f: f([x, y])}, inside, [("u", (2, 0)), ("u", (0, 2))])
                .sum(1)
                .abs()
                .max()
            )
            < 1e-10
        )
        for edge, angle in (("edge1", 0.0), ("edge5", 1.25 * math.pi)):
            at = {"x": r * math.cos(angle), "y": r * math.sin(angle)}
            value, along_x, along_y = leaves(
                {"u": lambda x, y, f=f: f([x, y])},
                at,
                [("u", (0, 0)), ("u", (1, 0)), ("u", (0, 1))],
            ).T
            given = any(
                isinstance(c, Dirichlet) and (c.on is None or edge in c.on) for c in conditions
            )
            across = -math.sin(angle) * along_x + math.cos(angle) * along_y
            assert f.whole or float((value if given else across).abs().max()) < 1e-12


def test_an_l_has_the_exponents_of_its_corner():
    _, found = features(L, Dirichlet(u=0))
    assert [f.exponent for f in at_origin(found)] == pytest.approx([2 / 3, 4 / 3, 2, 8 / 3, 10 / 3])
    assert {f.function.exponent for f in found if f.function.corner.at != (0.0, 0.0)} == {2.0}
    assert len(found) == 10


def test_a_condition_that_changes_along_a_line_gives_a_square_root():
    long = Polygon(x=[-1, 0, 1, 1, -1], y=[0, 0, 0, 1, 1])
    _, found = features(
        long, Dirichlet(u=0, on=("edge1", "edge3", "edge4", "edge5")), Neumann(u=0, on="edge2")
    )
    assert at_origin(found)[0].exponent == pytest.approx(0.5)
    f = at_origin(found)[0]
    x = torch.tensor([-0.5, 0.5], dtype=torch.float64)
    values = f([x, 0 * x])
    assert float(values[0].abs()) < 1e-12 < float(values[1].abs())


def test_smooth_domains_boxes_systems_and_evolutions_have_none():
    def pair(u, v, x, y):
        return laplacian(u) - v, laplacian(v)

    def heat(u, x, y, t):
        return d(u, t) - laplacian(u)

    assert features(Disk(x=0, y=0, radius=1), Dirichlet(u=0))[1] == []
    assert features(Box(x=(0, 1), y=(0, 1)), Dirichlet(u=0))[1] == []
    for problem in (
        Problem(domain=L, equations=[pair], conditions=[Dirichlet(u=0, v=0)]),
        Problem(
            domain=L * Time(t=(0, 1)), equations=[heat], conditions=[Dirichlet(u=0), Initial(u=0)]
        ),
    ):
        assert enrichment(problem.domain, problem.constraints, problem.unknowns) == []


def random_solution():
    problem, found = features(L, Dirichlet(u=0))
    space = trial_space(problem, KAN((3,), 5, 4))
    network = space.initial(torch.Generator().manual_seed(0))
    network.theta = network.theta + torch.randn(
        network.theta.numel(), generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    return problem, found, space.solution(network)


def test_they_are_part_of_the_solution_with_their_coefficients():
    problem, found, solution = random_solution()
    assert len(solution.space.features) == len(found)
    assert len(solution.space.soft) == 4
    points = inside_points(problem.domain, 30, 5)
    needs = [("u", i) for i in ((0, 0), (1, 0), (1, 1), (0, 2))]
    frame = solution.frame(points, needs)
    values = solution_values(solution)
    wanted = leaves(
        {"u": lambda x, y: values(torch.stack([x, y], 1), "u")},
        dict(zip("xy", points.T, strict=True)),
        needs,
    )
    torch.testing.assert_close(
        frame.derivatives(solution.network.forward(frame.X, frame.counts)[-1]),
        wanted,
        rtol=1e-9,
        atol=1e-9,
    )


def test_the_adjoint_is_that_of_the_derivatives():
    problem, _, solution = random_solution()
    frame = solution.frame(inside_points(problem.domain, 30, 5), [("u", (2, 0)), ("u", (0, 0))])
    J = torch.randn(
        30,
        frame.map.shape[2],
        solution.network.widths[-1],
        generator=torch.Generator().manual_seed(2),
        dtype=torch.float64,
    )
    g = torch.randn(30, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    linear = frame.derivatives(J) - frame.derivatives(0 * J)
    assert float((linear * g).sum()) == pytest.approx(
        float((J * frame.adjoint(g, J.shape[2])).sum()), rel=1e-12
    )


def test_a_checkpoint_keeps_them():
    problem, _, solution = random_solution()
    points = inside_points(problem.domain, 50, 6)
    torch.testing.assert_close(
        restore(problem, solution.state())(points), solution(points), rtol=0, atol=0
    )


def test_states_of_version_0_1_0_tell_by_their_widths():
    problem, _, solution = random_solution()
    points, state = inside_points(problem.domain, 50, 6), solution.state()
    del state["corners"], state["lenses"]
    assert torch.equal(restore(problem, state)(points), solution(points))
    plain = trial_space(problem, KAN((3,), 5, 4), corners=False)
    without = plain.solution(plain.initial(torch.Generator().manual_seed(0)))
    state = without.state()
    del state["corners"], state["lenses"]
    again = restore(problem, state)
    assert again.space.features == ()
    assert torch.equal(again(points), without(points))


def test_a_network_of_another_space_is_refused():
    problem, _, solution = random_solution()
    with pytest.raises(ValueError, match="expected 2 and 1"):
        trial_space(problem, corners=False).solution(solution.network)
