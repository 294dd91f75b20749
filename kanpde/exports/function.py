"""The solution as a function of the coordinates that runs without kanpde: as TorchScript, and as an
ONNX model.

Boundary and initial values that the solution meets exactly are in it, with everything else that
makes the solution: columns [points] by coordinate come in, a column by unknown comes out. What was
written is compared with the solution before it counts as exported.
"""

from __future__ import annotations

import copy
import logging
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule

from kanpde.errors import RunError
from kanpde.exports import splines
from kanpde.exports.recorded import recorded
from kanpde.networks.solution import Solution
from kanpde.networks.spans import Spans
from kanpde.problem.problem import Problem
from kanpde.products.solution import TensorSolution
from kanpde.runs.atomic import replace_file

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
"""Of the comparison, over the largest value."""

Columns = Sequence[Tensor]


def as_graph(problem: Problem, solution: Solution) -> GraphModule:
    """The solution as a graph of torch's operations.

    Args:
        problem: The problem.
        solution: Its solution.

    Returns:
        The graph, called with the columns in the order of the coordinates.

    Raises:
        RunError: The solution depends on values in a way that no graph can hold.
    """
    first, second = _points(problem, 13), _points(problem, 17)
    count = len(functions(problem))
    return recorded(
        lambda columns: values(solution, columns)[:count], problem.coordinates, first, second
    )


def functions(problem: Problem) -> tuple[str, ...]:
    """What the solution consists of.

    Args:
        problem: The problem.

    Returns:
        The unknowns, and the fields among the parameters of an inverse problem, in the order of the
        columns.
    """
    return tuple(getattr(problem, "functions", problem.unknowns))


def values(solution: Solution, columns: Columns) -> tuple[Tensor, ...]:
    """The unknowns at points.

    Of spans of time every one is evaluated everywhere, and the one that holds the time is taken;
    where training ended before the last one, the solution stands still.

    Args:
        solution: The solution.
        columns: The points, one column [points] a coordinate.

    Returns:
        One column [points] an unknown.
    """
    if isinstance(solution, TensorSolution):
        return splines.values(solution, columns).unbind(1)
    points = torch.stack(list(columns), 1)
    if not isinstance(solution, Spans):
        return solution(points).unbind(1)
    spans = solution.spans
    if len(spans) < solution.count:
        points = torch.cat([points[:, :-1], points[:, -1:].clamp(max=solution.end)], 1)
    found = spans[0](points)
    for end, span in zip(solution.ends.tolist(), spans[1:], strict=True):
        found = torch.where((points[:, -1] > end)[:, None], span(points), found)
    return found.unbind(1)


def write_torchscript(problem: Problem, solution: Solution, path: Path) -> None:
    """Write a TorchScript module for torch.jit.load, in Python or C++.

    Args:
        problem: The problem.
        solution: Its solution.
        path: The file.

    Raises:
        RunError: The solution cannot be recorded, or what was made differs from it.
    """
    graph = copy.deepcopy(as_graph(problem, solution))
    for node in (
        graph.graph.nodes
    ):  # TorchScript knows operators by their names, and finds the overload by itself
        if isinstance(node.target, torch._ops.OpOverload):
            node.target = node.target.overloadpacket
    graph.recompile()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # torch's own: it recommends torch.export, whose files C++ does not load as simply
        script = torch.jit.freeze(torch.jit.script(graph.eval()))
    _compare("torchscript", problem, solution, lambda columns: script(*columns))
    replace_file(path, lambda file: torch.jit.save(script, file))


def write_onnx(problem: Problem, solution: Solution, path: Path) -> None:
    """Write an ONNX model, with inputs named as the coordinates and outputs named as the unknowns.

    Args:
        problem: The problem.
        solution: Its solution.
        path: The file.

    Raises:
        RunError: A package that this needs is not installed, the solution cannot be recorded, or
            what was made differs from it.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch.onnx needs it
        from onnx.reference import ReferenceEvaluator
    except ImportError as error:
        raise RunError(
            f"onnx: needs {error.name}, which is not installed: pip install 'kanpde[onnx]'"
        ) from None
    graph = _without_scalars(as_graph(problem, solution))
    points = torch.export.Dim("points")
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # torch's own, about itself
        quiet = logging.getLogger("torch.onnx")
        level = quiet.level
        quiet.setLevel(logging.ERROR)
        try:
            program = torch.export.export(
                graph,
                tuple(_points(problem, 13).T.contiguous()),
                dynamic_shapes=tuple({0: points} for _ in problem.coordinates),
            )
            raw = str(Path(folder) / "solution.onnx")
            names = list(problem.coordinates), list(functions(problem))
            torch.onnx.export(
                program,
                (),
                raw,
                input_names=names[0],
                output_names=names[1],
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            model = onnx.load(raw)
        finally:
            quiet.setLevel(level)
    _clean(model, problem)
    onnx.checker.check_model(model)
    evaluator = ReferenceEvaluator(model)
    feed = lambda columns: dict(zip(problem.coordinates, (c.numpy() for c in columns), strict=True))
    _compare(
        "onnx",
        problem,
        solution,
        lambda columns: [torch.from_numpy(v) for v in evaluator.run(None, feed(columns))],
    )
    replace_file(path, lambda file: file.write(model.SerializeToString()))


_WITH_TENSOR = {
    torch.ops.aten.add.Tensor: lambda graph, x, s: graph.call_function(
        torch.ops.aten.add.Tensor, (x, s)
    ),
    torch.ops.aten.sub.Tensor: lambda graph, x, s: graph.call_function(
        torch.ops.aten.sub.Tensor, (x, s)
    ),
    torch.ops.aten.mul.Tensor: lambda graph, x, s: graph.call_function(
        torch.ops.aten.mul.Tensor, (x, s)
    ),
    torch.ops.aten.div.Tensor: lambda graph, x, s: graph.call_function(
        torch.ops.aten.div.Tensor, (x, s)
    ),
    torch.ops.aten.rsub.Scalar: lambda graph, x, s: graph.call_function(
        torch.ops.aten.sub.Tensor, (s, x)
    ),
    torch.ops.aten.pow.Tensor_Scalar: lambda graph, x, s: graph.call_function(
        torch.ops.aten.pow.Tensor_Tensor, (x, s)
    ),
    torch.ops.aten.full_like.default: lambda graph, x, s: graph.call_function(
        torch.ops.aten.mul.Tensor, (graph.call_function(torch.ops.aten.ones_like.default, (x,)), s)
    ),
}


def _without_scalars(module: GraphModule) -> GraphModule:
    """The same graph with tensors in place of numbers such as π: an attribute of an ONNX node has
    32 bits."""
    graph = module.graph
    for node in list(graph.nodes):
        number = node.args[1] if len(node.args) == 2 else None
        if (
            node.target not in _WITH_TENSOR
            or not isinstance(number, float)
            or float(torch.tensor(number, dtype=torch.float32)) == number
        ):
            continue
        name = f"number_{node.name}"
        module.register_buffer(name, torch.tensor(number, dtype=torch.float64))
        with graph.inserting_before(node):
            made = _WITH_TENSOR[node.target](graph, node.args[0], graph.get_attr(name))
        node.replace_all_uses_with(made)
        graph.erase_node(node)
    module.recompile()
    return module


def _clean(model: Any, problem: Problem) -> None:
    """Leave out where each node came from in torch's code, and call the number of points so."""
    model.producer_name, model.doc_string = (
        "kanpde",
        (
            f"{problem.title or problem.name} Solution as a function of"
            f" {', '.join(problem.coordinates)}."
        ),
    )
    for node in [
        *model.graph.node,
        *model.graph.input,
        *model.graph.output,
        *model.graph.value_info,
    ]:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    model.graph.ClearField("value_info")
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "points"


def _points(problem: Problem, count: int) -> Tensor:
    """So many points of the domain, or as few less as it keeps of more."""
    generator = torch.Generator().manual_seed(count)
    unit = torch.rand(
        64 * count, len(problem.coordinates), generator=generator, dtype=torch.float64
    )
    return problem.domain.interior(unit)[:count]


def _compare(
    kind: str,
    problem: Problem,
    solution: Solution,
    exported: Callable[[list[Tensor]], Sequence[Tensor]],
) -> None:
    """Raise RunError unless the exported function gives the solution, at another number of points
    than it was made at."""
    points = _points(problem, 101)
    truth = solution(points).cpu()[:, : len(functions(problem))]
    found = torch.stack(
        [column.to(truth) for column in exported([column.contiguous() for column in points.T])], 1
    )
    # On pieces an unknown may be nowhere but on some of them, and nan elsewhere: on both sides.
    apart = torch.where(found.isnan() & truth.isnan(), 0.0, found - truth)
    error = float(apart.abs().max() / truth.nan_to_num().abs().max().clamp_min(1e-300))
    if not error <= TOLERANCE[truth.dtype]:
        raise RunError(
            f"{kind}: what was exported differs from the solution by {error:.1e}; expected"
            f" {TOLERANCE[truth.dtype]:.0e} at most, so nothing was written"
        )
