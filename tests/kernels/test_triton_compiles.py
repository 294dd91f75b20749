"""The Triton kernels compile for a GPU, without one: what the interpreter cannot see, such as
types, shared memory and registers.

Run as a script, each launch of the functions below compiles its kernel for compute capability 9.0
in place of running it, and prints one line of JSON: its name, the bytes of shared memory, the float
types of its arithmetic. A test runs it in a process of its own, since this one has Triton's
interpreter.
"""

import json
import os
import re
import subprocess
import sys

MOST_SHARED = 227 * 1024
"""Bytes of shared memory that a program can have there."""

EVERYTHING = {
    "_edges",
    "_forward",
    "_pullback",
    "_gradient",
    "_dense_forward",
    "_ordered_sum",
    "_gram",
    "_times",
    "_transposed_times",
    "_adjoint",
}


def run(dtype):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, __file__, dtype],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
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


def test_float32_compiles_without_double_precision():
    for kernel in run("float32"):
        assert kernel["shared"] <= MOST_SHARED, kernel
        assert "f64" not in kernel["types"], kernel
        assert not kernel["atomics"], kernel


def compile_only(self, *args, grid, warmup, **given):
    """In place of a launch."""
    import torch
    import triton
    from triton.backends.compiler import GPUTarget

    names = {torch.float64: "*fp64", torch.float32: "*fp32", torch.int64: "*i64"}
    options = {k: given.pop(k) for k in ("num_warps", "num_stages") if k in given}
    bound, signature, constants, aligned = (
        dict(zip(self.arg_names, args, strict=False)) | given,
        {},
        {},
        {},
    )
    for i, parameter in enumerate(self.params):
        value = bound[parameter.name]
        if parameter.is_constexpr or (isinstance(value, int) and value == 1):
            signature[parameter.name], constants[parameter.name] = "constexpr", value
        elif isinstance(value, torch.Tensor):
            signature[parameter.name], aligned[(i,)] = names[value.dtype], [["tt.divisibility", 16]]
        else:
            signature[parameter.name] = "i32"
    source = triton.compiler.ASTSource(
        fn=self, signature=signature, constexprs=constants, attrs=aligned
    )
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    ptx = re.sub(r"//.*", "", made.asm["ptx"])
    types = sorted(
        set(re.findall(r"\b(?:add|mul|fma|sub|div|mma)\.\S*?\b(t?f(?:16|32|64))\b", ptx))
    )
    report = {
        "name": self.__name__,
        "shared": made.metadata.shared,
        "types": types,
        "kind": constants.get("kind"),
        "atomics": bool(re.search(r"\b(atom|red)\.", ptx)),
    }
    sys.stdout.write(json.dumps(report) + "\n")


def main(name):
    """Launch everything once (in float32 what is largest), at points, widths, grids and orders that
    a problem could have."""
    import torch
    from triton.runtime.jit import JITFunction

    from kanpde.kernels import (
        triton_activation,
        triton_gauss_newton,
        triton_jet,
        triton_network,
        triton_runs,
        uniform_knots,
    )

    JITFunction.run = compile_only
    dtype = getattr(torch, name)

    def zeros(*shape):
        return torch.zeros(shape, dtype=dtype)

    counts, degree, grid, points = (2, 2), 3, 5, 1000
    for inputs, outputs in ((2, 10), (128, 128)) if name == "float64" else ((128, 128),):
        L, X, C = (
            zeros(points, 5, outputs),
            zeros(points, 5, inputs),
            zeros(inputs, grid + degree, outputs),
        )
        knots = uniform_knots(inputs, -1.0, 1.0, grid, degree, dtype)
        triton_jet.DENSE = 0
        triton_jet.forward(X, C, knots, counts)
        triton_jet.adjoint(L, X, C, knots, counts)
        triton_jet.pullback(L, X, C, knots, counts, True)
        triton_jet.DENSE = 99
        triton_jet.forward(X, C, knots, counts)
    values, starts, lengths = (
        zeros(points, 120),
        torch.zeros(points, 7, dtype=torch.int64),
        (40, 40, 8, 8, 8, 8, 8),
    )
    triton_runs.gram(values, starts, lengths, 465)
    if name == "float32":
        return
    triton_gauss_newton.gram(
        [
            triton_gauss_newton.Part(
                zeros(points, 5, 10),
                zeros(points, 5, 2),
                uniform_knots(2, -1.0, 1.0, grid, degree, dtype),
                degree,
            )
        ],
        counts,
    )
    for kind in ("tanh", "sin"):
        triton_activation.forward(kind, X, zeros(128), zeros(128), counts)
        triton_activation.adjoint(kind, L, X, zeros(128), counts)
    triton_runs.times(values, starts, lengths, zeros(465))
    triton_runs.transposed_times(values, starts, lengths, 465, zeros(points))
    C = [zeros(2, grid + degree, 10), zeros(10, grid + degree, 1)]
    knots = [
        uniform_knots(2, -1.0, 1.0, grid, degree, dtype),
        uniform_knots(10, -1.0, 1.0, grid, degree, dtype),
    ]
    given = (zeros(points, 5, 2), C, knots, [zeros(10)], [zeros(10)], counts)
    triton_network.forward(*given)
    triton_network.adjoint(zeros(points, 5, 1), *given)


if __name__ == "__main__":
    main(sys.argv[1])
