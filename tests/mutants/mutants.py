"""Which tests are blind: changes one token of the code at a time, and runs the tests nearest to it.

cosmic-ray makes the mutants. A sample of them, the same for a seed, is tried in a copy of the tree;
each in a process that is forked after torch and the like are imported, which take longer than most
tests. Written are results/mutants.md and what is needed to look at the survivors. Those that
`equivalent.toml` argues to compute the same count neither way.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent

TOKENS = re.compile(
    r"core/(ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|Pow_Mul|FloorDiv_Mul|Mod_Add)"
    r"|ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Lt_GtE|GtE_Lt"
    r"|Gt_LtE|LtE_Gt|In_NotIn|NotIn_In|Is_IsNot|IsNot_Is)"
    r"|ReplaceUnaryOperator_(USub_UAdd|Delete_Not)|ReplaceTrueWithFalse|ReplaceFalseWithTrue"
    r"|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceBreakWithContinue|ReplaceContinueWithBreak"
    r"|AddNot|NumberReplacer|ZeroIterationForLoop)"
)
"""Changes that a slip of the pen could make; types and decorators stay."""

OF_NO_ACCOUNT = re.compile(r"(strict=|manual_seed\()$")
"""What stands before a token that may as well be another: zip's guard against lists that differ in
length, which never do, and the seeds of probes."""

PATIENCE = 4.0
"""A mutant whose tests take so many times as long as without it is killed: it hangs."""

HEAVY = ("torch", "numpy", "scipy.sparse.linalg", "numba", "sympy", "matplotlib.figure", "h5py")
"""Imported once, before the processes are forked; none of them starts threads when imported."""


@dataclass(frozen=True)
class Mutant:
    """One change: where, and the line before and after."""

    spec: MutationSpec
    line: int
    before: str
    after: str

    @property
    def place(self) -> str:
        return f"{self.spec.module_path}:{self.line}"


@dataclass(frozen=True)
class Module:
    """A name, the files that are changed, and the arguments of pytest."""

    name: str
    paths: tuple[str, ...]
    tests: tuple[str, ...]

    def files(self) -> list[Path]:
        found = [
            sorted(Path(path).glob("*.py")) if path.endswith("/") else [Path(path)]
            for path in self.paths
        ]
        return [path for paths in found for path in paths]


def mutants(module: Module) -> list[MutationSpec]:
    """All there are, in the order of the files."""
    with tempfile.TemporaryDirectory() as folder, use_db(f"{folder}/work.sqlite") as work:
        init(module.files(), work, {})
        found = [item.mutations[0] for item in work.work_items]
    lines = {path: path.read_text().splitlines() for path in module.files()}
    chosen = [
        spec
        for spec in found
        if TOKENS.fullmatch(spec.operator_name)
        and not OF_NO_ACCOUNT.search(
            lines[spec.module_path][spec.start_pos[0] - 1][: spec.start_pos[1]]
        )
    ]
    return sorted(
        chosen, key=lambda s: (str(s.module_path), s.start_pos, s.operator_name, s.occurrence)
    )


def run_tests(arguments: Sequence[str], seconds: float) -> int | None:
    """pytest's exit status in a process of its own; None where it did not end in time."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        import pytest

        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *arguments])))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def tried(module: Module, specs: Sequence[MutationSpec]) -> Iterator[tuple[Mutant, bool]]:
    """Each mutant, and whether a test saw it."""
    began = time.monotonic()
    status = run_tests(module.tests, 600.0)
    if status != 0:
        sys.exit(f"error: the tests of {module.name} do not pass as the code stands: {status}")
    limit = 30.0 + PATIENCE * (time.monotonic() - began)
    for spec in specs:
        operator = get_operator(spec.operator_name)(**spec.operator_args)
        with use_mutation(spec.module_path, operator, spec.occurrence) as (old, new):
            mutant = described(spec, old, new)
            yield mutant, run_tests(module.tests, limit) != 0


def described(spec: MutationSpec, old: str, new: str) -> Mutant:
    lines = difflib.ndiff(old.splitlines(), new.splitlines())
    changed = [line for line in lines if line[:2] in ("- ", "+ ")]
    before = " ".join(line[2:].strip() for line in changed if line[0] == "-")
    after = " ".join(line[2:].strip() for line in changed if line[0] == "+")
    return Mutant(spec, spec.start_pos[0], before, after)


def argued() -> dict[tuple[str, str], str]:
    """Why some mutants compute the same, by file and changed line."""
    with (HERE / "equivalent.toml").open("rb") as file:
        entries = tomllib.load(file).get("mutant", [])
    return {(entry["file"], entry["after"]): entry["why"] for entry in entries}


def copied(folder: Path) -> None:
    """The tracked files as they are now, compiled, so that a mutant compiles one file only."""
    listed = subprocess.run(
        ["git", "ls-files", "kanpde", "kernels", "problems", "tests", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    subprocess.run([sys.executable, "-m", "compileall", "-q", "kanpde", "tests"], cwd=folder)


def told(module: Module, count: int, found: Sequence[tuple[Mutant, bool]], why: dict) -> list[str]:
    """A row of the table, and the survivors below it."""
    alive = [mutant for mutant, killed in found if not killed]
    same = [m for m in alive if (str(m.spec.module_path), m.after) in why]
    killed = len(found) - len(alive)
    share = 100 * killed / max(1, len(found) - len(same))
    rows = [
        f"| {module.name} | {count} | {len(found)} | {killed} | {len(same)} | {share:.0f} % |",
    ]
    for mutant in alive:
        reason = why.get((str(mutant.spec.module_path), mutant.after), "**not argued**")
        rows.append(
            f"SURVIVOR| `{mutant.place}` | `{mutant.before}` | `{mutant.after}` | {reason} |"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="names in mutants.toml (default: all)")
    parser.add_argument("--sample", type=int, default=30, help="mutants a module (default: 30)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "mutants.md")
    chosen = parser.parse_args()
    with (HERE / "mutants.toml").open("rb") as file:
        table = tomllib.load(file)["modules"]
    modules = [Module(name, tuple(m["paths"]), tuple(m["tests"])) for name, m in table.items()]
    why, rows = argued(), []
    os.environ.update(OMP_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1", TRITON_INTERPRET="1")
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory() as folder:
        copied(Path(folder))
        os.chdir(folder)
        sys.path[:0] = [folder, f"{folder}/tests"]
        for name in HEAVY:
            importlib.import_module(name)
        for module in modules:
            if chosen.modules and module.name not in chosen.modules:
                continue
            specs = mutants(module)
            sample = sorted(
                random.Random(chosen.seed).sample(range(len(specs)), min(chosen.sample, len(specs)))
            )
            found = []
            for mutant, killed in tried(module, [specs[k] for k in sample]):
                found.append((mutant, killed))
                print(
                    f"{'killed' if killed else 'ALIVE '} {mutant.place}: {mutant.after}", flush=True
                )
            rows += told(module, len(specs), found, why)
            written(chosen, rows)
        os.chdir(ROOT)


PROVENANCE = """
from kanpde.provenance import provenance
for name, value in provenance().items():
    print(f"{name}: {value}")
"""


def written(chosen: argparse.Namespace, rows: Sequence[str]) -> None:
    """The table so far, with the survivors and where it comes from."""
    about = subprocess.run(
        [sys.executable, "-c", PROVENANCE], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    keep = ("date", "commit", "python", "processor", "cores")
    facts = [line for line in about.splitlines() if line.split(":")[0] in keep]
    survivors = [row.removeprefix("SURVIVOR") for row in rows if row.startswith("SURVIVOR")]
    text = [
        "# Mutants",
        "",
        "One token of the code is changed at a time; the nearest tests should fail. The share",
        "is that of killed mutants among those that change what is computed.",
        "",
        f"`make mutants` (a sample of {chosen.sample} a module, seed {chosen.seed});",
        "; ".join(facts),
        "",
        "| module | mutants | tried | killed | equivalent | share |",
        "|---|---|---|---|---|---|",
        *[row for row in rows if not row.startswith("SURVIVOR")],
        "",
        "## Survivors",
        "",
        "| where | before | after | why |",
        "|---|---|---|---|",
        *survivors,
        "",
    ]
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text("\n".join(text))


if __name__ == "__main__":
    main()
