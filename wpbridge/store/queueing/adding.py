"""Add new actions: unique ones, keyed ones, waiting ones, many at a time.

A unique action is refused when the plugin would refuse it. The plugin checks in one statement,
which two writers can pass together. Here writers lock the row of the action's group, so this never
happens among wpbridge's writers. PHP ignores that lock, and has none of its own.
"""

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal, TypeAlias

from wpbridge.action import ActionId, NewAction, OnFailed
from wpbridge.codec.args import MAX_COLUMN_BYTES, columns
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.portions import STATEMENT, escaped_size, text_size
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.idempotency import IdempotencyKeys, hashed
from wpbridge.store.rows.inserts import Inserts
from wpbridge.store.rows.traces import Traces
from wpbridge.store.rows.waits import Waits
from wpbridge.store.schema.charsets import to_text as php_text
from wpbridge.store.schema.layout import TableNames
from wpbridge.store.schema.text_columns import Place
from wpbridge.store.structure.tables import Tables

UniqueBy: TypeAlias = Literal["auto", "group", "args"]
"""What makes two actions like each other: hook and group (the plugin up to 3.9), or their args too
(since 4.0). ``auto`` is what the tables show."""

SINCE_4_HOOK: Final = "action_scheduler_run_actions_cleanup_hook"
"""The hook of an upkeep action that the plugin schedules since 4.0."""
DAILY_HOOK: Final = "action_scheduler_run_recurring_actions_schedule_hook"
"""The hook of an upkeep action that it schedules since 3.9.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An action to be added, and its terms."""

    action: NewAction
    unique: bool = False
    key: str = ""
    """The idempotency key: a second request with it adds nothing."""
    after: tuple[ActionId, ...] = ()
    on_failed: OnFailed = "hold"

    @property
    def is_single(self) -> bool:
        """Tell whether the action is added by itself: with rows before or after it."""
        return bool(self.unique or self.after)


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a request."""

    id: ActionId | None
    """The new action, or the one that the key made before; None when refused as not unique."""
    is_new: bool


Beside: TypeAlias = Callable[[Connection, Sequence[Added]], None]


class Adding:
    """Adds actions to one site's queue, in a transaction of its own or the caller's."""

    def __init__(  # noqa: PLR0917 - the parts that it uses
        self,
        tables: Tables,
        groups: Groups,
        inserts: Inserts,
        waits: Waits,
        keys: IdempotencyKeys,
        traces: Traces,
    ) -> None:
        session, names, dialect, own = tables.session, tables.names, tables.dialect, tables.own
        self._session = session
        self._names = names
        self._layout = tables.layout
        self._dialect = dialect
        self._groups = groups
        self._inserts = inserts
        self._own = own
        self._waits = waits
        self._lock_groups = text(dialect.lock_groups(names.groups))
        # The caller's transaction may read an old snapshot; a locking read never does.
        fresh = dialect.shared_lock if session.is_borrowed else ""
        same = (
            f"SELECT action_id FROM {names.actions} WHERE hook = :hook"
            " AND status IN ('pending', 'in-progress') AND group_id = :group_id"
        )
        self._same_group = text(f"{same} LIMIT 1{fresh}")
        self._same_args = text(f"{same} AND args = :args LIMIT 1{fresh}")
        # This locks: where the server has not yet read that COMMIT, it waits for the row's lock.
        self._made_before = text(
            f"SELECT 1 FROM {names.actions} WHERE action_id = :id AND hook = :hook AND args = :args"
            f"{dialect.row_lock}"
        )
        self._cleanup = text(f"SELECT 1 FROM {names.actions} WHERE hook = :hook LIMIT 1")
        self._daily = text(
            f"SELECT scheduled_date_local FROM {names.actions} WHERE hook = :hook"
            " ORDER BY action_id LIMIT 1"
        )
        self._keys = keys
        self._traces = traces

    def unique_by(self, wanted: UniqueBy) -> UniqueBy:
        """Return ``group`` or ``args``: what is wanted, or for ``auto`` what the tables show."""
        if wanted != "auto":
            return wanted
        if self._layout.has_unique_key:
            return "args"
        return "args" if self._session.run(self._looks_like_4) else "group"

    def is_since_4(self) -> bool:
        """Tell whether the plugin here is 4.0 or newer, as far as the tables show."""
        return self.unique_by("auto") == "args"

    def _looks_like_4(self, connection: Connection) -> bool:
        """Tell whether the plugin's upkeep actions look like those of 4.0.

        4.0 dates its daily action to 3 at night, 3.9.3 to now. The cleanup action comes a day
        later. Neither shows an installation of 4.0 that no administrator has visited yet.
        """
        if connection.execute(self._cleanup, {"hook": SINCE_4_HOOK}).first() is not None:
            return True
        first = connection.execute(self._daily, {"hook": DAILY_HOOK}).scalar()
        return str(first or "").endswith("03:00:00")

    def add(
        self,
        requests: Sequence[Request],
        *,
        by: UniqueBy,
        now: datetime,
        beside: Beside | None = None,
        are_checked: bool = False,
    ) -> list[Added]:
        """Add all actions in one transaction; a crash leaves all of them or none.

        Args:
            requests: the actions; their group ids may be missing.
            by: what makes an action unique.
            now: the date of the log rows.
            beside: writes what belongs to the actions, in their transaction.
            are_checked: whether the caller has had each checked by :meth:`check`.

        Raises:
            InputError: the tables cannot hold an action's args or texts; nothing is written.
            Contention: other writers hold the locks.
        """
        self._session.check_writable()
        if not are_checked:
            self._check(requests)
        self._prepare(requests)
        slugs = sorted({r.action.group for r in requests if r.action.group_id is None})
        groups = {slug: self._groups.ensure(slug) for slug in slugs}
        resolved = [_in_group(r, groups) if r.is_single else r for r in requests]
        by = self.unique_by(by) if any(r.unique for r in resolved) else by
        if len(resolved) == 1 and self._is_plainly_refused(resolved[0], by):
            return [Added(None, is_new=False)]
        locks = {self._groups.lock_row(r.action.group_id or 0) for r in resolved if r.unique}
        tried: list[Added] = []

        def attempt(connection: Connection) -> list[Added]:
            if not (self._session.in_doubt and self._is_there(connection, resolved, tried)):
                tried[:] = self._add(connection, resolved, groups, locks, by, now)
                if beside is not None:
                    beside(connection, tried)
            return list(tried)

        return self._session.transact(attempt)

    def same_as(self, action: NewAction, by: UniqueBy) -> ActionId | None:
        """Return the action because of which a unique one would be refused; change nothing."""
        group_id = action.group_id
        if group_id is None:
            group_id = self._groups.first(action.group)
        if group_id is None:
            return None
        known, by = replace(action, group_id=group_id), self.unique_by(by)

        def same(connection: Connection) -> ActionId | None:
            # Nothing in the tables is like an action that they cannot hold.
            fault = self._layout.texts.fault(connection, texts_of(self._names, known))
            return None if fault else self._same(connection, known, by)

        return self._session.run(same)

    def check(self, request: Request) -> None:
        """Raise InputError for an action that the tables cannot hold."""
        self._session.run(lambda c: self._check_texts(c, request))

    def _check_texts(self, connection: Connection, request: Request) -> None:
        action = request.action
        fault = self._layout.texts.fault(connection, texts_of(self._names, action))
        if fault:
            raise InputError(fault)
        if fault := self._too_big(action):
            raise InputError(fault)
        if not self._layout.has_extended_args and len(action.args) > MAX_COLUMN_BYTES:
            raise InputError(
                f"args of {len(action.args)} bytes need the column extended_args, which these"
                f" tables do not have: {MAX_COLUMN_BYTES} at most"
            )

    def _too_big(self, action: NewAction) -> str:
        """Say that no statement can hold the row. The server would only seem to be gone."""
        most = self._dialect.most_bytes
        told = [text for _, _, text in texts_of(self._names, action)]
        # Most rows are far smaller.
        if 2 * text_size(*told) + STATEMENT < most:
            return ""
        size = escaped_size(*told) + STATEMENT
        if size < most:
            return ""
        return (
            f"the action has {size:,} bytes, and one statement may have {most:,}: the server's"
            " max_allowed_packet"
        )

    def _check(self, requests: Sequence[Request]) -> None:
        def check(connection: Connection) -> None:
            for request in requests:
                self._check_texts(connection, request)

        # Groups are made before the transaction begins, so this check comes first.
        self._session.run(check)

    def _prepare(self, requests: Sequence[Request]) -> None:
        """Make our own tables that are needed. In the transaction this would commit it."""
        names = self._names
        needed = [
            *([names.keys] if any(r.key for r in requests) else []),
            *([names.waits] if any(r.after for r in requests) else []),
            *([names.zones] if any(r.action.zoned for r in requests) else []),
        ]
        if needed:
            self._own.ensure(*needed)
        if any(r.action.traceparent for r in requests):
            self._traces.prepare()

    def _is_plainly_refused(self, request: Request, by: UniqueBy) -> bool:
        """Tell whether a duplicate is seen without a lock, as most are, since they are old."""
        if not request.unique or request.key or self._session.is_borrowed:
            return False
        return self._session.run(lambda c: self._same(c, request.action, by)) is not None

    def _is_there(
        self, connection: Connection, requests: Sequence[Request], tried: Sequence[Added]
    ) -> bool:
        """Tell whether the transaction whose COMMIT got no answer was committed.

        It was if its first new row is there. The row is compared by id and content, since a server
        that was restarted may give the id away again.
        """
        for request, added in zip(requests, tried, strict=False):
            if added.is_new:
                values = {
                    "id": added.id,
                    "hook": request.action.hook,
                    "args": columns(request.action.args)[0],
                }
                return connection.execute(self._made_before, values).first() is not None
        return False

    def _add(  # noqa: PLR0917 - the steps of one transaction
        self,
        connection: Connection,
        requests: Sequence[Request],
        groups: Mapping[str, int],
        locks: Collection[int],
        by: UniqueBy,
        now: datetime,
    ) -> list[Added]:
        if locks:
            # Only one writer of unique actions works in a group, until its transaction ends.
            connection.execute(self._lock_groups, {"ids": sorted(locks)})
        found: list[Added] = []
        # In their order, as if added one by one: an earlier one may get a later one refused.
        for is_single, part in itertools.groupby(requests, key=lambda request: request.is_single):
            if is_single:
                found += [self._add_single(connection, request, by, now) for request in part]
            else:
                found += self._add_many(connection, list(part), groups, now)
        return found

    def _add_many(
        self,
        connection: Connection,
        requests: Sequence[Request],
        groups: Mapping[str, int],
        now: datetime,
    ) -> list[Added]:
        """Add actions with few statements. Of several with one key only the first is added."""
        keys = [hashed(request.key) if request.key else "" for request in requests]
        wanted = [key for key in keys if key]
        made = self._keys.take(connection, wanted, now) if wanted else {}
        first: dict[str, int] = {}
        for place, key in enumerate(keys):
            first.setdefault(key, place)
        chosen = [
            place
            for place, key in enumerate(keys)
            if not key or (key not in made and first[key] == place)
        ]
        rows = [requests[place].action for place in chosen]
        ids = dict(zip(chosen, self._inserts.actions(connection, rows, now, groups), strict=True))
        new = {keys[place]: action_id for place, action_id in ids.items() if keys[place]}
        if new:
            self._keys.fill(connection, new, now)
        by_key = made | new
        return [
            Added(ids[place], is_new=True) if place in ids else Added(by_key[key], is_new=False)
            for place, key in enumerate(keys)
        ]

    def _add_single(
        self, connection: Connection, request: Request, by: UniqueBy, now: datetime
    ) -> Added:
        keys = [hashed(request.key)] if request.key else []
        made = self._keys.take(connection, keys, now) if keys else {}
        if made:
            return Added(made[keys[0]], is_new=False)
        if request.unique and self._same(connection, request.action, by) is not None:
            if keys:
                self._keys.drop(connection, keys)
            return Added(None, is_new=False)
        action = replace(request.action, is_waiting=bool(request.after))
        [action_id] = self._inserts.actions(connection, [action], now)
        if keys:
            self._keys.fill(connection, {keys[0]: action_id}, now)
        if request.after:
            self._waits.add(connection, action_id, request.after, request.on_failed)
        return Added(action_id, is_new=True)

    def _same(self, connection: Connection, action: NewAction, by: UniqueBy) -> ActionId | None:
        """Return a pending or running action of the same hook and group (by ``args``: and args).

        The database compares, as in the plugin (`build_insert_sql` in action-scheduler).
        """
        values: dict[str, object] = {"hook": action.hook, "group_id": action.group_id or 0}
        statement = self._same_group
        if by == "args":
            statement, values = self._same_args, {**values, "args": columns(action.args)[0]}
        found = connection.execute(statement, values).scalar()
        return None if found is None else ActionId(int(found))


def texts_of(names: TableNames, action: NewAction) -> Iterator[tuple[str, Place, str | None]]:
    """Yield the texts of a new row with their names and the columns where they will stand."""
    short, extended = columns(action.args)
    yield "hook", (names.actions, "hook"), action.hook
    yield "args", (names.actions, "args"), short
    yield "args", (names.actions, "extended_args"), extended
    yield "schedule", (names.actions, "schedule"), php_text(action.schedule)
    if action.group_id is None:
        yield "group", (names.groups, "slug"), action.group
    if action.zoned is not None:
        yield "hook", (names.zones, "hook"), action.hook
        yield "cron", (names.zones, "expression"), action.zoned.expression
        yield "tz", (names.zones, "zone"), action.zoned.zone


def _in_group(request: Request, groups: Mapping[str, int]) -> Request:
    if request.action.group_id is not None:
        return request
    return replace(request, action=replace(request.action, group_id=groups[request.action.group]))
