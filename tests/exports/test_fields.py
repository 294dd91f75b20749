"""Exported fields, read back by the readers of the tools that they are for: VTK's, through PyVista,
pandas and xarray."""

import csv
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import solved

from kanpde import Box, Dirichlet, Initial, Problem, ProblemError, RunError, Time, d
from kanpde.cli import main
from kanpde.exports import export
from kanpde.problem import file as problems
from kanpde.results.fields import Fields
from kanpde.runs.folder import load, save

READER = Path(__file__).with_name("read_with_pyvista.py")


@pytest.fixture(scope="module")
def heat():
    """A solution of three coordinates, one of them time, which looks different along each."""
    return solved(problems.load("heat2d")[0], steps=2, points=100)


@pytest.fixture(scope="module")
def holed(result):
    """What a curved domain leaves on a grid: no number outside of the circle."""
    x, y = np.meshgrid(*result.fields.grid.values(), indexing="ij")
    found = replace(result)
    found.__dict__["fields"] = Fields(
        result.fields.grid, {"u": np.where(x**2 + y**2 > 1, np.nan, result.fields.solution["u"])}
    )
    return found


@pytest.fixture(scope="module")
def read(heat, result, holed, tmp_path_factory):
    """What VTK's readers make of each file: a list of arrays by name, a level each, and the
    times."""
    folder = tmp_path_factory.mktemp("fields")
    written = {
        (name, kind): export(run, [kind], folder / name)[0]
        for name, run in (("heat", heat), ("steady", result), ("holed", holed))
        for kind in ("vtk", "xdmf")
    }
    done = subprocess.run(
        [sys.executable, READER, folder / "read.npz", *written.values()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    kept = dict(np.load(folder / "read.npz"))

    def of(path):
        times = kept[f"{path}|times"]
        names = [key.split("|")[2] for key in kept if key.startswith(f"{path}|0|")]
        return times, [
            {name: kept[f"{path}|{k}|{name}"] for name in names} for k in range(len(times))
        ]

    return {key: of(path) for key, path in written.items()}


@pytest.mark.parametrize("kind", ["vtk", "xdmf"])
def test_steady_fields_are_read_by_vtk(read, result, kind):
    _, (level,) = read["steady", kind]
    assert {"u", "u_reference", "u_exact", "u_error"} <= level.keys()
    np.testing.assert_array_equal(level["u"][:, :, 0], result.fields.solution["u"])
    np.testing.assert_array_equal(level["u_error"][:, :, 0], result.fields.error("u"))
    for axis in "xy":
        np.testing.assert_array_equal(level[f"axis {axis}"], result.fields.grid[axis])


@pytest.mark.parametrize("kind", ["vtk", "xdmf"])
def test_time_series_are_read_by_vtk(read, heat, kind):
    times, levels = read["heat", kind]
    np.testing.assert_array_equal(times, heat.fields.grid["t"])
    for k in (0, 5, len(times) - 1):
        np.testing.assert_array_equal(levels[k]["u"][:, :, 0], heat.fields.solution["u"][..., k])
        np.testing.assert_array_equal(levels[k]["u_exact"][:, :, 0], heat.fields.exact["u"][..., k])


def test_nodes_outside_of_the_domain_are_hidden_in_vtk_and_left_out_of_tables(
    read, holed, tmp_path
):
    outside = np.isnan(holed.fields.solution["u"])
    _, (level,) = read["holed", "vtk"]
    np.testing.assert_array_equal(level["vtkGhostType"][:, :, 0] > 0, outside)
    assert np.isnan(level["u"][outside]).all()
    table = columns(export(holed, ["csv"], tmp_path)[0])
    assert len(table["u"]) == (~outside).sum()
    assert (table["x"] ** 2 + table["y"] ** 2 <= 1).all()


def columns(path):
    """A table of numbers as csv and float read it."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return {
        name: np.array([float(cell or "nan") for cell in column])
        for name, column in zip(header, zip(*rows, strict=True), strict=True)
    }


def test_tables_lose_no_digit(result, tmp_path):
    fields, steps = export(result, ["csv"], tmp_path)
    table = columns(fields)
    assert list(table) == ["x", "y", "u", "u_reference", "u_exact", "u_error"]
    np.testing.assert_array_equal(table["u"].reshape(17, 17), result.fields.solution["u"])
    np.testing.assert_array_equal(table["y"][:17], result.fields.grid["y"])
    history = columns(steps)
    np.testing.assert_array_equal(history["loss"], result.history.column("loss"))
    np.testing.assert_array_equal(history["fresh"], result.history.column("fresh"))


def test_the_command_writes_into_the_run_and_prints_names(run, capsys):
    assert main(["export", str(run), "--to", "csv,vtk"]) == 0
    assert capsys.readouterr().out.split() == [
        str(run / name) for name in ("solution.csv", "history.csv", "solution.vtr")
    ]
    assert load(run).relative_l2 < 1


@pytest.mark.parametrize(
    ("kinds", "message"),
    [("vkt", "got 'vkt'; expected .*did you mean 'vtk'"), (",", "--to: got ','")],
)
def test_a_format_that_there_is_not_is_named(run, kinds, message, capsys):
    assert main(["export", str(run), "--to", kinds]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_more_than_three_coordinates_of_space_are_refused(result, tmp_path):
    box = replace(result)
    box.__dict__["fields"] = Fields(
        {x: np.linspace(0, 1, 3) for x in "abcd"}, {"u": np.zeros((3, 3, 3, 3))}
    )
    with pytest.raises(RunError, match="xdmf: got fields of 4 coordinates of space"):
        export(box, ["xdmf"], tmp_path)


def warm(x):
    return 300 + 0 * x


def heated(units):
    return Problem(
        domain=Box(x=(0, 1)) * Time(t=(0, 2)),
        equations=lambda u, x, t: d(u, t) - d(u, x, x),
        conditions=[Dirichlet(u=300), Initial(u=warm)],
        exact={"u": lambda x, t: 300 + 0 * x},
        units=units,
    )


def test_xarray_opens_a_run_with_axes_names_and_units(tmp_path):
    import xarray

    found = solved(heated({"u": "K", "x": "m", "t": "s"}), steps=1, points=50)
    folder = save(found, tmp_path)
    with xarray.open_dataset(folder / "run.h5", engine="h5netcdf") as stored:
        assert stored.u.dims == ("x", "t")
        np.testing.assert_array_equal(stored.u, found.fields.solution["u"])
        np.testing.assert_array_equal(stored.t, found.fields.grid["t"])
        assert (
            stored.x.attrs["units"],
            stored.x.attrs["axis"],
            stored.t.attrs["axis"],
            stored.u_error.attrs["units"],
        ) == ("m", "X", "T", "K")
        assert stored.attrs["Conventions"].startswith("CF-")
        assert float(stored.u.sel(x=0.5, t=1, method="nearest")) == pytest.approx(300, abs=100)
        made = found.to_xarray()
        assert made.attrs.keys() <= stored.attrs.keys()
        xarray.testing.assert_equal(made, stored.load())
        assert {name: v.attrs for name, v in made.variables.items()} == {
            name: v.attrs for name, v in stored.variables.items()
        }
    with xarray.open_datatree(folder / "run.h5", engine="h5netcdf") as tree:
        np.testing.assert_array_equal(tree["history"].loss, found.history.column("loss"))
        assert tree["network/layer0"].outputs.dims == ("input", "output", "sample")


def test_units_of_what_is_not_there_are_named():
    with pytest.raises(
        ProblemError,
        match=r"Problem\(units=\{'v': …\}\): no such unknown or coordinate; they are u, x, t",
    ):
        heated({"v": "m"})
    with pytest.raises(ProblemError, match="expected texts by unknown and coordinate"):
        heated({"u": 1})
