"""Decides what the companion plugin must say, and finds out what is wrong with an installed one.

The companion plugin is a must-use file that keeps the plugin's PHP runners off the actions that
wpbridge runs. :mod:`wpbridge.plugin.companion_file` reads and writes it. No database is asked here.
"""

import shlex
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from wpbridge import __version__
from wpbridge.action import UPKEEP_HOOKS
from wpbridge.errors import SiteError
from wpbridge.plugin import entrance
from wpbridge.plugin.companion_file import (
    FILE_NAME,
    LINE,
    Companion,
    Ownership,
    Rule,
    install,
    leaves_own_hooks,
    parse,
    read,
    remove,
    render,
    sends_wakes,
    template,
)
from wpbridge.plugin.placing import source_of
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site
from wpbridge.system.trusted_files import owner_name

__all__ = [
    "FILE_NAME",
    "LINE",
    "Change",
    "Companion",
    "Ownership",
    "Rule",
    "command_for",
    "condition",
    "explain",
    "given_up",
    "install",
    "is_of",
    "leaves_own_hooks",
    "owned",
    "parse",
    "read",
    "remove",
    "render",
    "sends_wakes",
    "template",
    "told_of",
]

Change: TypeAlias = Literal["created", "renewed", "removed", "unchanged"]

COMMAND: Final = "wpbridge wp install-plugin"

_NAMED: Final = 5
"""How many hooks a message names."""


def owned(settings: Settings, handlers: Iterable[str]) -> Ownership:
    """Return what wpbridge owns by the settings and the hooks of their handlers and webhooks.

    Options that narrow a single run (hooks, groups and their exclusion) do not count, since another
    run may take the rest. A route to ``leave`` does count.
    """
    return Ownership(
        rules=tuple(
            Rule(hook=route.hook, group=route.group, owned=route.to != "leave")
            for route in settings.routes
        ),
        hooks=tuple(sorted(handlers)),
        upkeep=() if settings.owns_site else tuple(sorted(UPKEEP_HOOKS)),
        owns_site=settings.owns_site,
        traces=settings.telemetry_traces,
        dashboard=entrance.entrance_of(settings),
    )


def is_of(found: Companion | None, prefix: str) -> bool:
    """Tell whether a companion plugin is there for the site with this table prefix."""
    return found is not None and prefix in found.sites


def told_of(site: Site, prefix: str | None = None) -> Ownership | None:
    """Return what the installed companion plugin says of a site. No database is asked.

    None where it says nothing of this site, and where nobody can tell: the file cannot be read, or
    the blog has not been looked up. Who installs or checks the plugin is told of that.

    Args:
        site: the site.
        prefix: the table prefix of its blog, for a caller who has looked the blog up.
    """
    if site.mu_plugins is None or (prefix is None and site.blog_id is None):
        return None
    try:
        found = read(site.mu_plugins)
    except SiteError:
        return None
    return None if found is None else found.sites.get(prefix or site.table_prefix)


def explain(
    found: Companion | None,
    prefix: str,
    wanted: Ownership,
    *,
    command: str = COMMAND,
    left_out: Sequence[str] = (),
) -> tuple[str, ...]:
    """Say in sentences what the companion plugin of a site lacks. Empty if it is up to date.

    Args:
        found: what :func:`read` returned.
        prefix: the site's table prefix.
        wanted: what wpbridge owns by the settings.
        command: the whole command that installs the plugin anew.
        left_out: modules of handlers that were not loaded, so ``wanted`` lacks their hooks.
    """
    renew = f"run `{command}`"
    if found is None or not is_of(found, prefix):
        off = "switch them off yourself, or " if wanted.owns_site else ""
        missing = (
            "no companion plugin: PHP's runners also claim what wpbridge owns (and fail actions"
            " without a PHP callback), ignore pauses, and wait while wpbridge has a claim;"
            f" {off}{renew}"
        )
        return (missing,)
    sentences = []
    there = found.sites[prefix]
    if differing := list(_differences(there, wanted, knows_hooks=not left_out)):
        lost = given_up(there, wanted, knows_hooks=not left_out)
        back = f" (it asks for --yes, since PHP gets back {', '.join(lost)})" if lost else ""
        sentences.append(
            "the companion plugin names other hooks and groups than the settings:"
            f" {'; '.join(differing)}; {renew}{back}"
        )
    if there.traces != wanted.traces:
        keeps = (
            "keeps no traces of what PHP adds" if wanted.traces else "keeps traces, which are off"
        )
        sentences.append(f"the companion plugin {keeps}; {renew}")
    if otherwise := list(entrance.differences(there.dashboard, wanted.dashboard)):
        sentences.append(
            "the companion plugin leads to the dashboard otherwise than the settings say:"
            f" {'; '.join(otherwise)}; {renew}"
        )
    if found.version != __version__:
        sentences.append(
            f"the companion plugin is of wpbridge {found.version}: this is {__version__}; {renew}"
        )
    return tuple(sentences)


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
    """Name what PHP's runners may claim again when ``after`` replaces ``before``."""
    if after.owns_site:
        return []
    lost = ["the whole site (owns_site)"] if before.owns_site else []
    if knows_hooks and (hooks := _some(set(before.hooks) - set(after.hooks))):
        lost.append(hooks)
    lost += [str(rule) for rule in before.rules if rule.owned and rule not in after.rules]
    lost += [str(rule) for rule in after.rules if not rule.owned and rule not in before.rules]
    return lost


def condition(folder: Path, *, elsewhere: Path | None = None, command: str = COMMAND) -> list[str]:
    """Say in sentences what is wrong with the file itself: its code, its owner, mode or folder.

    Args:
        folder: the folder of the must-use plugins.
        elsewhere: another folder that WordPress does not load, where a file may have been left.
        command: the whole command that installs the plugin anew.

    Raises:
        SiteError: the file cannot be read.
    """
    file, faults = folder / FILE_NAME, []
    if elsewhere not in (None, folder) and (stray := elsewhere / FILE_NAME).is_file():
        faults.append(f"a companion plugin lies in {stray}, but WordPress loads those of {folder}")
    source = source_of(file)
    if source is None or LINE.mark not in source:
        return faults
    found, renew = parse(source), f"run `{command}`"
    if found is None:
        faults.append(f"{file} is damaged, and PHP's runners take everything; {renew}")
    elif found.version == __version__ and source != render(template(), found):
        faults.append(f"the code in {file} is not what wpbridge {__version__} wrote; {renew}")
    status, owner = file.stat(), folder.stat().st_uid
    if status.st_uid not in (0, owner):
        faults.append(
            f"{file} belongs to {owner_name(status.st_uid)}, who may change what PHP runs there;"
            f" run `chown {owner_name(owner)} {shlex.quote(str(file))}`"
        )
    if status.st_mode & stat.S_IWOTH:
        faults.append(
            f"{file} has mode {stat.S_IMODE(status.st_mode):04o}, so everybody may change what PHP"
            f" runs there; run `chmod o-w {shlex.quote(str(file))}`"
        )
    return faults


def command_for(settings: Settings, folder: Path | None) -> str:
    """Return the whole command that installs the file anew with these settings.

    What stands in the settings file is not repeated. A DSN is not shown, since it may contain a
    password.

    Args:
        settings: the settings, with their sources.
        folder: the folder of the WordPress.
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
    """Name the first few of some hooks, and count the others. Empty if there are no hooks."""
    names = sorted(hooks)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    plural = "" if len(names) == 1 else "s"
    return f"the hook{plural} {', '.join(names[:_NAMED])}{more}" if names else ""
