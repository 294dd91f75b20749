"""Which network, which points, which schedule: the recipe of a problem, and a default one with its
reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from kanpde.errors import RecipeError, listed, nearest
from kanpde.geometry import Domain, Pieces, holes
from kanpde.networks.kan import KAN
from kanpde.networks.kind import NetworkKind
from kanpde.networks.kinds.tensor import Tensor
from kanpde.networks.registry import NETWORK_KINDS, SPECS
from kanpde.networks.scales import Scales
from kanpde.networks.spec import Spec, Suited
from kanpde.networks.trial_space import TrialSpace, trial_space
from kanpde.problem.efforts import EFFORTS
from kanpde.recipes.pace import pace
from kanpde.recipes.tolerances import check_tolerance
from kanpde.training import Balance, Change, Stage, TrainingPlan, parse_schedule
from kanpde.training.compressing import Compress
from kanpde.training.pruning import Prune
from kanpde.training.schedule import CHANGES, LOSSY, OPTIMISERS, show_schedule
from kanpde.training.sparsity import Sparsify

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem

K = TypeVar("K", bound=NetworkKind)


@dataclass(frozen=True)
class Recipe:
    """How to solve a problem: which network, which points, which schedule.

    Attributes:
        network: KAN(…), MLP(…) or another kind of networks/registry.py. One that is no chain of
            layers, such as Tensor(), has nothing of what follows but the tolerance.
        points: Number of collocation points inside the domain.
        schedule: Stages in order, or their text, such as "lm:60,extend:12,lm:60".
        restarts: Random starts of the first stage, of which the best goes on.
        sampler: How points are spread: "sobol", "halton", "latin-hypercube" or "uniform".
        slabs: Equal spans of time, solved one after another, each from the final values of the one
            before.
        continuation: Values of constants of the problem's file, such as {"nu": (0.1, 0.03)}, on the
            way to the problem's own: the first stage is done for each of them.
        balance: "none", "ntk", "gradient" or "attention": how much the equations of a system, the
            soft conditions and single points count (see training/balancing.py).
        causal: ε of weights that take times in their order; 0 for none.
        fields: The networks of fields among a problem's parameters, by name.
        data: Weight of the problem's data beside the equations, 1 where their rows are equal; where
            the data are noisy, training lowers it by itself.
        corners: Whether the functions that a solution has in re-entrant corners, and their like,
            are part of it (see networks/enrichment.py).
        lenses: Whether the network has inputs of its own about every hole of the domain, which see
            it enlarged (see networks/lenses.py).
        crowding: Share of the points that crowd about holes, 0 to 1.
        tolerance: Error, over an unknown's own variation, at which the solution is good enough;
            None where all stages are done.
        or_layers: Whether layers are trained in the place of products of splines that come to
            nothing, since nobody asked for those.

    Raises:
        RecipeError: A value is out of range, the schedule cannot be read or holds no optimiser, or
            settings contradict each other.
    """

    network: NetworkKind = field(default_factory=KAN)
    points: int = 1600
    schedule: Sequence[Stage] | str = ()
    restarts: int = 1
    sampler: str = "sobol"
    slabs: int = 1
    continuation: Mapping[str, Sequence[float]] = field(default_factory=dict)
    balance: str = "none"
    causal: float = 0.0
    fields: Mapping[str, Spec] = field(default_factory=dict)
    data: float = 1.0
    corners: bool = True
    lenses: bool = False
    crowding: float = 0.0
    tolerance: float | None = None
    or_layers: bool = False

    @property
    def spec(self) -> Spec:
        """The network, where it is a chain of layers, as whoever asks has made sure."""
        assert isinstance(self.network, Spec)
        return self.network

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of the schedule, parsed where it is text."""
        return tuple(
            parse_schedule(self.schedule) if isinstance(self.schedule, str) else self.schedule
        )

    @property
    def compressed_to(self) -> float:
        """What is lost where products of splines become one network; 0 where they do not."""
        return sum(stage.loss for stage in self.stages if isinstance(stage, Compress))

    @property
    def path(self) -> tuple[dict[str, float], ...]:
        """The constants of the easier problems on the way, one after another."""
        count = max((len(values) for values in self.continuation.values()), default=0)
        return tuple(
            {name: values[i] for name, values in self.continuation.items()} for i in range(count)
        )

    def plan(self, seed: int, device: str, dtype: torch.dtype) -> TrainingPlan:
        """How training goes.

        Args:
            seed: Seed of the network's coefficients and of the points.
            device: Where the network is, "cpu" or "cuda".
            dtype: Its precision.
        """
        return TrainingPlan(
            self.stages,
            self.points,
            seed,
            device,
            dtype,
            restarts=self.restarts,
            sampler=self.sampler,
            crowding=self.crowding,
            spans=self.slabs,
            path=self.path,
            balance=self.balance,
            causal=self.causal,
            data=self.data,
        )

    def space(self, problem: Problem, scales: Scales | None = None) -> TrialSpace:
        """The candidates for the solution of a problem.

        Args:
            problem: What is to be solved.
            scales: Of the problem; by default all is taken for of order 1.
        """
        return trial_space(problem, self.spec, self.fields, self.corners, self.lenses, scales)

    def __post_init__(self) -> None:
        check_tolerance(self.tolerance)
        if not isinstance(self.network, Spec):
            self._check_left_alone()
            return
        for name in ("points", "restarts", "slabs"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise RecipeError(
                    f"{name}: got {getattr(self, name)}; expected a whole number, at least 1"
                )
        Balance(self.balance, self.causal, "t")
        if not 0 <= self.crowding <= 1:
            raise RecipeError(f"crowding: got {self.crowding:g}; expected a share, 0 to 1")
        if self.compressed_to:
            raise RecipeError(
                f"schedule: got {show_schedule(self.stages)} with a {self.network.title}, but"
                " compress takes products of splines; expected --network tensor with it, or prune"
            )
        if not any(not isinstance(stage, Change) for stage in self.stages):
            raise RecipeError(
                "schedule: holds no optimiser; expected such as lm:60,extend:12,lm:60"
            )
        if len({len(values) for values in self.continuation.values()}) > 1:
            counts = [f"{len(v)} values of {name}" for name, v in self.continuation.items()]
            raise RecipeError(f"continuation: got {listed(counts)}; expected as many of each")
        fewer = [stage for stage in self.stages if isinstance(stage, Prune | Sparsify)]
        if fewer and self.tolerance is not None:
            raise RecipeError(
                f"tolerance: got {self.tolerance:g} with {show_schedule(fewer)} in the schedule,"
                " which gives up accuracy for fewer edges; expected one of them"
            )

    def _check_left_alone(self) -> None:
        """Raise RecipeError where something is set that a network without layers has not."""
        for f in fields(self):
            usual = f.default if f.default_factory is MISSING else f.default_factory()
            value = vars(self)[f.name]
            if f.name not in ("network", "tolerance", "or_layers") and value != usual:
                only = [isinstance(stage, Compress) for stage in self.stages]
                if f.name == "schedule" and only == [True]:
                    continue
                shown = show_schedule(self.stages) if f.name == "schedule" else f"{value!r:.40}"
                but = ", or compress:1e-8 alone" if f.name == "schedule" else ""
                raise RecipeError(
                    f"{f.name}: got {shown}, but a {self.network.title} is refined up to its"
                    f" tolerance, without it; leave it out{but}, or choose another --network"
                )
        if self.tolerance is not None and self.compressed_to > self.tolerance:
            raise RecipeError(
                f"tolerance: got {self.tolerance:g} with {show_schedule(self.stages)} in the"
                " schedule, which may lose more than that; expected a smaller loss"
            )


@dataclass(frozen=True)
class Choice:
    """A recipe and why it was chosen.

    Attributes:
        recipe: The recipe.
        reasons: What was chosen and why, a line each.
        stated: Whether the problem's file states it, for whichever network.
    """

    recipe: Recipe
    reasons: tuple[str, ...]
    stated: bool = False


def choose(
    problem: Problem, given: Mapping[str, Recipe] | None = None, effort: str = "default"
) -> Choice:
    """The recipe of a problem for an effort, where layers are to solve it.

    It is the one that the problem's file states for that effort, else one made of its `recipe`,
    else its recipe for layers, `kan_record` and the like, or made of `kan`, else a default one.

    Args:
        problem: What is to be solved.
        given: The recipes that stand beside the problem (see problem.file.load).
        effort: "quick", "default" or "record".

    Returns:
        The recipe, with the reasons for it.

    Raises:
        RecipeError: There is no such effort, or what stands beside the problem is no recipe.
    """
    if effort not in EFFORTS:
        raise RecipeError(
            f"effort: got {effort!r}; expected one of {listed(EFFORTS)}{nearest(effort, EFFORTS)}"
        )
    given = given or {}
    for name, recipe in given.items():
        if not isinstance(recipe, Recipe):
            raise RecipeError(
                f"{'recipe' if name == 'default' else name}: got {type(recipe).__name__}; expected"
                " Recipe(…), or another name for it"
            )
    own = f"kan_{effort}"
    for name in (effort, "default", own, "kan"):
        if name in given:
            called = "the recipe" if name == "default" else f"the recipe {name!r}"
            why = f"{called} that stands beside the problem"
            found = _said(Choice(given[name], (why,), stated=name not in (own, "kan")), problem)
            return found if name in (effort, own) else _scaled(found, effort)
    return _scaled(_said(default(problem), problem), effort)


def _said(found: Choice, problem: Problem) -> Choice:
    """A choice that also says what holds exactly where the domain is no box, and what looks at its
    holes."""
    if problem.domain.is_box or not isinstance(found.recipe.network, Spec):
        return found
    recipe, seen = found.recipe, listed([hole.face for hole in holes(problem.domain)])
    closer = (f"inputs of their own about {seen}, which see it enlarged",) if recipe.lenses else ()
    crowded = (
        (f"{recipe.crowding:.0%} of the points crowd about {seen}",)
        if recipe.crowding and seen
        else ()
    )
    more = (*recipe.space(problem).built_in(), *closer, *crowded)
    return replace(found, reasons=(*found.reasons, *more))


def in_place(recipe: Recipe, network: Spec, stages: Sequence[Stage] | str) -> Recipe:
    """A recipe with a network of another kind, and the spans and points that suit that.

    Args:
        recipe: The recipe.
        network: The network.
        stages: What suits it.
    """
    return replace(
        recipe,
        network=network,
        schedule=stages,
        slabs=1 if network.whole_time else recipe.slabs,
        points=max(recipe.points, network.least_points),
    )


def suited(problem: Problem, kind: type[Spec]) -> Suited:
    """The network, the schedule and their reasons that a kind takes for a problem.

    Args:
        problem: What is to be solved.
        kind: The kind of network.
    """
    return kind.suited(bool(problem.domain.time), 2 * (len(problem.unknowns) - 1))


def default(problem: Problem, kind: type[Spec] = KAN) -> Choice:
    """A recipe from the problem alone, for a kind of network.

    A steady solution on a box gets one hidden layer of five units (and two more for each further
    unknown); an evolving one two hidden layers, which follow what moves, and so does one on another
    domain; splines of degree 7, from a coarse grid to a fine one, by Levenberg-Marquardt; other
    kinds of networks know what suits them. Points grow with the parameters and the dimension, so
    that the residual is over-determined. Where the start would change more than once around in the
    whole time, the time is taken in spans.

    Args:
        problem: What is to be solved.
        kind: The kind of network.

    Returns:
        The recipe, with the reasons for it.
    """
    dims = len(problem.coordinates)
    network, schedule, reasons = suited(problem, kind)
    if problem.domain.time:
        changes = None if problem.parameters or kind.whole_time else pace(problem)
        slabs = 1 if changes is None else max(1, math.ceil(changes / (2 * math.pi)))
        if slabs > 1 and changes is not None:
            reasons += (
                (
                    f"by its equation, the start changes {changes:.0f} times over (T |u_t| / |u|):"
                    f" {slabs} spans of time"
                ),
            )
        points = max(2000 + 1000 * (dims - 2), kind.least_points)
        return Choice(Recipe(network, points, schedule, restarts=3, slabs=slabs), reasons)
    if not _made_of_boxes(problem.domain) and kind is KAN:
        width = 8 + 2 * (len(problem.unknowns) - 1)
        reasons = (
            (
                "its boundary is curved or has corners: two hidden layers, since no one set of"
                " coordinates suits it"
            ),
            "splines of degree 7, from grid 3 to 6",
        )
        return Choice(
            Recipe(
                KAN(width=(width, width), degree=7, grid=3),
                2000 if dims == 2 else 3000,
                "lm:60,extend:6,lm:60",
                restarts=3,
            ),
            reasons,
        )
    points = max({1: 400, 2: 1600}.get(dims, 2500), LEAST_IN_A_PIECE * len(problem.groups))
    points = max(points, kind.least_points)
    return Choice(Recipe(network, points, schedule, restarts=3), reasons)


def _made_of_boxes(domain: Domain) -> bool:
    """Whether it is a box, or all of its pieces are."""
    if isinstance(domain, Pieces):
        return all(region.domain.is_box for region in domain.regions.values())
    return domain.is_box


LEAST_IN_A_PIECE = 400
"""Points in one of several pieces, on average: the last grid of splines has half as many
coefficients."""

LONGER = {"quick": 1 / 3, "record": 4.0}
"""Steps of every stage, over those of the default effort."""


def _scaled(found: Choice, effort: str) -> Choice:
    """Another effort: fewer or more steps a stage, and for a record twice the points."""
    recipe = found.recipe
    if effort == "default" or isinstance(recipe.network, Tensor):
        return found
    factor = LONGER[effort]
    stages = [
        (
            stage
            if isinstance(stage, Change)
            else replace(stage, steps=max(1, round(factor * stage.steps)))
        )
        for stage in recipe.stages
    ]
    points = 2 * recipe.points if effort == "record" else recipe.points
    scaled = replace(
        recipe, schedule=stages, points=points, restarts=1 if effort == "quick" else recipe.restarts
    )
    why = f"effort {effort!r}: {factor:.2g} times the steps, {points:,} points"
    return replace(found, recipe=scaled, reasons=(*found.reasons, why))


def plain(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON holds it: the network and the stages by name, with all of their settings.

    Args:
        recipe: The recipe.
    """
    network = {"kind": recipe.network.kind, **_listed(vars(recipe.network))}
    stages = [{"name": stage.name, **_listed(vars(stage))} for stage in recipe.stages]
    rest = {
        f.name: getattr(recipe, f.name)
        for f in fields(recipe)
        if f.name not in ("network", "schedule", "fields", "tolerance", "or_layers")
    }
    # Runs that were begun when there were none are gone on with by recipes without them.
    if recipe.tolerance is not None:
        rest["tolerance"] = recipe.tolerance
    if recipe.or_layers:
        rest["or_layers"] = True
    of_fields = {
        name: {"kind": spec.kind, **_listed(vars(spec))} for name, spec in recipe.fields.items()
    }
    return {"network": network, "schedule": stages, **_listed(rest), "fields": of_fields}


def from_plain(plain: Mapping[str, Any]) -> Recipe:
    """The recipe that `plain` made.

    Args:
        plain: What `plain` gave, as read from JSON.

    Raises:
        RecipeError: It is anything else.
    """
    try:
        stages = [dict(stage) for stage in plain["schedule"]]
        of_fields = {
            name: _kind(spec, SPECS[spec["kind"]]) for name, spec in plain.get("fields", {}).items()
        }
        kinds = {**CHANGES, **LOSSY, **OPTIMISERS}
        known = [(kinds[stage.pop("name")], stage) for stage in stages]
        for made, stage in known:
            _check_types(stage, made, "schedule")
        schedule = tuple(made(**stage) for made, stage in known)
        network = plain["network"]
        return Recipe(
            **{
                **plain,
                "network": _kind(network, NETWORK_KINDS[network["kind"]]),
                "schedule": schedule,
                "fields": of_fields,
            }
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecipeError(f"recipe: {error} does not describe one of this version") from error


def _kind(plain: Mapping[str, Any], kind: type[K]) -> K:
    """A network's kind from its settings; raises TypeError for what is none."""
    values = {k: v for k, v in plain.items() if k != "kind"}
    _check_types(values, kind, "network")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _check_types(values: Mapping[str, Any], kind: Any, what: str) -> None:
    """Raise TypeError where a value is not of the kind of its default."""
    defaults = {f.name: f.default for f in fields(kind)}
    for name, value in values.items():
        wanted = type(defaults[name])
        if wanted in (int, float, str) and not isinstance(
            value, (int, float) if wanted is float else wanted
        ):
            raise TypeError(f"{what}: {name}={value!r:.40}")


def _listed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        k: (
            list(v)
            if isinstance(v, tuple)
            else {n: list(x) for n, x in v.items()}
            if isinstance(v, Mapping)
            else v
        )
        for k, v in values.items()
    }
