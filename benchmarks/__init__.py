"""Measurements: `bench solve` of speed and accuracy as the README states them, `bench accuracy` of
the gallery against what others have published, `bench bases` of every kind of network, `bench
kernels` of the closure against its peers, `bench shards` of a step on several processes.
"""

from benchmarks.accuracy import Plan as Plan
from benchmarks.accuracy import run as run_accuracy
from benchmarks.bases import run as run_bases
from benchmarks.bases import targets as base_targets
from benchmarks.comparison import targets as accuracy_targets
from benchmarks.kernels import run as run_kernels
from benchmarks.published import CHOSEN as CHOSEN
from benchmarks.published import CLAIMS as CLAIMS
from benchmarks.rows import BenchmarkError as BenchmarkError
from benchmarks.rows import Row as Row
from benchmarks.shards import Sizes as Sizes
from benchmarks.shards import run as run_shards
from benchmarks.solve import PARTS as PARTS
from benchmarks.solve import run as run
from benchmarks.verdicts import targets as kernel_targets

__all__ = [
    "CHOSEN",
    "CLAIMS",
    "PARTS",
    "BenchmarkError",
    "Plan",
    "Row",
    "Sizes",
    "accuracy_targets",
    "base_targets",
    "kernel_targets",
    "run",
    "run_accuracy",
    "run_bases",
    "run_kernels",
    "run_shards",
]
