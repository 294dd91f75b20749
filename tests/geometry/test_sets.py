"""Set operations: against shapely, names of faces, and what is refused."""

import math
import warnings

import numpy as np
import pytest
import shapely.affinity
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapes import cube, square

from kanpde import Ball, Box, Disk, Ellipse, Polygon, ProblemError, ProblemWarning, Time
from kanpde.geometry import shared_curves

numbers = st.floats(-1, 1).map(lambda v: round(v, 3))
lengths = st.floats(0.1, 1).map(lambda v: round(v, 3))


@st.composite
def shape(draw):
    """A shape, and the same as a polygon of shapely, arcs as chords of a 500th of the circle."""
    kind = draw(st.sampled_from(["box", "disk", "ellipse", "polygon"]))
    x, y = draw(numbers), draw(numbers)
    if kind == "box":
        w, h = draw(lengths), draw(lengths)
        return Box(x=(x, x + w), y=(y, y + h)), shapely.box(x, y, x + w, y + h)
    if kind == "polygon":
        turns = sorted(
            draw(
                st.lists(st.floats(0, 6.2), min_size=3, max_size=7, unique_by=lambda v: round(v, 1))
            )
        )
        assume(
            max(b - a for a, b in zip(turns, [*turns[1:], turns[0] + 2 * math.pi], strict=True)) < 3
        )
        radii = [draw(lengths) for _ in turns]
        xs, ys = (
            [x + r * math.cos(t) for r, t in zip(radii, turns, strict=True)],
            [y + r * math.sin(t) for r, t in zip(radii, turns, strict=True)],
        )
        return Polygon(x=xs, y=ys, names="edge"), shapely.Polygon(list(zip(xs, ys, strict=True)))
    a, b, angle = (
        (draw(lengths), draw(lengths), draw(numbers))
        if kind == "ellipse"
        else (draw(lengths),) * 2 + (0.0,)
    )
    round_ = shapely.affinity.rotate(
        shapely.affinity.scale(shapely.Point(0, 0).buffer(1, quad_segs=300), a, b),
        angle,
        origin=(0, 0),
        use_radians=True,
    )
    made = (
        Ellipse(x=x, y=y, radii=(a, b), angle=angle, name="round")
        if kind == "ellipse"
        else Disk(x=x, y=y, radius=a, name="round")
    )
    return made, shapely.affinity.translate(round_, x, y)


SHAPELY = {"-": shapely.difference, "|": shapely.union, "&": shapely.intersection}
OURS = {"-": lambda a, b: a - b, "|": lambda a, b: a | b, "&": lambda a, b: a & b}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(shape(), shape(), shape(), st.sampled_from("-|&"), st.sampled_from("-|&"))
def test_area_and_length_agree_with_shapely(first, second, third, one, other):
    with np.errstate(invalid="ignore"):  # the GEOS of older shapely computes with nan on its way
        both = SHAPELY[one](first[1], second[1])
        expected = SHAPELY[other](both, third[1])
    assume(both.area > 1e-3 and expected.area > 1e-3)
    assume(
        len({repr(first[0]), repr(second[0]), repr(third[0])}) == 3
    )  # chords of the same arc leave slivers in shapely
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ProblemWarning)
        made = OURS[other](OURS[one](first[0], second[0]), third[0])
    assert made.volume == pytest.approx(expected.area, abs=1e-4)
    around = sum(
        part.length for part in getattr(expected, "geoms", [expected]) if part.area
    )  # not lines along which two merely touch
    assert sum(face.measure for face in made.faces.values()) == pytest.approx(around, abs=1e-3)
    ends = [(c.start, c.end) for p in made.bounding if not (c := p.curve).closed]
    for _, end in ends:  # the boundary is closed
        assert min(math.dist(end, start) for start, _ in ends) < 1e-7


def test_sides_of_boxes_are_named_by_the_way_they_look():
    frame = square - Box(x=(-0.5, 0.5), y=(-0.5, 0.5))
    assert {name: face.measure for name, face in frame.faces.items()} == {
        "x-": 3,
        "x+": 3,
        "y-": 3,
        "y+": 3,
    }
    points = frame.boundary("x+", torch.rand(100, 1, dtype=torch.float64))
    assert sorted(points[:, 0].unique().tolist()) == [-0.5, 1]
    assert frame.normals("x+", points).tolist() == [[1, 0]] * 100


def test_equal_names_join_and_names_of_their_own_stay():
    holes = (
        square
        - Disk(x=0.5, y=0, radius=0.2, name="hole")
        - Disk(x=-0.5, y=0, radius=0.2, name="hole")
    )
    assert holes.faces["hole"].measure == pytest.approx(0.8 * math.pi)
    other = square - Disk(x=0.5, y=0, radius=0.2) - Disk(x=-0.5, y=0, radius=0.2, name="left")
    assert list(other.faces) == ["x-", "x+", "y-", "y+", "circle", "left"]
    both = Ball(name="skin") | Ball(x=1, y=0, z=0, name="skin")
    assert list(both.faces) == ["skin"]


def test_faces_that_vanish_are_known():
    domain = (square - Disk(radius=0.5)) | Disk(radius=0.6, name="plug")
    assert list(domain.faces) == ["x-", "x+", "y-", "y+"]
    assert domain.vanished == {"circle": repr(domain), "plug": repr(domain)}
    assert (domain - Disk(x=1, y=1, radius=0.3, name="circle")).vanished == {"plug": repr(domain)}
    assert (domain * Time(t=(0, 1))).vanished == domain.vanished


def test_taking_nothing_away_is_said():
    with pytest.warns(
        ProblemWarning,
        match=(
            r"^Box\(x=\(-1, 1\), y=\(-1, 1\)\) - Disk\(x=3, y=0, radius=1\): takes nothing away,"
            r" since the two do not overlap$"
        ),
    ):
        _ = square - Disk(x=3, y=0, radius=1)


def test_touching_is_not_overlapping():
    beside = square | Box(x=(1, 2), y=(1, 2))  # they touch in a corner
    assert beside.volume == 5
    with pytest.raises(ProblemError, match="do not overlap"):
        _ = square & Box(x=(1, 2), y=(-1, 1))
    kissing = Disk(name="a") | Disk(x=2, y=0, name="a")
    assert kissing.faces["a"].measure == pytest.approx(4 * math.pi)
    inner = Disk() - Disk(x=0.5, y=0, radius=0.5, name="inner")  # touches from inside
    assert inner.volume == pytest.approx(0.75 * math.pi)
    assert {name: face.measure for name, face in inner.faces.items()} == pytest.approx(
        {"circle": 2 * math.pi, "inner": math.pi}
    )


def test_where_regions_touch():
    inner, outer = Disk(radius=0.5), square - Disk(radius=0.5)
    (contact,) = shared_curves(inner, outer)
    assert contact.faces == ("circle", "circle")
    assert contact.curve.length == pytest.approx(math.pi)
    (back,) = shared_curves(outer, inner)
    directions = [back.curve.direction(0.3), contact.curve.direction(0.3)]
    assert float(torch.det(torch.tensor(directions, dtype=torch.float64))) == pytest.approx(0)
    assert sum(
        a * b for a, b in zip(back.curve.direction(0.3), contact.curve.direction(0.3), strict=True)
    ) == pytest.approx(-1)
    (side,) = shared_curves(square, Box(x=(1, 2), y=(-0.5, 3)))
    assert side.faces == ("x+", "x-")
    assert {side.curve.start, side.curve.end} == {(1, -0.5), (1, 1)}
    assert shared_curves(square, Box(x=(1.1, 2), y=(0, 1))) == []
    assert (
        shared_curves(square, Box(x=(0, 1), y=(0, 1))) == []
    )  # one in the other, on the same side of the edges that they share


REFUSED = {
    "difference": (
        lambda: square - Disk(radius=2),
        (
            r"^Box\(x=\(-1, 1\), y=\(-1, 1\)\) - Disk\(x=0, y=0, radius=2\): nothing is left of it;"
            r" expected a region$"
        ),
    ),
    "itself": (lambda: square - square, "nothing is left"),
    "intersection": (lambda: square & Disk(x=5, y=5), "the two do not overlap; expected a region$"),
    "solids": (lambda: cube - Ball(radius=3), "nothing is left"),
    "solids apart": (lambda: cube & Ball(x=5, y=0, z=0), "do not overlap"),
    "names": (
        lambda: square - Disk(x=0.5, y=0, radius=0.2) - Disk(x=-0.5, y=0, radius=0.2),
        (
            r"both have a face 'circle'; give one another name \(name=…\), or both the same to join"
            r" them"
        ),
    ),
    "one name by chance": (
        lambda: (
            square - Disk(x=0.5, y=0, radius=0.2) - Disk(x=-0.5, y=0, radius=0.2, name="circle")
        ),
        "both have a face 'circle'",
    ),
    "names of solids": (
        lambda: cube - Ball(radius=0.3) - Ball(x=1, y=1, z=1, radius=0.3),
        "two have a face 'sphere'",
    ),
    "polygons": (
        lambda: Polygon(x=[0, 1, 0], y=[0, 0, 1]) | Polygon(x=[0.2, 2, 0.2], y=[0.2, 0.2, 2]),
        "both have a face 'edge1'",
    ),
    "number": (
        lambda: square - 3,
        r"^Box\(x=\(-1, 1\), y=\(-1, 1\)\) - 3: expected a domain, such as Disk",
    ),
    "class": (lambda: square - Disk, "expected a domain"),
    "time": (
        lambda: square - Disk() * Time(t=(0, 1)),
        r"one has a time; combine space first and put it in brackets, \(a - b\) \* Time\(t=…\)",
    ),
    "coordinates": (
        lambda: square - Disk(a=0, b=0),
        "the coordinates are x, y and a, b; expected the same in the same order",
    ),
    "dimensions": (lambda: cube - Disk(), "the coordinates are x, y, z and x, y"),
    "line": (
        lambda: Box(x=(0, 1)) - Box(x=(0.2, 0.3)),
        "has 1 coordinates; set operations take domains of two or three",
    ),
    "radius": (lambda: Disk(radius=-1), r"^Disk\(radius=-1\): expected a positive number$"),
    "no radius": (lambda: Ball(radius=0), r"^Ball\(radius=0\): expected a positive number$"),
    "radius of nan": (lambda: Disk(radius=math.nan), "got nan; expected a finite number"),
    "radii": (
        lambda: Ellipse(radii=2),
        r"^Ellipse\(radii=2\): expected two positive numbers, such as radii=\(2, 1\)$",
    ),
    "negative radii": (lambda: Ellipse(radii=(1, -1)), "expected a positive number"),
    "centre": (lambda: Disk(x="a", y=0), r"^Disk\(x=…\): got 'a'; expected a finite number$"),
    "one coordinate": (
        lambda: Disk(x=0),
        r"^Disk\(…\): got 1 coordinates \(x\); expected 2, such as Disk\(x=0, y=0, …\)$",
    ),
    "name": (lambda: Disk(name=3), r"^Disk\(name=3\): expected the name of a face"),
    "bow tie": (
        lambda: Polygon(x=[0, 1, 0, 1], y=[0, 1, 1, 0]),
        (
            r"^Polygon\(…\): edge1 and edge3 meet at \(0.5, 0.5\); expected edges that meet only at"
            r" the corners between them$"
        ),
    ),
    "spike": (
        lambda: Polygon(x=[0, 2, 1, 1], y=[0, 0, 0, 1]),
        "edge1 and edge2 lie on each other at",
    ),
    "touching": (
        lambda: Polygon(x=[0, 2, 2, 1, 0], y=[0, 0, 2, 0, 2]),
        r"edge1 and edge3 meet at \(1, 0\)",
    ),
    "twice": (
        lambda: Polygon(x=[0, 1, 1, 0], y=[0, 0, 0, 1]),
        r"corners 2 and 3 are the same point, \(1, 0\); leave one out",
    ),
    "two corners": (
        lambda: Polygon(x=[0, 1], y=[0, 1]),
        r"^Polygon\(…\): got 2 corners; expected at least 3$",
    ),
    "unequal": (lambda: Polygon(x=[0, 1, 1], y=[0, 1]), "got 3 numbers x and 2 numbers y"),
    "no list": (
        lambda: Polygon(x=1, y=[0, 1]),
        r"^Polygon\(x=…\): got 1; expected a list of numbers, one a corner$",
    ),
    "one list": (
        lambda: Polygon(x=[0, 1, 1]),
        r"got 1 coordinates \(x\); expected two, such as Polygon",
    ),
    "too few names": (
        lambda: Polygon(x=[0, 1, 1], y=[0, 0, 1], names=["a"]),
        "expected 3 names, one an edge, or one name for all",
    ),
    "round hole": (
        lambda: Polygon(x=[0, 1, 1], y=[0, 0, 1], holes=[Disk()]),
        r"other shapes are taken out by Polygon\(…\) - Disk\(…\)",
    ),
    "hole outside": (
        lambda: Polygon(x=[0, 1, 1], y=[0, 0, 1], holes=[Polygon(x=[0, 1, 0], y=[0, 1, 1])]),
        "hole 1, .*, is not inside of the polygon",
    ),
    "holes together": (
        lambda: Polygon(
            x=[0, 9, 9, 0],
            y=[0, 0, 9, 9],
            holes=[Polygon(x=[1, 5, 1], y=[1, 1, 5]), Polygon(x=[2, 5, 2], y=[2, 2, 5])],
        ),
        "holes 1 and 2 overlap or touch",
    ),
}


@pytest.mark.parametrize(("build", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(build, message):
    with pytest.raises(ProblemError, match=message) as raised:
        build()
    assert "\n" not in str(raised.value)
