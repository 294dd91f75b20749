"""Which implementation runs: by the tensors' device, or the one that KANPDE_KERNELS names.

A path that cannot be used here (no Numba, no Triton, or a self-test that fails) is replaced by the
plain one, with one line.
"""

from __future__ import annotations

import difflib
import os
import warnings
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from kanpde.kernels import activation, damping, network, plain, runs

MODULES = {
    "plain": ("plain", "runs", "activation", "network", "damping"),
    "cpu": ("cpu", "cpu_runs", "cpu_activation", "cpu_network", "damping"),
    "triton": (
        *("triton_jet", "triton_runs", "triton_activation", "triton_network"),
        "triton_damping",
    ),
}
DEFAULT = {"cpu": "cpu", "cuda": "triton"}


class KernelWarning(UserWarning):
    """The fast kernels cannot be used; the plain ones take their place."""


class Path(NamedTuple):
    """One implementation of all kernels.

    Attributes:
        name: plain, cpu or triton.
        jet: Module with the functions of plain.py.
        runs: Module with the functions of runs.py.
        activation: Module with the functions of activation.py.
        network: Module with the functions of network.py.
        damping: Module with the functions of damping.py.
    """

    name: str
    jet: ModuleType
    runs: ModuleType
    activation: ModuleType
    network: ModuleType
    damping: ModuleType


PLAIN = Path("plain", plain, runs, activation, network, damping)


def path(x: Tensor) -> Path:
    """The implementation for a tensor.

    Args:
        x: What the kernels will be called with, or anything on the same device.

    Returns:
        The one that KANPDE_KERNELS names, or the default one of the device; the plain one where
        that cannot be used here.

    Raises:
        ValueError: KANPDE_KERNELS names none, or one that cannot run on this device.
    """
    forced = os.environ.get("KANPDE_KERNELS", "")
    if forced and forced not in MODULES:
        near = difflib.get_close_matches(forced, MODULES, 1)
        if forced == "reference":
            near = ["plain"]  # its name up to 0.1
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"KANPDE_KERNELS: got {forced!r}; expected plain, cpu or triton{meant}")
    if forced == "cpu" and x.device.type != "cpu":
        raise ValueError(
            f"KANPDE_KERNELS: got cpu for tensors on {x.device}; expected plain or triton"
        )
    if forced == "triton" and x.device.type != "cuda" and not os.environ.get("TRITON_INTERPRET"):
        raise ValueError(
            f"KANPDE_KERNELS: got triton for tensors on {x.device}; expected a GPU, or"
            " TRITON_INTERPRET=1 to try them without"
        )
    return _usable(forced or DEFAULT.get(x.device.type, "plain"), x.device)


@lru_cache(maxsize=16)
def _usable(name: str, device: torch.device) -> Path:
    """The path, or the plain one where it fails its self-test."""
    if name == "plain":
        return PLAIN
    try:
        found = Path(name, *(import_module(f"kanpde.kernels.{module}") for module in MODULES[name]))
        _try(found, device)
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "")
        warnings.warn(
            f"the {name} kernels cannot be used, and the plain ones are slower:"
            f" {type(error).__name__}: {reason}",
            KernelWarning,
            stacklevel=4,
        )
        return PLAIN
    return found


def _try(found: Path, device: torch.device) -> None:
    """Raise RuntimeError unless a small layer comes out as the plain path has it."""
    X, C = (torch.linspace(-0.9, 0.9, n, dtype=torch.float64, device=device) for n in (24, 12))
    knots = torch.linspace(-2, 2, 9, dtype=torch.float64, device=device).expand(2, -1).contiguous()
    arguments = X.view(4, 3, 2), C.view(2, 6, 1)[:, :6], knots, (1, 1)
    wanted = plain.forward(*arguments)
    if not torch.allclose(found.jet.forward(*arguments), wanted, rtol=1e-10, atol=1e-10):
        raise RuntimeError("a small layer gave other numbers than the plain path")
