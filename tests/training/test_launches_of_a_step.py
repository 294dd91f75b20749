"""What a step and a closure ask of a GPU, counted on a pretend one: launches, waits, and no
operation between devices."""

import pytest
import torch
from pretend_gpu import pretended

from benchmarks.closure import Case, objective, problem
from kanpde import KAN, solve
from kanpde.problem.file import load
from kanpde.training import LevenbergMarquardt

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="there is a GPU, and no need to pretend one"
)

LAUNCHES, WAITS = 25, 2
"""Of a step whose first damping is taken, at most; the number read back is a launch and a wait."""


def stepped(device, metric, steps=4):
    """Losses and dampings of a few steps, and what each of them asked for."""
    at = objective(problem(2), Case((2, 10, 1)).kan, 200, device)
    optimiser, found = LevenbergMarquardt(steps=9, metric=metric), []
    state = optimiser.begin(at)
    for _ in range(steps):
        if SEEN:
            SEEN[0].clear()
        before = state.mu
        assert optimiser.advance(at, state) is None
        asked = (SEEN[0].launched, SEEN[0].waited) if SEEN else None
        found.append((state.loss, state.mu < before, asked))
    return found


SEEN = []
"""What the pretend GPU has seen, where there is one."""


@pytest.fixture
def seen():
    with pretended() as seen:
        SEEN.append(seen)
        yield seen
    SEEN.clear()


@pytest.mark.parametrize("metric", ["root", "layer"])
def test_a_step_launches_and_waits_no_more_than_it_has_to(seen, metric):
    taken = [asked for _, first, asked in stepped("cuda", metric) if first]
    assert taken
    # What depends on points and layout alone is made in the first step.
    assert all(launches <= LAUNCHES and waits <= WAITS for launches, waits in taken[1:])


@pytest.mark.parametrize("metric", ["root", "layer"])
def test_it_is_the_step_of_a_cpu(metric):
    wanted = [loss for loss, *_ in stepped("cpu", metric)]
    with pretended():
        found = [loss for loss, *_ in stepped("cuda", metric)]
    assert found == pytest.approx(wanted, rel=1e-6)


def test_a_closure_is_eight_launches_and_a_number(seen):
    at = objective(problem(2), Case((2, 10, 1)).kan, 200, "cuda")
    at.gradient()
    seen.clear()
    at.gradient()
    assert (seen.launched, seen.waited) <= (8, 1)


def test_the_pretend_gpu_counts_and_refuses(seen):
    x = torch.ones(3, device="cuda")
    assert float((2 * x).sum()) == 6
    assert (seen.launched, seen.waited) == (3, 1)
    assert x.cpu().device.type == "cpu"
    assert x.view(3, 1).T.is_cuda
    assert (seen.launched, seen.waited) == (4, 2)
    with pytest.raises(RuntimeError, match="on the CPU and on the GPU"):
        x + torch.ones(3)
    assert (x * torch.tensor(2.0)).tolist() == [2, 2, 2]  # a number may lie anywhere
    x[x > 1] = 0
    assert seen.waits["index_put_"] == 1


def test_a_whole_solve_compiles_fifteen_kernels(seen):
    """Grid after grid, in training and in what is said of the solution."""
    schedule = "lm/layer:1,extend:8,lm/layer:1,extend:24,lm/layer:1"
    options = {"schedule": schedule, "points": 100, "restarts": 1, "reference": False}
    solve(load("poisson2d")[0], network=KAN((5,), 7, 3), device="cuda", **options)
    assert len(seen.variants) <= 15, sorted({found[:2] for found in seen.variants})
