"""The order of the house, read off its source: imports run downwards, and only the command line
prints."""

import ast
import subprocess
import sys

import house
import pytest

import kanpde


@pytest.mark.parametrize("fault", house.FAULTS, ids=lambda fault: fault.__name__)
def test_the_house_is_in_order(fault):
    assert not fault()


WRONG = {
    "kanpde/__init__.py": "_HOME = {'kanpde.solver': ['solve']}\n",
    "kanpde/solver.py": "from importlib import import_module\nimport_module('kanpde.cli.main')\n",
    "kanpde/geometry/box.py": "def late():\n    from kanpde import solve\n",
    "kanpde/networks/net.py": "from kanpde.networks.kinds.lan import Lan\n"
    "def build(problem: Any): pass\n",
    "kanpde/networks/kinds/lan.py": "from kanpde.networks.net import Net\nclass Lan: pass\n",
    "kanpde/plots/map.py": "if TYPE_CHECKING:\n    import kanpde.runs.folder\nLIMIT = 3\n",
    "kanpde/runs/folder.py": "class Lan: pass\nLIMIT: int = 4\ndef long():\n" + "    pass\n" * 60,
    "kanpde/runs/called.py": "sys.modules[__name__].__class__ = Called\n",
    "kanpde/runs/caller.py": "sys._getframe(1)\n[y for y in [f(x)]]\n",
    "kanpde/runs/past.py": "@dataclass\nclass Base: pass\n"
    "class Sound(Base):\n"
    "    def __init__(self, one):\n        super().__init__(1)\n        vars(self).update(a=1)\n"
    "class Frozen:\n    def __post_init__(self):\n        object.__setattr__(self, 'a', 1)\n"
    "class Skipped(Base):\n    def __init__(self, one):\n        vars(self).update(vars(one))\n"
    "class Other:\n    def __init__(self, one):\n        vars(one)['a'] = 1\n"
    "def late(x, y):\n    x.__dict__.update(a=1)\n    x.__dict__ |= y\n    x.y.__dict__['a'] = 1\n"
    "    object.__setattr__(x, 'a', 1)\n    vars(x).setdefault('a', 1)\n    f(**vars(x))\n",
    "kernels/cpu.py": "import scipy\n",
    "tests/lost/test_lost.py": "",
}
"""A house with one fault of each kind, or two."""

FOUND = {
    "imports_that_run_upwards": {
        "kanpde/geometry/box.py imports kanpde.solver",
        "kanpde/plots/map.py imports kanpde.runs.folder",
    },
    "imports_in_a_circle": {"kanpde.networks and kanpde.networks.kinds import each other"},
    "imports_from_outside": {"kernels/cpu.py imports scipy"},
    "imports_by_name": {"kanpde/solver.py imports by name"},
    "modules_that_are_called": {"kanpde/runs/called.py: sys.modules[__name__].__class__"},
    "walks_of_frames": {"kanpde/runs/caller.py: _getframe"},
    "constructors_that_are_bypassed": {
        "kanpde/runs/past.py: vars(self).update(vars(one))",
        "kanpde/runs/past.py: vars(one)['a'] = 1",
        "kanpde/runs/past.py: x.__dict__.update(a=1)",
        "kanpde/runs/past.py: x.__dict__ |= y",
        "kanpde/runs/past.py: x.y.__dict__['a'] = 1",
        "kanpde/runs/past.py: object.__setattr__(x, 'a', 1)",
        "kanpde/runs/past.py: vars(x).setdefault('a', 1)",
    },
    "loops_over_one_thing": {"kanpde/runs/caller.py: for y in [f(x)]"},
    "classes_of_one_name": {
        "Lan in kanpde/networks/kinds/lan.py",
        "Lan in kanpde/runs/folder.py",
    },
    "constants_of_one_name": {
        "LIMIT in kanpde/plots/map.py",
        "LIMIT in kanpde/runs/folder.py",
    },
    "long_functions": {"kanpde/runs/folder.py: long"},
    "anything_goes": {"kanpde/networks/net.py: problem: Any"},
    "loose_modules": {"zero.py"},
    "folders_that_mirror_nothing": {"lost"},
}


def test_every_fault_is_found(tmp_path, monkeypatch):
    loose = {f"kanpde/{name}.py": "" for name in ("doctor", "errors", "five", "four", "zero")}
    for place, source in (WRONG | loose).items():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    monkeypatch.setattr(house, "TOP", tmp_path)
    house.modules.cache_clear()
    house.public.cache_clear()
    try:
        found = {fault.__name__: fault() for fault in house.FAULTS}
    finally:
        house.modules.cache_clear()
        house.public.cache_clear()
    assert found == FOUND


PRINTERS = {"print", "input"}
TERMINAL = {"rich", "typer", "tqdm", "matplotlib.pyplot"}
SILENT = [m for m in house.modules() if m.room not in ("cli", "__main__")]


@pytest.mark.parametrize("module", SILENT, ids=lambda module: module.place)
def test_only_the_command_line_prints(module):
    calls = [node.func for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    assert not [f for f in calls if isinstance(f, ast.Name) and f.id in PRINTERS]
    for dotted in house.imported(module.tree):
        assert not [t for t in TERMINAL if f"{dotted}.".startswith(f"{t}.")], dotted


def test_the_gallery_uses_the_public_interface_only():
    for path in sorted((house.TOP / "problems").glob("*.py")):
        for dotted in house.imported(ast.parse(path.read_text())):
            top, _, name = dotted.partition(".")
            assert top != "kanpde" or name in kanpde.__all__, f"{path.name} imports {dotted}"


@pytest.mark.parametrize("room", ["networks", "problem"])
def test_rooms_that_the_list_of_problems_passes_import_nothing(room):
    source = (house.TOP / "kanpde" / room / "__init__.py").read_text()
    assert list(house.imported(ast.parse(source))) == []


def test_listing_the_gallery_imports_neither_torch_nor_numpy():
    script = (
        "import sys; from kanpde.cli import main; main(['list']); sys.exit(' '.join({'torch',"
        " 'numpy', 'scipy', 'matplotlib', 'rich'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "poisson2d" in done.stdout


def test_every_public_name_can_be_imported():
    for name in kanpde.__all__:
        assert getattr(kanpde, name) is not None
    assert set(kanpde.__all__) <= set(dir(kanpde))
    with pytest.raises(AttributeError, match="no attribute 'poisson'"):
        _ = kanpde.poisson
