"""The network of a problem: one for its unknowns (on pieces one for each piece), one for each field
among its parameters, and its numbers as constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from kanpde.geometry import Pieces
from kanpde.networks.constants import Constants
from kanpde.networks.joint import Part, joint
from kanpde.networks.kan import KAN
from kanpde.networks.network import Network
from kanpde.networks.solution import NetworkSolution
from kanpde.networks.spec import Spec
from kanpde.networks.state import onto
from kanpde.networks.transform import Transform
from kanpde.problem.parameters import Field, Parameter

FIELD = KAN(width=(4,), degree=5, grid=4)
"""What represents a field where the recipe says nothing."""

QUIET = 0.1
"""Factor of a field's first coefficients of the last layer: it begins near its initial value."""


def assemble(
    problem: Any,
    spec: Spec,
    fields: Mapping[str, Spec],
    generator: torch.Generator,
    lenses: bool = False,
) -> Network:
    """A new random network with an output for each of problem.outputs, float64 on the CPU. lenses:
    whether it looks closely at holes."""
    inputs = NetworkSolution.inputs(problem.domain, problem.periodic, lenses)
    if isinstance(problem.domain, Pieces):
        return joint(_by_piece(problem.domain, problem.copies, spec, generator), inputs)
    main = spec.build(inputs, len(problem.unknowns), generator)
    if not problem.parameters:
        return main
    parts = [Part(main, tuple(range(inputs)))]
    for p in problem.parameters:
        if isinstance(p, Field):
            columns = _columns(problem, p)
            own = fields.get(p.name, FIELD).build(len(columns), 1, generator)
            last = own.layers[-1].size
            own = replace(own, theta=torch.cat([own.theta[:-last], QUIET * own.theta[-last:]]))
            parts.append(Part(onto(own, (_transform(p),)), columns, grows=False))
    if numbers := [_transform(p) for p in problem.parameters if not isinstance(p, Field)]:
        parts.append(Part(Constants(tuple(numbers)).build(), (), grows=False))
    return joint(parts, inputs)


def _by_piece(
    domain: Pieces, copies: Sequence[str], spec: Spec, generator: torch.Generator
) -> list[Part]:
    """A network for each piece, of coordinates of its own."""
    own, parts = len(domain.coordinates), []
    for k, piece in enumerate(domain.regions):
        outputs = sum(domain.home(name) == piece for name in copies)
        parts.append(
            Part(spec.build(own, outputs, generator), tuple(range(k * own, (k + 1) * own)))
        )
    return parts


def numbers(problem: Any, solution: NetworkSolution) -> dict[str, float]:
    """Present values of the parameters that are numbers, by name."""
    first = len(problem.outputs) - sum(not isinstance(p, Field) for p in problem.parameters)
    if first == len(problem.outputs):
        return {}
    X = solution.network.theta.new_zeros(1, 1, solution.network.widths[0])
    return dict(
        zip(
            problem.outputs[first:],
            solution.network.forward(X, ())[-1][0, 0, first:].tolist(),
            strict=True,
        )
    )


def _columns(problem: Any, field: Field) -> tuple[int, ...]:
    """The network inputs that stand for a field's coordinates: a periodic one has two."""
    names = [
        x for x in problem.domain.coordinates for _ in range(2 if x in problem.periodic else 1)
    ]
    return tuple(i for i, x in enumerate(names) if x in field.of)


def _transform(parameter: Parameter) -> Transform:
    return Transform(parameter.initial, parameter.low, parameter.high)
