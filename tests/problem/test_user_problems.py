"""What a stranger writes after reading the README and the first guide: their own blocks of code,
solved with default settings and judged by the reference."""

import re
import sys
from pathlib import Path

import pytest

import kanpde
from kanpde import KAN
from kanpde.problem.file import load
from kanpde.reference import reference

ROOT = Path(__file__).parents[2]
README, GUIDES = ROOT / "README.md", ROOT / "docs" / "how-to"
ALL = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
BLOCKS_WITHOUT_PROBLEM = [block for block in ALL if "problem = Problem(" not in block]
BLOCKS = {"layer": next(block for block in ALL if "problem = Problem(" in block)}
"""Problems by the name of the file that a page asks to save them as."""
for page in ("own-pde", "curved-domains", "inverse-problems"):
    text = (GUIDES / f"{page}.md").read_text(encoding="utf-8")
    BLOCKS |= dict(re.findall(r"```python title=\"(\w+)\.py\"\n(.*?)```", text, re.DOTALL))


@pytest.mark.parametrize(
    ("name", "effort", "error"),
    [("layer", "quick", 1e-5), ("predators", "default", 1e-7), ("kdv", "quick", 1e-5)],
)
def test_a_problem_that_is_shown_agrees_with_its_reference(name, effort, error, tmp_path):
    path = tmp_path / f"{name}.py"
    path.write_text(BLOCKS[name], encoding="utf-8")
    problem, recipes = load(str(path))
    assert not recipes, "the network is the default one"
    result = kanpde.solve(problem, effort=effort)
    assert result.verdict.converged
    assert result.reference.estimated_error < 1e-6
    assert result.reference_relative_l2 < error


def test_the_plate_with_a_hole_agrees_with_its_reference(tmp_path):
    path = tmp_path / "hole.py"
    path.write_text(BLOCKS["hole"], encoding="utf-8")
    result = kanpde.solve(
        load(str(path))[0],
        schedule="lm:25",
        points=600,
        restarts=1,
        reference=reference(load(str(path))[0], cells=32),
    )
    assert result.reference.estimated_error < 1e-3
    assert result.reference_relative_l2 < 2e-3


def test_the_rod_has_its_conductivity_within_the_interval(tmp_path):
    path = tmp_path / "rod.py"
    path.write_text(BLOCKS["rod"], encoding="utf-8")
    small = {"network": KAN((4,), 7, 3), "schedule": "lm:10", "points": 150, "restarts": 1}
    result = kanpde.solve(load(str(path))[0], **small, reference=False)
    (k,) = result.summary()["estimates"]
    assert k["name"] == "k"
    assert k["standard_error"] < 0.01
    assert abs(k["value"] - 0.3) < 4 * k["standard_error"]


def test_the_other_code_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    """The use from Python, with a budget of one step."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("layer.py").write_text(BLOCKS["layer"], encoding="utf-8")
    solve = kanpde.solve
    monkeypatch.setattr(
        kanpde,
        "solve",
        lambda problem: solve(problem, schedule="lm:1", points=50, restarts=1, effort="quick"),
        raising=False,
    )
    names = {}
    for text in BLOCKS_WITHOUT_PROBLEM:
        exec(compile(text, str(README), "exec"), names)
    sys.modules.pop("layer")
    assert names["u"].shape == names["flux"].shape == (101,)
    assert capsys.readouterr().out.strip()
