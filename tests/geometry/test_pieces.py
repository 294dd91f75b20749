"""Pieces of a domain: which faces are outside, where two meet, and what is refused."""

import math

import pytest
import torch

from kanpde import Box, Disk, Pieces, ProblemError, Time

DISC = Disk(x=0.1, y=0, radius=0.5, name="rim")
SQUARE = Box(x=(-1, 1), y=(-1, 1))


def line(count):
    return ((torch.arange(count, dtype=torch.float64) + 0.5) / count)[:, None]


def test_a_disc_in_a_square_meets_it_on_its_rim():
    pieces = Pieces(disc=DISC, plate=SQUARE - DISC)
    assert set(pieces.faces) == {"plate.x-", "plate.x+", "plate.y-", "plate.y+", "disc|plate"}
    assert pieces.faces["disc|plate"].measure == pytest.approx(math.pi)
    assert pieces.volume == pytest.approx(4)
    points = pieces.boundary("disc|plate", line(50))
    outward = points - points.new_tensor([0.1, 0])
    assert torch.allclose(outward.norm(dim=1), points.new_tensor(0.5))
    assert torch.allclose(pieces.normals("disc|plate", points), 2 * outward)
    which = pieces.region(torch.tensor([[0.1, 0.2], [0.9, 0.9], [0.6, 0.0]], dtype=torch.float64))
    assert which.tolist() == [0, 1, 0]  # on the rim the first


def test_a_face_that_another_piece_covers_in_part_keeps_the_rest():
    pieces = Pieces(tall=Box(x=(0, 1), y=(0, 2)), low=Box(x=(1, 3), y=(0, 1)))
    assert "low.x-" not in pieces.faces
    assert pieces.faces["tall.x+"].measure == pytest.approx(1, abs=1e-2)
    assert pieces.faces["tall|low"].measure == pytest.approx(1, abs=1e-2)
    free = pieces.boundary("tall.x+", line(400))
    assert len(free) == 200
    assert (free[:, 1] > 1).all()
    assert pieces.kept("tall.x+") == pytest.approx(0.5, abs=1e-2)
    shared = pieces.boundary("tall|low", line(400))
    assert len(shared) == 200
    assert (shared[:, 1] <= 1).all()


def test_a_contact_of_several_faces_has_the_normals_of_each():
    inner = Box(x=(-0.5, 0.5), y=(-0.25, 0.25))
    pieces = Pieces(inner=inner, outer=SQUARE - inner)
    points = pieces.boundary("inner|outer", line(60))
    assert len(points) == 60
    normals = pieces.normals("inner|outer", points)
    assert (pieces.region(points - 1e-6 * normals) == 0).all()
    assert (pieces.region(points + 1e-6 * normals) == 1).all()
    assert torch.allclose(normals.abs().sum(1), points.new_tensor(1.0))


def test_pieces_of_a_line_meet_in_a_point():
    pieces = Pieces(left=Box(x=(0, 1)), right=Box(x=(1, 3)))
    assert list(pieces.faces) == ["left.x-", "right.x+", "left|right"]
    point = pieces.boundary("left|right", torch.zeros(1, 0, dtype=torch.float64))
    assert point.tolist() == [[1.0]]
    assert pieces.normals("left|right", point).tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Pieces(a=SQUARE), "got 1 regions; expected two or more"),
        (
            lambda: Pieces(a=SQUARE, b=DISC),
            "overlap, at .* for example; take one from the other, such as b=… - …",
        ),
        (
            lambda: Pieces(a=SQUARE, b=Disk(x=5, y=0, radius=1)),
            r"Pieces\(a=Box.*touches no other piece",
        ),
        (lambda: Pieces(a=SQUARE, b=Box(x=(1, 2), z=(0, 1))), "coordinates x, z; expected x, y"),
        (lambda: Pieces(a=SQUARE, b=3), r"Pieces\(b=…\): got int; expected a domain"),
        (lambda: Pieces(a=SQUARE * Time(t=(0, 1)), b=DISC), "a piece takes no time beside it"),
        (
            lambda: Pieces(disc=DISC, plate=SQUARE - DISC) * Time(t=(0, 1)),
            "pieces take no time beside them; make it the last coordinate",
        ),
    ],
)
def test_refused(make, says):
    with pytest.raises(ProblemError, match=says) as raised:
        make()
    assert "\n" not in str(raised.value)
