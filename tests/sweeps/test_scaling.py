"""Scaling laws: known ones are found again, in the range where they hold, and the interval holds
the slope as often as it says."""

import math

import numpy as np
import pytest

from kanpde.sweeps.rows import TrialRow
from kanpde.sweeps.scaling import by_size, fit, optimiser, series, theory


def row(size, error, seed=0, kind="kan", degree=3, schedule="lm:10", **more):
    return TrialRow(
        f"{kind}-{size}-{seed}",
        kind,
        "KAN",
        "5",
        1,
        degree,
        4,
        size,
        schedule,
        100,
        seed,
        error=error,
        **more,
    )


SIZES = [50, 80, 130, 200, 320, 500, 800, 1300]


def noisy(rng, law, seeds=3, noise=0.1, sizes=SIZES):
    return [
        row(size, law(size) * math.exp(noise * rng.standard_normal()), seed)
        for size in sizes
        for seed in range(seeds)
    ]


def test_an_exact_law_is_found_to_rounding():
    law = fit([row(size, 3 * size**-4.0) for size in SIZES])
    assert law.slope == pytest.approx(-4, abs=1e-12)
    assert law.constant == pytest.approx(3, rel=1e-10)
    assert law.uncertainty < 1e-10
    assert (law.low, law.high) == pytest.approx((50, 1300))
    assert law.range == "50 to 1,300 parameters"
    assert law.at(100) == pytest.approx(3e-8)


def test_what_is_limited_by_something_else_is_left_out_and_said():
    law = fit(noisy(np.random.default_rng(0), lambda n: max(n**-4.0, 320**-4.0)))
    assert law.high == pytest.approx(320)
    assert law.slope == pytest.approx(-4, abs=0.5)
    assert law.range == "50 to 320 parameters; past 320 the error falls more slowly or not at all"


def test_networks_too_small_to_follow_the_solution_are_left_out():
    law = fit(noisy(np.random.default_rng(0), lambda n: min(n**-4.0, 200**-4.0)))
    assert law.low == pytest.approx(200)
    assert "smaller networks do not follow it" in law.range


def test_the_interval_holds_the_slope_as_often_as_it_says():
    rng, inside, total = np.random.default_rng(1), 0, 400
    for _ in range(total):
        law = fit(noisy(rng, lambda n: n**-3.0, noise=0.3))
        if (law.low, law.high) == pytest.approx((50, 1300)):
            inside += abs(law.slope + 3) <= law.uncertainty
        else:
            total -= 1
    assert total > 250
    assert 0.90 <= inside / total <= 0.99


def test_an_error_that_does_not_fall_has_no_steep_slope():
    law = fit(noisy(np.random.default_rng(2), lambda n: 1e-3))
    assert abs(law.slope) < max(law.uncertainty, 0.5)


def test_failed_trials_and_too_few_sizes():
    assert fit([row(50, 1e-3), row(80, 1e-4)]) is None
    assert fit([]) is None
    rows = [row(size, size**-2.0) for size in SIZES] + [
        row(90, math.nan, status="failed"),
        row(95, 0.0),
    ]
    assert fit(rows).slope == pytest.approx(-2)
    assert list(by_size(rows)) == SIZES
    assert by_size([row(50, e, s) for s, e in enumerate((1e-3, 1e-1, 1e-2))]) == {
        50: (1e-2, 1e-3, 1e-1)
    }


def test_series_differ_by_what_varies():
    assert list(series([row(50, 1, kind="kan"), row(50, 1, kind="mlp")])) == ["KAN", "MLP"]
    assert list(series([row(50, 1, degree=3), row(60, 1, degree=5)])) == [
        "KAN, degree 3",
        "KAN, degree 5",
    ]
    two = series(
        [row(50, 1, schedule="adam:10,lbfgs:20"), row(60, 1, schedule="lm/layer:10,extend:8,lm:5")]
    )
    assert list(two) == ["KAN, Adam + L-BFGS", "KAN, Levenberg-Marquardt"]
    assert optimiser("gn:3") == "Gauss-Newton"


def test_the_theory_is_for_splines_of_one_degree():
    assert theory([row(50, 1, degree=3)]) == -4
    assert theory([row(50, 1, degree=3), row(50, 1, degree=5)]) is None
    assert theory([row(50, 1, kind="mlp", degree=0)]) is None
