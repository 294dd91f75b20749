# ruff: noqa: E402 -- the interpreter is chosen before triton is imported
"""Triton on the GPU where there is one, in its interpreter elsewhere. To be imported before any of
the Triton kernels."""

import os
import sys

import pytest
import torch

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"

if not CUDA and "triton" not in sys.modules:
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when triton is first imported
pytest.importorskip("triton")

from kanpde.kernels.triton_algebra import INTERPRETED

RUNS = pytest.mark.skipif(
    not CUDA and not INTERPRETED, reason="triton was imported before its interpreter was asked for"
)
