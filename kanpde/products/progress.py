"""How products of splines are fitted to a tolerance, and where that has come to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch

from kanpde.products.axes import Axis, Modes, SplineAxis
from kanpde.products.growth import Carried
from kanpde.products.newton import Iterate
from kanpde.products.tensor import Product, axes_from, plain_axes

CAME_TO_NOTHING = 1e-2
"""Estimated error, over the amplitudes, above which products of splines came to nothing."""


@dataclass(frozen=True)
class Settings:
    """How products of splines are fitted.

    Attributes:
        tolerance: Error that is asked for, over the amplitude of each unknown.
        degree: Of splines.
        modes: Degree of polynomials over one span of time.
        cells: Along a coordinate, at most.
        work: Operations after which no other attempt begins (see newton.operations_needed).
        sizes: Amplitudes that the unknowns are thought to come to; () where nothing is known.
        less: Tolerance that is tried where products come to nothing at this one; 0 for none.
    """

    tolerance: float = 1e-8
    degree: int = 9
    modes: int = 11
    cells: int = 600
    work: float = math.inf
    sizes: tuple[float, ...] = ()
    less: float = 0.0


@dataclass(frozen=True)
class Beyond:
    """A span of time whose error was beyond the tolerance when it was done.

    Attributes:
        begin: Where it begins.
        end: Where it ends.
        error: Over the amplitudes that were known.
        sizes: These, an unknown each.
    """

    begin: float
    end: float
    error: float
    sizes: tuple[float, ...]

    def over(self, sizes: Sequence[float]) -> float:
        """The error over other amplitudes.

        Args:
            sizes: An unknown each.
        """
        return self.error * max(a / b for a, b in zip(self.sizes, sizes, strict=True))


@dataclass(frozen=True)
class Progress:
    """Where the solution of a problem is.

    Attributes:
        spans: Spans that are done; of a steady problem the last attempt, piece after piece.
        axes: Those of the attempt that is under way, piece after piece.
        at: Where Newton's method is on them; None before it begins.
        tries: Attempts at this span, this one not counted; of an evolution those that gained much
            are not.
        length: Of the span under way; nan of a steady problem.
        before: Length and error in time of the attempt at this span before, and the least of the
            largest errors of attempts of this length.
        order: Of errors in time in the length of this span, as observed; infinite before that.
        layer: Where a layer in time began that the spans so far are in; nan where there is none.
        sizes: Amplitudes of the unknowns so far.
        estimate: Largest error of the spans that are done, over the amplitudes.
        usual: The same of a whole march, where what is beyond the tolerance counts as its root mean
            square over all of the time; nan where it is not known.
        missed: What missed the tolerance, a line each.
        change: A small change that was made where time begins, in the last span that is done.
        carried: How large it was where each span ended, and the errors made in the spans.
        beyond: Spans with larger errors than the tolerance over the amplitudes until then.
        base: What the normal equations of spans were nearly inverted for; None where they are
            factored.
        fresh: Iterations that a step took when they had just been.
        drift: What errors were carried along to so far, at the ends of spans, over the amplitudes;
            nan where they are not.
        drift_in_time: Share of errors in time of what the last spans added to it.
        guess: What Newton's method begins from; None where it begins with what is given.
        step: Newton steps so far.
        work: Operations that they took.
        finished: Whether nothing is left to do.
        lost: Whether it ended as it would with any tolerance.
        condition: Estimated, of the last normal equations; nan where it is not known.
        pieces: Of the domain.
        eigenvalues: Those that are asked for, then others that were found beside them.
        weakest: What the last attempt said of the combination of unknowns beside that it said least
            of; nan where there are none.
        cells_beside: Of unknown coefficients, along each of their coordinates.
        settled_beside: Whether it was once found how many.
        kept: The functions with half as many of these.
        kept_loss: Their squares.
    """

    spans: tuple[Product, ...] = ()
    axes: tuple[Axis, ...] = ()
    at: Iterate | None = None
    tries: int = 0
    length: float = math.nan
    before: tuple[float, float, float] | None = None
    order: float = math.inf
    layer: float = math.nan
    sizes: tuple[float, ...] = ()
    estimate: float = math.nan
    usual: float = math.nan
    missed: tuple[str, ...] = ()
    change: Product | None = None
    carried: tuple[Carried, ...] = ()
    beyond: tuple[Beyond, ...] = ()
    base: Product | None = None
    fresh: int = 0
    drift: float = math.nan
    drift_in_time: float = 0.0
    guess: Product | None = None
    step: int = 0
    work: float = 0.0
    finished: bool = False
    lost: bool = False
    condition: float = math.nan
    pieces: int = 1
    eigenvalues: tuple[float, ...] = ()
    weakest: float = math.nan
    cells_beside: int = 1
    settled_beside: bool = False
    kept: tuple[Product, ...] = ()
    kept_loss: float = math.inf

    @property
    def parameters(self) -> int:
        """Coefficients of all spans together, with those of the attempt that is under way."""
        going = 0 if self.at is None or self.finished else self.at.C.size
        return sum(span.C.size for span in self.spans) + going

    @property
    def loss(self) -> float:
        """Sum of the weighted squares of the residual before the last Newton step."""
        return math.nan if self.at is None else self.at.loss

    @property
    def title(self) -> str:
        """What is under way, such as "span 3 from 0.21 to 0.25, 57 cells"."""
        if not self.axes:
            return "products of splines"
        cells = [axis for axis in self.axes if isinstance(axis, SplineAxis)]
        on = f", {on_cells(cells, self.pieces)}" if cells else ""
        last = self.axes[-1]
        if not isinstance(last, Modes):
            return f"attempt {self.tries + 1}{on}"
        begin, end = last.ends
        return f"span {len(self.spans) + 1} from {begin:.4g} to {end:.4g}{on}"

    @property
    def reached(self) -> float:
        """The time at which the spans that are done end; nan before the first, and where there is
        no time."""
        last = self.spans[-1].axes[-1] if self.spans else None
        return last.ends[1] if isinstance(last, Modes) else math.nan

    @property
    def hopeless(self) -> bool:
        """Whether it is finished, and came to nothing."""
        error = self.estimate if math.isnan(self.usual) else self.usual
        return self.finished and error > CAME_TO_NOTHING

    @property
    def reason(self) -> str:
        """Why it is finished: that the tolerance is met, or what misses it."""
        if not self.finished:
            return ""
        if not self.missed:
            known = math.isfinite(self.condition)
            rest = f", normal equations of condition {self.condition:.0e}" if known else ""
            return f"the tolerance is met: estimated error {self.estimate:.1e}{rest}"
        more = f" and {len(self.missed) - 1} more" if len(self.missed) > 1 else ""
        return f"the tolerance is missed: {self.missed[0]}{more}"

    def plain(self) -> dict[str, Any]:
        """Tensors and plain values, of which `from_plain` makes the same."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        going = None
        if self.at is not None:
            rest = {k: v for k, v in vars(self.at).items() if k != "C"}
            going = {"coefficients": torch.from_numpy(self.at.C.copy()), **rest}
        return found | {
            "spans": [span.plain() for span in self.spans],
            "kept": [one.plain() for one in self.kept],
            "axes": plain_axes(self.axes),
            "at": going,
            "base": None if self.base is None else self.base.plain(),
            "guess": None if self.guess is None else self.guess.plain(),
            "change": None if self.change is None else self.change.plain(),
            "carried": [asdict(one) for one in self.carried],
            "beyond": [asdict(one) for one in self.beyond],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Progress:
        """The progress that `plain` was made of.

        Args:
            plain: What `plain` gave.
        """
        going, at = plain["at"], None
        if going is not None:
            rest = {k: v for k, v in going.items() if k != "coefficients"}
            at = Iterate(going["coefficients"].numpy(), **rest)
        spans = tuple(Product.from_plain(one) for one in plain["spans"])
        kept = tuple(Product.from_plain(one) for one in plain["kept"])
        axes = axes_from(plain["axes"])
        base = None if plain["base"] is None else Product.from_plain(plain["base"])
        beyond = tuple(Beyond(**one) for one in plain["beyond"])
        guess = None if plain["guess"] is None else Product.from_plain(plain["guess"])
        change = None if plain["change"] is None else Product.from_plain(plain["change"])
        carried = tuple(Carried(**one) for one in plain["carried"])
        return cls(
            **{
                **plain,
                "spans": spans,
                "kept": kept,
                "axes": axes,
                "at": at,
                "base": base,
                "guess": guess,
                "change": change,
                "carried": carried,
                "beyond": beyond,
            }
        )


def on_cells(axes: Sequence[Axis], pieces: int = 1) -> str:
    """On how many cells, such as "8 x 11 cells", or "412 cells of 4 pieces".

    Args:
        axes: Functions of each coordinate of space, piece after piece.
        pieces: How many there are.
    """
    counts = [axis.cells for axis in axes]
    if pieces == 1:
        return f"{' x '.join(map(str, counts))} cells"
    dims = len(axes) // pieces
    each = (math.prod(counts[k : k + dims]) for k in range(0, len(axes), dims))
    return f"{sum(each)} cells of {pieces} pieces"
