"""Many runs of one problem: accuracy against parameters, seed by seed, network against network.

`kanpde.sweep(problem, …)` carries out a sweep, and `kanpde.sweep.store.read(folder)` reads one: the package is called as a function.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kanpde.sweep.conduct import Sweep


class _Package(ModuleType):
    """Importing any part of this package gives `kanpde.sweep` its package, so the function of that name has to be the package."""

    def __call__(self, *arguments: Any, **options: Any) -> Sweep:
        """See conduct.sweep."""
        from kanpde.sweep.conduct import sweep

        return sweep(*arguments, **options)

    def resume(self, *arguments: Any, **options: Any) -> Sweep:
        """See conduct.resume."""
        from kanpde.sweep.conduct import resume

        return resume(*arguments, **options)


sweep = sys.modules[__name__]  # what `kanpde` exports under this name
sweep.__class__ = _Package
