"""What is unknown in an equation besides its solution: numbers, and coefficients that vary."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from numbers import Real

from kanpde.errors import ProblemError, listed, nearest
from kanpde.problem.prescribed import is_number

Bounds = tuple[float | None, float | None]


class Parameter:
    """A number in the equations that is to be found from data: `Parameter("nu", initial=0.1,
    bounds=(0, 1))`.

    Equations and conditions take it as an argument of its name.

    Args:
        name: Of the argument.
        initial: Where the search begins.
        bounds: It stays strictly between them; None for no bound on one side.
        positive: The same as bounds=(0, None).

    Attributes:
        low: The lower bound, -inf where there is none.
        high: The upper bound, inf where there is none.
        what: What messages call it.

    Raises:
        ProblemError: For a name that no argument can have, and numbers that do not fit together.
    """

    def __init__(
        self, name: str, initial: float = 1.0, bounds: Bounds | None = None, positive: bool = False
    ):
        self.name, self.initial = name, initial
        self.what = f"{type(self).__name__}({name!r})"
        if not isinstance(name, str) or not name.isidentifier():
            raise ProblemError(
                f"{type(self).__name__}({name!r}): expected a name that a function's argument can"
                " have, such as 'nu'"
            )
        if not is_number(initial):
            raise ProblemError(f"{self.what}: got initial={initial!r}; expected a finite number")
        self.initial = float(initial)
        self.low, self.high = self._bounds(bounds, positive)
        if not self.low < self.initial < self.high:
            between = (
                "positive"
                if (self.low, self.high) == (0, inf)
                else f"between {self.low:g} and {self.high:g}"
            )
            raise ProblemError(
                f"{self.what}: got initial={self.initial:g}; expected a number that its bounds"
                f" allow, {between} and not on a bound"
            )

    def _bounds(self, bounds: Bounds | None, positive: bool) -> tuple[float, float]:
        if bounds is None:
            return (0.0 if positive else -inf), inf
        pair = tuple(bounds) if isinstance(bounds, tuple | list) else ()
        if len(pair) != 2 or not all(end is None or isinstance(end, Real) for end in pair):
            raise ProblemError(
                f"{self.what}: got bounds={bounds!r}; expected two numbers (low, high), or None in"
                " place of one"
            )
        low = -inf if pair[0] is None else float(pair[0])
        high = inf if pair[1] is None else float(pair[1])
        low = max(low, 0.0) if positive else low
        if not low < high:
            raise ProblemError(
                f"{self.what}: got bounds={bounds!r}; expected low <"
                f" high{' and positive' if positive else ''}"
            )
        return low, high

    def __repr__(self) -> str:
        bounds = f" in ({self.low:g}, {self.high:g})"
        if (self.low, self.high) == (-inf, inf):
            bounds = ""
        elif (self.low, self.high) == (0, inf):
            bounds = ", positive"
        return f"{self.name} from {self.initial:g}{bounds}"


class Field(Parameter):
    """A coefficient that varies, and is to be found from data: `Field("kappa", of=("x", "y"),
    initial=1, positive=True)`.

    A recipe may say which network represents it: `Recipe(…, fields={"kappa": KAN(width=(4,),
    grid=4)})`.

    Args:
        name: Of the argument of equations and conditions.
        of: The coordinates that it depends on, by name.
        initial: A constant near which the search begins.
        bounds: It stays strictly between them at every point; None for no bound on one side.
        positive: The same as bounds=(0, None).

    Raises:
        ProblemError: Where it depends on no coordinate; and as for Parameter.
    """

    def __init__(
        self,
        name: str,
        of: Sequence[str] | str,
        initial: float = 1.0,
        bounds: Bounds | None = None,
        positive: bool = False,
    ):
        super().__init__(name, initial, bounds, positive)
        self.of = (of,) if isinstance(of, str) else tuple(of)
        if not self.of:
            raise ProblemError(
                f"{self.what}: depends on no coordinate; expected such as of=('x',), or"
                f" Parameter({name!r}, …)"
            )

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(self.of)}){super().__repr__().removeprefix(self.name)}"


def check_parameters(parameters: object, coordinates: Sequence[str]) -> tuple[Parameter, ...]:
    """The parameters as a tuple, fields first, then numbers.

    Args:
        parameters: What the user gave.
        coordinates: Names of the domain's coordinates.

    Raises:
        ProblemError: For anything else, and for names that are taken.
    """
    found = tuple(parameters) if isinstance(parameters, list | tuple) else (parameters,)
    for p in found:
        if not isinstance(p, Parameter):
            came = f"the class {p.__name__}" if isinstance(p, type) else type(p).__name__
            raise ProblemError(
                f"Problem(parameters=…): got {came}; expected Parameter(…) or Field(…)"
            )
        if p.name in coordinates:
            raise ProblemError(f"{p.what}: that is a coordinate; they are {listed(coordinates)}")
        if sum(p.name == other.name for other in found) > 1:
            raise ProblemError(
                f"{p.what}: two parameters have that name; expected another name for each"
            )
        if isinstance(p, Field):
            _check_coordinates(p, coordinates)
    return (
        *(p for p in found if isinstance(p, Field)),
        *(p for p in found if not isinstance(p, Field)),
    )


def _check_coordinates(field: Field, coordinates: Sequence[str]) -> None:
    """Raise ProblemError where a field depends on what is no coordinate."""
    for x in field.of:
        if x not in coordinates:
            raise ProblemError(
                f"{field.what}: got of={field.of!r}, and {x!r} is no coordinate; they are"
                f" {listed(coordinates)}{nearest(str(x), coordinates)}"
            )
