"""Problems on pieces: copies of the unknowns, conditions in terms of them, and a solution whose
flux goes on where two materials meet."""

import math

import numpy as np
import pytest
import torch
from nested import leaves

from kanpde import (
    KAN,
    Box,
    Dirichlet,
    Disk,
    Interface,
    Neumann,
    Pieces,
    Problem,
    ProblemError,
    ProblemWarning,
    Recipe,
    laplacian,
    load,
    normal_derivative,
    solve,
)

LEFT, RIGHT = Box(x=(0, 1), y=(0, 1)), Box(x=(1, 3), y=(0, 1))
CONDUCTIVITY = {"left": 4.0, "right": 1.0}


def conduction(u, x, y):
    return laplacian(u)


def slab(**other):
    """Heat through two slabs: u = x / 4 in the left one and (x - 3/4) in the right one, times k the
    same flux."""
    given = {
        "domain": Pieces(left=LEFT, right=RIGHT),
        "equations": conduction,
        "conditions": [
            Dirichlet(u=0, on="left.x-"),
            Dirichlet(u=2.25, on="x+"),
            Neumann(u=0, on=("y-", "y+")),
            Interface(u=0, flux=CONDUCTIVITY),
        ],
        "exact": {"u": {"left": lambda x: x / 4, "right": lambda x: x - 0.75}},
    }
    return Problem(**{**given, **other})


def test_an_unknown_has_a_copy_on_every_piece():
    problem = slab()
    assert problem.unknowns == ("u",)
    assert problem.copies == problem.outputs == ("u_left", "u_right")
    assert [c.label for c in problem.constraints] == [
        "Dirichlet(u=0) on left.x-",
        "Dirichlet(u=2.25) on right.x+",
        "Neumann(u=0) on left.y-",
        "Neumann(u=0) on left.y+",
        "Neumann(u=0) on right.y-",
        "Neumann(u=0) on right.y+",
        "Interface(u=0) on left|right",
        "Interface(flux of u) on left|right",
    ]
    assert [c.residual.unknowns for c in problem.constraints[:2]] == [("u_left",), ("u_right",)]
    assert problem.at("left|right") == ("u_left", "u_right")
    assert problem.at("right.x+") == ("u_right",)


def test_the_exact_solution_meets_every_condition_and_another_one_does_not():
    problem = slab()
    wrong = slab(
        conditions=[Interface(u=0, flux={"left": 1.0, "right": 1.0}), *slab().conditions[:3]]
    )
    functions = {
        u: lambda *at, f=f: f(dict(zip(problem.coordinates, at, strict=True)))
        for u, f in problem.exact_copies.items()
    }

    def worst(problem):
        found = 0.0
        for c in problem.constraints:
            points = problem.domain.boundary(
                c.face, torch.linspace(0.1, 0.9, 7, dtype=torch.float64)[:, None]
            )
            at = dict(zip(problem.coordinates, points.T, strict=True))
            normals = dict(
                zip(problem.coordinates, problem.domain.normals(c.face, points).T, strict=True)
            )
            values, _ = c.residual(at, leaves(functions, at, c.residual.needs), normals, False)
            found = max(found, float(values.abs().max()))
        return found

    assert worst(problem) < 1e-14
    assert worst(wrong) == pytest.approx(0.75)


def test_equations_by_piece_and_functions_of_both_sides():
    def source(u, x, y):
        return laplacian(u) - 1

    problem = slab(
        equations={"left": source, "right": [conduction]},
        conditions=[
            *slab().conditions[:3],
            Interface(lambda u_left, u_right, y: u_left - u_right - y),
            Interface(
                lambda u_left, u_right: normal_derivative(u_left) - 2 * normal_derivative(u_right)
            ),
        ],
        exact=None,
    )
    (left, first), (right, second) = problem.groups
    assert (left.name, right.name) == ("left", "right")
    at = {"x": torch.ones(3, dtype=torch.float64), "y": torch.ones(3, dtype=torch.float64)}
    assert (
        first[0](at, torch.zeros(3, 2, dtype=torch.float64), None, False)[0].tolist()
        == [[-1.0]] * 3
    )
    assert (
        second[0](at, torch.zeros(3, 2, dtype=torch.float64), None, False)[0].tolist()
        == [[0.0]] * 3
    )
    jump = next(c for c in problem.constraints if c.label.startswith("Interface"))
    assert (
        jump.residual(at, torch.tensor([[3.0, 1.0]] * 3, dtype=torch.float64), None, False)[
            0
        ].tolist()
        == [[1.0]] * 3
    )


def test_a_missing_interface_is_named():
    with pytest.warns(ProblemWarning) as warned:
        slab(conditions=slab().conditions[:3])
    assert [str(w.message) for w in warned] == [
        f"unknown '{u}' is of order 2 in space, but no condition is given on left|right; add"
        " Interface"
        for u in ("u_left", "u_right")
    ]


def test_two_materials_are_solved_and_kept(tmp_path):
    disc = Disk(x=0, y=0, radius=0.4, name="rim")
    k, contrast = {"disc": 10.0, "plate": 1.0}, 9 / 11

    def inside(x):
        return (1 - contrast) * x

    def outside(x, y):
        return x * (1 - contrast * 0.16 / (x**2 + y**2))

    problem = Problem(
        domain=Pieces(disc=disc, plate=Box(x=(-1, 1), y=(-1, 1)) - disc),
        equations=conduction,
        conditions=[Dirichlet(u=outside), Interface(u=0, flux=k)],
        exact={"u": {"disc": inside, "plate": outside}},
    )
    result = solve(
        problem, recipe=Recipe(KAN((4,), 5, 3), 500, "lm:25"), reference=False, out=tmp_path
    )
    assert result.relative_l2 < 3e-4
    x, y = np.array([0.1, 0.7, -0.9]), np.array([0.2, 0.6, 0.0])
    truth = np.where(np.hypot(x, y) < 0.4, inside(x), outside(x, y))
    assert np.allclose(result(x=x, y=y), truth, atol=1e-3)
    again = load(result.run_dir, problem)
    assert np.array_equal(again(x=x, y=y), result(x=x, y=y))
    assert result.summary()["parameters"] == sum(
        network.parameters for network in result.solution.network.networks()
    )
    # the flux goes on through the rim, against a step in the slope
    angle = np.linspace(0, 2 * math.pi, 7)
    step = 1e-4
    slopes = [
        (
            result(x=(r + step) * np.cos(angle), y=(r + step) * np.sin(angle))
            - result(x=r * np.cos(angle), y=r * np.sin(angle))
        )
        / step
        for r in (0.4 - 2 * step, 0.4 + step)
    ]
    assert np.allclose(10 * slopes[0], slopes[1], atol=2e-2)
    assert not np.allclose(slopes[0], slopes[1], atol=0.3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"equations": {"left": conduction}},
            r"Problem\(equations=…\): says nothing for the piece 'right'",
        ),
        (
            {"equations": {"left": conduction, "rigt": conduction}},
            "there is no piece 'rigt'; they are left, right; did you mean 'right'",
        ),
        (
            {"conditions": [Dirichlet(u=0, on="left|right")]},
            "where two pieces meet; write Interface",
        ),
        (
            {"conditions": [Dirichlet(u=0, on="z-")]},
            "there is no face 'z-' but where pieces meet; the faces are left.x-",
        ),
        ({"conditions": [Dirichlet(w=0)]}, "holds nowhere; the unknowns are u,"),
        ({"conditions": [Interface(w=0)]}, "'w' is no unknown of the piece 'left'"),
        (
            {"conditions": [Interface(u=0, flux={"left": 1.0})]},
            "says nothing of 'right'; expected a coefficient for both pieces",
        ),
        (
            {"conditions": [Interface(u=0, flux={"left": 1.0, "wall": 1.0})]},
            "there is no piece 'wall'",
        ),
        (
            {"conditions": [Interface(u=0, between=("left", "left"))]},
            "these do not meet; those that do are left.right",
        ),
        (
            {"conditions": [Interface(lambda v_left: v_left)]},
            "argument 'v_left' is neither an unknown",
        ),
        ({"exact": {"u": {"left": 0.0}}}, "says nothing for the piece 'right'"),
        ({"exact": {"w": 0.0}}, "no such unknown; they are u"),
    ],
)
def test_refused(change, says):
    with pytest.raises(ProblemError, match=says) as raised:
        slab(**change)
    assert "\n" not in str(raised.value)


def test_interfaces_are_for_pieces_and_say_something():
    with pytest.raises(ProblemError, match="is in one piece; expected Pieces"):
        Problem(domain=LEFT, equations=conduction, conditions=[Interface(u=0)])
    with pytest.raises(ProblemError, match="says nothing"):
        Interface()
    with pytest.raises(ProblemError, match="got no unknown; expected coefficients by piece"):
        Interface(lambda u_left: u_left, flux=CONDUCTIVITY)
