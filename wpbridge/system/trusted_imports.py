"""Judge modules of handlers before Python runs them, and all that they import.

The guard stands before Python's own finders and asks them. It judges what they have found, with its
folders and its compiled file. What lies in Python's own folders is left out: wpbridge's own code is
run from there, and so whoever may write them is obeyed anyhow.
"""

import os
import sys
import sysconfig
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

from wpbridge.system.trusted_files import may_obey

_OF_PYTHON: Final = ("stdlib", "platstdlib", "purelib", "platlib")
_WHAT: Final = "the handlers' module"


class Guard:
    """A finder that refuses modules which this process must not obey."""

    def __init__(self) -> None:
        paths = sysconfig.get_paths()
        self._exempt = (*(Path(paths[name]) for name in _OF_PYTHON), Path(__file__).parent.parent)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as Python does. NotObeyed when it must not be run."""
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find else None
            if spec is not None:
                self._judge(spec)
                return spec
        return None

    def _judge(self, spec: ModuleSpec) -> None:
        origin = spec.origin if spec.has_location else None
        for folder in spec.submodule_search_locations or ():
            self._look_at(Path(folder), is_searched=True)
        if origin:
            self._look_at(Path(origin))
        # Python runs the compiled file in its place, if one is put there.
        compiled = Path(spec.cached) if origin and spec.cached else None
        if compiled is not None and os.path.lexists(compiled.parent):
            self._look_at(compiled.parent, is_searched=True)
            if os.path.lexists(compiled):
                self._look_at(compiled)

    def _look_at(self, place: Path, *, is_searched: bool = False) -> None:
        if not any(place.is_relative_to(folder) for folder in self._exempt):
            may_obey(place, _WHAT, is_searched=is_searched)


def guard_imports(*, trusted: bool) -> None:
    """Judge every module that is imported from now on; with ``trusted``, none."""
    rest = [finder for finder in sys.meta_path if not isinstance(finder, Guard)]
    sys.meta_path[:] = rest if trusted else [Guard(), *rest]
