"""Normal equations of cells added to those of all: in a band, or in a square."""

from __future__ import annotations

import numpy as np

from kanpde.kernels.compiled import compiled, inlined


@inlined
def _fill(J, X, Y, cell_x, cell_y, orders, unknowns, g, k):
    """The derivatives of the rows of a cell by its coefficients, in place."""
    points_x, size_x = X.shape[2], X.shape[3]
    points_y, size_y = Y.shape[2], Y.shape[3]
    rows = g.shape[2]
    J[:] = 0.0
    for a in range(points_x):
        for b in range(points_y):
            p = a * points_y + b
            for e in range(rows):
                row = p * rows + e
                for leaf in range(g.shape[3]):
                    partial = g[k, p, e, leaf]
                    if partial == 0.0:
                        continue
                    first = unknowns[leaf] * size_x * size_y
                    along_y = Y[orders[leaf, 1], cell_y, b]
                    for i in range(size_x):
                        factor = partial * X[orders[leaf, 0], cell_x, a, i]
                        start = first + i * size_y
                        for j in range(size_y):
                            J[row, start + j] += factor * along_y[j]


@inlined
def _products(J, i, own):
    """The products of one column with those up to it, in place: eight rows at a time, so that sums
    stay in registers."""
    count, rows = i + 1, J.shape[0]
    for j in range(count):
        own[j] = 0.0
    q = 0
    while q + 8 <= rows:
        a, b, c, d = J[q, i], J[q + 1, i], J[q + 2, i], J[q + 3, i]
        e, f, g, h = J[q + 4, i], J[q + 5, i], J[q + 6, i], J[q + 7, i]
        for j in range(count):
            first = a * J[q, j] + b * J[q + 1, j] + c * J[q + 2, j] + d * J[q + 3, j]
            rest = e * J[q + 4, j] + f * J[q + 5, j] + g * J[q + 6, j] + h * J[q + 7, j]
            own[j] += first + rest
        q += 8
    while q < rows:
        a = J[q, i]
        for j in range(count):
            own[j] += a * J[q, j]
        q += 1


@compiled
def add_to_band(begin, end, X, Y, cells, orders, unknowns, g, r, numbers, weight, columns, slope):
    """Add JᵀJ and Jᵀr of some cells, one after another, where J is made of products of functions of
    two coordinates.

    Args:
        begin: The first of these cells.
        end: The one after the last.
        X: Derivatives of the functions of the first coordinate, [orders, cells, points, size].
        Y: Of the second one, likewise.
        cells: Of X and of Y, [2, all cells].
        orders: Which of X and of Y a derivative of an unknown is, [leaves, 2].
        unknowns: Whose it is, [leaves].
        g: Partials of the rows by the derivatives, [all cells, points, rows, leaves].
        r: The rows, [all cells, points, rows].
        numbers: Of the parameters, [all cells, local]; -1 for what is no parameter. One may come
            twice.
        weight: Of the squares.
        columns: The lower band of all, column after column, [parameters, band + 1], which is added
            to.
        slope: [parameters], which is added to.
    """
    local = numbers.shape[1]
    J = np.zeros((r.shape[1] * r.shape[2], local))
    own, pulled = np.zeros(local), np.zeros(local)
    for k in range(begin, end):
        _fill(J, X, Y, cells[0, k], cells[1, k], orders, unknowns, g, k)
        pulled[:] = 0.0
        for p in range(r.shape[1]):
            for e in range(r.shape[2]):
                value = r[k, p, e]
                for j in range(local):
                    pulled[j] += value * J[p * r.shape[2] + e, j]
        for i in range(local):
            n = numbers[k, i]
            if n < 0:
                continue
            slope[n] += weight * pulled[i]
            _products(J, i, own)
            for j in range(i + 1):
                m = numbers[k, j]
                if m < 0:
                    continue
                value = weight * own[j]
                if m < n:
                    columns[m, n - m] += value
                elif n < m or i == j:
                    columns[n, m - n] += value
                else:  # two coefficients of one parameter
                    columns[n, 0] += 2 * value


@compiled
def divide_band(columns, by):
    """Divide a symmetric matrix by a vector from both sides, in place.

    Args:
        columns: Its lower band, column after column, [parameters, band + 1].
        by: Inverse of the vector, [parameters].
    """
    for n in range(columns.shape[0]):
        for d in range(min(columns.shape[1], columns.shape[0] - n)):
            columns[n, d] *= by[n] * by[n + d]


@compiled
def add_column_sums(columns, sums):
    """Add the absolute values in each column of a symmetric matrix.

    Args:
        columns: Its lower band, column after column, [parameters, band + 1].
        sums: [parameters], which is added to.
    """
    for n in range(columns.shape[0]):
        sums[n] += abs(columns[n, 0])
        for d in range(1, min(columns.shape[1], columns.shape[0] - n)):
            sums[n] += abs(columns[n, d])
            sums[n + d] += abs(columns[n, d])


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
