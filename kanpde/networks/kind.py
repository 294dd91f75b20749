"""What a recipe may ask for as its network: a small frozen dataclass a kind, a chain of layers or
anything else that is found for a problem."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar


@dataclass(frozen=True)
class NetworkKind(ABC):
    """A kind of network and its settings, which files hold as `vars`."""

    kind: ClassVar[str]
    """Its name on the command line."""

    title: ClassVar[str]
    """Its name in what people read."""

    @abstractmethod
    def details(self) -> str:
        """The settings in a few words, such as "degree 7, grid 24"."""

    @abstractmethod
    def highest_order(self) -> int:
        """Highest derivative of an equation that it can be trained on."""

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """The names of its settings."""
        return tuple(f.name for f in fields(cls))
