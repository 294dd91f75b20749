"""Pictures of the cells and spans of products of splines."""

from dataclasses import replace

import numpy as np
import pytest

from kanpde.plots.mesh import panels, plot_mesh
from kanpde.results.meshes import CellsDrawn, MeshDrawing


def drawing(counts, evolving=False, spans=1):
    """Cells of equal length with estimates of 1e-9 along the first coordinate and 1e-6, falling,
    along the others."""
    names, every = ("x", "y", "z", "t"), []
    for k in range(spans):
        breaks = [np.linspace(0, 1, count + 1) for count in counts]
        errors = [np.full(counts[0], 1e-9), *(1e-6 / np.arange(1, n + 1) for n in counts[1:])]
        if evolving:
            breaks[-1], errors[-1] = np.array([k, k + 1.0]), np.array([10.0 ** -(6 + k)])
        every.append(CellsDrawn(tuple(breaks), tuple(errors)))
    used = names[: len(counts)] if not evolving else (*names[: len(counts) - 1], "t")
    return MeshDrawing("a mesh", used, evolving, tuple(every))


@pytest.mark.parametrize(
    ("made", "pairs", "labels"),
    [
        (drawing((4,)), [(0, None)], [("x", "")]),
        (drawing((4, 3)), [(0, 1)], [("x", "y")]),
        (drawing((4, 3, 2)), [(0, 1), (0, 2), (1, 2)], [("x", "y"), ("x", "z"), ("y", "z")]),
        (drawing((4, 1), True, 3), [(0, 1)], [("x", "t")]),
        (drawing((4, 3, 1), True, 2), [(0, 2), (1, 2)], [("x", "t"), ("y", "t")]),
    ],
)
def test_every_two_coordinates_or_each_over_time_have_a_panel(made, pairs, labels):
    assert panels(made) == pairs
    *every, _ = plot_mesh(made, "title").axes
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in every] == labels
    for axes in every:
        shapes = [mesh.get_array().shape for mesh in axes.collections[::2]]
        assert len(shapes) == len(made.spans)


def test_a_cell_has_the_colour_of_its_larger_estimate():
    figure = plot_mesh(drawing((4, 2)), "title")
    (mesh, _) = figure.axes[0].collections
    np.testing.assert_allclose(mesh.get_array(), [[1e-6] * 4, [5e-7] * 4])
    assert mesh.norm.vmax == pytest.approx(1e-6)
    assert mesh.norm.vmin == pytest.approx(1e-7), "at least one power of ten"
    wide = plot_mesh(drawing((4, 1), True, 3), "title").axes[0].collections[0].norm
    assert (wide.vmin, wide.vmax) == pytest.approx((1e-8, 1e-6))


def test_cells_outside_of_a_domain_have_no_colour_and_do_not_count():
    made = drawing((4, 3))
    (cells,) = made.spans
    within = np.ones((4, 3), dtype=bool)
    within[0, :2] = within[3] = False
    cells.errors[0][[0, 3]] = 1e-5, 1e3
    inside = MeshDrawing("a mesh", ("x", "y"), False, (replace(cells, within=within),))
    (mesh, _) = plot_mesh(inside, "title").axes[0].collections
    shown = np.ma.filled(np.ma.masked_invalid(mesh.get_array()), np.nan)
    assert np.array_equal(np.isnan(shown), ~within.T)
    assert (mesh.norm.vmin, mesh.norm.vmax) == pytest.approx((1e-6 / 3, 1e-5))
