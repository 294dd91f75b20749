"""What a reference is: a solution by another method than a network, with its own error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Reference:
    """A solution by collocation or by finite differences, and what its error is.

    Attributes:
        coordinates: 1-D grid by coordinate, time last.
        values: By unknown, with one axis a coordinate; NaN outside of the domain.
        order: Of accuracy in space; 0 for collocation, whose errors fall faster than any power.
        kind: The method in words.
        estimated_error: The worst of `estimated_errors`.
        seconds: That it took.
        estimated_errors: Root mean square over the nodes by unknown, relative to its scale, by
            Richardson extrapolation in space, plus what halving the steps in time changes; for
            collocation the distance of two solutions, the same in time, and what rounding makes.
            None where a file of an older version does not tell.
        scales: Of each unknown, in its units: how much it varies about its mean, or its size where
            it is constant; None likewise.
        doubt: Why it may be wrong in spite of its error, in one line; "" where nothing says so.
        members: Of a family, values of its parameters and the reference of the problem there, each
            on nodes of its own; `values` has them on the same ones.
        numbers: Values of parameters that conditions determine, and of eigenvalues, by name; errors
            and scales have them as well.
    """

    coordinates: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    order: int
    kind: str
    estimated_error: float
    seconds: float
    estimated_errors: dict[str, float] | None = None
    scales: dict[str, float] | None = None
    doubt: str = ""
    members: tuple[tuple[Mapping[str, float], Reference], ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)

    def points(self) -> Float[np.ndarray, "nodes dims"]:
        """All grid nodes, in the C order of `values`."""
        mesh = np.meshgrid(*self.coordinates.values(), indexing="ij")
        return np.stack([m.ravel() for m in mesh], 1)
