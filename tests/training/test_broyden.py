"""Self-scaled Broyden: its update, and how many steps it takes where curvatures differ."""

import math

import pytest
import torch
from toys import Function, bowl, rosenbrock, run

from kanpde.training import LBFGS, Broyden
from kanpde.training import broyden as module


def steps_to(goal, optimiser, function, start):
    at = Function(function, start)
    losses, _ = run(optimiser, at, goal)
    assert losses[-1] <= goal
    return len(losses)


def plain(H, s, y, pulled, first):
    """BFGS, with the usual first scaling (Nocedal and Wright 2006, eq. 6.17 and 6.20)."""
    rho = 1 / (y @ s)
    if first:
        H.mul_((s @ y) / (y @ y))
    V = torch.eye(len(s), dtype=s.dtype) - rho * torch.outer(y, s)
    H.copy_(V.T @ H @ V + rho * torch.outer(s, s))


@pytest.mark.parametrize("condition", [1e4, 1e6])
def test_fewer_steps_than_bfgs_and_far_fewer_than_lbfgs_on_an_ill_conditioned_bowl(
    condition, monkeypatch
):
    function, start = bowl(condition), [1.0] * 40
    scaled = steps_to(1e-10, Broyden(2000), function, start)
    memory = run(LBFGS(4 * scaled, memory=10), Function(function, start))[0]
    assert memory[-1] > 1e-10
    monkeypatch.setattr(module, "update", plain)
    assert scaled < 0.6 * steps_to(1e-10, Broyden(2000), function, start)


@pytest.mark.parametrize("size", [2, 10])
def test_rosenbrock_valley(size):
    assert steps_to(1e-18, Broyden(150), rosenbrock, [-1.2, 1.0] * (size // 2)) < 150


def pair(size=6, seed=0):
    """A positive definite estimate, a step along it, and the change of the gradient of some convex
    function."""
    generator = torch.Generator().manual_seed(seed)
    A, B = (torch.randn(size, size, dtype=torch.float64, generator=generator) for _ in range(2))
    H, curvature = A @ A.T + 0.1 * torch.eye(size), B @ B.T + 0.1 * torch.eye(size)
    s = torch.randn(size, dtype=torch.float64, generator=generator)
    return H, s, curvature @ s


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("first", [True, False])
def test_the_update_satisfies_the_secant_equation_and_stays_positive_definite(seed, first):
    H, s, y = pair(seed=seed)
    H = torch.eye(6, dtype=torch.float64) if first else H
    module.update(H, s, y, float(s @ torch.linalg.solve(H, s)), first)
    torch.testing.assert_close(H @ y, s, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(H, H.T, rtol=0, atol=1e-12 * float(H.abs().max()))
    assert float(torch.linalg.eigvalsh(H)[0]) > 0


def test_the_update_is_the_published_one():
    """Written out in the Hessian's own form: B⁺ = τ (B - B s sᵀB / sᵀBs + θ w wᵀ) + y yᵀ / yᵀs, w =
    √(sᵀBs) (y / yᵀs - B s / sᵀBs)."""
    for seed in range(8):
        H, s, y = pair(seed=seed)
        B = torch.linalg.inv(H)
        ys, sBs, yHy, n = float(y @ s), float(s @ B @ s), float(y @ H @ y), len(s)
        b, h = sBs / ys, yHy / ys
        a = b * h - 1
        rho = min(1, h * (1 - math.sqrt(a / (1 + a))))
        theta = max((rho - 1) / a, min(1 / rho, (1 - b) / b))
        sigma = 1 + theta * a
        power, shrink = sigma ** (1 / (1 - n)), min(1, 1 / b)
        tau = min(shrink * power, sigma) if theta <= 0 else shrink * min(power, 1 / theta)
        w = math.sqrt(sBs) * (y / ys - B @ s / sBs)
        wanted = (
            tau * (B - torch.outer(B @ s, B @ s) / sBs + theta * torch.outer(w, w))
            + torch.outer(y, y) / ys
        )
        module.update(H, s, y, sBs, False)
        torch.testing.assert_close(torch.linalg.inv(H), wanted, rtol=1e-7, atol=1e-8)


def test_the_first_estimate_is_scaled_as_a_whole():
    """On a sphere of any size the identity then becomes the inverse Hessian at once, in all
    directions."""
    s = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64)
    H = torch.eye(3, dtype=torch.float64)
    module.update(H, s, 50 * s, float(s @ s), True)
    torch.testing.assert_close(H, torch.eye(3, dtype=torch.float64) / 50, rtol=1e-6, atol=1e-9)


def test_goes_down_and_says_why_it_stopped():
    at = Function(bowl(100.0, 2), [1.0, -2.0])
    losses, reason = run(Broyden(100), at)
    assert losses == sorted(losses, reverse=True)
    assert reason == "gradient below 1e-12"
    assert run(Broyden(5, tolerance=1e9), at) == ([], "gradient below 1e+09")
    assert run(Broyden(3), Function(rosenbrock, [-1.2, 1.0]))[1] == "all steps done"


def test_a_direction_that_leads_nowhere_makes_it_begin_anew(monkeypatch):
    """An estimate that was spoilt is dropped, and it goes on along the gradient."""

    def spoil(H, s, y, pulled, first):
        H.mul_(-1.0)

    monkeypatch.setattr(module, "update", spoil)
    losses, _ = run(Broyden(20), Function(bowl(10.0, 3), [1.0, 1.0, 1.0]))
    assert len(losses) == 20
    assert losses == sorted(losses, reverse=True)
