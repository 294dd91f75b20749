"""Pictures: they show the arrays that they claim to, for every dimension, and leave nothing global
behind."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import referenced, solved
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import NonUniformImage

from kanpde import Box, Dirichlet, Initial, Problem, Time, d, laplacian
from kanpde.networks.kan import KAN
from kanpde.networks.trial_space import trial_space
from kanpde.plots.history import draw_history, plot_history
from kanpde.plots.maps import draw_map
from kanpde.plots.network import plot_network
from kanpde.plots.solution import plot_solution
from kanpde.plots.views import views
from kanpde.results.fields import Fields
from kanpde.results.result import Result
from kanpde.training.history import History

INTERVALS = {"x": (0, 2), "y": (-1, 1), "z": (0, 1), "w": (0, 1)}


EQUATIONS = {"u": lambda u: laplacian(u) - u, "v": lambda v: laplacian(v) - v}


def problem_in(dimensions, time=False, unknowns=("u",)):
    box = Box(**dict(list(INTERVALS.items())[:dimensions]))
    exact = {u: lambda x, i=i: torch.sin(x) + i for i, u in enumerate(unknowns)}
    if time:
        return Problem(box * Time(t=(0, 1)), lambda u, t: d(u, t) + u, Initial(u=0), exact)
    return Problem(
        box, [EQUATIONS[u] for u in unknowns], Dirichlet(**dict.fromkeys(unknowns, 0)), exact
    )


def untrained(problem, spec=None, nodes=9):
    network = (spec or KAN((2,), 5, 3)).build(
        trial_space(problem, corners=False).inputs,
        len(problem.unknowns),
        torch.Generator().manual_seed(0),
    )
    solution = trial_space(problem, corners=False).solution(network)
    return Result(
        problem, solution, History(), {}, 0.0, 0.1, 0.2, referenced(problem, nodes), "", 0.1
    )


def maps(axes):
    return [image for image in axes.images if isinstance(image, NonUniformImage)]


def drawn(figure):
    """Render it: constrained layout and text are worked out only then."""
    figure.canvas.draw()
    return figure


@pytest.mark.parametrize(
    ("dimensions", "time", "rows", "names"),
    [
        (2, False, 1, ("x", "y")),
        (1, True, 1, ("t", "x")),
        (2, True, 1, ("x", "y")),
        (3, False, 3, ("x", "y")),
        (4, False, 1, ("x", "y")),
    ],
)
def test_maps_show_solution_reference_and_error(dimensions, time, rows, names):
    result = untrained(problem_in(dimensions, time))
    axes = [a for a in drawn(plot_solution(result)).axes if maps(a) and a.get_xlabel()]
    assert len(axes) == 3 * rows
    assert (axes[0].get_xlabel(), axes[0].get_ylabel()) == names
    assert (axes[0].get_aspect() == 1) == ("t" not in names)
    shown = [np.asarray(maps(a)[0].get_array()).ravel() for a in axes[:3]]
    np.testing.assert_allclose(
        shown[2], shown[0] - shown[1], atol=1e-5
    )  # the reference is exact to 1e-6


def test_a_map_has_its_values_where_they_are():
    x, y = np.array([0.0, 0.1, 1.0]), np.array([2.0, 3.0])
    values = x[:, None] + 10 * y
    axes = Figure().subplots()
    draw_map(axes, ("x", "y"), (x, y), values, Normalize(20, 31), "viridis", equal=False)
    (image,) = maps(axes)
    np.testing.assert_array_equal(image.get_array(), values.T)
    assert image.get_extent() == (*axes.get_xlim(), *axes.get_ylim()) == (0, 1, 2, 3)


def test_rows_are_unknowns():
    result = untrained(problem_in(2, unknowns=("u", "v")))
    titles = [a.get_title() for a in plot_solution(result).axes if maps(a)]
    assert [t for t in titles if t.startswith("network")] == ["network: u", "network: v"]


def test_a_line_has_the_solution_the_reference_and_the_error():
    result = untrained(problem_in(1))
    left, right = drawn(plot_solution(result)).axes
    np.testing.assert_array_equal(left.lines[0].get_ydata(), result.fields.solution["u"])
    np.testing.assert_array_equal(right.lines[0].get_ydata(), result.fields.error("u"))


def test_titles_state_the_error(result):
    titles = " ".join(a.get_title() for a in plot_solution(result).axes)
    assert f"relative L2 {result.relative_l2:.1e}, max {result.max_error:.1e}" in titles
    assert "its own error 1e-06" in titles


def test_an_error_under_a_front_is_logarithmic(result):
    peaked = replace(result)
    error = np.full((17, 17), 1e-6)
    error[8, 8] = 1
    peaked.__dict__["fields"] = Fields(
        result.fields.grid, {"u": error}, {}, {"u": np.zeros((17, 17))}
    )
    assert isinstance(maps(drawn(plot_solution(peaked)).axes[2])[0].norm, LogNorm)


def test_a_slice_avoids_the_plane_on_which_the_solution_vanishes():
    grid = {x: np.linspace(-1, 1, 9) for x in "xyz"}
    x, y, z = np.meshgrid(*grid.values(), indexing="ij")
    planes = [
        view.fixed
        for view in views(grid, np.sin(np.pi * x) * np.sin(np.pi * y) * np.cos(np.pi * z), None)
    ]
    assert planes == ["z = 0", "y = -0.5", "x = -0.5"]


def test_history_shows_every_finite_number_and_the_stages(result):
    axes = drawn(plot_history(result)).axes[0]
    by_label = {line.get_label(): line for line in axes.lines}
    assert len(by_label["loss: mean squared residual"].get_xdata()) == len(result.history.records)
    assert len(by_label["the same on fresh points"].get_xdata()) == len(result.history.records) / 3
    assert [text.get_text() for text in axes.texts] == [
        "grid 4",
        "grid 4 again",
    ]  # what they share, "LM", is left out


def test_an_empty_history_is_drawn(result):
    axes = drawn(plot_history(replace(result, history=History()))).axes[0]
    assert draw_history(result, axes, "step") is axes


def test_a_real_result_is_drawn_whole(poisson):
    for plot in (plot_solution, plot_history, plot_network):
        drawn(plot(solved(poisson, reference=False)))
