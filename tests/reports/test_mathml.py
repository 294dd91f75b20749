"""Problems in mathematical notation: what is written is what the problem's own functions
compute."""

import re
import xml.etree.ElementTree as ET
from html import unescape

import pytest
import torch

from kanpde import Box, Condition, Dirichlet, Initial, Neumann, Problem, Robin, Time, d, laplacian
from kanpde.problem import file as problems
from kanpde.problem.gallery import gallery
from kanpde.reports.mathml import notation


def spoken(mathml):
    """MathML in a line of text: u_xx for subscripts, ^ for powers, / for fractions."""

    def say(e):
        parts = [say(child) for child in e]
        tag = e.tag.rpartition("}")[2]
        if tag == "msub":
            return f"{parts[0]}_{parts[1]}"
        if tag == "msup":
            return f"{parts[0]}^{parts[1] if len(parts[1]) == 1 else '{' + parts[1] + '}'}"
        if tag == "mfrac":
            return f"[{parts[0]}]/[{parts[1]}]"
        if tag == "msqrt":
            return f"sqrt({''.join(parts)})"
        return (e.text or "") + "".join(parts)

    text = unescape(mathml.replace("&nbsp;", " "))
    return re.sub(r"\s+", " ", say(ET.fromstring(text)))


def equations(name):
    return [spoken(formula) for _, formula in notation(problems.load(name)[0]).equations]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("poisson2d", ["u_xx+u_yy=−2π^2sin(πx)sin(πy)"]),
        ("burgers1d", ["u_t+uu_x−νu_xx=0"]),
        ("wave1d", ["u_tt−c^2u_xx=0"]),
        ("kdv1d", ["u_t+δ^2u_xxx+uu_x=0"]),
        (
            "cavity2d",
            [
                "p_x+uu_x+vu_y−[u_xx]/[reynolds]−[u_yy]/[reynolds]=0",
                "p_y+uv_x+vv_y−[v_xx]/[reynolds]−[v_yy]/[reynolds]=0",
                "u_x+v_y=0",
            ],
        ),
    ],
)
def test_equations_are_written_as_they_are(name, expected):
    assert equations(name) == expected


def test_constants_keep_their_names_and_are_put_back():
    problem = problems.load("burgers1d")[0]
    module = problem.equations[0].function.__globals__
    before = module["nu"]
    found = notation(problem)
    assert spoken(found.constants[0]) == "ν=[1]/[100π]≈0.0031831"
    assert module["nu"] is before
    assert spoken(notation(problems.load("burgers1d", {"nu": 0.5})[0]).constants[0]) == "ν=0.5"


def test_conditions_say_where_they_hold():
    def conditions(name):
        return [(spoken(f), where) for f, where in notation(problems.load(name)[0]).conditions]

    assert conditions("poisson2d") == [("u=0", "on the whole boundary")]
    assert conditions("wave1d") == [
        ("u=0", "on the whole boundary"),
        ("u=sin(πx)", "at t = 0"),
        ("u_t=πcsin(2πx)", "at t = 0"),
    ]
    assert ("periodic in\u00a0x" in dict(conditions("kdv1d"))) or conditions("kdv1d")[-1][
        0
    ].replace("\u00a0", " ") == "periodic in x"
    assert ("p=0", "on y- (a piece)") in conditions("cavity2d")


def test_normal_derivatives_have_the_sign_of_their_face():
    problem = Problem(
        domain=Box(x=(0, 1)) * Time(t=(0, 1)),
        equations=lambda u, x, t: d(u, t) - d(u, x, x),
        conditions=[
            Neumann(u=3, on="x-"),
            Robin(u=1, a=2, b=0.5, on="x+"),
            Initial(u=lambda x: 2 - 3 * x),
        ],
    )
    with_faces = {spoken(f): where for f, where in notation(problem).conditions}
    assert with_faces["u_x=−3"] == "on x-"
    assert with_faces["[u_x]/[2]+2u=1"] == "on x+"


def test_what_cannot_be_written_is_named():
    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=lambda u, x: laplacian(u) - torch.where(x < 0.5, u, u**2),
        conditions=[
            Dirichlet(u=0, on="x-"),
            Condition(lambda u, x: torch.floor(x) * u + u, on="x+"),
        ],
        exact={"u": lambda x: torch.special.bessel_j0(x)},
    )
    found = notation(problem)
    assert found.equations[0][1].startswith("<code>")
    assert "<code>Condition" in found.conditions[1][0]
    assert found.exact == ["<code>u: known, as code</code>"]


@pytest.mark.parametrize(
    "name",
    ["allen_cahn1d", "gray_scott2d", "heat2d", "poisson5d", "schrodinger1d", "taylor_green2d"],
)
def test_formulas_of_the_gallery_are_well_formed(name):
    assert name in gallery()
    found = notation(problems.load(name)[0])
    for formula in [
        *(f for _, f in found.equations),
        *(f for f, _ in found.conditions),
        *found.exact,
        *found.constants,
    ]:
        assert formula.startswith("<math>")
        ET.fromstring(unescape(formula))
