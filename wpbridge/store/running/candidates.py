"""Find what to claim, at a cost that grows with the batch and not with the backlog.

The plugin sorts and locks every due row for each claim. Here candidates are found without a lock,
by walking the plugin's own indexes in windows of a fixed size:

1. Ask whether anything is due at all. Usually nothing is, and that is the end.
2. Walk the claim index: the lowest priority by date, then the next priority. If our rows lie at
   its front, they come in the plugin's own order, and that is the end.
3. Else walk hook by hook (or group by group): ours may lie behind a million rows of others.

docs/explain/claims.md says when which order is guaranteed. Hooks are compared exactly here: the
database's collation takes `My_Hook` for `my_hook`, but PHP would not run it.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from wpbridge.action import UPKEEP_HOOKS
from wpbridge.codec import schedule
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.connection import Connection, Statement, text
from wpbridge.store.database.texts import as_bytes, number
from wpbridge.store.rows.inventory import Inventory
from wpbridge.store.running.action_rows import CandidateRow
from wpbridge.store.schema.rows import Reader, reader
from wpbridge.store.schema.tables import ACTIONS
from wpbridge.store.structure.tables import Tables

_Key: TypeAlias = tuple[Statement, str | int]

HOOKS_SECONDS = 30.0
"""For so many seconds the names of the hooks and groups in the queue are remembered."""
WINDOW = 500
"""At most so many rows are read to find a better order than the one by date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A due, free row that may be claimed. Candidates sort as in the plugin's claim."""

    id: int
    priority: int
    attempts: int
    date: str
    hook: str = ""
    group: int = 0

    @property
    def order(self) -> tuple[int, int, str, int]:
        """Return priority, attempts, date and id, which all ascend (in the plugin since 3.6)."""
        return self.priority, self.attempts, self.date, self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A statement that a claim may send."""

    name: str
    statement: Statement
    index: str | None
    """The index that it relies on; None where the server may choose."""


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of ours that one query found, and whether there was nothing more to find."""

    found: list[Candidate]
    is_whole: bool


def has_known_schedule(start: bytes) -> bool:
    """Tell whether a schedule that starts with these bytes is one that we can run.

    A class that the plugin does not define belongs to another plugin: PHP knows it, we do not. A
    text that is no object at all is claimed, and then fails with the reason.
    """
    found = schedule.class_of(start)
    return found is None or found in schedule.KNOWN_CLASSES


class Finder:
    """Finds candidates in one site's actions table."""

    def __init__(
        self,
        tables: Tables,
        is_runnable: Callable[[bytes], bool],
        slug_of: Callable[[Connection, int], str],
    ) -> None:
        """Prepare the statements. ``is_runnable`` judges a schedule by its first bytes."""
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        self._layout = layout
        self._hook_place = (names.actions, "hook")
        self._is_runnable = is_runnable
        self._slug_of = slug_of
        self._inventory = Inventory(tables)
        self._known_hooks: frozenset[str] = frozenset()
        self._known_groups: dict[int, str] | None = None
        self._hooks_until = self._groups_until = 0.0
        table, hint = names.actions, dialect.use_index
        self._reader = reader(
            CandidateRow, ACTIONS, lacking=layout.lacking, schedule="SUBSTR(schedule, 1, 100)"
        )
        due = "status = 'pending' AND scheduled_date_gmt <= :now"
        look = f"SELECT {self._reader.columns} FROM {table}"
        by_priority = hint(layout.priority_index)
        by_date = hint(layout.date_index or layout.due_index)
        self._any_due = text(f"SELECT 1 FROM {table}{hint(layout.due_index)} WHERE {due} LIMIT 1")
        # The first has no bound: MariaDB reads an unsigned column's MIN above -1 as one above 0.
        levels = (
            f"SELECT MIN(priority) FROM {table}{by_priority} WHERE claim_id = 0"
            " AND status = 'pending'"
        )
        self._first_priority = text(levels)
        self._next_priority = text(f"{levels} AND priority > :above")
        self._in_priority = text(
            f"{look}{by_priority} WHERE claim_id = 0 AND status = 'pending' AND priority = :level"
            " AND scheduled_date_gmt <= :now ORDER BY scheduled_date_gmt, action_id LIMIT :size"
        )
        self._in_date = text(
            f"{look}{by_date} WHERE claim_id = 0 AND {due}"
            " ORDER BY scheduled_date_gmt, action_id LIMIT :size"
        )
        self._first_free = text(
            f"SELECT MIN(action_id) FROM {table} WHERE status = 'pending' AND claim_id = 0"
        )
        # No ORDER BY: the index gives the order on every server, while MySQL would sort the whole
        # range if asked for an index on part of a column. The order is only a wish.
        self._in_hook = text(
            f"{look}{hint(layout.hook_index)} WHERE hook = :key AND {due} AND claim_id = 0"
            " LIMIT :size"
        )
        self._by_old_hook = text(
            f"{look}{hint(layout.old_hook_index)} WHERE hook = :key AND action_id >= :first"
            f" AND {due} AND claim_id = 0 ORDER BY action_id LIMIT :size"
        )
        self._in_group = text(
            f"{look}{hint(layout.group_index)} WHERE group_id = :key AND action_id >= :first"
            f" AND {due} AND claim_id = 0 ORDER BY action_id LIMIT :size"
        )

    def plans(self) -> list[Plan]:
        """Return the statements that are used with this layout, for the server to explain.

        Their values are ``now``, ``size``, ``above``, ``level``, ``first`` and ``key``.
        """
        layout = self._layout
        found = [Plan(name="any-due", statement=self._any_due, index=layout.due_index)]
        if layout.priority_index is None:
            index = layout.date_index or layout.due_index
            found.append(Plan(name="by-date", statement=self._in_date, index=index))
        else:
            for name, statement in (
                ("next-priority", self._next_priority),
                ("in-priority", self._in_priority),
            ):
                found.append(Plan(name=name, statement=statement, index=layout.priority_index))
        by_hook = self._in_hook if layout.hook_index else self._by_old_hook
        if hook_index := layout.hook_index or layout.old_hook_index:
            found.append(Plan(name="in-hook", statement=by_hook, index=hook_index))
        if layout.group_index:
            found.append(Plan(name="in-group", statement=self._in_group, index=layout.group_index))
        return found

    def is_any_due(self, connection: Connection, now: str) -> bool:
        """Tell whether anything is due. On an idle queue this is the only query."""
        return connection.execute(self._any_due, {"now": now}).first() is not None

    def find(
        self,
        connection: Connection,
        *,
        now: str,
        limit: int,
        only: ClaimFilter,
        groups: Sequence[int] | None,
        excluded_groups: frozenset[int],
    ) -> list[Candidate]:
        """Return at most ``limit`` candidates, best first; none when nothing claimable is due.

        Args:
            connection: not in a transaction, so that it never reads an old snapshot.
            now: the present moment as UTC text.
            limit: how many are wanted.
            only: the filter; the next two stand for its groups.
            groups: the ids of the groups to take from, None for any.
            excluded_groups: the ids of the groups to leave alone.
        """
        look = _Look(
            self._reader,
            connection,
            now,
            only,
            groups,
            excluded_groups,
            self._is_runnable,
            self._slug_of,
        )
        if look.hooks is not None:
            # The server refuses to compare a text that the column cannot hold.
            holds = self._layout.texts.holds
            look.hooks = [h for h in look.hooks if holds(connection, self._hook_place, h)]
            if not look.hooks:
                return []
        best: list[Candidate] = []
        for window in self._windows(look, limit):
            best = sorted({c.id: c for c in (*best, *window.found)}.values(), key=_by_order)
            if window.is_whole or len(best) >= limit:
                break
        return best[:limit]

    def _windows(self, look: "_Look", limit: int) -> Iterator[Window]:
        """Yield windows of growing cost; the caller stops at the first that is enough."""
        yield self._front(look, limit)
        if look.only.accepts is not None:
            # Rows that are not ours lie in front.
            if look.only.hooks is None:
                yield self._front(look, max(WINDOW, limit))
            look.hooks = self._promising(look)
            if not look.hooks:
                yield Window([], is_whole=True)
        paths = [path for path in (self._hook_keys(look), self._group_keys(look)) if path]
        if paths and look.groups is None:
            # The old index on the hook alone gives ids in order, not dates.
            if self._layout.hook_index is not None and self._is_one_priority(look):
                yield self._oldest(look, paths[0], limit)
            else:
                small = self._per_key(look, paths[0], limit + 1)
                yield small if small.is_whole else self._front(look, max(WINDOW // 2, limit))
        if by_group := self._sorting_groups(look):
            paths.append(by_group)
        size = max(WINDOW, limit)
        while True:
            for path in paths:
                yield self._per_key(look, path, size)
            if not paths:
                yield self._front(look, size)
            size *= 4

    def _promising(self, look: "_Look") -> list[str]:
        """Return the hooks that the filter names, else those of due rows that may be taken."""
        named = look.only.hooks
        hooks = self._due_names(look) if named is None else named
        groups = self._groups(look)
        slugs = None if groups is None else frozenset(groups.values())
        return sorted(hook for hook in hooks if look.may_take(hook, slugs))

    def _sorting_groups(self, look: "_Look") -> list[_Key]:
        """Return one query for each group with rows of ours, where hooks are ours in some groups.

        Rows whose group has no row in the groups table are found by the queries by hook instead.
        """
        accepts, hooks = look.only.accepts, look.hooks
        if accepts is None or hooks is None or look.groups is not None:
            return []
        groups = self._groups(look) if self._layout.group_index else None
        slugs = frozenset((groups or {}).values())
        if groups is None or all(accepts(hook, slug) for hook in hooks for slug in slugs):
            return []
        ours = {slug for slug in slugs if any(accepts(hook, slug) for hook in hooks)}
        return [(self._in_group, group) for group, slug in groups.items() if slug in ours]

    def _due_names(self, look: "_Look") -> frozenset[str]:
        """Return the hooks of the due rows, as they were at most HOOKS_SECONDS ago."""
        moment = time.monotonic()
        if moment >= self._hooks_until:
            self._known_hooks = frozenset(self._inventory.due_hooks(look.connection, look.now))
            self._hooks_until = moment + HOOKS_SECONDS
        return self._known_hooks

    def _groups(self, look: "_Look") -> dict[int, str] | None:
        """Return slugs by group id, just as old; None when there are too many groups."""
        moment = time.monotonic()
        if moment >= self._groups_until:
            self._known_groups = self._inventory.groups(look.connection)
            self._groups_until = moment + HOOKS_SECONDS
        return self._known_groups

    def _front(self, look: "_Look", size: int) -> Window:
        """Read the first rows of the claim index, priority by priority."""
        if self._layout.priority_index is None:
            rows = look.rows(self._in_date, size=size)
            return Window(look.ours(rows), len(rows) < size)
        found: list[Candidate] = []
        level, left = self._lowest_level(look), size
        while level is not None:
            rows = look.rows(self._in_priority, level=level, size=left)
            found += look.ours(rows)
            left -= len(rows)
            if left <= 0:
                return Window(found, is_whole=False)
            level = self._level_above(look, level)
        return Window(found, is_whole=True)

    def _is_one_priority(self, look: "_Look") -> bool:
        if self._layout.priority_index is None:
            return not self._layout.has_priority
        lowest = self._lowest_level(look)
        return lowest is None or self._level_above(look, lowest) is None

    def _lowest_level(self, look: "_Look") -> object:
        """Return the lowest priority of the free rows, due or not; None where there are none.

        It is what the column holds: SQLite also takes texts and fractions, and knows their order.
        """
        return look.connection.execute(self._first_priority).scalar()

    def _level_above(self, look: "_Look", level: object) -> object:
        """Return the next higher priority of the free rows; None where there is none."""
        return look.connection.execute(self._next_priority, {"above": level}).scalar()

    def _hook_keys(self, look: "_Look") -> list[_Key]:
        """Return one query for each hook that the filter names or that looked promising."""
        statement = self._in_hook if self._layout.hook_index else self._by_old_hook
        if look.hooks is None or not (self._layout.hook_index or self._layout.old_hook_index):
            return []
        return [(statement, hook) for hook in look.hooks]

    def _group_keys(self, look: "_Look") -> list[_Key]:
        """Return one query for each group that the filter names."""
        if look.groups is None or not self._layout.group_index:
            return []
        return [(self._in_group, group) for group in look.groups]

    def _per_key(self, look: "_Look", keys: Sequence[_Key], size: int) -> Window:
        """Read the first rows of each key. Many keys divide the size among them."""
        share = max(size // len(keys) + 1, min(size, 10))
        first = 0
        if keys[0][0] is not self._in_hook:
            first = look.connection.execute(self._first_free).scalar() or 0
        found: list[Candidate] = []
        is_whole = True
        for statement, key in keys:
            extra = {} if statement is self._in_hook else {"first": first}
            rows = look.rows(statement, key=key, size=share, **extra)
            found += look.ours(rows)
            is_whole = is_whole and len(rows) < share
        return Window(found, is_whole)

    def _oldest(self, look: "_Look", keys: Sequence[_Key], limit: int) -> Window:
        """Return the first rows by date over all keys. Each key gives its own rows in that order.

        A key whose share ends before the batch is full is read again, further on.
        """
        share = max(limit // len(keys) + 1, min(limit, 10))
        found: dict[int, Candidate] = {}
        while True:
            ends: dict[_Key, tuple[str, int]] = {}
            for statement, key in keys:
                rows = look.rows(statement, key=key, size=share)
                found |= {c.id: c for c in look.ours(rows)}
                if len(rows) == share:
                    ends[statement, key] = _end(rows[-1])
            best = sorted(found.values(), key=_by_order)[:limit]
            if len(best) == limit:
                last = max((c.date, c.id) for c in best)
                ends = {key: end for key, end in ends.items() if end < last}
            if not ends or share >= max(WINDOW, limit):
                return Window(best, is_whole=not ends)
            keys, share = list(ends), min(share * 4, max(WINDOW, limit))


class _Look:
    """The connection, the moment and the filter of one search."""

    def __init__(  # noqa: PLR0917 - a plain record of the search
        self,
        read: Reader[CandidateRow],
        connection: Connection,
        now: str,
        only: ClaimFilter,
        groups: Sequence[int] | None,
        excluded_groups: frozenset[int],
        is_runnable: Callable[[bytes], bool],
        slug_of: Callable[[Connection, int], str],
    ) -> None:
        self._reader = read
        self.connection = connection
        self.only = only
        self.groups = groups
        self.hooks = None if only.hooks is None else sorted(only.hooks)
        """The hooks that deserve a query each; None when they are not known."""
        self.now = now
        self._slug_of = slug_of
        self._groups = None if groups is None else frozenset(groups)
        self._excluded = excluded_groups
        self._is_runnable = is_runnable

    def rows(self, statement: Statement, **values: object) -> list[CandidateRow]:
        found = self.connection.execute(statement, {"now": self.now, **values})
        return self._reader.read(found.fetchall())

    def ours(self, rows: Sequence[CandidateRow]) -> list[Candidate]:
        return [
            Candidate(
                id=int(str(row.action_id)),
                priority=number(row.priority),
                attempts=number(row.attempts),
                date=str(row.scheduled_date_gmt),
                hook=str(row.hook),
                group=number(row.group_id),
            )
            for row in rows
            if self._is_ours(str(row.hook), row.group_id, row.schedule)
        ]

    def may_take(self, hook: str, slugs: Collection[str] | None) -> bool:
        """Tell whether rows of the hook can be ours in one of these groups (None: in any)."""
        only = self.only
        if not self._is_named(hook) or (only.may_accept and not only.may_accept(hook)):
            return False
        # The filter is asked each time: a full executor may have room again a moment later.
        return slugs is None or only.accepts is None or any(only.accepts(hook, s) for s in slugs)

    def _is_named(self, hook: str) -> bool:
        only = self.only
        if (hook in UPKEEP_HOOKS and not only.upkeep) or hook in only.exclude_hooks:
            return False
        return only.hooks is None or hook in only.hooks

    def _is_ours(self, hook: str, group: object, schedule: object) -> bool:
        only = self.only
        if not self._is_named(hook):
            return False
        if group in self._excluded or (self._groups is not None and group not in self._groups):
            return False
        if only.accepts is not None:
            slug = self._slug_of(self.connection, number(group))
            if not only.accepts(hook, slug):
                return False
        return self._is_runnable(as_bytes(schedule))


def _end(row: CandidateRow) -> tuple[str, int]:
    return str(row.scheduled_date_gmt), int(str(row.action_id))


def _by_order(candidate: Candidate) -> tuple[int, int, str, int]:
    return candidate.order
