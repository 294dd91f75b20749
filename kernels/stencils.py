"""Normal equations of cells added to those of all, function by function of two coordinates."""

from __future__ import annotations

from kanpde.kernels.compiled import compiled


@compiled
def add_to_stencils(G, first_x, first_y, sizes, whole):
    """Add AᵀB of cells to that of all, one cell after another.

    Args:
        G: Of each cell, [cells, local, local]; local are the functions of each unknown in turn.
        first_x: The first function of the first coordinate on each cell, [cells].
        first_y: Of the second one, likewise.
        sizes: How many functions of each coordinate are alive on a cell, [2].
        whole: Of all: that of a function of an unknown with those of another unknown that are as
            many places before or after it, [unknowns, unknowns, functions_x, functions_y,
            2 sizes_x - 1, 2 sizes_y - 1], which is added to.
    """
    n, m = sizes[0], sizes[1]
    unknowns = whole.shape[0]
    for k in range(G.shape[0]):
        for u in range(unknowns):
            for v in range(unknowns):
                for a in range(n):
                    for b in range(m):
                        row = (u * n + a) * m + b
                        own = whole[u, v, first_x[k] + a, first_y[k] + b]
                        for c in range(n):
                            for d in range(m):
                                own[c - a + n - 1, d - b + m - 1] += G[k, row, (v * n + c) * m + d]
