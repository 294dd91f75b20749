"""Normal equations of cells added to those of all in a band."""

from __future__ import annotations

from kanpde.kernels.compiled import compiled


@compiled
def add_to_band(G, b, numbers, band, slope):
    """Add JᵀJ and Jᵀr of cells, one cell after another.

    Args:
        G: Of each cell, [cells, local, local].
        b: Of each cell, [cells, local].
        numbers: Of the parameters, [cells, local]; -1 for what is no parameter. One may come twice.
        band: The lower band of all, [band + 1, parameters], which is added to.
        slope: [parameters], which is added to.
    """
    for k in range(G.shape[0]):
        for i in range(G.shape[1]):
            row = numbers[k, i]
            if row < 0:
                continue
            slope[row] += b[k, i]
            for j in range(G.shape[2]):
                column = numbers[k, j]
                if 0 <= column <= row:
                    band[row - column, column] += G[k, i, j]


@compiled
def add_to_square(G, numbers, whole):
    """Add AᵀB of cells to that of all, one cell after another.

    Args:
        G: Of each cell, [cells, local, local].
        numbers: Of the parameters, [cells, local]; -1 for what is no parameter. One may come twice.
        whole: Of all, [parameters, parameters], which is added to.
    """
    for k in range(G.shape[0]):
        for i in range(G.shape[1]):
            row = numbers[k, i]
            if row < 0:
                continue
            for j in range(G.shape[2]):
                column = numbers[k, j]
                if column >= 0:
                    whole[row, column] += G[k, i, j]
