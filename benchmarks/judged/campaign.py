"""`python -m benchmarks judged`: many problems, each in a process and a line of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.judged.judgement import Judgement
from benchmarks.judged.registry import Entry, chosen, entries
from benchmarks.judged.sums import page, targets
from benchmarks.rows import BenchmarkError, Tell
from kanpde.errors import RunError
from kanpde.machine.cores import cores
from kanpde.runs.atomic import check_writable, write_text

Key = tuple[str, str]
"""Problem and units."""


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        only: Names or keys of problems, such as fin and fin:offset; all where empty.
        effort: quick, default or record.
        jobs: Problems at a time.
        minutes: A problem that takes longer is stopped, and not judged.
    """

    only: Sequence[str] = ()
    effort: str = "default"
    jobs: int = 1
    minutes: float = 10.0


def run(out: Path, tell: Tell, plan: Plan) -> dict[str, Any]:
    """Run the problems, and write `out/benchmarks/judged.jsonl` and `judged.md`.

    What is there already with this effort and the code as it is now is not run again, unless it is
    named. Every row is written as soon as it is known.

    Args:
        out: Where the folder `benchmarks` is or will be.
        tell: Where progress goes, a line at a time.
        plan: What to run.

    Returns:
        The sums of the table, plain values by part.

    Raises:
        RecipeError: There is no such problem.
        RunError: Files cannot be written, or are of something else.
        BenchmarkError: The process of a problem failed.
    """
    wanted = chosen(plan.only)
    folder = Path(out) / "benchmarks"
    check_writable(folder)
    kept = _earlier(folder / "judged.jsonl")
    if not plan.only:
        wanted = [entry for entry in wanted if not _is_current(kept.get(_key(entry)), plan.effort)]
    tell(f"{len(wanted)} problems, {len(kept)} rows are there already")
    for row in _judged(wanted, plan):
        kept[row.problem, row.units] = row
        _write(folder, kept)
        tell(_line(row))
    if not wanted:
        _write(folder, kept)
    return targets(_ordered(kept))


def _judged(wanted: Sequence[Entry], plan: Plan) -> Iterator[Judgement]:
    """The rows in the order of the problems, so many at a time."""
    pool = ThreadPoolExecutor(plan.jobs)
    try:
        yield from pool.map(lambda entry: _in_own_process(entry, plan), wanted)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_own_process(entry: Entry, plan: Plan) -> Judgement:
    """One problem in a process that can be stopped, and whose failure costs no other."""
    threads = str(max(1, cores() // plan.jobs))
    command = [sys.executable, "-m", "benchmarks.judged", entry.key, plan.effort]
    try:
        done = subprocess.run(
            command,
            cwd=tables.ROOT,
            env={"OMP_NUM_THREADS": threads, **os.environ},
            capture_output=True,
            text=True,
            timeout=60 * plan.minutes,
        )
    except subprocess.TimeoutExpired:
        late = f"stopped after {plan.minutes:g} minutes"
        return Judgement(
            entry.name, entry.units, entry.field, plan.effort, late=late, seconds=60 * plan.minutes
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BenchmarkError(f"{entry.key}: its process failed: {last}")
    return Judgement(**json.loads(done.stdout.splitlines()[-1]))


def _line(row: Judgement) -> str:
    """One row on the terminal."""
    name = row.problem if row.units == "as it is" else f"{row.problem} ({row.units})"
    if row.refused or row.late:
        return f"{name}: {row.late or 'refused: ' + row.refused}"
    claimed = "-" if row.claimed is None else f"{row.claimed:.1e}"
    wrong = f"  {row.breaks.upper()}" if row.breaks else ""
    found = f"{row.verdict}, claimed {claimed}, true {row.error:.1e}, {row.seconds:.0f} s"
    return f"{name}: {found}{wrong}"


def _is_current(row: Judgement | None, effort: str) -> bool:
    """Whether a row need not be measured again."""
    if row is None or row.effort != effort or not row.provenance.get("commit"):
        return False
    return tables.has_changed(str(row.provenance["commit"])) is False


def _key(entry: Entry) -> Key:
    return entry.name, entry.units


def _ordered(kept: Mapping[Key, Judgement]) -> list[Judgement]:
    """Rows in the order of the problems; those of problems that are no more are left out."""
    return [kept[_key(entry)] for entry in entries().values() if _key(entry) in kept]


def _write(folder: Path, kept: Mapping[Key, Judgement]) -> None:
    rows = _ordered(kept)
    lines = [json.dumps(vars(row), ensure_ascii=False, allow_nan=False) for row in rows]
    write_text(folder / "judged.jsonl", "\n".join(lines) + "\n")
    write_text(folder / "judged.md", tables.headed(page(rows)))


def _earlier(path: Path) -> dict[Key, Judgement]:
    """Rows of earlier runs; raises RunError where the file is something else."""
    if not path.is_file():
        return {}
    try:
        rows = [Judgement(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
    except (ValueError, TypeError) as error:
        raise RunError(
            f"{path}: is no result of `python -m benchmarks judged` ({type(error).__name__});"
            " move it away"
        ) from error
    return {(row.problem, row.units): row for row in rows}
