"""Annotations that name a shape are evaluated in every test: wrong ones fail."""

from __future__ import annotations

import importlib
import sys
import textwrap

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from evaluated_shapes import Finder, checked
from jaxtyping import Float
from torch import Tensor

import kanpde
from kanpde import Box

MODULE = """
from __future__ import annotations
from dataclasses import dataclass
from jaxtyping import Float
from torch import Tensor

@dataclass(frozen=True)
class Pair:
    points: Float[Tensor, "points dims"]
    values: Float[Tensor, " points"]

def norms(points: Float[Tensor, "points dims"]) -> Float[Tensor, " points"]:
    return points.norm(dim={dim})

def plain(size: int):
    return size
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Imports a module of the package that is written for the occasion, from its text."""

    def imported(name, **choices):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(MODULE).format(**choices))
        monkeypatch.setattr(kanpde, "__path__", [*kanpde.__path__, str(tmp_path)])
        found = importlib.import_module(f"kanpde.{name}")
        monkeypatch.delitem(sys.modules, f"kanpde.{name}")
        return found

    return imported


def test_a_wrong_return_is_found(module):
    points = torch.ones(3, 2)
    assert module("right", dim=1).norms(points).shape == (3,)
    with pytest.raises(BeartypeCallHintViolation, match="return"):
        module("wrong", dim=0).norms(points)


def test_wrong_arguments_and_fields_are_found(module):
    found = module("right", dim=1)
    with pytest.raises(BeartypeCallHintViolation, match="parameter points"):
        found.norms(torch.ones(3))
    found.Pair(torch.ones(3, 2), torch.ones(3))
    with pytest.raises(BeartypeCallHintViolation, match="parameter values"):
        found.Pair(torch.ones(3, 2), torch.ones(2))
    with pytest.raises(BeartypeCallHintViolation, match="parameter points"):
        Box(x=(0, 1), y=(0, 1)).inside(torch.ones(2, 2, dtype=torch.int64))


def test_a_shape_that_cannot_be_evaluated_is_found(module, monkeypatch):
    monkeypatch.setitem(
        globals(), "MODULE", MODULE.replace('points dims"]) ->', 'points dims"] | Missing) ->')
    )
    with pytest.raises(NameError, match="Missing"):
        module("unknown", dim=1)


def test_what_names_no_shape_is_left_alone(module):
    found = module("right", dim=1)
    assert not hasattr(found.plain, "__wrapped__")
    assert found.plain("a word") == "a word"


def test_kernels_are_found_through_the_hook():
    (hook,) = [finder for finder in sys.meta_path if isinstance(finder, Finder)]
    found = hook.find_spec("kanpde.kernels.ops", kanpde.kernels.__path__)
    assert type(found.loader).__name__ == "Loader"


def test_what_has_passed_is_no_excuse_for_what_comes_after(module):
    found = module("right", dim=1)
    for _ in range(2):
        found.norms(torch.ones(3, 2))
    with pytest.raises(BeartypeCallHintViolation, match="parameter points"):
        found.norms(torch.ones(3))
    with pytest.raises(BeartypeCallHintViolation, match="parameter points"):
        found.norms(points=torch.ones(3, 2, dtype=torch.int64))
    with pytest.raises(BeartypeCallHintViolation, match="parameter points"):
        found.norms([[1.0, 2.0]])
    wrong = module("wrong", dim=0)
    wrong.norms(torch.ones(2, 2))  # as many sums by chance
    with pytest.raises(BeartypeCallHintViolation, match="return"):
        wrong.norms(torch.ones(3, 2))


def changing(returned: list, points: Float[Tensor, "points dims"]) -> Float[Tensor, " points"]:
    return returned.pop(0)


def test_what_is_returned_is_evaluated_for_the_same_arguments_as_well():
    strict = checked(changing)
    returned = [torch.ones(3), torch.ones(3), torch.ones(2), torch.ones(3, dtype=torch.int64)]
    strict(returned, torch.ones(3, 2))
    strict(returned, points=torch.ones(3, 2))
    for _ in range(2):
        with pytest.raises(BeartypeCallHintViolation, match="return"):
            strict(returned, torch.ones(3, 2))


def listed(parts: list[Float[Tensor, " points"]]) -> None:
    """One item is looked at by chance."""


def test_lists_of_different_arrays_are_evaluated_every_time():
    strict, found = checked(listed), 0
    for _ in range(60):
        try:
            strict([torch.ones(3), torch.ones(3, dtype=torch.int64)])
        except BeartypeCallHintViolation:
            found += 1
        strict([torch.ones(3), torch.ones(3)])
    assert 1 < found < 60


def mixed(a: Float[Tensor, " n"], /, b: int = 2, *, c: Float[Tensor, " n"] | None = None) -> None:
    """Arguments of all kinds."""


def test_arguments_of_all_kinds_are_evaluated():
    strict = checked(mixed)
    for _ in range(2):
        strict(torch.ones(3))
        strict(torch.ones(3), 4, c=torch.ones(3))
        with pytest.raises(BeartypeCallHintViolation, match="parameter c"):
            strict(torch.ones(3), c=torch.ones(2))
