"""The one register of deprecated public names, and of those that were removed.

docs/reference/compatibility.md says what is public and how long a deprecated name still works. A
public name that gets another one is written down here: the old name then warns, each kind in its
own way, with the words of :meth:`Deprecation.words`. tests/unit/test_deprecations.py tries every
entry, and `scripts/release` refuses a release in which a name is left that should be gone.
"""

import functools
import warnings
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])
Kind = Literal["import", "api", "command", "option", "setting", "variable", "route", "field"]
"""What a name is.

- ``import``: a module's path, or a name in a module, for :mod:`wpbridge.deprecated.moved`.
- ``api``: a name that ``wpbridge`` exports, or what belongs to it, as ``Queue.find``.
- ``command``: a command's words, as ``keys list``.
- ``option``: a command's words and an option, as ``status --exact``; an option of all commands
  stands alone.
- ``setting``: a table of the settings file and a key, as ``run.batch_size``.
- ``variable``: a variable of the environment.
- ``route``: a method and a path of the HTTP API, as ``GET /v1/stats``.
- ``field``: a field that programs read: of JSON, of a log line, or a metric. It cannot warn by
  itself, so the old field and the new one are both written.
"""


class Deprecation(NamedTuple):
    """One public name that goes away."""

    kind: Kind
    name: str
    successor: str
    since: str
    """The release that first warned."""
    removed_in: str
    """The release that no longer has the name."""
    since_day: str = ""
    """For a route: the day of the release that first warned, as YYYY-MM-DD."""
    sunset: str = ""
    """For a route: the day on which it may stop, as YYYY-MM-DD."""

    @property
    def words(self) -> str:
        """Return the warning."""
        return (
            f"{self.name} is deprecated since wpbridge {self.since}, and {self.removed_in} will"
            f" not have it: use {self.successor}"
        )


MOVED_MODULES: Final = {
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
"""From the path of a module in 0.1 to its path now."""
MOVED_NAMES: Final = {
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


def _moved(name: str, successor: str) -> Deprecation:
    return Deprecation("import", name, successor, "1.0", "2.0")


DEPRECATED: Final[tuple[Deprecation, ...]] = (
    *(_moved(old, new) for old, new in MOVED_MODULES.items()),
    *(
        _moved(f"{module}.{name}", address)
        for module, names in MOVED_NAMES.items()
        # A module that moved has warned when it was imported.
        if module not in MOVED_MODULES
        for name, address in names.items()
    ),
)
"""All names that still work and warn."""
REMOVED: Final[tuple[Deprecation, ...]] = ()
"""All names that were deprecated once and are gone."""


def of_kind(kind: Kind) -> dict[str, Deprecation]:
    """Return the deprecated names of a kind."""
    return {one.name: one for one in DEPRECATED if one.kind == kind}


def warn(kind: Kind, name: str, *, above: int) -> None:
    """Warn Python code of a name in the register, in the line that is so many calls above.

    Raises:
        KeyError: the register has no such name.
    """
    warnings.warn(of_kind(kind)[name].words, DeprecationWarning, stacklevel=above)


def deprecated(name: str) -> Callable[[_Function], _Function]:
    """Return what makes a function warn when it is called; ``name`` is an ``api`` of the register.

    As :func:`warnings.deprecated` of Python 3.13 does, it writes the words to ``__deprecated__``.
    """

    def wrap(function: _Function) -> _Function:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            warn("api", name, above=3)
            return function(*args, **kwargs)

        call.__dict__["__deprecated__"] = of_kind("api")[name].words
        return call  # type: ignore[return-value]

    return wrap


def is_due(one: Deprecation, version: str) -> bool:
    """Return whether a release of this version must not have the name any more."""
    return numbers_of(one.removed_in) <= numbers_of(version)


def numbers_of(version: str) -> tuple[int, ...]:
    """Return a version in three numbers, to compare it; ValueError for what is none."""
    numbers = [int(part) for part in version.split(".")]
    return (*numbers, *[0] * (3 - len(numbers)))
