"""Wrong files of a classroom: each comes to one line that names its own line and the cure."""

import warnings

import pytest
from classroom import WRONG, plate, rod, spring

from kanpde.errors import ProblemError, ProblemWarning
from kanpde.problem.file import load


def said_of(wrong, folder):
    """The message about a file, or what it is warned of."""
    path = folder / "wrong.py"
    path.write_text(wrong.source, encoding="utf-8")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            load(str(path))
        except ProblemError as error:
            return str(error)
    return "".join(str(one.message) for one in caught if one.category is ProblemWarning)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.what)
def test_a_wrong_file_comes_to_one_line_with_the_cure(wrong, tmp_path):
    said = said_of(wrong, tmp_path)
    assert "\n" not in said
    for word in wrong.words:
        assert word in said
    if wrong.line is not None:
        assert said.startswith(f"wrong.py, line {wrong.line}: ")


def test_there_are_enough_of_them():
    assert len({wrong.source for wrong in WRONG}) == len(WRONG) >= 85


def test_the_files_are_wrong_in_nothing_else(tmp_path):
    """What is right in them is right: the parts that all of them share make problems."""
    for right in (rod("nothing"), plate("nothing"), spring("nothing")):
        assert said_of(right, tmp_path) == ""


def test_the_line_of_a_condition_in_a_list_above_is_found(tmp_path):
    path = tmp_path / "above.py"
    path.write_text(
        "from kanpde import Box, Dirichlet, Problem, laplacian\n"
        "walls = [\n"
        '    Dirichlet(u=0, on="x-"),\n'
        '    Dirichlet(u=0, on="x"),\n'
        "]\n"
        "problem = Problem(\n"
        "    domain=Box(x=(0, 1), y=(0, 1)),\n"
        "    equations=[lambda u, x, y: laplacian(u)],\n"
        "    conditions=walls,\n"
        ")\n"
    )
    with pytest.raises(ProblemError, match=r"^above\.py, line 4: .*did you mean 'x-' or 'x\+'\?$"):
        load(str(path))
