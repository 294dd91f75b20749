"""Measurements: `bench solve` of speed and accuracy as the README states them, `bench accuracy` of the gallery against what others
have published, `bench bases` of every kind of network, `bench kernels` of the closure against its peers, `bench shards` of a step on several processes."""

from kanpde.bench.accuracy import Plan as Plan
from kanpde.bench.accuracy import run as run_accuracy
from kanpde.bench.bases import run as run_bases
from kanpde.bench.bases import targets as base_targets
from kanpde.bench.comparison import targets as accuracy_targets
from kanpde.bench.kernels import run as run_kernels
from kanpde.bench.published import CHOSEN as CHOSEN
from kanpde.bench.published import CLAIMS as CLAIMS
from kanpde.bench.rows import BenchmarkError as BenchmarkError
from kanpde.bench.rows import Row as Row
from kanpde.bench.shards import Sizes as Sizes
from kanpde.bench.shards import run as run_shards
from kanpde.bench.solve import PARTS as PARTS
from kanpde.bench.solve import run as run
from kanpde.bench.verdicts import targets as kernel_targets

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
