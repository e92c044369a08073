"""Keep our table of runners: who runs, which claims are whose, and when each last beat.

A claim's row in the plugin's tables does not say who made it. Ours does, and is written in the same
transaction as the claim, so that a crash never leaves a claim of ours without an owner.

A server may forget what it has committed: with ``innodb_flush_log_at_trx_commit`` 0 when it is
killed, with 2 when its host crashes, and on a failover to a replica that lags. A runner therefore
never writes its memory over its row. It writes only over the row that it remembers, and counts its
writes in it. When the row is another one, nothing that the runner remembers can be relied on.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from wpbridge import __version__
from wpbridge.action import ActionId, ClaimId, RunnerId
from wpbridge.dataclass import dataclass
from wpbridge.errors import RunnerGone
from wpbridge.store.base import RunnerRecord
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import split
from wpbridge.store.running.fences import Handed, runner_name
from wpbridge.store.schema.rows import reader
from wpbridge.store.schema.tables import RUNNERS
from wpbridge.store.structure.tables import Tables

_RELAY: Final = '%"kind":"relay"%'
"""What a relay writes of itself; see :mod:`wpbridge.runner.about`."""


def _join(ids: Iterable[int]) -> str:
    return ",".join(map(str, sorted(ids)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What a runner has in hand, as its row says."""

    claims: frozenset[ClaimId] = frozenset()
    once: frozenset[ActionId] = frozenset()
    writes: int = 0
    """How often the row has been written."""


def runners(tables: Tables) -> Sequence[RunnerRecord]:
    """Return every wpbridge runner in the table; for readers that are no runner themselves."""
    if not tables.own.has(tables.names.runners):
        return []
    return tables.session.run(Ownership(tables).everyone)


class RunnerRow(NamedTuple):
    """The columns that are read of a runner's row, as the driver gives them."""

    runner_id: object
    host: object
    boot: object
    pid: object
    pid_started: object
    version: object
    beat_age: object
    """The age of the last beat in seconds, by the database's clock."""
    claims: object
    once: object


class Ownership:
    """This runner's row, and a view of the others'.

    Call :meth:`write` in the transaction that changes what the runner has in hand, and :meth:`keep`
    after its commit. A transaction may be tried several times in between.
    """

    def __init__(self, tables: Tables) -> None:
        names, dialect = tables.names, tables.dialect
        self.id: RunnerId | None = None
        self._row = self._tried = _Row()
        self._seen = ""
        """The claims in our row, as the last look found them."""
        self._process: dict[str, object] = {}
        """The columns that tell our row from another process's, if an id is given out twice."""
        self._names = names
        self._dialect = dialect
        table = names.runners
        self._reader = reader(RunnerRow, RUNNERS, beat_age=dialect.age_seconds("beat_gmt"))
        columns = self._reader.columns
        self._mine = (
            "runner_id = :id AND host = :host AND boot = :boot AND pid = :pid"
            " AND pid_started = :pid_started"
        )
        self._enter = text(
            f"INSERT INTO {table} (host, boot, pid, pid_started, version, started_gmt, beat_gmt,"
            f" claims, once) VALUES (:host, :boot, :pid, :pid_started, :version, {dialect.db_now},"
            f" {dialect.db_now}, '', ''){dialect.returning('runner_id')}"
        )
        self._announce = text(f"UPDATE {table} SET wake_address = :address WHERE runner_id = :id")
        self._tell_places = text(f"UPDATE {table} SET places = :places WHERE runner_id = :id")
        self._has_places = self._hears = False
        self._tell_about = text(f"UPDATE {table} SET about = :about WHERE runner_id = :id")
        self._read_wish = text(f"SELECT wish FROM {table} WHERE runner_id = :id")
        self._carry_wish = text(
            f"UPDATE {table} SET wish = :wish WHERE runner_id = :id AND wish = ''"
        )
        self._leave = text(f"DELETE FROM {table} WHERE {self._mine}")
        self._remove = text(f"DELETE FROM {table} WHERE runner_id = :id")
        self._all = text(f"SELECT {columns} FROM {table} ORDER BY runner_id")
        self._named = text(f"SELECT {columns} FROM {table} WHERE runner_id IN :ids AND :kind <> ''")
        self._named_relays = text(
            f"SELECT {columns} FROM {table} WHERE runner_id IN :ids AND about LIKE :kind"
        )
        self._lock = text(
            f"SELECT {columns} FROM {table} WHERE runner_id = :id{dialect.lock_rows()}"
        )
        self._prepare(counts=True)

    @property
    def claims(self) -> frozenset[ClaimId]:
        """Return the claims in hand, as last committed."""
        return self._row.claims

    @property
    def once(self) -> frozenset[ActionId]:
        """Return the started actions that must not be started a second time, as last committed."""
        return self._row.once

    def enter(
        self,
        connection: Connection,
        *,
        host: str,
        boot: str,
        pid: int,
        pid_started: str,
        wake_address: str = "",
        places: int = 1,
    ) -> RunnerId:
        """Insert this runner's row. A runner that begins anew has nothing in hand."""
        self._row = self._tried = _Row()
        self._process = {
            "host": host[:255],
            "boot": boot[:255],
            "pid": pid,
            "pid_started": pid_started[:64],
        }
        columns = self._dialect.columns(connection, self._names.runners)
        self._prepare(counts="writes" in columns)
        values = {**self._process, "version": __version__}
        result = connection.execute(self._enter, values)
        [runner] = self._dialect.new_ids(connection, result, 1, self._names.runners)
        self.id = RunnerId(runner)
        if wake_address and "wake_address" in columns:
            connection.execute(self._announce, {"id": runner, "address": wake_address[:255]})
        self._has_places, self._hears = "places" in columns, {"wish", "about"} <= set(columns)
        self.tell_places(connection, places)
        return self.id

    def tell_places(self, connection: Connection, places: int) -> None:
        """Write how many actions this runner can run at once."""
        if self._has_places:
            connection.execute(self._tell_places, {"id": self.id, "places": places})

    def tell_about(self, connection: Connection, about: str) -> None:
        """Write what this runner's process is and does."""
        if self._hears:
            connection.execute(self._tell_about, {"id": self.id, "about": about})

    def wish(self, connection: Connection) -> str:
        """Return what people wish of this runner; empty for nothing."""
        if not self._hears:
            return ""
        return str(connection.execute(self._read_wish, {"id": self.id}).scalar() or "")

    def carry_wish(self, connection: Connection, wish: str) -> None:
        """Write into our row what people wished of the runner before us, unless they wish more."""
        if self._hears:
            connection.execute(self._carry_wish, {"id": self.id, "wish": wish})

    def _prepare(self, *, counts: bool) -> None:
        """Make the statements that write only over the row that is remembered.

        The counter shows every write that the server forgot. A table of an older release that could
        not be changed has none; there only what the row says is compared.
        """
        table, now = self._names.runners, self._dialect.db_now
        counter = " AND writes BETWEEN :first AND :last" if counts else ""
        # This locks: a claim whose COMMIT the server has not read must not commit after the look.
        locking = self._dialect.row_lock
        self._look = text(f"SELECT claims FROM {table} WHERE {self._mine}{counter}{locking}")
        unchanged = (
            f"{self._mine}{counter} AND claims IN (:claims, :claims_before)"
            " AND once IN (:once, :once_before)"
        )
        self._beat = text(f"UPDATE {table} SET beat_gmt = {now} WHERE {unchanged}")
        count = ", writes = :next" if counts else ""
        self._write = text(
            f"UPDATE {table} SET claims = :claims, once = :once, beat_gmt = {now}{count}"
            f" WHERE {unchanged}"
        )

    def leave(self, connection: Connection) -> None:
        """Delete this runner's row."""
        connection.execute(self._leave, {"id": self.id, **self._process})
        self.id = None

    def beat(self, connection: Connection) -> bool:
        """Write the beat. Return whether our row is there and as we remember it."""
        return bool(connection.execute(self._beat, self._values(self._row)).rowcount)

    def look(self, connection: Connection) -> set[ClaimId]:
        """Lock our row and return the claims in it that we do not know.

        The commit of such a claim got no answer. Raises RunnerGone when the row is gone or lacks
        something that we remember. A claim that the last write has left out may be missing: perhaps
        that write was committed without an answer.
        """
        told = connection.execute(self._look, self._values(self._row)).scalar()
        claims = {ClaimId(c) for c in split(str(told or ""))}
        if told is None or not claims >= self._row.claims & self._tried.claims:
            raise RunnerGone
        self._seen = str(told)
        return claims - self._row.claims

    def write(
        self,
        connection: Connection,
        *,
        gained: Collection[ClaimId] = (),
        lost: Collection[ClaimId] = (),
        once: Collection[ActionId] | None = None,
        is_seen: bool = False,
    ) -> None:
        """Write what we will have in hand, over the row that we remember and over no other.

        With ``is_seen`` the row may also name what :meth:`look` has found there in the same
        transaction: claims that we do not know are left out now.

        Raises RunnerGone when the row is another one: others took us for dead, or the server has
        forgotten what it had committed. The caller's transaction must then be rolled back.
        """
        row = _Row(
            claims=(self._row.claims | set(gained)) - set(lost),
            once=self._row.once if once is None else frozenset(once),
            writes=self._tried.writes + 1,
        )
        values = self._values(row)
        if is_seen:
            values["claims_before"] = self._seen
        written = connection.execute(self._write, values).rowcount
        self._tried = row
        if not written:
            raise RunnerGone

    def keep(self) -> None:
        """Remember what the last :meth:`write` has written, which is committed now."""
        self._row = self._tried

    def _values(self, row: _Row) -> dict[str, object]:
        """Return what the row may say now: the last commit, or the last try if it got no answer."""
        return {
            "id": self.id,
            **self._process,
            "first": self._row.writes,
            "last": self._tried.writes,
            "next": row.writes,
            "claims": _join(row.claims),
            "claims_before": _join(self._row.claims),
            "once": _join(row.once),
            "once_before": _join(self._row.once),
        }

    def everyone(self, connection: Connection) -> Sequence[RunnerRecord]:
        """Return all runners, this one included."""
        return [_record(row) for row in self._reader.read(connection.execute(self._all))]

    def standing(self, connection: Connection, fences: Collection[Handed]) -> frozenset[Handed]:
        """Return those of the fences that count: their relay is there and still has the claim."""
        ids = sorted({one.relay_id for one in fences if one.claim_id})
        values = {"ids": ids, "kind": _RELAY}
        named = self._named_relays if self._hears else self._named
        rows = connection.execute(named, values).fetchall() if ids else []
        relays = {runner_name(one): one for one in map(_record, self._reader.read(rows))}
        return frozenset(
            one
            for one in fences
            if not one.claim_id
            or (one.relay in relays and one.claim_id in relays[one.relay].claims)
        )

    @property
    def name(self) -> str:
        """Return the name of this runner in fences."""
        record = RunnerRecord(
            id=RunnerId(self.id or 0),
            host=str(self._process.get("host", "")),
            boot=str(self._process.get("boot", "")),
            pid=int(str(self._process.get("pid", 0))),
            pid_started=str(self._process.get("pid_started", "")),
            version="",
            beat_age_seconds=0.0,
            claims=(),
            once=frozenset(),
        )
        return runner_name(record)

    def take_over(self, connection: Connection, runner: RunnerRecord) -> RunnerRecord | None:
        """Lock a dead runner's row and delete it; None when it is gone, locked, or beats again."""
        row = connection.execute(self._lock, {"id": runner.id}).first()
        if row is None:
            return None
        found = _record(self._reader.make(row))
        is_another = (found.pid, found.pid_started) != (runner.pid, runner.pid_started)
        if is_another or found.beat_age_seconds < runner.beat_age_seconds:
            return None
        connection.execute(self._remove, {"id": runner.id})
        return found


def _record(row: RunnerRow) -> RunnerRecord:
    return RunnerRecord(
        id=RunnerId(int(str(row.runner_id))),
        host=str(row.host),
        boot=str(row.boot),
        pid=int(str(row.pid)),
        pid_started=str(row.pid_started),
        version=str(row.version),
        beat_age_seconds=float(str(row.beat_age or 0)),
        claims=tuple(ClaimId(c) for c in split(str(row.claims))),
        once=frozenset(ActionId(a) for a in split(str(row.once))),
    )
