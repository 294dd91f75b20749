"""The end of a march: what is estimated, and what is said, by hand."""

import math

import numpy as np
import pytest

from kanpde.products.arrived import arrived, ended
from kanpde.products.axes import Modes, SplineAxis
from kanpde.products.growth import MUCH_GROWTH, Carried
from kanpde.products.progress import CAME_TO_NOTHING, Beyond, Progress
from kanpde.products.tensor import Product

SIZES = (2.0, 5.0)
ALL_OF_IT = [(np.array([-2.0, 295.0]), np.array([2.0, 305.0]))]
"""The extremes of two unknowns with these amplitudes."""


def at_the_end(extremes=ALL_OF_IT, tolerance=1e-6, **known):
    given = {"sizes": SIZES, "estimate": 4e-7} | known
    return arrived(Progress(**given), extremes, "t", 10.0, tolerance)


def test_what_meets_the_tolerance_is_left_alone():
    found = at_the_end()
    assert (found.finished, found.missed, found.hopeless) == (True, (), False)
    assert found.estimate == found.usual == 4e-7


def test_errors_are_over_what_unknowns_vary_by_in_all_spans():
    """The second one varies by 1 and by another 1, in all by a fifth of what was thought."""
    parts = [
        (np.array([-2.0, 300.0]), np.array([2.0, 301.0])),
        (np.array([-2.0, 299.0]), np.array([2.0, 300.0])),
    ]
    found = at_the_end(parts)
    assert found.estimate == pytest.approx(5 * 4e-7)
    assert found.missed == ("an unknown hardly varies beside its values: estimated error 2.0e-06",)
    (first, *_) = at_the_end(parts, missed=("something else",)).missed
    assert first == "something else"
    late = at_the_end(parts, beyond=(Beyond(0.0, 0.1, 1e-3, (0.0, 5.0)),))
    assert late.estimate == pytest.approx(5e-3)


def test_what_nothing_is_known_of_has_no_error():
    """Spans that were all beyond the tolerance have no estimate but their own."""
    assert at_the_end(estimate=math.nan).estimate == 0.0


def test_what_misses_for_a_short_time_counts_there_and_little_in_all():
    """An error of 0.1 over amplitudes of a tenth and a fifth, thus of 0.02; it lasts for a
    hundredth of the time."""
    late = Beyond(0.05, 0.15, 0.1, (0.2, 1.0))
    found = at_the_end(beyond=(late,))
    assert found.estimate == pytest.approx(0.02)
    assert found.usual == pytest.approx(0.02 * math.sqrt(0.01))
    assert found.missed == ("t = 0.05 to 0.15: estimated error 2.0e-02",)
    assert found.estimate > CAME_TO_NOTHING
    assert not found.hopeless
    assert at_the_end(beyond=(Beyond(10.0, 0.0, 0.1, (0.2, 1.0)),)).hopeless, "all of it, backwards"


def test_what_turns_out_to_be_met_over_larger_amplitudes_is_not_said():
    found = at_the_end(beyond=(Beyond(0.0, 0.1, 2e-6, (0.2, 1.0)),), estimate=math.nan)
    assert (found.missed, found.estimate) == ((), pytest.approx(4e-7))


def test_spans_that_look_equally_early_are_said_by_their_length():
    late = Beyond(1.0, 1.0 + 2e-7, 1.0, SIZES)
    assert at_the_end(beyond=(late,)).missed == (
        "t = 1 and 2e-07 after it: estimated error 1.0e+00",
    )


@pytest.mark.parametrize(
    ("growth", "counts"), [(10 * MUCH_GROWTH, True), (MUCH_GROWTH / 10, False)]
)
def test_errors_that_grow_count_when_they_have_grown(growth, counts):
    """A change of 1 where the first of two spans ends is larger by that where the second does."""
    halves = ((0.0, 5.0), (5.0, 10.0))
    space, zero = SplineAxis(np.array([0.0, 1.0]), 1), np.zeros((2, 2, 4))
    spans = tuple(Product((space, Modes(np.array(one), 3, 1)), zero) for one in halves)
    steps = tuple(Carried(5.0, 1e-7, SIZES, (2.0 * by, 0.0), (0.0, 0.0)) for by in (1.0, growth))
    found = at_the_end(spans=spans, carried=steps, change=spans[1])
    assert found.change is None
    if not counts:
        assert (found.estimate, found.missed) == (4e-7, ())
        return
    assert found.estimate == found.usual == pytest.approx(1e-7 * growth / math.sqrt(2), rel=1e-5)
    times = f"{growth / math.sqrt(2):.0f}"
    assert found.missed[0].startswith(f"errors made in t = 0 to 5 grow {times} times after it:")


def test_a_march_that_ends_early_knows_nothing_of_the_rest():
    late = Beyond(0.0, 0.1, 0.1, SIZES)
    before = Progress(sizes=SIZES, beyond=(late,), missed=("before",), estimate=1e-9)
    found = ended(before, "t", "said")
    assert found.missed == ("said", "before", "t = 0 to 0.1: estimated error 1.0e-01")
    assert (found.estimate, found.finished, found.hopeless) == (math.inf, True, True)
