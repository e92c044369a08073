"""Limit, over all hosts, how many actions of a hook or a group run at once or start in a time.

Running actions are counted in the plugin's own rows, so those that PHP runs count too. Rates are
token buckets in a table of ours, by the database's clock. Both are judged within the claim's
transaction under a lock on the limit's row, so two claims never take the same place.
docs/explain/limits.md explains them.
"""

import math
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from wpbridge.action import PLUGIN_TIMEOUT_SECONDS, Action
from wpbridge.clock import to_text
from wpbridge.dataclass import dataclass
from wpbridge.patterns import matches
from wpbridge.site.rules import Limit, Rate
from wpbridge.store.database.connection import Connection, Statement, text
from wpbridge.store.database.texts import split
from wpbridge.store.rows.groups import Groups
from wpbridge.store.schema.tables import LIMITS
from wpbridge.store.structure.tables import Tables

SOON_SECONDS: Final = 1.0
"""For so many seconds a hook or group that was full is not counted again."""
LOOK_SECONDS: Final = 10.0
"""A rate without a token is looked at again after so many seconds at the latest."""
BURST_SECONDS: Final = 2.0
"""A rate saves up the starts of so many seconds, since an idle runner looks every second or so."""


class Key(NamedTuple):
    """One hook or one group, by its exact name, for which a limit counts."""

    kind: str
    name: str


class Wanted(NamedTuple):
    """An action that a claim would take."""

    hook: str
    group: str


@dataclass(slots=True)
class _Room:
    """How many more actions may start under one limit."""

    tokens: float = math.inf
    """The tokens that the rate has left."""
    at: float = 0.0
    """The database's time at which there were so many tokens."""
    places: float = math.inf
    """The places that the concurrency has left."""

    def is_full(self, taken: int) -> bool:
        return min(self.tokens, self.places) - taken < 1

    def wait(self, rate: Rate | None, taken: int) -> float:
        """Return after how many seconds there may be room again."""
        if rate is None or self.places - taken < 1:
            return SOON_SECONDS
        missing = max(0.0, 1.0 - (self.tokens - taken))
        return min(LOOK_SECONDS, missing * rate.per.total_seconds() / rate.count)


def burst_of(rate: Rate) -> float:
    """Return the most tokens a bucket holds: one, and what fills it between two looks. Pure."""
    worth = rate.count * BURST_SECONDS / rate.per.total_seconds()
    return min(max(2.0, rate.count), 1.0 + worth)


def tokens_after(rate: Rate, tokens: float, seconds: float) -> float:
    """Return the tokens of a bucket after a while. It fills evenly, up to the burst. Pure.

    A clock that went back adds nothing.
    """
    filled = tokens + max(0.0, seconds) * rate.count / rate.per.total_seconds()
    return min(burst_of(rate), filled)


def limits_of(rules: Sequence[Limit], wanted: Wanted) -> dict[Key, Limit]:
    """Return the limits an action counts for: the first for its hook and for its group. Pure."""
    found: dict[Key, Limit] = {}
    for kind, name in (("hook", wanted.hook), ("group", wanted.group)):
        for rule in rules:
            pattern = rule.hook if kind == "hook" else rule.group
            if pattern is not None and matches(pattern, name):
                found[Key(kind, name)] = rule
                break
    return found


class Limits:
    """The limits of one site, and what this process knows of those that are full."""

    def __init__(self, tables: Tables, groups: Groups) -> None:
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        self._session = tables.session
        self._texts = layout.texts
        self._groups = groups
        self._own = tables.own
        self._table = table = names.limits
        self._full: dict[Key, tuple[float, bool]] = {}
        self._made: set[Key] = set()
        where = "WHERE kind = :kind AND name = :name"
        self._make = text(
            LIMITS.insert_into(
                table, dialect.insert_ignore, refilled=dialect.now_seconds, failures="0"
            )
        )
        look = f"SELECT tokens, refilled, {dialect.now_seconds} FROM {table} {where}"
        self._look = text(look)
        self._lock = text(f"{look}{dialect.row_lock}")
        self._spend = text(f"UPDATE {table} SET tokens = :tokens, refilled = :at {where}")
        self._failures = text(f"SELECT failures FROM {table} {where}{dialect.row_lock}")
        self._count = text(f"UPDATE {table} SET failures = :failures {where}")
        self._runners = names.runners
        self._ours = text(f"SELECT claims FROM {names.runners} WHERE claims <> ''")
        by_claim = layout.priority_index or layout.date_index
        self._claimed = text(
            f"SELECT hook, group_id FROM {names.actions}{dialect.use_index(by_claim)}"
            " WHERE claim_id IN :claims AND status = 'pending'"
        )
        self._running = text(
            f"SELECT hook, group_id, claim_id, last_attempt_gmt FROM {names.actions}"
            f"{dialect.use_index(layout.due_index)} WHERE status = 'in-progress'"
        )

    def full(self) -> frozenset[Key]:
        """Return the keys that have no room just now, as this process last saw it."""
        moment = time.monotonic()
        self._full = {key: told for key, told in self._full.items() if told[0] > moment}
        return frozenset(self._full)

    def freed(self, actions: Iterable[Action]) -> None:
        """Note that these actions have given up their places: look at their limits again."""
        if self._full:
            for action in actions:
                for key in (Key("hook", action.hook), Key("group", action.group)):
                    # Only a place is free again; a rate fills with time.
                    if key in self._full and not self._full[key][1]:
                        del self._full[key]

    def prepare(self, rules: Sequence[Limit], wanted: Iterable[Wanted]) -> None:
        """Insert the rows that :meth:`admit` locks, outside of its transaction.

        Two claims that both insert and then lock the same row would wait for each other.
        """
        keys = {k: rule for one in set(wanted) for k, rule in _counted(rules, one).items()}
        new = {key: rule for key, rule in keys.items() if key not in self._made}
        if new:
            self._own.ensure(self._table)
            self._session.run(lambda c: self._insert_all(c, new))
            self._made |= set(new)

    def admit(
        self,
        connection: Connection,
        wanted: Sequence[Wanted],
        rules: Sequence[Limit],
        *,
        most: int,
        now: datetime,
        spends: bool = True,
    ) -> list[int]:
        """Return the indexes in ``wanted`` of the actions that may start, in their order.

        This transaction may so far have read only with locks: an older snapshot would miss what
        others have just claimed.

        Args:
            connection: in a transaction. Places and tokens are taken when it commits.
            wanted: the actions in the order of the claim.
            rules: the limits of the settings.
            most: the claim's size, which is the most that may start.
            now: an aware moment.
            spends: False leaves the tokens as they are.
        """
        counted = [_counted(rules, one) for one in wanted]
        limits = {key: rule for found in counted for key, rule in found.items()}
        # All claims lock in the same order, so that no two wait for each other.
        lock = self._lock if spends else self._look
        rooms = {key: self._tokens(connection, lock, key, limits[key]) for key in sorted(limits)}
        self._count_running(connection, rooms, limits, now)
        taken: Counter[Key] = Counter()
        admitted: list[int] = []
        moment = time.monotonic()
        for place, found in enumerate(counted):
            closed = [key for key in found if rooms[key].is_full(taken[key])]
            for key in closed if spends else ():
                wait = rooms[key].wait(limits[key].rate, taken[key])
                self._full[key] = (moment + wait, limits[key].max_concurrency == 0)
            if not closed and len(admitted) < most:
                admitted.append(place)
                taken.update(found.keys())
        for key, number in taken.items():
            if spends and limits[key].rate is not None:
                room = rooms[key]
                values = {
                    **self._row(connection, key),
                    "tokens": room.tokens - number,
                    "at": room.at,
                }
                connection.execute(self._spend, values)
        return admitted

    def count_failures(
        self, connection: Connection, hook: str, *, failed: int, is_fresh: bool, most: int
    ) -> bool:
        """Tell whether a hook has failed ``most`` times in a row over all hosts; then count anew.

        ``failed`` is the number of new failures. ``is_fresh`` says that it completed before them.
        """
        key = Key("hook", hook)
        before = connection.execute(self._failures, self._row(connection, key)).scalar()
        if before is None:
            if not failed:
                return False
            self._insert(connection, key, Limit(hook=hook))
        number = failed if is_fresh else int(before or 0) + failed
        is_over = number >= most
        kept = 0 if is_over else number
        if kept != before:
            connection.execute(self._count, {**self._row(connection, key), "failures": kept})
        return is_over

    def _row(self, connection: Connection, key: Key) -> dict[str, object]:
        """Return a key as the table can hold it, always the same for the same name."""
        name = self._texts.shown(connection, (self._table, "name"), key.name)
        return {"kind": key.kind, "name": name}

    def _insert_all(self, connection: Connection, rules: Mapping[Key, Limit]) -> None:
        for key, rule in rules.items():
            self._insert(connection, key, rule)

    def _insert(self, connection: Connection, key: Key, rule: Limit) -> None:
        tokens = burst_of(rule.rate) if rule.rate else 0
        connection.execute(self._make, {**self._row(connection, key), "tokens": tokens})

    def _tokens(self, connection: Connection, statement: Statement, key: Key, rule: Limit) -> _Room:
        """Read what a rate has left, and lock the limit's row: claims count one after the other."""
        is_there = self._own.has(self._table)
        row = (
            connection.execute(statement, self._row(connection, key)).first() if is_there else None
        )
        if row is None and statement is self._lock:
            # Somebody has deleted the row, or the server has forgotten it. Nothing may start
            # uncounted; the next claim makes the row anew.
            self._made.discard(key)
            return _Room(places=0)
        if rule.rate is None:
            return _Room()
        if row is None:
            return _Room(tokens=burst_of(rule.rate))
        tokens, refilled, at = (float(value) for value in row)
        return _Room(tokens=tokens_after(rule.rate, tokens, at - refilled), at=at)

    def _count_running(
        self,
        connection: Connection,
        rooms: dict[Key, _Room],
        limits: dict[Key, Limit],
        now: datetime,
    ) -> None:
        if not any(rule.max_concurrency for rule in limits.values()):
            return
        running = self._held(connection, now)
        for key, rule in limits.items():
            if rule.max_concurrency:
                rooms[key].places = min(rooms[key].places, rule.max_concurrency - running[key])

    def _held(self, connection: Connection, now: datetime) -> Counter[Key]:
        """Count by hook and by group what runs: what has started, or is in a claim of ours.

        An action that PHP has started counts until the plugin's cleaner would take its runner for
        dead.
        """
        is_there = self._own.has(self._runners)
        told = [str(claims) for (claims,) in connection.execute(self._ours)] if is_there else []
        claims = {claim for row in told for claim in split(row)}
        rows = [
            (hook, group)
            for hook, group, claim, last in connection.execute(self._running)
            if claim in claims or _is_fresh(last, now)
        ]
        if claims:
            rows += [
                (hook, group)
                for hook, group in connection.execute(self._claimed, {"claims": sorted(claims)})
            ]
        held: Counter[Key] = Counter()
        for hook, group in rows:
            slug = self._groups.slug_on(connection, int(group))
            held.update((Key("hook", str(hook)), Key("group", slug)))
        return held


def _is_fresh(last: object, now: datetime) -> bool:
    return str(last or "") > to_text(now - timedelta(seconds=PLUGIN_TIMEOUT_SECONDS))


def _counted(rules: Sequence[Limit], wanted: Wanted) -> dict[Key, Limit]:
    found = limits_of(rules, wanted)
    return {key: rule for key, rule in found.items() if rule.max_concurrency or rule.rate}


def names_of(keys: Collection[Key], kind: str) -> frozenset[str]:
    """Return the names of the keys of one kind, hooks or groups."""
    return frozenset(key.name for key in keys if key.kind == kind)
