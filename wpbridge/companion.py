"""The companion plugin: one must-use file that keeps the plugin's PHP runners off what is ours.

The file is a template (``php/companion.php``) with one line of configuration in it, as JSON, for
each site of the network it serves. Whatever was written can be read back. Nothing here asks the
database, and a file that is not ours is never touched.
"""

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from wpbridge import __version__
from wpbridge.action import UPKEEP_HOOKS
from wpbridge.config import Settings
from wpbridge.errors import ConfigError, SiteError

FILE_NAME: Final = "wpbridge.php"

Change: TypeAlias = Literal["created", "renewed", "removed", "unchanged"]

_MARK: Final = b"wpbridge-companion-file"
_LINE: Final = re.compile(
    rb"^(define\( 'WPBRIDGE_COMPANION', ')((?:[^'\\\n]|\\.)*)(' \);)$", re.MULTILINE
)
_MODE: Final = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Actions whose hook and group match; patterns as in a route, None for any."""

    hook: str | None = None
    group: str | None = None
    """An empty text: actions without a group."""
    owned: bool = True
    """False: PHP runs them, whatever comes after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """What PHP's runners leave to wpbridge on one site."""

    rules: tuple[Rule, ...] = ()
    """In order: the first that matches decides."""
    hooks: tuple[str, ...] = ()
    """Exact names, owned where no rule decides."""
    upkeep: tuple[str, ...] = ()
    """Exact names that PHP runs before all rules."""
    owns_site: bool = False
    """Everything: the plugin's runners are switched off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """What a file says."""

    version: str = __version__
    """Of the wpbridge that wrote it."""
    sites: Mapping[str, Ownership] = field(default_factory=dict)
    """By table prefix: the sites of a network share one file."""


def owned(settings: Settings, handlers: Iterable[str]) -> Ownership:
    """What the settings and the hooks of their handlers (Python and webhooks) make ours.

    What narrows a single run (hooks, groups and their exclusion) does not count: another run may
    do the rest. A route that leads to ``leave`` does.
    """
    return Ownership(
        rules=tuple(
            Rule(hook=route.hook, group=route.group, owned=route.to != "leave")
            for route in settings.routes
        ),
        hooks=tuple(sorted(handlers)),
        upkeep=() if settings.owns_site else tuple(sorted(UPKEEP_HOOKS)),
        owns_site=settings.owns_site,
    )


def explain(found: Companion | None, prefix: str, wanted: Ownership) -> tuple[str, ...]:
    """Sentences on how the site behaves unlike one with an up-to-date companion; none if it is one.

    ``found`` is what :func:`read` gave; ``prefix`` is the site's.
    """
    renew = "run `wpbridge wp install-plugin`"
    if found is None or prefix not in found.sites:
        off = "switch them off yourself; " if wanted.owns_site else ""
        missing = (
            "no companion plugin: PHP's runners also claim what wpbridge owns (and fail actions"
            " without a PHP callback), take no notice of pauses, and wait while wpbridge holds a"
            f" claim; {off}{renew}"
        )
        return (missing,)
    told = []
    if found.sites[prefix] != wanted:
        told.append(f"the companion plugin names other hooks and groups than the settings: {renew}")
    if found.version != __version__:
        told.append(f"the companion plugin is of wpbridge {found.version}: {renew}")
    return tuple(told)


# The file's text.


def template() -> bytes:
    """The plugin with an empty configuration."""
    return resources.files("wpbridge").joinpath("php", "companion.php").read_bytes()


def render(source: bytes, companion: Companion) -> bytes:
    """The template with the configuration in its place; ConfigError for names PHP cannot hold."""
    told = {
        "version": companion.version,
        "sites": {prefix: _told(site) for prefix, site in sorted(companion.sites.items())},
    }
    try:
        json.dumps(told, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ConfigError("a hook or group of the settings is not valid Unicode") from None
    # Printable ASCII, and nothing in it that could end the text, the line or the PHP.
    text = json.dumps(told, separators=(",", ":"))
    for character in "'<>":
        text = text.replace(character, f"\\u{ord(character):04x}")
    literal = text.replace("\\", "\\\\").encode("ascii")
    rendered, count = _LINE.subn(lambda match: match[1] + literal + match[3], source)
    if count != 1:
        raise ValueError("the template has no place for the configuration")
    return rendered


def parse(source: bytes) -> Companion | None:
    """What a file says; None when it is not ours, or damaged."""
    line = _LINE.search(source) if _MARK in source else None
    if line is None:
        return None
    try:
        told = json.loads(re.sub(rb"\\([\\'])", rb"\1", line[2]))
        sites = {str(prefix): _ownership(site) for prefix, site in told["sites"].items()}
        return Companion(version=str(told["version"]), sites=sites)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _told(site: Ownership) -> dict[str, Any]:
    return {
        "owns_site": site.owns_site,
        "rules": [{"hook": r.hook, "group": r.group, "owned": r.owned} for r in site.rules],
        "hooks": list(site.hooks),
        "upkeep": list(site.upkeep),
    }


def _ownership(told: Mapping[str, Any]) -> Ownership:
    return Ownership(
        rules=tuple(Rule(**rule) for rule in told["rules"]),
        hooks=tuple(map(str, told["hooks"])),
        upkeep=tuple(map(str, told["upkeep"])),
        owns_site=bool(told["owns_site"]),
    )


# The file.


def read(folder: Path) -> Companion | None:
    """What the file of a must-use folder says; None when there is none of ours, or it is damaged.

    SiteError when it cannot be read.
    """
    source = source_of(folder / FILE_NAME)
    return None if source is None else parse(source)


def install(
    folder: Path, prefix: str, ownership: Ownership, *, dry_run: bool = False
) -> Literal["created", "renewed", "unchanged"]:
    """Write the file, or this site's part of it; other sites' parts are kept.

    A reader sees the old file or the new one, never a part. The folder is made if it is missing.
    SiteError when the file is not ours or cannot be written; ConfigError as :func:`render`.
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
    """Take this site's part out of the file, and with the last one the file.

    SiteError when the file is not ours or cannot be changed.
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
        try:
            file.unlink()
        except OSError as error:
            raise _refused(file, "removed", error) from error
    return "removed"


def _sites(source: bytes | None) -> Mapping[str, Ownership]:
    found = None if source is None else parse(source)
    return found.sites if found else {}


def _ours(file: Path) -> bytes | None:
    source = source_of(file)
    if source is not None and _MARK not in source:
        raise SiteError(f"{file} was not written by wpbridge: move it away first")
    return source


def source_of(file: Path) -> bytes | None:
    """What is in it; None when there is no such file, SiteError when it cannot be read."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _refused(file, "read", error) from error


def write_file(file: Path, source: bytes) -> None:
    """Whole or not at all, in its folder owner's name; SiteError when it cannot be."""
    try:
        _make_folder(file.parent)
        number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(number, "wb") as temporary:
                _hand_over(number, file.parent, _MODE)
                temporary.write(source)
                temporary.flush()
                os.fsync(number)
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _refused(file, "written", error) from error


def _make_folder(folder: Path) -> None:
    """Only the last of the path's folders: a missing wp-content is a wrong path."""
    if not folder.is_dir():
        folder.mkdir()
        _hand_over(folder, folder.parent, 0o755)


def _hand_over(made: int | Path, folder: Path, mode: int) -> None:
    """To the owner of the folder it lies in, as far as we may."""
    os.chmod(made, mode)  # noqa: PTH101 - a descriptor too
    owner = folder.stat()
    with contextlib.suppress(PermissionError):
        os.chown(made, owner.st_uid, owner.st_gid)


def _refused(file: Path, deed: str, error: OSError) -> SiteError:
    advice = "; run wpbridge as their owner" if isinstance(error, PermissionError) else ""
    return SiteError(f"{file} cannot be {deed}: {error.strerror}{advice}")
