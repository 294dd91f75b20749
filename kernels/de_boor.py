"""B-splines that are alive at points, by de Boor's recursion."""

from __future__ import annotations

from kanpde.kernels.compiled import compiled


@compiled
def fill_splines(knots, first, order, x, found):
    """A derivative of the functions of degree p that are alive at points.

    The recursion goes from degree to degree; for derivatives, the last of its steps are differences
    (de Boor 1978, "A Practical Guide to Splines").

    Args:
        knots: Ascending.
        first: Number of the first function that is alive at each point, [points].
        order: Of differentiation.
        x: The points, [points].
        found: What is written, [points, p + 1].
    """
    p = found.shape[1] - 1
    for n in range(len(x)):
        k = first[n] + p
        found[n, 0] = 1.0 if order <= p else 0.0
        for d in range(1, p + 1):
            # Function j of degree d is made of j - 1 and j of degree d - 1.
            rising = 0.0
            for j in range(d):
                low, high = knots[k - d + 1 + j], knots[k + 1 + j]
                own = found[n, j] / (high - low)
                if d <= p - order:
                    found[n, j] = rising + (high - x[n]) * own
                    rising = (x[n] - low) * own
                else:
                    found[n, j] = rising - d * own
                    rising = d * own
            found[n, d] = rising
