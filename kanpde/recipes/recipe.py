"""Which network, which points, which schedule: the recipe of a problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING

import torch

from kanpde.errors import RecipeError, listed
from kanpde.networks.kan import KAN
from kanpde.networks.kind import NetworkKind
from kanpde.networks.scales import Scales
from kanpde.networks.spec import Spec
from kanpde.networks.trial_space import TrialSpace, trial_space
from kanpde.recipes.tolerances import check_tolerance
from kanpde.training import Balance, Change, Stage, TrainingPlan, parse_schedule
from kanpde.training.compressing import Compress
from kanpde.training.pruning import Prune
from kanpde.training.schedule import show_schedule
from kanpde.training.sparsity import Sparsify

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem


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
