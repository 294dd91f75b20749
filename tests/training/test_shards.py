"""Points dealt out to processes: the same network as one process makes, up to the order of sums,
and the same bits in all of them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from forked import Forked
from ranks import coefficients, work

import kanpde
from kanpde.training import loop, shards

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(__file__).parents[1]),
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}


def torchrun(*arguments, processes=2, cwd=".", **options):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
        *map(str, arguments),
    ]
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.fixture(scope="module")
def alone():
    """What this process finds by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "PARTED", loop.PARTED)
        return coefficients()


def test_several_processes_find_what_one_does(alone, tmp_path):
    """Of three, neither 61 nor 301 points are shared out evenly."""
    processes = 3
    ranks = [Forked(work, rank, processes, cwd=tmp_path) for rank in range(processes)]
    for rank in ranks:
        _, told = rank.communicate(timeout=200)
        assert rank.returncode == 0, told
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(processes)]
    for name, theta in alone.items():
        assert all(torch.equal(found[0][name], other[name]) for other in found), (
            f"{name}: ranks differ"
        )
        # sums over points in another order differ by rounding, and every step multiplies that by up
        # to the condition of JᵀJ + μ
        torch.testing.assert_close(
            found[0][name],
            theta,
            rtol=1e-6,
            atol=1e-7 * float(theta.abs().max()),
            msg=lambda text, name=name: f"{name}: {text}",
        )


def test_one_process_is_left_alone():
    x = torch.arange(6.0)
    assert shards.size() == 1
    assert shards.rank() == 0
    assert all(
        same is x
        for same in (shards.total(x), shards.largest(x), shards.gathered(x, 6), shards.totals(x)[0])
    )
    assert torch.equal(shards.share(x), x)
    assert shards.anybody(True)
    assert not shards.anybody(False)
    assert shards.from_first(lambda: 3) == 3


def test_only_the_triangle_of_a_matrix_is_sent(monkeypatch):
    """What stands above the diagonal is not set: it must not be sent, and may be anything
    afterwards."""
    sent = []
    monkeypatch.setattr(shards, "size", lambda: 2)
    monkeypatch.setattr(shards, "total", lambda x: sent.append(x) or 2 * x)
    matrix = torch.arange(1.0, 10).view(3, 3)
    broken = matrix.clone()
    broken[0, 1:], broken[1, 2] = torch.nan, torch.nan
    found, square, slope = shards.totals_with_lower(
        broken, torch.tensor(5.0), torch.tensor([6.0, 7.0])
    )
    assert torch.equal(found.tril(), 2 * matrix.tril())
    assert float(square) == 10
    assert slope.tolist() == [12, 14]
    assert [x.tolist() for x in sent] == [[1, 4, 5, 7, 8, 9, 5, 6, 7]]


def test_shares_are_all_the_points_once(monkeypatch):
    x = torch.arange(17.0)
    monkeypatch.setattr(shards, "size", lambda: 5)
    parts = []
    for rank in range(5):
        monkeypatch.setattr(shards, "rank", lambda rank=rank: rank)
        parts.append(shards.share(x))
    assert torch.equal(torch.cat(parts), x)
    assert {len(part) for part in parts} == {3, 4}


SOLVE = (
    "-m",
    "kanpde",
    "solve",
    "poisson2d",
    "--width",
    "3",
    "--degree",
    "5",
    "--grid",
    "4",
    "--schedule",
    "lm:30,extend:8,lm:80",
    "--points",
    "400",
    "--restarts",
    "1",
    "--no-reference",
)


def test_a_problem_that_fails_on_one_process_is_one_line(tmp_path):
    (tmp_path / "bad.py").write_text(
        "import torch\nfrom kanpde import Box, Dirichlet, Problem, d\n\n\ndef f(u, x):\n    return"
        " d(u, x, x) + torch.where(x > 0.9, torch.nan, 1.0)\n\n\nproblem = Problem(Box(x=(0, 1)),"
        " [f], [Dirichlet(u=0)])\n"
    )
    process = torchrun("-m", "kanpde", "solve", "bad.py", cwd=tmp_path)
    _, told = process.communicate(timeout=120)
    assert process.returncode != 0
    lines = [line for line in told.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, told
    assert "not finite" in lines[0] or "nan" in lines[0]


@pytest.mark.skipif(not Path("/proc").exists(), reason="not on this system: no /proc")
def test_a_lost_process_is_replaced_and_the_run_goes_on(tmp_path):
    process = torchrun(
        "--max-restarts",
        "2",
        Path(__file__).with_name("eager.py"),
        *SOLVE[2:],
        "--json",
        cwd=tmp_path,
    )
    try:
        end = time.time() + 90
        while not list(tmp_path.glob("results/poisson2d/*/training.pt")):
            assert process.poll() is None, process.communicate()[1]
            assert time.time() < end
            time.sleep(0.02)
        os.kill(worker(process.pid, rank=1), signal.SIGKILL)
        out, told = process.communicate(timeout=150)
    finally:
        process.kill()
    assert process.returncode == 0, told
    (folder,) = tmp_path.glob("results/poisson2d/*")
    assert json.loads(out[out.index("{") :])["run_dir"] == str(folder.relative_to(tmp_path))
    assert not (folder / "training.pt").exists()
    result = kanpde.load(folder)
    assert len(result.history.records) > 30
    assert result.relative_l2 < 1e-4


def worker(agent, rank):
    """The process of a rank, a child of torchrun's."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            variables = dict(
                v.split("=", 1) for v in (folder / "environ").read_text().split("\0") if "=" in v
            )
        except (OSError, ValueError, IndexError):
            continue
        if parent == agent and variables.get("RANK") == str(rank):
            return int(folder.name)
    raise AssertionError("no such process")
