"""Pictures of sweeps from hand-made tables: what is drawn is what is stored, whatever is
missing."""

import math
from dataclasses import replace

import numpy as np
import pytest

from kanpde.sweeps import figures
from kanpde.sweeps.rows import Differences, StageRow, SweepTable, TrialRow

SIZES = (50, 100, 200, 400)


def stages(error):
    return tuple(
        StageRow(
            i, "lm", grid, 9 * grid, 10 * (i + 1), 0.1 * (i + 1), error, error * 10.0 ** (2 - i)
        )
        for i, grid in enumerate((3, 6, 12))
    )


def row(kind, size, seed, error):
    known = {"degree": 3, "grid": 12} if kind == "kan" else {"degree": 0, "grid": 0}
    staircase = stages(error) if kind == "kan" else ()
    return TrialRow(
        f"{kind}{size}{seed}",
        kind,
        f"{kind.upper()} {size}",
        "5",
        1,
        **known,
        parameters=size,
        schedule="lm:9",
        points=99,
        seed=seed,
        judged="exact",
        error=error,
        seconds=size / 50 + seed,
        stages=staircase,
    )


ROWS = tuple(
    row(kind, size, seed, (1 + seed) * size**slope)
    for kind, slope in (("kan", -4.0), ("mlp", -2.0))
    for size in SIZES
    for seed in range(3)
)
DIFFERENCES = tuple(Differences(2, n, n * n, n**-2.0, 0.01 * n) for n in (8, 16, 32))
ABOUT = {
    "problem": "toy",
    "title": "A toy.",
    "provenance": {
        "processor": "abacus",
        "cores": 2,
        "commit": "abc123",
        "date": "2026-01-02T03:04:05",
    },
}
TABLE = SweepTable(ROWS, DIFFERENCES, ABOUT)


def texts(figure):
    return [
        text.get_text()
        for legend in figure.legends
        for text in (*legend.get_texts(), legend.get_title())
    ]


def lines(figure):
    return [
        (np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float))
        for line in figure.axes[0].get_lines()
    ]


def test_medians_slopes_and_differences_are_those_of_the_table():
    figure = figures.plot_parameters(TABLE)
    found = [y.tolist() for x, y in lines(figure) if x.tolist() == list(SIZES)]
    assert all(
        any(y == pytest.approx([2 * size**slope for size in SIZES]) for y in found)
        for slope in (-4.0, -2.0)
    ), "the medians"
    assert "KAN: slope -4.0 ± 0.0" in texts(figure)
    assert "MLP: slope -2.0 ± 0.0" in texts(figure)
    assert "finite differences, order 2, by unknowns" in texts(figure)
    assert "median and range over 3 seeds, abacus, 2 cores, commit abc123, 2026-01-02" in texts(
        figure
    )
    assert any("theory" in note.get_text() for note in figure.axes[0].texts)


def test_the_front_holds_what_nothing_beats():
    points = [(1.0, 1e-2), (2.0, 1e-3), (3.0, 5e-3), (0.5, 1e-1), (2.0, 1e-4)]
    assert figures.pareto(points) == [(0.5, 1e-1), (1.0, 1e-2), (2.0, 1e-4)]
    assert figures.pareto([]) == []


def test_the_staircase_shows_the_grids_of_the_largest_network():
    figure = figures.plot_staircase(TABLE)
    assert [note.get_text() for note in figure.axes[0].texts] == ["3", "6", "12"]
    assert len(lines(figure)) == 3, "one line a seed"
    assert lines(figure)[0][0].tolist() == [10, 20, 30]


def test_series_differ_without_colour():
    styles = {
        (line.get_linestyle(), line.get_marker())
        for line in figures.plot_seconds(TABLE).axes[0].get_lines()
        if line.get_linestyle() != "None"
    }
    assert len(styles) == 3


@pytest.mark.parametrize(
    "table",
    [
        SweepTable((), (), {}),
        SweepTable(ROWS[:1]),
        SweepTable(ROWS[:3], DIFFERENCES, ABOUT),
        SweepTable(tuple(r for r in ROWS if r.kind == "mlp"), (), ABOUT),
        SweepTable(
            tuple(
                replace(r, judged="reference")
                for r in (
                    *ROWS,
                    replace(ROWS[0], status="failed", error=math.nan, seconds=math.nan, stages=()),
                )
            ),
            DIFFERENCES,
            ABOUT,
        ),
        SweepTable(tuple(replace(r, error=math.nan, status="failed") for r in ROWS), (), ABOUT),
    ],
    ids=[
        "nothing",
        "one trial",
        "one size",
        "only mlp",
        "judged by the reference, one failed",
        "all failed",
    ],
)
def test_whatever_is_missing_pictures_are_drawn(table, tmp_path):
    found = figures.draw(table, tmp_path)
    assert {path.suffix for path in found} == {".png", ".pdf", ".svg"}
    assert all(path.stat().st_size > 1000 for path in found)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in found}
