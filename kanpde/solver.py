"""solve(problem): train, compare with the exact solution and with finite differences, keep the
result."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from kanpde.errors import (
    KanpdeError,
    NotConverged,
    ProblemError,
    RecipeError,
    RunError,
    SolutionDoubtful,
    SolutionEnds,
    first_line,
    listed,
)
from kanpde.inverse.estimates import Estimates, bare, estimate
from kanpde.networks.kind import NetworkKind
from kanpde.networks.kinds.tensor import Tensor
from kanpde.networks.solution import Solution
from kanpde.networks.spec import Spec
from kanpde.networks.trial_space import NetworkSolution
from kanpde.problem.determined import found_without_data
from kanpde.problem.file import identity
from kanpde.problem.parameters import Field
from kanpde.problem.problem import Problem
from kanpde.products.compression import SampledGrid, apart, compressed
from kanpde.products.solution import TensorSolution
from kanpde.recipes.checks import check_machine, check_recipe
from kanpde.recipes.choosing import choose, in_place, suited
from kanpde.recipes.dimensions import scales_of
from kanpde.recipes.prepare import LayersBegun, ProductsBegun, prepare
from kanpde.recipes.recipe import Recipe
from kanpde.recipes.refined import refined, usual
from kanpde.recipes.tolerances import TOLERANCES, check_tolerance
from kanpde.recipes.written import plain
from kanpde.reference import Reference
from kanpde.reference import reference as finite_differences
from kanpde.results.diagnosis import diagnose
from kanpde.results.fields import (
    Values,
    against_exact,
    against_reference,
    check_solution,
    dense_grid,
    exact_on,
    like,
    relative_l2,
)
from kanpde.results.gaps import Gap, gaps, gaps_of_numbers, matter, own_errors
from kanpde.results.goal import goal
from kanpde.results.members import against_members, exact_errors, exact_gaps
from kanpde.results.residuals import met
from kanpde.results.result import Result
from kanpde.results.verdict import GOOD_ENOUGH, Asked
from kanpde.runs import folder as run_folder
from kanpde.runs import lifetime, storage
from kanpde.runs import pictures as run_pictures
from kanpde.runs.atomic import check_writable
from kanpde.runs.keeper import StateKeeper
from kanpde.runs.request import magnitudes
from kanpde.runs.signals import answered, reminded
from kanpde.runs.started import kept_of, started
from kanpde.training import Stage, carry_out, parse_schedule, shards, show_schedule
from kanpde.training.history import History, Observer, Silent
from kanpde.training.keeping import handed_to
from kanpde.training.method import Goal, Method, S
from kanpde.training.points import Collocation
from kanpde.training.schedule import DENSE


def solve(
    problem: Problem,
    *,
    recipe: Recipe | None = None,
    network: NetworkKind | None = None,
    schedule: Sequence[Stage] | str | None = None,
    points: int | None = None,
    restarts: int | None = None,
    slabs: int | None = None,
    tolerance: float | None = None,
    effort: str = "default",
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float64",
    reference: bool | Reference = True,
    out: str | Path | None = None,
    run_dir: str | Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    pictures: bool = True,
    strict: bool = False,
    observer: Observer | None = None,
    launcher: Any = None,
    start: str | Path | Result | None = None,
) -> Result:
    """Solve a problem and judge the solution.

    Where torch.distributed is initialised, every process calls this in the same way, trains on its
    share of the points and gets the same network; the first one alone writes, and computes the
    reference. Ctrl-C ends training, and then the reference, with what there is
    (`result.history.interrupted`); the run is still saved, and can be resumed.

    Args:
        problem: What is to be solved.
        recipe: How it is solved. Where neither this nor anything else is asked of network and
            training, it is a tensor product of splines, if that can take the problem (see
            refined.usual); else one chosen from the problem and the effort (see choosing.choose).
        network: The network, in place of that of the recipe; one of another kind brings its own
            schedule, if it has any.
        schedule: Stages in order, or their text, in place of those of the recipe.
        points: Number of collocation points, in place of that of the recipe.
        restarts: Number of random starts, in place of that of the recipe.
        slabs: Number of spans of time, in place of that of the recipe.
        tolerance: Error, over an unknown's own variation, at which the solution is good enough.
        effort: "quick", "default" or "record".
        seed: Seed of the network's first coefficients and of the points.
        device: "cpu" or "cuda".
        dtype: "float64" or "float32".
        reference: Whether to compute finite differences for comparison, or those that are known
            already.
        out: Folder to write the run to, a new one below it.
        run_dir: The run's folder itself; nothing is written without one of them.
        resume: Whether a run in run_dir that was killed or interrupted goes on from its last state,
            with the same bits as if it had not been; one that is finished is loaded.
        minutes: When training ends with what there is, from now on; None for no such limit.
        pictures: Whether to draw pictures as well; they are written to the run's folder.
        strict: Whether to raise NotConverged unless the verdict is that it has converged.
        observer: Who watches; None for nobody.
        launcher: Plain values that say who began the run, kept with what was asked for.
        start: The folder of another run, or its result, to begin from: of other constants, another
            geometry or recipe, with the same coordinates and unknowns.

    Returns:
        The solution with everything that is known of it.

    Raises:
        RecipeError: Settings do not fit the problem or the machine.
        ProblemError: The problem fails.
        RunError: A folder cannot be written, or holds another run. All of these are raised before
            training where they can be known.
        NotConverged: Where strict, for any other verdict; the run is kept, and is its `result`.
    """
    if not isinstance(problem, Problem):
        raise ProblemError(
            f"solve: got {problem!r:.60}; expected a Problem, such as"
            " kanpde.problem.file.load('poisson2d')[0]"
        )
    if resume and run_dir is None:
        raise RunError("resume: got no run_dir; expected the folder of the run")
    until = _until(minutes)
    changes = {"points": points, "restarts": restarts, "slabs": slabs}
    check_machine(device, dtype)
    check_tolerance(tolerance)
    if not any((recipe, network, schedule, *changes.values())):
        own = choose(problem, effort=effort)
        recipe = usual(problem, own, tolerance, effort, device, dtype).recipe
    recipe = _chosen(problem, recipe, effort, network, schedule, changes | {"tolerance": tolerance})
    check_recipe(problem, recipe, seed)
    exact_on(problem, dense_grid(problem.domain))
    before = None if start is None else started(start, problem)
    begun = None if before is None else before.solution
    beginning = prepare(problem, recipe, seed, device, dtype, effort, begun)
    settings = {"seed": seed, "device": device, "dtype": dtype, "effort": effort}
    with lifetime.Claim() as claim:
        folder, kept = None, None
        if out is not None or run_dir is not None:
            asked = {**settings, "reference": bool(reference), "launcher": launcher}
            request = {**_request(problem, recipe), **asked, **kept_of(before)}
            folder, kept = _claimed(claim, problem, request, out, run_dir, resume)
            if shards.from_first(partial(lifetime.is_finished, folder)):
                return _checked(_loaded(folder, problem, pictures), strict)
        watched = observer or Silent()
        run = _Run(problem, recipe, beginning, settings, watched, folder, until, begun)
        return _checked(run.solved_somehow(kept, reference, pictures), strict)


class _Hopeless(Exception):
    """Products of splines that nobody asked for came to nothing.

    Attributes:
        kept: The state of the layers that were trained in their place before; None for none.
    """

    def __init__(self, why: str, kept: dict[str, Any] | None = None):
        super().__init__(why)
        self.kept = kept


def _checked(result: Result, strict: bool) -> Result:
    """The result. Raises NotConverged where it has to have converged and has not."""
    if strict and not result.verdict.converged:
        raise NotConverged(f"{result.name}: {result.verdict}", result)
    return result


def _until(minutes: float | None) -> float:
    """When the time is up, on the clock of `time.perf_counter`. Raises RecipeError."""
    if minutes is None:
        return math.inf
    if not (isinstance(minutes, int | float) and 0 < minutes < math.inf):
        raise RecipeError(f"minutes: got {minutes!r:.40}; expected a number above 0")
    return time.perf_counter() + 60 * minutes


def _request(problem: Problem, recipe: Recipe) -> dict[str, Any]:
    """What says which problem is solved, and how."""
    return {
        **identity(problem),
        "residuals": magnitudes(problem),
        "recipe": plain(recipe),
    }


def _chosen(
    problem: Problem,
    recipe: Recipe | None,
    effort: str,
    network: NetworkKind | None,
    schedule: Sequence[Stage] | str | None,
    changes: Mapping[str, float | None],
) -> Recipe:
    """The recipe, with what was asked for in the place of its parts."""
    if network is not None and not isinstance(network, NetworkKind):
        raise RecipeError(f"network: got {network!r:.40}; expected such as kanpde.KAN(width=(5,))")
    if isinstance(network, Tensor):  # which has nothing of what another recipe holds
        recipe = refined(network, effort, changes.get("tolerance")).recipe
    recipe = recipe or choose(problem, effort=effort).recipe
    if isinstance(network, Spec) and schedule is None and network.kind != recipe.network.kind:
        recipe = in_place(recipe, network, suited(problem, type(network)).schedule)
    stages = parse_schedule(schedule) if isinstance(schedule, str) else schedule
    given: dict[str, Any] = {"network": network, "schedule": stages, **changes}
    return replace(recipe, **{key: value for key, value in given.items() if value is not None})


def _claimed(
    claim: lifetime.Claim,
    problem: Problem,
    request: Mapping[str, Any],
    out: str | Path | None,
    run_dir: str | Path | None,
    resume: bool,
) -> tuple[Path, dict[str, Any] | None]:
    """The folder of the run, kept for this process, and the state that it goes on from."""

    def begin() -> tuple[Path, dict[str, Any] | None]:
        if out is not None:
            check_writable(out)
        place = (
            storage.reserve(Path(out), problem.name, request["seed"])
            if run_dir is None and out is not None
            else Path(run_dir or ".")
        )
        check_writable(place)
        claim.take(place)
        return place, lifetime.begin(place, request, resume)

    found: tuple[Path, dict[str, Any] | None] = shards.from_first(begin)
    return found


@dataclass(frozen=True)
class _Run:
    """A run that is about to train: train, settle, measure, judge, write."""

    problem: Problem
    recipe: Recipe
    beginning: LayersBegun | ProductsBegun
    asked: Mapping[str, Any]
    observer: Observer
    folder: Path | None
    until: float
    start: Solution | None = None

    def solved_somehow(
        self, kept: dict[str, Any] | None, reference: bool | Reference, pictures: bool
    ) -> Result:
        """The result, by layers where products of splines that nobody asked for came to nothing."""
        try:
            return self.solved(kept, reference, pictures)
        except _Hopeless as why:
            self.observer.message(f"{why}: layers are trained in their place")
            return self.by_layers(why.kept).solved(why.kept, reference, pictures)

    def by_layers(self, kept: dict[str, Any] | None) -> _Run:
        """The same run of layers, by their usual recipe. Where they are refused before any were
        trained, nothing is left of the products that came to nothing."""
        names = ("seed", "device", "dtype", "effort")
        seed, device, dtype, effort = (self.asked[name] for name in names)
        try:
            recipe = choose(self.problem, effort=effort).recipe
            begun = prepare(self.problem, recipe, seed, device, dtype, effort, self.start)
            return replace(self, recipe=recipe, beginning=begun)
        except KanpdeError:
            if self.folder is not None and kept is None and shards.rank() == 0:
                lifetime.abandon(self.folder, state=True)
            raise

    def solved(
        self, kept: dict[str, Any] | None, reference: bool | Reference, pictures: bool
    ) -> Result:
        """The result, from a state that was kept or from the beginning."""
        began = time.perf_counter() - (kept["seconds"] if kept else 0.0)
        first = shards.rank() == 0
        known = reference
        keeper = StateKeeper(self.folder) if self.folder and first else None
        ending, interrupting = _answers(keeper, self.until)
        with ending:
            with self._leaving_nothing(KanpdeError), interrupting:
                enough, known = self._goal(known)
                trained = self.train(keeper, kept, enough)
            history = trained.history
            if keeper is not None:
                history.interrupted |= keeper.interrupted
                keeper.trained()
            seconds = time.perf_counter() - began
            with self._leaving_nothing(ProblemError), _told(history):
                check_solution(self.problem, trained.solution)
                against = against_exact(self.problem, trained.solution)
            estimates = self._estimated(trained)
            judged = Judged(note="not asked for")
            if known and first:
                judged = self._judged(trained, known)
            with _told(history):
                result = self._result(trained, seconds, against, judged, estimates)
                if self.folder is not None and first:
                    run_folder.write(result, self.folder, pictures)
                    if not history.interrupted:
                        lifetime.finish(self.folder)
        return result

    def _result(
        self,
        trained: Trained,
        seconds: float,
        against: tuple[Values, Values],
        judged: Judged,
        estimates: Estimates | None,
    ) -> Result:
        """The result with its verdict."""
        problem, solution = self.problem, trained.solution
        grid = dense_grid(problem.domain)
        # It evaluates the user's functions at other points, and nothing that they do there is
        # worth losing the run for. What was interrupted is not judged, and has to end at once.
        found = None
        with suppress(KanpdeError):
            found = None if trained.history.interrupted else met(problem, solution)
        amplitudes = dict(found.amplitudes) if found else {}
        if problem.pencil is not None:
            numbers = solution.numbers()
            amplitudes |= dict.fromkeys(numbers, max(problem.pencil.scale, *numbers.values()))
        if estimates and found and (said := found.unmet()):
            estimates = estimates.disowned(
                f"{said}: what the data say of {listed(p.name for p in problem.parameters)} is not"
                " known"
            )
        numbers = solution.numbers() if found_without_data(problem) else {}
        of_parameters = gaps_of_numbers(numbers, problem.truth)
        result = Result(
            problem,
            solution,
            trained.history,
            self._settings(),
            seconds,
            *exact_errors(problem.domain, grid, *against),
            judged.reference,
            judged.note,
            judged.distance,
            estimates=estimates,
            errors=matter(exact_gaps(problem.domain, grid, *against) | of_parameters, amplitudes),
            reference_errors=matter(judged.gaps, amplitudes),
            met=found,
            doubtful=judged.doubtful,
            asked=trained.asked,
            ends=judged.ends,
            numbers=numbers,
        )
        with suppress(KanpdeError):
            result.verdict = result.judged(diagnose(result, self.recipe))
        return result

    def train(
        self, keeper: StateKeeper | None, kept: dict[str, Any] | None, enough: Goal | None
    ) -> Trained:
        """Train, and settle parameters where there are any; or refine."""
        begun, tolerance = self.beginning, self.recipe.tolerance
        if isinstance(begun, ProductsBegun):
            or_layers = self.recipe.or_layers
            if or_layers and kept and "progress" not in kept:
                raise _Hopeless("products of splines came to nothing", kept)
            refinement = begun.method(self.problem, self.observer)
            product, at = _carried_out(refinement, keeper, kept, self.until)
            stopped = at.history.interrupted or time.perf_counter() > self.until
            if or_layers and not stopped and at.progress.estimate > GOOD_ENOUGH:
                raise _Hopeless(at.progress.reason)
            own = at.progress.estimate
            asked = Asked(self._wanted(), own, at.missed, usual=tolerance is None)
            refined_to = Trained(product, at.history, None, asked)
            return refined_to if stopped else self._compressed(refined_to)
        training = begun.method(self.problem, self.observer, enough)
        found, state = _carried_out(training, keeper, kept, self.until)
        points = state.points if state.finished and isinstance(state.points, Collocation) else None
        asked_for = None if tolerance is None else Asked(tolerance)
        return Trained(found, state.history, points, asked_for)

    def _compressed(self, trained: Trained) -> Trained:
        """The same with one network of few parameters, where the recipe asks for that and there is
        one."""
        loss, product, asked = self.recipe.compressed_to, trained.solution, trained.asked
        if not (loss and asked and isinstance(product, TensorSolution) and product.whole):
            return trained
        found = compressed(self.problem, product, loss, scales_of(self.problem))
        if found is None:
            words = f"no network of fewer parameters is within {loss:g}"
        else:
            words = f"now {found.describe()}"
            lost = max(apart(found, product, SampledGrid.of(self.problem, product)).values())
            error = asked.estimate + lost
            late = f"compress:{loss:g}: estimated error {error:.1e}"
            missed = asked.missed or (late if error > asked.tolerance else "")
            asked = replace(asked, estimate=error, missed=missed)
        trained.history.stages.append((f"compress:{loss:g}", words))
        self.observer.message(words)
        return replace(trained, solution=found or product, asked=asked)

    def _goal(self, known: bool | Reference) -> tuple[Goal | None, bool | Reference]:
        """When layers are good enough, and the reference where that had to be computed for it."""
        tolerance, problem = self.recipe.tolerance, self.problem
        if tolerance is None or isinstance(self.beginning, ProductsBegun):
            return None, known
        exact = all(u in problem.exact for u in problem.unknowns)
        if known is True and not exact and shards.size() == 1:
            self.observer.message("computing the reference, which judges training")
            # where there is none, the verdict says why: it is asked for again then
            with suppress(KanpdeError, MemoryError):
                known = finite_differences(problem, effort=self.asked["effort"])
        return goal(problem, tolerance, None if isinstance(known, bool) else known), known

    @contextmanager
    def _leaving_nothing(self, kind: type[KanpdeError]) -> Iterator[None]:
        """Where an error of a kind ends the run, its folder goes, unless something was kept."""
        try:
            yield
        except kind:
            if self.folder is not None and shards.rank() == 0:
                lifetime.abandon(self.folder)
            raise

    def _wanted(self) -> float:
        """The tolerance of products of splines: what was asked for, or what the effort says."""
        tolerance = self.recipe.tolerance
        return TOLERANCES[self.asked["effort"]] if tolerance is None else tolerance

    def _settings(self) -> dict[str, Any]:
        tolerance = self.recipe.tolerance
        asked = {**self.asked} | ({} if tolerance is None else {"tolerance": tolerance})
        if isinstance(self.beginning, ProductsBegun):
            stages = self.recipe.stages
            schedule = {"schedule": show_schedule(stages)} if stages else {}
            return asked | {"tolerance": self._wanted()} | schedule
        return {
            **asked,
            "points": self.recipe.points,
            "sampler": self.recipe.sampler,
            "restarts": self.recipe.restarts,
            "slabs": self.recipe.slabs,
            "schedule": show_schedule(self.recipe.stages),
        }

    def _estimated(self, trained: Trained) -> Estimates | None:
        """The estimates of the parameters, with their errors where the matrices fit."""
        problem, solution, points = self.problem, trained.solution, trained.points
        if found_without_data(problem):
            return None
        if not problem.parameters or not isinstance(solution, NetworkSolution) or points is None:
            return None
        if shards.size() > 1:
            self.observer.message(
                "standard errors are computed in one process only; kanpde plot and load keep the"
                " values"
            )
            return bare(problem, solution)
        if solution.parameters > DENSE:
            self.observer.message(
                f"{solution.parameters:,} parameters: too many for the matrices of standard errors"
                f" (at most {DENSE:,})"
            )
            return bare(problem, solution)
        self.observer.message("computing standard errors")
        try:
            with _told(trained.history, _leave):
                return estimate(problem, solution, points)
        except KeyboardInterrupt:
            return bare(problem, solution)

    def _judged(self, trained: Trained, known: bool | Reference) -> Judged:
        """The reference, or why there is none, and the distance to it. Whatever
        it meets, the run goes on."""
        problem, solution, history = self.problem, trained.solution, trained.history
        if history.interrupted:
            return Judged(note="interrupted")
        if any(isinstance(p, Field) for p in problem.parameters):
            return Judged(note="its coefficients are unknown fields")
        try:
            found_from_data = problem.parameters and not found_without_data(problem)
            if found_from_data and isinstance(solution, NetworkSolution):
                problem = problem.settled(solution.numbers())
            if isinstance(known, bool):
                self.observer.message("computing the reference")
                known = finite_differences(problem, effort=self.asked["effort"])
            if known.members:
                distance, near = against_members(solution, known)
            else:
                known = like(solution, known, problem)
                found, values = against_reference(solution, known)
                distance, own = relative_l2(found, values), own_errors(known)
                near = gaps(found, values, own)
                near |= gaps_of_numbers(solution.numbers(), known.numbers, own)
        except KeyboardInterrupt:
            history.interrupted = True
            return Judged(note="interrupted")
        except KanpdeError as reason:
            return Judged(
                note=str(reason),
                doubtful=isinstance(reason, SolutionDoubtful),
                ends=isinstance(reason, SolutionEnds),
            )
        except MemoryError:
            return Judged(note="it does not fit into memory")
        except Exception as error:  # whatever it is, the training is not lost for it
            return Judged(note=f"it failed: {first_line(error)}")
        if not math.isfinite(distance):
            return Judged(note="its values are not finite")
        return Judged(known, "", distance, near)


@dataclass(frozen=True)
class Judged:
    """What a reference says of a solution.

    Attributes:
        reference: The reference; None where there is none.
        note: Why there is none.
        distance: Relative distance to it, of all unknowns together.
        gaps: The distances by unknown.
        doubtful: Whether there is none since there seems to be no solution.
        ends: Whether there is none since the solution ends before its time does.
    """

    reference: Reference | None = None
    note: str = ""
    distance: float | None = None
    gaps: Mapping[str, Gap] = field(default_factory=dict)
    doubtful: bool = False
    ends: bool = False


@dataclass(frozen=True)
class Trained:
    """What training leaves.

    Attributes:
        solution: The solution.
        history: What was done.
        points: The points with their weights, where training came to its end; else None.
        asked: The tolerance, and what the solution says of it; None for none.
    """

    solution: Solution
    history: History
    points: Collocation | None
    asked: Asked | None = None


def _carried_out(
    method: Method[S], keeper: StateKeeper | None, kept: dict[str, Any] | None, until: float
) -> tuple[Solution, S]:
    """The solution of a method and its last state, from a state that was kept or from the
    beginning."""
    state = method.resumed(kept) if kept else method.begin()
    with reminded(until):
        state = carry_out(method, state, handed_to(keeper), until)
    return method.result(state), state


def _loaded(folder: Path, problem: Problem, pictures: bool) -> Result:
    """A finished run; what a kill left undone after its summary is done."""
    try:
        found = run_folder.load(folder, problem)
    except RunError as error:
        raise RunError(
            f"{error}; delete {folder / 'summary.json'}, and resuming trains it again"
        ) from error
    if shards.rank() == 0:
        if pictures:
            run_pictures.complete(found, folder)
        lifetime.finish(folder)
    return found


def _answers(
    keeper: StateKeeper | None, until: float
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What SIGTERM, during the whole run, and Ctrl-C, during training, do to a run that is kept.

    Of several processes each gets its own Ctrl-C, at other steps: there it ends training at once.
    So does the one that comes by itself when the time is up.
    """
    if keeper is None:
        return nullcontext(), nullcontext()
    alone = shards.size() == 1

    def interrupt() -> None:
        if time.perf_counter() > until:
            raise KeyboardInterrupt
        keeper.interrupt()

    return answered(signal.SIGTERM, keeper.end, keeper.leave), (
        answered(signal.SIGINT, interrupt, _leave) if alone else nullcontext()
    )


def _told(history: History, late: Callable[[], None] | None = None) -> AbstractContextManager[None]:
    """Hold back the first Ctrl-C until the block is done, so that it cannot lose the run; the
    history says that one came. late: see `answered`."""
    return answered(signal.SIGINT, lambda: setattr(history, "interrupted", True), late)


def _leave() -> None:
    raise KeyboardInterrupt
