"""Complex values as pairs of real ones, for equations that are written with i."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

import torch
from torch import Tensor

from kanpde.errors import ProblemError

Real = Tensor | float
Number = Union["ComplexValue", Tensor, complex]


@dataclass(frozen=True, eq=False)
class ComplexValue:
    """re + i im. It is added, multiplied and divided as numbers are, also with 1j, with tensors and
    with complex tensors; derivatives are those of its parts.

    Attributes:
        re: The real part, [points].
        im: The imaginary part, [points].
    """

    re: Any
    im: Any

    @property
    def abs2(self) -> Any:
        """The square of the modulus, which is smooth where abs(ψ) is not."""
        return self.re * self.re + self.im * self.im

    def conj(self) -> ComplexValue:
        """The complex conjugate."""
        return ComplexValue(self.re, -self.im)

    def __abs__(self) -> Any:
        return self.abs2**0.5

    def __neg__(self) -> ComplexValue:
        return ComplexValue(-self.re, -self.im)

    def __add__(self, other: Number) -> ComplexValue:
        a, b = parts_of(other)
        return ComplexValue(self.re + a, self.im + b)

    __radd__ = __add__

    def __sub__(self, other: Number) -> ComplexValue:
        a, b = parts_of(other)
        return ComplexValue(self.re - a, self.im - b)

    def __rsub__(self, other: Number) -> ComplexValue:
        return -self + other

    def __mul__(self, other: Number) -> ComplexValue:
        a, b = parts_of(other)
        # Numbers have a part that is zero: what it would be multiplied with is left out.
        if isinstance(a, float) and not a:
            return ComplexValue(-(self.im * b), self.re * b)
        if isinstance(b, float) and not b:
            return ComplexValue(self.re * a, self.im * a)
        return ComplexValue(self.re * a - self.im * b, self.re * b + self.im * a)

    __rmul__ = __mul__

    def __truediv__(self, other: Number) -> ComplexValue:
        a, b = parts_of(other)
        if isinstance(b, float) and not b:
            return ComplexValue(self.re / a, self.im / a)
        return self * ComplexValue(a, -b) / (a * a + b * b)

    def __rtruediv__(self, other: Number) -> ComplexValue:
        return self.conj() * other / self.abs2

    def __pow__(self, power: int) -> ComplexValue:
        if not isinstance(power, int) or power < 1:
            raise ProblemError(
                f"a complex unknown to the power {power!r}: expected a whole number, at least 1;"
                " the square of its modulus is psi.abs2"
            )
        found = self
        for _ in range(power - 1):
            found = found * self
        return found

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Any],
        types: Sequence[type],
        given: Sequence[Any] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        """A tensor beside one: torch asks here what to do."""
        name = getattr(function, "__name__", "").strip("_")
        straight = name.removeprefix("r")
        if len(given) == 2 and straight in WITH_TENSORS and not named:
            left, right = given if straight == name else reversed(given)
            return WITH_TENSORS[straight](ComplexValue(*parts_of(left)), right)
        raise ProblemError(
            f"torch.{name}(…): got a complex unknown; expected its real parts, psi.re and psi.im"
        )


WITH_TENSORS: dict[str, Callable[[ComplexValue, Number], ComplexValue]] = {
    "mul": ComplexValue.__mul__,
    "multiply": ComplexValue.__mul__,
    "add": ComplexValue.__add__,
    "sub": ComplexValue.__sub__,
    "div": ComplexValue.__truediv__,
    "truediv": ComplexValue.__truediv__,
    "true_divide": ComplexValue.__truediv__,
}
"""What torch calls the operations that a tensor may have with a complex value."""


def parts_of(value: Number) -> tuple[Any, Any]:
    """The real and the imaginary part of anything that is a number a point; of what is real the
    second is 0.0.

    Args:
        value: A complex value, a tensor, real or complex, or a number.
    """
    if isinstance(value, ComplexValue):
        return value.re, value.im
    if isinstance(value, Tensor) and value.is_complex():
        return torch.real(value), torch.imag(value)
    if isinstance(value, complex):
        return value.real, value.imag
    return (float(value) if isinstance(value, int) else value), 0.0
