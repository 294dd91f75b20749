"""What `make gpu-report` measures runs to its end on a pretend GPU, at small size; its times mean
nothing there."""

import pytest
import torch
from pretend_gpu import pretended

from benchmarks import contest
from benchmarks.measured import QUICK, Machine
from benchmarks.roofline import Ceiling

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="there is a GPU, and no need to pretend one"
)

POINTS = 100


def test_every_kind_of_row_is_measured():
    ceilings = dict.fromkeys(("float64", "float32"), Ceiling(1e12, 1e12))
    with pretended():
        machine = Machine("cuda", ceilings, QUICK, lambda line: None)
        ways = contest.contenders("cuda", ())[:1]
        assert ways == [("triton", "kanpde")]
        rows = contest.iterations(machine, contest.FIVE_HUNDRED, POINTS, ways)
        for dtype in (torch.float64, torch.float32):
            rows += contest.on_gpu(machine, contest.SMALL, dtype, POINTS, ways)
        rows += contest.on_gpu(machine, contest.MIDDLE, torch.float64, POINTS, ways)
        rows += contest.graph(machine)
    assert [row.reason for row in rows if row.milliseconds is None] == []
