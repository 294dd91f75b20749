"""Measurements: `bench solve` of speed and accuracy as the README states them, `bench kernels` of the closure against its peers."""

from kanpde.bench.kernels import run as run_kernels
from kanpde.bench.rows import BenchmarkError as BenchmarkError
from kanpde.bench.rows import Row as Row
from kanpde.bench.solve import PARTS as PARTS
from kanpde.bench.solve import run as run
from kanpde.bench.verdicts import targets as kernel_targets

__all__ = ["PARTS", "BenchmarkError", "Row", "kernel_targets", "run", "run_kernels"]
