"""Look at the queues of many sites: what is due, what failed, who ran it last, each by itself.

Each look is made in a copy of this process, with a time limit, and as the user of the site where
this process is root. So a database that hangs delays no other site, and root opens nothing that a
site's user can write.
"""

import gc
import json
import os
import pwd
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from typing import Any, Final, Literal, NamedTuple

from wpbridge.clock import SystemClock
from wpbridge.dataclass import dataclass
from wpbridge.errors import WpbridgeError
from wpbridge.monitor.readings import of_runners
from wpbridge.site import resolve as sites
from wpbridge.site.resolve import Site, resolve
from wpbridge.site.site_list import SiteEntry
from wpbridge.store import connect as stores
from wpbridge.store.connect import connect_site, open_site
from wpbridge.store.database.session import Session
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.network_sites import CAP, NetworkSites
from wpbridge.system.forked import Done, NotBefore, Piece, run_each
from wpbridge.system.trusted_files import LIFTS
from wpbridge.telling.reasons import LONGEST_REASON, one_line

SECONDS: Final = 10.0
"""A look at a site, or at all blogs of a network, is given up after so long."""
AT_ONCE: Final = 8
"""So many sites are looked at at once."""
MOST_BLOGS: Final = 1_000
"""So many blogs of a network are looked at."""
MOST_WHOLE: Final = 60
"""The blogs of a larger network are only counted, many with one statement."""
_STATEMENT_SECONDS: Final = 5.0
_NO_USER: Final = -1
_NEEDED: Final = (
    "store.reading.gauges",
    "store.rows.held_hooks",
    "store.structure.server",
    "store.upkeep.retention",
)
"""Modules that are loaded late, and that each look needs once it has a connection."""
_DAY: Final = timedelta(days=1)
EVER: Final = datetime(1, 1, 1, tzinfo=UTC)
_PASSED_ON: Final = ("LANG", "PATH", "TZ")
"""What a foreign ``wp-config.php`` gets to know of our environment, which may hold secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLook:
    """What one look at a site has found. Numbers are None where it could not be looked at."""

    name: str
    at: datetime
    is_known: bool = True
    """False for a site at which nobody has looked yet."""
    problem: str = ""
    """Why it could not be looked at; empty where all went well."""
    due: int | None = None
    """Counted up to :data:`CAP`, without what is held."""
    oldest_due: datetime | None = None
    failed: int | None = None
    """In the last 24 hours, counted up to :data:`CAP`."""
    failed_rows: int | None = None
    """All failed actions that are there, counted up to :data:`CAP`."""
    running: int | None = None
    """Unknown for the blogs of a large network."""
    last_runs: Mapping[str, datetime] = field(default_factory=dict)
    """When runners of this kind last gave a sign: ``wpbridge`` or ``php``. Unknown for the same."""
    seconds: float = 0.0
    """How long the look took; of a blog, that at its whole network."""

    @property
    def last_run(self) -> datetime | None:
        """Return when any runner last gave a sign."""
        return max(self.last_runs.values(), default=None)

    def to_json(self) -> dict[str, Any]:
        """Return the look as values for JSON."""
        values = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
        }
        runs = {kind: at.isoformat() for kind, at in self.last_runs.items()}
        return {**values, "last_runs": runs}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "SiteLook":
        """Read what :meth:`to_json` has made."""
        dates = {
            name: datetime.fromisoformat(told[name]) if told[name] else None
            for name in ("at", "oldest_due")
        }
        runs = {kind: datetime.fromisoformat(at) for kind, at in told["last_runs"].items()}
        return cls(**{**told, **dates, "last_runs": runs})


def look_at_each(
    entries: Iterable[SiteEntry | NotBefore],
    *,
    trusted: bool,
    strict: bool = False,
    most: int = AT_ONCE,
    seconds: float = SECONDS,
) -> Iterator[tuple[str, Sequence[SiteLook]]]:
    """Look at sites, many at once, and yield the name of each entry with its looks.

    The entry of a network has a look for each of its blogs. This process must have one thread.

    Args:
        entries: the sites. The next one is asked for when there is room for it.
        trusted: whether PHP may run the ``wp-config.php`` of other users.
        strict: whether no ``wp-config.php`` is read that other users can change, unless trusted,
            and no settings file of a site at all.
        most: how many at once.
        seconds: how long each may take.
    """
    _load()
    pieces = (
        one if isinstance(one, NotBefore) else _piece(one, trusted=trusted, strict=strict)
        for one in entries
    )
    for done in run_each(pieces, most=most, seconds=seconds):
        yield done.key, tuple(_looks_of(done, seconds))


def _load() -> None:
    """Load what each look needs, once: a copy shares what is loaded, and loads the rest anew."""
    sites.preload()
    stores.preload()
    for name in _NEEDED:
        import_module(f"wpbridge.{name}")
    # A copy that collects garbage would look through all of it, and so copy it.
    gc.collect()
    gc.freeze()


def _piece(entry: SiteEntry, *, trusted: bool, strict: bool) -> Piece[str]:
    uid = uid_of(entry)
    reading = Reading.of(entry, uid, trusted=trusted)._replace(is_strict=strict)
    return Piece(entry.name, partial(_answer, entry, reading), uid)


def uid_of(entry: SiteEntry) -> int | None:
    """Return the user as whom a process of root looks at a site; None for this process's own."""
    if os.geteuid() != 0:
        return None
    if entry.user is None:
        return entry.owner
    try:
        return pwd.getpwnam(entry.user).pw_uid
    except KeyError:
        # Nobody can become this user, so the look fails.
        return _NO_USER


class Reading(NamedTuple):
    """How the ``wp-config.php`` of a site is read."""

    ask_php: Literal["never", "auto"]
    env: Mapping[str, str]
    trusted: bool
    """Whether it is read whoever can change it."""
    is_strict: bool = False
    """Whether it is not read else, and no settings file of a site is."""

    @classmethod
    def of(cls, entry: SiteEntry, uid: int | None, *, trusted: bool) -> "Reading":
        """Return how to read it: what others can change learns nothing of our environment.

        PHP is asked only as a user who may run that file anyhow.
        """
        is_ours = uid in {None, 0} and (trusted or entry.owner in {None, 0, os.geteuid()})
        env = {
            name: value
            for name, value in os.environ.items()
            if name in {*_PASSED_ON, LIFTS} or (is_ours and not name.startswith("WPBRIDGE_"))
        }
        return cls("auto" if is_ours or uid else "never", env, trusted)


def _looks_of(done: Done[str], seconds: float) -> Iterator[SiteLook]:
    try:
        found = json.loads(done.answer or b"null")
        yield from (SiteLook.from_json(one) for one in found)
    except (ValueError, TypeError, KeyError):
        problem = "the look at it has failed: is its owner a user of this system?"
        if done.is_late:
            problem = f"its database has not answered within {seconds:g} s"
        yield SiteLook(name=done.key, at=SystemClock().now(), problem=problem)


def _answer(entry: SiteEntry, reading: Reading) -> bytes:
    """Look at an entry, and return its looks as JSON."""
    clock = SystemClock()
    began, now = clock.monotonic(), clock.now()
    try:
        site = site_of(entry, reading)
        looks = _network(entry, site, now) if entry.is_network(site) else [_alone(entry, site, now)]
    except Exception as error:  # noqa: BLE001 - whatever a site has, it is told of that site
        looks = [SiteLook(name=entry.name, at=now, problem=one_line(error)[:LONGEST_REASON])]
    seconds = round(clock.monotonic() - began, 3)
    return json.dumps([replace(one, seconds=seconds).to_json() for one in looks]).encode()


def site_of(entry: SiteEntry, reading: Reading) -> Site:
    """Find where the tables of an entry are. The main blog stands for a network.

    Raises:
        ConfigError, SiteError, WpCliError: as :func:`wpbridge.site.resolve.resolve`.
    """
    if reading.is_strict:
        settings = entry.safe_settings(trusted=reading.trusted)
    else:
        # As a process of the site reads them, so that it is the same queue.
        settings = entry.settings(reading.env)
    if entry.network:
        settings = replace(settings, url=None, blog_id=None)
    if reading.ask_php == "never":
        settings = replace(settings, ask_php="never")
    return resolve(settings, reading.env, entry.folder)


def _alone(entry: SiteEntry, site: Site, now: datetime) -> SiteLook:
    with closing(open_site(site, prepare=_bound)) as store:
        return _look(entry.name, store, now)


def _look(name: str, store: OpenStore, now: datetime) -> SiteLook:
    hooks = store.held.hooks()
    held = store.due.held(now, hooks, cap=CAP)
    oldest = store.due.oldest(now, hooks=hooks)
    prefixes = {0: store.names.prefix}
    lately, ever = (store.network_sites.backlogs(prefixes, now, at)[0] for at in (now - _DAY, EVER))
    return SiteLook(
        name=name,
        at=now,
        due=store.due.count(now, cap=CAP, held=held),
        oldest_due=None if oldest is None else oldest.at,
        failed=lately.failed,
        failed_rows=ever.failed,
        running=sum(store.gauges.running().values()),
        last_runs=of_runners(store, now).last_run,
    )


def _network(entry: SiteEntry, site: Site, now: datetime) -> list[SiteLook]:
    with closing(connect_site(site, prepare=_bound)) as way:
        network = NetworkSites(way)
        prefixes = network.prefixes([blog.id for blog in network.queues(most=MOST_BLOGS)])
        if len(prefixes) <= MOST_WHOLE:
            return [
                _blog(entry.of_blog(blog), site.with_blog(blog), now) for blog in sorted(prefixes)
            ]
        found = network.backlogs(prefixes, now, now - _DAY)
        ever = network.backlogs(prefixes, now, EVER)
    return [
        SiteLook(
            name=entry.of_blog(blog).name,
            at=now,
            due=one.due,
            oldest_due=one.oldest_due,
            failed=one.failed,
            failed_rows=ever[blog].failed,
        )
        for blog, one in sorted(found.items())
    ]


def _blog(entry: SiteEntry, site: Site, now: datetime) -> SiteLook:
    """Look at one blog as at a site of its own. What is wrong with it is told of it alone."""
    try:
        return _alone(entry, site, now)
    except WpbridgeError as error:
        return SiteLook(name=entry.name, at=now, problem=one_line(error)[:LONGEST_REASON])


def _bound(session: Session) -> None:
    session.statement_seconds = _STATEMENT_SECONDS
