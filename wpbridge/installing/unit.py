"""Makes a site's unit of ``deploy/systemd/wpbridge@.service``, with the site's real values.

The template has the settings that are alike for all sites, and a comment for each that needs one.
Here are only the lines that differ, and why they are as they are.
"""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.installing import written
from wpbridge.installing.started_site import StartedSite, one_line
from wpbridge.site.config import Settings

_TEMPLATE: Final = "wpbridge@.service"
_DRAIN: Final = ("--drain-timeout", "60s")
"""As in the template, whose TimeoutStopSec is longer."""
_AFTER_DRAIN_SECONDS: Final = 30
"""So much longer than the drain systemd waits."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_@+=:,./%-]+")

Lines = Mapping[str, str]
"""Lines in the place of one of the template's, and why each is so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit's text, and what is the site's own in it."""

    file_name: str
    text: str
    why: Lines


def unit(site: StartedSite, settings: Settings) -> Unit:
    """Return the unit that runs a site's daemon.

    Raises:
        ConfigError: a path or an option has a line break in it.
    """
    own = {
        "Description": {f"Description=wpbridge, Action Scheduler queue of {site.name}": "its name"},
        "User": {f"User={site.user.pw_name}": site.why_user},
        "WorkingDirectory": {f"WorkingDirectory={_escaped(site.folder)}": site.why_folder},
        "EnvironmentFile": _environment(site),
        "StateDirectory": _state(site, settings),
        "ExecStart": _start(site, settings),
        "TimeoutStopSec": _stop(settings),
    }
    body = "".join(_filled(site.name, own))
    why = {line: reason for lines in own.values() for line, reason in lines.items()}
    return Unit(
        file_name=f"wpbridge-{site.name}.service", text=written.sealed(site.label, body), why=why
    )


def _filled(name: str, own: Mapping[str, Lines]) -> list[str]:
    """Return the template's lines, with the site's own in their places."""
    text = resources.files("wpbridge").joinpath("deploy", "systemd", _TEMPLATE).read_text("utf-8")
    # Its first lines say what a template is.
    _, _, rest = text.partition("\n\n")
    lines: list[str] = []
    for line in rest.replace("%i", name).splitlines():
        lines += own.get(line.partition("=")[0]) or [line]
    return [f"{line}\n" for line in lines]


def _start(site: StartedSite, settings: Settings) -> Lines:
    drain = () if _names_drain(settings) else _DRAIN
    words = " ".join(map(_word, (*site.program, "work", *site.options, *drain)))
    return {f"ExecStart={words}": "this wpbridge, with the site options that were given here"}


def _stop(settings: Settings) -> Lines:
    if not _names_drain(settings):
        return {}
    drain = settings.drain_timeout
    wait = f"{drain.total_seconds() + _AFTER_DRAIN_SECONDS:.0f}" if drain else "infinity"
    return {f"TimeoutStopSec={wait}": "longer than the drain_timeout of the settings file"}


def _environment(site: StartedSite) -> Lines:
    file = f"/etc/wpbridge/{site.name}.env"
    lines = {
        f"EnvironmentFile=-{file}": f"WPBRIDGE_… variables, such as a DSN with its password; {file}"
        " need not exist"
    }
    if site.path is not None:
        path = _quoted(_escaped(f"PATH={site.path}"))
        lines[f"Environment={path}"] = "where PHP and WP-CLI were found"
    if site.is_single_file:
        lines[f"CacheDirectory=wpbridge/{site.name}"] = "where wpbridge.pyz unpacks itself"
        lines["CacheDirectoryMode=0700"] = "nobody else may put anything there"
        cache = f"/var/cache/wpbridge/{site.name}"
        lines[f"Environment=XDG_CACHE_HOME={cache}"] = "so that it looks there"
    return lines


def _state(site: StartedSite, settings: Settings) -> Lines:
    folder = f"/var/lib/wpbridge/{site.name}"
    is_used = str(settings.state_dir or "").startswith(folder)
    why = "the state folder of the settings"
    if not is_used:
        why = f'a folder for journals; [run] state_dir = "{folder}" would use it'
    return {f"StateDirectory=wpbridge/{site.name}": why}


def _names_drain(settings: Settings) -> bool:
    return settings.sources.get("drain_timeout", "").startswith("file ")


def _word(word: str) -> str:
    """Write a word as systemd reads it back."""
    return _quoted(_escaped(word).replace("$", "$$"))


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    inside = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inside}"'


def _escaped(value: object) -> str:
    """Write a value in which % stands for itself."""
    return one_line(str(value)).replace("%", "%%")
