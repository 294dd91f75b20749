"""What commands import is loaded without the garbage collector, and set aside."""

import gc
import sys

import pytest

from kanpde.cli.loading import loading


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that was never imported; nothing stays set aside."""
    (tmp_path / "never_imported.py").write_text("things = [[] for _ in range(5000)]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "never_imported"
    sys.modules.pop("never_imported", None)
    gc.unfreeze()


def test_what_was_imported_is_set_aside(module):
    gc.unfreeze()
    with loading():
        assert not gc.isenabled()
        __import__(module)
    assert gc.isenabled()
    assert gc.get_freeze_count() > 5000


def test_where_nothing_was_imported_all_stays_as_it_was():
    before = gc.get_freeze_count()
    with loading():
        pass
    assert gc.isenabled()
    assert gc.get_freeze_count() == before


def test_after_an_error_the_collector_goes_on(module):
    def broken():
        with loading():
            __import__(module + "_either")

    with pytest.raises(ModuleNotFoundError):
        broken()
    assert gc.isenabled()


def test_who_has_switched_it_off_finds_it_off(module):
    gc.disable()
    try:
        with loading():
            __import__(module)
        assert not gc.isenabled()
    finally:
        gc.enable()
