"""The documentation: each block of code runs, each public name is in the reference, and the pages
build without a warning or the network."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

import kanpde
import kanpde.interpret.prune
from kanpde.cli import main
from kanpde.problem.efforts import EFFORTS
from kanpde.recipes import tolerances
from kanpde.recipes.recipe import Recipe
from kanpde.reference import solution
from kanpde.runs import folder as run_folder
from kanpde.sweeps import figures
from kanpde.training import Change, Prune, Sparsify, pruning

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT / "docs").as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs").rglob("*.md"))
}
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
STEPS, POINTS, TOLERANCE, REFERENCE = 3, 120, 1e-3, 0.2


@pytest.fixture
def short(monkeypatch):
    """Training of a few steps on few points, coarse references, no pictures: what is tested is that
    the words are right, not the digits. Those are asserted in Python alone, so that products are
    as good as users have them there, and coarse in commands."""
    plan, write = Recipe.plan, run_folder.write

    def shortened(recipe, *where):
        stages = [
            stage if isinstance(stage, Change) else replace(stage, steps=min(stage.steps, STEPS))
            for stage in recipe.stages
        ]
        few = replace(recipe, schedule=stages, points=min(recipe.points, POINTS), restarts=1)
        return plan(few, *where)

    monkeypatch.setattr(Recipe, "plan", shortened)
    monkeypatch.setattr(
        run_folder, "write", lambda result, folder, pictures=True: write(result, folder, False)
    )
    monkeypatch.setattr(figures, "draw", lambda table, folder: [])
    monkeypatch.setattr(pruning, "TRIED_IN_VAIN", 1)
    monkeypatch.setattr(pruning, "fade", lambda objective, edges: None)
    for stage in (Prune, Sparsify):
        monkeypatch.setattr(
            sys.modules["kanpde.interpret.prune"], stage.__name__, partial(stage, steps=STEPS)
        )
    for effort in EFFORTS:
        monkeypatch.setitem(solution.WORK_BY_EFFORT, effort, REFERENCE)
        monkeypatch.setitem(tolerances.WORK, effort, 1e9)


def blocks(text):
    """Language, title and text of every block of code."""
    return [
        (found[1], (re.search(r'title="([^"]+)"', found[2]) or [None, None])[1], found[3])
        for found in FENCE.finditer(text)
    ]


def command(line):
    """Run what a reader would type; `<run>` is the latest run in that folder."""
    for prefix in re.findall(r"\S+/(?=<run>)", line):
        line = line.replace(f"{prefix}<run>", str(max(Path(prefix).glob("[0-9]*"))))
    words = shlex.split(line)
    if (
        words[0] == "torchrun"
    ):  # one process shows that the command is right; tests/training/test_shards.py starts several
        words = ["kanpde", *words[words.index("kanpde") + 1 :]]
    if words[0] == "kanpde":
        if "cuda" in words and not torch.cuda.is_available():
            words[words.index("cuda")] = "cpu"
        planned = ["--plan"] if "--dask" in words else []  # no cluster is here
        with pytest.MonkeyPatch.context() as patch:
            for effort in EFFORTS:
                patch.setitem(tolerances.TOLERANCES, effort, TOLERANCE)
            assert main([*words[1:], *planned]) == 0, line
    elif words[0] == "make":
        assert re.search(
            rf"^{re.escape(words[1])}:",
            (ROOT / "Makefile").read_text(encoding="utf-8"),
            re.MULTILINE,
        ), f"{line}: no such target"
    elif words[:2] == ["pip", "install"]:
        extras = re.fullmatch(r"\.(?:\[([\w,]+)\])?", words[2])
        known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
            "optional-dependencies"
        ]
        assert extras, line
        assert set(filter(None, (extras[1] or "").split(","))) <= set(known), (
            f"{line}: no such extra"
        )
    else:
        pytest.fail(
            f"{line}: not a command that this test knows; mark what is only to be looked at as text"
        )


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if blocks(text)])
def test_the_code_of_a_page_runs(page, short, tmp_path, monkeypatch, capsys):
    """In order and in one folder, as somebody would who types it all."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names, files = {"__name__": page}, set()
    try:
        for language, title, text in blocks(PAGES[page]):
            assert language in (
                "python",
                "sh",
                "text",
            ), f"{page}: a block of {language or 'no language'}"
            if language == "python" and title:
                Path(title).write_text(text, encoding="utf-8")
                files.add(Path(title).stem)
            elif language == "python":
                exec(compile(text, page, "exec"), names)
            elif language == "sh":
                for line in filter(None, text.replace("\\\n", " ").splitlines()):
                    command(line)
    finally:
        for name in files:
            sys.modules.pop(name, None)
    assert "Traceback" not in capsys.readouterr().err


def test_a_block_that_is_wrong_is_found(short, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in (
        "kanpde solve poisson2d --grdi 3",
        "kanpde slove poisson2d",
        "make nothing",
        "pip install '.[nothing]'",
    ):
        with pytest.raises(AssertionError):
            command(wrong)
    with pytest.raises(pytest.fail.Exception):
        command("ls -l")


def test_every_public_name_is_in_the_reference():
    described = set(
        re.findall(
            r"^::: kanpde\S*\.(\w+)$",
            "\n".join(text for page, text in PAGES.items() if page.startswith("api/")),
            re.MULTILINE,
        )
    )
    missing = set(kanpde.__all__) - described
    assert not missing, f"docs/api/ says nothing of {', '.join(sorted(missing))}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages, built as `make docs` builds them."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr, done.stdout + done.stderr
    return folder


def test_the_pages_build_and_need_no_network(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES)  # and a page for what is not found
    for page in pages:
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(
            r'<(?:script|img|iframe|source)[^>]*\ssrc="(?:https?:)?//[^"]*"|<link[^>]*rel="(?:stylesheet|preconnect)"[^>]*href="(?:https?:)?//[^"]*"',
            text,
        )
        assert not fetched, f"{page.name} fetches {fetched}"
        assert "arithmatex" not in text, f"{page.name}: a formula was not drawn"


def test_formulas_are_drawn_and_tables_are_those_of_the_results(site):
    assert (site / "method/levenberg-marquardt.html").read_text(encoding="utf-8").count(
        "<math"
    ) > 10
    committed = (ROOT / "results/benchmarks/solve.md").read_text(encoding="utf-8")
    for number in re.search(
        r"\| poisson2d \|.*\| (\S+) (\S+) (\S+) (\S+) (\S+) \|", committed
    ).groups():
        assert number in (site / "measured/solve.html").read_text(encoding="utf-8")
