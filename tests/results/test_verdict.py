"""The one rule by which a solution has converged or not."""

import math

import pytest

from kanpde.results.verdict import (
    BY_EXACT,
    BY_REFERENCE,
    CONVERGED,
    LIMITED,
    NOBODY,
    NOT_CONVERGED,
    NOT_JUDGED,
    USUAL_CURES,
    Diagnosis,
    Verdict,
    judge,
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


@pytest.mark.parametrize(("exact", "distance", "own", "status", "who"), KNOWN)
def test_the_rule(exact, distance, own, status, who):
    found = judge(exact, distance, own)
    assert (found.status, found.judge) == (status, who)
    assert (found.cures == USUAL_CURES) is (status == NOT_CONVERGED)
    assert Verdict.from_plain(found.plain()) == found


def test_where_some_unknowns_alone_are_known_the_reference_judges():
    assert judge(1e-6, 0.3, 1e-9, complete=False).status == NOT_CONVERGED
    assert judge(1e-6, 1e-4, 1e-9, complete=False).judge == BY_REFERENCE
    assert judge(0.5, 1e-4, 1e-9, complete=False).judge == BY_EXACT
    assert judge(1e-6, complete=False).status == CONVERGED


def test_what_is_interrupted_is_not_judged():
    found = judge(1e-6, 1e-6, 1e-9, interrupted=True)
    assert (found.status, found.judge, found.reason) == (NOT_JUDGED, NOBODY, "interrupted")


def test_what_was_seen_is_reason_and_cure():
    seen = [Diagnosis("too few points", ("more --points", "another --seed")), Diagnosis("odd")]
    found = judge(0.2, seen=[*seen, Diagnosis("strange", ("another --seed",))])
    assert found.reason == "20 % from the exact solution; too few points; odd; strange"
    assert found.cures == ("more --points", "another --seed")
    assert str(found).endswith("; try more --points, or another --seed")


def test_without_a_reference_the_reason_is_why():
    assert judge(note="it does not fit into memory").reason == (
        "no reference: it does not fit into memory"
    )
