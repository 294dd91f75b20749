"""What the rows of the kernel benchmark must show, and the page that shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.measured import CLOSURE, GRAPH, ITERATION, NO_GPU
from benchmarks.rows import Quantity, markdown, provenance_lines

Rows = Sequence[Mapping[str, Any]]

RIVALS = ("pykan", "jaxkan", "materialised")
PAGE_PACKAGES = (
    "kanpde",
    "python",
    "torch",
    "triton",
    "numpy",
    "numba",
    "scipy",
    "pykan",
    "jaxkan",
    "jax",
)


def verdicts(rows: Rows) -> list[Quantity]:
    """Every target, with the value measured for it, or None and the reason."""
    small = {"case": "2-10-1", "dtype": "float64", "points": 10_000}
    found = [_rivals(rows, small), _flop_limit(rows, small)]
    for device in ("cpu", "cuda"):
        found.append(_memory(rows, device))
        found.append(_perceptron(rows, device))
    found.append(
        _ratio(
            rows, {"case": "2-32-32-1", "dtype": "float64", "points": 1_000_000, "device": "cuda"}
        )
    )
    for dtype in ("float64", "float32"):
        what = f"GPU: share of the counted roofline, 3-128-128-1, 1,000,000 points, {dtype}"
        row = _one(
            rows,
            device="cuda",
            case="3-128-128-1",
            dtype=dtype,
            points=1_000_000,
            quantity=CLOSURE,
            peer="kanpde",
        )
        share = row["roofline_share"] if row else None
        found.append(
            Quantity(
                what, 100 * share if share else None, "%", 40, 60, least=True, more=_because(row)
            )
        )
    row = _one(
        rows, device="cuda", case="2-21-1", points=1_000_000, quantity=ITERATION, peer="kanpde"
    )
    found.append(
        Quantity(
            "GPU: Levenberg-Marquardt iteration, 1,000,000 points, 504 parameters, float64",
            row["milliseconds"] if row else None,
            "ms",
            100,
            50,
            more=_because(row),
        )
    )
    row = _one(rows, device="cuda", quantity=GRAPH)
    micro = 1e3 * row["milliseconds"] if row and row["milliseconds"] else None
    found.append(
        Quantity(
            "GPU: closure of 2-10-1, 10,000 points, float64, as a CUDA graph",
            micro,
            "µs",
            60,
            25,
            more=_because(row),
        )
    )
    return found


def targets(rows: Rows) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The verdicts, in the form in which `solve` keeps its parts."""
    return {
        "targets": {"rows": [{**asdict(row), "verdict": row.verdict} for row in verdicts(rows)]}
    }


def _rivals(rows: Rows, small: Mapping[str, Any]) -> Quantity:
    """The smallest ratio among the rivals that ran; all of them have to."""
    ran = {
        peer: row
        for peer in RIVALS
        if (row := _one(rows, **small, device="cpu", quantity=CLOSURE, peer=peer))
    }
    ratios = {peer: row["ratio"] for peer, row in ran.items() if row["ratio"]}
    missing = [peer for peer in RIVALS if peer not in ratios]
    what = (
        "CPU: closure of 2-10-1, grid 5, degree 3, 10,000 points, float64, against the fastest of"
        " pykan, jaxKAN, materialised basis with nested autograd"
    )
    if missing:
        lacking = "; ".join(
            f"{peer}: {ran[peer]['reason'] if peer in ran else 'not measured'}" for peer in missing
        )
        beside = f"; against the rest it was {min(ratios.values()):.3g} times" if ratios else ""
        return Quantity(
            what, None, "times faster", 20, 60, least=True, more={"reason": lacking + beside}
        )
    fastest = min(ratios, key=lambda peer: ratios[peer])
    return Quantity(
        what, ratios[fastest], "times faster", 20, 60, least=True, more={"against": fastest}
    )


def _flop_limit(rows: Rows, small: Mapping[str, Any]) -> Quantity:
    row = _one(rows, **small, device="cpu", quantity=CLOSURE, peer="kanpde")
    share = row["flop_share"] if row else None
    return Quantity(
        "CPU: the same, over the time that its operations take at the rate of a matrix product",
        1 / share if share else None,
        "times",
        8,
        3,
        more=_because(row),
    )


def _memory(rows: Rows, device: str) -> Quantity:
    """Our largest share of the materialised basis's memory over the cases, each at its largest
    number of points."""
    shares: dict[str, tuple[int, float]] = {}
    for when in dict.fromkeys(row.get("earlier") for row in reversed(rows)):
        of_one_run = [row for row in rows if row.get("earlier") == when]
        shares |= _memory_shares(of_one_run, device)
    what = (
        f"{_NAMES[device]}: peak memory of the closure over that of the materialised basis, the"
        " worst case"
    )
    return _worst(what, shares, 0.1, 1 / 30, _reason(rows, device))


def _memory_shares(rows: Rows, device: str) -> dict[str, tuple[int, float]]:
    """Of each case, the largest number of points and the share there."""
    shares = {}
    for row in _all(rows, device=device, dtype="float64", quantity=CLOSURE, peer="kanpde"):
        other = _one(
            rows,
            device=device,
            dtype="float64",
            quantity=CLOSURE,
            peer="materialised",
            case=row["case"],
            points=row["points"],
        )
        if row["peak_bytes"] is not None and other and other["peak_bytes"] and row["milliseconds"]:
            shares[row["case"]] = (
                row["points"],
                row["peak_bytes"] / other["peak_bytes"],
            )  # in rising order of points: the last stays
    return shares


def _perceptron(rows: Rows, device: str) -> Quantity:
    """Our time over that of the MLP, the worst case, each at its largest number of points."""
    shares = {}
    for row in _all(rows, device=device, dtype="float64", quantity=CLOSURE, peer="mlp"):
        if row["ratio"]:
            shares[row["case"]] = (row["points"], 1 / row["ratio"])
    return _worst(
        f"{_NAMES[device]}: KAN closure over that of an MLP of as many parameters, the worst case",
        shares,
        1.5,
        1,
        _reason(rows, device),
    )


_NAMES = {"cpu": "CPU", "cuda": "GPU"}


def _worst(
    what: str, shares: Mapping[str, tuple[int, float]], must: float, aim: float, reason: str
) -> Quantity:
    if not shares:
        return Quantity(what, None, "times", must, aim, more={"reason": reason})
    each = {case: f"{share:.3g} at {points:,} points" for case, (points, share) in shares.items()}
    return Quantity(
        what, max(share for _, share in shares.values()), "times", must, aim, more={"each": each}
    )


def _ratio(rows: Rows, where: Mapping[str, Any]) -> Quantity:
    row = _one(rows, **where, quantity=CLOSURE, peer="materialised_compiled")
    what = (
        "GPU: closure of 2-32-32-1, 1,000,000 points, float64, against the materialised basis under"
        " torch.compile"
    )
    return Quantity(
        what, row["ratio"] if row else None, "times faster", 20, 50, least=True, more=_because(row)
    )


def _all(rows: Rows, **where: Any) -> list[Mapping[str, Any]]:
    """Rows that match, in rising order of points; of ours only the first of several paths, which is
    the default one."""
    found = [row for row in rows if all(row[key] == value for key, value in where.items())]
    first = {
        tuple(row[key] for key in ("case", "quantity", "device", "dtype", "points", "peer")): row
        for row in reversed(found)
    }
    return sorted(first.values(), key=lambda row: row["points"])


def _one(rows: Rows, **where: Any) -> Mapping[str, Any] | None:
    found = _all(rows, **where)
    return next((row for row in found if row["milliseconds"]), found[0] if found else None)


def _because(row: Mapping[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return {"reason": "not measured"}
    once = "timed once" if row["repetitions"] == 1 else ""
    reason = row["reason"] or "; ".join(filter(None, (row.get("earlier"), once)))
    return {"reason": reason} if reason else {}


def _reason(rows: Rows, device: str) -> str:
    here = _all(rows, device=device)
    return NO_GPU if here and all(row["reason"] == NO_GPU for row in here) else "not measured"


def page(found: Mapping[str, Any]) -> str:
    """The measured devices as a page of Markdown: targets first, then every row with what made
    it."""
    lines = [
        "# The closure against its peers",
        "",
        "Written by `python -m benchmarks kernels`; the numbers behind it are in `kernels.json`.",
    ]
    lines += [
        "",
        "## Targets",
        "",
        "<!-- table:targets -->",
        *target_table(verdicts(_with_earlier(found))),
        "<!-- /table -->",
    ]
    for device, part in found.items():
        lines += ["", f"## {_NAMES[device]}", ""]
        if part["provenance"] is None:
            lines += [f"{NO_GPU}. `make gpu-report` measures it where there is one."]
            continue
        picture = "kernels.png" if device == "cpu" else f"kernels_{device}.png"
        lines += [
            f"![Milliseconds of the closure against points, for every network and way]({picture})",
            "",
        ]
        lines += [f"<!-- table:{device} -->", *row_table(part["rows"]), "<!-- /table -->", ""]
        lines += _origin(part)
        for k, before in enumerate(part.get("earlier", [])):
            lines += ["", "Measured earlier, and not again since:", ""]
            name = f"{device}-earlier{k or ''}"
            lines += [f"<!-- table:{name} -->", *row_table(before["rows"]), "<!-- /table -->", ""]
            lines += _origin(before)
    return "\n".join(lines) + "\n"


def _with_earlier(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All rows. Those that were measured earlier, and not again since, come last and say of
    what."""
    rows = [row for part in found.values() for row in part["rows"]]
    for part in found.values():
        for before in part.get("earlier", []):
            about = before["provenance"]
            said = f"measured earlier: commit {about['commit']}, {about.get('gpu', 'a CPU')}"
            rows += [row | {"earlier": said} for row in before["rows"]]
    return rows


def _origin(part: Mapping[str, Any]) -> list[str]:
    """What made the rows of a part."""
    ceilings = [
        f"{dtype} {rate['flops'] / 1e9:,.1f} Gflop/s and {rate['bandwidth'] / 1e9:,.1f} GB/s"
        for dtype, rate in part["ceilings"].items()
    ]
    return [
        *provenance_lines(part["provenance"], PAGE_PACKAGES),
        f"Ceilings of the roofline, measured: {'; '.join(ceilings)}.",
    ]


def target_table(found: Sequence[Quantity]) -> list[str]:
    """Lines of Markdown: one a target."""
    table = [["what", "measured", "must", "aim", "met", "note"]]
    for row in found:
        sign = "≥ " if row.least else "≤ "
        bounds = ["" if bound is None else f"{sign}{bound:.3g}" for bound in (row.must, row.aim)]
        note = (
            row.more.get("reason")
            or row.more.get("against")
            or ", ".join(f"{case}: {each}" for case, each in row.more.get("each", {}).items())
        )
        table.append(
            [
                row.what,
                "" if row.value is None else f"{row.value:.3g} {row.unit}",
                *bounds,
                row.verdict,
                note,
            ]
        )
    return markdown(table, left=(0, 5))


def row_table(rows: Rows) -> list[str]:
    """Lines of Markdown: one a measured row; those that were not measured follow, with the
    reason."""
    table = [
        [
            "network",
            "quantity",
            "dtype",
            "points",
            "by",
            "ms",
            "over ours",
            "of the roofline",
            "peak, MB",
        ]
    ]
    left: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        by = f"kanpde, {row['path']}" if row["peer"] == "kanpde" else row["peer"]
        if row["milliseconds"] is None:
            left.setdefault(row["reason"] or "", {}).setdefault(
                f"{row['case']} {row['quantity']} by {by}, {row['dtype']}", []
            ).append(f"{row['points']:,}")
            continue
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.3g}"
        share = "" if row["roofline_share"] is None else f"{100 * row['roofline_share']:.2g} %"
        peak = "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e6:.3g}"
        table.append(
            [
                row["case"],
                row["quantity"],
                row["dtype"],
                f"{row['points']:,}",
                by,
                f"{row['milliseconds']:.3g}",
                ratio,
                share,
                peak,
            ]
        )
    lines = []
    for reason, found in left.items():
        listed = [f"{which} at {', '.join(points)} points" for which, points in found.items()]
        lines.append(f"- {reason}: {'; '.join(listed)}")
    return [*markdown(table, left=(0, 1, 2, 4)), *([""] if lines else []), *lines]
