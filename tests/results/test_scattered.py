"""Errors by quasi-Monte Carlo: against a known distance, with a standard error that is one."""

import numpy as np
import pytest
import torch

from kanpde import Box, Dirichlet, Problem, Vector, laplacian
from kanpde.results import scattered as module
from kanpde.results.judging import judge
from kanpde.results.scattered import scattered, scattered_gaps
from kanpde.results.verdict import CONVERGED, NOT_CONVERGED

DIMS = 12
PROBLEM = Problem(
    domain=Box(x=Vector(DIMS, (0, 1))),
    equations=[lambda u, x: laplacian(u)],
    conditions=[Dirichlet(u=lambda x: x.sum(-1))],
    exact={"u": lambda x: x.sum(-1)},
)


class Off:
    """The exact solution and an error of 1e-3 x0."""

    def __call__(self, points):
        return (points.sum(1) + 1e-3 * points[:, 0])[:, None]


def test_the_error_is_that_of_the_integral():
    found, truth = scattered(PROBLEM, Off())
    gap = scattered_gaps(found, truth)["u"]
    assert gap.distance == pytest.approx(1e-3 / np.sqrt(3), rel=1e-3)
    assert gap.variation == pytest.approx(np.sqrt(DIMS / 12), rel=2e-2)
    assert 0 < gap.own < 1e-3 * gap.distance


def test_the_standard_error_is_that_of_repetitions(monkeypatch):
    """Over ten other sets of sequences, the error scatters as the standard error says."""
    monkeypatch.setattr(module, "POINTS_OF_A_SEQUENCE", 64)

    def cubes(points):
        return (points.sum(1) + 1e-3 * points.prod(1))[:, None]

    distances, own = [], []
    for k in range(10):
        monkeypatch.setattr(module, "SEED", 1000 * k)
        gap = scattered_gaps(*scattered(PROBLEM, cubes))["u"]
        distances.append(gap.distance)
        own.append(gap.own)
    assert 0.3 < np.std(distances, ddof=1) / np.mean(own) < 3


def test_the_verdict_counts_the_standard_error():
    rng = np.random.default_rng(0)
    truth = {"u": rng.standard_normal(module.SEQUENCES * 64)}
    noise = rng.standard_normal(len(truth["u"]))
    noise *= truth["u"].std() / np.sqrt(np.mean(noise**2))
    for size, status in ((1e-3, CONVERGED), (0.995e-2, NOT_CONVERGED)):
        gaps = scattered_gaps({"u": truth["u"] + size * noise}, truth)
        verdict = judge(gaps)
        assert verdict.status == status
        assert "(quasi-Monte Carlo, ± " in verdict.reason


def test_the_verdict_counts_single_points():
    truth = {"u": np.linspace(-1, 1, module.SEQUENCES * 1024)}
    for size, status in ((0.05, CONVERGED), (0.3, NOT_CONVERGED)):
        found = {"u": truth["u"].copy()}
        found["u"][77] += size
        verdict = judge(scattered_gaps(found, truth))
        assert verdict.status == status
        assert "at single points" in verdict.reason


def test_points_are_inside_and_others_than_those_of_training():
    class Seen:
        def __call__(self, points):
            self.points = points
            return points[:, :1]

    seen = Seen()
    scattered(PROBLEM, seen)
    assert bool(PROBLEM.domain.inside(seen.points).all())
    assert seen.points.dtype == torch.float64
