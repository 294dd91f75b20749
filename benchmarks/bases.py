"""`python -m benchmarks bases`: poisson2d by every kind of network with about 500 parameters,
each with its own default recipe.

The worst of the seeds is the result. Settings of a kind that make another function of it (MLPs of
sines, SiLU or Fourier features, Morlet's wavelet) have rows of their own; everything else is what
`kanpde solve poisson2d --network KIND` does. With the GR-KAN goes the time of its closure against
that of B-splines (rational.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks import rational, tables
from benchmarks.arguments import shown_seeds
from benchmarks.rows import Quantity, Tell, load, markdown, provenance_lines, timing_table
from kanpde.errors import RunError
from kanpde.networks.registry import SPECS, spec_of
from kanpde.problem import file as problems
from kanpde.provenance import provenance
from kanpde.recipes.choosing import default
from kanpde.recipes.recipe import Recipe
from kanpde.runs.atomic import check_writable
from kanpde.solver import solve

PROBLEM, MUST, AIM, PARAMETERS = "poisson2d", 1e-4, 1e-7, 505
"""PARAMETERS: 500, to a hundredth: widths are whole numbers."""

FOR_MANY = "additive"
"""The kind that is made for many coordinates: in two it has a fifth of the parameters."""

VARIANTS: dict[str, dict[str, Any]] = {
    "--network mlp --with activation=sin": {"activation": "sin"},
    "--network mlp --with activation=silu": {"activation": "silu"},
    "--network mlp --width 17,17 --with features=4": {"width": (17, 17), "features": 4},
    "--network wavelet --with mother=morlet": {"mother": "morlet"},
}
"""Settings that make a row of their own, by the options of `solve` that ask for them."""


def networks() -> dict[str, str]:
    """What is measured: the kind of layers by the options that ask for it, every kind of the
    registry for few coordinates, its variants after it."""
    found = {}
    for kind in SPECS:
        if kind == FOR_MANY:
            continue
        found[f"--network {kind}"] = kind
        found |= {options: kind for options in VARIANTS if options.startswith(f"--network {kind} ")}
    return found


def run(
    out: Path,
    tell: Tell,
    seeds: Sequence[int] = (0, 1, 2),
    names: Sequence[str] = (),
    minutes: float | None = None,
) -> list[dict[str, Any]]:
    """Measure, and write `out/benchmarks/bases.json` and `bases.md`.

    Args:
        out: Where the folder `benchmarks` is or will be.
        tell: Where progress goes, a line at a time.
        seeds: Of each network; the worst counts.
        names: Kinds, all where empty; rows of others stay as they are.
        minutes: After so many no further row is begun.

    Returns:
        The rows of this run, plain values.

    Raises:
        RecipeError: A name is no kind of network.
        RunError: Files cannot be written, or are of something else.
        KeyboardInterrupt: It was interrupted.
    """
    for name in names:
        spec_of(name)
    folder = Path(out) / "benchmarks"
    check_writable(folder)
    kept, closure = _earlier(folder / "bases.json")
    began, fresh = time.monotonic(), []
    for options, kind in networks().items():
        if names and kind not in names:
            continue
        if minutes is not None and time.monotonic() - began > 60 * minutes:
            tell(f"{options}: left out, {minutes:g} minutes are over")
            continue
        about = {
            **provenance(),
            "load": load(),
            "command": (
                f"python -m benchmarks bases --networks {kind} --seeds {shown_seeds(seeds)}"
            ),
        }
        if kind == "grkan":
            closure = {
                "provenance": about,
                "rows": [
                    {**asdict(row), "verdict": row.verdict} for row in rational.closures(tell)
                ],
            }
        kept[options] = {
            **_measured(options, recipe_of(options, kind), seeds, tell),
            "provenance": about,
        }
        fresh.append(kept[options])
        ordered = [kept[known] for known in networks() if known in kept]
        found = {"rows": ordered, "closure": closure}
        tables.write(folder, "bases", found, page(ordered, closure))
    return fresh


def recipe_of(options: str, kind: str) -> Recipe:
    """The default recipe of a kind for the problem, with the settings of a variant."""
    recipe = default(problems.load(PROBLEM)[0], spec_of(kind)).recipe
    return replace(recipe, network=replace(recipe.network, **VARIANTS.get(options, {})))


def _measured(options: str, recipe: Recipe, seeds: Sequence[int], tell: Tell) -> dict[str, Any]:
    """The row of a network."""
    problem, _ = problems.load(PROBLEM)
    errors, seconds, settings = [], [], {}
    for seed in seeds:
        found = solve(problem, recipe=recipe, seed=seed, reference=False)
        if found.history.interrupted:
            raise KeyboardInterrupt
        errors.append(float(found.relative_l2 or 0.0))
        seconds.append(found.seconds)
        settings = found.settings
        tell(
            f"{options}, seed {seed}: {errors[-1]:.1e} in {seconds[-1]:.1f} s,"
            f" {settings['network']}, {settings['parameters']} parameters"
        )
    row = Quantity(options, max(errors), "relative L2", MUST, AIM)
    row.more = {
        "network": settings["network"],
        "parameters": settings["parameters"],
        "schedule": settings["schedule"],
        "points": settings["points"],
    }
    row.more |= {
        "seeds": list(seeds),
        "relative_l2": errors,
        "seconds": seconds,
        "allowed": settings["parameters"] <= PARAMETERS,
    }
    return {**asdict(row), "verdict": row.verdict}


def targets(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rows, in the form in which `solve` keeps its parts."""
    return {"every kind of network": {"rows": list(rows)}}


def page(rows: Sequence[Mapping[str, Any]], closure: Mapping[str, Any] | None = None) -> str:
    """The tables as a page of Markdown, with what made each row."""
    lines = [
        "# Every kind of network",
        "",
        "Written by `python -m benchmarks bases`; the numbers behind it are in `bases.json`.",
        "",
    ]
    lines += [
        (
            f"`{PROBLEM}` with about 500 parameters, every kind of network with its own default"
            " recipe: relative L2 against the exact solution."
        ),
        "",
    ]
    lines += ["<!-- table:bases -->", *table(rows), "<!-- /table -->", ""]
    lines += [f"- {row['what']}: {provenance_lines(row['provenance'])[0]}" for row in rows]
    if closure:
        lines += [
            "",
            "## GR-KAN against B-splines",
            "",
            "Medians in turns, in one run.",
            "",
            "<!-- table:rational -->",
            *timing_table(closure["rows"]),
            "<!-- /table -->",
        ]
        lines += ["", *provenance_lines(closure["provenance"])]
    return "\n".join(lines) + "\n"


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of Markdown: one a network."""
    found = [
        [
            "`kanpde solve poisson2d …`",
            "network",
            "parameters",
            "worst relative L2",
            "each seed",
            "training, s",
            "must",
            "aim",
            "met",
        ]
    ]
    for row in rows:
        more = row["more"]
        each = " ".join(f"{error:.1e}" for error in more["relative_l2"])
        spent = f"{min(more['seconds']):.0f} to {max(more['seconds']):.0f}"
        bounds = [f"{row['must']:.0e}", f"{row['aim']:.0e}"]
        found.append(
            [
                f"`{row['what']}`",
                more["network"],
                f"{more['parameters']:,}",
                f"{row['value']:.1e}",
                each,
                spent,
                *bounds,
                row["verdict"],
            ]
        )
    return markdown(found, left=(0, 1))


def _earlier(path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, Any] | None]:
    """Rows of earlier runs by their options, and of the closure; raises RunError where the file is
    something else."""
    if not path.is_file():
        return {}, None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            row["what"]: dict(row)
            for row in found["rows"]
            if row["provenance"] and row["more"]["relative_l2"]
        }, found["closure"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path}: is no result of `python -m benchmarks bases`"
            f" ({type(error).__name__}); move it away"
        ) from error
