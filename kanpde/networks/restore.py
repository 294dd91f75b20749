"""Candidates from the states that checkpoints hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kanpde.errors import RunError
from kanpde.networks.network import Network
from kanpde.networks.scales import Scales
from kanpde.networks.solution import Composition
from kanpde.networks.spans import Spans, span
from kanpde.networks.spec import Spec
from kanpde.networks.state import network_of
from kanpde.networks.trial_space import NetworkSolution, TrialSpace, trial_space
from kanpde.problem.parameters import Field
from kanpde.problem.problem import Problem


def restore(problem: Problem, state: dict[str, Any]) -> Composition:
    """What was trained on a problem.

    Args:
        problem: The problem that it was trained on.
        state: What `Solution.state` gave.

    Raises:
        RunError: The state does not fit.
    """
    if "spans" not in state:
        return restore_one(problem, state)
    found: list[NetworkSolution] = []
    count = state.get("count", len(state["spans"]))
    for k, saved in enumerate(state["spans"]):
        before = found[-1] if found else None
        found.append(restore_one(span(problem, k, count, before), saved))
    return Spans(found, count)


def restore_one(problem: Problem, state: dict[str, Any]) -> NetworkSolution:
    """What was trained on a problem in one span.

    Args:
        problem: The problem that it was trained on.
        state: What `Solution.state` gave.

    Raises:
        RunError: The state does not fit.
    """
    network = network_of(state)
    spec = network.spec if isinstance(network.spec, Spec) else None
    fields = _fields(problem, network)
    if "corners" in state:
        chosen = bool(state["corners"]), bool(state["lenses"])
        scales = Scales.from_plain(state["scales"]) if "scales" in state else None
        space = trial_space(problem, spec, fields, *chosen, scales, bool(state.get("relaxed")))
    else:
        space = _by_widths(problem, network, spec, fields)
    return fitted_to(space, network, problem.name)


def fitted_to(space: TrialSpace, network: Network, name: str) -> NetworkSolution:
    """The candidate that a saved network stands for.

    Args:
        space: Which candidates there are.
        network: The network.
        name: Of the problem, for the message.

    Raises:
        RunError: The network does not fit the space.
    """
    if not space.holds(network):
        raise RunError(f"checkpoint: {network.describe()} does not fit problem {name!r}")
    return space.solution(network)


def _by_widths(
    problem: Problem, network: Network, spec: Spec | None, fields: Mapping[str, Spec]
) -> TrialSpace:
    """The space of a state of version 0.1.0, which does not say what is part of it.

    Only there do the widths of the network have to tell whether there are corner functions and
    lenses.
    """
    choices = [(corners, lenses) for corners in (True, False) for lenses in (True, False)]
    spaces = [trial_space(problem, spec, fields, *choice, relaxed=False) for choice in choices]
    return next((space for space in spaces if space.holds(network)), spaces[-1])


def _fields(problem: Problem, network: Network) -> dict[str, Spec]:
    """What the fields of a saved network were built from, by name."""
    names = [p.name for p in problem.parameters if isinstance(p, Field)]
    specs = [part.spec for part in network.networks()[1:] if isinstance(part.spec, Spec)]
    return dict(zip(names, specs, strict=False))
