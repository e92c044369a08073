"""Import paths of earlier releases: each still answers, and says where the module lives now.

Which they are stands in :mod:`wpbridge.deprecated.register`.
"""

import importlib
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from wpbridge.deprecated.register import MOVED_MODULES, MOVED_NAMES, warn


class Finder:
    """Finds the moved modules; Python asks it when nothing else has found them."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Tell how a moved module is loaded; None for a name that has not moved."""
        del path, target
        return ModuleSpec(name, Finder) if name in MOVED_MODULES else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Leave that to Python."""
        del spec

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Have the module answer with what its new home holds."""
        home = MOVED_MODULES[module.__name__]
        warn("import", module.__name__, above=3)
        apart = MOVED_NAMES.get(module.__name__, {})
        module.__dict__["__getattr__"] = lambda name: _at(apart.get(name, f"{home}.{name}"))


def name_of(room: str, name: str) -> object:
    """Return what a module had before it became a room; AttributeError for any other name."""
    address = MOVED_NAMES[room].get(name)
    if address is None:
        raise AttributeError(f"module {room!r} has no attribute {name!r}")
    warn("import", f"{room}.{name}", above=4)
    return _at(address)


def _at(address: str) -> object:
    home, _, attribute = address.rpartition(".")
    found: object = getattr(importlib.import_module(home), attribute)
    return found
