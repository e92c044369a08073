"""Import paths of earlier releases. Each still works, and warns where the module stands now."""

import importlib
import importlib.util
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
    "wpbridge.store.sqlstore": "wpbridge.store.running.runner_store",
    "wpbridge.store.tables": "wpbridge.store.schema.layout",
    "wpbridge.trust": "wpbridge.system.trusted_files",
    "wpbridge.wake": "wpbridge.queue.wake",
    "wpbridge.wpconfig": "wpbridge.site.wpconfig",
    "wpbridge.zone": "wpbridge.site.zone",
}
"""From a module's path in an earlier release to its path now."""
NAMES: Final = {
    "wpbridge.queue": "wpbridge.queue.facade",
    "wpbridge.site": "wpbridge.site.resolve",
    "wpbridge.upkeep": "wpbridge.upkeep.cleanup",
}
"""From a module that became a room to the module that has its names now."""


class Finder:
    """Finds the modules of :data:`HOMES`. Python asks it for modules that nothing else finds."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load a moved module. None for a name that has not moved."""
        del path, target
        return ModuleSpec(name, Finder) if name in HOMES else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Return None, so that Python makes the module object itself."""
        del spec

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Let the module look its names up in the module's new place."""
        home = HOMES[module.__name__]
        _warn(module.__name__, home)
        module.__dict__["__getattr__"] = lambda name: getattr(importlib.import_module(home), name)


def name_of(room: str, name: str) -> object:
    """Return what had this name in a module that has become a room.

    ``from room import module`` asks here for the module's name, before Python imports the module.

    Raises:
        AttributeError: the module never had this name.
    """
    if name.startswith("_") or importlib.util.find_spec(f"{room}.{name}") is not None:
        raise AttributeError(f"module {room!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(NAMES[room]), name)
    _warn(f"{room}.{name}", f"{NAMES[room]}.{name}")
    return found


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is now {new}", DeprecationWarning, stacklevel=2)
