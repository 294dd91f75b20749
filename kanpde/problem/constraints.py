"""What conditions become: residuals on faces, which is all that networks and references see of
them; and what all kinds of conditions have in common."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from kanpde.errors import ProblemError, listed
from kanpde.geometry import Domain
from kanpde.problem.faces import On, Where, checked_where, kept_faces, named_faces
from kanpde.problem.prescribed import is_number
from kanpde.residual.calculus import Values
from kanpde.residual.residual import Residual


@dataclass(frozen=True)
class Prescribed:
    """The plain form of many conditions: an unknown, or a derivative of it, is given on a face.

    Attributes:
        unknown: Its name.
        derivative: 0 for the value; 1 for the derivative along the face's own coordinate, not along
            the outward normal; more only where ordinary differential equations begin.
        data: What is given, a function of the coordinates by name that returns [points].
        smooth: Whether it is known to have neither jumps nor kinks, so that nobody has to look.
    """

    unknown: str
    derivative: int
    data: Callable[[Values], Tensor]
    smooth: bool = False


@dataclass(frozen=True)
class Constraint:
    """One condition on one face, as everything else sees it.

    Attributes:
        label: What messages and pictures call it.
        face: The name of the face.
        residual: What vanishes there.
        where: Which of the face's points it holds at; None for all.
        weight: Of its square in the loss; None for a balanced one.
        prescribed: Set where it only gives a value or a derivative.
        number: Of the condition among those of the problem that it comes from, where it is known.
    """

    label: str
    face: str
    residual: Residual
    where: Where | None = None
    weight: float | None = None
    prescribed: Prescribed | None = None
    number: int | None = None


class BoundaryCondition(ABC):
    """What a Problem accepts among its `conditions`."""

    @abstractmethod
    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        """Its residuals, face by face.

        Args:
            domain: Has the faces.
            unknowns: What the condition may name.

        Raises:
            ProblemError: For faces or unknowns that do not exist.
        """

    def names(self, domain: Domain, arguments: Sequence[str]) -> tuple[str, ...]:
        """The unknowns that it names; by these a Problem knows its unknowns.

        Args:
            domain: Has the coordinates.
            arguments: Of the equations.
        """
        return ()


class FaceCondition(BoundaryCondition):
    """A condition on faces, or on the part of them that `where` keeps."""

    def __init__(
        self, kind: str, on: On, where: Callable[..., Tensor] | None, weight: float | None
    ):
        self.kind, self.on, self.where = kind, on, where
        self.weight = checked_weight(weight, kind)

    def only_on(self, faces: Sequence[str]) -> FaceCondition:
        """The same condition on these faces alone."""
        found = copy.copy(self)
        found.on = tuple(faces)
        return found

    @abstractmethod
    def about(self, domain: Domain, unknowns: Sequence[str]) -> FaceCondition | None:
        """What it says about some unknowns alone.

        Args:
            domain: Has the coordinates.
            unknowns: Names of these unknowns.

        Returns:
            A condition about these, or None where it says nothing about them.
        """

    def faces(self, domain: Domain) -> tuple[str, ...]:
        """The faces that it holds on, those left out of which `where` keeps nothing.

        Raises:
            ProblemError: For a face that the domain does not have.
        """
        names, where = named_faces(self.on, domain, self.kind), self._where(domain)
        return names if where is None else kept_faces(names, where, domain)

    def constraints(self, domain: Domain, unknowns: Sequence[str]) -> list[Constraint]:
        self._check_unknowns(domain, unknowns)
        where, faces = self._where(domain), self.faces(domain)
        if not faces:
            names = named_faces(self.on, domain, self.kind)
            raise ProblemError(
                f"{self.kind}(where=…): keeps no point of {listed(names)}; expected a piece of a"
                " face"
            )
        return [c for face in faces for c in self._on_face(domain, face, unknowns, where)]

    def _where(self, domain: Domain) -> Where | None:
        return None if self.where is None else checked_where(self.where, domain, self.kind)

    @abstractmethod
    def _check_unknowns(self, domain: Domain, unknowns: Sequence[str]) -> None:
        """Raise ProblemError where it names what is none of the unknowns."""

    @abstractmethod
    def _on_face(
        self, domain: Domain, face: str, unknowns: Sequence[str], where: Where | None
    ) -> list[Constraint]:
        """Its residuals on one face."""


def checked_weight(weight: float | None, kind: str) -> float | None:
    """A positive number, or None.

    Args:
        weight: What the user gave.
        kind: What messages call the condition.

    Raises:
        ProblemError: For anything else.
    """
    if weight is None:
        return None
    if not is_number(weight) or weight <= 0:
        raise ProblemError(f"{kind}(weight={weight!r}): expected a positive number")
    return float(weight)
