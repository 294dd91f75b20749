"""What to write instead, where Python's or torch's own words for a mistake do not say it.

Two things tell: the words of the error, and the line of the user's file that raised it.
"""

from __future__ import annotations

import difflib
import linecache
import re
import sys
from collections.abc import Mapping, Sequence

import torch

OPERATORS = ("d", "div", "grad", "laplacian", "normal_derivative")
"""With which equations are written, of `kanpde`."""

OTHER_NAMES = {
    "gradient": "grad",
    "nabla": "grad",
    "divergence": "div",
    "laplace": "laplacian",
    "Laplacian": "laplacian",
    "lap": "laplacian",
    "diff": "d",
    "Diff": "d",
    "D": "d",
    "derivative": "d",
    "Derivative": "d",
    "partial": "d",
}
"""What other libraries call these."""

CALLED_OTHERWISE = {"fabs": "abs", "power": "pow", "arctan": "atan", "arcsin": "asin"}
"""Functions of math and numpy that torch has under another name."""

DERIVATIVE = "a derivative is written d(u, x), with `from kanpde import d`"


def cure(error: BaseException, arguments: Sequence[str], coordinates: Sequence[str]) -> str:
    """What to write instead; empty where nothing is known.

    Args:
        error: What the user's code raised.
        arguments: Of the function that raised it; none where that was the file itself.
        coordinates: Names of the coordinates, as far as they are known.
    """
    found = _cure(error, _line_of(error), arguments, coordinates)
    return f"; {found}" if found else ""


def _line_of(error: BaseException) -> str:
    """The innermost line of code, outside of libraries, through which an error went."""
    found, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "site-packages" not in name and _package(trace.tb_frame) != "kanpde":
            linecache.checkcache(name)
            found = linecache.getline(name, trace.tb_lineno).strip()
        trace = trace.tb_next
    return found


def _package(frame: object) -> str:
    """The package of the module that a frame runs in."""
    return str(getattr(frame, "f_globals", {}).get("__name__", "")).partition(".")[0]


def _cure(
    error: BaseException, line: str, arguments: Sequence[str], coordinates: Sequence[str]
) -> str:
    said = str(error)
    if isinstance(error, NameError) and error.name:
        return _of_name(error.name, line, arguments, coordinates)
    if isinstance(error, AttributeError) and isinstance(error.obj, torch.Tensor) and error.name:
        return _of_attribute(error.name, line, coordinates)
    if re.search(r"autograd|\.backward\(|\.grad\b|\.diff\(", line) and arguments:
        return DERIVATIVE
    if "bitwise_xor" in said or "for ^" in said:
        return "a power is written x**2"
    if "'Tensor' object is not callable" in said:
        called = [a for a in arguments if re.search(rf"\b{a}\(", line)] or ["u"]
        return f"{called[0]} is its values already, without arguments; {DERIVATIVE}"
    if "for **" in said and "'tuple'" in said:
        return (
            "grad gives one derivative a coordinate, whose squares are sum(g**2 for g in grad(u))"
        )
    if "unsupported operand" in said and "'tuple'" in said:
        return (
            "grad gives one derivative a coordinate: one of them is d(u, x), their divergence is"
            " div(grad(u))"
        )
    if missing := re.search(r"(\w+)\(\) missing \d+ required positional", said):
        return f"give the function itself, {missing[1]} without ()" if not arguments else ""
    if taken := re.search(r"\b(grad|laplacian|div)\(\) takes", said):
        return f"write {taken[1]}(u) alone, over all of space, or d(u, x) along one coordinate"
    return _of_values(said, line)


def _of_values(said: str, line: str) -> str:
    """Where something else than torch was used on tensors."""
    if "Boolean value" in said:
        for name, other in (("max", "maximum"), ("min", "minimum")):
            if re.search(rf"(?<![.\w]){name}\(", line):
                return f"the larger or smaller of two is torch.{other}(a, b)"
        return "choose between values with torch.where, not with if"
    if not any(clue in said for clue in ("Python scalar", "numpy()", "must be Tensor, not")):
        return ""
    plain = "use torch's functions on tensors (torch.sin, not math.sin or numpy.sin)"
    used = re.search(r"\b(?:np|numpy|math)\.(\w+)\(", line)
    if used is None:
        return plain
    name = CALLED_OTHERWISE.get(used[1], used[1])
    if name == "interp":
        return (
            "values of a table are a function of kanpde: table = Table({'x': …, 'y': …}, x='x',"
            " y='y', kind='linear'), then table(x)"
        )
    if not callable(getattr(torch, name, None)):
        return plain
    return f"{plain}: here torch.{name}"


def _of_name(name: str, line: str, arguments: Sequence[str], coordinates: Sequence[str]) -> str:
    """For a name that is not there."""
    if re.search(rf"\bintegral\(.*\b{name}\s*=", line):
        called = f"integral(lambda {name}: …, {name}=(0, 1))"
        return f"the integrand is a function of its variable: {called}"
    if name in coordinates:
        return f"add {name} to the arguments of the function, ({', '.join([*arguments, name])})"
    stem, _, letters = name.rpartition("_")
    known = set(coordinates) or {"x", "y", "z", "t"}
    if stem in (arguments or [stem]) and stem and letters and set(letters) <= known:
        return f"a derivative is written d({', '.join([stem, *letters])})"
    if name in OTHER_NAMES:
        other = OTHER_NAMES[name]
        return f"kanpde's is {other}({'u, x' if other == 'd' else '…'}): from kanpde import {other}"
    public = getattr(sys.modules.get("kanpde"), "__all__", OPERATORS)
    if name in public:
        return f"add `from kanpde import {name}`"
    if name in ("np", "numpy", "math"):
        return "functions of values are torch's: `import torch`, torch.sin"
    if not arguments and len(name) == 1:
        if re.search(rf"Periodic\({name}\b", line):
            return f'the name of a coordinate is text: Periodic("{name}")'
        return (
            f"what varies is a function: lambda {name}: …, such as"
            f" Dirichlet(u=lambda {name}: sin({name}))"
        )
    if name in ("e", "tau"):
        return f"add `from math import {name}`"
    if hasattr(torch, name):
        return f"add `from torch import {name}`"
    if name.lower() != name and hasattr(torch, name.lower()):
        return f"did you mean {name.lower()!r}, with `from torch import {name.lower()}`?"
    close = difflib.get_close_matches(name, [*arguments, *public, *dir(torch)], 1, 0.75)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"give it a value above, such as {name} = 1.0, or add it to the arguments"


def _of_attribute(name: str, line: str, coordinates: Sequence[str]) -> str:
    """For something that values do not have."""
    known = set(coordinates) or {"x", "y", "z", "t"}
    letters = name.removeprefix("d").replace("_", "") or name
    if set(letters) <= known:
        found = re.search(rf"(\w+)\.{name}\b", line)
        return f"a derivative is written d({', '.join([found[1] if found else 'u', *letters])})"
    return "functions of values are torch's, such as torch.sin(u)"


def derivative_in(argument: str, known: Mapping[str, Sequence[str]]) -> str:
    """A hint for an argument that is called as a derivative; empty for others.

    Args:
        argument: Its name, such as u_xx.
        known: The names that there are, by kind.
    """
    stem, _, letters = argument.rpartition("_")
    names = known.get("coordinate", ())
    if stem in known.get("unknown", ()) and letters and set(letters) <= set(names):
        return f"; a derivative is written d({', '.join([stem, *letters])})"
    return ""
