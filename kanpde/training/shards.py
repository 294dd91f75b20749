"""Collocation points dealt out to processes: each works on its share, and sums over points are sums
over the processes.

With torch.distributed initialised (by `torchrun`, say), every process holds the whole network and
draws the same points, evaluates its own share of them, and gets the same sums, bit by bit: so all
take the same step. Without it there is one share, and every function here returns what it is given.
Data parallelism, as Li et al. 2020, "PyTorch Distributed" (VLDB 13), for sums of squares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from kanpde.errors import RunError, first_line


def size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0 on."""
    return dist.get_rank() if size() > 1 else 0


def share(x: Tensor) -> Tensor:
    """This process's part of the rows of a tensor: consecutive ones, as many as the others' but for
    one.

    Args:
        x: All rows [rows, …], the same in every process.
    """
    first, last = _ends(len(x))
    return x[first:last]


def gathered(x: Tensor, count: int) -> Tensor:
    """All rows from everybody's share of them; exact, as all but one of the terms of each sum are
    zero.

    Args:
        x: This process's share of the rows.
        count: Number of all rows.

    Raises:
        RunError: One of the processes is gone.
    """
    if size() == 1:
        return x
    first, last = _ends(count)
    whole = x.new_zeros(count, *x.shape[1:])
    whole[first:last] = x
    return total(whole)


def total(x: Tensor) -> Tensor:
    """The sum over the processes, entry by entry.

    Args:
        x: This process's summand, of the same shape in all.

    Raises:
        RunError: One of the processes is gone.
    """
    return _reduced(x, dist.ReduceOp.SUM)


def totals(*parts: Tensor) -> tuple[Tensor, ...]:
    """The sums of several tensors over the processes, in one message.

    Args:
        *parts: This process's summands.

    Raises:
        RunError: One of the processes is gone.
    """
    if size() == 1:
        return parts
    whole = total(torch.cat([part.reshape(-1) for part in parts]))
    return tuple(
        part.view(like.shape)
        for part, like in zip(
            torch.split(whole, [part.numel() for part in parts]), parts, strict=True
        )
    )


def totals_with_lower(matrix: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
    """The sums of a square matrix, below and on the diagonal, and of other tensors, in one message.

    Args:
        matrix: This process's summand [n, n].
        *parts: Its other summands.

    Returns:
        The sum of the matrices, in which what stands above the diagonal is not set, and the other
        sums.

    Raises:
        RunError: One of the processes is gone.
    """
    if size() == 1:
        return matrix, *parts
    lower = torch.ones_like(matrix, dtype=torch.bool).tril_()
    packed, *others = totals(matrix.masked_select(lower), *parts)
    return matrix.masked_scatter(lower, packed), *others


def largest(x: Tensor) -> Tensor:
    """The largest over the processes, entry by entry.

    Args:
        x: This process's values, of the same shape in all.

    Raises:
        RunError: One of the processes is gone.
    """
    return _reduced(x, dist.ReduceOp.MAX)


def anybody(flag: bool) -> bool:
    """Whether it is so for some process.

    Args:
        flag: Whether it is so for this one.

    Raises:
        RunError: One of the processes is gone.
    """
    return flag if size() == 1 else bool(largest(torch.tensor([float(flag)], device=_device())))


def from_first(make: Callable[[], Any]) -> Any:
    """What the first process makes, everywhere.

    Args:
        make: What the first process calls. An error that it raises is raised by all.

    Raises:
        RunError: One of the processes is gone.
    """
    if size() == 1:
        return make()
    box: list[Any] = [None]
    if rank() == 0:
        try:
            box[0] = make()
        except Exception as error:  # whatever it is, the others must not wait for it
            box[0] = error
    _guarded(lambda: dist.broadcast_object_list(box, src=0))
    if isinstance(box[0], Exception):
        raise box[0]
    return box[0]


def _ends(count: int) -> tuple[int, int]:
    return count * rank() // size(), count * (rank() + 1) // size()


def _device() -> str:
    return "cuda" if dist.get_backend() == "nccl" else "cpu"


def _reduced(x: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
    if size() == 1:
        return x
    whole = x.detach().to(_device()).clone()  # contiguous, and the caller's stays as it is
    _guarded(lambda: dist.all_reduce(whole, operation))
    return whole.to(x.device)


def _guarded(work: Callable[[], object]) -> None:
    try:
        work()
    except (
        RuntimeError
    ) as error:  # what both gloo and NCCL raise, after their timeout at the latest
        raise RunError(
            f"process {rank()} of {size()} has lost another one ({first_line(error)})"
        ) from error
