"""What a notebook shows of a problem and of a result, asked of IPython itself."""

import subprocess
import sys

import pytest
from test_report import HOSTILE

import kanpde
from kanpde.problem import file as problems
from kanpde.results.result import Result

SHELL = """
import sys
{before}
import kanpde
{after}
from kanpde import Box, Dirichlet, Problem, d
problem = Problem(Box(x=(0, 1)), [lambda u, x: d(u, x, x) - 1], [Dirichlet(u=0)])
print("text/html" in shell.display_formatter.format(problem)[0])
"""
BEGIN = (
    "from IPython.core.interactiveshell import InteractiveShell;"
    " shell = InteractiveShell.instance()"
)


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """What a shell of IPython makes of an object, by kind of content."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}))
    kanpde.load_ipython_extension(shell)
    return lambda found: shell.display_formatter.format(found)[0]


def test_mathematics_and_numbers(shown, result, poisson):
    assert "<math>" in shown(poisson)["text/html"]
    assert shown(poisson)["text/plain"] == repr(poisson)
    found = shown(result)["text/html"]
    assert "<script" not in found
    assert "data:image/png;base64," in found
    assert f"not converged: {result.verdict.reason}" in found
    strange = Result(
        result.problem, result.solution, result.history, {**result.settings, "title": HOSTILE}, 0.1
    )
    assert "<script" not in shown(strange)["text/html"]


def test_a_problem_of_pieces_has_its_equations_by_piece(shown):
    found = shown(problems.load("interface2d")[0])["text/html"]
    for piece in ("disc", "plate"):
        assert f"<msub><mi>u</mi><mi>{piece}</mi></msub>" in found


@pytest.mark.parametrize(
    ("before", "after"), [(BEGIN, ""), ("", f"{BEGIN}; shell.run_line_magic('load_ext', 'kanpde')")]
)
def test_a_shell_is_told_when_it_runs_and_can_be_told_later(before, after, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SHELL.format(before=before, after=after)],
        env={"IPYTHONDIR": str(tmp_path), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.splitlines()[-1:] == ["True"], done.stderr


def test_without_a_notebook_nothing_of_ipython_is_imported():
    script = "import sys, kanpde, kanpde.problem.problem; sys.exit('IPython' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=120).returncode == 0
