"""Finite elements on the meshes of files, against closed forms."""

from itertools import islice

import numpy as np
import pytest
from meshed import write_region

from kanpde import Dirichlet, Disk, Mesh, Neumann, Problem, laplacian
from kanpde.reference import reference
from kanpde.reference.elements import Meshes
from kanpde.reference.steady import solve_steady

RING = Disk(x=0, y=0, radius=2, name="rim") - Disk(x=0, y=0, radius=1, name="bore")


@pytest.fixture
def ring(tmp_path):
    return Mesh(write_region(tmp_path / "ring.msh", RING, 0.5))


def conduction(ring):
    return Problem(
        ring,
        lambda T, x, y: laplacian(T),
        [Dirichlet(T=0, on="bore"), Neumann(T=0.5, on="rim")],
        exact={"T": lambda x, y: (x**2 + y**2).log() / 2},
    )


def off(values, x, y):
    """Root mean square of the error."""
    with np.errstate(divide="ignore"):
        exact = np.log(x[:, None] ** 2 + y**2) / 2
    return np.sqrt(np.nanmean((values - exact) ** 2))


def test_order_on_the_mesh_of_a_file(ring):
    meshes, gone = Meshes(ring), []
    for k, along in enumerate(islice(meshes.sizes(), 3)):
        grid = meshes.grid(along)
        assert grid.mesh.nelements == 4**k * len(ring.own_triangles().triangles)
        values, _ = solve_steady(conduction(ring), grid)
        shown = grid.even(values)[0]
        axes = [np.linspace(*ring.bounds[x], n) for x, n in zip("xy", shown.shape, strict=True)]
        gone.append(off(shown, *axes))
    assert np.log2(gone[1] / gone[2]) == pytest.approx(3, abs=0.2)


def test_a_coarse_mesh_is_refined_as_far_as_is_asked(ring):
    found = reference(conduction(ring), method="fem", cells=24)
    error = off(found.values["T"], *(found.coordinates[x] for x in "xy"))
    error /= np.nanstd(found.values["T"])
    assert 1e-6 < error < 2e-4
    assert error / 3 < found.estimated_error < 30 * error


def test_a_fine_mesh_is_made_anew(tmp_path):
    fine = Mesh(write_region(tmp_path / "fine.msh", RING, 0.12))
    assert len(fine.own_triangles().triangles) > 1000
    found, own = ((meshes := Meshes(region)).grid(next(meshes.sizes())) for region in (fine, RING))
    assert 0.8 < found.mesh.nelements / own.mesh.nelements < 1.2
    assert set(found.faces) == {"rim", "bore"}
