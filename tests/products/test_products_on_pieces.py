"""Products of splines on pieces, joined by rows, against closed forms."""

import math

import numpy as np
import pieced
import pytest
import torch
from refined import gone_on_halfway, solved

import kanpde
from kanpde import Box, Dirichlet, Disk, Interface, Pieces, Problem, laplacian
from kanpde.errors import ProblemError, RecipeError, RunError
from kanpde.exports.function import write_torchscript
from kanpde.interpret.compress import compress
from kanpde.interpret.formulas import explain
from kanpde.networks.kinds.tensor import Tensor as Products
from kanpde.problem.cross_points import singular_points
from kanpde.products.adaptive import adaptive
from kanpde.products.progress import Settings
from kanpde.products.solution import PiecesOfProducts
from kanpde.results.restored import restored


def error(problem, solution):
    """Largest error at random points of all pieces over the amplitude."""
    generator, columns = np.random.default_rng(1), []
    for region in problem.domain.regions.values():
        ends = [region.bounds[x] for x in problem.coordinates]
        columns.append(np.stack([generator.uniform(*each, 400) for each in ends], 1))
    points = torch.from_numpy(np.concatenate(columns))
    (exact,) = problem.exact_values(points).values()
    gap = solution(points)[:, 0] - exact
    return float(gap.abs().max() / (exact.max() - exact.min()) * 2)


def crosswise(k=3.0):
    """Four squares about a point, conductivities k and 1 crosswise: r^λ (Kellogg 1974)."""
    power = 4 / math.pi * math.atan(k**-0.5)
    share = 1 / math.tan(power * math.pi / 4)

    def part(factor, wave, middle):
        def exact(x, y):
            turn = torch.remainder(torch.atan2(y, x) - middle + math.pi, 2 * math.pi) - math.pi
            return factor * torch.hypot(x, y) ** power * wave(power * turn)

        return exact

    angle = math.pi / 4
    exact = {
        "a": part(1.0, torch.cos, angle),
        "b": part(-share, torch.sin, 3 * angle),
        "c": part(-1.0, torch.cos, 5 * angle),
        "e": part(share, torch.sin, 7 * angle),
    }
    low, high = (-1, 0), (0, 1)
    domain = Pieces(
        a=Box(x=high, y=high), b=Box(x=low, y=high), c=Box(x=low, y=low), e=Box(x=high, y=low)
    )
    outer = [face for face in domain.faces if "|" not in face]
    return Problem(
        domain,
        lambda u, x, y: laplacian(u),
        [
            *(Dirichlet(u=exact[face[0]], on=face) for face in outer),
            Interface(u=0, flux={"a": k, "b": 1.0, "c": k, "e": 1.0}),
        ],
        exact={"u": exact},
    )


@pytest.mark.parametrize(
    "name",
    ["wall", "layers", "contact", "radiation", "chain", "plane", "tee", "four", "rods", "joint"],
)
def test_a_problem_on_pieces_is_right_to_the_tolerance(name):
    problem = getattr(pieced, name)()
    solution, progress = solved(problem, 1e-8)
    assert not progress.missed
    assert error(problem, solution) < 1e-8


@pytest.mark.parametrize("heavier", [1e-6, 1e6])
def test_the_units_of_conductivities_do_not_matter(heavier):
    problem = pieced.wall(k=(1.38 * heavier, 400.0 * heavier), flux=200.0 * heavier)
    solution, progress = solved(problem, 1e-8)
    assert not progress.missed
    assert error(problem, solution) < 1e-8


@pytest.mark.parametrize("heavy", [1e-8, 1e8])
def test_the_factor_of_an_equation_in_one_piece_does_not_matter(heavy):
    plain = pieced.plane()
    problem = plain.replace(
        equations={
            "left": lambda u, x, y: laplacian(u),
            "right": lambda u, x, y: heavy * laplacian(u),
        }
    )
    solution, progress = solved(problem, 1e-8)
    assert not progress.missed
    assert error(problem, solution) < 1e-10


def test_where_four_materials_meet_the_equations_have_the_right_limit():
    problem = crosswise(3.0)
    solution, progress = solved(problem, 1e-3)
    assert not progress.missed
    assert error(problem, solution) < 1e-3
    assert error(problem, solution) < 3 * progress.estimate


def test_what_is_too_singular_for_the_work_is_reported_and_not_worse_than_said():
    problem = crosswise(10.0)
    solution, progress = solved(problem, 1e-8, work=1e8)
    assert "cells of 4 pieces; the work of this effort is used up" in progress.missed[0]
    assert error(problem, solution) < 2 * progress.estimate


def test_pieces_keep_their_bits_when_they_go_on():
    problem = pieced.joint()
    _, progress, gone_on = gone_on_halfway(problem, 1e-6)
    for one, other in zip(progress.spans, gone_on.spans, strict=True):
        np.testing.assert_array_equal(one.C, other.C)


def test_an_unknown_of_one_piece_is_nowhere_else():
    solution, progress = solved(pieced.apart(), 1e-8)
    assert not progress.missed
    found = solution(torch.tensor([[0.5], [1.5]], dtype=torch.float64))
    assert found[0, 1].isnan()
    assert float(found[1, 1]) == pytest.approx(math.sin(1.5), abs=1e-9)


def test_an_unknown_of_one_piece_is_scripted(tmp_path):
    problem = pieced.apart()
    solution, _ = solved(problem, 1e-8)
    write_torchscript(problem, solution, tmp_path / "solution.pt")
    u, v = torch.jit.load(tmp_path / "solution.pt")(torch.tensor([0.5, 1.5]).double())
    assert not u.isnan().any()
    assert v.isnan().tolist() == [True, False]


def test_each_side_of_a_seam_has_slopes_of_its_own():
    solution, _ = solved(pieced.plane(), 1e-8)
    point = torch.tensor([[1.0, 0.3]], dtype=torch.float64)
    slopes = solution.derivatives(point, [("u_left", (1, 0)), ("u_right", (1, 0))])[0]
    assert float(slopes[0]) == pytest.approx(math.e * math.cos(0.3), rel=1e-7)
    assert float(slopes[0]) == pytest.approx(7 * float(slopes[1]), rel=1e-7)


def test_by_default_pieces_that_are_boxes_are_solved_so_and_kept(tmp_path):
    problem = pieced.four()
    result = kanpde.solve(problem, reference=False, pictures=False, out=tmp_path)
    assert isinstance(result.solution, PiecesOfProducts)
    assert result.verdict.converged
    points = torch.tensor([[0.3, 0.4], [1.2, 0.1], [1.7, 1.9]], dtype=torch.float64)
    state = result.solution.state()
    np.testing.assert_array_equal(restored(problem, state)(points), result.solution(points))
    assert len(result.drawing.spans) == 4
    scripted = tmp_path / "solution.pt"
    write_torchscript(problem, result.solution, scripted)
    columns = torch.jit.load(scripted)(*points.T)
    np.testing.assert_allclose(columns[0], result.solution(points)[:, 0], atol=1e-14)
    with pytest.raises(RunError, match="is on 4 pieces, each with a formula of its own"):
        explain(result)
    with pytest.raises(RunError, match=r"on 4 pieces, degree 9, .* a domain in one piece"):
        compress(result, 1e-6)


@pytest.mark.parametrize(
    ("domain", "why"),
    [
        (
            lambda: Pieces(
                disc=Disk(x=0, y=0, radius=0.4),
                plate=Box(x=(-1, 1), y=(-1, 1)) - Disk(x=0, y=0, radius=0.4),
            ),
            "the piece disc=.*, which is no box",
        ),
        (
            lambda: Pieces(tall=Box(x=(0, 1), y=(0, 2)), low=Box(x=(1, 3), y=(0, 1))),
            "the face 'tall.x.', of which another piece covers a part; --network kan can",
        ),
    ],
)
def test_other_pieces_are_refused(domain, why):
    problem = Problem(
        domain(), lambda u, x, y: laplacian(u), [Dirichlet(u=0), Interface(u=0)], warn=False
    )
    with pytest.raises(ProblemError, match=why):
        adaptive(problem, Settings(1e-6))


def test_compression_of_pieces_is_refused_before_anything_is_done():
    with pytest.raises(RecipeError, match="compress:1e-09 on pieces"):
        kanpde.solve(pieced.contact(), network=Products(), schedule="compress:1e-9")


def test_a_singular_point_weights_what_is_measured():
    problem = crosswise(3.0)
    (corner,) = singular_points(problem)
    assert corner.exponent == pytest.approx(2 / 3, rel=1e-6)
    solution, _ = solved(problem, 1e-2)
    far = solution.tempered(torch.tensor([[1.0, 1.0], [0.1, 0.1]], dtype=torch.float64), False)
    assert float(far[0]) == pytest.approx(1.0)
    assert float(far[1]) == pytest.approx(0.01)
