"""Where the Triton kernels are tested: compiled on the GPU where there is one, in Triton's
interpreter on the CPU elsewhere, as conftest.py asks before anything imports Triton."""

import torch

from kanpde.kernels.triton_algebra import INTERPRETED

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"

assert CUDA or INTERPRETED, "without a GPU the interpreter is asked for by TRITON_INTERPRET=1"
