"""How long spans are, from what attempts tell, by hand."""

import math

import pytest

from kanpde.products.attempts import SHORT_OF_GOAL
from kanpde.products.progress import Progress
from kanpde.products.span_lengths import (
    LOWEST_ORDER,
    MUCH_GAINED,
    compared,
    observed,
    shortened,
)


@pytest.mark.parametrize(
    ("order", "fall", "wanted"),
    [
        (4.0, 16.0, 1 / 2),  # an error of 16 times the goal, of order 4
        (math.inf, 2.0**8, 1 / 2),  # the degree's order where none was observed
        (20.0, 2.0**8, 1 / 2),  # nor more than it
        (4.0, 1.01, 0.85),  # little is not worth an attempt
        (4.0, 1e9, 0.3),  # nor is too much believed of one that is smooth
        (1.0, 10.0, 0.1),
        (0.5, 10.0, 0.1),  # below order 1 as if it were that
        (1.0, 1e9, 0.03),
        (LOWEST_ORDER, 1e9, 0.03),
        (LOWEST_ORDER + 0.1, 1e9, 0.3),
    ],
)
def test_a_span_is_shortened_by_the_order_of_its_error(order, fall, wanted):
    error = fall * SHORT_OF_GOAL * 1e-8
    assert shortened(order, error, 1e-8, 8) == pytest.approx(wanted)


def test_the_order_is_seen_between_two_lengths():
    before = Progress(before=(0.4, 8e-3, 1e-2), order=7.0)
    assert observed(before, 0.2, 1e-3) == pytest.approx(3)
    assert observed(before, 0.1, 8e-3 / 4**0.5) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("length", "error", "later"),
    [(0.4, 1e-3, 8e-3), (0.2, 8e-3, 8e-3), (0.2, 0.0, 8e-3), (0.2, 1e-3, math.inf)],
)
def test_an_order_that_is_not_seen_is_that_of_before(length, error, later):
    """Of the same length, no smaller, nothing left, or nothing to compare with."""
    assert observed(Progress(before=(0.4, later, 1e-2), order=7.0), length, error) == 7.0


def test_before_there_are_two_attempts_it_is_infinite():
    assert observed(Progress(), 0.2, 1e-3) == math.inf


def test_an_attempt_counts_unless_much_was_gained():
    before = Progress(before=(0.4, 8e-3, 1e-2), tries=3)
    found = compared(before, (0.2, 1e-3, 1.01 * MUCH_GAINED * 1e-2), 2.0)
    assert (found.tries, found.before) == (4, (0.2, 1e-3, 1.01 * MUCH_GAINED * 1e-2))
    assert found.order == 2.0
    assert compared(before, (0.2, 1e-3, 0.99 * MUCH_GAINED * 1e-2), 2.0).tries == 3
    assert compared(Progress(tries=3), (0.2, 1e-3, 1e-9), 2.0).tries == 4, "the first of them"


def test_the_best_of_attempts_at_one_length_is_what_others_gain_on():
    before = Progress(before=(0.4, 8e-3, 1e-2))
    assert compared(before, (0.4, 1e-3, 5e-2), 2.0).before == (0.4, 1e-3, 1e-2)
    assert compared(before, (0.2, 1e-3, 5e-2), 2.0).before == (0.2, 1e-3, 5e-2)
