"""Read rows of the actions table and turn them into actions."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from wpbridge.action import Action, ActionId, ClaimId, Status
from wpbridge.codec import schedule
from wpbridge.store.database.args_columns import chosen_args
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import as_bytes, date, listed, number
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.traces import Traces
from wpbridge.store.rows.writes import STATUS
from wpbridge.store.rows.zones import Zones
from wpbridge.store.running.site_keys import SiteKeys, Work
from wpbridge.store.schema.rows import reader
from wpbridge.store.schema.tables import ACTIONS
from wpbridge.store.structure.tables import Tables
from wpbridge.telling import traces

_STATUSES: Final = {status.value: status for status in Status}


class ActionRow(NamedTuple):
    """The columns that are read of an action, as the driver gives them."""

    action_id: object
    hook: object
    status: object
    scheduled_date_gmt: object
    priority: object
    args: object
    extended_args: object
    schedule: object
    group_id: object
    attempts: object
    claim_id: object

    @property
    def id(self) -> ActionId:
        """Return the action's id."""
        return ActionId(number(self.action_id))


class CandidateRow(NamedTuple):
    """The columns that are read to decide whether to claim an action, as the driver gives them."""

    action_id: object
    hook: object
    priority: object
    attempts: object
    scheduled_date_gmt: object
    group_id: object
    schedule: object
    """Only its first bytes."""


class ActionRows:
    """Reads rows of one site's actions, some of them under a lock."""

    def __init__(
        self,
        tables: Tables,
        groups: Groups,
        zones: Zones,
        keys: SiteKeys,
        traces: Traces,
        *,
        through: Callable[[Connection, Sequence[ActionId]], dict[ActionId, str]] | None = None,
    ) -> None:
        """``through`` reads the keys of what was enqueued through a broker; None for no broker."""
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        self._session = tables.session
        self._groups = groups
        self._zones = zones
        self._keys = keys
        self._traces = traces
        self._through = through
        self._reader = reader(ActionRow, ACTIONS, lacking=layout.lacking, status=STATUS)
        columns = self._reader.columns
        # Without this hint SQLite would walk the index of a whole backlog for a few ids.
        key = dialect.by_key
        table, lock = names.actions, dialect.lock_rows()
        free = (
            f"SELECT {columns} FROM {table}{key} WHERE action_id IN :ids AND claim_id = 0"
            " AND status = 'pending'"
        )
        held = "claim_id IN :ids AND status IN ('pending', 'in-progress')"
        ready = dialect.for_driver
        self.by_ids = ready(f"SELECT {columns} FROM {table}{key} WHERE action_id IN :ids")
        self.lock_due = ready(f"{free} AND scheduled_date_gmt <= :now{lock}")
        self.lock_any = ready(f"{free}{lock}")
        # It waits for a lock, since who asks for these rows has no others instead.
        self.lock_named = ready(
            f"SELECT {columns} FROM {table}{key} WHERE action_id IN :ids"
            f" AND status = 'pending'{dialect.row_lock}"
        )
        self.of_claims = ready(f"SELECT {columns} FROM {table} WHERE {held}")
        self.lock_of_claims = text(f"SELECT action_id FROM {table} WHERE {held}{lock}")

    def read_through(
        self, through: Callable[[Connection, Sequence[ActionId]], dict[ActionId, str]]
    ) -> None:
        """Read the keys of what was enqueued through a broker from now on."""
        self._through = through

    def load(self, ids: Sequence[int]) -> list[ActionRow]:
        """Read actions by their ids, in no order."""
        return self._session.run(lambda c: self.read(c, self.by_ids, ids))

    def read(
        self, connection: Connection, statement: str, ids: Sequence[int], **values: object
    ) -> list[ActionRow]:
        """Run one of the statements above; ``ids`` are those of actions or of claims.

        They stand in the statement: hundreds of bound values would cost more than to run it.
        """
        if not ids:
            return []
        found = connection.exec_driver_sql(statement.replace(":ids", listed(ids)), values)
        return self._reader.read(found.fetchall())

    def actions(
        self,
        rows: Sequence[ActionRow],
        *,
        claim: ClaimId | None = None,
        on: Connection | None = None,
    ) -> list[Action]:
        """Turn rows into actions.

        ``claim`` is the claim that they belong to now, if it is not the one in the rows. ``on`` is
        the connection of a transaction in which everything is to be read.
        """
        return self.later(rows, claim=claim, on=on)()

    def later(
        self, rows: Sequence[ActionRow], *, claim: ClaimId | None, on: Connection | None
    ) -> Callable[[], list[Action]]:
        """Return what turns rows into actions, for any thread. All that it needs is read now."""
        slug = self._groups.slug if on is None else functools.partial(self._groups.slug_on, on)
        slugs = {group: slug(group) for group in {number(row.group_id) for row in rows}}
        zones = self._zones_of(rows, on)
        traceparents = self._traces_of(rows, on)
        site_key_of = self._keys.maker(
            lambda last: [_work(row) for row in rows if row.id <= last], on
        )
        through = self._through_of(rows, on)

        def key_of(work: Work) -> Callable[[], str]:
            key = through.get(work.id)
            return site_key_of(work) if key is None else lambda: key

        def make() -> list[Action]:
            return [_action(row, claim, slugs, zones, traceparents, key_of) for row in rows]

        return make

    def _through_of(self, rows: Sequence[ActionRow], on: Connection | None) -> dict[ActionId, str]:
        """Return the keys of what was enqueued through a broker; nothing where there is none."""
        if self._through is None:
            return {}
        ids, read = [row.id for row in rows], self._through
        return read(on, ids) if on else self._session.run(lambda c: read(c, ids))

    def _zones_of(self, rows: Sequence[ActionRow], on: Connection | None) -> dict[ActionId, str]:
        """Return the time zones of cron chains. Nothing is read on a site that never had one."""
        zones = self._zones
        if not zones.are_there:
            return {}
        crons = [row.id for row in rows if _is_cron(as_bytes(row.schedule))]
        return zones.of(on, crons) if on else self._session.run(lambda c: zones.of(c, crons))

    def _traces_of(self, rows: Sequence[ActionRow], on: Connection | None) -> dict[ActionId, str]:
        """Return the traceparents of actions. Nothing is read where no traces are made."""
        if not traces.are_made():
            return {}
        ids = [row.id for row in rows]
        read = self._traces.of
        return read(on, ids) if on else self._session.run(lambda c: read(c, ids))


def _work(row: ActionRow) -> Work:
    return Work(row.id, str(row.hook), chosen_args(row.args, row.extended_args))


def _action(  # noqa: PLR0917 - what is known of a row
    row: ActionRow,
    claim: ClaimId | None,
    slugs: Mapping[int, str],
    zones: Mapping[ActionId, str],
    traceparents: Mapping[ActionId, str],
    key_of: Callable[[Work], Callable[[], str]],
) -> Action:
    work = _work(row)
    group = number(row.group_id)
    return Action(
        id=work.id,
        hook=work.hook,
        status=_status(row.status),
        scheduled_at=date(row.scheduled_date_gmt),
        priority=number(row.priority),
        args=work.args,
        schedule=as_bytes(row.schedule),
        group_id=group,
        group=slugs[group],
        attempts=number(row.attempts),
        claim_id=claim if claim is not None else ClaimId(number(row.claim_id)),
        zone=zones.get(work.id),
        traceparent=traceparents.get(work.id, ""),
        make_key=key_of(work),
    )


def _is_cron(blob: bytes) -> bool:
    return schedule.class_of(blob[: schedule.PREFIX_BYTES]) == schedule.Cron.php_class


def in_order(actions: Iterable[Action]) -> list[Action]:
    """Sort the actions of a claim as the plugin does."""
    return sorted(
        actions,
        key=lambda a: (a.priority, a.attempts, str(a.scheduled_at or ""), a.id),
    )


def _status(value: object) -> Status:
    """Return the status, and PENDING for an unknown one: only rows that may run come here."""
    return _STATUSES.get(str(value), Status.PENDING)
