"""The types are those that annotations claim, says mypy. It takes a minute where it has not seen
the project before: as a test, others run beside it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_mypy_finds_nothing():
    mypy = [sys.executable, "-m", "mypy"]
    done = subprocess.run(mypy, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
