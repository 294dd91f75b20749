"""The result of a solve: a function to evaluate, its errors, and the way to its run folder and
back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kanpde.errors import ProblemError, RunError, listed, nearest
from kanpde.geometry import many
from kanpde.geometry.sampling import inside_points
from kanpde.inverse.estimates import Estimates
from kanpde.networks.solution import Composition
from kanpde.problem.file import identity
from kanpde.problem.problem import Problem
from kanpde.products.solution import TensorSolution
from kanpde.provenance import provenance
from kanpde.residual.functions import at_point
from kanpde.results.fields import Fields, dense_grid, evaluate, exact_on, relative_l2, solution_on
from kanpde.results.fields import measure as measure
from kanpde.results.fields import measure_reference as measure_reference
from kanpde.results.gaps import Gap
from kanpde.results.judging import judge
from kanpde.results.meshes import MeshDrawing, mesh_of
from kanpde.results.portrait import Drawing as Drawing
from kanpde.results.portrait import portrait
from kanpde.results.quantities import quantities
from kanpde.results.residuals import Met
from kanpde.results.variables import coordinate_attributes, global_attributes, variables
from kanpde.results.verdict import NOT_YET, Asked, Diagnosis, Verdict
from kanpde.training.history import History

if TYPE_CHECKING:
    from kanpde.networks.solution import Solution
    from kanpde.reference import Reference

RUN_FORMAT = "kanpde run 1"
"""Of the summary, and of the run folder in which it lies."""

_SLACK = 1e-9

PORTRAYED = 1024
"""Points at which importance and activations of a picture are taken."""


@dataclass(eq=False)
class Result:
    """A solved problem; call it with coordinates by name.

    Attributes:
        problem: What was solved; None only after `load` of a run whose problem file is gone.
        solution: The trained candidate; None as the problem is.
        history: Steps and stages of training.
        settings: Plain values that say how it was solved.
        seconds: The seconds of training.
        relative_l2: Relative error against the exact solution, None where that is not known.
        max_error: The largest error against it.
        reference: Finite differences, or None.
        reference_note: Why there is no reference.
        reference_relative_l2: Relative distance to the reference.
        run_dir: The run folder, where it was written.
        provenance: Versions, machine, date.
        estimates: What was found of the problem's unknown parameters, if it has any.
        verdict: What is to be believed of it, and what to try.
        errors: Distances to the exact solution of the unknowns of which it is known.
        reference_errors: Distances to the reference by unknown, with the reference's own error.
        met: How well it meets its equations and conditions; None where that was not measured.
        doubtful: Whether there is no reference since there seems to be no solution.
        asked: The tolerance that was asked for, and what the solution says of it; None for none.
        ends: Whether there is none since the solution ends before its time does.
        numbers: Parameters that conditions determine, by name.
    """

    problem: Problem | None
    solution: Solution | None
    history: History
    settings: dict[str, Any]
    seconds: float
    relative_l2: float | None = None
    max_error: float | None = None
    reference: Reference | None = None
    reference_note: str = ""
    reference_relative_l2: float | None = None
    run_dir: Path | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    estimates: Estimates | None = None
    verdict: Verdict = NOT_YET
    errors: Mapping[str, Gap] = field(default_factory=dict)
    reference_errors: Mapping[str, Gap] = field(default_factory=dict)
    met: Met | None = None
    doubtful: bool = False
    asked: Asked | None = None
    ends: bool = False
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.problem is not None and self.solution is not None:
            self.settings = {**_described(self.problem, self.solution), **self.settings}
        self.provenance = self.provenance or provenance(str(self.settings.get("device", "cpu")))
        if self.verdict is NOT_YET:
            self.verdict = self.judged()

    def __repr__(self) -> str:
        error = self.reference_relative_l2 if self.relative_l2 is None else self.relative_l2
        shown = (
            ""
            if error is None
            else (
                ", relative L2"
                f" {error:.1e}{' against the reference' if self.relative_l2 is None else ''}"
            )
        )
        return (
            f"Result({self.name}: {self.settings.get('network')}, {self.settings.get('parameters')}"
            f" parameters{shown})"
        )

    def __call__(self, **coordinates: Any) -> Any:
        """Values of the solution at points.

        Args:
            **coordinates: The points by coordinate name: numbers, NumPy arrays or tensors that
                broadcast together.

        Returns:
            What came in, a number, an array or a tensor, of the broadcast shape; a dict by unknown
            where there are several.

        Raises:
            ProblemError: Coordinates are missing, unknown, outside the domain, or do not broadcast.
        """
        problem, solution = self._solved()
        points, shape, values = self._at(coordinates)
        found = evaluate(solution, points)
        kind = {
            u: _like(found[:, i].reshape(shape), values) for i, u in enumerate(problem.functions)
        }
        return kind if len(kind) > 1 else kind[problem.unknowns[0]]

    def evaluate(self, function: Callable[..., Any], **coordinates: Any) -> Any:
        """A quantity of the solution at points, such as a flux or a stress.

        Derivatives are exact ones of the network, to rounding.

        Args:
            function: Takes unknowns, parameters and coordinates by name, and may use d, grad, div
                and laplacian, as an equation does.
            **coordinates: The points by coordinate name, as in a call.

        Returns:
            Values of the kind that came in, as in a call; where the function returns several
            numbers, a tuple.

        Raises:
            ProblemError: A call would refuse the points, or the function fails.
        """
        problem, solution = self._solved()
        points, shape, values = self._at(coordinates)
        found = tuple(
            _like(row.reshape(shape), values)
            for row in quantities(problem, solution, function, points)
        )
        return found if len(found) > 1 else found[0]

    def _at(self, coordinates: Mapping[str, Any]) -> tuple[Tensor, torch.Size, list[Any]]:
        """Points [points, dims] inside the domain, the broadcast shape, and the values in the order
        of the coordinates."""
        problem, _ = self._solved()
        names = problem.coordinates
        coordinates = _components(coordinates, problem.domain.vectors)
        for name in coordinates:
            if name not in names:
                raise ProblemError(
                    f"result({name}=…): no such coordinate; they are"
                    f" {listed(names)}{nearest(name, names)}"
                )
        missing = [name for name in names if name not in coordinates]
        if missing:
            raise ProblemError(
                f"result(…): {missing[0]!r} is missing; expected"
                f" {', '.join(f'{x}=…' for x in names)}"
            )
        values = [coordinates[x] for x in names]
        points, shape = _points(names, values)
        return _inside(points, problem), shape, values

    @property
    def name(self) -> str:
        """Name of the problem."""
        return str(self.settings.get("problem", "problem"))

    @property
    def unknowns(self) -> tuple[str, ...]:
        """Names of the unknowns."""
        return tuple(self.settings["unknowns"])

    @property
    def known_error(self) -> float | None:
        """The relative error by the best judge that there is: the exact solution, the reference,
        the solution's own estimate; None where there is none."""
        estimate = _last(self.history.column("estimate"))
        every = (self.relative_l2, self.reference_relative_l2, estimate)
        return next((error for error in every if error is not None), None)

    @cached_property
    def fields(self) -> Fields:
        """Solution, reference and exact values on the reference's grid, or on an even one where
        there is no reference."""
        problem, solution = self._solved()
        grid = self.reference.coordinates if self.reference else dense_grid(problem.domain)
        return Fields(
            grid,
            solution_on(solution, problem.functions, grid),
            self.reference.values if self.reference else {},
            exact_on(problem, grid),
        )

    @cached_property
    def drawing(self) -> Drawing | MeshDrawing:
        """The network as arrays: its edge functions, or the cells of its splines."""
        problem, solution = self._solved()
        if isinstance(solution, TensorSolution):
            return mesh_of(solution)
        assert isinstance(solution, Composition)
        return portrait(solution, problem.outputs, inside_points(problem.domain, PORTRAYED, 0))

    def summary(self) -> dict[str, Any]:
        """The object of `--json` and summary.json: plain values, and None where a number is not
        known or not finite."""
        settings, history = self.settings, self.history
        reference = self.reference
        measured = {
            "format": RUN_FORMAT,
            "problem": self.name,
            "title": settings.get("title"),
            "constants": settings.get("constants", {}),
            "network": settings.get("network"),
            "parameters": settings.get("parameters"),
            "verdict": self.verdict.plain(),
            "relative_l2": self.relative_l2,
            "max_error": self.max_error,
            "estimate": _last(history.column("estimate")),
            "errors": {u: gap.plain() for u, gap in self.errors.items()},
            **self._measured_residuals(),
            **({"numbers": dict(self.numbers)} if self.numbers else {}),
            "seconds": self.seconds,
            **(self.estimates.summary() if self.estimates else {}),
            "reference": {
                "kind": reference.kind if reference else None,
                "order": reference.order if reference else None,
                "relative_l2": self.reference_relative_l2,
                "estimated_error": reference.estimated_error if reference else None,
                "estimated_errors": reference.estimated_errors if reference else None,
                "scales": reference.scales if reference else None,
                **({"numbers": reference.numbers} if reference and reference.numbers else {}),
                "doubt": reference.doubt or None if reference else None,
                "exact_error": self._reference_error(),
                "seconds": reference.seconds if reference else None,
                "note": self.reference_note or None,
                "doubtful": self.doubtful,
                "ends": self.ends,
                "errors": {u: gap.plain() for u, gap in self.reference_errors.items()},
            },
            "run_dir": str(self.run_dir) if self.run_dir else None,
            "seed": settings.get("seed"),
            "loss": _last(history.column("loss")),
            "fresh": _last(history.column("fresh")),
            "steps": len(history.records),
            "stages": [{"title": title, "ended": reason} for title, reason in history.stages],
            "interrupted": history.interrupted,
            "settings": settings,
            "provenance": self.provenance,
        }
        return {key: _plain(value) for key, value in measured.items()}

    def solved(self) -> tuple[Problem, Solution]:
        """Problem and trained candidate.

        Raises:
            ProblemError: The problem of a loaded run was not found again.
        """
        return self._solved()

    def to_xarray(self) -> Any:
        """The fields as an xarray.Dataset, with the names and attributes that run.h5 has.

        Raises:
            RunError: xarray is not installed.
        """
        try:
            import xarray
        except ImportError:
            raise RunError(
                "to_xarray: needs xarray, which is not installed: pip install 'kanpde[xarray]'"
            ) from None
        fields, settings = self.fields, self.settings
        units, names = settings.get("units", {}), tuple(fields.grid)
        coordinates = {
            x: (x, nodes, coordinate_attributes(x, names, settings.get("time"), units))
            for x, nodes in fields.grid.items()
        }
        data = {v.name: (names, v.values, v.attributes) for v in variables(fields, units)}
        return xarray.Dataset(
            data,
            coordinates,
            {
                **global_attributes(settings, self.provenance),
                "problem": self.name,
                "verdict": str(self.verdict),
            },
        )

    def judged(self, seen: Sequence[Diagnosis] = ()) -> Verdict:
        """The verdict by the errors that are known.

        Args:
            seen: What else was seen in the solution, the most important first.
        """
        exact = self.problem.exact if self.problem is not None else self.unknowns
        own = self.reference.estimated_error if self.reference else 0.0
        return judge(
            self.errors or _together(self.relative_l2, self.max_error),
            self.reference_errors or _together(self.reference_relative_l2, None, own),
            complete=all(u in exact for u in self.unknowns),
            met=self.met,
            note=self.reference_note,
            doubt=self.reference.doubt if self.reference else "",
            doubtful=self.doubtful,
            ends=self.ends,
            interrupted=self.history.interrupted,
            seen=seen,
            effort=str(self.settings.get("effort", "")),
            asked=self.asked,
        )

    def _measured_residuals(self) -> dict[str, Any]:
        """How well equations and conditions are met, where that was measured."""
        if self.met is None:
            return {}
        return {"equations": self.met.equations, "conditions": self.met.conditions}

    def _reference_error(self) -> float | None:
        """The reference's own true error, where the exact solution is known."""
        exact = self.fields.exact if self.reference else {}
        return relative_l2(self.fields.reference, exact) if exact else None

    def _solved(self) -> tuple[Problem, Solution]:
        if self.problem is None or self.solution is None:
            raise ProblemError(
                f"{self.run_dir}: the problem {self.name!r} was not found again; pass it:"
                f" kanpde.load({str(self.run_dir)!r}, problem=…)"
            )
        return self.problem, self.solution


def _described(problem: Problem, solution: Solution) -> dict[str, Any]:
    about = {**identity(problem), "network": solution.describe()}
    if many(problem.domain):
        shown = dense_grid(problem.domain)
        about["rest"] = _briefly([x for x in problem.coordinates if x not in shown])
    return {**about, "parameters": solution.parameters}


def _briefly(names: Sequence[str]) -> str:
    """The first and the last of some names."""
    return listed(names) if len(names) < 4 else f"{names[0]} to {names[-1]}"


def _components(
    coordinates: Mapping[str, Any], vectors: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Values by coordinate, those of a vector by its components, which are along the last axis."""
    found: dict[str, Any] = {}
    for name, value in coordinates.items():
        if name not in vectors:
            found[name] = value
            continue
        values = value if isinstance(value, Tensor) else np.asarray(value)
        own = vectors[name]
        if not values.ndim or values.shape[-1] != len(own):
            raise ProblemError(
                f"result({name}=…): got shape {list(values.shape)}; expected […, {len(own)}], the"
                f" components {name}[0] to {name}[{len(own) - 1}] along the last axis"
            )
        found |= {x: values[..., i] for i, x in enumerate(own)}
    return found


def _points(names: tuple[str, ...], values: list[Any]) -> tuple[Tensor, torch.Size]:
    """Broadcast values as points [points, dimensions], and the broadcast shape."""
    device = next((v.device for v in values if isinstance(v, Tensor)), torch.device("cpu"))
    columns = []
    for name, value in zip(names, values, strict=True):
        try:
            column = (
                value
                if isinstance(value, Tensor)
                else torch.as_tensor(np.asarray(value, dtype=np.float64), device=device)
            )
        except (TypeError, ValueError):
            raise ProblemError(
                f"result({name}=…): got {type(value).__name__}; expected a number, a NumPy array or"
                " a tensor"
            ) from None
        columns.append(column.double())
    try:
        broadcast = torch.broadcast_tensors(*columns)
    except RuntimeError:
        shapes = ", ".join(f"{x} {list(c.shape)}" for x, c in zip(names, columns, strict=True))
        raise ProblemError(f"result(…): the shapes do not broadcast: {shapes}") from None
    return torch.stack([b.reshape(-1) for b in broadcast], 1), broadcast[0].shape


def _inside(points: Tensor, problem: Problem) -> Tensor:
    """The points, those beyond an end by rounding moved onto it; raises ProblemError for any
    further out."""
    bounds = points.new_tensor(list(problem.domain.bounds.values()))
    low, high = bounds[:, 0], bounds[:, 1]
    slack = _SLACK * (high - low)
    outside = ~((points >= low - slack) & (points <= high + slack))
    if outside.any():
        row, column = (int(i) for i in outside.nonzero()[0])
        name = problem.coordinates[column]
        raise ProblemError(
            f"result({name}=…): {float(points[row, column]):g} is outside"
            f" {name}=({float(low[column]):g}, {float(high[column]):g})"
        )
    points = points.clamp(low, high)
    if problem.domain.is_box:
        return points
    within = problem.domain.inside(points, _SLACK * float((high - low).max()))
    if not within.all():
        at = at_point(
            dict(zip(problem.coordinates, points.T, strict=True)), int((~within).nonzero()[0])
        )
        count = int((~within).sum())
        more = f", and so are {count - 1} more of {len(points)} points" if count > 1 else ""
        raise ProblemError(f"result(…): {at} is outside of {problem.domain!r}{more}")
    return points


def _like(found: Tensor, values: list[Any]) -> Any:
    """The values as the kind that came in: a tensor, an array, or a float."""
    tensors = [v for v in values if isinstance(v, Tensor)]
    if tensors:
        tensor = next((v for v in tensors if v.is_floating_point()), tensors[0])
        return found.to(
            device=tensor.device, dtype=tensor.dtype if tensor.is_floating_point() else found.dtype
        )
    array = found.cpu().double().numpy()
    return array if any(np.ndim(v) or isinstance(v, np.ndarray) for v in values) else float(array)


def _together(relative_l2: float | None, largest: float | None, own: float = 0.0) -> dict[str, Gap]:
    """What is known of all unknowns together, in the place of gaps by unknown."""
    if relative_l2 is None:
        return {}
    peak = math.nan if largest is None else largest
    return {"": Gap(relative_l2, peak, size=1.0, variation=1.0, own=own)}


def _last(column: list[float]) -> float | None:
    """The last finite number of a column."""
    return next((x for x in reversed(column) if math.isfinite(x)), None)


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str | None) else str(value)


plain = _plain
"""For the summaries of other kinds of runs."""
