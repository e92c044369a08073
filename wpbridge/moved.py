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
    "wpbridge.migrate.added": "wpbridge.migrate.transfer.taking_back",
    "wpbridge.migrate.files": "wpbridge.migrate.transfer.files",
    "wpbridge.migrate.poststore": "wpbridge.migrate.post_store.moving",
    "wpbridge.migrate.poststore_undo": "wpbridge.migrate.post_store.undo",
    "wpbridge.migrate.private": "wpbridge.system.private_files",
    "wpbridge.migrate.wpcron": "wpbridge.migrate.wp_cron.moving",
    "wpbridge.migrate.wpcron_undo": "wpbridge.migrate.wp_cron.undo",
    "wpbridge.moments": "wpbridge.site.moments",
    "wpbridge.notify": "wpbridge.daemon.notify",
    "wpbridge.retry": "wpbridge.runner.retry_rules",
    "wpbridge.routes": "wpbridge.executors.routes",
    "wpbridge.rules": "wpbridge.site.rules",
    "wpbridge.store.ddl": "wpbridge.store.structure.definitions",
    "wpbridge.store.retention": "wpbridge.store.upkeep.retention",
    "wpbridge.store.tables": "wpbridge.store.schema.layout",
    "wpbridge.trust": "wpbridge.system.trusted_files",
    "wpbridge.wake": "wpbridge.queue.wake",
    "wpbridge.wpconfig": "wpbridge.site.wpconfig",
    "wpbridge.zone": "wpbridge.site.zone",
}
"""From the path of a module in an earlier release to its path now."""
NAMES: Final = {
    "wpbridge.handlers": {
        "load": "wpbridge.executors.loading.load",
        "subscribers": "wpbridge.executors.loading.subscribers",
    },
    "wpbridge.migrate.schema": {
        "check_online": "wpbridge.migrate.schema.index_for_claims.check_online",
        "claim_index": "wpbridge.migrate.schema.index_for_claims.claim_index",
        "script": "wpbridge.migrate.schema.comparing.script",
        "verify": "wpbridge.migrate.schema.comparing.verify",
    },
    "wpbridge.migrate.transfer": {
        "Import": "wpbridge.migrate.transfer.importing.Import",
        "Report": "wpbridge.migrate.transfer.wishes.Report",
        "Wishes": "wpbridge.migrate.transfer.wishes.Wishes",
        "copy": "wpbridge.migrate.transfer.copying.copy_queue",
        "lines_of": "wpbridge.migrate.transfer.exporting.lines_of",
    },
    "wpbridge.queue": {
        "Queue": "wpbridge.queue.facade.Queue",
        "opened": "wpbridge.queue.facade.opened",
    },
    "wpbridge.site": {"Site": "wpbridge.site.resolve.Site"},
}
"""From a module that became several to the addresses of names that people may import from it."""


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
        _warn(module.__name__, home, above=3)
        apart = NAMES.get(module.__name__, {})
        module.__dict__["__getattr__"] = lambda name: _at(apart.get(name, f"{home}.{name}"))


def name_of(room: str, name: str) -> object:
    """Return what a module had before it became a room; AttributeError for any other name."""
    address = NAMES[room].get(name)
    if address is None:
        raise AttributeError(f"module {room!r} has no attribute {name!r}")
    _warn(f"{room}.{name}", address, above=4)
    return _at(address)


def _at(address: str) -> object:
    home, _, attribute = address.rpartition(".")
    found: object = getattr(importlib.import_module(home), attribute)
    return found


def _warn(old: str, new: str, *, above: int) -> None:
    """Warn in the name of the line that imports, which is so many calls above."""
    warnings.warn(f"{old} is now {new}", DeprecationWarning, stacklevel=above)
