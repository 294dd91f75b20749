"""Which prescribed data can be built into a lift, and with which layers.

A lift carries what its data have into the domain: a kink of the start stays in it for all time, and
so does a value that contradicts the start in a corner, where the solution smooths both at once. For
an equation that diffuses along the one coordinate of space, the lift gets a layer for each of them
(see layers.py). Other data that jump, bend or contradict each other, and data whose slope autograd
does not see, are not built in: their condition is trained on, with a balanced weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from kanpde.geometry import SpaceTime
from kanpde.networks.layers import StartLayer
from kanpde.problem.constraints import Constraint
from kanpde.problem.corners import value_jumps
from kanpde.problem.kinks import Kink, kinks
from kanpde.problem.problem import Problem

SHARE_THAT_FREEZES = 1e-3
"""Jump, or bend over the whole face, relative to the data, above which data are not built in."""

SLOPES_TO_TRY = (0.0, 1.0)
"""Slopes of the unknown at which a diffusivity must be the same."""


def regular(problem: Problem) -> tuple[tuple[Constraint, ...], dict[str, tuple[StartLayer, ...]]]:
    """The conditions as a lift may take them, and the layers that go with it.

    Args:
        problem: Has the conditions.

    Returns:
        All conditions, those that must not be built in without what they prescribe; and the layers
        by unknown.
    """
    layers: dict[str, tuple[StartLayer, ...]] = {}
    found = []
    for c in problem.constraints:
        places = kinks(problem.domain, c) if c.prescribed and c.where is None else []
        if c.prescribed and places != []:
            own = _inside(problem, c, places) if places else None
            if own is not None:
                layers[c.prescribed.unknown] = own
            elif not places or _freezes(problem, c, places):
                c = replace(c, prescribed=None)
        found.append(c)
    for i, c in enumerate(found):
        if c.prescribed and isinstance(problem.domain, SpaceTime):
            if c.face != problem.domain.initial_face or c.prescribed.derivative or c.where:
                continue
            ends = _at_ends(problem, c, found)
            if ends is None:
                found[i] = replace(c, prescribed=None)
                layers.pop(c.prescribed.unknown, None)
            elif ends:
                layers[c.prescribed.unknown] = (*layers.get(c.prescribed.unknown, ()), *ends)
    return tuple(found), layers


def _freezes(problem: Problem, constraint: Constraint, places: list[Kink]) -> bool:
    """Whether what data have there is large enough to matter."""
    assert constraint.prescribed is not None
    unit = torch.rand(
        256,
        len(problem.coordinates) - 1,
        generator=torch.Generator().manual_seed(0),
        dtype=torch.float64,
    )
    points = problem.domain.boundary(constraint.face, unit)
    at = dict(zip(problem.coordinates, points.unbind(1), strict=True))
    size = float(constraint.prescribed.data(at).detach().abs().max())
    bounds = problem.domain.bounds
    return any(
        max(abs(k.jump), abs(k.bend) * (bounds[k.coordinate][1] - bounds[k.coordinate][0]))
        > SHARE_THAT_FREEZES * size
        for k in places
    )


def _inside(
    problem: Problem, start: Constraint, places: list[Kink]
) -> tuple[StartLayer, ...] | None:
    """The layers of kinks of a start; None where there are none for this problem."""
    assert start.prescribed is not None
    if start.prescribed.derivative or not _along_a_line(problem, start):
        return None
    found = []
    for kink in places:
        before, beyond = (
            _diffusivity(problem, start.prescribed.unknown, kink.place + e) for e in _sides(problem)
        )
        if before is None or beyond is None or abs(before - beyond) > 1e-6 * before:
            return None
        found.append(_layer(problem, kink.place, (before + beyond) / 2, kink.jump, kink.bend))
    return tuple(found)


def _sides(problem: Problem) -> tuple[float, float]:
    """Distances to points just before and just beyond a kink."""
    low, high = problem.domain.bounds[problem.coordinates[0]]
    return -1e-9 * (high - low), 1e-9 * (high - low)


def _along_a_line(problem: Problem, start: Constraint) -> bool:
    """Whether it is an evolution along one coordinate of space that is not periodic, and the
    condition its start."""
    domain = problem.domain
    return (
        isinstance(domain, SpaceTime)
        and len(domain.region.coordinates) == 1
        and not problem.periodic
        and start.face == domain.initial_face
    )


def _layer(
    problem: Problem,
    place: float,
    diffusivity: float,
    jump: float,
    bend: float,
    at_end: bool = False,
) -> StartLayer:
    (low, high), (begin, end) = (problem.domain.bounds[x] for x in problem.coordinates)
    return StartLayer(0, high - low, place, 1, begin, end - begin, diffusivity, jump, bend, at_end)


def _at_ends(
    problem: Problem, start: Constraint, given: list[Constraint]
) -> list[StartLayer] | None:
    """The layers of values at ends that contradict the start; None where there are none for this
    problem."""
    assert start.prescribed is not None
    assert isinstance(problem.domain, SpaceTime)
    known, found = {c.label for c in given if c.prescribed}, []
    for against, jump in value_jumps(problem, problem.domain, start):
        if against is not None and against.label not in known:
            continue
        diffusivity = None
        if against is not None and _along_a_line(problem, start):
            face = problem.domain.faces[against.face]
            end = problem.domain.bounds[problem.coordinates[0]][face.side > 0]
            diffusivity = _diffusivity(problem, start.prescribed.unknown, end)
        if diffusivity is not None:
            size = jump.other - jump.start
            found.append(_layer(problem, end, diffusivity, size, 0.0, at_end=True))
        elif jump.relative > SHARE_THAT_FREEZES:
            return None
    return found


def _corner(problem: Problem, x: float) -> Mapping[str, torch.Tensor]:
    """A point when time begins, by name."""
    begin = problem.domain.bounds[problem.coordinates[1]][0]
    return {
        name: torch.tensor([v], dtype=torch.float64)
        for name, v in zip(problem.coordinates, (x, begin), strict=True)
    }


def _diffusivity(problem: Problem, unknown: str, x: float) -> float | None:
    """κ of u_t = κ u_xx + … at a place when time begins; None where the equation is no such."""
    if problem.parameters:
        return None
    second, rate = (2, 0), (0, 1)
    about = [e for e in problem.equations if (unknown, rate) in e.needs]
    if len(about) != 1 or any(sum(index) > 2 or index[1] > 1 for _, index in about[0].needs):
        return None
    others = [leaf for leaf in about[0].needs if leaf[0] != unknown]
    if (
        any(index in (second, rate) for _, index in others)
        or (unknown, second) not in about[0].needs
    ):
        return None
    starts = {
        c.prescribed.unknown: c.prescribed.data
        for c in problem.constraints
        if c.prescribed and not c.prescribed.derivative and c.face == f"{problem.coordinates[1]}-"
    }
    if any(name not in starts for name, _ in about[0].needs):
        return None
    at, found = _corner(problem, x), []
    for slope in SLOPES_TO_TRY:
        values = [
            float(starts[name](at)) if not any(index) else slope for name, index in about[0].needs
        ]
        partials = about[0](at, torch.tensor([values], dtype=torch.float64))[1]
        assert partials is not None
        by = dict(zip(about[0].needs, partials[0].sum(0).tolist(), strict=True))
        found.append(-by[unknown, second] / by[unknown, rate] if by[unknown, rate] else 0.0)
    same = abs(found[0] - found[1]) <= 1e-9 * abs(found[0])
    return found[0] if same and found[0] > 0 else None
