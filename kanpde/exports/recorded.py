"""A function of points as a graph of torch's own operations, recorded while it runs, so that others
can run it without kanpde.

Everything runs: the network's own operators by their plain formulas (kernels/), the user's
functions of the conditions, and autograd where the lift needs it. Constants are folded. The
function is recorded twice, for two numbers of points: a size that differs is an affine function of
the number, anything else that differs is a choice by values, which no graph can hold.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from kanpde.errors import RunError
from kanpde.kernels import activation, expansion, network, plain, rational

Function = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""Of columns [points], one a coordinate; returns columns [points], one an unknown."""

PLAIN: Mapping[Any, Callable[..., Any]] = {
    torch.ops.kanpde.spline_jet.default: plain.forward,
    torch.ops.kanpde.network_jet.default: network.forward,
    torch.ops.kanpde.expansion_jet.default: expansion.forward,
    torch.ops.kanpde.activation_jet.default: activation.forward,
    torch.ops.kanpde.rational_jet.default: rational.forward,
    torch.ops.aten.searchsorted.Tensor: lambda breaks, x, **right: _cells(breaks, x, **right),
}
"""What is recorded in place of an operator that others do not have."""


@dataclass(frozen=True)
class _Ref:
    """The place of a tensor among all that were recorded."""

    place: int


@dataclass(frozen=True)
class _Step:
    """An operation, its arguments with tensors as _Ref, and what came out of it."""

    operator: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    places: tuple[int, ...]
    single: bool


class _Recorder(TorchDispatchMode):
    def __init__(self, inputs: Sequence[Tensor]):
        super().__init__()
        self.tensors: list[Tensor] = list(inputs)  # kept, so that no address is used twice
        self.place = {id(t): k for k, t in enumerate(inputs)}
        self.steps: list[_Step] = []

    def ref(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if id(value) not in self.place:
            self.place[id(value)] = len(self.tensors)
            self.tensors.append(value)
        return _Ref(self.place[id(value)])

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in PLAIN:
            with self:
                return PLAIN[func](*args, **kwargs)
        arguments, keywords = tree_map(self.ref, args), tree_map(self.ref, kwargs)
        found = func(*args, **kwargs)
        single = isinstance(found, Tensor)
        made = [found] if single else list(found) if isinstance(found, tuple | list) else []
        if made and all(isinstance(t, Tensor) for t in made):
            self.steps.append(
                _Step(
                    func, tuple(arguments), keywords, tuple(self.ref(t).place for t in made), single
                )
            )
        return found


def recorded(
    function: Function, names: Sequence[str], first: Tensor, second: Tensor
) -> GraphModule:
    """The function as a module that takes the columns by these names and returns a tuple of
    columns.

    Args:
        function: What is recorded.
        names: The names of its columns.
        first: Points [points, dims] at which it is recorded.
        second: Others, of another number.

    Raises:
        RunError: It depends on values in a way that no graph can hold.
    """
    # what is made once and kept is made now, outside of both recordings
    function([column.contiguous() for column in first.flip(0).T])
    one, two = (_run(function, points) for points in (first, second))
    if [step.operator for step in one.steps] != [step.operator for step in two.steps]:
        raise RunError(
            "export: the solution is computed in other ways at other points; expected a function"
            " without choices by values"
        )
    return _Assembly(one, two, names, len(first), len(second)).module()


def _run(function: Function, points: Tensor) -> _Recorder:
    columns = [column.contiguous() for column in points.T]
    recorder = _Recorder(columns)
    with recorder:
        found = tuple(function(columns))
    recorder.outputs = [recorder.ref(t) for t in found]  # type: ignore[attr-defined]
    return recorder


class _Assembly:
    """The graph of what depends on the points or on their number; the rest becomes constants.

    one, two: the recordings; count, other: their numbers of points.
    """

    def __init__(
        self, one: _Recorder, two: _Recorder, names: Sequence[str], count: int, other: int
    ):
        self.one, self.two, self.count, self.other = one, two, count, other
        self.graph, self.root = Graph(), torch.nn.Module()
        self.nodes: dict[int, Node] = {
            k: self.graph.placeholder(name) for k, name in enumerate(names)
        }
        self.size = self.graph.call_method("size", (self.nodes[0], 0))
        self.twin = {
            a: b
            for s, t in zip(one.steps, two.steps, strict=True)
            for a, b in zip(s.places, t.places, strict=True)
        }

    def module(self) -> GraphModule:
        for s, t in zip(self.one.steps, self.two.steps, strict=True):
            if not self.constant(s, t):
                self.add(s, t)
        self.graph.output(tuple(self.node(ref) for ref in self.one.outputs))  # type: ignore[attr-defined]
        self.graph.eliminate_dead_code()
        return GraphModule(self.root, self.graph)

    def constant(self, s: _Step, t: _Step) -> bool:
        """Whether a step depends neither on the points nor on their number."""
        refs = [a for a in tree_flatten((s.arguments, s.keywords))[0] if isinstance(a, _Ref)]
        known = (self.nodes[ref.place] for ref in refs if ref.place in self.nodes)
        if any(node.op != "get_attr" for node in known):
            return False
        plain = [_without_refs((x.arguments, x.keywords)) for x in (s, t)]
        return bool(plain[0] == plain[1])

    def add(self, s: _Step, t: _Step) -> None:
        made = self.graph.call_function(
            s.operator,
            self.argument(s.arguments, t.arguments),
            {k: self.argument(v, t.keywords[k]) for k, v in s.keywords.items()},
        )
        for k, place in enumerate(s.places):
            self.nodes[place] = (
                made if s.single else self.graph.call_function(operator.getitem, (made, k))
            )

    def node(self, ref: _Ref) -> Node:
        """The node of a tensor; of one that is none yet, a constant."""
        if ref.place not in self.nodes:
            name = f"constant{len(self.nodes)}"
            value = self.one.tensors[ref.place].detach()
            partner = self.twin.get(ref.place)
            if partner is not None and not torch.equal(value, self.two.tensors[partner]):
                raise RunError(
                    "export: the solution depends on the points in a way that was not recorded;"
                    " expected torch's functions only"
                )
            self.root.register_buffer(name, value.clone())
            self.nodes[ref.place] = self.graph.get_attr(name)
        return self.nodes[ref.place]

    def argument(self, a: Any, b: Any) -> Any:
        """An argument, by what it is in both recordings."""
        if isinstance(a, _Ref):
            return self.node(a)
        if isinstance(a, list | tuple):
            return type(a)(self.argument(x, y) for x, y in zip(a, b, strict=True))
        if a == b or (isinstance(a, float) and a != a and b != b):
            return a
        whole = all(isinstance(x, int) and not isinstance(x, bool) for x in (a, b))
        if whole and (b - a) % (self.other - self.count) == 0:
            return self.affine(a, (b - a) // (self.other - self.count))
        raise RunError(
            f"export: a number in the solution's formula differs between points, {a!r} and {b!r};"
            " expected a function without choices by values"
        )

    def affine(self, value: int, slope: int) -> Node:
        """A size that is an affine function of the number of points."""
        scaled = (
            self.size if slope == 1 else self.graph.call_function(operator.mul, (self.size, slope))
        )
        rest = value - slope * self.count
        return self.graph.call_function(operator.add, (scaled, rest)) if rest else scaled


def _without_refs(value: Any) -> Any:
    return tree_map(lambda a: None if isinstance(a, _Ref) else a, value)


def _cells(
    breaks: Tensor, x: Tensor, right: bool = False, side: str | None = None, **_: Any
) -> Tensor:
    """searchsorted by counting."""
    at = x[..., None]
    below = breaks[..., None, :] <= at if right or side == "right" else breaks[..., None, :] < at
    return below.sum(-1)
