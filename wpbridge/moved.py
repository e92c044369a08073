"""Import paths of earlier releases: each still answers, and says where the module lives now."""

import importlib
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

HOMES: Final = {
    "wpbridge.companion": "wpbridge.plugin.companion",
    "wpbridge.config": "wpbridge.site.config",
    "wpbridge.database": "wpbridge.site.database",
    "wpbridge.enqueue": "wpbridge.queue.enqueue",
    "wpbridge.explain": "wpbridge.doctor.explain",
    "wpbridge.fingerprint": "wpbridge.telling.fingerprint",
    "wpbridge.handlers": "wpbridge.executors.handlers",
    "wpbridge.heartbeat": "wpbridge.daemon.heartbeat",
    "wpbridge.jsontext": "wpbridge.codec.jsontext",
    "wpbridge.keys": "wpbridge.codec.keys",
    "wpbridge.logs": "wpbridge.telling.lines",
    "wpbridge.moments": "wpbridge.site.moments",
    "wpbridge.notify": "wpbridge.daemon.notify",
    "wpbridge.retry": "wpbridge.runner.retry_rules",
    "wpbridge.routes": "wpbridge.executors.routes",
    "wpbridge.rules": "wpbridge.site.rules",
    "wpbridge.store.tables": "wpbridge.store.schema.layout",
    "wpbridge.trust": "wpbridge.system.trusted_files",
    "wpbridge.wake": "wpbridge.queue.wake",
    "wpbridge.wpconfig": "wpbridge.site.wpconfig",
    "wpbridge.zone": "wpbridge.site.zone",
}
"""Where a module of an earlier release lives now."""
NAMES: Final = {
    "wpbridge.queue": {"Queue": "wpbridge.queue.facade"},
    "wpbridge.site": {"Site": "wpbridge.site.resolve"},
}
"""Modules that became rooms: where names live that people may have imported from them."""


class Finder:
    """Finds the modules of :data:`HOMES`; Python asks it when nothing else has found them."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Tell how a moved module is loaded; None for a name that has not moved."""
        del path, target
        return ModuleSpec(name, Finder) if name in HOMES else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Leave that to Python."""
        del spec

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Have the module answer with what its new home holds."""
        home = HOMES[module.__name__]
        _warn(module.__name__, home)
        module.__dict__["__getattr__"] = lambda name: getattr(importlib.import_module(home), name)


def name_of(room: str, name: str) -> object:
    """Return what a module had before it became a room; AttributeError for any other name."""
    home = NAMES[room].get(name)
    if home is None:
        raise AttributeError(f"module {room!r} has no attribute {name!r}")
    _warn(f"{room}.{name}", f"{home}.{name}")
    found: object = getattr(importlib.import_module(home), name)
    return found


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is now {new}", DeprecationWarning, stacklevel=2)
