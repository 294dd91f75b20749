"""Many runs of one problem: accuracy against parameters, seed by seed, network against network."""

from kanpde.sweeps.conduct import Sweep as Sweep
from kanpde.sweeps.conduct import resume as resume
from kanpde.sweeps.conduct import sweep as sweep
