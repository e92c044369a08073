"""Judges modules of handlers, and all that they import, before Python runs them.

The guard stands before Python's own finders and asks them. It judges the file that they find, the
folders of the module and its compiled file. Python's own folders are left out: the code of wpbridge
itself is there, so whoever may write to them is obeyed anyway.
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
    """A finder of modules that refuses those which this process must not obey."""

    def __init__(self) -> None:
        paths = sysconfig.get_paths()
        self._exempt = (*(Path(paths[name]) for name in _OF_PYTHON), Path(__file__).parent.parent)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as Python does. Raises NotObeyed if it must not be run."""
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
        # If there is a compiled file, Python runs that one instead.
        compiled = Path(spec.cached) if origin and spec.cached else None
        if compiled is not None and os.path.lexists(compiled.parent):
            self._look_at(compiled.parent, is_searched=True)
            if os.path.lexists(compiled):
                self._look_at(compiled)

    def _look_at(self, place: Path, *, is_searched: bool = False) -> None:
        if not any(place.is_relative_to(folder) for folder in self._exempt):
            may_obey(place, _WHAT, is_searched=is_searched)


def guard_imports(*, trusted: bool) -> None:
    """Judge every module that is imported from now on, or none if they are ``trusted``."""
    rest = [finder for finder in sys.meta_path if not isinstance(finder, Guard)]
    sys.meta_path[:] = rest if trusted else [Guard(), *rest]
