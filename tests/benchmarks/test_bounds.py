"""Bounds by machine code: the count of instructions on code that is written down here, and the
table's arithmetic; tests/kernels/test_triton_compiles.py compiles."""

import math

import pytest
import torch

from benchmarks import bounds
from benchmarks.bounds import CACHE, MULTIPROCESSORS, Launches, Rates
from benchmarks.machine_code import Compiled, instructions
from benchmarks.roofline import Ceiling

SASS = """
        /*0000*/                   LDG.E.64 R2, [R2.64] ;
        /*0010*/                   DSETP.GEU.AND P0, PT, R2, R4, PT ;
        /*0020*/                   LDG.E.64 R6, [R6.64] ;
        /*0030*/                   LDG.E.64 R6, [R6.64] ;
        /*0040*/                   DSETP.GEU.AND P0, PT, R6, R4, PT ;
        /*0050*/               @P1 BRA 0x20 ;
        /*0060*/                   LDG.E.64 R6, [R6.64] ;
        /*0070*/                   DSETP.GEU.AND P0, PT, R6, R4, PT ;
        /*0080*/              @!P1 BRA 0x60 ;
        /*0090*/                   DFMA R8, R6, R4, R8 ;
        /*00a0*/               @P2 BRA 0x0 ;
        /*00b0*/                   STG.E.64 [R2.64], R8 ;
        /*00c0*/                   EXIT ;
        /*00d0*/                   BRA 0xd0 ;
"""
"""A loop over tiles with a search in it: four rounds at a time, and the rest."""


def kernel(warps=4):
    code = tuple(instructions(SASS))
    return Compiled("triton_some._kernel", {}, 32, 0, 0, warps, code, "")


@pytest.mark.parametrize(("steps", "tiles"), [(3, 1), (4, 1), (6, 1), (5, 7)])
def test_loops_are_counted_as_often_as_they_run_at_least(steps, tiles):
    found = kernel().counted(steps, tiles)
    assert found["DFMA"] == tiles
    assert found["LDG"] == tiles * (1 + 2 * (steps // 4) + steps % 4)
    assert found["STG"] == found["EXIT"] == 1


def test_what_a_launch_is_bound_by():
    launches = Launches(Rates(1e9, Ceiling(1e12, 1e12)), "float64")
    X = torch.empty(1000, dtype=torch.float64, device="meta")
    launches.launched(kernel(), (MULTIPROCESSORS,), {"X": X, "steps": 3, "again": X})
    (name, _, seconds, by), *_ = launches.found
    assert name == "triton_some._kernel"
    # 4 warps of a multiprocessor load four times, with the three rounds of the search, and store.
    assert (seconds, by) == (pytest.approx(4 * 5 / 1e9), "loads and stores")
    launches.launched(kernel(), (1,), {"X": X.expand(10**6, 1000), "steps": 3})
    assert launches.found[-1][2:] == (pytest.approx((8e9 - CACHE) / 1e12), "memory")


def test_products_of_the_library_are_their_operations():
    with Launches(Rates(1e9, Ceiling(1e9, 1e12)), "float64") as launches:
        a = torch.empty(30, 40, device="meta")
        (a @ a.T).view(-1)
    assert [(name, seconds, by) for name, _, seconds, by in launches.found[-1:]] == [
        ("library: mm", pytest.approx(2 * 30 * 40 * 30 / 1e9), "products")
    ]


def test_the_page_calls_bounds_bounds():
    row = bounds.Bound("closure", "2-10-1", 3, "float64", "a._b", 2, 40, 0, 16, 12, 1e-3, "memory")
    share = {"what": "closure", "network": "2-10-1", "degree": 3, "dtype": "float64"}
    share |= {"points": 1000, "seconds": 2e-3, "roofline": 1e-3, "share": 0.5}
    about = dict.fromkeys(("date", "commit", "command", "processor", "platform"), "x")
    about |= {"cores": 2, "threads": 1, "load": None}
    found = {"provenance": about, "rates": {"gpu": "G", "commit": "c"}, "shares": [share]}
    text = bounds.page(found | {"rows": [vars(row)]})
    assert "**Computed, not measured**" in text
    assert "| closure | 2-10-1 | 3 | float64 | 2 | 1 | 50 % |" in text
    assert "| `a._b` | 2 | 40 | 0 | 16 | 12 | 1 | memory |" in text
    assert math.isclose(share["share"], share["roofline"] / share["seconds"])
