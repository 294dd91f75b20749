"""What the CPU kernels do to a tile of TILE points: find intervals, powers of jets, Taylor coefficients and their transposes.

Arrays are [..., TILE] and every inner loop runs over a tile. offsets[j] is where the channels of order j begin, with the
number of channels behind the last one. (Numba does not see that what it compiled elsewhere uses these functions: after a
change here, `make clean`.)
"""

from __future__ import annotations

from kanpde.kernels.compiled import TILE, compiled


@compiled
def locate(x, breaks, cell, tau, inverse):
    """The interval that holds each x, τ in it, and one over its length."""
    grid = len(breaks) - 1
    scale = grid / (breaks[grid] - breaks[0])
    for i in range(TILE):
        guess = (x[i] - breaks[0]) * scale
        g = 0
        if guess >= grid:
            g = grid - 1
        elif guess > 0:  # false for nan too
            g = int(guess)
        while g > 0 and x[i] < breaks[g]:
            g -= 1
        while g < grid - 1 and x[i] >= breaks[g + 1]:
            g += 1
        cell[i] = g
    for i in range(TILE):
        left, right = breaks[cell[i]], breaks[cell[i] + 1]
        inverse[i] = 1 / (right - left)
        tau[i] = (x[i] - (left + right) / 2) * inverse[i]


@compiled
def load(X, first, tile):
    """Jets X [points, channels, units] from point `first` on, into tile [units, channels, TILE]; past the end the last one is repeated."""
    units, channels, _ = tile.shape
    for i in range(TILE):
        n = min(first + i, len(X) - 1)
        for c in range(channels):
            for u in range(units):
                tile[u, c, i] = X[n, c, u]


@compiled
def store(tile, first, valid, start, Y):
    """The reverse for the first `valid` points, into the units of Y from `start` on."""
    units, channels, _ = tile.shape
    for i in range(valid):
        for c in range(channels):
            for u in range(units):
                Y[first + i, c, start + u] = tile[u, c, i]


@compiled
def fill_powers(x, offsets, factor, powers):
    """Powers δ^1 … δ^order of one unit's jets x [channels, TILE], as powers[ν, channel], times factor^ν at each point."""
    order = len(offsets) - 2
    if order == 0:
        return
    for c in range(1, len(x)):
        for i in range(TILE):
            powers[1, c, i] = x[c, i] * factor[i]
    for nu in range(2, order + 1):
        for k in range(nu, order + 1):
            for direction in range(offsets[k + 1] - offsets[k]):
                row = offsets[k] + direction
                for i in range(TILE):
                    powers[nu, row, i] = powers[1, offsets[1] + direction, i] * powers[nu - 1, offsets[k - 1] + direction, i]
                for j in range(2, k - nu + 2):
                    for i in range(TILE):
                        powers[nu, row, i] += powers[1, offsets[j] + direction, i] * powers[nu - 1, offsets[k - j] + direction, i]


@compiled
def taylor(a, cell, tau, order, w):
    """Taylor coefficients 0 … order in τ of the piecewise polynomial a [grid, degree + 1], into w: synthetic division, repeated."""
    width = a.shape[1]
    for i in range(TILE):
        for s in range(width):
            w[s, i] = a[cell[i], s]
    for nu in range(width, order + 1):
        for i in range(TILE):
            w[nu, i] = 0
    for nu in range(min(order, width - 1) + 1):
        for s in range(width - 2, nu - 1, -1):
            for i in range(TILE):
                w[s, i] += tau[i] * w[s + 1, i]


@compiled
def taylor_adjoint(H, tau, order, w, width):
    """The transpose of `taylor`: what the interval's coefficients get, into w, from the adjoints H of the Taylor coefficients."""
    for s in range(width):
        for i in range(TILE):
            w[s, i] = 0
    for nu in range(min(order, width - 1), -1, -1):
        for i in range(TILE):
            w[nu, i] += H[nu, i]
        for s in range(nu, width - 1):
            for i in range(TILE):
                w[s + 1, i] += tau[i] * w[s, i]


@compiled
def add_composed(w, powers, offsets, target):
    """Add the jet of f∘x to target [channels, TILE], from the Taylor coefficients w of f at the value."""
    for i in range(TILE):
        target[0, i] += w[0, i]
    for nu in range(1, len(offsets) - 1):
        for c in range(offsets[nu], len(target)):
            for i in range(TILE):
                target[c, i] += w[nu, i] * powers[nu, c, i]


@compiled
def moments(lift, powers, offsets, H):
    """H_ν = Σ_c δ^ν_c L_c, the adjoints of the Taylor coefficients, from the adjoint lift [channels, TILE] of the output."""
    for nu in range(len(H)):
        for i in range(TILE):
            H[nu, i] = 0
    for i in range(TILE):
        H[0, i] += lift[0, i]
    for nu in range(1, len(offsets) - 1):
        for c in range(offsets[nu], len(lift)):
            for i in range(TILE):
                H[nu, i] += powers[nu, c, i] * lift[c, i]


@compiled
def add_value_adjoint(w, H, target):
    """Add the adjoint Σ_ν (ν+1) f_{ν+1} H_ν of the input's value."""
    for nu in range(len(H)):
        for i in range(TILE):
            target[i] += (nu + 1) * w[nu + 1, i] * H[nu, i]


@compiled
def add_products(w, lift, offsets, S):
    """Add f_ν L_c to S[ν, c], for the channels c of order ν and higher."""
    for nu in range(1, len(offsets) - 1):
        for c in range(offsets[nu], len(lift)):
            for i in range(TILE):
                S[nu, c, i] += w[nu, i] * lift[c, i]


@compiled
def correlated(S, powers, offsets, low, direction, found):
    """The adjoint of the coefficient of order `low` along a direction: Σ_k Σ_ν ν δ^(ν-1)_{k-low} S[ν, k]."""
    for i in range(TILE):
        found[i] = S[1, offsets[low] + direction, i]
    for high in range(low + 1, len(offsets) - 1):
        if direction < offsets[high + 1] - offsets[high]:
            for nu in range(2, high - low + 2):
                for i in range(TILE):
                    found[i] += nu * powers[nu - 1, offsets[high - low] + direction, i] * S[nu, offsets[high] + direction, i]
