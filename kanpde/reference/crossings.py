"""Where the lines of a Cartesian grid cross the boundary of a domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from kanpde.geometry import Domain

TOUCHING = 1e-9
"""Of the domain's size: a node that is no further from the boundary lies on it."""

HALVINGS = 53


@dataclass(frozen=True)
class Crossings:
    """Of the lines along one axis. inner: indices of the node inside, by crossing; side: the
    direction from there, -1 or +1; at: the place; arm: its distance in cells."""

    inner: Int[np.ndarray, "crossings dims"]
    side: Int[np.ndarray, " crossings"]
    at: Float[np.ndarray, "crossings dims"]
    arm: Float[np.ndarray, " crossings"]


def is_inside(
    domain: Domain, points: Float[np.ndarray, "points dims"], slack: float
) -> Bool[np.ndarray, " points"]:
    """Whether points of space lie in a domain that is made larger by `slack`."""
    return domain.inside(torch.from_numpy(np.ascontiguousarray(points)), slack).numpy()


def nodes_inside(
    domain: Domain, axes: Sequence[Float[np.ndarray, " _nodes"]], size: float
) -> Bool[np.ndarray, "*nodes"]:
    """Which nodes of a tensor grid lie inside a domain and not on its boundary."""
    mesh = np.meshgrid(*axes, indexing="ij")
    return is_inside(domain, np.stack([m.ravel() for m in mesh], 1), -TOUCHING * size).reshape(
        mesh[0].shape
    )


def crossings(
    domain: Domain,
    axes: Sequence[Float[np.ndarray, " _nodes"]],
    inside: Bool[np.ndarray, "*nodes"],
    axis: int,
    size: float,
) -> Crossings:
    """Between a node inside and its neighbour along an axis that is not, by bisection.

    A boundary that passes twice between two neighbours is not seen; a grid is too coarse for it.
    """
    low, high = (
        np.moveaxis(np.take(inside, part, axis), axis, 0)
        for part in (np.arange(inside.shape[axis] - 1), np.arange(1, inside.shape[axis]))
    )
    inner, side = [], []
    for step, found in ((1, low & ~high), (-1, high & ~low)):
        index = np.argwhere(found)
        index[:, 0] += step < 0
        inner.append(np.insert(index[:, 1:], axis, index[:, 0], axis=1))
        side.append(np.full(len(index), step))
    nodes, sides = np.concatenate(inner), np.concatenate(side)
    start = np.stack([x[nodes[:, a]] for a, x in enumerate(axes)], 1)
    ahead = axes[axis][nodes[:, axis] + sides]
    length, t = ahead - start[:, axis], np.ones(len(nodes))
    bottom = np.zeros(len(nodes))
    for _ in range(HALVINGS):
        middle, point = (bottom + t) / 2, start.copy()
        point[:, axis] += middle * length
        within = domain.depth(torch.from_numpy(point)).numpy() > 0
        bottom, t = np.where(within, middle, bottom), np.where(within, t, middle)
    at = start.copy()
    touched = (1 - t) * np.abs(length) <= TOUCHING * size
    touched |= _grazed(domain, start, axis, ahead, t, size)
    at[:, axis] = np.where(touched, ahead, start[:, axis] + t * length)
    return Crossings(nodes, sides, at, np.abs(at[:, axis] - start[:, axis]) / np.abs(length))


def _grazed(
    domain: Domain,
    start: Float[np.ndarray, "crossings dims"],
    axis: int,
    ahead: Float[np.ndarray, " crossings"],
    t: Float[np.ndarray, " crossings"],
    size: float,
) -> Bool[np.ndarray, " crossings"]:
    """Which lines leave the domain where they only graze its boundary, at the node ahead: from the
    crossing on, which depths of rounding place anywhere near, all points lie on the boundary."""
    found = (1 - t) * np.abs(ahead - start[:, axis]) <= np.sqrt(TOUCHING) * size
    for part in (0.5, 1.0):
        point = start.copy()
        point[:, axis] += (t + part * (1 - t)) * (ahead - start[:, axis])
        found &= np.abs(domain.depth(torch.from_numpy(point)).numpy()) <= TOUCHING * size
    return found
