"""Closed forms from default runs of layers: `kanpde solve NAME --network kan`, then `kanpde explain
RUN`, for five problems that have one.

Poisson's equation, Laplace's with a harmonic polynomial, a mode of heat that decays, a travelling
wave, and Kovasznay flow with its exponent. Of each formula: its residual and boundary error in 40
digits, whether SymPy proves them zero, its distance to the network.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from record import FOLDER, record

PROBLEMS = ("poisson2d", "laplace2d", "heat1d", "advection1d", "kovasznay2d")
KEPT = (
    "found",
    "formula",
    "latex",
    "residual",
    "boundary_error",
    "symbolic",
    "exact_constants",
    "distance",
    "seconds",
)


def command(*arguments: str) -> dict[str, Any]:
    """What `python -m kanpde … --json` prints; a command that fails shows why, and ends the
    experiment."""
    done = subprocess.run(
        [sys.executable, "-m", "kanpde", *arguments, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def experiment(name: str, seconds: int = 300, *options: str) -> dict[str, Any]:
    """Solve with default settings (but for options), explain, and keep what was found. seconds: of
    searching, five times the default, since the machine may be busy."""
    with tempfile.TemporaryDirectory() as folder:
        solved = command("solve", name, "--network", "kan", "--out", folder, *options)
        (run,) = Path(folder, name).iterdir()
        explained = command("explain", str(run), "--seconds", str(seconds))
    return {
        "network": {
            key: solved[key] for key in ("network", "parameters", "relative_l2", "seconds")
        },
        **{key: explained[key] for key in KEPT},
    }


def page(found: dict[str, Any]) -> str:
    """The formulas and their check as a table of Markdown. found: what closed_forms.json holds."""
    about = found["provenance"]
    lines = [
        "# Closed forms from default runs",
        "",
        f"`{found['command']}` at commit {about['commit']}, {about['date']}, {about['processor']}.",
        "",
    ]
    lines += [
        (
            "| problem | network | its relative L2 | formula | residual | boundary error | zero,"
            " symbolically | distance |"
        ),
        "| --- | --- | ---: | --- | ---: | ---: | --- | ---: |",
    ]
    for name, row in found["problems"].items():
        formulas = row["formula"] if isinstance(row["formula"], dict) else {"u": row["formula"]}
        shown = "<br>".join(f"`{u} = {formula}`" for u, formula in formulas.items())
        network, verdict = (
            row["network"],
            {True: "yes", False: "no", None: "not decided"}[row["symbolic"]],
        )
        errors = [f"{row[key]:.1e}" if row[key] else "0" for key in ("residual", "boundary_error")]
        cells = [
            name,
            f"{network['network']}, {network['parameters']} parameters",
            f"{network['relative_l2']:.1e}",
            shown,
            *errors,
            verdict,
            f"{row['distance']:.1e}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    found = {}
    for name in sys.argv[1:] or PROBLEMS:
        found[name] = experiment(name)
        print(
            name,
            {
                key: found[name][key]
                for key in ("formula", "residual", "boundary_error", "symbolic", "distance")
            },
            flush=True,
        )
    record("closed_forms", {"problems": found})
    (FOLDER / "closed_forms.md").write_text(
        page(json.loads((FOLDER / "closed_forms.json").read_text()))
    )
