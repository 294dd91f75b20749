"""Collocation points: spread, determinism, and points where the residual is large."""

import warnings

import numpy as np
import pytest
import torch
from scipy.stats import qmc

from kanpde import Ball, Box, Disk, Time
from kanpde.errors import RecipeError
from kanpde.geometry import holes
from kanpde.geometry.sampling import (
    SAMPLERS,
    by_residual,
    crowded_points,
    inside_points,
    nearness,
    unit_points,
)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dimensions", [1, 2, 4])
def test_points_are_in_the_unit_cube_and_of_one_seed(sampler, dimensions):
    points = unit_points(100, dimensions, 3, sampler)
    assert points.shape == (100, dimensions)
    assert points.dtype == torch.float64
    assert ((points >= 0) & (points < 1)).all()
    assert torch.equal(points, unit_points(100, dimensions, 3, sampler))
    assert not torch.equal(points, unit_points(100, dimensions, 4, sampler))


@pytest.mark.parametrize("dimensions", [1, 2, 3, 17])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 64, 1000])
def test_sobol_points_are_those_of_scipy_to_the_last_bit(count, dimensions):
    for seed in (0, 1, 24681357):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The balance properties of Sobol")
            theirs = qmc.Sobol(dimensions, rng=np.random.default_rng(seed)).random(count)
        assert torch.equal(unit_points(count, dimensions, seed), torch.from_numpy(theirs))


def test_no_dimension_has_one_point():
    assert unit_points(50, 0, 0).shape == (1, 0)


def test_low_discrepancy_integrates_better_than_chance():
    """The mean of x·y over 1024 points: chance has a standard error of 7e-3, these are closer than
    1e-3."""
    for sampler, bound in (("sobol", 5e-4), ("halton", 1e-3)):
        errors = [
            abs(float(unit_points(1024, 2, seed, sampler).prod(1).mean()) - 0.25)
            for seed in range(5)
        ]
        assert max(errors) < bound, sampler


def test_each_stratum_of_a_latin_hypercube_has_one_point():
    points = unit_points(64, 3, 0, "latin-hypercube")
    for column in points.T:
        assert sorted((column * 64).long().tolist()) == list(range(64))


def test_an_unknown_sampler_is_refused():
    with pytest.raises(
        RecipeError,
        match=(
            r"sampler: got 'sobool'; expected one of sobol, latin-hypercube, halton, uniform; did"
            r" you mean 'sobol'"
        ),
    ):
        unit_points(4, 2, 0, "sobool")


def test_points_gather_where_the_residual_is_large():
    pool = unit_points(
        4000, 1, 0, "uniform"
    )  # the seed of the draw below: the two must not share a stream
    front = lambda p: torch.exp(-((p[:, 0] - 0.5) ** 2) / 2e-3)
    chosen = by_residual(
        front, pool, 100, seed=0
    )  # few of many: without replacement, a drained front fills up less
    near = lambda p: float(((p[:, 0] - 0.5).abs() < 0.1).double().mean())
    assert near(pool) < 0.25
    assert near(chosen) > 0.5
    assert 1 - near(chosen) > 0.1, "the floor keeps points everywhere"
    assert near(by_residual(front, pool, 100, seed=0, power=2.0, floor=0.0)) > 0.99


def test_drawn_points_are_candidates_without_repetition_and_of_one_seed():
    pool = torch.rand(300, 2, dtype=torch.float64)
    draw = lambda seed: by_residual(lambda p: p[:, 0], pool, 200, seed)
    chosen = draw(1)
    assert len({tuple(p) for p in chosen.tolist()}) == 200
    assert {tuple(p) for p in chosen.tolist()} <= {tuple(p) for p in pool.tolist()}
    assert torch.equal(chosen, draw(1))
    assert not torch.equal(chosen, draw(2))


def test_a_residual_of_zero_draws_evenly():
    pool = torch.linspace(0, 1, 1000, dtype=torch.float64)[:, None]
    chosen = by_residual(lambda p: torch.zeros(len(p), dtype=torch.float64), pool, 400, 0)
    assert abs(float(chosen.mean()) - 0.5) < 0.05


CHANNEL = Box(x=(0, 20), y=(0, 4)) - Disk(x=2, y=2, radius=0.5, name="cylinder")


@pytest.mark.parametrize(
    "domain",
    [
        CHANNEL,
        CHANNEL * Time(t=(0, 1)),
        Ball(x=0, y=0, z=0, radius=2) - Ball(x=1, y=0, z=0, radius=0.2, name="hole"),
    ],
)
def test_crowded_points_are_as_many_as_asked_for_and_inside(domain):
    for share in (0.0, 0.3, 1.0):
        points = crowded_points(domain, 500, 3, share=share)
        assert points.shape == (500, len(domain.coordinates))
        assert domain.inside(points).all()
        assert torch.equal(points, crowded_points(domain, 500, 3, share=share))
    assert torch.equal(crowded_points(domain, 100, 3, share=0.0), inside_points(domain, 100, 3))


def test_points_crowd_about_a_hole():
    def near(points):
        return float(((points - points.new_tensor([2.0, 2.0])).norm(dim=1) < 1).double().mean())

    even, crowded = inside_points(CHANNEL, 4000, 0), crowded_points(CHANNEL, 4000, 0, share=1.0)
    assert near(crowded) > 3 * near(even)
    assert float((crowded[:, 0] > 10).double().mean()) > 0.02, (
        "the rest of the channel is not left out"
    )


def test_every_hole_gets_an_equal_share_and_the_density_falls_as_the_square_of_the_distance():
    plane = (
        Box(x=(-60, 60), y=(-60, 60))
        - Disk(x=30, y=0, radius=0.5, name="small")
        - Disk(x=-30, y=0, radius=2, name="large")
    )
    small, large = holes(plane)
    on_a_ray = torch.tensor(
        [[30.5, 0.0], [31.5, 0.0], [33.5, 0.0], [30.0, -7.5]], dtype=torch.float64
    )
    points = torch.cat([on_a_ray, inside_points(plane, 2000, 0)])
    alone = nearness([small], points)
    torch.testing.assert_close(
        alone[0] / alone[:4],
        torch.tensor([1.0, 4.0, 16.0, 64.0], dtype=torch.float64),
        rtol=1e-5,
        atol=0,
    )
    assert float(alone.mean()) == pytest.approx(1)
    torch.testing.assert_close(
        nearness([small, large], points), (alone + nearness([large], points)) / 2
    )


def test_a_domain_without_holes_has_even_points():
    disk = Disk(x=0, y=0, radius=1)
    assert torch.equal(crowded_points(disk, 100, 3), inside_points(disk, 100, 3))
