"""How far a solution is from its judge, each unknown for itself: over its size, and over its own
variation about its mean, so that no offset and no larger unknown beside it hides anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from kanpde.reference import Reference

CONSTANT = 1e-9
"""An unknown that varies by less than this part of its size, and by no more than its judge may be
off, is constant."""

ROUNDED = 1e-12
"""A variation of this part of the size is nothing but rounding."""

TELLING = 0.1
"""Own error of a judge over what it says, up to which it says something."""

NEGLIGIBLE = 1e-6
"""An unknown that is zero for all that its judge can tell, and moves no equation by more than this
part, is zero."""


@dataclass(frozen=True)
class Gap:
    """How far one unknown is from its judge, in its own unit.

    Attributes:
        distance: Root mean square of the difference over the nodes.
        peak: The largest difference.
        size: Root mean square of the judge's values.
        variation: The same of their distances from their mean.
        own: The judge's own error, root mean square: 0 of an exact solution.
        amplitude: How large it has to be to take part in the equations; 0 where that is not known.
    """

    distance: float
    peak: float
    size: float
    variation: float
    own: float = 0.0
    amplitude: float = 0.0

    @property
    def relative(self) -> float:
        """Relative L2, over the size; the difference itself where the judge's values vanish."""
        return self.distance / (self.size or 1.0)

    @property
    def constant(self) -> bool:
        """Whether it does not vary, as far as its judge can tell."""
        unsure = max(self._doubt / TELLING, ROUNDED * self.size)
        return self.variation <= min(CONSTANT * self.size, unsure)

    @property
    def zero(self) -> bool:
        """Whether it vanishes, as far as its judge can tell."""
        unsure = self._doubt > TELLING * self.size
        return not self.size or (unsure and self._doubt <= NEGLIGIBLE * self.amplitude)

    @property
    def scale(self) -> float:
        """What an error of it is measured by: its variation; the size of what is constant; and of
        what is zero the size from which on it would matter in the equations."""
        if self.zero:
            return self.amplitude or self.size or 1.0
        return self.size if self.constant else self.variation

    @property
    def _doubt(self) -> float:
        return self.own if math.isfinite(self.own) else 0.0

    @property
    def error(self) -> float:
        """The distance over the scale."""
        return self.distance / self.scale

    @property
    def uncertainty(self) -> float:
        """The judge's own error over the scale."""
        return self.own / self.scale

    @property
    def hidden(self) -> bool:
        """Whether the size of the values hides how little they vary."""
        return self.size > 2 * self.scale

    def plain(self) -> dict[str, float]:
        """As JSON can hold it."""
        return {
            "relative_l2": self.relative,
            "of_variation": self.error,
            "max_error": self.peak,
            **vars(self),
        }

    @classmethod
    def from_plain(cls, found: Mapping[str, float | None]) -> Gap:
        """The gap of which `plain` gave the values.

        Args:
            found: What `plain` gave; None stands for what was not finite.

        Raises:
            KeyError: A value is missing.
            TypeError: A value is no number.
        """
        values = (found[name] for name in cls.__dataclass_fields__)
        return cls(*(math.nan if value is None else float(value) for value in values))


def gaps(
    found: Mapping[str, NDArray[np.float64]],
    truth: Mapping[str, NDArray[np.float64]],
    own: Mapping[str, float] | None = None,
) -> dict[str, Gap]:
    """The gaps of all unknowns of a judge.

    Args:
        found: What is measured, by unknown.
        truth: The judge's values, by unknown, at the same nodes; NaN outside of the domain.
        own: The judge's own errors, over the sizes of its values; None for an exact solution.
    """
    return {
        u: _gap(found[u], values, 0.0 if own is None else own.get(u, math.nan))
        for u, values in truth.items()
    }


def gaps_of_numbers(
    found: Mapping[str, float],
    truth: Mapping[str, float],
    own: Mapping[str, float] | None = None,
) -> dict[str, Gap]:
    """The gaps of parameters that conditions determine.

    Args:
        found: What is measured, by name.
        truth: The judge's numbers, by name.
        own: The judge's own errors, over the sizes of these; None for true values.
    """
    return {
        name: _gap(np.array([found[name]]), np.array([value]), 0.0 if own is None else own[name])
        for name, value in truth.items()
        if name in found
    }


def own_errors(reference: Reference) -> dict[str, float]:
    """What a reference says of its own error, by unknown, over the size of each.

    One of an older version, that knows the error of all of them together only, may have it all in
    one of them.

    Args:
        reference: The reference.
    """
    sizes = {u: _rms(v[~np.isnan(v)]) for u, v in reference.values.items()}
    sizes |= {name: abs(value) for name, value in reference.numbers.items()}
    errors, scales = reference.estimated_errors, reference.scales
    if errors is None or scales is None:
        together = math.hypot(*sizes.values())
        return {
            u: reference.estimated_error * (together / size if size else 1.0)
            for u, size in sizes.items()
        }
    return {u: errors[u] * scales[u] / (size or 1.0) for u, size in sizes.items()}


def _gap(found: NDArray[np.float64], truth: NDArray[np.float64], own: float) -> Gap:
    within = ~np.isnan(truth)
    values = truth[within]
    difference = np.abs(found[within] - values)
    size = _rms(values)
    return Gap(
        distance=_rms(difference),
        peak=float(difference.max()),
        size=size,
        variation=_rms(values - values.mean()),
        # Richardson measures by 1 what vanishes
        own=own * (size or 1.0),
    )


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def matter(found: Mapping[str, Gap], amplitudes: Mapping[str, float]) -> dict[str, Gap]:
    """Gaps that know from which size on an unknown takes part in the equations.

    Args:
        found: The gaps by unknown.
        amplitudes: These sizes by unknown.
    """
    return {
        u: replace(gap, amplitude=amplitudes.get(u.partition(" ")[0], 0.0))
        for u, gap in found.items()
    }
