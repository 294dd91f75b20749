"""Refinement of products of splines: what stands around the mathematics of `kanpde/products/`."""

import io
import math
from dataclasses import replace

import pytest
import torch

from kanpde import Box, Dirichlet, Initial, Problem, Time, d
from kanpde.products.progress import Settings
from kanpde.training import carry_out
from kanpde.training.history import Silent
from kanpde.training.refinement import Refinement

SETTINGS = Settings(1e-4, degree=5, modes=5, cells=60)

HEAT = Problem(
    Box(x=(0, 1)) * Time(t=(0, 1)),
    lambda u, x, t: d(u, t) - 0.1 * d(u, x, x),
    [Dirichlet(u=0), Initial(u=lambda x: torch.sin(math.pi * x))],
    exact={"u": lambda x, t: torch.exp(-0.1 * math.pi**2 * t) * torch.sin(math.pi * x)},
    name="heat",
)
BENT = Problem(
    Box(x=(0, 1)),
    lambda u, x: d(u, x, x) + 16 * math.pi**2 * torch.sin(4 * math.pi * x),
    [Dirichlet(u=0)],
    exact={"u": lambda x: torch.sin(4 * math.pi * x)},
    name="bent",
)


class Told(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.stages, self.records, self.messages = [], [], []

    def stage(self, *given):
        self.stages.append(given)

    def step(self, record):
        self.records.append(record)

    def message(self, text):
        self.messages.append(text)


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def refined(problem, settings=SETTINGS, observer=None):
    method = Refinement(problem, settings, observer or Silent())
    state = carry_out(method, method.begin())
    return method, state


def values(method, state):
    return [span.C for span in method.result(state).spans]


@pytest.fixture(scope="module", params=[HEAT, BENT], ids=lambda problem: problem.name)
def problem(request):
    return request.param


def test_the_history_says_step_by_step_what_was_done(problem):
    told = Told()
    method, state = refined(problem, observer=told)
    history = state.history
    assert state.finished
    assert not state.missed
    assert told.stages == [(0, 1, "tensor, degree 5, to 0.0001", 1000)]
    assert [record.step for record in history.records] == list(range(1, state.progress.step + 1))
    assert len(history.stages) == history.records[-1].stage + 1
    last = history.records[-1]
    measured = [record.error for record in history.records if not math.isnan(record.error)]
    assert len(measured) > 1
    # of a march, of what is done; of meshes, of all
    assert max(measured) < {"heat": 1e-4, "bent": 1e-2}[problem.name]
    assert last.error < 1e-4
    assert last.estimate == state.progress.estimate
    assert last.parameters == method.result(state).parameters
    shares = [record.share for record in history.records]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_it_goes_on_from_every_state_with_the_same_bits(problem):
    method = Refinement(problem, SETTINGS, Silent())
    state, kept = method.begin(), []
    while not state.finished:
        state = method.advance(state)
        assert state.keepable
        kept.append(through_a_file(state.plain()))
    assert state.last
    wanted = values(method, state)
    for plain in (kept[0], kept[len(kept) // 2], kept[-2], kept[-1]):
        again = Refinement(problem, SETTINGS, Silent())
        end = carry_out(again, again.resumed(plain))
        assert end.history.stages == state.history.stages
        assert [r.loss for r in end.history.records] == [r.loss for r in state.history.records]
        for found, value in zip(values(again, end), wanted, strict=True):
            assert (found == value).all()


def test_where_the_time_is_up_the_solution_stands_still_and_misses():
    method = Refinement(HEAT, SETTINGS, Silent())
    state = method.begin()
    while math.isnan(state.progress.reached):
        state = method.advance(state)
    method.stop(state, "the time is up")
    assert state.finished
    assert "the time is up" in state.missed
    end = state.progress.reached
    assert end < 1
    solution = method.result(state)
    at = torch.tensor([[0.5, end], [0.5, 1.0]], dtype=torch.float64)
    assert solution(at)[0] == solution(at)[1]
    torch.testing.assert_close(
        solution(at)[:1, 0], HEAT.exact_values(at[:1])["u"], rtol=0, atol=1e-4
    )


def test_an_interruption_keeps_what_there_is():
    told = Told()
    method = Refinement(HEAT, SETTINGS, told)
    state = method.begin()

    def consume(state):
        if state.progress.step == 2:
            raise KeyboardInterrupt

    state = carry_out(method, state, consume)
    assert state.history.interrupted
    assert not state.finished
    assert told.messages == ["interrupted: kept what there is"]
    at = torch.tensor([[0.5, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(method.result(state)(at)[0, 0], at.new_ones(()), rtol=0, atol=1e-4)


def test_a_mesh_with_too_few_cells_says_that_it_misses():
    told = Told()
    _, state = refined(BENT, Settings(1e-9, degree=3, cells=9), told)
    assert state.finished
    assert state.missed
    assert any("misses the tolerance 1e-09" in text for text in told.messages)
    assert state.history.records[-1].error > 1e-9


WAVES = Problem(
    Box(x=(0, 1)),
    lambda u, x: d(u, x, x) + (20 * math.pi) ** 2 * torch.sin(20 * math.pi * x),
    [Dirichlet(u=0)],
    name="waves",
)


def too_much(work, tolerance=1e-9):
    return Settings(tolerance, degree=5, modes=5, cells=3000, work=work, less=1e-3)


@pytest.mark.parametrize(
    ("problem", "settings"), [(WAVES, too_much(4e5, 1e-12)), (HEAT, too_much(3e7, 1e-12))]
)
def test_where_a_tolerance_is_out_of_reach_less_is_asked_for(problem, settings):
    told = Told()
    method, state = refined(problem, settings, told)
    assert [title for *_, title, _ in told.stages] == [
        f"tensor, degree 5, to {settings.tolerance:g}",
        "tensor, degree 5, to 0.001",
    ]
    assert state.progress.estimate < 1e-3
    assert method.met_in_its_place(state) == 1e-3
    assert state.missed.startswith("the tolerance is missed: ")
    assert "; with 0.001 in its place, the tolerance is met: estimated error" in state.missed
    steps = [record.step for record in state.history.records]
    assert steps == list(range(1, len(steps) + 1))


def test_it_goes_on_with_less_with_the_same_bits():
    method = Refinement(HEAT, too_much(3e7, 1e-12), Silent())
    state, kept = method.begin(), []
    while not state.finished:
        state = method.advance(state)
        kept.append(through_a_file(state.plain()))
    first = next(k for k, plain in enumerate(kept) if plain["given_up"])
    for plain in (kept[first - 2], kept[first], kept[-3]):
        again = Refinement(HEAT, too_much(3e7, 1e-12), Silent())
        end = carry_out(again, again.resumed(plain))
        assert (end.missed, end.history.stages) == (state.missed, state.history.stages)
        for found, value in zip(values(again, end), values(method, state), strict=True):
            assert (found == value).all()


@pytest.mark.parametrize("lost", [False, True])
def test_less_is_not_asked_for_where_it_would_not_help(lost, monkeypatch):
    method = Refinement(WAVES, too_much(1e5), Silent())
    state = method.begin()
    ended = replace(
        state.progress, finished=True, estimate=math.inf, missed=("it ended",), lost=lost
    )
    monkeypatch.setattr(method.adaptive, "advance", lambda progress: ended)
    state = method.advance(state)
    assert state.finished is lost
    assert bool(state.given_up) is not lost
