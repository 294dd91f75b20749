"""The table of hard problems: what is asked of its rows, and the truth of one of them."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import hard, independent, materials
from benchmarks.rows import load
from kanpde.errors import RecipeError
from kanpde.provenance import provenance


def test_an_error_of_ten_times_what_was_said_is_counted():
    good = hard.Faced("membrane2d", 1e-8, 1e-5, 5e-9, 0.0, 4e-9, True, "", 1000, 3, 1.0)
    silent = replace(good, problem="pulse2d", error=5e-7, own=1e-9)
    known = replace(silent, met=False, said="the tolerance is missed: estimated error 4.0e-09")
    refused = replace(known, error=None, estimate=None, said="refused: d(…) differentiates a jump")
    rows = [good, silent, known, refused]
    (found,) = hard.asked_of(rows).values()
    values = [row["value"] for row in found["rows"]]
    assert values == [pytest.approx(0.05), 1.0, 1.0, 4.0]
    about = {**provenance("cpu"), "load": load(), "command": "python -m benchmarks hard"}
    page = hard.page(rows, [about] * 4)
    assert "5.0e-07" in page
    assert "| missed |" in page
    assert "| refused |" in page
    with pytest.raises(RecipeError, match="expected some of"):
        hard.checked(["membrane"])


def test_the_independent_wave_is_that_of_cosines():
    found = independent.insulated_wave(
        lambda x, y: np.cos(np.pi * x) * np.cos(np.pi * y / 2),
        lambda x, y: 2 + 0 * x,
        2,
        0.7,
        (12, 1e-9),
    )
    x = 2 * (np.arange(12) + 0.5) / 12
    turn = np.cos(2 * np.pi * 1.25**0.5 * 0.7)
    exact = turn * np.cos(np.pi * x)[:, None] * np.cos(np.pi * x / 2)
    assert np.abs(found - exact).max() < 1e-7


def test_the_independent_periodic_equation_is_of_fourth_order():
    def rest(w, space):
        return -space.waves(space.values(w) * space.values(1j * space.kx * w))

    def ended(steps):
        return independent.periodic(
            lambda x, y: np.sin(x + y)[None],
            lambda square: -0.3 * square[None],
            rest,
            (0, 2 * np.pi),
            1.0,
            (24, steps),
        )

    best = ended(160)
    errors = [np.abs(ended(steps) - best).max() for steps in (10, 20)]
    assert 3.7 < np.log2(errors[0] / errors[1]) < 4.3


def test_materials_that_are_all_the_same_are_those_of_a_closed_form():
    same, at = np.full((2, 2), 0.5), (np.arange(6) + 0.5) / 6
    elements = materials.Elements(np.linspace(0, 1, 3), 2, 0.3, 5)
    waves = (lambda x: np.sin(2 * np.pi * x), lambda y: np.sin(np.pi * y))
    found = materials.heated(2 * same, same, waves, lambda t: np.sin(np.pi * t), 1.0, elements, at)
    rate, turn = 2.5 * np.pi**2, np.pi
    size = (turn + turn * np.exp(-rate)) / (rate**2 + turn**2)
    exact = size * np.outer(np.sin(2 * np.pi * at), np.sin(np.pi * at))
    assert np.abs(found - exact).max() < 1e-6 * size
    steady = materials.conduction(same, np.zeros((2, 2)), elements, at)
    assert not steady.any()
