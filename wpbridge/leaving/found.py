"""Looks for everything that wpbridge has put into a site, and changes nothing."""

import os
import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import SchemaError, SiteError
from wpbridge.installing.written import label_of
from wpbridge.leaving import machine
from wpbridge.migrate.file_locations import state_folder
from wpbridge.migrate.journal import header_of, name_of
from wpbridge.migrate.schema.index_for_claims import claim_index
from wpbridge.plugin import companion, cron_bridge
from wpbridge.plugin.own_hooks import SIGN
from wpbridge.runner.identity import identity
from wpbridge.runner.liveness import is_dead
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site
from wpbridge.store.base import RunnerRecord
from wpbridge.store.opened import OpenStore
from wpbridge.store.running.ownership import runners
from wpbridge.store.structure.definitions import Definitions
from wpbridge.store.structure.tables import Connected
from wpbridge.telling.words import plural

MOST_COUNTED: Final = 100_000
"""Actions are counted up to this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Something that stays, and how a person removes it."""

    what: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is of wpbridge on one site and on this machine."""

    tables: Sequence[str]
    live: Sequence[RunnerRecord]
    """Runners that may be at work."""
    dead: Sequence[RunnerRecord]
    undated: int
    """Pending actions without a date: they wait for others, or for somebody to reschedule them."""
    own_actions: int
    """Of wpbridge's own hooks, which PHP would fail."""
    companion: Path | None
    """The file of the companion plugin that names this site."""
    has_sign: bool
    """Whether the option is there that the companion writes."""
    is_elsewhere: bool
    """Whether no folder is known in which the companion plugin would lie."""
    bridge: Path | None
    """The file that shows moved events of WP-Cron to PHP."""
    index: str | None
    """The statement that drops the index of `migrate index`; None where it is not there."""
    lost: Sequence[str]
    """What is lost with all this, in words."""
    journals: Sequence[Path]
    started: Sequence[Left]
    """What has this machine start wpbridge."""


def look(settings: Settings, site: Site, way: Connected, store: OpenStore, now: datetime) -> Found:
    """Return everything that is there."""
    me = identity()
    known = runners(store.tables)
    dead = [one for one in known if is_dead(one, me)]
    folder, prefix = site.mu_plugins, store.names.prefix
    label, there = label_of(site), None if folder is None else companion.read(folder)
    undated = len(store.leaving.undated(MOST_COUNTED))
    return Found(
        tables=[name for name in store.names.own if store.own.has(name)],
        live=[one for one in known if one not in dead],
        dead=[one for one in dead if one.claims],
        undated=undated,
        own_actions=len(store.leaving.own_actions(MOST_COUNTED)),
        companion=_companion(folder, there, prefix),
        has_sign=store.options.are_there() and store.options.read(SIGN) is not None,
        is_elsewhere=folder is None,
        bridge=_bridge(folder, prefix),
        index=_index(way),
        lost=list(_lost(store, now, there, undated)),
        journals=_journals(settings, store),
        started=[
            Left(what=what, command=command)
            for what, command in (*machine.units(label), *machine.cron_lines(label))
        ],
    )


def _companion(folder: Path | None, there: companion.Companion | None, prefix: str) -> Path | None:
    if folder is None or there is None or (there.sites and prefix not in there.sites):
        return None
    return folder / companion.FILE_NAME


def _bridge(folder: Path | None, prefix: str) -> Path | None:
    if folder is None:
        return None
    try:
        is_there = prefix in cron_bridge.read(folder)
    except SiteError:
        # The file is somebody else's.
        return None
    return folder / cron_bridge.FILE_NAME if is_there else None


def _index(way: Connected) -> str | None:
    try:
        found = claim_index(Definitions(way))
    except SchemaError:
        return None
    return found.drop if found.is_ours else None


def _lost(
    store: OpenStore, now: datetime, there: companion.Companion | None, undated: int
) -> Iterator[str]:
    if pauses := len(store.pauses.in_force(now)):
        yield plural(pauses, "pause")
    if keys := len(store.api_keys.all()):
        yield plural(keys, "API key")
    if users := len(store.users.all()):
        yield f"{plural(users, 'user')} of the dashboard"
    if undated:
        yield f"what {plural(undated, 'action')} without a date waits for (canceled)"
    if zoned := store.reading.own_counts()[1]:
        yield f"the time zones of {plural(zoned, 'cron action')}"
    ours = there.sites.get(store.names.prefix) if there else None
    if ours is not None and ours.hooks:
        count = store.leaving.pending_of(ours.hooks, MOST_COUNTED)
        if count:
            yield (
                f"what keeps PHP's runners off {plural(count, 'pending action')} of Python's hooks"
                f" ({some(ours.hooks, 3)}): they fail there without a callback (docs/how-to/"
                "protect-python-hooks.md)"
            )


def _journals(settings: Settings, store: OpenStore) -> list[Path]:
    """Return the journals of this site's moves that lie in the state folder."""
    folder = state_folder(settings.state_dir, os.environ)[0]
    try:
        files = sorted(folder.glob("wpbridge-*"))
    except OSError:
        return []
    ours = {file for file in files if (header_of(file) or {}).get("site") == name_of(store)}
    beside = {file for file in files for one in ours if file.name.startswith(f"{one.name}.")}
    return sorted(ours | beside)


def some(names: Sequence[str], most: int) -> str:
    """Return the first of some names, for people."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def left_of(found: Found, *, with_index: bool, with_bridge: bool) -> list[Left]:
    """Return what stays, with the command that removes it."""
    left = list(found.started)
    if found.index and not with_index:
        left.append(Left(what="the index wpbridge_claim", command="wpbridge migrate index --drop"))
    if found.bridge and not with_bridge:
        left.append(
            Left(
                what=f"{found.bridge}, by which PHP sees moved events of WP-Cron",
                command="wpbridge migrate wp-cron --undo JOURNAL, or --with-bridge here",
            )
        )
    if found.has_sign and found.is_elsewhere:
        left.append(
            Left(
                what="the companion plugin and its option, in a folder that --dsn does not name",
                command="wpbridge wp install-plugin --remove --path DIR",
            )
        )
    left += [
        Left(what=f"the journal {one}", command=f"rm {shlex.quote(str(one))}")
        for one in found.journals
    ]
    return left
