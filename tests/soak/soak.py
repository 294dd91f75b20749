"""The long checks: faults, the cost of checkpoints, hostile input. Writes results/soak.md from what
it finds, part by part.

python tests/soak/soak.py [faults] [sweeps] [cost] [problem-files] [run-folders] [data-files]
[command-lines]

Meant for a clone that nobody edits meanwhile: what a child imports late has to go together with
what its parent imported.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "hostile")]
ROOT = HERE.parents[1]
RESULTS = ROOT / "results"
INPUTS = ("problem-files", "run-folders", "data-files", "command-lines")
PARTS = ("faults", "sweeps", "cost", *INPUTS)
SEED = 20261124


def main(parts: list[str]) -> int:
    """Carry out the parts, write the table, and return the number of failures."""
    for part in parts:
        if part not in PARTS:
            print(f"error: got {part!r}; expected {', '.join(PARTS)}", file=sys.stderr)
            return 2
    from kanpde.provenance import provenance

    folder = RESULTS / "soak"
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts or PARTS:
        began, origin = time.perf_counter(), provenance()
        found = {"faults": faults, "sweeps": sweeps, "cost": cost}.get(
            part, lambda part=part: hostile(part)
        )()
        found |= {
            "provenance": origin,
            "command": f"python tests/soak/soak.py {part}",
            "minutes": (time.perf_counter() - began) / 60,
        }
        (folder / f"{part}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    known = {
        part: json.loads((folder / f"{part}.json").read_text())
        for part in PARTS
        if (folder / f"{part}.json").is_file()
    }
    (RESULTS / "soak.md").write_text(page(known))
    print(RESULTS / "soak.md")
    return sum(len(part["failures"]) for part in known.values())


@dataclass
class Struck:
    """What became of the runs that were struck, as it is found."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def tried(self, title: str, fault: str, what: Callable[[], Any]) -> Any:
        """What it returns; None, and a failure more, where something was lost."""
        try:
            return what()
        except AssertionError as error:
            self.failures.append(f"{title}, {fault}: {' '.join(str(error).split())[:600]}")
            print(f"FAILED  {self.failures[-1]}\n{traceback.format_exc()}", flush=True)
            return None

    def strike(self, title: str, fault: str, once: Callable[[int], Any]) -> None:
        """Until a fault comes while the run is under way."""
        for attempt in range(8):
            outcome = self.tried(title, fault, lambda attempt=attempt: once(attempt))
            if outcome is None:
                return
            if outcome.struck:
                self.rows.append(vars(outcome))
                print(
                    f"{len(self.rows):3} {title}, {fault} at {outcome.at}: the same bits"
                    f" ({outcome.seconds:.1f} s)",
                    flush=True,
                )
                return
        self.failures.append(f"{title}, {fault}: eight times too late")

    def found(self) -> dict[str, Any]:
        """Plain values."""
        return {"rows": self.rows, "failures": self.failures, "seed": SEED}


def faults() -> dict[str, Any]:
    """Every fault in every case, each at a random moment while the run is under way."""
    from faults import CASES, FAULTS, WITHOUT_OBJECTIVE, blow, uninterrupted
    from nursery import Nursery

    struck, nursery = Struck(), Nursery.shared()
    with tempfile.TemporaryDirectory(prefix="kanpde-soak-") as name:
        for i, case in enumerate(CASES):
            wholes: dict[int | None, Any] = {}
            for j, (title, fault) in enumerate(FAULTS.items()):
                place, nan, seed = Path(name) / f"{i}-{j}", fault.nan, SEED + 100 * i + 10 * j
                if nan is not None and case in WITHOUT_OBJECTIVE:
                    continue
                if nan not in wholes:
                    wholes[nan] = struck.tried(
                        case, "none", partial(uninterrupted, nursery, case, place / "whole", nan)
                    )
                once = partial(blow, nursery, case, fault, whole=wholes[nan])
                if wholes[nan] is not None:
                    struck.strike(
                        case,
                        title,
                        lambda k, once=once, place=place, seed=seed: once(
                            folder=place / str(k), seed=seed + k
                        ),
                    )
    return struck.found()


def sweeps() -> dict[str, Any]:
    """A sweep, ended nine times at a random moment."""
    from faults import FAULTS, blow_sweep, swept
    from nursery import Nursery

    struck, nursery = Struck(), Nursery.shared()
    with tempfile.TemporaryDirectory(prefix="kanpde-soak-") as name:
        root = Path(name)
        whole = struck.tried("a sweep", "none", lambda: swept(nursery, root / "whole"))
        for j, title in enumerate(("SIGKILL", "SIGTERM", "Ctrl-C") * 3 if whole else ()):
            struck.strike(
                "a sweep",
                title,
                lambda k, j=j, title=title: blow_sweep(
                    nursery, FAULTS[title], root / f"{j}-{k}", whole, SEED + 1000 + 10 * j + k
                ),
            )
    return struck.found()


COST = """
import json, sys, time
import importlib
import kanpde.problem.file
import kanpde.recipes.choosing
from kanpde.runs.keeper import StateKeeper
spent, count, sizes = [0.0], [0], [0]
from kanpde.training.state import TrainingState
plain, keep = TrainingState.plain, StateKeeper.keep
def timed(of, *args):
    began = time.perf_counter()
    try:
        return of(*args)
    finally:
        spent[0] += time.perf_counter() - began
def counted(self, state):
    timed(keep, self, state)
    count[0] += 1
    sizes[0] = (self.folder / "training.pt").stat().st_size
TrainingState.plain, StateKeeper.keep = lambda self: timed(plain, self), counted
problem, recipes = kanpde.problem.file.load(sys.argv[1])
recipe = kanpde.recipes.choosing.choose(problem, recipes).recipe
found = kanpde.solve(problem, recipe=recipe, reference=False, out=sys.argv[2], pictures=False)
said = {"problem": sys.argv[1], "seconds": found.seconds, "writing": spent[0]}
print(json.dumps({**said, "states": count[0], "bytes": sizes[0]}))
"""


def cost() -> dict[str, Any]:
    """Seconds that the states of training take, of a default run."""
    rows, failures = [], []
    for problem in ("poisson2d", "burgers1d"):
        with tempfile.TemporaryDirectory(prefix="kanpde-soak-") as out:
            done = subprocess.run(
                [sys.executable, "-c", COST, problem, out],
                capture_output=True,
                text=True,
                check=True,
            )
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append({**row, "share": row["writing"] / row["seconds"]})
        print(rows[-1], flush=True)
        if rows[-1]["share"] >= 0.02:
            failures.append(f"{problem}: {100 * rows[-1]['share']:.1f} % of the run for its states")
    return {"rows": rows, "failures": failures}


def hostile(part: str) -> dict[str, Any]:
    """Generated inputs of a kind, and what came of them."""
    from inputs import carry_out

    return carry_out(part.replace("-", " "))


def page(known: dict[str, Any]) -> str:
    """The tables."""
    lines = [
        "# What kanpde survives",
        "",
        "`make soak` measures this again. Nothing here is written by hand.",
        "",
    ]
    if found := [known[part] for part in ("faults", "sweeps") if part in known]:
        lines += _faults_page(found)
    if "cost" in known:
        lines += _cost_page(known["cost"])
    if rows := [known[part] for part in INPUTS if part in known]:
        lines += _hostile_page(rows)
    return "\n".join(lines).rstrip() + "\n"


def _faults_page(found: list[dict[str, Any]]) -> list[str]:
    rows = [row for part in found for row in part["rows"]]
    lost = sum(len(part["failures"]) for part in found)
    kinds = list(dict.fromkeys(row["fault"] for row in rows))
    cases = list(dict.fromkeys(row["case"] for row in rows))
    blows = sum(row["struck"] for row in rows)
    lines = ["## Runs that are struck at a random moment, and resumed", ""]
    lines += [
        f"{len(rows) + lost} runs; {len(rows)} of them, struck {blows} times, came to the same bits"
        " as the run that nothing strikes:"
    ]
    lines += [
        (
            "network, fields, history and reasons of the stages are compared. The state is written"
            " behind every step here, so that every moment is one"
        ),
        "between or in the middle of writes.",
        "",
    ]
    lines += [f"| case | {' | '.join(kinds)} |", f"| --- |{' ---: |' * len(kinds)}"]
    for case in cases:
        counts = Counter(row["fault"] for row in rows if row["case"] == case)
        lines.append(f"| {case} | {' | '.join(str(counts[kind] or '') for kind in kinds)} |")
    again = Counter(row["repeated"] for row in rows if row["fault"] != "torn file")
    lines += [
        "",
        (
            "Steps that were done again:"
            f" {', '.join(f'{n} in {count} runs' for n, count in sorted(again.items()))} (torn"
            " files apart, whose run begins again)."
        ),
        "",
    ]
    words = {
        kind: max(
            (row["said"] for row in rows if row["fault"] == kind),
            key=lambda text: (text.startswith(("error", "ended", "interrupted")), text),
            default="",
        )
        for kind in kinds
    }
    lines += [
        "| fault | the last words, of one |",
        "| --- | --- |",
        *(f"| {kind} | {_last_words(kind, words[kind])} |" for kind in kinds),
        "",
    ]
    return lines + [line for part in found for line in (*_failures(part), *_where(part))]


def _cost_page(found: dict[str, Any]) -> list[str]:
    lines = [
        "## What the states of training cost",
        "",
        "Default settings, reference and pictures apart.",
        "",
    ]
    lines += [
        "| problem | training, s | states written | bytes of one | writing, s | share | must |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in found["rows"]:
        lines.append(
            f"| {row['problem']} | {row['seconds']:.1f} | {row['states']} | {row['bytes']:,} |"
            f" {row['writing']:.3f} | {100 * row['share']:.2f} % | < 2 % |"
        )
    return [*lines, "", *_failures(found), *_where(found)]


def _hostile_page(rows: list[dict[str, Any]]) -> list[str]:
    outcomes = list(dict.fromkeys(name for row in rows for name in row["outcomes"]))
    broken = sum(len(row["failures"]) for row in rows)
    lines = ["## Generated inputs", ""]
    lines += [
        f"{sum(row['inputs'] for row in rows):,} inputs, the same ones every time (Hypothesis,"
        f" derandomised); {broken} of them ended with a traceback, a hang, a wrong"
    ]
    lines += [
        "code, a half-written file, code of a run executed, or something read from outside of it.",
        "",
    ]
    lines += [
        f"| what | inputs | {' | '.join(outcomes)} |",
        f"| --- | ---: |{' ---: |' * len(outcomes)}",
    ]
    for row in rows:
        lines.append(
            f"| {row['what']} | {row['inputs']:,} |"
            f" {' | '.join(str(row['outcomes'].get(name, '') or '') for name in outcomes)} |"
        )
    lines.append("")
    for row in rows:
        lines += [*_failures(row), *_where(row)]
    return lines


def _failures(found: dict[str, Any]) -> list[str]:
    return (
        [*(f"- failed: {_cell(line)}" for line in found["failures"]), ""]
        if found["failures"]
        else []
    )


def _where(found: dict[str, Any]) -> list[str]:
    p = found["provenance"]
    versions = (
        f"Python {p['python']}, torch {p['torch']}, NumPy {p['numpy']}, h5py {p['h5py']},"
        f" {p['platform']}"
    )
    seed = f", seed {found['seed']}" if "seed" in found else ""
    return [
        (
            f"`{found['command']}`{seed}: {p['date']}, commit {p['commit']}, {p['processor']},"
            f" {p['cores']} cores, {versions}; {found['minutes']:.0f} min."
        ),
        "",
    ]


def _last_words(kind: str, words: str) -> str:
    """What a run of a kind said last, as a cell; a killed one says nothing."""
    return "none: it is killed" if "KILL" in kind or "torn" in kind else _cell(words)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
