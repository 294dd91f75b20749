"""What is unknown beside products of splines: numbers, and functions that few coefficients make.

They stand in the place of further unknowns, whose coefficients follow from theirs. Every row may
depend on each of them, so that they are the border of the band of the normal equations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg as sl
from jaxtyping import Float, Int

from kanpde.problem.formulation import Formulation
from kanpde.problem.parameters import Field
from kanpde.products.axes import Axis

Coefficients = Float[np.ndarray, "unknowns ..."]
"""Of all unknowns."""

FELT_PART = 0.1
"""Of an eigenvector, from which a function takes part in it."""


@dataclass(frozen=True, eq=False)
class Border:
    """Functions whose sums the unknowns beside are.

    Attributes:
        unknowns: Numbers of these unknowns.
        functions: Coefficients of the functions of each.
    """

    unknowns: tuple[int, ...]
    functions: tuple[Float[np.ndarray, "_ ..."], ...]

    @property
    def count(self) -> int:
        """Of all functions."""
        return sum(len(own) for own in self.functions)

    @property
    def owners(self) -> Int[np.ndarray, " beside"]:
        """The unknown that each of the functions belongs to."""
        return np.repeat(self.unknowns, [len(own) for own in self.functions])

    def spread(self, d: Float[np.ndarray, " beside"], shape: Sequence[int]) -> np.ndarray:
        """Sums of the functions, as coefficients of all unknowns.

        Args:
            d: How much of each.
            shape: Of all coefficients.
        """
        found, ends = np.zeros(shape), np.cumsum([len(own) for own in self.functions])[:-1]
        for k, own, share in zip(self.unknowns, self.functions, np.split(d, ends), strict=True):
            found[k] = np.tensordot(share, own, 1)
        return found

    def within(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "unknowns ..."]:
        """Coefficients whose unknowns beside are the nearest sums of the functions.

        Args:
            C: Coefficients of all unknowns.
        """
        found = C.copy()
        for k, own in zip(self.unknowns, self.functions, strict=True):
            A = own.reshape(len(own), -1).T
            found[k] = (A @ np.linalg.lstsq(A, C[k].ravel(), rcond=None)[0]).reshape(C[k].shape)
        return found

    def gathered(self, slope: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, " beside"]:
        """Slopes by all coefficients as slopes by how much there is of each function.

        Args:
            slope: By all coefficients.
        """
        ways = zip(self.unknowns, self.functions, strict=True)
        return np.concatenate([own.reshape(len(own), -1) @ slope[k].ravel() for k, own in ways])

    def each(self, shape: Sequence[int]) -> Iterator[Float[np.ndarray, "unknowns ..."]]:
        """The functions one after another, as coefficients of all unknowns.

        Args:
            shape: Of all coefficients.
        """
        for one in np.eye(self.count):
            yield self.spread(one, shape)


@dataclass(frozen=True)
class Bordered:
    """The border of normal equations.

    Attributes:
        across: JᵀJ between the band and the border.
        corner: JᵀJ of the border.
    """

    across: Float[np.ndarray, "band beside"]
    corner: Float[np.ndarray, "beside beside"]

    def remainder(self, solved: Float[np.ndarray, "band beside"]) -> Eliminated:
        """What is left of the corner once the band is eliminated.

        Args:
            solved: The inverse of the band times `across`.
        """
        s = 1 / np.sqrt(np.maximum(self.corner.diagonal(), np.finfo(float).tiny))
        left = s[:, None] * (self.corner - self.across.T @ solved) * s
        sizes, vectors = sl.eigh((left + left.T) / 2)
        return Eliminated(solved, s, sizes, vectors)


@dataclass(frozen=True)
class Eliminated:
    """Schur's complement of the band, divided by the diagonal of the corner, by eigenvectors.

    Attributes:
        solved: The inverse of the band times what is across.
        scale: Inverse roots of the diagonal of the corner.
        sizes: The eigenvalues.
        vectors: The eigenvectors.
    """

    solved: Float[np.ndarray, "band beside"]
    scale: Float[np.ndarray, " beside"]
    sizes: Float[np.ndarray, " beside"]
    vectors: Float[np.ndarray, "beside beside"]

    def step(self, right: Float[np.ndarray, " beside"]) -> Float[np.ndarray, " beside"]:
        """The inverse times a right-hand side; along what is rounding alone, nothing.

        Args:
            right: The right-hand side.
        """
        seen = np.where(self.sizes > np.finfo(float).eps, self.sizes, np.inf)
        found = self.vectors @ ((self.vectors.T @ (self.scale * right)) / seen)
        return self.scale * found

    def weakest(self, owners: Int[np.ndarray, " beside"]) -> tuple[float, tuple[int, ...]]:
        """The smallest eigenvalue, and the unknowns that its vector is made of.

        Args:
            owners: The unknown that each function belongs to.
        """
        felt = np.abs(self.vectors[:, 0]) > FELT_PART
        return float(self.sizes[0]), tuple(dict.fromkeys(owners[felt].tolist()))


def beside(problem: Formulation) -> Formulation:
    """The same problem with its parameters among the unknowns; as it is, where it has none.

    Args:
        problem: What is to be solved.
    """
    names = tuple(p.name for p in problem.parameters)
    if not names:
        return problem
    return Formulation(
        domain=problem.domain,
        unknowns=(*problem.unknowns, *names),
        copies=(*problem.copies, *names),
        groups=problem.groups,
        constraints=problem.constraints,
        periodic=problem.periodic,
        parameters=problem.parameters,
        numbers={p.name: p.initial for p in problem.parameters},
    )


def border_of(
    problem: Formulation, axes: Sequence[Axis], parts: Sequence[Float[np.ndarray, "_ _"]]
) -> Border | None:
    """The functions whose sums a problem's parameters are; None where it has none.

    Args:
        problem: What is to be solved, as `beside` gives it.
        axes: Functions of each coordinate, which add up to one.
        parts: For each of them what makes fields of that coordinate, in its functions [fewer,
            functions].
    """
    if not problem.parameters:
        return None
    shape = tuple(axis.size for axis in axes)
    numbers = [problem.unknowns.index(p.name) for p in problem.parameters]
    functions = []
    for p in problem.parameters:
        made = np.ones((1, 1))
        for x, size, part in zip(problem.coordinates, shape, parts, strict=True):
            along = part if isinstance(p, Field) and x in p.of else np.ones((1, size))
            made = np.kron(made, along)
        functions.append(made.reshape(-1, *shape))
    return Border(tuple(numbers), tuple(functions))
