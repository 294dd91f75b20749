"""The benchmark of the kernels: nothing wrong is timed, every row is there, and what was not
measured says so. No times are asserted."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from benchmarks import (
    contest,
    iteration,
    kernels,
    measured,
    memory,
    peers,
    roofline,
    verdicts,
)
from benchmarks.closure import Case, Closure, check_agreement, objective, ours, problem
from benchmarks.commands import main
from benchmarks.figure import plot_kernels
from benchmarks.measured import CLOSURE, NO_GPU, OVER, Limits, Machine
from benchmarks.rows import BenchmarkError
from kanpde import RunError

pytestmark = pytest.mark.compiled

TINY = Case((2, 3, 1))
CEILING = roofline.Ceiling(1e10, 1e10)
ONCE = Limits(seconds=5, rounds=1, timing=1, compile=False)


def machine(**limits):
    return Machine("cpu", {"float64": CEILING}, replace(ONCE, **limits), lambda line: None)


@pytest.fixture
def small(monkeypatch):
    """Two tiny networks, peers that need no other package, nothing in processes of its own, no
    GPU."""
    monkeypatch.setattr(contest, "CASES", (TINY, Case((3, 2, 2, 1))))
    monkeypatch.setattr(kernels, "CASES", (TINY, Case((3, 2, 2, 1))))
    monkeypatch.setattr(contest, "FIVE_HUNDRED", Case((2, 4, 1)))
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    monkeypatch.setattr(
        memory,
        "costs",
        lambda case, peer, path, points, *_: {n: memory.Cost(1000 * n, 0.1) for n in points},
    )
    monkeypatch.setattr(roofline, "measure", lambda device, dtype: CEILING)
    monkeypatch.setattr(kernels, "QUICK", ONCE)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


# The counts


def test_the_counts_are_those_of_the_kernels_readme():
    """2-10-1, degree 3, by hand: m = 2, counts (2, 2), N_1 = 4, N_2 = 2, D(2) = D(3) = 6, 20 edges
    and then 10."""
    case = Case((2, 10, 1))
    inputs = 12 * (8 + 2 * 6)
    edges = 30 * (2 * 6 + 2 * (1 + 6))
    adjoint = 20 * (2 * (1 + 6) + 2 * (6 + 4)) + 10 * (
        2 * (1 + 6) + 2 * (6 + 4) + 2 * 6 + 2 * (2 + 1 + 6)
    )
    assert (edges, adjoint) == (780, 1320)
    tanh, tanh_adjoint = 10 * 2 * (2 + 6 + 7), 10 * 2 * (3 + 6 + 7 + 6 + 5)
    assert roofline.forward_flops(case) == edges + inputs + tanh == 1320
    assert roofline.closure_flops(case) == 1320 + adjoint + inputs + tanh_adjoint == 3420
    assert roofline.closure_bytes(case) == 8 * 5 * (2 + 1) * 2, "the hidden level stays inside"
    assert roofline.closure_bytes(Case((3, 128, 128, 1)), 4) == 4 * 7 * ((3 + 1) * 2 + 5 * 256)
    entries, splines = (20 + 10) * 4, 12 * 2 * 4 * 6
    blocks = 20 * (2 * 7 + 2 * 3 * 4) + 10 * (2 * 7 + 2 * 3 * 4 + 2 * 6 + 2 * 9)
    row = (
        1320
        + inputs
        + splines
        + blocks
        + tanh_adjoint
        + entries * (entries + 1)
        + 6 * entries
        + 2 * 1320
    )
    assert roofline.iteration_flops(case, 7) == 7 * row + 240**3 // 3 + 4 * 240**2


def test_a_share_of_the_roofline_is_that_of_the_tighter_limit():
    row = measured.row_of(
        TINY,
        CLOSURE,
        "cpu",
        torch.float64,
        10,
        ("cpu", "kanpde"),
        {("cpu", "kanpde"): [4.0, 2.0, 3.0]},
        ("cpu", "kanpde"),
    )
    found = measured.against(row, roofline.Ceiling(flops=10, bandwidth=2), flops=6, moved=3)
    assert (found.milliseconds, found.minimum, found.ratio) == (3000, 2000, 1)
    assert found.roofline_share == pytest.approx(1.5 / 3)
    assert found.flop_share == pytest.approx(0.6 / 3)


# The gate


def test_every_way_gives_our_loss_and_gradient():
    ways = contest.contenders("cpu", ("materialised", "mlp"))
    assert contest.gate(Case((3, 4, 3, 1)), ways, "cpu", torch.float64) == {}


@pytest.mark.parametrize("factor", [1 + 1e-6, float("nan")])
def test_a_wrong_peer_is_caught_before_anything_is_timed(monkeypatch, factor):
    def wrong(at):
        made = peers.materialised(at)
        return Closure(made.run, lambda found: (float(found[0]), factor * found[1]))

    monkeypatch.setitem(peers.PEERS, "materialised", wrong)
    monkeypatch.setattr(contest, "alternate", lambda *_: pytest.fail("timed"))
    with pytest.raises(BenchmarkError, match="jets and materialised differ by"):
        contest.gate(TINY, contest.contenders("cpu", ("materialised",)), "cpu", torch.float64)
    at = objective(problem(2), TINY.kan, 20)
    ways = [("cpu", "kanpde"), ("cpu", "materialised")]
    with pytest.raises(BenchmarkError, match="jets and materialised differ by"):
        contest.compare(
            machine(),
            TINY,
            torch.float64,
            20,
            {ways[0]: ours(at), ways[1]: wrong(at)},
            {},
            {},
            ways,
        )


def test_a_wrong_mlp_is_caught(monkeypatch):
    right = contest.mlp

    def wrong(case, at):
        other = right(case, at)
        monkeypatch.setattr(other, "gradient", lambda: (1.0, torch.ones_like(other.network.theta)))
        return other

    monkeypatch.setattr(contest, "mlp", wrong)
    with pytest.raises(BenchmarkError, match="nested autograd of an MLP differ by"):
        contest.gate(TINY, contest.contenders("cpu", ("mlp",)), "cpu", torch.float64)


def test_wrong_products_with_the_jacobian_are_caught(monkeypatch):
    from kanpde.networks.rows import Rows

    ways = contest.contenders("cpu", ("mlp",))
    iteration.gate(TINY, ways, "cpu")
    gram = Rows.gram
    monkeypatch.setattr(Rows, "gram", lambda self: (1 + 1e-7) * gram(self))
    with pytest.raises(BenchmarkError, match="JᵀJ or Jᵀr differ"):
        iteration.gate(TINY, ways, "cpu")


def test_parts_of_unequal_size_give_the_same(monkeypatch):
    at = objective(problem(2), TINY.kan, 50)
    whole, parts = (peers.materialised(at, chunks) for chunks in (1, 4))  # 13, 13, 13 and 11 points
    check_agreement(whole.read(whole.run()), parts.read(parts.run()))


def test_peers_agree():
    """pykan and jaxKAN too, where the optional `bench` extra has them. In a process of its own:
    they import pyplot and change what is global."""
    there = ["materialised", *(peer for peer, m in PACKAGES.items() if find_spec(m))]
    script = (
        "import torch\n"
        "from benchmarks import contest\n"
        "from benchmarks.closure import Case\n"
        f"ways = contest.contenders('cpu', {there})\n"
        "failed = contest.gate(Case((3, 4, 3, 1)), ways, 'cpu', torch.float64)\n"
        "assert not failed, failed\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


PACKAGES = {"pykan": "kan", "jaxkan": "jaxkan"}
"""Peers by the modules that they are."""


# The rows


def test_there_is_a_row_for_everything_that_was_promised(small, tmp_path):
    rows = kernels.run(tmp_path, lambda line: None, [5, 9], quick=True)
    cpu = {
        (row["case"], row["points"], row["peer"]): row
        for row in rows
        if row["device"] == "cpu" and row["quantity"] == CLOSURE and row["path"] != "plain"
    }
    for case in ("2-3-1", "3-2-2-1"):
        for n in (5, 9):
            for peer in ("kanpde", "materialised", "mlp"):
                row = cpu[case, n, peer]
                assert row["milliseconds"] > 0
                assert row["ratio"] > 0
                assert row["peak_bytes"] == 1000 * n
                assert (row["roofline_share"] is not None) == (peer == "kanpde")
            assert cpu[case, n, "pykan"]["reason"] == "pykan is not installed"
            assert cpu[case, n, "jaxkan"]["reason"] == "jaxkan is not installed"
            assert "compiles nothing" in cpu[case, n, "materialised_compiled"]["reason"]
    steps = [
        row for row in rows if row["device"] == "cpu" and row["quantity"] == measured.ITERATION
    ]
    assert {(row["case"], row["points"], row["peer"]) for row in steps} == {
        (case, n, peer)
        for case in ("2-3-1", "3-2-2-1", "2-4-1")
        for n in (5, 9)
        for peer in ("kanpde", "mlp")
    }
    keys = {
        "case",
        "quantity",
        "device",
        "dtype",
        "points",
        "path",
        "peer",
        "milliseconds",
        "ratio",
        "roofline_share",
        "peak_bytes",
    }
    assert all(keys <= set(row) for row in rows)
    assert all((row["milliseconds"] is None) == bool(row["reason"]) for row in rows), (
        "a time or a reason"
    )


def test_the_gpus_rows_are_unmeasured_without_one(small, tmp_path):
    rows = [
        row
        for row in kernels.run(tmp_path, lambda line: None, [5], quick=True)
        if row["device"] == "cuda"
    ]
    assert {row["reason"] for row in rows} == {NO_GPU}
    assert all(
        row[key] is None
        for row in rows
        for key in ("milliseconds", "ratio", "roofline_share", "peak_bytes")
    )
    asked = {(row["case"], row["dtype"], row["points"], row["quantity"]) for row in rows}
    assert {
        ("2-32-32-1", "float64", 10**6, CLOSURE),
        ("3-128-128-1", "float32", 10**6, CLOSURE),
        ("2-4-1", "float64", 10**6, measured.ITERATION),
    } <= asked
    assert ("2-10-1", "float64", 10**4, measured.GRAPH) in asked
    assert {("2-3-1", dtype, 5, CLOSURE) for dtype in ("float64", "float32")} <= asked
    found = [row for row in verdicts.verdicts(rows) if row.what.startswith("GPU")]
    assert len(found) == 7
    assert {row.verdict for row in found} == {"unmeasured"}
    text = (tmp_path / "benchmarks" / "kernels.md").read_text()
    assert "## GPU\n\nunmeasured: no GPU. `make gpu-report` measures it" in text
    with pytest.raises(RunError, match="no GPU"):
        kernels.run(tmp_path, lambda line: None, [5], quick=True, device="cuda")


def test_what_runs_on_a_gpu(small, monkeypatch, tmp_path):
    """The way through it, with a CPU in its place: peers that fail or do not fit have rows that say
    so."""
    made, parts = contest.objective, []

    def here(equation, spec, points, device="cpu", dtype=torch.float64):
        return made(equation, spec, min(points, 30), "cpu", dtype)

    def crowded(at, chunks=1):
        parts.append(chunks)
        if chunks < 5 and at.rows > 20:
            raise torch.OutOfMemoryError
        return peers.materialised(at, chunks)

    def broken(at):
        if at.rows == 30:
            raise RuntimeError("no such kernel\nsecond line")
        return peers.materialised(at)

    for module in (contest, iteration, memory):
        monkeypatch.setattr(module, "objective", here)
    monkeypatch.setattr(contest, "GATE", 12)
    monkeypatch.setattr(contest, "default_path", lambda device: "cpu")
    monkeypatch.setattr(
        contest,
        "TARGETS",
        (
            (
                TINY,
                torch.float64,
                10**6,
                ("materialised", "materialised_compiled", "pykan", "jaxkan", "mlp"),
            ),
        ),
    )
    monkeypatch.setattr(memory, "growth_on_gpu", lambda work: work() and 1000)
    monkeypatch.setattr(iteration, "_left_out", lambda *_: None)
    for name in ("synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setitem(peers.PEERS, "materialised", crowded)
    monkeypatch.setitem(peers.PEERS, "jaxkan", broken)
    there = Machine("cuda", {"float64": CEILING, "float32": CEILING}, ONCE, lambda line: None)
    rows = [row for some in contest.on_cuda(there, [5]) for row in some]
    first = {
        row.peer: row
        for row in rows
        if row.points == 10**6 and row.quantity == CLOSURE and row.path == "cpu"
    }
    assert parts[:3] == [1, 1, 5], "the gate, all at once, and in five parts"
    assert first["materialised"].peak_bytes == first["kanpde"].peak_bytes == 1000
    assert all(first[peer].milliseconds > 0 for peer in ("kanpde", "materialised", "mlp"))
    assert first["jaxkan"].reason == "jaxkan failed: RuntimeError: no such kernel"
    assert first["pykan"].reason == "pykan is not installed"
    assert "compiles nothing" in first["materialised_compiled"].reason
    assert {row.quantity for row in rows if row.milliseconds} == {
        CLOSURE,
        measured.ITERATION,
        measured.GRAPH,
    }
    assert {row.dtype for row in rows if row.milliseconds} == {"float64", "float32"}


def test_a_kernel_that_fails_on_a_gpu_is_a_row_with_its_reason(monkeypatch):
    def broken(*given):
        raise RuntimeError("an illegal memory access\nsecond line")

    for name in ("graph", "iterations", "on_gpu"):
        monkeypatch.setattr(contest, name, broken)
    monkeypatch.setattr(contest, "default_path", lambda device: "triton")
    there = Machine("cuda", {}, ONCE, lambda line: None)
    rows = [row for some in contest.on_cuda(there, [5]) for row in some]
    assert {row.quantity for row in rows} == {CLOSURE, measured.ITERATION, measured.GRAPH}
    assert {row.reason for row in rows} == {"failed: RuntimeError: an illegal memory access"}


def test_rows_of_a_gpu_stay_in_the_files_where_there_is_none(small, tmp_path):
    kernels.run(tmp_path, lambda line: None, [5], quick=True, device="cpu")
    path = tmp_path / "benchmarks" / "kernels.json"
    found = json.loads(path.read_text())
    row = asdict(
        measured.row_of(
            TINY,
            CLOSURE,
            "cuda",
            torch.float64,
            5,
            ("triton", "kanpde"),
            {("triton", "kanpde"): [1.0]},
            ("triton", "kanpde"),
        )
    )
    found["cuda"] = found["cpu"] | {"rows": [row]}
    path.write_text(json.dumps(found))
    kernels.run(tmp_path, lambda line: None, [5], quick=True)
    assert json.loads(path.read_text())["cuda"]["rows"] == [row]
    path.write_text('{"cpu": {"provenance": {}, "rows": [{"speed": 3}]}}')
    with pytest.raises(RunError, match="move it away"):
        kernels.run(tmp_path, lambda line: None, [5], quick=True)


def test_what_was_measured_earlier_and_not_again_stays_and_says_so(small, tmp_path):
    """Rows of one run are compared with each other, never with those of another."""
    kernels.run(tmp_path, lambda line: None, [5], quick=True, device="cpu")
    path = tmp_path / "benchmarks" / "kernels.json"
    found = json.loads(path.read_text())
    case, way = contest.Case((2, 32, 32, 1)), ("triton", "kanpde")

    def rows_of(*peaks, seconds):
        peers_here = ("kanpde", "materialised", "materialised_compiled")[: len(peaks)]
        ways = {("triton", peer): [seconds * 10**k] for k, peer in enumerate(peers_here)}
        rows = [
            asdict(measured.row_of(case, CLOSURE, "cuda", torch.float64, 10**6, one, ways, way))
            for one in ways
        ]
        return [row | {"peak_bytes": peak} for row, peak in zip(rows, peaks, strict=True)]

    about = found["cpu"]["provenance"] | {"commit": "0123456789ab", "gpu": "an old card"}
    earlier = {**found["cpu"], "provenance": about, "rows": rows_of(2, 100, 50, seconds=3.0)}
    found["cuda"] = found["cpu"] | {"rows": rows_of(1, seconds=2.0), "earlier": [earlier]}
    path.write_text(json.dumps(found))
    kernels.run(tmp_path, lambda line: None, [5], quick=True, device="cpu")
    kept = json.loads(path.read_text())
    assert kept["cuda"]["earlier"] == [earlier]
    text = path.with_suffix(".md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("| GPU: ")]
    (compiled,) = [line for line in lines if "torch.compile" in line]
    assert "| 100 times faster |" in compiled
    assert "measured earlier: commit 0123456789ab, an old card; timed once |" in compiled
    (memory_line,) = [line for line in lines if "peak memory" in line]
    assert "| 0.02 times |" in memory_line, "2 over 100, of the same run"
    now, _, before = text.partition("Measured earlier, and not again since:")
    assert "| 2e+03 |" in now
    assert "commit 0123456789ab" in before
    assert "| 3e+04 |" in before


def test_what_comes_too_late_is_left_out_with_the_reason(small):
    late = machine(until=0.0)
    assert late.late()
    rows = [row for part in contest.on_cpu(late, [5]) for row in part]
    assert {row.reason for row in rows if row.peer in ("kanpde", "materialised")} == {OVER}
    assert all(row.milliseconds is None for row in rows)


def test_json_alone_is_on_standard_output(small, tmp_path, capsys):
    assert (
        main(
            [
                "kernels",
                "--quick",
                "--points",
                "5,1e1",
                "--device",
                "cpu",
                "--json",
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert {row["points"] for row in rows} == {5, 10}
    assert "agree" in err
    about = json.loads((tmp_path / "benchmarks" / "kernels.json").read_text())["cpu"]["provenance"]
    assert about["command"] == "python -m benchmarks kernels --points 5,10 --device cpu --quick"
    assert {"processor", "commit", "torch", "numba", "pykan", "jaxkan", "load"} <= set(about)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["kernel"], "Did you mean 'kernels'"),
        (["kernels", "--only", "timing"], "no such option: --only"),
        (["solve", "--quick"], "no such option: --quick"),
        (["kernels", "--points", "1e3,many"], "--points: got"),
        (["kernels", "--device", "gpu"], "'gpu' is not one of 'cpu', 'cuda'"),
        (["kernels", "--minutes", "0"], "--minutes: got"),
    ],
)
def test_wrong_options_get_one_line(arguments, complaint, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path)]) != 0
    assert complaint in " ".join(capsys.readouterr().err.split())


# Memory


def test_peak_memory_is_measured():
    held = []

    def work():
        held.append(torch.ones(10_000_000, dtype=torch.float64))
        held.clear()

    work()
    assert memory.growth(work) == pytest.approx(80e6, rel=0.05)
    torch.ones(3_900_000, dtype=torch.float64)  # freed: blocks of this size come from the heap now
    blocks = [torch.ones(125_000, dtype=torch.float64) for _ in range(201)]
    del blocks[:200]  # a hole of 200 MB, that the last block keeps
    assert memory.growth(work) == pytest.approx(80e6, rel=0.05)


def test_peak_memory_in_a_process_of_its_own():
    points = [3_000, 12_000]
    found = memory.costs(TINY, "materialised", "plain", points, seconds=60, memory=1e9)
    assert found[3_000].peak > 3_000 * 8 * 2 * 3 * 8, "more than one basis of the first layer"
    assert found[12_000].peak == pytest.approx(4 * found[3_000].peak, rel=0.3)
    left = memory._too_much(100, (50, 1000, 2.0), seconds=3, memory=1e9)
    assert left == "left out: 50 points took 2 s, and at most 3 s are given to one run"
    assert "GB may be used" in (
        memory._too_much(100, (50, 10**9, 1.0), seconds=3, memory=1e9) or ""
    )


# The page


def _rows():
    """A closure at two numbers of points: ours 2 ms and 20 ms, rivals 10 and 50 times slower, with
    memory."""
    rows = []
    for n, ms in ((10_000, 2.0), (100_000, 20.0)):
        for path, peer, times, peak in (
            ("cpu", "kanpde", 1, 10**5),
            ("plain", "kanpde", 4, 10**6),
            ("cpu", "pykan", 50, 10**7),
            ("cpu", "jaxkan", 30, 10**7),
            ("cpu", "materialised", 25, 2 * 10**6),
            ("cpu", "mlp", 0.8, 10**5),
        ):
            row = measured.row_of(Case((2, 10, 1)), CLOSURE, "cpu", torch.float64, n, (path, peer))
            share = (
                {"roofline_share": 0.25, "flop_share": 0.25}
                if (path, peer) == ("cpu", "kanpde")
                else {}
            )
            rows.append(
                asdict(
                    replace(
                        row, milliseconds=times * ms, ratio=float(times), peak_bytes=peak, **share
                    )
                )
            )
    return rows


def test_verdicts_compare_with_the_fastest_rival_and_the_worst_case():
    rivals, limit, peak, mlp = (
        row for row in verdicts.verdicts(_rows()) if row.what.startswith("CPU")
    )
    assert (rivals.value, rivals.verdict, rivals.more["against"]) == (25, "must", "materialised")
    assert (limit.value, limit.verdict) == (4, "must")
    assert (peak.value, peak.verdict) == (pytest.approx(0.05), "must")
    assert (mlp.value, mlp.verdict) == (pytest.approx(1.25), "must")


def test_a_rival_that_did_not_run_leaves_the_target_open():
    rows = [
        (
            row | {"milliseconds": None, "ratio": None, "reason": "pykan is not installed"}
            if row["peer"] == "pykan"
            else row
        )
        for row in _rows()
    ]
    rivals = verdicts.verdicts(rows)[0]
    assert (rivals.value, rivals.verdict) == (None, "unmeasured")
    assert (
        rivals.more["reason"] == "pykan: pykan is not installed; against the rest it was 25 times"
    )


def test_the_figure_shows_what_was_measured():
    rows = _rows() + [asdict(row) for row in contest.unmeasured([1000])]
    figure = plot_kernels(rows, ["2-10-1", "2-32-32-1"])
    lines = [
        {
            line.get_label(): line.get_xydata().tolist()
            for line in axes.lines
            if len(line.get_xdata())
        }
        for axes in figure.axes
    ]
    assert len(figure.axes) == 2
    assert len(lines[0]) == 7
    assert [[10_000, 0.5], [100_000, 5.0]] in lines[0].values(), "the roofline"
    assert [[10_000, 2.0], [100_000, 20.0]] in lines[0].values()
    assert not lines[1], "no line where nothing was measured"


@pytest.mark.parametrize("target", ["test-gpu", "gpu-report"])
def test_the_report_of_a_gpu_needs_one(target):
    root = Path(__file__).parents[2]
    blind = ["VENV=/nowhere", f"PYTHON={sys.executable}", "SEES_GPU=raise SystemExit(1)"]
    done = subprocess.run(
        ["make", target, *blind], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    first, *rest = done.stderr.splitlines()
    assert first.startswith("error: no GPU that the PyTorch of ")
    assert all(line.startswith("make") for line in rest)
