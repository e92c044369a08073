"""Our table of runners: who runs, which claims are whose, and when each runner last said so.

A claim's row in the plugin's tables does not tell who made it. This one does, written in the same
transaction as the claim, so that a crash never leaves a claim of ours that nobody can attribute.
"""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, text

from wpbridge import __version__
from wpbridge.action import ActionId, ClaimId, RunnerId
from wpbridge.errors import RunnerGone
from wpbridge.store.base import RunnerRecord
from wpbridge.store.dialect import Dialect
from wpbridge.store.tables import TableNames


def _join(ids: Iterable[int]) -> str:
    return ",".join(map(str, sorted(ids)))


def _split(told: str) -> list[int]:
    return [int(part) for part in told.split(",") if part]


class Ownership:
    """This runner's row, and the sight of the others'."""

    def __init__(self, names: TableNames, dialect: Dialect) -> None:
        self.id: RunnerId | None = None
        self.claims: set[ClaimId] = set()
        self.once: set[ActionId] = set()
        table, age = names.runners, dialect.age_seconds("beat_gmt")
        columns = f"runner_id, host, boot, pid, pid_started, version, {age}, claims, once"
        self._enter = text(
            f"INSERT INTO {table} (host, boot, pid, pid_started, version, started_gmt, beat_gmt,"
            f" claims, once) VALUES (:host, :boot, :pid, :pid_started, :version, {dialect.db_now},"
            f" {dialect.db_now}, '', '')"
        )
        self._leave = text(f"DELETE FROM {table} WHERE runner_id = :id")
        self._beat = text(f"UPDATE {table} SET beat_gmt = {dialect.db_now} WHERE runner_id = :id")
        self._write = text(
            f"UPDATE {table} SET claims = :claims, once = :once, beat_gmt = {dialect.db_now}"
            " WHERE runner_id = :id"
        )
        self._all = text(f"SELECT {columns} FROM {table} ORDER BY runner_id")
        self._lock = text(
            f"SELECT {columns} FROM {table} WHERE runner_id = :id{dialect.lock_rows()}"
        )
        # Locks: a claim whose COMMIT the server has not yet read must not commit after the look.
        locking = " FOR UPDATE" if dialect.name == "mysql" else ""
        self._mine = text(f"SELECT claims FROM {table} WHERE runner_id = :id{locking}")

    def enter(
        self, connection: Connection, *, host: str, boot: str, pid: int, pid_started: str
    ) -> RunnerId:
        """Insert this runner's row. Who begins anew begins with nothing in hand."""
        self.claims, self.once = set(), set()
        result = connection.execute(
            self._enter,
            {"host": host[:255], "boot": boot[:255], "pid": pid, "pid_started": pid_started[:64],
             "version": __version__},
        )  # fmt: skip
        self.id = RunnerId(int(result.lastrowid))
        return self.id

    def leave(self, connection: Connection) -> None:
        """Delete this runner's row."""
        connection.execute(self._leave, {"id": self.id})
        self.id = None

    def beat(self, connection: Connection) -> bool:
        """Say that we live; False when our row is gone."""
        return bool(connection.execute(self._beat, {"id": self.id}).rowcount)

    def write(
        self,
        connection: Connection,
        *,
        gained: Collection[ClaimId] = (),
        lost: Collection[ClaimId] = (),
        once: Collection[ActionId] | None = None,
    ) -> None:
        """Write what we hold, inside the caller's transaction; memory follows by :meth:`keep`."""
        claims = (self.claims | set(gained)) - set(lost)
        held_once = self.once if once is None else once
        written = connection.execute(
            self._write, {"id": self.id, "claims": _join(claims), "once": _join(held_once)}
        )
        if gained and not written.rowcount:
            # A claim that nobody could attribute must not be made.
            raise RunnerGone

    def keep(
        self,
        *,
        gained: Collection[ClaimId] = (),
        lost: Collection[ClaimId] = (),
        once: Collection[ActionId] | None = None,
    ) -> None:
        """Remember what was committed."""
        self.claims = (self.claims | set(gained)) - set(lost)
        if once is not None:
            self.once = set(once)

    def unknown_claims(self, connection: Connection) -> set[ClaimId]:
        """Claims the table says are ours and we know nothing of: a commit whose answer was lost."""
        told = connection.execute(self._mine, {"id": self.id}).scalar()
        return {ClaimId(c) for c in _split(str(told or ""))} - self.claims

    def everyone(self, connection: Connection) -> Sequence[RunnerRecord]:
        """All runners, this one included."""
        return [_record(row) for row in connection.execute(self._all)]

    def take_over(self, connection: Connection, runner: RunnerRecord) -> RunnerRecord | None:
        """Lock a dead runner's row and delete it; None when it is gone, held, or beats again."""
        row = connection.execute(self._lock, {"id": runner.id}).first()
        if row is None:
            return None
        found = _record(row)
        if found.beat_age_seconds < runner.beat_age_seconds:
            return None
        connection.execute(self._leave, {"id": runner.id})
        return found


def _record(row: Sequence[object]) -> RunnerRecord:
    return RunnerRecord(
        id=RunnerId(int(str(row[0]))),
        host=str(row[1]),
        boot=str(row[2]),
        pid=int(str(row[3])),
        pid_started=str(row[4]),
        version=str(row[5]),
        beat_age_seconds=float(str(row[6] or 0)),
        claims=tuple(ClaimId(c) for c in _split(str(row[7]))),
        once=frozenset(ActionId(a) for a in _split(str(row[8]))),
    )
