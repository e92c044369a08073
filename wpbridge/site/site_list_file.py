"""Reads a TOML file of sites: ``[[sites]]``, and ``[defaults]`` for all of them."""

import pwd
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from wpbridge.errors import ConfigError
from wpbridge.site import value_kinds as kinds
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.faults import unknown_names
from wpbridge.site.settings_file import named_file
from wpbridge.site.site_entries import SiteEntry, SiteFault, ToldSite, is_site_name
from wpbridge.site.table_rows import Key, row
from wpbridge.site.value_kinds import Kind, Origin

_MOST_BLOGS: Final = 1 << 62


def sites_of_file(file: Path, env: Mapping[str, str]) -> tuple[list[ToldSite], list[SiteFault]]:
    """Return the sites that a file names, and its faults.

    Raises:
        ConfigError: the file cannot be read, must not be obeyed, or is no TOML.
    """
    tables = named_file(file, env, "the list of sites").tables()
    origin = Origin(str(file), file.parent, env)
    faults = [
        SiteFault(str(file), fault.removeprefix(f"{file}: "))
        for fault in unknown_names(tables, ("sites", "defaults"), str(file))
    ]
    found: list[ToldSite] = []
    defaults: dict[str, Any] = {}

    place = f"{file}: defaults"
    with _kept(place, faults):
        defaults = _table(tables.get("defaults", {}), place, _SHARED, origin)
    told = tables.get("sites", [])
    if not isinstance(told, list):
        faults.append(SiteFault(str(file), "sites is a list of tables: [[sites]]"))
        told = []
    for number, site in enumerate(told, 1):
        where = f"{file}: site {number}"
        if isinstance(site, Mapping) and is_site_name(site.get("name")):
            where += f" ({site['name']})"
        with _kept(where, faults):
            found.append(_entry(site, where, defaults, origin))
    # Without the defaults, sites would run in another way than the file says.
    return ([] if place in {fault.place for fault in faults} else found), faults


@contextmanager
def _kept(place: str, faults: list[SiteFault]) -> Iterator[None]:
    """Keep the faults of the block's ConfigError, and go on after it."""
    try:
        yield
    except ConfigError as error:
        faults += [SiteFault(place, one.removeprefix(f"{place}: ")) for one in error.faults]


def _entry(told: object, where: str, defaults: Mapping[str, Any], origin: Origin) -> ToldSite:
    values = {**defaults, **_table(told, where, {**_SHARED, **_ITS_OWN}, origin, _site_faults)}
    is_named = "name" in values
    if "path" not in values:
        # The default is for sites that have a WordPress.
        values.pop("php", None)
    entry = SiteEntry(**{"name": "", **values}, place=where, folder=origin.folder)
    return ToldSite(entry, is_named)


def _table(
    told: object,
    where: str,
    known: Mapping[str, Kind],
    origin: Origin,
    check: Callable[[Mapping[str, object]], Iterator[str]] = lambda _given: iter(()),
) -> dict[str, Any]:
    if not isinstance(told, Mapping):
        raise ConfigError(f"{where}: it is a table")
    keys = {name: Key(_reader(name, kind, origin), "") for name, kind in known.items()}
    return row(told, where, keys, check)


def _reader(name: str, kind: Kind, origin: Origin) -> Callable[[Any], Any]:
    def read(value: object) -> Any:
        try:
            return kind(value, origin)
        except (ValueError, ConfigError) as error:
            begin = f"{name} expects " if isinstance(error, ValueError) else ""
            raise ValueError(f"{begin}{error}") from None

    return read


def _site_faults(given: Mapping[str, object]) -> Iterator[str]:
    if not given.keys() & {"path", "dsn"}:
        yield "name its WordPress with path, or its database with dsn"
    if {"url", "blog_id"} <= given.keys():
        yield "name a blog by url or by blog_id, not by both"
    if given.get("network") is True and given.keys() & {"url", "blog_id"}:
        yield "network = true means all blogs, so there is no url and no blog_id beside it"
    if given.get("php") is True and "path" not in given:
        yield "php = true needs the path of a WordPress"


def _name(value: object, _origin: Origin) -> str:
    if not is_site_name(value):
        raise ValueError(
            "letters from a to z, digits, dots and hyphens, 63 at most, the first one a letter or"
            " a digit"
        )
    return str(value)


def _dsn(value: object, origin: Origin) -> str:
    # The fault tells no DSN, since it holds a password.
    DatabaseAddress.from_dsn(kinds.text(value, origin))
    return str(value)


def _user(value: object, origin: Origin) -> str:
    name = kinds.text(value, origin)
    try:
        pwd.getpwnam(name)
    except KeyError:
        raise ValueError(f"a user of this system, not {name!r}") from None
    return name


def _url(value: object, origin: Origin) -> str:
    from wpbridge.site.wpconfig import request  # noqa: PLC0415 - most sites need no address

    url = kinds.text(value, origin)
    request.of_url(url)
    return url


def _config(value: object, origin: Origin) -> Path:
    file: Path = kinds.path(value, origin)
    if not file.is_file():
        raise ConfigError(f"the settings file {file} does not exist")
    return file


_SHARED: Final[Mapping[str, Kind]] = {
    "user": _user,
    "config": _config,
    "handlers": kinds.names,
    "php": kinds.boolean,
}
"""What ``[defaults]`` may say, too."""
_ITS_OWN: Final[Mapping[str, Kind]] = {
    "name": _name,
    "path": kinds.path,
    "dsn": _dsn,
    "table_prefix": kinds.prefix,
    "url": _url,
    "blog_id": kinds.number(1, _MOST_BLOGS),
    "network": kinds.boolean,
}
