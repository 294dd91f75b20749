"""A step of fixed shapes as one CUDA graph: hundreds of launches cost what one does, which is most
of the time of a small network.

Without CUDA the step is called as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

WARM_UPS = 3
"""Calls before the capture: they compile kernels and fill caches, which a capture cannot."""


class Captured(Generic[T]):
    """`step(*inputs)`, replayed: calls copy their inputs to where the graph reads them.

    The step may only launch work on the device: no `.item()`, no shapes or branches that depend on
    numbers. What a call returns is the graph's own memory, overwritten by the next call; clone what
    must stay. A call raises ValueError where an input has another shape, dtype or device than those
    given at the start.

    Args:
        step: What is captured.
        inputs: Tensors that it is captured with; without any on a GPU, calls run it as it is.
    """

    def __init__(self, step: Callable[..., T], *inputs: Tensor):
        self.step = step
        self.inputs = inputs
        self.graph: torch.cuda.CUDAGraph | None = None
        self.found: T
        if any(x.is_cuda for x in inputs):
            self._capture()

    def _capture(self) -> None:
        self.inputs = tuple(x.detach().clone() for x in self.inputs)
        device = next(x.device for x in self.inputs if x.is_cuda)
        with torch.cuda.device(device):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):  # type: ignore[no-untyped-call]
                for _ in range(WARM_UPS):
                    self.step(*self.inputs)
            torch.cuda.current_stream().wait_stream(stream)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.found = self.step(*self.inputs)

    def __call__(self, *inputs: Tensor) -> T:
        if len(inputs) != len(self.inputs):
            raise ValueError(f"inputs: got {len(inputs)} tensors; expected {len(self.inputs)}")
        for i, (mine, given) in enumerate(zip(self.inputs, inputs, strict=True)):
            if (mine.shape, mine.dtype, mine.device) != (given.shape, given.dtype, given.device):
                raise ValueError(
                    f"inputs[{i}]: got {given.dtype} {list(given.shape)} on {given.device};"
                    f" expected {mine.dtype} {list(mine.shape)} on {mine.device}, as captured"
                )
        if self.graph is None:
            return self.step(*inputs)
        for mine, given in zip(self.inputs, inputs, strict=True):
            mine.copy_(given)
        self.graph.replay()
        return self.found
