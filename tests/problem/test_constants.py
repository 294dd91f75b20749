"""Constants of a problem's file, set from outside: which there are, what they change, and what is
refused."""

import json
from pathlib import Path

import pytest
import torch

import kanpde
from kanpde.cli import main
from kanpde.errors import ProblemError
from kanpde.problem.file import load

MINE = '''"""A decay with a rate and a mode."""
import math
from torch import cos, exp
from kanpde import Box, Dirichlet, Problem, d

rate = -1.5 * math.pi
mode: int = 2
times = 3
flag = True
label = "slow"
twice = len(label) * 2
low, high = 0, 1


def decay(u, x):
    return d(u, x, x) + rate * u - sum(cos(k * x) for k in range(times))


problem = Problem(domain=Box(x=(low, high)), equations=[decay], conditions=[Dirichlet(u=0)])
'''


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE, encoding="utf-8")


def test_a_constant_changes_equation_and_exact_solution():
    at = {
        "x": torch.tensor([0.3], dtype=torch.float64),
        "t": torch.tensor([0.5], dtype=torch.float64),
    }
    plain, other = load("burgers1d")[0], load("burgers1d", {"nu": 0.01})[0]
    assert float(plain.exact_values(at)["u"]) != float(other.exact_values(at)["u"])
    assert other.title == f"{plain.title} [nu = 0.01]"
    assert other.constants == {"nu": 0.01}
    assert not plain.constants
    same = load("burgers1d", {"nu": 0.01 / torch.pi})[0]
    assert torch.equal(plain.exact_values(at)["u"], same.exact_values(at)["u"])


def test_only_numbers_at_the_top_level_are_constants():
    for name in ("mode", "flag", "label", "twice", "low", "problem", "decay"):
        with pytest.raises(ProblemError, match=rf"no constant '{name}'; the file has rate, times"):
            load("mine.py", {name: 1.0})
    with pytest.raises(ProblemError, match="did you mean 'rate'"):
        load("mine.py", {"rates": 1.0})
    assert load("mine.py", {"times": 4.0, "rate": 2.0})[0].constants == {
        "times": 4.0,
        "rate": 2.0,
    }, "a whole number stays one"


def test_a_run_remembers_its_constants(tmp_path, capsys):
    options = [
        "--schedule",
        "lm:2",
        "--points",
        "40",
        "--restarts",
        "1",
        "--no-reference",
        "--json",
    ]
    assert main(["solve", "mine.py", "rate=2.5", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["constants"] == {"rate": 2.5}
    again = kanpde.load(found["run_dir"])
    assert again.problem.constants == {"rate": 2.5}
    assert "[rate = 2.5]" in again.problem.title


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate", "rate: expected a constant of the problem and a number, such as nu=0.01"),
        ("rate=fast", "rate=fast: expected a constant"),
        ("rate=inf", "rate=inf: expected a constant"),
        ("=3", "=3: expected a constant"),
        ("rat=3", "no constant 'rat'; the file has rate, times; did you mean 'rate'?"),
    ],
)
def test_a_constant_that_cannot_be_set_gets_one_line(text, message, capsys):
    for command in ("solve", "reference"):
        assert main([command, "mine.py", text]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
