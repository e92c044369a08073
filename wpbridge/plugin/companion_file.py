"""Reads and writes the companion plugin: one must-use file for all sites of a WordPress.

The file is a template with one line of configuration in it, as JSON, for each site of the network.
The template is ``companion.php``, with ``wakes.php``, ``results.php``, ``tickets.php``,
``traces.php``, ``dashboard.php`` and ``on_site.php`` behind it. Everything that was written can be
read back. A file that is not ours is never changed.
"""

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Final, Literal

from wpbridge import __version__
from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError, SiteError
from wpbridge.plugin import entrance
from wpbridge.plugin.entrance import Entrance
from wpbridge.plugin.json_line import JsonLine
from wpbridge.plugin.placing import remove_file, source_of, write_file

FILE_NAME: Final = "wpbridge.php"

LINE: Final = JsonLine(
    template_name="companion.php",
    constant="WPBRIDGE_COMPANION",
    mark=b"wpbridge-companion-file",
    more=(
        *("wakes.php", "results.php", "tickets.php", "traces.php"),
        *("dashboard.php", "on_site.php"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Says who runs the actions whose hook and group match. The patterns are as in a route."""

    hook: str | None = None
    """None for any hook."""
    group: str | None = None
    """None for any group. An empty text stands for actions without a group."""
    owned: bool = True
    """Whether wpbridge runs them. If not, PHP does, even if a later rule matches too."""

    def __str__(self) -> str:
        patterns = (("hook", self.hook), ("group", self.group))
        named = [f"{name} {pattern!r}" for name, pattern in patterns if pattern is not None]
        leads = "a route" if self.owned else "a route to leave"
        return f"{leads} for {' and '.join(named) or 'everything'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """What PHP's runners leave to wpbridge on one site, and what else PHP does for it there."""

    rules: tuple[Rule, ...] = ()
    """The first rule that matches decides."""
    hooks: tuple[str, ...] = ()
    """The exact names of hooks that wpbridge owns where no rule decides."""
    upkeep: tuple[str, ...] = ()
    """The exact names of hooks that PHP runs whatever the rules say."""
    owns_site: bool = False
    """Whether wpbridge owns everything. The plugin's runners are switched off then."""
    traces: bool = False
    """Whether PHP keeps which span has led to an action that it stores."""
    dashboard: Entrance = field(default_factory=Entrance)
    """How people come from WordPress into the dashboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """The configuration of a companion plugin."""

    version: str = __version__
    """The version of the wpbridge that wrote it."""
    sites: Mapping[str, Ownership] = field(default_factory=dict)
    """By table prefix, since the sites of a network share one file."""


def template() -> bytes:
    """Return the plugin with an empty configuration."""
    return LINE.template()


def render(source: bytes, companion: Companion) -> bytes:
    """Put a configuration into the template.

    Raises:
        ConfigError: a name is not valid Unicode, so PHP cannot read it.
    """
    values = {
        "version": companion.version,
        "sites": {prefix: _as_json(site) for prefix, site in sorted(companion.sites.items())},
    }
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ConfigError("a hook or group of the settings is not valid Unicode") from None
    return LINE.render(source, values)


def parse(source: bytes) -> Companion | None:
    """Return the configuration of a file. None if the file is not ours, or is damaged."""
    text = LINE.text(source)
    if text is None:
        return None
    try:
        values = json.loads(text)
        sites = {str(prefix): _ownership(site) for prefix, site in values["sites"].items()}
        return Companion(version=str(values["version"]), sites=sites)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _as_json(site: Ownership) -> dict[str, Any]:
    return {
        "owns_site": site.owns_site,
        "rules": [{"hook": r.hook, "group": r.group, "owned": r.owned} for r in site.rules],
        "hooks": list(site.hooks),
        "upkeep": list(site.upkeep),
        "traces": site.traces,
        "dashboard": entrance.as_json(site.dashboard),
    }


def _ownership(values: Mapping[str, Any]) -> Ownership:
    return Ownership(
        rules=tuple(Rule(**rule) for rule in values["rules"]),
        hooks=tuple(map(str, values["hooks"])),
        upkeep=tuple(map(str, values["upkeep"])),
        owns_site=bool(values["owns_site"]),
        traces=values.get("traces") is True,
        dashboard=entrance.parsed(told) if (told := values.get("dashboard")) else entrance.NOBODY,
    )


def read(folder: Path) -> Companion | None:
    """Return the configuration of the file in a folder. None if there is none, or it is damaged.

    Raises:
        SiteError: the file cannot be read.
    """
    source = source_of(folder / FILE_NAME)
    return None if source is None else parse(source)


def sends_wakes(folder: Path) -> bool:
    """Tell whether the file in a folder wakes daemons. One of an earlier release does not.

    Raises:
        SiteError: the file cannot be read.
    """
    source = source_of(folder / FILE_NAME)
    return source is not None and b"class Wpbridge_Wakes" in source


def leaves_own_hooks(folder: Path, prefix: str) -> bool:
    """Tell whether the file in a folder keeps PHP's runners of a site off wpbridge's own hooks.

    One of an earlier release does not.

    Raises:
        SiteError: the file cannot be read.
    """
    source = source_of(folder / FILE_NAME)
    found = parse(source) if source is not None and b"const OWN_HOOKS" in source else None
    return found is not None and prefix in found.sites


def install(
    folder: Path, prefix: str, ownership: Ownership, *, dry_run: bool = False
) -> Literal["created", "renewed", "unchanged"]:
    """Write the file, or this site's part of it. The parts of other sites stay.

    Readers see the old file or the new one, even after a crash. A missing folder is created.

    Raises:
        SiteError: the file is not ours, or cannot be written.
        ConfigError: as :func:`render`.
    """
    file = folder / FILE_NAME
    before = _ours(file)
    sites = {**_sites(before), prefix: ownership}
    after = render(template(), Companion(sites=sites))
    if before == after:
        return "unchanged"
    if not dry_run:
        write_file(file, after)
    return "created" if before is None else "renewed"


def remove(
    folder: Path, prefix: str, *, dry_run: bool = False
) -> Literal["removed", "renewed", "unchanged"]:
    """Remove this site's part from the file, or the file itself with its last part.

    Raises:
        SiteError: the file is not ours, or cannot be changed.
    """
    file = folder / FILE_NAME
    before = _ours(file)
    if before is None:
        return "unchanged"
    sites = _sites(before)
    left = {name: site for name, site in sites.items() if name != prefix}
    if left:
        if len(left) == len(sites):
            return "unchanged"
        if not dry_run:
            write_file(file, render(template(), Companion(sites=left)))
        return "renewed"
    if not dry_run:
        remove_file(file)
    return "removed"


def _sites(source: bytes | None) -> Mapping[str, Ownership]:
    found = None if source is None else parse(source)
    return found.sites if found else {}


def _ours(file: Path) -> bytes | None:
    source = source_of(file)
    if source is not None and LINE.mark not in source:
        raise SiteError(f"{file} was not written by wpbridge: move it away first")
    return source
