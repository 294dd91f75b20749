"""Whether a tolerance is met: by which judge, and what the verdict makes of it."""

import json
import math

import pytest
import torch

from kanpde import KAN, Box, Dirichlet, Problem, d
from kanpde.networks.trial_space import trial_space
from kanpde.reference import Reference
from kanpde.results.gaps import Gap
from kanpde.results.goal import ByExact, ByReference, ByResidual, goal
from kanpde.results.judging import FINER, SHARPER, judge
from kanpde.results.residuals import Met
from kanpde.results.verdict import (
    BY_ESTIMATE,
    BY_EXACT,
    BY_REFERENCE,
    BY_RESIDUAL,
    CONVERGED,
    LIMITED,
    NOBODY,
    NOT_CONVERGED,
    NOT_JUDGED,
    Asked,
    Kept,
    Verdict,
)

ALL_OF_IT = "span 3: estimated error 3e-06"
NAN = math.nan

RULE = [
    # exact, distance, the reference's own error, own estimate, what missed by it;
    # status and judge of the verdict, whether the tolerance 1e-6 is met, and by whom
    (9e-7, None, None, NAN, "", CONVERGED, BY_EXACT, True, BY_EXACT),
    (2e-6, None, None, NAN, "", NOT_CONVERGED, BY_EXACT, False, BY_EXACT),
    (2e-6, None, None, 1e-9, "", NOT_CONVERGED, BY_EXACT, False, BY_EXACT),
    (1e-9, None, None, 3e-6, ALL_OF_IT, NOT_CONVERGED, BY_ESTIMATE, False, BY_ESTIMATE),
    (1e-1, None, None, 1e-9, "", NOT_CONVERGED, BY_EXACT, False, BY_EXACT),
    (math.nan, None, None, 1e-9, "", NOT_CONVERGED, BY_EXACT, False, BY_EXACT),
    (None, 5e-7, 1e-8, 1e-9, "", CONVERGED, BY_REFERENCE, True, BY_REFERENCE),
    (None, 1e-7, 2e-7, NAN, "", CONVERGED, BY_REFERENCE, True, BY_REFERENCE),
    (None, 2e-6, 1e-7, 1e-9, "", NOT_CONVERGED, BY_REFERENCE, False, BY_REFERENCE),
    # too coarse to tell about the tolerance, though it tells about 1e-2
    (None, 2e-6, 5e-6, 1e-9, "", LIMITED, BY_REFERENCE, True, BY_ESTIMATE),
    (None, 2e-4, 1e-3, NAN, "", LIMITED, BY_REFERENCE, None, NOBODY),
    # farther than its own error, but not by so much that it could not be that
    (None, 9e-6, 5e-6, 1e-9, "", LIMITED, BY_REFERENCE, True, BY_ESTIMATE),
    (None, 5e-7, 1e-8, 3e-6, ALL_OF_IT, NOT_CONVERGED, BY_ESTIMATE, False, BY_ESTIMATE),
    (None, 5e-6, 1e-5, 3e-6, ALL_OF_IT, NOT_CONVERGED, BY_ESTIMATE, False, BY_ESTIMATE),
    (None, None, None, 1e-9, "", NOT_JUDGED, NOBODY, True, BY_ESTIMATE),
    (None, None, None, 3e-6, ALL_OF_IT, NOT_CONVERGED, BY_ESTIMATE, False, BY_ESTIMATE),
    (None, None, None, NAN, "", NOT_JUDGED, NOBODY, None, NOBODY),
]


def given(error, own=0.0):
    return None if error is None else {"u": Gap(error, error, 1.0, 1.0, own)}


@pytest.mark.parametrize(
    ("exact", "distance", "own", "estimate", "missed", "status", "who", "met", "by"), RULE
)
def test_the_rule(exact, distance, own, estimate, missed, status, who, met, by):
    asked = Asked(1e-6, estimate, missed)
    found = judge(given(exact), given(distance, own), asked=asked, effort="default")
    assert (found.status, found.judge) == (status, who)
    assert (found.tolerance.met, found.tolerance.by) == (met, by)
    assert found.tolerance.asked == 1e-6
    assert "tolerance 1e-06" in found.reason or status == NOT_CONVERGED
    again = Verdict.from_plain(json.loads(json.dumps(found.plain())))
    assert again.plain() == found.plain()
    if missed and by == BY_ESTIMATE:
        assert missed in found.reason
    if status == NOT_CONVERGED and not math.isnan(estimate):
        assert found.cures == (FINER if missed else SHARPER)


def test_without_a_judge_residuals_say_whether_layers_meet_a_tolerance():
    met = Met({"equation": 5e-7}, {})
    found = judge(met=met, asked=Asked(1e-6))
    assert (found.status, found.tolerance.met, found.tolerance.by) == (
        NOT_JUDGED,
        True,
        BY_RESIDUAL,
    )
    found = judge(met=Met({"equation": 5e-6}, {}), asked=Asked(1e-6))
    assert (found.status, found.tolerance.met) == (NOT_CONVERGED, False)


def test_a_doubtful_reference_does_not_confirm_a_tolerance():
    found = judge(near=given(1e-7, 1e-8), doubt="it may be wrong", asked=Asked(1e-6))
    assert found.status == LIMITED


def test_a_tolerance_that_was_not_asked_for_is_not_in_a_verdict():
    found = judge(given(1e-9))
    assert found.tolerance is None
    assert "tolerance" not in found.plain()


@pytest.mark.parametrize(
    "change", [{"met": "yes"}, {"by": "somebody"}, {"asked": None}, {"error": [1]}]
)
def test_what_is_no_tolerance_is_refused(change):
    plain = Kept(1e-6, True, BY_EXACT, 1e-9).plain() | change
    with pytest.raises((ValueError, TypeError)):
        Kept.from_plain(plain)


def wave(x):
    return torch.sin(torch.pi * x)


def problem(**more):
    return Problem(
        Box(x=(0, 1)),
        lambda u, x: d(u, x, x) + torch.pi**2 * wave(x),
        [Dirichlet(u=0)],
        **more,
    )


def reference(error, own):
    """One that is off by a constant, on 101 nodes, with an error that it declares."""
    x = torch.linspace(0, 1, 101, dtype=torch.float64)
    return Reference(
        {"x": x.numpy()},
        {"u": (wave(x) + error).numpy()},
        "made up",
        2,
        own,
        0.0,
        estimated_errors={"u": own},
        scales={"u": float(wave(x).std())},
    )


def candidate():
    """Any network, and its values."""
    space = trial_space(problem(), KAN((2,), 5, 3))
    return space.solution(space.initial(torch.Generator().manual_seed(0)))


def test_the_best_judge_is_asked():
    assert isinstance(goal(problem(exact={"u": wave}), 1e-6, reference(0, 1e-9)), ByExact)
    assert isinstance(goal(problem(), 1e-6, reference(0, 1e-9)), ByReference)
    assert isinstance(goal(problem(), 1e-6, reference(0, 1e-6)), ByResidual)
    assert isinstance(goal(problem(), 1e-6, None), ByResidual)


def off(solution, nodes):
    """Root mean square of the error over that of the solution about its mean, on equal nodes."""
    x = torch.linspace(0, 1, nodes, dtype=torch.float64)[:, None]
    truth = wave(x)[:, 0]
    apart = (solution(x)[:, 0] - truth).square().mean().sqrt()
    return float(apart / truth.std(correction=0))


def test_errors_are_over_the_variation():
    solution, known = candidate(), problem(exact={"u": wave})
    assert ByExact(1e-6).error(known, solution) == pytest.approx(off(solution, 20_001), rel=2e-3)
    near = goal(problem(), 1e-6, reference(0.0, 1e-9))
    assert near.error(problem(), solution) == pytest.approx(off(solution, 101), rel=1e-8)


def test_a_reference_judges_with_its_own_error():
    exact = torch.linspace(0, 1, 101, dtype=torch.float64)[:, None]
    judged = goal(problem(), 1e-3, reference(1e-4, 4e-4))

    class Right:
        """The solution itself, at whatever points."""

        def __call__(self, points):
            return wave(points)

    spread = float(wave(exact).std(correction=0))
    wanted = (1e-4 + 4e-4 * float(wave(exact).std())) / spread
    assert judged.error(problem(), Right()) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("exact", "distance", "estimate", "missed", "status", "said"),
    [
        (1e-7, None, 1e-9, "", CONVERGED, ""),
        (2e-6, None, 1e-9, "", CONVERGED, "it misses the tolerance 1e-06 by the exact solution"),
        (1e-9, None, 3e-6, ALL_OF_IT, CONVERGED, ALL_OF_IT),
        (2e-2, None, 1e-9, "", NOT_CONVERGED, ""),
        (1e-9, None, 2e-2, ALL_OF_IT, NOT_CONVERGED, ALL_OF_IT),
        (1e-9, None, math.inf, ALL_OF_IT, NOT_CONVERGED, ALL_OF_IT),
        (None, 2e-6, 3e-6, ALL_OF_IT, CONVERGED, "it misses the tolerance 1e-06 by the reference"),
        (None, 5e-7, 1e-9, "", CONVERGED, ""),
        (None, None, 3e-6, ALL_OF_IT, NOT_JUDGED, ALL_OF_IT),
        (None, None, 2e-2, ALL_OF_IT, NOT_CONVERGED, ALL_OF_IT),
    ],
)
def test_the_usual_tolerance_is_no_promise(exact, distance, estimate, missed, status, said):
    asked = Asked(1e-6, estimate, missed, usual=True)
    found = judge(given(exact), given(distance, 1e-8), asked=asked)
    assert found.status == status
    assert said in found.reason
    if missed:
        assert "a larger --tolerance" not in found.cures, "nobody gave one"
    if not said and status == CONVERGED:
        assert found.reason == judge(given(exact), given(distance, 1e-8)).reason


@pytest.mark.parametrize(
    ("exact", "distance", "less"),
    [(3e-5, None, 1e-4), (3e-4, None, NAN), (None, 3e-5, 1e-4), (None, 3e-4, NAN)],
)
def test_what_is_met_in_the_place_of_a_tolerance_is_said_unless_a_judge_contradicts_it(
    exact, distance, less
):
    asked = Asked(1e-8, 2e-5, ALL_OF_IT, usual=True, less=1e-4)
    found = judge(given(exact), given(distance, 1e-6), asked=asked)
    assert (found.status, found.tolerance.met) == (CONVERGED, False)
    assert found.tolerance.less == less or (math.isnan(less) and math.isnan(found.tolerance.less))
    assert ("meets 0.0001 by its own estimate" in found.reason) is (less == 1e-4)
    again = Verdict.from_plain(json.loads(json.dumps(found.plain())))
    assert again.plain() == found.plain()
