"""Add jobs: actions that came over HTTP, and that are followed under an id of their own.

A job's row, its action, its idempotency key and its callback are written in one transaction. The
id is a UUID of version 7, so new rows lie at the end of the table, and the id tells their order.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from wpbridge.action import ActionId, NewAction
from wpbridge.clock import to_text
from wpbridge.dataclass import dataclass
from wpbridge.errors import WpbridgeError
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.queueing.adding import Added, Adding, Request, UniqueBy
from wpbridge.store.records import JobRecord, Sign
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.idempotency import hashed
from wpbridge.store.rows.inserts import Inserts
from wpbridge.store.rows.traces import Traces
from wpbridge.store.rows.waits import Waits
from wpbridge.store.schema.tables import JOBS
from wpbridge.store.structure.tables import Tables

Refusal: TypeAlias = Literal["key-reused", "not-unique"]
"""Why a job was refused: its idempotency key stands for another body, or its like is pending."""
_PORTION: Final = 500
_COLUMNS: Final = "uuid, action_id, key_name, key_hash, fingerprint, traceparent, created_gmt"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be added."""

    uuid: str
    request: Request
    key_name: str
    """The API key for which it is added."""
    fingerprint: str
    """The SHA-256 of what was asked for: an idempotency key stands for this and for nothing else.
    """
    traceparent: str = ""
    callback: NewAction | None = None
    """An action that runs when the job has ended, however it ends."""


class NotWhole(WpbridgeError):
    """One of several jobs that belong together was refused, so none was added."""

    def __init__(self, place: int, refusal: Refusal) -> None:
        """Take the place of the refused job, counted from 0, and why it was refused."""
        super().__init__()
        self.place = place
        self.refusal: Refusal = refusal


class Jobs:
    """The jobs of one site."""

    def __init__(  # noqa: PLR0917 - the parts that it uses
        self,
        tables: Tables,
        adding: Adding,
        groups: Groups,
        inserts: Inserts,
        waits: Waits,
        traces: Traces,
    ) -> None:
        names, dialect = tables.names, tables.dialect
        self._session = tables.session
        self._own = tables.own
        self._names = names
        self._adding = adding
        self._groups = groups
        self._inserts = inserts
        self._waits = waits
        self._traces = traces
        table = names.jobs
        self._row = f"({', '.join([dialect.mark] * len(JOBS.given))})"
        self._insert = JOBS.insert_start(table)
        select = f"SELECT {_COLUMNS} FROM {table}"
        self._by_uuid = text(f"{select} WHERE uuid = :uuid")
        self._of_uuids = text(f"{select} WHERE uuid IN :uuids")
        self._of_action = text(f"{select} WHERE action_id = :id LIMIT 1")
        self._signs = (
            "SELECT j.uuid, a.action_id, a.status, a.attempts, a.scheduled_date_gmt IS NOT NULL,"
            f" {{}} FROM {table} j JOIN {names.actions} a ON a.action_id = j.action_id{{}}"
            " WHERE j.uuid IN :uuids"
        )
        self._by_key = text(f"{select} WHERE key_hash IN :keys")
        self._of_key = text(
            f"{select} WHERE key_name = :name AND uuid < :before ORDER BY uuid DESC LIMIT :most"
        )
        self._newest = text(f"{select} WHERE uuid < :before ORDER BY uuid DESC LIMIT :most")
        self._orphans = text(
            f"SELECT uuid FROM {table} j WHERE created_gmt <= :before AND NOT EXISTS"
            f" (SELECT 1 FROM {names.actions} a WHERE a.action_id = j.action_id) LIMIT :most"
        )
        self._delete = text(f"DELETE FROM {table} WHERE uuid IN :uuids")

    def add(
        self, jobs: Sequence[NewJob], *, by: UniqueBy, now: datetime, whole: bool = False
    ) -> list[Added]:
        """Add all jobs in one transaction. A crash leaves all of them or none.

        The caller has found out with :meth:`Adding.check` that the tables can hold each. Returns
        what :meth:`Adding.add` returns of their actions, and raises what it raises. A job
        whose idempotency key was used before adds nothing; :meth:`of_keys` has what the key made.

        Raises:
            NotWhole: with ``whole``, one of them was refused. Nothing is added then.
        """
        needed = [self._names.jobs]
        needed += [self._names.waits] if any(job.callback for job in jobs) else []
        self._own.ensure(*needed)
        if any(job.callback and job.callback.traceparent for job in jobs):
            self._traces.prepare()
        slugs = {job.callback.group for job in jobs if job.callback is not None}
        groups = {slug: self._groups.ensure(slug) for slug in sorted(slugs)}

        def beside(connection: Connection, added: Sequence[Added]) -> None:
            if whole:
                self._check_whole(connection, jobs, added)
            new = [
                (job, one.id)
                for job, one in zip(jobs, added, strict=True)
                if one.is_new and one.id is not None
            ]
            self._write(connection, new, now)
            called = [(job.callback, action) for job, action in new if job.callback is not None]
            waiting = [replace(callback, is_waiting=True) for callback, _ in called]
            ids = self._inserts.actions(connection, waiting, now, groups)
            for callback, (_, action) in zip(ids, called, strict=True):
                self._waits.add(connection, callback, (action,), "run")

        requests = [job.request for job in jobs]
        return self._adding.add(requests, by=by, now=now, beside=beside, are_checked=True)

    def _check_whole(
        self, connection: Connection, jobs: Sequence[NewJob], added: Sequence[Added]
    ) -> None:
        fingerprints: dict[str, str] = {}
        old = [hashed(j.request.key) for j, a in zip(jobs, added, strict=True) if not a.is_new]
        if old:
            rows = connection.execute(self._by_key, {"keys": old})
            fingerprints = {str(row[3]): str(row[4]) for row in rows}
        for place, (job, one) in enumerate(zip(jobs, added, strict=True)):
            if one.id is None:
                raise NotWhole(place, "not-unique")
            key = hashed(job.request.key) if job.request.key else ""
            # A key that this transaction has taken has no row among the jobs yet.
            if not one.is_new and fingerprints.get(key, job.fingerprint) != job.fingerprint:
                raise NotWhole(place, "key-reused")

    def _write(
        self, connection: Connection, new: Sequence[tuple[NewJob, ActionId]], now: datetime
    ) -> None:
        rows = [
            (
                job.uuid,
                action_id,
                job.key_name,
                hashed(job.request.key) if job.request.key else "",
                job.fingerprint,
                job.traceparent,
                to_text(now),
            )
            for job, action_id in new
        ]
        for start in range(0, len(rows), _PORTION):
            part = rows[start : start + _PORTION]
            values = tuple(value for row in part for value in row)
            connection.exec_driver_sql(self._insert + ", ".join([self._row] * len(part)), values)

    def find(self, uuid: str) -> JobRecord | None:
        """Return a job by its id; None when there is none."""
        found = self._read(self._by_uuid, {"uuid": uuid})
        return found[0] if found else None

    def of_action(self, action_id: ActionId) -> JobRecord | None:
        """Return the job that an action is now; None when it is none."""
        found = self._read(self._of_action, {"id": action_id})
        return found[0] if found else None

    def find_all(self, uuids: Sequence[str]) -> list[JobRecord]:
        """Return those of the jobs that there are."""
        return self._read(self._of_uuids, {"uuids": list(uuids)}) if uuids else []

    def signs(self, uuids: Sequence[str]) -> dict[str, Sign]:
        """Return, by id, what tells one state of a job from another; only where its action is."""
        if not (uuids and self._own.has(self._names.jobs)):
            return {}
        results = self._names.results
        told, join = "NULL, ''", ""
        if self._own.has(results):
            told = "r.progress, COALESCE(r.progress_text, '')"
            join = f" LEFT JOIN {results} r ON r.action_id = j.action_id"
        statement, values = text(self._signs.format(told, join)), {"uuids": list(uuids)}
        rows = self._session.run(lambda c: c.execute(statement, values).fetchall())
        return {
            str(uuid): Sign(
                action_id=ActionId(int(action_id)),
                status=str(status),
                attempts=int(attempts),
                is_dated=bool(is_dated),
                progress=None if progress is None else float(progress),
                progress_text=str(said),
            )
            for uuid, action_id, status, attempts, is_dated, progress, said in rows
        }

    def of_keys(self, keys: Sequence[str]) -> dict[str, JobRecord]:
        """Return, by idempotency key, the newest jobs that these keys made."""
        by_hash = {hashed(key): key for key in keys}
        found = self._read(self._by_key, {"keys": list(by_hash)}) if keys else []
        return {by_hash[job.key_hash]: job for job in sorted(found, key=lambda job: job.uuid)}

    def of_key_name(self, name: str, *, before: str = "", most: int) -> list[JobRecord]:
        """Return jobs of an API key, the newest first; older ones than ``before``, an id."""
        return self._read(self._of_key, {"name": name, "before": before or "~", "most": most})

    def newest(self, *, before: str = "", most: int) -> list[JobRecord]:
        """Return jobs of all API keys, the newest first; older ones than ``before``, an id.

        The primary key gives them in this order.
        """
        return self._read(self._newest, {"before": before or "~", "most": most})

    def expire(self, before: datetime, most: int) -> int:
        """Delete at most so many jobs of ``before`` or earlier whose action is gone."""
        if not self._own.has(self._names.jobs):
            return 0
        values = {"before": to_text(before), "most": most}
        rows = self._session.run(lambda c: c.execute(self._orphans, values).fetchall())
        uuids = sorted(str(uuid) for (uuid,) in rows)
        if uuids:
            self._session.transact(lambda c: c.execute(self._delete, {"uuids": uuids}))
        return len(uuids)

    def _read(self, statement: Any, values: dict[str, object]) -> list[JobRecord]:
        if not self._own.has(self._names.jobs):
            return []
        rows = self._session.run(lambda c: c.execute(statement, values).fetchall())
        return [
            JobRecord(
                uuid=str(uuid),
                action_id=ActionId(int(action_id)),
                key_name=str(key_name),
                key_hash=str(key_hash),
                fingerprint=str(fingerprint),
                traceparent=str(traceparent),
                created_at=date(created),
            )
            for uuid, action_id, key_name, key_hash, fingerprint, traceparent, created in rows
        ]
