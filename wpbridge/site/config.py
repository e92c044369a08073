"""Settings: flags, environment and ``wpbridge.toml``, checked and put into one frozen object.

A flag goes before ``WPBRIDGE_*``, that before the file, that before the default. Each setting
knows where its value came from, and no secret is ever shown. Everything that is wrong is told at
once. Nothing here reads ``wp-config.php`` or connects to anything.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from wpbridge.errors import ConfigError
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.faults import Faults, unknown_names
from wpbridge.site.old_settings import with_new_keys, with_new_variables
from wpbridge.site.settings import SETTINGS, Settings
from wpbridge.site.settings_file import SettingsFile, found_file
from wpbridge.site.value_kinds import Origin, home_of
from wpbridge.system import trusted_files as trust

__all__ = (
    "NOTHING_NAMED",
    "SETTINGS",
    "Settings",
    "SettingsFile",
    "combine",
    "home_of",
    "load",
    "sources_of",
    "working_folder",
)

NOTHING_NAMED: Final = (
    "name a module with --handlers, [webhooks] in the file, or run PHP's hooks with --php"
)
"""What to give where these settings run nothing."""
ENV_PREFIX: Final = "WPBRIDGE_"
_NOT_SETTINGS: Final = ("WPBRIDGE_GOLDEN_DIR", "WPBRIDGE_SEED", "WPBRIDGE_TEST_")
"""Variables of wpbridge's own tests, by their beginning."""
_ALONE: Final = tuple(name for name, told in SETTINGS.items() if told.table is None)
"""Tables of their own: no settings' names inside."""
_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    table: {told.key: name for name, told in SETTINGS.items() if told.table == table}
    for table in dict.fromkeys(told.table for told in SETTINGS.values() if told.table)
}
"""The file's tables: their keys, and the settings they mean."""


def load(flags: Mapping[str, object], env: Mapping[str, str], cwd: Path) -> Settings:
    """Read the settings from all their sources.

    Args:
        flags: fields by name, and ``config`` (a file); None and ``()`` count as not given. Lists
            may come as one text with commas, webhooks as ``HOOK=URL``.
        env: the environment; also read for ``secret_env`` of webhooks and for NO_COLOR.
        cwd: where relative paths of flags and variables begin.

    Raises:
        ConfigError: keys or variables are unknown, values are of the wrong kind, or the file is
            missing or no TOML. It lists all faults with their places, and never a secret.
    """
    reading = _Reading(env, cwd)
    reading.find_file(flags)
    return reading.settings(flags)


def combine(
    flags: Mapping[str, object], env: Mapping[str, str], cwd: Path, file: SettingsFile | None
) -> Settings:
    """Make settings as ``load`` does, from a file that was read before, or from none.

    Raises:
        ConfigError: as ``load`` does.
    """
    reading = _Reading(env, cwd)
    reading.file = file
    return reading.settings(flags)


def sources_of(settings: Settings) -> dict[str, str]:
    """Tell where each setting came from, by field, in the fields' order."""
    return dict(settings.sources)


class _Reading:
    """One reading of all sources: what has been found so far, and what is wrong."""

    def __init__(self, env: Mapping[str, str], cwd: Path) -> None:
        self.file: SettingsFile | None = None
        self._env, self._cwd = env, cwd
        self._warnings: list[str] = []
        self._faults = Faults()
        with self._faults.kept():
            self._env, self._warnings = with_new_variables(env)
        self._values: dict[str, Any] = {}
        self._sources = dict.fromkeys(SETTINGS, "default")
        self._trusted = False
        with self._faults.kept():
            self._trusted = trust.is_lifted(env)
        self._tables: dict[str, Any] | None = {}
        """What stands in the file; None where it cannot be read."""

    def find_file(self, flags: Mapping[str, object]) -> None:
        """Read the file that these flags and the environment mean."""
        self._tables = None
        with self._faults.kept():
            self.file = found_file(flags, self._env, self._cwd, trusted=self._trusted)
            self._tables = {}

    def settings(self, flags: Mapping[str, object]) -> Settings:
        """Read all sources; ConfigError with everything that is wrong."""
        if self.file is not None:
            self._from_file(self.file)
        self._from_env()
        self._from_flags(flags)
        if self._faults:
            self._look_ahead()
        self._faults.refuse()
        if self.file is not None and self._sources["handlers"] == f"file {self.file.path}":
            self._values["handlers_folder"] = str(self.file.path.parent)
        self._sources["trusted"] = f"env {trust.LIFTS}" if self._trusted else "default"
        return Settings(
            **self._values,
            trusted=self._trusted,
            sources=MappingProxyType(self._sources),
            file=self.file,
            warnings=tuple(self._warnings),
        )

    def _from_file(self, file: SettingsFile) -> None:
        self._tables = None
        with self._faults.kept():
            self._tables, warnings = with_new_keys(file.tables(), str(file.path))
            self._warnings += warnings
        origin = Origin(f"file {file.path}", file.path.parent, self._env)
        for name in self._known_tables(file.path):
            value = (self._tables or {})[name]
            if name in _ALONE:
                self._take(name, value, f"{file.path}: {name}", origin)
            elif not isinstance(value, Mapping):
                self._faults.add(f"{file.path}: {name} is a table: [{name}]")
            else:
                keys = _TABLES[name]
                self._faults.add(*unknown_names(value, keys, f"{file.path} [{name}]"))
                for key in value:
                    if key in keys:
                        self._take(keys[key], value[key], f"{file.path}: {key}", origin)

    def _known_tables(self, file: Path) -> list[str]:
        """Name the file's tables that are known; the others become faults."""
        known = [*_TABLES, *_ALONE]
        others = []
        for name in self._tables or ():
            table = next((table for table, keys in _TABLES.items() if name in keys), None)
            if table is None or name in known:
                others.append(name)
            else:
                self._faults.add(f"{file}: {name} belongs below [{table}]")
        self._faults.add(*unknown_names(others, known, str(file)))
        return [name for name in others if name in known]

    def _from_env(self) -> None:
        names = {f"{ENV_PREFIX}{name.upper()}": name for name in SETTINGS}
        present = {key: value for key, value in self._env.items() if key.startswith(ENV_PREFIX)}
        # A file that cannot be read may name variables of its own.
        if self._tables is not None:
            known = {*names, f"{ENV_PREFIX}CONFIG", trust.LIFTS, *_secret_names(self._tables)}
            asked = [key for key in present if not key.startswith(_NOT_SETTINGS)]
            self._faults.add(*unknown_names(asked, known, "the environment"))
        for variable, color in (("FORCE_COLOR", True), ("NO_COLOR", False)):
            if self._env.get(variable):
                self._values["color"], self._sources["color"] = color, f"env {variable}"
        for key, value in present.items():
            if key in names and value:
                self._take(names[key], value, key, Origin(f"env {key}", self._cwd, self._env))

    def _from_flags(self, flags: Mapping[str, object]) -> None:
        given = {n: v for n, v in flags.items() if v not in (None, ()) and n != "config"}
        self._faults.add(*unknown_names(given, SETTINGS, "flags"))
        origin = Origin("flag", self._cwd, self._env)
        for name, value in given.items():
            if name in SETTINGS:
                self._take(name, value, f"--{name.replace('_', '-')}", origin)

    def _take(self, name: str, value: object, place: str, origin: Origin) -> None:
        """Check a value, and keep it with its source."""
        setting = SETTINGS[name]
        with self._faults.kept():
            try:
                self._values[name] = setting.kind(value, origin)
            except ValueError as error:
                shown = "" if setting.is_secret else f", not {value!r}"
                raise ConfigError(f"{place} expects {error}{shown}") from None
        self._sources[name] = origin.text

    def _look_ahead(self) -> None:
        """Find what the search for the site would refuse: it is told with the other faults."""
        with self._faults.kept():
            if "dsn" in self._values:
                DatabaseAddress.from_dsn(self._values["dsn"])
        if url := self._values.get("url"):
            from wpbridge.site.wpconfig import request  # noqa: PLC0415 - most sites need no address

            with self._faults.kept():
                request.of_url(url)


def _secret_names(tables: Mapping[str, Any]) -> list[str]:
    """Name the variables that webhooks take their secrets from, whatever they are called."""
    webhooks = tables.get("webhooks")
    if not isinstance(webhooks, Mapping):
        return []
    told = [webhook for webhook in webhooks.values() if isinstance(webhook, Mapping)]
    return [str(webhook["secret_env"]) for webhook in told if "secret_env" in webhook]


def working_folder() -> Path:
    """Return the working folder. ConfigError where it was deleted, or cannot be reached."""
    try:
        return Path.cwd()
    except OSError as error:
        raise ConfigError(
            f"the working folder is gone or cannot be reached ({error.strerror}): go to another one"
        ) from None
