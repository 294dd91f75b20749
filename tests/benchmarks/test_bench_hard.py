"""The table of hard problems: what is asked of its rows, and the truth of one of them."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import hard, independent
from benchmarks.rows import load
from kanpde.errors import RecipeError
from kanpde.provenance import provenance


def test_an_error_of_ten_times_what_was_said_is_counted():
    good = hard.Faced("membrane2d", 1e-8, 1e-5, 5e-9, 0.0, 4e-9, True, 1000, 3, 1.0)
    silent = replace(good, problem="pulse2d", error=5e-7, own=1e-9)
    known = replace(silent, met=False)
    (found,) = hard.asked_of([good, silent, known]).values()
    values = [row["value"] for row in found["rows"]]
    assert values == [pytest.approx(0.05), 1.0, 3.0]
    about = {**provenance("cpu"), "load": load(), "command": "python -m benchmarks hard"}
    page = hard.page([good, silent, known], about)
    assert "5.0e-07" in page
    assert "missed" in page
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
