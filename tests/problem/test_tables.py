"""Tables from files, mappings and frames, and what is refused in one line that names row and
column."""

import h5py
import numpy as np
import pytest
import torch

from kanpde.errors import DataError
from kanpde.problem.table_files import read

X = np.array([0.0, 0.5, 1.0])
Y = np.array([1.0, -2.5e-3, 3.0])


def as_csv(folder, mark=","):
    path = folder / "table.csv"
    path.write_text(
        f"x{mark}y{mark}kind\n"
        + "".join(
            f"{x}{mark}{y}{mark}{kind}\n" for x, y, kind in zip(X, Y, ("b", "a", "b"), strict=True)
        )
    )
    return path


def as_npz(folder, mark=","):
    np.savez(
        folder / "table.npz",
        x=X,
        y=Y.astype(np.float32).astype(float),
        kind=np.array(["b", "a", "b"]),
    )
    return folder / "table.npz"


def as_hdf5(folder, mark=","):
    with h5py.File(folder / "table.h5", "w") as file:
        file["x"], file["y"], file["kind"] = X, Y, np.array([b"b", b"a", b"b"])
    return folder / "table.h5"


class Frame:
    """What a data frame can do, as far as it matters."""

    columns = ("x", "y", "kind")

    def __getitem__(self, name):
        return {"x": X, "y": torch.from_numpy(Y), "kind": ["b", "a", "b"]}[name]


@pytest.mark.parametrize(
    "make",
    [
        as_csv,
        lambda f: as_csv(f, ";"),
        lambda f: as_csv(f, "\t"),
        as_npz,
        as_hdf5,
        lambda f: Frame(),
        lambda f: {"x": X, "y": Y, "kind": ["b", "a", "b"]},
    ],
)
def test_every_source_gives_the_same_table(make, tmp_path):
    table = read(make(tmp_path))
    assert list(table.columns) == ["x", "y", "kind"] or set(table.columns) == {"x", "y", "kind"}
    np.testing.assert_allclose(table.numbers(["y", "x"]), np.stack([Y, X], 1), rtol=1e-7)
    classes, numbers = table.labels("kind")
    assert classes == ("a", "b")
    assert numbers.tolist() == [1, 0, 1]
    assert [name for name in table.columns if table.is_text(name)] == ["kind"]


def test_arrays_of_two_dimensions_become_columns():
    table = read({"X": np.arange(6).reshape(3, 2), "z": X})
    assert list(table.columns) == ["X0", "X1", "z"]
    assert table.numbers(["X1"])[:, 0].tolist() == [1, 3, 5]


def test_row_numbers_without_a_name_are_left_out(tmp_path):
    (tmp_path / "frame.csv").write_text(",x,y\n0,1,2\n1,3,4\n")
    assert list(read(tmp_path / "frame.csv").columns) == ["x", "y"]


def test_classes_written_in_numbers_keep_their_order():
    assert read({"c": [10, 9, 2.0, 10]}).labels("c")[0] == ("2", "9", "10")


WRONG = {
    "a word among numbers": (
        "x,y\n1,2\n3,much\n",
        "x,y",
        r"table.csv: row 2, column 'y': got 'much'; expected a number",
    ),
    "a missing value": (
        "x,y\n1,2\n,4\n",
        "x,y",
        r"table.csv: row 2, column 'x': the value is missing",
    ),
    "nan": ("x,y\n1,nan\n3,4\n", "x,y", r"row 1, column 'y': the value is missing"),
    "infinity": (
        "x,y\n1,inf\n3,4\n",
        "x,y",
        r"row 1, column 'y': got inf; expected a finite number",
    ),
    "another name": (
        "length,y\n1,2\n",
        "lenght,y",
        r"no column 'lenght'; it has length, y; did you mean 'length'\?",
    ),
    "a short row": (
        "x,y\n1,2\n3\n",
        "x,y",
        r"row 2 has 1 values; expected 2, one for each of x, y",
    ),
    "no names": (
        "1,2\n3,4\n",
        "x,y",
        "its first line holds numbers; expected the names of the columns",
    ),
    "a name twice": ("x,x\n1,2\n", "x", "column 2 has the name 'x' of column 1"),
    "no name": ("x,\n1,2\n", "x", "column 2 has no name"),
    "no rows": ("x,y\n", "x,y", "has no rows"),
    "nothing": ("", "x", "has no columns"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_file_can_have_wrong_is_said_in_one_line(case, tmp_path):
    text, names, message = WRONG[case]
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / "table.csv").numbers(names.split(","))
    assert "\n" not in str(caught.value)


def test_other_wrong_data(tmp_path):
    with pytest.raises(DataError, match="column 'y' has 2 rows and 'x' has 3; expected as many"):
        read({"x": X, "y": [1, 2]})
    with pytest.raises(DataError, match="labels of one class only, 'a'"):
        read({"c": ["a", "a"]}).labels("c")
    with pytest.raises(DataError, match="row 2, column 'c': the label is missing"):
        read({"c": ["a", None, "b"]}).labels("c")
    with pytest.raises(DataError, match=r"shape \[1, 1, 1\]"):
        read({"x": np.zeros((1, 1, 1))})
    (tmp_path / "data.csv").write_text("x\n1\n")
    with pytest.raises(DataError, match=r"no such file; did you mean 'data.csv'\?"):
        read(tmp_path / "dta.csv")
    (tmp_path / "broken.npz").write_text("no archive")
    (tmp_path / "broken.h5").write_text("no file of HDF5")
    for name in ("broken.npz", "broken.h5"):
        with pytest.raises(DataError, match="cannot be read as"):
            read(tmp_path / name)
    with pytest.raises(DataError, match=r"file ending in '.xlsx'"):
        read("table.xlsx")
    with pytest.raises(DataError, match="got int; expected a path"):
        read(3)


@pytest.mark.parametrize("shape", [(0,), (0, 2)])
def test_columns_without_rows_are_one_line(shape):
    with pytest.raises(DataError, match="has no rows"):
        read({"z": np.zeros(shape)})


AS_PEOPLE_HAVE_IT = {
    "decimal commas": ("h;T\n0;1,5\n1;2,25\n", [1.5, 2.25]),
    "comments and units": ("# weather\nh;T\nhours;°C\n0;1,5\n1;2,25\n", [1.5, 2.25]),
    "thousands in points": ("h;T\n0;1.234,5\n1;1.234.567,0\n", [1234.5, 1234567.0]),
    "thousands in commas": ('h,T\n0,"1,234.5"\n1,"2,345"\n', [1234.5, 2345.0]),
    "a name with a comma": ('h,"T, outdoor"\n0,1.5\n1,2.5\n', [1.5, 2.5]),
    "spaces": ("h T\n0 1.5\n1 2.5\n", [1.5, 2.5]),
}


@pytest.mark.parametrize("case", AS_PEOPLE_HAVE_IT)
def test_numbers_as_people_write_them(case, tmp_path):
    text, values = AS_PEOPLE_HAVE_IT[case]
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    table = read(tmp_path / "table.csv")
    _, column = table.columns
    assert table.numbers([column])[:, 0].tolist() == values


def test_what_may_be_decimal_or_thousands_is_asked(tmp_path):
    (tmp_path / "table.csv").write_text("h;T\n0;1,234\n1;2,345\n")
    said = r"table.csv: '1,234' may be a decimal number or have thousands apart; say which by"
    with pytest.raises(DataError, match=said):
        read(tmp_path / "table.csv")
    for decimal, values in ((",", [1.234, 2.345]), (".", [1234.0, 2345.0])):
        found = read(tmp_path / "table.csv", decimal=decimal)
        assert found.numbers(["T"])[:, 0].tolist() == values


def test_dates_are_no_thousands(tmp_path):
    (tmp_path / "table.csv").write_text("day;T\n1.2.2020;1,5\n2.2.2020;2,5\n")
    assert read(tmp_path / "table.csv")["day"].tolist() == ["1.2.2020", "2.2.2020"]


def test_what_is_no_unicode_is_read_as_spreadsheets_write_it(tmp_path):
    (tmp_path / "table.csv").write_bytes("Stunde;Wärme\n0;1,5\n1;2,5\n".encode("cp1252"))
    assert list(read(tmp_path / "table.csv").columns) == ["Stunde", "Wärme"]
