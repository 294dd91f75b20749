"""The Triton kernels compile for a GPU, without one: what the interpreter cannot see, such as
types, shared memory and registers.

Run as a script, each launch of the functions below compiles its kernel for compute capability 9.0
in place of running it, and prints one line of JSON: its name, the bytes of shared memory, registers
and bytes of stack of a thread, the float types of its arithmetic. A test runs it in a process of
its own, since this one has Triton's interpreter.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""Where `benchmarks` is."""

MOST_SHARED = 227 * 1024
"""Bytes of shared memory that a program can have there."""

STACK = {
    "triton_levels.forward_tiles": 1024,
    "triton_levels.adjoint_tiles": 1024,
    "triton_activation._forward": 48,
    "triton_activation._adjoint": 48,
    "triton_jet._gradient": 16,
    "triton_jet._pullback": 8,
}
"""Bytes of stack that a thread may have, where it may have any. Whole networks are given fewer
registers than they ask for, since more of them at once is faster (triton_network.RESIDENT); the
sine of CUDA's library has a table of its own there; the assembler of Triton 3.6 puts two registers
of _pullback there in float32, that of 3.7 none."""

EVERYTHING = {
    "_edges",
    "_forward",
    "forward_tiles",
    "_pullback",
    "_gradient",
    "_ordered_sum",
    "_spread",
    "_taps",
    "_inward",
    "_times",
    "_rescaled",
    "_judged",
    "_adjoint",
    "adjoint_tiles",
}


def run(dtype):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, __file__, dtype],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_float64_compiles_without_single_precision():
    found = run("float64")
    assert {kernel["name"] for kernel in found} == EVERYTHING
    for kernel in found:
        assert kernel["shared"] <= MOST_SHARED, kernel
        assert "tf32" not in kernel["types"], kernel
        assert "f32" not in kernel["types"] or kernel["kind"] == "tanh", (
            f"{kernel}: only the exponential of CUDA's library looks at half of a float64 as a"
            " float32"
        )
        assert not kernel["atomics"], kernel
    check_registers(found)


def check_registers(found):
    for kernel in found:
        assert kernel["registers"] > 0, kernel
        assert kernel["stack"] <= STACK.get(kernel["where"], 0), f"{kernel}: spills registers"


def test_float32_compiles_without_double_precision():
    found = run("float32")
    check_registers(found)
    for kernel in found:
        assert kernel["shared"] <= MOST_SHARED, kernel
        assert "f64" not in kernel["types"], kernel
        assert not kernel["atomics"], kernel


def say(kernel, grid, operands):
    """In place of a launch."""
    types = re.findall(
        r"\b(?:add|mul|fma|sub|div|mma)\.\S*?\b(t?f(?:16|32|64))\b", re.sub(r"//.*", "", kernel.ptx)
    )
    report = {
        "name": kernel.where.rsplit(".", 1)[1],
        "where": kernel.where,
        "registers": kernel.registers,
        "stack": kernel.stack,
        "shared": kernel.shared,
        "types": sorted(set(types)),
        "kind": kernel.constants.get("kind"),
        "atomics": bool(re.search(r"\b(atom|red)\.", kernel.ptx)),
    }
    sys.stdout.write(json.dumps(report) + "\n")


COUNTS, DEGREE, GRID, POINTS = (2, 2), 3, 5, 1000
"""As a problem could have them."""


def main(name):
    """Launch everything once, in float32 what is largest."""
    import torch

    from benchmarks.machine_code import compile_in_place_of_launches
    from kanpde.kernels import triton_damping, triton_runs

    compile_in_place_of_launches(say)
    dtype = getattr(torch, name)
    for inputs, outputs in ((2, 10), (128, 128)) if name == "float64" else ((128, 128),):
        launch_a_layer(inputs, outputs, dtype)
    values = torch.zeros(POINTS, 120, dtype=dtype)
    starts, lengths = torch.zeros(POINTS, 7, dtype=torch.int64), (40, 40, 8, 8, 8, 8, 8)
    triton_runs.gram(values, starts, lengths, 465)
    if name == "float64":
        triton_runs.times(values, starts, lengths, torch.zeros(465, dtype=dtype))
        number, vector = torch.zeros((), dtype=dtype), torch.zeros(465, dtype=dtype)
        triton_damping.rescaled(torch.zeros(465, 472, dtype=dtype)[:, :465], vector, number, [465])
        failed = torch.zeros((), dtype=torch.int32)
        triton_damping.judged(number, failed, vector, vector, 2.0)
        launch_activations_and_networks(dtype)


def launch_a_layer(inputs, outputs, dtype):
    import torch

    from kanpde.kernels import triton_jet, uniform_knots

    L, X = (torch.zeros(POINTS, 5, n, dtype=dtype) for n in (outputs, inputs))
    C = torch.zeros(inputs, GRID + DEGREE, outputs, dtype=dtype)
    knots = uniform_knots(inputs, -1.0, 1.0, GRID, DEGREE, dtype)
    triton_jet.forward(X, C, knots, COUNTS)
    triton_jet.adjoint(L, X, C, knots, COUNTS)
    triton_jet.pullback(L, X, C, knots, COUNTS, True)


def launch_activations_and_networks(dtype):
    import torch

    from kanpde.kernels import (
        triton_activation,
        triton_network,
        uniform_knots,
    )

    def zeros(*shape):
        return torch.zeros(shape, dtype=dtype)

    def jet(units):
        return zeros(POINTS, 5, units)

    knots = [uniform_knots(n, -1.0, 1.0, GRID, DEGREE, dtype) for n in (2, 10)]
    for kind in ("tanh", "sin"):
        triton_activation.forward(kind, jet(128), zeros(128), zeros(128), COUNTS)
        triton_activation.adjoint(kind, jet(128), jet(128), zeros(128), COUNTS)
    C = [zeros(2, GRID + DEGREE, 10), zeros(10, GRID + DEGREE, 1)]
    given = (jet(2), C, knots, [zeros(10)], [zeros(10)], COUNTS)
    triton_network.forward(*given)
    triton_network.adjoint(jet(1), *given)
    triton_network.pullback(jet(1), *given)
    affine = zeros(1, POINTS, 5, 1), zeros(1, POINTS)
    triton_network.rows(*given[:-1], *affine, COUNTS)
    triton_network.squares(*given[:-1], *affine, COUNTS)


if __name__ == "__main__":
    main(sys.argv[1])
