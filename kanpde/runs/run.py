"""A run: train or refine, settle, measure, judge, write."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kanpde.errors import KanpdeError, ProblemError, listed
from kanpde.geometry import many
from kanpde.inverse.beside import ProductFactors
from kanpde.inverse.estimates import Estimates, bare, estimate
from kanpde.inverse.sensed import Sensed, SensedByLayers, SensedByProducts
from kanpde.networks.solution import Solution
from kanpde.networks.trial_space import NetworkSolution
from kanpde.problem.determined import found_without_data
from kanpde.problem.problem import Problem
from kanpde.products.border import Coefficients
from kanpde.products.compression import SampledGrid, apart, compressed
from kanpde.products.newton import LeastSquares
from kanpde.products.solution import TensorSolution
from kanpde.recipes.choosing import choose
from kanpde.recipes.dimensions import scales_of
from kanpde.recipes.prepare import LayersBegun, ProductsBegun, prepare
from kanpde.recipes.recipe import Recipe
from kanpde.recipes.tolerances import TOLERANCES
from kanpde.reference import Reference
from kanpde.reference import reference as finite_differences
from kanpde.reference.solution import DIFFERENCES
from kanpde.results.compared import Judged, compared
from kanpde.results.diagnosis import diagnose
from kanpde.results.fields import Fields, against_exact, on_dense_grid
from kanpde.results.gaps import gaps_of_numbers, matter
from kanpde.results.goal import goal
from kanpde.results.members import exact_errors, exact_gaps
from kanpde.results.residuals import met
from kanpde.results.result import Result
from kanpde.results.scattered import on_a_cut_as_well
from kanpde.results.verdict import Asked
from kanpde.runs import folder as run_folder
from kanpde.runs import lifetime
from kanpde.runs.endings import answers, leave, told
from kanpde.runs.keeper import StateKeeper
from kanpde.runs.signals import reminded
from kanpde.training import carry_out, shards, show_schedule
from kanpde.training.history import History, Observer
from kanpde.training.keeping import handed_to
from kanpde.training.method import Goal, Method, S
from kanpde.training.points import Collocation
from kanpde.training.schedule import DENSE


class Hopeless(Exception):
    """Products of splines that nobody asked for came to nothing.

    Attributes:
        kept: The state of the layers that were trained in their place before; None for none.
    """

    def __init__(self, why: str, kept: dict[str, Any] | None = None):
        super().__init__(why)
        self.kept = kept


@dataclass(frozen=True)
class Trained:
    """What training leaves.

    Attributes:
        solution: The solution.
        history: What was done.
        points: The points with their weights, where training came to its end; else None.
        asked: The tolerance, and what the solution says of it; None for none.
        squares: What products of splines beside unknown parameters lowered, with their
            coefficients; None for others.
    """

    solution: Solution
    history: History
    points: Collocation | None
    asked: Asked | None = None
    squares: tuple[LeastSquares, Coefficients] | None = None


def _sensed(trained: Trained, problem: Problem) -> Sensed:
    """How parameters depend on data where the search for both ended."""
    solution, points = trained.solution, trained.points
    if trained.squares is None:
        assert isinstance(solution, NetworkSolution)
        assert points is not None
        return SensedByLayers(solution, points)
    return SensedByProducts(ProductFactors(problem, *trained.squares), solution.numbers())


@dataclass(frozen=True)
class Run:
    """A run that is about to train: train, settle, measure, judge, write.

    Attributes:
        problem: What is to be solved.
        recipe: How it is solved.
        beginning: What training, or refinement, begins with.
        asked: Seed, device, dtype and effort, by name.
        observer: Who watches.
        folder: The folder of the run, kept for this process; None where nothing is written.
        until: When the time is up, on the clock of `time.perf_counter`.
        start: The solution to begin from; None for none.
    """

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
        except Hopeless as why:
            self.observer.message(f"{why}: layers are trained in their place")
            return self.by_layers(why.kept).solved(why.kept, reference, pictures)

    def by_layers(self, kept: dict[str, Any] | None) -> Run:
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
        ending, interrupting = answers(keeper, self.until)
        with ending:
            with self._leaving_nothing(KanpdeError), interrupting:
                enough, known = self._goal(known)
                trained = self.train(keeper, kept, enough)
            history = trained.history
            if keeper is not None:
                history.interrupted |= keeper.interrupted
                keeper.trained()
            seconds = time.perf_counter() - began
            with self._leaving_nothing(ProblemError), told(history):
                seen = on_dense_grid(self.problem, trained.solution)
            estimates = self._estimated(trained)
            judged = Judged(note="not asked for")
            if known and first:
                judged = compared(
                    self.problem, trained.solution, history, known, self._judge, self.observer
                )
            with told(history):
                result = self._result(trained, seconds, seen, judged, estimates)
                if self.folder is not None and first:
                    run_folder.write(result, self.folder, pictures)
                    if not history.interrupted:
                        lifetime.finish(self.folder)
        return result

    def _result(
        self,
        trained: Trained,
        seconds: float,
        seen: Fields,
        judged: Judged,
        estimates: Estimates | None,
    ) -> Result:
        """The result with its verdict."""
        problem, solution = self.problem, trained.solution
        grid, against = seen.grid, seen.against_exact(problem.unknowns)
        if many(problem.domain) and not trained.history.interrupted:
            against = against_exact(problem, solution)
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
        relative, largest = exact_errors(problem.domain, grid, *against)
        errors = exact_gaps(problem.domain, grid, *against)
        if many(problem.domain):
            # Few points come near the middle, and pictures cut through it.
            errors = on_a_cut_as_well(errors, seen)
            largest = max((gap.peak for gap in errors.values()), default=largest)
        numbers = solution.numbers() if found_without_data(problem) else {}
        of_parameters = gaps_of_numbers(numbers, problem.truth)
        result = Result(
            problem,
            solution,
            trained.history,
            self._settings(),
            seconds,
            relative,
            largest,
            judged.reference,
            judged.note,
            judged.distance,
            estimates=estimates,
            errors=matter(errors | of_parameters, amplitudes),
            reference_errors=matter(judged.gaps, amplitudes),
            met=found,
            doubtful=judged.doubtful,
            asked=trained.asked,
            ends=judged.ends,
            numbers=numbers,
        )
        if judged.reference is None:
            result.fields = seen
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
                raise Hopeless("products of splines came to nothing", kept)
            refinement = begun.method(self.problem, self.observer)
            product, at = _carried_out(refinement, keeper, kept, self.until)
            stopped = at.history.interrupted or time.perf_counter() > self.until
            if or_layers and not stopped and at.progress.hopeless:
                raise Hopeless(at.progress.reason)
            own, less = at.progress.estimate, refinement.met_in_its_place(at)
            asked = Asked(self._wanted(), own, at.missed, usual=tolerance is None, less=less)
            refined_to = Trained(product, at.history, None, asked, refinement.squares(at))
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

    @property
    def _judge(self) -> dict[str, Any]:
        """The effort and the method of the reference."""
        method = self.asked.get("judge", DIFFERENCES)
        return {"effort": self.asked["effort"], "method": method}

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
                known = finite_differences(problem, **self._judge)
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
        if not problem.parameters or not problem.data:
            return None
        if points is None and trained.squares is None:
            return None
        if shards.size() > 1:
            self.observer.message(
                "standard errors are computed in one process only; kanpde plot and load keep the"
                " values"
            )
            return bare(problem, solution)
        if solution.parameters > DENSE and points is not None:
            self.observer.message(
                f"{solution.parameters:,} parameters: too many for the matrices of standard errors"
                f" (at most {DENSE:,})"
            )
            return bare(problem, solution)
        self.observer.message("computing standard errors")
        try:
            with told(trained.history, leave):
                return estimate(problem, solution, _sensed(trained, problem))
        except KeyboardInterrupt:
            return bare(problem, solution)


def _carried_out(
    method: Method[S], keeper: StateKeeper | None, kept: dict[str, Any] | None, until: float
) -> tuple[Solution, S]:
    """The solution of a method and its last state, from a state that was kept or from the
    beginning."""
    state = method.resumed(kept) if kept else method.begin()
    with reminded(until):
        state = carry_out(method, state, handed_to(keeper), until)
    return method.result(state), state
