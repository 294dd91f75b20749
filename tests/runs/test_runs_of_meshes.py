"""A run on the mesh of a file, from the problem's file to its run folder read elsewhere."""

import pytest
from meshed import write_region

from kanpde import Disk, load, solve
from kanpde.errors import ProblemWarning
from kanpde.problem.file import load as load_problem

RING = Disk(x=0, y=0, radius=0.2, name="rim") - Disk(x=0, y=0, radius=0.1, name="bore")

PROBLEM = '''"""Heat through a ring."""

from kanpde import Dirichlet, Mesh, Problem, laplacian

problem = Problem(
    Mesh("ring.msh", scale=0.1),
    lambda T, x, y: laplacian(T),
    [Dirichlet(T=400, on="bore"), Dirichlet(T=300, on="rim")],
    exact={"T": lambda x, y: 400 - 50 * (1e4 * (x**2 + y**2)).log() / 0.6931471805599453},
)
'''


def test_a_ring_is_solved_by_products_and_its_run_needs_no_mesh(tmp_path):
    write_region(tmp_path / "ring.msh", RING, 0.05)
    (tmp_path / "ring.py").write_text(PROBLEM)
    problem, _ = load_problem(str(tmp_path / "ring.py"))
    run = tmp_path / "run"
    result = solve(problem, effort="quick", reference=False, run_dir=run, pictures=False)
    assert "products of splines" in repr(result)
    assert result.known_error < 1e-6
    (tmp_path / "ring.msh").unlink()
    with pytest.warns(ProblemWarning, match=r"no such file.*the stored fields are still there"):
        found = load(run)
    assert found.fields.solution["T"] == pytest.approx(result.fields.solution["T"], nan_ok=True)
