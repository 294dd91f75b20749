"""Numbers along logarithmic axes: few, readable, and some wherever the axis is."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from kanpde.plots.png import write_png
from kanpde.plots.ticks import few, power, powers


def labels(low, high):
    figure = Figure()
    axes = figure.subplots()
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    powers(axes.yaxis)
    figure.canvas.draw()
    return [t.get_text() for t in axes.get_yticklabels() if t.get_text()]


def test_powers_of_ten_are_written_with_raised_digits():
    assert [power(v) for v in (1.0, 1e-16, 1000.0, 2e3, 2.5e-4)] == [
        "10⁰",
        "10⁻¹⁶",
        "10³",
        "2·10³",
        "2.5·10⁻⁴",
    ]


@pytest.mark.parametrize(
    ("low", "high", "some"),
    [(1e-16, 1e-3, "10⁻¹⁴"), (3e-5, 8e-3, "10⁻⁴"), (1.2e-4, 8e-4, "2·10⁻⁴"), (1.1e-3, 1.4e-3, "")],
)
def test_every_logarithmic_axis_has_some_numbers(low, high, some):
    found = labels(low, high)
    assert 2 <= len(found) <= 9
    assert some in (*found, "")


def test_a_few_numbers_stand_at_even_distances():
    axes = Figure().subplots()
    axes.set_xlim(-1, 1)
    few(axes.xaxis)
    np.testing.assert_allclose(axes.get_xticks(), [-1, -0.5, 0, 0.5, 1])


def test_a_picture_has_as_many_pixels_as_asked_for(tmp_path):
    from matplotlib.image import imread

    with (tmp_path / "a.png").open("wb") as file:
        write_png(Figure(figsize=(2, 1), layout="constrained"), file, dpi=40)
    assert imread(tmp_path / "a.png").shape == (40, 80, 3)
