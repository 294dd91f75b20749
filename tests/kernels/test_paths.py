"""Which kernels run: by device, by KANPDE_KERNELS, and the plain ones, with one line, where the
others cannot."""

import warnings

import pytest
import torch

from kanpde.kernels import paths, spline_jet
from kanpde.kernels.pieces import uniform_knots

X = torch.zeros(3, 3, 2, dtype=torch.float64)
C = torch.ones(2, 7, 1, dtype=torch.float64)
KNOTS = uniform_knots(2, -1.0, 1.0, 4, 3)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.delenv("KANPDE_KERNELS", raising=False)
    paths._usable.cache_clear()
    yield
    paths._usable.cache_clear()


def test_the_compiled_kernels_are_the_default_on_a_cpu(monkeypatch):
    assert paths.path(X).name == "cpu"
    for name in ("plain", "cpu"):
        monkeypatch.setenv("KANPDE_KERNELS", name)
        assert paths.path(X).name == name


@pytest.mark.parametrize(("given", "meant"), [("tritn", "triton"), ("reference", "plain")])
def test_an_unknown_name_gets_one_line(monkeypatch, given, meant):
    monkeypatch.setenv("KANPDE_KERNELS", given)
    with pytest.raises(
        ValueError,
        match=rf"^KANPDE_KERNELS: got '{given}'; expected plain, .*did you mean {meant}\?$",
    ):
        spline_jet(X, C, KNOTS, (1, 1))


def test_triton_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setenv("KANPDE_KERNELS", "triton")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(
        ValueError, match=r"^KANPDE_KERNELS: got triton for tensors on cpu; expected"
    ):
        spline_jet(X, C, KNOTS, (1, 1))


@pytest.mark.parametrize(
    "modules",
    [(first, "runs", "activation", "network", "damping") for first in ("not_there", "broken")],
)
def test_a_path_that_fails_is_replaced_with_one_line(monkeypatch, modules):
    class Broken:
        @staticmethod
        def forward(X, *_):
            return torch.zeros(len(X), X.shape[1], 1, dtype=X.dtype)

    load = paths.import_module
    monkeypatch.setattr(
        paths, "import_module", lambda name: Broken if name.endswith("broken") else load(name)
    )
    monkeypatch.setitem(paths.MODULES, "cpu", modules)
    with pytest.warns(
        paths.KernelWarning,
        match=r"^the cpu kernels cannot be used.*(ModuleNotFoundError|other numbers)",
    ):
        assert paths.path(X).name == "plain"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(
            spline_jet(X, C, KNOTS, (1, 1))[:, 0], torch.full((3, 1), 2.0, dtype=torch.float64)
        ), "once is enough"
