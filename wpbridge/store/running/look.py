"""Read windows of the queue for one search, and judge which rows in them may be claimed."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import field
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeAlias

from wpbridge.action import UPKEEP_HOOKS
from wpbridge.codec import schedule
from wpbridge.dataclass import dataclass
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.connection import Connection, Statement
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.texts import as_bytes, listed, number
from wpbridge.store.running.action_rows import CandidateRow
from wpbridge.store.running.walks import Walk, Walks

Key: TypeAlias = str | int
"""The name of a hook or the id of a group."""

KEYS_A_STATEMENT: Final = 50
MOST_NAMES: Final = 50
"""At most so many names of hooks are sent for the database to compare."""


class Candidate(NamedTuple):
    """A due, free row that may be claimed. Candidates sort as in the plugin's claim."""

    id: int
    priority: int
    attempts: int
    date: str
    hook: str
    group: int

    @property
    def order(self) -> tuple[int, int, str, int]:
        """Return priority, attempts, date and id, which all ascend (in the plugin since 3.6)."""
        return self.priority, self.attempts, self.date, self.id


@dataclass(frozen=True, slots=True)
class Window:
    """The best rows of ours that a window has, and whether there was nothing more to find."""

    found: list[Candidate]
    seen: int
    """The number of rows in the window, ours or not; of several windows that of the longest."""
    is_whole: bool


_KNOWN_STARTS: Final = frozenset(f'O:{len(name)}:"{name}"' for name in schedule.KNOWN_CLASSES)


def has_known_schedule(start: object) -> bool:
    """Tell whether a schedule that starts with these bytes is one that we can run.

    A class that the plugin does not define belongs to another plugin: PHP knows it, we do not. A
    text that is no object at all is claimed, and then fails with the reason.
    """
    if isinstance(start, str) and start[: start.find('"', 6) + 1] in _KNOWN_STARTS:
        return True
    found = schedule.class_of(as_bytes(start))
    return found is None or found in schedule.KNOWN_CLASSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judges hooks, groups and schedules by one filter."""

    only: ClaimFilter
    groups: frozenset[int] | None
    excluded: frozenset[int]
    is_runnable: Callable[[object], bool]
    slug: Callable[[int], str]
    known: dict[tuple[str, object], bool] = field(default_factory=dict)
    """Whether rows of a hook and group are ours, as far as it is known."""

    def may_take(self, hook: str, slugs: Collection[str] | None) -> bool:
        """Tell whether rows of the hook can be ours in one of these groups (None: in any)."""
        only = self.only
        if not self._is_named(hook) or (only.may_accept and not only.may_accept(hook)):
            return False
        # The filter is asked each time: a full executor may have room again a moment later.
        return slugs is None or only.accepts is None or any(only.accepts(hook, s) for s in slugs)

    def is_ours(self, row: CandidateRow) -> bool:
        """Tell whether a row may be claimed."""
        place = (str(row.hook), row.group_id)
        is_ours = self.known.get(place)
        if is_ours is None:
            is_ours = self.known[place] = self._takes(*place)
        return is_ours and self.is_runnable(row.schedule)

    def _takes(self, hook: str, group: object) -> bool:
        if not self._is_named(hook):
            return False
        if group in self.excluded or (self.groups is not None and group not in self.groups):
            return False
        accepts = self.only.accepts
        return accepts is None or accepts(hook, self.slug(number(group)))

    def _is_named(self, hook: str) -> bool:
        only = self.only
        if (hook in UPKEEP_HOOKS and not only.upkeep) or hook in only.exclude_hooks:
            return False
        return only.hooks is None or hook in only.hooks


class Look:
    """The connection, the moment and the filter of one search."""

    def __init__(
        self,
        walks: Walks,
        connection: Connection,
        dialect: Dialect,
        *,
        now: str,
        limit: int,
        judge: Judge,
        others: set[str],
    ) -> None:
        """Prepare a search. ``others`` collects hooks that are not ours, from search to search."""
        self._walks = walks
        self._dialect = dialect
        self._others = others
        self._judge = judge
        self.connection = connection
        self.now = now
        self.limit = limit
        """How many candidates the search wants."""
        self.only = judge.only
        self.groups = judge.groups
        self.may_take = judge.may_take
        self.hooks = None if judge.only.hooks is None else sorted(judge.only.hooks)
        """The hooks that deserve a query each; None when they are not known."""

    @cached_property
    def levels(self) -> tuple[object, object]:
        """The lowest and the highest priority of the free rows, due or not; None without any.

        It is what the column holds: SQLite also takes texts and fractions, and knows their order.
        """
        lowest, highest = self.connection.execute(self._walks.levels).one()
        return lowest, highest

    def level_above(self, level: object) -> object:
        """Return the next higher priority of the free rows; None where there is none."""
        if level == self.levels[1]:
            return None
        return self.connection.execute(self._walks.next_level, {"above": level}).scalar()

    @cached_property
    def first_free(self) -> int:
        """The lowest id of a free pending row, due or not."""
        return int(self.connection.execute(self._walks.first_free).scalar() or 0)

    def each(
        self, walk: Walk, size: int, keys: Sequence[Key]
    ) -> list[tuple[list[CandidateRow], list[Candidate]]]:
        """Return, for each key, all rows of its window in their order, and those of ours."""
        found: list[tuple[list[CandidateRow], list[Candidate]]] = []
        for some in _portions(keys):
            rows: list[list[CandidateRow]] = [[] for _ in some]
            statement = self._walks.each(walk, len(some))
            make = self._walks.reader.make
            for place, *row in self._rows(statement, walk, size, some):
                rows[int(place)].append(make(row))
            found += [(one, self._ours(one)) for one in rows]
        return found

    def window(
        self,
        walk: Walk,
        size: int,
        keys: Sequence[Key] = (),
        *,
        narrow: bool = True,
        **values: object,
    ) -> Window:
        """Return the best rows of ours in a window, or in one window for each key.

        At most ``limit`` rows are sent, unless some of them are not ours; then all are. With
        ``narrow`` the database leaves out rows of hooks and groups that cannot be ours.
        """
        found: list[Candidate] = []
        seen = 0
        for some in _portions(keys) if keys else [()]:
            wanted, names = self._wanted() if narrow else ("", {})
            one = self._window(walk, size, some, wanted, {**values, **names})
            found += one.found
            seen = max(seen, one.seen)
        return Window(found, seen, is_whole=seen < size)

    def _window(
        self, walk: Walk, size: int, keys: Sequence[Key], wanted: str, values: dict[str, object]
    ) -> Window:
        places = len(keys) or 1
        # Without a condition the best rows may be anybody's, and all are needed to tell.
        most = min(self.limit, size * places) if wanted or keys else size
        is_plain = places == 1 and not wanted and not walk.by_id
        rows = self._best(walk, size, keys, wanted, {**values, "most": most})
        ours = self._ours(rows)
        if len(ours) < len(rows) == most < size * places:
            rows = self._best(walk, size, keys, wanted, {**values, "most": size * places})
            ours = self._ours(rows)
        if len(ours) >= self.limit or len(rows) == size * places:
            return Window(ours, size, is_whole=False)
        if is_plain:
            return Window(ours, len(rows), is_whole=True)
        told = self._rows(self._walks.longest(walk, places), walk, size, keys, **values)
        seen = int(told[0][0] or 0)
        return Window(ours, seen, is_whole=seen < size)

    def _best(
        self, walk: Walk, size: int, keys: Sequence[Key], wanted: str, values: dict[str, object]
    ) -> list[CandidateRow]:
        statement = self._walks.best(walk, len(keys) or 1, wanted)
        if not wanted and len(keys) <= 1 and size <= self.limit:
            statement = self._walks.all(walk)
        return self._walks.reader.read(self._rows(statement, walk, size, keys, **values))

    def _rows(
        self,
        statement: Statement,
        walk: Walk,
        size: int,
        keys: Sequence[Key],
        **values: object,
    ) -> Sequence[Sequence[Any]]:
        given: dict[str, object] = {"now": self.now, "size": size, **values}
        given |= {f"key_{place}": key for place, key in enumerate(keys)}
        if walk.by_id:
            given["first"] = self.first_free
        return self.connection.execute(statement, given).fetchall()

    def _wanted(self) -> tuple[str, dict[str, object]]:
        """Return a condition that rows of ours meet, and its values; no condition if it is long.

        Names that the database's collation takes as equal are no reason to leave a row out.
        """
        conditions: list[str] = []
        names: dict[str, object] = {}
        if self.groups is not None:
            conditions.append(f"group_id IN {listed(self.groups)}")
        if self.hooks is not None and len(self.hooks) <= MOST_NAMES:
            names = {"hooks": self.hooks}
            conditions.append("hook IN :hooks")
        elif self.hooks is None:
            refused = [hook for hook in sorted(self._others) if not self.may_take(hook, None)]
            names = {f"other_{place}": hook for place, hook in enumerate(refused)}
            exact = self._dialect.as_bytes
            if names:
                listed_names = ", ".join(exact(f":{name}") for name in names)
                conditions.append(f"{exact('hook')} NOT IN ({listed_names})")
        return " AND ".join(conditions), names

    def _ours(self, rows: Sequence[CandidateRow]) -> list[Candidate]:
        found: list[Candidate] = []
        for row in rows:
            if self._judge.is_ours(row):
                found.append(_candidate(row))
            elif self.hooks is None:
                self._meet(str(row.hook))
        return found

    def _meet(self, hook: str) -> None:
        if len(self._others) < MOST_NAMES and hook.isascii() and not self.may_take(hook, None):
            self._others.add(hook)


def _candidate(row: CandidateRow) -> Candidate:
    return Candidate(
        number(row.action_id),
        number(row.priority),
        number(row.attempts),
        str(row.scheduled_date_gmt),
        str(row.hook),
        number(row.group_id),
    )


def _portions(keys: Sequence[Key]) -> Iterable[Sequence[Key]]:
    return (keys[n : n + KEYS_A_STATEMENT] for n in range(0, len(keys), KEYS_A_STATEMENT))
