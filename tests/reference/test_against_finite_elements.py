"""References on a disk against finite elements of scikit-fem, for each kind of condition: the two
part only by the elements' polygonal boundary."""

import numpy as np
import pytest
import torch
from skfem import (
    Basis,
    BilinearForm,
    ElementTriP2,
    FacetBasis,
    LinearForm,
    MeshTri,
    condense,
    solve,
)
from skfem.helpers import dot, grad

from kanpde import Dirichlet, Disk, Neumann, Problem, Robin, laplacian
from kanpde.reference import reference

SIDES = {
    "Dirichlet": Dirichlet(u=lambda x: torch.sin(3 * x)),
    "Neumann": Neumann(u=lambda x: torch.sin(3 * x)),
    "Robin": Robin(u=lambda x: torch.sin(3 * x), a=2, b=1),
}


def by_elements(kind, refinements, points):
    """-Δu + (1 + x²) u = exp y by quadratic elements on triangles, at points [2, points]."""
    basis = Basis(mesh := MeshTri.init_circle(refinements), ElementTriP2())
    edge = FacetBasis(mesh, ElementTriP2())
    stiffness = BilinearForm(
        lambda u, v, w: dot(grad(u), grad(v)) + (1 + w.x[0] ** 2) * u * v
    ).assemble(basis)
    load = LinearForm(lambda v, w: np.exp(w.x[1]) * v).assemble(basis)
    data = LinearForm(lambda v, w: np.sin(3 * w.x[0]) * v).assemble(edge)
    if kind == "Dirichlet":
        found = np.zeros(basis.N)
        held = basis.get_dofs().all()
        found[held] = np.sin(3 * basis.doflocs[0, held])
        found = solve(*condense(stiffness, load, x=found, D=held))
    elif kind == "Neumann":
        found = solve(stiffness, load + data)
    else:
        found = solve(
            stiffness + 2 * BilinearForm(lambda u, v, w: u * v).assemble(edge), load + data
        )
    return basis.probes(points) @ found


@pytest.mark.parametrize("kind", SIDES)
def test_disk(kind):
    problem = Problem(
        Disk(x=0, y=0, radius=1),
        [lambda u, x, y: -laplacian(u) + (1 + x**2) * u - torch.exp(y)],
        [SIDES[kind]],
    )
    found = reference(problem, cells=48)
    assert found.estimated_error < 2e-5
    points, values = found.points(), found.values["u"].ravel()
    near = np.hypot(*points.T) < 0.7
    gaps = [
        np.linalg.norm(by_elements(kind, n, points[near].T) - values[near])
        / np.linalg.norm(values[near])
        for n in (3, 4, 5)
    ]
    assert gaps[2] < 1e-3
    assert gaps[0] / gaps[1] == pytest.approx(4, abs=0.5)
    assert gaps[1] / gaps[2] == pytest.approx(4, abs=0.5)
