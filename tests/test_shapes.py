"""Annotations that name a shape are evaluated in every test: wrong ones fail."""

import importlib
import sys
import textwrap

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from evaluated_shapes import Finder

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
