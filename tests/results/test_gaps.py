"""Distances by unknown: over its size and over its variation, of constants and of zero."""

import json
from dataclasses import replace

import numpy as np
import pytest

from kanpde.reference import Reference
from kanpde.results.gaps import Gap, gaps, matter, own_errors

x = np.linspace(0, 2 * np.pi, 1001)[:-1]


def one(truth, found, own=None):
    truth = np.broadcast_to(truth, x.shape)
    return gaps({"u": truth + found}, {"u": truth}, None if own is None else {"u": own})["u"]


def test_each_unknown_is_measured_by_its_own_variation():
    truth = {"T": 300 + 2 * np.sin(x), "v": 1e-9 * np.cos(x)}
    found = {"T": truth["T"] + np.sin(x), "v": truth["v"] + 1e-11 * np.cos(x)}
    measured = gaps(found, truth)
    assert measured["T"].error == pytest.approx(0.5)
    assert measured["T"].relative == pytest.approx(np.sqrt(0.5) / np.sqrt(300**2 + 2))
    assert measured["T"].hidden
    assert measured["T"].peak == pytest.approx(1, rel=1e-4)
    assert measured["v"].error == pytest.approx(0.01)
    assert not measured["v"].hidden


def test_nodes_outside_of_the_domain_do_not_count():
    truth, found = np.array([1.0, -1.0, np.nan]), np.array([1.5, -0.5, 7.0])
    assert gaps({"u": found}, {"u": truth})["u"].error == 0.5


@pytest.mark.parametrize("own", [None, 1e-13])
def test_what_is_constant_is_measured_by_its_size(own):
    """A variation by rounding is none: an error over it would be 0/0."""
    gap = one(1 + 1e-14 * np.sin(x), 4e-14, own)
    assert gap.constant
    assert gap.error == pytest.approx(4e-14, rel=0.01)


def test_a_small_variation_is_one_where_its_judge_sees_it():
    truth = 300 + 1e-6 * np.sin(x)
    assert not one(truth, 1e-6).constant
    assert one(truth, 1e-6).error > 1
    # a judge that is off by more than that cannot tell, and is not believed to be near
    assert one(truth, 1e-6, 1e-6).uncertainty > 1


def test_what_is_zero_is_measured_by_what_would_matter():
    noise = 1e-17 * np.sin(x)
    gap = one(noise, 1e-8, 1.0)
    (known,) = matter({"u": gap}, {"u": 0.1}).values()
    assert known.error == pytest.approx(1e-7)
    assert one(0.0, 1e-8).error == pytest.approx(1e-8)
    # one that is small and known is not zero
    small = matter({"u": one(noise, 1e-17, 1e-6)}, {"u": 0.1})["u"]
    assert small.error > 1


def test_a_gap_comes_back_from_json():
    gap = one(np.sin(x), 1e-3, 1e-4)
    assert Gap.from_plain(json.loads(json.dumps(gap.plain()))) == gap


def test_an_error_of_all_unknowns_together_may_be_of_any_of_them():
    values = {"T": np.full(4, 1e5), "v": np.full(4, 1.0), "w": np.zeros(4)}
    reference = Reference({"t": np.arange(4.0)}, values, 2, "", 1e-6, 0.0)
    found = own_errors(reference)
    assert found["T"] == pytest.approx(1e-6)
    assert found["v"] == pytest.approx(0.1)
    errors, scales = {"T": 1e-2, "v": 1e-8, "w": 1e-6}, {"T": 10.0, "v": 1.0, "w": 1e-3}
    known = replace(reference, estimated_errors=errors, scales=scales)
    assert own_errors(known) == pytest.approx({"T": 1e-6, "v": 1e-8, "w": 1e-9})
