"""What a pressure needs: an unknown whose own equation does not hold it, such as ∇·u = 0.

On the nodes of the faces its values continue those inside, as if its polynomial had a lower degree
(P_N-P_N-2, Bernardi and Maday 1992), and its own equation holds inside. Where only its derivatives
enter and conditions enclose the flow, it is free up to a constant; along coordinates that wrap
round also up to what alternates from node to node, which central differences do not see. For each
of these modes the system has one more row, that the pressure has none of it, and one more unknown,
a constant added to the pressure's own equation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import scipy.sparse as sp

from kanpde.problem.constraints import Constraint
from kanpde.problem.faces import space_faces
from kanpde.problem.formulation import Formulation
from kanpde.reference.assembly import dependence
from kanpde.reference.grid import Grid
from kanpde.reference.stencils import interpolation
from kanpde.residual.calculus import Values
from kanpde.residual.residual import Residual


def depends(equation: Residual, row: int, unknown: str, at: Values) -> bool:
    """Whether an equation's row depends on an unknown or any of its derivatives."""
    return any(
        held
        for (u, _), held in zip(equation.needs, dependence(equation, at)[row], strict=True)
        if u == unknown
    )


def pinning(problem: Formulation, v: int, pressures: Sequence[int]) -> list[Constraint] | None:
    """The conditions that only fix the constant of a pressure, perhaps none; None where it has no
    free constant.

    It has one where only its derivatives enter the equations, and every other unknown has
    conditions on every face.
    """
    name = problem.unknowns[v]
    value = (name, (0,) * len(problem.coordinates))
    if any(value in e.needs for e in problem.equations):
        return None
    for face in space_faces(problem.domain):
        if problem.domain.faces[face].coordinate in problem.periodic:
            continue
        here = [c for c in problem.constraints if c.face == face and c.where is None]
        held = {
            u
            for c in here
            for u in {u for u, _ in c.residual.needs}
            if c.residual.unknowns != (name,)
        }
        mixed = any(
            len({u for u, _ in c.residual.needs}) > 1 and name in {u for u, _ in c.residual.needs}
            for c in here
        )
        if mixed or any(
            u not in held for w, u in enumerate(problem.unknowns) if w not in pressures
        ):
            return None
    return [
        c
        for c in problem.constraints
        if c.face in space_faces(problem.domain) and {u for u, _ in c.residual.needs} == {name}
    ]


def continuation(
    problem: Formulation, grid: Grid, free: np.ndarray
) -> Iterator[tuple[np.ndarray, sp.csr_matrix]]:
    """A pressure on the faces of a box from its values inside, face by face.

    Args:
        problem: Whose faces they are.
        grid: Of its space.
        free: Which nodes still have an equation for the pressure; those that are continued here are
            struck out, so that an edge of two faces belongs to the first of them.

    Yields:
        Nodes, and rows [nodes, grid nodes] that vanish where their values are interpolated.
    """
    domain, numbers = problem.domain, np.arange(grid.nodes).reshape(grid.shape)
    for name in space_faces(domain):
        face = domain.faces[name]
        if face.coordinate in grid.periodic:
            continue
        assert face.coordinate is not None
        axis = grid.names.index(face.coordinate)
        nodes, x = grid.face(face), grid.axis(face.coordinate)
        at = 0 if face.side < 0 else len(x) - 1
        inner = slice(1, len(x) - 1)
        w = interpolation(x[inner], x[[at]], grid.order).toarray()[0]
        used = np.flatnonzero(w)
        mine = free[nodes]
        free[nodes[mine]] = False
        columns = np.stack([np.take(numbers, j + 1, axis=axis).ravel()[mine] for j in used], 1)
        rows = np.repeat(np.arange(mine.sum()), len(used))
        shape = (int(mine.sum()), grid.nodes)
        inside = sp.csr_matrix((np.tile(w[used], shape[0]), (rows, columns.ravel())), shape=shape)
        yield nodes[mine], sp.identity(grid.nodes, format="csr")[nodes[mine]] - inside


def unseen_modes(grid: Grid) -> list[np.ndarray]:
    """What central differences of first derivatives do not see, [nodes] each."""
    axes = [
        ([0, 1] if x in grid.periodic and n % 2 == 0 else [0])
        for x, n in zip(grid.names, grid.shape, strict=True)
    ]
    node = np.stack(np.unravel_index(np.arange(grid.nodes), grid.shape))
    return [(-1.0) ** (np.array(signs) @ node) for signs in product(*axes)]
