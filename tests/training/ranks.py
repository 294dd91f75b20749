"""Trainings by processes that share out their points, or by one."""

from pathlib import Path

import torch
import torch.distributed as dist
from trained import train

from kanpde import KAN, Box, Condition, Dirichlet, Initial, Problem, Recipe, Time, d
from kanpde.problem import file as problems
from kanpde.training import loop


def exact(x):
    return torch.sin(torch.pi * x)


def steady(u, x):
    return d(u, x, x) - u**3 + torch.pi**2 * exact(x) + exact(x) ** 3


def flow(u, v, x, t):
    return d(u, t) - d(v, x) + u * v


def other(u, v, x, t):
    return d(v, t) - d(u, x)


def right(u, v, t):
    return u + 3 * v - t


STEADY = Problem(
    domain=Box(x=(0, 1)),
    equations=[steady],
    conditions=[Dirichlet(u=0)],
    exact={"u": exact},
    name="steady",
)
SYSTEM = Problem(
    domain=Box(x=(0, 1)) * Time(t=(0, 1)),
    equations=[flow, other],
    conditions=[Dirichlet(u=0, on="x-"), Condition(right, on="x+"), Initial(u=exact, v=0)],
    name="system",
)
SMALL = KAN((3,), 5, 3)
CASES = {
    "lm": (STEADY, Recipe(SMALL, 61, "lm:5,extend:5,lm:3", restarts=2)),
    "gn": (STEADY, Recipe(SMALL, 61, "gn:4")),
    "lbfgs": (STEADY, Recipe(SMALL, 61, "lbfgs:6")),
    "adam": (STEADY, Recipe(SMALL, 61, "adam:6")),
    "affine": (problems.load("poisson2d")[0], Recipe(KAN((4,), 5, 4), 301, "lm:4,lbfgs:4")),
    "soft": (SYSTEM, Recipe(SMALL, 75, "lm:4", balance="ntk")),
    "causal": (SYSTEM, Recipe(SMALL, 75, "lm:4", balance="attention", causal=0.5)),
    "redrawn": (STEADY, Recipe(SMALL, 61, "lm:32")),
}


def coefficients():
    """What each case comes to, with points redrawn at every look."""
    loop.PARTED = 0.0
    return {name: train(*case)[0].network.theta for name, case in CASES.items()}


def work(rank, size):
    """Write what a process of several finds into a file in its folder, and their meeting point
    beside it."""
    dist.init_process_group("gloo", f"file://{Path.cwd()}/met", rank=rank, world_size=size)
    torch.save(coefficients(), f"{rank}.pt")
    dist.destroy_process_group()
