"""The wheel: built from the tree, installed where the tree is not in sight, it solves from a
problem of its own gallery."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ["kanpde", "kernels", "problems", "pyproject.toml", "README.md", "LICENSE"]


def run(*command, folder):
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that the tree stays as it is."""
    tree, built = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, tree / part)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", built, folder=tree)
    (found,) = built.glob("*.whl")
    return found


def test_wheel_holds_every_module(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    for folder, package in (
        ("kanpde", "kanpde"),
        ("kernels", "kanpde/kernels"),
        ("problems", "kanpde/problems"),
    ):
        for path in (ROOT / folder).rglob("*.py"):
            assert f"{package}/{path.relative_to(ROOT / folder)}" in held, (
                "is its package listed in pyproject.toml?"
            )
    assert {"kanpde/py.typed", "kanpde/reports/page.css", "kanpde/reports/page.js"} <= held
    assert any(name.endswith("LICENSE") for name in held)


def test_an_installed_wheel_solves(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    scripts = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", wheel]
    run(sys.executable, "-m", "pip", "--python", python, *install, folder=tmp_path)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(python, "-c", ask, folder=tmp_path).strip())
    # torch and the others, but no editable kanpde
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    # Found, not imported: that would import torch, as the solution below does.
    ask = "from importlib.util import find_spec as found\n"
    ask += "print(found('kanpde').origin, found('kanpde.kernels').origin)"
    assert run(python, "-c", ask, folder=tmp_path).count(str(site)) == 2
    assert "poisson2d" in run(scripts / "kanpde", "list", folder=tmp_path)
    quick = "--width 3 --degree 5 --grid 4 --schedule lm:20 --points 300 --restarts 1 --json"
    asked = ["-m", "kanpde", "solve", "poisson2d", *quick.split()]
    found = json.loads(run(python, *asked, folder=tmp_path))
    assert found["relative_l2"] < 1
    assert (tmp_path / found["run_dir"] / "solution.png").stat().st_size > 10_000
