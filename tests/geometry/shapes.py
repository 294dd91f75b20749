"""Domains of every sort, with the areas and lengths that are known of them."""

from math import pi, sqrt

from kanpde import Ball, Box, Disk, Ellipse, Polygon

square = Box(x=(-1, 1), y=(-1, 1))
cube = Box(x=(0, 1), y=(0, 1), z=(0, 1))
hole = Polygon(x=[1, 2, 1], y=[1, 1, 2])
lens = 2 * pi / 3 - sqrt(3) / 2
"""Area common to two unit disks at distance 1."""

PLANAR = {
    "disk": (Disk(x=1, y=2, radius=0.5), pi / 4, {"circle": pi}),
    "ellipse": (
        Ellipse(x=0.5, y=0, radii=(2, 1), angle=0.3),
        2 * pi,
        {"ellipse": 9.688448220547675},
    ),  # 8 E(3/4)
    "triangle": (
        Polygon(x=[0, 2, 0], y=[0, 0, 1]),
        1.0,
        {"edge1": 2.0, "edge2": sqrt(5), "edge3": 1.0},
    ),
    "clockwise": (
        Polygon(x=[0, 0, 4, 4], y=[0, 4, 4, 0], holes=[hole]),
        15.5,
        {"edge1": 4, "edge2": 4, "edge3": 4, "edge4": 4, "hole1": 2 + sqrt(2)},
    ),
    "L": (square - Box(x=(0, 1), y=(0, 1)), 3.0, {"x-": 2, "x+": 2, "y-": 2, "y+": 2}),
    "perforated": (
        square - Disk(radius=0.5),
        4 - pi / 4,
        {"x-": 2, "x+": 2, "y-": 2, "y+": 2, "circle": pi},
    ),
    "bitten": (
        square - Disk(x=1, y=0, radius=0.5),
        4 - pi / 8,
        {"x-": 2, "x+": 1, "y-": 2, "y+": 2, "circle": pi / 2},
    ),
    "two holes": (
        square - Disk(x=0.5, y=0.5, radius=0.2) - Disk(x=-0.5, y=0, radius=0.3, name="other"),
        4 - 0.13 * pi,
        {"x-": 2, "x+": 2, "y-": 2, "y+": 2, "circle": 0.4 * pi, "other": 0.6 * pi},
    ),
    "lens": (
        Disk(name="left") & Disk(x=1, y=0, name="right"),
        lens,
        {"left": 2 * pi / 3, "right": 2 * pi / 3},
    ),
    "half a union": (
        (Disk(name="rim") | Disk(x=1, y=0, name="rim")) & Box(x=(-2, 3), y=(0, 2)),
        pi - lens / 2,
        {"rim": 4 * pi / 3, "y-": 3},
    ),
    "crescent": (
        Disk(name="out") - Disk(x=1, y=0, name="in"),
        pi - lens,
        {"out": 4 * pi / 3, "in": 2 * pi / 3},
    ),
    "joined boxes": (square | Box(x=(1, 2), y=(-1, 1)), 6.0, {"x-": 2, "x+": 2, "y-": 3, "y+": 3}),
    "step": (square | Box(x=(1, 2), y=(-0.5, 0.5)), 5.0, {"x-": 2, "x+": 2, "y-": 3, "y+": 3}),
    "ellipse across": (
        square & Ellipse(radii=(3, 0.5)),
        1.9623197699444292,
        None,
    ),  # ∫ √(1 - x²/9) over |x| < 1
    "frame": (
        square
        - (square & Polygon(x=[-0.5, 0.5, 0.5, -0.5], y=[-0.5, -0.5, 0.5, 0.5], names="gap")),
        3.0,
        {"x-": 2, "x+": 2, "y-": 2, "y+": 2, "gap": 4},
    ),
}

SOLID = {
    "ball": (Ball(x=1, y=0, z=0, radius=0.5), pi / 6, {"sphere": pi}),
    "corner": (
        cube - Ball(radius=0.5),
        1 - pi / 48,
        {
            **dict.fromkeys(("x-", "y-", "z-"), 1 - pi / 16),
            **dict.fromkeys(("x+", "y+", "z+"), 1.0),
            "sphere": pi / 8,
        },
    ),
    "half a ball": (
        Ball() & Box(x=(-2, 2), y=(-2, 2), z=(0, 2)),
        2 * pi / 3,
        {"sphere": 2 * pi, "z-": pi},
    ),
    "shell": (Ball() - Ball(radius=0.5, name="in"), 7 * pi / 6, {"sphere": 4 * pi, "in": pi}),
    "solid L": (
        Box(x=(-1, 1), y=(-1, 1), z=(0, 1)) - cube,
        3.0,
        {"x-": 2, "x+": 2, "y-": 2, "y+": 2, "z-": 3, "z+": 3},
    ),
}
