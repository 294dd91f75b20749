"""Pictures of networks: a curve an edge, what was pruned left out, symbolic edges in their colour,
products as nodes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import solved
from matplotlib.collections import LineCollection, PatchCollection
from test_plots import drawn, problem_in, untrained

from kanpde.cli import main
from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.networks.registry import SPECS
from kanpde.networks.surgery import Edge, dropped
from kanpde.plots.edge import plot_edge
from kanpde.plots.layout import MOST_UNITS, READABLE, layout_of
from kanpde.plots.network import plot_network, plot_pruned
from kanpde.runs import pictures
from kanpde.runs.folder import load, save

BLUE, RED = (0, 0.447, 0.698), (0.835, 0.369, 0)


def curves(axes, colour=BLUE):
    """How many edge functions are drawn in a colour, layer by layer."""
    found = [
        c
        for c in axes.collections
        if isinstance(c, LineCollection) and c.get_linewidth()[0] in (1.5, 1.1)
    ]
    return [
        int(sum(np.allclose(shade[:3], colour, atol=1e-3) for shade in c.get_colors()))
        for c in found
    ]


def boxes(axes):
    return [
        p.get_extents()
        for c in axes.collections
        if isinstance(c, PatchCollection)
        for p in c.get_paths()
    ]


def test_network_has_a_curve_an_edge():
    axes = drawn(plot_network(untrained(problem_in(2), KAN((3,), 5, 3)))).axes[0]
    assert curves(axes) == [2 * 3, 3 * 1]
    assert [t.get_text() for t in axes.texts] == ["x", "y", "u"]


def test_a_wide_mlp_is_drawn_as_a_graph_and_says_so():
    texts = [
        t.get_text()
        for t in drawn(plot_network(untrained(problem_in(2), MLP((64,))))).axes[0].texts
    ]
    assert "… 64" in texts
    assert MOST_UNITS < 64
    assert any("no edge functions" in t for t in texts)


@pytest.mark.parametrize("width", [(5,), (10, 10), (24,)])
def test_small_plots_keep_a_readable_size_and_do_not_overlap(width):
    drawing = untrained(problem_in(4), KAN(width, 3, 3)).drawing
    assert min(layout_of(drawing).sizes) >= min(READABLE, 0.5)
    figure = plot_network(untrained(problem_in(4), KAN(width, 3, 3)))
    found = boxes(drawn(figure).axes[0])
    assert len(found) == sum(p * q for p, q in zip((4, *width), (*width, 1), strict=True))
    for k, a in enumerate(found):
        assert not any(
            a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1 for b in found[k + 1 :]
        )
    assert figure.get_figwidth() <= 16


def pruned_result():
    result = untrained(problem_in(2), KAN((3,), 5, 3))
    network = result.solution.network
    result.solution.network = dropped(
        network, [Edge(0, 0, 1)], network.levels(torch.rand(50, 1, 2, dtype=torch.float64), ())
    )
    return result


def test_pruned_edges_are_left_out_and_shares_are_known():
    drawing = pruned_result().drawing
    assert np.isnan(drawing.importance[0][0, 1])
    assert np.nansum(drawing.importance[1]) == pytest.approx(1)
    assert all(d.mean() == pytest.approx(1) for d in np.concatenate(drawing.density))
    assert curves(drawn(plot_network(pruned_result())).axes[0]) == [5, 3]


def test_what_matters_less_is_fainter():
    drawing = untrained(problem_in(2), KAN((3,), 5, 3)).drawing
    shares = np.array([[0.9], [0.09], [0.01]])
    result = untrained(problem_in(2), KAN((3,), 5, 3))
    result.__dict__["drawing"] = replace(drawing, importance=(drawing.importance[0], shares))
    last = [
        c
        for c in drawn(plot_network(result)).axes[0].collections
        if isinstance(c, LineCollection) and c.get_linewidth()[0] == 1.5
    ][-1]
    alphas = sorted(last.get_colors()[:, 3], reverse=True)
    assert alphas[0] == pytest.approx(1)
    assert alphas[0] > 1.5 * alphas[1] > 3 * alphas[2] > 0.2


def test_symbolic_edges_have_their_colour_and_formula():
    result = untrained(problem_in(2), KAN((3,), 5, 3))
    result.__dict__["drawing"] = replace(
        result.drawing, formulas={(0, 1, 2): "sin", (1, 0, 0): "x²"}
    )
    axes = drawn(plot_network(result)).axes[0]
    assert curves(axes, RED) == [1, 1]
    assert {"sin", "x²"} <= {t.get_text() for t in axes.texts}
    figure = drawn(plot_edge(result.drawing, 0, 1, 2))
    assert figure.axes[0].get_title().startswith("edge 2 to 3 of layer 1: sin\n")
    assert figure.axes[0].get_xlabel() == "y"


def test_products_are_nodes_with_two_sums_below():
    result = untrained(problem_in(2), SPECS["multkan"]((2,), 5, 3, products=1))
    drawing = result.drawing
    assert drawing.products == (0, 1, 0)
    layout = layout_of(drawing)
    assert len(layout.ports(1)) == 4
    assert len({y for _, y in layout.ports(1)}) == 2
    assert curves(drawn(plot_network(result)).axes[0]) == [2 * 4, 3]


def test_units_that_multiply_have_an_edge_of_every_coordinate_and_one_output():
    result = untrained(problem_in(2), SPECS["separable"]((3,), 5, 4))
    drawing = result.drawing
    assert drawing.ranks == (3,)
    assert drawing.edges[0][1].shape[:2] == (2, 3)
    assert drawing.importance[0].sum(1) == pytest.approx([1, 1])
    axes = drawn(plot_network(result)).axes[0]
    assert curves(axes) == [2 * 3]


def test_an_edge_shows_where_its_activations_lie():
    drawing = untrained(problem_in(2), KAN((3,), 5, 3)).drawing
    figure = drawn(plot_edge(drawing, 1, 0, 0))
    low, high = figure.axes[0].get_xlim()
    assert (low, high) == pytest.approx((drawing.edges[1][0][0][0], drawing.edges[1][0][0][-1]))
    assert -1 <= low < high <= 1
    assert high - low < 2, "hidden activations of this network fill a part of the grid"
    assert figure.axes[1].get_ylim()[1] == pytest.approx(4 * drawing.density[1][0].max())


def test_before_and_after_stand_side_by_side_at_one_scale():
    figure = drawn(plot_pruned(untrained(problem_in(2), KAN((3,), 5, 3)), pruned_result()))
    before, after = figure.axes
    assert before.get_title().startswith("before: KAN 2-3-1, degree 5, grid 3\n72 parameters")
    assert after.get_title().startswith("after: KAN 2-3-1, degree 5, grid 3, 8 of 9 edges")
    assert (sum(curves(before)), sum(curves(after))) == (9, 8)
    assert before.get_ylim() == after.get_ylim()


def test_a_drawing_is_kept_in_the_run_folder(poisson, tmp_path):
    result = solved(poisson, reference=False)
    result.__dict__["drawing"] = replace(
        result.drawing, formulas={(0, 0, 0): "sin"}, products=(0, 1, 0)
    )
    again = load(save(result, tmp_path), poisson).drawing
    for name in ("importance", "density"):
        for a, b in zip(getattr(again, name), getattr(result.drawing, name), strict=True):
            np.testing.assert_array_equal(a, b)
    assert again.formulas == {(0, 0, 0): "sin"}
    assert again.products == (0, 1, 0)
    assert pictures.draw_pruned(result, result, tmp_path).stat().st_size > 10_000


def test_one_edge_is_drawn_from_the_command_line(poisson, tmp_path, capsys):
    folder = save(solved(poisson, reference=False), tmp_path)
    assert main(["plot", str(folder), "--edge", "1,2,3"]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "edge-1-2-3.png")
    assert (folder / "edge-1-2-3.png").stat().st_size > 5_000
    for edge, message in (
        (
            "3,1,1",
            (
                "error: edge 3,1,1: KAN 2-3-1, degree 5, grid 4 has none there: layer 1 has 2"
                " inputs and 3 outputs; layer 2 has 3 inputs and 1 outputs"
            ),
        ),
        (
            "1,2",
            "error: --edge: got '1,2'; expected a layer, an input and an output, such as 1,2,5",
        ),
        ("0,1,1", "error: --edge: got '0,1,1'; expected positive whole numbers"),
    ):
        assert main(["plot", str(folder), "--edge", edge]) == 2
        assert capsys.readouterr().err.startswith(message)
