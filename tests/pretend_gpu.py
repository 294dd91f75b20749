"""A pretend GPU, for machines without one: tensors that say that they are on a GPU and are on the
CPU, while what a GPU would have had to do is counted.

    with pretended() as seen:
        x = torch.ones(3, device="cuda")
        float((2 * x).sum())
    assert (seen.launched, seen.waited) == (3, 1)

Everything that PyTorch asks of its tensors comes by here, one ATen operation at a time: one that is
not a view and makes memory of more than nothing counts as a launch (the library may make several of
it), one that brings a number to the host as a wait. An operation on a tensor here and one there
fails, as it does on a GPU. Our own operators run the Triton path: its launches are counted, nothing
runs, and the numbers come from the plain path.
"""

from __future__ import annotations

import inspect
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache, partial, partialmethod
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from triton.runtime.interpreter import InterpretedFunction

from kanpde.kernels import paths

CUDA = torch.device("cuda", 0)

READS = ("_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2", "bincount")
"""Operations of ATen whose result, or the shape of it, the host waits for."""

MEMORY = ("empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided", "resize_")
"""Operations that launch nothing."""

SAME = ("detach", "alias", "lift_fresh", "_unsafe_view", "_reshape_alias")
"""Views that do not say so."""

UNSEEN = {
    "is_available": lambda: True,
    "device_count": lambda: 1,
    "current_device": lambda: 0,
    "_lazy_init": lambda: None,
    "synchronize": lambda *given: None,
    "empty_cache": lambda: None,
    "device": lambda *given: nullcontext(),
    "device_of": lambda *given: nullcontext(),
    "get_device_name": lambda *given: "pretend GPU",
    "get_device_capability": lambda *given: (9, 0),
    "mem_get_info": lambda *given: (70 * 10**9, 80 * 10**9),
    "get_device_properties": lambda *given: SimpleNamespace(
        total_memory=80 * 10**9, multi_processor_count=132, name="pretend GPU"
    ),
    "max_memory_allocated": lambda *given: 0,
    "memory_allocated": lambda *given: 0,
    "reset_peak_memory_stats": lambda *given: None,
    "Stream": lambda: SimpleNamespace(wait_stream=lambda other: None),
    "current_stream": lambda: SimpleNamespace(wait_stream=lambda other: None),
    "stream": lambda *given: nullcontext(),
}
"""What torch.cuda says of the pretend GPU."""


MOVES = {name: getattr(Tensor, name) for name in ("to", "cpu", "cuda", "new_tensor")}
"""Methods of tensors that move them between devices."""


@dataclass
class Seen:
    """What a GPU would have had to do.

    Attributes:
        launches: Kernels and copies that were launched, by name.
        waits: What the host waited for, by name.
        variants: Kernels of Triton that were compiled, each with what it was compiled for.
    """

    launches: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    variants: set[tuple[Any, ...]] = field(default_factory=set)

    @property
    def launched(self) -> int:
        """Number of launches."""
        return self.launches.total()

    @property
    def waited(self) -> int:
        """Number of waits."""
        return self.waits.total()

    def clear(self) -> None:
        """Forget launches and waits, not what was compiled."""
        self.launches.clear()
        self.waits.clear()


class OnGPU(Tensor):
    """A tensor that says that it is on a GPU; `held` has its numbers.

    It says so in Python only: the C++ of a PyTorch without CUDA knows no such device.
    """

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, real: Tensor) -> OnGPU:
        made = Tensor._make_wrapper_subclass(
            cls,
            real.shape,
            strides=real.stride(),
            storage_offset=real.storage_offset(),
            dtype=real.dtype,
        )
        made.held = real
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    def data_ptr(self) -> int:
        return self.held.data_ptr()

    def __repr__(self, **options: Any) -> str:
        return f"on the pretend GPU: {self.held!r}"

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def as_subclass(self, cls: type[Tensor]) -> Tensor:  # type: ignore[override]
        return of_both(cls)(self.held)

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        raise RuntimeError(f"{operation}: a tensor of the pretend GPU outlived it")


@cache
def of_both(kind: type[Tensor]) -> type[OnGPU]:
    """A class of tensors that are on the GPU, and of another kind as well."""
    return type(kind.__name__, (OnGPU, kind), {})


class Watch(TorchDispatchMode):
    """Runs what is asked of tensors, and counts what a GPU would have to do for it."""

    def __init__(self, seen: Seen):
        super().__init__()
        self.seen = seen

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        there = [x for x in tensors if isinstance(x, OnGPU)]
        device = kwargs.get("device")
        to_gpu = torch.device(device).type == "cuda" if device is not None else bool(there)
        if not there and not to_gpu:
            return operation(*args, **kwargs)
        if operation.namespace == "kanpde":
            return self._own(operation, args, kwargs)
        name = operation.overloadpacket.__name__
        if len(there) < len(tensors):
            self._between(name, tensors)
        self._waits(name, args)
        real = operation(*_real(args), **_real(_on_cpu(kwargs)))
        launched = not operation.is_view and name not in MEMORY + SAME + READS[:1]
        if launched and any(isinstance(x, Tensor) and x.numel() for x in tree_leaves(real)):
            self.seen.launches[name] += 1
        return _back(real, there) if to_gpu else real

    def made(self, make: Callable[..., Tensor], *given: Any, **named: Any) -> Tensor:
        """What `torch.tensor` and its like give."""
        device = named.pop("device", None)
        found = make(*given, **named)
        return found if device is None else found.to(device)

    def moved(self, name: str, x: Tensor, *given: Any, **named: Any) -> Tensor:
        """What `to` and its like give: C++ does not know which device a tensor is on."""
        values = [*given, *named.values()]
        if name == "new_tensor":
            return torch.tensor(given[0], dtype=named.get("dtype", x.dtype), device=x.device)
        like = next((a for a in values if isinstance(a, Tensor)), x)
        devices = [torch.device(a) for a in values if isinstance(a, str | torch.device)]
        devices += {"cpu": [torch.device("cpu")], "cuda": [CUDA]}.get(name, [like.device])
        to_gpu = devices[0].type == "cuda"
        if not to_gpu and not isinstance(x, OnGPU):
            return MOVES[name](x, *given, **named)
        types = [a for a in values if isinstance(a, torch.dtype)]
        dtype = types[0] if types else like.dtype
        if to_gpu is isinstance(x, OnGPU):
            return x if x.dtype == dtype else torch.ops.aten._to_copy(x, dtype=dtype)
        self.seen.waits["copy between devices"] += 1
        self.seen.launches["copy between devices"] += 1
        copied = MOVES["to"](_real(x), dtype, copy=True)
        return OnGPU(copied) if to_gpu else copied

    def _between(self, name: str, tensors: list[Tensor]) -> None:
        """An operation between the two devices: a copy, which is waited for, or a fault."""
        if name in ("copy_", "index", "index_put_"):
            self.seen.waits[f"{name} between devices"] += 1
        elif any(x.dim() for x in tensors if not isinstance(x, OnGPU)):
            raise RuntimeError(f"{name}: got tensors on the CPU and on the GPU")

    def _waits(self, name: str, args: tuple[Any, ...]) -> None:
        """Count what the host waits for."""
        masked = name in ("index", "index_put_") and any(
            isinstance(x, Tensor) and x.dtype == torch.bool for x in args[1]
        )
        if name in READS or masked:
            self.seen.waits[name] += 1

    def _own(self, operation, args, kwargs):
        """Launch what one of our operators launches; its numbers are those of the plain path."""
        with self:
            operation._op_dk(torch._C.DispatchKey.CompositeExplicitAutograd, *args, **kwargs)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KANPDE_KERNELS", "plain")
            return _back(operation(*_real(args), **_real(kwargs)), [])


def _moving(x: Tensor, watch: Watch, name: str, *given: Any, **named: Any) -> Tensor:
    return watch.moved(name, x, *given, **named)


def _real(given: Any) -> Any:
    return tree_map(lambda x: x.held if isinstance(x, OnGPU) else x, given)


def _on_cpu(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {k: torch.device("cpu") if k == "device" else v for k, v in kwargs.items()}


def _back(real: Any, there: list[OnGPU]) -> Any:
    """Results as tensors of the GPU; those that were given are the same ones again."""
    known = {id(x.held): x for x in there}

    def tensor(x: Any) -> Any:
        return x if not isinstance(x, Tensor) else known[id(x)] if id(x) in known else OnGPU(x)

    return tree_map(tensor, real)


def variant(kernel: InterpretedFunction, named: dict[str, Any]) -> tuple[Any, ...]:
    """What Triton compiles a kernel for: constants, types, and what it sees of numbers.

    Args:
        kernel: The kernel.
        named: Its arguments and options.
    """
    parameters = inspect.signature(kernel.fn).parameters
    general = kernel.kwargs["do_not_specialize"] or ()
    found: list[Any] = [kernel.fn.__module__, kernel.fn.__name__]
    for name, value in named.items():
        kind = parameters[name].annotation if name in parameters else "constexpr"
        if isinstance(value, Tensor):
            found.append((name, value.dtype, name in general or value.data_ptr() % 16 == 0))
        elif "constexpr" in str(kind) or not isinstance(value, int):
            found.append((name, value))
        elif name not in general:
            found.append((name, value == 1, value % 16 == 0))
    return tuple(found)


def captured(seen: Seen) -> dict[str, Any]:
    """Graphs as torch.cuda has them: what is captured must wait for nothing, and is one launch."""

    @contextmanager
    def graph(made: Any) -> Iterator[None]:
        before = seen.waited
        yield
        if seen.waited > before:
            raise RuntimeError("a graph cannot wait for the device")

    def replay() -> None:
        seen.launches["graph"] += 1

    return {"CUDAGraph": lambda: SimpleNamespace(replay=replay), "graph": graph}


@contextmanager
def pretended() -> Iterator[Seen]:
    """A GPU that is not there."""
    seen = Seen()

    def launch(self, *given, grid, warmup, **options):
        named = dict(zip(self.arg_names, given, strict=False)) | options
        for name, value in named.items():
            if isinstance(value, Tensor) and not isinstance(value, OnGPU):
                raise RuntimeError(f"{self.fn.__name__}: {name} is on the CPU")
        seen.launches[self.fn.__name__] += 1
        seen.variants.add(variant(self, named))

    with pytest.MonkeyPatch.context() as patch:
        for name, value in (UNSEEN | captured(seen)).items():
            patch.setattr(torch.cuda, name, value)
        patch.setattr(paths, "_try", lambda found, device: None)
        patch.setattr(InterpretedFunction, "run", launch)
        patch.delenv("KANPDE_KERNELS", raising=False)
        assert os.environ.get("TRITON_INTERPRET"), "kernels are counted, not compiled"
        watch = Watch(seen)
        for name in MOVES:
            patch.setattr(Tensor, name, partialmethod(_moving, watch, name))
        for name in ("tensor", "as_tensor"):
            patch.setattr(torch, name, partial(watch.made, getattr(torch, name)))
        with watch:
            yield seen
