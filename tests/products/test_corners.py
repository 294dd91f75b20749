"""Products of splines beside singular corners: least squares that are tempered, on cells that the
corners draw near."""

import math

import numpy as np
import scipy.linalg

from kanpde import Box, Condition, Dirichlet, Problem, d, laplacian
from kanpde.products.gradients import of_least_squares
from kanpde.products.progress import Settings
from kanpde.products.refining import RefinedProducts
from kanpde.results.residuals import met


def root(x, y):
    """r^½ sin(π/4 - θ/2), harmonic, without the slanted slope u_x + u_y where y = 0."""
    r = (x**2 + y**2) ** 0.5
    # Half an angle without the angle, which has no second derivative by torch.
    return (((r - x) / 2).clamp_min(0) ** 0.5 - ((r + x) / 2) ** 0.5) / -math.sqrt(2)


SLANTED = Problem(
    Box(x=(0, 1), y=(0, 1)),
    lambda u: laplacian(u),
    [
        Dirichlet(u=root, on=("x-", "x+", "y+")),
        Condition(lambda u, x, y: d(u, x) + d(u, y), on="y-"),
    ],
)
SETTINGS = Settings(1e-8, degree=6, work=1e9)


def ended(problem, tempered=True, settings=SETTINGS):
    method = RefinedProducts(problem, settings)
    if not tempered:
        method.corners = ()
    progress = method.begin()
    while not progress.finished:
        progress = method.advance(progress)
    return method, progress


def off(method, progress):
    """Root mean square of the error."""
    middle = (np.arange(40) + 0.5) / 40
    X, Y = np.meshgrid(middle, middle, indexing="ij")
    r, theta = np.hypot(X, Y), np.arctan2(Y, X)
    truth = r**0.5 * np.sin(math.pi / 4 - theta / 2)
    found = method.solution(progress).on_grid(0, [middle, middle])
    return float(np.sqrt(((found - truth) ** 2).mean()))


def test_a_solution_of_unbounded_slope_is_found():
    method, progress = ended(SLANTED)
    (corner,) = method.corners
    assert abs(corner.exponent - 0.5) < 1e-9
    assert off(method, progress) < 5e-4
    for axis in progress.spans[-1].axes:  # short towards the corner, and nowhere else
        lengths = np.diff(axis.breaks)
        assert lengths[0] < 0.2 * lengths.max()
        assert lengths[-1] > 0.5 * lengths.max()


def test_cells_are_few_and_the_claim_holds_in_mean_square():
    method, progress = ended(SLANTED, settings=Settings(1e-4, degree=6))
    assert not progress.missed
    assert off(method, progress) < 1e-5
    assert max(axis.cells for axis in progress.spans[-1].axes) < 46


def test_plain_squares_have_another_limit():
    assert off(*ended(SLANTED, tempered=False)) > 1e-2


def test_the_residual_is_measured_as_it_was_lowered():
    method, progress = ended(SLANTED)
    solution = method.solution(progress)
    found = met(SLANTED, solution)
    assert max(found.equations.values()) < 1e-3
    solution.tempered = lambda points, on_face: None
    assert max(met(SLANTED, solution).equations.values()) > 1e-2


def test_rows_that_nearly_meet_cost_digits_once():
    """Whose normal equations are singular to rounding: a factor of these, with a ridge, gives no
    digit by itself."""
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.standard_normal((60, 12)))
    right, _ = np.linalg.qr(rng.standard_normal((12, 12)))
    J = left * np.logspace(0, -9, 12) @ right
    truth = rng.standard_normal(12)
    factor = scipy.linalg.cho_factor(J.T @ J + 1e-15 * np.eye(12))

    def nearly(v):
        return scipy.linalg.cho_solve(factor, v)

    def settled(z, x):
        return np.abs(z).max() < 1e-10 * np.abs(x).max()

    given = J @ truth
    assert np.abs(nearly(J.T @ given) - truth).max() > 0.1
    found, count = of_least_squares(lambda v: J @ v, lambda r: J.T @ r, nearly, given, settled, 100)
    assert count < 20
    assert np.abs(found - truth).max() < 1e-5
