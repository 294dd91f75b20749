"""The one rule by which a solution has converged or not."""

import math

import pytest

from kanpde.results.gaps import Gap
from kanpde.results.judging import SOLVABLE, USUAL_CURES, judge
from kanpde.results.residuals import Met
from kanpde.results.verdict import (
    BY_EXACT,
    BY_REFERENCE,
    BY_RESIDUAL,
    CONVERGED,
    LIMITED,
    NOBODY,
    NOT_CONVERGED,
    NOT_JUDGED,
    Diagnosis,
    Verdict,
)

KNOWN = [
    # exact, distance, own error of the reference; status and judge
    (9e-3, None, None, CONVERGED, BY_EXACT),
    (1.1e-2, None, None, NOT_CONVERGED, BY_EXACT),
    (1e-4, 0.5, 1e-9, CONVERGED, BY_EXACT),
    (math.nan, None, None, NOT_CONVERGED, BY_EXACT),
    (math.inf, 1e-9, 1e-9, NOT_CONVERGED, BY_EXACT),
    (None, 1e-4, 1e-6, CONVERGED, BY_REFERENCE),
    (None, 1e-8, 1e-7, CONVERGED, BY_REFERENCE),
    (None, 1e-4, 6e-5, LIMITED, BY_REFERENCE),
    (None, 1e-4, 4e-5, CONVERGED, BY_REFERENCE),
    (None, 1.0, 2.4e-3, NOT_CONVERGED, BY_REFERENCE),
    (None, 2e-2, 9e-3, NOT_CONVERGED, BY_REFERENCE),
    (None, 2e-2, 1.1e-2, LIMITED, BY_REFERENCE),
    (None, 9e-3, 2e-3, LIMITED, BY_REFERENCE),
    (None, 5.0, 0.5, NOT_CONVERGED, BY_REFERENCE),
    (None, math.nan, 1e-9, NOT_CONVERGED, BY_REFERENCE),
    (None, 1e-4, math.nan, LIMITED, BY_REFERENCE),
    (None, None, None, NOT_JUDGED, NOBODY),
]


def gap(error, own=0.0, size=1.0, **more):
    """An unknown that varies by 1."""
    return Gap(error, error, size, 1.0, own, **more)


def given(error, own=0.0):
    return None if error is None else {"u": gap(error, own)}


@pytest.mark.parametrize(("exact", "distance", "own", "status", "who"), KNOWN)
def test_the_rule(exact, distance, own, status, who):
    found = judge(given(exact), given(distance, own))
    assert (found.status, found.judge) == (status, who)
    assert (found.cures == USUAL_CURES) is (status == NOT_CONVERGED)
    assert Verdict.from_plain(found.plain()) == found


@pytest.mark.parametrize(("exact", "distance", "own", "status", "who"), KNOWN)
def test_the_worst_unknown_counts(exact, distance, own, status, who):
    """Beside one of another size that is all right, whichever stands first."""
    good = Gap(1e-5, 1e-5, 1e5, 1e5, 0.0 if exact is not None else 1e-7)
    for order in (1, -1):
        exact_, near = (
            None if one is None else dict([*one.items(), ("T", good)][::order])
            for one in (given(exact), given(distance, own))
        )
        found = judge(exact_, near)
        assert (found.status, found.judge) == (status, who)
        if who is not NOBODY:
            assert found.reason.startswith("u is ")


def test_where_some_unknowns_alone_are_known_the_reference_judges():
    known, far, near = given(1e-6), given(0.3, 1e-9), given(1e-4, 1e-9)
    assert judge(known, far, complete=False).status == NOT_CONVERGED
    assert judge(known, near, complete=False).judge == BY_REFERENCE
    assert judge(given(0.5), near, complete=False).judge == BY_EXACT
    assert judge(known, complete=False).status == CONVERGED


def test_no_offset_hides_an_error():
    """300 K that rise by 1 K: 0.5 K are an error of a half."""
    found = judge(None, {"T": gap(0.5, 1e-6, size=300.0)})
    assert found.status == NOT_CONVERGED
    assert found.reason.startswith("50 % of its variation from the reference")


def met(equations, conditions=None):
    return Met({"heat": equations}, {} if conditions is None else {"Neumann": conditions})


RESIDUALS = [
    # equations, conditions, doubtful; status and judge
    (0.69, None, False, NOT_CONVERGED, BY_RESIDUAL),
    (0.05, 0.69, False, NOT_CONVERGED, BY_RESIDUAL),
    (math.nan, None, False, NOT_CONVERGED, BY_RESIDUAL),
    (0.05, 0.05, False, NOT_JUDGED, NOBODY),
    (1e-9, None, False, NOT_JUDGED, NOBODY),
    (0.05, None, True, NOT_CONVERGED, BY_RESIDUAL),
    (1e-3, None, True, NOT_JUDGED, NOBODY),
]


@pytest.mark.parametrize(("equations", "conditions", "doubtful", "status", "who"), RESIDUALS)
def test_without_a_reference_unmet_equations_tell(equations, conditions, doubtful, status, who):
    found = judge(met=met(equations, conditions), note="too many cells", doubtful=doubtful)
    assert (found.status, found.judge) == (status, who)
    assert (found.cures == SOLVABLE) is doubtful
    assert "no reference: too many cells" in found.reason
    assert "residual" in found.reason if who == BY_RESIDUAL else "are met to" in found.reason


def test_a_solution_that_ends_before_its_time_is_none():
    """However well a network meets the equations: it smooths over the end."""
    note = "it has grown by 3e+03 at t = 0.082: it blows up there, on two grids at the same time"
    found = judge(met=met(1e-9), note=note, ends=True)
    assert (found.status, found.cures) == (NOT_CONVERGED, SOLVABLE)
    assert found.reason == f"there is no solution to the end of the time: {note}"
    known = judge({"v": gap(1e-6, 0)}, note=note, ends=True)
    assert known.status == CONVERGED


def test_a_reference_that_cannot_tell_leaves_it_to_the_equations():
    unsure, sure, far = ({"v": gap(*one)} for one in ((1.0, 1.1), (1e-4, 1e-6), (1.0, 1e-9)))
    assert judge(None, unsure, met=met(1e-3)).status == LIMITED
    assert judge(None, unsure, met=met(0.6)).judge == BY_RESIDUAL
    assert judge(None, unsure, met=met(0.6)).status == NOT_CONVERGED
    # near the reference, and yet not met: both may be wrong together
    assert judge(None, sure, met=met(0.6)).status == LIMITED
    assert judge(None, sure, met=met(1e-3)).status == CONVERGED
    # small residuals do not help against a reference that can tell
    assert judge(None, far, met=met(1e-9)).status == NOT_CONVERGED
    assert judge(None, {"v": gap(1e-4, 6e-5)}, met=met(0.6)).reason.endswith("of its terms")


def test_a_reference_that_doubts_itself_says_neither():
    near, far = {"v": gap(1e-4, 1e-6)}, {"v": gap(1.0, 1e-6)}
    for one in (near, far):
        found = judge(None, one, doubt="finer grids failed", met=met(1e-3))
        assert (found.status, found.judge) == (LIMITED, BY_REFERENCE)
        assert found.reason.endswith("finer grids failed")
        assert "may be better" not in found.reason
        assert judge(None, one, doubt="finer grids failed", met=met(0.6)).judge == BY_RESIDUAL
    assert judge(given(1e-4), near, doubt="finer grids failed").status == CONVERGED


def test_more_effort_comes_first_after_a_quick_run():
    wrong = given(0.5)
    assert judge(wrong, effort="quick").cures == ("--effort default", *USUAL_CURES)
    assert judge(wrong, effort="default").cures[0] == "--effort record"
    assert judge(wrong, effort="record").cures == USUAL_CURES
    assert judge(given(1e-3), effort="quick").cures == ()
    seen = [Diagnosis("too few points", ("more --points",))]
    assert judge(wrong, effort="default", seen=seen).cures == ("more --points", "--effort record")


def test_what_is_interrupted_is_not_judged():
    found = judge(given(1e-6), given(1e-6, 1e-9), interrupted=True)
    assert (found.status, found.judge, found.reason) == (NOT_JUDGED, NOBODY, "interrupted")


def test_what_was_seen_is_reason_and_cure():
    seen = [Diagnosis("too few points", ("more --points", "another --seed")), Diagnosis("odd")]
    found = judge(given(0.2), seen=[*seen, Diagnosis("strange", ("another --seed",))])
    assert found.reason == "20 % from the exact solution; too few points; odd; strange"
    assert found.cures == ("more --points", "another --seed")
    assert str(found).endswith("; try more --points, or another --seed")


def test_without_a_reference_the_reason_is_why():
    assert judge(note="it does not fit into memory").reason == (
        "no reference: it does not fit into memory"
    )
