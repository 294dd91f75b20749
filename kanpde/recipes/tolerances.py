"""Which tolerances a solution can be asked to meet."""

from __future__ import annotations

from kanpde.errors import RecipeError

SMALLEST_TOLERANCE = 1e-14
"""What float64 can hold of a solution, with the rounding of all that it is computed from."""

BY_PRECISION = {"float64": SMALLEST_TOLERANCE, "float32": 1e-6}
"""The smallest tolerance that layers of a precision can meet."""

TOLERANCES = {"quick": 1e-5, "default": 1e-8, "record": 1e-12}
"""By effort, of networks that are refined up to one, where none is asked for."""

WORK = {"quick": 1e11, "default": 1e12, "record": 3e13}
"""By effort, operations of networks that are refined up to its tolerance (see
products.newton.operations_needed); with a tolerance that was asked for there is no limit."""

WORK_A_SWITCH = 5e-4
"""Of that, how much more there may be for each place at which a march begins a new span."""


def less_than(tolerance: float) -> float:
    """What is asked for in the place of a tolerance that nobody asked for and that is out of reach:
    half as many digits.

    Args:
        tolerance: The one out of reach.
    """
    return tolerance**0.5


def check_tolerance(value: object) -> None:
    """Refuse what cannot be the tolerance of a solution.

    Args:
        value: The tolerance; None for none.

    Raises:
        RecipeError: It is no number between 0 and 1, or float64 cannot hold it.
    """
    if value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 0 < value < 1):  # type: ignore[operator]
        raise RecipeError(
            f"tolerance: got {value!r:.40}; expected a number between 0 and 1, such as 1e-8"
        )
    if value < SMALLEST_TOLERANCE:  # type: ignore[operator]
        raise RecipeError(
            f"tolerance: got {value:g}, but float64 holds a solution to about"
            f" {SMALLEST_TOLERANCE:g}; expected at least that"
        )
