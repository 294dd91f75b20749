"""The lines that statements note are those that coverage's tracer sees."""

import ast
import sys

import pytest
from coverage import Coverage
from reached_lines import marks, observed, reached

SAMPLE = '''"""A text that is no code."""

from __future__ import annotations

import functools

LONG = [
    1,
    2,
]
"""What is said of it."""


class Pair:
    """Two numbers."""

    one: int
    two: int = 2

    @property
    @functools.cache
    def both(self):
        return self.one, self.two

    def never(self):
        return None


def kinds(x):
    """Of several kinds."""
    try:
        y = 1 / x
    except ZeroDivisionError:
        y = 0
    except TypeError:
        y = 1
    else:
        y += 1
    finally:
        x = x + 1
    if x > 5:
        return 1
    elif x > 2:
        y = 2
    else:
        y = 3
    while y > 0:
        y -= 1
        if y == 7:
            break
    else:
        y = 4
    match y:
        case 4:
            z = 1
        case _:
            z = 2
    with open(__file__) as file:
        [line for line in file if
         line]
    for _ in ():
        z = 3
    return lambda: z + (
        1
    )


kinds(0)
kinds(1)
'''


def test_they_are_those_of_the_tracer(tmp_path):
    file = tmp_path / "sample.py"
    file.write_text(SAMPLE)
    exec(compile(observed(ast.parse(SAMPLE), str(file)), str(file), "exec"), {"__file__": file})
    found = reached(str(file))
    marks.pop(str(file.resolve()))  # the report is of the project's own files
    traced = Coverage(data_file=None, config_file=False, include=str(file))
    with traced.collect():
        exec(compile(SAMPLE, str(file), "exec"), {"__file__": file})
    _, statements, _, missing, _ = traced.analysis2(str(file))
    assert len(missing) > 5
    assert [n for n in statements if n not in found] == missing


def test_what_comes_after_an_error_is_not_reached(tmp_path):
    text = "one = 1\ntwo = 2\nif one:\n    three = 3\n    four = 1 / 0\n    five = 5\nsix = 6\n"
    file = str(tmp_path.resolve() / "f.py")
    with pytest.raises(ZeroDivisionError):
        exec(compile(observed(ast.parse(text), file), file, "exec"), {})
    assert reached(file) == {1, 2, 3, 4}
    marks.pop(file)


def test_text_lines_and_errors_stay(tmp_path):
    text = '"""Said."""\n\ndef f(x):\n    """Done."""\n    return 1 / x\n'
    file = str(tmp_path.resolve() / "f.py")
    names = {}
    exec(compile(observed(ast.parse(text), file), file, "exec"), names)
    assert (names["__doc__"], names["f"].__doc__) == ("Said.", "Done.")
    marks.pop(file)
    with pytest.raises(ZeroDivisionError) as raised:
        names["f"](0)
    assert raised.traceback[-1].lineno == 4  # from 0


def test_a_file_found_below_the_current_folder_is_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("same.py", str(tmp_path / "same.py")):
        exec(compile(observed(ast.parse("one = 1"), path), path, "exec"), {})
    assert marks.pop(str(tmp_path.resolve() / "same.py")) == [0, 1]
    assert "same.py" not in marks


def test_what_pytest_itself_imports_is_observed_as_well():
    own = [sys.modules[name] for name in ("kanpde", "kanpde.errors")]
    assert [type(module.__spec__.loader).__name__ for module in own] == ["Loader", "Loader"]
