"""What a result says of single members of a family: errors by value, the verdict on the worst, the
report with its slider."""

import copy
import math

import numpy as np
import pytest
from torch import sin

import kanpde
from kanpde import KAN, Box, Dirichlet, Initial, Problem, Recipe, Time, d
from kanpde.errors import ProblemError, ReferenceUnavailable
from kanpde.geometry.family import values_of
from kanpde.reference import reference
from kanpde.reports.run import report
from kanpde.results.members import against_members, shown_members


def heat(u, x, t, k):
    return d(u, t) - k * d(u, x, x)


def rod(exact=None, **changes):
    given = {
        "domain": Box(x=(0, 1)) * Time(t=(0, 0.2)),
        "equations": [heat],
        "conditions": [Dirichlet(u=0), Initial(u=lambda x: sin(math.pi * x))],
        "family": {"k": (0.1, 1)},
    }
    return Problem(**{**given, **changes})


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return kanpde.solve(rod(), out=tmp_path_factory.mktemp("runs"), effort="quick")


def test_there_is_one_reference_for_each_value(result):
    values = np.geomspace(0.1, 1, 5)
    assert [at["k"] for at, _ in result.reference.members] == pytest.approx(values)
    assert result.reference.coordinates["k"] == pytest.approx(values)
    assert [name.partition(" at ")[0] for name in result.reference_errors] == ["u"] * 5
    for (at, one), gap in zip(
        result.reference.members, result.reference_errors.values(), strict=True
    ):
        mesh = np.meshgrid(*one.coordinates.values(), indexing="ij")
        found = result(k=at["k"], **dict(zip(one.coordinates, mesh, strict=True)))
        assert gap.peak == pytest.approx(np.abs(found - one.values["u"]).max(), rel=1e-6)
        truth = np.exp(-at["k"] * math.pi**2 * mesh[1]) * np.sin(math.pi * mesh[0])
        assert np.abs(one.values["u"] - truth).max() < 1e-6


def test_the_verdict_is_that_on_the_worst_value(result):
    assert result.verdict.converged
    spoilt = copy.copy(result)
    name = list(result.reference_errors)[3]
    gap = result.reference_errors[name]
    spoilt.reference_errors = {
        **result.reference_errors,
        name: type(gap)(**{**vars(gap), "distance": gap.variation}),
    }
    verdict = spoilt.judged()
    assert not verdict.converged
    assert name in verdict.reason


def test_the_distance_is_that_of_the_worst_member(result):
    worst, gaps = against_members(result.solution, result.reference)
    assert worst == pytest.approx(max(gap.relative for gap in gaps.values()))
    assert result.reference_relative_l2 == worst


def test_values_outside_of_the_range_are_refused(result):
    with pytest.raises(ProblemError, match=r"result\(k=…\): 2 is outside k=\(0.1, 1\)"):
        result(x=0.5, t=0.1, k=2.0)
    with pytest.raises(ProblemError, match="'k' is missing"):
        result(x=0.5, t=0.1)


def test_derivatives_by_the_parameter_are_those_of_the_solution(result):
    at = {"x": 0.3, "t": 0.1, "k": 0.4}
    found = result.evaluate(lambda u, k: d(u, k), **at)
    truth = -(math.pi**2) * 0.1 * math.exp(-0.04 * math.pi**2) * math.sin(0.3 * math.pi)
    assert found == pytest.approx(truth, abs=1e-5)


def test_members_are_shown_without_the_parameter(result):
    members = shown_members(result)
    assert [at["k"] for at, _ in members] == pytest.approx(np.geomspace(0.1, 1, 5))
    for i, (_, one) in enumerate(members):
        assert list(one.fields.grid) == ["x", "t"]
        assert np.array_equal(one.fields.solution["u"], result.fields.solution["u"][i])
        assert list(one.reference_errors) == ["u"]
    assert list(result.fields.grid) == ["k", "x", "t"]


def test_the_report_has_a_slider_and_needs_no_network(result):
    page = report(result)
    assert page.count('type="range"') == 1
    assert page.count('class="member"') == 5
    assert "Errors by value" in page
    assert 'src="http' not in page


def test_a_loaded_run_is_a_family_as_well(result):
    found = kanpde.load(result.run_dir, rod())
    assert found.verdict.plain() == result.verdict.plain()
    assert list(found.reference_errors) == list(result.reference_errors)
    assert len(shown_members(found)) == 5
    assert (result.run_dir / "family.png").is_file()
    assert found(x=0.5, t=0.1, k=0.3) == result(x=0.5, t=0.1, k=0.3)


def test_values_are_spread_by_their_logarithms_over_a_decade():
    assert values_of(rod().domain)["k"] == pytest.approx(np.geomspace(0.1, 1, 5))
    narrow = rod(family={"k": (0.5, 1)})
    assert values_of(narrow.domain)["k"] == pytest.approx(np.linspace(0.5, 1, 5))


def test_a_member_without_a_reference_is_named():
    backwards = rod(equations=[lambda u, x, t, k: d(u, t) + k * d(u, x, x)], warn=False)
    with pytest.raises(ReferenceUnavailable, match=r"^k = 0.1: "):
        reference(backwards, effort="quick")


def test_layers_take_a_parameter_as_a_coordinate_more():
    recipe = Recipe(KAN((4,), 5, 3), points=300, schedule="lm:15")
    found = kanpde.solve(rod(), recipe=recipe, reference=False)
    truth = math.exp(-0.04 * math.pi**2) * math.sin(0.3 * math.pi)
    assert found(x=0.3, t=0.1, k=0.4) == pytest.approx(truth, abs=0.02)
