"""SOAP: how the parameters are given to the library, and what is said without it."""

import sys

import pytest
import torch
from toys import cubic, objective_of, run

from kanpde import RecipeError
from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.training import Adam, Soap
from kanpde.training.soap import shaped


def test_the_layers_own_tensors_are_views_of_one_vector():
    network = KAN((3, 2), 5, 4).build(2, 1, torch.Generator().manual_seed(0))
    views = shaped(network, network.theta)
    assert [tuple(v.shape) for v in views] == [(2, 9, 3), (3, 9, 2), (2, 9, 1)]
    assert torch.equal(torch.cat([v.reshape(-1) for v in views]), network.theta)
    assert views[1].data_ptr() == network.theta[54:].data_ptr()


def test_the_bias_is_the_last_row_of_a_linear_layer():
    network = MLP((4,)).build(2, 1, torch.Generator().manual_seed(0))
    first, last = shaped(network, network.theta)
    assert (tuple(first.shape), tuple(last.shape)) == ((3, 4), (5, 1))
    assert torch.equal(first[:2], network.theta[:8].view(2, 4))
    assert torch.equal(first[2], torch.zeros(4, dtype=torch.float64))


def test_faster_than_adam_at_the_same_rate():
    soap, adam = objective_of(cubic), objective_of(cubic)
    run(Soap(300, rate=1e-2), soap)
    run(Adam(300, rate=1e-2), adam)
    assert soap.loss() < 0.2 * adam.loss()


def test_what_was_yielded_is_not_written_over():
    objective = objective_of(cubic)
    steps, kept = Soap(5).minimise(objective), []
    for loss in steps:
        assert loss == objective.loss()
        kept.append((objective.network.theta, objective.network.theta.clone()))
    assert len(kept) == 5
    assert all(torch.equal(theta, copy) for theta, copy in kept)
    assert not torch.equal(kept[0][0], kept[-1][0])


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(RecipeError, match=r"^schedule: soap needs .*pip install 'kanpde\[soap\]'$"):
        next(Soap(5).minimise(objective_of()))
