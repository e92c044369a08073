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
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.connection import Connection
from wpbridge.store.rows.inventory import Inventory
from wpbridge.store.running.look import (
    KEYS_A_STATEMENT,
    Candidate,
    Judge,
    Key,
    Look,
    Window,
    has_known_schedule,
)
from wpbridge.store.running.walks import Plan, Walk, Walks
from wpbridge.store.structure.tables import Tables

__all__ = ["Candidate", "Finder", "Plan", "has_known_schedule"]

Path: TypeAlias = tuple[Walk, Sequence[Key]]
"""A walk by hook or by group, and which ones."""

HOOKS_SECONDS = 30.0
"""For so many seconds the names of the hooks and groups in the queue are remembered."""
HOOKS_SHARE = 20
"""They are remembered for so many times as long as it took to read them, if that is longer."""
WINDOW = 500
"""At most so many rows are read to find a better order than the one by date."""


class Finder:
    """Finds candidates in one site's actions table."""

    def __init__(
        self,
        tables: Tables,
        is_runnable: Callable[[object], bool],
        slug_of: Callable[[Connection, int], str],
    ) -> None:
        """Prepare the statements. ``is_runnable`` judges a schedule by its first bytes."""
        self._layout = tables.layout
        self._dialect = tables.dialect
        self._hook_place = (tables.names.actions, "hook")
        self._is_runnable = is_runnable
        self._slug_of = slug_of
        self._walks = Walks(tables)
        self._inventory = Inventory(tables)
        self._known_hooks: frozenset[str] = frozenset()
        self._known_groups: dict[int, str] | None = None
        self._hooks_until = self._groups_until = 0.0
        self._others: set[str] = set()
        self._is_crowded = False
        """Whether rows of others were at the front of the queue at the last look."""

    def plans(self) -> list[Plan]:
        """See :meth:`Walks.plans`."""
        return self._walks.plans()

    def is_any_due(self, connection: Connection, now: str) -> bool:
        """Tell whether anything is due. On an idle queue this is the only query."""
        return connection.execute(self._walks.any_due, {"now": now}).first() is not None

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

        def slug(group: int) -> str:
            return self._slug_of(connection, group)

        judge = Judge(
            # As a condition on hook and group, a group that is left alone is stepped over.
            only=only.without((), {slug(group) for group in excluded_groups}),
            groups=None if groups is None else frozenset(groups),
            excluded=excluded_groups,
            is_runnable=self._is_runnable,
            slug=slug,
        )
        look = Look(
            self._walks,
            connection,
            self._dialect,
            now=now,
            limit=limit,
            judge=judge,
            others=self._others,
        )
        if look.hooks is not None:
            # The server refuses to compare a text that the column cannot hold.
            holds = self._layout.texts.holds
            look.hooks = [h for h in look.hooks if holds(connection, self._hook_place, h)]
            if not look.hooks:
                return []
        best: list[Candidate] = []
        for window in self._windows(look):
            best = sorted({c.id: c for c in (*best, *window.found)}.values(), key=_by_order)
            if window.is_whole or len(best) >= limit:
                break
        return best[:limit]

    def _windows(self, look: Look) -> Iterator[Window]:
        """Yield windows of growing cost; the caller stops at the first that is enough."""
        limit = look.limit
        yield self._front(look, limit)
        if look.only.accepts is not None:
            # Rows that are not ours lie in front.
            if look.only.hooks is None:
                yield self._front(look, max(WINDOW, limit))
            look.hooks = self._promising(look)
            if not look.hooks:
                yield Window([], 0, is_whole=True)
        paths = [path for path in (self._hook_keys(look), self._group_keys(look)) if path[1]]
        if paths and look.groups is None:
            # The old index on the hook alone gives ids in order, not dates.
            if self._layout.hook_index is not None and self._is_one_priority(look):
                yield self._oldest(look, paths[0])
            else:
                small = self._per_key(look, paths[0], limit + 1)
                yield small if small.is_whole else self._front(look, max(WINDOW // 2, limit))
        if by_group := self._sorting_groups(look):
            paths.append((self._walks.in_group, by_group))
        size = max(WINDOW, limit)
        while True:
            for path in paths:
                yield self._per_key(look, path, size)
            if look.groups is not None or not paths:
                # A group may have more rows that ended than others have in front of ours.
                yield self._front(look, size)
            size *= 4

    def _promising(self, look: Look) -> list[str]:
        """Return the hooks that the filter names, else those of due rows that may be taken."""
        named = look.only.hooks
        hooks = self._due_names(look) if named is None else named
        groups = self._groups(look)
        slugs = None if groups is None else frozenset(groups.values())
        return sorted(hook for hook in hooks if look.may_take(hook, slugs))

    def _sorting_groups(self, look: Look) -> list[Key]:
        """Return the groups with rows of ours, where hooks are ours in some groups only.

        Rows whose group has no row in the groups table are found by the walks by hook instead.
        """
        accepts, hooks = look.only.accepts, look.hooks
        if accepts is None or hooks is None or look.groups is not None:
            return []
        groups = self._groups(look) if self._layout.group_index else None
        slugs = frozenset((groups or {}).values())
        if groups is None or all(accepts(hook, slug) for hook in hooks for slug in slugs):
            return []
        ours = {slug for slug in slugs if any(accepts(hook, slug) for hook in hooks)}
        return [group for group, slug in groups.items() if slug in ours]

    def _due_names(self, look: Look) -> frozenset[str]:
        """Return the hooks of the due rows, as they were a short time ago."""
        moment = time.monotonic()
        if moment >= self._hooks_until:
            self._known_hooks = frozenset(self._inventory.due_hooks(look.connection, look.now))
            took = time.monotonic() - moment
            self._hooks_until = moment + max(HOOKS_SECONDS, HOOKS_SHARE * took)
        return self._known_hooks

    def _groups(self, look: Look) -> dict[int, str] | None:
        """Return slugs by group id, just as old; None when there are too many groups."""
        moment = time.monotonic()
        if moment >= self._groups_until:
            self._known_groups = self._inventory.groups(look.connection)
            self._groups_until = moment + HOOKS_SECONDS
        return self._known_groups

    def _front(self, look: Look, size: int) -> Window:
        """Read the first rows of the claim index, priority by priority."""
        narrow = self._is_crowded
        if self._layout.priority_index is None:
            window = look.window(self._walks.in_date, size, narrow=narrow)
            self._is_crowded = len(window.found) < window.seen
            return window
        found: list[Candidate] = []
        level, left = look.levels[0], size
        while level is not None:
            window = look.window(self._walks.in_priority, left, narrow=narrow, level=level)
            found += window.found
            left -= window.seen
            if left <= 0:
                break
            level = look.level_above(level)
        self._is_crowded = len(found) < size - left
        return Window(found, size - left, is_whole=left > 0)

    def _is_one_priority(self, look: Look) -> bool:
        if self._layout.priority_index is None:
            return not self._layout.has_priority
        lowest, highest = look.levels
        return lowest == highest

    def _hook_keys(self, look: Look) -> Path:
        """Return the walk by hook for each hook that the filter names or that looked promising."""
        walk = self._walks.in_hook
        return walk, (look.hooks or ()) if walk.index else ()

    def _group_keys(self, look: Look) -> Path:
        """Return the walk by group for each group that the filter names."""
        walk = self._walks.in_group
        return walk, sorted(look.groups or ()) if walk.index else ()

    @staticmethod
    def _per_key(look: Look, path: Path, size: int) -> Window:
        """Read the first rows of each key. Many keys divide the size among them."""
        walk, keys = path
        return look.window(walk, max(size // len(keys) + 1, min(size, 10)), keys)

    @staticmethod
    def _oldest(look: Look, path: Path) -> Window:
        """Return the first rows by date over all keys. Each key gives its own rows in that order.

        A key whose share ends before the batch is full is read again, further on.
        """
        walk, keys = path
        limit, most = look.limit, max(WINDOW, look.limit)
        # Of very many keys most have nothing to give, and two rows tell which have.
        share = max(limit // len(keys) + 1, min(limit, 10 if len(keys) <= KEYS_A_STATEMENT else 2))
        found: dict[int, Candidate] = {}
        while True:
            ends: dict[Key, tuple[str, int]] = {}
            for key, (rows, ours) in zip(keys, look.each(walk, share, keys), strict=True):
                found |= {c.id: c for c in ours}
                if len(rows) == share:
                    ends[key] = str(rows[-1].scheduled_date_gmt), int(str(rows[-1].action_id))
            best = sorted(found.values(), key=_by_order)[:limit]
            if len(best) == limit:
                last = max((c.date, c.id) for c in best)
                ends = {key: end for key, end in ends.items() if end < last}
            if not ends or share >= most:
                return Window(best, len(best), is_whole=not ends)
            keys, share = list(ends), min(share * 4, most)


def _by_order(candidate: Candidate) -> tuple[int, int, str, int]:
    return candidate.order
