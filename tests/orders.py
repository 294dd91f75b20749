"""The order at which an error falls, read where steps are what the error comes from."""

import numpy as np

ABOVE_ROUNDING = 100
"""Times the rounding that an error has to be at least: an order reads the ratio of errors, and what
of them is rounding is another on each machine, by its BLAS kernels and threads."""

WITHIN = 0.1
"""How near to the order that a method states the observed one has to be."""


def observed(errors, steps, rounding):
    """Slope of the line through the errors over the steps, both as logarithms.

    Args:
        errors: Two or more, the last of the shortest step.
        steps: Step sizes, or anything in proportion to them.
        rounding: How large the error is at such steps where it is nothing but rounding.
    """
    errors, steps = np.asarray(errors, dtype=float), np.asarray(steps, dtype=float)
    assert len(errors) == len(steps) > 1
    smallest = errors.min()
    assert smallest >= ABOVE_ROUNDING * rounding, (
        f"an error of {smallest:.1e} is too near to rounding, {rounding:.1e}, to read an order off;"
        " take longer steps"
    )
    return np.polyfit(np.log(steps), np.log(errors), 1)[0]


def holds(found, order):
    """Assert that an observed order is the one that is stated."""
    assert abs(found - order) <= WITHIN, f"observed order {found:.3f}, stated {order}"
