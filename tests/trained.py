"""Training as `solve` does it, without what stands around it."""

import torch

from kanpde.inverse.settling import training_of
from kanpde.training import carry_out
from kanpde.training.history import Silent
from kanpde.training.keeping import handed_to


def trained(
    problem,
    recipe,
    seed=0,
    device="cpu",
    dtype=torch.float64,
    observer=None,
    keeper=None,
    kept=None,
):
    """The training, and its last state."""
    space = recipe.space(problem)
    network = space.initial(torch.Generator().manual_seed(seed))
    plan = recipe.plan(seed, device, dtype)
    training = training_of(problem, space, network, plan, observer or Silent())
    state = training.resumed(kept) if kept else training.begin()
    return training, carry_out(training, state, handed_to(keeper))


def train(*given, **options):
    """The solution and the history."""
    training, state = trained(*given, **options)
    return training.result(state), state.history
