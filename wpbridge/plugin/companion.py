"""The companion plugin: one must-use file that keeps the plugin's PHP runners off what is ours.

The file is a template (``companion.php``) with one line of configuration in it, as JSON, for
each site of the network it serves. Whatever was written can be read back. Nothing here asks the
database, and a file that is not ours is never touched.
"""

import json
import re
import shlex
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from wpbridge import __version__
from wpbridge.action import UPKEEP_HOOKS
from wpbridge.errors import ConfigError, SiteError
from wpbridge.plugin.placing import remove_file, source_of, write_file
from wpbridge.site.config import Settings
from wpbridge.system.trusted_files import owner_name

FILE_NAME: Final = "wpbridge.php"

Change: TypeAlias = Literal["created", "renewed", "removed", "unchanged"]

COMMAND: Final = "wpbridge wp install-plugin"

_NAMED: Final = 5
"""How many hooks are told by name."""
_MARK: Final = b"wpbridge-companion-file"
_LINE: Final = re.compile(
    rb"^(define\( 'WPBRIDGE_COMPANION', ')((?:[^'\\\n]|\\.)*)(' \);)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Actions whose hook and group match; patterns as in a route, None for any."""

    hook: str | None = None
    group: str | None = None
    """An empty text: actions without a group."""
    owned: bool = True
    """False: PHP runs them, whatever comes after."""

    def __str__(self) -> str:
        told = [
            f"{name} {value!r}"
            for name, value in (("hook", self.hook), ("group", self.group))
            if value is not None
        ]
        leads = "a route" if self.owned else "a route to leave"
        return f"{leads} for {' and '.join(told) or 'everything'}"


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


# What differs.


def explain(
    found: Companion | None,
    prefix: str,
    wanted: Ownership,
    *,
    command: str = COMMAND,
    left_out: Sequence[str] = (),
) -> tuple[str, ...]:
    """Sentences on how the site behaves unlike one with an up-to-date companion; none if it is one.

    Args:
        found: what :func:`read` gave.
        prefix: the site's.
        wanted: what the settings make ours.
        command: what mends it, in full.
        left_out: modules of handlers that were not loaded, so ``wanted`` lacks their hooks.
    """
    renew = f"run `{command}`"
    if found is None or prefix not in found.sites:
        off = "switch them off yourself, or " if wanted.owns_site else ""
        missing = (
            "no companion plugin: PHP's runners also claim what wpbridge owns (and fail actions"
            " without a PHP callback), take no notice of pauses, and wait while wpbridge holds a"
            f" claim; {off}{renew}"
        )
        return (missing,)
    told = []
    there = found.sites[prefix]
    if differing := list(_differences(there, wanted, knows_hooks=not left_out)):
        lost = given_up(there, wanted, knows_hooks=not left_out)
        back = f" (it asks for --yes, since PHP gets back {', '.join(lost)})" if lost else ""
        told.append(
            "the companion plugin names other hooks and groups than the settings:"
            f" {'; '.join(differing)}; {renew}{back}"
        )
    if found.version != __version__:
        told.append(
            f"the companion plugin is of wpbridge {found.version}: this is {__version__}; {renew}"
        )
    return tuple(told)


def _differences(there: Ownership, wanted: Ownership, *, knows_hooks: bool) -> Iterator[str]:
    if there.owns_site != wanted.owns_site:
        says, not_so = ("owns", "does not") if there.owns_site else ("does not own", "owns it")
        yield f"it says that wpbridge {says} the site, the settings say that it {not_so}"
    if missing := _some(set(wanted.hooks) - set(there.hooks)):
        yield f"it lacks {missing}"
    if more := _some(set(there.hooks) - set(wanted.hooks)) if knows_hooks else "":
        yield f"it has {more}, without a handler in the settings"
    lacks = [str(rule) for rule in wanted.rules if rule not in there.rules]
    has = [str(rule) for rule in there.rules if rule not in wanted.rules]
    if lacks:
        yield f"it lacks {', '.join(lacks)}"
    if has:
        yield f"it has {', '.join(has)}, which the settings have not"
    if there.rules != wanted.rules and not (lacks or has):
        yield "its routes stand in another order"
    if there.upkeep != wanted.upkeep and there.owns_site == wanted.owns_site:
        yield "it leaves other upkeep to PHP"


def given_up(before: Ownership, after: Ownership, *, knows_hooks: bool = True) -> list[str]:
    """Return in words what PHP's runners may claim again when ``after`` takes the place."""
    if after.owns_site:
        return []
    lost = ["the whole site (owns_site)"] if before.owns_site else []
    if knows_hooks and (hooks := _some(set(before.hooks) - set(after.hooks))):
        lost.append(hooks)
    lost += [str(rule) for rule in before.rules if rule.owned and rule not in after.rules]
    lost += [str(rule) for rule in after.rules if not rule.owned and rule not in before.rules]
    return lost


def condition(folder: Path, *, elsewhere: Path | None = None, command: str = COMMAND) -> list[str]:
    """Sentences on what is wrong with the file itself: its code, who may write it, where it lies.

    ``elsewhere`` is a folder in which one may have been left that WordPress does not load.
    SiteError when the file cannot be read.
    """
    file, told = folder / FILE_NAME, []
    if elsewhere not in (None, folder) and (stray := elsewhere / FILE_NAME).is_file():
        told.append(f"a companion plugin lies in {stray}, but WordPress loads those of {folder}")
    source = source_of(file)
    if source is None or _MARK not in source:
        return told
    found = parse(source)
    if found is None:
        told.append(f"{file} is damaged, and PHP's runners take everything; run `{command}`")
    elif found.version == __version__ and source != render(template(), found):
        told.append(f"the code in {file} is not what wpbridge {__version__} wrote; run `{command}`")
    status, owner = file.stat(), folder.stat().st_uid
    if status.st_uid not in (0, owner):
        told.append(
            f"{file} belongs to {owner_name(status.st_uid)}, who may change what PHP runs there;"
            f" run `chown {owner_name(owner)} {shlex.quote(str(file))}`"
        )
    if status.st_mode & stat.S_IWOTH:
        told.append(
            f"{file} has mode {stat.S_IMODE(status.st_mode):04o}, so everybody may change what PHP"
            f" runs there; run `chmod o-w {shlex.quote(str(file))}`"
        )
    return told


def command_for(settings: Settings, folder: Path | None) -> str:
    """The command that renews the file with these settings, in full.

    What the settings file says is left to that file; a DSN may hold a password and is not shown.

    Args:
        settings: as they were read.
        folder: of the WordPress.
    """
    sources = settings.sources
    words = [*COMMAND.split()]
    place = settings.path or folder
    if place is not None:
        words.append(f"--path={place}")
    files = {name.removeprefix("file ") for name in sources.values() if name.startswith("file ")}
    words += [f"--config={file}" for file in files]
    for name in ("table_prefix", "blog_id", "url", "ask_php", "handlers", "owns_site"):
        value, source = getattr(settings, name), sources.get(name, "default")
        flag = f"--{name.replace('_', '-')}"
        if source == "default" or source.startswith("file "):
            continue
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            words.append(f"{flag}={','.join(value) if isinstance(value, tuple) else value}")
    shown = shlex.join(words)
    return shown if sources.get("dsn", "default")[:4] != "flag" else f"{shown} --dsn=…"


def _some(hooks: Collection[str]) -> str:
    """Hooks, the first few by name; empty for none."""
    names = sorted(hooks)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    plural = "" if len(names) == 1 else "s"
    return f"the hook{plural} {', '.join(names[:_NAMED])}{more}" if names else ""


# The file's text.


def template() -> bytes:
    """The plugin with an empty configuration."""
    return resources.files("wpbridge").joinpath("plugin", "companion.php").read_bytes()


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
        remove_file(file)
    return "removed"


def _sites(source: bytes | None) -> Mapping[str, Ownership]:
    found = None if source is None else parse(source)
    return found.sites if found else {}


def _ours(file: Path) -> bytes | None:
    source = source_of(file)
    if source is not None and _MARK not in source:
        raise SiteError(f"{file} was not written by wpbridge: move it away first")
    return source
