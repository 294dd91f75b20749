"""The machine code of Triton's kernels, compiled for compute capability 9.0 without a GPU:
registers, stack, shared memory, and how often its instructions run at least.

A process that reads machine code compiles every kernel in place of running it, so that it can do
nothing else with them; Triton's interpreter must be off in it.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

TYPES = {torch.float64: "*fp64", torch.float32: "*fp32", torch.int64: "*i64", torch.int32: "*i32"}
OPTIONS = ("num_warps", "num_stages", "maxnreg")

Report = Callable[["Compiled", tuple[int, ...], Mapping[str, Any]], None]


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        address: Where it is.
        name: Such as "DFMA".
        target: Of a branch, else None.
    """

    address: int
    name: str
    target: int | None


@dataclass(frozen=True)
class Compiled:
    """A kernel for one type of operands.

    Attributes:
        where: Its module and its name.
        constants: What it was compiled for.
        registers: Of a thread.
        stack: Bytes of a thread, which registers are spilled to.
        shared: Bytes of a program.
        warps: Of a program.
        code: Its instructions.
        ptx: The text that the assembler was given.
    """

    where: str
    constants: Mapping[str, Any]
    registers: int
    stack: int
    shared: int
    warps: int
    code: tuple[Instruction, ...]
    ptx: str

    @property
    def loops(self) -> list[tuple[int, int]]:
        """First and last address of every loop: branches go back to where it begins."""
        return [
            (i.target, i.address)
            for i in self.code
            if i.name == "BRA" and i.target is not None and i.target < i.address
        ]

    def counted(self, steps: int, tiles: int = 1) -> Counter[str]:
        """How often a warp runs instructions of each name, at least.

        A search for an interval takes `steps` rounds, by a loop that takes several rounds at a time
        and another one behind it for the rest. The longest loop takes a round a tile. Any other
        one counts as one round, since machine code does not say how many there are: the count is a
        bound from below.

        Args:
            steps: Halvings that find an interval.
            tiles: That a program takes one after the other.
        """
        rounds = dict.fromkeys(self.loops, 1)
        rounds |= dict.fromkeys(sorted(self.loops, key=self._size)[-1:], tiles)
        searches = [loop for loop in self.loops if self._is_search(loop)]
        several = [self._has_rest(*pair) for pair in pairwise(searches)]
        for loop, first, rest in zip(searches, [*several, False], [False, *several], strict=False):
            rounds[loop] = steps // UNROLLED if first else steps % UNROLLED if rest else steps
        found: Counter[str] = Counter()
        for i in self.code:
            times = 1
            for loop, count in rounds.items():
                times *= count if loop[0] <= i.address <= loop[1] else 1
            found[i.name] += times
        return found

    def _within(self, loop: tuple[int, int]) -> list[Instruction]:
        return [i for i in self.code if loop[0] <= i.address <= loop[1]]

    def _size(self, loop: tuple[int, int]) -> int:
        return len(self._within(loop))

    def _has_rest(self, loop: tuple[int, int], following: tuple[int, int]) -> bool:
        """Whether a search takes several rounds at a time, and the one behind it does the rest."""
        near = following[0] - loop[1] < NEAR
        return near and self._size(following) < self._size(loop)

    def _is_search(self, loop: tuple[int, int]) -> bool:
        """Whether a loop has no other in it, and compares what it loads."""
        inner = any(other != loop and loop[0] <= other[0] < loop[1] for other in self.loops)
        names = {i.name for i in self._within(loop)}
        return not inner and "LDG" in names and bool(names & {"DSETP", "FSETP"})


UNROLLED, NEAR = 4, 0x400
"""Rounds of a search that the compiler takes at a time, and bytes between such a loop and the one
for the rest, at most."""


def compile_in_place_of_launches(report: Report) -> None:
    """From now on, for the rest of the process, a launch compiles its kernel.

    Args:
        report: Called with what was compiled, the grid of the launch, and its operands by name.
    """
    from triton.runtime.jit import JITFunction

    known: dict[Any, Compiled] = {}

    def launch(self: Any, *given: Any, grid: tuple[int, ...], warmup: bool, **named: Any) -> None:
        options = {k: named.pop(k) for k in OPTIONS if k in named}
        operands = dict(zip(self.arg_names, given, strict=False)) | named
        asked = _asked(self.params, operands)
        key = (self.fn, *map(repr, asked), repr(options))
        if key not in known:
            known[key] = _compiled(self, asked, options)
        report(known[key], grid, operands)

    JITFunction.run = launch


def _asked(parameters: Sequence[Any], operands: Mapping[str, Any]) -> tuple[dict, dict, dict]:
    """Types, constants and attributes, by name."""
    types: dict[str, str] = {}
    constants: dict[str, Any] = {}
    aligned: dict[tuple[int, ...], Any] = {}
    for i, parameter in enumerate(parameters):
        name, value = parameter.name, operands[parameter.name]
        one = isinstance(value, int) and value == 1 and not parameter.do_not_specialize
        if parameter.is_constexpr or one:
            types[name], constants[name] = "constexpr", value
        elif isinstance(value, Tensor):
            types[name], aligned[(i,)] = TYPES[value.dtype], [["tt.divisibility", 16]]
        else:
            types[name] = "fp32" if isinstance(value, float) else "i32"
    return types, constants, aligned


def _compiled(kernel: Any, asked: tuple[dict, dict, dict], options: Mapping[str, int]) -> Compiled:
    import triton
    from triton.backends.compiler import GPUTarget

    types, constants, aligned = asked
    source = triton.compiler.ASTSource(
        fn=kernel, signature=types, constexprs=constants, attrs=aligned
    )
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=dict(options))
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        usage, text = (
            subprocess.run([tool, option, file.name], capture_output=True, text=True).stdout
            for option in ("-res-usage", "-sass")
        )
    used = re.search(r"REG:(\d+) STACK:(\d+)", usage)
    assert used, usage
    return Compiled(
        f"{kernel.fn.__module__.rsplit('.', 1)[-1]}.{kernel.__name__}",
        constants,
        int(used[1]),
        int(used[2]),
        made.metadata.shared,
        made.metadata.num_warps,
        tuple(instructions(text)),
        made.asm["ptx"],
    )


def instructions(text: str) -> list[Instruction]:
    """The instructions in what `cuobjdump -sass` says.

    Args:
        text: Its lines.
    """
    found = []
    for address, line in re.findall(r"^\s+/\*([0-9a-f]{4,6})\*/\s+(.*?);", text, re.MULTILINE):
        words = re.sub(r"^@\S+\s+", "", line).split()
        name = words[0].split(".")[0]
        target = re.search(r"0x([0-9a-f]+)", line) if name == "BRA" else None
        found.append(Instruction(int(address, 16), name, int(target[1], 16) if target else None))
    return found
