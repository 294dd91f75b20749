"""Which functions are candidates for a solution, made once of a problem and of what represents it.

It is all that networks and training see of a problem. Data that come without a problem have a space
as well (`tabular_space`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import listed
from kanpde.geometry import Domain, Pieces
from kanpde.networks.along_axes import axis_map, suits
from kanpde.networks.boundary import ExactBoundary, split
from kanpde.networks.constants import Constants
from kanpde.networks.enrichment import Feature, enrichment
from kanpde.networks.frame import (
    Frame,
    UnitCoordinates,
    factor_derivatives,
    feature_derivatives,
    input_jet,
    lifted,
    network_map,
)
from kanpde.networks.joint import Part, joint, with_constants
from kanpde.networks.kan import KAN
from kanpde.networks.lenses import Lens, lenses_of
from kanpde.networks.network import Network
from kanpde.networks.scales import Scales
from kanpde.networks.singular_data import regular
from kanpde.networks.solution import Composition
from kanpde.networks.spec import Spec
from kanpde.networks.state import onto, state
from kanpde.networks.transform import Transform
from kanpde.problem.constraints import Constraint
from kanpde.problem.corner_pencils import SingularCorner, singular_corners, tempering
from kanpde.problem.initial import Initial
from kanpde.problem.parameters import Field, Parameter
from kanpde.problem.problem import Problem
from kanpde.residual.calculus import Leaf

FIELD = KAN(width=(4,), degree=5, grid=4)
"""What represents a field where nothing else is given."""

QUIET = 0.1
"""Factor of a field's first coefficients of the last layer: it begins near its initial value."""


@dataclass(frozen=True)
class TrialSpace:
    """The functions u = lift + size · (factor · N + Σ_k c_k f_k), with N the outputs of a network.

    The lift is an interpolant of what conditions prescribe about the offset of u; where they
    prescribe nothing, it is the offset.

    The network has an output for each of `outputs`, then one for the coefficient of each corner
    function.

    Attributes:
        domain: Where the functions live.
        outputs: Names of all that is unknown: the unknowns (on pieces their copies), then the
            parameters, fields first.
        network: The specification of the network, on pieces of the network of every piece.
        boundaries: Factor and lift of every output, which make conditions hold exactly.
        soft: The conditions that do not hold by construction.
        periodic: Coordinates in which everything is periodic; the network sees cosine and sine.
        corners: Whether corner functions are part of the solution, where there are any.
        features: The corner functions that are part of it.
        closely: Whether the network looks closely at holes, where there are any.
        lenses: The holes that it looks at closely.
        relaxed: Whether data that a lift must not have as they are were looked for.
        parameters: Numbers and fields in the equations that are to be found.
        fields: Specifications of fields, by name; FIELD for the others.
        starts: The functions that initial conditions prescribe.
        scales: Offset and size of every output, and sizes of rows.
        singular: The corners in which the solution is singular, without corner functions for it:
            there residuals count less.
    """

    domain: Domain
    outputs: tuple[str, ...]
    network: Spec
    boundaries: Mapping[str, ExactBoundary]
    soft: tuple[Constraint, ...] = ()
    periodic: tuple[str, ...] = ()
    corners: bool = False
    features: tuple[Feature, ...] = ()
    closely: bool = False
    lenses: tuple[Lens, ...] = ()
    relaxed: bool = True
    parameters: tuple[Parameter, ...] = ()
    fields: Mapping[str, Spec] = field(default_factory=dict)
    starts: tuple[Callable[..., Tensor], ...] = ()
    scales: Scales = field(default_factory=Scales)
    singular: tuple[SingularCorner, ...] = ()

    @property
    def inputs(self) -> int:
        """How many inputs the network has."""
        return len(self.input_names)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the network's inputs.

        A periodic coordinate takes two, its cosine and its sine, or none but itself where the
        network closes the circle; every piece has inputs of its own, and every lens one a
        coordinate of space.
        """
        own = tuple(
            name
            for x, turned in self.seen
            for name in ((f"cos {x}", f"sin {x}") if turned else (x,))
        )
        if isinstance(self.domain, Pieces):
            return own * len(self.domain.regions)
        return (*own, *self.lensed)

    @property
    def lensed(self) -> tuple[str, ...]:
        """Names of the inputs that look at holes, the last ones."""
        return tuple(
            f"{x} near {lens.hole.face}" for lens in self.lenses for x in self.domain.space
        )

    @property
    def seen(self) -> tuple[tuple[str, bool], ...]:
        """The coordinates in the order of the inputs, each with whether its cosine and its sine are
        seen in its place. Where networks of both ways are joined, a periodic one comes in both."""
        specs = [self.network, *(self._of_field(p) for p in self.parameters)]
        wraps = {spec.wraps for spec in specs}
        return tuple(
            (x, turned)
            for x in self.domain.coordinates
            for turned in (False, True)
            if ((not turned) in wraps if x in self.periodic else not turned)
        )

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the parameters that are numbers, the last of the outputs."""
        return tuple(p.name for p in self.parameters if not isinstance(p, Field))

    def initial(self, generator: torch.Generator) -> Network:
        """A new random network.

        Args:
            generator: What the first coefficients are drawn from.

        Returns:
            The network, float64 on the CPU.
        """
        if isinstance(self.domain, Pieces):
            return joint(self._by_piece(self.domain, generator), self.inputs)
        unknowns = len(self.outputs) - len(self.parameters)
        seen = self._seen_by(self.network, self.domain.coordinates)
        seen = (*seen, *range(self.inputs - len(self.lensed), self.inputs))
        network = self._along(self.network, seen).build(len(seen), unknowns, generator)
        if self.parameters or len(seen) < self.inputs:
            network = joint(self._with_parameters(network, seen, generator), self.inputs)
        if self.features:
            network = with_constants(network, Constants((Transform(),) * len(self.features)))
        return network

    def solution(self, network: Network) -> NetworkSolution:
        """The candidate that a network stands for.

        Args:
            network: The network.

        Raises:
            ValueError: The network has not as many inputs or outputs as the space asks for.
        """
        if not self.holds(network):
            raise ValueError(
                f"{network.describe()}: {network.widths[0]} inputs and {network.widths[-1]}"
                f" outputs; expected {self.inputs} and {len(self.outputs) + len(self.features)}"
            )
        return NetworkSolution(self, network)

    def holds(self, network: Network) -> bool:
        """Whether a network has as many inputs and outputs as the space asks for.

        Args:
            network: The network.
        """
        ends = self.inputs, len(self.outputs) + len(self.features)
        return (network.widths[0], network.widths[-1]) == ends

    def frame(self, points: Float[Tensor, "points dims"], needs: Sequence[Leaf]) -> Frame:
        """Prepare the evaluation of derivatives at points: what depends on the points alone.

        Args:
            points: Where; they are taken in float64 on the CPU.
            needs: The derivatives, each an output and how often by every coordinate.

        Returns:
            The frame, float64 on the CPU.
        """
        points = points.detach().double().cpu()
        unit = UnitCoordinates.of(self.domain, points)
        own = None
        if self._by_axes and suits(needs, points.shape[1]):
            factors = factor_derivatives(self.boundaries, points, needs)
            own = axis_map(unit.scale, self.boundaries, factors, needs, points)
            mapping, counts = own.factors, own.counts
            X = ((points - unit.bounds[:, 0]) * unit.scale - 1)[:, None]
        else:
            mapping, directions = network_map(unit, self.boundaries, points, needs)
            X = input_jet(self.domain, unit, self.seen, self.lenses, points, directions)
            counts = directions.counts
        lift = lifted(self.boundaries, points, needs)
        features = feature_derivatives(self.features, points, needs) if self.features else None
        for a, (u, alpha) in enumerate(needs):
            if (size := self.scales.size(u)) != 1:
                mapping = mapping.clone() if own else mapping
                mapping[:, a] *= size
                if features is not None:
                    features[:, a] *= size
            if (offset := self.scales.offset(u)) and not any(alpha):
                lift[:, a] += offset
        return Frame(
            points,
            X,
            counts,
            mapping,
            lift,
            tuple(self.outputs.index(u) for u, _ in needs),
            features,
            None if own is None else own.channels,
        )

    @property
    def _by_axes(self) -> bool:
        """Whether the network takes derivatives along many coordinates by points alone."""
        apart = isinstance(self.domain, Pieces) or self.periodic or self.parameters or self.lenses
        return self.network.along_axes and not apart

    def tempered(
        self, points: Float[Tensor, "points dims"], on_face: bool
    ) -> Float[Tensor, " points"] | None:
        """What residuals are multiplied by (see corner_pencils.py); None where nothing is singular.

        Args:
            points: Where they are taken.
            on_face: Whether they are those of conditions.
        """
        if not self.singular:
            return None
        return tempering(self.singular, self.domain, points, on_face)

    def over(self, problem: Problem) -> TrialSpace:
        """The space with the same choices for another problem, such as a span of the time.

        Args:
            problem: The other problem.
        """
        choices = self.network, self.fields, self.corners, self.closely
        return trial_space(problem, *choices, self.scales, self.relaxed)

    def built_in(self) -> tuple[str, ...]:
        """What holds by construction on a domain that is no box, and what does not, a line each."""
        lines = []
        for unknown, boundary in self.boundaries.items():
            groups = boundary.curved.groups if boundary.curved else ()
            faces = [face for group in groups for face in group.faces]
            if faces:
                lines.append(
                    f"values of {unknown} hold exactly on {listed(faces)}, by smooth implicit"
                    " functions"
                )
        values = [
            c.label for c in self.soft if c.prescribed is not None and not c.prescribed.derivative
        ]
        if values:
            why = (
                "the solution has corner functions, which do not vanish there"
                if self.features
                else "a face has no smooth implicit function, or meets one with other data"
            )
            lines.append(f"{listed(values)}: soft, with a balanced weight, since {why}")
        if self.features:
            labels = listed([f.label for f in self.features])
            lines.append(f"corners: {labels}, with trained coefficients")
        return tuple(lines)

    def _by_piece(self, domain: Pieces, generator: torch.Generator) -> list[Part]:
        """A network for each piece, of coordinates of its own."""
        own, parts = len(domain.coordinates), []
        for k, piece in enumerate(domain.regions):
            outputs = sum(domain.home(name) == piece for name in self.outputs)
            seen = tuple(range(k * own, (k + 1) * own))
            parts.append(Part(self.network.build(own, outputs, generator), seen))
        return parts

    def _with_parameters(
        self, main: Network, seen: tuple[int, ...], generator: torch.Generator
    ) -> list[Part]:
        """The network of the unknowns, one for each field, and the numbers as constants."""
        parts = [Part(main, seen)]
        for p in self.parameters:
            if isinstance(p, Field):
                spec = self._of_field(p)
                seen = self._seen_by(spec, p.of)
                own = self._along(spec, seen).build(len(seen), 1, generator)
                last = own.layers[-1].size
                own = replace(own, theta=torch.cat([own.theta[:-last], QUIET * own.theta[-last:]]))
                parts.append(Part(onto(own, (_transform(p),)), seen, grows=False))
        numbers = tuple(_transform(p) for p in self.parameters if not isinstance(p, Field))
        if numbers:
            parts.append(Part(Constants(numbers).build(), (), grows=False))
        return parts

    def _of_field(self, parameter: Parameter) -> Spec:
        """What represents a parameter, where it is a field; else a number, which sees nothing."""
        if isinstance(parameter, Field):
            return self.fields.get(parameter.name, FIELD)
        return self.network

    def _seen_by(self, spec: Spec, coordinates: Collection[str]) -> tuple[int, ...]:
        """The network inputs that stand for coordinates: a periodic one has two, unless the network
        wraps."""
        names = [(x, turned) for x, turned in self.seen for _ in range(2 if turned else 1)]
        return tuple(
            i
            for i, (x, turned) in enumerate(names)
            if x in coordinates and turned == (x in self.periodic and not spec.wraps)
        )

    def _along(self, spec: Spec, seen: Sequence[int]) -> Spec:
        """The settings of a network that sees some of the inputs."""
        names = self.input_names
        return spec.along([k for k, i in enumerate(seen) if names[i] in self.periodic])


class NetworkSolution(Composition):
    """A network as a candidate solution, with everything that its space builds in.

    Training puts other networks in the place of the first one. Calling it on points [points, dims]
    gives the unknowns [points, unknowns].

    Attributes:
        space: What it is a candidate of.
        network: What is trained.
    """

    def __init__(self, space: TrialSpace, network: Network):
        self.space, self.domain, self._network = space, space.domain, network

    @property
    def network(self) -> Network:
        """What is trained."""
        return self._network

    @network.setter
    def network(self, network: Network) -> None:
        self._network = network

    @property
    def unknowns(self) -> tuple[str, ...]:
        """Names of all that is unknown, an output each."""
        return self.space.outputs

    def tempered(
        self, points: Float[Tensor, "points dims"], on_face: bool
    ) -> Float[Tensor, " points"] | None:
        return self.space.tempered(points, on_face)

    @property
    def parameters(self) -> int:
        return self.network.parameters

    @property
    def input_names(self) -> tuple[str, ...]:
        return self.space.input_names

    def describe(self) -> str:
        return self.network.describe()

    def numbers(self) -> dict[str, float]:
        """Present values of the parameters that are numbers, by name."""
        names = self.space.numbers
        if not names:
            return {}
        X = self.network.theta.new_zeros(1, 1, self.network.widths[0])
        first = len(self.unknowns) - len(names)
        values = self.network.forward(X, ())[-1][0, 0, first:].tolist()
        return dict(zip(names, values, strict=True))

    def frame(self, points: Float[Tensor, "points dims"], needs: Sequence[Leaf]) -> Frame:
        """The frame of the space, on the device and in the precision of the network.

        Args:
            points: Where, [points, dims]; they are taken in float64 on the CPU.
            needs: The derivatives, each an output and how often by every coordinate.
        """
        return self.space.frame(points, needs).to(self.network.theta)

    def __call__(self, points: Float[Tensor, "points dims"]) -> Float[Tensor, "points unknowns"]:
        value, names = (0,) * len(self.domain.coordinates), self.unknowns
        if isinstance(self.domain, Pieces):
            names = tuple(dict.fromkeys(u.removesuffix(f"_{self.domain.home(u)}") for u in names))
        return self.derivatives(points, [(u, value) for u in names])

    def derivatives(
        self, points: Float[Tensor, "points dims"], leaves: Sequence[Leaf]
    ) -> Float[Tensor, "points leaves"]:
        if not isinstance(self.domain, Pieces):
            return self._derivatives(points, leaves)
        which = self.domain.region(points.detach().double().cpu()).to(points.device)
        found = self.network.theta.new_full((len(points), len(leaves)), math.nan)
        for k, piece in enumerate(self.domain.regions):
            here = (which == k).nonzero()[:, 0]
            copies = {
                a: (f"{u}_{piece}", index)
                for a, (u, index) in enumerate(leaves)
                if f"{u}_{piece}" in self.unknowns
            }
            found[here[:, None], torch.tensor(list(copies), device=here.device)] = (
                self._derivatives(points[here], list(copies.values()))
            )
        return found

    def _derivatives(self, points: Tensor, leaves: Sequence[Leaf]) -> Tensor:
        frame = self.frame(points, leaves)
        return frame.derivatives(self.network.forward(frame.X, frame.counts)[-1])

    def state(self) -> dict[str, Any]:
        about = {
            "corners": self.space.corners,
            "lenses": self.space.closely,
            "scales": self.space.scales.plain(),
            "relaxed": self.space.relaxed,
        }
        return {**state(self.network), **about}


def trial_space(
    problem: Problem,
    network: Spec | None = None,
    fields: Mapping[str, Spec] | None = None,
    corners: bool = True,
    lenses: bool = False,
    scales: Scales | None = None,
    relaxed: bool = True,
) -> TrialSpace:
    """The candidates for the solution of a problem.

    Args:
        problem: What is to be solved.
        network: What represents the unknowns, KAN() by default.
        fields: What represents fields among the parameters, by name.
        corners: Whether the functions that a solution has in re-entrant corners, and their like,
            are part of it, where there are any (see enrichment.py); and whether residuals count
            less in singular corners that have none.
        lenses: Whether the network looks closely at every hole of the domain (see lenses.py).
        scales: Of the problem; by default all is taken for of order 1.
        relaxed: Whether data that jump, bend or contradict each other are built in with layers or
            not at all (see singular_data.py); they were built in as they are once.
    """
    scales = scales or Scales()
    domain, outputs, periodic = problem.domain, problem.outputs, problem.periodic
    features = enrichment(domain, problem.constraints, outputs, periodic) if corners else []
    # Values in space that the corner functions, or what is periodic, would break stay soft.
    free = {*outputs} if periodic else {f.unknown for f in features}
    given, layers = regular(problem) if relaxed else (problem.constraints, {})
    boundaries, soft = split(domain, scales.shifted(given), outputs, free, layers)
    return TrialSpace(
        domain,
        outputs,
        network or KAN(),
        boundaries,
        soft=tuple(soft),
        periodic=tuple(periodic),
        corners=corners,
        features=tuple(features),
        closely=lenses,
        lenses=tuple(lenses_of(domain)) if lenses else (),
        relaxed=relaxed,
        parameters=problem.parameters,
        fields=dict(fields or {}),
        starts=tuple(
            value
            for condition in problem.conditions
            if isinstance(condition, Initial)
            for value in condition.values.values()
            if callable(value)
        ),
        scales=scales,
        singular=singular_corners(problem) if corners and not features else (),
    )


def tabular_space(
    domain: Domain, outputs: Sequence[str], network: Spec | None = None
) -> TrialSpace:
    """The candidates for functions of which nothing but values is known.

    Args:
        domain: The ranges of the inputs.
        outputs: Names of the functions.
        network: What represents them, KAN() by default.
    """
    boundaries, _ = split(domain, (), outputs)
    return TrialSpace(domain, tuple(outputs), network or KAN(), boundaries)


def _transform(parameter: Parameter) -> Transform:
    return Transform(parameter.initial, parameter.low, parameter.high)
