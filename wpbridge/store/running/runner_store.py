"""The store over SQL: claims, endings, ownership, on MariaDB/MySQL and SQLite alike.

Not for several threads at once: the runner's loop owns it.
"""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Connection, Engine, bindparam, text
from sqlalchemy.exc import DBAPIError

from wpbridge.action import Action, ActionId, Claim, ClaimId, NewAction, RunnerId, Status
from wpbridge.clock import to_text
from wpbridge.errors import SchemaError, SiteError
from wpbridge.outcome import LogLine
from wpbridge.site.zone import Zone
from wpbridge.store.base import (
    Adopted,
    ClaimFilter,
    Ending,
    RunnerRecord,
    Sight,
    StartPlan,
    StoreInfo,
)
from wpbridge.store.database.borrowed import borrow
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.session import Session
from wpbridge.store.database.texts import number
from wpbridge.store.opened import Parts, assemble
from wpbridge.store.queueing.adding import Request
from wpbridge.store.records import Pause
from wpbridge.store.rows.writes import LostRaceError
from wpbridge.store.running.action_rows import ActionRows
from wpbridge.store.running.candidates import Finder
from wpbridge.store.running.claiming import Claiming
from wpbridge.store.running.orphans import SILENT
from wpbridge.store.running.ownership import Ownership
from wpbridge.store.running.site_keys import SiteKeys
from wpbridge.store.schema.ids import complaint, lost
from wpbridge.store.schema.layout import (
    NEWEST_SCHEMA,
    OLDEST_SCHEMA,
    STORE_OPTION,
    Layout,
    TableNames,
    layout_of,
)
from wpbridge.store.structure.own_tables import OwnTables
from wpbridge.telling.log import tell

T = TypeVar("T")
ENDED = frozenset({Status.COMPLETE, Status.FAILED, Status.CANCELED})


@dataclass(frozen=True, slots=True)
class _Turn:
    """A change of an action's status that is about to be written."""

    action: Action
    before: Status
    after: Status

    def is_ahead(self, status: str, claim: ClaimId) -> bool:
        """Whether a row is as it was: ours to change."""
        return status == self.before and claim == self.action.claim_id

    def is_behind(self, status: str, claim: ClaimId) -> bool:
        """Whether a row is as the change leaves it."""
        freed = self.after is Status.PENDING
        return status == self.after and claim == (0 if freed else self.action.claim_id)


class SqlStore:
    """See :class:`wpbridge.store.base.Store`."""

    def __init__(
        self,
        engine: Engine,
        dialect: Dialect,
        prefix: str,
        *,
        is_runnable: Callable[[bytes], bool],
        patience_seconds: float = 0.0,
    ) -> None:
        """``is_runnable`` judges the first bytes of a schedule (see candidates)."""
        self.names = TableNames(prefix=prefix)
        self.session = Session(engine, dialect, patience_seconds=patience_seconds)
        self._dialect = dialect
        self._is_runnable = is_runnable
        self._layout: Layout | None = None
        self._parts: Parts | None = None
        self._zone = Zone()
        self._runner: Ownership | None = None
        self._suspects: frozenset[ActionId] = frozenset()
        """Of those that are held here."""
        self._has_warned = False

    # Looking

    def inspect(self) -> StoreInfo:
        """See :class:`Store`."""
        return self.session.run(self._inspect)

    def check_writable(self) -> None:
        """Look at the tables; SchemaError where they are only to be read."""
        info = self.inspect()
        if not info.writable:
            raise SchemaError("; ".join(info.problems))

    def _inspect(self, connection: Connection) -> StoreInfo:
        dialect, names = self._dialect, self.names
        server = dialect.version(connection)
        tables = ("actions", "claims", "groups", "logs")
        found = {name: dialect.columns(connection, getattr(names, name)) for name in tables}
        layout = layout_of(
            names.prefix,
            {name: columns for name, columns in found.items() if columns},
            dialect.indexes(connection, names.actions),
            plain_tables=tuple(dialect.without_transactions(connection, names.queue)),
        )
        layout = replace(layout, texts=dialect.texts(connection, names.all))
        found_keys = dialect.key_columns(connection, names.keys_of_tables)
        broken = complaint(lost(names, found_keys))
        options = self._options(connection)
        zone = Zone.from_options(options.get("timezone_string"), options.get("gmt_offset"))
        schema = _schema_number(options.get(STORE_OPTION))
        self._layout, self._zone = layout, zone
        self._parts = parts = assemble(self.session, names, layout, dialect, zone)
        parts.own.look()
        self._writes = parts.writes
        if self._runner is None or self._runner.id is None:
            # A second look must not make a registered runner forget who it is.
            self._runner = Ownership(names, dialect)
        self._ownership = self._runner
        finder = Finder(names, layout, dialect, self._is_runnable, parts.groups.slug_on)
        keys = SiteKeys(self.session, names, parts.own)
        self._rows = ActionRows(
            self.session, names, layout, dialect, parts.groups, parts.zones, keys
        )
        self._claiming = Claiming(
            self.session, parts, finder, self._rows, self._runner, self._is_runnable
        )
        age = dialect.age_seconds("beat_gmt")
        attempted = dialect.use_index(layout.attempt_index or layout.due_index)
        self._glance = text(
            f"SELECT EXISTS (SELECT 1 FROM {names.actions}{dialect.use_index(layout.due_index)}"
            " WHERE status = 'pending' AND scheduled_date_gmt <= :now),"
            f" EXISTS (SELECT 1 FROM {names.runners} WHERE runner_id <> :id AND {age} > :silent),"
            f" EXISTS (SELECT 1 FROM {names.actions}{attempted} WHERE status = 'in-progress'"
            " AND last_attempt_gmt <= :stale AND claim_id > 0)"
        )
        problems = _problems(schema, layout, parts.own.refusal)
        problems += [broken] if broken else []
        self.session.refusal = "; ".join(problems)
        return StoreInfo(
            server=server,
            schema=schema,
            layout=layout.describe(),
            writable=not problems,
            zone=str(zone),
            skip_locked=dialect.can_skip_locked,
            problems=tuple(problems),
            notes=tuple(note for note in [parts.own.note] if note),
        )

    def _options(self, connection: Connection) -> dict[str, str]:
        """What we need of WordPress's options; nothing where there is no such table."""
        wanted: BindParameter[str] = bindparam("names", expanding=True)
        statement = f"SELECT option_name, option_value FROM {self.names.options}"
        try:
            rows = connection.execute(
                text(f"{statement} WHERE option_name IN :names").bindparams(wanted),
                {"names": [STORE_OPTION, "timezone_string", "gmt_offset"]},
            )
            return {str(name): str(value) for name, value in rows}
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            return {}

    @property
    def dialect(self) -> Dialect:
        """What its database does its own way, as far as :meth:`inspect` has learnt."""
        return self._dialect

    @property
    def layout(self) -> Layout:
        """What the tables can do; looks when nobody has looked yet."""
        if self._layout is None:
            self.inspect()
        assert self._layout is not None
        return self._layout

    @property
    def parts(self) -> Parts:
        """What can be done with the tables; looks when nobody has looked yet."""
        if self._parts is None:
            self.inspect()
        assert self._parts is not None
        return self._parts

    @contextlib.contextmanager
    def inside(self, connection: Any) -> Iterator[Parts]:
        """The same in the caller's own transaction, see :mod:`wpbridge.store.database.borrowed`."""
        parts = self.parts
        with borrow(connection, self._dialect.name) as borrowed:
            borrowed.refusal = self.session.refusal
            # One writer at a time: on SQLite our own connection would wait for the caller's.
            outside = None if self._dialect.name == "sqlite" else parts
            spoken = borrowed.run(self._dialect.charset_of)
            layout = replace(self.layout, texts=self.layout.texts.spoken(spoken))
            inner = assemble(borrowed, self.names, layout, self._dialect, self._zone, outside)
            if outside is None:
                inner.own.look()
            yield inner

    # Ownership

    def register(self, *, host: str, boot: str, pid: int, pid_started: str) -> RunnerId:
        """See :class:`Store`."""
        self.check_writable()
        self._pid_started = pid_started[:64]
        self.parts.own.prepare()
        self._suspects = frozenset()
        return self.session.transact(
            lambda c: self._ownership.enter(
                c, host=host, boot=boot, pid=pid, pid_started=pid_started
            )
        )

    def unregister(self) -> None:
        """See :class:`Store`."""
        if self._ownership.id is not None and not self._ownership.claims:
            self.session.run(self._ownership.leave)

    def other_runners(self) -> Sequence[RunnerRecord]:
        """See :class:`Store`."""
        if not self.parts.own.has(self.names.runners):
            return []
        everyone = self.session.run(self._ownership.everyone)
        return [runner for runner in everyone if runner.id != self._ownership.id]

    def adopt(self, runner: RunnerRecord) -> Adopted | None:
        """See :class:`Store`."""

        def take_over(connection: Connection) -> RunnerRecord | None:
            found = self._ownership.take_over(connection, runner)
            if found is None and runner.claims:
                # Perhaps it was us, and only the answer to that commit was lost.
                ours = self._ownership.look(connection)
                found = runner if ours.issuperset(runner.claims) else None
            if found is not None and found.claims and self._is_locked(connection, found.claims):
                raise LostRaceError
            if found is not None:
                once = self._ownership.once | found.once
                self._ownership.write(connection, gained=found.claims, once=once)
            return found

        try:
            found = self.session.transact(take_over)
        except LostRaceError:
            return None
        if found is None:
            return None
        self._ownership.keep()
        return Adopted(runner=found, actions=self._held_under(found.claims))

    def orphans(self, *, now: datetime) -> Sequence[Action]:
        """See :class:`Store`."""
        ids = self.session.run(lambda c: self.parts.orphans.find(c, now))
        return self._rows.actions(self._rows.load(ids)) if ids else []

    def adopt_orphans(
        self, claims: Collection[ClaimId], *, once: Collection[ActionId]
    ) -> Adopted | None:
        """See :class:`Store`."""
        wanted = sorted(claims)

        def adopt(connection: Connection) -> None:
            # The locks come first: after them the other runners' rows are read as they are now.
            is_locked = self._is_locked(connection, wanted)
            others = self.parts.orphans.owned(connection) - self._ownership.claims
            if is_locked or others.intersection(wanted):
                raise LostRaceError
            all_once = self._ownership.once | set(once)
            self._ownership.write(connection, gained=wanted, once=all_once)

        try:
            self.session.transact(adopt)
        except LostRaceError:
            return None
        self._ownership.keep()
        runner = RunnerRecord(
            id=RunnerId(0),
            host="",
            boot="",
            pid=0,
            pid_started="",
            version="",
            beat_age_seconds=0.0,
            claims=tuple(wanted),
            once=frozenset(once),
        )
        return Adopted(runner=runner, actions=self._held_under(wanted))

    def suspect(self, ids: Collection[ActionId]) -> None:
        """See :class:`Store`."""
        if ids:
            self.parts.own.ensure(self.names.suspects)
            self.session.transact(lambda c: self.parts.suspects.add(c, ids))
            self._suspects |= set(ids)

    def _is_locked(self, connection: Connection, claims: Sequence[ClaimId]) -> bool:
        """Whether somebody holds rows of these claims: a runner that was stopped in a transaction.

        Who waited for its locks would not beat meanwhile, and be taken for dead as well. Servers
        that cannot skip locked rows do wait here.
        """
        ids = {"ids": list(claims)}
        free = connection.execute(self._rows.lock_of_claims, ids).fetchall()
        return len(free) < len(connection.execute(self._rows.of_claims, ids).fetchall())

    def _held_under(self, claims: Sequence[ClaimId]) -> tuple[Action, ...]:
        if not claims:
            return ()
        rows = self.session.run(
            lambda c: c.execute(self._rows.of_claims, {"ids": list(claims)}).fetchall()
        )
        return tuple(self._rows.actions(rows))

    # Claiming

    def claim_due(
        self,
        *,
        now: datetime,
        limit: int,
        only: ClaimFilter,
        dry_run: bool = False,
        start_plan: StartPlan | None = None,
    ) -> Claim | None:
        """See :class:`Store`."""
        # Somebody may have run `wpbridge init` since, with the right to make what was missing.
        self.parts.own.look_again()
        claim = self._claiming.claim_due(
            now=now, limit=limit, only=only, dry_run=dry_run, start_plan=start_plan
        )
        if claim is not None:
            self._suspects |= claim.suspects
        return claim

    def still_claimed(self, actions: Sequence[Action]) -> frozenset[ActionId]:
        """See :class:`Store`."""
        claims = {action.id: action.claim_id for action in actions}
        if not claims:
            return frozenset()
        rows = self.session.run(
            lambda c: c.execute(self._rows.by_ids, {"ids": sorted(claims)}).fetchall()
        )
        pending = self._rows.actions([row for row in rows if row[2] == Status.PENDING])
        return frozenset(a.id for a in pending if a.claim_id == claims[a.id])

    def states(self, actions: Sequence[Action]) -> dict[ActionId, tuple[str, ClaimId]]:
        """See :class:`Store`."""
        ids = sorted(action.id for action in actions)
        if not ids:
            return {}
        rows = self.session.run(lambda c: c.execute(self._rows.by_ids, {"ids": ids}).fetchall())
        return {ActionId(int(r[0])): (str(r[2]), ClaimId(number(r[-1]))) for r in rows}

    # Starting, ending, releasing

    def start(
        self, started: Sequence[tuple[Action, Sequence[LogLine]]], *, now: datetime, once: bool
    ) -> frozenset[ActionId]:
        """See :class:`Store`."""
        wanted = {action.id: (action, lines) for action, lines in started}
        if once:
            self._warn_of_forgetfulness()
        held_once = self._ownership.once | set(wanted) if once else self._ownership.once

        def start(connection: Connection, ids: frozenset[ActionId]) -> None:
            self._ownership.write(connection, once=held_once)
            self._writes.start(connection, [wanted[i][0] for i in sorted(ids)], now)
            self._writes.insert_logs(
                connection, [(i, line) for i in wanted if i in ids for line in wanted[i][1]]
            )

        changes = {
            i: _Turn(action, Status.PENDING, Status.IN_PROGRESS)
            for i, (action, _) in wanted.items()
        }
        marked = self._settling(start, changes)
        self._ownership.keep()
        return marked

    def _warn_of_forgetfulness(self) -> None:
        """Say once where at most once cannot be kept, since the server may forget a start."""
        if self._has_warned:
            return
        self._has_warned = True
        if reason := self.session.run(self._dialect.forgets):
            tell("store.forgetful", reason=f"{reason}: an action may start more than once then")

    def settle(
        self, endings: Sequence[Ending], *, now: datetime, finished: Collection[ClaimId] = ()
    ) -> frozenset[ActionId]:
        """See :class:`Store`."""
        wanted = {ending.action.id: ending for ending in endings}
        once = self._ownership.once - set(wanted)
        lost = set(finished)
        if not (wanted or lost):
            return frozenset()
        over = {i for i, ending in wanted.items() if ending.status is not Status.PENDING}
        cleared = self._suspects & over

        def settle(connection: Connection, ids: frozenset[ActionId]) -> None:
            self._writes.end(connection, [e for i, e in wanted.items() if i in ids], now)
            self.parts.suspects.clear(connection, cleared & ids)
            if ids != wanted.keys():
                self._free_strays(connection, [e.action for e in endings])
            self._writes.finish(connection, lost)
            self._ownership.write(connection, lost=lost, once=once)

        changes = {
            i: _Turn(e.action, Status.IN_PROGRESS if e.marked else Status.PENDING, e.status)
            for i, e in wanted.items()
        }
        done = self._settling(settle, changes)
        self._ownership.keep()
        self._suspects -= done
        self.parts.limits.freed(ending.action for ending in endings)
        return done

    def _free_strays(self, connection: Connection, actions: Iterable[Action]) -> None:
        """Put back rows that wait in our claim though they should be running or have ended.

        Somebody, or a server that forgot their start, has set them back. Their claim goes now.
        """
        claims = {action.id: action.claim_id for action in actions}
        states = self._writes.states(connection, sorted(claims))
        for action_id, (status, claim) in states.items():
            if status == Status.PENDING and claim == claims[action_id]:
                self._writes.free(connection, [action_id], claim)

    def _settling(
        self,
        work: Callable[[Connection, frozenset[ActionId]], None],
        turns: dict[ActionId, _Turn],
    ) -> frozenset[ActionId]:
        """Do it for all; if some are lost, look which are still ours and do it for those.

        What a commit that was never answered has done is found done, and counts as such.
        """
        everything = frozenset(turns)

        def one_by_one(connection: Connection) -> frozenset[ActionId]:
            states = self._writes.states(connection, sorted(everything))
            ours = frozenset(i for i, row in states.items() if turns[i].is_ahead(*row))
            done = frozenset(i for i, row in states.items() if turns[i].is_behind(*row))
            work(connection, ours)
            return ours | done if self.session.in_doubt else ours

        def together(connection: Connection) -> frozenset[ActionId]:
            if self.session.in_doubt:
                return one_by_one(connection)
            work(connection, everything)
            return everything

        try:
            return self.session.transact(together)
        except LostRaceError:
            return self.session.transact(one_by_one)

    def release(self, actions: Sequence[Action], *, finished: Collection[ClaimId] = ()) -> int:
        """See :class:`Store`."""
        lost = set(finished)
        if not (actions or lost):
            return 0

        def release(connection: Connection) -> int:
            freed = 0
            for claim in {action.claim_id for action in actions}:
                ids = [a.id for a in actions if a.claim_id == claim]
                freed += self._writes.free(connection, ids, claim)
            self._writes.finish(connection, lost)
            self._ownership.write(connection, lost=lost)
            return len(actions) if self.session.in_doubt else freed

        freed = self.session.transact(release)
        self._ownership.keep()
        self._suspects -= {action.id for action in actions}
        self.parts.limits.freed(actions)
        return freed

    def heartbeat(self, held: Sequence[ActionId], *, now: datetime) -> bool:
        """See :class:`Store`."""
        if not held:
            return self.session.run(self._ownership.beat)

        def beat(connection: Connection) -> bool:
            self._writes.touch(connection, held, self._ownership.claims, now)
            return self._ownership.beat(connection)

        return self.session.transact(beat)

    def glance(self, *, now: datetime, silent_seconds: float) -> Sight:
        """See :class:`Store`."""
        values = {
            "now": to_text(now),
            "id": self._ownership.id,
            "silent": silent_seconds,
            "stale": to_text(now - SILENT),
        }
        row = self.session.run(lambda c: c.execute(self._glance, values).one())
        return Sight(is_due=bool(row[0]), is_silent=bool(row[1]), is_stale=bool(row[2]))

    def count_failures(
        self, hook: str, *, failed: int, is_fresh: bool, most: int, pause: Pause, now: datetime
    ) -> bool:
        """See :class:`Store`."""
        limits, pauses = self.parts.limits, self.parts.pauses
        self.parts.own.ensure(self.names.limits, self.names.pauses)

        def count(connection: Connection) -> bool:
            is_over = limits.count_failures(
                connection, hook, failed=failed, is_fresh=is_fresh, most=most
            )
            if not is_over or any(p.name == hook for p in pauses.in_force_on(connection, now)):
                return False
            pauses.add_on(connection, [pause], now)
            return True

        return self.session.transact(count)

    # Logs, inserts, counts

    def tell_held(self, hooks: Collection[str]) -> Sequence[str]:
        """See :class:`Store`."""
        return self.parts.held.tell(hooks)

    def held_hooks(self) -> frozenset[str]:
        """See :class:`Store`."""
        return self.parts.held.hooks()

    def forget_held(self, hooks: Collection[str]) -> None:
        """See :class:`Store`."""
        self.parts.held.forget(hooks)

    def log(self, lines: Iterable[tuple[ActionId, LogLine]]) -> None:
        """See :class:`Store`."""
        rows = list(lines)
        if rows:
            self.session.transact(lambda c: self._writes.insert_logs(c, rows))

    def insert(self, actions: Sequence[NewAction], *, now: datetime) -> Sequence[ActionId]:
        """See :class:`Store`."""
        added = self.parts.adding.add([Request(action=a) for a in actions], by="group", now=now)
        return [one.id for one in added if one.id is not None]

    def catch_up(self, *, now: datetime) -> int:
        """See :class:`Store`."""
        waits, zones = self.parts.waits, self.parts.zones
        moved = self.session.run(waits.moved)
        released = self.session.transact(lambda c: waits.release(c, moved, now)) if moved else 0
        if zones.are_there and self.session.run(zones.has_ended):
            released += len(self.session.transact(lambda c: zones.repair(c, now)))
        return released

    def said(self, ids: Sequence[ActionId], start: str) -> dict[ActionId, int]:
        """See :class:`Store`."""
        if not ids:
            return {}
        statement = text(
            f"SELECT action_id, COUNT(*) FROM {self.names.logs} WHERE action_id IN :ids"
            " AND message LIKE :start GROUP BY action_id"
        ).bindparams(bindparam("ids", expanding=True))
        values = {"ids": sorted(ids), "start": f"{start}%"}
        rows = self.session.run(lambda c: c.execute(statement, values).fetchall())
        return {ActionId(int(r[0])): int(r[1]) for r in rows}

    def counts(self) -> dict[str, int]:
        """See :class:`Store`."""
        return self.parts.reading.statuses()

    def blogs(self, base_prefix: str) -> list[tuple[int, str, str]]:
        """A network's sites: blog id, domain, path. Raises SiteError when it is no network."""
        table = f"{base_prefix}blogs"

        def look(connection: Connection) -> list[tuple[int, str, str]]:
            if not self._dialect.columns(connection, table):
                raise SiteError(
                    f"there is no table {table}: not a multisite network; leave out --url"
                )
            rows = connection.execute(text(f"SELECT blog_id, domain, path FROM {table}"))
            return [(int(blog_id), str(domain), str(path)) for blog_id, domain, path in rows]

        return self.session.run(look)

    def blogs_or_none(self, base_prefix: str) -> list[tuple[int, str, str]]:
        """The same, and nothing where there is no network."""
        try:
            return self.blogs(base_prefix)
        except SiteError:
            return []

    def whoami(self) -> tuple[int, str] | None:
        """Id and start of our row in the ownership table, for PHP workers to look up.

        None on SQLite: WordPress's driver does not know tables that others made.
        """
        me = self._ownership.id
        return None if me is None or self._dialect.name == "sqlite" else (me, self._pid_started)

    def create_tables(self, *, everything: bool) -> None:
        """Make our tables, and with ``everything`` the plugin's where they are missing.

        On SQLite ``everything`` also makes the file.
        """
        if everything:
            self._dialect.make_database(self.session.address)

        def create(connection: Connection) -> None:
            for statement in self._dialect.ddl(self.names) if everything else ():
                connection.execute(text(statement))

        self.session.run(create)
        OwnTables(self.session, self.names, self._dialect).ensure()

    def drop_tables(self) -> None:
        """Remove our tables; the plugin's are never removed."""
        OwnTables(self.session, self.names, self._dialect).drop()
        if self._parts is not None:
            self._parts.own.look()

    def close(self) -> None:
        """See :class:`Store`."""
        self.session.close()


def _schema_number(option: str | None) -> int | None:
    lead = (option or "").split(".", maxsplit=1)[0]
    return int(lead) if lead.isdigit() else None


def _problems(schema: int | None, layout: Layout, refusal: str) -> list[str]:
    problems = [refusal] if refusal else []
    if schema is not None and schema > NEWEST_SCHEMA:
        problems.append(
            f"store schema {schema} is newer than wpbridge knows ({NEWEST_SCHEMA}): reading only;"
            " upgrade wpbridge"
        )
    if schema is not None and schema < OLDEST_SCHEMA:
        problems.append(
            f"store schema {schema} is older than wpbridge supports ({OLDEST_SCHEMA}): reading"
            " only; update Action Scheduler"
        )
    if layout.plain_tables:
        name, *more = layout.plain_tables
        others = f", nor {', '.join(more)}" if more else ""
        problems.append(
            f"{name} has no transactions (MyISAM){others}: reading only; convert it with"
            " ALTER TABLE … ENGINE=InnoDB"
        )
    return problems
